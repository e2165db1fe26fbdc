"""Accounts: who has one, of which role and départements; made, found, listed, changed and disabled."""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from api.identity.callers import Caller
from api.identity.roles import ROLE_RIGHTS, Role
from api.notices.subscribing import end_within
from api.store.database import Database, Writing, WritingAside
from api.store.tables import assignments, sessions, store_state, subscriptions, tokens, users
from tiles.errors import ConflictError, InvalidParameterError, NotFoundError

_EMAIL: Final = re.compile(r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]{1,180}")
_DEPARTEMENT: Final = re.compile(r"\d\d|2[AB]|97\d|98\d")


@dataclass(frozen=True)
class Person:
    """Somebody who has an account.

    Parameters
    ----------
    seq
        Row; what the audit log names them by.
    name, email
        Personal: for themselves and those who manage accounts.
    role
        What they are here for.
    departements
        Codes of those that are a volunteer's.
    created_at, disabled_at
        Moments (UTC).
    by_provider
        Whether they sign in by OpenID Connect.
    """

    seq: int
    name: str
    email: str | None
    role: Role
    departements: tuple[str, ...]
    created_at: dt.datetime
    disabled_at: dt.datetime | None
    by_provider: bool

    @property
    def actor(self) -> str:
        """For the audit log."""
        return f"user:{self.seq}"

    def caller(self, session: str | None = None) -> Caller:
        """What they may do."""
        return Caller(
            self.actor,
            ROLE_RIGHTS[self.role],
            user_seq=self.seq,
            role=self.role,
            departements=frozenset(self.departements),
            sees_all=self.role in (Role.ANALYST, Role.ADMINISTRATOR),
            session=session,
        )


def person_of(row: Any) -> Person:
    """Somebody, by their row."""
    return Person(
        row.seq,
        row.name,
        row.email,
        Role(row.role),
        tuple(json.loads(row.departements)),
        row.created_at,
        row.disabled_at,
        row.issuer is not None,
    )


def checked_email(email: str) -> str:
    """An e-mail as it is kept: in small letters.

    Raises
    ------
    tiles.errors.InvalidParameterError
        When it is none; it is not repeated.
    """
    kept = email.strip().lower()
    if not _EMAIL.fullmatch(kept):
        raise InvalidParameterError("The e-mail will not do: it is somebody@somewhere.")
    return kept


def require_account_role(role: Role) -> None:
    """See that somebody with an account can have a role.

    Raises
    ------
    tiles.errors.InvalidParameterError
        When it is the public's.
    """
    if role is Role.PUBLIC:
        raise InvalidParameterError("An account is a volunteer's, an analyst's or an administrator's.")


def checked_departements(departements: list[str]) -> str:
    """Codes of départements as they are kept.

    Raises
    ------
    tiles.errors.InvalidParameterError
        When one is none.
    """
    wrong = [each for each in departements if not _DEPARTEMENT.fullmatch(each)]
    if wrong:
        raise InvalidParameterError(f"{wrong[0][:8]} is no code of a département: 40, 2A and 974 are.")
    return json.dumps(sorted(set(departements)))


def make_person(writing: Writing, name: str, email: str | None, role: Role, departements: str, **kept: Any) -> int:
    """Make an account; gives its row.

    Parameters
    ----------
    writing
        The transaction.
    name, email, role, departements
        As of `Person`; the e-mail and the départements as checked.
    **kept
        ``password`` (its hash), or ``issuer`` and ``subject``.

    Raises
    ------
    tiles.errors.ConflictError
        When the name or e-mail is another's.
    tiles.errors.InvalidParameterError
        When the name will not do, or the role is nobody's.
    """
    name = name.strip()
    if not 1 <= len(name) <= 120 or not name.isprintable():
        raise InvalidParameterError("The name will not do: it has 1 to 120 characters.")
    require_account_role(role)
    same = users.c.name == name
    if email is not None:
        same = sa.or_(same, users.c.email == email)
    if writing.connection.execute(sa.select(users.c.seq).where(same)).first() is not None:
        raise ConflictError("There is an account of this name or e-mail already.")
    row = {
        "name": name,
        "email": email,
        "role": role.value,
        "departements": departements,
        "created_at": writing.now,
        **kept,
    }
    seq: int = writing.connection.execute(sa.insert(users).returning(users.c.seq), row).scalar_one()
    count_accounts(writing)
    return seq


