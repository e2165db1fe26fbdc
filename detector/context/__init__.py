"""Where a patch lies: commune, forest, terrain, zonings, and what was cut around it.

`describe` is the face. Each file beside it tells one part: `administrative`, `forest`, `terrain` (over `mosaic`, the
tiles of a raster), `zonings`, `neighbours`, `events`; `ground` holds the patches of a chunk and their overlaps with
polygons; `sources` says what is asked of the layers.
"""

from __future__ import annotations

from detector.context.by_chunks import describe
from detector.context.description import (
    Described,
    Event,
    ForestType,
    NearestZone,
    PatchContext,
    Place,
    Zone,
)
from detector.context.neighbours import EarlierCuts
from detector.context.params import ContextParams
from detector.context.sources import Bounds, Layers, RasterLayer, VectorLayer

__all__ = [
    "describe",
    "ContextParams",
    "EarlierCuts",
    "Described",
    "PatchContext",
    "Place",
    "ForestType",
    "Zone",
    "NearestZone",
    "Event",
    "Layers",
    "VectorLayer",
    "RasterLayer",
    "Bounds",
]
