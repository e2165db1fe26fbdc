"""Rules from TOML files, checked: what will not do is refused with a sentence that names the file and the code."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from detector.criteria.fields import FIELDS, Unit
from detector.criteria.formulas import Formula, FormulaError, parse
from detector.criteria.rules import (
    DepartementRow,
    Period,
    Rule,
    RuleKind,
    Rules,
    Scope,
    Source,
    Term,
    Words,
    is_departement,
    threshold_fields,
)
from tiles.errors import RulesError

SHIPPED = Path(__file__).parent
"""Folder of the rules that come with Sylvigie."""

_CODE, _LABEL = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,39}"), re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_Member = TypeVar("_Member", bound=StrEnum)
_Found = dict[Any, tuple["_Table", Any]]


def load_rules(path: Path | None = None) -> Rules:
    """The rules that come with Sylvigie, with those of a user in their place or beside them.

    Parameters
    ----------
    path
        A TOML file of the user's, or a folder of such. A rule that has the code of a shipped one replaces the keys that
        it gives; one with ``enabled = false`` is left out; a row of the départements replaces the shipped one whole.

    Returns
    -------
    rules
        Policy criteria before legal points, each by code.

    Raises
    ------
    tiles.errors.RulesError
        When a file cannot be read, or a rule will not do: the sentence names the file and the code.
    """
    rules, rows, label = _read(sorted(SHIPPED.glob("*.toml")))
    if path is not None:
        own_rules, own_rows, own_label = _read(_files(path))
        for code, table in own_rules.items():
            shipped = rules.get(code)
            rules[code] = table if shipped is None else table.over(shipped)
        rows |= own_rows
        label = f"{label}-{own_label or 'local'}"
    made = [_rule(table) for table in rules.values() if table.flag("enabled", True)]
    # The rows of a rule that is left out stay valid, and are of no use.
    known = {rule.code: rule for rule in made}
    shown = [_row(table, known) for table in rows.values() if not _is_left_out(table, rules)]
    return Rules(
        label or "unnamed",
        tuple(sorted(made, key=lambda rule: (rule.kind is RuleKind.LEGAL, rule.code))),
        tuple(sorted(shown, key=lambda row: (row.rule, row.departement))),
    )


def _is_left_out(row: _Table, rules: Mapping[str, _Table]) -> bool:
    rule = rules.get(row.text("rule"))
    return rule is not None and not rule.flag("enabled", True)


def _files(path: Path) -> list[Path]:
    files = sorted(path.glob("*.toml")) if path.is_dir() else [path]
    if not files:
        raise RulesError(f"{path} holds no file of rules: give a folder with .toml files in it, or such a file.")
    return files


def _read(files: Sequence[Path]) -> tuple[dict[str, _Table], dict[tuple[str, str], _Table], str | None]:
    """Tables of rules by code, of départements by rule and département, and the label."""
    rules: dict[str, _Table] = {}
    rows: dict[tuple[str, str], _Table] = {}
    label: str | None = None
    for file in files:
        top = _Table(_parse(file), file, "the file")
        top.only({"version", "rule", "departement"})
        written = top.optional_text("version")
        if written is not None:
            if _LABEL.fullmatch(written) is None:
                raise top.wrong(f"has the version {written!r}: use letters, digits, points and dashes")
            label = written
        for number, values in enumerate(top.tables("rule"), 1):
            table = _Table(values, file, f"rule {values.get('code', f'number {number}')}")
            code = table.text("code")
            if code in rules:
                raise table.wrong(f"is there twice, here and in {rules[code].file.name}: keep one of them")
            rules[code] = table
        for number, values in enumerate(top.tables("departement"), 1):
            name = f"{values.get('rule', '?')} of département {values.get('departement', f'number {number}')}"
            table = _Table(values, file, name)
            key = table.text("rule"), table.text("departement")
            if key in rows:
                raise table.wrong(f"is there twice, here and in {rows[key].file.name}: keep one of them")
            rows[key] = table
    return rules, rows, label


def _parse(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as opened:
            return tomllib.load(opened)
    except OSError as error:
        raise RulesError(f"The rules {file} cannot be read ({error.strerror or error}): check the path.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RulesError(f"The rules {file} are no TOML ({error}): mend that line.") from error


class _Table:
    """A table of a file; what is asked of it is checked, and it knows where it stands."""

    def __init__(self, values: Mapping[str, Any], file: Path, name: str) -> None:
        self.values, self.file, self.name = values, file, name

    def wrong(self, what: str) -> RulesError:
        """The error that tells it."""
        return RulesError(f"{self.file}: {self.name} {what}.")

    def over(self, other: _Table) -> _Table:
        """The same, with the keys of another where it has none."""
        return _Table({**other.values, **self.values}, self.file, self.name)

    def inner(self, values: Mapping[str, Any]) -> _Table:
        """A table inside, which is told by the same name."""
        return _Table(values, self.file, self.name)

    def only(self, known: set[str]) -> None:
        """Refuse keys that mean nothing."""
        unknown = sorted(set(self.values) - known)
        if unknown:
            raise self.wrong(f"has {unknown[0]!r}, which means nothing there (known: {', '.join(sorted(known))})")

    def text(self, key: str) -> str:
        """A text that must be there."""
        value = self.optional_text(key)
        if value is None:
            raise self.wrong(f"has no {key}: give it")
        return value

    def optional_text(self, key: str) -> str | None:
        """A text, or nothing."""
        value: str | None = self._typed(key, str, "a text that is not empty", lambda value: bool(value.strip()))
        return value

    def number(self, key: str) -> float | None:
        """A number that is not negative, or nothing."""
        value = self._typed(key, int | float, "a number, zero or more", lambda n: math.isfinite(n) and n >= 0)
        return None if value is None else float(value)

    def day(self, key: str) -> date | None:
        """A date, or nothing."""
        value: date | None = self._typed(
            key, date, "a date such as 2023-07-12", lambda value: not isinstance(value, datetime)
        )
        return value

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self.values.get(key, default)
        if not isinstance(value, bool):
            raise self.wrong(f"has {key} = {value!r}, which should be true or false")
        return value

    def member(self, key: str, members: type[_Member]) -> _Member:
        """One of an enumeration, which must be there."""
        value = self.text(key)
        if value not in list(members):
            raise self.wrong(f"has the {key} {value!r}, which is none of {', '.join(members)}")
        return members(value)

    def tables(self, key: str) -> list[Mapping[str, Any]]:
        """Tables under a key; none where it is absent."""
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.wrong(f"has {key} that is no list of tables")
        return value

    def words(self, key: str) -> Words:
        """A text in French and English."""
        inner = self._pair(key)
        return Words(inner.text("fr"), inner.text("en"))

    def list_of_words(self, key: str) -> tuple[Words, ...]:
        """Texts in French and English, as many of either."""
        inner = self._pair(key).values
        for lang in ("fr", "en"):
            texts = inner.get(lang)
            if not isinstance(texts, list) or not texts or not all(isinstance(t, str) and t.strip() for t in texts):
                raise self.wrong(f"has no list of texts {key}.{lang}: say what is to be checked")
        if len(inner["fr"]) != len(inner["en"]):
            raise self.wrong(f"has {len(inner['fr'])} {key}.fr and {len(inner['en'])} {key}.en: give as many of either")
        return tuple(Words(fr, en) for fr, en in zip(inner["fr"], inner["en"], strict=True))

    def formula(self, key: str) -> Formula | None:
        """A formula, or nothing."""
        text = self.optional_text(key)
        try:
            return None if text is None else parse(text)
        except FormulaError as error:
            raise self.wrong(f"has a {key}, {text!r}, that {error}") from error

    def _pair(self, key: str) -> _Table:
        value = self.values.get(key)
        if not isinstance(value, dict):
            raise self.wrong(f"has no {key} in fr and en: give it")
        inner = _Table(value, self.file, f"{self.name}, {key},")
        inner.only({"fr", "en"})
        return inner

    def _typed(self, key: str, kind: Any, wanted: str, is_good: Callable[[Any], bool]) -> Any:
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, kind) or isinstance(value, bool) or not is_good(value):
            raise self.wrong(f"has {key} = {value!r}, which should be {wanted}")
        return value


_RULE_KEYS = {
    *("code", "kind", "scope", "reference", "title", "explanation", "check"),
    *("unit", "formula", "ruled_out_by", "in_force", "enabled"),
}


def _rule(table: _Table) -> Rule:
    table.only(_RULE_KEYS)
    code = table.text("code")
    if _CODE.fullmatch(code) is None:
        raise table.wrong("has a code that will not do: begin with a letter, go on with letters, digits, . _ -")
    kind, scope = table.member("kind", RuleKind), table.member("scope", Scope)
    formula, unit = table.formula("formula"), table.member("unit", Unit)
    if formula is None:
        raise table.wrong("has no formula: give it")
    _check_unit(table, formula, unit)
    reference = table.optional_text("reference")
    if kind is RuleKind.LEGAL and reference is None:
        raise table.wrong("has no reference: name the article")
    if kind is RuleKind.POLICY and (scope is Scope.DEPARTEMENT or "ruled_out_by" in table.values):
        raise table.wrong("is a policy, which is national and is not ruled out by anything")
    terms = _terms(table, needs_threshold=scope is Scope.NATIONAL, unit=unit)
    return Rule(
        code=code,
        kind=kind,
        scope=scope,
        title=table.words("title"),
        explanation=table.words("explanation"),
        check=table.list_of_words("check"),
        reference=reference,
        unit=unit,
        formula=formula,
        ruled_out_by=table.formula("ruled_out_by"),
        terms=terms,
    )


def _row(table: _Table, rules: Mapping[str, Rule]) -> DepartementRow:
    table.only({"rule", "departement", "name", "in_force"})
    rule = rules.get(table.text("rule"))
    if rule is None or rule.scope is not Scope.DEPARTEMENT:
        known = sorted(rule.code for rule in rules.values() if rule.scope is Scope.DEPARTEMENT)
        raise table.wrong(f"is of a rule that has no thresholds of départements (those that have: {', '.join(known)})")
    departement = table.text("departement")
    if not is_departement(departement):
        raise table.wrong("is of none of the départements: give the INSEE code, such as '01', '2A' or '974'")
    terms = _terms(table, needs_threshold=True, unit=rule.unit)
    return DepartementRow(rule.code, departement, table.text("name"), terms)


def _terms(table: _Table, needs_threshold: bool, unit: Unit) -> tuple[Term, ...]:
    terms = [_term(table.inner(values), needs_threshold, unit) for values in table.tables("in_force")]
    if not terms:
        raise table.wrong("has no in_force: say from when on it counts, and by which source")
    terms.sort(key=lambda term: term.period.first or date.min)
    for earlier, later in pairwise(terms):
        if earlier.period.overlaps(later.period):
            raise table.wrong(
                f"has two periods that overlap, {_told(earlier.period)} and {_told(later.period)}: end one before the "
                "other begins"
            )
    return tuple(terms)


def _term(table: _Table, needs_threshold: bool, unit: Unit) -> Term:
    table.only({"from", "to", "threshold", "massif_threshold", "formula", "sources"})
    period = Period(table.day("from"), table.day("to"))
    if period.first is not None and period.last is not None and period.last < period.first:
        raise table.wrong(f"has a period that ends before it begins, {_told(period)}")
    threshold, formula = table.number("threshold"), table.formula("formula")
    if needs_threshold and threshold is None:
        raise table.wrong("has no threshold: give it")
    if not needs_threshold and threshold is not None:
        raise table.wrong("has a threshold for the whole country, where each département has its own")
    if formula is not None:
        _check_unit(table, formula, unit)
    sources = tuple(_source(table.inner(values)) for values in table.tables("sources"))
    if not sources:
        raise table.wrong("has no source: say which text it rests on")
    return Term(period, sources, threshold, table.number("massif_threshold"), formula)


def _source(table: _Table) -> Source:
    table.only({"text", "article", "date", "url"})
    url = table.optional_text("url")
    if url is not None and not url.startswith(("https://", "http://")):
        raise table.wrong(f"has a source with the address {url!r}, which is none of the web")
    return Source(table.text("text"), table.optional_text("article"), table.day("date"), url)


def _check_unit(table: _Table, formula: Formula, unit: Unit) -> None:
    compared = threshold_fields(formula)
    if not compared:
        raise table.wrong(f"has a formula, {formula.text!r}, that sets no field beside the threshold")
    for name in compared:
        field_unit = FIELDS[name].unit
        if field_unit is not unit:
            raise table.wrong(f"has the unit {unit}, but its field {name} is in {field_unit}")


def _told(period: Period) -> str:
    return f"{period.first or '...'} to {period.last or '...'}"
