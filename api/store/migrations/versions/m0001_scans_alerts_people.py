"""Tables of scans, alerts, what was said of them, people, and what people said."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Lay the tables, and the one row that counts revisions."""
    op.create_table(
        "alert_cells",
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("x", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("y", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("alerts", sa.BigInteger(), nullable=False),
        sa.Column("abusive", sa.BigInteger(), nullable=False),
        sa.Column("area_m2", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("level", "x", "y", name=op.f("pk_alert_cells")),
    )
    op.create_table(
        "audit_log",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit_log")),
    )
    op.create_table(
        "scans",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("identity", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("ground", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=True),
        sa.Column("software", sa.Text(), nullable=True),
        sa.Column("complete", sa.Boolean(), nullable=True),
        sa.Column("alerts", sa.Integer(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.Column("ingested_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_scans")),
    )
    op.create_index(op.f("ix_scans_identity"), "scans", ["identity"], unique=False)
    op.create_table(
        "store_state",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_store_state")),
    )
    op.create_table(
        "tokens",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("rights", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_tokens")),
        sa.UniqueConstraint("digest", name=op.f("uq_tokens_digest")),
        sa.UniqueConstraint("name", name=op.f("uq_tokens_name")),
    )
    op.create_table(
        "users",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
        sa.UniqueConstraint("name", name=op.f("uq_users_name")),
    )
    op.create_table(
        "zone_layers",
        sa.Column("layer", sa.String(length=32), nullable=False),
        sa.Column("content", sa.String(length=64), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("licence", sa.Text(), nullable=False),
        sa.Column("zones", sa.Integer(), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("layer", name=op.f("pk_zone_layers")),
    )
    op.create_table(
        "zones",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("layer", sa.String(length=32), nullable=False),
        sa.Column("min_lon", sa.Double(), nullable=False),
        sa.Column("min_lat", sa.Double(), nullable=False),
        sa.Column("max_lon", sa.Double(), nullable=False),
        sa.Column("max_lat", sa.Double(), nullable=False),
        sa.Column("geometry", sa.LargeBinary(), nullable=False),
        sa.Column("feature", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_zones")),
        sa.UniqueConstraint("id", name=op.f("uq_zones_id")),
    )
    op.create_index(op.f("ix_zones_layer"), "zones", ["layer"], unique=False)
    op.create_table(
        "alerts",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("tile", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("review", sa.String(length=16), nullable=False),
        sa.Column("cause", sa.String(length=16), nullable=True),
        sa.Column("first_detected", sa.Date(), nullable=False),
        sa.Column("last_intact", sa.Date(), nullable=True),
        sa.Column("first_low", sa.Date(), nullable=False),
        sa.Column("updated", sa.Date(), nullable=False),
        sa.Column("area_ha", sa.Double(), nullable=False),
        sa.Column("clearcut_probability", sa.Double(), nullable=True),
        sa.Column("abuse_score", sa.Double(), nullable=True),
        sa.Column("potentially_abusive", sa.Boolean(), nullable=True),
        sa.Column("commune_insee", sa.String(length=5), nullable=True),
        sa.Column("commune", sa.Text(), nullable=True),
        sa.Column("departement", sa.String(length=3), nullable=True),
        sa.Column("model_version", sa.Text(), nullable=True),
        sa.Column("rules_version", sa.Text(), nullable=True),
        sa.Column("min_lon", sa.Double(), nullable=False),
        sa.Column("min_lat", sa.Double(), nullable=False),
        sa.Column("max_lon", sa.Double(), nullable=False),
        sa.Column("max_lat", sa.Double(), nullable=False),
        sa.Column("geometry", sa.LargeBinary(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("scan_seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["scan_seq"], ["scans.seq"], name=op.f("fk_alerts_scan_seq")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_alerts")),
        sa.UniqueConstraint("id", name=op.f("uq_alerts_id")),
    )
    op.create_index("ix_alerts_area_ha_seq", "alerts", ["area_ha", "seq"], unique=False)
    op.create_index("ix_alerts_changed_at_seq", "alerts", ["changed_at", "seq"], unique=False)
    op.create_index("ix_alerts_commune_insee_seq", "alerts", ["commune_insee", "seq"], unique=False)
    op.create_index("ix_alerts_departement_first_low", "alerts", ["departement", "first_low", "seq"], unique=False)
    op.create_index("ix_alerts_departement_changed_at", "alerts", ["departement", "changed_at", "seq"], unique=False)
    op.create_index("ix_alerts_departement_area_ha", "alerts", ["departement", "area_ha", "seq"], unique=False)
    op.create_index("ix_alerts_departement_seq", "alerts", ["departement", "seq"], unique=False)
    op.create_index("ix_alerts_first_low_seq", "alerts", ["first_low", "seq"], unique=False)
    op.create_index("ix_alerts_review_seq", "alerts", ["review", "seq"], unique=False)
    op.create_index("ix_alerts_updated_seq", "alerts", ["updated", "seq"], unique=False)
    op.create_table(
        "subscriptions",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("filters", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_seq"], ["users.seq"], name=op.f("fk_subscriptions_user_seq")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_subscriptions")),
    )
    op.create_index(op.f("ix_subscriptions_user_seq"), "subscriptions", ["user_seq"], unique=False)
    op.create_table(
        "alert_criteria",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column(
            "alert_seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.ForeignKeyConstraint(["alert_seq"], ["alerts.seq"], name=op.f("fk_alert_criteria_alert_seq")),
        sa.PrimaryKeyConstraint("code", "alert_seq", name=op.f("pk_alert_criteria")),
    )
    op.create_index("ix_alert_criteria_alert_seq", "alert_criteria", ["alert_seq"], unique=False)
    op.create_table(
        "alert_documents",
        sa.Column(
            "alert_seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("feature", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["alert_seq"], ["alerts.seq"], name=op.f("fk_alert_documents_alert_seq")),
        sa.PrimaryKeyConstraint("alert_seq", name=op.f("pk_alert_documents")),
    )
    op.create_table(
        "alert_features",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("alert_seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("scan_seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("features", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["alert_seq"], ["alerts.seq"], name=op.f("fk_alert_features_alert_seq")),
        sa.ForeignKeyConstraint(["scan_seq"], ["scans.seq"], name=op.f("fk_alert_features_scan_seq")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_alert_features")),
        sa.UniqueConstraint("alert_seq", "scan_seq", name=op.f("uq_alert_features_alert_seq_scan_seq")),
    )
    op.create_table(
        "alert_versions",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("alert_seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("scan_seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("area_ha", sa.Double(), nullable=False),
        sa.Column("min_lon", sa.Double(), nullable=False),
        sa.Column("min_lat", sa.Double(), nullable=False),
        sa.Column("max_lon", sa.Double(), nullable=False),
        sa.Column("max_lat", sa.Double(), nullable=False),
        sa.Column("geometry", sa.LargeBinary(), nullable=False),
        sa.Column("properties", sa.LargeBinary(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["alert_seq"], ["alerts.seq"], name=op.f("fk_alert_versions_alert_seq")),
        sa.ForeignKeyConstraint(["scan_seq"], ["scans.seq"], name=op.f("fk_alert_versions_scan_seq")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_alert_versions")),
        sa.UniqueConstraint("alert_seq", "scan_seq", name=op.f("uq_alert_versions_alert_seq_scan_seq")),
    )
    op.create_index("ix_alert_versions_month_seq", "alert_versions", ["month", "seq"], unique=False)
    op.create_index("ix_alert_versions_scan_seq", "alert_versions", ["scan_seq"], unique=False)
    op.create_table(
        "evaluations",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("alert_seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("scan_seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("rules_version", sa.Text(), nullable=False),
        sa.Column("potentially_abusive", sa.Boolean(), nullable=True),
        sa.Column("criteria", sa.LargeBinary(), nullable=False),
        sa.Column("legal_points", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["alert_seq"], ["alerts.seq"], name=op.f("fk_evaluations_alert_seq")),
        sa.ForeignKeyConstraint(["scan_seq"], ["scans.seq"], name=op.f("fk_evaluations_scan_seq")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_evaluations")),
        sa.UniqueConstraint(
            "alert_seq", "rules_version", "scan_seq", name=op.f("uq_evaluations_alert_seq_rules_version_scan_seq")
        ),
    )
    op.create_table(
        "observation_reports",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("alert_seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("observed_on", sa.Date(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("geometry", sa.LargeBinary(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["alert_seq"], ["alerts.seq"], name=op.f("fk_observation_reports_alert_seq")),
        sa.ForeignKeyConstraint(["user_seq"], ["users.seq"], name=op.f("fk_observation_reports_user_seq")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_observation_reports")),
        sa.UniqueConstraint("id", "version", name=op.f("uq_observation_reports_id_version")),
    )
    op.create_index(op.f("ix_observation_reports_alert_seq"), "observation_reports", ["alert_seq"], unique=False)
    op.create_table(
        "reviews",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("alert_seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("state_before", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("token_seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("user_seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("request_key", sa.String(length=64), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["alert_seq"], ["alerts.seq"], name=op.f("fk_reviews_alert_seq")),
        sa.ForeignKeyConstraint(["token_seq"], ["tokens.seq"], name=op.f("fk_reviews_token_seq")),
        sa.ForeignKeyConstraint(["user_seq"], ["users.seq"], name=op.f("fk_reviews_user_seq")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_reviews")),
        sa.UniqueConstraint("request_key", name=op.f("uq_reviews_request_key")),
    )
    op.create_index(op.f("ix_reviews_alert_seq"), "reviews", ["alert_seq"], unique=False)
    op.create_table(
        "scores",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("alert_seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("scan_seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("clearcut_probability", sa.Double(), nullable=True),
        sa.Column("abuse_score", sa.Double(), nullable=True),
        sa.Column("reasons", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["alert_seq"], ["alerts.seq"], name=op.f("fk_scores_alert_seq")),
        sa.ForeignKeyConstraint(["scan_seq"], ["scans.seq"], name=op.f("fk_scores_scan_seq")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_scores")),
        sa.UniqueConstraint(
            "alert_seq", "model_version", "scan_seq", name=op.f("uq_scores_alert_seq_model_version_scan_seq")
        ),
    )
    op.create_table(
        "photos",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("report_seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("longitude", sa.Double(), nullable=True),
        sa.Column("latitude", sa.Double(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["report_seq"], ["observation_reports.seq"], name=op.f("fk_photos_report_seq")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_photos")),
        sa.UniqueConstraint("id", name=op.f("uq_photos_id")),
    )
    op.create_index(op.f("ix_photos_report_seq"), "photos", ["report_seq"], unique=False)
    for score in ("clearcut_probability", "abuse_score"):
        op.create_index(f"ix_alerts_{score}_seq", "alerts", [sa.text(f"coalesce({score}, -1.0)"), "seq"])
    state = sa.table(
        "store_state",
        sa.column("id", sa.Integer),
        sa.column("revision", sa.BigInteger),
        sa.column("changed_at", sa.DateTime(timezone=True)),
    )
    op.bulk_insert(state, [{"id": 1, "revision": 0, "changed_at": dt.datetime.now(dt.UTC)}])


def downgrade() -> None:
    """Take them away, with all that they hold."""
    for score in ("clearcut_probability", "abuse_score"):
        op.drop_index(f"ix_alerts_{score}_seq", table_name="alerts")
    op.drop_index(op.f("ix_photos_report_seq"), table_name="photos")
    op.drop_table("photos")
    op.drop_table("scores")
    op.drop_index(op.f("ix_reviews_alert_seq"), table_name="reviews")
    op.drop_table("reviews")
    op.drop_index(op.f("ix_observation_reports_alert_seq"), table_name="observation_reports")
    op.drop_table("observation_reports")
    op.drop_table("evaluations")
    op.drop_index("ix_alert_versions_scan_seq", table_name="alert_versions")
    op.drop_index("ix_alert_versions_month_seq", table_name="alert_versions")
    op.drop_table("alert_versions")
    op.drop_table("alert_features")
    op.drop_table("alert_documents")
    op.drop_index("ix_alert_criteria_alert_seq", table_name="alert_criteria")
    op.drop_table("alert_criteria")
    op.drop_index(op.f("ix_subscriptions_user_seq"), table_name="subscriptions")
    op.drop_table("subscriptions")
    op.drop_index("ix_alerts_updated_seq", table_name="alerts")
    op.drop_index("ix_alerts_review_seq", table_name="alerts")
    op.drop_index("ix_alerts_first_low_seq", table_name="alerts")
    op.drop_index("ix_alerts_departement_seq", table_name="alerts")
    op.drop_index("ix_alerts_departement_first_low", table_name="alerts")
    op.drop_index("ix_alerts_departement_changed_at", table_name="alerts")
    op.drop_index("ix_alerts_departement_area_ha", table_name="alerts")
    op.drop_index("ix_alerts_commune_insee_seq", table_name="alerts")
    op.drop_index("ix_alerts_changed_at_seq", table_name="alerts")
    op.drop_index("ix_alerts_area_ha_seq", table_name="alerts")
    op.drop_table("alerts")
    op.drop_index(op.f("ix_zones_layer"), table_name="zones")
    op.drop_table("zones")
    op.drop_table("zone_layers")
    op.drop_table("users")
    op.drop_table("tokens")
    op.drop_table("store_state")
    op.drop_index(op.f("ix_scans_identity"), table_name="scans")
    op.drop_table("scans")
    op.drop_table("audit_log")
    op.drop_table("alert_cells")
