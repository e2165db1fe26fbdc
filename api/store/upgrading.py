"""Bringing a store to this version of Sylvigie, and telling of which version it is."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from api.store.database import Database
from tiles.errors import StoreError

_MIGRATIONS = Path(__file__).parent / "migrations"


class SchemaState(StrEnum):
    """What a store's tables are, beside what this version of Sylvigie knows."""

    ABSENT = "absent"
    CURRENT = "current"
    OLDER = "older"
    UNKNOWN = "unknown"
    """Of a newer version, or of none of ours."""


def schema_state(database: Database) -> SchemaState:
    """Tell what a store's tables are; a file that is not there is not made.

    Raises
    ------
    tiles.errors.StoreError
        When the store cannot be reached.
    """
    if database.is_sqlite and not Path(str(database.url.database)).exists():
        return SchemaState.ABSENT
    with database.reading() as connection:
        return _state(connection)


def upgrade(database: Database) -> tuple[str | None, str]:
    """Bring a store to this version, in one transaction; make it where there is none.

    Returns
    -------
    before, after
        Versions; None where there was no store.

    Raises
    ------
    tiles.errors.StoreError
        When it cannot be, or is of a newer version; it is then as it was.
    """
    if database.is_sqlite:
        try:
            Path(str(database.url.database)).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"The store {database.name} cannot be made ({error.strerror or error}).") from error
    with database.altering() as connection:
        before = MigrationContext.configure(connection).get_current_revision()
        if _state(connection) is SchemaState.UNKNOWN:
            raise StoreError(
                f"The store {database.name} is of version {before}, which this Sylvigie does not know: install the "
                "version that wrote it, or a newer one."
            )
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return before, newest_version()


def newest_version() -> str:
    """The version of this Sylvigie's tables."""
    return str(_script().get_current_head())


def require_current(database: Database) -> None:
    """See that a store can be used by this version.

    Raises
    ------
    tiles.errors.StoreError
        When it is not there, or of another version: the sentence says what to do.
    """
    state = schema_state(database)
    if state is SchemaState.ABSENT:
        raise StoreError(
            f"There is no store at {database.name}: make it with `sylvigie db upgrade`, or put a scan into it with "
            "`sylvigie ingest`."
        )
    if state is SchemaState.OLDER:
        raise StoreError(
            f"The store {database.name} is of an older version: back it up with `sylvigie db backup`, then call "
            "`sylvigie db upgrade`."
        )
    if state is SchemaState.UNKNOWN:
        raise StoreError(f"The store {database.name} is of a newer version: install the Sylvigie that wrote it.")


def _state(connection: sa.Connection) -> SchemaState:
    current = MigrationContext.configure(connection).get_current_revision()
    if current is None:
        return SchemaState.ABSENT
    script = _script()
    if current == script.get_current_head():
        return SchemaState.CURRENT
    known = {step.revision for step in script.walk_revisions()}
    return SchemaState.OLDER if current in known else SchemaState.UNKNOWN


def _script() -> ScriptDirectory:
    return ScriptDirectory(str(_MIGRATIONS))
