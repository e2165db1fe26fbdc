"""Locks of the data directory, one for the whole run and one a tile, and what killed runs left there.

The lock is the kernel's (``flock``), not a file that is there or not: whatever kills the process, the power cut too,
frees it, so that nobody has to come and delete a stale one. Over NFS Linux makes it a lock of the server, which all
clients see (since 2.6.12, flock(2)), and which the server frees when a client is gone for its lease (90 s by
default). Who holds a lock stands in a small file beside it, for the reader's sake alone.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from tiles.errors import LockedError, OutputError
from tiles.placing import PARTIAL
from tiles.tile_names import is_tile_name

RUN = "run"
"""Name of the lock of the whole run."""
LOCKS = "locks"
"""Folder of the locks, in the data directory."""

_POLL_S = 0.5
"""Seconds between two looks at a lock that is waited for."""
_DEPTH = 5
"""Levels of the data directory that are looked through for unfinished folders."""


@contextmanager
def locked(data_dir: Path, name: str, started: dt.datetime, wait_s: float = 0.0) -> Iterator[None]:
    """Hold a lock of the data directory.

    Parameters
    ----------
    data_dir
        The data directory; made where absent.
    name
        `RUN`, or a tile.
    started
        When the holder began (UTC), for those who meet the lock.
    wait_s
        Seconds to wait for it.

    Raises
    ------
    LockedError
        When another holds it.
    OutputError
        When no lock can be had there at all.
    """
    folder = data_dir / LOCKS
    holder = folder / f"{name}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f"{name}.lock")
        lock.acquire(timeout=wait_s, poll_interval=_POLL_S)
    except Timeout as error:
        raise LockedError(
            f"{'Another run' if name == RUN else 'Another process'} holds the lock {folder / name}.lock "
            f"({_who(holder)}): wait for its end."
        ) from error
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"No lock can be had in {folder} ({reason}): check that it can be written to.") from error
    try:
        if type(lock) is not FileLock:
            # filelock falls back to a file that is there or not, which a killed run would leave.
            raise OutputError(
                f"The file system of {data_dir} has no file locks: mount it with them (flock), or choose another."
            )
        _sign(holder, started)
        yield
    finally:
        with suppress(OSError):
            holder.unlink()
        lock.release()


def _sign(holder: Path, started: dt.datetime) -> None:
    """Say who holds the lock; a full disk does not matter here."""
    about = {"pid": os.getpid(), "host": socket.gethostname(), "started": started.isoformat(timespec="seconds")}
    with suppress(OSError):
        holder.write_text(json.dumps(about) + "\n", encoding="utf-8")


def _who(holder: Path) -> str:
    try:
        about = json.loads(holder.read_text(encoding="utf-8"))
        return f"process {about['pid']} on {about['host']}, since {about['started']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "which did not say who it is"


def remove_leftovers(data_dir: Path, started: dt.datetime) -> list[Path]:
    """Remove the unfinished files and folders of processes that are dead, and say which; call with the run's lock held.

    Who works on a tile holds its lock: an unfinished folder whose path names a tile is dead if the tile's lock is
    free. Those that name none are of runs, and the run's lock is held by the caller.

    Parameters
    ----------
    data_dir
        The data directory. Unfinished things in it have names that begin with `tiles.placing.PARTIAL`.
    started
        When the caller began (UTC).
    """
    removed = []
    for path in sorted(_unfinished(data_dir)):
        tile = _tile_of(path.relative_to(data_dir))
        with suppress(LockedError):
            if tile is None:
                removed += _removed(path)
                continue
            with locked(data_dir, tile, started):
                removed += _removed(path)
    return removed


def _unfinished(data_dir: Path) -> Iterator[Path]:
    folders = [data_dir]
    for _ in range(_DEPTH):
        inner: list[Path] = []
        for folder in folders:
            with suppress(OSError):
                for path in folder.iterdir():
                    if path.name.startswith(PARTIAL):
                        yield path
                    elif path.is_dir() and not path.is_symlink():
                        inner.append(path)
        folders = inner


def _tile_of(relative: Path) -> str | None:
    """The tile that a path names, as a folder or as a word of a name."""
    words = re.split(r"[^0-9A-Za-z]+", str(relative))
    return next((word for word in words if is_tile_name(word)), None)


def _removed(path: Path) -> list[Path]:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
    # What could not be removed (another user's) takes room, but nobody reads it.
    return [] if path.exists() else [path]
