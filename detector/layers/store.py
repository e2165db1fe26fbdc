"""The reading face of the reference layers that are kept in a folder."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import geopandas as gpd
import pandas as pd
import shapely

from detector.layers.definitions import Definition, definition
from detector.layers.manifest import Bounds, Manifest, Part, broken, read_manifest
from tiles.errors import LayerError

CRS = "EPSG:2154"
"""CRS of features: RGF93 / Lambert-93."""
DATE_COLUMNS = frozenset({"date", "end_date"})


LAYERS_FOLDER = "layers"
"""Of the data directory: the reference layers."""


@dataclass(frozen=True)
class Provenance:
    """Where a layer comes from.

    Parameters
    ----------
    source, licence, attribution, vintage
        Of each part, those that differ, separated by semicolons.
    fetched
        When the oldest part was fetched, or imported where the user had the file (UTC, ISO 8601).
    sha256
        Name of the whole content: the same files have the same.
    bounds
        Of all features in EPSG:2154; None of pixels and of a layer without any.
    features
        How many; None of pixels.
    ground
        In words, what it speaks of.
    """

    source: str
    licence: str
    attribution: str
    vintage: str
    fetched: str
    sha256: str
    bounds: Bounds | None
    features: int | None
    ground: str


class LayerStore:
    """The layers of a folder, each in a folder of its name.

    Parameters
    ----------
    folder
        ``<data directory>/layers``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def vector(self, name: str) -> VectorLayer | None:
        """A layer of polygons or lines; None where it is not installed.

        Raises
        ------
        LayerError
            When there is none of that name, or what is kept of it is broken.
        """
        what = definition(name)
        if what.is_raster:
            raise LayerError(f"Layer {name} is made of pixels, not of polygons or lines.")
        manifest = self.manifest(name)
        return None if manifest is None else VectorLayer(what, self.folder / name, manifest)

    def raster(self, name: str) -> RasterLayer | None:
        """A layer of pixels; None where it is not installed.

        Raises
        ------
        LayerError
            As of `vector`.
        """
        what = definition(name)
        if not what.is_raster:
            raise LayerError(f"Layer {name} is not made of pixels.")
        manifest = self.manifest(name)
        return None if manifest is None else RasterLayer(what, self.folder / name, manifest)

    def manifest(self, name: str) -> Manifest | None:
        """What is kept of a layer, checked by the sizes of its files; None where it is not installed.

        Raises
        ------
        LayerError
            When it is broken.
        """
        return read_manifest(self.folder / definition(name).name)


