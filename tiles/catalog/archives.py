"""The archives that Sylvigie knows by name, and what a user may write in place of one."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from tiles.access import Access
from tiles.catalog._protocol import Catalogue
from tiles.catalog.safe import SafeCatalogue, holds_products
from tiles.catalog.stac_api import StacApiCatalogue, TileProperty
from tiles.catalog.static import StaticCatalogue
from tiles.errors import AccessError, CatalogueError
from tiles.http import HttpParams
from tiles.signing import (
    CDSE_S3_ENDPOINT,
    CDSE_TOKENS,
    PLANETARY_COMPUTER_TOKENS,
    CdseHttpsAccess,
    PlanetaryComputerAccess,
    S3Access,
    WebAccess,
)


class Door(StrEnum):
    """How an archive's files are reached."""

    OPEN = "open"
    """By anybody."""
    SIGNED = "signed"
    """By addresses that Planetary Computer signs; no account is needed."""
    CDSE = "cdse"
    """By an account of the Copernicus Data Space: an S3 key, or a name and password."""


@dataclass(frozen=True)
class Archive:
    """An archive with a STAC API.

    Parameters
    ----------
    url, collection
        The API's landing page, and its collection of Sentinel-2 L2A.
    door
        How its files are reached.
    tile_property
        By which it finds a tile.
    tokens_url
        Where signatures or tokens are given.
    s3_endpoint
        Its object store, where a key opens it.
    """

    url: str
    collection: str
    door: Door = Door.OPEN
    tile_property: TileProperty | None = None
    tokens_url: str = ""
    s3_endpoint: str = ""


_GRID_CODE = TileProperty("grid:code", "MGRS-")
_EARTH_SEARCH = "https://earth-search.aws.element84.com/v1"

ARCHIVES: dict[str, Archive] = {
    "earth-search-c1": Archive(_EARTH_SEARCH, "sentinel-2-c1-l2a", tile_property=_GRID_CODE),
    "earth-search": Archive(_EARTH_SEARCH, "sentinel-2-l2a", tile_property=_GRID_CODE),
    "cdse": Archive(
        "https://stac.dataspace.copernicus.eu/v1",
        "sentinel-2-l2a",
        Door.CDSE,
        _GRID_CODE,
        tokens_url=CDSE_TOKENS,
        s3_endpoint=CDSE_S3_ENDPOINT,
    ),
    "planetary-computer": Archive(
        "https://planetarycomputer.microsoft.com/api/stac/v1",
        "sentinel-2-l2a",
        Door.SIGNED,
        TileProperty("s2:mgrs_tile"),
        tokens_url=PLANETARY_COMPUTER_TOKENS,
    ),
}
"""By the name that a user gives. Element 84's are Cloud-Optimized GeoTIFFs on Amazon's store, ``-c1`` those of ESA's
reprocessing of one kind (Collection 1); the Copernicus Data Space is ESA's own, JPEG 2000, and complete; Planetary
Computer holds Cloud-Optimized GeoTIFFs on Microsoft's."""


@dataclass(frozen=True)
class Credentials:
    """What opens the archives that ask who reads; none is shown in its ``repr``.

    Parameters
    ----------
    cdse_s3_key, cdse_s3_secret
        Key of the Copernicus Data Space's object store.
    cdse_username, cdse_password
        Account of the Copernicus Data Space, for HTTPS where there is no key.
    planetary_computer_key
        Subscription key of Planetary Computer; it does without.
    """

    cdse_s3_key: str | None = field(default=None, repr=False)
    cdse_s3_secret: str | None = field(default=None, repr=False)
    cdse_username: str | None = field(default=None, repr=False)
    cdse_password: str | None = field(default=None, repr=False)
    planetary_computer_key: str | None = field(default=None, repr=False)


def open_catalogue(href: str, credentials: Credentials | None = None, http: HttpParams | None = None) -> Catalogue:
    """Open a catalogue.

    Parameters
    ----------
    href
        An archive's name, one of `ARCHIVES`; ``https://host/stac#collection`` for any other STAC API; the path or
        URL of a static STAC catalogue, its ``catalog.json`` or the folder that holds one; or a folder of ``.SAFE``
        products.
    credentials
        What opens the archives that ask who reads.
    http
        How patiently services are asked.

    Raises
    ------
    CatalogueError
        When nothing that can be read is there. A STAC API is first asked by the search.
    AccessError
        When the archive wants credentials that are not given.
    """
    credentials, http = credentials or Credentials(), http or HttpParams()
    if href in ARCHIVES:
        return _open_archive(ARCHIVES[href], credentials, http)
    if "://" in href:
        url, found, collection = href.partition("#")
        if not found:
            return StaticCatalogue(href)
        known = [archive for archive in ARCHIVES.values() if (archive.url, archive.collection) == (url, collection)]
        return _open_archive(known[0] if known else Archive(url, collection), credentials, http)
    path = Path(href).expanduser()
    if path.is_dir() and not (path / "catalog.json").exists() and holds_products(path):
        return SafeCatalogue(path)
    if not path.exists() and path.name == href and not path.suffix:
        raise CatalogueError(
            f"No archive is called {href}, and no file or folder here: known are {', '.join(ARCHIVES)}; "
            "or give the path or URL of a catalog.json, a folder of .SAFE products, or URL#collection of a STAC API."
        )
    return StaticCatalogue(href)


def _open_archive(archive: Archive, credentials: Credentials, http: HttpParams) -> StacApiCatalogue:
    access, scheme = _access(archive, credentials, http)
    return StacApiCatalogue(
        archive.url, archive.collection, access, tile_property=archive.tile_property, scheme=scheme, http=http
    )


def _access(archive: Archive, credentials: Credentials, http: HttpParams) -> tuple[Access, str | None]:
    """How an archive's files are opened, and by which of their addresses, where they have several."""
    match archive.door:
        case Door.OPEN:
            return WebAccess(), None
        case Door.SIGNED:
            return PlanetaryComputerAccess(archive.tokens_url, credentials.planetary_computer_key, http), None
        case Door.CDSE:
            # S3 is read in ranges by design; whether the HTTPS address is depends on the day.
            if credentials.cdse_s3_key and credentials.cdse_s3_secret:
                return S3Access(credentials.cdse_s3_key, credentials.cdse_s3_secret, archive.s3_endpoint), "s3"
            if credentials.cdse_username and credentials.cdse_password:
                return (
                    CdseHttpsAccess(credentials.cdse_username, credentials.cdse_password, archive.tokens_url, http),
                    "https",
                )
            raise AccessError(
                "The Copernicus Data Space asks who reads: set SYLVIGIE_CDSE_S3_KEY and SYLVIGIE_CDSE_S3_SECRET, "
                "or SYLVIGIE_CDSE_USERNAME and SYLVIGIE_CDSE_PASSWORD."
            )
