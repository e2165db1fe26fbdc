"""The whole way on real images of a Romanian forest: the openings of winter 2018-19, and what is no opening."""

from __future__ import annotations

import datetime as dt
import json
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pystac
import pytest
import rasterio

from detector.alerts import Alert, AlertState
from detector.params import PatchParams
from detector.pipeline import ScanParams, ScanResult, scan
from scripts.demo_archive import DemoArchive
from tests.detector.fakes import FIELDS
from tests.fakes.archive import cut_short, folder_of
from tiles.catalog import open_catalogue
from tiles.change import PixelState, open_change_map
from tiles.errors import AreaError, NoSceneError, OutputError
from tiles.month import Month
from tiles.watch import WatchedArea

TODAY = dt.date(2026, 11, 23)
HAZY_DAYS = {dt.date(2018, 8, 15), dt.date(2019, 7, 11)}
WRITTEN = {
    "alerts.geojson",
    "features.parquet",
    "scan.json",
    "change_{}.tif",
    "state_{}.tif",
    "change_{}.json",
}


@dataclass
class Scans:
    """Scans of the demo's archive, each made once."""

    archive: DemoArchive
    folder: Path

    def __post_init__(self) -> None:
        self._made: dict[tuple[str, float], ScanResult] = {}

    def out(self, month: str, min_area_ha: float) -> Path:
        return self.folder / f"{month}_{min_area_ha}"

    def __call__(self, month: str, min_area_ha: float) -> ScanResult:
        key = month, min_area_ha
        if key not in self._made:
            self._made[key] = self.again(month, min_area_ha, self.out(month, min_area_ha))
        return self._made[key]

    def again(self, month: str, min_area_ha: float, out: Path, **more: Any) -> ScanResult:
        params = ScanParams(patches=PatchParams(min_area_ha=min_area_ha))
        watched = WatchedArea.open(self.archive.forest_mask, None)
        catalogue = open_catalogue(str(self.archive.catalog))
        return scan(catalogue, Month.parse(month), watched, out, params, today=TODAY, **more)


@pytest.fixture(scope="module")
def scans(demo_archive: DemoArchive, tmp_path_factory: pytest.TempPathFactory) -> Scans:
    return Scans(demo_archive, tmp_path_factory.mktemp("scans"))


@pytest.fixture(scope="module")
def patches(shared_data: Path) -> gpd.GeoDataFrame:
    return gpd.read_file(shared_data / "romania" / "patches_2017_2019.geojson")


def _on_laea(alerts: list[Alert]) -> gpd.GeoSeries:
    return gpd.GeoSeries([alert.geometry for alert in alerts], crs=4326).to_crs(3035)


def test_july_2019_finds_openings_of_the_number_and_size_that_are_there(scans: Scans) -> None:
    alerts = scans("2019-07", 0.05).alerts
    assert 15 <= len(alerts) <= 22
    assert 4 <= sum(alert.area_ha for alert in alerts) <= 8
    assert all(0.05 <= alert.area_ha < 1 for alert in alerts)
    assert sum(alert.state is AlertState.CONFIRMED for alert in alerts) > len(alerts) / 2


@pytest.mark.parametrize(
    ("month", "min_area_ha"), [("2019-07", 0.05), ("2018-08", 0.5), ("2018-09", 0.5), ("2018-08", 0.05)]
)
def test_no_alert_begins_on_a_hazy_date(scans: Scans, month: str, min_area_ha: float) -> None:
    result = scans(month, min_area_ha)
    days = {scene.day for tile in result.tiles for scene in tile.plan.monitored}
    assert days & HAZY_DAYS
    assert not {alert.first_low for alert in result.alerts} & HAZY_DAYS


def test_july_2019_meets_the_reference_openings_and_little_else(scans: Scans, patches: gpd.GeoDataFrame) -> None:
    alerts = scans("2019-07", 0.05).alerts
    outlines, openings = _on_laea(alerts), patches[patches.year == 2019].geometry
    assert len(openings) == 18
    found = outlines.union_all()
    met = [opening.intersection(found).area >= opening.area / 4 for opening in openings]
    assert sum(met) >= 17
    meets = outlines.intersects(openings.union_all())
    assert (~meets).sum() <= 3
    for alert, meeting in zip(alerts, meets, strict=True):
        if meeting:
            assert alert.last_intact is not None
            assert alert.last_intact.year == 2018
            assert alert.first_low <= dt.date(2019, 6, 16)


def test_no_alert_of_2019_lies_on_the_valley_road(scans: Scans, patches: gpd.GeoDataFrame) -> None:
    road = patches[(patches.year == 2017) & (patches.ha > 7)].geometry.union_all()
    assert road.area == pytest.approx(74_800, rel=0.02)
    outlines = _on_laea(scans("2019-07", 0.05).alerts)
    assert (outlines.intersection(road).area < outlines.area / 10).all()


