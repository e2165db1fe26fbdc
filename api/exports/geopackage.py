"""GeoPackage for QGIS and QField: the alerts, an empty layer of observation reports, styles and forms of both.

References
----------
OGC 12-128r15, GeoPackage 1.2.1: contents, metadata. ``layer_styles`` is QGIS's own table, which QGIS and
QField read the default style of a layer from.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyogrio.errors
import pyogrio.raw

from api.exports import about, qgis_styles
from api.exports.gdal_layers import LAYER, write_layer
from api.exports.record_batches import GEOMETRY, WGS84
from api.features import AlertFeature, CollectionInfo
from api.reports.form import FORM, Answer
from tiles.errors import OutputError

REPORTS: Final = "fiches"
README: Final = "lisez_moi"
_GEOMETRY_COLUMN: Final = "geom"
_VERSION: Final = "1.2"
"""Of GeoPackage: what a GDAL of 2022 reads without a warning, and so the QGIS of a stable Debian."""

_STYLES_TABLE: Final = """
CREATE TABLE layer_styles (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT(256), f_table_schema TEXT(256),
    f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT, styleSLD TEXT,
    useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30), update_time DATETIME
)
"""
_README_TABLE: Final = (
    f"CREATE TABLE {README} (fid INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, champ TEXT NOT NULL, texte TEXT NOT NULL)"
)
_CONTENT: Final = (
    "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, last_change) "
    "VALUES (?, 'attributes', ?, ?, ?)"
)


def write_geopackage(features: Iterable[AlertFeature], info: CollectionInfo, path: Path) -> None:
    """Write alerts as a GeoPackage of four tables: `alertes`, `fiches` (empty), `lisez_moi`, `layer_styles`.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    said = json.dumps(about.as_json(info), ensure_ascii=False)
    write_layer(
        features,
        path,
        "GPKG",
        {"sylvigie": said},
        GEOMETRY_NAME=_GEOMETRY_COLUMN,
        dataset_options={"VERSION": _VERSION},
        DESCRIPTION=f"{info.title}. {info.estimator}.",
    )
    try:
        _write_reports(path)
        with closing(sqlite3.connect(path)) as connection, connection:
            _write_readme(connection, info)
            _write_styles(connection, info)
            # GDAL dates by its clock; the same alerts at the same moment give the same bytes.
            connection.execute("UPDATE gpkg_contents SET last_change = ?", (_moment(info),))
            connection.execute("UPDATE gpkg_metadata_reference SET timestamp = ?", (_moment(info),))
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, RuntimeError, sqlite3.Error) as error:
        raise OutputError(f"Cannot write {path}: {error}.") from error


def _write_reports(path: Path) -> None:
    """The layer of reports, without any: volunteers add points to it."""
    columns = [pa.field(field.name, pa.date32() if field.answer is Answer.DAY else pa.string()) for field in FORM]
    wkb = pa.field(GEOMETRY, pa.binary(), metadata={"ARROW:extension:name": "geoarrow.wkb"})
    pyogrio.raw.write_arrow(
        pa.schema([*columns, wkb]).empty_table(),
        path,
        layer=REPORTS,
        driver="GPKG",
        geometry_name=GEOMETRY,
        geometry_type="Point",
        crs=WGS84,
        append=True,
        layer_options={"GEOMETRY_NAME": _GEOMETRY_COLUMN, "IDENTIFIER": "Fiches de visite"},
    )


def _write_readme(connection: sqlite3.Connection, info: CollectionInfo) -> None:
    connection.execute(_README_TABLE)
    connection.executemany(f"INSERT INTO {README} (champ, texte) VALUES (?, ?)", about.lines_fr(info))
    connection.execute(_CONTENT, (README, "Lisez-moi", info.title, _moment(info)))


def _write_styles(connection: sqlite3.Connection, info: CollectionInfo) -> None:
    connection.execute(_STYLES_TABLE)
    connection.executemany(
        "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, styleName, "
        "styleQML, useAsDefault, description, owner, update_time) VALUES ('', '', ?, ?, ?, ?, 1, ?, '', ?)",
        [(*style, _moment(info)) for style in _styles()],
    )
    connection.execute(_CONTENT, ("layer_styles", "layer_styles", "Styles de QGIS et de QField", _moment(info)))


def _styles() -> Iterator[tuple[Any, ...]]:
    yield LAYER, _GEOMETRY_COLUMN, LAYER, qgis_styles.alerts_style(), "Alertes par état"
    yield REPORTS, _GEOMETRY_COLUMN, REPORTS, qgis_styles.reports_style(), "Fiches de visite"


def _moment(info: CollectionInfo) -> str:
    """When it was made, as a GeoPackage has it."""
    return about.made_utc(info).strftime("%Y-%m-%dT%H:%M:%S.000Z")
