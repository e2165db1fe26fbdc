"""What those who run the watch want to know: how the runs went, where nothing could be seen, rules, models."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final

from api.store.database import Database
from api.store.filters import AlertFilter
from api.store.reading import all_alerts
from detector.criteria.evaluation import evaluate
from detector.criteria.rules import Rule, RuleKind, Rules
from models.registry import Registry
from tiles.errors import InvalidParameterError, NotFoundError

RUNS: Final = "runs"
"""Folder of the data directory that holds a record of each run (`docs/operations.md`)."""
MOST_RUNS: Final = 60
MOST_TRIED: Final = 20_000
"""Alerts that other thresholds are tried on: the newest."""
MOST_CHANGED: Final = 50
_OF_RUN: Final = (
    "command",
    "month",
    "exit_code",
    "exit",
    "started",
    "seconds",
    "alerts",
    "warnings",
    "totals",
    "tracking_error",
    "store_error",
    "pictures_error",
    "notices_error",
)
_OF_TILE: Final = ("tile", "status", "message", "observed_share", "bytes_read", "seconds")


def runs(data_dir: Path) -> list[dict[str, Any]]:
    """The newest runs, the last one first; each with its tiles. A record that cannot be read is named."""
    return [_run(name, record) for name, record in islice(_records(data_dir), MOST_RUNS)]


def _records(data_dir: Path) -> Iterator[tuple[str, Mapping[str, Any] | None]]:
    """Names and records, the newest first; None for one that is damaged."""
    paths = (data_dir / RUNS).glob("*.json")
    for path in sorted(paths, key=lambda path: path.name.rpartition("_")[2], reverse=True):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            yield path.stem, record if isinstance(record, dict) else None
        except (OSError, ValueError):
            yield path.stem, None


def _run(name: str, record: Mapping[str, Any] | None) -> dict[str, Any]:
    if record is None:
        return {"name": name, "damaged": True, "tiles": []}
    told = {key: record.get(key) for key in _OF_RUN}
    return {"name": name, "damaged": False, **told, "tiles": [_tile(tile) for tile in record.get("tiles") or ()]}


def _tile(tile: Mapping[str, Any]) -> dict[str, Any]:
    left_out = [one for one in tile.get("scenes_skipped") or () if not one.get("superseded")]
    return {
        **{key: tile.get(key) for key in _OF_TILE},
        "scenes_read": len(tile.get("scenes_read") or ()),
        "scenes_left_out": [{"id": one.get("id"), "reason": one.get("reason")} for one in left_out],
    }


def observed(data_dir: Path) -> dict[str, dict[str, float]]:
    """Share of the watched forest that a month's scenes said something of, by month and tile (0 to 1).

    Of several runs of a month the newest counts that knows it; a tile without forest is not told.
    """
    shares: dict[str, dict[str, float]] = {}
    for _, record in _records(data_dir):
        if record is None or record.get("command") != "monthly":
            continue
        of_month = shares.setdefault(str(record.get("month")), {})
        for tile in record.get("tiles") or ():
            if tile.get("observed_share") is not None:
                of_month.setdefault(str(tile["tile"]), float(tile["observed_share"]))
    return {month: dict(sorted(tiles.items())) for month, tiles in sorted(shares.items(), reverse=True) if tiles}


def rules_told(rules: Rules, today: dt.date) -> dict[str, Any]:
    """The rules as they stand today: what each says, its threshold, unit and sources."""
    return {"version": rules.version, "rules": [_rule(rule, today) for rule in rules.rules]}


def _rule(rule: Rule, today: dt.date) -> dict[str, Any]:
    term = rule.term_on(today)
    return {
        "code": rule.code,
        "kind": rule.kind.value,
        "fr": rule.title.fr,
        "en": rule.title.en,
        "explanation_fr": rule.explanation.fr,
        "explanation_en": rule.explanation.en,
        "reference": rule.reference,
        "unit": rule.unit.value,
        "threshold": None if term is None else term.threshold,
        "source": None if term is None else term.cited,
        "in_force": term is not None,
    }


def try_thresholds(database: Database, rules: Rules, thresholds: Mapping[str, float]) -> dict[str, Any]:
    """What other thresholds of the policy's criteria would change among the alerts that stand; nothing is written.

    Parameters
    ----------
    database
        The store.
    rules
        In force.
    thresholds
        New ones, by code of the criterion.

    Raises
    ------
    tiles.errors.NotFoundError
        When the policy has no such criterion.
    tiles.errors.InvalidParameterError
        When a threshold is no positive number.
    """
    other = _with_thresholds(rules, thresholds)
    counts = {code: {"now": _Tally(), "then": _Tally()} for code in thresholds}
    abusive = {"now": _Tally(), "then": _Tally()}
    changed, tried = [], 0
    for alert in islice(all_alerts(database, AlertFilter(sortby="-updated")), MOST_TRIED):
        tried += 1
        day = dt.date.fromisoformat(str(alert.properties["first_low"]))
        said = {"now": evaluate(alert.properties, rules, day), "then": evaluate(alert.properties, other, day)}
        for when, evaluation in said.items():
            abusive[when].add(evaluation.potentially_abusive)
            for criterion in evaluation.criteria:
                if criterion["code"] in counts:
                    counts[criterion["code"]][when].add(criterion["met"])
        if said["now"].potentially_abusive != said["then"].potentially_abusive:
            changed.append(alert.id)
    return {
        "alerts": tried,
        "all": tried < MOST_TRIED,
        "criteria": {code: {when: tally.told() for when, tally in each.items()} for code, each in counts.items()},
        "potentially_abusive": {when: tally.told() for when, tally in abusive.items()},
        "changed": len(changed),
        "changed_alerts": changed[:MOST_CHANGED],
    }


class _Tally:
    """How many alerts of each answer."""

    def __init__(self) -> None:
        self._counts: dict[bool | None, int] = {True: 0, False: 0, None: 0}

    def add(self, answer: bool | None) -> None:
        self._counts[answer] += 1

    def told(self) -> dict[str, int]:
        return {"yes": self._counts[True], "no": self._counts[False], "unknown": self._counts[None]}


def _with_thresholds(rules: Rules, thresholds: Mapping[str, float]) -> Rules:
    policy = {rule.code for rule in rules.of_kind(RuleKind.POLICY)}
    for code, threshold in thresholds.items():
        if code not in policy:
            raise NotFoundError(f"The policy has no criterion {code[:64]}: it has {', '.join(sorted(policy))}.")
        if not 0 < threshold < 1e6:
            raise InvalidParameterError(f"The threshold of {code} will not do: it is a number above 0.")
    changed = tuple(
        dataclasses.replace(
            rule, terms=tuple(dataclasses.replace(term, threshold=thresholds[rule.code]) for term in rule.terms)
        )
        if rule.code in thresholds and rule.kind is RuleKind.POLICY
        else rule
        for rule in rules.rules
    )
    return dataclasses.replace(rules, rules=changed)


def models_told(data_dir: Path) -> list[dict[str, Any]]:
    """The models that there are, and which is in use."""
    registry = Registry(data_dir)
    return [
        {
            "id": entry.id,
            "shipped": entry.is_shipped,
            "in_use": entry.card is not None and registry.in_use(entry.card.name) == entry,
            "problem": entry.problem,
            "made_on": None if entry.card is None else entry.card.made_on,
            "summary": None if entry.card is None else entry.card.summary,
        }
        for entry in registry.entries()
    ]
