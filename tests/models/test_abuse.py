"""The order of work: more hectares never lower it, it follows the rules, and two hundred reviews move it."""

from __future__ import annotations

import dataclasses
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import shapely

from detector.alerts import Alert, AlertState
from models.abuse import (
    ABUSE_FEATURES,
    ABUSE_NAMES,
    ABUSE_UNITS,
    REVIEW_COLUMN,
    abuse_table,
    as_seen,
    read_reviews,
    rules_merit,
    simulated_alerts,
    train_abuse,
)
from models.card import ModelName
from models.classifier import TrainedModel, load_model, write_model
from models.scoring import AbuseScorer
from tiles.errors import DatasetError


@pytest.fixture(scope="module")
def model() -> TrainedModel:
    return train_abuse(1, "2026-11-23", "0.1")


def alert(**changes: Any) -> Alert:
    plain = Alert(
        id="SYL-30TXP-20260312-00000000",
        geometry=shapely.box(0, 45, 0.01, 45.01),
        tile="30TXP",
        first_detected=date(2026, 3, 31),
        last_intact=date(2026, 2, 20),
        first_low=date(2026, 3, 12),
        state=AlertState.CONFIRMED,
        area_ha=6.0,
        ndvi_before=0.8,
        ndvi_after=0.3,
        ndvi_drop=0.5,
        n_clear_before=20,
        n_clear_after=4,
        clearcut_probability=0.9,
        model_version="clearcut-0.1",
        reasons={"clearcut": {"for": [], "against": []}},
    )
    return dataclasses.replace(plain, **changes)


@pytest.mark.parametrize("feature", [feature for feature in ABUSE_FEATURES if feature.direction], ids=lambda f: f.name)
def test_more_can_never_lower_the_score(model: TrainedModel, feature: object) -> None:
    """For any values of the others, known or not."""
    table = simulated_alerts(7, 300)
    name = feature.name  # type: ignore[attr-defined]
    top = 1.0 if name == "clearcut_probability" else 150.0
    steps = np.linspace(0, top, 60)
    many = table.loc[table.index.repeat(steps.size)].reset_index(drop=True)
    many[name] = np.tile(steps, len(table))
    scores = model.scores(as_seen(many)).reshape(len(table), steps.size)
    assert (np.diff(scores, axis=1) >= 0).all()
    if feature.unit == "ha":  # type: ignore[attr-defined]
        # Nor can it fall when hectares that were unknown become known.
        unknown = model.scores(as_seen(table.assign(**{name: np.nan})))
        assert (scores >= unknown[:, None]).all()
    assert (scores[:, -1] > scores[:, 0]).any()


def test_it_agrees_with_the_rules_and_says_that_it_is_that(model: TrainedModel) -> None:
    score = model.card.score("agreement_with_rules_spearman", "simulated alerts")
    assert score is not None
    table = simulated_alerts(2, 2000)
    ranks = [pd.Series(values).rank() for values in (rules_merit(table), model.scores(as_seen(table)))]
    assert score.value == pytest.approx(ranks[0].corr(ranks[1]), abs=1e-4)
    assert score.value > 0.95
    assert any("agreement with rules" in limit for limit in model.card.limits)
    assert "no verdict" in model.card.summary


def test_the_rules_merit_counts_criteria_and_how_far_they_are_met() -> None:
    rows = [
        (5.0, 0.0, 0.0, 1.0),
        (10.0, 0.0, 0.0, 1.0),
        (40.0, 0.0, 0.0, 1.0),
        (10.0, 2.0, 0.0, 1.0),
        (10.0, 2.0, 2.0, 0.5),
    ]
    table = pd.DataFrame(
        [{"area_ha": a, "slope_block_ha": s, "natura2000_ha": n, "clearcut_probability": p} for a, s, n, p in rows]
    )
    merit = rules_merit(table)
    np.testing.assert_allclose(merit, [0.2, 0.5, 16 / 17, 0.75, 0.875 / 2])
    assert rules_merit(table.assign(slope_block_ha=np.nan)).tolist()[:3] == merit.tolist()[:3]


