"""People's accounts in the store."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from api.exports.tables import clean
from api.identity.roles import Role
from api.notices.subscribing import end_within
from api.store.database import Database, WritingAside
from api.store.literals import is_departement
from api.store.reviews import Author
from api.store.tables import (
    alerts,
    assignments,
    audit_log,
    comments,
    favourites,
    invitations,
    observation_reports,
    reviews,
    sessions,
    subscriptions,
    tokens,
    users,
)
from tiles.errors import ConflictError, InvalidParameterError, NotFoundError

_LONGEST_NAME: Final = 100
COMMAND: Final = Author("command")


@dataclass(frozen=True)
class Person:
    """Somebody who has an account.

    Parameters
    ----------
    seq, name, email, role, departements
        Of the account.
    created_at, disabled_at
        When it was made, and ended; None while it is good.
    has_password
        Whether they sign in here; else by OpenID Connect, or not yet.
    """

    seq: int
    name: str
    email: str | None
    role: Role
    departements: tuple[str, ...]
    created_at: dt.datetime
    disabled_at: dt.datetime | None
    has_password: bool


def create_person(
    writing: WritingAside, name: str, email: str | None, role: Role, departements: Iterable[str] = (), **more: Any
) -> int:
    """Make an account, in a transaction that is under way.

    Parameters
    ----------
    writing
        The transaction.
    name, email, role, departements
        Of the account; départements are of volunteers.
    **more
        Columns: ``password``, ``issuer``, ``subject``.

    Returns
    -------
    int
        Number of the person.

    Raises
    ------
    tiles.errors.InvalidParameterError
        When a value will not do.
    tiles.errors.ConflictError
        When the name or the address is another's.
    """
    row = {
        "name": checked_name(name),
        "email": None if email is None else checked_email(email),
        "role": _checked_role(role).value,
        "departements": json.dumps(checked_departements(departements)),
        "created_at": writing.now,
        **more,
    }
    taken = [users.c.name == row["name"]] + ([] if row["email"] is None else [users.c.email == row["email"]])
    if writing.connection.execute(sa.select(users.c.seq).where(sa.or_(*taken))).first() is not None:
        raise ConflictError("There is an account of this name or address already.")
    return int(writing.connection.execute(sa.insert(users).returning(users.c.seq), row).scalar_one())


def people_of(database: Database) -> list[Person]:
    """All accounts that were not erased, oldest first."""
    query = sa.select(users).where(users.c.erased_at.is_(None)).order_by(users.c.seq)
    with database.reading() as connection:
        return [_person(row) for row in connection.execute(query)]


def person_of(connection: sa.Connection, seq: int) -> Person | None:
    """Somebody whose account is good; None where there is none."""
    query = sa.select(users).where(users.c.seq == seq, users.c.disabled_at.is_(None))
    row = connection.execute(query).one_or_none()
    return None if row is None else _person(row)


def change_person(
    database: Database, seq: int, author: Author, *, role: Role | None = None, departements: Iterable[str] | None = None
) -> None:
    """Change what somebody is here for, or where; what is None stays.

    Raises
    ------
    tiles.errors.NotFoundError
        When there is no such account.
    tiles.errors.ConflictError
        When nobody would be left who may manage accounts.
    """
    changed: dict[str, Any] = {}
    if role is not None:
        changed["role"] = _checked_role(role).value
    if departements is not None:
        changed["departements"] = json.dumps(checked_departements(departements))
    with database.writing_aside() as writing:
        _require(writing, seq)
        if changed:
            writing.connection.execute(sa.update(users).where(users.c.seq == seq).values(changed))
        _require_administrator(writing)
        writing.audit(author.actor, "change account", f"user:{seq}", ", ".join(sorted(changed)))


def disable_person(database: Database, seq: int, author: Author) -> None:
    """End an account, with its sessions and keys; what they wrote stays.

    Raises
    ------
    tiles.errors.NotFoundError
        When there is no such account.
    tiles.errors.ConflictError
        When nobody would be left who may manage accounts.
    """
    with database.writing_aside() as writing:
        _require(writing, seq)
        _end(writing, seq)
        _require_administrator(writing)
        writing.audit(author.actor, "disable account", f"user:{seq}")


def erase_person(database: Database, seq: int, author: Author) -> None:
    """Take away who somebody was (RGPD, article 17): the account's row stays, without name, address or password.

    Their reports and reviews stay, of a person without a name; their comments, favourites and subscriptions go.

    Raises
    ------
    tiles.errors.NotFoundError
        When there is no such account.
    tiles.errors.ConflictError
        When nobody would be left who may manage accounts.
    """
    with database.writing_aside() as writing:
        email = _require(writing, seq, also_disabled=True).email
        _end(writing, seq)
        _erase(writing, seq, email)
        _require_administrator(writing)
        writing.audit(author.actor, "erase account", f"user:{seq}")


def data_of(database: Database, seq: int, author: Author) -> dict[str, Any]:
    """All that is kept of a person (RGPD, articles 15 and 20), as JSON takes it.

    Raises
    ------
    tiles.errors.NotFoundError
        When there is no such account.
    """
    with database.writing_aside() as writing:
        person = _person(_require(writing, seq, also_disabled=True))
        writing.audit(author.actor, "read", f"data of user:{seq}")
        connection, found = writing.connection, {}
        for name, table, columns in (
            ("reviews", reviews, ("state", "reason", "comment", "made_at")),
            ("comments", comments, ("text", "made_at", "removed_at")),
            ("reports", observation_reports, ("id", "version", "observed_on", "content", "received_at")),
            ("assignments", assignments, ("made_at", "ended_at")),
            ("favourites", favourites, ("made_at",)),
        ):
            query = sa.select(alerts.c.id.label("alert"), *(table.c[column] for column in columns))
            query = query.join(alerts, alerts.c.seq == table.c.alert_seq).where(table.c.user_seq == seq)
            found[name] = [_plain(row) for row in connection.execute(query).mappings()]
        for name, table, columns in (
            ("subscriptions", subscriptions, ("channel", "address", "filters", "created_at", "ended_at")),
            ("sessions", sessions, ("created_at", "used_at", "ended_at")),
            ("keys", tokens, ("name", "rights", "created_at", "revoked_at")),
        ):
            query = sa.select(*(table.c[column] for column in columns)).where(table.c.user_seq == seq)
            found[name] = [_plain(row) for row in connection.execute(query).mappings()]
        mine = sa.select(audit_log.c.at, audit_log.c.action, audit_log.c.subject)
        mine = mine.where(audit_log.c.actor == f"user:{seq}").order_by(audit_log.c.seq)
        found["audit_log"] = [_plain(row) for row in connection.execute(mine).mappings()]
    account: dict[str, Any] = {"name": person.name, "email": person.email, "role": person.role.value}
    account |= {"departements": list(person.departements), "created_at": person.created_at.isoformat()}
    return {"account": account, **found}


def forget_old(database: Database, days: int, now: dt.datetime) -> dict[str, int]:
    """Forget what is older than it is to be kept: lines of the audit log, sessions, invitations, ended accounts.

    Parameters
    ----------
    database
        The store.
    days
        That personal data are kept.
    now
        The present.

    Returns
    -------
    dict
        How many of each.
    """
    before = now - dt.timedelta(days=days)
    forgotten = {}
    with database.writing_aside() as writing:
        for name, query in (
            ("audit_log", sa.delete(audit_log).where(audit_log.c.at < before)),
            ("sessions", sa.delete(sessions).where(sessions.c.expires_at < now)),
            ("invitations", sa.delete(invitations).where(invitations.c.expires_at < now)),
        ):
            forgotten[name] = writing.connection.execute(query).rowcount
        ended = sa.select(users.c.seq, users.c.email).where(users.c.disabled_at < before, users.c.erased_at.is_(None))
        rows = writing.connection.execute(ended).all()
        for row in rows:
            _erase(writing, row.seq, row.email)
        forgotten["accounts"] = len(rows)
        if any(forgotten.values()):
            writing.audit("command", "forget", "personal data", json.dumps(forgotten))
    return forgotten


def checked_name(name: str) -> str:
    """A person's name."""
    said = clean(name).strip()
    if not said or len(said) > _LONGEST_NAME or not said.isprintable() or "@" in said:
        raise InvalidParameterError(f"A name has 1 to {_LONGEST_NAME} characters, and no @.")
    return said


