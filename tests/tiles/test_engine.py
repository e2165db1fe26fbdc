"""The engine over a forest drawn by hand: the answer is known, however the windows and the threads are laid."""

from __future__ import annotations

import dataclasses
import datetime as dt
import threading
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from rasterio.windows import Window

from tests.fakes.archive import write_raster
from tests.fakes.forest import FELLED_NDVI, FOREST_NDVI, Forest, days_of
from tests.fakes.reader import FakeReader, KeepingSink, grid_of, plan_of
from tests.oracles import pixels as oracle
from tiles import engine
from tiles.change import NO_VALUE, PixelState
from tiles.clear import CLEAR_CLASSES, OBSCURING_CLASSES, ClearParams
from tiles.engine import ChangeParams, Tally, forest_runs, make_change_map
from tiles.errors import SceneReadError
from tiles.monitor import MonitorParams
from tiles.month import Month, day_number
from tiles.scene import NEEDED_BANDS, Band
from tiles.watch import WatchedArea

MONTH = Month(2019, 7)
REFERENCE = days_of(dt.date(2016, 7, 3), dt.date(2018, 6, 30), 24)
MONITORED = days_of(dt.date(2018, 8, 3), dt.date(2019, 7, 29), 16)
FELLED_ON = MONITORED[18]
HAZY, CLOUDY = MONITORED[14], MONITORED[20]
FOREST = Forest(felled_on=FELLED_ON, hazy=frozenset({HAZY}), cloudy=frozenset({CLOUDY}))
#: Dates on which something was said after the felling: all but the cloudy one.
LOWS = len(MONITORED) - 18 - 1


def _run(
    forest: Forest = FOREST,
    threads: int = 1,
    watched: WatchedArea | None = None,
    reader: FakeReader | None = None,
    **params: Any,
) -> tuple[KeepingSink, Tally, FakeReader]:
    plan = plan_of(forest, MONTH, REFERENCE, MONITORED)
    sink, reader = KeepingSink(forest.shape), reader or FakeReader(forest)
    changed = dataclasses.replace(ChangeParams(), monitor=MonitorParams(**params))
    tally = make_change_map(plan, (watched or WatchedArea()).on(plan.grid), reader, sink, changed, threads)
    return sink, tally, reader


def _small_windows(monkeypatch: pytest.MonkeyPatch, side: int) -> dict[str, Any]:
    """Windows of this side, a cell each, each measured by its own pixels."""
    monkeypatch.setattr(engine, "WINDOW_PX", side)
    return {"cell_px": side, "min_cell_px": 1, "min_window_px": 1}


def _as_drawn(forest: Forest, sink: KeepingSink, watched: NDArray[np.bool_] | None = None) -> None:
    """The felled pixels are confirmed, dated and measured; the others intact, or not watched."""
    watched = np.ones(forest.shape, bool) if watched is None else watched
    felled = forest.mask() & watched
    expected = np.where(felled, PixelState.CONFIRMED, PixelState.INTACT)
    np.testing.assert_array_equal(sink.state, np.where(watched, expected, PixelState.NOT_FOREST))
    np.testing.assert_array_equal(sink.band("n_low"), np.where(felled, LOWS, NO_VALUE))
    np.testing.assert_array_equal(sink.band("n_clear_after"), np.where(felled, LOWS, NO_VALUE))
    # The hazy date is not counted among those that say something, and the reference has all of its own.
    np.testing.assert_array_equal(sink.band("n_clear_before"), np.where(felled, len(REFERENCE) + 17, NO_VALUE))
    for name, day in (("first_low", FELLED_ON), ("last_intact", MONITORED[17])):
        np.testing.assert_array_equal(sink.band(name), np.where(felled, day_number(day), NO_VALUE))
    # The noise drawn is 0.01 a pixel and day; six dates or more make a mean of it.
    for name, ndvi in (("ndvi_before", FOREST_NDVI), ("ndvi_after", FELLED_NDVI)):
        assert np.abs(sink.band(name)[felled] / 1e4 - ndvi).max() < 0.03
    np.testing.assert_array_equal(
        sink.band("ndvi_drop")[felled], (sink.band("ndvi_before") - sink.band("ndvi_after"))[felled]
    )


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize(("shape", "size"), [((48, 48), 2), ((47, 49), 2), ((33, 51), 1)])
def test_a_felling_is_found_dated_and_measured_beside_haze_and_cloud(
    shape: tuple[int, int], size: int, threads: int
) -> None:
    forest = dataclasses.replace(FOREST, shape=shape, pixels_per_class=size)
    sink, tally, _ = _run(forest, threads)
    _as_drawn(forest, sink)
    felled, pixels = int(forest.mask().sum()), shape[0] * shape[1]
    assert (tally.watched, tally.with_reference, tally.observed) == (pixels,) * 3
    assert (tally.confirmed, tally.provisional) == (felled, 0)
    assert tally.bands_left == 1
    assert tally.bands_read == len(REFERENCE) + len(MONITORED) - 1


