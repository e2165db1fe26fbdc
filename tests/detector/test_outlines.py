"""Polygons along pixel edges, and how far their simplification strays."""

from __future__ import annotations

import math

import numpy as np
import pyproj
import pytest
import shapely
import shapely.affinity
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from skimage.measure import label

from detector.outlines import measure, place, simplify, to_wgs84, trace_masks
from tests.detector.fakes import UTM, blob, draw
from tiles.errors import GridError
from tiles.grid import Grid

MASKS = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(lambda shape: arrays(np.bool_, shape))


def strays(exact: shapely.Geometry, simpler: shapely.Geometry) -> float:
    return float(shapely.hausdorff_distance(exact.boundary, simpler.boundary, densify=0.02))


@settings(deadline=None, max_examples=300)
@given(MASKS.filter(lambda mask: bool(mask.any())))
def test_any_mask_gives_a_valid_polygon_of_its_pixels(mask: NDArray[np.bool_]) -> None:
    (polygon,) = trace_masks([mask], [(3, 5)])
    assert polygon.geom_type in ("Polygon", "MultiPolygon")
    assert polygon.is_valid
    assert polygon.area == mask.sum()
    rows, cols = np.indices(mask.shape)
    inside = shapely.contains_xy(polygon, cols + 5.5, rows + 3.5)
    np.testing.assert_array_equal(inside, mask)


@settings(deadline=None, max_examples=300)
@given(MASKS.filter(lambda mask: bool(mask.any())), st.sampled_from([0.1, 0.3, 0.5]))
def test_simplified_outline_is_valid_and_within_the_tolerance(mask: NDArray[np.bool_], tolerance_px: float) -> None:
    exact = trace_masks([mask], [(0, 0)])
    (simpler,) = simplify(exact, tolerance_px)
    assert simpler.is_valid
    assert strays(exact[0], simpler) <= tolerance_px + 1e-9
    assert abs(simpler.area - exact[0].area) <= tolerance_px / 4 * exact[0].length


@pytest.mark.parametrize("seed", range(20))
def test_simplification_of_blobs_keeps_the_area(seed: int) -> None:
    labels = label(blob(seed), connectivity=2)
    mask = labels == np.argmax(np.bincount(labels.ravel())[1:]) + 1
    exact = trace_masks([mask], [(0, 0)])
    (simpler,) = simplify(exact, 0.5)
    assert strays(exact[0], simpler) <= 0.5
    assert abs(simpler.area / exact[0].area - 1) < 0.05


@pytest.mark.parametrize("angle_deg", [0, 10, 26.57, 33, 45, 70])
def test_slanted_edges_become_straight(angle_deg: float) -> None:
    ideal = shapely.affinity.rotate(shapely.box(20, 35, 80, 65), angle_deg)
    rows, cols = np.indices((100, 100))
    mask = shapely.contains_xy(ideal, cols + 0.5, rows + 0.5)
    exact = trace_masks([mask], [(0, 0)])
    (simpler,) = simplify(exact, 0.5)
    assert simpler.length == pytest.approx(ideal.length, rel=0.02)
    assert simpler.area == pytest.approx(exact[0].area, rel=0.005)
    if angle_deg == 0:
        assert simpler.equals(exact[0])
    else:
        assert exact[0].length > 1.1 * ideal.length  # the stairs were there
        assert shapely.get_num_coordinates(simpler) < 0.6 * shapely.get_num_coordinates(exact[0])


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 3), (10, 10)], ids=str)
def test_bars_and_blocks_stay_as_they_are(shape: tuple[int, int]) -> None:
    exact = trace_masks([np.ones(shape, bool)], [(0, 0)])
    assert simplify(exact, 0.5)[0].equals(exact[0])


def test_no_tolerance_no_simplification() -> None:
    exact = trace_masks([blob(1)], [(0, 0)])
    assert simplify(exact, 0.0)[0].equals_exact(exact[0])


def test_corner_touch_makes_a_multipolygon() -> None:
    (polygon,) = trace_masks([draw("##..", "##..", "..##", "..##")], [(0, 0)])
    assert polygon.geom_type == "MultiPolygon"
    assert polygon.is_valid
    assert polygon.area == 8
    (simpler,) = simplify(np.array([polygon]), 0.5)
    assert simpler.is_valid


def test_masks_keep_their_order_and_place() -> None:
    polygons = trace_masks([np.ones((1, 2), bool), np.ones((3, 1), bool)], [(7, 1), (0, 40)])
    assert [p.bounds for p in polygons] == [(1, 7, 3, 8), (40, 0, 41, 3)]
    on_ground = place(polygons, UTM.transform)
    assert on_ground[0].bounds == (499_010, 4_999_920, 499_030, 4_999_930)


def test_no_mask() -> None:
    none = trace_masks([], [])
    assert simplify(none, 0.5).size == 0
    area, perimeter = measure(to_wgs84(none, UTM.crs))
    assert area.size == perimeter.size == 0


def test_geodesic_measures_against_authalic_and_meridian_formulas() -> None:
    """A graticule cell near the equator and one in France, by closed formulas on the ellipsoid."""
    a, f = 6_378_137.0, 1 / 298.257223563
    e = math.sqrt(f * (2 - f))

    def band(lat_deg: float) -> float:  # area from the equator to a parallel, per radian of longitude
        s = math.sin(math.radians(lat_deg))
        return a**2 * (1 - e**2) / 2 * (s / (1 - (e * s) ** 2) + math.atanh(e * s) / e)

    for south in (0.0, 46.0):
        cell = shapely.box(2, south, 2.001, south + 0.001)
        expected_ha = (band(south + 0.001) - band(south)) * math.radians(0.001) / 1e4
        area_ha, _ = measure(np.array([cell]))
        assert area_ha[0] == pytest.approx(expected_ha, rel=1e-6)


def test_holes_count_in_the_perimeter_and_not_in_the_area() -> None:
    shell, hole = shapely.box(2, 46, 2.01, 46.01), shapely.box(2.002, 46.002, 2.004, 46.004)
    (whole_ha, hole_ha, rest_ha), (whole_m, hole_m, rest_m) = measure(
        np.array([shell, hole, shapely.difference(shell, hole)])
    )
    assert rest_ha == pytest.approx(whole_ha - hole_ha, rel=1e-12)
    assert rest_m == pytest.approx(whole_m + hole_m, rel=1e-12)


def test_grid_beyond_its_system_is_refused() -> None:
    nowhere = Grid(UTM.crs, UTM.transform, (10, 10))
    with pytest.raises(GridError, match="outside"):
        to_wgs84(np.array([shapely.box(1e12, 1e12, 2e12, 2e12)]), nowhere.crs)


def test_wgs84_is_longitude_first() -> None:
    (box,) = to_wgs84(np.array([shapely.box(500_000, 5_000_000, 500_010, 5_000_010)]), UTM.crs)
    lon, lat = pyproj.Proj("EPSG:32631")(500_000, 5_000_000, inverse=True)
    assert box.bounds[:2] == pytest.approx((lon, lat), abs=1e-9)
    assert (round(lon), round(lat)) == (3, 45)
