"""SIMULATED bright cuts, laid into the demo's real images and followed by each way of telling clouds.

A cut is a square of pale, dry soil laid in after a date. The classification calls it cloud on most dates: on how many
is assumed, for we know no measure of it over French cuts. The clouds, their shadows and the haze are the images' own.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scripts.demo_archive import DemoCube
from tiles import kernels
from tiles.clear import CLEAR_CLASSES, ClearParams, SceneClass
from tiles.engine import forest_runs
from tiles.false_cloud import ClassRows, CloudMemory, FalseCloudParams, clear_pixels, isolated_clouds
from tiles.monitor import MonitorParams, PixelMemory, follow
from tiles.month import Month, day_number
from tiles.pixel_state import PixelState
from tiles.reference import CodedReference, ReferenceParams, fit_reference

CLASS_M = 20.0
SIDES_PX = (7, 10, 14, 22)
"""Of the simulated cuts: 0.5, 1, 2 and 4.8 ha."""
FOLLOWED_DAYS = 120
_SOIL_RED, _SOIL_NIR = 0.28, 0.36
"""Assumed for pale dry soil, NDVI 0.13: neither measured on a real cut nor taken from a library of spectra."""
_TEXTURE, _DAILY = 0.05, 0.02
"""Spread of the soil's reflectance from place to place, and from date to date, as shares of it."""
_CALLED_GREEN = 0.5
"""Of the dates on which a cut is not called cloud, those on which it is called vegetation: of bright ground (red over
0.2, NDVI 0.1 to 0.2) in the clear real scene of 13 August 2023 SCL says so of 53 %, bare of 39 %."""
_SPOTS = 0.1
"""Share of a cut's pixels that are called bare on a date on which the rest is called cloud."""
_FOUND = 0.5
"""Share of a cut's pixels from which it counts as found."""


