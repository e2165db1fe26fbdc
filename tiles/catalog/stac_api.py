"""A STAC API: a catalogue that is asked questions, such as those of the world's archives of Sentinel-2."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pystac
import requests
from pystac_client import Client
from pystac_client.conformance import ConformanceClasses
from pystac_client.exceptions import APIError
from pystac_client.item_search import ItemSearch
from pystac_client.stac_api_io import StacApiIO

from tiles.access import Access
from tiles.catalog._protocol import Found, SkippedScene
from tiles.catalog._selection import Box, is_wanted, one_line, quietly
from tiles.catalog.stac_items import ASSET_NAMES, gather, use_copies
from tiles.errors import CatalogueError, SceneError
from tiles.http import RETRIED_STATUS, HttpParams, retry_of
from tiles.tile_names import tile_bbox

PAGE_ITEMS = 100
"""Items asked for in one page: larger pages make Planetary Computer run out of its time."""

_FIELDS = (
    *("id", "type", "stac_version", "collection", "geometry", "bbox", "links", "properties"),
    *(f"assets.{name}" for names in ASSET_NAMES.values() for name in names),
)
"""What is read of an item. An item of all its assets is ten times as long."""


@dataclass(frozen=True)
class TileProperty:
    """The property by which an archive finds a tile.

    Parameters
    ----------
    name
        Such as ``grid:code``.
    prefix
        What its value has before the tile's name, such as ``MGRS-``.
    """

    name: str
    prefix: str = ""

    def value(self, tile: str) -> str:
        """The property's value for a tile."""
        return f"{self.prefix}{tile}"


