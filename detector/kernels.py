"""The loops over pixels of the patch stage, compiled: arrays in, arrays out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def _root(parent: NDArray[np.int32], i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@njit(cache=True, nogil=True)
def _join(parent: NDArray[np.int32], i: int, j: int) -> None:
    """Join two sets; the lower index stays the root, so that a root is the first pixel of its set."""
    a = _root(parent, i)
    b = _root(parent, j)
    if a < b:
        parent[b] = a
    elif b < a:
        parent[a] = b


@njit(cache=True, nogil=True)
def _numbered(parent: NDArray[np.int32]) -> NDArray[np.int32]:
    """Sets numbered from 0, in the order of their roots; a root comes first, and has its number before the others."""
    labels = np.empty(parent.size, np.int32)
    n_labels = 0
    for i in range(parent.size):
        if parent[i] == i:
            labels[i] = n_labels
            n_labels += 1
        else:
            labels[i] = labels[_root(parent, i)]
    return labels


@njit(cache=True, nogil=True)
def label_pixels(
    row: NDArray[np.int32], col: NDArray[np.int32], group: NDArray[np.uint8], day: NDArray[np.int32], apart_days: int
) -> NDArray[np.int32]:
    """Label the 8-connected components of a sparse list of pixels.

    Two pixels are joined only if they touch (by an edge or a corner), and belong to the same group or have nearly the
    same day. Memory is proportional to the number of pixels, whatever the size of the raster that they come from.

    Parameters
    ----------
    row, col
        int32 (n,). Pixels in row-major order, none twice.
    group
        uint8 (n,). Pixels of one group are joined whatever their days.
    day
        int32 (n,). Days of any count.
    apart_days
        Pixels of different groups are joined if their days differ by this at the most; below zero they never are.

    Returns
    -------
    labels
        int32 (n,). 0 .. k-1, in the order of each component's first pixel.
    """
    n = row.size
    parent = np.empty(n, np.int32)
    above = 0  # first pixel of the row above that may still touch the current one
    for i in range(n):
        parent[i] = i
        beside = i > 0 and row[i - 1] == row[i] and col[i - 1] == col[i] - 1
        if beside and (group[i - 1] == group[i] or abs(day[i - 1] - day[i]) <= apart_days):
            _join(parent, i - 1, i)
        while above < i and (row[above] < row[i] - 1 or (row[above] == row[i] - 1 and col[above] < col[i] - 1)):
            above += 1
        j = above
        while j < i and row[j] == row[i] - 1 and col[j] <= col[i] + 1:
            if group[j] == group[i] or abs(day[j] - day[i]) <= apart_days:
                _join(parent, j, i)
            j += 1
    return _numbered(parent)


@njit(cache=True, nogil=True)
def _flood(open_ground: NDArray[np.bool_], stack: NDArray[np.int64], row: int, col: int) -> None:
    """Close the 4-connected open ground that holds (row, col)."""
    n_rows, n_cols = open_ground.shape
    open_ground[row, col] = False
    stack[0] = row * n_cols + col
    size = 1
    while size > 0:
        size -= 1
        r = stack[size] // n_cols
        c = stack[size] % n_cols
        for step in range(4):
            rr = r + (step == 0) - (step == 1)
            cc = c + (step == 2) - (step == 3)
            if 0 <= rr < n_rows and 0 <= cc < n_cols and open_ground[rr, cc]:
                # Closed when pushed, so that no pixel is pushed twice and the stack cannot overflow.
                open_ground[rr, cc] = False
                stack[size] = rr * n_cols + cc
                size += 1


@njit(cache=True, nogil=True)
def find_holes(mask: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], int]:
    """Find the holes of a mask: background that no 4-connected path leads out of.

    Parameters
    ----------
    mask
        bool (rows, cols). Everything beyond its edges counts as background.

    Returns
    -------
    holes
        bool (rows, cols). The pixels of the holes.
    n_holes
        Number of 4-connected holes.
    """
    n_rows, n_cols = mask.shape
    open_ground = np.empty((n_rows, n_cols), np.bool_)
    n_open = 0
    for r in range(n_rows):
        for c in range(n_cols):
            open_ground[r, c] = not mask[r, c]
            n_open += open_ground[r, c]
    stack = np.empty(n_open + 1, np.int64)
    for r in range(n_rows):
        for c in range(n_cols):
            at_edge = r == 0 or c == 0 or r == n_rows - 1 or c == n_cols - 1
            if at_edge and open_ground[r, c]:
                _flood(open_ground, stack, r, c)
    holes = open_ground.copy()
    n_holes = 0
    for r in range(n_rows):
        for c in range(n_cols):
            if open_ground[r, c]:
                _flood(open_ground, stack, r, c)
                n_holes += 1
    return holes, n_holes


@njit(cache=True, nogil=True)
def cover_pixels(
    col: NDArray[np.float64], row: NDArray[np.float64], ring_stops: NDArray[np.int64], n_rows: int, n_cols: int
) -> NDArray[np.float64]:
    """Share of each pixel that lies inside a polygon, exactly.

    Each edge leaves in the pixels that it crosses what it has to their right, and in the next ones the rest of its
    height; the sum along a row is then the area inside (as glyphs are drawn; R. Levien, font-rs, 2016). The cost is
    that of the edges and the pixels, without clipping the polygon to each of them.

    Parameters
    ----------
    col, row
        float64 (n,). Corners in pixels (0 is the left or upper edge), within the raster. Rings one after the other,
        each closed; holes wind the other way than shells.
    ring_stops
        int64 (k,). Where each ring ends: index after its last corner.
    n_rows, n_cols
        Of the raster.

    Returns
    -------
    share
        float64 (n_rows, n_cols), 0 to 1.
    """
    share = np.zeros((n_rows, n_cols + 2))
    start = 0
    for stop in ring_stops:
        for i in range(start, stop - 1):
            _leave_edge(share, col[i], row[i], col[i + 1], row[i + 1])
        start = stop
    out = np.empty((n_rows, n_cols))
    for r in range(n_rows):
        total = 0.0
        for c in range(n_cols):
            total += share[r, c]
            out[r, c] = min(abs(total), 1.0)
    return out


@njit(cache=True, nogil=True)
def _leave_edge(share: NDArray[np.float64], x0: float, y0: float, x1: float, y1: float) -> None:
    """Add what one edge has to its right, with the sign of the way that it runs."""
    if y0 == y1:
        return
    sign = 1.0
    if y0 > y1:
        x0, y0, x1, y1 = x1, y1, x0, y0
        sign = -1.0
    slant = (x1 - x0) / (y1 - y0)
    for r in range(int(np.floor(y0)), int(np.ceil(y1))):
        top = max(y0, r)
        bottom = min(y1, r + 1)
        left = x0 + (top - y0) * slant
        right = x0 + (bottom - y0) * slant
        if left > right:
            left, right = right, left
        _leave_piece(share, r, left, right, sign * (bottom - top))


@njit(cache=True, nogil=True)
def _leave_piece(share: NDArray[np.float64], r: int, left: float, right: float, height: float) -> None:
    """Add a piece of an edge within one row of pixels, as differences from each pixel to the next."""
    first = int(np.floor(left))
    last = max(int(np.ceil(right)) - 1, first)
    previous = 0.0
    for c in range(first, last + 1):
        # Of pixel c: the height that the piece has left of it, whole, and that inside it, as wide as is to its right.
        if right > left:
            a = max(left, c)
            b = min(right, c + 1)
            area = height * ((a - left) + (b - a) * (c + 1 - 0.5 * (a + b))) / (right - left)
        else:
            area = height * (c + 1 - left)
        share[r, c] += area - previous
        previous = area
    share[r, last + 1] += height - previous


@njit(cache=True, nogil=True)
def horn_gradient(elevation: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rise of the ground along columns and rows, by the weighted differences of the eight neighbours.

    Parameters
    ----------
    elevation
        float32 (rows + 2, cols + 2). With a margin of one pixel around; NaN where there is no data.

    Returns
    -------
    along_cols, along_rows
        float64 (rows, cols). Rise from a pixel to the next one right, and to the next one below, in the unit of the
        elevation; NaN where the pixel or a neighbour has no data.

    References
    ----------
    B. K. P. Horn, Hill shading and the reflectance map, Proc. IEEE 69 (1), 14-47 (1981),
    doi:10.1109/PROC.1981.11918.
    """
    rows = elevation.shape[0] - 2
    cols = elevation.shape[1] - 2
    along_cols = np.empty((rows, cols))
    along_rows = np.empty((rows, cols))
    for r in range(rows):
        for c in range(cols):
            a, b, d = float(elevation[r, c]), float(elevation[r, c + 1]), float(elevation[r, c + 2])
            e, f = float(elevation[r + 1, c]), float(elevation[r + 1, c + 2])
            g, h, i = float(elevation[r + 2, c]), float(elevation[r + 2, c + 1]), float(elevation[r + 2, c + 2])
            # A pixel without data has no slope, though the formula does not ask for it.
            unknown = 0.0 * float(elevation[r + 1, c + 1]) + 0.0 * (a + b + d + e + f + g + h + i)
            along_cols[r, c] = (d + 2 * f + i - a - 2 * e - g) / 8 + unknown
            along_rows[r, c] = (g + 2 * h + i - a - 2 * b - d) / 8 + unknown
    return along_cols, along_rows


