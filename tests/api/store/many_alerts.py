"""A hundred and twenty alerts of every kind, drawn from a seed."""

from __future__ import annotations

import datetime as dt

import numpy as np

from api.store.scan_files import FoundAlert
from tests.api.alerts import found_alert

CODES = ("40", "33", "2A")


def _alerts(number: int = 120) -> list[FoundAlert]:
    rng = np.random.default_rng(5)
    found = []
    for i in range(number):
        low = dt.date(2026, 1, 1) + dt.timedelta(days=int(rng.integers(0, 300)))
        intact = None if i % 7 == 0 else (low - dt.timedelta(days=int(rng.integers(1, 60)))).isoformat()
        found.append(
            found_alert(
                i,
                longitude=float(rng.uniform(-180, 179.9)) if i % 3 == 0 else float(rng.uniform(-1, 1)),
                latitude=float(rng.uniform(43, 45)),
                size=float(rng.uniform(0.001, 0.05)),
                area_ha=float(rng.integers(1, 40)) / 2,
                departement=None if i % 11 == 0 else CODES[i % 3],
                commune_insee=f"4000{i % 5}",
                commune=f"Commune-{i % 5}",
                state="confirmed" if i % 2 else "provisional",
                status="closed" if i % 9 == 0 else "open",
                first_low=low.isoformat(),
                last_intact=intact,
                clearcut_probability=None if i % 5 == 0 else float(rng.integers(0, 11)) / 10,
                abuse_score=None if i % 4 == 0 else float(rng.integers(0, 5)) / 4,
                potentially_abusive=(None, True, False)[i % 3],
                criteria=[{"code": "area", "met": i % 6 == 0}],
                cause="harvest" if i % 2 else None,
            )
        )
    return found


ALERTS = _alerts()
