"""Links that are good once: an invitation to an account, and a password set anew.

The link's secret stands behind its ``#``, so that it is in no server's log and no Referer; its digest is kept.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from api.identity.accounts import (
    Person,
    checked_departements,
    checked_email,
    find_person,
    make_person,
    person_of,
    require_account_role,
)
from api.identity.passwords import hash_password
from api.identity.random_tokens import digest_of, new_token
from api.identity.roles import Role
from api.identity.sessions import end_sessions
from api.store.database import Database, Writing, WritingAside
from api.store.tables import invitations, users
from tiles.errors import AccessRefusedError, ConflictError

INVITATION_GOOD_FOR: Final = dt.timedelta(days=7)
RESET_GOOD_FOR: Final = dt.timedelta(hours=1)


@dataclass(frozen=True)
class Invited:
    """Who is invited.

    Parameters
    ----------
    email, role, departements
        As of `api.identity.accounts.Person`.
    """

    email: str
    role: Role
    departements: tuple[str, ...] = ()


def invite(database: Database, invited: Invited, actor: str) -> str:
    """Make an invitation; gives its token, for the link.

    Raises
    ------
    tiles.errors.InvalidParameterError
        When the e-mail, the role or a département will not do.
    tiles.errors.ConflictError
        When the e-mail has an account.
    """
    require_account_role(invited.role)
    email, token = checked_email(invited.email), new_token()
    departements = checked_departements(list(invited.departements))
    with database.writing_aside() as writing:
        if writing.connection.execute(sa.select(users.c.seq).where(users.c.email == email)).first() is not None:
            raise ConflictError("There is an account of this e-mail already.")
        seq = _keep(writing, token, actor, INVITATION_GOOD_FOR, email, invited.role.value, departements, None)
        writing.audit(actor, "invite", f"invitation:{seq}", invited.role.value)
    return token


def accept_invitation(database: Database, token: str, name: str, password: str) -> Person:
    """Make the account that a token invites to.

    Raises
    ------
    tiles.errors.AccessRefusedError
        When the link is not good (any more).
    tiles.errors.SylvigieError
        When the name or password will not do, or the name is another's; the link stays good then.
    """
    kept = hash_password(password)
    with database.writing() as writing:
        row = _taken(writing, token, of_person=False)
        seq = make_person(writing, name, row.email, Role(row.role), row.departements, password=kept)
        used = sa.update(invitations).where(invitations.c.seq == row.seq)
        writing.connection.execute(used.values(email=None, user_seq=seq))
        writing.audit(f"user:{seq}", "accept invitation", f"invitation:{row.seq}", json.dumps({"role": row.role}))
        return person_of(find_person(writing.connection, seq))


def make_reset(database: Database, email: str, actor: str) -> str | None:
    """Make a token to set somebody's password anew; None where no good account with one is of that e-mail."""
    theirs = (users.c.email == email.strip().lower()) & users.c.disabled_at.is_(None)
    query = sa.select(users.c.seq).where(theirs, users.c.password.is_not(None))
    token = new_token()
    with database.writing_aside() as writing:
        seq = writing.connection.execute(query).scalar_one_or_none()
        if seq is None:
            return None
        _end_links(writing, seq)
        _keep(writing, token, actor, RESET_GOOD_FOR, None, None, "[]", seq)
        writing.audit(actor, "ask for a new password", f"user:{seq}")
    return token


def accept_reset(database: Database, token: str, password: str) -> Person:
    """Set a password anew, and end all sessions that were begun with the old one.

    Raises
    ------
    tiles.errors.AccessRefusedError
        When the link is not good (any more), or the account is ended.
    tiles.errors.InvalidParameterError
        When the password will not do; the link stays good then.
    """
    kept = hash_password(password)
    with database.writing() as writing:
        seq = _taken(writing, token, of_person=True).user_seq
        row = find_person(writing.connection, seq)
        if row.disabled_at is not None:
            raise AccessRefusedError("The account is ended: ask an administrator.")
        set_password(writing, seq, kept)
        writing.audit(f"user:{seq}", "new password", f"user:{seq}")
        return person_of(row)


def set_password(writing: WritingAside, seq: int, kept: str) -> None:
    """Keep another password's hash, and end what the old one opened."""
    writing.connection.execute(sa.update(users).where(users.c.seq == seq).values(password=kept))
    end_sessions(writing, seq)
    _end_links(writing, seq)


def _end_links(writing: WritingAside, seq: int) -> None:
    old = sa.update(invitations).where(invitations.c.user_seq == seq, invitations.c.used_at.is_(None))
    writing.connection.execute(old.values(used_at=writing.now))


def _keep(
    writing: WritingAside,
    token: str,
    actor: str,
    good_for: dt.timedelta,
    email: str | None,
    role: str | None,
    departements: str,
    user_seq: int | None,
) -> int:
    row = {
        "digest": digest_of(token),
        "email": email,
        "role": role,
        "departements": departements,
        "user_seq": user_seq,
        "made_by": actor,
        "made_at": writing.now,
        "expires_at": writing.now + good_for,
    }
    # Who was invited and never came is not kept.
    writing.connection.execute(sa.update(invitations).where(invitations.c.expires_at <= writing.now).values(email=None))
    seq: int = writing.connection.execute(sa.insert(invitations).returning(invitations.c.seq), row).scalar_one()
    return seq


def _taken(writing: Writing, token: str, *, of_person: bool) -> Any:
    """Row of a link that is good, which is so no more."""
    query = sa.select(invitations).where(invitations.c.digest == digest_of(token))
    row = writing.connection.execute(query).one_or_none()
    if row is None or row.used_at is not None or row.expires_at <= writing.now or (row.role is None) is not of_person:
        raise AccessRefusedError("The link is not good any more: ask for a new one.")
    used = sa.update(invitations).where(invitations.c.seq == row.seq)
    writing.connection.execute(used.values(used_at=writing.now))
    return row
