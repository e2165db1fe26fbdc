"""Months over real files, from the command's words to the published alerts: what no test of a part sees."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest

from scripts import cli
from scripts.archive_writer import item_folder
from scripts.exit_codes import ExitCode
from tests.fakes.archive import DAYS as ARCHIVE_DAYS
from tests.fakes.archive import FOREST, folder_of, item_id, move_tile, write_raster

TILE = "31TDK"


def _monthly(monkeypatch: pytest.MonkeyPatch, archive: Path, data: Path, month: str, *more: str) -> int:
    words = ["monthly", "--month", month, "--tiles", TILE, "--catalog", str(archive), "--data-dir", str(data), *more]
    return _sylvigie(monkeypatch, *words)


def _sylvigie(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["sylvigie", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def _alerts(data: Path, month: str, name: str = "alerts.geojson") -> list[dict[str, Any]]:
    features = json.loads((data / "months" / month / name).read_text())["features"]
    return [{"id": feature["id"], **feature["properties"]} for feature in features]


def _kept(data: Path, folders: Sequence[str] = ("tiles", "alerts")) -> dict[str, bytes]:
    files = (path for folder in folders for path in (data / folder).rglob("*") if path.is_file())
    return {str(path.relative_to(data)): path.read_bytes() for path in sorted(files)}


def test_an_alert_keeps_its_identity_from_month_to_month(
    monkeypatch: pytest.MonkeyPatch, small_archive: Path, tmp_path: Path
) -> None:
    for month in ("2019-05", "2019-06", "2019-07"):
        assert _monthly(monkeypatch, small_archive, tmp_path, month) == ExitCode.DONE
    before, first, then = (_alerts(tmp_path, month) for month in ("2019-05", "2019-06", "2019-07"))
    # Felled on 20 May, after the last look of that month.
    assert before == []
    assert [alert["id"] for alert in first] == [alert["id"] for alert in then]
    assert [alert["first_detected"] for alert in (*first, *then)] == ["2019-06-30"] * 2
    assert then[0]["state"] == "confirmed"
    assert then[0]["area_ha"] == pytest.approx(FOREST.mask().sum() / 100, rel=0.01)
    assert then[0]["status"] == "open"
    record = json.loads((tmp_path / "months" / "2019-07" / "run.json").read_text())
    assert record["alerts"] == {"new": 0, "grown": 0, "closed": 0, "open": 1}
    assert len(record["tiles"][0]["scenes_read"]) == 2


def test_a_run_that_is_done_changes_nothing_and_reads_nothing(
    monkeypatch: pytest.MonkeyPatch, small_archive: Path, tmp_path: Path
) -> None:
    assert _monthly(monkeypatch, small_archive, tmp_path, "2019-07") == ExitCode.DONE
    kept = _kept(tmp_path)
    assert _monthly(monkeypatch, small_archive, tmp_path, "2019-07") == ExitCode.DONE
    assert _kept(tmp_path) == kept
    record = json.loads((tmp_path / "months" / "2019-07" / "run.json").read_text())
    assert record["tiles"][0]["bytes_read"] == 0


def test_a_felling_across_two_overlapping_tiles_is_one_alert(
    monkeypatch: pytest.MonkeyPatch, small_archive: Path, tmp_path: Path
) -> None:
    # The neighbour shows the same ground from 80 m further east.
    neighbour = move_tile(small_archive, tmp_path / "both", "31TEK", 80.0)
    assert _monthly(monkeypatch, neighbour, tmp_path / "data", "2019-07", "--tiles", "31TDK,31TEK") == ExitCode.DONE
    (alert,) = _alerts(tmp_path / "data", "2019-07")
    assert sorted(alert["tiles"]) == ["31TDK", "31TEK"]
    (alone,) = _alone(monkeypatch, small_archive, tmp_path / "alone")
    assert alert["area_ha"] == pytest.approx(alone["area_ha"], rel=1e-3)


def _alone(monkeypatch: pytest.MonkeyPatch, archive: Path, data: Path) -> list[dict[str, Any]]:
    assert _monthly(monkeypatch, archive, data, "2019-07") == ExitCode.DONE
    return _alerts(data, "2019-07")


def test_a_month_without_its_reference_fails_where_it_may_not_be_built(
    monkeypatch: pytest.MonkeyPatch, small_archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _monthly(monkeypatch, small_archive, tmp_path, "2019-07", "--no-build") == ExitCode.INCOMPLETE
    assert "sylvigie reference build --tile 31TDK" in capsys.readouterr().out


def test_a_scene_that_comes_late_is_taken_in(
    monkeypatch: pytest.MonkeyPatch, small_archive: Path, tmp_path: Path
) -> None:
    late, arrive = _with_a_late_scene(small_archive, tmp_path)
    for month in ("2019-06", "2019-07"):
        assert _monthly(monkeypatch, late, tmp_path / "data", month) == ExitCode.DONE
    arrive()
    assert _monthly(monkeypatch, late, tmp_path / "data", "2019-07") == ExitCode.DONE
    record = json.loads((tmp_path / "data" / "months" / "2019-07" / "run.json").read_text())
    assert record["tiles"][0]["redone_months"] == ["2019-06", "2019-07"]
    # Run on the same archive from the beginning, to the byte, but for the versions in the folders' names.
    for month in ("2019-06", "2019-07"):
        assert _monthly(monkeypatch, late, tmp_path / "whole", month) == ExitCode.DONE
    one, other = (_kept(tmp_path / data, ["tiles"]) for data in ("data", "whole"))
    assert {name.replace(".2/", ".1/"): content for name, content in one.items()} == other
    assert _alerts(tmp_path / "data", "2019-07") == _alerts(tmp_path / "whole", "2019-07")


def test_months_that_were_worked_out_again_are_tracked_again_by_the_next_run_where_the_first_did_not_come_to_it(
    monkeypatch: pytest.MonkeyPatch, small_archive: Path, tmp_path: Path
) -> None:
    late, arrive = _with_a_late_scene(small_archive, tmp_path)
    broken, unbroken = tmp_path / "broken", tmp_path / "unbroken"
    for month in ("2019-06", "2019-07"):
        assert _monthly(monkeypatch, late, broken, month) == ExitCode.DONE
    shutil.copytree(broken, unbroken)
    early = _alerts(broken, "2019-06")
    arrive()
    with monkeypatch.context() as patched:
        patched.setattr("detector.track_month.track_month", _stop)
        assert _monthly(monkeypatch, late, broken, "2019-07") == ExitCode.TRACKING
    assert _monthly(monkeypatch, late, broken, "2019-07") == ExitCode.DONE
    assert _monthly(monkeypatch, late, unbroken, "2019-07") == ExitCode.DONE
    assert _alerts(unbroken, "2019-06") != early
    assert _kept(broken) == _kept(unbroken)
    assert _alerts(broken, "2019-06") == _alerts(unbroken, "2019-06")


def test_months_that_fill_a_gap_are_tracked_one_by_one(
    monkeypatch: pytest.MonkeyPatch, small_archive: Path, tmp_path: Path
) -> None:
    leapt, stepped = tmp_path / "leapt", tmp_path / "stepped"
    for month in ("2019-04", "2019-05", "2019-06", "2019-07"):
        assert _monthly(monkeypatch, small_archive, stepped, month) == ExitCode.DONE
    assert _monthly(monkeypatch, small_archive, leapt, "2019-04") == ExitCode.DONE
    assert _monthly(monkeypatch, small_archive, leapt, "2019-07") == ExitCode.DONE
    assert _kept(leapt) == _kept(stepped)
    # Seen first in June, and told so.
    (alert,) = _alerts(leapt, "2019-07")
    assert alert["first_detected"] == "2019-06-30"
    record = json.loads((leapt / "months" / "2019-07" / "run.json").read_text())
    assert list(record["alerts_of_redone_months"]) == ["2019-05", "2019-06"]
    assert record["alerts_of_redone_months"]["2019-06"] == {"new": 1, "grown": 0, "closed": 0, "open": 1}
    assert _alerts(leapt, "2019-06") == _alerts(stepped, "2019-06")


def _spoil(data: Path, tile: str, month: str, lacks: str) -> Path:
    """Take a field out of a tile's record; the path of the record."""
    (path,) = (data / "tiles" / tile).glob(f"{month}.*/tile.json")
    record = json.loads(path.read_text())
    del record[lacks]
    path.write_text(json.dumps(record))
    return path


