"""Date by date against the reference: which pixels have lost their forest, since when, and how sure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tiles import kernels
from tiles.errors import InvalidParameterError
from tiles.reference import Reference, design_matrix

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
    min_seen_share
        Share of the window's forest that a date must see where it sees fewer than `min_window_px`: the holes of a
        closed cloud are full of its rims and shadows, and too few to measure them by. Over three scans of the
        demo's images it leaves out 44 % of the false lows and 12 of 2859 true ones; shares of 0.1 to 0.5 leave out
        42 to 46 % (the images that it was chosen on; `scripts/bench_clouds.py`).
    stride
        Every how many pixels one is measured.
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
    min_seen_share: float = 0.2
    stride: int = 4

    def __post_init__(self) -> None:
        if not 0 < self.intact_drop < self.low_drop < self.felling_drop < 1:
            raise InvalidParameterError("The drops must rise: 0 < intact_drop < low_drop < felling_drop < 1.")
        if not 0 <= self.min_seen_share <= 1:
            raise InvalidParameterError(f"min_seen_share is {self.min_seen_share}: give 0 to 1.")
        if min(self.confirmations, self.window_months, self.stride, self.cell_px) < 1 or self.lead_months < 0:
            raise InvalidParameterError(
                "confirmations, window_months, stride and cell_px must be 1 or more, lead_months 0 or more."
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
class Monitored:
    """What became of each pixel of a list. Dates are indices into the monitored dates, -1 for none.

    Parameters
    ----------
    n_low, n_before, n_after : ndarray of int16, shape (pixels,)
        Low dates of the open suspicion; dates seen in the monitored window before it, and since.
    convincing : ndarray of bool, shape (pixels,)
        Whether the last low may count alone.
    last_intact, first_low, last_seen : ndarray of int16, shape (pixels,)
        Last intact date before the suspicion, its first low, last date that said anything.
    ndvi_before, ndvi_after : ndarray of float32, shape (pixels,)
        Mean over the lows, expected and observed; NaN where there is none.
    """

    n_low: NDArray[np.int16]
    n_before: NDArray[np.int16]
    n_after: NDArray[np.int16]
    convincing: NDArray[np.bool_]
    last_intact: NDArray[np.int16]
    first_low: NDArray[np.int16]
    last_seen: NDArray[np.int16]
    ndvi_before: NDArray[np.float32]
    ndvi_after: NDArray[np.float32]


def follow(
    ndvi: NDArray[np.int16],
    near_infrared: NDArray[np.int16],
    days: Sequence[dt.date],
    cells: NDArray[np.int64],
    reference: Reference,
    params: MonitorParams,
) -> Monitored:
    """Follow a list of pixels through the monitored dates.

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
    params
        What is a loss.
    """
    pixels, terms = ndvi.shape[1], reference.coefficients.shape[0]
    design = design_matrix(days, (terms - 1) // 2).astype(np.float32).reshape(len(days), terms)
    quality = date_quality(ndvi, near_infrared, design, cells, reference, params)
    counts = np.zeros((5, pixels), np.int16)
    dates = np.full((3, pixels), -1, np.int16)
    sums = np.zeros((3, pixels), np.float32)
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
        counts,
        dates,
        sums,
    )
    lows = np.where(counts[0] > 0, counts[0], np.float32(np.nan)).astype(np.float32)
    return Monitored(
        n_low=counts[0],
        n_before=counts[2],
        n_after=counts[3],
        convincing=counts[4] == 1,
        last_intact=dates[0],
        first_low=dates[1],
        last_seen=dates[2],
        ndvi_before=sums[0] / lows,
        ndvi_after=sums[1] / lows,
    )


def date_quality(
    ndvi: NDArray[np.int16],
    near_infrared: NDArray[np.int16],
    design: NDArray[np.float32],
    cells: NDArray[np.int64],
    reference: Reference,
    params: MonitorParams,
) -> DateQuality:
    """Measure what each date is worth in each cell.

    Parameters are those of `follow`, with the terms of the seasonal curve at each date (float32, shape (dates, terms)).
    """
    shape = (ndvi.shape[0], cells.size - 1)
    anomalies = np.zeros((*shape, kernels.HISTOGRAM_BINS), np.int64)
    levels = np.zeros((*shape, kernels.NIR_BINS), np.int64)
    kernels.anomaly_histograms(
        ndvi,
        near_infrared,
        reference.coefficients,
        reference.lowest,
        design,
        cells,
        params.stride,
        anomalies,
        levels,
    )
    comparable = np.empty(shape, np.int64)
    kernels.count_comparable(reference.coefficients, reference.lowest, design, cells, params.stride, comparable)
    seen = anomalies.sum(axis=2) * params.stride
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
    seen_share = seen.sum(axis=1, keepdims=True) / np.maximum(params.stride * comparable.sum(axis=1, keepdims=True), 1)
    glimpsed = too_few & (seen_share < params.min_seen_share)
    return DateQuality(
        usable=usable & (seen.sum(axis=1, keepdims=True) > 0) & ~glimpsed,
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
