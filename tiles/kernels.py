"""The numba kernels over pixels: arrays and scalars in, arrays out.

Every kernel releases the GIL, does no I/O, and has a plain-numpy twin in ``tests/oracles/``. NDVI is kept as 16-bit
integers, ten thousandths (`NDVI_SCALE`), `MISSING` where nothing was seen: half the memory of a float, and finer
than the sensor.

Watched pixels of a window are kept as one-dimensional lists, cell after cell, so that what is computed grows with the
forest and not with the window; `gather_ndvi` makes such a list, of which the other kernels take slices.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

NDVI_SCALE: Final = 10_000
MISSING: Final = -32_768
HISTOGRAM_BINS: Final = 1_000
"""Bins of an anomaly histogram, over -1 <= anomaly < 1: 0.002 NDVI wide."""
NIR_BINS: Final = 500
"""Bins of a near-infrared histogram, over reflectances 0 <= nir < 1: 0.002 wide."""
_CHUNK: Final = 4_096
"""Pixels that are followed through all dates before the next: what is known of them stays in the nearest cache."""


@njit(cache=True, nogil=True)
def clear_mask(
    scl: NDArray[np.uint8],
    first_row: int,
    clear_classes: int,
    obscuring_classes: int,
    margin: int,
    out: NDArray[np.uint8],
) -> None:
    """Mark the pixels that are clear, and further than a margin from what obscures.

    Parameters
    ----------
    scl : uint8, shape (rows + margins, cols)
        Scene classification, with the rows above and below that the margin needs, as far as the tile has them.
    first_row
        Row of `scl` that is row 0 of `out`.
    clear_classes, obscuring_classes
        Sets of classes, a bit each.
    margin
        Pixels of `scl` around an obscuring one (a square) that are not clear.
    out : uint8, shape (rows, cols)
        Written: 1 where clear, else 0.
    """
    height, cols = scl.shape
    wanted, unwanted = np.uint32(clear_classes), np.uint32(obscuring_classes)
    padded = np.zeros(cols + 2 * margin, np.uint8)
    near = np.zeros((height, cols), np.uint8)
    for row in range(height):
        classes, here = scl[row], padded[margin : margin + cols]
        for col in range(cols):
            here[col] = np.uint8((unwanted >> np.uint32(classes[col] & 31)) & np.uint32(1))
        for shift in range(2 * margin + 1):
            _or_row(padded[shift : shift + cols], near[row])
    around = np.empty(cols, np.uint8)
    for row in range(out.shape[0]):
        source = row + first_row
        around[:] = 0
        for other in range(max(0, source - margin), min(height, source + margin + 1)):
            _or_row(near[other], around)
        classes, written = scl[source], out[row]
        for col in range(cols):
            bit = np.uint8((wanted >> np.uint32(classes[col] & 31)) & np.uint32(1))
            written[col] = bit & (np.uint8(1) - around[col])


@njit(cache=True, nogil=True)
def _or_row(row: NDArray[np.uint8], into: NDArray[np.uint8]) -> None:
    for col in range(into.size):
        into[col] |= row[col]


@njit(cache=True, nogil=True)
def _spread(coarse: NDArray[np.uint8], size: int, out: NDArray[np.uint8]) -> None:
    """Repeat each value over the pixels that it covers. Two is written out, being every Sentinel-2 scene's."""
    if size == 2:
        for col in range(coarse.size):
            out[2 * col] = coarse[col]
            out[2 * col + 1] = coarse[col]
    else:
        for col in range(coarse.size):
            for fine in range(size):
                out[size * col + fine] = coarse[col]


