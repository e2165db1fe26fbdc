"""Sessions of people who have signed in with the page: a random token in a cookie, of which a digest is kept."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import secrets
from typing import Final

import sqlalchemy as sa

from api.identity.people import Person, person_of
from api.store.database import Database, WritingAside
from api.store.tables import sessions

LONGEST: Final = dt.timedelta(days=14)
IDLE: Final = dt.timedelta(hours=12)
_NOTED_EVERY: Final = dt.timedelta(minutes=5)
"""A session's last use is noted no more often: a read is not to become a write."""


def begin(writing: WritingAside, user_seq: int) -> str:
    """Begin a session; its token is for the cookie, and kept nowhere."""
    token = secrets.token_urlsafe(32)
    row = {
        "digest": digest_of(token),
        "user_seq": user_seq,
        "created_at": writing.now,
        "used_at": writing.now,
        "expires_at": writing.now + LONGEST,
    }
    writing.connection.execute(sa.insert(sessions), row)
    return token


def who(database: Database, token: str) -> Person | None:
    """Whose session a token is of; None where it is of none that is good."""
    now = dt.datetime.now(dt.UTC)
    good = sa.and_(sessions.c.ended_at.is_(None), sessions.c.expires_at > now, sessions.c.used_at > now - IDLE)
    query = sa.select(sessions.c.seq, sessions.c.user_seq, sessions.c.used_at)
    with database.reading() as connection:
        row = connection.execute(query.where(sessions.c.digest == digest_of(token), good)).one_or_none()
        person = None if row is None else person_of(connection, row.user_seq)
    if row is not None and row.used_at < now - _NOTED_EVERY:
        with database.writing_aside() as writing:
            writing.connection.execute(sa.update(sessions).where(sessions.c.seq == row.seq).values(used_at=now))
    return person


def end(database: Database, token: str) -> None:
    """End a session; one that there is not is ended already."""
    with database.writing_aside() as writing:
        ended = sa.update(sessions).where(sessions.c.digest == digest_of(token), sessions.c.ended_at.is_(None))
        writing.connection.execute(ended.values(ended_at=writing.now))


def end_all(writing: WritingAside, user_seq: int) -> None:
    """End all sessions of a person."""
    ended = sa.update(sessions).where(sessions.c.user_seq == user_seq, sessions.c.ended_at.is_(None))
    writing.connection.execute(ended.values(ended_at=writing.now))


def csrf_of(token: str) -> str:
    """What a page of ours sends beside the cookie with each write, and no other page can know."""
    return hashlib.blake2b(token.encode(), key=b"sylvigie csrf", digest_size=24).hexdigest()


def is_ours(token: str, sent: str | None) -> bool:
    """Whether a write comes from a page of ours."""
    return sent is not None and hmac.compare_digest(csrf_of(token), sent)


def digest_of(token: str) -> str:
    """What is kept of a token: it is 256 random bits, so that a quick hash will do."""
    return hashlib.sha256(token.encode()).hexdigest()
