"""Photos that come in parts, over lines that break: begun, added to, and done once, whatever is sent twice.

::

    <data directory>/uploads/<UUID>.json    what is to come, written when it is begun
                             <UUID>.part    what came so far: its length is the offset
                             <UUID>.lock    held by who adds to it or finishes it

A photo is acknowledged once its files are kept and its row is in the store. Whoever asks for the offset of one that
is all there but was not finished, since the service was killed or the disk was full, has it finished first.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from api.photos.appending import Appending
from api.photos.cleaning import clean
from api.photos.keeping import PhotoFiles, told_of_disk
from api.store.database import Database
from api.store.photos import PhotoKind, PhotoRow, find_photo, keep_photo, photos_of, report_is_known
from tiles.errors import (
    ConflictError,
    InvalidParameterError,
    LockedError,
    NoRoomError,
    NotFoundError,
    PhotoError,
    StoreError,
    SylvigieError,
)
from tiles.placing import PARTIAL, written_beside

EXPIRES_AFTER: Final = dt.timedelta(days=7)
"""Without a byte having come."""
MOST_PHOTOS_OF_A_REPORT: Final = 100
RESERVE_BYTES: Final = 64_000_000
"""That photos leave on the disk, for reports and the store."""


@dataclass(frozen=True)
class Upload:
    """What is to come.

    Parameters
    ----------
    id, report_id
        UUIDs that the client made.
    kind
        What the photo shows.
    length
        Bytes.
    actor
        Who sends it.
    """

    id: str
    report_id: str
    kind: PhotoKind
    length: int
    actor: str


@dataclass(frozen=True)
class Progress:
    """How far an upload is.

    Parameters
    ----------
    offset, length
        Bytes that came, and that are to come in all.
    expires_at
        UTC; None where the photo is kept.
    """

    offset: int
    length: int
    expires_at: dt.datetime | None


class Uploads:
    """The uploads of one service; several processes may share the folder.

    Parameters
    ----------
    folder
        Of what came so far; made with the first.
    files
        Where photos are kept in the end.
    database
        The store.
    """

    def __init__(self, folder: Path, files: PhotoFiles, database: Database) -> None:
        self._folder, self._files, self._database = folder, files, database

    def begin(self, upload: Upload) -> tuple[Progress, bool]:
        """Begin an upload, or find that it was begun, or done.

        Parameters
        ----------
        upload
            What is to come.

        Returns
        -------
        progress, new
            How far it is, and whether it was begun now.

        Raises
        ------
        tiles.errors.ConflictError
            When its UUID stands for another photo.
        tiles.errors.NotFoundError
            When there is no such report.
        tiles.errors.InvalidParameterError
            When the report has as many photos as it may.
        tiles.errors.NoRoomError
            When the disk is nearly full.
        """
        with told_of_disk():
            self._folder.mkdir(parents=True, exist_ok=True)
        self.sweep()
        with self._locked(upload.id):
            row = find_photo(self._database, upload.id)
            if row is not None:
                _must_be_the_same((row.report_id, row.kind, row.bytes), upload)
                return Progress(row.bytes, row.bytes, None), False
            begun = self._read(upload.id)
            if begun is not None:
                if begun.actor != upload.actor:
                    raise ConflictError("This UUID stands for another photo: make a new one for each.")
                _must_be_the_same((begun.report_id, begun.kind, begun.length), upload)
                return self._settled(begun, upload.actor), False
            self._check_new(upload)
            with told_of_disk():
                self._part(upload.id).unlink(missing_ok=True)
                with written_beside(self._about(upload.id)) as partial:
                    partial.write_text(json.dumps(asdict(upload)), encoding="utf-8")
            return self._progress(upload), True

    def progress(self, upload_id: str, actor: str) -> Progress:
        """How far an upload is; one that is all there is finished first.

        Raises
        ------
        tiles.errors.NotFoundError
            When there is none, or it is another's, or has expired.
        tiles.errors.PhotoError
            When what came is no photo: it is then forgotten.
        tiles.errors.NoRoomError
            When the disk is full; what came stays, and can be finished later.
        tiles.errors.LockedError
            When another request is at work on it.
        """
        row = find_photo(self._database, upload_id)
        if row is not None:
            return Progress(row.bytes, row.bytes, None)
        upload = self._own(upload_id, actor)
        if self._offset(upload) < upload.length:
            return self._progress(upload)
        with self._locked(upload_id):
            return self._settled(upload, actor)

    def append(self, upload_id: str, offset: int, actor: str) -> Appending:
        """Begin to add to an upload; what is given back has to be closed.

        Parameters
        ----------
        upload_id
            Which.
        offset
            Where the client means to go on.
        actor
            Who sends.

        Raises
        ------
        tiles.errors.ConflictError
            When what came ends elsewhere, or the photo is kept already.
        tiles.errors.NotFoundError, tiles.errors.LockedError
            As of `progress`.
        """
        row = find_photo(self._database, upload_id)
        if row is not None:
            raise ConflictError(f"The photo is kept already, with all its {row.bytes} bytes.")
        upload = self._own(upload_id, actor)
        lock = self._lock(upload_id)
        try:
            # Another may have gone on, or have finished it, before the lock was had.
            there = self._offset(upload)
            if self._read(upload_id) is None or there != offset:
                raise ConflictError(f"The upload goes on at {there}, not at {offset}: ask for its offset first.")
            with told_of_disk():
                return Appending(self._part(upload_id), lock, offset, upload.length)
        except BaseException:
            lock.release()
            raise

    def sweep(self) -> None:
        """Take away what nobody has gone on with; what is all there is finished, where it can be."""
        if not self._folder.is_dir():
            return
        for about in self._folder.glob("*.json"):
            if about.name.startswith(PARTIAL) or _age(about) < EXPIRES_AFTER:
                continue
            with suppress(SylvigieError), self._locked(about.stem):
                upload = self._read(about.stem)
                if upload is not None and self._has_expired(upload):
                    self._forget(upload.id)
                elif upload is not None and self._offset(upload) == upload.length:
                    self._finish(upload)
        for left in self._folder.iterdir():
            alone = left.name.startswith(PARTIAL) or not left.with_suffix(".json").exists()
            if alone and _age(left) >= EXPIRES_AFTER:
                left.unlink(missing_ok=True)

    def _check_new(self, upload: Upload) -> None:
        if not report_is_known(self._database, upload.report_id):
            raise NotFoundError(f"There is no report {upload.report_id}: send it before its photos.")
        if len(photos_of(self._database, upload.report_id)) >= MOST_PHOTOS_OF_A_REPORT:
            raise InvalidParameterError(f"The report has {MOST_PHOTOS_OF_A_REPORT} photos: it takes no more.")
        with told_of_disk():
            free = shutil.disk_usage(self._folder).free
        if free < RESERVE_BYTES + 2 * upload.length:
            raise NoRoomError("The disk of the data directory is nearly full: make room there.")

    def _own(self, upload_id: str, actor: str) -> Upload:
        upload = self._read(upload_id)
        if upload is None or upload.actor != actor or self._has_expired(upload):
            raise NotFoundError(f"There is no upload {upload_id}, or it has expired: begin it anew.")
        return upload

    def _settled(self, upload: Upload, actor: str) -> Progress:
        """How far it is, with its lock held; finished, where it is all there."""
        if find_photo(self._database, upload.id) is None:
            self._own(upload.id, actor)
            if self._offset(upload) < upload.length:
                return self._progress(upload)
            self._finish(upload)
        return Progress(upload.length, upload.length, None)

    def _finish(self, upload: Upload) -> None:
        """Keep the photo, with the upload's lock held."""
        with told_of_disk():
            came = self._part(upload.id).read_bytes()
        try:
            photo = clean(came)
        except PhotoError:
            # Sent again it would be the same: what is sent next begins anew.
            self._forget(upload.id)
            raise
        shard = hashlib.sha256(upload.id.encode()).hexdigest()[:2]
        place, thumbnail = (f"{shard}/{upload.id}.{ending}" for ending in ("jpg", "webp"))
        try:
            self._files.put(place, photo.image)
            self._files.put(thumbnail, photo.thumbnail)
        except SylvigieError:
            with suppress(SylvigieError):
                self._files.delete(place)
            raise
        row = PhotoRow(
            id=upload.id,
            report_id=upload.report_id,
            kind=upload.kind,
            place=place,
            thumbnail=thumbnail,
            width=photo.width,
            height=photo.height,
            bytes=photo.received_bytes,
            sha256=photo.sha256,
            taken_at=photo.taken_at,
            longitude=photo.longitude,
            latitude=photo.latitude,
        )
        keep_photo(self._database, row, upload.actor)
        self._forget(upload.id)

    def _forget(self, upload_id: str) -> None:
        # What came goes first: were it left alone, another upload would begin with it.
        with told_of_disk():
            self._part(upload_id).unlink(missing_ok=True)
            self._about(upload_id).unlink(missing_ok=True)

    def _progress(self, upload: Upload) -> Progress:
        return Progress(self._offset(upload), upload.length, self._expires_at(upload))

    def _expires_at(self, upload: Upload) -> dt.datetime:
        part = self._part(upload.id)
        with told_of_disk():
            return _changed_at(part if part.exists() else self._about(upload.id)) + EXPIRES_AFTER

    def _has_expired(self, upload: Upload) -> bool:
        return self._offset(upload) < upload.length and self._expires_at(upload) <= dt.datetime.now(dt.UTC)

    def _offset(self, upload: Upload) -> int:
        try:
            return self._part(upload.id).stat().st_size
        except FileNotFoundError:
            return 0

    def _read(self, upload_id: str) -> Upload | None:
        try:
            told = json.loads(self._about(upload_id).read_text(encoding="utf-8"))
            return Upload(**told | {"kind": PhotoKind(told["kind"])})
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise StoreError(f"The upload {upload_id} cannot be read: remove {self._about(upload_id)}.") from error

    @contextmanager
    def _locked(self, upload_id: str) -> Iterator[None]:
        lock = self._lock(upload_id)
        try:
            yield
        finally:
            lock.release()

    def _lock(self, upload_id: str) -> FileLock:
        # One request may go from thread to thread.
        lock = FileLock(self._folder / f"{upload_id}.lock", thread_local=False)
        with told_of_disk():
            try:
                lock.acquire(timeout=0)
            except Timeout as error:
                raise LockedError("Another request is at work on this photo: ask how far it is in a moment.") from error
        return lock

    def _about(self, upload_id: str) -> Path:
        return self._folder / f"{upload_id}.json"

    def _part(self, upload_id: str) -> Path:
        return self._folder / f"{upload_id}.part"


def _must_be_the_same(kept: tuple[str, PhotoKind, int], upload: Upload) -> None:
    if kept != (upload.report_id, upload.kind, upload.length):
        raise ConflictError("This UUID stands for another photo: make a new one for each.")


def _changed_at(path: Path) -> dt.datetime:
    return dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC)


def _age(path: Path) -> dt.timedelta:
    try:
        return dt.datetime.now(dt.UTC) - _changed_at(path)
    except FileNotFoundError:
        return dt.timedelta(0)
