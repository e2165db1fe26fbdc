"""Rules, and what they say of an alert, as lines for a reader at a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from detector.criteria.fields import FIELDS, Value
from detector.criteria.kept import Said
from detector.criteria.rules import DepartementRow, Rule, RuleKind, Rules, Scope
from scripts.rules_words import WORDS, Lang, amount, colon, day, in_words, period_words, word, wrapped


def show_lines(rules: Rules, chosen: Sequence[Rule], departement: str | None, lang: Lang) -> Iterator[str]:
    """Rules, for a reader at a terminal.

    Parameters
    ----------
    rules
        All of them.
    chosen
        Those to show.
    departement
        Whose thresholds to show; all that are known where None.
    lang
        Language.
    """
    yield f"{word('rules', lang)} {rules.version}"
    for kind in RuleKind:
        of_kind = [rule for rule in chosen if rule.kind is kind]
        if of_kind:
            yield from ("", word(kind.value, lang).upper())
        for rule in of_kind:
            yield ""
            yield f"{rule.code}  {rule.title.of(lang)}" + (f"  [{rule.reference}]" if rule.reference else "")
            yield from wrapped(rule.explanation.of(lang), "  ")
            for line in _rule_body(rule, rules, departement, lang):
                yield from wrapped(line, "  ", "    ")


def _rule_body(rule: Rule, rules: Rules, departement: str | None, lang: Lang) -> Iterator[str]:
    condition = word("met_if" if rule.kind is RuleKind.POLICY else "check_if", lang)
    for term in rule.terms:
        formula = term.formula or rule.formula
        yield f"{condition}{colon(lang)}{in_words(formula, term, lang)} ({period_words(term.period, lang)})"
        yield from (f"{word('source', lang)}{colon(lang)}{source}" for source in term.sources)
    if rule.ruled_out_by is not None:
        yield f"{word('ruled_out_if', lang)}{colon(lang)}{in_words(rule.ruled_out_by, None, lang)}"
    if rule.scope is Scope.DEPARTEMENT:
        yield from _thresholds(rule, rules, departement, lang)
    yield f"{word('to_look_at', lang)}{colon(lang).rstrip()}"
    yield from (f"- {words.of(lang)}" for words in rule.check)


def _thresholds(rule: Rule, rules: Rules, departement: str | None, lang: Lang) -> Iterator[str]:
    if departement is not None:
        row = rules.row(rule.code, departement)
        if row is None:
            yield f"{departement}{colon(lang)}{word('no_row', lang)}"
        else:
            yield from _row_lines(row, rule, lang)
        return
    yield f"{word('thresholds', lang)}{colon(lang).rstrip()}"
    for row in rules.departements:
        if row.rule == rule.code:
            yield from _row_lines(row, rule, lang)
    yield word("elsewhere", lang)


def _row_lines(row: DepartementRow, rule: Rule, lang: Lang) -> Iterator[str]:
    for term in row.terms:
        formula = term.formula or rule.formula
        massif = ""
        if term.massif_threshold is not None:
            massif = ", " + word("massif_of", lang, amount(term.massif_threshold, "ha", lang))
        yield (
            f"- {row.name} ({row.departement}){colon(lang)}{in_words(formula, term, lang)}{massif} "
            f"({period_words(term.period, lang)})"
        )
        yield from (f"  {word('source', lang)}{colon(lang)}{source}" for source in term.sources)


def explain_lines(
    said: Said, earlier: Sequence[Said], rules: Rules, properties: Mapping[str, Any], lang: Lang
) -> Iterator[str]:
    """What the rules say of an alert, and what other versions of them said.

    Parameters
    ----------
    said
        By the rules.
    earlier
        By other versions.
    rules
        The rules.
    properties
        Of the alert, as published.
    lang
        Language.
    """
    fields, evaluation = said.fields, said.evaluation
    place = ", ".join(str(part) for part in (properties.get("commune"), properties.get("departement")) if part)
    yield f"{word('alert', lang)} {said.alert_id}" + (f" ({place})" if place else "")
    yield f"  {word('area', lang)}{colon(lang)}{amount(fields.get('area_ha'), 'ha', lang)}"
    yield f"  {word('cut_on', lang)} {day(said.cut_on, lang)}"
    yield f"  {word('state', lang)}{colon(lang)}{_named(fields.get('state'), lang)}"
    yield f"  {word('cause', lang)}{colon(lang)}{_named(fields.get('cause'), lang)}"
    for reason in properties.get("cause_reasons") or ():
        held = _held(reason, lang)
        yield from wrapped(f"- {reason[lang.value]}" + (f" ({held})" if held else ""), "      ", "        ")
    yield f"  {word('rules', lang)} {rules.version}"
    yield ""
    answer = amount(evaluation.potentially_abusive, None, lang)
    yield f"{word('abusive', lang)}{colon(lang)}{answer} ({', '.join(_why(said, lang))})"
    yield from ("", word("policy", lang).upper())
    by_code = {rule.code: rule for rule in rules.rules}
    for one in evaluation.criteria:
        yield from _judged_lines(
            by_code[one["code"]], _met(one["met"], lang), _measured(one, lang), one["source"], lang
        )
    yield from ("", word("legal", lang).upper())
    for point in evaluation.legal_points:
        rule = by_code[point["code"]]
        status = word(point["status"], lang)
        yield from _judged_lines(
            rule, status, f"{_measured(point, lang)} ({_because(point, lang)})", point["source"], lang
        )
        if point["status"] == "to_check":
            for words in rule.check:
                yield from wrapped(f"- {words.of(lang)}", "      ", "        ")
    yield from ("", word("addresses", lang))
    yield from ("", f"{word('earlier', lang)}{colon(lang).rstrip()}")
    if not earlier:
        yield f"  {word('never_said', lang)}"
    for old in earlier:
        yield from _earlier_lines(old, lang)


def _judged_lines(rule: Rule, status: str, measured: str, source: str | None, lang: Lang) -> Iterator[str]:
    reference = f"  [{rule.reference}]" if rule.reference else ""
    yield f"  {rule.code}  {rule.title.of(lang)}{colon(lang)}{status.upper()}{reference}"
    yield from wrapped(measured, "      ")
    if source is not None:
        yield from wrapped(f"{word('source', lang)}{colon(lang)}{source}", "      ", "        ")


def _earlier_lines(old: Said, lang: Lang) -> Iterator[str]:
    answer = amount(old.evaluation.potentially_abusive, None, lang)
    yield (
        f"  {old.evaluation.rules_version} ({word('said_on', lang, day(old.said_on, lang))}){colon(lang)}"
        f"{word('abusive', lang).lower()}{colon(lang)}{answer}"
    )
    for one in old.evaluation.criteria:
        yield f"      {one['code']}{colon(lang)}{_met(one['met'], lang)}, {_measured(one, lang)}"
    for point in old.evaluation.legal_points:
        yield f"      {point['code']}{colon(lang)}{word(point['status'], lang)}, {_measured(point, lang)}"


def _why(said: Said, lang: Lang) -> list[str]:
    """Why an alert is potentially abusive, is not, or nobody knows: after `detector.criteria.evaluation`."""
    evaluation, cause = said.evaluation, said.fields.get("cause")
    if evaluation.potentially_abusive:
        return [word("because_met", lang)]
    met = [one["met"] for one in evaluation.criteria]
    harvest = cause in (None, "uncertain", "harvest")
    if evaluation.potentially_abusive is False:
        return [word("because_none_met" if harvest else "because_no_harvest", lang)]
    reasons = []
    if True not in met:
        reasons.append("because_criteria_unknown")
    if said.fields.get("state") != "confirmed":
        reasons.append("because_provisional")
    if cause != "harvest":
        reasons.append("because_uncertain")
    return [word(reason, lang) for reason in reasons]


def _met(met: bool | None, lang: Lang) -> str:
    return word({True: "met", False: "not_met", None: "unknown"}[met], lang)


def _measured(one: Mapping[str, Any], lang: Lang) -> str:
    unit = one["unit"]
    return word("against", lang, amount(one["value"], unit, lang), amount(one["threshold"], unit, lang))


def _because(point: Mapping[str, Any], lang: Lang) -> str:
    return word(
        point["because"], lang, ", ".join(FIELDS[name].label(lang) for name in point["missing"] if name in FIELDS)
    )


def _held(reason: Mapping[str, Any], lang: Lang) -> str:
    """The number that decided a cause, and what it was held against; nothing where there is none."""
    if reason["value"] is None:
        return ""
    return word("against", lang, amount(reason["value"], None, lang), amount(reason["threshold"], None, lang))


def _named(value: Value, lang: Lang) -> str:
    if value is None:
        return word("not_said", lang)
    return word(value, lang) if isinstance(value, str) and value in WORDS else str(value)
