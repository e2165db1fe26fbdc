"""Rows of alerts: every field has a column or a reason to have none, and nested fields are told in words."""

from __future__ import annotations

import datetime as dt
from dataclasses import fields

import shapely

from api.exports.columns import COLUMNS, ID, cells, point_in
from api.exports.tables import clean
from api.features import AlertFeature
from detector.alerts import Alert
from tests.fakes.exported_alerts import BARE, FORMULA, FULL, SCRIPT, emptied

TOLD_OTHERWISE = {
    "geometry": "the outline",
    "criteria": "criteria_met, criteria_unknown",
    "legal_points": "legal_to_check, legal_unknown",
    "reasons": "clearcut_for, clearcut_against, abuse_for, abuse_against",
    "evidence": "ndmi_change, nbr_change; the rest is in GeoJSON",
    "forest_shares": "forest_type and essence; the shares are in GeoJSON",
    "zoning_ha": "znieff1_ha and the like",
}


def _row(feature: AlertFeature) -> dict[str, object]:
    return dict(zip([ID.name, *(column.name for column in COLUMNS)], cells(feature), strict=True))


def test_every_field_of_an_alert_has_a_column_or_a_reason_to_have_none() -> None:
    names = {ID.name, *(column.name for column in COLUMNS)}
    assert {field.name for field in fields(Alert)} - names == set(TOLD_OTHERWISE)


def test_no_two_columns_have_one_name() -> None:
    names = [column.name for column in COLUMNS]
    assert len(set(names)) == len(names)


def test_nested_fields_are_told_in_words(alerts: list[AlertFeature]) -> None:
    row = _row(alerts[1])
    assert row["id"] == FULL
    assert row["criteria_met"] == "area, natura2000"
    assert row["criteria_unknown"] == "steep_block"
    assert row["legal_to_check"] == "L124-5"
    assert row["legal_unknown"] == "L312-1"
    assert row["clearcut_for"] == "le NDVI a chuté"
    assert row["clearcut_against"] is None
    assert row["cause_reasons"] == "l'eau a disparu"
    assert row["communes"] == f"{SCRIPT}, 40319"
    assert row["zonings"] == "natura2000 FR7200714 Zones humides de la Leyre (2.5 ha)"
    assert row["nearest_zone"] == "natura2000 FR7200714"
    assert row["nearest_zone_m"] == 0.0
    assert row["ebc_ha"] == 0.125
    assert row["znieff1_ha"] is None
    assert row["ndmi_change"] == -0.288
    assert row["tiles"] == "T30TXQ, T30TYQ"
    assert row["last_intact"] == dt.date(2026, 5, 30)
    assert row["essence"] == FORMULA


def test_what_is_not_known_is_none_and_never_zero(alerts: list[AlertFeature]) -> None:
    row = _row(emptied(alerts[1]))
    assert set(row.values()) == {FULL, None}
    assert _row(alerts[2])["criteria_met"] is None, BARE


def test_a_field_that_no_column_names_does_not_leave() -> None:
    private = AlertFeature("a", '{"properties": {"owner": "Mme Untel", "area_ha": 1.0}}', b"")
    assert "Mme Untel" not in map(str, cells(private))
    assert _row(private)["area_ha"] == 1.0


def test_the_point_is_inside_even_where_the_centre_is_a_hole(alerts: list[AlertFeature]) -> None:
    for alert in alerts:
        assert shapely.contains_xy(alert.geometry, *point_in(alert))


def test_characters_that_no_document_holds_are_left_out() -> None:
    assert clean("a\x00b\x0bc\ud800d\ufffee\té\n") == "abcde\té\n"
