"""Opening the store: SQLite, which is a file in the data directory, or PostgreSQL with PostGIS."""

from __future__ import annotations

import datetime as dt
import math
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import shapely
import sqlalchemy as sa
from shapely.geometry.base import BaseGeometry
from sqlalchemy.exc import DBAPIError, OperationalError

from api.store.tables import audit_log, store_state
from tiles.errors import InvalidParameterError, MissingDependencyError, StoreBusyError, StoreError

SQLITE_FILE = "sylvigie.sqlite"
"""Of the data directory."""

_SQLITE_PRAGMAS: Final = (
    # Readers go on while one writes; what is committed is on the disk.
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA busy_timeout = 30000",
    "PRAGMA cache_size = -65536",
    "PRAGMA mmap_size = 1073741824",
)
_POSTGRES_OPTIONS: Final = " ".join(
    (
        "-c timezone=UTC",
        # A plan made for all values of a filter may be a bad one for this value.
        "-c plan_cache_mode=force_custom_plan",
        # Pages take milliseconds: compiling a statement or starting workers for it takes longer than it does.
        "-c jit=off",
        "-c max_parallel_workers_per_gather=0",
    )
)
_IDLE_S: Final = 1.0
"""Seconds after which a connection may have been lost without our having been told."""
_WRITER_LOCK: Final = 0x53594C56
"""Key of PostgreSQL's advisory lock that a writer holds ("SYLV")."""


def database_url(configured: str | None, data_dir: Path) -> sa.URL:
    """Address of the store: the setting's, or the file in the data directory.

    Parameters
    ----------
    configured
        ``postgresql://user:password@host/name`` or ``sqlite:///path``; None for the data directory's file.
    data_dir
        The data directory.

    Raises
    ------
    InvalidParameterError
        When the address will not do; it is not repeated, for it may hold a password.
    """
    if configured is None:
        return sa.URL.create("sqlite", database=str(data_dir.expanduser() / SQLITE_FILE))
    try:
        url = sa.make_url(configured)
        backend = url.get_backend_name()
    except (sa.exc.ArgumentError, ValueError):
        backend = ""
    if backend in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    if backend == "sqlite" and url.database:
        return url.set(drivername="sqlite")
    raise InvalidParameterError(
        "SYLVIGIE_DATABASE_URL will not do: give postgresql://user:password@host/name or sqlite:///path."
    )


@dataclass(frozen=True)
class WritingAside:
    """A transaction that writes what no answer's validator depends on: reports, comments, the audit log.

    Parameters
    ----------
    connection
        Of the transaction.
    now
        Its moment (UTC).
    """

    connection: sa.Connection
    now: dt.datetime

    def audit(self, actor: str, action: str, subject: str, detail: str | None = None) -> None:
        """Note who did what; no personal data."""
        line = {"at": self.now, "actor": actor, "action": action, "subject": subject, "detail": detail}
        self.connection.execute(sa.insert(audit_log), line)


@dataclass(frozen=True)
class Writing(WritingAside):
    """A transaction that writes what is given out.

    Parameters
    ----------
    revision
        That the store will have.
    """

    revision: int


