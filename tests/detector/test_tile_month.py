"""A tile from month to month on a small archive: what is kept, what is read, what comes late, what goes wrong."""

from __future__ import annotations

import dataclasses
import datetime as dt
import errno
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio

from detector import tile_month
from detector.params import PatchParams
from detector.pipeline import ScanParams
from detector.ports import TileJob, TileOutcome, TileStatus
from detector.tile_month import LATE_MONTHS, build_reference, work_tile
from detector.tile_store import FOREST_FILE, PATCHES_FILE, RECORD_FILE, TileMonth, TileStore
from scripts.archive_writer import twice_as_coarse
from tests.fakes.archive import (
    DAYS,
    FOREST,
    TRANSFORM,
    blank,
    copy_scene,
    cut_short,
    edit_item,
    folder_of,
    item_id,
    outline,
    read_raster,
    write_raster,
)
from tiles.change import PixelState
from tiles.engine import ChangeParams, Tally, TilePlan, make_change_map
from tiles.errors import OutputError, SceneReadError, StateError
from tiles.false_cloud import FalseCloudParams
from tiles.monitor import MonitorParams
from tiles.month import Month
from tiles.reader import RasterioReader
from tiles.scene import NEEDED_BANDS, Band, Scene
from tiles.state import MEMORY_FILE, REFERENCE_FILE, SUSPICION_FILE

TILE = "31TDK"
APRIL, MAY, JUNE, JULY = (Month(2019, month) for month in (4, 5, 6, 7))
PARAMS = ScanParams(
    ChangeParams(monitor=MonitorParams(min_cell_px=1, min_window_px=1)),
    PatchParams(min_area_ha=0.3),
)
FELLED = int(FOREST.mask().sum())


def _job(archive: Path, data: Path, month: Month, **changes: Any) -> TileJob:
    job = TileJob(tile=TILE, month=month, data_dir=data, catalogue=str(archive), params=PARAMS, threads=2)
    return dataclasses.replace(job, **changes)


def _run(archive: Path, data: Path, month: Month, **changes: Any) -> TileOutcome:
    return work_tile(_job(archive, data, month, **changes), None)


def _kept(data: Path) -> dict[str, bytes]:
    """All files of the tile; without the versions, which count how often a month was worked out.

    Records name files of the archive, which lies elsewhere in each test.
    """
    folder = data / "tiles" / TILE
    files = sorted((path.parent.name.split(".")[0], path.name, path) for path in folder.rglob("*") if path.is_file())
    return {
        f"{month}/{name}": re.sub(rb'"/[^"]*/archive', b'"archive', path.read_bytes()) for month, name, path in files
    }


def _month(data: Path, month: Month) -> TileMonth:
    return TileStore(data, TILE).months()[month]


def _days(month: Month) -> list[dt.date]:
    return [day for day in DAYS if (day.year, day.month) == (month.year, month.month)]


def _state_of(data: Path, month: Month) -> Any:
    return read_raster(_month(data, month).folder / f"state_{TILE}_{month}.tif")


def _hide(archive: Path, day: dt.date) -> Callable[[], None]:
    """Take a scene out of the catalogue; what is given puts it back."""
    return _hide_item(archive, day, item_id(day))


def _hide_item(archive: Path, day: dt.date, name: str) -> Callable[[], None]:
    listed = folder_of(archive, day).parent / "collection.json"
    before = listed.read_text()
    document = json.loads(before)
    document["links"] = [link for link in document["links"] if f"/{name}.json" not in link["href"]]
    assert document["links"] != json.loads(before)["links"]
    listed.write_text(json.dumps(document))
    return lambda: _write(listed, before)


def _write(path: Path, text: str) -> None:
    path.write_text(text)


@pytest.fixture
def read_days(monkeypatch: pytest.MonkeyPatch) -> list[dt.date]:
    """Days of the scenes of which pixels are read."""
    days: list[dt.date] = []
    read = RasterioReader.read

    def counted(self: RasterioReader, scene: Scene, band: Band, window: Any, out: Any) -> None:
        days.append(scene.day)
        read(self, scene, band, window, out)

    monkeypatch.setattr(RasterioReader, "read", counted)
    return days


