"""One alert's row, where a caller may know of it."""

from __future__ import annotations

import sqlalchemy as sa

from api.store.scope import EVERYTHING, Scope, scope_condition
from api.store.tables import alerts
from tiles.errors import NotFoundError


def seq_of(connection: sa.Connection, alert_id: str, scope: Scope = EVERYTHING) -> int:
    """Key of an alert's row.

    Raises
    ------
    tiles.errors.NotFoundError
        When there is none of that name in the scope: the same sentence for both.
    """
    query = sa.select(alerts.c.seq).where(alerts.c.id == sa.bindparam("of_id"), *map(scope_condition, scope.shape))
    seq = connection.execute(query, {"of_id": alert_id, **scope.values}).scalar()
    if seq is None:
        raise NotFoundError(f"There is no alert {alert_id[:64]}.")
    return int(seq)
