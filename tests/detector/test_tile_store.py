"""Where the months of a tile lie: versions, what a killed run leaves, what is forgotten; no imagery."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from detector.tile_store import FOREST_FILE, RECORD_FILE, TileMonth, TileStore, write_record
from tiles.errors import OutputError, StateError
from tiles.month import Month
from tiles.state import MEMORY_FILE, MONTHLY_FILES, REFERENCE_FILE

JANUARY = Month(2026, 1)


def _put(store: TileStore, month: Month, before: TileMonth | None, content: str = "") -> TileMonth:
    """A month with files of some bytes; a build where it stands on none."""
    with store.new_version(month) as folder:
        names = [*MONTHLY_FILES, "change.tif"]
        if before is None:
            names += [REFERENCE_FILE, FOREST_FILE]
        for name in names:
            (folder / name).write_text(f"{name} {month} {content}")
        record: dict[str, Any] = {
            "month": str(month),
            "before": None if before is None else {"month": str(before.month), "identity": before.identity},
            "reference": None if before is None else before.record["reference"],
            **{name: {} for name in ("grid", "pixels", "parameters", "patch_parameters")},
            **{name: [] for name in ("scenes", "scenes_skipped")},
            "pixels_per_class": 2,
        }
        write_record(folder, record)
    return store.months()[month]


def _chain(store: TileStore, first: Month, count: int) -> list[TileMonth]:
    kept: list[TileMonth] = []
    for step in range(count):
        kept.append(_put(store, first.shifted(step), kept[-1] if kept else None))
    return kept


def _write_half(store: TileStore, month: Month, error: Exception) -> None:
    with store.new_version(month) as folder:
        (folder / MEMORY_FILE).write_text("half")
        raise error


@pytest.fixture
def store(tmp_path: Path) -> TileStore:
    return TileStore(tmp_path, "31TFJ")


def test_months_are_in_order_and_stand_on_each_other(store: TileStore) -> None:
    assert store.months() == {}
    kept = _chain(store, Month(2025, 11), 4)
    assert list(store.months().values()) == kept
    assert [month.is_build for month in kept] == [True, False, False, False]
    assert all(later.stands_on(before) for before, later in pairwise(kept))
    assert not kept[3].stands_on(kept[1])
    assert {store.reference_of(month).month for month in kept} == {Month(2025, 11)}


def test_a_new_version_takes_the_place_of_the_older(store: TileStore) -> None:
    january, february = _chain(store, JANUARY, 2)
    again = _put(store, JANUARY, None, "changed")
    assert (again.version, january.version) == (2, 1)
    assert sorted(path.name for path in store.folder.iterdir()) == ["2026-01.2", "2026-02.1"]
    assert not february.stands_on(again)
    with pytest.raises(StateError, match="reference of tile 31TFJ that 2026-02 stands on is gone: build it anew"):
        store.open_state(february)


def test_the_same_files_are_the_same_month(store: TileStore) -> None:
    _, february, march = _chain(store, JANUARY, 3)
    again = _put(store, february.month, store.months()[JANUARY])
    assert again.version == 2
    assert march.stands_on(again)


def test_what_is_written_by_half_is_not_there(store: TileStore) -> None:
    (january,) = _chain(store, JANUARY, 1)
    with pytest.raises(ZeroDivisionError):
        _write_half(store, JANUARY, ZeroDivisionError())
    assert store.months() == {JANUARY: january}
    assert [path.name for path in store.folder.iterdir()] == ["2026-01.1"]


def test_a_full_disk_is_told_and_the_month_before_stays(store: TileStore) -> None:
    (january,) = _chain(store, JANUARY, 1)
    with pytest.raises(OutputError, match=r"31TFJ cannot be written to .* \(No space.*make room.*month before is as"):
        _write_half(store, JANUARY.shifted(1), OSError(errno.ENOSPC, "No space left on device"))
    assert store.months() == {JANUARY: january}


def test_a_store_in_the_place_of_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "tiles").write_text("a file")
    with pytest.raises(OutputError, match="make room there or choose another data directory"):
        _put(TileStore(tmp_path, "31TFJ"), JANUARY, None)


def test_leftovers_are_cleared(store: TileStore) -> None:
    kept = _chain(store, JANUARY, 2)
    half = store.folder / "2026-02.0"
    half.mkdir()
    (half / MEMORY_FILE).write_text("its record is gone already")
    (store.folder / ".partial-x" / "month").mkdir(parents=True)
    assert list(store.months().values()) == kept
    store.clear_leftovers()
    assert sorted(path.name for path in store.folder.iterdir()) == ["2026-01.1", "2026-02.1"]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.write_text("{"), "cannot be read .*restore it from a backup, or remove its folder"),
        (lambda path: path.unlink(), "cannot be read .*restore it from a backup, or remove its folder"),
        (lambda path: path.write_text(json.dumps({"schema": 0})), "another version of Sylvigie: build"),
    ],
)
def test_a_spoilt_record_is_told(store: TileStore, spoil: Callable[[Path], object], words: str) -> None:
    (january,) = _chain(store, JANUARY, 1)
    spoil(january.folder / RECORD_FILE)
    with pytest.raises(StateError, match=f"2026-01.1/{RECORD_FILE} (was written by )?{words}"):
        store.months()


_WHOLE = ("before", "reference", "scenes", "scenes_skipped", "pixels", "identity", "checksums", "grid", "parameters")


@pytest.mark.parametrize("name", [*_WHOLE, "patch_parameters", "pixels_per_class"])
def test_a_record_that_lacks_something_is_told_and_the_other_months_are_read(store: TileStore, name: str) -> None:
    january, february = _chain(store, JANUARY, 2)
    path = february.folder / RECORD_FILE
    record = json.loads(path.read_text())
    del record[name]
    path.write_text(json.dumps(record))
    with pytest.raises(StateError, match=rf"2026-02.1/tile.json is damaged \({name} absent .*: restore it from"):
        store.months()
    found, spoilt = store.look()
    assert (found, list(spoilt), spoilt[february.month].folder) == ({JANUARY: january}, [february.month], path.parent)


def test_a_record_of_another_kind_is_told(store: TileStore) -> None:
    (january,) = _chain(store, JANUARY, 1)
    path = january.folder / RECORD_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | {"reference": {"month": "2026-01"}, "scenes": 7}))
    with pytest.raises(StateError, match="damaged \\(reference, scenes absent or of the wrong kind"):
        store.months()


def test_states_of_long_ago_are_forgotten_but_not_the_reference_in_use(store: TileStore) -> None:
    kept = _chain(store, JANUARY, 8)
    store.forget_old_states(kept[-1].month, 3)
    assert [month.has_state for month in kept] == [False] * 5 + [True] * 3
    for month in kept[:5]:
        rest = {path.name for path in month.folder.iterdir()}
        assert rest == {"change.tif", RECORD_FILE} | ({REFERENCE_FILE, FOREST_FILE} if month.is_build else set())
    # The three months that may be worked out again, and the next, still find what they stand on.
    for month in kept[5:]:
        store.open_state(month)


def test_a_reference_that_nothing_uses_any_more_is_forgotten(store: TileStore) -> None:
    old = _chain(store, JANUARY, 3)
    new = _chain(store, JANUARY.shifted(3), 4)
    store.forget_old_states(new[-1].month, 3)
    assert not (old[0].folder / REFERENCE_FILE).exists()
    assert (new[0].folder / REFERENCE_FILE).exists()
    assert not new[0].has_state
    store.open_state(new[1])
