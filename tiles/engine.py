"""The tiling engine: window after window, decoding beside computing, in memory that the tile's size does not change.

Two kinds of task share a pool of threads: *masks* (a scene's classification over a row of windows, with the margin
around clouds) and *windows* (bands of every scene that is clear somewhere in the window, then reference, monitoring
and states). Each thread has handles and buffers of its own; the kernels release the GIL.
"""

from __future__ import annotations

import datetime as dt
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
from tiles.change import CHANGE_BANDS, EPOCH, NO_VALUE, PixelState
from tiles.clear import ClearParams
from tiles.false_cloud import ClassRows, CloudMemory, FalseCloudParams, clear_pixels, isolated_clouds
from tiles.grid import Grid
from tiles.monitor import Monitored, MonitorParams, follow
from tiles.month import Month
from tiles.reader import Reader
from tiles.reference import Reference, ReferenceParams, fit_reference
from tiles.scene import Band, Scene
from tiles.watch import WatchedPixels

WINDOW_PX = 1024
"""Side of a window: a multiple of the blocks of every archive (256, 512, 1024), so that none is decoded twice."""


@dataclass(frozen=True)
class ChangeParams:
    """Parameters of a change map, stage by stage."""

    clear: ClearParams = field(default_factory=ClearParams)
    false_clouds: FalseCloudParams = field(default_factory=FalseCloudParams)
    reference: ReferenceParams = field(default_factory=ReferenceParams)
    monitor: MonitorParams = field(default_factory=MonitorParams)


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
        Scenes of the years before, and of the window in which a loss may have begun; oldest first.
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

    @property
    def days(self) -> list[dt.date]:
        """Days of `scenes`."""
        return [scene.day for scene in self.scenes]


