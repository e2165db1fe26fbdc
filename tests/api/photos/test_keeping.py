"""Files of photos are there wholly or not at all: on a disk, and in an object store."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.photos.keeping import DiskPhotos, ObjectPhotos, PhotoFiles, open_photos
from tests.fakes.object_store import object_store
from tiles.errors import InvalidParameterError, MissingDependencyError, NoRoomError, NotFoundError, StoreError

KEY = "3f/a.jpg"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A small S3 on the loopback, named by the environment as S3's own tools do it."""
    pytest.importorskip("obstore", reason="object stores need obstore: install sylvigie[photos]")
    with object_store() as endpoint:
        names = {
            "ENDPOINT_URL": endpoint,
            "ACCESS_KEY_ID": "k",
            "SECRET_ACCESS_KEY": "very-secret",
            "REGION": "eu-west-3",
        }
        for name, value in (names | {"ALLOW_HTTP": "true"}).items():
            monkeypatch.setenv(f"AWS_{name}", value)
        yield "s3://bucket/sylvigie"


@pytest.fixture(params=["disk", "objects"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> PhotoFiles:
    place = None if request.param == "disk" else str(request.getfixturevalue("bucket"))
    return open_photos(place, tmp_path)


def test_what_is_kept_is_given_back(files: PhotoFiles) -> None:
    with pytest.raises(NotFoundError, match="not there"):
        files.get(KEY)
    files.put(KEY, b"first")
    files.put(KEY, b"second" * 100_000)
    assert files.get(KEY) == b"second" * 100_000
    for _ in range(2):
        files.delete(KEY)
    with pytest.raises(NotFoundError, match="not there"):
        files.get(KEY)


def test_the_setting_chooses(tmp_path: Path) -> None:
    for place, folder in ((None, tmp_path / "photos"), (str(tmp_path / "x"), tmp_path / "x")):
        files = open_photos(place, tmp_path)
        assert isinstance(files, DiskPhotos)
        assert files.folder == folder
        assert not folder.exists()
    for wrong in ("ftp://x/y", "http://x/y", "file:///etc", "memory:///"):
        with pytest.raises(InvalidParameterError, match="SYLVIGIE_PHOTOS"):
            open_photos(wrong, tmp_path)


def test_an_address_without_a_bucket_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("obstore", reason="object stores need obstore: install sylvigie[photos]")
    assert isinstance(open_photos("s3://bucket", tmp_path), ObjectPhotos)
    with pytest.raises(InvalidParameterError, match="SYLVIGIE_PHOTOS"):
        open_photos("s3://", tmp_path)


def test_without_its_package_an_object_store_is_refused_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("obstore", "obstore.exceptions", "obstore.store"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependencyError, match=r"sylvigie\[photos\]"):
        open_photos("s3://bucket", tmp_path)


def test_an_object_store_that_is_away_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("obstore", reason="object stores need obstore: install sylvigie[photos]")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
        for name, value in (("ACCESS_KEY_ID", "k"), ("SECRET_ACCESS_KEY", "very-secret"), ("ALLOW_HTTP", "true")):
            monkeypatch.setenv(f"AWS_{name}", value)
        with pytest.raises(StoreError, match="object store") as told:
            open_photos("s3://bucket", tmp_path).put(KEY, b"x")
    assert "very-secret" not in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("number", "error"), [(errno.ENOSPC, NoRoomError), (errno.EDQUOT, NoRoomError), (errno.EIO, StoreError)]
)
def test_a_full_disk_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, error: type[Exception]
) -> None:
    files = DiskPhotos(tmp_path)
    files.put(KEY, b"before")

    def full(path: Path, data: bytes) -> int:
        with path.open("wb") as begun:
            begun.write(data[:3])
        raise OSError(number, "no")

    monkeypatch.setattr(Path, "write_bytes", full)
    for key in (KEY, "3f/new.jpg"):
        with pytest.raises(error):
            files.put(key, b"after")
    monkeypatch.undo()
    assert files.get(KEY) == b"before"
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a.jpg"]


def test_what_the_killed_left_is_taken_away(tmp_path: Path) -> None:
    files = DiskPhotos(tmp_path)
    files.put(KEY, b"x")
    old, young = tmp_path / "3f" / ".partial-old.jpg", tmp_path / "3f" / ".partial-young.jpg"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    files.put("3f/b.jpg", b"y")
    assert {path.name for path in (tmp_path / "3f").iterdir()} == {"a.jpg", "b.jpg", young.name}


def test_no_key_leads_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    files = DiskPhotos(tmp_path / "photos")
    files.put(KEY, b"x")
    for key in ("../secret", "3f/../../secret", str(tmp_path / "secret")):
        with pytest.raises(NotFoundError):
            files.get(key)
