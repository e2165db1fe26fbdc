"""What a scan, or a month of the data directory, has left for the store: reading and checking it."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import shapely
import sqlalchemy as sa
from shapely.geometry.base import BaseGeometry

from api.store.tables import alerts
from detector.alerts import AlertState, AlertStatus
from tiles.errors import IngestError, SylvigieError
from tiles.month import Month

ALERTS_FILE, CLOSED_FILE, FEATURES_FILE = "alerts.geojson", "closed.geojson", "features.parquet"
SCAN_RECORD, RUN_RECORD = "scan.json", "run.json"


_LONGEST: Final = {
    column.name: column.type.length
    for column in alerts.columns
    if isinstance(column.type, sa.String) and column.type.length is not None
}
"""Characters of the store's columns."""


class ScanKind(StrEnum):
    """What has found the alerts."""

    SCAN = "scan"
    """`sylvigie scan`: one month by itself."""
    MONTHLY = "monthly"
    """`sylvigie monthly`: alerts are followed from month to month."""


@dataclass(frozen=True, eq=False)
class FoundAlert:
    """An alert as a file tells it.

    Parameters
    ----------
    id
        Its identity.
    geometry
        Its outline, WGS 84.
    properties
        All its published fields.
    """

    id: str
    geometry: BaseGeometry
    properties: Mapping[str, Any]

    def day(self, name: str) -> dt.date | None:
        """A field that is a date."""
        value = self.properties.get(name)
        return None if value is None else dt.date.fromisoformat(value)


@dataclass(frozen=True, eq=False)
class ScanFiles:
    """What a folder holds for the store.

    Parameters
    ----------
    folder
        Of the files.
    kind, month
        What has found them, and of when.
    ground
        The tiles, or the word for all.
    alerts
        By identity: those that stand, and those that were closed.
    features
        What was measured, by alert; empty where it is not told.
    record
        ``scan.json`` or ``run.json``, as text.
    identity
        Name of the content: the same files have the same.
    software, complete
        Of the record.
    """

    folder: Path
    kind: ScanKind
    month: Month
    ground: str
    alerts: Mapping[str, FoundAlert]
    features: Mapping[str, Mapping[str, Any]]
    record: str
    identity: str
    software: str | None
    complete: bool | None


def read_scan(folder: Path) -> ScanFiles:
    """Read the output of a scan, or a month of the data directory.

    Parameters
    ----------
    folder
        ``--out`` of ``sylvigie scan``, or ``months/<month>`` of the data directory.

    Raises
    ------
    tiles.errors.IngestError
        When it is neither, or a file of it is damaged: nothing is then taken.
    """
    if (folder / SCAN_RECORD).is_file():
        path = folder / SCAN_RECORD
        text = _text(path)
        record = _json(path, text)
        return _read(folder, ScanKind.SCAN, text, record, str(record.get("month")))
    if (folder / CLOSED_FILE).is_file():
        path = folder / RUN_RECORD
        # A run puts its month in before it has written its record.
        text = _text(path) if path.is_file() else "{}"
        return _read(folder, ScanKind.MONTHLY, text, _json(path, text), folder.resolve().name)
    raise IngestError(
        f"{folder} holds neither {SCAN_RECORD} nor {CLOSED_FILE}: name the folder that `sylvigie scan` wrote, or "
        "months/<month> of the data directory."
    )


def _read(folder: Path, kind: ScanKind, text: str, record: dict[str, Any], month_name: str) -> ScanFiles:
    try:
        month = Month.parse(month_name)
    except SylvigieError as error:
        raise IngestError(f"{folder} is of no month: it is not what a scan or a monthly run wrote.") from error
    names = [ALERTS_FILE] if kind is ScanKind.SCAN else [ALERTS_FILE, CLOSED_FILE]
    found: dict[str, FoundAlert] = {}
    digest = hashlib.sha256(f"{kind} {month}".encode())
    for name in names:
        body = _text(folder / name)
        digest.update(hashlib.sha256(body.encode()).digest())
        for alert in _alerts(folder / name, body):
            if alert.id in found:
                raise IngestError(f"{folder / name} names the alert {alert.id} twice: make the scan again.")
            found[alert.id] = alert
    tiles = [str(tile["tile"]) for tile in record.get("tiles", ()) if isinstance(tile, dict) and "tile" in tile]
    return ScanFiles(
        folder=folder,
        kind=kind,
        month=month,
        ground=",".join(sorted(tiles)) if kind is ScanKind.SCAN else "register",
        alerts=dict(sorted(found.items())),
        features=_features(folder / FEATURES_FILE),
        record=text,
        identity=digest.hexdigest(),
        software=record.get("sylvigie"),
        complete=record.get("complete"),
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise IngestError(f"{path} cannot be read ({error}): make the scan again.") from error


def _json(path: Path, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise IngestError(f"{path} is not JSON ({error}): make the scan again.") from error
    if not isinstance(value, dict):
        raise IngestError(f"{path} is not what a scan writes: make the scan again.")
    return value


def _alerts(path: Path, text: str) -> Iterator[FoundAlert]:
    features = _json(path, text).get("features")
    if not isinstance(features, list):
        raise IngestError(f"{path} is no GeoJSON FeatureCollection: make the scan again.")
    for number, feature in enumerate(features):
        try:
            yield _alert(feature)
        except (KeyError, TypeError, ValueError, AttributeError, shapely.GEOSException) as error:
            name = feature.get("id", f"number {number}") if isinstance(feature, dict) else f"number {number}"
            raise IngestError(f"{path}: alert {name} is not what a scan writes ({error!r}).") from error


def _alert(feature: Mapping[str, Any]) -> FoundAlert:
    properties = dict(feature["properties"])
    found = FoundAlert(str(feature["id"]), shapely.from_geojson(json.dumps(feature["geometry"])), properties)
    AlertState(properties["state"])
    AlertStatus(properties.setdefault("status", AlertStatus.OPEN.value))
    properties.setdefault("updated", properties["first_detected"])
    for name in ("first_detected", "first_low", "updated"):
        if found.day(name) is None:
            raise ValueError(f"{name} is null")
    found.day("last_intact")
    if not float(properties["area_ha"]) > 0:
        raise ValueError("area_ha is not above zero")
    if found.geometry.geom_type not in ("Polygon", "MultiPolygon") or found.geometry.is_empty:
        raise ValueError("its outline is no polygon")
    west, south, east, north = found.geometry.bounds
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        raise ValueError("its outline is not in degrees")
    if not found.id:
        raise ValueError("its id is empty")
    for name, value in (("id", found.id), *properties.items()):
        longest = _LONGEST.get(name)
        if longest is not None and value is not None and len(str(value)) > longest:
            raise ValueError(f"{name} is longer than {longest} characters")
    return found


def _features(path: Path) -> Mapping[str, Mapping[str, Any]]:
    if not path.is_file():
        return {}
    try:
        table = pq.read_table(path)
        table = table.drop_columns([name for name in ("geometry", "bbox") if name in table.column_names])
        rows: Iterable[dict[str, Any]] = table.to_pylist()
        return {str(row.pop("alert_id")): row for row in rows}
    except (OSError, KeyError, pa.ArrowException) as error:
        raise IngestError(f"{path} cannot be read ({error}): make the scan again.") from error
