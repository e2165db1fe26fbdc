"""Whether digital numbers carry the offset of 1000, told from vegetation's darkness in red."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.windows import Window

from scripts.demo_archive import DemoArchive
from tests.fakes.reader import UTM, scene_on
from tiles.errors import InvalidParameterError, SceneError, SceneReadError
from tiles.grid import Grid
from tiles.offset import OffsetParams, decide_offset
from tiles.scene import Band, Scene

SCENE = scene_on(dt.date(2022, 2, 26), scene_id="S2X")
VEGETATION, BARE, CLOUD = 4, 5, 9


class Image:
    """A scene in memory; `by` is added to what holds data."""

    def __init__(self, red: NDArray[np.uint16], scl: NDArray[np.uint8], by: int = 0) -> None:
        self.red = np.where(red == 0, 0, red.astype(int) + by).astype(np.uint16)
        self.scl = scl
        self.reads: Counter[Band] = Counter()

    @property
    def bytes_read(self) -> int:
        return 0

    def block_rows(self, scene: Scene, band: Band) -> int:
        return 16

    def stop(self) -> None:
        raise AssertionError("nothing is interrupted")

    def grid_of(self, scene: Scene, band: Band) -> Grid:
        side = 10 if band is not Band.SCL else 10 * round(self.red.shape[0] / self.scl.shape[0])
        layer = self.scl if band is Band.SCL else self.red
        return Grid(UTM, Affine(side, 0, 0, 0, -side, 0), (layer.shape[0], layer.shape[1]))

    def read(self, scene: Scene, band: Band, window: Window, out: NDArray[Any]) -> None:
        assert band is not Band.NIR
        self.reads[band] += 1
        layer = self.scl if band is Band.SCL else self.red
        rows = slice(window.row_off, window.row_off + window.height)
        out[:] = layer[rows, window.col_off : window.col_off + window.width]


def _image(darkness: int, classes: int = VEGETATION, shape: tuple[int, int] = (60, 60)) -> Image:
    red = np.random.default_rng(1).integers(darkness, darkness + 300, shape).astype(np.uint16)
    return Image(red, np.full((shape[0] // 2, shape[1] // 2), classes, np.uint8))


@pytest.mark.parametrize(("darkness", "expected"), [(50, 0), (600, 0), (1030, -1000), (1143, -1000), (1600, -1000)])
def test_dark_vegetation_tells_the_offset(darkness: int, expected: int) -> None:
    seen = decide_offset(SCENE, _image(darkness))
    assert seen.dn_offset == expected
    assert seen.evidence.startswith(f"offset {expected} decided from pixels: p1 = {darkness}"[:-2])
    assert "over 3600 pixels of vegetation in red" in seen.evidence


@pytest.mark.parametrize("darkness", [720, 900, 1000, 1750, 5000])
def test_between_the_two_nothing_is_guessed_and_the_figure_is_said(darkness: int) -> None:
    with pytest.raises(SceneError, match=rf"Scene S2X: .* its pixels do not tell \(p1 = {str(darkness)[:2]}") as caught:
        decide_offset(SCENE, _image(darkness))
    assert not isinstance(caught.value, SceneReadError)


@pytest.mark.parametrize("classes", [0, BARE, 6, CLOUD])
def test_where_no_vegetation_is_seen_nothing_is_said(classes: int) -> None:
    image = _image(200, classes)
    with pytest.raises(SceneError, match="0 of 1 sampled places show vegetation, not 1"):
        decide_offset(SCENE, image)
    assert image.reads[Band.RED] == 0


def test_no_data_and_other_classes_do_not_speak() -> None:
    image = _image(1200)
    image.red[:5] = 0
    image.red[50:], image.scl[25:] = 30, CLOUD
    assert decide_offset(SCENE, image).dn_offset == -1000


def test_too_few_pixels_with_data_are_not_enough() -> None:
    image = _image(200)
    image.red[15:] = 0
    with pytest.raises(SceneError, match="0 of 1 sampled places"):
        decide_offset(SCENE, image)


def test_a_haze_over_one_place_of_many_is_outvoted() -> None:
    params = OffsetParams(window_px=60)
    image = _image(250, shape=(600, 600))
    image.red[240:360, 240:360] += 1000
    # The middle, which is looked at first.
    assert decide_offset(SCENE, image, params).dn_offset == 0


def test_vegetation_in_one_place_of_many_is_not_enough() -> None:
    params = OffsetParams(window_px=60)
    image = _image(250, BARE, shape=(600, 600))
    image.scl[150:180, 150:180] = VEGETATION
    with pytest.raises(SceneError, match="1 of 25 sampled places show vegetation, not 3"):
        decide_offset(SCENE, image, params)
    assert image.reads == {Band.SCL: 25, Band.RED: 1}


def test_three_windows_of_red_are_read_and_no_more() -> None:
    params = OffsetParams(window_px=60)
    image = _image(250, shape=(600, 630))
    decide_offset(SCENE, image, params)
    assert image.reads == {Band.SCL: 3, Band.RED: 3}


def test_edges_that_are_no_multiple_of_the_classes_are_met() -> None:
    red = np.full((61, 75), 1200, np.uint16)
    image = Image(red, np.full((31, 38), VEGETATION, np.uint8))
    assert decide_offset(SCENE, image, OffsetParams(window_px=33, min_pixels=100)).dn_offset == -1000


@pytest.mark.parametrize("wrong", [{"window_px": 0}, {"windows": 0}, {"min_pixels": 0}, {"percentile": 101.0}])
def test_parameters_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameterError):
        OffsetParams(**wrong)


def _decided(image: Image, params: OffsetParams | None = None) -> int | None:
    try:
        return decide_offset(SCENE, image, params).dn_offset
    except SceneError:
        return None


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("window_px", [1024, 256])
def test_real_images_of_a_tile_are_told_with_and_without_the_offset(shared_data: Path, window_px: int) -> None:
    folders = sorted((shared_data / "s2").iterdir())
    assert len(folders) == 3
    for folder in folders:
        with rasterio.open(folder / "B04.tif") as red, rasterio.open(folder / "SCL.tif") as scl:
            layers = red.read(1), scl.read(1)
        params = OffsetParams(window_px=window_px)
        assert _decided(Image(*layers), params) == 0, folder.name
        assert _decided(Image(*layers, by=1000), params) == -1000, folder.name


def test_no_date_of_the_demo_is_decided_wrongly(demo_archive: DemoArchive) -> None:
    folders = [path.parent for path in sorted(demo_archive.catalog.parent.rglob("scl.tif"))]
    decided: Counter[tuple[int, int | None]] = Counter()
    for folder in folders:
        with rasterio.open(folder / "red.tif") as red, rasterio.open(folder / "scl.tif") as scl:
            layers = red.read(1), scl.read(1)
        for by in (0, 1000):
            decided[by, _decided(Image(*layers, by=by))] += 1
    # A square kilometre is little: a third of the dates, cloudy or leafless, show no vegetation on 10 ha of it.
    assert set(decided) == {(0, 0), (0, None), (1000, -1000), (1000, None)}
    assert decided[0, 0] >= 95
    assert decided[1000, -1000] >= 93
