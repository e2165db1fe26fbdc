"""What is asked of the reference layers; whoever starts the run fills it in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import geopandas as gpd
from shapely.geometry.base import BaseGeometry

#: Left, bottom, right, top in Lambert-93 metres (EPSG:2154).
Bounds = tuple[float, float, float, float]


class VectorLayer(Protocol):
    """Polygons or lines with attributes, in EPSG:2154."""

    @property
    def name(self) -> str:
        """As it was asked for."""
        ...

    @property
    def covers(self) -> BaseGeometry | Bounds:
        """The ground that the layer speaks of, in EPSG:2154: beyond it, that there is nothing is not known."""
        ...

    def read(self, bounds_2154: Bounds | None, columns: Sequence[str] | None) -> gpd.GeoDataFrame:
        """Features whose bounds meet `bounds_2154`, with these columns and their geometry.

        It may be called from several threads at once.
        """
        ...


class RasterLayer(Protocol):
    """One quantity on one or several files: tiles of one grid, or of several."""

    @property
    def name(self) -> str:
        """As it was asked for."""
        ...

    @property
    def paths(self) -> tuple[Path, ...]:
        """Files that rasterio opens, the preferred first where two hold the same ground."""
        ...


class Layers(Protocol):
    """The reference layers by name; None where one is not installed."""

    def vector(self, name: str) -> VectorLayer | None:
        """Polygons or lines."""
        ...

    def raster(self, name: str) -> RasterLayer | None:
        """Pixels."""
        ...
