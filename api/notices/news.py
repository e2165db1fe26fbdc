"""Which alerts a subscription was not yet told of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from api.features import AlertFeature
from api.identity.accounts import find_person, person_of
from api.notices.subscribing import Subscription
from api.store.conditions import condition, conditions_of
from api.store.scope import EVERYTHING, Scope
from api.store.tables import alert_criteria, alert_documents, alerts, notice_alerts
from detector.alerts import ReviewState

MOST_LISTED: Final = 20
"""Alerts that a notice tells of one by one; the others are counted."""


@dataclass(frozen=True)
class Share:
    """Some alerts, summed up."""

    alerts: int
    area_ha: float


@dataclass(frozen=True)
class News:
    """Alerts that a subscription was not yet told of.

    Parameters
    ----------
    alert_seqs
        Of all of them, the largest alert first.
    total
        All of them.
    abusive, abusive_unknown
        How many are potentially abusive, as the policy's criteria say, and of how many that is not known.
    departements
        By code, the most hectares first; None is of those whose département is not known.
    listed
        The largest, at most `MOST_LISTED`.
    """

    alert_seqs: Sequence[int]
    total: Share
    abusive: int
    abusive_unknown: int
    departements: Mapping[str | None, Share]
    listed: Sequence[AlertFeature]


def news_for(connection: sa.Connection, subscription: Subscription) -> News | None:
    """What is news to a subscription; None where nothing is.

    Alerts that stand, match, were first put in the store since the subscription was made, were not rejected by a
    person, and of which it was never told. An alert that grows is not told again; one that comes to match later is
    told then.
    """
    column = alerts.c
    scope = _scope(connection, subscription)
    if scope is None:
        return None
    conditions = conditions_of(connection, subscription.wanted.alert_filter(), scope)
    told = sa.select(notice_alerts.c.alert_seq).where(
        notice_alerts.c.subscription_seq == subscription.seq, notice_alerts.c.alert_seq == column.seq
    )
    query = (
        sa.select(column.seq, column.area_ha, column.departement, column.potentially_abusive)
        .where(*(condition(name) for name in conditions.shape))
        .where(column.seq > subscription.after_alert_seq, column.review != ReviewState.REJECTED.value)
        .where(~told.exists())
    )
    if subscription.wanted.criteria:
        met = sa.select(alert_criteria.c.alert_seq).where(alert_criteria.c.code.in_(subscription.wanted.criteria))
        query = query.where(column.seq.in_(met))
    rows = connection.execute(query.order_by(column.area_ha.desc(), column.seq), dict(conditions.values)).all()
    if not rows:
        return None
    by_code: dict[str | None, list[float]] = {}
    for row in rows:
        by_code.setdefault(row.departement, []).append(row.area_ha)
    shares = {code: _share(areas) for code, areas in by_code.items()}
    return News(
        [row.seq for row in rows],
        _share([row.area_ha for row in rows]),
        sum(row.potentially_abusive is True for row in rows),
        sum(row.potentially_abusive is None for row in rows),
        dict(sorted(shares.items(), key=lambda each: (-each[1].area_ha, each[0] or ""))),
        _features(connection, [row.seq for row in rows[:MOST_LISTED]]),
    )


def _scope(connection: sa.Connection, subscription: Subscription) -> Scope | None:
    """Alerts that a subscriber may know of; None where their account has ended. One made by command is told of all."""
    if subscription.user_seq is None:
        return EVERYTHING
    person = person_of(find_person(connection, subscription.user_seq))
    return None if person.disabled_at is not None else person.caller().scope


def _share(areas: Sequence[float]) -> Share:
    return Share(len(areas), sum(areas))


def _features(connection: sa.Connection, seqs: Sequence[int]) -> list[AlertFeature]:
    """Alerts of these numbers, in their order."""
    query = sa.select(alerts.c.seq, alerts.c.id, alerts.c.geometry, alert_documents.c.feature).join(alert_documents)
    found: dict[int, Any] = {row.seq: row for row in connection.execute(query.where(alerts.c.seq.in_(seqs)))}
    return [AlertFeature(found[seq].id, found[seq].feature, found[seq].geometry) for seq in seqs]
