"""Formulas: what they understand, what they refuse, and what they say of unknown fields."""

from __future__ import annotations

import itertools
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.criteria.fields import FIELDS, Kind, Value, read_fields
from detector.criteria.formulas import FormulaError, all_of, any_of, parse
from tiles.errors import InvalidParameterError

ATOMS = ("area_ha >= 10", "natura2000_ha > 2", "has_psg", "cause == 'harvest'", "slope_block_ha <= 1.5")
KNOWN: dict[str, tuple[Value, ...]] = {
    "area_ha": (9.9, 10.0),
    "natura2000_ha": (2.0, 2.1),
    "has_psg": (False, True),
    "cause": ("fire", "harvest"),
    "slope_block_ha": (1.5, 1.6),
}

formulas = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: st.one_of(
        inner.map(lambda text: f"not ({text})"),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda t: f"({t[0]}) {t[1]} ({t[2]})"),
    ),
    max_leaves=6,
)
values = st.fixed_dictionaries({name: st.sampled_from((None, *known)) for name, known in KNOWN.items()})


@given(formulas, values)
def test_an_answer_is_the_same_whatever_the_unknown_turns_out_to_be(text: str, some: dict[str, Value]) -> None:
    formula = parse(text)
    answer = formula.answer(some)
    unknown = [name for name in formula.fields if some[name] is None]
    completions = [
        some | dict(zip(unknown, choice, strict=True))
        for choice in itertools.product(*(KNOWN[name] for name in unknown))
    ]
    answers = {formula.answer(whole) for whole in completions}
    assert None not in answers
    if answer is not None:
        assert answers == {answer}
        assert formula.missing(some) == ()
    else:
        assert set(formula.missing(some)) <= set(unknown)
        assert formula.missing(some)


@pytest.mark.parametrize(
    ("text", "given_", "answer"),
    [
        ("area_ha >= 10", {"area_ha": 10.0}, True),
        ("area_ha > 10", {"area_ha": 10.0}, False),
        ("area_ha != 10", {"area_ha": 10.0}, False),
        ("area_ha < 10", {"area_ha": None}, None),
        ("area_ha >= threshold", {"area_ha": 4.0, "threshold": 4.0}, True),
        ("area_ha >= threshold", {"area_ha": 4.0}, None),
        ("zoning_ha.ebc > 0", {"zoning_ha.ebc": 0.5}, True),
        ("cause == 'harvest'", {"cause": "fire"}, False),
        ("cause == 'or'", {"cause": "or"}, True),
        ("not has_psg and area_ha >= 1", {"has_psg": False, "area_ha": 2.0}, True),
        # `and` binds more than `or`, `not` more than both.
        ("has_psg or public_forest and area_ha >= 1", {"has_psg": True, "public_forest": False, "area_ha": 0.0}, True),
        ("(has_psg or public_forest) and area_ha >= 1", {"has_psg": True, "area_ha": 0.0}, False),
    ],
)
def test_what_formulas_say(text: str, given_: dict[str, Value], answer: bool | None) -> None:
    assert parse(text).answer(given_) is answer


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("", "ends too early"),
        ("area_ha >=", "ends too early"),
        ("area >= 10", "which there is not"),
        ("__import__('os')", "which there is not"),
        ("area_ha >= 10; 1", "';'"),
        ("area_ha >= 10 area_ha", "where it should end"),
        ("(area_ha >= 10", "not closed"),
        ("area_ha", "compare it"),
        ("area_ha >= 'ten'", "kind number"),
        ("area_ha >= natura2000_ha", "no number"),
        ("cause >= 'fire'", "use == or !="),
        ("has_psg == 1", "kind yes_no"),
        ("10 <= area_ha", "name of a field"),
        ("(" * 200 + "has_psg" + ")" * 200, "nested"),
        ("not " * 100 + "has_psg", "nested"),
        ("has_psg or " * 100 + "has_psg", "longer"),
    ],
)
def test_what_is_no_formula_is_refused(text: str, because: str) -> None:
    with pytest.raises(FormulaError, match=because.replace("(", r"\(")):
        parse(text)


@given(st.text(max_size=60))
def test_any_text_is_understood_or_refused(text: str) -> None:
    with suppress(FormulaError):
        assert parse(text).text == text


@given(st.lists(st.sampled_from([True, False, None]), max_size=4))
def test_all_and_any_are_each_others_contrary(answers: list[bool | None]) -> None:
    def contrary(answer: bool | None) -> bool | None:
        return None if answer is None else not answer

    assert all_of(answers) is contrary(any_of([contrary(answer) for answer in answers]))


def test_fields_are_read_from_an_alerts_properties() -> None:
    values = read_fields({"area_ha": 3, "zoning_ha": {"ebc": 0.25}, "natura2000_ha": float("nan"), "tile": "31TFJ"})
    assert set(values) == set(FIELDS)
    assert (values["area_ha"], values["zoning_ha.ebc"], values["natura2000_ha"]) == (3.0, 0.25, None)
    assert read_fields({"zoning_ha": None})["zoning_ha.ebc"] is None
    assert read_fields({"zoning_ha.ebc": 0.5})["zoning_ha.ebc"] == 0.5


@pytest.mark.parametrize("wrong", [{"area_ha": "6"}, {"area_ha": True}, {"cause": 3}, {"has_psg": 1.0}])
def test_a_field_of_another_kind_is_refused_by_name(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidParameterError, match=next(iter(wrong))):
        read_fields(wrong)


def test_every_field_has_a_unit_if_it_is_a_number_and_both_languages() -> None:
    for field in FIELDS.values():
        assert (field.unit is not None) == (field.kind is Kind.NUMBER)
        assert field.fr
        assert field.en
