"""Subscriptions: who wants to be told of which alerts, and the way out."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from api.identity.random_tokens import digest_of
from api.notices.addresses import Channel, checked_address
from api.store.database import Database, WritingAside
from api.store.filters import AlertFilter
from api.store.tables import alerts, notices, subscriptions
from tiles.errors import FilterError, InvalidParameterError, NotFoundError

_CODE = re.compile(r"[\w.:-]{1,64}", re.ASCII)
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


class NoticeState(StrEnum):
    """What came of a notice."""

    WAITING = "waiting"
    SENT = "sent"
    GIVEN_UP = "given_up"


@dataclass(frozen=True)
class Wanted:
    """Which alerts a subscription is for; what is not given does not matter.

    Parameters
    ----------
    departements
        Codes, such as 40 or 2A.
    criteria
        Codes of criteria, of which one at least is met.
    min_area_ha
        Hectares at least.
    abusive_only
        Only what the policy's criteria call potentially abusive.
    """

    departements: tuple[str, ...] = ()
    criteria: tuple[str, ...] = ()
    min_area_ha: float | None = None
    abusive_only: bool = False

    def alert_filter(self) -> AlertFilter:
        """All but the criteria, as a filter of alerts.

        Raises
        ------
        tiles.errors.FilterError
            When a value will not do.
        """
        wrong = [code for code in self.criteria if not _CODE.fullmatch(code)]
        if wrong or len(self.criteria) > 100:
            raise FilterError("A criterion will not do: give codes of `sylvigie rules show`.")
        asked: dict[str, Any] = {"min_area_ha": self.min_area_ha}
        if self.departements:
            asked["departement"] = ",".join(self.departements)
        if self.abusive_only:
            asked["potentially_abusive"] = True
        return AlertFilter.of(asked)

    def as_json(self) -> str:
        """As it is kept."""
        told = {
            "departements": sorted(set(self.departements)),
            "criteria": sorted(set(self.criteria)),
            "min_area_ha": self.min_area_ha,
            "abusive_only": self.abusive_only,
        }
        return json.dumps(told)

    @classmethod
    def of_json(cls, text: str) -> Wanted:
        """As it was kept."""
        told: Mapping[str, Any] = json.loads(text)
        return cls(
            tuple(told.get("departements", ())),
            tuple(told.get("criteria", ())),
            told.get("min_area_ha"),
            bool(told.get("abusive_only", False)),
        )


@dataclass(frozen=True)
class Subscription:
    """Who is told of what.

    Parameters
    ----------
    seq
        Its number.
    channel, address
        Where notices go; the address is empty once the subscription has ended.
    wanted
        Which alerts.
    after_alert_seq
        Alerts of greater numbers are news to it.
    created_at, ended_at
        Moments (UTC).
    user_seq
        Whose it is: they are told of what they may know of. None of one that was made by command, which is told of all.
    """

    seq: int
    channel: Channel
    address: str
    wanted: Wanted
    after_alert_seq: int
    created_at: dt.datetime
    ended_at: dt.datetime | None
    user_seq: int | None = None


def subscribe(
    database: Database,
    channel: Channel,
    address: str,
    wanted: Wanted,
    *,
    private_hosts: bool = False,
    user_seq: int | None = None,
    actor: str = "command",
) -> int:
    """Make a subscription; what is in the store already is no news to it.

    Parameters
    ----------
    database
        The store.
    channel, address, private_hosts
        As of `api.notices.addresses.checked_address`.
    wanted
        Which alerts.
    user_seq
        Whose it is; None for the machine's own.
    actor
        Who does it, for the audit log, which holds no address.

    Returns
    -------
    int
        Its number.

    Raises
    ------
    tiles.errors.InvalidParameterError
        When the address will not do, or has just this subscription already.
    tiles.errors.FilterError
        When what is wanted will not do.
    """
    kept = checked_address(channel, address, private_hosts=private_hosts)
    wanted.alert_filter()
    row = {"channel": channel.value, "address": kept, "filters": wanted.as_json()}
    column = subscriptions.c
    same = sa.and_(column.ended_at.is_(None), *(column[name] == value for name, value in row.items()))
    with database.writing() as writing:
        connection = writing.connection
        if connection.execute(sa.select(column.seq).where(same)).first() is not None:
            raise InvalidParameterError("That address has just this subscription already.")
        newest = connection.execute(sa.select(sa.func.coalesce(sa.func.max(alerts.c.seq), 0))).scalar_one()
        made = row | {"user_seq": user_seq, "after_alert_seq": newest, "created_at": writing.now}
        seq = int(connection.execute(sa.insert(subscriptions).returning(column.seq), made).scalar_one())
        writing.audit(actor, "subscribe", str(seq), channel.value)
    return seq


def list_subscriptions(database: Database) -> list[Subscription]:
    """All subscriptions there ever were, oldest first."""
    with database.reading() as connection:
        rows = connection.execute(sa.select(subscriptions).order_by(subscriptions.c.seq)).all()
    return [subscription_of(row) for row in rows]


def standing_subscriptions(database: Database) -> Sequence[Subscription]:
    """Subscriptions that have not ended."""
    return [each for each in list_subscriptions(database) if each.ended_at is None]


def subscription_of(row: Any) -> Subscription:
    """A subscription of its row."""
    return Subscription(
        row.seq,
        Channel(row.channel),
        row.address,
        Wanted.of_json(row.filters),
        row.after_alert_seq,
        row.created_at,
        row.ended_at,
        row.user_seq,
    )


def end_subscription(database: Database, seq: int, *, actor: str = "command") -> None:
    """End a subscription: nothing is sent to it any more, and its address is forgotten.

    Raises
    ------
    tiles.errors.NotFoundError
        When there is none of that number that stands.
    """
    with database.writing() as writing:
        if not end_within(writing, seq, actor):
            raise NotFoundError(f"There is no subscription {seq} that stands.")


def subscription_of_token(database: Database, token: str) -> Subscription:
    """The subscription that a link out is for.

    Raises
    ------
    tiles.errors.NotFoundError
        When there is none.
    """
    query = sa.select(subscriptions).join(notices, notices.c.subscription_seq == subscriptions.c.seq)
    row = None
    if _TOKEN.fullmatch(token):
        with database.reading() as connection:
            row = connection.execute(query.where(notices.c.unsubscribe_digest == digest_of(token))).one_or_none()
    if row is None:
        raise NotFoundError("There is no such link: take it from a notice as it is.")
    return subscription_of(row)


def unsubscribe(database: Database, token: str) -> None:
    """End the subscription of a link; once more does no harm.

    Raises
    ------
    tiles.errors.NotFoundError
        When there is none.
    """
    subscription = subscription_of_token(database, token)
    if subscription.ended_at is None:
        with database.writing() as writing:
            end_within(writing, subscription.seq, "link")


def end_within(writing: WritingAside, seq: int, actor: str) -> bool:
    """End a subscription, with what still waits for it, in a transaction that is under way; whether it stood."""
    column = subscriptions.c
    ended = sa.update(subscriptions).where(column.seq == seq, column.ended_at.is_(None))
    if writing.connection.execute(ended.values(ended_at=writing.now, address="")).rowcount == 0:
        return False
    left = {"state": NoticeState.GIVEN_UP.value, "ended_at": writing.now, "next_at": None, "content": None}
    waiting = sa.and_(notices.c.subscription_seq == seq, notices.c.state == NoticeState.WAITING.value)
    writing.connection.execute(sa.update(notices).where(waiting).values(**left, reason="the subscription has ended"))
    writing.audit(actor, "end subscription", str(seq))
    return True
