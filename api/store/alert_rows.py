"""From an alert as a scan tells it to the rows and the document that the store keeps of it."""

from __future__ import annotations

import json
from typing import Any

import shapely
import shapely.geometry

from api.store.scan_files import FoundAlert

SEEN_SINCE = "seen_since"
"""Field of an alert that people have decided of: month, state, status and hectares of a later scan that differ."""

_COLUMNS = ("tile", "state", "status", "cause", "potentially_abusive", "commune_insee", "commune", "departement")
_NUMBERS = ("area_ha", "clearcut_probability", "abuse_score")
_VERSIONS = ("model_version", "rules_version")


def alert_row(found: FoundAlert, review: str) -> dict[str, Any]:
    """What is searched of an alert; the columns of the store's own are not in it."""
    told = found.properties
    return {
        "id": found.id,
        "review": review,
        **{name: told.get(name) for name in (*_COLUMNS, *_NUMBERS, *_VERSIONS)},
        **{name: found.day(name) for name in ("first_detected", "last_intact", "first_low", "updated")},
        **_place(found),
    }


def said_row(found: FoundAlert, month: str) -> dict[str, Any]:
    """What a month's scan said of an alert."""
    told = found.properties
    return {
        "month": month,
        **{name: told[name] for name in ("state", "status", "area_ha")},
        "properties": json.dumps(told, ensure_ascii=False),
        **_place(found),
    }


def document_of(found: FoundAlert, review: str) -> str:
    """The GeoJSON feature that is given out, on one line; what people decided is the store's, not the scan's."""
    feature = {
        "type": "Feature",
        "id": found.id,
        "geometry": shapely.geometry.mapping(found.geometry),
        "properties": {**found.properties, "review": review},
    }
    return json.dumps(feature, ensure_ascii=False, allow_nan=False)


def beside_document(document: str, found: FoundAlert, month: str) -> str | None:
    """The document of an alert that people have decided of, with what a later scan saw beside it.

    Parameters
    ----------
    document
        As it stands.
    found
        What the scan says; where that is what stands, nothing is beside it any more.
    month
        Of the scan.

    Returns
    -------
    str or None
        None where nothing changes, or the scan is older than that which is beside it already.
    """
    feature = json.loads(document)
    published = feature["properties"]
    before = published.pop(SEEN_SINCE, None)
    if before is not None and before["month"] > month:
        return None
    seen = {name: found.properties[name] for name in ("state", "status", "area_ha")}
    if json.dumps(feature, ensure_ascii=False, allow_nan=False) == document_of(found, published["review"]):
        if before is None:
            return None
    elif before is not None and seen.items() <= before.items():
        return None
    else:
        published[SEEN_SINCE] = {"month": month} | seen
    return json.dumps(feature, ensure_ascii=False, allow_nan=False)


def _place(found: FoundAlert) -> dict[str, Any]:
    bounds = dict(zip(("min_lon", "min_lat", "max_lon", "max_lat"), found.geometry.bounds, strict=True))
    return {**bounds, "geometry": shapely.to_wkb(found.geometry)}
