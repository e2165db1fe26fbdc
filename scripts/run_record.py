"""The record of a run over many tiles, its totals, and the line and lines that a person reads.

A record is JSON, written whole or not at all: ``runs/<month>_<start>.json`` for each run, and the newest of a month as
``months/<month>/run.json``. `docs/operations.md` describes its fields.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from detector.ports import AlertCounts, TileOutcome, TileStatus
from scripts.exit_codes import ExitCode
from tiles.errors import InvalidParameterError, OutputError
from tiles.placing import written_beside

SCHEMA = 1
"""Version of the record's form; raised when a field changes its meaning or goes."""

RUNS, MONTHS = "runs", "months"
_STAMP = "%Y%m%dT%H%M%SZ"
_NAME = re.compile(r".+_(\d{8}T\d{6}Z)(?:-\d+)?\.json")


@dataclass(frozen=True)
class Totals:
    """Sums over the tiles of a run.

    Parameters
    ----------
    statuses
        How many tiles ended how, in the order of `TileStatus`; those that none did are left out.
    scenes_read, scenes_skipped
        Scenes; duplicates of one that was read are not counted as skipped.
    bytes_read
        Of raster data.
    peak_memory_bytes
        Of the tile that took most.
    observed_share
        Of the watched forest of all tiles; None where there is none.
    """

    statuses: Mapping[str, int]
    scenes_read: int
    scenes_skipped: int
    bytes_read: int
    peak_memory_bytes: int
    observed_share: float | None


def totals_of(outcomes: Sequence[TileOutcome]) -> Totals:
    """Sums over outcomes."""
    counted = Counter(outcome.status for outcome in outcomes)
    watched = sum(outcome.watched_px for outcome in outcomes)
    return Totals(
        statuses={str(status): counted[status] for status in TileStatus if counted[status]},
        scenes_read=sum(len(outcome.scenes_read) for outcome in outcomes),
        scenes_skipped=sum(not left.superseded for outcome in outcomes for left in outcome.scenes_skipped),
        bytes_read=sum(outcome.bytes_read for outcome in outcomes),
        peak_memory_bytes=max((outcome.peak_memory_bytes for outcome in outcomes), default=0),
        observed_share=round(sum(outcome.observed_px for outcome in outcomes) / watched, 4) if watched else None,
    )


def tile_record(outcome: TileOutcome) -> dict[str, Any]:
    """An outcome, as it stands in the record."""
    share = outcome.observed_share
    return {
        "tile": outcome.tile,
        "status": str(outcome.status),
        "message": outcome.message,
        "scenes_read": list(outcome.scenes_read),
        "scenes_skipped": [asdict(left) for left in outcome.scenes_skipped],
        "infrared_unread": dict(outcome.infrared_unread),
        "reference_missing": list(outcome.reference_missing),
        "redone_months": list(outcome.redone_months),
        "bytes_read": outcome.bytes_read,
        "seconds": outcome.seconds,
        "peak_memory_bytes": outcome.peak_memory_bytes,
        "observed_share": None if share is None else round(share, 4),
        "pixels": {
            "watched": outcome.watched_px,
            "observed": outcome.observed_px,
            "provisional": outcome.provisional_px,
            "confirmed": outcome.confirmed_px,
        },
        "detail": outcome.detail,
    }


def without_secrets(href: str) -> str:
    """An address without what opens it: neither a user's name and password, nor a query, which may be a signature."""
    if "://" not in href:
        return href
    parts = urlsplit(href)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def write_record(data_dir: Path, prefix: str, started: dt.datetime, record: Mapping[str, Any]) -> Path:
    """Write a run's record; with the month's as a copy where the prefix is a month.

    Returns
    -------
    Path
        Of the record in ``runs/``.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
    runs = data_dir / RUNS
    try:
        runs.mkdir(parents=True, exist_ok=True)
        path = _free_name(runs, f"{prefix}_{started:{_STAMP}}")
        write_whole(path, text)
        if record["command"] == "monthly":
            month = data_dir / MONTHS / prefix
            month.mkdir(parents=True, exist_ok=True)
            write_whole(month / "run.json", text)
    except OSError as error:
        raise OutputError(
            f"The run's record cannot be written to {runs} ({error.strerror or error}): mend that and run again."
        ) from error
    return path


def _free_name(folder: Path, stem: str) -> Path:
    """Two runs may begin within a second."""
    names = [folder / f"{stem}.json", *(folder / f"{stem}-{count}.json" for count in range(2, 100))]
    return next((path for path in names if not path.exists()), names[-1])


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all, even after a power cut."""
    with written_beside(path) as partial:
        partial.write_text(text, encoding="utf-8")


