"""The change map's files: what is in them, how they open in a notebook, and that none is left half-written."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.windows import Window

from tests.fakes.reader import scene_on
from tiles.change import (
    CHANGE_BANDS,
    NO_VALUE,
    STATE_COLOURS,
    ChangeMapFiles,
    ChangeMapWriter,
    PixelState,
    open_change_map,
    read_changed_pixels,
    write_item,
)
from tiles.errors import OutputError
from tiles.grid import Grid
from tiles.month import Month

MONTH = Month(2019, 7)
GRID = Grid(CRS.from_epsg(32631), Affine(10, 0, 499_000, 0, -10, 5_000_000), (700, 610))
WINDOWS = [Window(0, 0, 512, 512), Window(512, 0, 98, 512), Window(0, 512, 512, 188), Window(512, 512, 98, 188)]
CHANGED = {(3, 5): PixelState.CONFIRMED, (511, 609): PixelState.PROVISIONAL, (699, 0): PixelState.CONFIRMED}
SCENES = {
    "reference": (scene_on(dt.date(2018, 6, 1)),),
    "monitored": (scene_on(dt.date(2019, 6, 16)), scene_on(dt.date(2019, 7, 6))),
}
DAY = dt.date(2019, 6, 16).toordinal() - dt.date(1970, 1, 1).toordinal()


def _maps() -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    change = np.full((len(CHANGE_BANDS), *GRID.shape), NO_VALUE, np.int16)
    state = np.full(GRID.shape, PixelState.INTACT, np.uint8)
    state[:, 300:320], state[200:220] = PixelState.NOT_FOREST, PixelState.UNOBSERVED
    for number, ((row, col), what) in enumerate(CHANGED.items()):
        state[row, col] = what
        change[:, row, col] = (8500, -1200 + number, 9700 - number, DAY - 20, DAY + number, 3, 40, 7)
    change[3, 699, 0] = NO_VALUE
    return change, state


def _write(folder: Path, empty: bool = False) -> ChangeMapFiles:
    files = ChangeMapFiles.under(folder, "31TDK", MONTH)
    change, state = _maps()
    if empty:
        state = np.where(np.isin(state, (PixelState.CONFIRMED, PixelState.PROVISIONAL)), np.uint8(1), state)
    with ChangeMapWriter(files, GRID) as writer:
        for window in WINDOWS[::-1]:
            part = (slice(None), *window.toslices())
            changed = not empty and (change[part] != NO_VALUE).any()
            writer.write(window, change[part] if changed else None, state[window.toslices()])
    write_item(files, GRID, "31TDK", MONTH, SCENES, "9.9")
    return files


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> ChangeMapFiles:
    return _write(tmp_path_factory.mktemp("change"))


def test_files_are_named_after_tile_and_month_and_nothing_else_is_there(files: ChangeMapFiles) -> None:
    names = {path.name for path in files.item.parent.iterdir()}
    assert names == {"change_31TDK_2019-07.tif", "state_31TDK_2019-07.tif", "change_31TDK_2019-07.json"}


def test_the_change_map_is_a_cog_with_named_scaled_bands(files: ChangeMapFiles) -> None:
    with rasterio.open(files.change) as source:
        assert source.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert source.descriptions == tuple(band.name for band in CHANGE_BANDS)
        assert source.scales == tuple(band.scale for band in CHANGE_BANDS)
        assert source.units == tuple(band.unit for band in CHANGE_BANDS)
        assert source.tags(1)["description"] == CHANGE_BANDS[0].description
        assert set(source.nodatavals) == {NO_VALUE}
        assert (source.crs, source.transform, source.shape) == (GRID.crs, GRID.transform, GRID.shape)
        np.testing.assert_array_equal(source.read(), _maps()[0])


def test_the_state_map_is_a_cog_in_colours(files: ChangeMapFiles) -> None:
    with rasterio.open(files.state) as source:
        assert source.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        colours = source.colormap(1)
        assert {state: colours[state] for state in PixelState} == STATE_COLOURS
        assert source.tags(1)["class_3"] == "confirmed"
        assert source.nodata == PixelState.NOT_FOREST
        np.testing.assert_array_equal(source.read(1), _maps()[1])


def test_changed_pixels_come_back_row_by_row_with_dates_and_scales(files: ChangeMapFiles) -> None:
    pixels = read_changed_pixels(files)
    assert list(zip(pixels.row.tolist(), pixels.col.tolist(), strict=True)) == list(CHANGED)
    assert pixels.state.tolist() == list(CHANGED.values())
    np.testing.assert_allclose(pixels.ndvi_before, 0.85, rtol=1e-6)
    np.testing.assert_allclose(pixels.ndvi_after, [-0.12, -0.1199, -0.1198], rtol=1e-6)
    np.testing.assert_allclose(pixels.ndvi_drop, [0.97, 0.9699, 0.9698], rtol=1e-6)
    assert pixels.first_low.tolist() == [dt.date(2019, 6, 16), dt.date(2019, 6, 17), dt.date(2019, 6, 18)]
    assert pixels.last_intact.tolist() == [dt.date(2019, 5, 27), dt.date(2019, 5, 27), None]
    assert (pixels.n_low.tolist(), pixels.n_clear_before.tolist()) == ([3] * 3, [40] * 3)
    assert pixels.n_clear_after.tolist() == [7] * 3
    dtypes = {name: getattr(pixels, name).dtype.name for name in ("row", "state", "ndvi_drop", "first_low", "n_low")}
    assert list(dtypes.values()) == ["int32", "uint8", "float32", "datetime64[D]", "int16"]


def test_a_map_without_change_gives_no_pixel_but_the_same_types(tmp_path: Path, files: ChangeMapFiles) -> None:
    some, none = read_changed_pixels(files), read_changed_pixels(_write(tmp_path, empty=True))
    for name in some.__dataclass_fields__:
        assert getattr(none, name).shape == (0,)
        assert getattr(none, name).dtype == getattr(some, name).dtype, name


def test_a_map_without_change_takes_next_to_no_room(tmp_path: Path, files: ChangeMapFiles) -> None:
    assert _write(tmp_path, empty=True).change.stat().st_size < 6_000
    assert files.change.stat().st_size < 40_000


def test_in_a_notebook_it_is_a_labelled_dataset_with_its_crs(files: ChangeMapFiles) -> None:
    dataset = open_change_map(files.item)
    assert set(dataset.data_vars) == {*(band.name for band in CHANGE_BANDS), "state"}
    assert dataset.rio.crs == GRID.crs
    assert dataset.rio.transform() == GRID.transform
    assert dataset.sizes == {"y": 700, "x": 610}
    assert float(dataset.x[0]) == 499_005
    assert json.loads(dataset.attrs["scenes"])["monitored"] == ["S2_20190616", "S2_20190706"]
    assert dataset.ndvi_drop.attrs["long_name"] == CHANGE_BANDS[2].description
    assert dataset.state.attrs["flag_meanings"].split()[PixelState.PROVISIONAL] == "provisional"
    dataset.close()


def test_in_a_notebook_what_has_not_changed_is_nan_or_nat(files: ChangeMapFiles) -> None:
    dataset = open_change_map(files.item).load()
    changed = np.zeros(GRID.shape, bool)
    changed[tuple(zip(*CHANGED, strict=True))] = True
    for name in ("ndvi_before", "ndvi_after", "ndvi_drop", "n_low", "n_clear_before", "n_clear_after"):
        assert dataset[name].dtype == np.float32
        np.testing.assert_array_equal(np.isfinite(dataset[name]), changed)
    for name in ("last_intact", "first_low"):
        assert np.issubdtype(dataset[name].dtype, np.datetime64)
    np.testing.assert_array_equal(~np.isnat(dataset.first_low), changed)
    assert dataset.first_low.values[3, 5].astype("datetime64[D]") == np.datetime64("2019-06-16")
    assert np.isnat(dataset.last_intact.values[699, 0])
    assert float(dataset.ndvi_after[3, 5]) == pytest.approx(-0.12)
    assert dataset.state.dtype == np.uint8
    np.testing.assert_array_equal(dataset.state, _maps()[1])
    dataset.close()


@pytest.mark.parametrize("lost", ["item", "change", "state"])
def test_opening_what_is_not_there_is_an_output_error(tmp_path: Path, lost: str) -> None:
    files = _write(tmp_path)
    getattr(files, lost).unlink()
    with pytest.raises(OutputError, match="No change map can be opened"):
        open_change_map(files.item)


def test_the_item_is_stac_and_names_the_scenes_and_the_files(files: ChangeMapFiles) -> None:
    document: dict[str, Any] = json.loads(files.item.read_text())
    assert document["type"] == "Feature"
    assert document["stac_version"].startswith("1.")
    item = pystac.Item.from_file(str(files.item))
    assert item.to_dict(include_self_link=False)["properties"]["datetime"] is None
    assert (item.properties["start_datetime"], item.properties["end_datetime"]) == (
        "2019-07-01T00:00:00Z",
        "2019-07-31T23:59:59Z",
    )
    assert item.properties["sylvigie:scenes"] == {
        "reference": ["S2_20180601"],
        "monitored": ["S2_20190616", "S2_20190706"],
    }
    assert item.properties["grid:code"] == "MGRS-31TDK"
    assert item.properties["proj:code"] == "EPSG:32631"
    assert item.properties["processing:software"] == {"sylvigie": "9.9"}
    assert item.bbox is not None
    west, south, east, north = item.bbox
    assert (west, south, east, north) == pytest.approx(GRID.bounds_wgs84())
    for asset in item.assets.values():
        assert Path(asset.get_absolute_href() or "").is_file()
        assert not asset.href.startswith("/")
    assert [band["name"] for band in document["assets"]["change"]["bands"]] == [band.name for band in CHANGE_BANDS]
    prefixes = {key.partition(":")[0] for key in document["properties"] if ":" in key}
    named = " ".join(document["stac_extensions"])
    words = {"proj": "projection", "sylvigie": "stac"}
    assert all(words.get(prefix, prefix) in named for prefix in prefixes)


def test_a_grid_without_code_is_described_by_its_wkt(tmp_path: Path) -> None:
    grid = Grid(CRS.from_proj4("+proj=laea +lat_0=50 +lon_0=9 +datum=WGS84 +units=m"), GRID.transform, (8, 8))
    files = ChangeMapFiles.under(tmp_path, "DEMO-X", MONTH)
    write_item(files, grid, "DEMO-X", MONTH, SCENES, "9.9")
    properties = json.loads(files.item.read_text())["properties"]
    assert properties["proj:code"] is None
    assert CRS.from_wkt(properties["proj:wkt2"]) == grid.crs
    assert properties["grid:code"] == "DEMO-X"


def _write_and_fail(writer: ChangeMapWriter) -> None:
    writer.write(WINDOWS[0], None, np.ones((512, 512), np.uint8))
    raise RuntimeError("planted")


def test_an_error_while_writing_leaves_no_file(tmp_path: Path) -> None:
    files = ChangeMapFiles.under(tmp_path, "31TDK", MONTH)
    writer = ChangeMapWriter(files, GRID)
    with pytest.raises(RuntimeError, match="planted"), writer:
        _write_and_fail(writer)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_an_output_error(tmp_path: Path) -> None:
    files = ChangeMapFiles.under(tmp_path / "absent", "31TDK", MONTH)
    with pytest.raises(OutputError, match=r"cannot be written to .*absent"), ChangeMapWriter(files, GRID):
        raise AssertionError("it opened")


@pytest.mark.parametrize("which", ["change", "state"])
def test_a_copy_that_fails_is_an_output_error_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    copy = rasterio.shutil.copy

    def failing(source: Path, target: Path, **options: Any) -> None:
        copy(source, target, **options)
        if target.name.startswith(which):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(rasterio.shutil, "copy", failing)
    with pytest.raises(OutputError, match="No space left"):
        _write(tmp_path)
    assert list(tmp_path.iterdir()) == []
