"""Alerts as vector tiles (Mapbox Vector Tile 2.1): counts on a grid from afar, outlines from near."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import mapbox_vector_tile
import numpy as np
import shapely
import sqlalchemy as sa
from numpy.typing import NDArray

from api.store.cells import CELL_LEVELS, LEVELS, CellCounts
from api.store.conditions import Conditions, condition, conditions_of
from api.store.database import Database
from api.store.filters import AlertFilter
from api.store.scope import EVERYTHING, Scope
from api.store.tables import alert_cells, alerts
from tiles.errors import NotFoundError

MEDIA_TYPE: Final = "application/vnd.mapbox-vector-tile"
FURTHEST_WITH_OUTLINES: Final = LEVELS[-1] - CELL_LEVELS + 1
"""Zoom from which tiles hold outlines."""
MOST_ZOOM: Final = 18
_EXTENT: Final = 4096
_BUFFER: Final = 64
"""Units beyond the tile's edge, so that an outline's line does not show where tiles meet."""
_BOUNDS: Final = ("min_lon", "min_lat", "max_lon", "max_lat")
_COLUMNS: Final = ("id", "state", "status", "review", "area_ha", "potentially_abusive", "abuse_score", "first_low")


@dataclass(frozen=True)
class TileAddress:
    """A tile of the web's grid.

    Parameters
    ----------
    z, x, y
        Zoom, column, row from the north.

    Raises
    ------
    tiles.errors.NotFoundError
        When there is no such tile.
    """

    z: int
    x: int
    y: int

    def __post_init__(self) -> None:
        if not (0 <= self.z <= MOST_ZOOM and 0 <= self.x < 1 << self.z and 0 <= self.y < 1 << self.z):
            raise NotFoundError(f"There is no tile {self.z}/{self.x}/{self.y}: zooms are 0 to {MOST_ZOOM}.")

    def bounds(self, buffer: float = 0.0) -> tuple[float, float, float, float]:
        """West, south, east, north in degrees; `buffer` in tiles on each side."""
        size = 1 << self.z

        def longitude(x: float) -> float:
            return max(-180.0, min(180.0, x / size * 360 - 180))

        def latitude(y: float) -> float:
            return math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * max(0.0, min(size, y)) / size))))

        return (
            longitude(self.x - buffer),
            latitude(self.y + 1 + buffer),
            longitude(self.x + 1 + buffer),
            latitude(self.y - buffer),
        )

    def units(self, lonlat: NDArray[np.float64]) -> NDArray[np.float64]:
        """Places in the tile's units, rows from the north.

        Parameters
        ----------
        lonlat
            (n, 2) degrees.
        """
        size = float(1 << self.z)
        x = (lonlat[:, 0] + 180) / 360 * size - self.x
        y = (1 - np.arcsinh(np.tan(np.radians(lonlat[:, 1]))) / np.pi) / 2 * size - self.y
        return np.column_stack([x, y]) * _EXTENT


def alerts_tile(
    database: Database, address: TileAddress, scope: Scope = EVERYTHING, asked: AlertFilter | None = None
) -> bytes:
    """A tile of the alerts that stand; empty where there is none.

    Parameters
    ----------
    database
        The store.
    address
        Of the tile. Up to zoom 11 the layer ``cells`` holds points: `alerts`, `abusive` and `area_ha` of each cell of
        a 32 x 32 grid. Beyond, the layer ``alerts`` holds outlines.
    scope
        Alerts that may be known of.
    asked
        Which of them; its box and its order do not matter.

    Raises
    ------
    tiles.errors.FilterError
        When the filter will not do.
    """
    asked = asked or AlertFilter()
    if address.z >= FURTHEST_WITH_OUTLINES:
        return _encoded("alerts", _outlines(database, address, scope, asked))
    is_whole = scope.everything and asked == AlertFilter()
    kept = _kept_counts(database, address) if is_whole else _counted(database, address, scope, asked)
    return _encoded("cells", _cells(address, kept))


_Counts = dict[tuple[int, int], tuple[int, int, int]]
"""Alerts, abusive ones and square metres, by column and row."""


def _kept_counts(database: Database, address: TileAddress) -> _Counts:
    cells, side = alert_cells.c, 1 << CELL_LEVELS
    x, y = address.x * side, address.y * side
    query = sa.select(cells.x, cells.y, cells.alerts, cells.abusive, cells.area_m2).where(
        cells.level == address.z + CELL_LEVELS, cells.x.between(x, x + side - 1), cells.y.between(y, y + side - 1)
    )
    with database.reading() as connection:
        rows = connection.execute(query).all()
    return {(row.x, row.y): (row.alerts, row.abusive, row.area_m2) for row in rows}


def _counted(database: Database, address: TileAddress, scope: Scope, asked: AlertFilter) -> _Counts:
    """The same of a part of the alerts, of which no counts are kept."""
    columns = [alerts.c[name] for name in ("status", "area_ha", "potentially_abusive", *_BOUNDS)]
    counts = CellCounts()
    with database.reading() as connection:
        conditions = _within(connection, asked, address.bounds(), scope)
        query = sa.select(*columns).where(*_clauses(conditions))
        for row in connection.execute(query, dict(conditions.values)).mappings():
            counts.add(dict(row))
    level, side = address.z + CELL_LEVELS, 1 << CELL_LEVELS
    return {
        (x, y): told
        for (of_level, x, y), told in counts.totals().items()
        if of_level == level and (x // side, y // side) == (address.x, address.y)
    }


def _cells(address: TileAddress, counts: _Counts) -> list[dict[str, Any]]:
    side = 1 << CELL_LEVELS
    x, y, step = address.x * side, address.y * side, _EXTENT // side
    return [
        {
            "geometry": shapely.Point((column - x) * step + step // 2, (row - y) * step + step // 2),
            "properties": {"alerts": n, "abusive": abusive, "area_ha": area_m2 / 10_000},
        }
        for (column, row), (n, abusive, area_m2) in sorted(counts.items())
    ]


def _within(
    connection: sa.Connection, asked: AlertFilter, bounds: tuple[float, float, float, float], scope: Scope
) -> Conditions:
    box = ",".join(f"{side:.9f}" for side in bounds)
    return conditions_of(connection, asked.model_copy(update={"bbox": box, "sortby": None}), scope)


def _clauses(conditions: Conditions) -> list[sa.ColumnElement[bool]]:
    clauses = [condition(name) for name in conditions.shape]
    return clauses if conditions.besides is None else [*clauses, conditions.besides]


def _outlines(database: Database, address: TileAddress, scope: Scope, asked: AlertFilter) -> list[dict[str, Any]]:
    columns = [alerts.c[name] for name in _COLUMNS]
    with database.reading() as connection:
        conditions = _within(connection, asked, address.bounds(_BUFFER / _EXTENT), scope)
        query = sa.select(*columns, alerts.c.geometry).where(*_clauses(conditions))
        rows = connection.execute(query.order_by(alerts.c.seq), dict(conditions.values)).all()
    if not rows:
        return []
    shapes = shapely.transform(shapely.from_wkb([row.geometry for row in rows]), address.units)
    # On the tile's whole numbers, valid; an outline smaller than a unit is none, and is left out.
    shapes = shapely.set_precision(shapes, 1.0)
    shapes = shapely.clip_by_rect(shapes, -_BUFFER, -_BUFFER, _EXTENT + _BUFFER, _EXTENT + _BUFFER)
    return [
        {"geometry": shape, "properties": {name: _plain(getattr(row, name)) for name in _COLUMNS}}
        for row, shape in zip(rows, shapes, strict=True)
        if shapely.area(shape) > 0
    ]


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


def _encoded(name: str, features: list[dict[str, Any]]) -> bytes:
    for feature in features:
        # What is not known is left out: the format has no null.
        feature["properties"] = {key: value for key, value in feature["properties"].items() if value is not None}
    layer = {"name": name, "features": features}
    options = {"extents": _EXTENT, "y_coord_down": True}
    return bytes(mapbox_vector_tile.encode([layer], default_options=options)) if features else b""
