"""Prints how real outlines are shaped beside simulated clear-cuts: ``python -m scripts.outline_shapes GEOJSON``.

Both are laid on pixels of 10 m and measured as patches of a scan are: what the trees would be shown. Simulated ones get
the hectares of the real ones, since small patches are rounder on pixels than large ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio.features
import typer
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from shapely.geometry.base import BaseGeometry

from detector.features import patch_features
from detector.params import PatchParams
from detector.patches import find_patches
from models.causes import Cause
from models.event_outlines import QUANTILES
from models.events import EventParams, draw_shape
from tiles.change import ChangedPixels, PixelState
from tiles.grid import Grid

_SHAPE = ["rectangularity", "compactness", "elongation", "solidity", "straight_share"]
_QUANTILES = list(QUANTILES)
_SMALLEST_HA = 0.5
_GRID = Grid(CRS.from_epsg(32631), Affine(10, 0, 499_980, 0, -10, 5_000_000), (10_980, 10_980))


def shapes_of(masks: Sequence[NDArray[np.bool_]]) -> pd.DataFrame:
    """Shape features of masks on pixels of 10 m, each measured alone; one row a patch, largest of each mask."""
    return pd.concat([_shape_of(mask) for mask in masks], ignore_index=True)


def _shape_of(mask: NDArray[np.bool_]) -> pd.DataFrame:
    row, col = (index.astype(np.int32) + 5_000 for index in np.nonzero(mask))
    n, day = row.size, np.datetime64("2019-06-09", "D")
    ndvi, dates = np.full(n, 0.4, np.float32), np.full(n, 4, np.int16)
    pixels = ChangedPixels(
        row=row,
        col=col,
        state=np.full(n, PixelState.CONFIRMED, np.uint8),
        ndvi_before=2 * ndvi,
        ndvi_after=ndvi,
        ndvi_drop=ndvi,
        last_intact=np.full(n, day - 10),
        first_low=np.full(n, day),
        n_low=dates,
        n_clear_before=dates,
        n_clear_after=dates,
    )
    patches = find_patches(pixels, _GRID, PatchParams(min_area_ha=0))
    largest = max(patches, key=lambda patch: patch.area_ha)
    return patch_features([largest], pixels, _GRID)[[*_SHAPE, "area_ha"]]


def real_masks(path: Path) -> list[NDArray[np.bool_]]:
    """Masks of the parts of half a hectare or more in a file of outlines in metres: a pixel is in by its centre."""
    parts = gpd.read_file(path).to_crs(2154).explode(index_parts=False).geometry
    return [_mask(part) for part in parts if part.area >= 1e4 * _SMALLEST_HA]


def _mask(part: BaseGeometry) -> NDArray[np.bool_]:
    left, bottom, right, top = part.bounds
    shape = (int((top - bottom) // 10) + 2, int((right - left) // 10) + 2)
    place = Affine(10, 0, left - 5, 0, -10, top + 5)
    return np.asarray(rasterio.features.rasterize([part], shape, transform=place), bool)


def main(
    outlines: Annotated[Path, typer.Argument(help="Polygons of fellings; never committed.")],
    seed: Annotated[int, typer.Option(help="Of the simulated ones.")] = 1,
    times: Annotated[int, typer.Option(min=1, help="Simulated clear-cuts for each real one.")] = 40,
) -> None:
    """Print the quantiles of both."""
    real = shapes_of(real_masks(outlines))
    rng = np.random.default_rng(seed)
    areas = np.repeat(real["area_ha"].to_numpy(), times)
    drawn = [draw_shape(Cause.CLEAR_CUT, EventParams(), rng, float(area)).inside for area in areas]
    simulated = shapes_of(drawn)
    print(f"{'':26}" + "".join(f"{q:>8.0%}" for q in _QUANTILES))
    for name in _SHAPE:
        for what, table in (("real", real), ("simulated", simulated)):
            values = "".join(f"{value:8.2f}" for value in table[name].quantile(_QUANTILES))
            print(f"{name:15}{what:>10} {values}")
    print(f"{len(real)} real outlines of {real['area_ha'].min():.1f} to {real['area_ha'].max():.1f} ha")


if __name__ == "__main__":
    typer.run(main)
