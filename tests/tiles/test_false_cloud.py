"""False clouds: what is isolated, what persists, and that neither windows nor months change the answer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from tests.oracles import false_clouds as oracle
from tiles import kernels
from tiles.clear import CLEAR_CLASSES, OBSCURING_CLASSES, ClearParams, SceneClass, class_bits
from tiles.errors import InvalidParameterError
from tiles.false_cloud import (
    BRIGHT_CLASSES,
    CALM_CLASSES,
    CLOUD_CLASSES,
    SPOILING_CLASSES,
    ClassRows,
    CloudMemory,
    FalseCloudParams,
    clear_pixels,
    free_false_clouds,
    isolated_clouds,
)

VEGETATION, BARE, SHADOW, CLOUD = 4, 5, 3, 9
METRES = 20.0
PARAMS = FalseCloudParams()
SMALL = FalseCloudParams(max_extent_m=100, ring_m=40)
CLEAR = ClearParams()
CUT = (slice(20, 28), slice(30, 38))
SETS = (CLOUD_CLASSES, BRIGHT_CLASSES, SPOILING_CLASSES, CALM_CLASSES)
SCL_VALUES = st.sampled_from([0, 1, 2, 3, 4, 4, 4, 4, 4, 4, 4, 5, 5, 6, 7, 8, 9, 9, 10, 11])


def _day(number: int) -> dt.date:
    return dt.date(2019, 6, 1) + dt.timedelta(5 * number)


def _forest(shape: tuple[int, int] = (60, 70)) -> NDArray[np.uint8]:
    return np.full(shape, VEGETATION, np.uint8)


def _with(part: Any, value: int, scl: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    scl = _forest() if scl is None else scl.copy()
    scl[part] = value
    return scl


def _labels(runs: NDArray[np.int32], shape: tuple[int, ...]) -> NDArray[np.int64]:
    labels = np.zeros(shape, np.int64)
    for row, start, stop, blob in runs:
        assert (labels[row, start:stop] == 0).all()
        labels[row, start:stop] = blob + 1
    return labels


def _blobs(scl: NDArray[np.uint8], extent: int, ring: int, cloud_share: float, calm_share: float) -> NDArray[np.int32]:
    cloud, bright, spoiling, calm = map(class_bits, SETS)
    return kernels.isolated_blobs(scl, cloud, bright, spoiling, calm, extent, ring, cloud_share, calm_share)


def _isolated(scl: NDArray[np.uint8], params: FalseCloudParams = PARAMS) -> NDArray[np.bool_]:
    return _labels(isolated_clouds(scl, METRES, params), scl.shape) > 0


def _follow(
    scenes: Sequence[NDArray[np.uint8]],
    days: Sequence[dt.date] | None = None,
    params: FalseCloudParams = PARAMS,
    part: tuple[int, int] | None = None,
    memory: CloudMemory | None = None,
) -> tuple[list[NDArray[np.uint8]], CloudMemory]:
    """Clear pixels of each date over some rows (all by default), and the memory after the last."""
    height, width = scenes[0].shape
    first, end = part or (0, height)
    rows = ClassRows.around(first, end, height, METRES, CLEAR, params)
    memory = memory or CloudMemory.empty((rows.remembered[1] - rows.remembered[0], width))
    out = []
    for scl, day in zip(scenes, days or [_day(number) for number in range(len(scenes))], strict=True):
        read = scl[rows.read[0] : rows.read[1]]
        isolated = isolated_clouds(read, METRES, params)
        clear, memory = clear_pixels(read, isolated, rows, day, memory, METRES, CLEAR, params)
        out.append(clear)
    return out, memory


def _plain(scl: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The plain classification's, by the kernel: `test_kernels` holds it beside its twin."""
    out = np.empty_like(scl)
    kernels.clear_mask(scl, 0, class_bits(CLEAR_CLASSES), class_bits(OBSCURING_CLASSES), 3, out)
    return out


def _broken_sky(dates: int, shape: tuple[int, int], seed: int = 1) -> list[NDArray[np.uint8]]:
    """SIMULATED: clouds of all sizes, some of which stay where they are, with rims, shadows and bare ground."""
    rng = np.random.default_rng(seed)
    scenes = []
    staying = [(rng.integers(0, shape[0]), rng.integers(0, shape[1]), rng.integers(1, 6)) for _ in range(25)]
    for _ in range(dates):
        scl = np.where(rng.random(shape) < 0.02, BARE, VEGETATION).astype(np.uint8)
        passing = [(rng.integers(0, shape[0]), rng.integers(0, shape[1]), rng.integers(1, 14)) for _ in range(9)]
        for row, col, side in passing:
            scl[row + 9 : row + 9 + side, col : col + side] = SHADOW
        for row, col, side in passing + [one for one in staying if rng.random() < 0.8]:
            scl[row : row + side, col : col + side] = rng.choice([7, 8, 9, 9, 9, 10])
        scenes.append(scl)
    return scenes


