"""Kernels of groups of pixels against their plain twins, exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from detector.kernels import group_moments, group_quantiles, mask_moments
from tests.oracles import groups as oracle

#: NDVI on both signs, with unknown pixels; numbers of dates; days since 1970 with many alike; a mere flag.
KINDS = ["float32", "float64", "int16", "uint8"]


def drawn(kind: str, size: int, rng: np.random.Generator) -> NDArray[Any]:
    if kind in ("int16", "uint8"):
        return rng.integers(0 if kind == "uint8" else -40, 40, size).astype(kind)
    values = rng.uniform(-1, 1, size) if rng.random() < 0.5 else 18_000.0 + 5 * rng.integers(0, 4, size)
    values[rng.random(size) < rng.choice([0, 0.3, 1])] = np.nan
    return values.astype(kind)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(KINDS), st.lists(st.integers(0, 40), max_size=6), st.integers(0, 2**32 - 1))
def test_moments_and_quantiles_are_those_of_the_twin(kind: str, sizes: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = drawn(kind, sum(sizes), rng)
    index, stops = rng.permutation(sum(sizes)), np.cumsum(sizes, dtype=np.int64)
    moments = np.array(group_moments(values, index, stops))
    middle, upper = group_quantiles(values, index, stops, np.array([0.5, 0.9]), np.nan)
    assert moments.shape == (3, len(sizes))
    for i, places in enumerate(np.split(index, stops)[: len(sizes)]):
        one = values[places].astype(np.float64)
        np.testing.assert_array_equal(moments[:, i], oracle.moments_of(one))
        np.testing.assert_array_equal(
            [middle[i], upper[i]], [oracle.quantile_of(one, 0.5), oracle.quantile_of(one, 0.9)]
        )


@pytest.mark.parametrize("order", ["rising", "falling", "alike", "saw"])
def test_quantiles_of_ordered_values(order: str) -> None:
    n = 1_001
    rising = np.arange(n, dtype=np.float64)
    values = {"rising": rising, "falling": rising[::-1].copy(), "alike": np.full(n, 3.0), "saw": rising % 7}[order]
    wanted = [0.0, 0.1, 0.5, 0.9, 1.0]
    found = group_quantiles(values, np.arange(n), np.array([n]), np.array(wanted), np.nan)
    assert found[:, 0].tolist() == [oracle.quantile_of(values, q) for q in wanted]


def test_never_is_the_smallest() -> None:
    values = np.array([-np.inf, 5.0, -np.inf])
    for unknown, expected in ((np.nan, [[-np.inf], [5]]), (-np.inf, [[5], [5]])):
        found = group_quantiles(values, np.arange(3), np.array([3]), np.array([0.5, 1.0]), unknown)
        assert found.tolist() == expected


MASKS = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(lambda shape: arrays(np.bool_, shape))


@settings(deadline=None, max_examples=60)
@given(st.lists(MASKS, max_size=4))
def test_mask_moments_are_those_of_the_twin(masks: list[NDArray[np.bool_]]) -> None:
    sizes = np.array([mask.size for mask in masks], np.int64)
    packed = np.concatenate([mask.ravel() for mask in masks]) if masks else np.empty(0, np.bool_)
    boxes = np.array([(3, 4, *mask.shape) for mask in masks], np.int64).reshape(-1, 4)
    count, sums = mask_moments(packed, np.cumsum(sizes) - sizes, boxes)
    expected = [oracle.places_of(mask) for mask in masks]
    assert count.tolist() == [n for n, _ in expected]
    assert sums.tolist() == [places for _, places in expected]
