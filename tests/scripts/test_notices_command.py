"""The commands of notices, from a subscription to what is sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.store.database import Database, database_url
from api.store.ingesting import ingest
from api.store.upgrading import upgrade
from scripts.cli import app
from scripts.notices_command import send_month
from tests.api.alerts import found_alert, scan_files
from tests.api.notices.servers import Hook, http_server
from tiles.errors import InvalidParameterError, NotFoundError, StoreError

Run = Callable[..., list[str]]


@pytest.fixture
def hook() -> Iterator[Hook]:
    with http_server() as hook:
        yield hook


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Lines that a command prints."""
    monkeypatch.setenv("SYLVIGIE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SYLVIGIE_PUBLIC_URL", "https://sylvigie.exemple.fr")
    monkeypatch.setenv("SYLVIGIE_WEBHOOK_PRIVATE_HOSTS", "true")
    database = Database(database_url(None, tmp_path))
    upgrade(database)
    database.close()

    def run(*words: str) -> list[str]:
        result = CliRunner().invoke(app, words, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output.splitlines()

    return run


def _put(root: Path, *numbers: int) -> None:
    database = Database(database_url(None, root))
    found = [found_alert(number, latitude=44.0 + number, departement="40") for number in numbers]
    ingest(database, scan_files(found), data_dir=root)
    database.close()


def test_from_a_subscription_to_a_notice(run: Run, hook: Hook, tmp_path: Path) -> None:
    asked = ["--departement", "40", "--departement", "33", "--min-area-ha", "2"]
    assert run("subscriptions", "add", "webhook", hook.url, *asked) == ["subscription 1: added."]
    assert run("subscriptions", "add", "email", "garde@exemple.fr", "--abusive-only", "--criterion", "area") == [
        "subscription 2: added."
    ]
    first, second = map(json.loads, run("subscriptions", "list"))
    assert first["address"] == hook.url.replace("hooks/key", "…")
    assert (first["departements"], first["min_area_ha"], first["ended"]) == (["33", "40"], 2.0, None)
    assert (second["criteria"], second["abusive_only"]) == (["area"], True)
    _put(tmp_path, 1, 2)
    told = ["subscription 1 (webhook): 2 alerts, 5.0 ha.", "0 waiting. Nothing was written."]
    assert run("notices", "send", "--dry-run") == told
    assert run("notices", "send", "--dry-run") == told
    assert hook.posts == []
    assert run("notices", "send") == ["1 sent, 0 waiting, 0 given up."]
    assert run("notices", "send") == ["0 sent, 0 waiting, 0 given up."]
    assert len(hook.posts) == 1
    assert run("subscriptions", "end", "1") == ["subscription 1: ended."]
    first, second = map(json.loads, run("subscriptions", "list"))
    assert (first["address"], first["ended"] is None, second["ended"]) == ("", False, None)
    with pytest.raises(NotFoundError, match="no subscription 1 that stands"):
        run("subscriptions", "end", "1")


def test_what_is_not_sent_is_told(run: Run, hook: Hook, tmp_path: Path) -> None:
    hook.answers += [404]
    run("subscriptions", "add", "webhook", hook.url)
    run("subscriptions", "add", "email", "garde@exemple.fr")
    _put(tmp_path, 1)
    assert run("notices", "send") == [
        "notice 1 of subscription 1 given up: HTTP 404: it will not take it",
        "email: set SYLVIGIE_SMTP_URL and SYLVIGIE_MAIL_FROM to send mail",
        "0 sent, 1 waiting, 1 given up.",
    ]


def test_what_a_month_tells(run: Run, hook: Hook, tmp_path: Path) -> None:
    run("subscriptions", "add", "webhook", hook.url)
    _put(tmp_path, 1)
    assert send_month(tmp_path) == {"sent": 1, "waiting": 0, "given_up": 0, "reasons": []}


def test_a_mail_server_that_will_not_do_does_not_hold_the_webhooks(
    run: Run, hook: Hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYLVIGIE_SMTP_URL", "https://user:secret@exemple.fr")
    monkeypatch.setenv("SYLVIGIE_MAIL_FROM", "alertes@exemple.fr")
    run("subscriptions", "add", "email", "garde@exemple.fr")
    run("subscriptions", "add", "webhook", hook.url)
    _put(tmp_path, 1)
    said = run("notices", "send")
    assert said[0].startswith("email: SYLVIGIE_SMTP_URL will not do")
    assert said[-1] == "1 sent, 1 waiting, 0 given up."
    assert "secret" not in "".join(said)


def test_a_channel_that_is_none(run: Run) -> None:
    with pytest.raises(InvalidParameterError, match="email and webhook"):
        run("subscriptions", "add", "pigeon", "nowhere")


def test_without_a_store_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="There is no store"):
        send_month(tmp_path)
    assert list(tmp_path.iterdir()) == []
