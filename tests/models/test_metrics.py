"""Figures against those of scikit-learn and by hand; intervals over places."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import metrics

ONES = np.ones(6)
TRUTH = np.array([True, True, False, True, False, False])
SCORE = np.array([0.9, 0.8, 0.8, 0.4, 0.3, 0.1])


def test_figures_by_hand() -> None:
    told = SCORE >= 0.4
    assert metrics.share(TRUTH, told)(ONES) == pytest.approx(3 / 4)
    assert metrics.share(told, TRUTH)(ONES) == pytest.approx(1)
    assert metrics.f1(told, TRUTH)(ONES) == pytest.approx(6 / 7)
    assert metrics.brier(SCORE, TRUTH)(ONES) == pytest.approx(np.mean((SCORE - TRUTH) ** 2))
    assert metrics.weighted_median(np.array([5.0, np.nan, 1.0, 3.0, 2.0, 4.0]))(ONES) == 3
    assert np.isnan(metrics.share(TRUTH, ~TRUTH & TRUTH)(ONES))
    assert np.isnan(metrics.average_precision(SCORE, ~TRUTH & TRUTH)(ONES))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.integers(0, 3)), min_size=1, max_size=40))
def test_average_precision_is_scikit_learn_s(rows: list[tuple[int, bool, int]]) -> None:
    sklearn = pytest.importorskip("sklearn.metrics", reason="scikit-learn is of the extra train")
    score, truth, weights = (np.array(column) for column in zip(*rows, strict=True))
    if not (truth & (weights > 0)).any():
        return
    expected = sklearn.average_precision_score(truth, score, sample_weight=weights)
    found = metrics.average_precision(score.astype(float), truth.astype(bool))(weights.astype(float))
    assert found == pytest.approx(expected)


def test_an_interval_is_over_places_not_rows() -> None:
    """A hundred rows of two places know what two places know."""
    truth = np.repeat([True, False], 50)
    told = np.ones(100, bool)
    places = np.repeat(["a", "b"], 50).astype(object)
    few = metrics.estimate(metrics.share(truth, told), places)
    many = metrics.estimate(metrics.share(truth, told), np.arange(100).astype(str).astype(object))
    assert few.value == many.value == 0.5
    assert (few.low, few.high) == (0, 1)
    assert 0.35 < many.low < 0.45 < 0.55 < many.high < 0.65
    assert few.n == 100
    assert metrics.estimate(metrics.share(truth, told), places) == few


def test_nothing_gives_nothing() -> None:
    none = np.zeros(0, bool)
    found = metrics.estimate(metrics.share(none, none), np.zeros(0, object))
    assert np.isnan(found.value)
    assert found.n == 0


def test_reliability_by_steps() -> None:
    steps = metrics.reliability(np.array([0.05, 0.06, 0.95, 1.0]), np.array([False, True, True, True]))
    assert [(round(p, 3), share, n) for p, share, n in steps] == [(0.055, 0.5, 2), (0.975, 1.0, 2)]
