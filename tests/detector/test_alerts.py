"""Alerts: identities, dates, and files that other tools open."""

from __future__ import annotations

import dataclasses
import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import pyogrio
import pyproj
import pytest
import shapely
from affine import Affine

from detector.alerts import (
    Alert,
    AlertState,
    ReviewState,
    ScanContext,
    build_alerts,
    write_features,
    write_geojson,
)
from detector.features import FEATURES, patch_features
from detector.params import PatchParams
from detector.patches import find_patches
from tests.detector.fakes import FIELDS, FIRST_LOW, LAEA, UTM, blob, changed, merged
from tiles.change import ChangedPixels, PixelState
from tiles.errors import OutputError
from tiles.grid import Grid

SCENES = (
    (date(2019, 6, 9), "S2_0609"),
    (date(2019, 5, 20), "S2_0520_b"),
    (date(2019, 5, 20), "S2_0520_a"),
    (date(2019, 5, 30), "S2_0530"),
    (date(2019, 7, 14), "S2_0714"),
    (date(2019, 8, 3), "S2_0803"),
)
CONTEXT = ScanContext(tile="31TDL", month_end=date(2019, 7, 31), scenes=SCENES)
ANY_SIZE = PatchParams(min_area_ha=0)
NAT = np.datetime64("NaT", "D")
#: `printf '31TDL|EPSG:32631|499375.000|4999765.000' | sha256sum`: column 37, row 23, their pixel's centre.
HAND_MADE = "1a869f06"

STILL_TO_COME = [
    "clearcut_probability",
    "abuse_score",
    "potentially_abusive",
    "criteria",
    "legal_points",
    "evidence",
    "cause",
    "cause_reasons",
    "commune_insee",
    "commune",
    "communes",
    "departement",
    "departement_name",
    "region",
    "region_name",
    "forest_type",
    "forest_shares",
    "essence",
    "tree_cover_pct",
    "elevation_m",
    "slope_mean_pct",
    "slope_max_pct",
    "slope_block_ha",
    "aspect_deg",
    "natura2000_ha",
    "zoning_ha",
    "zonings",
    "nearest_zone",
    "nearest_cut_m",
    "cut_100m_1y_ha",
    "cut_100m_5y_ha",
    "watercourse_m",
    "burnt_ha",
    "storm_ha",
    "fires",
    "storms",
    "property_ha",
    "model_version",
    "rules_version",
]


def alerts_of(
    pixels: ChangedPixels, grid: Grid = UTM, context: ScanContext = CONTEXT, params: PatchParams = ANY_SIZE
) -> list[Alert]:
    patches = find_patches(pixels, grid, params)
    return build_alerts(patches, patch_features(patches, pixels, grid), pixels, grid, context, params)


def square(**columns: Any) -> ChangedPixels:
    return changed(np.ones((10, 10), bool), 20, 30, **columns)


def written(alerts: list[Alert], path: Path) -> dict[str, Any]:
    write_geojson(alerts, path)
    document = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


def test_an_alert_of_a_known_square() -> None:
    (alert,) = alerts_of(square(ndvi_after=0.35))
    assert re.fullmatch(r"SYL-31TDL-20190609-[0-9a-f]{8}", alert.id)
    assert (alert.tile, alert.first_detected) == ("31TDL", date(2019, 7, 31))
    assert (alert.last_intact, alert.first_low) == (date(2019, 5, 20), date(2019, 6, 9))
    assert (alert.state, alert.review) == (AlertState.CONFIRMED, ReviewState.TO_REVIEW)
    assert alert.area_ha == pytest.approx(1.0008, abs=1e-4)
    assert (alert.ndvi_before, alert.ndvi_after, alert.ndvi_drop) == pytest.approx((0.8, 0.35, 0.4))
    assert (alert.n_clear_before, alert.n_clear_after) == (12, 4)
    assert alert.scenes_before == ("S2_0520_a", "S2_0520_b")
    assert alert.scenes_after == ("S2_0609", "S2_0714")
    assert {name: getattr(alert, name) for name in STILL_TO_COME} == dict.fromkeys(STILL_TO_COME)


