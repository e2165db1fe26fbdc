"""Alerts in, bytes out: one way for a client that waits, one for a file.

Text formats leave as the alerts come. The others are written to a file of their own first, batch by batch, which is
removed when the last byte has left, or the client.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Final

from api.exports import delimited, geojson, gpx, kml
from api.exports.flatgeobuf import write_flatgeobuf
from api.exports.formats import ExportFormat
from api.exports.geopackage import write_geopackage
from api.exports.geoparquet import write_geoparquet
from api.exports.workbook import write_workbook
from api.features import AlertFeature, CollectionInfo
from tiles.errors import OutputError
from tiles.placing import written_beside

CHUNK_BYTES: Final = 64 * 1024
"""About what is handed on at once."""

_Texts = Callable[[Iterable[AlertFeature], CollectionInfo], Iterator[str]]
_Writer = Callable[[Iterable[AlertFeature], CollectionInfo, Path], None]

_TEXTS: Final = MappingProxyType[ExportFormat, _Texts](
    {
        ExportFormat.GEOJSON: geojson.collection,
        ExportFormat.GEOJSONL: geojson.lines,
        ExportFormat.CSV: delimited.rows,
        ExportFormat.KML: kml.document,
        ExportFormat.GPX: gpx.waypoints,
    }
)
_WRITERS: Final = MappingProxyType[ExportFormat, _Writer](
    {
        ExportFormat.GPKG: write_geopackage,
        ExportFormat.FGB: write_flatgeobuf,
        ExportFormat.PARQUET: write_geoparquet,
        ExportFormat.XLSX: write_workbook,
    }
)


def stream(
    features: Iterable[AlertFeature], fmt: ExportFormat, info: CollectionInfo, scratch: Path | None = None
) -> Generator[bytes, None, None]:
    """Alerts as a format's bytes, some 64 kB at a time.

    Memory does not grow with the number of alerts, as long as `features` are drawn from and not kept. Closing the
    generator removes what it wrote.

    Parameters
    ----------
    features
        Drawn from once, in their order.
    fmt
        The format.
    info
        What the export says of itself.
    scratch
        Folder for the files of formats that are not streamed; the system's own where None. It must have room for
        the whole export.

    Raises
    ------
    OutputError
        When a file cannot be written in `scratch`, before the first byte.
    """
    if fmt in _TEXTS:
        yield from _chunks(_TEXTS[fmt](features, info))
        return
    try:
        folder = tempfile.TemporaryDirectory(prefix="sylvigie-export-", dir=scratch)
    except OSError as error:
        raise OutputError(f"Cannot write an export in {scratch}: {error.strerror or error}.") from error
    with folder as name:
        path = Path(name) / f"alertes{fmt.suffix}"
        _WRITERS[fmt](features, info, path)
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk


def write(features: Iterable[AlertFeature], fmt: ExportFormat, info: CollectionInfo, path: Path) -> int:
    """Write alerts to a file, which appears whole or not at all.

    Parameters
    ----------
    features
        Drawn from once, in their order.
    fmt
        The format.
    info
        What the export says of itself.
    path
        File to write; replaced if it exists.

    Returns
    -------
    n
        How many alerts were written.

    Raises
    ------
    OutputError
        If the file cannot be written; the one that was there is then left as it was.
    """
    counted = _Counted(features)
    try:
        with written_beside(path) as partial:
            if fmt in _TEXTS:
                with partial.open("wb") as file:
                    file.writelines(_chunks(_TEXTS[fmt](counted, info)))
            else:
                _WRITERS[fmt](counted, info, partial)
    except OSError as error:
        raise OutputError(f"Cannot write {path}: {error.strerror or error}.") from error
    return counted.n


class _Counted:
    """Features, counted as they are drawn."""

    def __init__(self, features: Iterable[AlertFeature]) -> None:
        self.n = 0
        self._features = features

    def __iter__(self) -> Iterator[AlertFeature]:
        for feature in self._features:
            self.n += 1
            yield feature


def _chunks(texts: Iterable[str]) -> Iterator[bytes]:
    """Texts as UTF-8, joined until there are some 64 kB of them."""
    waiting = bytearray()
    for text in texts:
        waiting += text.encode("utf-8")
        if len(waiting) >= CHUNK_BYTES:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)
