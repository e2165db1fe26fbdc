"""The patches of a chunk on the ground, and what polygons have in common with them.

Overlaps are measured in Lambert-93 (EPSG:2154) and told as shares of the patch. Its areas are up to 0.6 % wrong, but
equally so over a patch, so that a share times the geodesic hectares is exact: what lies wholly in a zone has all of its
hectares there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS
from shapely.geometry.base import BaseGeometry

from detector.context.params import ContextParams
from detector.context.sources import Bounds, Layers
from detector.outlines import Geometries, from_wgs84
from tiles.errors import GridError

_LAMBERT_93 = 2154


@dataclass(frozen=True, eq=False)
class Ground:
    """Patches that are described together.

    Parameters
    ----------
    lonlat
        object (n,). Outlines in WGS 84, longitude first.
    outlines
        object (n,). The same in EPSG:2154, in metres of the map.
    area_m2
        float64 (n,). On the map.
    area_ha
        float64 (n,). Geodesic.
    scale
        float64 (n,). Metres of the map to a metre on the ground, at the patch.
    on
        datetime64[D] (n,). First low dates.
    """

    lonlat: Geometries
    outlines: Geometries
    area_m2: NDArray[np.float64]
    area_ha: NDArray[np.float64]
    scale: NDArray[np.float64]
    on: NDArray[np.datetime64]

    @classmethod
    def lay(cls, lonlat: Geometries, area_ha: NDArray[np.float64], on: NDArray[np.datetime64]) -> Ground:
        """Lay outlines in WGS 84 on the ground.

        Raises
        ------
        tiles.errors.GridError
            If one lies where Lambert-93 is not defined.
        """
        outlines, scale = to_lambert_93(lonlat)
        return cls(lonlat, outlines, shapely.area(outlines), area_ha, scale, on)

    def __len__(self) -> int:
        return int(self.outlines.size)

    def bounds(self, margin_m: float = 0.0) -> Bounds:
        """Of all patches, and a margin around them."""
        left, bottom, right, top = shapely.total_bounds(self.outlines)
        margin = margin_m * float(self.scale.max())
        return (left - margin, bottom - margin, right + margin, top + margin)


def to_lambert_93(lonlat: Geometries) -> tuple[Geometries, NDArray[np.float64]]:
    """Outlines in EPSG:2154, and how many metres of its map a metre on the ground is there.

    Raises
    ------
    tiles.errors.GridError
        If one lies where Lambert-93 is not defined.
    """
    outlines = from_wgs84(lonlat, CRS.from_epsg(_LAMBERT_93))
    if not np.isfinite(shapely.get_coordinates(outlines)).all():
        raise GridError("A patch lies outside the area that Lambert-93 is defined for.")
    west, south, east, north = shapely.bounds(lonlat).reshape(-1, 4).T
    projection = pyproj.Proj(_LAMBERT_93)
    scale = np.asarray(projection.get_factors((west + east) / 2, (south + north) / 2).meridional_scale, np.float64)
    return outlines, scale.reshape(-1)


@dataclass(frozen=True, eq=False)
class Overlay:
    """What patches and features have in common, a row each pair that does.

    Parameters
    ----------
    patch, feature
        intp (k,). Indices.
    piece
        object (k,). Their common ground, in EPSG:2154.
    share
        float64 (k,). Of the patch's area; 1 where the feature covers it, exactly.
    """

    patch: NDArray[np.intp]
    feature: NDArray[np.intp]
    piece: Geometries
    share: NDArray[np.float64]

    def only(self, rows: NDArray[np.bool_]) -> Overlay:
        """Some of the rows."""
        return Overlay(self.patch[rows], self.feature[rows], self.piece[rows], self.share[rows])


def overlay(ground: Ground, features: Geometries) -> Overlay:
    """Common ground of patches and polygons, by their exact geometry.

    Parameters
    ----------
    ground
        The patches.
    features
        object (m,). Polygons in EPSG:2154. What is not valid is mended first.
    """
    patch, feature = shapely.STRtree(features).query(ground.outlines)
    features = _sound(features, np.unique(feature))
    shapely.prepare(features)
    # Most patches lie wholly inside a commune or a zone: that is cheaper to see than to cut out.
    covered = shapely.covers(features[feature], ground.outlines[patch])
    met = covered | shapely.intersects(features[feature], ground.outlines[patch])
    patch, feature, covered = patch[met], feature[met], covered[met]
    piece = ground.outlines[patch]
    piece[~covered] = shapely.intersection(features[feature[~covered]], piece[~covered])
    share = np.where(covered, 1.0, np.minimum(shapely.area(piece) / ground.area_m2[patch], 1.0))
    return Overlay(patch, feature, piece, share).only(share > 0)


def _sound(features: Geometries, used: NDArray[np.intp]) -> Geometries:
    """The features, with those of `used` that are not valid mended."""
    broken = used[~shapely.is_valid(features[used])]
    if not broken.size:
        return features
    sound = features.copy()
    sound[broken] = shapely.make_valid(features[broken], method="structure", keep_collapsed=False)
    return sound


def dissolved_area(pieces: Geometries, group: NDArray[np.intp], n_groups: int) -> NDArray[np.float64]:
    """Area of the union of each group's pieces: ground that several have in common is counted once.

    Parameters
    ----------
    pieces
        object (k,). Polygons.
    group
        intp (k,). 0 .. n_groups - 1.

    Returns
    -------
    area
        float64 (n_groups,). 0 for a group without pieces.
    """
    area = np.bincount(group, weights=shapely.area(pieces), minlength=n_groups).astype(np.float64)
    several = np.flatnonzero(np.bincount(group, minlength=n_groups)[group] > 1)
    if several.size:
        several = several[np.argsort(group[several], kind="stable")]
        groups, index = np.unique(group[several], return_inverse=True)
        together = shapely.geometrycollections(pieces[several], indices=index)
        area[groups] = shapely.area(shapely.union_all(together[:, None], axis=1))
    return area


def dissolved_share(ground: Ground, over: Overlay) -> NDArray[np.float64]:
    """Share of each patch that the pieces cover together, float64 (n,)."""
    share = np.zeros(len(ground))
    np.maximum.at(share, over.patch, over.share)
    # Where one feature covers all, the others add nothing; where there is but one, its share is known.
    partly = over.only((share < 1)[over.patch])
    area = dissolved_area(partly.piece, partly.patch, len(ground))
    return np.where(share < 1, np.minimum(area / ground.area_m2, 1.0), 1.0)


@dataclass(frozen=True, eq=False)
class Shares:
    """Shares of patches by label (a code, a name), each label once a patch.

    Parameters
    ----------
    patch
        intp (k,), ascending.
    label
        object (k,) of str; within a patch, the largest share first, then by label.
    share
        float64 (k,).
    """

    patch: NDArray[np.intp]
    label: NDArray[np.object_]
    share: NDArray[np.float64]

    def largest(self, n: int) -> list[str | None]:
        """The label with the largest share of each of n patches; None where there is none."""
        found: list[str | None] = [None] * n
        patches, first = np.unique(self.patch, return_index=True)
        for patch, row in zip(patches, first, strict=True):
            found[patch] = self.label[row]
        return found

    def by_patch(self, n: int) -> list[list[tuple[str, float]]]:
        """Labels and shares of each of n patches."""
        found: list[list[tuple[str, float]]] = [[] for _ in range(n)]
        for patch, label, share in zip(self.patch, self.label, self.share, strict=True):
            found[patch].append((label, float(share)))
        return found


def shares_by(ground: Ground, over: Overlay, labels: Sequence[str | None] | NDArray[np.object_]) -> Shares:
    """Shares of the patches by the label of the features that lie in them, dissolved.

    Parameters
    ----------
    ground, over
        The patches, and what features have in common with them.
    labels
        One a row of `over`; rows without one are left out.
    """
    code, names = pd.factorize(np.asarray(labels, object))
    over, code = over.only(code >= 0), code[code >= 0]
    key, group = np.unique(over.patch * max(len(names), 1) + code, return_inverse=True)
    patch, label = np.divmod(key, max(len(names), 1))
    whole = np.zeros(key.size)
    np.maximum.at(whole, group, over.share)
    share = np.minimum(dissolved_area(over.piece, group, key.size) / ground.area_m2[patch], 1.0)
    share[whole == 1] = 1.0
    text = np.asarray(names, object)[label]
    order = np.lexsort([text.astype(str), -share, patch])
    return Shares(patch[order], text[order], share[order])


def distances_to(
    ground: Ground, lines: Geometries, wanted: NDArray[np.bool_], within_m: float
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """The nearest line or boundary to each patch, where one is near.

    Parameters
    ----------
    ground
        The patches.
    lines
        object (m,). Lines, or polygons: then their boundaries count.
    wanted
        bool (n,). Patches to look around.
    within_m
        How far, in metres on the ground.

    Returns
    -------
    patch, feature
        intp (k,). Indices, the patches ascending, none twice.
    distance_m
        float64 (k,). On the ground.
    """
    asked = np.flatnonzero(wanted)
    pieces, feature_of_piece = _short_lines(lines, ground.bounds(within_m))
    if not (asked.size and pieces.size):
        return np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0)
    limit = within_m * float(ground.scale.max())
    (row, piece), distance = shapely.STRtree(pieces).query_nearest(
        ground.outlines[asked], max_distance=limit, return_distance=True, all_matches=False
    )
    distance_m = distance / ground.scale[asked[row]]
    near = distance_m <= within_m
    return asked[row][near], feature_of_piece[piece][near], distance_m[near]


def _short_lines(features: Geometries, bounds: Bounds, segments: int = 24) -> tuple[Geometries, NDArray[np.intp]]:
    """Lines and boundaries cut into short ones inside some bounds, and which feature each is of.

    The distance to a zone of ten thousand corners costs as much as they are; a tree over short pieces of its boundary
    goes straight to the few that are near.
    """
    areal = shapely.get_dimensions(features) == 2
    edges = np.where(areal, shapely.boundary(features), features)
    lines, feature_of_line = shapely.get_parts(edges, return_index=True)
    xy = shapely.get_coordinates(lines)
    counts = shapely.get_num_coordinates(lines)
    starts = np.cumsum(counts) - counts
    n_pieces = -(-np.maximum(counts - 1, 0) // segments)
    line_of_piece = np.repeat(np.arange(lines.size), n_pieces)
    rank = np.arange(line_of_piece.size) - np.repeat(np.cumsum(n_pieces) - n_pieces, n_pieces)
    first = starts[line_of_piece] + rank * segments
    length = np.minimum(segments, counts[line_of_piece] - 1 - rank * segments) + 1

    point = np.repeat(first - (np.cumsum(length) - length), length) + np.arange(length.sum())
    piece_of_point = np.repeat(np.arange(first.size), length)
    if not first.size:
        return np.empty(0, object), np.empty(0, np.intp)
    edges_at = np.cumsum(length) - length
    low, high = (reduce.reduceat(xy[point], edges_at, axis=0) for reduce in (np.minimum, np.maximum))
    left, bottom, right, top = bounds
    inside = (low[:, 0] <= right) & (high[:, 0] >= left) & (low[:, 1] <= top) & (high[:, 1] >= bottom)
    kept = inside[piece_of_point]
    renumbered = np.cumsum(inside) - 1
    pieces = shapely.linestrings(xy[point[kept]], indices=renumbered[piece_of_point[kept]])
    return np.atleast_1d(np.asarray(pieces, object)), feature_of_line[line_of_piece[inside]]


class Reader:
    """Reads layers for the patches of a chunk, and notes which say nothing of which patch.

    Parameters
    ----------
    layers
        Where the layers are.
    ground
        The patches.
    params
        How much of a patch a layer must cover.
    """

    def __init__(self, layers: Layers, ground: Ground, params: ContextParams) -> None:
        self._layers = layers
        self._params = params
        self.ground = ground
        self.unknown: dict[str, NDArray[np.bool_]] = {}

    def vector(
        self, name: str, columns: Sequence[str], margin_m: float = 0.0
    ) -> tuple[gpd.GeoDataFrame | None, NDArray[np.bool_]]:
        """Features around the patches, and of which patches the layer speaks, bool (n,); None where of none."""
        layer = self._layers.vector(name)
        known = np.zeros(len(self.ground), bool)
        if layer is not None:
            known = _covered_share(self.ground, layer.covers) >= self._params.known_share
        self.unknown[name] = ~known
        if layer is None or not known.any():
            return None, known
        return layer.read(self.ground.bounds(margin_m), columns), known


def _covered_share(ground: Ground, covers: BaseGeometry | Bounds) -> NDArray[np.float64]:
    """Share of each patch on the ground that a layer speaks of, float64 (n,)."""
    extent = covers if isinstance(covers, BaseGeometry) else shapely.box(*covers)
    shapely.prepare(extent)
    share = shapely.covers(extent, ground.outlines).astype(np.float64)
    partly = np.flatnonzero((share < 1) & shapely.intersects(extent, ground.outlines))
    share[partly] = shapely.area(shapely.intersection(extent, ground.outlines[partly])) / ground.area_m2[partly]
    return np.asarray(share, np.float64)


def text_of(column: pd.Series[Any]) -> NDArray[np.object_]:
    """A column of texts as objects, None where there is none."""
    texts = np.array(column, dtype=object)
    texts[np.asarray(column.isna(), bool)] = None
    return texts
