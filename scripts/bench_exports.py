"""What alerts cost to write in each format, in time and memory: SIMULATED alerts, alike but for identity and place."""

from __future__ import annotations

import datetime as dt
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import shapely

from api.exports import ExportFormat, stream
from api.features import AlertFeature, CollectionInfo
from scripts.bench_figures import BenchParams, Figure, forget_peak, in_child, peak_memory_bytes

_TILE_PX, _TILE_ALERTS = 10_980, 20_000
_INFO: Final = CollectionInfo(
    "Alertes SIMULÉES", dt.datetime(2026, 11, 23, tzinfo=dt.UTC), "Sylvigie, SIMULÉ", "CC0-1.0", ("m",), ("r",)
)
_PROPERTIES: Final = {
    "tile": "SIMULATED",
    "first_detected": "2026-06-30",
    "last_intact": "2026-05-30",
    "first_low": "2026-06-16",
    "state": "confirmed",
    "status": "open",
    "area_ha": 12.05,
    "potentially_abusive": True,
    "criteria": [{"code": "area", "value": 12.05, "threshold": 10.0, "unit": "ha", "met": True, "source": "x" * 90}]
    * 3,
    "legal_points": [{"code": "L124-5", "status": "unknown", "reference": "x" * 30, "source": "x" * 150}] * 6,
    "commune": "Sabres",
    "departement": "40",
    "ndvi_before": 0.8884,
    "ndvi_after": 0.3372,
    "ndvi_drop": 0.5512,
    "scenes_after": ["S2A_MSIL2A_20260616T105621_N0511_R094_T30TXQ"] * 4,
}


@dataclass(frozen=True)
class Cost:
    """What an export cost.

    Parameters
    ----------
    seconds
        From the first alert to the last byte.
    n_bytes
        Of the export.
    grown_bytes
        Memory at its highest, above what the process had after an export of `n_few`.
    """

    seconds: float
    n_bytes: int
    grown_bytes: int


def bench_exports(params: BenchParams) -> Iterator[Figure]:
    """Memory above that of a tenth as many alerts, then time beside GeoJSON's, by format."""
    n = max(20, round(_TILE_ALERTS * params.size_px / _TILE_PX))
    costs = in_child(cost_of_formats, n // 10, n, params.work)
    yield Figure("exports", "SIMULATED alerts", n, "alerts", note=f"memory is above that of {n // 10}")
    for fmt, cost in costs.items():
        yield Figure("exports", f"memory that {fmt.value} takes more", cost.grown_bytes / 1e6, "MB")
    for fmt, cost in costs.items():
        times = cost.seconds / costs[ExportFormat.GEOJSON].seconds
        told = f"{cost.n_bytes / 1e6:.3g} MB, {n / cost.seconds:.0f} alerts a second"
        yield Figure("exports", f"time of {fmt.value} / GeoJSON's", times, note=told)


def cost_of_formats(n_few: int, n: int, work: Path) -> dict[ExportFormat, Cost]:
    """Cost of an export of `n` alerts in each format, after one of `n_few`; files are written in `work`."""
    costs = {}
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=work) as scratch:
        for fmt in ExportFormat:
            # Brings the libraries, and what they keep.
            _length(fmt, n_few, Path(scratch))
            before = forget_peak()
            started = time.perf_counter()
            n_bytes = _length(fmt, n, Path(scratch))
            seconds = time.perf_counter() - started
            costs[fmt] = Cost(seconds, n_bytes, max(0, peak_memory_bytes() - before))
    return costs


def _length(fmt: ExportFormat, n: int, scratch: Path) -> int:
    return sum(map(len, stream(_simulated(n), fmt, _INFO, scratch)))


def _simulated(n: int) -> Iterator[AlertFeature]:
    properties = json.dumps(_PROPERTIES)
    for i in range(n):
        outline = shapely.orient_polygons(shapely.Point(i % 1000 / 200, 44 + i // 1000 / 200).buffer(0.001))
        name = f"SYL-SIMULATED-20260616-{i:08x}"
        geometry = shapely.to_geojson(outline)
        text = f'{{"type": "Feature", "id": "{name}", "geometry": {geometry}, "properties": {properties}}}'
        yield AlertFeature(name, text, shapely.to_wkb(outline))
