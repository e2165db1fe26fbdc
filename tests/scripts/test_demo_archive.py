"""The demo's archive says exactly what nrt's cube says, and is there whole or not at all."""

from __future__ import annotations

import hashlib
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio
from rasterio.crs import CRS

from scripts import demo_archive
from scripts.archive_writer import scl_percentages
from scripts.demo_archive import DemoArchive, build_archive
from tiles.errors import MissingDependencyError, OutputError

nrt_data = pytest.importorskip("nrt.data", reason="the demo's images come with nrt")
BANDS_10M = {"blue": "B2", "green": "B3", "red": "B4", "nir": "B8"}
BANDS_20M = {"nir08": "B8A", "swir16": "B11", "scl": "SCL"}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> DemoArchive:
    return build_archive(tmp_path_factory.mktemp("demo") / "archive")


@pytest.fixture(scope="module")
def items(archive: DemoArchive) -> list[pystac.Item]:
    return list(pystac.Catalog.from_file(archive.catalog).get_items(recursive=True))


def _digests(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def _asset_path(item: pystac.Item, key: str) -> Path:
    href = item.assets[key].get_absolute_href()
    assert href is not None
    return Path(href)


def test_every_pixel_is_the_cubes(items: list[pystac.Item]) -> None:
    with nrt_data.romania_10m() as ten, nrt_data.romania_20m() as twenty:
        assert [item.datetime for item in items] == [
            datetime.fromisoformat(f"{day}T09:20:00").replace(tzinfo=UTC)
            for day in ten.time.values.astype("datetime64[D]")
        ]
        expected: dict[str, np.ndarray[Any, Any]] = {key: ten[band].values for key, band in BANDS_10M.items()}
        expected |= {key: twenty[band].values for key, band in BANDS_20M.items()}
    for index, item in enumerate(items):
        for key, values in expected.items():
            with rasterio.open(_asset_path(item, key)) as source:
                assert source.dtypes == ("uint8" if key == "scl" else "uint16",)
                np.testing.assert_array_equal(source.read(1), values[index])


@pytest.mark.parametrize("key", [*BANDS_10M, *BANDS_20M])
def test_grids_are_the_cubes_and_files_cloud_optimized(items: list[pystac.Item], key: str) -> None:
    pixel_m, size = (20, 50) if key in BANDS_20M else (10, 100)
    item = items[0]
    with rasterio.open(_asset_path(item, key)) as source:
        assert source.crs == CRS.from_epsg(3035)
        assert source.nodata == 0
        assert source.shape == (size, size)
        # The centre of the cube's first pixel is half a pixel inside the corner.
        corner = (5271987.57655193 - 5, 2532999.21491519 + 5)
        assert tuple(source.transform)[:6] == pytest.approx((pixel_m, 0, corner[0], 0, -pixel_m, corner[1]))
        assert source.profile["tiled"]
        assert source.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert item.assets[key].extra_fields["proj:shape"] == [size, size]
        assert item.assets[key].extra_fields["proj:transform"] == list(source.transform)[:6]


def test_items_have_the_shape_of_earth_search(archive: DemoArchive) -> None:
    name = "S2_ROMANIA_20190616_0_L2A"
    item = json.loads((archive.catalog.parent / "sentinel-2-l2a" / name / f"{name}.json").read_text())
    assert item["collection"] == "sentinel-2-l2a"
    properties = item["properties"]
    assert properties["datetime"] == "2019-06-16T09:20:00Z"
    assert (properties["proj:epsg"], properties["proj:code"]) == (3035, "EPSG:3035")
    assert properties["eo:cloud_cover"] == 0
    assert properties["grid:code"] == "DEMO-ROMANIA"
    # Nothing is said of what the cube does not tell.
    assert not {"platform", "s2:processing_baseline", "earthsearch:boa_offset_applied"} & set(properties)
    red = item["assets"]["red"]
    assert red["href"] == "./red.tif"
    assert red["eo:bands"][0]["common_name"] == "red"
    assert (
        red["raster:bands"][0] | {"nodata": 0, "data_type": "uint16", "scale": 0.0001, "offset": 0}
        == (red["raster:bands"][0])
    )
    west, south, east, north = item["bbox"]
    assert (west, south) < (22.15, 45.205) < (east, north)
    ring = np.array(item["geometry"]["coordinates"][0])
    assert np.sum(ring[:-1, 0] * ring[1:, 1] - ring[1:, 0] * ring[:-1, 1]) > 0, "not counter-clockwise"


def test_links_are_relative_and_resolve(archive: DemoArchive) -> None:
    for path in archive.catalog.parent.rglob("*.json"):
        for link in json.loads(path.read_text()).get("links", []):
            assert link["rel"] != "self"
            assert (path.parent / link["href"]).is_file()


def test_forest_mask_is_ten_percent_of_cover(archive: DemoArchive) -> None:
    cover = nrt_data.romania_forest_cover_percentage()
    with rasterio.open(archive.forest_mask) as source:
        forest = source.read(1)
        assert source.crs == CRS.from_epsg(3035)
        assert source.nodata == 255
        assert tuple(source.transform)[:6] == pytest.approx((20, 0, 5271982.5766, 0, -20, 2533004.2149))
    np.testing.assert_array_equal(forest == 1, cover >= 10)
    assert set(np.unique(forest)) == {0, 1}
    # 92 of the 2,500 pixels of 20 m have less than 10 % of cover.
    assert int((forest == 0).sum()) == 92


def test_the_bytes_do_not_depend_on_the_place_or_the_hour(archive: DemoArchive, tmp_path: Path) -> None:
    again = build_archive(tmp_path / "elsewhere")
    assert _digests(again.catalog.parent) == _digests(archive.catalog.parent)


def test_a_second_call_keeps_what_is_there(archive: DemoArchive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_archive, "read_cube", lambda: pytest.fail("the archive was made twice"))
    assert build_archive(archive.catalog.parent) == archive


def test_a_broken_run_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo_archive, "_build", stop)
    with pytest.raises(KeyboardInterrupt):
        build_archive(tmp_path / "archive")
    assert list(tmp_path.iterdir()) == []


def test_an_older_archive_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def touch(work: Path, _: object) -> None:
        (work / f"version-{demo_archive._VERSION}").touch()

    monkeypatch.setattr(demo_archive, "_build", touch)
    monkeypatch.setattr(demo_archive, "_VERSION", 1)
    build_archive(tmp_path / "archive")
    monkeypatch.setattr(demo_archive, "_VERSION", 2)
    build_archive(tmp_path / "archive")
    assert {path.name for path in (tmp_path / "archive").iterdir()} == {"archive.json", "version-2"}
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


def test_what_was_not_made_here_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(OutputError, match="choose another place"):
        build_archive(tmp_path)
    assert (tmp_path / "photo.jpg").exists()


def test_a_missing_nrt_is_named_with_the_way_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nrt.data", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "sylvigie\[demo\]"'):
        build_archive(tmp_path / "archive")


def test_percentages_are_of_the_pixels_with_data() -> None:
    counts = np.zeros(12, dtype=np.int64)
    counts[[0, 4, 8, 9, 10, 11]] = [20, 40, 10, 5, 5, 20]
    assert scl_percentages(counts) == (25.0, 20.0)
    empty = np.zeros(12, dtype=np.int64)
    empty[0] = 7
    assert scl_percentages(empty) == (0.0, 100.0)
