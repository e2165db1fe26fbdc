"""The reference: what an intact forest pixel looks like at each time of year.

A curve with an annual and a semi-annual harmonic is fitted to the clear dates of the years before the monitored
window, without their low outliers (haze that the classification calls clear can only lower NDVI). See ADR 0002.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tiles import kernels
from tiles.errors import InvalidParameterError

DAYS_PER_YEAR = 365.25

_NO_REFERENCE = 255
"""Code of `lowest` where a pixel has no reference."""

# A step is worth 0.004 NDVI: curves are then off by 0.002, a tenth of what clear dates of intact forest differ by, and
# a pixel's reference takes seven bytes. The constant is coded less a half, so that forest's fits in a byte as well.


@dataclass(frozen=True)
class ReferenceParams:
    """How the reference is fitted, and when it may be compared with.

    Parameters
    ----------
    years
        Years before the monitored window that are read. Three give each season several clear dates even where two
        of three are cloudy, and are short enough that a stand has not changed (Hislop et al. and the European
        Forest Disturbance Atlas use 2 to 5).
    order
        Harmonics of the year: 2 follows green-up and autumn; a third needs more dates than a cloudy region gives
        (Zhu & Woodcock 2014, Remote Sensing of Environment 144, 152: two coefficients more for every 6 dates).
    ridge
        In observations, on the harmonics: a tenth of one keeps a curve from swinging through a season that no date
        shows, and moves a curve with dates all year by less than 0.01 NDVI.
    min_observations
        Clear dates below which a pixel has no reference: twice the five coefficients.
    trims
        Passes that leave out low outliers. One is enough where one date in ten is hazy.
    trim_sigma
        Standard errors below the curve from which a date is an outlier.
    trim_floor
        NDVI below which a residual is never an outlier: the repeatability of Sentinel-2 NDVI over forest.
    min_ndvi
        Expected NDVI under which a pixel is not closed canopy on that date: 5 % of French forests are below 0.63 in
        summer (1,000 stands, 2018-2019).
    leaf_margin
        NDVI that the curve may lie below its own summer: with more foliage gone by the season, felling hides in it.
        Between the drop of a felling (0.20) and the curve's own error.
    """

    years: int = 3
    order: int = 2
    ridge: float = 0.1
    min_observations: int = 10
    trims: int = 1
    trim_sigma: float = 2.0
    trim_floor: float = 0.04
    min_ndvi: float = 0.60
    leaf_margin: float = 0.15

    def __post_init__(self) -> None:
        if not 1 <= self.years <= 10 or not 0 <= self.order <= 4:
            raise InvalidParameterError("A reference needs 1 to 10 years and 0 to 4 harmonics.")
        if self.min_observations <= 2 * self.order:
            raise InvalidParameterError(
                f"min_observations is {self.min_observations}: {self.order} harmonics need {2 * self.order + 1}."
            )


@dataclass(frozen=True)
class Reference:
    """Fitted curves of a list of pixels.

    Parameters
    ----------
    coefficients : ndarray of float32, shape (terms, pixels)
        NaN where a pixel has no reference.
    lowest : ndarray of float32, shape (pixels,)
        A date at which the curve is lower says nothing of the pixel: no leaves, or no closed canopy.
    count : ndarray of int16, shape (pixels,)
        Clear dates that were seen.
    """

    coefficients: NDArray[np.float32]
    lowest: NDArray[np.float32]
    count: NDArray[np.int16]


@dataclass(frozen=True)
class CodedReference:
    """A `Reference` as it is kept on disk: a byte a number.

    Parameters
    ----------
    coefficients : ndarray of int8, shape (terms, pixels)
        In steps of `kernels.CODE_STEP`, the constant less a half; 0 without a reference.
    lowest, count : ndarray of uint8, shape (pixels,)
        In steps of `kernels.CODE_STEP`, 255 without a reference; clear dates, 255 for more.
    """

    coefficients: NDArray[np.int8]
    lowest: NDArray[np.uint8]
    count: NDArray[np.uint8]

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which pixels have a reference."""
        return np.asarray(self.lowest != _NO_REFERENCE)


