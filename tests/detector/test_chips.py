"""Chips and series of alerts, from small files: which dates, which ground, which numbers, what is said of faults."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio

from detector.chips import CHIPS_FOLDER, SERIES_FILE, Moment, scaled_ndvi
from detector.params import ChipParams, PatchParams
from detector.pipeline import ScanParams, ScanResult, scan
from tests.fakes.archive import (
    COLOURS,
    DAYS,
    FOREST,
    TRANSFORM,
    add_colours,
    blank,
    copy_scene,
    cut_short,
    drop_asset,
    folder_of,
    item_id,
    outline,
    read_raster,
    write_raster,
)
from tiles.catalog import open_catalogue
from tiles.engine import ChangeParams
from tiles.monitor import MonitorParams
from tiles.month import Month
from tiles.scene import Band
from tiles.watch import WatchedArea

PARAMS = ScanParams(
    ChangeParams(monitor=MonitorParams(min_cell_px=1, min_window_px=1)),
    PatchParams(min_area_ha=0.3),
)
BEFORE = [day for day in DAYS if day < FOREST.felled_on]
AFTER = [day for day in DAYS if day >= FOREST.felled_on]
SMALL = ChipParams(least_m=300)
"""Chips of 30 pixels: smaller than the archive."""


@pytest.fixture
def colours(small_archive: Path) -> Path:
    add_colours(small_archive)
    return small_archive


def _scan(archive: Path, out: Path, chips: ChipParams | None = SMALL) -> ScanResult:
    catalogue = open_catalogue(str(archive))
    return scan(catalogue, Month(2019, 7), WatchedArea(), out, PARAMS, today=dt.date(2026, 1, 1), chips=chips)


def _chip(out: Path, moment: Moment) -> tuple[dict[str, str], np.ndarray[Any, Any], Any]:
    (path,) = (out / CHIPS_FOLDER).glob(f"*/{moment}.tif")
    with rasterio.open(path) as chip:
        assert chip.crs.to_epsg() == 32631
        return chip.tags(), chip.read(), chip.transform


def _record(out: Path) -> dict[str, Any]:
    (tile,) = json.loads((out / "scan.json").read_text())["tiles"]
    return dict(tile)


def _brightness(reflectance: float) -> int:
    share: float = (reflectance / 0.25) ** (1 / 1.8)
    return round(share * 254 + 1)


def test_the_chips_are_of_the_clear_dates_nearest_to_the_loss(colours: Path, tmp_path: Path) -> None:
    (alert,) = _scan(colours, tmp_path / "out").alerts
    for moment, day in ((Moment.BEFORE, BEFORE[-1]), (Moment.AFTER, AFTER[0])):
        tags, layers, _ = _chip(tmp_path / "out", moment)
        assert (tags["ALERT"], tags["SCENE"], tags["DATE"]) == (alert.id, item_id(day), day.isoformat())
        assert (tags["MOMENT"], tags["BANDS"], tags["CLEAR_SHARE"]) == (moment.value, "red,green,blue,ndvi", "1.000")
        assert layers.shape == (4, 30, 30)


def test_a_chip_lies_on_the_pixels_of_the_images_and_holds_their_numbers(colours: Path, tmp_path: Path) -> None:
    _scan(colours, tmp_path / "out")
    _, layers, transform = _chip(tmp_path / "out", Moment.AFTER)
    col, row = ~TRANSFORM @ (transform.c, transform.f)
    assert (row, col) == (int(row), int(col))
    ground = slice(int(row), int(row) + 30), slice(int(col), int(col) + 30)
    red, nir = (read_raster(folder_of(colours, AFTER[0]) / f"{name}.tif")[ground] / 1e4 for name in ("red", "nir"))
    ndvi = (nir - red) / (nir + red)
    assert np.abs(layers[3].astype(float) - ((ndvi + 0.2) / 1.2 * 254 + 1)).max() <= 0.51
    felled = FOREST.mask()[ground]
    assert 0 < felled.sum() < felled.size
    assert set(layers[1][felled]) == {_brightness(0.11)}
    assert set(layers[2][~felled]) == {_brightness(0.02)}
    assert layers[0][felled].min() > layers[0][~felled].max()


def test_a_date_with_clouds_gives_way_to_a_clearer_one_further_away(colours: Path, tmp_path: Path) -> None:
    scl = folder_of(colours, AFTER[1]) / "scl.tif"
    _scan(colours, tmp_path / "clear")
    for day in (BEFORE[-1], AFTER[0]):
        folder = folder_of(colours, day)
        shutil.copy(scl, folder / "scl.tif")
        classes = read_raster(scl)
        # A cloud over what the chip shows beside the patch.
        classes[14:, :] = 9
        write_raster(folder / "scl.tif", classes, TRANSFORM @ TRANSFORM.scale(2))
    _scan(colours, tmp_path / "out")
    assert _chip(tmp_path / "clear", Moment.BEFORE)[0]["SCENE"] == item_id(BEFORE[-1])
    assert _chip(tmp_path / "out", Moment.BEFORE)[0]["SCENE"] == item_id(BEFORE[-2])
    assert _chip(tmp_path / "out", Moment.AFTER)[0]["SCENE"] == item_id(AFTER[1])


def test_without_blue_and_green_a_chip_is_of_ndvi_alone_and_says_so(small_archive: Path, tmp_path: Path) -> None:
    _scan(small_archive, tmp_path / "out")
    tags, layers, _ = _chip(tmp_path / "out", Moment.BEFORE)
    assert tags["BANDS"] == "ndvi"
    assert layers.shape == (1, 30, 30)


def test_a_date_without_colours_is_shown_without_them(colours: Path, tmp_path: Path) -> None:
    drop_asset(colours, AFTER[0], "blue")
    _scan(colours, tmp_path / "out")
    assert _chip(tmp_path / "out", Moment.AFTER)[0]["BANDS"] == "ndvi"
    assert _chip(tmp_path / "out", Moment.BEFORE)[0]["BANDS"] == "red,green,blue,ndvi"


def test_colours_on_another_grid_are_not_shown(colours: Path, tmp_path: Path) -> None:
    path = folder_of(colours, AFTER[0]) / "blue.tif"
    write_raster(path, read_raster(path), TRANSFORM @ TRANSFORM.translation(5, 0))
    _scan(colours, tmp_path / "out")
    assert _chip(tmp_path / "out", Moment.AFTER)[0]["BANDS"] == "ndvi"


@pytest.mark.parametrize("west_lacks_it", [True, False])
def test_a_half_of_a_pass_without_colours_leaves_the_scan_whole(
    colours: Path, tmp_path: Path, west_lacks_it: bool
) -> None:
    day = AFTER[0]
    west = folder_of(colours, day)
    east = copy_scene(colours, day, f"S2A_31TDK_{day:%Y%m%d}_1_L2A")
    (item,) = (west if west_lacks_it else east).glob("*.json")
    document = json.loads(item.read_text())
    del document["assets"]["blue"]
    item.write_text(json.dumps(document))
    for half, gone, bounds in ((west, slice(12, None), (0, 0.5)), (east, slice(0, 12), (0.5, 1))):
        blank(half, gone)
        for name in COLOURS:
            pixels = read_raster(half / f"{name}.tif")
            pixels[:, 24 if gone.start else 0 : None if gone.start else 24] = 0
            write_raster(half / f"{name}.tif", pixels)
        outline(half, *bounds)
    (tile,) = _scan(colours, tmp_path / "out").tiles
    (merged,) = (scene for scene in tile.plan.monitored if scene.parts)
    assert merged.day == day
    assert sorted(Band.BLUE in product.hrefs for product in merged.members) == [False, True]
    assert _chip(tmp_path / "out", Moment.AFTER)[0]["BANDS"] == "ndvi"


def test_a_scene_that_cannot_be_read_is_named_and_the_next_one_shown(colours: Path, tmp_path: Path) -> None:
    cut_short(folder_of(colours, AFTER[0]) / "green.tif", 0.3)
    _scan(colours, tmp_path / "out")
    assert _chip(tmp_path / "out", Moment.AFTER)[0]["SCENE"] == item_id(AFTER[1])
    record = _record(tmp_path / "out")
    assert list(record["chips_unread"]) == [item_id(AFTER[0])]
    assert record["chips"] == 2


def test_of_what_clouds_hide_the_classification_alone_is_read(colours: Path, tmp_path: Path) -> None:
    hidden = folder_of(colours, AFTER[-1])
    classes = read_raster(hidden / "scl.tif")
    write_raster(hidden / "scl.tif", np.full_like(classes, 9), TRANSFORM @ TRANSFORM.scale(2))
    cut_short(hidden / "red.tif", 0.3)
    _scan(colours, tmp_path / "out")
    told = {row["day"]: row for row in pq.read_table(tmp_path / "out" / SERIES_FILE).to_pylist()}
    assert (told[AFTER[-1]]["ndvi"], told[AFTER[-1]]["clear_share"]) == (None, 0)
    assert told[AFTER[-2]]["ndvi"] is not None
    assert not _record(tmp_path / "out")["chips_unread"]


def test_the_series_tells_the_patchs_mean_ndvi_of_each_date(colours: Path, tmp_path: Path) -> None:
    (alert,) = _scan(colours, tmp_path / "out").alerts
    rows = pq.read_table(tmp_path / "out" / SERIES_FILE).to_pylist()
    assert {row["alert_id"] for row in rows} == {alert.id}
    assert [row["day"] for row in rows] == sorted(row["day"] for row in rows)
    told = {row["day"]: row for row in rows}
    assert set(AFTER) < set(told)
    for day in (BEFORE[-1], *AFTER):
        red, nir = (read_raster(folder_of(colours, day) / f"{name}.tif") / 1e4 for name in ("red", "nir"))
        mean = ((nir - red) / (nir + red))[FOREST.felled].mean()
        # The outline is simplified within half a pixel: corner pixels may fall out of it.
        assert told[day]["ndvi"] == pytest.approx(mean, abs=0.003)
        assert (told[day]["scene"], told[day]["clear_share"]) == (item_id(day), 1.0)


def test_a_clouded_date_of_the_series_has_no_ndvi(colours: Path, tmp_path: Path) -> None:
    path = folder_of(colours, AFTER[-1]) / "scl.tif"
    write_raster(path, np.full_like(read_raster(path), 9), TRANSFORM @ TRANSFORM.scale(2))
    _scan(colours, tmp_path / "out")
    rows = {row["day"]: row for row in pq.read_table(tmp_path / "out" / SERIES_FILE).to_pylist()}
    assert rows.get(AFTER[-1], {"ndvi": None})["ndvi"] is None
    assert rows[AFTER[0]]["ndvi"] is not None


def test_the_same_scan_writes_the_same_bytes(colours: Path, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    _scan(colours, one)
    _scan(colours, other)
    names = [path.relative_to(one) for path in sorted((one / CHIPS_FOLDER).rglob("*.tif"))]
    assert len(names) == 2
    assert all((one / name).read_bytes() == (other / name).read_bytes() for name in names)
    assert (one / SERIES_FILE).read_bytes() == (other / SERIES_FILE).read_bytes()


def test_pictures_of_another_scan_do_not_outlive_it(colours: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    _scan(colours, out)
    assert any((out / CHIPS_FOLDER).iterdir())
    # None is clear enough any more.
    _scan(colours, out, ChipParams(least_m=300, least_clear_share=1.1))
    assert not (out / CHIPS_FOLDER).exists()
    assert pq.read_table(out / SERIES_FILE).num_rows > 0
    _scan(colours, out, None)
    assert not (out / CHIPS_FOLDER).exists()
    assert not (out / SERIES_FILE).exists()


def test_a_chip_at_the_edge_of_the_tile_keeps_to_it(colours: Path, tmp_path: Path) -> None:
    _scan(colours, tmp_path / "out", ChipParams(least_m=640))
    _, layers, transform = _chip(tmp_path / "out", Moment.AFTER)
    assert (transform.c, transform.f) == (TRANSFORM.c, TRANSFORM.f)
    assert layers.shape == (4, 48, 48)


def test_ndvi_is_scaled_over_its_range_and_nothing_is_zero() -> None:
    values = np.array([np.nan, -1, -0.2, 0.4, 1.0], np.float32)
    assert scaled_ndvi(values).tolist() == [0, 1, 1, 128, 255]