# --- twins ----------------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(
    hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24), elements=SCL_VALUES),
    st.integers(1, 8),
    st.integers(0, 4),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.sampled_from([0.0, 0.5, 0.8, 1.0]),
)
def test_blobs_are_those_of_the_twin(
    scl: NDArray[np.uint8], extent: int, ring: int, cloud_share: float, calm_share: float
) -> None:
    runs = _blobs(scl, extent, ring, cloud_share, calm_share)
    ours, expected = _labels(runs, scl.shape), oracle.isolated_blobs(scl, *SETS, extent, ring, cloud_share, calm_share)
    np.testing.assert_array_equal(ours > 0, expected > 0)
    pairs = {(int(one), int(other)) for one, other in zip(ours.ravel(), expected.ravel(), strict=True) if one}
    assert len(pairs) == len({one for one, _ in pairs}) == len({other for _, other in pairs})
    assert {one for one, _ in pairs} == set(range(1, len(pairs) + 1))


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_memory_and_freed_pixels_are_those_of_the_twin(data: st.DataObject) -> None:
    shape = data.draw(st.tuples(st.integers(1, 16), st.integers(1, 16)))
    scl = data.draw(hnp.arrays(np.uint8, shape, elements=SCL_VALUES))
    day = data.draw(st.integers(100, 200))
    count = data.draw(hnp.arrays(np.uint8, shape, elements=st.sampled_from([0, 0, 1, 2, 254, 255])))
    last = data.draw(hnp.arrays(np.int16, shape, elements=st.integers(day - 70, day)))
    looks, reach, ring = data.draw(st.integers(2, 3)), data.draw(st.integers(0, 2)), data.draw(st.integers(0, 4))
    share = data.draw(st.sampled_from([0.0, 0.5, 0.8, 1.0]))
    runs = _blobs(scl, 8, 2, 0.5, 0.3)
    expected = oracle.free_persistent_clouds(
        _labels(runs, shape), day, VEGETATION, BARE, looks, 60, reach, ring, share, scl, count, last
    )
    kernels.free_persistent_clouds(runs, 0, day, VEGETATION, BARE, looks, 60, reach, ring, share, scl, count, last)
    for ours, theirs in zip((scl, count, last), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


# --- one date -------------------------------------------------------------------------------------------------------


def test_a_small_cloud_in_clear_forest_is_isolated_and_nothing_else_of_it() -> None:
    np.testing.assert_array_equal(_isolated(_with(CUT, CLOUD)), _with(CUT, CLOUD) == CLOUD)


@pytest.mark.parametrize("value", [0, 2, 4, 5, 6, 7, 10, 11, 12, 255])
def test_what_is_not_called_cloud_is_not_isolated(value: int) -> None:
    assert not _isolated(_with(CUT, value)).any()


@pytest.mark.parametrize("spoiling", [0, 1, 3, 11])
def test_a_cloud_that_touches_its_shadow_or_what_is_not_seen_is_not_isolated(spoiling: int) -> None:
    assert not _isolated(_with((28, 38), spoiling, _with(CUT, CLOUD))).any()


def test_a_cloud_with_a_rim_of_unclassified_pixels_is_isolated_with_its_rim() -> None:
    scl = _with(CUT, CLOUD, _with((slice(19, 29), slice(29, 39)), 7))
    np.testing.assert_array_equal(_isolated(scl), scl != VEGETATION)


def test_a_cloud_among_others_or_over_shaded_ground_is_not_isolated() -> None:
    for value in (CLOUD, SHADOW, 2):
        scl = np.where(np.arange(70) % 2, value, VEGETATION).astype(np.uint8)[None].repeat(60, axis=0)
        assert not _isolated(_with(CUT, CLOUD, _with((slice(18, 30), slice(28, 40)), VEGETATION, scl))).any()


@pytest.mark.parametrize(("side", "isolated"), [(40, True), (41, False)])
def test_a_cloud_larger_than_a_cut_is_not_isolated(side: int, isolated: bool) -> None:
    for shape in ((side, 3), (3, side), (side, side)):
        scl = _with((slice(6, 6 + shape[0]), slice(7, 7 + shape[1])), CLOUD, _forest((90, 90)))
        assert _isolated(scl).any() == isolated


@pytest.mark.parametrize("part", [(0, 5), (59, 5), (5, 0), (5, 69)])
def test_a_cloud_at_the_edge_of_the_tile_is_not_isolated(part: tuple[int, int]) -> None:
    assert not _isolated(_with(part, CLOUD)).any()


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0), (1, 1), (1, 40), (40, 1)])
@pytest.mark.parametrize("value", [VEGETATION, CLOUD])
def test_nothing_and_next_to_nothing_and_all_cloud_are_served(shape: tuple[int, int], value: int) -> None:
    scl = np.full(shape, value, np.uint8)
    (clear, _), memory = _follow([scl, scl])
    np.testing.assert_array_equal(clear, np.full(shape, value == VEGETATION))
    assert memory.count.sum() == 0
    assert isolated_clouds(scl, METRES, PARAMS).shape == (0, 4)


