"""Tokens for programs: of the machine, made by command, or personal keys, which can do no more than their owner."""

from __future__ import annotations

import datetime as dt
import json
import secrets
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from api.identity.roles import Right
from api.identity.sessions import digest_of
from api.store.database import Database
from api.store.reviews import Author
from api.store.tables import tokens
from tiles.errors import AccessRefusedError, ConflictError, InvalidParameterError, NotFoundError

TOKEN_PREFIX: Final = "syl_"
KEY_PREFIX: Final = "sylk_"
"""So that one that was committed somewhere by mistake can be found."""
_BYTES: Final = 32
TOKEN_RIGHTS: Final = frozenset({Right.REVIEW, Right.REPORT})
"""What a token of the machine may be made for."""
_MOST_KEYS: Final = 20
_LONGEST_NAME: Final = 64


@dataclass(frozen=True)
class FoundToken:
    """A token that is good.

    Parameters
    ----------
    seq, name, rights
        Of the token.
    user_seq
        Whose personal key it is; None of a token of the machine.
    """

    seq: int
    name: str
    rights: frozenset[Right]
    user_seq: int | None


@dataclass(frozen=True)
class TokenInfo:
    """A token, as it may be shown."""

    name: str
    rights: tuple[Right, ...]
    created_at: dt.datetime
    expires_at: dt.datetime | None
    revoked_at: dt.datetime | None


def find_token(database: Database, token: str) -> FoundToken:
    """What a token, or a personal key, stands for.

    Raises
    ------
    tiles.errors.AccessRefusedError
        When there is no such token, or it has ended.
    """
    query = sa.select(tokens).where(tokens.c.digest == digest_of(token))
    with database.reading() as connection:
        row = connection.execute(query).one_or_none()
    now = dt.datetime.now(dt.UTC)
    if row is None or row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now):
        raise AccessRefusedError("The token is unknown, has expired or was revoked: ask for a new one.")
    return FoundToken(row.seq, row.name, frozenset(Right(name) for name in json.loads(row.rights)), row.user_seq)


def create_token(database: Database, name: str, rights: frozenset[Right], expires_at: dt.datetime | None) -> str:
    """Make a token; it is shown this once.

    Raises
    ------
    tiles.errors.InvalidParameterError
        When the name is taken or will not do, or no right or an unknown one is asked for.
    """
    _check_name(name)
    if not rights or not rights <= TOKEN_RIGHTS:
        raise InvalidParameterError(f"A token is for one of: {', '.join(sorted(TOKEN_RIGHTS))}.")
    token = TOKEN_PREFIX + secrets.token_urlsafe(_BYTES)
    with database.writing() as writing:
        taken = writing.connection.execute(sa.select(tokens.c.seq).where(tokens.c.name == name)).first()
        if taken is not None:
            raise InvalidParameterError(f"There is a token named {name} already: choose another name.")
        row = {
            "name": name,
            "digest": digest_of(token),
            "rights": json.dumps(sorted(rights)),
            "created_at": writing.now,
            "expires_at": expires_at,
        }
        writing.connection.execute(sa.insert(tokens), row)
        writing.audit("command", "create token", name)
    return token


def revoke_token(database: Database, name: str) -> None:
    """End a token.

    Raises
    ------
    tiles.errors.NotFoundError
        When there is none of that name.
    """
    with database.writing() as writing:
        good = tokens.c.name == name, tokens.c.revoked_at.is_(None), tokens.c.user_seq.is_(None)
        ended = sa.update(tokens).where(*good)
        if writing.connection.execute(ended.values(revoked_at=writing.now)).rowcount == 0:
            raise NotFoundError(f"There is no token named {name[:64]} that is still good.")
        writing.audit("command", "revoke token", name)


def list_tokens(database: Database) -> list[TokenInfo]:
    """All tokens of the machine there ever were, oldest first."""
    with database.reading() as connection:
        rows = connection.execute(sa.select(tokens).where(tokens.c.user_seq.is_(None)).order_by(tokens.c.seq)).all()
    return [_info(row, row.name) for row in rows]


def create_key(
    database: Database, user_seq: int, name: str, rights: frozenset[Right], days: int, author: Author
) -> str:
    """Make a personal key; it is shown this once, and good for some days.

    Parameters
    ----------
    database
        The store.
    user_seq
        Whose.
    name
        By which it can be revoked.
    rights
        At most those of its owner, which are looked at again whenever it is used.
    days
        That it is good for.
    author
        Who makes it.

    Raises
    ------
    tiles.errors.InvalidParameterError
        When the name will not do, or no right is asked for.
    tiles.errors.ConflictError
        When there is one of this name, or too many.
    """
    _check_name(name)
    if not rights:
        raise InvalidParameterError("A key is for at least one right.")
    key = KEY_PREFIX + secrets.token_urlsafe(_BYTES)
    with database.writing_aside() as writing:
        theirs = sa.select(tokens.c.name).where(tokens.c.user_seq == user_seq)
        names = set(writing.connection.execute(theirs).scalars())
        if _key_name(user_seq, name) in names or len(names) >= _MOST_KEYS:
            raise ConflictError(f"There is a key named {name} already, or there are {_MOST_KEYS}: revoke one.")
        row = {
            "name": _key_name(user_seq, name),
            "digest": digest_of(key),
            "rights": json.dumps(sorted(rights)),
            "created_at": writing.now,
            "expires_at": writing.now + dt.timedelta(days=days),
            "user_seq": user_seq,
        }
        writing.connection.execute(sa.insert(tokens), row)
        writing.audit(author.actor, "create key", f"user:{user_seq}")
    return key


def revoke_key(database: Database, user_seq: int, name: str, author: Author) -> None:
    """End a personal key, whose name is then free.

    Raises
    ------
    tiles.errors.NotFoundError
        When there is none of that name.
    """
    with database.writing_aside() as writing:
        one = tokens.c.user_seq == user_seq, tokens.c.name == _key_name(user_seq, name), tokens.c.revoked_at.is_(None)
        # The row stays, for what was written with it.
        gone = sa.literal(f"{user_seq}/@") + sa.cast(tokens.c.seq, sa.Text)
        ended = sa.update(tokens).where(*one).values(revoked_at=writing.now, name=gone)
        if writing.connection.execute(ended).rowcount == 0:
            raise NotFoundError(f"There is no key named {name[:_LONGEST_NAME]} that is still good.")
        writing.audit(author.actor, "revoke key", f"user:{user_seq}")


def keys_of(database: Database, user_seq: int) -> list[TokenInfo]:
    """A person's keys that are not revoked, oldest first."""
    query = sa.select(tokens).where(tokens.c.user_seq == user_seq, tokens.c.revoked_at.is_(None))
    with database.reading() as connection:
        rows = connection.execute(query.order_by(tokens.c.seq)).all()
    return [_info(row, row.name.partition("/")[2]) for row in rows]


def _key_name(user_seq: int, name: str) -> str:
    return f"{user_seq}/{name}"


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable() or "/" in name or "@" in name:
        raise InvalidParameterError("A token needs a name of at most 64 characters, by which it can be revoked.")


def _info(row: sa.Row[tuple[object, ...]], name: str) -> TokenInfo:
    rights = tuple(Right(right) for right in json.loads(row.rights))
    return TokenInfo(name, rights, row.created_at, row.expires_at, row.revoked_at)
