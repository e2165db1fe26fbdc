"""GeoPackage for QGIS and QField: alerts in colours, and an empty layer with the form of an observation report.

References
----------
OGC 12-128r19, GeoPackage Encoding Standard 1.4; QGIS's table ``layer_styles`` and its QML.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyogrio

from api.exports.about import about, about_text
from api.exports.columnar import arrow_reader
from api.exports.columns import COLUMNS
from api.exports.markup import attribute
from api.exports.report_form import REPORT_FIELDS, FormField
from api.features import AlertFeature, CollectionInfo

ALERTS_LAYER, REPORTS_LAYER = "alertes", "fiches"

_STYLES_TABLE: Final = """
CREATE TABLE layer_styles (
    id INTEGER PRIMARY KEY AUTOINCREMENT, f_table_catalog TEXT, f_table_schema TEXT, f_table_name TEXT,
    f_geometry_column TEXT, styleName TEXT, styleQML TEXT, styleSLD TEXT, useAsDefault BOOLEAN, description TEXT,
    owner TEXT, ui TEXT, update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
)"""
_CLASSES: Final = (
    ('"potentially_abusive"', "Potentiellement abusive", "215,45,45"),
    ('"state" = \'confirmed\' AND "potentially_abusive" IS NOT 1', "Confirmée", "240,140,30"),
    ("ELSE", "À confirmer", "250,215,90"),
)
"""Rules of the alerts' colours: expression, words, red, green, blue."""


def write(features: Iterable[AlertFeature], info: CollectionInfo, path: Path) -> None:
    """Write the GeoPackage: layers ``alertes`` and ``fiches``, their styles, and what it is."""
    pyogrio.write_arrow(
        arrow_reader(features),
        path,
        layer=ALERTS_LAYER,
        driver="GPKG",
        geometry_name="geometry",
        geometry_type="MultiPolygon",
        crs="EPSG:4326",
        # What QGIS 3.16 and Debian's GDAL read without a warning.
        dataset_options={"VERSION": "1.3"},
        layer_options={"IDENTIFIER": info.title, "DESCRIPTION": about_text(info)},
    )
    pyogrio.write_arrow(
        _no_reports(),
        path,
        layer=REPORTS_LAYER,
        driver="GPKG",
        geometry_name="geometry",
        geometry_type="Point",
        crs="EPSG:4326",
        append=True,
        layer_options={"IDENTIFIER": "Fiches d'observation", "DESCRIPTION": "À remplir sur le terrain (QField)."},
    )
    with closing(sqlite3.connect(path)) as connection, connection:
        _add_styles(connection)
        _add_metadata(connection, info)


def _no_reports() -> pa.Table:
    kinds = {"date": pa.date32()}
    fields = [(field.name, kinds.get(field.kind, pa.string())) for field in REPORT_FIELDS]
    return pa.schema([*fields, ("geometry", pa.binary())]).empty_table()


def _add_styles(connection: sqlite3.Connection) -> None:
    connection.execute(_STYLES_TABLE)
    connection.execute(
        "INSERT INTO gpkg_contents (table_name, data_type, identifier) VALUES (?, 'attributes', ?)",
        ("layer_styles", "layer_styles"),
    )
    row = (
        "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, styleName, "
        "styleQML, styleSLD, useAsDefault, description, owner) VALUES ('', '', ?, ?, ?, ?, '', 1, ?, '')"
    )
    for layer, qml, words in (
        (ALERTS_LAYER, _alerts_qml(), "Alertes par état"),
        (REPORTS_LAYER, _reports_qml(), "Fiche d'observation"),
    ):
        connection.execute(row, (layer, "geom", words, qml, words))


