"""A static STAC catalogue: JSON files in a folder or behind a web server."""

from __future__ import annotations

import datetime as dt
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pystac
from pystac.stac_io import DefaultStacIO

from tiles.catalog._protocol import Found
from tiles.catalog.stac_items import acquired_utc, gather
from tiles.errors import CatalogueError
from tiles.remote import RetryPolicy
from tiles.web_files import WebFiles

_POLICY = RetryPolicy(attempts=4)
"""Of a catalogue's documents: an address that is mistyped is told in seconds."""


class StaticCatalogue:
    """Catalogue read file by file with pystac.

    Parameters
    ----------
    href
        Path or URL of ``catalog.json``, or of the folder that holds it.
    web
        Reads what is behind a web server.

    Raises
    ------
    CatalogueError
        When nothing is there, or it is no STAC catalogue.
    """

    def __init__(self, href: str, web: WebFiles | None = None) -> None:
        self.href = _file_href(href)
        try:
            with _quiet():
                self._root = pystac.Catalog.from_file(
                    self.href, stac_io=_PatientStacIO(web or WebFiles(policy=_POLICY))
                )
        except FileNotFoundError as error:
            raise CatalogueError(f"No catalogue at {self.href}: give the path or URL of a catalog.json.") from error
        except Exception as error:  # pystac raises whatever a file's content leads to, plain exceptions for HTTP
            raise CatalogueError(
                f"The catalogue {self.href} cannot be read as STAC ({_short(error)}): check the file."
            ) from error

    def search(
        self,
        first_day: dt.date,
        last_day: dt.date,
        bbox: tuple[float, float, float, float] | None = None,
    ) -> Found:
        """Scenes from one day to another; see `Catalogue.search`."""
        items = self._items()
        if not items:
            raise CatalogueError(f"The catalogue {self.href} holds no item: there is nothing to scan.")
        wanted = [item for item in items if _is_wanted(item, first_day, last_day, bbox)]
        return gather(wanted)

    def _items(self) -> list[pystac.Item]:
        try:
            with _quiet():
                return list(self._root.get_items(recursive=True))
        except Exception as error:  # as above
            raise CatalogueError(
                f"The catalogue {self.href} is broken: a file that it links to cannot be read ({_short(error)})."
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


@contextmanager
def _quiet() -> Iterator[None]:
    """Without pystac's warnings of what it cannot carry over from older items: nothing of it is read here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def _file_href(href: str) -> str:
    if "://" in href:
        return href if href.endswith(".json") else f"{href.rstrip('/')}/catalog.json"
    path = Path(href).expanduser()
    return str((path / "catalog.json" if path.is_dir() else path).resolve())


def _is_wanted(
    item: pystac.Item,
    first_day: dt.date,
    last_day: dt.date,
    bbox: tuple[float, float, float, float] | None,
) -> bool:
    # Without a date an item cannot be placed: it goes on, to be named among those left out.
    if item.datetime is not None and not first_day <= acquired_utc(item.datetime).date() <= last_day:
        return False
    if bbox is None or item.bbox is None:
        return True
    west, south, east, north = bbox
    item_west, item_south, item_east, item_north = item.bbox[0], item.bbox[1], item.bbox[-2], item.bbox[-1]
    if len(item.bbox) == 6:
        item_east, item_north = item.bbox[3], item.bbox[4]
    return bool(item_west <= east and item_east >= west and item_south <= north and item_north >= south)


def _short(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON at line {error.lineno}"
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
