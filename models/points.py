"""Labelled points and polygons: training rows rebuilt by scanning small areas around them.

Labels that are near each other, and whose change is to be seen by the same month, are scanned in one go. What each scan
gave is kept beside the wanted file, so that an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from shapely.geometry.base import BaseGeometry

from detector.params import PatchParams
from detector.pipeline import ScanParams, ScanResult, scan
from models.causes import DISFOR_CAUSES, Cause
from models.dataset import TrainingTable, concatenate, read_table, write_table
from models.places import block_names
from models.schema import Source
from tiles.catalog import Catalogue
from tiles.errors import AreaError, DatasetError, InvalidParameterError, NoSceneError, OutputError
from tiles.month import Month
from tiles.watch import WatchedArea

_METRIC: Final = 3035
_MONTHS_AFTER: Final = 3


@dataclass(frozen=True)
class PointParams:
    """How labels are looked up.

    Parameters
    ----------
    radius_m
        Around each label, what is scanned: ten hectares' reach, and forest enough to measure a date's noise on.
    near_m
        A patch this near a label is the label's: two pixels, as labels are of pixels of 10 to 20 m.
    months_after
        After the label's own month, the scan that is to have seen it: three, since a season may hide it.
    days_apart
        Days by which the patch's interval and the label's may miss each other.
    min_area_ha
        Smallest patch.
    """

    radius_m: float = 500.0
    near_m: float = 20.0
    months_after: int = _MONTHS_AFTER
    days_apart: int = 60
    min_area_ha: float = 0.25

    def __post_init__(self) -> None:
        if not 100 <= self.radius_m <= 5000:
            raise InvalidParameterError(f"radius_m must lie between 100 and 5,000 metres, not {self.radius_m}.")


@dataclass(frozen=True, eq=False)
class Label:
    """One labelled event.

    Parameters
    ----------
    id, cause
        Of the event.
    date
        First day on which it was seen.
    since
        Last day on which it was not yet there, where known.
    geometry
        Point or polygon, WGS 84.
    place
        Block of ground.
    """

    id: str
    cause: Cause
    date: dt.date
    since: dt.date | None
    geometry: BaseGeometry
    place: str


@dataclass(frozen=True)
class Labels:
    """What a file of labels holds.

    Parameters
    ----------
    labels
        Events whose cause is told.
    left_out
        Labels of no use here, by what they are called, with their number.
    """

    labels: tuple[Label, ...]
    left_out: dict[str, int]


@dataclass(frozen=True)
class Extraction:
    """What came of an extraction.

    Parameters
    ----------
    table
        Rows of the patches at labels, and the labels as events, found or not.
    missing_scenes
        Scenes that could not be read, with reasons.
    failed
        Scans that could not be made, with reasons.
    scans, resumed
        How many areas there are, and how many of them were there from before.
    unlabelled
        Patches in the areas that are no label's.
    """

    table: TrainingTable
    missing_scenes: dict[str, str]
    failed: dict[str, str]
    scans: int
    resumed: int
    unlabelled: int


def read_labels(path: Path) -> Labels:
    """Read labels: DISFOR's CSV, or points or polygons in a format of GDAL.

    DISFOR's CSV has ``sample_id, date, code, lon, lat`` and may have ``cluster``; each row is the state of a pixel from
    a date on. Other files have ``date`` (ISO 8601) and either ``cause`` (`models.causes.Cause`) or DISFOR's ``code``,
    and may have ``place`` and ``since``.

    Raises
    ------
    tiles.errors.DatasetError
        When the file does not fit.
    """
    if not path.is_file():
        raise DatasetError(f"There is no file of labels {path}.")
    try:
        return _disfor(path) if path.suffix.lower() == ".csv" else _shapes(path)
    except (KeyError, ValueError, TypeError, OSError) as error:
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise DatasetError(
            f"{path} does not fit the format of labels ({line}): give DISFOR's columns sample_id, date, code, lon, "
            "lat, or shapes with date and cause."
        ) from error


def _disfor(path: Path) -> Labels:
    frame = pd.read_csv(path, dtype={"cluster": str})
    if frame[["sample_id", "date", "code", "lon", "lat"]].isna().any(axis=None):
        raise ValueError("a label lacks its sample_id, date, code, lon or lat")
    frame["date"] = pd.to_datetime(frame["date"], format="ISO8601")
    frame = frame.sort_values(["sample_id", "date"], kind="stable")
    frame["since"] = frame.groupby("sample_id")["date"].shift()
    blocks = block_names(frame["lon"].to_numpy(float), frame["lat"].to_numpy(float))
    cluster = frame["cluster"] if "cluster" in frame else pd.Series(None, index=frame.index, dtype=object)
    names = frame["label"].astype(str) if "label" in frame else frame["code"].astype(str)
    labels, left_out = [], dict[str, int]()
    rows = frame.assign(name=names, cluster=cluster, block=blocks).to_dict("records")
    for row in rows:
        cause = DISFOR_CAUSES.get(int(row["code"]))
        if cause is None:
            left_out[str(row["name"])] = left_out.get(str(row["name"]), 0) + 1
            continue
        place = row["block"] if pd.isna(row["cluster"]) else f"disfor-{str(row['cluster']).removesuffix('.0')}"
        date = row["date"].date()
        labels.append(
            Label(
                id=f"disfor-{row['sample_id']}-{date:%Y%m%d}",
                cause=cause,
                date=date,
                since=None if pd.isna(row["since"]) else row["since"].date(),
                geometry=shapely.Point(float(row["lon"]), float(row["lat"])),
                place=place,
            )
        )
    return Labels(tuple(labels), left_out)


def _shapes(path: Path) -> Labels:
    try:
        frame = gpd.read_file(path)
    except Exception as error:  # pyogrio raises several kinds, and GDAL's own words are the clearest
        raise ValueError(str(error)) from error
    if frame.crs is None:
        raise ValueError("it has no CRS")
    frame = frame.to_crs("EPSG:4326")
    if "cause" not in frame and "code" not in frame:
        raise KeyError("neither cause nor code")
    centres = frame.geometry.representative_point()
    blocks = block_names(centres.x.to_numpy(), centres.y.to_numpy())
    labels, left_out = [], dict[str, int]()
    for number, (row, block) in enumerate(zip(frame.to_dict("records"), blocks, strict=True)):
        cause = Cause(row["cause"]) if "cause" in row else DISFOR_CAUSES.get(int(row["code"]))
        if cause is None:
            left_out[str(row["code"])] = left_out.get(str(row["code"]), 0) + 1
            continue
        since = row.get("since")
        labels.append(
            Label(
                id=f"{path.stem}-{number:05d}",
                cause=cause,
                date=pd.Timestamp(row["date"]).date(),
                since=None if since is None or pd.isna(since) else pd.Timestamp(since).date(),
                geometry=row["geometry"],
                place=str(row.get("place") or block),
            )
        )
    return Labels(tuple(labels), left_out)


def extract(
    labels: Sequence[Label],
    catalogue: Catalogue,
    out: Path,
    params: PointParams | None = None,
    *,
    today: dt.date,
    threads: int | None = None,
    max_requests_per_host: int = 8,
    progress: Callable[[int, int], None] | None = None,
) -> Extraction:
    """Rebuild the patches at labels, and write them as a training table.

    Parameters
    ----------
    labels
        Of `read_labels`.
    catalogue
        Where scenes come from.
    out
        GeoParquet to write; ``NAME.parts/`` beside it holds what is done until all is.
    params
        How.
    today, threads, max_requests_per_host
        As of `detector.pipeline.scan`.
    progress
        Called with scans done, and scans in all.

    Raises
    ------
    tiles.errors.DatasetError
        When there is no label, or not one scan could be made.
    tiles.errors.OutputError
        When the folder does not take the files.
    """
    params = params or PointParams()
    groups = group_labels(labels, params, today)
    if not groups:
        raise DatasetError("There is no label whose cause is told: nothing can be extracted.")
    parts = out.with_suffix(".parts")
    done, failed = list[tuple[TrainingTable, dict[str, Any]]](), dict[str, str]()
    resumed = 0
    for number, (month, group) in enumerate(groups):
        folder = parts / _key(month, group, catalogue, params)
        kept = _kept(folder)
        if kept is None:
            try:
                kept = _scan_group(folder, month, group, catalogue, params, today, threads, max_requests_per_host)
            except (NoSceneError, AreaError) as error:
                # No archive has everything: what cannot be scanned is named, and the others go on.
                failed[f"{month}, {group[0].id}" + (f" and {len(group) - 1} more" if group[1:] else "")] = str(error)
        else:
            resumed += 1
        if kept is not None:
            done.append(kept)
        if progress is not None:
            progress(number + 1, len(groups))
    if not done:
        raise DatasetError(f"No label could be looked up; the first since: {next(iter(failed.values()))}")
    table = concatenate([table for table, _ in done])
    missing = {name: reason for _, record in done for name, reason in record["missing_scenes"].items()}
    unlabelled = sum(record["unlabelled"] for _, record in done)
    result = Extraction(table, missing, failed, len(groups), resumed, unlabelled)
    write_table(table, out, {"catalogue": catalogue.href, "parameters": asdict(params), "failed": failed})
    if not failed and not missing:
        shutil.rmtree(parts, ignore_errors=True)
    return result


def group_labels(labels: Sequence[Label], params: PointParams, today: dt.date) -> list[tuple[Month, list[Label]]]:
    """Labels by the month to be scanned and the 10 km block that they are in, in order."""
    newest = Month(today.year, today.month)
    centres = [label.geometry.representative_point() for label in labels]
    blocks = block_names(np.array([point.x for point in centres]), np.array([point.y for point in centres]))
    groups: dict[tuple[str, str], tuple[Month, list[Label]]] = {}
    for label, block in zip(labels, blocks, strict=True):
        month = Month(label.date.year, label.date.month).shifted(params.months_after)
        if month.first_day > newest.first_day:
            month = newest
        groups.setdefault((str(month), block), (month, []))[1].append(label)
    return [groups[key] for key in sorted(groups)]


def _key(month: Month, group: Sequence[Label], catalogue: Catalogue, params: PointParams) -> str:
    """Name of a group's folder: another for other labels, parameters or archive."""
    parts = [catalogue.href, repr(params), *(f"{one.id} {one.cause} {one.geometry.wkt}" for one in group)]
    return f"{month}-{hashlib.sha256(chr(10).join(parts).encode()).hexdigest()[:16]}"