@pytest.fixture(scope="session")
def _built(tmp_path_factory: pytest.TempPathFactory, _small_archive: Path) -> Path:
    """What is known after April, May, June and July were run one after the other."""
    data = tmp_path_factory.mktemp("months") / "data"
    for month in (APRIL, MAY, JUNE, JULY):
        outcome = _run(_small_archive, data, month)
        assert outcome.status is TileStatus.DONE, outcome.message
        shutil.copytree(data, data.parent / f"after-{month}")
    return data.parent


@pytest.fixture
def after(_built: Path, tmp_path: Path) -> Callable[[Month], Path]:
    """A data directory of the test's own, as it was after a month."""

    def copied(month: Month, name: str = "data") -> Path:
        return Path(shutil.copytree(_built / f"after-{month}", tmp_path / name))

    return copied


def test_each_month_holds_the_scenes_of_its_own(after: Callable[[Month], Path]) -> None:
    data = after(JULY)
    months = TileStore(data, TILE).months()
    built = APRIL.shifted(-1 - LATE_MONTHS)
    assert list(months) == [built.shifted(later) for later in range(7)]
    assert [month for month, kept in months.items() if kept.is_build] == [built]
    for month in list(months)[1:]:
        assert [scene["id"] for scene in months[month].record["scenes"]] == [item_id(day) for day in _days(month)]
        assert months[month].record["reference"]["month"] == str(built)
    assert (_state_of(data, JULY)[FOREST.mask()] == PixelState.CONFIRMED).all()
    assert (_state_of(data, JULY)[~FOREST.mask()] == PixelState.INTACT).all()


def test_a_jump_over_two_months_is_as_one_after_the_other(
    after: Callable[..., Path], small_archive: Path, read_days: list[dt.date]
) -> None:
    jumped = after(APRIL, "jumped")
    outcome = _run(small_archive, jumped, JULY)
    assert (outcome.status, outcome.redone_months) == (TileStatus.DONE, ())
    assert sorted(set(read_days)) == [*_days(MAY), *_days(JUNE), *_days(JULY)]
    assert outcome.scenes_read == tuple(map(item_id, sorted(set(read_days))))
    assert _kept(jumped) == _kept(after(JULY))


def test_a_month_reads_its_own_scenes_alone_and_nothing_when_it_is_run_again(
    after: Callable[[Month], Path], small_archive: Path, read_days: list[dt.date]
) -> None:
    data = after(JUNE)
    done = _run(small_archive, data, JULY)
    assert set(read_days) == set(_days(JULY))
    assert done.bytes_read > 0
    before = _kept(data)
    read_days.clear()
    again = _run(small_archive, data, JULY)
    assert (again.status, again.bytes_read, read_days) == (TileStatus.UNCHANGED, 0, [])
    assert _kept(data) == before
    for name in ("scenes_read", "watched_px", "observed_px", "provisional_px", "confirmed_px"):
        assert getattr(again, name) == getattr(done, name)
    assert (again.watched_px, again.confirmed_px) == (48 * 48, FELLED)


@pytest.mark.parametrize("month", [MAY, JUNE, JULY])
def test_a_month_that_was_removed_is_worked_out_to_the_same(
    after: Callable[[Month], Path], small_archive: Path, read_days: list[dt.date], month: Month
) -> None:
    data = after(JULY)
    before = _kept(data)
    shutil.rmtree(_month(data, month).folder)
    assert _run(small_archive, data, JULY).status is TileStatus.DONE
    assert set(read_days) == set(_days(month))
    assert _kept(data) == before


def test_a_loss_of_the_last_date_is_confirmed_by_the_next_months_first(
    after: Callable[[Month], Path], small_archive: Path
) -> None:
    # The felling is then seen first on the twentieth of June, the month's last date.
    _hide(small_archive, _days(JUNE)[0])
    data = after(MAY)
    june = _run(small_archive, data, JUNE)
    assert (june.provisional_px, june.confirmed_px) == (FELLED, 0)
    _hide(small_archive, _days(JULY)[1])
    july = _run(small_archive, data, JULY)
    assert july.scenes_read == (item_id(_days(JULY)[0]),)
    assert (july.provisional_px, july.confirmed_px) == (0, FELLED)


