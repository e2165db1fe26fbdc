"""What a scan found is put into the store whole, once, and takes nothing away."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import shapely
import sqlalchemy as sa

from api.store import ingesting
from api.store.copying import check
from api.store.database import Database
from api.store.filters import AlertFilter
from api.store.history import history_of
from api.store.ingesting import IngestResult, ingest
from api.store.reading import alert, all_alerts, outlines_page, state_of
from api.store.reviews import Author, Decision, review
from api.store.scan_files import ScanFiles, ScanKind, read_scan
from api.store.tables import alert_features, audit_log, evaluations, scans, scores
from detector.alerts import ReviewState
from models.causes import Cause
from tests.api.alerts import found_alert, scan_files, write_scan
from tiles.errors import IngestError

MONTHLY = ScanKind.MONTHLY


def _put(store: Database, files: ScanFiles) -> IngestResult:
    result = ingest(store, files, data_dir=Path("data"))
    assert check(store) == []
    return result


def _counts(result: IngestResult) -> tuple[int, int, int, int, int, int]:
    return result.new, result.changed, result.unchanged, result.superseded, result.older, result.left_standing


def _rows(store: Database, table: sa.Table) -> int:
    with store.reading() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def _standing(store: Database) -> dict[str, Any]:
    return {feature.id: feature.properties for feature in all_alerts(store, AlertFilter())}


def test_a_scan_is_put_in_and_given_out_as_it_was(store: Database) -> None:
    found = [found_alert(1), found_alert(2, longitude=1.0, commune="Ô d'Été", clearcut_probability=0.9)]
    assert _counts(_put(store, scan_files(found))) == (2, 0, 0, 0, 0, 0)
    for each in found:
        kept = alert(store, each.id)
        assert kept.properties == each.properties
        assert kept.geometry.equals(each.geometry)
        document = json.loads(kept.text)
        assert shapely.from_geojson(json.dumps(document["geometry"])).equals(each.geometry)


def test_the_same_scan_again_writes_nothing(store: Database) -> None:
    files = scan_files([found_alert(1)])
    _put(store, files)
    before = state_of(store)
    assert _put(store, files).already_there
    assert state_of(store) == before
    assert _rows(store, scans) == 1


def test_what_changed_is_brought_up_and_what_was_is_kept(store: Database) -> None:
    first = found_alert(1, area_ha=2.0, model_version="m1", clearcut_probability=0.4)
    grown = found_alert(1, area_ha=3.0, size=0.003, model_version="m2", clearcut_probability=0.8)
    _put(store, scan_files([first, found_alert(2, latitude=45)], "2026-09", MONTHLY))
    result = _put(store, scan_files([grown, found_alert(2, latitude=45)], "2026-10", MONTHLY))
    assert _counts(result) == (0, 1, 1, 0, 0, 0)
    assert alert(store, first.id).properties["area_ha"] == 3.0
    told = history_of(store, first.id)
    assert [(line["month"], line["area_ha"]) for line in told["outlines"]] == [("2026-09", 2.0), ("2026-10", 3.0)]
    assert [(line["model_version"], line["clearcut_probability"]) for line in told["scores"]] == [
        ("m1", 0.4),
        ("m2", 0.8),
    ]
    outlines = outlines_page(store, 10, alert=first.id).features
    assert [outline.geometry.equals(each.geometry) for outline, each in zip(outlines, (first, grown), strict=True)] == [
        True,
        True,
    ]


def test_an_older_month_that_is_worked_out_again_does_not_go_before_a_newer_one(store: Database) -> None:
    _put(store, scan_files([found_alert(1, area_ha=3.0)], "2026-10", MONTHLY))
    late = _put(store, scan_files([found_alert(1, area_ha=2.5)], "2026-09", MONTHLY))
    assert _counts(late) == (0, 0, 0, 0, 1, 0)
    assert alert(store, found_alert(1).id).properties["area_ha"] == 3.0
    assert {line["month"] for line in history_of(store, found_alert(1).id)["outlines"]} == {"2026-09", "2026-10"}


def test_a_scan_made_again_closes_what_it_does_not_tell_any_more(store: Database) -> None:
    gone, renamed = found_alert(1), found_alert(2, longitude=1.0)
    _put(store, scan_files([gone, renamed]))
    heir = found_alert(3, longitude=1.0005)
    assert _counts(_put(store, scan_files([heir]))) == (1, 0, 0, 2, 0, 0)
    assert set(_standing(store)) == {heir.id}
    closed = {f.id: f.properties for f in all_alerts(store, AlertFilter.of({"status": "closed"}))}
    assert (closed[gone.id]["closed_reason"], closed[gone.id]["merged_into"]) == ("not_found_again", None)
    assert (closed[renamed.id]["closed_reason"], closed[renamed.id]["merged_into"]) == ("merged_into", heir.id)
    assert [line["status"] for line in history_of(store, gone.id)["outlines"]] == ["open", "closed"]


def test_a_cut_is_not_counted_twice_when_a_later_scan_gives_it_another_name(store: Database) -> None:
    _put(store, scan_files([found_alert(1), found_alert(2, longitude=1.0)], "2026-09"))
    result = _put(store, scan_files([found_alert(3, size=0.0025)], "2026-10"))
    assert _counts(result) == (1, 0, 0, 1, 0, 1)
    assert set(_standing(store)) == {found_alert(2).id, found_alert(3).id}


def test_a_scan_of_other_ground_leaves_this_one_alone(store: Database) -> None:
    _put(store, scan_files([found_alert(1)]))
    _put(store, scan_files([found_alert(2)], kind=MONTHLY))
    assert len(_standing(store)) == 2


def _decide(
    store: Database, name: str, state: ReviewState, reason: Cause | None = None, key: str | None = None
) -> bool:
    return review(store, name, Decision(state, reason, request_key=key), Author("token:x"))


def test_what_a_person_decided_is_never_overwritten(store: Database) -> None:
    name = found_alert(1).id
    _put(store, scan_files([found_alert(1)], "2026-09", MONTHLY))
    assert _decide(store, name, ReviewState.CONFIRMED)
    assert _put(store, scan_files([found_alert(1, area_ha=9.0)], "2026-10", MONTHLY)).beside == 1
    told = alert(store, name).properties
    assert (told["review"], told["area_ha"]) == ("confirmed", 2.5)
    assert told["seen_since"] == {"month": "2026-10", "state": "confirmed", "status": "open", "area_ha": 9.0}
    assert {f.id for f in all_alerts(store, AlertFilter.of({"review": "confirmed"}))} == {name}
    assert [line["area_ha"] for line in history_of(store, name)["outlines"]] == [2.5, 9.0]
    # The same said again changes nothing, nor what an older month said; what stands, said again, is beside it no more.
    again = _put(store, scan_files([found_alert(1, area_ha=9.0)], "2026-11", MONTHLY))
    assert (again.unchanged, again.beside) == (1, 0)
    assert _put(store, scan_files([found_alert(1, area_ha=7.0)], "2026-08", MONTHLY)).beside == 0
    assert _put(store, scan_files([found_alert(1)], "2026-12", MONTHLY)).beside == 1
    assert "seen_since" not in alert(store, name).properties


def test_a_scan_made_again_does_not_close_what_people_decided(store: Database) -> None:
    _put(store, scan_files([found_alert(1), found_alert(2, latitude=45)]))
    _decide(store, found_alert(1).id, ReviewState.CONFIRMED)
    assert _put(store, scan_files([found_alert(3, latitude=46)])).superseded == 1
    assert {feature.id for feature in all_alerts(store, AlertFilter())} == {found_alert(1).id, found_alert(3).id}


def test_an_alert_that_is_looked_at_still_follows_the_scans(store: Database) -> None:
    name = found_alert(1).id
    _put(store, scan_files([found_alert(1)], "2026-09", MONTHLY))
    _decide(store, name, ReviewState.UNCERTAIN)
    _put(store, scan_files([found_alert(1, area_ha=9.0)], "2026-10", MONTHLY))
    told = alert(store, name).properties
    assert (told["review"], told["area_ha"]) == ("uncertain", 9.0)


def test_rules_models_and_features_are_kept_by_version(store: Database) -> None:
    criteria = [{"code": "area", "met": True}, {"code": "natura2000", "met": False}]
    found = found_alert(1, rules_version="r1", criteria=criteria, legal_points=[], potentially_abusive=True)
    _put(store, scan_files([found, found_alert(2, latitude=45)], features={found.id: {"area_ha": 2.5}}))
    assert [_rows(store, table) for table in (evaluations, scores, alert_features)] == [1, 0, 1]
    assert {f.id for f in all_alerts(store, AlertFilter.of({"criterion": "area"}))} == {found.id}
    assert not list(all_alerts(store, AlertFilter.of({"criterion": "natura2000"})))
    unmet = found_alert(1, rules_version="r2", criteria=[{"code": "area", "met": False}], legal_points=[])
    _put(store, scan_files([unmet, found_alert(2, latitude=45)]))
    assert not list(all_alerts(store, AlertFilter.of({"criterion": "area"})))
    said = history_of(store, found.id)["evaluations"]
    assert (said[0]["rules_version"], said[0]["criteria"]) == ("r1", criteria)


def test_a_fault_half_way_leaves_the_store_as_it_was(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    _put(store, scan_files([found_alert(1)], "2026-09", MONTHLY))
    before = state_of(store)

    def fails(*_: object) -> None:
        raise RuntimeError("half way")

    monkeypatch.setattr(ingesting._Ingestion, "_say", fails)
    with pytest.raises(RuntimeError, match="half way"):
        ingest(store, scan_files([found_alert(1, area_ha=8.0), found_alert(2)], kind=MONTHLY), data_dir=Path("data"))
    monkeypatch.undo()
    assert state_of(store) == before
    assert _rows(store, scans) == _rows(store, audit_log) == 1
    assert set(_standing(store)) == {found_alert(1).id}
    assert _counts(_put(store, scan_files([found_alert(1, area_ha=8.0), found_alert(2)], kind=MONTHLY)))[:2] == (1, 1)


def test_no_alert_at_all_is_a_scan_too(store: Database) -> None:
    assert _counts(_put(store, scan_files([]))) == (0, 0, 0, 0, 0, 0)
    assert _rows(store, scans) == 1


def test_files_are_read_as_a_scan_wrote_them(tmp_path: Path) -> None:
    found = [found_alert(1), found_alert(2, latitude=45)]
    files = read_scan(write_scan(tmp_path / "out", found))
    assert (files.kind, str(files.month), files.ground) == (ScanKind.SCAN, "2026-10", "30TXP")
    assert list(files.alerts) == [each.id for each in found]
    assert files.alerts[found[0].id].properties == found[0].properties


def _spoil(text: str, **changed: Any) -> str:
    document = json.loads(text)
    document["features"][0]["properties"] |= changed
    return json.dumps(document)


@pytest.mark.parametrize(
    ("file", "spoil", "words"),
    [
        ("alerts.geojson", lambda _: "no json", "is not JSON"),
        ("alerts.geojson", lambda _: "[]", "is not what a scan writes"),
        ("alerts.geojson", lambda _: "{}", "no GeoJSON FeatureCollection"),
        ("alerts.geojson", lambda text: text[:-30], "is not JSON"),
        ("alerts.geojson", lambda text: _spoil(text, state="sure"), "SYL-30TXP-20261004-00000001 is not what"),
        ("alerts.geojson", lambda text: _spoil(text, first_low=None), "first_low is null"),
        ("alerts.geojson", lambda text: _spoil(text, first_low="soon"), "Invalid isoformat"),
        ("alerts.geojson", lambda text: _spoil(text, departement="forty"), "departement is longer than 3"),
        ("alerts.geojson", lambda text: _spoil(text, area_ha=0), "area_ha is not above zero"),
        ("alerts.geojson", lambda text: text.replace("44.0", "944.0"), "not in degrees"),
        ("alerts.geojson", lambda text: text.replace("00000002", "00000001"), "twice"),
        ("scan.json", lambda _: "{}", "is of no month"),
        ("scan.json", lambda _: "\xff", "is not JSON"),
    ],
)
def test_a_damaged_file_is_told_in_a_sentence(tmp_path: Path, file: str, spoil: Any, words: str) -> None:
    folder = write_scan(tmp_path / "out", [found_alert(1), found_alert(2)])
    path = folder / file
    path.write_text(spoil(path.read_text()))
    with pytest.raises(IngestError, match=words):
        read_scan(folder)


def test_a_folder_that_is_none_of_a_scan_is_told(tmp_path: Path) -> None:
    with pytest.raises(IngestError, match=r"neither scan\.json nor closed\.geojson"):
        read_scan(tmp_path)
