"""The service beside those who use it: schemathesis over its own description, GDAL and OWSLib over HTTP."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from owslib.ogcapi.features import Features
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.identity.roles import Role
from api.main import create_app
from api.settings import Settings
from api.store.database import Database, database_url
from api.store.ingesting import ingest
from api.store.upgrading import upgrade
from tests.api.alerts import found_alert, scan_files
from tests.api.people import by, person, service

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")
FOUND = [found_alert(i, latitude=44 + i / 100, departement="40", area_ha=float(i)) for i in range(1, 26)]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a filled store."""
    folder = tmp_path_factory.mktemp("data")
    database = Database(database_url(None, folder))
    upgrade(database)
    ingest(database, scan_files(FOUND), data_dir=folder)
    database.close()
    return folder


def test_no_answer_breaks_the_description(data_dir: Path) -> None:
    app = create_app(Settings(data_dir=data_dir, requests_per_minute=0))
    _ask_everything(app, 12)


@pytest.mark.parametrize("role", [Role.VOLUNTEER, Role.ANALYST, Role.ADMINISTRATOR])
def test_no_answer_to_who_has_signed_in_breaks_the_description(
    sqlite_store: Database, role: Role, tmp_path: Path
) -> None:
    store = sqlite_store
    ingest(store, scan_files(FOUND), data_dir=tmp_path)
    people = {role.value: person(store, "zoé", role, "40"), "other": person(store, "ana", Role.ADMINISTRATOR)}
    with service(store, people, data_dir=tmp_path, requests_per_minute=0) as client:
        _ask_everything(client.app, 5, by(role.value))


def _ask_everything(app: Any, examples: int, headers: dict[str, str] | None = None) -> None:
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", app)
    operations = [each.ok() for each in schema.get_all_operations() if isinstance(each, Ok)]
    assert len(operations) > 50
    for operation in operations:

        @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(case=operation.as_strategy())
        def holds(case: Any) -> None:
            case.call_and_validate(checks=CHECKS, headers=headers)

        holds()


@pytest.fixture(scope="module")
def address(data_dir: Path) -> Iterator[str]:
    """The service in a process of its own, by the command."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = "import sys; sys.argv = sys.argv[1:]; from scripts.cli import main; main()"
    words = ["sylvigie", "serve", "--port", str(port), "--data-dir", str(data_dir)]
    process = subprocess.Popen([sys.executable, "-c", command, *words], stderr=subprocess.DEVNULL)
    try:
        root = f"http://127.0.0.1:{port}"
        for _ in range(600):
            try:
                if httpx.get(f"{root}/ready").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.1)
        yield f"{root}/api/v1"
    finally:
        process.terminate()
        assert process.wait(60) in (0, -15)


def test_gdal_reads_the_alerts(address: str) -> None:
    ogrinfo = shutil.which("ogrinfo")
    if ogrinfo is None:
        pytest.skip("ogrinfo is not installed (Debian: gdal-bin)")
    words = [ogrinfo, "-ro", "-al", "-q", "-fields=yes", "-geom=no", f"OAPIF:{address}", "alerts"]
    words += ["--config", "GDAL_HTTP_TIMEOUT", "30", "-spat", "-1", "44.005", "0", "44.055"]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    # The first five begin within; the last of them ends beyond.
    assert told.count("OGRFeature(alerts)") == 5
    assert "area_ha (Real) = 5" in told
    assert "first_low (Date) = 2026/10/04" in told


def test_owslib_pages_through_them(address: str) -> None:
    client = Features(f"{address}/")
    assert client.feature_collections() == ["alerts", "outlines", "zones"]
    page = client.collection_items("alerts", limit=10)
    assert page["numberReturned"] == 10
    one = client.collection_item("alerts", FOUND[0].id)
    assert one["properties"] == FOUND[0].properties


def test_every_page_is_led_to(address: str) -> None:
    found, link = [], f"{address}/collections/alerts/items?limit=7"
    while link:
        page = httpx.get(link).json()
        found += [feature["id"] for feature in page["features"]]
        link = next((each["href"] for each in page["links"] if each["rel"] == "next"), "")
    assert found == [each.id for each in FOUND]
