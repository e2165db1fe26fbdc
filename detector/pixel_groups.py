"""Statistics of the pixels of many patches at once, and the dates that follow from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.kernels import group_moments, group_quantiles
from detector.patches import Patch
from tiles.change import ChangedPixels

#: Whole days since 1970 as numpy dates.
Dates = NDArray[np.datetime64]


class PixelGroups:
    """Values of pixels, grouped by patch.

    Unknown values (NaN) are left out; a patch without any known value gets NaN, never zero.

    Parameters
    ----------
    groups
        Indices of the pixels of each patch, none empty.
    """

    def __init__(self, groups: Sequence[NDArray[np.int64]]) -> None:
        self._index = np.concatenate(groups) if groups else np.empty(0, np.int64)
        self._stops = np.cumsum([group.size for group in groups], dtype=np.int64)

    def mean(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Mean of each patch."""
        return self.moments(values)[0]

    def std(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Population standard deviation of each patch (zero for one pixel)."""
        return self.moments(values)[1]

    def max(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Largest value of each patch."""
        return self.moments(values)[2]

    def moments(self, values: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Mean, standard deviation and largest value of each patch, in one go."""
        return group_moments(values, self._index, self._stops)

    def quantile(self, values: NDArray[Any], q: float) -> NDArray[np.float64]:
        """Order statistic of each patch: a value that one of its pixels has, the lower of two in doubt."""
        return group_quantiles(values, self._index, self._stops, q)


def days_of(dates: Dates) -> NDArray[np.float64]:
    """Days since 1970-01-01; NaN for NaT."""
    days = dates.astype("datetime64[D]").astype(np.int64).astype(np.float64)
    days[np.isnat(dates)] = np.nan
    return days


def dates_of(days: NDArray[np.float64]) -> Dates:
    """Inverse of `days_of`."""
    dates = np.full(days.shape, np.datetime64("NaT", "D"))
    known = np.isfinite(days)
    dates[known] = days[known].astype(np.int64).astype("datetime64[D]")
    return dates


def date_patches(patches: Sequence[Patch], pixels: ChangedPixels) -> tuple[Dates, Dates]:
    """Date the loss of each patch by the interval that holds it.

    Both ends are the lower median over the patch's pixels. A median, because a few pixels under an unseen
    cloud would drag a minimum or a maximum to a wrong date; the lower one of two, because it is the date of a
    real observation, whose scenes can be named. A pixel never seen intact counts as seen intact infinitely
    long ago: it moves the interval's start back, never forward. So each end is the same order statistic of
    pixelwise ordered values, and the start falls before the end. Should pixels not be ordered, the start is
    the latest date before the end on which any pixel was intact, or unknown.

    Parameters
    ----------
    patches
        n patches of one tile.
    pixels
        The table that they index.

    Returns
    -------
    last_intact, first_low
        datetime64[D] (n,) each; NaT where unknown. `last_intact` < `first_low` wherever both are known.
    """
    groups = PixelGroups([patch.pixels for patch in patches])
    intact = days_of(pixels.last_intact)
    first_low = groups.quantile(days_of(pixels.first_low), 0.5)
    last_intact = groups.quantile(np.where(np.isnan(intact), -np.inf, intact), 0.5)
    for i in np.flatnonzero(last_intact >= first_low).tolist():
        earlier = intact[patches[i].pixels]
        earlier = earlier[earlier < first_low[i]]
        last_intact[i] = earlier.max() if earlier.size else np.nan
    return dates_of(last_intact), dates_of(first_low)
