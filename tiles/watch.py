"""Which pixels are watched: forest, inside the area of interest."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
import rasterio.features
import shapely
from numpy.typing import NDArray
from rasterio.enums import MaskFlags, Resampling
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from tiles.errors import AreaError, OutputError
from tiles.grid import Grid

_STRAIGHT_M, _STRAIGHT_DEG = 1000.0, 0.01
"""Longest piece of an outline that is taken to another CRS by its ends alone: over a kilometre, a line that is straight
in one is off by 2 cm in the other; over a hundred, by 200 m."""

_BLOCK_PX = 512
"""Side of a block of a written mask."""

_MARGIN_DEG = 0.1
"""Degrees around a grid within which polygons are kept."""


@dataclass(frozen=True)
class WatchedArea:
    """Forest mask and area of interest of a scan; either may be absent.

    Parameters
    ----------
    forest_raster
        Raster whose non-zero pixels are forest (no data is not).
    forest, area
        Polygons, in WGS 84.
    """

    forest_raster: Path | None = None
    forest: gpd.GeoSeries | None = None
    area: gpd.GeoSeries | None = None

    @classmethod
    def open(cls, forest_mask: Path | None, aoi: Path | None) -> WatchedArea:
        """Read what the user gave: a raster or polygons for the forest, polygons for the area.

        Raises
        ------
        AreaError
            When a file cannot be read, is empty, or is of the wrong kind.
        """
        area = None if aoi is None else _read_polygons(aoi, "area of interest")
        if forest_mask is None:
            return cls(area=area)
        try:
            with rasterio.open(forest_mask) as dataset:
                if dataset.crs is None:
                    raise AreaError(f"The forest mask {forest_mask} has no CRS: give one to the file.")
            return cls(forest_raster=forest_mask, area=area)
        except RasterioError:
            return cls(forest=_read_polygons(forest_mask, "forest mask"), area=area)

    def bbox(self) -> tuple[float, float, float, float] | None:
        """West, south, east, north of the area of interest in degrees; None without one."""
        if self.area is None:
            return None
        west, south, east, north = self.area.total_bounds
        return float(west), float(south), float(east), float(north)

    def on(self, grid: Grid) -> WatchedPixels:
        """Make ready to ask for windows of a grid."""
        return WatchedPixels(
            grid,
            self.forest_raster,
            None if self.forest is None else _around(self.forest, grid),
            None if self.area is None else _around(self.area, grid),
        )


class WatchedPixels:
    """Forest and watched pixels of one grid, window by window."""

    def __init__(
        self, grid: Grid, forest_raster: Path | None, forest: list[Any] | None, area: list[Any] | None
    ) -> None:
        self._grid = grid
        self._forest_raster = forest_raster
        self._on_grid: DatasetReader | WarpedVRT | None = None
        self._forest = None if forest is None else shapely.STRtree(forest)
        self._area = None if area is None else shapely.STRtree(area)

    def masks(self, window: Window) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which pixels of a window are forest, and which of these lie in the area of interest.

        Both are of the window's shape; without a mask all is forest, without an area all of it is of interest. What a
        date is worth is measured on the forest around, whatever part of it is asked for. Where the area does not
        reach, forest is not looked for: both are False.
        """
        shape = (window.height, window.width)
        inside = np.ones(shape, bool) if self._area is None else self._inside(self._area, window)
        if not inside.any():
            return inside, inside
        forest = np.ones(shape, bool) if self._forest is None else self._inside(self._forest, window)
        if self._forest_raster is not None:
            forest &= self._forest_pixels(window)
        return forest, forest & inside

    def _inside(self, polygons: shapely.STRtree, window: Window) -> NDArray[np.bool_]:
        found = polygons.query(shapely.box(*self._grid.window_bounds(window)))
        if found.size == 0:
            return np.zeros((window.height, window.width), bool)
        burnt = rasterio.features.rasterize(
            polygons.geometries[np.sort(found)],
            out_shape=(window.height, window.width),
            transform=self._grid.window_transform(window),
            dtype=np.uint8,
        )
        return np.asarray(burnt == 1)

    def _forest_pixels(self, window: Window) -> NDArray[np.bool_]:
        try:
            raster = self._forest_on_grid()
            forest = raster.read(1, window=window) != 0
            if MaskFlags.all_valid not in raster.mask_flag_enums[0]:
                forest &= raster.read_masks(1, window=window) != 0
        except RasterioError as error:
            raise AreaError(f"The forest mask {self._forest_raster} cannot be read ({error}).") from error
        return np.asarray(forest)

    def _forest_on_grid(self) -> DatasetReader | WarpedVRT:
        """The forest raster as seen on the grid, opened once; 0 or masked where it does not reach."""
        if self._on_grid is None:
            rows, cols = self._grid.shape
            dataset = rasterio.open(self._forest_raster)
            same = self._grid.same_as(Grid(dataset.crs, dataset.transform, dataset.shape))
            self._on_grid = (
                dataset
                if same
                else WarpedVRT(
                    dataset,
                    crs=self._grid.crs,
                    transform=self._grid.transform,
                    width=cols,
                    height=rows,
                    resampling=Resampling.nearest,
                )
            )
        return self._on_grid


