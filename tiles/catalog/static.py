"""A static STAC catalogue: JSON files in a folder or behind a web server."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pystac
from pystac.stac_io import DefaultStacIO

from tiles.access import Access
from tiles.catalog._protocol import Found
from tiles.catalog._selection import Box, is_wanted, one_line, quietly
from tiles.catalog.stac_items import gather
from tiles.errors import CatalogueError
from tiles.remote import RetryPolicy
from tiles.signing import WebAccess
from tiles.web_files import WebFiles

_POLICY = RetryPolicy(attempts=4)
"""Of a catalogue's documents: an address that is mistyped is told in seconds."""


class StaticCatalogue:
    """Catalogue read file by file with pystac.

    Parameters
    ----------
    href
        Path or URL of ``catalog.json``, or of the folder that holds it.
    access
        How its files are opened; as those of anybody by default.
    web
        Reads what of the catalogue is behind a web server.

    Raises
    ------
    CatalogueError
        When nothing is there, or it is no STAC catalogue.
    """

    worldwide = False

    def __init__(self, href: str, access: Access | None = None, web: WebFiles | None = None) -> None:
        self.href = _file_href(href)
        self.access: Access = access or WebAccess()
        try:
            with quietly():
                stac_io = _PatientStacIO(web or WebFiles(policy=_POLICY))
                self._root = pystac.Catalog.from_file(self.href, stac_io=stac_io)
        except FileNotFoundError as error:
            raise CatalogueError(f"No catalogue at {self.href}: give the path or URL of a catalog.json.") from error
        except Exception as error:  # pystac raises whatever a file's content leads to, plain exceptions for HTTP
            raise CatalogueError(
                f"The catalogue {self.href} cannot be read as STAC ({one_line(error)}): check the file."
            ) from error

    def search(
        self, first_day: dt.date, last_day: dt.date, bbox: Box | None = None, *, tile: str | None = None
    ) -> Found:
        """Scenes from one day to another; see `Catalogue.search`."""
        items = self._items()
        if not items:
            raise CatalogueError(f"The catalogue {self.href} holds no item: there is nothing to scan.")
        return gather(item for item in items if is_wanted(item, first_day, last_day, bbox, tile))

    def _items(self) -> list[pystac.Item]:
        try:
            with quietly():
                return list(self._root.get_items(recursive=True))
        except Exception as error:  # as above
            raise CatalogueError(
                f"The catalogue {self.href} is broken: a file that it links to cannot be read ({one_line(error)})."
            ) from error


class _PatientStacIO(DefaultStacIO):
    """Documents behind web servers are asked for as rasters are: within times, and again."""

    def __init__(self, web: WebFiles) -> None:
        super().__init__()
        self._web = web

    def read_text_from_href(self, href: str) -> str:
        if href.startswith(("http://", "https://")):
            return self._web.document(href).decode("utf-8")
        return super().read_text_from_href(href)


def _file_href(href: str) -> str:
    if "://" in href:
        return href if href.endswith(".json") else f"{href.rstrip('/')}/catalog.json"
    path = Path(href).expanduser()
    return str((path / "catalog.json" if path.is_dir() else path).resolve())
