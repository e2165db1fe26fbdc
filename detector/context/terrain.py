"""Slope, aspect, elevation and tree cover of a patch, from rasters on their own grids.

Pixels count by the share of them that lies inside the outline, exactly. Slopes are Horn's, in percent, with pixel sizes
measured on the ellipsoid, so that a grid in degrees is as good as one in metres.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray

from detector.context.ground import Ground
from detector.context.mosaic import Mosaic, MosaicReader
from detector.context.params import ContextParams
from detector.kernels import cover_pixels, horn_gradient, label_pairs
from detector.outlines import Geometries

#: Pixels of patches that are held at once: 128 MB of shares.
_BATCH_PX = 16_000_000
#: A pixel of which less is inside is only touched by rounding.
_TOUCHED_SHARE = 1e-6
#: Resultant length of directions below which they cancel out.
_NO_DIRECTION = 1e-6
#: Highest percentage: Copernicus' tree-cover density writes 254 and 255 for what is unclassified or outside.
_FULL_COVER = 100.0


@dataclass(frozen=True, eq=False)
class _Patch:
    """A patch on the pixels of a grid."""

    row: int
    col: int
    cover: NDArray[np.float64]

    @property
    def touched(self) -> NDArray[np.bool_]:
        return self.cover > _TOUCHED_SHARE


def tree_cover(
    ground: Ground, mosaics: Sequence[Mosaic], params: ContextParams
) -> tuple[dict[str, Sequence[Any]], NDArray[np.bool_]]:
    """Mean tree cover of each patch, and of which patches it is known."""
    found: list[float | None] = [None] * len(ground)
    with rasterio.Env(GDAL_CACHEMAX=64), MosaicReader(mosaics) as reader:
        for mosaic, indices, outlines in _by_grid(ground, mosaics):
            for index, patch in zip(indices, _patches(outlines), strict=True):
                percent = reader.read(mosaic, patch.row, patch.col, *patch.cover.shape)
                percent[(percent < 0) | (percent > _FULL_COVER)] = np.nan
                found[index] = _mean(patch, percent, params.known_share)
    return {"tree_cover_pct": found}, np.array([value is not None for value in found])


def terrain(
    ground: Ground, mosaics: Sequence[Mosaic], params: ContextParams
) -> tuple[dict[str, Sequence[Any]], NDArray[np.bool_]]:
    """Fields of `PatchContext` about the terrain, and of which patches its slope is known."""
    n = len(ground)
    names = ("elevation_m", "slope_mean_pct", "slope_max_pct", "aspect_deg", "slope_block_ha")
    fields: dict[str, list[float | None]] = {name: [None] * n for name in names}
    with rasterio.Env(GDAL_CACHEMAX=64), MosaicReader(mosaics) as reader:
        for mosaic, indices, outlines in _by_grid(ground, mosaics):
            bounds = shapely.bounds(outlines).reshape(-1, 4)
            centres = (bounds[:, :2] + bounds[:, 2:]) / 2
            on_ground = np.column_stack(mosaic.pixel_on_ground(*centres.T))
            steep: list[NDArray[np.bool_]] = []
            corners: list[tuple[int, int]] = []
            partly: list[int] = []
            share = np.full(indices.size, np.nan)
            for place, patch in enumerate(_patches(outlines)):
                elevation = reader.read(mosaic, patch.row - 1, patch.col - 1, *(np.add(patch.cover.shape, 2)))
                fields["elevation_m"][indices[place]] = _mean(patch, elevation[1:-1, 1:-1], params.known_share)
                slope_pct, east, north = _slope(elevation, *on_ground[place])
                mean = _mean(patch, slope_pct, params.known_share)
                if mean is None:
                    continue
                touched = patch.touched & np.isfinite(slope_pct)
                fields["slope_mean_pct"][indices[place]] = mean
                fields["slope_max_pct"][indices[place]] = float(slope_pct[touched].max())
                fields["aspect_deg"][indices[place]] = _aspect_deg(patch.cover[touched], east[touched], north[touched])
                is_steep = touched & (slope_pct >= params.steep_pct)
                share[place] = 0.0
                if is_steep.any():
                    partly.append(place)
                    steep.append(is_steep)
                    corners.append((patch.row, patch.col))
            share[partly] = _largest_blocks(outlines[partly], _joined_runs(steep, corners))
            for place, index in enumerate(indices):
                if not math.isnan(share[place]):
                    fields["slope_block_ha"][index] = float(share[place] * ground.area_ha[index])
    return dict(fields), np.array([value is not None for value in fields["slope_block_ha"]])


def _by_grid(ground: Ground, mosaics: Sequence[Mosaic]) -> Iterator[tuple[Mosaic, NDArray[np.intp], Geometries]]:
    """Each grid with the patches of which it holds more than the others (of equals the first), and their outlines.

    A grid comes several times where its patches have too many pixels to be looked at together.
    """
    outlines = [mosaic.to_pixels(ground.lonlat) for mosaic in mosaics]
    bounds = np.stack([shapely.bounds(placed).reshape(-1, 4) for placed in outlines])
    pixels = np.prod(bounds[:, :, 2:] - bounds[:, :, :2], axis=2)
    covered = np.stack([mosaic.covered_px(one) for mosaic, one in zip(mosaics, bounds, strict=True)])
    # Bounds on two grids differ by the turn between them: what both hold wholly is a tie.
    best = np.argmax(np.round(np.minimum(covered / pixels, 1.0), 6), axis=0)
    for index, mosaic in enumerate(mosaics):
        patches = np.flatnonzero(best == index)
        batch = (np.cumsum(pixels[index, patches]) // _BATCH_PX).astype(int)
        for together in np.split(patches, np.flatnonzero(np.diff(batch)) + 1):
            if together.size:
                yield mosaic, together, outlines[index][together]


def _patches(outlines: Geometries) -> Iterator[_Patch]:
    """Patches on the pixels of a grid, with the share of each pixel that lies inside."""
    parts, owner_of_part = shapely.get_parts(shapely.orient_polygons(outlines), return_index=True)
    rings, part_of_ring = shapely.get_rings(parts, return_index=True)
    owner = owner_of_part[part_of_ring]
    xy = shapely.get_coordinates(rings)
    stops = np.cumsum(shapely.get_num_coordinates(rings))
    rings_before = np.searchsorted(owner, np.arange(outlines.size + 1))
    bounds = shapely.bounds(outlines).reshape(-1, 4)
    low, high = np.floor(bounds[:, :2]).astype(int), np.ceil(bounds[:, 2:]).astype(int)
    for index in range(outlines.size):
        ring_stops = stops[rings_before[index] : rings_before[index + 1]]
        start = stops[rings_before[index] - 1] if rings_before[index] else 0
        (col, row), (cols, rows) = low[index], high[index] - low[index]
        x, y = np.ascontiguousarray((xy[start : ring_stops[-1]] - low[index]).T)
        yield _Patch(int(row), int(col), cover_pixels(x, y, (ring_stops - start).astype(np.int64), rows, cols))


def _mean(patch: _Patch, values: NDArray[np.floating[Any]], known_share: float) -> float | None:
    """Mean weighted by area, of what is known; None where that is too little of the patch."""
    known = np.isfinite(values)
    weight = float(patch.cover[known].sum())
    if weight < known_share * float(patch.cover.sum()):
        return None
    return float((patch.cover[known] * values[known]).sum() / weight)


def _slope(
    elevation: NDArray[np.float32], width_m: float, height_m: float, right_deg: float, up_deg: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Slope in percent, and the direction in which the ground falls: its parts to the true east and north."""
    along_cols, along_rows = horn_gradient(elevation)
    to_right, to_up = along_cols / width_m, -along_rows / height_m
    # Rows and columns of an equal-area grid do not cross at right angles: the gradient is what rises so along both.
    right, up = math.radians(right_deg), math.radians(up_deg)
    crossing = math.sin(right) * math.cos(up) - math.cos(right) * math.sin(up)
    east = (to_right * math.cos(up) - to_up * math.cos(right)) / crossing
    north = (to_up * math.sin(right) - to_right * math.sin(up)) / crossing
    return 100 * np.hypot(east, north), -east, -north


