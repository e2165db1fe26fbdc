"""Windows of real files: what is read, what it costs, and what is said of damaged ones."""

from __future__ import annotations

import dataclasses
import datetime as dt
import resource
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.windows import Window

from tests.fakes.archive import TRANSFORM, cut_short, write_raster
from tiles import reader as reader_module
from tiles.catalog.stac_items import scene_of
from tiles.errors import SceneReadError
from tiles.grid import Grid
from tiles.reader import GDAL_OPTIONS, RasterioReader
from tiles.scene import NEEDED_BANDS, Band, Scene

PIXELS = np.random.default_rng(1).integers(1, 10_000, (700, 600)).astype(np.uint16)


def _scene(*paths: Path) -> Scene:
    hrefs = dict(zip(NEEDED_BANDS, map(str, paths * 3 if len(paths) == 1 else paths), strict=True))
    return Scene("S1", dt.datetime(2019, 7, 1, tzinfo=dt.UTC), "31TDK", hrefs)


@pytest.fixture(scope="module")
def raster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_raster(tmp_path_factory.mktemp("reader") / "B04.tif", PIXELS)


def _block_bytes(path: Path, window: Window) -> int:
    """By TIFF's own list of blocks, whole blocks under a window."""
    with rasterio.open(path) as dataset:
        height, width = dataset.block_shapes[0]
        return sum(
            int(dataset.get_tag_item(f"BLOCK_SIZE_{col}_{row}", "TIFF", bidx=1))
            for (row, col), block in dataset.block_windows(1)
            if rasterio.windows.intersect(block, window) and (height, width) == (512, 512)
        )


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 699), st.integers(0, 599), st.data())
def test_a_window_is_the_files_pixels_and_costs_its_blocks(
    raster: Path, row: int, col: int, data: st.DataObject
) -> None:
    window = Window(col, row, data.draw(st.integers(1, 600 - col)), data.draw(st.integers(1, 700 - row)))
    reader = RasterioReader()
    out = np.zeros((window.height, window.width), np.uint16)
    reader.read(_scene(raster), Band.NIR, window, out)
    np.testing.assert_array_equal(out, PIXELS[window.toslices()])
    assert reader.bytes_read == _block_bytes(raster, window)


def test_bytes_read_of_a_whole_file_are_most_of_it_and_add_up(raster: Path) -> None:
    reader, whole = RasterioReader(), Window(0, 0, 600, 700)
    out = np.empty(PIXELS.shape, np.uint16)
    for times in (1, 2):
        reader.read(_scene(raster), Band.RED, whole, out)
        assert reader.bytes_read == times * _block_bytes(raster, whole)
    assert PIXELS.nbytes / 2 < reader.bytes_read / 2 < raster.stat().st_size


def test_the_grid_is_the_files(raster: Path) -> None:
    assert RasterioReader().grid_of(_scene(raster), Band.RED) == Grid(
        rasterio.CRS.from_epsg(32631), TRANSFORM, (700, 600)
    )


def test_an_absent_file_is_named_with_its_scene(tmp_path: Path) -> None:
    with pytest.raises(SceneReadError, match=r"Scene S1: its red raster cannot be opened .*absent\.tif"):
        RasterioReader().grid_of(_scene(tmp_path / "absent.tif"), Band.RED)


def test_a_file_that_is_no_raster_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "page.tif").write_text("<html>503 Service Unavailable</html>")
    with pytest.raises(SceneReadError, match="cannot be opened"):
        RasterioReader().grid_of(_scene(tmp_path / "page.tif"), Band.RED)


@pytest.mark.parametrize("share", [0.95, 0.5, 0.1])
def test_a_truncated_cog_raises_and_gives_no_pixels(tmp_path: Path, share: float) -> None:
    path = write_raster(tmp_path / "B04.tif", PIXELS)
    cut_short(path, share)
    with rasterio.Env(**GDAL_OPTIONS), pytest.raises(SceneReadError, match=r"damaged or cut short|cannot be opened"):
        RasterioReader().read(_scene(path), Band.RED, Window(0, 0, 600, 700), np.empty((700, 600), np.uint16))


