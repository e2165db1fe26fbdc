"""A month of a SIMULATED tile that is known from before, beside the mere decoding of the blocks that it reads."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import rasterio

from detector.pipeline import ScanParams
from detector.ports import TileJob, TileOutcome
from detector.tile_month import build_reference, work_tile
from scripts.bench_bytes import cost_of_france
from scripts.bench_figures import BenchParams, Figure, forget_peak, in_child, peak_memory_bytes, take_turns
from scripts.bench_scan import Decoder, Nowhere, Recorder, ratio_of, read_again, spent_in_parts
from scripts.simulated_tile import FileForm, write_simulated_tile
from tiles.catalog import open_catalogue
from tiles.engine import ChangeParams, TilePlan, available_threads, make_change_map
from tiles.month import Month
from tiles.plan import plan_known, plan_tile
from tiles.reader import GDAL_OPTIONS, RasterioReader, Reader
from tiles.reference import ReferenceParams
from tiles.state import StateReader, StateWriter
from tiles.watch import WatchedArea, WatchedPixels, write_forest

_MONTH = Month(2019, 7)
_SEED = 7
_REFERENCE_DATES, _MONTH_DATES = 10, 12
_SPRING = (dt.date(2019, 5, 20), dt.date(2019, 6, 12))
"""Dates between the years of the reference and the month, on which forest was last seen intact."""
_PARAMS = ChangeParams(reference=replace(ReferenceParams(), min_observations=6))
"""As in a scan, but for a reference of fewer dates: the simulated tile has ten, where a real one has a hundred."""


@dataclass(frozen=True)
class KnownTile:
    """A simulated tile whose reference was built up to June, ready for July."""

    plan: TilePlan
    watched: WatchedPixels
    state: StateReader
    state_bytes: int

    @classmethod
    def build(cls, archive: Path, folder: Path) -> KnownTile:
        """Build the state of June in a folder. Call inside ``rasterio.Env(**GDAL_OPTIONS)``."""
        catalogue, reader = open_catalogue(str(archive / "catalog.json")), RasterioReader()
        june = _MONTH.shifted(-1)
        before = catalogue.search(dt.date(2015, 1, 1), june.last_day).scenes
        built, _ = plan_tile("SIMULATED", before, june, reader, _PARAMS, unseen_month=True)
        write_forest(WatchedArea.open(archive / "forest.tif", None).on(built.grid), built.grid, folder / "forest.tif")
        watched = WatchedArea(forest_raster=folder / "forest.tif").on(built.grid)
        with StateWriter(folder, 1 + 2 * _PARAMS.reference.order) as keeper:
            make_change_map(built, watched, reader, Nowhere(), _PARAMS, keeper=keeper)
        scenes = catalogue.search(_MONTH.first_day, _MONTH.last_day).scenes
        plan, _ = plan_known("SIMULATED", scenes, _MONTH, reader, built.grid, built.pixels_per_class)
        state = StateReader(folder, folder, keeper.checksums())
        return cls(plan, watched, state, sum(path.stat().st_size for path in folder.iterdir()))

    def scan(self, reader: Reader, folder: Path) -> None:
        """The month, with its state recalled and kept; the change map is measured apart."""
        with StateWriter(folder) as keeper:
            make_change_map(self.plan, self.watched, reader, Nowhere(), _PARAMS, known=self.state, keeper=keeper)


def simulated_month(params: BenchParams, size_px: int, form: FileForm, cloud_share: float) -> Path:
    """A simulated tile with dates before July 2019, and twelve in it."""
    rng, last = np.random.default_rng(_SEED), _MONTH.shifted(-1 - _PARAMS.monitor.months).last_day
    step = _PARAMS.reference.years * 365 / _REFERENCE_DATES
    back = ((np.arange(_REFERENCE_DATES) + rng.random(_REFERENCE_DATES)) * step).astype(int)
    july = (np.arange(_MONTH_DATES) * 30 / _MONTH_DATES).astype(int)
    days = [last - dt.timedelta(int(day)) for day in back] + list(_SPRING)
    days += [_MONTH.first_day + dt.timedelta(int(day)) for day in july]
    name = f"month-{form.value}-{size_px}px-{params.forest_share:g}forest-{cloud_share:g}cloud"
    return write_simulated_tile(params.work / name, size_px, days, _SEED, params.forest_share, cloud_share, form).parent


def bench_month(params: BenchParams) -> Iterator[Figure]:
    """A month over decoding alone, from COGs and from JPEG 2000; its parts; its memory; the cost of France."""
    size = params.size_px - params.size_px % 2
    sizes = {FileForm.EARTH_SEARCH: size, FileForm.JP2: min(size, 4096)}
    for form, side in sizes.items():
        archive = simulated_month(params, side, form, params.cloud_share)
        with (
            rasterio.Env(**GDAL_OPTIONS),
            TemporaryDirectory(dir=params.work) as built,
            TemporaryDirectory(dir=params.work) as kept,
        ):
            tile = KnownTile.build(archive, Path(built))
            yield from _ratio(tile, Path(kept), form, params)
            if form is FileForm.EARTH_SEARCH:
                yield from spent_in_parts(partial(tile.scan, RasterioReader(), Path(kept)))
        if form is FileForm.EARTH_SEARCH:
            yield from _whole_months(
                params, (archive, simulated_month(params, side // 4 * 2, form, params.cloud_share))
            )


def _whole_months(params: BenchParams, archives: Sequence[Path]) -> Iterator[Figure]:
    """What `sylvigie monthly` does of a tile and of one of half its side, change map and patches too."""
    peaks: list[int] = []
    for archive in archives:
        with TemporaryDirectory(dir=params.work) as data:
            in_child(_get_ready, archive, Path(data))
            # In a process of its own, as cron starts it: what the build of the reference has left is not the month's.
            seconds, peak, outcome = in_child(_work, archive, Path(data))
        name = "a month as `monthly` does it" + (", a tile of half the side" if peaks else "")
        yield Figure("month", f"{name}: everything", seconds, "s", note=f"{outcome.bytes_read / 1e9:.2f} GB read")
        yield Figure("month", "  peak memory", peak / 1e6, "MB", at_most=1500)
        if not peaks:
            yield from cost_of_france(seconds, outcome.bytes_read)
        peaks.append(peak)
    yield Figure("month", "  peak memory of the whole tile, over that of the smaller", peaks[0] / peaks[1], "x")


def _job(archive: Path, data: Path) -> TileJob:
    return TileJob(
        tile="SIMULATED",
        month=_MONTH,
        data_dir=data,
        catalogue=str(archive / "catalog.json"),
        forest_mask=archive / "forest.tif",
        params=ScanParams(change=_PARAMS),
    )


def _get_ready(archive: Path, data: Path) -> None:
    """Build a tile's reference. Where it serves July, it hears the months before; these are scanned too."""
    job = _job(archive, data)
    build_reference(job, None)
    work_tile(replace(job, month=_MONTH.shifted(-1)), None)


