"""Plain twins of the terrain's kernels in `detector.kernels`, and of what is made of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.ndimage import generic_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def cover_pixels(polygon: Any, n_rows: int, n_cols: int) -> NDArray[np.float64]:
    """Cut the polygon with every pixel."""
    rows, cols = np.indices((n_rows, n_cols))
    return np.asarray(shapely.area(shapely.intersection(polygon, shapely.box(cols, rows, cols + 1, rows + 1))))


def horn_gradient(elevation: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Horn's weights over every window of three by three."""
    weights = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8
    if min(elevation.shape) < 3:
        return np.empty((0, 0)), np.empty((0, 0))
    inner = (slice(1, -1), slice(1, -1))

    def rise(along: NDArray[np.float64]) -> NDArray[np.float64]:
        found = generic_filter(elevation.astype(np.float64), lambda window: (window * along.ravel()).sum(), size=3)
        return np.asarray(found[inner])

    return rise(weights), rise(weights.T)


def label_pairs(n: int, pairs: Iterable[tuple[int, int]]) -> NDArray[np.int32]:
    """Connected components by scipy, numbered by their first thing."""
    one, other = np.array(list(pairs), np.int64).reshape(-1, 2).T
    _, labels = connected_components(coo_array((np.ones(one.size), (one, other)), shape=(n, n)), directed=False)
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].astype(np.int32)
