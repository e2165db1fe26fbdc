"""The tiling engine: window after window, decoding beside computing, in memory that the tile's size does not change.

Two kinds of task share a pool of threads: *masks* (a scene's classification over a row of windows, with the margin
around clouds) and *windows* (bands of every scene that is clear somewhere in the window, then reference, monitoring
and states). Each thread has handles and buffers of its own; the kernels release the GIL.

A window's reference and memory are either made here, from the years before, or recalled from the month before; what is
then known of it can be kept for the next.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from tiles import kernels
from tiles.change import BLOCK_PX, CHANGE_BANDS, NO_VALUE
from tiles.clear import ClearParams
from tiles.false_cloud import (
    ClassRows,
    CloudList,
    CloudMemory,
    FalseCloudParams,
    clear_pixels,
    isolated_clouds,
)
from tiles.grid import Grid
from tiles.looks import SAMPLED_PIXELS, by_month, dates_worth_reading
from tiles.monitor import MonitorParams, PixelMemory, follow
from tiles.month import Month, day_number
from tiles.pixel_state import PixelState
from tiles.reader import Reader
from tiles.reference import CodedReference, ReferenceParams, fit_reference
from tiles.scene import Band, Scene
from tiles.state import Keeper, Known
from tiles.stripes import ClassStripes, ClearStripes
from tiles.watch import WatchedPixels

WINDOW_PX = 1024
"""Side of a window: a multiple of the blocks of every archive (256, 512, 1024), so that none is decoded twice."""

_HELD_SCENES = 48
"""Scenes of whose classification rows are held for the next row of windows: a month has a dozen or two, the years of a
reference a hundred and more."""

_DATES_AT_ONCE = 16
"""Dates that are read before they are followed: memory then does not grow with the months of a scan."""


@dataclass(frozen=True)
class ChangeParams:
    """Parameters of a change map, stage by stage.

    Without `false_clouds`, which is the default, all that is called cloud is cloud (ADR 0011).
    """

    clear: ClearParams = field(default_factory=ClearParams)
    reference: ReferenceParams = field(default_factory=ReferenceParams)
    monitor: MonitorParams = field(default_factory=MonitorParams)
    false_clouds: FalseCloudParams | None = None


@dataclass(frozen=True)
class TilePlan:
    """What is to be read for a tile.

    Parameters
    ----------
    tile, month
        What the change map shows.
    grid
        Of the 10 m bands.
    reference, monitored
        Scenes of the years before, and of the window in which a loss may have begun; oldest first. Where the tile is
        known from before, `reference` is empty and `monitored` what has come since.
    pixels_per_class
        Band pixels along a side of a pixel of the scene classification.
    """

    tile: str
    month: Month
    grid: Grid
    reference: tuple[Scene, ...]
    monitored: tuple[Scene, ...]
    pixels_per_class: int

    @property
    def scenes(self) -> tuple[Scene, ...]:
        """All scenes, oldest first."""
        return self.reference + self.monitored


@dataclass
class Tally:
    """What was counted over a tile, in pixels.

    Parameters
    ----------
    watched, with_reference, observed
        Forest pixels watched; with enough clear dates for a reference; of which the month's scenes said something.
    provisional, confirmed
        Changed pixels.
    suspected
        With an open suspicion, told or not.
    bands_read, bands_left
        Windows of a scene whose bands were read, and were not since nothing in them was clear forest, too little, or
        none that other dates do not show soon enough.
    """

    watched: int = 0
    with_reference: int = 0
    observed: int = 0
    provisional: int = 0
    confirmed: int = 0
    suspected: int = 0
    bands_read: int = 0
    bands_left: int = 0

    def add(self, other: Tally) -> None:
        """Add the counts of another window."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


class Sink(Protocol):
    """Where windows go; see `tiles.change.ChangeMapWriter.write`."""

    def write(self, window: Window, change: NDArray[np.int16] | None, state: NDArray[np.uint8]) -> None:
        """Take a window."""
        ...


