"""Grids: their windows cover each pixel once, and know where they lie."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.windows import Window

from tiles.grid import Grid

UTM = CRS.from_epsg(32631)
GRID = Grid(UTM, Affine(10, 0, 499_980, 0, -10, 5_000_040), (33, 71))
ROTATED = Grid(UTM, Affine(8, 6, 500_000, 6, -8, 5_000_000), (20, 30))


@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 40))
def test_windows_cover_each_pixel_once_row_by_row(rows: int, cols: int, side: int) -> None:
    grid = dataclasses.replace(GRID, shape=(rows, cols))
    times = np.zeros((rows, cols), int)
    windows = list(grid.windows(side))
    for window in windows:
        assert 1 <= window.width <= side
        assert 1 <= window.height <= side
        times[window.toslices()] += 1
    assert (times == 1).all()
    places = [(window.row_off, window.col_off) for window in windows]
    assert places == sorted(places)


@pytest.mark.parametrize("grid", [GRID, ROTATED])
def test_a_windows_own_transform_leads_to_the_same_places(grid: Grid) -> None:
    window = Window(7, 5, 11, 9)
    inner = dataclasses.replace(grid, transform=grid.window_transform(window), shape=(9, 11))
    assert inner.centre_of(2, 3) == pytest.approx(grid.centre_of(7, 10))


def test_bounds_of_a_window_are_those_of_its_outer_pixels() -> None:
    assert list(GRID.bounds) == [499_980, 5_000_040 - 330, 499_980 + 710, 5_000_040]
    assert GRID.window_bounds(Window(64, 32, 7, 1)) == (500_620, 4_999_710, 500_690, 4_999_720)
    assert list(GRID.window_bounds(Window(0, 0, 71, 33))) == list(GRID.bounds)
    assert GRID.centre_of(0, 0) == (499_985, 5_000_035)


def test_bounds_in_degrees_are_west_south_east_north() -> None:
    west, south, east, north = GRID.bounds_wgs84()
    # 3 degrees east is zone 31's central meridian, x = 500,000.
    assert west < 3 < east < 3.01
    assert 45.14 < south < north < 45.16


@pytest.mark.parametrize(
    ("shift_px", "same"), [(0, True), (0.0009, True), (-0.0009, True), (0.0011, False), (1, False)]
)
def test_grids_are_the_same_to_a_thousandth_of_a_pixel(shift_px: float, same: bool) -> None:
    a, b, c, d, e, f = GRID.transform[:6]
    for transform in (Affine(a, b, c + shift_px * a, d, e, f), Affine(a, b, c, d, e, f + shift_px * a)):
        other = dataclasses.replace(GRID, transform=transform)
        assert GRID.same_as(other) is same
        assert other.same_as(GRID) is same


def test_grids_of_another_size_or_crs_are_others() -> None:
    assert not GRID.same_as(dataclasses.replace(GRID, shape=(71, 33)))
    assert not GRID.same_as(dataclasses.replace(GRID, crs=CRS.from_epsg(32630)))


def test_a_grid_names_itself_with_crs_size_and_pixel() -> None:
    assert str(GRID) == "EPSG:32631, 71 x 33 pixels of 10 m"
    named = Grid(CRS.from_proj4("+proj=laea +lat_0=50 +lon_0=9 +units=m"), GRID.transform, (1, 1))
    assert "1 x 1 pixels of 10 m" in str(named)


@pytest.mark.parametrize(("grid", "margin"), [(GRID, 0), (ROTATED, 1)])
def test_the_window_over_an_area_holds_it_and_no_more(grid: Grid, margin: int) -> None:
    """The box around a pixel of a turned grid touches the pixels around."""
    x, y = np.transpose([grid.transform @ corner for corner in ((7, 5), (8, 5), (7, 6), (8, 6))])
    found = grid.window_over((x.min(), y.min(), x.max(), y.max()))
    assert found == Window(7 - margin, 5 - margin, 1 + 2 * margin, 1 + 2 * margin)


def test_the_window_over_an_area_ends_with_the_grid() -> None:
    left, _, _, top = GRID.bounds
    assert GRID.window_over((left - 500, top - 15, left + 25, top + 500)) == Window(0, 0, 3, 2)
    assert GRID.window_over((left - 500, top - 15, left, top)) is None
    assert GRID.window_over((float("nan"),) * 4) is None
    assert GRID.window_over((float("inf"),) * 4) is None
