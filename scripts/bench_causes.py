"""What causes are told, beside what was laid: simulated events in real images, and the demo's real openings.

The numbers of `detector.cause.deciding.CauseParams` were chosen on draws of seed 11; those here are of another.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from detector.appraisal import with_cause
from detector.cause.deciding import Cause, CauseParams, Surroundings, decide
from detector.cause.evidence import Evidence
from detector.params import PatchParams
from detector.pipeline import ScanParams, scan
from models.causes import Cause as LaidCause
from models.simulate import SimulationParams, simulate
from scripts.bench_figures import BenchParams, Figure
from scripts.demo_archive import build_archive
from tiles.catalog import open_catalogue
from tiles.month import Month
from tiles.watch import WatchedArea

_SEED, _DRAWS = 13, 40
_SMALLEST_HA = 0.5
_NO_HARVEST = (Cause.FIRE, Cause.STORM, Cause.DIEBACK, Cause.NOT_FOREST)
_SEEN = ("swir16_after", "ndmi_change", "nir_kept", "swir16_kept", "ndmi_drift", "ndmi_apart_earlier")


def bench_causes(params: BenchParams) -> Iterator[Figure]:
    """Shares of each laid cause that are called a harvest, and what clear-cuts are called."""
    rows = simulate(_SEED, SimulationParams(draws=_DRAWS), workers=2).table.rows
    rows = rows[rows["area_ha"] >= _SMALLEST_HA]
    told = pd.Series([_decided(row) for _, row in rows.iterrows()], index=rows.index)
    for cause in sorted(rows["cause"].unique(), key=lambda one: (one != LaidCause.CLEAR_CUT, one)):
        of = told[rows["cause"] == cause]
        counts = ", ".join(f"{number} {name}" for name, number in of.value_counts().items())
        name, share = (
            f"SIMULATED {cause} of {_SMALLEST_HA} ha and more: called a harvest",
            float(np.mean(of == "harvest")),
        )
        if cause == LaidCause.CLEAR_CUT:
            yield Figure("causes", name, share, at_least=0.80, note=counts)
            wrong = float(np.isin(of, [one.value for one in _NO_HARVEST]).mean())
            yield Figure("causes", "  called another cause (criteria would not apply)", wrong, at_most=0.02)
        else:
            # Windthrow looks like a felling without a map of the storm: stated, without a goal.
            goal = None if cause == LaidCause.WINDTHROW else 0.20
            yield Figure("causes", name, share, at_most=goal, note=counts)
    yield _of_demo(params)


def _decided(row: pd.Series) -> str:
    seen = {name: None if np.isnan(row[name]) else float(row[name]) for name in _SEEN}
    surroundings = Surroundings(float(row["area_ha"]), row["last_intact"], row["first_low"])
    return decide(Evidence.of(seen), surroundings).cause.value


def _of_demo(params: BenchParams) -> Figure:
    """Real openings of a winter, July 2019."""
    archive = build_archive(params.work / "romania")
    with TemporaryDirectory() as folder:
        found = scan(
            open_catalogue(str(archive.catalog)),
            Month(2019, 7),
            WatchedArea.open(archive.forest_mask, None),
            Path(folder) / "scan",
            ScanParams(patches=PatchParams(min_area_ha=0.05)),
            today=dt.date.today(),
        )
    alerts = [with_cause(alert, CauseParams()) for alert in found.alerts]
    harvest = [alert for alert in alerts if alert.cause == Cause.HARVEST]
    others = ", ".join(
        f"{alert.area_ha:.2f} ha {alert.cause} ({alert.cause_reasons[0]['code']})"
        for alert in alerts
        if alert.cause_reasons and alert not in harvest
    )
    return Figure("causes", "real alerts of the demo called a harvest", len(harvest), f"of {len(alerts)}", note=others)
