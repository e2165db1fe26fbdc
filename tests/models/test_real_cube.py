"""The real images end with 2018, and the places in them hold no opening of the years that are scanned."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from models.real_cube import Place, RealCube, find_places, load_cube, openings_of, seen_openings
from tiles.errors import AreaError

pytest.importorskip("nrt", reason="the real images come with the package nrt, which is not installed")


@pytest.fixture(scope="module")
def cube() -> RealCube:
    return load_cube()


@pytest.fixture(scope="module")
def places(cube: RealCube) -> list[Place]:
    return find_places(cube, seen_openings(cube))


def test_nothing_after_2018_is_looked_at(cube: RealCube) -> None:
    assert cube.days[-1] <= dt.date(2018, 12, 31)
    assert len(cube.days) == cube.scl.shape[0] == cube.bands["red"].shape[0]
    assert cube.bands["nir"].shape[1:] == (100, 100)
    assert cube.bands["swir16"].shape[1:] == cube.scl.shape[1:] == (50, 50)


def test_places_hold_no_listed_opening(cube: RealCube, places: list[Place], shared_data: Path) -> None:
    outlines = shared_data / "romania" / "patches_2017_2019.geojson"
    listed = openings_of(cube, outlines)
    assert listed.sum() > 200
    for place in places:
        rows = slice(place.row // 2, (place.row + place.rows) // 2)
        assert not listed[rows, place.col // 2 : (place.col + place.cols) // 2].any(), place.name
    # Those of 2019 are in none of the images: some places have them.
    assert openings_of(cube, outlines, (2019,)).any()


def test_openings_that_cannot_be_read_are_refused(cube: RealCube, tmp_path: Path) -> None:
    with pytest.raises(AreaError, match="cannot be read"):
        openings_of(cube, tmp_path / "none.geojson")


def test_places_are_apart_and_in_forest(cube: RealCube, places: list[Place]) -> None:
    assert len(places) >= 10
    assert len({place.name for place in places}) == len(places)
    taken = np.zeros((100, 100), bool)
    for place in places:
        assert place.row % 2 == place.col % 2 == place.rows % 2 == place.cols % 2 == 0
        # 20 m around each are of no other.
        around = taken[
            max(0, place.row - 2) : place.row + place.rows + 2, max(0, place.col - 2) : place.col + place.cols + 2
        ]
        assert not around.any()
        taken[place.row : place.row + place.rows, place.col : place.col + place.cols] = True
    assert cube.forest.repeat(2, 0).repeat(2, 1)[taken].all()


def test_years_change_places_and_seasons_do_not(cube: RealCube) -> None:
    swapped = cube.with_years_swapped(2017, 2018)
    assert list(swapped.days) == sorted(swapped.days)
    one = cube.days.index(next(day for day in cube.days if day.year == 2018 and day.month == 7))
    there = swapped.days.index(cube.days[one].replace(year=2017))
    assert np.array_equal(swapped.bands["nir"][there], cube.bands["nir"][one])
    assert np.array_equal(swapped.scl[there], cube.scl[one])
    assert swapped.with_years_swapped(2017, 2018).days == cube.days
