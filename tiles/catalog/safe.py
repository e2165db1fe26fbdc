"""Products as ESA packs them: folders ``....SAFE`` of JPEG 2000 files, with an XML of what they are.

A product is put in the words of a STAC item, so that it is judged like one of any other archive: its tile, its
baseline, its offset, its twins. Format: Sentinel-2 Products Specification Document, "Level-2A User Product".
"""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pystac

from tiles.access import Access, OpenAccess
from tiles.catalog._protocol import Found, SkippedScene
from tiles.catalog._selection import Box, is_wanted
from tiles.catalog.stac_items import gather
from tiles.errors import CatalogueError, SceneError

METADATA = "MTD_MSIL2A.xml"
"""The file that describes a product of level 2A."""

_BANDS = {"B04_10m": "B04", "B08_10m": "B08", "SCL_20m": "SCL"}
"""Ending of a file's name, and the name that STAC items give to it."""

_MORE_BANDS = {"B02_10m": "B02", "B03_10m": "B03", "B8A_20m": "B8A", "B11_20m": "B11", "B12_20m": "B12"}
"""The same of bands that a scan can do without."""

_BAND_IDS = {"B04": "3", "B08": "7"}
"""Number of a band in the list of offsets (``band_id``: B01 is 0, B8A is 8)."""

_DEEPEST = 6
"""Folders below the given one that are looked into: archives sort by tile, or by year, month and day."""

_LARGEST_XML = 50_000_000
"""Bytes of metadata: a real one has 60,000."""


class SafeCatalogue:
    """Catalogue of a folder of ``.SAFE`` products, at any depth.

    Parameters
    ----------
    folder
        The folder, or a single product.

    Raises
    ------
    CatalogueError
        When no product is there.
    """

    worldwide = False

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder).expanduser().resolve()
        self.href = str(self._folder)
        self.access: Access = OpenAccess()
        if not holds_products(self._folder):
            raise CatalogueError(f"No product in {self.href}: give a folder that holds .SAFE folders, unzipped.")

    def search(
        self, first_day: dt.date, last_day: dt.date, bbox: Box | None = None, *, tile: str | None = None
    ) -> Found:
        """Scenes from one day to another; see `Catalogue.search`."""
        items: list[pystac.Item] = []
        skipped: list[SkippedScene] = []
        for product in _products(self._folder):
            if not _may_be_wanted(product.name, first_day, last_day, tile):
                continue
            if "_MSIL1C_" in product.name:
                skipped.append(SkippedScene(product.stem, "it is of level 1C, and 2A is read", superseded=True))
                continue
            try:
                item = item_of(product)
            except SceneError as error:
                skipped.append(SkippedScene(error.scene_id, error.reason))
            else:
                if is_wanted(item, first_day, last_day, bbox, tile):
                    items.append(item)
        found = gather(items)
        return Found(found.scenes, tuple(sorted((*found.skipped, *skipped), key=lambda left: left.id)))


def _may_be_wanted(name: str, first_day: dt.date, last_day: dt.date, tile: str | None) -> bool:
    """Whether a product's name leaves it possible that it is asked for: so that few of a large archive are opened."""
    named = re.fullmatch(r"S2._MSIL\d._(\d{8})T\d{6}_N\d{4}_R\d{3}_T(\w{5})_.*", name)
    if named is None:
        return True
    # A day more on both sides: the name tells when the satellite began to look.
    first, last = first_day - dt.timedelta(1), last_day + dt.timedelta(1)
    return f"{first:%Y%m%d}" <= named[1] <= f"{last:%Y%m%d}" and tile in (None, named[2])


def holds_products(folder: Path) -> bool:
    """Whether a folder is a ``.SAFE`` product, or holds one."""
    return next(_products(folder), None) is not None


def item_of(product: Path) -> pystac.Item:
    """Describe a product as a STAC item: assets ``B04``, ``B08``, ``SCL``, and those of `_MORE_BANDS` that are there.

    Parameters
    ----------
    product
        Its ``.SAFE`` folder.

    Raises
    ------
    SceneError
        When its metadata cannot be read, lacks what is needed, or names files that are not there.
    """
    name = product.stem
    root = _metadata(product)
    files = _files(root, product)
    scale, offsets = _scaling(root, name)
    assets = {
        band: {"href": str(path)}
        | ({"raster:bands": [{"scale": scale, "offset": offsets[band]}]} if band in offsets else {})
        for band, path in files.items()
    }
    tiles = {found[1] for path in files.values() if (found := re.search(r"_?T(\d{2}[A-Z]{3})_", path.name))}
    if len(tiles) != 1:
        raise SceneError(name, f"its files name {len(tiles)} tiles, not one")
    start = _text(root, "PRODUCT_START_TIME") or _text(root, "DATATAKE_SENSING_START")
    datatake = next((element for element in root.iter("Datatake")), None)
    properties = {
        "datetime": start,
        "grid:code": f"MGRS-{tiles.pop()}",
        "s2:processing_baseline": _text(root, "PROCESSING_BASELINE"),
        "s2:datatake_id": None if datatake is None else datatake.get("datatakeIdentifier"),
        "s2:product_uri": product.name,
        "s2:generation_time": _text(root, "GENERATION_TIME"),
        "eo:cloud_cover": _text(root, "Cloud_Coverage_Assessment"),
    }
    corners = _corners(root)
    document: dict[str, Any] = {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "geometry": None if corners is None else {"type": "Polygon", "coordinates": [corners]},
        "properties": {key: value for key, value in properties.items() if value is not None} | {"datetime": start},
        "links": [],
        "assets": assets,
    }
    if corners is not None:
        document["bbox"] = [*map(min, zip(*corners, strict=True)), *map(max, zip(*corners, strict=True))]
    try:
        return pystac.Item.from_dict(document, preserve_dict=False)
    except Exception as error:  # pystac raises whatever a value leads to
        raise SceneError(name, f"its {METADATA} says {start} of its time") from error


