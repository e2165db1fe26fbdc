"""GeoJSON, CSV, KML and GPX are opened again by other libraries than wrote them, with all that was put in."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import gpxpy
import pandas as pd
import pyogrio
import pytest
import shapely

from api.exports import ExportFormat, stream, write
from api.exports.delimited import harmless
from api.features import UNCORRECTED_FR, AlertFeature
from tests.fakes.exported_alerts import BARE, FORMULA, FULL, INFO, PARTS, SCRIPT, emptied

KML = "{http://www.opengis.net/kml/2.2}"
EXTENDED = f"./{KML}ExtendedData/{KML}Data"


def _text(alerts: list[AlertFeature], fmt: ExportFormat) -> str:
    return b"".join(stream(iter(alerts), fmt, INFO)).decode("utf-8")


def _file(alerts: list[AlertFeature], fmt: ExportFormat, tmp_path: Path) -> Path:
    path = tmp_path / f"out{fmt.suffix}"
    assert write(iter(alerts), fmt, INFO, path) == len(alerts)
    return path


def test_geojson_holds_the_features_as_they_are_and_says_whose_it_is(alerts: list[AlertFeature]) -> None:
    collection = json.loads(_text(alerts, ExportFormat.GEOJSON))
    assert collection["type"] == "FeatureCollection"
    assert collection["features"] == [json.loads(alert.text) for alert in alerts]
    said = collection["sylvigie"]
    assert said["made"] == "2026-11-23T18:05:07Z"
    assert said["licence"] == "ODbL-1.0"
    assert said["estimator"].startswith(UNCORRECTED_FR)
    assert said["model_versions"] == ["clearcut-1", "abuse-1"]
    assert said["rules_versions"] == ["2026.1-4e7aba88"]
    assert said["filters"] == {"departement": "40", "state": "confirmed"}


@pytest.mark.parametrize("fmt", [ExportFormat.GEOJSON, ExportFormat.GEOJSONL])
def test_gdal_reads_geojson(alerts: list[AlertFeature], fmt: ExportFormat, tmp_path: Path) -> None:
    frame = pyogrio.read_dataframe(_file(alerts, fmt, tmp_path))
    assert frame["commune"].tolist()[1] == SCRIPT
    assert "sylvigie" not in frame.columns
    assert shapely.equals_exact(frame.geometry.to_numpy(), [alert.geometry for alert in alerts], 0).all()
    assert shapely.is_ccw([alert.geometry.exterior for alert in alerts[:3]]).all()


def test_each_line_is_a_feature_that_says_whose_it_is(alerts: list[AlertFeature]) -> None:
    text = _text(alerts, ExportFormat.GEOJSONL)
    assert "\x1e" not in text
    lines = [json.loads(line) for line in text.splitlines()]
    for line, alert in zip(lines, alerts, strict=True):
        said = line.pop("sylvigie")
        assert line == json.loads(alert.text)
        assert said["export_licence"] == "ODbL-1.0"
        assert said["export_estimator"].startswith(UNCORRECTED_FR)
        assert said["export_filters"] == "departement=40&state=confirmed"


def test_csv_opens_as_a_french_spreadsheet_does(alerts: list[AlertFeature]) -> None:
    text = _text(alerts, ExportFormat.CSV)
    assert text.startswith("\ufeffid;departement;")
    frame = pd.read_csv(io.StringIO(text[1:]), sep=";", decimal=",", dtype={"departement": str})
    assert frame["area_ha"].tolist() == [4.25, 12.05, 4.25, 4.25]
    assert frame["ndmi_change"].tolist()[1] == -0.288
    assert frame["departement"].tolist()[1] == "40"
    assert frame["commune"].tolist()[1] == SCRIPT
    assert frame["last_intact"].tolist()[1] == "2026-05-30"
    assert frame["potentially_abusive"].tolist()[1] == "oui"
    assert frame["lon"].between(-0.81, -0.59).all()
    assert frame["export_source"].unique().tolist() == [INFO.source]
    assert frame["export_made"].unique().tolist() == ["2026-11-23T18:05:07Z"]


def test_csv_runs_no_formula(alerts: list[AlertFeature]) -> None:
    rows = list(csv.DictReader(io.StringIO(_text(alerts, ExportFormat.CSV)[1:]), delimiter=";"))
    assert rows[1]["essence"] == f"'{FORMULA}"
    assert rows[1]["ndmi_change"] == "-0,288"
    for text in ("=1", "+1", "-1", "@A1", "\t=1", "\r=1", "\n=1", "  =1", "＝1"):  # noqa: RUF001
        assert harmless(text) == f"'{text}"
    for text in ("a=1", "Chêne", ""):
        assert harmless(text) == text


def test_kml_is_read_by_gdal(alerts: list[AlertFeature], tmp_path: Path) -> None:
    path = _file(alerts, ExportFormat.KML, tmp_path)
    frame = pyogrio.read_dataframe(path)
    assert frame["id"].tolist()[:3] == [alert.id for alert in alerts[:3]]
    assert frame["commune"].tolist()[1] == SCRIPT
    read = shapely.force_2d(frame.geometry.to_numpy())
    assert shapely.equals_exact(shapely.normalize(read), [shapely.normalize(a.geometry) for a in alerts], 1e-9).all()


def test_kml_says_whose_it_is_and_runs_no_markup(alerts: list[AlertFeature]) -> None:
    document = ET.fromstring(_text(alerts, ExportFormat.KML)).find(f"{KML}Document")
    assert document is not None
    said = {data.get("name"): data.findtext(f"{KML}value") for data in document.findall(EXTENDED)}
    assert said["export_licence"] == "ODbL-1.0"
    assert said["model_versions"] == "clearcut-1, abuse-1"
    full = document.findall(f"{KML}Placemark")[1]
    assert full.findtext(f"{KML}name") == f"12,1 ha à {SCRIPT} (40)"
    assert full.findtext(f"{KML}styleUrl") == "#abusive"
    for element in document.iter(f"{KML}description"):
        # Viewers take a description for HTML.
        assert element.text is not None
        assert "<script" not in element.text
    values = {data.get("name"): data.findtext(f"{KML}value") for data in full.findall(EXTENDED)}
    assert values["potentially_abusive"] == "true"
    assert "znieff1_ha" not in values


def test_gpx_is_read_by_gpxpy(alerts: list[AlertFeature]) -> None:
    gpx = gpxpy.parse(_text(alerts, ExportFormat.GPX))
    assert gpx.name == INFO.title
    assert gpx.copyright_license == "https://spdx.org/licenses/ODbL-1.0.html"
    assert gpx.description is not None
    assert UNCORRECTED_FR in gpx.description
    assert gpx.time is not None
    assert gpx.time.isoformat() == "2026-11-23T18:05:07+00:00"
    assert [point.name for point in gpx.waypoints] == [
        "aaaa0001 4.2ha",
        "aaaa0002 12.1ha",
        "aaaa0003 4.2ha",
        "aaaa0004 4.2ha",
    ]
    for point, alert in zip(gpx.waypoints, alerts, strict=True):
        assert shapely.contains_xy(alert.geometry, point.longitude, point.latitude)
        assert point.description is not None
        assert alert.id in point.description
    assert gpx.waypoints[1].comment == f"12,1 ha à {SCRIPT} (40)"


@pytest.mark.parametrize("fmt", [fmt for fmt in ExportFormat if fmt.streamed])
def test_alerts_of_which_nothing_is_known(alerts: list[AlertFeature], fmt: ExportFormat, tmp_path: Path) -> None:
    unknown = [emptied(alert) for alert in alerts]
    assert len(pyogrio.read_dataframe(_file(unknown, fmt, tmp_path), layer=0)) == len(alerts)


def test_no_alerts() -> None:
    assert json.loads(_text([], ExportFormat.GEOJSON))["features"] == []
    assert _text([], ExportFormat.GEOJSONL) == ""
    assert _text([], ExportFormat.CSV).count("\r\n") == 1
    document = ET.fromstring(_text([], ExportFormat.KML)).find(f"{KML}Document")
    assert document is not None
    assert document.findall(f"{KML}Placemark") == []
    assert gpxpy.parse(_text([], ExportFormat.GPX)).waypoints == []


def test_gdal_of_the_system_reads_kml_and_gpx(alerts: list[AlertFeature], tmp_path: Path) -> None:
    if shutil.which("ogrinfo") is None:
        pytest.skip("ogrinfo (Debian's gdal-bin) is not installed")
    for fmt in (ExportFormat.KML, ExportFormat.GPX):
        path = _file(alerts, fmt, tmp_path)
        told = subprocess.run(["ogrinfo", "-al", str(path)], capture_output=True, text=True, check=True)
        assert told.stdout.count("OGRFeature(") == len(alerts)
        for alert_id in (FULL, BARE, PARTS):
            assert alert_id in told.stdout
        assert "ERROR" not in told.stderr
