"""What the detector asks of models, which lie on a floor above: filled in by whoever starts a scan or a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pandas as pd

from detector.alerts import Alert

Reasons = Mapping[str, Any]
"""Strongest reasons ``for`` and ``against``, as JSON has them; see `models.explain`."""


@dataclass(frozen=True)
class PatchScore:
    """What a model says of a patch: the probability that it is a clear-cut, and why."""

    probability: float
    reasons: Reasons


class PatchScorer(Protocol):
    """Scores patches by their features. It pickles, since a tile may be worked on by another machine."""

    @property
    def version(self) -> str:
        """Of the model."""
        ...

    def __call__(self, features: pd.DataFrame) -> Sequence[PatchScore]:
        """Score patches, row by row of `detector.features`."""
        ...


class AlertScorer(Protocol):
    """Scores alerts, with all that layers and rules say of them."""

    def __call__(self, alerts: Sequence[Alert]) -> Sequence[Alert]:
        """The alerts with their scores, and the version that gave them."""
        ...
