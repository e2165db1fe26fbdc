"""Labelled points: read, grouped, looked up in an archive of real images, and kept when interrupted."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
import shapely
from pyproj import Transformer

import detector.pipeline
import models.points
from models.causes import Cause
from models.dataset import read_table
from models.points import Label, PointParams, extract, group_labels, read_labels
from scripts.demo_archive import DemoArchive
from tiles.catalog import open_catalogue
from tiles.errors import DatasetError, InvalidParameterError

TODAY = dt.date(2021, 3, 1)
# Upper-left corner of the demo's images, EPSG:3035.
LEFT, TOP = 5271982.58, 2533004.21


def at(row: int, col: int) -> tuple[float, float]:
    """Longitude and latitude of a pixel of the demo's images."""
    to_wgs84 = Transformer.from_crs(3035, 4326, always_xy=True)
    lon, lat = to_wgs84.transform(LEFT + 10 * (col + 0.5), TOP - 10 * (row + 0.5))
    return float(lon), float(lat)


def disfor(path: Path, points: list[tuple[int, str, int, tuple[float, float], str]]) -> Path:
    lines = ["sample_id,date,code,label,lon,lat,confidence,cluster,source"]
    lines += [f"{n},{date},{code},x{code},{lon},{lat},high,{c},me" for n, date, code, (lon, lat), c in points]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    # The opening around row 36, column 54 is of 2019; at row 90, column 20 the forest stands.
    opening, forest = at(37, 54), at(90, 20)
    return disfor(
        tmp_path / "labels.csv",
        [
            (1, "2018-06-01", 110, opening, "7.0"),
            (1, "2019-04-10", 211, opening, "7.0"),
            (1, "2020-06-10", 120, opening, "7.0"),
            (2, "2018-06-01", 110, forest, ""),
            (2, "2019-04-05", 243, forest, ""),
        ],
    )


def test_disfor_is_read(labels: Path) -> None:
    found = read_labels(labels)
    cut, storm = found.labels
    assert (cut.cause, cut.date, cut.since) == (Cause.CLEAR_CUT, dt.date(2019, 4, 10), dt.date(2018, 6, 1))
    assert (cut.id, cut.place) == ("disfor-1-20190410", "disfor-7")
    assert (storm.cause, storm.place) == (Cause.WINDTHROW, "10kmE527N253")
    assert found.left_out == {"x110": 2, "x120": 1}


def test_all_of_disfor_is_read(shared_data: Path) -> None:
    found = read_labels(shared_data / "labels" / "disfor_labels_flat.csv")
    assert sum(label.cause is Cause.CLEAR_CUT for label in found.labels) == 575
    assert found.left_out["After Abiotic Disturbance"] == 351
    assert len({label.id for label in found.labels}) == len(found.labels)


def test_shapes_are_read(tmp_path: Path) -> None:
    shapes = [shapely.box(5_300_000, 2_500_000, 5_300_200, 2_500_100)]
    frame = gpd.GeoDataFrame({"date": ["2019-04-10"], "cause": ["fire"]}, geometry=shapes, crs=3035)
    frame.to_file(tmp_path / "fires.geojson")
    (label,) = read_labels(tmp_path / "fires.geojson").labels
    assert (label.cause, label.date, label.since, label.id) == (
        Cause.FIRE,
        dt.date(2019, 4, 10),
        None,
        "fires-00000",
    )


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "sample_id,date,code,lon,lat\n1,soon,211,2,45\n", ""])
def test_labels_that_do_not_fit_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(DatasetError, match="does not fit the format of labels"):
        read_labels(tmp_path / "labels.csv")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="There is no file"):
        read_labels(tmp_path / "none.csv")


def _label(name: str, date: dt.date, lon: float) -> Label:
    return Label(name, Cause.FIRE, date, None, shapely.Point(lon, 45.0), "x")


def test_near_labels_of_a_month_go_together() -> None:
    may, june = dt.date(2019, 5, 3), dt.date(2019, 6, 3)
    given = [_label("a", may, 2.0), _label("b", may, 2.001), _label("c", june, 2.0), _label("d", may, 9.0)]
    groups = group_labels(given, PointParams(), TODAY)
    assert sorted((str(month), [label.id for label in group]) for month, group in groups) == [
        ("2019-08", ["a", "b"]),
        ("2019-08", ["d"]),
        ("2019-09", ["c"]),
    ]
    ((month, _),) = group_labels([given[0]], PointParams(), dt.date(2019, 6, 1))
    assert str(month) == "2019-06"


def test_points_are_looked_up_and_resumed(
    labels: Path, demo_archive: DemoArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue = open_catalogue(str(demo_archive.catalog))
    wanted = [*read_labels(labels).labels, _label("away", dt.date(2019, 4, 1), 9.0)]
    out, scans = tmp_path / "points.parquet", list[str]()
    real = detector.pipeline.scan

    def counted(*args: Any, **options: Any) -> Any:
        scans.append(str(args[1]))
        return real(*args, **options)

    monkeypatch.setattr(models.points, "scan", counted)
    result = extract(wanted, catalogue, out, PointParams(radius_m=200, min_area_ha=0.05), today=TODAY)
    assert scans == ["2019-07"] * 2
    (row,) = result.table.rows.to_dict("records")
    assert (row["cause"], row["place"], row["source"], row["event_id"]) == (
        "clear_cut",
        "disfor-7",
        "points",
        "disfor-1-20190410",
    )
    assert row["geometry"].distance(shapely.Point(at(37, 54))) < 0.001
    found = result.table.events.set_index("event_id").found.to_dict()
    assert found == {"disfor-1-20190410": True, "disfor-2-20190405": False}
    # What lies outside the archive is named, and what could be done is there.
    assert list(result.failed) == ["2019-07, away"]
    assert read_table(out).content_hash == result.table.content_hash

    again = extract(wanted, catalogue, out, PointParams(radius_m=200, min_area_ha=0.05), today=TODAY)
    assert (again.scans, again.resumed) == (2, 1)
    assert scans == ["2019-07"] * 3  # only the one that failed is tried again
    assert again.table.content_hash == result.table.content_hash
    whole = extract(wanted[:2], catalogue, out, PointParams(radius_m=200, min_area_ha=0.05), today=TODAY)
    assert not whole.failed
    assert not out.with_suffix(".parts").exists()


def test_nothing_to_look_up_is_refused(demo_archive: DemoArchive, tmp_path: Path) -> None:
    catalogue = open_catalogue(str(demo_archive.catalog))
    with pytest.raises(DatasetError, match="no label whose cause is told"):
        extract([], catalogue, tmp_path / "p.parquet", today=TODAY)
    with pytest.raises(DatasetError, match="No label could be looked up"):
        extract([_label("away", dt.date(2019, 4, 1), 9.0)], catalogue, tmp_path / "p.parquet", today=TODAY)
    assert not (tmp_path / "p.parquet").exists()


def test_a_radius_outside_its_range_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match="radius_m"):
        PointParams(radius_m=5)
