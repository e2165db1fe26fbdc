"""What accounts need: passwords, OpenID Connect, sessions, invitations, personal keys, and how many there are."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_MOMENT = sa.DateTime(timezone=True)


def _of_users() -> list[sa.Column[Any]]:
    return [
        sa.Column("password", sa.Text()),
        sa.Column("issuer", sa.Text()),
        sa.Column("subject", sa.Text()),
        sa.Column("departements", sa.Text(), nullable=False, server_default="[]"),
        sa.Column("erased_at", _MOMENT),
    ]


def upgrade() -> None:
    """Lay it. Nobody could sign in before: no account counts until it is made, or enabled again."""
    for column in _of_users():
        op.add_column("users", column)
    op.create_index("ix_users_issuer_subject", "users", ["issuer", "subject"], unique=True)
    op.add_column("tokens", sa.Column("user_seq", _KEY))
    op.create_index("ix_tokens_user_seq", "tokens", ["user_seq"])
    op.add_column("store_state", sa.Column("accounts", sa.Integer(), nullable=False, server_default="0"))
    op.create_table(
        "sessions",
        sa.Column("seq", _KEY, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("user_seq", _KEY, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("used_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.Column("ended_at", _MOMENT),
        sa.ForeignKeyConstraint(["user_seq"], ["users.seq"], name=op.f("fk_sessions_user_seq")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_sessions")),
        sa.UniqueConstraint("digest", name=op.f("uq_sessions_digest")),
    )
    op.create_index(op.f("ix_sessions_user_seq"), "sessions", ["user_seq"])
    op.create_table(
        "invitations",
        sa.Column("seq", _KEY, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("user_seq", _KEY),
        sa.Column("email", sa.Text()),
        sa.Column("role", sa.String(16)),
        sa.Column("departements", sa.Text(), nullable=False, server_default="[]"),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.Column("used_at", _MOMENT),
        sa.ForeignKeyConstraint(["user_seq"], ["users.seq"], name=op.f("fk_invitations_user_seq")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_invitations")),
        sa.UniqueConstraint("digest", name=op.f("uq_invitations_digest")),
    )


def downgrade() -> None:
    """Take it away; the accounts' names stay."""
    for table in ("invitations", "sessions"):
        op.drop_table(table)
    op.drop_column("store_state", "accounts")
    op.drop_index("ix_tokens_user_seq", "tokens")
    op.drop_column("tokens", "user_seq")
    op.drop_index("ix_users_issuer_subject", "users")
    for column in _of_users():
        op.drop_column("users", column.name)
