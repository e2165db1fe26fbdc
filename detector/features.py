"""What is measured of each patch, for the classifier and for people: definitions, and one function."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from detector.cause.evidence import Evidence
from detector.kernels import mask_moments
from detector.outlines import measure, to_wgs84
from detector.patches import Patch
from detector.pixel_groups import PixelGroups, date_patches, dates_of, days_of
from detector.surroundings import RING_M, PatchMasks, Rings, edges_of, look_around
from tiles.change import ChangedPixels, PixelState
from tiles.grid import Grid


@dataclass(frozen=True)
class Feature:
    """Definition of one column of the feature table.

    Parameters
    ----------
    name
        Column.
    unit
        Unit, "1" for a ratio or an index.
    range
        Smallest and largest value that the definition allows; None where there is no bound.
    meaning
        What it is, over what.
    source
        What it is computed from.
    """

    name: str
    unit: str
    range: tuple[float | None, float | None]
    meaning: str
    source: str


_CHANGE = "change map"
_RING = f"state map within {RING_M:.0f} m around the patch"
_INFRARED = "B8A, B11, B12 around the patch"
_MASK = "patch mask, holes filled"
_OUTLINE = "simplified outline"

BARE_NDVI = 0.3
"""NDVI below which ground counts as bare: above bare soil's 0.2 (Sobrino et al. 2004, doi:10.1016/j.rse.2004.02.003),
since slash and first grasses cover a felled plot within weeks."""

STRAIGHT_M = 60.0
"""Length from which a piece of outline counts as straight: six pixels, what the steps of a slanted or a curved edge do
not reach after the outline was simplified."""

_MONTH_DAYS = 365.25 / 12

#: The feature table's columns, in order. "Pixels" are the patch's changed pixels, not the holes filled in.
FEATURES: tuple[Feature, ...] = (
    Feature("ndvi_drop_mean", "1", (0, 2), "Mean NDVI lost over the pixels", _CHANGE),
    Feature("ndvi_drop_max", "1", (0, 2), "Largest NDVI lost by a pixel", _CHANGE),
    Feature("ndvi_drop_std", "1", (0, 1), "Population standard deviation of the NDVI lost", _CHANGE),
    Feature("ndvi_before_mean", "1", (-1, 1), "Mean NDVI expected of the intact forest", _CHANGE),
    Feature("ndvi_after_mean", "1", (-1, 1), "Mean NDVI since the loss", _CHANGE),
    Feature("seed_share", "1", (0, 1), "Share of the pixels that lost the seed's drop or more", _CHANGE),
    Feature("n_low_mean", "observations", (0, None), "Mean number of low observations since the loss", _CHANGE),
    Feature(
        "n_clear_before",
        "observations",
        (0, None),
        "Mean number of clear observations before the loss",
        _CHANGE,
    ),
    Feature(
        "n_clear_after",
        "observations",
        (0, None),
        "Mean number of clear observations since the loss",
        _CHANGE,
    ),
    Feature(
        "dating_interval_days",
        "days",
        (1, None),
        "From the patch's last intact to its first low date",
        _CHANGE,
    ),
    Feature(
        "first_low_spread_days",
        "days",
        (0, None),
        "First low dates, 10th to 90th percentile of pixels",
        _CHANGE,
    ),
    Feature("first_low_doy", "day of year", (1, 366), "Median first low date, 1 on 1 January", _CHANGE),
    Feature("area_ha", "ha", (0, None), "Geodesic area, holes filled", "pixel-edge polygon"),
    Feature("perimeter_m", "m", (0, None), "Geodesic length of the boundary", _OUTLINE),
    Feature("compactness", "1", (0, 1), "Polsby-Popper, 4 pi area / perimeter^2: 1 for a disc", _OUTLINE),
    Feature(
        "elongation",
        "1",
        (0, 1),
        "1 - minor/major axis of the ellipse of equal second moments: 0 if round",
        _MASK,
    ),
    Feature("rectangularity", "1", (0, 1), "Area over that of the smallest rotated rectangle around", _OUTLINE),
    Feature("solidity", "1", (0, 1), "Area over that of the convex hull", _OUTLINE),
    Feature("n_holes", "holes", (0, None), "Holes before they were filled", "patch mask"),
    Feature("filled_share", "1", (0, 1), "Share of the area that is no changed pixel but a hole filled", _MASK),
    Feature("confirmed_share", "1", (0, 1), "Share of the pixels that are confirmed", _CHANGE),
    Feature("ndvi_before_std", "1", (0, 1), "Population standard deviation of the NDVI before", _CHANGE),
    Feature("ndvi_after_std", "1", (0, 1), "Population standard deviation of the NDVI since the loss", _CHANGE),
    Feature("bare_share", "1", (0, 1), f"Share of the pixels whose NDVI since the loss is below {BARE_NDVI}", _CHANGE),
    Feature("low_share", "1", (0, 1), "Low among the clear observations since the loss: 1 without recovery", _CHANGE),
    Feature(
        "clear_dates_a_month",
        "observations/month",
        (0, None),
        "Clear observations since the loss, over the months from the first low date to the scan's last day",
        _CHANGE,
    ),
    Feature("first_low_sin", "1", (-1, 1), "Sine of the first low date's angle in the year, 0 on 1 January", _CHANGE),
    Feature("first_low_cos", "1", (-1, 1), "Cosine of that angle, 1 on 1 January", _CHANGE),
    Feature("n_clear_before_std", "observations", (0, None), "Spread over the pixels: standard deviation", _CHANGE),
    Feature(
        "straight_share",
        "1",
        (0, 1),
        f"Share of the outline's length in straight pieces of {STRAIGHT_M:.0f} m or more",
        _OUTLINE,
    ),
    Feature(
        "edge_core_drop",
        "1",
        (-2, 2),
        "Mean NDVI lost by the edge's pixels less the others'; unknown of a patch that is all edge",
        _CHANGE,
    ),
    Feature("ring_intact_share", "1", (0, 1), "Share of the ring that is intact forest", _RING),
    Feature("ring_not_forest_share", "1", (0, 1), "Share of the ring that is no watched forest", _RING),
    Feature("ring_changed_share", "1", (0, 1), "Share of the ring that changed as well", _RING),
    Feature("ring_unobserved_share", "1", (0, 1), "Share of the ring that was not observed in the month", _RING),
    Feature("n_neighbours", "patches", (0, None), "Other patches of the scan that the ring touches", _RING),
    Feature("neighbours_ha", "ha", (0, None), "Their area, whole", _RING),
    Feature("nir_after", "1", (None, None), "Reflectance of B8A after the loss", _INFRARED),
    Feature("swir16_after", "1", (None, None), "Reflectance of B11 after the loss", _INFRARED),
    Feature("swir22_after", "1", (None, None), "Reflectance of B12 after the loss", _INFRARED),
    Feature("nir_kept", "1", (None, None), "B8A after over before, beside the intact forest around", _INFRARED),
    Feature("swir16_kept", "1", (None, None), "B11 after over before, beside the intact forest around", _INFRARED),
    Feature("ndmi_after", "1", (None, None), "NDMI (B8A, B11) after the loss", _INFRARED),
    Feature("ndmi_change", "1", (None, None), "NDMI after less before, beside the intact forest around", _INFRARED),
    Feature("nbr_after", "1", (None, None), "NBR (B8A, B12) after the loss", _INFRARED),
    Feature("nbr_change", "1", (None, None), "NBR after less before, beside the intact forest around", _INFRARED),
    Feature("ndmi_drift", "1", (None, None), "NDMI's change in the year before the loss, beside the forest", _INFRARED),
    Feature("ndmi_apart_earlier", "1", (None, None), "NDMI less the forest's, a year before the loss", _INFRARED),
)

SHAPE_FEATURES = (
    "perimeter_m",
    "compactness",
    "elongation",
    "rectangularity",
    "solidity",
    "straight_share",
    "n_holes",
    "filled_share",
)
"""Columns that tell of a patch's outline, not of what it shows."""

