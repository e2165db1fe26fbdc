"""What is to be read for a tile: its scenes on one grid, split into the years before and the monitored window."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tiles.catalog import SkippedScene
from tiles.catalog.passes import drop
from tiles.engine import WINDOW_PX, ChangeParams, TilePlan
from tiles.errors import GridError, NoSceneError, SceneError
from tiles.grid import Grid
from tiles.month import Month
from tiles.offset import OffsetSeen, decide_offset
from tiles.reader import Reader
from tiles.scene import Band, Scene


def first_month_needed(month: Month, params: ChangeParams) -> Month:
    """The oldest month that a scan of `month` reads: the monitored window, and the years before it."""
    return month.shifted(1 - params.monitor.months - 12 * params.reference.years)


def clearest(scenes: Sequence[Scene], per_month: int) -> list[Scene]:
    """The scenes of each calendar month that see most of the tile clearly, oldest first.

    What counts is clear ground, not the share of cloud: the edge of a swath may be without any and show a tenth of the
    tile. Scenes of unknown cloud are kept beside; of unknown ground, all of the tile is taken for seen.

    Parameters
    ----------
    scenes
        Of one tile, in any order.
    per_month
        How many of each month.
    """
    months: dict[tuple[int, int], list[Scene]] = {}
    for scene in scenes:
        months.setdefault((scene.day.year, scene.day.month), []).append(scene)
    kept: list[Scene] = []
    for group in months.values():
        known = [(-clear, scene.acquired, scene.id) for scene in group if (clear := _clear_share(scene)) is not None]
        chosen = {name for _, _, name in sorted(known)[:per_month]}
        kept += [scene for scene in group if _clear_share(scene) is None or scene.id in chosen]
    return sorted(kept, key=lambda scene: (scene.acquired, scene.id))


def _clear_share(scene: Scene) -> float | None:
    """Share of the tile that a pass shows without cloud, all its products together; None where that is not told."""
    clear = 0.0
    for product in scene.members:
        if product.cloud_share is None:
            return None
        clear += (1.0 if product.seen_share is None else product.seen_share) * (1 - product.cloud_share)
    return min(clear, 1.0)


def plan_tile(
    tile: str,
    scenes: Sequence[Scene],
    month: Month,
    reader: Reader,
    params: ChangeParams,
    *,
    unseen_month: bool = False,
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
        To look at the scenes' grids, and at the pixels of those whose items do not tell their offset.
    params
        How many months and years are read.
    unseen_month
        Whether it will do that no scene is of the month itself.

    Returns
    -------
    TilePlan, list of SkippedScene
        The plan, whose scenes all have an offset, and the products that cannot be read, lie on another grid than
        most or have no offset that can be told. Where an alternative of the same pass can, it takes their place.

    Raises
    ------
    GridError
        When no grid is that of most scenes.
    NoSceneError
        When no usable scene was acquired in the month.
    """
    products = _Products(reader)
    opened, skipped = _settled(scenes, products.unreadable)
    grid = _common_grid(tile, [products.grids[scene.id][0] for scene in opened])
    size = _common_size([products.grids[scene.id][1] for scene in opened if products.grids[scene.id][0].same_as(grid)])
    kept, left_out = _settled(opened, lambda product: products.unfit(product, grid, size))
    kept = [products.with_offsets(scene) for scene in kept]
    skipped += left_out
    start = month.shifted(1 - params.monitor.months).first_day
    monitored = tuple(scene for scene in kept if scene.day >= start)
    if not unseen_month and not any(scene.day >= month.first_day for scene in monitored):
        raise NoSceneError(
            f"Tile {tile} has no usable scene in {month}"
            + (f" ({len(skipped)} left out: {skipped[-1].id}, since {skipped[-1].reason})." if skipped else ".")
        )
    reference = tuple(scene for scene in kept if scene.day < start)
    return TilePlan(tile, month, grid, reference, monitored, size), skipped


def plan_known(
    tile: str, scenes: Sequence[Scene], month: Month, reader: Reader, grid: Grid, size: int
) -> tuple[TilePlan, list[SkippedScene]]:
    """Plan a month of a tile that is known from before.

    Parameters
    ----------
    tile, month, reader
        As in `plan_tile`.
    scenes
        Of this tile and month, oldest first; none is no error.
    grid, size
        What the tile is known on: the grid of its bands, and its pixels along a side of one of the classification.

    Returns
    -------
    TilePlan, list of SkippedScene
        As `plan_tile`.
    """
    products = _Products(reader)
    kept, skipped = _settled(scenes, lambda product: products.unfit(product, grid, size))
    return TilePlan(tile, month, grid, (), tuple(products.with_offsets(scene) for scene in kept), size), skipped


@dataclass
class _Products:
    """What was found out of each product by looking at its files; each is looked at once."""

    reader: Reader
    grids: dict[str, tuple[Grid, int]] = field(default_factory=dict)
    offsets: dict[str, OffsetSeen] = field(default_factory=dict)

    def unreadable(self, product: Scene) -> str | None:
        """Why a product cannot be read at all, where that is so."""
        if product.id in self.grids:
            return None
        try:
            red, nir, scl = (self.reader.grid_of(product, band) for band in (Band.RED, Band.NIR, Band.SCL))
            if not nir.same_as(red):
                raise SceneError(product.id, f"its red ({red}) and near-infrared ({nir}) rasters differ in grid")
            self.grids[product.id] = red, _pixels_per_class(product, red, scl)
        except SceneError as error:
            return error.reason
        return None

    def unfit(self, product: Scene, grid: Grid, size: int) -> str | None:
        """Why a product does not go with the tile's others, or its offset stays unknown, where that is so."""
        reason = self.unreadable(product)
        if reason is not None:
            return reason
        own, own_size = self.grids[product.id]
        if not own.same_as(grid):
            return f"its grid ({own}) is not that of the tile's other scenes ({grid})"
        if own_size != size:
            return f"its classification has {own_size} x its pixels' side, the tile's other scenes {size} x"
        if product.dn_offset is None and product.id not in self.offsets:
            try:
                self.offsets[product.id] = decide_offset(product, self.reader)
            except SceneError as error:
                return error.reason
        return None

    def with_offsets(self, scene: Scene) -> Scene:
        """The scene, with the offsets that were decided from pixels."""
        first, *parts = (self._with_offset(product) for product in scene.members)
        return replace(first, parts=tuple(parts), alternatives=scene.alternatives)

    def _with_offset(self, product: Scene) -> Scene:
        seen = self.offsets.get(product.id)
        if product.dn_offset is not None or seen is None:
            return product
        return replace(product, dn_offset=seen.dn_offset, offset_evidence=seen.evidence)


def _settled(scenes: Sequence[Scene], fault: Callable[[Scene], str | None]) -> tuple[list[Scene], list[SkippedScene]]:
    """Scenes without the products that have a fault, and those, with it; alternatives take their place."""
    kept: list[Scene] = []
    skipped: list[SkippedScene] = []
    for scene in scenes:
        rest: Scene | None = scene
        while rest is not None:
            faults = ((product.id, reason) for product in rest.members if (reason := fault(product)) is not None)
            found = next(faults, None)
            if found is None:
                kept.append(rest)
                break
            rest, left = drop(rest, *found)
            skipped.append(left)
    return kept, skipped


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
