"""The whole store: checked, copied from one engine to the other, backed up and restored."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from api.store.cells import CellCounts
from api.store.database import Database
from api.store.tables import alert_cells, alert_documents, alerts, metadata, store_state
from api.store.upgrading import SchemaState, require_current, schema_state, upgrade
from tiles.errors import OutputError, StoreError
from tiles.placing import PARTIAL, put_file, written_beside

_AT_ONCE: Final = 1000
_TREES: Final = ("alerts", "alert_versions", "zones")


def check(database: Database) -> list[str]:
    """What is wrong with a store: a sentence each; none where it is whole."""
    faults = []
    with database.snapshot() as connection:
        if database.is_sqlite:
            faults += [
                f"SQLite: {row[0]}." for row in connection.exec_driver_sql("PRAGMA integrity_check") if row[0] != "ok"
            ]
            faults += [
                f"A row of {row[0]} points to a row of {row[2]} that is not there."
                for row in connection.exec_driver_sql("PRAGMA foreign_key_check")
            ]
            for table in _TREES:
                here, tree = (_count(connection, name) for name in (table, f"{table}_tree"))
                if here != tree:
                    faults.append(f"The tree of {table} holds {tree} outlines, the table {here}.")
        without = sa.select(sa.func.count()).select_from(alerts.outerjoin(alert_documents))
        missing = connection.execute(without.where(alert_documents.c.alert_seq.is_(None))).scalar_one()
        if missing:
            faults.append(f"{missing} alerts have no document.")
        if _counted(connection) != _counts_kept(connection):
            faults.append("The counts of the map from afar are not those of the alerts.")
    return faults


def copy(source: Database, target: Database) -> int:
    """Copy a store into one that is not there, or empty: all rows, in one transaction, then compared.

    Parameters
    ----------
    source
        Of this version.
    target
        Made, where there is none.

    Returns
    -------
    int
        Rows.

    Raises
    ------
    tiles.errors.StoreError
        When the source is of another version, the target holds something, or they differ in the end; the target
        is then as it was.
    """
    require_current(source)
    upgrade(target)
    rows = 0
    with source.snapshot() as reading, target.writing() as writing:
        connection = writing.connection
        held = [
            table.name for table in metadata.sorted_tables if table is not store_state and _count(connection, table)
        ]
        if held:
            raise StoreError(f"The store {target.name} holds {', '.join(held)} already: copy into an empty one.")
        connection.execute(sa.delete(store_state))
        for table in metadata.sorted_tables:
            for some in _rows(reading, table):
                connection.execute(sa.insert(table), [dict(row._mapping) for row in some])
                rows += len(some)
            if _digest(reading, table) != _digest(connection, table):
                raise StoreError(f"The table {table.name} came out otherwise than it was: nothing was copied.")
        if not target.is_sqlite:
            _set_sequences(connection)
    return rows


def backup(database: Database, file: Path) -> int:
    """Write a store into one SQLite file, as it is at one moment, while it is in use.

    Returns
    -------
    int
        Rows.

    Raises
    ------
    tiles.errors.OutputError
        When the file cannot be written; what was there stays.
    """
    try:
        with written_beside(file) as partial:
            partial.unlink()
            if database.is_sqlite:
                with database.reading() as connection, _plain_sqlite(partial) as copied:
                    raw: Any = connection.connection.driver_connection
                    raw.backup(copied)
            else:
                _copy_into_file(database, partial)
            with _plain_sqlite(partial) as written:
                # One file, that needs no other beside it.
                written.execute("PRAGMA journal_mode = DELETE")
            return _all_rows(partial)
    except (OSError, sqlite3.Error) as error:
        raise OutputError(f"Cannot write {file}: {error}.") from error


def restore(file: Path, database: Database) -> int:
    """Put a backup in the place of a store that is not there, or empty.

    Returns
    -------
    int
        Rows.

    Raises
    ------
    tiles.errors.StoreError
        When the file is no backup, or damaged, or the store holds something: nothing was then changed.
    """
    if not file.is_file():
        raise StoreError(f"There is no backup {file}.")
    if database.is_sqlite and schema_state(database) is not SchemaState.ABSENT:
        raise StoreError(f"There is a store at {database.name} already: move it away first.")
    place = Path(str(database.url.database)) if database.is_sqlite else None
    try:
        if place is not None:
            place.parent.mkdir(parents=True, exist_ok=True)
        folder = None if place is None else place.parent
        with tempfile.TemporaryDirectory(prefix=PARTIAL, dir=folder) as name:
            copied = Path(name) / "store.sqlite"
            shutil.copyfile(file, copied)
            opened = Database(sa.URL.create("sqlite", database=str(copied)))
            try:
                rows = _restored(file, opened, database)
            finally:
                opened.close()
            if place is not None:
                put_file(copied, place)
    except OSError as error:
        raise StoreError(f"The backup {file} cannot be restored ({error.strerror or error}).") from error
    return rows


def _restored(file: Path, opened: Database, database: Database) -> int:
    """Check a backup's copy, bring it to this version, and copy it where the store is no file."""
    if schema_state(opened) in (SchemaState.ABSENT, SchemaState.UNKNOWN):
        raise StoreError(f"{file} is no backup of this Sylvigie, or of a newer one.")
    upgrade(opened)
    if faults := check(opened):
        raise StoreError(f"The backup {file} is damaged: {faults[0]}")
    if not database.is_sqlite:
        return copy(opened, database)
    with opened.engine.connect() as connection:
        # What is still in the log goes into the file, which is about to be renamed alone.
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    return _all_rows(Path(str(opened.url.database)))


