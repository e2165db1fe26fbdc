"""A forest drawn by hand: a seasonal curve without noise, a felling, a haze, a cloud; the answer is known."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

NIR_DN = 3000
FOREST_NDVI = 0.80
FELLED_NDVI = 0.40


def days_of(first: dt.date, last: dt.date, step: int) -> list[dt.date]:
    """Every so many days, both ends included."""
    return [first + dt.timedelta(days) for days in range(0, (last - first).days + 1, step)]


def red_of(ndvi: NDArray[np.floating], nir: NDArray[np.floating]) -> NDArray[np.floating]:
    """Red that gives this NDVI beside this near infrared."""
    return np.asarray(nir * (1 - ndvi) / (1 + ndvi))


@dataclass(frozen=True)
class Forest:
    """Digital numbers of a small forest on any day.

    Parameters
    ----------
    shape
        Rows and columns of 10 m pixels.
    felled
        Rows and columns that are felled, and the first day on which they are.
    hazy, cloudy
        Days on which all looks low (NDVI 0.3 less, bright), and on which SCL says cloud.
    called
        What SCL calls what is felled from the day on which it is: 9 is a false cloud.
    noise
        Standard deviation of NDVI from pixel to pixel and day to day.
    pixels_per_class
        10 m pixels along a side of a pixel of the classification.
    dn_offset
        What is to be added to digital numbers.
    """

    shape: tuple[int, int] = (48, 48)
    felled: tuple[slice, slice] = (slice(10, 22), slice(20, 30))
    felled_on: dt.date = dt.date(2019, 5, 20)
    hazy: frozenset[dt.date] = field(default_factory=frozenset)
    cloudy: frozenset[dt.date] = field(default_factory=frozenset)
    called: int = 4
    noise: float = 0.01
    pixels_per_class: int = 2
    dn_offset: int = 0

    def mask(self) -> NDArray[np.bool_]:
        """What is felled in the end."""
        mask = np.zeros(self.shape, bool)
        mask[self.felled] = True
        return mask

    def bands(self, day: dt.date) -> tuple[NDArray[np.uint16], NDArray[np.uint16], NDArray[np.uint8]]:
        """Red, near infrared, classification."""
        rng = np.random.default_rng(day.toordinal())
        nir = np.full(self.shape, float(NIR_DN))
        ndvi = FOREST_NDVI + rng.normal(0, self.noise, self.shape)
        if day >= self.felled_on:
            ndvi[self.felled] -= FOREST_NDVI - FELLED_NDVI
            nir[self.felled] *= 0.7
        if day in self.hazy:
            ndvi -= 0.3
            nir *= 1.2
        rows, cols = (-(-side // self.pixels_per_class) for side in self.shape)
        scl = np.full((rows, cols), 9 if day in self.cloudy else 4, np.uint8)
        if day >= self.felled_on and day not in self.cloudy:
            down, across = (
                slice(side.start // self.pixels_per_class, -(-side.stop // self.pixels_per_class))
                for side in self.felled
            )
            scl[down, across] = self.called
        bands = [np.rint(band - self.dn_offset).astype(np.uint16) for band in (red_of(ndvi, nir), nir)]
        return bands[0], bands[1], scl

    def series(self, days: Iterable[dt.date]) -> dict[dt.date, tuple[NDArray[np.generic], ...]]:
        """`bands` of many days."""
        return {day: self.bands(day) for day in days}
