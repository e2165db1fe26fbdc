"""One tile, run so that whatever happens to it becomes an outcome: with its lock, measured, its errors told.

This is what is sent to a worker of a cluster, and what is called in turn without one.
"""

from __future__ import annotations

import datetime as dt
import errno
import resource
import socket
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from detector.ports import Progress, TileJob, TileOutcome, TileStatus, TileWork
from detector.tile_rows import RowShare
from scripts.locks import LOCKS, locked
from tiles.errors import LockedError, OutputError, SylvigieError

_FULL_DISK = {errno.ENOSPC, errno.EDQUOT}


def run_tile(
    work: TileWork,
    job: TileJob,
    progress: Progress | None,
    started: dt.datetime,
    wait_s: float = 0.0,
    share: RowShare | None = None,
) -> TileOutcome:
    """Do the work of a tile, with its lock held.

    Parameters
    ----------
    work
        What is done.
    job
        The tile.
    progress
        Told how far it is.
    started
        When the run began (UTC), for those who meet the lock.
    wait_s
        Seconds to wait for the tile's lock. A worker that takes over a tile may have to wait until the machine
        that was lost is given up by the file server.
    share
        Others that work out rows of its windows.

    Returns
    -------
    TileOutcome
        Never an error, but for those that stop the whole run (a signal).
    """
    began = time.monotonic()
    _forget_peak_memory()
    try:
        if not (job.data_dir / LOCKS).is_dir():
            # Not made here: a worker that does not share the directory would write where nobody looks.
            raise OutputError(f"There is no data directory {job.data_dir} on {socket.gethostname()}: mount it there.")
        with locked(job.data_dir, job.tile, started, wait_s):
            outcome = work(job, progress, share)
    except LockedError as error:
        outcome = TileOutcome(job.tile, job.month, TileStatus.LOCKED, str(error))
    except Exception as error:  # noqa: BLE001 - told, with its traceback; the other tiles go on
        message, detail = told(error, job.data_dir)
        outcome = TileOutcome(job.tile, job.month, TileStatus.FAILED, message, detail=detail)
    return replace(outcome, seconds=round(time.monotonic() - began, 3), peak_memory_bytes=peak_memory_bytes())


def told(error: Exception, data_dir: Path) -> tuple[str, str | None]:
    """One sentence on an error, with what to do; and its traceback, where it is none of those raised on purpose."""
    if isinstance(error, SylvigieError):
        return str(error), None
    trace = "".join(traceback.format_exception(error))
    if isinstance(error, MemoryError):
        return "Memory ran out: give it a machine with more, or fewer threads.", trace
    if isinstance(error, OSError):
        at = f", at {error.filename}" if error.filename else ""
        if error.errno in _FULL_DISK:
            return f"The disk is full ({data_dir}{at}): free space there and run again.", trace
        return f"The system refused ({error.strerror or error}{at}): mend that and run again.", trace
    said = " ".join(str(error).split())
    return f"A fault of Sylvigie's own ({type(error).__name__}: {said}): its traceback is in the run's record.", trace


def peak_memory_bytes() -> int:
    """Largest resident memory of this process, since it began or since `_forget_peak_memory` where the kernel can."""
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    # ru_maxrss is in kilobytes on Linux, in bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _forget_peak_memory() -> None:
    """Let the next peak be the tile's own: 5 clears the kernel's high-water mark, proc(5)."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
