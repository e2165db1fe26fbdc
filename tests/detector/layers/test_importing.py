"""Files become layers: columns, geometries, ground, parts; what will not do is told, and nothing changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import rasterio
import shapely
from affine import Affine

from detector.layers.features import Reading
from detector.layers.ground import FRANCE_2154, Ground, parse_ground
from detector.layers.importing import ROW_GROUP, Imported, Whence, import_files
from detector.layers.manifest import MANIFEST_FILE
from detector.layers.store import LayerStore
from tests.detector.layers.made import NOW, X, Y, counts_of, departements, frame, ramp, square, write, write_pixels
from tiles.errors import LayerError


@pytest.fixture
def store(tmp_path: Path) -> LayerStore:
    return LayerStore(tmp_path / "data" / "layers")


def put(store: LayerStore, name: str, *paths: Path, **options: Any) -> Imported:
    return import_files(store, name, list(paths), Whence(", ".join(path.name for path in paths)), NOW, **options)


def forest(*codes: str) -> gpd.GeoDataFrame:
    shapes = [square(2 * number, 0) for number in range(len(codes))]
    return frame(shapes, CODE_TFV=list(codes), ESSENCE=["Pin maritime"] * len(codes), ID=[f"F{code}" for code in codes])


@pytest.mark.parametrize("name", ["a.gpkg", "a.shp", "a.geojson", "a.fgb", "a.parquet"])
def test_any_format_gives_the_same_layer(store: LayerStore, tmp_path: Path, name: str) -> None:
    put(store, "forest", write(tmp_path / name, forest("FF1-00", "LA4")), by_extent=True)
    layer = store.vector("forest")
    assert layer is not None
    read = layer.read()
    assert read.crs == "EPSG:2154"
    assert list(read.columns) == ["code_tfv", "tfv", "essence", "geometry"]
    assert sorted(read["code_tfv"]) == ["FF1-00", "LA4"]
    assert read["tfv"].isna().all()
    assert set(read["essence"]) == {"Pin maritime"}
    # GeoJSON holds degrees of eight digits or more; 2 km2 to a square metre.
    assert read.area.sum() == pytest.approx(2e6, abs=1)


def test_provenance_says_whence_when_and_what(store: LayerStore, tmp_path: Path) -> None:
    put(store, "forest", write(tmp_path / "a.gpkg", forest("FF1-00", "LA4")), by_extent=True)
    layer = store.vector("forest")
    assert layer is not None
    told = layer.provenance
    assert (told.source, told.licence, told.attribution) == ("a.gpkg", "Licence Ouverte 2.0", "IGN, BD Forêt")
    assert (told.vintage, told.fetched, told.features) == ("not told", "2026-11-23T09:30:00+00:00", 2)
    assert told.bounds == pytest.approx((X, Y, X + 3000, Y + 1000))
    assert told.ground == "the rectangle around its features"
    record = json.loads((store.folder / "forest" / MANIFEST_FILE).read_text())
    origin = record["parts"]["whole"]["origin"]
    assert origin["columns"] == {"code_tfv": "CODE_TFV", "essence": "ESSENCE"}
    assert len(origin["source_sha256"]["a.gpkg"]) == 64


def test_columns_may_be_told(store: LayerStore, tmp_path: Path) -> None:
    path = write(tmp_path / "a.gpkg", frame([square(0, 0)], genre=["FF2-00"], espece=["Douglas"]))
    with pytest.raises(LayerError, match=r"a\.gpkg has no column code_tfv for code_tfv .* it has genre, espece"):
        put(store, "forest", path, by_extent=True)
    with pytest.raises(LayerError, match="has no column nothing for essence"):
        put(store, "forest", path, by_extent=True, reading=Reading(columns={"code_tfv": "genre", "essence": "nothing"}))
    with pytest.raises(LayerError, match="Layer forest has no column colour"):
        put(store, "forest", path, by_extent=True, reading=Reading(columns={"colour": "genre"}))
    assert store.vector("forest") is None
    put(store, "forest", path, by_extent=True, reading=Reading(columns={"code_tfv": "GENRE", "essence": "espece"}))
    layer = store.vector("forest")
    assert layer is not None
    assert layer.read()[["code_tfv", "essence"]].to_numpy().tolist() == [["FF2-00", "Douglas"]]


def test_what_is_wrong_with_features_is_mended_or_dropped_and_told(store: LayerStore, tmp_path: Path) -> None:
    bow = shapely.Polygon([(X, Y), (X + 1000, Y + 1000), (X + 1000, Y), (X, Y + 1000)])
    flat = shapely.Polygon([(X, Y), (X + 1000, Y), (X, Y)])
    shapes = [
        square(0, 0),
        bow,
        flat,
        None,
        shapely.Polygon(),
        shapely.Point(X, Y),
        shapely.box(0, 0, 1, 1),
        square(5, 5),
    ]
    codes = ["FF1", "FF2", "FF3", "FF4", "FF5", "FF6", "FF7", None]
    done = put(store, "forest", write(tmp_path / "a.parquet", frame(shapes, code_tfv=codes)), by_extent=True)
    assert counts_of(done.counts) == {
        "read": 8,
        "mended": 2,
        "dropped, empty": 2,
        "dropped, not polygons": 1,
        "dropped, outside metropolitan France": 1,
        "dropped, without area": 1,
        "dropped, without code_tfv": 1,
        "kept": 2,
    }
    layer = store.vector("forest")
    assert layer is not None
    read = layer.read()
    assert read.is_valid.all()
    assert read.set_index("code_tfv").area.to_dict() == pytest.approx({"FF1": 1e6, "FF2": 5e5})


def test_a_file_of_nothing_useful_is_refused(store: LayerStore, tmp_path: Path) -> None:
    points = write(tmp_path / "points.gpkg", frame([shapely.Point(X, Y)], code_tfv=["FF1"]))
    with pytest.raises(LayerError, match=r"Nothing is left of points\.gpkg for layer forest: 1 read, 1 dropped, not"):
        put(store, "forest", points, by_extent=True)
    réunion = write(
        tmp_path / "reunion.gpkg", frame([shapely.box(55.4, -21.2, 55.5, -21.1)], "EPSG:4326", code_tfv=["FF1"])
    )
    with pytest.raises(LayerError, match="outside metropolitan France"):
        put(store, "forest", réunion, by_extent=True)
    no_crs = write(tmp_path / "no_crs.parquet", frame([square(0, 0)], None, code_tfv=["FF1"]))
    with pytest.raises(LayerError, match=r"no_crs\.parquet has no CRS: say it by --crs"):
        put(store, "forest", no_crs, by_extent=True)
    put(store, "forest", no_crs, by_extent=True, reading=Reading(crs="EPSG:2154"))
    (tmp_path / "words.gpkg").write_text("no database")
    with pytest.raises(LayerError, match=r"words\.gpkg cannot be read"):
        put(store, "forest", tmp_path / "words.gpkg", by_extent=True)
    pd.DataFrame({"code_tfv": ["FF1"]}).to_csv(tmp_path / "table.csv")
    with pytest.raises(LayerError, match="without geometry"):
        put(store, "forest", tmp_path / "table.csv", by_extent=True)
    with pytest.raises(LayerError, match="There is no file"):
        put(store, "forest", tmp_path / "gone.gpkg", by_extent=True)
    with pytest.raises(LayerError, match="forrest is no layer: known are communes, "):
        put(store, "forrest", no_crs)
    layer = store.vector("forest")
    assert layer is not None
    assert len(layer.read()) == 1


def test_a_file_of_several_layers_wants_one_chosen(store: LayerStore, tmp_path: Path) -> None:
    path = write(tmp_path / "a.gpkg", forest("FF1"), layer="woods")
    write(path, frame([square(0, 0)], a=[1]), layer="study", mode="a")
    with pytest.raises(LayerError, match="2 layers: choose one by --layer of woods, study"):
        put(store, "forest", path, by_extent=True)
    with pytest.raises(LayerError, match="no layer trees: it has woods, study"):
        put(store, "forest", path, by_extent=True, reading=Reading(layer="trees"))
    done = put(store, "forest", path, by_extent=True, reading=Reading(layer="woods", where="CODE_TFV = 'FF1'"))
    assert done.counts["kept"] == 1


def test_axes_that_were_swapped_are_put_right_and_told(store: LayerStore, tmp_path: Path) -> None:
    fires = frame([square(0, 0)], FIREDATE=["2021-08-16 20:35:00"], FINALDATE=[None]).to_crs("EPSG:4326")
    fires.geometry = shapely.transform(fires.geometry.array, lambda points: points[:, ::-1])
    done = put(store, "burnt_areas", write(tmp_path / "fires.geojson", fires))
    assert done.counts["latitude and longitude swapped back"] == 1
    layer = store.vector("burnt_areas")
    assert layer is not None
    read = layer.read()
    assert read.area.sum() == pytest.approx(1e6, rel=1e-4)
    assert read["date"].to_numpy("datetime64[D]").tolist() == np.array(["2021-08-16"], "datetime64[D]").tolist()
    assert read["end_date"].isna().all()


def test_dates_that_are_none_are_told(store: LayerStore, tmp_path: Path) -> None:
    path = write(tmp_path / "fires.gpkg", frame([square(0, 0)], FIREDATE=["in summer"]))
    with pytest.raises(LayerError, match=r"fires\.gpkg: column FIREDATE holds no dates"):
        put(store, "burnt_areas", path)


def test_only_cores_of_national_parks_are_kept(store: LayerStore, tmp_path: Path) -> None:
    parks = frame(
        [square(0, 0), square(1, 0), square(2, 0)],
        zone=["Cœur", "Aire d'adhésion", "Réserve intégrale"],
        id_mnhn=["a", "b", "c"],
    )
    done = put(store, "national_park_core", write(tmp_path / "parks.gpkg", parks))
    assert counts_of(done.counts) == {"read": 3, "left out by zone": 1, "kept": 2}
    unsaid = write(tmp_path / "cores.gpkg", parks.drop(columns="zone"))
    with pytest.raises(LayerError, match="has no column zone"):
        put(store, "national_park_core", unsaid)
    assert put(store, "national_park_core", unsaid, reading=Reading(keep_all=True)).counts["kept"] == 3


def test_codes_of_communes_tell_departement_and_region(store: LayerStore, tmp_path: Path) -> None:
    shapes = [square(0, 0), square(1, 0), square(2, 0)]
    communes = frame(shapes, code=["40001", "2A004", "01004"], nom=["Aire", "Ajaccio", "Ambérieu"])
    put(store, "communes", write(tmp_path / "communes.geojson", communes))
    layer = store.vector("communes")
    assert layer is not None
    read = layer.read().set_index("insee")
    assert read["departement"].to_dict() == {"40001": "40", "2A004": "2A", "01004": "01"}
    assert read["region"].to_dict() == {"40001": "75", "2A004": "94", "01004": "84"}


def test_a_commune_twice_is_refused(store: LayerStore, tmp_path: Path) -> None:
    communes = frame([square(0, 0), square(1, 0)], code=["40001", "40001"], nom=["Aire", "Aire"])
    with pytest.raises(LayerError, match="holds insee 40001 more than once"):
        put(store, "communes", write(tmp_path / "communes.gpkg", communes))


def test_lines_are_lines(store: LayerStore, tmp_path: Path) -> None:
    river = shapely.LineString([(X, Y), (X + 500, Y), (X + 500, Y + 700)])
    done = put(
        store,
        "watercourses",
        write(tmp_path / "rivers.gpkg", frame([river, square(0, 0)], toponyme=["la Leyre", "un lac"])),
        by_extent=True,
    )
    assert counts_of(done.counts) == {"read": 2, "dropped, not lines": 1, "kept": 1}
    layer = store.vector("watercourses")
    assert layer is not None
    assert layer.read().length.sum() == pytest.approx(1200)


def test_reading_an_area_gives_what_meets_it(store: LayerStore, tmp_path: Path) -> None:
    shapes = [square(column, row, 900) for column in range(80) for row in range(80)]
    codes = [f"FF1-{number}" for number in range(len(shapes))]
    put(store, "forest", write(tmp_path / "a.parquet", frame(shapes, code_tfv=codes)), by_extent=True)
    (path,) = (store.folder / "forest").glob("*.parquet")
    assert pq.read_metadata(path).num_row_groups == -(-6400 // ROW_GROUP)
    layer = store.vector("forest")
    assert layer is not None
    area = (X + 10_100, Y + 20_950, X + 12_000, Y + 22_900)
    read = layer.read(area, ["code_tfv"])
    assert list(read.columns) == ["code_tfv", "geometry"]
    inside = [code for code, shape in zip(codes, shapes, strict=True) if shape.intersects(shapely.box(*area))]
    assert sorted(read["code_tfv"]) == sorted(inside)
    assert len(inside) == 6
    nothing = layer.read((X - 9000, Y - 9000, X - 8000, Y - 8000))
    assert nothing.empty
    assert nothing.crs == "EPSG:2154"
    assert list(nothing.columns) == ["code_tfv", "tfv", "essence", "geometry"]
    with pytest.raises(LayerError, match="Layer forest has no column name"):
        layer.read(columns=["name"])


def test_neighbours_lie_together_in_the_file(store: LayerStore, tmp_path: Path) -> None:
    """A row group of a shuffled file is small on the ground all the same: that is what an area is read fast by."""
    squares = [square(column, row, 900) for column in range(80) for row in range(80)]
    shuffled = list(np.random.default_rng(1).permutation(squares))
    put(store, "forest", write(tmp_path / "a.parquet", frame(shuffled, code_tfv=["FF1"] * 6400)), by_extent=True)
    layer = store.vector("forest")
    assert layer is not None
    first = layer.read().iloc[:ROW_GROUP]
    left, bottom, right, top = first.total_bounds
    assert (right - left) * (top - bottom) < 0.6 * 80_000 * 80_000


@pytest.mark.parametrize(
    ("name", "columns", "covers", "said"),
    [
        ("natura2000_zsc", {"id_mnhn": ["FR72"]}, FRANCE_2154, "metropolitan France"),
        ("regions", {"code": ["75"], "nom": ["N"]}, square(0, 0), "the union of its features"),
        ("ebc", {"typepsc": ["01"]}, square(0, 0), "its features alone: outside them nothing is known"),
    ],
)
def test_what_a_layer_speaks_of(
    store: LayerStore, tmp_path: Path, name: str, columns: dict[str, list[str]], covers: Any, said: str
) -> None:
    done = put(store, name, write(tmp_path / "a.gpkg", frame([square(0, 0)], **columns)))
    layer = store.vector(name)
    assert layer is not None
    assert shapely.equals_exact(shapely.normalize(layer.covers), shapely.normalize(covers), 1e-6)
    assert done.part.ground == said


def test_ground_that_two_features_share_is_there_once(store: LayerStore, tmp_path: Path) -> None:
    woods = frame([square(0, 0), square(0.5, 0), square(1.5, 0)], typepsc=["01"] * 3)
    put(store, "ebc", write(tmp_path / "a.gpkg", woods))
    layer = store.vector("ebc")
    assert layer is not None
    assert layer.covers.is_valid
    assert layer.covers.area == pytest.approx(2.5e6)


def test_the_ground_of_forest_has_to_be_told(store: LayerStore, tmp_path: Path) -> None:
    woods = write(tmp_path / "a.gpkg", forest("FF1"))
    with pytest.raises(LayerError, match=r"What ground .* cannot be told from it.* --covers"):
        put(store, "forest", woods)
    with pytest.raises(LayerError, match="fetch the départements first"):
        parse_ground("40", store)
    put(store, "departements", write(tmp_path / "d.gpkg", departements()))
    ground = parse_ground("40", store)
    assert ground is not None
    put(store, "forest", woods, ground=ground)
    layer = store.vector("forest")
    assert layer is not None
    assert layer.covers.equals(square(0, 0, 10_000))
    assert layer.provenance.ground == "département 40"
    both = parse_ground("33,40", store)
    assert both is not None
    assert both.geometry.area == pytest.approx(2e8)
    assert parse_ground("extent", store) is None
    asked = parse_ground(str(write(tmp_path / "study.gpkg", frame([square(1, 1)], a=[1]))), store)
    assert asked is not None
    assert asked.geometry.equals(square(1, 1))
    for wrong, words in (
        ("83", "does not hold 83"),
        ("nowhere", "is no file, no code"),
        (str(tmp_path), "cannot be read"),
    ):
        with pytest.raises(LayerError, match=words):
            parse_ground(wrong, store)


def test_parts_add_up_and_replace_each_other(store: LayerStore, tmp_path: Path) -> None:
    def add(name: str, codes: list[str], column: float, part: str) -> Imported:
        shapes = [square(column + number, 0) for number in range(len(codes))]
        path = write(tmp_path / f"{name}.gpkg", frame(shapes, code_tfv=codes))
        return put(store, "forest", path, ground=Ground(square(column, 0, 3000), name), part=part)

    add("one", ["A", "B"], 0, "D40")
    done = add("two", ["B", "C"], 1, "D33")
    # The square of B is in both, as where areas that were fetched one by one overlap.
    assert done.counts["dropped, in another part already"] == 1
    layer = store.vector("forest")
    assert layer is not None
    assert sorted(layer.read()["code_tfv"]) == ["A", "B", "C"]
    assert layer.provenance.features == 3
    assert layer.covers.area == pytest.approx(4 * 3e6)
    before = layer.provenance.sha256
    add("three", ["D"], 0, "D40")
    layer = store.vector("forest")
    assert layer is not None
    assert sorted(layer.read()["code_tfv"]) == ["C", "D"]
    assert layer.provenance.sha256 != before
    add("four", ["E"], 0, "whole")
    layer = store.vector("forest")
    assert layer is not None
    assert sorted(layer.read()["code_tfv"]) == ["E"]
    assert len(list((store.folder / "forest").iterdir())) == 3  # manifest, features, ground
    add("five", ["F"], 5, "D40")
    layer = store.vector("forest")
    assert layer is not None
    assert sorted(layer.read()["code_tfv"]) == ["F"]


def test_a_layer_that_is_broken_says_so(store: LayerStore, tmp_path: Path) -> None:
    woods = write(tmp_path / "a.gpkg", forest("FF1"))
    put(store, "forest", woods, by_extent=True)
    (path,) = (store.folder / "forest").glob("*.parquet")
    content = path.read_bytes()
    path.write_bytes(content[:-10])
    with pytest.raises(
        LayerError, match=r"Layer forest is broken: its file .* bytes in place of .* `sylvigie layers check`"
    ):
        store.vector("forest")
    with pytest.raises(LayerError, match="Layer forest is broken"):
        put(store, "forest", woods, by_extent=True, part="D40")  # what else is there is not lost unsaid
    path.write_bytes(b"x" * len(content))
    layer = store.vector("forest")
    assert layer is not None
    with pytest.raises(LayerError, match=r"Layer forest is broken: .* cannot be read"):
        layer.read()
    path.unlink()
    with pytest.raises(LayerError, match="is gone"):
        store.vector("forest")
    put(store, "forest", woods, by_extent=True)
    (store.folder / "forest" / MANIFEST_FILE).write_text("{")
    with pytest.raises(LayerError, match="Layer forest is broken"):
        store.vector("forest")
    put(store, "forest", woods, by_extent=True)
    assert store.vector("forest") is not None


def test_what_killed_runs_left_is_removed(store: LayerStore, tmp_path: Path) -> None:
    begun = store.folder / "forest" / ".partial-abc"
    begun.mkdir(parents=True)
    (begun / "features.parquet").write_text("half")
    (store.folder / "forest" / "whole-0123456789ab.parquet").write_text("whole, but never named by a manifest")
    assert store.vector("forest") is None
    put(store, "forest", write(tmp_path / "a.gpkg", forest("FF1")), by_extent=True)
    assert len(list((store.folder / "forest").iterdir())) == 3


def test_a_layer_is_asked_for_as_what_it_is(store: LayerStore) -> None:
    assert store.vector("forest") is None
    assert store.raster("elevation") is None
    with pytest.raises(LayerError, match="made of pixels"):
        store.vector("elevation")
    with pytest.raises(LayerError, match="not made of pixels"):
        store.raster("forest")


TRANSFORM = Affine(25, 0, X, 0, -25, Y)


def test_pixels_become_a_cog_whose_absurd_values_are_no_data(store: LayerStore, tmp_path: Path) -> None:
    pixels = ramp(600, 0, 1200)
    pixels[0, :3] = -99_999, np.nan, -1234
    done = put(store, "elevation", write_pixels(tmp_path / "dem.tif", pixels, TRANSFORM, nodata=-1234))
    assert done.counts["pixels outside -500 to 9000 made no data"] == 1
    layer = store.raster("elevation")
    assert layer is not None
    (path,) = layer.paths
    with rasterio.open(path) as dataset:
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert dataset.overviews(1)
        read = dataset.read(1, masked=True)
    assert np.flatnonzero(read.mask).tolist() == [0, 1, 2]
    np.testing.assert_array_equal(read.compressed(), pixels.ravel()[3:])
    assert layer.bounds == (("EPSG:2154", (X, Y - 15_000, X + 15_000, Y)),)


def test_many_tiles_of_one_grid_are_laid_together(store: LayerStore, tmp_path: Path) -> None:
    whole = ramp(60, 0, 500)
    paths = []
    for row in range(3):
        for column in range(4):
            place = Affine(25, 0, X + column * 15 * 25, 0, -25, Y - row * 20 * 25)
            tile = whole[20 * row : 20 * row + 20, 15 * column : 15 * column + 15]
            paths.append(write_pixels(tmp_path / f"{row}{column}.tif", tile, place, None, nodata=-99))
    with pytest.raises(LayerError, match=r"00\.tif has no CRS"):
        put(store, "elevation", *paths)
    put(store, "elevation", *paths, reading=Reading(crs="EPSG:2154"))
    layer = store.raster("elevation")
    assert layer is not None
    (path,) = layer.paths
    with rasterio.open(path) as dataset:
        np.testing.assert_array_equal(dataset.read(1), whole)
        assert dataset.bounds == (X, Y - 1500, X + 1500, Y)


def test_few_tiles_stay_as_they_are(store: LayerStore, tmp_path: Path) -> None:
    one = write_pixels(tmp_path / "one.tif", ramp(20, 0, 9), TRANSFORM)
    two = write_pixels(tmp_path / "two.tif", ramp(20, 0, 9), Affine(30, 0, 500_000, 0, -30, 4_900_000), "EPSG:32631")
    put(store, "elevation", one, two)
    layer = store.raster("elevation")
    assert layer is not None
    assert [crs for crs, _ in layer.bounds] == ["EPSG:2154", "EPSG:32631"]


def test_pixels_that_will_not_do(store: LayerStore, tmp_path: Path) -> None:
    full = np.full((8, 8), 255, np.uint8)
    with pytest.raises(LayerError, match="holds no data for layer tree_cover"):
        put(store, "tree_cover", write_pixels(tmp_path / "empty.tif", full, TRANSFORM))
    with pytest.raises(LayerError, match="no place on the ground"):
        put(store, "tree_cover", _no_place(tmp_path / "nowhere.tif"))
    (tmp_path / "words.tif").write_text("no pixels")
    with pytest.raises(LayerError, match=r"words\.tif cannot be read"):
        put(store, "tree_cover", tmp_path / "words.tif")
    assert store.raster("tree_cover") is None
    assert list((store.folder / "tree_cover").iterdir()) == []


def _no_place(path: Path) -> Path:
    """Pixels without a transform: made by cutting GeoTIFF's tags off, which rasterio would warn of."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path, "w", driver="GTiff", count=1, dtype="uint8", width=8, height=8) as raster:
            raster.write(np.ones((8, 8), np.uint8), 1)
    return path
