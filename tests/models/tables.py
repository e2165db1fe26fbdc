"""Small training tables drawn at random, in which a few features tell clear-cuts."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd

from detector.features import FEATURES
from models.causes import Cause
from models.dataset import TrainingTable
from models.schema import FEATURE_NAMES, Source

OTHERS = (Cause.THINNING, Cause.FIRE, Cause.HAZE, Cause.WINDTHROW)


def table_of(rows: int = 400, places: int = 8, seed: int = 1, source: Source = Source.SIMULATED) -> TrainingTable:
    """Patches of places; `ndmi_change` and `ndvi_drop_mean` tell clear-cuts from the rest, not quite."""
    rng = np.random.default_rng(seed)
    cut = rng.random(rows) < 0.5
    # Every feature's range holds 0 to 1 or 1 to 2.
    features = pd.DataFrame(rng.random((rows, len(FEATURE_NAMES))), columns=list(FEATURE_NAMES))
    for feature in FEATURES:
        if feature.range[1] is None or feature.range[1] > 1:
            features[feature.name] += 1
    features["ndmi_change"] = np.where(cut, -0.3, -0.12) + rng.normal(0, 0.06, rows)
    features["ndvi_drop_mean"] = np.clip(np.where(cut, 0.4, 0.3) + rng.normal(0, 0.1, rows), 0, 1)
    features["area_ha"] = rng.lognormal(0.3, 1.0, rows)
    features.loc[rng.random(rows) < 0.05, "ndmi_change"] = np.nan
    told: list[dict[str, Any]] = []
    events: list[dict[str, Any]] = []
    for index in range(rows):
        day = dt.date(2018, 1, 1) + dt.timedelta(int(rng.integers(0, 360)))
        cause = Cause.CLEAR_CUT if cut[index] else OTHERS[index % len(OTHERS)]
        place = f"place-{index % places}"
        event = {
            "event_id": f"e{seed}-{index}",
            "cause": cause.value,
            "event_date": day,
            "event_area_ha": float(features["area_ha"][index]),
            "place": place,
            "source": source.value,
        }
        told.append(
            event
            | {
                "id": f"p{seed}-{index}",
                "last_intact": day - dt.timedelta(5),
                "first_low": day + dt.timedelta(int(rng.integers(1, 20))),
                "state": "confirmed",
                "forest_type": "conifer" if index % 3 else "broadleaf",
                "slope_pct": None if index % 5 == 0 else float(index % 50),
            }
        )
        events.append(event | {"found": bool(rng.random() < 0.95), "n_dates_after": float(rng.integers(0, 6))})
    return TrainingTable.build(told, features, events)
