"""What the commands put into the ports: the work of a tile, the building of its reference, the tracking of alerts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detector import track_month
from detector.pipeline import ScanParams
from detector.ports import TrackOutcome
from detector.tile_month import build_reference, work_tile
from tiles.catalog import Credentials, open_catalogue
from tiles.merging import archive_reader
from tiles.month import Month
from tiles.reader import Reader, gdal_env

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
    max_requests_per_host
        Requests that are under way to one host at most.
    """

    catalogue: str
    credentials: Credentials | None
    params: ScanParams
    max_requests_per_host: int = 8

    def __call__(self, month: Month, tiles: Sequence[str], data_dir: Path) -> TrackOutcome:  # noqa: ARG002 - all are taken
        """Bring the alerts up to a month; of tiles that were not run, what is kept of the month counts as well."""
        return track_month.track_month(month, data_dir, self.params, self._open_reader)

    def _open_reader(self) -> tuple[Reader, dict[str, Any]]:
        access = open_catalogue(self.catalogue, self.credentials).access
        return archive_reader(access, self.max_requests_per_host), gdal_env(access)
