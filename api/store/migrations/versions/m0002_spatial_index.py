"""What finds outlines by place: an R*Tree on SQLite, GiST indexes of PostGIS geometry and of boxes on PostgreSQL.

Both follow the tables by themselves: triggers keep the tree, and PostgreSQL computes the column.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = ("alerts", "alert_versions", "zones")
_VALUES = "NEW.seq, NEW.min_lon, NEW.max_lon, NEW.min_lat, NEW.max_lat"
_BOUNDS = "min_lon, max_lon, min_lat, max_lat"


def upgrade() -> None:
    """Lay it, and take in what is there."""
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        for table in TABLES:
            _lay_tree(table)
        return
    _require_postgis(connection)
    for table in TABLES:
        op.execute(
            f"ALTER TABLE {table} ADD COLUMN geom geometry(Geometry, 4326) "
            "GENERATED ALWAYS AS (ST_GeomFromWKB(geometry, 4326)) STORED"
        )
        op.execute(f"CREATE INDEX ix_{table}_geom ON {table} USING gist (geom)")
        # PostGIS's index has to look at each row that it finds; one of plain boxes, with the key in it, does not.
        op.execute(
            f"ALTER TABLE {table} ADD COLUMN bounds box "
            "GENERATED ALWAYS AS (box(point(min_lon, min_lat), point(max_lon, max_lat))) STORED"
        )
        op.execute(f"CREATE INDEX ix_{table}_bounds ON {table} USING gist (bounds) INCLUDE (seq)")


def downgrade() -> None:
    """Take it away; the outlines stay."""
    if op.get_bind().dialect.name == "sqlite":
        for table in TABLES:
            for moment in ("insert", "update", "delete"):
                op.execute(f"DROP TRIGGER {table}_tree_{moment}")
            op.execute(f"DROP TABLE {table}_tree")
        return
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} DROP COLUMN geom, DROP COLUMN bounds")


def _lay_tree(table: str) -> None:
    tree = f"{table}_tree"
    op.execute(f"CREATE VIRTUAL TABLE {tree} USING rtree(seq, {_BOUNDS})")
    op.execute(f"INSERT INTO {tree} SELECT seq, {_BOUNDS} FROM {table}")
    op.execute(f"CREATE TRIGGER {tree}_insert AFTER INSERT ON {table} BEGIN INSERT INTO {tree} VALUES ({_VALUES}); END")
    op.execute(
        f"CREATE TRIGGER {tree}_update AFTER UPDATE OF seq, {_BOUNDS} ON {table} BEGIN "
        f"DELETE FROM {tree} WHERE seq = OLD.seq; INSERT INTO {tree} VALUES ({_VALUES}); END"
    )
    op.execute(
        f"CREATE TRIGGER {tree}_delete AFTER DELETE ON {table} BEGIN DELETE FROM {tree} WHERE seq = OLD.seq; END"
    )


def _require_postgis(connection: sa.Connection) -> None:
    there = connection.execute(sa.text("SELECT 1 FROM pg_extension WHERE extname = 'postgis'")).scalar()
    if not there:
        # Where the user may not, PostgreSQL says so, and the upgrade is undone.
        op.execute("CREATE EXTENSION IF NOT EXISTS postgis")
