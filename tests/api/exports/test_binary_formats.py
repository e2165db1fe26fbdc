"""FlatGeobuf, GeoParquet and XLSX are opened again by other libraries than wrote them, with all that was put in."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geopandas
import openpyxl
import pyarrow.parquet
import pyogrio
import pytest
import shapely

from api.exports import ExportFormat, write
from api.exports.columns import COLUMNS, ID, PLACE
from api.exports.geoparquet import write_geoparquet
from api.exports.record_batches import BATCH_ROWS
from api.exports.tables import Kind
from api.exports.workbook import write_workbook
from api.features import UNCORRECTED_FR, AlertFeature
from tests.fakes.exported_alerts import FORMULA, FULL, INFO, SCRIPT, emptied, many
from tiles.errors import OutputError

NAMES = [ID.name, *(column.name for column in COLUMNS)]
BINARY = [fmt for fmt in ExportFormat if not fmt.streamed]


def _file(alerts: list[AlertFeature], fmt: ExportFormat, tmp_path: Path) -> Path:
    path = tmp_path / f"out{fmt.suffix}"
    assert write(iter(alerts), fmt, INFO, path) == len(alerts)
    return path


def _same_ground(read: Any, alerts: list[AlertFeature]) -> bool:
    return bool(shapely.equals(read, [alert.geometry for alert in alerts]).all())


def test_flatgeobuf_is_read_by_gdal(alerts: list[AlertFeature], tmp_path: Path) -> None:
    path = _file(alerts, ExportFormat.FGB, tmp_path)
    frame = pyogrio.read_dataframe(path).sort_values("id", ignore_index=True)
    assert list(frame.columns) == [*NAMES, "geometry"]
    assert _same_ground(frame.geometry.to_numpy(), alerts)
    assert frame.crs == "EPSG:4326"
    full = frame.iloc[1]
    assert (full["commune"], full["essence"], full["area_ha"]) == (SCRIPT, FORMULA, 12.05)
    assert full["potentially_abusive"]
    assert full["last_intact"].date() == dt.date(2026, 5, 30)
    info = pyogrio.read_info(path)
    assert info["layer_name"] == "alertes"
    said = json.loads(info["layer_metadata"]["DESCRIPTION"])
    assert said["licence"] == "ODbL-1.0"
    assert said["estimator"].startswith(UNCORRECTED_FR)
    here = pyogrio.read_dataframe(path, bbox=(-0.76, 44.14, -0.74, 44.16))
    assert here["id"].tolist() == [FULL]


def test_geoparquet_has_typed_columns_and_its_metadata(alerts: list[AlertFeature], tmp_path: Path) -> None:
    path = _file(alerts, ExportFormat.PARQUET, tmp_path)
    table = pyarrow.parquet.read_table(path)
    assert table.column_names == [*NAMES, "geometry", "bbox"]
    kinds = {column.name: str(table.schema.field(column.name).type) for column in COLUMNS}
    expected = {
        Kind.TEXT: "string",
        Kind.NUMBER: "double",
        Kind.COUNT: "int32",
        Kind.YES_NO: "bool",
        Kind.DATE: "date32[day]",
    }
    assert kinds == {column.name: expected[column.kind] for column in COLUMNS}
    rows = table.to_pylist()
    assert rows[1]["last_intact"] == dt.date(2026, 5, 30)
    assert rows[1]["essence"] == FORMULA
    assert rows[2]["potentially_abusive"] is None
    said = json.loads(table.schema.metadata[b"sylvigie"])
    assert said["estimator"].startswith(UNCORRECTED_FR)
    geo = json.loads(table.schema.metadata[b"geo"])
    assert geo["version"] == "1.1.0"
    assert geo["columns"]["geometry"]["geometry_types"] == ["MultiPolygon", "Polygon"]
    every = shapely.total_bounds([alert.geometry for alert in alerts])
    assert geo["columns"]["geometry"]["bbox"] == every.tolist()


def test_geoparquet_is_read_by_geopandas_by_place(alerts: list[AlertFeature], tmp_path: Path) -> None:
    path = tmp_path / "small_groups.parquet"
    write_geoparquet(iter(alerts), INFO, path, row_group=1)
    assert pyarrow.parquet.read_metadata(path).num_row_groups == len(alerts)
    frame = geopandas.read_parquet(path)
    assert _same_ground(frame.geometry.to_numpy(), alerts)
    assert geopandas.read_parquet(path, bbox=(-0.76, 44.14, -0.74, 44.16))["id"].tolist() == [FULL]


def test_workbook_is_read_by_openpyxl(alerts: list[AlertFeature], tmp_path: Path) -> None:
    book = openpyxl.load_workbook(_file(alerts, ExportFormat.XLSX, tmp_path))
    assert book.sheetnames == ["Alertes", "Lisez-moi", "Colonnes"]
    rows = [[cell.value for cell in row] for row in book["Alertes"].iter_rows()]
    names = [*NAMES, *(column.name for column in PLACE)]
    assert rows[0] == names
    full = dict(zip(names, rows[2], strict=True))
    assert full["last_intact"] == dt.datetime(2026, 5, 30)  # noqa: DTZ001 - a sheet knows no time zone
    assert (full["area_ha"], full["ndmi_change"], full["n_clear_after"]) == (12.05, -0.288, 4)
    assert full["potentially_abusive"] is True
    assert full["commune"] == SCRIPT
    cell = book["Alertes"].cell(3, names.index("essence") + 1)
    assert (cell.value, cell.data_type) == (FORMULA, "s")
    said = {row[0]: row[1] for row in book["Lisez-moi"].iter_rows(values_only=True)}
    assert said["Licence"] == "ODbL-1.0"
    assert str(said["Surfaces"]).startswith(UNCORRECTED_FR)
    assert said["Filtre"] == "departement=40&state=confirmed"
    told = {row[0]: row for row in book["Colonnes"].iter_rows(values_only=True, min_row=2)}
    assert list(told) == names
    assert told["area_ha"] == ("area_ha", "Surface cartographiée, non corrigée", "ha", "nombre")


def test_workbook_refuses_what_a_sheet_does_not_hold(alerts: list[AlertFeature], tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"holds 3 alerts and there are more"):
        write_workbook(iter(alerts), INFO, tmp_path / "a.xlsx", most=3)


def test_workbook_cuts_a_text_longer_than_a_cell(alerts: list[AlertFeature], tmp_path: Path) -> None:
    long = AlertFeature("x", alerts[1].text.replace("Zones humides", "é" * 40_000), alerts[1].wkb)
    rows = openpyxl.load_workbook(_file([long], ExportFormat.XLSX, tmp_path))["Alertes"]
    text = str(rows.cell(2, NAMES.index("zonings") + 1).value)
    assert (len(text), text[-1]) == (32_767, "…")


@pytest.mark.parametrize("fmt", BINARY)
def test_no_alert_and_alerts_of_which_nothing_is_known(
    alerts: list[AlertFeature], fmt: ExportFormat, tmp_path: Path
) -> None:
    unknown = [emptied(alert) for alert in alerts]
    read = geopandas.read_parquet if fmt is ExportFormat.PARQUET else pyogrio.read_dataframe
    options = {} if fmt is ExportFormat.PARQUET else {"layer": 0}
    frame = read(_file(unknown, fmt, tmp_path), **options)
    assert sorted(frame["id"]) == [alert.id for alert in alerts]
    for name in set(NAMES) - {"id"}:
        if name in frame:  # GDAL leaves out columns of a sheet that hold nothing
            assert frame[name].isna().all(), name
    none = _file([], fmt, tmp_path)
    if fmt is ExportFormat.XLSX:  # GDAL takes a line of names alone for a line of texts
        assert openpyxl.load_workbook(none)["Alertes"].max_row == 1
    else:
        assert len(read(none, **options)) == 0


@pytest.mark.parametrize("fmt", BINARY)
def test_what_goes_wrong_in_drawing_is_raised_as_it_is(
    alerts: list[AlertFeature], fmt: ExportFormat, tmp_path: Path
) -> None:
    class StoreGoneError(Exception):
        pass

    def drawn() -> Iterator[AlertFeature]:
        # GDAL has written a batch when the second goes wrong.
        yield from many(alerts[1], BATCH_ROWS + 1 if fmt in (ExportFormat.GPKG, ExportFormat.FGB) else 10)
        raise StoreGoneError("gone")

    path = tmp_path / f"out{fmt.suffix}"
    path.write_bytes(b"the old one")
    with pytest.raises(StoreGoneError, match="gone"):
        write(drawn(), fmt, INFO, path)
    assert path.read_bytes() == b"the old one"
    assert [found.name for found in tmp_path.iterdir() if found.is_file()] == [path.name]