def test_a_haze_that_the_next_month_refutes_vanishes(after: Callable[[Month], Path], small_archive: Path) -> None:
    day, hazy = _days(JUNE)[1], (slice(30, 40), slice(4, 14))
    red, nir, _ = FOREST.bands(day)
    nir[hazy] = nir[hazy] * 0.7
    red[hazy] = nir[hazy] * 0.6 / 1.4
    for name, band in (("red", red), ("nir", nir)):
        write_raster(folder_of(small_archive, day) / f"{name}.tif", band)
    data = after(MAY)
    assert _run(small_archive, data, JUNE).provisional_px == 100
    assert (_state_of(data, JUNE)[hazy] == PixelState.PROVISIONAL).all()
    assert _run(small_archive, data, JULY).provisional_px == 0
    assert (_state_of(data, JULY)[hazy] == PixelState.INTACT).all()


# --- What comes late --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("day", _days(JUNE) + _days(MAY)[-1:])
def test_a_scene_that_came_late_is_taken_in(after: Callable[..., Path], small_archive: Path, day: dt.date) -> None:
    put_back = _hide(small_archive, day)
    data, late = after(APRIL, "late"), Month(day.year, day.month)
    for month in (MAY, JUNE):
        assert item_id(day) not in _run(small_archive, data, month).scenes_read
    put_back()
    outcome = _run(small_archive, data, JULY)
    assert outcome.status is TileStatus.DONE
    assert outcome.redone_months[0] == str(late)
    assert item_id(day) in outcome.scenes_read
    assert _kept(data) == _kept(after(JULY))
    assert _run(small_archive, data, JULY).status is TileStatus.UNCHANGED


def test_a_month_whose_ground_was_replaced_is_out_of_date(after: Callable[..., Path], small_archive: Path) -> None:
    put_back = _hide(small_archive, _days(JUNE)[1])
    data = after(MAY, "late")
    _run(small_archive, data, JUNE)
    _run(small_archive, data, JULY)
    put_back()
    # June is asked for again, and July stands on it.
    assert _run(small_archive, data, JUNE).redone_months == ("2019-06", "2019-07")
    assert _kept(data) == _kept(after(JULY))


@pytest.mark.parametrize("band", list(NEEDED_BANDS))
def test_a_damaged_scene_is_named_and_read_once_it_is_mended(
    after: Callable[..., Path], small_archive: Path, read_days: list[dt.date], band: Band
) -> None:
    path = folder_of(small_archive, _days(JUNE)[1]) / f"{band}.tif"
    whole, damaged = path.read_bytes(), item_id(_days(JUNE)[1])
    cut_short(path)
    data = after(MAY, "damaged")
    before = _kept(data)
    june = _run(small_archive, data, JUNE)
    assert june.status is TileStatus.INCOMPLETE
    assert damaged in (june.message or "")
    assert [left.id for left in june.scenes_skipped] == [damaged]
    assert june.scenes_read == (item_id(_days(JUNE)[0]),)
    kept = _kept(data)
    assert {name: kept[name] for name in before} == before
    read_days.clear()
    again = _run(small_archive, data, JUNE)
    # It is named again and looked at again, but nothing is worked out for it.
    assert (again.status, again.message, again.scenes_skipped) == (june.status, june.message, june.scenes_skipped)
    assert set(read_days) <= {_days(JUNE)[1]}
    assert _kept(data) == kept
    july = _run(small_archive, data, JULY)
    assert (july.status, july.redone_months) == (TileStatus.INCOMPLETE, ())
    assert [left.id for left in july.scenes_skipped] == [damaged]
    assert damaged in (_run(small_archive, data, JULY).message or "")
    path.write_bytes(whole)
    mended = _run(small_archive, data, JULY)
    assert (mended.status, mended.redone_months) == (TileStatus.DONE, ("2019-06", "2019-07"))
    assert _kept(data) == _kept(after(JULY))


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[Month]:
    """Months that are read, as often as they are."""
    months: list[Month] = []
    make = make_change_map

    def counted(plan: TilePlan, *args: Any, **kwargs: Any) -> Tally:
        months.append(plan.month)
        return make(plan, *args, **kwargs)

    monkeypatch.setattr(tile_month, "make_change_map", counted)
    return months


