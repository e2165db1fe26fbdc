"""What was said under each version of the rules is kept; files of alerts are evaluated anew, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from detector.alerts import write_geojson
from detector.criteria.alert_files import (
    apply_rules,
    keep_said,
    newest_alert_files,
    read_collection,
    write_collection,
)
from detector.criteria.kept import EvaluationStore
from detector.criteria.loading import load_rules
from detector.criteria.rules import Rules
from tests.detector.tracked import box, patch
from tiles.errors import InvalidParameterError, OutputError, StateError

TODAY, LATER = date(2026, 11, 23), date(2026, 12, 1)
RULES = load_rules()


@pytest.fixture
def other_rules(tmp_path: Path) -> Rules:
    """Rules in which 5 ha are enough."""
    own = tmp_path / "own.toml"
    own.write_text(
        '[[rule]]\ncode = "area"\n[[rule.in_force]]\nthreshold = 5\nsources = [{ text = "Charte" }]\n', encoding="utf-8"
    )
    return load_rules(own)


@pytest.fixture
def alerts(tmp_path: Path) -> Path:
    """Three alerts of about 1, 6 and 16 ha, as published; all known to be harvest, on flat ground, in no zone."""
    path = tmp_path / "out" / "alerts.geojson"
    found = [
        patch(box(100 * n, 0, side, side), name=name).alert
        for n, (name, side) in enumerate([("small", 10), ("middle", 25), ("large", 40)])
    ]
    write_geojson(found, path)
    edit(path, lambda p: p.update(cause="harvest", natura2000_ha=0.0, slope_block_ha=0.0))
    return path


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    collection = read_collection(path)
    for feature in collection["features"]:
        change(feature["properties"])
    write_collection(collection, path)


def properties(path: Path) -> dict[str, dict[str, Any]]:
    return {feature["id"][10:]: feature["properties"] for feature in read_collection(path)["features"]}


def store_of(path: Path) -> EvaluationStore:
    return EvaluationStore(path.parent / "evaluations")


def test_a_file_is_written_back_as_it_was_but_for_what_the_rules_say(alerts: Path) -> None:
    write_collection(read_collection(alerts), alerts)
    before = alerts.read_bytes()
    applied = apply_rules([alerts], RULES, store_of(alerts), TODAY)
    after = properties(alerts)
    assert [after[name]["potentially_abusive"] for name in ("small", "middle", "large")] == [False, False, True]
    assert len(applied.changed) == 3
    assert {one["rules_version"] for one in after.values()} == {RULES.version}
    said = ("potentially_abusive", "criteria", "legal_points", "rules_version")
    edit(alerts, lambda p: p.update(dict.fromkeys(said)))
    assert alerts.read_bytes() == before


def test_alerts_as_published_are_written_back_to_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "alerts.geojson"
    for found in ([], [patch(box(0, 0), name=name).alert for name in "ab"]):
        write_geojson(found, path)
        before = path.read_bytes()
        write_collection(read_collection(path), path)
        assert path.read_bytes() == before


def test_what_published_alerts_say_is_kept_as_if_they_were_judged_again(alerts: Path, tmp_path: Path) -> None:
    apply_rules([alerts], RULES, store_of(alerts), TODAY)
    published, elsewhere = alerts.read_bytes(), EvaluationStore(tmp_path / "elsewhere")
    keep_said([alerts], RULES, elsewhere, TODAY)
    assert len(elsewhere.of_version(RULES.version)) == 3
    assert elsewhere.of_version(RULES.version) == store_of(alerts).of_version(RULES.version)
    kept = {path.name: path.read_bytes() for path in elsewhere.folder.iterdir()}
    assert kept == {path.name: path.read_bytes() for path in store_of(alerts).folder.iterdir()}
    # In the store where they are known already, they are no news; and the alerts are as they were.
    keep_said([alerts], RULES, store_of(alerts), LATER)
    assert kept == {path.name: path.read_bytes() for path in store_of(alerts).folder.iterdir()}
    assert alerts.read_bytes() == published


def test_applied_again_nothing_changes(alerts: Path) -> None:
    apply_rules([alerts], RULES, store_of(alerts), TODAY)
    before = {path: path.read_bytes() for path in alerts.parent.rglob("*") if path.is_file()}
    applied = apply_rules([alerts], RULES, store_of(alerts), LATER)
    assert applied.changed == ()
    assert {path: path.read_bytes() for path in alerts.parent.rglob("*") if path.is_file()} == before


def test_other_rules_evaluate_all_and_keep_what_was_said(alerts: Path, other_rules: Rules) -> None:
    store = store_of(alerts)
    apply_rules([alerts], RULES, store, TODAY)
    old = (store.folder / f"{RULES.version}.parquet").read_bytes()
    applied = apply_rules([alerts], other_rules, store, LATER)
    assert applied.changed == ("SYL-31TDL-middle",)
    assert properties(alerts)["middle"]["potentially_abusive"] is True
    assert (store.folder / f"{RULES.version}.parquet").read_bytes() == old
    assert [version.version for version in store.versions()] == [RULES.version, other_rules.version]
    first, second = store.of_alert("SYL-31TDL-middle")
    assert (first.evaluation.potentially_abusive, second.evaluation.potentially_abusive) == (False, True)
    assert (first.evaluation.criteria[0]["threshold"], second.evaluation.criteria[0]["threshold"]) == (10.0, 5.0)
    assert (first.said_on, second.said_on) == (TODAY, LATER)
    assert first.cut_on == date(2023, 1, 10)
    # The rules that spoke then are kept with their words.
    assert store.versions()[0].rules == RULES.as_plain()


def test_under_one_version_the_newest_word_counts(alerts: Path) -> None:
    store = store_of(alerts)
    apply_rules([alerts], RULES, store, TODAY)
    edit(alerts, lambda p: p.update(area_ha=12.0) if p["area_ha"] > 5 else None)
    apply_rules([alerts], RULES, store, LATER)
    said = store.of_version(RULES.version)
    assert said["SYL-31TDL-middle"].evaluation.potentially_abusive is True
    assert said["SYL-31TDL-middle"].said_on == LATER
    assert said["SYL-31TDL-small"].said_on == TODAY
    assert len(store.versions()) == 1


def test_what_was_said_of_alerts_that_are_gone_stays(alerts: Path) -> None:
    store = store_of(alerts)
    apply_rules([alerts], RULES, store, TODAY)
    collection = read_collection(alerts)
    write_collection(collection | {"features": collection["features"][:1]}, alerts)
    apply_rules([alerts], RULES, store, LATER)
    assert len(store.of_version(RULES.version)) == 3
    assert store.of_alert("SYL-31TDL-nobody") == []


def test_what_a_person_has_entered_counts_and_stays(alerts: Path) -> None:
    edit(alerts, lambda p: p.update(property_ha=26))
    apply_rules([alerts], RULES, store_of(alerts), TODAY)
    for one in properties(alerts).values():
        assert one["property_ha"] == 26
        assert {"L312-1", "L312-9"} <= {p["code"] for p in one["legal_points"] if p["status"] == "to_check"}
    assert store_of(alerts).of_alert("SYL-31TDL-small")[0].fields["property_ha"] == 26


@pytest.mark.parametrize(
    ("wrong", "error", "because"),
    [
        ({"first_low": None}, StateError, "has no date first_low"),
        ({"area_ha": "large"}, InvalidParameterError, "area_ha is 'large'"),
    ],
)
def test_one_alert_that_will_not_do_is_named_and_nothing_is_written(
    alerts: Path, wrong: dict[str, Any], error: type[Exception], because: str
) -> None:
    edit(alerts, lambda p: p.update(wrong) if p["area_ha"] > 10 else None)
    before = alerts.read_bytes()
    with pytest.raises(error, match=f"SYL-31TDL-large.*{because}"):
        apply_rules([alerts], RULES, store_of(alerts), TODAY)
    assert alerts.read_bytes() == before
    assert [path.name for path in alerts.parent.iterdir()] == ["alerts.geojson"]


def test_a_full_disk_leaves_what_was_there(alerts: Path, monkeypatch: pytest.MonkeyPatch, other_rules: Rules) -> None:
    store = store_of(alerts)
    apply_rules([alerts], RULES, store, TODAY)
    before = {path: path.read_bytes() for path in alerts.parent.rglob("*") if path.is_file()}

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pyarrow.parquet.write_table", full)
    with pytest.raises(OutputError, match="No space left"):
        apply_rules([alerts], other_rules, store, LATER)
    after = {path: path.read_bytes() for path in alerts.parent.rglob("*") if path.is_file()}
    assert {path: after[path] for path in before} == before
    # The rules' own record may stand alone; a version that has said nothing has not spoken.
    assert [version.version for version in store.versions()] == [RULES.version]
    monkeypatch.undo()
    apply_rules([alerts], other_rules, store, LATER)
    assert [version.number for version in store.versions()] == [1, 2]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '{"type": "FeatureCollection"}',
        '{"features": []}',
        '{"type": "FeatureCollection", "features": [{"type": "Feature"}]}',
    ],
)
def test_a_file_that_is_no_file_of_alerts_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "alerts.geojson"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(StateError, match=r"alerts\.geojson"):
        read_collection(path)


@pytest.mark.parametrize("suffix", ["json", "parquet"])
def test_a_damaged_file_of_what_was_said_is_named(alerts: Path, suffix: str) -> None:
    store = store_of(alerts)
    apply_rules([alerts], RULES, store, TODAY)
    (store.folder / f"{RULES.version}.{suffix}").write_text("damaged", encoding="utf-8")
    with pytest.raises(StateError, match=rf"{suffix} cannot be read"):
        store.of_alert("SYL-31TDL-small")


def test_a_record_of_another_schema_is_refused(alerts: Path) -> None:
    store = store_of(alerts)
    apply_rules([alerts], RULES, store, TODAY)
    path = store.folder / f"{RULES.version}.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"schema": 99}), encoding="utf-8")
    with pytest.raises(StateError, match="of schema 99"):
        store.versions()


def test_the_newest_month_is_taken(tmp_path: Path, alerts: Path) -> None:
    months = tmp_path / "months"
    with pytest.raises(StateError, match="There are no alerts"):
        newest_alert_files(months)
    for name in ("2026-09", "2026-10", "a copy of 2026-11"):
        (months / name).mkdir(parents=True)
        (months / name / "alerts.geojson").write_bytes(alerts.read_bytes())
    (months / "2026-11").mkdir()
    assert newest_alert_files(months) == (months / "2026-10" / "alerts.geojson",)
    (months / "2026-10" / "closed.geojson").write_bytes(alerts.read_bytes())
    assert [path.name for path in newest_alert_files(months)] == ["alerts.geojson", "closed.geojson"]
