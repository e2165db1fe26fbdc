"""Which dates of a month are read in a window."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from rasterio.windows import Window

from tests.fakes.forest import Forest, days_of
from tests.fakes.reader import FakeReader, KeepingSink, plan_of
from tests.oracles import pixels as oracle
from tiles import kernels
from tiles.change import PixelState
from tiles.clear import ClearParams
from tiles.engine import ChangeParams, make_change_map
from tiles.errors import InvalidParameterError
from tiles.looks import by_month, dates_worth_reading
from tiles.month import Month
from tiles.scene import Band, Scene
from tiles.state import StateReader, StateWriter
from tiles.watch import WatchedArea

JUNE = dt.date(2019, 6, 1)


def _june(*days: int) -> list[dt.date]:
    return [JUNE.replace(day=day) for day in days]


def _chosen(clear: list[list[int]], days: list[dt.date], least: float = 2.0) -> list[int]:
    looks = np.array(clear, np.uint8)
    kept = dates_worth_reading(looks, days, np.asarray(looks.any(axis=1)), least)
    return [day.day for day, chosen in zip(days, kept, strict=True) if chosen]


@settings(max_examples=80, deadline=None)
@given(
    st.integers(1, 6).flatmap(
        lambda dates: st.tuples(
            hnp.arrays(np.uint8, st.tuples(st.just(dates), st.integers(0, 5)), elements=st.integers(0, 1)),
            hnp.arrays(np.bool_, dates),
            # Two passes of one day too.
            st.lists(st.integers(0, 29), min_size=dates, max_size=dates).map(sorted),
        )
    ),
    st.integers(1, 3),
)
def test_days_saved_are_those_of_every_loss_followed(
    month: tuple[NDArray[np.uint8], NDArray[np.bool_], list[int]], heaviest: int
) -> None:
    clear, kept, days = month
    weights = np.arange(clear.shape[1], dtype=np.int64) % heaviest + 1
    out = np.full(len(days), -1, np.int64)
    kernels.days_saved(clear, weights, kept, np.array(days, np.int64), 30, out)
    assert out.tolist() == oracle.days_saved(np.repeat(clear, weights, axis=1), kept, days, 30)


def test_of_dates_close_together_few_are_read_and_a_lone_one_always_is() -> None:
    everywhere = [1] * 10
    # Of the three in a row the middle one tells least; the two others confirm each other.
    assert _chosen([everywhere] * 4, _june(2, 3, 5, 20)) == [2, 5, 20]
    assert _chosen([everywhere], _june(28)) == [28]
    assert _chosen([everywhere] * 6, _june(1, 6, 11, 16, 21, 26)) == [1, 6, 11, 16, 21, 26]
    assert _chosen([everywhere] * 4, _june(2, 3, 5, 20), least=0) == [2, 3, 5, 20]


def test_what_shows_forest_that_no_other_date_shows_is_read() -> None:
    left, right = [1] * 9 + [0], [0] * 9 + [1]
    assert _chosen([left, right, left, left], _june(4, 5, 14, 24)) == [4, 5, 14, 24]
    # A pixel in a hundred is worth less than two days to the mean one.
    left, right = [1] * 99 + [0], [0] * 99 + [1]
    assert 5 in _chosen([left, right, left, left], _june(4, 5, 14, 24), least=0.5)
    assert 5 not in _chosen([left, right, left, left], _june(4, 5, 14, 24), least=1.5)


def test_what_is_not_allowed_is_not_chosen_and_nothing_of_nothing() -> None:
    looks, days = np.ones((2, 4), np.uint8), _june(4, 18)
    assert dates_worth_reading(looks, days, np.array([False, True]), 2.0).tolist() == [False, True]
    assert dates_worth_reading(looks, days, np.zeros(2, bool), 2.0).tolist() == [False, False]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_each_date_that_is_read_saves_enough(seed: int) -> None:
    rng = np.random.default_rng(seed)
    days = [JUNE + dt.timedelta(int(day)) for day in np.sort(rng.choice(30, 10, replace=False))]
    looks = (rng.random((10, 50)) < rng.random(10)[:, None]).astype(np.uint8)
    kept = dates_worth_reading(looks, days, np.ones(10, bool), 2.0)
    offsets = [(day - JUNE).days for day in days]
    saved = np.array(oracle.days_saved(looks, kept, offsets, 30)) / (30 * 50)
    assert (saved[kept] >= 2.0).all()
    assert kept.any()


@pytest.mark.parametrize("dates", [12, 64, 65])
def test_pixels_that_are_alike_are_counted_together_and_none_is_lost(dates: int) -> None:
    rng = np.random.default_rng(dates)
    # Pixels differ in the first and in the last dates alone: neither is lost where there are many.
    clear = np.ones((dates, 400), np.uint8)
    clear[[0, 1, -2, -1]] = rng.random((4, 400)) < 0.5
    days = sorted(JUNE + dt.timedelta(int(day)) for day in rng.integers(0, 30, dates))
    offsets, saved = np.array([(day - JUNE).days for day in days], np.int64), np.empty(dates, np.int64)
    for least in (0.05, 0.5, 2.0):
        kept = np.ones(dates, bool)
        while kept.any():
            kernels.days_saved(clear, np.ones(400, np.int64), kept, offsets, 30, saved)
            if saved[kept].min() >= least * 30 * 400:
                break
            kept[np.where(kept, saved, saved.max() + 1).argmin()] = False
        assert dates_worth_reading(clear, days, np.ones(dates, bool), least).tolist() == kept.tolist()
        assert kept.any()


def test_months_are_parted_where_they_change() -> None:
    days = [dt.date(2018, 6, 30), *_june(1, 2), dt.date(2019, 7, 1)]
    assert [(part.start, part.stop) for part in by_month(days)] == [(0, 1), (1, 3), (3, 4)]
    assert list(by_month([])) == []


@pytest.mark.parametrize("least", [-0.1, 31.0])
def test_days_that_no_month_has_are_refused(least: float) -> None:
    with pytest.raises(InvalidParameterError, match="least_days_saved"):
        ClearParams(least_days_saved=least)


def test_a_month_of_daily_dates_is_read_in_part_and_tells_the_felling_as_well() -> None:
    forest = Forest(felled_on=dt.date(2019, 7, 11))
    reference = days_of(dt.date(2016, 7, 3), dt.date(2018, 6, 30), 24)
    july = days_of(dt.date(2019, 7, 1), dt.date(2019, 7, 30), 1)
    results = {}
    for least in (0.0, 2.0):
        plan, sink, reader = plan_of(forest, Month(2019, 7), reference, july), KeepingSink(forest.shape), None
        reader = FakeReader(forest)
        params = ChangeParams(dataclasses.replace(ClearParams(), least_days_saved=least))
        tally = make_change_map(plan, WatchedArea().on(plan.grid), reader, sink, params, 2)
        np.testing.assert_array_equal(sink.state == PixelState.CONFIRMED, forest.mask())
        results[least] = tally, sink.band("first_low")[forest.mask()].max()
    (all_read, first), (some_read, later) = results[0.0], results[2.0]
    assert all_read.bands_read == len(reference) + len(july)
    # The reference's dates are read whatever the days between.
    assert len(reference) + 5 <= some_read.bands_read <= len(reference) + 12
    assert some_read.bands_read + some_read.bands_left == all_read.bands_read
    assert 0 <= later - first <= 6


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_two_months_in_one_go_read_the_same_dates_as_one_after_the_other(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    june, july = days_of(JUNE, dt.date(2019, 6, 30), 2), days_of(dt.date(2019, 7, 2), dt.date(2019, 7, 31), 2)
    cloudy = frozenset(day for day in june + july if rng.random() < 0.4)
    forest = Forest(felled_on=dt.date(2019, 6, 22), cloudy=cloudy)
    reference = days_of(dt.date(2016, 7, 3), dt.date(2018, 6, 30), 24)
    params, watched = ChangeParams(ClearParams(least_days_saved=2.0)), WatchedArea()

    def run(month: Month, monitored: list[dt.date], built: list[dt.date], **state: Any) -> tuple[KeepingSink, set[Any]]:
        plan, sink, reader = plan_of(forest, month, built, monitored), KeepingSink(forest.shape), Recording(forest)
        make_change_map(plan, watched.on(plan.grid), reader, sink, params, 2, **state)
        return sink, reader.read_on

    at_once, read_at_once = run(Month(2019, 7), june + july, reference)
    with StateWriter(tmp_path, 1 + 2 * params.reference.order) as keeper:
        _, read_in_june = run(Month(2019, 6), june, reference, keeper=keeper)
    known = StateReader(tmp_path, tmp_path, keeper.checksums())
    after, read_in_july = run(Month(2019, 7), july, [], known=known)
    assert read_at_once == read_in_june | read_in_july
    assert len(read_in_july) < len(set(july) - cloudy)
    np.testing.assert_array_equal(after.state, at_once.state)
    np.testing.assert_array_equal(after.change, at_once.change)


class Recording(FakeReader):
    """Remembers of which days red was read."""

    def __init__(self, forest: Forest) -> None:
        super().__init__(forest)
        self.read_on: set[dt.date] = set()

    def read(self, scene: Scene, band: Band, window: Window, out: NDArray[Any]) -> None:
        super().read(scene, band, window, out)
        if band is Band.RED:
            self.read_on.add(scene.day)
