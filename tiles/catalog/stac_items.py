"""From a STAC item to a scene: asset names, dates, tiles and offsets, which differ between archives."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterable
from contextlib import suppress

import pystac
import shapely
import shapely.geometry
from shapely.errors import ShapelyError
from shapely.geometry.base import BaseGeometry

from tiles.catalog._protocol import Found, SkippedScene
from tiles.catalog.passes import once_a_pass
from tiles.errors import SceneError
from tiles.scene import NEEDED_BANDS, OPTIONAL_BANDS, Band, Scene, dn_offset_of, parse_baseline
from tiles.tile_names import is_tile_name

ASSET_NAMES: dict[Band, tuple[str, ...]] = {
    Band.RED: ("red", "B04", "B04_10m"),
    Band.NIR: ("nir", "B08", "B08_10m"),
    Band.SCL: ("scl", "SCL", "SCL_20m"),
    Band.GREEN: ("green", "B03", "B03_10m"),
    Band.BLUE: ("blue", "B02", "B02_10m"),
    Band.NIR08: ("nir08", "B8A", "B8A_20m"),
    Band.SWIR16: ("swir16", "B11", "B11_20m"),
    Band.SWIR22: ("swir22", "B12", "B12_20m"),
}
"""Names of a band's asset: Earth Search, Planetary Computer, Copernicus Data Space."""

_DISCRIMINATOR = re.compile(r"_(\d{8}T\d{6})(?:\.SAFE)?$")
"""Last part of ESA's product names: for L2A, the moment at which the product was made."""

_TILE_KM2 = 109.8**2
"""Ground of a whole tile."""


def scene_of(item: pystac.Item) -> Scene:
    """Read a STAC item as a scene.

    Raises
    ------
    SceneError
        When an asset, the date or the tile is missing, or a scale is declared that no archive is known to have.
    """
    if item.datetime is None:
        raise SceneError(item.id, "it has no datetime")
    properties = item.properties
    hrefs = {band: _href(item, band) for band in NEEDED_BANDS}
    for band in OPTIONAL_BANDS:
        with suppress(SceneError):
            hrefs[band] = _href(item, band)
    red = next(item.assets[name] for name in ASSET_NAMES[Band.RED] if name in item.assets)
    baseline = parse_baseline(properties)
    datatake = properties.get("s2:datatake_id") or properties.get("eopf:datatake_id")
    footprint = _footprint(item)
    return Scene(
        id=item.id,
        acquired=acquired_utc(item.datetime),
        tile=_tile(item),
        hrefs=hrefs,
        dn_offset=dn_offset_of(item.id, properties, red.extra_fields),
        baseline=None if baseline is None else f"{baseline[0]:02d}.{baseline[1]:02d}",
        # The identifier ends in the baseline (..._N05.00): without it, reprocessed scenes share their pass.
        datatake=None if datatake is None else str(datatake).rpartition("_N")[0] or str(datatake),
        generated=_generated(item),
        footprint=footprint,
        cloud_share=_share(item, "eo:cloud_cover"),
        seen_share=_seen_share(item, footprint),
    )


def acquired_utc(moment: dt.datetime) -> dt.datetime:
    """A moment in UTC, which STAC means where it names no time zone."""
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)


def tile_of(item: pystac.Item) -> str | None:
    """Name of the tile that an item shows, such as ``31TDK``; None where it gives none.

    Archives tell it by ``grid:code``, ``s2:mgrs_tile`` or the three parts of STAC's former MGRS extension (``mgrs:*``);
    else it stands in the identifier, in ESA's names and in those made after them.
    """
    properties = item.properties
    code = properties.get("grid:code") or properties.get("s2:mgrs_tile")
    if code is not None:
        return str(code).removeprefix("MGRS-")
    parts = [properties.get(f"mgrs:{name}") for name in ("utm_zone", "latitude_band", "grid_square")]
    if all(part is not None for part in parts):
        return "".join(str(part) for part in parts).rjust(5, "0")
    words = (word.removeprefix("T").rjust(5, "0") for word in re.split(r"[^0-9A-Za-z]+", item.id))
    return next((word for word in words if is_tile_name(word)), None)


