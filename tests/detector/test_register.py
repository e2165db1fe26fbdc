"""The register's files: read back exactly, the same bytes, whole or not at all."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import geopandas
import pytest
import shapely

from detector.alert_tables import (
    alert_columns,
    alerts_from,
    read_found,
    read_geoparquet,
    write_found,
    write_geoparquet,
)
from detector.alerts import ClosedReason, write_geojson
from detector.known import Register
from detector.register import RegisterStore, read_register, write_register
from detector.tracking import track
from tests.detector.fakes import FIELDS
from tests.detector.tracked import JANUARY, UNSEEN, FakeGround, box, patch
from tiles.errors import OutputError, StateError
from tiles.month import Month

FEBRUARY, MARCH = JANUARY.shifted(1), JANUARY.shifted(2)


def lived() -> Register:
    """Three months: alerts that grew, were merged, closed."""
    a, b, c = patch(box(10, 10), 0, "a"), patch(box(60, 10), 4, "b"), patch(box(120, 10), 2, "c", intact=None)
    register = track(JANUARY, Register(), [a, b, c], UNSEEN).register
    told = dataclasses.replace(
        register.alerts[0],
        criteria=({"code": "area", "value": 1.5, "met": True},),
        zonings=({"layer": "natura2000_zsc", "code": "FR7200", "area_ha": 1.5},),
        forest_shares={"FF2-57-57": 0.75},
        zoning_ha={"natura2000": 1.5, "appb": None},
        nearest_zone=None,
        commune="Évaux-les-Bains",
        potentially_abusive=False,
        abuse_score=0.1 + 0.2,
    )
    register = dataclasses.replace(register, alerts=(told, *register.alerts[1:]))
    register = track(FEBRUARY, register, [patch(box(10, 10, 60), 0, "a")], FakeGround(intact=1)).register
    return track(MARCH, register, [], UNSEEN).register


def assert_same(one: Register, other: Register) -> None:
    assert (one.month, one.alerts, one.history) == (other.month, other.alerts, other.history)
    names = [field.name for field in dataclasses.fields(one.patches[0])] if one.patches else []
    assert [[getattr(p, n) for n in names] for p in one.patches] == [
        [getattr(p, n) for n in names] for p in other.patches
    ]
    assert [p.ground.wkb for p in one.patches] == [p.ground.wkb for p in other.patches]


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("register", [lived(), Register(JANUARY)], ids=["lived", "empty"])
def test_a_register_is_read_back_exactly_and_written_to_the_same_bytes(register: Register, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    write_register(register, tmp_path / "one")
    assert register.month is not None
    read = read_register(tmp_path / "one", register.month)
    assert_same(read, register)
    write_register(read, tmp_path / "two")
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_tracking_goes_on_from_what_was_read_as_from_what_was_written(tmp_path: Path) -> None:
    register = lived()
    write_register(register, tmp_path)
    found = [patch(box(75, 10), 30, "d"), patch(box(120, 12), 40, "e")]
    on = [track(MARCH.shifted(1), one, found, UNSEEN) for one in (register, read_register(tmp_path, MARCH))]
    assert on[0].events == on[1].events
    assert_same(on[0].register, on[1].register)


def test_other_tools_open_the_files(tmp_path: Path) -> None:
    register = lived()
    write_register(register, tmp_path)
    table = geopandas.read_parquet(tmp_path / "alerts.parquet")
    assert table.crs.to_authority() == ("OGC", "CRS84")
    assert table["id"].tolist() == [alert.id for alert in register.alerts]
    assert table.geometry.tolist() == [alert.geometry for alert in register.alerts]
    history = geopandas.read_parquet(tmp_path / "history.parquet")
    assert history["event"].tolist() == ["new", "new", "new", "grown", "closed", "closed"]
    assert history.geometry.isna().tolist() == [False, False, False, False, True, True]
    assert len(geopandas.read_parquet(tmp_path / "patches.parquet")) == len(register.patches)
    assert geopandas.read_file(tmp_path / "alerts.geojson")["id"].tolist() == ["SYL-31TDL-a"]


def test_what_stands_and_what_was_closed_are_published_apart(tmp_path: Path) -> None:
    write_register(lived(), tmp_path)
    told = {
        name: json.loads((tmp_path / name).read_text())["features"] for name in ("alerts.geojson", "closed.geojson")
    }
    assert [feature["id"] for feature in told["alerts.geojson"]] == ["SYL-31TDL-a"]
    closed = {feature["id"]: feature["properties"] for feature in told["closed.geojson"]}
    assert list(closed) == ["SYL-31TDL-b", "SYL-31TDL-c"]
    assert list(closed["SYL-31TDL-b"]) == FIELDS
    assert (closed["SYL-31TDL-b"]["closed_reason"], closed["SYL-31TDL-b"]["merged_into"]) == (
        "merged_into",
        "SYL-31TDL-a",
    )
    assert (closed["SYL-31TDL-c"]["closed_reason"], closed["SYL-31TDL-c"]["closed_on"]) == (
        "seen_intact_again",
        "2023-02-28",
    )
    assert told["alerts.geojson"][0]["properties"]["status"] == "open"
    assert told["alerts.geojson"][0]["properties"]["tiles"] == ["31TDL"]


def test_alerts_pass_through_a_table_without_loss(tmp_path: Path) -> None:
    register = lived()
    outlines = [alert.geometry for alert in register.alerts]
    write_geoparquet(alert_columns(register.alerts), {"geometry": outlines}, tmp_path / "t.parquet")  # type: ignore[dict-item]
    table, geometries = read_geoparquet(tmp_path / "t.parquet")
    assert tuple(alerts_from(table, geometries["geometry"])) == register.alerts


def test_patches_of_a_tile_pass_through_a_file_without_loss(tmp_path: Path) -> None:
    found = [patch(box(10, 10, 3.5), 0, "a"), patch(box(60, 10), 4, "b", ndvi_after=None, last_intact=None)]
    write_found(found, tmp_path / "patches.parquet", {"area_ha_mean": [1.0, 2.0]})
    read = read_found(tmp_path / "patches.parquet")
    assert [one.alert for one in read] == [one.alert for one in found]
    assert [one.exact.wkb for one in read] == [one.exact.wkb for one in found]
    assert geopandas.read_parquet(tmp_path / "patches.parquet")["area_ha_mean"].tolist() == [1.0, 2.0]
    write_found([], tmp_path / "none.parquet")
    assert read_found(tmp_path / "none.parquet") == []


_KEPT = """
import sys
from pathlib import Path
from detector.register import RegisterStore
from tests.detector.test_register import lived
print(RegisterStore(Path(sys.argv[1])).write(lived()).identity)
"""


def test_another_process_with_another_hash_writes_the_same_bytes(tmp_path: Path) -> None:
    identities = {
        subprocess.run(
            [sys.executable, "-c", _KEPT, str(tmp_path / seed)],
            check=True,
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert identities == {RegisterStore(tmp_path / "here").write(lived()).identity + "\n"}


# The store


def test_months_stand_beside_each_other_and_the_last_before_is_found(tmp_path: Path) -> None:
    store = RegisterStore(tmp_path / "register")
    assert store.months() == {}
    assert store.before(MARCH) is None
    assert store.read(None).alerts == ()
    first = store.write(track(JANUARY, Register(), [patch(box(10, 10))], UNSEEN).register)
    third = store.write(track(MARCH, store.read(first), [], UNSEEN).register, first)
    assert list(store.months()) == [JANUARY, MARCH]
    kept = store.before(MARCH)
    assert kept == first
    assert third.stands_on(first, {})
    assert not third.stands_on(None, {})
    assert not third.stands_on(first, {"31TDL": "another"})
    assert first.stands_on(None, {})
    assert third.record["alerts"] == {"open": 1, "settled": 0, "closed": 0}


def test_the_same_month_again_is_left_alone_and_another_takes_its_place(tmp_path: Path) -> None:
    store = RegisterStore(tmp_path)
    register = lived()
    first = store.write(register)
    before = {path: path.stat().st_mtime_ns for path in first.folder.iterdir()}
    assert store.write(register) == first
    assert {path: path.stat().st_mtime_ns for path in first.folder.iterdir()} == before
    other = store.write(dataclasses.replace(register, alerts=register.alerts[:1]))
    assert [path.name for path in tmp_path.iterdir()] == ["2023-03.2"]
    assert other.identity != first.identity
    assert len(store.read(store.months()[MARCH]).alerts) == 1


def test_a_failure_leaves_the_month_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = RegisterStore(tmp_path)
    kept = store.write(lived())
    before = files(kept.folder)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("detector.register.write_geojson", full)
    with pytest.raises(OutputError, match="No space left on device"):
        store.write(Register(MARCH))
    assert [path.name for path in tmp_path.iterdir()] == ["2023-03.1"]
    assert files(kept.folder) == before


def test_what_a_killed_run_left_is_cleared(tmp_path: Path) -> None:
    store = RegisterStore(tmp_path)
    kept = store.write(lived())
    (tmp_path / ".partial-x").mkdir()
    # Killed between the rename of the new version and the removal of the old.
    kept.folder.rename(tmp_path / "2023-03.2")
    write_old = tmp_path / "2023-03.1"
    write_old.mkdir()
    (write_old / "register.json").write_text((tmp_path / "2023-03.2" / "register.json").read_text())
    assert store.months()[MARCH].version == 2
    store.write(Register(MARCH.shifted(1)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2023-03.2", "2023-04.1"]


def test_old_months_can_be_forgotten_and_their_history_stays(tmp_path: Path) -> None:
    store = RegisterStore(tmp_path)
    register = track(JANUARY, Register(), [patch(box(10, 10))], UNSEEN).register
    store.write(register)
    for month in (FEBRUARY, MARCH):
        register = track(month, register, [patch(box(10, 10, 10 * month.month), 0)], UNSEEN).register
        store.write(register)
    store.forget_old(2)
    assert list(store.months()) == [FEBRUARY, MARCH]
    store.forget_old(0)
    (kept,) = store.months().values()
    assert [line.month for line in store.read(kept).history] == [JANUARY, FEBRUARY, MARCH]


@pytest.mark.parametrize("name", ["alerts.parquet", "patches.parquet", "history.parquet", "alerts.geojson"])
def test_a_damaged_file_is_found_out(name: str, tmp_path: Path) -> None:
    store = RegisterStore(tmp_path)
    kept = store.write(lived())
    path = kept.folder / name
    content = path.read_bytes()
    path.write_bytes(content[:-20] + bytes(20))
    with pytest.raises(StateError, match=f"{name} is not as it was written"):
        store.read(kept)
    path.unlink()
    with pytest.raises(StateError, match=f"{name} cannot be read"):
        store.read(kept)


def test_a_damaged_table_is_one_sentence(tmp_path: Path) -> None:
    write_register(lived(), tmp_path)
    (tmp_path / "patches.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(StateError, match=r"patches\.parquet cannot be read"):
        read_register(tmp_path, MARCH)


def test_another_schema_is_refused(tmp_path: Path) -> None:
    store = RegisterStore(tmp_path)
    record = store.write(lived()).folder / "register.json"
    record.write_text(record.read_text().replace('"schema": 1', '"schema": 2'))
    with pytest.raises(StateError, match="schema 2, not 1"):
        store.months()
    for text in ("{", "[]"):
        record.write_text(text)
        with pytest.raises(StateError, match="cannot be read"):
            store.months()
    record.write_text('{"schema": 1, "tiles": {}}')
    with pytest.raises(StateError, match=r"damaged \(before, checksums, identity absent\): restore"):
        store.months()


def test_a_register_without_a_month_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="without a month"):
        RegisterStore(tmp_path).write(Register())


def test_closed_alerts_are_plain_in_geojson(tmp_path: Path) -> None:
    (alert,) = lived().published
    closed = dataclasses.replace(alert, closed_reason=ClosedReason.HAZE, tiles=("31TDL", "30TYQ"))
    write_geojson([closed], tmp_path / "a.geojson")
    properties = json.loads((tmp_path / "a.geojson").read_text())["features"][0]["properties"]
    assert (properties["closed_reason"], properties["tiles"]) == ("haze", ["31TDL", "30TYQ"])
    assert shapely.geometry.shape(json.loads((tmp_path / "a.geojson").read_text())["features"][0]["geometry"]).is_valid


def test_an_older_version_that_a_killed_run_removed_by_half_does_not_stop_the_next(tmp_path: Path) -> None:
    store = RegisterStore(tmp_path)
    kept = store.write(Register(Month(2026, 2)))
    kept.folder.rename(tmp_path / "2026-02.2")
    (tmp_path / "2026-02.1").mkdir()
    assert store.months()[Month(2026, 2)].version == 2
    assert store.write(Register(Month(2026, 2))).version == 2
    assert [folder.name for folder in tmp_path.iterdir()] == ["2026-02.2"]
