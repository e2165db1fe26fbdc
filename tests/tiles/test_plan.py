"""What is read for a tile: the grid of most scenes, the years before, the window that is watched."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from typing import Any

import numpy as np
import pytest
from affine import Affine
from numpy.typing import NDArray
from rasterio.windows import Window

from tests.fakes.forest import Forest
from tests.fakes.reader import FakeReader, grid_of, scene_on
from tiles.catalog import SkippedScene
from tiles.engine import ChangeParams, TilePlan
from tiles.errors import GridError, NoSceneError, SceneReadError
from tiles.grid import Grid
from tiles.month import Month
from tiles.plan import clearest, first_month_needed, plan_tile
from tiles.scene import NEEDED_BANDS, Band, Scene

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

    def block_rows(self, scene: Scene, band: Band) -> int:
        return 16

    def stop(self) -> None:
        raise AssertionError("nothing is interrupted")

    def grid_of(self, scene: Scene, band: Band) -> Grid:
        told = self.told.get((scene.id, band), super().grid_of(scene, band))
        if isinstance(told, SceneReadError):
            raise told
        return told

    @classmethod
    def with_scenes_moved(cls, *scenes: Scene, metres: float = 10) -> Grids:
        own = cls()
        told = {(scene.id, band): _moved(own.grid_of(scene, band), metres) for scene in scenes for band in NEEDED_BANDS}
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


def _pass(day: dt.date, *names: str, alternatives: tuple[str, ...] = ()) -> Scene:
    """A scene of several products."""
    first, *parts = (scene_on(day, scene_id=name) for name in names)
    others = tuple(scene_on(day, scene_id=name) for name in alternatives)
    return dataclasses.replace(first, parts=tuple(parts), alternatives=others)


def _members(plan: TilePlan) -> list[list[str]]:
    return [[product.id for product in scene.members] for scene in plan.scenes]


def test_a_part_on_another_grid_is_left_out_and_the_rest_of_its_pass_is_read() -> None:
    scene = _pass(FIVE[4].day, "c", "b", "a")
    plan, (left,) = _plan([*FIVE[:4], scene], Grids.with_scenes_moved(scene.parts[0]))
    assert _members(plan)[4] == ["c", "a"]
    assert left.id == "b"
    assert "is not that of the tile's other scenes" in left.reason


@pytest.mark.parametrize("said", ["its grid .* is not that of", "its nir raster cannot be opened"])
def test_where_the_preferred_product_cannot_serve_the_alternative_is_read_and_both_are_named(said: str) -> None:
    scene = _pass(FIVE[4].day, "new", alternatives=("old",))
    # Without a footprint, what it stood in for is unknown: it is read as the one product.
    reader = Grids.with_scenes_moved(scene)
    if "opened" in said:
        reader = Grids({("new", Band.NIR): SceneReadError("new", "its nir raster cannot be opened")})
    plan, (left,) = _plan([*FIVE[:4], scene], reader)
    assert _members(plan)[4] == ["old"]
    assert left.id == "new"
    assert re.fullmatch(rf"{said}.*; in its place old is read", left.reason)


class Coded(Grids):
    """The same forest: 1000 more in every band of the scenes with these names; counts what is read of each."""

    def __init__(self, shifted: dict[str, int], broken_red: str = "") -> None:
        super().__init__()
        self.shifted, self.broken_red = shifted, broken_red
        self.read_of: list[str] = []

    def read(self, scene: Scene, band: Band, window: Window, out: NDArray[Any]) -> None:
        self.read_of.append(scene.id)
        if (scene.id, band) == (self.broken_red, Band.RED):
            raise SceneReadError(scene.id, "its red raster is damaged or cut short")
        super().read(scene, band, window, out)
        if band is not Band.SCL:
            out += np.uint16(self.shifted.get(scene.id, 0))


def _undecided(scene: Scene) -> Scene:
    parts = tuple(dataclasses.replace(part, dn_offset=None) for part in scene.parts)
    return dataclasses.replace(scene, dn_offset=None, parts=parts)


def test_offsets_that_the_items_do_not_tell_are_decided_from_pixels_and_recorded() -> None:
    scenes = [*FIVE[:3], _undecided(FIVE[3]), _undecided(_pass(FIVE[4].day, "a", "b"))]
    reader = Coded({FIVE[3].id: 1000, "b": 1000})
    plan, skipped = _plan(scenes, reader)
    assert skipped == []
    products = [product for scene in plan.scenes for product in scene.members]
    assert [product.dn_offset for product in products] == [0, 0, 0, -1000, 0, -1000]
    # Those whose items tell are not looked at.
    assert set(reader.read_of) == {FIVE[3].id, "a", "b"}
    evidence = [product.offset_evidence for product in products]
    assert evidence[:3] == [None] * 3
    assert re.match(r"offset -1000 decided from pixels: p1 = 1[23]\d\d over \d+ pixels", evidence[3] or "")
    assert re.match(r"offset 0 decided from pixels: p1 = [23]\d\d over", evidence[4] or "")


def test_a_scene_whose_pixels_do_not_tell_either_is_set_aside_with_the_figure() -> None:
    plan, (left,) = _plan([*FIVE[:4], _undecided(FIVE[4])], Coded({FIVE[4].id: 500}))
    assert plan.scenes == tuple(FIVE[:4])
    assert left.id == FIVE[4].id
    assert re.search(
        r"pixels do not tell \(p1 = 7\d\d over \d+ pixels of vegetation in red\); it is set aside", left.reason
    )
    assert not left.superseded


def test_a_scene_that_breaks_while_its_offset_is_sought_is_left_out_as_unreadable() -> None:
    plan, (left,) = _plan([*FIVE[:4], _undecided(FIVE[4])], Coded({}, broken_red=FIVE[4].id))
    assert plan.scenes == tuple(FIVE[:4])
    assert left.reason == "its red raster is damaged or cut short"


def test_the_clearest_scenes_of_each_month_are_kept_and_those_of_unknown_cloud() -> None:
    clouds = {1: 0.9, 6: 0.1, 11: None, 16: 0.4, 21: 0.1}
    scenes = [
        dataclasses.replace(scene_on(dt.date(2019, month, day)), cloud_share=cloud)
        for month in (5, 6)
        for day, cloud in clouds.items()
    ]
    for per_month, days in ((0, [11]), (1, [6, 11]), (2, [6, 11, 21]), (9, [1, 6, 11, 16, 21])):
        kept = clearest(scenes[::-1], per_month)
        assert [(scene.day.month, scene.day.day) for scene in kept] == [(m, d) for m in (5, 6) for d in days]


def test_a_narrow_swath_without_cloud_takes_no_place_from_a_tile_that_is_half_clear() -> None:
    def seen(day: int, share: float | None, cloud: float) -> Scene:
        return dataclasses.replace(scene_on(dt.date(2019, 5, day)), seen_share=share, cloud_share=cloud)

    strip, half, hazy, whole = seen(1, 0.1, 0.0), seen(6, 1.0, 0.5), seen(11, 0.6, 0.3), seen(16, None, 0.7)
    scenes = [strip, half, hazy, whole]
    # Clear: 0.10, 0.50, 0.42 and 0.30 of the tile.
    for per_month, kept in ((1, [half]), (2, [half, hazy]), (3, [half, hazy, whole]), (4, scenes)):
        assert clearest(scenes, per_month) == kept
    # Two halves of a pass see the tile together.
    halves = dataclasses.replace(seen(21, 0.5, 0.2), parts=(seen(22, 0.5, 0.4),))
    assert clearest([*scenes, halves], 1) == [halves]
