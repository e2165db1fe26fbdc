"""Features of any source made those of a layer: standard columns, sound shapes in EPSG:2154, nothing lost unsaid."""

from __future__ import annotations

import fnmatch
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pyproj
import shapely
from numpy.typing import NDArray

from detector.layers.definitions import Definition, LayerKind
from detector.layers.ground import FRANCE_2154
from detector.layers.insee import departement_of, region_of
from detector.layers.store import CRS, DATE_COLUMNS, empty_frame
from tiles.errors import LayerError

_REACH_DEG = (-7.0, 40.0, 12.0, 52.5)
"""West, south, east, north of the lands whose coordinates are worth taking to Lambert-93."""
_KINDS = {LayerKind.POLYGONS: ("Polygon", "MultiPolygon"), LayerKind.LINES: ("LineString", "MultiLineString")}
_TYPE_IDS = {LayerKind.POLYGONS: (3, 6), LayerKind.LINES: (1, 5)}


@dataclass(frozen=True)
class Reading:
    """How a source is read.

    Parameters
    ----------
    layer
        Of a file of several.
    where
        SQL condition on the source's columns, as of OGR.
    columns
        Standard column, or column of the definition's filter -> the source's, in place of the definition's names.
    crs
        CRS of a file that carries none.
    keep_all
        Take all features, whatever the definition's filter says.
    may_be_empty
        Nothing is an answer too.
    """

    layer: str | None = None
    where: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    crs: str | None = None
    keep_all: bool = False
    may_be_empty: bool = False


@dataclass(frozen=True)
class Features:
    """Features made ready.

    Parameters
    ----------
    frame
        Standard columns and sound geometries in EPSG:2154.
    columns
        Standard column -> the source's.
    counts
        How many were read, mended, dropped and why.
    """

    frame: gpd.GeoDataFrame
    columns: Mapping[str, str]
    counts: Counter[str]


def read_features(what: Definition, paths: Sequence[Path], reading: Reading) -> Features:
    """Features of files, as a layer wants them.

    A service may rightly answer that there is nothing in an area: see `Reading.may_be_empty`.

    Raises
    ------
    LayerError
        When a file cannot be read, has no CRS or not the columns that are needed, or nothing of it is left.
    """
    made = [_made_ready(what, _read(path, reading), path.name, reading) for path in paths]
    counts: Counter[str] = sum((one.counts for one in made), Counter())
    frames = [one.frame for one in made if len(one.frame)] or [made[0].frame]
    frame = frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
    if frame.empty and not reading.may_be_empty:
        told = ", ".join(f"{number} {words}" for words, number in counts.items()) or "it has no features"
        raise LayerError(f"Nothing is left of {_names(paths)} for layer {what.name}: {told}.")
    if what.unique is not None:
        frame = _once_each(frame, what.unique, _names(paths))
    counts["kept"] = len(frame)
    return Features(frame, {key: value for one in made for key, value in one.columns.items()}, counts)


def _names(paths: Sequence[Path]) -> str:
    return paths[0].name if len(paths) == 1 else f"{paths[0].name} and {len(paths) - 1} more"


def _read(path: Path, reading: Reading) -> gpd.GeoDataFrame:
    """Every feature of a file, with its columns as they are."""
    try:
        if path.suffix.lower() in (".parquet", ".geoparquet"):
            if reading.where is not None:
                raise LayerError(f"--where is not for GeoParquet: filter {path.name} before.")
            frame = gpd.read_parquet(path)
        else:
            source = f"/vsigzip/{path.resolve()}" if path.suffix.lower() == ".gz" else path
            frame = pyogrio.read_dataframe(source, layer=_layer_of(source, path, reading.layer), where=reading.where)
    except LayerError:
        raise
    except Exception as error:  # GDAL's and pyarrow's own words are the clearest, of whatever kind
        words = (str(error).splitlines() or [type(error).__name__])[0]
        raise LayerError(f"{path.name} cannot be read ({words}).") from error
    if not isinstance(frame, gpd.GeoDataFrame):
        raise LayerError(f"{path.name} is a table without geometry.")
    if frame.crs is None:
        if reading.crs is None:
            raise LayerError(f"{path.name} has no CRS: say it by --crs, such as EPSG:2154, if you are sure of it.")
        frame = frame.set_crs(reading.crs)
    return frame


def _layer_of(source: Path | str, path: Path, wanted: str | None) -> str | None:
    names = [str(name) for name, kind in pyogrio.list_layers(source) if kind is not None]
    if wanted is not None:
        if wanted not in names:
            raise LayerError(f"{path.name} has no layer {wanted}: it has {', '.join(names)}.")
        return wanted
    if len(names) > 1:
        raise LayerError(f"{path.name} has {len(names)} layers: choose one by --layer of {', '.join(names)}.")
    return names[0] if names else None


