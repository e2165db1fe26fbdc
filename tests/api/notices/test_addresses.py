"""Addresses that will not do are refused, and none leads where it should not."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
from typing import Any

import pytest

from api.notices.addresses import Channel, checked_address, is_public, shown_address
from api.notices.channels import Answer, Letter
from api.notices.digest import Digest
from api.notices.mail import MailServer
from api.notices.subscribing import Wanted, subscribe
from api.notices.webhook import LONGEST_WAIT, WebhookSender, wait_of
from api.store.database import Database
from tests.api.notices.servers import Hook
from tiles.errors import FilterError, InvalidParameterError

NOW = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)


def _letter(url: str) -> Letter:
    return Letter(url, "<a@b.fr>", NOW, Digest("s", "t", "h", "m", "https://x.fr/u"))


@pytest.mark.parametrize(
    "address",
    [
        "garde",
        "garde@",
        "garde@exemple.fr\nBcc: autre@exemple.fr",
        "garde@exemple.fr, autre@exemple.fr",
        "Garde <garde@exemple.fr>",
        "garde@[127.0.0.1]",
        "gardé@exemple.fr",
    ],
)
def test_mail_addresses_that_will_not_do(address: str) -> None:
    with pytest.raises(InvalidParameterError) as refused:
        checked_address(Channel.EMAIL, address, private_hosts=True)
    assert address not in str(refused.value)


def test_a_domain_with_accents_is_kept_in_ascii() -> None:
    kept = checked_address(Channel.EMAIL, "garde@forêt.fr", private_hosts=False)
    assert kept == f"garde@{'forêt.fr'.encode('idna').decode()}"


@pytest.mark.parametrize(
    "address",
    [
        "http://exemple.fr/hook",
        "ftp://exemple.fr/hook",
        "https://user:secret@exemple.fr/hook",
        "https://exemple.fr:99999/hook",
        "https:///hook",
        "https://exemple.fr/hook\r\nX: y",
        "https://exemple.fr\\@127.0.0.1/",
        "https://127.0.0.1/hook",
        "https://localhost/hook",
        "https://10.0.0.1/hook",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/hook",
        "https://[::ffff:10.0.0.1]/hook",
        "https://[64:ff9b::a00:1]/hook",
        "http://127.0.0.1/hook",
    ],
)
def test_webhooks_that_will_not_do(address: str) -> None:
    with pytest.raises(InvalidParameterError) as refused:
        checked_address(Channel.WEBHOOK, address, private_hosts=False)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("address", ["http://127.0.0.1:8065/hooks/x", "https://10.0.0.1/hooks/x"])
def test_private_webhooks_where_they_are_allowed(address: str) -> None:
    assert checked_address(Channel.WEBHOOK, address, private_hosts=True) == address


def test_only_this_machine_is_posted_to_in_the_clear() -> None:
    with pytest.raises(InvalidParameterError, match="https"):
        checked_address(Channel.WEBHOOK, "http://10.0.0.1/hook", private_hosts=True)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2a01:e0a::1", True),
        ("100.64.0.1", False),
        ("192.168.1.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("2002:a00:1::", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", True),
    ],
)
def test_what_is_public(address: str, public: bool) -> None:
    assert is_public(ipaddress.ip_address(address)) is public


def test_a_name_that_also_stands_for_a_private_host_is_refused(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    def found(*words: Any, **options: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 443)) for ip in ("8.8.8.8", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    attempt = WebhookSender().send(_letter(f"https://hooks.exemple.fr:{hook.url.split(':')[2]}"))
    assert attempt.answer is Answer.REFUSED
    assert "private network" in attempt.reason
    assert hook.paths == []


def test_a_name_goes_with_the_request_to_the_address_that_was_looked_at(
    hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(*words: Any, **options: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80))]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    port = hook.url.split(":")[2].partition("/")[0]
    assert WebhookSender(private_hosts=True).send(_letter(f"http://hooks.exemple.fr:{port}/x")).answer is Answer.TAKEN
    assert hook.headers[0]["host"] == f"hooks.exemple.fr:{port}"


def test_a_webhook_that_never_answers_does_not_hold_the_run() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        attempt = WebhookSender(private_hosts=True, whole_s=0.2).send(_letter(url))
    assert (attempt.answer, attempt.reason) == (Answer.LATER, "no answer in time")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("120", 120),
        ("Sun, 01 Nov 2026 01:00:00 GMT", 3600),
        ("Sun, 01 Nov 2020 01:00:00 GMT", 0),
        ("99999999999999999999", LONGEST_WAIT.total_seconds()),
        ("-5", None),
        ("soon", None),
        ("²", None),
    ],
)
def test_retry_after(header: str | None, seconds: float | None) -> None:
    wait = wait_of(header, NOW)
    assert (None if wait is None else wait.total_seconds()) == seconds


@pytest.mark.parametrize(
    "url", ["http://x", "smtp://", "smtp://user@host", "smtp://h:99999", "smtp://h/path", "smtp://h?x", "host:25"]
)
def test_mail_servers_that_will_not_do(url: str) -> None:
    with pytest.raises(InvalidParameterError, match="SYLVIGIE_SMTP_URL"):
        MailServer.of_url(url)


def test_mail_servers() -> None:
    assert MailServer.of_url("smtp://u%40x.fr:p%2F@mail.fr") == MailServer("mail.fr", 587, False, "u@x.fr", "p/")
    assert MailServer.of_url("smtps://mail.fr") == MailServer("mail.fr", 465, True)
    assert [MailServer(host, 25, False).is_here for host in ("localhost", "::1", "mail.fr")] == [True, True, False]


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(departements=("4O",)),
        Wanted(departements=("40,x",)),
        Wanted(criteria=("area; drop",)),
        Wanted(criteria=("",)),
        Wanted(min_area_ha=-1.0),
        Wanted(min_area_ha=float("nan")),
    ],
)
def test_wishes_that_will_not_do(sqlite_store: Database, wanted: Wanted) -> None:
    with pytest.raises(FilterError):
        subscribe(sqlite_store, Channel.EMAIL, "garde@exemple.fr", wanted)


def test_the_same_twice_is_refused(sqlite_store: Database) -> None:
    subscribe(sqlite_store, Channel.EMAIL, "garde@exemple.fr", Wanted(departements=("40", "33")))
    with pytest.raises(InvalidParameterError, match="already"):
        subscribe(sqlite_store, Channel.EMAIL, "garde@exemple.fr", Wanted(departements=("33", "40")))


def test_what_is_listed_of_a_webhook() -> None:
    assert shown_address(Channel.WEBHOOK, "https://m.fr/hooks/secret") == "https://m.fr/…"
    assert shown_address(Channel.EMAIL, "a@b.fr") == "a@b.fr"
