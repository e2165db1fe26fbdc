"""Date by date against the reference: which pixels have lost their forest, since when, and how sure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tiles import kernels
from tiles.errors import InvalidParameterError
from tiles.month import day_number
from tiles.reference import CodedReference, design_matrix

_QUANTILE_ONE_SIGMA_BELOW = 0.1587
"""Share of a normal distribution that lies more than one standard deviation below its mean."""


@dataclass(frozen=True)
class MonitorParams:
    """What is a loss.

    Parameters
    ----------
    window_months
        Months up to the scanned one in which a loss must have been seen first to be told: a year of fellings.
    lead_months
        Months before these that are followed as well, for the last date on which the forest was intact. Eight, since
        broadleaf stands say nothing from October to May.
    low_drop
        NDVI under the reference from which a date is low: three times the 0.04 by which clear dates of an intact
        pixel differ.
    noise_sigmas
        The same, in standard deviations of that date's own noise, whichever is larger: one clear pixel in 700 by
        chance, one in 550,000 on two dates.
    intact_drop
        NDVI under the reference up to which a date is intact: two of the three deviations.
    felling_drop
        NDVI that a felling takes away at least: from the 0.63-0.82 of French forests to the 0.2-0.5 of soil and slash.
        A date whose noise hides such a drop says nothing.
    alone_sigmas
        Deviations that `felling_drop` must be worth for a date to speak alone (a provisional loss): five, as a
        discovery is announced in physics, since there is no second look.
    dark_share
        A lone low must reflect in the near infrared at most this share of what it did on the last intact date, both
        relative to the forest around: felling darkens (to 0.6-0.85 of broadleaf stands), cloud and haze brighten.
        Dark conifers over bright soil fail this and wait for a second date.
    max_background
        NDVI by which the forest around may differ from its own reference on a date: more is haze, snow or drought.
    confirmations
        Low dates from which a loss is confirmed.
    settled_lows
        Low dates from which it stays so, whatever comes: four are no weather, and grass makes a cut green again within
        the summer. With fewer, as many intact dates as there were lows take the loss back.
    cell_px
        Side of the square in which a date's background and noise are measured: 512 pixels, 26 square kilometres. A
        felling of 200 ha in a half-wooded one stays under the 16 % that the noise's quantile ignores.
    min_cell_px
        Clear forest pixels (0.01 ha) that such a measure needs; with fewer, the window's is taken.
    few_noise
        Noise that is assumed where the window has fewer than `min_window_px`, NDVI.
    min_window_px
        See `few_noise`.
    sample_px
        Pixels of a cell that are measured, about, evenly spread: the median of 4,000 is known to a fiftieth of their
        spread.
    """

    window_months: int = 12
    lead_months: int = 8
    low_drop: float = 0.12
    noise_sigmas: float = 3.0
    intact_drop: float = 0.08
    felling_drop: float = 0.20
    alone_sigmas: float = 5.0
    dark_share: float = 0.90
    max_background: float = 0.15
    confirmations: int = 2
    settled_lows: int = 4
    cell_px: int = 512
    min_cell_px: int = 20_000
    few_noise: float = 0.05
    min_window_px: int = 1_000
    sample_px: int = 4_096

    def __post_init__(self) -> None:
        if not 0 < self.intact_drop < self.low_drop < self.felling_drop < 1:
            raise InvalidParameterError("The drops must rise: 0 < intact_drop < low_drop < felling_drop < 1.")
        if min(self.confirmations, self.window_months, self.sample_px, self.cell_px) < 1 or self.lead_months < 0:
            raise InvalidParameterError(
                "confirmations, window_months, sample_px and cell_px must be 1 or more, lead_months 0 or more."
            )

    @property
    def months(self) -> int:
        """Months that are followed, up to the scanned one."""
        return self.window_months + self.lead_months


@dataclass(frozen=True)
class DateQuality:
    """What each date is worth in each cell.

    Parameters
    ----------
    usable, convincing : ndarray of bool, shape (dates, cells)
        Whether it says anything, and whether a low of it may count alone.
    background, noise, low_drop, nir_level : ndarray of float32, shape (dates, cells)
        Shift and noise (NDVI), drop from which an observation is low (NDVI), near-infrared reflectance * 10000 of
        the forest.
    """

    usable: NDArray[np.bool_]
    convincing: NDArray[np.bool_]
    background: NDArray[np.float32]
    noise: NDArray[np.float32]
    low_drop: NDArray[np.float32]
    nir_level: NDArray[np.float32]


@dataclass(frozen=True)
class PixelMemory:
    """What is known of each pixel of a list: all that a month hands on to the next, beside the reference.

    Days are counted from 1970, -1 for none. Arrays are contiguous, and changed by `follow`. Of a pixel without an open
    suspicion, what belongs to one has no meaning.

    Parameters
    ----------
    counts : ndarray of int16, shape (5, pixels)
        Of the open suspicion: low dates (0 where there is none); intact dates since the first of them; then dates seen
        before it, dates seen since, and whether the last low may count alone (1).
    when : ndarray of int16, shape (3, pixels)
        Last intact day before the suspicion, day of its first low, last day that said anything.
    sums : ndarray of float32, shape (2, pixels)
        Over the lows, NDVI expected and observed.
    brightness : ndarray of uint8, shape (pixels,)
        Near infrared of the last intact day, in hundredths of that of the forest around.
    """

    counts: NDArray[np.int16]
    when: NDArray[np.int16]
    sums: NDArray[np.float32]
    brightness: NDArray[np.uint8]

    @classmethod
    def blank(cls, pixels: int) -> Self:
        """Of pixels of which nothing is known yet."""
        memory = cls(
            np.empty((5, pixels), np.int16),
            np.empty((3, pixels), np.int16),
            np.empty((2, pixels), np.float32),
            np.empty(pixels, np.uint8),
        )
        memory.forget()
        return memory

    def forget(self) -> None:
        """Know nothing of any pixel. Numbers without a meaning stay what they were: writing them takes time."""
        self.n_low[:], self.n_before[:], self.last_intact[:], self.last_seen[:], self.brightness[:] = 0, 0, -1, -1, 0

    @property
    def n_low(self) -> NDArray[np.int16]:
        """Low dates of the open suspicion."""
        return np.asarray(self.counts[0])

    @property
    def n_before(self) -> NDArray[np.int16]:
        """Dates seen before the suspicion."""
        return np.asarray(self.counts[2])

    @property
    def n_after(self) -> NDArray[np.int16]:
        """Dates seen since its first low."""
        return np.asarray(self.counts[3])

    @property
    def convincing(self) -> NDArray[np.bool_]:
        """Whether the last low may count alone."""
        return np.asarray(self.counts[4] == 1)

    @property
    def last_intact(self) -> NDArray[np.int16]:
        """Last intact day before the suspicion."""
        return np.asarray(self.when[0])

    @property
    def first_low(self) -> NDArray[np.int16]:
        """Day of its first low."""
        return np.asarray(self.when[1])

    @property
    def last_seen(self) -> NDArray[np.int16]:
        """Last day that said anything."""
        return np.asarray(self.when[2])


def follow(
    ndvi: NDArray[np.int16],
    near_infrared: NDArray[np.int16],
    days: Sequence[dt.date],
    cells: NDArray[np.int64],
    reference: CodedReference,
    memory: PixelMemory,
    params: MonitorParams,
) -> None:
    """Follow a list of pixels through some dates. Dates followed together or in parts, in order, tell the same.

    Parameters
    ----------
    ndvi, near_infrared : ndarray of int16, shape (dates, pixels)
        NDVI * 10000 (`kernels.MISSING` where not seen) and near-infrared reflectance * 10000.
    days
        The dates, in order.
    cells : ndarray of int64, shape (cells + 1,)
        Where each cell's pixels begin in the list.
    reference
        The pixels' seasonal curves.
    memory
        What is known of the pixels; brought up to date.
    params
        What is a loss.
    """
    terms = reference.coefficients.shape[0]
    design = design_matrix(days, (terms - 1) // 2).astype(np.float32).reshape(len(days), terms)
    quality = date_quality(ndvi, near_infrared, design, cells, reference, params)
    kernels.monitor(
        ndvi,
        near_infrared,
        reference.coefficients,
        reference.lowest,
        design,
        cells,
        quality.usable,
        quality.background,
        quality.low_drop,
        params.intact_drop,
        quality.convincing,
        quality.nir_level,
        params.dark_share,
        params.settled_lows,
        np.array([day_number(day) for day in days], np.int16),
        memory.counts,
        memory.when,
        memory.sums,
        memory.brightness,
    )


def date_quality(
    ndvi: NDArray[np.int16],
    near_infrared: NDArray[np.int16],
    design: NDArray[np.float32],
    cells: NDArray[np.int64],
    reference: CodedReference,
    params: MonitorParams,
) -> DateQuality:
    """Measure what each date is worth in each cell.

    Parameters are those of `follow`, with the terms of the seasonal curve at each date (float32, shape (dates, terms)).
    """
    shape = (ndvi.shape[0], cells.size - 1)
    anomalies = np.zeros((*shape, kernels.HISTOGRAM_BINS), np.int64)
    levels = np.zeros((*shape, kernels.NIR_BINS), np.int64)
    strides = np.maximum(1, np.diff(cells) // params.sample_px)
    kernels.anomaly_histograms(
        ndvi,
        near_infrared,
        reference.coefficients,
        reference.lowest,
        design,
        cells,
        strides,
        anomalies,
        levels,
    )
    # Each pixel that was counted stands for as many as were passed over.
    anomalies *= strides[:, None]
    levels *= strides[:, None]
    seen = anomalies.sum(axis=2)
    # A cell with little clear forest is measured with its neighbours: all of the window.
    few = seen < params.min_cell_px
    anomalies = np.where(few[:, :, None], anomalies.sum(axis=1, keepdims=True), anomalies)
    levels = np.where(few[:, :, None], levels.sum(axis=1, keepdims=True), levels)

    background = _quantile(anomalies, 0.5) * np.float32(2) - np.float32(1)
    # One-sided: haze and cloud edges lower NDVI, so the lower flank alone tells how far to trust a low.
    below = _quantile(anomalies, _QUANTILE_ONE_SIGMA_BELOW) * np.float32(2) - np.float32(1)
    noise = background - below
    too_few = seen.sum(axis=1, keepdims=True) < params.min_window_px
    background = np.where(too_few, np.float32(0), background)
    noise = np.where(too_few, np.float32(params.few_noise), noise)
    usable = (np.abs(background) <= params.max_background) & (params.noise_sigmas * noise <= params.felling_drop)
    return DateQuality(
        usable=usable & (seen.sum(axis=1, keepdims=True) > 0),
        convincing=params.alone_sigmas * noise <= params.felling_drop,
        background=background.astype(np.float32),
        noise=noise.astype(np.float32),
        low_drop=np.maximum(params.low_drop, params.noise_sigmas * noise).astype(np.float32),
        nir_level=np.maximum(kernels.NDVI_SCALE * _quantile(levels, 0.5), 1).astype(np.float32),
    )


def _quantile(histogram: NDArray[np.int64], share: float) -> NDArray[np.float32]:
    """Quantile of histograms over 0 to 1 along their last axis, at bin centres; 0 where nothing was counted."""
    bins = histogram.shape[-1]
    cumulated = histogram.cumsum(axis=-1)
    total = cumulated[..., -1:]
    place = (cumulated < share * total).sum(axis=-1)
    quantile = (place.clip(0, bins - 1) + 0.5) / bins
    return np.asarray(np.where(total[..., 0] > 0, quantile, 0.0), np.float32)
