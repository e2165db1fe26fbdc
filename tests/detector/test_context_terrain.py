"""Slope, aspect, elevation, tree cover: on any grid, over any tiles, exact at the edges."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray

from detector.context import PatchContext
from tests.detector.laid import X, Y, box, described, hectares, one
from tests.fakes.layers import FakeRaster, layers_of, write_raster
from tests.oracles import terrain as oracle
from tiles.errors import LayerError

PATCH = box(0, 0, 300, 200)
#: Pixel sizes in units of each CRS, and how many pixels.
GRIDS = {
    "lambert 93, 25 m": (2154, 25.0, 25.0, 60),
    "lambert 93, 1 m": (2154, 1.0, 1.0, 500),
    "lambert 93, 5 m": (2154, 5.0, 5.0, 160),
    "utm 31, 30 m": (32631, 30.0, 30.0, 60),
    "an arc second": (4326, 1 / 3600, 1 / 3600, 60),
    "1.5 by 1 arc seconds": (4326, 1.5 / 3600, 1 / 3600, 60),
    "web mercator, 20 m of the map": (3857, 20.0, 20.0, 90),
    "laea europe, 25 m": (3035, 25.0, 25.0, 60),
}


def elevation_of(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """A plane that falls by 40 % to the east and 30 % to the south, hence by 50 %."""
    return 800 - 0.4 * (x - X) + 0.3 * (y - Y)


def write_ground(path: Path, grid: str, elevation: Any = elevation_of, shift_px: tuple[int, int] = (0, 0)) -> Path:
    """Elevations of the ground, given on Lambert-93, in any grid, around the patch."""
    crs, width, height, size = GRIDS[grid]
    transformer = pyproj.Transformer.from_crs(2154, crs, always_xy=True)
    x, y = transformer.transform(X + 150, Y + 100)
    # Corners are no whole numbers of pixels away from anything.
    transform = Affine(width, 0, x - (size / 2 + 0.37) * width, 0, -height, y + (size / 2 + 0.21) * height)
    transform = transform @ Affine.translation(*shift_px)
    rows, cols = np.indices((size, size)) + 0.5
    there_x, there_y = transform @ (cols, rows)
    placed = transformer.transform(there_x, there_y, direction="INVERSE")
    return write_raster(path, elevation(*placed).astype(np.float32), transform, crs)


def terrain_of(context: PatchContext) -> tuple[Any, ...]:
    """All that is told of the terrain."""
    return (
        context.elevation_m, context.slope_mean_pct, context.slope_max_pct, context.slope_block_ha, context.aspect_deg
    )  # fmt: skip


@pytest.mark.parametrize("grid", GRIDS)
def test_a_plane_has_its_slope_on_any_grid(tmp_path: Path, grid: str) -> None:
    context = one(PATCH, layers_of(FakeRaster("elevation", (write_ground(tmp_path / "dem.tif", grid),))))
    # A metre of Lambert-93's map is 1.001 m of the ground at 47 degrees north; float32 adds its noise on 1 m pixels.
    slope_pct = 50 * np.sqrt(6 / hectares([PATCH])[0])
    assert context.slope_mean_pct == pytest.approx(slope_pct, rel=2e-4)
    assert context.slope_max_pct == pytest.approx(slope_pct, rel=1e-3)
    assert context.aspect_deg == pytest.approx(90 + np.degrees(np.arctan2(3, 4)), abs=0.1)
    # Pixels are whole in their mean, though they stick out of the outline: half a pixel in elevation at most.
    assert context.elevation_m == pytest.approx(800 - 0.4 * 150 + 0.3 * 100, abs=0.3)
    assert context.slope_block_ha == pytest.approx(hectares([PATCH])[0], rel=1e-6)


def ramps(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Flat, 11 pixels of 50 % (ten of them wholly), flat, and the same again."""
    east = x - X
    return 100 + 0.5 * (np.clip(east - 95, 0, 110) + np.clip(east - 395, 0, 110)) + 0 * y


def two_steep_blocks(tmp_path: Path) -> FakeRaster:
    """Steep from 100 to 200 m east of (X, Y), and from 400 to 500."""
    transform = Affine(10, 0, X - 200, 0, -10, Y + 400)
    rows, cols = np.indices((80, 100)) + 0.5
    path = write_raster(tmp_path / "ramps.tif", ramps(*(transform @ (cols, rows))).astype(np.float32), transform)
    return FakeRaster("elevation", (path,))


def test_two_steep_blocks_of_1_2_ha_with_flat_ground_between_give_1_2_ha(tmp_path: Path) -> None:
    patch = box(0, 0, 600, 120)
    context = one(patch, layers_of(two_steep_blocks(tmp_path)))
    assert context.slope_block_ha == pytest.approx(1.2, rel=3e-3)
    assert context.slope_block_ha == pytest.approx(hectares([patch])[0] / 6, rel=1e-6)
    assert context.slope_mean_pct is not None
    assert context.slope_mean_pct < 30 < 49 < (context.slope_max_pct or 0)


