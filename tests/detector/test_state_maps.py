"""What state maps say of ground; maps are simulated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from detector.state_maps import StateMaps
from tests.detector.fakes import UTM
from tests.detector.tracked import box
from tiles.change import PixelState
from tiles.errors import StateError
from tiles.grid import Grid


def written(path: Path, states: NDArray[np.uint8], grid: Grid = UTM) -> Path:
    rows, cols = grid.shape
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=cols,
        height=rows,
        count=1,
        dtype="uint8",
        crs=grid.crs,
        transform=grid.transform,
    ) as dataset:
        dataset.write(states, 1)
    return path


def drawn() -> NDArray[np.uint8]:
    states = np.full(UTM.shape, PixelState.INTACT, np.uint8)
    states[:, 100:] = PixelState.UNOBSERVED
    states[100:] = PixelState.CONFIRMED
    states[150:] = PixelState.NOT_FOREST
    states[0, 0] = PixelState.PROVISIONAL
    return states


def test_pixels_are_counted_by_state_where_the_ground_lies(tmp_path: Path) -> None:
    maps = StateMaps([written(tmp_path / "a.tif", drawn())])
    outlines = np.array(
        [box(0, 0, 5, 4), box(95, 50, 10, 10), box(20, 140, 3, 20), box(500, 0), box(-5, -5, 10, 10)], object
    )
    counts = maps.count_states(outlines)
    assert counts.tolist() == [[0, 19, 1, 0, 0], [0, 50, 0, 0, 50], [30, 0, 0, 30, 0], [0] * 5, [0, 24, 1, 0, 0]]


def test_holes_and_parts_are_heeded(tmp_path: Path) -> None:
    maps = StateMaps([written(tmp_path / "a.tif", drawn())])
    ring = box(10, 10, 10, 10).difference(box(12, 12, 6, 6))
    outlines = np.array([ring, shapely.union(ring, box(120, 10, 3, 3))], object)
    assert maps.count_states(outlines).tolist() == [[0, 64, 0, 0, 0], [0, 64, 0, 0, 9]]


def test_what_any_tile_saw_counts_in_whatever_zone(tmp_path: Path) -> None:
    cloudy = written(tmp_path / "b.tif", np.full(UTM.shape, PixelState.UNOBSERVED, np.uint8))
    # Zone 30, whose grid lies askew to that of zone 31 there.
    other = Grid(CRS.from_epsg(32630), Affine(10, 0, 970_000, 0, -10, 5_020_000), (4000, 4000))
    seen = written(tmp_path / "a.tif", np.full(other.shape, PixelState.INTACT, np.uint8), other)
    (counts,) = StateMaps([cloudy, seen]).count_states(np.array([box(50, 50, 20, 20)], object))
    assert counts[PixelState.UNOBSERVED] == 400
    assert counts[PixelState.INTACT] == pytest.approx(400, abs=8)


def test_nothing_asked_and_no_map_are_nothing(tmp_path: Path) -> None:
    assert StateMaps([]).count_states(np.array([box(0, 0)], object)).tolist() == [[0] * 5]
    assert StateMaps([tmp_path / "absent.tif"]).count_states(np.empty(0, object)).shape == (0, 5)


def test_a_map_that_is_absent_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StateError, match=r"absent\.tif cannot be read"):
        StateMaps([tmp_path / "absent.tif"]).count_states(np.array([box(0, 0)], object))
