"""All that was ever said of an alert, and what people decide of it."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

from api.store.database import Database
from api.store.tables import (
    alert_documents,
    alert_versions,
    alerts,
    evaluations,
    reviews,
    scans,
    scores,
)
from detector.alerts import ReviewState
from tiles.errors import InvalidParameterError, NotFoundError


def history_of(database: Database, alert_id: str) -> dict[str, Any]:
    """What scans, rules, models and people said of an alert, oldest first.

    Raises
    ------
    tiles.errors.NotFoundError
        When there is none of that name.
    """
    with database.snapshot() as connection:
        seq = _seq(connection, alert_id)
        said = {
            name: connection.execute(
                sa.select(table, scans.c.month.label("of_month"), scans.c.kind)
                .join(scans, scans.c.seq == table.c.scan_seq)
                .where(table.c.alert_seq == seq)
                .order_by(table.c.seq)
            ).all()
            for name, table in (("outlines", alert_versions), ("evaluations", evaluations), ("scores", scores))
        }
        decided = connection.execute(sa.select(reviews).where(reviews.c.alert_seq == seq).order_by(reviews.c.seq)).all()
    return {
        "id": alert_id,
        "outlines": [
            {
                "month": row.month,
                "recorded_at": row.recorded_at,
                "found_by": row.kind,
                "state": row.state,
                "status": row.status,
                "area_ha": row.area_ha,
                "outline": f"{alert_id}.{row.seq}",
            }
            for row in said["outlines"]
        ],
        "evaluations": [
            {
                "month": row.of_month,
                "rules_version": row.rules_version,
                "potentially_abusive": row.potentially_abusive,
                "criteria": json.loads(row.criteria),
                "legal_points": json.loads(row.legal_points),
            }
            for row in said["evaluations"]
        ],
        "scores": [
            {
                "month": row.of_month,
                "model_version": row.model_version,
                "clearcut_probability": row.clearcut_probability,
                "abuse_score": row.abuse_score,
            }
            for row in said["scores"]
        ],
        "reviews": [
            {"state_before": row.state_before, "state": row.state, "reason": row.reason, "made_at": row.made_at}
            for row in decided
        ],
    }


def review(
    database: Database,
    alert_id: str,
    state: ReviewState,
    *,
    reason: str | None,
    comment: str | None,
    token_seq: int | None,
    actor: str,
    request_key: str | None = None,
) -> bool:
    """Keep what was decided of an alert; what was decided before stays in its history.

    Parameters
    ----------
    database, alert_id
        Of the alert.
    state, reason, comment
        What was decided, and why: a rejection needs a reason.
    token_seq, actor
        Who decided.
    request_key
        Made by the client: the same request sent again is kept once.

    Returns
    -------
    bool
        Whether it was kept now; it was already, where not.

    Raises
    ------
    tiles.errors.NotFoundError
        When there is no such alert.
    tiles.errors.InvalidParameterError
        When a rejection has no reason, or the key was used for something else.
    """
    if state is ReviewState.REJECTED and reason is None:
        raise InvalidParameterError("A rejection needs a reason: say what the images took for a clear-cut.")
    with database.writing() as writing:
        connection = writing.connection
        seq = _seq(connection, alert_id)
        if request_key is not None:
            before = connection.execute(sa.select(reviews).where(reviews.c.request_key == request_key)).one_or_none()
            if before is not None:
                if (before.alert_seq, before.state, before.reason) != (seq, state.value, reason):
                    raise InvalidParameterError(
                        "This Idempotency-Key was sent with another review: make a new one for each."
                    )
                return False
        query = sa.select(alerts.c.review, alert_documents.c.feature).join(alert_documents)
        row = connection.execute(query.where(alerts.c.seq == seq)).one()
        line = {
            "alert_seq": seq,
            "state_before": row.review,
            "state": state.value,
            "reason": reason,
            "comment": comment,
            "token_seq": token_seq,
            "request_key": request_key,
            "made_at": writing.now,
        }
        connection.execute(sa.insert(reviews), line)
        changed = {"review": state.value, "revision": writing.revision, "changed_at": writing.now}
        connection.execute(sa.update(alerts).where(alerts.c.seq == seq).values(changed))
        feature = json.loads(row.feature)
        feature["properties"]["review"] = state.value
        document = {"feature": json.dumps(feature, ensure_ascii=False)}
        connection.execute(sa.update(alert_documents).where(alert_documents.c.alert_seq == seq).values(document))
        writing.audit(actor, "review", alert_id, state.value)
    return True


def _seq(connection: sa.Connection, alert_id: str) -> int:
    seq = connection.execute(sa.select(alerts.c.seq).where(alerts.c.id == alert_id)).scalar()
    if seq is None:
        raise NotFoundError(f"There is no alert {alert_id[:64]}.")
    return int(seq)
