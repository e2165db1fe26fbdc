"""Adding to a file what comes over a line that may break."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from filelock import BaseFileLock

from api.photos.keeping import told_of_disk
from tiles.errors import ConflictError, SylvigieError


class Appending:
    """One request that adds to an upload; it holds the upload's lock until it is closed.

    Parameters
    ----------
    path
        Of what came so far; made where there is nothing.
    lock
        That is held.
    offset, length
        Bytes that are there, and that are to come in all.

    Raises
    ------
    OSError
        When the file cannot be opened.
    """

    def __init__(self, path: Path, lock: BaseFileLock, offset: int, length: int) -> None:
        self._begun_at, self._at, self._length, self._lock = offset, offset, length, lock
        self._handle = path.open("ab", buffering=0)

    def write(self, data: bytes) -> None:
        """Add some bytes.

        Raises
        ------
        tiles.errors.ConflictError
            When they are more than was said would come; what this request brought is taken back.
        tiles.errors.NoRoomError
            When the disk is full; likewise.
        """
        if self._at + len(data) > self._length:
            self._take_back()
            raise ConflictError(f"More came than the {self._length} bytes that Upload-Length said.")
        try:
            with told_of_disk():
                left = memoryview(data)
                while left:
                    left = left[self._handle.write(left) :]
        except SylvigieError:
            self._take_back()
            raise
        self._at += len(data)

    def close(self) -> None:
        """Have it on the disk, and let others add to it.

        Raises
        ------
        tiles.errors.NoRoomError, tiles.errors.StoreError
            When the disk does not take it; what this request brought is taken back.
        """
        try:
            with told_of_disk(), self._handle:
                try:
                    os.fsync(self._handle.fileno())
                except OSError:
                    self._take_back()
                    raise
        finally:
            self._lock.release()

    def _take_back(self) -> None:
        self._at = self._begun_at
        with suppress(OSError):
            self._handle.truncate(self._begun_at)