@njit(cache=True, nogil=True, error_model="numpy")
def gather_ndvi(
    red: NDArray[np.uint16],
    nir: NDArray[np.uint16],
    clear: NDArray[np.uint8],
    size: int,
    dn_offset: int,
    runs: NDArray[np.int32],
    ndvi: NDArray[np.int16],
    near_infrared: NDArray[np.int16],
) -> None:
    """NDVI of the watched pixels of a window, as a list.

    Parameters
    ----------
    red, nir : uint16, shape (rows, cols)
        Digital numbers; 0 is no data.
    clear : uint8, shape (ceil(rows / size), ceil(cols / size))
        1 where the scene is clear.
    size
        Band pixels along a side of a pixel of `clear`.
    dn_offset
        Added to a digital number before it is reflectance * 10000.
    runs : int32, shape (runs, 4)
        Row, first column, end column, and place in the list, of each run of watched pixels.
    ndvi : int16, shape (pixels,)
        Written: NDVI * 10000, -10000 to 10000, `MISSING` where not clear or without data.
    near_infrared : int16, shape (pixels,) or (0,)
        Written, unless empty: near-infrared reflectance * 10000 of the same pixels.
    """
    zero, half, one, scale = np.float32(0), np.float32(0.5), np.float32(1), np.float32(NDVI_SCALE)
    twice_offset, brightest = np.float32(2 * dn_offset), np.int32(32_767)
    keep_nir = near_infrared.size > 0
    clear_row = np.empty(clear.shape[1] * size, np.uint8)
    spread = -1
    for run in range(runs.shape[0]):
        row, start, stop, place = runs[run, 0], runs[run, 1], runs[run, 2], runs[run, 3]
        if row // size != spread:
            spread = row // size
            _spread(clear[spread], size, clear_row)
        # Slices, then indices from 0: an index that might be negative keeps numba from vector instructions.
        red_run, nir_run, clear_run = red[row, start:stop], nir[row, start:stop], clear_row[start:stop]
        out = ndvi[place : place + stop - start]
        for index in range(out.size):
            red_dn, nir_dn = np.float32(red_run[index]), np.float32(nir_run[index])
            total = nir_dn + red_dn + twice_offset
            valid = (red_dn * nir_dn > zero) & (clear_run[index] != 0) & (total > zero)
            ratio = scale * (nir_dn - red_dn) / (total if valid else one)
            ratio = ratio if ratio < scale else scale
            ratio = ratio if ratio > -scale else -scale
            value = np.int16(np.int32(np.floor(ratio + half)))
            out[index] = value if valid else np.int16(MISSING)
        if keep_nir:
            kept = near_infrared[place : place + stop - start]
            for index in range(kept.size):
                level = np.int32(nir_run[index]) + np.int32(dn_offset)
                kept[index] = np.int16(level if level < brightest else brightest)


@njit(cache=True, nogil=True, error_model="numpy")
def _change_row(
    red_before: NDArray[np.uint16],
    nir_before: NDArray[np.uint16],
    red_after: NDArray[np.uint16],
    nir_after: NDArray[np.uint16],
    clear: NDArray[np.uint8],
    offset_before: int,
    offset_after: int,
    out: NDArray[np.int16],
) -> None:
    """One row of `ndvi_change`: no branch, and single precision throughout, so that it becomes vector instructions."""
    zero, half, one = np.float32(0), np.float32(0.5), np.float32(1)
    scale, limit = np.float32(NDVI_SCALE), np.float32(2 * NDVI_SCALE)
    twice_before, twice_after = np.float32(2 * offset_before), np.float32(2 * offset_after)
    for col in range(out.size):
        r0, n0 = np.float32(red_before[col]), np.float32(nir_before[col])
        r1, n1 = np.float32(red_after[col]), np.float32(nir_after[col])
        s0, s1 = n0 + r0 + twice_before, n1 + r1 + twice_after
        valid = (r0 * n0 * r1 * n1 > zero) & (clear[col] != 0) & (s0 > zero) & (s1 > zero)
        # (n1-r1)/s1 - (n0-r0)/s0 over one common denominator: one division for both dates.
        ratio = scale * ((n1 - r1) * s0 - (n0 - r0) * s1) / (s0 * s1 if valid else one)
        ratio = ratio if ratio < limit else limit
        ratio = ratio if ratio > -limit else -limit
        value = np.int16(np.int32(np.floor(ratio + half)))
        out[col] = value if valid else np.int16(MISSING)


