"""An evaluation out of place, beside baselines, its goals and its page."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

from models.baselines import BASELINES
from models.causes import Cause
from models.dataset import TrainingTable
from models.evaluation import LARGE, SEEN, Evaluation, evaluate_model, evaluate_training, goals_of
from models.evaluation_page import _CAUSES, write_page
from models.schema import Source
from models.training import TrainParams, importance_of, train
from tests.models.tables import table_of

QUICK = TrainParams(folds=4, most_trees=30, patience=10, learning_rate=0.2)


@pytest.fixture(scope="module")
def table() -> TrainingTable:
    return table_of()


@pytest.fixture(scope="module")
def evaluation(table: TrainingTable) -> Evaluation:
    return evaluate_training(table, 1, QUICK)


def score_of(evaluation: Evaluation, name: str, subset: str, who: str = "model") -> float:
    return next(one.value for one in evaluation.scores[who] if (one.name, one.subset) == (name, subset))


def test_every_row_is_told_of_by_the_model_and_all_baselines(evaluation: Evaluation, table: TrainingTable) -> None:
    assert list(evaluation.told) == ["model", *BASELINES]
    assert evaluation.out_of_place
    for told in evaluation.told.values():
        assert told.probability.shape == told.clearcut.shape == (len(table.rows),)
        assert ((told.probability > 0) & (told.probability < 1)).all()
    assert evaluation.model.clearcut.any()


def test_figures_are_those_of_what_was_told(evaluation: Evaluation, table: TrainingTable) -> None:
    told, truth = evaluation.model, table.is_clearcut
    large = (table.rows["area_ha"] >= 0.5).to_numpy()
    users = truth[told.clearcut & large].mean()
    assert score_of(evaluation, "users_accuracy", LARGE) == pytest.approx(users, abs=1e-4)
    assert score_of(evaluation, "brier", "all") == pytest.approx(np.mean((told.probability - truth) ** 2), abs=1e-4)
    events = table.events.merge(table.rows.assign(called=told.clearcut)[["event_id", "called"]], on="event_id")
    wanted = events[(events["cause"] == "clear_cut") & (events["event_area_ha"] >= 0.5)]
    found = (wanted["found"] & wanted["called"]).mean()
    assert score_of(evaluation, "producers_accuracy", LARGE) == pytest.approx(found, abs=1e-4)
    seen = wanted[wanted["n_dates_after"] >= 2]
    assert score_of(evaluation, "producers_accuracy", SEEN) == pytest.approx(
        (seen["found"] & seen["called"]).mean(), abs=1e-4
    )
    fire = (table.rows["cause"] == "fire").to_numpy() & large
    assert score_of(evaluation, "called_clearcut", f"fire, {LARGE}") == pytest.approx(
        told.clearcut[fire].mean(), abs=1e-4
    )
    lag = (table.rows["first_low"] - table.rows["event_date"]).dt.days[truth]
    assert score_of(evaluation, "lag_days", "clear-cuts") == pytest.approx(lag.median(), abs=1)
    assert score_of(evaluation, "dated_within", "clear-cuts") == 1


def test_the_model_is_better_than_simple_baselines(evaluation: Evaluation) -> None:
    own = score_of(evaluation, "brier", "all")
    assert own < score_of(evaluation, "brier", "all", "threshold on the drop")
    assert own < score_of(evaluation, "brier", "all", "criteria alone (10 ha)")


def test_subsets_are_told_with_intervals(evaluation: Evaluation) -> None:
    subsets = {one.subset for one in evaluation.model_scores}
    assert {"size: 0.5 to 1 ha", "season: winter", "forest: conifer", "slope: 30 % and more"} <= subsets
    for one in evaluation.model_scores:
        if one.low is not None and one.high is not None and one.name != "lag_days":
            assert one.low <= one.value + 0.02
            assert one.high >= one.value - 0.02
    assert {one.subset for one in evaluation.scores["logistic regression"]} == {"all", LARGE, SEEN}


def test_goals_are_met_or_not_as_the_figures_say(evaluation: Evaluation) -> None:
    goals = {goal.name: goal for goal in goals_of(evaluation)}
    users = goals[f"user's accuracy, {LARGE}"]
    assert users.is_met is (users.value >= 0.95)
    assert sum(name.startswith("called a clear-cut: ") for name in goals) == 4
    assert sum(name.startswith("Brier below") for name in goals) == len(BASELINES)


def test_a_model_is_evaluated_on_what_it_never_saw(table: TrainingTable) -> None:
    model = train(table, 1, "2026-11-23", "0.1", QUICK)
    other = evaluate_model(model, table_of(seed=2))
    assert list(other.told) == ["clearcut-0.1"]
    assert not other.out_of_place
    assert model.card.threshold is not None
    told = model.scores(table_of(seed=2).features) >= model.card.threshold
    np.testing.assert_array_equal(other.model.clearcut, told)
    assert all(math.isfinite(goal.value) for goal in goals_of(other) if "user's" in goal.name)


def test_the_page_says_first_that_it_is_semi_synthetic(
    evaluation: Evaluation, table: TrainingTable, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib", reason="pictures need matplotlib, of the extra train")
    model = train(table, 1, "2026-11-23", "0.1", QUICK)
    page = write_page(evaluation, importance_of(model), tmp_path / "out")
    text = page.read_text(encoding="utf-8")
    assert "<h1>Évaluation semi-synthétique" in text
    assert text.index("Semi-synthetic") < text.index("<table>")
    assert "http" not in re.sub(r"data:image/png;base64,[^']*", "", text)
    assert sorted(path.name for path in page.parent.iterdir()) == [
        "confusion.png",
        "evaluation.html",
        "importance.png",
        "reliability.png",
    ]
    again = write_page(evaluation, importance_of(model), tmp_path / "again")
    assert again.read_bytes() == page.read_bytes()
    assert text.count("F1 0.86") == 1


def test_a_page_of_real_data_does_not_call_them_simulated(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="pictures need matplotlib, of the extra train")
    real = table_of(source=Source.OWN)
    model = train(table_of(), 1, "2026-11-23", "0.1", QUICK)
    text = write_page(evaluate_model(model, real), None, tmp_path).read_text(encoding="utf-8")
    assert "<h1>Évaluation</h1>" in text
    assert "imulé" not in text


def test_every_cause_has_a_name_in_two_languages() -> None:
    assert set(_CAUSES) == {cause.value for cause in Cause}
