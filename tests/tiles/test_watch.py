"""Which pixels are watched: forest masks and areas of interest of many kinds."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.windows import Window

from tiles.errors import AreaError, OutputError
from tiles.grid import Grid
from tiles.watch import WatchedArea, write_forest

UTM = CRS.from_epsg(32631)
LEFT, TOP = 499_900, 5_000_000
GRID = Grid(UTM, Affine(10, 0, LEFT, 0, -10, TOP), (30, 40))
WHOLE = Window(0, 0, 40, 30)


def _box(row: float, col: float, rows: float, cols: float) -> Any:
    """A box of pixels, in metres."""
    return shapely.box(LEFT + 10 * col, TOP - 10 * (row + rows), LEFT + 10 * (col + cols), TOP - 10 * row)


def _drawn(*boxes: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    mask = np.zeros(GRID.shape, bool)
    for row, col, rows, cols in boxes:
        mask[row : row + rows, col : col + cols] = True
    return mask


def _file(path: Path, geometries: list[Any], crs: Any = 32631) -> Path:
    gpd.GeoDataFrame(geometry=geometries, crs=crs).to_file(path)
    return path


def _raster(path: Path, values: NDArray[Any], transform: Affine, crs: Any = UTM, nodata: int | None = None) -> Path:
    with rasterio.open(
        path, "w", driver="GTiff", width=values.shape[1], height=values.shape[0], count=1, dtype=values.dtype,
        crs=crs, transform=transform, nodata=nodata,
    ) as target:  # fmt: skip
        target.write(values, 1)
    return path


def _mask(forest: Path | None = None, aoi: Path | None = None, window: Window = WHOLE) -> NDArray[np.bool_]:
    return WatchedArea.open(forest, aoi).on(GRID).masks(window)[1]


def test_without_mask_and_area_everything_is_watched() -> None:
    assert _mask().all()
    assert WatchedArea.open(None, None).bbox() is None


def test_a_raster_is_forest_where_it_is_neither_zero_nor_no_data(tmp_path: Path) -> None:
    values = np.ones((15, 20), np.uint8)
    values[3:6, 4:8], values[10:12, 0:5], values[0, 0] = 0, 255, 80
    path = _raster(tmp_path / "forest.tif", values, Affine(20, 0, LEFT, 0, -20, TOP), nodata=255)
    expected = ~_drawn((6, 8, 6, 8), (20, 0, 4, 10))
    np.testing.assert_array_equal(_mask(path), expected)
    window = Window(7, 5, 12, 17)
    np.testing.assert_array_equal(_mask(path, window=window), expected[window.toslices()])


def test_a_raster_says_nothing_of_what_it_does_not_reach(tmp_path: Path) -> None:
    path = _raster(tmp_path / "forest.tif", np.ones((5, 5), np.uint8), Affine(10, 0, LEFT + 100, 0, -10, TOP - 50))
    np.testing.assert_array_equal(_mask(path), _drawn((5, 10, 5, 5)))


def test_a_raster_in_another_crs_falls_in_its_place(tmp_path: Path) -> None:
    polygon = gpd.GeoSeries([_box(8, 10, 12, 15)], crs=32631).to_crs(2154)
    left, bottom, right, top = (round(float(edge)) for edge in polygon.total_bounds)
    transform = Affine(1, 0, left - 100, 0, -1, top + 100)
    shape = (top - bottom + 200, right - left + 200)
    values = rasterio.features.rasterize(polygon, out_shape=shape, transform=transform, dtype=np.uint8)
    path = _raster(tmp_path / "lambert.tif", values, transform, CRS.from_epsg(2154))
    np.testing.assert_array_equal(_mask(path), _drawn((8, 10, 12, 15)))


def test_polygons_are_watched_where_they_hold_a_pixels_centre_and_holes_are_not(tmp_path: Path) -> None:
    holed = _box(2.4, 2.4, 10, 10).difference(_box(5, 5, 3, 3))
    path = _file(tmp_path / "forest.gpkg", [holed, _box(20, 30, 2, 20)])
    expected = _drawn((2, 2, 10, 10), (20, 30, 2, 10)) & ~_drawn((5, 5, 3, 3))
    np.testing.assert_array_equal(_mask(path), expected)
    assert not _mask(path, window=Window(0, 14, 12, 6)).any()


@pytest.mark.parametrize(("name", "crs"), [("aoi.geojson", 4326), ("aoi.gpkg", 2154), ("aoi.shp", 32630)])
def test_an_area_in_another_crs_falls_in_its_place(tmp_path: Path, name: str, crs: int) -> None:
    box = shapely.segmentize(_box(3, 4, 5, 6), 10)
    path = tmp_path / name
    gpd.GeoDataFrame(geometry=[box], crs=32631).to_crs(crs).to_file(path)
    np.testing.assert_array_equal(_mask(aoi=path), _drawn((3, 4, 5, 6)))
    west, south, east, north = WatchedArea.open(None, path).bbox() or (0, 0, 0, 0)
    assert 2.99 < west < east < 3.01
    assert 45.14 < south < north < 45.16


def test_forest_and_area_are_both_asked_for(tmp_path: Path) -> None:
    forest = _file(tmp_path / "forest.gpkg", [_box(0, 0, 20, 20)])
    area = _file(tmp_path / "aoi.gpkg", [_box(10, 10, 20, 20)])
    np.testing.assert_array_equal(_mask(forest, area), _drawn((10, 10, 10, 10)))
    raster = _raster(tmp_path / "forest.tif", np.ones((20, 20), np.uint8), GRID.transform)
    np.testing.assert_array_equal(_mask(raster, area), _drawn((10, 10, 10, 10)))


def test_an_area_elsewhere_leaves_nothing_to_watch(tmp_path: Path) -> None:
    path = _file(tmp_path / "aoi.geojson", [shapely.box(-60, -40, -59, -39)], 4326)
    assert not _mask(aoi=path).any()


@pytest.mark.parametrize("bounds", [(-180, -90, 180, 90), (-5, 41, 10, 51.5), (2.99, -90, 180, 90)])
def test_an_area_as_large_as_a_country_or_the_world_still_holds_the_grid(
    tmp_path: Path, bounds: tuple[float, float, float, float]
) -> None:
    path = _file(tmp_path / "aoi.geojson", [shapely.box(*bounds)], 4326)
    assert _mask(aoi=path).all()


def test_a_long_parallel_is_where_it_is_and_not_the_chord_between_its_ends(tmp_path: Path) -> None:
    # RFC 7946: an edge is a straight line in degrees; in UTM this one bends by 100 km over its length.
    latitude = gpd.GeoSeries([shapely.Point(*GRID.centre_of(15, 20))], crs=32631).to_crs(4326).y[0]
    path = _file(tmp_path / "aoi.geojson", [shapely.box(-10, latitude, 16, 60)], 4326)
    assert _mask(aoi=path)[:14].all()
    assert not _mask(aoi=path)[17:].any()


def _broken_files(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "nothing").touch()
    (tmp_path / "text.geojson").write_text("not a map")
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    (tmp_path / "empty.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    (tmp_path / "null.geojson").write_text(
        '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {}, "geometry": null}]}'
    )
    points = _file(tmp_path / "points.geojson", [shapely.Point(3, 45)], 4326)
    lines = _file(tmp_path / "lines.gpkg", [_box(0, 0, 3, 3), _box(0, 0, 3, 3).boundary])
    with pytest.warns(UserWarning, match="crs"):
        nowhere = _file(tmp_path / "nowhere.gpkg", [_box(0, 0, 3, 3)], None)
    named = {path.name: path for path in (points, lines, nowhere)}
    names = ("absent.gpkg", "nothing", "text.geojson", "table.csv", "empty.geojson", "null.geojson")
    return named | {name: tmp_path / name for name in names}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("absent.gpkg", "cannot be read"),
        ("nothing", "cannot be read"),
        ("text.geojson", "cannot be read"),
        ("table.csv", "table without geometry"),
        ("empty.geojson", "holds no polygon"),
        ("null.geojson", "holds no polygon|without geometry"),
        ("points.geojson", "holds Point: give polygons"),
        ("lines.gpkg", "holds LineString, Polygon: give polygons"),
        ("nowhere.gpkg", "with a CRS"),
    ],
)
def test_a_file_that_cannot_serve_is_refused_in_one_sentence(tmp_path: Path, name: str, said: str) -> None:
    path = _broken_files(tmp_path)[name]
    for forest, aoi, what in ((None, path, "area of interest"), (path, None, "forest mask")):
        with pytest.raises(AreaError, match=f"The {what} .*({said})") as caught:
            WatchedArea.open(forest, aoi)
        assert "\n" not in str(caught.value)
        assert name in str(caught.value)


def test_a_raster_mask_without_crs_is_refused(tmp_path: Path) -> None:
    path = _raster(tmp_path / "forest.tif", np.ones((3, 3), np.uint8), GRID.transform, crs=None)
    with pytest.raises(AreaError, match="has no CRS"):
        WatchedArea.open(path, None)


def test_a_damaged_raster_mask_is_an_area_error(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (300, 400)).astype(np.uint8)
    path = _raster(tmp_path / "forest.tif", noise, GRID.transform)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(AreaError, match="cannot be read"):
        WatchedArea.open(path, None).on(GRID).masks(WHOLE)


@pytest.mark.parametrize("pixel_m", [10, 20])
def test_pixels_that_a_raster_masks_itself_are_no_forest(tmp_path: Path, pixel_m: int) -> None:
    size = pixel_m // 10
    values = np.ones((30 // size, 40 // size), np.uint8)
    shown = np.full(values.shape, 255, np.uint8)
    shown[2:4, 6:10] = 0
    path = tmp_path / "forest.tif"
    transform = Affine(pixel_m, 0, LEFT, 0, -pixel_m, TOP)
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(
            path, "w", driver="GTiff", width=values.shape[1], height=values.shape[0], count=1, dtype="uint8",
            crs=UTM, transform=transform,
        ) as target,
    ):  # fmt: skip
        target.write(values, 1)
        target.write_mask(shown)
    np.testing.assert_array_equal(_mask(path), ~_drawn((2 * size, 6 * size, 2 * size, 4 * size)))


def test_a_mask_that_the_disk_does_not_take_whole_is_refused(tmp_path: Path) -> None:
    speckles = np.random.default_rng(1).random((512, 512)) < 0.5
    path = _raster(tmp_path / "speckles.tif", speckles.astype(np.uint8), Affine(10, 0, LEFT, 0, -10, TOP))
    grid = Grid(UTM, Affine(10, 0, LEFT, 0, -10, TOP), (512, 512))
    watched = WatchedArea(forest_raster=path).on(grid)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # A file that may not grow is what a full disk is to GDAL.
    resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, before[1]))
    try:
        with pytest.raises(OutputError, match="make room"):
            write_forest(watched, grid, tmp_path / "forest.tif")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    write_forest(watched, grid, tmp_path / "forest.tif")
    with rasterio.open(tmp_path / "forest.tif") as kept:
        np.testing.assert_array_equal(kept.read(1) == 1, speckles)
