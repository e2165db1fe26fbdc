"""What the commands put into the ports: the work of a tile, the building of its reference, the tracking of alerts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from detector.ports import AlertCounts, Progress, TileJob, TileOutcome
from tiles.errors import MissingDependencyError
from tiles.month import Month

_MISSING = "This version of Sylvigie has no {} yet: take a newer one."


def work_tile(job: TileJob, progress: Progress | None) -> TileOutcome:  # noqa: ARG001 - not here yet
    """Work out a tile's month; see `detector.ports.TileWork`."""
    raise MissingDependencyError(_MISSING.format("monthly state of a tile"))


def build_reference(job: TileJob, progress: Progress | None) -> TileOutcome:  # noqa: ARG001 - not here yet
    """Build a tile's reference; see `detector.ports.TileWork`."""
    raise MissingDependencyError(_MISSING.format("reference of a tile"))


def track_month(month: Month, tiles: Sequence[str], data_dir: Path) -> AlertCounts:  # noqa: ARG001 - not here yet
    """Bring the alerts up to a month; see `detector.ports.TrackWork`."""
    raise MissingDependencyError(_MISSING.format("tracking of alerts"))
