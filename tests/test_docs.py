"""What README says is what there is: its commands run, its options exist, and each option is told."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.core import TyperGroup
from typer.testing import CliRunner

from scripts.cli import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = typer.main.get_command(app)


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def _commands(command: Any) -> list[Any]:
    """A command, and all below it."""
    below = command.commands.values() if isinstance(command, TyperGroup) else ()
    return [command, *(deeper for each in below for deeper in _commands(each))]


def _options() -> set[str]:
    parameters = [parameter for command in _commands(COMMANDS) for parameter in command.params]
    # Arguments have a name there, but no dash.
    return {option for parameter in parameters for option in parameter.opts if option.startswith("-")}


def test_every_option_of_every_command_is_in_readme() -> None:
    assert "--forest-mask" in _options()
    assert {option for option in _options() if f"`{option}" not in README} == set()


def test_every_option_in_readme_exists() -> None:
    assert set(re.findall(r"`(--[a-z0-9-]+)", README)) <= _options()


def test_every_make_target_in_readme_exists() -> None:
    targets = re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert set(re.findall(r"make ([a-z]+)", "\n".join(_blocks("sh")))) <= set(targets)
    assert set(re.findall(r"`make ([a-z]+)`", README)) <= set(targets)


def test_files_that_readme_links_to_exist() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert "docs/adr" in links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_commands_of_readme_run_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("nrt", reason="the demo's images come with the package nrt, which is not installed")
    monkeypatch.chdir(tmp_path)
    lines = "\n".join(_blocks("sh")).replace("\\\n", " ").splitlines()
    commands = ["sylvigie demo", *(line for line in lines if line.startswith("sylvigie "))]
    assert len(commands) == 2
    for command in commands:
        result = CliRunner().invoke(app, shlex.split(command)[1:])
        assert result.exit_code == 0, (command, result.output)
    assert (tmp_path / "sylvigie-demo" / "demo.png").stat().st_size > 50_000
    (snippet,) = _blocks("python")
    exec(compile(snippet, "README.md", "exec"), {})


def test_readme_shows_what_the_demo_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("nrt", reason="the demo's images come with the package nrt, which is not installed")
    monkeypatch.chdir(tmp_path)
    printed = CliRunner().invoke(app, ["demo"]).output.splitlines()
    (block,) = _blocks("text")
    shown = [_without_cost(line) for line in block.splitlines() if line.strip(" …")]
    assert len(shown) > 8
    assert set(shown) <= {_without_cost(line) for line in printed}


def _without_cost(line: str) -> str:
    """Seconds and memory differ between machines; what was found does not."""
    return line.split(" of forest observed; ")[0].strip()
