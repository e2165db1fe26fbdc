"""What catalogues of STAC items share: which items are wanted, and how their faults are told."""

from __future__ import annotations

import datetime as dt
import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pystac

from tiles.catalog.stac_items import acquired_utc, tile_of

Box = tuple[float, float, float, float]
"""West, south, east, north in degrees."""


@contextmanager
def quietly() -> Iterator[None]:
    """Without pystac's warnings of what it cannot carry over from older items: nothing of it is read here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def is_wanted(
    item: pystac.Item, first_day: dt.date, last_day: dt.date, bbox: Box | None = None, tile: str | None = None
) -> bool:
    """Whether an item is of these days, meets the box and shows the tile.

    What an item does not say cannot speak against it: it goes on, to be named among those left out.
    """
    if item.datetime is not None and not first_day <= acquired_utc(item.datetime).date() <= last_day:
        return False
    if tile is not None and tile_of(item) not in (None, tile):
        return False
    return bbox is None or item.bbox is None or boxes_meet(bbox, item.bbox)


def boxes_meet(wanted: Box, other: Sequence[float]) -> bool:
    """Whether two boxes touch; `other` has four numbers, or six with heights."""
    west, south, east, north = wanted
    half = len(other) // 2
    return bool(other[0] <= east and other[half] >= west and other[1] <= north and other[half + 1] >= south)


def one_line(error: Exception) -> str:
    """A fault, short enough for a sentence."""
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON at line {error.lineno}"
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
