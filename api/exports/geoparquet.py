"""GeoParquet 1.1, by row groups: outlines as WKB, and a bounding box an alert that readers skip row groups by.

References
----------
GeoParquet 1.1.0, https://geoparquet.org/releases/v1.1.0/: the metadata ``geo``, the covering ``bbox``. Where it names
no reference system coordinates are OGC:CRS84: WGS 84, longitude first.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import shapely

from api.exports import about
from api.exports.record_batches import BATCH_ROWS, FIELDS, GEOMETRY, batches_of, columns_of
from api.features import AlertFeature, CollectionInfo
from tiles.errors import OutputError

_SIDES: Final = ("xmin", "ymin", "xmax", "ymax")
_BBOX: Final = pa.struct([pa.field(side, pa.float64()) for side in _SIDES])
_SCHEMA: Final = pa.schema([*FIELDS, pa.field(GEOMETRY, pa.binary()), pa.field("bbox", _BBOX)])
INFO_KEY: Final = "sylvigie"
"""Of the file's metadata under which stands what is said of the collection, as JSON."""


def write_geoparquet(
    features: Iterable[AlertFeature], info: CollectionInfo, path: Path, row_group: int = BATCH_ROWS
) -> None:
    """Write alerts as GeoParquet, `row_group` rows at a time.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    kinds: set[str] = set()
    bounds = np.full(4, np.nan)
    try:
        with pyarrow.parquet.ParquetWriter(path, _SCHEMA, compression="zstd", store_schema=False) as writer:
            for batch in batches_of(features, row_group):
                outlines = np.array([feature.geometry for feature in batch], dtype=object)
                kinds |= {str(outline.geom_type) for outline in outlines}
                corners = shapely.bounds(outlines)
                bounds = _grown(bounds, corners)
                writer.write_table(_table(batch, outlines, corners))
            writer.add_key_value_metadata(
                {"geo": json.dumps(_geo(kinds, bounds)), INFO_KEY: json.dumps(about.as_json(info), ensure_ascii=False)}
            )
    except OSError as error:
        raise OutputError(f"Cannot write {path}: {error.strerror or error}.") from error


def _table(batch: list[AlertFeature], outlines: Any, corners: Any) -> Any:
    wkb = pa.array(shapely.to_wkb(outlines, flavor="iso"), pa.binary())
    sides = [pa.array(corners[:, i], pa.float64(), from_pandas=True) for i in range(len(_SIDES))]
    boxes = pa.StructArray.from_arrays(sides, fields=list(_BBOX))
    return pa.table([*columns_of(batch), wkb, boxes], schema=_SCHEMA)


def _grown(bounds: Any, corners: Any) -> Any:
    """Bounds with more boxes in them; empty outlines have none."""
    every = np.vstack([bounds, corners])
    every = every[~np.isnan(every).any(axis=1)]
    return np.concatenate([every[:, :2].min(axis=0), every[:, 2:].max(axis=0)]) if len(every) else bounds


def _geo(kinds: set[str], bounds: Any) -> dict[str, Any]:
    column: dict[str, Any] = {
        "encoding": "WKB",
        "geometry_types": sorted(kinds),
        "orientation": "counterclockwise",
        "covering": {"bbox": {side: ["bbox", side] for side in _SIDES}},
    }
    if not math.isnan(bounds[0]):
        column["bbox"] = [float(side) for side in bounds]
    return {"version": "1.1.0", "primary_column": GEOMETRY, "columns": {GEOMETRY: column}}
