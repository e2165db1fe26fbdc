"""The columns of an alert where a form has columns: names for programs, words for people, types."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import pyarrow as pa
import shapely

from api.features import AlertFeature

BATCH: Final = 1000
"""Rows that are in memory at once."""


class Kind(StrEnum):
    """What a column holds."""

    TEXT = "text"
    NUMBER = "number"
    COUNT = "count"
    DATE = "date"
    YES_NO = "yes_no"


@dataclass(frozen=True)
class Column:
    """A column.

    Parameters
    ----------
    name
        For programs, as the alert's field.
    french
        For people, with the unit.
    kind
        What it holds.
    of
        Takes it from an alert's fields; the field of that name by itself where None.
    """

    name: str
    french: str
    kind: Kind
    of: Callable[[Mapping[str, Any]], Any] | None = None

    def value(self, told: Mapping[str, Any]) -> Any:
        """The value of an alert, as Python has it; None where it is not known."""
        value = told.get(self.name) if self.of is None else self.of(told)
        if value is not None and self.kind is Kind.DATE:
            return dt.date.fromisoformat(value)
        return value


def _listed(field: str, key: str, condition: Callable[[Mapping[str, Any]], bool]) -> Callable[[Mapping[str, Any]], Any]:
    def of(told: Mapping[str, Any]) -> str | None:
        items = told.get(field)
        if items is None:
            return None
        return "; ".join(dict.fromkeys(str(item.get(key)) for item in items if condition(item)))

    return of


_CRITERIA = _listed("criteria", "code", lambda criterion: bool(criterion.get("met")))
_LEGAL = _listed("legal_points", "code", lambda point: point.get("status") == "to_check")
_ZONES = _listed("zonings", "name", lambda zone: bool(zone.get("name")))

COLUMNS: Final = (
    Column("state", "État (provisoire, confirmée)", Kind.TEXT),
    Column("status", "Suivi (ouverte, établie, close)", Kind.TEXT),
    Column("review", "Revue", Kind.TEXT),
    Column("area_ha", "Surface (ha), cartographiée, non corrigée", Kind.NUMBER),
    Column("last_intact", "Dernière date intacte", Kind.DATE),
    Column("first_low", "Première date de perte", Kind.DATE),
    Column("first_detected", "Première détection", Kind.DATE),
    Column("updated", "Dernier changement", Kind.DATE),
    Column("cause", "Cause", Kind.TEXT),
    Column("clearcut_probability", "Probabilité de coupe rase", Kind.NUMBER),
    Column("abuse_score", "Priorité de revue (0 à 1)", Kind.NUMBER),
    Column("potentially_abusive", "Potentiellement abusive", Kind.YES_NO),
    Column("criteria", "Critères remplis", Kind.TEXT, _CRITERIA),
    Column("legal_points", "Points de droit à vérifier", Kind.TEXT, _LEGAL),
    Column("commune", "Commune", Kind.TEXT),
    Column("commune_insee", "Commune (INSEE)", Kind.TEXT),
    Column("departement", "Département", Kind.TEXT),
    Column("region", "Région", Kind.TEXT),
    Column("forest_type", "Type de forêt", Kind.TEXT),
    Column("essence", "Essence", Kind.TEXT),
    Column("slope_mean_pct", "Pente moyenne (%)", Kind.NUMBER),
    Column("slope_block_ha", "Plus grand bloc en pente (ha)", Kind.NUMBER),
    Column("natura2000_ha", "En Natura 2000 (ha)", Kind.NUMBER),
    Column("zonings", "Zonages", Kind.TEXT, _ZONES),
    Column("ndvi_before", "NDVI avant", Kind.NUMBER),
    Column("ndvi_after", "NDVI après", Kind.NUMBER),
    Column("ndvi_drop", "Baisse du NDVI", Kind.NUMBER),
    Column("n_clear_before", "Dates claires avant", Kind.COUNT),
    Column("n_clear_after", "Dates claires après", Kind.COUNT),
    Column("tile", "Tuile Sentinel-2", Kind.TEXT),
    Column("model_version", "Version du modèle", Kind.TEXT),
    Column("rules_version", "Version des règles", Kind.TEXT),
)
"""After `id`, which comes first everywhere."""

_ARROW: Final = {
    Kind.TEXT: pa.string(),
    Kind.NUMBER: pa.float64(),
    Kind.COUNT: pa.int32(),
    Kind.DATE: pa.date32(),
    Kind.YES_NO: pa.bool_(),
}


def batches(features: Iterable[AlertFeature]) -> Iterator[Sequence[AlertFeature]]:
    """Features, some at a time."""
    some: list[AlertFeature] = []
    for feature in features:
        some.append(feature)
        if len(some) == BATCH:
            yield some
            some = []
    if some:
        yield some


def point_of(feature: AlertFeature) -> tuple[float, float]:
    """Longitude and latitude of a place within the outline, to seven decimals."""
    point = shapely.point_on_surface(feature.geometry)
    return round(float(point.x), 7), round(float(point.y), 7)


def arrow_schema() -> pa.Schema:
    """`id`, `COLUMNS`, and `geometry`: WKB, always a MultiPolygon."""
    fields = [("id", pa.string()), *((column.name, _ARROW[column.kind]) for column in COLUMNS)]
    return pa.schema([*fields, ("geometry", pa.binary())])


def arrow_batch(features: Sequence[AlertFeature]) -> pa.RecordBatch:
    """Features as a batch of `arrow_schema`."""
    told = [feature.properties for feature in features]
    arrays: list[pa.Array] = [pa.array([feature.id for feature in features], pa.string())]
    for column in COLUMNS:
        arrays.append(pa.array([column.value(each) for each in told], _ARROW[column.kind]))
    shapes = [
        shape if shape.geom_type == "MultiPolygon" else shapely.MultiPolygon([shape])
        for shape in (feature.geometry for feature in features)
    ]
    arrays.append(pa.array(list(shapely.to_wkb(shapes)), pa.binary()))
    return pa.RecordBatch.from_arrays(arrays, schema=arrow_schema())