def test_arms_of_a_patch_are_two_blocks_however_wide_the_pixels(tmp_path: Path) -> None:
    # Two arms with 6 m of standing trees between them, on steep pixels of 10 m; their base lies on flat ground.
    patch = shapely.union_all([box(0, 0, 200, 47), box(0, 53, 200, 120), box(0, 0, 50, 120)])
    context = one(patch, layers_of(two_steep_blocks(tmp_path)))
    assert context.slope_block_ha == pytest.approx(0.67, rel=3e-3)


def test_a_steep_patch_of_squares_that_meet_at_a_corner_is_one_block(tmp_path: Path) -> None:
    patch = shapely.MultiPolygon([box(0, 0, 100, 100), box(100, 100, 200, 200)])
    layers = layers_of(FakeRaster("elevation", (write_ground(tmp_path / "dem.tif", "lambert 93, 25 m"),)))
    assert one(patch, layers).slope_block_ha == pytest.approx(hectares([patch])[0], rel=1e-6)
    apart = shapely.MultiPolygon([box(0, 0, 100, 100), box(101, 101, 200, 200)])
    assert one(apart, layers).slope_block_ha == pytest.approx(hectares([box(0, 0, 100, 100)])[0], rel=1e-6)


def test_flat_ground_has_no_aspect(tmp_path: Path) -> None:
    dem = write_ground(tmp_path / "dem.tif", "lambert 93, 25 m", lambda x, y: 0 * x + 12)
    context = one(PATCH, layers_of(FakeRaster("elevation", (dem,))))
    assert terrain_of(context) == (pytest.approx(12), 0.0, 0.0, 0.0, None)