def mask_profile(grid: Grid) -> dict[str, Any]:
    """How a mask of a grid is written, for `rasterio.open`."""
    rows, cols = grid.shape
    return {
        "driver": "GTiff",
        "width": cols,
        "height": rows,
        "count": 1,
        "dtype": "uint8",
        "crs": grid.crs,
        "transform": grid.transform,
        "tiled": True,
        "blockxsize": _BLOCK_PX,
        "blockysize": _BLOCK_PX,
        "compress": "DEFLATE",
    }


def write_forest(watched: WatchedPixels, grid: Grid, path: Path) -> None:
    """Write which pixels of a grid are watched, as a raster of bits that can be opened as a forest mask again.

    Raises
    ------
    OutputError
        When the disk does not take it.
    """
    try:
        written = 0
        with rasterio.open(path, "w", **mask_profile(grid), nbits=1) as raster:
            for window in grid.windows(_BLOCK_PX):
                forest = watched.masks(window)[1].astype(np.uint8)
                written = zlib.crc32(forest.tobytes(), written)
                raster.write(forest, 1, window=window)
        # What a full disk does not take when the file is closed, GDAL keeps to itself.
        kept = 0
        with rasterio.open(path) as raster:
            for window in grid.windows(_BLOCK_PX):
                kept = zlib.crc32(raster.read(1, window=window).tobytes(), kept)
        if kept != written:
            raise OSError("it is not what was written")
    except (RasterioError, OSError) as error:
        raise OutputError(
            f"The forest mask cannot be written to {path} ({error}): make room there, or choose another data directory."
        ) from error


def _around(polygons: gpd.GeoSeries, grid: Grid) -> list[Any]:
    """Polygons in degrees, as far as a grid reaches, on that grid's CRS.

    Without the cut, a vertex half a world away would have no place there.
    """
    west, south, east, north = grid.bounds_wgs84()
    if west < east:
        margin = _MARGIN_DEG
        polygons = polygons.clip_by_rect(west - margin, south - margin, east + margin, north + margin)
        polygons = polygons[~polygons.is_empty]
    return list(polygons.segmentize(_STRAIGHT_DEG).to_crs(grid.crs))


def _read_polygons(path: Path, what: str) -> gpd.GeoSeries:
    try:
        frame = gpd.read_file(path)
    except Exception as error:  # pyogrio raises several kinds, and GDAL's own words are the clearest
        words = (str(error).splitlines() or [type(error).__name__])[0]
        raise AreaError(f"The {what} {path} cannot be read ({words}).") from error
    if not isinstance(frame, gpd.GeoDataFrame):
        raise AreaError(f"The {what} {path} is a table without geometry: give polygons, or a raster for forest.")
    frame = frame[~(frame.geometry.isna() | frame.geometry.is_empty)]
    if frame.empty or frame.crs is None:
        raise AreaError(f"The {what} {path} holds no polygon with a CRS: give polygons, or a raster for forest.")
    if not frame.geom_type.isin(["Polygon", "MultiPolygon"]).all():
        raise AreaError(f"The {what} {path} holds {', '.join(sorted(set(frame.geom_type)))}: give polygons.")
    straight = frame.geometry.segmentize(_STRAIGHT_M) if frame.crs.is_projected else frame.geometry
    return straight.to_crs("EPSG:4326")
