"""Who may do what: one check that each route names.

Until people have accounts, anybody who reaches the service may read what is public, and only a token that was made on
the machine (`sylvigie token create`) may write. Tokens are kept as digests: who reads the store cannot use them.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from api.identity.callers import ANYBODY, OPEN, Caller
from api.identity.roles import OPEN_RIGHTS, ROLE_RIGHTS, Right, Role
from api.store.database import Database
from api.store.tables import tokens
from tiles.errors import AccessRefusedError, InvalidParameterError, NotAllowedError, NotFoundError

__all__ = [
    "ANYBODY",
    "OPEN",
    "OPEN_RIGHTS",
    "ROLE_RIGHTS",
    "TOKEN_PREFIX",
    "TOKEN_RIGHTS",
    "Caller",
    "Right",
    "Role",
    "TokenInfo",
    "allowed",
    "caller_of",
    "create_token",
    "find_caller",
    "list_tokens",
    "revoke_token",
]

TOKEN_PREFIX: Final = "syl_"
"""So that a token that was committed somewhere by mistake can be found."""
_TOKEN_BYTES: Final = 32
TOKEN_RIGHTS: Final = frozenset({Right.REVIEW, Right.REPORT})
"""What a token may be made for."""


@dataclass(frozen=True)
class TokenInfo:
    """A token, as it may be shown."""

    name: str
    rights: tuple[Right, ...]
    created_at: dt.datetime
    expires_at: dt.datetime | None
    revoked_at: dt.datetime | None


def allowed(right: Right) -> Callable[[Request], Awaitable[Caller]]:
    """The check that a route names as its dependency: whoever has no such right is refused."""

    async def check(request: Request) -> Caller:
        caller: Caller | None = getattr(request.state, "caller", None)
        if caller is None:
            caller = request.state.caller = await caller_of(request)
        if right not in caller.rights:
            if caller.name != ANYBODY.name:
                raise NotAllowedError(f"This needs the right to {right}, which you do not have.")
            raise AccessRefusedError(
                f"This needs a token with the right to {right}: make one with `sylvigie token create` on the machine "
                "of the service, and send it as `Authorization: Bearer TOKEN`."
            )
        return caller

    check.__name__ = f"may_{right.value}"
    return check


async def caller_of(request: Request) -> Caller:
    """Who asks, by the request's token."""
    header = request.headers.get("authorization")
    if header is None:
        return OPEN
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.startswith(TOKEN_PREFIX) or len(token) > 200:
        raise AccessRefusedError("The Authorization header will not do: send `Bearer` and a token of this service.")
    return await run_in_threadpool(find_caller, request.app.state.service.database, token)


def find_caller(database: Database, token: str) -> Caller:
    """Who a token stands for.

    Raises
    ------
    tiles.errors.AccessRefusedError
        When there is no such token, or it has ended.
    """
    query = sa.select(tokens).where(tokens.c.digest == _digest(token))
    with database.reading() as connection:
        row = connection.execute(query).one_or_none()
    now = dt.datetime.now(dt.UTC)
    if row is None or row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now):
        raise AccessRefusedError("The token is unknown, has expired or was revoked: ask for a new one.")
    rights = frozenset(Right(name) for name in json.loads(row.rights))
    return Caller(f"token:{row.name}", OPEN_RIGHTS | rights | {Right.SURVEY}, row.seq, sees_all=True)


def create_token(database: Database, name: str, rights: frozenset[Right], expires_at: dt.datetime | None) -> str:
    """Make a token; it is shown this once.

    Raises
    ------
    tiles.errors.InvalidParameterError
        When the name is taken or will not do, or no right or an unknown one is asked for.
    """
    if not name.strip() or len(name) > 64 or not name.isprintable():
        raise InvalidParameterError("A token needs a name of at most 64 characters, by which it can be revoked.")
    if not rights or not rights <= TOKEN_RIGHTS:
        raise InvalidParameterError(f"A token is for one of: {', '.join(sorted(TOKEN_RIGHTS))}.")
    token = TOKEN_PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)
    with database.writing() as writing:
        taken = writing.connection.execute(sa.select(tokens.c.seq).where(tokens.c.name == name)).first()
        if taken is not None:
            raise InvalidParameterError(f"There is a token named {name} already: choose another name.")
        row = {
            "name": name,
            "digest": _digest(token),
            "rights": json.dumps(sorted(rights)),
            "created_at": writing.now,
            "expires_at": expires_at,
        }
        writing.connection.execute(sa.insert(tokens), row)
        writing.audit("command", "create token", name)
    return token


def revoke_token(database: Database, name: str) -> None:
    """End a token.

    Raises
    ------
    tiles.errors.NotFoundError
        When there is none of that name.
    """
    with database.writing() as writing:
        ended = sa.update(tokens).where(tokens.c.name == name, tokens.c.revoked_at.is_(None))
        if writing.connection.execute(ended.values(revoked_at=writing.now)).rowcount == 0:
            raise NotFoundError(f"There is no token named {name[:64]} that is still good.")
        writing.audit("command", "revoke token", name)


def list_tokens(database: Database) -> list[TokenInfo]:
    """All tokens there ever were, oldest first."""
    with database.reading() as connection:
        rows = connection.execute(sa.select(tokens).order_by(tokens.c.seq)).all()
    return [
        TokenInfo(
            row.name,
            tuple(Right(name) for name in json.loads(row.rights)),
            row.created_at,
            row.expires_at,
            row.revoked_at,
        )
        for row in rows
    ]


def _digest(token: str) -> str:
    # A token is 256 random bits: nothing is to be guessed, and a slow hash would only slow the service.
    return hashlib.sha256(token.encode()).hexdigest()