def test_directions_on_both_sides_of_north_have_their_mean_there(tmp_path: Path) -> None:
    def valley(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        return 100 - 0.5 * (y - Y) + 0.1 * abs(x - X - 150)

    dem = write_ground(tmp_path / "dem.tif", "lambert 93, 5 m", valley)
    aspect_deg = one(PATCH, layers_of(FakeRaster("elevation", (dem,)))).aspect_deg
    assert aspect_deg is not None
    assert min(aspect_deg, 360 - aspect_deg) < 0.2


def rough(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ground with steep and flat parts."""
    return 500 + 30 * np.sin((x - X) / 61) * np.cos((y - Y) / 47) + 0.2 * (x - X)


@pytest.mark.parametrize("overlap_px", [0, 1])
@pytest.mark.parametrize("reverse", [False, True])
def test_tiles_are_as_one_file(tmp_path: Path, overlap_px: int, reverse: bool) -> None:
    whole = write_ground(tmp_path / "whole.tif", "an arc second", rough)
    with rasterio.open(whole) as file:
        values, transform = file.read(1), file.transform
    tiles = []
    for rows in ((0, 29), (29, 60)):
        for cols in ((0, 31), (31, 60)):
            top, left = max(0, rows[0] - overlap_px), max(0, cols[0] - overlap_px)
            place = transform @ Affine.translation(left, top)
            path = tmp_path / f"{rows[0]}-{cols[0]}.tif"
            tiles.append(write_raster(path, values[top : rows[1], left : cols[1]], place, 4326))
    patches = [PATCH, box(-200, -300, 250, 300), box(100, 90, 160, 130)]
    expected = described(patches, layers_of(FakeRaster("elevation", (whole,))))
    paths = tuple(tiles[::-1] if reverse else tiles)
    found = described(patches, layers_of(FakeRaster("elevation", paths)))
    for one_context, other in zip(expected.contexts, found.contexts, strict=True):
        assert terrain_of(one_context) == pytest.approx(terrain_of(other), rel=1e-9)
        assert 0 < (other.slope_block_ha or 0) < (other.slope_mean_pct or 0)


def test_a_patch_over_two_grids(tmp_path: Path) -> None:
    # As at 50 degrees north, where GLO-30's pixels become wider: the one file ends inside the patch.
    south = write_ground(tmp_path / "south.tif", "an arc second", rough)
    with rasterio.open(south) as file:
        values, transform = file.read(1), file.transform
    cut = 30
    kept = write_raster(tmp_path / "kept.tif", values[cut:], transform @ Affine.translation(0, cut), 4326)
    north = write_ground(tmp_path / "north.tif", "1.5 by 1 arc seconds", rough)
    expected = one(PATCH, layers_of(FakeRaster("elevation", (south,))))
    alone = one(PATCH, layers_of(FakeRaster("elevation", (kept,))))
    both = one(PATCH, layers_of(FakeRaster("elevation", (kept, north))))
    assert terrain_of(alone) == (None,) * 5
    assert both.elevation_m == pytest.approx(expected.elevation_m, abs=0.5)
    assert both.slope_mean_pct == pytest.approx(expected.slope_mean_pct, rel=0.05)
    assert both.slope_block_ha == pytest.approx(expected.slope_block_ha, abs=0.5)


def with_hole(path: Path, rows: slice, cols: slice) -> Path:
    """The plane in 5 m pixels, with no data in some of them, counted from the patch's north-west corner."""
    transform = Affine(5, 0, X - 100, 0, -5, Y + 300)
    r, c = np.indices((80, 100)) + 0.5
    values = elevation_of(*(transform @ (c, r))).astype(np.float32)
    values[20:60, 20:80][rows, cols] = -9999
    return write_raster(path, values, transform)


def test_no_data_is_no_slope_of_zero(tmp_path: Path) -> None:
    layers = layers_of(FakeRaster("elevation", (with_hole(tmp_path / "dem.tif", slice(10, 13), slice(10, 13)),)))
    context = one(PATCH, layers)
    assert context.slope_mean_pct == pytest.approx(50, rel=2e-3)
    # A pixel without data, and those around it, are not known to be steep.
    assert context.slope_block_ha == pytest.approx(hectares([PATCH])[0] * (1 - 25 / 2400), rel=1e-6)


def test_too_little_data_is_unknown_and_said(tmp_path: Path) -> None:
    layers = layers_of(FakeRaster("elevation", (with_hole(tmp_path / "dem.tif", slice(0, 20), slice(0, 60)),)))
    result = described([PATCH, box(0, 0, 100, 80)], layers)
    assert terrain_of(result.contexts[0]) == (None,) * 5
    assert result.contexts[1].slope_mean_pct == pytest.approx(50, rel=2e-3)
    assert [warning for warning in result.warnings if "elevation" in warning] == [
        "Layer elevation does not cover 1 of 2 patches; unknown there: elevation and slope."
    ]


def test_beyond_the_terrain_nothing_is_known(tmp_path: Path) -> None:
    layers = layers_of(FakeRaster("elevation", (write_ground(tmp_path / "dem.tif", "utm 31, 30 m"),)))
    assert terrain_of(one(box(50_000, 0, 50_300, 200), layers)) == (None,) * 5


def test_tree_cover_is_weighted_by_what_of_each_pixel_is_inside(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    percent = rng.integers(0, 101, (90, 90)).astype(np.uint8)
    to_laea = pyproj.Transformer.from_crs(2154, 3035, always_xy=True)
    x, y = to_laea.transform(X + 150, Y + 100)
    transform = Affine(10, 0, round(x, -1) - 450, 0, -10, round(y, -1) + 450)
    path = write_raster(tmp_path / "tcd.tif", percent, transform, 3035, nodata=255)
    context = one(PATCH, layers_of(FakeRaster("tree_cover", (path,))))
    laid = shapely.transform(PATCH, lambda xy: np.column_stack(~transform @ to_laea.transform(*xy.T)))
    share = oracle.cover_pixels(laid, 90, 90)
    assert context.tree_cover_pct == pytest.approx((share * percent).sum() / share.sum(), rel=1e-7)


@pytest.mark.parametrize("code", [254, 255])
def test_tree_cover_that_was_not_classified_is_unknown(tmp_path: Path, code: int) -> None:
    values = np.full((90, 90), code, np.uint8)
    path = write_raster(tmp_path / "tcd.tif", values, Affine(10, 0, X - 99, 0, -10, Y + 500), nodata=None)
    context = one(PATCH, layers_of(FakeRaster("tree_cover", (path,))))
    assert context.tree_cover_pct is None
    assert "tree_cover" in context.unknown_layers


def test_a_scaled_raster_is_read_in_its_unit(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "dm.tif", np.full((60, 60), 4200, np.int16), Affine(25, 0, X - 500, 0, -25, Y + 700))
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (0.1,), (-20.0,)
    assert one(PATCH, layers_of(FakeRaster("elevation", (path,)))).elevation_m == pytest.approx(400)


def test_a_broken_raster_is_named(tmp_path: Path) -> None:
    path = tmp_path / "dem.tif"
    path.write_bytes(b"not a raster")
    with pytest.raises(LayerError, match="layers check"):
        one(PATCH, layers_of(FakeRaster("elevation", (path,))))


def test_a_raster_cut_short_is_named(tmp_path: Path) -> None:
    path = write_ground(tmp_path / "dem.tif", "lambert 93, 1 m")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    with pytest.raises(LayerError, match="layers check"):
        one(PATCH, layers_of(FakeRaster("elevation", (path,))))


def test_a_raster_without_coordinates_is_refused(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "dem.tif", np.zeros((9, 9), np.float32), Affine(25, 0, X, 0, -25, Y), crs=None)
    with pytest.raises(LayerError, match="coordinate system"):
        one(PATCH, layers_of(FakeRaster("elevation", (path,))))


def test_many_patches_are_looked_at_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layers = layers_of(FakeRaster("elevation", (write_ground(tmp_path / "dem.tif", "lambert 93, 5 m", rough),)))
    patches = [box(x, y, x + 60, y + 50) for x in range(-100, 300, 80) for y in range(-100, 200, 70)]
    whole = described(patches, layers)
    monkeypatch.setattr("detector.context.terrain._BATCH_PX", 300)
    assert [astuple(context) for context in described(patches, layers).contexts] == [
        astuple(context) for context in whole.contexts
    ]
