"""What is read for a tile: the grid of most scenes, the years before, the window that is watched."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re

import pytest
from affine import Affine

from tests.fakes.forest import Forest
from tests.fakes.reader import FakeReader, grid_of, scene_on
from tiles.catalog import SkippedScene
from tiles.engine import ChangeParams, TilePlan
from tiles.errors import GridError, NoSceneError, SceneReadError
from tiles.grid import Grid
from tiles.month import Month
from tiles.plan import first_month_needed, plan_tile
from tiles.scene import Band, Scene

MONTH = Month(2019, 7)
SHAPE = (33, 47)
PARAMS = ChangeParams()


def _moved(grid: Grid, metres: float) -> Grid:
    a, b, c, d, e, f = grid.transform[:6]
    return dataclasses.replace(grid, transform=Affine(a, b, c + metres, d, e, f))


class Grids(FakeReader):
    """A reader of which single grids are told."""

    def __init__(self, told: dict[tuple[str, Band], Grid | SceneReadError] | None = None) -> None:
        super().__init__(Forest(shape=SHAPE))
        self.told = told or {}

    def grid_of(self, scene: Scene, band: Band) -> Grid:
        told = self.told.get((scene.id, band), super().grid_of(scene, band))
        if isinstance(told, SceneReadError):
            raise told
        return told

    @classmethod
    def with_scenes_moved(cls, *scenes: Scene, metres: float = 10) -> Grids:
        own = cls()
        told = {(scene.id, band): _moved(own.grid_of(scene, band), metres) for scene in scenes for band in Band}
        return cls({**told})


def _scenes(*days: tuple[int, int, int]) -> list[Scene]:
    return [scene_on(dt.date(*day)) for day in days]


FIVE = _scenes((2017, 6, 1), (2017, 11, 30), (2017, 12, 1), (2019, 7, 1), (2019, 7, 20))


def _plan(scenes: list[Scene], reader: FakeReader) -> tuple[TilePlan, list[SkippedScene]]:
    return plan_tile("31TDK", scenes, MONTH, reader, PARAMS)


def test_scenes_are_split_where_the_months_that_are_followed_begin() -> None:
    plan, skipped = _plan(FIVE, Grids())
    assert plan.reference == tuple(FIVE[:2])
    assert plan.monitored == tuple(FIVE[2:])
    assert plan.scenes == tuple(FIVE)
    assert plan.grid == grid_of(SHAPE)
    assert plan.pixels_per_class == 2
    assert skipped == []


def test_three_years_before_the_twenty_months_that_are_followed_are_needed() -> None:
    assert first_month_needed(MONTH, PARAMS) == Month(2014, 12)


def test_a_scene_on_another_grid_is_left_out_and_both_grids_are_named() -> None:
    plan, skipped = _plan(FIVE, Grids.with_scenes_moved(FIVE[0]))
    assert plan.scenes == tuple(FIVE[1:])
    assert [left.id for left in skipped] == [FIVE[0].id]
    assert "is not that of the tile's other scenes" in skipped[0].reason
    assert not skipped[0].superseded


def test_the_grid_of_most_scenes_wins_even_against_the_oldest_ones() -> None:
    plan, skipped = _plan(FIVE, Grids.with_scenes_moved(*FIVE[2:]))
    assert plan.grid.bounds[0] == grid_of(SHAPE).bounds[0] + 10
    assert [left.id for left in skipped] == [scene.id for scene in FIVE[:2]]


def test_a_grid_that_is_the_same_to_a_thousandth_of_a_pixel_is_no_other() -> None:
    plan, skipped = _plan(FIVE, Grids.with_scenes_moved(FIVE[0], metres=0.005))
    assert plan.scenes == tuple(FIVE)
    assert skipped == []


def test_a_draw_between_two_grids_is_not_guessed() -> None:
    with pytest.raises(GridError, match="31TDK lie on different grids"):
        _plan(FIVE[1:], Grids.with_scenes_moved(*FIVE[3:]))


@pytest.mark.parametrize(
    ("band", "grid", "said"),
    [
        (Band.NIR, grid_of(SHAPE, 2), "red .* and near-infrared .* differ in grid"),
        (Band.NIR, _moved(grid_of(SHAPE), 10), "differ in grid"),
        (Band.SCL, _moved(grid_of(SHAPE, 2), 10), "classification .* does not lie on its bands"),
        (Band.SCL, grid_of((SHAPE[0] + 2, SHAPE[1]), 2), "does not lie on its bands"),
        (Band.SCL, grid_of(SHAPE, 6), "does not lie on its bands"),
        (Band.RED, SceneReadError("x", "its red raster cannot be opened"), "cannot be opened"),
    ],
)
def test_a_scene_whose_rasters_do_not_fit_together_is_left_out(
    band: Band, grid: Grid | SceneReadError, said: str
) -> None:
    plan, (left,) = _plan(FIVE, Grids({(FIVE[1].id, band): grid}))
    assert FIVE[1] not in plan.scenes
    assert left.id == FIVE[1].id
    assert re.search(said, left.reason)
    assert not left.superseded


def test_the_classification_of_most_scenes_wins_even_against_the_oldest_one() -> None:
    plan, (left,) = _plan(FIVE, Grids({(FIVE[0].id, Band.SCL): grid_of(SHAPE, 1)}))
    assert plan.pixels_per_class == 2
    assert plan.scenes == tuple(FIVE[1:])
    assert left.id == FIVE[0].id
    assert "classification" in left.reason


def test_a_classification_as_fine_as_the_bands_is_taken() -> None:
    plan, _ = _plan(FIVE, Grids({(scene.id, Band.SCL): grid_of(SHAPE, 1) for scene in FIVE}))
    assert plan.pixels_per_class == 1


def test_without_a_scene_in_the_month_there_is_nothing_to_look_at() -> None:
    with pytest.raises(NoSceneError, match=r"31TDK has no usable scene in 2019-07\."):
        _plan(FIVE[:3], Grids())


def test_when_the_months_only_scene_is_unreadable_it_is_named() -> None:
    broken = {(FIVE[4].id, Band.NIR): SceneReadError(FIVE[4].id, "its nir raster cannot be opened")}
    scenes = [*FIVE[:3], FIVE[4]]
    with pytest.raises(NoSceneError, match=rf"no usable scene in 2019-07 .*{FIVE[4].id}.*its nir raster"):
        _plan(scenes, Grids({**broken}))


def test_when_no_scene_can_be_read_there_is_no_scene() -> None:
    broken = {(scene.id, Band.RED): SceneReadError(scene.id, "its red raster cannot be opened") for scene in FIVE}
    with pytest.raises(NoSceneError, match="no scene that can be read"):
        _plan(FIVE, Grids({**broken}))
