"""The real images that events are laid into: nrt's cubes of a Romanian forest, and the places in them."""

from __future__ import annotations

import datetime as dt
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import rasterio
import rasterio.features
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from skimage.morphology import dilation

from models.spectra import BAND_NAMES
from tiles.clear import CLEAR_CLASSES, OBSCURING_CLASSES, ClearParams
from tiles.errors import AreaError, MissingDependencyError

CRS_OF_CUBE: Final = CRS.from_epsg(3035)
LAST_DAY: Final = dt.date(2018, 12, 31)
"""No image after it is looked at: the years from 2019 on are kept to be watched unseen."""

_TEN: Final = {"blue": "B2", "green": "B3", "red": "B4", "nir": "B8"}
_TWENTY: Final = {"nir08": "B8A", "swir16": "B11"}
_FOREST_COVER_PCT: Final = 10


@dataclass(frozen=True)
class Place:
    """A rectangle of the cube in which nothing is known to have happened: a place of the training table.

    Parameters
    ----------
    name
        Of the cube and of its upper-left pixel.
    row, col, rows, cols
        In pixels of 10 m, all even.
    """

    name: str
    row: int
    col: int
    rows: int
    cols: int


@dataclass(frozen=True)
class PlaceParams:
    """How a cube is divided into places.

    Parameters
    ----------
    margin_m
        Kept from what is no forest, and from openings of the years that are scanned.
    gap_m
        Between two places, so that no pixel, nor the 20 m pixel around it, is of both.
    min_m, max_m
        Shortest and longest side: long enough for the grain of a stand, short enough for a score of places.
    min_dates
        Clear dates before 2017: the ten that a reference needs, and one, since a stand made of a place has its clouds
        elsewhere.
    """

    margin_m: int = 20
    gap_m: int = 20
    min_m: int = 80
    max_m: int = 140
    min_dates: int = 11


@dataclass(frozen=True, eq=False)
class RealCube:
    """A real series of images.

    Parameters
    ----------
    days
        Dates, in order.
    bands : mapping of str to ndarray of uint16, shape (dates, rows, cols)
        Reflectance * 10000 by names of `models.spectra.BAND_NAMES`; 0 is no data. Bands of 20 m have half of the rows.
    scl : ndarray of uint8, shape (dates, rows / 2, cols / 2)
        Scene classification, 20 m.
    transform
        Of the 10 m pixels.
    forest : ndarray of bool, shape (rows / 2, cols / 2)
        Tree cover of 10 % or more, 20 m.
    """

    days: tuple[dt.date, ...]
    bands: Mapping[str, NDArray[np.uint16]]
    scl: NDArray[np.uint8]
    transform: Affine
    forest: NDArray[np.bool_]

    def with_years_swapped(self, one: int, other: int) -> RealCube:
        """The same images with the days of two years exchanged: another real series, of other weather.

        Neither may be a leap year, and their images must be whole years: seasons stay where they are.
        """
        moved = [
            day.replace(year=other if day.year == one else one) if day.year in (one, other) else day
            for day in self.days
        ]
        order = sorted(range(len(moved)), key=lambda index: moved[index])
        return replace(
            self,
            days=tuple(moved[index] for index in order),
            bands={name: layers[order] for name, layers in self.bands.items()},
            scl=self.scl[order],
        )


def load_cube() -> RealCube:
    """Read nrt's Romanian cubes up to the end of 2018: 10 m (B2, B3, B4, B8) and 20 m (B8A, B11, SCL).

    Raises
    ------
    tiles.errors.MissingDependencyError
        nrt is not installed.
    """
    with warnings.catch_warnings():
        # nrt's imports and its NetCDF files warn of things that a user cannot act upon.
        warnings.simplefilter("ignore")
        try:
            import nrt.data as nrt_data
        except ImportError as error:
            raise MissingDependencyError(
                "The real images for the simulation come with the package nrt, which is not installed:"
                ' run `pip install "sylvigie[demo]"`.'
            ) from error
        with nrt_data.romania_10m() as ten_metres, nrt_data.romania_20m() as twenty_metres:
            ten, twenty = ten_metres.load(), twenty_metres.load()
        with rasterio.open(Path(nrt_data.data_dir) / "tree_cover_density_2018_romania.tif") as source:
            cover = source.read(1)
    days = [dt.date.fromisoformat(str(day)) for day in ten.time.values.astype("datetime64[D]")]
    used = sum(day <= LAST_DAY for day in days)
    bands = {name: _as_dn(ten[band].values[:used]) for name, band in _TEN.items()}
    bands |= {name: _as_dn(twenty[band].values[:used]) for name, band in _TWENTY.items()}
    x, y = ten.x.values, ten.y.values
    side_m = round(float(x[1] - x[0]), 6)
    transform = Affine(
        side_m, 0.0, round(float(x[0]) - side_m / 2, 6), 0.0, -side_m, round(float(y[0]) + side_m / 2, 6)
    )
    return RealCube(
        days=tuple(days[:used]),
        bands={name: bands[name] for name in BAND_NAMES if name in bands},
        scl=_as_dn(twenty["SCL"].values[:used]).astype(np.uint8),
        transform=transform,
        forest=(cover >= _FOREST_COVER_PCT) & (cover <= 100),
    )


def _as_dn(values: NDArray[np.floating[Any]]) -> NDArray[np.uint16]:
    return np.asarray(np.nan_to_num(values, nan=0.0).astype(np.uint16))


