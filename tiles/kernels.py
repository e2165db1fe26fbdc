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

from tiles.pixel_state import PixelState

CODE_STEP: Final = 0.004
"""NDVI that a step of a coded coefficient is worth (`tiles.reference`)."""
CODE_MIDDLE: Final = 0.5
"""NDVI that the constant of a coded curve has at code 0."""
NDVI_SCALE: Final = 10_000
MISSING: Final = -32_768
HISTOGRAM_BINS: Final = 1_000
"""Bins of an anomaly histogram, over -1 <= anomaly < 1: 0.002 NDVI wide."""
NIR_BINS: Final = 500
"""Bins of a near-infrared histogram, over reflectances 0 <= nir < 1: 0.002 wide."""
_BATCH: Final = 512
"""Pixels that are fitted side by side: each step of the arithmetic is then a row of vector instructions."""
_CHUNK: Final = 4_096
"""Pixels that are followed through all dates before the next: what is known of them stays in the nearest cache."""
_NOT_FOREST: Final = int(PixelState.NOT_FOREST)
_FOREST: Final = int(PixelState.INTACT)
_PROVISIONAL: Final = int(PixelState.PROVISIONAL)
_CONFIRMED: Final = int(PixelState.CONFIRMED)
_UNOBSERVED: Final = int(PixelState.UNOBSERVED)
_BLOCK: Final = 64
"""Pixels of a chunk that are passed over together where none of them needs following."""
_SEEN: Final = 1
"""Mark of a pixel that one date says something of."""
_CALM: Final = 2
"""Mark of one that was seen, is not low, and has no open suspicion."""
_INTACT: Final = 4
"""Mark of one that is calm, and near its curve."""


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
    # As many rows as reach one another: fresh memory for all of them would cost more than the arithmetic.
    kept = 2 * margin + 1
    near = np.empty((kept, cols), np.uint8)
    around = np.empty(cols, np.uint8)
    done = max(0, first_row - margin)
    for row in range(out.shape[0]):
        source = row + first_row
        top, bottom = max(0, source - margin), min(height, source + margin + 1)
        while done < bottom:
            classes, here, into = scl[done], padded[margin : margin + cols], near[done % kept]
            for col in range(cols):
                here[col] = np.uint8((unwanted >> np.uint32(classes[col] & 31)) & np.uint32(1))
            into[:] = 0
            for shift in range(kept):
                _or_row(padded[shift : shift + cols], into)
            done += 1
        around[:] = 0
        for other in range(top, bottom):
            _or_row(near[other % kept], around)
        classes, written = scl[source], out[row]
        for col in range(cols):
            bit = np.uint8((wanted >> np.uint32(classes[col] & 31)) & np.uint32(1))
            written[col] = bit & (np.uint8(1) - around[col])


@njit(cache=True, nogil=True)
def _or_row(row: NDArray[np.uint8], into: NDArray[np.uint8]) -> None:
    for col in range(into.size):
        into[col] |= row[col]


