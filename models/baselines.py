"""What a model is held beside: a threshold on the drop, the criteria's hectares, the table of causes, a line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from detector.cause.deciding import Cause, Surroundings, decide
from detector.cause.evidence import Evidence
from models.classifier import calibrated
from models.dataset import TrainingTable
from models.training import best_threshold, calibrate
from tiles.errors import MissingDependencyError

_POLICY_HA = 10.0
"""Canopée's criterion of area: the one that needs no layer, of which training tables have none."""
_OF_CAUSE = ("swir16_after", "ndmi_change", "nir_kept", "swir16_kept", "ndmi_drift", "ndmi_apart_earlier")


@dataclass(frozen=True, eq=False)
class Told:
    """What something says of patches.

    Parameters
    ----------
    probability : ndarray of float64, shape (rows,)
        That they are clear-cuts.
    clearcut : ndarray of bool, shape (rows,)
        Whether they are called so.
    """

    probability: NDArray[np.float64]
    clearcut: NDArray[np.bool_]


Baseline = Callable[[TrainingTable, NDArray[np.bool_], NDArray[np.bool_], Sequence[str]], Told]
"""Given a table, the rows to learn from, those to tell of and the features that may be used, tells of the latter."""


def by_drop(
    table: TrainingTable,
    known: NDArray[np.bool_],
    asked: NDArray[np.bool_],
    features: Sequence[str],  # noqa: ARG001 - as all baselines are asked
) -> Told:
    """NDVI lost, above a threshold that is best on the known rows."""
    drop, labels = table.rows["ndvi_drop_mean"].to_numpy(np.float64), table.is_clearcut.astype(np.float64)
    ones = np.ones(int(known.sum()))
    calibration = calibrate(drop[known], labels[known], ones)
    threshold = best_threshold(drop[known], labels[known], ones)
    return Told(calibrated(drop[asked], calibration), drop[asked] >= threshold)


def by_criteria(
    table: TrainingTable,
    known: NDArray[np.bool_],
    asked: NDArray[np.bool_],
    features: Sequence[str],  # noqa: ARG001 - as all baselines are asked
) -> Told:
    """Ten hectares or more, whatever it is; the probability is the share of clear-cuts on either side."""
    large, labels = table.rows["area_ha"].to_numpy(np.float64) >= _POLICY_HA, table.is_clearcut
    return Told(_shares(large, labels, known)[asked], large[asked])


def by_cause(
    table: TrainingTable,
    known: NDArray[np.bool_],
    asked: NDArray[np.bool_],
    features: Sequence[str],  # noqa: ARG001 - as all baselines are asked
) -> Told:
    """What `detector.cause.deciding` calls a harvest."""
    columns = {name: table.rows[name].to_numpy(np.float64) for name in _OF_CAUSE}
    lows = table.rows["first_low"].dt.date.to_list()
    harvest = np.array(
        [_is_harvest({name: of[row] for name, of in columns.items()}, low) for row, low in enumerate(lows)], bool
    )
    return Told(_shares(harvest, table.is_clearcut, known)[asked], harvest[asked])


def _is_harvest(seen: Mapping[str, float], first_low: date) -> bool:
    known = {name: None if np.isnan(value) else float(value) for name, value in seen.items()}
    return decide(Evidence.of(known), Surroundings(1.0, None, first_low)).cause is Cause.HARVEST


def by_line(table: TrainingTable, known: NDArray[np.bool_], asked: NDArray[np.bool_], features: Sequence[str]) -> Told:
    """Logistic regression on standardized features; what is unknown is taken for the median.

    Raises
    ------
    tiles.errors.MissingDependencyError
        When scikit-learn is not installed.
    """
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise MissingDependencyError(
            'Evaluation needs scikit-learn, which is not installed: run `pip install "sylvigie[train]"`.'
        ) from error
    values = table.features[list(features)].to_numpy(np.float64)
    values = values[:, ~np.isnan(values[known]).all(axis=0)]
    values = np.where(np.isnan(values), np.nanmedian(values[known], axis=0), values)
    spread = values[known].std(axis=0)
    scaled = (values - values[known].mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    line = LogisticRegression(C=1.0, max_iter=2000).fit(scaled[known], table.is_clearcut[known])
    learnt = line.predict_proba(scaled[known])[:, 1]
    labels = table.is_clearcut[known].astype(np.float64)
    threshold = best_threshold(learnt, labels, np.ones(labels.size))
    probability = line.predict_proba(scaled[asked])[:, 1]
    return Told(probability, probability >= threshold)


def _shares(side: NDArray[np.bool_], labels: NDArray[np.bool_], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Share of clear-cuts among the known rows on each row's side, never quite 0 or 1."""
    inside, outside = (
        (labels[known & among].sum() + 1) / (np.count_nonzero(known & among) + 2) for among in (side, ~side)
    )
    return np.asarray(np.where(side, inside, outside), np.float64)


BASELINES: Mapping[str, Baseline] = {
    "threshold on the drop": by_drop,
    "criteria alone (10 ha)": by_criteria,
    "table of causes": by_cause,
    "logistic regression": by_line,
}
