"""CQL2 beside what plain Python makes of the same expression and the same alerts, on both engines."""

from __future__ import annotations

import datetime as dt
import json
import operator
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.store.cql2 import QUERYABLES, Language, condition_of
from api.store.database import Database
from api.store.filters import AlertFilter
from api.store.reading import all_alerts
from api.store.scan_files import FoundAlert
from tests.api.store.many_alerts import ALERTS
from tiles.errors import FilterError

STANDING = [alert for alert in ALERTS if alert.properties["status"] != "closed"]
COMPARISONS: Mapping[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
VALUES: Mapping[str, st.SearchStrategy[Any]] = {
    "area_ha": st.integers(0, 20) | st.floats(0, 20).map(lambda value: round(value, 1)),
    "clearcut_probability": st.sampled_from([0, 0.3, 0.5, 1]),
    "departement": st.sampled_from(["40", "2A", "99"]),
    "commune": st.sampled_from(["Commune-1", "COMMUNE-2", "x"]),
    "state": st.sampled_from(["confirmed", "provisional"]),
    "first_low": st.dates(dt.date(2025, 12, 1), dt.date(2026, 12, 31)).map(lambda day: {"date": day.isoformat()}),
    "last_intact": st.dates(dt.date(2025, 12, 1), dt.date(2026, 12, 31)).map(lambda day: {"date": day.isoformat()}),
}


def _value_of(alert: FoundAlert, name: str) -> Any:
    value = alert.properties[name]
    return dt.date.fromisoformat(value) if value is not None and name in ("first_low", "last_intact") else value


def _plain(value: Any) -> Any:
    return dt.date.fromisoformat(value["date"]) if isinstance(value, dict) else value


def _truth(node: Any, alert: FoundAlert) -> bool | None:
    """What an expression is of an alert; None where something in it is unknown."""
    op, args = node["op"], node["args"]
    if op == "not":
        inner = _truth(args[0], alert)
        return None if inner is None else not inner
    if op in ("and", "or"):
        inner_ones = [_truth(part, alert) for part in args]
        decisive: bool = op == "or"
        if decisive in inner_ones:
            return decisive
        return None if None in inner_ones else not decisive
    if op == "a_contains":
        met = {criterion["code"] for criterion in alert.properties["criteria"] if criterion["met"]}
        return met.issuperset(args[1])
    if op == "s_intersects":
        shape = shapely.box(*args[1]["bbox"]) if "bbox" in args[1] else shapely.from_geojson(json.dumps(args[1]))
        return bool(shape.intersects(alert.geometry))
    name = args[0].get("property") or args[0]["args"][0]["property"]
    value = _value_of(alert, name)
    if op == "isNull":
        return value is None
    if value is None:
        return None
    if "op" in args[0]:
        return bool(COMPARISONS[op](value.lower(), args[1]["args"][0].lower()))
    return _known_truth(op, value, args)


def _known_truth(op: str, value: Any, args: Sequence[Any]) -> bool:
    if op == "between":
        return bool(_plain(args[1]) <= value <= _plain(args[2]))
    if op == "in":
        return value in [_plain(each) for each in args[1]]
    if op == "like":
        pattern = re.escape(args[1]).replace("%", ".*").replace("_", ".")
        return re.fullmatch(pattern, value) is not None
    return bool(COMPARISONS[op](value, _plain(args[1])))


def _property(name: str) -> dict[str, str]:
    return {"property": name}


def _of_property(name: str) -> st.SearchStrategy[dict[str, Any]]:
    values, this = VALUES[name], st.just(_property(name))
    ways = [
        st.fixed_dictionaries({"op": st.sampled_from(sorted(COMPARISONS)), "args": st.tuples(this, values)}),
        st.fixed_dictionaries({"op": st.just("in"), "args": st.tuples(this, st.lists(values, min_size=1, max_size=3))}),
        st.fixed_dictionaries({"op": st.just("isNull"), "args": st.tuples(this)}),
    ]
    if name in ("area_ha", "first_low", "last_intact"):
        ways.append(st.fixed_dictionaries({"op": st.just("between"), "args": st.tuples(this, values, values)}))
    if name == "commune":
        patterns = st.sampled_from(["Commune-_", "Comm%", "%2", "commune%", "*", "Commune-[12]", "%"])
        ways.append(st.fixed_dictionaries({"op": st.just("like"), "args": st.tuples(this, patterns)}))
        folded = values.map(lambda value: {"op": "casei", "args": [value]})
        asked = st.just({"op": "casei", "args": [_property(name)]})
        ways.append(st.fixed_dictionaries({"op": st.just("="), "args": st.tuples(asked, folded)}))
    return st.one_of(ways)


TRIANGLE = {"type": "Polygon", "coordinates": [[[-1.0, 43.0], [1.0, 43.0], [0.0, 45.0], [-1.0, 43.0]]]}
LEAVES = st.one_of(
    *(_of_property(name) for name in VALUES),
    st.sampled_from([["area"], ["area", "other"], []]).map(
        lambda codes: {"op": "a_contains", "args": [_property("criteria"), codes]}
    ),
    st.sampled_from([TRIANGLE, {"bbox": [-0.5, 43.5, 0.5, 44.5]}]).map(
        lambda shape: {"op": "s_intersects", "args": [_property("geometry"), shape]}
    ),
)
EXPRESSIONS = st.recursive(
    LEAVES,
    lambda inner: (
        st.fixed_dictionaries({"op": st.sampled_from(["and", "or"]), "args": st.lists(inner, min_size=2, max_size=3)})
        | st.fixed_dictionaries({"op": st.just("not"), "args": st.tuples(inner)})
    ),
    max_leaves=5,
)


def _ids(database: Database, text: str, language: Language) -> list[str]:
    asked = AlertFilter.of({"filter": text, "filter-lang": language.value})
    return [feature.id for feature in all_alerts(database, asked)]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(expression=EXPRESSIONS)
def test_expressions_give_what_python_gives(filled: Sequence[Database], expression: Any) -> None:
    text = json.dumps(expression)
    if len(text) > 2000:
        return
    expected = [alert.id for alert in STANDING if _truth(json.loads(text), alert)]
    for database in filled:
        assert _ids(database, text, Language.JSON) == expected


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ("area_ha >= 10 AND departement IN ('40')", lambda p: p["area_ha"] >= 10 and p["departement"] == "40"),
        (
            "NOT (commune = 'Commune-1' OR area_ha BETWEEN 2 AND 8)",
            lambda p: p["commune"] != "Commune-1" and not 2 <= p["area_ha"] <= 8,
        ),
        ("departement IS NULL", lambda p: p["departement"] is None),
        ("potentially_abusive = TRUE", lambda p: p["potentially_abusive"] is True),
        ("potentially_abusive", lambda p: p["potentially_abusive"] is True),
        ("first_low < DATE('2026-05-01')", lambda p: p["first_low"] < "2026-05-01"),
        ("last_intact <> first_low AND 5 < area_ha", lambda p: p["last_intact"] is not None and p["area_ha"] > 5),
        ("CASEI(commune) = CASEI('COMMUNE-3')", lambda p: p["commune"] == "Commune-3"),
        ("commune LIKE 'Commune-_'", lambda p: True),
        ("changed_at > TIMESTAMP('2026-01-01T00:00:00Z')", lambda p: True),
        ("A_CONTAINS(criteria, ('area'))", lambda p: p["criteria"][0]["met"]),
    ],
)
def test_texts_mean_what_they_say(
    filled: Sequence[Database], text: str, check: Callable[[Mapping[str, Any]], bool]
) -> None:
    expected = [alert.id for alert in STANDING if check(alert.properties)]
    assert expected
    for database in filled:
        assert _ids(database, text, Language.TEXT) == expected


