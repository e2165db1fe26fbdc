"""An alert's fields and the rules of its day: which criteria it meets, and what is to be checked.

The day is that of the cut, the first date on which the forest was seen gone: rules count that were in force then.

**Policy.** `potentially_abusive` says: a confirmed loss, by harvest, that meets a criterion. Each of the three may be
unknown, and the answer is given where it is the same whatever the unknown turns out to be (Kleene's logic)::

    confirmed?  confirmed: yes            provisional, or not said: unknown
    harvest?    harvest: yes              uncertain, or not said: unknown    any other cause: no
    criterion?  one is met: yes           none, and all are known: no        none, but some are unknown: unknown

So it is False where all criteria are known and none is met, or the cause is another than harvest; True for a confirmed
harvest that meets one; and None for a provisional or uncertain alert that meets one: a person, or the next month,
decides. What each criterion says (`met`) is of the ground alone, whatever the cause.

**Law.** A point is `to_check`, `not_applicable` or `unknown`, and never a verdict. It is not applicable where its
condition is not met, something known rules it out, it was not in force, or the loss is no harvest. It is unknown
where a field or the département's threshold is not known.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from detector.criteria.fields import Value, read_fields
from detector.criteria.formulas import MASSIF_THRESHOLD, THRESHOLD, all_of, any_of
from detector.criteria.rules import Rule, RuleKind, Rules, Scope, Term

if TYPE_CHECKING:
    from detector.alerts import Alert

CONFIRMED, HARVEST, UNCERTAIN = "confirmed", "harvest", "uncertain"
"""Values of the fields `state` and `cause` that are told apart here."""


class LegalStatus(StrEnum):
    """What is known of a legal point."""

    TO_CHECK = "to_check"
    NOT_APPLICABLE = "not_applicable"
    UNKNOWN = "unknown"


class Because(StrEnum):
    """Why a legal point has its status."""

    CONDITION_MET = "condition_met"
    CONDITION_NOT_MET = "condition_not_met"
    RULED_OUT = "ruled_out"
    NOT_IN_FORCE = "not_in_force"
    NO_HARVEST = "no_harvest"
    FIELD_UNKNOWN = "field_unknown"
    THRESHOLD_UNKNOWN = "threshold_unknown"
    """No threshold of the département is known for that day."""


@dataclass(frozen=True)
class Evaluation:
    """What the rules say of an alert; plain mappings, as the alert carries them.

    Parameters
    ----------
    criteria
        By code: ``code``, ``value``, ``threshold``, ``unit``, ``met`` (True, False, None), ``source``.
    legal_points
        By code: ``code``, ``status``, ``because``, ``reference``, ``value``, ``threshold``, ``unit``, ``missing`` (the
        fields that would decide), ``source``.
    potentially_abusive
        See the module.
    rules_version
        Of the rules that said it.
    """

    criteria: tuple[Mapping[str, Any], ...]
    legal_points: tuple[Mapping[str, Any], ...]
    potentially_abusive: bool | None
    rules_version: str

    @classmethod
    def of_properties(cls, properties: Mapping[str, Any]) -> Self:
        """What the properties of a published alert say: the reverse of `as_properties`."""
        return cls(
            tuple(properties["criteria"]),
            tuple(properties["legal_points"]),
            properties["potentially_abusive"],
            properties["rules_version"],
        )

    def as_properties(self) -> dict[str, Any]:
        """As properties of the alert."""
        return {
            "potentially_abusive": self.potentially_abusive,
            "criteria": [dict(criterion) for criterion in self.criteria],
            "legal_points": [dict(point) for point in self.legal_points],
            "rules_version": self.rules_version,
        }


def evaluate(fields: Mapping[str, Any], rules: Rules, on: date) -> Evaluation:
    """Say what the rules say of an alert.

    Parameters
    ----------
    fields
        Of the alert, by the names of `detector.criteria.fields.FIELDS`, or its published properties; what is absent or
        null is not known.
    rules
        The rules.
    on
        Day of the cut: the alert's first low date.

    Raises
    ------
    tiles.errors.InvalidParameterError
        When a field is not of its kind.
    """
    values = read_fields(fields)
    criteria = tuple(
        _criterion(rule, term, values)
        for rule in rules.of_kind(RuleKind.POLICY)
        if (term := rule.term_on(on)) is not None
    )
    points = tuple(_legal_point(rule, rules, values, on) for rule in rules.of_kind(RuleKind.LEGAL))
    abusive = all_of((_is_confirmed(values), _is_harvest(values), any_of(one["met"] for one in criteria)))
    return Evaluation(criteria, points, abusive, rules.version)


def judged(alert: Alert, rules: Rules) -> Alert:
    """An alert with what the rules say of it, on its first low date.

    Raises
    ------
    tiles.errors.InvalidParameterError
        As of `evaluate`.
    """
    fields = {field.name: getattr(alert, field.name) for field in dataclasses.fields(alert)}
    said = evaluate(fields, rules, alert.first_low)
    return dataclasses.replace(
        alert,
        potentially_abusive=said.potentially_abusive,
        criteria=said.criteria,
        legal_points=said.legal_points,
        rules_version=said.rules_version,
    )


def _is_confirmed(values: Mapping[str, Value]) -> bool | None:
    return True if values["state"] == CONFIRMED else None


def _is_harvest(values: Mapping[str, Value]) -> bool | None:
    cause = values["cause"]
    return None if cause in (None, UNCERTAIN) else cause == HARVEST


def _criterion(rule: Rule, term: Term, values: Mapping[str, Value]) -> dict[str, Any]:
    formula = term.formula or rule.formula
    return {
        "code": rule.code,
        "value": values[rule.field],
        "threshold": term.threshold,
        "unit": rule.unit.value,
        "met": formula.answer({**values, THRESHOLD: term.threshold, MASSIF_THRESHOLD: term.massif_threshold}),
        "source": term.cited,
    }


def _legal_point(rule: Rule, rules: Rules, values: Mapping[str, Value], on: date) -> dict[str, Any]:
    national = rule.term_on(on)
    term = national
    if national is not None and rule.scope is Scope.DEPARTEMENT:
        departement = values["departement"]
        row = rules.row(rule.code, departement) if isinstance(departement, str) else None
        term = None if row is None else row.term_on(on)
    status, because, missing = _judged(rule, national, term, values)
    shown = term or national
    return {
        "code": rule.code,
        "status": status.value,
        "because": because.value,
        "reference": rule.reference,
        "value": values[rule.field],
        "threshold": None if term is None else term.threshold,
        "unit": rule.unit.value,
        "missing": list(missing),
        "source": None if shown is None else shown.cited,
    }


def _judged(
    rule: Rule, national: Term | None, term: Term | None, values: Mapping[str, Value]
) -> tuple[LegalStatus, Because, tuple[str, ...]]:
    """Status, why, and the fields that would decide."""
    if national is None:
        return LegalStatus.NOT_APPLICABLE, Because.NOT_IN_FORCE, ()
    if _is_harvest(values) is False:
        return LegalStatus.NOT_APPLICABLE, Because.NO_HARVEST, ()
    known = dict(values)
    if term is not None:
        known |= {THRESHOLD: term.threshold, MASSIF_THRESHOLD: term.massif_threshold}
    if rule.ruled_out_by is not None and rule.ruled_out_by.answer(known):
        return LegalStatus.NOT_APPLICABLE, Because.RULED_OUT, ()
    if term is None:
        missing = ("departement",) if values["departement"] is None else ()
        return LegalStatus.UNKNOWN, Because.FIELD_UNKNOWN if missing else Because.THRESHOLD_UNKNOWN, missing
    formula = term.formula or rule.formula
    answer = formula.answer(known)
    if answer is None:
        return LegalStatus.UNKNOWN, Because.FIELD_UNKNOWN, formula.missing(known)
    if answer:
        return LegalStatus.TO_CHECK, Because.CONDITION_MET, ()
    return LegalStatus.NOT_APPLICABLE, Because.CONDITION_NOT_MET, ()
