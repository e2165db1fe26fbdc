"""The fields that rules may speak of: the one table of their names, kinds, units and origins."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from tiles.errors import InvalidParameterError

Value = float | str | bool | None
"""Of a field; None where it is not known."""


PUBLISHED_DECIMALS = 4
"""Of a number, as in the published alerts: a rule says the same of an alert before and after it is published."""


class Kind(StrEnum):
    """What a field holds."""

    NUMBER = "number"
    TEXT = "text"
    YES_NO = "yes_no"


class Unit(StrEnum):
    """Of a number."""

    HECTARE = "ha"
    METRE = "m"
    PERCENT = "%"


class Origin(StrEnum):
    """Who says it."""

    SCAN = "scan"
    """The imagery."""
    CONTEXT = "context"
    """Reference layers: administrative limits, forest, terrain, zonings."""
    PERSON = "person"
    """Nobody but a person knows: it is null until one enters it."""


@dataclass(frozen=True)
class Field:
    """A field that rules may speak of.

    Parameters
    ----------
    name
        As in the alert's properties; a dot leads into a mapping, ``zoning_ha.ebc``.
    kind
        What it holds.
    unit
        Of a number.
    origin
        Who says it.
    fr, en
        What it is, in a few words that follow no article.
    """

    name: str
    kind: Kind
    unit: Unit | None
    origin: Origin
    fr: str
    en: str

    def label(self, lang: str) -> str:
        """What it is, in French (``fr``) or English (``en``)."""
        return self.fr if lang == "fr" else self.en


def _numbers(origin: Origin, unit: Unit, *named: tuple[str, str, str]) -> tuple[Field, ...]:
    return tuple(Field(name, Kind.NUMBER, unit, origin, fr, en) for name, fr, en in named)


def _texts(origin: Origin, *named: tuple[str, str, str]) -> tuple[Field, ...]:
    return tuple(Field(name, Kind.TEXT, None, origin, fr, en) for name, fr, en in named)


def _questions(*named: tuple[str, str, str]) -> tuple[Field, ...]:
    return tuple(Field(name, Kind.YES_NO, None, Origin.PERSON, fr, en) for name, fr, en in named)


_TABLE = (
    *_numbers(Origin.SCAN, Unit.HECTARE, ("area_ha", "surface de la coupe", "area of the cut")),
    *_texts(
        Origin.SCAN,
        ("state", "état de l'alerte (provisional, confirmed)", "state of the alert (provisional, confirmed)"),
        ("cause", "cause de la perte (harvest, fire, ...)", "cause of the loss (harvest, fire, ...)"),
    ),
    *_texts(
        Origin.CONTEXT,
        ("commune_insee", "code INSEE de la commune", "INSEE code of the commune"),
        ("departement", "code INSEE du département", "INSEE code of the département"),
        ("region", "code INSEE de la région", "INSEE code of the region"),
        ("forest_type", "type de forêt", "type of forest"),
        ("essence", "essence dominante", "dominant species"),
    ),
    *_numbers(
        Origin.CONTEXT,
        Unit.HECTARE,
        (
            "slope_block_ha",
            "plus grand bloc d'un seul tenant à pente de 30 % ou plus",
            "largest single block of slope 30 % or more",
        ),
        ("natura2000_ha", "surface en site Natura 2000", "area inside Natura 2000"),
        ("zoning_ha.znieff1", "surface en ZNIEFF de type 1", "area inside a ZNIEFF of type 1"),
        ("zoning_ha.znieff2", "surface en ZNIEFF de type 2", "area inside a ZNIEFF of type 2"),
        ("zoning_ha.nature_reserves", "surface en réserve naturelle", "area inside a nature reserve"),
        ("zoning_ha.appb", "surface sous arrêté de protection de biotope", "area under a biotope protection order"),
        ("zoning_ha.national_park_core", "surface en cœur de parc national", "area inside a national park's core"),
        ("zoning_ha.ebc", "surface en espace boisé classé", "area inside a classified wooded space (EBC)"),
        ("cut_100m_1y_ha", "surface coupée à moins de 100 m en un an", "area cut within 100 m over one year"),
        ("cut_100m_5y_ha", "surface coupée à moins de 100 m en cinq ans", "area cut within 100 m over five years"),
    ),
    *_numbers(
        Origin.CONTEXT,
        Unit.METRE,
        ("elevation_m", "altitude", "elevation"),
        ("watercourse_m", "distance au cours d'eau le plus proche", "distance to the nearest watercourse"),
        ("nearest_cut_m", "distance à la coupe antérieure la plus proche", "distance to the nearest earlier cut"),
    ),
    *_numbers(
        Origin.CONTEXT,
        Unit.PERCENT,
        ("slope_mean_pct", "pente moyenne", "mean slope"),
        ("slope_max_pct", "pente maximale", "maximum slope"),
        ("tree_cover_pct", "couvert arboré", "tree cover"),
    ),
    *_numbers(
        Origin.PERSON,
        Unit.HECTARE,
        ("property_ha", "surface de la propriété forestière", "area of the forest property"),
        ("massif_ha", "étendue du massif forestier", "area of the forest massif"),
    ),
    *_numbers(
        Origin.PERSON, Unit.METRE, ("watercourse_length_m", "longueur de berge coupée", "length of river bank cut")
    ),
    *_questions(
        (
            "has_management_document",
            "document de gestion durable en vigueur qui prévoit la coupe",
            "sustainable management document in force that provides for the cut",
        ),
        ("has_psg", "plan simple de gestion agréé en vigueur", "simple management plan (PSG) in force"),
        (
            "lower_psg_threshold",
            "seuil de PSG abaissé par le ministre, que la propriété atteint",
            "PSG threshold lowered by the minister, which the property reaches",
        ),
        ("public_forest", "forêt publique", "public forest"),
    ),
)

FIELDS: Mapping[str, Field] = MappingProxyType({field.name: field for field in _TABLE})
"""Every field that a rule may speak of, by name."""


def read_fields(properties: Mapping[str, Any]) -> dict[str, Value]:
    """The values of all fields, out of an alert's properties.

    Parameters
    ----------
    properties
        As published; what is no field of a rule is left aside.

    Returns
    -------
    values
        By name, each field of `FIELDS`; None where absent, null or not a finite number. Numbers are rounded as they are
        published.

    Raises
    ------
    tiles.errors.InvalidParameterError
        When a value is not of its field's kind.
    """
    return {name: _checked(field, _find(properties, name)) for name, field in FIELDS.items()}


def _find(properties: Mapping[str, Any], name: str) -> Any:
    if name in properties:
        return properties[name]
    head, _, rest = name.partition(".")
    inner = properties.get(head)
    return inner.get(rest) if rest and isinstance(inner, Mapping) else None


def _checked(field: Field, value: Any) -> Value:
    if value is None:
        return None
    if field.kind is Kind.NUMBER and isinstance(value, int | float) and not isinstance(value, bool):
        return round(float(value), PUBLISHED_DECIMALS) if math.isfinite(value) else None
    if field.kind is Kind.TEXT and isinstance(value, str):
        return str(value)
    if field.kind is Kind.YES_NO and isinstance(value, bool):
        return value
    wanted = {Kind.NUMBER: "a number", Kind.TEXT: "a text", Kind.YES_NO: "true or false"}[field.kind]
    raise InvalidParameterError(f"The field {field.name} is {value!r}, and should be {wanted} or null.")