INFRARED_FEATURES = tuple(feature.name for feature in FEATURES if feature.source == _INFRARED)
"""Columns that `with_evidence` fills in."""

RING_FEATURES = tuple(feature.name for feature in FEATURES if feature.source == _RING)
"""Columns that need the state map."""


def patch_features(
    patches: Sequence[Patch],
    pixels: ChangedPixels,
    grid: Grid,
    state: Path | None = None,
    last_day: dt.date | None = None,
) -> pd.DataFrame:
    """Measure the patches of one tile.

    Parameters
    ----------
    patches
        Patches, as `detector.patches.find_patches` found them in `pixels`.
    pixels
        The tile's changed pixels.
    grid
        The tile's grid.
    state
        The tile's state map; without it what lies around the patches is unknown.
    last_day
        Of the scanned month; without it how often the ground was seen since the loss is unknown.

    Returns
    -------
    features
        One row a patch, in their order; the columns of `FEATURES`, float64, NaN where unknown.
    """
    groups = PixelGroups([patch.pixels for patch in patches])
    columns = _spectral(patches, pixels, groups) | _temporal(patches, pixels, groups, last_day) | _shape(patches, grid)
    columns |= dict.fromkeys(RING_FEATURES + INFRARED_FEATURES, np.full(len(patches), np.nan))
    if state is not None:
        columns |= _around(look_around(patches, grid, state))
    return pd.DataFrame({feature.name: columns[feature.name] for feature in FEATURES}, dtype=np.float64)


