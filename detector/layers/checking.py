"""What is kept of the layers, looked through: every checksum, every geometry, codes that must agree, age."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import geopandas as gpd
import rasterio
import shapely
from rasterio.errors import RasterioError

from detector.layers.definitions import Definition, LayerKind, definitions
from detector.layers.insee import departement_of
from detector.layers.manifest import MANIFEST_FILE, Manifest, Part, all_files, sha256_of
from detector.layers.store import CRS, LayerStore, VectorLayer
from tiles.errors import LayerError

_DAYS_OF_YEAR = 365.25
_DEPARTEMENTS = 96
"""Départements of metropolitan France."""


class Severity(StrEnum):
    """What a finding means."""

    ERROR = "error"
    """The layer must not be used as it is."""
    WARNING = "warning"
    """It can be used by who knows this."""


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be: the layer, how bad it is, and one sentence."""

    layer: str
    severity: Severity
    words: str


def check_layers(store: LayerStore, today: dt.date, names: tuple[str, ...] = ()) -> list[Finding]:
    """Look through the layers that are installed.

    Parameters
    ----------
    store
        The layers.
    today
        For their age.
    names
        Layers to look through; all that are installed by default.

    Returns
    -------
    list of Finding
        Empty where all is well.
    """
    found: list[Finding] = []
    for what in definitions().values():
        if (not names or what.name in names) and (store.folder / what.name / MANIFEST_FILE).exists():
            found += _check(store, what, today)
    return found + list(_codes_that_disagree(store, names))


def _check(store: LayerStore, what: Definition, today: dt.date) -> Iterator[Finding]:
    try:
        manifest = store.manifest(what.name)
    except LayerError as error:
        yield Finding(what.name, Severity.ERROR, str(error))
        return
    if manifest is None:
        return
    damaged = list(_damaged(store.folder / what.name, what, manifest))
    yield from damaged
    if not damaged:
        yield from _check_rasters(store, what) if what.is_raster else _check_features(store, what, manifest)
    for name, part in manifest.parts.items():
        yield from _stale(what, name, part, today)


def _damaged(folder: Path, what: Definition, manifest: Manifest) -> Iterator[Finding]:
    for part in manifest.parts.values():
        for kept in all_files(part):
            if sha256_of(folder / kept.name) != kept.sha256:
                words = f"{kept.name} is not as it was written (its SHA-256 differs): fetch or import the layer again."
                yield Finding(what.name, Severity.ERROR, words)


def _check_features(store: LayerStore, what: Definition, manifest: Manifest) -> Iterator[Finding]:
    layer = store.vector(what.name)
    assert layer is not None  # the manifest was just read
    seen: set[str] = set()
    for name, part in manifest.parts.items():
        try:
            frame = layer.read(parts=[name])
            ground_is_sound = bool(shapely.is_valid(layer.covers))
        except LayerError as error:
            yield Finding(what.name, Severity.ERROR, str(error))
            continue
        yield from _check_part(what, name, part, frame, seen)
        if not ground_is_sound:
            yield Finding(what.name, Severity.ERROR, f"The ground of part {name} is no sound area: import it again.")


def _check_part(what: Definition, name: str, part: Part, frame: gpd.GeoDataFrame, seen: set[str]) -> Iterator[Finding]:
    def error(words: str) -> Finding:
        return Finding(what.name, Severity.ERROR, f"Part {name}: {words}")

    if len(frame) != part.features:
        yield error(f"it holds {len(frame)} features, and {part.features} were written.")
    if frame.crs != CRS:
        yield error(f"its CRS is {frame.crs}, not {CRS}.")
    bad = int((~frame.geometry.is_valid | frame.geometry.is_empty).sum())
    kinds = ("Polygon", "MultiPolygon") if what.kind is LayerKind.POLYGONS else ("LineString", "MultiLineString")
    other = int((~frame.geom_type.isin(kinds)).sum())
    if bad or other:
        yield error(f"{bad} geometries are not valid, {other} are not {what.kind}: import it again.")
    if what.unique is not None:
        codes = set(frame[what.unique])
        if twice := sorted(codes & seen):
            yield error(f"{what.unique} {', '.join(twice[:3])} is in another part too: import the layer whole.")
        seen |= codes


