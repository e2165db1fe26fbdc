"""The page's files as the service answers them, and what the page is told before anything else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from api.main import create_app
from api.routes import page
from api.settings import Settings
from api.store.database import Database
from api.store.ingesting import ingest
from tests.api.alerts import found_alert, scan_files

SOURCE = Path(__file__).parents[2] / "api" / "page" / "src"


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A built page, in small."""
    folder = tmp_path / "web"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>Sylvigie</title>")
    (folder / "worker.js").write_text("self;")
    (folder / "assets" / "index-a1B2c3D4.js").write_text("export {};")
    (folder / "assets" / "plain.css").write_text("a{}")
    (tmp_path / "secret.txt").write_text("secret")
    monkeypatch.setattr(page, "WEB_FOLDER", folder)
    return folder


def _client(store: Database, **given: Any) -> TestClient:
    url = SecretStr(store.url.render_as_string(hide_password=False))
    return TestClient(create_app(Settings(database_url=url, **given)), raise_server_exceptions=False)


@pytest.fixture
def client(store: Database) -> Iterator[TestClient]:
    with _client(store) as client:
        yield client


def test_the_page_knows_the_same_rooms_as_the_service() -> None:
    told = re.findall(r'pattern: "([^"]+)"', (SOURCE / "rooms.ts").read_text(encoding="utf-8"))
    assert [re.sub(r":(\w+)", r"{\1}", pattern) for pattern in told] == list(page.ROOMS)


@pytest.mark.parametrize(
    "room", ["/", "/alertes/SYL-1", "/alertes/SYL-1/fiche", "/revue", "/invitation", "/guide/benevole", "/index.html"]
)
def test_each_room_is_the_page(client: TestClient, web: Path, room: str) -> None:
    answer = client.get(room)
    assert answer.status_code == 200
    assert "Sylvigie" in answer.text
    assert answer.headers["cache-control"] == "no-cache"


def test_the_policy_lets_in_no_script_but_our_own(client: TestClient, web: Path) -> None:
    for address in ("/", "/worker.js", "/assets/index-a1B2c3D4.js"):
        policy = client.get(address).headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "script-src 'self';" in policy
        # The base map's server is in for pictures alone, and for who keeps them.
        assert policy.count("https://data.geopf.fr") == 2
    assert "geolocation=(self)" in client.get("/").headers["permissions-policy"]
    assert "default-src 'none'; frame-ancestors" in client.get("/api/v1").headers["content-security-policy"]


def test_without_a_base_map_nobody_else_is_let_in(store: Database, web: Path) -> None:
    with _client(store, basemap_url="none") as client:
        assert "http" not in client.get("/").headers["content-security-policy"]
        assert client.get("/api/v1/page").json()["basemap"] is None


def test_files_whose_names_change_with_them_are_kept_for_good(client: TestClient, web: Path) -> None:
    assert "immutable" in client.get("/assets/index-a1B2c3D4.js").headers["cache-control"]
    assert client.get("/assets/plain.css").headers["cache-control"] == "no-cache"
    assert client.get("/worker.js").headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "address", ["/assets/..%2f..%2fsecret.txt", "/assets/%2e%2e", "/assets/none.js", "/secret.txt", "/alertes"]
)
def test_nothing_else_is_given_out(client: TestClient, web: Path, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code in (400, 404)
    assert "secret" not in answer.text.replace("secret.txt", "")


def test_where_the_page_is_not_built_the_answer_says_how(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "WEB_FOLDER", tmp_path / "none")
    answer = client.get("/")
    assert answer.status_code == 404
    assert "make web" in answer.json()["description"]
    assert client.get("/api/v1").status_code == 200


def test_the_page_is_told_of_maps_and_of_where_alerts_lie(client: TestClient, store: Database) -> None:
    assert client.get("/api/v1/page").json()["extent"] is None
    ingest(store, scan_files([found_alert(1, longitude=1.5, latitude=46)]), data_dir=Path("data"))
    told = client.get("/api/v1/page").json()
    assert told["extent"] == pytest.approx([1.5, 46, 1.502, 46.002])
    assert (told["openid"], told["accounts"]) == (False, False)
    layers = {layer["id"]: layer for layer in told["basemap"]["layers"]}
    assert layers["plan"]["layer"] == "GEOGRAPHICALGRIDSYSTEMS.PLANIGNV2"
    assert {layer["kind"] for layer in layers.values()} == {"base", "overlay"}
