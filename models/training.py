"""Training of the clear-cut model: gradient-boosted trees, stopped, calibrated and cut off on places held out.

Everything that is chosen (the number of trees, the calibration, the threshold) is chosen on predictions for places that
the predicting trees have not seen: the folds of `models.dataset.place_folds` hold whole places. The same data,
parameters and seed give the same model to the byte.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.card import Calibration, CalibrationKind, ModelCard, ModelName, Score, TrainingData, sha256_of
from models.classifier import CLEARCUT_UNITS, TrainedModel, calibrated
from models.dataset import TrainingTable, place_folds
from models.schema import FEATURE_NAMES, Source
from tiles.errors import DatasetError, InvalidParameterError, MissingDependencyError

_ISOTONIC_ROWS = 1000
"""From so many rows on steps follow the data better than a curve of two numbers (Niculescu-Mizil and Caruana 2005,
ICML, 625)."""
_KNOT_DIGITS = 6
_LIMITS_OF_SIMULATED = (
    "Trained and evaluated on events that were simulated in real images of one square kilometre of Romanian forest: "
    "figures say how well simulated events are told apart, not how well real ones are.",
    "Slopes, conifers, winters under snow and France are not in the data, nor are false alarms without any event.",
)


@dataclass(frozen=True)
class TrainParams:
    """How the trees are grown.

    Parameters
    ----------
    folds
        Of places. One holds about a fifth of them.
    learning_rate, num_leaves, min_rows_in_leaf, feature_fraction, bagging_fraction, l2
        LightGBM's, small, since there are thousands of rows and not millions.
    most_trees, patience
        Trees at most, and without gain on the held-out fold before it stops.
    clearcut_weight
        Weight of a clear-cut's row beside that of another.
    source_weights
        Weights of rows by who says what they are, such as ``{"review": 5}``.
    """

    folds: int = 5
    learning_rate: float = 0.05
    num_leaves: int = 15
    min_rows_in_leaf: int = 20
    feature_fraction: float = 0.7
    bagging_fraction: float = 0.8
    l2: float = 1.0
    most_trees: int = 600
    patience: int = 40
    clearcut_weight: float = 1.0
    source_weights: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.folds < 3:
            raise InvalidParameterError("folds must be 3 or more: places to train on, to stop at and to calibrate by.")
        unknown = set(self.source_weights) - {source.value for source in Source}
        if unknown:
            raise InvalidParameterError(f"There is no source {sorted(unknown)[0]!r} to weigh.")


@dataclass(frozen=True, eq=False)
class Fitted:
    """Trees of one fit, and what turns their sums into what is told.

    Parameters
    ----------
    trees
        LightGBM's text.
    calibration
        Of raw scores.
    threshold
        From which probability on a patch counts as a clear-cut.
    rounds
        How many trees.
    """

    trees: str
    calibration: Calibration
    threshold: float
    rounds: int

    def model(self) -> TrainedModel:
        """As a model without a history, to predict with."""
        card = ModelCard("", ModelName.CLEARCUT, "0", "", FEATURE_NAMES, _units(), sha256_of(self.trees))
        return TrainedModel(card, self.trees)

    def probabilities(self, features: pd.DataFrame) -> NDArray[np.float64]:
        """Calibrated probabilities."""
        return calibrated(self.model().raw(features), self.calibration)


def fit(table: TrainingTable, rows: NDArray[np.bool_], seed: int, params: TrainParams) -> Fitted:
    """Fit trees to some rows of a table; the others are not looked at.

    Parameters
    ----------
    table
        Data.
    rows : ndarray of bool, shape (rows,)
        Which of them.
    seed
        Of LightGBM's draws and of the folds.
    params
        How.

    Raises
    ------
    tiles.errors.DatasetError
        When there are too few places, or one kind of patch alone.
    """
    index = np.flatnonzero(rows)
    features = table.features.to_numpy(np.float64)[index]
    labels = table.is_clearcut[index].astype(np.float64)
    if labels.min(initial=1) == labels.max(initial=0):
        raise DatasetError("All patches to be trained on are of one kind: clear-cuts and others are needed.")
    weights = weights_of(table, params)[index]
    fold = place_folds(table.places[index], params.folds, seed)
    raw, rounds = np.empty(index.size), []
    for held in range(params.folds):
        out = fold == held
        trees, best = _boost(features[~out], labels[~out], weights[~out], seed, params, (features[out], labels[out]))
        raw[out] = trees.predict(features[out], raw_score=True)
        rounds.append(best)
    n_trees = max(1, int(np.median(rounds)))
    trees, _ = _boost(features, labels, weights, seed, params, None, n_trees)
    calibration = calibrate(raw, labels, weights)
    threshold = best_threshold(calibrated(raw, calibration), labels, weights)
    return Fitted(_text(trees), calibration, threshold, n_trees)


def weights_of(table: TrainingTable, params: TrainParams) -> NDArray[np.float64]:
    """Weight of each row: its own, times that of its source and of its kind."""
    own = table.rows["weight"].to_numpy(np.float64)
    source = table.rows["source"].map(lambda name: params.source_weights.get(name, 1.0)).to_numpy(np.float64)
    return np.asarray(own * source * np.where(table.is_clearcut, params.clearcut_weight, 1.0))


def calibrate(raw: NDArray[np.float64], labels: NDArray[np.float64], weights: NDArray[np.float64]) -> Calibration:
    """From raw scores to probabilities, by scores of places held out: isotonic, or Platt's where rows are few.

    Raises
    ------
    tiles.errors.MissingDependencyError
        When scikit-learn is not installed.
    """
    isotonic, logistic = _sklearn()
    if raw.size < _ISOTONIC_ROWS:
        line = logistic(C=1e6).fit(raw[:, None], labels, sample_weight=weights)
        slope = float(np.round(line.coef_[0, 0], _KNOT_DIGITS))
        return Calibration(
            CalibrationKind.PLATT, slope=max(slope, 0.0), intercept=float(np.round(line.intercept_[0], _KNOT_DIGITS))
        )
    # Never quite sure: of n rows that were all of one kind, the next is of it with (n + 1) / (n + 2).
    edge = 1 / (raw.size + 2)
    steps = isotonic(y_min=edge, y_max=1 - edge, out_of_bounds="clip").fit(raw, labels, sample_weight=weights)
    return Calibration(
        CalibrationKind.ISOTONIC,
        tuple(np.round(steps.X_thresholds_, _KNOT_DIGITS).tolist()),
        tuple(np.round(steps.y_thresholds_, _KNOT_DIGITS).tolist()),
    )


def best_threshold(
    probability: NDArray[np.float64], labels: NDArray[np.float64], weights: NDArray[np.float64]
) -> float:
    """The probability from which on clear-cuts are told with the largest F1; the middle of the gap below it."""
    order = np.argsort(-probability, kind="stable")
    hits = np.cumsum((labels * weights)[order])
    told = np.cumsum(weights[order])
    f1 = 2 * hits / (told + (labels * weights).sum())
    ordered = probability[order]
    # Equal probabilities are told together.
    last = np.append(ordered[1:] != ordered[:-1], True)
    best = int(np.argmax(np.where(last, f1, -1)))
    below = ordered[best + 1] if best + 1 < ordered.size else 0.0
    return float(np.round((ordered[best] + below) / 2, _KNOT_DIGITS))


def _boost(
    features: NDArray[np.float64],
    labels: NDArray[np.float64],
    weights: NDArray[np.float64],
    seed: int,
    params: TrainParams,
    held_out: tuple[NDArray[np.float64], NDArray[np.float64]] | None,
    n_trees: int | None = None,
) -> tuple[Any, int]:
    """Trees, and how many of them are best on what was held out."""
    import lightgbm

    data = lightgbm.Dataset(
        features, labels, weight=weights, feature_name=list(FEATURE_NAMES), params=_settings(seed, params)
    )
    if held_out is None:
        return lightgbm.train(_settings(seed, params), data, n_trees or params.most_trees), n_trees or params.most_trees
    trees = lightgbm.train(
        _settings(seed, params),
        data,
        params.most_trees,
        valid_sets=[lightgbm.Dataset(held_out[0], held_out[1], reference=data)],
        callbacks=[lightgbm.early_stopping(params.patience, verbose=False)],
    )
    return trees, int(trees.best_iteration)


def _settings(seed: int, params: TrainParams) -> dict[str, Any]:
    return {
        "objective": "binary",
        "metric": "binary_logloss",
        "learning_rate": params.learning_rate,
        "num_leaves": params.num_leaves,
        "min_data_in_leaf": params.min_rows_in_leaf,
        "feature_fraction": params.feature_fraction,
        "bagging_fraction": params.bagging_fraction,
        "bagging_freq": 1,
        "lambda_l2": params.l2,
        "seed": seed,
        # One thread, rows first: sums are then taken in one order, and the text is the same on any machine.
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }


def _text(trees: Any) -> str:
    """Trees as text, without the parameters at its end, which name files and threads."""
    text: str = trees.model_to_string()
    return text.partition("\nparameters:")[0] + "\n"


def _units() -> tuple[str, ...]:
    return tuple(CLEARCUT_UNITS[name] for name in FEATURE_NAMES)


def _sklearn() -> tuple[Any, Any]:
    try:
        from sklearn.isotonic import IsotonicRegression
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise MissingDependencyError(
            'Training needs scikit-learn, which is not installed: run `pip install "sylvigie[train]"`.'
        ) from error
    return IsotonicRegression, LogisticRegression


def train(
    table: TrainingTable,
    seed: int,
    made_on: str,
    model_version: str,
    params: TrainParams | None = None,
    scores: tuple[Score, ...] = (),
    limits: tuple[str, ...] = (),
) -> TrainedModel:
    """Train the clear-cut model on all of a table.

    Parameters
    ----------
    table
        Data.
    seed
        Of all draws.
    made_on, model_version
        For the card.
    params
        How.
    scores
        What the same training reached on places held out: `models.evaluation`.
    limits
        Sentences of the card, beside those that follow from the data.
    """
    params = params or TrainParams()
    fitted = fit(table, np.ones(len(table.rows), bool), seed, params)
    simulated = (table.rows["source"] == Source.SIMULATED.value).mean()
    card = ModelCard(
        summary=summary_of(float(simulated)),
        name=ModelName.CLEARCUT,
        version=model_version,
        made_on=made_on,
        features=FEATURE_NAMES,
        units=_units(),
        model_sha256=sha256_of(fitted.trees),
        calibration=fitted.calibration,
        threshold=fitted.threshold,
        parameters={**asdict(params), "trees": fitted.rounds},
        seed=seed,
        packages={name: _version(name) for name in ("sylvigie", "lightgbm", "numpy", "scikit-learn")}
        | {"python": platform.python_version()},
        training=(described(table),),
        scores=scores,
        limits=(*(_LIMITS_OF_SIMULATED if simulated > 0 else ()), *limits),
    )
    return TrainedModel(card, fitted.trees)


def summary_of(simulated: float) -> str:
    """First line of a card, by the share of rows that are simulated."""
    if simulated == 1:
        return "Semi-synthetic: trained on events simulated in real images, on no real felling."
    if simulated > 0:
        return f"Partly semi-synthetic: {simulated:.0%} of the patches that it was trained on are simulated."
    return "Trained on patches that people told the cause of."


def described(table: TrainingTable) -> TrainingData:
    """What a card says of a table."""
    counts = {name: table.rows[name].value_counts().sort_index() for name in ("source", "cause")}
    return TrainingData(
        content_hash=table.content_hash,
        rows=len(table.rows),
        places=int(np.unique(table.places.astype(str)).size),
        by_source={str(name): int(number) for name, number in counts["source"].items()},
        by_cause={str(name): int(number) for name, number in counts["cause"].items()},
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "0+source"
