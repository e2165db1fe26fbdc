"""The outbox: a notice and the alerts that it tells of are written in one transaction, and only then sent.

Whoever is killed in between leaves a notice that waits, under the same Message-ID. It may so be sent twice, and is
never forgotten; the alerts of a notice are never in another one of the same subscription.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from dataclasses import asdict, dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import sqlalchemy as sa

from api.identity import random_tokens
from api.notices.addresses import Channel
from api.notices.channels import Answer, Attempt, Letter
from api.notices.digest import Digest, digest_of
from api.notices.news import News, news_for
from api.notices.subscribing import NoticeState, Subscription, standing_subscriptions
from api.store.database import Database, Writing
from api.store.tables import notice_alerts, notices, subscriptions
from tiles.errors import NoticeError

_AT_ONCE: Final = 500


@dataclass(frozen=True)
class SendingParams:
    """How often a notice is tried.

    Parameters
    ----------
    most_attempts
        After which it is given up. With the waits below that is after four days: RFC 5321, 4.5.4.1, asks for four
        to five.
    first_wait, longest_wait
        Before the second attempt, doubled before each that follows, at most the longest; RFC 5321 asks for half an
        hour at least.
    lease
        For which a notice is whose who tries it: after that it is taken to have been killed.
    """

    most_attempts: int = 10
    first_wait: dt.timedelta = dt.timedelta(minutes=30)
    longest_wait: dt.timedelta = dt.timedelta(days=1)
    lease: dt.timedelta = dt.timedelta(minutes=15)

    def wait_after(self, attempts: int) -> dt.timedelta:
        """How long a notice waits after so many attempts."""
        doubled: dt.timedelta = self.first_wait * 2 ** min(attempts - 1, 20)
        return min(doubled, self.longest_wait)


@dataclass(frozen=True)
class Waiting:
    """A notice that is due.

    Parameters
    ----------
    seq, subscription_seq
        Its number, and that of who it is for.
    channel
        By which it goes.
    """

    seq: int
    subscription_seq: int
    channel: Channel


def write_notices(database: Database, public_url: str | None) -> int:
    """Write a notice for each subscription that has news, each in one transaction.

    Parameters
    ----------
    database
        The store.
    public_url
        Address of the service, of which links are made.

    Returns
    -------
    int
        Notices written.

    Raises
    ------
    tiles.errors.NoticeError
        When there is news and no public address: a notice without a way out is not sent.
    """
    return sum(_write(database, subscription, public_url) for subscription in standing_subscriptions(database))


def news_of_all(database: Database) -> list[tuple[Subscription, News]]:
    """What would be told to whom; nothing is written."""
    subscribed = standing_subscriptions(database)
    with database.reading() as connection:
        found = [(each, news_for(connection, each)) for each in subscribed]
    return [(subscription, news) for subscription, news in found if news is not None]


def _write(database: Database, subscription: Subscription, public_url: str | None) -> bool:
    with database.reading() as connection:
        if news_for(connection, subscription) is None:
            return False
    if public_url is None:
        raise NoticeError("There is news to tell, and no address for its links: set SYLVIGIE_PUBLIC_URL.")
    with database.writing() as writing:
        # Looked at again: who wrote in between may have told them, or ended the subscription.
        stands = sa.select(subscriptions.c.seq).where(
            subscriptions.c.seq == subscription.seq, subscriptions.c.ended_at.is_(None)
        )
        news = news_for(writing.connection, subscription)
        if news is None or writing.connection.execute(stands).first() is None:
            return False
        _insert(writing, subscription, news, public_url)
    return True


def _insert(writing: Writing, subscription: Subscription, news: News, public_url: str) -> None:
    token = random_tokens.new_token()
    row = {
        "subscription_seq": subscription.seq,
        "state": NoticeState.WAITING.value,
        "message_id": f"<{uuid.uuid4()}@{_domain(public_url)}>",
        "unsubscribe_digest": random_tokens.digest_of(token),
        "alerts": len(news.alert_seqs),
        "content": json.dumps(asdict(digest_of(news, public_url, token)), ensure_ascii=False),
        "attempts": 0,
        "next_at": writing.now,
        "created_at": writing.now,
    }
    seq = writing.connection.execute(sa.insert(notices).returning(notices.c.seq), row).scalar_one()
    told = [{"subscription_seq": subscription.seq, "alert_seq": alert, "notice_seq": seq} for alert in news.alert_seqs]
    for start in range(0, len(told), _AT_ONCE):
        writing.connection.execute(sa.insert(notice_alerts), told[start : start + _AT_ONCE])


def _domain(public_url: str) -> str:
    """Right half of a Message-ID: a host is a domain of ours, a number is not one that mail takes there."""
    host = (urlsplit(public_url).hostname or "").strip("[]")
    return host if host.isascii() and host.replace("-", "").replace(".", "").isalnum() else "sylvigie.invalid"


def due_notices(database: Database, now: dt.datetime) -> list[Waiting]:
    """Notices that wait, and whose time has come, the oldest first."""
    query = (
        sa.select(notices.c.seq, notices.c.subscription_seq, subscriptions.c.channel)
        .join(subscriptions, subscriptions.c.seq == notices.c.subscription_seq)
        .where(notices.c.state == NoticeState.WAITING.value, notices.c.next_at <= now)
        .order_by(notices.c.seq)
    )
    with database.reading() as connection:
        return [Waiting(row.seq, row.subscription_seq, Channel(row.channel)) for row in connection.execute(query)]


def count_waiting(database: Database) -> int:
    """How many notices wait."""
    query = sa.select(sa.func.count()).where(notices.c.state == NoticeState.WAITING.value)
    with database.reading() as connection:
        return int(connection.execute(query).scalar_one())


def take(database: Database, seq: int, now: dt.datetime, params: SendingParams) -> Letter | None:
    """Take a notice to try it; None where another has it, or it has ended meanwhile.

    The attempt is counted before it is made, so that a notice that kills who sends it ends as well.
    """
    column = notices.c
    mine = sa.and_(column.seq == seq, column.state == NoticeState.WAITING.value, column.next_at <= now)
    with database.writing() as writing:
        taken = sa.update(notices).where(mine).values(attempts=column.attempts + 1, next_at=now + params.lease)
        if writing.connection.execute(taken).rowcount == 0:
            return None
        query = sa.select(notices, subscriptions.c.address).join(subscriptions).where(column.seq == seq)
        row = writing.connection.execute(query).one()
    return Letter(row.address, row.message_id, row.created_at, Digest(**json.loads(row.content)))


def note(
    database: Database, seq: int, attempt: Attempt, now: dt.datetime, params: SendingParams
) -> tuple[NoticeState, str]:
    """Write down what came of an attempt; what has ended no longer holds its content.

    Returns
    -------
    state, reason
        What the notice now is, and why it was not sent.
    """
    column = notices.c
    mine = sa.and_(column.seq == seq, column.state == NoticeState.WAITING.value)
    state, reason = NoticeState.WAITING, attempt.reason
    values: dict[str, Any] = {"content": None, "next_at": None, "ended_at": now}
    with database.writing() as writing:
        connection = writing.connection
        attempts = connection.execute(sa.select(column.attempts).where(column.seq == seq)).scalar_one()
        if attempt.answer is Answer.TAKEN:
            state = NoticeState.SENT
        elif attempt.answer is Answer.REFUSED:
            state = NoticeState.GIVEN_UP
        elif attempts >= params.most_attempts:
            state, reason = NoticeState.GIVEN_UP, f"{reason}, after {attempts} attempts"
        else:
            values = {"next_at": now + max(params.wait_after(attempts), attempt.wait or dt.timedelta())}
        connection.execute(sa.update(notices).where(mine).values(state=state.value, reason=reason or None, **values))
    return state, reason
