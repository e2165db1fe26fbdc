"""What reviews and reports need: what is undone, who is asked to go, comments, favourites, follow-up."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Lay them."""
    op.add_column("reviews", sa.Column("undoes", _KEY))
    op.add_column("observation_reports", sa.Column("token_seq", _KEY))
    op.add_column("observation_reports", sa.Column("digest", sa.String(64)))
    op.create_table(
        "assignments",
        sa.Column("seq", _KEY, nullable=False),
        sa.Column("alert_seq", _KEY, nullable=False),
        sa.Column("user_seq", _KEY, nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_at", _MOMENT, nullable=False),
        sa.Column("ended_at", _MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["alert_seq"], ["alerts.seq"], name=op.f("fk_assignments_alert_seq")),
        sa.ForeignKeyConstraint(["user_seq"], ["users.seq"], name=op.f("fk_assignments_user_seq")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_assignments")),
    )
    op.create_index(op.f("ix_assignments_alert_seq"), "assignments", ["alert_seq"])
    op.create_index(op.f("ix_assignments_user_seq"), "assignments", ["user_seq"])
    op.create_table(
        "comments",
        sa.Column("seq", _KEY, nullable=False),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("alert_seq", _KEY, nullable=False),
        sa.Column("user_seq", _KEY, nullable=True),
        sa.Column("token_seq", _KEY, nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("made_at", _MOMENT, nullable=False),
        sa.Column("removed_at", _MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["alert_seq"], ["alerts.seq"], name=op.f("fk_comments_alert_seq")),
        sa.ForeignKeyConstraint(["token_seq"], ["tokens.seq"], name=op.f("fk_comments_token_seq")),
        sa.ForeignKeyConstraint(["user_seq"], ["users.seq"], name=op.f("fk_comments_user_seq")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_comments")),
        sa.UniqueConstraint("id", name=op.f("uq_comments_id")),
    )
    op.create_index(op.f("ix_comments_alert_seq"), "comments", ["alert_seq"])
    op.create_table(
        "favourites",
        sa.Column("user_seq", _KEY, autoincrement=False, nullable=False),
        sa.Column("alert_seq", _KEY, autoincrement=False, nullable=False),
        sa.Column("made_at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["alert_seq"], ["alerts.seq"], name=op.f("fk_favourites_alert_seq")),
        sa.ForeignKeyConstraint(["user_seq"], ["users.seq"], name=op.f("fk_favourites_user_seq")),
        sa.PrimaryKeyConstraint("user_seq", "alert_seq", name=op.f("pk_favourites")),
    )
    op.create_table(
        "report_follow_ups",
        sa.Column("seq", _KEY, nullable=False),
        sa.Column("report_id", sa.String(36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("user_seq", _KEY, nullable=True),
        sa.Column("made_at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["user_seq"], ["users.seq"], name=op.f("fk_report_follow_ups_user_seq")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_report_follow_ups")),
        sa.UniqueConstraint("report_id", "version", name=op.f("uq_report_follow_ups_report_id_version")),
    )


def downgrade() -> None:
    """Take them away, with what they hold."""
    for table in ("report_follow_ups", "favourites", "comments", "assignments"):
        op.drop_table(table)
    op.drop_column("observation_reports", "digest")
    op.drop_column("observation_reports", "token_seq")
    op.drop_column("reviews", "undoes")
