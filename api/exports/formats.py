"""The formats in which alerts leave, and what a client is told of each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class ExportFormat(StrEnum):
    """A format in which alerts leave; its value is what is asked for."""

    GEOJSON = "geojson"
    GEOJSONL = "geojsonl"
    """A GeoJSON feature a line, without the RS character of RFC 8142."""
    GPKG = "gpkg"
    """GeoPackage, with styles and a report form for QGIS and QField."""
    FGB = "fgb"
    """FlatGeobuf."""
    PARQUET = "parquet"
    """GeoParquet 1.1."""
    CSV = "csv"
    """As a French spreadsheet opens it."""
    XLSX = "xlsx"
    KML = "kml"
    GPX = "gpx"
    """Way-points for a GPS."""

    @property
    def media_type(self) -> str:
        """What HTTP calls it."""
        return _TRAITS[self].media_type

    @property
    def suffix(self) -> str:
        """What its files' names end with, dot included."""
        return _TRAITS[self].suffix

    @property
    def streamed(self) -> bool:
        """Whether its first bytes leave as soon as the first features come; else a file is written first."""
        return _TRAITS[self].streamed


@dataclass(frozen=True)
class _Traits:
    media_type: str
    suffix: str
    streamed: bool


_TRAITS: Final = MappingProxyType(
    {
        ExportFormat.GEOJSON: _Traits("application/geo+json", ".geojson", True),
        ExportFormat.GEOJSONL: _Traits("application/x-ndjson", ".geojsonl", True),
        ExportFormat.GPKG: _Traits("application/geopackage+sqlite3", ".gpkg", False),
        ExportFormat.FGB: _Traits("application/flatgeobuf", ".fgb", False),
        ExportFormat.PARQUET: _Traits("application/vnd.apache.parquet", ".parquet", False),
        ExportFormat.CSV: _Traits("text/csv; charset=utf-8; header=present", ".csv", True),
        ExportFormat.XLSX: _Traits("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ".xlsx", False),
        ExportFormat.KML: _Traits("application/vnd.google-earth.kml+xml", ".kml", True),
        ExportFormat.GPX: _Traits("application/gpx+xml", ".gpx", True),
    }
)
