"""What the shipped rules say of alerts: policy criteria, legal points, and what is not known."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.alerts import AlertState
from detector.criteria.evaluation import Evaluation, LegalStatus, evaluate, judged
from detector.criteria.fields import FIELDS, Kind
from detector.criteria.loading import load_rules
from detector.criteria.rules import RuleKind
from tests.detector.tracked import box, patch

RULES = load_rules()
DAY = date(2026, 9, 1)
HARVEST: dict[str, Any] = {"state": "confirmed", "cause": "harvest"}
WHOLE: dict[str, Any] = HARVEST | {"area_ha": 1.0, "natura2000_ha": 0.0, "slope_block_ha": 0.0}


def said(on: date = DAY, **fields: Any) -> Evaluation:
    return evaluate(fields, RULES, on)


def met(evaluation: Evaluation) -> dict[str, bool | None]:
    return {one["code"]: one["met"] for one in evaluation.criteria}


def status(code: str, on: date = DAY, **fields: Any) -> tuple[str, str]:
    point = next(point for point in said(on, **fields).legal_points if point["code"] == code)
    return point["status"], point["because"]


def test_six_hectares_in_a_zsc_and_a_zps_count_once() -> None:
    """The goal of the issue: 6 ha total, 6 ha in Natura 2000; the area criterion is not met, that of Natura is."""
    evaluation = said(**WHOLE | {"area_ha": 6.0, "natura2000_ha": 6.0})
    assert met(evaluation) == {"area": False, "natura2000": True, "steep_block": False}
    assert evaluation.potentially_abusive is True
    natura = next(one for one in evaluation.criteria if one["code"] == "natura2000")
    assert (natura["value"], natura["threshold"], natura["unit"]) == (6.0, 2.0, "ha")


@pytest.mark.parametrize(("block_ha", "is_met"), [(1.2, False), (1.9999, False), (2.0, True), (2.4, True)])
def test_the_largest_steep_block_alone_counts(block_ha: float, is_met: bool) -> None:
    """Two blocks of 1.2 ha with flat ground between come here as 1.2 ha, and do not add up."""
    evaluation = said(**WHOLE | {"slope_block_ha": block_ha})
    assert met(evaluation)["steep_block"] is is_met
    assert evaluation.potentially_abusive is is_met


@pytest.mark.parametrize(
    ("change", "abusive"),
    [
        ({"area_ha": 10.0}, True),
        ({"area_ha": 9.9999}, False),
        ({}, False),
        ({"natura2000_ha": None}, None),
        ({"natura2000_ha": None, "area_ha": 12.0}, True),
        ({"area_ha": 12.0, "state": "provisional"}, None),
        ({"area_ha": 12.0, "state": None}, None),
        ({"state": "provisional"}, False),
        ({"area_ha": 12.0, "cause": "uncertain"}, None),
        ({"area_ha": 12.0, "cause": None}, None),
        ({"cause": "uncertain"}, False),
        ({"area_ha": 12.0, "cause": "fire"}, False),
        ({"area_ha": 12.0, "cause": "storm", "state": "provisional"}, False),
        ({"natura2000_ha": None, "cause": "dieback"}, False),
    ],
)
def test_potentially_abusive_is_a_confirmed_harvest_that_meets_a_criterion(
    change: dict[str, Any], abusive: bool | None
) -> None:
    assert said(**WHOLE | change).potentially_abusive is abusive


def test_criteria_are_of_the_ground_whatever_the_cause() -> None:
    assert met(said(**WHOLE | {"area_ha": 12.0, "cause": "fire"}))["area"] is True


def test_nothing_known_is_unknown_and_never_zero() -> None:
    evaluation = said()
    assert set(met(evaluation).values()) == {None}
    assert [one["value"] for one in evaluation.criteria] == [None, None, None]
    assert {point["status"] for point in evaluation.legal_points} == {"unknown"}
    assert evaluation.potentially_abusive is None


def test_a_property_of_22_ha_has_its_plan_checked_once_a_person_has_entered_its_size() -> None:
    assert status("L312-1", **WHOLE) == ("unknown", "field_unknown")
    assert status("L312-1", **WHOLE, property_ha=22) == ("to_check", "condition_met")
    assert status("L312-9", **WHOLE, property_ha=22) == ("to_check", "condition_met")
    assert status("L312-9", **WHOLE, property_ha=22, has_psg=True) == ("not_applicable", "ruled_out")
    assert status("L312-1", **WHOLE, property_ha=22, public_forest=True) == ("not_applicable", "ruled_out")


@pytest.mark.parametrize(
    ("on", "property_ha", "expected"),
    [
        (date(2023, 7, 11), 22, "not_applicable"),
        (date(2023, 7, 12), 22, "to_check"),
        (date(2023, 7, 11), 25, "to_check"),
        (date(2023, 7, 12), 19.9, "not_applicable"),
    ],
)
def test_the_law_of_the_day_of_the_cut_counts(on: date, property_ha: float, expected: str) -> None:
    assert status("L312-1", on, **WHOLE, property_ha=property_ha, lower_psg_threshold=False)[0] == expected


def test_a_threshold_that_the_minister_may_have_lowered_is_unknown() -> None:
    assert status("L312-1", **WHOLE, property_ha=15) == ("unknown", "field_unknown")
    assert status("L312-1", **WHOLE, property_ha=15, lower_psg_threshold=True)[0] == "to_check"
    assert status("L312-1", **WHOLE, property_ha=9.9) == ("not_applicable", "condition_not_met")


@pytest.mark.parametrize(
    ("code", "departement", "area_ha", "expected"),
    [
        ("L124-5", "76", 4.0, ("to_check", "condition_met")),
        ("L124-5", "76", 3.9, ("not_applicable", "condition_not_met")),
        ("L124-5", "73", 1.0, ("to_check", "condition_met")),
        ("L124-5", "74", 0.9, ("not_applicable", "condition_not_met")),
        ("L124-5", "33", 50.0, ("unknown", "threshold_unknown")),
        ("L124-5", None, 50.0, ("unknown", "field_unknown")),
        ("L124-5", "41", 50.0, ("unknown", "threshold_unknown")),
        ("L124-6", "41", 1.0, ("not_applicable", "condition_not_met")),
        ("L124-6", "41", 1.1, ("to_check", "condition_met")),
        ("L124-6", "21", 2.0, ("to_check", "condition_met")),
        ("L124-6", "76", 1.1, ("to_check", "condition_met")),
        ("L124-6", "73", 50.0, ("unknown", "threshold_unknown")),
    ],
)
def test_thresholds_of_departements(
    code: str, departement: str | None, area_ha: float, expected: tuple[str, str]
) -> None:
    assert status(code, **WHOLE | {"departement": departement, "area_ha": area_ha}) == expected


def test_a_departement_without_threshold_has_none_and_not_zero() -> None:
    point = next(one for one in said(**WHOLE | {"departement": "33"}).legal_points if one["code"] == "L124-5")
    assert point["threshold"] is None


def test_a_threshold_counts_from_the_date_of_its_order() -> None:
    vaucluse = WHOLE | {"departement": "84", "area_ha": 5.0}
    assert status("L124-5", date(2021, 11, 1), **vaucluse) == ("unknown", "threshold_unknown")
    assert status("L124-5", date(2021, 11, 2), **vaucluse) == ("to_check", "condition_met")


def test_the_order_of_vaucluse_speaks_of_watercourses_too() -> None:
    small = WHOLE | {"departement": "84", "area_ha": 1.0}
    assert status("L124-5", **small) == ("unknown", "field_unknown")
    assert status("L124-5", **small, watercourse_m=500) == ("not_applicable", "condition_not_met")
    assert status("L124-5", **small, watercourse_m=20) == ("to_check", "condition_met")
    smaller = small | {"area_ha": 0.3, "watercourse_m": 20}
    assert status("L124-5", **smaller) == ("unknown", "field_unknown")
    assert status("L124-5", **smaller, watercourse_length_m=120) == ("to_check", "condition_met")


def test_what_is_known_can_rule_a_point_out() -> None:
    seine_maritime = WHOLE | {"departement": "76", "area_ha": 3.5}
    assert status("L124-6", **seine_maritime, massif_ha=4) == ("not_applicable", "ruled_out")
    assert status("L124-6", **seine_maritime, massif_ha=4.1)[0] == "to_check"
    large = seine_maritime | {"area_ha": 5.0}
    assert status("L124-5", **large, has_management_document=True) == ("not_applicable", "ruled_out")
    assert status("L124-5", **large, has_management_document=False)[0] == "to_check"


def test_zonings_of_law() -> None:
    assert status("R421-23", **WHOLE, zoning_ha={"ebc": 0.4}) == ("to_check", "condition_met")
    assert status("R421-23", **WHOLE, zoning_ha={"ebc": 0.0}) == ("not_applicable", "condition_not_met")
    assert status("R421-23", **WHOLE) == ("unknown", "field_unknown")
    assert status("L414-4", **WHOLE | {"natura2000_ha": 0.5}) == ("to_check", "condition_met")


@pytest.mark.parametrize("cause", ["fire", "storm", "dieback", "not_forest"])
def test_no_law_on_cuts_where_nothing_was_cut(cause: str) -> None:
    evaluation = said(**WHOLE | {"cause": cause, "departement": "76", "area_ha": 50.0, "property_ha": 100})
    assert {(one["status"], one["because"]) for one in evaluation.legal_points} == {("not_applicable", "no_harvest")}


def test_before_a_text_was_in_force_it_does_not_apply() -> None:
    assert status("L124-5", date(2012, 6, 30), **WHOLE, departement="76") == ("not_applicable", "not_in_force")


def test_rounding_for_publication_changes_nothing() -> None:
    assert met(said(**WHOLE | {"area_ha": 9.99996}))["area"] is True
    assert met(said(**WHOLE | {"area_ha": round(9.99996, 4)}))["area"] is True


def test_an_alert_carries_what_is_said() -> None:
    alert = patch(box(0, 0, 40, 40), state=AlertState.CONFIRMED).alert
    alert = replace(alert, property_ha=26.0, zoning_ha={"ebc": 0.4, "znieff1": None})
    after = judged(alert, RULES)
    assert after.legal_points is not None
    to_check = {point["code"] for point in after.legal_points if point["status"] == "to_check"}
    assert to_check == {"L312-1", "L312-9", "R421-23"}
    assert after.area_ha > 10
    # Its cause is not known: a person decides.
    assert after.potentially_abusive is None
    assert after.rules_version == RULES.version
    assert after.criteria is not None
    assert [one["code"] for one in after.criteria] == ["area", "natura2000", "steep_block"]
    assert after.id == alert.id


_VALUES = {Kind.NUMBER: st.floats(0, 100), Kind.YES_NO: st.booleans(), Kind.TEXT: st.sampled_from(["76", "84", "33"])}
_SOME_FIELDS = st.fixed_dictionaries(
    {},
    optional={name: st.none() | _VALUES[field.kind] for name, field in FIELDS.items() if name not in HARVEST}
    | {
        "state": st.sampled_from(["confirmed", "provisional", None]),
        "cause": st.sampled_from(["harvest", "uncertain", "fire", None]),
    },
)


@given(_SOME_FIELDS, st.dates(date(2015, 7, 1), date(2030, 1, 1)))
def test_every_answer_is_one_of_the_few_and_plain_json_in_a_fixed_order(fields: dict[str, Any], on: date) -> None:
    evaluation = evaluate(fields, RULES, on)
    assert json.loads(json.dumps(evaluation.as_properties(), allow_nan=False)) == evaluation.as_properties()
    assert [one["code"] for one in evaluation.criteria] == [rule.code for rule in RULES.of_kind(RuleKind.POLICY)]
    assert [one["code"] for one in evaluation.legal_points] == sorted(one["code"] for one in evaluation.legal_points)
    for point in evaluation.legal_points:
        assert point["status"] in set(LegalStatus)
        assert "met" not in point
        assert (point["status"] == "unknown") == (point["because"] in ("field_unknown", "threshold_unknown"))
    if evaluation.potentially_abusive:
        assert (fields["state"], fields["cause"]) == ("confirmed", "harvest")
        assert True in met(evaluation).values()


@given(_SOME_FIELDS)
def test_to_know_more_never_turns_an_answer_round(fields: dict[str, Any]) -> None:
    """A criterion that was decided stays so when fields that were null are filled in."""
    filled: dict[str, Any] = {
        "area_ha": 11.0,
        "natura2000_ha": 3.0,
        "slope_block_ha": 3.0,
        "property_ha": 30.0,
        **WHOLE,
    }
    known = {name: value for name, value in fields.items() if value is not None}
    before, after = evaluate(known, RULES, DAY), evaluate(filled | known, RULES, DAY)
    for old, new in zip(before.criteria, after.criteria, strict=True):
        assert old["met"] in (None, new["met"])
    assert before.potentially_abusive in (None, after.potentially_abusive)