def test_a_damaged_block_raises(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "B04.tif", PIXELS)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 2000] = bytes(2000)
    path.write_bytes(data)
    reader = RasterioReader()
    with pytest.raises(SceneReadError, match="damaged"):
        reader.read(_scene(path), Band.RED, Window(0, 0, 600, 700), np.empty((700, 600), np.uint16))
    assert reader.bytes_read == 0


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_another_type_of_number_is_refused_not_cast(tmp_path: Path, dtype: str) -> None:
    path = write_raster(tmp_path / "B04.tif", np.ones((8, 8), dtype))
    with pytest.raises(SceneReadError, match=f"its red raster is {dtype}, not uint16"):
        RasterioReader().read(_scene(path), Band.RED, Window(0, 0, 8, 8), np.empty((8, 8), np.uint16))


@pytest.mark.parametrize("crs", [None, "EPSG:4326"])
def test_a_raster_without_projected_crs_is_refused(tmp_path: Path, crs: str | None) -> None:
    path = tmp_path / "B04.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=8, height=8, count=1, dtype="uint16", crs=crs, transform=TRANSFORM
    ) as target:
        target.write(PIXELS[:8, :8], 1)
    with pytest.raises(SceneReadError, match="no projected CRS"):
        RasterioReader().grid_of(_scene(path), Band.RED)


def test_threads_read_the_same_file_side_by_side(raster: Path) -> None:
    reader, scene = RasterioReader(), _scene(raster)
    outs: list[NDArray[Any]] = [np.zeros((100, 600), np.uint16) for _ in range(7)]

    def work(index: int) -> None:
        for _ in range(5):
            reader.read(scene, Band.RED, Window(0, 100 * index, 600, 100), outs[index])

    threads = [threading.Thread(target=work, args=(index,)) for index in range(7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(np.concatenate(outs), PIXELS)
    expected = sum(_block_bytes(raster, Window(0, 100 * index, 600, 100)) for index in range(7))
    assert reader.bytes_read == 5 * expected


def test_many_threads_and_many_scenes_stay_within_the_files_that_may_be_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [write_raster(tmp_path / f"{number}.tif", PIXELS[:8, :8] + number) for number in range(40)]
    monkeypatch.setattr(reader_module, "_OPEN_FILES_IN_ALL", 24)
    reader, started, opened = RasterioReader(), threading.Barrier(4), []

    def work() -> None:
        out = np.empty((8, 8), np.uint16)
        reader.grid_of(_scene(paths[0]), Band.RED)
        started.wait(timeout=30)
        for number, path in enumerate(paths):
            reader.read(_scene(path), Band.RED, Window(0, 0, 8, 8), out)
            assert out[0, 0] == PIXELS[0, 0] + number
        started.wait(timeout=30)
        opened.append(len(reader._local.opened))
        started.wait(timeout=30)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened == [6] * 4


def test_the_process_own_limit_of_open_files_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (100, 4096))
    assert reader_module._most_open_files() == 90
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert reader_module._most_open_files() == 900


@pytest.mark.filterwarnings("ignore:Dataset has no geotransform")
def test_real_files_without_a_crs_are_refused_though_their_items_declare_one(shared_data: Path) -> None:
    # JPEG 2000 code streams under the name of TIFF: 915 x 915 pixels without CRS nor transform, and lossy, so that
    # a class 12 appears; the items declare 10980 x 10980 pixels of 10 m.
    folders = sorted((shared_data / "s2").iterdir())
    assert len(folders) == 3
    reader = RasterioReader()
    for folder in folders:
        item = pystac.Item.from_file(str(folder / f"{folder.name}.json"))
        assert item.assets["red"].extra_fields["proj:shape"] == [10980, 10980]
        local = {Band.RED: "B04.tif", Band.NIR: "B08.tif", Band.SCL: "SCL.tif"}
        scene = dataclasses.replace(scene_of(item), hrefs={band: str(folder / name) for band, name in local.items()})
        with pytest.raises(SceneReadError, match="no projected CRS"):
            reader.grid_of(scene, Band.RED)
        red, scl = np.empty((915, 915), np.uint16), np.empty((915, 915), np.uint8)
        reader.read(scene, Band.RED, Window(0, 0, 915, 915), red)
        reader.read(scene, Band.SCL, Window(0, 0, 915, 915), scl)
        assert 0 < np.median(red[red > 0]) < 10_000
        assert (np.isin(scl, range(12)).mean()) > 0.99
    # Blocks of a code stream have no length of their own to ask for: each of these files is one block.
    files = [folder / name for folder in folders for name in ("B04.tif", "SCL.tif")]
    assert reader.bytes_read == sum(file.stat().st_size for file in files)
