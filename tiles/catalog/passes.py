"""One observation a pass: products of one tile and one moment are chosen between, or merged.

Archives hold an acquisition more than once. Reprocessed under a newer baseline, delivered by two ground stations, or
listed twice (Earth Search's ``_0`` and ``_1``), it is the same image again: counted twice, a haze would confirm
itself. Cut into two datastrips within a tile, it is two halves, and each alone leaves the other half unseen.

What a product adds decides. Those of a pass are put in order of preference; one whose ground is covered by those before
it is *superseded*: left out and named, kept only to fall back on. One that adds ground is a *part*: it is read where
those before it hold no data (`tiles.merging`).

The ten kilometres that a tile shares with its neighbour are seen in both, on two grids (and in two UTM zones at a
zone's edge). They are not joined here: each tile is watched on its own, and alerts that meet are merged afterwards.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import replace

import shapely

from tiles.catalog._protocol import SkippedScene
from tiles.scene import Scene

_PASS = dt.timedelta(minutes=5)
"""A tile is flown over in seconds, and again an hour and a half later at the soonest: what is nearer is one pass."""

_DATATAKE = dt.timedelta(hours=1)
"""Products of one datatake may name its beginning or their own moment: an orbit takes 100 minutes."""

_NEW_GROUND = 0.01
"""Share of a product's ground that is new where it is a part, not a duplicate.

Reprocessing moves the outline of the same image by some hundred metres: of Earth Search's items for 32TMT and 32UNU of
March 2020, up to 0.3 % of the older lies outside the newer. A hundredth of a tile is a strip of one kilometre.
"""

_UNKNOWN = dt.datetime.min.replace(tzinfo=dt.UTC)


def once_a_pass(scenes: Iterable[Scene]) -> tuple[list[Scene], list[SkippedScene]]:
    """One scene for each tile and pass, whatever the order of the catalogue.

    Parameters
    ----------
    scenes
        Products as the catalogue lists them, each once or more often.

    Returns
    -------
    list of Scene
        Oldest first, with their parts and alternatives.
    list of SkippedScene
        The superseded ones.
    """
    kept = [merge(products) for products in _passes(scenes)]
    kept.sort(key=lambda scene: (scene.acquired, scene.id))
    superseded = [
        SkippedScene(other.id, f"same acquisition as {scene.id}, which is preferred, and no further ground", True)
        for scene in kept
        for other in scene.alternatives
    ]
    return kept, superseded


def merge(products: Iterable[Scene]) -> Scene:
    """One scene of the products of a pass: the preferred one, with its parts and alternatives.

    The newest baseline is preferred, then the product made last, then the last by name. Where the ground of a product
    is not known it is taken for a part: that costs a reading where the others hold no data, and loses nothing.
    """
    # A catalogue that lists a product twice, as paging may, is heard once.
    each = {product.id: replace(product, parts=(), alternatives=()) for product in sorted(products, key=_preference)}
    first, *others = sorted(each.values(), key=_preference, reverse=True)
    parts: list[Scene] = []
    alternatives: list[Scene] = []
    for other in others:
        (parts if _adds_ground(other, [first, *parts]) else alternatives).append(other)
    return replace(first, parts=tuple(parts), alternatives=tuple(alternatives))


def without(scene: Scene, product_id: str) -> Scene | None:
    """The pass without one of its products, whose place an alternative takes where there is one.

    Returns
    -------
    Scene or None
        None where nothing is left of the pass.
    """
    others = [product for product in (*scene.members, *scene.alternatives) if product.id != product_id]
    return merge(others) if others else None


def drop(scene: Scene, product_id: str, reason: str) -> tuple[Scene | None, SkippedScene]:
    """`without`, and the product left out: its reason, and what is read in its place."""
    rest = without(scene, product_id)
    before = {product.id for product in scene.members}
    instead = [] if rest is None else [product.id for product in rest.members if product.id not in before]
    if instead:
        reason += f"; in its place {' and '.join(instead)} {'is' if len(instead) == 1 else 'are'} read"
    return rest, SkippedScene(product_id, reason)


def drop_from(scenes: Sequence[Scene], product_id: str, reason: str) -> tuple[list[Scene], SkippedScene]:
    """`drop`, from whichever of the scenes reads the product.

    Raises
    ------
    ValueError
        When none does.
    """
    for index, scene in enumerate(scenes):
        if any(product.id == product_id for product in scene.members):
            rest, left = drop(scene, product_id, reason)
            return [*scenes[:index], *([] if rest is None else [rest]), *scenes[index + 1 :]], left
    raise ValueError(f"no scene reads the product {product_id}")


def _passes(scenes: Iterable[Scene]) -> list[list[Scene]]:
    """Products by tile and pass: those that are the same pass as any of a group join it, and may join two groups."""
    passes: list[list[Scene]] = []
    tile: list[list[Scene]] = []
    for scene in sorted(scenes, key=lambda scene: (scene.tile, scene.acquired, scene.id)):
        recent = [
            group for group in tile if group[-1].tile == scene.tile and scene.acquired - group[-1].acquired <= _DATATAKE
        ]
        passes += [group for group in tile if group not in recent]
        same = [group for group in recent if any(_same_pass(other, scene) for other in group)]
        joined = sorted([scene, *(other for group in same for other in group)], key=lambda scene: scene.acquired)
        tile = [*(group for group in recent if group not in same), joined]
    return passes + tile


def _same_pass(first: Scene, later: Scene) -> bool:
    """Whether two scenes of a tile are one observation: some archives name the pass, all tell the time."""
    named = first.datatake is not None and first.datatake == later.datatake
    return named or same_moment(first.acquired, later.acquired)


def same_moment(first: dt.datetime, other: dt.datetime) -> bool:
    """Whether two moments of a tile are of one pass."""
    return abs(other - first) < _PASS


def _preference(scene: Scene) -> tuple[str, dt.datetime, str]:
    return scene.baseline or "", scene.generated or _UNKNOWN, scene.id


def _adds_ground(scene: Scene, before: Sequence[Scene]) -> bool:
    known = [other.footprint for other in before if other.footprint is not None]
    if scene.footprint is None or not known:
        return True
    new = scene.footprint.difference(shapely.union_all(known))
    return bool(new.area > _NEW_GROUND * scene.footprint.area)
