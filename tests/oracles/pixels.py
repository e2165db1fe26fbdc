"""Plain-numpy twins of `tiles.kernels`: slow, short, and written from the definitions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

MISSING = -32_768


def clear_mask(
    scl: NDArray[np.uint8], first_row: int, clear: Iterable[int], obscuring: Iterable[int], margin: int, rows: int
) -> NDArray[np.uint8]:
    """Clear pixels with no obscuring one in the square around them."""
    clear, obscuring = list(clear), list(obscuring)
    out = np.zeros((rows, scl.shape[1]), np.uint8)
    for row in range(rows):
        for col in range(scl.shape[1]):
            source = row + first_row
            around = scl[
                max(0, source - margin) : source + margin + 1,
                max(0, col - margin) : col + margin + 1,
            ]
            out[row, col] = scl[source, col] in clear and not np.isin(around, obscuring).any()
    return out


def add_differences(differences: NDArray[Any], left: int, cols: int) -> NDArray[Any]:
    """Sums along rows, modulo what the type holds."""
    summed: NDArray[Any] = differences.cumsum(axis=1, dtype=differences.dtype)
    return summed[:, left : left + cols]


def ndvi(
    red: NDArray[np.uint16], nir: NDArray[np.uint16], clear: NDArray[np.uint8], dn_offset: int
) -> NDArray[np.int64]:
    """NDVI * 10000 in double precision, rounded half up; `MISSING` where not clear or without data."""
    r, n = red.astype(np.int64) + dn_offset, nir.astype(np.int64) + dn_offset
    valid = (red != 0) & (nir != 0) & (clear != 0) & (r + n > 0)
    ratio = np.zeros(red.shape)
    np.divide(10_000.0 * (n - r), r + n, out=ratio, where=valid)
    return np.where(valid, np.floor(ratio.clip(-10_000, 10_000) + 0.5).astype(np.int64), MISSING)


def ndvi_change(
    before: tuple[NDArray[np.uint16], NDArray[np.uint16], NDArray[np.uint8], int],
    after: tuple[NDArray[np.uint16], NDArray[np.uint16], NDArray[np.uint8], int],
    clear: Iterable[int],
) -> NDArray[np.int64]:
    """Difference of two NDVI of (red, nir, scl, offset), each * 10000, unrounded until the end."""
    clear = list(clear)
    layers = []
    for red, nir, scl, offset in (before, after):
        size = red.shape[0] // scl.shape[0] if scl.size else 1
        seen = np.isin(np.repeat(np.repeat(scl, size, axis=0), size, axis=1), clear)
        r, n = red.astype(np.int64) + offset, nir.astype(np.int64) + offset
        valid = (red != 0) & (nir != 0) & seen & (r + n > 0)
        ratio = np.zeros(red.shape)
        np.divide((n - r).astype(float), r + n, out=ratio, where=valid)
        layers.append((ratio, valid))
    (first, seen_first), (second, seen_second) = layers
    change = np.floor(10_000 * (second - first).clip(-2, 2) + 0.5).astype(np.int64)
    return np.where(seen_first & seen_second, change, MISSING)


def fit_harmonics(
    ndvi: NDArray[np.int16],
    design: NDArray[np.float64],
    ridge: float,
    min_observations: int,
    trims: int,
    trim_sigma: float,
    trim_floor: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Coefficients, highest value on the dates seen, and number of those, pixel by pixel by `numpy.linalg`."""
    terms, pixels = design.shape[1], ndvi.shape[1]
    coefficients = np.full((terms, pixels), np.nan)
    peak = np.full(pixels, np.nan)
    count = (ndvi != MISSING).sum(axis=0)
    penalty = ridge * np.diag([0.0] + [1.0] * (terms - 1))
    for pixel in range(pixels):
        seen = ndvi[:, pixel] != MISSING
        x, y = design[seen], ndvi[seen, pixel] / 10_000
        kept = np.ones(y.size, bool)
        if y.size < min_observations:
            continue
        solution = np.linalg.solve(x.T @ x + penalty, x.T @ y)
        for _ in range(trims):
            residual = y - x @ solution
            if kept.sum() <= terms:
                break
            sigma = np.sqrt((residual[kept] ** 2).sum() / (kept.sum() - terms))
            low = kept & (residual < -max(trim_sigma * sigma, trim_floor))
            # Never below the number that a fit needs: the oldest outliers go first.
            low[np.flatnonzero(low)[max(0, kept.sum() - min_observations) :]] = False
            if not low.any():
                break
            kept &= ~low
            solution = np.linalg.solve(x[kept].T @ x[kept] + penalty, x[kept].T @ y[kept])
        coefficients[:, pixel] = solution
        peak[pixel] = (x @ solution).max()
    return coefficients, peak, count


