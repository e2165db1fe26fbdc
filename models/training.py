"""Training of the clear-cut model: gradient-boosted trees, stopped, calibrated and cut off on places held out.

Everything that is chosen (the number of trees, the calibration, the threshold) is chosen on predictions for places that
the predicting trees have not seen: the folds of `models.dataset.place_folds` hold whole places. The same data,
parameters and seed give the same model to the byte.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from detector.features import RING_FEATURES, SHAPE_FEATURES
from models.card import Calibration, CalibrationKind, ModelCard, ModelName, Score, TrainingData, sha256_of
from models.classifier import CLEARCUT_UNITS, TrainedModel, calibrated
from models.dataset import TrainingTable, place_folds
from models.schema import FEATURE_NAMES, Source
from tiles.errors import DatasetError, InvalidParameterError, MissingDependencyError

_ISOTONIC_ROWS = 1000
"""From so many rows on steps follow the data better than a curve of two numbers (Niculescu-Mizil and Caruana 2005,
ICML, 625)."""
_KNOT_DIGITS = 6
SMALLEST_HA = 0.5
"""The goals are of patches and clear-cuts from there on."""
_FEW_ROWS = 30
"""Of fewer patches of a cause a share says too little to choose by."""
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
        Of places. One holds about a fifth of them. Where there are fewer places, each is a fold.
    learning_rate, num_leaves, min_rows_in_leaf, feature_fraction, bagging_fraction, l2
        LightGBM's, small, since there are thousands of rows and not millions.
    most_trees, patience
        Trees at most, and without gain on the held-out fold before it stops.
    clearcut_weight
        Weight of a clear-cut's row beside that of another.
    source_weights
        Weights of rows by who says what they are, such as ``{"review": 5}``.
    users_accuracy
        Share of what is called a clear-cut that is to be one, by which the threshold is chosen: the goal's
        0.95, and a little more, since places differ.
    called_share
        Share of each other cause that may be called a clear-cut, likewise: the goal is 0.10.
    left_out
        Features that the trees may not ask for. Of shape by default: trees that learn it from the simulation give real
        openings lower probabilities, also since fellings are drawn as real ones are (ADR 18). And of what lies around:
        simulated events lie close to each other, in forest without an end.
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
    users_accuracy: float | None = 0.955
    called_share: float = 0.09
    left_out: tuple[str, ...] = SHAPE_FEATURES + RING_FEATURES

    @property
    def features(self) -> tuple[str, ...]:
        """Features that the trees may ask for, in the table's order."""
        return tuple(name for name in FEATURE_NAMES if name not in self.left_out)

    def __post_init__(self) -> None:
        if self.folds < 3:
            raise InvalidParameterError("folds must be 3 or more: places to train on, to stop at and to calibrate by.")
        unknown = set(self.source_weights) - {source.value for source in Source}
        if unknown:
            raise InvalidParameterError(f"There is no source {sorted(unknown)[0]!r} to weigh.")
        strange = set(self.left_out) - set(FEATURE_NAMES)
        if strange:
            raise InvalidParameterError(f"There is no feature {sorted(strange)[0]!r} to leave out.")


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
    features
        Columns that they ask for.
    """

    trees: str
    calibration: Calibration
    threshold: float
    rounds: int
    features: tuple[str, ...]

    def model(self) -> TrainedModel:
        """As a model without a history, to predict with."""
        card = ModelCard("", ModelName.CLEARCUT, "0", "", self.features, units_of(self.features), sha256_of(self.trees))
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
    features = table.features[list(params.features)].to_numpy(np.float64)[index]
    labels = table.is_clearcut[index].astype(np.float64)
    if labels.min(initial=1) == labels.max(initial=0):
        raise DatasetError("All patches to be trained on are of one kind: clear-cuts and others are needed.")
    weights = weights_of(table, params)[index]
    raw, rounds = held_out(table, rows, seed, params)
    n_trees = max(1, int(np.median(rounds)))
    trees, _ = _boost(features, labels, weights, seed, params, None, n_trees)
    calibration = calibrate(raw, labels, weights)
    threshold = choose_threshold(calibrated(raw, calibration), table.rows.iloc[index], params)
    return Fitted(trees_text(trees), calibration, threshold, n_trees, params.features)


def search(table: TrainingTable, seed: int, trials: int, params: TrainParams | None = None) -> TrainParams:
    """Look for better parameters by their loss on places held out (Akiba et al. 2019, KDD, 2623).

    Parameters
    ----------
    table
        Data: that of an evaluation must not be in it.
    seed
        Of the search and of each training.
    trials
        How many settings are tried; the card is to say so.
    params
        What is not searched for.

    Raises
    ------
    tiles.errors.MissingDependencyError
        When optuna is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise MissingDependencyError(
            'The search needs optuna, which is not installed: run `pip install "sylvigie[train]"`.'
        ) from error
    start, rows = params or TrainParams(), np.ones(len(table.rows), bool)
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def loss(trial: Any) -> float:
        tried = replace(
            start,
            num_leaves=trial.suggest_int("num_leaves", 4, 63, log=True),
            min_rows_in_leaf=trial.suggest_int("min_rows_in_leaf", 5, 100, log=True),
            learning_rate=trial.suggest_float("learning_rate", 0.02, 0.2, log=True),
            feature_fraction=trial.suggest_float("feature_fraction", 0.3, 1.0),
            l2=trial.suggest_float("l2", 0.01, 100.0, log=True),
        )
        raw, _ = held_out(table, rows, seed, tried)
        probability = np.clip(calibrated(raw, Calibration()), 1e-6, 1 - 1e-6)
        truth, weights = table.is_clearcut, weights_of(table, tried)
        return float(np.average(-np.log(np.where(truth, probability, 1 - probability)), weights=weights))

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.optimize(loss, n_trials=trials)
    return replace(start, **study.best_params)


