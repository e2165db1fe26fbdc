"""The page docs/criteria.md, out of the rules: French first, English after, for every rule and every field."""

from __future__ import annotations

from collections.abc import Iterator

from detector.criteria.fields import FIELDS, Origin
from detector.criteria.rules import DepartementRow, Rule, RuleKind, Rules, Scope, Source, Term
from scripts.rules_words import Lang, amount, colon, in_words, period_words, word

_HEAD = """# Critères et points de droit · Criteria and legal points

This page is made from `detector/criteria/*.toml`; do not edit it. `python -m scripts.rules_page > docs/criteria.md`
writes it, and a test compares the two.

**Un critère est le choix d'une association, pas la loi.** Une coupe rase confirmée, due à une récolte, qui atteint un
critère est « potentiellement abusive ». **Un point de droit est un texte qui peut concerner la coupe.** Il est « à
vérifier », « sans objet » ou « inconnu », et jamais un verdict : une personne vérifie. Ce qui n'est pas connu n'est
jamais compté pour zéro.

**A criterion is the choice of an NGO, not the law.** A confirmed clear-cut by harvest that meets one is "potentially
abusive". **A legal point is a text that may concern the cut.** It is "to check", "not applicable" or "unknown", and
never a verdict: a person checks. What is not known never counts as zero.

Those rules count that were in force on the day of the cut, the alert's `first_low`.

| `potentially_abusive` | a criterion is met | none is met, all are known | none is met, some are unknown |
|---|---|---|---|
| confirmed, cause harvest | true | false | null |
| provisional, or cause uncertain or unknown | null | false | null |
| cause fire, storm, dieback, not forest | false | false | false |
"""

_OWN = """
## Rules of your own

`--rules FOLDER` (or a file) lays your rules over the shipped ones. A rule with the code of a shipped one replaces the
keys that it gives; `enabled = false` leaves it out; a new code adds one and needs all keys. A département's row
replaces the shipped one whole. `sylvigie rules check --rules FOLDER` says what will not do.

```toml
version = "mon-association"

[[rule]]
code = "area"
[[rule.in_force]]
threshold = 5
sources = [{ text = "Charte de mon association, 2026" }]

[[departement]]
rule = "L124-5"
departement = "33"
name = "Gironde"
[[departement.in_force]]
threshold = 4                # an example: put the figure of the prefect's order
from = 2020-01-01
sources = [{ text = "Arrêté préfectoral du ...", article = "L124-5", date = 2020-01-01 }]
```

A formula compares fields with numbers, texts in single quotes or `threshold`, and joins comparisons by `and`, `or`,
`not` and parentheses. An unknown field leaves the answer unknown unless the others decide it.
"""


def page(rules: Rules) -> str:
    """The whole page."""
    lines = [_HEAD]
    for kind in RuleKind:
        lines += [f"## {word(kind.value, Lang.FR)} · {word(kind.value, Lang.EN)}", ""]
        for rule in rules.of_kind(kind):
            lines += [*_rule(rule, rules), ""]
    lines += ["## Champs · Fields", "", *_fields(), _OWN]
    return "\n".join(lines)


def _rule(rule: Rule, rules: Rules) -> Iterator[str]:
    yield f"### `{rule.code}` {rule.title.fr} · {rule.title.en}"
    if rule.reference is not None:
        yield from ("", f"**{rule.reference}**")
    for lang in Lang:
        yield from ("", rule.explanation.of(lang), "")
        condition = word("met_if" if rule.kind is RuleKind.POLICY else "check_if", lang)
        for term in rule.terms:
            yield f"- {condition}{colon(lang)}{_when(rule, term, lang)}"
        if rule.ruled_out_by is not None:
            yield f"- {word('ruled_out_if', lang)}{colon(lang)}{in_words(rule.ruled_out_by, None, lang)}"
        yield f"- {word('to_look_at', lang)}{colon(lang).rstrip()}"
        yield from (f"  - {words.of(lang)}" for words in rule.check)
    yield from ("", f"Formula: `{rule.formula.text}`", "", "Sources:")
    yield from dict.fromkeys(f"- {_link(source)}" for term in rule.terms for source in term.sources)
    if rule.scope is Scope.DEPARTEMENT:
        yield from ("", "| département | à vérifier si | sources |", "|---|---|---|")
        yield from (_row(row, rule) for row in rules.departements if row.rule == rule.code)
        yield from ("", f"{word('elsewhere', Lang.FR)} {word('elsewhere', Lang.EN)}")


def _when(rule: Rule, term: Term, lang: Lang) -> str:
    return f"{in_words(term.formula or rule.formula, term, lang)} ({period_words(term.period, lang)})"


def _row(row: DepartementRow, rule: Rule) -> str:
    conditions, sources = [], []
    for term in row.terms:
        massif = ""
        if term.massif_threshold is not None:
            massif = ", " + word("massif_of", Lang.FR, amount(term.massif_threshold, "ha", Lang.FR))
        conditions.append(
            f"{in_words(term.formula or rule.formula, term, Lang.FR)}{massif} ({period_words(term.period, Lang.FR)})"
        )
        sources += [_link(source) for source in term.sources]
    return f"| {row.departement} {row.name} | {'; '.join(conditions)} | {'; '.join(sources)} |"


def _link(source: Source) -> str:
    return source.citation if source.url is None else f"[{source.citation}]({source.url})"


_ORIGINS = {Origin.SCAN: "imagery", Origin.CONTEXT: "reference layers", Origin.PERSON: "a person enters it"}


def _fields() -> Iterator[str]:
    yield from ("| field | unit | français | English | from |", "|---|---|---|---|---|")
    for field in FIELDS.values():
        unit = field.unit.value if field.unit else "-"
        yield f"| `{field.name}` | {unit} | {field.fr} | {field.en} | {_ORIGINS[field.origin]} |"


if __name__ == "__main__":
    from detector.criteria.loading import load_rules

    print(page(load_rules()), end="")
