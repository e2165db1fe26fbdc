"""Training of the clear-cut model: trees on places, calibrated and given a threshold on places that they did not see.

Within what is trained on, places are dealt out to folds. The trees of each fold stop early on it, and its rows are
scored by trees that did not learn from them. Those scores give the calibration and the operating threshold; the last
trees learn from all rows, for as many rounds as the folds took in the median. Who evaluates repeats all of this without
the places that are held out (`models.predictions`), so that nothing of them is in trees, calibration or threshold.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.card import Calibration, CalibrationKind, ModelCard, ModelName, TrainingData, sha256_of
from models.causes import Cause
from models.classifier import CLEARCUT_UNITS, TrainedModel, calibrated
from models.dataset import TrainingTable, place_folds
from models.schema import FEATURE_NAMES, Source
from tiles.errors import DatasetError, InvalidParameterError, MissingDependencyError

_ISOTONIC_FROM: Final = 1000
"""Rows from which isotonic regression calibrates better than Platt's function (Niculescu-Mizil and Caruana 2005, ICML,
625)."""
_FEW_ROWS: Final = 20
"""Rows below which a cause's share called a clear-cut is too uncertain to choose a threshold by."""


@dataclass(frozen=True)
class TrainingParams:
    """How the clear-cut model is trained.

    Parameters
    ----------
    seed
        Of folds, trees and search.
    folds
        Into which places are dealt, for stopping, calibration and threshold; fewer where there are fewer places.
    learning_rate, num_leaves, min_rows_in_leaf, feature_share, row_share, l2
        LightGBM's learning_rate, num_leaves, min_data_in_leaf, feature_fraction, bagging_fraction, lambda_l2. Its
        defaults are for tens of thousands of rows; leaves are fewer here, and each tree sees a part, since a table of
        some thousand rows of few places is soon learnt by heart. Chosen beforehand, not tuned.
    max_rounds, patience
        Trees at most; and without gain on the held-out fold, before it stops.
    clearcut_weight
        Weight of a clear-cut's row beside another's, in the trees alone; calibration counts rows as they are.
    search
        Settings to try by optuna, on the folds of the training places; 0 takes those above.
    min_users_accuracy, max_called_share, min_area_ha
        The threshold is the lowest at which, among patches of this size, user's accuracy is reached and no other cause
        is called a clear-cut more often: the goals of issue 5, and for the first a hundredth above.
    left_out
        Features that the trees are not shown: those of which the data tell more than the world does, such as shapes
        that were simulated.
    """

    seed: int = 0
    folds: int = 5
    learning_rate: float = 0.05
    num_leaves: int = 15
    min_rows_in_leaf: int = 20
    feature_share: float = 0.8
    row_share: float = 0.8
    l2: float = 1.0
    max_rounds: int = 600
    patience: int = 40
    clearcut_weight: float = 1.0
    search: int = 0
    min_users_accuracy: float = 0.96
    max_called_share: float = 0.10
    min_area_ha: float = 0.5
    left_out: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.folds < 2 or self.max_rounds < 1 or self.search < 0 or not self.clearcut_weight > 0:
            raise InvalidParameterError(
                "Training needs 2 folds or more, 1 round or more, a search of 0 or more and a clearcut_weight above 0, "
                f"not {self.folds}, {self.max_rounds}, {self.search}, {self.clearcut_weight:g}."
            )
        unknown = sorted(set(self.left_out) - set(FEATURE_NAMES))
        if unknown or not self.features:
            what = f"{unknown[0]} is none" if unknown else "none would be left"
            raise InvalidParameterError(f"Features to leave out must be of the feature table, and {what}.")

    @property
    def features(self) -> tuple[str, ...]:
        """What the trees are shown, in the feature table's order."""
        return tuple(name for name in FEATURE_NAMES if name not in self.left_out)


