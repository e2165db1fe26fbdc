"""Patches: connected changed pixels, grown from strong seeds, made polygons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry
from skimage.measure import label

from detector.kernels import find_holes, label_pixels
from detector.outlines import measure, place, simplify, to_wgs84, trace_masks
from detector.params import PatchParams
from tiles.change import ChangedPixels, PixelState
from tiles.grid import Grid


@dataclass(frozen=True, eq=False)
class Patch:
    """Connected changed pixels of one tile.

    Parameters
    ----------
    pixels
        int64 (n,), increasing. The patch's pixels, as indices into the table of changed pixels.
    n_seeds
        How many of them lost enough to seed a patch.
    row, col
        The bounding box's upper-left pixel on the grid.
    mask
        bool (rows, cols) of the bounding box: the patch's ground, small holes filled.
    n_holes
        Holes before they were filled.
    exact
        Polygon or MultiPolygon along the pixel edges, in the grid's CRS.
    outline
        The same, simplified: what is published.
    area_ha
        Geodesic hectares of `exact`.
    """

    pixels: NDArray[np.int64]
    n_seeds: int
    row: int
    col: int
    mask: NDArray[np.bool_]
    n_holes: int
    exact: BaseGeometry
    outline: BaseGeometry
    area_ha: float


@dataclass(frozen=True, eq=False)
class _Footprint:
    """The ground of a component, before it is known to be large enough."""

    pixels: NDArray[np.int64]
    absorbed: NDArray[np.int64]
    row: int
    col: int
    mask: NDArray[np.bool_]
    n_holes: int


@dataclass(frozen=True, eq=False)
class _Table:
    """What the search asks of the changed pixels."""

    row: NDArray[np.int64]
    col: NDArray[np.int64]
    key: NDArray[np.int64]  # row-major position on the grid: increasing, so that a pixel is found by bisection
    confirmed: NDArray[np.bool_]
    day: NDArray[np.int32]  # first low, days since 1970
    member: NDArray[np.bool_]
    seed: NDArray[np.bool_]


def find_patches(pixels: ChangedPixels, grid: Grid, params: PatchParams) -> list[Patch]:
    """Find the patches of one tile.

    Confirmed and provisional pixels are labelled apart unless their losses began together, so that one hazy date
    cannot glue confirmed openings together nor hide one, and a cloud over half of a cut does not halve it. Every pixel
    of the ground belongs to one patch at most, and no hectare is counted twice:

    - what a patch encloses is its own (a small island of other changed pixels is absorbed);
    - patches with confirmed pixels are served first: a provisional patch around one of them keeps a hole in its place.

    Parameters
    ----------
    pixels
        Changed pixels of the tile, sorted row-major.
    grid
        The tile's grid.
    params
        Thresholds; see `PatchParams`.

    Returns
    -------
    patches
        In the row-major order of their first pixels.

    Raises
    ------
    tiles.errors.GridError
        If the grid lies where its coordinate system is not defined.

    Notes
    -----
    Memory is that of the changed pixels and of the patches' bounding boxes, never the tile's.
    """
    table = _tabulate(pixels, grid, params)
    components = _components(table, _smallest_box_px(grid, params.min_area_ha), params.same_loss_days)
    max_hole_px = params.max_hole_ha * 1e4 / grid.pixel_m**2
    patches: list[Patch] = []
    for wanted in (True, False):
        owned = _ground_keys(patches, grid.shape[1])
        free = ~_contains(owned, table.key)
        chosen = [c[free[c]] for c in components if table.confirmed[c].any() == wanted]
        footprints = [_footprint(table, c, owned, grid.shape[1], max_hole_px) for c in chosen if table.seed[c].any()]
        patches += _large_enough(table, footprints, grid, params)
    patches = _outline(patches, grid, params.simplify_tolerance_px)
    return sorted(patches, key=lambda patch: int(patch.pixels[0]))


def _tabulate(pixels: ChangedPixels, grid: Grid, params: PatchParams) -> _Table:
    row = pixels.row.astype(np.int64)
    col = pixels.col.astype(np.int64)
    changed = (pixels.state == PixelState.CONFIRMED) | (pixels.state == PixelState.PROVISIONAL)
    # The table holds float32: compare in its own precision, or a drop of exactly the threshold falls short of
    # it. A drop that is unknown (NaN) compares false: neither seed nor growth.
    return _Table(
        row=row,
        col=col,
        key=row * grid.shape[1] + col,
        confirmed=np.asarray(pixels.state == PixelState.CONFIRMED),
        day=pixels.first_low.astype("datetime64[D]").astype(np.int32),
        member=np.asarray(changed & (pixels.ndvi_drop >= np.float32(params.growth_drop))),
        seed=np.asarray(changed & (pixels.ndvi_drop >= np.float32(params.seed_drop))),
    )


def _smallest_box_px(grid: Grid, min_area_ha: float) -> float:
    """Bounding boxes of fewer pixels than this cannot hold the minimum area."""
    rows, cols = grid.shape
    at_rows, at_cols = np.meshgrid((0, rows // 2, rows - 1), (0, cols // 2, cols - 1))
    boxes = shapely.box(at_cols.ravel(), at_rows.ravel(), at_cols.ravel() + 1, at_rows.ravel() + 1)
    pixel_ha, _ = measure(to_wgs84(place(boxes, grid.transform), grid.crs))
    # 2 % covers what the nine samples may miss: a pixel's area varies by 0.1 % within a Sentinel-2 tile.
    return float(min_area_ha / (pixel_ha.max() * 1.02))


def _components(table: _Table, smallest_box_px: float, same_loss_days: int) -> list[NDArray[np.int64]]:
    """Table indices of each component that has a seed and may be large enough."""
    members = np.flatnonzero(table.member)
    if not members.size:
        return []
    labels = label_pixels(
        table.row[members].astype(np.int32),
        table.col[members].astype(np.int32),
        table.confirmed[members].astype(np.uint8),
        table.day[members],
        same_loss_days,
    )
    order = np.argsort(labels, kind="stable")
    starts = np.flatnonzero(np.diff(labels[order], prepend=-1))
    grouped = members[order]
    row, col = table.row[grouped], table.col[grouped]
    height = np.maximum.reduceat(row, starts) - np.minimum.reduceat(row, starts) + 1
    width = np.maximum.reduceat(col, starts) - np.minimum.reduceat(col, starts) + 1
    seeded = np.logical_or.reduceat(table.seed[grouped], starts)
    stops = np.append(starts[1:], grouped.size)
    worth = np.flatnonzero(seeded & (height * width >= smallest_box_px))
    return [grouped[starts[i] : stops[i]] for i in worth]


def _contains(sorted_keys: NDArray[np.int64], keys: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each key is among the sorted ones."""
    if not sorted_keys.size:
        return np.zeros(keys.size, bool)
    at = np.minimum(np.searchsorted(sorted_keys, keys), sorted_keys.size - 1)
    return np.asarray(sorted_keys[at] == keys)


