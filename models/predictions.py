"""What the model and its baselines say of patches of places that they were not trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.classifier import TrainedModel, calibrated
from models.training import TrainingParams, calibrate, choose_threshold, fit_clearcut, folds_of, sklearn_module

POLICY_AREA_HA: Final = 10.0
"""The policy's first criterion; the table tells nothing of slope and Natura 2000, on which the others rest."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a method says of each row.

    Parameters
    ----------
    probability : ndarray of float64, shape (rows,)
        Of a clear-cut.
    called : ndarray of bool, shape (rows,)
        Whether it counts as one.
    """

    probability: NDArray[np.float64]
    called: NDArray[np.bool_]


Predictor = Callable[[pd.DataFrame], Prediction]
Method = Callable[[pd.DataFrame, TrainingParams], Predictor]
"""Learns from rows of a `TrainingTable`, and gives what says something of others."""

MODEL: Final = "model"


def out_of_place(rows: pd.DataFrame, params: TrainingParams, methods: Mapping[str, Method]) -> dict[str, Prediction]:
    """What each method says of rows, learnt from rows of other places alone: calibration and threshold too.

    Parameters
    ----------
    rows
        Of a `TrainingTable`, of three places or more.
    params
        Of the training.
    methods
        By name, such as `METHODS`.

    Raises
    ------
    DatasetError
        With fewer than three places: two are needed to train, and one to hold out.
    """
    fold = folds_of(rows, params.folds, params.seed)
    said = {name: Prediction(np.full(len(rows), np.nan), np.zeros(len(rows), bool)) for name in methods}
    for number in range(int(fold.max()) + 1):
        held_out = fold == number
        seen, unseen = rows[~held_out], rows[held_out]
        for name, method in methods.items():
            prediction = method(seen, params)(unseen)
            said[name].probability[held_out] = prediction.probability
            said[name].called[held_out] = prediction.called
    return said


def of_model(model: TrainedModel) -> Predictor:
    """What a trained model says, by its card's threshold."""
    threshold = 0.5 if model.card.threshold is None else model.card.threshold
    return lambda rows: _beyond(model.scores(rows), threshold)


def trees(rows: pd.DataFrame, params: TrainingParams) -> Predictor:
    """The clear-cut model."""
    fit = fit_clearcut(rows, params)
    booster = fit.booster()
    return lambda others: _beyond(calibrated(booster(others), fit.calibration), fit.threshold)


def drop_alone(rows: pd.DataFrame, params: TrainingParams) -> Predictor:
    """A threshold on the mean NDVI lost, chosen as the model's is; calibrated as it is."""
    drop = rows["ndvi_drop_mean"].to_numpy(float)
    calibration = calibrate(drop, rows["is_clearcut"].to_numpy(bool), rows["weight"].to_numpy(float), params.seed)
    threshold = choose_threshold(drop, rows, params)

    def predict(others: pd.DataFrame) -> Prediction:
        lost = others["ndvi_drop_mean"].to_numpy(float)
        return Prediction(calibrated(lost, calibration), lost >= threshold)

    return predict


def criteria_alone(rows: pd.DataFrame, _params: TrainingParams) -> Predictor:
    """The policy's area: what is as large counts; its probability is the share of clear-cuts on either side."""

    def large(some: pd.DataFrame) -> NDArray[np.bool_]:
        return (some["area_ha"] >= POLICY_AREA_HA).to_numpy(bool)

    truth = rows["is_clearcut"].to_numpy(bool)
    # One more of each, so that few rows make nothing certain (Laplace).
    shares = [(truth[side].sum() + 1) / (side.sum() + 2) for side in (~large(rows), large(rows))]
    return lambda others: Prediction(np.where(large(others), shares[1], shares[0]), large(others))


def logistic_regression(rows: pd.DataFrame, params: TrainingParams) -> Predictor:
    """Logistic regression on what the trees are shown, standardised; the unknown is the median. Threshold as theirs."""
    pipeline = sklearn_module("pipeline").make_pipeline(
        sklearn_module("impute").SimpleImputer(strategy="median", keep_empty_features=True),
        sklearn_module("preprocessing").StandardScaler(),
        sklearn_module("linear_model").LogisticRegression(max_iter=5000, random_state=params.seed),
    )
    columns = list(params.features)
    weight = rows["weight"].to_numpy(float)
    pipeline.fit(rows[columns].to_numpy(), rows["is_clearcut"].to_numpy(bool), logisticregression__sample_weight=weight)

    def probability(some: pd.DataFrame) -> NDArray[np.float64]:
        return np.asarray(pipeline.predict_proba(some[columns].to_numpy())[:, 1], np.float64)

    threshold = choose_threshold(probability(rows), rows, params)
    return lambda others: _beyond(probability(others), threshold)


def _beyond(probability: NDArray[np.float64], threshold: float) -> Prediction:
    return Prediction(probability, probability >= threshold)


BASELINES: Final[Mapping[str, Method]] = {
    "logistic regression": logistic_regression,
    "drop alone": drop_alone,
    f"area >= {POLICY_AREA_HA:g} ha": criteria_alone,
}
"""What the model is held beside."""

METHODS: Final[Mapping[str, Method]] = {MODEL: trees, **BASELINES}
