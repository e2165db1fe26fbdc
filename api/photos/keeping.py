"""Where the files of photos are kept: a folder, or an object store such as S3."""

from __future__ import annotations

import datetime as dt
import errno
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from tiles.errors import InvalidParameterError, MissingDependencyError, NoRoomError, NotFoundError, StoreError
from tiles.placing import PARTIAL, written_beside

if TYPE_CHECKING:
    from obstore.store import ObjectStore

OBJECT_SCHEMES: Final = ("s3", "gs", "az")
"""Of addresses that are no folders."""
_PARTIAL_IS_LEFT_S: Final = 86_400.0
_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class PhotoFiles(Protocol):
    """Files by keys, such as ``3f/….jpg``; each is there wholly or not at all."""

    def put(self, key: str, data: bytes) -> None:
        """Keep a file, in the place of what has that key already.

        Raises
        ------
        tiles.errors.NoRoomError
            When the disk is full; what was there stays.
        tiles.errors.StoreError
            When it cannot be kept for another reason; likewise.
        """

    def get(self, key: str) -> bytes:
        """A file.

        Raises
        ------
        tiles.errors.NotFoundError
            When there is none of that key.
        tiles.errors.StoreError
            When it cannot be read.
        """

    def delete(self, key: str) -> None:
        """Take a file away, where it is there.

        Raises
        ------
        tiles.errors.StoreError
            When it cannot be.
        """


class DiskPhotos:
    """Photos in a folder; what is kept is on the disk when `put` returns.

    Parameters
    ----------
    folder
        Made with the first photo.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, key: str, data: bytes) -> None:
        """As of `PhotoFiles.put`."""
        path = self._path(key)
        with told_of_disk():
            with written_beside(path) as partial:
                partial.write_bytes(data)
            # What a process that was killed has left here; a younger one may be another's that is being written.
            for left in path.parent.glob(f"{PARTIAL}*"):
                with suppress(FileNotFoundError):
                    if time.time() - left.stat().st_mtime > _PARTIAL_IS_LEFT_S:
                        left.unlink()

    def get(self, key: str) -> bytes:
        """As of `PhotoFiles.get`."""
        path = self._path(key)
        with told_of_disk():
            try:
                return path.read_bytes()
            except FileNotFoundError as error:
                raise _not_there() from error

    def delete(self, key: str) -> None:
        """As of `PhotoFiles.delete`."""
        with told_of_disk():
            self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        # Keys are of our making; a row that was tampered with shall not lead out of the folder all the same.
        path = self.folder / key
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise _not_there()
        return path


class ObjectPhotos:
    """Photos in an object store.

    Parameters
    ----------
    store
        Of `obstore`; it puts an object wholly or not at all.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def put(self, key: str, data: bytes) -> None:
        """As of `PhotoFiles.put`."""
        with _told_of_objects():
            self._store.put(key, data)

    def get(self, key: str) -> bytes:
        """As of `PhotoFiles.get`."""
        with _told_of_objects():
            return bytes(self._store.get(key).bytes())

    def delete(self, key: str) -> None:
        """As of `PhotoFiles.delete`."""
        with _told_of_objects(), suppress(FileNotFoundError):
            self._store.delete(key)


def open_photos(place: str | None, data_dir: Path) -> PhotoFiles:
    """Where photos are kept.

    Parameters
    ----------
    place
        A folder, or ``s3://bucket/prefix`` (``gs://``, ``az://``): keys to it are in the environment, by the names that
        its own tools use, such as ``AWS_ACCESS_KEY_ID``. None for the data directory's folder.
    data_dir
        The data directory.

    Raises
    ------
    tiles.errors.InvalidParameterError
        When the address will not do.
    tiles.errors.MissingDependencyError
        When it is no folder, and `obstore` is not installed.
    """
    if place is None:
        return DiskPhotos(data_dir / "photos")
    scheme, found, _ = place.partition("://")
    if not found:
        return DiskPhotos(Path(place).expanduser())
    if scheme not in OBJECT_SCHEMES:
        raise InvalidParameterError("SYLVIGIE_PHOTOS will not do: give a folder, or s3://bucket/prefix (gs, az).")
    try:
        from obstore.exceptions import BaseError
        from obstore.store import from_url
    except ModuleNotFoundError as error:
        raise MissingDependencyError("Photos in an object store need obstore: install sylvigie[photos].") from error
    try:
        # Options of the client are left to the environment, such as AWS_ALLOW_HTTP: given here they would win over it.
        store = from_url(place, retry_config={"max_retries": 3, "retry_timeout": dt.timedelta(seconds=30)})
    except (BaseError, ValueError) as error:
        # Without what it said, which may repeat a key.
        raise InvalidParameterError("SYLVIGIE_PHOTOS will not do: the object store does not take it.") from error
    return ObjectPhotos(store)


@contextmanager
def told_of_disk() -> Iterator[None]:
    """What a disk says, in a sentence of ours.

    Raises
    ------
    tiles.errors.NoRoomError
        When it is full.
    tiles.errors.StoreError
        When it says anything else.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise NoRoomError("The disk of the photos is full: make room there, or choose another folder.") from error
        raise StoreError(f"Photos cannot be kept or read ({error.strerror or error}): look at their folder.") from error


@contextmanager
def _told_of_objects() -> Iterator[None]:
    from obstore.exceptions import BaseError

    try:
        yield
    except FileNotFoundError as error:
        raise _not_there() from error
    except (BaseError, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise StoreError(f"The object store of the photos does not answer as it should ({reason[:300]}).") from error


def _not_there() -> NotFoundError:
    return NotFoundError("The file of this photo is not there.")
