"""Events have the sizes, shapes and dates that their kind says."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from models.causes import Cause
from models.events import KINDS, EventParams, draw_area, draw_cause, draw_date, draw_shape
from tiles.errors import InvalidParameterError
from tiles.month import Month


def test_areas_are_log_normal_within_limits() -> None:
    rng, kind = np.random.default_rng(1), KINDS[Cause.CLEAR_CUT]
    wide = EventParams(min_ha=1e-6, max_ha=1e6)
    logs = np.log([draw_area(kind, wide, rng) for _ in range(4000)])
    # Four standard errors of the mean and of the standard deviation.
    assert abs(logs.mean() - np.log(kind.median_ha)) < 4 * kind.sigma / np.sqrt(4000)
    assert abs(logs.std() - kind.sigma) < 4 * kind.sigma / np.sqrt(8000)
    limited = [draw_area(kind, EventParams(), rng) for _ in range(500)]
    assert min(limited) >= 0.2
    assert max(limited) <= 30


@pytest.mark.parametrize("cause", list(KINDS))
def test_a_shape_covers_its_hectares(cause: Cause) -> None:
    params = EventParams()
    for seed in range(5):
        shape = draw_shape(cause, params, np.random.default_rng(seed), area_ha=2.0)
        assert shape.area_ha == 2.0
        assert shape.inside.sum() == pytest.approx(200, rel=0.1)
        assert shape.cover.max() <= 1
        assert shape.cover.min() >= 0
        low, high = KINDS[cause].severity
        if KINDS[cause].blur_px < 1 and not KINDS[cause].elongation[0] > 4:
            assert low - 0.2 < np.median(shape.cover[shape.inside]) < high + 0.2


def test_edges_are_mixed_pixels() -> None:
    shape = draw_shape(Cause.CLEAR_CUT, EventParams(), np.random.default_rng(3), area_ha=2.0)
    mixed = (shape.cover > 0.1) & (shape.cover < 0.8)
    assert 20 < mixed.sum() < 150
    assert shape.delay_days.min() >= 0
    assert shape.delay_days.max() <= 30


def test_dates_lie_in_the_twelve_months_and_follow_the_labels() -> None:
    rng, month = np.random.default_rng(1), Month(2018, 9)
    days = [draw_date(Cause.FIRE, month, rng) for _ in range(500)]
    assert min(days) >= dt.date(2017, 10, 1)
    assert max(days) <= dt.date(2018, 9, 30)
    assert np.mean([day.month in (7, 8, 9) for day in days]) > 0.8
    assert not any(day.month == 6 and day.year == 2017 for day in days)


def test_what_passes_is_drawn_on_the_last_clear_days_in_its_season() -> None:
    rng, clear = np.random.default_rng(1), [dt.date(2018, 7, 1), *(dt.date(2018, 8, day) for day in (5, 15, 25))]
    assert {draw_date(Cause.HAZE, Month(2018, 8), rng, 1.0, clear) for _ in range(50)} == set(clear[1:])
    assert not {draw_date(Cause.SNOW, Month(2018, 8), rng, 1.0, clear) for _ in range(50)} & set(clear)


def test_causes_are_drawn_by_their_shares() -> None:
    rng = np.random.default_rng(1)
    drawn = [draw_cause(EventParams(), rng) for _ in range(3000)]
    total = sum(kind.share for kind in KINDS.values())
    for cause, kind in KINDS.items():
        assert drawn.count(cause) / 3000 == pytest.approx(kind.share / total, abs=0.04)


def test_sizes_that_fall_are_refused() -> None:
    with pytest.raises(InvalidParameterError, match="Sizes must rise"):
        EventParams(min_ha=3, max_ha=2)