@njit(cache=True, nogil=True)
def label_pairs(n: int, one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int32]:
    """Label the connected components of n things, of which pairs belong together.

    Parameters
    ----------
    n
        How many things.
    one, other
        int64 (k,). Indices of each pair.

    Returns
    -------
    labels
        int32 (n,). 0 .. m-1, in the order of each component's first thing.
    """
    parent = np.arange(n).astype(np.int32)
    for i in range(one.size):
        _join(parent, one[i], other[i])
    return _numbered(parent)


@njit(cache=True, nogil=True)
def edge_pixels(
    row: NDArray[np.int32],
    col: NDArray[np.int32],
    index: NDArray[np.int64],
    stops: NDArray[np.int64],
    masks: NDArray[np.bool_],
    starts: NDArray[np.int64],
    boxes: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Find the pixels of patches that have another ground by one of their four edges.

    Parameters
    ----------
    row, col
        int32 (n,). Pixels on the grid, those of a patch inside its mask.
    index, stops
        Which of them are of each patch, as of `group_moments`.
    masks
        bool (m,). The masks of the patches' bounding boxes, row-major, one after the other.
    starts
        int64 (k,). Where each patch's mask begins.
    boxes
        int64 (k, 4). Upper row, left column, height and width of each.

    Returns
    -------
    edge
        bool (n,). False for pixels of no patch.
    """
    edge = np.zeros(row.size, np.bool_)
    start = 0
    for i in range(stops.size):
        top, left, height, width = boxes[i]
        for j in range(start, stops[i]):
            r = row[index[j]] - top
            c = col[index[j]] - left
            at = starts[i] + r * width + c
            edge[index[j]] = (
                r == 0
                or c == 0
                or r == height - 1
                or c == width - 1
                or not (masks[at - 1] and masks[at + 1] and masks[at - width] and masks[at + width])
            )
        start = stops[i]
    return edge


@njit(cache=True, nogil=True)
def count_rings(
    state: NDArray[np.uint8],
    label: NDArray[np.int32],
    first_row: int,
    wanted: NDArray[np.int64],
    masks: NDArray[np.bool_],
    starts: NDArray[np.int64],
    boxes: NDArray[np.int64],
    area_ha: NDArray[np.float64],
    reach_px: int,
    n_states: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Count what lies in a ring around patches.

    The ring holds the pixels of the raster whose centre is within `reach_px` of the centre of a pixel of the patch,
    but not those of the patch. The distance along a column to the patch is found first, so that each pixel costs the
    width of the ring, not its area (Meijster, Roerdink, Hesselink 2000, A general algorithm for computing distance
    transforms in linear time).

    Parameters
    ----------
    state
        uint8 (rows, cols). Below `n_states`.
    label
        int32 (rows, cols). Patch on which a pixel lies, -1 on none.
    first_row
        Row of the grid where both begin.
    wanted
        int64 (n,). Patches whose rings are counted; their rings lie inside the rows given, or beyond the grid.
    masks, starts, boxes
        As of `edge_pixels`.
    area_ha
        float64 (k,). Of all patches.
    reach_px, n_states
        How far the ring reaches; how many states there are.

    Returns
    -------
    counts
        int64 (n, n_states). Pixels of the ring by state.
    n_others, others_ha
        (n,). Other patches that the ring touches, and the sum of their areas.
    """
    n_rows, n_cols = state.shape
    counts = np.zeros((wanted.size, n_states), np.int64)
    n_others = np.zeros(wanted.size, np.int64)
    others_ha = np.zeros(wanted.size)
    met = np.full(area_ha.size, -1, np.int64)
    for k in range(wanted.size):
        one = wanted[k]
        top, left, height, width = boxes[one]
        apart = _apart_in_columns(masks[starts[one] : starts[one] + height * width], height, width, reach_px)
        for r in range(height + 2 * reach_px):
            y = top - reach_px + r - first_row
            if y < 0 or y >= n_rows:
                continue
            for c in range(max(0, reach_px - left), min(width + 2 * reach_px, n_cols - left + reach_px)):
                if not _near(apart, r, c, reach_px, width):
                    continue
                x = left - reach_px + c
                other = label[y, x]
                if other == one:
                    continue
                counts[k, state[y, x]] += 1
                if other >= 0 and met[other] != k:
                    met[other] = k
                    n_others[k] += 1
                    others_ha[k] += area_ha[other]
    return counts, n_others, others_ha


@njit(cache=True, nogil=True)
def _apart_in_columns(mask: NDArray[np.bool_], height: int, width: int, reach_px: int) -> NDArray[np.int32]:
    """Distance along each column of a mask to its nearest pixel, reach_px + 1 at the most; with a margin of rows."""
    rows = height + 2 * reach_px
    apart = np.full((rows, width), reach_px + 1, np.int32)
    for r in range(height):
        for c in range(width):
            if mask[r * width + c]:
                apart[r + reach_px, c] = 0
    for r in range(1, rows):
        for c in range(width):
            apart[r, c] = min(apart[r, c], apart[r - 1, c] + 1)
    for r in range(rows - 2, -1, -1):
        for c in range(width):
            apart[r, c] = min(apart[r, c], apart[r + 1, c] + 1)
    return apart


@njit(cache=True, nogil=True)
def _near(apart: NDArray[np.int32], r: int, c: int, reach_px: int, width: int) -> bool:
    """Whether a pixel, with a margin of reach_px columns to the left, is within reach of the mask."""
    for j in range(max(0, c - 2 * reach_px), min(width, c + 1)):
        along = j + reach_px - c
        if along * along + apart[r, j] * apart[r, j] <= reach_px * reach_px:
            return True
    return False


@njit(cache=True, nogil=True)
def group_moments(
    values: NDArray[Any], index: NDArray[np.int64], stops: NDArray[np.int64], spread: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mean, population standard deviation and largest of the known values of each group.

    Group i has the values at ``index[stops[i - 1] : stops[i]]``; they are added in this order, in double precision. The
    deviation is that of a second pass: sums of squares alone would lose the digits of dates.

    Parameters
    ----------
    values
        Of any real type; NaN is unknown.
    index
        int64 (n,). Where the values of the groups are, group by group.
    stops
        int64 (groups,). Where each group ends in `index`.
    spread
        Whether deviations are wanted, at the price of the second pass.

    Returns
    -------
    means, deviations, largest
        float64 (groups,); NaN where a group has no known value, and deviations that are not wanted.
    """
    means, deviations, largest = np.empty(stops.size), np.empty(stops.size), np.empty(stops.size)
    start = 0
    for i in range(stops.size):
        total, squares, most, count = 0.0, 0.0, -np.inf, 0
        for j in range(start, stops[i]):
            value = float(values[index[j]])
            if not np.isnan(value):
                total += value
                most = max(most, value)
                count += 1
        mean = total / count if count else np.nan
        for j in range(start, stops[i] if spread else start):
            apart = float(values[index[j]]) - mean
            if not np.isnan(apart):
                squares += apart * apart
        means[i] = mean
        deviations[i] = np.sqrt(squares / count) if count and spread else np.nan
        largest[i] = most if count else np.nan
        start = stops[i]
    return means, deviations, largest


@njit(cache=True, nogil=True)
def group_quantiles(
    values: NDArray[Any],
    index: NDArray[np.int64],
    stops: NDArray[np.int64],
    q: NDArray[np.float64],
    unknown: int,
    least_if_unknown: bool,
) -> NDArray[np.float64]:
    """Order statistics of the known values of each group, found by counting how often each value occurs.

    Of n values that at the place ``floor(q * (n - 1))``, from the smallest on: one of them, the lower of two in doubt.

    Parameters
    ----------
    values
        Whole numbers of a narrow range, such as days of some years: a counter is kept for each.
    index, stops
        As of `group_moments`.
    q
        float64 (k,). Between 0 and 1.
    unknown
        The value that stands for an unknown one.
    least_if_unknown
        Whether unknown values count as less than all others; otherwise they are left out.

    Returns
    -------
    quantiles
        float64 (k, groups). NaN where a group has no value, -inf where it is an unknown one.
    """
    quantiles = np.full((q.size, stops.size), np.nan)
    lowest, highest = np.iinfo(np.int64).max, np.iinfo(np.int64).min
    for i in index:
        if values[i] != unknown:
            lowest, highest = min(lowest, values[i]), max(highest, values[i])
    counts = np.zeros(max(0, highest - lowest) + 1 if lowest <= highest else 1, np.int64)
    start = 0
    for i in range(stops.size):
        least, most, n, n_unknown = highest, lowest, 0, 0
        for j in range(start, stops[i]):
            value = values[index[j]]
            if value == unknown:
                n_unknown += 1
            else:
                counts[value - lowest] += 1
                least, most = min(least, value), max(most, value)
                n += 1
        below = n_unknown if least_if_unknown else 0
        for k in range(q.size):
            if n + below:
                place, value = int(np.floor(q[k] * (n + below - 1))) - below, least
                while place >= 0 and place >= counts[value - lowest]:
                    place -= counts[value - lowest]
                    value += 1
                quantiles[k, i] = float(value) if place >= 0 else -np.inf
        if n:
            counts[least - lowest : most - lowest + 1] = 0
        start = stops[i]
    return quantiles


@njit(cache=True, nogil=True)
def mask_moments(
    masks: NDArray[np.bool_], starts: NDArray[np.int64], boxes: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count and sum the places of each patch's ground, in its bounding box.

    Parameters
    ----------
    masks, starts, boxes
        As of `edge_pixels`.

    Returns
    -------
    count
        int64 (k,). Pixels.
    sums
        int64 (k, 5). Of their rows, columns, squared rows, squared columns, and rows times columns.
    """
    count = np.zeros(starts.size, np.int64)
    sums = np.zeros((starts.size, 5), np.int64)
    for i in range(starts.size):
        at = starts[i]
        for r in range(boxes[i, 2]):
            here, cols, squares = 0, 0, 0
            for c in range(boxes[i, 3]):
                if masks[at]:
                    here += 1
                    cols += c
                    squares += c * c
                at += 1
            count[i] += here
            sums[i, 0] += r * here
            sums[i, 1] += cols
            sums[i, 2] += r * r * here
            sums[i, 3] += squares
            sums[i, 4] += r * cols
    return count, sums
