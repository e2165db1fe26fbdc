"""A tile's work and a tracking that take no time: they write small files, and fail where they are told to.

All at the top of the module, so that they pickle. What goes wrong with which tile stands in the data directory, where
workers of a cluster find it too.
"""

from __future__ import annotations

import datetime as dt
import errno
import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detector.params import PatchParams
from detector.pipeline import ScanParams
from detector.ports import AlertCounts, Progress, TileJob, TileOutcome, TileStatus, TrackOutcome
from scripts.monthly import RunRequest, run_month
from tiles.catalog import Credentials, SkippedScene
from tiles.errors import SceneReadError
from tiles.month import Month
from tiles.placing import PARTIAL

NOW = dt.datetime(2026, 6, 3, 2, 15, tzinfo=dt.UTC)
MONTH = Month(2026, 5)
SECRET = "not-to-be-seen"
WINDOWS = 20


def request_of(data_dir: Path, *tiles: str, **changes: Any) -> RunRequest:
    given: dict[str, Any] = {
        "month": MONTH,
        "tiles": tiles,
        "data_dir": data_dir,
        "catalogue": f"https://user:{SECRET}@example.org/stac?token={SECRET}",
        "params": ScanParams(patches=PatchParams(min_area_ha=0.7)),
        "credentials": Credentials(planetary_computer_key=SECRET),
    }
    return RunRequest(**(given | changes))


def plant(data_dir: Path, **faults: str) -> None:
    """Say what goes wrong with tiles: `plant(data, t31TFJ="full")`."""
    data_dir.mkdir(parents=True, exist_ok=True)
    (data_dir / "faults.json").write_text(json.dumps({name[1:]: fault for name, fault in faults.items()}))


def state_of(data_dir: Path, tile: str, month: Month = MONTH) -> Path:
    return data_dir / "tiles" / tile / f"state_{month}.bin"


def states(data_dir: Path) -> dict[str, bytes]:
    """What the runs left that is to be the same to the byte."""
    kept = [*data_dir.glob("tiles/*/state_*"), *data_dir.glob("months/*/alerts.json")]
    return {str(path.relative_to(data_dir)): path.read_bytes() for path in sorted(kept)}


def work(job: TileJob, progress: Progress | None, share: object = None) -> TileOutcome:
    """Write a state that depends on tile and month alone."""
    assert job.credentials == Credentials(planetary_computer_key=SECRET)
    path = state_of(job.data_dir, job.tile, job.month)
    scenes = tuple(f"S2A_{job.tile}_{job.month}_{count}" for count in range(3))
    done: dict[str, Any] = {
        "scenes_read": scenes,
        "watched_px": 1000,
        "observed_px": 800,
        "provisional_px": 5,
        "confirmed_px": 7,
    }
    if path.exists():
        return TileOutcome(job.tile, job.month, TileStatus.UNCHANGED, **done)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{PARTIAL}{job.tile}-{os.getpid()}")
    partial.mkdir()
    for window in range(WINDOWS):
        (partial / f"{window}.bin").write_bytes(hashlib.sha256(f"{job.tile}{job.month}{window}".encode()).digest())
        if progress is not None:
            progress(window + 1, WINDOWS)
        if window == WINDOWS // 2:
            ended = _fault(job)
            if ended is not None:
                return ended
    whole = partial / "whole.bin"
    whole.write_bytes(b"".join((partial / f"{window}.bin").read_bytes() for window in range(WINDOWS)))
    whole.replace(path)
    for left in partial.iterdir():
        left.unlink()
    partial.rmdir()
    skipped = (SkippedScene("S2B_twice", "a duplicate of one that was read", superseded=True),)
    return TileOutcome(
        job.tile,
        job.month,
        TileStatus.DONE,
        scenes_skipped=skipped,
        bytes_read=2_000_000,
        **done,
    )


def _fault(job: TileJob) -> TileOutcome | None:
    faults = job.data_dir / "faults.json"
    fault = json.loads(faults.read_text()).get(job.tile) if faults.exists() else None
    match fault:
        case None:
            return None
        case "raise":
            raise ZeroDivisionError("a kernel divided\nby zero")
        case "unreadable":
            raise SceneReadError("S2A_X", "its pixels are cut short")
        case "full":
            raise OSError(errno.ENOSPC, "No space left on device", str(job.data_dir / "tiles" / "state.bin"))
        case "incomplete":
            skipped = (SkippedScene("S2A_broken", "the server gave up"),)
            message = "1 scene was left out by a fault."
            return TileOutcome(
                job.tile,
                job.month,
                TileStatus.INCOMPLETE,
                message,
                ("S2A_1",),
                skipped,
                watched_px=1000,
                observed_px=400,
            )
        case "nothing":
            return TileOutcome(
                job.tile, job.month, TileStatus.INCOMPLETE, f"The catalogue has no scene in {job.month}."
            )
        case "late":
            return TileOutcome(job.tile, job.month, TileStatus.DONE, redone_months=("2026-03",))
        case "hang":
            (job.data_dir / "hangs").touch()
            time.sleep(600)
        case "kill always":
            os.kill(os.getpid(), signal.SIGKILL)
        case "kill once":
            if not (job.data_dir / "killed").exists():
                (job.data_dir / "killed").touch()
                os.kill(os.getpid(), signal.SIGKILL)
        case _:
            os.kill(os.getpid(), signal.Signals[fault])
    return None


def track(month: Month, tiles: Sequence[str], data_dir: Path) -> TrackOutcome:
    """Write the names of the states that are there."""
    names = [str(path.relative_to(data_dir)) for path in sorted(data_dir.glob(f"tiles/*/state_{month}.bin"))]
    folder = data_dir / "months" / str(month)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "alerts.json").write_text(json.dumps(names))
    return TrackOutcome(AlertCounts(new=len(tiles), grown=2, closed=1, open=40))


def broken_track(month: Month, tiles: Sequence[str], data_dir: Path) -> TrackOutcome:
    raise OSError(errno.ENOSPC, "No space left on device")


if __name__ == "__main__":
    sys.exit(run_month(request_of(Path(sys.argv[1]), *sys.argv[2:]), work, track, NOW))