def test_numbers_with_esas_offset_give_the_same_map() -> None:
    without, with_offset = _run()[0], _run(dataclasses.replace(FOREST, dn_offset=-1000))[0]
    np.testing.assert_array_equal(without.state, with_offset.state)
    np.testing.assert_array_equal(without.change, with_offset.change)


@pytest.mark.parametrize("side", [16, 32])
@pytest.mark.parametrize("shape", [(64, 64), (61, 75)])
def test_a_grid_of_many_windows_gives_the_same_map_by_any_threads(
    monkeypatch: pytest.MonkeyPatch, side: int, shape: tuple[int, int]
) -> None:
    # The felling lies across windows, and takes no more than a sixth of any: more would be noise.
    forest = dataclasses.replace(FOREST, shape=shape, felled=(slice(29, 34), slice(27, 35)))
    params = _small_windows(monkeypatch, side)
    sinks = [_run(forest, threads, **params)[0] for threads in (1, 2, 4)]
    _as_drawn(forest, sinks[0])
    for sink in sinks[1:]:
        np.testing.assert_array_equal(sink.state, sinks[0].state)
        np.testing.assert_array_equal(sink.change, sinks[0].change)


def test_the_same_cells_give_the_same_map_in_small_windows_as_in_a_large_one(monkeypatch: pytest.MonkeyPatch) -> None:
    forest = dataclasses.replace(FOREST, shape=(61, 75), felled=(slice(29, 34), slice(27, 35)), noise=0.03)
    params: dict[str, Any] = {"cell_px": 16, "min_cell_px": 1, "min_window_px": 1}
    large = _run(forest, 2, **params)[0]
    small = _run(forest, 2, **_small_windows(monkeypatch, 16))[0]
    np.testing.assert_array_equal(small.state, large.state)
    np.testing.assert_array_equal(small.change, large.change)
    assert {PixelState.INTACT, PixelState.CONFIRMED} <= set(np.unique(large.state))


def _watched(tmp_path: Path, forest: NDArray[np.bool_], aoi: Window) -> tuple[WatchedArea, NDArray[np.bool_]]:
    raster = write_raster(tmp_path / "forest.tif", forest.astype(np.uint8))
    area = gpd.GeoSeries([shapely.box(*grid_of(forest.shape).window_bounds(aoi))], crs=32631)
    area.to_crs(4326).to_file(tmp_path / "aoi.gpkg")
    inside = np.zeros(forest.shape, bool)
    inside[aoi.toslices()] = True
    return WatchedArea.open(raster, tmp_path / "aoi.gpkg"), forest & inside


def test_only_forest_inside_the_area_is_looked_at(tmp_path: Path) -> None:
    wooded = np.ones(FOREST.shape, bool)
    wooded[12:15, 22:25] = wooded[:, 40:43] = False
    watched, mask = _watched(tmp_path, wooded, Window(3, 2, 42, 44))
    sink, tally, _ = _run(watched=watched, threads=2)
    _as_drawn(FOREST, sink, mask)
    assert tally.watched == mask.sum()


def test_windows_without_forest_are_never_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forest = dataclasses.replace(FOREST, shape=(64, 64))
    params = _small_windows(monkeypatch, 16)
    wooded = np.zeros(forest.shape, bool)
    wooded[16:32, 16:48] = True
    watched, mask = _watched(tmp_path, wooded, Window(0, 0, 64, 64))
    sink, tally, reader = _run(forest, 2, watched, **params)
    assert {(row, col) for band, row, col in reader.reads if band is not Band.SCL} == {(16, 16), (16, 32)}
    # Classification is read a row of windows at a time, and of the one row that holds forest alone.
    assert len({row for band, row, _ in reader.reads if band is Band.SCL}) == 1
    assert ((sink.state == PixelState.NOT_FOREST) == ~mask).all()
    assert tally.watched == 16 * 32


def test_windows_without_a_clear_pixel_are_never_read() -> None:
    sink, tally, reader = _run(dataclasses.replace(FOREST, cloudy=frozenset(MONITORED[5:] + REFERENCE[:4])))
    read = len(REFERENCE) - 4 + 5
    assert reader.reads[Band.RED, 0, 0] == reader.reads[Band.NIR, 0, 0] == tally.bands_read == read
    assert tally.bands_left == len(MONITORED) - 5 + 4
    assert (sink.state == PixelState.UNOBSERVED).all()
    assert tally.observed == 0


