"""All that was ever said of an alert."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

from api.store.database import Database
from api.store.scope import EVERYTHING, Scope
from api.store.tables import alert_versions, evaluations, reviews, scans, scores
from api.store.the_alert import seq_of


def history_of(database: Database, alert_id: str, scope: Scope = EVERYTHING) -> dict[str, Any]:
    """What scans, rules, models and people said of an alert, oldest first; of people no name.

    Raises
    ------
    tiles.errors.NotFoundError
        When there is none of that name in the scope.
    """
    with database.snapshot() as connection:
        seq = seq_of(connection, alert_id, scope)
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
            {
                "state_before": row.state_before,
                "state": row.state,
                "reason": row.reason,
                "made_at": row.made_at,
                "undone": row.seq in {other.undoes for other in decided},
                "undoes": row.undoes is not None,
            }
            for row in decided
        ],
    }
