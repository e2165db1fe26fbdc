"""Tests in several processes: who shares them, and that no two write to one cache of compiled kernels."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests import conftest
from tiles import kernels

TESTS = Path(__file__).parent


def _config(*args: str | Path) -> Any:
    return SimpleNamespace(args=[str(arg) for arg in args], rootpath=TESTS.parent)


@pytest.mark.parametrize(("processors", "workers"), [(1, 1), (2, 2), (64, 2), (None, 1)])
def test_a_folder_is_shared_by_two_at_most(
    monkeypatch: pytest.MonkeyPatch, processors: int | None, workers: int
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: processors)
    assert conftest.pytest_xdist_auto_num_workers(_config(TESTS)) == workers
    assert conftest.pytest_xdist_auto_num_workers(_config(__file__, TESTS / "tiles")) == workers


def test_named_files_stay_in_one_process() -> None:
    assert conftest.pytest_xdist_auto_num_workers(_config(__file__, f"{__file__}::test_named_files")) == 0


@pytest.mark.parametrize("chosen", [None, "/elsewhere"])
def test_each_process_has_a_cache_of_its_own(monkeypatch: pytest.MonkeyPatch, chosen: str | None) -> None:
    caches = set()
    for worker in ("gw0", "gw1"):
        monkeypatch.setenv("NUMBA_CACHE_DIR", chosen or "")
        monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)
        conftest.pytest_configure(_config())
        caches.add(Path(os.environ["NUMBA_CACHE_DIR"]))
    kept = Path(chosen) if chosen is not None else TESTS.parent / ".pytest_cache" / "numba"
    assert caches == {kept / "gw0", kept / "gw1"}


def test_one_process_alone_keeps_the_cache_that_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/elsewhere")
    conftest.pytest_configure(_config())
    assert os.environ["NUMBA_CACHE_DIR"] == "/elsewhere"


def test_kernels_are_kept_where_this_process_was_told() -> None:
    told = os.environ.get("NUMBA_CACHE_DIR", str(Path(kernels.__file__).parent))
    assert str(kernels.ndvi_change_parallel.stats.cache_path).startswith(told)
    assert os.environ.get("PYTEST_XDIST_WORKER", "") in told
