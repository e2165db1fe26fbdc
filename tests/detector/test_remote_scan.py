"""A scan over a network that breaks, end to end: the same alerts, or a scene named and read at the next run."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from detector.pipeline import ScanResult, scan
from scripts import cli
from scripts.exit_codes import ExitCode
from scripts.works import layers_and_rules, patch_scorer
from tests.fakes.archive import JULY_DAYS, REFERENCE_DAYS, item_id
from tests.fakes.bad_server import BadServer, Manners, bad_server, even_shares
from tiles import merging
from tiles.catalog import StaticCatalogue
from tiles.catalog import static as static_module
from tiles.month import Month
from tiles.reader import RasterioReader
from tiles.remote import HostGate, RetryPolicy
from tiles.watch import WatchedArea
from tiles.web_files import WebFiles

QUICK = RetryPolicy(first_delay_s=0.001, longest_delay_s=0.01, stall_timeout_s=2, request_timeout_s=4, jitter_seed=1)
SAME = ("alerts.geojson", "change_31TDK_2019-07.tif", "state_31TDK_2019-07.tif", "features.parquet")


@pytest.fixture
def server(small_archive: Path, tmp_path: Path) -> Iterator[BadServer]:
    with bad_server(small_archive, tmp_path / "work") as server:
        yield server


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "RasterioReader", lambda *_, **__: RasterioReader(policy=QUICK, gate=HostGate(4)))
    monkeypatch.setattr(static_module, "_POLICY", QUICK)


def _scan(href: str, out: Path) -> ScanResult:
    catalogue = StaticCatalogue(href, web=WebFiles(policy=QUICK))
    # As the command does: without layers, with the shipped models.
    appraiser, scorer = layers_and_rules(out, None), patch_scorer(out)
    today, area = dt.date(2026, 11, 23), WatchedArea.open(None, None)
    return scan(catalogue, Month(2019, 7), area, out, today=today, threads=2, appraiser=appraiser, scorer=scorer)


def _files(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in SAME}


@pytest.mark.parametrize("seed", [1, 2])
def test_a_bad_network_changes_nothing_of_the_results(
    server: BadServer, small_archive: Path, tmp_path: Path, seed: int
) -> None:
    undisturbed = _scan(str(small_archive), tmp_path / "disk")
    assert len(undisturbed.alerts) == 1
    server.behave(Manners(seed, even_shares(0.3), in_row=3))
    result = _scan(server.url, tmp_path / "web")
    assert sum(request.fault is not None for request in server.log) > 20
    assert result.complete
    assert _files(tmp_path / "web") == _files(tmp_path / "disk")
    assert result.bytes_read == undisturbed.bytes_read


def test_a_scene_that_stays_broken_is_named_and_read_at_the_next_run(
    server: BadServer, small_archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _scan(str(small_archive), tmp_path / "disk")
    monkeypatch.setattr("sys.argv", _command(server, tmp_path / "web"))
    lost = item_id(JULY_DAYS[0]), item_id(REFERENCE_DAYS[3])
    server.behave(Manners(broken={f"/sentinel-2-l2a/{name}/nir": 503 for name in lost}))
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == ExitCode.INCOMPLETE
    skipped = {left["id"]: left for left in json.loads((tmp_path / "web" / "scan.json").read_text())["scenes_skipped"]}
    assert sorted(skipped) == sorted(lost)
    for left in skipped.values():
        assert not left["superseded"]
        assert "given up after 6 attempts, at last 503 Service Unavailable (http://127.0.0.1" in left["reason"]
        assert left["reason"].endswith("nir.tif); the next run tries again")
    server.behave(Manners())
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 0
    assert _files(tmp_path / "web") == _files(tmp_path / "disk")


def _command(server: BadServer, out: Path) -> list[str]:
    return ["sylvigie", "scan", "--catalog", server.url, "--month", "2019-07", "--out", str(out)]
