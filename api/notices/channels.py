"""What a way of sending gives back, and what it is given."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from api.notices.digest import Digest


class Answer(StrEnum):
    """What came of an attempt to send."""

    TAKEN = "taken"
    LATER = "later"
    """May well be taken another time."""
    REFUSED = "refused"
    """Will not be taken, however often it is sent."""


@dataclass(frozen=True)
class Attempt:
    """An attempt to send.

    Parameters
    ----------
    answer
        What came of it.
    reason
        Why it was not taken, without personal data; empty where it was.
    wait
        As long as the other side asks to be left alone.
    channel_down
        Whether the channel itself is at fault, so that others of this run need not be tried.
    """

    answer: Answer
    reason: str = ""
    wait: dt.timedelta | None = None
    channel_down: bool = False


TAKEN = Attempt(Answer.TAKEN)


@dataclass(frozen=True)
class Letter:
    """A notice on its way.

    Parameters
    ----------
    address
        Where it goes.
    message_id
        The same at each attempt, in angle brackets (RFC 5322).
    written_at
        When it was written (UTC).
    digest
        What it holds.
    """

    address: str
    message_id: str
    written_at: dt.datetime
    digest: Digest


class Sender(Protocol):
    """A way of sending: never raises for what may befall it on the way."""

    def send(self, letter: Letter) -> Attempt:
        """Send a notice once."""
        ...