# --- over dates -----------------------------------------------------------------------------------------------------


def test_a_bright_cut_is_freed_on_its_second_date_and_blocks_its_margin_no_more() -> None:
    clear, memory = _follow([_with(CUT, CLOUD)] * 3)
    np.testing.assert_array_equal(clear[0], _plain(_with(CUT, CLOUD)))
    assert clear[0].sum() < clear[0].size
    assert clear[1].all()
    assert clear[2].all()
    assert (memory.count[CUT] == 3).all()
    assert memory.count.sum() == 3 * 64


def test_a_freed_cut_is_read_as_bare_ground_and_the_scene_is_left_as_it_was() -> None:
    scl, rows = _with(CUT, CLOUD), ClassRows((0, 60), (0, 60), (0, 60))
    memory, runs = CloudMemory.empty(scl.shape), isolated_clouds(scl, METRES, PARAMS)
    _, one = free_false_clouds(scl, runs, rows, _day(0), memory, METRES, PARAMS)
    classes, two = free_false_clouds(scl, runs, rows, _day(1), one, METRES, PARAMS)
    np.testing.assert_array_equal(classes, _with(CUT, SceneClass.BARE))
    np.testing.assert_array_equal(scl, _with(CUT, CLOUD))
    assert (memory.count.max(), one.count.max(), two.count.max()) == (0, 1, 2)


def test_a_date_on_which_the_cut_is_called_bare_or_lies_under_real_cloud_does_not_make_it_forgotten() -> None:
    between = [_with(CUT, BARE), np.full((60, 70), CLOUD, np.uint8), np.full((60, 70), SHADOW, np.uint8)]
    clear, _ = _follow([_with(CUT, CLOUD), *between, _with(CUT, CLOUD)])
    assert clear[1].all()
    assert not clear[2].any()
    assert clear[4].all()


def test_vegetation_between_two_clouds_makes_them_clouds() -> None:
    scenes = [_with(CUT, CLOUD), _forest()] * 4
    clear, memory = _follow(scenes)
    for scl, ours in zip(scenes, clear, strict=True):
        np.testing.assert_array_equal(ours, _plain(scl))
    assert memory.count.sum() == memory.last_day.sum() == 0


def test_a_cut_whose_place_moves_by_a_pixel_and_is_patchy_is_freed() -> None:
    scenes = []
    for down, across in ((0, 0), (1, 0), (1, 1), (0, 1), (0, 0)):
        scl = _with((slice(20 + down, 28 + down), slice(30 + across, 38 + across)), CLOUD)
        scl[23 + down, 30 + across :: 2] = np.where(scl[23 + down, 30 + across :: 2] == CLOUD, BARE, VEGETATION)
        scenes.append(scl)
    clear, _ = _follow(scenes)
    assert not clear[0].all()
    assert all(ours.all() for ours in clear[1:])


@pytest.mark.parametrize(("gap", "freed"), [(60, True), (61, False)])
def test_what_was_called_cloud_too_long_ago_no_longer_counts(gap: int, freed: bool) -> None:
    clear, memory = _follow([_with(CUT, CLOUD)] * 2, [_day(0), _day(0) + dt.timedelta(gap)])
    assert clear[1].all() == freed
    assert memory.count[CUT].min() == (2 if freed else 1)


def test_two_scenes_of_one_day_are_one_look() -> None:
    clear, memory = _follow([_with(CUT, CLOUD)] * 2, [_day(0)] * 2)
    np.testing.assert_array_equal(clear[1], _plain(_with(CUT, CLOUD)))
    assert memory.count.max() == 1


def test_three_looks_free_on_the_third() -> None:
    clear, _ = _follow([_with(CUT, CLOUD)] * 3, params=FalseCloudParams(looks=3))
    assert [bool(ours.all()) for ours in clear] == [False, False, True]


def test_a_count_that_is_full_stays_full() -> None:
    _, memory = _follow([_with(CUT, CLOUD)] * 300)
    assert memory.count[CUT].min() == 255


def test_a_real_cloud_over_a_known_cut_stays_masked() -> None:
    # Larger than the cut: what of it lies over the cut says nothing of the rest.
    passing = _with((slice(12, 32), slice(24, 46)), CLOUD)
    clear, _ = _follow([_with(CUT, CLOUD)] * 3 + [passing])
    np.testing.assert_array_equal(clear[3], _plain(passing))