def _check_rasters(store: LayerStore, what: Definition) -> Iterator[Finding]:
    layer = store.raster(what.name)
    assert layer is not None  # the manifest was just read
    for path in layer.paths:
        try:
            with rasterio.open(path) as dataset:
                if dataset.crs is None or dataset.count != 1 or dataset.nodata is None:
                    yield Finding(what.name, Severity.ERROR, f"{path.name} lacks its CRS or its no-data value.")
                dataset.read(1, out_shape=(1, min(dataset.height, 256), min(dataset.width, 256)))
        except RasterioError as error:
            yield Finding(what.name, Severity.ERROR, f"{path.name} cannot be read ({error}).")


def _stale(what: Definition, name: str, part: Part, today: dt.date) -> Iterator[Finding]:
    when = vintage_date(part)
    if what.stale_after_years is None or when is None:
        return
    years = (today - when).days / _DAYS_OF_YEAR
    if years > what.stale_after_years:
        words = f"Part {name} is of {when}, {years:.1f} years ago: see whether there is a newer edition at {what.page}"
        yield Finding(what.name, Severity.WARNING, words)


def vintage_date(part: Part) -> dt.date | None:
    """What date a part is of: its edition's, or when it was fetched where the service serves the newest."""
    vintage = part.origin.vintage
    if match := re.search(r"\d{4}-\d{2}-\d{2}", vintage):
        return dt.date.fromisoformat(match[0])
    if vintage.startswith("latest"):
        return dt.datetime.fromisoformat(part.origin.fetched).date() if part.origin.fetched else None
    years = [int(year) for year in re.findall(r"\b(?:19|20)\d{2}\b", vintage)]
    return dt.date(max(years), 12, 31) if years else None


def _codes_that_disagree(store: LayerStore, names: tuple[str, ...]) -> Iterator[Finding]:
    """Communes, départements and regions that name each other must be there."""
    if names and not {"communes", "departements", "regions"} & set(names):
        return
    try:
        layers = {name: store.vector(name) for name in ("communes", "departements", "regions")}
        yield from _disagreeing(layers)
    except LayerError:
        return  # broken, and told before


def _disagreeing(layers: dict[str, VectorLayer | None]) -> Iterator[Finding]:
    codes = {
        name: set() if layer is None else set(layer.read(columns=["insee"])["insee"]) for name, layer in layers.items()
    }
    communes, departements = layers["communes"], layers["departements"]
    if communes is not None:
        frame = communes.read(columns=["insee", "departement"])
        other = frame[frame["insee"].map(departement_of) != frame["departement"]]["insee"]
        if len(other):
            words = (
                f"INSEE codes that do not begin with their département: {', '.join(other[:3])} ({len(other)} in all)."
            )
            yield Finding("communes", Severity.ERROR, words)
        if departements is not None and (missing := sorted(set(frame["departement"].dropna()) - codes["departements"])):
            words = f"Communes lie in départements that are not in the layer of these: {', '.join(missing[:5])}."
            yield Finding("communes", Severity.ERROR, words)
    if departements is not None:
        if len(codes["departements"]) < _DEPARTEMENTS:
            words = (
                f"{len(codes['departements'])} of the {_DEPARTEMENTS} départements of metropolitan France are there."
            )
            yield Finding("departements", Severity.WARNING, words)
        regions = set(departements.read(columns=["region"])["region"].dropna())
        if layers["regions"] is not None and (missing := sorted(regions - codes["regions"])):
            words = f"Départements lie in regions that are not in the layer of these: {', '.join(missing[:5])}."
            yield Finding("departements", Severity.ERROR, words)
