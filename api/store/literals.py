"""Boxes, days, moments and codes, as those who ask write them."""

from __future__ import annotations

import datetime as dt
import math
import re
from typing import Final

Bbox = tuple[float, float, float, float]
"""West, south, east, north, in degrees; west is greater than east over the antimeridian."""

DEPARTEMENT_PATTERN: Final = "([0-9][0-9AB]|97[1-6])"
"""Code of a département, as a regular expression."""
_DEPARTEMENT: Final = re.compile(DEPARTEMENT_PATTERN)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def parse_bbox(text: str) -> Bbox:
    """A box of four numbers, or of six with heights, which are left aside.

    Raises
    ------
    ValueError
        When it is none.
    """
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        raise ValueError("a bbox is four numbers: west,south,east,north in degrees") from None
    if len(numbers) == 6:
        numbers = [*numbers[:2], *numbers[3:5]]
    if len(numbers) != 4 or not all(map(math.isfinite, numbers)):
        raise ValueError("a bbox is four numbers: west,south,east,north in degrees")
    west, south, east, north = numbers
    if south > north or not (-90 <= south <= 90 and -90 <= north <= 90):
        raise ValueError("a bbox goes from south to north, within -90 and 90 degrees")
    if not (-180 <= west <= 180 and -180 <= east <= 180):
        raise ValueError("a bbox lies within -180 and 180 degrees of longitude")
    return west, south, east, north


def parse_interval(text: str) -> tuple[dt.date | None, dt.date | None]:
    """Days of an instant or an interval of RFC 3339: ``2026-10-01``, ``2026-10-01/..``; None is open.

    Raises
    ------
    ValueError
        When it is none.
    """
    parts = text.split("/")
    if len(parts) == 1:
        day = _day(parts[0])
        return day, day
    if len(parts) != 2 or all(part in ("", "..") for part in parts):
        raise ValueError("a datetime is a day, a moment, or an interval such as 2026-10-01/2026-10-31 or 2026-10-01/..")
    first, last = (None if part in ("", "..") else _day(part) for part in parts)
    if first is not None and last is not None and first > last:
        raise ValueError("an interval begins before it ends")
    return first, last


def _day(text: str) -> dt.date:
    try:
        if _DATE.fullmatch(text):
            return dt.date.fromisoformat(text)
        return parse_moment(text).date()
    except (ValueError, OverflowError):
        raise ValueError("a datetime is a day such as 2026-10-01, or a moment such as 2026-10-01T00:00:00Z") from None


def parse_moment(text: str) -> dt.datetime:
    """A moment of RFC 3339, or a day's beginning, in UTC.

    Raises
    ------
    ValueError
        When it is neither.
    """
    try:
        moment = dt.datetime.fromisoformat(text)
        if moment.tzinfo is None:
            if not _DATE.fullmatch(text):
                raise ValueError("no zone")
            moment = moment.replace(tzinfo=dt.UTC)
        return moment.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise ValueError("a moment is such as 2026-10-01T00:00:00Z, or a day") from None


def is_departement(code: str) -> bool:
    """Whether a text is the code of a département: 40, 2A, 971."""
    return _DEPARTEMENT.fullmatch(code) is not None
