"""Stores that hold the same alerts, one on each engine that there is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.store.database import Database, database_url
from api.store.ingesting import ingest
from api.store.upgrading import upgrade
from tests.api.alerts import scan_files
from tests.api.store.many_alerts import ALERTS


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[list[Database]]:
    """The same alerts on the engines that there are."""
    urls: list[str | None] = [None]
    with contextlib.suppress(pytest.skip.Exception):
        urls.append(request.getfixturevalue("postgres").made())
    stores = []
    for url in urls:
        database = Database(database_url(url, tmp_path_factory.mktemp("store")))
        upgrade(database)
        ingest(database, scan_files(ALERTS), data_dir=Path("data"))
        stores.append(database)
    yield stores
    for database in stores:
        database.close()
