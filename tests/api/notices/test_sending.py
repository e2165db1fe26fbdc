"""Notices reach who asked for them: each alert once, whatever the servers do."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from api.notices.outbox import SendingParams
from api.notices.sending import Senders, SendingResult, send_notices, senders_of
from api.notices.subscribing import end_subscription
from api.settings import Settings
from api.store.copying import copy
from api.store.database import Database
from api.store.reviews import Author, Decision, review
from api.store.tables import notice_alerts, notices, subscriptions
from detector.alerts import ReviewState
from models.causes import Cause
from tests.api.alerts import found_alert
from tests.api.notices.conftest import ADDRESS, PUBLIC_URL, by_hook, by_mail, on_sqlite, put
from tests.api.notices.servers import Hook, Mailbox
from tiles.errors import NoticeError

Send = Callable[..., SendingResult]


def _notices(store: Database) -> list[Any]:
    with store.reading() as connection:
        return list(connection.execute(sa.select(notices).order_by(notices.c.seq)).all())


def test_what_is_new_is_told_once(store: Database, send: Send, mailbox: Mailbox, hook: Hook) -> None:
    put(store, found_alert(1, departement="40"))
    by_mail(store)
    by_hook(store, hook)
    assert send() == SendingResult(), "what was there before is no news"
    put(store, found_alert(1), found_alert(2, latitude=45.0, departement="40", area_ha=3.0), month="2026-11")
    assert send() == SendingResult(written=2, sent=2)
    assert send(hours=100) == SendingResult()
    grown = found_alert(2, latitude=45.0, departement="40", area_ha=9.0)
    put(store, found_alert(1), grown, month="2026-12")
    assert send() == SendingResult()
    assert mailbox.recipients == [ADDRESS]
    (post,) = hook.posts
    assert "1 alerte nouvelle, 3,0 ha" in post["text"]
    assert "SYL-30TXP-20261004-00000002" in post["text"]
    assert "SYL-30TXP-20261004-00000001" not in post["text"]
    assert all(row.content is None and row.state == "sent" for row in _notices(store))


@on_sqlite
def test_a_mail_carries_what_its_readers_need(store: Database, send: Send, mailbox: Mailbox) -> None:
    by_mail(store)
    put(store, found_alert(1, commune="Sabres", departement="40"))
    send()
    (message,) = mailbox.messages
    link = message["List-Unsubscribe"]
    assert link.startswith(f"<{PUBLIC_URL}/api/v1/unsubscribe/")
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Content-Language"] == "fr, en"
    # As it came over the wire: mail programs do not decode a link that was encoded.
    assert f"\r\nList-Unsubscribe: {link}\r\n".encode() in mailbox.written[0]
    assert message["Message-ID"] == _notices(store)[0].message_id
    text, html = (message.get_body((form,)) for form in ("plain", "html"))
    assert text is not None
    assert html is not None
    for part in (text, html):
        assert "Sabres (40)" in part.get_content()
        assert link.strip("<>") in part.get_content()


def test_which_alerts_are_told(store: Database, send: Send, hook: Hook) -> None:
    met = [{"code": "natura2000", "met": True}, {"code": "area", "met": None}]
    alerts = [
        found_alert(1, departement="40", area_ha=1.0),
        found_alert(2, latitude=45.0, departement="33", area_ha=5.0, potentially_abusive=True),
        found_alert(3, latitude=46.0, departement="40", area_ha=5.0, criteria=met),
        found_alert(4, latitude=47.0, departement="40", area_ha=5.0, status="closed"),
    ]
    wants: list[tuple[dict[str, Any], set[int]]] = [
        ({}, {1, 2, 3}),
        ({"departements": ("40", "2A")}, {1, 3}),
        ({"min_area_ha": 2.0}, {2, 3}),
        ({"abusive_only": True}, {2}),
        ({"criteria": ("natura2000", "slope")}, {3}),
        ({"criteria": ("area",)}, set()),
        ({"departements": ("2B",)}, set()),
    ]
    numbers = [by_hook(store, hook, **wanted) for wanted, _ in wants]
    put(store, *alerts)
    send()
    with store.reading() as connection:
        told = connection.execute(sa.select(notice_alerts.c.subscription_seq, notice_alerts.c.alert_seq)).all()
    for number, (wanted, alerts_told) in zip(numbers, wants, strict=True):
        assert {alert for subscription, alert in told if subscription == number} == alerts_told, wanted


def test_an_alert_that_comes_to_match_is_told_then(store: Database, send: Send, hook: Hook) -> None:
    by_hook(store, hook, min_area_ha=2.0)
    put(store, found_alert(1, area_ha=1.0))
    assert send().sent == 0
    put(store, found_alert(1, area_ha=3.0), month="2026-11")
    assert send().sent == 1


@on_sqlite
def test_what_a_person_rejected_is_no_news(store: Database, send: Send, hook: Hook) -> None:
    by_hook(store, hook)
    put(store, found_alert(1), found_alert(2, latitude=45.0))
    review(store, found_alert(1).id, Decision(ReviewState.REJECTED, Cause.SNOW), Author("command"))
    send()
    assert "1 alerte nouvelle" in hook.posts[0]["text"]
    assert found_alert(1).id not in hook.posts[0]["text"]


@on_sqlite
@pytest.mark.parametrize("answers", [("421 4.3.2 later",), ("451 4.7.1 greylisted",), ("452 full", "450 busy")])
def test_mail_is_tried_again(store: Database, send: Send, mailbox: Mailbox, answers: tuple[str, ...]) -> None:
    mailbox.of_recipients += answers
    by_mail(store)
    put(store, found_alert(1))
    first = send()
    assert (first.sent, first.waiting) == (0, 1)
    assert f"SMTP {answers[0][:3]}" in first.reasons[0]
    assert ADDRESS not in first.reasons[0]
    (row,) = _notices(store)
    assert send().sent == 0, "half an hour has not gone by"
    for hours in range(1, len(answers)):
        assert send(hours=hours).waiting == 1
    assert send(hours=10).sent == 1
    (message,) = mailbox.messages
    assert message["Message-ID"] == row.message_id


@on_sqlite
def test_a_dropped_message_is_tried_again(store: Database, send: Send, mailbox: Mailbox) -> None:
    mailbox.of_messages += ["drop", "451 4.3.0 later"]
    by_mail(store)
    put(store, found_alert(1))
    assert [send().waiting, send(hours=1).waiting, send(hours=9).sent] == [1, 1, 1]
    assert len(mailbox.messages) == 1


@on_sqlite
@pytest.mark.parametrize("where", ["of_recipients", "of_messages"])
def test_mail_refused_for_good(store: Database, send: Send, mailbox: Mailbox, where: str) -> None:
    getattr(mailbox, where).append(f"550 5.1.1 <{ADDRESS}> unknown")
    by_mail(store)
    put(store, found_alert(1))
    result = send()
    assert (result.given_up, result.waiting) == (1, 0)
    assert result.reasons == ("notice 1 of subscription 1 given up: SMTP 550 5.1.1",)
    assert send(hours=100) == SendingResult()
    (row,) = _notices(store)
    assert (row.state, row.reason, row.content) == ("given_up", "SMTP 550 5.1.1", None)


@on_sqlite
@pytest.mark.parametrize(
    ("answer", "hours"),
    [(503, 0.5), (429, 0.5), ("drop", 0.5), ((429, {"Retry-After": "36000"}), 10), ((500, {}), 0.5)],
)
def test_a_webhook_is_tried_again(store: Database, send: Send, hook: Hook, answer: Any, hours: float) -> None:
    hook.answers.append(answer)
    by_hook(store, hook)
    put(store, found_alert(1))
    assert send().waiting == 1
    assert send(hours=hours * 0.9).sent == 0
    assert send(hours=hours * 1.1).sent == 1
    assert len(hook.posts) == 1


@on_sqlite
@pytest.mark.parametrize("status", [404, 410, 400, 302])
def test_a_webhook_that_is_gone(store: Database, send: Send, hook: Hook, status: int) -> None:
    hook.answers.append((status, {"Location": hook.url + "2"}))
    by_hook(store, hook)
    put(store, found_alert(1))
    result = send()
    assert result.given_up == 1
    assert f"HTTP {status}" in result.reasons[0]
    assert hook.paths == ["/hooks/key"]
    assert send(hours=100) == SendingResult()


@on_sqlite
def test_attempts_are_bounded(store: Database, send: Send, hook: Hook) -> None:
    hook.answers += [503] * 20
    by_hook(store, hook)
    put(store, found_alert(1))
    results = [send(hours=24.1 * day) for day in range(12)]
    assert [result.given_up for result in results] == [0] * 9 + [1, 0, 0]
    assert results[9].reasons[0].endswith("HTTP 503, after 10 attempts")
    assert len(hook.answers) == 10
    params = SendingParams()
    waits = sum((params.wait_after(attempts) for attempts in range(1, 10)), dt.timedelta())
    assert dt.timedelta(days=4) < waits < dt.timedelta(days=5)  # RFC 5321, 4.5.4.1


@on_sqlite
def test_a_mail_server_that_is_down_is_asked_once(store: Database, senders: Senders, hook: Hook) -> None:
    by_mail(store)
    by_mail(store, min_area_ha=1.0)
    by_hook(store, hook)
    put(store, found_alert(1))
    closed = Settings(smtp_url=SecretStr("smtp://127.0.0.1:9"), mail_from="a@exemple.fr", webhook_private_hosts=True)
    result = send_notices(store, PUBLIC_URL, senders_of(closed))
    assert (result.sent, result.waiting) == (1, 2)
    assert [row.attempts for row in _notices(store)] == [1, 0, 1]
    assert send_notices(store, PUBLIC_URL, senders, dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)).sent == 2


@on_sqlite
def test_a_channel_that_is_not_set_waits(store: Database, send: Send) -> None:
    by_mail(store)
    put(store, found_alert(1))
    result = send_notices(store, PUBLIC_URL, senders_of(Settings()))
    assert (result.waiting, result.reasons) == (
        1,
        ("email: set SYLVIGIE_SMTP_URL and SYLVIGIE_MAIL_FROM to send mail",),
    )
    assert _notices(store)[0].attempts == 0
    assert send().sent == 1


@on_sqlite
def test_without_an_address_nothing_is_written(store: Database, senders: Senders) -> None:
    by_mail(store)
    assert send_notices(store, None, senders) == SendingResult()
    put(store, found_alert(1))
    with pytest.raises(NoticeError, match="SYLVIGIE_PUBLIC_URL"):
        send_notices(store, None, senders)
    assert _notices(store) == []


def test_an_ended_subscription_gets_nothing(store: Database, send: Send, mailbox: Mailbox) -> None:
    waits, never = by_mail(store), by_mail(store, min_area_ha=1.0)
    end_subscription(store, never)
    put(store, found_alert(1))
    mailbox.of_recipients.append("450 later")
    assert send().waiting == 1
    end_subscription(store, waits)
    put(store, found_alert(1), found_alert(2, latitude=45.0), month="2026-11")
    assert send(hours=100) == SendingResult()
    assert mailbox.messages == []
    (row,) = _notices(store)
    assert (row.state, row.content, row.reason) == ("given_up", None, "the subscription has ended")
    with store.reading() as connection:
        assert set(connection.execute(sa.select(subscriptions.c.address)).scalars()) == {""}


def test_runs_at_the_same_time_send_once(store: Database, send: Send, hook: Hook) -> None:
    for least in range(4):
        by_hook(store, hook, min_area_ha=float(least) / 10)
    put(store, found_alert(1))
    with ThreadPoolExecutor(4) as pool:
        results = [each.result() for each in [pool.submit(send) for _ in range(4)]]
    assert sum(result.sent for result in results) == 4
    assert len({headers["idempotency-key"] for headers in hook.headers}) == len(hook.posts) == 4


@pytest.mark.parametrize("store", ["postgresql"], indirect=True)
def test_what_was_told_goes_along_when_a_store_is_copied(
    store: Database, sqlite_store: Database, senders: Senders, hook: Hook
) -> None:
    by_hook(store, hook)
    put(store, found_alert(1), found_alert(2, latitude=45.0))
    hook.answers.append(503)
    assert send_notices(store, PUBLIC_URL, senders).waiting == 1
    copy(store, sqlite_store)
    later = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    assert send_notices(sqlite_store, PUBLIC_URL, senders, later) == SendingResult(sent=1)
    by_hook(sqlite_store, hook, min_area_ha=1.0)
    put(sqlite_store, found_alert(1), found_alert(2, latitude=45.0), found_alert(3, latitude=46.0), month="2026-11")
    assert send_notices(sqlite_store, PUBLIC_URL, senders, later) == SendingResult(written=2, sent=2)
