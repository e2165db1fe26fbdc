from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tiles.errors import InvalidParameterError
from tiles.tile_names import TILES_OF_FRANCE, is_tile_name, parse_tiles, tile_bbox, utm_zone


def test_the_table_of_france_is_that_of_the_layer(shared_data: Path) -> None:
    layer = json.loads((shared_data / "layers" / "s2_tiles_france.geojson").read_text())
    assert sorted(TILES_OF_FRANCE) == sorted(feature["properties"]["Name"] for feature in layer["features"])


def test_the_table_of_france_holds_what_is_known_of_it() -> None:
    assert len(set(TILES_OF_FRANCE)) == len(TILES_OF_FRANCE) == 98
    assert all(is_tile_name(tile) for tile in TILES_OF_FRANCE)
    assert {utm_zone(tile) for tile in TILES_OF_FRANCE} == {29, 30, 31, 32}
    # The Morvan, the Landes, Brest, Bonifacio.
    assert {"31TEN", "30TXQ", "30UUU", "32TNL"} <= set(TILES_OF_FRANCE)


def test_the_ground_of_a_tile_is_in_its_box_and_little_else(shared_data: Path) -> None:
    layer = json.loads((shared_data / "layers" / "s2_tiles_france.geojson").read_text())
    assert len(layer["features"]) == 98
    for feature in layer["features"]:
        corners = np.array(feature["geometry"]["coordinates"][0])[:, :2]
        west, south, east, north = tile_bbox(feature["properties"]["Name"])
        beyond = np.array([*(corners.min(axis=0) - (west, south)), *((east, north) - corners.max(axis=0))])
        # Not so far as to hold another tile than the eight around.
        assert (beyond > 0.01).all(), feature["properties"]["Name"]
        assert (beyond < 0.08).all(), feature["properties"]["Name"]


def test_the_ground_of_real_items_is_in_the_box_of_their_tile(shared_data: Path) -> None:
    bands = set()
    for file in (shared_data / "stac").glob("*.json"):
        item = json.loads(file.read_text())
        tile = (item["properties"].get("grid:code") or item["properties"]["s2:mgrs_tile"]).removeprefix("MGRS-")
        west, south, east, north = tile_bbox(tile)
        box = item["bbox"]
        assert west < box[0] < box[2] < east, file.name
        assert south < box[1] < box[3] < north, file.name
        bands.add(tile[2])
    # South of the equator too.
    assert {"E", "T", "U", "V"} <= bands


def test_a_tile_over_the_antimeridian_goes_from_east_to_west() -> None:
    west, south, east, north = tile_bbox("01KAB")
    assert (west > 179, east < -179, -18 < south < north < -16) == (True, True, True)


def test_the_ground_of_no_tile() -> None:
    with pytest.raises(InvalidParameterError, match="31TZZ"):
        tile_bbox("31TZZ")


@pytest.mark.parametrize("name", ["31TFJ", "30UUU", "01CAV", "60XZV", "34TFR"])
def test_names_of_tiles(name: str) -> None:
    assert is_tile_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "31TF",
        "31TFJX",
        "00TFJ",
        "61TFJ",
        "31IFJ",
        "31TIJ",
        "31TFO",
        "31TFW",
        "31tfj",
        "31TSJ",  # column S is of zones 30, 33...
        "30TFJ",
        "32TFJ",
        "\u0663\u0661TFJ",  # digits, but not these
    ],
)
def test_names_of_no_tile(name: str) -> None:
    assert not is_tile_name(name)


def test_france_by_name() -> None:
    assert parse_tiles(" France ") == TILES_OF_FRANCE


def test_a_list_keeps_its_order_and_each_name_once() -> None:
    assert parse_tiles("31TGJ, t31tfj,31TFJ,,T31TGJ") == ("31TGJ", "31TFJ")


def test_a_file_has_comments_and_empty_lines(tmp_path: Path) -> None:
    path = tmp_path / "alps.txt"
    path.write_text("# The Alps\n31TGK\n\n  31tgl  # Chamonix\n31TGK\n")
    assert parse_tiles(str(path)) == ("31TGK", "31TGL")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("31TFJ,31TZZ,Morvan", ["31TZZ, MORVAN", "such as 31TFJ,31TGJ"]),
        ("nowhere.txt", ["NOWHERE.TXT", "a file of them that exists"]),
        (",", ["No tile is named"]),
        ("", ["No tile is named"]),
    ],
)
def test_what_is_no_choice_of_tiles(text: str, words: list[str]) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        parse_tiles(text)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("content", "word"), [(b"31TFJ\n31TFJJ\n", "31TFJJ"), (b"# none\n", "No tile"), (b"\xff", "read")]
)
def test_a_file_that_will_not_do_is_named(tmp_path: Path, content: bytes, word: str) -> None:
    path = tmp_path / "tiles.txt"
    path.write_bytes(content)
    with pytest.raises(InvalidParameterError) as caught:
        parse_tiles(str(path))
    assert word in str(caught.value)
    assert str(path) in str(caught.value)


def test_many_wrong_names_are_counted() -> None:
    with pytest.raises(InvalidParameterError, match="N1, N2, N3, N4, N5 and 2 more"):
        parse_tiles("N1,N2,N3,N4,N5,N6,N7")
