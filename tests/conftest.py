"""What several folders of tests share: data beside the checkout, the demo's archive, a small one of our own."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from scripts.demo_archive import DemoArchive

_SHARED = Path(__file__).parents[2] / "shared" / "data"

#: Processes side by side. Each makes the session's fixtures anew and takes up to 1.8 GB: more are asked for by `-n`.
_MOST_WORKERS = 2


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """How many processes share the tests: folders are divided, named files stay in one process and begin at once."""
    if any(Path(arg).is_dir() for arg in config.args):
        return min(_MOST_WORKERS, os.cpu_count() or 1)
    return 0


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where the pictures of the guides go: `pytest tests/browser -k guides --screens docs/guide/pictures`."""
    parser.addoption("--screens", type=Path, default=None, help="folder that pictures of the page are written to")


def pytest_configure(config: pytest.Config) -> None:
    """Give each process a cache of compiled kernels of its own, before the first kernel is imported.

    Numba's cache takes one writer at a time: the index of a function is read, added to and written back, and names
    a file of machine code before that is there. Of two processes that compile the same function for other types
    at the same time, one may be given the other's code.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is not None:
        caches = Path(os.environ.get("NUMBA_CACHE_DIR") or config.rootpath / ".pytest_cache" / "numba")
        os.environ["NUMBA_CACHE_DIR"] = str(caches / worker)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real items and images beside the checkout; tests that need them say so where they are absent."""
    if not _SHARED.is_dir():
        pytest.skip(f"no data at {_SHARED}: the real items and images are not part of the repository")
    return _SHARED


@pytest.fixture(scope="session")
def demo_archive(tmp_path_factory: pytest.TempPathFactory) -> DemoArchive:
    """Real images of a Romanian forest, as an archive."""
    from scripts.demo_archive import build_archive

    pytest.importorskip("nrt", reason="the demo's images come with the package nrt, which is not installed")
    return build_archive(tmp_path_factory.mktemp("romania") / "archive")


@pytest.fixture(scope="session")
def _small_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Imported late, like the demo's above: not before the kernels' cache has its place.
    from tests.fakes.archive import write_small_archive

    directory = tmp_path_factory.mktemp("small") / "archive"
    write_small_archive(directory)
    return directory


@pytest.fixture
def small_archive(_small_archive: Path, tmp_path: Path) -> Path:
    """An archive of `tests.fakes.archive` of the test's own: it may be spoilt."""
    return Path(shutil.copytree(_small_archive, tmp_path / "archive"))
