"""Names of tiles: their form, the table of those over metropolitan France, and the ground that a name stands for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from pyproj import Transformer

from tiles.errors import InvalidParameterError

# Zone, latitude band, then column and row of the 100 km square; letters I and O are not used.
_FORM = re.compile(r"(0[1-9]|[1-5][0-9]|60)([C-HJ-NP-X])([A-HJ-NP-Z])([A-HJ-NP-V])")
# Column letters start anew every third zone (MGRS, NGA.STND.0037).
_COLUMNS = {1: "ABCDEFGH", 2: "JKLMNPQR", 0: "STUVWXYZ"}
# Row letters start anew every 2,000 km; those of even zones lie 500 km further south.
_ROWS = "ABCDEFGHJKLMNPQRSTUV"
_BANDS = "CDEFGHJKLMNPQRSTUVWX"

_SQUARE_M, _ROWS_M = 100_000, 2_000_000
_KM_PER_DEGREE = 110.9
"""Along a meridian of UTM: enough to tell which of the row's squares, 2,000 km apart, is meant."""

_FURTHER_M, _BEFORE_M = 12_000, 2_000
"""How far ground is asked for beyond a square: tiles are 109.8 km wide, the ten kilometres more towards east and south,
and begin up to 60 m before their square; the rest is margin."""

_FRANCE = """
29U QP
30T UT VT WN WP WS WT XN XP XQ XR XS XT YN YP YQ YR YS YT
30U UU UV VU VV WA WU WV XA XU XV YA YU YV
31T CH CJ CK CL CM CN DG DH DJ DK DL DM DN EG EH EJ EK EL EM EN FH FJ FK FL FM FN GH GJ GK GL GM GN
31U CP CQ CR CS DP DQ DR DS EP EQ ER ES FP FQ FR GP GQ GR
32T LN LP LQ LR LS LT ML MM MN NL NM NN
32U LU LV MU MV
"""

TILES_OF_FRANCE: tuple[str, ...] = tuple(
    zone + square for zone, *squares in (line.split() for line in _FRANCE.strip().splitlines()) for square in squares
)
"""The 98 tiles of Sentinel-2's grid (ESA's tiling of MGRS) that cover metropolitan France, Corsica with it."""


def utm_zone(tile: str) -> int:
    """UTM zone of a tile: ``31TFJ`` is in 31."""
    return int(tile[:2])


def tile_bbox(tile: str) -> tuple[float, float, float, float]:
    """Ground of a tile with some kilometres of margin: west, south, east, north in degrees.

    From its name alone: the 100 km square of MGRS, and the ten kilometres by which Sentinel-2's tiles reach further
    east and south (Sentinel-2 Products Specification Document). Where the ground lies over the antimeridian, west is
    larger than east, as STAC has it.

    Raises
    ------
    InvalidParameterError
        When the name is none.
    """
    _checked([tile], f"tile {tile}", "a name is such as 31TFJ")
    zone, band, column, row = utm_zone(tile), tile[2], tile[3], tile[4]
    west_m = (_COLUMNS[zone % 3].index(column) + 1) * _SQUARE_M
    above_m = (_ROWS.index(row) - (5 if zone % 2 == 0 else 0)) * _SQUARE_M
    is_north = band >= "N"
    latitude = 8 * _BANDS.index(band) - (74 if band == "X" else 76)
    # Of the squares with these letters, that in the latitude band; southern northings count down from 10,000 km.
    middle_m = latitude * _KM_PER_DEGREE * 1000 + (0 if is_north else 10_000_000)
    south_m = above_m + _ROWS_M * round((middle_m - above_m - _SQUARE_M / 2) / _ROWS_M)
    xs = np.linspace(west_m - _BEFORE_M, west_m + _SQUARE_M + _FURTHER_M, 20)
    ys = np.linspace(south_m - _FURTHER_M, south_m + _SQUARE_M + _BEFORE_M, 20)
    # Edges bulge in degrees: their corners alone would cut some off.
    grid = np.meshgrid(xs, ys)
    to_degrees = Transformer.from_crs((32600 if is_north else 32700) + zone, 4326, always_xy=True)
    longitude, latitudes = to_degrees.transform(*grid)
    if np.ptp(longitude) > 180:
        longitude = np.where(longitude < 0, longitude + 360, longitude)
    west, east = float(longitude.min()), float(longitude.max())
    return west, float(latitudes.min()), east - 360 if east > 180 else east, float(latitudes.max())


def is_tile_name(text: str) -> bool:
    """Whether a text is the name of a 100 km square of MGRS, as Sentinel-2's tiles are called."""
    match = _FORM.fullmatch(text)
    return match is not None and match[3] in _COLUMNS[int(match[1]) % 3]


def parse_tiles(text: str) -> tuple[str, ...]:
    """Read a choice of tiles.

    Parameters
    ----------
    text
        ``france``; or names with commas between, such as ``31TFJ,31TGJ``; or the path of a file with a name on each
        line, where what follows a ``#`` is a comment. Small letters, and the ``T`` that product names put before a
        tile, are understood.

    Returns
    -------
    tuple of str
        Names, each once, in the order given.

    Raises
    ------
    InvalidParameterError
        When a name is none, or there is none.
    """
    text = text.strip()
    if text.lower() == "france":
        return TILES_OF_FRANCE
    names = [_tidy(name) for name in text.split(",") if name.strip()]
    path = Path(text).expanduser()
    if not all(is_tile_name(name) for name in names) and path.is_file():
        return _of_file(path)
    return _checked(names, f"--tiles {text}", "give france, names such as 31TFJ,31TGJ, or a file of them that exists")


def _of_file(path: Path) -> tuple[str, ...]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidParameterError(f"The list of tiles {path} cannot be read ({error}).") from error
    names = [_tidy(line.partition("#")[0]) for line in lines]
    return _checked([name for name in names if name], str(path), "write one on each line, such as 31TFJ")


def _tidy(name: str) -> str:
    name = name.strip().upper()
    return name[1:] if len(name) == 6 and name.startswith("T") else name


def _checked(names: Iterable[str], where: str, remedy: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(names))
    wrong = [name for name in names if not is_tile_name(name)]
    if wrong:
        shown = ", ".join(wrong[:5]) + (f" and {len(wrong) - 5} more" if len(wrong) > 5 else "")
        raise InvalidParameterError(f"No tile of Sentinel-2 is called {shown} ({where}): {remedy}.")
    if not names:
        raise InvalidParameterError(f"No tile is named ({where}): {remedy}.")
    return names
