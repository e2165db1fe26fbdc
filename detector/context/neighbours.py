"""What lies around a patch: earlier cuts, and water."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from detector.context.ground import Ground, Reader, dissolved_area, distances_to, to_lambert_93
from detector.context.params import ContextParams
from detector.outlines import Geometries

#: Days of the two spans over which earlier cuts are summed up: one and five years.
_SPAN_DAYS = {"cut_100m_1y_ha": 365, "cut_100m_5y_ha": 1826}


@dataclass(frozen=True, eq=False)
class EarlierCuts:
    """Cuts that are known from before.

    Parameters
    ----------
    outlines
        object (m,). Polygons in WGS 84, longitude first.
    first_low
        datetime64[D] (m,). When each was seen first.
    since
        First day from which cuts are known at all; None where that is not to be doubted. Over a span that begins
        earlier, how much was cut is unknown.
    """

    outlines: Geometries
    first_low: NDArray[np.datetime64]
    since: date | None = None


class CutIndex:
    """Earlier cuts on the ground, found by where they lie; one serves all chunks."""

    def __init__(self, cuts: EarlierCuts) -> None:
        self.first_low = cuts.first_low.astype("datetime64[D]")
        self.since = None if cuts.since is None else np.datetime64(cuts.since, "D")
        self.outlines = np.empty(0, object) if not cuts.outlines.size else to_lambert_93(cuts.outlines)[0]
        self.area_m2 = shapely.area(self.outlines)
        self.bounds = shapely.bounds(self.outlines).reshape(-1, 4)
        self.tree = shapely.STRtree(self.outlines)


def earlier_cuts(ground: Ground, cuts: CutIndex, params: ContextParams) -> dict[str, Sequence[Any]]:
    """Fields of `PatchContext` about earlier cuts.

    A cut is earlier if its first low date is not after that of the patch. One that has `overlap_share` of the smaller
    outline in common with the patch shows the same loss: it is the patch, known from before, and not counted.
    Of the cuts within 100 m, all hectares are summed up, not only those within the 100 m: a large felling in steps is
    what the sum is to show.
    """
    n = len(ground)
    reach = params.near_m * ground.scale
    bounds = shapely.bounds(ground.outlines).reshape(-1, 4)
    around = shapely.box(*(bounds + np.outer(reach, [-1, -1, 1, 1])).T)
    patch, cut = cuts.tree.query(around)
    earlier = cuts.first_low[cut] <= ground.on[patch]
    patch, cut = patch[earlier], cut[earlier]
    # Of the outlines' bounds: no outline is nearer.
    gap = _gap(bounds[patch], cuts.bounds[cut])
    touching = np.flatnonzero(gap == 0)
    common = shapely.area(shapely.intersection(ground.outlines[patch[touching]], cuts.outlines[cut[touching]]))
    smaller = np.minimum(ground.area_m2[patch[touching]], cuts.area_m2[cut[touching]])
    other = np.ones(patch.size, bool)
    other[touching[common >= params.overlap_share * smaller]] = False
    patch, cut, gap = patch[other], cut[other], gap[other]

    fields: dict[str, Sequence[Any]] = {"nearest_cut_m": _nearest(ground, cuts, patch, cut, gap, params.near_m)}
    near = gap < params.cut_near_m * ground.scale[patch]
    patch, cut = patch[near], cut[near]
    distance = shapely.distance(ground.outlines[patch], cuts.outlines[cut])
    near = distance < params.cut_near_m * ground.scale[patch]
    patch, cut = patch[near], cut[near]
    pieces = shapely.difference(cuts.outlines[cut], ground.outlines[patch])
    age = (ground.on[patch] - cuts.first_low[cut]).astype(np.int64)
    for name, span_days in _SPAN_DAYS.items():
        recent = age <= span_days
        area_m2 = dissolved_area(pieces[recent], patch[recent], n) / ground.scale**2
        whole = cuts.since is None or ground.on - np.timedelta64(span_days, "D") >= cuts.since
        told = np.broadcast_to(whole, n)
        fields[name] = [float(area / 1e4) if known else None for area, known in zip(area_m2, told, strict=True)]
    return fields


def _gap(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance between bounds, 0 where they meet."""
    apart = np.maximum(np.maximum(one[:, :2] - other[:, 2:], other[:, :2] - one[:, 2:]), 0)
    return np.asarray(np.hypot(*apart.T), np.float64)


def _nearest(
    ground: Ground,
    cuts: CutIndex,
    patch: NDArray[np.intp],
    cut: NDArray[np.intp],
    gap: NDArray[np.float64],
    near_m: float,
) -> list[float | None]:
    """Distance to the nearest cut, metres on the ground, of pairs that are candidates; None where none is near."""
    nearest = np.full(len(ground), np.inf)
    # The pair with the nearest bounds first: most others cannot be nearer, and need not be measured.
    order = np.lexsort([gap, patch])
    first = order[np.diff(patch[order], prepend=-1) > 0]
    nearest[patch[first]] = shapely.distance(ground.outlines[patch[first]], cuts.outlines[cut[first]])
    rest = np.flatnonzero(gap < nearest[patch])
    distance = shapely.distance(ground.outlines[patch[rest]], cuts.outlines[cut[rest]])
    np.minimum.at(nearest, patch[rest], distance)
    nearest /= ground.scale
    return [float(distance_m) if distance_m <= near_m else None for distance_m in nearest]


def watercourses(reader: Reader, near_m: float) -> dict[str, Sequence[Any]]:
    """Distance to the nearest watercourse; 0 where one runs through the patch."""
    frame, known = reader.vector("watercourses", (), near_m)
    found: list[float | None] = [None] * len(reader.ground)
    if frame is not None:
        patches, _, distances_m = distances_to(reader.ground, frame.geometry.to_numpy(), known, near_m)
        for patch, distance_m in zip(patches, distances_m, strict=True):
            found[patch] = float(distance_m)
    return {"watercourse_m": found}
