"""What the commands put into the ports: the work of a tile, the building of its reference, the tracking of alerts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from detector.ports import AlertCounts
from detector.tile_month import build_reference, work_tile
from tiles.month import Month

__all__ = ["build_reference", "track_month", "work_tile"]


def track_month(month: Month, tiles: Sequence[str], data_dir: Path) -> AlertCounts:  # noqa: ARG001 - not here yet
    """Bring the alerts up to a month; see `detector.ports.TrackWork`."""
    return AlertCounts(0, 0, 0, 0)
