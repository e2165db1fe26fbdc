"""Who may do what: one check that each route names.

Callers say who they are by a token of the machine (`sylvigie token create`), a personal key, a token of a provider of
identities, or the cookie of a session. While there is no account at all, anybody who reaches the service may read all
alerts: it is somebody's own machine. From the first account on, the public gets what is published.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from api.identity import sessions, tokens
from api.identity.people import Person, person_of
from api.identity.roles import OPEN_RIGHTS, ROLE_RIGHTS, Right, Role
from api.identity.sign_in import person_of_claims
from api.service import Service
from api.store.reviews import Author
from api.store.scope import EVERYTHING, Scope
from tiles.errors import AccessRefusedError, NotAllowedError


@dataclass(frozen=True)
class Caller:
    """Who asks.

    Parameters
    ----------
    name
        For the audit log: ``token:`` and the token's name, or ``anybody``.
    rights
        What it may do.
    token_seq, user_seq
        Row of the token, or of the person; None for anybody.
    role
        Of the person.
    departements
        Of a volunteer.
    sees_all
        Whether alerts that are not published are for them too.
    """

    name: str
    rights: frozenset[Right]
    token_seq: int | None = None
    user_seq: int | None = None
    role: Role = Role.PUBLIC
    departements: frozenset[str] = frozenset()
    sees_all: bool = False

    @property
    def scope(self) -> Scope:
        """Alerts that they may know of."""
        return EVERYTHING if self.sees_all else Scope(False, self.departements, self.user_seq)

    @property
    def author(self) -> Author:
        """Who writes, for the store."""
        return Author(self.name, self.user_seq, self.token_seq)


_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_LONGEST: Final = 200
"""Characters of a token or a cookie of ours."""

ANYBODY: Final = Caller("anybody", OPEN_RIGHTS)
"""Who has not said who they are, on a service with accounts."""
OPEN: Final = Caller("anybody", OPEN_RIGHTS | {Right.SURVEY}, sees_all=True)
"""The same while there is no account at all: a machine of one's own."""


def allowed(right: Right) -> Callable[[Request], Awaitable[Caller]]:
    """The check that a route names as its dependency: whoever has no such right is refused."""

    async def check(request: Request) -> Caller:
        caller: Caller | None = getattr(request.state, "caller", None)
        if caller is None:
            # Who asks how the service does needs nothing of the store, which may be what has failed.
            bare = right is Right.OPERATE and "authorization" not in request.headers
            caller = request.state.caller = ANYBODY if bare else await caller_of(request)
        if right not in caller.rights:
            if caller.name != ANYBODY.name:
                raise NotAllowedError(f"This needs the right to {right}, which you do not have.")
            raise AccessRefusedError(
                f"This needs the right to {right}: sign in, or send a token that has it (`sylvigie token create` on "
                "the machine of the service) as `Authorization: Bearer TOKEN`."
            )
        return caller

    check.__name__ = f"may_{right.value}"
    return check


async def caller_of(request: Request) -> Caller:
    """Who asks."""
    service: Service = request.app.state.service
    header = request.headers.get("authorization")
    cookie = request.cookies.get(service.cookie_name)
    if header is not None:
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            raise AccessRefusedError("The Authorization header will not do: send `Bearer` and a token.")
        return await run_in_threadpool(_by_token, service, token)
    if cookie is not None:
        caller = await run_in_threadpool(_by_session, service, cookie)
        if caller is not None:
            if request.method not in _READS:
                _check_page(request, cookie)
            return caller
    if service.has_accounts_already:
        return ANYBODY
    return ANYBODY if await run_in_threadpool(service.has_accounts) else OPEN


def caller_for(person: Person, rights: frozenset[Right] | None = None, token_seq: int | None = None) -> Caller:
    """A person as a caller; with a key, of the rights that both have."""
    theirs = ROLE_RIGHTS[person.role]
    return Caller(
        f"user:{person.seq}",
        theirs if rights is None else OPEN_RIGHTS | (theirs & rights),
        token_seq,
        person.seq,
        person.role,
        frozenset(person.departements),
        sees_all=person.role in (Role.ANALYST, Role.ADMINISTRATOR),
    )


def _by_token(service: Service, token: str) -> Caller:
    if token.startswith((tokens.TOKEN_PREFIX, tokens.KEY_PREFIX)) and len(token) <= _LONGEST:
        found = tokens.find_token(service.database, token)
        if found.user_seq is None:
            rights = OPEN_RIGHTS | found.rights | {Right.SURVEY}
            return Caller(f"token:{found.name}", rights, found.seq, sees_all=True)
        return caller_for(_person(service, found.user_seq), found.rights, found.seq)
    if service.provider is None:
        raise AccessRefusedError("The token is none of this service: ask for one, or sign in.")
    claims = service.provider.claims(token)
    return caller_for(_person(service, person_of_claims(service.database, claims, service.claim_names)))


def _by_session(service: Service, cookie: str) -> Caller | None:
    person = sessions.who(service.database, cookie) if len(cookie) <= _LONGEST else None
    return None if person is None else caller_for(person)


def _person(service: Service, seq: int) -> Person:
    with service.database.reading() as connection:
        person = person_of(connection, seq)
    if person is None:
        raise AccessRefusedError("The account has ended: ask an administrator.")
    return person


def _check_page(request: Request, cookie: str) -> None:
    """See that a write with a cookie comes from a page of ours: a browser sends cookies for any page."""
    from_where = request.headers.get("sec-fetch-site", "same-origin")
    if from_where not in ("same-origin", "none") or not sessions.is_ours(cookie, request.headers.get("x-csrf-token")):
        raise NotAllowedError("This write does not come from a page of this service: load the page again.")