class StacApiCatalogue:
    """Catalogue asked with pystac-client.

    Parameters
    ----------
    url
        The API's landing page.
    collection
        Which of its collections.
    access
        How its files are opened.
    tile_property
        By which it finds a tile; without one the tile's box is sent, and tiles are told apart here.
    scheme
        Which of an asset's addresses is read (``s3`` or ``https``), where it has more than one.
    http
        How patiently it is asked.
    """

    worldwide = True

    def __init__(
        self,
        url: str,
        collection: str,
        access: Access,
        *,
        tile_property: TileProperty | None = None,
        scheme: str | None = None,
        http: HttpParams | None = None,
    ) -> None:
        self.url = url
        self.collection = collection
        self.access = access
        self._tile_property = tile_property
        self._scheme = scheme
        self._http = http or HttpParams()

    @property
    def href(self) -> str:
        """The API and its collection."""
        return f"{self.url}#{self.collection}"

    def search(
        self, first_day: dt.date, last_day: dt.date, bbox: Box | None = None, *, tile: str | None = None
    ) -> Found:
        """Scenes from one day to another; see `Catalogue.search`.

        Raises
        ------
        CatalogueError
            Also when neither a box nor a tile is given.
        """
        if bbox is None and tile is None:
            raise CatalogueError(f"The catalogue {self.href} covers the world: say where (an area of interest).")
        items: list[pystac.Item] = []
        skipped: list[SkippedScene] = []
        try:
            with quietly():
                for document in self._documents(self._asked(first_day, last_day, bbox, tile)):
                    try:
                        item = _item(document)
                        if is_wanted(item, first_day, last_day, bbox, tile):
                            if self._scheme is not None:
                                use_copies(item, self._scheme)
                            items.append(item)
                    except SceneError as error:
                        skipped.append(SkippedScene(error.scene_id, error.reason))
        except CatalogueError:
            raise
        except Exception as error:  # pystac and requests raise whatever an answer leads to
            raise CatalogueError(self._sentence(error)) from error
        found = gather(items)
        return Found(found.scenes, tuple(sorted((*found.skipped, *skipped), key=lambda left: left.id)))

    def _asked(self, first_day: dt.date, last_day: dt.date, bbox: Box | None, tile: str | None) -> ItemSearch:
        """The search, in the words that the API says it understands."""
        # Given twice: opening takes its own for the session's.
        timeout = self._http.timeout_s
        client = Client.open(
            self.url, stac_io=_PatientIO(timeout=timeout, max_retries=retry_of(self._http)), timeout=timeout
        )
        more: dict[str, Any] = {}
        if client.conforms_to(ConformanceClasses.FIELDS):
            more["fields"] = {"include": list(_FIELDS), "exclude": []}
        if tile is not None and self._tile_property is not None:
            name, value = self._tile_property.name, self._tile_property.value(tile)
            if client.conforms_to(ConformanceClasses.QUERY):
                more["query"] = {name: {"eq": value}}
            elif client.conforms_to(ConformanceClasses.FILTER):
                more["filter"] = {"op": "=", "args": [{"property": name}, value]}
                more["filter_lang"] = "cql2-json"
        if tile is not None and bbox is None and not {"query", "filter"} & more.keys():
            # By what its tiles are called is not known, or it cannot look for it; where they lie is.
            bbox = tile_bbox(tile)
        # A day more than is wanted, and told apart here: its last second is a matter of opinion among servers.
        days = f"{first_day}T00:00:00Z/{last_day + dt.timedelta(1)}T00:00:00Z"
        return client.search(collections=[self.collection], datetime=days, bbox=bbox, limit=PAGE_ITEMS, **more)

    def _documents(self, asked: ItemSearch) -> Iterator[dict[str, Any]]:
        """Items of all pages, each once."""
        seen: set[str] = set()
        promised, more = 0, False
        for page in asked.pages_as_dicts():
            documents = {str(document.get("id")): document for document in page["features"]}
            promised = max(promised, _promised(page))
            more = any(link.get("rel") == "next" for link in page.get("links", ()))
            if documents.keys() <= seen:
                raise CatalogueError(f"The catalogue {self.href} gives the same page again and again: try again later.")
            yield from (document for name, document in documents.items() if name not in seen)
            seen |= documents.keys()
        # The number alone may be an estimate; a page that follows and is empty may be the end.
        if more and len(seen) < promised:
            raise CatalogueError(
                f"The catalogue {self.href} broke off after {len(seen)} of {promised} items: try again later."
            )

    def _sentence(self, error: Exception) -> str:
        # Only an answer has a status; without one, what went wrong on the way is the error's context.
        status: int | None = getattr(error, "status_code", None)
        if status is not None and status not in RETRIED_STATUS:
            return (
                f"The catalogue {self.href} refuses the search (HTTP {status}, {one_line(error)}): check its address."
            )
        reason = None if status is None else f"HTTP {status}"
        if isinstance(error, APIError) and isinstance(error.__context__, requests.RequestException):
            reason = type(error.__context__).__name__
        if reason is None:
            return f"The catalogue {self.href} cannot be read as a STAC API ({one_line(error)}): check its address."
        tries = self._http.retries + 1
        return f"The catalogue {self.href} did not answer (tries: {tries}, the last {reason}): try again later."


class _PatientIO(StacApiIO):
    """Asks once more where an answer was cut short, which the retries below do not see: it had begun well."""

    def request(
        self,
        href: str,
        method: str | None = None,
        headers: dict[str, str] | None = None,
        parameters: dict[str, Any] | None = None,
    ) -> str:
        try:
            return super().request(href, method, headers, parameters)
        except APIError as error:
            if not isinstance(error.__context__, requests.exceptions.ChunkedEncodingError):
                raise
            return super().request(href, method, headers, parameters)


def _item(document: dict[str, Any]) -> pystac.Item:
    """A STAC item of what an API gave, which may leave out what was not asked for."""
    name = str(document.get("id", "(without an identifier)"))
    whole = {"type": "Feature", "stac_version": "1.0.0", "geometry": None, "links": [], "assets": {}} | document
    try:
        return pystac.Item.from_dict(whole, preserve_dict=False)
    except Exception as error:  # pystac raises whatever a document leads to
        raise SceneError(name, f"its catalogue entry is no STAC item ({one_line(error)})") from error


def _promised(page: Mapping[str, Any]) -> int:
    """Items that a page says there are in all; 0 where it does not say."""
    count = page.get("numberMatched") or (page.get("context") or {}).get("matched") or 0
    return count if isinstance(count, int) else 0