def _events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


@pytest.mark.parametrize(
    "step",
    ["scripts.works.keep_said", "detector.track_month.RegisterStore.write", "detector.track_month.write_geojson"],
)
@pytest.mark.parametrize("month", [0, 1])
def test_a_month_that_fills_a_gap_is_published_whole_where_the_first_run_was_stopped_at_it(
    monkeypatch: pytest.MonkeyPatch, small_archive: Path, tmp_path: Path, step: str, month: int
) -> None:
    def published(data: Path) -> dict[str, bytes]:
        kept = _kept(data, ["tiles", "alerts", "months", "evaluations"])
        return {name: content for name, content in kept.items() if not name.endswith("run.json")}

    broken, unbroken = tmp_path / "broken", tmp_path / "unbroken"
    assert _monthly(monkeypatch, small_archive, unbroken, "2019-07") == ExitCode.DONE
    assert {"months/2019-05/alerts.geojson", "months/2019-06/alerts.geojson"} <= published(unbroken).keys()
    calls = count()
    with monkeypatch.context() as patched:
        do = resolve_name(step)

        def stopped(*args: Any, **kwargs: Any) -> Any:
            if next(calls) == month:
                raise RuntimeError("stopped")
            return do(*args, **kwargs)

        patched.setattr(step, stopped)
        assert _monthly(monkeypatch, small_archive, broken, "2019-07") == ExitCode.TRACKING
    assert _monthly(monkeypatch, small_archive, broken, "2019-07") == ExitCode.DONE
    assert published(broken) == published(unbroken)


