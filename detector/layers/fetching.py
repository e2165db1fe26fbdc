"""Layers fetched from the services that publish them: asked, checked, unpacked, imported."""

from __future__ import annotations

import datetime as dt
import hashlib
import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import geopandas as gpd
import shapely

from detector.layers.archives import join_volumes, unpack
from detector.layers.definitions import Coverage, Definition, Source, SourceKind, definition
from detector.layers.download import Checksum, Downloaded, Downloads, NotThereError, silent
from detector.layers.editions import newest_edition
from detector.layers.features import Reading
from detector.layers.ground import FRANCE_2154, Ground, departements_ground
from detector.layers.importing import Imported, Whence, import_files
from detector.layers.manifest import WHOLE, Bounds
from detector.layers.store import CRS, LayerStore
from detector.layers.wfs import PAGE, Wanted, fetch_pages
from tiles.errors import LayerError
from tiles.web_files import public_address

DOWNLOADS = ".downloads"
"""Folder of what is being fetched, beside the layers; a file in it is gone once its layer is in place."""
_FILE_ENDS = (
    ".7z",
    ".zip",
    ".gpkg",
    ".geojson",
    ".json",
    ".json.gz",
    ".geojson.gz",
    ".fgb",
    ".parquet",
    ".tif",
    ".shp.zip",
)


@dataclass(frozen=True)
class Request:
    """What is to be fetched.

    Parameters
    ----------
    name
        Of the layer.
    departements
        Codes of the départements; empty for all the service has, or what `bbox` says.
    bbox
        West, south, east, north in degrees (WGS 84).
    url
        In place of the definition's: of a service, or of a file.
    alternative
        Ask the second service that the definition knows.
    sha256
        Checksum of the one file that is fetched.
    page
        Features asked for at a time.
    """

    name: str
    departements: tuple[str, ...] = ()
    bbox: Bounds | None = None
    url: str | None = None
    alternative: bool = False
    sha256: str | None = None
    page: int = PAGE


@dataclass(frozen=True)
class _Place:
    """One area to fetch: the part that it becomes, and its ground; None for all that the service has."""

    part: str = WHOLE
    departement: str | None = None
    ground: Ground | None = None


