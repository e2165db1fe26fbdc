"""The command: whatever is wrong with the input is one sentence, a documented exit code, and no half-written output."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine

from scripts import cli
from tests.fakes.archive import (
    DAYS,
    JULY_DAYS,
    REFERENCE_DAYS,
    cut_short,
    drop_asset,
    edit_item,
    folder_of,
    item_file,
    item_id,
    move_scene,
    shift_scene,
    write_raster,
)
from tests.fakes.catalogue import write_catalogue

DONE, INPUT, INCOMPLETE = 0, 2, 3


@dataclass
class Outcome:
    """What a run gave."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> list[str]:
        """Lines of stderr but for those that tell how far it is."""
        return [line for line in self.err.splitlines() if '"event"' not in line]


Scan = Callable[..., Outcome]


@pytest.fixture
def scan(
    small_archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Scan:
    """Run `sylvigie scan` on the small archive; options as keywords."""

    def run(**options: object) -> Outcome:
        given = {"catalog": small_archive, "month": "2019-07", "out": tmp_path / "out"} | options
        words = [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", str(value))]
        monkeypatch.setattr(sys, "argv", ["sylvigie", "scan", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capfd.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return Outcome(code, captured.out, captured.err)

    return run


def _refused(outcome: Outcome, tmp_path: Path, *words: str) -> None:
    """One sentence that holds these words, exit code 2, nothing written."""
    assert outcome.code == INPUT, outcome
    (sentence,) = outcome.said
    assert sentence.startswith("sylvigie: ")
    assert sentence.endswith(".")
    for word in words:
        assert word in sentence
    assert "Traceback" not in outcome.err
    assert outcome.out == ""
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]


def _incomplete(outcome: Outcome, tmp_path: Path, *days: dt.date) -> None:
    """Done, exit code 3, the scenes named in the output and in the record, and nothing else on stderr."""
    assert outcome.code == INCOMPLETE, outcome
    assert outcome.said == []
    record = json.loads((tmp_path / "out" / "scan.json").read_text())
    assert record["complete"] is False
    assert {left["id"] for left in record["scenes_skipped"]} == {item_id(day) for day in days}
    for day in days:
        assert f"left out: {item_id(day)}: " in outcome.out
    assert record["alerts"] == 1
    assert not list(tmp_path.glob(".*"))


def test_a_good_scan_prints_its_alert_and_totals_and_ends_with_zero(scan: Scan, tmp_path: Path) -> None:
    outcome = scan(threads=2)
    assert outcome.code == DONE
    assert outcome.said == []
    (alert,) = json.loads((tmp_path / "out" / "alerts.geojson").read_text())["features"]
    assert alert["id"] in outcome.out
    assert f"2019-07: 1 alerts, 1.20 ha (mapped area, uncorrected); {len(DAYS)} scenes read, 0 left out" in outcome.out
    assert "100.0% of 23 ha of forest observed" in outcome.out


def test_progress_is_json_lines_where_stderr_is_no_terminal(scan: Scan) -> None:
    events = [json.loads(line) for line in scan().err.splitlines()]
    assert events == [{"event": "progress", "month": "2019-07", "tile": "31TDK", "windows": 1, "of": 1}]


def test_no_scene_in_the_month(scan: Scan, tmp_path: Path) -> None:
    _refused(scan(month="2019-09"), tmp_path, "no usable scene in 2019-09", "2019-07-22")


def test_a_month_before_the_archive(scan: Scan, tmp_path: Path) -> None:
    _refused(scan(month="2015-08"), tmp_path, "no usable scene in 2015-08", "nor any of the years before")


def test_a_month_before_sentinel_2(scan: Scan, tmp_path: Path) -> None:
    _refused(scan(month="2003-05"), tmp_path, "2003-05 was before Sentinel-2")


def test_a_month_in_the_future(scan: Scan, tmp_path: Path) -> None:
    _refused(scan(month="2907-01"), tmp_path, "2907-01 has not begun")


@pytest.mark.parametrize("month", ["2019-7", "july", "2019-13", "9999-12"])
def test_a_month_that_is_none(scan: Scan, tmp_path: Path, month: str) -> None:
    _refused(scan(month=month), tmp_path, "YYYY-MM", month)


def test_an_empty_catalogue(scan: Scan, tmp_path: Path) -> None:
    catalogue = write_catalogue(tmp_path / "empty", [])
    _refused(scan(catalog=catalogue), tmp_path, "holds no item")


def test_an_absent_catalogue(scan: Scan, tmp_path: Path) -> None:
    _refused(scan(catalog=tmp_path / "nowhere"), tmp_path, "No catalogue at", "nowhere")


def test_a_catalogue_that_no_server_gives(scan: Scan, tmp_path: Path) -> None:
    _refused(scan(catalog="http://127.0.0.1:9/archive"), tmp_path, "http://127.0.0.1:9/archive/catalog.json")


@pytest.mark.parametrize("text", ["{", "{}", "[]", ""])
def test_a_broken_catalogue(scan: Scan, small_archive: Path, tmp_path: Path, text: str) -> None:
    (small_archive / "catalog.json").write_text(text)
    _refused(scan(), tmp_path, "cannot be read as STAC")


@pytest.mark.parametrize("text", [None, "{", "{}"])
def test_a_broken_item(scan: Scan, small_archive: Path, tmp_path: Path, text: str | None) -> None:
    path = item_file(small_archive, DAYS[3])
    path.unlink()
    if text is not None:
        path.write_text(text)
    _refused(scan(), tmp_path, "is broken: a file that it links to cannot be read")


@pytest.mark.parametrize("name", ["red", "nir", "scl"])
def test_a_missing_asset_in_one_item(scan: Scan, small_archive: Path, tmp_path: Path, name: str) -> None:
    drop_asset(small_archive, DAYS[-3], name)
    outcome = scan()
    _incomplete(outcome, tmp_path, DAYS[-3])
    assert f"it has no {name} asset" in outcome.out


def test_a_missing_asset_in_all_items(scan: Scan, small_archive: Path, tmp_path: Path) -> None:
    for day in DAYS:
        drop_asset(small_archive, day, "nir")
    _refused(scan(), tmp_path, "no usable scene", f"{len(DAYS)} were left out", "it has no nir asset")


def test_a_missing_asset_in_the_items_of_the_month(scan: Scan, small_archive: Path, tmp_path: Path) -> None:
    for day in JULY_DAYS:
        drop_asset(small_archive, day, "scl")
    _refused(scan(), tmp_path, "no usable scene in 2019-07", "it has no scl asset")


def test_a_scene_whose_offset_cannot_be_decided(scan: Scan, small_archive: Path, tmp_path: Path) -> None:
    wrong = {"s2:processing_baseline": "05.00", "earthsearch:boa_offset_applied": False}
    edit_item(small_archive, DAYS[-4], **wrong)
    # Neither as dark as vegetation is, nor 1000 brighter.
    shift_scene(small_archive, DAYS[-4], 500)
    outcome = scan()
    _incomplete(outcome, tmp_path, DAYS[-4])
    assert "its pixels do not tell (p1 = 7" in " ".join(outcome.out.split())


@pytest.mark.parametrize("name", ["red", "nir", "scl"])
@pytest.mark.parametrize("day", [REFERENCE_DAYS[4], JULY_DAYS[0]])
def test_a_truncated_cog_in_one_scene(scan: Scan, small_archive: Path, tmp_path: Path, day: dt.date, name: str) -> None:
    cut_short(folder_of(small_archive, day) / f"{name}.tif", 0.6)
    outcome = scan()
    _incomplete(outcome, tmp_path, day)
    assert f"its {name} raster" in outcome.out


def test_a_lost_file_in_one_scene(scan: Scan, small_archive: Path, tmp_path: Path) -> None:
    (folder_of(small_archive, DAYS[5]) / "red.tif").unlink()
    _incomplete(scan(), tmp_path, DAYS[5])


def test_truncated_cogs_in_every_scene_of_the_month(scan: Scan, small_archive: Path, tmp_path: Path) -> None:
    for day in JULY_DAYS:
        cut_short(folder_of(small_archive, day) / "red.tif", 0.6)
    _refused(scan(), tmp_path, "no usable scene in 2019-07", *(item_id(day) for day in JULY_DAYS))


def test_one_scene_on_another_grid(scan: Scan, small_archive: Path, tmp_path: Path) -> None:
    move_scene(small_archive, DAYS[7], 10)
    outcome = scan()
    _incomplete(outcome, tmp_path, DAYS[7])
    assert "its grid (EPSG:32631, 48 x 48 pixels of 10 m)" in outcome.out


def test_as_many_scenes_on_one_grid_as_on_another(scan: Scan, small_archive: Path, tmp_path: Path) -> None:
    assert len(DAYS) % 2 == 0
    for day in DAYS[::2]:
        move_scene(small_archive, day, 10)
    _refused(scan(), tmp_path, "31TDK lie on different grids")


def _polygons(path: Path, geometry: object, crs: int = 4326) -> Path:
    gpd.GeoDataFrame(geometry=[geometry], crs=crs).to_file(path)
    return path


def test_an_area_outside_every_scene(scan: Scan, tmp_path: Path) -> None:
    aoi = _polygons(tmp_path / "aoi.geojson", shapely.box(5, 45, 6, 46))
    _refused(scan(aoi=aoi), tmp_path, "area of interest lies outside every scene of the month")


def test_an_area_whose_numbers_are_of_another_crs_than_it_says(scan: Scan, tmp_path: Path) -> None:
    aoi = _polygons(tmp_path / "aoi.geojson", shapely.box(650_000, 6_450_000, 651_000, 6_451_000))
    _refused(scan(aoi=aoi), tmp_path, "check its coordinates and CRS")


def test_an_area_beside_the_pixels_but_inside_the_box_of_the_scenes(scan: Scan, tmp_path: Path) -> None:
    # Smaller than a pixel, and off every centre.
    aoi = _polygons(tmp_path / "aoi.gpkg", shapely.box(499_101, 4_999_901, 499_103, 4_999_903), 32631)
    _refused(scan(aoi=aoi), tmp_path, "No pixel of the scenes is both forest and inside the area of interest")


@pytest.mark.parametrize("geometry", [shapely.Point(2.99, 45.15), shapely.LineString([(2.99, 45.15), (3, 45.16)])])
def test_an_area_that_is_not_polygons(scan: Scan, tmp_path: Path, geometry: object) -> None:
    aoi = _polygons(tmp_path / "aoi.geojson", geometry)
    _refused(scan(aoi=aoi), tmp_path, "area of interest", "give polygons")


@pytest.mark.parametrize("option", ["aoi", "forest_mask"])
@pytest.mark.parametrize("name", ["absent.tif", "text.geojson", "table.csv"])
def test_a_mask_or_area_that_cannot_be_read(scan: Scan, tmp_path: Path, option: str, name: str) -> None:
    (tmp_path / "text.geojson").write_text("no map")
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    _refused(scan(**{option: tmp_path / name}), tmp_path, name)


def test_a_forest_mask_that_is_damaged(scan: Scan, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(1, 255, (300, 300)).astype(np.uint8)
    mask = write_raster(tmp_path / "forest.tif", noise)
    cut_short(mask, 0.1)
    _refused(scan(forest_mask=mask), tmp_path, "forest mask", "cannot be read")


def test_a_forest_mask_that_does_not_reach_the_scenes(scan: Scan, tmp_path: Path) -> None:
    elsewhere = write_raster(tmp_path / "forest.tif", np.ones((9, 9), np.uint8), Affine(10, 0, 4e5, 0, -10, 4e6))
    _refused(scan(forest_mask=elsewhere), tmp_path, "No pixel of the scenes")


@pytest.mark.parametrize("hectares", ["-1", "nan", "inf"])
def test_a_smallest_area_that_is_none(scan: Scan, tmp_path: Path, hectares: str) -> None:
    _refused(scan(min_area_ha=hectares), tmp_path, "min_area_ha")


def test_an_out_that_is_a_file(scan: Scan, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("mine")
    for out in (taken, taken / "below"):
        _refused(scan(out=out), tmp_path, "taken")
    assert taken.read_text() == "mine"


def test_an_error_leaves_an_older_result_untouched(scan: Scan, small_archive: Path, tmp_path: Path) -> None:
    assert scan().code == DONE
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    for day in JULY_DAYS:
        cut_short(folder_of(small_archive, day) / "red.tif", 0.6)
    assert scan().code == INPUT
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before


@pytest.mark.filterwarnings("ignore:Dataset has no geotransform")
def test_the_installed_command_says_no_more_than_python_does(small_archive: Path, tmp_path: Path) -> None:
    # In a process of its own, where nothing catches warnings and logs.
    cut_short(folder_of(small_archive, JULY_DAYS[1]) / "red.tif", 0.6)
    command = shutil.which("sylvigie", path=str(Path(sys.executable).parent))
    assert command is not None
    words = ["scan", "--catalog", str(small_archive), "--month", "2019-07"]
    done = subprocess.run([command, *words, "--out", tmp_path / "out"], capture_output=True, text=True, check=False)
    _incomplete(Outcome(done.returncode, done.stdout, done.stderr), tmp_path, JULY_DAYS[1])
    shutil.rmtree(tmp_path / "out")
    plain = tmp_path / "plain.tif"
    with rasterio.open(plain, "w", driver="GTiff", width=2, height=2, count=1, dtype="uint8") as target:
        target.write(np.ones((1, 2, 2), np.uint8))
    words += ["--forest-mask", str(plain), "--out", str(tmp_path / "out")]
    done = subprocess.run([command, *words], capture_output=True, text=True, check=False)
    _refused(Outcome(done.returncode, done.stdout, done.stderr), tmp_path, "plain.tif has no CRS")
