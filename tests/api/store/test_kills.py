"""The writer, or PostgreSQL itself, killed while a month is put in: the month is whole or absent."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from api.store.copying import check
from api.store.database import Database, database_url
from api.store.ingesting import ingest
from api.store.tables import alerts, audit_log, scans
from scripts.simulated_alerts import simulated_months
from tests.api.conftest import PostgresServer
from tiles.errors import StoreError

ROOT = Path(__file__).parents[3]
ALERTS, KILLS = 400, 4
_WRITER = """
import sys
from pathlib import Path
from api.store.database import Database, database_url
from api.store.ingesting import ingest
from scripts.simulated_alerts import simulated_months
database = Database(database_url(sys.argv[1], Path(".")))
files = list(simulated_months(int(sys.argv[2]), int(sys.argv[3])))[-1]
with database.reading():
    print("ready", flush=True)
ingest(database, files, data_dir=Path("."))
"""


def _writer(url: str, month: int) -> subprocess.Popen[str]:
    """A process that is about to put a month in."""
    words = [sys.executable, "-c", _WRITER, url, str(month), str(ALERTS)]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    with process.stdout as said:
        assert said.readline() == "ready\n"
    return process


def _whole_months(database: Database) -> int:
    """How many months are in the store, each of them whole."""
    with database.reading() as connection:
        kept = {
            table.name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in (scans, alerts, audit_log)
        }
    assert kept["alerts"] == kept["scans"] * ALERTS
    assert kept["audit_log"] == kept["scans"]
    assert check(database) == []
    return int(kept["scans"])


def _put_again(database: Database, month: int) -> None:
    files = list(simulated_months(month, ALERTS))[-1]
    ingest(database, files, data_dir=Path())
    assert _whole_months(database) == month


def test_a_killed_writer_leaves_a_whole_month_or_none(store: Database) -> None:
    url, moments = store.url.render_as_string(hide_password=False).replace("+psycopg", ""), random.Random(1)
    started = time.perf_counter()
    _writer(url, 1).wait(60)
    takes = time.perf_counter() - started
    for month in range(2, KILLS + 2):
        process = _writer(url, month)
        time.sleep(moments.uniform(0, takes / 4))
        process.kill()
        process.wait(60)
        assert _whole_months(store) in (month - 1, month)
        _put_again(store, month)


def test_a_killed_postgresql_leaves_a_whole_month_or_none(postgres: PostgresServer, tmp_path: Path) -> None:
    url, moments = postgres.made(), random.Random(2)
    database = Database(database_url(url, tmp_path))
    for month in range(1, KILLS + 1):
        process = _writer(url, month)
        time.sleep(moments.uniform(0, 0.4))
        postgres.kill()
        assert process.wait(60) in (0, 1)
        postgres.start()
        for _ in range(2):  # connections that were open before are found out
            try:
                assert _whole_months(database) in (month - 1, month)
            except StoreError:
                continue
            break
        _put_again(database, month)
    database.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_writer_that_is_told_to_stop_leaves_none_by_half(sqlite_store: Database, number: signal.Signals) -> None:
    process = _writer(str(sqlite_store.url), 1)
    os.kill(process.pid, number)
    process.wait(60)
    assert _whole_months(sqlite_store) in (0, 1)
