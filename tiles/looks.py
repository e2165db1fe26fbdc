"""Which dates of a month are worth reading: those that make a loss known sooner than the others would.

Files are read by whole blocks, and the classification of all dates, which is small, is read first. Of two clear dates
three days apart one tells little that the other does not; a clear one after two weeks of cloud tells much (ADR 0020).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tiles import kernels
from tiles.month import Month

SAMPLED_PIXELS = 4_096
"""Forest pixels of the classification that a window's choice is made by, about, evenly spread: clouds are larger than
the 160 m between them."""

_BITS = 64
"""Dates whose looks at a pixel are told by one number."""


def dates_worth_reading(
    clear: NDArray[np.uint8], days: Sequence[dt.date], allowed: NDArray[np.bool_], least_days_saved: float
) -> NDArray[np.bool_]:
    """Choose the dates of one calendar month that are read in a window.

    The date that saves the fewest days is left out, again and again, until each of the rest saves enough. The month is
    taken to come again: the first look waits for no other month, and the last one is worth as much as any.

    Parameters
    ----------
    clear : ndarray of uint8, shape (dates, pixels)
        1 where a forest pixel is clear, of those that stand for the window.
    days
        The dates, all of one month, in order.
    allowed : ndarray of bool, shape (dates,)
        Those to choose from.
    least_days_saved
        Days by which a loss in the window is found and confirmed sooner, added up, on the average of its pixels and of
        the days of the month.

    Returns
    -------
    ndarray of bool, shape (dates,)
    """
    kept = allowed.copy()
    if least_days_saved <= 0 or not kept.any():
        return kept
    month = _month_of(days[0])
    period = (month.last_day - month.first_day).days + 1
    offsets = np.array([(day - month.first_day).days for day in days], np.int64)
    saved = np.empty(len(days), np.int64)
    alike, weights = _alike(clear)
    least = least_days_saved * period * clear.shape[1]
    while kept.any():
        kernels.days_saved(alike, weights, kept, offsets, period, saved)
        candidates = np.flatnonzero(kept)
        # The earliest, of those that save the same.
        poorest = candidates[saved[candidates].argmin()]
        if saved[poorest] >= least:
            break
        kept[poorest] = False
    return kept


def _alike(clear: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Pixels without their likes, and how many each stands for: clouds are large, few pixels differ in all dates."""
    dates, pixels = clear.shape
    if dates > _BITS:
        return clear, np.ones(pixels, np.int64)
    codes = np.zeros(pixels, np.uint64)
    for row in clear:
        codes = codes << np.uint64(1) | row
    _, first, weights = np.unique(codes, return_index=True, return_counts=True)
    return np.ascontiguousarray(clear[:, first]), weights.astype(np.int64)


def by_month(days: Sequence[dt.date]) -> Iterator[slice]:
    """Where each calendar month's dates lie, of dates in order."""
    first = 0
    for place in range(1, len(days) + 1):
        if place == len(days) or _month_of(days[place]) != _month_of(days[first]):
            yield slice(first, place)
            first = place


def _month_of(day: dt.date) -> Month:
    return Month(day.year, day.month)
