"""From STAC items to scenes: names of assets, tiles and dates of several archives, and one scene a pass."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pystac
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.catalogue import item_document
from tiles.catalog.stac_items import ASSET_NAMES, gather, scene_of
from tiles.errors import SceneError
from tiles.scene import NEEDED_BANDS, Band


def _item(*args: Any, **kwargs: Any) -> pystac.Item:
    return pystac.Item.from_dict(item_document(*args, **kwargs))


@pytest.mark.parametrize("archive", range(3))
def test_assets_are_found_under_the_names_of_each_archive(archive: int) -> None:
    names = {band: names[archive] for band, names in ASSET_NAMES.items()}
    scene = scene_of(_item(names=names.values()))
    assert {band: href.rpartition("/")[2] for band, href in scene.hrefs.items()} == {
        band: f"{name}.tif" for band, name in names.items()
    }


@pytest.mark.parametrize("band", list(NEEDED_BANDS))
def test_a_missing_asset_is_named_with_the_names_looked_for(band: Band) -> None:
    names = [other.value for other in NEEDED_BANDS if other is not band]
    with pytest.raises(SceneError, match=rf"has no {band} asset \(looked for {', '.join(ASSET_NAMES[band])}\)"):
        scene_of(_item(names=names))


_PARTS = {"mgrs:utm_zone": 5, "mgrs:latitude_band": "Q", "mgrs:grid_square": "KB"}
_NAMES = ("S2A_MSIL2A_20190722T105031_N0500_R051_T31TDK_20230722T171500", "S2A_31TDK_20190722_0_L2A", "L2A-T31TDK-9")


@pytest.mark.parametrize(
    ("name", "properties", "tile"),
    [
        ("plain", _PARTS, "05QKB"),
        ("plain", {"grid:code": "MGRS-31TDK"}, "31TDK"),
        *((name, {}, "31TDK") for name in _NAMES),
    ],
)
def test_a_tile_is_told_in_many_ways(name: str, properties: dict[str, Any], tile: str) -> None:
    assert scene_of(_item(name, **({"grid:code": None} | properties))).tile == tile


def test_the_tile_is_read_from_either_property_and_its_absence_said() -> None:
    assert scene_of(_item()).tile == "31TDK"
    assert scene_of(_item(**{"grid:code": None, "s2:mgrs_tile": "31TDK"})).tile == "31TDK"
    with pytest.raises(SceneError, match="which tile"):
        scene_of(_item("somewhere", **{"grid:code": None}))


@pytest.mark.parametrize("moment", ["2019-07-22T23:30:00Z", "2019-07-23T01:30:00+02:00", "2019-07-22T23:30:00"])
def test_moments_are_utc_whatever_zone_the_item_names_or_none(moment: str) -> None:
    scene = scene_of(_item(moment=moment))
    assert scene.acquired == dt.datetime(2019, 7, 22, 23, 30, tzinfo=dt.UTC)
    assert scene.day == dt.date(2019, 7, 22)


def test_a_datatake_is_the_same_under_every_baseline() -> None:
    ids = ("GS2A_20190722T105031_021303_N02.08", "GS2A_20190722T105031_021303_N05.00")
    scenes = [scene_of(_item(**{"s2:datatake_id": datatake})) for datatake in ids]
    assert scenes[0].datatake == scenes[1].datatake == "GS2A_20190722T105031_021303"


def _twice(first: dict[str, Any], second: dict[str, Any]) -> list[pystac.Item]:
    return [
        _item("S2A_31TDK_20190722_0_L2A", **{"s2:processing_baseline": "02.14", **first}),
        _item("S2A_31TDK_20190722_1_L2A", **{"s2:processing_baseline": "05.00", **second}),
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {}),
        # Seconds apart, over the end of a minute: two processings do not round alike.
        ({"moment": "2019-07-22T10:50:59.999Z"}, {"moment": "2019-07-22T10:51:00.001Z"}),
        # One names its datatake, the other does not.
        ({"s2:datatake_id": "GS2A_1_N02.14"}, {}),
        # One gives the moment of the tile, the other that of the pass, and both name the pass.
        (
            {"moment": "2019-07-22T10:50:31Z", "s2:datatake_id": "GS2A_1_N02.14"},
            {"moment": "2019-07-22T10:59:00Z", "s2:datatake_id": "GS2A_1_N05.00"},
        ),
    ],
)
def test_of_two_processings_of_a_pass_the_newest_is_kept_and_the_other_named(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    for items in (_twice(first, second), _twice(first, second)[::-1]):
        found = gather(items)
        assert [scene.id for scene in found.scenes] == ["S2A_31TDK_20190722_1_L2A"]
        (left,) = found.skipped
        assert left.id == "S2A_31TDK_20190722_0_L2A"
        assert left.superseded
        assert "S2A_31TDK_20190722_1_L2A" in left.reason


def test_other_tiles_and_other_passes_are_other_scenes() -> None:
    items = [
        _item("a"),
        _item("b", **{"grid:code": "MGRS-31TEK"}),
        _item("c", "2019-07-22T12:30:31Z"),
        _item("d", "2019-07-23T10:50:31Z"),
    ]
    found = gather(items)
    assert [scene.id for scene in found.scenes] == ["a", "b", "c", "d"]
    assert found.skipped == ()


def test_when_the_newest_processing_cannot_serve_the_older_one_is_read() -> None:
    first, second = _twice({}, {})
    del second.assets["scl"]
    found = gather([first, second])
    assert [scene.id for scene in found.scenes] == ["S2A_31TDK_20190722_0_L2A"]
    assert [(left.id, left.superseded) for left in found.skipped] == [("S2A_31TDK_20190722_1_L2A", False)]


@given(st.permutations(range(6)))
def test_scenes_come_oldest_first_whatever_the_order_of_the_catalogue(order: list[int]) -> None:
    items = [_item(f"S{number}", f"2019-07-0{number + 1}T10:50:31Z") for number in order]
    assert [scene.id for scene in gather(items).scenes] == [f"S{number}" for number in range(6)]


@pytest.mark.filterwarnings("ignore:Could not parse bucket:UserWarning")
def test_real_items_become_scenes_once_a_pass(shared_data: Path) -> None:
    items = [pystac.Item.from_dict(json.loads(file.read_text())) for file in (shared_data / "stac").glob("*.json")]
    found = gather(items)
    left = {skipped.id: skipped for skipped in found.skipped}
    assert all(skipped.superseded for skipped in left.values())
    kept = {scene.id: scene for scene in found.scenes}
    for name in ("S2A_32TMT_20200302", "S2A_32TMT_20200305", "S2A_32UNU_20200305"):
        assert kept[f"{name}_1_L2A"].baseline == "05.00"
        assert left[f"{name}_0_L2A"].superseded
    # The same pass of 32TMT from Copernicus and from Planetary Computer: one observation.
    assert [scene.baseline for scene in found.scenes if (scene.tile, scene.day) == ("32TMT", dt.date(2020, 7, 5))] == [
        "05.00"
    ]
    assert [scene.id for scene in found.scenes if scene.dn_offset is None] == ["S2B_33TWN_20220226_0_L2A"]
    assert len(kept) + len(left) == len(items) == 19
    assert all(scene.hrefs[band] for scene in found.scenes for band in NEEDED_BANDS)


def test_how_much_of_the_tile_was_seen_is_told_by_its_pixels_or_its_outline() -> None:
    assert scene_of(_item(**{"s2:nodata_pixel_percentage": 87.5})).seen_share == pytest.approx(0.125)
    # A tenth of a degree by a tenth, at 45 degrees north: 7.9 x 11.1 km of 109.8 x 109.8.
    outlined = scene_of(_item(bbox=[3.0, 44.95, 3.1, 45.05])).seen_share
    assert outlined == pytest.approx(7.87 * 11.13 / 109.8**2, rel=0.01)
    nothing = _item(**{"s2:nodata_pixel_percentage": None})
    nothing.geometry = None
    assert scene_of(nothing).seen_share is None
