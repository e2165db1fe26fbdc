"""A report that photos can be of."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa

from api.store.database import Database
from api.store.ingesting import ingest
from api.store.tables import alerts, observation_reports
from tests.api.alerts import found_alert, scan_files

REPORT = str(UUID(int=7))
PHOTO = str(UUID(int=70))


def add_report(database: Database) -> None:
    """An alert, and a report of it in two versions."""
    ingest(database, scan_files([found_alert(1)]), data_dir=Path("data"))
    with database.writing() as writing:
        seq = writing.connection.execute(sa.select(alerts.c.seq)).scalar_one()
        rows = [
            {
                "id": REPORT,
                "version": version,
                "alert_seq": seq,
                "observed_on": dt.date(2026, 10, 5),
                "content": "{}",
                "received_at": writing.now,
            }
            for version in (1, 2)
        ]
        writing.connection.execute(sa.insert(observation_reports), rows)
