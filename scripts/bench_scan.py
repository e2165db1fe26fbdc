"""The scan of a SIMULATED tile beside the mere decoding of the blocks that it needs; memory; what comes after."""

from __future__ import annotations

import datetime as dt
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from threading import Lock, get_ident, local
from typing import Any
from unittest.mock import patch

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.io import DatasetReader
from rasterio.windows import Window

from detector.alerts import ScanContext, build_alerts
from detector.features import patch_features
from detector.params import PatchParams
from detector.patches import find_patches
from scripts.bench_figures import BenchParams, Figure, forget_peak, in_child, peak_memory_bytes, take_turns
from scripts.simulated_tile import write_simulated_tile
from tiles import engine, kernels, monitor
from tiles.catalog import open_catalogue
from tiles.change import ChangeMapFiles, ChangeMapWriter, read_changed_pixels
from tiles.clear import CLEAR_CLASSES, class_bits
from tiles.engine import WINDOW_PX, ChangeParams, TilePlan, available_threads, make_change_map
from tiles.month import Month
from tiles.plan import plan_tile
from tiles.reader import GDAL_OPTIONS, RasterioReader, Reader
from tiles.reference import ReferenceParams
from tiles.scene import Band, Scene
from tiles.state import StateReader, StateWriter
from tiles.watch import WatchedArea, WatchedPixels

_MONTH = Month(2019, 7)
_LAST_DAY = dt.date(2019, 7, 15)
_SEED = 7
_PARAMS = ChangeParams(reference=replace(ReferenceParams(), min_observations=6))
"""As in a scan, but for a reference of fewer dates: the simulated tile has a dozen, where a real one has a hundred."""
_DAYS_READ = (_PARAMS.monitor.months + 12 * _PARAMS.reference.years) * 365.25 / 12

Read = tuple[Scene, Band, Window]


@dataclass(frozen=True)
class Tile:
    """A simulated tile, ready to be scanned."""

    plan: TilePlan
    watched: WatchedPixels

    @classmethod
    def open(cls, archive: Path) -> Tile:
        """Plan the scan of a simulated archive. Call inside ``rasterio.Env(**GDAL_OPTIONS)``."""
        found = open_catalogue(str(archive / "catalog.json")).search(dt.date(2015, 1, 1), _MONTH.last_day)
        plan, _ = plan_tile("SIMULATED", found.scenes, _MONTH, RasterioReader(), _PARAMS)
        return cls(plan, WatchedArea.open(archive / "forest.tif", None).on(plan.grid))

    def scan(self, reader: Reader, sink: engine.Sink) -> engine.Tally:
        """The engine as a scan uses it."""
        return make_change_map(self.plan, self.watched, reader, sink, _PARAMS)


class Nowhere:
    """A sink that drops what it gets: writing is measured apart."""

    def write(self, window: Window, change: NDArray[np.int16] | None, state: NDArray[np.uint8]) -> None:
        """Forget a window."""


@dataclass
class Recorder:
    """A reader that remembers what is read, task by task."""

    inner: Reader
    tasks: dict[tuple[Any, ...], list[Read]] = field(default_factory=lambda: defaultdict(list))
    _lock: Lock = field(default_factory=Lock)

    def block_rows(self, scene: Scene, band: Band) -> int:
        """As the inner reader."""
        return self.inner.block_rows(scene, band)

    def stop(self) -> None:
        """As the inner reader."""
        self.inner.stop()

    def grid_of(self, scene: Scene, band: Band) -> Any:
        """As the inner reader."""
        return self.inner.grid_of(scene, band)

    def read(self, scene: Scene, band: Band, window: Window, out: NDArray[Any]) -> None:
        """As the inner reader."""
        # A window's bands are read by one task, a scene's classes over a row of windows by another.
        task = ("classes", scene.id, window.row_off) if band is Band.SCL else ("bands", window.row_off, window.col_off)
        with self._lock:
            self.tasks[task].append((scene, band, window))
        self.inner.read(scene, band, window, out)

    @property
    def bytes_read(self) -> int:
        """As the inner reader."""
        return self.inner.bytes_read


