"""Signing in by OpenID Connect: authorisation code with PKCE, state and nonce; and bearer tokens for scripts."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self
from urllib.parse import urlencode

import sqlalchemy as sa

from api.identity.accounts import Person, checked_email, find_person, make_person, person_of
from api.identity.provider import Provider
from api.identity.random_tokens import new_token
from api.identity.roles import Role
from api.identity.sessions import start_session
from api.store.database import Database, Writing
from api.store.tables import users
from tiles.errors import AccessRefusedError, InvalidParameterError, NotAllowedError

STATE_COOKIE: Final = "sylvigie_signing_in"
ROLE_NAMES: Final[Mapping[str, Role]] = {
    "sylvigie-administrator": Role.ADMINISTRATOR,
    "sylvigie-analyst": Role.ANALYST,
    "sylvigie-volunteer": Role.VOLUNTEER,
}
"""Groups of the provider's and their roles; of several, the first counts."""


@dataclass(frozen=True)
class Going:
    """What a browser keeps, in a cookie that no script reads, while it is at the provider's.

    Parameters
    ----------
    state, nonce, verifier
        Random: that the answer is to this browser, the token to this question, the code for who asked.
    """

    state: str
    nonce: str
    verifier: str

    GOOD_FOR: ClassVar[dt.timedelta] = dt.timedelta(minutes=10)
    """For which the browser keeps it."""

    @classmethod
    def new(cls) -> Self:
        """New ones."""
        return cls(new_token(), new_token(), new_token())

    @classmethod
    def of(cls, cookie: str | None) -> Self:
        """Of the cookie.

        Raises
        ------
        tiles.errors.AccessRefusedError
            When there is none.
        """
        parts = (cookie or "").split(".")
        if len(parts) != 3 or not all(20 <= len(part) <= 100 for part in parts):
            raise AccessRefusedError("This sign-in was not begun here, or too long ago: begin again.")
        return cls(*parts)

    def __str__(self) -> str:
        return f"{self.state}.{self.nonce}.{self.verifier}"


def address_to_go_to(provider: Provider, going: Going, redirect_uri: str) -> str:
    """Where the browser is sent.

    Raises
    ------
    tiles.errors.ProviderError
        When the provider does not answer.
    """
    challenge = base64.urlsafe_b64encode(hashlib.sha256(going.verifier.encode()).digest()).rstrip(b"=").decode()
    asked = {
        "response_type": "code",
        "client_id": provider.params.client_id,
        "redirect_uri": redirect_uri,
        "scope": "openid profile email",
        "state": going.state,
        "nonce": going.nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    address = provider.endpoint("authorization_endpoint")
    return f"{address}{'&' if '?' in address else '?'}{urlencode(asked)}"


def sign_in_by_code(
    database: Database, provider: Provider, going: Going, state: str, code: str, redirect_uri: str
) -> tuple[Person, str]:
    """Sign in who comes back; gives them, and the token of a new session.

    Raises
    ------
    tiles.errors.AccessRefusedError
        When the answer is not to this browser, or the token not good.
    tiles.errors.SylvigieError
        As of `_known`, or when the provider does not answer.
    """
    if not hmac.compare_digest(state.encode(), going.state.encode()):
        raise AccessRefusedError("This sign-in was not begun here, or too long ago: begin again.")
    token = provider.exchange(code, going.verifier, redirect_uri)
    person = _known(database, provider, provider.claims_of(token, going.nonce))
    with database.writing_aside() as writing:
        session = start_session(writing, person.seq)
        writing.audit(person.actor, "sign in", person.actor, "OpenID Connect")
    return person, session


def sign_in_by_token(database: Database, provider: Provider, token: str) -> Person:
    """Who a bearer's token is of.

    Raises
    ------
    tiles.errors.SylvigieError
        As of `Provider.claims_of` and `_known`.
    """
    return _known(database, provider, provider.claims_of(token))


def _known(database: Database, provider: Provider, claims: Mapping[str, Any]) -> Person:
    """The account of claims, made at the first sign-in; the role is as the provider says each time.

    Raises
    ------
    tiles.errors.NotAllowedError
        When they are in no group that has a role, or the account was ended.
    tiles.errors.ConflictError
        When another account has their e-mail: it is not taken over.
    """
    role = _role_of(claims.get(provider.params.role_claim))
    who = (users.c.issuer == provider.params.issuer) & (users.c.subject == claims["sub"])
    with database.reading() as connection:
        row = connection.execute(sa.select(users).where(who)).one_or_none()
    if row is not None and row.disabled_at is None and row.role == role.value:
        return person_of(row)
    with database.writing() as writing:
        row = writing.connection.execute(sa.select(users).where(who)).one_or_none()
        if row is None:
            seq = _make(writing, provider.params.issuer, claims, role)
            writing.audit(f"user:{seq}", "first sign-in", f"user:{seq}", role.value)
        elif row.disabled_at is not None:
            raise NotAllowedError("This account is ended: ask an administrator.")
        else:
            seq = row.seq
            writing.connection.execute(sa.update(users).where(who).values(role=role.value))
            writing.audit("provider", "change person", f"user:{seq}", role.value)
        return person_of(find_person(writing.connection, seq))


def _make(writing: Writing, issuer: str, claims: Mapping[str, Any], role: Role) -> int:
    told = next((claims[each] for each in ("name", "preferred_username") if isinstance(claims.get(each), str)), "")
    name = "".join(letter for letter in told if letter.isprintable()).strip()[:100] or "personne"
    taken = set(writing.connection.execute(sa.select(users.c.name).where(users.c.name.startswith(name))).scalars())
    alone = next(each for each in (name, *(f"{name} ({i})" for i in range(2, len(taken) + 3))) if each not in taken)
    try:
        email = None if claims.get("email_verified") is False else checked_email(str(claims.get("email")))
    except InvalidParameterError:
        email = None
    return make_person(writing, alone, email, role, "[]", issuer=issuer, subject=claims["sub"])


def _role_of(groups: object) -> Role:
    held = {groups} if isinstance(groups, str) else set(map(str, groups)) if isinstance(groups, list) else set()
    for name, role in ROLE_NAMES.items():
        if name in held:
            return role
    raise NotAllowedError("Your account at the provider has no role here: ask to be put into a group of Sylvigie's.")
