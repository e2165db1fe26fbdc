"""Notices: what subscriptions are told, the outbox that it is sent from, and of which alerts each was told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Lay the tables; subscriptions that were there are told of what comes next."""
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("subscriptions", sa.Column("after_alert_seq", sa.BigInteger(), server_default="0", nullable=False))
    op.execute("UPDATE subscriptions SET after_alert_seq = (SELECT coalesce(max(seq), 0) FROM alerts)")
    op.create_table(
        "notices",
        sa.Column("seq", key, nullable=False),
        sa.Column("subscription_seq", key, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("message_id", sa.String(length=255), nullable=False),
        sa.Column("unsubscribe_digest", sa.String(length=64), nullable=False),
        sa.Column("alerts", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["subscription_seq"], ["subscriptions.seq"], name=op.f("fk_notices_subscription_seq")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_notices")),
        sa.UniqueConstraint("message_id", name=op.f("uq_notices_message_id")),
        sa.UniqueConstraint("unsubscribe_digest", name=op.f("uq_notices_unsubscribe_digest")),
    )
    op.create_index(op.f("ix_notices_subscription_seq"), "notices", ["subscription_seq"], unique=False)
    op.create_index("ix_notices_state_next_at", "notices", ["state", "next_at"], unique=False)
    op.create_table(
        "notice_alerts",
        sa.Column("subscription_seq", key, autoincrement=False, nullable=False),
        sa.Column("alert_seq", key, autoincrement=False, nullable=False),
        sa.Column("notice_seq", key, nullable=False),
        sa.ForeignKeyConstraint(["alert_seq"], ["alerts.seq"], name=op.f("fk_notice_alerts_alert_seq")),
        sa.ForeignKeyConstraint(["notice_seq"], ["notices.seq"], name=op.f("fk_notice_alerts_notice_seq")),
        sa.ForeignKeyConstraint(
            ["subscription_seq"], ["subscriptions.seq"], name=op.f("fk_notice_alerts_subscription_seq")
        ),
        sa.PrimaryKeyConstraint("subscription_seq", "alert_seq", name=op.f("pk_notice_alerts")),
    )
    op.create_index(op.f("ix_notice_alerts_notice_seq"), "notice_alerts", ["notice_seq"], unique=False)


def downgrade() -> None:
    """Take them away: who was told of what is forgotten."""
    op.drop_table("notice_alerts")
    op.drop_table("notices")
    op.drop_column("subscriptions", "after_alert_seq")
