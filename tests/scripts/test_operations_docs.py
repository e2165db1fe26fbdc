"""docs/operations.md says what is there: options, exit codes, events, fields; systemd understands the units."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.core import TyperGroup

from detector.month_pictures import PicturesMade
from detector.ports import TileStatus
from scripts.cli import app
from scripts.exit_codes import ExitCode
from scripts.monthly import AfterTracking, run_month
from tests.fakes.tile_work import NOW, broken_track, plant, request_of, track, work

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
CRON = ROOT / "scripts" / "cron"


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


def _told(heading: str) -> set[str]:
    """Words in the first columns of the tables under a heading."""
    section = PAGE.split(f"\n{heading}\n")[1].split("\n## ")[0]
    return {
        word for row in re.findall(r"^\|([^|]*)\|", section, flags=re.MULTILINE) for word in re.findall(r"`(\w+)`", row)
    }


def test_every_exit_code_is_told() -> None:
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, flags=re.MULTILINE)} == set(ExitCode)


def test_every_option_of_the_run_is_told_and_exists() -> None:
    commands = typer.main.get_command(app)
    assert isinstance(commands, TyperGroup)
    options = {option for parameter in commands.commands["monthly"].params for option in parameter.opts}
    told = set(re.findall(r"^\| `(--[a-z-]+)", PAGE, flags=re.MULTILINE))
    assert told == options


def _broken(*_: object) -> Any:
    raise OSError("gone")


def test_every_event_and_field_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    plant(tmp_path, t31TFJ="raise")
    stored = ["2026-05: 1 new."]
    notices = {"sent": 1, "waiting": 0, "given_up": 0, "reasons": []}
    after = AfterTracking(lambda *_: PicturesMade(), lambda *_: stored, lambda _: notices)
    run_month(request_of(tmp_path, "31TFJ", "31TGJ"), work, track, NOW, after)
    events = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    run_month(request_of(tmp_path, "31TGJ"), work, track, NOW, AfterTracking(None, lambda *_: stored, _broken))  # type: ignore[arg-type]
    events += [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    run_month(request_of(tmp_path, "31TGJ"), work, broken_track, NOW)
    events += [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    run_month(request_of(tmp_path, "31TGJ"), work, track, NOW, AfterTracking(_broken, _broken))  # type: ignore[arg-type]
    events += [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert _told("## Every month") == {event["event"] for event in events} | {"record_failed"}
    record = json.loads((tmp_path / "months" / "2026-05" / "run.json").read_text())
    assert _told("## The record") == set(record) | set(record["tiles"][0])
    assert all(f"`{name}`" in PAGE for name in record["totals"])
    assert all(f"`{status}`" in PAGE for status in TileStatus)


def test_snippets_can_be_read() -> None:
    (jobqueue,) = _blocks("python")
    ast.parse(jobqueue)
    yaml = pytest.importorskip("yaml", reason="PyYAML comes with dask, of the extra `cluster`")
    (cluster,) = _blocks("yaml")
    spec = yaml.safe_load(cluster)["spec"]
    assert spec["worker"]["spec"]["containers"][0]["args"][-4:] == ["--nthreads", "1", "--memory-limit", "0"]


def test_links_lead_somewhere() -> None:
    headings = {
        re.sub(r"[^\w -]", "", line.lstrip("# ")).lower().replace(" ", "-")
        for line in PAGE.splitlines()
        if line.startswith("#")
    }
    anchors = set(re.findall(r"\]\(#([^)]+)\)", PAGE))
    assert anchors
    assert anchors <= headings
    assert all((ROOT / path).exists() for path in re.findall(r"`(scripts/cron/\w+)`", PAGE))


def test_systemd_understands_the_units(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not on this machine")
    for unit in CRON.glob("sylvigie-monthly.*"):
        # It checks that the program is there: Python stands in for what an installation puts in /opt.
        text = unit.read_text(encoding="utf-8").replace("/opt/sylvigie/bin/sylvigie", sys.executable)
        (tmp_path / unit.name).write_text(text, encoding="utf-8")
    units = sorted(str(path) for path in tmp_path.iterdir())
    assert len(units) == 2
    checked = subprocess.run([analyze, "verify", *units], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_cron_and_systemd_start_the_same_command() -> None:
    service = (CRON / "sylvigie-monthly.service").read_text(encoding="utf-8")
    command = re.search(r"^ExecStart=(.*)$", service, flags=re.MULTILINE)
    assert command is not None
    assert f"exec {command[1]} 2>>" in (CRON / "crontab").read_text(encoding="utf-8")
    assert "3,10,20 * *" in (CRON / "crontab").read_text(encoding="utf-8")
    assert "OnCalendar=*-*-03,10,20 " in (CRON / "sylvigie-monthly.timer").read_text(encoding="utf-8")
    retried = {ExitCode.INCOMPLETE, ExitCode.TRACKING, ExitCode.STORE}
    prevented = re.search(r"^RestartPreventExitStatus=(.*)$", service, flags=re.MULTILINE)
    stopped = re.search(r"^SuccessExitStatus=(.*)$", service, flags=re.MULTILINE)
    assert prevented is not None
    assert stopped is not None
    named = {int(code) for code in f"{prevented[1]} {stopped[1]}".split()}
    assert named == set(ExitCode) - retried - {ExitCode.DONE}