def test_june_2019_finds_most_of_them_already_provisional_where_one_date_speaks(scans: Scans) -> None:
    result = scans("2019-06", 0.05)
    assert len(result.alerts) >= 10
    for alert in result.alerts:
        assert (alert.state is AlertState.CONFIRMED) == (alert.n_clear_after != 1)
    with rasterio.open(next(scans.out("2019-06", 0.05).glob("state_*.tif"))) as source:
        state = source.read(1)
    # Two dates in the month, of which one is too hazy to speak where the openings are.
    assert (state == PixelState.PROVISIONAL).sum() > 100


@pytest.mark.parametrize("month", ["2018-07", "2018-08", "2018-09"])
def test_the_quiet_summer_of_2018_gives_one_alert_a_month_at_most(scans: Scans, month: str) -> None:
    assert len(scans(month, 0.5).alerts) <= 1


def test_the_same_month_scanned_twice_by_other_threads_gives_the_same_bytes(scans: Scans, tmp_path: Path) -> None:
    scans("2019-07", 0.05)
    first, second = scans.out("2019-07", 0.05), tmp_path / "again"
    scans.again("2019-07", 0.05, second, threads=1)
    names = {path.name for path in first.iterdir()}
    assert names == {path.name for path in second.iterdir()}
    for name in (
        "alerts.geojson",
        "scan.json",
        *(name for name in names if name.startswith("change_") and "json" in name),
    ):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    tables = [pd.read_parquet(folder / "features.parquet") for folder in (first, second)]
    pd.testing.assert_frame_equal(tables[0], tables[1])


def test_alerts_open_by_gdal_with_every_field_of_the_design(scans: Scans) -> None:
    result = scans("2019-07", 0.05)
    path = scans.out("2019-07", 0.05) / "alerts.geojson"
    frame = pyogrio.read_dataframe(path)
    assert len(frame) == len(result.alerts)
    assert {"id", *FIELDS} <= {*frame.columns, "id"}
    assert frame.crs.to_epsg() == 4326
    assert frame.geometry.is_valid.all()
    document = json.loads(path.read_text())
    assert [field.name for field in fields(Alert) if field.name != "geometry"] == ["id", *FIELDS]
    for feature in document["features"]:
        assert {"id", *feature["properties"]} == {"id", *FIELDS}
        assert all(value != 0 for value in feature["properties"].values() if not isinstance(value, list | dict))
    areas = frame.to_crs(3035).area / 1e4
    # LAEA keeps areas; outlines are simplified within half a pixel, which cuts corners of openings this small.
    np.testing.assert_allclose(areas.sum(), frame.area_ha.sum(), rtol=0.06)


def test_the_record_names_every_scene_and_every_file_is_there(scans: Scans) -> None:
    result = scans("2019-07", 0.05)
    out = scans.out("2019-07", 0.05)
    assert {path.name for path in out.iterdir()} == {name.format("DEMO-ROMANIA_2019-07") for name in WRITTEN}
    record = json.loads((out / "scan.json").read_text())
    assert record["month"] == "2019-07"
    assert record["complete"] is True
    assert record["alerts"] == len(result.alerts)
    (tile,) = record["tiles"]
    named = tile["scenes_reference"] + tile["scenes_monitored"]
    assert named == [scene.id for scene in result.tiles[0].plan.scenes]
    assert (
        tile["scenes_reference"][0] == "S2_ROMANIA_20150826_0_L2A" or tile["scenes_reference"][0] > "S2_ROMANIA_201508"
    )
    assert tile["scenes_monitored"][-1].startswith("S2_ROMANIA_201907")
    assert tile["pixels"]["observed"] <= tile["pixels"]["with_reference"] <= tile["pixels"]["watched"] <= 10_000
    item = pystac.Item.from_file(str(out / "change_DEMO-ROMANIA_2019-07.json"))
    assert item.properties["sylvigie:scenes"]["monitored"] == tile["scenes_monitored"]
    names = set(named)
    for alert in result.alerts:
        assert alert.scenes_before is not None
        assert alert.scenes_after is not None
        assert {*alert.scenes_before, *alert.scenes_after} <= names


def test_the_map_in_a_notebook_holds_what_the_alerts_say(scans: Scans) -> None:
    result = scans("2019-07", 0.05)
    change = open_change_map(scans.out("2019-07", 0.05) / "change_DEMO-ROMANIA_2019-07.json").load()
    assert change.rio.crs.to_epsg() == 3035
    tally = result.tiles[0].tally
    assert int((change.state == PixelState.CONFIRMED).sum()) == tally.confirmed
    assert int((change.state == PixelState.PROVISIONAL).sum()) == tally.provisional
    assert int((change.state != PixelState.NOT_FOREST).sum()) == tally.watched
    strongest = max(alert.ndvi_drop or 0 for alert in result.alerts)
    assert strongest <= float(change.ndvi_drop.max())
    change.close()


