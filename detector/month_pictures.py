"""Pictures of the alerts of the monthly run: what the images show before and after, and the NDVI of each date.

An alert is pictured when it is new, and again when it has changed: another outline, other dates, confirmed. Where a
scene could not be read, the next run asks for that scene alone, and pictures the alert again once it can be read. What
is kept lies under ``chips/`` of the data directory; see `detector.alert_pictures`. Alerts that were closed keep theirs.
The images are those that the tiles' months remember; nothing is searched for.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import rasterio
import shapely

from detector.alert_pictures import Pictured, place_pictures, read_pictured
from detector.alerts import Alert
from detector.chips import CHIPS_FOLDER, SeriesRow, make_chips
from detector.month_record import grid_of, remembered_scene
from detector.params import ChipParams
from detector.register import RegisterStore
from detector.tile_store import TileMonth, TileStore
from detector.track_month import ALERTS_FOLDER, OpenReader
from tiles.errors import OutputError, StateError
from tiles.grid import Grid
from tiles.month import Month
from tiles.placing import PARTIAL
from tiles.reader import Reader
from tiles.scene import NEEDED_BANDS, Scene

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
        Alerts that were pictured and that no clear date shows before or after; the series tells why.
    unread
        Scenes that could not be read for it, with the reasons: the next run asks for them again.
    lacking
        Alerts, pictured in this run or before, that had to do without one of them.
    scenes_untold
        Scenes of the tiles' months of which no record tells where their red, near infrared and classification lie, as
        those of older versions do not: nothing is pictured of them.
    tiles_left_out
        Tiles whose months cannot be read, with the reasons: the pictures of their alerts are as they were.
    bytes_read
        Of rasters, as stored.
    """

    made: int = 0
    unchanged: int = 0
    without: int = 0
    unread: Mapping[str, str] = field(default_factory=dict)
    lacking: int = 0
    scenes_untold: int = 0
    tiles_left_out: Mapping[str, str] = field(default_factory=dict)
    bytes_read: int = 0


def picture_month(
    month: Month,
    data_dir: Path,
    open_reader: OpenReader,
    params: ChipParams,
    threads: int = 1,
    check: Callable[[], None] = lambda: None,
) -> PicturesMade:
    """Picture the alerts that stand, where they are new or have changed.

    Parameters
    ----------
    month
        That has been tracked. Where later ones have been, the alerts are as the last of them tells.
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
        When a record of the register is damaged.
    tiles.errors.OutputError
        When the disk takes no more; what is in place stays.
    """
    register = RegisterStore(data_dir / ALERTS_FOLDER)
    newest = max([month, *register.months()])
    alerts = register.read(register.months().get(newest)).published
    wanted = {alert.id: _subject_of(alert, params) for alert in alerts}
    kept = {alert.id: read_pictured(data_dir / CHIPS_FOLDER / alert.id) for alert in alerts}
    due = [alert for alert in alerts if (was := kept[alert.id]) is None or was.of != wanted[alert.id] or was.lacking]
    if not due:
        return PicturesMade(unchanged=len(alerts))
    reader, options = open_reader()
    work = _Work(data_dir, newest, reader, params, threads, check, wanted, kept)
    with rasterio.Env(**options):
        for tile in sorted({alert.tile for alert in due}):
            work.tile(tile, [alert for alert in due if alert.tile == tile])
    return PicturesMade(
        work.made,
        len(alerts) - work.made,
        work.without,
        dict(sorted(work.unread.items())),
        work.lacking,
        work.scenes_untold,
        work.tiles_left_out,
        reader.bytes_read,
    )


@dataclass(frozen=True, eq=False)
class _Known:
    """What the months of a tile remember: its grid, its images, and how many more of which too little is told."""

    grid: Grid
    scenes: Sequence[Scene]
    untold: int

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
        return cls(grid_of(until[-1].record)[0], scenes, len(told) - len(scenes))


def _is_readable(scene: Scene) -> bool:
    """Whether the record tells where all that a picture needs lies: those of older versions do not."""
    return all(band in product.hrefs for product in scene.members for band in NEEDED_BANDS)


