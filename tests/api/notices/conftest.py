"""Stores with subscriptions, and servers for them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from api.notices.addresses import Channel
from api.notices.mail import MailSender, MailServer
from api.notices.sending import Senders, SendingResult, send_notices
from api.notices.subscribing import Wanted, subscribe
from api.notices.webhook import WebhookSender
from api.store.database import Database
from api.store.ingesting import ingest
from api.store.scan_files import FoundAlert
from tests.api.alerts import scan_files
from tests.api.notices.servers import Hook, Mailbox, http_server, smtp_server

PUBLIC_URL = "https://sylvigie.exemple.fr"
ADDRESS = "garde@exemple.fr"
on_sqlite = pytest.mark.parametrize("store", ["sqlite"], indirect=True)
"""For what is of the servers that are sent to, not of the store."""


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with smtp_server() as mailbox:
        yield mailbox


@pytest.fixture
def hook() -> Iterator[Hook]:
    with http_server() as hook:
        yield hook


@pytest.fixture
def senders(mailbox: Mailbox, hook: Hook) -> Senders:
    mail = MailSender(MailServer.of_url(mailbox.url), "alertes@exemple.fr")
    return Senders({Channel.EMAIL: mail, Channel.WEBHOOK: WebhookSender(private_hosts=True)})


@pytest.fixture
def send(store: Database, senders: Senders) -> Callable[..., SendingResult]:
    """Sends what is due some hours from now."""

    def send(hours: float = 0) -> SendingResult:
        moment = dt.datetime.now(dt.UTC) + dt.timedelta(hours=hours) if hours else None
        return send_notices(store, PUBLIC_URL, senders, moment)

    return send


def by_mail(store: Database, **wanted: Any) -> int:
    return subscribe(store, Channel.EMAIL, ADDRESS, Wanted(**wanted))


def by_hook(store: Database, hook: Hook, **wanted: Any) -> int:
    return subscribe(store, Channel.WEBHOOK, hook.url, Wanted(**wanted), private_hosts=True)


def put(store: Database, *alerts: FoundAlert, month: str = "2026-10") -> None:
    ingest(store, scan_files(alerts, month), data_dir=Path("data"))
