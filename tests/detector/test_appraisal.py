"""What is said of alerts beyond the imagery: the design's examples, from outlines to criteria in the published file."""

from __future__ import annotations

import dataclasses
import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine
from shapely.geometry.base import BaseGeometry

from detector.alerts import Alert, AlertState, write_geojson
from detector.appraisal import LayersAndRules, ground_of
from detector.criteria.loading import load_rules
from detector.outlines import measure
from tests.fakes.layers import FakeLayers, FakeRaster, layers_of, vector, write_raster, zones

#: In the Landes, Lambert-93.
X, Y = 400_000.0, 6_350_000.0
CUT_ON = date(2026, 3, 12)
#: What the infrared shows of a felling: of the demo's real openings, rounded.
FELLED = {"ndmi_change": -0.27, "nir_kept": 0.8, "swir16_kept": 1.4, "swir16_after": 0.28, "ndmi_drift": 0.0}
#: Geodesic square metres of one of Lambert-93 are not one: the side of a square that holds a hectare here.
TO_WGS84 = pyproj.Transformer.from_crs(2154, 4326, always_xy=True)


def _wgs84(shape: BaseGeometry) -> BaseGeometry:
    return shapely.transform(shape, lambda xy: np.stack(TO_WGS84.transform(*xy.T), axis=1))


def _side_m(hectares: float) -> float:
    """Side of a square of so many geodesic hectares, in Lambert-93 metres."""
    trial = np.array([_wgs84(shapely.box(X, Y, X + 100, Y + 100))])
    return 100 * float(np.sqrt(hectares / measure(trial)[0][0]))


def _cut(hectares: float, x: float = X, y: float = Y) -> BaseGeometry:
    side = _side_m(hectares)
    return shapely.box(x, y, x + side, y + side)


def _alert(shape: BaseGeometry, **changes: Any) -> tuple[Alert, BaseGeometry]:
    ground = _wgs84(shape)
    alert = Alert(
        id="SYL-30TXP-20260312-00000000",
        geometry=ground,
        tile="30TXP",
        first_detected=date(2026, 3, 31),
        last_intact=date(2026, 2, 20),
        first_low=CUT_ON,
        state=AlertState.CONFIRMED,
        area_ha=float(measure(np.array([ground]))[0][0]),
        ndvi_before=0.8,
        ndvi_after=0.3,
        ndvi_drop=0.5,
        n_clear_before=20,
        n_clear_after=4,
        evidence=FELLED,
    )
    return dataclasses.replace(alert, **changes), ground


def _appraised(layers: FakeLayers, *cuts: tuple[Alert, BaseGeometry]) -> tuple[list[Alert], tuple[str, ...]]:
    appraise = LayersAndRules(layers, load_rules())
    found = appraise([alert for alert, _ in cuts], [ground for _, ground in cuts], date(2020, 1, 1))
    return list(found.alerts), found.warnings


def _met(alert: Alert) -> dict[str, bool | None]:
    assert alert.criteria is not None
    return {criterion["code"]: criterion["met"] for criterion in alert.criteria}


def _statuses(alert: Alert) -> dict[str, str]:
    assert alert.legal_points is not None
    return {point["code"]: point["status"] for point in alert.legal_points}


def _everything(tmp_path: Path, slope_pct: float = 0.0) -> FakeLayers:
    """Landes, one commune, a ZSC and a ZPS over all of it, ground that falls eastwards."""
    square = shapely.box(X - 5000, Y - 5000, X + 5000, Y + 5000)
    cols = np.arange(400) * 25.0
    heights = np.broadcast_to(1000 - cols * slope_pct / 100, (400, 400)).astype(np.float32)
    dem = write_raster(tmp_path / "dem.tif", heights, Affine(25, 0, X - 5000, 0, -25, Y + 5000))
    return layers_of(
        vector("communes", [square], insee=["40088"], name=["Dax"], departement=["40"], region=["75"]),
        vector("departements", [square], insee=["40"], name=["Landes"], region=["75"]),
        vector("regions", [square], insee=["75"], name=["Nouvelle-Aquitaine"]),
        vector("forest", [square], code_tfv=["FF2-51-51"], tfv=["pin maritime"], essence=["Pin maritime"]),
        zones("natura2000_zsc", square),
        zones("natura2000_zps", square),
        FakeRaster("elevation", (dem,)),
    )


def test_six_hectares_in_a_zsc_and_a_zps_are_six_hectares(tmp_path: Path) -> None:
    (alert,), _ = _appraised(_everything(tmp_path), _alert(_cut(6)))
    assert alert.area_ha == pytest.approx(6, abs=1e-3)
    assert alert.natura2000_ha == pytest.approx(alert.area_ha, abs=1e-6)
    assert _met(alert) == {"area": False, "natura2000": True, "steep_block": False}
    assert alert.potentially_abusive is True
    assert (alert.commune, alert.departement, alert.region_name) == ("Dax", "40", "Nouvelle-Aquitaine")
    assert alert.essence == "Pin maritime"
    assert sorted(zone["layer"] for zone in alert.zonings or ()) == ["natura2000_zps", "natura2000_zsc"]


def test_a_steep_cut_meets_the_criterion_of_slope(tmp_path: Path) -> None:
    (alert,), _ = _appraised(_everything(tmp_path, slope_pct=35), _alert(_cut(3)))
    assert alert.slope_mean_pct == pytest.approx(35, rel=0.01)
    assert alert.slope_block_ha == pytest.approx(3, abs=1e-3)
    assert _met(alert)["steep_block"] is True