def use_copies(item: pystac.Item, scheme: str) -> None:
    """Point the bands' assets to their copies that are reached by a scheme, such as ``https``.

    The Copernicus Data Space keeps each file under two addresses: ``s3`` is the asset's own, ``https`` is among its
    ``alternate`` (STAC's alternate assets extension). Bands that a scan can do without are left out where they have
    none.

    Raises
    ------
    SceneError
        When a needed band has no such copy.
    """
    for band, name in [(band, name) for band, names in ASSET_NAMES.items() for name in names if name in item.assets]:
        asset = item.assets[name]
        alternates = asset.extra_fields.get("alternate") or {}
        hrefs = [asset.href, *(str(other.get("href", "")) for other in alternates.values())]
        wanted = next((href for href in hrefs if href.startswith(f"{scheme}://")), None)
        if wanted is None and band in OPTIONAL_BANDS:
            del item.assets[name]
            continue
        if wanted is None:
            raise SceneError(item.id, f"its files have no {scheme} address ({asset.href})")
        asset.href = wanted


def gather(items: Iterable[pystac.Item]) -> Found:
    """Scenes of many items, oldest first, one a pass (see `tiles.catalog.passes`); what is left out is named."""
    scenes: list[Scene] = []
    skipped: list[SkippedScene] = []
    for item in items:
        try:
            scenes.append(scene_of(item))
        except SceneError as error:
            skipped.append(SkippedScene(error.scene_id, error.reason))
    kept, superseded = once_a_pass(scenes)
    return Found(tuple(kept), tuple(sorted([*skipped, *superseded], key=lambda left: (left.id, left.reason))))


def _href(item: pystac.Item, band: Band) -> str:
    for name in ASSET_NAMES[band]:
        if name in item.assets:
            href = item.assets[name].get_absolute_href()
            if href:
                return href
    raise SceneError(item.id, f"it has no {band} asset (looked for {', '.join(ASSET_NAMES[band])})")


def _generated(item: pystac.Item) -> dt.datetime | None:
    """When a product was made; Earth Search, Copernicus and the product's name tell it each in its own way."""
    properties = item.properties
    named = _DISCRIMINATOR.search(str(properties.get("s2:product_uri") or item.id))
    told = (
        properties.get("s2:generation_time"),
        properties.get("processing:datetime"),
        None if named is None else named[1],
        # When the catalogue took it in: later than when it was made, but of two products mostly in their order.
        properties.get("created"),
    )
    for text in told:
        if text is not None:
            with suppress(ValueError):
                return acquired_utc(dt.datetime.fromisoformat(str(text)))
    return None


def _footprint(item: pystac.Item) -> BaseGeometry | None:
    """Ground that holds data, in degrees; None where the item does not tell, or tells another thing elsewhere."""
    nodata_pct = item.properties.get("s2:nodata_pixel_percentage")
    outline: BaseGeometry | None = None
    with suppress(ShapelyError, ValueError, TypeError, KeyError, AttributeError):
        outline = shapely.make_valid(shapely.geometry.shape(item.geometry))
    if outline is None or outline.area == 0:
        return None
    # Some catalogues outline the tile, whatever part of it was seen.
    whole = nodata_pct is not None and _km2(outline) / _TILE_KM2 > 1.1 - float(nodata_pct) / 100
    return None if whole else outline


def _share(item: pystac.Item, name: str) -> float | None:
    """A property in per cent, as a share; None where the item does not tell, or tells what cannot be."""
    told = item.properties.get(name)
    with suppress(ValueError, TypeError):
        share = float(told) / 100  # type: ignore[arg-type]
        return share if 0 <= share <= 1 else None
    return None


def _seen_share(item: pystac.Item, footprint: BaseGeometry | None) -> float | None:
    """Share of the tile that holds data: by the pixels that the item says do not, else by its outline."""
    nodata = _share(item, "s2:nodata_pixel_percentage")
    if nodata is not None:
        return 1 - nodata
    return None if footprint is None else min(1.0, _km2(footprint) / _TILE_KM2)


def _km2(outline: BaseGeometry) -> float:
    """Area of an outline in degrees, to a hundredth."""
    return float(outline.area * 111.32**2 * math.cos(math.radians(outline.centroid.y)))


def _tile(item: pystac.Item) -> str:
    tile = tile_of(item)
    if tile is None:
        raise SceneError(item.id, "it does not say which tile it shows (grid:code, s2:mgrs_tile or its identifier)")
    return tile
