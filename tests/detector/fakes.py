"""Change maps drawn by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from tiles.change import ChangedPixels, PixelState
from tiles.grid import Grid

#: Near the central meridian of UTM zone 31 (x = 500 000), in the Massif central.
UTM = Grid(CRS.from_epsg(32631), Affine(10, 0, 499_000, 0, -10, 5_000_000), (200, 200))
#: ETRS89-LAEA: equal in area, so that hectares are known by counting.
LAEA = Grid(CRS.from_epsg(3035), Affine(10, 0, 3_800_000, 0, -10, 2_500_000), (200, 200))

LAST_INTACT = np.datetime64("2019-05-20", "D")
FIRST_LOW = np.datetime64("2019-06-09", "D")

#: The alert's properties: as the design lists them, then what tracking adds.
FIELDS = [
    "tile",
    "first_detected",
    "last_intact",
    "first_low",
    "state",
    "area_ha",
    "ndvi_before",
    "ndvi_after",
    "ndvi_drop",
    "n_clear_before",
    "n_clear_after",
    "clearcut_probability",
    "abuse_score",
    "potentially_abusive",
    "criteria",
    "legal_points",
    "evidence",
    "reasons",
    "cause",
    "cause_reasons",
    "commune_insee",
    "commune",
    "communes",
    "departement",
    "departement_name",
    "region",
    "region_name",
    "forest_type",
    "forest_shares",
    "essence",
    "tree_cover_pct",
    "elevation_m",
    "slope_mean_pct",
    "slope_max_pct",
    "slope_block_ha",
    "aspect_deg",
    "natura2000_ha",
    "zoning_ha",
    "zonings",
    "nearest_zone",
    "nearest_cut_m",
    "cut_100m_1y_ha",
    "cut_100m_5y_ha",
    "watercourse_m",
    "burnt_ha",
    "storm_ha",
    "fires",
    "storms",
    "property_ha",
    "review",
    "scenes_before",
    "scenes_after",
    "model_version",
    "rules_version",
    "tiles",
    "status",
    "updated",
    "closed_on",
    "closed_reason",
    "merged_into",
]


def draw(*lines: str) -> NDArray[np.bool_]:
    """A mask from a drawing: `#` is changed."""
    return np.array([[character == "#" for character in line] for line in lines])


def changed(
    mask: NDArray[Any],
    row: int = 0,
    col: int = 0,
    drop: Any = 0.4,
    state: Any = PixelState.CONFIRMED,
    **columns: Any,
) -> ChangedPixels:
    """Changed pixels where `mask` is true, with its upper-left corner at (row, col).

    `drop`, `state` and other columns are scalars or arrays of the mask's shape.
    """
    where = np.nonzero(mask)

    def column(value: Any, dtype: str) -> NDArray[Any]:
        return np.broadcast_to(np.asarray(value, dtype), mask.shape)[where].copy()

    defaults: dict[str, Any] = {
        "ndvi_before": 0.8,
        "ndvi_after": 0.4,
        "last_intact": LAST_INTACT,
        "first_low": FIRST_LOW,
        "n_low": 3,
        "n_clear_before": 12,
        "n_clear_after": 4,
    }
    values = defaults | columns
    return ChangedPixels(
        row=(where[0] + row).astype(np.int32),
        col=(where[1] + col).astype(np.int32),
        state=column(state, "uint8"),
        ndvi_drop=column(drop, "float32"),
        ndvi_before=column(values["ndvi_before"], "float32"),
        ndvi_after=column(values["ndvi_after"], "float32"),
        last_intact=column(values["last_intact"], "datetime64[D]"),
        first_low=column(values["first_low"], "datetime64[D]"),
        n_low=column(values["n_low"], "int16"),
        n_clear_before=column(values["n_clear_before"], "int16"),
        n_clear_after=column(values["n_clear_after"], "int16"),
    )


def blob(seed: int, size: int = 40) -> NDArray[np.bool_]:
    """An irregular mask: a few discs, bars and specks."""
    rng = np.random.default_rng(seed)
    yy, xx = np.mgrid[0:size, 0:size]
    mask = np.zeros((size, size), bool)
    for y, x, radius in zip(*rng.uniform(8, size - 8, (2, 4)), rng.uniform(2, 8, 4), strict=True):
        mask |= (yy - y) ** 2 + (xx - x) ** 2 < radius**2
    mask[rng.random((size, size)) < 0.05] ^= True
    mask[[0, -1]] = mask[:, [0, -1]] = False
    return mask


def merged(tables: Sequence[ChangedPixels]) -> ChangedPixels:
    """One table of several, sorted row-major."""
    columns = {
        name: np.concatenate([getattr(table, name) for table in tables]) for name in ChangedPixels.__dataclass_fields__
    }
    order = np.lexsort((columns["col"], columns["row"]))
    return ChangedPixels(**{name: values[order] for name, values in columns.items()})
