"""One surface under every coding and in any number of products gives one change map and the same alerts."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detector.pipeline import ScanResult, scan
from tests.fakes.archive import (
    DAYS,
    JULY_DAYS,
    MONITORED_DAYS,
    blank,
    copy_scene,
    cut_short,
    edit_item,
    folder_of,
    item_id,
    outline,
    read_raster,
    save_item,
    shift_scene,
)
from tiles.catalog import open_catalogue
from tiles.change import open_change_map
from tiles.month import Month
from tiles.watch import WatchedArea


@dataclasses.dataclass(frozen=True)
class Scanned:
    """What a scan left, and what it said."""

    result: ScanResult
    out: Path

    @property
    def record(self) -> dict[str, Any]:
        return dict(json.loads((self.out / "scan.json").read_text()))

    @property
    def tile(self) -> dict[str, Any]:
        (tile,) = self.record["tiles"]
        return dict(tile)

    def found(self) -> tuple[bytes, bytes]:
        """Alerts to the byte, and the change map's pixels."""
        with open_change_map(self.out / "change_31TDK_2019-07.json") as change:
            pixels = b"".join(np.asarray(change[name].values).tobytes() for name in sorted(map(str, change.data_vars)))
        return (self.out / "alerts.geojson").read_bytes(), pixels


Scan = Callable[[Path], Scanned]


def _scan(archive: Path, out: Path) -> Scanned:
    result = scan(open_catalogue(str(archive)), Month(2019, 7), WatchedArea(), out, today=dt.date(2019, 8, 2))
    return Scanned(result, out)


