"""What is counted of a table made by hand, and which goals are met."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from models.evaluation import LARGE, OBSERVABLE, Evaluation, Metric, evaluate
from models.predictions import MODEL, Prediction
from tests.fakes.training_table import drawn_table


def value(evaluation: Evaluation, metric: Metric, subset: str, method: str = MODEL) -> float:
    line = evaluation.line(metric, subset, method)
    assert line is not None
    return line.estimate.value


def test_a_model_that_knows_still_misses_what_the_scan_did_not_see() -> None:
    table = drawn_table()
    truth = table.is_clearcut
    known = Prediction(truth.astype(float), truth)
    half = Prediction(np.full(truth.size, 0.5), np.ones(truth.size, bool))
    found = evaluate(table, {MODEL: known, "everything": half}, draws=50)
    events = table.events[(table.events["cause"] == "clear_cut") & (table.events["event_area_ha"] >= 0.5)]
    assert 0 < (~events["found"]).sum() < len(events)
    assert value(found, Metric.USERS, LARGE) == 1
    assert value(found, Metric.PRODUCERS, LARGE) == pytest.approx(events["found"].mean())
    assert value(found, Metric.PRODUCERS, OBSERVABLE) == 1
    assert value(found, Metric.BRIER, "all") == 0
    assert value(found, Metric.DATED, LARGE) == 1
    assert value(found, Metric.CALLED, "haze") == 0
    # What calls everything a clear-cut is right as often as there are clear-cuts.
    assert value(found, Metric.USERS, "all", "everything") == pytest.approx(truth.mean())
    assert value(found, Metric.AVERAGE_PRECISION, "all", "everything") == pytest.approx(truth.mean())
    assert value(found, Metric.CALLED, "haze", "everything") == 1
    met = {goal.name: goal.met for goal in found.goals}
    assert met[f"producer's accuracy, {LARGE}: at least 0.90"] == (events["found"].mean() >= 0.9)
    assert met["Brier below the baselines' best, 0.2500"]


def test_goals_that_are_not_reached_are_not_met() -> None:
    table = drawn_table()
    nothing = Prediction(np.full(len(table.rows), 0.5), np.ones(len(table.rows), bool))
    found = evaluate(table, {MODEL: nothing, "other": nothing}, draws=20)
    met = {goal.name.split(",")[0].split(":")[0]: goal.met for goal in found.goals}
    assert not met["user's accuracy"]
    assert not met["haze called a clear-cut"]
    assert not met["Brier below the baselines' best"]


def test_clear_cuts_without_events_are_events_of_their_own() -> None:
    table = drawn_table()
    alone = dataclasses.replace(table, events=table.events.iloc[:0])
    called = table.is_clearcut & (np.arange(len(table.rows)) % 2 == 0)
    found = evaluate(alone, {MODEL: Prediction(called.astype(float), called)}, draws=20)
    assert value(found, Metric.PRODUCERS, "all") == pytest.approx(called.sum() / table.is_clearcut.sum())


def test_size_classes_and_seasons_hold_all_rows() -> None:
    table = drawn_table()
    truth = table.is_clearcut
    found = evaluate(table, {MODEL: Prediction(truth.astype(float), truth)}, draws=20)
    n = {line.subset: line.n for line in found.lines if line.metric is Metric.BRIER}
    assert n["winter"] + n["spring"] + n["summer"] + n["autumn"] == n["all"] == len(table.rows)
    sizes = sum(rows for subset, rows in n.items() if subset.endswith(" ha") and subset != LARGE)
    assert sizes == (table.rows["area_ha"] >= 0.25).sum()


def test_the_card_takes_the_model_s_figures() -> None:
    table = drawn_table()
    truth = table.is_clearcut
    found = evaluate(table, {MODEL: Prediction(truth.astype(float), truth)}, draws=20)
    scores = {(one.name, one.subset): one for one in found.scores()}
    assert scores["brier", "all"].value == 0
    assert scores["users_accuracy", "all"].low == 1
    assert all(pd.notna(one.value) for one in found.scores())
