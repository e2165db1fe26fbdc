"""Figures of an evaluation, each with a 95 % interval of a bootstrap over places.

Patches of one place share its trees, its weather and its images: they are no independent sample. Whole places are drawn
with replacement (cluster bootstrap; Field and Welsh 2007, Journal of the Royal Statistical Society B 69, 369), and the
interval is that of the percentiles. With few places it is itself uncertain, and rather too narrow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

_PERCENTILES: Final = (2.5, 97.5)

Statistic = Callable[[NDArray[np.float64]], float]
"""A figure of how often each place counts, float64 (places,); NaN where it cannot be had."""


@dataclass(frozen=True)
class Estimate:
    """A figure and its interval.

    Parameters
    ----------
    value
        On all places as they are; NaN where it cannot be had.
    low, high
        Ends of the 95 % interval; NaN with fewer than two places.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Bootstrap:
    """Draws of places, the same for all figures that are held beside each other.

    Parameters
    ----------
    counts : ndarray of float64, shape (draws, places)
        How often each place is in each draw.
    """

    counts: NDArray[np.float64]

    @classmethod
    def of(cls, places: int, seed: int, draws: int = 1000) -> Bootstrap:
        """Draw as many places as there are, with replacement."""
        rng = np.random.default_rng(seed)
        chances = np.full(max(places, 1), 1 / max(places, 1))
        return cls(rng.multinomial(places, chances, draws).astype(np.float64))

    def estimate(self, statistic: Statistic) -> Estimate:
        """A figure with its interval; draws in which it cannot be had are left out."""
        places = self.counts.shape[1]
        value = statistic(np.ones(places))
        if places < 2 or not np.isfinite(value):
            return Estimate(value, np.nan, np.nan)
        drawn = np.array([statistic(one) for one in self.counts])
        drawn = drawn[np.isfinite(drawn)]
        low, high = np.percentile(drawn, _PERCENTILES) if drawn.size else (np.nan, np.nan)
        return Estimate(value, float(low), float(high))


def share(of: NDArray[np.bool_], among: NDArray[np.bool_], place: NDArray[np.int64], places: int) -> Statistic:
    """Share of the rows of `among` that are `of`.

    Parameters
    ----------
    of, among : ndarray of bool, shape (rows,)
        What is counted, and in what.
    place : ndarray of int64, shape (rows,)
        Number of each row's place.
    places
        How many there are.
    """
    return mean(of.astype(np.float64), among, place, places)


def mean(values: NDArray[np.float64], among: NDArray[np.bool_], place: NDArray[np.int64], places: int) -> Statistic:
    """Mean of values over the rows of `among`; arguments as of `share`."""
    total = np.bincount(place[among], values[among], places)
    number = np.bincount(place[among], minlength=places).astype(np.float64)

    def statistic(counts: NDArray[np.float64]) -> float:
        rows = float(counts @ number)
        return float(counts @ total) / rows if rows else np.nan

    return statistic


def median(values: NDArray[np.float64], among: NDArray[np.bool_], place: NDArray[np.int64]) -> Statistic:
    """Lower median of values over the rows of `among`; arguments as of `share`."""
    order = np.flatnonzero(among)[np.argsort(values[among], kind="stable")]
    ranked, where = values[order], place[order]

    def statistic(counts: NDArray[np.float64]) -> float:
        reached = np.cumsum(counts[where])
        if not reached.size or not reached[-1]:
            return np.nan
        return float(ranked[np.searchsorted(reached, reached[-1] / 2)])

    return statistic


def harmonic_mean(first: Statistic, second: Statistic) -> Statistic:
    """F1 of user's and producer's accuracy."""

    def statistic(counts: NDArray[np.float64]) -> float:
        one, two = first(counts), second(counts)
        return 2 * one * two / (one + two) if one + two > 0 else (0.0 if one + two == 0 else np.nan)

    return statistic


def average_precision(
    scores: NDArray[np.float64],
    truth: NDArray[np.bool_],
    among: NDArray[np.bool_],
    place: NDArray[np.int64],
) -> Statistic:
    """Precision averaged over the recall steps, scores that are equal taken together (as scikit-learn has it).

    Parameters
    ----------
    scores : ndarray of float64, shape (rows,)
        The higher, the surer.
    truth : ndarray of bool, shape (rows,)
        What they are to put first.
    among, place
        As of `share`.
    """
    order = np.flatnonzero(among)[np.argsort(-scores[among], kind="stable")]
    ranked, right, where = scores[order], truth[order], place[order]
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) if ranked.size else np.empty(0, np.int64)

    def statistic(counts: NDArray[np.float64]) -> float:
        weight = counts[where]
        hits = np.cumsum(weight * right)[last]
        called = np.cumsum(weight)[last]
        if not hits.size or not hits[-1]:
            return np.nan
        precision = np.divide(hits, called, out=np.zeros_like(hits), where=called > 0)
        return float(np.sum(np.diff(hits, prepend=0.0) * precision) / hits[-1])

    return statistic