class Fetching:
    """Fetches layers into a store.

    Parameters
    ----------
    store
        Where they are put.
    downloads
        Asks the services.
    now
        The time (UTC).
    tell
        Told, in sentences, what a person should know and no error says.
    """

    def __init__(
        self,
        store: LayerStore,
        downloads: Downloads,
        now: dt.datetime,
        tell: Callable[[str], None] = silent,
    ) -> None:
        self.store, self.downloads, self.now, self.tell = store, downloads, now, tell

    def fetch(self, request: Request) -> list[Imported]:
        """Fetch a layer, and put it in place part by part.

        Raises
        ------
        LayerError
            When the service does not give it, or what it gives will not do. Parts before stay.
        MissingDependencyError
            When its archive takes a package that is not there.
        OutputError
            When the disk does not take it.
        """
        what = definition(request.name)
        source = _source(what, request)
        if not source.confirmed:
            self.tell(f"{what.name}: the address of its service was never seen at work; --url gives another.")
        places = self._places(what, source, request)
        if source.kind is SourceKind.DEGREE_TILES:
            return list(self._degree_tiles(what, source, places))
        if source.kind is SourceKind.WFS:
            return [self._features(what, source, place, request.page) for place in places]
        if source.kind is SourceKind.ATOM:
            return [self._edition(what, source, place) for place in places]
        return [self._file(what, source, place, request.sha256) for place in places]

    def _places(self, what: Definition, source: Source, request: Request) -> list[_Place]:
        if request.departements and request.bbox is not None:
            raise LayerError("Give départements or a bbox, not both.")
        if request.departements:
            return [self._departement(what, source, code) for code in request.departements]
        if request.bbox is not None:
            if source.kind in (SourceKind.ATOM, SourceKind.FILE):
                raise LayerError(f"{what.name} comes in files: ask for départements, not for a bbox.")
            digest = hashlib.sha256(str(request.bbox).encode()).hexdigest()[:8]
            ground = Ground(_box_2154(request.bbox), "bbox " + ",".join(f"{edge:g}" for edge in request.bbox))
            return [_Place(f"bbox-{digest}", None, ground)]
        if source.by_departement or source.kind is SourceKind.DEGREE_TILES:
            raise LayerError(f"{what.name} comes by département: say which, such as --departement 40.")
        return [_Place(ground=Ground(FRANCE_2154, "metropolitan France") if what.coverage is Coverage.ASKED else None)]

    def _departement(self, what: Definition, source: Source, code: str) -> _Place:
        # Layers whose own features say what they cover need no départements; they would be needed for themselves.
        own = what.coverage in (Coverage.OWN, Coverage.FEATURES) and source.departement_filter is not None
        return _Place(f"D{code}", code, None if own else departements_ground([code], self.store))

    def _features(self, what: Definition, source: Source, place: _Place, page: int) -> Imported:
        cql = None
        if place.departement is not None and source.departement_filter is not None:
            cql = source.departement_filter.format(departement=place.departement)
        bbox = None if place.ground is None or place.part == WHOLE else place.ground.geometry.bounds
        with self._work(what, place) as folder:
            pages = fetch_pages(self.downloads, source, Wanted(cql, bbox), folder, page, self.downloads.progress)
            whence = self._whence(what, f"{public_address(source.url)} {' '.join(source.types)}", None, {})
            # The part of a layer may be empty; all of it may not.
            reading = Reading(crs=source.crs, may_be_empty=place.part != WHOLE)
            ground = None if what.coverage is Coverage.FEATURES else place.ground
            return import_files(
                self.store, what.name, pages, replace(whence, sha256=None), self.now, reading=reading, ground=ground,
                part=place.part,
            )  # fmt: skip

    def _edition(self, what: Definition, source: Source, place: _Place) -> Imported:
        code = "" if place.departement is None else place.departement.zfill(3)
        edition = newest_edition(
            self.downloads, source.url.format(departement=code), (source.pattern or ".*").format(departement=code)
        )
        with self._work(what, place, edition.name) as folder:
            fetched = [
                self._download(what, place, file.url, folder / file.name, file.checksum) for file in edition.files
            ]
            paths = [one.path for one in fetched]
            archive = paths[0]
            if len(paths) > 1:
                archive = join_volumes(paths, folder / f"{edition.name}.7z")
            whence = self._whence(
                what, public_address(edition.files[0].url), edition.date, {one.path.name: one.sha256 for one in fetched}
            )
            return self._import(what, source, place, archive, folder, whence)

    def _file(self, what: Definition, source: Source, place: _Place, sha256: str | None) -> Imported:
        code = place.departement or ""
        url = source.url.format(departement=code.zfill(3), departement_2=code)
        name = source.name or public_address(url).rpartition("/")[2] or what.name
        checksum = sha256 or source.sha256
        with self._work(what, place, url) as folder:
            fetched = self._download(
                what, place, url, folder / name, None if checksum is None else Checksum("sha256", checksum)
            )
            whence = self._whence(what, public_address(url), None, {name: fetched.sha256})
            return self._import(what, source, place, fetched.path, folder, whence)

    def _import(
        self, what: Definition, source: Source, place: _Place, path: Path, folder: Path, whence: Whence
    ) -> Imported:
        unpacked = folder / "unpacked"
        shutil.rmtree(unpacked, ignore_errors=True)  # of a run that was killed
        paths = unpack(path, unpacked, source.member)
        return import_files(
            self.store, what.name, paths, whence, self.now, reading=Reading(crs=source.crs), ground=place.ground,
            part=place.part,
        )  # fmt: skip

    def _degree_tiles(self, what: Definition, source: Source, places: Sequence[_Place]) -> Iterator[Imported]:
        """Each degree is a part: two areas that share one hold it once."""
        done: set[str] = set()
        for place in places:
            ground = place.ground or departements_ground([place.departement or ""], self.store)
            for lat, lon in _degrees(ground.geometry):
                part = f"{'N' if lat >= 0 else 'S'}{abs(lat):02d}{'E' if lon >= 0 else 'W'}{abs(lon):03d}"
                if part in done:
                    continue
                done.add(part)
                stem = (source.name or "").format(lat=lat, ew="E" if lon >= 0 else "W", lon=abs(lon))
                url = source.url.format(stem=stem)
                try:
                    with self._work(what, _Place(part), url) as folder:
                        fetched = self._download(what, _Place(part), url, folder / f"{stem}.tif", None)
                        whence = self._whence(what, public_address(url), None, {f"{stem}.tif": fetched.sha256})
                        yield import_files(self.store, what.name, [fetched.path], whence, self.now, part=part)
                except NotThereError:
                    self.tell(f"{what.name}: the service has no tile {part}; over the sea there is none.")

    def _download(
        self, what: Definition, place: _Place, url: str, target: Path, checksum: Checksum | None
    ) -> Downloaded:
        fetched = self.downloads.file(url, target, checksum)
        if not fetched.checked:
            self.tell(f"{target.name}: no checksum is published; its SHA-256 is {fetched.sha256}, and is noted.")
            before = self._noted(what, place.part, target.name)
            if before is not None and before != fetched.sha256:
                self.tell(f"{target.name} is not what it was when it was last fetched ({before}).")
        return fetched

    def _noted(self, what: Definition, part: str, name: str) -> str | None:
        """Checksum that a file had when it was last fetched."""
        try:
            manifest = self.store.manifest(what.name)
        except LayerError:
            return None
        known = None if manifest is None else manifest.parts.get(part)
        return None if known is None else known.origin.source_sha256.get(name)

    def _whence(self, what: Definition, source: str, vintage: str | None, sha256: dict[str, str]) -> Whence:
        told = vintage or (f"latest of {self.now.date()}" if what.vintage == "latest" else None)
        return Whence(source, vintage=told, fetched=self.now, sha256=sha256 or None)

    def _work(self, what: Definition, place: _Place, content: str = "") -> _Work:
        digest = hashlib.sha256(content.encode()).hexdigest()[:8]
        return _Work(self.store.folder / DOWNLOADS / f"{what.name}-{place.part}-{digest}")


