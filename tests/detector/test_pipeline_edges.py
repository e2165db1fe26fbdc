"""What an area, a season, a short archive or a disk of its own must not change."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely

from detector.params import PatchParams
from detector.pipeline import ScanParams, ScanResult, scan
from scripts.demo_archive import DemoArchive
from tiles.catalog import open_catalogue
from tiles.change import PixelState, open_change_map
from tiles.month import Month
from tiles.watch import WatchedArea

TODAY = dt.date(2026, 11, 23)


def _scan(archive: DemoArchive, month: str, out: Path, aoi: Path | None = None) -> ScanResult:
    watched = WatchedArea.open(archive.forest_mask, aoi)
    params = ScanParams(patches=PatchParams(min_area_ha=0.05))
    return scan(open_catalogue(str(archive.catalog)), Month.parse(month), watched, out, params, today=TODAY)


def _state(out: Path, month: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(open_change_map(out / f"change_DEMO-ROMANIA_{month}.json").state.values)


@pytest.fixture(scope="module")
def july(demo_archive: DemoArchive, tmp_path_factory: pytest.TempPathFactory) -> tuple[ScanResult, Path]:
    out = tmp_path_factory.mktemp("july")
    return _scan(demo_archive, "2019-07", out), out


@pytest.mark.parametrize("side_m", [200, 400, 700])
def test_an_area_of_interest_changes_nothing_inside_it(
    demo_archive: DemoArchive, july: tuple[ScanResult, Path], tmp_path: Path, side_m: int
) -> None:
    whole, out = july
    x, y = 5_272_552.5765, 2_532_464.2149  # amid the openings: most of so small an area was felled
    square = shapely.box(x - side_m / 2, y - side_m / 2, x + side_m / 2, y + side_m / 2)
    gpd.GeoDataFrame(geometry=[square], crs=3035).to_file(tmp_path / "aoi.gpkg")
    result = _scan(demo_archive, "2019-07", tmp_path / "out", tmp_path / "aoi.gpkg")
    here, there = _state(tmp_path / "out", "2019-07"), _state(out, "2019-07")
    inside = here != PixelState.NOT_FOREST
    assert inside.sum() == pytest.approx((side_m / 10) ** 2, rel=0.02)
    np.testing.assert_array_equal(here[inside], there[inside])
    assert result.tiles[0].tally.watched == inside.sum()
    within = gpd.GeoSeries([alert.geometry for alert in whole.alerts], crs=4326).to_crs(3035).within(square.buffer(-15))
    wanted = {alert.id for alert, is_within in zip(whole.alerts, within, strict=True) if is_within}
    assert wanted
    assert wanted <= {alert.id for alert in result.alerts}


@pytest.mark.parametrize("month", ["2019-10", "2020-02"])
def test_fellings_of_the_year_are_still_told_when_the_leaves_fall(
    demo_archive: DemoArchive, july: tuple[ScanResult, Path], tmp_path: Path, month: str
) -> None:
    _scan(demo_archive, month, tmp_path)
    felled = _state(july[1], "2019-07") == PixelState.CONFIRMED
    later = _state(tmp_path, month)[felled]
    assert (later == PixelState.CONFIRMED).mean() > 0.6


def test_what_lost_its_forest_before_the_window_is_not_called_intact(
    demo_archive: DemoArchive, july: tuple[ScanResult, Path], tmp_path: Path
) -> None:
    # 2020-06 is the last month that a loss first seen in June 2019 is told in; in August it is older than the window.
    result = _scan(demo_archive, "2020-08", tmp_path)
    assert not any(alert.first_low < dt.date(2019, 9, 1) for alert in result.alerts)
    drops = open_change_map(july[1] / "change_DEMO-ROMANIA_2019-07.json").ndvi_drop.values
    bare = _state(july[1], "2019-07") == PixelState.CONFIRMED
    bare &= drops > 0.3
    assert bare.sum() > 50
    assert (_state(tmp_path, "2020-08")[bare] == PixelState.CONFIRMED).sum() == 0


def test_an_archive_too_short_for_a_reference_is_said(demo_archive: DemoArchive, tmp_path: Path) -> None:
    result = _scan(demo_archive, "2016-06", tmp_path)
    assert result.alerts == []
    assert not result.complete
    assert "no pixel has the 10 clear dates" in result.idle_tiles[0]


def test_an_out_that_is_a_link_gets_the_results(demo_archive: DemoArchive, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    _scan(demo_archive, "2019-07", tmp_path / "link")
    assert (tmp_path / "elsewhere" / "alerts.geojson").exists()
    assert [path.name for path in (tmp_path / "elsewhere").iterdir() if path.name.startswith(".")] == []
    assert (tmp_path / "link").is_symlink()