def test_a_month_with_many_scenes_cut_short_is_read_twice(
    after: Callable[[Month], Path], small_archive: Path, readings: list[Month]
) -> None:
    data = after(MAY)
    for day, band in zip([*_days(JUNE)[1:], *_days(JULY)], ["nir", "red", "scl"], strict=False):
        cut_short(folder_of(small_archive, day) / f"{band}.tif", 0.95)
    outcome = _run(small_archive, data, JULY)
    assert [left.id for left in outcome.scenes_skipped] == [item_id(day) for day in (*_days(JUNE)[1:], *_days(JULY))]
    # A month of which nothing can be read is carried on.
    assert readings == [JUNE, JUNE, JULY, JULY]
    readings.clear()
    assert _run(small_archive, data, JULY).scenes_skipped == outcome.scenes_skipped
    assert readings == []


def _break_inside(monkeypatch: pytest.MonkeyPatch, days: set[dt.date]) -> None:
    """Let the near infrared of some days fail where more than its last pixel is read."""
    read = RasterioReader.read

    def broken(self: RasterioReader, scene: Scene, band: Band, window: Any, out: Any) -> None:
        if scene.day in days and band is Band.NIR and out.size > 1:
            raise SceneReadError(scene.id, "its nir raster is damaged")
        read(self, scene, band, window, out)

    monkeypatch.setattr(RasterioReader, "read", broken)


def test_damage_inside_of_many_scenes_costs_two_readings_more(
    after: Callable[..., Path], small_archive: Path, readings: list[Month], monkeypatch: pytest.MonkeyPatch
) -> None:
    days = [_days(MAY)[-1], *_days(JUNE)]
    data = after(APRIL)
    with monkeypatch.context() as patched:
        _break_inside(patched, set(days))
        outcome = _run(small_archive, data, JUNE)
        assert [left.id for left in outcome.scenes_skipped] == list(map(item_id, days))
        assert readings.count(MAY) == 2
        assert readings.count(JUNE) == 3
        readings.clear()
        assert _run(small_archive, data, JUNE).scenes_skipped == outcome.scenes_skipped
        assert readings == []
    assert _run(small_archive, data, JULY).redone_months == ("2019-05", "2019-06")
    assert _kept(data) == _kept(after(JULY, "wanted"))


# --- A reference that is short of scenes ------------------------------------------------------------------------------

_BUILD = APRIL.shifted(-1 - LATE_MONTHS)
_COMMAND = "`sylvigie reference build --tile 31TDK --month 2019-04`"


def test_a_young_reference_takes_in_what_it_could_not_read(
    after: Callable[..., Path], small_archive: Path, tmp_path: Path, readings: list[Month]
) -> None:
    day = dt.date(2017, 2, 8)
    path, data = folder_of(small_archive, day) / "nir.tif", tmp_path / "data"
    whole = path.read_bytes()
    cut_short(path)
    april = _run(small_archive, data, APRIL)
    assert (april.status, april.reference_missing) == (TileStatus.INCOMPLETE, (item_id(day),))
    readings.clear()
    may = _run(small_archive, data, MAY)
    assert (may.status, may.reference_missing) == (TileStatus.INCOMPLETE, (item_id(day),))
    assert f"short of 1 scenes that could not be read, such as {item_id(day)}: the next runs" in (may.message or "")
    assert _COMMAND in (may.message or "")
    assert readings == [MAY]
    path.write_bytes(whole)
    kept = _kept(data)
    refused = _run(small_archive, data, MAY, may_build=False)
    assert f"some can be by now, build it anew by {_COMMAND}" in (refused.message or "")
    assert _kept(data) == kept
    june = _run(small_archive, data, JUNE)
    assert (june.status, june.reference_missing, june.message) == (TileStatus.DONE, (), None)
    assert june.redone_months == ("2019-02", "2019-03", "2019-04", "2019-05")
    assert _kept(data) == _kept(after(JUNE, "wanted"))


def test_what_an_old_reference_is_short_of_is_told_in_the_record_alone(
    small_archive: Path, tmp_path: Path, readings: list[Month]
) -> None:
    day = dt.date(2017, 2, 8)
    path, data = folder_of(small_archive, day) / "nir.tif", tmp_path / "data"
    whole = path.read_bytes()
    cut_short(path)
    _run(small_archive, data, APRIL)
    path.write_bytes(whole)
    readings.clear()
    july = _run(small_archive, data, JULY)
    assert (july.status, july.message, july.reference_missing) == (TileStatus.DONE, None, (item_id(day),))
    assert readings == [MAY, JUNE, JULY]


