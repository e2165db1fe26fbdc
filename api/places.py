"""Communes and départements by name, and the départements' outlines: from the layers that were imported."""

from __future__ import annotations

import json
import threading
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import shapely

from api.store.literals import Bbox
from detector.layers.store import LayerStore, VectorLayer
from tiles.errors import NotFoundError

MOST: Final = 20
"""Places that one answer holds."""
_KINDS: Final = {"departement": "departements", "commune": "communes"}
"""What is searched, and the layer of it: départements stand before communes of their name."""
_SIMPLER_M: Final = 500.0
"""How far an outline of a département may lie from the true one: half a pixel of a map of France."""
_Kept = TypeVar("_Kept")


@dataclass(frozen=True)
class Place:
    """Somewhere that has a name.

    Parameters
    ----------
    kind
        ``commune`` or ``departement``.
    code
        INSEE's.
    bbox
        West, south, east, north in degrees.
    """

    kind: str
    code: str
    name: str
    bbox: Bbox


class Places:
    """Places of the layers under a data directory, read when they are first asked for, and again where they changed.

    Parameters
    ----------
    layers
        ``<data directory>/layers``.
    """

    def __init__(self, layers: Path) -> None:
        self._store = LayerStore(layers)
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[str, object]] = {}

    def search(self, text: str) -> list[Place]:
        """Places whose name has a beginning or a word that is looked for, or whose code it is; at most `MOST`.

        Raises
        ------
        tiles.errors.NotFoundError
            When neither layer was imported.
        tiles.errors.LayerError
            When a layer is broken.
        """
        wanted, found = _plain(text), list[tuple[tuple[int, int, str], Place]]()
        layers = {kind: self._store.vector(name) for kind, name in _KINDS.items()}
        if not any(layers.values()):
            raise NotFoundError("There is no layer of communes: `sylvigie layers import communes` brings it.")
        for order, (kind, layer) in enumerate(layers.items()):
            if layer is None:
                continue
            for plain, place in self._of(layer, kind, lambda each: _names(each)):
                rank = _rank(plain, place.code, wanted)
                if rank is not None:
                    found.append(((rank, order, plain), Place(kind, place.code, place.name, place.bbox)))
        return [place for _, place in sorted(found, key=lambda each: each[0])[:MOST]]

    def departements(self) -> str:
        """Outlines of the départements, simplified, as GeoJSON.

        Raises
        ------
        tiles.errors.NotFoundError
            When the layer was not imported.
        tiles.errors.LayerError
            When it is broken.
        """
        layer = self._store.vector("departements")
        if layer is None:
            raise NotFoundError("There is no layer of départements: `sylvigie layers import departements` brings it.")
        return self._of(layer, "outlines", _outlines)

    def _of(self, layer: VectorLayer, what: str, make: Callable[[VectorLayer], _Kept]) -> _Kept:
        """What is made of a layer, kept until the layer is another."""
        content = layer.provenance.sha256
        with self._lock:
            if what not in self._kept or self._kept[what][0] != content:
                self._kept[what] = (content, make(layer))
            kept: _Kept = self._kept[what][1]  # type: ignore[assignment]
            return kept


def _names(layer: VectorLayer) -> list[tuple[str, Place]]:
    frame = layer.read(columns=["insee", "name"])
    boxes = frame.geometry.bounds
    corners = frame.set_geometry(shapely.box(boxes.minx, boxes.miny, boxes.maxx, boxes.maxy), crs=frame.crs)
    bounds = corners.to_crs("OGC:CRS84").geometry.bounds.round(5).to_numpy()
    named = zip(frame["name"], frame["insee"], bounds.tolist(), strict=True)
    return [(_plain(str(name)), Place("", str(code), str(name), tuple(box))) for name, code, box in named]


def _outlines(layer: VectorLayer) -> str:
    frame = layer.read(columns=["insee", "name"])
    # As one coverage: neighbours keep their common line.
    simple = shapely.coverage_simplify(np.asarray(frame.geometry, dtype=object), _SIMPLER_M)
    shapes = frame.set_geometry(simple, crs=frame.crs).to_crs("OGC:CRS84").geometry
    features = [
        {
            "type": "Feature",
            "geometry": json.loads(shapely.to_geojson(shapely.set_precision(shape, 1e-4))),
            "properties": {"code": str(code), "name": str(name)},
        }
        for shape, code, name in zip(shapes, frame["insee"], frame["name"], strict=True)
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False)


def _plain(text: str) -> str:
    """Without accents, capitals, hyphens: as people type names."""
    letters = unicodedata.normalize("NFKD", text.casefold().replace("œ", "oe"))
    return " ".join("".join(one if one.isalnum() else " " for one in letters if not unicodedata.combining(one)).split())


def _rank(name: str, code: str, wanted: str) -> int | None:
    """How well a place meets what is looked for; None where it does not."""
    if not wanted:
        return None
    if code.casefold() == wanted or name == wanted:
        return 0
    if name.startswith(wanted):
        return 1
    return 2 if f" {wanted}" in name else None
