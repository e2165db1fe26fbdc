"""From the patches that an alert now rests on to what is told of it, and to the lines of its history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Protocol

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from detector.alerts import Alert, AlertState, AlertStatus, ClosedReason, publishable
from detector.cause.evidence import COUNTS
from detector.known import Change, Event, KnownPatch, Register, Tracked
from detector.outlines import Geometries, measure
from detector.params import TrackParams
from detector.spacing import areas_ha
from tiles.month import Month

_HAIRLINE_DEG = 1e-7
"""A centimetre, the last decimal that is published: outlines of neighbours are joined over gaps of rounding."""


class Why(Protocol):
    """Says why an alert was no loss; see `detector.refutation`."""

    def __call__(self, alert: Alert, ground: BaseGeometry) -> ClosedReason:
        """Judge an alert whose ground (WGS 84) was seen intact again."""
        ...


@dataclass(frozen=True, eq=False)
class Draft:
    """An alert after a month: who it is, and on what it rests.

    Parameters
    ----------
    name
        Its identity.
    same
        Alerts of before that turned out to be it, itself first; none if it is new.
    patches
        What it rests on now; none if nothing is left of it.
    """

    name: str
    same: tuple[Alert, ...]
    patches: tuple[KnownPatch, ...]

    @property
    def before(self) -> Alert | None:
        """What was told of it before."""
        return self.same[0] if self.same else None


@dataclass(frozen=True, eq=False)
class _Entry:
    """An alert as it now is, with its event and patches."""

    alert: Alert
    event: Event
    patches: tuple[KnownPatch, ...]


class Ledger:
    """Writes a month's drafts into a register.

    Parameters
    ----------
    before
        What was known.
    month
        That which is written.
    told_since
        First day of the months whose losses are still told.
    params
        Rules.
    """

    def __init__(self, before: Register, month: Month, told_since: date, params: TrackParams) -> None:
        self._before, self._month, self._told_since, self._params = before, month, told_since, params
        self._day = month.last_day
        self._alerts_before = {alert.id: alert for alert in before.alerts}
        self._patches_before: dict[str, tuple[KnownPatch, ...]] = {}
        for patch in before.patches:
            self._patches_before[patch.alert_id] = (*self._patches_before.get(patch.alert_id, ()), patch)

    def written(self, drafts: Sequence[Draft], why: Why | None) -> Tracked:
        """The register with the drafts in it.

        Parameters
        ----------
        drafts
            One of each alert that stood, or now stands, and of those that were closed and were found again.
        why
            Asked for the reason of each alert of which nothing is left.
        """
        entries = self._resting([draft for draft in drafts if draft.patches])
        entries += [self._refuted(draft, why) for draft in drafts if not draft.patches]
        entries += [self._merged(alert, draft.name) for draft in drafts for alert in draft.same[1:]]
        by_name = {entry.alert.id: entry for entry in entries}
        untouched = [alert for alert in self._before.alerts if alert.id not in by_name]
        alerts = sorted([*untouched, *(entry.alert for entry in entries)], key=lambda alert: alert.id)
        patches = [patch for patch in self._before.patches if patch.alert_id not in by_name]
        patches += [patch for entry in entries for patch in entry.patches]
        lines = [self._line(entry) for _, entry in sorted(by_name.items()) if entry.event is not Event.UNCHANGED]
        stood = {alert.id for alert in self._before.published}
        return Tracked(
            Register(
                month=self._month,
                alerts=tuple(alerts),
                # Stable: the patches of one alert keep the order that they were given in.
                patches=tuple(sorted(patches, key=lambda patch: patch.alert_id)),
                history=(*self._before.history, *lines),
            ),
            {
                name: entry.event
                for name, entry in sorted(by_name.items())
                if name in stood or entry.alert.status is not AlertStatus.CLOSED
            },
        )

    def _line(self, entry: _Entry) -> Change:
        alert = entry.alert
        return Change(
            alert_id=alert.id,
            month=self._month,
            event=entry.event,
            status=alert.status,
            state=alert.state,
            area_ha=alert.area_ha,
            last_intact=alert.last_intact,
            first_low=alert.first_low,
            closed_reason=alert.closed_reason,
            merged_into=alert.merged_into,
            geometry=alert.geometry if self._is_redrawn(alert) else None,
        )

    def _is_redrawn(self, alert: Alert) -> bool:
        before = self._alerts_before.get(alert.id)
        return before is None or bool(before.geometry != alert.geometry)

    def _refuted(self, draft: Draft, why: Why | None) -> _Entry:
        """Close an alert of which nothing is left; it keeps the patches that it had, should it be lost again."""
        alert = draft.same[0]
        had = self._patches_before[alert.id]
        reason = ClosedReason.SEEN_INTACT_AGAIN if why is None else why(alert, _union([patch.ground for patch in had]))
        return _Entry(self._closed(alert, reason), Event.CLOSED, had)

    def _merged(self, alert: Alert, into: str) -> _Entry:
        return _Entry(replace(self._closed(alert, ClosedReason.MERGED_INTO), merged_into=into), Event.CLOSED, ())

    def _closed(self, alert: Alert, reason: ClosedReason) -> Alert:
        return replace(alert, status=AlertStatus.CLOSED, updated=self._day, closed_on=self._day, closed_reason=reason)

    def _resting(self, drafts: Sequence[Draft]) -> list[_Entry]:
        """Alerts that rest on patches: told anew where anything was found of them."""
        same = [self._rests_as_before(draft) for draft in drafts]
        told = [draft for draft, is_same in zip(drafts, same, strict=True) if not is_same]
        entries = [self._same(draft) for draft, is_same in zip(drafts, same, strict=True) if is_same]
        grounds = _array([_union([patch.ground for patch in draft.patches]) for draft in told])
        moved, gained = self._moved(told, grounds)
        # Only what moved is drawn and measured anew, and history so holds every outline there was.
        draw = np.flatnonzero(moved)
        outlines, area_ha = np.empty(len(told), object), np.zeros(len(told))
        outlines[draw] = publishable(
            _array([_union([patch.alert.geometry for patch in told[i].patches], _HAIRLINE_DEG) for i in draw])
        )
        area_ha[draw], _ = measure(grounds[draw])
        for i, draft in enumerate(told):
            if not moved[i]:
                outlines[i], area_ha[i] = draft.same[0].geometry, draft.same[0].area_ha
            alert = self._told(draft, outlines[i], float(area_ha[i]))
            entries.append(self._entered(draft, alert, bool(moved[i]), bool(gained[i])))
        return entries

    def _rests_as_before(self, draft: Draft) -> bool:
        """Whether nothing was found of an alert, and nothing taken from it."""
        had = self._patches_before.get(draft.name, ())
        return len(had) == len(draft.patches) and all(a is b for a, b in zip(had, draft.patches, strict=True))

    def _same(self, draft: Draft) -> _Entry:
        alert = draft.same[0]
        status = self._status(draft)
        if status is alert.status:
            return _Entry(alert, Event.UNCHANGED, draft.patches)
        return self._settled(replace(alert, status=status, updated=self._day), draft)

    def _settled(self, alert: Alert, draft: Draft) -> _Entry:
        """What the scans tell no more: a fact, unless it was never more than one date's word."""
        if alert.state is AlertState.PROVISIONAL:
            return _Entry(self._closed(alert, ClosedReason.NEVER_CONFIRMED), Event.CLOSED, draft.patches)
        return _Entry(alert, Event.SETTLED, draft.patches)

    def _status(self, draft: Draft) -> AlertStatus:
        told = any(patch.seen == self._day or patch.latest_low >= self._told_since for patch in draft.patches)
        return AlertStatus.OPEN if told else AlertStatus.SETTLED

    def _moved(self, drafts: Sequence[Draft], grounds: Geometries) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Whether each ground is another than before by a pixel or more, and whether it gained so much."""
        had = [self._patches_before.get(draft.name, ()) for draft in drafts]
        moved = np.array([not patches for patches in had], bool)
        gained = moved.copy()
        known = np.flatnonzero(~moved)
        before = _array([_union([patch.ground for patch in had[i]]) for i in known])
        differ = ~shapely.equals_identical(before, grounds[known])
        known, before = known[differ], before[differ]
        gained[known] = areas_ha(shapely.difference(grounds[known], before)) >= self._params.change_ha
        moved[known] = gained[known] | (areas_ha(shapely.difference(before, grounds[known])) >= self._params.change_ha)
        return moved, gained

    def _entered(self, draft: Draft, alert: Alert, moved: bool, gained: bool) -> _Entry:
        before = draft.before
        if before is None:
            return _Entry(alert, Event.NEW, draft.patches)
        if before.status is AlertStatus.CLOSED:
            return _Entry(alert, Event.REOPENED, draft.patches)
        if alert.status is AlertStatus.SETTLED and before.status is not AlertStatus.SETTLED:
            return self._settled(alert, draft)
        if moved:
            return _Entry(alert, Event.GROWN if gained else Event.SHRUNK, draft.patches)
        told = ("state", "status", "last_intact", "first_low", "tiles")
        if any(getattr(alert, name) != getattr(before, name) for name in told):
            return _Entry(alert, Event.REVISED, draft.patches)
        return _Entry(replace(alert, updated=before.updated), Event.UNCHANGED, draft.patches)

    def _told(self, draft: Draft, outline: BaseGeometry, area_ha: float) -> Alert:
        """What is told of an alert; what people and later parts have added to it stays."""
        patches = draft.patches
        alerts = [patch.alert for patch in patches]
        weights = areas_ha(_array([patch.ground for patch in patches])) if len(patches) > 1 else np.ones(1)
        # Of several first losses on one day the widest interval: it holds the beginning, whichever began.
        first = min(alerts, key=lambda a: (a.first_low, a.last_intact or date.min, a.id))
        largest = alerts[int(np.argmax(weights))]
        confirmed = np.array([alert.state is AlertState.CONFIRMED for alert in alerts])
        share = float(weights[confirmed].sum() / weights.sum())
        own = draft.before or replace(first, id=draft.name, first_detected=self._day)
        tiles = {tile for alert in (*draft.same, *alerts) for tile in (alert.tiles or (alert.tile,))} - {own.tile}
        after = dict.fromkeys(
            scene for alert in sorted(alerts, key=lambda a: (a.first_low, a.id)) for scene in alert.scenes_after or ()
        )
        return replace(
            own,
            geometry=outline,
            area_ha=area_ha,
            last_intact=first.last_intact,
            first_low=first.first_low,
            state=AlertState.CONFIRMED if share >= self._params.confirmed_share else AlertState.PROVISIONAL,
            ndvi_before=_mean([alert.ndvi_before for alert in alerts], weights),
            ndvi_after=_mean([alert.ndvi_after for alert in alerts], weights),
            ndvi_drop=_mean([alert.ndvi_drop for alert in alerts], weights),
            evidence=_evidence(alerts, weights),
            clearcut_probability=_mean([alert.clearcut_probability for alert in alerts], weights),
            reasons=largest.reasons,
            model_version=largest.model_version,
            n_clear_before=largest.n_clear_before,
            n_clear_after=largest.n_clear_after,
            scenes_before=first.scenes_before,
            scenes_after=tuple(after) or None,
            tiles=(own.tile, *sorted(tiles)),
            status=self._status(draft),
            updated=self._day,
            closed_on=None,
            closed_reason=None,
            merged_into=None,
        )


def _evidence(alerts: Sequence[Alert], weights: NDArray[np.float64]) -> Mapping[str, float | int | None] | None:
    """Means by area of what is known of the patches; of dates that were read the fewest."""
    known = [(alert.evidence, weight) for alert, weight in zip(alerts, weights, strict=True) if alert.evidence]
    if len(known) <= 1:
        return known[0][0] if known else None
    parts, shares = [part for part, _ in known], np.array([weight for _, weight in known])
    told: dict[str, float | int | None] = {}
    for name in parts[0]:
        values = [part.get(name) for part in parts]
        if name in COUNTS:
            told[name] = min(int(value or 0) for value in values)
        else:
            told[name] = _mean(values, shares)
    return told


def _mean(values: Sequence[float | None], weights: NDArray[np.float64]) -> float | None:
    """Mean by area of what is known."""
    known = [(value, weight) for value, weight in zip(values, weights.tolist(), strict=True) if value is not None]
    total = sum(weight for _, weight in known)
    if len(known) == 1:
        return known[0][0]
    return sum(value * weight for value, weight in known) / total if total > 0 else None


def _union(geometries: Sequence[BaseGeometry], grid_size: float | None = None) -> BaseGeometry:
    return geometries[0] if len(geometries) == 1 else shapely.union_all(list(geometries), grid_size=grid_size)


def _array(geometries: Sequence[BaseGeometry]) -> Geometries:
    array = np.empty(len(geometries), object)
    array[:] = geometries
    return array
