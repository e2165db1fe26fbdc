"""A static STAC catalogue: JSON files in a folder or behind a web server."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path

import pystac
import pystac.errors

from tiles.catalog._protocol import Found
from tiles.catalog.stac_items import gather
from tiles.errors import CatalogueError


class StaticCatalogue:
    """Catalogue read file by file with pystac.

    Parameters
    ----------
    href
        Path or URL of ``catalog.json``, or of the folder that holds it.

    Raises
    ------
    CatalogueError
        When nothing is there, or it is no STAC catalogue.
    """

    def __init__(self, href: str) -> None:
        self.href = _file_href(href)
        try:
            self._root = pystac.Catalog.from_file(self.href)
        except FileNotFoundError as error:
            raise CatalogueError(f"No catalogue at {self.href}: give the path or URL of a catalog.json.") from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError, pystac.errors.STACError) as error:
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
        items = list(self._items())
        if not items:
            raise CatalogueError(f"The catalogue {self.href} holds no item: there is nothing to scan.")
        wanted = [item for item in items if _is_wanted(item, first_day, last_day, bbox)]
        return gather(wanted)

    def _items(self) -> Iterator[pystac.Item]:
        try:
            yield from self._root.get_items(recursive=True)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, pystac.errors.STACError) as error:
            raise CatalogueError(
                f"The catalogue {self.href} is broken: a file that it links to cannot be read ({_short(error)})."
            ) from error


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
    if item.datetime is None or not first_day <= item.datetime.date() <= last_day:
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
