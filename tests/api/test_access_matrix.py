"""Every route by every role, from the table of routes; and no person's name in anything that the public can get."""

from __future__ import annotations

import datetime as dt
import io
import itertools
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from uuid import uuid4

import pyarrow.parquet as pq
import pytest
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from api.exports import ExportFormat
from api.identity.roles import ROLE_RIGHTS, Right, Role
from api.main import ROUTERS
from api.store.comments import comment
from api.store.database import Database
from api.store.ingesting import ingest
from api.store.reports import SentReport, keep_follow_up, keep_report
from api.store.reviews import Decision, assign, review
from detector.alerts import ReviewState
from models.causes import Cause
from tests.api.alerts import found_alert, scan_files
from tests.api.people import by, person, service

ROUTES = sorted(
    (route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)),
    key=lambda route: (route.path, sorted(route.methods or ())),
)
FOUND = [
    found_alert(i, latitude=44 + i / 100, departement="40" if i < 4 else "33", area_ha=3.0 + i, criteria=[])
    for i in range(6)
]
SECRET, PUBLISHED = FOUND[0], FOUND[5]
NAMES = ("Zoé Kerguélen", "Bûcheronnage Xylo", "Ydris Quinquis", "Volodia Wintz", "chemin Zzyzx")
PATH = {
    "alert_id": SECRET.id,
    "feature_id": SECRET.id,
    "collection": "alerts",
    "moment": "before",
    "form": "png",
    "layer": "state",
    "departement": "40",
    "z": "9",
    "x": "255",
    "y": "186",
    "report_id": str(uuid4()),
    "comment_id": str(uuid4()),
    "user_id": "999999",
    "photo_id": str(uuid4()),
    "token": "x" * 43,
    "subscription": "999",
    "key_id": "999999",
    "id": SECRET.id,
    "who": "benevole",
    "name": "none.js",
}
MAY = {
    **{right.value: frozenset(role for role in Role if right in ROLE_RIGHTS[role]) for right in Right},
    # What is there to sign in with; and what is one's own account's.
    "anybody": frozenset(Role),
    "signed_in": frozenset(Role) - {Role.PUBLIC},
}
"""Who may do what each rule names."""
TO_SIGN_IN = {
    "POST /session",
    "POST /invitations/accept",
    "POST /resets",
    "POST /resets/accept",
    "GET /oidc/start",
    "GET /oidc/callback",
}
"""What takes no right, of /api/v1/auth: a route that is added to these is added here."""
ITEMS = "/api/v1/collections/alerts/items"


@pytest.fixture
def client(store: Database) -> Iterator[TestClient]:
    ingest(store, scan_files(FOUND), data_dir=Path("data"))
    people = {
        Role.VOLUNTEER.value: person(store, NAMES[0], Role.VOLUNTEER, "33"),
        Role.ANALYST.value: person(store, NAMES[2], Role.ANALYST),
        Role.ADMINISTRATOR.value: person(store, NAMES[3], Role.ADMINISTRATOR),
    }
    volunteer, analyst = people["volunteer"], people["analyst"]
    ways = {SECRET.id: [ReviewState.UNCERTAIN], PUBLISHED.id: [ReviewState.CONFIRMED, ReviewState.PUBLISHED]}
    for alert_id, states in ways.items():
        for state in states:
            review(store, alert_id, Decision(state, comment=f"vu avec {NAMES[0]}"), analyst.author)
        comment(store, alert_id, uuid4(), f"appelé {NAMES[0]}", analyst.author)
        answers = {"company": NAMES[1], "owner": NAMES[2], "comment": f"{NAMES[3]}, {NAMES[4]}"}
        report = SentReport(uuid4(), alert_id, dt.date(2026, 11, 20), answers)
        keep_report(store, report, volunteer.author)
        keep_follow_up(store, report.id, {"steps_taken": f"plainte par {NAMES[2]}"}, analyst.author)
    review(store, FOUND[1].id, Decision(ReviewState.REJECTED, Cause.FIRE, comment=NAMES[3]), analyst.author)
    assign(store, [FOUND[2].id], volunteer.user_seq or 0, analyst.author)
    with service(store, people) as client:
        yield client


def _rights(route: APIRoute) -> set[str]:
    called = [each.call.__name__ for each in route.dependant.dependencies if each.call is not None]
    return {name.removeprefix("may_") for name in called if name.startswith("may_")}


