"""`sylvigie train model` and `sylvigie evaluate`: what they print and write, and what they warn of."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from models.classifier import load_model
from models.dataset import write_table
from models.evaluation import LARGE
from scripts.cli import app
from scripts.evaluate_command import rank_openings
from tests.fakes.training_table import drawn_table

for _module in ("sklearn", "matplotlib"):
    pytest.importorskip(_module, reason=f"{_module} comes with the extra train")

ROOT = Path(__file__).parents[2]


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    assert result.exit_code == 0, (arguments, result.output, result.exception)
    return result.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables, and a model trained on one of them."""
    folder = tmp_path_factory.mktemp("trained")
    write_table(drawn_table(places=5), folder / "seen.parquet")
    write_table(drawn_table(seed=2, places=5, name="elsewhere"), folder / "unseen.parquet")
    printed = run("train", "model", "--data", folder / "seen.parquet", "--version", "t", "--out", folder / "models")
    (folder / "printed.txt").write_text(printed, encoding="utf-8")
    return folder


def test_training_prints_figures_and_goals_and_keeps_them_on_the_card(folder: Path) -> None:
    printed = (folder / "printed.txt").read_text(encoding="utf-8")
    card = load_model(folder / "models" / "clearcut-t").card
    assert re.search(r"user's accuracy, area >= 0.5 ha .* >= 0.95 +(met|NOT MET)$", printed, re.MULTILINE)
    for anchor in ("0.86", "0.847", "0.80-0.89"):
        assert anchor in printed
    brier = card.score("brier", LARGE)
    assert brier is not None
    assert re.search(rf"^  model .*{brier.value:.3f} \[", printed, re.MULTILINE)


def test_data_that_were_trained_on_are_evaluated_out_of_place_and_loudly(folder: Path) -> None:
    model, out = folder / "models" / "clearcut-t", folder / "again"
    printed = run("evaluate", "--model", model, "--data", folder / "seen.parquet", "--out", out)
    assert "WARNING: the model was trained on 5 places of these data" in printed
    # The same figures as when it was trained: they were out of place then, too.
    first = (folder / "printed.txt").read_text(encoding="utf-8")
    line = next(line for line in first.splitlines() if line.startswith("  model "))
    assert line in printed


def test_other_rows_of_places_that_were_trained_on_are_no_new_data(folder: Path) -> None:
    model = folder / "models" / "clearcut-t"
    write_table(drawn_table(seed=3, places=5), folder / "other_rows.parquet")
    printed = run("evaluate", "--model", model, "--data", folder / "other_rows.parquet", "--out", folder / "third")
    assert "WARNING: the model was trained on 5 places of these data" in printed


def test_places_that_it_did_not_see_are_scored_by_the_model_itself(folder: Path) -> None:
    model, out = folder / "models" / "clearcut-t", folder / "new"
    printed = run("evaluate", "--model", model, "--data", folder / "unseen.parquet", "--out", out)
    assert "WARNING" not in printed
    assert "a model that never saw these data" in printed
    (page_file,) = out.rglob("evaluation.html")
    page = page_file.read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "semi-synthétique" in page
    assert not re.search(r"(src|href)=\"(?!data:|#)", page)
    assert page.count("data:image/png;base64,") >= 2


def test_the_demo_s_openings_are_ranked(folder: Path) -> None:
    pytest.importorskip("nrt", reason="the demo's images come with the package nrt, which is not installed")
    parents = (ROOT.parent, ROOT.parents[1])
    found = [one for top in parents for one in (top / "shared" / "data").glob("**/patches_2017_2019.geojson")]
    if not found:
        pytest.skip("the openings come with ../shared, which is absent")
    goal = rank_openings(load_model(folder / "models" / "clearcut-t"), found[0])
    assert np.isfinite(goal.value)
    assert re.search(
        r"real openings of 2019 among \d+ alerts \(\d+ of \d+ above all that meets none; by chance ", goal.name
    )


def test_commands_of_the_guide_run_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("nrt", reason="the real images come with the package nrt, which is not installed")
    monkeypatch.chdir(tmp_path)
    guide = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    commands = [line for block in re.findall(r"```sh\n(.*?)```", guide, re.DOTALL) for line in block.splitlines()]
    assert len(commands) == 8
    for command in commands:
        fewer = ["--draws", "4", "--threads", "1"] if "simulate" in command else []
        run(*shlex.split(command)[1:], *fewer)
    printed = run("models", "list")
    assert re.search(r"^\* clearcut-mine +own +Semi-synthetic", printed, re.MULTILINE)
    assert re.search(r"^  clearcut-shape +own +Semi-synthetic", printed, re.MULTILINE)
    models = tmp_path / "sylvigie-data" / "models"
    assert "rectangularity" not in load_model(models / "clearcut-mine").card.features
    assert "rectangularity" in load_model(models / "clearcut-shape").card.features