def test_the_next_clearest_takes_the_place_of_a_broken_scene_of_a_build(
    small_archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tile_month, "BUILD_SCENES_PER_MONTH", 1)
    first, second = [day for day in DAYS if (day.year, day.month) == (2018, 8)]
    edit_item(small_archive, first, **{"eo:cloud_cover": 1.0})
    edit_item(small_archive, second, **{"eo:cloud_cover": 2.0})
    data = tmp_path / "data"
    build_reference(_job(small_archive, data, APRIL), None)
    read = [scene["id"] for scene in _month(data, _BUILD).record["scenes"]]
    assert (item_id(first) in read, item_id(second) in read) == (True, False)
    cut_short(folder_of(small_archive, first) / "red.tif")
    outcome = build_reference(_job(small_archive, data, APRIL), None)
    instead = [scene["id"] for scene in _month(data, _BUILD).record["scenes"]]
    assert instead == [item_id(second) if name == item_id(first) else name for name in read]
    assert [left.id for left in outcome.scenes_skipped if not left.superseded] == [item_id(first)]
    # Nothing is missing, so that no run builds it again.
    assert outcome.reference_missing == ()


def test_a_pass_that_was_heard_is_not_heard_again_when_it_is_processed_anew(
    after: Callable[[Month], Path], small_archive: Path, read_days: list[dt.date]
) -> None:
    data = after(JULY)
    before = _kept(data)
    copy_scene(small_archive, _days(JULY)[0], "S2A_31TDK_20190706_1_L2A", **{"s2:processing_baseline": "05.00"})
    assert _run(small_archive, data, JULY).status is TileStatus.UNCHANGED
    assert read_days == []
    assert _kept(data) == before


def _halves(archive: Path, day: dt.date, names: tuple[str, str], **properties: Any) -> None:
    """A pass as two products of half the tile each, in place of one."""
    for name, (west, east), gone in zip(names, ((0, 0.5), (0.5, 1)), (slice(12, None), slice(12)), strict=True):
        folder = copy_scene(archive, day, name, **properties)
        blank(folder, gone)
        outline(folder, west, east)


def test_a_half_that_came_late_is_taken_in(after: Callable[..., Path], small_archive: Path) -> None:
    day, west, east = _days(JUNE)[1], "S2A_31TDK_20190620_0_W", "S2A_31TDK_20190620_0_E"
    _halves(small_archive, day, (west, east))
    _hide(small_archive, day)
    from_the_start = after(MAY, "whole")
    for month in (JUNE, JULY):
        assert _run(small_archive, from_the_start, month).status is TileStatus.DONE
    wanted = _kept(from_the_start)
    assert (_state_of(from_the_start, JUNE) != PixelState.UNOBSERVED).all()

    put_back = _hide_item(small_archive, day, east)
    data = after(MAY, "late")
    _run(small_archive, data, JUNE)
    put_back()
    assert _run(small_archive, data, JULY).redone_months == ("2019-06",)
    assert _kept(data) == wanted
    # Both halves processed anew are no new ground.
    _halves(small_archive, day, (f"{west}_1", f"{east}_1"), **{"s2:processing_baseline": "05.00"})
    assert _run(small_archive, data, JULY).status is TileStatus.UNCHANGED


def test_another_smallest_patch_works_the_month_out_again(after: Callable[[Month], Path], small_archive: Path) -> None:
    data = after(JULY)
    one = gpd.read_parquet(_month(data, JULY).folder / PATCHES_FILE)
    assert len(one) == 1
    larger = dataclasses.replace(PARAMS, patches=PatchParams(min_area_ha=2))
    outcome = _run(small_archive, data, JULY, params=larger)
    assert outcome.redone_months == ("2019-05", "2019-06", "2019-07")
    assert gpd.read_parquet(_month(data, JULY).folder / PATCHES_FILE).empty


# --- False clouds -----------------------------------------------------------------------------------------------------