@njit(cache=True, nogil=True)
def _both_clear(
    scl_before: NDArray[np.uint8], scl_after: NDArray[np.uint8], table: NDArray[np.uint8], out: NDArray[np.uint8]
) -> None:
    """One row: 1 where both classes are clear, each value of SCL spread over the pixels that it covers."""
    both = np.empty(scl_before.size, np.uint8)
    for col in range(scl_before.size):
        both[col] = table[scl_before[col]] & table[scl_after[col]]
    _spread(both, out.size // max(1, both.size), out)


@njit(cache=True, nogil=True, error_model="numpy")
def ndvi_change(
    red_before: NDArray[np.uint16],
    nir_before: NDArray[np.uint16],
    scl_before: NDArray[np.uint8],
    offset_before: int,
    red_after: NDArray[np.uint16],
    nir_after: NDArray[np.uint16],
    scl_after: NDArray[np.uint8],
    offset_after: int,
    clear: NDArray[np.uint8],
    out: NDArray[np.int16],
) -> None:
    """NDVI of one date minus that of an earlier one, in one pass over both.

    Parameters
    ----------
    red_before, nir_before, red_after, nir_after : uint16, shape (rows, cols)
        Digital numbers; 0 is no data.
    scl_before, scl_after : uint8, shape (rows / k, cols / k), k a whole number
        Scene classification.
    offset_before, offset_after
        Added to digital numbers before they are reflectance * 10000.
    clear : uint8, shape (256,)
        1 for the classes of SCL that are clear.
    out : int16, shape (rows, cols)
        Written: change * 10000, -20000 to 20000 (negative is a loss), `MISSING` where either date is not clear,
        has no data, or a sum of reflectances that is not positive.
    """
    rows_per_class = max(1, out.shape[0] // max(1, scl_before.shape[0]))
    both = np.empty(out.shape[1], np.uint8)
    for row in range(out.shape[0]):
        if row % rows_per_class == 0:
            _both_clear(scl_before[row // rows_per_class], scl_after[row // rows_per_class], clear, both)
        _change_row(
            red_before[row], nir_before[row], red_after[row], nir_after[row], both, offset_before, offset_after,
            out[row],
        )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy", parallel=True)
def ndvi_change_parallel(
    red_before: NDArray[np.uint16],
    nir_before: NDArray[np.uint16],
    scl_before: NDArray[np.uint8],
    offset_before: int,
    red_after: NDArray[np.uint16],
    nir_after: NDArray[np.uint16],
    scl_after: NDArray[np.uint8],
    offset_after: int,
    clear: NDArray[np.uint8],
    out: NDArray[np.int16],
) -> None:
    """`ndvi_change` of arrays in memory by all threads. Not for use inside a thread of the engine."""
    rows_per_class = max(1, out.shape[0] // max(1, scl_before.shape[0]))
    for coarse in prange(scl_before.shape[0]):
        both = np.empty(out.shape[1], np.uint8)
        _both_clear(scl_before[coarse], scl_after[coarse], clear, both)
        for row in range(coarse * rows_per_class, (coarse + 1) * rows_per_class):
            _change_row(
                red_before[row], nir_before[row], red_after[row], nir_after[row], both, offset_before, offset_after,
                out[row],
            )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def _solve(gram: NDArray[np.float64], right: NDArray[np.float64], order: int, out: NDArray[np.float64]) -> bool:
    """Solve a symmetric positive system, its lower triangle packed by rows, by Cholesky's method."""
    low = np.empty(gram.size, np.float64)
    for i in range(order):
        for j in range(i + 1):
            total = gram[i * (i + 1) // 2 + j]
            for k in range(j):
                total -= low[i * (i + 1) // 2 + k] * low[j * (j + 1) // 2 + k]
            if i == j:
                # Relative to its own diagonal: below that, rounding is all that is left of it.
                if total <= 1e-10 * gram[i * (i + 1) // 2 + i] or total <= 0.0:
                    return False
                low[i * (i + 1) // 2 + i] = math.sqrt(total)
            else:
                low[i * (i + 1) // 2 + j] = total / low[j * (j + 1) // 2 + j]
    for i in range(order):
        total = right[i]
        for k in range(i):
            total -= low[i * (i + 1) // 2 + k] * out[k]
        out[i] = total / low[i * (i + 1) // 2 + i]
    for i in range(order - 1, -1, -1):
        total = out[i]
        for k in range(i + 1, order):
            total -= low[k * (k + 1) // 2 + i] * out[k]
        out[i] = total / low[i * (i + 1) // 2 + i]
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def fit_harmonics(
    ndvi: NDArray[np.int16],
    design: NDArray[np.float64],
    ridge: float,
    min_observations: int,
    trims: int,
    trim_sigma: float,
    trim_floor: float,
    coefficients: NDArray[np.float32],
    peak: NDArray[np.float32],
    count: NDArray[np.int16],
) -> None:
    """Least-squares fit of a seasonal curve to each pixel, without its low outliers.

    Parameters
    ----------
    ndvi : int16, shape (dates, pixels)
        NDVI * 10000, `MISSING` where not seen.
    design : float64, shape (dates, terms)
        The curve's terms at each date; the first is the constant.
    ridge
        Added to the diagonal of the normal equations but for the constant, in observations; 0 is plain least squares.
    min_observations
        Pixels with fewer have no fit.
    trims
        How many times low outliers are left out and the rest fitted again; 0 is plain least squares.
    trim_sigma, trim_floor
        Left out are residuals below minus the larger of `trim_sigma` standard errors and `trim_floor` (NDVI).
    coefficients : float32, shape (terms, pixels)
        Written: in NDVI, NaN where there is no fit.
    peak : float32, shape (pixels,)
        Written: highest value of the curve on the dates that were seen, NaN where there is no fit.
    count : int16, shape (pixels,)
        Written: how many dates were seen.
    """
    dates, terms = design.shape
    products = np.empty((dates, terms * (terms + 1) // 2), np.float64)
    for date in range(dates):
        for i in range(terms):
            for j in range(i + 1):
                products[date, i * (i + 1) // 2 + j] = design[date, i] * design[date, j]
    gram = np.empty(products.shape[1], np.float64)
    right = np.empty(terms, np.float64)
    solution = np.empty(terms, np.float64)
    values = np.empty(dates, np.float64)
    when = np.empty(dates, np.int32)
    out_of_fit = np.empty(dates, np.bool_)
    for pixel in range(ndvi.shape[1]):
        n = 0
        gram[:] = 0.0
        right[:] = 0.0
        for date in range(dates):
            raw = ndvi[date, pixel]
            if raw == MISSING:
                continue
            value = raw / NDVI_SCALE
            when[n], values[n], out_of_fit[n] = date, value, False
            n += 1
            for k in range(gram.size):
                gram[k] += products[date, k]
            for k in range(terms):
                right[k] += design[date, k] * value
        count[pixel] = n
        for k in range(1, terms):
            gram[k * (k + 1) // 2 + k] += ridge
        fitted = n >= min_observations and _solve(gram, right, terms, solution)
        kept = n
        for _ in range(trims):
            if not fitted or kept <= terms:
                break
            squares = 0.0
            for k in range(n):
                if not out_of_fit[k]:
                    residual = values[k]
                    for term in range(terms):
                        residual -= design[when[k], term] * solution[term]
                    squares += residual * residual
            limit = -max(trim_sigma * math.sqrt(squares / (kept - terms)), trim_floor)
            left_out = 0
            for k in range(n):
                residual = values[k]
                for term in range(terms):
                    residual -= design[when[k], term] * solution[term]
                if not out_of_fit[k] and residual < limit and kept - left_out > min_observations:
                    out_of_fit[k] = True
                    left_out += 1
                    for j in range(gram.size):
                        gram[j] -= products[when[k], j]
                    for j in range(terms):
                        right[j] -= design[when[k], j] * values[k]
            if left_out == 0:
                break
            kept -= left_out
            fitted = _solve(gram, right, terms, solution)
        highest = -math.inf
        for k in range(n):
            level = 0.0
            for term in range(terms):
                level += design[when[k], term] * solution[term]
            highest = max(highest, level)
        peak[pixel] = highest if fitted else math.nan
        for term in range(terms):
            coefficients[term, pixel] = solution[term] if fitted else math.nan


@njit(cache=True, nogil=True)
def _expect(coefficients: NDArray[np.float32], terms: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """The seasonal curve of some pixels on one date."""
    out[:] = 0.0
    for term in range(terms.size):
        weight, row = terms[term], coefficients[term]
        for pixel in range(out.size):
            out[pixel] += weight * row[pixel]


@njit(cache=True, nogil=True, error_model="numpy")
def anomaly_histograms(
    ndvi: NDArray[np.int16],
    near_infrared: NDArray[np.int16],
    coefficients: NDArray[np.float32],
    lowest: NDArray[np.float32],
    design: NDArray[np.float32],
    cells: NDArray[np.int64],
    stride: int,
    anomalies: NDArray[np.int64],
    levels: NDArray[np.int64],
) -> None:
    """Count, for each date and cell, how far forest is from its curve, and its near-infrared level.

    Parameters
    ----------
    ndvi, near_infrared : int16, shape (dates, pixels)
        NDVI * 10000 and reflectance * 10000; `MISSING` in `ndvi` where not seen.
    coefficients : float32, shape (terms, pixels)
        The seasonal curves.
    lowest : float32, shape (pixels,)
        A date at which the curve is below this says nothing of the pixel (no leaves); NaN: no date does.
    design : float32, shape (dates, terms)
        The curve's terms at each date.
    cells : int64, shape (cells + 1,)
        Where each cell's pixels begin in the list.
    stride
        Every how many pixels one is counted.
    anomalies : int64, shape (dates, cells, HISTOGRAM_BINS)
        Added to: NDVI minus the curve, from -1 to 1.
    levels : int64, shape (dates, cells, NIR_BINS)
        Added to: near-infrared reflectance, from 0 to 1.
    """
    to_bin = np.float32(HISTOGRAM_BINS / 2)
    for cell in range(cells.size - 1):
        part = slice(cells[cell], cells[cell + 1], stride)
        # Copied: what is read once a date is then read in one stretch of memory.
        curves, least = coefficients[:, part].copy(), lowest[part].copy()
        expected = np.empty(least.size, np.float32)
        for date in range(ndvi.shape[0]):
            _expect(curves, design[date], expected)
            raw, nir = ndvi[date, part], near_infrared[date, part]
            counted, leveled = anomalies[date, cell], levels[date, cell]
            for pixel in range(expected.size):
                if raw[pixel] == MISSING or not expected[pixel] >= least[pixel]:
                    continue
                anomaly = raw[pixel] * np.float32(1 / NDVI_SCALE) - expected[pixel]
                place = math.floor((anomaly + np.float32(1)) * to_bin)
                counted[min(max(place, 0), HISTOGRAM_BINS - 1)] += 1
                place = nir[pixel] * NIR_BINS // NDVI_SCALE
                leveled[min(max(place, 0), NIR_BINS - 1)] += 1


@njit(cache=True, nogil=True, error_model="numpy")
def monitor(
    ndvi: NDArray[np.int16],
    near_infrared: NDArray[np.int16],
    coefficients: NDArray[np.float32],
    lowest: NDArray[np.float32],
    design: NDArray[np.float32],
    cells: NDArray[np.int64],
    usable: NDArray[np.bool_],
    background: NDArray[np.float32],
    low_drop: NDArray[np.float32],
    intact_drop: float,
    convincing: NDArray[np.bool_],
    nir_level: NDArray[np.float32],
    dark_share: float,
    counts: NDArray[np.int16],
    dates: NDArray[np.int16],
    sums: NDArray[np.float32],
) -> None:
    """Follow each pixel date by date against its curve.

    An observation is *low* when it lies further below the curve (shifted by what the forest around does that day)
    than the date's own noise explains, *intact* when it lies near the curve, and neither in between. The first low
    after an intact date opens a suspicion; an intact date that makes as many as there were lows closes it.

    Parameters
    ----------
    ndvi, near_infrared, coefficients, lowest, design, cells
        As in `anomaly_histograms`; dates in order.
    usable : bool, shape (dates, cells)
        Whether the date says anything in the cell.
    background : float32, shape (dates, cells)
        What is added to the curve: the cell's shift on that date, NDVI.
    low_drop : float32, shape (dates, cells)
        Drop (positive, NDVI) from which an observation is low.
    intact_drop
        Drop below which it is intact.
    convincing : bool, shape (dates, cells)
        Whether a low of this date may count without a second one.
    nir_level : float32, shape (dates, cells)
        Near-infrared reflectance * 10000 of the forest of the cell on that date; positive where usable.
    dark_share
        A low is dark when the pixel's near infrared, in units of `nir_level`, is at most this share of what it was on
        the last intact date: felling darkens, cloud brightens.
    counts : int16, shape (5, pixels)
        Read and written: lows, intact dates since the first low, dates seen before it, dates seen since, and
        whether the last low was convincing and dark (1) or not (0).
    dates : int16, shape (3, pixels)
        Read and written: index of the last intact date before the suspicion, of its first low, and of the last
        date seen; -1 where there is none.
    sums : float32, shape (3, pixels)
        Read and written: over the lows, the sums of the expected NDVI and of the observed; and the near infrared of
        the last intact date, in units of its `nir_level`.
    """
    buffer = np.empty(_CHUNK, np.float32)
    for cell in range(cells.size - 1):
        for start in range(cells[cell], cells[cell + 1], _CHUNK):
            part = slice(start, min(start + _CHUNK, cells[cell + 1]))
            for date in range(ndvi.shape[0]):
                if usable[date, cell]:
                    expected = buffer[: part.stop - part.start]
                    _expect(coefficients[:, part], design[date], expected)
                    _follow_chunk(
                        date,
                        ndvi[date, part],
                        near_infrared[date, part],
                        expected,
                        lowest[part],
                        background[date, cell],
                        low_drop[date, cell],
                        np.float32(intact_drop),
                        convincing[date, cell],
                        np.float32(1) / nir_level[date, cell],
                        np.float32(dark_share),
                        counts[:, part],
                        dates[:, part],
                        sums[:, part],
                    )


@njit(cache=True, nogil=True, error_model="numpy")
def _follow_chunk(
    date: int,
    ndvi: NDArray[np.int16],
    near_infrared: NDArray[np.int16],
    expected: NDArray[np.float32],
    lowest: NDArray[np.float32],
    shift: np.float32,
    low_drop: np.float32,
    intact_drop: np.float32,
    convincing: bool,
    per_level: np.float32,
    dark_share: np.float32,
    counts: NDArray[np.int16],
    dates: NDArray[np.int16],
    sums: NDArray[np.float32],
) -> None:
    """One date of `monitor`, for pixels of one cell."""
    n_low, n_intact, n_before, n_after, alone = counts[0], counts[1], counts[2], counts[3], counts[4]
    last_intact, first_low, last_seen = dates[0], dates[1], dates[2]
    for pixel in range(ndvi.size):
        if ndvi[pixel] == MISSING or not expected[pixel] >= lowest[pixel]:
            continue
        observed = ndvi[pixel] * np.float32(1 / NDVI_SCALE)
        drop = expected[pixel] + shift - observed
        last_seen[pixel] = date
        if n_low[pixel] == 0:
            if drop < low_drop:
                n_before[pixel] += 1
                if drop < intact_drop:
                    last_intact[pixel] = date
                    sums[2, pixel] = near_infrared[pixel] * per_level
                continue
            first_low[pixel] = date
        n_after[pixel] += 1
        if drop >= low_drop:
            n_low[pixel] += 1
            sums[0, pixel] += expected[pixel] + shift
            sums[1, pixel] += observed
            dark = near_infrared[pixel] * per_level <= dark_share * sums[2, pixel]
            alone[pixel] = 1 if convincing and dark else 0
        elif drop < intact_drop:
            n_intact[pixel] += 1
            if n_intact[pixel] >= n_low[pixel]:
                n_before[pixel] += n_after[pixel]
                n_low[pixel] = n_intact[pixel] = n_after[pixel] = 0
                last_intact[pixel], first_low[pixel] = date, -1
                sums[0, pixel] = sums[1, pixel] = 0.0
                sums[2, pixel] = near_infrared[pixel] * per_level


@njit(cache=True, nogil=True)
def scatter(values: NDArray[np.generic], runs: NDArray[np.int32], out: NDArray[np.generic]) -> None:
    """Put a list of pixels back in their places: the way back from `gather_ndvi`.

    Parameters
    ----------
    values : shape (pixels,)
        The list.
    runs : int32, shape (runs, 4)
        Row, first column, end column, and place in the list, of each run.
    out : shape (rows, cols)
        Written where there are runs.
    """
    for run in range(runs.shape[0]):
        row, start, place = runs[run, 0], runs[run, 1], runs[run, 3]
        for index in range(runs[run, 2] - start):
            out[row, start + index] = values[place + index]