class Decoder:
    """Decoding and nothing else: each thread has handles and one buffer of its own, used again and again."""

    def __init__(self, threads: int) -> None:
        self._threads, self._local = threads, local()

    def run(self, tasks: Sequence[Sequence[Read]], then: Callable[[list[NDArray[Any]]], None] | None = None) -> None:
        """Decode every read, task by task, and hand each task's arrays on."""
        with ThreadPoolExecutor(self._threads) as pool:
            for future in [pool.submit(self._task, task, then) for task in tasks]:
                future.result()

    def _task(self, task: Sequence[Read], then: Callable[[list[NDArray[Any]]], None] | None) -> None:
        arrays = []
        for index, (scene, band, window) in enumerate(task):
            dataset = self._dataset(scene.hrefs[band])
            # Without a use for the arrays, one buffer does for all of a kind.
            out = self._buffer(index if then else 0, dataset.dtypes[0], (window.height, window.width))
            dataset.read(1, window=window, out=out)
            arrays.append(out)
        if then is not None:
            then(arrays)

    def _dataset(self, href: str) -> DatasetReader:
        opened: dict[str, DatasetReader] = self._local.__dict__.setdefault("opened", {})
        if href not in opened:
            opened[href] = rasterio.open(href)
        return opened[href]

    def _buffer(self, index: int, dtype: str, shape: tuple[int, int]) -> NDArray[Any]:
        buffers: dict[tuple[int, str], NDArray[Any]] = self._local.__dict__.setdefault("buffers", {})
        size = shape[0] * shape[1]
        if (index, dtype) not in buffers or buffers[index, dtype].size < size:
            buffers[index, dtype] = np.empty(max(size, WINDOW_PX**2), dtype)
        return buffers[index, dtype][:size].reshape(shape)


def read_again(tasks: Sequence[Sequence[Read]], threads: int) -> None:
    """Read what was read by the reader of a scan, task by task, into one buffer a thread and kind."""
    reader, buffers = RasterioReader(), local()

    def task(reads: Sequence[Read]) -> None:
        for scene, band, window in reads:
            kind = "classes" if band is Band.SCL else "bands"
            if not hasattr(buffers, kind):
                setattr(buffers, kind, np.empty(0, np.uint8 if band is Band.SCL else np.uint16))
            size = window.height * window.width
            if getattr(buffers, kind).size < size:
                setattr(buffers, kind, np.empty(size, getattr(buffers, kind).dtype))
            reader.read(scene, band, window, getattr(buffers, kind)[:size].reshape(window.height, window.width))

    with ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(task, reads) for reads in tasks]:
            future.result()


def simulated_archive(params: BenchParams, size_px: int) -> Path:
    """A simulated tile under the work folder, made if it is not there."""
    rng = np.random.default_rng(_SEED)
    step = _DAYS_READ / params.dates
    # One date in each stretch of the years, not always at the same time of the year.
    back = (np.arange(params.dates) + rng.random(params.dates)) * step
    days = sorted({_LAST_DAY - dt.timedelta(days=int(day)) for day in (0.0, *back[1:])})
    forest, cloud = params.forest_share, params.cloud_share
    archive = params.work / f"simulated-{size_px}px-{len(days)}dates-{forest:g}forest-{cloud:g}cloud"
    return write_simulated_tile(archive, size_px, days, _SEED, forest, cloud).parent


