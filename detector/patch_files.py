"""Patches of a tile and month as a file: exact outlines, the fields of the alerts that they make alone, features."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import geopandas as gpd
import numpy as np

from detector.alerts import Alert
from detector.outlines import to_wgs84
from detector.pipeline import TileAlerts
from tiles.grid import Grid


def write_patches(found: TileAlerts, grid: Grid, path: Path) -> None:
    """Write the patches of a tile as GeoParquet.

    Parameters
    ----------
    found
        What was found on the tile.
    grid
        Of the tile.
    path
        File to write.
    """
    exact = np.empty(len(found.patches), object)
    exact[:] = [patch.exact for patch in found.patches]
    names = [field.name for field in fields(Alert) if field.name != "geometry"]
    table = {name: [getattr(alert, name) for alert in found.alerts] for name in names}
    frame = gpd.GeoDataFrame(table, geometry=list(to_wgs84(exact, grid.crs)), crs="EPSG:4326")
    frame.to_parquet(path, index=False)
