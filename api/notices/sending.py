"""Sending: what is news is written into the outbox, and what waits in it is tried, once a run."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from api.notices.addresses import Channel
from api.notices.channels import Sender
from api.notices.mail import MailSender, MailServer
from api.notices.outbox import SendingParams, count_waiting, due_notices, note, take, write_notices
from api.notices.subscribing import NoticeState
from api.notices.webhook import WebhookSender
from api.settings import Settings
from api.store.database import Database
from tiles.errors import InvalidParameterError

_DEFAULT: Final = SendingParams()


@dataclass(frozen=True)
class SendingResult:
    """What came of a run.

    Parameters
    ----------
    written
        Notices that were put in the outbox.
    sent, given_up
        Notices that ended in this run.
    waiting
        Notices that wait when it ends, whether they were tried or not.
    reasons
        Why a notice was not sent, a line each, without addresses.
    """

    written: int = 0
    sent: int = 0
    waiting: int = 0
    given_up: int = 0
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Senders:
    """The ways of sending that are set.

    Parameters
    ----------
    ways
        By channel.
    missing
        Why there is none, by channel.
    """

    ways: Mapping[Channel, Sender]
    missing: Mapping[Channel, str] = field(default_factory=dict)


def post_of(settings: Settings) -> tuple[MailServer, str] | None:
    """The mail server and the address that mail comes from; None where the settings do not tell of both.

    Raises
    ------
    tiles.errors.InvalidParameterError
        When the server's address will not do.
    """
    if settings.smtp_url is None or settings.mail_from is None:
        return None
    return MailServer.of_url(settings.smtp_url.get_secret_value()), settings.mail_from


def senders_of(settings: Settings) -> Senders:
    """The ways of sending that the settings give."""
    ways: dict[Channel, Sender] = {Channel.WEBHOOK: WebhookSender(settings.webhook_private_hosts)}
    try:
        post = post_of(settings)
    except InvalidParameterError as error:
        # Others are still told by their webhooks.
        return Senders(ways, {Channel.EMAIL: str(error)})
    if post is None:
        return Senders(ways, {Channel.EMAIL: "set SYLVIGIE_SMTP_URL and SYLVIGIE_MAIL_FROM to send mail"})
    ways[Channel.EMAIL] = MailSender(*post)
    return Senders(ways)


def send_notices(
    database: Database,
    public_url: str | None,
    senders: Senders,
    now: dt.datetime | None = None,
    params: SendingParams = _DEFAULT,
) -> SendingResult:
    """Write what is news, and try once each notice that is due.

    Parameters
    ----------
    database
        The store.
    public_url
        Address of the service, of which links are made.
    senders
        Of `senders_of`.
    now
        What counts as due (UTC); by default the moment at which it is looked at.
    params
        How often a notice is tried.

    Raises
    ------
    tiles.errors.NoticeError
        When there is news and no public address.
    tiles.errors.StoreError
        When the store cannot be read or written; notices that were sent but not noted are sent again.
    """
    written = write_notices(database, public_url)
    # A moment that is taken after they were written, so that these are due.
    moment = now or dt.datetime.now(dt.UTC)
    ended = dict.fromkeys(NoticeState, 0)
    reasons: list[str] = []
    down = dict(senders.missing)
    told: set[Channel] = set()
    for waiting in due_notices(database, moment):
        channel = waiting.channel
        if channel in down:
            if channel not in told:
                reasons.append(f"{channel}: {down[channel]}")
                told.add(channel)
            continue
        letter = take(database, waiting.seq, moment, params)
        if letter is None:
            continue
        attempt = senders.ways[channel].send(letter)
        state, reason = note(database, waiting.seq, attempt, now or dt.datetime.now(dt.UTC), params)
        ended[state] += 1
        if state is not NoticeState.SENT:
            kept = "waits" if state is NoticeState.WAITING else "given up"
            name = f"notice {waiting.seq} of subscription {waiting.subscription_seq}"
            reasons.append(f"{name} {kept}: {reason}")
        if attempt.channel_down:
            down[channel] = "the others wait"
    return SendingResult(
        written,
        ended[NoticeState.SENT],
        count_waiting(database),
        ended[NoticeState.GIVEN_UP],
        tuple(reasons),
    )
