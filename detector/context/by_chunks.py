"""Describing patches: by chunks of neighbours, so that memory is bounded whatever their number."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from detector.context.administrative import administrative
from detector.context.description import Described, PatchContext
from detector.context.events import events
from detector.context.forest import forest
from detector.context.ground import Ground, Reader
from detector.context.mosaic import Mosaic, open_mosaics
from detector.context.neighbours import CutIndex, EarlierCuts, earlier_cuts, watercourses
from detector.context.params import ContextParams
from detector.context.sources import Layers
from detector.context.terrain import terrain, tree_cover
from detector.context.zonings import zonings
from detector.outlines import Geometries

#: What is not known without a layer, in the words of `PatchContext`.
_TOLD_BY = {
    "communes": "communes",
    "departements": "départements",
    "regions": "names of regions",
    "forest": "forest type and species",
    "natura2000_zsc": "hectares in Natura 2000",
    "natura2000_zps": "hectares in Natura 2000",
    "znieff1": "hectares in ZNIEFF of type 1",
    "znieff2": "hectares in ZNIEFF of type 2",
    "nature_reserves": "hectares in nature reserves",
    "appb": "hectares under biotope orders (APPB)",
    "national_park_core": "hectares in national parks' cores",
    "ebc": "hectares in classified woods (EBC)",
    "watercourses": "distance to water",
    "burnt_areas": "burnt hectares",
    "storms": "hectares hit by storms",
    "elevation": "elevation and slope",
    "tree_cover": "tree cover",
}
_CUTS = "earlier_cuts"


@dataclass(frozen=True, eq=False)
class _Sources:
    """What all chunks are described from."""

    layers: Layers
    rasters: dict[str, tuple[Mosaic, ...]]
    cuts: CutIndex | None
    params: ContextParams


def describe(
    outlines: Geometries,
    area_ha: NDArray[np.float64],
    on: NDArray[np.datetime64],
    layers: Layers,
    earlier: EarlierCuts | None = None,
    params: ContextParams | None = None,
    threads: int | None = None,
) -> Described:
    """Say where patches lie.

    Parameters
    ----------
    outlines
        object (n,). Outlines along the pixel edges, in WGS 84, longitude first.
    area_ha
        float64 (n,). Geodesic hectares (`detector.outlines.measure`).
    on
        datetime64[D] (n,). First low dates.
    layers
        The reference layers that are installed.
    earlier
        Cuts known from before; where None, what was cut around is unknown.
    params
        Distances and limits.
    threads
        Chunks that are described at once; as many as there are processors where None.

    Returns
    -------
    described
        A context each patch, and a sentence for each layer that is absent or leaves patches out.

    Raises
    ------
    tiles.errors.LayerError
        If a layer that is installed is broken.
    tiles.errors.GridError
        If an outline lies where Lambert-93 is not defined.
    """
    params = params or ContextParams()
    outlines = np.asarray(outlines, object)
    rasters = {name: layers.raster(name) for name in ("elevation", "tree_cover")}
    sources = _Sources(
        layers,
        {name: open_mosaics(layer.paths) if layer is not None else () for name, layer in rasters.items()},
        None if earlier is None else CutIndex(earlier),
        params,
    )
    contexts: list[PatchContext | None] = [None] * outlines.size
    unknown: dict[str, int] = {}

    def of_chunk(chunk: NDArray[np.intp]) -> tuple[NDArray[np.intp], list[PatchContext]]:
        return chunk, _describe_chunk(Ground.lay(outlines[chunk], area_ha[chunk], on[chunk]), sources)

    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        for chunk, described in pool.map(of_chunk, _chunks(outlines, params)):
            for index, context in zip(chunk, described, strict=True):
                contexts[index] = context
                for name in context.unknown_layers:
                    unknown[name] = unknown.get(name, 0) + 1
    absent = {name for name in _TOLD_BY if (layers.raster if name in rasters else layers.vector)(name) is None}
    return Described(
        tuple(context for context in contexts if context is not None),
        tuple(_warnings(unknown, absent, outlines.size, earlier is None)),
    )


def _chunks(outlines: Geometries, params: ContextParams) -> Iterable[NDArray[np.intp]]:
    """Patches that lie together, along a Hilbert curve: no more than so many, in a square no wider than so much."""
    if not outlines.size:
        return
    along = np.argsort(gpd.GeoSeries(outlines).hilbert_distance().to_numpy(), kind="stable")
    bounds = shapely.bounds(outlines).reshape(-1, 4)[along]
    # Degrees to metres, near enough to bound a chunk.
    to_m = 111_000 * np.array([np.cos(np.radians(bounds[:, 1::2].mean())), 1.0])
    start = 0
    low, high = bounds[0, :2], bounds[0, 2:]
    for place in range(1, along.size):
        low, high = np.minimum(low, bounds[place, :2]), np.maximum(high, bounds[place, 2:])
        if place - start == params.chunk_patches or ((high - low) * to_m).max() > params.chunk_extent_m:
            yield along[start:place]
            start = place
            low, high = bounds[place, :2], bounds[place, 2:]
    yield along[start:]


def _describe_chunk(ground: Ground, sources: _Sources) -> list[PatchContext]:
    params = sources.params
    reader = Reader(sources.layers, ground, params)
    fields: dict[str, Sequence[Any]] = {}
    fields |= administrative(reader)
    fields |= forest(reader)
    fields |= zonings(reader, params.near_m)
    fields |= watercourses(reader, params.watercourse_near_m)
    fields |= events(reader, params)
    unknown = reader.unknown
    for name, story in (("elevation", terrain), ("tree_cover", tree_cover)):
        told = np.zeros(len(ground), bool)
        if sources.rasters[name]:
            found, told = story(ground, sources.rasters[name], params)
            fields |= found
        unknown[name] = ~told
    if sources.cuts is not None:
        fields |= earlier_cuts(ground, sources.cuts, params)
        unknown[_CUTS] = np.array([value is None for value in fields["cut_100m_5y_ha"]])
    fields["unknown_layers"] = [
        tuple(name for name, missing in unknown.items() if missing[patch]) for patch in range(len(ground))
    ]
    names = list(fields)
    return [PatchContext(**dict(zip(names, row, strict=True))) for row in zip(*fields.values(), strict=True)]


def _warnings(unknown: dict[str, int], absent: set[str], n: int, without_cuts: bool) -> Iterable[str]:
    """One sentence a layer."""
    for name, told in _TOLD_BY.items():
        if name in absent:
            yield f"Layer {name} is not installed (`sylvigie layers fetch` or `import`); unknown without it: {told}."
        elif unknown.get(name):
            yield f"Layer {name} does not cover {unknown[name]} of {n} patches; unknown there: {told}."
    if without_cuts:
        yield "No earlier cuts were given: what was cut around the patches is unknown."
    elif unknown.get(_CUTS):
        yield f"Earlier cuts are not known for all of five years before {unknown[_CUTS]} of {n} patches."
