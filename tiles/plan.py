"""What is to be read for a tile: its scenes on one grid, split into the years before and the monitored window."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from tiles.catalog import SkippedScene
from tiles.engine import WINDOW_PX, ChangeParams, TilePlan
from tiles.errors import GridError, NoSceneError, SceneError
from tiles.grid import Grid
from tiles.month import Month
from tiles.reader import Reader
from tiles.scene import Band, Scene


def first_month_needed(month: Month, params: ChangeParams) -> Month:
    """The oldest month that a scan of `month` reads: the monitored window, and the years before it."""
    return month.shifted(1 - params.monitor.months - 12 * params.reference.years)


def plan_tile(
    tile: str, scenes: Sequence[Scene], month: Month, reader: Reader, params: ChangeParams
) -> tuple[TilePlan, list[SkippedScene]]:
    """Plan a tile.

    Parameters
    ----------
    tile
        Its name.
    scenes
        Of this tile, oldest first.
    month
        What is scanned.
    reader
        To look at the scenes' grids.
    params
        How many months and years are read.

    Returns
    -------
    TilePlan, list of SkippedScene
        The plan, and the scenes that cannot be read or lie on another grid than most.

    Raises
    ------
    GridError
        When no grid is that of most scenes.
    NoSceneError
        When no usable scene was acquired in the month.
    """
    grids, skipped = _grids(scenes, reader)
    grid = _common_grid(tile, [grid for grid, _ in grids.values()])
    size = _common_size([size for own, size in grids.values() if own.same_as(grid)])
    kept = []
    for scene in scenes:
        if scene.id not in grids:
            continue
        own, own_size = grids[scene.id]
        if not own.same_as(grid):
            skipped.append(SkippedScene(scene.id, f"its grid ({own}) is not that of the tile's other scenes ({grid})"))
        elif own_size != size:
            reason = f"its classification has {own_size} x its pixels' side, the tile's other scenes {size} x"
            skipped.append(SkippedScene(scene.id, reason))
        else:
            kept.append(scene)
    start = month.shifted(1 - params.monitor.months).first_day
    monitored = tuple(scene for scene in kept if scene.day >= start)
    if not any(scene.day >= month.first_day for scene in monitored):
        raise NoSceneError(
            f"Tile {tile} has no usable scene in {month}"
            + (f" ({len(skipped)} left out: {skipped[-1].id}, since {skipped[-1].reason})." if skipped else ".")
        )
    reference = tuple(scene for scene in kept if scene.day < start)
    return TilePlan(tile, month, grid, reference, monitored, size), skipped


def _grids(scenes: Sequence[Scene], reader: Reader) -> tuple[dict[str, tuple[Grid, int]], list[SkippedScene]]:
    """Grid of each readable scene, and how many of its pixels one of its classification covers along a side."""
    grids: dict[str, tuple[Grid, int]] = {}
    skipped = []
    for scene in scenes:
        try:
            red, nir, scl = (reader.grid_of(scene, band) for band in (Band.RED, Band.NIR, Band.SCL))
            if not nir.same_as(red):
                raise SceneError(scene.id, f"its red ({red}) and near-infrared ({nir}) rasters differ in grid")
            grids[scene.id] = red, _pixels_per_class(scene, red, scl)
        except SceneError as error:
            skipped.append(SkippedScene(scene.id, error.reason))
    return grids, skipped


def _pixels_per_class(scene: Scene, bands: Grid, classes: Grid) -> int:
    size = round(classes.pixel_m / bands.pixel_m)
    rows, cols = bands.shape
    fits = (
        size >= 1
        and classes.crs == bands.crs
        and classes.shape == (-(-rows // size), -(-cols // size))
        # Bits of a window's classes begin at a whole byte.
        and WINDOW_PX % (8 * size) == 0
        and np.allclose(
            (classes.transform.a, classes.transform.c, classes.transform.e, classes.transform.f),
            (size * bands.transform.a, bands.transform.c, size * bands.transform.e, bands.transform.f),
            rtol=0,
            atol=1e-3 * bands.pixel_m,
        )
    )
    if not fits:
        raise SceneError(scene.id, f"its classification ({classes}) does not lie on its bands ({bands})")
    return size


def _common_grid(tile: str, grids: Sequence[Grid]) -> Grid:
    """The grid of most scenes."""
    if not grids:
        raise NoSceneError(f"Tile {tile} has no scene that can be read.")
    kinds: list[Grid] = []
    votes: Counter[int] = Counter()
    for grid in grids:
        index = next((index for index, kind in enumerate(kinds) if kind.same_as(grid)), len(kinds))
        if index == len(kinds):
            kinds.append(grid)
        votes[index] += 1
    ranked = votes.most_common(2)
    if len(ranked) == 2 and ranked[0][1] == ranked[1][1]:
        raise GridError(
            f"The scenes of tile {tile} lie on different grids ({kinds[ranked[0][0]]}; {kinds[ranked[1][0]]}): "
            "give a catalogue with one grid for each tile."
        )
    return kinds[ranked[0][0]]


def _common_size(sizes: Sequence[int]) -> int:
    """Pixels a class of most scenes; the finer where it is a draw."""
    votes = Counter(sizes)
    return min(votes, key=lambda size: (-votes[size], size))