class _Work:
    """A folder for what is fetched: it stays after a failure, so that the next run goes on from there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        if kind is None or kind is NotThereError:
            shutil.rmtree(self.folder, ignore_errors=True)


def _source(what: Definition, request: Request) -> Source:
    if request.alternative and what.alternative is None:
        raise LayerError(f"Only one service is known for {what.name}.")
    source = what.alternative if request.alternative else what.source
    if request.url is None:
        if source is None:
            raise LayerError(
                f"No service gives {what.name} without an account: download it from {what.page}, then `sylvigie layers "
                f"import {what.name} FILE`."
            )
        return source
    is_file = "{" not in request.url and public_address(request.url).lower().endswith(_FILE_ENDS)
    if source is None or is_file:
        old = source or Source(SourceKind.FILE, request.url, confirmed=True)
        return Source(SourceKind.FILE, request.url, confirmed=True, member=old.member, crs=old.crs)
    return replace(source, url=request.url, confirmed=True)


def _box_2154(bbox: Bounds) -> shapely.Geometry:
    west, south, east, north = bbox
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise LayerError(f"{','.join(f'{edge:g}' for edge in bbox)} is no bbox: give west,south,east,north in degrees.")
    box = gpd.GeoSeries([shapely.box(*bbox)], crs="EPSG:4326").segmentize(0.01)
    return box.to_crs(CRS).iloc[0]


def _degrees(area_2154: shapely.Geometry) -> Iterator[tuple[int, int]]:
    """South-west corners of the squares of a degree that an area meets."""
    area = gpd.GeoSeries([area_2154], crs=CRS).to_crs("EPSG:4326").iloc[0]
    west, south, east, north = area.bounds
    for lat in range(math.floor(south), math.ceil(north)):
        for lon in range(math.floor(west), math.ceil(east)):
            if shapely.box(lon, lat, lon + 1, lat + 1).intersects(area):
                yield lat, lon
