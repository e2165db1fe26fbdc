"""Pictures and map tiles of small rasters: where they lie, which colours they have, what is transparent."""

from __future__ import annotations

from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray
from PIL import Image

from api.pictures import ChangeLayer, ChipKind, PictureForm, change_tile, chip_picture, chip_tile, legend
from tests.fakes.archive import cut_short
from tiles.change import CHANGE_BANDS, NO_VALUE, STATE_COLOURS
from tiles.errors import NotFoundError, PictureError
from tiles.pixel_state import PixelState

EPSG = 32631
PLACE = Affine(10, 0, 500_000, 0, -10, 5_000_000)
TO_DEGREES = pyproj.Transformer.from_crs(EPSG, "OGC:CRS84", always_xy=True)
PNG, WEBP = PictureForm.PNG, PictureForm.WEBP
ZOOM = 16
COLOUR = (200, 120, 40)


def _write(path: Path, layers: NDArray[Any], nodata: int, place: Affine = PLACE) -> Path:
    count, height, width = layers.shape
    shape = {"count": count, "height": height, "width": width, "dtype": layers.dtype.name}
    with rasterio.open(
        path, "w", driver="GTiff", crs=f"EPSG:{EPSG}", transform=place, nodata=nodata, photometric="MINISBLACK", **shape
    ) as out:
        out.write(layers)
    return path


@pytest.fixture
def chip(tmp_path: Path) -> Path:
    """A chip of 40 x 60 pixels: one colour, NDVI that rises from west to east, nothing known of the last ten rows."""
    layers = np.zeros((4, 40, 60), np.uint8)
    layers[:3] = np.array(COLOUR, np.uint8)[:, None, None]
    layers[3] = np.linspace(1, 255, 60).astype(np.uint8)
    layers[:, 30:] = 0
    return _write(tmp_path / "before.tif", layers, 0)


def _decoded(data: bytes, form: PictureForm = PNG) -> NDArray[np.uint8]:
    picture = Image.open(BytesIO(data))
    assert picture.format == form.name
    return np.asarray(picture.convert("RGBA"))


def _tile_and_pixel(x: float, y: float, zoom: int = ZOOM) -> tuple[int, int, int, int]:
    """Column and row of the tile of the web's grid that holds a place, and of the pixel in it; by pyproj alone."""
    east, north = pyproj.Transformer.from_crs(EPSG, 3857, always_xy=True).transform(x, y)
    half = 20_037_508.342789244
    scale = 2**zoom / (2 * half)
    column, row = (east + half) * scale, (half - north) * scale
    return int(column), int(row), int(column % 1 * 256), int(row % 1 * 256)


def test_a_chip_is_shown_in_its_colours_as_large_as_asked(chip: Path) -> None:
    pixels = _decoded(chip_picture(chip, ChipKind.TRUE_COLOUR, PNG, 240, None))
    assert pixels.shape == (160, 240, 4)
    assert (pixels[:120] == (*COLOUR, 255)).all()
    assert (pixels[120:, :, 3] == 0).all()


def test_a_webp_shows_the_same(chip: Path) -> None:
    pixels = _decoded(chip_picture(chip, ChipKind.TRUE_COLOUR, WEBP, 240, None), WEBP)
    # WebP keeps colours nearly, and opacity wholly.
    assert np.abs(pixels[:100, :, :3].astype(int) - COLOUR).max() <= 6
    assert (pixels[120:, :, 3] == 0).all()


def test_more_ndvi_is_greener_and_what_is_unknown_is_transparent(chip: Path) -> None:
    pixels = _decoded(chip_picture(chip, ChipKind.NDVI, PNG, 60, None)).astype(int)
    row = pixels[10]
    assert row[0, 0] > row[0, 1]
    assert row[-1, 1] > row[-1, 0]
    greenness = row[:, 1] - row[:, 0]
    assert (np.diff(greenness) >= -1).all()
    assert greenness[-1] > greenness[0] + 50
    assert (pixels[30:, :, 3] == 0).all()
    assert (pixels[:30, :, 3] == 255).all()


def test_the_outline_is_drawn_where_it_lies(chip: Path) -> None:
    ground = shapely.box(500_100, 4_999_800, 500_400, 4_999_950)
    outline = shapely.transform(ground, lambda xy: np.column_stack(TO_DEGREES.transform(xy[:, 0], xy[:, 1])))
    pixels = _decoded(chip_picture(chip, ChipKind.TRUE_COLOUR, PNG, 600, outline))
    drawn = (pixels[..., :3] == (255, 60, 60)).all(axis=2)
    rows, cols = np.nonzero(drawn)
    # One metre a pixel: columns 100 to 400, rows 50 to 200, and the line's half width.
    assert (rows.min(), rows.max()) == pytest.approx((50, 200), abs=2)
    assert (cols.min(), cols.max()) == pytest.approx((100, 400), abs=2)
    assert not drawn[60:190, 110:390].any()


