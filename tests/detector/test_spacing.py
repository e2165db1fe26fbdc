"""Distances and areas of outlines in degrees, beside those of the ellipsoid."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.outlines import measure
from detector.spacing import areas_ha, boxes_around, gaps_m, metres_per_degree, without_hairlines

GEOD = pyproj.Geod(ellps="WGS84")


@pytest.mark.parametrize("latitude", [-60.0, 0.0, 4.0, 45.0, 51.0, 70.0])
def test_scales_are_those_of_the_ellipsoid(latitude: float) -> None:
    (scale,) = metres_per_degree(np.array([latitude]))
    along = GEOD.inv(10, latitude, 10.001, latitude)[2] / 0.001
    up = GEOD.inv(10, latitude - 0.0005, 10, latitude + 0.0005)[2] / 0.001
    assert scale == pytest.approx([along, up], rel=1e-6)


@settings(max_examples=50, deadline=None)
@given(
    st.floats(-60, 60), st.floats(41, 51), st.floats(0, 360), st.floats(1, 500)
)  # fmt: skip
def test_gaps_are_geodesic(lon: float, lat: float, azimuth: float, metres: float) -> None:
    """Two needles that point at each other along a geodesic, so far apart."""
    first_lon, first_lat, _ = GEOD.fwd(lon, lat, azimuth + 180, 800)
    start_lon, start_lat, _ = GEOD.fwd(lon, lat, azimuth, metres)
    end_lon, end_lat, _ = GEOD.fwd(lon, lat, azimuth, metres + 800)
    one = shapely.LineString([(first_lon, first_lat), (lon, lat)]).buffer(1e-9)
    other = shapely.LineString([(start_lon, start_lat), (end_lon, end_lat)]).buffer(1e-9)
    (gap,) = gaps_m(np.array([one], object), np.array([other], object))
    assert gap == pytest.approx(metres, abs=0.01)


def test_what_touches_or_overlaps_has_no_gap() -> None:
    one = np.array([shapely.box(3, 45, 3.01, 45.01)] * 3, object)
    other = np.array(
        [shapely.box(3.01, 45, 3.02, 45.01), shapely.box(3.005, 45, 3.02, 45.01), shapely.box(3.01, 45.01, 4, 46)],
        object,
    )
    assert gaps_m(one, other).tolist() == [0, 0, 0]
    assert gaps_m(one[:0], other[:0]).tolist() == []


def test_areas_are_nearly_geodesic() -> None:
    outlines = np.array(
        [shapely.box(3, lat, 3.1, lat + 0.09) for lat in (4, 42, 51)] + [shapely.box(3, 45, 3.001, 45.001)], object
    )
    np.testing.assert_allclose(areas_ha(outlines), measure(outlines)[0], rtol=2e-3)
    assert areas_ha(np.array([shapely.Polygon()], object)).tolist() == [0]


@pytest.mark.parametrize("latitude", [4.0, 45.0, -51.0])
def test_boxes_hold_the_margin(latitude: float) -> None:
    outline = shapely.box(3, latitude, 3.05, latitude + 0.05)
    (around,) = boxes_around(np.array([outline], object), 100)
    for corner in shapely.get_coordinates(outline):
        for azimuth in range(0, 360, 15):
            assert around.contains(shapely.Point(GEOD.fwd(corner[0], corner[1], azimuth, 100)[:2]))
    assert around.area < outline.area * 1.2


def test_hairlines_go_and_corners_stay() -> None:
    metre = 1 / metres_per_degree(np.array([45.0]))[0]
    steps = [(0, 0), (100, 0), (100, 30), (60, 30), (60, 70), (20, 70), (20, 100), (0, 100)]
    stairs = shapely.Polygon(np.array(steps) * metre + (3, 45))
    hairs = [(0, 100, 0.05, 400), (100, 0, 500, 0.9), (300, 300, 0.5, 0.5)]
    spiked = [
        shapely.box(*(np.array([x, y, x + w, y + h]) * np.tile(metre, 2) + (3, 45, 3, 45))) for x, y, w, h in hairs
    ]
    (left,) = without_hairlines(np.array([shapely.union_all([stairs, *spiked])], object), 1.0)
    assert left.geom_type == "Polygon"
    assert shapely.hausdorff_distance(left, stairs) < 1e-9
    lines = shapely.GeometryCollection([shapely.LineString([(3, 45), (3.1, 45)]), stairs])
    (left,) = without_hairlines(np.array([lines], object), 1.0)
    assert shapely.hausdorff_distance(left, stairs) < 1e-9
    assert without_hairlines(np.array([spiked[0], shapely.Polygon()], object), 1.0).tolist() == [shapely.Polygon()] * 2