FREEING = dataclasses.replace(
    PARAMS,
    change=dataclasses.replace(PARAMS.change, false_clouds=FalseCloudParams(max_extent_m=200, ring_m=40)),
)


@pytest.fixture
def bright_archive(small_archive: Path) -> Path:
    """An archive of the test's own, in which the felling is called cloud on every date."""
    for day in (day for day in DAYS if day >= FOREST.felled_on):
        scl = dataclasses.replace(FOREST, called=9).bands(day)[2]
        write_raster(folder_of(small_archive, day) / "scl.tif", scl, twice_as_coarse(TRANSFORM))
    return small_archive


def test_a_felling_that_is_called_cloud_is_told_a_month_later(bright_archive: Path, tmp_path: Path) -> None:
    """What was called cloud in June is known in July, when the month is run again, and when June comes late."""
    data, late = tmp_path / "data", tmp_path / "late"
    first, second = _days(JUNE)
    put_back_second = _hide(bright_archive, second)
    june = _run(bright_archive, data, JUNE, params=FREEING)
    assert (june.provisional_px, june.confirmed_px) == (0, 0)
    shutil.copytree(data, tmp_path / "june")
    july = _run(bright_archive, data, JULY, params=FREEING)
    assert july.confirmed_px == FELLED
    wanted = _kept(data)
    assert _run(bright_archive, data, JULY, params=FREEING).status is TileStatus.UNCHANGED
    assert _kept(data) == wanted
    # Run again from the state before it.
    shutil.rmtree(_month(data, JULY).folder)
    assert _run(bright_archive, data, JULY, params=FREEING).confirmed_px == FELLED
    assert _kept(data) == wanted
    # As if June had known nothing of it: July's first date is then still a cloud.
    put_back = _hide(bright_archive, first)
    _run(bright_archive, late, JUNE, params=FREEING)
    assert _run(bright_archive, late, JULY, params=FREEING).confirmed_px == 0 < july.confirmed_px
    put_back()
    outcome = _run(bright_archive, late, JULY, params=FREEING)
    assert (outcome.redone_months, outcome.confirmed_px) == (("2019-06", "2019-07"), FELLED)
    assert _kept(late) == wanted
    put_back_second()
    assert _run(bright_archive, data, JULY, params=FREEING).redone_months == ("2019-06", "2019-07")


def test_plain_classes_do_not_tell_a_felling_that_is_called_cloud(bright_archive: Path, tmp_path: Path) -> None:
    july = _run(bright_archive, tmp_path / "data", JULY)
    assert (july.provisional_px, july.confirmed_px) == (0, 0)


# --- Killed, and gone on with -----------------------------------------------------------------------------------------


class _Stop(BaseException):
    """As a signal stops a run."""


@pytest.mark.parametrize("stopped_after", [0, 1, 2])
def test_a_run_that_was_stopped_between_months_goes_on(
    after: Callable[..., Path], small_archive: Path, stopped_after: int
) -> None:
    data, seen = after(APRIL, "stopped"), []

    def progress(done: int, total: int) -> None:
        seen.append((done, total))
        if len(seen) > stopped_after:
            raise _Stop

    with pytest.raises(_Stop):
        work_tile(_job(small_archive, data, JULY), progress)
    # One window a month: those before the stop are there, and nothing of the one that was at work.
    assert max(TileStore(data, TILE).months()) == APRIL.shifted(stopped_after)
    assert list((data / "tiles" / TILE).glob(".partial-*")) == []
    assert _run(small_archive, data, JULY).redone_months == ()
    assert _kept(data) == _kept(after(JULY))


def test_a_redone_month_that_was_stopped_leaves_the_later_ones_out_of_date(
    after: Callable[..., Path], small_archive: Path
) -> None:
    put_back = _hide(small_archive, _days(JUNE)[1])
    data, seen = after(MAY, "late"), []
    _run(small_archive, data, JUNE)
    _run(small_archive, data, JULY)
    put_back()

    def progress(done: int, total: int) -> None:
        seen.append((done, total))
        if len(seen) > 1:
            raise _Stop

    with pytest.raises(_Stop):
        work_tile(_job(small_archive, data, JULY), progress)
    # Half a year later nobody looks for scenes of June, but July is still not what June has become.
    outcome = _run(small_archive, data, Month(2019, 12))
    assert outcome.redone_months == ("2019-07",)
    wanted = _kept(after(JULY))
    results = {name: data for name, data in _kept(data).items() if name.startswith("2019-07/")}
    for name in (f"2019-07/{PATCHES_FILE}", f"2019-07/state_{TILE}_2019-07.tif", f"2019-07/change_{TILE}_2019-07.tif"):
        assert results[name] == wanted[name]