class _NoDoctype(ElementTree.TreeBuilder):
    """Refuses a document type: real metadata has none, and its entities could fill the memory."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:  # noqa: ARG002 - as expat calls it
        raise ElementTree.ParseError("a document type")


def _metadata(product: Path) -> ElementTree.Element:
    path = product / METADATA
    try:
        if path.stat().st_size > _LARGEST_XML:
            raise SceneError(product.stem, f"its {METADATA} is too large to be one")
        parser = ElementTree.XMLParser(target=_NoDoctype())
        return ElementTree.parse(path, parser).getroot()
    except FileNotFoundError as error:
        raise SceneError(product.stem, f"it has no {METADATA}") from error
    except (OSError, ElementTree.ParseError, ValueError, LookupError) as error:
        raise SceneError(product.stem, f"its {METADATA} cannot be read ({error})") from error


def _files(root: ElementTree.Element, product: Path) -> dict[str, Path]:
    """The file of each band that is read, by its STAC name."""
    files: dict[str, Path] = {}
    bands = _BANDS | _MORE_BANDS
    for element in root.iter():
        # IMAGE_FILE, or IMAGE_FILE_2A in products of 2017 and 2018.
        if not str(element.tag).startswith("IMAGE_FILE") or not element.text:
            continue
        named = element.text.strip()
        band = next((band for ending, band in bands.items() if named.endswith(ending)), None)
        if band is None:
            continue
        if band in files:
            raise SceneError(product.stem, f"it holds more than one {band} file, of several tiles")
        files[band] = product / f"{named}.jp2"
    for band in _BANDS.values():
        if band not in files:
            raise SceneError(product.stem, f"its {METADATA} names no {band} file")
        if not files[band].is_file():
            raise SceneError(product.stem, f"its file {files[band].relative_to(product)} is missing")
    return {band: path for band, path in files.items() if band in _BANDS.values() or path.is_file()}


def _scaling(root: ElementTree.Element, name: str) -> tuple[float, dict[str, float]]:
    """Reflectance of a unit, and of the offset of each band."""
    said = _text(root, "BOA_QUANTIFICATION_VALUE") or _text(root, "L2A_BOA_QUANTIFICATION_VALUE")
    try:
        scale = 1 / float(said or "nan")
        listed = {element.get("band_id"): float(element.text or "nan") for element in root.iter("BOA_ADD_OFFSET")}
    except (ValueError, ZeroDivisionError) as error:
        raise SceneError(name, f"its {METADATA} has a scale or an offset that is no number") from error
    # Before baseline 04.00 there is no list.
    offsets = {band: listed.get(number, 0.0) * scale for band, number in _BAND_IDS.items()}
    if scale != scale:
        raise SceneError(name, f"its {METADATA} does not say by what its numbers are to be divided")
    if offsets["B04"] != offsets["B08"]:
        raise SceneError(name, "its red and near-infrared bands have different offsets")
    return scale, offsets


def _corners(root: ElementTree.Element) -> list[list[float]] | None:
    """Footprint as corners of longitude and latitude; ESA lists latitudes and longitudes in turn."""
    try:
        numbers = [float(word) for word in (_text(root, "EXT_POS_LIST") or "").split()]
    except ValueError:
        return None
    corners = [[east, north] for north, east in zip(numbers[::2], numbers[1::2], strict=False)]
    if len(corners) < 3:
        return None
    return corners if corners[0] == corners[-1] else [*corners, corners[0]]


def _text(root: ElementTree.Element, tag: str) -> str | None:
    """Text of the first element of a name; elements below the first two levels have no namespace."""
    text = next((element.text for element in root.iter(tag)), None)
    return text.strip() if text and text.strip() else None


def _products(folder: Path) -> Iterator[Path]:
    """Products under a folder, in order of their paths."""
    if folder.suffix == ".SAFE" and folder.is_dir():
        yield folder
        return
    depth = len(folder.parts)
    for place, names, _ in os.walk(folder):
        names.sort()
        yield from (Path(place) / name for name in names if name.endswith(".SAFE"))
        deeper = len(Path(place).parts) - depth < _DEEPEST
        names[:] = [name for name in names if deeper and not name.endswith(".SAFE") and not name.startswith(".")]
