"""What a rule is, the table of départements, and the version that names them all."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cached_property
from typing import Any

from detector.criteria.fields import Unit
from detector.criteria.formulas import THRESHOLD, Formula, Parameter

SEMANTICS = 1
"""Counts up when the same rules come to mean something else in the code; part of the version."""

_HASH_DIGITS = 8
_DEPARTEMENT = re.compile(r"0[1-9]|1[0-9]|2[1-9AB]|[3-8][0-9]|9[0-5]|97[12346]")


class RuleKind(StrEnum):
    """What a rule is for."""

    POLICY = "policy"
    """A criterion of the NGO: met or not."""
    LEGAL = "legal"
    """A text that may concern the cut: to be checked or not."""


class Scope(StrEnum):
    """Where a rule counts."""

    NATIONAL = "national"
    DEPARTEMENT = "departement"
    """Everywhere, with a threshold of each département's own."""


@dataclass(frozen=True)
class Words:
    """A text in two languages."""

    fr: str
    en: str

    def of(self, lang: str) -> str:
        """In French (``fr``) or English (``en``)."""
        return self.fr if lang == "fr" else self.en


@dataclass(frozen=True)
class Source:
    """Where a rule comes from.

    Parameters
    ----------
    text
        What the text is, as one cites it.
    article
        Of a code or law.
    date
        Of the text; None where it is not known.
    url
        Where it can be read.
    """

    text: str
    article: str | None = None
    date: date | None = None
    url: str | None = None

    @property
    def citation(self) -> str:
        """As one cites it, without its address."""
        parts = (self.text, self.article and f"art. {self.article}", self.date and self.date.isoformat())
        return ", ".join(part for part in parts if part)

    def __str__(self) -> str:
        return self.citation if self.url is None else f"{self.citation}, {self.url}"


@dataclass(frozen=True)
class Period:
    """Days on which something is in force, both ends included; None is open.

    Parameters
    ----------
    first, last
        First and last day.
    """

    first: date | None = None
    last: date | None = None

    def holds(self, day: date) -> bool:
        """Whether a day lies in it."""
        return (self.first is None or self.first <= day) and (self.last is None or day <= self.last)

    def overlaps(self, other: Period) -> bool:
        """Whether a day lies in both."""
        first = max(self.first or date.min, other.first or date.min)
        return first <= min(self.last or date.max, other.last or date.max)


@dataclass(frozen=True)
class Term:
    """What a rule says in a period.

    Parameters
    ----------
    period
        When.
    sources
        At least one.
    threshold
        In the rule's unit; None where each département has its own.
    massif_threshold
        Area of the massif (ha) from which the rule counts, for a département.
    formula
        In place of the rule's own.
    """

    period: Period
    sources: tuple[Source, ...]
    threshold: float | None = None
    massif_threshold: float | None = None
    formula: Formula | None = None

    @cached_property
    def cited(self) -> str:
        """Its sources in one line, without addresses: short, as each alert carries it."""
        return "; ".join(source.citation for source in self.sources)


@dataclass(frozen=True)
class Rule:
    """A rule.

    Parameters
    ----------
    code
        Short name, unique.
    kind, scope
        What it is for, and where it counts.
    title, explanation
        For a reader who is no lawyer.
    check
        What is to be checked on the ground, at the DDT(M) or elsewhere; as many in either language.
    reference
        The text, as a lawyer finds it; None for a policy.
    unit
        Of the threshold, and of the field beside it.
    formula
        When the criterion is met, or the point is to be checked.
    ruled_out_by
        What makes a legal point not applicable, if it is known.
    terms
        What it says, period by period, oldest first; no two overlap.
    """

    code: str
    kind: RuleKind
    scope: Scope
    title: Words
    explanation: Words
    check: tuple[Words, ...]
    reference: str | None
    unit: Unit
    formula: Formula
    ruled_out_by: Formula | None
    terms: tuple[Term, ...]

    @cached_property
    def field(self) -> str:
        """The field that the formula sets beside the threshold."""
        return threshold_fields(self.formula)[0]

    def term_on(self, day: date) -> Term | None:
        """What it says on a day; None where it is not in force."""
        return next((term for term in self.terms if term.period.holds(day)), None)


