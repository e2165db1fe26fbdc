"""Why an alert was no loss: drawn scenes, simulated."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import numpy as np
import pytest
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.windows import Window

from detector.alerts import ClosedReason
from detector.refutation import RefutationParams, SceneJudge, cause_of, reason_of, ring_counts
from tests.detector.fakes import UTM
from tests.detector.tracked import box, patch
from tiles.clear import SceneClass
from tiles.errors import InvalidParameterError, SceneReadError
from tiles.grid import Grid
from tiles.scene import Band, Scene

PARAMS = RefutationParams()
#: SCL of 20 m under the 10 m grid of the fakes: 2 km by 2 km.
SCL = Grid(UTM.crs, Affine(20, 0, UTM.transform.c, 0, -20, UTM.transform.f), (100, 100))
#: A hectare in its middle.
GROUND = box(95, 95)


def counted(**shares: int) -> NDArray[np.int64]:
    counts = np.zeros(len(SceneClass), np.int64)
    for name, number in shares.items():
        counts[SceneClass[name.upper()]] = number
    return counts


@pytest.mark.parametrize(
    ("after", "before", "cause"),
    [
        ({"vegetation": 90, "snow": 10}, {}, ClosedReason.SNOW),
        ({"vegetation": 91, "snow": 9}, {}, None),
        ({"cloud_high": 60, "snow": 40}, {}, ClosedReason.SNOW),
        ({"vegetation": 90, "water": 10}, {"vegetation": 100}, ClosedReason.FLOOD),
        ({"vegetation": 70, "water": 30}, {"vegetation": 75, "water": 25}, None),
        ({"vegetation": 70, "water": 30}, {}, None),
        ({"vegetation": 91, "cloud_medium": 3, "cloud_shadow": 3, "thin_cirrus": 3}, {}, None),
        ({"vegetation": 90, "cloud_medium": 3, "cloud_shadow": 3, "thin_cirrus": 4}, {}, ClosedReason.CLOUD),
        ({"vegetation": 80, "cloud_high": 10, "unclassified": 10}, {}, ClosedReason.CLOUD),
        ({"vegetation": 90, "unclassified": 10}, {}, ClosedReason.HAZE),
        # What was not seen is no share of anything.
        ({"no_data": 900, "vegetation": 90, "snow": 10}, {}, ClosedReason.SNOW),
        ({"no_data": 900, "saturated": 100}, {}, None),
        ({}, {}, None),
    ],
)
def test_causes(after: dict[str, int], before: dict[str, int], cause: ClosedReason | None) -> None:
    assert cause_of(counted(**after), counted(**before) if before else None, PARAMS) is cause


def test_the_cause_of_most_scenes_is_the_reason() -> None:
    snow, cloud, clear = counted(snow=1), counted(cloud_high=1), counted(vegetation=1)
    assert reason_of({"a": cloud, "b": cloud, "c": snow}, None, PARAMS) is ClosedReason.CLOUD
    assert reason_of({"a": cloud, "b": snow}, None, PARAMS) is ClosedReason.SNOW
    assert reason_of({"a": clear, "b": clear, "c": cloud}, None, PARAMS) is ClosedReason.CLOUD
    assert reason_of({"a": clear}, None, PARAMS) is ClosedReason.SEEN_INTACT_AGAIN
    assert reason_of({}, None, PARAMS) is ClosedReason.SEEN_INTACT_AGAIN


class DrawnScenes:
    """A reader of drawn classifications."""

    def __init__(self, **drawn: NDArray[np.uint8]) -> None:
        self.drawn = drawn
        self.windows: list[Window] = []
        self.bytes_read = 0

    def block_rows(self, scene: Scene, band: Band) -> int:
        return 16

    def stop(self) -> None:
        raise AssertionError("nothing is interrupted")

    def grid_of(self, scene: Scene, band: Band) -> Grid:
        assert band is Band.SCL
        return SCL

    def read(self, scene: Scene, band: Band, window: Window, out: NDArray[Any]) -> None:
        if scene.id not in self.drawn:
            raise SceneReadError(scene.id, "its scl raster is damaged")
        self.windows.append(window)
        rows, cols = window.toslices()
        out[:] = self.drawn[scene.id][rows, cols]


def scene(name: str) -> Scene:
    return Scene(name, dt.datetime(2023, 1, 10, tzinfo=dt.UTC), "31TDL", {Band.SCL: name})


def forest() -> NDArray[np.uint8]:
    return np.full(SCL.shape, SceneClass.VEGETATION, np.uint8)


def test_the_ring_is_what_lies_around_and_not_the_ground_itself() -> None:
    rows, cols = np.mgrid[0:100, 0:100]
    # The ground is six by six pixels of SCL.
    far = 20 * np.hypot(*(np.maximum(np.abs(axis + 0.5 - 50) - 3, 0) for axis in (rows, cols)))
    classes = np.full(SCL.shape, SceneClass.VEGETATION, np.uint8)  # where the arc, drawn as a polygon, may pass
    classes[far == 0] = SceneClass.SNOW
    classes[(far > 0) & (far < 497)] = SceneClass.BARE
    classes[far > 500] = SceneClass.WATER
    reader = DrawnScenes(a=classes)
    counts = ring_counts(reader, scene("a"), box(94, 94, 12, 12), 500)
    assert counts[SceneClass.SNOW] == counts[SceneClass.WATER] == 0
    assert counts[SceneClass.BARE] == np.count_nonzero(classes == SceneClass.BARE) > 2000
    (window,) = reader.windows
    assert window.width <= 58
    assert window.height <= 58


@pytest.mark.parametrize("place_of", [box(0, 0, 5, 5), box(195, 195, 5, 5)])
def test_a_ring_over_the_edge_counts_what_is_there(place_of: shapely.Geometry) -> None:
    counts = ring_counts(DrawnScenes(a=forest()), scene("a"), place_of, 500)
    assert 500 < counts[SceneClass.VEGETATION] == counts.sum() < 900


def test_ground_beyond_the_scene_counts_nothing_and_reads_nothing() -> None:
    reader = DrawnScenes(a=forest())
    assert ring_counts(reader, scene("a"), box(400, 10), 500).sum() == 0
    assert reader.windows == []


def drawn(case: str) -> NDArray[np.uint8]:
    classes = forest()
    if case == "snow":
        classes[:45] = SceneClass.SNOW
    elif case == "flood":
        classes[:, 60:] = SceneClass.WATER
    elif case == "cloud":
        classes[60:80, 40:60] = SceneClass.CLOUD_HIGH
        classes[50:58, 60:75] = SceneClass.CLOUD_SHADOW
    elif case == "haze":
        classes[::3] = SceneClass.UNCLASSIFIED
    elif case == "far cloud":
        classes[:15] = SceneClass.CLOUD_HIGH
    return classes


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("snow", ClosedReason.SNOW),
        ("flood", ClosedReason.FLOOD),
        ("cloud", ClosedReason.CLOUD),
        ("haze", ClosedReason.HAZE),
        ("far cloud", ClosedReason.SEEN_INTACT_AGAIN),
        ("clear", ClosedReason.SEEN_INTACT_AGAIN),
    ],
)
def test_drawn_scenes_are_judged(case: str, reason: ClosedReason) -> None:
    reader = DrawnScenes(before=forest(), after=drawn(case))
    judge = SceneJudge(reader, {name: scene(name) for name in ("before", "after")})
    alert = patch(GROUND, scenes_before=("before",), scenes_after=("after",)).alert
    assert judge(alert, GROUND) is reason
    assert judge.unheard == {}


def test_a_lake_that_was_always_there_is_no_flood() -> None:
    reader = DrawnScenes(before=drawn("flood"), after=drawn("flood"))
    judge = SceneJudge(reader, {name: scene(name) for name in ("before", "after")})
    alert = patch(GROUND, scenes_before=("before",), scenes_after=("after",)).alert
    assert judge(alert, GROUND) is ClosedReason.SEEN_INTACT_AGAIN


def test_only_the_scenes_that_the_loss_may_have_rested_on_are_heard() -> None:
    reader = DrawnScenes(a=forest(), b=forest(), c=forest(), d=drawn("snow"))
    judge = SceneJudge(reader, {name: scene(name) for name in "abcd"})
    alert = patch(GROUND, scenes_before=None, scenes_after=tuple("abcd")).alert
    assert judge(alert, GROUND) is ClosedReason.SEEN_INTACT_AGAIN
    assert len(reader.windows) == 3
    assert SceneJudge(reader, judge.scenes, RefutationParams(rested_on=4))(alert, GROUND) is ClosedReason.SNOW


def test_scenes_that_cannot_be_heard_are_named_and_the_others_judge() -> None:
    reader = DrawnScenes(good=drawn("snow"))
    judge = SceneJudge(reader, {name: scene(name) for name in ("good", "broken")})
    alert = patch(GROUND, scenes_before=("gone",), scenes_after=("broken", "good")).alert
    assert judge(alert, GROUND) is ClosedReason.SNOW
    assert judge.unheard == {"broken": "its scl raster is damaged", "gone": "the catalogue no longer has it"}


def test_an_alert_that_names_no_scene_is_seen_intact_again() -> None:
    alert = dataclasses.replace(patch(GROUND).alert, scenes_before=None, scenes_after=None)
    assert SceneJudge(DrawnScenes(), {})(alert, GROUND) is ClosedReason.SEEN_INTACT_AGAIN


@pytest.mark.parametrize("wrong", [{"ring_m": 0}, {"share": 0}, {"rested_on": 0}])
def test_parameters_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameterError, match=next(iter(wrong))):
        RefutationParams(**wrong)