@dataclass
class Tally:
    """What was counted over a tile, in pixels.

    Parameters
    ----------
    watched, with_reference, observed
        Forest pixels watched; with enough clear dates for a reference; of which the month's scenes said something.
    provisional, confirmed
        Changed pixels.
    bands_read, bands_left
        Windows of a scene whose bands were read, and were not since nothing in them was clear forest.
    """

    watched: int = 0
    with_reference: int = 0
    observed: int = 0
    provisional: int = 0
    confirmed: int = 0
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

    Raises
    ------
    SceneReadError
        When a scene cannot be read: nothing more of it can be used.
    """
    return _Engine(plan, watched, reader, sink, params, progress).run(threads or available_threads())


@dataclass
class _Buffers:
    """Arrays of one thread, used again for each window: fresh memory costs more than the arithmetic."""

    red: NDArray[np.uint16]
    nir: NDArray[np.uint16]
    ndvi: NDArray[np.int16]
    near_infrared: NDArray[np.int16]


@dataclass
class _RowOfClouds:
    """False clouds over a row of windows: what is known of them so far, each scene adding to it in its turn."""

    rows: ClassRows
    class_m: float
    memory: CloudMemory

    @classmethod
    def begin(cls, plan: TilePlan, window: Window, params: ChangeParams) -> _RowOfClouds:
        size = plan.pixels_per_class
        height, width = (-(-side // size) for side in plan.grid.shape)
        class_m = plan.grid.pixel_m * size
        top, bottom = window.row_off // size, -(-(window.row_off + window.height) // size)
        rows = ClassRows.around(top, bottom, height, class_m, params.clear, params.false_clouds)
        return cls(rows, class_m, CloudMemory.empty((rows.remembered[1] - rows.remembered[0], width)))


class _Engine:
    def __init__(
        self,
        plan: TilePlan,
        watched: WatchedPixels,
        reader: Reader,
        sink: Sink,
        params: ChangeParams,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self._plan, self._watched, self._reader, self._sink, self._params = plan, watched, reader, sink, params
        self._progress = progress
        self._local = threading.local()
        self._lock = threading.Lock()
        self._tally = Tally()

    def run(self, threads: int) -> Tally:
        rows = _by_row(list(self._plan.grid.windows(WINDOW_PX)))
        total, done = sum(map(len, rows)), 0
        with ThreadPoolExecutor(threads, thread_name_prefix="window") as pool:
            pending: list[Future[None]] = []
            try:
                for row in rows:
                    submitted = self._submit_row(pool, row)
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
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        return self._tally

    def _report(self, done: int, total: int) -> None:
        if self._progress is not None:
            self._progress(done, total)

    def _submit_row(self, pool: ThreadPoolExecutor, row: list[Window]) -> list[Future[None]]:
        masks = [self._watched.masks(window) for window in row]
        if not any(watched.any() for _, watched in masks):
            return [pool.submit(self._leave_window, window) for window in row]
        turns = _RowOfClouds.begin(self._plan, row[0], self._params)
        clear: list[Future[NDArray[np.uint8]]] = []
        for scene in self._plan.scenes:
            clear.append(pool.submit(self._clear_row, scene, turns, clear[-1] if clear else None))
        return [
            pool.submit(self._window, window, forest, watched, clear)
            if watched.any()
            else pool.submit(self._leave_window, window)
            for window, (forest, watched) in zip(row, masks, strict=True)
        ]

    def _clear_row(
        self, scene: Scene, row: _RowOfClouds, before: Future[NDArray[np.uint8]] | None
    ) -> NDArray[np.uint8]:
        """Where a scene is clear over a whole row of windows, packed to bits along its rows."""
        first, end = row.rows.read
        scl = np.empty((end - first, row.memory.count.shape[1]), np.uint8)
        self._reader.read(scene, Band.SCL, Window(0, first, scl.shape[1], end - first), scl)
        isolated = isolated_clouds(scl, row.class_m, self._params.false_clouds)
        if before is not None:
            # Read side by side, remembered in turn. It was in the queue earlier, so it is running or done.
            before.result()
        clear, row.memory = clear_pixels(
            scl,
            isolated,
            row.rows,
            scene.day,
            row.memory,
            row.class_m,
            self._params.clear,
            self._params.false_clouds,
        )
        return np.packbits(clear, axis=1)

    def _leave_window(self, window: Window) -> None:
        state = np.full((window.height, window.width), PixelState.NOT_FOREST, np.uint8)
        with self._lock:
            self._sink.write(window, None, state)

    def _window(
        self,
        window: Window,
        forest: NDArray[np.bool_],
        watched: NDArray[np.bool_],
        clear: Sequence[Future[NDArray[np.uint8]]],
    ) -> None:
        plan, params = self._plan, self._params
        runs, cells = forest_runs(forest, params.monitor.cell_px)
        inside = np.empty(int(cells[-1]), np.bool_)
        kernels.collect(watched, runs, inside)
        ndvi, near_infrared, tally = self._read_series(window, forest, runs, inside.size, clear)
        split = len(plan.reference)
        days = plan.days
        reference = fit_reference(ndvi[:split], days[:split], params.reference)
        monitored = follow(ndvi[split:], near_infrared, days[split:], cells, reference, params.monitor)
        result = _classify(plan, reference, monitored, inside, params.monitor)
        state, change = _lay_out(forest.shape, runs, result)
        tally.watched = int(inside.sum())
        tally.with_reference = int((np.isfinite(reference.lowest) & inside).sum())
        tally.observed = int(result.observed.sum())
        tally.provisional = int((result.state == PixelState.PROVISIONAL).sum())
        tally.confirmed = int((result.state == PixelState.CONFIRMED).sum())
        with self._lock:
            self._sink.write(window, change, state)
            self._tally.add(tally)

    def _read_series(
        self,
        window: Window,
        mask: NDArray[np.bool_],
        runs: NDArray[np.int32],
        pixels: int,
        clear: Sequence[Future[NDArray[np.uint8]]],
    ) -> tuple[NDArray[np.int16], NDArray[np.int16], Tally]:
        """NDVI of all dates, and near infrared of the monitored ones, of the forest pixels of a window."""
        plan, buffers = self._plan, self._buffers()
        split, tally = len(plan.reference), Tally()
        size = plan.pixels_per_class
        ndvi = buffers.ndvi[: len(plan.scenes) * pixels].reshape(len(plan.scenes), pixels)
        near_infrared = buffers.near_infrared[: len(plan.monitored) * pixels].reshape(len(plan.monitored), pixels)
        red = buffers.red[: mask.size].reshape(mask.shape)
        nir = buffers.nir[: mask.size].reshape(mask.shape)
        left = window.col_off // size
        coarse = np.empty((-(-mask.shape[0] // size), -(-mask.shape[1] // size)), np.uint8)
        kernels.any_in_blocks(mask, size, coarse)
        bits = slice(left // 8, -(-(left + coarse.shape[1]) // 8))
        for index, scene in enumerate(plan.scenes):
            packed = clear[index].result()
            here = np.unpackbits(packed[:, bits], axis=1, count=coarse.shape[1])
            if not kernels.meet(here, coarse):
                ndvi[index] = kernels.MISSING
                tally.bands_left += 1
                continue
            self._reader.read(scene, Band.RED, window, red)
            self._reader.read(scene, Band.NIR, window, nir)
            kernels.gather_ndvi(
                red,
                nir,
                here,
                size,
                scene.dn_offset,
                runs,
                ndvi[index],
                near_infrared[index - split] if index >= split else near_infrared[0, :0],
            )
            tally.bands_read += 1
        return ndvi, near_infrared, tally

    def _buffers(self) -> _Buffers:
        buffers: _Buffers | None = getattr(self._local, "buffers", None)
        if buffers is None:
            pixels = min(WINDOW_PX, self._plan.grid.shape[0]) * min(WINDOW_PX, self._plan.grid.shape[1])
            buffers = self._local.buffers = _Buffers(
                red=np.empty(pixels, np.uint16),
                nir=np.empty(pixels, np.uint16),
                ndvi=np.empty(len(self._plan.scenes) * pixels, np.int16),
                near_infrared=np.empty(len(self._plan.monitored) * pixels, np.int16),
            )
        return buffers


@dataclass(frozen=True)
class _WindowResult:
    """State, bands (bands, pixels), and whether the month said something, of a list of pixels."""

    state: NDArray[np.uint8]
    bands: NDArray[np.int16]
    observed: NDArray[np.bool_]


def _classify(
    plan: TilePlan, reference: Reference, monitored: Monitored, inside: NDArray[np.bool_], params: MonitorParams
) -> _WindowResult:
    """From what each pixel went through to its state at the end of the month; `inside` the area of interest."""
    since_epoch = np.array([(scene.day - EPOCH).days for scene in plan.monitored], np.int32)
    first_of_month = sum(scene.day < plan.month.first_day for scene in plan.monitored)
    observed = inside & (monitored.last_seen >= first_of_month)
    first_told = sum(scene.day < plan.month.shifted(1 - params.window_months).first_day for scene in plan.monitored)
    # A loss needs a date on which the forest was still there: a gap of years is not a felling. And it is told for as
    # long as the window lasts.
    open_loss = inside & (monitored.last_intact >= 0) & (monitored.first_low >= first_told)
    confirmed = open_loss & (monitored.n_low >= params.confirmations)
    drop = monitored.ndvi_before - monitored.ndvi_after
    with np.errstate(invalid="ignore"):
        provisional = open_loss & ~confirmed & monitored.convincing & (drop >= params.felling_drop)
    state = np.where(observed, PixelState.INTACT, PixelState.UNOBSERVED).astype(np.uint8)
    # A suspicion that is not told is not intact either: unconfirmed, older than the window, or never seen as forest.
    undecided = (monitored.n_low > 0) & ~confirmed & ~provisional
    state[undecided] = PixelState.UNOBSERVED
    state[~inside] = PixelState.NOT_FOREST
    state[provisional] = PixelState.PROVISIONAL
    state[confirmed] = PixelState.CONFIRMED

    bands = np.full((len(CHANGE_BANDS), state.size), NO_VALUE, np.int16)
    changed = np.flatnonzero(confirmed | provisional)
    scale = kernels.NDVI_SCALE
    before = np.rint(monitored.ndvi_before[changed] * scale)
    after = np.rint(monitored.ndvi_after[changed] * scale)
    values: tuple[NDArray[Any], ...] = (
        before,
        after,
        before - after,
        since_epoch[monitored.last_intact[changed]],
        since_epoch[monitored.first_low[changed]],
        monitored.n_low[changed],
        reference.count[changed] + monitored.n_before[changed],
        monitored.n_after[changed],
    )
    for band, value in zip(bands, values, strict=True):
        band[changed] = value
    return _WindowResult(state, bands, observed & ~undecided)


def _lay_out(
    shape: tuple[int, int], runs: NDArray[np.int32], result: _WindowResult
) -> tuple[NDArray[np.uint8], NDArray[np.int16] | None]:
    """From lists of pixels back to the window: its states, and its bands where something has changed."""
    state = np.full(shape, PixelState.NOT_FOREST, np.uint8)
    kernels.scatter(result.state, runs, state)
    if not ((result.state == PixelState.PROVISIONAL) | (result.state == PixelState.CONFIRMED)).any():
        return state, None
    change = np.full((result.bands.shape[0], *shape), NO_VALUE, np.int16)
    for band, values in zip(change, result.bands, strict=True):
        kernels.scatter(values, runs, band)
    return state, change


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


def _by_row(windows: Sequence[Window]) -> list[list[Window]]:
    rows: dict[int, list[Window]] = {}
    for window in windows:
        rows.setdefault(window.row_off, []).append(window)
    return list(rows.values())