def test_under_permanent_cloud_nothing_but_classifications_is_read() -> None:
    sink, tally, reader = _run(dataclasses.replace(FOREST, cloudy=frozenset(MONITORED + REFERENCE)))
    assert {band for band, _, _ in reader.reads} == {Band.SCL}
    assert (sink.state == PixelState.UNOBSERVED).all()
    assert (tally.with_reference, tally.bands_read) == (0, 0)


def test_a_felling_seen_once_is_provisional_and_twice_confirmed() -> None:
    last = dataclasses.replace(FOREST, felled_on=MONITORED[-1])
    sink, tally, _ = _run(last)
    assert (sink.state[last.mask()] == PixelState.PROVISIONAL).all()
    assert (tally.provisional, tally.confirmed) == (last.mask().sum(), 0)
    twice = dataclasses.replace(FOREST, felled_on=MONITORED[-2])
    assert (_run(twice)[0].state[twice.mask()] == PixelState.CONFIRMED).all()


def test_a_lone_bright_low_is_undecided_not_a_loss() -> None:
    # A small cloud that the classification calls clear: over the felled place, and on the last date alone.
    class Clouded(Forest):
        def bands(self, day: dt.date) -> tuple[NDArray[np.uint16], NDArray[np.uint16], NDArray[np.uint8]]:
            red, nir, scl = super().bands(day)
            if day == MONITORED[-1]:
                red[self.felled], nir[self.felled] = 3500, 4500
            return red, nir, scl

    forest = Clouded(felled_on=dt.date(2030, 1, 1))
    sink, tally, _ = _run(forest)
    assert (sink.state[forest.mask()] == PixelState.UNOBSERVED).all()
    assert (sink.state[~forest.mask()] == PixelState.INTACT).all()
    assert tally.provisional + tally.confirmed == 0
    assert tally.observed == (~forest.mask()).sum()


def test_without_a_clear_date_in_the_month_an_older_loss_stands_and_the_rest_is_unobserved() -> None:
    in_july = frozenset(day for day in MONITORED if day >= MONTH.first_day)
    sink, tally, _ = _run(dataclasses.replace(FOREST, cloudy=in_july, felled_on=MONITORED[16]))
    assert (sink.state[FOREST.mask()] == PixelState.CONFIRMED).all()
    assert (sink.state[~FOREST.mask()] == PixelState.UNOBSERVED).all()
    assert tally.observed == 0


