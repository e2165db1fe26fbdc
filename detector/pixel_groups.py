"""Statistics of the pixels of many patches at once, and the dates that follow from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.kernels import group_moments, group_quantiles
from detector.patches import Patch
from tiles.change import ChangedPixels

_NAT = int(np.iinfo(np.int64).min)
"""NaT as a whole number."""

#: Whole days since 1970 as numpy dates.
Dates = NDArray[np.datetime64]


def stacked(groups: Sequence[NDArray[np.int64]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of all groups, one group after the other, and where each ends: int64 (n,) and (groups,)."""
    index = np.concatenate(groups) if groups else np.empty(0, np.int64)
    return index, np.cumsum([group.size for group in groups], dtype=np.int64)


class PixelGroups:
    """Values of pixels, grouped by patch.

    Unknown values (NaN) are left out; a patch without any known value gets NaN, never zero.

    Parameters
    ----------
    groups
        Indices of the pixels of each patch, none empty.
    """

    def __init__(self, groups: Sequence[NDArray[np.int64]]) -> None:
        self._index, self._stops = stacked(groups)

    def mean(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Mean of each patch."""
        return np.asarray(group_moments(values, self._index, self._stops, False)[0])

    def std(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Population standard deviation of each patch (zero for one pixel)."""
        return self.moments(values)[1]

    def max(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Largest value of each patch."""
        return self.moments(values)[2]

    def moments(self, values: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Mean, standard deviation and largest value of each patch, in one go."""
        return group_moments(values, self._index, self._stops, True)

    def quantile(self, counts: NDArray[np.int16], q: float) -> NDArray[np.float64]:
        """Order statistic of each patch's counts: one that a pixel has, the lower of two in doubt."""
        found = group_quantiles(counts, self._index, self._stops, np.array([q]), _NAT, False)
        return np.asarray(found[0])

    def day_quantiles(self, dates: Dates, *q: float, never: bool = False) -> NDArray[np.float64]:
        """Order statistics of each patch's dates, in days since 1970: float64 (q, groups).

        NaT is left out, or with `never` stands for a day infinitely long ago.
        """
        days = dates.astype("datetime64[D]", copy=False).view(np.int64)
        found: NDArray[np.float64] = group_quantiles(days, self._index, self._stops, np.array(q), _NAT, never)
        return found


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


def date_patches(
    patches: Sequence[Patch], pixels: ChangedPixels, groups: PixelGroups | None = None
) -> tuple[Dates, Dates]:
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
    groups
        The patches' pixels, where they are grouped already.

    Returns
    -------
    last_intact, first_low
        datetime64[D] (n,) each; NaT where unknown. `last_intact` < `first_low` wherever both are known.
    """
    groups = groups or PixelGroups([patch.pixels for patch in patches])
    (first_low,) = groups.day_quantiles(pixels.first_low, 0.5)
    (last_intact,) = groups.day_quantiles(pixels.last_intact, 0.5, never=True)
    for i in np.flatnonzero(last_intact >= first_low).tolist():
        earlier = days_of(pixels.last_intact[patches[i].pixels])
        earlier = earlier[earlier < first_low[i]]
        last_intact[i] = earlier.max() if earlier.size else np.nan
    return dates_of(last_intact), dates_of(first_low)
