"""What a month of a tile has not heard of its archive: scenes that came late, and those that could not be read.

Those that could not be read are looked at again before anything is worked out for their sake: one that is still broken
costs a block, not a month.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detector.month_record import grid_of, skipped_of
from detector.tile_store import TileMonth
from tiles.catalog import Found, SkippedScene
from tiles.catalog.passes import same_moment
from tiles.engine import WINDOW_PX, TilePlan
from tiles.plan import plan_known
from tiles.reader import Reader
from tiles.scene import Scene
from tiles.unreadable import fault_in
from tiles.watch import WatchedArea


@dataclass(frozen=True)
class Unheard:
    """What a kept month has not heard.

    Parameters
    ----------
    late
        Whether something came that was not there.
    broken
        Products that could not be used then, as the catalogue has them now.
    """

    late: bool
    broken: tuple[Scene, ...]


def unheard_of(kept: TileMonth, found: Found) -> Unheard:
    """What a month has not heard of what its catalogue holds.

    A pass that was heard is not heard again for being processed anew.
    """
    faults = {name for name, left in skipped_of(kept.record).items() if not left.superseded}
    heard = _passes(kept.record["scenes"])
    late, broken = False, []
    for scene in found.scenes:
        of_pass = [name for moment, names in heard if same_moment(scene.acquired, moment) for name in names]
        again = [product for product in scene.members if product.id in faults and product.id not in of_pass]
        broken += again
        # The ground of a pass comes in as many products however often it is processed; more is a half that came late.
        late = late or len(scene.members) - len(again) > len(of_pass)
    return Unheard(late, tuple(broken))


def missing_of(found: Sequence[Scene], plan: TilePlan, left_out: Sequence[SkippedScene], per_month: int) -> list[Scene]:
    """Products that a build is short of: left out by faults, and nothing was read in their place.

    Where the month has as many scenes as are wanted all the same, others took their place.

    Parameters
    ----------
    found
        All scenes that there were.
    plan
        What was read.
    left_out
        What was not, since it could not be used.
    per_month
        Scenes wanted of a calendar month.
    """
    names = {left.id for left in left_out if not left.superseded}
    full = Counter((scene.day.year, scene.day.month) for scene in plan.scenes)
    return [
        product
        for scene in found
        for product in (*scene.members, *scene.alternatives)
        if product.id in names
        and full[product.day.year, product.day.month] < per_month
        and not any(same_moment(product.acquired, read.acquired) for read in plan.scenes)
    ]


def missing_again(built: TileMonth, found: Found) -> list[Scene]:
    """The products that a build is short of, as the catalogue has them now: perhaps processed anew."""
    missing = [(left["id"], dt.datetime.fromisoformat(left["acquired"])) for left in missing_in(built)]
    return [
        product
        for scene in found.scenes
        for product in (*scene.members, *scene.alternatives)
        if any(product.id == name or same_moment(product.acquired, moment) for name, moment in missing)
    ]


def missing_in(built: TileMonth) -> list[dict[str, Any]]:
    """Identifiers and moments of what a build is short of; none in records of before they were kept."""
    return list(built.record.get("scenes_missing", ()))


def any_readable(tile: str, products: Sequence[Scene], kept: TileMonth, forest: Path, reader: Reader) -> bool:
    """Whether one of the products goes with a tile's others and can be read wherever there is forest.

    Parameters
    ----------
    tile
        Its name.
    products
        To look at in turn, up to the first that can.
    kept
        A month of the tile.
    forest
        Raster of its forest.
    reader
        Reads them.
    """
    if not products:
        return False
    grid, size = grid_of(kept.record)
    pixels = WatchedArea(forest_raster=forest).on(grid)
    windows = [window for window in grid.windows(WINDOW_PX) if pixels.masks(window)[1].any()]
    for product in products:
        plan, _ = plan_known(tile, [product], kept.month, reader, grid, size)
        if plan.monitored and fault_in(product, reader, grid, size, windows) is None:
            return True
    return False


def _passes(scenes: Sequence[dict[str, Any]]) -> list[tuple[dt.datetime, list[str]]]:
    return [(dt.datetime.fromisoformat(scene["acquired"]), scene["products"]) for scene in scenes]
