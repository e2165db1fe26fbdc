"""The alerts of a month: the patches of all its tiles, laid on what was known of alerts before."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import rasterio
from shapely.geometry.base import BaseGeometry

from detector.alert_tables import read_found, read_found_features
from detector.alerts import Alert, ClosedReason, write_features, write_geojson
from detector.appraisal import Appraised, Appraiser, ground_of
from detector.known import Event, Register, Tracked
from detector.params import TrackParams
from detector.pipeline import ScanParams
from detector.ports import AlertCounts, TrackOutcome
from detector.refutation import SceneJudge
from detector.register import CLOSED_FILE, GEOJSON_FILE, RegisterMonth, RegisterStore
from detector.state_maps import StateMaps
from detector.tile_store import PATCHES_FILE, SpoiltMonth, TileMonth, TileStore
from detector.tracking import track
from tiles.change import ChangeMapFiles
from tiles.errors import StateError
from tiles.month import Month
from tiles.reader import Reader
from tiles.scene import Band, Scene

OpenReader = Callable[[], tuple[Reader, dict[str, Any]]]
"""Opens an archive: its reader, and how GDAL is to be set up while it reads."""

ALERTS_FOLDER = "alerts"
"""Of the data directory: the register, month after month."""

FEATURES_FILE = "features.parquet"
"""Beside the alerts of a month: what was measured of those that it found."""

MONTHS_FOLDER = "months"
"""Where the alerts of each month are published, beside the record of its run."""

KEPT_MONTHS = 13
"""Months of the register that are kept: a year, and the month before it. Each holds all history up to it."""


def track_month(
    month: Month,
    data_dir: Path,
    params: ScanParams,
    open_reader: OpenReader,
    appraiser: Appraiser | None = None,
    published: Callable[[Path], None] | None = None,
) -> TrackOutcome:
    """Bring the register of alerts up to a month, and the months after it that are kept already.

    Done again it gives the same. All tiles whose state of the month is kept are taken, whichever were run. Months
    before it are tracked first, in their order, where they never were (they filled a gap) or where their tiles have
    been worked out again since: the run that did so may have been killed before it came to this.

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
    appraiser
        Says of the alerts that are published where they lie and which criteria they meet; without one that is unknown.
    published
        Told of the file of alerts of each month that is tracked, before the month counts as tracked.

    Raises
    ------
    tiles.errors.SylvigieError
        When a file of the register or of a month's patches is absent or damaged, the register does not reach back to
        the month any more, or the disk takes no more; what was there stays.
    """
    store, tiles = RegisterStore(data_dir / ALERTS_FOLDER), _Tiles.of(data_dir)
    kept = store.months()
    oldest = next(iter(kept.values()), None)
    if oldest is not None and month <= oldest.month and not oldest.is_first:
        raise StateError(
            f"The register of alerts is kept from {oldest.month} on, and {month} stands on one before that: run a "
            "month after it, or restore older folders of alerts/ from a backup."
        )
    work = _Tracking(data_dir, store, tiles, params, open_reader, appraiser, published)
    earlier = {str(other): work.track(other) for other in _due_before(month, kept, tiles)}
    counts = work.track(month)
    warnings = work.warnings
    for other in [when for when in kept if when > month]:
        work.track(other)
    store.forget_old(KEPT_MONTHS)
    return TrackOutcome(counts, warnings, earlier, tiles.reasons, work.unheard)


@dataclass(frozen=True)
class _Tiles:
    """The months that are kept of all tiles, by tile; those whose records cannot be read apart."""

    sound: Mapping[str, Mapping[Month, TileMonth]]
    spoilt: Mapping[str, Mapping[Month, SpoiltMonth]]

    @classmethod
    def of(cls, data_dir: Path) -> _Tiles:
        looks = {
            folder.name: TileStore(data_dir, folder.name).look() for folder in sorted((data_dir / "tiles").iterdir())
        }
        return cls(
            {name: sound for name, (sound, _) in looks.items()},
            {name: spoilt for name, (_, spoilt) in looks.items() if spoilt},
        )

    @property
    def reasons(self) -> dict[str, str]:
        """What is wrong with the tiles that have a record which cannot be read."""
        return {name: str(next(iter(spoilt.values())).error) for name, spoilt in self.spoilt.items()}

    def scanned_months(self) -> set[Month]:
        """Months that were worked out of some tile from the month before: not those of which a reference was built."""
        return {month for months in self.sound.values() for month, kept in months.items() if not kept.is_build}

    def at(self, month: Month, tracked: RegisterMonth | None) -> dict[str, TileMonth]:
        """Tiles whose month is kept, by name.

        A tile whose record cannot be read is taken for what it was when the month was tracked, if it was: its patches
        stay. If not, it is left out, and what is known of its alerts is what was known before.
        """
        tiles = {name: months[month] for name, months in self.sound.items() if month in months}
        remembered = {} if tracked is None else tracked.record["tiles"]
        for name, months in self.spoilt.items():
            if month in months and name in remembered:
                spoilt = months[month]
                tiles[name] = TileMonth(month, spoilt.version, spoilt.folder, {"identity": remembered[name]})
        return dict(sorted(tiles.items()))

    def scenes(self, last: Month) -> dict[str, Scene]:
        """Scenes that the records of the months up to one name, by identifier."""
        return {
            scene["id"]: _scene(name, scene)
            for name, months in self.sound.items()
            for month, kept in months.items()
            if month <= last
            for scene in kept.record["scenes"]
        }


def _due_before(month: Month, kept: Mapping[Month, RegisterMonth], tiles: _Tiles) -> list[Month]:
    """The months before another that are to be tracked: from the first on that is missing or stands on what has gone.

    None before the first of the register: what stands there is what all others stand on.
    """
    first = next(iter(kept), None)
    filled = {when for when in tiles.scanned_months() if first is None or when > first}
    before: RegisterMonth | None = None
    months = [when for when in sorted(kept.keys() | filled) if when < month]
    for index, when in enumerate(months):
        one = kept.get(when)
        # What the oldest stands on may be forgotten: then it is as it is.
        known = before is not None or one is None or one.is_first
        if known and (one is None or not one.stands_on(before, _identities(tiles.at(when, one)))):
            return months[index:]
        before = one
    return []


@dataclass
class _Tracking:
    """Tracks months, one after the other."""

    data_dir: Path
    store: RegisterStore
    tiles: _Tiles
    params: ScanParams
    open_reader: OpenReader
    appraiser: Appraiser | None
    published: Callable[[Path], None] | None
    unheard: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    """Of the month that was tracked last."""

    def track(self, month: Month) -> AlertCounts:
        """Track a month from that before it, and publish it."""
        params, store = self.params, self.store
        tiles = self.tiles.at(month, store.months().get(month))
        before = store.before(month)
        found = [patch for kept in tiles.values() for patch in read_found(kept.folder / PATCHES_FILE)]
        maps = [ChangeMapFiles.under(kept.folder, tile, month).state for tile, kept in tiles.items()]
        rules = TrackParams(
            min_area_ha=params.patches.min_area_ha,
            window_months=params.change.monitor.window_months,
            confirmed_share=params.patches.confirmed_share,
        )
        judge = _Judge(self.tiles, month, self.open_reader)
        tracked = track(month, store.read(before), found, StateMaps(maps), rules, judge)
        self.unheard |= judge.unheard
        # Published first: a run that is killed in between finds the month still to be tracked, and does both again.
        features = [read_found_features(kept.folder / PATCHES_FILE) for kept in tiles.values()]
        self._publish(tracked.register, features, self.data_dir / MONTHS_FOLDER / str(month))
        store.write(tracked.register, before, _identities(tiles))
        return _counts(tracked)

    def _publish(self, register: Register, features: Sequence[pd.DataFrame], folder: Path) -> None:
        """Put the alerts, and what was measured of them, where people look for them."""
        alerts = register.published
        if self.appraiser is not None:
            appraised = _appraised(register, self.params, self.appraiser)
            alerts, self.warnings = list(appraised.alerts), appraised.warnings
        _write_features(register, features, alerts, folder / FEATURES_FILE)
        write_geojson(register.closed, folder / CLOSED_FILE)
        write_geojson(alerts, folder / GEOJSON_FILE)
        if self.published is not None:
            self.published(folder / GEOJSON_FILE)


def _write_features(register: Register, features: Sequence[pd.DataFrame], alerts: Sequence[Alert], path: Path) -> None:
    """Write the features of the alerts that the month has found: of several patches those of the largest."""
    measured = pd.concat(features) if features else pd.DataFrame()
    largest: dict[str, Alert] = {}
    for patch in register.patches:
        before = largest.get(patch.alert_id)
        if patch.alert.id in measured.index and (before is None or patch.alert.area_ha > before.area_ha):
            largest[patch.alert_id] = patch.alert
    told = [alert for alert in alerts if alert.id in largest]
    rows = measured.loc[[largest[alert.id].id for alert in told]] if told else measured.iloc[:0]
    write_features(rows, told, path)


def _appraised(register: Register, params: ScanParams, appraiser: Appraiser) -> Appraised:
    """The alerts that stand, with what layers and rules say of them.

    Not kept in the register, which holds what the imagery says: other layers, or other rules, change nothing of it.
    """
    grounds: dict[str, list[BaseGeometry]] = {}
    for patch in register.patches:
        grounds.setdefault(patch.alert_id, []).append(patch.ground)
    first = min((change.month for change in register.history), default=None)
    since = None if first is None else first.shifted(1 - params.change.monitor.window_months).first_day
    alerts = register.published
    return appraiser(alerts, [ground_of(grounds[alert.id]) for alert in alerts], since)


def _counts(tracked: Tracked) -> AlertCounts:
    return AlertCounts(
        new=tracked.count(Event.NEW),
        grown=tracked.count(Event.GROWN),
        closed=tracked.count(Event.CLOSED),
        open=len(tracked.register.published),
    )


def _identities(tiles: Mapping[str, TileMonth]) -> dict[str, str]:
    return {name: kept.identity for name, kept in tiles.items()}


class _Judge:
    """Says why an alert is taken back; opens the archive when it is first asked."""

    def __init__(self, tiles: _Tiles, month: Month, open_reader: OpenReader) -> None:
        self._tiles, self._month, self._open_reader = tiles, month, open_reader
        self._options: dict[str, Any] = {}
        self._inner: SceneJudge | None = None

    def __call__(self, alert: Alert, ground: BaseGeometry) -> ClosedReason:
        """Judge an alert; see `detector.ledger.Why`."""
        if self._inner is None:
            reader, self._options = self._open_reader()
            self._inner = SceneJudge(reader, self._tiles.scenes(self._month))
        with rasterio.Env(**self._options):
            return self._inner(alert, ground)

    @property
    def unheard(self) -> Mapping[str, str]:
        """Why scenes were left out, by identifier."""
        return {} if self._inner is None else self._inner.unheard


def _scene(tile: str, record: Mapping[str, str]) -> Scene:
    acquired = dt.datetime.fromisoformat(record["acquired"])
    return Scene(record["id"], acquired, tile, {Band.SCL: record["classification"]})
