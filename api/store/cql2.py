"""Filters in CQL2 (OGC 21-065r2, Common Query Language), text or JSON, as conditions of SQL on alerts.

The package `cql2` reads both forms; what its answer may hold here is the table of `QUERYABLES` and of `_COMPARISONS`,
`_READERS`: everything else is refused with a sentence. What is unknown of an alert meets no comparison, nor its
contrary, as in SQL.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import cql2
import shapely
import sqlalchemy as sa
from shapely.geometry.base import BaseGeometry

from api.store.literals import parse_bbox
from api.store.tables import alert_criteria, alerts
from tiles.errors import FilterError


class Language(StrEnum):
    """The two forms of CQL2."""

    TEXT = "cql2-text"
    JSON = "cql2-json"


LONGEST: Final = {Language.TEXT: 2000, Language.JSON: 20_000}
"""Characters of a filter."""
_DEEPEST: Final = {Language.TEXT: 10, Language.JSON: 60}
"""Brackets within brackets: of a text, the parser's time doubles with each."""
_MOST_VERTICES: Final = 500
_QUOTED: Final = (re.compile(r"""'[^']*'|"[^"]*\""""), re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""))
"""Texts and names, where a backslash is one, and where it hides a quote: the parser may see either."""


class _Kind(StrEnum):
    TEXT = "string"
    NUMBER = "number"
    TRUTH = "boolean"
    DAY = "date"
    MOMENT = "timestamp"
    OUTLINE = "geometry"
    CODES = "array"


@dataclass(frozen=True)
class Queryable:
    """A property that may be asked for.

    Parameters
    ----------
    kind
        Of its values.
    title
        What it is, French and English.
    """

    kind: _Kind
    title: str

    def schema(self) -> dict[str, Any]:
        """As JSON Schema (OGC API - Features, Part 3, queryables)."""
        if self.kind is _Kind.OUTLINE:
            return {"title": self.title, "x-ogc-role": "primary-geometry", "format": "geometry-any"}
        if self.kind is _Kind.CODES:
            return {"title": self.title, "type": "array", "items": {"type": "string"}}
        if self.kind in (_Kind.DAY, _Kind.MOMENT):
            return {
                "title": self.title,
                "type": "string",
                "format": "date" if self.kind is _Kind.DAY else "date-time",
            }
        return {"title": self.title, "type": self.kind.value}


QUERYABLES: Final[Mapping[str, Queryable]] = {
    "geometry": Queryable(_Kind.OUTLINE, "Contour / Outline"),
    "id": Queryable(_Kind.TEXT, "Identifiant / Identity"),
    "tile": Queryable(_Kind.TEXT, "Tuile / Tile"),
    "state": Queryable(_Kind.TEXT, "État : provisional, confirmed / State"),
    "status": Queryable(_Kind.TEXT, "Statut / Status"),
    "review": Queryable(_Kind.TEXT, "Revue / Review"),
    "cause": Queryable(_Kind.TEXT, "Cause"),
    "criteria": Queryable(_Kind.CODES, "Critères remplis / Criteria that are met"),
    "area_ha": Queryable(_Kind.NUMBER, "Surface (ha) / Area (ha)"),
    "clearcut_probability": Queryable(_Kind.NUMBER, "Probabilité de coupe rase / Probability of a clear-cut"),
    "abuse_score": Queryable(_Kind.NUMBER, "Score d'abus / Abuse score"),
    "potentially_abusive": Queryable(_Kind.TRUTH, "Potentiellement abusive / Potentially abusive"),
    "first_detected": Queryable(_Kind.DAY, "Première détection / First detected"),
    "last_intact": Queryable(_Kind.DAY, "Dernière date intacte / Last intact date"),
    "first_low": Queryable(_Kind.DAY, "Première date basse / First low date"),
    "updated": Queryable(_Kind.DAY, "Mise à jour / Updated"),
    "changed_at": Queryable(_Kind.MOMENT, "Changée dans la base / Changed in the store"),
    "commune_insee": Queryable(_Kind.TEXT, "Code INSEE / INSEE code"),
    "commune": Queryable(_Kind.TEXT, "Commune"),
    "departement": Queryable(_Kind.TEXT, "Département"),
    "model_version": Queryable(_Kind.TEXT, "Version du modèle / Model version"),
    "rules_version": Queryable(_Kind.TEXT, "Version des règles / Rules version"),
}
"""What may be asked for, by name."""

