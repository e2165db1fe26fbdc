"""Where scenes come from: one protocol, one file for each kind of archive."""

from __future__ import annotations

from tiles.catalog._protocol import Catalogue, Found, SkippedScene
from tiles.catalog.archives import ARCHIVES, Archive, Credentials, open_catalogue
from tiles.catalog.safe import SafeCatalogue
from tiles.catalog.stac_api import StacApiCatalogue
from tiles.catalog.static import StaticCatalogue

__all__ = [
    "Catalogue",
    "Found",
    "SkippedScene",
    "StaticCatalogue",
    "StacApiCatalogue",
    "SafeCatalogue",
    "ARCHIVES",
    "Archive",
    "Credentials",
    "open_catalogue",
]
