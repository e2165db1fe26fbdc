"""Figures are those of the definitions; intervals come of drawing whole places."""

from __future__ import annotations

import numpy as np
import pytest

from models.metrics import Bootstrap, average_precision, harmonic_mean, mean, median, share

PLACES = 6


def rows(seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.random(200) < 0.4
    return rng.integers(0, PLACES, 200), truth, np.round(rng.normal(size=200) + truth, 1)


def test_figures_on_all_places_are_those_of_the_rows() -> None:
    place, truth, scores = rows()
    called, ones = scores > 0.5, np.ones(PLACES)
    assert share(truth, called, place, PLACES)(ones) == pytest.approx(truth[called].mean())
    assert mean(scores, truth, place, PLACES)(ones) == pytest.approx(scores[truth].mean())
    assert median(scores, truth, place)(ones) == np.sort(scores[truth])[(truth.sum() - 1) // 2]
    users, producers = share(truth, called, place, PLACES), share(called, truth, place, PLACES)
    f1 = 2 * (truth & called).sum() / (truth.sum() + called.sum())
    assert harmonic_mean(users, producers)(ones) == pytest.approx(f1)


def test_a_place_that_counts_twice_is_as_if_its_rows_were_there_twice() -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn comes with the extra train")
    place, truth, scores = rows(2)
    counts = np.array([2.0, 0.0, 1.0, 3.0, 1.0, 0.0])
    times = counts[place].astype(int)
    everywhere = np.ones(200, bool)
    ours = average_precision(scores, truth, everywhere, place)(counts)
    assert ours == pytest.approx(metrics.average_precision_score(truth.repeat(times), scores.repeat(times)))
    assert mean(scores, everywhere, place, PLACES)(counts) == pytest.approx(scores.repeat(times).mean())
    repeated = np.sort(scores.repeat(times))
    assert median(scores, everywhere, place)(counts) == repeated[(repeated.size - 1) // 2]


def test_intervals_are_those_between_places() -> None:
    # Rows of a place are all alike: there are six values, not 600.
    place = np.arange(PLACES).repeat(100)
    values = np.array([0.0, 0.0, 1.0, 1.0, 0.0, 1.0])[place]
    found = Bootstrap.of(PLACES, seed=1).estimate(mean(values, np.ones(600, bool), place, PLACES))
    assert found.value == 0.5
    assert found.low < 0.2
    assert found.high > 0.8
    again = Bootstrap.of(PLACES, seed=1).estimate(mean(values, np.ones(600, bool), place, PLACES))
    assert again == found


def test_what_cannot_be_had_is_no_number() -> None:
    place, truth, scores = rows()
    nobody = np.zeros(200, bool)
    bootstrap = Bootstrap.of(PLACES, seed=1)
    for statistic in (
        share(truth, nobody, place, PLACES),
        median(scores, nobody, place),
        average_precision(scores, truth, nobody, place),
    ):
        assert np.isnan(bootstrap.estimate(statistic).value)
    alone = Bootstrap.of(1, seed=1).estimate(share(truth, truth, np.zeros(200, np.int64), 1))
    assert alone.value == 1
    assert np.isnan(alone.low)