def held_out(
    table: TrainingTable, rows: NDArray[np.bool_], seed: int, params: TrainParams
) -> tuple[NDArray[np.float64], list[int]]:
    """Raw scores of rows by trees that were trained on the others' places, and how many trees each fold took.

    Returns
    -------
    raw : ndarray of float64, shape (rows that are asked for,)
    rounds
        By fold.
    """
    index = np.flatnonzero(rows)
    features = table.features[list(params.features)].to_numpy(np.float64)[index]
    labels, weights = table.is_clearcut[index].astype(np.float64), weights_of(table, params)[index]
    fold = folds_of(table.places[index], params, seed)
    raw, rounds = np.empty(index.size), []
    for held in range(int(fold.max()) + 1):
        out = fold == held
        trees, best = _boost(features[~out], labels[~out], weights[~out], seed, params, (features[out], labels[out]))
        raw[out] = trees.predict(features[out], raw_score=True)
        rounds.append(best)
    return raw, rounds


def folds_of(places: NDArray[np.object_], params: TrainParams, seed: int) -> NDArray[np.int64]:
    """Fold of each row, by `place_folds`; as many folds as there are places where those are fewer.

    Raises
    ------
    tiles.errors.DatasetError
        When there is a single place.
    """
    return place_folds(places, max(2, min(params.folds, np.unique(places.astype(str)).size)), seed)


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


