"""How long models take: scores of 100,000 patches, reasons of 5,000 alerts. SIMULATED features; the shipped models."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from statistics import median

import numpy as np
import pandas as pd

from models.abuse import ABUSE_GROUPS, simulated_alerts
from models.card import ModelName
from models.explain import CLEARCUT_GROUPS, Explainer, Group
from models.registry import Registry
from scripts.bench_figures import BenchParams, Figure, take_turns

_PATCHES, _ALERTS = 100_000, 5_000


def bench_models(params: BenchParams) -> Iterator[Figure]:
    """Scores and reasons of both models."""
    registry = Registry(params.work / "none")
    for name, groups in ((ModelName.CLEARCUT, CLEARCUT_GROUPS), (ModelName.ABUSE, ABUSE_GROUPS)):
        model = registry.load(name)
        if model is None:
            yield Figure("models", f"{name}: none is shipped", math.nan)
            continue
        table = simulated_alerts(1, _PATCHES) if name is ModelName.ABUSE else _features(model.card.features)
        few, explainer = table.head(_ALERTS), Explainer(model, groups)
        asked = _with_leads(few, groups)
        seconds = take_turns(
            params.repeats,
            {"scores": partial(model.scores, table), "reasons": partial(explainer, asked)},
        )
        trees = f"{model.card.id}, {model.card.parameters['trees']} trees"
        scored, told = median(seconds["scores"]), median(seconds["reasons"])
        yield Figure("models", f"scores of {_PATCHES:,} SIMULATED patches", scored, "s", at_most=2, note=trees)
        yield Figure("models", f"reasons of {_ALERTS:,} SIMULATED alerts", told, "s", at_most=10)


def _features(names: tuple[str, ...]) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(rng.random((_PATCHES, len(names))), columns=list(names))


def _with_leads(table: pd.DataFrame, groups: tuple[Group, ...]) -> pd.DataFrame:
    """With the columns whose values reasons tell, unknown where the model does not ask for them."""
    missing = [name for group in groups for name in group.features[:1] if name not in table]
    return table.assign(**dict.fromkeys(missing, np.nan))