def check_clock(data_dir: Path, today: dt.date) -> None:
    """Refuse a system date before that of the newest run that read something.

    A run whose tiles had no scene is no witness: it may itself have been of a clock that had jumped ahead.

    Raises
    ------
    InvalidParameterError
        When the clock cannot be right.
    """
    for path in sorted((data_dir / RUNS).glob("*.json"), key=lambda path: path.name.rpartition("_")[2], reverse=True):
        match = _NAME.fullmatch(path.name)
        if match is None:
            continue
        day = dt.datetime.strptime(match[1], _STAMP).replace(tzinfo=dt.UTC).date()
        if day <= today:
            return
        if _did_something(path):
            raise InvalidParameterError(
                f"The system's date is {today}, before that of the run recorded in {path}: set the clock, "
                "or move that record away if it was the clock of then that was wrong."
            )


def _did_something(path: Path) -> bool:
    try:
        tiles = json.loads(path.read_text(encoding="utf-8"))["tiles"]
        return any(TileStatus(tile["status"]).kept and tile["scenes_read"] for tile in tiles)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def summary(
    title: str, outcomes: Sequence[TileOutcome], not_reached: Iterable[str], alerts: AlertCounts | None, seconds: float
) -> list[str]:
    """What a person reads at the end: a line for each tile that is not as it should be, and a line of totals."""
    lines = []
    for outcome in outcomes:
        if not outcome.status.complete:
            lines.append(f"{outcome.status}: {outcome.tile}: {outcome.message or 'no reason was given'}")
        lines += [
            f"left out: {outcome.tile}: {left.id}: {left.reason}"
            for left in outcome.scenes_skipped
            if not left.superseded
        ]
    missed = list(not_reached)
    if missed:
        lines.append(f"not reached: {', '.join(missed)}")
    return [*lines, f"{title}: {_totals_line(totals_of(outcomes), len(missed), alerts, seconds)}"]


def _totals_line(totals: Totals, missed: int, alerts: AlertCounts | None, seconds: float) -> str:
    ended = [f"{count} {status}" for status, count in totals.statuses.items()]
    if missed:
        ended.append(f"{missed} not reached")
    parts = [f"{sum(totals.statuses.values()) + missed} tiles: {', '.join(ended) or 'none'}"]
    if alerts is not None:
        parts.append(f"alerts: {alerts.new} new, {alerts.grown} grown, {alerts.closed} closed, {alerts.open} open")
    parts.append(f"{totals.scenes_read} scenes read, {totals.scenes_skipped} left out")
    if totals.observed_share is not None:
        parts.append(f"{totals.observed_share:.1%} of the forest observed")
    spent = f"{totals.peak_memory_bytes / 1e6:.0f} MB at most, {totals.bytes_read / 1e9:.3f} GB read"
    parts.append(f"{_duration(seconds)}, {spent}")
    return "; ".join(parts) + "."


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"


def record_of(
    command: str,
    month: str,
    about: Mapping[str, Any],
    outcomes: Sequence[TileOutcome],
    not_reached: Sequence[str],
    exit_code: ExitCode,
) -> dict[str, Any]:
    """The record, in the order in which it is read: what ran, how it ended, the totals, the tiles."""
    return {
        "schema": SCHEMA,
        "command": command,
        "month": month,
        "exit_code": int(exit_code),
        "exit": exit_code.name.lower(),
        **about,
        "totals": asdict(totals_of(outcomes)),
        "tiles": [tile_record(outcome) for outcome in outcomes],
        "tiles_not_reached": list(not_reached),
    }