def choose_threshold(probability: NDArray[np.float64], rows: pd.DataFrame, params: TrainParams) -> float:
    """From which probability on patches are called clear-cuts, so that the goals are kept on rows held out.

    Parameters
    ----------
    probability : ndarray of float64, shape (rows,)
        By trees that had not seen the rows.
    rows
        Of a `TrainingTable`.
    params
        The goals, `users_accuracy` and `called_share`, of patches of `SMALLEST_HA` and more.

    Returns
    -------
    float
        The lowest at which both are kept; that with the largest F1 where they never are, or none is asked for.
    """
    truth, weights = rows["is_clearcut"].to_numpy(np.float64), np.ones(len(rows))
    large = (rows["area_ha"] >= SMALLEST_HA).to_numpy(bool)
    if params.users_accuracy is None or not large.any():
        return best_threshold(probability, truth, weights)
    threshold = best_threshold(probability[large], truth[large], weights[large], params.users_accuracy)
    for _, of_cause in rows[large & ~rows["is_clearcut"].to_numpy(bool)].groupby("cause"):
        among = probability[rows.index.get_indexer(of_cause.index)]
        if among.size >= _FEW_ROWS:
            # Above the one that would be one too many.
            allowed = int(params.called_share * among.size)
            threshold = max(threshold, float(np.nextafter(np.sort(among)[-allowed - 1], 1)))
    return float(np.round(threshold, _KNOT_DIGITS))


def best_threshold(
    probability: NDArray[np.float64],
    labels: NDArray[np.float64],
    weights: NDArray[np.float64],
    users_accuracy: float | None = None,
) -> float:
    """From which probability on patches are called clear-cuts.

    Parameters
    ----------
    probability, labels, weights : ndarray of float64, shape (rows,)
        Of patches that the trees had not seen.
    users_accuracy
        The lowest probability is taken at which so large a share of what is called a clear-cut is one; that with the
        largest F1 where None, or where the share is never reached.

    Returns
    -------
    float
        The middle of the gap below the last patch that is called.
    """
    order = np.argsort(-probability, kind="stable")
    hits = np.cumsum((labels * weights)[order])
    called = np.cumsum(weights[order])
    ordered = probability[order]
    # Equal probabilities are called together.
    last = np.append(ordered[1:] != ordered[:-1], True)
    f1 = np.where(last, 2 * hits / (called + (labels * weights).sum()), -1)
    right = last & (hits >= (users_accuracy or np.inf) * called)
    best = int(np.flatnonzero(right)[-1]) if right.any() else int(np.argmax(f1))
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
        features, labels, weight=weights, feature_name=list(params.features), params=_settings(seed, params)
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


def trees_text(trees: Any) -> str:
    """Trees as text, without the parameters at its end, which name files and threads."""
    text: str = trees.model_to_string()
    return text.partition("\nparameters:")[0] + "\n"


def units_of(features: Sequence[str]) -> tuple[str, ...]:
    """Units of features of the clear-cut model."""
    return tuple(CLEARCUT_UNITS[name] for name in features)


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
        features=params.features,
        units=units_of(params.features),
        model_sha256=sha256_of(fitted.trees),
        calibration=fitted.calibration,
        threshold=fitted.threshold,
        parameters={**asdict(params), "trees": fitted.rounds, "places": sorted(set(table.places.astype(str)))},
        seed=seed,
        packages={name: version_of(name) for name in ("sylvigie", "lightgbm", "numpy", "scikit-learn")}
        | {"python": platform.python_version()},
        training=(described(table),),
        scores=scores,
        limits=(*(_LIMITS_OF_SIMULATED if simulated > 0 else ()), *limits),
    )
    return TrainedModel(card, fitted.trees)


def params_of(card: ModelCard) -> TrainParams:
    """The parameters that a card tells, to train in the same way."""
    told = {name: value for name, value in card.parameters.items() if name not in {"trees", "places"}}
    return TrainParams(**told | {"left_out": tuple(told["left_out"])})


def importance_of(model: TrainedModel) -> pd.Series:
    """Share of the trees' gain by feature."""
    from lightgbm import Booster

    gain = np.asarray(Booster(model_str=model.trees).feature_importance("gain"), np.float64)
    return pd.Series(gain / max(gain.sum(), 1e-12), index=list(model.card.features))


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


def version_of(package: str) -> str:
    """Version of a package, as installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "0+source"
