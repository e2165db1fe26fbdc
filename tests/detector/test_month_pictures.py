"""Pictures of a month's alerts where something goes wrong: archives away, scenes broken, runs killed, tiles spoilt."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import detector.alert_pictures
from detector.alerts import AlertStatus, ClosedReason
from detector.chips import CHIPS_FOLDER, SERIES_FILE
from detector.known import Register
from detector.month_pictures import PicturesMade, picture_month
from detector.params import ChipParams
from detector.pipeline import ScanParams
from detector.ports import TileJob
from detector.register import RegisterStore
from detector.tile_month import work_tile
from detector.tile_store import RECORD_FILE
from detector.track_month import ALERTS_FOLDER, track_month
from tests.fakes.archive import DAYS, FOREST, add_colours, cut_short, folder_of, item_id
from tiles.catalog import open_catalogue
from tiles.merging import archive_reader
from tiles.month import Month
from tiles.placing import put_file
from tiles.reader import Reader, gdal_env

JULY, TILE = Month(2019, 7), "31TDK"
AFTER = [day for day in DAYS if day >= FOREST.felled_on]
LARGE, SMALL = ChipParams(), ChipParams(least_m=300)


@dataclass(frozen=True)
class _Place:
    """An archive, and the data directory of a month that was tracked and not yet pictured."""

    archive: Path
    data: Path

    def opened(self) -> tuple[Reader, dict[str, Any]]:
        access = open_catalogue(str(self.archive)).access
        return archive_reader(access, 8), gdal_env(access)

    def pictured(self, params: ChipParams = LARGE, month: Month = JULY) -> PicturesMade:
        return picture_month(month, self.data, self.opened, params)

    def files(self) -> dict[str, bytes]:
        folder = self.data / CHIPS_FOLDER
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def images(self) -> dict[str, bytes]:
        return {name: data for name, data in self.files().items() if name.endswith(".tif")}

    def days_of_series(self) -> list[Any]:
        (path,) = (self.data / CHIPS_FOLDER).glob(f"*/{SERIES_FILE}")
        return list(pq.read_table(path)["day"].to_pylist())

    def rewrite(self, register: Register) -> None:
        RegisterStore(self.data / ALERTS_FOLDER).write(register)

    def register(self) -> Register:
        store = RegisterStore(self.data / ALERTS_FOLDER)
        return store.read(store.months()[JULY])


@pytest.fixture(scope="module")
def _tracked(_small_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> _Place:
    folder = tmp_path_factory.mktemp("pictures")
    place = _Place(Path(shutil.copytree(_small_archive, folder / "archive")), folder / "data")
    add_colours(place.archive)
    work_tile(TileJob(tile=TILE, month=JULY, data_dir=place.data, catalogue=str(place.archive)), None)
    for month in (JULY.shifted(-1), JULY):
        track_month(month, place.data, ScanParams(), place.opened)
    return place


@pytest.fixture
def place(_tracked: _Place, tmp_path: Path) -> _Place:
    return replace(_tracked, data=Path(shutil.copytree(_tracked.data, tmp_path / "data")))


@contextmanager
def _away(archive: Path) -> Iterator[None]:
    """All rasters of an archive gone for a while."""
    elsewhere = archive.rename(archive.with_name("elsewhere"))
    (archive / "catalog.json").parent.mkdir()
    shutil.copy(elsewhere / "catalog.json", archive / "catalog.json")
    try:
        yield
    finally:
        shutil.rmtree(archive)
        elsewhere.rename(archive)


@contextmanager
def _broken(path: Path) -> Iterator[None]:
    whole = path.read_bytes()
    cut_short(path, 0.3)
    try:
        yield
    finally:
        path.write_bytes(whole)


def test_pictures_stay_while_the_archive_is_away_and_are_made_when_it_is_back(place: _Place) -> None:
    place.pictured(SMALL)
    before, days = place.images(), place.days_of_series()
    with _away(place.archive):
        made = place.pictured(LARGE)
    assert (made.made, made.lacking, made.without) == (1, 1, 0)
    assert set(made.unread) >= {item_id(day) for day in days}
    assert len(before) == 2
    assert (place.images(), place.days_of_series()) == (before, days)
    made = place.pictured(LARGE)
    assert (made.made, made.lacking, made.unread) == (1, 0, {})
    assert place.images().keys() == before.keys()
    assert all(place.images()[name] != data for name, data in before.items())


def test_a_new_alert_whose_archive_is_away_has_no_pictures_yet(place: _Place) -> None:
    with _away(place.archive):
        made = place.pictured()
    assert (made.made, made.lacking, made.without) == (1, 1, 1)
    assert place.images() == {}
    place.pictured()
    assert len(place.images()) == 2


def test_a_scene_that_stays_broken_is_asked_for_alone(place: _Place) -> None:
    whole = place.pictured()
    shutil.rmtree(place.data / CHIPS_FOLDER)
    with _broken(folder_of(place.archive, AFTER[1]) / "red.tif"):
        first = place.pictured()
        files = place.files()
        again = place.pictured()
        assert (first.made, again.made, again.unchanged) == (1, 0, 1)
        assert list(first.unread) == list(again.unread) == [item_id(AFTER[1])]
        assert first.lacking == again.lacking == 1
        assert again.bytes_read * 10 < first.bytes_read < whole.bytes_read
        assert place.files() == files
        assert AFTER[1] not in place.days_of_series()
    then = place.pictured()
    assert (then.made, then.lacking, then.unread) == (1, 0, {})
    assert AFTER[1] in place.days_of_series()
    assert place.pictured().bytes_read == 0


@pytest.mark.parametrize("turn", [0, 1, 2])
def test_a_run_that_is_killed_while_it_replaces_pictures_is_made_good(
    place: _Place, monkeypatch: pytest.MonkeyPatch, turn: int
) -> None:
    place.pictured(LARGE)
    whole = place.files()
    place.pictured(SMALL)
    turns = iter(range(9))

    def killed(partial: Path, target: Path) -> None:
        if next(turns) == turn:
            raise KeyboardInterrupt
        put_file(partial, target)

    with monkeypatch.context() as context:
        context.setattr(detector.alert_pictures, "put_file", killed)
        with pytest.raises(KeyboardInterrupt):
            place.pictured(LARGE)
    # Each is one or the other, none is gone.
    assert len(place.images()) == 2
    # Also where what is wanted is again what was there before.
    assert place.pictured(SMALL).made == 1
    assert place.pictured(LARGE).made == 1
    assert place.files() == whole


def test_a_tile_whose_months_are_gone_is_named_and_the_others_are_pictured(place: _Place) -> None:
    register = place.register()
    (alert,) = register.published
    place.rewrite(replace(register, alerts=(alert, replace(alert, id="SYL-GONE", tile="30UXV"))))
    made = place.pictured()
    assert (made.made, made.unchanged) == (1, 1)
    assert list(made.tiles_left_out) == ["30UXV"]
    assert "30UXV" in made.tiles_left_out["30UXV"]
    assert [path.name for path in (place.data / CHIPS_FOLDER).iterdir()] == [alert.id]


def test_an_earlier_month_that_is_run_again_leaves_the_newest_pictures(place: _Place) -> None:
    # In July it has grown.
    register = place.register()
    (alert,) = register.alerts
    place.rewrite(replace(register, alerts=(replace(alert, geometry=alert.geometry.buffer(0.0003)),)))
    place.pictured(month=JULY)
    files = place.files()
    again = place.pictured(month=JULY.shifted(-1))
    assert (again.made, again.unchanged) == (0, 1)
    assert place.files() == files


def test_a_closed_alert_keeps_its_pictures(place: _Place) -> None:
    place.pictured()
    files = place.files()
    register = place.register()
    (alert,) = register.alerts
    closed = replace(alert, status=AlertStatus.CLOSED, closed_on=JULY.last_day, closed_reason=ClosedReason.CLOUD)
    place.rewrite(replace(register, alerts=(closed,)))
    assert place.pictured(SMALL) == PicturesMade()
    assert place.files() == files
    assert len(files) == 4


def test_scenes_of_which_a_record_tells_no_red_band_are_counted(place: _Place) -> None:
    (path,) = (place.data / "tiles" / TILE).glob(f"{JULY}.*/{RECORD_FILE}")
    record = json.loads(path.read_text())
    for scene in record["scenes"]:
        del scene["infrared"]
    path.write_text(json.dumps(record))
    made = place.pictured()
    assert (made.made, made.scenes_untold, made.unread) == (1, len(record["scenes"]), {})
    assert max(place.days_of_series()) < JULY.first_day