def with_evidence(features: pd.DataFrame, evidence: Sequence[Evidence]) -> pd.DataFrame:
    """Features with what the infrared shows.

    Parameters
    ----------
    features
        Of `patch_features`, whose infrared is unknown.
    evidence
        Of the same patches.
    """
    seen = {name: [getattr(one, name) for one in evidence] for name in INFRARED_FEATURES}
    return features.assign(**{name: np.array(values, np.float64) for name, values in seen.items()})


def _spectral(patches: Sequence[Patch], pixels: ChangedPixels, groups: PixelGroups) -> dict[str, NDArray[np.float64]]:
    drop = pixels.ndvi_drop
    drop_mean, drop_std, drop_max = groups.moments(drop)
    before_mean, before_std, _ = groups.moments(pixels.ndvi_before)
    after_mean, after_std, _ = groups.moments(pixels.ndvi_after)
    edge = edges_of(patches, pixels)
    unknown = np.float32(np.nan)
    n_seeds = np.array([patch.n_seeds for patch in patches], np.float64)
    n_pixels = np.array([patch.pixels.size for patch in patches], np.float64)
    return {
        "ndvi_drop_mean": drop_mean,
        "ndvi_drop_max": drop_max,
        "ndvi_drop_std": drop_std,
        "ndvi_before_mean": before_mean,
        "ndvi_after_mean": after_mean,
        "ndvi_before_std": before_std,
        "ndvi_after_std": after_std,
        "bare_share": groups.mean(_below(pixels.ndvi_after, BARE_NDVI)),
        "edge_core_drop": groups.mean(np.where(edge, drop, unknown)) - groups.mean(np.where(edge, unknown, drop)),
        "seed_share": n_seeds / n_pixels,
        "confirmed_share": groups.mean((pixels.state == PixelState.CONFIRMED).view(np.uint8)),
    }


def _temporal(
    patches: Sequence[Patch], pixels: ChangedPixels, groups: PixelGroups, last_day: dt.date | None
) -> dict[str, NDArray[np.float64]]:
    last_intact, first_low = (days_of(dates) for dates in date_patches(patches, pixels, groups))
    early, late = groups.day_quantiles(pixels.first_low, 0.1, 0.9)
    year = dates_of(first_low).astype("datetime64[Y]")
    new_year, next_year = (days_of(one.astype("datetime64[D]")) for one in (year, year + 1))
    angle = 2 * np.pi * (first_low - new_year) / (next_year - new_year)
    n_after = pixels.n_clear_after
    low_share = np.full(n_after.size, np.nan)
    np.divide(pixels.n_low, n_after, out=low_share, where=n_after > 0)
    before_mean, before_std, _ = groups.moments(pixels.n_clear_before)
    after_mean = groups.mean(n_after)
    end = np.datetime64(last_day or "NaT", "D")
    months = (days_of(np.full(len(patches), end)) - first_low + 1) / _MONTH_DAYS
    return {
        "n_low_mean": groups.mean(pixels.n_low),
        "n_clear_before": before_mean,
        "n_clear_after": after_mean,
        "clear_dates_a_month": after_mean / months,
        "n_clear_before_std": before_std,
        "low_share": groups.mean(low_share),
        "first_low_sin": np.sin(angle),
        "first_low_cos": np.cos(angle),
        "dating_interval_days": first_low - last_intact,
        "first_low_spread_days": late - early,
        "first_low_doy": first_low - new_year + 1,
    }


