"""Features of an OGC Web Feature Service 2.0, in sorted pages whose sum is what the service says there is.

A page that is full looks like an answer that was cut at the service's limit, and pages of an unsorted answer overlap:
so the pages are sorted, the features counted against ``numberMatched``, and each identifier may come once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detector.layers.definitions import Source
from detector.layers.download import Downloads, silent
from detector.layers.manifest import Bounds
from tiles.errors import LayerError

PAGE = 1000
"""Features asked for at a time; IGN's service gives 5000 at most."""
_CRS_URN = "urn:ogc:def:crs:EPSG::2154"


@dataclass(frozen=True)
class Wanted:
    """Which features are asked for: those of a CQL filter, or those that meet a box in EPSG:2154; None for all."""

    cql: str | None = None
    bbox: Bounds | None = None


def fetch_pages(
    downloads: Downloads,
    source: Source,
    wanted: Wanted,
    folder: Path,
    page: int = PAGE,
    progress: Callable[[str, int, int | None], None] = silent,
) -> list[Path]:
    """Fetch all features of a service's types, as files of GeoJSON.

    Parameters
    ----------
    downloads
        Asks the service.
    source
        Its address and types.
    wanted
        Which features.
    folder
        For the files.
    page
        Features asked for at a time.
    progress
        Told a type, features there and features in all.

    Returns
    -------
    list of Path
        At least one, of which each may be empty.

    Raises
    ------
    LayerError
        When the service refuses, or what it gives is not what it says there is.
    """
    paths: list[Path] = []
    for type_name in source.types:
        there, total = 0, None
        seen: set[str] = set()
        while total is None or there < total:
            body = downloads.document(source.url, _query(source, type_name, wanted, there, page))
            answer = _answer(body, type_name)
            features = answer["features"]
            total = _same_total(_total(answer), total, type_name)
            _note_identifiers(features, seen, type_name)
            there += len(features)
            path = folder / f"{type_name.replace(':', '-')}-{len(paths):05d}.geojson"
            path.write_text(json.dumps(_with_crs(answer)), encoding="utf-8")
            paths.append(path)
            progress(type_name, there, total)
            if not features and total is not None and there < total:
                raise LayerError(
                    f"{type_name}: the service says that there are {total} features, and gives no more after {there}: "
                    "try again later, or ask for a smaller area."
                )
            if total is None and len(features) < page:
                break
    return paths


def _query(source: Source, type_name: str, wanted: Wanted, start: int, page: int) -> dict[str, str]:
    query = {
        "SERVICE": "WFS",
        "VERSION": "2.0.0",
        "REQUEST": "GetFeature",
        "TYPENAMES": type_name,
        "OUTPUTFORMAT": "application/json",
        "SRSNAME": "EPSG:2154",
        "COUNT": str(page),
        "STARTINDEX": str(start),
    }
    if source.sort is not None:
        query["SORTBY"] = source.sort
    if wanted.cql is not None:
        query["CQL_FILTER"] = wanted.cql
    elif wanted.bbox is not None:
        query["BBOX"] = ",".join(f"{edge:.2f}" for edge in wanted.bbox) + f",{_CRS_URN}"
    return query


def _answer(body: bytes, type_name: str) -> dict[str, Any]:
    try:
        answer = json.loads(body)
        if not isinstance(answer, dict) or not isinstance(answer["features"], list):
            raise ValueError("no features")
    except (ValueError, KeyError):
        said = " ".join(body[:300].decode("utf-8", "replace").split())
        raise LayerError(f"{type_name}: the service gave no GeoJSON, but: {said}") from None
    return answer


def _total(answer: Mapping[str, Any]) -> int | None:
    """How many features the service says there are; some do not say it."""
    for name in ("numberMatched", "totalFeatures"):
        if str(answer.get(name, "")).isdecimal():
            return int(answer[name])
    return None


def _same_total(told: int | None, before: int | None, type_name: str) -> int | None:
    if before is not None and told != before:
        raise LayerError(f"{type_name} changed while it was fetched ({before} features, then {told}): fetch it again.")
    return told


def _note_identifiers(features: list[Any], seen: set[str], type_name: str) -> None:
    for feature in features:
        identifier = feature.get("id")
        if identifier is None:
            continue
        if identifier in seen:
            raise LayerError(
                f"{type_name}: the service gave feature {identifier} twice, so that others are missing: its pages are "
                "not sorted. Fetch it again, or ask for a smaller area."
            )
        seen.add(identifier)


def _with_crs(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer that tells its CRS: the one that was asked for, where its numbers are no degrees."""
    if "crs" in answer or all(_in_degrees(feature.get("geometry")) for feature in answer["features"]):
        return answer
    return {**answer, "crs": {"type": "name", "properties": {"name": _CRS_URN}}}


def _in_degrees(geometry: Mapping[str, Any] | None) -> bool:
    point = None if geometry is None else geometry.get("coordinates")
    while isinstance(point, list) and point and isinstance(point[0], list):
        point = point[0]
    return not point or (abs(point[0]) <= 180 and abs(point[1]) <= 180)
