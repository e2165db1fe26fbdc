"""Alerts as the store gives them, made by `detector.alerts`: full, bare, in two parts, with a hole; hostile texts."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import shapely
import shapely.geometry

from api.features import AlertFeature, CollectionInfo
from detector.alerts import Alert, AlertState, AlertStatus, ClosedReason, write_geojson

INFO = CollectionInfo(
    title="Alertes des Landes & <essais>",
    made=dt.datetime(2026, 11, 23, 18, 5, 7, tzinfo=dt.UTC),
    source="Sentinel-2 © Copernicus 2026, Sylvigie",
    licence="ODbL-1.0",
    model_versions=("clearcut-1", "abuse-1"),
    rules_versions=("2026.1-4e7aba88",),
    filters={"state": "confirmed", "departement": "40"},
    link="http://127.0.0.1:8000/api/v1/alerts?departement=40&f=x",
)
SCRIPT = "Saint-Étienne <script>alert('é')</script> & Cie"
FORMULA = '=HYPERLINK("http://mal.example","Sabres")'
HOLE = "SYL-T30TXQ-20260616-aaaa0001"
FULL = "SYL-T30TXQ-20260616-aaaa0002"
BARE = "SYL-T30TXQ-20260616-aaaa0003"
PARTS = "SYL-T30TXQ-20260616-aaaa0004"


def square(lon: float, lat: float, side: float = 0.004) -> shapely.Polygon:
    return shapely.orient_polygons(shapely.box(lon, lat, lon + side, lat + side))


def _alert(alert_id: str, geometry: Any, **more: Any) -> Alert:
    fields: dict[str, Any] = {
        "tile": "T30TXQ",
        "first_detected": dt.date(2026, 6, 30),
        "last_intact": None,
        "first_low": dt.date(2026, 6, 16),
        "state": AlertState.PROVISIONAL,
        "area_ha": 4.25,
        "ndvi_before": None,
        "ndvi_after": None,
        "ndvi_drop": None,
        "n_clear_before": None,
        "n_clear_after": None,
    }
    return Alert(id=alert_id, geometry=geometry, **(fields | more))


def _reason(code: str, fr: str) -> dict[str, Any]:
    return {"code": code, "fr": fr, "en": code, "weight": 1.5, "feature": code, "value": 0.25}


def _full() -> Alert:
    zone = {"layer": "natura2000", "code": "FR7200714", "name": "Zones humides de la Leyre", "area_ha": 2.5}
    return _alert(
        FULL,
        square(-0.75, 44.15),
        state=AlertState.CONFIRMED,
        area_ha=12.05,
        last_intact=dt.date(2026, 5, 30),
        ndvi_drop=0.51,
        n_clear_after=4,
        potentially_abusive=True,
        criteria=(
            {"code": "area", "value": 12.05, "threshold": 10.0, "unit": "ha", "met": True, "source": "x"},
            {"code": "natura2000", "value": 2.5, "threshold": 2.0, "unit": "ha", "met": True, "source": "x"},
            {"code": "steep_block", "value": None, "threshold": 2.0, "unit": "ha", "met": None, "source": "x"},
        ),
        legal_points=(
            {"code": "L124-5", "status": "to_check", "reference": "Code forestier, article L124-5"},
            {"code": "L312-1", "status": "unknown", "reference": "Code forestier, article L312-1"},
        ),
        clearcut_probability=0.97,
        reasons={"clearcut": {"for": [_reason("drop", "le NDVI a chuté")], "against": []}},
        evidence={"ndmi_change": -0.288, "nbr_change": None},
        cause="harvest",
        cause_reasons=({"code": "infrared_lost", "value": 0.3, "fr": "l'eau a disparu", "en": "water was lost"},),
        commune_insee="40246",
        commune=SCRIPT,
        communes=({"insee": "40246", "name": SCRIPT, "share": 0.75}, {"insee": "40319", "name": None, "share": 0.25}),
        departement="40",
        departement_name="Landes",
        essence=FORMULA,
        zoning_ha={"natura2000": 2.5, "znieff1": None, "ebc": 0.125},
        zonings=(zone,),
        nearest_zone={"layer": "natura2000", "code": "FR7200714", "name": None, "distance_m": 0.0},
        scenes_after=("S2A_1", "S2B_2"),
        tiles=("T30TXQ", "T30TYQ"),
        updated=dt.date(2026, 7, 31),
    )


def alerts() -> list[Alert]:
    """Four alerts, by identity."""
    pierced = square(-0.8, 44.1).difference(square(-0.799, 44.101, 0.001))
    parts = shapely.MultiPolygon([square(-0.7, 44.2), square(-0.69, 44.2)])
    closed = {"status": AlertStatus.CLOSED, "closed_reason": ClosedReason.CLOUD, "closed_on": dt.date(2026, 7, 31)}
    return [
        _alert(HOLE, shapely.orient_polygons(pierced)),
        _full(),
        _alert(BARE, square(-0.6, 44.3)),
        _alert(PARTS, parts, merged_into=HOLE, **closed),
    ]


def features(folder: Path) -> list[AlertFeature]:
    """`alerts`, written by `detector.alerts` and read as the store reads them."""
    path = folder / "alerts.geojson"
    write_geojson(alerts(), path)
    with path.open(encoding="utf-8") as file:
        return [of_mapping(feature) for feature in json.load(file)["features"]]


def of_mapping(feature: dict[str, Any]) -> AlertFeature:
    text = json.dumps(feature, ensure_ascii=False)
    return AlertFeature(feature["id"], text, shapely.to_wkb(shapely.geometry.shape(feature["geometry"])))


def emptied(feature: AlertFeature) -> AlertFeature:
    """The same with nothing known."""
    mapping = json.loads(feature.text)
    mapping["properties"] = dict.fromkeys(mapping["properties"])
    return of_mapping(mapping)


def many(like: AlertFeature, n: int) -> Iterator[AlertFeature]:
    """SIMULATED: `n` alerts like one, one after the other, none kept."""
    for i in range(n):
        name = f"SYL-T30TXQ-20260616-{i:08x}"
        outline = square(-1.0 + 0.001 * (i % 1000), 43.0 + 0.001 * (i // 1000), 0.0005)
        yield AlertFeature(name, like.text.replace(like.id, name), shapely.to_wkb(outline))
