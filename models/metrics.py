"""Figures of an evaluation, with intervals that know that patches of one place are alike.

Intervals are percentiles of figures taken anew with places drawn with replacement (the cluster bootstrap: Field and
Welsh 2007, Journal of the Royal Statistical Society B 69, 369). Few places make wide intervals, and honestly so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS = 1000
_ENDS = (2.5, 97.5)


@dataclass(frozen=True)
class Estimate:
    """A figure and the ends of its 95 % interval; NaN where it is not defined. `n` is what it rests on."""

    value: float
    low: float
    high: float
    n: int


Figure = Callable[[NDArray[np.float64]], float]
"""A figure, given each row's weight: how often its place was drawn."""


def estimate(figure: Figure, places: NDArray[np.object_], seed: int = 0, draws: int = DRAWS) -> Estimate:
    """Take a figure, and its interval over places.

    Parameters
    ----------
    figure
        Of rows that are weighted.
    places : ndarray of object, shape (rows,)
        Place of each row.
    seed, draws
        Of the bootstrap.
    """
    names, of_row = np.unique(places.astype(str), return_inverse=True)
    if not names.size:
        return Estimate(np.nan, np.nan, np.nan, 0)
    value = figure(np.ones(places.size))
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(names.size, np.full(names.size, 1 / names.size), size=draws)
    taken = np.array([figure(times[of_row].astype(np.float64)) for times in drawn])
    known = taken[np.isfinite(taken)]
    low, high = np.percentile(known, _ENDS) if known.size else (np.nan, np.nan)
    return Estimate(float(value), float(low), float(high), int(places.size))


def share(hits: NDArray[np.bool_], among: NDArray[np.bool_]) -> Figure:
    """Share of hits among some rows: a ratio of weighted sums; NaN where there is none of them."""

    def figure(weights: NDArray[np.float64]) -> float:
        total = weights[among].sum()
        return float(weights[among & hits].sum() / total) if total > 0 else np.nan

    return figure


def brier(probability: NDArray[np.float64], truth: NDArray[np.bool_]) -> Figure:
    """Mean squared error of probabilities (Brier 1950, Monthly Weather Review 78, 1)."""
    errors = (probability - truth) ** 2

    def figure(weights: NDArray[np.float64]) -> float:
        return float((errors * weights).sum() / weights.sum()) if weights.sum() > 0 else np.nan

    return figure


def average_precision(score: NDArray[np.float64], truth: NDArray[np.bool_]) -> Figure:
    """Precision at each hit, averaged, from the highest score down; equal scores are met together."""
    order = np.argsort(-score, kind="stable")
    hit, ordered = truth[order], score[order]
    last = np.append(ordered[1:] != ordered[:-1], True) if ordered.size else np.zeros(0, bool)

    def figure(weights: NDArray[np.float64]) -> float:
        w = weights[order]
        hits, told = np.cumsum(w * hit)[last], np.cumsum(w)[last]
        if not hits.size or hits[-1] == 0:
            return np.nan
        precision = np.divide(hits, told, out=np.zeros_like(hits), where=told > 0)
        return float((np.diff(hits, prepend=0.0) * precision).sum() / hits[-1])

    return figure


def f1(told: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Figure:
    """Harmonic mean of user's and producer's accuracy, over patches."""

    def figure(weights: NDArray[np.float64]) -> float:
        both = weights[told].sum() + weights[truth].sum()
        return float(2 * weights[told & truth].sum() / both) if both > 0 else np.nan

    return figure


def weighted_median(values: NDArray[np.float64]) -> Figure:
    """Median of what is known."""
    known = np.isfinite(values)
    order = np.argsort(values[known], kind="stable")
    ordered = values[known][order]

    def figure(weights: NDArray[np.float64]) -> float:
        w = np.cumsum(weights[known][order])
        return float(ordered[np.searchsorted(w, w[-1] / 2)]) if w.size and w[-1] > 0 else np.nan

    return figure


def reliability(
    probability: NDArray[np.float64], truth: NDArray[np.bool_], bins: int = 10
) -> list[tuple[float, float, int]]:
    """Mean probability, share of clear-cuts and number of patches, by equal steps of probability that hold any."""
    step = np.clip((probability * bins).astype(int), 0, bins - 1)
    return [
        (float(probability[step == one].mean()), float(truth[step == one].mean()), int((step == one).sum()))
        for one in range(bins)
        if (step == one).any()
    ]