@dataclass(frozen=True, eq=False)
class Fit:
    """What training gives.

    Parameters
    ----------
    trees
        LightGBM's text.
    calibration
        From their raw scores to probabilities.
    threshold
        Probability from which on a patch counts as a clear-cut.
    rounds
        Trees.
    params
        As used: with what the search chose.
    fold : ndarray of int64, shape (rows,)
        Fold of each row.
    """

    trees: str
    calibration: Calibration
    threshold: float
    rounds: int
    params: TrainingParams
    fold: NDArray[np.int64]

    def booster(self) -> Callable[[pd.DataFrame], NDArray[np.float64]]:
        """What gives raw scores of rows."""
        trees = _lightgbm().Booster(model_str=self.trees)
        return lambda rows: np.asarray(trees.predict(_matrix(rows, self.params), raw_score=True), np.float64)


def fit_clearcut(rows: pd.DataFrame, params: TrainingParams) -> Fit:
    """Train, calibrate, choose the threshold.

    Parameters
    ----------
    rows
        Of a `TrainingTable`.
    params
        How.

    Raises
    ------
    DatasetError
        With fewer than two places, or where clear-cuts or other causes are missing.
    MissingDependencyError
        Without scikit-learn, or with a search without optuna.
    """
    truth = rows["is_clearcut"].to_numpy(bool)
    if truth.all() or not truth.any():
        raise DatasetError("Training needs clear-cuts and other causes, and one of them is missing: add data.")
    fold = folds_of(rows, params.folds, params.seed)
    if params.search:
        params = _searched(rows, fold, params)
    raw, rounds = _out_of_fold(rows, fold, params)
    calibration = calibrate(raw, truth, rows["weight"].to_numpy(float), params.seed)
    threshold = choose_threshold(calibrated(raw, calibration), rows, params)
    number = max(1, int(np.median(rounds)))
    booster = _lightgbm().train(_settings(params), _dataset(rows, params), number)
    return Fit(booster.model_to_string(), calibration, threshold, number, params, fold)


def folds_of(rows: pd.DataFrame, folds: int, seed: int) -> NDArray[np.int64]:
    """Fold of each row, by place; as many folds as there are places, at most.

    Raises
    ------
    DatasetError
        With fewer than two places.
    """
    places = rows["place"].to_numpy(object)
    return place_folds(places, max(2, min(folds, len(set(places)))), seed)


def train_clearcut(
    table: TrainingTable, parts: Mapping[str, TrainingTable], params: TrainingParams, **said: Any
) -> TrainedModel:
    """Train on a table, and fill in the card but for its scores.

    Parameters
    ----------
    table
        What is trained on.
    parts
        The tables that it was put together of, by file name.
    params
        How.
    said
        `made_on`, and `version` where it is not to come of the trees' hash.
    """
    fit = fit_clearcut(table.rows, params)
    simulated = float((table.rows["source"] == Source.SIMULATED.value).mean())
    digest = sha256_of(fit.trees)
    card = ModelCard(
        summary=_summary(simulated, table),
        name=ModelName.CLEARCUT,
        version=said.get("version") or digest[:10],
        made_on=said["made_on"],
        features=params.features,
        units=tuple(CLEARCUT_UNITS[name] for name in params.features),
        model_sha256=digest,
        calibration=fit.calibration,
        threshold=fit.threshold,
        parameters={
            **asdict(fit.params),
            "searched": params.search,
            "rounds": fit.rounds,
            "places": sorted(set(table.places)),
        },
        seed=params.seed,
        packages={name: str(importlib.import_module(name).__version__) for name in ("lightgbm", "numpy", "sklearn")},
        training=tuple(_described(part) for part in parts.values()),
        limits=_limits(simulated, params),
    )
    return TrainedModel(card, fit.trees)


def params_of(card: ModelCard) -> TrainingParams:
    """How a model was trained, by its card; with the search that was made, to be made again."""
    known = {name: value for name, value in card.parameters.items() if name in TrainingParams.__dataclass_fields__}
    known["left_out"] = tuple(known.get("left_out", ()))
    return replace(TrainingParams(**known), search=int(card.parameters.get("searched", 0)))


