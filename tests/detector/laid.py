"""Patches drawn in Lambert-93 and described."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS

from detector.context import ContextParams, Described, EarlierCuts, Layers, PatchContext, describe
from detector.outlines import Geometries, measure, to_wgs84

#: On Lambert-93's central meridian, where its north is the true one; 47.1 degrees north.
X, Y = 700_000.0, 6_660_000.0
ON = "2024-06-15"


def box(left: float, bottom: float, right: float, top: float) -> Any:
    """A rectangle, in metres from (X, Y)."""
    return shapely.box(X + left, Y + bottom, X + right, Y + top)


def lonlat(outlines: Sequence[Any]) -> Geometries:
    """From Lambert-93 to WGS 84."""
    return to_wgs84(np.array([*outlines, None], object)[:-1], CRS.from_epsg(2154))


def cuts(*outlines_and_days: tuple[Any, str], since: Any = None) -> EarlierCuts:
    """Earlier cuts."""
    outlines = lonlat([outline for outline, _ in outlines_and_days])
    return EarlierCuts(outlines, np.array([day for _, day in outlines_and_days], "datetime64[D]"), since)


def hectares(outlines: Sequence[Any]) -> NDArray[np.float64]:
    """Geodesic hectares of outlines in Lambert-93."""
    return measure(lonlat(outlines))[0]


def described(
    outlines: Sequence[Any],
    layers: Layers,
    earlier: EarlierCuts | None = None,
    params: ContextParams | None = None,
    threads: int = 1,
) -> Described:
    """Describe outlines in Lambert-93, all of the same day."""
    placed = lonlat(outlines)
    on = np.full(placed.size, np.datetime64(ON, "D"))
    return describe(placed, measure(placed)[0], on, layers, earlier, params, threads)


def one(outline: Any, layers: Layers, earlier: EarlierCuts | None = None) -> PatchContext:
    """Describe one outline."""
    (context,) = described([outline], layers, earlier).contexts
    return context
