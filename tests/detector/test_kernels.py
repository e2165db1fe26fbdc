"""Kernels against their plain twins, exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from detector import kernels
from tests.oracles import labels as oracle

SIZES = st.tuples(st.integers(1, 13), st.integers(1, 13))


def sparse(raster: NDArray[np.uint8]) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.uint8]]:
    """Pixels above zero as a row-major list; the value is the group."""
    row, col = np.nonzero(raster)
    return row.astype(np.int32), col.astype(np.int32), raster[row, col]


def assert_labels_agree(raster: NDArray[np.uint8], seed: int = 0, apart_days: int = -1) -> NDArray[np.int32]:
    row, col, group = sparse(raster)
    day = np.random.default_rng(seed).integers(0, 40, row.size).astype(np.int32)
    labels = kernels.label_pixels(row, col, group, day, apart_days)
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, oracle.label_pixels(row, col, group, day, apart_days))
    return labels


@settings(deadline=None, max_examples=300)
@given(
    SIZES.flatmap(lambda shape: arrays(np.uint8, shape, elements=st.integers(0, 2))),
    st.integers(0, 2**32 - 1),
    st.sampled_from([-1, 0, 5]),
)
def test_labels_are_those_of_the_twin(raster: NDArray[np.uint8], seed: int, apart_days: int) -> None:
    assert_labels_agree(raster, seed, apart_days)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.95))
def test_labels_of_large_random_rasters(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    raster = np.where(rng.random((61, 53)) < share, rng.integers(1, 3, (61, 53)), 0).astype(np.uint8)
    assert_labels_agree(raster)


def test_nothing_to_label() -> None:
    assert assert_labels_agree(np.zeros((3, 3), np.uint8)).size == 0


@pytest.mark.parametrize(
    ("raster", "n_labels"),
    [
        (np.ones((1, 1)), 1),
        (np.ones((9, 7)), 1),
        (np.indices((9, 9)).sum(axis=0) % 2, 1),  # a checkerboard hangs together by its corners
        (np.indices((9, 9)).sum(axis=0) % 2 + 1, 2),  # and so does each of two groups
        (np.arange(64).reshape(8, 8) % 8 % 2, 4),  # columns
        (np.array([[1, 2, 1]]), 3),  # a pixel of another group cuts in two
        (np.array([[1, 0], [0, 2]]), 2),  # two groups at a corner
        (
            np.array([[1, 0, 1], [1, 0, 1], [1, 1, 1]]),
            1,
        ),  # joined late: the second arm takes the first's label
    ],
)
def test_known_labels(raster: NDArray[np.int64], n_labels: int) -> None:
    labels = assert_labels_agree(raster.astype(np.uint8))
    assert labels.max() + 1 == n_labels


def test_pixels_of_two_groups_are_joined_when_their_days_are_near() -> None:
    row, col, group = sparse(np.array([[1, 2, 1]], np.uint8))
    day = np.array([100, 110, 121], np.int32)
    assert kernels.label_pixels(row, col, group, day, 10).tolist() == [0, 0, 1]
    assert kernels.label_pixels(row, col, group, day, 9).tolist() == [0, 1, 2]


def test_last_pixel_of_a_row_does_not_touch_the_first_of_the_next() -> None:
    raster = np.zeros((2, 9), np.uint8)
    raster[0, 8] = raster[1, 0] = 1
    assert assert_labels_agree(raster).tolist() == [0, 1]


def test_labelling_does_not_depend_on_where_the_pixels_lie() -> None:
    far = np.array([10**9, 10**9, 10**9 + 2], np.int32)
    labels = kernels.label_pixels(far, np.array([5, 6, 6], np.int32), np.ones(3, np.uint8), np.zeros(3, np.int32), 0)
    assert labels.tolist() == [0, 0, 1]  # a raster that holds these rows would not fit in memory


@settings(deadline=None, max_examples=300)
@given(SIZES.flatmap(lambda shape: arrays(np.bool_, shape)))
def test_holes_are_those_of_the_twin(mask: NDArray[np.bool_]) -> None:
    before = mask.copy()
    holes, n_holes = kernels.find_holes(mask)
    expected, n_expected = oracle.find_holes(mask)
    np.testing.assert_array_equal(holes, expected)
    assert n_holes == n_expected
    np.testing.assert_array_equal(mask, before)


@pytest.mark.parametrize(("size", "n_holes"), [((0, 0), 0), ((1, 1), 0), ((3, 3), 1), ((101, 99), 1)], ids=str)
def test_ring_has_one_hole(size: tuple[int, int], n_holes: int) -> None:
    mask = np.ones(size, bool)
    mask[1:-1, 1:-1] = False
    holes, found = kernels.find_holes(mask)
    assert found == n_holes
    np.testing.assert_array_equal(holes, ~mask)


def test_ring_closed_by_corners_alone_holds() -> None:
    diamond = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], bool)
    holes, n_holes = kernels.find_holes(diamond)
    assert n_holes == 1
    assert holes.sum() == 1
    assert holes[1, 1]
