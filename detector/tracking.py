"""Alerts from month to month and over tiles: what is one, what it is called, and what becomes of it.

A scan of month M finds all losses first seen in the twelve months up to M that still show, so that the same loss comes
again each month. Tracking lays what was found on what is known:

1. A found patch that overlaps a known one within `span_days` shows the same loss, and belongs to the same alert while
   the alert's first low dates stay within `span_days` in all.
2. What is less than `near_m` apart is one alert, under the same bound. Groups are made in the order of dates: the
   earliest that has no group yet is an anchor, and takes in all that it reaches over steps of `near_m` and that lies
   within `span_days` of it. The result depends on no order of tiles or patches. A known alert is taken whole or not at
   all, so that a patch that belongs to an alert stays there.
3. Of alerts that turn out to be one, that which was told first lives; the others are closed and name it.
4. Ground belongs to one alert. Where a patch reaches over the ground of an alert that may not grow any more, only what
   lies beyond is new, and becomes an alert of its own once it is large enough.
5. Ground that is not found any more is taken back if the month saw most of it intact. Ground that was not seen stays;
   so does what is older than the scans tell, as a settled fact.

Nothing here reads a file or a clock.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import NamedTuple, Protocol

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from detector.alerts import Alert, AlertStatus
from detector.known import FoundPatch, KnownPatch, Register, Tracked
from detector.ledger import Draft, Ledger, Why
from detector.outlines import Geometries
from detector.params import TrackParams
from detector.spacing import areas_ha, boxes_around, gaps_m, without_hairlines
from tiles.change import PixelState
from tiles.errors import InvalidParameterError
from tiles.month import Month

_HAIRLINE_M = 1.0
"""Strips narrower than this are left of overlays, not of forests: a tenth of a pixel."""

_NOTHING_HA = 1e-4
"""A square metre: outlines of neighbours on one grid overlap by less, through rounding and projection."""


class Ground(Protocol):
    """Answers what a month's scans say of a piece of ground."""

    def count_states(self, outlines: Geometries) -> NDArray[np.int64]:
        """Pixels of each `PixelState` at the month's end.

        Parameters
        ----------
        outlines
            object (n,). Polygons, WGS 84, longitude first.

        Returns
        -------
        counts
            int64 (n, 5), by the value of the state; zeros where no tile of the month lies.
        """
        ...


def track(
    month: Month,
    before: Register,
    found: Sequence[FoundPatch],
    ground: Ground,
    params: TrackParams | None = None,
    why: Why | None = None,
) -> Tracked:
    """Take a month's patches into the register.

    Parameters
    ----------
    month
        What was scanned; later than the register's.
    before
        What was known at the end of an earlier month.
    found
        Patches of all tiles that were scanned, in any order.
    ground
        What the scans say of ground on which nothing was found.
    params
        Rules; defaults where None.
    why
        Asked for the reason of each alert that is taken back; `ClosedReason.SEEN_INTACT_AGAIN` where None.

    Returns
    -------
    tracked
        The new register and what became of each alert. The same input gives the same, in any order of `found`.

    Raises
    ------
    tiles.errors.InvalidParameterError
        If the register already holds the month, or two patches have one name.
    """
    if before.month is not None and month <= before.month:
        raise InvalidParameterError(
            f"The register holds {before.month} already: track {month} from the register of a month before it."
        )
    names = [patch.alert.id for patch in found]
    if len(set(names)) < len(names):
        twice = next(name for name in sorted(names) if names.count(name) > 1)
        raise InvalidParameterError(f"Patch {twice} was given twice: give the patches of each tile once.")
    return _Step(month, before, found, params or TrackParams()).run(ground, why)


class _Span(NamedTuple):
    """First low dates, from the earliest to the latest."""

    first: date
    last: date

    def joined(self, other: _Span) -> _Span:
        return _Span(min(self.first, other.first), max(self.last, other.last))

    @property
    def days(self) -> int:
        return (self.last - self.first).days