def _address(route: APIRoute, **changed: str) -> str:
    path: Mapping[str, str] = PATH | changed
    return re.sub(r"\{(\w+)\}", lambda name: path[name[1]], route.path)


def _readable(content: bytes) -> str:
    """What is written in an answer, taken out of what packs it."""
    if content[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(content)) as workbook:
            return "".join(workbook.read(name).decode("utf-8", "replace") for name in workbook.namelist())
    if content[:4] == b"PAR1":
        table = pq.read_table(io.BytesIO(content))
        return f"{table.schema} {table.to_pylist()}"
    return content.decode("utf-8", "replace")


def test_every_route_answers_each_role_as_the_right_that_it_names(client: TestClient) -> None:
    asked = 0
    for route, role in itertools.product(ROUTES, Role):
        needed = _rights(route)
        assert needed, f"{route.path} names no right"
        assert needed <= set(MAY)
        for method in sorted(route.methods or ()):
            where = f"{role} {method} {_address(route)}"
            status = client.request(method, _address(route), headers=by(role.value)).status_code
            if all(role in MAY[rule] for rule in needed):
                assert status not in (401, 403), f"{where} is refused: {status}"
            else:
                assert status == (401 if role is Role.PUBLIC else 403), f"{where}: {status}"
            assert status < 500, where
            asked += 1
    assert asked > 100


def test_only_what_signs_people_in_takes_no_right() -> None:
    open_to_all = {
        f"{method} {route.path.removeprefix('/api/v1/auth')}"
        for route in ROUTES
        if "anybody" in _rights(route)
        for method in route.methods or ()
    }
    assert open_to_all == TO_SIGN_IN


def test_who_may_not_know_of_an_alert_is_told_that_there_is_none(client: TestClient) -> None:
    of_an_alert = [route for route in ROUTES if re.search(r"\{(alert|feature)_id\}", route.path)]
    assert len(of_an_alert) > 8
    for route, role in itertools.product(of_an_alert, (Role.PUBLIC, Role.VOLUNTEER)):
        if route.methods == {"GET"}:
            status = client.get(_address(route), headers=by(role.value)).status_code
            assert status in (401, 404), f"{role} GET {_address(route)}: {status}"


def test_no_answer_to_the_public_holds_a_persons_name(client: TestClient, capfd: pytest.CaptureFixture[str]) -> None:
    addresses = [f"{ITEMS}?f={form}" for form in ExportFormat]
    addresses += [f"{ITEMS}?filter=review = 'published'", f"{ITEMS}?sortby=-area_ha", "/api/v1/openapi.json"]
    addresses += [f"{ITEMS}?filter=comment = 'x'", f"{ITEMS}/{NAMES[0]}", f"/{NAMES[0]}"]
    for route, found in itertools.product(ROUTES, (SECRET, PUBLISHED)):
        if route.methods == {"GET"}:
            addresses.append(_address(route, alert_id=found.id, feature_id=found.id))
    told = 0
    for address, who in itertools.product(addresses, ("public", "volunteer")):
        answer = client.get(address, headers=by(who))
        told += answer.status_code == 200
        # What a volunteer has written themselves, or was written to them of their own département, is theirs to read.
        own = who == "volunteer" and re.search("reports|comments|auth/me", address)
        for name in NAMES:
            if not own and name not in address:
                assert name not in _readable(answer.content), f"{who} reads {name} at {address}"
    assert told > 40
    # Nor does the log, which names the route and not the address.
    log = "".join(capfd.readouterr())
    assert "/api/v1/reports/{report_id}" in log
    assert not [name for name in NAMES if name in log]


def test_the_public_gets_the_published_alerts_alone_in_every_form(client: TestClient) -> None:
    hidden = [found.id for found in FOUND if found is not PUBLISHED]
    addresses = [f"{ITEMS}?f={form}" for form in ("geojson", "geojsonl", "csv", "kml", "gpx")]
    addresses += ["/api/v1/collections/outlines/items?limit=100", "/api/v1/feeds/departements/33.atom"]
    for address in addresses:
        text = client.get(address).text
        assert PUBLISHED.id in text
        assert not [name for name in hidden if name in text]
    tile = "/api/v1/tiles/alerts/5/15/11.mvt"
    of_all, of_the_public = client.get(tile, headers=by("analyst")).content, client.get(tile).content
    assert len({of_all, of_the_public, b""}) == 3