@pytest.mark.parametrize("month", ["2019-05", "2019-06"])
def test_a_tile_whose_record_is_damaged_is_named_and_the_others_are_tracked(
    monkeypatch: pytest.MonkeyPatch,
    small_archive: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    month: str,
) -> None:
    # The neighbour shows the same ground from 80 m further east.
    archive, data = move_tile(small_archive, tmp_path / "both", "31TEK", 80.0), tmp_path / "data"
    both = ("--tiles", "31TDK,31TEK")
    for before in ("2019-05", "2019-06"):
        assert _monthly(monkeypatch, archive, data, before, *both) == ExitCode.DONE
    (alert,) = _alerts(data, "2019-06")
    path = _spoil(data, "31TEK", month, "identity")
    whole = dict(_kept(data, ["tiles/31TEK"]))
    capfd.readouterr()
    assert _monthly(monkeypatch, archive, data, "2019-07", *both) == ExitCode.INCOMPLETE
    said, told = capfd.readouterr()
    assert f"failed: 31TEK: {path} is damaged (identity absent" in said
    assert f"alerts as they were: 31TEK: {path} is damaged" in said
    (event,) = [event for event in _events(told) if event["event"] == "tracking_done"]
    assert list(event["tiles_left_out"]) == ["31TEK"]
    record = json.loads((data / "months" / "2019-07" / "run.json").read_text())
    assert list(record["tracking_tiles_left_out"]) == ["31TEK"]
    assert record["alerts"] == {"new": 0, "grown": 0, "closed": 0, "open": 1}
    (now,) = _alerts(data, "2019-07")
    assert (now["id"], now["tiles"]) == (alert["id"], alert["tiles"])
    # What the register knew of the months before is untouched, and so is the tile.
    assert _alerts(data, "2019-06") == [alert]
    assert _kept(data, ["tiles/31TEK"]) == whole
    # An older month is tracked again: what the tile had in it stays.
    assert _monthly(monkeypatch, archive, data, "2019-06", "--tiles", TILE) == ExitCode.INCOMPLETE
    assert _alerts(data, "2019-06") == [alert]


