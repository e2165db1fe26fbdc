"""Where scenes come from: one protocol, one file for each kind of archive."""

from __future__ import annotations

from tiles.catalog._protocol import Catalogue, Found, SkippedScene
from tiles.catalog.static import StaticCatalogue

__all__ = ["Catalogue", "Found", "SkippedScene", "StaticCatalogue", "open_catalogue"]


def open_catalogue(href: str) -> Catalogue:
    """Open the catalogue at a path or URL.

    Parameters
    ----------
    href
        A static STAC catalogue: its ``catalog.json``, or the folder that holds one.

    Raises
    ------
    CatalogueError
        When nothing that can be read is there.
    """
    return StaticCatalogue(href)
