"""Coordinate systems that features are given and asked for in (OGC API - Features, Part 2)."""

from __future__ import annotations

import json
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from api.features import AlertFeature
from api.store.literals import parse_bbox
from tiles.errors import FilterError


class Crs(StrEnum):
    """Coordinate systems, by their addresses."""

    CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
    """WGS 84, longitude first: what is stored."""
    LAMBERT_93 = "http://www.opengis.net/def/crs/EPSG/0/2154"
    """RGF93 / Lambert-93: metres, easting first."""


STORED: Final = Crs.CRS84
_EDGE_POINTS: Final = 21
"""Points on each side of a box that is brought into another system: its sides are not straight there."""


def bbox_in_degrees(text: str, crs: Crs) -> str:
    """A box of `crs` as the one in degrees that holds it.

    Raises
    ------
    ValueError
        When it is none, or lies outside of the system's ground.
    """
    if crs is STORED:
        parse_bbox(text)
        return text
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 4 or numbers[0] > numbers[2] or numbers[1] > numbers[3]:
        raise ValueError("a bbox in metres is four numbers: west,south,east,north")
    west, south, east, north = numbers
    bounds = _transformer(crs, STORED).transform_bounds(west, south, east, north, densify_pts=_EDGE_POINTS)
    if not np.isfinite(bounds).all():
        raise ValueError("the bbox lies outside of its coordinate system")
    return ",".join(f"{value:.9f}" for value in bounds)


def feature_in(feature: AlertFeature, crs: Crs) -> str:
    """The text of a feature, its outline in `crs`; centimetres in a system of metres."""
    if crs is STORED:
        return feature.text
    transformer = _transformer(STORED, crs)

    def moved(lonlat: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.round(np.column_stack(transformer.transform(lonlat[:, 0], lonlat[:, 1])), 2)

    document: dict[str, Any] = json.loads(feature.text)
    document["geometry"] = json.loads(shapely.to_geojson(shapely.transform(feature.geometry, moved)))
    return json.dumps(document, ensure_ascii=False)


def filter_in_degrees(expression: Any, crs: Crs) -> Any:
    """What CQL2's JSON holds, the shapes in it brought from `crs` into degrees.

    Raises
    ------
    tiles.errors.FilterError
        When a shape is none, or lies outside of the system's ground.
    """
    if isinstance(expression, list):
        return [filter_in_degrees(part, crs) for part in expression]
    if not isinstance(expression, dict):
        return expression
    if "bbox" not in expression and "coordinates" not in expression:
        return {name: filter_in_degrees(part, crs) for name, part in expression.items()}
    try:
        if "bbox" in expression:
            west, south, east, north = (float(value) for value in expression["bbox"])
            side = max(east - west, north - south) / (_EDGE_POINTS - 1)
            shape = shapely.segmentize(shapely.box(west, south, east, north), side)
        else:
            shape = shapely.from_geojson(json.dumps(expression))
        transformer = _transformer(crs, STORED)
        moved = shapely.transform(shape, lambda xy: np.column_stack(transformer.transform(xy[:, 0], xy[:, 1])))
        if not np.isfinite(shapely.get_coordinates(moved)).all():
            raise ValueError("outside of its ground")
    except (TypeError, ValueError, shapely.GEOSException):
        raise FilterError("filter will not do: a shape is none, or lies outside of its coordinate system.") from None
    return json.loads(shapely.to_geojson(moved))


@lru_cache(maxsize=8)
def _transformer(source: Crs, target: Crs) -> pyproj.Transformer:
    # One for all threads: pyproj keeps a context of its own in each.
    return pyproj.Transformer.from_crs(_authority(source), _authority(target), always_xy=True)


def _authority(crs: Crs) -> str:
    return {Crs.CRS84: "OGC:CRS84", Crs.LAMBERT_93: "EPSG:2154"}[crs]
