"""What lies around patches: a ring of 100 m on the state map, and their edge against their core."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

from detector.kernels import count_rings, edge_pixels
from detector.patches import Patch
from detector.pixel_groups import stacked
from tiles.change import BLOCK_PX, ChangedPixels
from tiles.grid import Grid
from tiles.pixel_state import PixelState

RING_M = 100.0
"""Width of the ring: within it the facts ``cut_100m_1y_ha`` and ``cut_100m_5y_ha`` add up the neighbouring cuts."""


@dataclass(frozen=True, eq=False)
class PatchMasks:
    """Masks of patches, one after the other, for the kernels.

    Parameters
    ----------
    masks
        bool (m,). Bounding boxes, row-major.
    starts
        int64 (n,). Where each begins.
    boxes
        int64 (n, 4). Upper row, left column, height, width.
    """

    masks: NDArray[np.bool_]
    starts: NDArray[np.int64]
    boxes: NDArray[np.int64]

    @classmethod
    def of(cls, patches: Sequence[Patch]) -> PatchMasks:
        """Masks of some patches."""
        boxes = np.array([(one.row, one.col, *one.mask.shape) for one in patches], np.int64).reshape(-1, 4)
        sizes = boxes[:, 2] * boxes[:, 3]
        masks = np.concatenate([one.mask.ravel() for one in patches]) if patches else np.empty(0, np.bool_)
        return cls(masks, np.cumsum(sizes) - sizes, boxes)


@dataclass(frozen=True, eq=False)
class Rings:
    """What the rings of n patches hold.

    Parameters
    ----------
    counts
        int64 (n, states). Pixels by `PixelState`, without those of the patch and those beyond the grid.
    n_others, others_ha
        (n,). Other patches that the ring touches, and their hectares.
    """

    counts: NDArray[np.int64]
    n_others: NDArray[np.int64]
    others_ha: NDArray[np.float64]


def edges_of(patches: Sequence[Patch], pixels: ChangedPixels) -> NDArray[np.bool_]:
    """Which changed pixels lie at the edge of their patch, beside ground that is not its own: bool, of all pixels."""
    if not patches:
        return np.zeros(pixels.row.size, np.bool_)
    packed = PatchMasks.of(patches)
    index, stops = stacked([patch.pixels for patch in patches])
    return edge_pixels(pixels.row, pixels.col, index, stops, packed.masks, packed.starts, packed.boxes)


def look_around(patches: Sequence[Patch], grid: Grid, state: Path, ring_m: float = RING_M) -> Rings:
    """Count what lies around the patches of a tile, in one pass over its state map, by rows of blocks.

    Parameters
    ----------
    patches
        Patches of one tile, none over another.
    grid
        The tile's grid.
    state
        The state map, on this grid.
    ring_m
        Width of the ring.
    """
    n_states, reach_px = len(PixelState), round(ring_m / grid.pixel_m)
    counts = np.zeros((len(patches), n_states), np.int64)
    n_others, others_ha = np.zeros(len(patches), np.int64), np.zeros(len(patches))
    if not patches:
        return Rings(counts, n_others, others_ha)
    packed = PatchMasks.of(patches)
    area_ha = np.array([patch.area_ha for patch in patches], np.float64)
    first, last = packed.boxes[:, 0], packed.boxes[:, 0] + packed.boxes[:, 2]
    with rasterio.open(state) as raster:
        for strip in np.unique(first // BLOCK_PX):
            wanted = np.flatnonzero(first // BLOCK_PX == strip)
            top = max(0, int(first[wanted].min()) - reach_px)
            bottom = min(raster.height, int(last[wanted].max()) + reach_px)
            states = raster.read(1, window=Window(0, top, raster.width, bottom - top))
            here = np.flatnonzero((first < bottom) & (last > top))
            labels = _labels(patches, here, top, states.shape)
            counts[wanted], n_others[wanted], others_ha[wanted] = count_rings(
                states, labels, top, wanted, packed.masks, packed.starts, packed.boxes, area_ha, reach_px, n_states
            )
    return Rings(counts, n_others, others_ha)


def _labels(patches: Sequence[Patch], which: NDArray[np.int64], top: int, shape: tuple[int, int]) -> NDArray[np.int32]:
    """Label raster of some rows of the grid, from row `top` on: the patch's index, -1 on none."""
    labels = np.full(shape, -1, np.int32)
    for i in which.tolist():
        patch = patches[i]
        above = max(0, top - patch.row)
        ground = patch.mask[above : top + shape[0] - patch.row]
        begin = patch.row + above - top
        labels[begin : begin + ground.shape[0], patch.col : patch.col + ground.shape[1]][ground] = i
    return labels
