"""GeoPackage: layers, styles and the report form, read by SQLite, by GDAL and as XML."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree as ET

import geopandas
import pyogrio
import pytest
import shapely

from api.exports import ExportFormat, captions, qgis_styles, write
from api.exports.captions import Look
from api.exports.columns import COLUMNS, ID
from api.features import UNCORRECTED_FR, AlertFeature
from api.reports.form import FORM, TABS, Answer
from tests.fakes.exported_alerts import FORMULA, INFO, SCRIPT


@pytest.fixture
def package(alerts: list[AlertFeature], tmp_path: Path) -> Path:
    path = tmp_path / "alertes.gpkg"
    assert write(alerts, ExportFormat.GPKG, INFO, path) == len(alerts)
    return path


@pytest.fixture
def tables(package: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(package)) as connection:
        yield connection


def test_sqlite_finds_what_the_standard_asks_for(tables: sqlite3.Connection) -> None:
    assert tables.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert tables.execute("PRAGMA foreign_key_check").fetchall() == []
    contents = tables.execute("SELECT table_name, data_type, last_change FROM gpkg_contents ORDER BY rowid").fetchall()
    assert [row[:2] for row in contents] == [
        ("alertes", "features"),
        ("fiches", "features"),
        ("lisez_moi", "attributes"),
        ("layer_styles", "attributes"),
    ]
    assert {row[2] for row in contents} == {"2026-11-23T18:05:07.000Z"}
    kinds = tables.execute("SELECT table_name, geometry_type_name, srs_id FROM gpkg_geometry_columns").fetchall()
    assert sorted(kinds) == [("alertes", "MULTIPOLYGON", 4326), ("fiches", "POINT", 4326)]


def test_alerts_have_typed_columns(package: Path, tables: sqlite3.Connection, alerts: list[AlertFeature]) -> None:
    types = {row[1]: row[2] for row in tables.execute("PRAGMA table_info(alertes)")}
    assert list(types) == ["fid", "geom", ID.name, *(column.name for column in COLUMNS)]
    assert (types["last_intact"], types["potentially_abusive"]) == ("DATE", "BOOLEAN")
    assert (types["area_ha"], types["n_clear_after"], types["commune"]) == ("REAL", "MEDIUMINT", "TEXT")
    frame = pyogrio.read_dataframe(package, layer="alertes")
    assert frame["commune"][1] == SCRIPT
    assert frame["essence"][1] == FORMULA
    assert shapely.equals(frame.geometry.to_numpy(), [alert.geometry for alert in alerts]).all()


def test_it_says_whose_it_is(package: Path, tables: sqlite3.Connection) -> None:
    said = dict(tables.execute("SELECT champ, texte FROM lisez_moi").fetchall())
    assert said["Licence"] == "ODbL-1.0"
    assert said["Surfaces"].startswith(UNCORRECTED_FR)
    metadata = json.loads(pyogrio.read_info(package, layer="alertes")["layer_metadata"]["sylvigie"])
    assert metadata["made"] == "2026-11-23T18:05:07Z"
    assert metadata["rules_versions"] == ["2026.1-4e7aba88"]


def test_a_volunteer_adds_a_report(package: Path) -> None:
    point = geopandas.GeoDataFrame(
        {"id": ["0b0c"], "observed_on": ["2026-11-24"], "soil_state": ["Ornières"]},
        geometry=[shapely.Point(-0.75, 44.15)],
        crs="EPSG:4326",
    )
    pyogrio.write_dataframe(point, package, layer="fiches", append=True)
    reports = pyogrio.read_dataframe(package, layer="fiches")
    assert list(reports.columns) == [*(field.name for field in FORM), "geometry"]
    assert reports["soil_state"].tolist() == ["Ornières"]
    assert reports["observed_on"][0].isoformat().startswith("2026-11-24")


def _style(tables: sqlite3.Connection, layer: str) -> ET.Element:
    ((qml, default, column),) = tables.execute(
        "SELECT styleQML, useAsDefault, f_geometry_column FROM layer_styles WHERE f_table_name = ?", (layer,)
    ).fetchall()
    assert (default, column) == (1, "geom")
    return ET.fromstring(qml)


def test_every_field_of_the_styles_is_one_of_the_layer(tables: sqlite3.Connection) -> None:
    for layer in ("alertes", "fiches"):
        columns = [row[1] for row in tables.execute(f"PRAGMA table_info({layer})")][2:]
        root = _style(tables, layer)
        assert [field.get("name") for field in root.iterfind("fieldConfiguration/field")] == columns
        aliases = {alias.get("field"): alias.get("name") for alias in root.iterfind("aliases/alias")}
        assert list(aliases) == columns
        assert all(aliases.values())


def test_the_form_shows_each_field_once_by_tabs(tables: sqlite3.Connection) -> None:
    root = _style(tables, "fiches")
    assert root.findtext("editorlayout") == "tablayout"
    containers = root.findall("attributeEditorForm/attributeEditorContainer")
    assert [container.get("name") for container in containers] == [name for name, _ in TABS]
    shown = [(field.get("name"), field.get("index")) for field in root.iter("attributeEditorField")]
    assert shown == [(field.name, str(i)) for i, field in enumerate(FORM, start=1)]
    kinds = {
        field.get("name"): widget.get("type")
        for field in root.iterfind("fieldConfiguration/field")
        for widget in field.iterfind("editWidget")
    }
    assert kinds["id"] == "Hidden"
    assert kinds["observed_on"] == "DateTime"
    for field in FORM:
        if field.answer is Answer.PHOTO:
            assert kinds[field.name] == "ExternalResource"
        if field.answer is Answer.CHOICE:
            assert kinds[field.name] == "ValueMap"
    defaults = {default.get("field"): default.get("expression") for default in root.iterfind("defaults/default")}
    assert defaults["id"] == "uuid('WithoutBraces')"


def test_the_map_draws_alerts_as_other_formats_do(tables: sqlite3.Connection, alerts: list[AlertFeature]) -> None:
    renderer = _style(tables, "alertes").find("renderer-v2")
    assert renderer is not None
    values = [category.get("value") for category in renderer.iterfind("categories/category")]
    assert sorted(map(str, values)) == sorted(look.value for look in Look)
    assert set(qgis_styles.LOOKS) == set(Look)
    # SQLite reads the expression as QGIS does.
    drawn = tables.execute(f"SELECT {renderer.get('attr')} FROM alertes ORDER BY id").fetchall()
    assert [look for (look,) in drawn] == [captions.look(alert.properties).value for alert in alerts]
    assert {look for (look,) in drawn} == {"abusive", "provisional", "closed"}


def test_gdal_of_the_system_reads_it_without_a_warning(package: Path) -> None:
    if shutil.which("ogrinfo") is None:
        pytest.skip("ogrinfo (Debian's gdal-bin) is not installed")
    told = subprocess.run(["ogrinfo", "-al", "-so", str(package)], capture_output=True, text=True, check=True)
    assert told.stderr == ""
    assert "Layer name: alertes" in told.stdout
    assert "Feature Count: 4" in told.stdout