def test_small_clouds_that_drift_by_stay_masked() -> None:
    # Overlapping a little each time, and with no clear look at the ground in between.
    scenes = [_with((slice(20, 28), slice(10 + 5 * step, 18 + 5 * step)), CLOUD) for step in range(8)]
    for scl, ours in zip(scenes, _follow(scenes)[0], strict=True):
        np.testing.assert_array_equal(ours, _plain(scl))


def test_fair_weather_clouds_stay_masked_while_the_cut_below_is_freed() -> None:
    # SIMULATED: forty clouds of 60 to 200 m at random places on each of twelve dates, and one cut that stays.
    rng, scenes = np.random.default_rng(7), []
    cut = (slice(140, 148), slice(150, 158))
    for _ in range(12):
        scl = _forest((300, 300))
        for _ in range(40):
            row, col, side = rng.integers(2, 280), rng.integers(2, 280), rng.integers(3, 11)
            scl[row : row + side, col : col + side] = CLOUD
        scenes.append(_with(cut, CLOUD, scl))
    clear = np.array(_follow(scenes)[0])
    cloud = np.array(scenes) == CLOUD
    cloud[:, 137:151, 147:161] = False
    assert sum(int(_isolated(scl).sum()) for scl in scenes) > 10_000
    # Where one happens to come to lie upon another's place with no look at the forest in between.
    assert clear[cloud].mean() < 0.005
    assert clear[2:, cut[0], cut[1]].mean() > 0.6
    assert np.array([_plain(scl) for scl in scenes])[:, cut[0], cut[1]].sum() == 0


# --- windows and months ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("params", [SMALL, PARAMS])
@pytest.mark.parametrize("height", [16, 37, 64])
def test_rows_of_windows_of_any_height_give_the_same(params: FalseCloudParams, height: int) -> None:
    scenes = _broken_sky(8, (150, 80))
    whole, memory = _follow(scenes, params=params)
    assert sum(int((ours > _plain(scl)).sum()) for scl, ours in zip(scenes, whole, strict=True)) > 300
    for first in range(0, 150, height):
        part = (first, min(first + height, 150))
        ours, remembered = _follow(scenes, params=params, part=part)
        for one, other in zip(ours, whole, strict=True):
            np.testing.assert_array_equal(one, other[part[0] : part[1]])
        kept = ClassRows.around(part[0], part[1], 150, METRES, CLEAR, params).remembered
        np.testing.assert_array_equal(remembered.count, memory.count[kept[0] : kept[1]])
        np.testing.assert_array_equal(remembered.last_day, memory.last_day[kept[0] : kept[1]])


@pytest.mark.parametrize("split", [0, 1, 4, 7, 8])
def test_two_months_in_one_go_or_one_after_the_other_give_the_same(split: int) -> None:
    scenes, days = _broken_sky(8, (90, 80)), [_day(number) for number in range(8)]
    whole, after = _follow(scenes, params=SMALL)
    memory = CloudMemory.empty(scenes[0].shape)
    ours: list[NDArray[np.uint8]] = []
    for part in (slice(0, split), slice(split, 8)):
        if scenes[part]:
            clear, memory = _follow(scenes[part], days[part], SMALL, memory=memory)
            ours += clear
    np.testing.assert_array_equal(np.array(ours), np.array(whole))
    np.testing.assert_array_equal(memory.count, after.count)
    np.testing.assert_array_equal(memory.last_day, after.last_day)


def test_rows_stop_at_the_tile_and_hold_each_other() -> None:
    rows = ClassRows.around(512, 1024, 5490, METRES, CLEAR, PARAMS)
    # 60 m of margin, a cloud of 800 m, 100 m around it; then another, and 100 m of surroundings.
    assert rows == ClassRows((512, 1024), (512 - 48, 1024 + 48), (512 - 93, 1024 + 93))
    assert ClassRows.around(0, 60, 60, METRES, CLEAR, PARAMS) == ClassRows((0, 60), (0, 60), (0, 60))


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_extent_m": 0},
        {"ring_m": -1},
        {"reach_m": 201},
        {"min_calm_share": 1.1},
        {"min_cloud_share": float("nan")},
        {"min_persistent_share": -0.1},
        {"looks": 1},
        {"looks": 256},
        {"max_gap_days": 0},
    ],
)
def test_parameters_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameterError):
        FalseCloudParams(**wrong)


def test_the_clouds_of_real_images_stay_clouds() -> None:
    pytest.importorskip("nrt", reason="the real images come with the package nrt, which is not installed")
    from scripts.demo_archive import read_cube

    cube = read_cube()
    freed = np.array(_follow(list(cube.scl), cube.days)[0])
    np.testing.assert_array_equal(freed, np.array([_plain(scl) for scl in cube.scl]))
    assert sum(len(isolated_clouds(scl, METRES, PARAMS)) for scl in cube.scl) > 5
