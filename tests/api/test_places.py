"""Places by name, and the départements' outlines, of layers as they are imported."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import pytest
import shapely
from typer.testing import CliRunner

from api.places import Places
from detector.layers.store import LAYERS_FOLDER
from scripts.cli import app
from tiles.errors import NotFoundError


def _imported(folder: Path, layer: str, named: dict[str, str]) -> None:
    """A layer of squares of ten kilometres, imported by the command."""
    squares = [shapely.box(400_000 + 10_000 * i, 6_300_000, 410_000 + 10_000 * i, 6_310_000) for i in range(len(named))]
    frame = gpd.GeoDataFrame({"insee": list(named), "nom": list(named.values())}, geometry=squares, crs="EPSG:2154")
    frame.to_file(folder / f"{layer}.gpkg", driver="GPKG")
    words = ["layers", "import", layer, str(folder / f"{layer}.gpkg"), "--covers", "extent", "--data-dir", str(folder)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output


@pytest.fixture
def places(tmp_path: Path) -> Places:
    _imported(
        tmp_path, "communes", {"40246": "Sabres", "40167": "Luxey", "33001": "Saint-Étienne-d'Œuvre", "01004": "Ain"}
    )
    _imported(tmp_path, "departements", {"01": "Ain", "40": "Landes"})
    return Places(tmp_path / LAYERS_FOLDER)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sab", ["40246"]),
        ("SAINT ETIENNE", ["33001"]),
        ("oeuvre", ["33001"]),
        ("40246", ["40246"]),
        ("ain", ["01", "01004"]),
        ("40", ["40"]),
        ("zzz", []),
        ("'; --", []),
    ],
)
def test_places_are_found_as_people_type_them(places: Places, text: str, expected: list[str]) -> None:
    assert [place.code for place in places.search(text)] == expected


def test_a_place_has_a_box_in_degrees(places: Places) -> None:
    (place,) = places.search("sabres")
    west, south, east, north = place.bbox
    assert -1.5 < west < east < 0
    assert 43 < south < north < 45


def test_departements_are_outlines_for_a_map(places: Places) -> None:
    told = json.loads(places.departements())
    assert [feature["properties"]["name"] for feature in told["features"]] == ["Ain", "Landes"]
    assert all(shapely.from_geojson(json.dumps(feature["geometry"])).is_valid for feature in told["features"])


def test_without_layers_the_answer_says_how(tmp_path: Path) -> None:
    empty = Places(tmp_path / LAYERS_FOLDER)
    with pytest.raises(NotFoundError, match="layers import communes"):
        empty.search("sabres")
    with pytest.raises(NotFoundError, match="layers import departements"):
        empty.departements()
