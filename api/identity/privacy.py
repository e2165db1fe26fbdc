"""What is kept of a person, given out and erased (RGPD, articles 15, 17 and 20)."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any, Final

import sqlalchemy as sa

from api.identity.accounts import end_account, find_person, require_another_administrator
from api.store.database import Database, Writing
from api.store.tables import audit_log, comments, favourites, invitations, metadata, sessions, tokens, users

_SECRET: Final = frozenset({"digest", "password", "geometry", "request_key"})
"""Columns that are nobody's data, or not to be given out."""
_OWN: Final = "user_seq"


def data_of(database: Database, seq: int, actor: str) -> dict[str, Any]:
    """All that is kept of a person, table by table; that it was read is noted.

    Raises
    ------
    tiles.errors.NotFoundError
        When there is no such person.
    """
    name = f"user:{seq}"
    with database.writing_aside() as writing:
        connection = writing.connection
        told: dict[str, Any] = {"users": [_told(find_person(connection, seq))]}
        # Every table that has rows of people's: one that is added later is in it by itself.
        for table in metadata.sorted_tables:
            if _OWN in table.c:
                rows = connection.execute(sa.select(table).where(table.c[_OWN] == seq).order_by(*table.primary_key))
                told[table.name] = [_told(row) for row in rows]
        theirs = sa.or_(audit_log.c.actor == name, audit_log.c.subject == name)
        rows = connection.execute(sa.select(audit_log).where(theirs).order_by(audit_log.c.seq))
        told["audit_log"] = [_told(row) for row in rows]
        writing.audit(actor, "read person's data", name)
    return told


def erase_person(database: Database, seq: int, actor: str) -> None:
    """End an account, and take away who it was.

    Reviews, reports and the audit log stay, of a row that names nobody; comments, favourites and subscriptions go.

    Raises
    ------
    tiles.errors.NotFoundError
        When there is no such person.
    tiles.errors.ConflictError
        When no administrator would be left.
    """
    with database.writing() as writing:
        row = find_person(writing.connection, seq)
        require_another_administrator(writing, row)
        erase_within(writing, row)
        writing.audit(actor, "erase person", f"user:{seq}")


def erase_within(writing: Writing, row: Any) -> None:
    """Erase whom a row of `users` is of, in a transaction that is under way."""
    connection, seq = writing.connection, int(row.seq)
    end_account(writing, seq)
    nobody = {
        "name": f"erased-{seq}",
        "email": None,
        "password": None,
        "issuer": None,
        "subject": None,
        "departements": "[]",
        "erased_at": writing.now,
    }
    connection.execute(sa.update(users).where(users.c.seq == seq).values(nobody))
    for table in (sessions, invitations, favourites):
        connection.execute(sa.delete(table).where(table.c.user_seq == seq))
    # An invitation that was not taken up yet names them too.
    if row.email is not None:
        connection.execute(sa.delete(invitations).where(invitations.c.email == row.email))
    connection.execute(sa.update(comments).where(comments.c.user_seq == seq).values(text="", removed_at=writing.now))
    keys = connection.execute(sa.select(tokens.c.seq).where(tokens.c.user_seq == seq)).scalars().all()
    for key in keys:
        # What they called it may say who they are.
        renamed = sa.update(tokens).where(tokens.c.seq == key)
        connection.execute(renamed.values(name=f"user:{seq}/erased-{key}"))


def _told(row: Any) -> dict[str, Any]:
    return {name: _plain(value) for name, value in row._mapping.items() if name not in _SECRET}


def _plain(value: Any) -> Any:
    """A value as JSON has it; what was kept as JSON is told as that."""
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if isinstance(value, bytes):
        return None
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            return value
    return value