def _footprint(
    table: _Table, component: NDArray[np.int64], owned: NDArray[np.int64], n_cols: int, max_hole_px: float
) -> _Footprint:
    """Lay a component on its bounding box, fill its small holes but for owned ground, absorb what lies in them."""
    rows, cols = table.row[component], table.col[component]
    row, col = int(rows.min()), int(cols.min())
    mask = np.zeros((int(rows.max()) - row + 1, int(cols.max()) - col + 1), bool)
    mask[rows - row, cols - col] = True
    holes, n_holes = find_holes(mask)
    absorbed = np.empty(0, np.int64)
    if n_holes:
        numbers = label(holes, connectivity=1)
        holes &= np.bincount(numbers.ravel())[numbers] <= max_hole_px
        hole_rows, hole_cols = np.nonzero(holes)
        keys = (hole_rows + row) * n_cols + (hole_cols + col)
        free = ~_contains(owned, keys)
        mask[hole_rows[free], hole_cols[free]] = True
        at = np.minimum(np.searchsorted(table.key, keys[free]), table.key.size - 1)
        absorbed = at[(table.key[at] == keys[free]) & table.member[at]]
    return _Footprint(
        pixels=np.sort(np.concatenate([component, absorbed])),
        absorbed=absorbed,
        row=row,
        col=col,
        mask=mask,
        n_holes=n_holes,
    )


def _large_enough(table: _Table, footprints: Sequence[_Footprint], grid: Grid, params: PatchParams) -> list[Patch]:
    """Patches of the footprints that reach the minimum area and lie in no other's hole."""
    exact_px = trace_masks([f.mask for f in footprints], [(f.row, f.col) for f in footprints])
    area_ha, _ = measure(to_wgs84(place(exact_px, grid.transform), grid.crs))
    # A millionth of slack: on an equal-area grid, fifty pixels of 10 m are half a hectare whatever the
    # rounding.
    large = np.flatnonzero(area_ha >= params.min_area_ha * (1 - 1e-6)).tolist()
    enclosed = np.zeros(table.key.size, bool)
    for i in large:
        enclosed[footprints[i].absorbed] = True
    return [
        Patch(
            pixels=footprints[i].pixels,
            n_seeds=int(table.seed[footprints[i].pixels].sum()),
            row=footprints[i].row,
            col=footprints[i].col,
            mask=footprints[i].mask,
            n_holes=footprints[i].n_holes,
            exact=exact_px[i],
            outline=exact_px[i],
            area_ha=float(area_ha[i]),
        )
        for i in large
        # The first pixel is the component's own: what it encloses comes later in row-major order.
        if not enclosed[footprints[i].pixels[0]]
    ]


def _ground_keys(patches: Sequence[Patch], n_cols: int) -> NDArray[np.int64]:
    """Sorted row-major positions of the ground that patches hold already."""
    keys = [np.empty(0, np.int64)]
    for patch in patches:
        rows, cols = np.nonzero(patch.mask)
        keys.append((rows + patch.row) * n_cols + (cols + patch.col))
    return np.sort(np.concatenate(keys))


def _outline(patches: Sequence[Patch], grid: Grid, tolerance_px: float) -> list[Patch]:
    """Lay the traced polygons on the ground, with their simplified outlines."""
    exact_px = np.empty(len(patches), object)
    exact_px[:] = [patch.exact for patch in patches]
    exact = place(exact_px, grid.transform)
    outline = place(simplify(exact_px, tolerance_px), grid.transform)
    return [replace(p, exact=e, outline=o) for p, e, o in zip(patches, exact, outline, strict=True)]
