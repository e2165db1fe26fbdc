"""Pictures of the alerts of the monthly run: what the images show before and after, and the NDVI of each date.

An alert is pictured when it is new, and again when it has changed: another outline, other dates, confirmed. What is
kept of it lies under ``chips/<alert>/`` of the data directory: ``before.tif``, ``after.tif``, ``series.parquet``, and
``pictured.json``, which says of what. The images are those that the tiles' months remember; nothing is searched for.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import rasterio
import shapely

from detector.alerts import Alert
from detector.chips import CHIPS_FOLDER, SERIES_FILE, ChipsMade, Moment, SeriesRow, make_chips, write_series
from detector.month_record import grid_of, remembered_scene
from detector.params import ChipParams
from detector.register import RegisterStore
from detector.tile_store import TileMonth, TileStore
from detector.track_month import ALERTS_FOLDER, OpenReader
from tiles.errors import OutputError, StateError
from tiles.grid import Grid
from tiles.month import Month
from tiles.placing import PARTIAL, put_folder, take_away
from tiles.reader import Reader
from tiles.scene import NEEDED_BANDS, Scene

PICTURED_FILE: Final = "pictured.json"
_AT_ONCE: Final = 200
"""Alerts that are pictured before they are put in place: as many are lost when a run is stopped."""


@dataclass(frozen=True)
class PicturesMade:
    """What came of picturing the alerts of a month.

    Parameters
    ----------
    made, unchanged
        Alerts.
    without
        Alerts that no clear date shows before or after; the series tells why.
    unread
        Scenes that could not be read for it, with the reasons: their alerts are pictured again by the next run.
    bytes_read
        Of rasters, as stored.
    """

    made: int = 0
    unchanged: int = 0
    without: int = 0
    unread: Mapping[str, str] = field(default_factory=dict)
    bytes_read: int = 0


def picture_month(
    month: Month,
    data_dir: Path,
    open_reader: OpenReader,
    params: ChipParams,
    threads: int = 1,
    check: Callable[[], None] = lambda: None,
) -> PicturesMade:
    """Picture the alerts that stand after a month, where they are new or have changed.

    Parameters
    ----------
    month
        That has been tracked.
    data_dir
        The data directory.
    open_reader
        Opens the archive; asked only where there is something to picture.
    params
        How.
    threads
        That read at once.
    check
        Called every now and then; what it raises ends the work, and what is in place stays.

    Raises
    ------
    tiles.errors.StateError
        When a record of the register or of a tile is damaged.
    tiles.errors.OutputError
        When the disk takes no more; what is in place stays.
    """
    store = RegisterStore(data_dir / ALERTS_FOLDER)
    alerts = store.read(store.months().get(month)).published
    wanted = {alert.id: _subject_of(alert, params) for alert in alerts}
    due = [alert for alert in alerts if not _is_pictured(data_dir, alert.id, wanted[alert.id])]
    if not due:
        return PicturesMade(unchanged=len(alerts))
    reader, options = open_reader()
    made: list[ChipsMade] = []
    without = 0
    with rasterio.Env(**options):
        for tile, theirs in _by_tile(due):
            known = _Known.of(data_dir, tile, month)
            for some in _batches(known, theirs):
                check()
                chips, empty = _picture(some, known, reader, data_dir, wanted, params, threads)
                made.append(chips)
                without += empty
    unread = {scene: reason for chips in made for scene, reason in chips.unread.items()}
    return PicturesMade(len(due), len(alerts) - len(due), without, dict(sorted(unread.items())), reader.bytes_read)


@dataclass(frozen=True, eq=False)
class _Known:
    """What the months of a tile remember: its grid, and its images."""

    grid: Grid
    scenes: Sequence[Scene]

    @classmethod
    def of(cls, data_dir: Path, tile: str, month: Month) -> _Known:
        months: Mapping[Month, TileMonth] = TileStore(data_dir, tile).months()
        until = [kept for when, kept in sorted(months.items()) if when <= month]
        if not until:
            raise StateError(
                f"The months of tile {tile} are gone, which has alerts: restore tiles/{tile} from a backup."
            )
        told = {scene["id"]: remembered_scene(tile, scene) for kept in until for scene in kept.record["scenes"]}
        scenes = [scene for scene in told.values() if scene is not None and _is_readable(scene)]
        return cls(grid_of(until[-1].record)[0], scenes)


def _is_readable(scene: Scene) -> bool:
    """Whether the record tells where all that a picture needs lies: those of older versions do not."""
    return all(band in product.hrefs for product in scene.members for band in NEEDED_BANDS)


def _by_tile(alerts: Sequence[Alert]) -> Iterator[tuple[str, list[Alert]]]:
    for tile in sorted({alert.tile for alert in alerts}):
        yield tile, [alert for alert in alerts if alert.tile == tile]


def _batches(known: _Known, alerts: Sequence[Alert]) -> Iterator[Sequence[Alert]]:
    """Alerts in their order on the ground, rows of the tile's blocks first: those of a batch share blocks."""

    def place(alert: Alert) -> tuple[float, float, str]:
        west, _, _, north = alert.geometry.bounds
        return -round(north, 1), west, alert.id

    ordered = sorted(alerts, key=place) if known.scenes else list(alerts)
    for start in range(0, len(ordered), _AT_ONCE):
        yield ordered[start : start + _AT_ONCE]


def _picture(
    alerts: Sequence[Alert],
    known: _Known,
    reader: Reader,
    data_dir: Path,
    wanted: Mapping[str, str],
    params: ChipParams,
    threads: int,
) -> tuple[ChipsMade, int]:
    """Picture some alerts and put each in place; what was made, and how many have no picture at all."""
    target = data_dir / CHIPS_FOLDER
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"{PARTIAL}pictures-", dir=target, ignore_cleanup_errors=True) as name:
            folder = Path(name)
            chips = make_chips(alerts, known.scenes, reader, known.grid, folder, params, threads)
            rows = _by_alert(chips.series)
            without = 0
            for alert in alerts:
                partial = folder / alert.id
                without += not any((partial / f"{moment}.tif").exists() for moment in Moment)
                partial.mkdir(exist_ok=True)
                write_series(rows.get(alert.id, ()), partial / SERIES_FILE)
                # Where something could not be read, the next run looks again.
                subject = wanted[alert.id] if not chips.unread else None
                (partial / PICTURED_FILE).write_text(json.dumps({"schema": 1, "of": subject}), encoding="utf-8")
                take_away(target / alert.id, folder)
                put_folder(partial, target / alert.id)
    except OSError as error:
        raise OutputError(f"Cannot write pictures in {target}: {error.strerror or error}.") from error
    return chips, without


def _by_alert(series: Sequence[SeriesRow]) -> dict[str, list[SeriesRow]]:
    rows: dict[str, list[SeriesRow]] = {}
    for row in series:
        rows.setdefault(row.alert_id, []).append(row)
    return rows


def _subject_of(alert: Alert, params: ChipParams) -> str:
    """Name of what a picture shows: with another, it is made again."""
    told: list[Any] = [alert.state.value, str(alert.last_intact), str(alert.first_low), asdict(params)]
    told.append(shapely.to_wkb(alert.geometry, hex=True))
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _is_pictured(data_dir: Path, alert_id: str, subject: str) -> bool:
    try:
        told = json.loads((data_dir / CHIPS_FOLDER / alert_id / PICTURED_FILE).read_text(encoding="utf-8"))
        return bool(told["of"] == subject)
    except (OSError, ValueError, KeyError, TypeError):
        return False