def count_accounts(writing: WritingAside) -> None:
    """Bring the number of accounts in line, in the transaction that made one; ended ones count: nothing opens again."""
    number = sa.select(sa.func.count()).select_from(users).scalar_subquery()
    writing.connection.execute(sa.update(store_state).values(accounts=number))


def find_person(connection: sa.Connection, seq: int) -> Any:
    """Row of somebody.

    Raises
    ------
    tiles.errors.NotFoundError
        When there is none.
    """
    row = connection.execute(sa.select(users).where(users.c.seq == seq)).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no person {seq}.")
    return row


def seq_of(database: Database, email: str) -> int:
    """Row of the account of an e-mail.

    Raises
    ------
    tiles.errors.NotFoundError
        When there is none.
    """
    query = sa.select(users.c.seq).where(users.c.email == email.strip().lower())
    with database.reading() as connection:
        seq: int | None = connection.execute(query).scalar_one_or_none()
    if seq is None:
        raise NotFoundError("There is no account of this e-mail.")
    return seq


def list_people(database: Database, actor: str) -> list[Person]:
    """All that have or had an account; that they were read is noted."""
    with database.writing_aside() as writing:
        rows = writing.connection.execute(sa.select(users).order_by(users.c.seq)).all()
        writing.audit(actor, "list people", "users")
    return [person_of(row) for row in rows]


def change_person(
    database: Database, seq: int, role: Role | None, departements: list[str] | None, actor: str
) -> Person:
    """Give somebody another role or other départements.

    Raises
    ------
    tiles.errors.SylvigieError
        As of `find_person`, `checked_departements`; ConflictError when no administrator would be left.
    """
    values: dict[str, Any] = {}
    if role is not None:
        require_account_role(role)
        values["role"] = role.value
    if departements is not None:
        values["departements"] = checked_departements(departements)
    with database.writing() as writing:
        row = find_person(writing.connection, seq)
        if role is not None and role is not Role.ADMINISTRATOR:
            require_another_administrator(writing, row)
        if values:
            writing.connection.execute(sa.update(users).where(users.c.seq == seq).values(values))
        writing.audit(actor, "change person", f"user:{seq}", json.dumps(values))
        return person_of(find_person(writing.connection, seq))


def disable_person(database: Database, seq: int, actor: str) -> None:
    """End somebody's account, sessions and keys; what they wrote stays.

    Raises
    ------
    tiles.errors.NotFoundError
        When there is none.
    tiles.errors.ConflictError
        When no administrator would be left.
    """
    with database.writing() as writing:
        row = find_person(writing.connection, seq)
        require_another_administrator(writing, row)
        end_account(writing, seq)
        writing.audit(actor, "disable person", f"user:{seq}")


def end_account(writing: Writing, seq: int) -> None:
    """End an account with all by which it may be used."""
    connection, now = writing.connection, writing.now
    ended = sa.update(users).where(users.c.seq == seq, users.c.disabled_at.is_(None))
    connection.execute(ended.values(disabled_at=now))
    connection.execute(
        sa.update(sessions).where(sessions.c.user_seq == seq, sessions.c.ended_at.is_(None)).values(ended_at=now)
    )
    connection.execute(
        sa.update(tokens).where(tokens.c.user_seq == seq, tokens.c.revoked_at.is_(None)).values(revoked_at=now)
    )
    asked = assignments.c.user_seq == seq, assignments.c.ended_at.is_(None)
    connection.execute(sa.update(assignments).where(*asked).values(ended_at=now))
    theirs = sa.select(subscriptions.c.seq).where(subscriptions.c.user_seq == seq, subscriptions.c.ended_at.is_(None))
    for subscription in connection.execute(theirs).scalars().all():
        end_within(writing, subscription, "account")


def require_another_administrator(writing: Writing, row: Any) -> None:
    """See that there is an administrator beside somebody.

    Raises
    ------
    tiles.errors.ConflictError
        When they are the last: nobody could make another, and without accounts the service would be open to all.
    """
    if row.role != Role.ADMINISTRATOR or row.disabled_at is not None:
        return
    others = sa.select(users.c.seq).where(
        users.c.role == Role.ADMINISTRATOR.value, users.c.disabled_at.is_(None), users.c.seq != row.seq
    )
    if writing.connection.execute(others).first() is None:
        raise ConflictError("This is the last administrator: make another first.")
