"""What is told of an alert in a line or a few, in French: on a map, on a GPS, in a feed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

from api.exports.columns import COLUMNS
from api.exports.tables import cell, clean
from api.features import UNCORRECTED_FR, AlertFeature

_BY_NAME = {column.name: column for column in COLUMNS}


class Look(StrEnum):
    """How an alert is drawn: the first that fits."""

    CLOSED = "closed"
    ABUSIVE = "abusive"
    CONFIRMED = "confirmed"
    PROVISIONAL = "provisional"


def look(properties: Mapping[str, Any]) -> Look:
    """How an alert is drawn; see `api.exports.qgis_styles`, which draws them alike."""
    if properties.get("status") == "closed":
        return Look.CLOSED
    if properties.get("potentially_abusive"):
        return Look.ABUSIVE
    return Look.CONFIRMED if properties.get("state") == "confirmed" else Look.PROVISIONAL


def hectares(properties: Mapping[str, Any]) -> str:
    """Hectares as French writes them, to a tenth: ``12,3 ha``; ``? ha`` where they are not known."""
    area_ha = properties.get("area_ha")
    return "? ha" if area_ha is None else f"{float(area_ha):.1f} ha".replace(".", ",")


def title(feature: AlertFeature) -> str:
    """Hectares and place: ``12,3 ha à Sabres (40)``."""
    properties = feature.properties
    commune, departement = properties.get("commune"), properties.get("departement")
    place = f" à {commune}" if commune else ""
    return clean(f"{hectares(properties)}{place}{f' ({departement})' if departement else ''}")


def lines(feature: AlertFeature) -> Iterator[str]:
    """What else is to be known before one goes there: a sentence each."""
    properties = feature.properties
    yield f"Alerte {clean(feature.id)}"
    yield f"{UNCORRECTED_FR} : {hectares(properties)}"
    last_intact, first_low = _day(properties, "last_intact"), _day(properties, "first_low")
    if first_low is not None:
        yield f"Coupe vue le {first_low}" + ("" if last_intact is None else f", forêt encore intacte le {last_intact}")
    known = {"confirmed": "confirmée par plusieurs dates", "provisional": "provisoire, à confirmer par l'imagerie"}
    state = properties.get("state")
    if state is not None:
        yield f"Imagerie : {known.get(state, state)}"
    if properties.get("potentially_abusive") is not None:
        answer = "oui" if properties["potentially_abusive"] else "non"
        yield f"Potentiellement abusive, selon les critères de l'association : {answer}"
    for name, words in (
        ("criteria_met", "Critères remplis"),
        ("legal_to_check", "Points de droit à vérifier"),
        ("zonings", "Zonages"),
    ):
        told = cell(_BY_NAME[name], properties)
        if told:
            yield f"{words} : {told}"


def _day(properties: Mapping[str, Any], name: str) -> str | None:
    day = cell(_BY_NAME[name], properties)
    return day.strftime("%d/%m/%Y") if isinstance(day, dt.date) else None