@dataclass
class _Work:
    """The pictures of a month, tile by tile, and what came of them."""

    data_dir: Path
    month: Month
    reader: Reader
    params: ChipParams
    threads: int
    check: Callable[[], None]
    wanted: Mapping[str, str]
    kept: Mapping[str, Pictured | None]
    made: int = 0
    without: int = 0
    unread: dict[str, str] = field(default_factory=dict)
    lacking: int = 0
    scenes_untold: int = 0
    tiles_left_out: dict[str, str] = field(default_factory=dict)

    def tile(self, tile: str, alerts: Sequence[Alert]) -> None:
        """Picture alerts of one tile; those that only lack scenes, where one of these can be read by now."""
        try:
            known = _Known.of(self.data_dir, tile, self.month)
        except StateError as error:
            self.tiles_left_out[tile] = str(error)
            return
        self.scenes_untold += known.untold
        for some in _batches(alerts):
            self.check()
            again = [alert for alert in some if self._only_lacks(alert)]
            still = self._lack_still(again, known)
            self.lacking += len(still)
            if due := [alert for alert in some if alert.id not in still]:
                self.check()
                self._picture(due, known)

    def _only_lacks(self, alert: Alert) -> bool:
        was = self.kept[alert.id]
        return was is not None and was.of == self.wanted[alert.id]

    def _lack_still(self, alerts: Sequence[Alert], known: _Known) -> set[str]:
        """Which alerts lack all that they lacked: the scenes are asked for alone, one that is broken costs a block."""
        lacked = {alert.id: was.lacking for alert in alerts if (was := self.kept[alert.id]) is not None}
        # What no month remembers any more cannot be asked for: the alert is pictured again from what there is.
        scenes = {scene.id: scene for scene in known.scenes}
        asked = {name: names for name, names in lacked.items() if names <= scenes.keys()}
        still: set[str] = set()
        for names in sorted(set(asked.values()), key=sorted):
            those = [alert for alert in alerts if asked.get(alert.id) == names]
            with self._beside() as folder:
                chips = make_chips(
                    those, [scenes[name] for name in names], self.reader, known.grid, folder, self.params, self.threads
                )
            self.unread |= chips.unread
            still |= {alert.id for alert in those if chips.lacking.get(alert.id) == names}
        return still

    def _picture(self, alerts: Sequence[Alert], known: _Known) -> None:
        """Picture some alerts, and put each in place."""
        with self._beside() as folder:
            chips = make_chips(alerts, known.scenes, self.reader, known.grid, folder, self.params, self.threads)
            rows: dict[str, list[SeriesRow]] = {}
            for row in chips.series:
                rows.setdefault(row.alert_id, []).append(row)
            for alert in alerts:
                pictured = Pictured(self.wanted[alert.id], chips.lacking.get(alert.id, frozenset()))
                there = place_pictures(folder / alert.id, folder.parent / alert.id, pictured, rows.get(alert.id, ()))
                self.without += not there
                self.lacking += bool(pictured.lacking)
        self.made += len(alerts)
        self.unread |= chips.unread

    @contextmanager
    def _beside(self) -> Iterator[Path]:
        """A folder to write in, beside those of the alerts."""
        target = self.data_dir / CHIPS_FOLDER
        try:
            target.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(
                prefix=f"{PARTIAL}pictures-", dir=target, ignore_cleanup_errors=True
            ) as name:
                yield Path(name)
        except OSError as error:
            raise OutputError(f"Cannot write pictures in {target}: {error.strerror or error}.") from error


def _batches(alerts: Sequence[Alert]) -> Iterator[Sequence[Alert]]:
    """Alerts in their order on the ground, rows of the tile's blocks first: those of a batch share blocks."""

    def place(alert: Alert) -> tuple[float, float, str]:
        west, _, _, north = alert.geometry.bounds
        return -round(north, 1), west, alert.id

    ordered = sorted(alerts, key=place)
    for start in range(0, len(ordered), _AT_ONCE):
        yield ordered[start : start + _AT_ONCE]


def _subject_of(alert: Alert, params: ChipParams) -> str:
    """Name of what a picture shows: with another, it is made again."""
    told: list[Any] = [alert.state.value, str(alert.last_intact), str(alert.first_low), asdict(params)]
    told.append(shapely.to_wkb(alert.geometry, hex=True))
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()
