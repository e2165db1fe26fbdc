"""The zones that alerts were laid on: taken from the reference layers, anew where a layer has changed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely
import sqlalchemy as sa

from api.store.database import Database, Writing
from api.store.tables import zone_layers, zones
from detector.layers.store import LayerStore, VectorLayer

ZONE_LAYERS: Final = (
    "natura2000_zsc",
    "natura2000_zps",
    "znieff1",
    "znieff2",
    "nature_reserves",
    "appb",
    "national_park_core",
    "ebc",
    "burnt_areas",
    "storms",
)
_AT_ONCE: Final = 1000


@dataclass(frozen=True)
class ZonesTaken:
    """What was taken in: zones by layer; layers that the store had as they are are not in it."""

    layers: dict[str, int]


def take_zones(database: Database, layers: LayerStore, actor: str = "command") -> ZonesTaken:
    """Bring the store's zones up to the layers that are installed; a layer a transaction.

    Raises
    ------
    tiles.errors.LayerError
        When a layer is broken.
    tiles.errors.StoreError
        When the store cannot be written.
    """
    taken = {}
    for name in ZONE_LAYERS:
        layer = layers.vector(name)
        if layer is None:
            continue
        with database.reading() as connection:
            query = sa.select(zone_layers.c.content).where(zone_layers.c.layer == name)
            known = connection.execute(query).scalar()
        if known != layer.provenance.sha256:
            with database.writing() as writing:
                taken[name] = _replace(writing, layer)
                writing.audit(actor, "take zones", name, str(taken[name]))
    return ZonesTaken(taken)


def _replace(writing: Writing, layer: VectorLayer) -> int:
    connection = writing.connection
    connection.execute(sa.delete(zones).where(zones.c.layer == layer.name))
    connection.execute(sa.delete(zone_layers).where(zone_layers.c.layer == layer.name))
    rows = _rows(layer)
    for start in range(0, len(rows), _AT_ONCE):
        connection.execute(sa.insert(zones), rows[start : start + _AT_ONCE])
    told = {
        "layer": layer.name,
        "content": layer.provenance.sha256,
        "source": layer.provenance.source,
        "licence": layer.provenance.licence,
        "zones": len(rows),
        "taken_at": writing.now,
    }
    connection.execute(sa.insert(zone_layers), told)
    return len(rows)


def _rows(layer: VectorLayer) -> Sequence[dict[str, Any]]:
    frame = layer.read().to_crs("OGC:CRS84")
    outlines = np.asarray(frame.geometry, dtype=object)
    outlines = shapely.orient_polygons(shapely.set_precision(outlines, 1e-7), exterior_cw=False)
    there = ~shapely.is_empty(outlines)
    columns = [name for name in layer.columns if name in frame]
    told = frame[columns].astype(object).where(frame[columns].notna(), None).to_dict("records")
    return [
        _row(layer, number, record, outline)
        for number, (record, outline, shown) in enumerate(zip(told, outlines, there, strict=True))
        if shown
    ]


def _row(layer: VectorLayer, number: int, record: dict[str, Any], outline: Any) -> dict[str, Any]:
    properties = {"layer": layer.name} | {
        name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in record.items()
    }
    # By place in the layer: codes are not always there, nor one feature's alone.
    name = f"{layer.name}.{number}"
    feature = {
        "type": "Feature",
        "id": name,
        "geometry": json.loads(shapely.to_geojson(outline)),
        "properties": properties,
    }
    bounds = dict(zip(("min_lon", "min_lat", "max_lon", "max_lat"), map(float, outline.bounds), strict=True))
    text = json.dumps(feature, ensure_ascii=False, default=str)
    return {"id": name, "layer": layer.name, "geometry": shapely.to_wkb(outline), "feature": text, **bounds}
