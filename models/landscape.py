"""A landscape of real places with events laid into it, which the scan reads like any archive.

Each place of the cube is turned, mirrored and repeated by reflection until it is a stand large enough for felling of
any size: no pixel of a stand is of another place. All dates, clouds, haze, snow and noise are those of the real images.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.windows import Window

from models.causes import Cause
from models.events import EventShape
from models.real_cube import CRS_OF_CUBE, Place, RealCube
from models.spectra import BAND_NAMES, Ground
from tiles.clear import CLEAR_CLASSES, SceneClass
from tiles.errors import SceneReadError
from tiles.grid import Grid
from tiles.scene import QUANTIFICATION, Band, Scene

TILE: Final = "SIMULATED"

_MOSTLY_CLEAR: Final = 0.5
"""Share of a place that must be clear for a date to be laid over: under cloud the real pixels stay."""
_FIT_CLEAR: Final = 0.9
_TERMS: Final = 5
_RIDGE: Final = 0.1
_KEPT_NOISE: Final = 0.7
"""Share of a pixel's own deviation that stays on changed ground: sensor and atmosphere do, the crown's grain does
not."""
_SHIFT: Final = (-0.03, 0.10)
"""Reflectance by which haze or shade of a date may shift the ground, as they shift the forest around."""


@dataclass(frozen=True, eq=False)
class LaidEvent:
    """An event in its place.

    Parameters
    ----------
    id
        Of the event, unique in a table.
    cause, place, start
        What, where, and since when (of field edges: when the crop went).
    row, col
        Upper-left pixel of the shape's box in the landscape, both even.
    shape
        Cover and delays; rows and columns even.
    ground
        What shows in the forest's stead.
    classes
        By index of a date, what the scene classification calls the event, where it is not called clear.
    """

    id: str
    cause: Cause
    place: int
    start: dt.date
    row: int
    col: int
    shape: EventShape
    ground: Ground
    classes: dict[int, SceneClass] = field(default_factory=dict)

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the shape's box."""
        rows, cols = self.shape.cover.shape
        return slice(self.row, self.row + rows), slice(self.col, self.col + cols)


@dataclass(frozen=True, eq=False)
class PlaceSeries:
    """What the forest of each place reflects, band by band: float64, shape (places, bands, dates).

    Parameters
    ----------
    expected
        Of that day of the year, by an annual and a semi-annual harmonic through clear dates.
    shift
        By how much the date itself differs from it, within limits.
    clear : ndarray of bool, shape (places, dates)
        Whether most of the place is clear.
    """

    expected: NDArray[np.float64]
    shift: NDArray[np.float64]
    clear: NDArray[np.bool_]


