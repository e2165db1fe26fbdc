"""The same run on a cluster of this machine's processes, one of which is killed at its work."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts import cluster
from scripts.exit_codes import ExitCode
from scripts.monthly import run_month
from tests.fakes.tile_work import NOW, SECRET, plant, request_of, states, track, work
from tiles.errors import ClusterError

distributed = pytest.importorskip("distributed", reason="the extra `cluster` is not installed")

# More than twice the workers' threads, so that the scheduler hands them out one by one.
NAMES = ("31TFJ", "31TGJ", "31TFH", "31TGH", "31TFK", "31TGK")


@pytest.fixture(scope="module")
def local() -> Iterator[Any]:
    import dask

    settings = {"distributed.scheduler.allowed-failures": 1, "distributed.scheduler.worker-saturation": 1.0}
    with (
        dask.config.set(settings),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", host="127.0.0.1"
        ) as local,
    ):
        yield local


@pytest.fixture
def scheduler(local: Any) -> str:
    return str(local.scheduler_address)


def _run(data: Path, scheduler: str | None, *names: str) -> tuple[ExitCode, dict[str, str], list[dict[str, object]]]:
    code = run_month(request_of(data, *names, scheduler=scheduler), work, track, NOW)
    tiles = json.loads((data / "months" / "2026-05" / "run.json").read_text())["tiles"]
    return code, {tile["tile"]: tile["status"] for tile in tiles}, tiles


def test_a_worker_killed_in_mid_task_changes_no_byte(
    tmp_path: Path, scheduler: str, capfd: pytest.CaptureFixture[str]
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    _run(here, None, *NAMES)
    plant(there, t31TGJ="kill once")
    capfd.readouterr()
    code, statuses, _ = _run(there, scheduler, *NAMES)
    assert (there / "killed").exists()
    assert code == ExitCode.DONE
    assert list(statuses) == list(NAMES)
    # A tile whose result was on the lost worker is asked for again, and had been done.
    assert set(statuses.values()) <= {"done", "unchanged"}
    assert states(there) == states(here)
    err = capfd.readouterr().err
    assert SECRET not in err
    events = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    started = [event["tile"] for event in events if event["event"] == "tile_started"]
    # What the killed worker was about to say of its tile may be lost with it.
    assert set(started) == set(NAMES)
    assert any(event["event"] == "progress" and event["tile"] == "31TGH" for event in events)


def test_a_tile_that_takes_its_workers_with_it_fails_alone(
    tmp_path: Path, local: Any, scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One worker is enough here: each takes a second to start again.
    monkeypatch.setattr(local.scheduler, "allowed_failures", 0)
    plant(tmp_path, t31TFJ="kill always", t31TGJ="raise", t31TFH="incomplete")
    code, statuses, tiles = _run(tmp_path, scheduler, *NAMES)
    assert code == ExitCode.INCOMPLETE
    assert statuses["31TFJ"] == statuses["31TGJ"] == "failed"
    assert statuses["31TFH"] == "incomplete"
    assert {statuses[tile] for tile in NAMES[3:]} <= {"done", "unchanged"}
    assert str(tiles[0]["message"]).startswith("Each worker that tried it was lost (1 of them, the last at tcp://")
    assert "ZeroDivisionError" in str(tiles[1]["message"])


def test_a_scheduler_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_CONNECT_S", 0.3)
    with pytest.raises(ClusterError, match=r"No scheduler answers at tcp://127\.0\.0\.1:9: start one there"):
        _run(tmp_path, "tcp://127.0.0.1:9", "31TFJ")
    assert not (tmp_path / "runs").exists()
    assert states(tmp_path) == {}


def test_a_scheduler_without_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        distributed.LocalCluster(
            n_workers=0, processes=False, protocol="tcp://", dashboard_address=":0", host="127.0.0.1"
        ) as empty,
        pytest.raises(ClusterError, match=r"No worker joined the scheduler .* in 0 s"),
        cluster.cluster(empty.scheduler_address, join_s=0.2),
    ):
        pass


def test_a_worker_of_another_version_is_named(tmp_path: Path, scheduler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "software_version", lambda: "9.9")
    code, _, tiles = _run(tmp_path, scheduler, "31TFJ")
    assert code == ExitCode.INCOMPLETE
    assert "the run 9.9: install one version everywhere" in str(tiles[0]["message"])
