"""`sylvigie monthly` and `sylvigie reference build`: options, defaults, and what the process ends with."""

from __future__ import annotations

import datetime as dt
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from detector.month_pictures import PicturesMade
from detector.ports import AlertCounts, Progress, TileJob, TileOutcome, TileStatus, TrackOutcome
from scripts import cli, works
from scripts.exit_codes import ExitCode
from scripts.locks import RUN, locked
from scripts.monthly import newest_whole_month
from tiles.month import Month
from tiles.tile_names import TILES_OF_FRANCE

JOBS: list[TileJob] = []


def _work(job: TileJob, progress: Progress | None, share: object = None) -> TileOutcome:
    JOBS.append(job)
    status = TileStatus.INCOMPLETE if job.tile == "31TGJ" else TileStatus.DONE
    return TileOutcome(job.tile, job.month, status, "No scene.")


def _track(month: Month, tiles: Sequence[str], data_dir: Path) -> TrackOutcome:
    return TrackOutcome(AlertCounts(1, 2, 3, 4))


def _picture(month: Month, data_dir: Path, check: Callable[[], None]) -> PicturesMade:
    return PicturesMade(made=3)


def _store(months: Sequence[Month], data_dir: Path) -> list[str]:
    return [f"{month}: stored" for month in months]


@pytest.fixture(autouse=True)
def _fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    JOBS.clear()
    monkeypatch.setattr(works, "work_tile", _work)
    monkeypatch.setattr(works, "build_reference", _work)
    monkeypatch.setattr(works, "TrackAlerts", lambda *_: _track)
    monkeypatch.setattr(works, "PictureAlerts", lambda *_: _picture)
    monkeypatch.setattr(cli, "store_months", _store)
    monkeypatch.setattr(cli, "send_month", lambda _: {"sent": 0, "waiting": 0, "given_up": 0, "reasons": []})


def _sylvigie(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["sylvigie", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_the_numbers_of_the_exit_codes() -> None:
    assert {code.name: int(code) for code in ExitCode} == {
        "DONE": 0,
        "FAULT": 1,
        "INPUT": 2,
        "INCOMPLETE": 3,
        "LOCKED": 4,
        "TRACKING": 5,
        "STORE": 6,
        "INTERRUPTED": 130,
        "TERMINATED": 143,
    }


def test_what_cron_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = _sylvigie(monkeypatch, "monthly", "--data-dir", tmp_path, "--catalog", "earth-search")
    month = newest_whole_month(dt.datetime.now(dt.UTC).date())
    # 31TGJ is one of France's tiles.
    assert code == ExitCode.INCOMPLETE
    assert [job.tile for job in JOBS] == list(TILES_OF_FRANCE)
    assert {(job.month, job.catalogue, job.may_build) for job in JOBS} == {(month, "earth-search", True)}
    assert (tmp_path / "months" / str(month) / "run.json").is_file()


def test_options_reach_the_tile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "forest.tif").touch()
    options = ["--month", "2026-05", "--tiles", "31TFJ", "--data-dir", "data", "--catalog", "cdse"]
    options += ["--forest-mask", "forest.tif", "--min-area-ha", "1.5", "--threads", "3", "--no-build"]
    assert _sylvigie(monkeypatch, "monthly", *options) == ExitCode.DONE
    (job,) = JOBS
    assert (job.tile, job.month, job.threads, job.may_build) == ("31TFJ", Month(2026, 5), 3, False)
    assert (job.data_dir, job.forest_mask) == (tmp_path / "data", tmp_path / "forest.tif")
    assert job.params.patches.min_area_ha == 1.5


def test_a_reference_is_built_by_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ["--tile", "31TFJ,31TGK", "--month", "2026-05", "--data-dir", tmp_path, "--catalog", "cdse"]
    assert _sylvigie(monkeypatch, "reference", "build", *options) == ExitCode.DONE
    assert [job.tile for job in JOBS] == ["31TFJ", "31TGK"]
    (record,) = (tmp_path / "runs").glob("reference-2026-05_*.json")
    assert json.loads(record.read_text())["alerts"] is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--month", "2907-01"], "2907-01 has not begun"),
        (["--month", "May"], "YYYY-MM"),
        (["--tiles", "31TXX"], "No tile of Sentinel-2 is called 31TXX"),
        (["--scheduler", "cluster"], "cluster is no address of a scheduler"),
        (["--min-area-ha", "-1"], "min_area_ha"),
    ],
)
def test_what_will_not_do_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    given = ["--month", "2026-05", "--tiles", "31TFJ", "--data-dir", tmp_path, "--catalog", "cdse", *options]
    assert _sylvigie(monkeypatch, "monthly", *given) == ExitCode.INPUT
    captured = capfd.readouterr()
    (sentence,) = captured.err.splitlines()
    assert sentence.startswith("sylvigie: ")
    assert words in sentence
    assert captured.out == ""
    assert JOBS == []


@pytest.mark.parametrize(("command", "option"), [(["monthly"], "--tiles"), (["reference", "build"], "--tile")])
def test_another_run_is_code_four(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    command: list[str],
    option: str,
) -> None:
    given = ["--month", "2026-05", option, "31TFJ", "--data-dir", tmp_path, "--catalog", "cdse"]
    with locked(tmp_path, RUN, dt.datetime(2026, 6, 3, tzinfo=dt.UTC)):
        assert _sylvigie(monkeypatch, *command, *given) == ExitCode.LOCKED
    (sentence,) = capfd.readouterr().err.splitlines()
    assert sentence.startswith("sylvigie: Another run holds the lock ")
    assert JOBS == []


def test_without_distributed_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    given = ["--tiles", "31TFJ", "--data-dir", tmp_path, "--catalog", "cdse", "--scheduler", "tcp://127.0.0.1:9"]
    assert _sylvigie(monkeypatch, "monthly", *given) == ExitCode.INPUT
    assert "pip install 'sylvigie[cluster]'" in capfd.readouterr().err
