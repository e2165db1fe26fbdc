"""What people decide of alerts: reviews, and what takes them back; who is asked to go and see."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import sqlalchemy as sa

from api.store.database import Database, Writing
from api.store.scope import EVERYTHING, Scope
from api.store.tables import alert_documents, alerts, assignments, reviews, users
from api.store.the_alert import seq_of
from detector.alerts import AlertStatus, ReviewState
from models.causes import Cause
from tiles.errors import ConflictError, InvalidParameterError, NotFoundError

_OPEN: Final = frozenset({ReviewState.TO_REVIEW, ReviewState.ASSIGNED, ReviewState.UNCERTAIN})
DECIDED: Final = frozenset({ReviewState.CONFIRMED, ReviewState.REJECTED, ReviewState.PUBLISHED})
"""What a later scan does not change: it tells what it saw beside it."""
NEXT_STATES: Final[Mapping[ReviewState, frozenset[ReviewState]]] = MappingProxyType(
    {
        ReviewState.TO_REVIEW: frozenset({ReviewState.ASSIGNED, ReviewState.CONFIRMED, ReviewState.REJECTED})
        | {ReviewState.UNCERTAIN},
        ReviewState.ASSIGNED: _OPEN | {ReviewState.CONFIRMED, ReviewState.REJECTED},
        ReviewState.UNCERTAIN: _OPEN | {ReviewState.CONFIRMED, ReviewState.REJECTED},
        # The same again is another reviewer's word.
        ReviewState.CONFIRMED: frozenset(ReviewState) - {ReviewState.ASSIGNED},
        ReviewState.REJECTED: frozenset(ReviewState) - {ReviewState.ASSIGNED, ReviewState.PUBLISHED},
        # What was published is taken back before it is anything else.
        ReviewState.PUBLISHED: frozenset({ReviewState.CONFIRMED, ReviewState.UNCERTAIN, ReviewState.REJECTED}),
    }
)
"""States that may follow each."""


@dataclass(frozen=True)
class Author:
    """Who writes.

    Parameters
    ----------
    actor
        For the audit log: no name of a person.
    user_seq, token_seq
        The person, or the token.
    """

    actor: str
    user_seq: int | None = None
    token_seq: int | None = None


@dataclass(frozen=True)
class Decision:
    """What is decided of an alert.

    Parameters
    ----------
    state
        That it is to have.
    reason
        What it was instead: of a rejection alone, and needed there.
    comment
        For those who see all.
    seen_state
        State that the author saw; where another has changed it since, nothing is kept. None where it does not matter.
    request_key
        Made by the client: the same request sent again is kept once.
    """

    state: ReviewState
    reason: Cause | None = None
    comment: str | None = None
    seen_state: ReviewState | None = None
    request_key: str | None = None

    def __post_init__(self) -> None:
        if (self.state is ReviewState.REJECTED) != (self.reason is not None):
            raise InvalidParameterError(
                f"A rejection, and it alone, has a reason: one of {', '.join(sorted(set(Cause) - {Cause.CLEAR_CUT}))}."
            )
        if self.reason is Cause.CLEAR_CUT:
            raise InvalidParameterError("An alert is not rejected for being a clear-cut.")


def review(database: Database, alert_id: str, decision: Decision, author: Author, scope: Scope = EVERYTHING) -> bool:
    """Keep what was decided of an alert; what was decided before stays in its history.

    Returns
    -------
    bool
        Whether it was kept now; it was already, where not.

    Raises
    ------
    tiles.errors.NotFoundError
        When there is no such alert in the scope.
    tiles.errors.InvalidParameterError
        When the key was used for something else.
    tiles.errors.ConflictError
        When the alert is in another state than its author saw, or one from which this is not reached.
    """
    with database.writing() as writing:
        seq = seq_of(writing.connection, alert_id, scope)
        if decision.request_key is not None and _is_kept(writing.connection, seq, decision):
            return False
        before = _state(writing.connection, seq)
        if decision.seen_state not in (None, before):
            raise ConflictError(f"The alert {alert_id} is {before} by now: look at it again before you decide.")
        _check_way(before, decision.state)
        _put(writing, seq, before, decision, author)
        if decision.state is not ReviewState.ASSIGNED:
            _end_assignments(writing, seq)
        writing.audit(author.actor, "review", alert_id, decision.state.value)
    return True


def undo(database: Database, alert_id: str, author: Author, request_key: str | None = None) -> ReviewState:
    """Take back what was decided last; both stay in the history.

    Returns
    -------
    ReviewState
        That the alert now has.

    Raises
    ------
    tiles.errors.NotFoundError
        When there is no such alert.
    tiles.errors.ConflictError
        When there is nothing to take back.
    """
    with database.writing() as writing:
        connection = writing.connection
        seq = seq_of(connection, alert_id)
        if request_key is not None:
            sent = sa.select(reviews.c.state).where(reviews.c.request_key == request_key, reviews.c.alert_seq == seq)
            if (kept := connection.execute(sent).scalar()) is not None:
                return ReviewState(kept)
        undone = sa.select(reviews.c.undoes).where(reviews.c.alert_seq == seq, reviews.c.undoes.is_not(None))
        last = connection.execute(
            sa.select(reviews)
            .where(reviews.c.alert_seq == seq, reviews.c.undoes.is_(None), reviews.c.seq.not_in(undone))
            .order_by(reviews.c.seq.desc())
            .limit(1)
        ).one_or_none()
        if last is None:
            raise ConflictError(f"Nothing was decided of {alert_id} that could be taken back.")
        before, state = _state(connection, seq), ReviewState(last.state_before)
        line = {
            "alert_seq": seq,
            "state_before": before.value,
            "state": state.value,
            "token_seq": author.token_seq,
            "user_seq": author.user_seq,
            "request_key": request_key,
            "made_at": writing.now,
            "undoes": last.seq,
        }
        connection.execute(sa.insert(reviews), line)
        if last.state == ReviewState.ASSIGNED.value:
            _end_assignments(writing, seq)
        set_review(writing, seq, state)
        writing.audit(author.actor, "undo review", alert_id, state.value)
    return state


def assign(database: Database, alert_ids: list[str], user_seq: int, author: Author) -> int:
    """Ask a person to go and see alerts; whoever was asked before is not asked any more.

    Returns
    -------
    int
        Alerts that were not that person's already.

    Raises
    ------
    tiles.errors.NotFoundError
        When there is no such person, or no such alert: then none is assigned.
    tiles.errors.ConflictError
        When one of them is decided already.
    """
    with database.writing() as writing:
        _require_person(writing, user_seq)
        done = sum(_assign(writing, alert_id, user_seq, author) for alert_id in alert_ids)
        writing.audit(author.actor, "assign", f"user:{user_seq}", f"{done} alerts")
    return done


def assign_departement(database: Database, departement: str, user_seq: int, author: Author) -> int:
    """Ask a person to see all alerts of a département that stand and that nobody has looked at.

    Returns
    -------
    int
        Alerts.

    Raises
    ------
    tiles.errors.NotFoundError
        When there is no such person.
    """
    waiting = sa.select(alerts.c.id).where(
        alerts.c.departement == departement,
        alerts.c.status != AlertStatus.CLOSED.value,
        alerts.c.review == ReviewState.TO_REVIEW.value,
    )
    with database.writing() as writing:
        _require_person(writing, user_seq)
        found = writing.connection.execute(waiting.order_by(alerts.c.seq)).scalars().all()
        done = sum(_assign(writing, alert_id, user_seq, author) for alert_id in found)
        writing.audit(author.actor, "assign", f"user:{user_seq}", f"{done} alerts of {departement}")
    return done


def set_review(writing: Writing, seq: int, state: ReviewState) -> None:
    """Set the state of an alert's row and document."""
    connection = writing.connection
    changed = {"review": state.value, "revision": writing.revision, "changed_at": writing.now}
    connection.execute(sa.update(alerts).where(alerts.c.seq == seq).values(changed))
    query = sa.select(alert_documents.c.feature).where(alert_documents.c.alert_seq == seq)
    feature = json.loads(connection.execute(query).scalar_one())
    feature["properties"]["review"] = state.value
    document = {"feature": json.dumps(feature, ensure_ascii=False)}
    connection.execute(sa.update(alert_documents).where(alert_documents.c.alert_seq == seq).values(document))


