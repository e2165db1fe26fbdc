"""What is put in place is on the disk before it bears its name, and its name before anybody goes on."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from detector.known import Register
from detector.register import RegisterStore
from detector.tile_store import TileStore
from scripts.run_record import write_whole
from tiles.month import Month
from tiles.placing import put_file, put_folder


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """What was flushed and renamed so far, in order; names of partial things are left out of paths."""
    said: list[str] = []
    fsync, rename, replace = os.fsync, Path.rename, Path.replace

    def flushed(handle: int) -> None:
        said.append(f"flush {Path(f'/proc/self/fd/{handle}').resolve().relative_to(tmp_path)}")
        fsync(handle)

    def moved(act: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
        def told(self: Path, target: Path) -> Path:
            said.append(f"put {target.relative_to(tmp_path)}")
            return act(self, target)

        return told

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(Path, "rename", moved(rename))
    monkeypatch.setattr(Path, "replace", moved(replace))
    return lambda: said


def test_a_file_is_flushed_then_put_then_its_folder_is(tmp_path: Path, steps: Callable[[], list[str]]) -> None:
    partial, target = tmp_path / "partial", tmp_path / "whole"
    partial.write_text("new")
    target.write_text("old")
    put_file(partial, target)
    assert steps() == ["flush partial", "put whole", "flush ."]
    assert (target.read_text(), partial.exists()) == ("new", False)


def test_all_that_a_folder_holds_is_flushed_before_it_is_put(tmp_path: Path, steps: Callable[[], list[str]]) -> None:
    (tmp_path / "partial" / "inner").mkdir(parents=True)
    (tmp_path / "partial" / "a").write_text("a")
    (tmp_path / "partial" / "inner" / "b").write_text("b")
    put_folder(tmp_path / "partial", tmp_path / "whole")
    assert steps() == [
        *("flush partial/inner/b", "flush partial/inner", "flush partial/a", "flush partial"),
        *("put whole", "flush ."),
    ]
    assert (tmp_path / "whole" / "inner" / "b").read_text() == "b"


def test_months_of_tiles_and_of_the_register_and_records_are_put_so(
    tmp_path: Path, steps: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with TileStore(tmp_path, "31TFJ").new_version(Month(2026, 1)) as folder:
        (folder / "memory.arrow").write_bytes(b"memory")
    assert [step.rpartition("/")[2] for step in steps()] == ["memory.arrow", "month", "2026-01.1", "31TFJ"]
    steps().clear()
    RegisterStore(tmp_path / "alerts").write(Register(Month(2026, 1)))
    put = steps().index("put alerts/2026-01.1")
    flushed = {step.rpartition("/")[2] for step in steps()[:put]}
    assert flushed >= {path.name for path in (tmp_path / "alerts" / "2026-01.1").iterdir()}
    assert steps()[put + 1 :] == ["flush alerts"]
    steps().clear()
    write_whole(tmp_path / "run.json", "{}")
    assert steps()[1:] == ["put run.json", "flush ."]


@pytest.mark.parametrize(("code", "is_told"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_file_system_that_flushes_no_folders_will_do_and_a_broken_disk_will_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, is_told: bool
) -> None:
    fsync = os.fsync

    def refused(handle: int) -> None:
        if Path(f"/proc/self/fd/{handle}").resolve().is_dir():
            raise OSError(code, os.strerror(code))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", refused)
    (tmp_path / "partial").write_text("new")
    said: list[Any] = []
    try:
        put_file(tmp_path / "partial", tmp_path / "whole")
    except OSError as error:
        said.append(error.errno)
    assert said == ([code] if is_told else [])


def test_a_file_whose_contents_the_disk_does_not_take_is_not_put(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.EINVAL, "no")

    monkeypatch.setattr(os, "fsync", full)
    (tmp_path / "partial").write_text("new")
    with pytest.raises(OSError, match="no"):
        put_file(tmp_path / "partial", tmp_path / "whole")
    assert not (tmp_path / "whole").exists()
