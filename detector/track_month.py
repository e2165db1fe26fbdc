"""The alerts of a month: the patches of all its tiles, laid on what was known of alerts before."""

from __future__ import annotations

import datetime as dt
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import rasterio
from shapely.geometry.base import BaseGeometry

from detector.alert_tables import read_found
from detector.alerts import Alert, ClosedReason
from detector.known import Event, Tracked
from detector.params import TrackParams
from detector.pipeline import ScanParams
from detector.ports import AlertCounts
from detector.refutation import SceneJudge
from detector.register import CLOSED_FILE, GEOJSON_FILE, RegisterMonth, RegisterStore
from detector.state_maps import StateMaps
from detector.tile_store import PATCHES_FILE, TileMonth, TileStore
from detector.tracking import track
from tiles.change import ChangeMapFiles
from tiles.errors import OutputError, StateError
from tiles.month import Month
from tiles.placing import put_file
from tiles.reader import Reader
from tiles.scene import Band, Scene

OpenReader = Callable[[], tuple[Reader, dict[str, Any]]]
"""Opens an archive: its reader, and how GDAL is to be set up while it reads."""

ALERTS_FOLDER = "alerts"
"""Of the data directory: the register, month after month."""

MONTHS_FOLDER = "months"
"""Where the alerts of each month are published, beside the record of its run."""

KEPT_MONTHS = 13
"""Months of the register that are kept: a year, and the month before it. Each holds all history up to it."""


def track_month(month: Month, data_dir: Path, params: ScanParams, open_reader: OpenReader) -> AlertCounts:
    """Bring the register of alerts up to a month, and the months after it that are kept already.

    Done again it gives the same. All tiles whose state of the month is kept are taken, whichever were run. Months
    before it whose tiles have been worked out again since are tracked again first: the run that did so may have been
    killed before it came to this.

    Parameters
    ----------
    month
        Whose tiles have been worked out.
    data_dir
        The data directory.
    params
        What the tiles were worked out with.
    open_reader
        Gives a reader of the archive, and how GDAL is to be set up for it; asked only where an alert is taken back,
        for the scenes that it rested on.

    Returns
    -------
    AlertCounts
        Of the month that was asked for.

    Raises
    ------
    tiles.errors.SylvigieError
        When a file of the data directory is absent or damaged, the register does not reach back to the month any
        more, or the disk takes no more; what was there stays.
    """
    store = RegisterStore(data_dir / ALERTS_FOLDER)
    kept = store.months()
    oldest = next(iter(kept.values()), None)
    if oldest is not None and month <= oldest.month and not oldest.is_first:
        raise StateError(
            f"The register of alerts is kept from {oldest.month} on, and {month} stands on one before that: run a "
            "month after it, or restore older folders of alerts/ from a backup."
        )
    outdated = _first_outdated(month, data_dir, kept.values())
    for other in [when for when in kept if outdated is not None and outdated <= when < month]:
        _track_one(other, data_dir, store, params, open_reader)
    counts = _track_one(month, data_dir, store, params, open_reader)
    for other in [when for when in kept if when > month]:
        _track_one(other, data_dir, store, params, open_reader)
    store.forget_old(KEPT_MONTHS)
    return counts


def _first_outdated(month: Month, data_dir: Path, kept: Iterable[RegisterMonth]) -> Month | None:
    """The first month of the register before another that stands on what is no longer so."""
    before: RegisterMonth | None = None
    for one in kept:
        if one.month >= month:
            break
        # What the oldest stands on may be forgotten: then it is what all others stand on, as it is.
        known = before is not None or one.is_first
        if known and not one.stands_on(before, _identities(_tiles(data_dir, one.month))):
            return one.month
        before = one
    return None


def _track_one(
    month: Month, data_dir: Path, store: RegisterStore, params: ScanParams, open_reader: OpenReader
) -> AlertCounts:
    tiles = dict(_tiles(data_dir, month))
    before = store.before(month)
    found = [patch for kept in tiles.values() for patch in read_found(kept.folder / PATCHES_FILE)]
    maps = [ChangeMapFiles.under(kept.folder, tile, month).state for tile, kept in tiles.items()]
    rules = TrackParams(
        min_area_ha=params.patches.min_area_ha,
        window_months=params.change.monitor.window_months,
        confirmed_share=params.patches.confirmed_share,
    )
    judge = _Judge(data_dir, month, open_reader)
    tracked = track(month, store.read(before), found, StateMaps(maps), rules, judge)
    kept = store.write(tracked.register, before, _identities(tiles.items()))
    for name in (GEOJSON_FILE, CLOSED_FILE):
        _publish(kept.folder / name, data_dir / MONTHS_FOLDER / str(month) / name)
    return _counts(tracked)


def _publish(source: Path, target: Path) -> None:
    """Put a copy where people look for it, whole or not at all."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=target.parent) as folder:
            put_file(shutil.copyfile(source, Path(folder) / target.name), target)
    except OSError as error:
        raise OutputError(f"Cannot write {target}: {error.strerror or error}.") from error


def _counts(tracked: Tracked) -> AlertCounts:
    return AlertCounts(
        new=tracked.count(Event.NEW),
        grown=tracked.count(Event.GROWN),
        closed=tracked.count(Event.CLOSED),
        open=len(tracked.register.published),
    )


def _tiles(data_dir: Path, month: Month) -> Iterator[tuple[str, TileMonth]]:
    """Tiles whose month is kept, by name."""
    for folder in sorted((data_dir / "tiles").iterdir()):
        kept = TileStore(data_dir, folder.name).months().get(month)
        if kept is not None:
            yield folder.name, kept


def _identities(tiles: Iterable[tuple[str, TileMonth]]) -> dict[str, str]:
    return {name: kept.identity for name, kept in tiles}


class _Judge:
    """Says why an alert is taken back; opens the archive when it is first asked."""

    def __init__(self, data_dir: Path, month: Month, open_reader: OpenReader) -> None:
        self._data_dir, self._month, self._open_reader = data_dir, month, open_reader
        self._options: dict[str, Any] = {}
        self._inner: SceneJudge | None = None

    def __call__(self, alert: Alert, ground: BaseGeometry) -> ClosedReason:
        """Judge an alert; see `detector.ledger.Why`."""
        if self._inner is None:
            reader, self._options = self._open_reader()
            self._inner = SceneJudge(reader, self._scenes())
        with rasterio.Env(**self._options):
            return self._inner(alert, ground)

    def _scenes(self) -> Mapping[str, Scene]:
        """Scenes of the months up to this one that the tiles' records name, by identifier."""
        scenes: dict[str, Scene] = {}
        for folder in sorted((self._data_dir / "tiles").iterdir()):
            for month, kept in TileStore(self._data_dir, folder.name).months().items():
                if month <= self._month:
                    scenes |= {scene["id"]: _scene(folder.name, scene) for scene in kept.record["scenes"]}
        return scenes


def _scene(tile: str, record: Mapping[str, str]) -> Scene:
    acquired = dt.datetime.fromisoformat(record["acquired"])
    return Scene(record["id"], acquired, tile, {Band.SCL: record["classification"]})