def bench_scan(params: BenchParams) -> Iterator[Figure]:
    """A pair and a month beside decoding alone, the parts of a scan, memory, and what comes after the engine."""
    size = params.size_px - params.size_px % 2
    archive = simulated_archive(params, size)
    with rasterio.Env(**GDAL_OPTIONS):
        tile = Tile.open(archive)
        yield from _pair(tile, params.repeats)
        yield from _month(tile, params)
        yield from spent_in_parts(lambda: tile.scan(RasterioReader(), Nowhere()))
    half = simulated_archive(params, size // 4 * 2)
    peaks = [in_child(_scan_memory, folder) for folder in (archive, half)]
    for side, (before, peak) in zip((size, size // 4 * 2), peaks, strict=True):
        note = f"{before / 1e6:.0f} MB of it before the scan"
        yield Figure("scan", f"peak memory, {side} x {side} px", peak / 1e6, "MB", note=note)
    yield Figure("scan", "  of the whole tile, over that of a quarter of it", peaks[0][1] / peaks[1][1], "x")
    with rasterio.Env(**GDAL_OPTIONS), TemporaryDirectory(dir=params.work) as folder:
        yield from _after(tile, Path(folder))


def _pair(tile: Tile, repeats: int) -> Iterator[Figure]:
    """Two dates by the plain kernel: the least that a scan could cost."""
    before, after = tile.plan.scenes[-2:]
    size, tasks = tile.plan.pixels_per_class, []
    for window in tile.plan.grid.windows(WINDOW_PX):
        col, row, width, height = (side // size for side in window.flatten())
        coarse = Window(col, row, width, height)
        bands = ((Band.RED, window), (Band.NIR, window), (Band.SCL, coarse))
        tasks.append([(scene, band, part) for scene in (before, after) for band, part in bands])
    threads = available_threads()
    changes = local()

    def compute(arrays: list[NDArray[Any]]) -> None:
        red0, nir0, scl0, red1, nir1, scl1 = arrays
        if not hasattr(changes, "out"):
            changes.out = np.empty(WINDOW_PX**2, np.int16)
        kernels.ndvi_change(
            red0, nir0, scl0, before.known_offset, red1, nir1, scl1, after.known_offset, class_bits(CLEAR_CLASSES),
            changes.out[: red0.size].reshape(red0.shape),
        )  # fmt: skip

    def nothing(arrays: list[NDArray[Any]]) -> None:
        """The arrays are decoded, into the same buffers."""

    calls = {
        "decode": lambda: Decoder(threads).run(tasks, nothing),
        "scan": lambda: Decoder(threads).run(tasks, compute),
    }
    take_turns(1, calls)  # files in the page cache, kernels compiled
    seconds = take_turns(2 * repeats, calls)
    alone, ratio = median(seconds["decode"]), ratio_of(seconds["scan"], seconds["decode"])
    yield Figure("scan", f"pair, {tile.plan.grid.shape[0]} px, {threads} threads: decoding alone", alone, "s")
    yield Figure("scan", "  decoding and computing, over decoding alone", ratio, "x", at_most=1.1)


def _month(tile: Tile, params: BenchParams) -> Iterator[Figure]:
    """The real engine, beside decoding exactly what it asked for."""
    threads = available_threads()
    recorder = Recorder(RasterioReader())
    tally = tile.scan(recorder, Nowhere())
    tasks = list(recorder.tasks.values())
    calls: dict[str, Callable[[], object]] = {
        "decode": lambda: Decoder(threads).run(tasks),
        "scan": lambda: tile.scan(RasterioReader(), Nowhere()),
    }
    take_turns(1, calls)
    seconds = take_turns(params.repeats, calls)
    plan = tile.plan
    name = f"month, {len(plan.reference)} + {len(plan.monitored)} dates, {params.forest_share:.0%} forest"
    left = tally.bands_left / max(1, tally.bands_left + tally.bands_read)
    note = f"{left:.0%} of the bands' windows hold no clear forest and are not read"
    yield Figure("scan", f"{name}: decoding alone", median(seconds["decode"]), "s", note=note)
    yield Figure("scan", "  the engine", median(seconds["scan"]), "s")
    yield Figure("scan", "  the engine, over decoding alone", ratio_of(seconds["scan"], seconds["decode"]), at_most=1.1)


def ratio_of(one: Sequence[float], other: Sequence[float]) -> float:
    """Median of the ratios turn by turn: a slow moment of the machine meets both of a turn."""
    return median(a / b for a, b in zip(one, other, strict=True))


_PARTS: tuple[tuple[str, Any, str], ...] = (
    ("reading", RasterioReader, "read"),
    ("clear masks", kernels, "clear_mask"),
    ("forest masks", WatchedPixels, "masks"),
    ("runs of forest pixels", engine, "forest_runs"),
    ("NDVI of forest pixels", kernels, "gather_ndvi"),
    ("reference", engine, "fit_reference"),
    ("what was known", StateReader, "recall"),
    ("what dates are worth", monitor, "date_quality"),
    ("monitoring", kernels, "monitor"),
    ("what is known then", StateWriter, "keep"),
    ("states", engine, "_classify"),
    ("layout", engine._Engine, "_lay_out"),
)


def spent_in_parts(scan: Callable[[], object]) -> Iterator[Figure]:
    """Where a scan's time goes: the processor's, of all threads."""
    spent: dict[str, float] = defaultdict(float)
    seen: dict[int, float] = {}

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            started = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                now = time.thread_time()
                spent[name] += now - started
                seen[get_ident()] = now

        return call

    with ExitStack() as patches:
        for name, owner, attribute in _PARTS:
            patches.enter_context(patch.object(owner, attribute, timed(name, getattr(owner, attribute))))
        started = time.process_time()
        scan()
        whole = time.process_time() - started
    spent["the rest"] = whole - sum(spent.values())
    for name, seconds in spent.items():
        yield Figure("scan", f"  of the engine: {name}", seconds, "s CPU", note=f"{seconds / whole:.1%}")


def _scan_memory(archive: Path) -> tuple[int, int]:
    """Memory of a process before a scan, and the most during it."""
    with rasterio.Env(**GDAL_OPTIONS):
        tile = Tile.open(archive)
        before = forget_peak()
        tile.scan(RasterioReader(), Nowhere())
    return before, peak_memory_bytes()


def _after(tile: Tile, folder: Path) -> Iterator[Figure]:
    """What follows the engine: the change map's files, patches, features, alerts."""
    figure = partial(Figure, "scan", unit="s")
    plan, files = tile.plan, ChangeMapFiles.under(folder, "SIMULATED", _MONTH)
    spent = 0.0

    class Timed(ChangeMapWriter):
        def write(self, window: Window, change: NDArray[np.int16] | None, state: NDArray[np.uint8]) -> None:
            nonlocal spent
            started = time.perf_counter()
            super().write(window, change, state)
            spent += time.perf_counter() - started

    with Timed(files, plan.grid) as writer:
        tile.scan(RasterioReader(), writer)
        scanned = time.perf_counter()
    closed = time.perf_counter() - scanned
    size_mb = sum(path.stat().st_size for path in (files.change, files.state)) / 1e6
    yield figure("change map: windows written, beside the engine", spent)
    yield figure("change map: Cloud-Optimized GeoTIFFs made of them", closed, note=f"{size_mb:.1f} MB")

    def detect() -> int:
        pixels = read_changed_pixels(files)
        params = PatchParams()
        patches = find_patches(pixels, plan.grid, params)
        features = patch_features(patches, pixels, plan.grid, files.state)
        scenes = tuple((scene.day, scene.id) for scene in plan.monitored)
        context = ScanContext("SIMULATED", _MONTH.last_day, scenes)
        return len(build_alerts(patches, features, pixels, plan.grid, context, params))

    alerts = detect()
    seconds = median(take_turns(3, {"detect": detect})["detect"])
    yield figure("detector: patches, features, alerts", seconds, note=f"{alerts} alerts, of simulated clear-cuts")
