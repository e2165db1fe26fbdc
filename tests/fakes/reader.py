"""A reader of arrays in memory, and a sink that keeps what it is given."""

from __future__ import annotations

import datetime as dt
import threading
from collections import Counter
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.windows import Window

from tests.fakes.forest import Forest
from tiles.change import CHANGE_BANDS, NO_VALUE
from tiles.engine import TilePlan
from tiles.errors import SceneReadError
from tiles.grid import Grid
from tiles.month import Month
from tiles.scene import NEEDED_BANDS, Band, Scene

UTM = CRS.from_epsg(32631)
TRANSFORM = Affine(10, 0, 499_000, 0, -10, 5_000_000)


def scene_on(day: dt.date, dn_offset: int = 0, scene_id: str | None = None) -> Scene:
    return Scene(
        id=scene_id or f"S2_{day:%Y%m%d}",
        acquired=dt.datetime.combine(day, dt.time(10, 50), dt.UTC),
        tile="31TDK",
        hrefs={band: f"{day}/{band}" for band in NEEDED_BANDS},
        dn_offset=dn_offset,
    )


def grid_of(shape: tuple[int, int], size: int = 1) -> Grid:
    """The grid of bands, or of a classification that is `size` times as coarse."""
    rows, cols = (-(-side // size) for side in shape)
    return Grid(UTM, Affine(10 * size, 0, TRANSFORM.c, 0, -10 * size, TRANSFORM.f), (rows, cols))


class FakeReader:
    """Gives the pixels of a `Forest`; counts reads; fails where it is told to."""

    def __init__(self, forest: Forest, broken: tuple[dt.date, Band] | None = None) -> None:
        self.forest, self.broken = forest, broken
        self.reads: Counter[tuple[Band, int, int]] = Counter()
        self.rows_of_blocks = 4
        #: Of each day's classification, how often each row was read.
        self.classified: dict[dt.date, NDArray[np.int64]] = {}
        self._series: dict[dt.date, tuple[NDArray[Any], ...]] = {}
        self._lock = threading.Lock()

    @property
    def bytes_read(self) -> int:
        return sum(self.reads.values())

    def block_rows(self, scene: Scene, band: Band) -> int:
        return self.rows_of_blocks

    def stop(self) -> None:
        raise AssertionError("nothing is interrupted")

    def grid_of(self, scene: Scene, band: Band) -> Grid:
        return grid_of(self.forest.shape, self.forest.pixels_per_class if band is Band.SCL else 1)

    def read(self, scene: Scene, band: Band, window: Window, out: NDArray[Any]) -> None:
        if self.broken == (scene.day, band):
            raise SceneReadError(scene.id, f"its {band} raster is damaged or cut short")
        with self._lock:
            self.reads[band, window.row_off, window.col_off] += 1
            if band is Band.SCL:
                rows = self.classified.setdefault(scene.day, np.zeros(grid_of(self.forest.shape, 1).shape[0], np.int64))
                rows[window.row_off : window.row_off + window.height] += 1
            if scene.day not in self._series:
                self._series[scene.day] = self.forest.bands(scene.day)
        layer = self._series[scene.day][list(Band).index(band)]
        part = layer[window.row_off : window.row_off + window.height, window.col_off : window.col_off + window.width]
        assert part.shape == out.shape
        assert part.dtype == out.dtype
        out[:] = part


class KeepingSink:
    """Puts windows side by side; a pixel that is written twice, or never, is found out."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.state = np.full(shape, 255, np.uint8)
        self.change = np.full((len(CHANGE_BANDS), *shape), NO_VALUE, np.int16)

    def write(self, window: Window, change: NDArray[np.int16] | None, state: NDArray[np.uint8]) -> None:
        rows = slice(window.row_off, window.row_off + window.height)
        cols = slice(window.col_off, window.col_off + window.width)
        assert (self.state[rows, cols] == 255).all(), "a window was written twice"
        self.state[rows, cols] = state
        if change is not None:
            self.change[:, rows, cols] = change

    def band(self, name: str) -> NDArray[np.int16]:
        index = [band.name for band in CHANGE_BANDS].index(name)
        return np.asarray(self.change[index])


def plan_of(forest: Forest, month: Month, reference: list[dt.date], monitored: list[dt.date]) -> TilePlan:
    def scenes(days: list[dt.date]) -> tuple[Scene, ...]:
        return tuple(scene_on(day, forest.dn_offset) for day in days)

    grid = grid_of(forest.shape)
    return TilePlan("31TDK", month, grid, scenes(reference), scenes(monitored), forest.pixels_per_class)
