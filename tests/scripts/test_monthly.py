"""A month over several tiles: how each may end, what stays, what is told; the work of a tile is a fake's."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from detector.ports import Progress, TileJob, TileOutcome
from detector.tile_rows import RowShare
from scripts import run_record
from scripts.exit_codes import ExitCode
from scripts.locks import RUN, locked, remove_leftovers
from scripts.monthly import build_references, newest_whole_month, run_month
from scripts.tile_runs import run_tile
from tests.fakes.tile_work import (
    MONTH,
    NOW,
    SECRET,
    WINDOWS,
    broken_track,
    plant,
    request_of,
    state_of,
    states,
    track,
    work,
)
from tiles.errors import InvalidParameterError, LockedError, NoSceneError, OutputError
from tiles.month import Month
from tiles.placing import PARTIAL

ROOT = Path(__file__).parents[2]
NAMES = ("31TFJ", "31TGJ", "31TFH")
STAMP = "20260603T021500Z"


def _run(data: Path, *tiles: str, now: dt.datetime = NOW, **changes: Any) -> ExitCode:
    return run_month(request_of(data, *(tiles or NAMES), **changes), work, track, now)


def _record(data: Path, name: str = f"runs/2026-05_{STAMP}.json") -> dict[str, Any]:
    return dict(json.loads((data / name).read_text()))


def _statuses(record: dict[str, Any]) -> dict[str, str]:
    return {tile["tile"]: tile["status"] for tile in record["tiles"]}


def _events(capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capfd.readouterr().err.splitlines()]


def test_a_good_run_ends_with_zero_and_is_recorded(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert _run(tmp_path) == ExitCode.DONE
    record = _record(tmp_path)
    assert record == _record(tmp_path, "months/2026-05/run.json")
    assert list(_statuses(record).items()) == [(tile, "done") for tile in NAMES]
    assert record["alerts"] == {"new": 3, "grown": 2, "closed": 1, "open": 40}
    assert record["schema"] == 1
    assert (record["exit_code"], record["exit"], record["stopped_by"]) == (0, "done", None)
    assert record["parameters"]["patches"]["min_area_ha"] == 0.7
    assert record["catalogue"] == "https://example.org/stac"
    assert record["started"] == "2026-06-03T02:15:00+00:00"
    assert record["totals"] == {
        "statuses": {"done": 3},
        "scenes_read": 9,
        "scenes_skipped": 0,
        "bytes_read": 6_000_000,
        "peak_memory_bytes": max(tile["peak_memory_bytes"] for tile in record["tiles"]),
        "observed_share": 0.8,
    }
    tile = record["tiles"][0]
    assert tile["scenes_read"] == [f"S2A_31TFJ_2026-05_{count}" for count in range(3)]
    assert tile["scenes_skipped"] == [
        {"id": "S2B_twice", "reason": "a duplicate of one that was read", "superseded": True}
    ]
    assert tile["pixels"] == {"watched": 1000, "observed": 800, "provisional": 5, "confirmed": 7}
    assert tile["peak_memory_bytes"] > 10_000_000
    assert tile["seconds"] > 0
    (totals, where) = capfd.readouterr().out.splitlines()
    assert totals.startswith(
        "monthly 2026-05: 3 tiles: 3 done; alerts: 3 new, 2 grown, 1 closed, 40 open; "
        "9 scenes read, 0 left out; 80.0% of the forest observed; "
    )
    assert where == f"Record: {tmp_path}/runs/2026-05_{STAMP}.json"


def test_a_second_run_reads_nothing_and_changes_no_byte(tmp_path: Path) -> None:
    _run(tmp_path)
    first = states(tmp_path)
    assert len(first) == 4
    assert _run(tmp_path) == ExitCode.DONE
    assert states(tmp_path) == first
    # Two runs of one second have two records.
    record = _record(tmp_path, f"runs/2026-05_{STAMP}-2.json")
    assert set(_statuses(record).values()) == {"unchanged"}
    assert record["totals"]["bytes_read"] == 0
    assert record["totals"]["observed_share"] == 0.8


def test_events_are_json_lines_with_their_time(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    plant(tmp_path, t31TGJ="unreadable")
    _run(tmp_path, "31TFJ", "31TGJ")
    events = _events(capfd)
    assert [event["event"] for event in events if event["event"] != "progress"] == [
        "run_started",
        "tile_started",
        "tile_done",
        "tile_started",
        "tile_failed",
        "tracking_done",
        "run_done",
    ]
    windows = [event["windows"] for event in events if event["event"] == "progress" and event["tile"] == "31TFJ"]
    assert windows == list(range(2, WINDOWS + 1, 2))
    times = [dt.datetime.fromisoformat(event["time"]) for event in events]
    assert times == sorted(times)
    assert times[0] >= NOW
    started, ended = events[0], events[-1]
    assert (started["month"], started["tiles"], started["pid"]) == ("2026-05", 2, os.getpid())
    assert (ended["exit_code"], ended["exit"]) == (3, "incomplete")
    assert ended["record"] == str(tmp_path / "runs" / f"2026-05_{STAMP}.json")
    failed = next(event for event in events if event["event"] == "tile_failed")
    assert (failed["tile"], failed["message"]) == ("31TGJ", "Scene S2A_X: its pixels are cut short")


def test_bars_where_a_terminal_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    plant(tmp_path, t31TGJ="full")
    assert _run(tmp_path) == ExitCode.INCOMPLETE
    err = capfd.readouterr().err
    assert '"event"' not in err
    assert "failed: 31TGJ: The disk is full" in err


@pytest.mark.parametrize(
    ("fault", "status", "sentence"),
    [
        ("incomplete", "incomplete", "1 scene was left out by a fault."),
        ("nothing", "incomplete", "The catalogue has no scene in 2026-05."),
        ("unreadable", "failed", "Scene S2A_X: its pixels are cut short"),
        ("full", "failed", "The disk is full ({data}, at {data}/tiles/state.bin): free space there and run again."),
        (
            "raise",
            "failed",
            "A fault of Sylvigie's own (ZeroDivisionError: a kernel divided by zero): "
            "its traceback is in the run's record.",
        ),
    ],
)
def test_a_tile_that_is_not_done_is_named_and_stops_no_other(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], fault: str, status: str, sentence: str
) -> None:
    sentence = sentence.format(data=tmp_path)
    plant(tmp_path, t31TGJ=fault)
    assert _run(tmp_path) == ExitCode.INCOMPLETE
    record = _record(tmp_path)
    assert _statuses(record) == {"31TFJ": "done", "31TGJ": status, "31TFH": "done"}
    assert record["tiles"][1]["message"] == sentence
    assert (record["tiles"][1]["detail"] is not None) == (fault in {"raise", "full"})
    assert f"{status}: 31TGJ: {sentence}" in capfd.readouterr().out
    assert state_of(tmp_path, "31TFH").exists()
    # Only tiles whose state is there are tracked.
    assert record["alerts"]["new"] == (3 if status == "incomplete" else 2)


def test_a_scene_left_out_by_a_fault_is_named_at_the_end(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    plant(tmp_path, t31TGJ="incomplete")
    _run(tmp_path)
    said = capfd.readouterr().out
    assert "left out: 31TGJ: S2A_broken: the server gave up" in said
    assert "S2B_twice" not in said
    assert "7 scenes read, 1 left out" in said
    assert "66.7% of the forest observed" in said


def test_a_traceback_is_kept_for_who_mends_it(tmp_path: Path) -> None:
    plant(tmp_path, t31TGJ="raise")
    _run(tmp_path)
    detail = _record(tmp_path)["tiles"][1]["detail"]
    assert "tile_work.py" in detail
    assert "ZeroDivisionError" in detail


def test_a_run_without_any_tile_leaves_the_alerts_alone(tmp_path: Path) -> None:
    plant(tmp_path, t31TGJ="full")
    assert _run(tmp_path, "31TGJ") == ExitCode.INCOMPLETE
    assert _record(tmp_path)["alerts"] is None
    assert not (tmp_path / "months" / "2026-05" / "alerts.json").exists()


def test_alerts_are_tracked_anew_from_the_earliest_month_that_was_redone(tmp_path: Path) -> None:
    plant(tmp_path, t31TGJ="late")
    assert _run(tmp_path) == ExitCode.DONE
    record = _record(tmp_path)
    assert list(record["alerts_of_redone_months"]) == ["2026-03", "2026-04"]
    assert record["tiles"][1]["redone_months"] == ["2026-03"]
    assert sorted(path.name for path in (tmp_path / "months").iterdir()) == ["2026-03", "2026-04", "2026-05"]


def test_a_tracking_that_fails_keeps_the_tiles(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_month(request_of(tmp_path, *NAMES), work, broken_track, NOW) == ExitCode.TRACKING
    captured = capfd.readouterr()
    assert "alerts not updated: The disk is full" in captured.out
    assert '"event": "tracking_failed"' in captured.err
    record = _record(tmp_path)
    assert (record["exit"], record["alerts"]) == ("tracking", None)
    assert "The disk is full" in record["tracking_error"]
    assert "broken_track" in record["tracking_detail"]
    assert _run(tmp_path) == ExitCode.DONE


def test_a_record_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(path: Path, text: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_record, "write_whole", full)
    assert _run(tmp_path) == ExitCode.INCOMPLETE
    captured = capfd.readouterr()
    assert "The record could not be written." in captured.out
    assert "No space left on device" in captured.err


def test_secrets_are_written_nowhere(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    plant(tmp_path, t31TGJ="raise")
    _run(tmp_path)
    assert SECRET not in repr(request_of(tmp_path, "31TFJ").jobs()[0]).replace(f"?token={SECRET}", "").replace(
        f"user:{SECRET}", ""
    )
    captured = capfd.readouterr()
    written = [path.read_text(errors="replace") for path in tmp_path.rglob("*.json")]
    assert len(written) > 2
    assert SECRET not in "".join([captured.out, captured.err, *written])


# The clock


@pytest.mark.parametrize(
    ("today", "month"),
    [(dt.date(2026, 6, 1), "2026-05"), (dt.date(2026, 6, 30), "2026-05"), (dt.date(2026, 1, 15), "2025-12")],
)
def test_the_default_is_the_last_month_that_is_over(today: dt.date, month: str) -> None:
    assert str(newest_whole_month(today)) == month


def test_a_month_in_the_future_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoSceneError, match=r"2026-07 has not begun: the newest that can be run is 2026-06\."):
        _run(tmp_path, month=Month(2026, 7))
    assert list(tmp_path.iterdir()) == []


def test_a_clock_that_went_back_is_refused(tmp_path: Path) -> None:
    _run(tmp_path)
    before = states(tmp_path)
    with pytest.raises(InvalidParameterError) as caught:
        _run(tmp_path, now=NOW - dt.timedelta(days=1), month=Month(2026, 4))
    assert "The system's date is 2026-06-02, before that of the run recorded in" in str(caught.value)
    assert f"2026-05_{STAMP}.json" in str(caught.value)
    assert states(tmp_path) == before
    # Of the same day, as clocks of two machines may differ by seconds.
    assert _run(tmp_path, now=NOW - dt.timedelta(minutes=1)) == ExitCode.DONE


def test_a_clock_that_had_jumped_ahead_is_no_witness_against_the_right_one(tmp_path: Path) -> None:
    plant(tmp_path, t31TFJ="nothing")
    ahead = dt.datetime(2031, 1, 5, tzinfo=dt.UTC)
    assert _run(tmp_path, "31TFJ", now=ahead, month=Month(2030, 12)) == ExitCode.INCOMPLETE
    assert _run(tmp_path, "31TGJ") == ExitCode.DONE


def test_other_files_beside_the_records_are_no_witnesses(tmp_path: Path) -> None:
    _run(tmp_path)
    (tmp_path / "runs" / "notes_20991231T000000Z.json").write_text("[]")
    (tmp_path / "runs" / "notes.json").write_text("{")
    assert _run(tmp_path) == ExitCode.DONE


# Locks


def test_another_run_holds_the_lock(tmp_path: Path) -> None:
    with locked(tmp_path, RUN, NOW), pytest.raises(LockedError) as caught:
        _run(tmp_path)
    sentence = str(caught.value)
    assert sentence.startswith("Another run holds the lock ")
    assert f"process {os.getpid()} on {os.uname().nodename}, since 2026-06-03T02:15:00+00:00" in sentence
    assert states(tmp_path) == {}
    assert _run(tmp_path) == ExitCode.DONE


def test_a_tile_at_which_another_is_at_work_is_named(tmp_path: Path) -> None:
    with locked(tmp_path, "31TGJ", NOW):
        assert _run(tmp_path) == ExitCode.INCOMPLETE
    record = _record(tmp_path)
    assert _statuses(record) == {"31TFJ": "done", "31TGJ": "locked", "31TFH": "done"}
    assert f"process {os.getpid()}" in record["tiles"][1]["message"]


def test_a_lock_that_is_set_free_in_time_is_waited_for(tmp_path: Path) -> None:
    code = (
        "import sys, time, datetime as dt; from pathlib import Path; from scripts.locks import locked\n"
        "with locked(Path(sys.argv[1]), '31TFJ', dt.datetime.now(dt.UTC)):\n"
        "    print('held', flush=True); sys.stdin.readline()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        (job,) = request_of(tmp_path, "31TFJ").jobs()
        assert run_tile(work, job, None, NOW).status == "locked"
        holder.kill()
        # The holder had no time to say that it is gone: the kernel does.
        assert run_tile(work, job, None, NOW, wait_s=30).status == "done"


def test_a_file_system_without_locks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(fd: int, operation: int) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", missing)
    with pytest.warns(UserWarning, match="flock not supported"), pytest.raises(OutputError, match="no file locks"):
        _run(tmp_path)
    assert states(tmp_path) == {}


def test_a_data_directory_that_cannot_be_had(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="No lock can be had"):
        _run(tmp_path / "file" / "data")


def test_a_worker_without_the_data_directory_makes_none(tmp_path: Path) -> None:
    (job,) = request_of(tmp_path / "elsewhere", "31TFJ").jobs()
    outcome = run_tile(work, job, None, NOW)
    assert outcome.status == "failed"
    assert f"There is no data directory {tmp_path / 'elsewhere'} on " in str(outcome.message)
    assert not (tmp_path / "elsewhere").exists()


# Killed and stopped


def test_killed_and_started_again_gives_the_same_bytes(tmp_path: Path) -> None:
    unbroken, data = tmp_path / "unbroken", tmp_path / "data"
    _run(unbroken)
    plant(data, t31TGJ="hang")
    command = [sys.executable, "-m", "tests.fakes.tile_work", str(data), *NAMES]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        for _ in range(600):
            if (data / "hangs").exists():
                break
            time.sleep(0.05)
        with pytest.raises(LockedError, match=f"process {process.pid} on "):
            _run(data)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert list((data / "tiles" / "31TGJ").glob(f"{PARTIAL}*"))
    plant(data)
    assert _run(data) == ExitCode.DONE
    record = _record(data)
    assert _statuses(record) == {"31TFJ": "unchanged", "31TGJ": "done", "31TFH": "done"}
    assert record["leftovers_removed"] == [f"tiles/31TGJ/{PARTIAL}31TGJ-{process.pid}"]
    assert states(data) == states(unbroken)


@pytest.mark.parametrize(
    ("name", "code"), [("SIGTERM", ExitCode.TERMINATED), ("SIGINT", ExitCode.INTERRUPTED)], ids=["SIGTERM", "SIGINT"]
)
def test_told_to_stop_it_keeps_what_is_done(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, code: ExitCode
) -> None:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    plant(tmp_path, t31TGJ=name)
    assert _run(tmp_path) == code
    assert {number: signal.getsignal(number) for number in handlers} == handlers
    record = _record(tmp_path)
    assert (record["stopped_by"], record["exit_code"]) == (name, int(code))
    assert _statuses(record) == {"31TFJ": "done"}
    assert record["tiles_not_reached"] == ["31TGJ", "31TFH"]
    captured = capfd.readouterr()
    assert "not reached: 31TGJ, 31TFH" in captured.out
    assert f"Stopped by {name}: run again to go on." in captured.out
    assert json.loads(captured.err.splitlines()[-1])["exit_code"] == code
    # The locks are free, and the next run goes on.
    plant(tmp_path)
    assert _run(tmp_path) == ExitCode.DONE
    assert sorted(states(tmp_path)) == sorted(
        ["months/2026-05/alerts.json", *(f"tiles/{tile}/state_2026-05.bin" for tile in NAMES)]
    )


def test_leftovers_of_the_dead_go_and_those_of_the_living_stay(tmp_path: Path) -> None:
    dead = [
        tmp_path / f"{PARTIAL}31TFJ-77",
        tmp_path / "tiles" / "31TFH" / "states" / f"{PARTIAL}x",
        tmp_path / "months" / "2026-04" / f"{PARTIAL}run-1",
    ]
    living = tmp_path / "tiles" / "31TGJ" / f"{PARTIAL}y"
    for path in (*dead, living):
        path.mkdir(parents=True)
        (path / "band.tif").write_bytes(b"half")
    (tmp_path / "tiles" / "31TFH" / "state.tif").write_bytes(b"whole")
    with locked(tmp_path, "31TGJ", NOW):
        assert sorted(remove_leftovers(tmp_path, NOW)) == sorted(dead)
    assert living.is_dir()
    assert (tmp_path / "tiles" / "31TFH" / "state.tif").read_bytes() == b"whole"
    assert not any(path.exists() for path in dead)


def test_a_write_that_fails_leaves_the_record_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.json"
    run_record.write_whole(path, "before")
    assert path.stat().st_mode & 0o777 == 0o644

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        run_record.write_whole(path, "after")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


# References


def test_references_are_built_with_the_lock_of_the_run_held(tmp_path: Path) -> None:
    def looking(job: TileJob, progress: Progress | None, share: RowShare | None = None) -> TileOutcome:
        with pytest.raises(LockedError, match="Another run holds the lock"), locked(tmp_path, RUN, NOW):
            pass
        return work(job, progress)

    dead = tmp_path / "tiles" / "31TFH" / ".partial-x"
    dead.mkdir(parents=True)
    with locked(tmp_path, RUN, NOW), pytest.raises(LockedError):
        build_references(request_of(tmp_path, "31TFJ"), work, NOW)
    assert not (tmp_path / "runs").exists()
    assert build_references(request_of(tmp_path, "31TFJ", "31TGJ"), looking, NOW) == ExitCode.DONE
    record = _record(tmp_path, f"runs/reference-2026-05_{STAMP}.json")
    assert record["command"] == "reference build"
    assert record["leftovers_removed"] == ["tiles/31TFH/.partial-x"]
    assert _statuses(record) == {"31TFJ": "done", "31TGJ": "done"}
    assert not (tmp_path / "months").exists()
    assert state_of(tmp_path, "31TFJ", MONTH).exists()
