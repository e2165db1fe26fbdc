"""How the infrared is looked at around a patch, and what its causes are told apart by."""

from __future__ import annotations

from dataclasses import dataclass

from tiles.errors import InvalidParameterError


@dataclass(frozen=True)
class EvidenceParams:
    """Which images of a patch are looked at, and where.

    Parameters
    ----------
    dates
        Clear dates that are wanted before the loss, and as many after it: two, so that one hazy date is not alone.
    looked_at
        Dates whose classification is looked at for them, at most, on each side: a month of them, where passes overlap.
    before_days
        Days before the last intact date that its images may lie back: a year.
    earlier_within_days
        Days around the same day of the year before, in which one date more is looked for: what declines from year
        to year was not felled at once. Six weeks, as the reference's seasons are.
    ring_from_m, ring_to_m
        Ring of intact forest that the patch is compared with: from beyond the mixed pixels of the edge and the shade of
        what stands (two pixels of 20 m) to where the forest is still the same. Both sides of every difference then
        share date, season and haze (before-after-control-impact: Stewart-Oaten et al. 1986, Ecology 67, 929).
    core_share
        Share of a pixel of 20 m that the patch must hold for it to speak for the patch.
    clear_share
        Share of the patch's such pixels that a date must show clear.
    ring_px
        Fewest clear pixels of a ring that speak for it; a hectare is 25.
    cell_px
        Side of the squares in which patches are worked through together, in pixels of 20 m: as large as most files'
        blocks, so that none is decoded for each patch anew.
    """

    dates: int = 2
    looked_at: int = 12
    before_days: int = 365
    earlier_within_days: int = 42
    ring_from_m: float = 40.0
    ring_to_m: float = 160.0
    core_share: float = 0.75
    clear_share: float = 0.6
    ring_px: int = 12
    cell_px: int = 512

    def __post_init__(self) -> None:
        if not (0 < self.core_share <= 1 and 0 < self.clear_share <= 1 and 0 <= self.ring_from_m < self.ring_to_m):
            raise InvalidParameterError(
                "core_share and clear_share must lie above 0 and at most at 1, and ring_from_m below ring_to_m, not "
                f"{self.core_share}, {self.clear_share}, {self.ring_from_m}, {self.ring_to_m}."
            )
        if min(self.dates, self.looked_at, self.ring_px, self.cell_px) < 1:
            raise InvalidParameterError("dates, looked_at, ring_px and cell_px must be 1 or more.")
