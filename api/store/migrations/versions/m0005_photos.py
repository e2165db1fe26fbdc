"""Photos know their report by its UUID, for reports have versions; and what was received and kept of each.

No version before this one wrote a photo: the table is laid anew.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Lay the table anew."""
    op.drop_index(op.f("ix_photos_report_seq"), table_name="photos")
    op.drop_table("photos")
    op.create_table(
        "photos",
        *_columns_before(),
        sa.Column("report_id", sa.String(length=36), nullable=False),
        sa.Column("thumbnail", sa.Text(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        *_constraints(),
    )
    op.create_index(op.f("ix_photos_report_id"), "photos", ["report_id"], unique=False)


def downgrade() -> None:
    """Lay it as it was, empty: the files stay where they are."""
    op.drop_index(op.f("ix_photos_report_id"), table_name="photos")
    op.drop_table("photos")
    op.create_table(
        "photos",
        *_columns_before(),
        sa.Column("report_seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["report_seq"], ["observation_reports.seq"], name=op.f("fk_photos_report_seq")),
        *_constraints(),
    )
    op.create_index(op.f("ix_photos_report_seq"), "photos", ["report_seq"], unique=False)


def _columns_before() -> list[sa.Column[object]]:
    return [
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("longitude", sa.Double(), nullable=True),
        sa.Column("latitude", sa.Double(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
    ]


def _constraints() -> list[sa.Constraint]:
    return [
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_photos")),
        sa.UniqueConstraint("id", name=op.f("uq_photos_id")),
    ]