def checked_email(email: str) -> str:
    """An address for mail, in small letters."""
    said = email.strip().lower()
    local, at, domain = said.rpartition("@")
    if not at or not local or "." not in domain or len(said) > 254 or not said.isascii() or not said.isprintable():
        raise InvalidParameterError("This is no address for mail.")
    if any(character in said for character in " <>,;:\"'\\()[]"):
        raise InvalidParameterError("This is no address for mail.")
    return said


def checked_departements(codes: Iterable[str]) -> list[str]:
    """Codes of départements, each once, in their order."""
    found = sorted(set(codes))
    wrong = [code for code in found if not is_departement(code)]
    if wrong:
        raise InvalidParameterError("A département is a code such as 40, 2A or 971.")
    return found


def _checked_role(role: Role) -> Role:
    if role is Role.PUBLIC:
        raise InvalidParameterError("An account is a volunteer's, an analyst's or an administrator's.")
    return role


def _require(writing: WritingAside, seq: int, *, also_disabled: bool = False) -> Any:
    query = sa.select(users).where(users.c.seq == seq, users.c.erased_at.is_(None))
    if not also_disabled:
        query = query.where(users.c.disabled_at.is_(None))
    row = writing.connection.execute(query).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no account {seq}, or it has ended.")
    return row


def _require_administrator(writing: WritingAside) -> None:
    query = sa.select(users.c.seq).where(users.c.role == Role.ADMINISTRATOR.value, users.c.disabled_at.is_(None))
    if writing.connection.execute(query.limit(1)).first() is None:
        raise ConflictError("Nobody would be left who may manage accounts: make another administrator first.")


