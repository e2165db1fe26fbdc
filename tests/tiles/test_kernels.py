"""Every kernel against its plain-numpy twin: both signs, empty, all masked, saturated, odd sizes."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from tests.oracles import pixels as oracle
from tiles import kernels
from tiles.clear import CLEAR_CLASSES, OBSCURING_CLASSES, class_bits
from tiles.reference import design_matrix

quick = settings(max_examples=60, deadline=None)
# The ends of the range, what ESA's offset makes of dark pixels, and the rest.
digital_numbers = st.sampled_from([0, 1, 999, 1000, 1001, 10_000, 65_535]) | st.integers(0, 65_535)
offsets = st.sampled_from([0, -1000])


@st.composite
def dates_of_a_scene(draw: st.DrawFn) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Two dates of (red, nir, scl, offset) on one grid, the classification once or twice as coarse."""
    size = draw(st.sampled_from([1, 2]))
    rows, cols = draw(st.integers(1, 7)), draw(st.integers(1, 9))

    def date() -> tuple[Any, ...]:
        bands = [draw(hnp.arrays(np.uint16, (rows * size, cols * size), elements=digital_numbers)) for _ in range(2)]
        scl = draw(hnp.arrays(np.uint8, (rows, cols), elements=st.sampled_from([0, 4, 4, 5, 8, 11, 255])))
        return (*bands, scl, draw(offsets))

    return date(), date()


def _change(kernel: Any, before: tuple[Any, ...], after: tuple[Any, ...], out: NDArray[np.int16]) -> None:
    kernel(*before, *after, class_bits(CLEAR_CLASSES), out)


@quick
@given(dates_of_a_scene())
def test_change_of_two_dates_is_the_difference_of_two_ndvi(dates: tuple[Any, Any]) -> None:
    before, after = dates
    out = np.empty(before[0].shape, np.int16)
    also = np.empty_like(out)
    _change(kernels.ndvi_change, before, after, out)
    _change(kernels.ndvi_change_parallel, before, after, also)
    expected = oracle.ndvi_change(before, after, CLEAR_CLASSES)
    np.testing.assert_array_equal(out, also)
    np.testing.assert_array_equal(out == kernels.MISSING, expected == kernels.MISSING)
    # One unit is 0.0001 NDVI; the twin divides twice in double precision, the kernel once in single.
    seen = expected != kernels.MISSING
    tolerance = 1 + 4e-7 * _conditioning(before, after)[seen]
    assert (np.abs(out[seen] - expected[seen]) <= tolerance).all()


def _conditioning(before: Any, after: Any) -> NDArray[np.float64]:
    """How much larger than the result the kernel's intermediate terms are, in units of NDVI * 10000."""
    ratios = []
    for red, nir, _, offset in (before, after):
        total = red.astype(float) + nir + 2 * offset
        ratios.append(np.abs(nir.astype(float) - red) / np.where(total > 0, total, np.inf))
    return np.asarray(10_000 * np.maximum(ratios[0], ratios[1]))


def test_change_has_the_sign_of_the_second_date_minus_the_first() -> None:
    forest_red, forest_nir, bare_red, bare_nir = (np.full((2, 2), dn, np.uint16) for dn in (300, 3300, 1500, 2500))
    scl = np.full((1, 1), 4, np.uint8)
    out = np.empty((2, 2), np.int16)
    forest, bare = (forest_red, forest_nir, scl, 0), (bare_red, bare_nir, scl, 0)
    _change(kernels.ndvi_change, forest, bare, out)
    assert (out == round(1e4 * (1000 / 4000 - 3000 / 3600))).all()
    _change(kernels.ndvi_change, bare, forest, out)
    assert (out == round(1e4 * (3000 / 3600 - 1000 / 4000))).all()


def test_change_of_nothing_is_nothing() -> None:
    empty, classes = np.empty((0, 0), np.uint16), np.empty((0, 0), np.uint8)
    out = np.empty((0, 0), np.int16)
    for kernel in (kernels.ndvi_change, kernels.ndvi_change_parallel):
        kernel(empty, empty, classes, 0, empty, empty, classes, 0, class_bits(CLEAR_CLASSES), out)
    assert out.size == 0


