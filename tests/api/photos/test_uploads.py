"""Uploads go on where they stopped, are done once, and never lose what was acknowledged."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa

from api.photos import uploads as uploading
from api.photos.keeping import DiskPhotos
from api.photos.uploads import EXPIRES_AFTER, MOST_PHOTOS_OF_A_REPORT, Progress, Upload, Uploads
from api.store.copying import copy
from api.store.database import Database, database_url
from api.store.photos import PhotoKind, find_photo, forget_photo, photos_of
from api.store.tables import audit_log, observation_reports, photos
from tests.api.photos.pictures import telling_jpeg
from tests.api.photos.reports import PHOTO, REPORT, add_report
from tiles.errors import (
    ConflictError,
    InvalidParameterError,
    LockedError,
    NoRoomError,
    NotFoundError,
    PhotoError,
    StoreError,
)

CAME = telling_jpeg()
UPLOAD = Upload(PHOTO, REPORT, PhotoKind.TRUNKS, len(CAME), "token:t")


class FullPhotos(DiskPhotos):
    """A disk that takes some files, and then no more."""

    room = 0

    def put(self, key: str, data: bytes) -> None:
        if self.room == 0:
            raise NoRoomError("The disk of the photos is full.")
        self.room -= 1
        super().put(key, data)


@pytest.fixture
def reported(sqlite_store: Database) -> Database:
    add_report(sqlite_store)
    return sqlite_store


@pytest.fixture
def uploads(reported: Database, tmp_path: Path) -> Uploads:
    return Uploads(tmp_path / "uploads", DiskPhotos(tmp_path / "photos"), reported)


def _add(uploads: Uploads, data: bytes, offset: int = 0, name: str = PHOTO) -> Progress:
    appending = uploads.append(name, offset, "token:t")
    try:
        appending.write(data)
    finally:
        appending.close()
    return uploads.progress(name, "token:t")


def _age(folder: Path) -> None:
    old = time.time() - EXPIRES_AFTER.total_seconds() - 60
    for path in folder.iterdir():
        os.utime(path, (old, old))


def _left(folder: Path) -> set[str]:
    return {path.suffix for path in folder.iterdir()} - {".lock"}


def test_it_comes_in_parts_and_is_kept_once(store: Database, tmp_path: Path) -> None:
    add_report(store)
    uploads = Uploads(tmp_path / "uploads", files := DiskPhotos(tmp_path / "photos"), store)
    progress, new = uploads.begin(UPLOAD)
    assert (progress.offset, progress.length, new) == (0, len(CAME), True)
    assert _add(uploads, CAME[:1000]).offset == 1000
    again, new = uploads.begin(UPLOAD)
    assert (again.offset, new) == (1000, False)
    assert _add(uploads, CAME[1000:], 1000) == Progress(len(CAME), len(CAME), None)
    assert uploads.begin(UPLOAD) == (Progress(len(CAME), len(CAME), None), False)
    with pytest.raises(ConflictError, match="kept already"):
        _add(uploads, CAME)
    (photo,) = photos_of(store, REPORT)
    assert (photo.id, photo.kind, photo.width, photo.height, photo.bytes) == (PHOTO, "trunks", 400, 300, len(CAME))
    assert (photo.longitude, photo.latitude) == pytest.approx((-0.75, 44.51))
    assert files.get(photo.place)[:2] == b"\xff\xd8"
    assert files.get(photo.thumbnail)[8:12] == b"WEBP"
    assert _left(tmp_path / "uploads") == set()
    with store.reading() as connection:
        said = connection.execute(sa.select(audit_log).where(audit_log.c.action == "add photo")).all()
    assert [(line.actor, line.subject) for line in said] == [("token:t", PHOTO)]


def test_the_place_to_go_on_is_the_one_that_was_told(uploads: Uploads) -> None:
    uploads.begin(UPLOAD)
    _add(uploads, CAME[:500])
    for wrong in (0, 499, 501, 10**9):
        with pytest.raises(ConflictError, match="at 500"):
            uploads.append(PHOTO, wrong, "token:t")
    with pytest.raises(ConflictError, match="More came"):
        _add(uploads, CAME, 500)
    assert uploads.progress(PHOTO, "token:t").offset == 500


def test_one_adds_at_a_time(uploads: Uploads) -> None:
    uploads.begin(UPLOAD)
    first = uploads.append(PHOTO, 0, "token:t")
    first.write(CAME[:10])
    with pytest.raises(LockedError):
        uploads.append(PHOTO, 10, "token:t")
    with pytest.raises(LockedError):
        uploads.begin(UPLOAD)
    first.close()
    assert _add(uploads, CAME[10:20], 10).offset == 20


@pytest.mark.parametrize(
    "change",
    [{"length": 5}, {"kind": PhotoKind.SOIL}, {"report_id": str(UUID(int=8))}, {"actor": "token:other"}],
)
def test_a_uuid_stands_for_one_photo(uploads: Uploads, change: dict[str, object]) -> None:
    uploads.begin(UPLOAD)
    other = replace(UPLOAD, **change)  # type: ignore[arg-type]
    with pytest.raises(ConflictError, match="another photo"):
        uploads.begin(other)
    _add(uploads, CAME)
    if "actor" not in change:
        with pytest.raises(ConflictError, match="another photo"):
            uploads.begin(other)


def test_another_does_not_see_it(uploads: Uploads) -> None:
    uploads.begin(UPLOAD)
    with pytest.raises(NotFoundError):
        uploads.progress(PHOTO, "token:other")
    with pytest.raises(NotFoundError):
        uploads.append(PHOTO, 0, "token:other")
    with pytest.raises(NotFoundError):
        uploads.progress(str(UUID(int=1)), "token:t")


def test_it_needs_a_report(uploads: Uploads) -> None:
    with pytest.raises(NotFoundError, match="no report"):
        uploads.begin(replace(UPLOAD, report_id=str(UUID(int=8))))


def test_a_report_has_only_so_many(uploads: Uploads, reported: Database) -> None:
    row = {"report_id": REPORT, "kind": "cut", "place": "", "thumbnail": "", "width": 1, "height": 1, "bytes": 1}
    with reported.writing() as writing:
        many = [row | {"id": str(i), "sha256": "", "received_at": writing.now} for i in range(MOST_PHOTOS_OF_A_REPORT)]
        writing.connection.execute(sa.insert(photos), many)
    with pytest.raises(InvalidParameterError, match="no more"):
        uploads.begin(UPLOAD)


def test_what_is_no_photo_is_forgotten(uploads: Uploads, reported: Database, tmp_path: Path) -> None:
    uploads.begin(replace(UPLOAD, length=300))
    with pytest.raises(PhotoError):
        _add(uploads, b"<svg>" + b" " * 295)
    assert _left(tmp_path / "uploads") == set()
    assert not (tmp_path / "photos").exists()
    assert find_photo(reported, PHOTO) is None
    uploads.begin(UPLOAD)
    assert _add(uploads, CAME).expires_at is None


@pytest.mark.parametrize("room", [0, 1])
def test_a_full_disk_refuses_the_photo_and_keeps_the_report(room: int, reported: Database, tmp_path: Path) -> None:
    files = FullPhotos(tmp_path / "photos")
    files.room = room
    uploads = Uploads(tmp_path / "uploads", files, reported)
    uploads.begin(UPLOAD)
    with pytest.raises(NoRoomError, match="full"):
        _add(uploads, CAME)
    assert [path for path in files.folder.rglob("*") if path.is_file()] == []
    assert find_photo(reported, PHOTO) is None
    with reported.reading() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(observation_reports)).scalar_one() == 2
    with pytest.raises(NoRoomError):
        uploads.progress(PHOTO, "token:t")
    files.room = 2
    assert uploads.progress(PHOTO, "token:t").expires_at is None
    assert find_photo(reported, PHOTO) is not None


def test_a_disk_that_fills_up_takes_back_what_the_request_brought(
    uploads: Uploads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploads.begin(UPLOAD)
    _add(uploads, CAME[:100])

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(NoRoomError):
            _add(uploads, CAME[100:900], 100)
    assert uploads.progress(PHOTO, "token:t").offset == 100
    assert _add(uploads, CAME[100:], 100).expires_at is None


def test_a_disk_that_is_nearly_full_takes_no_new_photo(uploads: Uploads, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")._replace(free=uploading.RESERVE_BYTES)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(NoRoomError, match="nearly full"):
        uploads.begin(UPLOAD)


@pytest.mark.parametrize("step", ["clean", "keep_photo"])
def test_who_is_killed_at_the_last_byte_is_finished_when_asked(
    uploads: Uploads, reported: Database, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    uploads.begin(UPLOAD)
    with monkeypatch.context() as patched:
        patched.setattr(uploading, step, killed)
        with pytest.raises(KeyboardInterrupt):
            _add(uploads, CAME)
    assert find_photo(reported, PHOTO) is None
    assert uploads.progress(PHOTO, "token:t") == Progress(len(CAME), len(CAME), None)
    assert uploads.begin(UPLOAD) == (Progress(len(CAME), len(CAME), None), False)
    assert len(photos_of(reported, REPORT)) == 1


def test_who_is_killed_after_the_row_is_not_doubled(
    uploads: Uploads, reported: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploads.begin(UPLOAD)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Uploads, "_forget", killed)
        with pytest.raises(KeyboardInterrupt):
            _add(uploads, CAME)
    assert uploads.progress(PHOTO, "token:t").expires_at is None
    _age(tmp_path / "uploads")
    uploads.sweep()
    assert list((tmp_path / "uploads").glob("*.part")) == []
    assert len(photos_of(reported, REPORT)) == 1


def test_what_nobody_goes_on_with_expires(uploads: Uploads, reported: Database, tmp_path: Path) -> None:
    folder = tmp_path / "uploads"
    whole, part = (str(UUID(int=number)) for number in (91, 92))
    for name in (whole, part):
        uploads.begin(replace(UPLOAD, id=name))
    (folder / f"{whole}.part").write_bytes(CAME)
    _add(uploads, CAME[:50], name=part)
    (folder / ".partial-x.json").write_text("{")
    uploads.sweep()
    assert uploads.progress(part, "token:t").offset == 50
    _age(folder)
    with pytest.raises(NotFoundError, match="expired"):
        uploads.progress(part, "token:t")
    uploads.begin(UPLOAD)
    # What had all come was never acknowledged; it is kept all the same.
    assert [photo.id for photo in photos_of(reported, REPORT)] == [whole]
    assert {path.name for path in folder.iterdir() if path.suffix != ".lock"} == {f"{PHOTO}.json"}


def test_a_damaged_note_is_told(uploads: Uploads, tmp_path: Path) -> None:
    uploads.begin(UPLOAD)
    (tmp_path / "uploads" / f"{PHOTO}.json").write_text("{}")
    with pytest.raises(StoreError, match="remove"):
        uploads.progress(PHOTO, "token:t")


def test_rows_of_photos_are_copied_and_can_be_forgotten(
    uploads: Uploads, reported: Database, tmp_path: Path, copied_to: Callable[[], Database]
) -> None:
    uploads.begin(UPLOAD)
    _add(uploads, CAME)
    target = copied_to()
    copy(reported, target)
    assert photos_of(target, REPORT) == photos_of(reported, REPORT) != []
    assert forget_photo(target, PHOTO, "command").id == PHOTO
    assert photos_of(target, REPORT) == []
    with pytest.raises(NotFoundError):
        forget_photo(target, PHOTO, "command")
    target.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def copied_to(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Database]:
    if request.param == "sqlite":
        return lambda: Database(database_url(None, tmp_path / "copy"))
    server = request.getfixturevalue("postgres")
    return lambda: Database(database_url(server.made(), tmp_path))