@njit(cache=True, nogil=True)
def add_differences(differences: NDArray[np.unsignedinteger], left: int, out: NDArray[np.unsignedinteger]) -> None:
    """Undo TIFF's predictor of whole numbers (TIFF 6.0, section 14), along rows.

    Parameters
    ----------
    differences : uint8 or uint16, shape (rows, more cols)
        The first pixel of each row, then differences between neighbours, modulo what the type holds.
    left
        First column that is wanted.
    out : shape (rows, cols), of the same dtype
        Written: pixels from `left` on.
    """
    for row in range(out.shape[0]):
        stored, pixels = differences[row], out[row]
        total = np.uint32(0)
        for col in range(left):
            total += np.uint32(stored[col])
        # One stretch of the row, indexed from zero. Four pixels wait for the sum before them once, not in turn.
        wanted = stored[left:]
        fours = pixels.size // 4 * 4
        for col in range(0, fours, 4):
            first, third = np.uint32(wanted[col]), np.uint32(wanted[col + 2])
            two = first + np.uint32(wanted[col + 1])
            pixels[col], pixels[col + 1], pixels[col + 2] = total + first, total + two, total + (two + third)
            total += two + (third + np.uint32(wanted[col + 3]))
            pixels[col + 3] = total
        for col in range(fours, pixels.size):
            total += np.uint32(wanted[col])
            pixels[col] = total


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
        Written, unless empty: near-infrared reflectance * 10000 of the same pixels, where `ndvi` is not `MISSING`.
    """
    keep_nir = near_infrared.size > 0
    clear_row = np.empty(clear.shape[1] * size, np.uint8)
    ndvi_row, nir_row = np.empty(red.shape[1], np.int16), np.empty(red.shape[1], np.int16)
    spread, run = -1, 0
    while run < runs.shape[0]:
        # The runs of a row together: one long stretch is a row of vector instructions, its short parts are not.
        row, first, end = runs[run, 0], runs[run, 1], run + 1
        while end < runs.shape[0] and runs[end, 0] == row and runs[end, 1] > first:
            end += 1
        last = runs[end - 1, 2]
        if row // size != spread:
            spread = row // size
            _spread(clear[spread], size, clear_row)
        _ndvi_row(red, nir, np.uint64(row), np.uint64(first), np.uint64(last), clear_row, dn_offset, ndvi_row, nir_row)
        for part in range(run, end):
            start, place = np.uint64(runs[part, 1]), np.uint64(runs[part, 3])
            pixels = np.uint64(runs[part, 2]) - start
            _copy(ndvi_row, start, pixels, ndvi, place)
            if keep_nir:
                _copy(nir_row, start, pixels, near_infrared, place)
        run = end


@njit(cache=True, nogil=True)
def _copy(
    source: NDArray[np.int16], start: np.uint64, pixels: np.uint64, out: NDArray[np.int16], place: np.uint64
) -> None:
    """Copy a stretch. No slices, which cost more than the pixels; unsigned, since an index might else be negative."""
    for index in range(pixels):
        out[place + index] = source[start + index]


@njit(cache=True, nogil=True, error_model="numpy")
def _ndvi_row(
    red: NDArray[np.uint16],
    nir: NDArray[np.uint16],
    row: np.uint64,
    first: np.uint64,
    last: np.uint64,
    clear: NDArray[np.uint8],
    dn_offset: int,
    ndvi: NDArray[np.int16],
    level: NDArray[np.int16],
) -> None:
    """NDVI * 10000 of a stretch of a row, `MISSING` where not clear or without data; and its near infrared."""
    seen = np.uint8(0)
    for col in range(first, last):
        seen |= clear[col]
    if seen == np.uint8(0):
        for col in range(first, last):
            ndvi[col] = np.int16(MISSING)
        return
    zero, half, one, scale = np.float32(0), np.float32(0.5), np.float32(1), np.float32(NDVI_SCALE)
    twice_offset, offset, brightest = np.float32(2 * dn_offset), np.int32(dn_offset), np.int32(32_767)
    for col in range(first, last):
        red_dn, nir_dn = np.float32(red[row, col]), np.float32(nir[row, col])
        total = nir_dn + red_dn + twice_offset
        valid = (red_dn * nir_dn > zero) & (clear[col] != 0) & (total > zero)
        ratio = scale * (nir_dn - red_dn) / (total if valid else one)
        ratio = ratio if ratio < scale else scale
        ratio = ratio if ratio > -scale else -scale
        value = np.int16(np.int32(np.floor(ratio + half)))
        ndvi[col] = value if valid else np.int16(MISSING)
    for col in range(first, last):
        bright = np.int32(nir[row, col]) + offset
        level[col] = np.int16(bright if bright < brightest else brightest)


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
    scl_before: NDArray[np.uint8], scl_after: NDArray[np.uint8], clear_classes: int, out: NDArray[np.uint8]
) -> None:
    """One row: 1 where both classes are clear, each value of SCL spread over the pixels that it covers."""
    wanted = np.uint32(clear_classes)
    size = out.size // max(1, scl_before.size)
    if size == 2:
        # Every Sentinel-2 scene: one number of two bytes fills both pixels of a class.
        pairs = out.view(np.uint16)
        for col in range(pairs.size):
            both = (wanted >> np.uint32(scl_before[col] & 31)) & (wanted >> np.uint32(scl_after[col] & 31))
            pairs[col] = np.uint16((both & np.uint32(1)) * np.uint32(0x0101))
    else:
        for col in range(scl_before.size):
            both = (wanted >> np.uint32(scl_before[col] & 31)) & (wanted >> np.uint32(scl_after[col] & 31))
            out[size * col : size * (col + 1)] = np.uint8(both & np.uint32(1))


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
    clear_classes: int,
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
    clear_classes
        Set of classes, a bit each.
    out : int16, shape (rows, cols)
        Written: change * 10000, -20000 to 20000 (negative is a loss), `MISSING` where either date is not clear,
        has no data, or a sum of reflectances that is not positive.
    """
    rows_per_class = max(1, out.shape[0] // max(1, scl_before.shape[0]))
    both = np.empty(out.shape[1], np.uint8)
    for row in range(out.shape[0]):
        if row % rows_per_class == 0:
            _both_clear(scl_before[row // rows_per_class], scl_after[row // rows_per_class], clear_classes, both)
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
    clear_classes: int,
    out: NDArray[np.int16],
) -> None:
    """`ndvi_change` of arrays in memory by all threads. Not for use inside a thread of the engine."""
    rows_per_class = max(1, out.shape[0] // max(1, scl_before.shape[0]))
    for coarse in prange(scl_before.shape[0]):
        both = np.empty(out.shape[1], np.uint8)
        _both_clear(scl_before[coarse], scl_after[coarse], clear_classes, both)
        for row in range(coarse * rows_per_class, (coarse + 1) * rows_per_class):
            _change_row(
                red_before[row], nir_before[row], red_after[row], nir_after[row], both, offset_before, offset_after,
                out[row],
            )  # fmt: skip


@njit(cache=True, nogil=True, fastmath={"contract"})
def _add_products(
    factors: NDArray[np.float64], rows: NDArray[np.float64], chosen: NDArray[np.int64], into: NDArray[np.float64]
) -> None:
    """Add to each row k of `into` the `chosen` rows, each times its factor k: four a pass, since storing is dear."""
    fours = chosen.size - chosen.size % 4
    for place in range(0, fours, 4):
        i, j, m, n = chosen[place], chosen[place + 1], chosen[place + 2], chosen[place + 3]
        row_i, row_j, row_m, row_n = rows[i], rows[j], rows[m], rows[n]
        for k in range(into.shape[0]):
            by_i, by_j, by_m, by_n, out = factors[i, k], factors[j, k], factors[m, k], factors[n, k], into[k]
            for pixel in range(out.size):
                out[pixel] += (by_i * row_i[pixel] + by_j * row_j[pixel]) + (by_m * row_m[pixel] + by_n * row_n[pixel])
    for i in chosen[fours:]:
        row_i = rows[i]
        for k in range(into.shape[0]):
            by_i, out = factors[i, k], into[k]
            for pixel in range(out.size):
                out[pixel] += by_i * row_i[pixel]


@njit(cache=True, nogil=True)
def _subtract_product(one: NDArray[np.float64], other: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    for pixel in range(out.size):
        out[pixel] -= one[pixel] * other[pixel]


@njit(cache=True, nogil=True)
def _multiply(by: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    for pixel in range(out.size):
        out[pixel] *= by[pixel]


@njit(cache=True, nogil=True, error_model="numpy")
def _invert_pivot(diagonal: NDArray[np.float64], out: NDArray[np.float64], fitted: NDArray[np.bool_]) -> None:
    """Root of what is left of a diagonal, inverted, since it is divided by again and again."""
    for pixel in range(out.size):
        # Relative to the diagonal itself: below that, rounding is all that is left of it.
        sound = out[pixel] > 1e-10 * diagonal[pixel]
        out[pixel] = 1.0 / math.sqrt(out[pixel] if sound else 1.0)
        fitted[pixel] &= sound


@njit(cache=True, nogil=True)
def _solve(
    gram: NDArray[np.float64],
    right: NDArray[np.float64],
    factor: NDArray[np.float64],
    solution: NDArray[np.float64],
    fitted: NDArray[np.bool_],
) -> None:
    """Solve symmetric positive systems by Cholesky's method, one a pixel; `fitted` turns False where that cannot be.

    The lower triangle of `gram` is packed by rows, which are those of `factor` too; each element is an array of pixels.
    """
    order = right.shape[0]
    factor[:] = gram
    for i in range(order):
        row = i * (i + 1) // 2
        for j in range(i + 1):
            other = j * (j + 1) // 2
            for k in range(j):
                _subtract_product(factor[row + k], factor[other + k], factor[row + j])
            if i == j:
                _invert_pivot(gram[row + i], factor[row + i], fitted)
            else:
                _multiply(factor[other + j], factor[row + j])
    solution[:] = right
    for i in range(order):
        for k in range(i):
            _subtract_product(factor[i * (i + 1) // 2 + k], solution[k], solution[i])
        _multiply(factor[i * (i + 1) // 2 + i], solution[i])
    for i in range(order - 1, -1, -1):
        for k in range(i + 1, order):
            _subtract_product(factor[k * (k + 1) // 2 + i], solution[k], solution[i])
        _multiply(factor[i * (i + 1) // 2 + i], solution[i])


@njit(cache=True, nogil=True)
def _products(design: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each date, what it adds to the normal equations: lower triangle packed by rows."""
    dates, terms = design.shape
    products = np.empty((dates, terms * (terms + 1) // 2), np.float64)
    for date in range(dates):
        for i in range(terms):
            for j in range(i + 1):
                products[date, i * (i + 1) // 2 + j] = design[date, i] * design[date, j]
    return products


@njit(cache=True, nogil=True)
def _load_date(
    ndvi: NDArray[np.int16], values: NDArray[np.float64], inside: NDArray[np.float64], count: NDArray[np.int16]
) -> tuple[bool, bool]:
    """Take in a date: NDVI and ones where seen, else zeros; whether any pixel was seen, and whether all were."""
    some, every = False, True
    for pixel in range(ndvi.size):
        seen = ndvi[pixel] != np.int16(MISSING)
        some |= seen
        every &= seen
    if some:
        for pixel in range(ndvi.size):
            seen = ndvi[pixel] != np.int16(MISSING)
            values[pixel] = np.float64(ndvi[pixel]) * (1.0 / NDVI_SCALE) if seen else 0.0
            inside[pixel] = 1.0 if seen else 0.0
            count[pixel] += np.int16(seen)
    return some, every


@njit(cache=True, nogil=True, fastmath={"contract"})
def _add_squares(
    values: NDArray[np.float64], curve: NDArray[np.float64], inside: NDArray[np.float64], out: NDArray[np.float64]
) -> None:
    for pixel in range(out.size):
        residual = values[pixel] - curve[pixel]
        out[pixel] += inside[pixel] * residual * residual


@njit(cache=True, nogil=True, error_model="numpy")
def _limits(
    squares: NDArray[np.float64],
    kept: NDArray[np.float64],
    fitted: NDArray[np.bool_],
    terms: int,
    trim_sigma: float,
    trim_floor: float,
    out: NDArray[np.float64],
) -> None:
    """Residual under which a date is an outlier, from the sum of squares; none is where nothing is left to judge by."""
    for pixel in range(out.size):
        judged = fitted[pixel] & (kept[pixel] > terms)
        error = math.sqrt(squares[pixel] / (kept[pixel] - terms if judged else 1.0))
        limit = trim_sigma * error
        limit = limit if limit > trim_floor else trim_floor
        out[pixel] = -limit if judged else -math.inf


@njit(cache=True, nogil=True)
def _leave_out(
    limits: NDArray[np.float64],
    fewest: int,
    curve: NDArray[np.float64],
    values: NDArray[np.float64],
    inside: NDArray[np.float64],
    kept: NDArray[np.float64],
    gone: NDArray[np.float64],
    gone_values: NDArray[np.float64],
) -> bool:
    """Leave a date out where its residual is under the limit, unless too few are kept; whether it is anywhere."""
    for pixel in range(limits.size):
        low = (values[pixel] - curve[pixel] < limits[pixel]) & (inside[pixel] > 0.0) & (kept[pixel] > fewest)
        step = 1.0 if low else 0.0
        gone[pixel], gone_values[pixel] = -step, -values[pixel] * step
        inside[pixel] -= step
        kept[pixel] -= step
    some = False
    for pixel in range(limits.size):
        some |= gone[pixel] < 0.0
    return some


@njit(cache=True, nogil=True)
def _raise_peak(ndvi: NDArray[np.int16], curve: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    for pixel in range(out.size):
        level = curve[pixel] if ndvi[pixel] != np.int16(MISSING) else -math.inf
        out[pixel] = level if level > out[pixel] else out[pixel]


@njit(cache=True, nogil=True)
def _evaluate(
    by_term: NDArray[np.float64], solution: NDArray[np.float64], dates: NDArray[np.int64], out: NDArray[np.float64]
) -> None:
    """The curves on some dates."""
    terms = np.arange(solution.shape[0])
    for date in dates:
        out[date] = 0.0
        _add_products(by_term[:, date : date + 1], solution, terms, out[date : date + 1])


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
    (dates, terms), pixels = design.shape, ndvi.shape[1]
    products, by_term, size = _products(design), design.T.copy(), max(1, min(_BATCH, pixels))
    values, inside, curve = np.empty((dates, size)), np.empty((dates, size)), np.empty((dates, size))
    gone, gone_values = np.empty((dates, size)), np.empty((dates, size))
    gram, factor = np.empty((products.shape[1], size)), np.empty((products.shape[1], size))
    right, solution = np.empty((terms, size)), np.empty((terms, size))
    kept, squares, limits, highest = np.empty(size), np.empty(size), np.empty(size), np.empty(size)
    fitted = np.empty(size, np.bool_)
    seen, partly, thinned = np.empty(dates, np.int64), np.empty(dates, np.int64), np.empty(dates, np.int64)
    shared = np.empty(products.shape[1])
    for first in range(0, pixels, size):
        # The last batch reaches back over pixels that have their fit: it is the same again.
        part = slice(min(first, pixels - size), min(first, pixels - size) + size)
        number = count[part]
        number[:], n_seen, n_partly = 0, 0, 0
        shared[:], gram[:], right[:] = 0.0, 0.0, 0.0
        for date in range(dates):
            some, every = _load_date(ndvi[date, part], values[date], inside[date], number)
            if some:
                seen[n_seen] = date
                n_seen += 1
            # Clouds are larger than pixels: most dates see all of a batch, or nothing of it.
            if every:
                shared += products[date]
            elif some:
                partly[n_partly] = date
                n_partly += 1
        for k in range(1, terms):
            shared[k * (k + 1) // 2 + k] += ridge
        for k in range(shared.size):
            gram[k] = shared[k]
        _add_products(products, inside, partly[:n_partly], gram)
        _add_products(design, values, seen[:n_seen], right)
        fitted[:] = number >= min_observations
        _solve(gram, right, factor, solution, fitted)
        _evaluate(by_term, solution, seen[:n_seen], curve)
        kept[:] = number
        for _ in range(trims):
            squares[:], n_thinned = 0.0, 0
            for date in seen[:n_seen]:
                _add_squares(values[date], curve[date], inside[date], squares)
            _limits(squares, kept, fitted, terms, trim_sigma, trim_floor, limits)
            for date in seen[:n_seen]:
                if _leave_out(
                    limits, min_observations, curve[date], values[date], inside[date], kept, gone[date],
                    gone_values[date],
                ):  # fmt: skip
                    thinned[n_thinned] = date
                    n_thinned += 1
            if n_thinned == 0:
                break
            _add_products(products, gone, thinned[:n_thinned], gram)
            _add_products(design, gone_values, thinned[:n_thinned], right)
            _solve(gram, right, factor, solution, fitted)
            _evaluate(by_term, solution, seen[:n_seen], curve)
        highest[:] = -math.inf
        for date in seen[:n_seen]:
            _raise_peak(ndvi[date, part], curve[date], highest)
        for pixel in range(size):
            peak[part][pixel] = highest[pixel] if fitted[pixel] else math.nan
        for term in range(terms):
            for pixel in range(size):
                coefficients[term, part][pixel] = solution[term, pixel] if fitted[pixel] else math.nan


@njit(cache=True, nogil=True)
def _expect(codes: NDArray[np.int8], start: int, terms: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """The seasonal curve of the pixels from `start` on one date."""
    stop, step = start + out.size, np.float32(CODE_STEP)
    constant, middle = codes[0, start:stop], np.float32(CODE_MIDDLE) * terms[0]
    if terms.size == 5:
        # The usual curve in one pass: what comes out of it stays in the registers.
        c1, s1, c2, s2 = codes[1, start:stop], codes[2, start:stop], codes[3, start:stop], codes[4, start:stop]
        w0, w1, w2, w3, w4 = terms[0] * step, terms[1] * step, terms[2] * step, terms[3] * step, terms[4] * step
        for pixel in range(out.size):
            level = middle + w0 * np.float32(constant[pixel])
            first = w1 * np.float32(c1[pixel]) + w2 * np.float32(s1[pixel])
            second = w3 * np.float32(c2[pixel]) + w4 * np.float32(s2[pixel])
            out[pixel] = level + (first + second)
        return
    out[:] = middle
    for term in range(terms.size):
        weight, row = terms[term] * step, codes[term, start:stop]
        for pixel in range(out.size):
            out[pixel] += weight * np.float32(row[pixel])


@njit(cache=True, nogil=True, error_model="numpy")
def anomaly_histograms(
    ndvi: NDArray[np.int16],
    near_infrared: NDArray[np.int16],
    codes: NDArray[np.int8],
    lowest: NDArray[np.uint8],
    design: NDArray[np.float32],
    cells: NDArray[np.int64],
    strides: NDArray[np.int64],
    anomalies: NDArray[np.int64],
    levels: NDArray[np.int64],
) -> None:
    """Count, for each date and cell, how far forest is from its curve, and its near-infrared level.

    Parameters
    ----------
    ndvi, near_infrared : int16, shape (dates, pixels)
        NDVI * 10000 and reflectance * 10000; `MISSING` in `ndvi` where not seen.
    codes : int8, shape (terms, pixels)
        The seasonal curves, in steps of `CODE_STEP` from `CODE_MIDDLE` (constant) or 0 (harmonics).
    lowest : uint8, shape (pixels,)
        In steps of `CODE_STEP`: a date at which the curve is below this says nothing of the pixel (no leaves). With
        255, and codes of 0, no date does.
    design : float32, shape (dates, terms)
        The curve's terms at each date.
    cells : int64, shape (cells + 1,)
        Where each cell's pixels begin in the list.
    strides : int64, shape (cells,)
        Every how many pixels of a cell one is counted.
    anomalies : int64, shape (dates, cells, HISTOGRAM_BINS)
        Added to: NDVI minus the curve, from -1 to 1.
    levels : int64, shape (dates, cells, NIR_BINS)
        Added to: near-infrared reflectance, from 0 to 1.
    """
    to_bin = np.float32(HISTOGRAM_BINS / 2)
    for cell in range(cells.size - 1):
        part = slice(cells[cell], cells[cell + 1], strides[cell])
        # Copied: what is read once a date is then read in one stretch of memory.
        curves, least = codes[:, part].copy(), lowest[part] * np.float32(CODE_STEP)
        expected = np.empty(least.size, np.float32)
        for date in range(ndvi.shape[0]):
            _expect(curves, 0, design[date], expected)
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
    codes: NDArray[np.int8],
    lowest: NDArray[np.uint8],
    design: NDArray[np.float32],
    cells: NDArray[np.int64],
    usable: NDArray[np.bool_],
    background: NDArray[np.float32],
    low_drop: NDArray[np.float32],
    intact_drop: float,
    convincing: NDArray[np.bool_],
    nir_level: NDArray[np.float32],
    dark_share: float,
    settled_lows: int,
    days: NDArray[np.int16],
    counts: NDArray[np.int16],
    when: NDArray[np.int16],
    sums: NDArray[np.float32],
    brightness: NDArray[np.uint8],
) -> None:
    """Follow each pixel date by date against its curve.

    An observation is *low* when it lies further below the curve (shifted by what the forest around does that day)
    than the date's own noise explains, *intact* when it lies near the curve, and neither in between. A first low opens
    a suspicion, whether an intact date came before it (`when` tells) or not; an intact date that makes as many as
    there were lows closes it, unless the lows were too many for weather.

    Parameters
    ----------
    ndvi, near_infrared, codes, lowest, design, cells
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
    settled_lows
        Lows after which intact dates no longer close a suspicion: they are regrowth.
    days : int16, shape (dates,)
        The dates, days since 1970.
    counts : int16, shape (5, pixels)
        Read and written: lows, intact dates since the first low, dates seen before it, dates seen since, and
        whether the last low was convincing and dark (1) or not (0). Without lows, only the first and the third have
        a meaning.
    when : int16, shape (3, pixels)
        Read and written: days of the last intact date before the suspicion (-1 for none), of its first low (without
        meaning where there is none), and of the last date seen (-1 for none).
    sums : float32, shape (2, pixels)
        Read and written: over the lows, the sums of the expected NDVI and of the observed; without lows, no meaning.
    brightness : uint8, shape (pixels,)
        Read and written: near infrared of the last intact date, in hundredths of its `nir_level`.
    """
    curve, drop, mark = np.empty(_CHUNK, np.float32), np.empty(_CHUNK, np.float32), np.empty(_CHUNK, np.uint8)
    places = np.empty(_CHUNK, np.int64)
    for cell in range(cells.size - 1):
        for start in range(cells[cell], cells[cell + 1], _CHUNK):
            size = min(_CHUNK, cells[cell + 1] - start)
            for date in range(ndvi.shape[0]):
                # Clouds are larger than pixels: often nothing was seen of so many neighbours.
                if usable[date, cell] and _any_seen(ndvi[date, start : start + size]):
                    _expect(codes, start, design[date], curve[:size])
                    _follow_chunk(
                        date,
                        start,
                        ndvi,
                        near_infrared,
                        curve[:size],
                        lowest,
                        background[date, cell],
                        low_drop[date, cell],
                        np.float32(intact_drop),
                        convincing[date, cell],
                        np.float32(1) / nir_level[date, cell],
                        np.float32(dark_share),
                        settled_lows,
                        days[date],
                        counts,
                        when,
                        sums,
                        brightness,
                        drop[:size],
                        mark[:size],
                        places,
                    )


@njit(cache=True, nogil=True)
def _any_seen(ndvi: NDArray[np.int16]) -> bool:
    seen = np.uint8(0)
    for pixel in range(ndvi.size):
        seen |= np.uint8(ndvi[pixel] != np.int16(MISSING))
    return bool(seen)


@njit(cache=True, nogil=True, error_model="numpy")
def _follow_chunk(
    date: int,
    start: int,
    ndvi: NDArray[np.int16],
    near_infrared: NDArray[np.int16],
    curve: NDArray[np.float32],
    lowest: NDArray[np.uint8],
    shift: np.float32,
    low_drop: np.float32,
    intact_drop: np.float32,
    convincing: bool,
    per_level: np.float32,
    dark_share: np.float32,
    settled_lows: int,
    day: np.int16,
    counts: NDArray[np.int16],
    when: NDArray[np.int16],
    sums: NDArray[np.float32],
    brightness: NDArray[np.uint8],
    drop: NDArray[np.float32],
    mark: NDArray[np.uint8],
    places: NDArray[np.int64],
) -> None:
    """One date of `monitor`, for the pixels of one cell from `start` on; `drop`, `mark`, `places` give room to work.

    Most pixels are intact and stay so. They are served first, by loops so plain that they become vector instructions;
    the rest are then followed one by one.
    """
    # Row, then slice: numba knows such a part to be contiguous, and of a slice of both axes it does not.
    stop = start + curve.size
    raw, nir = ndvi[date, start:stop], near_infrared[date, start:stop]
    n_low, n_intact = counts[0, start:stop], counts[1, start:stop]
    n_before, n_after, alone = counts[2, start:stop], counts[3, start:stop], counts[4, start:stop]
    last_intact, first_low, last_seen = when[0, start:stop], when[1, start:stop], when[2, start:stop]
    before, after, bright = sums[0, start:stop], sums[1, start:stop], brightness[start:stop]
    per_hundredth = per_level * np.float32(100)
    _mark(raw, curve, lowest[start:stop], n_low, shift, low_drop, intact_drop, drop, mark)
    _note_calm(mark, day, last_seen, last_intact, n_before)
    _put_brightness(mark, nir, per_hundredth, bright)
    for place in range(_find(mark, _SEEN, places)):
        pixel = places[place]
        if n_low[pixel] == 0:
            # What belongs to a suspicion has no meaning before it opens.
            first_low[pixel] = day
            n_intact[pixel] = n_after[pixel] = 0
            before[pixel] = after[pixel] = 0.0
        n_after[pixel] += 1
        if drop[pixel] >= low_drop:
            n_low[pixel] += 1
            before[pixel] += curve[pixel] + shift
            after[pixel] += raw[pixel] * np.float32(1 / NDVI_SCALE)
            darker = nir[pixel] * per_hundredth <= dark_share * np.float32(bright[pixel])
            alone[pixel] = 1 if convincing and darker else 0
        elif drop[pixel] < intact_drop:
            n_intact[pixel] += 1
            if n_intact[pixel] >= n_low[pixel] and n_low[pixel] < settled_lows:
                n_before[pixel] += n_after[pixel]
                n_low[pixel], last_intact[pixel] = 0, day
                bright[pixel] = _hundredths(nir[pixel], per_hundredth)


@njit(cache=True, nogil=True)
def _mark(
    ndvi: NDArray[np.int16],
    curve: NDArray[np.float32],
    lowest: NDArray[np.uint8],
    n_low: NDArray[np.int16],
    shift: np.float32,
    low_drop: np.float32,
    intact_drop: np.float32,
    drop: NDArray[np.float32],
    mark: NDArray[np.uint8],
) -> None:
    """How far each pixel lies below its curve; which were seen, which of them are calm, which intact."""
    scale, step = np.float32(1 / NDVI_SCALE), np.float32(CODE_STEP)
    nothing, seen = np.uint8(0), np.uint8(_SEEN)
    calm, intact = np.uint8(_SEEN | _CALM), np.uint8(_SEEN | _CALM | _INTACT)
    for pixel in range(drop.size):
        below = curve[pixel] + shift - ndvi[pixel] * scale
        drop[pixel] = below
        quiet = (below < low_drop) & (n_low[pixel] == np.int16(0))
        what = intact if below < intact_drop else calm
        what = what if quiet else seen
        speaks = (ndvi[pixel] != np.int16(MISSING)) & (curve[pixel] >= np.float32(lowest[pixel]) * step)
        mark[pixel] = what if speaks else nothing


@njit(cache=True, nogil=True)
def _note_calm(
    mark: NDArray[np.uint8],
    day: np.int16,
    last_seen: NDArray[np.int16],
    last_intact: NDArray[np.int16],
    n_before: NDArray[np.int16],
) -> None:
    """What a date changes of the pixels without a suspicion."""
    zero = np.uint8(0)
    for pixel in range(mark.size):
        bits = mark[pixel]
        last_seen[pixel] = day if bits != zero else last_seen[pixel]
        last_intact[pixel] = day if (bits & np.uint8(_INTACT)) != zero else last_intact[pixel]
        n_before[pixel] += np.int16(1) if (bits & np.uint8(_CALM)) != zero else np.int16(0)


@njit(cache=True, nogil=True)
def _find(mark: NDArray[np.uint8], wanted: int, places: NDArray[np.int64]) -> int:
    """Places of the pixels of a mark, and how many there are. Most blocks have none, and are passed over whole."""
    bit, count = np.uint8(wanted), 0
    for start in range(0, mark.size, _BLOCK):
        block, some = mark[start : start + _BLOCK], np.uint8(0)
        for index in range(block.size):
            some |= np.uint8(block[index] == bit)
        if some:
            for index in range(block.size):
                if block[index] == bit:
                    places[count] = start + index
                    count += 1
    return count


@njit(cache=True, nogil=True)
def _hundredths(nir: np.int16, per_hundredth: np.float32) -> np.uint8:
    level = nir * per_hundredth + np.float32(0.5)
    level = level if level > np.float32(0) else np.float32(0)
    return np.uint8(np.int32(level if level < np.float32(255) else np.float32(255)))


@njit(cache=True, nogil=True)
def _put_brightness(
    mark: NDArray[np.uint8], nir: NDArray[np.int16], per_hundredth: np.float32, out: NDArray[np.uint8]
) -> None:
    for pixel in range(out.size):
        intact = (mark[pixel] & np.uint8(_INTACT)) != np.uint8(0)
        out[pixel] = _hundredths(nir[pixel], per_hundredth) if intact else out[pixel]


@njit(cache=True, nogil=True)
def classify(
    counts: NDArray[np.int16],
    when: NDArray[np.int16],
    sums: NDArray[np.float32],
    inside: NDArray[np.bool_],
    first_day: int,
    first_told: int,
    confirmations: int,
    felling_drop: float,
    out: NDArray[np.uint8],
) -> int:
    """From what each pixel went through to its state at the end of the month.

    Parameters
    ----------
    counts, when, sums
        As in `monitor`.
    inside : bool, shape (pixels,)
        Pixels that are watched; the others are not forest.
    first_day
        Of the month: a pixel that was seen since has been observed. Days since 1970.
    first_told
        Day of the first low from which on a loss is told.
    confirmations
        Low dates from which a loss is confirmed.
    felling_drop
        Mean drop (NDVI) that a lone low must have to be provisional.
    out : uint8, shape (pixels,)
        Written: `PixelState`.

    Returns
    -------
    int
        How many pixels the month said something of.
    """
    n_low, convincing = counts[0], counts[4]
    last_intact, first_low, last_seen = when[0], when[1], when[2]
    day, count = np.int16(first_day), 0
    for pixel in range(out.size):
        state = np.uint8(_FOREST) if last_seen[pixel] >= day else np.uint8(_UNOBSERVED)
        state = state if n_low[pixel] == np.int16(0) else np.uint8(_UNOBSERVED)
        out[pixel] = state if inside[pixel] else np.uint8(_NOT_FOREST)
    for pixel in range(out.size):
        count += int(out[pixel] == np.uint8(_FOREST))
    for pixel in range(out.size):
        # A loss needs a date on which the forest was still there: a gap of years is not a felling. A suspicion that is
        # not told is not intact either: unconfirmed, older than the window, or never seen as forest.
        if n_low[pixel] == 0 or not inside[pixel] or last_intact[pixel] < 0 or first_low[pixel] < first_told:
            continue
        if n_low[pixel] >= confirmations:
            out[pixel] = _CONFIRMED
        elif convincing[pixel] == 1 and (sums[0, pixel] - sums[1, pixel]) / n_low[pixel] >= np.float32(felling_drop):
            out[pixel] = _PROVISIONAL
        if out[pixel] != _UNOBSERVED and last_seen[pixel] >= day:
            count += 1
    return count


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


@njit(cache=True, nogil=True)
def days_saved(
    clear: NDArray[np.uint8],
    weights: NDArray[np.int64],
    kept: NDArray[np.bool_],
    days: NDArray[np.int64],
    period: int,
    out: NDArray[np.int64],
) -> None:
    """What each look is worth: days by which losses of any day are found and confirmed sooner, summed.

    A loss is found at the first look after it, and confirmed at the second. The period is taken to come again.

    Parameters
    ----------
    clear : uint8, shape (dates, pixels)
        1 where a pixel is clear.
    weights : int64, shape (pixels,)
        As how many each pixel counts.
    kept : bool, shape (dates,)
        Dates that are looked at.
    days : int64, shape (dates,)
        Of the period, rising.
    period
        Its days. A pixel without another look waits for as long.
    out : int64, shape (dates,)
        Written: days over all pixels and days of a loss, for finding and for confirming together; 0 where not kept.
    """
    dates, pixels = clear.shape
    out[:] = 0
    looks, gaps = np.empty(dates, np.int64), np.empty(dates, np.int64)
    for pixel in range(pixels):
        count = 0
        for date in range(dates):
            if kept[date] and clear[date, pixel]:
                looks[count] = date
                count += 1
        if not count:
            continue
        for look in range(count - 1):
            gaps[look] = days[looks[look + 1]] - days[looks[look]]
        gaps[count - 1] = days[looks[0]] + period - days[looks[count - 1]]
        # Counts are added so that no index is negative.
        for look in range(count):
            before, two_before = gaps[(look - 1 + count) % count], gaps[(look - 2 + 2 * count) % count]
            after, two_after = gaps[look], gaps[(look + 1) % count]
            if count == 2:
                # Without this one, the other is followed by itself.
                two_after = period
            found = before * after
            confirmed = two_before * after + before * two_after
            out[looks[look]] += weights[pixel] * (found + confirmed)


@njit(cache=True, nogil=True)
def any_in_blocks(mask: NDArray[np.bool_], size: int, out: NDArray[np.uint8]) -> None:
    """Whether any pixel is True in each square block.

    Parameters
    ----------
    mask : bool, shape (rows, cols)
        Pixels.
    size
        Pixels along a block's side.
    out : uint8, shape (ceil(rows / size), ceil(cols / size))
        Written: 1 or 0.
    """
    out[:] = 0
    for row in range(mask.shape[0]):
        pixels, blocks = mask[row], out[row // size]
        whole = pixels.size // size
        for fine in range(size):
            part = pixels[fine::size]
            for block in range(whole):
                blocks[block] |= part[block]
        for col in range(whole * size, pixels.size):
            blocks[whole] |= pixels[col]


@njit(cache=True, nogil=True)
def common_box(mask: NDArray[np.uint8], other: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """The smallest box around the pixels that two masks of one shape have in common.

    Returns
    -------
    tuple of int
        First row, end row, first column, end column; all 0 where there is no such pixel.
    """
    top, bottom, left, right = 0, 0, mask.shape[1], 0
    for row in range(mask.shape[0]):
        one, two = mask[row], other[row]
        found = np.uint8(0)
        for col in range(one.size):
            found |= one[col] & two[col]
        if not found:
            continue
        if bottom == 0:
            top = row
        bottom = row + 1
        for col in range(left):
            if one[col] & two[col]:
                left = col
                break
        for col in range(one.size - 1, right - 1, -1):
            if one[col] & two[col]:
                right = col + 1
                break
    return top, bottom, min(left, right), right


@njit(cache=True, nogil=True)
def find_runs(mask: NDArray[np.bool_], cell: int, runs: NDArray[np.int32], cells: NDArray[np.int64]) -> int:
    """Runs of True along the rows of a mask, square cell after square cell.

    Parameters
    ----------
    mask : bool, shape (rows, cols)
        Watched pixels.
    cell
        Pixels along a cell's side.
    runs : int32, shape (most runs, 4)
        Written: row, first column, end column, and place in the list, of each run.
    cells : int64, shape (cells + 1,)
        Written: where each cell's pixels begin in the list, and where the last end.

    Returns
    -------
    int
        How many runs there are.
    """
    rows, cols = mask.shape
    count, place, index = 0, 0, 0
    for top in range(0, rows, cell):
        for left in range(0, cols, cell):
            cells[index] = place
            index += 1
            for row in range(top, min(top + cell, rows)):
                pixels, inside = mask[row], False
                for col in range(left, min(left + cell, cols)):
                    if pixels[col] and not inside:
                        runs[count, 0], runs[count, 1], runs[count, 3] = row, col, place
                        inside = True
                    elif inside and not pixels[col]:
                        runs[count, 2] = col
                        count += 1
                        inside = False
                    place += pixels[col]
                if inside:
                    runs[count, 2] = min(left + cell, cols)
                    count += 1
    cells[index] = place
    return count


@njit(cache=True, nogil=True)
def collect(values: NDArray[np.generic], runs: NDArray[np.int32], out: NDArray[np.generic]) -> None:
    """Make a list of the pixels of a window: the way there of `scatter`.

    Parameters
    ----------
    values : shape (rows, cols)
        The window.
    runs : int32, shape (runs, 4)
        Row, first column, end column, and place in the list, of each run.
    out : shape (pixels,)
        Written.
    """
    for run in range(runs.shape[0]):
        row, start, place = runs[run, 0], runs[run, 1], runs[run, 3]
        for index in range(runs[run, 2] - start):
            out[place + index] = values[row, start + index]


@njit(cache=True, nogil=True)
def _find_root(parent: NDArray[np.int32], node: int) -> int:
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@njit(cache=True, nogil=True)
def _flag_row(classes: NDArray[np.uint8], wanted: np.uint32, out: NDArray[np.uint8]) -> int:
    """Mark the pixels of a set of classes, from `out[1]` on, and count the runs that they make. `out` ends in zeros."""
    for col in range(classes.size):
        out[col + 1] = np.uint8((wanted >> np.uint32(classes[col] & 31)) & np.uint32(1))
    here, before, starts = out[1:], out[:-1], np.uint32(0)
    for col in range(here.size):
        starts += np.uint32(here[col] & (np.uint8(1) - before[col]))
    return int(starts)


@njit(cache=True, nogil=True)
def _blob_runs(scl: NDArray[np.uint8], bits: np.uint32) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Runs (row, first column, end column, blob) of a set of classes, and each run's parent; 8-connected."""
    rows, cols = scl.shape
    flags = np.zeros(8 * ((cols + 16) // 8), np.uint8)
    total = 0
    for row in range(rows):
        total += _flag_row(scl[row], bits, flags[: cols + 2])
    runs, parent = np.empty((total, 4), np.int32), np.arange(total).astype(np.int32)
    count, above = 0, 0
    for row in range(rows):
        first = count
        if _flag_row(scl[row], bits, flags[: cols + 2]) > 0:
            eights, place = flags.view(np.uint64), 0
            while place < cols + 2:
                # Most of a clear scene is none of these classes: eight pixels are passed at a time.
                if place % 8 == 0 and eights[place // 8] == 0:
                    place += 8
                elif flags[place] == 0:
                    place += 1
                else:
                    start = place
                    while flags[place] != 0:
                        place += 1
                    runs[count, 0], runs[count, 1], runs[count, 2] = row, start - 1, place - 1
                    count += 1
        upper = above
        for run in range(first, count):
            while upper < first and runs[upper, 2] < runs[run, 1]:
                upper += 1
            other = upper
            while other < first and runs[other, 1] <= runs[run, 2]:
                one, two = _find_root(parent, run), _find_root(parent, other)
                # The oldest run of a blob is its root: the same whatever the order of the unions.
                parent[max(one, two)] = min(one, two)
                other += 1
        above = first
    return runs, parent


@njit(cache=True, nogil=True)
def isolated_blobs(
    scl: NDArray[np.uint8],
    cloud_classes: int,
    bright_classes: int,
    spoiling_classes: int,
    calm_classes: int,
    max_extent: int,
    ring: int,
    min_cloud_share: float,
    min_calm_share: float,
) -> NDArray[np.int32]:
    """Small blobs of cloud whose surroundings are clear.

    Parameters
    ----------
    scl : uint8, shape (rows, cols)
        Scene classification.
    cloud_classes, bright_classes, spoiling_classes, calm_classes
        Sets of classes, a bit each. Blobs are 8-connected pixels of the bright and the spoiling ones; a blob that
        holds a spoiling one is never isolated. Cloud classes are bright too; calm ones are neither.
    max_extent
        Rows and columns that a blob may span.
    ring
        Pixels by which the box around a blob is grown to make its surroundings.
    min_cloud_share, min_calm_share
        Share of the blob that must be of the cloud classes, and of the rest of the grown box (as far as the array
        goes) of the calm ones.

    Returns
    -------
    int32, shape (runs, 4)
        Row, first column, end column, and number of the blob from 0, of each run of the isolated blobs' pixels. A
        blob that touches the array's edge is not isolated: what lies beyond is not known.
    """
    rows, cols = scl.shape
    cloudy, bright = np.uint32(cloud_classes), np.uint32(bright_classes)
    spoiling, calm = np.uint32(spoiling_classes), np.uint32(calm_classes)
    runs, parent = _blob_runs(scl, bright | spoiling)
    total, blobs = runs.shape[0], 0
    for run in range(total):
        if parent[run] == run:
            runs[run, 3] = blobs
            blobs += 1
        else:
            runs[run, 3] = runs[_find_root(parent, run), 3]
    # First and last row, first and end column, pixels, pixels of cloud.
    boxes = np.empty((blobs, 6), np.int32)
    boxes[:, 0], boxes[:, 1], boxes[:, 2:] = rows, -1, 0
    boxes[:, 2] = cols
    sound = np.ones(blobs, np.bool_)
    for run in range(total):
        row, start, stop, blob = runs[run, 0], runs[run, 1], runs[run, 2], runs[run, 3]
        box = boxes[blob]
        box[0], box[1] = min(box[0], row), max(box[1], row)
        box[2], box[3] = min(box[2], start), max(box[3], stop)
        box[4] += stop - start
        if box[1] - box[0] >= max_extent or box[3] - box[2] > max_extent:
            sound[blob] = False
        if not sound[blob]:
            continue
        for col in range(start, stop):
            bit = np.uint32(scl[row, col] & 31)
            box[5] += np.int32((cloudy >> bit) & np.uint32(1))
            if (spoiling >> bit) & np.uint32(1):
                sound[blob] = False
    for blob in range(blobs):
        box = boxes[blob]
        if box[0] == 0 or box[2] == 0 or box[1] == rows - 1 or box[3] == cols or box[5] < min_cloud_share * box[4]:
            sound[blob] = False
        if not sound[blob]:
            continue
        left, right = max(0, box[2] - ring), min(cols, box[3] + ring)
        around, calm_around = -box[4], 0
        for row in range(max(0, box[0] - ring), min(rows, box[1] + 1 + ring)):
            classes, seen = scl[row, left:right], np.uint32(0)
            for col in range(classes.size):
                seen += (calm >> np.uint32(classes[col] & 31)) & np.uint32(1)
            calm_around += int(seen)
            around += right - left
        sound[blob] = calm_around >= min_calm_share * around
    number, kept = 0, 0
    numbers = np.full(blobs, -1, np.int32)
    for run in range(total):
        blob = runs[run, 3]
        if sound[blob]:
            if numbers[blob] < 0:
                numbers[blob] = number
                number += 1
            runs[kept] = runs[run]
            runs[kept, 3] = numbers[blob]
            kept += 1
    return runs[:kept].copy()


@njit(cache=True, nogil=True)
def _moved_on(
    runs: NDArray[np.int32],
    first_row: int,
    day: int,
    green: np.uint8,
    max_gap_days: int,
    reach: int,
    ring: int,
    scl: NDArray[np.uint8],
    count: NDArray[np.uint8],
    last_day: NDArray[np.int16],
) -> int:
    """Pixels that were remembered in one blob's place, further than `reach` from it, and are vegetation today."""
    (rows, cols), last = scl.shape, runs.shape[0] - 1
    top, bottom = max(0, runs[0, 0] - first_row - ring), min(rows, runs[last, 0] - first_row + 1 + ring)
    left, right = max(0, runs[:, 1].min() - ring), min(cols, runs[:, 2].max() + ring)
    if bottom <= top:
        return 0
    near = np.zeros((bottom - top, right - left), np.bool_)
    height, width = near.shape
    for run in range(runs.shape[0]):
        row, start, stop = runs[run, 0] - first_row, runs[run, 1], runs[run, 2]
        for other in range(max(top, row - reach), min(bottom, row + reach + 1)):
            near[other - top, max(left, start - reach) - left : min(right, stop + reach) - left] = True
    reached = near.copy()
    stack, size, moved = np.empty(near.size, np.int32), 0, 0
    for place in range(near.size):
        if near[place // width, place % width]:
            stack[size] = place
            size += 1
    while size > 0:
        size -= 1
        row, col = stack[size] // width, stack[size] % width
        for other in range(max(0, row - 1), min(height, row + 2)):
            for beside in range(max(0, col - 1), min(width, col + 2)):
                known = count[top + other, left + beside] > 0
                recent = day - last_day[top + other, left + beside] <= max_gap_days
                if known and recent and not reached[other, beside]:
                    reached[other, beside] = True
                    stack[size] = other * width + beside
                    size += 1
                    moved += int(scl[top + other, left + beside] == green)
    return moved


@njit(cache=True, nogil=True)
def _by_blob(runs: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Runs blob after blob, rows in order, and where each blob's begin; one place more than blobs."""
    blobs = 0
    for run in range(runs.shape[0]):
        blobs = max(blobs, runs[run, 3] + 1)
    first = np.zeros(blobs + 1, np.int64)
    for run in range(runs.shape[0]):
        first[runs[run, 3] + 1] += 1
    first = np.cumsum(first)
    place, ordered = first.copy(), np.empty_like(runs)
    for run in range(runs.shape[0]):
        ordered[place[runs[run, 3]]] = runs[run]
        place[runs[run, 3]] += 1
    return ordered, first


@njit(cache=True, nogil=True)
def free_persistent_clouds(
    runs: NDArray[np.int32],
    first_row: int,
    day: int,
    vegetation: int,
    bare: int,
    looks: int,
    max_gap_days: int,
    reach: int,
    ring: int,
    min_persistent_share: float,
    scl: NDArray[np.uint8],
    count: NDArray[np.uint8],
    last_day: NDArray[np.int16],
) -> None:
    """Read as bare ground the isolated clouds that were there before, and remember those of this date.

    Parameters
    ----------
    runs : int32, shape (runs, 4)
        As from `isolated_blobs`.
    first_row
        Row of the runs that is row 0 of the arrays below; runs outside of these are passed over.
    day
        The date, as days since any epoch, above 0.
    vegetation, bare
        The class that shows that the ground is not bare, and the one that is written.
    looks
        Dates, this one among them, on which a pixel must have been in an isolated blob to be persistent.
    max_gap_days
        Days between two such dates after which counting begins anew.
    reach
        Pixels around a persistent one (a square) whose part in this date's blob counts as persistent too.
    ring
        Pixels by which the box around a blob is grown, to look for what was remembered in its place: pixels that
        touch it, or each other, further than `reach` from it.
    min_persistent_share
        Share of a blob's pixels that must be so, for all of it to be read as bare. Of pixels that were remembered in
        its place, and are vegetation today, there may be the rest of this share, relative to the blob's.
    scl : uint8, shape (rows, cols)
        Read and written: the date's scene classification.
    count : uint8, shape (rows, cols)
        Read and written: dates on which a pixel was in an isolated blob, none of them followed by vegetation.
    last_day : int16, shape (rows, cols)
        Read and written: the last of these dates, 0 where there is none.
    """
    (rows, cols), green, today = scl.shape, np.uint8(vegetation), np.int16(day)
    runs, first = _by_blob(runs)
    blobs = first.size - 1
    moved = np.zeros(blobs, np.int64)
    for blob in range(blobs):
        own = runs[first[blob] : first[blob + 1]]
        moved[blob] = _moved_on(own, first_row, day, green, max_gap_days, reach, ring, scl, count, last_day)
    for row in range(rows):
        classes, counted, days = scl[row], count[row], last_day[row]
        for col in range(cols):
            counted[col] = np.uint8(0) if classes[col] == green else counted[col]
        for col in range(cols):
            days[col] = np.int16(0) if counted[col] == np.uint8(0) else days[col]
    for run in range(runs.shape[0]):
        row = runs[run, 0] - first_row
        if 0 <= row < rows:
            for col in range(runs[run, 1], runs[run, 2]):
                gap = day - last_day[row, col]
                if count[row, col] == 0 or gap > max_gap_days:
                    count[row, col] = 1
                elif gap > 0 and count[row, col] < 255:
                    # Two scenes of one day are one look: they show the same cloud.
                    count[row, col] += 1
                last_day[row, col] = today
    pixels, persistent = np.zeros(blobs, np.int32), np.zeros(blobs, np.int32)
    for run in range(runs.shape[0]):
        row, blob = runs[run, 0] - first_row, runs[run, 3]
        if 0 <= row < rows:
            for col in range(runs[run, 1], runs[run, 2]):
                near = False
                for other in range(max(0, row - reach), min(rows, row + reach + 1)):
                    for beside in range(max(0, col - reach), min(cols, col + reach + 1)):
                        near |= count[other, beside] >= looks and last_day[other, beside] == today
                pixels[blob] += 1
                persistent[blob] += np.int32(near)
    for run in range(runs.shape[0]):
        row, blob = runs[run, 0] - first_row, runs[run, 3]
        enough = persistent[blob] > 0 and persistent[blob] >= min_persistent_share * pixels[blob]
        if 0 <= row < rows and enough and moved[blob] <= (1.0 - min_persistent_share) * pixels[blob]:
            scl[row, runs[run, 1] : runs[run, 2]] = bare
