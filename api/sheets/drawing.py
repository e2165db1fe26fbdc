"""Small drawings of a sheet, as SVG: the series of an alert, and its outline with a scale."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Final

import numpy as np
import pyproj
import shapely
from shapely.geometry.base import BaseGeometry

from api.store.images import SeriesDate

_LEAST_CLEAR: Final = 0.5
_WIDTH, _HEIGHT, _LEFT, _FOOT = 720, 170, 34, 22
_LOWEST, _HIGHEST = -0.1, 1.0


def series_svg(dates: Sequence[SeriesDate], last_intact: dt.date | None, first_low: dt.date) -> str | None:
    """The NDVI of the dates that show most of an alert, the felling's interval in red; None where none does."""
    points = [(each.day, each.ndvi) for each in dates if each.ndvi is not None and each.clear_share >= _LEAST_CLEAR]
    if len(points) < 2:
        return None
    first, last = points[0][0], points[-1][0]
    span = max(1, (last - first).days)

    def x(day: dt.date) -> float:
        return _LEFT + (day - first).days / span * (_WIDTH - _LEFT - 6)

    def y(ndvi: float) -> float:
        return (_HIGHEST - ndvi) / (_HIGHEST - _LOWEST) * (_HEIGHT - _FOOT)

    left, right = x(max(first, last_intact or first)), x(min(last, first_low))
    lines = [
        f'<line x1="{_LEFT}" x2="{_WIDTH}" y1="{y(v):.1f}" y2="{y(v):.1f}" stroke="#ddd"/>'
        f'<text x="0" y="{y(v) + 5:.1f}" font-size="15">{v:.1f}</text>'
        for v in (0.0, 0.5, 1.0)
    ]
    years = [
        f'<text x="{x(dt.date(year, 1, 1)):.1f}" y="{_HEIGHT - 4}" font-size="15">{year}</text>'
        for year in range(first.year + 1, last.year + 1)
    ]
    path = " ".join(f"{x(day):.1f},{y(ndvi):.1f}" for day, ndvi in points)
    dots = "".join(f'<circle cx="{x(day):.1f}" cy="{y(ndvi):.1f}" r="3" fill="#1f4d36"/>' for day, ndvi in points)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="Libertinus Serif">'
        f'<rect x="{left:.1f}" y="0" width="{max(2.0, right - left):.1f}" height="{_HEIGHT - _FOOT}" fill="#b3401f" '
        f'fill-opacity="0.2"/>{"".join(lines)}{"".join(years)}'
        f'<polyline points="{path}" fill="none" stroke="#1f4d36" stroke-width="2.5"/>{dots}</svg>'
    )


def outline_svg(shape: BaseGeometry, scale_text: str) -> str:
    """An outline, north up, with a bar of a hundred metres."""
    # Metres around its own middle (Lambert azimuthal): a scale that is right wherever the alert lies.
    middle = shape.centroid
    local = pyproj.Transformer.from_crs(
        "OGC:CRS84", f"+proj=laea +lat_0={middle.y} +lon_0={middle.x} +ellps=GRS80", always_xy=True
    )
    metres = shapely.transform(shape, lambda at: np.column_stack(local.transform(at[:, 0], at[:, 1])))
    west, south, east, north = metres.bounds
    side = max(east - west, north - south, 150.0) * 1.25
    x0, y0 = (west + east) / 2 - side / 2, (south + north) / 2 + side / 2
    scale = 300 / side
    rings = [
        "M" + "L".join(f"{(x - x0) * scale:.1f},{(y0 - y) * scale:.1f}" for x, y in ring.coords) + "Z"
        for part in shapely.get_parts(metres)
        for ring in (part.exterior, *part.interiors)
    ]
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 300 330" font-family="Libertinus Serif">'
        '<rect width="300" height="300" fill="#eef1e8"/>'
        f'<path d="{"".join(rings)}" fill="#b3401f" fill-opacity="0.3" fill-rule="evenodd" stroke="#b3401f" '
        f'stroke-width="3"/><line x1="4" x2="{4 + 100 * scale:.1f}" y1="312" y2="312" stroke="#000" stroke-width="3"/>'
        f'<text x="{10 + 100 * scale:.1f}" y="320" font-size="24">{scale_text}</text></svg>'
    )
