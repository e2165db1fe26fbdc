"""Real layers: BD Forêt of the Maures and of Couchey, communes, départements, regions, fires, terrain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from rasterio.crs import CRS

from detector.layers.checking import Severity, check_layers
from detector.layers.features import Reading
from detector.layers.forest_mask import WATCHED, forest_class, forest_on
from detector.layers.importing import Imported, Whence, import_files
from detector.layers.store import LayerStore
from tests.detector.layers.made import NOW
from tiles.grid import Grid
from tiles.watch import WatchedArea


@pytest.fixture(scope="module")
def store(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> LayerStore:
    store = LayerStore(tmp_path_factory.mktemp("real") / "layers")
    folder = shared_data / "layers"

    def put(name: str, file: str, **options: object) -> Imported:
        return import_files(store, name, [folder / file], Whence(file), NOW, **options)  # type: ignore[arg-type]

    put("departements", "departements_2018.geojson")
    put("regions", "regions_2018.geojson")
    for code, file in (("33", "33-gironde"), ("40", "40-landes"), ("58", "58-nievre"), ("87", "87-haute-vienne")):
        put("communes", f"communes-{file}-2018.geojson", part=f"D{code}")
    for place in ("maures", "couchey"):
        put("forest", f"{place}.gpkg", reading=Reading(layer="bdforet_v2"), by_extent=True, part=place)
    put("burnt_areas", "maures.gpkg", reading=Reading(layer="burnt_areas"))
    put("elevation", "dem_cevennes_utm31_30m.tif")
    return store


def test_they_are_sound(store: LayerStore) -> None:
    assert [finding for finding in check_layers(store, NOW.date()) if finding.severity is Severity.ERROR] == []


def test_codes_of_the_law_are_those_on_the_ground(store: LayerStore) -> None:
    """Each département lies in the region that the table of INSEE's codes names."""
    departements, regions, communes = (store.vector(name) for name in ("departements", "regions", "communes"))
    assert departements is not None
    assert regions is not None
    assert communes is not None
    frame, areas = departements.read(), regions.read().set_index("insee").geometry
    assert len(frame) == 96
    inside = [
        areas[region].contains(point)
        for region, point in zip(frame["region"], frame.representative_point(), strict=True)
    ]
    assert all(inside)
    assert communes.read()["departement"].value_counts().to_dict() == {"33": 538, "40": 330, "58": 309, "87": 200}


def test_communes_cover_their_departements(store: LayerStore) -> None:
    departements, communes = store.vector("departements"), store.vector("communes")
    assert departements is not None
    assert communes is not None
    outlines = departements.read().set_index("insee").geometry
    whole = shapely.union_all(outlines[["33", "40", "58", "87"]].array)
    # Both are simplified, each on its own: their outlines differ by 0.1 % of the area.
    assert communes.covers.symmetric_difference(whole).area < 2e-3 * whole.area


def test_bd_foret_as_it_is(store: LayerStore) -> None:
    forest = store.vector("forest")
    assert forest is not None
    read = forest.read()
    assert len(read) == 2333 + 988
    assert read.is_valid.all()
    assert {forest_class(code).value for code in read["code_tfv"]} == {
        "closed",
        "open",
        "bare",
        "poplar",
        "heath",
        "grass",
    }
    assert read["tfv"].notna().all()
    near = forest.read((960_000, 6_240_000, 965_000, 6_245_000))
    boxes = shapely.box(*read.bounds.to_numpy().T)
    assert len(near) == int(shapely.intersects(boxes, shapely.box(960_000, 6_240_000, 965_000, 6_245_000)).sum())


def test_the_mask_has_the_hectares_of_the_polygons(store: LayerStore, tmp_path: Path) -> None:
    forest = store.vector("forest")
    assert forest is not None
    grid = Grid(CRS.from_epsg(32632), Affine(10, 0, 280_000, 0, -10, 4_804_000), (1500, 1500))
    mask = forest_on(store, grid, tmp_path)
    assert mask is not None
    read = forest.read()
    watched = read[read["code_tfv"].map(forest_class).isin(WATCHED)].to_crs(grid.crs)
    inside = shapely.union_all(watched.clip(shapely.box(*grid.bounds)).geometry.array).area
    pixels_m2 = mask.forest_share * 1500 * 1500 * 100
    assert inside > 5e7
    assert pixels_m2 == pytest.approx(inside, rel=1e-3)
    forest_pixels, _ = WatchedArea(forest_raster=mask.path).on(grid).masks(next(grid.windows(1500)))
    assert int(forest_pixels.sum()) * 100 == pytest.approx(pixels_m2)


def test_the_fire_of_the_maures_has_its_date(store: LayerStore) -> None:
    fires = store.vector("burnt_areas")
    assert fires is not None
    read = fires.read()
    (largest,) = read[read.area == read.area.max()].itertuples()
    assert (str(largest.date.date()), str(largest.end_date.date())) == ("2021-08-16", "2021-08-19")
    assert largest.geometry.area / 1e4 == pytest.approx(6510, rel=0.02)  # as EFFIS says, in hectares


def test_terrain_is_what_it_was(store: LayerStore, shared_data: Path) -> None:
    layer = store.raster("elevation")
    assert layer is not None
    (path,) = layer.paths
    with rasterio.open(path) as kept, rasterio.open(shared_data / "layers" / "dem_cevennes_utm31_30m.tif") as source:
        assert kept.crs == source.crs
        assert kept.transform == source.transform
        np.testing.assert_array_equal(kept.read(1, masked=True).filled(-1), source.read(1, masked=True).filled(-1))