def calibrate(
    raw: NDArray[np.float64], truth: NDArray[np.bool_], weight: NDArray[np.float64], seed: int
) -> Calibration:
    """From raw scores that their own trees did not see to probabilities.

    Raises
    ------
    MissingDependencyError
        Without scikit-learn.
    """
    if raw.size < _ISOTONIC_FROM:
        model = sklearn_module("linear_model").LogisticRegression(C=1e6, random_state=seed)
        model.fit(raw[:, None], truth, sample_weight=weight)
        slope, intercept = float(model.coef_[0, 0]), float(model.intercept_[0])
        # A calibration that turns the order round says that the scores are worth nothing.
        return Calibration(CalibrationKind.PLATT, slope=max(slope, 0.0), intercept=intercept)
    # Nothing is certain: the ends stay as far from 0 and 1 as so many rows can tell (Laplace).
    least = 1 / (raw.size + 2)
    model = sklearn_module("isotonic").IsotonicRegression(y_min=least, y_max=1 - least, out_of_bounds="clip")
    model.fit(raw, truth.astype(float), sample_weight=weight)
    return Calibration(
        CalibrationKind.ISOTONIC, tuple(map(float, model.X_thresholds_)), tuple(map(float, model.y_thresholds_))
    )


def choose_threshold(probability: NDArray[np.float64], rows: pd.DataFrame, params: TrainingParams) -> float:
    """Lowest probability at which the goals of `params` are reached on these rows.

    Where none reaches them, that of the largest F1.

    Parameters
    ----------
    probability : ndarray of float64, shape (rows,)
        Of rows that the trees did not see.
    rows
        Of a `TrainingTable`.
    """
    large = (rows["area_ha"] >= params.min_area_ha).to_numpy(bool)
    truth, cause = rows["is_clearcut"].to_numpy(bool), rows["cause"].to_numpy(object)
    others = [large & (cause == one.value) for one in Cause if not one.is_clearcut]
    others = [one for one in others if one.sum() >= _FEW_ROWS]
    best, best_f1 = 0.5, -1.0
    for threshold in np.unique(probability):
        called = probability >= threshold
        hits = int((called & truth & large).sum())
        users = hits / max(int((called & large).sum()), 1)
        if users >= params.min_users_accuracy and all(called[one].mean() <= params.max_called_share for one in others):
            return float(threshold)
        f1 = 2 * hits / max(int((called & large).sum() + (truth & large).sum()), 1)
        if f1 > best_f1:
            best, best_f1 = float(threshold), f1
    return best


def _out_of_fold(
    rows: pd.DataFrame, fold: NDArray[np.int64], params: TrainingParams
) -> tuple[NDArray[np.float64], list[int]]:
    """Raw scores by trees of the other folds, and how many trees each took."""
    lightgbm = _lightgbm()
    raw, rounds = np.full(len(rows), np.nan), []
    for number in range(int(fold.max()) + 1):
        held_out = fold == number
        booster = lightgbm.train(
            _settings(params),
            _dataset(rows[~held_out], params),
            params.max_rounds,
            valid_sets=[_dataset(rows[held_out], params)],
            callbacks=[lightgbm.early_stopping(params.patience, verbose=False)],
        )
        raw[held_out] = booster.predict(
            _matrix(rows[held_out], params), raw_score=True, num_iteration=booster.best_iteration
        )
        rounds.append(booster.best_iteration)
    return raw, rounds