def _made_ready(what: Definition, source: gpd.GeoDataFrame, name: str, reading: Reading) -> Features:
    counts: Counter[str] = Counter({"read": len(source)})
    if source.empty:
        return Features(empty_frame(tuple(what.columns)), {}, counts)
    source = _filtered(what, source, name, reading, counts)
    columns = _columns(what, source, name, reading)
    geometry, places = _sound(what, source.geometry.array, source.crs, counts)
    data = {
        column: _values(column, source[columns[column]].iloc[places], name)
        if column in columns
        else _unknown(column, len(places))
        for column in what.columns
    }
    data = {column: values.reset_index(drop=True) for column, values in data.items()}
    frame = gpd.GeoDataFrame(data, geometry=gpd.GeoSeries(geometry, crs=CRS), crs=CRS)
    for column in what.required:
        if missing := int(frame[column].isna().sum()):
            counts[f"dropped, without {column}"] += missing
            frame = frame[frame[column].notna()].reset_index(drop=True)
    return Features(_with_insee(frame), columns, counts)


def _filtered(
    what: Definition, source: gpd.GeoDataFrame, name: str, reading: Reading, counts: Counter[str]
) -> gpd.GeoDataFrame:
    """Without what the definition's filter leaves out, such as the zones of adhesion of national parks."""
    if reading.keep_all:
        return source
    for column, patterns in what.keep.items():
        found = _find(source, (reading.columns.get(column, column),))
        if found is None:
            raise LayerError(
                f"{name} has no column {column}, which tells what of it belongs to {what.name} "
                f"({' or '.join(patterns)}). Name it by --column {column}=..., or take all of it by --keep-all."
            )
        values = [_plain(value) for value in source[found]]
        kept = np.array([any(fnmatch.fnmatchcase(value, each) for each in patterns) for value in values])
        counts[f"left out by {found}"] += int((~kept).sum())
        source = source[kept.astype(bool)]
    return source


def _plain(value: object) -> str:
    """A text in small letters, without accents and ligatures."""
    text = str(value).replace("œ", "oe").replace("Œ", "OE")
    return "".join(one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one)).casefold()


def _columns(what: Definition, source: gpd.GeoDataFrame, name: str, reading: Reading) -> dict[str, str]:
    """Standard column -> the source's, for those that it has."""
    unknown = sorted(set(reading.columns) - set(what.columns) - set(what.keep))
    if unknown:
        raise LayerError(f"Layer {what.name} has no column {unknown[0]}: it has {', '.join(what.columns)}.")
    found = {}
    for column, names in what.columns.items():
        told = reading.columns.get(column)
        source_column = _find(source, names if told is None else (told,))
        if source_column is not None:
            found[column] = source_column
        elif told is not None or column in what.required:
            there = ", ".join(str(each) for each in source.columns if each != source.geometry.name)
            raise LayerError(
                f"{name} has no column {told or ' or '.join(names)} for {column} of layer {what.name}: it has {there}. "
                f"Name it by --column {column}=..."
            )
    return found


def _find(source: gpd.GeoDataFrame, names: Sequence[str]) -> str | None:
    """The first of some columns that is there, without regard to case."""
    there = {str(column).casefold(): str(column) for column in source.columns if column != source.geometry.name}
    return next((there[name.casefold()] for name in names if name.casefold() in there), None)


def _values(column: str, values: pd.Series, name: str) -> pd.Series:
    """A column as text, or as dates; empty text is unknown."""
    if column in DATE_COLUMNS:
        try:
            dates = pd.to_datetime(values, format=None if values.dtype.kind == "M" else "ISO8601", utc=True)
        except (ValueError, TypeError) as error:
            raise LayerError(f"{name}: column {values.name} holds no dates such as 2021-08-16 ({error}).") from error
        return dates.dt.tz_localize(None).dt.floor("D").astype("datetime64[ms]")
    if values.dtype.kind == "f" and (values.dropna() % 1 == 0).all():
        values = values.astype("Int64")  # a number that some of them lack: 40, not "40.0"
    text = values.astype("string").str.strip()
    return text.mask(text == "")


def _unknown(column: str, size: int) -> pd.Series:
    if column in DATE_COLUMNS:
        return pd.Series(pd.NaT, index=range(size), dtype="datetime64[ms]")
    return pd.Series(pd.NA, index=range(size), dtype="string")