def test_fields_are_those_of_the_design() -> None:
    assert [field.name for field in dataclasses.fields(Alert)] == ["id", "geometry", *FIELDS]


def test_versions_come_from_the_scan() -> None:
    context = dataclasses.replace(CONTEXT, model_version="m1", rules_version="r2")
    (alert,) = alerts_of(square(), context=context)
    assert (alert.model_version, alert.rules_version) == ("m1", "r2")


@pytest.mark.parametrize(
    ("provisional_rows", "share", "state"),
    [(0, 0.5, "confirmed"), (5, 0.5, "confirmed"), (6, 0.5, "provisional"), (6, 0.4, "confirmed")],
)
def test_state_by_the_share_of_confirmed_pixels(provisional_rows: int, share: float, state: str) -> None:
    pixels = square()
    patches = find_patches(pixels, UTM, PatchParams())
    features = patch_features(patches, pixels, UTM)
    features["confirmed_share"] = 1 - provisional_rows / 10
    params = PatchParams(confirmed_share=share)
    (alert,) = build_alerts(patches, features, pixels, UTM, CONTEXT, params)
    assert alert.state == state


def test_provisional_pixels_make_a_provisional_alert() -> None:
    (alert,) = alerts_of(square(state=PixelState.PROVISIONAL))
    assert alert.state is AlertState.PROVISIONAL


def test_never_seen_intact_is_null() -> None:
    (alert,) = alerts_of(square(last_intact=NAT, ndvi_before=np.nan))
    assert alert.last_intact is None
    assert alert.scenes_before is None
    assert alert.ndvi_before is None


def test_identity_is_that_of_the_place_and_date() -> None:
    drop = np.full((10, 10), 0.4)
    drop[3, 7] = 0.6
    (alert,) = alerts_of(square(drop=drop))
    assert alert.id == "SYL-31TDL-20190609-" + HAND_MADE
    bolder = PatchParams(seed_drop=0.5, growth_drop=0.3, min_area_ha=0.1, simplify_tolerance_px=0)
    assert alerts_of(square(drop=drop), params=bolder)[0].id == alert.id


@pytest.mark.parametrize(
    "other",
    [
        {"context": dataclasses.replace(CONTEXT, tile="31TDM")},
        {"grid": dataclasses.replace(UTM, transform=UTM.transform @ Affine.translation(1, 0))},
        {"grid": LAEA},
        {"pixels": square(first_low=np.datetime64("2019-06-10"))},
        {"pixels": square(drop=np.arange(200, 300).reshape(10, 10) / 1000)},
    ],
    ids=["tile", "place", "system", "date", "anchor"],
)
def test_identities_differ(other: dict[str, Any]) -> None:
    arguments: dict[str, Any] = {"pixels": square()} | other
    assert alerts_of(**arguments)[0].id != alerts_of(square())[0].id


def test_ties_of_the_anchor_go_to_the_first_pixel() -> None:
    drop = np.full((10, 10), 0.3)
    drop[0, 0] = 0.5
    first = alerts_of(square(drop=drop))[0].id
    drop[9, 9] = 0.5
    assert alerts_of(square(drop=drop))[0].id == first


def test_identity_and_bytes_do_not_depend_on_the_order_of_patches(tmp_path: Path) -> None:
    pixels = merged([changed(blob(1)), changed(blob(2), 60, 50), changed(blob(3), 120, 10)])
    patches = find_patches(pixels, UTM, ANY_SIZE)
    assert len(patches) > 10
    contents = set()
    for seed in range(4):
        order = np.random.default_rng(seed).permutation(len(patches))
        shuffled = [patches[i] for i in order]
        alerts = build_alerts(shuffled, patch_features(shuffled, pixels, UTM), pixels, UTM, CONTEXT)
        write_geojson(alerts, tmp_path / "alerts.geojson")
        contents.add((tmp_path / "alerts.geojson").read_bytes())
    assert len(contents) == 1


