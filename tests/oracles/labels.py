"""Plain twins of `detector.kernels`, on dense arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.measure import label


def label_pixels(row: NDArray[np.int32], col: NDArray[np.int32], group: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Label each group on a raster of its own, then renumber by first pixel."""
    if not row.size:
        return np.empty(0, np.int32)
    labels = np.zeros(row.size, np.int64)
    for value in np.unique(group):
        raster = np.zeros((row.max() + 1, col.max() + 1), bool)
        mine = group == value
        raster[row[mine], col[mine]] = True
        components = label(raster, connectivity=2)
        labels[mine] = labels.max() + components[row[mine], col[mine]]
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].astype(np.int32)


def find_holes(mask: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], int]:
    """Label the background of a mask with a margin around; what is not the margin's is a hole."""
    background = label(~np.pad(mask, 1), connectivity=1)
    holes = (background > 0) & (background != background[0, 0])
    return holes[1:-1, 1:-1], int(background.max()) - 1
