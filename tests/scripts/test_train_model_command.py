"""`sylvigie train model` and `sylvigie evaluate`: what they print and write, and what they warn of."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

import scripts.evaluation_demo as evaluation_demo
from models.classifier import load_model
from models.dataset import write_table
from scripts.cli import app
from tests.fakes.training_table import drawn_table
from tiles.errors import DatasetError

for _module in ("sklearn", "matplotlib"):
    pytest.importorskip(_module, reason=f"{_module} comes with the extra train")

ROOT = Path(__file__).parents[2]
DAY = "2026-11-23"


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    assert result.exit_code == 0, (arguments, result.output, result.exception)
    return result.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table, and a model trained on it."""
    folder = tmp_path_factory.mktemp("trained")
    write_table(drawn_table(places=4), folder / "seen.parquet")
    write_table(drawn_table(seed=2, places=4, name="elsewhere"), folder / "unseen.parquet")
    printed = run(
        *("train", "model", "--data", folder / "seen.parquet", "--seed", 1, "--out", folder / "models"),
        *("--version", "t", "--made-on", DAY),
    )
    (folder / "printed.txt").write_text(printed, encoding="utf-8")
    return folder


def test_training_prints_figures_and_goals_and_keeps_them_on_the_card(folder: Path) -> None:
    printed = (folder / "printed.txt").read_text(encoding="utf-8")
    card = load_model(folder / "models" / "clearcut-t").card
    assert "SEMI-SYNTHETIC EVALUATION (100% of the rows are simulated)" in printed
    assert re.search(r"^(met|NOT MET) +user's accuracy, area >= 0.5 ha: at least 0.95", printed, re.MULTILINE)
    for anchor in ("0.86", "0.847", "0.80-0.89"):
        assert anchor in printed
    brier = card.score("brier")
    assert brier is not None
    assert re.search(rf"^model .*{brier.value:.3f} \[", printed, re.MULTILINE)
    assert card.made_on == DAY


def test_data_that_were_trained_on_are_evaluated_out_of_fold_and_loudly(folder: Path) -> None:
    model, out = folder / "models" / "clearcut-t", folder / "again"
    printed = run("evaluate", "--model", model, "--data", folder / "seen.parquet", "--out", out)
    assert "WARNING: the model clearcut-t cannot be evaluated on these data" in printed
    # The same figures as when it was trained: they were out of place then, too.
    first = (folder / "printed.txt").read_text(encoding="utf-8")
    line = next(line for line in first.splitlines() if line.startswith("model "))
    assert line in printed
    assert "cannot be evaluated on these data" in (out / "evaluation.html").read_text(encoding="utf-8")


def test_places_that_it_did_not_see_are_scored_by_the_model_itself(folder: Path) -> None:
    model, out = folder / "models" / "clearcut-t", folder / "new"
    printed = run("evaluate", "--model", model, "--data", folder / "unseen.parquet", "--out", out)
    assert "WARNING" not in printed
    page = (out / "evaluation.html").read_text(encoding="utf-8")
    assert page.startswith('<!doctype html><html lang="fr">')
    assert "<title>Évaluation semi-synthétique" in page
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert page.count("data:image/png;base64,") == 3
    for name in ("reliability.png", "causes.png", "importance.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")
    assert "logistic regression" in (out / "figures.csv").read_text(encoding="utf-8")
    # Places of a table whose content differs are still those that were trained on.
    write_table(drawn_table(seed=3, places=4), folder / "other_rows.parquet")
    printed = run("evaluate", "--model", model, "--data", folder / "other_rows.parquet", "--out", folder / "third")
    assert "it was trained on 4 of these places" in printed


def test_the_demo_s_openings_are_ranked(folder: Path) -> None:
    pytest.importorskip("nrt", reason="the demo's images come with the package nrt, which is not installed")
    found = sorted((ROOT.parent / "shared" / "data").glob("**/patches_2017_2019.geojson"))
    found = found or sorted((ROOT.parents[1] / "shared" / "data").glob("**/patches_2017_2019.geojson"))
    if not found:
        pytest.skip("the openings come with ../shared, which is absent")
    model = load_model(folder / "models" / "clearcut-t")
    rank = evaluation_demo.rank_openings(model, found[0], folder / "demo")
    assert 0 < rank.openings <= rank.alerts
    assert 0 < rank.average_precision <= 1
    assert rank.above_all == (rank.openings == rank.alerts or rank.lowest_opening > rank.highest_other)


def test_openings_that_cannot_be_read_are_refused(folder: Path) -> None:
    model = load_model(folder / "models" / "clearcut-t")
    with pytest.raises(DatasetError, match="give polygons with a year"):
        evaluation_demo.rank_openings(model, folder / "printed.txt", folder / "demo")


def test_commands_of_the_guide_run_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("nrt", reason="the real images come with the package nrt, which is not installed")
    monkeypatch.chdir(tmp_path)
    guide = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    commands = [line for block in re.findall(r"```sh\n(.*?)```", guide, re.DOTALL) for line in block.splitlines()]
    assert len(commands) == 5
    for command in commands:
        fewer = ["--draws", "6", "--threads", "1"] if "simulate" in command else []
        run(*shlex.split(command)[1:], *fewer)
    assert (tmp_path / "evaluation-2" / "evaluation.html").is_file()
    assert "rectangularity" in load_model(tmp_path / "models" / "clearcut-1").card.features
    assert "rectangularity" not in load_model(tmp_path / "models" / "clearcut-2").card.features
