"""Alerts and scans to fill a store with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import shapely

from api.store.scan_files import FoundAlert, ScanFiles, ScanKind
from detector.alerts import Alert
from tiles.month import Month


def found_alert(
    number: int, *, longitude: float = -0.5, latitude: float = 44.0, size: float = 0.002, **told: Any
) -> FoundAlert:
    """An alert whose fields are those of a published one; what is not given is as most are, or unknown."""
    outline = shapely.box(longitude, latitude, longitude + size, latitude + size)
    properties: dict[str, Any] = {each.name: None for each in fields(Alert) if each.name not in ("id", "geometry")} | {
        "tile": "30TXP",
        "first_detected": "2026-10-31",
        "last_intact": "2026-09-20",
        "first_low": "2026-10-04",
        "updated": "2026-10-31",
        "state": "confirmed",
        "status": "open",
        "review": "to_review",
        "area_ha": 2.5,
        "tiles": ["30TXP"],
    }
    return FoundAlert(f"SYL-30TXP-20261004-{number:08x}", outline, properties | told)


def scan_files(
    alerts: Iterable[FoundAlert],
    month: str = "2026-10",
    kind: ScanKind = ScanKind.SCAN,
    features: Mapping[str, Mapping[str, Any]] | None = None,
) -> ScanFiles:
    """What a scan left."""
    by_id = {alert.id: alert for alert in sorted(alerts, key=lambda alert: alert.id)}
    text = json.dumps([(alert.id, alert.geometry.wkt, dict(alert.properties)) for alert in by_id.values()])
    return ScanFiles(
        folder=Path("out"),
        kind=kind,
        month=Month.parse(month),
        ground="30TXP" if kind is ScanKind.SCAN else "register",
        alerts=by_id,
        features=features or {},
        record="{}",
        identity=hashlib.sha256(f"{month} {text}".encode()).hexdigest(),
        software="0",
        complete=True,
    )


def write_scan(folder: Path, alerts: Iterable[FoundAlert], month: str = "2026-10") -> Path:
    """The files of a scan, as `sylvigie scan` writes them."""
    folder.mkdir(parents=True, exist_ok=True)
    features = [
        {
            "type": "Feature",
            "id": alert.id,
            "geometry": json.loads(shapely.to_geojson(alert.geometry)),
            "properties": dict(alert.properties),
        }
        for alert in alerts
    ]
    (folder / "alerts.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    (folder / "scan.json").write_text(json.dumps({"month": month, "tiles": [{"tile": "30TXP"}], "complete": True}))
    return folder
