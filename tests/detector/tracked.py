"""Simulated patches for tracking: rectangles on a grid, and ground that says what it is told to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from detector.alerts import Alert, AlertState, publishable
from detector.known import FoundPatch, Register
from detector.outlines import Geometries, measure, place, to_wgs84
from tests.detector.fakes import UTM
from tiles.change import PixelState
from tiles.grid import Grid
from tiles.month import Month

#: Day 0 of the tests.
START = date(2023, 1, 10)
JANUARY = Month(2023, 1)


def day(number: int) -> date:
    return START + timedelta(days=number)


def month_of(number: int) -> Month:
    return Month(day(number).year, day(number).month)


def box(left: float, top: float, width: float = 10, height: float = 10, grid: Grid = UTM) -> BaseGeometry:
    """A rectangle of pixels, in degrees."""
    cells = np.array([shapely.box(left, top, left + width, top + height)], object)
    return to_wgs84(place(cells, grid.transform), grid.crs)[0]


def patch(
    exact: BaseGeometry, low: int = 0, name: str = "a", tile: str = "31TDL", intact: int | None = None, **fields: Any
) -> FoundPatch:
    """A patch that was first low on day `low`."""
    whole = np.array([exact], object)
    values: dict[str, Any] = {
        "state": AlertState.CONFIRMED,
        "last_intact": day(low - 20 if intact is None else intact),
        "ndvi_before": 0.8,
        "ndvi_after": 0.4,
        "ndvi_drop": 0.4,
        "n_clear_before": 12,
        "n_clear_after": 4,
        "scenes_before": (f"S{(low - 20 if intact is None else intact):+05d}",),
        "scenes_after": (f"S{low:+05d}",),
    } | fields
    alert = Alert(
        id=f"SYL-{tile}-{name}",
        geometry=publishable(whole)[0],
        tile=tile,
        tiles=(tile,),
        first_detected=month_of(low).last_day,
        first_low=day(low),
        area_ha=float(measure(whole)[0][0]),
        **values,
    )
    return FoundPatch(alert, exact)


class FakeGround:
    """Says of all ground what it is told to; of what `only` meets, if that is given, else that it was not seen."""

    def __init__(self, only: BaseGeometry | None = None, **shares: float) -> None:
        self.only, self.asked = only, 0
        self.counts = np.zeros(len(PixelState), np.int64)
        for name, share in shares.items():
            self.counts[PixelState[name.upper()]] = round(100 * share)

    def count_states(self, outlines: Geometries) -> NDArray[np.int64]:
        self.asked += len(outlines)
        unseen = np.zeros(len(PixelState), np.int64)
        unseen[PixelState.UNOBSERVED] = 100
        told = [self.only is None or shapely.intersects(self.only, outline) for outline in outlines]
        return np.array([self.counts if is_told else unseen for is_told in told]).reshape(-1, len(PixelState))


UNSEEN = FakeGround(unobserved=1)


def area_of(geometries: Sequence[BaseGeometry]) -> float:
    """Geodesic hectares of a union."""
    whole = np.array([shapely.union_all(list(geometries))], object)
    return float(measure(whole)[0][0])


def ground_of(register: Register, name: str) -> BaseGeometry:
    return shapely.union_all([known.ground for known in register.patches if known.alert_id == name])
