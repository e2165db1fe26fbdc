"""Alerts as Arrow record batches, one after the other: what the binary formats are written from, with flat memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any, Final

import pyarrow as pa
import shapely
from shapely.geometry.base import BaseGeometry

from api.exports.columns import COLUMNS, ID, cells
from api.exports.tables import Kind
from api.features import AlertFeature

BATCH_ROWS: Final = 2_000
"""Alerts of a batch: with some 5 kB an alert as Python holds it, ten megabytes."""
GEOMETRY: Final = "geometry"
WGS84: Final = "EPSG:4326"
"""For formats that name a reference system by its code; coordinates are longitude first in all of them."""

_TYPES: Final = {
    Kind.TEXT: pa.string(),
    Kind.NUMBER: pa.float64(),
    Kind.COUNT: pa.int32(),
    Kind.YES_NO: pa.bool_(),
    Kind.DATE: pa.date32(),
}

FIELDS: Final = tuple(pa.field(column.name, _TYPES[column.kind]) for column in (ID, *COLUMNS))


def arrow_schema() -> Any:
    """`id`, the columns of `api.exports.columns`, then `geometry` as WKB marked as such (GeoArrow)."""
    wkb = pa.field(GEOMETRY, pa.binary(), metadata={"ARROW:extension:name": "geoarrow.wkb"})
    return pa.schema([*FIELDS, wkb])


def batches_of(features: Iterable[AlertFeature], size: int = BATCH_ROWS) -> Iterator[list[AlertFeature]]:
    """Features in lists of up to `size`."""
    remaining = iter(features)
    while batch := list(itertools.islice(remaining, size)):
        yield batch


def columns_of(batch: list[AlertFeature]) -> list[Any]:
    """Arrays of `FIELDS`."""
    by_column = zip(*(cells(feature) for feature in batch), strict=True)
    return [pa.array(values, field.type) for values, field in zip(by_column, FIELDS, strict=True)]


class ArrowReader:
    """Features as a stream of record batches that GDAL draws from, outlines as multipolygons.

    What goes wrong in drawing is kept in `fault`: GDAL tells of it in words alone.

    Parameters
    ----------
    features
        Drawn from once.
    """

    def __init__(self, features: Iterable[AlertFeature]) -> None:
        self.fault: Exception | None = None
        self._features = features

    def reader(self) -> Any:
        """The stream, once."""
        return pa.RecordBatchReader.from_batches(arrow_schema(), self._drawn())

    def _drawn(self) -> Iterator[Any]:
        try:
            for batch in batches_of(self._features):
                outlines = pa.array([_multi(feature.geometry) for feature in batch], pa.binary())
                yield pa.record_batch([*columns_of(batch), outlines], schema=arrow_schema())
        except Exception as error:
            self.fault = error
            raise


def _multi(outline: BaseGeometry) -> bytes:
    """WKB of an outline as a multipolygon: a layer of GeoPackage or FlatGeobuf has one kind of geometry."""
    parts = [part for part in shapely.get_parts(outline) if not part.is_empty]
    return bytes(shapely.to_wkb(shapely.MultiPolygon(parts)))
