"""Alerts in everybody's formats: features in, bytes out. Knows neither the store nor HTTP.

Text is streamed as it comes; what has an index or a directory at its end is written to a file aside, some features at a
time, and streamed from there. Either way memory does not grow with the number of alerts.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from api.exports import columnar, geojson, geopackage, spreadsheet, waypoints
from api.features import AlertFeature, CollectionInfo
from tiles.errors import OutputError
from tiles.placing import written_beside

_CHUNK_BYTES: Final = 1 << 16

Streamed = Callable[[Iterable[AlertFeature], CollectionInfo], Iterator[str]]
"""Gives the text of a form, piece by piece."""
Written = Callable[[Iterable[AlertFeature], CollectionInfo, Path], None]
"""Writes a form into a file."""


class ExportFormat(StrEnum):
    """The forms that alerts leave in."""

    GEOJSON = "geojson"
    """RFC 7946."""
    GEOJSONL = "geojsonl"
    """A GeoJSON feature on each line."""
    GPKG = "gpkg"
    """GeoPackage, styled for QGIS and QField, with the form of an observation report."""
    FGB = "fgb"
    """FlatGeobuf."""
    PARQUET = "parquet"
    """GeoParquet 1.1."""
    CSV = "csv"
    XLSX = "xlsx"
    KML = "kml"
    GPX = "gpx"
    """Way-points for a GPS."""


@dataclass(frozen=True)
class Form:
    """What a form is to HTTP and to a file system.

    Parameters
    ----------
    media_type
        Of the answer.
    suffix
        Of the file, with its dot.
    text
        Gives it piece by piece, where it is text.
    file
        Writes it into a file, where it is not.
    """

    media_type: str
    suffix: str
    text: Streamed | None = None
    file: Written | None = None


FORMS: Final[Mapping[ExportFormat, Form]] = {
    ExportFormat.GEOJSON: Form("application/geo+json", ".geojson", text=geojson.collection),
    ExportFormat.GEOJSONL: Form("application/geo+json-seq", ".geojsonl", text=geojson.lines),
    ExportFormat.GPKG: Form("application/geopackage+sqlite3", ".gpkg", file=geopackage.write),
    ExportFormat.FGB: Form("application/flatgeobuf", ".fgb", file=columnar.write_flatgeobuf),
    ExportFormat.PARQUET: Form("application/vnd.apache.parquet", ".parquet", file=columnar.write_geoparquet),
    ExportFormat.CSV: Form("text/csv; charset=utf-8", ".csv", text=spreadsheet.csv_text),
    ExportFormat.XLSX: Form(
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ".xlsx", file=spreadsheet.write_xlsx
    ),
    ExportFormat.KML: Form("application/vnd.google-earth.kml+xml", ".kml", text=waypoints.kml),
    ExportFormat.GPX: Form("application/gpx+xml", ".gpx", text=waypoints.gpx),
}


def stream(features: Iterable[AlertFeature], form: ExportFormat, info: CollectionInfo) -> Iterator[bytes]:
    """The bytes of an export, in chunks; a file that was needed for it goes when the iterator ends or is closed.

    Parameters
    ----------
    features
        Alerts, read once.
    form
        The form.
    info
        What the export says of itself.

    Raises
    ------
    tiles.errors.OutputError
        When the disk does not take the file.
    """
    what = FORMS[form]
    if what.text is not None:
        yield from _chunks(what.text(features, info))
        return
    assert what.file is not None
    with tempfile.TemporaryDirectory(prefix="sylvigie-export-") as folder:
        file = Path(folder) / f"alertes{what.suffix}"
        try:
            what.file(features, info, file)
        except OSError as error:
            raise OutputError(f"The export cannot be written ({error.strerror or error}).") from error
        with file.open("rb") as written:
            while chunk := written.read(_CHUNK_BYTES):
                yield chunk


def write(features: Iterable[AlertFeature], form: ExportFormat, info: CollectionInfo, path: Path) -> int:
    """Write an export to a file, which appears whole or not at all.

    Returns
    -------
    int
        Features.

    Raises
    ------
    tiles.errors.OutputError
        When it cannot be written; what was there stays.
    """
    what, counted = FORMS[form], _Counted(features)
    try:
        with written_beside(path) as partial:
            if what.file is not None:
                partial.unlink()
                what.file(counted, info, partial)
            else:
                with partial.open("wb") as file:
                    for chunk in stream(counted, form, info):
                        file.write(chunk)
    except OSError as error:
        raise OutputError(f"Cannot write {path}: {error.strerror or error}.") from error
    return counted.number


class _Counted:
    """Features, counted as they pass."""

    def __init__(self, features: Iterable[AlertFeature]) -> None:
        self._features, self.number = features, 0

    def __iter__(self) -> Iterator[AlertFeature]:
        for feature in self._features:
            self.number += 1
            yield feature


def _chunks(pieces: Iterator[str]) -> Iterator[bytes]:
    waiting, size = [], 0
    for piece in pieces:
        encoded = piece.encode()
        waiting.append(encoded)
        size += len(encoded)
        if size >= _CHUNK_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)
