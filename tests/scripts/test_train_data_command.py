"""`sylvigie train data`: simulated, extracted and imported tables, and what is said of each."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from models.dataset import read_table
from models.schema import FEATURE_NAMES
from scripts.cli import app
from scripts.demo_archive import DemoArchive
from scripts.exit_codes import ExitCode
from tests.models.test_points import at, disfor
from tiles.errors import DatasetError


def test_simulated_data_say_so(tmp_path: Path) -> None:
    pytest.importorskip("nrt", reason="the real images come with the package nrt, which is not installed")
    out = tmp_path / "simulated.parquet"
    command = ["train", "data", "simulate", "--seed", "3", "--draws", "1", "--threads", "1", "--out", str(out)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    table = read_table(out)
    assert result.output.startswith(f"SIMULATED training table: {len(table.rows)} patches")
    assert table.content_hash in result.output
    assert len(table.rows) >= 15
    assert "Clear-cuts of 0.5 ha or more found" in result.output
    assert "True date of clear-cuts within last_intact..first_low" in result.output


def test_points_are_extracted_and_what_is_missing_is_named(demo_archive: DemoArchive, tmp_path: Path) -> None:
    away = (2.0, 45.0)
    labels = disfor(
        tmp_path / "labels.csv",
        [
            (1, "2019-04-10", 211, at(37, 54), "7"),
            (2, "2019-04-10", 211, away, "8"),
            (3, "2019-04-10", 110, away, "8"),
        ],
    )
    out = tmp_path / "points.parquet"
    command = ["train", "data", "extract", "--points", str(labels), "--out", str(out)]
    result = CliRunner().invoke(app, [*command, "--catalog", str(demo_archive.catalog)])
    assert result.exit_code == ExitCode.INCOMPLETE, result.output
    assert "Left out: 1 labels 'x110', which tell no cause" in result.output
    assert "Missing: 2019-07, disfor-2-20190410:" in result.output
    assert "1 scans and 0 scenes are missing" in result.output
    assert list(read_table(out).events.event_id) == ["disfor-1-20190410"]


def test_an_own_table_is_imported_or_refused(tmp_path: Path) -> None:
    frame = pd.DataFrame({name: [float("nan")] * 3 for name in FEATURE_NAMES})
    mine, out = tmp_path / "mine.csv", tmp_path / "own.parquet"
    frame.assign(place=["a", "b", "c"], cause="fire", note="x").to_csv(mine, index=False)
    command = ["train", "data", "import", "--file", str(mine), "--out", str(out)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "Training table: 3 patches" in result.output
    assert "left aside: note" in result.output
    assert len(read_table(out).rows) == 3
    frame.to_csv(mine, index=False)
    assert isinstance(CliRunner().invoke(app, command).exception, DatasetError)
    assert len(read_table(out).rows) == 3
