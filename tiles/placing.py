"""Putting files and folders in place: by one rename, and only once what they hold is on the disk.

A rename may reach the disk before the contents: after a power cut an empty file would then bear the name of a whole
one. What is put in place is therefore flushed first, and its folder's list of names after (fsync(2), rename(2)).
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PARTIAL = ".partial-"
"""What the name of a file or folder begins with while it is written."""

_NO_FLUSH = {errno.EINVAL, errno.ENOTSUP}
"""What file systems say that do not flush folders: their renames are on the disk by themselves, or never surely."""


def put_file(partial: Path, target: Path) -> None:
    """Put a file in the place of another, or of none.

    Parameters
    ----------
    partial
        The file, written and closed, on the target's file system.
    target
        Its place.

    Raises
    ------
    OSError
        When the disk does not take it; the target is then as it was, or the new one.
    """
    _flush(partial)
    partial.replace(target)
    _flush(target.parent)


@contextmanager
def written_beside(target: Path) -> Iterator[Path]:
    """A file to write in a target's folder: put in its place when all went well, removed when not.

    Parameters
    ----------
    target
        Its place; its folder is made where there is none. Everybody may read it.

    Raises
    ------
    OSError
        When the disk does not take it; the target is then as it was, or the new one.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f"{PARTIAL}{target.stem}-", suffix=target.suffix, dir=target.parent)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        partial.chmod(0o644)  # mkstemp's 0600 would keep the file from those it is written for
        put_file(partial, target)
    finally:
        with suppress(OSError):
            partial.unlink()


def put_folder(partial: Path, target: Path) -> None:
    """Put a folder in place, with all that it holds.

    Parameters
    ----------
    partial
        The folder, its files written and closed, on the target's file system.
    target
        Its place; nothing, or an empty folder, is there.

    Raises
    ------
    OSError
        When the disk does not take it.
    """
    for folder, _, names in os.walk(partial, topdown=False):
        for name in names:
            _flush(Path(folder) / name)
        _flush(Path(folder))
    partial.rename(target)
    _flush(target.parent)


def take_away(place: Path, folder: Path) -> None:
    """Move what is at a place, if anything, into a folder that is about to be deleted.

    Parameters
    ----------
    place
        A file or a folder.
    folder
        On the same file system; nothing of that name with ``.before`` is in it.

    Raises
    ------
    OSError
        When it cannot be moved.
    """
    if place.exists():
        place.rename(folder / f"{place.name}.before")


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_FLUSH or not path.is_dir():
            raise
    finally:
        os.close(handle)