def test_a_box_over_the_antimeridian_is_two(filled: Sequence[Database]) -> None:
    boxes = [shapely.box(170, 40, 180, 46), shapely.box(-180, 40, -170, 46)]
    expected = [alert.id for alert in STANDING if any(alert.geometry.intersects(box) for box in boxes)]
    assert expected
    for database in filled:
        assert _ids(database, "S_INTERSECTS(geometry, BBOX(170,40,-170,46))", Language.TEXT) == expected


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("area_ha >", "is not cql2-text"),
        ("hectares > 2", "no property hectares"),
        ("area_ha > 'x'", "area_ha is compared with a number"),
        ("area_ha LIKE 'x%'", "area_ha is no text"),
        ("first_low > 3", "such as DATE"),
        ("first_low > '2026-13-01'", "such as DATE"),
        ("commune LIKE 'x\\'", "is not cql2-text|escape"),
        ("geometry = 1", "geometry is not compared"),
        ("area_ha", "neither true nor false"),
        ("area_ha * 2 > 4", "begins with a property|compares a property"),
        ("S_WITHIN(geometry, BBOX(0,0,1,1))", "s_within is not among"),
        ("S_INTERSECTS(geometry, POLYGON((0 0,1 1,1 0,0 1,0 0)))", "a shape is valid GeoJSON"),
        ("S_INTERSECTS(geometry, BBOX(0,0,1000,1))", "a shape is valid GeoJSON|bbox"),
        ("criteria IS NULL", "criteria is always known"),
        ("commune = 'a\x00b'", "commune is compared with|is not cql2"),
        ("area_ha = 1 " + "OR area_ha = 1 " * 200, "2000"),
        ("(" * 11 + "area_ha = 1" + ")" * 11, "more than 10 brackets"),
        ("S_INTERSECTS(geometry, POLYGON" + "(" * 60, "more than 10 brackets"),
        ("commune = 'a)))))))))))))))))' OR POLYGON" + "(" * 40, "more than 10 brackets"),
        (r"commune = '\' OR commune = ' OR POLYGON" + "(" * 40, "more than 10 brackets"),
    ],
)
def test_what_cannot_be_asked_is_told_at_once(text: str, told: str) -> None:
    began_s = time.process_time()
    with pytest.raises(FilterError, match=told):
        AlertFilter.of({"filter": text})
    # The parser's time doubles with each bracket: what would take it minutes is not given to it.
    assert time.process_time() - began_s < 5


ANY_NODE = st.recursive(
    st.none() | st.booleans() | st.floats() | st.sampled_from(["and", "in", "not", "casei", "area_ha", "é"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["op", "args", "property", "bbox", "date"]), inner, max_size=3)
    ),
    max_leaves=12,
)


def _told(text: str, language: Language) -> str:
    """What is said against a filter; nothing of one that will do."""
    try:
        condition_of(text, language, "sqlite")
    except FilterError as error:
        return str(error)
    return ""


@given(
    st.text(max_size=60) | st.text("()'\"\\ANDORTLIKEIN=<>%_,.0123456789areh ", max_size=80), st.sampled_from(Language)
)
def test_any_text_is_a_filter_or_told(text: str, language: Language) -> None:
    told = _told(text, language)
    assert not told or (told.startswith("filter ") and told.endswith("."))


@given(ANY_NODE)
def test_any_json_is_a_filter_or_told(value: Any) -> None:
    told = _told(json.dumps(value), Language.JSON)
    assert not told or (told.startswith("filter ") and told.endswith("."))


def test_all_that_may_be_asked_for_is_described() -> None:
    for what in QUERYABLES.values():
        schema = what.schema()
        assert schema["title"]
        assert ("type" in schema) != ("x-ogc-role" in schema)
