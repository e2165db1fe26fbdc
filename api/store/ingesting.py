"""Putting what a scan found into the store: one transaction, as often as one likes, nothing lost of what was there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import shapely
import sqlalchemy as sa

from api.store.alert_rows import alert_row, beside_document, document_of, said_row
from api.store.cells import CellCounts
from api.store.database import Database, Writing
from api.store.reviews import DECIDED
from api.store.scan_files import FoundAlert, ScanFiles, ScanKind
from api.store.tables import (
    alert_criteria,
    alert_documents,
    alert_features,
    alert_versions,
    alerts,
    evaluations,
    scans,
    scores,
)
from detector.alerts import AlertStatus, ClosedReason, ReviewState

_T = TypeVar("_T")
_AT_ONCE: Final = 500
"""Values of one statement's list: SQLite takes 32,766, planners like fewer."""
NOT_FOUND_AGAIN: Final = "not_found_again"
"""Why an alert was closed that the same month, scanned again, does not tell any more."""
_SAME_SHARE: Final = 0.5
"""Of the smaller outline: two alerts of which more lies in both are one."""


@dataclass(frozen=True)
class IngestResult:
    """What came of putting a scan into the store.

    Parameters
    ----------
    scan
        What it was: kind, month and ground.
    already_there
        Whether the store held just this: nothing was written.
    new, changed, unchanged
        Alerts.
    superseded
        Alerts of the same month, or of earlier scans of the ground, that this one does not tell any more, or
        tells by another name: closed, with the reason.
    older
        Alerts of which a later month is known: what this one says of them is kept beside it.
    left_standing
        Alerts of earlier scans of the ground that this one does not tell, and that nothing in it overlaps.
    beside
        Alerts that people have decided of, of which this one says something else: kept beside, as ``seen_since``.
    """

    scan: str
    already_there: bool = False
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    superseded: int = 0
    older: int = 0
    left_standing: int = 0
    beside: int = 0


def ingest(database: Database, files: ScanFiles, *, data_dir: Path, actor: str = "command") -> IngestResult:
    """Put a scan into the store.

    Parameters
    ----------
    database
        The store, of this version.
    files
        What the scan left.
    data_dir
        The data directory: a folder of images in it is kept by its path from there.
    actor
        Who does it, for the audit log.

    Raises
    ------
    tiles.errors.StoreError
        When the store cannot be written; it is then as it was.
    """
    name = f"{files.kind} {files.month} of {files.ground}"
    with database.reading() as connection:
        if _is_newest(connection, files):
            return IngestResult(name, already_there=True)
    with database.writing() as writing:
        if _is_newest(writing.connection, files):  # another was quicker
            return IngestResult(name, already_there=True)
        work = _Ingestion(writing, files, _add_scan(writing, files, data_dir))
        result = work.run(name)
        writing.audit(actor, "ingest", name, json.dumps({"identity": files.identity, "new": result.new}))
        return result


def _of_source(files: ScanFiles) -> sa.ColumnElement[bool]:
    return sa.and_(scans.c.kind == files.kind.value, scans.c.ground == files.ground)


def _is_newest(connection: sa.Connection, files: ScanFiles) -> bool:
    """Whether the last that was taken of this month and ground is just this."""
    query = sa.select(scans.c.identity).where(_of_source(files), scans.c.month == str(files.month))
    return connection.execute(query.order_by(scans.c.seq.desc()).limit(1)).scalar() == files.identity


def _add_scan(writing: Writing, files: ScanFiles, data_dir: Path) -> int:
    folder, root = files.folder.resolve(), data_dir.expanduser().resolve()
    row = {
        "identity": files.identity,
        "kind": files.kind.value,
        "month": str(files.month),
        "ground": files.ground,
        "folder": folder.relative_to(root).as_posix() if folder.is_relative_to(root) else folder.as_posix(),
        "software": files.software,
        "complete": files.complete,
        "alerts": len(files.alerts),
        "record": files.record,
        "ingested_at": writing.now,
    }
    return int(writing.connection.execute(sa.insert(scans).returning(scans.c.seq), row).scalar_one())


