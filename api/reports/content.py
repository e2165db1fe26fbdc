"""What an observation report may hold, checked field by field against the form; and the outline that it corrects."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any, Final

import pyproj
import shapely
from shapely.geometry.base import BaseGeometry

from api.exports.tables import clean
from api.reports.form import FORM, Answer, FormField
from tiles.errors import InvalidParameterError

LONGEST_LINE: Final = 300
LONGEST_PARAGRAPH: Final = 10_000
"""Characters."""
MOST_VERTICES: Final = 2000
_FURTHEST_DEGREES: Final = 0.05
"""An outline lies around its alert: some four kilometres."""
_MOST_HA: Final = 2000.0
_APART: Final = frozenset({"id", "alert_id", "observed_on"})
"""Fields of the form that the store keeps in columns of their own."""

FIELDS: Final[Mapping[str, FormField]] = {
    field.name: field for field in FORM if field.answer is not Answer.PHOTO and field.name not in _APART
}
"""What the content holds, by name."""

FOLLOW_UP: Final[Mapping[str, FormField]] = {
    field.name: field
    for field in (
        FormField("pefc", "PEFC : réclamation", Answer.PARAGRAPH),
        FormField("red_iii", "RED III : signalement", Answer.PARAGRAPH),
        FormField("ofb_complaint", "OFB : plainte", Answer.PARAGRAPH),
        FormField("cnpf_ddt_alert", "CNPF ou DDT : alerte (SRGS, seuils)", Answer.PARAGRAPH),
        FormField("psg_request", "PSG : demande", Answer.PARAGRAPH),
        FormField("steps_taken", "Démarches faites", Answer.PARAGRAPH),
    )
}
"""What administrators keep of what was done about a report."""


def checked(answers: Mapping[str, Any], fields: Mapping[str, FormField] = FIELDS) -> dict[str, str]:
    """Answers as they are kept: texts without control characters, in the form's order; what is empty is left out.

    Parameters
    ----------
    answers
        By name.
    fields
        That there are.

    Raises
    ------
    tiles.errors.InvalidParameterError
        When there is no such field, or an answer will not do: the field is named, the answer is not repeated.
    """
    unknown = sorted(set(answers) - set(fields))
    if unknown:
        raise InvalidParameterError(f"The form has no field {unknown[0][:64]}.")
    kept = {}
    for name, field in fields.items():
        value = answers.get(name)
        if value is None or value == "":
            continue
        kept[name] = _checked_one(name, field, value)
    return {name: value for name, value in kept.items() if value}


def _checked_one(name: str, field: FormField, value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidParameterError(f"{name} will not do: it is a text.")
    if field.choices and value not in {choice for choice, _ in field.choices}:
        raise InvalidParameterError(f"{name} will not do: it is one of {', '.join(c for c, _ in field.choices)}.")
    longest = LONGEST_PARAGRAPH if field.answer is Answer.PARAGRAPH else LONGEST_LINE
    if len(value) > longest:
        raise InvalidParameterError(f"{name} will not do: it is longer than {longest} characters.")
    return clean(value).strip()


def checked_day(day: dt.date, today: dt.date) -> dt.date:
    """The day of a visit.

    Raises
    ------
    tiles.errors.InvalidParameterError
        When it is before Sentinel-2, or after tomorrow: somewhere on Earth it is tomorrow already.
    """
    if not dt.date(2015, 6, 23) <= day <= today + dt.timedelta(days=1):
        raise InvalidParameterError("observed_on will not do: a visit is not before June 2015, nor in the future.")
    return day


def checked_outline(geometry: Mapping[str, Any], alert: BaseGeometry) -> bytes:
    """An outline that a person has corrected, as WKB.

    Parameters
    ----------
    geometry
        GeoJSON, in degrees.
    alert
        The outline of the alert.

    Raises
    ------
    tiles.errors.InvalidParameterError
        When it is no polygon, crosses itself, is too large or too fine, or lies elsewhere.
    """
    try:
        shape = shapely.from_geojson(json.dumps(geometry))
    except (TypeError, ValueError, shapely.GEOSException):
        shape = shapely.Point()
    if shape.geom_type not in ("Polygon", "MultiPolygon") or shape.is_empty or shape.has_z:
        raise InvalidParameterError("outline will not do: it is a GeoJSON Polygon or MultiPolygon in degrees.")
    if shapely.get_num_coordinates(shape) > MOST_VERTICES:
        raise InvalidParameterError(f"outline will not do: it has more than {MOST_VERTICES} vertices.")
    if not shape.is_valid:
        raise InvalidParameterError("outline will not do: it crosses itself.")
    west, south, east, north = alert.bounds
    margin = _FURTHEST_DEGREES
    if not shapely.box(west - margin, south - margin, east + margin, north + margin).contains(shape):
        raise InvalidParameterError("outline will not do: it lies elsewhere than its alert.")
    area_m2, _ = pyproj.Geod(ellps="GRS80").geometry_area_perimeter(shape)
    if abs(area_m2) > _MOST_HA * 10_000:
        raise InvalidParameterError(f"outline will not do: it has more than {_MOST_HA:.0f} ha.")
    return bytes(shapely.to_wkb(shapely.orient_polygons(shape)))
