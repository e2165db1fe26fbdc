"""FlatGeobuf and GeoParquet 1.1, by batches of Arrow."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import shapely
from numpy.typing import NDArray

from api.exports.about import about, about_text
from api.exports.columns import arrow_batch, arrow_schema, batches
from api.features import AlertFeature, CollectionInfo

_BBOX = pa.struct([(name, pa.float64()) for name in ("xmin", "ymin", "xmax", "ymax")])


def arrow_reader(features: Iterable[AlertFeature]) -> pa.RecordBatchReader:
    """Features as a stream of batches."""
    return pa.RecordBatchReader.from_batches(arrow_schema(), (arrow_batch(some) for some in batches(features)))


def write_flatgeobuf(features: Iterable[AlertFeature], info: CollectionInfo, path: Path) -> None:
    """Write a FlatGeobuf file, with its index."""
    pyogrio.write_arrow(
        arrow_reader(features),
        path,
        layer="alertes",
        driver="FlatGeobuf",
        geometry_name="geometry",
        geometry_type="MultiPolygon",
        crs="OGC:CRS84",
        layer_options={"TITLE": info.title, "DESCRIPTION": about_text(info)},
    )


def write_geoparquet(features: Iterable[AlertFeature], info: CollectionInfo, path: Path) -> None:
    """Write a GeoParquet 1.1 file, with the bounds of each outline as covering.

    References
    ----------
    GeoParquet 1.1.0, https://geoparquet.org/releases/v1.1.0/
    """
    covering = {name: ["bbox", name] for name in ("xmin", "ymin", "xmax", "ymax")}
    geo = {
        "version": "1.1.0",
        "primary_column": "geometry",
        "columns": {
            "geometry": {
                "encoding": "WKB",
                "geometry_types": ["MultiPolygon"],
                "orientation": "counterclockwise",
                "covering": {"bbox": covering},
            }
        },
    }
    schema = arrow_schema().append(pa.field("bbox", _BBOX))
    told = {"geo": json.dumps(geo), "sylvigie": json.dumps(about(info), ensure_ascii=False)}
    with pq.ParquetWriter(path, schema.with_metadata(told), compression="zstd") as writer:
        for some in batches(features):
            batch = arrow_batch(some)
            bounds: NDArray[np.float64] = shapely.bounds(shapely.from_wkb(batch["geometry"].to_pylist()))
            box = pa.StructArray.from_arrays([pa.array(bounds[:, i]) for i in range(4)], fields=list(_BBOX))
            writer.write_batch(pa.RecordBatch.from_arrays([*batch.columns, box], schema=writer.schema))
