"""Features: their definitions, known values, and what they must not depend on."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage.measure import label, regionprops

from detector.features import FEATURES, INFRARED_FEATURES, RING_FEATURES, patch_features, straight_share
from detector.params import PatchParams
from detector.patches import find_patches
from detector.pixel_groups import PixelGroups, date_patches
from tests.detector.fakes import FIRST_LOW, LAEA, LAST_INTACT, UTM, blob, changed
from tiles.change import ChangedPixels, PixelState
from tiles.grid import Grid

ANY_SIZE = PatchParams(min_area_ha=0)
NAMES = [feature.name for feature in FEATURES]
#: Start of a ring decides which equal outline is drawn; these see the outline.
SHAPE = ["area_ha", "perimeter_m", "compactness", "elongation", "rectangularity", "solidity", "n_holes"]
NAT = np.datetime64("NaT", "D")


def features_of(pixels: ChangedPixels, grid: Grid = LAEA, params: PatchParams = ANY_SIZE) -> pd.DataFrame:
    return patch_features(find_patches(pixels, grid, params), pixels, grid)


def imagery_of(pixels: ChangedPixels, grid: Grid = LAEA) -> pd.DataFrame:
    """Features without those of the infrared, which is read later, of the state map, and of the scan's last day."""
    return features_of(pixels, grid).drop(columns=[*INFRARED_FEATURES, *RING_FEATURES, "clear_dates_a_month"])


def largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    labels = label(mask, connectivity=2)
    return np.asarray(labels == np.argmax(np.bincount(labels.ravel())[1:]) + 1)


def test_columns_are_those_of_the_table() -> None:
    assert list(features_of(changed(blob(3))).columns) == NAMES
    assert len(set(NAMES)) == len(NAMES)
    for feature in FEATURES:
        assert feature.unit
        assert feature.meaning
        assert feature.source


