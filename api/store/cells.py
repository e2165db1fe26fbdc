"""Standing alerts counted on grids, so that the map of a country costs what a grid costs.

At level L the world in web mercator (EPSG:3857) is 2^L x 2^L cells. A map tile of zoom z shows level z + 5: 32 x 32
cells. Counts are changed by what each transaction adds and takes away; areas are whole square metres, so that
what was added and taken away again leaves nothing behind.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from api.store.tables import alert_cells

CELL_LEVELS: Final = 5
"""Levels of cells below that of the tile."""
LEVELS: Final = range(CELL_LEVELS, CELL_LEVELS + 12)
"""Of map tiles of zoom 0 to 11; nearer, outlines are shown."""

_MOST_LATITUDE = 85.0511287798066
"""Where web mercator ends, in degrees."""


@dataclass
class _Delta:
    alerts: int = 0
    abusive: int = 0
    area_m2: int = 0


def cell_of(longitude: float, latitude: float, level: int) -> tuple[int, int]:
    """Column and row of the cell that holds a place; rows count from the north."""
    size = 1 << level
    latitude = max(-_MOST_LATITUDE, min(_MOST_LATITUDE, latitude))
    x = (longitude + 180) / 360
    y = (1 - math.asinh(math.tan(math.radians(latitude))) / math.pi) / 2
    return min(size - 1, max(0, int(x * size))), min(size - 1, max(0, int(y * size)))


class CellCounts:
    """What a transaction changes of the counts."""

    def __init__(self) -> None:
        self._deltas: dict[tuple[int, int, int], _Delta] = defaultdict(_Delta)

    def add(self, row: Mapping[str, Any], sign: int = 1) -> None:
        """Count an alert's row, if it stands; -1 takes away what was counted before.

        Parameters
        ----------
        row
            Of the table of alerts: status, bounds, hectares, whether it is potentially abusive.
        sign
            1 or -1.
        """
        if row["status"] == "closed":
            return
        longitude, latitude = (row["min_lon"] + row["max_lon"]) / 2, (row["min_lat"] + row["max_lat"]) / 2
        finest = cell_of(longitude, latitude, LEVELS[-1])
        area_m2, abusive = round(row["area_ha"] * 10_000), int(bool(row["potentially_abusive"]))
        for level in LEVELS:
            coarser = LEVELS[-1] - level
            delta = self._deltas[level, finest[0] >> coarser, finest[1] >> coarser]
            delta.alerts += sign
            delta.abusive += sign * abusive
            delta.area_m2 += sign * area_m2

    def totals(self) -> dict[tuple[int, int, int], tuple[int, int, int]]:
        """Alerts, abusive ones and square metres of each cell (level, column, row) that something changed in."""
        return {cell: (d.alerts, d.abusive, d.area_m2) for cell, d in self._deltas.items() if d.alerts}

    def write(self, connection: sa.Connection) -> None:
        """Change the counts in the store."""
        rows = [
            {"level": level, "x": x, "y": y, "alerts": d.alerts, "abusive": d.abusive, "area_m2": d.area_m2}
            for (level, x, y), d in sorted(self._deltas.items())
            if d.alerts or d.abusive or d.area_m2
        ]
        if not rows:
            return
        insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
        statement: Any = insert(alert_cells)
        counts = ("alerts", "abusive", "area_m2")
        summed = {name: alert_cells.c[name] + statement.excluded[name] for name in counts}
        connection.execute(statement.on_conflict_do_update(index_elements=["level", "x", "y"], set_=summed), rows)
        connection.execute(sa.delete(alert_cells).where(alert_cells.c.alerts == 0))
