"""Classes of the scene classification, and how sets of them are handed to kernels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiles.clear import CLEAR_CLASSES, OBSCURING_CLASSES, ClearParams, SceneClass, class_bits, class_table
from tiles.errors import InvalidParameterError


@given(st.sets(st.sampled_from(list(SceneClass))))
def test_bits_and_table_say_the_same_of_every_class(classes: set[SceneClass]) -> None:
    bits, table = class_bits(classes), class_table(classes)
    for value in SceneClass:
        assert bool(bits >> value & 1) == bool(table[value]) == (value in classes)
    assert table.sum() == len(classes)
    assert bits < 1 << 12


def test_no_class_is_both_clear_and_obscuring_and_no_data_is_neither() -> None:
    assert not set(CLEAR_CLASSES) & set(OBSCURING_CLASSES)
    assert SceneClass.NO_DATA not in {*CLEAR_CLASSES, *OBSCURING_CLASSES}


def test_bare_soil_is_clear_or_no_felling_would_be_seen() -> None:
    assert SceneClass.BARE in CLEAR_CLASSES


@pytest.mark.parametrize("margin_m", [-1, 1001, float("nan"), float("inf")])
def test_a_margin_out_of_range_is_refused(margin_m: float) -> None:
    with pytest.raises(InvalidParameterError, match="margin_m"):
        ClearParams(margin_m=margin_m)
