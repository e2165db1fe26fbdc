"""Forgetting personal data that are older than they are to be kept."""

from __future__ import annotations

import datetime as dt
import json

import sqlalchemy as sa

from api.identity.privacy import erase_within
from api.store.database import Database
from api.store.tables import audit_log, invitations, sessions, users


def forget_old(database: Database, days: int, now: dt.datetime) -> dict[str, int]:
    """Forget lines of the audit log, and erase ended accounts, older than some days; sessions and links that are over.

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
    with database.writing() as writing:
        for name, query in (
            ("audit_log", sa.delete(audit_log).where(audit_log.c.at < before)),
            ("sessions", sa.delete(sessions).where(sessions.c.expires_at < now)),
            ("invitations", sa.delete(invitations).where(invitations.c.expires_at < now)),
        ):
            forgotten[name] = writing.connection.execute(query).rowcount
        ended = sa.select(users).where(users.c.disabled_at < before, users.c.erased_at.is_(None))
        rows = writing.connection.execute(ended).all()
        for row in rows:
            erase_within(writing, row)
        forgotten["accounts"] = len(rows)
        if any(forgotten.values()):
            writing.audit("command", "forget", "personal data", json.dumps(forgotten))
    return forgotten
