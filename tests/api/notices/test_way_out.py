"""The link out: to open it ends nothing, to press the button ends the subscription."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from starlette.testclient import TestClient

from api.main import create_app
from api.notices.sending import SendingResult
from api.notices.subscribing import list_subscriptions
from api.settings import Settings
from api.store.database import Database
from api.store.tables import audit_log
from tests.api.alerts import found_alert
from tests.api.notices.conftest import ADDRESS, PUBLIC_URL, by_hook, by_mail, on_sqlite, put
from tests.api.notices.servers import Hook, Mailbox


@pytest.fixture
def client(store: Database) -> Iterator[TestClient]:
    settings = Settings(database_url=SecretStr(store.url.render_as_string(hide_password=False)))
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def link(store: Database, send: Callable[..., SendingResult], mailbox: Mailbox) -> str:
    """The path of the link in a mail."""
    by_mail(store)
    put(store, found_alert(1))
    send()
    return str(mailbox.messages[0]["List-Unsubscribe"]).strip("<>").removeprefix(PUBLIC_URL)


def _stands(store: Database, number: int) -> bool:
    return list_subscriptions(store)[number].ended_at is None


@on_sqlite
def test_a_scanner_of_mail_ends_nothing(client: TestClient, store: Database, link: str) -> None:
    for _ in range(3):
        page = client.get(link)
        assert page.status_code == 200
        assert '<form method="post">' in page.text
        assert "form-action 'self'" in page.headers["content-security-policy"]
        assert page.headers["cache-control"] == "no-store"
    assert client.head(link).status_code in (200, 405)
    assert _stands(store, 0)


def test_one_click_ends_one_subscription(
    client: TestClient, store: Database, link: str, hook: Hook, send: Callable[..., SendingResult]
) -> None:
    by_hook(store, hook)
    # RFC 8058, 3.1: a POST with this body, without anything that tells who it comes from.
    done = client.post(link, data={"List-Unsubscribe": "One-Click"})
    assert (done.status_code, "terminé" in done.text) == (200, True)
    assert [_stands(store, 0), _stands(store, 1)] == [False, True]
    assert list_subscriptions(store)[0].address == ""
    assert client.post(link).status_code == 200
    assert "<form" not in client.get(link).text
    put(store, found_alert(1), found_alert(2, latitude=45.0), month="2026-11")
    assert send().sent == 1
    with store.reading() as connection:
        lines = [tuple(row) for row in connection.execute(sa.select(audit_log.c.actor, audit_log.c.action))]
        kept = str(connection.execute(sa.select(audit_log)).all())
    assert lines.count(("link", "end subscription")) == 1
    assert ADDRESS not in kept


@on_sqlite
@pytest.mark.parametrize("token", ["x", "A" * 43, "A" * 44, "%00", "é" * 43])
def test_other_links_are_none(client: TestClient, store: Database, link: str, token: str) -> None:
    root = link.rpartition("/")[0]
    for answer in (client.get(f"{root}/{token}"), client.post(f"{root}/{token}")):
        assert answer.status_code == 404
        assert "link" in answer.json()["description"]
    assert _stands(store, 0)


@on_sqlite
def test_the_link_is_in_no_log(client: TestClient, link: str, capfd: pytest.CaptureFixture[str]) -> None:
    client.get(link)
    client.post(link)
    out = "".join(capfd.readouterr())
    assert "/api/v1/unsubscribe/{token}" in out
    assert re.search(link.rpartition("/")[2], out) is None
