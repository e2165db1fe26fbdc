"""Products of a pass, read as one image."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.windows import Window

from tests.fakes.reader import grid_of, scene_on
from tiles.errors import SceneError, SceneReadError
from tiles.grid import Grid
from tiles.merging import MergingReader
from tiles.scene import Band, Scene

SHAPE = (4, 6)
WHOLE = Window(0, 0, SHAPE[1], SHAPE[0])
DAY = dt.date(2019, 7, 22)


class Products:
    """Single products in memory, by identifier; counts what is read of each."""

    def __init__(self, **pixels: NDArray[np.uint16]) -> None:
        self.pixels = pixels
        self.reads: Counter[str] = Counter()

    @property
    def bytes_read(self) -> int:
        return sum(self.reads.values())

    def block_rows(self, scene: Scene, band: Band) -> int:
        return 16

    def stop(self) -> None:
        raise AssertionError("nothing is interrupted")

    def grid_of(self, scene: Scene, band: Band) -> Grid:
        return grid_of(SHAPE)

    def read(self, scene: Scene, band: Band, window: Window, out: NDArray[Any]) -> None:
        self.reads[scene.id] += 1
        if scene.id not in self.pixels:
            raise SceneReadError(scene.id, "its raster is damaged")
        rows = slice(window.row_off, window.row_off + window.height)
        out[:] = self.pixels[scene.id][rows, window.col_off : window.col_off + window.width]


def _scene(first: int | None = 0, *parts: int | None) -> Scene:
    """Products a, b, c with these offsets."""
    named = [dataclasses.replace(scene_on(DAY, scene_id=name)) for name in "abc"]
    made = [dataclasses.replace(scene, dn_offset=dn) for scene, dn in zip(named, (first, *parts), strict=False)]
    return dataclasses.replace(made[0], parts=tuple(made[1:]))


def _halves() -> tuple[NDArray[np.uint16], NDArray[np.uint16], NDArray[np.uint16]]:
    whole = np.arange(1, 25, dtype=np.uint16).reshape(SHAPE) * 100
    left, right = whole.copy(), whole.copy()
    left[:, 3:], right[:, :2] = 0, 0
    return whole, left, right


def _read(reader: Products, scene: Scene, band: Band = Band.RED, window: Window = WHOLE) -> NDArray[np.uint16]:
    out = np.full((window.height, window.width), 77, np.uint8 if band is Band.SCL else np.uint16)
    MergingReader(reader).read(scene, band, window, out)
    return out


def test_halves_make_the_whole() -> None:
    whole, left, right = _halves()
    np.testing.assert_array_equal(_read(Products(a=left, b=right), _scene(0, 0)), whole)


def test_where_both_hold_data_the_first_is_read() -> None:
    whole, left, _ = _halves()
    out = _read(Products(a=left, b=whole + np.uint16(7)), _scene(0, 0))
    np.testing.assert_array_equal(out[:, :3], whole[:, :3])
    np.testing.assert_array_equal(out[:, 3:], whole[:, 3:] + 7)


def test_a_full_window_asks_no_other_part() -> None:
    whole, left, right = _halves()
    reader = Products(a=left, b=right, c=whole)
    _read(reader, _scene(0, 0, 0), window=Window(0, 0, 3, 4))
    assert reader.reads == {"a": 1}
    _read(reader, _scene(0, 0, 0))
    assert reader.reads == {"a": 2, "b": 1}
    assert MergingReader(reader).bytes_read == 3


def test_what_no_part_holds_stays_without_data() -> None:
    _, left, _ = _halves()
    out = _read(Products(a=left, b=left, c=left), _scene(0, -1000, 0))
    np.testing.assert_array_equal(out, left)


@given(
    st.sampled_from([(0, 0), (0, -1000), (-1000, 0), (-1000, -1000)]),
    st.lists(st.integers(0, 65_535), min_size=24, max_size=24),
)
def test_pixels_of_a_part_give_their_own_reflectance_under_the_scenes_offset(
    offsets: tuple[int, int], values: list[int]
) -> None:
    pixels = np.array(values, np.uint16).reshape(SHAPE)
    out = _read(Products(a=np.zeros(SHAPE, np.uint16), b=pixels), _scene(*offsets))
    assert out.dtype == np.uint16
    wanted = pixels.astype(int) + offsets[1] - offsets[0]
    # As near as unsigned numbers that are not "no data" come.
    wanted = np.where(pixels == 0, 0, np.clip(wanted, 1, 65_535))
    np.testing.assert_array_equal(out, wanted)


def test_slightly_negative_reflectance_survives_where_the_scene_carries_the_offset() -> None:
    pixels = np.full(SHAPE, 940, np.uint16)
    out = _read(Products(a=np.zeros(SHAPE, np.uint16), b=pixels), _scene(-1000, -1000))
    assert (out == 940).all()


def test_a_negative_reflectance_is_not_taken_for_no_data_where_the_scene_has_no_offset() -> None:
    pixels = np.full(SHAPE, 940, np.uint16)
    assert (_read(Products(a=np.zeros(SHAPE, np.uint16), b=pixels), _scene(0, -1000)) == 1).all()


def test_classes_are_not_shifted() -> None:
    classes = np.full(SHAPE, 4, np.uint16)
    out = _read(Products(a=np.zeros(SHAPE, np.uint16), b=classes), _scene(0, -1000), Band.SCL)
    assert (out == 4).all()


def test_the_product_that_cannot_be_read_is_named() -> None:
    _, left, _ = _halves()
    with pytest.raises(SceneReadError, match="Scene b: its raster is damaged"):
        _read(Products(a=left), _scene(0, 0))


def test_an_offset_that_was_not_decided_is_never_guessed() -> None:
    _, left, right = _halves()
    with pytest.raises(SceneError, match="Scene b: its offset was not decided"):
        _read(Products(a=left, b=right), _scene(0, None))
