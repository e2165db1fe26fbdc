"""From a STAC item to a scene: asset names, dates, tiles and offsets, which differ between archives."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

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

_PASS = dt.timedelta(minutes=5)
"""A tile is flown over in seconds, and again an hour and a half later at the soonest: what is nearer is one pass."""


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
    datatake = properties.get("s2:datatake_id") or properties.get("eopf:datatake_id")
    return Scene(
        id=item.id,
        acquired=acquired_utc(item.datetime),
        tile=_tile(item),
        hrefs=hrefs,
        dn_offset=dn_offset_of(item.id, properties, red.extra_fields),
        baseline=None if baseline is None else f"{baseline[0]:02d}.{baseline[1]:02d}",
        # The identifier ends in the baseline (..._N05.00): without it, reprocessed scenes share their pass.
        datatake=None if datatake is None else str(datatake).rpartition("_N")[0] or str(datatake),
    )


def acquired_utc(moment: dt.datetime) -> dt.datetime:
    """A moment in UTC, which STAC means where it names no time zone."""
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)


def tile_of(properties: Mapping[str, Any]) -> str | None:
    """Name of the tile that an item's properties give, such as ``31TDK``; None where they give none."""
    code = properties.get("grid:code") or properties.get("s2:mgrs_tile")
    return None if code is None else str(code).removeprefix("MGRS-")


def use_copies(item: pystac.Item, scheme: str) -> None:
    """Point the bands' assets to their copies that are reached by a scheme, such as ``https``.

    The Copernicus Data Space keeps each file under two addresses: ``s3`` is the asset's own, ``https`` is among its
    ``alternate`` (STAC's alternate assets extension).

    Raises
    ------
    SceneError
        When a band has no such copy.
    """
    for asset in (item.assets[name] for names in ASSET_NAMES.values() for name in names if name in item.assets):
        alternates = asset.extra_fields.get("alternate") or {}
        hrefs = [asset.href, *(str(other.get("href", "")) for other in alternates.values())]
        wanted = next((href for href in hrefs if href.startswith(f"{scheme}://")), None)
        if wanted is None:
            raise SceneError(item.id, f"its files have no {scheme} address ({asset.href})")
        asset.href = wanted


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
    tile = tile_of(item.properties)
    if tile is None:
        raise SceneError(item.id, "it does not say which tile it shows (grid:code or s2:mgrs_tile)")
    return tile


def _once_a_pass(scenes: list[Scene]) -> tuple[list[Scene], list[SkippedScene]]:
    """Of the scenes that show one tile at one moment, keep that of the newest baseline.

    Two scenes of one pass are one observation: counted as two, a haze would confirm itself.
    """
    passes: list[list[Scene]] = []
    for scene in sorted(scenes, key=lambda scene: (scene.tile, scene.acquired, scene.id)):
        if passes and _same_pass(passes[-1][0], scene):
            passes[-1].append(scene)
        else:
            passes.append([scene])
    kept, skipped = [], []
    for scenes_of_pass in passes:
        best = max(scenes_of_pass, key=lambda scene: (scene.baseline or "", scene.id))
        kept.append(best)
        skipped += [
            SkippedScene(scene.id, f"same acquisition as {best.id}, which is newer", usable=True)
            for scene in scenes_of_pass
            if scene is not best
        ]
    return kept, skipped


def _same_pass(first: Scene, later: Scene) -> bool:
    """Whether two scenes, in order of time, are one observation: some archives name the pass, all tell the time."""
    if first.tile != later.tile:
        return False
    named = first.datatake is not None and first.datatake == later.datatake
    return named or later.acquired - first.acquired < _PASS