def test_what_a_killed_run_left_is_cleared_away(after: Callable[[Month], Path], small_archive: Path) -> None:
    data = after(JULY)
    folder, before = data / "tiles" / TILE, _kept(data)
    (folder / ".partial-abc" / "month").mkdir(parents=True)
    (folder / ".partial-abc" / "month" / MEMORY_FILE).write_bytes(b"half")
    # Killed while it removed the version that another had taken the place of.
    shutil.copytree(folder / "2019-07.1", folder / "2019-07.2")
    (folder / "2019-07.1" / RECORD_FILE).unlink()
    # Killed while it forgot what was known half a year ago.
    (folder / "2019-01.1" / SUSPICION_FILE).write_bytes(b"left")
    assert _run(small_archive, data, JULY).status is TileStatus.UNCHANGED
    assert _kept(data) == before
    assert sorted(path.name for path in folder.glob("*2019-07*")) == ["2019-07.2"]
    assert list(folder.glob(".*")) == []


# --- What goes wrong --------------------------------------------------------------------------------------------------


def test_a_full_disk_leaves_the_month_before_as_it_was(after: Callable[..., Path], small_archive: Path) -> None:
    """Files may grow to so many bytes and no further, one limit after the other; at the last, the month is done."""
    limits = [0, 500, 2000, 100_000, 300_000, 3_000_000, 4_190_000, 4_194_500, 5_000_000]
    before, wanted = _kept(after(JUNE)), _kept(after(JULY, "july"))
    folders = [after(JUNE, f"full-{limit}") for limit in limits]
    code = (
        "import json, resource, signal, sys\n"
        "from pathlib import Path\n"
        "from tests.detector.test_tile_month import JULY, _run\n"
        "from tiles.errors import OutputError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "archive, *folders = map(Path, sys.argv[1:])\n"
        "said = []\n"
        "for folder in folders:\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (int(folder.name[5:]), resource.RLIM_INFINITY))\n"
        "    try:\n"
        "        said.append(_run(archive, folder, JULY).status.value)\n"
        "    except OutputError as error:\n"
        "        said.append(str(error))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
        "print(json.dumps(said))\n"
    )
    command = [sys.executable, "-c", code, str(small_archive), *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    for folder, words in zip(folders, said, strict=True):
        if words == "done":
            assert _kept(folder) == wanted
        else:
            assert "cannot be written" in words
            assert _kept(folder) == before
            assert list((folder / "tiles" / TILE).glob(".*")) == []
    assert said[-1] == "done"
    assert said.count("done") < 4


@pytest.mark.parametrize("name", ["write_item", "find_alerts", "write_record"])
def test_a_disk_that_is_full_at_any_step_leaves_the_month_before_as_it_was(
    after: Callable[[Month], Path], small_archive: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    data = after(JUNE)
    before = _kept(data)
    with monkeypatch.context() as patched:
        patched.setattr(tile_month, name, full)
        with pytest.raises(
            OutputError, match=r"No space left on device\): make room there or choose another .*as it was"
        ):
            _run(small_archive, data, JULY)
    assert _kept(data) == before
    assert list((data / "tiles" / TILE).glob(".*")) == []
    assert _run(small_archive, data, JULY).status is TileStatus.DONE


def test_a_corrupt_block_is_a_scene_left_out(after: Callable[[Month], Path], small_archive: Path) -> None:
    path = folder_of(small_archive, _days(JULY)[1]) / "nir.tif"
    with rasterio.open(path) as source:
        start = int(source.get_tag_item("BLOCK_OFFSET_0_0", "TIFF", bidx=1))
        size = int(source.get_tag_item("BLOCK_SIZE_0_0", "TIFF", bidx=1))
    data_of = bytearray(path.read_bytes())
    data_of[start + 4 : start + size] = bytes(size - 4)
    path.write_bytes(data_of)
    data = after(JUNE)
    before = _kept(data)
    outcome = _run(small_archive, data, JULY)
    assert outcome.status is TileStatus.INCOMPLETE
    assert f"of them {item_id(_days(JULY)[1])}, since its nir raster is damaged" in (outcome.message or "")
    assert outcome.scenes_read == (item_id(_days(JULY)[0]), *map(item_id, _days(JULY)[2:]))
    kept = _kept(data)
    assert [name for name, content in before.items() if name.startswith("2019-06") and kept[name] != content] == []


@pytest.mark.parametrize("month", [JULY, Month(2019, 8)])
def test_a_state_of_other_parameters_is_refused(
    after: Callable[[Month], Path], small_archive: Path, read_days: list[dt.date], month: Month
) -> None:
    data = after(JULY)
    before = _kept(data)
    other = dataclasses.replace(PARAMS, change=ChangeParams(monitor=MonitorParams(low_drop=0.15)))
    with pytest.raises(
        StateError, match=rf"{TILE} was made with other parameters: restore them, or build .*{TILE}`\.$"
    ):
        _run(small_archive, data, month, params=other)
    assert read_days == []
    assert _kept(data) == before


def test_a_tile_that_may_not_build_needs_a_reference(small_archive: Path, tmp_path: Path) -> None:
    with pytest.raises(StateError, match=f"{TILE} has no reference that serves 2019-07: build it by `sylvigie"):
        _run(small_archive, tmp_path / "data", JULY, may_build=False)
    assert _kept(tmp_path / "data") == {}
    build_reference(_job(small_archive, tmp_path / "data", JULY), None)
    assert _run(small_archive, tmp_path / "data", JULY, may_build=False).confirmed_px == FELLED


def test_a_reference_that_is_gone_is_asked_for_and_built_again(
    after: Callable[[Month], Path], small_archive: Path
) -> None:
    data = after(JUNE)
    shutil.rmtree(data / "tiles" / TILE / "2019-01.1")
    with pytest.raises(StateError, match="reference of tile 31TDK was built is gone: build it anew by"):
        _run(small_archive, data, JULY)
    build_reference(_job(small_archive, data, JULY), None)
    outcome = _run(small_archive, data, JULY)
    assert outcome.redone_months == ("2019-05", "2019-06")
    assert outcome.confirmed_px == FELLED


@pytest.mark.parametrize("name", [REFERENCE_FILE, FOREST_FILE])
def test_a_spoilt_reference_is_told(after: Callable[[Month], Path], small_archive: Path, name: str) -> None:
    data = after(JUNE)
    cut_short(data / "tiles" / TILE / "2019-01.1" / name)
    before = _kept(data)
    with pytest.raises(StateError, match=f"{name} is not as it was written: .*build"):
        _run(small_archive, data, JULY)
    assert _kept(data) == before


def test_a_reference_that_was_built_for_later_months_is_left_alone(
    after: Callable[[Month], Path], small_archive: Path, read_days: list[dt.date]
) -> None:
    data = after(JULY)
    build_reference(_job(small_archive, data, Month(2019, 8)), None)
    assert _month(data, MAY).is_build
    before = _kept(data)
    read_days.clear()
    for month in (APRIL, MAY):
        assert _run(small_archive, data, month).status is TileStatus.UNCHANGED
    assert read_days == []
    assert {name: kept for name, kept in _kept(data).items() if name.startswith("2019-05")} == {
        name: kept for name, kept in before.items() if name.startswith("2019-05")
    }


def test_the_forest_is_that_of_the_reference_whatever_the_mask_becomes(
    after: Callable[..., Path], small_archive: Path, tmp_path: Path
) -> None:
    half = np.zeros((48, 48), np.uint8)
    half[:, :24] = 1
    mask = write_raster(tmp_path / "half.tif", half)
    data = after(JUNE, "other")
    assert _run(small_archive, data, JULY, forest_mask=mask).watched_px == 48 * 48
    assert _kept(data) == _kept(after(JULY))
    build_reference(_job(small_archive, data, JULY, forest_mask=mask), None)
    assert _run(small_archive, data, JULY).watched_px == 48 * 24
