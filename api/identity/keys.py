"""Personal keys for scripts: rights of their owner's, or fewer; revoked, and ended with the account."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from api.identity.accounts import person_of
from api.identity.callers import Caller
from api.identity.random_tokens import digest_of, new_token
from api.identity.roles import OPEN_RIGHTS, Right
from api.store.database import Database
from api.store.tables import tokens, users
from tiles.errors import AccessRefusedError, ConflictError, InvalidParameterError, NotAllowedError, NotFoundError

KEY_PREFIX: Final = "sylk_"
"""So that a key that was committed somewhere by mistake can be found."""
MOST_KEYS: Final = 20
"""Of one person that are good at a time."""


@dataclass(frozen=True)
class KeyInfo:
    """A key, as it may be shown."""

    id: int
    name: str
    rights: tuple[Right, ...]
    created_at: dt.datetime
    expires_at: dt.datetime | None
    revoked_at: dt.datetime | None


def make_key(database: Database, owner: Caller, name: str, rights: frozenset[Right], days: int) -> tuple[int, str]:
    """Make a key; gives its number, and the key, which is shown this once.

    Raises
    ------
    tiles.errors.NotAllowedError
        When the owner does not have a right that it should have.
    tiles.errors.SylvigieError
        When the name will not do or is taken, or there are too many.
    """
    if not name.strip() or len(name) > 64 or not name.isprintable():
        raise InvalidParameterError("A key needs a name of at most 64 characters, by which it is known.")
    if not rights <= owner.rights:
        raise NotAllowedError("A key has none but its owner's rights.")
    key, good = new_token(KEY_PREFIX), (tokens.c.user_seq == owner.user_seq) & tokens.c.revoked_at.is_(None)
    with database.writing_aside() as writing:
        names = set(
            writing.connection.execute(sa.select(tokens.c.name).where(tokens.c.user_seq == owner.user_seq)).scalars()
        )
        if _kept_name(owner.user_seq, name) in names:
            raise ConflictError("There is or was a key of this name: choose another.")
        if writing.connection.execute(sa.select(sa.func.count()).where(good)).scalar_one() >= MOST_KEYS:
            raise ConflictError(f"There are {MOST_KEYS} keys: revoke one first.")
        told = json.dumps(sorted(rights))
        row = {
            "name": _kept_name(owner.user_seq, name),
            "digest": digest_of(key),
            "rights": told,
            "created_at": writing.now,
            "expires_at": writing.now + dt.timedelta(days=days),
            "user_seq": owner.user_seq,
        }
        seq: int = writing.connection.execute(sa.insert(tokens).returning(tokens.c.seq), row).scalar_one()
        writing.audit(owner.name, "make key", f"key:{seq}", told)
    return seq, key


def find_key(database: Database, key: str) -> Caller:
    """Who a key stands for: rights that both it and its owner have.

    Raises
    ------
    tiles.errors.AccessRefusedError
        When there is no such key, or it or its owner's account has ended.
    """
    query = sa.select(tokens.c.seq.label("key_seq"), tokens.c.rights, tokens.c.expires_at, *users.c)
    query = query.join_from(tokens, users, tokens.c.user_seq == users.c.seq)
    query = query.where(tokens.c.digest == digest_of(key), tokens.c.revoked_at.is_(None), users.c.disabled_at.is_(None))
    with database.reading() as connection:
        row = connection.execute(query).one_or_none()
    if row is None or row.expires_at <= dt.datetime.now(dt.UTC):
        raise AccessRefusedError("The key is unknown, has expired or was revoked: make a new one.")
    owner = person_of(row).caller()
    rights = OPEN_RIGHTS | (owner.rights & {Right(name) for name in json.loads(row.rights)})
    return dataclasses.replace(owner, rights=rights, token_seq=row.key_seq)


def list_keys(database: Database, owner_seq: int) -> list[KeyInfo]:
    """All keys that a person has or had, oldest first."""
    with database.reading() as connection:
        query = sa.select(tokens).where(tokens.c.user_seq == owner_seq).order_by(tokens.c.seq)
        return [_info(row) for row in connection.execute(query)]


def revoke_key(database: Database, owner: Caller, seq: int) -> None:
    """End a key of one's own.

    Raises
    ------
    tiles.errors.NotFoundError
        When there is none of that number that is still good.
    """
    with database.writing_aside() as writing:
        ended = sa.update(tokens).where(
            tokens.c.seq == seq, tokens.c.user_seq == owner.user_seq, tokens.c.revoked_at.is_(None)
        )
        if writing.connection.execute(ended.values(revoked_at=writing.now)).rowcount == 0:
            raise NotFoundError(f"You have no key {seq} that is still good.")
        writing.audit(owner.name, "revoke key", f"key:{seq}")


def _kept_name(owner_seq: int | None, name: str) -> str:
    # Names of tokens are their table's: two people may both have a key named qgis.
    return f"user:{owner_seq}/{name.strip()}"


def _info(row: Any) -> KeyInfo:
    rights = tuple(Right(name) for name in json.loads(row.rights))
    return KeyInfo(row.seq, row.name.partition("/")[2], rights, row.created_at, row.expires_at, row.revoked_at)
