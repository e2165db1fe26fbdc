"""Stores on both engines: SQLite, and a PostgreSQL of the tests' own where the machine has one."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psycopg
import pytest

from api.store.database import Database, database_url
from api.store.upgrading import upgrade


@dataclass
class PostgresServer:
    """A private PostgreSQL, reached through a socket in a folder of its own."""

    folder: Path
    programs: Path
    user: str | None
    numbers: Iterator[int] = field(default_factory=count)

    @property
    def data(self) -> str:
        return str(self.folder / "data")

    def run(self, *words: str) -> None:
        """One of PostgreSQL's programs, as its own user."""
        command = [str(self.programs / words[0]), *words[1:]]
        subprocess.run(
            command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, user=self.user, cwd=self.folder
        )

    def start(self) -> None:
        """Start it, also after it was killed."""
        # Written through to the disk, as where it counts: what was acknowledged has to be there after a kill.
        options = f"-c listen_addresses='' -c unix_socket_directories={self.folder} -c max_connections=120"
        for _ in range(50):
            try:
                self.run("pg_ctl", "-D", self.data, "-o", options, "-l", str(self.folder / "log"), "-w", "start")
                return
            except subprocess.CalledProcessError:
                # After a kill the last of its processes may still hold its memory.
                time.sleep(0.2)
        raise RuntimeError(f"PostgreSQL does not start: {(self.folder / 'log').read_text()[-500:]}")

    def kill(self) -> None:
        """SIGKILL to the server and all that it has started."""
        postmaster = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        all_of_it = [postmaster, *map(int, children)]
        for pid in all_of_it:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        while any(map(_lives, all_of_it)):
            time.sleep(0.02)

    def url(self, name: str) -> str:
        return f"postgresql://sylvigie@/{name}?host={self.folder}"

    def made(self, template: str = "laid") -> str:
        """The address of a new database."""
        name = f"store{next(self.numbers)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)


def _lives(pid: int) -> bool:
    """Whether a process is more than what its parent has yet to take note of."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def _programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """PostgreSQL with PostGIS; tests that need it say so where it is not installed."""
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql, postgresql-15-postgis-3)")
    # Of a short name, for a socket's path has little room.
    folder = Path(tempfile.mkdtemp(prefix="syl-pg-"))
    user = "postgres" if os.geteuid() == 0 else None
    if user is not None:
        entry = pwd.getpwnam(user)
        os.chown(folder, entry.pw_uid, entry.pw_gid)

    server = PostgresServer(folder, programs, user)
    server.run("initdb", "-D", server.data, "-A", "trust", "-U", "sylvigie", "-E", "UTF8", "--no-sync")
    server.start()
    try:
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            connection.execute("CREATE DATABASE laid")
            there = connection.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'postgis'").fetchone()
        if there is None:
            pytest.skip("PostGIS is not installed (Debian: postgresql-15-postgis-3)")
        laid = Database(database_url(server.url("laid"), folder))
        upgrade(laid)
        laid.close()
        yield server
    finally:
        stop = [str(programs / "pg_ctl"), "-D", server.data, "-m", "immediate", "stop"]
        subprocess.run(stop, capture_output=True, user=user, check=False)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[Database]:
    """An empty store in a file."""
    database = Database(database_url(None, tmp_path / "data"))
    upgrade(database)
    yield database
    database.close()


@pytest.fixture
def postgres_store(postgres: PostgresServer, tmp_path: Path) -> Iterator[Database]:
    """An empty store on PostgreSQL."""
    database = Database(database_url(postgres.made(), tmp_path))
    yield database
    database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> Database:
    """An empty store, on each engine in turn."""
    name = "sqlite_store" if request.param == "sqlite" else "postgres_store"
    database: Database = request.getfixturevalue(name)
    return database
