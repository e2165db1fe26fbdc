"""Kernels of groups of pixels against their plain twins, exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from detector.kernels import group_moments, group_quantiles, mask_moments
from tests.oracles import groups as oracle

#: NDVI on both signs or days, with unknown pixels; numbers of dates; mere flags.
KINDS = ["float32", "float64", "int16", "uint8"]
UNKNOWN = int(np.iinfo(np.int64).min)
WANTED = [0.0, 0.1, 0.5, 0.9, 1.0]


def drawn(kind: str, size: int, rng: np.random.Generator) -> NDArray[Any]:
    if kind in ("int16", "uint8"):
        return rng.integers(0 if kind == "uint8" else -40, 40, size).astype(kind)
    values = rng.uniform(-1, 1, size) if rng.random() < 0.5 else 18_000.0 + 5 * rng.integers(0, 4, size)
    values[rng.random(size) < rng.choice([0, 0.3, 1])] = np.nan
    return values.astype(kind)


GROUPS = st.lists(st.integers(0, 40), max_size=6)
SEEDS = st.integers(0, 2**32 - 1)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(KINDS), GROUPS, SEEDS)
def test_moments_are_those_of_the_twin(kind: str, sizes: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = drawn(kind, sum(sizes), rng)
    index, stops = rng.permutation(sum(sizes)), np.cumsum(sizes, dtype=np.int64)
    moments = np.array(group_moments(values, index, stops, True))
    means, deviations, _ = group_moments(values, index, stops, False)
    np.testing.assert_array_equal(means, moments[0])
    assert np.isnan(deviations).all()
    assert moments.shape == (3, len(sizes))
    for i, places in enumerate(np.split(index, stops)[: len(sizes)]):
        np.testing.assert_array_equal(moments[:, i], oracle.moments_of(values[places].astype(np.float64)))


@settings(deadline=None, max_examples=100)
@given(GROUPS, st.sampled_from([1, 3, 400]), st.sampled_from([0.0, 0.3, 1.0]), st.booleans(), SEEDS)
def test_quantiles_are_those_of_the_twin(
    sizes: list[int], span: int, unknown_share: float, least_if_unknown: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(-3, -3 + span, sum(sizes))
    values[rng.random(values.size) < unknown_share] = UNKNOWN
    index, stops = rng.permutation(values.size), np.cumsum(sizes, dtype=np.int64)
    found = group_quantiles(values, index, stops, np.array(WANTED), UNKNOWN, least_if_unknown)
    assert found.shape == (len(WANTED), len(sizes))
    for i, places in enumerate(np.split(index, stops)[: len(sizes)]):
        one = values[places].astype(np.float64)
        one[one == UNKNOWN] = -np.inf if least_if_unknown else np.nan
        np.testing.assert_array_equal(found[:, i], [oracle.quantile_of(one, q) for q in WANTED])


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
