"""Figures are those of the definitions; intervals come of drawing whole places."""

from __future__ import annotations

import numpy as np
import pytest

from models.metrics import average_precision, brier, estimate, f1, reliability, share, weighted_median

PLACES = 6


def rows(seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.random(200) < 0.4
    return rng.integers(0, PLACES, 200), truth, np.round(rng.normal(size=200) + truth, 1)


def test_figures_on_all_places_are_those_of_the_rows() -> None:
    _, truth, scores = rows()
    called, ones = scores > 0.5, np.ones(200)
    assert share(truth, called)(ones) == pytest.approx(truth[called].mean())
    assert brier(scores, truth)(ones) == pytest.approx(((scores - truth) ** 2).mean())
    assert f1(called, truth)(ones) == pytest.approx(2 * (truth & called).sum() / (truth.sum() + called.sum()))
    assert weighted_median(np.where(truth, scores, np.nan))(ones) == np.sort(scores[truth])[(truth.sum() - 1) // 2]


def test_a_row_that_counts_twice_is_as_if_it_were_there_twice() -> None:
    sklearn = pytest.importorskip("sklearn.metrics", reason="scikit-learn comes with the extra train")
    place, truth, scores = rows(2)
    weights = np.array([2.0, 0.0, 1.0, 3.0, 1.0, 0.0])[place]
    times = weights.astype(int)
    expected = sklearn.average_precision_score(truth.repeat(times), scores.repeat(times))
    assert average_precision(scores, truth)(weights) == pytest.approx(expected)
    assert brier(scores, truth)(weights) == pytest.approx(((scores - truth) ** 2).repeat(times).mean())
    repeated = np.sort(scores.repeat(times))
    assert weighted_median(scores)(weights) == repeated[(repeated.size - 1) // 2]


def test_intervals_are_those_between_places() -> None:
    # Rows of a place are all alike: there are six values, not 600.
    place = np.arange(PLACES).repeat(100)
    hits = np.array([False, False, True, True, False, True])[place]
    found = estimate(share(hits, np.ones(600, bool)), place.astype(object), seed=1)
    assert found.value == 0.5
    assert found.low < 0.2
    assert found.high > 0.8
    assert found.n == 600
    assert estimate(share(hits, np.ones(600, bool)), place.astype(object), seed=1) == found


def test_what_cannot_be_had_is_no_number() -> None:
    place, truth, scores = rows()
    nobody = np.zeros(200, bool)
    for figure in (share(truth, nobody), average_precision(scores, nobody), f1(nobody, nobody)):
        assert np.isnan(estimate(figure, place.astype(object)).value)
    assert np.isnan(weighted_median(np.full(200, np.nan))(np.ones(200)))
    assert estimate(share(truth, truth), np.empty(0, object)).n == 0


def test_reliability_holds_all_rows() -> None:
    probability = np.array([0.0, 0.05, 0.95, 1.0])
    steps = reliability(probability, np.array([False, False, True, False]))
    assert steps == [(0.025, 0.0, 2), (0.975, 0.5, 2)]
