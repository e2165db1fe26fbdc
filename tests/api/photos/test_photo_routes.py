"""Photos over HTTP: as a client of the tus protocol sends them, and as nobody should."""

from __future__ import annotations

import base64
import socket
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import hypothesis
import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck
from pydantic import SecretStr
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import status_code_conformance
from starlette.testclient import TestClient

from api.access import create_token
from api.identity.roles import Right
from api.main import create_app
from api.service import Service
from api.settings import Settings
from api.store.database import Database
from api.store.photos import photos_of
from tests.api.photos.pictures import NAME, png_of_size, telling_jpeg
from tests.api.photos.reports import PHOTO, REPORT, add_report
from tests.api.photos.test_uploads import FullPhotos

PHOTOS = "/api/v1/photos"
CAME = telling_jpeg()
schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")
PART = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}


def _metadata(**told: str) -> str:
    told = {"id": PHOTO, "report": REPORT, "kind": "soil", "filename": NAME} | told
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in told.items())


@pytest.fixture
def reported(sqlite_store: Database) -> Database:
    add_report(sqlite_store)
    return sqlite_store


@pytest.fixture
def settings(reported: Database, tmp_path: Path) -> Settings:
    address = reported.url.render_as_string(hide_password=False)
    return Settings(database_url=SecretStr(address), data_dir=tmp_path / "data", max_photo_bytes=2_000_000)


@pytest.fixture
def client(settings: Settings, reported: Database) -> Iterator[TestClient]:
    token = create_token(reported, "t", frozenset({Right.REPORT}), None)
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        client.headers["Authorization"] = f"Bearer {token}"
        yield client


def _begin(client: TestClient, length: int = len(CAME), **told: str) -> httpx2.Response:
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": str(length), "Upload-Metadata": _metadata(**told)}
    return client.post(PHOTOS, headers=headers)


def _send(client: TestClient, place: str, data: bytes, offset: int = 0) -> httpx2.Response:
    return client.patch(place, content=data, headers=PART | {"Upload-Offset": str(offset)})


def _offset(client: TestClient, place: str) -> int:
    answer = client.head(place, headers=PART)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    return int(answer.headers["Upload-Offset"])


def test_a_photo_is_sent_in_parts_and_given_out_without_what_it_told(client: TestClient, reported: Database) -> None:
    begun = _begin(client)
    assert begun.status_code == 201
    place = begun.headers["Location"]
    assert place.endswith(f"{PHOTOS}/uploads/{PHOTO}")
    assert parsedate_to_datetime(begun.headers["Upload-Expires"]).timestamp() > time.time() + 6 * 86_400
    first = _send(client, place, CAME[:700])
    assert (first.status_code, first.headers["Upload-Offset"], first.headers["Tus-Resumable"]) == (204, "700", "1.0.0")
    assert client.get(f"{PHOTOS}/{PHOTO}").status_code == 404
    assert _offset(client, place) == 700
    wrong = _send(client, place, CAME)
    assert (wrong.status_code, wrong.headers["Tus-Resumable"]) == (409, "1.0.0")
    assert _send(client, place, CAME[700:], 700).status_code == 204
    assert _offset(client, place) == len(CAME)
    assert _begin(client).status_code == 200
    assert len(photos_of(reported, REPORT)) == 1
    for address, kind, head in ((PHOTO, "image/jpeg", b"\xff\xd8"), (f"{PHOTO}/thumbnail", "image/webp", b"RIFF")):
        given = client.get(f"{PHOTOS}/{address}")
        assert (given.status_code, given.headers["Content-Type"]) == (200, kind)
        assert given.headers["Cache-Control"].startswith("private")
        assert given.headers["X-Content-Type-Options"] == "nosniff"
        assert given.content.startswith(head)
        for told in (NAME.encode(), b"Exif", b"2026:10"):
            assert told not in given.content
        seen = {"If-None-Match": given.headers["ETag"]}
        assert client.get(f"{PHOTOS}/{address}", headers=seen).status_code == 304


def test_each_refusal_is_one_sentence(client: TestClient) -> None:
    place = _begin(client).headers["Location"]
    other = str(UUID(int=71))
    for answer, status, words in (
        (client.post(PHOTOS), 412, "Tus-Resumable"),
        (client.head(place, headers={"Tus-Resumable": "0.2.2"}), 412, ""),
        (_begin(client, 2_000_001, id=other), 413, "2000000"),
        (_begin(client, 0, id=other), 400, "upload-length"),
        (_begin(client, id=other, kind="selfie"), 400, "kind"),
        (_begin(client, id="../../etc/passwd"), 400, "Upload-Metadata"),
        (_begin(client, id=other, report=str(UUID(int=1))), 404, "no report"),
        (_begin(client, kind="cut"), 409, "another photo"),
        (client.patch(place, content=b"x", headers={"Tus-Resumable": "1.0.0", "Upload-Offset": "0"}), 415, "part"),
        (_send(client, place, CAME + b"x"), 409, "More came"),
        (_send(client, f"{PHOTOS}/uploads/{other}", b"x"), 404, "no upload"),
        (_send(client, f"{PHOTOS}/uploads/x", b"x"), 400, "photo_id"),
        (_send(client, place, b"x" * 2_000_001), 413, "longer"),
        (client.get(f"{PHOTOS}/{other}"), 404, "no photo"),
    ):
        assert answer.status_code == status, answer.text
        if words:
            assert words.lower() in answer.json()["description"].lower()
    assert _offset(client, place) == 0


