"""The kernels of the terrain against their plain twins."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
import shapely.affinity
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from detector.context.terrain import _joined_runs
from detector.kernels import cover_pixels, horn_gradient, label_pairs
from detector.outlines import trace_masks
from tests.oracles import terrain as oracle

MASKS = st.tuples(st.integers(1, 6), st.integers(1, 6)).flatmap(lambda shape: arrays(np.bool_, shape))


def covered(polygon: shapely.Geometry, n_rows: int, n_cols: int) -> NDArray[np.float64]:
    rings = shapely.get_rings(shapely.get_parts(shapely.orient_polygons(polygon)))
    x, y = shapely.get_coordinates(rings).T
    stops = np.cumsum(shapely.get_num_coordinates(rings)).astype(np.int64)
    return cover_pixels(np.ascontiguousarray(x), np.ascontiguousarray(y), stops, n_rows, n_cols)


@settings(deadline=None, max_examples=200)
@given(MASKS.filter(lambda mask: bool(mask.any())), st.floats(0, 360), st.floats(0.2, 3), st.floats(0, 1))
def test_shares_of_pixels_are_those_of_the_twin(
    mask: NDArray[np.bool_], turn_deg: float, scale: float, shift: float
) -> None:
    # Any polygon of pixels, with holes and corners that touch, turned and stretched over another grid.
    (polygon,) = trace_masks([mask], [(0, 0)])
    placed = shapely.affinity.scale(shapely.affinity.rotate(polygon, turn_deg), scale, scale)
    placed = shapely.affinity.translate(placed, shift - placed.bounds[0], shift - placed.bounds[1])
    n_cols, n_rows = (int(np.ceil(value)) for value in placed.bounds[2:])
    share = covered(placed, n_rows, n_cols)
    np.testing.assert_allclose(share, oracle.cover_pixels(placed, n_rows, n_cols), atol=1e-9)
    assert share.sum() == pytest.approx(placed.area, rel=1e-9)


def test_pixels_of_an_outline_along_their_edges_are_whole_or_nothing() -> None:
    mask = np.array([[1, 1, 1, 0], [1, 0, 1, 0], [1, 1, 1, 1]], bool)
    (polygon,) = trace_masks([mask], [(0, 0)])
    np.testing.assert_array_equal(covered(polygon, 3, 4), mask.astype(float))


@settings(deadline=None, max_examples=100)
@given(
    st.tuples(st.integers(2, 7), st.integers(2, 7)).flatmap(
        lambda shape: arrays(np.float32, shape, elements=st.one_of(st.floats(-500, 4800, width=32), st.just(np.nan)))
    )
)
def test_gradient_is_that_of_the_twin(elevation: NDArray[np.float32]) -> None:
    found, expected = horn_gradient(elevation), oracle.horn_gradient(elevation)
    for one, other in zip(found, expected, strict=True):
        assert one.size == other.size
        if one.size:
            np.testing.assert_allclose(one, _without_centre(other, elevation), atol=1e-9)


def _without_centre(gradient: NDArray[np.float64], elevation: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.where(np.isnan(elevation[1:-1, 1:-1]), np.nan, gradient)


@pytest.mark.parametrize("sign", [1, -1])
def test_gradient_of_planes(sign: int) -> None:
    rows, cols = np.indices((5, 6)).astype(np.float32)
    along_cols, along_rows = horn_gradient(sign * (3 * cols - 7 * rows))
    assert (along_cols == 3 * sign).all()
    assert (along_rows == -7 * sign).all()


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 12).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.tuples(*[st.integers(0, n - 1)] * 2)))))
def test_labels_of_pairs_are_those_of_the_twin(things: tuple[int, list[tuple[int, int]]]) -> None:
    n, pairs = things
    one, other = np.array(pairs, np.int64).reshape(-1, 2).T
    np.testing.assert_array_equal(
        label_pairs(n, np.ascontiguousarray(one), np.ascontiguousarray(other)), oracle.label_pairs(n, pairs)
    )


@settings(deadline=None, max_examples=100)
@given(st.lists(MASKS.filter(lambda mask: bool(mask.any())), max_size=3), st.integers(-9, 9))
def test_joined_runs_are_the_traced_masks(masks: list[NDArray[np.bool_]], shift: int) -> None:
    corners = [(shift, index - shift) for index in range(len(masks))]
    joined = _joined_runs(masks, corners)
    assert joined.size == len(masks)
    assert shapely.equals(joined, trace_masks(masks, corners)).all()
