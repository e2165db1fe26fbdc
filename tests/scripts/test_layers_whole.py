"""From files that a user has to what an alert says: layers imported by the command, a month scanned, rules asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS
from typer.testing import CliRunner

from detector.context import EarlierCuts, describe
from detector.layers.forest_mask import forest_of_layers
from detector.layers.store import LAYERS_FOLDER, LayerStore
from scripts.cli import app
from tests.fakes.archive import EPSG, FOREST, TRANSFORM, read_raster, write_raster
from tiles.errors import LayerError
from tiles.grid import Grid

REAL = Path(__file__).parents[3] / "shared" / "data" / "layers"
needs_real = pytest.mark.skipif(not REAL.exists(), reason="the real layers of ../shared are not there")
RUNNER = CliRunner()


def _sylvigie(*words: str) -> str:
    result = RUNNER.invoke(app, list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def _import(data: Path, name: str, file: Path, *words: str) -> str:
    return _sylvigie("layers", "import", name, str(file), "--data-dir", str(data), *words)


def _write(path: Path, shapes: list[Any], **columns: list[str]) -> Path:
    gpd.GeoDataFrame(columns, geometry=shapes, crs=EPSG).to_file(path, driver="GPKG")
    return path


@pytest.fixture
def layers(tmp_path: Path) -> Path:
    """A data directory with layers over the small archive, whose western half is forest alone."""
    left, top = TRANSFORM.c, TRANSFORM.f
    whole = shapely.box(left - 5000, top - 5480, left + 5480, top + 5000)
    west = shapely.box(left, top - 480, left + 300, top)
    data, files = tmp_path / "data", tmp_path / "files"
    files.mkdir()
    _import(data, "departements", _write(files / "d.gpkg", [whole], code=["40"], nom=["Landes"], region=["75"]))
    communes = _write(files / "c.gpkg", [whole], code=["40088"], nom=["Dax"])
    _import(data, "communes", communes, "--covers", "40")
    sites = _write(files / "zsc.gpkg", [whole], sitecode=["FR7200001"], sitename=["La Midouze"])
    _import(data, "natura2000_zsc", sites, "--covers", "france", "--keep-all")
    _import(data, "natura2000_zps", sites, "--covers", "france", "--keep-all")
    stand = {"code_tfv": ["FF2-51-51", "LA4"], "tfv": ["pin", "lande"], "essence": ["Pin maritime", "NC"]}
    _import(data, "forest", _write(files / "f.gpkg", [west, whole.difference(west)], **stand), "--covers", "extent")
    return data


def test_a_scan_says_where_its_alerts_lie_and_watches_forest_alone(
    layers: Path, small_archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYLVIGIE_DATA_DIR", str(layers))
    out = tmp_path / "out"
    words = ["--month", "2019-07", "--catalog", str(small_archive), "--out", str(out), "--min-area-ha", "0.3"]
    RUNNER.invoke(app, ["scan", *words], catch_exceptions=False)
    record = json.loads((out / "scan.json").read_text())
    assert record["tiles"][0]["pixels"]["watched"] == 48 * 30
    (alert,) = json.loads((out / "alerts.geojson").read_text())["features"]
    told = alert["properties"]
    assert (told["commune_insee"], told["commune"], told["departement"]) == ("40088", "Dax", "40")
    assert (told["forest_type"], told["essence"]) == ("conifer", "Pin maritime")
    assert told["natura2000_ha"] == pytest.approx(told["area_ha"], abs=1e-3)
    assert {zone["code"] for zone in told["zonings"]} == {"FR7200001"}
    assert told["slope_block_ha"] is None
    met = {criterion["code"]: criterion["met"] for criterion in told["criteria"]}
    assert met == {"area": False, "natura2000": False, "steep_block": None}
    assert any("elevation is not installed" in warning for warning in record["warnings"])


def test_the_forest_mask_counts_overlapping_polygons_once_and_leaves_heath_out(layers: Path) -> None:
    grid = Grid(CRS.from_epsg(EPSG), TRANSFORM, FOREST.shape)
    mask = forest_of_layers(layers)(grid)
    assert mask is not None
    forest = read_raster(mask)
    assert ((forest[:, :30] != 0) & (forest[:, :30] != 255)).all()
    assert (forest[:, 30:] == 0).all()
    # Made once.
    assert forest_of_layers(layers)(grid) == mask


def test_without_layers_the_forest_is_not_known(tmp_path: Path) -> None:
    assert forest_of_layers(tmp_path)(Grid(CRS.from_epsg(EPSG), TRANSFORM, FOREST.shape)) is None


def test_a_layer_that_was_cut_short_is_never_used(layers: Path) -> None:
    store = LayerStore(layers / LAYERS_FOLDER)
    assert store.vector("communes") is not None
    (file,) = (layers / LAYERS_FOLDER / "communes").rglob("*.parquet")
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(LayerError, match="communes"):
        store.vector("communes")
    result = RUNNER.invoke(app, ["layers", "check", "--data-dir", str(layers)])
    assert result.exit_code == 2
    assert "communes: error" in result.output


def test_layers_are_listed_with_their_licences(layers: Path) -> None:
    rows = json.loads(_sylvigie("layers", "list", "--json", "--data-dir", str(layers)))
    states = {row["name"]: row["state"] for row in rows}
    assert states["forest"] == "installed"
    assert states["ebc"] == "absent"
    assert all(row["licence"] and row["page"] and row["title_fr"] and row["title_en"] for row in rows)


def test_terrain_is_imported_as_it_is(tmp_path: Path) -> None:
    heights = np.broadcast_to(1000 - np.arange(64) * 10, (64, 64)).astype(np.int16)
    dem = write_raster(tmp_path / "dem.tif", np.asarray(heights).astype(np.uint16), Affine(25, 0, 4e5, 0, -25, 6.4e6))
    _import(tmp_path / "data", "elevation", dem)
    raster = LayerStore(tmp_path / "data" / LAYERS_FOLDER).raster("elevation")
    assert raster is not None
    assert (read_raster(raster.paths[0]) == heights).all()


@needs_real
def test_real_layers_serve_real_cuts(tmp_path: Path) -> None:
    data = tmp_path / "data"
    _import(data, "departements", REAL / "departements_2018.geojson")
    _import(data, "regions", REAL / "regions_2018.geojson")
    _import(data, "communes", REAL / "communes-40-landes-2018.geojson", "--covers", "40")
    _import(data, "forest", REAL / "maures.gpkg", "--layer", "bdforet_v2", "--covers", "extent")
    assert "2333 read" in _import(data, "forest", REAL / "maures.gpkg", "--layer", "bdforet_v2", "--covers", "extent")
    cuts = gpd.read_file(REAL.parent / "labels" / "brigade_sample_clear_cuts_2024.geojson").to_crs(4326)
    outlines = np.asarray(cuts.geometry.array, object)
    on = np.full(len(cuts), np.datetime64("2024-06-01", "D"))
    described = describe(
        outlines, np.full(len(cuts), 10.0), on, LayerStore(data / LAYERS_FOLDER), EarlierCuts(outlines, on)
    )
    found = [context.departement for context in described.contexts]
    assert found.count("40") == 4
    named = [context.commune for context in described.contexts if context.departement == "40"]
    # The fourth lies over the edge of the département, where the communes of the other are not known.
    assert sorted(name for name in named if name) == ["Bias", "Saint-Paul-en-Born", "Soustons"]
    assert {context.departement for context in described.contexts if context.commune} == {"40"}
