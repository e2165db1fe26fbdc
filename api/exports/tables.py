"""What a column of a table of alerts is, and how nested fields become cells; the columns: `api.exports.columns`."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Cell = str | float | int | bool | dt.date | None
"""Of a row; None is unknown."""

_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 (section 2.2) has no way to write; no other format needs them."""


Reader = Callable[[Mapping[str, Any]], Any]
"""Of an alert's properties."""


class Kind(StrEnum):
    """What a column holds."""

    TEXT = "text"
    NUMBER = "number"
    COUNT = "count"
    YES_NO = "yes_no"
    DATE = "date"


@dataclass(frozen=True)
class Column:
    """A column of every table of alerts.

    Parameters
    ----------
    name
        For machines: that of the alert's field where there is one.
    kind
        What it holds.
    fr
        What it is, for people.
    unit
        Of a number; None where it has none.
    read
        From an alert's properties; None reads the field of this name.
    """

    name: str
    kind: Kind
    fr: str
    unit: str | None = None
    read: Reader | None = None


def clean(text: str) -> str:
    """A text without the control characters that no document can hold."""
    return _UNWRITABLE.sub("", text)


def codes_where(field: str, key: str, value: object) -> Reader:
    """Codes of the items of a list whose `key` is `value`, joined; None where the list is not known."""

    def read(properties: Mapping[str, Any]) -> str | None:
        items = properties.get(field)
        if items is None:
            return None
        return ", ".join(str(item["code"]) for item in items if item.get(key) == value)

    return read


def sentences(field: str, *inside: str) -> Reader:
    """French sentences of a list of reasons, joined; `inside` leads to the list from the field."""

    def read(properties: Mapping[str, Any]) -> str | None:
        reasons = properties.get(field)
        for key in inside:
            reasons = (reasons or {}).get(key)
        return " ; ".join(str(reason["fr"]) for reason in reasons or ()) or None

    return read


def member(field: str, key: str) -> Reader:
    """A member of a field that holds several."""

    def read(properties: Mapping[str, Any]) -> Any:
        return (properties.get(field) or {}).get(key)

    return read


def joined(field: str) -> Reader:
    """Names of a list, joined."""

    def read(properties: Mapping[str, Any]) -> str | None:
        return ", ".join(str(name) for name in properties.get(field) or ()) or None

    return read


def places(field: str) -> Reader:
    """Zones or events of a list: of each its kind or first day, its code and name, and its hectares."""

    def read(properties: Mapping[str, Any]) -> str | None:
        told = []
        for item in properties.get(field) or ():
            words = (item.get("layer") or item.get("began"), item.get("code"), item.get("name"))
            told.append(" ".join(str(word) for word in words if word is not None) + f" ({item.get('area_ha')} ha)")
        return " ; ".join(told) or None

    return read


def nearest_zone(properties: Mapping[str, Any]) -> str | None:
    """Kind, code and name of the nearest zone."""
    zone = properties.get("nearest_zone") or {}
    return " ".join(str(zone[key]) for key in ("layer", "code", "name") if zone.get(key) is not None) or None


def communes(properties: Mapping[str, Any]) -> str | None:
    """Communes that the alert lies in, in the field's order."""
    names = [place.get("name") or place.get("insee") for place in properties.get("communes") or ()]
    return ", ".join(str(name) for name in names) or None


def cell(column: Column, properties: Mapping[str, Any]) -> Cell:
    """What a column says of an alert; None is unknown.

    Raises
    ------
    ValueError
        When a date is none, or a number none.
    """
    value = properties.get(column.name) if column.read is None else column.read(properties)
    if value is None:
        return None
    if column.kind is Kind.DATE:
        # A moment's day: the first ten characters of ISO 8601.
        return dt.date.fromisoformat(str(value)[:10])
    if column.kind is Kind.NUMBER:
        return float(value)
    if column.kind is Kind.COUNT:
        return int(value)
    if column.kind is Kind.YES_NO:
        return bool(value)
    return clean(str(value))
