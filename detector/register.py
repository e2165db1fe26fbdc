"""Where the register of alerts lies, month after month: whole folders that are put in place by one rename.

::

    <folder>/2026-10.1/
        register.json       schema, month, counts, checksums, and the month and tiles that it stands on
        alerts.parquet      every alert there ever was, one a row (GeoParquet, outlines as published)
        patches.parquet     what they rest on (GeoParquet, exact outlines; those published beside them)
        history.parquet     every change, with the outline where that changed (GeoParquet)
        alerts.geojson      the alerts that stand: open and settled
        closed.geojson      those that were closed, with the reasons

The number after the month is a version: a month that is tracked again gets the next one, unless it came out the same,
and the older goes only then. Each month is whole by itself: the newest holds all history.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from detector.alert_tables import alert_columns, alerts_from, read_geoparquet, write_geoparquet
from detector.alerts import AlertState, AlertStatus, ClosedReason, write_geojson
from detector.known import Change, Event, KnownPatch, Register
from detector.outlines import Geometries
from detector.versions import MonthFolders
from tiles.errors import OutputError, StateError
from tiles.month import Month

SCHEMA = 1
"""Version of the files' meaning; a reader of another one refuses them."""

ALERTS_FILE, PATCHES_FILE, HISTORY_FILE = "alerts.parquet", "patches.parquet", "history.parquet"
GEOJSON_FILE, CLOSED_FILE = "alerts.geojson", "closed.geojson"
_RECORD_FILE = "register.json"


@dataclass(frozen=True)
class RegisterMonth:
    """A month of the register, as kept.

    Parameters
    ----------
    month, version
        Which.
    folder
        Of its files.
    record
        Its ``register.json``.
    """

    month: Month
    version: int
    folder: Path
    record: Mapping[str, Any]

    @property
    def identity(self) -> str:
        """Name of the content: the same files have the same."""
        return str(self.record["identity"])

    @property
    def is_first(self) -> bool:
        """Whether it was tracked from nothing: no alert was known before it."""
        return self.record["before"] is None

    def stands_on(self, before: RegisterMonth | None, tiles: Mapping[str, str]) -> bool:
        """Whether it was tracked from this version of a month before it, or from nothing, and of these tiles."""
        return bool(self.record["before"] == _reference(before) and self.record["tiles"] == dict(tiles))