def _aspect_deg(weight: NDArray[np.float64], east: NDArray[np.float64], north: NDArray[np.float64]) -> float | None:
    """Circular mean of directions, weighted by area; pixels that are flat have none."""
    length = np.hypot(east, north)
    sloping = length > 0
    if not sloping.any():
        return None
    weight, length = weight[sloping] / weight.sum(), length[sloping]
    mean_east, mean_north = (float((weight * part[sloping] / length).sum()) for part in (east, north))
    if math.hypot(mean_east, mean_north) < _NO_DIRECTION:
        return None
    return math.degrees(math.atan2(mean_east, mean_north)) % 360


def _joined_runs(masks: Sequence[NDArray[np.bool_]], corners: Sequence[tuple[int, int]]) -> Geometries:
    """Polygons of masks that lie at these (row, column), in pixels of the grid; none of the masks is empty.

    The union of the runs of pixels in each row. Unlike `detector.outlines.trace_masks` it leaves other threads free and
    does without rasterio's warning filters, which are not safe among threads.
    """
    boxes = []
    for mask, (row, col) in zip(masks, corners, strict=True):
        step = np.diff(mask.view(np.int8), axis=1, prepend=0, append=0)
        row_of_run, first = np.nonzero(step == 1)
        after = np.nonzero(step == -1)[1]
        boxes.append(np.stack([first + col, row_of_run + row, after + col, row_of_run + row + 1]))
    if not boxes:
        return np.empty(0, object)
    owner = np.repeat(np.arange(len(boxes)), [box.shape[1] for box in boxes])
    runs = shapely.box(*np.concatenate(boxes, axis=1).astype(np.float64))
    together = shapely.geometrycollections(runs, indices=owner)
    return np.asarray(shapely.union_all(together[:, None], axis=1), object)


def _largest_blocks(outlines: Geometries, steep: Geometries) -> NDArray[np.float64]:
    """Share of each patch that the largest block of steep ground inside it takes (the design's fact 9).

    Steep pixels are cut at the outline before they are joined, so that two arms of a patch with standing trees between
    them are two blocks, however wide the pixels. Pieces that meet at a corner are one block: so are the pixels of a
    patch, and a patch that is steep all over must be one.

    Parameters
    ----------
    outlines
        object (n,). Patches in pixels of the grid.
    steep
        object (n,). Steep pixels of each, as polygons in pixels of the grid.

    Returns
    -------
    share
        float64 (n,).
    """
    largest = np.zeros(outlines.size)
    pieces, owner = shapely.get_parts(shapely.intersection(outlines, steep), return_index=True)
    area = shapely.area(pieces)
    pieces, owner, area = pieces[area > 0], owner[area > 0], area[area > 0]
    if pieces.size:
        one, other = shapely.STRtree(pieces).query(pieces, predicate="dwithin", distance=_TOUCHED_SHARE)
        alike = (owner[one] == owner[other]) & (one < other)
        block = label_pairs(pieces.size, one[alike], other[alike])
        owner_of_block = np.zeros(block.max() + 1, np.intp)
        owner_of_block[block] = owner
        np.maximum.at(largest, owner_of_block, np.bincount(block, weights=area))
    return np.asarray(np.minimum(largest / shapely.area(outlines), 1.0), np.float64)