def test_without_layers_all_is_unknown_and_told() -> None:
    (alert,), warnings = _appraised(layers_of(), _alert(_cut(6)))
    for name in ("commune", "departement", "forest_type", "slope_block_ha", "natura2000_ha", "zonings", "communes"):
        assert getattr(alert, name) is None, name
    assert _met(alert) == {"area": False, "natura2000": None, "steep_block": None}
    assert alert.potentially_abusive is None
    assert any("natura2000_zsc is not installed" in warning for warning in warnings)


def test_ten_hectares_are_met_whatever_the_layers_do_not_know() -> None:
    (alert,), _ = _appraised(layers_of(), _alert(_cut(11)))
    assert _met(alert)["area"] is True
    assert alert.potentially_abusive is True


@pytest.mark.parametrize(
    ("evidence", "cause", "abusive"),
    [
        (FELLED, "harvest", True),
        (FELLED | {"ndmi_change": -0.15}, "uncertain", None),
        (FELLED | {"nir_kept": 0.4, "swir16_kept": 0.9, "swir16_after": 0.12}, "fire", False),
        (None, "uncertain", None),
    ],
)
def test_criteria_apply_to_harvest(evidence: dict[str, float] | None, cause: str, abusive: bool | None) -> None:
    (alert,), _ = _appraised(layers_of(), _alert(_cut(11), evidence=evidence))
    assert (alert.cause, alert.potentially_abusive) == (cause, abusive)
    assert alert.cause_reasons


def test_a_mapped_fire_is_the_cause_whatever_the_infrared_shows() -> None:
    square = shapely.box(X - 5000, Y - 5000, X + 5000, Y + 5000)

    def burnt(day: str) -> FakeLayers:
        return layers_of(vector("burnt_areas", [square], code=["F1"], name=["Feu"], date=[day], end_date=[None]))

    (alert,), _ = _appraised(burnt("2026-02-25"), _alert(_cut(11)))
    assert (alert.cause, alert.potentially_abusive) == ("fire", False)
    assert alert.cause_reasons is not None
    assert [(reason["code"], reason["value"]) for reason in alert.cause_reasons] == [("mapped_fire", pytest.approx(1))]
    # The trees were seen standing after it: what the fire left may have been cleared, and a person decides.
    (alert,), _ = _appraised(burnt("2025-08-01"), _alert(_cut(11)))
    assert alert.cause == "uncertain"
    assert alert.cause_reasons is not None
    assert alert.cause_reasons[0]["code"] == "cleared_mapped_fire"


def test_ground_that_is_no_forest_in_the_layer_is_no_felling() -> None:
    square = shapely.box(X - 5000, Y - 5000, X + 5000, Y + 5000)
    heath = vector("forest", [square], code_tfv=["LA4"], tfv=["Lande"], essence=["NC"])
    (alert,), _ = _appraised(layers_of(heath), _alert(_cut(11)))
    assert (alert.cause, alert.potentially_abusive) == ("not_forest", False)
    felled = vector("forest", [square], code_tfv=["FO0"], tfv=["Jeune forêt ou coupe"], essence=["NC"])
    (alert,), _ = _appraised(layers_of(felled), _alert(_cut(11)))
    assert alert.cause == "harvest"


def test_a_property_of_22_hectares_has_its_plan_checked_once_a_person_has_said_so(tmp_path: Path) -> None:
    layers = _everything(tmp_path)
    (unknown,), _ = _appraised(layers, _alert(_cut(6)))
    (entered,), _ = _appraised(layers, _alert(_cut(6), property_ha=22.0))
    psg = "L312-1"
    assert (_statuses(unknown)[psg], _statuses(entered)[psg]) == ("unknown", "to_check")


def test_a_departement_without_threshold_is_unknown(tmp_path: Path) -> None:
    (alert,), _ = _appraised(_everything(tmp_path), _alert(_cut(6)))
    assert _statuses(alert)["L124-6"] == "unknown"


def test_neighbours_are_summed_up_from_the_alerts_themselves(tmp_path: Path) -> None:
    first, second = _cut(6), _cut(2, X + _side_m(6) + 50)
    earlier = _alert(first, first_low=date(2025, 9, 1), id="SYL-30TXP-20250901-00000000")
    (of_first, of_second), _ = _appraised(_everything(tmp_path), earlier, _alert(second))
    assert of_second.nearest_cut_m == pytest.approx(50, abs=0.5)
    assert of_second.cut_100m_1y_ha == pytest.approx(6, abs=1e-2)
    assert of_first.cut_100m_1y_ha == 0


def test_all_of_it_is_in_the_published_file(tmp_path: Path) -> None:
    (alert,), _ = _appraised(_everything(tmp_path, slope_pct=35), _alert(_cut(6)))
    write_geojson([alert], tmp_path / "alerts.geojson")
    (feature,) = json.loads((tmp_path / "alerts.geojson").read_text(encoding="utf-8"))["features"]
    told = feature["properties"]
    assert told["forest_shares"] == {"FF2-51-51": 1.0}
    assert told["communes"] == [{"insee": "40088", "name": "Dax", "share": 1.0}]
    assert {zone["area_ha"] for zone in told["zonings"]} == {6.0}
    assert told["zoning_ha"]["natura2000"] == 6.0
    assert told["zoning_ha"]["appb"] is None
    assert told["nearest_zone"]["distance_m"] == 0
    assert told["rules_version"]
    assert {criterion["code"] for criterion in told["criteria"]} == {"area", "natura2000", "steep_block"}


def test_the_ground_of_an_alert_is_that_of_its_patches() -> None:
    west, east = shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1)
    assert ground_of([west]) is west
    assert ground_of([west, east]).equals(shapely.box(0, 0, 2, 1))
