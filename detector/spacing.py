"""Distances and small areas of outlines in degrees: metres on the ellipsoid, wherever on Earth."""

from __future__ import annotations

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from detector.outlines import Geometries

#: WGS 84: semi-major axis in metres, first eccentricity squared.
_SEMI_MAJOR_M, _ECCENTRICITY_2 = 6_378_137.0, 6.694379990141e-3


def metres_per_degree(latitude: NDArray[np.float64]) -> NDArray[np.float64]:
    """Metres that a degree of longitude and one of latitude are worth.

    Parameters
    ----------
    latitude
        float64 (n,), degrees.

    Returns
    -------
    scale
        float64 (n, 2): along the parallel, along the meridian.
    """
    phi = np.radians(latitude)
    flattening = 1 - _ECCENTRICITY_2 * np.sin(phi) ** 2
    parallel = _SEMI_MAJOR_M * np.cos(phi) / np.sqrt(flattening)
    meridian = _SEMI_MAJOR_M * (1 - _ECCENTRICITY_2) / flattening**1.5
    return np.radians(np.column_stack([parallel, meridian]))


def gaps_m(one: Geometries, other: Geometries) -> NDArray[np.float64]:
    """Geodesic distances between outlines, pair by pair.

    The nearest points are found on a plane that is true to scale at the pair; the line between them is then measured
    on the ellipsoid.

    Parameters
    ----------
    one, other
        object (n,) each, in degrees, longitude first; within some kilometres of each other.

    Returns
    -------
    gap_m
        float64 (n,); 0 where they touch or overlap.
    """
    if not one.size:
        return np.zeros(0)
    scale = metres_per_degree(_latitudes(one))
    lines = shapely.shortest_line(_scaled(one, scale), _scaled(other, scale))
    ends = shapely.get_coordinates(lines).reshape(-1, 2, 2) / scale[:, None, :]
    geod = pyproj.Geod(ellps="WGS84")
    _, _, gap = geod.inv(ends[:, 0, 0], ends[:, 0, 1], ends[:, 1, 0], ends[:, 1, 1])
    return np.where(shapely.intersects(one, other), 0.0, gap)


def areas_ha(lonlat: Geometries) -> NDArray[np.float64]:
    """Hectares by the scale at the middle of each outline: for comparisons, a thousand times faster than geodesic.

    Wrong by less than 0.2 % for outlines of up to 10 km.
    """
    scale = metres_per_degree(_latitudes(lonlat))
    return np.asarray(shapely.area(lonlat) * scale.prod(axis=1) / 1e4)


def boxes_around(lonlat: Geometries, margin_m: float) -> Geometries:
    """Boxes in degrees that hold all ground within so many metres of each outline."""
    west, south, east, north = shapely.bounds(lonlat).T
    # The smaller of the scales at both ends: a degree of longitude is worth less towards the poles.
    scale = np.minimum(metres_per_degree(south), metres_per_degree(north))
    by_lon, by_lat = margin_m * 1.01 / scale.T
    return np.asarray(shapely.box(west - by_lon, south - by_lat, east + by_lon, north + by_lat), dtype=object)


def without_hairlines(lonlat: Geometries, width_m: float) -> Geometries:
    """Without parts, spikes and rims narrower than this: what overlays leave along edges that two outlines share.

    A pixel edge that is straight on a grid is bent in degrees, by millimetres, and is drawn by its ends or by points
    between, as each outline has them. What is left of the difference is no ground, but may reach far.

    Parameters
    ----------
    lonlat
        object (n,). Polygons in degrees; what is no polygon is dropped.
    width_m
        Narrower is dropped. Corners stay where they were.
    """
    half = width_m / 2
    scale = metres_per_degree(_latitudes(lonlat))
    plane = _scaled(lonlat, scale)
    eroded = shapely.buffer(plane, -half, join_style="mitre", mitre_limit=10)
    opened = shapely.buffer(eroded, half, join_style="mitre", mitre_limit=10)
    return _scaled(np.asarray(opened, dtype=object), 1 / scale)


def _latitudes(lonlat: Geometries) -> NDArray[np.float64]:
    bounds = np.nan_to_num(shapely.bounds(lonlat))
    return np.asarray((bounds[:, 1] + bounds[:, 3]) / 2)


def _scaled(lonlat: Geometries, scale: NDArray[np.float64]) -> Geometries:
    """Each outline on the plane of its own scale, in metres."""
    xy, owner = shapely.get_coordinates(lonlat, return_index=True)
    return np.asarray(shapely.set_coordinates(lonlat.copy(), xy * scale[owner]), dtype=object)