@quick
@given(st.data(), st.integers(1, 2), st.booleans())
def test_gathered_ndvi_is_that_of_the_watched_pixels(data: st.DataObject, size: int, keep_nir: bool) -> None:
    from tiles.engine import forest_runs

    rows, cols = data.draw(st.integers(1, 6)) * size, data.draw(st.integers(1, 9)) * size
    red, nir = (data.draw(hnp.arrays(np.uint16, (rows, cols), elements=digital_numbers)) for _ in range(2))
    clear = data.draw(hnp.arrays(np.uint8, (rows // size, cols // size), elements=st.integers(0, 1)))
    mask = data.draw(hnp.arrays(bool, (rows, cols)))
    offset = data.draw(offsets)
    runs, cells = forest_runs(mask, 4)
    ndvi = np.empty(cells[-1], np.int16)
    level = np.empty(cells[-1] if keep_nir else 0, np.int16)
    kernels.gather_ndvi(red, nir, clear, size, offset, runs, ndvi, level)
    back = np.full(mask.shape, 7, np.int16)
    kernels.scatter(ndvi, runs, back)
    again = np.empty_like(ndvi)
    kernels.collect(back, runs, again)
    np.testing.assert_array_equal(again, ndvi)
    expected = oracle.ndvi(red, nir, np.repeat(np.repeat(clear, size, 0), size, 1), offset)
    assert (back[~mask] == 7).all()
    np.testing.assert_array_equal(back[mask] == kernels.MISSING, expected[mask] == kernels.MISSING)
    assert (np.abs(back[mask].astype(int) - expected[mask]) <= 1).all()
    if keep_nir:
        seen = mask & (back != kernels.MISSING)
        kernels.scatter(level, runs, back)
        np.testing.assert_array_equal(back[seen], np.minimum(nir[seen].astype(int) + offset, 32_767))


@quick
@given(
    hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 12)), elements=st.integers(0, 12)),
    st.integers(0, 3),
    st.data(),
)
def test_clear_mask_keeps_its_distance(scl: NDArray[np.uint8], margin: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, scl.shape[0] - 1))
    rows = data.draw(st.integers(0, scl.shape[0] - first))
    out = np.full((rows, scl.shape[1]), 9, np.uint8)
    kernels.clear_mask(scl, first, class_bits(CLEAR_CLASSES), class_bits(OBSCURING_CLASSES), margin, out)
    expected = oracle.clear_mask(scl, first, CLEAR_CLASSES, OBSCURING_CLASSES, margin, rows)
    np.testing.assert_array_equal(out, expected)


def _series(seed: int, pixels: int, missing: float, dates: int = 40) -> tuple[NDArray[np.int16], list[dt.date]]:
    rng = np.random.default_rng(seed)
    days = [dt.date(2016, 1, 3) + dt.timedelta(days=int(day)) for day in np.sort(rng.choice(1000, dates, False))]
    curve = design_matrix(days, 1) @ np.array([0.75, -0.1, 0.03])
    values = curve[:, None] + rng.normal(0, 0.03, (dates, pixels)) - 0.4 * (rng.random((dates, pixels)) < 0.1)
    ndvi = np.round(1e4 * values.clip(-1, 1)).astype(np.int16)
    ndvi[rng.random((dates, pixels)) < missing] = kernels.MISSING
    return ndvi, days


@pytest.mark.parametrize("missing", [0.0, 0.3, 0.7, 1.0])
@pytest.mark.parametrize(("trims", "ridge"), [(0, 0.0), (0, 0.1), (1, 0.1), (3, 0.0)])
def test_fit_is_that_of_numpy(missing: float, trims: int, ridge: float) -> None:
    ndvi, days = _series(3, 50, missing)
    design = design_matrix(days, 2)
    coefficients, peak = np.empty((5, 50), np.float32), np.empty(50, np.float32)
    count = np.empty(50, np.int16)
    kernels.fit_harmonics(ndvi, design, ridge, 10, trims, 2.0, 0.04, coefficients, peak, count)
    expected = oracle.fit_harmonics(ndvi, design, ridge, 10, trims, 2.0, 0.04)
    np.testing.assert_array_equal(count, expected[2])
    np.testing.assert_allclose(coefficients, expected[0], atol=2e-6)
    np.testing.assert_allclose(peak, expected[1], atol=2e-6)
    assert np.isnan(coefficients).all() == (missing == 1.0)


