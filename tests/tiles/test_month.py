"""Months: their form, their days, and the way from one to another."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiles.errors import InvalidParameterError
from tiles.month import Month

months = st.builds(Month, st.integers(1950, 2900), st.integers(1, 12))
years_of_sentinel_2 = st.builds(Month, st.integers(2015, 2900), st.integers(1, 12))


@given(years_of_sentinel_2)
def test_a_month_is_read_as_it_is_written(month: Month) -> None:
    assert Month.parse(str(month)) == month
    assert Month.parse(f" {month} ") == month


@given(months, st.integers(-500, 500))
def test_shifting_back_leads_home_and_keeps_the_order(month: Month, by: int) -> None:
    assert month.shifted(by).shifted(-by) == month
    assert (month.shifted(by) > month) == (by > 0)


@given(months)
def test_days_of_a_month_are_all_between_its_first_and_its_last(month: Month) -> None:
    assert month.first_day.day == 1
    assert month.last_day + dt.timedelta(days=1) == month.shifted(1).first_day
    assert (month.last_day.year, month.last_day.month) == (month.year, month.month)


def test_the_last_of_february_knows_leap_years() -> None:
    assert Month(2020, 2).last_day == dt.date(2020, 2, 29)
    assert Month(2019, 2).last_day == dt.date(2019, 2, 28)
    assert Month(2019, 12).last_day == dt.date(2019, 12, 31)


@pytest.mark.parametrize(
    "text",
    ["2019-7", "2019", "07-2019", "2019-07-01", "july", "", "2019/07", "2019-13", "2019-00", "2019-99"],
)
def test_what_is_no_month_is_refused_with_the_right_form(text: str) -> None:
    with pytest.raises(InvalidParameterError, match="YYYY-MM, such as 2019-07"):
        Month.parse(text)


@pytest.mark.parametrize("text", ["0000-07", "1900-01", "2014-12"])
def test_a_month_before_sentinel_2_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameterError, match=f"{text} was before Sentinel-2"):
        Month.parse(text)