def monitor(
    ndvi: NDArray[np.int16],
    near_infrared: NDArray[np.int16],
    expected: NDArray[np.float32],
    lowest: NDArray[np.float32],
    cells: NDArray[np.int64],
    quality: dict[str, NDArray[Any]],
    days: NDArray[np.int16],
    intact_drop: float,
    dark_share: float,
    settled_lows: int,
) -> dict[str, NDArray[Any]]:
    """The story of each pixel, told one by one.

    `expected` is the curve at each date and pixel; `quality` has usable, background, low_drop, convincing and nir_level
    by date and cell. Days are told, and brightness in hundredths.
    """
    dates, pixels = ndvi.shape
    cell_of = np.searchsorted(cells, np.arange(pixels), side="right") - 1
    told: dict[str, NDArray[Any]] = {
        name: np.zeros(pixels, np.int64) for name in ("n_low", "n_intact", "n_before", "n_after", "alone")
    }
    told.update({name: np.full(pixels, -1, np.int64) for name in ("last_intact", "first_low", "last_seen")})
    told.update({name: np.zeros(pixels) for name in ("before", "after", "level")})
    for pixel in range(pixels):
        lows: list[tuple[Any, Any]] = []
        intact = before = since = 0
        alone = False
        last_intact = first_low = last_seen = -1
        level = 0.0
        for date in range(dates):
            cell = cell_of[pixel]
            curve = expected[date, pixel]
            if ndvi[date, pixel] == MISSING or not quality["usable"][date, cell] or not curve >= lowest[pixel]:
                continue
            observed = np.float32(ndvi[date, pixel]) * np.float32(1e-4)
            drop = curve + quality["background"][date, cell] - observed
            per_hundredth = np.float32(1) / quality["nir_level"][date, cell] * np.float32(100)
            here = near_infrared[date, pixel] * per_hundredth
            last_seen = days[date]
            is_low, is_intact = drop >= quality["low_drop"][date, cell], drop < intact_drop
            if not lows and not is_low:
                before += 1
                if is_intact:
                    last_intact, level = days[date], np.floor(np.clip(here + np.float32(0.5), 0, 255))
                continue
            if not lows:
                first_low = days[date]
            since += 1
            if is_low:
                lows.append((curve + quality["background"][date, cell], observed))
                alone = bool(quality["convincing"][date, cell] and here <= dark_share * level)
            elif is_intact:
                intact += 1
                if intact >= len(lows) and len(lows) < settled_lows:
                    before, last_intact = before + since, days[date]
                    level = np.floor(np.clip(here + np.float32(0.5), 0, 255))
                    lows, intact, since, first_low = [], 0, 0, -1
        values = (len(lows), intact, before, since, alone, last_intact, first_low, last_seen)
        names = ("n_low", "n_intact", "n_before", "n_after", "alone", "last_intact", "first_low", "last_seen")
        for name, value in zip(names, values, strict=True):
            told[name][pixel] = value
        told["before"][pixel] = sum(low[0] for low in lows)
        told["after"][pixel] = sum(low[1] for low in lows)
        told["level"][pixel] = level
    return told


def classify(
    counts: NDArray[np.int16],
    when: NDArray[np.int16],
    sums: NDArray[np.float32],
    inside: NDArray[np.bool_],
    first_day: int,
    first_told: int,
    confirmations: int,
    felling_drop: float,
) -> tuple[NDArray[np.uint8], int]:
    """State of each pixel (0 not forest, 1 intact, 2 provisional, 3 confirmed, 4 unobserved), how many are observed."""
    n_low, convincing = counts[0], counts[4] == 1
    last_intact, first_low, last_seen = when
    seen = last_seen >= first_day
    told = inside & (n_low > 0) & (last_intact >= 0) & (first_low >= first_told)
    confirmed = told & (n_low >= confirmations)
    drop = (sums[0] - sums[1]) / np.maximum(n_low, 1)
    provisional = told & ~confirmed & convincing & (drop >= np.float32(felling_drop))
    state = np.where(seen & (n_low == 0), 1, 4)
    state[confirmed], state[provisional], state[~inside] = 3, 2, 0
    return state.astype(np.uint8), int((seen & np.isin(state, (1, 2, 3))).sum())


def days_saved(clear: NDArray[np.uint8], kept: NDArray[np.bool_], days: list[int], period: int) -> list[int]:
    """What all losses wait without a date, less what they wait with it: every loss is followed, day by day."""
    saved = [0] * len(days)
    for pixel in clear.T:
        looks = [date for date in range(len(days)) if kept[date] and pixel[date]]
        for date in looks:
            others = [days[other] for other in looks if other != date]
            if others:
                saved[date] += _waits(others, period) - _waits([days[look] for look in looks], period)
            else:
                # The next period shows it, and the one after that confirms it.
                saved[date] += 3 * period * period
    return saved


def _waits(looks: list[int], period: int) -> int:
    """Days until the first and the second look after a loss, over the losses of every day of a period."""
    again = sorted(look + turn * period for look in looks for turn in range(4))
    total = 0
    for lost in range(period):
        later = [look for look in again if look > lost]
        total += later[0] - lost + later[1] - lost
    return total