class _Node(NamedTuple):
    """What is grouped: a known alert, with all that was found of it, or a patch that belongs to none."""

    is_new: bool
    name: str


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Found patches beside known ones: those that are within `near_m` by their boxes."""

    found: NDArray[np.int64]
    known: NDArray[np.int64]
    overlap_ha: NDArray[np.float64]
    same_loss: NDArray[np.bool_]
    """They overlap, and their dates are near enough."""
    same_patch: NDArray[np.bool_]
    """The same, by more than the slivers of neighbours."""


class _Step:
    """One month's tracking. Found and known patches are numbered; known ones are those of `Register.patches`."""

    def __init__(self, month: Month, before: Register, found: Sequence[FoundPatch], params: TrackParams) -> None:
        self.month, self.before, self.params = month, before, params
        self.month_end = month.last_day
        self.told_since = month.shifted(1 - params.window_months).first_day
        # By date: who comes first is an anchor. The name decides between patches of one day.
        self.found = sorted(found, key=lambda patch: (patch.alert.first_low, patch.alert.id))
        self.pieces = _array([patch.exact for patch in self.found])
        self.known = before.patches
        self.known_ground = _array([patch.ground for patch in self.known])
        self.alerts = {alert.id: alert for alert in before.alerts}
        self.patches_of: dict[str, list[int]] = defaultdict(list)
        for number, patch in enumerate(self.known):
            self.patches_of[patch.alert_id].append(number)
        self.live = {alert.id for alert in before.alerts if alert.status is not AlertStatus.CLOSED}
        self.spans = {
            name: _Span(
                min(self.known[number].alert.first_low for number in numbers),
                max(self.known[number].latest_low for number in numbers),
            )
            for name, numbers in self.patches_of.items()
        }
        # What each found patch belongs to; a patch with no ground of its own is not there.
        self.node_of: dict[int, _Node] = {}
        self.reopened_by: dict[int, list[str]] = {}

    def run(self, ground: Ground, why: Why | None) -> Tracked:
        pairs = self._pairs()
        beside = _rows_by(pairs.found, len(self.found))
        self._bind(pairs, beside)
        self._clip_to_own(pairs, beside)
        groups = self._groups(pairs)
        self._clip_to_group(pairs, beside, groups)
        left = self._left_over(pairs, groups, ground)
        return self._compose(pairs, beside, groups, left, why)

    def _date(self, number: int) -> date:
        return self.found[number].alert.first_low

    def _pairs(self) -> _Pairs:
        """Lay what was found beside what is known."""
        if not self.found or not self.known:
            none = np.empty(0, np.int64)
            return _Pairs(none, none, np.empty(0), none.astype(bool), none.astype(bool))
        tree = shapely.STRtree(self.known_ground)
        found, known = tree.query(boxes_around(self.pieces, self.params.near_m))
        order = np.lexsort((known, found))
        found, known = found[order], known[order]
        one, other = self.pieces[found], self.known_ground[known]
        overlap_ha = np.zeros(found.size)
        meet = np.flatnonzero(shapely.intersects(one, other))
        same = np.asarray(shapely.equals_identical(one[meet], other[meet]))
        shared = one[meet]
        shared[~same] = shapely.intersection(one[meet][~same], other[meet][~same])
        overlap_ha[meet] = areas_ha(shared)
        apart = np.array(
            [
                max(
                    (self.known[k].alert.first_low - self._date(f)).days,
                    (self._date(f) - self.known[k].latest_low).days,
                )
                for f, k in zip(found.tolist(), known.tolist(), strict=True)
            ],
            np.int64,
        )
        same_loss = (overlap_ha > _NOTHING_HA) & (apart <= self.params.span_days)
        smaller = np.minimum(areas_ha(self.pieces)[found], areas_ha(self.known_ground)[known])
        return _Pairs(
            found, known, overlap_ha, same_loss, same_loss & (overlap_ha >= self.params.overlap_share * smaller)
        )

    def _bind(self, pairs: _Pairs, beside: Sequence[NDArray[np.int64]]) -> None:
        """Give each found patch to the alert that it shows, in the order of dates, while the alert's span allows it."""
        for number in range(len(self.found)):
            day = _Span(self._date(number), self._date(number))
            rows = [row for row in beside[number].tolist() if pairs.same_patch[row]]
            shared: dict[str, float] = defaultdict(float)
            for row in rows:
                shared[self.known[pairs.known[row]].alert_id] += float(pairs.overlap_ha[row])
            fitting = [name for name in shared if self.spans[name].joined(day).days <= self.params.span_days]
            homes = [name for name in fitting if name in self.live]
            if homes:
                home = min(homes, key=lambda name: (-round(shared[name], 4), self.spans[name].first, name))
                self.spans[home] = self.spans[home].joined(day)
                self.node_of[number] = _Node(False, home)
            else:
                self.node_of[number] = _Node(True, self.found[number].alert.id)
            self.reopened_by[number] = [name for name in fitting if name not in self.live]

    def _clip_to_own(self, pairs: _Pairs, beside: Sequence[NDArray[np.int64]]) -> None:
        """Take from each found patch what belongs to alerts that it can never be one with."""
        for number, node in list(self.node_of.items()):
            own = self.spans[node.name] if not node.is_new else _Span(self._date(number), self._date(number))
            foreign = [
                self.known_ground[pairs.known[row]]
                for row in beside[number].tolist()
                if pairs.same_patch[row]
                and (name := self.known[pairs.known[row]].alert_id) in self.live
                and name != node.name
                and self.spans[name].joined(own).days > self.params.span_days
            ]
            if foreign:
                self._clip(number, foreign)

    def _clip(self, number: int, foreign: Sequence[BaseGeometry]) -> None:
        """Take ground from a found patch; less than a pixel that is left is no patch."""
        rest = _left(_array([self.pieces[number]]), _array([shapely.union_all(list(foreign))]))
        self.pieces[number] = rest[0]
        if areas_ha(rest)[0] < self.params.change_ha:
            del self.node_of[number]

    def _groups(self, pairs: _Pairs) -> dict[_Node, int]:
        """Number the group of each node, in the order of their anchors."""
        edges: dict[_Node, set[_Node]] = defaultdict(set)
        spans: dict[_Node, _Span] = {}
        for number, node in self.node_of.items():
            day = _Span(self._date(number), self._date(number))
            spans[node] = day if node.is_new else self.spans[node.name]
            for name in self.reopened_by[number]:
                closed = _Node(False, name)
                spans[closed] = spans.get(closed, self.spans[name]).joined(day)
                edges[node].add(closed)
                edges[closed].add(node)
        for number, other in self._near(pairs):
            node = self.node_of[number]
            if node == other:
                continue
            edges[node].add(other)
            edges[other].add(node)
            if not other.is_new:
                spans[other] = self.spans[other.name]
        groups: dict[_Node, int] = {}
        count = 0
        for anchor in sorted(spans, key=lambda node: (spans[node].first, node)):
            if anchor in groups:
                continue
            groups[anchor] = count
            todo = [anchor]
            while todo:
                for other in edges[todo.pop()]:
                    if other not in groups and (spans[other].last - spans[anchor].first).days <= self.params.span_days:
                        groups[other] = count
                        todo.append(other)
            count += 1
        return groups

    def _near(self, pairs: _Pairs) -> Iterable[tuple[int, _Node]]:
        """Found patches, and what is less than `near_m` from each."""
        placed = np.array([number in self.node_of for number in range(len(self.found))], bool)
        of_live = np.array([patch.alert_id in self.live for patch in self.known], bool)
        rows = np.flatnonzero(placed[pairs.found] & of_live[pairs.known]) if pairs.found.size else pairs.found
        gaps = gaps_m(self.pieces[pairs.found[rows]], self.known_ground[pairs.known[rows]])
        for row in rows[gaps < self.params.near_m].tolist():
            yield int(pairs.found[row]), _Node(False, self.known[pairs.known[row]].alert_id)
        one, other = self._found_pairs(np.flatnonzero(placed))
        gaps = gaps_m(self.pieces[one], self.pieces[other])
        for at in np.flatnonzero(gaps < self.params.near_m).tolist():
            yield int(one[at]), self.node_of[int(other[at])]

    def _found_pairs(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Those of the found patches that are near each other by their boxes, each pair once, the earlier first."""
        if not numbers.size:
            return numbers, numbers
        pieces = self.pieces[numbers]
        one, other = shapely.STRtree(pieces).query(boxes_around(pieces, self.params.near_m))
        once = one < other
        order = np.lexsort((other[once], one[once]))
        return numbers[one[once][order]], numbers[other[once][order]]

    def _clip_to_group(self, pairs: _Pairs, beside: Sequence[NDArray[np.int64]], groups: Mapping[_Node, int]) -> None:
        """Take from each found patch what belongs to other groups: known ground, and what an earlier group found."""
        foreign: dict[int, list[BaseGeometry]] = defaultdict(list)
        for number, node in self.node_of.items():
            for row in beside[number].tolist():
                name = self.known[pairs.known[row]].alert_id
                if pairs.same_loss[row] and name in self.live and groups.get(_Node(False, name)) != groups[node]:
                    foreign[number].append(self.known_ground[pairs.known[row]])
        one, other = self._found_pairs(np.array(sorted(self.node_of), np.int64))
        meet = np.flatnonzero(shapely.intersects(self.pieces[one], self.pieces[other]))
        for first, second in zip(one[meet].tolist(), other[meet].tolist(), strict=True):
            ranks = groups[self.node_of[first]], groups[self.node_of[second]]
            if ranks[0] != ranks[1] and (self._date(second) - self._date(first)).days <= self.params.span_days:
                later, earlier = (second, first) if ranks[0] < ranks[1] else (first, second)
                foreign[later].append(self.pieces[earlier])
        for number in sorted(foreign):
            shared = areas_ha(shapely.intersection(self.pieces[number], _array(foreign[number])))
            if shared.sum() > _NOTHING_HA:
                self._clip(number, foreign[number])
        self._leave_crumbs(groups)

    def _leave_crumbs(self, groups: Mapping[_Node, int]) -> None:
        """Let go of what would be a new alert, but is only what other alerts left of patches, and too little."""
        old = {group for node, group in groups.items() if not node.is_new and node.name in self.live}
        members: dict[int, list[int]] = defaultdict(list)
        for number, node in self.node_of.items():
            if groups[node] not in old:
                members[groups[node]].append(number)
        for numbers in members.values():
            clipped = all(self.pieces[number] is not self.found[number].exact for number in numbers)
            if clipped:
                whole = _array([shapely.union_all(self.pieces[numbers])])
                if areas_ha(whole)[0] < self.params.min_area_ha:
                    for number in numbers:
                        del self.node_of[number]

    def _left_over(self, pairs: _Pairs, groups: Mapping[_Node, int], ground: Ground) -> dict[int, KnownPatch]:
        """What stays of the known patches of live alerts, beside what was found of their alerts."""
        live = [number for number, patch in enumerate(self.known) if patch.alert_id in self.live]
        own: dict[int, list[BaseGeometry]] = defaultdict(list)
        others: dict[int, list[BaseGeometry]] = defaultdict(list)
        for row in np.flatnonzero(pairs.same_loss).tolist():
            known, number = int(pairs.known[row]), int(pairs.found[row])
            node = self.node_of.get(number)
            group = groups.get(_Node(False, self.known[known].alert_id))
            if node is not None and groups[node] == group:
                own[known].append(self.pieces[number])
            else:
                others[known].append(self.found[number].exact)
        rest = _without(self.known_ground[live], [own[number] for number in live])
        unseen = _without(rest, [others[number] for number in live])
        rest_ha, unseen_ha = areas_ha(rest), areas_ha(unseen)
        missed = [
            at
            for at, number in enumerate(live)
            if unseen_ha[at] >= self.params.change_ha and self.known[number].latest_low >= self.told_since
        ]
        refuted = np.zeros(len(live), bool)
        refuted[missed] = self._refuted(ground.count_states(unseen[missed])) if missed else False
        seen_by_others = _left(rest[refuted], unseen[refuted])
        rest[refuted], rest_ha[refuted] = seen_by_others, areas_ha(seen_by_others)
        stays: dict[int, KnownPatch] = {}
        for at, number in enumerate(live):
            patch = self.known[number]
            if rest_ha[at] < self.params.change_ha:
                continue
            if others[number]:
                patch = replace(patch, seen=self.month_end)
            if rest[at] is not patch.ground:
                patch = replace(patch, ground=rest[at], alert=replace(patch.alert, geometry=rest[at]))
            stays[number] = patch
        return stays

    def _refuted(self, counts: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether most of the forest of each ground was seen intact."""
        forest = counts.sum(axis=1) - counts[:, PixelState.NOT_FOREST]
        return np.asarray(counts[:, PixelState.INTACT] > self.params.intact_share * forest)

    def _compose(
        self,
        pairs: _Pairs,
        beside: Sequence[NDArray[np.int64]],
        groups: Mapping[_Node, int],
        stays: Mapping[int, KnownPatch],
        why: Why | None,
    ) -> Tracked:
        """Make the new register."""
        drafts = self._drafts(pairs, beside, groups, stays)
        return Ledger(self.before, self.month, self.told_since, self.params).written(drafts, why)

    def _drafts(
        self,
        pairs: _Pairs,
        beside: Sequence[NDArray[np.int64]],
        groups: Mapping[_Node, int],
        stays: Mapping[int, KnownPatch],
    ) -> list[Draft]:
        """Which alerts are one, and the patches that they now rest on."""
        alerts_in: dict[int, list[Alert]] = defaultdict(list)
        found_in: dict[int, list[int]] = defaultdict(list)
        for node, group in groups.items():
            if not node.is_new:
                alerts_in[group].append(self.alerts[node.name])
        for number, node in sorted(self.node_of.items()):
            found_in[groups[node]].append(number)
        drafts = []
        taken = set(self.alerts)
        for group in sorted(found_in):
            found, same = found_in[group], sorted(alerts_in[group], key=_seniority)
            name = same[0].id if same else _free_name(self.found[found[0]].alert.id, taken)
            taken.add(name)
            drafts.append(Draft(name, tuple(same), self._patches(name, same, found, pairs, beside, stays)))
        # The others are on their own: nothing that was found makes two of them one.
        drawn = {alert.id for group in found_in for alert in alerts_in[group]}
        for name in sorted(self.live - drawn):
            same = [self.alerts[name]]
            drafts.append(Draft(name, tuple(same), self._patches(name, same, [], pairs, beside, stays)))
        return drafts

    def _patches(
        self,
        name: str,
        same: Sequence[Alert],
        found: Sequence[int],
        pairs: _Pairs,
        beside: Sequence[NDArray[np.int64]],
        stays: Mapping[int, KnownPatch],
    ) -> tuple[KnownPatch, ...]:
        """The patches of an alert: what was found of it, and what stays of what was known."""
        names = {alert.id for alert in same} & self.live
        patches = [
            patch if patch.alert_id == name else replace(patch, alert_id=name)
            for alert in sorted(names)
            for number in self.patches_of[alert]
            if (patch := stays.get(number)) is not None
        ]
        for number in found:
            one = self.found[number]
            forerunners = [
                self.known[pairs.known[row]].alert
                for row in beside[number].tolist()
                if pairs.same_patch[row] and self.known[pairs.known[row]].alert_id in names
            ]
            alert = _dated(one.alert, forerunners)
            if self.pieces[number] is not one.exact:
                alert = replace(alert, geometry=self.pieces[number])
            patches.append(KnownPatch(name, alert, self.pieces[number], self._date(number), self.month_end))
        return tuple(sorted(patches, key=_patch_order)) if len(patches) > 1 else tuple(patches)


def _patch_order(patch: KnownPatch) -> tuple[str, date, bytes]:
    return patch.alert.id, patch.seen, shapely.to_wkb(patch.ground)


def _dated(alert: Alert, forerunners: Sequence[Alert]) -> Alert:
    """A patch with the earliest interval that was known of it, and the scenes since."""
    first = min(forerunners, key=lambda known: (known.first_low, known.id), default=alert)
    if first.first_low >= alert.first_low:
        return alert
    after = dict.fromkeys((*(first.scenes_after or ()), *(alert.scenes_after or ())))
    return replace(
        alert,
        last_intact=first.last_intact,
        first_low=first.first_low,
        scenes_before=first.scenes_before,
        scenes_after=tuple(after) or None,
    )


def _seniority(alert: Alert) -> tuple[bool, date, date, str]:
    """Alerts that stand before those that were closed, then the one that was told first."""
    return alert.status is AlertStatus.CLOSED, alert.first_detected, alert.first_low, alert.id


def _free_name(wanted: str, taken: set[str]) -> str:
    """The name of a patch; another, drawn from it, where an alert of old bears it."""
    name, draw = wanted, 0
    while name in taken:
        draw += 1
        name = f"{wanted[:-8]}{hashlib.sha256(f'{wanted}|{draw}'.encode()).hexdigest()[:8]}"
    return name


def _array(geometries: Iterable[BaseGeometry]) -> Geometries:
    items = list(geometries)
    array = np.empty(len(items), object)
    array[:] = items
    return array


def _rows_by(number: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    """Rows of each number; `number` is sorted."""
    starts = np.searchsorted(number, np.arange(size + 1))
    return [np.arange(starts[i], starts[i + 1]) for i in range(size)]


def _without(grounds: Geometries, taken: Sequence[Sequence[BaseGeometry]]) -> Geometries:
    """Each ground without others; the very same where there are none."""
    left = grounds.copy()
    some = np.flatnonzero([bool(others) for others in taken])
    if some.size:
        unions = _array([taken[at][0] if len(taken[at]) == 1 else shapely.union_all(taken[at]) for at in some.tolist()])
        # Most patches come again as they were: nothing is left of them, and that is quickly seen.
        same = np.asarray(shapely.equals_identical(grounds[some], unions))
        left[some[same]] = shapely.Polygon()
        left[some[~same]] = _left(grounds[some[~same]], unions[~same])
    return left


def _left(grounds: Geometries, taken: Geometries) -> Geometries:
    """Each ground without another."""
    return without_hairlines(np.asarray(shapely.difference(grounds, taken), dtype=object), _HAIRLINE_M)