def test_what_was_felled_before_the_watched_year_is_no_loss_of_it() -> None:
    forest = dataclasses.replace(FOREST, felled_on=REFERENCE[len(REFERENCE) // 2])
    sink, _, _ = _run(forest)
    assert not np.isin(sink.state, (PixelState.CONFIRMED, PixelState.PROVISIONAL)).any()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("band", list(NEEDED_BANDS))
def test_a_scene_that_cannot_be_read_stops_the_run_and_is_named(
    monkeypatch: pytest.MonkeyPatch, band: Band, threads: int
) -> None:
    forest = dataclasses.replace(FOREST, shape=(64, 64))
    params = _small_windows(monkeypatch, 16)
    reader = FakeReader(forest, broken=(MONITORED[3], band))
    before = threading.active_count()
    with pytest.raises(SceneReadError, match="damaged") as caught:
        _run(forest, threads, reader=reader, **params)
    assert caught.value.scene_id == f"S2_{MONITORED[3]:%Y%m%d}"
    assert threading.active_count() == before
    # It stopped early: of four rows of windows, those in the queue were read at most.
    assert {row for kind, row, _ in reader.reads if kind is Band.NIR} <= {0, 16}


class _FullDisk(KeepingSink):
    def write(self, window: Window, change: NDArray[np.int16] | None, state: NDArray[np.uint8]) -> None:
        raise OSError(28, "No space left on device")


def test_a_disk_that_is_full_stops_the_run() -> None:
    plan, before = plan_of(FOREST, MONTH, REFERENCE, MONITORED), threading.active_count()
    watched, reader = WatchedArea().on(plan.grid), FakeReader(FOREST)
    with pytest.raises(OSError, match="No space left"):
        make_change_map(plan, watched, reader, _FullDisk(FOREST.shape), ChangeParams(), 2)
    assert threading.active_count() == before


def test_progress_counts_each_window_once_and_ends_with_all(monkeypatch: pytest.MonkeyPatch) -> None:
    forest, told = dataclasses.replace(FOREST, shape=(40, 50)), []
    params = dataclasses.replace(ChangeParams(), monitor=MonitorParams(**_small_windows(monkeypatch, 16)))
    plan = plan_of(forest, MONTH, REFERENCE, MONITORED)
    watched, sink = WatchedArea().on(plan.grid), KeepingSink(forest.shape)
    make_change_map(plan, watched, FakeReader(forest), sink, params, 2, lambda *done: told.append(done))
    assert told == [(done, 12) for done in range(1, 13)]


@pytest.mark.parametrize("size", [1, 2])
def test_the_margin_around_a_cloud_is_kept_across_windows(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    # One cloud in the corner of a window, on every date of the last year: its margin reaches three other windows.
    class Spotted(Forest):
        def bands(self, day: dt.date) -> tuple[NDArray[np.uint16], NDArray[np.uint16], NDArray[np.uint8]]:
            red, nir, scl = super().bands(day)
            if day >= MONITORED[0]:
                scl[16 // size, 16 // size] = 9
            return red, nir, scl

    forest = Spotted(shape=(48, 48), felled_on=dt.date(2030, 1, 1), pixels_per_class=size)
    sink, _, _ = _run(forest, 2, **_small_windows(monkeypatch, 16))
    scl = forest.bands(MONITORED[0])[2]
    clear = oracle.clear_mask(scl, 0, CLEAR_CLASSES, OBSCURING_CLASSES, 6 // size, scl.shape[0])
    clear = clear.repeat(size, axis=0).repeat(size, axis=1)
    assert 100 < (clear == 0).sum() < 300
    np.testing.assert_array_equal(sink.state, np.where(clear, PixelState.INTACT, PixelState.UNOBSERVED))


@settings(max_examples=50, deadline=None)
@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12)), st.integers(1, 13))
def test_runs_list_each_watched_pixel_once_cell_after_cell(mask: NDArray[np.bool_], cell_px: int) -> None:
    runs, cells = forest_runs(mask, cell_px)
    seen = np.full(mask.shape, -1)
    for row, start, stop, place in runs:
        assert stop > start
        assert (seen[row, start:stop] == -1).all()
        seen[row, start:stop] = np.arange(place, place + stop - start)
    np.testing.assert_array_equal(seen >= 0, mask)
    assert sorted(seen[mask]) == list(range(mask.sum()))
    corners = [(top, left) for top in range(0, mask.shape[0], cell_px) for left in range(0, mask.shape[1], cell_px)]
    assert len(cells) == len(corners) + 1
    for (top, left), first, last in zip(corners, cells, cells[1:], strict=False):
        places = seen[top : top + cell_px, left : left + cell_px]
        assert sorted(places[places >= 0]) == list(range(first, last))


@pytest.mark.parametrize("rows_of_blocks", [1, 4, 7, 64])
@pytest.mark.parametrize("size", [1, 2])
def test_no_row_of_a_classification_is_decoded_twice(
    monkeypatch: pytest.MonkeyPatch, size: int, rows_of_blocks: int
) -> None:
    forest = dataclasses.replace(FOREST, shape=(61, 48), pixels_per_class=size)
    reader = FakeReader(forest)
    reader.rows_of_blocks = rows_of_blocks
    monkeypatch.setattr(engine, "_HELD_SCENES", len(REFERENCE) + len(MONITORED))
    _run(forest, 1, reader=reader, **_small_windows(monkeypatch, 16))
    assert all(rows[: -(-61 // size)].tolist() == [1] * -(-61 // size) for rows in reader.classified.values())
    assert len(reader.classified) == len(REFERENCE) + len(MONITORED)


@pytest.mark.parametrize(("least", "left"), [(0.0, 0), (0.24, 0), (0.26, 1), (1.0, 1)])
def test_a_date_with_little_clear_forest_is_as_clouded_over(least: float, left: int) -> None:
    day = MONITORED[16]

    class Gap(Forest):
        """A quarter of the forest is clear on one date."""

        def bands(self, at: dt.date) -> Any:
            red, nir, scl = super().bands(at)
            if at == day:
                scl[:, 6:] = 9
            return red, nir, scl

    forest = Gap(**{field.name: getattr(FOREST, field.name) for field in dataclasses.fields(FOREST)})
    plan, sink, reader = plan_of(forest, MONTH, REFERENCE, MONITORED), KeepingSink(forest.shape), FakeReader(forest)
    params = ChangeParams(ClearParams(margin_m=0, least_clear_share=least))
    tally = make_change_map(plan, WatchedArea().on(plan.grid), reader, sink, params, 2)
    # Beside the cloudy date.
    assert tally.bands_left == 1 + left
    np.testing.assert_array_equal(sink.state == PixelState.CONFIRMED, forest.mask())