def test_fit_leaves_haze_out() -> None:
    ndvi, days = _series(4, 200, 0.2)
    design = design_matrix(days, 1)
    true = np.array([0.75, -0.1, 0.03])
    errors = []
    for trims in (0, 1):
        coefficients = np.empty((3, 200), np.float32)
        kernels.fit_harmonics(
            ndvi, design, 0.0, 10, trims, 2.0, 0.04, coefficients, np.empty(200, np.float32), np.empty(200, np.int16)
        )
        errors.append(float(np.abs(coefficients[0] - true[0]).mean()))
    assert errors[1] < errors[0] / 2


def test_fit_that_dates_do_not_determine_is_none() -> None:
    # Ten times the same day of the year: five coefficients cannot be told from it.
    days = [dt.date(2018, 6, 1)] * 12
    coefficients = np.empty((5, 1), np.float32)
    kernels.fit_harmonics(
        np.full((12, 1), 8000, np.int16), design_matrix(days, 2), 0.0, 10, 1, 2.0, 0.04,
        coefficients, np.empty(1, np.float32), np.empty(1, np.int16),
    )  # fmt: skip
    assert np.isnan(coefficients).all()


@quick
@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 5, 33]), st.sampled_from([1, 3, 5]))
def test_monitoring_tells_the_same_story_as_its_twin(seed: int, pixels: int, terms: int) -> None:
    rng = np.random.default_rng(seed)
    dates = int(rng.integers(1, 14))
    cells = np.array([0, pixels // 3, pixels // 3, pixels], np.int64)
    ndvi = rng.choice(
        np.array([kernels.MISSING, 3000, 6000, 7000, 7600, 8000, 10_000, -10_000], np.int16), (dates, pixels)
    )
    nir = rng.integers(500, 4500, (dates, pixels)).astype(np.int16)
    known = rng.random(pixels) < 0.9
    codes = np.where(known, np.array([75, 12, -5, 3, -2])[:terms, None], 0).astype(np.int8)
    lowest = np.where(known, 175, 255).astype(np.uint8)
    design = rng.normal(size=(dates, terms)).astype(np.float32)
    design[:, 0] = 1
    shape = (dates, 3)
    quality: dict[str, NDArray[Any]] = {
        "usable": rng.random(shape) < 0.9,
        "background": rng.normal(0, 0.03, shape).astype(np.float32),
        "low_drop": rng.uniform(0.12, 0.2, shape).astype(np.float32),
        "convincing": rng.random(shape) < 0.5,
        "nir_level": rng.uniform(2000, 4000, shape).astype(np.float32),
    }
    counts, when, sums = (
        np.zeros((5, pixels), np.int16),
        np.full((3, pixels), -1, np.int16),
        np.zeros((2, pixels), np.float32),
    )
    brightness, days = np.zeros(pixels, np.uint8), (17_000 + 5 * np.arange(dates)).astype(np.int16)
    kernels.monitor(
        ndvi, nir, codes, lowest, design, cells, quality["usable"], quality["background"],
        quality["low_drop"], 0.08, quality["convincing"], quality["nir_level"], 0.9, 3, days,
        counts, when, sums, brightness,
    )  # fmt: skip
    expected = (0.004 * (design @ codes.astype(np.float64)) + 0.5).astype(np.float32)
    told = oracle.monitor(ndvi, nir, expected, lowest * np.float32(0.004), cells, quality, days, 0.08, 0.9, 3)
    everywhere = {"n_low": counts[0], "n_before": counts[2], "last_intact": when[0], "last_seen": when[2]}
    suspected = told["n_low"] > 0
    of_suspicions = {"n_intact": counts[1], "n_after": counts[3], "alone": counts[4], "first_low": when[1]}
    for name, values in everywhere.items():
        np.testing.assert_array_equal(values, told[name], err_msg=name)
    for name, values in of_suspicions.items():
        np.testing.assert_array_equal(values[suspected], told[name][suspected], err_msg=name)
    np.testing.assert_allclose(sums[0][suspected], told["before"][suspected], atol=1e-5)
    np.testing.assert_allclose(sums[1][suspected], told["after"][suspected], atol=1e-5)
    np.testing.assert_array_equal(brightness, told["level"])


def test_histograms_count_each_clear_forest_pixel_once() -> None:
    rng = np.random.default_rng(5)
    ndvi = rng.integers(-10_000, 10_001, (3, 1000)).astype(np.int16)
    ndvi[:, ::7] = kernels.MISSING
    nir = rng.integers(-500, 12_000, (3, 1000)).astype(np.int16)
    codes = np.full((1, 1000), 75, np.int8)
    lowest = np.where(np.arange(1000) < 900, 150, 255).astype(np.uint8)
    cells = np.array([0, 400, 1000], np.int64)
    for stride in (1, 4):
        anomalies = np.zeros((3, 2, kernels.HISTOGRAM_BINS), np.int64)
        levels = np.zeros((3, 2, kernels.NIR_BINS), np.int64)
        kernels.anomaly_histograms(
            ndvi, nir, codes, lowest, np.ones((3, 1), np.float32), cells, np.full(2, stride), anomalies, levels
        )
        for cell, part in enumerate((slice(0, 400, stride), slice(400, 900, stride))):
            seen = ndvi[:, part] != kernels.MISSING
            assert (anomalies[:, cell].sum(axis=1) == seen.sum(axis=1)).all()
            assert (levels[:, cell].sum(axis=1) == seen.sum(axis=1)).all()
            edges = np.linspace(-1, 1, kernels.HISTOGRAM_BINS + 1)
            for date in range(3):
                values = (ndvi[date, part][seen[date]] / 1e4 - 0.8).clip(-1, 1 - 1e-9)
                counted = np.histogram(values, edges)[0].cumsum()
                # A value on the edge of a bin may fall to either side of it in single precision.
                assert np.abs(counted - anomalies[date, cell].cumsum()).max() <= 3


@quick
@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 7, 64]))
def test_states_are_those_of_its_twin(seed: int, pixels: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 4, (5, pixels)).astype(np.int16)
    counts[4] = rng.random(pixels) < 0.5
    when = rng.choice(np.array([-1, 90, 100, 110, 120], np.int16), (3, pixels))
    sums = rng.uniform(0, 2, (2, pixels)).astype(np.float32)
    inside = rng.random(pixels) < 0.8
    out = np.empty(pixels, np.uint8)
    observed = kernels.classify(counts, when, sums, inside, 110, 100, 2, 0.2, out)
    states, expected_observed = oracle.classify(counts, when, sums, inside, 110, 100, 2, 0.2)
    np.testing.assert_array_equal(out, states)
    assert observed == expected_observed


