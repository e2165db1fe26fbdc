"""Signing in: by a password, or by a provider of identities."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import sqlalchemy as sa
from limits import RateLimitItemPerHour
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from api.identity import passwords, sessions
from api.identity.oidc import Begun
from api.identity.people import create_person
from api.identity.roles import Role
from api.store.database import Database, WritingAside
from api.store.literals import is_departement
from api.store.tables import sign_ins, users
from tiles.errors import AccessRefusedError, NotAllowedError, TooManyRequestsError

_WRONG: Final = "Name or password is wrong."
_BEGUN_LASTS: Final = dt.timedelta(minutes=10)
_ROLES: Final = (Role.ADMINISTRATOR, Role.ANALYST, Role.VOLUNTEER)
_GROUP: Final = "sylvigie-"


class SignInLimit:
    """How often a password may be tried: of an account and from an address, in an hour, in one process."""

    def __init__(self, of_account: int = 20, from_address: int = 100) -> None:
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._of_account, self._from_address = RateLimitItemPerHour(of_account), RateLimitItemPerHour(from_address)

    def count(self, login: str, address: str) -> None:
        """Count an attempt.

        Raises
        ------
        tiles.errors.TooManyRequestsError
            When it is one too many.
        """
        named = hashlib.blake2b(login.strip().lower().encode(), digest_size=12).hexdigest()
        from_there = self._limiter.hit(self._from_address, "from", address)
        if not (self._limiter.hit(self._of_account, "of", named) and from_there):
            raise TooManyRequestsError("Too many attempts to sign in: wait an hour, or ask for a new password.")


def by_password(database: Database, login: str, password: str) -> tuple[int, str]:
    """Begin a session of whom the name, or the address, and the password are.

    Returns
    -------
    user_seq, token
        Of the session's cookie.

    Raises
    ------
    tiles.errors.AccessRefusedError
        When there is none, with the same words and as slowly as where the password is wrong.
    """
    said = login.strip()
    query = sa.select(users.c.seq, users.c.password).where(
        sa.or_(users.c.name == said, users.c.email == said.lower()), users.c.disabled_at.is_(None)
    )
    with database.reading() as connection:
        row = connection.execute(query).one_or_none()
    kept = None if row is None else row.password
    if not passwords.matches(kept, password) or row is None or kept is None:
        raise AccessRefusedError(_WRONG)
    with database.writing_aside() as writing:
        if passwords.is_outdated(kept):
            anew = sa.update(users).where(users.c.seq == row.seq).values(password=passwords.hashed(password))
            writing.connection.execute(anew)
        writing.audit(f"user:{row.seq}", "sign in", "password")
        return int(row.seq), sessions.begin(writing, row.seq)


@dataclass(frozen=True)
class ClaimNames:
    """Claims of a provider that tell what people are here for.

    Parameters
    ----------
    groups
        List of groups, of which ``sylvigie-volunteer``, ``sylvigie-analyst`` and ``sylvigie-administrator`` count.
    departements
        List of codes; what is set here stays where the provider tells none.
    """

    groups: str = "groups"
    departements: str = "departements"


def person_of_claims(database: Database, claims: Mapping[str, Any], names: ClaimNames = ClaimNames()) -> int:
    """The person that a provider's claims are of, made at their first sign-in; their role is the provider's word.

    Raises
    ------
    tiles.errors.NotAllowedError
        When no group of theirs counts here, or their account was ended.
    """
    role = _role_of(claims, names)
    query = sa.select(users).where(users.c.issuer == claims["iss"], users.c.subject == claims["sub"])
    with database.reading() as connection:
        row = connection.execute(query).one_or_none()
    if row is not None and row.disabled_at is not None:
        raise NotAllowedError("This account has ended: ask an administrator.")
    if role is None:
        raise NotAllowedError(f"None of your groups counts here: ask for {_GROUP}volunteer.")
    codes = _departements_of(claims, names)
    if row is None:
        with database.writing_aside() as writing:
            return _made(writing, claims, role, codes or [])
    changed = {} if row.role == role.value else {"role": role.value}
    if codes is not None and json.dumps(codes) != row.departements:
        changed["departements"] = json.dumps(codes)
    if changed:
        with database.writing_aside() as writing:
            writing.connection.execute(sa.update(users).where(users.c.seq == row.seq).values(changed))
            writing.audit("provider", "change account", f"user:{row.seq}", ", ".join(sorted(changed)))
    return int(row.seq)


def remember(database: Database, begun: Begun) -> str:
    """Keep what a sign-in has to fit until the browser comes back; the token is for its cookie."""
    token = secrets.token_urlsafe(32)
    with database.writing_aside() as writing:
        writing.connection.execute(sa.delete(sign_ins).where(sign_ins.c.expires_at < writing.now))
        row = {"digest": sessions.digest_of(token), "content": json.dumps(asdict(begun))}
        writing.connection.execute(sa.insert(sign_ins), {**row, "expires_at": writing.now + _BEGUN_LASTS})
    return token


def recall(database: Database, token: str, state: str) -> Begun:
    """What a sign-in has to fit; once.

    Raises
    ------
    tiles.errors.AccessRefusedError
        When none was begun by this browser, or it was long ago.
    """
    with database.writing_aside() as writing:
        one = sign_ins.c.digest == sessions.digest_of(token)
        query = sa.select(sign_ins.c.content).where(one, sign_ins.c.expires_at > writing.now)
        content = writing.connection.execute(query).scalar()
        writing.connection.execute(sa.delete(sign_ins).where(one))
    begun = None if content is None else Begun(**json.loads(content))
    if begun is None or not secrets.compare_digest(begun.state, state):
        raise AccessRefusedError("This sign-in was not begun here, or too long ago: begin again.")
    return begun


def _role_of(claims: Mapping[str, Any], names: ClaimNames) -> Role | None:
    groups = claims.get(names.groups)
    told = {str(group) for group in groups} if isinstance(groups, list) else set()
    return next((role for role in _ROLES if f"{_GROUP}{role.value}" in told), None)


def _departements_of(claims: Mapping[str, Any], names: ClaimNames) -> list[str] | None:
    told = claims.get(names.departements)
    return sorted({str(code) for code in told if is_departement(str(code))}) if isinstance(told, list) else None


def _made(writing: WritingAside, claims: Mapping[str, Any], role: Role, codes: list[str]) -> int:
    """Make an account. A name or an address that is another's here stays theirs: it proves nothing."""
    said = str(claims.get("name") or claims.get("preferred_username") or claims["sub"]).replace("@", " ")[:80]
    taken = set(writing.connection.execute(sa.select(users.c.name).where(users.c.name.startswith(said))).scalars())
    name = next(each for each in (said, *(f"{said} {number}" for number in range(2, 10_000))) if each not in taken)
    of_provider = {"issuer": claims["iss"], "subject": claims["sub"]}
    seq = create_person(writing, name, None, role, codes, **of_provider)
    writing.audit("provider", "make account", f"user:{seq}", role.value)
    return seq
