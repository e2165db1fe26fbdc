"""A store is checked, copied from engine to engine, backed up and restored, without loss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from api.access import create_token, find_caller
from api.identity.accounts import make_person
from api.identity.invitations import Invited, invite
from api.identity.roles import Right, Role
from api.identity.sessions import start_session
from api.store.copying import backup, check, copy, restore
from api.store.database import SQLITE_FILE, Database, database_url
from api.store.ingesting import ingest
from api.store.reading import state_of
from api.store.reviews import Author, Decision, review
from api.store.scan_files import ScanKind
from api.store.tables import metadata
from api.store.upgrading import schema_state, upgrade
from detector.alerts import ReviewState
from tests.api.alerts import found_alert, scan_files
from tests.api.conftest import PostgresServer
from tiles.errors import OutputError, StoreError


def _fill(store: Database) -> str:
    """Something in every table that anything is written to; gives a token."""
    criteria = [{"code": "area", "met": True}]
    found = [
        found_alert(i, latitude=40 + i / 10, criteria=criteria, legal_points=[], rules_version="r", model_version="m")
        for i in range(1, 8)
    ]
    features = {found[0].id: {"area_ha": 2.5, "ndvi": None}}
    ingest(store, scan_files(found, "2026-09", ScanKind.SCAN, features), data_dir=Path("data"))
    ingest(store, scan_files([found_alert(1, latitude=40.1, area_ha=7.123456789)]), data_dir=Path("data"))
    with store.writing() as writing:
        start_session(writing, make_person(writing, "Zoé", "z@example.org", Role.ANALYST, '["40"]', password="…"))
    invite(store, Invited("y@example.org", Role.VOLUNTEER), "command")
    token = create_token(store, "télé", frozenset({Right.REVIEW}), None)
    review(store, found[2].id, Decision(ReviewState.CONFIRMED, comment="…"), Author("a", token_seq=1))
    return token


def _content(store: Database) -> dict[str, list[Any]]:
    with store.reading() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key))]
            for table in metadata.sorted_tables
        }


def test_sqlite_to_postgresql_and_back_loses_nothing(
    sqlite_store: Database, postgres: PostgresServer, tmp_path: Path
) -> None:
    token = _fill(sqlite_store)
    there = Database(database_url(postgres.made("template0"), tmp_path))
    back = Database(database_url(f"sqlite:///{tmp_path / 'back.sqlite'}", tmp_path))
    rows = copy(sqlite_store, there)
    assert rows == copy(there, back) == sum(len(rows) for rows in _content(sqlite_store).values())
    assert _content(sqlite_store) == _content(there) == _content(back)
    for database in (there, back):
        assert check(database) == []
        assert find_caller(database, token).name == "token:télé"
        assert state_of(database).accounts
        # Numbers of new rows go on behind those that were copied.
        assert ingest(database, scan_files([found_alert(50, latitude=10)], "2026-11"), data_dir=Path("data")).new == 1
        database.close()


def test_a_store_that_holds_something_is_not_copied_over(
    store: Database, sqlite_store: Database, tmp_path: Path
) -> None:
    source = Database(database_url(None, tmp_path / "source"))
    upgrade(source)
    _fill(source)
    ingest(store, scan_files([found_alert(9)]), data_dir=Path("data"))
    before = _content(store)
    with pytest.raises(StoreError, match=r"holds .*alerts.* already"):
        copy(source, store)
    assert _content(store) == before
    source.close()


def test_a_backup_of_either_engine_is_restored(store: Database, tmp_path: Path) -> None:
    _fill(store)
    file = tmp_path / "backup.sqlite"
    rows = backup(store, file)
    assert [path.name for path in tmp_path.glob("backup*")] == ["backup.sqlite"]
    ingest(store, scan_files([found_alert(60)], "2026-12"), data_dir=Path("data"))
    restored = Database(database_url(None, tmp_path / "restored"))
    assert restore(file, restored) == rows
    assert check(restored) == []
    assert sum(len(rows) for rows in _content(restored).values()) == rows
    with pytest.raises(StoreError, match="move it away"):
        restore(file, restored)
    restored.close()


def test_a_backup_is_restored_into_postgresql(sqlite_store: Database, postgres: PostgresServer, tmp_path: Path) -> None:
    _fill(sqlite_store)
    backup(sqlite_store, tmp_path / "b.sqlite")
    there = Database(database_url(postgres.made("template0"), tmp_path))
    restore(tmp_path / "b.sqlite", there)
    assert _content(there) == _content(sqlite_store)
    there.close()


def test_what_is_no_backup_is_told_and_nothing_is_left(sqlite_store: Database, tmp_path: Path) -> None:
    target = Database(database_url(None, tmp_path / "new"))
    (tmp_path / "text").write_text("no store")
    for file, words in ((tmp_path / "none", "no backup"), (tmp_path / "text", "cannot be used|refused")):
        with pytest.raises(StoreError, match=words):
            restore(file, target)
    backup(sqlite_store, tmp_path / "b.sqlite")
    whole = (tmp_path / "b.sqlite").read_bytes()
    (tmp_path / "half").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreError):
        restore(tmp_path / "half", target)
    assert not (tmp_path / "new" / SQLITE_FILE).exists()
    assert not list((tmp_path / "new").glob(".partial*"))


def test_a_backup_that_cannot_be_written_is_told(sqlite_store: Database, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="Cannot write"):
        backup(sqlite_store, tmp_path / "file" / "b.sqlite")


def test_check_finds_what_is_wrong(sqlite_store: Database) -> None:
    _fill(sqlite_store)
    assert check(sqlite_store) == []
    for damage, words in (
        ("DELETE FROM alerts_tree WHERE seq = 2", "tree of alerts holds"),
        ("UPDATE alert_cells SET alerts = alerts + 1 WHERE level = 7", "counts of the map"),
        ("DELETE FROM alert_documents WHERE alert_seq = 3", "1 alerts have no document"),
    ):
        with sqlite_store.writing() as writing:
            writing.connection.exec_driver_sql(damage)
        assert any(words in fault for fault in check(sqlite_store))


def test_a_store_that_is_not_there_is_not_made_by_looking(tmp_path: Path) -> None:
    database = Database(database_url(None, tmp_path / "none"))
    assert schema_state(database) == "absent"
    assert not (tmp_path / "none").exists()