def test_two_places_that_draw_one_name_get_two(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Clumsy:
        def __init__(self, seed: bytes) -> None:
            self.seed = seed

        def hexdigest(self) -> str:
            return "0" * 8 if self.seed.count(b"|") == 3 else f"{int(self.seed.rpartition(b'|')[2]):08x}"

    monkeypatch.setattr("detector.alerts.hashlib.sha256", Clumsy)
    pixels = merged([changed(np.ones((2, 2), bool), 10 * i, 0) for i in range(3)])
    ids = [alert.id[-8:] for alert in alerts_of(pixels)]
    assert ids == ["00000000", "00000001", "00000002"]


def test_geojson_is_rfc_7946(tmp_path: Path) -> None:
    grid = UTM
    document = written(alerts_of(merged([changed(blob(7)), square(state=2)]), grid), tmp_path / "a.geojson")
    assert document["type"] == "FeatureCollection"
    assert "crs" not in document
    assert len(document["features"]) > 3
    west, south, east, north = grid.bounds_wgs84()
    ids = [feature["id"] for feature in document["features"]]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    for feature in document["features"]:
        assert list(feature["properties"]) == FIELDS
        geometry = shapely.geometry.shape(feature["geometry"])
        assert geometry.is_valid
        for part in shapely.get_parts(geometry):
            assert part.exterior.is_ccw
            assert not any(ring.is_ccw for ring in part.interiors)
        lon, lat = shapely.get_coordinates(geometry).T
        assert west <= lon.min() <= lon.max() <= east
        assert south <= lat.min() <= lat.max() <= north
        np.testing.assert_array_equal(np.round([lon, lat], 7), [lon, lat])


def test_published_outline_lies_where_the_pixels_are(tmp_path: Path) -> None:
    document = written(alerts_of(square()), tmp_path / "a.geojson")
    ring = np.array(document["features"][0]["geometry"]["coordinates"][0])
    x, y = pyproj.Proj("EPSG:32631")(*ring.T)
    assert (min(x), max(x), min(y), max(y)) == pytest.approx((499_300, 499_400, 4_999_700, 4_999_800), abs=0.02)


def test_provisional_ring_around_an_opening_keeps_its_hole(tmp_path: Path) -> None:
    state = np.full((20, 20), PixelState.PROVISIONAL)
    state[5:15, 5:15] = PixelState.CONFIRMED
    first_low = np.where(state == PixelState.PROVISIONAL, FIRST_LOW + 21, FIRST_LOW)
    alerts = alerts_of(changed(np.ones((20, 20), bool), state=state, first_low=first_low))
    document = written(alerts, tmp_path / "a.geojson")
    rings = sorted(len(feature["geometry"]["coordinates"]) for feature in document["features"])
    assert rings == [1, 2]


def test_properties_are_plain(tmp_path: Path) -> None:
    (alert,) = alerts_of(square(last_intact=NAT, ndvi_after=0.123456))
    alert = dataclasses.replace(
        alert,
        clearcut_probability=float("nan"),
        criteria=({"code": "area", "value": 12.34567, "met": True},),
        commune="Évaux-les-Bains",
    )
    properties = written([alert], tmp_path / "a.geojson")["features"][0]["properties"]
    assert properties["first_low"] == "2019-06-09"
    assert properties["first_detected"] == "2019-07-31"
    assert properties["last_intact"] is None
    assert properties["clearcut_probability"] is None
    assert properties["ndvi_after"] == 0.1235
    assert properties["area_ha"] == 1.0008
    assert properties["criteria"] == [{"code": "area", "value": 12.3457, "met": True}]
    assert properties["state"] == "confirmed"
    assert properties["review"] == "to_review"
    assert "Évaux" in (tmp_path / "a.geojson").read_text(encoding="utf-8")


def test_gdal_and_geopandas_open_the_file_and_keep_identities(tmp_path: Path) -> None:
    alerts = alerts_of(merged([changed(blob(7)), square(state=2)]))
    write_geojson(alerts, tmp_path / "alerts.geojson")
    frame = geopandas.read_file(tmp_path / "alerts.geojson")
    assert frame.crs.to_epsg() == 4326
    assert frame["id"].tolist() == sorted(alert.id for alert in alerts)
    areas = dict(zip(frame["id"], frame["area_ha"], strict=True))
    assert areas == {alert.id: round(alert.area_ha, 4) for alert in alerts}
    geodesic = frame.geometry.to_crs("EPSG:3035").area / 1e4
    assert geodesic.sum() == pytest.approx(frame["area_ha"].sum(), rel=0.05)


def test_no_alert_gives_an_empty_collection_that_gdal_opens(tmp_path: Path) -> None:
    document = written([], tmp_path / "alerts.geojson")
    assert document["features"] == []
    assert pyogrio.read_info(tmp_path / "alerts.geojson")["features"] == 0
    assert len(geopandas.read_file(tmp_path / "alerts.geojson")) == 0


def test_features_as_parquet(tmp_path: Path) -> None:
    pixels = changed(blob(7), ndvi_before=np.nan)
    patches = find_patches(pixels, UTM, ANY_SIZE)
    features = patch_features(patches, pixels, UTM)
    alerts = build_alerts(patches, features, pixels, UTM, CONTEXT)
    write_features(features, alerts, tmp_path / "features.parquet")
    table = pd.read_parquet(tmp_path / "features.parquet")
    assert list(table.columns) == ["alert_id", *(feature.name for feature in FEATURES), "geometry"]
    frame = geopandas.read_parquet(tmp_path / "features.parquet")
    assert frame.crs == "OGC:CRS84"
    outlines = {alert.id: alert.geometry for alert in alerts}
    assert all(outlines[row.alert_id].equals(row.geometry) for row in frame.itertuples())
    assert table["alert_id"].tolist() == sorted(alert.id for alert in alerts)
    assert table["ndvi_before_mean"].isna().all()
    areas = dict(zip(table["alert_id"], table["area_ha"], strict=True))
    assert areas == {alert.id: alert.area_ha for alert in alerts}
    assert "alert_id" not in features.columns  # the caller's table is left as it was


def test_empty_features_as_parquet(tmp_path: Path) -> None:
    pixels = changed(np.zeros((2, 2), bool))
    write_features(patch_features([], pixels, UTM), [], tmp_path / "features.parquet")
    table = pd.read_parquet(tmp_path / "features.parquet")
    assert len(table) == 0
    assert table.columns[0] == "alert_id"
    assert geopandas.read_parquet(tmp_path / "features.parquet").crs == "OGC:CRS84"


def test_a_failure_leaves_the_old_file_and_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "alerts.geojson"
    path.write_text("old")
    (alert,) = alerts_of(square())
    broken = dataclasses.replace(alert, criteria=({"code": object()},))
    with pytest.raises(TypeError):
        write_geojson([broken], path)
    broken_features = pd.DataFrame({"a": [object()]})
    with pytest.raises(Exception, match="object"):
        write_features(broken_features, [alert], path)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["alerts.geojson"]


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="Cannot write"):
        write_geojson([], tmp_path / "file" / "alerts.geojson")


def test_folder_is_made_and_the_file_can_be_read_by_others(tmp_path: Path) -> None:
    write_geojson([], tmp_path / "new" / "alerts.geojson")
    assert (tmp_path / "new" / "alerts.geojson").stat().st_mode & 0o777 == 0o644