class VectorLayer:
    """Polygons or lines of one kind, in EPSG:2154. Made by `LayerStore`."""

    def __init__(self, what: Definition, folder: Path, manifest: Manifest) -> None:
        self.definition = what
        self.name = what.name
        self.provenance = _provenance(manifest)
        self._folder = folder
        self._parts = manifest.parts

    @property
    def columns(self) -> tuple[str, ...]:
        """Its standard columns, without the geometry."""
        return tuple(self.definition.columns)

    @cached_property
    def covers(self) -> shapely.Geometry:
        """Ground that the layer speaks of, in EPSG:2154. Outside, its answer is unknown, not "nothing there".

        Raises
        ------
        LayerError
            When it cannot be read.
        """
        grounds = []
        for part in self._parts.values():
            if part.covers is not None:
                try:
                    grounds.append(shapely.from_wkb((self._folder / part.covers.name).read_bytes()))
                except (OSError, shapely.GEOSException) as error:
                    raise broken(self.name, f"{part.covers.name} cannot be read ({error})") from error
        return grounds[0] if len(grounds) == 1 else shapely.union_all(grounds)

    def read(
        self,
        bounds_2154: Bounds | None = None,
        columns: Sequence[str] | None = None,
        parts: Collection[str] | None = None,
    ) -> gpd.GeoDataFrame:
        """Features whose bounding box meets an area, edges included.

        Parameters
        ----------
        bounds_2154
            Left, bottom, right, top in EPSG:2154; None for all features.
        columns
            Standard columns wanted, without the geometry, which always comes; None for all.
        parts
            Names of the parts to read; None for all.

        Returns
        -------
        geopandas.GeoDataFrame
            In EPSG:2154, numbered from 0. Text columns are of pandas' string type, dates are ``datetime64[ms]``; what
            is unknown is null.

        Raises
        ------
        LayerError
            When a file cannot be read.
        """
        wanted = list(self.columns if columns is None else columns)
        if unknown := [column for column in wanted if column not in self.columns]:
            raise LayerError(f"Layer {self.name} has no column {unknown[0]}: it has {', '.join(self.columns)}.")
        frames = [
            self._read(kept.name, bounds_2154, wanted)
            for key, part in self._parts.items()
            for kept in part.files
            if part.features and (parts is None or key in parts)
            if kept.bounds is not None and _meet(kept.bounds, bounds_2154)
        ]
        frames = [frame for frame in frames if len(frame)] or [empty_frame(wanted)]
        return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)

    def _read(self, name: str, bounds: Bounds | None, columns: list[str]) -> gpd.GeoDataFrame:
        path = self._folder / name
        try:
            frame = gpd.read_parquet(path, columns=[*columns, "geometry"], bbox=bounds)
        except Exception as error:  # pyarrow and shapely raise kinds of their own
            words = (str(error).splitlines() or [type(error).__name__])[0]
            raise broken(self.name, f"{path} cannot be read ({words})") from error
        return frame.reset_index(drop=True).astype({name: "string" for name in columns if name not in DATE_COLUMNS})


class RasterLayer:
    """Cloud-Optimized GeoTIFFs of one kind, each in a CRS of its own. Made by `LayerStore`."""

    def __init__(self, what: Definition, folder: Path, manifest: Manifest) -> None:
        self.definition = what
        self.name = what.name
        self.provenance = _provenance(manifest)
        files = [kept for part in manifest.parts.values() for kept in part.files]
        self.paths = tuple(folder / kept.name for kept in files)
        self.bounds: tuple[tuple[str, Bounds], ...] = tuple(
            (kept.crs, kept.bounds) for kept in files if kept.bounds is not None
        )
        """CRS and bounds of each file in it, in the order of `paths`."""


def _provenance(manifest: Manifest) -> Provenance:
    parts = list(manifest.parts.values())
    return Provenance(
        source=_joined(part.origin.source for part in parts),
        licence=_joined(part.origin.licence for part in parts),
        attribution=_joined(part.origin.attribution for part in parts),
        vintage=_joined(part.origin.vintage for part in parts),
        fetched=min(part.origin.fetched or part.origin.imported for part in parts),
        sha256=manifest.identity,
        bounds=_bounds(parts),
        features=None if parts[0].features is None else sum(part.features or 0 for part in parts),
        ground=_joined(part.ground for part in parts),
    )


def _joined(texts: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(texts))


def _bounds(parts: Sequence[Part]) -> Bounds | None:
    boxes = [kept.bounds for part in parts for kept in part.files if kept.crs == CRS and kept.bounds is not None]
    if not boxes or parts[0].features is None:
        return None
    left, bottom, right, top = zip(*boxes, strict=True)
    return min(left), min(bottom), max(right), max(top)


def _meet(one: Bounds, other: Bounds | None) -> bool:
    return other is None or (one[0] <= other[2] and one[2] >= other[0] and one[1] <= other[3] and one[3] >= other[1])


def empty_frame(columns: Sequence[str]) -> gpd.GeoDataFrame:
    """A table of standard columns without any feature."""
    data = {name: pd.Series(dtype="datetime64[ms]" if name in DATE_COLUMNS else "string") for name in columns}
    return gpd.GeoDataFrame(data, geometry=gpd.GeoSeries([], crs=CRS), crs=CRS)
