"""One scene a pass: what is a duplicate, what is a half, who is preferred, who stands in."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from pathlib import Path
from typing import Any

import pystac
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.catalogue import BBOX, item_document
from tiles.catalog import Found
from tiles.catalog.passes import drop, drop_from, merge, without
from tiles.catalog.stac_items import gather, scene_of
from tiles.scene import Scene

WEST, SOUTH, EAST, NORTH = BBOX


def _item(item_id: str, west: float = 0.0, east: float = 1.0, **properties: Any) -> pystac.Item:
    """An item whose data lies between two shares of its tile's width."""
    document = item_document(item_id, **properties)
    left, right = WEST + west * (EAST - WEST), WEST + east * (EAST - WEST)
    ring = [[left, SOUTH], [right, SOUTH], [right, NORTH], [left, NORTH], [left, SOUTH]]
    document["geometry"] = {"type": "Polygon", "coordinates": [ring]}
    return pystac.Item.from_dict(document)


def _newer(item_id: str, west: float = 0.0, east: float = 1.0) -> pystac.Item:
    return _item(item_id, west, east, **{"s2:processing_baseline": "05.11"})


def _told(scene: Scene) -> tuple[list[str], list[str]]:
    return [product.id for product in scene.members], [product.id for product in scene.alternatives]


def _only(found: Found) -> tuple[list[str], list[str]]:
    (scene,) = found.scenes
    return _told(scene)


def test_the_same_ground_again_is_a_duplicate_and_named() -> None:
    found = gather([_item("old"), _newer("new")])
    assert _only(found) == (["new"], ["old"])
    (left,) = found.skipped
    assert (left.id, left.superseded) == ("old", True)
    assert left.reason == "same acquisition as new, which is preferred, and no further ground"


def test_two_halves_are_parts_and_nothing_is_left_out() -> None:
    found = gather([_item("a", 0, 0.6), _item("b", 0.5, 1)])
    assert _only(found) == (["b", "a"], [])
    assert found.skipped == ()


@pytest.mark.parametrize(("share", "is_part"), [(0.003, False), (0.03, True)])
def test_an_outline_that_moved_a_little_is_no_new_ground(share: float, is_part: bool) -> None:
    old, new = _item("old"), _newer("new", share, 1)
    assert _only(gather([old, new])) == ((["new", "old"], []) if is_part else (["new"], ["old"]))


def test_the_whole_under_an_older_baseline_is_a_duplicate_of_two_newer_halves() -> None:
    found = gather([_item("whole"), _newer("a", 0, 0.5), _newer("b", 0.5, 1)])
    assert _only(found) == (["b", "a"], ["whole"])


def test_a_newer_half_is_completed_by_an_older_whole() -> None:
    found = gather([_item("whole"), _newer("half", 0, 0.5)])
    assert _only(found) == (["half", "whole"], [])


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ({"s2:processing_baseline": "04.00"}, {"s2:processing_baseline": "05.00"}),
        ({"s2:processing_baseline": None}, {"s2:processing_baseline": "02.14"}),
        # A newer baseline counts for more than a later day.
        (
            {"s2:processing_baseline": "04.00", "s2:generation_time": "2024-01-01T00:00:00Z"},
            {"s2:processing_baseline": "05.00", "s2:generation_time": "2023-01-01T00:00:00Z"},
        ),
        ({"s2:generation_time": "2020-03-02T14:08:38.000000Z"}, {"s2:generation_time": "2020-03-02T15:08:38.000000Z"}),
        ({}, {"s2:generation_time": "2020-03-02T14:08:38.000000Z"}),
        ({"processing:datetime": "2023-06-30T03:34:16Z"}, {"processing:datetime": "2023-07-01T03:34:16.5Z"}),
        ({"s2:product_uri": "S2A_x_20230618T173704.SAFE"}, {"s2:product_uri": "S2A_x_20230619T173704.SAFE"}),
        ({"created": "2022-11-06T10:55:22.682Z"}, {"created": "2023-10-13T18:30:03.776Z"}),
        # What is no moment says nothing.
        ({"s2:generation_time": "soon"}, {"created": "2023-10-13T18:30:03.776Z"}),
    ],
)
def test_the_newest_baseline_then_the_last_made_is_preferred(older: dict[str, Any], newer: dict[str, Any]) -> None:
    # The names say the contrary: they decide last.
    items = [_item("z", **older), _item("a", **newer)]
    for order in (items, items[::-1]):
        assert _only(gather(order)) == (["a"], ["z"])