@quick
@given(
    hnp.arrays(np.uint8, (7, 9), elements=st.integers(0, 1)), hnp.arrays(np.uint8, (7, 9), elements=st.integers(0, 1))
)
def test_the_common_box_holds_all_that_two_masks_share_and_no_more(
    mask: NDArray[np.uint8], other: NDArray[np.uint8]
) -> None:
    rows, cols = np.nonzero(mask & other)
    expected = (rows.min(), rows.max() + 1, cols.min(), cols.max() + 1) if rows.size else (0, 0, 0, 0)
    assert kernels.common_box(mask, other) == expected


@quick
@given(
    st.sampled_from([np.uint8, np.uint16]).flatmap(
        lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40))
    ),
    st.data(),
)
def test_differences_are_added_up_as_by_their_twin(differences: NDArray[Any], data: st.DataObject) -> None:
    left = data.draw(st.integers(0, differences.shape[1] - 1))
    cols = data.draw(st.integers(1, differences.shape[1] - left))
    # A part of a larger array, as the reader has it.
    out = np.full((differences.shape[0], cols + 3), 7, differences.dtype)
    kernels.add_differences(differences, left, out[:, 1 : 1 + cols])
    np.testing.assert_array_equal(out[:, 1 : 1 + cols], oracle.add_differences(differences, left, cols))
    assert (np.delete(out, np.s_[1 : 1 + cols], axis=1) == 7).all()
