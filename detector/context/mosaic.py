"""The files of a raster layer as one: tiles of one grid are read as if they were merged.

A layer may lie on several grids: Copernicus' GLO-30 has wider pixels north of 50 degrees, national models change CRS.
Each patch is looked at on one grid, that which holds most of it; what that grid lacks is filled from the others.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pyproj
import rasterio
import rasterio.transform
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.warp import reproject, transform_bounds
from rasterio.windows import Window
from rasterio.windows import transform as window_transform

from detector.outlines import Geometries, from_wgs84, place, to_wgs84
from tiles.errors import LayerError

#: Pixels that grids may be out of step and still be one: files write their corners with few decimals.
_STEP_TOLERANCE_PX = 0.01
_BLOCK_PX = 512
#: Blocks and open files that a reader keeps: 64 MB, and what a chunk meets.
_BLOCKS_KEPT = 64
_FILES_KEPT = 16


@dataclass(frozen=True)
class _File:
    """A file's place in the mosaic, in whole pixels."""

    path: Path
    row: int
    col: int
    height: int
    width: int


@dataclass(frozen=True)
class Mosaic:
    """Files on one grid.

    Parameters
    ----------
    crs, transform
        Of the grid; its origin is that of the first file. Pixels of others may have negative indices.
    files
        The preferred first.
    """

    crs: CRS
    transform: Affine
    files: tuple[_File, ...]

    @cached_property
    def places(self) -> NDArray[np.int64]:
        """First row and column of each file, and those after its last, int64 (k, 4)."""
        corners = [(file.row, file.col, file.row + file.height, file.col + file.width) for file in self.files]
        return np.array(corners, np.int64).reshape(-1, 4)

    def to_pixels(self, lonlat: Geometries) -> Geometries:
        """Outlines in WGS 84 in pixels of the grid: x is the column, y the row."""
        return place(from_wgs84(lonlat, self.crs), ~self.transform)

    def covered_px(self, bounds: NDArray[np.float64]) -> NDArray[np.float64]:
        """How many pixels of each of some bounds (n, 4), in pixels of the grid, the files hold."""
        left, top, right, bottom = bounds.T
        total = np.zeros(left.size)
        for file in self.files:
            width = np.minimum(right, file.col + file.width) - np.maximum(left, file.col)
            height = np.minimum(bottom, file.row + file.height) - np.maximum(top, file.row)
            total += np.maximum(width, 0) * np.maximum(height, 0)
        return total

    def pixel_on_ground(
        self, col: NDArray[np.float64], row: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Size of pixels in metres on the ellipsoid, and where they point to, in whatever CRS.

        Parameters
        ----------
        col, row
            float64 (n,). Places on the grid.

        Returns
        -------
        width_m, height_m
            float64 (n,). From a pixel to the next one right, and to the next one above.
        right_deg, up_deg
            float64 (n,). Their azimuths, degrees clockwise from the true north.

        References
        ----------
        C. F. F. Karney, Algorithms for geodesics, J. Geodesy 87, 43-55 (2013), doi:10.1007/s00190-012-0578-z.
        """
        a, b, c, d, e, f = self.transform[:6]
        around = []
        for d_col, d_row in ((-0.5, 0.0), (0.5, 0.0), (0.0, 0.5), (0.0, -0.5)):
            x, y = col + d_col, row + d_row
            around.append(shapely.points(a * x + b * y + c, d * x + e * y + f))
        west, east, south, north = (shapely.get_coordinates(to_wgs84(one, self.crs)).T for one in around)
        geod = pyproj.Geod(ellps="WGS84")
        right_deg, _, width_m = geod.inv(*west, *east)
        up_deg, _, height_m = geod.inv(*south, *north)
        return width_m, height_m, right_deg, up_deg


def open_mosaics(paths: Sequence[Path]) -> tuple[Mosaic, ...]:
    """Read the headers of a layer's files, and lay those of one grid together.

    Raises
    ------
    tiles.errors.LayerError
        If a file cannot be read.
    """
    grids: list[tuple[CRS, Affine, list[_File]]] = []
    with rasterio.Env():
        for path in paths:
            with _opened(path) as file:
                crs, transform, height, width = file.crs, file.transform, file.height, file.width
            for grid_crs, grid_transform, files in grids:
                step = _step(grid_transform, transform) if crs == grid_crs else None
                if step is not None:
                    files.append(_File(path, *step, height, width))
                    break
            else:
                grids.append((crs, transform, [_File(path, 0, 0, height, width)]))
    return tuple(Mosaic(crs, transform, tuple(files)) for crs, transform, files in grids)


def _step(grid: Affine, other: Affine) -> tuple[int, int] | None:
    """Whole (rows, columns) from the origin of a grid to another's; None where the two are out of step."""
    # Over a hundred thousand pixels, sizes that differ by less than this stay in step.
    if not np.allclose(grid[:2] + grid[3:5], other[:2] + other[3:5], rtol=1e-9, atol=0):
        return None
    a, b, c, d, e, f = (~grid)[:6]
    col, row = a * other.c + b * other.f + c, d * other.c + e * other.f + f
    if max(abs(col - round(col)), abs(row - round(row))) > _STEP_TOLERANCE_PX:
        return None
    return round(row), round(col)


def _opened(path: Path) -> DatasetReader:
    try:
        file = rasterio.open(path)
    except RasterioError as error:
        raise LayerError(f"The raster {path} cannot be opened ({error}): run `sylvigie layers check`.") from error
    if file.crs is None:
        file.close()
        raise LayerError(f"The raster {path} has no coordinate system: run `sylvigie layers check`.")
    return file


class MosaicReader:
    """Reads windows of mosaics, and keeps blocks: neighbours among the patches ask for the same ones.

    Parameters
    ----------
    mosaics
        The grids of one layer.
    """

    def __init__(self, mosaics: Sequence[Mosaic]) -> None:
        self._mosaics = mosaics
        self._blocks: OrderedDict[tuple[Path, int, int], NDArray[np.float32]] = OrderedDict()
        self._files: OrderedDict[Path, DatasetReader] = OrderedDict()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()
        self._files.clear()
        self._blocks.clear()

    def read(self, mosaic: Mosaic, row: int, col: int, rows: int, cols: int) -> NDArray[np.float32]:
        """A window of one grid, float32 (rows, cols); NaN where no grid has data.

        Raises
        ------
        tiles.errors.LayerError
            If a file cannot be read.
        """
        window = self._of_one(mosaic, row, col, rows, cols)
        missing = np.isnan(window)
        for other in self._mosaics:
            if other is mosaic or not missing.any():
                continue
            filled = self._from_other(other, mosaic, row, col, rows, cols)
            window[missing] = filled[missing]
            missing = np.isnan(window)
        return window

    def _of_one(self, mosaic: Mosaic, row: int, col: int, rows: int, cols: int) -> NDArray[np.float32]:
        window = np.full((rows, cols), np.nan, np.float32)
        first_row, first_col, row_after, col_after = mosaic.places.T
        met = (first_row < row + rows) & (row_after > row) & (first_col < col + cols) & (col_after > col)
        for index in np.flatnonzero(met):
            file = mosaic.files[index]
            top, left = max(row, file.row), max(col, file.col)
            bottom, right = min(row + rows, file.row + file.height), min(col + cols, file.col + file.width)
            for block_row in range((top - file.row) // _BLOCK_PX, (bottom - file.row - 1) // _BLOCK_PX + 1):
                for block_col in range((left - file.col) // _BLOCK_PX, (right - file.col - 1) // _BLOCK_PX + 1):
                    block = self._block(file, block_row, block_col)
                    _paste(block, file.row + block_row * _BLOCK_PX, file.col + block_col * _BLOCK_PX, window, row, col)
        return window

    def _from_other(
        self, other: Mosaic, mosaic: Mosaic, row: int, col: int, rows: int, cols: int
    ) -> NDArray[np.float32]:
        """The window filled from another grid, bilinearly between its pixels."""
        transform = window_transform(Window(col, row, cols, rows), mosaic.transform)
        corners = rasterio.transform.array_bounds(rows, cols, transform)
        left, bottom, right, top = transform_bounds(mosaic.crs, other.crs, *corners)
        (outline,) = place(np.array([shapely.box(left, bottom, right, top)], object), ~other.transform)
        min_col, min_row, max_col, max_row = (int(value) for value in np.floor(outline.bounds))
        bounds = np.array([[min_col - 2.0, min_row - 2.0, max_col + 3.0, max_row + 3.0]])
        filled = np.full((rows, cols), np.nan, np.float32)
        if not other.covered_px(bounds).any():
            return filled
        source = self._of_one(other, min_row - 2, min_col - 2, max_row - min_row + 5, max_col - min_col + 5)
        reproject(
            source,
            filled,
            src_transform=window_transform(Window(min_col - 2, min_row - 2, 1, 1), other.transform),
            src_crs=other.crs,
            dst_transform=transform,
            dst_crs=mosaic.crs,
            src_nodata=np.nan,
            dst_nodata=np.nan,
            resampling=Resampling.bilinear,
        )
        return filled

    def _block(self, file: _File, block_row: int, block_col: int) -> NDArray[np.float32]:
        key = (file.path, block_row, block_col)
        if key in self._blocks:
            self._blocks.move_to_end(key)
            return self._blocks[key]
        top, left = block_row * _BLOCK_PX, block_col * _BLOCK_PX
        window = Window(left, top, min(_BLOCK_PX, file.width - left), min(_BLOCK_PX, file.height - top))
        dataset = self._dataset(file.path)
        try:
            values = dataset.read(1, window=window, masked=True)
        except RasterioError as error:
            raise LayerError(
                f"The raster {file.path} cannot be read ({error}): run `sylvigie layers check`."
            ) from error
        scale, offset = dataset.scales[0], dataset.offsets[0]
        block = np.ma.filled(values.astype(np.float32), np.nan)
        if (scale, offset) != (1, 0):
            block = (block * scale + offset).astype(np.float32)
        self._blocks[key] = block
        if len(self._blocks) > _BLOCKS_KEPT:
            self._blocks.popitem(last=False)
        return block

    def _dataset(self, path: Path) -> DatasetReader:
        if path not in self._files:
            self._files[path] = _opened(path)
            if len(self._files) > _FILES_KEPT:
                self._files.popitem(last=False)[1].close()
        self._files.move_to_end(path)
        return self._files[path]


def _paste(
    block: NDArray[np.float32], block_row: int, block_col: int, window: NDArray[np.float32], row: int, col: int
) -> None:
    """Lay a block into a window where that has no data yet."""
    top, left = max(row, block_row), max(col, block_col)
    bottom = min(row + window.shape[0], block_row + block.shape[0])
    right = min(col + window.shape[1], block_col + block.shape[1])
    if top >= bottom or left >= right:
        return
    part = window[top - row : bottom - row, left - col : right - col]
    new = block[top - block_row : bottom - block_row, left - block_col : right - block_col]
    np.copyto(part, new, where=np.isnan(part))
