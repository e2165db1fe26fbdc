"""A STAC API: what it is asked, how its pages are read, and what is said when it fails."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pystac
import pytest

from tests.fakes.archives import (
    PRODUCT,
    TILE,
    Document,
    cdse_item,
    collection_1_item,
    earth_search_item,
    planetary_computer_item,
    served_archive,
)
from tests.fakes.catalogue import BBOX
from tiles.access import OpenAccess
from tiles.catalog import ARCHIVES, StacApiCatalogue
from tiles.catalog.stac_api import TileProperty
from tiles.catalog.stac_items import use_copies
from tiles.errors import CatalogueError, SceneError
from tiles.http import HttpParams
from tiles.scene import ESA_OFFSET, NEEDED_BANDS, Scene
from tiles.signing import WebAccess
from tiles.tile_names import tile_bbox

JULY = (dt.date(2023, 7, 1), dt.date(2023, 7, 31))
BOX = (BBOX[0], BBOX[1], BBOX[2], BBOX[3])
QUICK = HttpParams(timeout_s=5, retries=3, backoff_s=0.01)
GRID_CODE = TileProperty("grid:code", "MGRS-")


def _catalogue(url: str, **more: Any) -> StacApiCatalogue:
    given: dict[str, Any] = {"tile_property": GRID_CODE, "http": QUICK} | more
    return StacApiCatalogue(url, "sentinel-2-l2a", WebAccess(), **given)


def _days(count: int, tile: str = TILE) -> list[Document]:
    """An item a day from the first of July, each of a datatake of its own."""
    items = [
        earth_search_item(item_id=f"S2A_{tile}_202307{day:02d}_0_L2A", moment=f"2023-07-{day:02d}T10:57:31Z", tile=tile)
        for day in range(1, count + 1)
    ]
    return _of_datatakes(items)


def _of_datatakes(items: list[Document]) -> list[Document]:
    for number, item in enumerate(items):
        item["properties"]["s2:datatake_id"] = f"GS2A_{number:06d}_N05.09"
    return items


def test_all_pages_are_read_and_each_item_is_one_scene() -> None:
    with served_archive(_days(25), page_items=10) as server:
        found = _catalogue(server.url).search(*JULY, BOX)
        assert [scene.day.day for scene in found.scenes] == list(range(1, 26))
        assert found.skipped == ()
        assert len(server.requests("search")) == 3


def test_both_last_days_are_whole_and_no_other_is_taken() -> None:
    moments = {
        "before": "2023-06-30T23:59:59.999Z",
        "first": "2023-07-01T00:00:00Z",
        "last": "2023-07-31T23:59:59.900Z",
        "after": "2023-08-01T00:00:00Z",
    }
    items = _of_datatakes([earth_search_item(item_id=name, moment=moment) for name, moment in moments.items()])
    with served_archive(items) as server:
        assert [scene.id for scene in _catalogue(server.url).search(*JULY, BOX).scenes] == ["first", "last"]


@pytest.mark.parametrize(
    ("extensions", "key", "value"),
    [
        (("query", "filter"), "query", {"grid:code": {"eq": "MGRS-31TDK"}}),
        (("filter",), "filter", {"op": "=", "args": [{"property": "grid:code"}, "MGRS-31TDK"]}),
    ],
)
def test_a_tile_is_asked_for_in_the_words_that_the_api_knows(extensions: tuple[str, ...], key: str, value: Any) -> None:
    items = [*_days(2), *_days(2, "31TEK")]
    with served_archive(items, extensions=extensions) as server:
        found = _catalogue(server.url).search(*JULY, tile=TILE)
        (asked,) = server.requests("search")
        assert {scene.tile for scene in found.scenes} == {TILE}
        assert len(found.scenes) == 2
        assert json.loads(asked["body"])[key] == value


@pytest.mark.parametrize("more", [{"tile_property": None}, {"tile_property": TileProperty("grid:code", "MGRS-")}])
def test_a_tile_is_told_apart_here_where_the_api_cannot(more: dict[str, Any]) -> None:
    items = [*_days(2), *_days(2, "31TEK")]
    with served_archive(items, extensions=()) as server:
        found = _catalogue(server.url, **more).search(*JULY, BOX, tile=TILE)
        asked = json.loads(server.requests("search")[0]["body"])
    assert {scene.tile for scene in found.scenes} == {TILE}
    assert not {"query", "filter", "fields"} & asked.keys()


def test_the_whole_world_is_never_asked_for() -> None:
    with served_archive(_days(1), extensions=()) as server:
        with pytest.raises(CatalogueError, match="say where"):
            _catalogue(server.url).search(*JULY)
        assert server.requests("search") == []


def _as(item: Document, **properties: Any) -> Document:
    """An item that tells its tile in another way, or by its identifier alone."""
    del item["properties"]["grid:code"]
    item["properties"] |= {name.replace("__", ":"): value for name, value in properties.items()}
    return item


@pytest.mark.parametrize(
    ("tile_property", "extensions"), [(None, ("query", "filter", "fields")), (None, ()), (GRID_CODE, ())]
)
def test_where_a_tile_cannot_be_asked_for_its_ground_is(
    tile_property: TileProperty | None, extensions: tuple[str, ...]
) -> None:
    west, south, east, north = tile_bbox(TILE)
    far = earth_search_item(item_id="far", moment="2023-07-05T10:57:31Z") | {"bbox": [west + 9, south, east + 9, north]}
    first, second, third, fourth = _days(4)
    parts = {"mgrs__utm_zone": 31, "mgrs__latitude_band": "T", "mgrs__grid_square": "DK"}
    ours = [first, _as(second), _as(third, s2__mgrs_tile=TILE), _as(fourth, **parts)]
    theirs = [*_days(1, "31TEK"), _as(_days(2, "31TEK")[1])]
    with served_archive([*ours, *theirs, far], extensions=extensions) as server:
        found = _catalogue(server.url, tile_property=tile_property).search(*JULY, tile=TILE)
        asked = json.loads(server.requests("search")[0]["body"])
    assert [scene.id for scene in found.scenes] == [item["id"] for item in ours]
    assert found.skipped == ()
    assert asked["bbox"] == pytest.approx([west, south, east, north])
    assert not {"query", "filter"} & asked.keys()


def test_items_that_come_with_the_fields_asked_for_alone_are_whole_scenes() -> None:
    item = cdse_item()
    with served_archive([item]) as server:
        lean = _catalogue(server.url).search(*JULY, BOX)
        (asked,) = server.requests("search")
    with served_archive([item], extensions=()) as server:
        whole = _catalogue(server.url).search(*JULY, BOX)
    assert "assets.B04_10m" in json.loads(asked["body"])["fields"]["include"]
    assert lean == whole
    assert len(lean.scenes) == 1


@pytest.mark.parametrize(
    "faults",
    [
        {"search": [{"status": 429, "retry_after": 1}]},
        {"search": [{"status": 503}, {"status": 502}, {"status": 500}]},
        {"landing": [{"status": 504}], "search": [{"status": 503, "retry_after": 0}]},
        {"search": [{"cut": True}]},
    ],
)
def test_passing_faults_are_outlived(faults: dict[str, list[Document]]) -> None:
    with served_archive(_days(3), faults=faults) as server:
        assert len(_catalogue(server.url).search(*JULY, BOX).scenes) == 3
        assert len(server.requests("search")) == len(faults["search"]) + 1


def test_a_server_that_asks_for_an_hour_is_not_waited_for_so_long() -> None:
    patience = HttpParams(timeout_s=5, retries=1, backoff_s=0.01, longest_wait_s=0.05)
    with served_archive(_days(1), faults={"search": [{"status": 429, "retry_after": 3600}]}) as server:
        assert len(_catalogue(server.url, http=patience).search(*JULY, BOX).scenes) == 1


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        ({"search": [{"status": 503}] * 9}, r"did not answer \(tries: 4, the last HTTP 503\): try again later"),
        ({"search": [{"status": 429}] * 9}, "HTTP 429"),
        ({"search": [{"status": 400, "text": "no such property"}]}, r"refuses the search \(HTTP 400, no such property"),
        ({"landing": [{"status": 404}]}, "HTTP 404"),
        ({"landing": [{"text": "{ broken"}]}, "not JSON at line 1"),
        ({"landing": [{"text": "[]"}]}, "cannot be read as a STAC API"),
        ({"landing": [{"text": "<html>"}]}, "not JSON"),
        ({"search": [{"text": "{ broken"}]}, "not JSON at line 1"),
        ({"search": [{"text": "7"}]}, "cannot be read as a STAC API"),
        ({"search": [{"text": '{"features": 7}'}]}, "cannot be read as a STAC API"),
        ({"search": [{"cut": True}] * 2}, "did not answer.*ChunkedEncodingError"),
    ],
)
def test_what_cannot_be_read_is_one_sentence_with_the_address(faults: dict[str, list[Document]], said: str) -> None:
    with served_archive(_days(2), faults=faults) as server:
        with pytest.raises(CatalogueError, match=said) as caught:
            _catalogue(server.url).search(*JULY, BOX)
        assert f"{server.url}#sentinel-2-l2a" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_server_that_hangs_is_left_after_the_time_given() -> None:
    hasty = HttpParams(timeout_s=0.2, retries=1, backoff_s=0.01)
    with served_archive(_days(1), faults={"search": [{"hang_s": 20}] * 2}) as server:
        with pytest.raises(CatalogueError, match=r"did not answer \(tries: 2, the last"):
            _catalogue(server.url, http=hasty).search(*JULY, BOX)
        assert len(server.requests("search")) == 2


def test_nobody_there_is_a_catalogue_error() -> None:
    with pytest.raises(CatalogueError, match=r"did not answer \(tries: 1, the last ConnectionError\)"):
        _catalogue("http://127.0.0.1:9", http=HttpParams(retries=0)).search(*JULY, BOX)


def test_an_answer_that_stops_before_its_end_is_not_taken_for_all() -> None:
    with (
        served_archive(_days(3), promised_too_many=2, empty_last_page=True) as server,
        pytest.raises(CatalogueError, match="broke off after 3 of 5 items"),
    ):
        _catalogue(server.url).search(*JULY, BOX)


@pytest.mark.parametrize(("too_many", "empty_last_page"), [(2, False), (0, True)])
def test_a_count_that_is_a_guess_and_a_last_page_that_is_empty_are_no_faults(
    too_many: int, empty_last_page: bool
) -> None:
    with served_archive(_days(3), promised_too_many=too_many, empty_last_page=empty_last_page) as server:
        assert len(_catalogue(server.url).search(*JULY, BOX).scenes) == 3


def test_pages_that_lead_back_to_the_first_are_not_followed_for_ever() -> None:
    with served_archive(_days(3), endless=True) as server:
        with pytest.raises(CatalogueError, match="again and again"):
            _catalogue(server.url).search(*JULY, BOX)
        assert len(server.requests("search")) == 2


def test_an_entry_that_is_no_item_is_named_and_the_others_are_read() -> None:
    broken = {"id": "broken", "collection": "sentinel-2-l2a", "bbox": BBOX, "assets": {"red": 7}}
    broken["properties"] = {"datetime": "2023-07-02T00:00:00Z"}
    with served_archive([*_days(1), broken], extensions=()) as server:
        found = _catalogue(server.url).search(*JULY, BOX)
    assert len(found.scenes) == 1
    ((name, reason, usable),) = [(left.id, left.reason, left.superseded) for left in found.skipped]
    assert (name, usable) == ("broken", False)
    assert "is no STAC item" in reason


def test_an_archive_without_items_there_and_then_answers_with_none() -> None:
    with served_archive([]) as server:
        found = _catalogue(server.url).search(*JULY, BOX)
    assert (found.scenes, found.skipped) == ((), ())


SHAPES: dict[str, tuple[Document, str | None, Scene]] = {
    "earth-search": (
        earth_search_item(),
        None,
        Scene(
            "S2A_31TDK_20230722_0_L2A",
            dt.datetime(2023, 7, 22, 10, 57, 31, 563000, dt.UTC),
            TILE,
            {
                band: f"https://sentinel-cogs.s3.us-west-2.amazonaws.com/31/T/DK/2023/7/S2A_31TDK_20230722_0_L2A/{file}"
                for band, file in zip(NEEDED_BANDS, ("B04.tif", "B08.tif", "SCL.tif"), strict=True)
            },
            0,
            "05.09",
            "GS2A_20230722T105031_042203",
        ),
    ),
    "cdse": (
        cdse_item(),
        "https",
        Scene(
            PRODUCT,
            dt.datetime(2023, 7, 22, 10, 50, 31, 24000, dt.UTC),
            TILE,
            {
                band: f"https://zipper.dataspace.copernicus.eu/odata/v1/Products(77d2f450)/Nodes({folder})/Nodes({file})/$value"
                for band, folder, file in zip(
                    NEEDED_BANDS, ("R10m", "R10m", "R20m"), ("B04_10m.jp2", "B08_10m.jp2", "SCL_20m.jp2"), strict=True
                )
            },
            ESA_OFFSET,
            "05.09",
            "GS2A_20230722T105031_042203",
        ),
    ),
    "planetary-computer": (
        planetary_computer_item(),
        None,
        Scene(
            PRODUCT,
            dt.datetime(2023, 7, 22, 10, 50, 31, 24000, dt.UTC),
            TILE,
            {
                band: f"https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/31/T/DK/2023/07/22/{file}"
                for band, file in zip(NEEDED_BANDS, ("B04_10m.tif", "B08_10m.tif", "SCL_20m.tif"), strict=True)
            },
            ESA_OFFSET,
            "05.09",
            "GS2A_20230722T105031_042203",
        ),
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_each_archive_s_item_becomes_its_scene(name: str) -> None:
    item, scheme, expected = SHAPES[name]
    with served_archive([item]) as server:
        catalogue = _catalogue(server.url, tile_property=ARCHIVES[name].tile_property, scheme=scheme)
        (scene,) = catalogue.search(*JULY, tile=TILE).scenes
    assert scene.footprint is not None
    assert replace(scene, footprint=None, generated=None, cloud_share=None, seen_share=None) == expected


def test_collection_1_keeps_the_offset_of_esa() -> None:
    with served_archive([collection_1_item()]) as server:
        catalogue = StacApiCatalogue(server.url, "sentinel-2-c1-l2a", OpenAccess(), tile_property=GRID_CODE)
        (scene,) = catalogue.search(*JULY, tile=TILE).scenes
    assert scene.dn_offset == ESA_OFFSET


def test_files_without_the_address_that_is_read_are_named() -> None:
    item = cdse_item()
    del item["assets"]["SCL_20m"]["alternate"]
    with served_archive([item]) as server:
        found = _catalogue(server.url, scheme="https").search(*JULY, BOX)
    assert found.scenes == ()
    assert [(left.id, left.reason) for left in found.skipped] == [
        (PRODUCT, f"its files have no https address ({item['assets']['SCL_20m']['href']})")
    ]


REAL: dict[str, tuple[str, str, str | None]] = {
    "earthsearch__*": ("earth-search", "sentinel-cogs", None),
    "mapchete_earthsearch__*": ("earth-search", "sentinel-cogs", None),
    "pystacclient_sentinel-2-l2a__S2B_20EPT*": ("earth-search", "sentinel-cogs", None),
    "pystacclient_sentinel-2-c1-l2a__*": ("earth-search-c1", "e84-earth-search-sentinel-data", None),
    "cdse__*": ("cdse", "s3://eodata/", "s3"),
    "pc__*": ("planetary-computer", ".blob.core.windows.net/sentinel2-l2/", None),
    "pystacclient_sentinel-2-l2a__S2A_MSIL2A*": ("planetary-computer", ".blob.core.windows.net/sentinel2-l2/", None),
}


@pytest.mark.parametrize("pattern", REAL)
@pytest.mark.parametrize("extensions", [(), ("query", "fields")])
def test_real_items_come_through_an_api_as_from_their_file(
    shared_data: Path, pattern: str, extensions: tuple[str, ...]
) -> None:
    preset, place, scheme = REAL[pattern]
    archive = ARCHIVES[preset]
    documents = [json.loads(file.read_text()) for file in sorted((shared_data / "stac").glob(f"{pattern}.json"))]
    assert documents
    with served_archive(documents, extensions=extensions) as server:
        for document in documents:
            day = dt.date.fromisoformat(document["properties"]["datetime"][:10])
            box = (document["bbox"][0], document["bbox"][1], document["bbox"][2], document["bbox"][3])
            assert archive.tile_property is not None
            code = document["properties"][archive.tile_property.name]
            tile = code.removeprefix(archive.tile_property.prefix)
            assert archive.tile_property.value(tile) == code
            catalogue = StacApiCatalogue(
                server.url, archive.collection, OpenAccess(), tile_property=archive.tile_property, scheme=scheme
            )
            found = catalogue.search(day, day, box, tile=tile)
            named = {scene.id: scene for scene in found.scenes}
            left = {skipped.id: skipped for skipped in found.skipped}
            assert document["id"] in named.keys() | left.keys()
            assert all(scene.tile == tile and scene.day == day for scene in found.scenes)
            assert all(place in href for scene in found.scenes for href in scene.hrefs.values())
            assert all(skipped.superseded for skipped in found.skipped)
            # What the item's words leave open, its pixels have to tell.
            undecided = [scene.id for scene in found.scenes if scene.dn_offset is None]
            assert undecided == ([document["id"]] if document["id"] == "S2B_33TWN_20220226_0_L2A" else [])


def test_the_https_copies_of_real_items_are_found(shared_data: Path) -> None:
    documents = [json.loads(file.read_text()) for file in (shared_data / "stac").glob("cdse__*.json")]
    with served_archive(documents) as server:
        for document in documents:
            day = dt.date.fromisoformat(document["properties"]["datetime"][:10])
            tile = document["properties"]["grid:code"].removeprefix("MGRS-")
            catalogue = _catalogue(server.url, scheme="https")
            (scene,) = catalogue.search(day, day, tile=tile).scenes
            assert scene.id == document["id"]
            assert scene.dn_offset == ESA_OFFSET
            for band, name in zip(NEEDED_BANDS, ("B04_10m", "B08_10m", "SCL_20m"), strict=True):
                assert scene.hrefs[band].startswith("https://zipper.dataspace.copernicus.eu/odata/v1/Products(")
                assert scene.hrefs[band].endswith(f"_{name}.jp2)/$value")


def test_a_copy_that_is_nowhere_is_a_scene_error() -> None:
    with pytest.raises(SceneError, match="no s3 address"):
        use_copies(pystac.Item.from_dict(planetary_computer_item()), "s3")
