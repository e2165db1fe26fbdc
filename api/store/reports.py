"""Observation reports in the store: each version that was sent, once."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import shapely
import sqlalchemy as sa

from api.reports.content import FOLLOW_UP, checked, checked_day, checked_outline
from api.store.database import Database
from api.store.reviews import Author
from api.store.scope import EVERYTHING, Scope
from api.store.tables import alerts, observation_reports, report_follow_ups
from api.store.the_alert import seq_of
from tiles.errors import ConflictError, NotFoundError


@dataclass(frozen=True, eq=False)
class SentReport:
    """A report as a volunteer sends it.

    Parameters
    ----------
    id
        Made by the client, once.
    alert_id
        That was visited.
    observed_on
        Day of the visit.
    answers
        By the form's names.
    outline
        GeoJSON, where it was corrected.
    of_version
        Version that this one is written over; None for the first.
    """

    id: UUID
    alert_id: str
    observed_on: dt.date
    answers: Mapping[str, Any]
    outline: Mapping[str, Any] | None = None
    of_version: int | None = None


@dataclass(frozen=True)
class KeptReport:
    """A version of a report.

    Parameters
    ----------
    id, version, alert_id, observed_on, received_at
        Of the report.
    answers
        By the form's names.
    outline
        GeoJSON; None where it was not corrected.
    user_seq, token_seq
        Whose it is.
    """

    id: str
    version: int
    alert_id: str
    observed_on: dt.date
    received_at: dt.datetime
    answers: Mapping[str, str]
    outline: Mapping[str, Any] | None
    user_seq: int | None
    token_seq: int | None


def keep_report(
    database: Database, sent: SentReport, author: Author, scope: Scope = EVERYTHING, *, edits_others: bool = False
) -> tuple[int, bool]:
    """Keep a report, or a new version of it.

    Returns
    -------
    version, kept
        Its version, and whether it was kept now: what was sent before is kept once.

    Raises
    ------
    tiles.errors.InvalidParameterError
        When a field or the outline will not do.
    tiles.errors.NotFoundError
        When there is no such alert in the scope, or the report is another's.
    tiles.errors.ConflictError
        When another version has come in between: nothing is kept, the client shows both.
    """
    content = checked(sent.answers)
    report_id = str(sent.id)
    with database.writing_aside() as writing:
        connection = writing.connection
        versions = _versions(connection, report_id)
        if versions and not edits_others and not _is_by(versions[0], author):
            raise NotFoundError(f"There is no report {report_id} of yours.")
        seq = seq_of(connection, sent.alert_id, scope)
        outline = _outline(connection, seq, sent.outline)
        digest = _digest(seq, sent.observed_on, content, outline)
        for row in versions:
            if row.digest == digest and (row is versions[-1] or (sent.of_version or 0) == row.version - 1):
                return row.version, False
        latest = versions[-1].version if versions else 0
        if (sent.of_version or 0) != latest:
            raise ConflictError(
                f"The report {report_id} is of version {latest} by now: look at it, and send yours over that."
            )
        if versions and versions[0].alert_seq != seq:
            raise ConflictError(f"The report {report_id} is of another alert: make a new one.")
        row = {
            "id": report_id,
            "version": latest + 1,
            "alert_seq": seq,
            "user_seq": author.user_seq,
            "token_seq": author.token_seq,
            "observed_on": checked_day(sent.observed_on, writing.now.date()),
            "content": json.dumps(content, ensure_ascii=False),
            "geometry": outline,
            "received_at": writing.now,
            "digest": digest,
        }
        connection.execute(sa.insert(observation_reports), row)
        writing.audit(author.actor, "send report", report_id, f"version {latest + 1}")
    return latest + 1, True


def reports_of(
    database: Database, *, alert_id: str | None = None, report_id: str | None = None, only_by: Author | None = None
) -> list[KeptReport]:
    """Versions of reports, by report and version.

    Parameters
    ----------
    database
        The store.
    alert_id, report_id
        Of one alert, of one report.
    only_by
        Whose reports; None for everybody's.
    """
    report = observation_reports.c
    first = observation_reports.alias("first")
    query = sa.select(observation_reports, alerts.c.id.label("alert_id")).join(alerts)
    if alert_id is not None:
        query = query.where(alerts.c.id == alert_id)
    if report_id is not None:
        query = query.where(report.id == report_id)
    if only_by is not None:
        mine = sa.select(first.c.id).where(first.c.version == 1)
        if only_by.user_seq is not None:
            mine = mine.where(first.c.user_seq == only_by.user_seq)
        else:
            mine = mine.where(first.c.token_seq == only_by.token_seq, first.c.user_seq.is_(None))
        query = query.where(report.id.in_(mine))
    with database.reading() as connection:
        rows = connection.execute(query.order_by(report.id, report.version)).all()
    return [_kept(row) for row in rows]


def is_by(database: Database, report_id: str, author: Author) -> bool:
    """Whether somebody sent the first version of a report."""
    with database.reading() as connection:
        versions = _versions(connection, report_id)
    return bool(versions) and _is_by(versions[0], author)


def keep_follow_up(database: Database, report_id: UUID, answers: Mapping[str, Any], author: Author) -> int:
    """Keep what was done about a report, as a version of its own.

    Returns
    -------
    int
        The version; that before, where nothing differs.

    Raises
    ------
    tiles.errors.InvalidParameterError
        When a field will not do.
    tiles.errors.NotFoundError
        When there is no such report.
    """
    content = json.dumps(checked(answers, FOLLOW_UP), ensure_ascii=False)
    with database.writing_aside() as writing:
        if not _versions(writing.connection, str(report_id)):
            raise NotFoundError(f"There is no report {report_id}.")
        last = _last_follow_up(writing.connection, str(report_id))
        if last is not None and last.content == content:
            return int(last.version)
        version = 1 if last is None else int(last.version) + 1
        row = {
            "report_id": str(report_id),
            "version": version,
            "content": content,
            "user_seq": author.user_seq,
            "made_at": writing.now,
        }
        writing.connection.execute(sa.insert(report_follow_ups), row)
        writing.audit(author.actor, "follow up", str(report_id), f"version {version}")
    return version


def follow_up_of(database: Database, report_id: UUID) -> Mapping[str, str]:
    """What was done about a report, as it was kept last; empty where nothing was."""
    with database.reading() as connection:
        last = _last_follow_up(connection, str(report_id))
    return {} if last is None else json.loads(last.content)


def note_read(database: Database, author: Author, subject: str) -> None:
    """Note in the audit log that personal data were read."""
    with database.writing_aside() as writing:
        writing.audit(author.actor, "read", subject)


def _versions(connection: sa.Connection, report_id: str) -> list[Any]:
    query = sa.select(observation_reports).where(observation_reports.c.id == report_id)
    return list(connection.execute(query.order_by(observation_reports.c.version)).all())


def _last_follow_up(connection: sa.Connection, report_id: str) -> Any:
    query = sa.select(report_follow_ups).where(report_follow_ups.c.report_id == report_id)
    return connection.execute(query.order_by(report_follow_ups.c.version.desc()).limit(1)).one_or_none()


def _is_by(row: Any, author: Author) -> bool:
    if author.user_seq is not None:
        return bool(row.user_seq == author.user_seq)
    return row.user_seq is None and row.token_seq == author.token_seq


def _outline(connection: sa.Connection, seq: int, geometry: Mapping[str, Any] | None) -> bytes | None:
    if geometry is None:
        return None
    wkb = connection.execute(sa.select(alerts.c.geometry).where(alerts.c.seq == seq)).scalar_one()
    return checked_outline(geometry, shapely.from_wkb(wkb))


def _digest(seq: int, observed_on: dt.date, content: Mapping[str, str], outline: bytes | None) -> str:
    text = json.dumps([seq, observed_on.isoformat(), content, outline and outline.hex()], ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _kept(row: Any) -> KeptReport:
    outline = None if row.geometry is None else json.loads(shapely.to_geojson(shapely.from_wkb(row.geometry)))
    return KeptReport(
        row.id,
        row.version,
        row.alert_id,
        row.observed_on,
        row.received_at,
        json.loads(row.content),
        outline,
        row.user_seq,
        row.token_seq,
    )
