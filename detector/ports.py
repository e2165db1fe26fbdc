"""What the monthly run asks of the floors below it: the work of a tile, and the tracking of alerts between months.

Whoever starts a run fills these in. All of it pickles, since a tile may be worked on by another machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from detector.pipeline import ScanParams
from detector.scorer import PatchScorer
from detector.tile_rows import RowShare
from tiles.catalog import Credentials, SkippedScene
from tiles.month import Month

Progress = Callable[[int, int], None]
"""Told how many windows of a tile are done, and how many there are."""


class TileStatus(StrEnum):
    """What became of a tile in a run."""

    DONE = "done"
    """All its scenes were heard, and its state was written."""
    UNCHANGED = "unchanged"
    """It had been done before, with the same scenes and parameters: nothing was read."""
    INCOMPLETE = "incomplete"
    """Done, but scenes were left out by faults, or there were none: they are to be read at the next run."""
    FAILED = "failed"
    """An error stopped it: what the tile held before is as it was."""
    LOCKED = "locked"
    """Another process is at work on it."""

    @property
    def kept(self) -> bool:
        """Whether the month's state of the tile is there."""
        return self in {TileStatus.DONE, TileStatus.UNCHANGED, TileStatus.INCOMPLETE}

    @property
    def complete(self) -> bool:
        """Whether nothing is left to be done."""
        return self in {TileStatus.DONE, TileStatus.UNCHANGED}


@dataclass(frozen=True, kw_only=True)
class WorkOrder:
    """What is done with each tile of a run, wherever that is.

    Parameters
    ----------
    month
        What is scanned; of a reference, the first month that it is to serve.
    data_dir
        The data directory. In a `TileJob` its absolute path: every machine sees it under this name.
    catalogue
        Name or address of the catalogue.
    forest_mask
        What is forest; all where there is none.
    params
        How.
    threads
        Decoding and computing threads; as many as processors where None.
    max_requests_per_host
        Requests that are under way to one host at most, from each process.
    credentials
        What opens the archive; never shown, logged or recorded.
    may_build
        Whether a tile without a reference builds it by itself.
    scorer
        Says how probably each patch is a clear-cut; without one that is unknown.
    """

    month: Month
    data_dir: Path
    catalogue: str
    forest_mask: Path | None = None
    params: ScanParams = field(default_factory=ScanParams)
    threads: int | None = None
    max_requests_per_host: int = 8
    credentials: Credentials | None = field(default=None, repr=False)
    may_build: bool = True
    scorer: PatchScorer | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class TileJob(WorkOrder):
    """One tile of one month, with all that is needed to work on it anywhere.

    Parameters
    ----------
    tile
        MGRS name, such as ``31TFJ``.
    """

    tile: str


@dataclass(frozen=True)
class TileOutcome:
    """What came of a tile.

    The work itself need not fill in `seconds`, `peak_memory_bytes` and `detail`: `scripts.tile_runs` does.

    Parameters
    ----------
    tile, month
        Of the job.
    status
        What became of it.
    message
        One sentence, where the status is not `TileStatus.DONE` or `TileStatus.UNCHANGED`.
    scenes_read
        Identifiers of the month's scenes, oldest first. Of an unchanged tile these and the counts of pixels are those
        of the run that did it.
    scenes_skipped
        Scenes left out, with reasons.
    reference_missing
        Scenes that its reference is short of, since they could not be read when it was built.
    infrared_unread
        Scenes whose infrared could not be read around patches, with the reasons: causes are told without them.
    redone_months
        Months before this one that were worked out anew, since scenes of theirs arrived late.
    bytes_read
        Of raster data, as stored.
    seconds
        By the monotonic clock.
    peak_memory_bytes
        Largest resident memory of the process while it was at the tile.
    watched_px, observed_px
        Pixels of watched forest, and those of them that the month's scenes said something of.
    provisional_px, confirmed_px
        Pixels lost, by what is known of the loss.
    detail
        Traceback of an error that was not foreseen.
    """

    tile: str
    month: Month
    status: TileStatus
    message: str | None = None
    scenes_read: tuple[str, ...] = ()
    scenes_skipped: tuple[SkippedScene, ...] = ()
    reference_missing: tuple[str, ...] = ()
    infrared_unread: Mapping[str, str] = field(default_factory=dict)
    redone_months: tuple[str, ...] = ()
    bytes_read: int = 0
    seconds: float = 0.0
    peak_memory_bytes: int = 0
    watched_px: int = 0
    observed_px: int = 0
    provisional_px: int = 0
    confirmed_px: int = 0
    detail: str | None = None

    @property
    def observed_share(self) -> float | None:
        """Share of the watched forest that was observed; None where there is no forest."""
        return self.observed_px / self.watched_px if self.watched_px else None


class TileWork(Protocol):
    """Works a tile's month out. A function at the top of a module, so that it pickles.

    It is called with the tile's lock held. It may raise any error, which makes the tile `TileStatus.FAILED`; it must
    leave each file of the data directory either as it was or whole, whenever it is killed.
    """

    def __call__(self, job: TileJob, progress: Progress | None, share: RowShare | None = None) -> TileOutcome:
        """Work out the job's tile, telling how far it is; by rows of windows where there are others to share with."""
        ...


@dataclass(frozen=True)
class AlertCounts:
    """How many alerts a month made, made larger and closed, and how many are open after it."""

    new: int
    grown: int
    closed: int
    open: int


@dataclass(frozen=True)
class TrackOutcome:
    """What came of the tracking of a month.

    Parameters
    ----------
    counts
        Of the month.
    warnings
        What is not known of its alerts, and for want of what.
    earlier
        Of months before it that had to be tracked first, by name.
    tiles_left_out
        Tiles whose records cannot be read, with the reasons: their alerts are as they were.
    scenes_unheard
        Scenes that refuted alerts rested on and that could not be looked at, with the reasons.
    """

    counts: AlertCounts
    warnings: tuple[str, ...] = ()
    earlier: Mapping[str, AlertCounts] = field(default_factory=dict)
    tiles_left_out: Mapping[str, str] = field(default_factory=dict)
    scenes_unheard: Mapping[str, str] = field(default_factory=dict)


class TrackWork(Protocol):
    """Takes the patches of a month's tiles into the alerts: those that meet over a tile's edge, grow, or are refuted.

    It gives the same when it is called again, and leaves alone the alerts of tiles of which nothing is kept.
    """

    def __call__(self, month: Month, tiles: Sequence[str], data_dir: Path) -> TrackOutcome:
        """Track a month, given the tiles whose states of it are kept."""
        ...
