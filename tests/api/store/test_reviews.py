"""States of a review in their order, what is taken back, and who is asked to go; on both engines."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.identity.roles import Role
from api.store.database import Database
from api.store.filters import AlertFilter
from api.store.history import history_of
from api.store.ingesting import ingest
from api.store.reading import alert, alerts_page
from api.store.reviews import NEXT_STATES, Author, Decision, assign, assign_departement, review, undo
from api.store.scope import EVERYTHING, PUBLISHED, Scope
from api.store.tables import assignments, audit_log
from detector.alerts import ReviewState
from models.causes import Cause
from tests.api.alerts import found_alert, scan_files
from tests.api.people import person
from tiles.errors import ConflictError, InvalidParameterError, NotFoundError

FOUND = [found_alert(i, latitude=44 + i / 100, departement="40" if i < 4 else "33") for i in range(6)]
NAME = FOUND[0].id
ANALYST = Author("user:1")


@pytest.fixture
def filled(store: Database) -> Database:
    ingest(store, scan_files(FOUND), data_dir=Path("data"))
    return store


def _decision(state: ReviewState, key: str | None = None) -> Decision:
    return Decision(state, Cause.DIEBACK if state is ReviewState.REJECTED else None, request_key=key)


def _state(store: Database, name: str = NAME) -> str:
    (row,) = alerts_page(store, AlertFilter.of({"filter": f"id = '{name}'"}), 1).features
    # The document, and the column that is searched, say the same.
    found = alerts_page(store, AlertFilter.of({"review": row.properties["review"]}), 100).features
    assert name in {feature.id for feature in found}
    return str(row.properties["review"])


def test_each_state_is_reached_from_those_that_lead_to_it_alone(filled: Database) -> None:
    assert set(NEXT_STATES) == set(ReviewState)
    ways = {
        ReviewState.TO_REVIEW: [],
        ReviewState.ASSIGNED: [ReviewState.ASSIGNED],
        ReviewState.UNCERTAIN: [ReviewState.UNCERTAIN],
        ReviewState.CONFIRMED: [ReviewState.CONFIRMED],
        ReviewState.REJECTED: [ReviewState.REJECTED],
        ReviewState.PUBLISHED: [ReviewState.CONFIRMED, ReviewState.PUBLISHED],
    }
    for before, after in itertools.product(ReviewState, ReviewState):
        undone = 0
        for state in ways[before]:
            review(filled, NAME, _decision(state), ANALYST)
            undone += 1
        assert _state(filled) == before
        if after in NEXT_STATES[before]:
            review(filled, NAME, _decision(after), ANALYST)
            undone += 1
            assert _state(filled) == after
        else:
            with pytest.raises(ConflictError, match=f"What is {before} cannot be {after} next"):
                review(filled, NAME, _decision(after), ANALYST)
        for _ in range(undone):
            undo(filled, NAME, ANALYST)
        assert _state(filled) == ReviewState.TO_REVIEW


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(ReviewState), max_size=8))
def test_all_that_was_decided_is_taken_back_step_by_step(filled: Database, states: list[ReviewState]) -> None:
    seen = [ReviewState.TO_REVIEW]
    for state in states:
        if state in NEXT_STATES[seen[-1]]:
            review(filled, NAME, _decision(state), ANALYST)
            seen.append(state)
    for before in reversed(seen[:-1]):
        assert undo(filled, NAME, ANALYST) == before
        assert _state(filled) == before
    with pytest.raises(ConflictError, match="Nothing was decided"):
        undo(filled, NAME, ANALYST)


def test_a_review_sent_twice_is_kept_once(filled: Database) -> None:
    assert review(filled, NAME, _decision(ReviewState.REJECTED, "key-00001"), ANALYST)
    assert not review(filled, NAME, _decision(ReviewState.REJECTED, "key-00001"), ANALYST)
    with pytest.raises(InvalidParameterError, match="Idempotency-Key"):
        review(filled, NAME, _decision(ReviewState.CONFIRMED, "key-00001"), ANALYST)
    assert undo(filled, NAME, ANALYST, "key-00002") is ReviewState.TO_REVIEW
    assert undo(filled, NAME, ANALYST, "key-00002") is ReviewState.TO_REVIEW
    lines = history_of(filled, NAME)["reviews"]
    told = [(line["state_before"], line["state"], line["undone"], line["undoes"]) for line in lines]
    assert told == [("to_review", "rejected", True, False), ("rejected", "to_review", False, True)]


def test_a_rejection_and_it_alone_has_a_reason() -> None:
    with pytest.raises(InvalidParameterError, match="has a reason"):
        Decision(ReviewState.REJECTED)
    with pytest.raises(InvalidParameterError, match="has a reason"):
        Decision(ReviewState.CONFIRMED, Cause.SNOW)
    with pytest.raises(InvalidParameterError, match="for being a clear-cut"):
        Decision(ReviewState.REJECTED, Cause.CLEAR_CUT)


def test_who_decides_of_what_another_has_changed_is_told(filled: Database) -> None:
    review(filled, NAME, _decision(ReviewState.CONFIRMED), ANALYST)
    with pytest.raises(ConflictError, match="is confirmed by now"):
        review(filled, NAME, Decision(ReviewState.UNCERTAIN, seen_state=ReviewState.TO_REVIEW), ANALYST)
    assert review(filled, NAME, Decision(ReviewState.UNCERTAIN, seen_state=ReviewState.CONFIRMED), ANALYST)


def test_alerts_are_given_to_people_and_taken_back(filled: Database) -> None:
    anna, ben = (person(filled, name, Role.VOLUNTEER).user_seq or 0 for name in ("anna", "ben"))
    assert assign(filled, [NAME, FOUND[1].id], anna, ANALYST) == 2
    assert assign(filled, [NAME], anna, ANALYST) == 0
    assert assign(filled, [NAME], ben, ANALYST) == 1
    with filled.reading() as connection:
        rows = connection.execute(sa.select(assignments.c.user_seq, assignments.c.ended_at)).all()
    assert sorted((user, end is None) for user, end in rows) == [(anna, False), (anna, True), (ben, True)]
    # One of several that cannot be given: none is.
    review(filled, FOUND[2].id, _decision(ReviewState.CONFIRMED), ANALYST)
    with pytest.raises(ConflictError):
        assign(filled, [FOUND[3].id, FOUND[2].id], ben, ANALYST)
    assert _state(filled, FOUND[3].id) == "to_review"
    # Those of a département that nobody has looked at.
    assert assign_departement(filled, "40", anna, ANALYST) == 1
    assert (_state(filled, FOUND[3].id), _state(filled, FOUND[4].id)) == ("assigned", "to_review")
    with pytest.raises(NotFoundError, match="no such person"):
        assign(filled, [NAME], 999, ANALYST)
    # What is taken back is nobody's any more.
    undo(filled, FOUND[3].id, ANALYST)
    assert _ids(filled, Scope(user_seq=anna)) == {FOUND[1].id}


def _ids(store: Database, scope: Scope) -> set[str]:
    return {feature.id for feature in alerts_page(store, AlertFilter(), 100, scope=scope).features}


def test_a_scope_holds_what_is_published_theirs_or_given_to_them(filled: Database) -> None:
    anna = person(filled, "anna", Role.VOLUNTEER).user_seq or 0
    assign(filled, [FOUND[5].id], anna, ANALYST)
    for state in (ReviewState.CONFIRMED, ReviewState.PUBLISHED):
        review(filled, FOUND[4].id, _decision(state), ANALYST)
    review(filled, FOUND[3].id, _decision(ReviewState.CONFIRMED), ANALYST)
    assert len(_ids(filled, EVERYTHING)) == 6
    assert _ids(filled, PUBLISHED) == {FOUND[4].id}
    assert _ids(filled, Scope(user_seq=anna)) == {FOUND[4].id, FOUND[5].id}
    theirs = Scope(departements=frozenset({"40"}), user_seq=anna)
    assert _ids(filled, theirs) == {found.id for found in FOUND}
    with pytest.raises(NotFoundError):
        alert(filled, NAME, PUBLISHED)
    assert alert(filled, NAME, theirs).id == NAME


def test_the_audit_log_names_no_person(filled: Database) -> None:
    caller = person(filled, "anna", Role.ANALYST)
    review(filled, NAME, Decision(ReviewState.CONFIRMED, comment="vu par Anna"), caller.author)
    with filled.reading() as connection:
        lines = connection.execute(sa.select(audit_log.c.actor, audit_log.c.action, audit_log.c.detail)).all()
    assert tuple(lines[-1]) == (f"user:{caller.user_seq}", "review", "confirmed")
