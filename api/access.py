"""Who may do what: one check that each route names.

Who asks is told by a token that was made on the machine (`sylvigie token create`), a personal key, a token of the
OpenID provider, or the session's cookie. Until anybody has an account, who reaches the service may read all of it;
from the first account on, the public reads what is published. Tokens are kept as digests: who reads the store cannot
use them.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from api.identity.callers import ANYBODY, OPEN, Caller
from api.identity.keys import KEY_PREFIX, find_key
from api.identity.openid import sign_in_by_token
from api.identity.random_tokens import digest_of, new_token
from api.identity.roles import OPEN_RIGHTS, Right
from api.identity.sessions import SAFE_METHODS, cookie_name, find_session, require_csrf, require_own_page
from api.store.database import Database
from api.store.reading import state_of
from api.store.tables import tokens
from tiles.errors import AccessRefusedError, InvalidParameterError, NotAllowedError, NotFoundError

TOKEN_PREFIX: Final = "syl_"
"""So that a token that was committed somewhere by mistake can be found."""
_LONGEST_TOKEN: Final = 200
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
        if caller is None and right in OPEN_RIGHTS and not _says_who(request):
            # The store, which may have failed, is not asked: whether the service is open, `scope_of` looks up.
            caller = request.state.caller = ANYBODY
        elif caller is None or (caller is ANYBODY and right not in OPEN_RIGHTS):
            caller = request.state.caller = await caller_of(request)
        if right not in caller.rights:
            if caller.name != ANYBODY.name:
                raise NotAllowedError(f"This needs the right to {right}, which you do not have.")
            raise AccessRefusedError(
                f"This needs the right to {right}: sign in, or send a key of yours, or a token that `sylvigie token "
                "create` made, as `Authorization: Bearer KEY`."
            )
        return caller

    check.__name__ = f"may_{right.value}"
    return check


def may_anybody(request: Request) -> None:
    """The check of what is there to sign in with, which takes no right; other sites' pages may not send it."""
    if request.method not in SAFE_METHODS:
        require_own_page(request, request.app.state.service.base_url(request))


async def may_signed_in(request: Request) -> Caller:
    """The check of what is one's own account's: a session, or a token of the provider's; a key or token will not do."""
    caller = await caller_of(request)
    if caller.user_seq is None:
        raise AccessRefusedError("This is for who has signed in.")
    if caller.token_seq is not None:
        raise NotAllowedError("A key will not do for this: sign in.")
    request.state.caller = caller
    return caller


async def caller_of(request: Request) -> Caller:
    """Who asks: by the Authorization header, else by the session's cookie, else anybody.

    Raises
    ------
    tiles.errors.AccessRefusedError
        When what tells who asks is not good.
    tiles.errors.NotAllowedError
        When an unsafe request by cookie does not come from our own page.
    """
    return await run_in_threadpool(_caller_of, request)


def _caller_of(request: Request) -> Caller:
    service = request.app.state.service
    database: Database = service.database
    header = request.headers.get("authorization")
    if header is not None:
        scheme, _, token = header.partition(" ")
        token = token.strip()
        if scheme.lower() == "bearer" and token.startswith(TOKEN_PREFIX) and len(token) <= _LONGEST_TOKEN:
            return find_caller(database, token)
        if scheme.lower() == "bearer" and token.startswith(KEY_PREFIX) and len(token) <= _LONGEST_TOKEN:
            return find_key(database, token)
        if scheme.lower() == "bearer" and token.count(".") == 2 and service.provider is not None:
            return sign_in_by_token(database, service.provider, token).caller()
        raise AccessRefusedError("The Authorization header will not do: send `Bearer` and a key or token.")
    base_url = service.base_url(request)
    session = request.cookies.get(cookie_name(base_url))
    if session is not None:
        try:
            person = find_session(database, session[:_LONGEST_TOKEN])
        except AccessRefusedError:
            # The page still shows what is public to whom the session has ended for.
            if request.method not in SAFE_METHODS:
                raise
        else:
            require_csrf(request, session, base_url)
            return person.caller(session=digest_of(session))
    return ANYBODY if state_of(database).accounts else OPEN


def _says_who(request: Request) -> bool:
    return "authorization" in request.headers or "cookie" in request.headers


def find_caller(database: Database, token: str) -> Caller:
    """Who a token stands for.

    Raises
    ------
    tiles.errors.AccessRefusedError
        When there is no such token, or it has ended.
    """
    query = sa.select(tokens).where(tokens.c.digest == digest_of(token), tokens.c.user_seq.is_(None))
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
    token = new_token(TOKEN_PREFIX)
    with database.writing() as writing:
        taken = writing.connection.execute(sa.select(tokens.c.seq).where(tokens.c.name == name)).first()
        if taken is not None:
            raise InvalidParameterError(f"There is a token named {name} already: choose another name.")
        row = {
            "name": name,
            "digest": digest_of(token),
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
        rows = connection.execute(sa.select(tokens).where(tokens.c.user_seq.is_(None)).order_by(tokens.c.seq)).all()
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
