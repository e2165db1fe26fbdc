"""Training: places are kept apart, the same data give the same bytes, and probabilities are what they say."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from models import training
from models.card import CalibrationKind, ModelName
from models.classifier import calibrated
from models.dataset import TrainingTable
from models.schema import FEATURE_NAMES, Source
from models.training import TrainParams, best_threshold, calibrate, fit, held_out, params_of, search, train
from tests.models.tables import table_of
from tiles.errors import DatasetError, InvalidParameterError

QUICK = TrainParams(folds=4, most_trees=40, patience=10, learning_rate=0.2)


@pytest.fixture(scope="module")
def table() -> TrainingTable:
    return table_of()


def test_the_same_data_and_seed_give_the_same_bytes(table: TrainingTable) -> None:
    one, other = (train(table, 3, "2026-11-23", "0.1", QUICK) for _ in range(2))
    assert one.trees == other.trees
    assert one.card.as_json() == other.card.as_json()
    assert train(table, 4, "2026-11-23", "0.1", QUICK).trees != one.trees


def test_no_place_is_on_both_sides(table: TrainingTable, monkeypatch: pytest.MonkeyPatch) -> None:
    """What trees are trained on, and what they are stopped and asked by, have no place in common."""
    seen: list[tuple[set[str], set[str]]] = []
    boost = training._boost
    features = table.features[list(QUICK.features)].to_numpy()
    place_of = {row.tobytes(): place for row, place in zip(features, table.places, strict=True)}

    def watched(learnt: np.ndarray, *rest: object) -> object:
        asked = rest[4]
        if asked is not None:
            there = {place_of[row.tobytes()] for row in asked[0]}  # type: ignore[index]
            seen.append(({place_of[row.tobytes()] for row in learnt}, there))
        return boost(learnt, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(training, "_boost", watched)
    held_out(table, np.ones(len(table.rows), bool), 1, QUICK)
    assert len(seen) == QUICK.folds
    assert all(learnt and there and not learnt & there for learnt, there in seen)
    assert set.union(*(there for _, there in seen)) == set(table.places)


def test_the_card_says_what_the_model_is(table: TrainingTable) -> None:
    model = train(table, 3, "2026-11-23", "0.1", QUICK, limits=("One more.",))
    card = model.card
    assert card.summary.startswith("Semi-synthetic")
    assert (card.name, card.version, card.seed) == (ModelName.CLEARCUT, "0.1", 3)
    assert card.training[0].content_hash == table.content_hash
    assert card.training[0].rows == sum(card.training[0].by_cause.values()) == len(table.rows)
    assert card.limits[-1] == "One more."
    assert set(card.packages) >= {"lightgbm", "numpy", "sylvigie", "python"}
    assert params_of(card) == QUICK
    assert "rectangularity" not in card.features
    real = train(table_of(source=Source.OWN), 3, "2026-11-23", "0.1", QUICK)
    assert "imulated" not in real.card.summary
    assert real.card.limits == ()


def test_the_model_tells_clear_cuts_and_its_probabilities_are_shares(table: TrainingTable) -> None:
    fitted = fit(table, np.ones(len(table.rows), bool), 1, QUICK)
    other = table_of(seed=2)
    probability = fitted.probabilities(other.features)
    assert ((probability >= fitted.threshold) == other.is_clearcut).mean() > 0.85
    sure = probability > 0.8
    assert other.is_clearcut[sure].mean() == pytest.approx(probability[sure].mean(), abs=0.1)


def test_shape_is_left_out_unless_it_is_asked_for(table: TrainingTable) -> None:
    everything = dataclasses.replace(QUICK, left_out=())
    assert train(table, 1, "2026-11-23", "0.1", everything).card.features == FEATURE_NAMES


def test_weights_of_sources_and_kinds(table: TrainingTable) -> None:
    params = dataclasses.replace(QUICK, clearcut_weight=2.0, source_weights={"simulated": 3.0})
    weights = training.weights_of(table, params)
    assert set(weights[table.is_clearcut]) == {6.0}
    assert set(weights[~table.is_clearcut]) == {3.0}


def test_calibration_is_isotonic_where_rows_are_many_and_never_sure() -> None:
    rng = np.random.default_rng(1)
    raw = rng.normal(0, 2, 3000)
    labels = (rng.random(3000) < 1 / (1 + np.exp(-2 * raw))).astype(float)
    many, few = (calibrate(raw[:n], labels[:n], np.ones(n)) for n in (3000, 500))
    assert (many.kind, few.kind) == (CalibrationKind.ISOTONIC, CalibrationKind.PLATT)
    for calibration in (many, few):
        told = calibrated(np.linspace(-9, 9, 50), calibration)
        assert (np.diff(told) >= 0).all()
        assert 0 < told[0] < 0.05
        assert 0.95 < told[-1] < 1
    assert few.slope == pytest.approx(2, rel=0.2)


def test_the_threshold_keeps_the_share_that_is_asked_for() -> None:
    probability = np.array([0.9, 0.8, 0.7, 0.7, 0.4, 0.2])
    labels = np.array([1.0, 1.0, 0.0, 1.0, 1.0, 0.0])
    ones = np.ones(6)
    assert best_threshold(probability, labels, ones, 1.0) == pytest.approx(0.75)
    assert best_threshold(probability, labels, ones, 0.75) == pytest.approx(0.3)
    assert best_threshold(probability, labels, ones) == pytest.approx(0.3)
    # A share that is never reached: the largest F1.
    assert best_threshold(probability, 1 - labels, ones, 0.99) == best_threshold(probability, 1 - labels, ones)
    assert best_threshold(probability, labels, np.array([1, 1, 9, 1, 1, 1.0]), 0.75) == pytest.approx(0.75)


def test_what_cannot_be_trained_on_is_refused(table: TrainingTable) -> None:
    cuts = table.is_clearcut
    with pytest.raises(DatasetError, match="of one kind"):
        fit(table, cuts, 1, QUICK)
    with pytest.raises(DatasetError, match="fewer folds"):
        fit(table_of(places=1), np.ones(400, bool), 1, QUICK)
    with pytest.raises(InvalidParameterError, match="folds must be 3"):
        TrainParams(folds=2)
    with pytest.raises(InvalidParameterError, match="no source 'rumour'"):
        TrainParams(source_weights={"rumour": 1.0})
    with pytest.raises(InvalidParameterError, match="no feature 'colour'"):
        TrainParams(left_out=("colour",))


def test_a_search_finds_settings_that_are_no_worse(table: TrainingTable) -> None:
    pytest.importorskip("optuna", reason="the search needs optuna, of the extra train")
    found = search(table, 1, 3, QUICK)
    assert found == search(table, 1, 3, QUICK)
    assert found.folds == QUICK.folds
    assert found != QUICK
