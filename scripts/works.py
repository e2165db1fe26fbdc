"""What the commands put into the ports: the work of a tile, the building of its reference, the tracking of alerts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from detector import track_month
from detector.pipeline import ScanParams
from detector.ports import AlertCounts
from detector.tile_month import build_reference, work_tile
from tiles.access import Access
from tiles.catalog import Credentials, open_catalogue
from tiles.month import Month

__all__ = ["TrackAlerts", "build_reference", "work_tile"]


@dataclass(frozen=True)
class TrackAlerts:
    """Tracks the alerts of a month; see `detector.ports.TrackWork`.

    Parameters
    ----------
    catalogue, credentials
        The archive, for the scenes that a refuted alert rested on.
    params
        What the tiles are worked out with.
    """

    catalogue: str
    credentials: Credentials | None
    params: ScanParams

    def __call__(self, month: Month, tiles: Sequence[str], data_dir: Path) -> AlertCounts:  # noqa: ARG002 - all are taken
        """Bring the alerts up to a month; of tiles that were not run, what is kept of the month counts as well."""
        return track_month.track_month(month, data_dir, self.params, self._open_access)

    def _open_access(self) -> Access:
        return open_catalogue(self.catalogue, self.credentials).access
