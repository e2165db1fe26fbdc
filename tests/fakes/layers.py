"""Reference layers in memory, and small rasters on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from shapely.geometry.base import BaseGeometry

from detector.context import Bounds

#: Beyond all of France in Lambert-93.
EVERYWHERE: Bounds = (-1e6, 5e6, 2e6, 8e6)


@dataclass
class FakeVector:
    """Features in memory. It remembers the bounds that were asked for."""

    name: str
    frame: gpd.GeoDataFrame
    covers: BaseGeometry | Bounds = EVERYWHERE
    asked: list[Bounds | None] = field(default_factory=list)

    def read(self, bounds_2154: Bounds | None, columns: Sequence[str] | None) -> gpd.GeoDataFrame:
        self.asked.append(bounds_2154)
        frame = self.frame
        if bounds_2154 is not None:
            frame = frame.iloc[np.sort(frame.sindex.query(shapely.box(*bounds_2154)))]
        if columns is not None:
            frame = frame[[*columns, "geometry"]]
        return frame.reset_index(drop=True)


@dataclass
class FakeRaster:
    """Files of a raster."""

    name: str
    paths: tuple[Path, ...]


@dataclass
class FakeLayers:
    """Some layers by name; all others are not installed."""

    vectors: Mapping[str, FakeVector] = field(default_factory=dict)
    rasters: Mapping[str, FakeRaster] = field(default_factory=dict)

    def vector(self, name: str) -> FakeVector | None:
        return self.vectors.get(name)

    def raster(self, name: str) -> FakeRaster | None:
        return self.rasters.get(name)


def vector(
    layer: str, geometries: Sequence[Any], covers: BaseGeometry | Bounds = EVERYWHERE, **columns: Sequence[Any]
) -> FakeVector:
    """A layer of these polygons or lines in EPSG:2154, with these columns."""
    return FakeVector(layer, gpd.GeoDataFrame(columns, geometry=list(geometries), crs=2154), covers)


def zones(name: str, *geometries: Any, covers: BaseGeometry | Bounds = EVERYWHERE) -> FakeVector:
    """A zoning whose zones are called after the layer, numbered from 1."""
    codes = [f"{name}-{number}" for number in range(1, len(geometries) + 1)]
    return vector(name, geometries, covers, code=codes, name=[f"zone {code}" for code in codes])


def layers_of(*all_layers: FakeVector | FakeRaster) -> FakeLayers:
    """Layers by their names."""
    return FakeLayers(
        {layer.name: layer for layer in all_layers if isinstance(layer, FakeVector)},
        {layer.name: layer for layer in all_layers if isinstance(layer, FakeRaster)},
    )


def write_raster(
    path: Path, values: NDArray[Any], transform: Affine, crs: Any = 2154, nodata: float | None = -9999.0
) -> Path:
    """A GeoTIFF; without a CRS where that is None."""
    with rasterio.open(
        path, "w", driver="GTiff", height=values.shape[0], width=values.shape[1], count=1, dtype=values.dtype,
        crs=None if crs is None else CRS.from_user_input(crs), transform=transform, nodata=nodata,
    ) as file:  # fmt: skip
        file.write(values, 1)
    return path
