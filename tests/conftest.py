"""What several folders of tests share: data beside the checkout, the demo's archive, a small one of our own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from scripts.demo_archive import DemoArchive, build_archive
from tests.fakes.archive import write_small_archive

_SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real items and images beside the checkout; tests that need them say so where they are absent."""
    if not _SHARED.is_dir():
        pytest.skip(f"no data at {_SHARED}: the real items and images are not part of the repository")
    return _SHARED


@pytest.fixture(scope="session")
def demo_archive(tmp_path_factory: pytest.TempPathFactory) -> DemoArchive:
    """Real images of a Romanian forest, as an archive."""
    pytest.importorskip("nrt", reason="the demo's images come with the package nrt, which is not installed")
    return build_archive(tmp_path_factory.mktemp("romania") / "archive")


@pytest.fixture(scope="session")
def _small_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("small") / "archive"
    write_small_archive(directory)
    return directory


@pytest.fixture
def small_archive(_small_archive: Path, tmp_path: Path) -> Path:
    """An archive of `tests.fakes.archive` of the test's own: it may be spoilt."""
    return Path(shutil.copytree(_small_archive, tmp_path / "archive"))
