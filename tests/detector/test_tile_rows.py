"""A tile divided by rows of windows comes out as in one piece, to the byte, on this machine and on a cluster."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import pickle
import shutil
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from detector.params import PatchParams
from detector.pipeline import ScanParams
from detector.ports import TileJob, TileOutcome, TileStatus
from detector.tile_month import build_reference, work_tile
from detector.tile_rows import MadeRow, RowJob, work_row
from scripts.cluster import cluster
from tests.fakes.archive import DAYS, cut_short, folder_of, item_id, write_small_archive
from tests.fakes.forest import Forest
from tiles.catalog import Credentials
from tiles.engine import ChangeParams
from tiles.errors import SceneReadError
from tiles.monitor import MonitorParams
from tiles.month import Month
from tiles.reader import RasterioReader
from tiles.scene import Band, Scene

TILE, MAY, JUNE = "31TDK", Month(2019, 5), Month(2019, 6)
#: Three rows of windows; what is felled lies over the edge of the first.
TALL = Forest(shape=(2100, 48), felled=(slice(1018, 1030), slice(20, 30)))
PARAMS = ScanParams(ChangeParams(monitor=MonitorParams(min_cell_px=1, min_window_px=1)), PatchParams(min_area_ha=0.3))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tall") / "archive"
    write_small_archive(folder, TALL, [day for day in DAYS if day < dt.date(2019, 7, 1)])
    return folder


@pytest.fixture(scope="module")
def whole(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run in one piece comes to."""
    data = tmp_path_factory.mktemp("whole")
    assert work_tile(_job(archive, data, JUNE), None).status is TileStatus.DONE
    return data


def _job(archive: Path, data: Path, month: Month) -> TileJob:
    return TileJob(tile=TILE, month=month, data_dir=data, catalogue=str(archive), params=PARAMS, threads=1)


def _kept(data: Path) -> dict[str, bytes]:
    files = sorted(path for path in (data / "tiles").rglob("*") if path.is_file())
    return {str(path.relative_to(data)): path.read_bytes() for path in files}


class _Others:
    """Works out rows last first, each as another process would be asked for it."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, jobs: Sequence[RowJob]) -> Iterable[MadeRow]:
        for job in reversed(jobs):
            self.asked.append(job.row)
            made: MadeRow = pickle.loads(pickle.dumps(work_row(pickle.loads(pickle.dumps(job)))))
            yield made


def test_rows_worked_out_by_others_are_the_tile_to_the_byte(archive: Path, whole: Path, tmp_path: Path) -> None:
    others, heard = _Others(), list[tuple[int, int]]()
    outcome = work_tile(_job(archive, tmp_path, JUNE), lambda done, total: heard.append((done, total)), others)
    assert outcome.status is TileStatus.DONE
    # The reference, and the three months since.
    assert others.asked == [2, 1, 0] * 4
    assert heard[:3] == [(1, 3), (2, 3), (3, 3)]
    assert outcome.bytes_read > 0
    assert outcome.confirmed_px == 120
    assert _kept(tmp_path) == _kept(whole)


def test_a_reference_can_be_built_by_rows(archive: Path, whole: Path, tmp_path: Path) -> None:
    others = _Others()
    assert build_reference(_job(archive, tmp_path, JUNE), None, others).status is TileStatus.DONE
    assert others.asked == [2, 1, 0]
    built = {name: kept for name, kept in _kept(tmp_path).items() if name.endswith("reference.arrow")}
    assert len(built) == 1
    assert built.items() <= _kept(whole).items()


def test_a_scene_that_one_row_cannot_read_is_left_out_of_all(archive: Path, tmp_path: Path) -> None:
    shutil.copytree(archive, tmp_path / "archive")
    broken = next(day for day in DAYS if (day.year, day.month) == (2019, 6))
    cut_short(folder_of(tmp_path / "archive", broken) / "red.tif", 0.9)
    outcomes = [
        work_tile(_job(tmp_path / "archive", tmp_path / name, JUNE), None, share)
        for name, share in (("here", None), ("there", _Others()))
    ]
    assert [outcome.status for outcome in outcomes] == [TileStatus.INCOMPLETE] * 2
    assert outcomes[0].scenes_skipped == outcomes[1].scenes_skipped
    assert _kept(tmp_path / "here") == _kept(tmp_path / "there")


def test_damage_inside_of_many_scenes_is_found_by_rows_together(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    days, read = [day for day in DAYS if (day.year, day.month) in {(2019, 5), (2019, 6)}], RasterioReader.read

    def broken(self: RasterioReader, scene: Scene, band: Band, window: Any, out: Any) -> None:
        if scene.day in days and band is Band.NIR and out.size > 1:
            raise SceneReadError(scene.id, "its nir raster is damaged")
        read(self, scene, band, window, out)

    assert work_tile(_job(archive, tmp_path, JUNE.shifted(-2)), None).status is TileStatus.DONE
    monkeypatch.setattr(RasterioReader, "read", broken)
    others = _Others()
    outcome = work_tile(_job(archive, tmp_path, JUNE), None, others)
    assert [left.id for left in outcome.scenes_skipped] == [item_id(day) for day in days]
    assert len(days) == 4
    # The first row stops at the first fault, the next attempt finds the others in all rows, the third is whole.
    assert others.asked == [2, 2, 1, 0, 2, 1, 0] * 2


def test_a_row_does_not_show_what_opens_the_archive(archive: Path, tmp_path: Path) -> None:
    shown = list[str]()

    def look(jobs: Sequence[RowJob]) -> Iterable[MadeRow]:
        shown.extend(repr(job) for job in jobs)
        return _Others()(jobs)

    job = dataclasses.replace(_job(archive, tmp_path, JUNE), credentials=Credentials(planetary_computer_key="hush"))
    build_reference(job, None, look)
    assert len(shown) == 3
    assert "hush" not in "".join(shown)


class _Silent:
    """A reporter that tells nobody."""

    def tell(self, event: str, **facts: Any) -> None: ...

    def tile_started(self, tile: str) -> None: ...

    def progress(self, tile: str, done: int, total: int) -> None: ...

    def tile_ended(self, outcome: TileOutcome) -> None: ...


@pytest.fixture(scope="module")
def scheduler() -> Iterator[Any]:
    distributed = pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", host="127.0.0.1"
    ) as local:
        yield local


def test_one_tile_on_two_workers_one_of_which_is_killed(
    archive: Path, whole: Path, scheduler: Any, tmp_path: Path
) -> None:
    (tmp_path / "locks").mkdir()
    killed = list[str]()
    with cluster(scheduler.scheduler_address) as runner:
        client = runner._client

        def kill_who_has_a_row() -> None:
            end = time.monotonic() + 60
            while not killed and time.monotonic() < end:
                for address, keys in client.processing().items():
                    if any("sylvigie-row" in str(key) for key in keys):
                        pids = {nanny.worker_address: nanny.pid for nanny in scheduler.workers.values()}
                        os.kill(pids[address], signal.SIGKILL)
                        killed.append(address)
                        return
                time.sleep(0.01)

        killer = threading.Thread(target=kill_who_has_a_row)
        killer.start()
        started = dt.datetime(2019, 7, 2, tzinfo=dt.UTC)
        (outcome,) = runner.run(work_tile, [_job(archive, tmp_path, JUNE)], _Silent(), started)
        killer.join()
    assert len(killed) == 1
    assert outcome.status in {TileStatus.DONE, TileStatus.UNCHANGED}, outcome.message
    assert _kept(tmp_path) == _kept(whole)