def encode(coefficients: NDArray[np.float32], lowest: NDArray[np.float32], count: NDArray[np.int16]) -> CodedReference:
    """Code fitted curves; one that no forest has (a constant outside 0 to 1, a swing of a half) is no reference.

    Parameters
    ----------
    coefficients, lowest, count
        As in `Reference`, of any precision.
    """
    steps = coefficients / np.float32(kernels.CODE_STEP)
    steps[0] -= np.float32(kernels.CODE_MIDDLE / kernels.CODE_STEP)
    np.rint(steps, out=steps)
    # NaN compares false: without a fit, no reference.
    known = (np.abs(steps) <= 127).all(axis=0) & (lowest <= 1)
    # Up, so that a date is never compared that the curve's own rounding has lifted over the bar.
    bar = np.ceil(np.where(known, lowest, 0) / kernels.CODE_STEP - 1e-3)
    return CodedReference(
        np.where(known, steps, 0).astype(np.int8),
        np.where(known, bar, _NO_REFERENCE).astype(np.uint8),
        np.minimum(count, 255).astype(np.uint8),
    )


def decode(coded: CodedReference) -> Reference:
    """The curves of codes."""
    coefficients = coded.coefficients * np.float32(kernels.CODE_STEP)
    coefficients[0] += np.float32(kernels.CODE_MIDDLE)
    lowest = coded.lowest * np.float32(kernels.CODE_STEP)
    none = coded.lowest == _NO_REFERENCE
    coefficients[:, none], lowest[none] = np.nan, np.nan
    return Reference(coefficients, lowest, coded.count.astype(np.int16))


def design_matrix(days: Sequence[dt.date], order: int) -> NDArray[np.float64]:
    """Terms of the seasonal curve: a constant, then cosine and sine of each harmonic of the year.

    Parameters
    ----------
    days
        Dates.
    order
        Number of harmonics.

    Returns
    -------
    ndarray of float64, shape (dates, 1 + 2 * order)
    """
    since_1970 = np.array(days, dtype="datetime64[D]").astype(np.int64)
    phase = 2 * np.pi * since_1970 / DAYS_PER_YEAR
    columns = [np.ones(len(days))]
    for harmonic in range(1, order + 1):
        columns += [np.cos(harmonic * phase), np.sin(harmonic * phase)]
    return np.stack(columns, axis=1)


def fit_reference(ndvi: NDArray[np.int16], days: Sequence[dt.date], params: ReferenceParams) -> CodedReference:
    """Fit the reference of a list of pixels, as precisely as it is kept.

    What is told of a pixel then does not depend on whether its reference was fitted just now or read from a file.
    Parameters are those of `fit_curves`.
    """
    curves = fit_curves(ndvi, days, params)
    return encode(curves.coefficients, curves.lowest, curves.count)


def fit_curves(ndvi: NDArray[np.int16], days: Sequence[dt.date], params: ReferenceParams) -> Reference:
    """Fit the seasonal curves of a list of pixels, in single precision.

    Parameters
    ----------
    ndvi : ndarray of int16, shape (dates, pixels)
        NDVI * 10000 of the years before, `kernels.MISSING` where not seen.
    days
        The dates.
    params
        How to fit.
    """
    terms, pixels = 1 + 2 * params.order, ndvi.shape[1]
    coefficients = np.empty((terms, pixels), np.float32)
    peak = np.empty(pixels, np.float32)
    count = np.empty(pixels, np.int16)
    kernels.fit_harmonics(
        ndvi,
        design_matrix(days, params.order).reshape(len(days), terms),
        params.ridge,
        params.min_observations,
        params.trims,
        params.trim_sigma,
        params.trim_floor,
        coefficients,
        peak,
        count,
    )
    # NaN stays NaN through maximum: where there is no fit, no date speaks.
    lowest = np.maximum(peak - np.float32(params.leaf_margin), np.float32(params.min_ndvi))
    return Reference(coefficients, lowest, count)
