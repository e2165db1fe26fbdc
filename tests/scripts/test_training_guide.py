"""The guide for who retrains the model: its commands run as written, one after the other, in an empty folder."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scripts.cli import app

GUIDE = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL) for line in block.splitlines()]


def test_the_guide_leads_from_an_empty_folder_to_a_compared_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("nrt", reason="the simulation's images come with the package nrt, which is not installed")
    pytest.importorskip("sklearn", reason="training needs scikit-learn, of the extra train")
    pytest.importorskip("matplotlib", reason="pictures need matplotlib, of the extra train")
    monkeypatch.chdir(tmp_path)
    said = {}
    assert len(COMMANDS) == 8
    for command in COMMANDS:
        program, *arguments = shlex.split(command)
        assert program == "sylvigie"
        if "--draws" in arguments:
            # Less of it: the places need some patches each, no more.
            arguments[arguments.index("--draws") + 1] = "5"
            arguments += ["--threads", "1"]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, f"{command}\n{result.output}\n{result.exception!r}"
        said[command] = result.output
    card = json.loads((tmp_path / "models/clearcut-mine.1/card.json").read_text())
    assert card["summary"].startswith("Semi-synthetic")
    assert card["scores"]
    assert (tmp_path / "models/clearcut-mine.1-evaluation/evaluation.html").is_file()
    assert (tmp_path / "evaluation/evaluation.html").is_file()
    told = "\n".join(said.values())
    assert told.count("Semi-synthetic: trained on events simulated in real images") >= 2
    assert "F1 0.86" in told
    assert json.loads((tmp_path / "models/in-use.json").read_text()) == {"clearcut": "clearcut-mine.1"}
    listed = CliRunner().invoke(app, ["models", "list", "--data-dir", "."]).output
    assert re.search(r"^\* clearcut-mine\.1 +own", listed, re.MULTILINE)
    assert re.search(r"^\* abuse-2026\.1 +shipped", listed, re.MULTILINE)
