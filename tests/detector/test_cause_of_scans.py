"""The infrared in a scan and from month to month: read once, from real files, and kept."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from detector.alert_tables import read_found
from detector.alerts import Alert
from detector.appraisal import LayersAndRules
from detector.criteria.loading import load_rules
from detector.params import PatchParams
from detector.pipeline import ScanParams, ScanResult, scan
from detector.ports import TileJob, TileOutcome, TileStatus
from detector.tile_month import work_tile
from detector.tile_store import PATCHES_FILE, TileStore
from tests.fakes.archive import DAYS, FOREST, add_infrared, cut_short, drop_asset, folder_of, item_id
from tests.fakes.layers import layers_of
from tiles.catalog import open_catalogue
from tiles.engine import ChangeParams
from tiles.monitor import MonitorParams
from tiles.month import Month
from tiles.reader import RasterioReader
from tiles.scene import INFRARED_BANDS, Band, Scene
from tiles.watch import WatchedArea

TILE = "31TDK"
MAY, JUNE, JULY = (Month(2019, month) for month in (5, 6, 7))
PARAMS = ScanParams(
    ChangeParams(monitor=MonitorParams(min_cell_px=1, min_window_px=1)),
    PatchParams(min_area_ha=0.3),
)
AFTER = [day for day in DAYS if day >= FOREST.felled_on]


@pytest.fixture
def infrared_archive(small_archive: Path) -> Path:
    add_infrared(small_archive)
    return small_archive


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[dt.date]:
    """Days of the scenes whose infrared is read."""
    days: list[dt.date] = []
    read = RasterioReader.read

    def counted(self: RasterioReader, scene: Scene, band: Band, window: Any, out: Any) -> None:
        if band in INFRARED_BANDS:
            days.append(scene.day)
        read(self, scene, band, window, out)

    monkeypatch.setattr(RasterioReader, "read", counted)
    return days


def _scan(archive: Path, out: Path) -> ScanResult:
    appraiser = LayersAndRules(layers_of(), load_rules())
    return scan(
        open_catalogue(str(archive)), JULY, WatchedArea(), out, PARAMS, today=dt.date(2026, 1, 1), appraiser=appraiser
    )


def _run(archive: Path, data: Path, month: Month) -> TileOutcome:
    return work_tile(TileJob(tile=TILE, month=month, data_dir=data, catalogue=str(archive), params=PARAMS), None)


def _patch_of(data: Path, month: Month) -> Alert:
    (found,) = read_found(TileStore(data, TILE).months()[month].folder / PATCHES_FILE)
    return found.alert


def _record(data: Path, month: Month) -> dict[str, Any]:
    return dict(TileStore(data, TILE).months()[month].record)


def test_a_scan_tells_evidence_and_cause(infrared_archive: Path, tmp_path: Path) -> None:
    (alert,) = _scan(infrared_archive, tmp_path / "out").alerts
    assert alert.evidence is not None
    assert (alert.evidence["dates_before"], alert.evidence["dates_after"]) == (2, 2)
    assert alert.evidence["nir_after"] == pytest.approx(0.24)
    assert alert.evidence["swir16_after"] == pytest.approx(0.28)
    assert alert.evidence["ndmi_change"] == pytest.approx((0.24 - 0.28) / 0.52 - 0.15 / 0.45)
    assert alert.evidence["nbr_change"] is None
    assert alert.cause == "harvest"
    (published,) = json.loads((tmp_path / "out" / "alerts.geojson").read_text())["features"]
    assert published["properties"]["cause"] == "harvest"
    assert published["properties"]["cause_reasons"][0]["code"] == "infrared_lost"
    assert published["properties"]["cause_reasons"][0]["fr"]
    assert published["properties"]["evidence"]["swir16_after"] == 0.28


def test_a_scan_of_an_archive_without_infrared_leaves_the_cause_to_a_person(
    small_archive: Path, tmp_path: Path
) -> None:
    (alert,) = _scan(small_archive, tmp_path / "out").alerts
    assert alert.cause == "uncertain"
    assert [reason["code"] for reason in alert.cause_reasons or ()] == ["no_infrared"]


def test_infrared_that_cannot_be_read_is_named_in_the_record(infrared_archive: Path, tmp_path: Path) -> None:
    cut_short(folder_of(infrared_archive, AFTER[0]) / "swir16.tif", 0.3)
    result = _scan(infrared_archive, tmp_path / "out")
    assert result.alerts[0].cause == "harvest"
    (tile,) = json.loads((tmp_path / "out" / "scan.json").read_text())["tiles"]
    assert list(tile["infrared_unread"]) == [item_id(AFTER[0])]


def test_a_scene_without_infrared_is_as_good_for_the_scan(infrared_archive: Path, tmp_path: Path) -> None:
    for name in ("nir08", "swir16"):
        drop_asset(infrared_archive, AFTER[0], name)
    result = _scan(infrared_archive, tmp_path / "out")
    (tile,) = result.tiles
    assert item_id(AFTER[0]) in [scene.id for scene in tile.plan.monitored]
    assert result.alerts[0].evidence is not None
    assert result.alerts[0].evidence["dates_after"] == 2


def test_months_read_the_infrared_of_a_loss_until_two_dates_after_are_known(
    infrared_archive: Path, tmp_path: Path, looks: list[dt.date]
) -> None:
    data = tmp_path / "data"
    _run(infrared_archive, data, JUNE)
    june = _patch_of(data, JUNE)
    assert june.evidence is not None
    assert (june.evidence["dates_after"], june.evidence["dates_earlier"]) == (2, 1)
    assert set(looks) & set(AFTER) == {day for day in AFTER if day.month == 6}
    # Scenes of months before are read through the records of those months.
    assert min(looks) < dt.date(2019, 1, 1)
    looks.clear()
    _run(infrared_archive, data, JULY)
    assert looks == []
    july = _patch_of(data, JULY)
    assert july.evidence is not None
    # NDVI is of all dates since.
    assert {**july.evidence, "ndvi_after": None} == {**june.evidence, "ndvi_after": None}


def test_months_in_one_go_are_as_one_after_the_other(infrared_archive: Path, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    _run(infrared_archive, one, MAY)
    shutil.copytree(one, other)
    for month in (JUNE, JULY):
        _run(infrared_archive, one, month)
    assert _run(infrared_archive, other, JULY).status is TileStatus.DONE
    for month in (JUNE, JULY):
        here, there = (TileStore(data, TILE).months()[month].folder / PATCHES_FILE for data in (one, other))
        assert here.read_bytes() == there.read_bytes()


def test_a_month_names_infrared_that_it_could_not_read_and_the_next_looks_again(
    infrared_archive: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    damaged = [day for day in AFTER if day.month == 6]
    for day in damaged:
        cut_short(folder_of(infrared_archive, day) / "swir16.tif", 0.3)
    outcome = _run(infrared_archive, data, JUNE)
    assert set(_record(data, JUNE)["infrared_unread"]) == {item_id(day) for day in damaged}
    assert set(outcome.infrared_unread) == {item_id(day) for day in damaged}
    told = _patch_of(data, JUNE).evidence
    assert told is not None
    assert (told["dates_before"], told["dates_after"]) == (2, 0)
    _run(infrared_archive, data, JULY)
    told = _patch_of(data, JULY).evidence
    assert told is not None
    assert told["dates_after"] == len([day for day in AFTER if day.month == 7])
