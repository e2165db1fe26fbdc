"""From a STAC item to a scene: asset names, dates, tiles and offsets, which differ between archives."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import pystac

from tiles.catalog._protocol import Found, SkippedScene
from tiles.errors import SceneError
from tiles.scene import Band, Scene, dn_offset_of, parse_baseline

ASSET_NAMES: dict[Band, tuple[str, ...]] = {
    Band.RED: ("red", "B04", "B04_10m"),
    Band.NIR: ("nir", "B08", "B08_10m"),
    Band.SCL: ("scl", "SCL", "SCL_20m"),
}
"""Names of a band's asset: Earth Search, Planetary Computer, Copernicus Data Space."""


def scene_of(item: pystac.Item) -> Scene:
    """Read a STAC item as a scene.

    Raises
    ------
    SceneError
        When an asset, the date or the tile is missing, or the offset cannot be decided.
    """
    if item.datetime is None:
        raise SceneError(item.id, "it has no datetime")
    properties = item.properties
    hrefs = {band: _href(item, band) for band in Band}
    red = next(item.assets[name] for name in ASSET_NAMES[Band.RED] if name in item.assets)
    baseline = parse_baseline(properties)
    datatake = properties.get("s2:datatake_id")
    return Scene(
        id=item.id,
        acquired=item.datetime.astimezone(dt.UTC),
        tile=_tile(item),
        hrefs=hrefs,
        dn_offset=dn_offset_of(item.id, properties, red.extra_fields),
        baseline=None if baseline is None else f"{baseline[0]:02d}.{baseline[1]:02d}",
        # The identifier ends in the baseline (..._N05.00): without it, reprocessed scenes share their pass.
        datatake=None if datatake is None else str(datatake).rpartition("_N")[0] or str(datatake),
    )


def gather(items: Iterable[pystac.Item]) -> Found:
    """Scenes of many items, oldest first, once a pass; what is left out is named."""
    scenes: list[Scene] = []
    skipped: list[SkippedScene] = []
    for item in items:
        try:
            scenes.append(scene_of(item))
        except SceneError as error:
            skipped.append(SkippedScene(error.scene_id, error.reason))
    kept, duplicates = _once_a_pass(scenes)
    kept.sort(key=lambda scene: (scene.acquired, scene.id))
    skipped = sorted([*skipped, *duplicates], key=lambda left: left.id)
    return Found(tuple(kept), tuple(skipped))


def _href(item: pystac.Item, band: Band) -> str:
    for name in ASSET_NAMES[band]:
        if name in item.assets:
            href = item.assets[name].get_absolute_href()
            if href:
                return href
    raise SceneError(item.id, f"it has no {band} asset (looked for {', '.join(ASSET_NAMES[band])})")


def _tile(item: pystac.Item) -> str:
    properties = item.properties
    code = properties.get("grid:code") or properties.get("s2:mgrs_tile")
    if code is None:
        raise SceneError(item.id, "it does not say which tile it shows (grid:code or s2:mgrs_tile)")
    return str(code).removeprefix("MGRS-")


def _once_a_pass(scenes: list[Scene]) -> tuple[list[Scene], list[SkippedScene]]:
    """Of the scenes that show one tile at one moment, keep that of the newest baseline.

    Two scenes of one pass are one observation: counted as two, a haze would confirm itself.
    """
    best: dict[tuple[str, str], Scene] = {}
    skipped: list[SkippedScene] = []
    for scene in sorted(scenes, key=lambda scene: (scene.baseline or "", scene.id), reverse=True):
        moment = scene.datatake or f"{scene.acquired:%Y-%m-%dT%H:%M}"
        kept = best.setdefault((scene.tile, moment), scene)
        if kept is not scene:
            skipped.append(SkippedScene(scene.id, f"same acquisition as {kept.id}, which is newer", usable=True))
    return list(best.values()), skipped