def _around(rings: Rings) -> dict[str, NDArray[np.float64]]:
    known = rings.counts.sum(axis=1)
    share = np.full(rings.counts.shape, np.nan)
    np.divide(rings.counts, known[:, np.newaxis], out=share, where=known[:, np.newaxis] > 0)
    return {
        "ring_intact_share": share[:, PixelState.INTACT],
        "ring_not_forest_share": share[:, PixelState.NOT_FOREST],
        "ring_changed_share": share[:, PixelState.PROVISIONAL] + share[:, PixelState.CONFIRMED],
        "ring_unobserved_share": share[:, PixelState.UNOBSERVED],
        "n_neighbours": rings.n_others.astype(np.float64),
        "neighbours_ha": rings.others_ha,
    }


def _shape(patches: Sequence[Patch], grid: Grid) -> dict[str, NDArray[np.float64]]:
    outline = np.empty(len(patches), object)
    outline[:] = [patch.outline for patch in patches]
    outline_ha, perimeter_m = measure(to_wgs84(outline, grid.crs))
    area, hull = shapely.area(outline), shapely.convex_hull(outline)
    n_pixels = np.array([patch.pixels.size for patch in patches], np.float64)
    ground_px = np.array([np.count_nonzero(patch.mask) for patch in patches], np.float64)
    return {
        "area_ha": np.array([patch.area_ha for patch in patches], np.float64),
        "perimeter_m": perimeter_m,
        "compactness": 4 * np.pi * outline_ha * 1e4 / perimeter_m**2,
        "straight_share": straight_share(outline),
        "elongation": _elongation(patches),
        # Convex hull and smallest rectangle of a vector outline: exact, and a hundred times faster than of a
        # mask.
        "rectangularity": area / shapely.area(shapely.oriented_envelope(hull)),
        "solidity": area / shapely.area(hull),
        "n_holes": np.array([patch.n_holes for patch in patches], np.float64),
        "filled_share": 1 - n_pixels / ground_px,
    }


def _elongation(patches: Sequence[Patch]) -> NDArray[np.float64]:
    """1 - minor/major axis, from the second moments of the masks."""
    packed = PatchMasks.of(patches)
    count, sums = mask_moments(packed.masks, packed.starts, packed.boxes)
    row, col, row_row, col_col, row_col = (sums / count[:, np.newaxis]).T
    # A pixel is a unit square, not a point: each axis carries its own variance of 1/12.
    rows, cols = row_row - row**2 + 1 / 12, col_col - col**2 + 1 / 12
    both = row_col - row * col
    middle, half = (rows + cols) / 2, np.hypot((rows - cols) / 2, both)
    return np.asarray(1 - np.sqrt((middle - half) / (middle + half)))


def _below(values: NDArray[np.float32], threshold: float) -> NDArray[np.float32]:
    """1 below the threshold, 0 from it on, NaN where unknown."""
    return np.where(np.isnan(values), np.float32(np.nan), (values < threshold).astype(np.float32))


def straight_share(outline: NDArray[np.object_], at_least_m: float = STRAIGHT_M) -> NDArray[np.float64]:
    """Share of the length of outlines that lies in long straight pieces: parcels have them, fire and storms do not.

    Parameters
    ----------
    outline
        Polygons or MultiPolygons (n,), simplified, in metres.
    at_least_m
        From which length on a piece counts.

    Returns
    -------
    share
        float64 (n,), 0 to 1.
    """
    parts, of_part = shapely.get_parts(outline, return_index=True)
    rings, of_ring = shapely.get_rings(parts, return_index=True)
    corners, ring = shapely.get_coordinates(rings, return_index=True)
    length_m = np.hypot(*np.diff(corners, axis=0).T)
    inside = ring[1:] == ring[:-1]
    length_m, owner = length_m[inside], of_part[of_ring[ring[1:][inside]]]
    long = np.where(length_m >= at_least_m, length_m, 0.0)
    total_m = np.bincount(owner, length_m, minlength=outline.size)
    return np.asarray(np.bincount(owner, long, minlength=outline.size) / total_m)
