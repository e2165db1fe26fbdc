"""Reasons come from contributions, add up, and are told in two languages."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from detector.features import FEATURES
from models.abuse import ABUSE_GROUPS, ABUSE_NAMES
from models.classifier import TrainedModel
from models.explain import CLEARCUT_GROUPS, STRONGEST, Explainer, check_sums, sentences
from models.training import TrainParams, train
from tests.models.tables import table_of
from tiles.errors import ModelError


@pytest.fixture(scope="module")
def model() -> TrainedModel:
    return train(table_of(), 1, "2026-11-23", "0.1", TrainParams(folds=3, most_trees=30, learning_rate=0.2))


@pytest.mark.parametrize(
    ("groups", "names"), [(CLEARCUT_GROUPS, [feature.name for feature in FEATURES]), (ABUSE_GROUPS, list(ABUSE_NAMES))]
)
def test_every_feature_is_in_one_group(groups: tuple, names: list[str]) -> None:  # type: ignore[type-arg]
    assert sorted(name for group in groups for name in group.features) == sorted(names)
    assert len({group.code for group in groups}) == len(groups)
    for group in groups:
        for words in (*group.speaks_for, *group.speaks_against, *group.unknown):
            assert words
            assert "illég" not in words.lower()
            assert "illegal" not in words.lower()


def test_reasons_are_the_strongest_groups_and_add_up(model: TrainedModel) -> None:
    features = table_of(seed=2).features
    reasons = Explainer(model)(features)
    assert len(reasons) == len(features)
    contributions = model.contributions(features)
    names = list(model.card.features)
    for row in range(0, len(reasons), 37):
        by_group = {
            group.code: contributions[row, [names.index(name) for name in group.features if name in names]].sum()
            for group in CLEARCUT_GROUPS
        }
        total = sum(by_group.values()) + contributions[row, -1]
        assert total == pytest.approx(model.raw(features)[row], abs=1e-6)
        told = reasons[row]
        assert len(told["for"]) <= STRONGEST >= len(told["against"])
        assert all(reason["weight"] > 0 for reason in told["for"])
        assert all(reason["weight"] < 0 for reason in told["against"])
        for side, sign in (("for", 1), ("against", -1)):
            weights = [abs(reason["weight"]) for reason in told[side]]
            assert weights == sorted(weights, reverse=True)
            rest = [sign * by_group[code] for code in by_group if code not in {one["code"] for one in told[side]}]
            if len(weights) == STRONGEST:
                assert min(weights) >= max(rest) - 1e-3
            for reason in told[side]:
                assert reason["weight"] == pytest.approx(by_group[reason["code"]], abs=1e-4)


def test_a_clear_cut_has_the_infrared_for_it(model: TrainedModel) -> None:
    table = table_of(seed=2)
    row = table.features[table.is_clearcut & (table.features["ndmi_change"] < -0.3)].iloc[[0]]
    (told,) = Explainer(model)(row)
    first = told["for"][0]
    assert (first["code"], first["feature"]) == ("infrared", "ndmi_change")
    assert first["value"] == pytest.approx(row["ndmi_change"].iloc[0], abs=1e-4)
    french, english = sentences(told)[0][0], sentences(told, "en")[0][0]
    assert french.startswith("l'infrarouge montre")
    assert english.startswith("the infrared shows")


def test_what_is_unknown_is_not_said_to_be_seen(model: TrainedModel) -> None:
    row = table_of(seed=2).features.iloc[[0]].assign(ndmi_change=np.nan)
    (told,) = Explainer(model)(row)
    reasons = [reason for side in told.values() for reason in side if reason["code"] == "infrared"]
    assert reasons
    assert all("montre" not in reason["fr"] and reason["value"] is None for reason in reasons)


def test_nothing_has_no_reasons(model: TrainedModel) -> None:
    assert Explainer(model)(table_of().features.iloc[:0]) == []


def test_contributions_that_do_not_add_up_are_refused() -> None:
    check_sums(np.array([[1.0, 2.0]]), np.array([3.0]))
    with pytest.raises(ModelError, match="does not make up the score"):
        check_sums(np.array([[1.0, 2.0]]), np.array([3.1]))


def test_a_feature_without_words_is_refused(model: TrainedModel) -> None:
    groups = tuple(group for group in CLEARCUT_GROUPS if group.code != "infrared")
    with pytest.raises(ModelError, match="no words"):
        Explainer(model, groups)
    with pytest.raises(ModelError, match="no words"):
        Explainer(TrainedModel(dataclasses.replace(model.card, features=("colour",)), model.trees))