class _Ingestion:
    """One scan on its way into the store."""

    def __init__(self, writing: Writing, files: ScanFiles, scan_seq: int) -> None:
        self._writing, self._files, self._scan_seq = writing, files, scan_seq
        self._connection, self._cells = writing.connection, CellCounts()

    def run(self, name: str) -> IngestResult:
        known = self._known(self._files.alerts)
        new = [found for found in self._files.alerts.values() if found.id not in known]
        changed, older, beside, unchanged = [], [], [], 0
        for alert_id, (row, document, month) in known.items():
            found = self._files.alerts[alert_id]
            if row["review"] in DECIDED:
                after = beside_document(document, found, str(self._files.month))
                if after is None:
                    unchanged += 1
                else:
                    beside.append((row, found, after))
            elif document_of(found, row["review"]) == document:
                unchanged += 1
            elif month > str(self._files.month):
                older.append((row["seq"], found))
            else:
                changed.append((row, found))
        sequences = self._insert(new)
        self._update(changed)
        said = [(sequences[found.id], found) for found in new] + [(row["seq"], found) for row, found in changed]
        self._tell_beside([(row["seq"], after) for row, _, after in beside])
        self._say(said, [*older, *((row["seq"], found) for row, found, _ in beside)])
        superseded, left = self._supersede() if self._files.kind is ScanKind.SCAN else (0, 0)
        self._cells.write(self._connection)
        counts = (len(new), len(changed), unchanged, superseded, len(older), left, len(beside))
        return IngestResult(name, False, *counts)

    def _known(self, ids: Iterable[str]) -> dict[str, tuple[sa.RowMapping, str, str]]:
        """Rows, documents and months of what the store has of these alerts."""
        query = sa.select(alerts, alert_documents.c.feature, scans.c.month).join(alert_documents).join(scans)
        found = {}
        for some in _batches(list(ids)):
            for row in self._connection.execute(query.where(alerts.c.id.in_(some))).mappings():
                found[row["id"]] = (row, row["feature"], row["month"])
        return found

    def _insert(self, new: Sequence[FoundAlert]) -> dict[str, int]:
        if not new:
            return {}
        rows = [self._row(found, ReviewState.TO_REVIEW.value) for found in new]
        self._connection.execute(sa.insert(alerts), rows)
        sequences = self._sequences([found.id for found in new])
        documents = [
            {"alert_seq": sequences[found.id], "feature": document_of(found, ReviewState.TO_REVIEW.value)}
            for found in new
        ]
        self._connection.execute(sa.insert(alert_documents), documents)
        for row in rows:
            self._cells.add(row)
        return sequences

    def _sequences(self, ids: Sequence[str]) -> dict[str, int]:
        query = sa.select(alerts.c.id, alerts.c.seq)
        return {
            name: seq
            for some in _batches(ids)
            for name, seq in self._connection.execute(query.where(alerts.c.id.in_(some)))
        }

    def _row(self, found: FoundAlert, review: str) -> dict[str, Any]:
        store = {"revision": self._writing.revision, "changed_at": self._writing.now, "scan_seq": self._scan_seq}
        return alert_row(found, review) | store

    def _update(self, changed: Sequence[tuple[sa.RowMapping, FoundAlert]]) -> None:
        if not changed:
            return
        rows, documents = [], []
        for before, found in changed:
            # What a person decided stays.
            after = self._row(found, before["review"])
            self._cells.add(dict(before), -1)
            self._cells.add(after)
            rows.append({"of_seq": before["seq"]} | after)
            documents.append({"of_seq": before["seq"], "feature": document_of(found, before["review"])})
        self._connection.execute(sa.update(alerts).where(alerts.c.seq == sa.bindparam("of_seq")), rows)
        of_document = sa.update(alert_documents).where(alert_documents.c.alert_seq == sa.bindparam("of_seq"))
        self._connection.execute(of_document, documents)

    def _tell_beside(self, documents: Sequence[tuple[int, str]]) -> None:
        """Change the documents alone of alerts that people have decided of."""
        if not documents:
            return
        rows = [{"of_seq": seq, "feature": feature} for seq, feature in documents]
        of_document = sa.update(alert_documents).where(alert_documents.c.alert_seq == sa.bindparam("of_seq"))
        self._connection.execute(of_document, rows)
        touched = {"revision": self._writing.revision, "changed_at": self._writing.now}
        for some in _batches([seq for seq, _ in documents]):
            self._connection.execute(sa.update(alerts).where(alerts.c.seq.in_(some)).values(touched))

    def _say(self, now: Sequence[tuple[int, FoundAlert]], older: Sequence[tuple[int, FoundAlert]]) -> None:
        """Keep what the scan, the rules and the models say; of `now` it counts."""
        month = str(self._files.month)
        scan = {"scan_seq": self._scan_seq}
        everything = [*now, *older]
        versions = [
            said_row(found, month) | scan | {"alert_seq": seq, "recorded_at": self._writing.now}
            for seq, found in everything
        ]
        self._put(alert_versions, versions)
        self._put(evaluations, [row | scan for seq, found in everything for row in _evaluation(seq, found)])
        self._put(scores, [row | scan for seq, found in everything for row in _score(seq, found)])
        features = self._files.features
        measured = [
            {"alert_seq": seq, "features": json.dumps(features[found.id])} | scan
            for seq, found in everything
            if found.id in features
        ]
        self._put(alert_features, measured)
        for some in _batches([seq for seq, _ in now]):
            self._connection.execute(sa.delete(alert_criteria).where(alert_criteria.c.alert_seq.in_(some)))
        met = [
            {"alert_seq": seq, "code": code}
            for seq, found in now
            for code in sorted({str(c["code"]) for c in found.properties.get("criteria") or () if c.get("met")})
        ]
        self._put(alert_criteria, met)

    def _put(self, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        if rows:
            self._connection.execute(sa.insert(table), rows)

    def _supersede(self) -> tuple[int, int]:
        """Close what earlier scans of the ground told and this one tells by another name, or not at all any more."""
        query = (
            sa.select(alerts, alert_documents.c.feature, scans.c.month)
            .join(alert_documents)
            .join(scans, alerts.c.scan_seq == scans.c.seq)
            .where(_of_source(self._files), scans.c.seq != self._scan_seq, alerts.c.status != AlertStatus.CLOSED.value)
            .where(scans.c.month <= str(self._files.month), alerts.c.review.not_in(sorted(DECIDED)))
        )
        before = [row for row in self._connection.execute(query).mappings() if row["id"] not in self._files.alerts]
        heirs = _heirs(before, list(self._files.alerts.values()))
        month = str(self._files.month)
        # An alert of this very month that is not told again is none; of an earlier one it may simply be too old.
        gone = [row for row in before if row["id"] in heirs or row["month"] == month]
        closed = [(row, _closed(row, heirs.get(row["id"]), self._files)) for row in gone]
        self._update(closed)
        self._say([(row["seq"], found) for row, found in closed], [])
        return len(gone), len(before) - len(gone)


def _closed(row: sa.RowMapping, heir: str | None, files: ScanFiles) -> FoundAlert:
    document = json.loads(row["feature"])
    day = files.month.last_day.isoformat()
    closing = {
        "status": AlertStatus.CLOSED.value,
        "updated": day,
        "closed_on": day,
        "closed_reason": NOT_FOUND_AGAIN if heir is None else ClosedReason.MERGED_INTO.value,
        "merged_into": heir,
    }
    return FoundAlert(row["id"], shapely.from_wkb(row["geometry"]), document["properties"] | closing)


def _heirs(before: Sequence[sa.RowMapping], found: Sequence[FoundAlert]) -> dict[str, str]:
    """Alerts of before that lie for the most part in one that was found now, or hold it."""
    if not before or not found:
        return {}
    old = shapely.from_wkb([row["geometry"] for row in before])
    new = np.array([each.geometry for each in found], dtype=object)
    pairs = shapely.STRtree(new).query(old, predicate="intersects")
    shared = shapely.area(shapely.intersection(old[pairs[0]], new[pairs[1]]))
    share = shared / np.minimum(shapely.area(old[pairs[0]]), shapely.area(new[pairs[1]]))
    order = np.argsort(share, kind="stable")
    return {
        before[pairs[0, i]]["id"]: found[pairs[1, i]].id for i in order if share[i] > _SAME_SHARE
    }  # the largest share comes last, and stays


def _evaluation(seq: int, found: FoundAlert) -> Iterator[dict[str, Any]]:
    told = found.properties
    if told.get("rules_version") and told.get("criteria") is not None:
        yield {
            "alert_seq": seq,
            "rules_version": told["rules_version"],
            "potentially_abusive": told.get("potentially_abusive"),
            "criteria": json.dumps(told["criteria"], ensure_ascii=False),
            "legal_points": json.dumps(told.get("legal_points") or [], ensure_ascii=False),
        }


def _score(seq: int, found: FoundAlert) -> Iterator[dict[str, Any]]:
    told = found.properties
    if told.get("model_version"):
        yield {
            "alert_seq": seq,
            "model_version": told["model_version"],
            "clearcut_probability": told.get("clearcut_probability"),
            "abuse_score": told.get("abuse_score"),
            "reasons": json.dumps(told.get("reasons"), ensure_ascii=False),
        }


def _batches(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for start in range(0, len(items), _AT_ONCE):
        yield items[start : start + _AT_ONCE]