def _work(archive: Path, data: Path) -> tuple[float, int, TileOutcome]:
    """Work a month out of a tile that is known: seconds, and the most memory."""
    forget_peak()
    started = time.monotonic()
    outcome = work_tile(_job(archive, data), None)
    return time.monotonic() - started, peak_memory_bytes(), outcome


def _ratio(tile: KnownTile, kept: Path, form: FileForm, params: BenchParams) -> Iterator[Figure]:
    threads = available_threads()
    recorder = Recorder(RasterioReader())
    tile.scan(recorder, kept)
    tasks = list(recorder.tasks.values())
    calls: dict[str, Callable[[], object]] = {
        "decode": lambda: Decoder(threads).run(tasks),
        "read": lambda: read_again(tasks, threads),
        "scan": lambda: tile.scan(RasterioReader(), kept),
    }
    repeats = params.repeats if form is not FileForm.JP2 else 1
    seconds = take_turns(repeats, calls)
    side = tile.plan.grid.shape[0]
    name = f"month of a known tile, {form.value}, {side} px, {len(tile.plan.monitored)} dates"
    yield Figure("month", f"{name}: decoding alone, by GDAL", median(seconds["decode"]), "s")
    own = ratio_of(seconds["read"], seconds["decode"])
    yield Figure("month", "  the same blocks by Sylvigie's reader, over GDAL", own, "x")
    yield Figure("month", "  with the state of June read, that of July written", median(seconds["scan"]), "s")
    yield Figure("month", "  over decoding alone", ratio_of(seconds["scan"], seconds["decode"]), "x", at_most=1.1)
    yield Figure("month", "  over Sylvigie's own reading", ratio_of(seconds["scan"], seconds["read"]), "x")
    yield Figure("month", "  state on disk", tile.state_bytes / 1e6, "MB")