def test_where_ground_is_unknown_a_product_is_read_where_others_have_no_data() -> None:
    document = item_document("unlocated")
    document["geometry"] = None
    del document["bbox"]
    found = gather([_item("z"), pystac.Item.from_dict(document)])
    assert _only(found) == (["z", "unlocated"], [])


def test_an_outline_of_the_whole_tile_beside_much_no_data_is_not_believed() -> None:
    # A degree and a third by one: a whole tile.
    document = item_document(bbox=[3.0, 45.1, 4.4, 46.1])
    document["properties"]["s2:nodata_pixel_percentage"] = 40
    assert scene_of(pystac.Item.from_dict(document)).footprint is None
    document["properties"]["s2:nodata_pixel_percentage"] = 0
    assert scene_of(pystac.Item.from_dict(document)).footprint is not None


@pytest.mark.parametrize(
    "geometry",
    [
        {"type": "Point", "coordinates": [3, 45]},
        {"type": "Polygon", "coordinates": []},
        {"type": "Polygon"},
        {"type": "None of these", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]},
    ],
)
def test_an_outline_without_ground_is_none(geometry: dict[str, Any]) -> None:
    document = item_document()
    document["geometry"] = geometry
    assert scene_of(pystac.Item.from_dict(document)).footprint is None


def test_an_item_that_is_listed_twice_is_one() -> None:
    found = gather([_item("a"), _item("a")])
    assert _only(found) == (["a"], [])
    assert found.skipped == ()


def test_a_product_between_two_joins_them_to_one_pass() -> None:
    named: dict[str, Any] = {"s2:datatake_id": "GS2A_1_N05.00"}
    items = [
        _item("a", moment="2019-07-22T10:50:00Z", **named),
        _item("b", moment="2019-07-22T10:59:00Z"),
        _item("c", moment="2019-07-22T11:02:00Z", **named),
    ]
    for order in itertools.permutations(items):
        assert _only(gather(order)) == (["c"], ["b", "a"])


def test_another_tile_of_the_same_datatake_is_another_scene() -> None:
    named: dict[str, Any] = {"s2:datatake_id": "GS2A_1_N05.00"}
    found = gather([_item("a", **named), _item("b", **(named | {"grid:code": "MGRS-31TEK"}))])
    assert [scene.id for scene in found.scenes] == ["a", "b"]


def _merged() -> Scene:
    items = [_item("whole"), _newer("a", 0, 0.5), _newer("b", 0.5, 1)]
    return merge([scene_of(item) for item in items])


def test_an_alternative_takes_the_place_of_what_cannot_be_read() -> None:
    rest, left = drop(_merged(), "b", "its red raster is damaged")
    assert rest is not None
    assert _told(rest) == (["a", "whole"], [])
    assert (left.id, left.reason) == ("b", "its red raster is damaged; in its place whole is read")
    assert not left.superseded
    again = without(rest, "a")
    assert again is not None
    assert _told(again) == (["whole"], [])
    assert drop(again, "whole", "it is damaged too") == (None, type(left)("whole", "it is damaged too"))