def available_threads() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def make_change_map(
    plan: TilePlan,
    watched: WatchedPixels,
    reader: Reader,
    sink: Sink,
    params: ChangeParams,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    *,
    known: Known | None = None,
    keeper: Keeper | None = None,
    rows: Sequence[int] | None = None,
) -> Tally:
    """Compute a tile's change map.

    Parameters
    ----------
    plan
        What to read.
    watched
        Which pixels are watched.
    reader, sink
        Where pixels come from and go to.
    params
        How.
    threads
        Decoding and computing threads; as many as processors by default.
    progress
        Called with windows done and windows in all.
    known
        What is known of the tile from before; without it the reference is fitted to the plan's.
    keeper
        Takes what is known of each window in the end.
    rows
        Which rows of windows, of `row_count`; all by default. What a row comes to does not depend on the others.

    Raises
    ------
    SceneReadError
        When a scene cannot be read: nothing more of it can be used.
    StateError
        When what is known is of other forest than the watched.
    """
    engine = _Engine(plan, watched, reader, sink, params, progress, known, keeper)
    return engine.run(threads or available_threads(), range(row_count(plan.grid)) if rows is None else rows)


def row_count(grid: Grid) -> int:
    """Number of rows of windows that a grid is worked on in."""
    return -(-grid.shape[0] // WINDOW_PX)


@dataclass
class _Buffers:
    """Arrays of one thread, used again for each window: fresh memory costs more than the arithmetic."""

    red: NDArray[np.uint16]
    nir: NDArray[np.uint16]
    ndvi: NDArray[np.int16]
    near_infrared: NDArray[np.int16]
    counts: NDArray[np.int16]
    when: NDArray[np.int16]
    sums: NDArray[np.float32]
    brightness: NDArray[np.uint8]


@dataclass(frozen=True)
class _PackedMasks:
    """Forest and watched pixels of a window, as bits: those of two whole rows of windows wait in the queue."""

    forest: NDArray[np.uint8]
    watched: NDArray[np.uint8] | None
    """None where all of the forest is."""
    any_watched: bool

    @classmethod
    def of(cls, forest: NDArray[np.bool_], watched: NDArray[np.bool_]) -> _PackedMasks:
        of_forest, of_watched = (np.packbits(mask, axis=1) for mask in (forest, watched))
        return cls(of_forest, None if np.array_equal(of_forest, of_watched) else of_watched, bool(of_watched.any()))

    def forest_mask(self, cols: int) -> NDArray[np.bool_]:
        return np.unpackbits(self.forest, axis=1, count=cols).view(np.bool_)

    def watched_of(self, runs: NDArray[np.int32], pixels: int, cols: int) -> NDArray[np.bool_]:
        """Which pixels of the list of forest pixels are watched."""
        if self.watched is None:
            return np.ones(pixels, np.bool_)
        inside = np.empty(pixels, np.bool_)
        kernels.collect(np.unpackbits(self.watched, axis=1, count=cols).view(np.bool_), runs, inside)
        return inside


@dataclass
class _RowOfClouds:
    """A row of windows, and what is known so far of the false clouds over it: each scene adds to it in its turn."""

    index: int
    rows: ClassRows
    needed_next: int
    """First row of the classification that the next row of windows reads."""
    memory: CloudMemory


class _Engine:
    def __init__(
        self,
        plan: TilePlan,
        watched: WatchedPixels,
        reader: Reader,
        sink: Sink,
        params: ChangeParams,
        progress: Callable[[int, int], None] | None,
        known: Known | None,
        keeper: Keeper | None,
    ) -> None:
        self._plan, self._watched, self._reader, self._sink, self._params = plan, watched, reader, sink, params
        self._progress, self._known, self._keeper = progress, known, keeper
        self._terms = 1 + 2 * params.reference.order
        rows, cols = (-(-side // plan.pixels_per_class) for side in plan.grid.shape)
        hold = len(plan.scenes) <= _HELD_SCENES
        margin = params.clear.margin_px(self._class_m)
        self._clear = {scene.id: ClearStripes(scene, (rows, cols), margin, hold) for scene in plan.scenes}
        # What is read in their place where false clouds are looked for.
        self._classes = {scene.id: ClassStripes(scene, (rows, cols), hold) for scene in plan.scenes}
        self._local = threading.local()
        self._lock = threading.Lock()
        self._tally = Tally()

    def run(self, threads: int, wanted: Sequence[int]) -> Tally:
        every = _by_row(list(self._plan.grid.windows(WINDOW_PX)))
        rows = [(index, every[index]) for index in wanted]
        total, done = sum(len(row) for _, row in rows), 0
        with ThreadPoolExecutor(threads, thread_name_prefix="window") as pool:
            pending: list[Future[None]] = []
            try:
                for index, row in rows:
                    submitted = self._submit_row(pool, index, row)
                    # The next row is in the queue before this one is awaited: no thread runs dry in between.
                    for future in pending:
                        future.result()
                        done += 1
                        self._report(done, total)
                    pending = submitted
                for future in pending:
                    future.result()
                    done += 1
                    self._report(done, total)
            except BaseException as error:
                if not isinstance(error, Exception):
                    # Interrupted: who waits for a slow server is not waited for.
                    self._reader.stop()
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        return self._tally

    def _report(self, done: int, total: int) -> None:
        if self._progress is not None:
            self._progress(done, total)

    def _submit_row(
        self, pool: ThreadPoolExecutor, row_index: int, row: list[tuple[int, Window]]
    ) -> list[Future[None]]:
        masks = [_PackedMasks.of(*self._watched.masks(window)) for _, window in row]
        clear: list[Future[NDArray[np.uint8]]] = []
        if any(packed.any_watched for packed in masks):
            clear = self._submit_clear(pool, row_index, row[0][1])
        elif self._keeper is not None:
            self._keeper.keep_clouds(row_index, CloudList.blank())
        return [
            pool.submit(self._window, index, window, packed, clear)
            if packed.any_watched
            else pool.submit(self._leave_window, index, window)
            for (index, window), packed in zip(row, masks, strict=True)
        ]

    def _submit_clear(self, pool: ThreadPoolExecutor, index: int, window: Window) -> list[Future[NDArray[np.uint8]]]:
        """Where each scene is clear over a row of windows, of which one is given: packed to bits along its rows."""
        scenes, size, looked_for = self._plan.scenes, self._plan.pixels_per_class, self._params.false_clouds
        asked = window.row_off // size, -(-(window.row_off + window.height) // size)
        if looked_for is None:
            # Nothing is remembered: no scene waits for another, whose server may be slow.
            if self._keeper is not None:
                self._keeper.keep_clouds(index, CloudList.blank())
            return [pool.submit(self._clear[scene.id].rows, self._reader, *asked) for scene in scenes]
        clouds, clear = self._row_of_clouds(index, asked, looked_for), list[Future[NDArray[np.uint8]]]()
        for scene in scenes:
            clear.append(pool.submit(self._clear_row, scene, clouds, looked_for, clear[-1] if clear else None))
        if not clear and self._keeper is not None:
            self._keeper.keep_clouds(index, clouds.memory.listed(clouds.rows))
        return clear

    @property
    def _class_m(self) -> float:
        return self._plan.grid.pixel_m * self._plan.pixels_per_class

    def _row_of_clouds(self, index: int, asked: tuple[int, int], looked_for: FalseCloudParams) -> _RowOfClouds:
        height, width = (-(-side // self._plan.pixels_per_class) for side in self._plan.grid.shape)
        rows, after = (
            ClassRows.around(*part, height, self._class_m, self._params.clear, looked_for)
            for part in (asked, (asked[1], asked[1] + 1))
        )
        listed = CloudList.blank() if self._known is None else self._known.recall_clouds(index)
        return _RowOfClouds(index, rows, after.read[0], CloudMemory.of(listed, rows, width))

    def _clear_row(
        self,
        scene: Scene,
        row: _RowOfClouds,
        looked_for: FalseCloudParams,
        before: Future[NDArray[np.uint8]] | None,
    ) -> NDArray[np.uint8]:
        """Where a scene is clear over a whole row of windows, false clouds among it, packed to bits along its rows."""
        scl = self._classes[scene.id].rows(self._reader, *row.rows.read, row.needed_next)
        isolated = isolated_clouds(scl, self._class_m, looked_for)
        if before is not None:
            # Read side by side, remembered in turn. It was in the queue earlier, so that it is running or done.
            before.result()
        clear, row.memory = clear_pixels(
            scl, isolated, row.rows, scene.day, row.memory, self._class_m, self._params.clear, looked_for
        )
        if self._keeper is not None and scene is self._plan.scenes[-1]:
            self._keeper.keep_clouds(row.index, row.memory.listed(row.rows, scene.day, looked_for))
        return np.packbits(clear, axis=1)

    def _leave_window(self, index: int, window: Window) -> None:
        state = np.full((window.height, window.width), PixelState.NOT_FOREST, np.uint8)
        if self._keeper is not None:
            nothing = np.empty(0, np.uint8)
            none = CodedReference(np.empty((self._terms, 0), np.int8), nothing, nothing)
            self._keeper.keep(index, none, PixelMemory.blank(0))
        with self._lock:
            self._sink.write(window, None, state)

    def _window(
        self,
        index: int,
        window: Window,
        packed: _PackedMasks,
        clear: Sequence[Future[NDArray[np.uint8]]],
    ) -> None:
        params, tally = self._params, Tally()
        forest = packed.forest_mask(window.width)
        runs, cells = forest_runs(forest, params.monitor.cell_px)
        inside = packed.watched_of(runs, int(cells[-1]), window.width)
        series = _Series(window, forest, runs, self._plan.pixels_per_class, inside.size)
        reference, memory = self._remember(index, series, clear, tally)
        self._follow(series, clear, cells, reference, memory, tally)
        if self._keeper is not None:
            self._keeper.keep(index, reference, memory)
        state = np.empty(inside.size, np.uint8)
        tally.observed = _classify(self._plan.month, memory, inside, params.monitor, state)
        # Counted, not summed: a sum makes whole numbers of all the flags first.
        tally.watched = int(np.count_nonzero(inside))
        tally.with_reference = int(np.count_nonzero(reference.known & inside))
        tally.suspected = int(np.count_nonzero(memory.n_low))
        changed = np.flatnonzero((state == PixelState.PROVISIONAL) | (state == PixelState.CONFIRMED))
        tally.confirmed = int((state[changed] == PixelState.CONFIRMED).sum())
        tally.provisional = changed.size - tally.confirmed
        self._lay_out(series, state, changed, _bands(changed, reference, memory))
        with self._lock:
            self._tally.add(tally)

    def _lay_out(
        self, series: _Series, state: NDArray[np.uint8], changed: NDArray[np.int64], bands: NDArray[np.int16]
    ) -> None:
        """From lists of pixels back to the window: its states, and its bands in the blocks where something changed."""
        laid = np.full(series.shape, PixelState.NOT_FOREST, np.uint8)
        kernels.scatter(state, series.runs, laid)
        if not changed.size:
            with self._lock:
                self._sink.write(series.window, None, laid)
            return
        rows, cols = series.places(changed)
        block_of = rows // BLOCK_PX * series.shape[1] + cols // BLOCK_PX
        for top in range(0, series.shape[0], BLOCK_PX):
            for left in range(0, series.shape[1], BLOCK_PX):
                states = laid[top : top + BLOCK_PX, left : left + BLOCK_PX]
                window = Window(
                    series.window.col_off + left, series.window.row_off + top, states.shape[1], states.shape[0]
                )
                here = block_of == top // BLOCK_PX * series.shape[1] + left // BLOCK_PX
                block = None
                if here.any():
                    block = np.full((bands.shape[0], *states.shape), NO_VALUE, np.int16)
                    block[:, rows[here] - top, cols[here] - left] = bands[:, here]
                with self._lock:
                    self._sink.write(window, block, states)

    def _remember(
        self, index: int, series: _Series, clear: Sequence[Future[NDArray[np.uint8]]], tally: Tally
    ) -> tuple[CodedReference, PixelMemory]:
        """What is known of a window before the monitored dates: recalled, or its reference fitted."""
        memory = self._memory(series.pixels)
        if self._known is not None:
            return self._known.recall(index, memory), memory
        memory.forget()
        scenes = self._plan.reference
        ndvi = self._buffers(len(scenes)).ndvi[: len(scenes) * series.pixels].reshape(len(scenes), series.pixels)
        self._read_dates(series, scenes, clear, self._clear_enough(series, scenes, clear), ndvi, None, tally)
        return fit_reference(ndvi, [scene.day for scene in scenes], self._params.reference), memory

    def _follow(
        self,
        series: _Series,
        clear: Sequence[Future[NDArray[np.uint8]]],
        cells: NDArray[np.int64],
        reference: CodedReference,
        memory: PixelMemory,
        tally: Tally,
    ) -> None:
        """The monitored dates that are worth it, some at a time: what is not read tells nothing, and takes no room."""
        before, monitored = len(self._plan.reference), self._plan.monitored
        wanted = np.flatnonzero(self._worth_reading(series, monitored, clear[before:]))
        tally.bands_left += len(monitored) - wanted.size
        for start in range(0, wanted.size, _DATES_AT_ONCE):
            part = wanted[start : start + _DATES_AT_ONCE]
            scenes, masks = [monitored[date] for date in part], [clear[before + date] for date in part]
            buffers, size = self._buffers(len(scenes)), len(scenes) * series.pixels
            ndvi = buffers.ndvi[:size].reshape(len(scenes), series.pixels)
            near_infrared = buffers.near_infrared[:size].reshape(len(scenes), series.pixels)
            self._read_dates(series, scenes, masks, np.ones(len(scenes), bool), ndvi, near_infrared, tally)
            days = [scene.day for scene in scenes]
            follow(ndvi, near_infrared, days, cells, reference, memory, self._params.monitor)

    def _clear_enough(
        self, series: _Series, scenes: Sequence[Scene], clear: Sequence[Future[NDArray[np.uint8]]]
    ) -> NDArray[np.bool_]:
        """On which dates enough of a window's forest is clear."""
        least = self._params.clear.least_clear_share
        shares = np.array([series.clear_share(mask.result()) for mask in clear[: len(scenes)]])
        return (shares > 0) & (shares >= least)

    def _worth_reading(
        self, series: _Series, scenes: Sequence[Scene], clear: Sequence[Future[NDArray[np.uint8]]]
    ) -> NDArray[np.bool_]:
        """Which monitored dates are read in a window: a matter of the calendar month and the window alone."""
        wanted, least_days = self._clear_enough(series, scenes, clear), self._params.clear.least_days_saved
        if not least_days:
            return wanted
        places, days = series.sample(SAMPLED_PIXELS), [scene.day for scene in scenes]
        for month in by_month(days):
            looks = np.stack([series.clear_at(mask.result(), places) for mask in clear[month]])
            wanted[month] = dates_worth_reading(looks, days[month], wanted[month], least_days)
        return wanted

    def _read_dates(
        self,
        series: _Series,
        scenes: Sequence[Scene],
        clear: Sequence[Future[NDArray[np.uint8]]],
        wanted: NDArray[np.bool_],
        ndvi: NDArray[np.int16],
        near_infrared: NDArray[np.int16] | None,
        tally: Tally,
    ) -> None:
        """NDVI, and near infrared where it is wanted, of the forest pixels of a window on some dates."""
        shape, buffers = series.shape, self._buffers(0)
        red = buffers.red[: shape[0] * shape[1]].reshape(shape)
        nir = buffers.nir[: shape[0] * shape[1]].reshape(shape)
        for index, scene in enumerate(scenes):
            if not wanted[index]:
                ndvi[index] = kernels.MISSING
                tally.bands_left += 1
                continue
            here = series.clear_here(clear[index].result())
            box = kernels.common_box(here, series.coarse)
            # No more than the clear forest: a block beyond it is neither fetched nor decoded.
            part, rows, cols = series.part(box)
            self._reader.read(scene, Band.RED, part, red[rows, cols])
            self._reader.read(scene, Band.NIR, part, nir[rows, cols])
            kernels.gather_ndvi(
                red,
                nir,
                here,
                series.size,
                scene.known_offset,
                series.runs,
                ndvi[index],
                near_infrared[index] if near_infrared is not None else ndvi[0, :0],
            )
            tally.bands_read += 1

    def _buffers(self, dates: int) -> _Buffers:
        """Arrays of this thread, with room for that many dates."""
        buffers: _Buffers | None = getattr(self._local, "buffers", None)
        pixels = min(WINDOW_PX, self._plan.grid.shape[0]) * min(WINDOW_PX, self._plan.grid.shape[1])
        if buffers is None:
            followed = min(_DATES_AT_ONCE, len(self._plan.monitored))
            buffers = self._local.buffers = _Buffers(
                red=np.empty(pixels, np.uint16),
                nir=np.empty(pixels, np.uint16),
                ndvi=np.empty(max(dates, followed) * pixels, np.int16),
                near_infrared=np.empty(followed * pixels, np.int16),
                counts=np.empty(5 * pixels, np.int16),
                when=np.empty(3 * pixels, np.int16),
                sums=np.empty(2 * pixels, np.float32),
                brightness=np.empty(pixels, np.uint8),
            )
        if buffers.ndvi.size < dates * pixels:
            buffers.ndvi = np.empty(dates * pixels, np.int16)
        return buffers

    def _memory(self, pixels: int) -> PixelMemory:
        """A memory of any content, in arrays of this thread."""
        buffers = self._buffers(0)
        return PixelMemory(
            buffers.counts[: 5 * pixels].reshape(5, pixels),
            buffers.when[: 3 * pixels].reshape(3, pixels),
            buffers.sums[: 2 * pixels].reshape(2, pixels),
            buffers.brightness[:pixels],
        )


class _Series:
    """A window of forest, and where its pixels go in a list."""

    def __init__(
        self, window: Window, forest: NDArray[np.bool_], runs: NDArray[np.int32], size: int, pixels: int
    ) -> None:
        self.window, self.runs, self.size, self.pixels = window, runs, size, pixels
        self.shape: tuple[int, int] = (window.height, window.width)
        self.coarse = np.empty((-(-window.height // size), -(-window.width // size)), np.uint8)
        kernels.any_in_blocks(forest, size, self.coarse)
        self._coarse_bits = np.packbits(self.coarse, axis=1)
        self._coarse_pixels = int(np.count_nonzero(self.coarse))

    def clear_here(self, packed: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Of the packed bits of a row of windows, this window's: uint8, shape of `coarse`."""
        return np.unpackbits(self._bits_here(packed), axis=1, count=self.coarse.shape[1])

    def _bits_here(self, packed: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The bytes of this window. What fills up the last of them belongs to no pixel, and is 0 in the forest's."""
        left = self.window.col_off // self.size
        return packed[:, left // 8 : -(-(left + self.coarse.shape[1]) // 8)]

    def clear_share(self, packed: NDArray[np.uint8]) -> float:
        """Share of the window's forest that is clear, in pixels of the classification; counted in bits."""
        clear = int(np.bitwise_count(self._bits_here(packed) & self._coarse_bits).sum(dtype=np.int64))
        return clear / max(1, self._coarse_pixels)

    def sample(self, about: int) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Of about so many forest pixels, every so manieth: places of their bytes in the bits of here, and shifts."""
        forest = np.flatnonzero(self.coarse.view(np.bool_))
        rows, cols = np.divmod(forest[:: max(1, forest.size // about)], self.coarse.shape[1])
        return rows * self._coarse_bits.shape[1] + cols // 8, (7 - cols % 8).astype(np.uint8)

    def clear_at(
        self, packed: NDArray[np.uint8], places: tuple[NDArray[np.int64], NDArray[np.uint8]]
    ) -> NDArray[np.uint8]:
        """1 where pixels of a `sample` are clear, else 0; the others' bits are left packed."""
        where, shift = places
        return np.asarray(self._bits_here(packed).ravel()[where] >> shift & 1)

    def places(self, pixels: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows and columns, in the window, of pixels of the list."""
        run = np.searchsorted(self.runs[:, 3], pixels, side="right") - 1
        return self.runs[run, 0].astype(np.int64), self.runs[run, 1] + pixels - self.runs[run, 3]

    def part(self, box: tuple[int, int, int, int]) -> tuple[Window, slice, slice]:
        """A box of `coarse` as a window of the bands, and as its rows and columns in this one."""
        top, bottom, left, right = (side * self.size for side in box)
        rows, cols = slice(top, min(bottom, self.shape[0])), slice(left, min(right, self.shape[1]))
        window = Window(self.window.col_off + left, self.window.row_off + top, cols.stop - left, rows.stop - top)
        return window, rows, cols


def _classify(
    month: Month, memory: PixelMemory, inside: NDArray[np.bool_], params: MonitorParams, out: NDArray[np.uint8]
) -> int:
    """State of each pixel at the end of the month, into `out`; how many of those `inside` the area were observed."""
    # A loss is told for as long as the window lasts.
    first_told = day_number(month.shifted(1 - params.window_months).first_day)
    return kernels.classify(
        memory.counts,
        memory.when,
        memory.sums,
        inside,
        day_number(month.first_day),
        first_told,
        params.confirmations,
        params.felling_drop,
        out,
    )


def _bands(changed: NDArray[np.int64], reference: CodedReference, memory: PixelMemory) -> NDArray[np.int16]:
    """`CHANGE_BANDS` of the changed pixels: int16, shape (bands, changed)."""
    before, after = np.rint(memory.sums[:, changed] / memory.n_low[changed] * kernels.NDVI_SCALE)
    values: tuple[NDArray[Any], ...] = (
        before,
        after,
        before - after,
        memory.last_intact[changed],
        memory.first_low[changed],
        memory.n_low[changed],
        reference.count[changed].astype(np.int16) + memory.n_before[changed],
        memory.n_after[changed],
    )
    bands = np.empty((len(CHANGE_BANDS), changed.size), np.int16)
    for band, value in zip(bands, values, strict=True):
        band[:] = value
    return bands


def forest_runs(mask: NDArray[np.bool_], cell_px: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Runs of forest pixels along rows, cell after cell, and where each cell's pixels begin in the list.

    Parameters
    ----------
    mask : ndarray of bool, shape (rows, cols)
        Forest pixels of a window.
    cell_px
        Side of a cell.

    Returns
    -------
    runs : ndarray of int32, shape (runs, 4)
        Row, first column, end column, place of the first pixel in the list.
    cells : ndarray of int64, shape (cells + 1,)
        Places; the last is the length of the list. A list begins at each cell and ends at the next.
    """
    rows, cols = mask.shape
    across, down = -(-cols // cell_px), -(-rows // cell_px)
    # Every second pixel of a row, in each cell that it crosses, is the most that can begin a run.
    runs = np.empty((rows * (cols // 2 + across), 4), np.int32)
    cells = np.empty(across * down + 1, np.int64)
    return runs[: kernels.find_runs(mask, cell_px, runs, cells)], cells


def _by_row(windows: Sequence[Window]) -> list[list[tuple[int, Window]]]:
    """Windows with their places, a list for each row of them."""
    rows: dict[int, list[tuple[int, Window]]] = {}
    for index, window in enumerate(windows):
        rows.setdefault(window.row_off, []).append((index, window))
    return list(rows.values())
