"""Training: no place on both sides, the same bytes again, calibrated, and with a threshold of the goal's accuracy."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from detector.features import SHAPE_FEATURES
from models.card import CalibrationKind
from models.classifier import calibrated, load_model, write_model
from models.dataset import TrainingTable, place_folds
from models.evaluation import evaluate_training
from models.training import TrainParams, best_threshold, calibrate, fit, params_of, search, train
from tests.fakes.training_table import drawn_table
from tiles.errors import DatasetError, InvalidParameterError

pytest.importorskip("sklearn", reason="scikit-learn comes with the extra train")

QUICK = TrainParams(folds=3, most_trees=30, patience=5)
DAY = "2026-11-23"


@pytest.fixture(scope="module")
def table() -> TrainingTable:
    return drawn_table()


def everything(table: TrainingTable) -> np.ndarray:
    return np.ones(len(table.rows), bool)


def turned(table: TrainingTable, which: np.ndarray) -> TrainingTable:
    """The same features, with causes of some rows turned round."""
    rows = table.rows.copy()
    rows.loc[which, "is_clearcut"] = ~rows.loc[which, "is_clearcut"]
    return TrainingTable(rows, table.events)


def test_labels_of_held_out_places_change_nothing_of_what_is_said_of_them(table: TrainingTable) -> None:
    fold = place_folds(table.places, QUICK.folds, 1)
    held = fold == fold[0]
    assert set(table.places[held]).isdisjoint(table.places[~held])
    said = evaluate_training(table, 1, QUICK).told
    again = evaluate_training(turned(table, held), 1, QUICK).told
    for name, told in said.items():
        np.testing.assert_array_equal(again[name].probability[held], told.probability[held])
        np.testing.assert_array_equal(again[name].clearcut[held], told.clearcut[held])
    assert not np.array_equal(again["model"].probability[~held], said["model"].probability[~held])


def test_the_same_seed_and_data_give_the_same_bytes(table: TrainingTable, tmp_path: Path) -> None:
    folders = [write_model(train(drawn_table(), 1, DAY, "t", QUICK), tmp_path / name) for name in ("one", "two")]
    for file in ("model.txt", "card.json"):
        assert (folders[0] / file).read_bytes() == (folders[1] / file).read_bytes()
    loaded = load_model(folders[0])
    assert loaded.card.summary.startswith("Semi-synthetic: ")
    assert loaded.card.training[0].content_hash == table.content_hash
    assert loaded.card.parameters["places"] == sorted(set(table.places))
    assert params_of(loaded.card) == QUICK
    assert fit(table, everything(table), 2, QUICK).trees != loaded.trees


def test_the_model_is_surer_than_its_simplest_baselines(table: TrainingTable) -> None:
    said = evaluate_training(table, 1, QUICK).told
    error = {name: float(np.mean((one.probability - table.is_clearcut) ** 2)) for name, one in said.items()}
    assert error["model"] < error["threshold on the drop"] < 0.25
    assert error["model"] < error["criteria alone (10 ha)"]


def test_weights_of_rows_and_of_clear_cuts_count(table: TrainingTable) -> None:
    def raw(of: TrainingTable, params: TrainParams) -> np.ndarray:
        return fit(of, everything(of), 1, params).model().raw(table.features)

    plain = raw(table, QUICK)
    assert raw(table, dataclasses.replace(QUICK, clearcut_weight=5.0)).mean() > plain.mean()
    # Windthrows that nobody is sure of speak less against a clear-cut.
    windthrow = (table.rows["cause"] == "windthrow").to_numpy(bool)
    unsure = TrainingTable(table.rows.assign(weight=np.where(windthrow, 0.05, 1.0)), table.events)
    assert raw(unsure, QUICK)[windthrow].mean() > plain[windthrow].mean()


@pytest.mark.parametrize(("rows", "kind"), [(400, CalibrationKind.PLATT), (3000, CalibrationKind.ISOTONIC)])
def test_calibrated_scores_are_how_often_it_comes(rows: int, kind: CalibrationKind) -> None:
    rng = np.random.default_rng(1)
    raw = rng.normal(0, 2, rows)
    chance = 1 / (1 + np.exp(-(0.5 * raw - 1)))
    calibration = calibrate(raw, (rng.random(rows) < chance).astype(float), np.ones(rows))
    assert calibration.kind is kind
    told = calibrated(np.sort(raw), calibration)
    assert np.all(np.diff(told) >= 0)
    assert told.min() > 0
    assert told.max() < 1
    assert np.abs(calibrated(raw, calibration) - chance).mean() < 0.05


def test_the_threshold_is_the_lowest_that_keeps_the_accuracy() -> None:
    labels = np.array([1.0] * 60 + [0.0] * 40)
    probability = np.concatenate([np.linspace(0.3, 0.99, 60), np.linspace(0.01, 0.5, 40)])
    threshold = best_threshold(probability, labels, np.ones(100), 0.9)

    def users(value: float) -> float:
        return float(labels[probability >= value].mean())

    assert users(threshold) >= 0.9
    assert all(users(value) < 0.9 for value in probability[probability < threshold])


def test_shapes_of_the_simulation_are_not_learnt(table: TrainingTable) -> None:
    model = train(table, 1, DAY, "t", QUICK)
    assert SHAPE_FEATURES
    assert set(model.card.features).isdisjoint(SHAPE_FEATURES)
    model.scores(table.features.drop(columns=list(SHAPE_FEATURES)))


def test_a_search_tries_settings_and_is_repeatable(table: TrainingTable) -> None:
    pytest.importorskip("optuna", reason="optuna comes with the extra train")
    found = search(table, 1, 2, QUICK)
    assert found == search(table, 1, 2, QUICK)
    assert found.num_leaves != QUICK.num_leaves


def test_what_cannot_be_trained_on_is_refused(table: TrainingTable) -> None:
    with pytest.raises(DatasetError, match="of one kind"):
        fit(table, table.is_clearcut, 1, QUICK)
    with pytest.raises(DatasetError, match="there are 1"):
        fit(table, table.places == table.places[0], 1, QUICK)
    with pytest.raises(InvalidParameterError, match="3 or more"):
        TrainParams(folds=2)
    with pytest.raises(InvalidParameterError, match="nothing_such"):
        TrainParams(left_out=("nothing_such",))
