"""The month that a scan is about, and how days are counted."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Self

from tiles.errors import InvalidParameterError

EPOCH = dt.date(1970, 1, 1)
"""Day 0 of days that are kept as numbers."""

_FIRST_YEAR = 2015
_FORM = re.compile(r"(\d{4})-(\d{2})")


@dataclass(frozen=True, order=True)
class Month:
    """A calendar month (UTC), such as 2019-07.

    Parameters
    ----------
    year, month
        Gregorian year and month (1 to 12).
    """

    year: int
    month: int

    def __post_init__(self) -> None:
        if not (1 <= self.year <= 9998 and 1 <= self.month <= 12):
            raise InvalidParameterError(f"Month {self} does not exist: give YYYY-MM, such as 2019-07.")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``YYYY-MM``.

        Raises
        ------
        InvalidParameterError
            When the text has another form.
        """
        match = _FORM.fullmatch(text.strip())
        if match is None:
            raise InvalidParameterError(f"Month {text!r} is not of the form YYYY-MM, such as 2019-07.")
        year, month = int(match[1]), int(match[2])
        if year < _FIRST_YEAR:
            raise InvalidParameterError(f"Month {text.strip()} was before Sentinel-2, which began in {_FIRST_YEAR}.")
        return cls(year, month)

    @property
    def first_day(self) -> dt.date:
        """First day of the month."""
        return dt.date(self.year, self.month, 1)

    @property
    def last_day(self) -> dt.date:
        """Last day of the month."""
        return self.shifted(1).first_day - dt.timedelta(days=1)

    def shifted(self, months: int) -> Month:
        """The month that lies ``months`` later (earlier when negative)."""
        index = self.year * 12 + self.month - 1 + months
        return Month(index // 12, index % 12 + 1)

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"


def day_number(day: dt.date) -> int:
    """Days since 1970, as they are kept of a pixel: 16 bits last until 2059."""
    return (day - EPOCH).days