@pytest.fixture(scope="module")
def plain(_small_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Scanned:
    """The archive as it is: baseline 02.14, each pass once."""
    scanned = _scan(_small_archive, tmp_path_factory.mktemp("plain") / "out")
    assert len(scanned.result.alerts) == 1
    assert scanned.result.complete
    return scanned


#: Properties, declared offset, and what is added to the digital numbers: one surface, as each archive delivers it.
CODINGS: dict[str, tuple[dict[str, Any], float | None, int]] = {
    "before 04.00": ({"s2:processing_baseline": "02.14"}, 0, 0),
    "reprocessed": ({"s2:processing_baseline": "05.00"}, -0.1, 1000),
    "delivered by ESA": ({"s2:processing_baseline": "05.11"}, None, 1000),
    "Earth Search, applied": ({"s2:processing_baseline": "05.00", "earthsearch:boa_offset_applied": True}, -0.1, 0),
    "said not applied, yet is": (
        {"s2:processing_baseline": "04.00", "earthsearch:boa_offset_applied": False},
        -0.1,
        0,
    ),
    "said not applied, and is not": (
        {"s2:processing_baseline": "04.00", "earthsearch:boa_offset_applied": False},
        -0.1,
        1000,
    ),
    "says nothing, without": ({"s2:processing_baseline": None}, None, 0),
    "says nothing, with": ({"s2:processing_baseline": None}, None, 1000),
}


def _code(archive: Path, day: dt.date, coding: str) -> None:
    properties, declared, by = CODINGS[coding]
    shift_scene(archive, day, by)
    document = edit_item(archive, day, **properties)
    for name in ("red", "nir"):
        (band,) = document["assets"][name]["raster:bands"]
        band.pop("offset", None)
        band |= {} if declared is None else {"offset": declared}
    save_item(archive, day, document)


def test_one_surface_under_every_coding_gives_one_reflectance(
    plain: Scanned, small_archive: Path, tmp_path: Path
) -> None:
    names = list(CODINGS)
    codings = {day: names[number % len(names)] for number, day in enumerate(DAYS)}
    for day, coding in codings.items():
        _code(small_archive, day, coding)
    scanned = _scan(small_archive, tmp_path / "out")
    assert scanned.found() == plain.found()
    assert scanned.result.complete
    # Each decision that the items leave open is told with its figure, and no other.
    told = scanned.tile["offsets_from_pixels"]
    by_pixels = {item_id(day): CODINGS[coding][2] for day, coding in codings.items() if "sa" in coding.split()[0]}
    assert set(told) == set(by_pixels)
    for scene_id, by in by_pixels.items():
        assert told[scene_id].startswith(f"offset {-by} decided from pixels: p1 = "), scene_id


def test_no_data_is_masked_before_the_offset_is_taken_away(plain: Scanned, small_archive: Path, tmp_path: Path) -> None:
    for day in DAYS:
        _code(small_archive, day, "reprocessed")
        # On the felling too: 1000 taken from no data would be as dark as water.
        blank(folder_of(small_archive, day), slice(10, 12))
    scanned = _scan(small_archive, tmp_path / "out")
    with open_change_map(scanned.out / "change_31TDK_2019-07.json") as change:
        drop = np.asarray(change["ndvi_drop"].values)
    assert np.isnan(drop[:, 20:24]).all()
    with open_change_map(plain.out / "change_31TDK_2019-07.json") as change:
        whole = np.asarray(change["ndvi_drop"].values)
    both = ~np.isnan(drop) & ~np.isnan(whole)
    assert both[10:22, 24:30].all()
    np.testing.assert_allclose(drop[both], whole[both], atol=0.02)


def test_an_undecidable_scene_is_set_aside_with_its_reason_in_the_record(small_archive: Path, tmp_path: Path) -> None:
    _code(small_archive, JULY_DAYS[0], "said not applied, yet is")
    shift_scene(small_archive, JULY_DAYS[0], 500)
    scanned = _scan(small_archive, tmp_path / "out")
    (left,) = scanned.record["scenes_skipped"]
    assert left["id"] == item_id(JULY_DAYS[0])
    assert "its pixels do not tell (p1 = 7" in left["reason"]
    assert not left["superseded"]
    assert not scanned.record["complete"]


def _newer(day: dt.date) -> str:
    return f"S2A_31TDK_{day:%Y%m%d}_1_L2A"


def test_duplicates_under_several_baselines_give_the_same_as_one(
    plain: Scanned, small_archive: Path, tmp_path: Path
) -> None:
    for day in MONITORED_DAYS:
        copy_scene(small_archive, day, f"S2A_31TDK_{day:%Y%m%d}_2_L2A", **{"s2:processing_baseline": "02.08"})
    scanned = _scan(small_archive, tmp_path / "out")
    assert scanned.found() == plain.found()
    assert scanned.result.complete
    assert [left["superseded"] for left in scanned.record["scenes_skipped"]] == [True] * len(MONITORED_DAYS)
    assert f"same acquisition as {item_id(MONITORED_DAYS[0])}" in scanned.record["scenes_skipped"][0]["reason"]
    assert scanned.result.bytes_read == plain.result.bytes_read


@pytest.mark.parametrize("newer_by", [0, 1000])
def test_halves_that_are_merged_give_the_same_as_the_whole(
    plain: Scanned, small_archive: Path, tmp_path: Path, newer_by: int
) -> None:
    # The felling's columns are 20 to 29: it is cut in two.
    for day in MONITORED_DAYS:
        half = copy_scene(small_archive, day, _newer(day))
        if newer_by:
            shifted = {name: read_raster(folder_of(small_archive, day) / f"{name}.tif") for name in ("red", "nir")}
            _code(small_archive, day, "delivered by ESA")
            assert (read_raster(folder_of(small_archive, day) / "red.tif") == shifted["red"] + 1000).all()
        blank(half, slice(12, None))
        blank(folder_of(small_archive, day), slice(0, 12))
        outline(half, 0, 0.5)
        outline(folder_of(small_archive, day), 0.5, 1)
    scanned = _scan(small_archive, tmp_path / "out")
    assert scanned.result.complete
    assert scanned.record["scenes_skipped"] == []
    first, second = (item_id, _newer) if newer_by else (_newer, item_id)
    assert scanned.tile["scenes_merged"] == {first(day): [second(day)] for day in MONITORED_DAYS}
    alerts, pixels = scanned.found()
    names = alerts.decode()
    for day in MONITORED_DAYS:
        names = names.replace(first(day), item_id(day))
    assert (names.encode(), pixels) == plain.found()


@pytest.mark.parametrize("how", ["absent", "damaged"])
def test_when_the_newest_is_unreadable_the_older_is_read_and_both_are_named(
    plain: Scanned, small_archive: Path, tmp_path: Path, how: str
) -> None:
    day = JULY_DAYS[0]
    newest = copy_scene(small_archive, day, _newer(day), **{"s2:processing_baseline": "05.00"})
    if how == "absent":
        (newest / "nir.tif").unlink()
    else:
        cut_short(newest / "nir.tif", 0.6)
    scanned = _scan(small_archive, tmp_path / "out")
    assert scanned.found() == plain.found()
    (left,) = scanned.record["scenes_skipped"]
    assert left["id"] == _newer(day)
    assert "its nir raster" in left["reason"]
    assert left["reason"].endswith(f"; in its place {item_id(day)} is read")
    assert not scanned.record["complete"]
    assert item_id(day) in scanned.tile["scenes_monitored"]


def test_a_half_that_is_unreadable_leaves_the_other(small_archive: Path, tmp_path: Path) -> None:
    day = JULY_DAYS[1]
    half = copy_scene(small_archive, day, _newer(day))
    blank(half, slice(12, None))
    blank(folder_of(small_archive, day), slice(0, 12))
    outline(half, 0, 0.5)
    outline(folder_of(small_archive, day), 0.5, 1)
    cut_short(folder_of(small_archive, day) / "red.tif", 0.6)
    scanned = _scan(small_archive, tmp_path / "out")
    (left,) = scanned.record["scenes_skipped"]
    assert left["id"] == item_id(day)
    assert scanned.tile["scenes_merged"] == {}
    assert _newer(day) in scanned.tile["scenes_monitored"]
