"""What measuring the patches costs beside their scan: SIMULATED patches, as many as a bad month of a whole tile has."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from detector.features import patch_features
from detector.params import PatchParams
from detector.patches import find_patches
from detector.surroundings import edges_of, look_around
from scripts.bench_figures import BenchParams, Figure, take_turns
from scripts.bench_scan import Nowhere, Tile, simulated_archive
from tiles.change import BLOCK_PX, ChangedPixels, PixelState
from tiles.grid import Grid
from tiles.reader import GDAL_OPTIONS, RasterioReader

_SEED = 20
_TILE_PX, _TILE_PATCHES = 10_980, 10_000


def bench_features(params: BenchParams) -> Iterator[Figure]:
    """Time of the feature table beside that of the scan's engine on a tile of the same size, in turns."""
    rng = np.random.default_rng(_SEED)
    n_patches = round(_TILE_PATCHES * (params.size_px / _TILE_PX) ** 2)
    size = (params.size_px, params.size_px)
    grid = Grid(CRS.from_epsg(32631), Affine(10, 0, 499_980, 0, -10, 5_000_000), size)
    state = _state(n_patches, size, rng)
    pixels = _changed(state, rng)
    archive = simulated_archive(params, params.size_px - params.size_px % 2)
    with tempfile.TemporaryDirectory(dir=params.work) as folder, rasterio.Env(**GDAL_OPTIONS):
        path = _written(Path(folder) / "state.tif", state, grid)
        patches = find_patches(pixels, grid, PatchParams())
        tile = Tile.open(archive)
        # The first call compiles.
        patch_features(patches[:1], pixels, grid, path)
        seconds = take_turns(
            params.repeats,
            {
                "scan": lambda: tile.scan(RasterioReader(), Nowhere()),
                "table": lambda: patch_features(patches, pixels, grid, path),
                "rings": lambda: look_around(patches, grid, path),
                "edges": lambda: edges_of(patches, pixels),
            },
        )
    told = f"{len(patches)} SIMULATED patches of {pixels.row.size} pixels, {params.size_px} px, {params.dates} dates"
    share = median(table / scan for table, scan in zip(seconds["table"], seconds["scan"], strict=True))
    yield Figure("features", "feature table / the engine's time of a scan", share, at_most=0.1, note=told)
    for name in ("scan", "table", "rings", "edges"):
        yield Figure("features", f"  {name}", median(seconds[name]), "s")


def _state(n_patches: int, size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A state map with ellipses of 0.6 to 20 ha apart from each other, on forest, open and unseen ground in blocks."""
    coarse = rng.choice([PixelState.NOT_FOREST, PixelState.INTACT, PixelState.UNOBSERVED], (size[0] // 30 + 1,) * 2)
    blocks = coarse.astype(np.uint8).repeat(30, axis=0).repeat(30, axis=1)
    state: NDArray[np.uint8] = np.ascontiguousarray(blocks[: size[0], : size[1]])
    laid = 0
    while laid < n_patches:
        # Semi-axes in pixels; areas spread evenly over their logarithm.
        long = np.sqrt(np.exp(rng.uniform(np.log(60), np.log(2_000))) / np.pi) * 1.4
        short, reach = long / 2, int(long) + 1
        row, col = rng.integers(reach, size[0] - reach, 2)
        y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
        turn = rng.uniform(0, np.pi)
        along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
        inside = (along / long) ** 2 + (across / short) ** 2 <= 1
        box = state[row - reach : row + reach + 1, col - reach : col + reach + 1]
        if not (box == PixelState.CONFIRMED).any():
            box[inside] = PixelState.CONFIRMED
            laid += 1
    return state


def _changed(state: NDArray[np.uint8], rng: np.random.Generator) -> ChangedPixels:
    row, col = (index.astype(np.int32) for index in np.nonzero(state == PixelState.CONFIRMED))
    n = row.size
    before, after = rng.normal(0.8, 0.03, n).astype(np.float32), rng.normal(0.4, 0.05, n).astype(np.float32)
    first_low = np.datetime64("2019-06-09", "D") + 10 * rng.integers(0, 2, n)
    return ChangedPixels(
        row=row,
        col=col,
        state=state[row, col],
        ndvi_before=before,
        ndvi_after=after,
        ndvi_drop=before - after,
        last_intact=first_low - 10,
        first_low=first_low,
        n_low=np.full(n, 3, np.int16),
        n_clear_before=rng.integers(9, 14, n).astype(np.int16),
        n_clear_after=rng.integers(3, 6, n).astype(np.int16),
    )


def _written(path: Path, state: NDArray[np.uint8], grid: Grid) -> Path:
    kept = {"crs": grid.crs, "transform": grid.transform, "tiled": True, "blockxsize": BLOCK_PX, "blockysize": BLOCK_PX}
    rows, cols = state.shape
    with rasterio.open(path, "w", "GTiff", cols, rows, 1, dtype="uint8", compress="deflate", **kept) as raster:
        raster.write(state, 1)
    return path
