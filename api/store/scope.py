"""Which alerts a caller may know of: all, those of some départements and assignments, or the published alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from api.store.tables import alerts, assignments
from detector.alerts import ReviewState


@dataclass(frozen=True)
class Scope:
    """Alerts that a caller may know of. What is published is in each.

    Parameters
    ----------
    everything
        All of them; the rest does not matter then.
    departements
        Codes of départements that are a volunteer's.
    user_seq
        Whose assignments count; None for nobody's.
    """

    everything: bool = False
    departements: frozenset[str] = frozenset()
    user_seq: int | None = None

    @property
    def shape(self) -> tuple[str, ...]:
        """Names of its conditions, for `api.store.conditions.condition`."""
        if self.everything:
            return ()
        return ("published",) if self.user_seq is None else ("published or theirs",)

    @property
    def values(self) -> Mapping[str, Any]:
        """Of the conditions' parameters."""
        if self.everything or self.user_seq is None:
            return {}
        return {"scope_departements": sorted(self.departements), "scope_user": self.user_seq}

    @property
    def name(self) -> str:
        """What tells it from others, for the validators of answers."""
        return "" if self.everything else f"{sorted(self.departements)} {self.user_seq}"


EVERYTHING: Final = Scope(everything=True)
"""What commands, and people who see all, may know of."""
PUBLISHED: Final = Scope()
"""What everybody may know of."""


def scope_condition(name: str) -> sa.ColumnElement[bool]:
    """The condition of a name of `Scope.shape`."""
    published = alerts.c.review == sa.literal_column(f"'{ReviewState.PUBLISHED.value}'")
    if name == "published":
        return published
    assigned = sa.select(assignments.c.alert_seq).where(
        assignments.c.user_seq == sa.bindparam("scope_user", type_=sa.BigInteger()), assignments.c.ended_at.is_(None)
    )
    theirs = alerts.c.departement.in_(sa.bindparam("scope_departements", expanding=True))
    return sa.or_(published, theirs, alerts.c.seq.in_(assigned))
