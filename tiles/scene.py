"""What a scene is: one Sentinel-2 L2A acquisition of one tile, and how its numbers become reflectance."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from shapely.geometry.base import BaseGeometry

from tiles.errors import SceneError

QUANTIFICATION = 10_000
"""Digital numbers per unit of reflectance (Sentinel-2 Products Specification Document, L2A)."""

BASELINE_OF_OFFSET = (4, 0)
"""Processing baseline since which ESA adds 1000 to every digital number (25 January 2022)."""

ESA_OFFSET = -1000
"""What is to be added to a digital number delivered as ESA does, before dividing by 10,000."""


class Band(StrEnum):
    """The layers of a scene that are read, by Earth Search's names."""

    RED = "red"
    NIR = "nir"
    SCL = "scl"
    GREEN = "green"
    BLUE = "blue"
    NIR08 = "nir08"
    """B8A: near infrared at 20 m."""
    SWIR16 = "swir16"
    """B11: short-wave infrared at 1.6 um, 20 m."""
    SWIR22 = "swir22"
    """B12: short-wave infrared at 2.2 um, 20 m."""


NEEDED_BANDS = (Band.RED, Band.NIR, Band.SCL)
"""What a scan cannot do without."""

INFRARED_BANDS = (Band.NIR08, Band.SWIR16, Band.SWIR22)
"""What tells causes of a loss apart (`detector.cause`), read around patches alone: a scene without them is as good."""

COLOUR_BANDS = (Band.GREEN, Band.BLUE)
"""What a picture needs beside the bands of a scan: a scene without them is as good."""

OPTIONAL_BANDS = (*INFRARED_BANDS, *COLOUR_BANDS)
"""What a scene may be without."""


@dataclass(frozen=True)
class Scene:
    """One acquisition of one tile: one product, or several of one pass that complete each other.

    Parameters
    ----------
    id
        Identifier in its catalogue.
    acquired
        Moment of the acquisition (UTC).
    tile
        Name of the tile, such as ``31TFJ``.
    hrefs
        Where each band's raster is: a path or a URL that GDAL opens. `OPTIONAL_BANDS` may be missing.
    dn_offset
        Added to a digital number before it is divided by `QUANTIFICATION`: 0 or -1000. None where the catalogue's
        words do not decide it: `tiles.offset` then asks the pixels, before anything else reads them.
    baseline
        ESA's processing baseline, such as ``05.11``, where known.
    datatake
        The pass that the scene was cut from, as far as the catalogue tells: scenes of one tile that
        share it show the same moment.
    generated
        When this product was made of the acquisition, as far as the catalogue tells.
    footprint
        Ground that holds data, in degrees (longitude, latitude), where the catalogue tells it.
    cloud_share
        Cloud over what was seen of the tile, 0 to 1, as far as the catalogue tells.
    seen_share
        Share of the tile's ground that holds data, 0 to 1, as far as the catalogue tells.
    parts
        Further products of the pass, in order of preference: each is read where those before it have no data.
        They have no parts of their own.
    alternatives
        Products of the pass that add nothing to these, in order of preference: read should one of these turn
        out unreadable (`tiles.catalog.passes.without`).
    offset_evidence
        What `dn_offset` was decided from, where that was the pixels.
    """

    id: str
    acquired: dt.datetime
    tile: str
    hrefs: Mapping[Band, str] = field(hash=False)
    dn_offset: int | None = 0
    baseline: str | None = None
    datatake: str | None = None
    generated: dt.datetime | None = None
    footprint: BaseGeometry | None = field(default=None, repr=False)
    cloud_share: float | None = None
    seen_share: float | None = None
    parts: tuple[Scene, ...] = ()
    alternatives: tuple[Scene, ...] = ()
    offset_evidence: str | None = None

    @property
    def day(self) -> dt.date:
        """Day of the acquisition (UTC)."""
        return self.acquired.date()

    @property
    def known_offset(self) -> int:
        """`dn_offset`, for who is about to use it.

        Raises
        ------
        SceneError
            When it was not decided.
        """
        if self.dn_offset is None:
            raise SceneError(self.id, "its offset was not decided before its pixels were used")
        return self.dn_offset

    @property
    def members(self) -> tuple[Scene, ...]:
        """The products that are read: the scene itself first, then its parts; each without parts of its own."""
        return replace(self, parts=(), alternatives=()), *self.parts


def dn_offset_of(item_id: str, properties: Mapping[str, Any], red_asset: Mapping[str, Any]) -> int | None:
    """Decide what is to be added to an item's digital numbers, from its words.

    Since baseline 04.00 ESA delivers reflectance * 10000 + 1000. Archives differ in whether they have taken
    the 1000 away again, and some say so wrongly (design, fact 1): Earth Search's ``boa_offset_applied`` has been
    false on pixels already shifted (cirrus-geo/cirrus-earth-search issue 33, Element84/earth-search issues 66 and 71).

    Parameters
    ----------
    item_id
        For the error's sentence.
    properties
        STAC properties: ``s2:processing_baseline`` (or ``processing:version``) and
        ``earthsearch:boa_offset_applied`` are looked at.
    red_asset
        The STAC asset of the red band: its ``raster:bands`` or ``raster:scale``/``raster:offset``.

    Returns
    -------
    int or None
        0 or -1000; None where the item's words contradict each other, or say nothing: its pixels are to be asked.

    Raises
    ------
    SceneError
        When another scale or offset is declared than any archive is known to have.
    """
    scale, declared = _declared_scaling(red_asset)
    if scale is not None and round(scale * QUANTIFICATION, 6) != 1:
        raise SceneError(item_id, f"its red band declares a scale of {scale}, not 0.0001; it is set aside")
    if declared not in (None, 0, ESA_OFFSET):
        raise SceneError(
            item_id, f"its red band declares an offset of {declared} digital numbers, not 0 or {ESA_OFFSET}"
        )
    applied = properties.get("earthsearch:boa_offset_applied")
    if applied is True:
        return 0
    baseline = parse_baseline(properties)
    if baseline is not None and baseline < BASELINE_OF_OFFSET:
        return 0 if declared in (None, 0) else None
    if applied is False:
        # Said of pixels with the offset and of pixels without; a declared 0 beside it at least agrees with itself.
        return 0 if baseline is None and declared == 0 else None
    if baseline is None:
        return declared
    return ESA_OFFSET if declared in (None, ESA_OFFSET) else None


def parse_baseline(properties: Mapping[str, Any]) -> tuple[int, int] | None:
    """Processing baseline of an item as (major, minor), None where it is not given."""
    text = properties.get("s2:processing_baseline") or properties.get("processing:version")
    if text is None:
        return None
    # "05.11" in properties, "N0511" in names.
    match = re.fullmatch(r"N?(\d{2})(\d{2})|(\d{1,2})(?:\.(\d{1,2}))?", str(text).strip())
    if match is None:
        return None
    major, minor = match[1] or match[3], match[2] or match[4] or 0
    return int(major), int(minor)


def _declared_scaling(asset: Mapping[str, Any]) -> tuple[float | None, int | None]:
    """Scale, and offset in digital numbers, that an asset declares."""
    bands = asset.get("raster:bands") or [{}]
    scale = bands[0].get("scale", asset.get("raster:scale"))
    offset = bands[0].get("offset", asset.get("raster:offset"))
    return (
        None if scale is None else float(scale),
        None if offset is None else round(float(offset) * QUANTIFICATION),
    )
