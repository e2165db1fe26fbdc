"""Plain-numpy twins of the kernels of false clouds: slow, short, and written from the definitions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def isolated_blobs(
    scl: NDArray[np.uint8],
    cloud: Iterable[int],
    bright: Iterable[int],
    spoiling: Iterable[int],
    calm: Iterable[int],
    max_extent: int,
    ring: int,
    min_cloud_share: float,
    min_calm_share: float,
) -> NDArray[np.int64]:
    """Number of the isolated blob that each pixel lies in, from 1 in any order; 0 elsewhere."""
    cloud, bright, spoiling, calm = list(cloud), list(bright), list(spoiling), list(calm)
    labels, _ = ndimage.label(np.isin(scl, bright + spoiling), np.ones((3, 3)))
    out = np.zeros(scl.shape, np.int64)
    for label, box in enumerate(ndimage.find_objects(labels), 1):
        (top, bottom), (left, right) = ((part.start, part.stop) for part in box)
        blob = labels == label
        around = np.zeros(scl.shape, bool)
        around[max(0, top - ring) : bottom + ring, max(0, left - ring) : right + ring] = True
        around &= ~blob
        small = max(bottom - top, right - left) <= max_extent
        inside = top > 0 and left > 0 and bottom < scl.shape[0] and right < scl.shape[1]
        cloudy = np.isin(scl[blob], cloud).sum() >= min_cloud_share * blob.sum()
        quiet = np.isin(scl[around], calm).sum() >= min_calm_share * around.sum()
        if small and inside and cloudy and quiet and not np.isin(scl[blob], spoiling).any():
            out[blob] = label
    return out


def free_persistent_clouds(
    labels: NDArray[np.int64],
    day: int,
    vegetation: int,
    bare: int,
    looks: int,
    max_gap_days: int,
    reach: int,
    ring: int,
    min_persistent_share: float,
    scl: NDArray[np.uint8],
    count: NDArray[Any],
    last_day: NDArray[Any],
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """The classification with persistent blobs made bare, and the memory after the date."""
    known = (count > 0) & (day - last_day.astype(np.int64) <= max_gap_days)
    count = np.where(scl == vegetation, 0, count).astype(np.int64)
    last_day = np.where(count == 0, 0, last_day).astype(np.int64)
    hit = labels > 0
    anew = (count == 0) | (day - last_day > max_gap_days)
    count = np.where(hit & anew, 1, np.where(hit & (last_day != day), np.minimum(count + 1, 255), count))
    last_day = np.where(hit, day, last_day)
    persistent = (count >= looks) & (last_day == day)
    near = ndimage.binary_dilation(persistent, np.ones((2 * reach + 1,) * 2)) if reach else persistent
    out = scl.copy()
    for label in np.unique(labels[hit]):
        blob = labels == label
        rows, cols = np.nonzero(blob)
        around = np.zeros(scl.shape, bool)
        around[max(0, rows.min() - ring) : rows.max() + 1 + ring, max(0, cols.min() - ring) : cols.max() + 1 + ring] = 1
        beside = around & (ndimage.binary_dilation(blob, np.ones((2 * reach + 1,) * 2)) if reach else blob)
        parts, _ = ndimage.label((known & around) | beside, np.ones((3, 3)))
        gone = known & around & ~beside & np.isin(parts, np.unique(parts[beside])) & (scl == vegetation)
        moved = gone.sum() > (1.0 - min_persistent_share) * blob.sum()
        if near[blob].any() and near[blob].sum() >= min_persistent_share * blob.sum() and not moved:
            out[blob] = bare
    return out, count, last_day
