"""What choosing dates saves and costs: bytes of a month beside the days until a loss is found and confirmed.

Months are SIMULATED, classes alone: what is read where is a matter of them. Losses are laid in by counting: on any day
of the month, in any pixel of the forest. ADR 0020 says what is chosen on which months.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from scripts.bench_figures import BenchParams, Figure
from scripts.simulated_landscape import Landscape, Sky
from tiles import kernels
from tiles.clear import ClearParams, SceneClass
from tiles.engine import WINDOW_PX
from tiles.false_cloud import ClassRows, CloudList, CloudMemory, clear_pixels
from tiles.looks import SAMPLED_PIXELS, dates_worth_reading
from tiles.month import Month

_MONTH = Month(2019, 6)
_DATES = 12
_PERIOD_DAYS = 30
_CHOOSING = (104, 105, 109, 115, 118, 121, 125)
_FIRST_HOLDOUT = (131, 132, 133, 145, 153, 156, 157)
_HOLDOUT = (160, 162, 173, 184, 186)
"""Seeds whose mean cloud lies between 68 and 72 % at 10,980 pixels, of 100 to 129, of 130 to 159 and of 160 to 189. The
first holdout was looked at before a fault was mended (ADR 0020)."""
_FOREST_SHARE, _ASKED_CLOUD = 0.5, 1.0
_CLASS_M, _CLASS_PX = 20.0, 2
_STRIP_ROWS = 256
_EVERY = 4
"""Every so manieth pixel of the classification, down and across, is asked how long it waits: clouds have no detail
under 160 m."""
_UNSEEN_DAYS = 90
"""What a pixel waits that the month does not show."""
_BLOCK_MB = (1.80, 0.33, 1.16)
"""Megabytes of red and near infrared in a whole block with the clear share c: a + b c + d c (1 - c). Least squares over
the blocks of the simulated archive of seed 7; they lie 4 % around it (one deviation)."""
_CLASSES_SHARE = 0.0023
"""Bytes of the classification over those of the bands, in that archive."""
_LEAST = ClearParams().least_clear_share
_DAYS = np.array([round(_PERIOD_DAYS * date // _DATES) for date in range(_DATES)], np.int64)
_DATES_OF_MONTH = tuple(_MONTH.first_day + dt.timedelta(int(day)) for day in _DAYS)


@dataclass(frozen=True)
class ClearWindow:
    """A window's forest through a month.

    Parameters
    ----------
    sampled : ndarray of uint8, shape (dates, pixels)
        Where it is clear, in the pixels that the engine chooses by.
    asked : ndarray of bool, shape (pixels, dates)
        The same in those whose wait is counted.
    share : ndarray of float64, shape (dates,)
        Clear share of the forest.
    block_mb : ndarray of float64, shape (dates,)
        What its bands take in the archive.
    """

    sampled: NDArray[np.uint8]
    asked: NDArray[np.bool_]
    share: NDArray[np.float64]
    block_mb: NDArray[np.float64]


Choice = Callable[[ClearWindow], NDArray[np.bool_]]
"""Which dates are read in a window."""


@dataclass(frozen=True)
class _Waits:
    """Forest pixels by their looks, and losses by the days until they are found and confirmed."""

    looks: NDArray[np.int64]
    found: NDArray[np.int64]
    confirmed: NDArray[np.int64]

    def __add__(self, other: _Waits) -> _Waits:
        return _Waits(self.looks + other.looks, self.found + other.found, self.confirmed + other.confirmed)

    def seen(self, times: int) -> float:
        """Share of the forest that has so many looks or more."""
        return float(self.looks[times:].sum() / self.looks.sum())

    @property
    def looks_each(self) -> float:
        """Looks of the mean pixel."""
        return float((self.looks * np.arange(self.looks.size)).sum() / self.looks.sum())


def bench_looks(params: BenchParams) -> Iterator[Figure]:
    """Bytes and days by the rule for choosing dates, on the months that it was chosen on and on the others."""
    months = {"chosen on": _CHOOSING, "first holdout": _FIRST_HOLDOUT, "holdout": _HOLDOUT}
    for name, seeds in months.items():
        if seeds:
            yield from _of_months(name, params.size_px, seeds)


def _of_months(name: str, size_px: int, seeds: Sequence[int]) -> Iterator[Figure]:
    rules = _rules()
    read, whole, clouds = dict.fromkeys(rules, 0.0), 0.0, []
    waits = dict.fromkeys(rules, _Waits(*(np.zeros(size, np.int64) for size in (_DATES + 1, 121, 121))))
    for seed in seeds:
        cloud, windows = simulated_windows(size_px, seed)
        clouds.append(cloud)
        for window in windows:
            classes_mb = _CLASSES_SHARE * window.block_mb.sum()
            whole += window.block_mb.sum() + classes_mb
            for rule, choose in rules.items():
                chosen = choose(window)
                read[rule] += window.block_mb[chosen].sum() + classes_mb
                waits[rule] = waits[rule] + count_waits(window.asked & chosen, _DAYS, _PERIOD_DAYS)
    title = f"SIMULATED {size_px} px, {len(seeds)} months ({name}), {np.mean(clouds):.0%} cloud: of all bytes,"
    for rule in rules:
        yield Figure("looks", f"{title} {rule}", read[rule] / whole, note=_told(waits[rule]))
        title = " "


def _told(waits: _Waits) -> str:
    found, confirmed = (
        f"{_mean(days):.2f} days, half in {_quantile(days, 0.5)}, nine tenths in {_quantile(days, 0.9)}"
        for days in (waits.found, waits.confirmed)
    )
    seen = ", ".join(f"{waits.seen(times):.1%} {times}x" for times in (1, 2, 3))
    return f"looks {waits.looks_each:.2f}; seen {seen} or more; found in {found}; confirmed in {confirmed}"


def _rules() -> dict[str, Choice]:
    rules: dict[str, Choice] = {"every block with clear forest": partial(_clear, least=1e-9)}
    for least in (_LEAST, 0.25, 0.45, 0.6):
        rules[f"clear share {least:g}"] = partial(_clear, least=least)
    for looks, least in ((3, 0.05), (4, 0.1), (4, 0.2)):
        rules[f"until {looks} looks, new in {least:.0%}"] = partial(_until, looks=looks, least=least)
    for days, least in ((5, 0.3), (8, 0.2), (8, 0.3)):
        rules[f"{days} days since the last, in {least:.0%}"] = partial(_since, days=days, least=least)
    for saved in (0.5, 1.0, 1.5, 2.0, 2.5):
        rules[f"days saved {saved:g}"] = partial(_saving, least_days=saved)
    return rules


def _clear(window: ClearWindow, least: float) -> NDArray[np.bool_]:
    """Where enough of the forest is clear."""
    return np.asarray(window.share >= least)


def _saving(window: ClearWindow, least_days: float) -> NDArray[np.bool_]:
    """As the engine chooses."""
    return dates_worth_reading(window.sampled, _DATES_OF_MONTH, window.share >= _LEAST, least_days)


def _until(window: ClearWindow, looks: int, least: float) -> NDArray[np.bool_]:
    """The clearest dates first, each if it shows enough of the forest that has fewer looks."""
    chosen, seen = np.zeros(_DATES, bool), np.zeros(window.sampled.shape[1], np.int64)
    for date in np.argsort(-window.share, kind="stable"):
        if window.share[date] >= _LEAST and ((window.sampled[date] == 1) & (seen < looks)).mean() >= least:
            chosen[date] = True
            seen += window.sampled[date]
    return chosen


def _since(window: ClearWindow, days: int, least: float) -> NDArray[np.bool_]:
    """One date after the other, each if it shows enough of the forest, less where the last look is not long ago."""
    chosen, last = np.zeros(_DATES, bool), np.full(window.sampled.shape[1], -_UNSEEN_DAYS)
    for date, day in enumerate(_DAYS):
        new = window.sampled[date] * np.minimum(1, (day - last) / days)
        if window.share[date] >= _LEAST and new.mean() >= least:
            chosen[date] = True
            last[window.sampled[date] == 1] = day
    return chosen


def simulated_windows(size_px: int, seed: int) -> tuple[float, list[ClearWindow]]:
    """A month's mean cloud, and its windows of a tile that hold forest.

    Parameters
    ----------
    size_px
        Side of the tile, in pixels of 10 m: even.
    seed
        Of ground and sky: as in `scripts.simulated_tile.write_simulated_tile`, whose twelve dates have the same clouds.
    """
    land, side = Landscape(size_px, seed, _FOREST_SHARE), size_px // _CLASS_PX
    forest = np.empty((side, side), np.uint8)
    kernels.any_in_blocks(land.forest(0, size_px), _CLASS_PX, forest)
    clear, cloud = np.empty((_DATES, side, side), np.uint8), np.empty(_DATES)
    for date in range(_DATES):
        clear[date], cloud[date] = _sky(seed, date, size_px)
    step, windows = WINDOW_PX // _CLASS_PX, []
    for top in range(0, side, step):
        for left in range(0, side, step):
            place = slice(top, top + step), slice(left, left + step)
            wooded, seen = forest[place], clear[:, *place]
            pixels = np.flatnonzero(wooded)
            if pixels.size:
                sampled = seen.reshape(_DATES, -1)[:, pixels[:: max(1, pixels.size // SAMPLED_PIXELS)]]
                few = slice(_EVERY // 2, None, _EVERY), slice(_EVERY // 2, None, _EVERY)
                asked = seen[:, *few][:, wooded[few] == 1].T == 1
                share = seen[:, wooded == 1].mean(axis=1)
                windows.append(ClearWindow(sampled, asked, share, _block_mb(seen)))
    return float(cloud.mean()), windows


def _sky(seed: int, date: int, size_px: int) -> tuple[NDArray[np.uint8], float]:
    """Where a date is clear, and its share of cloud."""
    side = size_px // _CLASS_PX
    sky = Sky.of(np.random.default_rng([seed, 2, date]), size_px, _ASKED_CLOUD)
    scl = np.full((side, side), SceneClass.VEGETATION, np.uint8)
    for top in range(0, side, _STRIP_ROWS):
        strip = scl[top : top + _STRIP_ROWS]
        opacity, shadow = sky.strip(top, len(strip), side)
        strip[shadow] = SceneClass.CLOUD_SHADOW
        strip[opacity > 0] = SceneClass.CLOUD_HIGH
    rows = ClassRows.around(0, side, side, _CLASS_M, ClearParams(), None)
    memory = CloudMemory.of(CloudList.blank(), rows, side)
    clear, _ = clear_pixels(scl, None, rows, _DATES_OF_MONTH[date], memory, _CLASS_M, ClearParams(), None)
    return clear, float((scl == SceneClass.CLOUD_HIGH).mean())


def _block_mb(clear: NDArray[np.uint8]) -> NDArray[np.float64]:
    share, area = clear.mean(axis=(1, 2)), clear[0].size / (WINDOW_PX // _CLASS_PX) ** 2
    constant, of_clear, of_both = _BLOCK_MB
    return np.asarray(area * (constant + of_clear * share + of_both * share * (1 - share)))


def count_waits(looks: NDArray[np.bool_], days: NDArray[np.int64], period: int) -> _Waits:
    """How long losses wait, on every day of a month that comes again and again.

    Parameters
    ----------
    looks : ndarray of bool, shape (pixels, dates)
        When each pixel is seen.
    days : ndarray of int64, shape (dates,)
        The dates, rising, below `period`.
    period
        Days of the month: 30 or fewer.
    """
    counts = np.bincount(looks.sum(axis=1), minlength=_DATES + 1)
    found, confirmed = np.zeros(121, np.int64), np.zeros(121, np.int64)
    found[_UNSEEN_DAYS] = confirmed[_UNSEEN_DAYS] = counts[0] * period
    dates, rounds = len(days), 4
    again = np.tile(looks[looks.any(axis=1)], rounds)
    day = np.concatenate([days + period * turn for turn in range(rounds)])
    places = np.where(again, np.arange(again.shape[1]), again.shape[1] - 1)
    following = np.minimum.accumulate(places[:, ::-1], axis=1)[:, ::-1]
    pixel, here = np.nonzero(again[:, :dates])
    first = following[pixel, here + 1]
    second = following[pixel, first + 1]
    gaps, more = day[first] - day[here], day[second] - day[first]
    for (gap, then), count in zip(*_counted(gaps, more), strict=True):
        found[1 : gap + 1] += count
        confirmed[then + 1 : then + gap + 1] += count
    return _Waits(counts, found, confirmed)


def _counted(gaps: NDArray[np.int64], more: NDArray[np.int64]) -> tuple[Sequence[tuple[int, int]], NDArray[np.int64]]:
    pairs, counts = np.unique(gaps * 1000 + more, return_counts=True)
    return [(int(pair) // 1000, int(pair) % 1000) for pair in pairs], counts


def _mean(days: NDArray[np.int64]) -> float:
    return float((days * np.arange(days.size)).sum() / max(1, days.sum()))


def _quantile(days: NDArray[np.int64], share: float) -> int:
    return int(np.searchsorted(days.cumsum(), share * days.sum()))