def test_dropping_a_part_leaves_the_scenes_beside_it_alone() -> None:
    other = scene_of(_item("other", moment="2019-07-23T10:50:31Z"))
    scenes, left = drop_from([other, _merged()], "a", "it is damaged")
    assert [_told(scene) for scene in scenes] == [(["other"], []), (["b", "whole"], [])]
    scenes, left = drop_from(scenes, "other", "it is damaged")
    assert [scene.id for scene in scenes] == ["b"]
    assert left.reason == "it is damaged"
    with pytest.raises(ValueError, match="no scene reads the product nobody"):
        drop_from(scenes, "nobody", "it is damaged")


_MOMENT = dt.datetime(2019, 7, 22, 10, 50, 31, tzinfo=dt.UTC)
_PRODUCTS = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 4, 9, 100, 1440]),  # minutes after the first
        st.sampled_from([None, "GS2A_1_N02.14", "GS2A_1_N05.00", "GS2B_2_N05.00"]),
        st.sampled_from([None, "02.14", "05.00"]),
        st.sampled_from(["31TDK", "31TEK"]),
        st.sampled_from([(0, 1), (0, 0.5), (0.5, 1), (0.002, 1), (0, 0.001)]),
    ),
    min_size=1,
    max_size=7,
)


@given(_PRODUCTS, st.randoms(use_true_random=False))
def test_the_choice_does_not_hang_on_the_order_of_the_catalogue(products: list[Any], random: Any) -> None:
    items = [
        _item(
            f"S{number}",
            *ground,
            moment=(_MOMENT + dt.timedelta(minutes=minutes)).isoformat(),
            **{"s2:datatake_id": datatake, "s2:processing_baseline": baseline, "grid:code": f"MGRS-{tile}"},
        )
        for number, (minutes, datatake, baseline, tile, ground) in enumerate(products)
    ]
    found = gather(items)
    # No product is lost, and none is in two scenes.
    everything = [product.id for scene in found.scenes for product in (*scene.members, *scene.alternatives)]
    assert sorted(everything) == sorted(item.id for item in items)
    assert {left.id for left in found.skipped} == {other.id for scene in found.scenes for other in scene.alternatives}
    random.shuffle(items)
    assert gather(items) == found


@pytest.mark.filterwarnings("ignore:Could not parse bucket:UserWarning")
@pytest.mark.parametrize("name", ["S2A_32TMT_20200302", "S2A_32TMT_20200305", "S2A_32UNU_20200305"])
def test_real_pairs_of_earth_search_are_duplicates(shared_data: Path, name: str) -> None:
    files = sorted((shared_data / "stac").glob(f"earthsearch__{name}_*_L2A.json"))
    found = gather(pystac.Item.from_dict(json.loads(file.read_text())) for file in files)
    assert _only(found) == ([f"{name}_1_L2A"], [f"{name}_0_L2A"])


@pytest.mark.filterwarnings("ignore:Could not parse bucket:UserWarning")
def test_real_items_of_two_archives_are_one_pass_of_the_newest_baseline(shared_data: Path) -> None:
    folder = shared_data / "stac"
    files = [*folder.glob("cdse__S2B_MSIL2A_20200705*T32TMT*"), *folder.glob("pc__*T32TMT*")]
    found = gather(pystac.Item.from_dict(json.loads(file.read_text())) for file in files)
    first, other = _only(found)
    assert first == ["S2B_MSIL2A_20200705T101559_N0500_R065_T32TMT_20230530T175912"]
    assert other == ["S2B_MSIL2A_20200705T101559_R065_T32TMT_20200825T083452"]


@pytest.mark.filterwarnings("ignore:Could not parse bucket:UserWarning")
def test_every_real_item_tells_when_it_was_made_and_what_ground_it_shows(shared_data: Path) -> None:
    for file in sorted((shared_data / "stac").glob("*.json")):
        scene = scene_of(pystac.Item.from_dict(json.loads(file.read_text())))
        assert scene.generated is not None, file.name
        assert scene.generated >= scene.acquired, file.name
        assert scene.footprint is not None, file.name
