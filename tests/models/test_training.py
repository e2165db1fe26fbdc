"""Training: no place on both sides, the same bytes again, calibrated, and with a threshold that keeps the goals."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("sklearn", reason="scikit-learn comes with the extra train")

from detector.criteria.loading import load_rules
from models.card import CalibrationKind
from models.classifier import calibrated, load_model, write_model
from models.dataset import TrainingTable
from models.predictions import METHODS, POLICY_AREA_HA, Prediction, Predictor, out_of_place
from models.training import TrainingParams, calibrate, choose_threshold, fit_clearcut, params_of, train_clearcut
from tests.fakes.training_table import drawn_table
from tiles.errors import DatasetError, InvalidParameterError

QUICK = TrainingParams(seed=1, folds=3, max_rounds=30, patience=5)


@pytest.fixture(scope="module")
def table() -> TrainingTable:
    return drawn_table()


def test_no_place_is_on_both_sides(table: TrainingTable) -> None:
    seen: list[set[str]] = []
    told: list[set[str]] = []

    def method(rows: pd.DataFrame, _params: TrainingParams) -> Predictor:
        seen.append(set(rows["place"]))

        def predict(others: pd.DataFrame) -> Prediction:
            told.append(set(others["place"]))
            return Prediction(np.zeros(len(others)), np.zeros(len(others), bool))

        return predict

    out_of_place(table.rows, QUICK, {"spy": method})
    assert len(seen) == 3
    assert all(one.isdisjoint(other) for one, other in zip(seen, told, strict=True))
    assert sorted(place for one in told for place in one) == sorted(set(table.places))
    # And within what is trained on: each place has one fold.
    fit = fit_clearcut(table.rows, QUICK)
    assert pd.Series(fit.fold).groupby(table.places).nunique().max() == 1


def test_labels_of_held_out_places_change_nothing_of_what_is_said_of_them(table: TrainingTable) -> None:
    said = out_of_place(table.rows, QUICK, METHODS)
    place = str(table.places[0])
    turned = table.rows.copy()
    held_out = (turned["place"] == place).to_numpy(bool)
    turned.loc[held_out, "is_clearcut"] = ~turned.loc[held_out, "is_clearcut"]
    again = out_of_place(turned, QUICK, METHODS)
    for name in METHODS:
        np.testing.assert_array_equal(again[name].probability[held_out], said[name].probability[held_out])
        np.testing.assert_array_equal(again[name].called[held_out], said[name].called[held_out])


def test_the_same_seed_and_data_give_the_same_bytes(table: TrainingTable, tmp_path: Path) -> None:
    folders = []
    for name in ("one", "two"):
        model = train_clearcut(drawn_table(), {"drawn": table}, QUICK, made_on="2026-11-23")
        folders.append(write_model(model, tmp_path / name))
    for file in ("model.txt", "card.json"):
        assert (folders[0] / file).read_bytes() == (folders[1] / file).read_bytes()
    loaded = load_model(folders[0])
    assert loaded.card.summary.startswith("Semi-synthetic: ")
    assert loaded.card.training[0].content_hash == table.content_hash
    assert params_of(loaded.card) == QUICK
    other = fit_clearcut(table.rows, dataclasses.replace(QUICK, seed=2))
    assert other.trees != loaded.trees


def test_the_model_is_surer_than_chance_and_than_the_drop_alone(table: TrainingTable) -> None:
    said = out_of_place(table.rows, QUICK, METHODS)
    brier = {name: float(np.mean((one.probability - table.is_clearcut) ** 2)) for name, one in said.items()}
    assert brier["model"] < brier["drop alone"] < 0.25
    assert brier["model"] < brier[f"area >= {POLICY_AREA_HA:g} ha"]


def test_weights_of_rows_and_of_clear_cuts_count(table: TrainingTable) -> None:
    plain = fit_clearcut(table.rows, QUICK)
    heavier = fit_clearcut(table.rows, dataclasses.replace(QUICK, clearcut_weight=5.0))
    raw = [fit.booster()(table.rows).mean() for fit in (plain, heavier)]
    assert raw[1] > raw[0]
    # Windthrows that nobody is sure of speak less against a clear-cut.
    windthrow = (table.rows["cause"] == "windthrow").to_numpy(bool)
    unsure = table.rows.assign(weight=np.where(windthrow, 0.05, 1.0))
    lighter = fit_clearcut(unsure, QUICK)
    assert lighter.booster()(table.rows)[windthrow].mean() > plain.booster()(table.rows)[windthrow].mean()


@pytest.mark.parametrize(("rows", "kind"), [(400, CalibrationKind.PLATT), (3000, CalibrationKind.ISOTONIC)])
def test_calibrated_scores_are_how_often_it_comes(rows: int, kind: CalibrationKind) -> None:
    rng = np.random.default_rng(1)
    raw = rng.normal(0, 2, rows)
    chance = 1 / (1 + np.exp(-(0.5 * raw - 1)))
    calibration = calibrate(raw, rng.random(rows) < chance, np.ones(rows), seed=1)
    assert calibration.kind is kind
    told = calibrated(np.sort(raw), calibration)
    assert np.all(np.diff(told) >= 0)
    assert told.min() > 0
    assert told.max() < 1
    assert np.abs(calibrated(raw, calibration) - chance).mean() < 0.05


def test_the_threshold_is_the_lowest_that_keeps_the_goals() -> None:
    cause = ["clear_cut"] * 60 + ["windthrow"] * 40
    rows = pd.DataFrame({"cause": cause, "is_clearcut": [one == "clear_cut" for one in cause], "area_ha": 1.0})
    probability = np.concatenate([np.linspace(0.3, 0.99, 60), np.linspace(0.01, 0.5, 40)])
    threshold = choose_threshold(probability, rows, TrainingParams(min_users_accuracy=0.9))

    def kept(value: float) -> bool:
        called = probability >= value
        return bool(called[:60].sum() / called.sum() >= 0.9 and called[60:].mean() <= 0.1)

    assert kept(threshold)
    assert not any(kept(value) for value in probability[probability < threshold])
    # Small patches have no say.
    small = rows.assign(area_ha=np.where(rows["is_clearcut"], 1.0, 0.1))
    assert choose_threshold(probability, small, TrainingParams()) == probability.min()


def test_features_left_out_are_not_asked_for(table: TrainingTable) -> None:
    params = dataclasses.replace(QUICK, left_out=("rectangularity",))
    model = train_clearcut(table, {"drawn": table}, params, made_on="2026-11-23")
    assert "rectangularity" not in model.card.features
    model.scores(table.features.drop(columns="rectangularity"))
    assert params_of(model.card) == params
    with pytest.raises(InvalidParameterError, match="nothing_such"):
        TrainingParams(left_out=("nothing_such",))


def test_a_search_tries_settings_and_is_repeatable(table: TrainingTable) -> None:
    pytest.importorskip("optuna", reason="optuna comes with the extra train")
    params = dataclasses.replace(QUICK, search=3)
    found = [fit_clearcut(table.rows, params) for _ in range(2)]
    assert found[0].trees == found[1].trees
    assert found[0].params.num_leaves != QUICK.num_leaves


def test_what_cannot_be_trained_on_is_refused(table: TrainingTable) -> None:
    rows = table.rows
    with pytest.raises(DatasetError, match="one of them is missing"):
        fit_clearcut(rows[rows["is_clearcut"]], QUICK)
    with pytest.raises(DatasetError, match="there are 1"):
        fit_clearcut(rows[rows["place"] == rows["place"].iloc[0]], QUICK)
    with pytest.raises(InvalidParameterError, match="2 folds"):
        TrainingParams(folds=1)


def test_the_baseline_s_area_is_the_policy_s() -> None:
    rule = next(one for one in load_rules().rules if one.code == "area")
    assert rule.terms[-1].threshold == POLICY_AREA_HA
