"""What administrators are told: runs by their records, what was observed, what other thresholds would change."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from api import administration
from api.store.database import Database
from api.store.ingesting import ingest
from api.store.reading import state_of
from detector.criteria.loading import load_rules
from models.registry import Registry
from tests.api.alerts import found_alert, scan_files
from tiles.errors import InvalidParameterError, NotFoundError

RULES = load_rules()


def _record(folder: Path, name: str, month: str, **shares: float | None) -> None:
    tiles = [
        {
            "tile": tile,
            "status": "done",
            "observed_share": share,
            "scenes_read": ["a", "b"],
            "scenes_skipped": [
                {"id": "c", "reason": "cloudy", "superseded": False},
                {"id": "d", "reason": "older", "superseded": True},
            ],
        }
        for tile, share in shares.items()
    ]
    record: dict[str, Any] = {"command": "monthly", "month": month, "exit_code": 0, "tiles": tiles}
    (folder / "runs").mkdir(exist_ok=True)
    (folder / "runs" / f"{name}.json").write_text(json.dumps(record))


def test_runs_are_told_newest_first_and_a_damaged_record_is_named(tmp_path: Path) -> None:
    _record(tmp_path, "2026-09_20261001T030000Z", "2026-09", T31TFJ=0.4)
    _record(tmp_path, "2026-08_20261105T030000Z", "2026-08", T31TFJ=0.9)
    (tmp_path / "runs" / "2026-10_20261102T030000Z.json").write_text("{")
    told = administration.runs(tmp_path)
    assert [run["name"][:7] for run in told] == ["2026-08", "2026-10", "2026-09"]
    assert [run["damaged"] for run in told] == [False, True, False]
    (tile,) = told[0]["tiles"]
    assert (tile["scenes_read"], tile["scenes_left_out"]) == (2, [{"id": "c", "reason": "cloudy"}])


def test_of_a_month_that_was_run_twice_the_newest_share_counts(tmp_path: Path) -> None:
    _record(tmp_path, "2026-09_20261001T030000Z", "2026-09", A=0.4, B=0.5, C=None)
    _record(tmp_path, "2026-09_20261008T030000Z", "2026-09", A=0.8)
    assert administration.observed(tmp_path) == {"2026-09": {"A": 0.8, "B": 0.5}}
    assert administration.observed(tmp_path / "none") == {}


def test_other_thresholds_are_tried_and_nothing_is_written(store: Database) -> None:
    known: dict[str, Any] = {"cause": "harvest", "natura2000_ha": 0.0, "slope_block_ha": 0.0}
    found = [found_alert(i, latitude=44 + i / 100, area_ha=float(i), **known) for i in range(1, 21)]
    ingest(store, scan_files(found), data_dir=Path("data"))
    before = state_of(store)
    tried = administration.try_thresholds(store, RULES, {"area": 5})
    assert state_of(store) == before
    assert (tried["alerts"], tried["all"]) == (20, True)
    assert tried["criteria"]["area"] == {
        "now": {"yes": 11, "no": 9, "unknown": 0},
        "then": {"yes": 16, "no": 4, "unknown": 0},
    }
    assert tried["changed"] == 5
    assert set(tried["changed_alerts"]) == {alert.id for alert in found[4:9]}


@pytest.mark.parametrize(
    ("thresholds", "error"), [({"colour": 1.0}, NotFoundError), ({"area": 0.0}, InvalidParameterError)]
)
def test_what_cannot_be_tried_is_said(store: Database, thresholds: dict[str, float], error: type[Exception]) -> None:
    with pytest.raises(error):
        administration.try_thresholds(store, RULES, thresholds)


def test_rules_and_models_are_told_as_they_are(tmp_path: Path) -> None:
    told = administration.rules_told(RULES, dt.date(2026, 11, 24))
    area = next(rule for rule in told["rules"] if rule["code"] == "area")
    assert (area["threshold"], area["unit"], area["kind"]) == (10, "ha", "policy")
    assert told["version"] == RULES.version
    models = administration.models_told(tmp_path)
    assert {model["id"] for model in models} == {entry.id for entry in Registry(tmp_path).entries()}
    assert any(model["in_use"] for model in models)
