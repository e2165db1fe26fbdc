"""Plain-numpy twins of the kernels that measure groups of pixels: slow, short, and written from the definitions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def moments_of(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean, population standard deviation and largest of the known values, added one after the other; NaN if none."""
    known = values[~np.isnan(values)].astype(np.float64)
    if not known.size:
        return np.nan, np.nan, np.nan
    mean = np.cumsum(known)[-1] / known.size
    return float(mean), float(np.sqrt(np.cumsum((known - mean) ** 2)[-1] / known.size)), float(known.max())


def quantile_of(values: NDArray[np.float64], q: float) -> float:
    """Known value at the place ``floor(q * (n - 1))``, from the smallest on; NaN if none."""
    known = np.sort(values[~np.isnan(values)])
    return float(known[int(q * (known.size - 1))]) if known.size else np.nan


def places_of(mask: NDArray[np.bool_]) -> tuple[int, list[int]]:
    """Pixels of a mask, and the sums of their rows, columns, both squared, and rows times columns."""
    row, col = np.nonzero(mask)
    return row.size, [int(one.sum()) for one in (row, col, row**2, col**2, row * col)]
