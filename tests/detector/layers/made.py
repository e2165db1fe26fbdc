"""Small layers made by hand."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray

NOW = dt.datetime(2026, 11, 23, 9, 30, tzinfo=dt.UTC)
#: In the forest of the Landes, in Lambert-93.
X, Y = 380_000.0, 6_350_000.0


def square(column: float, row: float, side_m: float = 1000.0) -> shapely.Polygon:
    """A square whose lower left corner lies so many kilometres right and up of (X, Y)."""
    return shapely.box(X + 1000 * column, Y + 1000 * row, X + 1000 * column + side_m, Y + 1000 * row + side_m)


def frame(shapes: Sequence[Any], crs: Any = "EPSG:2154", **columns: Sequence[Any]) -> gpd.GeoDataFrame:
    """Features in Lambert-93."""
    return gpd.GeoDataFrame(dict(columns), geometry=list(shapes), crs=crs)


def write(path: Path, features: gpd.GeoDataFrame, **options: Any) -> Path:
    """Write features in the format of the file's name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    features.to_parquet(path) if path.suffix == ".parquet" else features.to_file(path, **options)
    return path


def write_pixels(
    path: Path, pixels: NDArray[Any], transform: Affine, crs: str | None = "EPSG:2154", **profile: Any
) -> Path:
    """Write pixels as a GeoTIFF."""
    rows, cols = pixels.shape
    options = {"driver": "GTiff", "count": 1, "dtype": pixels.dtype, "crs": crs, "transform": transform, **profile}
    with rasterio.open(path, "w", width=cols, height=rows, **options) as raster:
        raster.write(pixels, 1)
    return path


def collection(features: gpd.GeoDataFrame, name: str = "feature") -> dict[str, Any]:
    """Features as IGN's WFS gives them: with identifiers, and the name of their CRS."""
    epsg = features.crs.to_epsg()
    columns = [column for column in features.columns if column != "geometry"]
    return {
        "type": "FeatureCollection",
        "crs": {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{epsg}"}},
        "features": [
            {
                "type": "Feature",
                "id": f"{name}.{number}",
                "properties": {column: row[column] for column in columns},
                "geometry": shapely.geometry.mapping(row["geometry"]),
            }
            for number, row in enumerate(features.to_dict("records"), start=1)
        ],
    }


def departements() -> gpd.GeoDataFrame:
    """Two of them, side by side, of 10 km by 10 km."""
    return frame([square(0, 0, 10_000), square(10, 0, 10_000)], code=["40", "33"], nom=["Landes", "Gironde"])


def ramp(side: int, low: float, high: float) -> NDArray[np.float32]:
    """Pixels that grow from left to right."""
    return np.tile(np.linspace(low, high, side, dtype=np.float32), (side, 1))


def counts_of(counts: Mapping[str, int]) -> dict[str, int]:
    """Counts that are not zero."""
    return {words: number for words, number in counts.items() if number}
