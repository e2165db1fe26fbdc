"""What people say of alerts among themselves, and which they keep in sight."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa

from api.exports.tables import clean
from api.store.database import Database
from api.store.reviews import Author
from api.store.scope import EVERYTHING, Scope, scope_condition
from api.store.tables import alerts, comments, favourites, users
from api.store.the_alert import seq_of
from tiles.errors import ConflictError, InvalidParameterError, NotFoundError


@dataclass(frozen=True)
class Comment:
    """A comment.

    Parameters
    ----------
    id, text, made_at
        Of the comment.
    by
        Name of who wrote it; None where it is not for the reader, or a program wrote it.
    mine
        Whether the reader wrote it.
    """

    id: str
    text: str
    made_at: dt.datetime
    by: str | None
    mine: bool


def comment(
    database: Database, alert_id: str, comment_id: UUID, text: str, author: Author, scope: Scope = EVERYTHING
) -> bool:
    """Keep a comment; sent twice, it is kept once.

    Returns
    -------
    bool
        Whether it was kept now.

    Raises
    ------
    tiles.errors.NotFoundError
        When there is no such alert in the scope.
    tiles.errors.InvalidParameterError
        When it is empty.
    tiles.errors.ConflictError
        When another comment has this identity.
    """
    said = clean(text).strip()
    if not said:
        raise InvalidParameterError("text will not do: a comment says something.")
    with database.writing_aside() as writing:
        seq = seq_of(writing.connection, alert_id, scope)
        query = sa.select(comments).where(comments.c.id == str(comment_id))
        before = writing.connection.execute(query).one_or_none()
        if before is not None:
            if (before.alert_seq, before.user_seq, before.text) != (seq, author.user_seq, said):
                raise ConflictError(f"Another comment is named {comment_id}: make a new identity for each.")
            return False
        row = {
            "id": str(comment_id),
            "alert_seq": seq,
            "user_seq": author.user_seq,
            "token_seq": author.token_seq,
            "text": said,
            "made_at": writing.now,
        }
        writing.connection.execute(sa.insert(comments), row)
        writing.audit(author.actor, "comment", alert_id)
    return True


def comments_of(
    database: Database, alert_id: str, author: Author, scope: Scope = EVERYTHING, *, with_names: bool = False
) -> list[Comment]:
    """The comments of an alert, oldest first.

    Raises
    ------
    tiles.errors.NotFoundError
        When there is no such alert in the scope.
    """
    with database.reading() as connection:
        seq = seq_of(connection, alert_id, scope)
        query = sa.select(comments, users.c.name).outerjoin(users, users.c.seq == comments.c.user_seq)
        query = query.where(comments.c.alert_seq == seq, comments.c.removed_at.is_(None)).order_by(comments.c.seq)
        rows = connection.execute(query).all()
    told = []
    for row in rows:
        mine = (row.user_seq, row.token_seq) == (author.user_seq, author.token_seq)
        told.append(Comment(row.id, row.text, row.made_at, row.name if with_names or mine else None, mine))
    return told


def remove_comment(database: Database, comment_id: UUID, author: Author, *, of_others: bool = False) -> None:
    """Take a comment away from sight; the store keeps it until its author is erased.

    Raises
    ------
    tiles.errors.NotFoundError
        When there is none of that identity, or it is another's.
    """
    theirs = [comments.c.id == str(comment_id), comments.c.removed_at.is_(None)]
    if not of_others:
        theirs += [comments.c.user_seq == author.user_seq, comments.c.token_seq == author.token_seq]
    with database.writing_aside() as writing:
        removed = sa.update(comments).where(*theirs).values(removed_at=writing.now)
        if writing.connection.execute(removed).rowcount == 0:
            raise NotFoundError(f"There is no comment {comment_id} of yours.")
        writing.audit(author.actor, "remove comment", str(comment_id))


def keep_in_sight(database: Database, alert_id: str, user_seq: int, scope: Scope = EVERYTHING) -> None:
    """Make an alert a favourite of a person's; twice is once.

    Raises
    ------
    tiles.errors.NotFoundError
        When there is no such alert in the scope.
    """
    with database.writing_aside() as writing:
        seq = seq_of(writing.connection, alert_id, scope)
        key = favourites.c.user_seq == user_seq, favourites.c.alert_seq == seq
        if writing.connection.execute(sa.select(favourites.c.alert_seq).where(*key)).scalar() is None:
            row = {"user_seq": user_seq, "alert_seq": seq, "made_at": writing.now}
            writing.connection.execute(sa.insert(favourites), row)


def let_out_of_sight(database: Database, alert_id: str, user_seq: int) -> None:
    """Have an alert no favourite any more; none before is as good."""
    of_alert = sa.select(alerts.c.seq).where(alerts.c.id == alert_id).scalar_subquery()
    gone = sa.delete(favourites).where(favourites.c.user_seq == user_seq, favourites.c.alert_seq == of_alert)
    with database.writing_aside() as writing:
        writing.connection.execute(gone)


def favourites_of(database: Database, user_seq: int, scope: Scope = EVERYTHING) -> list[str]:
    """Identities of a person's favourites, the newest first; what is out of their scope by now is left out."""
    query = sa.select(alerts.c.id).join(favourites).where(favourites.c.user_seq == sa.bindparam("of_user"))
    query = query.where(*map(scope_condition, scope.shape)).order_by(favourites.c.made_at.desc(), alerts.c.seq)
    with database.reading() as connection:
        return list(connection.execute(query, {"of_user": user_seq, **scope.values}).scalars())
