"""What a date is worth, and what becomes of a pixel: haze, shifts, lone lows, leaf-off dates."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tiles import kernels
from tiles.errors import InvalidParameterError
from tiles.monitor import DateQuality, MonitorParams, PixelMemory, date_quality, follow
from tiles.month import day_number
from tiles.reference import CodedReference, Reference, ReferenceParams, decode, design_matrix, encode, fit_reference

PARAMS = MonitorParams()
FOREST, NIR = 0.8, 3000
PIXELS = 4000
DAYS = [dt.date(2019, 5, 1) + dt.timedelta(10 * step) for step in range(8)]


def _reference(pixels: int = PIXELS, level: float = FOREST, swing: float = 0.0, lowest: float = 0.65) -> Reference:
    """A curve that is highest on 1 July when it swings."""
    coefficients = np.zeros((5, pixels), np.float32)
    peak = design_matrix([dt.date(2019, 7, 1)], 1)[0, 1:]
    coefficients[0], coefficients[1], coefficients[2] = level - swing, swing * peak[0], swing * peak[1]
    return Reference(coefficients, np.full(pixels, lowest, np.float32), np.full(pixels, 30, np.int16))


def _series(pixels: int = PIXELS, noise: float = 0.01, days: int = len(DAYS)) -> tuple[NDArray[Any], NDArray[Any]]:
    """NDVI (a fraction) and near infrared of intact forest."""
    ndvi = FOREST + np.random.default_rng(3).normal(0, noise, (days, pixels))
    return ndvi, np.full((days, pixels), NIR, np.int16)


def _coded(reference: Reference) -> CodedReference:
    return encode(reference.coefficients, reference.lowest, reference.count)


def _stored(ndvi: NDArray[Any]) -> NDArray[np.int16]:
    return np.where(np.isnan(ndvi), kernels.MISSING, np.rint(1e4 * np.nan_to_num(ndvi))).astype(np.int16)


def _cells(*ends: int) -> NDArray[np.int64]:
    return np.array([0, *ends], np.int64)


def _quality(ndvi: NDArray[Any], nir: NDArray[Any], cells: NDArray[Any], params: MonitorParams = PARAMS) -> DateQuality:
    design = design_matrix(DAYS[: len(ndvi)], 2).astype(np.float32)
    return date_quality(_stored(ndvi), nir, design, cells, _coded(_reference(ndvi.shape[1])), params)


def _follow(
    ndvi: NDArray[Any], nir: NDArray[Any], reference: Reference | None = None, days: list[dt.date] = DAYS
) -> PixelMemory:
    pixels = ndvi.shape[1]
    memory = PixelMemory.blank(pixels)
    follow(
        _stored(ndvi), nir, days[: len(ndvi)], _cells(pixels), _coded(reference or _reference(pixels)), memory, PARAMS
    )
    return memory


def _ndvi_of_lows(memory: PixelMemory, part: slice) -> NDArray[np.float32]:
    """Mean over the lows, expected and observed."""
    return np.asarray(memory.sums[:, part] / memory.n_low[part])


def test_a_clear_date_is_usable_convincing_and_its_numbers_are_those_of_the_forest() -> None:
    ndvi, nir = _series(noise=0.02)
    quality = _quality(ndvi, nir, _cells(PIXELS))
    assert quality.usable.all()
    assert quality.convincing.all()
    np.testing.assert_allclose(quality.background, 0, atol=0.004)
    np.testing.assert_allclose(quality.noise, 0.02, atol=0.004)
    np.testing.assert_allclose(quality.nir_level, NIR, atol=20)
    np.testing.assert_allclose(quality.low_drop, PARAMS.low_drop)


@pytest.mark.parametrize("shift", [-0.10, 0.05, 0.10])
def test_a_shift_of_all_the_forest_is_measured_and_the_date_stays_usable(shift: float) -> None:
    ndvi, nir = _series()
    quality = _quality(ndvi + shift, nir, _cells(PIXELS))
    np.testing.assert_allclose(quality.background, shift, atol=0.004)
    assert quality.usable.all()


@pytest.mark.parametrize("shift", [-0.17, -0.4, 0.17])
def test_a_shift_beyond_what_forest_does_makes_the_date_unusable(shift: float) -> None:
    ndvi, nir = _series()
    ndvi[2] += shift
    assert _quality(ndvi, nir, _cells(PIXELS)).usable[:, 0].tolist() == [date != 2 for date in range(len(DAYS))]


@pytest.mark.parametrize("share", [0.2, 0.4])
def test_haze_over_a_part_widens_the_noise_until_the_date_is_unusable(share: float) -> None:
    ndvi, nir = _series()
    ndvi[2, : int(share * PIXELS)] -= 0.3
    quality = _quality(ndvi, nir, _cells(PIXELS))
    assert quality.noise[2, 0] > 0.2
    assert not quality.usable[2, 0]
    assert quality.usable[[0, 1, 3, 4, 5, 6, 7]].all()


def test_a_felling_of_a_tenth_of_the_forest_does_not_spoil_its_date() -> None:
    ndvi, nir = _series()
    ndvi[2, : PIXELS // 10] -= 0.4
    quality = _quality(ndvi, nir, _cells(PIXELS))
    assert quality.usable.all()
    assert quality.convincing.all()


def test_low_means_three_times_the_dates_own_noise() -> None:
    ndvi, nir = _series(noise=0.06)
    quality = _quality(ndvi, nir, _cells(PIXELS))
    np.testing.assert_allclose(quality.low_drop, 3 * quality.noise, rtol=1e-6)
    assert (quality.low_drop > PARAMS.low_drop).all()
    assert quality.usable.all()
    assert not quality.convincing.any()


def test_a_cell_with_few_pixels_is_measured_with_the_whole_window() -> None:
    pixels = 100_000
    ndvi, nir = _series(pixels)
    ndvi[:, 90_000:] -= 0.12
    quality = _quality(ndvi, nir, _cells(90_000, pixels))
    np.testing.assert_allclose(quality.background, 0, atol=0.01)
    alone = _quality(ndvi, nir, _cells(90_000, pixels), MonitorParams(min_cell_px=5_000))
    np.testing.assert_allclose(alone.background[:, 1], -0.12, atol=0.004)


def test_a_window_with_few_pixels_falls_back_to_an_assumed_noise_and_no_shift() -> None:
    ndvi, nir = _series(600)
    quality = _quality(ndvi + 0.1, nir, _cells(600))
    assert (quality.background == 0).all()
    np.testing.assert_allclose(quality.noise, PARAMS.few_noise)
    assert quality.usable.all()
    assert not quality.convincing.any()


def test_a_date_on_which_nothing_is_seen_is_unusable() -> None:
    ndvi, nir = _series()
    ndvi[4] = np.nan
    assert _quality(ndvi, nir, _cells(PIXELS)).usable[:, 0].tolist() == [date != 4 for date in range(len(DAYS))]


def _felled_since(date: int, darker: float = 0.7) -> tuple[NDArray[Any], NDArray[Any]]:
    """Of the first twenty pixels, forest is gone from one date on."""
    ndvi, nir = _series()
    ndvi[date:, :20] -= 0.4
    nir[date:, :20] = int(NIR * darker)
    return ndvi, nir


def test_a_felling_is_dated_between_the_last_intact_and_the_first_low_and_measured() -> None:
    told = _follow(*_felled_since(3))
    felled, rest = slice(0, 20), slice(20, None)
    assert (told.last_intact[felled] == day_number(DAYS[2])).all()
    assert (told.first_low[felled] == day_number(DAYS[3])).all()
    assert (told.n_low[felled] == 5).all()
    assert (told.n_before[felled] == 3).all()
    assert (told.n_after[felled] == 5).all()
    before, after = _ndvi_of_lows(told, felled)
    np.testing.assert_allclose(before, FOREST, atol=0.005)
    np.testing.assert_allclose(after, FOREST - 0.4, atol=0.02)
    assert (told.n_low[rest] == 0).all()
    assert (told.last_seen == day_number(DAYS[-1])).all()


def test_what_all_the_forest_does_is_no_loss_and_hides_none() -> None:
    ndvi, nir = _felled_since(3)
    ndvi[3:] -= 0.13
    told = _follow(ndvi, nir)
    assert (told.n_low[:20] == 5).all()
    assert (told.n_low[20:] == 0).all()
    np.testing.assert_allclose(_ndvi_of_lows(told, slice(20))[0], FOREST - 0.13, atol=0.005)


@pytest.mark.parametrize("date", [1, 3, 5, 7])
def test_one_hazy_date_that_passes_as_clear_makes_no_loss_and_hides_none(date: int) -> None:
    clear, hazy = _felled_since(3), _felled_since(3)
    hazy[0][date] = np.where(np.arange(PIXELS) < PIXELS * 0.7, 0.35, FOREST)
    hazy[1][date] = 4000
    without, told = _follow(*clear), _follow(*hazy)
    assert (told.n_low[20:] == 0).all()
    assert (told.n_low[:20] == without.n_low[:20] - (date >= 3)).all()
    assert (told.first_low[:20] == day_number(DAYS[4 if date == 3 else 3])).all()


@pytest.mark.parametrize(("darker", "convincing"), [(0.7, True), (0.89, True), (0.95, False), (1.3, False)])
def test_a_lone_low_convinces_only_when_it_is_dark(darker: float, convincing: bool) -> None:
    told = _follow(*_felled_since(len(DAYS) - 1, darker))
    assert (told.n_low[:20] == 1).all()
    assert (told.convincing[:20] == convincing).all()


def test_a_lone_low_of_a_noisy_date_does_not_convince() -> None:
    ndvi, nir = _felled_since(len(DAYS) - 1)
    ndvi[-1] += np.random.default_rng(0).normal(0, 0.05, PIXELS)
    told = _follow(ndvi, nir)
    assert (told.n_low[:20] == 1).all()
    assert not told.convincing[:20].any()


def test_as_many_intact_dates_as_lows_close_a_suspicion() -> None:
    ndvi, nir = _felled_since(3)
    ndvi[5:, :20] += 0.4
    closed = _follow(ndvi[:7], nir[:7])
    assert (closed.n_low[:20] == 0).all()
    assert (closed.last_intact[:20] == day_number(DAYS[6])).all()
    still_open = _follow(ndvi[:6], nir[:6])
    assert (still_open.n_low[:20] == 2).all()
    assert (still_open.last_intact[:20] == day_number(DAYS[2])).all()


def test_dates_without_leaves_say_nothing() -> None:
    # A curve that falls under its own summer by more than the leaf margin, outside May to August.
    days = [dt.date(2018, 11, 1), dt.date(2019, 1, 15), dt.date(2019, 3, 15), dt.date(2019, 6, 20), dt.date(2019, 7, 5)]
    reference = _reference(swing=0.2)
    curve = design_matrix(days, 2) @ reference.coefficients[:, 0]
    assert (curve < 0.65).tolist() == [True, True, True, False, False]
    ndvi = np.repeat(curve[:, None], PIXELS, axis=1)
    ndvi[:3, :20] -= 0.3
    nir = np.full(ndvi.shape, NIR, np.int16)
    told = _follow(ndvi, nir, reference, days)
    assert (told.n_low == 0).all()
    assert (told.n_before == 2).all()
    assert (told.last_intact == day_number(days[4])).all()


def test_pixels_without_a_reference_are_never_seen() -> None:
    ndvi, nir = _felled_since(3)
    reference = _reference()
    reference.coefficients[:, 10:], reference.lowest[10:] = np.nan, np.nan
    told = _follow(ndvi, nir, reference)
    assert (told.last_seen[10:] == -1).all()
    assert (told.n_low[10:] == 0).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 0.3))
def test_the_last_intact_date_is_before_the_first_low_whatever_happened(seed: int, wildness: float) -> None:
    rng = np.random.default_rng(seed)
    ndvi = (
        FOREST + rng.normal(0, 0.01, (len(DAYS), 2000)) - rng.choice([0, 1], (len(DAYS), 2000), p=[0.9, 0.1]) * wildness
    )
    ndvi[rng.random(ndvi.shape) < 0.3] = np.nan
    told = _follow(ndvi, rng.integers(1500, 4000, ndvi.shape).astype(np.int16))
    suspected = told.n_low > 0
    assert (told.last_intact < told.first_low)[suspected].all()
    assert (told.first_low <= told.last_seen)[suspected].all()
    assert (told.n_low <= told.n_after)[suspected].all()
    # Of the others the sums are what the memory happened to hold.
    drop = (told.sums[0][suspected] - told.sums[1][suspected]) / told.n_low[suspected]
    assert (drop >= PARAMS.low_drop - 1e-5).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, len(DAYS)), max_size=4))
def test_dates_followed_in_parts_tell_the_same_as_all_at_once(seed: int, cuts: list[int]) -> None:
    rng = np.random.default_rng(seed)
    ndvi = FOREST + rng.normal(0, 0.02, (len(DAYS), 2000)) - rng.choice([0, 0.3], (len(DAYS), 2000), p=[0.92, 0.08])
    ndvi[rng.random(ndvi.shape) < 0.3] = np.nan
    nir = rng.integers(1500, 4000, ndvi.shape).astype(np.int16)
    reference, cells = _coded(_reference(2000)), _cells(700, 2000)
    whole, parts = PixelMemory.blank(2000), PixelMemory.blank(2000)
    follow(_stored(ndvi), nir, DAYS, cells, reference, whole, PARAMS)
    ends = sorted({0, len(DAYS), *cuts})
    for start, end in itertools.pairwise(ends):
        follow(_stored(ndvi[start:end]), nir[start:end], DAYS[start:end], cells, reference, parts, PARAMS)
    assert (whole.n_low > 0).any()
    open_ones = whole.n_low > 0
    for name in ("n_low", "n_before", "last_intact", "last_seen", "brightness"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name), err_msg=name)
    for name in ("counts", "when", "sums"):
        np.testing.assert_array_equal(getattr(parts, name)[:, open_ones], getattr(whole, name)[:, open_ones])


@pytest.mark.parametrize(
    "wrong",
    [{"intact_drop": 0.12}, {"low_drop": 0.2}, {"felling_drop": 1.0}, {"confirmations": 0}, {"window_months": 0},
     {"sample_px": 0}, {"cell_px": 0}],
)  # fmt: skip
def test_parameters_that_contradict_each_other_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameterError):
        MonitorParams(**wrong)


@pytest.mark.parametrize("wrong", [{"years": 0}, {"years": 11}, {"order": 5}, {"min_observations": 4}])
def test_a_reference_that_cannot_be_fitted_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameterError):
        ReferenceParams(**wrong)


def test_a_reference_follows_the_season_and_leaves_haze_out() -> None:
    days = [dt.date(2016, 1, 5) + dt.timedelta(12 * step) for step in range(80)]
    truth = design_matrix(days, 2) @ np.array([0.7, -0.15, -0.03, 0.02, 0.01])
    ndvi = np.repeat(truth[:, None], 3, axis=1)
    ndvi[::9, 1] -= 0.3
    ndvi[:, 2] = np.where(np.arange(80) % 9 == 0, ndvi[:, 2], np.nan)
    reference = decode(fit_reference(_stored(ndvi), days, ReferenceParams()))
    fitted = design_matrix(days, 2) @ reference.coefficients
    np.testing.assert_allclose(fitted[:, 0], truth, atol=0.01)
    np.testing.assert_allclose(fitted[:, 1], truth, atol=0.02)
    assert np.isnan(reference.coefficients[:, 2]).all()
    assert reference.count.tolist() == [80, 80, 9]
    assert reference.lowest[0] == pytest.approx(max(truth.max() - 0.15, 0.6), abs=0.01)
    assert np.isnan(reference.lowest[2])


def test_a_reference_is_kept_to_two_thousandths_of_ndvi() -> None:
    rng = np.random.default_rng(5)
    coefficients = rng.normal([[0.75], [0.1], [0.05], [0.02], [0.02]], 0.05, (5, 500)).astype(np.float32)
    lowest = rng.uniform(0.6, 0.9, 500).astype(np.float32)
    count = rng.integers(10, 400, 500).astype(np.int16)
    coded = encode(coefficients, lowest, count)
    kept = decode(coded)
    assert np.abs(kept.coefficients - coefficients).max() <= 0.002 + 1e-6
    assert ((kept.lowest >= lowest - 1e-4) & (kept.lowest < lowest + 0.004 + 1e-6)).all()
    np.testing.assert_array_equal(kept.count, np.minimum(count, 255))
    again = encode(kept.coefficients, kept.lowest, kept.count)
    for name, codes in vars(coded).items():
        np.testing.assert_array_equal(getattr(again, name), codes, err_msg=name)


@pytest.mark.parametrize("odd", [np.nan, 1.6, -0.7])
def test_a_curve_that_no_forest_has_is_no_reference(odd: float) -> None:
    coefficients = np.array([[0.8, odd, 0.8], [0.1, 0.1, odd], [0.0, 0.0, 0.0]], np.float32)
    kept = decode(encode(coefficients, np.full(3, 0.7, np.float32), np.full(3, 20, np.int16)))
    assert np.isnan(kept.coefficients).any(axis=0).tolist() == [False, True, True]
    assert np.isnan(kept.lowest).tolist() == [False, True, True]
