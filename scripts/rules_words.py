"""Words of the interface, French and English: numbers, dates, formulas and periods as people write them."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from datetime import date
from enum import StrEnum

from detector.criteria.fields import FIELDS, Field
from detector.criteria.formulas import Comparison, Formula, Joined, Node, Not, Parameter
from detector.criteria.rules import Period, Term


class Lang(StrEnum):
    """A language of the interface."""

    FR = "fr"
    EN = "en"


_WIDTH = 100
_SIGNS = {">=": "≥", "<=": "≤", ">": ">", "<": "<", "==": "=", "!=": "≠"}

WORDS: Mapping[str, tuple[str, str]] = {
    "rules": ("Règles", "Rules"),
    "policy": (
        "Critères : le choix d'une association, et non la loi",
        "Criteria: the choice of an NGO, and not the law",
    ),
    "legal": (
        "Points de droit : à vérifier par une personne, jamais un verdict",
        "Legal points: for a person to check, never a verdict",
    ),
    "met_if": ("Atteint si", "Met if"),
    "check_if": ("À vérifier si", "To be checked if"),
    "ruled_out_if": ("Sans objet si l'on sait", "Not applicable if known"),
    "in_force": ("En vigueur", "In force"),
    "always": ("sans date", "undated"),
    "since": ("depuis le {0}", "since {0}"),
    "until": ("jusqu'au {0}", "until {0}"),
    "between": ("du {0} au {1}", "from {0} to {1}"),
    "to_look_at": ("Ce qu'il faut vérifier", "What must be checked"),
    "source": ("Source", "Source"),
    "threshold": ("seuil du département", "threshold of the département"),
    "massif_threshold": ("seuil du massif", "threshold of the massif"),
    "thresholds": ("Seuils connus", "Known thresholds"),
    "no_row": ("seuil inconnu", "threshold unknown"),
    "elsewhere": ("Ailleurs : seuil inconnu, jamais zéro.", "Elsewhere: threshold unknown, never zero."),
    "massif_of": ("massif de plus de {0}", "massif of more than {0}"),
    "and": ("et", "and"),
    "or": ("ou", "or"),
    "not": ("non", "not"),
    "yes": ("oui", "yes"),
    "no": ("non", "no"),
    "unknown": ("inconnu", "unknown"),
    "not_said": ("pas encore connue", "not known yet"),
    "alert": ("Alerte", "Alert"),
    "area": ("Surface", "Area"),
    "cut_on": ("Coupe vue le", "Cut seen on"),
    "state": ("État", "State"),
    "cause": ("Cause", "Cause"),
    "abusive": ("Potentiellement abusive", "Potentially abusive"),
    "met": ("atteint", "met"),
    "not_met": ("non atteint", "not met"),
    "to_check": ("à vérifier", "to check"),
    "not_applicable": ("sans objet", "not applicable"),
    "against": ("{0}, seuil : {1}", "{0}, threshold: {1}"),
    "condition_not_met": ("condition non remplie", "condition not met"),
    "condition_met": ("condition remplie", "condition met"),
    "ruled_out": ("écarté par ce que l'on sait", "ruled out by what is known"),
    "not_in_force": ("pas en vigueur à cette date", "not in force on that date"),
    "no_harvest": ("la perte n'est pas une récolte", "the loss is no harvest"),
    "field_unknown": ("il manque : {0}", "missing: {0}"),
    "threshold_unknown": ("seuil du département inconnu à cette date", "the département's threshold is not known"),
    "confirmed": ("confirmée", "confirmed"),
    "provisional": ("provisoire", "provisional"),
    "harvest": ("récolte", "harvest"),
    "uncertain": ("incertaine", "uncertain"),
    "fire": ("feu", "fire"),
    "storm": ("tempête", "storm"),
    "dieback": ("dépérissement", "dieback"),
    "not_forest": ("hors forêt", "not forest"),
    "because_met": ("récolte confirmée, et critère atteint", "confirmed harvest, and a criterion is met"),
    "because_no_harvest": ("la perte n'est pas une récolte", "the loss is no harvest"),
    "because_none_met": ("aucun critère n'est atteint", "no criterion is met"),
    "because_criteria_unknown": ("des critères ne sont pas connus", "some criteria are not known"),
    "because_provisional": ("l'alerte n'est pas encore confirmée", "the alert is not confirmed yet"),
    "because_uncertain": ("la cause est incertaine, une personne décide", "the cause is uncertain, a person decides"),
    "earlier": ("Ce qui était dit sous d'autres versions", "What was said under other versions"),
    "addresses": (
        "Les adresses de ces textes : sylvigie rules show",
        "The addresses of these texts: sylvigie rules show --lang en",
    ),
    "never_said": ("rien", "nothing"),
    "said_on": ("dit le {0}", "said on {0}"),
}
"""Words of the interface, in French and English."""


def word(key: str, lang: Lang, *inserted: str) -> str:
    """A word of the interface."""
    return WORDS[key][0 if lang is Lang.FR else 1].format(*inserted)


def amount(value: object, unit: str | None, lang: Lang) -> str:
    """A value and its unit, as one writes it: ``6,5 ha`` in French; a word where it is not known."""
    if value is None:
        return word("unknown", lang)
    if isinstance(value, bool):
        return word("yes" if value else "no", lang)
    if not isinstance(value, int | float):
        return str(value)
    digits = f"{value:.4f}".rstrip("0").rstrip(".")
    return f"{digits.replace('.', ',') if lang is Lang.FR else digits}{f' {unit}' if unit else ''}"


def day(value: date, lang: Lang) -> str:
    """A date: ``12/07/2023`` in French, ``2023-07-12`` in English."""
    return f"{value:%d/%m/%Y}" if lang is Lang.FR else value.isoformat()


def in_words(formula: Formula, term: Term | None, lang: Lang) -> str:
    """A formula with the names of its fields, and the thresholds of a term where there are any."""
    return _node_words(formula.root, term, lang)


def _node_words(node: Node, term: Term | None, lang: Lang) -> str:
    if isinstance(node, Joined):
        parts = [_node_words(part, term, lang) for part in node.parts]
        inner = [
            f"({text})" if isinstance(part, Joined) else text for part, text in zip(node.parts, parts, strict=True)
        ]
        return f" {word(node.word, lang)} ".join(inner)
    if isinstance(node, Not):
        return f"{word('not', lang)} ({_node_words(node.inner, term, lang)})"
    field = FIELDS[node.field]
    if not isinstance(node, Comparison):
        return field.label(lang)
    return f"{field.label(lang)} {_SIGNS[node.operator]} {_right_words(node.right, field, term, lang)}"


def _right_words(right: float | str | Parameter, field: Field, term: Term | None, lang: Lang) -> str:
    if isinstance(right, Parameter):
        given = None if term is None else getattr(term, right.name)
        return word(right.name, lang) if given is None else amount(given, field.unit, lang)
    return amount(right, field.unit, lang)


def period_words(period: Period, lang: Lang) -> str:
    """A period, as one says it."""
    first, last = (None if end is None else day(end, lang) for end in (period.first, period.last))
    if first is None:
        return word("always", lang) if last is None else word("until", lang, last)
    return word("since", lang, first) if last is None else word("between", lang, first, last)


def colon(lang: Lang) -> str:
    """A colon, with a space before it in French."""
    return " : " if lang is Lang.FR else ": "


def wrapped(text: str, first: str, then: str | None = None) -> list[str]:
    """Lines of at most `_WIDTH` characters; addresses are not cut."""
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=then or first,
        break_long_words=False,
        break_on_hyphens=False,
    )
