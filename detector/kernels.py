"""The loops over pixels of the patch stage, compiled: arrays in, arrays out."""

from __future__ import annotations

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
    labels = np.empty(n, np.int32)
    n_labels = 0
    for i in range(n):
        if parent[i] == i:
            labels[i] = n_labels
            n_labels += 1
        else:
            # The root comes first, and has its label already.
            labels[i] = labels[_root(parent, i)]
    return labels


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
