"""Migrations make the tables that the code knows, on both engines, and can be taken back."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

from api.store import upgrading
from api.store.database import Database, database_url
from api.store.ingesting import ingest
from api.store.tables import metadata, subscriptions
from api.store.upgrading import SchemaState, newest_version, require_current, schema_state, upgrade
from tests.api.alerts import found_alert, scan_files
from tiles.errors import InvalidParameterError, StoreError

_LAID_BY_HAND = (
    "_tree",
    "_geom",
    "_bounds",
    "spatial_ref_sys",
    "ix_alerts_clearcut_probability",
    "ix_alerts_abuse_score",
)


def _ours(thing: object, name: str | None, kind: str, reflected: bool, compared: object) -> bool:
    return name is None or (not any(part in name for part in _LAID_BY_HAND) and name not in ("geom", "bounds"))


def test_migrations_make_the_tables_that_the_code_knows(store: Database) -> None:
    assert schema_state(store) is SchemaState.CURRENT
    with store.reading() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": _ours})
        with warnings.catch_warnings():
            # PostGIS's own types, and indexes of expressions, are none that SQLAlchemy reads.
            warnings.simplefilter("ignore", sa.exc.SAWarning)
            warnings.simplefilter("ignore", UserWarning)
            assert compare_metadata(context, metadata) == []


def test_each_step_can_be_taken_back_and_done_again(store: Database) -> None:
    config = Config()
    config.set_main_option("script_location", str(upgrading._MIGRATIONS))
    with store.altering() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    assert schema_state(store) is SchemaState.ABSENT
    assert upgrade(store) == (None, newest_version())
    assert upgrade(store) == (newest_version(), newest_version())


def test_a_store_of_another_version_is_refused_with_what_to_do(store: Database) -> None:
    for version, state, words in (
        ("0001", SchemaState.OLDER, "sylvigie db upgrade"),
        ("9999", SchemaState.UNKNOWN, "newer version"),
    ):
        with store.altering() as connection:
            connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{version}'")
        assert schema_state(store) is state
        with pytest.raises(StoreError, match=words):
            require_current(store)
    with pytest.raises(StoreError, match="9999"):
        upgrade(store)


@pytest.mark.parametrize("url", ["mysql://x/y", "nonsense", "postgresql+x:/"])
def test_an_address_that_will_not_do_is_told_without_repeating_it(url: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="SYLVIGIE_DATABASE_URL") as told:
        Database(database_url(url, tmp_path))
    assert url not in str(told.value)


def test_subscriptions_from_before_notices_are_told_of_what_comes_next(store: Database) -> None:
    ingest(store, scan_files([found_alert(1), found_alert(2, latitude=45.0)]), data_dir=Path("data"))
    config = Config()
    config.set_main_option("script_location", str(upgrading._MIGRATIONS))
    with store.altering() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0005")
        row = {"channel": "email", "address": "a@b.fr", "filters": "{}", "created_at": "2026-10-01 00:00:00"}
        connection.execute(sa.text(f"INSERT INTO subscriptions ({', '.join(row)}) VALUES (:{', :'.join(row)})"), row)
    upgrade(store)
    with store.reading() as connection:
        assert connection.execute(sa.select(subscriptions.c.after_alert_seq)).scalars().all() == [2]
