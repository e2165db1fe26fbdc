"""The classification of a scene, read downwards."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.windows import Window

from tests.fakes.forest import Forest
from tests.fakes.reader import FakeReader, scene_on
from tests.oracles import pixels as oracle
from tiles.clear import CLEAR_CLASSES, OBSCURING_CLASSES
from tiles.errors import SceneReadError
from tiles.scene import Band, Scene
from tiles.stripes import ClassStripes, ClearStripes

DAY = dt.date(2019, 7, 3)
quick = settings(max_examples=60, deadline=None)


class Drawn(FakeReader):
    """Classes of any number, to tell rows apart."""

    def __init__(self, rows: int, blocks: int, most: int = 256) -> None:
        super().__init__(Forest())
        self.rows_of_blocks = blocks
        self.classes = np.random.default_rng(rows).integers(0, most, (rows, 7), np.uint8)
        self.asked: list[tuple[int, int]] = []
        self.fails = False

    def read(self, scene: Scene, band: Band, window: Window, out: NDArray[Any]) -> None:
        if self.fails:
            raise SceneReadError(scene.id, "its scl raster is damaged or cut short")
        self.asked.append((window.row_off, window.row_off + window.height))
        out[:] = self.classes[window.row_off : window.row_off + window.height]


@quick
@given(st.integers(1, 60), st.integers(1, 20), st.integers(1, 16), st.integers(0, 5), st.booleans())
def test_rows_are_those_of_the_file_and_each_is_decoded_once_where_they_are_held(
    height: int, blocks: int, step: int, margin: int, hold: bool
) -> None:
    reader = Drawn(height, blocks)
    stripes = ClassStripes(scene_on(DAY), (height, 7), hold)
    for top in range(0, height, step):
        first, last = max(0, top - margin), min(height, top + step + margin)
        rows = stripes.rows(reader, first, last, max(0, top + step - margin))
        np.testing.assert_array_equal(rows, reader.classes[first:last])
    if hold:
        decoded = [row for begin, end in reader.asked for row in range(begin, end)]
        assert decoded == list(range(height))


def test_rows_that_are_passed_over_are_not_read() -> None:
    reader = Drawn(60, 8)
    stripes = ClassStripes(scene_on(DAY), (60, 7), hold=True)
    for first, last in ((0, 8), (40, 50), (16, 20)):
        np.testing.assert_array_equal(stripes.rows(reader, first, last, last), reader.classes[first:last])
    assert reader.asked == [(0, 8), (40, 56), (16, 24)]


def test_a_read_that_fails_leaves_what_was_held() -> None:
    reader = Drawn(32, 8)
    stripes = ClassStripes(scene_on(DAY), (32, 7), hold=True)
    stripes.rows(reader, 0, 10, 6)
    reader.fails = True
    with pytest.raises(SceneReadError):
        stripes.rows(reader, 6, 20, 16)
    reader.fails = False
    np.testing.assert_array_equal(stripes.rows(reader, 6, 20, 16), reader.classes[6:20])
    assert reader.asked == [(0, 16), (16, 24)]


def _clear_rows(reader: Drawn, margin: int, first: int, last: int) -> NDArray[np.uint8]:
    clear = oracle.clear_mask(reader.classes, first, CLEAR_CLASSES, OBSCURING_CLASSES, margin, last - first)
    return np.packbits(clear, axis=1)


@quick
@given(st.integers(1, 40), st.integers(1, 20), st.integers(1, 16), st.integers(0, 3), st.booleans())
def test_clear_rows_are_those_of_the_whole_file_and_each_is_decoded_once_where_they_are_held(
    height: int, blocks: int, step: int, margin: int, hold: bool
) -> None:
    reader = Drawn(height, blocks, most=12)
    stripes = ClearStripes(scene_on(DAY), (height, 7), margin, hold)
    for top in range(0, height, step):
        last = min(height, top + step)
        np.testing.assert_array_equal(stripes.rows(reader, top, last), _clear_rows(reader, margin, top, last))
    if hold:
        decoded = [row for begin, end in reader.asked for row in range(begin, end)]
        assert decoded == list(range(height))


def test_clear_rows_do_not_depend_on_how_many_are_looked_at_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Drawn(60, 25, most=12)
    for at_once in (1, 3, 60):
        monkeypatch.setattr("tiles.stripes._ROWS_AT_ONCE", at_once)
        stripes = ClearStripes(scene_on(DAY), (60, 7), 2, hold=True)
        for first in (0, 20, 40):
            np.testing.assert_array_equal(
                stripes.rows(reader, first, first + 20), _clear_rows(reader, 2, first, first + 20)
            )


def test_clear_rows_that_are_passed_over_are_not_read() -> None:
    reader = Drawn(60, 8, most=12)
    stripes = ClearStripes(scene_on(DAY), (60, 7), 2, hold=True)
    for first, last in ((0, 8), (40, 50), (16, 20)):
        np.testing.assert_array_equal(stripes.rows(reader, first, last), _clear_rows(reader, 2, first, last))
    assert reader.asked == [(0, 16), (32, 56), (8, 24)]


def test_a_read_that_fails_leaves_the_clear_rows_that_were_held() -> None:
    reader = Drawn(32, 8, most=12)
    stripes = ClearStripes(scene_on(DAY), (32, 7), 2, hold=True)
    stripes.rows(reader, 0, 10)
    reader.fails = True
    with pytest.raises(SceneReadError):
        stripes.rows(reader, 10, 20)
    reader.fails = False
    np.testing.assert_array_equal(stripes.rows(reader, 10, 20), _clear_rows(reader, 2, 10, 20))
    assert reader.asked == [(0, 16), (16, 24)]
