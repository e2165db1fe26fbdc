"""The service over HTTP: what it answers, what it refuses, and what every answer carries."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mapbox_vector_tile
import pytest
import shapely
from fastapi.routing import APIRoute
from pydantic import SecretStr
from starlette.testclient import TestClient

from api.access import create_token, revoke_token
from api.identity.roles import Right
from api.main import ROUTERS, create_app
from api.settings import Settings
from api.store.database import Database
from api.store.ingesting import ingest
from api.store.zones import take_zones
from detector.layers.store import LayerStore
from tests.api.alerts import found_alert, scan_files
from tiles.errors import StoreError

ITEMS = "/api/v1/collections/alerts/items"
FOUND = [
    found_alert(
        i,
        latitude=44 + i / 100,
        departement="40",
        area_ha=float(i),
        criteria=[{"code": "area", "met": i > 10}],
        legal_points=[],
        rules_version="r1",
        potentially_abusive=i > 10,
    )
    for i in range(1, 31)
]


def _settings(store: Database, **given: Any) -> Settings:
    return Settings(database_url=SecretStr(store.url.render_as_string(hide_password=False)), **given)


def _client(store: Database, **given: Any) -> TestClient:
    return TestClient(create_app(_settings(store, **given)), raise_server_exceptions=False)


@pytest.fixture
def filled(store: Database) -> Database:
    ingest(store, scan_files(FOUND), data_dir=Path("data"))
    return store


@pytest.fixture
def client(filled: Database) -> Iterator[TestClient]:
    with _client(filled) as client:
        yield client


def _get(client: TestClient, address: str, **params: Any) -> Any:
    answer = client.get(address, params=params or None)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_landing_page_leads_everywhere(client: TestClient) -> None:
    landing = _get(client, "/api/v1")
    for link in landing["links"]:
        assert client.get(link["href"]).status_code == 200
    assert {link["rel"] for link in landing["links"]} == {"self", "service-desc", "conformance", "data"}
    for collection in _get(client, "/api/v1/collections")["collections"]:
        for link in collection["links"]:
            assert client.get(link["href"]).status_code == 200
    extent = _get(client, "/api/v1/collections/alerts")["extent"]["spatial"]["bbox"][0]
    assert extent == pytest.approx([-0.5, 44.01, -0.498, 44.302])


def test_pages_lead_from_one_to_the_next(client: TestClient) -> None:
    address, found = f"{ITEMS}?limit=7&sortby=-area_ha&departement=40", []
    while address:
        page = _get(client, address)
        assert page["numberReturned"] == len(page["features"])
        found += [feature["id"] for feature in page["features"]]
        address = next((link["href"] for link in page["links"] if link["rel"] == "next"), "")
    assert found == [each.id for each in reversed(FOUND)]


def test_features_are_what_was_put_in(client: TestClient) -> None:
    feature = _get(client, f"{ITEMS}/{FOUND[0].id}")
    assert feature["properties"] == FOUND[0].properties
    assert shapely.from_geojson(json.dumps(feature["geometry"])).equals(FOUND[0].geometry)
    page = _get(client, ITEMS, limit=1000)
    assert page["numberMatched"] == 30
    assert feature["properties"] in [each["properties"] for each in page["features"]]
    assert len(_get(client, ITEMS, limit=10**6)["features"]) == 30


@pytest.mark.parametrize(
    ("asked", "number"),
    [
        ({"bbox": "-0.6,44.0,0,44.055"}, 5),
        ({"criterion": "area"}, 20),
        ({"potentially_abusive": "true", "min_area_ha": "25"}, 6),
        ({"departement": "33"}, 0),
        ({"datetime": "2026-08-01/2026-09-15"}, 0),
        ({"datetime": "2026-10-01/.."}, 30),
        ({"updated_since": "2999-01-01"}, 0),
        ({"review": "confirmed"}, 0),
    ],
)
def test_filters(client: TestClient, asked: dict[str, str], number: int) -> None:
    assert _get(client, ITEMS, limit=100, **asked)["numberReturned"] == number


@pytest.mark.parametrize(
    ("asked", "number"),
    [
        ({"filter": "area_ha > 10.5 AND NOT departement = '33'"}, 20),
        ({"filter": "area_ha > 10.5", "max_area_ha": "12"}, 2),
        ({"filter": '{"op":">","args":[{"property":"area_ha"},10.5]}', "filter-lang": "cql2-json"}, 20),
        ({"filter": "S_INTERSECTS(geometry, BBOX(-1,44,0,44.1005))"}, 10),
        (
            {
                "filter": "S_INTERSECTS(geometry, BBOX(419000,6332000,421000,6339000))",
                "filter-crs": "http://www.opengis.net/def/crs/EPSG/0/2154",
            },
            7,
        ),
    ],
)
def test_filters_of_cql2(client: TestClient, asked: dict[str, str], number: int) -> None:
    assert _get(client, ITEMS, limit=100, **asked)["numberMatched"] == number
    assert len(client.get(ITEMS, params={"f": "geojsonl"} | asked).text.splitlines()) >= number


def test_what_filters_may_ask_for_is_described(client: TestClient) -> None:
    for name in ("alerts", "outlines", "zones"):
        answer = client.get(f"/api/v1/collections/{name}/queryables")
        assert answer.headers["content-type"] == "application/schema+json"
        assert answer.json()["type"] == "object"
        assert answer.json()["properties"]


def test_lambert_93_goes_in_and_out(client: TestClient) -> None:
    lambert = "http://www.opengis.net/def/crs/EPSG/0/2154"
    answer = client.get(ITEMS, params={"limit": 1, "crs": lambert})
    assert answer.headers["Content-Crs"] == f"<{lambert}>"
    west, south, east, north = shapely.from_geojson(json.dumps(answer.json()["features"][0]["geometry"])).bounds
    assert (west, south) == pytest.approx((419_419, 6_329_664), abs=20)
    box = f"{west},{south},{east},{north}"
    assert _get(client, ITEMS, **{"bbox": box, "bbox-crs": lambert})["numberReturned"] == 1
    assert client.get(ITEMS, params={"bbox": "1,2,3", "bbox-crs": lambert}).status_code == 400
    assert client.get(ITEMS, params={"bbox": "inf,inf,inf,inf", "bbox-crs": lambert}).status_code == 400


@pytest.mark.parametrize(
    ("address", "status", "words"),
    [
        (f"{ITEMS}?limit=0", 400, "limit will not do"),
        (f"{ITEMS}?limit=ten", 400, "limit will not do"),
        (f"{ITEMS}?bbox=1,2,3", 400, "bbox will not do"),
        (f"{ITEMS}?colour=red", 400, "colour is no parameter"),
        (f"{ITEMS}?cursor=abc", 400, "cursor will not do"),
        (f"{ITEMS}?filter=hectares>1", 400, "there is no property hectares"),
        (f"{ITEMS}?filter=area_ha>1&filter-lang=sql", 400, "filter-lang will not do"),
        (f"{ITEMS}?filter=area_ha>1&filter-crs=EPSG:1", 400, "filter-crs will not do"),
        (f"{ITEMS}?f=doc", 400, "f will not do"),
        (f"{ITEMS}?crs=EPSG:1", 400, "crs will not do"),
        (f"{ITEMS}/none", 404, "There is no alert none."),
        (f"{ITEMS}/{'x' * 200}", 400, "feature_id will not do"),
        ("/api/v1/collections/cuts", 400, "collection will not do"),
        ("/api/v1/collections/outlines/items/x.9", 404, "There is no outline"),
        ("/api/v1/collections/zones/items/x.9", 404, "There is no zone"),
        ("/api/v1/alerts/none/history", 404, "There is no alert"),
        ("/api/v1/tiles/alerts/3/9/1.mvt", 404, "There is no tile"),
        ("/api/v1/feeds/departements/4.atom", 400, "departement will not do"),
        ("/nothing", 404, "There is nothing at /nothing"),
        (f"{ITEMS}?commune={'x' * 9000}", 414, "longer than"),
    ],
)
def test_what_will_not_do_is_told_in_one_sentence(client: TestClient, address: str, status: int, words: str) -> None:
    answer = client.get(address)
    assert (answer.status_code, answer.json()["code"]) == (status, str(status))
    assert words in answer.json()["description"]


def test_who_has_seen_it_is_told_so_until_the_store_changes(client: TestClient, filled: Database) -> None:
    for address in (
        ITEMS,
        f"{ITEMS}/{FOUND[0].id}",
        "/api/v1/tiles/alerts/5/15/11.mvt",
        "/api/v1/feeds/departements/40.atom",
    ):
        tag = client.get(address).headers["ETag"]
        assert client.get(address, headers={"If-None-Match": f'"x", {tag}'}).status_code == 304
        assert client.get(f"{address}?f=json", headers={"If-None-Match": tag}).status_code in (200, 400)
    tag = client.get(ITEMS).headers["ETag"]
    ingest(filled, scan_files([found_alert(99)], "2026-11"), data_dir=Path("data"))
    assert client.get(ITEMS, headers={"If-None-Match": tag}).status_code == 200


def test_every_answer_carries_what_browsers_and_people_need(client: TestClient) -> None:
    for address in (ITEMS, "/nothing", f"{ITEMS}?limit=0"):
        headers = client.get(address, headers={"X-Request-ID": "abcdef-123456"}).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert (headers["X-Content-Type-Options"], headers["X-Frame-Options"]) == ("nosniff", "DENY")
        assert headers["X-Request-ID"] == "abcdef-123456"
        assert "access-control-allow-origin" not in headers
    assert re.fullmatch("[0-9a-f]{16}", client.get("/health", headers={"X-Request-ID": "<x>"}).headers["X-Request-ID"])


def test_other_pages_may_read_where_they_are_named(filled: Database) -> None:
    with _client(filled, cors_origins="https://carte.example") as client:
        for origin, allowed in (("https://carte.example", "https://carte.example"), ("https://other.example", None)):
            answer = client.get("/health", headers={"Origin": origin})
            assert answer.headers.get("access-control-allow-origin") == allowed


def test_too_many_requests_are_told_when_to_come_back(filled: Database) -> None:
    with _client(filled, requests_per_minute=3) as client:
        answers = [client.get("/health") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60


def test_writes_need_a_token(client: TestClient, filled: Database) -> None:
    address = f"/api/v1/alerts/{FOUND[0].id}/reviews"
    body = {"state": "rejected", "reason": "snow"}
    token = create_token(filled, "forêt", frozenset({Right.REVIEW}), None)
    for header in (None, "Bearer syl_wrong", "Basic x", f"Bearer {token}x", f"bearer{token}"):
        refused = client.post(address, json=body, headers={} if header is None else {"Authorization": header})
        assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
    good = {"Authorization": f"Bearer {token}", "Idempotency-Key": "abcd-1234"}
    assert client.post(address, json=body, headers=good).status_code == 201
    again = client.post(address, json=body, headers=good)
    assert (again.status_code, len(again.json()["reviews"])) == (200, 1)
    assert _get(client, ITEMS, review="rejected")["features"][0]["id"] == FOUND[0].id
    for wrong in (
        {"state": "rejected"},
        {"state": "gone"},
        {"state": "confirmed", "x": 1},
        {"state": "confirmed", "reason": "snow"},
    ):
        assert client.post(address, json=wrong, headers={"Authorization": f"Bearer {token}"}).status_code == 400
    revoke_token(filled, "forêt")
    assert client.post(address, json=body, headers=good).status_code == 401
    assert client.get(ITEMS, headers=good).status_code == 401


def test_a_long_body_is_refused(filled: Database) -> None:
    token = create_token(filled, "t", frozenset({Right.REVIEW}), None)
    with _client(filled, max_body_bytes=2000) as client:
        address, headers = f"/api/v1/alerts/{FOUND[0].id}/reviews", {"Authorization": f"Bearer {token}"}
        assert client.post(address, content=b"{" + b" " * 3000, headers=headers).status_code == 413
        chunks = client.post(address, content=iter([b"{"] + [b" " * 1500] * 3), headers=headers)
        assert chunks.status_code == 413


def test_history_tells_all_that_was_said(client: TestClient, filled: Database) -> None:
    ingest(filled, scan_files([found_alert(1, latitude=44.01, area_ha=9.0)], "2026-11"), data_dir=Path("data"))
    told = _get(client, f"/api/v1/alerts/{FOUND[0].id}/history")
    assert [line["area_ha"] for line in told["outlines"]] == [1.0, 9.0]
    assert told["evaluations"][0]["rules_version"] == "r1"
    one = _get(client, f"/api/v1/collections/outlines/items/{told['outlines'][0]['outline']}")
    assert one["properties"]["area_ha"] == 1.0


def test_vector_tiles_hold_counts_from_afar_and_outlines_from_near(client: TestClient) -> None:
    far = mapbox_vector_tile.decode(client.get("/api/v1/tiles/alerts/4/7/5.mvt").content)
    counted = [feature["properties"] for feature in far["cells"]["features"]]
    assert sum(each["alerts"] for each in counted) == 30
    assert sum(each["abusive"] for each in counted) == 20
    assert sum(each["area_ha"] for each in counted) == pytest.approx(sum(range(1, 31)))
    # The tile of zoom 14 around -0.5, 44.01.
    near = mapbox_vector_tile.decode(client.get("/api/v1/tiles/alerts/14/8169/5956.mvt").content)
    told = {feature["properties"]["id"]: feature["properties"] for feature in near["alerts"]["features"]}
    assert FOUND[0].id in told
    assert told[FOUND[0].id]["area_ha"] == 1.0
    assert client.get("/api/v1/tiles/alerts/14/1/1.mvt").content == b""


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("min_area_ha=20.5", 10),
        ("potentially_abusive=false", 10),
        ("departement=33", 0),
        ("filter=area_ha > 28", 2),
        ("bbox=0,0,1,1", 30),
        ("sortby=-area_ha", 30),
    ],
)
def test_vector_tiles_are_filtered_as_the_items_are(client: TestClient, asked: str, expected: int) -> None:
    far = mapbox_vector_tile.decode(client.get(f"/api/v1/tiles/alerts/4/7/5.mvt?{asked}").content)
    assert sum(each["properties"]["alerts"] for each in far.get("cells", {"features": []})["features"]) == expected
    if "bbox" not in asked:
        near = mapbox_vector_tile.decode(client.get(f"/api/v1/tiles/alerts/12/2042/1487.mvt?{asked}").content)
        found = {each["properties"]["area_ha"] for each in near.get("alerts", {"features": []})["features"]}
        whole = mapbox_vector_tile.decode(client.get("/api/v1/tiles/alerts/12/2042/1487.mvt").content)
        there = {each["properties"]["area_ha"] for each in whole["alerts"]["features"]}
        assert len(there) > 3
        assert found == {area for area in there if _met(asked, area)}
    assert client.get("/api/v1/tiles/alerts/4/7/5.mvt?colour=red").status_code == 400


def _met(asked: str, area_ha: float) -> bool:
    rules = {
        "min_area_ha=20.5": area_ha >= 20.5,
        "potentially_abusive=false": area_ha <= 10,
        "departement=33": False,
        "filter=area_ha > 28": area_ha > 28,
    }
    return rules.get(asked, True)


def test_zones_are_taken_from_the_layers(client: TestClient, filled: Database, tmp_path: Path) -> None:
    assert take_zones(filled, LayerStore(tmp_path / "layers")).layers == {}
    assert _get(client, "/api/v1/collections/zones/items")["features"] == []


def test_the_service_says_how_it_does(client: TestClient) -> None:
    assert _get(client, "/health")["status"] == "ok"
    ready = _get(client, "/ready")
    assert ready["revision"] == 1
    client.get(ITEMS)
    text = client.get("/metrics").text
    assert f'route="{ITEMS}",status="200"' in text
    assert "sylvigie_http_seconds_bucket" in text


def test_a_store_that_fails_is_told_without_what_it_said(filled: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with _client(filled) as client:
        with filled.altering() as connection:
            connection.exec_driver_sql("ALTER TABLE alert_documents RENAME TO gone")
        answer = client.get(ITEMS)
        assert answer.status_code == 503
        assert "gone" not in answer.text
        assert str(filled.url.database) not in answer.text
        monkeypatch.setattr("api.routes.health.software_version", lambda: 1 / 0)
        fault = client.get("/health")
        assert (fault.status_code, fault.headers["X-Frame-Options"]) == (500, "DENY")
        assert fault.headers["X-Request-ID"] in fault.json()["description"]


def test_it_does_not_start_without_a_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="db upgrade"), TestClient(create_app(Settings(data_dir=tmp_path))):
        pass


def test_every_route_names_the_right_that_it_takes(tmp_path: Path) -> None:
    of_the_app = create_app(Settings(data_dir=tmp_path)).routes
    routes = [route for each in (of_the_app, *(router.routes for router in ROUTERS)) for route in each]
    routes = [route for route in routes if isinstance(route, APIRoute)]
    assert len(routes) > 10
    for route in routes:
        checks = [each.call.__name__ for each in route.dependant.dependencies if each.call is not None]
        named = [
            name for name in checks if name in {"may_anybody", "may_signed_in", *(f"may_{right}" for right in Right)}
        ]
        assert named, f"{route.path} names no right"
        if route.methods != {"GET"}:
            assert set(named) - {"may_read", "may_operate"}, f"{route.path} writes, and anybody may"
