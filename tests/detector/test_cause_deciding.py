"""What a loss was caused by: each rule, its edge, and which comes first."""

from __future__ import annotations

import dataclasses
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from detector.cause.deciding import REASONS, Cause, CauseParams, Decision, Surroundings, decide
from detector.cause.evidence import Evidence
from tiles.errors import InvalidParameterError

PARAMS = CauseParams()
AROUND = Surroundings(4.0, date(2026, 2, 20), date(2026, 3, 12))
FELLED = Evidence(
    nir_kept=0.8, swir16_kept=1.4, swir16_after=0.28, ndmi_change=-0.27, ndmi_drift=0.0, ndmi_apart_earlier=0.01
)


def decided(around: Surroundings = AROUND, **changes: Any) -> Decision:
    return decide(dataclasses.replace(FELLED, **changes), around)


def cause_and_code(decision: Decision) -> tuple[Cause, str]:
    return decision.cause, decision.reasons[0].code


def test_a_felling_is_a_harvest_and_says_why() -> None:
    decision = decided()
    assert decision.cause is Cause.HARVEST
    assert [reason.code for reason in decision.reasons] == ["infrared_lost", "bright_ground", "stood_before"]
    assert [(reason.value, reason.threshold) for reason in decision.reasons] == [(0.27, 0.2), (1.4, 1.15), (-0.0, 0.05)]


@pytest.mark.parametrize(
    ("changes", "cause", "code"),
    [
        ({"swir16_after": 0.09}, Cause.UNCERTAIN, "wet"),
        ({"ndmi_change": -0.09}, Cause.UNCERTAIN, "little_infrared_lost"),
        ({"ndmi_change": 0.05}, Cause.UNCERTAIN, "little_infrared_lost"),
        ({"ndmi_change": -0.19}, Cause.UNCERTAIN, "part_lost"),
        ({"ndmi_apart_earlier": -0.10}, Cause.UNCERTAIN, "perhaps_open_before"),
        ({"ndmi_apart_earlier": -0.30}, Cause.NOT_FOREST, "open_before"),
        ({"nir_kept": 0.5, "swir16_kept": 1.0, "swir16_after": 0.15}, Cause.FIRE, "dark_ground"),
        ({"nir_kept": 0.5, "swir16_kept": 1.0, "swir16_after": 0.18}, Cause.UNCERTAIN, "perhaps_dark_ground"),
        ({"nir_kept": 0.5, "swir16_kept": 1.0, "swir16_after": 0.20}, Cause.HARVEST, "infrared_lost"),
        ({"nir_kept": 0.5, "swir16_kept": 1.2, "swir16_after": 0.15}, Cause.HARVEST, "infrared_lost"),
        ({"ndmi_drift": -0.06, "ndmi_change": -0.15}, Cause.DIEBACK, "declined_before"),
        ({"ndmi_drift": -0.06}, Cause.UNCERTAIN, "declined_before"),
        ({"ndmi_change": None}, Cause.UNCERTAIN, "no_infrared"),
        ({"swir16_after": None}, Cause.UNCERTAIN, "no_infrared"),
    ],
)
def test_each_rule(changes: dict[str, Any], cause: Cause, code: str) -> None:
    assert cause_and_code(decided(**changes)) == (cause, code)


@pytest.mark.parametrize("missing", ["nir_kept", "swir16_kept", "ndmi_drift", "ndmi_apart_earlier"])
def test_what_is_not_known_speaks_neither_for_nor_against(missing: str) -> None:
    unknown: dict[str, Any] = {missing: None}
    assert decided(**unknown).cause is Cause.HARVEST


def test_without_any_evidence_a_person_decides() -> None:
    assert cause_and_code(decide(None, AROUND)) == (Cause.UNCERTAIN, "no_infrared")


@pytest.mark.parametrize("cause", ["fire", "storm"])
def test_a_mapped_event_between_the_two_dates_is_the_cause(cause: str) -> None:
    def around(share: float, began: str) -> Surroundings:
        hectares, events = 4.0 * share, ({"began": began},)
        if cause == "fire":
            return dataclasses.replace(AROUND, burnt_ha=hectares, fires=events)
        return dataclasses.replace(AROUND, storm_ha=hectares, storms=events)

    assert decided(around(0.5, "2026-02-20")).cause == cause
    assert decided(around(0.5, "2026-03-12")).cause == cause
    # A small part of it, or after the trees had gone: not the cause.
    assert decided(around(0.49, "2026-02-20")).cause is Cause.HARVEST
    after = decided(around(0.5, "2026-03-13"))
    assert after.cause is not Cause(cause)
    # Before the trees were last seen: what it left may have been cleared.
    before = decided(around(0.9, "2025-12-01"))
    assert cause_and_code(before) == (Cause.UNCERTAIN, f"cleared_mapped_{cause}")
    # It is found without the infrared too.
    assert decide(None, around(0.5, "2026-02-20")).cause == cause


def test_no_forest_in_the_layer() -> None:
    assert decided(dataclasses.replace(AROUND, forest_share=0.5)).cause is Cause.HARVEST
    assert cause_and_code(decided(dataclasses.replace(AROUND, forest_share=0.49))) == (
        Cause.NOT_FOREST,
        "no_forest_in_layer",
    )


def test_every_reason_is_told_in_two_languages_and_none_calls_anybody_guilty() -> None:
    for french, english in REASONS.values():
        assert french
        assert english
        assert "illég" not in french.lower()
        assert "illegal" not in english.lower()


@pytest.mark.parametrize(
    "wrong",
    [
        {"least_ndmi_loss": 0.3},
        {"doubtful_open_share": 0.6},
        {"dark_swir16": 0.2},
        {"wet_swir16": 0.17},
    ],
)
def test_parameters_that_contradict_each_other_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidParameterError, match="may not exceed"):
        CauseParams(**wrong)


def test_the_page_states_every_parameter_as_it_is() -> None:
    page = (Path(__file__).parents[2] / "docs" / "causes.md").read_text(encoding="utf-8")
    for each in dataclasses.fields(CauseParams):
        assert f"| `{each.name}` | {getattr(PARAMS, each.name):g} |" in page, each.name
