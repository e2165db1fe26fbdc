"""SIMULATED alerts, as many as one likes, laid over France: to fill a store with, and never shown to anybody."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import numpy as np
import shapely
import shapely.geometry
from numpy.typing import NDArray

from api.store.scan_files import FoundAlert, ScanFiles, ScanKind
from detector.alerts import Alert
from tiles.month import Month

WEST, SOUTH, EAST, NORTH = -4.5, 42.5, 8.0, 51.0
_COLUMNS, _ROWS = 12, 8
_DEPARTEMENTS: Final = [code for code in (f"{number:02d}" for number in range(1, 98)) if code != "20"]
_LAW: Final = "Code forestier, article L124-5 (SIMULATED point of law, of the length of a real one): to be checked."


def simulated_months(months: int, each: int, seed: int = 1) -> Iterator[ScanFiles]:
    """Months of a monthly run, with new alerts alone.

    Parameters
    ----------
    months
        How many, the first of them January 2017.
    each
        Alerts of a month.
    seed
        The same gives the same.
    """
    month = Month(2017, 1)
    for number in range(months):
        rng = np.random.default_rng((seed, number))
        found = [_alert(rng, month, number * each + i) for i in range(each)]
        yield ScanFiles(
            folder=Path("SIMULATED"),
            kind=ScanKind.MONTHLY,
            month=month,
            ground="register",
            alerts={alert.id: alert for alert in sorted(found, key=lambda alert: alert.id)},
            features={},
            record=json.dumps({"month": str(month), "simulated": True}),
            identity=f"SIMULATED-{seed}-{number}-{each}",
            software=None,
            complete=True,
        )
        month = month.shifted(1)


def departement_at(longitude: float, latitude: float) -> str:
    """The code of a SIMULATED département: a box of a grid of 12 x 8."""
    column = int((longitude - WEST) / (EAST - WEST) * _COLUMNS)
    row = int((latitude - SOUTH) / (NORTH - SOUTH) * _ROWS)
    return _DEPARTEMENTS[min(_ROWS - 1, max(0, row)) * _COLUMNS + min(_COLUMNS - 1, max(0, column))]


def _alert(rng: np.random.Generator, month: Month, number: int) -> FoundAlert:
    longitude, latitude = float(rng.uniform(WEST, EAST)), float(rng.uniform(SOUTH, NORTH))
    area_ha = float(np.clip(rng.lognormal(0.6, 0.9), 0.5, 200))
    outline = _outline(rng, longitude, latitude, area_ha)
    first_low = month.first_day + dt.timedelta(days=int(rng.integers(0, 27)))
    probability, big = round(float(rng.uniform(0.3, 1)), 4), area_ha >= 10
    tile = f"3{int(rng.integers(0, 3))}T{'ABCDEFGH'[int(rng.integers(8))]}{'KLMNPQRS'[int(rng.integers(8))]}"
    properties: dict[str, Any] = {
        field.name: None for field in fields(Alert) if field.name not in ("id", "geometry")
    } | {
        "tile": tile,
        "tiles": [tile],
        "first_detected": month.last_day.isoformat(),
        "last_intact": (first_low - dt.timedelta(days=int(rng.integers(5, 40)))).isoformat(),
        "first_low": first_low.isoformat(),
        "updated": month.last_day.isoformat(),
        "state": "confirmed" if rng.random() < 0.8 else "provisional",
        "status": "open",
        "review": "to_review",
        "area_ha": round(area_ha, 4),
        "ndvi_before": 0.86,
        "ndvi_after": 0.31,
        "ndvi_drop": 0.55,
        "clearcut_probability": probability,
        "abuse_score": round(float(rng.uniform(0, 1)), 4),
        "potentially_abusive": big,
        "departement": departement_at(longitude, latitude),
        "commune_insee": f"{int(rng.integers(1, 96)):02d}{int(rng.integers(1, 400)):03d}",
        "commune": "SIMULATED",
        "cause": "harvest",
        "model_version": "SIMULATED",
        "rules_version": "SIMULATED",
        "criteria": [
            _criterion("area", area_ha, 10, "ha", met=big),
            _criterion("steep_block", 0.0, 2, "ha", met=False),
            _criterion("natura2000", area_ha, 2, "ha", met=bool(area_ha >= 2 and rng.random() < 0.15)),
        ],
        "legal_points": [{"code": f"point-{i}", "status": "to_check", "reference": _LAW} for i in range(5)],
        "scenes_after": [f"S2A_{tile}_{first_low:%Y%m%d}_{i}_L2A" for i in range(6)],
        "evidence": {f"value_{i}": round(float(rng.random()), 4) for i in range(20)},
    }
    return FoundAlert(f"SYL-{tile}-{first_low:%Y%m%d}-{number:08x}", outline, properties)


def _criterion(code: str, value: float, threshold: float, unit: str, *, met: bool) -> dict[str, Any]:
    source = "SIMULATED policy, of the length of a real one's source, which names the charter and its article"
    return {
        "code": code,
        "value": round(value, 4),
        "threshold": threshold,
        "unit": unit,
        "met": met,
        "source": source,
    }


def _outline(rng: np.random.Generator, longitude: float, latitude: float, area_ha: float) -> shapely.Polygon:
    """A round outline with an uneven edge."""
    angles = np.linspace(0, 2 * np.pi, 25)[:-1]
    radius_m = np.sqrt(area_ha * 10_000 / np.pi) * rng.uniform(0.8, 1.2, angles.size)
    degree_m = 111_320.0
    across: NDArray[np.float64] = radius_m * np.cos(angles) / (degree_m * np.cos(np.radians(latitude)))
    ring = np.column_stack([longitude + across, latitude + radius_m * np.sin(angles) / degree_m])
    return shapely.Polygon(np.round(ring, 7))
