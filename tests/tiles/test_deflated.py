"""Blocks decoded without GDAL: the same pixels as GDAL's, and GDAL wherever a file is out of the ordinary."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.windows import Window

from tests.fakes.archive import EPSG, TRANSFORM
from tiles.deflated import DeflatedBlocks
from tiles.errors import SceneReadError
from tiles.reader import RasterioReader
from tiles.scene import Band, Scene

ROWS, COLS = 150, 200
PIXELS = np.random.default_rng(3).integers(0, 60_000, (ROWS, COLS)).astype(np.uint16)
ORDINARY: dict[str, Any] = {"tiled": True, "blockxsize": 64, "blockysize": 32, "compress": "DEFLATE", "predictor": 2}


def _write(path: Path, pixels: np.ndarray[Any, Any] = PIXELS, **options: Any) -> Path:
    shape = {"height": pixels.shape[-2], "width": pixels.shape[-1], "count": 1, "dtype": pixels.dtype, "nodata": 0}
    made = {"driver": "GTiff", "crs": f"EPSG:{EPSG}", "transform": TRANSFORM, **shape, **ORDINARY, **options}
    with rasterio.open(path, "w", **made) as target:
        for band in range(1, target.count + 1):
            target.write(pixels, band)
    return path


@pytest.fixture(scope="module", params=[{}, {"predictor": 1}, {"dtype": "uint8"}], ids=["16bit", "plain", "8bit"])
def raster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pixels = PIXELS.astype(request.param.get("dtype", "uint16"))
    return _write(tmp_path_factory.mktemp("deflated") / "band.tif", pixels, **request.param)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, ROWS - 1), st.integers(0, COLS - 1), st.data())
def test_any_window_is_what_gdal_reads_and_costs_its_blocks(
    raster: Path, row: int, col: int, data: st.DataObject
) -> None:
    window = Window(col, row, data.draw(st.integers(1, COLS - col)), data.draw(st.integers(1, ROWS - row)))
    with rasterio.open(raster) as dataset:
        blocks = DeflatedBlocks.of(raster, dataset)
        assert blocks is not None
        out = np.zeros((window.height, window.width), dataset.dtypes[0])
        stored = blocks.read(window, out)
        np.testing.assert_array_equal(out, dataset.read(1, window=window))
        assert stored == sum(
            int(dataset.get_tag_item(f"BLOCK_SIZE_{across}_{down}", "TIFF", bidx=1))
            for (down, across), block in dataset.block_windows(1)
            if rasterio.windows.intersect(block, window)
        )


@pytest.mark.parametrize(
    "options",
    [
        {"compress": "ZSTD"},
        {"compress": "LZW"},
        {"tiled": False, "blockxsize": None},
        {"count": 2},
        {"nbits": 15, "predictor": 1},
        {"endianness": "BIG"},
        {"dtype": "int16"},
        {"dtype": "float32", "predictor": 3},
    ],
    ids=str,
)
def test_files_out_of_the_ordinary_are_left_to_gdal(tmp_path: Path, options: dict[str, Any]) -> None:
    pixels = (PIXELS // 2).astype(options.get("dtype", "uint16"))
    kept = {key: value for key, value in options.items() if value is not None}
    path = _write(tmp_path / "band.tif", pixels, **kept)
    with rasterio.open(path) as dataset:
        assert DeflatedBlocks.of(path, dataset) is None


def test_a_dataset_that_is_no_file_of_its_own_is_left_to_gdal(raster: Path) -> None:
    with rasterio.open(raster) as dataset:
        assert DeflatedBlocks.of(Path("/vsizip/archive.zip/band.tif"), dataset) is None


def test_a_block_that_is_not_stored_is_left_to_gdal(tmp_path: Path) -> None:
    pixels = PIXELS.copy()
    pixels[:32, :64] = 0
    path = _write(tmp_path / "band.tif", pixels, sparse_ok=True)
    with rasterio.open(path) as dataset:
        blocks = DeflatedBlocks.of(path, dataset)
        assert blocks is not None
        out = np.empty((32, 64), np.uint16)
        assert blocks.read(Window(0, 0, 64, 32), out) is None
        assert blocks.read(Window(64, 0, 64, 32), out)


@pytest.mark.parametrize("damage", ["changed", "cut short", "gone"])
def test_a_damaged_block_is_left_to_gdal(tmp_path: Path, damage: str) -> None:
    path = _write(tmp_path / "band.tif")
    with rasterio.open(path) as dataset:
        blocks = DeflatedBlocks.of(path, dataset)
        assert blocks is not None
        place, size = (int(dataset.get_tag_item(f"BLOCK_{what}_0_1", "TIFF", bidx=1)) for what in ("OFFSET", "SIZE"))
        data = bytearray(path.read_bytes())
        if damage == "changed":
            data[place + size // 2] ^= 255
        path.write_bytes(data if damage == "changed" else data[: place + size // 2])
        if damage == "gone":
            path.unlink()
        assert blocks.read(Window(0, 32, 64, 32), np.empty((32, 64), np.uint16)) is None


def test_the_reader_then_asks_gdal(tmp_path: Path) -> None:
    pixels = PIXELS.copy()
    pixels[:32, :64] = 0
    path = _write(tmp_path / "band.tif", pixels, sparse_ok=True)
    scene = Scene("S1", dt.datetime(2019, 7, 1, tzinfo=dt.UTC), "31TDK", dict.fromkeys(Band, str(path)))
    reader, out = RasterioReader(), np.ones((ROWS, COLS), np.uint16)
    reader.read(scene, Band.RED, Window(0, 0, COLS, ROWS), out)
    np.testing.assert_array_equal(out, pixels)
    with rasterio.open(path) as dataset:
        assert reader.bytes_read == sum(
            int(dataset.get_tag_item(f"BLOCK_SIZE_{col}_{row}", "TIFF", bidx=1) or 0)
            for (row, col), _ in dataset.block_windows(1)
        )
        place = int(dataset.get_tag_item("BLOCK_OFFSET_1_1", "TIFF", bidx=1))
    data = bytearray(path.read_bytes())
    data[place + 100 : place + 200] = bytes(100)
    path.write_bytes(data)
    with pytest.raises(SceneReadError, match="is damaged or cut short"):
        RasterioReader().read(scene, Band.RED, Window(64, 32, 64, 32), np.empty((32, 64), np.uint16))
