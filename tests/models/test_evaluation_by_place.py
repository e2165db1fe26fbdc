"""What is counted of a table made by hand, and which goals are met."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from models.baselines import Told
from models.dataset import TrainingTable
from models.evaluation import LARGE, SEEN, Evaluation, _evaluation, goals_of
from tests.fakes.training_table import drawn_table


def counted(table: TrainingTable, **told: Told) -> Evaluation:
    return _evaluation(table, told, 0, out_of_place=True)


def value(evaluation: Evaluation, name: str, subset: str, method: str = "model") -> float:
    return next(one.value for one in evaluation.scores[method] if (one.name, one.subset) == (name, subset))


@pytest.fixture(scope="module")
def table() -> TrainingTable:
    return drawn_table(places=4, per_place=40)


def test_a_model_that_knows_still_misses_what_the_scan_did_not_see(table: TrainingTable) -> None:
    truth = table.is_clearcut
    half = Told(np.full(truth.size, 0.5), np.ones(truth.size, bool))
    found = counted(table, model=Told(truth.astype(float), truth), other=half)
    events = table.events[(table.events["cause"] == "clear_cut") & (table.events["event_area_ha"] >= 0.5)]
    assert 0 < (~events["found"]).sum() < len(events)
    assert value(found, "users_accuracy", LARGE) == 1
    assert value(found, "producers_accuracy", LARGE) == pytest.approx(events["found"].mean(), abs=1e-4)
    assert value(found, "producers_accuracy", SEEN) == 1
    assert value(found, "brier", "all") == 0
    assert value(found, "dated_within", "clear-cuts") == 1
    assert value(found, "called_clearcut", f"haze, {LARGE}") == 0
    # What calls everything a clear-cut is right as often as there are clear-cuts.
    assert value(found, "users_accuracy", "all", "other") == pytest.approx(truth.mean(), abs=1e-4)
    assert value(found, "average_precision", "all", "other") == pytest.approx(truth.mean(), abs=1e-4)
    met = {goal.name: goal.is_met for goal in goals_of(found)}
    assert met[f"user's accuracy, {LARGE}"]
    assert met[f"producer's accuracy, {LARGE}"] == (events["found"].mean() >= 0.9)
    assert met["Brier below that of: other"]


def test_goals_that_are_not_reached_are_not_met(table: TrainingTable) -> None:
    half = Told(np.full(len(table.rows), 0.5), np.ones(len(table.rows), bool))
    met = {goal.name.split(" (")[0]: goal.is_met for goal in goals_of(counted(table, model=half, other=half))}
    assert met[f"user's accuracy, {LARGE}"] is False
    assert met[f"called a clear-cut: haze, {LARGE}"] is False
    assert met["Brier below that of: other"] is False


def test_without_events_producer_s_accuracy_is_not_known(table: TrainingTable) -> None:
    truth = table.is_clearcut
    alone = dataclasses.replace(table, events=table.events.iloc[:0])
    met = {goal.name: goal.is_met for goal in goals_of(counted(alone, model=Told(truth.astype(float), truth)))}
    assert met[f"producer's accuracy, {LARGE}"] is None


def test_subsets_hold_all_rows_that_have_clear_cuts(table: TrainingTable) -> None:
    truth = table.is_clearcut
    scores = counted(table, model=Told(truth.astype(float), truth)).model_scores
    for kind in ("size: ", "season: "):
        rows = sum(one.n or 0 for one in scores if one.name == "brier" and one.subset.startswith(kind))
        assert 0 < rows <= len(table.rows)
    assert all(one.low is None or one.low <= one.value <= (one.high or 0) for one in scores)