def test_a_scene_that_an_alert_rested_on_and_that_cannot_be_looked_at_is_told(
    monkeypatch: pytest.MonkeyPatch, small_archive: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    days = [day for day in ARCHIVE_DAYS if (day.year, day.month) == (2019, 6)]
    hazy = days[1]
    red, nir, _ = FOREST.bands(hazy)
    place = (slice(30, 40), slice(4, 14))
    nir[place] = nir[place] * 0.7
    red[place] = nir[place] * 0.6 / 1.4
    for name, band in (("red", red), ("nir", nir)):
        write_raster(folder_of(small_archive, hazy) / f"{name}.tif", band)
    assert _monthly(monkeypatch, small_archive, tmp_path / "data", "2019-06") == ExitCode.DONE
    assert len(_alerts(tmp_path / "data", "2019-06")) == 2
    (folder_of(small_archive, hazy) / "scl.tif").unlink()
    capfd.readouterr()
    assert _monthly(monkeypatch, small_archive, tmp_path / "data", "2019-07") == ExitCode.DONE
    said, told = capfd.readouterr()
    (closed,) = _alerts(tmp_path / "data", "2019-07", "closed.geojson")
    assert closed["closed_reason"] == "seen_intact_again"
    record = json.loads((tmp_path / "data" / "months" / "2019-07" / "run.json").read_text())
    reason = record["tracking_scenes_unheard"][item_id(hazy)]
    assert "scl raster cannot be opened" in reason
    assert f"taken back: {item_id(hazy)}: {reason}" in said
    (event,) = [event for event in _events(told) if event["event"] == "tracking_done"]
    assert event["scenes_unheard"] == record["tracking_scenes_unheard"]


def test_what_is_known_of_alerts_is_not_begun_anew_from_a_month_that_the_register_has_forgotten(
    monkeypatch: pytest.MonkeyPatch, small_archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("detector.track_month.KEPT_MONTHS", 1)
    for month in ("2019-05", "2019-06", "2019-07"):
        assert _monthly(monkeypatch, small_archive, tmp_path, month) == ExitCode.DONE
    known = _kept(tmp_path, ["alerts"])
    assert _monthly(monkeypatch, small_archive, tmp_path, "2019-06") == ExitCode.TRACKING
    assert "the register of alerts is kept from 2019-07 on" in capsys.readouterr().out.lower()
    assert _kept(tmp_path, ["alerts"]) == known


def test_a_tile_whose_reference_was_removed_builds_it_anew(
    monkeypatch: pytest.MonkeyPatch, small_archive: Path, tmp_path: Path
) -> None:
    for month in ("2019-06", "2019-07"):
        assert _monthly(monkeypatch, small_archive, tmp_path, month) == ExitCode.DONE
    alerts = [alert["id"] for alert in _alerts(tmp_path, "2019-07")]
    shutil.rmtree(tmp_path / "tiles" / TILE / "2019-05.1")
    assert _monthly(monkeypatch, small_archive, tmp_path, "2019-07") == ExitCode.DONE
    assert [alert["id"] for alert in _alerts(tmp_path, "2019-07")] == alerts


def test_an_older_month_leaves_alone_a_reference_that_was_built_after_it(
    monkeypatch: pytest.MonkeyPatch, small_archive: Path, tmp_path: Path
) -> None:
    for month in ("2019-05", "2019-06", "2019-07"):
        assert _monthly(monkeypatch, small_archive, tmp_path, month) == ExitCode.DONE
    # It is built three months before the one that it is to serve.
    words = ["reference", "build", "--tile", TILE, "--month", "2019-09", "--catalog", str(small_archive)]
    assert _sylvigie(monkeypatch, *words, "--data-dir", str(tmp_path)) == ExitCode.DONE
    built = _kept(tmp_path, ["tiles"])
    assert any(name.endswith("2019-06.2/reference.arrow") for name in built)
    assert _monthly(monkeypatch, small_archive, tmp_path, "2019-05") == ExitCode.DONE
    assert _kept(tmp_path, ["tiles"]) == built


def test_a_month_with_another_smallest_alert_is_worked_out_again(
    monkeypatch: pytest.MonkeyPatch, small_archive: Path, tmp_path: Path
) -> None:
    assert _monthly(monkeypatch, small_archive, tmp_path, "2019-07", "--min-area-ha", "5") == ExitCode.DONE
    assert _alerts(tmp_path, "2019-07") == []
    assert _monthly(monkeypatch, small_archive, tmp_path, "2019-07", "--min-area-ha", "0.5") == ExitCode.DONE
    assert len(_alerts(tmp_path, "2019-07")) == 1


def _stop(*_: object) -> None:
    raise RuntimeError


def _with_a_late_scene(small_archive: Path, folder: Path) -> tuple[Path, Callable[[], None]]:
    """A copy of the archive without its first scene of June 2019, and what brings the scene."""
    day = next(day for day in ARCHIVE_DAYS if (day.year, day.month) == (2019, 6))
    late, name = shutil.copytree(small_archive, folder / "late"), item_id(day)
    shutil.move(item_folder(late, name), folder / "aside")
    collection = item_folder(late, name).parent / "collection.json"
    whole = collection.read_text()
    document = json.loads(whole)
    document["links"] = [link for link in document["links"] if name not in link["href"]]
    collection.write_text(json.dumps(document))

    def arrive() -> None:
        shutil.move(folder / "aside", item_folder(late, name))
        collection.write_text(whole)

    return late, arrive


def test_a_forest_mask_that_is_not_there_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch, small_archive: Path, tmp_path: Path
) -> None:
    absent = str(tmp_path / "absent.gpkg")
    code = _monthly(monkeypatch, small_archive, tmp_path / "data", "2019-07", "--forest-mask", absent)
    assert code == ExitCode.INPUT
    assert not (tmp_path / "data").exists()