def _is_kept(connection: sa.Connection, seq: int, decision: Decision) -> bool:
    query = sa.select(reviews).where(reviews.c.request_key == decision.request_key)
    before = connection.execute(query).one_or_none()
    if before is None:
        return False
    if (before.alert_seq, before.state, before.reason) != (seq, decision.state.value, decision.reason):
        raise InvalidParameterError("This Idempotency-Key was sent with another review: make a new one for each.")
    return True


def _state(connection: sa.Connection, seq: int) -> ReviewState:
    return ReviewState(connection.execute(sa.select(alerts.c.review).where(alerts.c.seq == seq)).scalar_one())


def _check_way(before: ReviewState, after: ReviewState) -> None:
    if after not in NEXT_STATES[before]:
        ways = ", ".join(sorted(NEXT_STATES[before]))
        raise ConflictError(f"What is {before} cannot be {after} next: it can be {ways}, or the last be undone.")


def _put(writing: Writing, seq: int, before: ReviewState, decision: Decision, author: Author) -> None:
    line = {
        "alert_seq": seq,
        "state_before": before.value,
        "state": decision.state.value,
        "reason": decision.reason,
        "comment": decision.comment,
        "token_seq": author.token_seq,
        "user_seq": author.user_seq,
        "request_key": decision.request_key,
        "made_at": writing.now,
    }
    writing.connection.execute(sa.insert(reviews), line)
    set_review(writing, seq, decision.state)


def _assign(writing: Writing, alert_id: str, user_seq: int, author: Author) -> bool:
    connection = writing.connection
    seq = seq_of(connection, alert_id)
    now = sa.select(assignments.c.user_seq).where(assignments.c.alert_seq == seq, assignments.c.ended_at.is_(None))
    if connection.execute(now).scalar() == user_seq:
        return False
    before = _state(connection, seq)
    _end_assignments(writing, seq)
    row = {"alert_seq": seq, "user_seq": user_seq, "made_by": author.actor, "made_at": writing.now}
    connection.execute(sa.insert(assignments), row)
    if before is not ReviewState.ASSIGNED:
        _check_way(before, ReviewState.ASSIGNED)
        _put(writing, seq, before, Decision(ReviewState.ASSIGNED), author)
    return True


def _end_assignments(writing: Writing, seq: int) -> None:
    ended = sa.update(assignments).where(assignments.c.alert_seq == seq, assignments.c.ended_at.is_(None))
    writing.connection.execute(ended.values(ended_at=writing.now))


def _require_person(writing: Writing, user_seq: int) -> None:
    query = sa.select(users.c.seq).where(users.c.seq == user_seq, users.c.disabled_at.is_(None))
    if writing.connection.execute(query).scalar() is None:
        raise NotFoundError("There is no such person, or they have left.")
