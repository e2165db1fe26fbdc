"""Signing in with a password."""

from __future__ import annotations

import sqlalchemy as sa

from api.identity.accounts import Person, person_of
from api.identity.attempts import Attempts
from api.identity.passwords import hash_password, needs_rehash, password_fits
from api.identity.sessions import start_session
from api.store.database import Database
from api.store.tables import users
from tiles.errors import AccessRefusedError


def sign_in(database: Database, attempts: Attempts, email: str, password: str, address: str) -> tuple[Person, str]:
    """Sign somebody in; gives them, and the token of a new session.

    Parameters
    ----------
    database
        The store.
    attempts
        Of the service.
    email, password
        As given.
    address
        Of the client, for the attempts alone: it is not kept.

    Raises
    ------
    tiles.errors.AccessRefusedError
        When they are not an account's: one sentence, and as much work, whatever is wrong.
    tiles.errors.TooOftenError
        When it was tried too often.
    """
    email = email.strip().lower()
    attempts.count("sign in", email, address)
    query = sa.select(users).where(users.c.email == email, users.c.disabled_at.is_(None))
    with database.reading() as connection:
        row = connection.execute(query).one_or_none()
    if not password_fits(None if row is None else row.password, password) or row is None:
        raise AccessRefusedError("The e-mail or the password is not right.")
    attempts.forget("sign in", email)
    with database.writing_aside() as writing:
        # Of the account as it is now: it may have been ended, or its password changed, meanwhile.
        good = sa.update(users).where(
            users.c.seq == row.seq, users.c.disabled_at.is_(None), users.c.password == row.password
        )
        kept = hash_password(password) if needs_rehash(row.password) else row.password
        if writing.connection.execute(good.values(password=kept)).rowcount == 0:
            raise AccessRefusedError("The e-mail or the password is not right.")
        token = start_session(writing, row.seq)
        writing.audit(f"user:{row.seq}", "sign in", f"user:{row.seq}")
    return person_of(row), token
