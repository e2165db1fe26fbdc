"""A model is loaded only if it is whole and fits; what it tells is what LightGBM tells, calibrated."""

from __future__ import annotations

import dataclasses
import json
import pickle
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
import pytest

from models.card import Calibration, CalibrationKind, ModelCard, ModelName, Score, TrainingData, sha256_of
from models.classifier import CARD_FILE, TREES_FILE, TrainedModel, calibrated, load_model, write_model
from tiles.errors import ModelError

FEATURES = ("ndvi_drop_mean", "area_ha", "ndmi_change")


def table(rows: int = 300, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({name: rng.normal(size=rows) for name in FEATURES})
    frame.loc[::7, "ndmi_change"] = np.nan
    return frame


@pytest.fixture(scope="module")
def booster() -> lightgbm.Booster:
    features = table()
    labels = (features["ndvi_drop_mean"] + features["area_ha"] > 0).to_numpy()
    settings = {"objective": "binary", "num_threads": 1, "deterministic": True, "verbosity": -1, "seed": 1}
    return lightgbm.train(settings, lightgbm.Dataset(features, labels), 20)


@pytest.fixture(scope="module")
def model(booster: lightgbm.Booster) -> TrainedModel:
    trees = booster.model_to_string()
    card = ModelCard(
        summary="Semi-synthetic: a test's.",
        name=ModelName.CLEARCUT,
        version="0.1",
        made_on="2026-11-23",
        features=FEATURES,
        units=("1", "ha", "1"),
        model_sha256=sha256_of(trees),
        calibration=Calibration(CalibrationKind.ISOTONIC, (-2.0, 0.0, 3.0), (0.05, 0.4, 0.9)),
        threshold=0.5,
        parameters={"num_leaves": 31},
        packages={"lightgbm": lightgbm.__version__},
        training=(TrainingData("abc", 300, 3, {"simulated": 300}, {"clear_cut": 150, "haze": 150}),),
        scores=(Score("brier", "all", 0.1, 0.05, 0.2, 300),),
        limits=("None of it is real.",),
    )
    return TrainedModel(card, trees)


def test_a_model_comes_back_as_it_was(model: TrainedModel, tmp_path: Path) -> None:
    folder = write_model(model, tmp_path)
    assert folder == tmp_path / "clearcut-0.1"
    loaded = load_model(folder)
    assert loaded.card == model.card
    assert loaded.trees == model.trees
    np.testing.assert_array_equal(loaded.scores(table(seed=2)), model.scores(table(seed=2)))
    # Written again, it is the same; another one is not put in its place.
    assert write_model(model, tmp_path) == folder
    with pytest.raises(ModelError, match="another version"):
        write_model(TrainedModel(dataclasses.replace(model.card, made_on="2026-11-24"), model.trees), tmp_path)


def test_raw_scores_and_contributions_are_lightgbm_s(model: TrainedModel, booster: lightgbm.Booster) -> None:
    features = table(seed=3)
    np.testing.assert_allclose(model.raw(features), booster.predict(features, raw_score=True), rtol=1e-12)
    contributions = model.contributions(features)
    assert contributions.shape == (300, 4)
    np.testing.assert_allclose(contributions.sum(axis=1), model.raw(features), atol=1e-9)
    # Columns are taken by name, others are left aside.
    mixed = features[list(reversed(FEATURES))].assign(other=1.0)
    np.testing.assert_array_equal(model.raw(mixed), model.raw(features))


def test_nothing_gives_nothing(model: TrainedModel) -> None:
    assert model.scores(table().iloc[:0]).shape == (0,)
    assert model.contributions(table().iloc[:0]).shape == (0, 4)


def test_a_missing_column_is_named(model: TrainedModel) -> None:
    with pytest.raises(ModelError, match="area_ha"):
        model.raw(table().drop(columns="area_ha"))


def test_a_model_travels_to_another_process(model: TrainedModel) -> None:
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).raw(table()), model.raw(table()))


@pytest.mark.parametrize(
    ("calibration", "expected"),
    [
        (Calibration(), [0.5, 1 / (1 + np.exp(-2)), 0.0, 1.0]),
        (
            Calibration(CalibrationKind.PLATT, slope=2.0, intercept=1.0),
            [1 / (1 + np.exp(-1)), 1 / (1 + np.exp(-5)), 0, 1],
        ),
        (Calibration(CalibrationKind.ISOTONIC, (-1.0, 1.0), (0.1, 0.7)), [0.4, 0.7, 0.1, 0.7]),
    ],
)
def test_calibration(calibration: Calibration, expected: list[float]) -> None:
    raw = np.array([0.0, 2.0, -1e4, 1e4])
    np.testing.assert_allclose(calibrated(raw, calibration), expected, atol=1e-12)


def _spoil(folder: Path, **changes: object) -> None:
    card = json.loads((folder / CARD_FILE).read_text()) | changes
    (folder / CARD_FILE).write_text(json.dumps(card))


def test_what_was_altered_or_does_not_fit_is_refused(model: TrainedModel, tmp_path: Path) -> None:
    def written(name: str) -> Path:
        return write_model(model, tmp_path / name)

    folder = written("trees")
    (folder / TREES_FILE).write_text(model.trees.replace("num_leaves=", "num_leaves= ", 1))
    with pytest.raises(ModelError, match="altered"):
        load_model(folder)
    folder = written("short")
    (folder / TREES_FILE).write_text(model.trees[:1000])
    with pytest.raises(ModelError, match="altered, or cut short"):
        load_model(folder)
    folder = written("unit")
    _spoil(folder, units=["1", "m2", "1"])
    with pytest.raises(ModelError, match=r"asks for area_ha \(m2\)"):
        load_model(folder)
    folder = written("columns")
    _spoil(folder, features=["area_ha", "ndvi_drop_mean", "ndmi_change"])
    with pytest.raises(ModelError, match="other columns"):
        load_model(folder)
    folder = written("card")
    (folder / CARD_FILE).write_text("{")
    with pytest.raises(ModelError, match="cannot be read"):
        load_model(folder)
    folder = written("form")
    _spoil(folder, card_version=99)
    with pytest.raises(ModelError, match="form 99"):
        load_model(folder)
    folder = written("gone")
    (folder / TREES_FILE).unlink()
    with pytest.raises(ModelError, match=r"model\.txt cannot be read"):
        load_model(folder)
    # Columns that there are no more.
    with pytest.raises(ModelError, match="train it anew"):
        load_model(written("whole"), {"area_ha": "ha"})


def test_a_card_of_other_trees_is_not_written(model: TrainedModel, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not those of its card"):
        write_model(TrainedModel(model.card, model.trees + "\n"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_scores_are_found_by_name(model: TrainedModel) -> None:
    assert model.card.id == "clearcut-0.1"
    found = model.card.score("brier")
    assert found is not None
    assert found.value == 0.1
    assert model.card.score("brier", "fire") is None
