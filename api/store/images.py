"""Where the images of an alert lie: in the folder of the scan that told it last, or in the data directory."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from api.store.database import Database
from api.store.scope import EVERYTHING, Scope, scope_condition
from api.store.tables import alerts, scans
from detector.chips import CHIPS_FOLDER, SERIES_FILE, Moment
from tiles.errors import NotFoundError, PictureError


@dataclass(frozen=True)
class SeriesDate:
    """What a date showed of an alert: NDVI of its clear pixels, and their share (0 to 1)."""

    day: dt.date
    scene: str
    ndvi: float | None
    clear_share: float


def chip_path(database: Database, data_dir: Path, alert_id: str, moment: Moment, scope: Scope = EVERYTHING) -> Path:
    """Where a chip of an alert is.

    Raises
    ------
    tiles.errors.NotFoundError
        When there is no such alert, or no chip of it.
    """
    for folder in (_folder(database, data_dir, alert_id, scope), data_dir):
        path = folder / CHIPS_FOLDER / alert_id / f"{moment}.tif"
        if path.is_file():
            return path
    raise NotFoundError(f"There is no image of {alert_id[:64]} {moment} its loss.")


def series_path(database: Database, data_dir: Path, alert_id: str, scope: Scope = EVERYTHING) -> Path | None:
    """Where the series of an alert is; None where none was kept.

    Raises
    ------
    tiles.errors.NotFoundError
        When there is no such alert.
    """
    # A scan keeps one file; the monthly run one for each alert.
    places = (_folder(database, data_dir, alert_id, scope), data_dir / CHIPS_FOLDER / alert_id)
    return next((folder / SERIES_FILE for folder in places if (folder / SERIES_FILE).is_file()), None)


def series_of(database: Database, data_dir: Path, alert_id: str, scope: Scope = EVERYTHING) -> list[SeriesDate]:
    """The NDVI of an alert, date by date; empty where no scan kept it.

    Raises
    ------
    tiles.errors.NotFoundError
        When there is no such alert.
    tiles.errors.PictureError
        When the file is damaged.
    """
    path = series_path(database, data_dir, alert_id, scope)
    if path is None:
        return []
    try:
        rows = pq.read_table(path, filters=[("alert_id", "=", alert_id)]).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise PictureError("The series of the scan cannot be read.") from error
    return [
        SeriesDate(
            row["day"],
            row["scene"],
            None if row["ndvi"] is None or not math.isfinite(row["ndvi"]) else round(row["ndvi"], 4),
            round(row["clear_share"], 4),
        )
        for row in sorted(rows, key=lambda row: (row["day"], row["scene"]))
    ]


def change_maps(database: Database, data_dir: Path, prefix: str) -> list[Path]:
    """Change maps or maps of states of the newest scan of each ground, the newest first.

    Parameters
    ----------
    database, data_dir
        The store, and where its files lie.
    prefix
        ``change`` or ``state``.
    """
    newest = sa.select(sa.func.max(scans.c.seq)).group_by(scans.c.kind, scans.c.ground).scalar_subquery()
    query = sa.select(scans.c.folder, scans.c.kind).where(scans.c.seq.in_(newest)).order_by(scans.c.seq.desc())
    with database.reading() as connection:
        rows = connection.execute(query).all()
    found: list[Path] = []
    for row in rows:
        if row.kind == "monthly":
            found += _newest_of_each(data_dir / "tiles", prefix)
        elif row.folder is not None:
            found += sorted((data_dir / row.folder).glob(f"{prefix}_*.tif"))
    return found


def _newest_of_each(folder: Path, prefix: str) -> list[Path]:
    """The newest month's map of each tile of the monthly run."""
    newest = []
    for tile in sorted(path for path in folder.glob("*") if path.is_dir()):
        maps = sorted(tile.glob(f"[0-9]*/{prefix}_*.tif"))
        newest += maps[-1:]
    return newest


def _folder(database: Database, data_dir: Path, alert_id: str, scope: Scope) -> Path:
    query = sa.select(scans.c.folder).join(alerts, alerts.c.scan_seq == scans.c.seq)
    query = query.where(alerts.c.id == sa.bindparam("of_id"), *map(scope_condition, scope.shape))
    with database.reading() as connection:
        row = connection.execute(query, {"of_id": alert_id, **scope.values}).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no alert {alert_id[:64]}.")
    # A path that is whole by itself stays as it is.
    return data_dir / (row.folder or "")
