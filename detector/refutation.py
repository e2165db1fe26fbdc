"""Why an alert was no loss: what lay around it on the dates that it rested on.

An alert is taken back when its ground is seen intact again. Its own pixels were called clear on the dates that spoke
of a loss, else they would not have spoken; what deceived them shows in the scene classification around. A cloud's
edge, a thaw's last snow or a flood's margin lies beside what it covers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import rasterio.features
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from detector.alerts import Alert, ClosedReason
from detector.outlines import from_wgs84
from tiles.clear import SceneClass
from tiles.errors import InvalidParameterError, SceneError
from tiles.reader import Reader
from tiles.scene import Band, Scene

N_CLASSES = len(SceneClass)
"""Length of an array of counts by scene class."""

_SAYS_NOTHING = (SceneClass.NO_DATA, SceneClass.SATURATED)
_CLOUD = (SceneClass.CLOUD_SHADOW, SceneClass.CLOUD_MEDIUM, SceneClass.CLOUD_HIGH, SceneClass.THIN_CIRRUS)


@dataclass(frozen=True)
class RefutationParams:
    """What counts as a cause.

    Parameters
    ----------
    ring_m
        Width of the ring around an alert that is looked at. Clouds are kept 60 m away from what speaks
        (`tiles.clear.ClearParams.margin_m`), so that a narrower ring than a few hundred metres would miss the very
        cloud that lies beyond the margin; a wider one would nearly always hold some cloud, and explain nothing.
    share
        Share of the ring's classified pixels from which on a class is a cause. A tenth of a ring of 500 m is some
        8 ha; single misclassified pixels, which SCL strews about (snow on bright soil, shadow on dark slopes), stay
        below.
    rested_on
        Scenes that are looked at, from the first low date on. With four low dates no alert is taken back any more
        (`tiles.monitor.MonitorParams.settled_lows`), so that a loss that was rests on three at most.

    Raises
    ------
    tiles.errors.InvalidParameterError
        If a value is outside the range that it makes sense in.
    """

    ring_m: float = 500.0
    share: float = 0.10
    rested_on: int = 3

    def __post_init__(self) -> None:
        if not (20 <= self.ring_m <= 5_000 and 0 < self.share <= 1 and self.rested_on >= 1):
            raise InvalidParameterError(
                "ring_m must lie between 20 and 5,000 metres, share above 0 and at most at 1, rested_on at 1 or more, "
                f"not ring_m={self.ring_m}, share={self.share}, rested_on={self.rested_on}."
            )


def cause_of(
    after: NDArray[np.int64], before: NDArray[np.int64] | None, params: RefutationParams
) -> ClosedReason | None:
    """What a scene shows around an alert that may have been taken for a loss.

    Snow first, since SCL calls much snow cloud; then more water than there was before (a river is no flood); then
    cloud, shadow and cirrus; then what SCL leaves unclassified, which is thin cloud for the most part.

    Parameters
    ----------
    after
        int64 (12,). Pixels around by `SceneClass`, in a scene that the loss rested on.
    before
        The same in a scene of the last intact date; None where there is none: water is then not judged.
    params
        What counts.

    Returns
    -------
    cause
        None where nothing is seen that explains it.
    """
    shares = _shares(after)
    if shares is None:
        return None
    if shares[SceneClass.SNOW] >= params.share:
        return ClosedReason.SNOW
    dry = None if before is None else _shares(before)
    if dry is not None and shares[SceneClass.WATER] - dry[SceneClass.WATER] >= params.share:
        return ClosedReason.FLOOD
    if shares[list(_CLOUD)].sum() >= params.share:
        return ClosedReason.CLOUD
    return ClosedReason.HAZE if shares[SceneClass.UNCLASSIFIED] >= params.share else None


def _shares(counts: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """Shares of the classes among what is classified; None where nothing is."""
    known = counts.astype(np.float64)
    known[list(_SAYS_NOTHING)] = 0
    total = known.sum()
    return known / total if total > 0 else None


def reason_of(
    after: Mapping[str, NDArray[np.int64]], before: NDArray[np.int64] | None, params: RefutationParams
) -> ClosedReason:
    """Reason for which an alert that was seen intact again is closed.

    Parameters
    ----------
    after
        int64 (12,) by scene: pixels around by `SceneClass`, in the scenes that the loss rested on.
    before
        The same in a scene of the last intact date, where there is one.
    params
        What counts.

    Returns
    -------
    reason
        The cause that most scenes show, of two the one that `cause_of` looks for first;
        `ClosedReason.SEEN_INTACT_AGAIN` where no scene shows any.
    """
    causes = Counter(cause for counts in after.values() if (cause := cause_of(counts, before, params)) is not None)
    order = (ClosedReason.SNOW, ClosedReason.FLOOD, ClosedReason.CLOUD, ClosedReason.HAZE)
    most = max(order, key=lambda cause: (causes[cause], -order.index(cause)))
    return most if causes[most] else ClosedReason.SEEN_INTACT_AGAIN


def ring_counts(reader: Reader, scene: Scene, ground: BaseGeometry, ring_m: float) -> NDArray[np.int64]:
    """Count the classes of a scene in a ring around some ground; reads a small window of SCL.

    Parameters
    ----------
    reader
        Reads the scene.
    scene
        Any scene; ground beyond it counts nothing.
    ground
        Polygon or MultiPolygon, WGS 84, longitude first.
    ring_m
        Width of the ring.

    Returns
    -------
    counts
        int64 (12,), by `SceneClass`; codes that are no class are left out.

    Raises
    ------
    tiles.errors.SceneReadError
        When the classification cannot be read.
    """
    grid = reader.grid_of(scene, Band.SCL)
    (here,) = from_wgs84(np.array([ground], object), grid.crs)
    ring = shapely.difference(shapely.buffer(here, ring_m), here)
    window = grid.window_over(shapely.bounds(ring).tolist())
    if window is None:
        return np.zeros(N_CLASSES, np.int64)
    classes = np.empty((window.height, window.width), np.uint8)
    reader.read(scene, Band.SCL, window, classes)
    inside = rasterio.features.geometry_mask([ring], classes.shape, grid.window_transform(window), invert=True)
    return np.bincount(classes[inside], minlength=256)[:N_CLASSES].astype(np.int64)


@dataclass
class SceneJudge:
    """Says why alerts were no loss, from the scenes that they rested on; see `detector.ledger.Why`.

    Parameters
    ----------
    reader
        Reads the scenes.
    scenes
        Scenes by identifier. Those that an alert names and that are not among them are left out, and named.
    params
        What counts.

    Attributes
    ----------
    unheard
        Why scenes were left out, by identifier.
    """

    reader: Reader
    scenes: Mapping[str, Scene]
    params: RefutationParams = field(default_factory=RefutationParams)
    unheard: dict[str, str] = field(default_factory=dict, init=False)

    def __call__(self, alert: Alert, ground: BaseGeometry) -> ClosedReason:
        """Judge an alert whose ground (WGS 84) was seen intact again."""
        after: dict[str, NDArray[np.int64]] = {}
        for name in (alert.scenes_after or ())[: self.params.rested_on]:
            counts = self._counts(name, ground)
            if counts is not None:
                after[name] = counts
        before = [self._counts(name, ground) for name in alert.scenes_before or ()]
        return reason_of(after, next((counts for counts in before if counts is not None), None), self.params)

    def _counts(self, name: str, ground: BaseGeometry) -> NDArray[np.int64] | None:
        scene = self.scenes.get(name)
        if scene is None:
            self.unheard[name] = "the catalogue no longer has it"
            return None
        try:
            return ring_counts(self.reader, scene, ground, self.params.ring_m)
        except SceneError as error:
            self.unheard[name] = error.reason
            return None
