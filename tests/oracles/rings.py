"""Plain-numpy twins of the ring kernels: slow, short, and written from the definitions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def edge_of(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of a mask with a 4-neighbour outside it; beyond the raster is outside."""
    wide = np.pad(mask, 1)
    inside = wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]
    return mask & ~inside


def ring_of(mask: NDArray[np.bool_], reach_px: int) -> NDArray[np.bool_]:
    """Pixels within reach of a mask on the whole raster, without the mask: every distance is measured."""
    rows, cols = np.nonzero(mask)
    row, col = np.mgrid[: mask.shape[0], : mask.shape[1]]
    squared = (row[..., None] - rows) ** 2 + (col[..., None] - cols) ** 2
    return np.asarray((squared <= reach_px**2).any(axis=-1) & ~mask)


def count_ring(
    state: NDArray[np.uint8], labels: NDArray[np.int32], one: int, area_ha: NDArray[np.float64], reach_px: int
) -> tuple[list[int], int, float]:
    """Pixels by state in the ring of a patch, other patches there, and their hectares."""
    ring = ring_of(labels == one, reach_px)
    others = sorted(set(labels[ring].tolist()) - {-1})
    return np.bincount(state[ring], minlength=5).tolist(), len(others), float(sum(area_ha[others]))
