"""Which pixels of a scene speak: the scene classification, and the margin kept from clouds."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from tiles.errors import InvalidParameterError


class SceneClass(IntEnum):
    """Classes of ESA's scene classification layer (SCL), Sen2Cor, at 20 m."""

    NO_DATA = 0
    SATURATED = 1
    DARK = 2
    CLOUD_SHADOW = 3
    VEGETATION = 4
    BARE = 5
    WATER = 6
    UNCLASSIFIED = 7
    CLOUD_MEDIUM = 8
    CLOUD_HIGH = 9
    THIN_CIRRUS = 10
    SNOW = 11


CLEAR_CLASSES = (SceneClass.VEGETATION, SceneClass.BARE)
"""What land that is clearly seen is called, wooded or felled.

Dark pixels (2) are mostly slopes without sun, unclassified ones (7) thin cloud or its edge: neither can be
compared with a sunlit reference, so they stay silent."""

OBSCURING_CLASSES = (
    SceneClass.CLOUD_SHADOW,
    SceneClass.CLOUD_MEDIUM,
    SceneClass.CLOUD_HIGH,
    SceneClass.THIN_CIRRUS,
    SceneClass.SNOW,
)
"""What spoils its neighbours too, since its edge is thinner than the class sees."""


@dataclass(frozen=True)
class ClearParams:
    """How far a pixel must be from clouds.

    Parameters
    ----------
    margin_m
        Metres around cloud, shadow, cirrus and snow that are not used. Sen2Cor's edges are drawn at 20 m and
        leave out the thin rim of a cloud; three of its pixels is the smallest of the usual buffers (Baetens et
        al. 2019, Remote Sensing 11, 433, dilate by 60 to 240 m before they compare masks).
    least_clear_share
        Share of a window's forest (`tiles.engine.WINDOW_PX`, ten kilometres) that a date must show clear for its bands
        to be read there; with less, the date is as clouded over. Files are read by whole blocks, so that a gap in the
        clouds costs what a clear sky does, and shows the forest next to clouds, which speaks with the least certainty.
        It is a matter of the date and the window alone: months then tell the same followed together or one by one.
    least_days_saved
        Days by which a date must make losses in a window known sooner, found and confirmed together, for its bands to
        be read there (`tiles.looks`). It is a matter of the calendar month and the window alone. 0 reads all; two days
        read a fifth less, and a loss is confirmed half a day later (ADR 0020).
    """

    margin_m: float = 60.0
    least_clear_share: float = 0.10
    least_days_saved: float = 2.0

    def __post_init__(self) -> None:
        if not 0 <= self.margin_m <= 1000:
            raise InvalidParameterError(f"margin_m is {self.margin_m}: give 0 to 1000 metres.")
        if not 0 <= self.least_clear_share <= 1:
            raise InvalidParameterError(f"least_clear_share is {self.least_clear_share}: give 0 to 1.")
        if not 0 <= self.least_days_saved <= 30:
            raise InvalidParameterError(f"least_days_saved is {self.least_days_saved}: give 0 to 30 days.")

    def margin_px(self, class_m: float) -> int:
        """`margin_m` in whole pixels of `class_m` metres, rounded up."""
        return math.ceil(self.margin_m / class_m)


def class_bits(classes: Iterable[SceneClass]) -> int:
    """A set of classes as bits: bit ``n`` for class ``n``, as the kernels want it."""
    return sum(1 << value for value in classes)


def class_table(classes: Iterable[SceneClass]) -> NDArray[np.uint8]:
    """A set of classes as a table: uint8, shape (256,), 1 for the values of SCL that are in it."""
    table = np.zeros(256, np.uint8)
    table[list(classes)] = 1
    return table