def test_of_several_outlines_each_is_drawn_holes_too(chip: Path) -> None:
    ring = shapely.box(500_050, 4_999_750, 500_250, 4_999_950) - shapely.box(500_100, 4_999_800, 500_200, 4_999_900)
    ground = shapely.MultiPolygon([ring, shapely.box(500_400, 4_999_850, 500_500, 4_999_950)])
    outline = shapely.transform(ground, lambda xy: np.column_stack(TO_DEGREES.transform(xy[:, 0], xy[:, 1])))
    pixels = _decoded(chip_picture(chip, ChipKind.TRUE_COLOUR, PNG, 600, outline))
    for row, col in ((150, 50), (150, 100), (100, 400)):
        near = pixels[row - 2 : row + 3, col - 2 : col + 3, :3]
        assert (near == (255, 60, 60)).all(axis=2).any()


def test_a_tile_of_a_chip_lies_where_pyproj_puts_it(tmp_path: Path) -> None:
    layers = np.full((4, 60, 60), 50, np.uint8)
    layers[:3, 30, 20] = 250
    chip = _write(tmp_path / "before.tif", layers, 0)
    bright_x, bright_y = PLACE @ (20.5, 30.5)
    x, y, col, row = _tile_and_pixel(bright_x, bright_y)
    pixels = _decoded(chip_tile(chip, ChipKind.TRUE_COLOUR, PNG, ZOOM, x, y))
    assert pixels.shape == (256, 256, 4)
    rows, cols = np.nonzero(pixels[..., 0] == 250)
    # At zoom 16 a pixel is 1.7 m: ten metres are about six of them.
    assert rows.mean() == pytest.approx(row, abs=1.5)
    assert cols.mean() == pytest.approx(col, abs=1.5)
    assert 20 < rows.size < 80


def test_around_a_chip_its_tiles_are_transparent(chip: Path) -> None:
    x, y, col, row = _tile_and_pixel(*PLACE @ (0, 0))
    pixels = _decoded(chip_tile(chip, ChipKind.TRUE_COLOUR, PNG, ZOOM, x, y))
    assert (pixels[: row - 2, :, 3] == 0).all()
    assert (pixels[:, : col - 8, 3] == 0).all()
    assert (pixels[row + 8 : row + 20, col + 8 : col + 20] == (*COLOUR, 255)).all()


@pytest.mark.parametrize("kind", ChipKind)
def test_what_a_chip_does_not_know_is_transparent_in_its_tiles(tmp_path: Path, kind: ChipKind) -> None:
    layers = np.full((4, 60, 60), 120, np.uint8)
    # Reflectances whose NDVI would lie beyond 1 give none: the colours are known there, the NDVI is not.
    layers[3, 20:40] = 0
    layers[:, 40:] = 0
    chip = _write(tmp_path / "after.tif", layers, 0)

    def opacity(row: int) -> int:
        x, y, across, down = _tile_and_pixel(*PLACE @ (30.5, row + 0.5))
        return int(_decoded(chip_tile(chip, kind, PNG, ZOOM, x, y))[down, across, 3])

    assert [opacity(row) for row in (10, 30, 50)] == [255, 0 if kind is ChipKind.NDVI else 255, 0]


def test_a_chip_without_colours_shows_its_ndvi_and_no_colours(tmp_path: Path) -> None:
    chip = _write(tmp_path / "before.tif", np.full((1, 40, 40), 200, np.uint8), 0)
    x, y, *_ = _tile_and_pixel(*PLACE @ (20, 20))
    assert _decoded(chip_picture(chip, ChipKind.NDVI, PNG, 40, None))[..., 3].all()
    assert _decoded(chip_tile(chip, ChipKind.NDVI, PNG, ZOOM, x, y))[..., 3].any()
    with pytest.raises(NotFoundError, match="NDVI alone"):
        chip_picture(chip, ChipKind.TRUE_COLOUR, PNG, 40, None)
    with pytest.raises(NotFoundError, match="NDVI alone"):
        chip_tile(chip, ChipKind.TRUE_COLOUR, PNG, ZOOM, x, y)


def test_what_is_not_there_and_what_is_damaged_are_told_apart(chip: Path, tmp_path: Path) -> None:
    x, y, *_ = _tile_and_pixel(*PLACE @ (5, 5))
    absent = tmp_path / "absent.tif"
    with pytest.raises(NotFoundError):
        chip_picture(absent, ChipKind.NDVI, PNG, 40, None)
    with pytest.raises(NotFoundError):
        chip_tile(absent, ChipKind.NDVI, PNG, ZOOM, x, y)
    with pytest.raises(NotFoundError, match="does not meet"):
        chip_tile(chip, ChipKind.NDVI, PNG, ZOOM, x + 50, y)
    for share in (0.6, 0.01):
        cut_short(chip, share)
        with pytest.raises(PictureError):
            chip_picture(chip, ChipKind.NDVI, PNG, 40, None)
        with pytest.raises(PictureError):
            chip_tile(chip, ChipKind.NDVI, PNG, ZOOM, x, y)