@dataclass(frozen=True)
class DepartementRow:
    """The thresholds of a département under a rule.

    Parameters
    ----------
    rule
        Code of the rule.
    departement
        INSEE code, such as ``21`` or ``2A``.
    name
        Of the département.
    terms
        As of `Rule`.
    """

    rule: str
    departement: str
    name: str
    terms: tuple[Term, ...]

    def term_on(self, day: date) -> Term | None:
        """What counts there on a day; None where that is not known."""
        return next((term for term in self.terms if term.period.holds(day)), None)


@dataclass(frozen=True)
class Rules:
    """All rules, policy first, each kind by code; and the départements, by rule and code.

    Parameters
    ----------
    label
        Readable part of the version.
    rules
        The rules.
    departements
        The table of départements.
    """

    label: str
    rules: tuple[Rule, ...]
    departements: tuple[DepartementRow, ...]

    @cached_property
    def version(self) -> str:
        """Label and a digest of the content: another content has another version."""
        content = json.dumps([SEMANTICS, self.as_plain()], ensure_ascii=False, sort_keys=True)
        return f"{self.label}-{hashlib.sha256(content.encode()).hexdigest()[:_HASH_DIGITS]}"

    def of_kind(self, kind: RuleKind) -> tuple[Rule, ...]:
        """Policy criteria, or legal points, by code."""
        return tuple(rule for rule in self.rules if rule.kind is kind)

    def row(self, rule: str, departement: str) -> DepartementRow | None:
        """What a département says under a rule; None where that is not known."""
        return self._rows.get((rule, departement))

    @cached_property
    def _rows(self) -> Mapping[tuple[str, str], DepartementRow]:
        return {(row.rule, row.departement): row for row in self.departements}

    def as_plain(self) -> dict[str, Any]:
        """The whole content, as JSON has it."""
        return {
            "label": self.label,
            "rules": [_plain_rule(rule) for rule in self.rules],
            "departements": [
                {
                    "rule": row.rule,
                    "departement": row.departement,
                    "name": row.name,
                    "in_force": [_plain_term(term) for term in row.terms],
                }
                for row in self.departements
            ],
        }


def is_departement(code: str) -> bool:
    """Whether a code is one of the 101 départements: INSEE, ``01`` to ``95``, ``2A``, ``2B``, ``971`` to ``976``."""
    return _DEPARTEMENT.fullmatch(code) is not None


def threshold_fields(formula: Formula) -> tuple[str, ...]:
    """Fields that a formula compares with the threshold, from left to right."""
    return tuple(found.field for found in formula.comparisons if found.right == Parameter(THRESHOLD))


def _plain_rule(rule: Rule) -> dict[str, Any]:
    return {
        "code": rule.code,
        "kind": rule.kind.value,
        "scope": rule.scope.value,
        "reference": rule.reference,
        "title": {"fr": rule.title.fr, "en": rule.title.en},
        "explanation": {"fr": rule.explanation.fr, "en": rule.explanation.en},
        "check": {"fr": [words.fr for words in rule.check], "en": [words.en for words in rule.check]},
        "formula": rule.formula.text,
        "ruled_out_by": None if rule.ruled_out_by is None else rule.ruled_out_by.text,
        "unit": rule.unit.value,
        "in_force": [_plain_term(term) for term in rule.terms],
    }


def _plain_term(term: Term) -> dict[str, Any]:
    return {
        "from": _iso(term.period.first),
        "to": _iso(term.period.last),
        "threshold": term.threshold,
        "massif_threshold": term.massif_threshold,
        "formula": None if term.formula is None else term.formula.text,
        "sources": [
            {"text": source.text, "article": source.article, "date": _iso(source.date), "url": source.url}
            for source in term.sources
        ],
    }


def _iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
