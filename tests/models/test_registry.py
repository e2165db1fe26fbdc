"""Which models there are, which are in use, and that a worse one is not put to use unasked."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from models.abuse import train_abuse
from models.card import ModelName, Score
from models.classifier import CARD_FILE, TREES_FILE, TrainedModel, write_model
from models.registry import IN_USE_FILE, MODELS_FOLDER, SHIPPED, Registry
from models.training import TrainParams, train
from tests.models.tables import table_of
from tiles.errors import ModelError


@pytest.fixture(scope="module")
def model() -> TrainedModel:
    return train(table_of(), 1, "2026-11-23", "0.1", TrainParams(folds=3, most_trees=10, learning_rate=0.2))


def put(model: TrainedModel, folder: Path, version: str, brier: float | None = None, precision: float = 0.9) -> Path:
    scores = () if brier is None else (Score("brier", "all", brier), Score("average_precision", "all", precision))
    card = dataclasses.replace(model.card, version=version, scores=scores)
    return write_model(TrainedModel(card, model.trees), folder)


@pytest.fixture
def registry(model: TrainedModel, tmp_path: Path) -> Registry:
    put(model, tmp_path / "shipped", "2026.2", 0.05)
    put(model, tmp_path / "shipped", "2026.10", 0.04)
    put(model, tmp_path / MODELS_FOLDER, "own.1", 0.03)
    put(model, tmp_path / MODELS_FOLDER, "own.2", 0.06)
    put(model, tmp_path / MODELS_FOLDER, "own.3")
    return Registry(tmp_path, tmp_path / "shipped")


def test_what_is_shipped_is_whole_and_in_use(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    entries = registry.entries()
    assert [entry.problem for entry in entries] == [None] * len(entries)
    assert {entry.card.name for entry in entries if entry.card} == set(ModelName)
    for name in ModelName:
        loaded = registry.load(name)
        assert loaded is not None
        assert loaded.card.summary
        assert (SHIPPED / loaded.card.id / TREES_FILE).is_file()


def test_the_newest_that_was_shipped_is_in_use_until_another_is_chosen(registry: Registry) -> None:
    assert [entry.id for entry in registry.entries()] == [
        "clearcut-own.1",
        "clearcut-own.2",
        "clearcut-own.3",
        "clearcut-2026.2",
        "clearcut-2026.10",
    ]
    chosen = registry.in_use(ModelName.CLEARCUT)
    assert chosen is not None
    assert chosen.id == "clearcut-2026.10"
    assert registry.in_use(ModelName.ABUSE) is None
    assert registry.load(ModelName.ABUSE) is None
    assert registry.use("clearcut-own.1") == "clearcut-2026.10"
    loaded = registry.load(ModelName.CLEARCUT)
    assert loaded is not None
    assert loaded.card.id == "clearcut-own.1"


def test_a_worse_model_needs_force(registry: Registry) -> None:
    with pytest.raises(ModelError, match=r"its brier is 0\.06, and 0\.04 was reached; --force does it"):
        registry.use("clearcut-own.2")
    with pytest.raises(ModelError, match=r"the card of clearcut-own\.3 has no brier"):
        registry.use("clearcut-own.3")
    assert registry.use("clearcut-own.2", force=True) == "clearcut-2026.10"
    # Back to the better one, and the same one again, unasked.
    assert registry.use("clearcut-2026.10") == "clearcut-own.2"
    assert registry.use("clearcut-2026.10") == "clearcut-2026.10"


def test_a_model_that_ranks_worse_is_worse(model: TrainedModel, registry: Registry, tmp_path: Path) -> None:
    put(model, tmp_path / MODELS_FOLDER, "own.4", 0.01, precision=0.8)
    with pytest.raises(ModelError, match=r"its average_precision is 0\.8,"):
        registry.use("clearcut-own.4")


def test_what_cannot_be_used_is_told(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model clearcut-9"):
        registry.use("clearcut-9")
    folder = tmp_path / MODELS_FOLDER / "clearcut-own.1"
    registry.use("clearcut-own.1")
    (folder / TREES_FILE).write_text("tree\n")
    entry = next(entry for entry in registry.entries() if entry.folder == folder)
    assert entry.problem is not None
    assert "altered" in entry.problem
    with pytest.raises(ModelError, match="altered"):
        registry.load(ModelName.CLEARCUT)
    (folder / CARD_FILE).unlink()
    with pytest.raises(ModelError, match=r"no model clearcut-own\.1"):
        registry.load(ModelName.CLEARCUT)
    (tmp_path / MODELS_FOLDER / IN_USE_FILE).write_text("{")
    with pytest.raises(ModelError, match="remove it"):
        registry.in_use(ModelName.CLEARCUT)


def test_without_any_model_nothing_is_in_use(tmp_path: Path) -> None:
    empty = Registry(tmp_path, tmp_path / "none")
    assert empty.entries() == []
    assert all(empty.load(name) is None for name in ModelName)


def test_an_order_of_work_that_is_further_from_the_rules_needs_force(tmp_path: Path) -> None:
    model = train_abuse(1, "2026-11-23", "1")
    write_model(model, tmp_path / "shipped")
    agreed = model.card.score("agreement_with_rules_spearman", "simulated alerts")
    assert agreed is not None
    other = dataclasses.replace(model.card, version="2", scores=(dataclasses.replace(agreed, value=0.5),))
    write_model(TrainedModel(other, model.trees), tmp_path / MODELS_FOLDER)
    registry = Registry(tmp_path, tmp_path / "shipped")
    with pytest.raises(ModelError, match=r"its agreement_with_rules_spearman is 0\.5"):
        registry.use("abuse-2")
    assert registry.use("abuse-2", force=True) == "abuse-1"
