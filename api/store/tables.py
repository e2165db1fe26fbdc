"""The tables of the store, the same on SQLite and PostgreSQL.

::

    scans ──< alert_versions >── alerts ──1 alert_documents      what a scan said, and what stands now
                                   │
          alert_criteria, evaluations, scores, alert_features    what rules and models said, by version
          reviews, assignments, comments, favourites             what people decided
          observation_reports ──< photos, report_follow_ups      what people saw
    users ──< sessions, invitations, tokens, subscriptions
    subscriptions ──< notices ──< notice_alerts                  whom it was told to
    zones     alert_cells     audit_log     store_state

Outlines are WKB in WGS 84 beside four columns of their bounds: no engine needs a library for that. What makes them
quick (an R*Tree, PostGIS) is laid over these tables by a migration, and kept by the engine itself.
"""

from __future__ import annotations

import datetime as dt
import zlib
from typing import Any, Final

import sqlalchemy as sa

#: The key of a row: 64 bits on both engines; SQLite numbers rows by itself where the type is INTEGER.
_KEY: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


class Moment(sa.types.TypeDecorator[dt.datetime]):
    """A moment in UTC: with its zone in Python and on PostgreSQL, without one on SQLite, which has none."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: sa.Dialect) -> dt.datetime | None:  # noqa: ARG002
        """A moment on its way in."""
        return None if value is None else value.astimezone(dt.UTC)

    def process_result_value(self, value: dt.datetime | None, dialect: sa.Dialect) -> dt.datetime | None:  # noqa: ARG002
        """A moment on its way out."""
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


class PackedText(sa.types.TypeDecorator[str]):
    """Text that is long and always read whole, compressed (zlib): a fifth of its size on both engines."""

    impl = sa.LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> bytes | None:  # noqa: ARG002
        """A text on its way in."""
        return None if value is None else zlib.compress(value.encode(), 6)

    def process_result_value(self, value: bytes | None, dialect: sa.Dialect) -> str | None:  # noqa: ARG002
        """A text on its way out."""
        return None if value is None else zlib.decompress(value).decode()


metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _alert_key(**options: Any) -> sa.Column[int]:
    return sa.Column("alert_seq", _KEY, sa.ForeignKey("alerts.seq"), nullable=False, **options)


def _bounds() -> list[sa.Column[float]]:
    return [sa.Column(name, sa.Double, nullable=False) for name in ("min_lon", "min_lat", "max_lon", "max_lat")]


store_state = sa.Table(
    "store_state",
    metadata,
    sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1", name="one_row"), primary_key=True),
    # One more with each transaction that writes: what a reader has seen is current while it stays.
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("changed_at", Moment, nullable=False),
    # Accounts there ever were. While there is none, who reaches the service sees all.
    sa.Column("accounts", sa.Integer, nullable=False, server_default="0"),
)

scans = sa.Table(
    "scans",
    metadata,
    sa.Column("seq", _KEY, primary_key=True),
    sa.Column("identity", sa.String(64), nullable=False, index=True),
    sa.Column("kind", sa.String(16), nullable=False),  # scan, monthly
    sa.Column("month", sa.String(7), nullable=False),
    sa.Column("ground", sa.Text, nullable=False),  # the tiles, or what else tells one scan's ground from another's
    sa.Column("folder", sa.Text),  # of the images, under the data directory where it is there
    sa.Column("software", sa.Text),
    sa.Column("complete", sa.Boolean),
    sa.Column("alerts", sa.Integer, nullable=False),
    sa.Column("record", PackedText, nullable=False),  # scan.json or run.json as it was
    sa.Column("ingested_at", Moment, nullable=False),
)

alerts = sa.Table(
    "alerts",
    metadata,
    sa.Column("seq", _KEY, primary_key=True),
    sa.Column("id", sa.String(64), nullable=False, unique=True),
    sa.Column("tile", sa.String(32), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("review", sa.String(16), nullable=False),
    sa.Column("cause", sa.String(16)),
    sa.Column("first_detected", sa.Date, nullable=False),
    sa.Column("last_intact", sa.Date),
    sa.Column("first_low", sa.Date, nullable=False),
    sa.Column("updated", sa.Date, nullable=False),
    sa.Column("area_ha", sa.Double, nullable=False),
    sa.Column("clearcut_probability", sa.Double),
    sa.Column("abuse_score", sa.Double),
    sa.Column("potentially_abusive", sa.Boolean),
    sa.Column("commune_insee", sa.String(5)),
    sa.Column("commune", sa.Text),
    sa.Column("departement", sa.String(3)),
    sa.Column("model_version", sa.Text),
    sa.Column("rules_version", sa.Text),
    *_bounds(),
    sa.Column("geometry", sa.LargeBinary, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("changed_at", Moment, nullable=False),
    sa.Column("scan_seq", _KEY, sa.ForeignKey("scans.seq"), nullable=False),  # that which said what stands now
)

# Beside the narrow rows that are searched, so that a search reads little.
alert_documents = sa.Table(
    "alert_documents",
    metadata,
    _alert_key(primary_key=True, autoincrement=False),
    sa.Column("feature", PackedText, nullable=False),  # GeoJSON, on one line, as it is given out
)

alert_versions = sa.Table(
    "alert_versions",
    metadata,
    sa.Column("seq", _KEY, primary_key=True),
    _alert_key(),
    sa.Column("scan_seq", _KEY, sa.ForeignKey("scans.seq"), nullable=False),
    sa.Column("month", sa.String(7), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("area_ha", sa.Double, nullable=False),
    *_bounds(),
    sa.Column("geometry", sa.LargeBinary, nullable=False),
    sa.Column("properties", PackedText, nullable=False),  # all that the scan said, JSON
    sa.Column("recorded_at", Moment, nullable=False),
    sa.UniqueConstraint("alert_seq", "scan_seq"),
)

alert_criteria = sa.Table(
    "alert_criteria",
    metadata,
    sa.Column("code", sa.Text, nullable=False, primary_key=True),
    _alert_key(primary_key=True, autoincrement=False),
)
"""Criteria that alerts now meet: what is searched. What was said in full is in `evaluations`."""

evaluations = sa.Table(
    "evaluations",
    metadata,
    sa.Column("seq", _KEY, primary_key=True),
    _alert_key(),
    sa.Column("scan_seq", _KEY, sa.ForeignKey("scans.seq"), nullable=False),
    sa.Column("rules_version", sa.Text, nullable=False),
    sa.Column("potentially_abusive", sa.Boolean),
    sa.Column("criteria", PackedText, nullable=False),
    sa.Column("legal_points", PackedText, nullable=False),
    sa.UniqueConstraint("alert_seq", "rules_version", "scan_seq"),
)

scores = sa.Table(
    "scores",
    metadata,
    sa.Column("seq", _KEY, primary_key=True),
    _alert_key(),
    sa.Column("scan_seq", _KEY, sa.ForeignKey("scans.seq"), nullable=False),
    sa.Column("model_version", sa.Text, nullable=False),
    sa.Column("clearcut_probability", sa.Double),
    sa.Column("abuse_score", sa.Double),
    sa.Column("reasons", PackedText),
    sa.UniqueConstraint("alert_seq", "model_version", "scan_seq"),
)

alert_features = sa.Table(
    "alert_features",
    metadata,
    sa.Column("seq", _KEY, primary_key=True),
    _alert_key(),
    sa.Column("scan_seq", _KEY, sa.ForeignKey("scans.seq"), nullable=False),
    sa.Column("features", PackedText, nullable=False),
    sa.UniqueConstraint("alert_seq", "scan_seq"),
)
"""What was measured of an alert: what a reviewed alert teaches the model by."""

alert_cells = sa.Table(
    "alert_cells",
    metadata,
    sa.Column("level", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("x", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("y", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("alerts", sa.BigInteger, nullable=False),
    sa.Column("abusive", sa.BigInteger, nullable=False),
    # Whole square metres: sums that are added to and taken from stay exact.
    sa.Column("area_m2", sa.BigInteger, nullable=False),
)
"""Standing alerts counted on a web-mercator grid, for the map from afar; see `api.store.cells`."""

zones = sa.Table(
    "zones",
    metadata,
    sa.Column("seq", _KEY, primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("layer", sa.String(32), nullable=False, index=True),
    *_bounds(),
    sa.Column("geometry", sa.LargeBinary, nullable=False),
    sa.Column("feature", PackedText, nullable=False),
)

zone_layers = sa.Table(
    "zone_layers",
    metadata,
    sa.Column("layer", sa.String(32), primary_key=True),
    sa.Column("content", sa.String(64), nullable=False),  # name of what the layer held when it was taken in
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("licence", sa.Text, nullable=False),
    sa.Column("zones", sa.Integer, nullable=False),
    sa.Column("taken_at", Moment, nullable=False),
)

users = sa.Table(
    "users",
    metadata,
    sa.Column("seq", _KEY, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("email", sa.Text, unique=True),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("disabled_at", Moment),
    sa.Column("password", sa.Text),  # Argon2id; none where they sign in elsewhere
    sa.Column("issuer", sa.Text),  # of OpenID Connect, and who they are there
    sa.Column("subject", sa.Text),
    sa.Column("departements", sa.Text, nullable=False, server_default="[]"),  # JSON list
    sa.Column("erased_at", Moment),
)
sa.Index("ix_users_issuer_subject", users.c.issuer, users.c.subject, unique=True)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("seq", _KEY, primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),  # SHA-256: the cookie's token is never kept
    sa.Column("user_seq", _KEY, sa.ForeignKey("users.seq"), nullable=False, index=True),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("used_at", Moment, nullable=False),
    sa.Column("expires_at", Moment, nullable=False),
    sa.Column("ended_at", Moment),
)

invitations = sa.Table(
    "invitations",
    metadata,
    sa.Column("seq", _KEY, primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    sa.Column("user_seq", _KEY, sa.ForeignKey("users.seq")),  # whose password is set anew; none yet of who is invited
    sa.Column("email", sa.Text),
    sa.Column("role", sa.String(16)),
    sa.Column("departements", sa.Text, nullable=False, server_default="[]"),
    sa.Column("made_by", sa.Text, nullable=False),
    sa.Column("made_at", Moment, nullable=False),
    sa.Column("expires_at", Moment, nullable=False),
    sa.Column("used_at", Moment),
)

tokens = sa.Table(
    "tokens",
    metadata,
    sa.Column("seq", _KEY, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),  # SHA-256: the token itself is never kept
    sa.Column("rights", sa.Text, nullable=False),  # JSON list
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("expires_at", Moment),
    sa.Column("revoked_at", Moment),
    sa.Column("user_seq", _KEY, index=True),  # of a personal key; a token of the machine has none
)

reviews = sa.Table(
    "reviews",
    metadata,
    sa.Column("seq", _KEY, primary_key=True),
    _alert_key(index=True),
    sa.Column("state_before", sa.String(16), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("comment", sa.Text),
    sa.Column("token_seq", _KEY, sa.ForeignKey("tokens.seq")),
    sa.Column("user_seq", _KEY, sa.ForeignKey("users.seq")),
    sa.Column("request_key", sa.String(64), unique=True),  # made by the client: sent twice, stored once
    sa.Column("made_at", Moment, nullable=False),
    sa.Column("undoes", _KEY),  # row that this one takes back
)

assignments = sa.Table(
    "assignments",
    metadata,
    sa.Column("seq", _KEY, primary_key=True),
    _alert_key(index=True),
    sa.Column("user_seq", _KEY, sa.ForeignKey("users.seq"), nullable=False, index=True),
    sa.Column("made_by", sa.Text, nullable=False),  # as of the audit log
    sa.Column("made_at", Moment, nullable=False),
    sa.Column("ended_at", Moment),
)

comments = sa.Table(
    "comments",
    metadata,
    sa.Column("seq", _KEY, primary_key=True),
    sa.Column("id", sa.String(36), nullable=False, unique=True),  # UUID made by the client
    _alert_key(index=True),
    sa.Column("user_seq", _KEY, sa.ForeignKey("users.seq")),
    sa.Column("token_seq", _KEY, sa.ForeignKey("tokens.seq")),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("made_at", Moment, nullable=False),
    sa.Column("removed_at", Moment),
)

favourites = sa.Table(
    "favourites",
    metadata,
    sa.Column("user_seq", _KEY, sa.ForeignKey("users.seq"), primary_key=True, autoincrement=False),
    _alert_key(primary_key=True, autoincrement=False),
    sa.Column("made_at", Moment, nullable=False),
)

observation_reports = sa.Table(
    "observation_reports",
    metadata,
    sa.Column("seq", _KEY, primary_key=True),
    sa.Column("id", sa.String(36), nullable=False),  # UUID made by the client
    sa.Column("version", sa.Integer, nullable=False),
    _alert_key(index=True),
    sa.Column("user_seq", _KEY, sa.ForeignKey("users.seq")),
    sa.Column("observed_on", sa.Date, nullable=False),
    sa.Column("content", sa.Text, nullable=False),  # the form, JSON
    sa.Column("geometry", sa.LargeBinary),  # the outline, where it was corrected
    sa.Column("received_at", Moment, nullable=False),
    sa.Column("token_seq", _KEY),
    sa.Column("digest", sa.String(64)),  # of what was sent: sent twice, stored once
    sa.UniqueConstraint("id", "version"),
)

report_follow_ups = sa.Table(
    "report_follow_ups",
    metadata,
    sa.Column("seq", _KEY, primary_key=True),
    sa.Column("report_id", sa.String(36), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("content", sa.Text, nullable=False),  # JSON; for administrators alone
    sa.Column("user_seq", _KEY, sa.ForeignKey("users.seq")),
    sa.Column("made_at", Moment, nullable=False),
    sa.UniqueConstraint("report_id", "version"),
)

photos = sa.Table(
    "photos",
    metadata,
    sa.Column("seq", _KEY, primary_key=True),
    sa.Column("id", sa.String(36), nullable=False, unique=True),  # UUID made by the client
    sa.Column("report_id", sa.String(36), nullable=False, index=True),  # of the report, whatever its version
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("place", sa.Text, nullable=False),  # of the picture: a key of `api.photos.keeping`
    sa.Column("thumbnail", sa.Text, nullable=False),  # likewise
    sa.Column("width", sa.Integer, nullable=False),  # px, of the picture that is kept
    sa.Column("height", sa.Integer, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),  # of what came, not of what is kept
    sa.Column("sha256", sa.String(64), nullable=False),  # likewise
    # What EXIF said, which the file no longer says.
    sa.Column("taken_at", Moment),
    sa.Column("longitude", sa.Double),
    sa.Column("latitude", sa.Double),
    sa.Column("received_at", Moment, nullable=False),
)

subscriptions = sa.Table(
    "subscriptions",
    metadata,
    sa.Column("seq", _KEY, primary_key=True),
    sa.Column("user_seq", _KEY, sa.ForeignKey("users.seq"), index=True),
    sa.Column("channel", sa.String(16), nullable=False),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("filters", sa.Text, nullable=False),
    # The newest alert of then: what came later is news.
    sa.Column("after_alert_seq", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("ended_at", Moment),
)

notices = sa.Table(
    "notices",
    metadata,
    sa.Column("seq", _KEY, primary_key=True),
    sa.Column("subscription_seq", _KEY, sa.ForeignKey("subscriptions.seq"), nullable=False, index=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("message_id", sa.String(255), nullable=False, unique=True),  # the same at each attempt
    sa.Column("unsubscribe_digest", sa.String(64), nullable=False, unique=True),  # SHA-256 of the link's token
    sa.Column("alerts", sa.Integer, nullable=False),
    sa.Column("content", PackedText),  # JSON, as it is sent; gone when the notice has ended, with the token in it
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("next_at", Moment),
    sa.Column("reason", sa.Text),  # of the last attempt that failed
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("ended_at", Moment),
)
"""The outbox: what is to be sent, and what came of it."""

notice_alerts = sa.Table(
    "notice_alerts",
    metadata,
    sa.Column(
        "subscription_seq",
        _KEY,
        sa.ForeignKey("subscriptions.seq"),
        primary_key=True,
        autoincrement=False,
    ),
    _alert_key(primary_key=True, autoincrement=False),
    sa.Column("notice_seq", _KEY, sa.ForeignKey("notices.seq"), nullable=False, index=True),
)
"""Of which alerts a subscription was told: each once, which the key sees to."""

audit_log = sa.Table(
    "audit_log",
    metadata,
    sa.Column("seq", _KEY, primary_key=True),
    sa.Column("at", Moment, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),  # "command", or "token:" and its name
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("detail", sa.Text),
)

UNKNOWN_SORTS_AS: Final = -1.0
"""What stands for an unknown number in an order: below all that are known, in both engines."""

sa.Index("ix_alerts_departement_seq", alerts.c.departement, alerts.c.seq)
sa.Index("ix_alerts_departement_area_ha", alerts.c.departement, alerts.c.area_ha, alerts.c.seq)
sa.Index("ix_alerts_departement_first_low", alerts.c.departement, alerts.c.first_low, alerts.c.seq)
sa.Index("ix_alerts_departement_changed_at", alerts.c.departement, alerts.c.changed_at, alerts.c.seq)
sa.Index("ix_alerts_commune_insee_seq", alerts.c.commune_insee, alerts.c.seq)
sa.Index("ix_alerts_area_ha_seq", alerts.c.area_ha, alerts.c.seq)
for _score in ("clearcut_probability", "abuse_score"):
    _known = sa.func.coalesce(alerts.c[_score], sa.literal_column(str(UNKNOWN_SORTS_AS)))
    sa.Index(f"ix_alerts_{_score}_seq", _known, alerts.c.seq)
sa.Index("ix_alerts_first_low_seq", alerts.c.first_low, alerts.c.seq)
sa.Index("ix_alerts_changed_at_seq", alerts.c.changed_at, alerts.c.seq)
sa.Index("ix_alerts_updated_seq", alerts.c.updated, alerts.c.seq)
sa.Index("ix_alerts_review_seq", alerts.c.review, alerts.c.seq)
sa.Index("ix_alert_versions_month_seq", alert_versions.c.month, alert_versions.c.seq)
sa.Index("ix_alert_versions_scan_seq", alert_versions.c.scan_seq)
sa.Index("ix_notices_state_next_at", notices.c.state, notices.c.next_at)
sa.Index("ix_alert_criteria_alert_seq", alert_criteria.c.alert_seq)