def _add_metadata(connection: sqlite3.Connection, info: CollectionInfo) -> None:
    """What the file is, in the standard's own tables (annex F.8)."""
    connection.executescript(
        """
        CREATE TABLE IF NOT EXISTS gpkg_extensions (table_name TEXT, column_name TEXT, extension_name TEXT NOT NULL,
            definition TEXT NOT NULL, scope TEXT NOT NULL,
            CONSTRAINT ge_tce UNIQUE (table_name, column_name, extension_name));
        CREATE TABLE IF NOT EXISTS gpkg_metadata (id INTEGER CONSTRAINT m_pk PRIMARY KEY ASC NOT NULL,
            md_scope TEXT NOT NULL DEFAULT 'dataset', md_standard_uri TEXT NOT NULL,
            mime_type TEXT NOT NULL DEFAULT 'text/xml', metadata TEXT NOT NULL DEFAULT '');
        CREATE TABLE IF NOT EXISTS gpkg_metadata_reference (reference_scope TEXT NOT NULL, table_name TEXT,
            column_name TEXT, row_id_value INTEGER,
            timestamp DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')), md_file_id INTEGER NOT NULL,
            md_parent_id INTEGER, CONSTRAINT crmr_mfi_fk FOREIGN KEY (md_file_id) REFERENCES gpkg_metadata(id));
        """
    )
    definition = "http://www.geopackage.org/spec121/#extension_metadata"
    for table in ("gpkg_metadata", "gpkg_metadata_reference"):
        connection.execute(
            "INSERT OR IGNORE INTO gpkg_extensions VALUES (?, NULL, 'gpkg_metadata', ?, 'read-write')",
            (table, definition),
        )
    said = json.dumps(about(info), ensure_ascii=False)
    cursor = connection.execute(
        "INSERT INTO gpkg_metadata (md_scope, md_standard_uri, mime_type, metadata) VALUES ('dataset', ?, ?, ?)",
        ("https://www.rfc-editor.org/rfc/rfc8259", "application/json", said),
    )
    connection.execute(
        "INSERT INTO gpkg_metadata_reference (reference_scope, md_file_id) VALUES ('geopackage', ?)",
        (cursor.lastrowid,),
    )


def _alerts_qml() -> str:
    rules, symbols = [], []
    for number, (expression, words, colour) in enumerate(_CLASSES):
        rules.append(
            f'<rule key="r{number}" symbol="{number}" label={attribute(words)} filter={attribute(expression)}/>'
        )
        symbols.append(
            f'<symbol type="fill" name="{number}" alpha="1"><layer class="SimpleFill" enabled="1"><Option type="Map">'
            f'<Option type="QString" name="color" value="{colour},90"/>'
            f'<Option type="QString" name="outline_color" value="{colour},255"/>'
            '<Option type="QString" name="outline_width" value="0.6"/></Option></layer></symbol>'
        )
    aliases = [("id", "Alerte"), *((column.name, column.french) for column in COLUMNS)]
    return _qml(
        f'<renderer-v2 type="RuleRenderer" symbollevels="0"><rules key="root">{"".join(rules)}</rules>'
        f"<symbols>{''.join(symbols)}</symbols></renderer-v2>",
        aliases,
        "",
    )


def _reports_qml() -> str:
    widgets = "".join(
        f"<field name={attribute(field.name)}><editWidget {_widget(field)}</editWidget></field>"
        for field in REPORT_FIELDS
    )
    symbol = (
        '<renderer-v2 type="singleSymbol"><symbols><symbol type="marker" name="0" alpha="1">'
        '<layer class="SimpleMarker" enabled="1"><Option type="Map">'
        '<Option type="QString" name="color" value="30,90,200,255"/>'
        '<Option type="QString" name="size" value="4"/></Option></layer></symbol></symbols></renderer-v2>'
    )
    aliases = [(field.name, field.french) for field in REPORT_FIELDS]
    return _qml(symbol, aliases, f"<fieldConfiguration>{widgets}</fieldConfiguration>")


def _widget(field: FormField) -> str:
    def option(name: str, value: str, kind: str = "QString") -> str:
        return f'<Option name="{name}" type="{kind}" value={attribute(value)}/>'

    if field.choices:
        listed = "".join(
            f'<Option type="Map"><Option name={attribute(each)} type="QString" value={attribute(each)}/></Option>'
            for each in field.choices
        )
        options = f'<Option name="map" type="List">{listed}</Option>'
        return f'type="ValueMap"><config><Option type="Map">{options}</Option></config>'
    if field.kind == "date":
        options = option("display_format", "yyyy-MM-dd") + option("calendar_popup", "true", "bool")
        return f'type="DateTime"><config><Option type="Map">{options}</Option></config>'
    if field.kind == "photo":
        # QField's camera: the file lies beside the project, and the field holds its path.
        options = option("DocumentViewer", "1", "int") + option("RelativeStorage", "1", "int")
        return f'type="ExternalResource"><config><Option type="Map">{options}</Option></config>'
    options = option("IsMultiline", "true" if field.kind == "long" else "false", "bool")
    return f'type="TextEdit"><config><Option type="Map">{options}</Option></config>'


def _qml(renderer: str, aliases: Iterable[tuple[str, str]], fields: str) -> str:
    named = "".join(
        f'<alias index="{number}" field={attribute(name)} name={attribute(words)}/>'
        for number, (name, words) in enumerate(aliases, start=1)
    )
    return (
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>"
        f'<qgis version="3.28" styleCategories="Symbology|Fields|Forms">{renderer}{fields}'
        f"<aliases>{named}</aliases></qgis>"
    )
