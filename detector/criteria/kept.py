"""What was said of each alert, under each version of the rules: kept, so that a change of rules forgets nothing.

::

    <folder>/2026.1-4e7aba88.json       the rules themselves, when they first spoke, and their number
    <folder>/2026.1-4e7aba88.parquet    what they say, an alert a row

Under one version the newest word counts: an alert that has grown is said anew. What other versions said is not touched.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from detector.criteria.evaluation import Evaluation
from detector.criteria.fields import Value
from detector.criteria.rules import Rules
from tiles.errors import OutputError, StateError
from tiles.placing import written_beside

EVALUATIONS_FOLDER = "evaluations"
"""Of the data directory, or beside a file of alerts."""

SCHEMA = 1
"""Version of the files' meaning; a reader of another one refuses them."""


@dataclass(frozen=True)
class Said:
    """What one version of the rules says of one alert.

    Parameters
    ----------
    alert_id
        The alert's.
    cut_on
        Day whose rules counted: the alert's first low date.
    said_on
        Day on which it was first said in these words.
    fields
        What was known of the alert.
    evaluation
        What was said.
    """

    alert_id: str
    cut_on: date
    said_on: date
    fields: Mapping[str, Value]
    evaluation: Evaluation


@dataclass(frozen=True)
class KeptVersion:
    """A version of the rules that has spoken.

    Parameters
    ----------
    version
        Its name.
    number
        1 for the first that spoke here, and so on.
    since
        Day on which it first spoke.
    rules
        Its content, as `Rules.as_plain`.
    """

    version: str
    number: int
    since: date
    rules: Mapping[str, Any]


class EvaluationStore:
    """What was said, version by version. One process writes at a time.

    Parameters
    ----------
    folder
        Made when something is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def versions(self) -> list[KeptVersion]:
        """Versions that have spoken, in the order in which they first did.

        Raises
        ------
        tiles.errors.StateError
            When a record cannot be read.
        """
        records = [self._record(path) for path in sorted(self.folder.glob("*.json"))]
        spoken = [record for record in records if self._table(record.version).exists()]
        return sorted(spoken, key=lambda record: record.number)

    def of_version(self, version: str) -> dict[str, Said]:
        """What a version says, by alert; nothing where it has not spoken.

        Raises
        ------
        tiles.errors.StateError
            When the file cannot be read.
        """
        path = self._table(version)
        return {said.alert_id: said for said in _read(path, version)} if path.exists() else {}

    def of_alert(self, alert_id: str) -> list[Said]:
        """What was said of an alert, in the order of the versions.

        Raises
        ------
        tiles.errors.StateError
            When a file cannot be read.
        """
        found = []
        for kept in self.versions():
            only = [("alert_id", "=", alert_id)]
            found += _read(self._table(kept.version), kept.version, only)
        return found

    def keep(self, rules: Rules, said: Mapping[str, Said], today: date) -> None:
        """Keep what a version of the rules says; what it said of other alerts stays.

        Parameters
        ----------
        rules
            The rules.
        said
            By alert.
        today
            Today, when these rules speak for the first time.

        Raises
        ------
        tiles.errors.OutputError
            When the disk does not take it; what was there stays.
        tiles.errors.StateError
            When what is there cannot be read.
        """
        before = self.of_version(rules.version)
        after = dict(before)
        for name, one in said.items():
            old = before.get(name)
            if old is None or replace(one, said_on=old.said_on) != old:
                after[name] = one
        if before and after == before:
            return
        self._write_record(rules, today)
        with written(self._table(rules.version)) as temporary:
            _write([after[name] for name in sorted(after)], temporary)

    def _table(self, version: str) -> Path:
        return self.folder / f"{version}.parquet"

    def _record(self, path: Path) -> KeptVersion:
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            if record["schema"] != SCHEMA:
                raise StateError(
                    f"{path} is of schema {record['schema']}, not {SCHEMA}: use the version of Sylvigie that wrote it."
                )
            since = date.fromisoformat(record["since"])
            return KeptVersion(record["version"], record["number"], since, record["rules"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StateError(f"{path} cannot be read ({error}): restore it from a backup, or remove it.") from error

    def _write_record(self, rules: Rules, since: date) -> None:
        path = self.folder / f"{rules.version}.json"
        if path.exists():
            return
        numbers = [self._record(other).number for other in self.folder.glob("*.json")]
        record = {
            "schema": SCHEMA,
            "version": rules.version,
            "number": max(numbers, default=0) + 1,
            "since": since.isoformat(),
            "rules": rules.as_plain(),
        }
        with written(path) as temporary:
            temporary.write_text(json.dumps(record, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """A file to write, see `tiles.placing.written_beside`.

    Raises
    ------
    tiles.errors.OutputError
        When the disk does not take it; what was there stays.
    """
    try:
        with written_beside(path) as partial:
            yield partial
    except OSError as error:
        raise OutputError(
            f"Cannot write {path} ({error.strerror or error}): make room there, or choose another place."
        ) from error


def _write(said: list[Said], path: Path) -> None:
    def texts(values: list[Any]) -> Any:
        return pa.array([json.dumps(value, ensure_ascii=False) for value in values], pa.string())

    table = pa.table(
        {
            "alert_id": pa.array([one.alert_id for one in said], pa.string()),
            "cut_on": pa.array([one.cut_on for one in said], pa.date32()),
            "said_on": pa.array([one.said_on for one in said], pa.date32()),
            "potentially_abusive": pa.array([one.evaluation.potentially_abusive for one in said], pa.bool_()),
            "criteria": texts([one.evaluation.criteria for one in said]),
            "legal_points": texts([one.evaluation.legal_points for one in said]),
            "fields": texts([dict(one.fields) for one in said]),
        }
    )
    pq.write_table(table, path, compression="zstd")


def _read(path: Path, version: str, only: Any = None) -> list[Said]:
    try:
        rows = pq.read_table(path, filters=only).to_pylist()
        return [
            Said(
                row["alert_id"],
                row["cut_on"],
                row["said_on"],
                json.loads(row["fields"]),
                Evaluation(
                    tuple(json.loads(row["criteria"])),
                    tuple(json.loads(row["legal_points"])),
                    row["potentially_abusive"],
                    version,
                ),
            )
            for row in rows
        ]
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise StateError(f"{path} cannot be read ({error}): restore it from a backup, or remove it.") from error