def _fail(tile: str, done: int, total: int) -> None:
    raise KeyboardInterrupt


def test_an_interrupted_scan_leaves_nothing_behind(scans: Scans, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        scans.again("2019-07", 0.05, tmp_path / "not" / "yet" / "there", progress=_fail)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_scan_leaves_an_older_result_untouched(scans: Scans, tmp_path: Path) -> None:
    out = tmp_path / "out"
    scans.again("2019-06", 0.05, out)
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in out.iterdir()}
    with pytest.raises(KeyboardInterrupt):
        scans.again("2019-07", 0.05, out, progress=_fail)
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in out.iterdir()} == before
    assert list(tmp_path.iterdir()) == [out]


def test_the_remains_of_a_killed_scan_stop_no_later_one(small_archive: Path, tmp_path: Path) -> None:
    # In a container every scan has the same process number.
    (tmp_path / f".out.partial-{os.getpid()}").mkdir()
    result = _scan_small(small_archive, tmp_path / "out")
    assert len(result.alerts) == 1


def _scan_small(archive: Path, out: Path, **more: Any) -> ScanResult:
    return scan(open_catalogue(str(archive)), Month(2019, 7), WatchedArea(), out, today=TODAY, **more)


def test_a_planted_felling_is_one_confirmed_alert_of_its_hectares(small_archive: Path, tmp_path: Path) -> None:
    result = _scan_small(small_archive, tmp_path / "out")
    (alert,) = result.alerts
    assert alert.state is AlertState.CONFIRMED
    # 12 x 10 pixels of UTM near its central meridian, where lengths are 0.04 % short.
    assert alert.area_ha == pytest.approx(1.2, rel=0.002)
    assert (alert.last_intact, alert.first_low) == (dt.date(2019, 5, 19), dt.date(2019, 6, 4))
    assert alert.ndvi_drop == pytest.approx(0.4, abs=0.01)
    assert result.complete
    assert result.observed_share == 1.0


def test_without_alerts_the_files_are_there_all_the_same(small_archive: Path, tmp_path: Path) -> None:
    params = ScanParams(patches=PatchParams(min_area_ha=50))
    result = scan(
        open_catalogue(str(small_archive)), Month(2019, 7), WatchedArea(), tmp_path / "out", params, today=TODAY
    )
    assert result.alerts == []
    assert json.loads((tmp_path / "out" / "alerts.geojson").read_text())["features"] == []
    assert len(pd.read_parquet(tmp_path / "out" / "features.parquet")) == 0


def test_a_scene_that_turns_out_damaged_is_left_out_and_the_rest_is_scanned(
    small_archive: Path, tmp_path: Path
) -> None:
    day = dt.date(2019, 6, 20)
    cut_short(folder_of(small_archive, day) / "nir.tif")
    whole = _scan_small(small_archive, tmp_path / "out")
    assert [(left.id, left.superseded) for left in whole.skipped] == [(f"S2A_31TDK_{day:%Y%m%d}_0_L2A", False)]
    assert not whole.complete
    assert len(whole.alerts) == 1
    assert day not in {scene.day for scene in whole.tiles[0].plan.scenes}


def test_a_month_whose_every_scene_is_damaged_is_refused_and_each_is_named(small_archive: Path, tmp_path: Path) -> None:
    days = [dt.date(2019, 7, 6), dt.date(2019, 7, 22)]
    for day in days:
        cut_short(folder_of(small_archive, day) / "red.tif")
    with pytest.raises(NoSceneError, match=r"20190706.*damaged.*20190722.*damaged"):
        _scan_small(small_archive, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


def test_a_forest_mask_that_leaves_no_pixel_is_said(small_archive: Path, tmp_path: Path) -> None:
    nothing = gpd.GeoSeries.from_wkt(["POLYGON ((2.9 44, 2.91 44, 2.91 44.01, 2.9 44))"], crs=4326)
    watched = WatchedArea(forest=nothing)
    with pytest.raises(AreaError, match="No pixel of the scenes is both"):
        scan(open_catalogue(str(small_archive)), Month(2019, 7), watched, tmp_path / "out", today=TODAY)
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


def test_an_out_that_cannot_be_made_is_an_output_error(small_archive: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OutputError, match="file"):
            _scan_small(small_archive, out)
    assert (tmp_path / "file").read_bytes() == b""
