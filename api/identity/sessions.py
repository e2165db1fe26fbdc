"""Sessions of the page: a random token in a cookie, of which the store keeps the digest.

A session ends after `IDLE` without use, after `LONGEST` in any case, when its person signs out, changes the password
or is disabled. Each sign-in makes a new one: a cookie that somebody else has laid never becomes a session.
"""

from __future__ import annotations

import datetime as dt
import hmac
from typing import Final

import sqlalchemy as sa
from fastapi import Request, Response

from api.identity.accounts import Person, person_of
from api.identity.random_tokens import bound_to, digest_of, new_token
from api.store.database import Database, WritingAside
from api.store.tables import sessions, users
from tiles.errors import AccessRefusedError, NotAllowedError

COOKIE: Final = "sylvigie_session"
IDLE: Final = dt.timedelta(hours=12)
LONGEST: Final = dt.timedelta(days=14)
CSRF_HEADER: Final = "X-CSRF-Token"
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_NOTED_EVERY: Final = dt.timedelta(minutes=5)
"""So that not each request writes; a session may end this much too early."""


def start_session(writing: WritingAside, user_seq: int) -> str:
    """Make a session; gives the token for its cookie."""
    token = new_token()
    row = {
        "digest": digest_of(token),
        "user_seq": user_seq,
        "created_at": writing.now,
        "used_at": writing.now,
        "expires_at": writing.now + LONGEST,
    }
    writing.connection.execute(sa.insert(sessions), row)
    # What has ended long ago tells nothing but when somebody was here.
    writing.connection.execute(sa.delete(sessions).where(sessions.c.expires_at < writing.now))
    return token


def end_sessions(writing: WritingAside, user_seq: int) -> int:
    """End all sessions of a person; gives how many there were."""
    ended = sa.update(sessions).where(sessions.c.user_seq == user_seq, sessions.c.ended_at.is_(None))
    return writing.connection.execute(ended.values(ended_at=writing.now)).rowcount


def end_session(database: Database, digest: str) -> None:
    """End one session, where it is good: who signs out."""
    with database.writing_aside() as writing:
        ended = sa.update(sessions).where(sessions.c.digest == digest, sessions.c.ended_at.is_(None))
        ended_of = ended.values(ended_at=writing.now).returning(sessions.c.user_seq)
        whose = writing.connection.execute(ended_of).scalar_one_or_none()
        if whose is not None:
            writing.audit(f"user:{whose}", "sign out", f"user:{whose}")


def find_session(database: Database, token: str) -> Person:
    """Whose session a cookie is.

    Raises
    ------
    tiles.errors.AccessRefusedError
        When there is no such session, or it has ended.
    """
    digest = digest_of(token)
    query = sa.select(sessions.c.used_at, sessions.c.expires_at, *users.c).join_from(sessions, users)
    query = query.where(sessions.c.digest == digest, sessions.c.ended_at.is_(None), users.c.disabled_at.is_(None))
    with database.reading() as connection:
        row = connection.execute(query).one_or_none()
    now = dt.datetime.now(dt.UTC)
    if row is None or row.expires_at <= now or row.used_at + IDLE <= now:
        raise AccessRefusedError("The session has ended: sign in again.")
    if row.used_at + _NOTED_EVERY <= now:
        with database.writing_aside() as writing:
            noted = sa.update(sessions).where(sessions.c.digest == digest).values(used_at=now)
            writing.connection.execute(noted)
    return person_of(row)


def csrf_token(session: str) -> str:
    """What a page sends beside the cookie, which other pages cannot read."""
    return bound_to(session, "csrf")


def require_own_page(request: Request, base_url: str) -> None:
    """See that an unsafe request was not sent by another site's page.

    Raises
    ------
    tiles.errors.NotAllowedError
        When the browser says that it was.
    """
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    own = "/".join(base_url.split("/")[:3])
    if (origin is not None and origin != own) or (site is not None and site not in ("same-origin", "none")):
        raise NotAllowedError("This came from a page of another site: do it on Sylvigie's own page.")


def require_csrf(request: Request, session: str, base_url: str) -> None:
    """See that who authorises an unsafe request by cookie means it (OWASP: token bound to the session, and origin).

    Raises
    ------
    tiles.errors.NotAllowedError
        When the header is missing or not the session's, or the request came from elsewhere.
    """
    if request.method in SAFE_METHODS:
        return
    require_own_page(request, base_url)
    given = request.headers.get(CSRF_HEADER, "")
    if not hmac.compare_digest(given.encode(), csrf_token(session).encode()):
        raise NotAllowedError(f"The header {CSRF_HEADER} is missing or not this session's: read it from auth/me.")


def cookie_name(base_url: str, name: str = COOKIE) -> str:
    """With the prefix by which browsers keep other hosts from laying it, where it is https (RFC 6265bis)."""
    return f"__Host-{name}" if base_url.startswith("https://") else name


def lay_cookie(response: Response, name: str, value: str, base_url: str, longest: dt.timedelta) -> None:
    """Lay a cookie that scripts cannot read and that other sites' requests do not carry."""
    response.set_cookie(
        name,
        value,
        max_age=int(longest.total_seconds()),
        path="/",
        secure=base_url.startswith("https://"),
        httponly=True,
        samesite="lax",
    )


def take_cookie(response: Response, name: str, base_url: str) -> None:
    """Take a cookie away."""
    response.delete_cookie(name, path="/", secure=base_url.startswith("https://"), httponly=True, samesite="lax")