def _end(writing: WritingAside, seq: int) -> None:
    now, run = writing.now, writing.connection.execute
    run(sa.update(users).where(users.c.seq == seq, users.c.disabled_at.is_(None)).values(disabled_at=now))
    run(sa.update(sessions).where(sessions.c.user_seq == seq, sessions.c.ended_at.is_(None)).values(ended_at=now))
    run(sa.update(tokens).where(tokens.c.user_seq == seq, tokens.c.revoked_at.is_(None)).values(revoked_at=now))
    run(
        sa.update(assignments)
        .where(assignments.c.user_seq == seq, assignments.c.ended_at.is_(None))
        .values(ended_at=now)
    )
    theirs = sa.select(subscriptions.c.seq).where(subscriptions.c.user_seq == seq, subscriptions.c.ended_at.is_(None))
    for subscription in run(theirs).scalars().all():
        end_within(writing, subscription, "account")


def _erase(writing: WritingAside, seq: int, email: str | None) -> None:
    run = writing.connection.execute
    nothing: dict[str, Any] = {"email": None, "password": None, "issuer": None, "subject": None, "departements": "[]"}
    run(sa.update(users).where(users.c.seq == seq).values(name=f"@{seq}", erased_at=writing.now, **nothing))
    run(sa.update(comments).where(comments.c.user_seq == seq).values(text="", removed_at=writing.now))
    run(sa.update(reviews).where(reviews.c.user_seq == seq).values(comment=None))
    run(sa.delete(favourites).where(favourites.c.user_seq == seq))
    run(sa.delete(sessions).where(sessions.c.user_seq == seq))
    run(sa.update(tokens).where(tokens.c.user_seq == seq).values(name=sa.literal("@") + sa.cast(tokens.c.seq, sa.Text)))
    run(sa.delete(invitations).where(sa.or_(invitations.c.user_seq == seq, invitations.c.email == (email or "@"))))


def _plain(row: sa.RowMapping) -> dict[str, Any]:
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in row.items()}


def _person(row: Any) -> Person:
    return Person(
        row.seq,
        row.name,
        row.email,
        Role(row.role),
        tuple(json.loads(row.departements)),
        row.created_at,
        row.disabled_at,
        row.password is not None,
    )