def test_no_patch_gives_an_empty_table_of_the_same_columns() -> None:
    table = features_of(changed(np.zeros((3, 3), bool)))
    assert list(table.columns) == NAMES
    assert len(table) == 0
    assert (table.dtypes == np.float64).all()


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000))
def test_values_lie_in_their_ranges(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = blob(seed)
    state = np.where(rng.random(mask.shape) < 0.3, PixelState.PROVISIONAL, PixelState.CONFIRMED)
    low = FIRST_LOW + rng.integers(0, 300, mask.shape)
    pixels = changed(mask, drop=rng.uniform(0.12, 1, mask.shape), state=state, first_low=low)
    table = imagery_of(pixels, UTM)
    assert len(table)
    # A patch that is all edge has no core.
    assert not table.drop(columns="edge_core_drop").isna().any(axis=None)
    for feature in (feature for feature in FEATURES if feature.name in table):
        low_bound, high_bound = feature.range
        assert low_bound is None or table[feature.name].min() >= low_bound - 1e-9, feature.name
        assert high_bound is None or table[feature.name].max() <= high_bound + 1e-9, feature.name


def drop_at(drop: NDArray[np.float64], *, edge: bool) -> float:
    """Mean drop of a rectangle's edge or core."""
    core = np.pad(np.ones(np.subtract(drop.shape, 2), bool), 1)
    return float(drop[core != edge].mean())


def test_known_square() -> None:
    drop = np.full((10, 10), 0.15)
    drop[:, :4] = 0.45
    after = np.where(drop > 0.2, 0.35, 0.65)
    state = np.full((10, 10), PixelState.CONFIRMED)
    (row,) = imagery_of(changed(drop > 0, 5, 5, drop=drop, ndvi_after=after, state=state)).to_dict("records")
    expected = {
        "ndvi_drop_mean": 0.27,
        "ndvi_drop_max": 0.45,
        "ndvi_drop_std": np.std(drop),
        "ndvi_before_mean": 0.8,
        "ndvi_after_mean": 0.53,
        "seed_share": 0.4,
        "n_low_mean": 3,
        "n_clear_before": 12,
        "n_clear_after": 4,
        "dating_interval_days": 20,
        "first_low_spread_days": 0,
        "first_low_doy": 160,  # 9 June 2019
        "area_ha": 1,
        "compactness": math.pi / 4,
        "elongation": 0,
        "rectangularity": 1,
        "solidity": 1,
        "n_holes": 0,
        "filled_share": 0,
        "confirmed_share": 1,
        "ndvi_before_std": 0,
        "ndvi_after_std": np.std(after),
        "bare_share": 0,
        "low_share": 0.75,
        "first_low_sin": math.sin(2 * math.pi * 159 / 365),
        "first_low_cos": math.cos(2 * math.pi * 159 / 365),
        "n_clear_before_std": 0,
        "straight_share": 1,
        "edge_core_drop": drop_at(drop, edge=True) - drop_at(drop, edge=False),
    }
    perimeter_m = row.pop("perimeter_m")
    # Equal area is not equal length, but nearly so in a few hundred kilometres of the projection's centre.
    assert perimeter_m == pytest.approx(400, rel=0.01)
    assert row == pytest.approx(expected, abs=1e-3)


def test_known_bar_and_disc() -> None:
    yy, xx = np.mgrid[-30:31, -30:31]
    bar = np.zeros((61, 61), bool)
    bar[30:35, 5:55] = True
    bar_row = features_of(changed(bar)).iloc[0]
    assert bar_row["elongation"] == pytest.approx(1 - 5 / 50, abs=1e-9)
    assert bar_row["compactness"] == pytest.approx(4 * math.pi * 250 / 110**2, rel=1e-2)
    disc_row = features_of(changed(yy**2 + xx**2 <= 28**2)).iloc[0]
    assert disc_row["elongation"] == pytest.approx(0, abs=1e-9)
    assert disc_row["compactness"] > 0.95  # 0.62 along the pixel edges
    assert disc_row["rectangularity"] == pytest.approx(math.pi / 4, abs=0.02)
    assert disc_row["solidity"] > 0.98


def test_confirmed_share_and_filled_share() -> None:
    state = np.full((12, 12), PixelState.CONFIRMED)
    state[2:10, 2:10] = PixelState.PROVISIONAL
    mask = np.ones((12, 12), bool)
    mask[5:7, 5:7] = False
    (row,) = features_of(changed(mask, state=state)).to_dict("records")
    assert row["confirmed_share"] == pytest.approx(80 / 140)
    assert row["filled_share"] == pytest.approx(4 / 144)
    assert row["n_holes"] == 1


def test_straight_share_counts_the_long_pieces_of_shells_and_holes() -> None:
    shell = [(0, 0), (100, 0), (100, 80), (50, 80), (50, 40), (0, 40)]  # pieces of 100, 80, 50, 40, 50, 40 m
    holed = shapely.Polygon([(0, 0), (200, 0), (200, 200), (0, 200)], [[(50, 50), (80, 50), (80, 80), (50, 80)]])
    both = shapely.MultiPolygon([shapely.box(0, 0, 60, 10), shapely.box(100, 0, 110, 10)])
    share = straight_share(np.array([shapely.Polygon(shell), holed, both], object))
    np.testing.assert_allclose(share, [180 / 360, 800 / 920, 120 / 180])
    assert straight_share(np.empty(0, object)).size == 0


def test_recovering_and_bare_pixels() -> None:
    pixels = changed(np.ones((2, 5), bool), n_low=2, n_clear_after=5, ndvi_after=[[0.29], [0.31]])
    row = features_of(pixels).iloc[0]
    assert row["low_share"] == pytest.approx(0.4)
    assert row["bare_share"] == pytest.approx(0.5)
    assert np.isnan(features_of(changed(blob(3), n_clear_after=0))["low_share"]).all()


@pytest.mark.parametrize("seed", range(10))
def test_elongation_is_that_of_skimage_for_square_pixels(seed: int) -> None:
    mask = largest(blob(seed))
    pixels = changed(mask)
    (patch,) = find_patches(pixels, LAEA, ANY_SIZE)
    (region,) = regionprops(patch.mask.astype(np.uint8))
    # skimage takes pixels for points; ours are squares, each with a variance of 1/12 along both axes.
    minor, major = (axis**2 / 16 + 1 / 12 for axis in (region.axis_minor_length, region.axis_major_length))
    expected = 1 - math.sqrt(minor / major)
    assert patch_features([patch], pixels, LAEA)["elongation"][0] == pytest.approx(expected, abs=1e-9)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.integers(0, 150), st.integers(0, 150))
def test_place_does_not_change_features(seed: int, row: int, col: int) -> None:
    here, there = features_of(changed(blob(seed))), features_of(changed(blob(seed), row, col))
    pd.testing.assert_frame_equal(here, there, rtol=2e-4, atol=1e-6)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.integers(0, 3), st.booleans())
def test_turns_and_mirrors_do_not_change_shapes(seed: int, quarter_turns: int, mirrored: bool) -> None:
    mask = largest(blob(seed))
    turned = np.rot90(mask, quarter_turns)[:, :: -1 if mirrored else 1]
    # Millimetres of difference come from the projection, whose scale differs by direction.
    pd.testing.assert_frame_equal(
        features_of(changed(mask), UTM)[SHAPE], features_of(changed(turned), UTM)[SHAPE], rtol=1e-5, atol=1e-6
    )


def test_features_follow_the_order_of_the_patches() -> None:
    pixels = changed(blob(5) | np.pad(np.ones((3, 3), bool), ((36, 1), (1, 36))))
    patches = find_patches(pixels, LAEA, ANY_SIZE)
    assert len(patches) > 2
    straight = patch_features(patches, pixels, LAEA)
    backward = patch_features(patches[::-1], pixels, LAEA)
    pd.testing.assert_frame_equal(straight, backward[::-1].reset_index(drop=True))


