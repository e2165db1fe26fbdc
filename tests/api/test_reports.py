"""Reports and comments over HTTP: kept once, by version, for those who may read them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import shapely
import sqlalchemy as sa
from starlette.testclient import TestClient

from api.identity.roles import Role
from api.reports.content import FIELDS, FOLLOW_UP
from api.store.database import Database
from api.store.ingesting import ingest
from api.store.tables import audit_log, observation_reports
from tests.api.alerts import found_alert, scan_files
from tests.api.people import by, person, service

FOUND = [found_alert(i, latitude=44 + i / 100, departement="40" if i < 4 else "33") for i in range(6)]
ALERT = FOUND[0].id
BODY: dict[str, Any] = {
    "alert_id": ALERT,
    "observed_on": "2026-11-20",
    "answers": {"weather": "pluie", "company": "Bois et Fils", "owner": "M. Durand", "plantation": "no"},
}


@pytest.fixture
def client(store: Database) -> Iterator[TestClient]:
    ingest(store, scan_files(FOUND), data_dir=Path("data"))
    people = {
        "anna": person(store, "anna", Role.VOLUNTEER, "40"),
        "ben": person(store, "ben", Role.VOLUNTEER, "33"),
        "carla": person(store, "carla", Role.ANALYST),
        "dora": person(store, "dora", Role.ADMINISTRATOR),
    }
    with service(store, people) as client:
        yield client


def _send(client: TestClient, who: str, report: UUID, **changed: Any) -> Any:
    return client.put(f"/api/v1/reports/{report}", json=BODY | changed, headers=by(who))


def _rows(store: Database) -> int:
    with store.reading() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(observation_reports)).scalar_one())


def test_a_report_sent_twice_is_kept_once_and_changed_it_is_a_version_more(client: TestClient, store: Database) -> None:
    report = uuid4()
    first, again = _send(client, "anna", report), _send(client, "anna", report)
    assert (first.status_code, again.status_code, first.json()) == (201, 200, {"id": str(report), "version": 1})
    changed = _send(client, "anna", report, observed_on="2026-11-21", of_version=1)
    assert (changed.status_code, changed.json()["version"]) == (201, 2)
    # The phone did not hear the answer, and sends that again; or the first, which was on its way for long.
    assert _send(client, "anna", report, observed_on="2026-11-21", of_version=1).status_code == 200
    assert _send(client, "anna", report).json()["version"] == 1
    assert _rows(store) == 2
    late = _send(client, "anna", report, observed_on="2026-11-19", of_version=1)
    assert (late.status_code, _rows(store)) == (409, 2)
    assert "version 2" in late.json()["description"]
    versions = client.get(f"/api/v1/reports/{report}", headers=by("anna")).json()["reports"]
    assert [(each["version"], each["observed_on"]) for each in versions] == [(1, "2026-11-20"), (2, "2026-11-21")]
    assert versions[0]["answers"] == BODY["answers"]


def test_a_report_is_its_authors_and_for_who_may_see_people(client: TestClient, store: Database) -> None:
    report = uuid4()
    assert _send(client, "anna", report).status_code == 201
    assert _send(client, "ben", uuid4()).status_code == 404  # an alert that is not for them
    assert _send(client, "ben", report, alert_id=FOUND[5].id).status_code == 404  # another's report
    for who, seen in (("anna", 1), ("ben", 0), ("carla", 1), ("dora", 1)):
        assert len(client.get("/api/v1/reports", headers=by(who)).json()["reports"]) == seen
        assert client.get(f"/api/v1/reports/{report}", headers=by(who)).status_code == (200 if seen else 404)
    assert client.get("/api/v1/reports").status_code == 401
    with store.reading() as connection:
        read = sa.select(audit_log.c.actor, audit_log.c.subject).where(audit_log.c.action == "read")
        noted = {tuple(row) for row in connection.execute(read)}
    assert {subject for _, subject in noted} == {"reports of all alerts", f"reports of {report}"}
    assert len({actor for actor, _ in noted}) == 2


def test_follow_up_is_for_administrators(client: TestClient) -> None:
    report = uuid4()
    _send(client, "anna", report)
    address, body = f"/api/v1/reports/{report}/follow-up", {"answers": {"pefc": "écrit le 3", "steps_taken": "…"}}
    for who in ("anna", "carla"):
        assert client.put(address, json=body, headers=by(who)).status_code == 403
        assert client.get(address, headers=by(who)).status_code == 403
    assert client.put(address, json=body, headers=by("dora")).json()["version"] == 1
    assert client.put(address, json=body, headers=by("dora")).json()["version"] == 1
    assert client.put(address, json={"answers": {}}, headers=by("dora")).json()["version"] == 2
    assert client.get(address, headers=by("dora")).json() == {"answers": {}}
    assert client.get(f"/api/v1/reports/{uuid4()}/follow-up", headers=by("dora")).status_code == 404
    form = client.get("/api/v1/reports/follow-up/form", headers=by("dora")).json()
    assert {field["name"] for field in form} == set(FOLLOW_UP)


WEST, SOUTH = -0.5, 44.0
BOW = [[WEST, SOUTH], [WEST + 0.01, SOUTH + 0.01], [WEST + 0.01, SOUTH], [WEST, SOUTH + 0.01], [WEST, SOUTH]]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"answers": {"colour": "red"}}, "no field colour"),
        ({"answers": {"plantation": "perhaps"}}, "one of yes, no, unknown"),
        ({"answers": {"weather": "x" * 301}}, "longer than 300"),
        ({"answers": {"weather": 3}}, "weather|answers"),
        ({"observed_on": "1999-01-01"}, "not before June 2015"),
        ({"observed_on": "2999-01-01"}, "nor in the future"),
        ({"observed_on": "yesterday"}, "observed_on will not do"),
        ({"outline": {"type": "Polygon", "coordinates": [BOW]}}, "crosses itself"),
        ({"outline": json.loads(shapely.to_geojson(shapely.box(-5, 42, 8, 51)))}, "lies elsewhere"),
        ({"outline": json.loads(shapely.to_geojson(shapely.box(-0.549, 43.951, -0.451, 44.049)))}, "more than 2000 ha"),
        ({"outline": {"type": "Point", "coordinates": [WEST, SOUTH]}}, "Polygon or MultiPolygon"),
        ({"outline": {"type": "Polygon", "coordinates": "x"}}, "Polygon or MultiPolygon"),
        ({"outline": json.loads(shapely.to_geojson(shapely.Point(WEST, SOUTH).buffer(0.001, 1000)))}, "vertices"),
    ],
)
def test_what_will_not_do_is_told_and_nothing_is_kept(
    client: TestClient, store: Database, changed: dict[str, Any], words: str
) -> None:
    refused = _send(client, "anna", uuid4(), **changed)
    assert refused.status_code == 400
    assert re.search(words, refused.json()["description"])
    assert _rows(store) == 0


def test_an_outline_is_corrected_and_texts_lose_what_no_document_can_hold(client: TestClient) -> None:
    report, shape = uuid4(), json.loads(shapely.to_geojson(shapely.box(WEST, SOUTH, WEST + 0.004, SOUTH + 0.002)))
    sent = _send(client, "anna", report, outline=shape, answers={"comment": "<b>gras</b>\x07 =1+1", "weather": "  "})
    assert sent.status_code == 201
    (kept,) = client.get(f"/api/v1/reports/{report}", headers=by("anna")).json()["reports"]
    assert kept["answers"] == {"comment": "<b>gras</b> =1+1"}
    assert shapely.equals(shapely.from_geojson(json.dumps(kept["outline"])), shapely.from_geojson(json.dumps(shape)))


def test_the_form_is_told(client: TestClient) -> None:
    tabs = client.get("/api/v1/reports/form").json()
    fields = [field for tab in tabs for field in tab["fields"]]
    assert {field["name"] for field in fields} == set(FIELDS)
    assert next(field for field in fields if field["name"] == "plantation")["choices"]["yes"] == "Oui"


def test_comments_are_kept_once_and_taken_away_by_their_author(client: TestClient) -> None:
    address, said = f"/api/v1/alerts/{ALERT}/comments", {"id": str(uuid4()), "text": "ornières profondes"}
    assert [client.post(address, json=said, headers=by("anna")).status_code for _ in range(2)] == [201, 200]
    assert client.post(address, json=said | {"text": "autre"}, headers=by("anna")).status_code == 409
    assert client.post(address, json={"id": str(uuid4()), "text": " \x00 "}, headers=by("anna")).status_code == 400
    assert client.post(address, json=said, headers=by("ben")).status_code == 404
    for who, name in (("anna", "anna"), ("carla", "anna")):
        (line,) = client.get(address, headers=by(who)).json()
        assert (line["text"], line["by"], line["mine"]) == ("ornières profondes", name, who == "anna")
    one = f"{address}/{said['id']}"
    assert client.delete(one, headers=by("carla")).status_code == 404
    assert [client.delete(one, headers=by("anna")).status_code for _ in range(2)] == [204, 404]
    assert client.get(address, headers=by("anna")).json() == []


def test_favourites(client: TestClient) -> None:
    for name in (FOUND[1].id, FOUND[0].id, FOUND[1].id):
        assert client.put(f"/api/v1/favourites/{name}", headers=by("anna")).status_code == 204
    assert client.put(f"/api/v1/favourites/{FOUND[5].id}", headers=by("anna")).status_code == 404
    assert client.get("/api/v1/favourites", headers=by("anna")).json() == {"alerts": [FOUND[0].id, FOUND[1].id]}
    assert client.get("/api/v1/favourites", headers=by("ben")).json() == {"alerts": []}
    assert client.delete(f"/api/v1/favourites/{FOUND[0].id}", headers=by("anna")).status_code == 204
    assert client.get("/api/v1/favourites", headers=by("anna")).json() == {"alerts": [FOUND[1].id]}


def test_alerts_are_given_to_people(client: TestClient) -> None:
    items = "/api/v1/collections/alerts/items"
    ben = 2
    body = {"user": ben, "alerts": [ALERT]}
    assert client.post("/api/v1/assignments", json=body, headers=by("anna")).status_code == 403
    assert client.get(f"{items}/{ALERT}", headers=by("ben")).status_code == 404
    assert client.post("/api/v1/assignments", json=body, headers=by("carla")).json() == {"assigned": 1}
    assert client.get(f"{items}/{ALERT}", headers=by("ben")).json()["properties"]["review"] == "assigned"
    whole = client.post("/api/v1/assignments", json={"user": ben, "departement": "40"}, headers=by("carla"))
    assert whole.json() == {"assigned": 3}
    for wrong in ({"user": ben}, body | {"departement": "40"}, {"user": 0, "departement": "40"}):
        assert client.post("/api/v1/assignments", json=wrong, headers=by("carla")).status_code == 400


def test_one_state_of_the_store_is_another_answer_to_each(client: TestClient) -> None:
    items = "/api/v1/collections/alerts/items?limit=100"
    tags = {}
    for who, number in (("anna", 4), ("ben", 2), ("carla", 6), ("nobody", 0)):
        answer = client.get(items, headers=by(who))
        assert answer.json()["numberMatched"] == number
        tags[who] = answer.headers["ETag"]
        kept = {"private" in answer.headers["Cache-Control"]}
        assert kept == {who != "nobody"}
    assert len(set(tags.values())) == 4
    # What one has seen is not what another may.
    assert client.get(items, headers=by("ben") | {"If-None-Match": tags["carla"]}).status_code == 200
    assert client.get(items, headers=by("ben") | {"If-None-Match": tags["ben"]}).status_code == 304
