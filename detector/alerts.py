"""Alerts: what is published of a patch, its identity, and the files that carry it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import geopandas
import numpy as np
import pandas as pd
import shapely
import shapely.geometry
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from detector.outlines import Geometries, to_wgs84
from detector.params import PatchParams
from detector.patches import Patch
from detector.pixel_groups import PixelGroups, date_patches
from tiles.change import ChangedPixels
from tiles.errors import OutputError
from tiles.grid import Grid
from tiles.placing import written_beside

#: Decimals of a published degree: a centimetre on the ground.
_DEGREE_DECIMALS = 7
#: Decimals of a published number: a square metre in hectares, what a Sentinel-2 digital number is worth in
#: NDVI.
_NUMBER_DECIMALS = 4


LAYER_COLUMNS: Final[Mapping[str, str]] = {
    "forest_type": "str",
    "tree_cover_pct": "float64",
    "elevation_m": "float64",
    "slope_mean_pct": "float64",
    "slope_block_ha": "float64",
    "natura2000_ha": "float64",
    "nearest_cut_m": "float64",
    "cut_100m_5y_ha": "float64",
    "watercourse_m": "float64",
}
"""Fields of an alert that stand beside its features, for who trains a model; the shipped ones do not use them."""


class AlertState(StrEnum):
    """How sure the imagery is."""

    PROVISIONAL = "provisional"
    CONFIRMED = "confirmed"


class ReviewState(StrEnum):
    """What a person decided."""

    TO_REVIEW = "to_review"
    ASSIGNED = "assigned"
    """A volunteer was asked to go and see."""
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    UNCERTAIN = "uncertain"
    PUBLISHED = "published"
    """Confirmed, and for everybody to see."""


class AlertStatus(StrEnum):
    """Where an alert stands in its life, as the months go by; see `detector.tracking`."""

    OPEN = "open"
    """Its loss is among those that the scans still tell, or would be if they had seen the ground."""
    SETTLED = "settled"
    """Its loss is older than what the scans tell, and nothing took it back: a fact, published still."""
    CLOSED = "closed"
    """It is no alert any more; `ClosedReason` says why."""


class ClosedReason(StrEnum):
    """Why an alert was closed."""

    SNOW = "snow"
    """Seen intact again; snow lay around on the dates that the loss rested on."""
    FLOOD = "flood"
    """Seen intact again; there was more water around on those dates than before."""
    CLOUD = "cloud"
    """Seen intact again; cloud, its shadow or cirrus was near on those dates."""
    HAZE = "haze"
    """Seen intact again; much around was unclassified on those dates, as thin cloud is."""
    SEEN_INTACT_AGAIN = "seen_intact_again"
    """Seen intact again; what the dates showed instead is not known."""
    NEVER_CONFIRMED = "never_confirmed"
    """One date spoke of a loss, and in the year after no other date did."""
    MERGED_INTO = "merged_into"
    """It turned out to be one with an older alert, which lives on."""


@dataclass(frozen=True)
class ScanContext:
    """What the scan knows beside the pixels.

    Parameters
    ----------
    tile
        Name of the tile, part of the alerts' identities.
    month_end
        Last day of the scanned month.
    scenes
        Date and identifier of each scene in the monitored window.
    model_version, rules_version
        Versions of the classifier and of the criteria, once there are any.
    """

    tile: str
    month_end: date
    scenes: tuple[tuple[date, str], ...] = ()
    model_version: str | None = None
    rules_version: str | None = None


@dataclass(frozen=True)
class Alert:
    """One alert, with the fields of the published file; None is unknown, or still to come.

    `geometry` is the patch's simplified outline in WGS 84, longitude first, exteriors counter-clockwise.
    `last_intact` and `first_low` are the interval that holds the loss; `scenes_before` are the scenes of the
    date `last_intact`, `scenes_after` those from `first_low` to the end of the month. Counts are medians over
    the pixels, NDVI means.

    `evidence` is what the infrared shows of the loss (`detector.cause.evidence.Evidence`), `cause` what was decided
    from it.

    `reasons` says why the models scored it so, by model: the strongest for and against (`models.explain`).

    `tile` is the tile whose patch gave the identity, `tiles` all on which the alert was seen, that one first.
    `updated` is the last day of the month in which the alert last changed, `merged_into` the alert that it became.
    """

    id: str
    geometry: BaseGeometry
    tile: str
    first_detected: date
    last_intact: date | None
    first_low: date
    state: AlertState
    area_ha: float
    ndvi_before: float | None
    ndvi_after: float | None
    ndvi_drop: float | None
    n_clear_before: int | None
    n_clear_after: int | None
    clearcut_probability: float | None = None
    abuse_score: float | None = None
    reasons: Mapping[str, Any] | None = None
    potentially_abusive: bool | None = None
    criteria: tuple[Mapping[str, Any], ...] | None = None
    legal_points: tuple[Mapping[str, Any], ...] | None = None
    evidence: Mapping[str, float | int | None] | None = None
    cause: str | None = None
    cause_reasons: tuple[Mapping[str, Any], ...] | None = None
    commune_insee: str | None = None
    commune: str | None = None
    communes: tuple[Mapping[str, Any], ...] | None = None
    departement: str | None = None
    departement_name: str | None = None
    region: str | None = None
    region_name: str | None = None
    forest_type: str | None = None
    forest_shares: Mapping[str, float] | None = None
    essence: str | None = None
    tree_cover_pct: float | None = None
    elevation_m: float | None = None
    slope_mean_pct: float | None = None
    slope_max_pct: float | None = None
    slope_block_ha: float | None = None
    aspect_deg: float | None = None
    natura2000_ha: float | None = None
    zoning_ha: Mapping[str, float | None] | None = None
    zonings: tuple[Mapping[str, Any], ...] | None = None
    nearest_zone: Mapping[str, Any] | None = None
    nearest_cut_m: float | None = None
    cut_100m_1y_ha: float | None = None
    cut_100m_5y_ha: float | None = None
    watercourse_m: float | None = None
    burnt_ha: float | None = None
    storm_ha: float | None = None
    fires: tuple[Mapping[str, Any], ...] | None = None
    storms: tuple[Mapping[str, Any], ...] | None = None
    property_ha: float | None = None
    review: ReviewState = ReviewState.TO_REVIEW
    scenes_before: tuple[str, ...] | None = None
    scenes_after: tuple[str, ...] | None = None
    model_version: str | None = None
    rules_version: str | None = None
    tiles: tuple[str, ...] = ()
    status: AlertStatus = AlertStatus.OPEN
    updated: date | None = None
    closed_on: date | None = None
    closed_reason: ClosedReason | None = None
    merged_into: str | None = None


def build_alerts(
    patches: Sequence[Patch],
    features: pd.DataFrame,
    pixels: ChangedPixels,
    grid: Grid,
    context: ScanContext,
    params: PatchParams | None = None,
) -> list[Alert]:
    """Make an alert of each patch.

    Parameters
    ----------
    patches
        Patches of one tile.
    features
        Their features, row by row, from `detector.features.patch_features`.
    pixels
        The tile's changed pixels.
    grid
        The tile's grid.
    context
        Tile, month and scenes.
    params
        For `confirmed_share`; defaults where None.

    Returns
    -------
    alerts
        In the order of the patches.
    """
    confirmed_share = (params or PatchParams()).confirmed_share
    last_intact, first_low = date_patches(patches, pixels)
    groups = PixelGroups([patch.pixels for patch in patches])
    n_before = groups.quantile(pixels.n_clear_before, 0.5)
    n_after = groups.quantile(pixels.n_clear_after, 0.5)
    outlines = np.empty(len(patches), object)
    outlines[:] = [patch.outline for patch in patches]
    geometries = publishable(to_wgs84(outlines, grid.crs))
    ids = _identities(patches, pixels, grid, context.tile, first_low)
    table = features.reset_index(drop=True)
    alerts = []
    for i, patch in enumerate(patches):
        before, low = last_intact[i].item(), first_low[i].item()
        alerts.append(
            Alert(
                id=ids[i],
                geometry=geometries[i],
                tile=context.tile,
                first_detected=context.month_end,
                last_intact=before,
                first_low=low,
                state=AlertState.CONFIRMED
                if table["confirmed_share"][i] >= confirmed_share
                else AlertState.PROVISIONAL,
                area_ha=patch.area_ha,
                ndvi_before=_known(table["ndvi_before_mean"][i]),
                ndvi_after=_known(table["ndvi_after_mean"][i]),
                ndvi_drop=_known(table["ndvi_drop_mean"][i]),
                n_clear_before=int(n_before[i]),
                n_clear_after=int(n_after[i]),
                scenes_before=_scenes_between(context, before, before),
                scenes_after=_scenes_between(context, low, context.month_end),
                model_version=context.model_version,
                rules_version=context.rules_version,
                tiles=(context.tile,),
                updated=context.month_end,
            )
        )
    return alerts


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _scenes_between(context: ScanContext, first: date | None, last: date | None) -> tuple[str, ...] | None:
    """Scenes of these days, by date then name; None where there are none to name."""
    if first is None or last is None:
        return None
    return tuple(name for day, name in sorted(set(context.scenes)) if first <= day <= last) or None


def _identities(
    patches: Sequence[Patch], pixels: ChangedPixels, grid: Grid, tile: str, first_low: NDArray[np.datetime64]
) -> list[str]:
    """Names that depend on nothing but the tile, the patch's first low date and where the loss was strongest.

    Not on the outline or the other patches: the same month scanned again, with the same
    images, gives the same names. Should two patches of one day draw the same 32 bits, the later in row-major
    order draws again.
    """
    anchors = [int(patch.pixels[np.argmax(pixels.ndvi_drop[patch.pixels])]) for patch in patches]
    code = grid.crs.to_epsg()
    crs = f"EPSG:{code}" if code else grid.crs.to_wkt()
    ids = [""] * len(patches)
    taken: set[str] = set()
    for i in sorted(range(len(patches)), key=anchors.__getitem__):
        x, y = grid.centre_of(int(pixels.row[anchors[i]]), int(pixels.col[anchors[i]]))
        day = first_low[i].item().strftime("%Y%m%d")
        draw = 0
        while not ids[i] or ids[i] in taken:
            # Millimetres: two writings of one transform must not name one place twice.
            seed = f"{tile}|{crs}|{x:.3f}|{y:.3f}" + (f"|{draw}" if draw else "")
            ids[i] = f"SYL-{tile}-{day}-{hashlib.sha256(seed.encode()).hexdigest()[:8]}"
            draw += 1
        taken.add(ids[i])
    return ids


def publishable(lonlat: Geometries) -> Geometries:
    """Round to published decimals, keep valid, wind exteriors counter-clockwise (RFC 7946, section 3.1.6).

    Parameters
    ----------
    lonlat
        object (n,). Polygons in degrees, longitude first.
    """

    def rounded(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.round(xy, _DEGREE_DECIMALS)

    geometries = np.asarray(shapely.transform(lonlat, rounded), dtype=object)
    broken = ~shapely.is_valid(geometries)
    # From what was valid: rounding point by point may have crossed two lines.
    mended = shapely.set_precision(lonlat[broken], 10.0**-_DEGREE_DECIMALS)
    geometries[broken] = shapely.transform(mended, rounded)
    return np.asarray(shapely.orient_polygons(geometries, exterior_cw=False), dtype=object)


def write_geojson(alerts: Sequence[Alert], path: Path) -> None:
    """Write alerts as a GeoJSON FeatureCollection (RFC 7946), one feature a line, sorted by identity.

    The same alerts give the same bytes. The file appears whole or not at all.

    Parameters
    ----------
    alerts
        Any number of alerts.
    path
        File to write; replaced if it exists.

    Raises
    ------
    tiles.errors.OutputError
        If the file cannot be written.

    References
    ----------
    RFC 7946, The GeoJSON Format, https://www.rfc-editor.org/rfc/rfc7946
    """
    lines = [_dumps(_as_feature(alert)) for alert in sorted(alerts, key=lambda alert: alert.id)]
    head = '{"type": "FeatureCollection", "name": "sylvigie-alerts", "features": ['
    text = head + ("\n" + ",\n".join(lines) + "\n" if lines else "") + "]}\n"
    with _beside(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _as_feature(alert: Alert) -> dict[str, Any]:
    properties = {
        field.name: _plain(getattr(alert, field.name))
        for field in fields(alert)
        if field.name not in ("id", "geometry")
    }
    return {
        "type": "Feature",
        "id": alert.id,
        "geometry": shapely.geometry.mapping(alert.geometry),
        "properties": properties,
    }


def _plain(value: Any) -> Any:
    """A value as JSON has it: dates in ISO 8601, numbers rounded, what is not a number null."""
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        return round(value, _NUMBER_DECIMALS) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value


def write_features(features: pd.DataFrame, alerts: Sequence[Alert], path: Path) -> None:
    """Write the features as GeoParquet: `alert_id`, features, what layers tell (`LAYER_COLUMNS`), outlines.

    Parameters
    ----------
    features
        One row an alert, in the order of `alerts`.
    alerts
        The alerts that the rows describe.
    path
        File to write; replaced if it exists.

    Raises
    ------
    tiles.errors.OutputError
        If the file cannot be written.
    """
    table = features.reset_index(drop=True)
    table.insert(0, "alert_id", pd.Series([alert.id for alert in alerts], dtype="str"))
    for name, kind in LAYER_COLUMNS.items():
        table[name] = pd.Series([getattr(alert, name) for alert in alerts], dtype=kind)
    outlines = geopandas.GeoSeries([alert.geometry for alert in alerts], crs="OGC:CRS84")
    frame = geopandas.GeoDataFrame(table, geometry=outlines).sort_values("alert_id", ignore_index=True)
    with _beside(path) as temporary:
        frame.to_parquet(temporary, index=False)


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A file to write, see `tiles.placing.written_beside`; what the disk refuses is an `OutputError`."""
    try:
        with written_beside(path) as partial:
            yield partial
    except OSError as error:
        raise OutputError(f"Cannot write {path}: {error.strerror or error}.") from error
