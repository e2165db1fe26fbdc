"""Patches of drawn change maps: which pixels, which hectares, which outlines."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pyproj
import pytest
import shapely
import shapely.affinity
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from detector.params import PatchParams
from detector.patches import Patch, find_patches
from tests.detector.fakes import FIRST_LOW, LAEA, UTM, blob, changed, draw
from tiles.change import PixelState
from tiles.errors import InvalidParameterError
from tiles.grid import Grid

ANY_SIZE = PatchParams(min_area_ha=0)
SQUARE = np.ones((10, 10), bool)
PROVISIONAL, CONFIRMED = PixelState.PROVISIONAL, PixelState.CONFIRMED


def ground(patches: list[Patch], shape: tuple[int, int]) -> NDArray[np.int64]:
    """How many patches hold each pixel."""
    count = np.zeros(shape, np.int64)
    for patch in patches:
        rows, cols = patch.mask.shape
        count[patch.row : patch.row + rows, patch.col : patch.col + cols] += patch.mask
    return count


def test_a_square_hectare_on_an_equal_area_grid() -> None:
    (patch,) = find_patches(changed(SQUARE, 20, 30), LAEA, PatchParams())
    assert patch.area_ha == pytest.approx(1, abs=1e-5)
    assert patch.pixels.tolist() == list(range(100))
    assert (patch.row, patch.col, patch.mask.shape) == (20, 30, (10, 10))
    assert patch.exact.bounds == (3_800_300, 2_499_700, 3_800_400, 2_499_800)
    assert patch.outline.equals(patch.exact)


def test_a_square_of_utm_is_larger_on_the_ground_near_the_central_meridian() -> None:
    (patch,) = find_patches(changed(SQUARE, 20, 100), UTM, PatchParams())
    assert patch.area_ha == pytest.approx(1 / 0.9996**2, rel=1e-6)
    # Independently: the area of the same ground on an equal-area projection centred there.
    local = pyproj.Transformer.from_crs("EPSG:32631", "+proj=laea +lat_0=45.15 +lon_0=3 +ellps=WGS84", always_xy=True)
    x, y = local.transform(*shapely.segmentize(patch.exact, 1).exterior.xy)
    assert patch.area_ha == pytest.approx(shapely.Polygon(zip(x, y, strict=True)).area / 1e4, rel=1e-7)


@pytest.mark.parametrize(("pixels", "found"), [(49, 0), (50, 1)])
def test_minimum_area(pixels: int, found: int) -> None:
    mask = np.arange(50).reshape(5, 10) < pixels
    assert len(find_patches(changed(mask, 5, 5), LAEA, PatchParams())) == found


def test_minimum_area_is_that_of_the_ellipsoid() -> None:
    """Fifty UTM pixels at the edge of a zone are less than half a hectare on the ground."""
    mask = np.ones((5, 10), bool)
    edge = Grid(UTM.crs, UTM.transform @ UTM.transform.translation(25_000, 0), (200, 200))
    assert len(find_patches(changed(mask), UTM, PatchParams())) == 1
    assert len(find_patches(changed(mask), edge, PatchParams())) == 0


@pytest.mark.parametrize(("strongest", "found"), [(0.20, 1), (0.1999, 0)])
def test_a_patch_needs_a_seed(strongest: float, found: int) -> None:
    drop = np.full(SQUARE.shape, 0.15)
    drop[4, 6] = strongest
    patches = find_patches(changed(SQUARE, drop=drop), LAEA, PatchParams())
    assert len(patches) == found
    assert [patch.n_seeds for patch in patches] == [1] * found


@pytest.mark.parametrize(("weak", "members"), [(0.12, 100), (0.1199, 50), (np.nan, 50), (-0.4, 50)])
def test_growth_stops_at_the_weak_threshold(weak: float, members: int) -> None:
    drop = np.where(np.arange(10) < 5, 0.4, weak)
    (patch,) = find_patches(changed(SQUARE, drop=np.tile(drop, (10, 1))), LAEA, PatchParams())
    assert patch.pixels.size == members
    assert patch.area_ha == pytest.approx(members / 100, abs=1e-5)


def test_weak_pixels_join_two_seeds() -> None:
    drop = np.array([[0.3, 0.13, 0.13, 0.3]])
    assert len(find_patches(changed(drop > 0, drop=drop), LAEA, ANY_SIZE)) == 1
    drop[0, 1] = 0.11
    assert len(find_patches(changed(drop > 0, drop=drop), LAEA, ANY_SIZE)) == 2


def test_other_states_are_never_members() -> None:
    for state in (PixelState.NOT_FOREST, PixelState.INTACT, PixelState.UNOBSERVED):
        assert find_patches(changed(SQUARE, state=state), LAEA, ANY_SIZE) == []


def test_hole_is_filled_and_counted_in_the_area() -> None:
    mask = SQUARE.copy()
    mask[3:6, 3:6] = False
    mask[8, 8] = False
    (patch,) = find_patches(changed(mask), LAEA, PatchParams())
    assert patch.n_holes == 2
    assert patch.mask.all()
    assert patch.area_ha == pytest.approx(1, abs=1e-5)
    assert patch.pixels.size == 90
    assert shapely.get_num_interior_rings(patch.exact) == 0


def test_island_in_a_hole_belongs_to_the_ring() -> None:
    mask = np.ones((11, 11), bool)
    mask[2:9, 2:9] = False
    mask[4:7, 4:7] = True
    (patch,) = find_patches(changed(mask), LAEA, ANY_SIZE)
    assert patch.pixels.size == mask.sum()
    assert patch.area_ha == pytest.approx(1.21, abs=1e-5)


def test_weak_pixels_of_a_hole_are_its_ground_and_not_its_pixels() -> None:
    drop = np.full((10, 10), 0.4)
    drop[4:6, 4:6] = 0.05
    pixels = changed(SQUARE, drop=drop)
    (patch,) = find_patches(pixels, LAEA, PatchParams())
    assert patch.pixels.size == 96
    assert pixels.ndvi_drop[patch.pixels].min() >= 0.12
    assert patch.area_ha == pytest.approx(1, abs=1e-5)


def _weeks_apart(state: NDArray[Any]) -> NDArray[Any]:
    """First low dates such that provisional losses began three weeks after confirmed ones."""
    return np.where(state == PROVISIONAL, FIRST_LOW + 21, FIRST_LOW)


def test_a_cut_half_hidden_on_its_second_date_is_one_patch() -> None:
    state = np.where(np.arange(12) < 6, CONFIRMED, PROVISIONAL) * np.ones((8, 1), int)
    shifted = np.where(state == PROVISIONAL, FIRST_LOW + 10, FIRST_LOW)
    for first_low in (FIRST_LOW, shifted):
        pixels = changed(np.ones((8, 12), bool), state=state, first_low=first_low)
        (patch,) = find_patches(pixels, LAEA, PatchParams())
        assert patch.area_ha == pytest.approx(0.96, abs=1e-5)
        assert set(pixels.state[patch.pixels]) == {CONFIRMED, PROVISIONAL}


def test_a_large_hole_is_no_loss() -> None:
    ring = np.ones((40, 40), bool)
    ring[2:38, 2:38] = False
    (patch,) = find_patches(changed(ring), LAEA, PatchParams())
    assert patch.area_ha == pytest.approx(ring.sum() / 100, abs=1e-5)
    assert patch.n_holes == 1
    (filled,) = find_patches(changed(ring), LAEA, PatchParams(max_hole_ha=12.96))
    assert filled.area_ha == pytest.approx(16, abs=1e-4)


def test_provisional_heart_of_a_confirmed_ring_is_absorbed() -> None:
    state = np.full((12, 12), CONFIRMED)
    state[3:9, 3:9] = PROVISIONAL
    pixels = changed(np.ones((12, 12), bool), state=state, first_low=_weeks_apart(state))
    (patch,) = find_patches(pixels, LAEA, PatchParams())
    assert patch.pixels.size == 144
    assert patch.area_ha == pytest.approx(1.44, abs=1e-5)


def test_provisional_haze_around_a_confirmed_opening_does_not_hide_it() -> None:
    state = np.full((20, 20), PROVISIONAL)
    state[5:15, 5:15] = CONFIRMED
    pixels = changed(np.ones((20, 20), bool), state=state, first_low=_weeks_apart(state))
    haze, opening = find_patches(pixels, LAEA, PatchParams())
    assert np.unique(pixels.state[opening.pixels]).tolist() == [CONFIRMED]
    assert opening.area_ha == pytest.approx(1, abs=1e-5)
    assert haze.area_ha == pytest.approx(3, abs=1e-5)  # the opening's hectare is counted once
    assert shapely.area(shapely.intersection(haze.exact, opening.exact)) == 0
    assert shapely.area(shapely.intersection(haze.outline, opening.outline)) == 0


def test_provisional_and_confirmed_neighbours_stay_apart() -> None:
    state = np.where(np.arange(20) < 10, CONFIRMED, PROVISIONAL) * np.ones((10, 1), int)
    pixels = changed(np.ones((10, 20), bool), state=state, first_low=_weeks_apart(state))
    patches = find_patches(pixels, LAEA, PatchParams())
    assert [np.unique(pixels.state[p.pixels]).tolist() for p in patches] == [[CONFIRMED], [PROVISIONAL]]
    assert [p.area_ha for p in patches] == pytest.approx([1, 1], abs=1e-5)


def test_provisional_bridge_does_not_glue_confirmed_openings() -> None:
    state = np.full((10, 25), CONFIRMED)
    state[:, 10:15] = PROVISIONAL
    patches = find_patches(
        changed(np.ones((10, 25), bool), state=state, first_low=_weeks_apart(state)), LAEA, PatchParams()
    )
    assert [p.col for p in patches] == [0, 10, 15]


def test_corner_touch_is_one_patch_of_valid_geometry() -> None:
    mask = draw("###...", "###...", "###...", "...###", "...###", "...###")
    (patch,) = find_patches(changed(mask), LAEA, ANY_SIZE)
    assert patch.exact.geom_type == "MultiPolygon"
    assert patch.exact.is_valid
    assert patch.outline.is_valid
    assert patch.area_ha == pytest.approx(0.18, abs=1e-5)


@pytest.mark.parametrize(("row", "col"), [(0, 0), (0, 190), (190, 0), (190, 190)])
def test_patch_at_the_edge_of_the_tile(row: int, col: int) -> None:
    mask = SQUARE.copy()
    mask[0 if row == 0 else -1, 3:6] = False  # a notch on the edge is no hole: what lies beyond is not known
    (patch,) = find_patches(changed(mask, row, col), LAEA, PatchParams())
    assert patch.n_holes == 0
    assert patch.area_ha == pytest.approx(0.97, abs=1e-5)
    assert shapely.box(*LAEA.bounds).covers(patch.exact)


def test_nothing_changed() -> None:
    assert find_patches(changed(np.zeros((4, 4), bool)), UTM, PatchParams()) == []


def test_patches_come_in_row_major_order() -> None:
    state = np.array([[PROVISIONAL, 0, CONFIRMED, 0, PROVISIONAL]])
    patches = find_patches(changed(state > 0, state=state), LAEA, ANY_SIZE)
    assert [patch.col for patch in patches] == [0, 2, 4]


@settings(deadline=None, max_examples=80)
@given(
    st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(
        lambda shape: arrays(np.uint8, shape, elements=st.sampled_from([0, 2, 3, 3]))
    )
)
def test_no_pixel_is_counted_twice_nor_lost(state: NDArray[np.uint8]) -> None:
    pixels = changed(state > 0, 2, 3, state=state)
    patches = find_patches(pixels, LAEA, ANY_SIZE)
    held = ground(patches, (20, 20))
    assert held.max(initial=0) <= 1
    assert (held[pixels.row, pixels.col] == 1).all()
    owners = np.concatenate([p.pixels for p in patches]) if patches else np.empty(0, int)
    assert sorted(owners) == list(range(pixels.row.size))
    for patch in patches:
        assert patch.exact.is_valid
        assert patch.outline.is_valid
        assert patch.exact.area == pytest.approx(100 * patch.mask.sum())
        assert shapely.hausdorff_distance(patch.exact.boundary, patch.outline.boundary, densify=0.05) <= 5 + 1e-6
        assert set(zip(pixels.row[patch.pixels], pixels.col[patch.pixels], strict=True)) <= set(
            zip(*(np.argwhere(patch.mask) + np.array([patch.row, patch.col])).T, strict=True)
        )
    for one, other in itertools.combinations(patches, 2):
        assert shapely.area(shapely.intersection(one.exact, other.exact)) == 0


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.integers(0, 150), st.integers(0, 150))
def test_moving_the_pixels_moves_the_patches(seed: int, row: int, col: int) -> None:
    here = find_patches(changed(blob(seed)), LAEA, PatchParams(min_area_ha=0.05))
    there = find_patches(changed(blob(seed), row, col), LAEA, PatchParams(min_area_ha=0.05))
    assert len(here) == len(there)
    for a, b in zip(here, there, strict=True):
        np.testing.assert_array_equal(a.mask, b.mask)
        np.testing.assert_array_equal(a.pixels, b.pixels)
        moved = shapely.affinity.translate(a.outline, 10 * col, -10 * row)
        assert shapely.hausdorff_distance(moved, b.outline) < 1e-6


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_area_ha": -0.1},
        {"min_area_ha": np.nan},
        {"min_area_ha": np.inf},
        {"seed_drop": 0.1},
        {"growth_drop": 0.0},
        {"growth_drop": np.nan},
        {"seed_drop": 2.5},
        {"simplify_tolerance_px": -0.5},
        {"simplify_tolerance_px": 1.5},
        {"confirmed_share": 0.0},
        {"confirmed_share": 1.1},
    ],
    ids=str,
)
def test_parameters_outside_their_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameterError, match=next(iter(wrong))):
        PatchParams(**wrong)
