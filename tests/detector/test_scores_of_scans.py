"""Scores in scans and months: what a scorer says of patches stands on their alerts, with its version."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from detector.alert_tables import read_found
from detector.alerts import Alert
from detector.appraisal import LayersAndRules
from detector.criteria.loading import load_rules
from detector.features import FEATURES
from detector.known import FoundPatch, Register
from detector.params import PatchParams
from detector.pipeline import ScanParams, scan
from detector.ports import TileJob
from detector.scorer import PatchScore
from detector.tile_month import work_tile
from detector.tile_store import PATCHES_FILE, RECORD_FILE, TileStore
from detector.tracking import track
from tests.detector.tracked import UNSEEN, box, patch
from tests.fakes.layers import layers_of
from tiles.catalog import open_catalogue
from tiles.engine import ChangeParams
from tiles.monitor import MonitorParams
from tiles.month import Month
from tiles.watch import WatchedArea

JUNE, JULY = Month(2019, 6), Month(2019, 7)
PARAMS = ScanParams(
    ChangeParams(monitor=MonitorParams(min_cell_px=1, min_window_px=1)),
    PatchParams(min_area_ha=0.3),
)


@dataclasses.dataclass(frozen=True)
class ByDrop:
    """Tells twice the NDVI lost."""

    version: str = "clearcut-fake.1"

    def __call__(self, features: pd.DataFrame) -> list[PatchScore]:
        assert list(features.columns) == [feature.name for feature in FEATURES]
        return [
            PatchScore(2 * drop, {"clearcut": {"for": [{"code": "drop"}], "against": []}})
            for drop in features["ndvi_drop_mean"].tolist()
        ]


@dataclasses.dataclass(frozen=True)
class ByArea:
    """Puts large alerts first."""

    def __call__(self, alerts: Sequence[Alert]) -> list[Alert]:
        assert all(alert.criteria is not None for alert in alerts)
        return [dataclasses.replace(alert, abuse_score=alert.area_ha / 100) for alert in alerts]


def test_a_scan_scores_patches_and_then_alerts(small_archive: Path, tmp_path: Path) -> None:
    appraiser = LayersAndRules(layers_of(), load_rules(), scorer=ByArea())
    result = scan(
        open_catalogue(str(small_archive)),
        JULY,
        WatchedArea(),
        tmp_path / "out",
        PARAMS,
        today=dt.date(2026, 1, 1),
        appraiser=appraiser,
        scorer=ByDrop(),
    )
    (alert,) = result.alerts
    assert alert.ndvi_drop is not None
    assert alert.clearcut_probability == pytest.approx(2 * alert.ndvi_drop)
    assert alert.abuse_score == pytest.approx(alert.area_ha / 100)
    (published,) = json.loads((tmp_path / "out" / "alerts.geojson").read_text())["features"]
    assert published["properties"]["model_version"] == "clearcut-fake.1"
    assert published["properties"]["reasons"]["clearcut"]["for"] == [{"code": "drop"}]


def test_a_month_keeps_the_scores_and_the_version_of_its_patches(small_archive: Path, tmp_path: Path) -> None:
    def run(month: Month, scorer: ByDrop | None) -> Alert:
        work_tile(
            TileJob(
                tile="31TDK",
                month=month,
                data_dir=tmp_path,
                catalogue=str(small_archive),
                params=PARAMS,
                scorer=scorer,
            ),
            None,
        )
        kept = TileStore(tmp_path, "31TDK").months()[month]
        record = json.loads((kept.folder / RECORD_FILE).read_text())
        assert record["model_version"] == (None if scorer is None else scorer.version)
        (found,) = read_found(kept.folder / PATCHES_FILE)
        return found.alert

    june = run(JUNE, ByDrop())
    assert june.ndvi_drop is not None
    assert june.clearcut_probability == pytest.approx(2 * june.ndvi_drop)
    assert june.reasons == {"clearcut": {"for": [{"code": "drop"}], "against": []}}
    july = run(JULY, ByDrop("clearcut-fake.2"))
    assert (july.model_version, june.model_version) == ("clearcut-fake.2", "clearcut-fake.1")


def _scored(found: FoundPatch, probability: float | None, version: str | None) -> FoundPatch:
    reasons = None if version is None else {"clearcut": {"for": [{"code": version}], "against": []}}
    alert = dataclasses.replace(
        found.alert,
        clearcut_probability=probability,
        reasons=reasons,
        model_version=version,
        evidence={"dates_before": 2, "dates_after": 2 if probability else 1, "ndmi_change": -(probability or 0.1)},
    )
    return FoundPatch(alert, found.exact)


def test_an_alert_of_two_patches_has_their_mean_by_area_and_the_reasons_of_the_larger() -> None:
    small, large = patch(box(10, 10), 0, "a"), patch(box(10, 22, 40, 40), 0, "b")
    one, other = _scored(small, 0.2, "v1"), _scored(large, 0.9, "v2")
    (alert,) = track(JULY, Register(), [one, other], UNSEEN).register.alerts
    share = large.alert.area_ha / (small.alert.area_ha + large.alert.area_ha)
    assert alert.clearcut_probability == pytest.approx(0.9 * share + 0.2 * (1 - share), abs=1e-3)
    assert alert.model_version == "v2"
    assert alert.reasons == {"clearcut": {"for": [{"code": "v2"}], "against": []}}
    assert alert.evidence is not None
    assert alert.clearcut_probability is not None
    assert alert.evidence["ndmi_change"] == pytest.approx(-alert.clearcut_probability)
    # One of which nothing is known does not lower what is known of the other.
    (alert,) = track(JULY, Register(), [_scored(small, None, None), other], UNSEEN).register.alerts
    assert alert.clearcut_probability == 0.9
    assert alert.evidence is not None
    assert alert.evidence["dates_after"] == 1


def test_a_settled_alert_keeps_what_was_said_of_it() -> None:
    found = _scored(patch(box(10, 10), 0, "a"), 0.8, "v1")
    register = track(JULY, Register(), [found], UNSEEN).register
    later = track(Month(2020, 9), register, [], UNSEEN).register
    (alert,) = later.alerts
    assert (alert.clearcut_probability, alert.model_version) == (0.8, "v1")