class Landscape:
    """Stands of real places side by side; a `tiles.reader.Reader` of what it looks like with events laid in.

    Parameters
    ----------
    cube
        Real images.
    places
        Rectangles of it.
    stand_px
        Side of a stand in pixels of 10 m, a multiple of 4.
    rng
        Which place goes where, and how it is turned.
    """

    def __init__(self, cube: RealCube, places: Sequence[Place], stand_px: int, rng: np.random.Generator) -> None:
        self.cube, self.places, self.stand_px = cube, list(places), stand_px
        self.across = math.ceil(math.sqrt(len(places)))
        extra = self.across**2 - len(places)
        order = np.concatenate([rng.permutation(len(places)), rng.choice(len(places), extra, replace=False)])
        #: Place of each stand: int64, shape (across, across).
        self.stands = order.reshape(self.across, self.across)
        turns = rng.integers(0, 8, self.stands.shape)
        self._index = {size: self._mosaic(size, turns) for size in (1, 2)}
        #: Place of each pixel: int64, shape (rows, cols).
        self.place_of = self.stands.repeat(stand_px, axis=0).repeat(stand_px, axis=1)
        self.grid = Grid(CRS_OF_CUBE, cube.transform, self.place_of.shape)
        self.series = _place_series(cube, self.places)
        self.events: list[LaidEvent] = []

    def scenes(self, last_day: dt.date) -> tuple[Scene, ...]:
        """Scenes up to a day, oldest first; the hour is nominal."""
        return tuple(
            Scene(
                id=f"SIMULATED_{day:%Y%m%d}",
                acquired=dt.datetime.combine(day, dt.time(9, 20), dt.UTC),
                tile=TILE,
                hrefs={band: f"{index}" for band in Band if band is Band.SCL or band.value in self.cube.bands},
            )
            for index, day in enumerate(self.cube.days)
            if day <= last_day
        )

    def clear_days(self, place: int, last_day: dt.date) -> list[dt.date]:
        """Days up to a day, oldest first, on which most of a place is clear."""
        clear = self.series.clear[place]
        return [day for day, seen in zip(self.cube.days, clear, strict=True) if seen and day <= last_day]

    def _mosaic(self, size: int, turns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Flat index, into a layer of the cube with pixels of `size` * 10 m, of each pixel of the landscape."""
        rows, cols = (side * 2 // size for side in self.cube.forest.shape)
        flat = np.arange(rows * cols).reshape(rows, cols)
        side = self.stand_px // size
        bands = []
        for places, kinds in zip(self.stands, turns, strict=True):
            row = []
            for number, turn in zip(places, kinds, strict=True):
                place = self.places[number]
                part = flat[
                    place.row // size : (place.row + place.rows) // size,
                    place.col // size : (place.col + place.cols) // size,
                ]
                part = np.rot90(part.T if turn >= 4 else part, int(turn) % 4)
                beyond = [(0, side - length) for length in part.shape]
                row.append(np.pad(part, beyond, mode="symmetric"))
            bands.append(np.hstack(row))
        return np.vstack(bands)

    def layer(self, index: int, band: str) -> NDArray[np.uint16]:
        """A band of a date, events and all: uint16, reflectance * 10000, 0 where the real image has no data."""
        real = self.cube.bands[band][index]
        size = 1 if real.shape[0] == 2 * self.cube.forest.shape[0] else 2
        layer: NDArray[np.uint16] = real.ravel()[self._index[size]]
        number = BAND_NAMES.index(band)
        for event in self.events:
            presence = float(event.ground.presence[index])
            if presence > 0 and self.series.clear[event.place, index]:
                self._change(layer, event, index, number, presence, size)
        return layer

    def _change(
        self, layer: NDArray[np.uint16], event: LaidEvent, index: int, band: int, presence: float, size: int
    ) -> None:
        """Lay an event over a layer, in place."""
        age = (self.cube.days[index] - event.start).days
        # What is there on all dates has no day on which it comes.
        weight = event.shape.cover * presence * ((event.shape.delay_days <= age) | (event.cause is Cause.FIELD_EDGE))
        rows, cols = weight.shape
        if size == 2:
            weight = weight.reshape(rows // 2, 2, cols // 2, 2).mean(axis=(1, 3))
        window = tuple(slice(part.start // size, part.stop // size) for part in event.window)
        real = layer[window]
        seen = real / QUANTIFICATION
        expected, shift = (part[event.place, band, index] for part in (self.series.expected, self.series.shift))
        ground = event.ground.reflectance[index, band] + shift + _KEPT_NOISE * (seen - expected - shift)
        mixed = np.clip(np.rint(((1 - weight) * seen + weight * ground) * QUANTIFICATION), 1, 65_535)
        layer[window] = np.where(real == 0, 0, mixed).astype(np.uint16)

    def classification(self, index: int) -> NDArray[np.uint8]:
        """Scene classification of a date, 20 m."""
        classes: NDArray[np.uint8] = self.cube.scl[index].ravel()[self._index[2]]
        for event in self.events:
            if index not in event.classes:
                continue
            rows, cols = event.shape.cover.shape
            core = event.shape.inside.reshape(rows // 2, 2, cols // 2, 2).mean(axis=(1, 3)) >= 0.5
            window = tuple(slice(part.start // 2, part.stop // 2) for part in event.window)
            called = classes[window]
            called[core & np.isin(called, CLEAR_CLASSES)] = event.classes[index]
        return classes

    # What follows is `tiles.reader.Reader`.

    def grid_of(self, scene: Scene, band: Band) -> Grid:  # noqa: ARG002 - all scenes have one grid
        """Grid of a band's raster; see `tiles.reader.Reader.grid_of`."""
        if not self._coarse(band.value):
            return self.grid
        a, _, c, _, e, f = self.grid.transform[:6]
        rows, cols = self.grid.shape
        return Grid(self.grid.crs, Affine(2 * a, 0.0, c, 0.0, 2 * e, f), (rows // 2, cols // 2))

    def read(self, scene: Scene, band: Band, window: Window, out: NDArray[Any]) -> None:
        """Read a window of a band; see `tiles.reader.Reader.read`.

        Raises
        ------
        SceneReadError
            When the real images have no such band.
        """
        index = int(scene.hrefs[band])
        if band is Band.SCL:
            layer: NDArray[Any] = self.classification(index)
        elif band.value in self.cube.bands:
            layer = self.layer(index, band.value)
        else:
            raise SceneReadError(scene.id, f"the real images have no band {band.value}")
        rows = slice(window.row_off, window.row_off + window.height)
        out[:] = layer[rows, window.col_off : window.col_off + window.width]

    def block_rows(self, scene: Scene, band: Band) -> int:
        """Rows that are made at once: all; see `tiles.reader.Reader.block_rows`."""
        return self.grid_of(scene, band).shape[0]

    def stop(self) -> None:
        """Nothing waits."""

    @property
    def bytes_read(self) -> int:
        """Nothing is read from an archive."""
        return 0

    def _coarse(self, band: str) -> bool:
        real = self.cube.bands.get(band)
        return real is None or real.shape[1] == self.cube.forest.shape[0]


def _place_series(cube: RealCube, places: Sequence[Place]) -> PlaceSeries:
    """Fit what each place is expected to reflect on each date."""
    year = 2 * np.pi * np.array([day.timetuple().tm_yday for day in cube.days]) / 365.25
    design = np.column_stack([np.ones(year.size), *(f(k * year) for k in (1, 2) for f in (np.cos, np.sin))])
    ridge = np.diag([0.0] + [_RIDGE] * (_TERMS - 1))
    expected = np.zeros((len(places), len(BAND_NAMES), year.size))
    shift, clear = np.zeros_like(expected), np.zeros((len(places), year.size), bool)
    for number, place in enumerate(places):
        classes = cube.scl[:, *_part(place, 2)]
        share = np.isin(classes, CLEAR_CLASSES).mean(axis=(1, 2))
        clear[number] = share >= _MOSTLY_CLEAR
        fit = share >= _FIT_CLEAR
        for name, layers in cube.bands.items():
            size = 2 if layers.shape[1] == cube.forest.shape[0] else 1
            seen = np.median(layers[:, *_part(place, size)].reshape(year.size, -1), axis=1) / QUANTIFICATION
            terms = np.linalg.solve(design[fit].T @ design[fit] + ridge, design[fit].T @ seen[fit])
            curve = np.clip(design @ terms, seen[fit].min(), seen[fit].max())
            band = BAND_NAMES.index(name)
            expected[number, band] = curve
            shift[number, band] = np.clip(seen - curve, *_SHIFT)
    return PlaceSeries(expected, shift, clear)


def _part(place: Place, size: int) -> tuple[slice, slice]:
    return (
        slice(place.row // size, (place.row + place.rows) // size),
        slice(place.col // size, (place.col + place.cols) // size),
    )
