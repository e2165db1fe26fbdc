"""False clouds: bare, bright ground that the scene classification calls cloud, date after date.

Sen2Cor finds clouds by brightness. A fresh cut on pale soil is bright, and so never speaks: plain SCL hides the very
thing that is looked for, and the margin around it hides its neighbours. One date cannot tell such a cut from a small
cloud; several can, since clouds move on. A small "cloud" whose surroundings are clear (`isolated_clouds`), over the
same pixels on a second date, without vegetation seen there in between, is read as bare ground (`free_false_clouds`),
from that second date on: never backwards, so that what was told of a month stands. It is off by default, and why is
told in ADR 0011.

Dates are taken in order, and what is known of the past is two small numbers a pixel (`CloudMemory`), mostly zero: a
year in one go and month by month give the same.
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tiles import kernels
from tiles.clear import CLEAR_CLASSES, OBSCURING_CLASSES, ClearParams, SceneClass, class_bits
from tiles.errors import InvalidParameterError
from tiles.month import day_number

CLOUD_CLASSES = (SceneClass.CLOUD_MEDIUM, SceneClass.CLOUD_HIGH)
"""What bright ground is called. Not thin cirrus, which is found by a band that sees no ground."""

BRIGHT_CLASSES = (*CLOUD_CLASSES, SceneClass.UNCLASSIFIED, SceneClass.THIN_CIRRUS)
"""What a false cloud may be made of: its rim, mixed with forest, is often unclassified."""

SPOILING_CLASSES = (SceneClass.NO_DATA, SceneClass.SATURATED, SceneClass.CLOUD_SHADOW, SceneClass.SNOW)
"""What a false cloud never touches: a shadow says that the cloud is one, and what cannot be seen says nothing."""

CALM_CLASSES = (SceneClass.VEGETATION, SceneClass.BARE, SceneClass.WATER)
"""What clear surroundings are made of."""


@dataclass(frozen=True)
class FalseCloudParams:
    """Which clouds are none.

    Parameters
    ----------
    max_extent_m
        Side of the box that a false cloud fits in, metres. A clear-cut of 25 ha is 500 m wide.
    ring_m
        Metres around that box that are looked at as its surroundings.
    min_calm_share
        Share of these surroundings that must be clear ground.
    min_cloud_share
        Share of the blob that must be of the cloud classes: the rest is its rim.
    looks
        Dates from which an isolated cloud over a pixel is none.
    max_gap_days
        Days between two of them after which counting begins anew: two months of cloud are bridged, a winter is not,
        in which leafless forest would not show as vegetation.
    reach_m
        Metres around a persistent pixel that count as persistent too. Two dates of Sentinel-2 lie up to 12 m apart:
        the rim of a cut is cloud on one and forest on the other.
    min_persistent_share
        Share of a blob that must be persistent; then all of it is freed. A cut keeps its shape, a cloud that meets the
        place of another does not. Nor does a small cloud in the place of a larger one that has moved on: of what was
        remembered around it, no more may be vegetation than the rest of this share, relative to the blob. Chosen with
        `looks` by the rule of ADR 0011 (`scripts/bench_clouds.py`).
    """

    max_extent_m: float = 800.0
    ring_m: float = 100.0
    min_calm_share: float = 0.80
    min_cloud_share: float = 0.5
    looks: int = 2
    max_gap_days: int = 60
    reach_m: float = 20.0
    min_persistent_share: float = 0.8

    def __post_init__(self) -> None:
        if not (0 < self.max_extent_m <= 5000 and 0 <= self.ring_m <= 1000 and 0 <= self.reach_m <= 200):
            raise InvalidParameterError(
                "False clouds: give max_extent_m of 1 to 5000, ring_m of 0 to 1000, reach_m of 0 to 200 metres."
            )
        shares = (self.min_calm_share, self.min_cloud_share, self.min_persistent_share)
        if not all(0 <= share <= 1 for share in shares):
            raise InvalidParameterError("min_calm_share, min_cloud_share, min_persistent_share: give 0 to 1.")
        if not (2 <= self.looks <= 255 and 1 <= self.max_gap_days <= 1000):
            raise InvalidParameterError("A false cloud needs 2 to 255 looks, 1 to 1000 days apart at most.")


@dataclass(frozen=True)
class ClassRows:
    """Rows of the classification that a row of windows needs. With these, no result depends on how a tile is cut.

    Parameters
    ----------
    asked
        First and end row of what is asked for.
    remembered
        The same of the memory: a cloud as far off as the margin blocks, and what was known around it decides on it.
    read
        The same of what is read: an isolated cloud lies in it whole, with its surroundings.
    """

    asked: tuple[int, int]
    remembered: tuple[int, int]
    read: tuple[int, int]

    @classmethod
    def around(
        cls, first: int, end: int, height: int, class_m: float, clear: ClearParams, params: FalseCloudParams | None
    ) -> ClassRows:
        """The rows for those from `first` to `end` of a classification of `height` rows of `class_m` metres.

        Without `params`, all that is called cloud is cloud: they are the rows and the margin of clouds.
        """
        near = far = clear.margin_px(class_m)
        if params is not None:
            near += _pixels(params.max_extent_m, class_m) + _pixels(max(params.reach_m, params.ring_m), class_m)
            far = near + _pixels(params.max_extent_m, class_m) + _pixels(params.ring_m, class_m)
        return cls(
            (first, end),
            (max(0, first - near), min(height, end + near)),
            (max(0, first - far), min(height, end + far)),
        )


@dataclass(frozen=True)
class CloudList:
    """A `CloudMemory` as a list of the pixels of which something is known, as a month hands it to the next.

    Parameters
    ----------
    pixel : ndarray of int32, shape (pixels,)
        Place in the tile's classification, row by row; ascending.
    count : ndarray of uint8, shape (pixels,)
    last_day : ndarray of int16, shape (pixels,)
    """

    pixel: NDArray[np.int32]
    count: NDArray[np.uint8]
    last_day: NDArray[np.int16]

    @classmethod
    def blank(cls) -> CloudList:
        """Nothing is known."""
        return cls(np.empty(0, np.int32), np.empty(0, np.uint8), np.empty(0, np.int16))


@dataclass(frozen=True)
class CloudMemory:
    """What is known of each pixel of the classification from the dates before.

    Parameters
    ----------
    count : ndarray of uint8, shape (rows, cols)
        Dates on which it lay in an isolated cloud, none of them followed by vegetation.
    last_day : ndarray of int16, shape (rows, cols)
        The last of them, in days since `tiles.month.EPOCH`; 0 where there is none.
    """

    count: NDArray[np.uint8]
    last_day: NDArray[np.int16]

    @classmethod
    def empty(cls, shape: tuple[int, int]) -> CloudMemory:
        """Nothing is known yet."""
        return cls(np.zeros(shape, np.uint8), np.zeros(shape, np.int16))

    @classmethod
    def of(cls, listed: CloudList, rows: ClassRows, width: int) -> CloudMemory:
        """The memory of the rows `ClassRows.remembered`, `width` pixels wide; of others nothing is taken."""
        first, end = rows.remembered
        memory = cls.empty((end - first, width))
        place = listed.pixel - first * width
        here = (place >= 0) & (place < memory.count.size)
        memory.count.flat[place[here]] = listed.count[here]
        memory.last_day.flat[place[here]] = listed.last_day[here]
        return memory

    def listed(self, rows: ClassRows, day: dt.date | None = None, params: FalseCloudParams | None = None) -> CloudList:
        """The pixels of which something is known; of those too long before `day` nothing is, as for any later one."""
        count, last_day = self.count.ravel(), self.last_day.ravel()
        place = np.flatnonzero(count)
        if day is not None and params is not None:
            place = place[day_number(day) - last_day[place].astype(np.int64) <= params.max_gap_days]
        pixel = place + rows.remembered[0] * self.count.shape[1]
        return CloudList(pixel.astype(np.int32), count[place], last_day[place])


def isolated_clouds(scl: NDArray[np.uint8], class_m: float, params: FalseCloudParams) -> NDArray[np.int32]:
    """Find the small clouds of one date whose surroundings are clear.

    Parameters
    ----------
    scl : ndarray of uint8, shape (rows, cols)
        Scene classification over the tile's whole width, the rows `ClassRows.read`.
    class_m
        Side of its pixels, metres.
    params
        What is isolated.

    Returns
    -------
    ndarray of int32, shape (runs, 4)
        Runs of pixels: row, first column, end column, number of the cloud. What touches the array's edge is not
        isolated.
    """
    return kernels.isolated_blobs(
        scl,
        class_bits(CLOUD_CLASSES),
        class_bits(BRIGHT_CLASSES),
        class_bits(SPOILING_CLASSES),
        class_bits(CALM_CLASSES),
        _pixels(params.max_extent_m, class_m),
        _pixels(params.ring_m, class_m),
        params.min_cloud_share,
        params.min_calm_share,
    )


def free_false_clouds(
    scl: NDArray[np.uint8],
    isolated: NDArray[np.int32],
    rows: ClassRows,
    day: dt.date,
    memory: CloudMemory,
    class_m: float,
    params: FalseCloudParams,
) -> tuple[NDArray[np.uint8], CloudMemory]:
    """Read a date's persistent isolated clouds as bare ground. Dates are given in order.

    Parameters
    ----------
    scl : ndarray of uint8, shape (rows read, cols)
        Scene classification of the date, which is not written to.
    isolated : ndarray of int32, shape (runs, 4)
        Its `isolated_clouds`.
    rows
        Which rows `scl` and `memory` hold.
    day
        The date.
    memory : shape (rows remembered, cols)
        From the date before, which is not written to.
    class_m, params
        As for `isolated_clouds`.

    Returns
    -------
    classes : ndarray of uint8, shape (rows remembered, cols)
        The classification, with `SceneClass.BARE` where a false cloud was: right in the rows asked for, and as far
        around as the margin of clouds.
    memory : CloudMemory
        For the next date.
    """
    first = rows.remembered[0] - rows.read[0]
    classes = scl[first : first + rows.remembered[1] - rows.remembered[0]].copy()
    after = CloudMemory(memory.count.copy(), memory.last_day.copy())
    kernels.free_persistent_clouds(
        isolated,
        first,
        day_number(day),
        SceneClass.VEGETATION,
        SceneClass.BARE,
        params.looks,
        params.max_gap_days,
        _pixels(params.reach_m, class_m),
        _pixels(params.ring_m, class_m),
        params.min_persistent_share,
        classes,
        after.count,
        after.last_day,
    )
    return classes, after


def clear_pixels(
    scl: NDArray[np.uint8],
    isolated: NDArray[np.int32] | None,
    rows: ClassRows,
    day: dt.date,
    memory: CloudMemory,
    class_m: float,
    clear: ClearParams,
    params: FalseCloudParams | None,
) -> tuple[NDArray[np.uint8], CloudMemory]:
    """Which pixels of a date speak, false clouds among them: `free_false_clouds`, then the margin around the others.

    Parameters are those of `free_false_clouds`, and how far a pixel must be from clouds. Without `params` or `isolated`
    all that is called cloud is cloud.

    Returns
    -------
    clear : ndarray of uint8, shape (rows asked for, cols)
        1 where clear, else 0.
    memory : CloudMemory
        For the next date.
    """
    classes, first = scl, rows.read[0]
    # On most dates nothing is isolated and nothing is remembered: the classification is taken as it is.
    if params is not None and isolated is not None and (isolated.size or memory.count.any()):
        classes, memory = free_false_clouds(scl, isolated, rows, day, memory, class_m, params)
        first = rows.remembered[0]
    margin = clear.margin_px(class_m)
    top, bottom = (max(first, rows.asked[0] - margin), min(first + classes.shape[0], rows.asked[1] + margin))
    out = np.empty((rows.asked[1] - rows.asked[0], scl.shape[1]), np.uint8)
    kernels.clear_mask(
        classes[top - first : bottom - first],
        rows.asked[0] - top,
        class_bits(CLEAR_CLASSES),
        class_bits(OBSCURING_CLASSES),
        margin,
        out,
    )
    return out, memory


def _pixels(metres: float, class_m: float) -> int:
    return math.ceil(metres / class_m)