class Database:
    """A store's engine: connections for readers, and one writer at a time.

    Parameters
    ----------
    url
        Of `database_url`.
    readers
        Connections that readers may hold at once.
    """

    def __init__(self, url: sa.URL, readers: int = 20) -> None:
        self.url = url
        if self.is_sqlite:
            self.engine = sa.create_engine(
                url, pool_size=readers, max_overflow=0, hide_parameters=True, connect_args={"timeout": 30}
            )
            sa.event.listen(self.engine, "connect", _prepare_sqlite)
            sa.event.listen(self.engine, "begin", _begin_sqlite)
        else:
            try:
                self.engine = sa.create_engine(
                    url,
                    pool_size=readers,
                    max_overflow=0,
                    # What somebody wrote is in no error.
                    hide_parameters=True,
                    connect_args={"options": _POSTGRES_OPTIONS},
                )
                sa.event.listen(self.engine, "checkin", _note_use)
                sa.event.listen(self.engine, "checkout", _check_idle)
            except ModuleNotFoundError as error:
                raise MissingDependencyError(
                    f"PostgreSQL needs the package {error.name}: install sylvigie[postgis]."
                ) from error

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file."""
        return self.url.get_backend_name() == "sqlite"

    @property
    def name(self) -> str:
        """Address, for people: without the password."""
        return str(self.url.database) if self.is_sqlite else self.url.render_as_string(hide_password=True)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection to read with: on PostgreSQL each statement sees the store as it is then.

        A page is one statement; to begin and end a transaction for it would be most of its round trips.

        Raises
        ------
        StoreError
            When the store cannot be read.
        """
        level = {} if self.is_sqlite else {"isolation_level": "AUTOCOMMIT"}
        with self._told(), self.engine.connect().execution_options(**level) as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        """A connection all of whose statements see the store as it was at the first.

        Raises
        ------
        StoreError
            When the store cannot be read.
        """
        level = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        with self._told(), self.engine.connect().execution_options(**level) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Writing]:
        """A transaction that is done wholly or not at all. One writes at a time; others wait.

        Raises
        ------
        StoreBusyError
            When another has been writing for half a minute.
        StoreError
            When the store cannot be written.
        """
        with self.altering() as connection:
            now = dt.datetime.now(dt.UTC)
            changed = sa.update(store_state).values(revision=store_state.c.revision + 1, changed_at=now)
            revision = connection.execute(changed.returning(store_state.c.revision)).scalar_one()
            yield Writing(connection, now, revision)

    @contextmanager
    def writing_aside(self) -> Iterator[WritingAside]:
        """As of `writing`; the store's revision stays."""
        with self.altering() as connection:
            yield WritingAside(connection, dt.datetime.now(dt.UTC))

    @contextmanager
    def altering(self) -> Iterator[sa.Connection]:
        """As of `writing`, for a store that may have no tables yet."""
        options = {"sylvigie_writes": True}
        with self._told(), self.engine.connect().execution_options(**options) as connection, connection.begin():
            if not self.is_sqlite:
                connection.execute(sa.text("SET LOCAL lock_timeout = '30s'"))
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_WRITER_LOCK)))
            yield connection

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What the engine says, in a sentence of ours."""
        try:
            yield
        except OperationalError as error:
            reason = first_line(error)
            if "locked" in reason or "lock timeout" in reason:
                raise StoreBusyError(f"The store {self.name} is being written by another: try again.") from error
            raise StoreError(f"The store {self.name} cannot be used ({reason}).") from error
        except DBAPIError as error:
            raise StoreError(f"The store {self.name} refused ({first_line(error)}).") from error


def first_line(error: DBAPIError) -> str:
    """What an engine's own error says, on one line."""
    lines = str(error.orig).splitlines()
    return lines[0] if lines else type(error.orig).__name__


def _note_use(_: Any, record: Any) -> None:
    record.info["used_s"] = time.monotonic()


def _check_idle(connection: Any, record: Any, _: Any) -> None:
    """See whether the server still knows a connection that nobody has used for a while; the pool opens another if not.

    Asking at each use, as SQLAlchemy does by itself, is a round trip to every request.
    """
    if time.monotonic() - record.info.get("used_s", math.inf) > _IDLE_S:
        try:
            connection.cursor().execute("SELECT 1")
            connection.rollback()
        except Exception as error:
            raise sa.exc.DisconnectionError from error


def _prepare_sqlite(connection: sqlite3.Connection, _: Any) -> None:
    # Transactions are begun by `_begin_sqlite`: the module's own way begins them late.
    connection.isolation_level = None
    for pragma in _SQLITE_PRAGMAS:
        connection.execute(pragma)
    connection.create_function("outline_meets", 5, _outline_meets, deterministic=True)
    connection.create_function("outlines_meet", 2, _outlines_meet, deterministic=True)
    connection.create_function("folded", 1, lambda text: None if text is None else text.lower(), deterministic=True)


def _outline_meets(wkb: bytes, west: float, south: float, east: float, north: float) -> bool:
    """What ST_Intersects says on PostgreSQL."""
    return bool(shapely.intersects(shapely.from_wkb(wkb), shapely.box(west, south, east, north)))


def _outlines_meet(wkb: bytes, other: bytes) -> bool:
    return bool(shapely.intersects(_prepared(other), shapely.from_wkb(wkb)))


@lru_cache(maxsize=16)
def _prepared(wkb: bytes) -> BaseGeometry:
    shape: BaseGeometry = shapely.from_wkb(wkb)
    shapely.prepare(shape)
    return shape


def _begin_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("sylvigie_writes", False)
    # A writer that began as a reader could not become one once another has written.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