def test_two_hundred_simulated_reviews_move_the_order(model: TrainedModel) -> None:
    """SIMULATED reviewers who call small cuts beside other recent cuts abusive, and large lone ones not."""
    table = simulated_alerts(3, 4000)
    small = table["area_ha"].lt(4) & table["cut_100m_5y_ha"].gt(2)
    large = table["area_ha"].gt(6) & table["cut_100m_5y_ha"].eq(0)
    chosen = pd.concat([table[small].head(100), table[large].head(100)])
    reviews = chosen.assign(**{REVIEW_COLUMN: chosen["area_ha"].lt(4)})
    assert len(reviews) == 200
    taught = train_abuse(1, "2026-11-23", "0.2", reviews)
    fresh = simulated_alerts(4, 4000)
    a = fresh[fresh["area_ha"].lt(4) & fresh["cut_100m_5y_ha"].gt(2)]
    b = fresh[fresh["area_ha"].between(6, 12) & fresh["cut_100m_5y_ha"].eq(0)]

    def above(which: TrainedModel) -> float:
        """Share of pairs in which the small cut beside others comes first."""
        return float((which.scores(a)[:, None] > which.scores(b)[None, :]).mean())

    assert above(taught) > above(model) + 0.2
    # What may never lower the score still does not.
    steps = fresh.head(50).assign(area_ha=1.0), fresh.head(50).assign(area_ha=30.0)
    assert np.all(taught.scores(steps[1]) >= taught.scores(steps[0]))
    assert taught.card.training[0].by_source["review"] == 200
    assert taught.card.training[0].content_hash != model.card.training[0].content_hash


def test_the_same_seed_and_reviews_give_the_same_bytes(model: TrainedModel) -> None:
    again = train_abuse(1, "2026-11-23", "0.1")
    assert (again.trees, again.card.as_json()) == (model.trees, model.card.as_json())


def test_columns_are_taken_from_alerts_and_unknown_stays_unknown() -> None:
    known = alert(
        slope_block_ha=1.5,
        natura2000_ha=2.0,
        zoning_ha={"natura2000": 2.0, "natura2000_zsc": 2.0, "appb": 0.5, "ebc": None},
    )
    table = abuse_table([known, alert()])
    assert list(table.columns) == list(ABUSE_NAMES)
    known_columns = ["area_ha", "slope_block_ha", "natura2000_ha", "protected_ha"]
    assert table[known_columns].to_numpy()[0].tolist() == [6, 1.5, 2, 0.5]
    unknown = table[["slope_block_ha", "natura2000_ha", "protected_ha"]].to_numpy()
    assert np.isnan(unknown[1]).all()
    assert abuse_table([]).shape == (0, len(ABUSE_NAMES))


def test_alerts_are_scored_with_reasons_and_version(model: TrainedModel) -> None:
    small, large = AbuseScorer(model)([alert(), alert(area_ha=20.0, natura2000_ha=20.0)])
    assert small.abuse_score is not None
    assert large.abuse_score is not None
    assert 0 < small.abuse_score < large.abuse_score < 1
    assert large.model_version == "clearcut-0.1+abuse-0.1"
    (again,) = AbuseScorer(model)([large])
    assert again == large
    # What no layer tells is said to be unknown, not to be none.
    said = {reason["code"]: reason for reason in small.reasons["abuse"]["against"]} if small.reasons else {}
    assert said["natura2000_ha"]["value"] is None
    assert said["natura2000_ha"]["fr"] == "les sites Natura 2000 ne sont pas connus"
    assert large.reasons is not None
    assert set(large.reasons) == {"clearcut", "abuse"}
    assert {reason["code"] for reason in large.reasons["abuse"]["for"]} >= {"area_ha", "natura2000_ha"}
    assert AbuseScorer(model)([]) == []


def test_it_is_kept_and_read_as_any_model(model: TrainedModel, tmp_path: Path) -> None:
    folder = write_model(model, tmp_path)
    assert load_model(folder, ABUSE_UNITS).card.name is ModelName.ABUSE


def test_reviews_are_read_or_refused_with_a_sentence(tmp_path: Path) -> None:
    table = simulated_alerts(1, 5).assign(**{REVIEW_COLUMN: [True, False, True, True, False]})
    table.to_csv(tmp_path / "r.csv", index=False)
    pd.testing.assert_frame_equal(read_reviews(tmp_path / "r.csv"), table)
    table.drop(columns="area_ha").to_csv(tmp_path / "short.csv", index=False)
    with pytest.raises(DatasetError, match="lack the column area_ha"):
        read_reviews(tmp_path / "short.csv")
    table.assign(**{REVIEW_COLUMN: "perhaps"}).to_csv(tmp_path / "perhaps.csv", index=False)
    with pytest.raises(DatasetError, match="neither true nor false"):
        read_reviews(tmp_path / "perhaps.csv")
    with pytest.raises(DatasetError, match="cannot be read"):
        read_reviews(tmp_path / "none.csv")
