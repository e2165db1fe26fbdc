"""Plain twins of `detector.kernels`, on dense arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from skimage.measure import label


def label_pixels(
    row: NDArray[np.int32], col: NDArray[np.int32], group: NDArray[np.uint8], day: NDArray[np.int32], apart_days: int
) -> NDArray[np.int32]:
    """Look at every pair of pixels, then number the components by their first pixel."""
    if not row.size:
        return np.empty(0, np.int32)
    near = (abs(row[:, None] - row) <= 1) & (abs(col[:, None] - col) <= 1)
    alike = (group[:, None] == group) | (abs(day[:, None] - day) <= apart_days)
    _, labels = connected_components(near & alike, directed=False)
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].astype(np.int32)


def find_holes(mask: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], int]:
    """Label the background of a mask with a margin around; what is not the margin's is a hole."""
    background = label(~np.pad(mask, 1), connectivity=1)
    holes = (background > 0) & (background != background[0, 0])
    return holes[1:-1, 1:-1], int(background.max()) - 1
