"""A training table of features drawn at random: clear-cuts lose more NDVI, and more moisture, than the other causes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from models.dataset import TrainingTable
from models.schema import FEATURE_NAMES

CAUSES = ("clear_cut", "clear_cut", "windthrow", "haze")


def drawn_table(seed: int = 1, places: int = 6, per_place: int = 60, name: str = "block") -> TrainingTable:
    """Rows and events of `places` blocks of ground; of the events of clear-cuts, one in ten was not found."""
    rng = np.random.default_rng(seed)
    n = places * per_place
    cause = np.array(CAUSES)[rng.integers(0, len(CAUSES), n)]
    cut = cause == "clear_cut"
    features = pd.DataFrame({one: rng.random(n) for one in FEATURE_NAMES})
    features["ndvi_drop_mean"] = np.clip(0.25 + 0.15 * cut + rng.normal(0, 0.08, n), 0, 2)
    features["ndmi_change"] = -0.1 - 0.2 * cut + rng.normal(0, 0.08, n)
    features["area_ha"] = rng.lognormal(0.3, 0.8, n)
    features["dating_interval_days"] = rng.integers(1, 40, n).astype(float)
    features["first_low_doy"] = rng.integers(1, 366, n).astype(float)
    features.loc[::5, "ndmi_change"] = np.nan
    intact = pd.Timestamp("2018-05-01") + pd.to_timedelta(rng.integers(0, 60, n), "D")
    days = rng.integers(1, 40, n)
    place = [f"{name}-{number % places}" for number in range(n)]
    rows = [
        {
            "id": f"{name}-{seed}-p{number:04}",
            "cause": cause[number],
            "place": place[number],
            "source": "simulated",
            "event_id": f"{name}-{seed}-e{number:04}",
            "event_date": intact[number] + pd.Timedelta(days=int(days[number]) // 2),
            "event_area_ha": features["area_ha"][number],
            "last_intact": intact[number],
            "first_low": intact[number] + pd.Timedelta(days=int(days[number])),
        }
        for number in range(n)
    ]
    events = [
        {**row, "scanned_month": "2018-08", "n_dates_after": 4.0, "found_share": 1.0, "found": True} for row in rows
    ]
    missed = [
        {**event, "event_id": f"{event['event_id']}-missed", "n_dates_after": 0.0, "found_share": 0.0, "found": False}
        for event in events[::10]
        if event["cause"] == "clear_cut"
    ]
    return TrainingTable.build(rows, features, events + missed)
