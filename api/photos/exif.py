"""When and where a photo was taken, as its EXIF says (CIPA DC-008, Exif 3.0): read once, then never written again."""

from __future__ import annotations

import datetime as dt
import math
import re
import struct
import zlib
from collections.abc import Mapping
from typing import Any, Final
from zoneinfo import ZoneInfo

from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

_LOCAL: Final = "Europe/Paris"
_MOMENT: Final = re.compile(r"(\d{4})[:-](\d{2})[:-](\d{2})[ T](\d{2}):(\d{2}):(\d{2})")
_DAY: Final = re.compile(r"(\d{4})[:-](\d{2})[:-](\d{2})")
_OFFSET: Final = re.compile(r"([+-])(\d{2}):(\d{2})")
SPOILT: Final = (
    ArithmeticError, AttributeError, EOFError, LookupError, OSError, RuntimeError, SyntaxError, TypeError, ValueError,
    struct.error, zlib.error,
)  # fmt: skip
"""What Pillow raises, one day or another, where EXIF is damaged or made to do harm."""


def orientation_of(exif: Image.Exif) -> int:
    """How the picture is to be turned (tag 274): 1 to 8; 1 where it is not told."""
    try:
        told = int(exif.get(Base.Orientation, 1))
    except SPOILT:
        return 1
    return told if 1 <= told <= 8 else 1


def taken_at_of(exif: Image.Exif) -> dt.datetime | None:
    """When it was taken (UTC).

    The clock of the camera counts with the offset that goes with it. Where none is told the satellites' time does;
    where that is not either, the clock is read as that of Paris.

    Parameters
    ----------
    exif
        Of the photo.

    Returns
    -------
    datetime or None
        None where EXIF does not say, or nonsense.
    """
    try:
        told = exif.get_ifd(IFD.Exif)
        clock = _MOMENT.match(str(told.get(Base.DateTimeOriginal, "")))
        offset = _offset(told)
        if clock is None or offset is None:
            by_satellite = _satellite_time(exif.get_ifd(IFD.GPSInfo))
            if by_satellite is not None or clock is None:
                return by_satellite
        zone: dt.tzinfo = ZoneInfo(_LOCAL) if offset is None else offset
        year, month, day, *time = clock.groups()
        told_at = dt.datetime.fromisoformat(f"{year}-{month}-{day}T{':'.join(time)}")
        return told_at.replace(tzinfo=zone).astimezone(dt.UTC)
    except SPOILT:
        return None


def place_of(exif: Image.Exif) -> tuple[float, float] | None:
    """Where it was taken.

    Parameters
    ----------
    exif
        Of the photo.

    Returns
    -------
    longitude, latitude
        Degrees, WGS 84; None where EXIF does not say, or nonsense. 0, 0 is what a receiver says that knows nothing.
    """
    try:
        told = exif.get_ifd(IFD.GPSInfo)
        longitude = _degrees(told[GPS.GPSLongitude], str(told[GPS.GPSLongitudeRef]), "EW")
        latitude = _degrees(told[GPS.GPSLatitude], str(told[GPS.GPSLatitudeRef]), "NS")
    except SPOILT:
        return None
    sound = abs(longitude) <= 180 and abs(latitude) <= 90 and (longitude, latitude) != (0, 0)
    return (longitude, latitude) if sound else None


def _offset(told: Mapping[int, Any]) -> dt.timezone | None:
    for tag in (Base.OffsetTimeOriginal, Base.OffsetTime):
        found = _OFFSET.match(str(told.get(tag, "")))
        if found is not None:
            ahead = dt.timedelta(hours=int(found[2]), minutes=int(found[3]))
            return dt.timezone(ahead if found[1] == "+" else -ahead)
    return None


def _satellite_time(told: Mapping[int, Any]) -> dt.datetime | None:
    day = _DAY.match(str(told.get(GPS.GPSDateStamp, "")))
    if day is None or GPS.GPSTimeStamp not in told:
        return None
    hour, minute, second = (int(part) for part in told[GPS.GPSTimeStamp])
    return dt.datetime(int(day[1]), int(day[2]), int(day[3]), hour, minute, second, tzinfo=dt.UTC)


def _degrees(parts: Any, towards: str, sides: str) -> float:
    degrees, minutes, seconds = (float(part) for part in parts)
    value = degrees + minutes / 60 + seconds / 3600
    if towards[:1] not in tuple(sides) or not math.isfinite(value):
        raise ValueError("no place")
    return -value if towards[:1] == sides[1] else value