def test_what_is_unknown_is_not_zero() -> None:
    pixels = changed(np.ones((3, 3), bool), ndvi_before=np.nan, ndvi_after=np.nan, last_intact=NAT)
    row = imagery_of(pixels).iloc[0]
    unknown = ["ndvi_before_mean", "ndvi_before_std", "ndvi_after_mean", "ndvi_after_std", "bare_share"]
    unknown.append("dating_interval_days")
    assert row[unknown].isna().all()
    assert not row.drop(unknown).isna().any()


def test_clear_dates_a_month_counts_from_the_first_low_date_to_the_last_day() -> None:
    pixels = changed(np.ones((3, 3), bool), n_clear_after=4)
    patches = find_patches(pixels, LAEA, ANY_SIZE)
    last_day = FIRST_LOW.item() + dt.timedelta(days=60)
    (found,) = patch_features(patches, pixels, LAEA, last_day=last_day)["clear_dates_a_month"]
    assert found == pytest.approx(4 / (61 / (365.25 / 12)))


def test_one_unknown_pixel_is_left_out() -> None:
    after = np.full((3, 3), 0.3)
    after[1, 1] = np.nan
    assert features_of(changed(after > -1, ndvi_after=0.3))["ndvi_after_mean"][0] == pytest.approx(0.3)
    mask = np.ones((3, 3), bool)
    assert features_of(changed(mask, ndvi_after=after))["ndvi_after_mean"][0] == pytest.approx(0.3)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.lists(st.floats(-1, 1) | st.just(math.nan), min_size=1, max_size=7), min_size=1, max_size=5))
def test_group_statistics_are_those_of_each_group(groups: list[list[float]]) -> None:
    values = np.array([value for group in groups for value in group])
    stops = np.cumsum([len(group) for group in groups])
    index = [np.arange(stop - len(group), stop) for stop, group in zip(stops, groups, strict=True)]
    by_patch = PixelGroups(index[::-1])
    for i, group in enumerate(groups[::-1]):
        known = np.array([value for value in group if not math.isnan(value)])
        found = [
            by_patch.mean(values)[i],
            by_patch.std(values)[i],
            by_patch.max(values)[i],
        ]
        if known.size:
            np.testing.assert_allclose(found, [known.mean(), known.std(), known.max()], atol=1e-12)
        else:
            assert np.isnan(found).all()


def dates(*days: str) -> NDArray[np.datetime64]:
    return np.array([days], "datetime64[D]")


@pytest.mark.parametrize(
    ("last_intact", "first_low", "expected"),
    [
        # One pixel under an unseen cloud moves neither end.
        (
            dates("2018-09-01", "2019-05-20", "2019-05-20"),
            dates("2019-06-09", "2019-06-09", "2019-08-01"),
            ("2019-05-20", "2019-06-09"),
        ),
        # Of two dates the lower one, a date that was observed.
        (dates("2019-05-10", "2019-05-20"), dates("2019-06-01", "2019-06-09"), ("2019-05-10", "2019-06-01")),
        # Never seen intact: as if long ago, so that the majority decides.
        (dates("NaT", "2019-05-20", "2019-05-20"), dates(*["2019-06-09"] * 3), ("2019-05-20", "2019-06-09")),
        (dates("NaT", "NaT", "2019-05-20"), dates(*["2019-06-09"] * 3), ("NaT", "2019-06-09")),
        # A table that contradicts itself still gives an interval.
        (
            dates("2019-05-10", "2019-06-20", "2019-06-20"),
            dates(*["2019-06-09"] * 3),
            ("2019-05-10", "2019-06-09"),
        ),
        (dates("2019-06-20", "2019-06-20"), dates("2019-06-09", "2019-06-09"), ("NaT", "2019-06-09")),
    ],
)
def test_dating(
    last_intact: NDArray[np.datetime64], first_low: NDArray[np.datetime64], expected: tuple[str, str]
) -> None:
    pixels = changed(np.ones(first_low.shape, bool), last_intact=last_intact, first_low=first_low)
    found = date_patches(find_patches(pixels, LAEA, ANY_SIZE), pixels)
    np.testing.assert_array_equal(np.concatenate(found), np.array(expected, "datetime64[D]"))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_interval_is_never_empty(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 6, 2))
    intact = LAST_INTACT + rng.integers(-200, 200, shape)
    intact[rng.random(shape) < 0.2] = NAT
    low = FIRST_LOW + rng.integers(-200, 200, shape)
    pixels = changed(np.ones(shape, bool), last_intact=intact, first_low=low)
    last_intact, first_low = date_patches(find_patches(pixels, LAEA, ANY_SIZE), pixels)
    assert first_low[0] in low
    assert np.isnat(last_intact[0]) or last_intact[0] < first_low[0]
    assert np.isnat(last_intact[0]) or last_intact[0] in intact
