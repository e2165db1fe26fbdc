"""Models at work: patches and alerts in, scores and reasons out; see `detector.scorer`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd

from detector.alerts import Alert
from detector.scorer import PatchScore
from models.abuse import ABUSE_GROUPS, abuse_table, as_seen
from models.card import ModelName
from models.classifier import TrainedModel
from models.explain import Explainer


@dataclass(frozen=True)
class ClearcutScorer:
    """Scores patches by the clear-cut model; a `detector.scorer.PatchScorer`."""

    model: TrainedModel

    @property
    def version(self) -> str:
        """Of the model."""
        return self.model.card.id

    @cached_property
    def _explainer(self) -> Explainer:
        return Explainer(self.model)

    def __call__(self, features: pd.DataFrame) -> list[PatchScore]:
        """Score patches, row by row."""
        probabilities = self.model.scores(features)
        reasons = self._explainer(features)
        return [PatchScore(float(one), {"clearcut": why}) for one, why in zip(probabilities, reasons, strict=True)]


@dataclass(frozen=True)
class AbuseScorer:
    """Scores alerts by the abuse model; a `detector.scorer.AlertScorer`."""

    model: TrainedModel

    @cached_property
    def _explainer(self) -> Explainer:
        return Explainer(self.model, ABUSE_GROUPS)

    def __call__(self, alerts: Sequence[Alert]) -> list[Alert]:
        """The alerts with `abuse_score`, its reasons beside those that they have, and its version beside theirs."""
        table = abuse_table(alerts)
        seen = as_seen(table)
        scores, reasons = self.model.scores(seen), self._explainer(seen, table)
        return [
            replace(
                alert,
                abuse_score=float(score),
                reasons={**(alert.reasons or {}), "abuse": why},
                model_version="+".join([*_others(alert.model_version), self.model.card.id]),
            )
            for alert, score, why in zip(alerts, scores, reasons, strict=True)
        ]


def _others(version: str | None) -> list[str]:
    """The versions on an alert that are not of the order of work: scored twice, it names one."""
    return [one for one in (version or "").split("+") if one and not one.startswith(f"{ModelName.ABUSE}-")]