def _kept(folder: Path) -> tuple[TrainingTable, dict[str, Any]] | None:
    """What an earlier run left of a group, whole; None where it is to be done."""
    try:
        record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
        return read_table(folder / "rows.parquet"), record
    except (OSError, ValueError, DatasetError):
        return None


def _scan_group(
    folder: Path,
    month: Month,
    group: Sequence[Label],
    catalogue: Catalogue,
    params: PointParams,
    today: dt.date,
    threads: int | None,
    max_requests_per_host: int,
) -> tuple[TrainingTable, dict[str, Any]]:
    shapes = gpd.GeoSeries([label.geometry for label in group], crs="EPSG:4326").to_crs(_METRIC)
    around = shapes.buffer(params.radius_m).envelope.to_crs("EPSG:4326")
    watched = WatchedArea(forest=around, area=around)
    result = scan(
        catalogue,
        month,
        watched,
        folder / "scan",
        ScanParams(patches=PatchParams(min_area_ha=params.min_area_ha)),
        today=today,
        threads=threads,
        max_requests_per_host=max_requests_per_host,
    )
    table, unlabelled = _label(result, group, params)
    record = {
        "missing_scenes": {left.id: left.reason for left in result.skipped if not left.superseded},
        "unlabelled": unlabelled,
    }
    write_table(table, folder / "rows.parquet")
    try:
        # Last: a folder with a record is whole.
        (folder / "record.json").write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        shutil.rmtree(folder / "scan", ignore_errors=True)
    except OSError as error:
        raise OutputError(f"The extraction cannot be kept in {folder} ({error.strerror or error}).") from error
    return table, record


