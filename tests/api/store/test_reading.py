"""Filters, orders and pages, beside what plain Python makes of the same alerts, on both engines."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.store import conditions, reading
from api.store.database import Database
from api.store.filters import AlertFilter
from api.store.literals import parse_bbox, parse_interval
from api.store.reading import alerts_page, all_alerts, outline, outlines_page
from api.store.scan_files import FoundAlert
from tests.api.store.many_alerts import ALERTS
from tiles.errors import FilterError, NotFoundError


def _meets(bbox: str, alert: FoundAlert) -> bool:
    west, south, east, north = parse_bbox(bbox)
    parts = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
    return any(alert.geometry.intersects(shapely.box(a, south, b, north)) for a, b in parts)


def _within(text: str, alert: FoundAlert) -> bool:
    first, last = parse_interval(text)
    low = alert.day("first_low")
    intact = alert.day("last_intact") or low
    assert low is not None
    assert intact is not None
    return (first is None or low >= first) and (last is None or intact <= last)


CHECKS: dict[str, Callable[[Any, FoundAlert], bool]] = {
    "bbox": _meets,
    "datetime": _within,
    "departement": lambda value, alert: alert.properties["departement"] in value.split(","),
    "commune": lambda value, alert: bool(
        {alert.properties["commune"], alert.properties["commune_insee"]} & set(value.split(","))
    ),
    "state": lambda value, alert: bool(alert.properties["state"] == value),
    "cause": lambda value, alert: bool(alert.properties["cause"] == value),
    "criterion": lambda value, alert: any(c["code"] == value and c["met"] for c in alert.properties["criteria"]),
    "min_area_ha": lambda value, alert: bool(alert.properties["area_ha"] >= value),
    "max_area_ha": lambda value, alert: bool(alert.properties["area_ha"] <= value),
    "min_probability": lambda value, alert: (
        alert.properties["clearcut_probability"] is not None and alert.properties["clearcut_probability"] >= value
    ),
    "potentially_abusive": lambda value, alert: alert.properties["potentially_abusive"] is value,
}


def _expected(asked: dict[str, Any]) -> list[str]:
    wanted = asked.get("status")
    found = [
        alert
        for alert in ALERTS
        if (alert.properties["status"] == wanted if wanted else alert.properties["status"] != "closed")
        and all(check(asked[name], alert) for name, check in CHECKS.items() if name in asked)
    ]
    order = asked.get("sortby")
    if order is None:
        return [alert.id for alert in found]

    def key(alert: FoundAlert) -> tuple[Any, str]:
        value = alert.properties[order.lstrip("+-")]
        return (-1.0 if value is None else value), alert.id

    return [alert.id for alert in sorted(found, key=key, reverse=order.startswith("-"))]


def _boxes() -> st.SearchStrategy[str]:
    longitude = st.floats(-180, 180).map(lambda value: round(value, 3)) | st.floats(-1, 1)
    latitude = st.floats(42.5, 45.5)
    return st.tuples(longitude, latitude, longitude, latitude).map(
        lambda box: f"{box[0]!r},{min(box[1], box[3])!r},{box[2]!r},{max(box[1], box[3])!r}"
    )


ASKED = st.fixed_dictionaries(
    {},
    optional={
        "bbox": _boxes(),
        "datetime": st.sampled_from(
            ["2026-03-01/..", "../2026-06-30", "2026-04-01/2026-05-15T10:00:00Z", "2026-05-05"]
        ),
        "departement": st.sampled_from(["40", "33,2A", "2B"]),
        "commune": st.sampled_from(["40001", "Commune-2", "40003,Commune-4"]),
        "state": st.sampled_from(["confirmed", "provisional"]),
        "status": st.sampled_from(["open", "closed", "settled"]),
        "cause": st.just("harvest"),
        "criterion": st.sampled_from(["area", "other"]),
        "min_area_ha": st.floats(0, 20),
        "max_area_ha": st.floats(0, 20),
        "min_probability": st.floats(0, 1),
        "potentially_abusive": st.booleans(),
        "sortby": st.sampled_from(
            ["area_ha", "-area_ha", "first_low", "-first_low", "-clearcut_probability", "abuse_score", "+updated"]
        ),
    },
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=ASKED, limit=st.integers(1, 40), few=st.sampled_from([1, 10, 4000]))
def test_filters_give_what_python_gives_page_by_page(
    filled: Sequence[Database], monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any], limit: int, few: int
) -> None:
    # Both ways of finding a box's alerts: by the tree, and by going through them.
    conditions._counted.cache_clear()
    monkeypatch.setattr(conditions, "_FEW", few)
    for database in filled:
        found, cursor = [], None
        while True:
            page = alerts_page(database, AlertFilter.of(asked), limit, cursor)
            assert 0 < len(page.features) <= limit or page.cursor is None
            found += [feature.id for feature in page.features]
            cursor = page.cursor
            if cursor is None:
                break
        assert found == _expected(asked)


def test_all_alerts_are_given_in_pages_of_any_size(filled: Sequence[Database], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_EXPORT_PAGE", 7)
    for database in filled:
        assert [feature.id for feature in all_alerts(database, AlertFilter())] == _expected({})


def test_updated_since_is_of_the_store(filled: Sequence[Database]) -> None:
    now = dt.datetime.now(dt.UTC)
    for database in filled:
        for since, number in ((now - dt.timedelta(days=1), len(_expected({}))), (now + dt.timedelta(days=1), 0)):
            asked = AlertFilter.of({"updated_since": since.isoformat()})
            assert len(list(all_alerts(database, asked))) == number


@pytest.mark.parametrize(
    "cursor", ["", "x", "W10", "é", "AAAA" * 20, "WyItYXJlYV9oYSIsIDEuMCwgM10", "WyIiLCBudWxsLCAxZTk5XQ"]
)
def test_a_cursor_of_another_order_or_none_is_told(filled: Sequence[Database], cursor: str) -> None:
    with pytest.raises(FilterError, match="follow the next link"):
        alerts_page(filled[0], AlertFilter(), 1, cursor)


def test_outlines_are_found_by_name_place_and_month(filled: Sequence[Database]) -> None:
    for database in filled:
        some = outlines_page(database, 5)
        assert [outline(database, feature.id).text for feature in some.features] == [f.text for f in some.features]
        rest = outlines_page(database, 1000, some.cursor)
        assert len(some.features) + len(rest.features) == len(ALERTS)
        assert not outlines_page(database, 5, month="1999-01").features
        one = ALERTS[3]
        west, south, east, north = one.geometry.bounds
        near = outlines_page(database, 100, bbox=f"{west},{south},{east},{north}").features
        assert one.id in {feature.properties["alert"] for feature in near}
        for none in ("x", f"{one.id}.99999", f"{one.id}.", f"other.{some.features[0].id.rpartition('.')[2]}", ".1"):
            with pytest.raises(NotFoundError):
                outline(database, none)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"bbox": "1,2,3"}, "bbox will not do: a bbox is four numbers"),
        ({"bbox": "a,b,c,d"}, "bbox will not do"),
        ({"bbox": "nan,0,1,1"}, "bbox will not do"),
        ({"bbox": "0,2,1,1"}, "from south to north"),
        ({"bbox": "-181,0,1,1"}, "within -180 and 180"),
        ({"datetime": "soon"}, "datetime will not do"),
        ({"datetime": "../.."}, "datetime will not do"),
        ({"datetime": "2026-02-01/2026-01-01"}, "begins before it ends"),
        ({"datetime": "2026-02-30"}, "datetime will not do"),
        ({"datetime": "0001-01-01T00:00:00+23:59"}, "datetime will not do"),
        ({"departement": "4"}, "département is a code"),
        ({"departement": "40,"}, "departement will not do"),
        ({"state": "sure"}, "state will not do"),
        ({"min_area_ha": "-1"}, "min_area_ha will not do"),
        ({"min_area_ha": "nan"}, "min_area_ha will not do"),
        ({"min_probability": "2"}, "min_probability will not do"),
        ({"sortby": "id"}, "sorted by"),
        ({"sortby": "--area_ha"}, "sorted by"),
        ({"updated_since": "2026-01-01T00:00:00"}, "updated_since will not do"),
        ({"criterion": "a b"}, "criterion will not do"),
        ({"colour": "red"}, "colour is no parameter"),
    ],
)
def test_a_filter_that_will_not_do_is_told_in_a_sentence(asked: dict[str, str], words: str) -> None:
    with pytest.raises(FilterError, match=words) as told:
        AlertFilter.of(asked)
    assert str(told.value).endswith(".")
