"""What is known of alerts from month to month: patches, alerts, what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from shapely.geometry.base import BaseGeometry

from detector.alerts import Alert, AlertState, AlertStatus, ClosedReason
from tiles.month import Month


@dataclass(frozen=True, eq=False)
class FoundPatch:
    """A patch as the scan of one tile and month found it.

    Parameters
    ----------
    alert
        The alert that the tile alone would make of it (`detector.alerts.build_alerts`).
    exact
        Polygon or MultiPolygon along the pixel edges, WGS 84, longitude first.
    """

    alert: Alert
    exact: BaseGeometry


@dataclass(frozen=True, eq=False)
class KnownPatch:
    """A patch that an alert rests on.

    Parameters
    ----------
    alert_id
        Of the alert.
    alert
        The alert that the tile alone made of it when it was last found. Its interval is the earliest that was ever
        known of the patch: a felling that goes on has a later median date each month.
    ground
        What of it belongs to the alert, along the pixel edges, WGS 84.
    latest_low
        Its first low date when it was last found, without regard to earlier months.
    seen
        Last day of the month in which it was last found.
    """

    alert_id: str
    alert: Alert
    ground: BaseGeometry
    latest_low: date
    seen: date


class Event(StrEnum):
    """What became of an alert in a month. Of several, the first of this list."""

    NEW = "new"
    REOPENED = "reopened"
    """Closed before; its ground is lost again."""
    CLOSED = "closed"
    SETTLED = "settled"
    """Older than what scans tell; nothing more is expected of it."""
    GROWN = "grown"
    SHRUNK = "shrunk"
    """A part of its ground was seen intact again."""
    REVISED = "revised"
    """Its state, status or interval is another; its outline is not."""
    UNCHANGED = "unchanged"


@dataclass(frozen=True)
class Change:
    """A line of an alert's history.

    `geometry` is the outline as published, in lines that change it, None in others.
    """

    alert_id: str
    month: Month
    event: Event
    status: AlertStatus
    state: AlertState
    area_ha: float
    last_intact: date | None
    first_low: date
    closed_reason: ClosedReason | None
    merged_into: str | None
    geometry: BaseGeometry | None


@dataclass(frozen=True, eq=False)
class Register:
    """All alerts there ever were, what they rest on, and their history.

    Parameters
    ----------
    month
        The last that was tracked; None in the beginning.
    alerts
        By identity.
    patches
        By their alerts' identities. A closed alert keeps the patches that it had, unless it was merged.
    history
        By month, then by identity.
    """

    month: Month | None = None
    alerts: tuple[Alert, ...] = ()
    patches: tuple[KnownPatch, ...] = ()
    history: tuple[Change, ...] = ()

    @property
    def published(self) -> list[Alert]:
        """Alerts that stand: open and settled ones."""
        return [alert for alert in self.alerts if alert.status is not AlertStatus.CLOSED]

    @property
    def closed(self) -> list[Alert]:
        """Alerts that were closed."""
        return [alert for alert in self.alerts if alert.status is AlertStatus.CLOSED]


@dataclass(frozen=True, eq=False)
class Tracked:
    """What came of tracking a month.

    Parameters
    ----------
    register
        What is now known.
    events
        By identity: what became of each alert that stood before or stands now.
    """

    register: Register
    events: Mapping[str, Event] = field(default_factory=dict)

    def count(self, event: Event) -> int:
        """How many alerts it became so of."""
        return sum(became is event for became in self.events.values())
