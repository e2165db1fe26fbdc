"""False clouds and haze on the demo's real images: how much is won over the plain scene classification.

The cuts are SIMULATED: squares of pale, dry soil laid into the real images after a date, which the classification
calls cloud on most of them, as Sen2Cor does with what is bright. The clouds, their shadows and the haze are the images'
own, but for the fair weather, which is SIMULATED too. It is all done on arrays, with the functions that a scan uses.

The parameters and the goals were chosen with these same figures in sight: they guard against getting worse, and do not
test the method on ground that it has not seen.
"""

from __future__ import annotations

import datetime as dt
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from statistics import median

import geopandas as gpd
import numpy as np
from numpy.typing import NDArray
from rasterio.features import rasterize
from scipy.ndimage import gaussian_filter

from scripts.bench_figures import BenchParams, Figure
from scripts.demo_archive import DemoCube, read_cube
from tiles import kernels
from tiles.clear import CLEAR_CLASSES, OBSCURING_CLASSES, ClearParams, SceneClass, class_bits
from tiles.engine import forest_runs
from tiles.errors import MissingDependencyError
from tiles.false_cloud import (
    CLOUD_CLASSES,
    ClassRows,
    CloudMemory,
    FalseCloudParams,
    clear_pixels,
    free_false_clouds,
    isolated_clouds,
)
from tiles.monitor import Monitored, MonitorParams, date_quality, follow
from tiles.month import Month
from tiles.reference import Reference, ReferenceParams, design_matrix, fit_reference

_EPSG = 3035
_CLASS_M = 20.0
_SOIL_RED, _SOIL_NIR = 0.28, 0.36
"""Assumed for pale dry soil, NDVI 0.13: neither measured on a real cut nor taken from a library of spectra."""
_TEXTURE, _DAILY = 0.05, 0.02
"""Spread of the soil's reflectance from place to place, and from date to date, as shares of it."""
_CALLED_BARE = 0.2
"""Share of the dates on which the classification gets the simulated cut right. Assumed, and what plain SCL can keep."""
_SPOTS = 0.1
"""Share of a cut's pixels that are called bare on a date on which the rest is called cloud."""
_CUT_AFTER = (dt.date(2018, 6, 20), dt.date(2019, 6, 12), dt.date(2020, 6, 21))
_FOLLOWED_DAYS = 120
_SIDES_PX = (7, 10, 14, 22)
"""Of the simulated cuts: 0.5, 1, 2 and 4.8 ha."""
_LAYOUTS = 4
_FOUND = 0.5
"""Share of a cut's pixels from which it counts as found."""
_WAYS = {"plain": "plain SCL", "freed": "false clouds freed", "true": "had SCL seen the cut"}
_HAZE_MONTHS = (Month(2018, 9), Month(2019, 7), Month(2020, 9))
_CLEAN_PX = 3_000
"""Forest pixels that a date without cloud or haze shows at least."""
_SKY_PX, _SKY_DATES, _SKY_COVER = 1_000, 24, 0.03
"""Simulated fair weather: side of 20 m pixels, dates five days apart, share under cloud."""
_TILE_PX = 5_490


def bench_clouds(params: BenchParams) -> Iterator[Figure]:
    """Cuts that are called cloud, clouds that must stay so, haze, and what it costs."""
    yield from _cost(max(3, params.repeats))
    yield from _fair_weather()
    try:
        forest = _Forest.of(read_cube())
    except MissingDependencyError as error:
        yield Figure("clouds", f"left out: {error}", math.nan)
        return
    yield from _cuts(forest)
    yield from _real_clouds(forest.cube)
    if not params.reference.is_file():
        yield Figure("clouds", f"haze left out: there is no {params.reference}", math.nan)
        return
    yield from _haze(forest, gpd.read_file(params.reference).to_crs(_EPSG))


