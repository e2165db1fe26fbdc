"""Bytes that a month of a SIMULATED known tile reads, of all its scenes hold; what a month of France then costs."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

from scripts.bench_figures import BenchParams, Figure
from scripts.bench_scan import Nowhere
from scripts.simulated_tile import FileForm, write_simulated_tile
from tiles.catalog import open_catalogue
from tiles.clear import ClearParams
from tiles.engine import WINDOW_PX, ChangeParams, TilePlan, make_change_map
from tiles.false_cloud import CloudList
from tiles.kernels import CODE_MIDDLE, CODE_STEP
from tiles.monitor import PixelMemory
from tiles.month import Month
from tiles.plan import plan_known
from tiles.reader import GDAL_OPTIONS, RasterioReader, Reader
from tiles.reference import CodedReference
from tiles.scene import NEEDED_BANDS, Band, Scene
from tiles.tile_names import TILES_OF_FRANCE
from tiles.watch import WatchedArea, WatchedPixels

_MONTH = Month(2019, 7)
_DATES = 12
_FOREST_SHARES, _CLOUD_SHARES = (0.2, 0.5, 0.9), (0.3, 0.7)
_ASKED = {0.3: (0.32, 214), 0.7: (1.0, 145)}
"""Cloud to ask of the simulation for so much in its classes, and the seed whose twelve dates have it on the mean at
10,980 pixels. No date has more than 97 %, which lowers the mean. Other sizes have other skies, as the name tells."""
_LEAST_CLEAR, _DAYS_SAVED = (0.1, 0.45), (1.0, 2.0)
_FOREST_NDVI = 0.8
_GOAL = {(0.5, 0.7): 0.35}


class EvenForest:
    """What is known of a tile as far as bytes are concerned: they depend on classes and forest alone.

    Each pixel is expected at one NDVI, so that every date that can be told from noise is counted in its memory; these
    counts are kept.
    """

    def __init__(self, params: ChangeParams) -> None:
        self._terms = 1 + 2 * params.reference.order
        self._lock = Lock()
        self.seen = np.zeros(256, np.int64)
        """Forest pixels by how many dates said something of them."""

    def recall(self, index: int, memory: PixelMemory) -> CodedReference:  # noqa: ARG002 - of every window alike
        """The same curve for every pixel."""
        memory.forget()
        pixels = memory.brightness.size
        coefficients = np.zeros((self._terms, pixels), np.int8)
        coefficients[0] = round((_FOREST_NDVI - CODE_MIDDLE) / CODE_STEP)
        return CodedReference(coefficients, np.zeros(pixels, np.uint8), np.zeros(pixels, np.uint8))

    def keep(self, index: int, reference: CodedReference, memory: PixelMemory) -> None:  # noqa: ARG002 - as above
        """Count the dates."""
        dates = memory.n_before + np.where(memory.n_low > 0, memory.n_after, 0)
        with self._lock:
            self.seen += np.bincount(dates, minlength=256)

    def recall_clouds(self, row: int) -> CloudList:  # noqa: ARG002 - as above
        """No false clouds."""
        return CloudList.blank()

    def keep_clouds(self, row: int, clouds: CloudList) -> None:
        """False clouds are not counted."""


@dataclass
class BytesByBand(RasterioReader):
    """A reader that tells how many bytes it read of which band."""

    of_band: dict[Band, int] = field(default_factory=lambda: dict.fromkeys(NEEDED_BANDS, 0))
    _one: Lock = field(default_factory=Lock)

    def read(self, scene: Scene, band: Band, window: Window, out: NDArray[Any]) -> None:
        """As any reader, one thread at a time: the difference is then this read's own."""
        with self._one:
            before = self.bytes_read
            super().read(scene, band, window, out)
            self.of_band[band] += self.bytes_read - before


