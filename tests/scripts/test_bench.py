"""Every section of the benchmarks runs, on little, and prints its figures; how fast is not a test's business."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from scripts import bench_bytes, bench_clouds, bench_kills, bench_looks
from scripts.bench import app
from scripts.bench_figures import Figure
from scripts.bench_kernels import by_kernel, by_numexpr, by_numpy, simulated_pair
from tiles import kernels
from tiles.catalog import open_catalogue


def _run(tmp_path: Path, section: str, *options: str) -> tuple[str, list[dict[str, Any]]]:
    written = tmp_path / "figures.json"
    arguments = ["--section", section, "--size-px", "256", "--dates", "12", "--repeats", "1", "--json", str(written)]
    result = CliRunner().invoke(app, [*arguments, "--work", str(tmp_path / "work"), *options], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output, json.loads(written.read_text())


def _named(figures: list[dict[str, Any]], words: str) -> list[dict[str, Any]]:
    return [figure for figure in figures if words in figure["name"]]


def test_kernels(tmp_path: Path) -> None:
    printed, figures = _run(tmp_path, "kernels")
    goals = {figure["name"].strip(): figure["at_least"] for figure in figures if figure["at_least"] is not None}
    assert goals == {
        "share of the triad's bandwidth": 0.6,
        "times faster than numexpr": 12,
        "times faster than numpy": 20,
    }
    assert all(figure["name"] in printed for figure in figures)
    assert len(_named(figures, "memory beside input and output")) == 3


def test_all_ways_of_the_kernel_agree() -> None:
    pair = simulated_pair(130)
    results = []
    for way in (by_kernel, by_numexpr, by_numpy):
        out = np.zeros((130, 130), np.int16)
        way(pair, out)
        results.append(out.astype(int))
    assert 0.2 < (results[0] != kernels.MISSING).mean() < 0.9
    for other in results[1:]:
        assert np.abs(results[0] - other).max() <= 1


def test_fit(tmp_path: Path) -> None:
    pytest.importorskip("nrt", reason="the fit is held beside nrt's, which is not installed")
    _, figures = _run(tmp_path, "fit")
    (ratio,) = _named(figures, "times faster than nrt")
    assert ratio["at_least"] == 2
    (difference,) = _named(figures, "largest difference of a coefficient")
    assert difference["value"] < 1e-6
    assert [figure["at_least"] for figure in _named(figures, "times faster")[1:]] == [5, 5, None]


def test_scan(tmp_path: Path) -> None:
    _, figures = _run(tmp_path, "scan")
    assert [figure["at_most"] for figure in _named(figures, "over decoding alone")] == [1.1, 1.1]
    assert len(_named(figures, "peak memory")) == 2
    assert {"reading", "reference", "monitoring"} <= {
        figure["name"].removeprefix("  of the engine: ") for figure in _named(figures, "  of the engine: ")
    }
    assert sorted(path.name for path in (tmp_path / "work").iterdir()) == [
        "simulated-128px-12dates-0.5forest-0.3cloud",
        "simulated-256px-12dates-0.5forest-0.3cloud",
    ]


def test_detection(tmp_path: Path, shared_data: Path) -> None:
    pytest.importorskip("nrt", reason="the demo's images come with nrt")
    reference = shared_data / "romania" / "patches_2017_2019.geojson"
    printed, figures = _run(tmp_path, "detection", "--reference", str(reference))
    assert len(_named(figures, "ha: alerts")) == 7
    # These are the goals, not a speed: they are tested.
    assert [figure["name"] for figure in figures if figure["met"] is False and figure["unit"] != "s"] == []
    assert "18 of 18" in printed


def test_clouds(tmp_path: Path, shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("nrt", reason="the demo's images come with nrt")
    monkeypatch.setattr(bench_clouds, "_HELD_OUT", dict.fromkeys(bench_clouds._HELD_OUT, (7,)))
    monkeypatch.setattr(bench_clouds, "_SETTINGS", bench_clouds._SETTINGS[1:2])
    monkeypatch.setattr(bench_clouds, "_SKY_PX", 400)
    monkeypatch.setattr(bench_clouds, "_TILE_PX", 550)
    reference = shared_data / "romania" / "patches_2017_2019.geojson"
    _, figures = _run(tmp_path, "clouds", "--reference", str(reference))
    # Where bright cuts are mostly called cloud, much is won; real and simulated clouds stay clouds.
    won = [figure["value"] for figure in _named(figures, "of those that it loses, won back")]
    assert len(won) == 4
    assert won[0] > 50
    assert won[0] > won[-1]
    harmless = [
        *_named(figures, "real cloud beside them"),
        *_named(figures, "fair-weather"),
        *_named(figures, "of all"),
    ]
    assert len(harmless) == 8
    assert [figure["name"] for figure in harmless if figure["met"] is False] == []
    kept, seen = (_named(figures, name)[-1] for name in ("that are kept", "without dates that show little"))
    assert kept["value"] >= 99
    assert seen["value"] < _named(figures, "lows at intact forest")[-1]["value"]


def test_detection_says_what_it_lacks(tmp_path: Path) -> None:
    printed, _ = _run(tmp_path, "detection", "--reference", str(tmp_path / "absent.geojson"))
    assert "left out: there is no" in printed


@pytest.mark.parametrize(
    ("goal", "met"),
    [({}, None), ({"at_least": 2}, True), ({"at_least": 3}, False), ({"at_most": 2.5}, True), ({"at_most": 2}, False)],
)
def test_a_goal_is_met_or_not(goal: dict[str, Any], met: bool | None) -> None:
    figure = Figure("kernels", "a ratio", 2.5, **goal)
    assert figure.met is met
    assert ("NOT MET" in figure.line()) == (met is False)


def test_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_bytes, "_DATES", 3)
    _, figures = _run(tmp_path, "bytes")
    totals, shares = _named(figures, "SIMULATED 256 px"), _named(figures, "  read, ")
    assert len(totals) == 6
    assert {figure["at_most"] for figure in shares} == {None, 0.35}
    by_tile = [shares[start : start + 5] for start in range(0, 30, 5)]
    for one in by_tile:
        read = [figure["value"] for figure in one]
        # The more of the forest must be clear, or the more days be saved, the less is read.
        assert read[:3] == sorted(read[:3], reverse=True)
        assert [read[1], *read[3:]] == sorted([read[1], *read[3:]], reverse=True)
        assert 0 < read[0] <= 1
        assert "observations lost 0.0%" in one[0]["note"]


def test_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_looks, "_CHOOSING", (1, 2))
    monkeypatch.setattr(bench_looks, "_FIRST_HOLDOUT", ())
    monkeypatch.setattr(bench_looks, "_HOLDOUT", (3,))
    _, figures = _run(tmp_path, "looks")
    by_days = [figure["value"] for figure in _named(figures, "days saved")]
    assert len(by_days) == 10
    for read in (by_days[:5], by_days[5:]):
        assert read[-1] > 0
        assert read == sorted(read, reverse=True)
    every, least = _named(figures, "every block")[0], _named(figures, "clear share 0.1")[0]
    assert by_days[0] <= least["value"] <= every["value"] <= 1
    assert "found in" in every["note"]


def test_losses_wait_for_the_next_look_and_the_one_after() -> None:
    days = np.array([4, 10, 25], np.int64)
    looks = np.array([[1, 1, 1], [0, 1, 0], [0, 0, 0]], bool)
    waits = [bench_looks.count_waits(pixel[None], days, 30) for pixel in looks]
    for pixel, counted in zip(looks, waits, strict=True):
        again = [day + turn * 30 for turn in range(4) for day in days[pixel]]
        for which, days_waited in enumerate((counted.found, counted.confirmed)):
            expected = np.zeros(121, int)
            for lost in range(30):
                later = [day - lost for day in again if day > lost]
                expected[later[which] if later else 90] += 1
            np.testing.assert_array_equal(days_waited, expected)
    together = bench_looks.count_waits(looks, days, 30)
    np.testing.assert_array_equal(together.found, sum(one.found for one in waits))
    assert together.looks[:4].tolist() == [1, 1, 0, 1]


def test_context(tmp_path: Path) -> None:
    printed, figures = _run(tmp_path, "context")
    goals = [(figure["unit"], figure["at_most"]) for figure in figures if figure["at_most"] is not None]
    assert goals == [("s", 120), ("GB", 3)]
    assert "SIMULATED" in printed
    (told,) = _named(figures, "are told")
    assert told["value"] > 0.5
    (steep,) = _named(figures, "slope >= 30 %")
    assert 0 < steep["value"] <= 1
    assert (tmp_path / "work" / "simulated-france-0.023" / "complete").exists()


def test_cost_of_france() -> None:
    hours, read = bench_bytes.cost_of_france(360, 2e9)
    assert hours.value == pytest.approx(9.8)
    assert read.value == pytest.approx(196)
    assert (hours.unit, read.unit) == ("h", "GB")
    assert "98 tiles" in hours.name


def test_kills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The kills themselves are tested in test_kills.py: they take a minute here.
    asked: list[Any] = []

    def counted(command: list[str], data_dir: Path, kills: int, seed: int) -> bench_kills.Killed:
        asked.append((command, data_dir, kills, seed))
        return bench_kills.Killed(kills, kills - 1, 2.0)

    monkeypatch.setattr(bench_kills, "kill_at_random", counted)
    monkeypatch.setattr(bench_kills, "_SIDE_PX", 128)
    (figure,) = _run(tmp_path, "kills")[1]
    assert (figure["value"], figure["at_least"], figure["met"]) == (49, 50, False)
    ((command, data_dir, kills, _),) = asked
    assert kills == 50
    assert not data_dir.exists()
    found = open_catalogue(command[command.index("--catalog") + 1]).search(dt.date(2019, 7, 1), dt.date(2019, 7, 31))
    assert {scene.tile for scene in found.scenes} == {"31TDK", "31TEK"}
