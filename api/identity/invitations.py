"""Links by which people make their account, or set a new password: each is good once, and not for long."""

from __future__ import annotations

import datetime as dt
import json
import secrets
from collections.abc import Iterable
from typing import Any, Final

import sqlalchemy as sa

from api.identity.passwords import hashed
from api.identity.people import checked_departements, checked_email, create_person
from api.identity.roles import Role
from api.identity.sessions import digest_of, end_all
from api.store.database import Database, WritingAside
from api.store.reviews import Author
from api.store.tables import invitations, users
from tiles.errors import AccessRefusedError, ConflictError, InvalidParameterError, NotFoundError

INVITATION_LASTS: Final = dt.timedelta(days=7)
RESET_LASTS: Final = dt.timedelta(hours=1)


def invite(database: Database, email: str, role: Role, departements: Iterable[str], author: Author) -> str:
    """Make an invitation; its token is for the link, and kept nowhere.

    Raises
    ------
    tiles.errors.InvalidParameterError
        When a value will not do.
    tiles.errors.ConflictError
        When there is an account of this address.
    """
    address = checked_email(email)
    if role is Role.PUBLIC:
        raise InvalidParameterError("People are invited as volunteers, analysts or administrators.")
    codes = json.dumps(checked_departements(departements))
    with database.writing_aside() as writing:
        query = sa.select(users.c.seq).where(users.c.email == address)
        if writing.connection.execute(query).first() is not None:
            raise ConflictError("There is an account of this address already.")
        token = _put(writing, author, INVITATION_LASTS, email=address, role=role.value, departements=codes)
        writing.audit(author.actor, "invite", role.value)
    return token


def offer_reset(database: Database, user_seq: int, author: Author) -> str:
    """Make a link by which a person sets a new password.

    Raises
    ------
    tiles.errors.NotFoundError
        When there is no such account.
    """
    with database.writing_aside() as writing:
        query = sa.select(users.c.seq).where(users.c.seq == user_seq, users.c.disabled_at.is_(None))
        if writing.connection.execute(query).first() is None:
            raise NotFoundError(f"There is no account {user_seq}, or it has ended.")
        token = _put(writing, author, RESET_LASTS, user_seq=user_seq)
        writing.audit(author.actor, "offer reset", f"user:{user_seq}")
    return token


def accept(database: Database, token: str, password: str, name: str | None = None) -> int:
    """Use a link: make the account of an invitation, or set the password of a reset, which ends all sessions.

    Returns
    -------
    int
        Number of the person.

    Raises
    ------
    tiles.errors.AccessRefusedError
        When the link is of none that is good.
    tiles.errors.InvalidParameterError
        When the password or the name will not do: the link stays good.
    """
    kept = hashed(password)
    with database.writing_aside() as writing:
        query = sa.select(invitations).where(
            invitations.c.digest == digest_of(token),
            invitations.c.used_at.is_(None),
            invitations.c.expires_at > writing.now,
        )
        row = writing.connection.execute(query).one_or_none()
        if row is None:
            raise AccessRefusedError("This link is not good any more: ask for another.")
        if row.user_seq is None:
            codes = json.loads(row.departements)
            seq = create_person(writing, name or "", row.email, Role(row.role), codes, password=kept)
        else:
            seq = int(row.user_seq)
            changed = sa.update(users).where(users.c.seq == seq, users.c.disabled_at.is_(None)).values(password=kept)
            if writing.connection.execute(changed).rowcount == 0:
                raise AccessRefusedError("This link is not good any more: ask for another.")
            end_all(writing, seq)
        used = sa.update(invitations).where(invitations.c.seq == row.seq).values(used_at=writing.now, email=None)
        writing.connection.execute(used)
        writing.audit(f"user:{seq}", "accept invitation" if row.user_seq is None else "set password", f"user:{seq}")
    return seq


def _put(writing: WritingAside, author: Author, lasts: dt.timedelta, **row: Any) -> str:
    token = secrets.token_urlsafe(32)
    made = {"digest": digest_of(token), "made_by": author.actor, "made_at": writing.now}
    writing.connection.execute(sa.insert(invitations), {**made, "expires_at": writing.now + lasts, **row})
    return token
