"""What is watched as forest: BD Forêt's groups once each pixel, tree cover where it does not speak."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from detector.layers.forest_mask import (
    BY_BD_FORET,
    BY_TREE_COVER,
    NOT_FOREST,
    UNKNOWN,
    WATCHED,
    ForestClass,
    ForestMaskParams,
    forest_class,
    forest_on,
)
from detector.layers.ground import Ground
from detector.layers.importing import Whence, import_files
from detector.layers.store import LayerStore
from tests.detector.layers.made import NOW, X, Y, frame, square, write, write_pixels
from tiles.errors import InvalidParameterError, LayerError
from tiles.grid import Grid
from tiles.watch import WatchedArea

#: 10 m pixels of 4 km by 4 km: a kilometre is 100 pixels, the first row is the northernmost.
GRID = Grid(CRS.from_epsg(2154), Affine(10, 0, X, 0, -10, Y + 4000), (400, 400))


@pytest.fixture
def store(tmp_path: Path) -> LayerStore:
    return LayerStore(tmp_path / "layers")


def put_forest(store: LayerStore, folder: Path, shapes: list[Any], codes: list[str | None], ground: Any) -> None:
    path = write(folder / "woods.parquet", frame(shapes, code_tfv=codes))
    import_files(store, "forest", [path], Whence("made"), NOW, ground=Ground(ground, "made"))


def put_tree_cover(store: LayerStore, folder: Path, percent: NDArray[np.uint8], crs: str = "EPSG:2154") -> None:
    path = write_pixels(folder / "cover.tif", percent, Affine(20, 0, X, 0, -20, Y + 4000), crs, nodata=255)
    import_files(store, "tree_cover", [path], Whence("made"), NOW)


def pixels(path: Path) -> NDArray[np.uint8]:
    with rasterio.open(path) as raster:
        return np.asarray(raster.read(1))


@pytest.mark.parametrize(
    ("code", "group"),
    [
        ("FF1-00-00", ForestClass.CLOSED),
        ("FF2G61-61", ForestClass.CLOSED),
        ("FF32", ForestClass.CLOSED),
        ("FO1", ForestClass.OPEN),
        ("FF0", ForestClass.BARE),
        ("FO0", ForestClass.BARE),
        ("FP", ForestClass.POPLAR),
        ("LA4", ForestClass.HEATH),
        ("LA6", ForestClass.GRASS),
        ("XX", ForestClass.UNKNOWN),
        ("", ForestClass.UNKNOWN),
        (None, ForestClass.UNKNOWN),
    ],
)
def test_groups_of_bd_foret(code: str | None, group: ForestClass) -> None:
    assert forest_class(code) is group
    assert (group in WATCHED) == (group.value in {"closed", "open", "bare", "poplar"})


def test_forest_is_what_bd_foret_calls_so(store: LayerStore, tmp_path: Path) -> None:
    shapes = [square(0, 0), square(0.5, 0), square(2, 0), square(0, 2), square(2, 2), square(3, 3)]
    put_forest(store, tmp_path, shapes, ["FF1-00", "FO1", "FF0", "LA4", "LA6", "ZZ9"], square(0, 0, 4000))
    mask = forest_on(store, GRID, tmp_path / "masks")
    assert mask is not None
    found = pixels(mask.path)
    expected = np.zeros((400, 400), np.uint8)
    expected[300:, :150] = BY_BD_FORET  # two that overlap by half a kilometre, once
    expected[300:, 200:300] = BY_BD_FORET
    np.testing.assert_array_equal(found, expected)
    assert mask.forest_share == pytest.approx(2.5 / 16)
    assert (mask.unknown_share, mask.by_tree_cover_share) == (0, 0)
    assert mask.unknown_codes == ("ZZ9",)
    forest, _ = WatchedArea(forest_raster=mask.path).on(GRID).masks(next(GRID.windows(400)))
    np.testing.assert_array_equal(forest, expected == BY_BD_FORET)


def test_tree_cover_fills_in_where_bd_foret_does_not_speak(store: LayerStore, tmp_path: Path) -> None:
    put_forest(store, tmp_path, [square(0, 0)], ["FF1-00"], square(0, 0, 2000))
    percent = np.full((200, 200), 80, np.uint8)
    percent[:, 150:] = 9
    percent[:50] = 255
    put_tree_cover(store, tmp_path, percent)
    mask = forest_on(store, GRID, tmp_path / "masks")
    assert mask is not None
    expected = np.full((400, 400), BY_TREE_COVER, np.uint8)
    expected[:, 300:] = NOT_FOREST  # 9 %
    expected[:100] = UNKNOWN
    expected[200:, :200] = NOT_FOREST  # BD Forêt speaks there, and tree cover is not asked
    expected[300:, :100] = BY_BD_FORET
    np.testing.assert_array_equal(pixels(mask.path), expected)
    assert mask.unknown_share == pytest.approx(4 / 16)
    forest, _ = WatchedArea(forest_raster=mask.path).on(GRID).masks(next(GRID.windows(400)))
    np.testing.assert_array_equal(forest, np.isin(expected, (BY_BD_FORET, BY_TREE_COVER)))
    stricter = forest_on(store, GRID, tmp_path / "masks", ForestMaskParams(min_tree_cover_pct=9.0))
    assert stricter is not None
    assert stricter.path != mask.path
    assert stricter.by_tree_cover_share > mask.by_tree_cover_share


def test_a_mask_is_made_once_and_anew_when_what_it_is_of_changes(store: LayerStore, tmp_path: Path) -> None:
    put_forest(store, tmp_path, [square(0, 0)], ["FF1-00"], square(0, 0, 4000))
    first = forest_on(store, GRID, tmp_path / "masks")
    assert first is not None
    stamp = first.path.stat().st_mtime_ns
    again = forest_on(store, GRID, tmp_path / "masks")
    assert again == first
    assert first.path.stat().st_mtime_ns == stamp
    put_forest(store, tmp_path, [square(0, 0), square(2, 2)], ["FF1-00", "FP"], square(0, 0, 4000))
    changed = forest_on(store, GRID, tmp_path / "masks")
    assert changed is not None
    assert changed.path != first.path
    assert changed.forest_share == pytest.approx(2 / 16)
    assert {path.suffix for path in (tmp_path / "masks").iterdir()} == {".tif"}


def test_a_tile_of_another_projection(store: LayerStore, tmp_path: Path) -> None:
    """The same hectares, to what Lambert-93 stretches and a pixel's edge."""
    put_forest(store, tmp_path, [square(1, 1, 2000)], ["FF1-00"], square(0, 0, 4000))
    utm = CRS.from_epsg(32630)
    left, _, _, top = frame([square(0, 0, 4000)], a=[1]).to_crs(utm).total_bounds
    grid = Grid(utm, Affine(10, 0, left - left % 10 - 500, 0, -10, top - top % 10 + 500), (520, 520))
    mask = forest_on(store, grid, tmp_path / "masks")
    assert mask is not None
    true_area = frame([square(1, 1, 2000)], a=[1]).to_crs(utm).area.sum()
    assert (pixels(mask.path) == BY_BD_FORET).sum() * 100 == pytest.approx(true_area, rel=0.005)
    assert 0.2 < mask.unknown_share < 0.5


