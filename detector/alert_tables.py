"""Alerts as columns of an Arrow table, and back, without loss; tables as GeoParquet; the patches of a tile as one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from detector.alerts import Alert, AlertState, AlertStatus, ClosedReason, ReviewState
from detector.features import FEATURES
from detector.known import FoundPatch
from detector.outlines import Geometries
from tiles.errors import StateError

_ENUMS: dict[str, type] = {
    "state": AlertState,
    "status": AlertStatus,
    "closed_reason": ClosedReason,
    "review": ReviewState,
}
_LISTS_AS_JSON = ("criteria", "legal_points", "cause_reasons", "communes", "zonings", "fires", "storms")
_MAPPINGS_AS_JSON = ("evidence", "reasons", "forest_shares", "zoning_ha", "nearest_zone")
_AS_JSON = _LISTS_AS_JSON + _MAPPINGS_AS_JSON
_TUPLES = ("scenes_before", "scenes_after", "tiles")
_DATES = ("first_detected", "last_intact", "first_low", "updated", "closed_on")
_NUMBERS = (
    "area_ha",
    "ndvi_before",
    "ndvi_after",
    "ndvi_drop",
    "clearcut_probability",
    "abuse_score",
    "tree_cover_pct",
    "elevation_m",
    "slope_mean_pct",
    "slope_max_pct",
    "slope_block_ha",
    "aspect_deg",
    "natura2000_ha",
    "nearest_cut_m",
    "cut_100m_1y_ha",
    "cut_100m_5y_ha",
    "watercourse_m",
    "burnt_ha",
    "storm_ha",
    "property_ha",
)
_COUNTS = ("n_clear_before", "n_clear_after")


def column_type(name: str) -> Any:
    """Arrow type of a field of `Alert`: fixed, so that a column without a value has the type that it has with one."""
    if name in _TUPLES:
        return pa.list_(pa.string())
    if name in _DATES:
        return pa.date32()
    if name in _NUMBERS:
        return pa.float64()
    if name in _COUNTS:
        return pa.int32()
    return pa.bool_() if name == "potentially_abusive" else pa.string()


def alert_columns(alerts: Sequence[Alert]) -> dict[str, Any]:
    """Columns of alerts, without their geometries.

    Parameters
    ----------
    alerts
        Any number of alerts.

    Returns
    -------
    columns
        Arrow arrays by the fields' names, in the fields' order. What has fields of its own, such as criteria, is JSON.
    """
    columns = {}
    for field in fields(Alert):
        if field.name == "geometry":
            continue
        values = [getattr(alert, field.name) for alert in alerts]
        if field.name in _ENUMS:
            values = [None if value is None else value.value for value in values]
        elif field.name in _AS_JSON:
            values = [None if value is None else json.dumps(value, ensure_ascii=False) for value in values]
        columns[field.name] = pa.array(values, column_type(field.name))
    return columns


def alerts_from(table: Any, geometries: Geometries) -> list[Alert]:
    """Alerts of a table that holds `alert_columns`.

    Parameters
    ----------
    table
        Arrow table; other columns are left aside. Fields that it lacks have their defaults.
    geometries
        object (rows,). The alerts' outlines.
    """
    columns: dict[str, list[Any]] = {"geometry": list(geometries)}
    for field in fields(Alert):
        if field.name not in table.column_names or field.name == "geometry":
            continue
        values = table[field.name].to_pylist()
        if field.name in _ENUMS:
            members = {member.value: member for member in _ENUMS[field.name]}  # type: ignore[attr-defined]
            values = [None if value is None else members[value] for value in values]
        elif field.name in _LISTS_AS_JSON:
            values = [None if value is None else tuple(json.loads(value)) for value in values]
        elif field.name in _MAPPINGS_AS_JSON:
            values = [None if value is None else json.loads(value) for value in values]
        elif field.name in _TUPLES:
            values = [None if value is None else tuple(value) for value in values]
        columns[field.name] = values
    names = list(columns)
    return [Alert(**dict(zip(names, row, strict=True))) for row in zip(*columns.values(), strict=True)]


def write_geoparquet(columns: Mapping[str, Any], geometries: Mapping[str, Geometries], path: Path) -> None:
    """Write columns and geometries as GeoParquet 1.0, WGS 84, longitude first. The same input gives the same bytes.

    Parameters
    ----------
    columns
        Arrow arrays by name.
    geometries
        object (rows,) by name, the primary ones first; None is a missing one.
    path
        File to write.
    """
    every = dict(columns)
    for name, values in geometries.items():
        every[name] = pa.array(shapely.to_wkb(values), pa.binary())
    described = {
        "version": "1.0.0",
        "primary_column": next(iter(geometries)),
        # Without a CRS of its own a column is in OGC:CRS84.
        "columns": {name: {"encoding": "WKB", "geometry_types": []} for name in geometries},
    }
    table = pa.table(every).replace_schema_metadata({"geo": json.dumps(described)})
    pq.write_table(table, path, compression="zstd")


def read_geoparquet(path: Path) -> tuple[Any, dict[str, Geometries]]:
    """Read what `write_geoparquet` wrote.

    Returns
    -------
    table, geometries
        Arrow table, and object (rows,) by the geometries' names.

    Raises
    ------
    tiles.errors.StateError
        When the file is absent or damaged.
    """
    try:
        table = pq.read_table(path)
        names = json.loads(table.schema.metadata[b"geo"])["columns"]
        geometries = {name: shapely.from_wkb(table[name].to_numpy(zero_copy_only=False)) for name in names}
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException, shapely.GEOSException) as error:
        raise StateError(f"{path} cannot be read ({error}): restore it from a backup, or make it again.") from error
    return table, geometries


def write_found(found: Sequence[FoundPatch], path: Path, more: Mapping[str, Any] | None = None) -> None:
    """Write the patches of a tile and month as GeoParquet, their exact outlines first.

    Parameters
    ----------
    found
        Any number of patches.
    path
        File to write.
    more
        Further columns by name, row by row, such as features; `read_found` leaves them aside.
    """
    outlines, exact = np.empty(len(found), object), np.empty(len(found), object)
    outlines[:] = [patch.alert.geometry for patch in found]
    exact[:] = [patch.exact for patch in found]
    columns = {**alert_columns([patch.alert for patch in found]), **(more or {})}
    write_geoparquet(columns, {"geometry": exact, "outline": outlines}, path)


def read_found_features(path: Path) -> pd.DataFrame:
    """Read the features that `write_found` was given beside the patches.

    Returns
    -------
    pandas.DataFrame
        Columns of `detector.features.FEATURES` that the file has, float64; indexed by the patches' own identities.

    Raises
    ------
    tiles.errors.StateError
        When the file is absent or damaged.
    """
    table, _ = read_geoparquet(path)
    names = [feature.name for feature in FEATURES if feature.name in table.column_names]
    columns = {name: table[name].to_numpy(zero_copy_only=False).astype(np.float64) for name in names}
    return pd.DataFrame(columns, index=pd.Index(table["id"].to_pylist(), dtype="object"))


def read_found(path: Path) -> list[FoundPatch]:
    """Read what `write_found` wrote.

    Raises
    ------
    tiles.errors.StateError
        When the file is absent or damaged.
    """
    table, geometries = read_geoparquet(path)
    alerts = alerts_from(table, geometries["outline"])
    return [FoundPatch(alert, exact) for alert, exact in zip(alerts, geometries["geometry"], strict=True)]