def _change(path: Path, drop: int, place: Affine = PLACE) -> Path:
    bands = np.full((len(CHANGE_BANDS), 64, 64), NO_VALUE, np.int16)
    bands[2, :32] = drop
    return _write(path, bands, NO_VALUE, place)


def _pixel(layer: ChangeLayer, paths: list[Path], col: float, row: float) -> tuple[int, ...]:
    x, y, across, down = _tile_and_pixel(*PLACE @ (col + 0.5, row + 0.5))
    pixels = _decoded(change_tile(paths, layer, PNG, ZOOM, x, y))
    return tuple(int(value) for value in pixels[down, across])


def test_states_have_the_colours_of_the_maps(tmp_path: Path) -> None:
    states = np.full((1, 64, 64), PixelState.INTACT, np.uint8)
    states[0, :16] = PixelState.CONFIRMED
    states[0, 16:32] = PixelState.PROVISIONAL
    states[0, 48:] = PixelState.NOT_FOREST
    path = _write(tmp_path / "state.tif", states, 0)
    told = {entry["en"]: entry["colour"] for entry in legend(ChangeLayer.STATE)}
    for row, state, words in (
        (8, PixelState.CONFIRMED, "confirmed loss"),
        (24, PixelState.PROVISIONAL, "loss to be confirmed"),
    ):
        pixel = _pixel(ChangeLayer.STATE, [path], 32, row)
        assert pixel == (*STATE_COLOURS[state][:3], 255)
        assert told[words] == "#{:02x}{:02x}{:02x}".format(*pixel[:3])
    assert 0 < _pixel(ChangeLayer.STATE, [path], 32, 40)[3] < 255
    assert _pixel(ChangeLayer.STATE, [path], 32, 56)[3] == 0


def test_a_larger_drop_is_darker_as_the_legend_says(tmp_path: Path) -> None:
    drops = (1000, 2667, 5333, 8000, 12_000)
    pixels = [_pixel(ChangeLayer.NDVI_DROP, [_change(tmp_path / f"{d}.tif", d)], 30, 10) for d in drops]
    assert all(one[1] > other[1] for one, other in pairwise(pixels[:-1]))
    entries = {entry["value"]: entry["colour"] for entry in legend(ChangeLayer.NDVI_DROP)}
    darkest = "#{:02x}{:02x}{:02x}".format(*pixels[3][:3])
    assert entries[0.8] == darkest
    assert pixels[4] == pixels[3]
    assert _pixel(ChangeLayer.NDVI_DROP, [tmp_path / "8000.tif"], 30, 50)[3] == 0


def test_tiles_beside_each_other_make_one_map_and_the_first_counts(tmp_path: Path) -> None:
    west = _change(tmp_path / "west.tif", 8000)
    east = _change(tmp_path / "east.tif", 1000, PLACE @ Affine.translation(48, 0))
    strong, weak = (_pixel(ChangeLayer.NDVI_DROP, [path], 56, 10) for path in (west, east))
    assert strong != weak
    assert _pixel(ChangeLayer.NDVI_DROP, [west, east], 56, 10) == strong
    assert _pixel(ChangeLayer.NDVI_DROP, [east, west], 56, 10) == weak
    assert _pixel(ChangeLayer.NDVI_DROP, [west, east], 80, 10) == weak


def test_a_map_that_does_not_meet_the_tile_is_none(tmp_path: Path) -> None:
    path = _change(tmp_path / "change.tif", 5000)
    x, y, *_ = _tile_and_pixel(*PLACE @ (10, 10))
    for paths in ([], [tmp_path / "absent.tif"]):
        with pytest.raises(NotFoundError):
            change_tile(paths, ChangeLayer.NDVI_DROP, PNG, ZOOM, x, y)
    with pytest.raises(NotFoundError):
        change_tile([path], ChangeLayer.NDVI_DROP, PNG, ZOOM, x + 50, y)
    cut_short(path, 0.3)
    with pytest.raises(PictureError):
        change_tile([path], ChangeLayer.NDVI_DROP, PNG, ZOOM, x, y)


@pytest.mark.parametrize("layer", ChangeLayer)
def test_a_legend_is_told_in_two_languages(layer: ChangeLayer) -> None:
    entries = legend(layer)
    assert len({entry["colour"] for entry in entries}) == len(entries) >= 4
    assert all(entry["fr"] and entry["en"] and entry["fr"] != entry["en"] for entry in entries)