def _searched(rows: pd.DataFrame, fold: NDArray[np.int64], params: TrainingParams) -> TrainingParams:
    """The settings of the smallest log loss on rows out of fold, of as many as are tried."""
    try:
        import optuna
    except ImportError as error:
        raise MissingDependencyError(
            f'--search needs optuna: run `pip install "sylvigie[train]"` ({error}).'
        ) from error
    truth = rows["is_clearcut"].to_numpy(bool)

    def tried(trial: Any) -> TrainingParams:
        return replace(
            params,
            learning_rate=trial.suggest_float("learning_rate", 0.02, 0.15, log=True),
            num_leaves=trial.suggest_int("num_leaves", 4, 31),
            min_rows_in_leaf=trial.suggest_int("min_rows_in_leaf", 5, 80, log=True),
            feature_share=trial.suggest_float("feature_share", 0.4, 1.0),
            row_share=trial.suggest_float("row_share", 0.5, 1.0),
            l2=trial.suggest_float("l2", 0.01, 30.0, log=True),
        )

    def loss(trial: Any) -> float:
        raw, _ = _out_of_fold(rows, fold, tried(trial))
        return float(np.mean(np.logaddexp(0.0, np.where(truth, -raw, raw))))

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=params.seed))
    study.optimize(loss, n_trials=params.search)
    return tried(optuna.trial.FixedTrial(study.best_params))


def _settings(params: TrainingParams) -> dict[str, Any]:
    return {
        "objective": "binary",
        "learning_rate": params.learning_rate,
        "num_leaves": params.num_leaves,
        "min_data_in_leaf": params.min_rows_in_leaf,
        "feature_fraction": params.feature_share,
        "bagging_fraction": params.row_share,
        "bagging_freq": 1,
        "lambda_l2": params.l2,
        "seed": params.seed,
        # The same bytes wherever it is trained: sums in one order, by one thread.
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "verbosity": -1,
    }


def _dataset(rows: pd.DataFrame, params: TrainingParams) -> Any:
    truth = rows["is_clearcut"].to_numpy(bool)
    weight = rows["weight"].to_numpy(float) * np.where(truth, params.clearcut_weight, 1.0)
    # Bins are made once a set, and must not be those of another.
    return _lightgbm().Dataset(
        _matrix(rows, params),
        truth.astype(float),
        weight=weight,
        feature_name=list(params.features),
        free_raw_data=False,
    )


def _matrix(rows: pd.DataFrame, params: TrainingParams) -> NDArray[np.float64]:
    return np.ascontiguousarray(rows[list(params.features)].to_numpy(np.float64))


def _lightgbm() -> Any:
    # Not at the top: only who trains pays for the import.
    return importlib.import_module("lightgbm")


def sklearn_module(module: str) -> Any:
    """A module of scikit-learn, which only who trains needs.

    Raises
    ------
    MissingDependencyError
        Without scikit-learn.
    """
    try:
        return importlib.import_module(f"sklearn.{module}")
    except ImportError as error:
        raise MissingDependencyError(
            f'Training needs scikit-learn: run `pip install "sylvigie[train]"` ({error}).'
        ) from error


def _summary(simulated: float, table: TrainingTable) -> str:
    kind = "Semi-synthetic: trained" if simulated else "Trained"
    of = f" ({simulated:.0%} of the rows are simulated events in real images)" if simulated else ""
    return f"{kind} on {len(table.rows)} patches of {len(set(table.places))} places{of}."


def _limits(simulated: float, params: TrainingParams) -> tuple[str, ...]:
    limits = [
        "Intervals are of a bootstrap over places, and too narrow where places are few or near each other.",
        "User's accuracy and probabilities hold for the shares of causes in the training data.",
        f"Settings compared on held-out folds of the training places: {params.search or 'none'}.",
    ]
    if simulated:
        limits.insert(0, "No figure on simulated rows says how it does on real fellings of French forests.")
    return tuple(limits)


def _described(table: TrainingTable) -> TrainingData:
    rows = table.rows
    counts = {
        name: {str(k): int(v) for k, v in sorted(rows[name].value_counts().items())} for name in ("source", "cause")
    }
    places = len(set(table.places))
    return TrainingData(table.content_hash, len(rows), places, counts["source"], counts["cause"])
