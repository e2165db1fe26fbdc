"""Files of any source become a part of a layer: GeoParquet of features, Cloud-Optimized GeoTIFF of pixels."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyarrow.parquet as pq
import shapely

from detector.layers.definitions import Definition, definition
from detector.layers.features import Features, Reading, read_features
from detector.layers.ground import Ground, extent_ground, own_ground
from detector.layers.manifest import (
    WHOLE,
    Bounds,
    KeptFile,
    Manifest,
    Origin,
    Part,
    keep,
    put_part,
    scratch,
    sha256_of,
)
from detector.layers.rasters import write_cogs
from detector.layers.store import CRS, LayerStore
from tiles.errors import LayerError, OutputError

ROW_GROUP = 2000
"""Features of a row group: what is read at the least. 400 000 polygons make 200 of them, whose boxes are looked through
first; smaller ones cost more in the file's index than they spare."""


NOT_TOLD = "not told"
"""Vintage of a file that the user had and said nothing of."""


@dataclass(frozen=True)
class Whence:
    """Where files come from.

    Parameters
    ----------
    source
        Address or path, to be told; nothing secret.
    vintage
        Of these files; by default the definition's where they were fetched, and `NOT_TOLD` where the user had them.
    fetched
        When they were fetched; None where the user had them.
    licence, attribution
        In place of the definition's.
    sha256
        Checksum of each file that was fetched, by name; those of the imported files by default.
    """

    source: str
    vintage: str | None = None
    fetched: dt.datetime | None = None
    licence: str | None = None
    attribution: str | None = None
    sha256: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Imported:
    """What was put in place."""

    manifest: Manifest
    part: Part
    name: str = WHOLE
    counts: Mapping[str, int] = field(default_factory=dict)


def import_files(
    store: LayerStore,
    name: str,
    paths: Sequence[Path],
    whence: Whence,
    now: dt.datetime,
    *,
    reading: Reading = Reading(),  # noqa: B008 - frozen
    ground: Ground | None = None,
    by_extent: bool = False,
    part: str = WHOLE,
) -> Imported:
    """Make files a part of a layer.

    Parameters
    ----------
    store, name
        The layer.
    paths
        Files of features, or of pixels: all of them together are the part.
    whence
        Where they come from.
    now
        The time (UTC).
    reading
        How features are read.
    ground
        What the files speak of; by default what the definition says. Pixels say it themselves, by what is no data.
    by_extent
        The files speak of the rectangle around their features.
    part
        Name of the part; the whole layer is replaced by default.

    Raises
    ------
    LayerError
        When the files will not do; the layer is as it was.
    OutputError
        When the disk does not take it.
    """
    what = definition(name)
    if not part.replace("-", "").isalnum():
        raise LayerError(f"{part} is no name of a part: use letters, numbers and hyphens.")
    for path in paths:
        if not path.is_file():
            raise LayerError(f"There is no file {path}.")
    origin = Origin(
        source=whence.source,
        source_sha256=whence.sha256 or {path.name: sha256_of(path) for path in paths},
        licence=whence.licence or what.licence,
        attribution=whence.attribution or what.attribution,
        vintage=whence.vintage or (NOT_TOLD if whence.fetched is None else what.vintage),
        imported=_iso(now),
        fetched=None if whence.fetched is None else _iso(whence.fetched),
    )
    folder = store.folder / name
    if what.is_raster:
        return _import_pixels(folder, what, paths, origin, reading, part)
    features = read_features(what, paths, reading)
    if part != WHOLE:
        features = _without_known(store, what, features, part)
    speaks_of = extent_ground(features.frame) if by_extent else ground or own_ground(what, features.frame)
    return _put_features(folder, features, speaks_of, origin, part)


def _put_features(folder: Path, features: Features, ground: Ground, origin: Origin, part: str) -> Imported:
    with scratch(folder) as beside:
        written = write_features(features.frame, beside / "features.parquet")
        outline = beside / "ground.covers.wkb"
        outline.write_bytes(shapely.to_wkb(ground.geometry))
        made = Part(
            files=(keep(written, folder, part, _bounds(features.frame), CRS),),
            features=len(features.frame),
            covers=keep(
                outline, folder, part, None if ground.geometry.is_empty else _tuple(ground.geometry.bounds), CRS
            ),
            ground=ground.said,
            origin=replace(origin, columns=features.columns, counts=dict(features.counts)),
        )
        return Imported(put_part(folder, beside, part, made), made, part, features.counts)


def _import_pixels(
    folder: Path, what: Definition, paths: Sequence[Path], origin: Origin, reading: Reading, part: str
) -> Imported:
    counts: Counter[str] = Counter()
    with scratch(folder) as beside:
        kept: list[KeptFile] = []
        for number, written in enumerate(write_cogs(what, paths, reading.crs, beside, counts), start=1):
            name = part if number == 1 else f"{part}-{number}"
            kept.append(keep(written.path, folder, name, written.bounds, written.crs))
        made = Part(tuple(kept), None, None, "its pixels with data", replace(origin, counts=dict(counts)))
        return Imported(put_part(folder, beside, part, made), made, part, counts)


def write_features(frame: gpd.GeoDataFrame, path: Path) -> Path:
    """Write features as GeoParquet 1.1 with a box for each, along a Hilbert curve, in small row groups.

    Raises
    ------
    OutputError
        When the disk does not take them all.
    """
    order = np.argsort(frame.hilbert_distance().to_numpy(), kind="stable") if len(frame) else slice(None)
    frame.iloc[order].reset_index(drop=True).to_parquet(
        path,
        index=False,
        compression="zstd",
        schema_version="1.1.0",
        write_covering_bbox=True,
        row_group_size=ROW_GROUP,
    )
    if pq.read_metadata(path).num_rows != len(frame):
        raise OutputError(f"{path} does not hold what was written: is the disk full?")
    return path


def _without_known(store: LayerStore, what: Definition, features: Features, part: str) -> Features:
    """Without features that another part has too: areas that were fetched one by one overlap."""
    manifest = store.manifest(what.name)
    others = None if manifest is None else {name for name in manifest.parts if name not in (part, WHOLE)}
    layer = store.vector(what.name)
    if not others or layer is None:
        return features
    frame = features.frame
    there = layer.read(_bounds(frame), parts=others)
    if what.unique is not None:
        known = frame[what.unique].isin(set(there[what.unique]))
    else:
        known = frame.geometry.to_wkb().isin(set(there.geometry.to_wkb()))
    if not known.any():
        return features
    counts = features.counts + Counter({"dropped, in another part already": int(known.sum())})
    frame = frame[~known].reset_index(drop=True)
    counts["kept"] = len(frame)
    return replace(features, frame=frame, counts=counts)


def _bounds(frame: gpd.GeoDataFrame) -> Bounds | None:
    return _tuple(frame.total_bounds) if len(frame) else None


def _tuple(bounds: Sequence[float]) -> Bounds:
    left, bottom, right, top = (float(edge) for edge in bounds)
    return left, bottom, right, top


def _iso(when: dt.datetime) -> str:
    return when.astimezone(dt.UTC).isoformat(timespec="seconds")
