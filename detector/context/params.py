"""What the context of a patch is measured by: the numbers, and where each comes from."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tiles.errors import InvalidParameterError


@dataclass(frozen=True)
class ContextParams:
    """Parameters of the context stage.

    Parameters
    ----------
    steep_pct
        Slope from which ground is steep, in percent: 30, of the policy's criterion (the design, Canopée).
    near_m
        How far around a patch the nearest zone and the nearest earlier cut are looked for, in metres (the issue).
    cut_near_m
        Earlier cuts less than this far from a patch are summed up: the distance within which two patches are one alert
        (`detector.params.TrackParams.near_m`).
    overlap_share
        Share of the smaller of two outlines that they have in common when they show one loss: such an earlier cut is
        the patch itself, known from before (`detector.params.TrackParams.overlap_share`).
    watercourse_near_m
        How far around a patch watercourses are looked for, in metres. Ten times the widest of the buffer strips that
        French rules ask for along water (5 to 50 m), so that what is farther is of no concern.
    known_share
        Share of a patch that a layer must cover to speak for it. What is told then is of the covered ground. Less than
        all, since the pixels of a cut at the coast or at a border reach over it.
    event_days_before, event_days_after
        Fires and storms that began at most so many days before the first low date, or after it, are told with a patch.
        Windthrow is salvaged for about two years; the first day of a mapped event may be a few weeks late.
    chunk_patches, chunk_extent_m
        Patches that are described at once, and the side of the square that holds them: they bound the memory, whatever
        the number of patches and however sparse they are. At 100 km a chunk reads 2 % of France.

    Raises
    ------
    tiles.errors.InvalidParameterError
        If a value is outside the range that it makes sense in.
    """

    steep_pct: float = 30.0
    near_m: float = 2000.0
    cut_near_m: float = 100.0
    overlap_share: float = 0.1
    watercourse_near_m: float = 500.0
    known_share: float = 0.9
    event_days_before: int = 730
    event_days_after: int = 31
    chunk_patches: int = 2000
    chunk_extent_m: float = 100_000.0

    def __post_init__(self) -> None:
        for name in ("steep_pct", "near_m", "cut_near_m", "watercourse_near_m", "chunk_extent_m"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise InvalidParameterError(f"{name} must be a number above zero, not {value}.")
        for name in ("overlap_share", "known_share"):
            if not 0 < getattr(self, name) <= 1:
                raise InvalidParameterError(f"{name} must lie above 0 and at most at 1, not {getattr(self, name)}.")
        if self.cut_near_m > self.near_m:
            raise InvalidParameterError(f"cut_near_m ({self.cut_near_m}) must not be beyond near_m ({self.near_m}).")
        if min(self.event_days_before, self.event_days_after) < 0 or self.chunk_patches < 1:
            raise InvalidParameterError(
                "event_days_before and event_days_after must be 0 or more and chunk_patches 1 or more, not "
                f"{self.event_days_before}, {self.event_days_after} and {self.chunk_patches}."
            )
