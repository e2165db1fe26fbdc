"""A static catalogue: where it may be, what it answers, and what is said when it is broken."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from tests.fakes.catalogue import BBOX, item_document, items_over, served, write_catalogue
from tiles.catalog import StaticCatalogue, open_catalogue
from tiles.errors import CatalogueError
from tiles.remote import RetryPolicy
from tiles.web_files import WebFiles

JULY = (dt.date(2019, 7, 1), dt.date(2019, 7, 31))


def test_folder_file_and_url_give_the_same_scenes(tmp_path: Path) -> None:
    root = write_catalogue(tmp_path / "archive", items_over(dt.date(2019, 6, 29), 4))
    with served(tmp_path / "archive") as url:
        hrefs = [str(root.parent), str(root), url, f"{url}/", f"{url}/catalog.json"]
        answers = [open_catalogue(href).search(*JULY) for href in hrefs]
    assert [scene.day for scene in answers[0].scenes] == [dt.date(2019, 7, 1), dt.date(2019, 7, 2)]
    assert all(answer == answers[0] for answer in answers)


def test_relative_assets_are_found_beside_their_item(small_archive: Path) -> None:
    scenes = open_catalogue(str(small_archive)).search(*JULY).scenes
    assert len(scenes) == 2
    assert all(Path(href).is_file() for scene in scenes for href in scene.hrefs.values())


def test_assets_of_a_served_catalogue_are_urls(small_archive: Path) -> None:
    with served(small_archive) as url:
        scenes = open_catalogue(url).search(*JULY).scenes
    assert len(scenes) == 2
    assert all(href.startswith(f"{url}/") for scene in scenes for href in scene.hrefs.values())


def test_nothing_there_is_said_with_the_place(tmp_path: Path) -> None:
    for place in (tmp_path / "absent", tmp_path, tmp_path / "absent.json"):
        with pytest.raises(CatalogueError, match=r"No catalogue at .*: give the path or URL"):
            open_catalogue(str(place))


def test_an_url_that_answers_404_is_a_catalogue_error(tmp_path: Path) -> None:
    with served(tmp_path) as url, pytest.raises(CatalogueError, match=r"catalog\.json"):
        open_catalogue(f"{url}/absent/")


def test_an_item_that_answers_404_is_a_catalogue_error(tmp_path: Path) -> None:
    write_catalogue(tmp_path, items_over(dt.date(2019, 7, 1), 1), lost="./lost.json")
    with served(tmp_path) as url, pytest.raises(CatalogueError, match=r"broken.*lost\.json"):
        open_catalogue(url).search(*JULY)


def test_a_server_that_does_not_answer_is_a_catalogue_error() -> None:
    with pytest.raises(CatalogueError, match=r"cannot be read .*given up after 2 attempts, at last no connection"):
        StaticCatalogue("http://127.0.0.1:9", web=WebFiles(policy=RetryPolicy(attempts=2, first_delay_s=0.01)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{ not json", "not JSON at line 1"),
        ("", "not JSON at line 1"),
        ("[]", "as STAC"),
        ("7", "as STAC"),
        ('{"name": "a package"}', "as STAC"),
        (json.dumps(item_document()), "as STAC"),
        ('{"type": "Catalog", "id": "x", "description": "d", "stac_version": "1.0.0", "links": 3}', "as STAC"),
        ("\x00\xff", "as STAC|not JSON"),
    ],
)
def test_what_is_no_stac_catalogue_is_refused_in_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "catalog.json").write_text(text, encoding="latin-1")
    with pytest.raises(CatalogueError, match=said) as caught:
        open_catalogue(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_catalogue_without_items_has_nothing_to_scan(tmp_path: Path) -> None:
    write_catalogue(tmp_path, [])
    with pytest.raises(CatalogueError, match="holds no item"):
        open_catalogue(str(tmp_path)).search(*JULY)


@pytest.mark.parametrize("text", [None, "{", "{}", "[1]", '{"type": "Feature", "id": "x"}'])
def test_a_link_to_an_item_that_cannot_be_read_breaks_the_catalogue(tmp_path: Path, text: str | None) -> None:
    write_catalogue(tmp_path, items_over(dt.date(2019, 7, 1), 1), broken="./broken.json")
    if text is not None:
        (tmp_path / "broken.json").write_text(text)
    with pytest.raises(CatalogueError, match="is broken: a file that it links to") as caught:
        open_catalogue(str(tmp_path)).search(*JULY)
    assert "\n" not in str(caught.value)


def test_a_search_knows_days_by_utc_and_takes_both_ends(tmp_path: Path) -> None:
    moments = {
        "before": "2019-07-01T01:30:00+02:00",
        "first": "2019-07-01T00:00:00Z",
        "last": "2019-07-31T23:59:59Z",
        "last too": "2019-08-01T01:59:00+02:00",
        "after": "2019-08-01T00:00:00Z",
    }
    documents = [item_document(name.replace(" ", "-"), moment) for name, moment in moments.items()]
    for number, document in enumerate(documents):
        document["properties"]["grid:code"] = f"MGRS-31TD{'ABCDE'[number]}"
    write_catalogue(tmp_path, documents)
    scenes = open_catalogue(str(tmp_path)).search(*JULY).scenes
    assert {scene.id for scene in scenes} == {"first", "last", "last-too"}


def test_an_item_without_a_date_is_named_not_passed_over(tmp_path: Path) -> None:
    undated = item_document("undated", None, start_datetime="2019-07-01T00:00:00Z", end_datetime="2019-07-02T00:00:00Z")
    write_catalogue(tmp_path, [undated, *items_over(dt.date(2019, 7, 1), 1)])
    found = open_catalogue(str(tmp_path)).search(*JULY)
    assert len(found.scenes) == 1
    assert [(left.id, left.reason, left.superseded) for left in found.skipped] == [
        ("undated", "it has no datetime", False)
    ]


@pytest.mark.parametrize(
    ("bbox", "meets"),
    [
        ((2.95, 45.15, 2.96, 45.16), True),
        ((3.0, 45.2, 3.1, 45.3), True),
        ((3.01, 45.1, 3.1, 45.2), False),
        ((2.9, 45.21, 3.0, 45.3), False),
        ((0.0, 0.0, 10.0, 45.0), False),
        ((-180.0, -90.0, 180.0, 90.0), True),
    ],
)
def test_only_items_that_meet_the_box_are_given(
    tmp_path: Path, bbox: tuple[float, float, float, float], meets: bool
) -> None:
    flat, high = items_over(dt.date(2019, 7, 1), 2)
    west, south, east, north = BBOX
    high["bbox"] = [west, south, -10, east, north, 900]
    write_catalogue(tmp_path, [flat, high])
    assert len(open_catalogue(str(tmp_path)).search(*JULY, bbox).scenes) == (2 if meets else 0)


def test_real_items_are_read_without_a_warning(tmp_path: Path, shared_data: Path) -> None:
    documents = [json.loads(file.read_text()) for file in (shared_data / "stac").glob("*.json")]
    # Their links lead to the archives they come from, and two share an identifier with none.
    write_catalogue(tmp_path, [document | {"links": []} for document in documents])
    found = open_catalogue(str(tmp_path)).search(dt.date(2015, 1, 1), dt.date(2026, 1, 1))
    assert len(found.scenes) + len(found.skipped) == 19