def openings_of(cube: RealCube, outlines: Path, years: tuple[int, ...] = (2017, 2018)) -> NDArray[np.bool_]:
    """Where a file of outlines (GeoJSON in the cube's CRS, property ``year``) has openings: bool, 20 m.

    Raises
    ------
    tiles.errors.AreaError
        When it cannot be read.
    """
    try:
        features = json.loads(outlines.read_text(encoding="utf-8"))["features"]
        shapes = [one["geometry"] for one in features if one["properties"]["year"] in years]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AreaError(f"The openings {outlines} cannot be read ({error}): give GeoJSON with a year each.") from error
    if not shapes:
        return np.zeros(cube.forest.shape, bool)
    rows, cols = cube.forest.shape
    fine = rasterio.features.rasterize(
        shapes, out_shape=(2 * rows, 2 * cols), transform=cube.transform, all_touched=True, dtype=np.uint8
    )
    return np.asarray(fine.reshape(rows, 2, cols, 2).any(axis=(1, 3)))


def seen_openings(cube: RealCube, drop: float = 0.08) -> NDArray[np.bool_]:
    """Where the cube itself shows that forest was lost in 2017 or 2018: bool, 20 m.

    A pixel whose median NDVI of clear summer dates (June to September) falls by `drop` more than that of the forest
    around, from 2016 to 2017 or 2018, or from 2017 to 2018: what `tiles.monitor` calls intact at the most. It errs on
    the side of leaving forest out; of the openings of a list made by eye, no pixel is left in a place, nor 10 m from
    one (`tests/models/test_real_cube.py`).
    """
    summers = {}
    red, nir = (cube.bands[name].astype(float) for name in ("red", "nir"))
    clear = np.isin(cube.scl, CLEAR_CLASSES).repeat(2, axis=1).repeat(2, axis=2)
    ndvi = np.where(clear, (nir - red) / np.maximum(nir + red, 1), np.nan)
    for year in (2016, 2017, 2018):
        dates = [i for i, day in enumerate(cube.days) if day.year == year and 6 <= day.month <= 9]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a pixel that is clear on none of them
            summers[year] = np.nanmedian(ndvi[dates], axis=0)
    lost = np.zeros(ndvi.shape[1:], bool)
    for before, after in ((2016, 2017), (2016, 2018), (2017, 2018)):
        change = summers[after] - summers[before]
        lost |= change - np.nanmedian(change) < -drop
    rows, cols = cube.forest.shape
    return np.asarray(lost.reshape(rows, 2, cols, 2).any(axis=(1, 3)))


def find_places(cube: RealCube, lost: NDArray[np.bool_], params: PlaceParams | None = None) -> list[Place]:
    """Divide the forest that nothing happened to into rectangles, the largest first.

    Parameters
    ----------
    cube
        Real images.
    lost : ndarray of bool, 20 m
        Openings.
    params
        How.

    Returns
    -------
    places
        From north to south, then west to east. No two are nearer than the gap.
    """
    params = params or PlaceParams()
    side_m = 2 * abs(cube.transform.a)
    margin, gap = (round(metres / side_m) for metres in (params.margin_m, params.gap_m))
    shortest, longest = (round(metres / side_m) for metres in (params.min_m, params.max_m))
    free = ~_grown(~cube.forest | lost, margin) & (_clear_dates(cube, dt.date(2016, 12, 31)) >= params.min_dates)
    places = []
    while (found := _largest_square_like(free, shortest, longest)) is not None:
        row, col, rows, cols = found
        places.append(Place(f"romania-r{2 * row:02d}c{2 * col:02d}", 2 * row, 2 * col, 2 * rows, 2 * cols))
        free[max(0, row - gap) : row + rows + gap, max(0, col - gap) : col + cols + gap] = False
    return sorted(places, key=lambda place: (place.row, place.col))


def _clear_dates(cube: RealCube, last_day: dt.date) -> NDArray[np.int64]:
    """On how many dates, up to a day, each pixel of 20 m is clear of clouds and of their margin."""
    margin = round(ClearParams().margin_m / (2 * abs(cube.transform.a)))
    clear = np.zeros(cube.forest.shape, np.int64)
    for day, classes in zip(cube.days, cube.scl, strict=True):
        if day <= last_day:
            clear += np.isin(classes, CLEAR_CLASSES) & ~_grown(np.isin(classes, OBSCURING_CLASSES), margin)
    return clear


def _grown(mask: NDArray[np.bool_], by: int) -> NDArray[np.bool_]:
    return np.asarray(dilation(mask, np.ones((2 * by + 1, 2 * by + 1), bool)))


def _largest_square_like(free: NDArray[np.bool_], shortest: int, longest: int) -> tuple[int, int, int, int] | None:
    """Row, column, rows, columns of the largest free rectangle with such sides; the upper left one of equals."""
    sums = np.pad(free.astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    sizes = [(h, w) for h in range(shortest, longest + 1) for w in range(shortest, longest + 1)]
    for height, width in sorted(sizes, key=lambda size: (-size[0] * size[1], abs(size[0] - size[1]), size)):
        if height > free.shape[0] or width > free.shape[1]:
            continue
        inside = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
        whole = np.argwhere(inside == height * width)
        if whole.size:
            return int(whole[0, 0]), int(whole[0, 1]), height, width
    return None
