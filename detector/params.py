"""How changed pixels become patches, and patches alerts: the numbers, and where each comes from."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tiles.errors import InvalidParameterError


@dataclass(frozen=True)
class PatchParams:
    """Parameters of the patch stage.

    Parameters
    ----------
    min_area_ha
        Smallest patch kept, in geodesic hectares, holes filled. 0.5 ha is the smallest clear-cut that
        SUFOSAT and Canopée publish: fifty pixels of 10 m, enough for a shape.
    seed_drop
        NDVI that one pixel of a patch must have lost, at the least. A closed canopy stands near 0.8 and bare
        ground or slash near 0.2-0.4, so that a felling loses 0.3 or more on its date; drought, haze and
        thinning seldom pass 0.15. 0.20 lies between the two.
    growth_drop
        NDVI that every pixel of a patch must have lost. The rim of a cut mixes felled and standing trees: a
        pixel half inside loses about half of what its neighbour lost. 0.12 takes in a rim pixel that is half
        of a common felling, and stays at two to three times the noise of one clear observation of forest
        (0.04-0.06).
    max_hole_ha
        Largest hole that is filled, in hectares: what is too small to be an alert is too small to be an island. A
        larger one is forest that stands, or was not seen, and stays out of the hectares.
    same_loss_days
        A provisional pixel that touches a confirmed one is of the same patch if their first low dates are this near:
        two revisits of Sentinel-2. A cloud that later hid half of a cut does not halve it; the haze of another date
        stays apart.
    simplify_tolerance_px
        Farthest that a published outline may stray from the pixel edges, in pixels. Half a pixel is what the
        edge of a classified pixel means; 0 publishes the pixel edges themselves.
    confirmed_share
        Share of confirmed pixels from which an alert is confirmed: the majority.

    Raises
    ------
    tiles.errors.InvalidParameterError
        If a value is outside the range that it makes sense in.
    """

    min_area_ha: float = 0.5
    seed_drop: float = 0.20
    growth_drop: float = 0.12
    max_hole_ha: float = 0.5
    same_loss_days: int = 10
    simplify_tolerance_px: float = 0.5
    confirmed_share: float = 0.5

    def __post_init__(self) -> None:
        if not (math.isfinite(self.min_area_ha) and self.min_area_ha >= 0):
            raise InvalidParameterError(f"min_area_ha must be zero or more hectares, not {self.min_area_ha}.")
        if not (math.isfinite(self.max_hole_ha) and self.max_hole_ha >= 0):
            raise InvalidParameterError(f"max_hole_ha must be zero or more hectares, not {self.max_hole_ha}.")
        if not 0 < self.growth_drop <= self.seed_drop <= 2:
            raise InvalidParameterError(
                "NDVI drops must satisfy 0 < growth_drop <= seed_drop <= 2, "
                f"not growth_drop={self.growth_drop} and seed_drop={self.seed_drop}."
            )
        if not 0 <= self.simplify_tolerance_px <= 1:
            raise InvalidParameterError(
                f"simplify_tolerance_px must lie between 0 and 1 pixel, not {self.simplify_tolerance_px}."
            )
        if not 0 < self.confirmed_share <= 1:
            raise InvalidParameterError(
                f"confirmed_share must lie above 0 and at most at 1, not {self.confirmed_share}."
            )


@dataclass(frozen=True)
class TrackParams:
    """Parameters of the tracking of alerts from month to month and over tiles.

    Parameters
    ----------
    near_m
        Patches less than this many geodesic metres apart are one alert (the design's definition).
    span_days
        Days that the first low dates of one alert's patches may span in all (the design's definition).
    window_months
        Months, up to the scanned one, in which the losses that a scan tells were first seen:
        `tiles.monitor.MonitorParams.window_months`. What is older is not missed when a scan is silent of it.
    min_area_ha
        Smallest new ground that begins an alert where a patch reaches over the ground of one that cannot grow any
        more: `PatchParams.min_area_ha`.
    overlap_share
        Share of the smaller of two outlines that they have in common when they show one loss. The grids of two UTM
        zones may set an edge half a pixel apart, so that neighbours overlap by slivers: 5 m along the side of a square
        hectare are 5 % of it.
    intact_share
        Ground that is not found any more is taken back if more than this share of its forest was seen intact: the
        majority, as a majority of confirmed pixels makes an alert confirmed. What clouds hide counts against it: a
        loss is not taken back by what was not seen.
    confirmed_share
        Share of an alert's area from which on it is confirmed, if patches that are confirmed cover it:
        `PatchParams.confirmed_share`.
    change_ha
        Outlines that differ by less are the same: a pixel.

    Raises
    ------
    tiles.errors.InvalidParameterError
        If a value is outside the range that it makes sense in.
    """

    near_m: float = 100.0
    span_days: int = 365
    window_months: int = 12
    min_area_ha: float = 0.5
    overlap_share: float = 0.1
    intact_share: float = 0.5
    confirmed_share: float = 0.5
    change_ha: float = 0.01

    def __post_init__(self) -> None:
        if not 0 <= self.near_m <= 10_000:
            raise InvalidParameterError(f"near_m must lie between 0 and 10,000 metres, not {self.near_m}.")
        if self.span_days < 0 or self.window_months < 1:
            raise InvalidParameterError(
                "span_days must be 0 or more and window_months 1 or more, "
                f"not span_days={self.span_days} and window_months={self.window_months}."
            )
        if not (math.isfinite(self.min_area_ha) and self.min_area_ha >= 0 and self.change_ha > 0):
            raise InvalidParameterError(
                "min_area_ha must be zero or more hectares and change_ha more than zero, "
                f"not min_area_ha={self.min_area_ha} and change_ha={self.change_ha}."
            )
        for name in ("overlap_share", "intact_share", "confirmed_share"):
            if not 0 < getattr(self, name) <= 1:
                raise InvalidParameterError(f"{name} must lie above 0 and at most at 1, not {getattr(self, name)}.")


@dataclass(frozen=True)
class ChipParams:
    """How alerts are pictured; see `detector.chips`.

    Parameters
    ----------
    least_m, most_m
        Side of a chip: 640 m shows a small cut with the stands around it; what is larger than 3 km is cut off.
    days_before, days_after
        Dates of the series: from so many days before the last intact date to so many after the first low one. A year
        before shows last year's same season.
    cell_px
        Side of the squares whose alerts are read together, in pixels: a few blocks of most archives, since those at a
        square's edges are decoded for its neighbour too. A thread keeps a square's bands of one date in memory.
    least_clear_share
        Of a chip; a date with less is not shown.
    tries
        Dates that are tried for a chip, where files cannot be read.
    brightest
        Reflectance that is shown white: bare ground in sun is about 0.25.
    gamma
        Of the brightness: forest reflects 0.02 to 0.05 of red, and would be black without it.
    """

    least_m: float = 640.0
    most_m: float = 3000.0
    days_before: int = 400
    days_after: int = 400
    cell_px: int = 2048
    least_clear_share: float = 0.3
    tries: int = 3
    brightest: float = 0.25
    gamma: float = 1.8