def _with_insee(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Départements and regions of codes that tell them."""
    if "insee" not in frame:
        return frame
    if "departement" in frame:
        told = frame["insee"].map(departement_of, na_action="ignore").astype("string")
        frame["departement"] = frame["departement"].fillna(told)
    if "region" in frame:
        codes = frame["departement"] if "departement" in frame else frame["insee"]
        frame["region"] = frame["region"].fillna(codes.map(region_of, na_action="ignore").astype("string"))
    return frame


def _sound(what: Definition, geometry: Any, crs: Any, counts: Counter[str]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Sound geometries of the layer's kind in EPSG:2154, and the places that they had."""
    geometries = shapely.force_2d(np.asarray(geometry, dtype=object))
    places = np.arange(len(geometries))
    places = _drop(places, ~(shapely.is_missing(geometries) | shapely.is_empty(geometries)), "empty", counts)
    kinds = shapely.get_type_id(geometries[places])
    places = _drop(places, np.isin(kinds, [*_TYPE_IDS[what.kind], 7]), f"not {what.kind}", counts)
    geometries, places = _in_france(geometries, places, pyproj.CRS.from_user_input(crs), counts)
    bad = ~shapely.is_valid(geometries)
    geometries[bad] = shapely.make_valid(geometries[bad], method="structure", keep_collapsed=False)
    counts["mended"] += int(bad.sum())
    mixed = shapely.get_type_id(geometries) == 7
    geometries[mixed] = [_only(one, what.kind) for one in geometries[mixed]]
    size = shapely.area(geometries) if what.kind is LayerKind.POLYGONS else shapely.length(geometries)
    solid = (size > 0) & shapely.is_valid(geometries)
    places = _drop(places, solid, "without area" if what.kind is LayerKind.POLYGONS else "without length", counts)
    return geometries[solid], places


def _drop(places: NDArray[np.intp], kept: NDArray[np.bool_], reason: str, counts: Counter[str]) -> NDArray[np.intp]:
    if dropped := int((~kept).sum()):
        counts[f"dropped, {reason}"] += dropped
    return places[kept]


def _only(collection: shapely.Geometry, kind: LayerKind) -> shapely.Geometry:
    parts = [part for part in shapely.get_parts(collection) if part.geom_type in _KINDS[kind]]
    return shapely.union_all(parts)


def _in_france(
    geometries: NDArray[Any], places: NDArray[np.intp], crs: pyproj.CRS, counts: Counter[str]
) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Those that reach into metropolitan France, in EPSG:2154: Lambert-93 has no place for the others."""
    wanted = geometries[places]
    near = _near(wanted, crs)
    if len(near) and crs.is_geographic and not near.any():
        # Some services write latitude first where the format wants longitude.
        swapped = shapely.transform(wanted, lambda points: points[:, ::-1])
        if (near_swapped := _near(swapped, crs)).any():
            wanted, near = swapped, near_swapped
            counts["latitude and longitude swapped back"] += len(wanted)
    places = _drop(places, near, "outside metropolitan France", counts)
    wanted = wanted[near]
    if crs != pyproj.CRS.from_user_input(CRS):
        wanted = np.asarray(gpd.GeoSeries(wanted, crs=crs).to_crs(CRS).array, dtype=object)
    inside = np.isfinite(shapely.bounds(wanted)).all(axis=1)
    inside &= shapely.intersects(shapely.box(*shapely.bounds(wanted).T) if len(wanted) else wanted, FRANCE_2154)
    return wanted[inside], _drop(places, inside, "outside metropolitan France", counts)


def _near(geometries: NDArray[Any], crs: pyproj.CRS) -> NDArray[np.bool_]:
    """Whether each geometry's box meets the lands around France."""
    left, bottom, right, top = shapely.bounds(geometries).T
    if not crs.is_geographic:
        to_degrees = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
        corners = [to_degrees.transform(x, y) for x in (left, right) for y in (bottom, top)]
        x, y = np.array([corner[0] for corner in corners]), np.array([corner[1] for corner in corners])
        left, right, bottom, top = x.min(axis=0), x.max(axis=0), y.min(axis=0), y.max(axis=0)
    west, south, east, north = _REACH_DEG
    return np.asarray((left <= east) & (right >= west) & (bottom <= north) & (top >= south))


def _once_each(frame: gpd.GeoDataFrame, key: str, name: str) -> gpd.GeoDataFrame:
    """Refuse a code that stands for two features: shares would be counted twice."""
    twice = frame[key][frame[key].duplicated()].unique()
    if len(twice):
        raise LayerError(f"{name} holds {key} {', '.join(map(str, twice[:3]))} more than once: dissolve it first.")
    return frame