class RegisterStore:
    """The months that are kept of the register. One process writes at a time.

    Parameters
    ----------
    folder
        Made when something is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._folders = MonthFolders(folder)

    def months(self) -> dict[Month, RegisterMonth]:
        """The newest version of each month, oldest month first.

        Raises
        ------
        tiles.errors.StateError
            When a record cannot be read, or was written by another version of Sylvigie.
        """
        return {
            month: RegisterMonth(month, version, folder, _read_record(folder))
            for month, (version, folder) in self._folders.newest().items()
        }

    def before(self, month: Month) -> RegisterMonth | None:
        """The last month that is kept before another; None in the beginning."""
        earlier = [kept for when, kept in self.months().items() if when < month]
        return earlier[-1] if earlier else None

    def read(self, kept: RegisterMonth | None) -> Register:
        """Read a month; an empty register where there is none.

        Raises
        ------
        tiles.errors.StateError
            When a file is absent or damaged.
        """
        if kept is None:
            return Register()
        for name, checksum in kept.record["checksums"].items():
            if _checksum(kept.folder / name) != checksum:
                raise StateError(
                    f"{kept.folder / name} is not as it was written: restore it from a backup, or remove its folder "
                    "and track the month again."
                )
        return read_register(kept.folder, kept.month)

    def write(
        self, register: Register, before: RegisterMonth | None = None, tiles: Mapping[str, str] | None = None
    ) -> RegisterMonth:
        """Put a month in place, whole or not at all; leave it alone where it is there already, just so.

        Parameters
        ----------
        register
            With its month.
        before
            What it was tracked from.
        tiles
            Identity of each tile's month that it was tracked from, by name.

        Raises
        ------
        tiles.errors.OutputError
            When the disk does not take it; what was there stays.
        tiles.errors.StateError
            When the register is of no month.
        """
        if register.month is None:
            raise StateError("A register without a month cannot be kept: track a month first.")
        try:
            self._clear_leftovers()
            with self._folders.begun() as folder:
                write_register(register, folder)
                _write_record(register, before, tiles or {}, folder)
                old = self.months().get(register.month)
                if old is not None and old.record == _read_record(folder):
                    return old
                version, place = self._folders.put(folder, register.month)
        except OSError as error:
            raise OutputError(
                f"The register of {register.month} cannot be written to {self.folder} ({error.strerror or error}): "
                "make room there, or choose another data directory; what was there is as it was."
            ) from error
        return RegisterMonth(register.month, version, place, _read_record(place))

    def forget_old(self, keep_months: int) -> None:
        """Remove all but the last months. Nothing is lost of any alert: each month holds all history up to it.

        Parameters
        ----------
        keep_months
            As many as may be tracked again.
        """
        for kept in list(self.months().values())[: -max(1, keep_months)]:
            shutil.rmtree(kept.folder, ignore_errors=True)

    def _clear_leftovers(self) -> None:
        """Remove what killed runs have left."""
        self._folders.clear_partial()
        # Where the newest cannot be read, that is told before an older version goes.
        self.months()
        self._folders.clear_older()


def write_register(register: Register, folder: Path) -> None:
    """Write a register's files into a folder that is there; the same register gives the same bytes.

    Parameters
    ----------
    register
        What to write.
    folder
        Where; see `RegisterStore` for a way that leaves no half of it.
    """
    outlines = _array([alert.geometry for alert in register.alerts])
    write_geoparquet(alert_columns(register.alerts), {"geometry": outlines}, folder / ALERTS_FILE)
    patches = register.patches
    columns = {
        "alert_id": pa.array([patch.alert_id for patch in patches], pa.string()),
        "latest_low": pa.array([patch.latest_low for patch in patches], pa.date32()),
        "seen": pa.array([patch.seen for patch in patches], pa.date32()),
        **alert_columns([patch.alert for patch in patches]),
    }
    grounds = {
        "geometry": _array([patch.ground for patch in patches]),
        "outline": _array([patch.alert.geometry for patch in patches]),
    }
    write_geoparquet(columns, grounds, folder / PATCHES_FILE)
    write_geoparquet(
        _history_columns(register.history),
        {"geometry": _array([line.geometry for line in register.history])},
        folder / HISTORY_FILE,
    )
    write_geojson(register.published, folder / GEOJSON_FILE)
    write_geojson(register.closed, folder / CLOSED_FILE)


def read_register(folder: Path, month: Month) -> Register:
    """Read what `write_register` wrote.

    Raises
    ------
    tiles.errors.StateError
        When a file is absent or damaged.
    """
    table, geometries = read_geoparquet(folder / ALERTS_FILE)
    alerts = alerts_from(table, geometries["geometry"])
    table, geometries = read_geoparquet(folder / PATCHES_FILE)
    patches = [
        KnownPatch(name, alert, ground, latest_low, seen)
        for name, alert, ground, latest_low, seen in zip(
            table["alert_id"].to_pylist(),
            alerts_from(table, geometries["outline"]),
            geometries["geometry"],
            table["latest_low"].to_pylist(),
            table["seen"].to_pylist(),
            strict=True,
        )
    ]
    table, geometries = read_geoparquet(folder / HISTORY_FILE)
    rows = zip(table.to_pylist(), geometries["geometry"], strict=True)
    history = [_change(row, geometry) for row, geometry in rows]
    return Register(month, tuple(alerts), tuple(patches), tuple(history))


def _history_columns(history: tuple[Change, ...]) -> dict[str, Any]:
    def texts(values: list[Any]) -> Any:
        return pa.array([None if value is None else str(value) for value in values], pa.string())

    return {
        "alert_id": texts([line.alert_id for line in history]),
        "month": texts([line.month for line in history]),
        "event": texts([line.event for line in history]),
        "status": texts([line.status for line in history]),
        "state": texts([line.state for line in history]),
        "area_ha": pa.array([line.area_ha for line in history], pa.float64()),
        "last_intact": pa.array([line.last_intact for line in history], pa.date32()),
        "first_low": pa.array([line.first_low for line in history], pa.date32()),
        "closed_reason": texts([line.closed_reason for line in history]),
        "merged_into": texts([line.merged_into for line in history]),
    }


def _change(row: Mapping[str, Any], geometry: Any) -> Change:
    reason: str | None = row["closed_reason"]
    last_intact: date | None = row["last_intact"]
    return Change(
        alert_id=row["alert_id"],
        month=Month.parse(row["month"]),
        event=Event(row["event"]),
        status=AlertStatus(row["status"]),
        state=AlertState(row["state"]),
        area_ha=row["area_ha"],
        last_intact=last_intact,
        first_low=row["first_low"],
        closed_reason=None if reason is None else ClosedReason(reason),
        merged_into=row["merged_into"],
        geometry=geometry,
    )


def _reference(before: RegisterMonth | None) -> dict[str, str] | None:
    return None if before is None else {"month": str(before.month), "identity": before.identity}


def _write_record(register: Register, before: RegisterMonth | None, tiles: Mapping[str, str], folder: Path) -> None:
    sums = {path.name: _checksum(path) for path in sorted(folder.iterdir())}
    record = {
        "schema": SCHEMA,
        "month": str(register.month),
        "before": _reference(before),
        "tiles": dict(sorted(tiles.items())),
        "alerts": {status.value: sum(a.status is status for a in register.alerts) for status in AlertStatus},
        "checksums": sums,
        "identity": hashlib.sha256(json.dumps(sums, sort_keys=True).encode()).hexdigest(),
    }
    (folder / _RECORD_FILE).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _read_record(folder: Path) -> Mapping[str, Any]:
    path = folder / _RECORD_FILE
    try:
        record: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(record, dict):
            raise ValueError("no record")
    except (OSError, ValueError) as error:
        raise StateError(f"{path} cannot be read ({error}): restore it from a backup, or remove its folder.") from error
    if record.get("schema") != SCHEMA:
        raise StateError(
            f"{path} is of schema {record.get('schema')}, not {SCHEMA}: use the version of Sylvigie that wrote it."
        )
    wrong = [name for name in ("before", "tiles", "checksums", "identity") if name not in record]
    if wrong:
        raise StateError(
            f"{path} is damaged ({', '.join(wrong)} absent): restore it from a backup, or remove its folder."
        )
    return record


def _checksum(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise StateError(f"{path} cannot be read ({error}): restore it from a backup.") from error


def _array(geometries: list[Any]) -> Geometries:
    array = np.empty(len(geometries), object)
    array[:] = geometries
    return array
