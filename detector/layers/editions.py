"""The newest edition of a product in the lists of IGN's download service (Atom, with IGN's own elements)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urljoin
from xml.etree import ElementTree

from detector.layers.download import Checksum, Downloads
from tiles.errors import LayerError

_ATOM = "{http://www.w3.org/2005/Atom}"
_IGN = "{https://data.geopf.fr/annexes/ressources/xsd/gpf_dl.xsd}"
_MD5 = re.compile(r"[0-9a-fA-F]{32}")
_ARCHIVE = re.compile(r".*\.(?:7z|zip)(?:\.\d{3})?$")
_PAGE = 50


@dataclass(frozen=True)
class EditionFile:
    """A file of an edition: its address and name, and its checksum where the list tells it."""

    url: str
    name: str
    checksum: Checksum | None


@dataclass(frozen=True)
class Edition:
    """An edition: its name, its date, and its archive's files (several where it is split in volumes)."""

    name: str
    date: str
    files: tuple[EditionFile, ...]


def newest_edition(downloads: Downloads, url: str, pattern: str) -> Edition:
    """The newest edition whose name matches.

    Parameters
    ----------
    downloads
        Asks the service.
    url
        List of the product's editions.
    pattern
        Regular expression of the whole name.

    Raises
    ------
    LayerError
        When the service does not answer, or lists none.
    """
    found: list[tuple[str, str, str]] = []
    page, pages = 1, 1
    while page <= pages:
        feed = _feed(downloads, url, {"page": str(page), "limit": str(_PAGE)})
        pages = int(feed.get(f"{_IGN}pagecount", "1"))
        for entry in feed.iter(f"{_ATOM}entry"):
            name = (entry.findtext(f"{_ATOM}title") or "").strip()
            if re.fullmatch(pattern, name):
                date = (entry.findtext(f"{_IGN}editionDate") or name[-10:]).strip()
                found.append((date, name, urljoin(url, _href(entry))))
        page += 1
    if not found:
        raise LayerError(f"The service lists no edition {pattern} at {url}: find its file, and give it by --url.")
    date, name, address = max(found)
    return Edition(name, date, _files(downloads, address, name))


def _files(downloads: Downloads, url: str, name: str) -> tuple[EditionFile, ...]:
    files = []
    for entry in _feed(downloads, url, {}).iter(f"{_ATOM}entry"):
        href = urljoin(url, _href(entry))
        if _ARCHIVE.fullmatch(href):
            content = (entry.findtext(f"{_ATOM}content") or "").strip()
            checksum = Checksum("md5", content.lower()) if _MD5.fullmatch(content) else None
            files.append(EditionFile(href, href.rpartition("/")[2], checksum))
    if not files:
        raise LayerError(f"The service lists no archive for {name} at {url}: find it, and give it by --url.")
    return tuple(sorted(files, key=lambda file: file.name))


def _href(entry: ElementTree.Element) -> str:
    link = entry.find(f"{_ATOM}link")
    return "" if link is None else link.get("href", "")


def _feed(downloads: Downloads, url: str, query: dict[str, str]) -> ElementTree.Element:
    body = downloads.document(url, query)
    try:
        return ElementTree.fromstring(body)
    except ElementTree.ParseError as error:
        raise LayerError(f"{url} gave no list of editions ({error}).") from None