def _label(result: ScanResult, group: Sequence[Label], params: PointParams) -> tuple[TrainingTable, int]:
    """Rows of the patches at labels; how many patches are no label's."""
    shapes = gpd.GeoSeries([label.geometry for label in group], crs="EPSG:4326").to_crs(_METRIC).to_list()
    rows, features, unlabelled, seen = list[dict[str, Any]](), list[pd.DataFrame](), 0, set[str]()
    for tile in result.tiles:
        outlines = gpd.GeoSeries([a.geometry for a in tile.alerts], crs="EPSG:4326").to_crs(_METRIC).to_list()
        # The largest first: of a label's several pieces, it is the one.
        for index in sorted(range(len(outlines)), key=lambda number: -tile.alerts[number].area_ha):
            alert, outline = tile.alerts[index], outlines[index]
            label = _label_of(outline, alert.last_intact, alert.first_low, shapes, group, params)
            if label is None:
                unlabelled += 1
                continue
            if label.id in seen:
                continue  # a smaller piece, or the overlap of two tiles shows it again
            seen.add(label.id)
            features.append(tile.features.iloc[[index]])
            rows.append(
                {
                    "id": f"{label.id}-{alert.tile}",
                    "cause": label.cause.value,
                    "place": label.place,
                    "source": Source.POINTS.value,
                    "tile": alert.tile,
                    "scanned_month": str(result.month),
                    "event_id": label.id,
                    "event_date": label.date,
                    "last_intact": alert.last_intact,
                    "first_low": alert.first_low,
                    "state": alert.state.value,
                    "forest_type": alert.forest_type,
                    "slope_pct": alert.slope_mean_pct,
                    "geometry": alert.geometry,
                }
            )
    events = [
        {
            "event_id": label.id,
            "cause": label.cause.value,
            "event_date": label.date,
            "event_area_ha": shape.area / 1e4 if shape.area else None,
            "place": label.place,
            "source": Source.POINTS.value,
            "scanned_month": str(result.month),
            "found": label.id in seen,
        }
        for label, shape in zip(group, shapes, strict=True)
    ]
    empty = result.tiles[0].features.iloc[:0]
    return TrainingTable.build(rows, pd.concat(features) if features else empty, events), unlabelled


def _label_of(
    outline: BaseGeometry,
    last_intact: dt.date | None,
    first_low: dt.date,
    shapes: Iterable[BaseGeometry],
    group: Sequence[Label],
    params: PointParams,
) -> Label | None:
    """The nearest label in reach whose dates go with a patch's."""
    slack = dt.timedelta(days=params.days_apart)
    near = []
    for label, shape in zip(group, shapes, strict=True):
        begins, ends = (label.since or label.date) - slack, label.date + slack
        if begins <= first_low and (last_intact or first_low) <= ends:
            near.append((float(outline.distance(shape)), label.id, label))
    best = min(near, key=lambda one: one[:2], default=None)
    return best[2] if best is not None and best[0] <= params.near_m else None