def test_without_layers_nothing_is_known(store: LayerStore, tmp_path: Path) -> None:
    assert forest_on(store, GRID, tmp_path / "masks") is None


def test_far_from_both_layers_all_is_unknown(store: LayerStore, tmp_path: Path) -> None:
    put_forest(store, tmp_path, [square(90, 90)], ["FF1"], square(90, 90))
    put_tree_cover(store, tmp_path, np.full((200, 200), 80, np.uint8))
    far = Grid(CRS.from_epsg(32632), Affine(10, 0, 500_000, 0, -10, 4_700_000), (100, 100))
    mask = forest_on(store, far, tmp_path / "masks")
    assert mask is not None
    assert (mask.forest_share, mask.unknown_share) == (0, 1)


def test_a_broken_layer_makes_no_mask(store: LayerStore, tmp_path: Path) -> None:
    put_tree_cover(store, tmp_path, np.full((200, 200), 80, np.uint8))
    (path,) = (store.folder / "tree_cover").glob("*.tif")
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(LayerError, match="Layer tree_cover is broken"):
        forest_on(store, GRID, tmp_path / "masks")
    assert not list((tmp_path / "masks").iterdir())


@pytest.mark.parametrize("options", [{"min_tree_cover_pct": 0}, {"min_tree_cover_pct": 101}, {"watched": ()}])
def test_parameters_that_make_no_sense(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameterError):
        ForestMaskParams(**options)