@dataclass(frozen=True)
class _Forest:
    """The demo's images, and the list of their forest pixels."""

    cube: DemoCube
    mask: NDArray[np.bool_]
    runs: NDArray[np.int32]
    cells: NDArray[np.int64]

    @classmethod
    def of(cls, cube: DemoCube) -> _Forest:
        cover = cube.tree_cover_pct.repeat(2, axis=0).repeat(2, axis=1)
        mask = (cover >= 10) & (cover <= 100)
        return cls(cube, mask, *forest_runs(mask, MonitorParams().cell_px))

    def series(
        self, cube: DemoCube, clear: NDArray[np.uint8], dates: list[int]
    ) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
        """NDVI and near infrared of some dates."""
        shape = (len(dates), int(self.cells[-1]))
        ndvi, near_infrared = np.empty(shape, np.int16), np.empty(shape, np.int16)
        for row, date in enumerate(dates):
            red, nir = cube.bands["red"][date], cube.bands["nir"][date]
            kernels.gather_ndvi(red, nir, clear[date], 2, 0, self.runs, ndvi[row], near_infrared[row])
        return ndvi, near_infrared

    def listed(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """A mask as a list of pixels."""
        out = np.empty(int(self.cells[-1]), np.bool_)
        kernels.collect(mask, self.runs, out)
        return out

    def dates(self, month: Month, monitor: MonitorParams) -> tuple[list[int], list[int]]:
        """Dates of the reference and of the monitored window of a month's scan."""
        window = month.shifted(1 - monitor.months).first_day
        begin = month.shifted(1 - monitor.months - 12 * ReferenceParams().years).first_day
        end, days = month.shifted(1).first_day, list(enumerate(self.cube.days))
        return [i for i, day in days if begin <= day < window], [i for i, day in days if window <= day < end]


def _plain(scl: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Clear pixels of each date by the plain classification."""
    clear, margin = np.empty_like(scl), ClearParams().margin_px(_CLASS_M)
    for classes, out in zip(scl, clear, strict=True):
        kernels.clear_mask(classes, 0, class_bits(CLEAR_CLASSES), class_bits(OBSCURING_CLASSES), margin, out)
    return clear


def _corrected(scl: NDArray[np.uint8], days: list[dt.date]) -> NDArray[np.uint8]:
    """Clear pixels of each date with false clouds read as bare ground."""
    params, clear = FalseCloudParams(), ClearParams()
    rows = ClassRows.around(0, scl.shape[1], scl.shape[1], _CLASS_M, clear, params)
    memory, out = CloudMemory.empty((scl.shape[1], scl.shape[2])), np.empty_like(scl)
    for date, day in enumerate(days):
        isolated = isolated_clouds(scl[date], _CLASS_M, params)
        out[date], memory = clear_pixels(scl[date], isolated, rows, day, memory, _CLASS_M, clear, params)
    return out


def _cuts(forest: _Forest) -> Iterator[Figure]:
    """Simulated cuts: clear dates recovered, and days until they are found."""
    figure = partial(Figure, "clouds")
    cuts = [
        cut
        for layout in range(_LAYOUTS)
        for after in _CUT_AFTER
        for cut in _follow_layout(forest, after, np.random.default_rng([layout, after.toordinal()]))
    ]
    note = f"{len(cuts)} SIMULATED cuts, {_CUT_AFTER[0].year} to {_CUT_AFTER[-1].year}"
    seen = sum(cut.seen for cut in cuts)
    plain, freed = (sum(cut.clear[way] for cut in cuts) / seen for way in ("plain", "freed"))
    yield figure("clear looks at bright cuts that plain SCL keeps", 100 * plain, "%", note=note)
    yield figure("  with false clouds freed", 100 * freed, "%", at_least=60)
    for side in _SIDES_PX:
        some = [cut for cut in cuts if cut.side_px == side]
        shares = [sum(cut.clear[way] for cut in some) / sum(cut.seen for cut in some) for way in ("plain", "freed")]
        name = f"    of {side * side / 100:.1f} ha"
        yield figure(name, 100 * shares[1], "%", note=f"plain SCL {shares[0]:.0%}")
    for state in ("found", "confirmed"):
        for way, goal in (("plain", None), ("freed", 60), ("true", None)):
            days = [cut.lag_days[way, state] for cut in cuts]
            late = sum(day is None for day in days)
            middle = median(_FOLLOWED_DAYS if day is None else day for day in days)
            name = f"days until a cut is {state}, median, {_WAYS[way]}"
            never = f"{late} of {len(days)} not within {_FOLLOWED_DAYS} days"
            yield figure(name, middle, "d", at_most=goal, note=never)
    wrong, looks = sum(cut.wrong for cut in cuts), sum(cut.beside for cut in cuts)
    yield figure(
        "real cloud beside the cuts, freed", round(1e6 * wrong / looks), "ppm", at_most=500, note=f"{wrong} of {looks}"
    )


@dataclass(frozen=True)
class _Cut:
    """What became of a simulated cut: looks that are clear by the truth and by each way; days until found.

    `wrong` and `beside` are looks beside it that are clear though cloud, and all such.
    """

    side_px: int
    seen: int
    clear: dict[str, int]
    lag_days: dict[tuple[str, str], int | None]
    wrong: int
    beside: int


def _follow_layout(forest: _Forest, after: dt.date, rng: np.random.Generator) -> Iterator[_Cut]:
    cube, monitor = forest.cube, MonitorParams()
    boxes = _lay_cuts(forest.mask, rng)
    laid = _with_cuts(cube, boxes, after, rng)
    truth, plain, freed = _plain(cube.scl), _plain(laid.scl), _corrected(laid.scl, cube.days)
    ways = {"plain": plain, "freed": freed, "true": truth}
    last = after + dt.timedelta(_FOLLOWED_DAYS)
    month = Month(last.year, last.month)
    before, monitored = forest.dates(month, monitor)
    monitored = [date for date in monitored if cube.days[date] <= last]
    since = [date for date in monitored if cube.days[date] > after]
    found: dict[tuple[str, str, int], int | None] = {}
    for way, clear in ways.items():
        reference = _reference(forest, laid, clear, before)
        ndvi, near_infrared = forest.series(laid, clear, monitored)
        days = [cube.days[date] for date in monitored]
        for stop in range(len(monitored) - len(since) + 1, len(monitored) + 1):
            told = follow(ndvi[:stop], near_infrared[:stop], days[:stop], forest.cells, reference, monitor)
            for name, pixels in _told(told, days, after, monitor).items():
                for number, box in enumerate(boxes):
                    inside = forest.listed(_mask(box, forest.mask.shape))
                    if pixels[inside].mean() >= _FOUND and found.get((way, name, number)) is None:
                        found[way, name, number] = (days[stop - 1] - after).days
    cut_anywhere = np.zeros_like(truth[0], bool)
    for top, left, side in boxes:
        # With a pixel for the shift from date to date, and the margin of what is called cloud.
        cut_anywhere[max(0, top // 2 - 5) : (top + side) // 2 + 6, max(0, left // 2 - 5) : (left + side) // 2 + 6] = (
            True
        )
    beside = np.ix_(np.array(since), np.flatnonzero(~cut_anywhere))
    wrong = int((freed > truth).reshape(len(truth), -1)[beside].sum())
    for number, (top, left, side) in enumerate(boxes):
        part = (since, slice(top // 2, (top + side) // 2), slice(left // 2, (left + side) // 2))
        real = truth[part] == 1
        yield _Cut(
            side,
            int(real.sum()),
            {way: int(clear[part][real].sum()) for way, clear in ways.items()},
            {(way, name): found.get((way, name, number)) for way in ways for name in ("found", "confirmed")},
            wrong if number == 0 else 0,
            beside[0].size * beside[1].size if number == 0 else 0,
        )


def _told(told: Monitored, days: list[dt.date], after: dt.date, monitor: MonitorParams) -> dict[str, NDArray[np.bool_]]:
    """Pixels whose loss since a day is told, and those of which it is confirmed: as the engine's states."""
    first = sum(day <= after for day in days)
    loss = (told.last_intact >= 0) & (told.first_low >= first)
    confirmed = loss & (told.n_low >= monitor.confirmations)
    with np.errstate(invalid="ignore"):
        alone = loss & told.convincing & (told.ndvi_before - told.ndvi_after >= monitor.felling_drop)
    return {"found": confirmed | alone, "confirmed": confirmed}


def _lay_cuts(forest: NDArray[np.bool_], rng: np.random.Generator) -> list[tuple[int, int, int]]:
    """First row, first column and side of a cut of each size: in forest, 150 m from the edge, 150 m from each other."""
    boxes: list[tuple[int, int, int]] = []
    for side in sorted(_SIDES_PX, reverse=True):
        for _ in range(1_000):
            top, left = (int(place) for place in rng.integers(15, forest.shape[0] - 15 - side, 2))
            apart = all(
                top + side + 15 <= other[0]
                or other[0] + other[2] + 15 <= top
                or left + side + 15 <= other[1]
                or other[1] + other[2] + 15 <= left
                for other in boxes
            )
            if apart and forest[top : top + side, left : left + side].mean() > 0.95:
                boxes.append((top, left, side))
                break
    # Where the larger ones leave no room for the last, all are laid anew.
    return boxes if len(boxes) == len(_SIDES_PX) else _lay_cuts(forest, rng)


def _mask(box: tuple[int, int, int], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    mask = np.zeros(shape, bool)
    mask[box[0] : box[0] + box[2], box[1] : box[1] + box[2]] = True
    return mask


def _with_cuts(cube: DemoCube, boxes: list[tuple[int, int, int]], after: dt.date, rng: np.random.Generator) -> DemoCube:
    """SIMULATED: the images with the cuts laid in where they are clear, and their classification spoilt."""
    red, nir, scl = cube.bands["red"].copy(), cube.bands["nir"].copy(), cube.scl.copy()
    texture = 1 + _TEXTURE * rng.standard_normal(red.shape[1:])
    for date, day in enumerate(cube.days):
        if day <= after:
            continue
        called_bare, light = rng.random() < _CALLED_BARE, 1 + _DAILY * rng.standard_normal()
        # Two images lie up to 12 m apart.
        shift = rng.integers(-1, 2, 2)
        cut = np.zeros(red.shape[1:], bool)
        for top, left, side in boxes:
            cut |= _mask((top + int(shift[0]), left + int(shift[1]), side), red.shape[1:])
        visible = np.isin(cube.scl[date], CLEAR_CLASSES)
        fine = cut & visible.repeat(2, axis=0).repeat(2, axis=1)
        red[date][fine] = (1e4 * _SOIL_RED * light * texture[fine]).astype(np.uint16)
        nir[date][fine] = (1e4 * _SOIL_NIR * light * texture[fine]).astype(np.uint16)
        share = cut.reshape(scl.shape[1], 2, scl.shape[2], 2).mean(axis=(1, 3))
        dice, spots = rng.random(share.shape), rng.random(share.shape) < _SPOTS
        cloud = np.where(dice < 0.7, SceneClass.CLOUD_HIGH, SceneClass.CLOUD_MEDIUM)
        rim = np.where(dice < 0.5, SceneClass.UNCLASSIFIED, scl[date])
        called = np.full_like(cloud, SceneClass.BARE) if called_bare else np.where(spots, SceneClass.BARE, cloud)
        scl[date] = np.where(visible & (share >= 0.5), called, np.where(visible & (share > 0), rim, scl[date]))
    return replace(cube, bands={**cube.bands, "red": red, "nir": nir}, scl=scl)


def _reference(forest: _Forest, cube: DemoCube, clear: NDArray[np.uint8], dates: list[int]) -> Reference:
    ndvi, _ = forest.series(cube, clear, dates)
    return fit_reference(ndvi, [cube.days[date] for date in dates], ReferenceParams())


def _real_clouds(cube: DemoCube) -> Iterator[Figure]:
    """Clouds of the images as they are: nothing in them is a bright cut."""
    freed = int((_corrected(cube.scl, cube.days) > _plain(cube.scl)).sum())
    looks = int(np.isin(cube.scl, CLOUD_CLASSES).sum())
    yield Figure("clouds", "real images: looks made clear, of all", freed, "px", at_most=0, note=f"{looks} are cloud")


def _fair_weather() -> Iterator[Figure]:
    """SIMULATED fields of small clouds over forest, with and without a cloud that returns to its summit.

    Worse than the sky: of what three real scenes (resampled to 120 m) call cloud, 0.02 to 2.4 % is isolated.
    """
    params, rng = FalseCloudParams(), np.random.default_rng(5)
    for name, pinned, goal in (("that drift", False, 500), ("that return to a summit daily", True, 5_000)):
        memory = CloudMemory.empty((_SKY_PX, _SKY_PX))
        rows = ClassRows((0, _SKY_PX), (0, _SKY_PX), (0, _SKY_PX))
        field = rng.standard_normal((_SKY_PX, _SKY_PX))
        isolated_looks = passed = clouds = 0
        for date in range(_SKY_DATES):
            if pinned:
                # Up to 200 m from where it was, with a shape of its own.
                moved = np.roll(field, tuple(rng.integers(-10, 11, 2)), (0, 1))
                wanted = moved + 0.5 * rng.standard_normal(field.shape)
            else:
                wanted = rng.standard_normal(field.shape)
            scl = _small_clouds(wanted)
            day = dt.date(2019, 5, 1) + dt.timedelta(5 * date)
            runs = isolated_clouds(scl, _CLASS_M, params)
            clear, memory = clear_pixels(scl, runs, rows, day, memory, _CLASS_M, ClearParams(), params)
            cloud = np.isin(scl, CLOUD_CLASSES)
            isolated_looks += int((runs[:, 2] - runs[:, 1]).sum())
            passed += int((clear[cloud] == 1).sum())
            clouds += int(cloud.sum())
        note = f"SIMULATED, {_SKY_COVER:.0%} cover, {isolated_looks / clouds:.0%} of it isolated, {_SKY_DATES} dates"
        per_million = round(1e6 * passed / (_SKY_DATES * _SKY_PX**2))
        yield Figure("clouds", f"fair-weather clouds {name}, freed", per_million, "ppm", at_most=goal, note=note)


def _small_clouds(field: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Classification under clouds of some hundred metres where a field is high."""
    smooth = gaussian_filter(field, 5, mode="wrap")
    edge, core = np.quantile(smooth, (1 - _SKY_COVER, 1 - 0.6 * _SKY_COVER))
    scl = np.full(field.shape, SceneClass.VEGETATION, np.uint8)
    scl[smooth > edge] = SceneClass.CLOUD_MEDIUM
    scl[smooth > core] = SceneClass.CLOUD_HIGH
    return scl


def _haze(forest: _Forest, patches: gpd.GeoDataFrame) -> Iterator[Figure]:
    """Lows on forest that stayed, with and without the dates that only glimpse it; and those on openings, kept."""
    figure, cube = partial(Figure, "clouds"), forest.cube
    clear = _plain(cube.scl)
    shape, transform = forest.mask.shape, cube.transform
    near = forest.listed(rasterize(patches.buffer(30), shape, transform=transform, all_touched=True) > 0)
    opened = forest.listed(rasterize(patches[patches["year"] == 2019].buffer(-5), shape, transform=transform) > 0)
    rule = MonitorParams()
    lows = {name: np.zeros(3, np.int64) for name in ("all", "glimpsed", "hazy", "clean")}
    for month in _HAZE_MONTHS:
        before, monitored = forest.dates(month, rule)
        reference = _reference(forest, cube, clear, before)
        ndvi, near_infrared = forest.series(cube, clear, monitored)
        design = design_matrix([cube.days[date] for date in monitored], 2).astype(np.float32)
        quality, without = (
            date_quality(ndvi, near_infrared, design, forest.cells, reference, params)
            for params in (rule, replace(rule, min_seen_share=0.0))
        )
        curve = design @ reference.coefficients
        seen = (ndvi != kernels.MISSING) & (curve >= reference.lowest)
        # The images are one cell.
        drop = curve + without.background[:, :1] - ndvi / np.float32(kernels.NDVI_SCALE)
        low = seen & (drop >= without.low_drop[:, :1])
        usable, kept = without.usable[:, 0], quality.usable[:, 0]
        clean = without.convincing[:, 0] & (seen.sum(axis=1) > _CLEAN_PX)
        # Low on two clean dates: an opening that the outlines lack.
        intact = ~near & (low[usable & clean].sum(axis=0) < 2) & np.isfinite(reference.lowest)
        for name, dates in (
            ("all", usable),
            ("glimpsed", usable & ~kept),
            ("hazy", kept & ~clean),
            ("clean", kept & clean),
        ):
            here = low[dates]
            lows[name] += here[:, intact].sum(), seen[dates][:, intact].sum(), here[:, opened].sum()
    left = lows["hazy"] + lows["clean"]
    yield figure("false lows before, per million looks at intact forest", _ppm(lows["all"]), note=_counts(lows["all"]))
    yield figure(
        "  after leaving out dates that glimpse it", _ppm(left), at_most=0.65 * _ppm(lows["all"]), note=_counts(left)
    )
    yield figure("    of these, dates of haze or broken cloud", _ppm(lows["hazy"]), note=_counts(lows["hazy"]))
    yield figure("    of these, clean dates", _ppm(lows["clean"]), note=_counts(lows["clean"]))
    yield figure("  on the dates left out", _ppm(lows["glimpsed"]), note=_counts(lows["glimpsed"]))
    kept_share = 100 * left[2] / lows["all"][2]
    yield figure(
        "  lows on the openings of 2019 that are kept", kept_share, "%", at_least=99, note=f"of {lows['all'][2]}"
    )


def _ppm(counts: NDArray[np.int64]) -> float:
    return float(round(1e6 * counts[0] / max(1, counts[1])))


def _counts(counts: NDArray[np.int64]) -> str:
    return f"{counts[0]} of {counts[1]}"


def _cost(repeats: int) -> Iterator[Figure]:
    """Seconds of one core for a whole classification full of small clouds."""
    field = np.random.default_rng(1).standard_normal((_TILE_PX // 5, _TILE_PX // 5))
    scl = np.tile(_small_clouds(field), (5, 5))
    params, memory = FalseCloudParams(), CloudMemory.empty(scl.shape)
    rows = ClassRows((0, _TILE_PX), (0, _TILE_PX), (0, _TILE_PX))
    finding, freeing = [], []
    for _ in range(repeats + 1):
        started = time.thread_time()
        runs = isolated_clouds(scl, _CLASS_M, params)
        found = time.thread_time()
        free_false_clouds(scl, runs, rows, dt.date(2019, 7, 1), memory, _CLASS_M, params)
        finding.append(found - started)
        freeing.append(time.thread_time() - found)
    for name, seconds in (("finding isolated clouds", finding), ("freeing those that persist", freeing)):
        yield Figure("clouds", f"{name} of {_TILE_PX} x {_TILE_PX} px", median(seconds[1:]), "s", at_most=0.3)