def _copy_into_file(database: Database, file: Path) -> None:
    written = Database(sa.URL.create("sqlite", database=str(file)))
    try:
        copy(database, written)
    finally:
        written.close()


def _plain_sqlite(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


def _all_rows(path: Path) -> int:
    with _plain_sqlite(path) as connection:
        names = [table.name for table in metadata.sorted_tables]
        return sum(connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names)


def _count(connection: sa.Connection, table: sa.Table | str) -> int:
    name = table if isinstance(table, str) else table.name
    return int(connection.execute(sa.select(sa.func.count()).select_from(sa.table(name))).scalar_one())


def _rows(connection: sa.Connection, table: sa.Table) -> Iterator[Sequence[sa.Row[Any]]]:
    """Rows of a table by its key, some at a time."""
    query = sa.select(table).order_by(*table.primary_key.columns)
    yield from connection.execute(query, execution_options={"yield_per": _AT_ONCE}).partitions()


def _digest(connection: sa.Connection, table: sa.Table) -> str:
    """Name of what a table holds, the same on both engines."""
    digest = hashlib.sha256()
    for some in _rows(connection, table):
        for row in some:
            digest.update(repr([bytes(value) if isinstance(value, memoryview) else value for value in row]).encode())
    return digest.hexdigest()


def _set_sequences(connection: sa.Connection) -> None:
    """PostgreSQL numbers new rows by a sequence of its own: it goes on behind what was copied."""
    for table in metadata.sorted_tables:
        if "seq" in table.c:
            connection.execute(
                sa.text(
                    f"SELECT setval(pg_get_serial_sequence('{table.name}', 'seq'), "
                    f"coalesce((SELECT max(seq) FROM {table.name}), 0) + 1, false)"
                )
            )


def _counted(connection: sa.Connection) -> dict[tuple[int, int, int], tuple[int, int, int]]:
    """The counts of the map from afar, as the alerts make them."""
    names = ("status", "min_lon", "min_lat", "max_lon", "max_lat", "area_ha", "potentially_abusive")
    counts = CellCounts()
    query = sa.select(*(alerts.c[name] for name in names))
    for row in connection.execute(query, execution_options={"yield_per": _AT_ONCE}).mappings():
        counts.add(dict(row))
    return counts.totals()


def _counts_kept(connection: sa.Connection) -> dict[tuple[int, int, int], tuple[int, int, int]]:
    return {
        (row.level, row.x, row.y): (row.alerts, row.abusive, row.area_m2)
        for row in connection.execute(sa.select(alert_cells))
    }