def test_hostile_files_are_refused_and_forgotten(client: TestClient, tmp_path: Path) -> None:
    for came in (png_of_size(60_000, 60_000), b"<svg/>", CAME[:2000], b"GIF89a" + CAME):
        place = _begin(client, len(came)).headers["Location"]
        refused = _send(client, place, came)
        assert (refused.status_code, refused.json()["code"]) == (400, "400")
        assert client.head(place, headers=PART).status_code == 404
    assert not (tmp_path / "data" / "photos").exists()


def test_nobody_sends_or_sees_without_a_token(client: TestClient) -> None:
    place = _begin(client).headers["Location"]
    _send(client, place, CAME)
    del client.headers["Authorization"]
    for answer in (
        _begin(client),
        _send(client, place, b"x"),
        client.head(place, headers=PART),
        client.get(f"{PHOTOS}/{PHOTO}"),
        client.get(f"{PHOTOS}/{PHOTO}/thumbnail"),
    ):
        assert answer.status_code == 401


def test_a_full_disk_is_told_and_the_photo_can_come_later(client: TestClient, tmp_path: Path) -> None:
    service: Service = client.app.state.service  # type: ignore[attr-defined]
    files = FullPhotos(tmp_path / "full")
    service.uploads._files = files
    place = _begin(client).headers["Location"]
    full = _send(client, place, CAME)
    assert full.status_code == 507
    assert "report itself is kept" in full.json()["description"]
    assert str(tmp_path) not in full.text
    assert client.head(place, headers=PART).status_code == 507
    files.room = 2
    assert _offset(client, place) == len(CAME)


def test_only_uploads_may_be_long(client: TestClient) -> None:
    assert client.post("/api/v1/alerts/x/reviews", content=b" " * 1_000_001).status_code == 413
    assert _begin(client).status_code == 201
    # Longer than other bodies may be: looked at by the route, not turned away at the gate.
    assert _send(client, f"{PHOTOS}/uploads/{PHOTO}", b"x" * 1_500_000).status_code == 409


def test_whatever_is_sent_is_answered_as_described(client: TestClient) -> None:
    place = _begin(client).headers["Location"]
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", client.app)
    operations = [each.ok() for each in schema.get_all_operations() if isinstance(each, Ok)]
    operations = [each for each in operations if each.path.startswith(PHOTOS)]
    assert len(operations) == 5
    for operation in operations:

        @hypothesis.settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @hypothesis.given(case=operation.as_strategy())
        def holds(case: Any) -> None:
            case.call_and_validate(
                checks=[not_a_server_error, status_code_conformance],
                headers={"Authorization": client.headers["Authorization"], "Tus-Resumable": "1.0.0"},
            )

        holds()
    assert _offset(client, place) == 0


@pytest.fixture
def server(settings: Settings) -> Iterator[int]:
    """The service on a port of the loopback."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(create_app(settings), log_level="error", ws="none")
        running = uvicorn.Server(config)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
        thread.start()
        while not running.started:
            time.sleep(0.01)
        yield int(listening.getsockname()[1])
        running.should_exit = True
        thread.join()


def test_a_line_that_breaks_is_gone_on_with(reported: Database, server: int, tmp_path: Path) -> None:
    token = create_token(reported, "t", frozenset({Right.REPORT}), None)
    part, came = tmp_path / "data" / "uploads" / f"{PHOTO}.part", CAME + b" " * 900_000
    client: Any = httpx2.Client(base_url=f"http://127.0.0.1:{server}", headers={"Authorization": f"Bearer {token}"})
    with client:
        place = _begin(client, len(came)).headers["Location"]
        with socket.create_connection(("127.0.0.1", server)) as line:
            lines = {"Host": "x", "Content-Length": str(len(came)), "Upload-Offset": "0", **PART}
            head = "".join(f"{key}: {value}\r\n" for key, value in (dict(client.headers) | lines).items())
            line.sendall(f"PATCH {PHOTOS}/uploads/{PHOTO} HTTP/1.1\r\n{head}\r\n".encode())
            line.sendall(came[:700_000])
            # Until it is being taken.
            _wait_until(lambda: part.exists() and part.stat().st_size > 0)
        # Until the server has taken note that the line is broken, another may not go on.
        _wait_until(lambda: _send(client, place, b"", part.stat().st_size).status_code == 204)
        offset = _offset(client, place)
        assert 0 < offset <= 700_000
        assert _send(client, place, came[offset:], offset).status_code == 204
        assert client.get(f"{PHOTOS}/{PHOTO}").headers["Content-Type"] == "image/jpeg"
    assert len(photos_of(reported, REPORT)) == 1


def _wait_until(done: Callable[[], bool]) -> None:
    for _ in range(500):
        if done():
            return
        time.sleep(0.02)
    raise AssertionError("it does not come to pass")
