"""What people decided of alerts, as the model learns from it: verdicts that agree, and beside them those that do not.

No name and no text of a person's is in it: reviewers are r1, r2, ... in the order of their first verdict.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd
import shapely
import sqlalchemy as sa

from api.store.database import Database
from api.store.tables import alert_documents, alert_features, alerts, observation_reports, reviews, scans
from detector.alerts import ReviewState
from detector.features import FEATURES
from models.abuse import ABUSE_NAMES, REVIEW_COLUMN
from models.causes import Cause
from tiles.errors import OutputError
from tiles.placing import written_beside

SEEN_ON_THE_GROUND: Final = 1.0
SEEN_ON_IMAGES: Final = 0.7
"""Weights, as `models.schema.REVIEW_COLUMNS` has them, of a verdict on an alert that somebody has visited, and of one
without a report of a visit. The second is chosen, not measured."""
_VERDICTS: Final = {
    ReviewState.CONFIRMED.value: Cause.CLEAR_CUT.value,
    ReviewState.PUBLISHED.value: Cause.CLEAR_CUT.value,
}


@dataclass(frozen=True, eq=False)
class Lessons:
    """What reviews teach.

    Parameters
    ----------
    reviews
        `models.schema.REVIEW_COLUMNS`, a row for each alert whose reviewers agree, by alert.
    features
        Of these alerts, by identity; NaN is unknown.
    abuse
        What `models.abuse.read_reviews` takes: `ABUSE_FEATURES` as they are published, and whether the alert was
        published (true) or rejected (false); what is confirmed and not published yet says neither.
    disagreement
        Verdicts of alerts whose reviewers do not agree: `alert_id`, `reviewer`, `cause`, `decided_on`.
    left_out
        How many alerts, by the reason.
    """

    reviews: pd.DataFrame
    features: pd.DataFrame
    abuse: pd.DataFrame
    disagreement: pd.DataFrame
    left_out: Mapping[str, int]


def lessons_of(database: Database) -> Lessons:
    """What the reviews of a store teach.

    Of each reviewer the last verdict counts that was not taken back. Features are those that were measured last before
    the first of them was given; without such, an alert is left out: what a later scan saw may be of another cut.
    """
    with database.snapshot() as connection:
        decided = connection.execute(sa.select(reviews).order_by(reviews.c.seq)).all()
        visited = set(connection.execute(sa.select(observation_reports.c.alert_seq).distinct()).scalars())
        known = {row.seq: row for row in connection.execute(_alerts_query())}
        measured: dict[int, list[Any]] = {}
        for row in connection.execute(sa.select(alert_features).order_by(alert_features.c.seq)):
            measured.setdefault(row.alert_seq, []).append(row)
        scanned = {row.seq: row.ingested_at for row in connection.execute(_scan_moments())}
    verdicts = _verdicts(decided)
    names = _pseudonyms(verdicts)
    left_out: Counter[str] = Counter({"not reviewed": len(known) - len(verdicts)})
    kept, features, abuse, disagreement = [], {}, [], []
    for seq, given in sorted(verdicts.items(), key=lambda each: known[each[0]].id):
        alert, causes = known[seq], {verdict.cause for verdict in given}
        if causes == {None}:
            left_out["uncertain"] += 1
            continue
        said = [verdict for verdict in given if verdict.cause is not None]
        if len({verdict.cause == Cause.CLEAR_CUT.value for verdict in said}) > 1:
            left_out["reviewers do not agree"] += 1
            disagreement += [_line(alert.id, verdict, names) for verdict in said]
            continue
        found = _features_at(measured.get(seq, ()), scanned, said[0].made_at)
        if found is None:
            left_out["no features kept"] += 1
            continue
        features[alert.id] = found
        weight = SEEN_ON_THE_GROUND if seq in visited else SEEN_ON_IMAGES
        kept.append(_line(alert.id, said[-1], names) | {"weight": weight} | _place(alert))
        if alert.review in (ReviewState.PUBLISHED.value, ReviewState.REJECTED.value):
            abuse.append(_abuse_row(alert))
    columns = [feature.name for feature in FEATURES]
    return Lessons(
        pd.DataFrame(kept),
        pd.DataFrame.from_dict(features, orient="index").reindex(columns=columns).astype("float64"),
        pd.DataFrame(abuse, columns=[*ABUSE_NAMES, REVIEW_COLUMN]),
        pd.DataFrame(disagreement, columns=["alert_id", "reviewer", "cause", "decided_on"]),
        {reason: number for reason, number in sorted(left_out.items()) if number},
    )


def write_disagreement(lessons: Lessons, path: Path) -> None:
    """Write the verdicts that do not agree, as Parquet.

    Raises
    ------
    tiles.errors.OutputError
        When the folder does not take it.
    """
    with _told(path), written_beside(path) as partial:
        lessons.disagreement.to_parquet(partial, index=False)


def write_abuse(lessons: Lessons, path: Path) -> int:
    """Write what teaches the order of work, as CSV; gives how many alerts.

    Raises
    ------
    tiles.errors.OutputError
        When the folder does not take it.
    """
    with _told(path), written_beside(path) as partial:
        lessons.abuse.to_csv(partial, index=False)
    return len(lessons.abuse)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"Cannot write {path}: {error.strerror or error}.") from error


@dataclass(frozen=True)
class _Verdict:
    reviewer: tuple[int | None, int | None]
    cause: str | None
    made_at: Any


def _verdicts(decided: Sequence[Any]) -> dict[int, list[_Verdict]]:
    """The last verdict of each reviewer that stands, by alert, in their order; None is uncertain."""
    undone = {row.undoes for row in decided if row.undoes is not None}
    last: dict[tuple[int, Any], _Verdict] = {}
    for row in decided:
        if row.undoes is not None or row.seq in undone:
            continue
        if row.state == ReviewState.ASSIGNED.value:
            continue
        # A person is one, whether they write on the page or with a key of theirs.
        reviewer = (row.user_seq, None if row.user_seq is not None else row.token_seq)
        # Taken out first: a verdict stands where it was given last, and one that sets back to the beginning is none.
        last.pop((row.alert_seq, reviewer), None)
        if row.state != ReviewState.TO_REVIEW.value:
            cause = row.reason if row.state == ReviewState.REJECTED.value else _VERDICTS.get(row.state)
            last[row.alert_seq, reviewer] = _Verdict(reviewer, cause, row.made_at)
    found: dict[int, list[_Verdict]] = {}
    for (alert_seq, _), verdict in last.items():
        found.setdefault(alert_seq, []).append(verdict)
    return found


def _pseudonyms(verdicts: Mapping[int, Sequence[_Verdict]]) -> dict[Any, str]:
    ordered = sorted((verdict for given in verdicts.values() for verdict in given), key=lambda each: each.made_at)
    names: dict[Any, str] = {}
    for verdict in ordered:
        names.setdefault(verdict.reviewer, f"r{len(names) + 1}")
    return names


def _line(alert_id: str, verdict: _Verdict, names: Mapping[Any, str]) -> dict[str, Any]:
    return {
        "alert_id": alert_id,
        "reviewer": names[verdict.reviewer],
        "cause": verdict.cause,
        "decided_on": verdict.made_at.date(),
    }


def _place(alert: Any) -> dict[str, Any]:
    point = shapely.point_on_surface(shapely.from_wkb(alert.geometry))
    return {
        "tile": alert.tile,
        "longitude": point.x,
        "latitude": point.y,
        "last_intact": alert.last_intact,
        "first_low": alert.first_low,
    }


def _abuse_row(alert: Any) -> dict[str, Any]:
    """As `models.abuse.abuse_table` makes them of an alert that a scan holds."""
    published = json.loads(alert.feature)["properties"]
    zonings = (published.get("zoning_ha") or {}).items()
    others = [hectares for kind, hectares in zonings if hectares is not None and not kind.startswith("natura2000")]
    row = {name: published.get(name) for name in ABUSE_NAMES if name != "protected_ha"}
    return row | {"protected_ha": max(others, default=None), REVIEW_COLUMN: alert.review == ReviewState.PUBLISHED.value}


def _features_at(rows: Sequence[Any], scanned: Mapping[int, Any], moment: Any) -> dict[str, Any] | None:
    """What was measured last before a moment; None where nothing was."""
    before = [row for row in rows if scanned[row.scan_seq] <= moment]
    if not before:
        return None
    told: dict[str, Any] = json.loads(before[-1].features)
    return told


def _alerts_query() -> sa.Select[Any]:
    column = alerts.c
    return sa.select(
        column.seq,
        column.id,
        column.tile,
        column.review,
        column.geometry,
        column.last_intact,
        column.first_low,
        alert_documents.c.feature,
    ).join(alert_documents)


def _scan_moments() -> sa.Select[Any]:
    return sa.select(scans.c.seq, scans.c.ingested_at)