@dataclass(frozen=True)
class MonthOfTile:
    """A month of a simulated tile, ready to be scanned as one that is known from before."""

    plan: TilePlan
    watched: WatchedPixels

    @classmethod
    def open(cls, archive: Path) -> MonthOfTile:
        """Plan the month of an archive. Call inside ``rasterio.Env(**GDAL_OPTIONS)``."""
        scenes = open_catalogue(str(archive / "catalog.json")).search(_MONTH.first_day, _MONTH.last_day).scenes
        reader = RasterioReader()
        grid, classes = (reader.grid_of(scenes[0], band) for band in (Band.RED, Band.SCL))
        size = round(classes.pixel_m / grid.pixel_m)
        plan, _ = plan_known("SIMULATED", scenes, _MONTH, reader, grid, size)
        return cls(plan, WatchedArea.open(archive / "forest.tif", None).on(grid))

    def scan(self, reader: Reader, params: ChangeParams) -> NDArray[np.int64]:
        """The month as the engine reads it: forest pixels by how many dates said something of them."""
        forest = EvenForest(params)
        make_change_map(self.plan, self.watched, reader, Nowhere(), params, known=forest, keeper=forest)
        return forest.seen

    def read_whole(self, reader: Reader) -> None:
        """Every pixel of its scenes, each block once."""
        for scene, band in product(self.plan.scenes, NEEDED_BANDS):
            rows, cols = reader.grid_of(scene, band).shape
            out = np.empty((min(rows, WINDOW_PX), cols), np.uint8 if band is Band.SCL else np.uint16)
            for top in range(0, rows, WINDOW_PX):
                height = min(WINDOW_PX, rows - top)
                reader.read(scene, band, Window(0, top, cols, height), out[:height])


def bench_bytes(params: BenchParams) -> Iterator[Figure]:
    """Bytes of a month over those of its scenes whole, for little and much forest and cloud."""
    size = params.size_px - params.size_px % 2
    days = [_MONTH.first_day + dt.timedelta(30 * date // _DATES) for date in range(_DATES)]
    for forest, cloud in product(_FOREST_SHARES, _CLOUD_SHARES):
        form = FileForm.EARTH_SEARCH
        asked, seed = _ASKED[cloud]
        archive = params.work / f"bytes-{form.value}-{size}px-{forest:g}forest-{cloud:g}cloud-seed{seed}"
        write_simulated_tile(archive, size, days, seed, forest, asked, form)
        with rasterio.Env(**GDAL_OPTIONS):
            month, whole = MonthOfTile.open(archive), BytesByBand()
            month.read_whole(whole)
            name = f"SIMULATED {size} px, {forest:.0%} forest, {_mean_cloud(archive):.0%} cloud"
            yield Figure("bytes", f"{name}: all of its {_DATES} dates", whole.bytes_read / 1e6, "MB")
            yield from _shares(month, whole, _GOAL.get((forest, cloud)))


def _shares(month: MonthOfTile, whole: BytesByBand, goal: float | None) -> Iterator[Figure]:
    """What is read of all, by what a date must show of a window or save, and what that loses."""
    seen_of_all: NDArray[np.int64] | None = None
    default = ClearParams()
    for clear in _choices(default):
        asked = BytesByBand()
        seen = month.scan(asked, ChangeParams(clear=clear))
        if seen_of_all is None:
            seen_of_all = seen
        lost = 1 - _observations(seen) / max(1, _observations(seen_of_all))
        counts = ", ".join(f"{seen[least_dates:].sum() / seen.sum():.0%} {least_dates}x" for least_dates in (1, 2, 3))
        told = f"  read, {clear.least_clear_share:.0%} clear and {clear.least_days_saved:g} days saved"
        yield Figure(
            "bytes",
            told + (", the default" if clear == default else ""),
            asked.bytes_read / whole.bytes_read,
            at_most=goal if clear == default else None,
            note=f"classes {asked.of_band[Band.SCL] / whole.of_band[Band.SCL]:.2f} of theirs; "
            f"observations lost {lost:.1%}; forest seen {counts} or more",
        )


def _choices(default: ClearParams) -> list[ClearParams]:
    """Every block with clear forest; then by its clear share alone; then by days saved as well."""
    by_share = [replace(default, least_clear_share=least, least_days_saved=0.0) for least in (0.0, *_LEAST_CLEAR)]
    by_days = [replace(default, least_days_saved=days) for days in _DAYS_SAVED]
    choices = by_share + by_days
    return choices if default in choices else [*choices, default]


def _observations(seen: NDArray[np.int64]) -> int:
    return int((seen * np.arange(seen.size)).sum())


def _mean_cloud(archive: Path) -> float:
    """Share of cloud in the classes, mean over the dates."""
    items = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(archive.glob("*/*/*.json"))]
    return float(np.mean([item["properties"]["eo:cloud_cover"] for item in items])) / 100


def cost_of_france(seconds: float, bytes_read: float, tiles: int = len(TILES_OF_FRANCE)) -> Iterator[Figure]:
    """What a month of mainland France costs: a tile's scan, times tiles.

    Parameters
    ----------
    seconds
        Of a whole tile's month, on two cores.
    bytes_read
        Of its images.
    tiles
        How many.
    """
    name = f"a month of mainland France: {tiles} tiles, each as this SIMULATED one"
    yield Figure("month", f"{name}: on these cores", seconds * tiles / 3600, "h")
    yield Figure("month", "  read of the archive", bytes_read * tiles / 1e9, "GB")