@dataclass(frozen=True)
class DemoForest:
    """The demo's images, and the list of their forest pixels."""

    cube: DemoCube
    mask: NDArray[np.bool_]
    runs: NDArray[np.int32]
    cells: NDArray[np.int64]

    @classmethod
    def of(cls, cube: DemoCube) -> DemoForest:
        """Forest where tree cover is 10 % or more."""
        cover = cube.tree_cover_pct.repeat(2, axis=0).repeat(2, axis=1)
        mask = (cover >= 10) & (cover <= 100)
        return cls(cube, mask, *forest_runs(mask, MonitorParams().cell_px))

    def series(
        self, cube: DemoCube, clear: NDArray[np.uint8], dates: Sequence[int]
    ) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
        """NDVI and near infrared of some dates, as the engine reads them."""
        shape = (len(dates), int(self.cells[-1]))
        ndvi, near_infrared = np.full(shape, kernels.MISSING, np.int16), np.zeros(shape, np.int16)
        for row, date in enumerate(dates):
            red, nir = cube.bands["red"][date], cube.bands["nir"][date]
            kernels.gather_ndvi(red, nir, clear[date], 2, 0, self.runs, ndvi[row], near_infrared[row])
        return ndvi, near_infrared

    def clear_share(self, clear: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Share of the forest that is clear on each date, in pixels of the classification; as the engine counts it."""
        coarse = np.empty(clear.shape[1:], np.uint8)
        kernels.any_in_blocks(self.mask, 2, coarse)
        return np.asarray((clear & coarse).sum(axis=(1, 2)) / coarse.sum())

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

    def reference(self, clear: NDArray[np.uint8], dates: Sequence[int]) -> CodedReference:
        """The reference of some dates."""
        ndvi, _ = self.series(self.cube, clear, dates)
        return fit_reference(ndvi, [self.cube.days[date] for date in dates], ReferenceParams())


def clear_by(scl: NDArray[np.uint8], days: Sequence[dt.date], params: FalseCloudParams | None) -> NDArray[np.uint8]:
    """Clear pixels of each date, by the plain classification without `params`, or with false clouds freed."""
    clear = ClearParams()
    rows = ClassRows.around(0, scl.shape[1], scl.shape[1], CLASS_M, clear, params)
    memory, out = CloudMemory.empty((scl.shape[1], scl.shape[2])), np.empty_like(scl)
    for date, day in enumerate(days):
        isolated = isolated_clouds(scl[date], CLASS_M, params) if params else None
        out[date], memory = clear_pixels(scl[date], isolated, rows, day, memory, CLASS_M, clear, params)
    return out


@dataclass(frozen=True)
class Layout:
    """A cut to be laid in: alone, since several would be a tenth of the one square kilometre, and noise to each other.

    Parameters
    ----------
    after
        The last day of the forest.
    side_px
        Of its square, 10 m pixels.
    seed
        Of where it is, how it looks, and what it is called.
    called_right
        Share of the dates on which the classification does not call it cloud.
    """

    after: dt.date
    side_px: int
    seed: int
    called_right: float


@dataclass(frozen=True)
class Cut:
    """What became of a simulated cut.

    Parameters
    ----------
    side_px
        Of its square, 10 m pixels.
    seen, clear
        Looks at its pixels that were clear before it was laid in, and those of them that are by each way.
    lag_days
        Days until it was found or confirmed, by way and state; None where it was not.
    wrong, beside
        Looks beside it that are clear though cloud, and all of them.
    """

    side_px: int
    seen: int
    clear: dict[str, int]
    lag_days: dict[tuple[str, str], int | None]
    wrong: int
    beside: int


class CutSeason:
    """The images around a day after which cuts are laid in: what is the same for all of them is worked out once."""

    def __init__(self, forest: DemoForest, after: dt.date) -> None:
        self.forest, self.after, days = forest, after, forest.cube.days
        self.true = clear_by(forest.cube.scl, days, None)
        last = after + dt.timedelta(FOLLOWED_DAYS)
        before, monitored = forest.dates(Month(last.year, last.month), MonitorParams())
        self.since = [date for date in monitored if after < days[date] <= last]
        self._reference = forest.reference(self.true, before)
        self._memory = PixelMemory.blank(int(forest.cells[-1]))
        self._follow(self._memory, forest.cube, self.true, [date for date in monitored if days[date] <= after])

    def follow(self, layout: Layout, params: FalseCloudParams, lags: bool = True) -> Cut:
        """Lay a cut, tell clouds in each way ("plain", "freed", and "true": had SCL seen it), and follow it."""
        cube = self.forest.cube
        box = _place(self.forest.mask, layout)
        laid = _with_cut(cube, box, layout)
        ways = {
            "plain": clear_by(laid.scl, cube.days, None),
            "freed": clear_by(laid.scl, cube.days, params),
            "true": self.true,
        }
        found: dict[tuple[str, str], int | None] = {}
        for way, clear in ways.items() if lags else ():
            for name, days in self._found(laid, clear, box).items():
                found[way, name] = days
        top, left, side = box
        part = (self.since, slice(top // 2, (top + side) // 2), slice(left // 2, (left + side) // 2))
        real = ways["true"][part] == 1
        free = np.ones(self.true.shape[1:], bool)
        # With a pixel for the shift from date to date, and the margin of what is called cloud.
        free[max(0, top // 2 - 5) : (top + side) // 2 + 6, max(0, left // 2 - 5) : (left + side) // 2 + 6] = False
        wrong = (ways["freed"][self.since] > ways["true"][self.since])[:, free]
        clear_looks = {way: int(clear[part][real].sum()) for way, clear in ways.items()}
        return Cut(side, int(real.sum()), clear_looks, found, int(wrong.sum()), wrong.size)

    def _follow(self, memory: PixelMemory, cube: DemoCube, clear: NDArray[np.uint8], dates: Sequence[int]) -> None:
        ndvi, near_infrared = self.forest.series(cube, clear, dates)
        days = [cube.days[date] for date in dates]
        follow(ndvi, near_infrared, days, self.forest.cells, self._reference, memory, MonitorParams())

    def _found(self, laid: DemoCube, clear: NDArray[np.uint8], box: tuple[int, int, int]) -> dict[str, int | None]:
        """Days from the last of the forest to the date on which a cut is found, and confirmed."""
        monitor, before = MonitorParams(), self._memory
        memory = PixelMemory(before.counts.copy(), before.when.copy(), before.sums.copy(), before.brightness.copy())
        inside = self.forest.listed(_mask(box, self.forest.mask.shape))
        states, watched = np.empty(inside.size, np.uint8), np.ones(inside.size, np.bool_)
        first_told = day_number(self.after) + 1
        lags: dict[str, int | None] = {"found": None, "confirmed": None}
        for date in self.since:
            self._follow(memory, laid, clear, [date])
            arrays = (memory.counts, memory.when, memory.sums, watched)
            kernels.classify(*arrays, first_told, first_told, monitor.confirmations, monitor.felling_drop, states)
            confirmed = states[inside] == PixelState.CONFIRMED
            told = {"found": confirmed | (states[inside] == PixelState.PROVISIONAL), "confirmed": confirmed}
            for name, pixels in told.items():
                if lags[name] is None and pixels.mean() >= _FOUND:
                    lags[name] = (laid.days[date] - self.after).days
        return lags


def _place(forest: NDArray[np.bool_], layout: Layout) -> tuple[int, int, int]:
    """First row, first column and side of a cut: in forest, 150 m from the edge."""
    rng, side = np.random.default_rng([layout.seed, layout.side_px]), layout.side_px
    while True:
        top, left = (int(place) for place in rng.integers(15, forest.shape[0] - 15 - side, 2))
        if forest[top : top + side, left : left + side].mean() > 0.95:
            return top, left, side


def _mask(box: tuple[int, int, int], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    mask = np.zeros(shape, bool)
    mask[box[0] : box[0] + box[2], box[1] : box[1] + box[2]] = True
    return mask


def _with_cut(cube: DemoCube, box: tuple[int, int, int], layout: Layout) -> DemoCube:
    """SIMULATED: the images with the cut laid in where they are clear, and their classification spoilt."""
    # The same but for what it is called, whatever the share.
    rng = np.random.default_rng([layout.seed, layout.side_px, layout.after.toordinal()])
    red, nir, scl = cube.bands["red"].copy(), cube.bands["nir"].copy(), cube.scl.copy()
    texture = 1 + _TEXTURE * rng.standard_normal(red.shape[1:])
    for date, day in enumerate(cube.days):
        if day <= layout.after:
            continue
        visible = np.isin(cube.scl[date], CLEAR_CLASSES)
        # Two images lie up to 12 m apart.
        shift, light = rng.integers(-1, 2, 2), 1 + _DAILY * rng.standard_normal()
        cut = _mask((box[0] + int(shift[0]), box[1] + int(shift[1]), box[2]), red.shape[1:])
        fine = cut & visible.repeat(2, axis=0).repeat(2, axis=1)
        red[date][fine] = (1e4 * _SOIL_RED * light * texture[fine]).astype(np.uint16)
        nir[date][fine] = (1e4 * _SOIL_NIR * light * texture[fine]).astype(np.uint16)
        share = cut.reshape(scl.shape[1], 2, scl.shape[2], 2).mean(axis=(1, 3))
        scl[date] = _called(scl[date], visible, share, layout.called_right, rng)
    return replace(cube, bands={**cube.bands, "red": red, "nir": nir}, scl=scl)


def _called(
    scl: NDArray[np.uint8],
    visible: NDArray[np.bool_],
    share: NDArray[np.float64],
    called_right: float,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """The classification of a date with one cut, which covers a share of each pixel."""
    dice, spots = rng.random(share.shape), rng.random(share.shape) < _SPOTS
    right = SceneClass.VEGETATION if rng.random() < _CALLED_GREEN else SceneClass.BARE
    if rng.random() < called_right:
        return np.where(visible & (share >= 0.5), right, scl).astype(np.uint8)
    cloud = np.where(dice < 0.7, SceneClass.CLOUD_HIGH, SceneClass.CLOUD_MEDIUM)
    rim = np.where(dice < 0.5, SceneClass.UNCLASSIFIED, scl)
    called = np.where(spots, SceneClass.BARE, cloud)
    whole = np.where(visible & (share >= 0.5), called, np.where(visible & (share > 0), rim, scl))
    return np.asarray(whole, np.uint8)