_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], sa.ColumnElement[bool]]]] = {
    "=": lambda left, right: left == right,
    "<>": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


def parsed(text: str, language: Language) -> Any:
    """A filter as what CQL2's JSON holds.

    Raises
    ------
    tiles.errors.FilterError
        When it is not CQL2, or too long or deep.
    """
    if len(text) > LONGEST[language]:
        raise FilterError(f"filter is longer than {LONGEST[language]} characters: ask for less at once.")
    if max(map(_depth, [text, *(quoted.sub("", text) for quoted in _QUOTED)])) > _DEEPEST[language]:
        raise FilterError(
            f"filter has more than {_DEEPEST[language]} brackets within each other: ask for less at once."
        )
    try:
        read = cql2.parse_text if language is Language.TEXT else cql2.parse_json
        return read(text).to_json()
    except (cql2.ParseError, cql2.ValidationError, ValueError, RecursionError):
        raise FilterError(
            f"filter is not {language}: write it as area_ha >= 2 AND departement IN ('40','33'), "
            "or send filter-lang=cql2-json with its JSON."
        ) from None


def condition_of(text: str, language: Language, engine: str) -> sa.ColumnElement[bool]:
    """What rows of the alerts fulfil.

    Parameters
    ----------
    text, language
        The filter.
    engine
        Name of the database's dialect.

    Raises
    ------
    tiles.errors.FilterError
        When it is not CQL2, asks for what is not among the alerts' properties, or compares what cannot be compared.
    """
    return _Compiler(engine).truth(parsed(text, language))


def _depth(text: str) -> int:
    depth = deepest = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    return deepest


class _Compiler:
    """From CQL2's JSON to conditions of one engine."""

    def __init__(self, engine: str) -> None:
        self._engine = engine

    def truth(self, node: Any) -> sa.ColumnElement[bool]:
        """A node that is true or false."""
        if isinstance(node, bool):
            return sa.true() if node else sa.false()
        if isinstance(node, dict) and "property" in node:
            name, column = self._column(node)
            self._must(QUERYABLES[name].kind is _Kind.TRUTH, f"{name} is neither true nor false by itself")
            return column.is_(True)
        op, args = self._operation(node)
        if op in ("and", "or"):
            parts = [self.truth(part) for part in args]
            return sa.and_(*parts) if op == "and" else sa.or_(*parts)
        if op in _COMPARISONS:
            return self._compared(op, args)
        readers = {
            "not": self._contrary,
            "isNull": self._unknown,
            "between": self._between,
            "in": self._among,
            "like": self._like,
            "a_contains": self._holds,
            "s_intersects": self._meets,
        }
        self._must(op in readers, f"{op[:32]} is not among what may be asked: {', '.join([*_COMPARISONS, *readers])}")
        return readers[op](args)

    def _contrary(self, args: list[Any]) -> sa.ColumnElement[bool]:
        self._must(len(args) == 1, "NOT takes one condition")
        return sa.not_(self.truth(args[0]))

    def _unknown(self, args: list[Any]) -> sa.ColumnElement[bool]:
        self._must(len(args) == 1, "IS NULL takes one property")
        name, column = self._column(args[0])
        self._must(QUERYABLES[name].kind not in (_Kind.OUTLINE, _Kind.CODES), f"{name} is always known")
        return column.is_(None)

    def _compared(self, op: str, args: list[Any]) -> sa.ColumnElement[bool]:
        self._must(len(args) == 2, f"{op} compares two")
        left, right = args
        if not _is_property(left):
            self._must(_is_property(right), f"{op} compares a property with a value")
            turned = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
            return self._compared(turned.get(op, op), [right, left])
        name, column = self._column(left)
        kind = QUERYABLES[name].kind
        self._must(kind not in (_Kind.OUTLINE, _Kind.CODES), f"{name} is not compared by {op}")
        self._must(kind is not _Kind.TRUTH or op in ("=", "<>"), f"{name} is true or false, and nothing is {op} it")
        if _is_property(right):
            other, beside = self._column(right)
            self._must(QUERYABLES[other].kind is kind, f"{name} is not compared with {other}")
            return _COMPARISONS[op](column, beside)
        return _COMPARISONS[op](column, self._value(name, right))

    def _between(self, args: list[Any]) -> sa.ColumnElement[bool]:
        self._must(len(args) == 3, "BETWEEN takes a property and two bounds")
        name, column = self._column(args[0])
        self._must(QUERYABLES[name].kind in (_Kind.NUMBER, _Kind.DAY, _Kind.MOMENT), f"{name} has no bounds")
        return column.between(self._value(name, args[1]), self._value(name, args[2]))

    def _among(self, args: list[Any]) -> sa.ColumnElement[bool]:
        self._must(len(args) == 2 and isinstance(args[1], list), "IN takes a property and a list of values")
        name, column = self._column(args[0])
        self._must(QUERYABLES[name].kind not in (_Kind.OUTLINE, _Kind.CODES), f"{name} is not among a list's values")
        return column.in_([self._value(name, value) for value in args[1]])

    def _like(self, args: list[Any]) -> sa.ColumnElement[bool]:
        self._must(len(args) == 2, "LIKE takes a property and a pattern")
        name, column = self._column(args[0])
        self._must(QUERYABLES[name].kind is _Kind.TEXT, f"{name} is no text")
        pattern = self._value(name, args[1])
        self._must((len(pattern) - len(pattern.rstrip("\\"))) % 2 == 0, "a pattern does not end with its escape")
        if self._engine == "sqlite":
            # Its LIKE takes A for a; GLOB, as PostgreSQL's LIKE, does not.
            return column.bool_op("GLOB")(_glob(pattern))
        return column.like(pattern, escape="\\")

    def _holds(self, args: list[Any]) -> sa.ColumnElement[bool]:
        self._must(
            len(args) == 2 and isinstance(args[1], list) and args[0] == {"property": "criteria"},
            "A_CONTAINS takes criteria and a list of codes",
        )
        codes = sorted({self._value("criteria", code) for code in args[1]})
        met = [
            alerts.c.seq.in_(sa.select(alert_criteria.c.alert_seq).where(alert_criteria.c.code == code))
            for code in codes
        ]
        return sa.and_(sa.true(), *met)

    def _meets(self, args: list[Any]) -> sa.ColumnElement[bool]:
        self._must(len(args) == 2, "S_INTERSECTS takes geometry and a shape")
        self._must(args[0] == {"property": "geometry"}, "S_INTERSECTS takes geometry and a shape")
        shape = shape_of(args[1])
        if self._engine != "sqlite":
            literal = sa.func.ST_GeomFromWKB(sa.literal(shapely.to_wkb(shape)), 4326)
            return sa.func.ST_Intersects(sa.literal_column("alerts.geom"), literal).is_(True)
        west, south, east, north = shape.bounds
        tree = sa.table(
            "alerts_tree", *(sa.column(name) for name in ("seq", "min_lon", "max_lon", "min_lat", "max_lat"))
        ).c
        near = sa.select(tree.seq).where(
            tree.min_lon <= east, tree.max_lon >= west, tree.min_lat <= north, tree.max_lat >= south
        )
        return sa.and_(
            alerts.c.seq.in_(near), sa.func.outlines_meet(alerts.c.geometry, sa.literal(shapely.to_wkb(shape))) == 1
        )

    def _operation(self, node: Any) -> tuple[str, list[Any]]:
        if not isinstance(node, dict) or not isinstance(node.get("op"), str) or not isinstance(node.get("args"), list):
            raise FilterError("filter will not do: it is made of conditions, such as area_ha >= 2.")
        return node["op"], node["args"]

    def _column(self, node: Any) -> tuple[str, sa.ColumnElement[Any]]:
        """A property's name and column, folded where CASEI asks for it."""
        if _is_folded(node):
            name, column = self._column(node["args"][0])
            self._must(QUERYABLES[name].kind is _Kind.TEXT, f"{name} is no text")
            # Capitals with accents too, which neither engine's own way takes everywhere.
            folded = sa.func.folded(column) if self._engine == "sqlite" else sa.func.lower(column.collate("und-x-icu"))
            return name, folded
        self._must(_is_property(node), "a condition begins with a property")
        name = str(node["property"])
        if name not in QUERYABLES:
            raise FilterError(
                f"filter will not do: there is no property {name[:64]}; queryables lists those there are."
            )
        if name == "geometry":
            return name, sa.literal_column("alerts.geometry")
        return name, sa.null() if name == "criteria" else alerts.c[name]

    def _value(self, name: str, node: Any) -> Any:
        kind = QUERYABLES[name].kind
        if _is_folded(node) and kind is _Kind.TEXT:
            return self._value(name, node["args"][0]).lower()
        if isinstance(node, dict) and len(node) == 1:
            node = node.get("date", node.get("timestamp", node))
        if kind is _Kind.NUMBER:
            good = isinstance(node, int | float) and not isinstance(node, bool) and math.isfinite(node)
        elif kind is _Kind.TRUTH:
            good = isinstance(node, bool)
        else:
            good = isinstance(node, str) and "\x00" not in node
        self._must(good, f"{name} is compared with {_EXAMPLES[kind]}")
        if kind not in (_Kind.DAY, _Kind.MOMENT):
            return node
        try:
            if kind is _Kind.DAY:
                return dt.date.fromisoformat(node[:10])
            moment = dt.datetime.fromisoformat(node)
            return moment.replace(tzinfo=moment.tzinfo or dt.UTC)
        except ValueError:
            raise FilterError(f"filter will not do: {name} is compared with {_EXAMPLES[kind]}.") from None

    def _must(self, holds: bool, otherwise: str) -> None:
        if not holds:
            raise FilterError(f"filter will not do: {otherwise}.")


_EXAMPLES: Final = {
    _Kind.TEXT: "a text such as 'x'",
    _Kind.NUMBER: "a number",
    _Kind.TRUTH: "TRUE or FALSE",
    _Kind.DAY: "a day such as DATE('2026-10-01')",
    _Kind.MOMENT: "a moment such as TIMESTAMP('2026-10-01T00:00:00Z')",
    _Kind.CODES: "a list of texts",
    _Kind.OUTLINE: "a shape",
}


def _is_folded(node: Any) -> bool:
    return isinstance(node, dict) and node.get("op") == "casei" and len(node.get("args") or ()) == 1


def _is_property(node: Any) -> bool:
    """Whether it is a property, folded or not."""
    if _is_folded(node):
        return _is_property(node["args"][0])
    return isinstance(node, dict) and isinstance(node.get("property"), str)


def shape_of(node: Any) -> BaseGeometry:
    """A shape of CQL2's JSON: GeoJSON, or ``{"bbox": [west, south, east, north]}``.

    Raises
    ------
    tiles.errors.FilterError
        When it is none, or not valid, or has more than 500 vertices.
    """
    try:
        if isinstance(node, dict) and isinstance(node.get("bbox"), list):
            west, south, east, north = parse_bbox(",".join(str(value) for value in node["bbox"]))
            if west <= east:
                return shapely.box(west, south, east, north)
            return shapely.union(shapely.box(west, south, 180.0, north), shapely.box(-180.0, south, east, north))
        shape: BaseGeometry = shapely.from_geojson(json.dumps(node))
        good = not shape.is_empty and shape.is_valid and shapely.get_num_coordinates(shape) <= _MOST_VERTICES
    except (TypeError, ValueError, shapely.GEOSException):
        good = False
    if not good:
        raise FilterError(
            f"filter will not do: a shape is valid GeoJSON, WKT or BBOX(west,south,east,north) of at most "
            f"{_MOST_VERTICES} vertices."
        )
    return shape


def _glob(pattern: str) -> str:
    """A pattern of LIKE as one of GLOB."""
    out, escaped = [], False
    for character in pattern:
        if character == "\\" and not escaped:
            escaped = True
            continue
        if not escaped and character in "%_":
            out.append("*" if character == "%" else "?")
        else:
            out.append(f"[{character}]" if character in "*?[" else character)
        escaped = False
    return "".join(out)
