"""Asking the store: pages of alerts, outlines and zones, each of the same cost from first to last.

A page goes on where the one before it ended, by the values of its last row (keyset): nothing is counted or skipped.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

import shapely
import sqlalchemy as sa

from api.features import AlertFeature
from api.store.conditions import Conditions, box_condition, condition, conditions_of
from api.store.database import Database
from api.store.filters import AlertFilter, SortField
from api.store.literals import Bbox, parse_bbox
from api.store.scope import EVERYTHING, Scope, scope_condition
from api.store.tables import (
    UNKNOWN_SORTS_AS,
    alert_documents,
    alert_versions,
    alerts,
    scans,
    store_state,
    zones,
)
from detector.alerts import AlertStatus
from tiles.errors import FilterError, NotFoundError

MOST_AT_ONCE: Final = 10_000
"""Features of a page."""
_EXPORT_PAGE: Final = 500

_STATE: Final = sa.select(store_state.c.revision, store_state.c.changed_at, store_state.c.accounts)
_NULLABLE: Final = (SortField.CLEARCUT_PROBABILITY, SortField.ABUSE_SCORE)


@dataclass(frozen=True)
class Page:
    """Some features, in their order.

    Parameters
    ----------
    features
        At most as many as were asked for.
    cursor
        Where the next page begins; None after the last.
    """

    features: Sequence[AlertFeature]
    cursor: str | None


@dataclass(frozen=True)
class StoreState:
    """How far a store is: one more `revision` with each transaction that has written; accounts there ever were."""

    revision: int
    changed_at: dt.datetime
    accounts: int = 0


def state_of(database: Database) -> StoreState:
    """How far the store is."""
    with database.reading() as connection:
        row = connection.execute(_STATE).one()
        return StoreState(row.revision, row.changed_at, row.accounts)


def alerts_page(
    database: Database, asked: AlertFilter, limit: int, cursor: str | None = None, scope: Scope = EVERYTHING
) -> Page:
    """A page of alerts.

    Parameters
    ----------
    database
        The store.
    asked
        Which, and in which order.
    limit
        Features at most, 1 to `MOST_AT_ONCE`.
    cursor
        Of the page before.
    scope
        Alerts that may be known of.

    Raises
    ------
    tiles.errors.FilterError
        When the cursor is of another order, or none.
    """
    order = _Order.of(asked.sortby)
    last = {} if cursor is None else order.parsed(cursor)
    with database.reading() as connection:
        conditions = conditions_of(connection, asked, scope)
        if conditions.besides is None:
            query = _known_query(conditions.shape, asked.sortby, cursor is not None)
        else:
            query = _alerts_query(conditions, asked.sortby, cursor is not None)
        rows = connection.execute(query, {**conditions.values, **last, "most": limit + 1}).all()
    return _page(rows, limit, order, _feature)


def _page(rows: Sequence[Any], limit: int, order: _Order, feature_of: Callable[[Any], AlertFeature]) -> Page:
    """A page of rows, of which one more was asked for than it holds: that tells whether another follows."""
    features = [feature_of(row) for row in rows[:limit]]
    return Page(features, order.cursor(rows[limit - 1]) if len(rows) > limit else None)


def _feature(row: Any) -> AlertFeature:
    return AlertFeature(row.id, row.feature, row.geometry)


@lru_cache(maxsize=512)
def _known_query(shape: tuple[str, ...], sortby: str | None, goes_on: bool) -> sa.Select[Any]:
    return _alerts_query(Conditions(shape, {}), sortby, goes_on)


def _alerts_query(conditions: Conditions, sortby: str | None, goes_on: bool) -> sa.Select[Any]:
    """The statement of a page: rows are chosen and ordered first, and only then are their documents read."""
    order = _Order.of(sortby)
    chosen = sa.select(alerts.c.seq, order.value).where(*(condition(name) for name in conditions.shape))
    if conditions.besides is not None:
        chosen = chosen.where(conditions.besides)
    if goes_on:
        chosen = chosen.where(order.after())
    page = chosen.order_by(*order.columns()).limit(sa.bindparam("most", type_=sa.Integer())).subquery("page")
    return (
        sa.select(alerts.c.seq, alerts.c.id, alerts.c.geometry, alert_documents.c.feature, page.c.sort_value)
        .join(page, page.c.seq == alerts.c.seq)
        .join(alert_documents, alert_documents.c.alert_seq == alerts.c.seq)
        .order_by(*order.columns())
    )


def all_alerts(database: Database, asked: AlertFilter, scope: Scope = EVERYTHING) -> Iterator[AlertFeature]:
    """All alerts of a filter, page by page: memory stays flat, and no transaction is held while they are written."""
    cursor: str | None = None
    while True:
        page = alerts_page(database, asked, _EXPORT_PAGE, cursor, scope)
        yield from page.features
        cursor = page.cursor
        if cursor is None:
            return


def newest_changes(database: Database, departement: str, limit: int, scope: Scope = EVERYTHING) -> list[AlertFeature]:
    """Alerts of a département that stand, the newest change first."""
    query = sa.select(alerts.c.id, alerts.c.geometry, alert_documents.c.feature)
    query = query.join(alert_documents).where(
        alerts.c.departement == departement,
        alerts.c.status != AlertStatus.CLOSED.value,
        *map(scope_condition, scope.shape),
    )
    query = query.order_by(alerts.c.changed_at.desc(), alerts.c.seq.desc()).limit(limit)
    with database.reading() as connection:
        rows = connection.execute(query, dict(scope.values)).all()
    return [_feature(row) for row in rows]


def alert(database: Database, alert_id: str, scope: Scope = EVERYTHING) -> AlertFeature:
    """One alert, also a closed one.

    Raises
    ------
    tiles.errors.NotFoundError
        When there is none of that name in the scope.
    """
    query = sa.select(alerts.c.id, alerts.c.geometry, alert_documents.c.feature).join(alert_documents)
    query = query.where(alerts.c.id == sa.bindparam("of_id"), *map(scope_condition, scope.shape))
    with database.reading() as connection:
        row = connection.execute(query, {"of_id": alert_id, **scope.values}).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no alert {alert_id[:64]}.")
    return _feature(row)


def outlines_page(
    database: Database,
    limit: int,
    cursor: str | None = None,
    *,
    bbox: str | None = None,
    scope: Scope = EVERYTHING,
    **equal: str | None,
) -> Page:
    """A page of the outlines that alerts had, a feature for each month in which one changed.

    Parameters
    ----------
    database, limit, cursor
        As of `alerts_page`.
    bbox
        That they meet.
    scope
        Alerts that may be known of.
    **equal
        ``alert`` (identity) and ``month``.
    """
    order = _Order(alert_versions.c.seq, None, False)
    version = alert_versions.c
    with database.reading() as connection:
        columns = (
            version.seq,
            alerts.c.id,
            version.month,
            version.state,
            version.status,
            version.area_ha,
            version.geometry,
        )
        query = sa.select(*columns, scans.c.kind, version.scan_seq, order.value)
        query = query.join(alerts, alerts.c.seq == version.alert_seq).join(scans, scans.c.seq == version.scan_seq)
        for name, column in (("alert", alerts.c.id), ("month", version.month)):
            if equal.get(name) is not None:
                query = query.where(column == equal[name])
        query = query.where(*map(scope_condition, scope.shape))
        rows = _rows_of_page(connection, query, alert_versions, bbox, order, limit, cursor, scope.values)
    return _page(rows, limit, order, _outline_feature)


def outline(database: Database, outline_id: str, scope: Scope = EVERYTHING) -> AlertFeature:
    """One outline.

    Raises
    ------
    tiles.errors.NotFoundError
        When there is none of that name.
    """
    alert_id, _, number = outline_id.rpartition(".")
    if alert_id and number.isascii() and number.isdigit() and len(number) < 18:
        # A version's number is its place in the order of pages: the page that begins before it begins with it.
        token = _Order(alert_versions.c.seq, None, False).token(None, int(number) - 1)
        page = outlines_page(database, 1, token, scope=scope)
        if page.features and page.features[0].id == outline_id:
            return page.features[0]
    raise NotFoundError(f"There is no outline {outline_id[:96]}.")


def zones_page(
    database: Database, limit: int, cursor: str | None = None, *, bbox: str | None = None, layer: str | None = None
) -> Page:
    """A page of the zones that alerts were laid on; parameters as of `outlines_page`."""
    order = _Order(zones.c.seq, None, False)
    with database.reading() as connection:
        query = sa.select(zones.c.seq, zones.c.id, zones.c.geometry, zones.c.feature, order.value)
        if layer is not None:
            query = query.where(zones.c.layer == layer)
        rows = _rows_of_page(connection, query, zones, bbox, order, limit, cursor)
    return _page(rows, limit, order, _feature)


def _rows_of_page(
    connection: sa.Connection,
    query: sa.Select[Any],
    table: sa.Table,
    bbox: str | None,
    order: _Order,
    limit: int,
    cursor: str | None,
    given: Mapping[str, Any] = MappingProxyType({}),
) -> Sequence[Any]:
    """Rows of a table's page that meet a box and follow a cursor, and one more; `given` are the query's own values."""
    values: dict[str, Any] = {**given}
    if bbox is not None:
        box = box_condition(connection, table, parse_bbox(bbox))
        query = query.where(*(condition(name) for name in box.shape))
        values |= box.values
    if cursor is not None:
        query = query.where(order.after())
        values |= order.parsed(cursor)
    return connection.execute(query.order_by(*order.columns()).limit(limit + 1), values).all()


def zone(database: Database, zone_id: str, _: Scope = EVERYTHING) -> AlertFeature:
    """One zone, which everybody may know of.

    Raises
    ------
    tiles.errors.NotFoundError
        When there is none of that name.
    """
    query = sa.select(zones.c.id, zones.c.geometry, zones.c.feature).where(zones.c.id == zone_id)
    with database.reading() as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no zone {zone_id[:96]}.")
    return _feature(row)


def extent_of(database: Database, table: sa.Table) -> Bbox | None:
    """Box of all outlines of a table; None where there is none."""
    least = [sa.func.min(table.c[name]) for name in ("min_lon", "min_lat")]
    most = [sa.func.max(table.c[name]) for name in ("max_lon", "max_lat")]
    with database.reading() as connection:
        west, south, east, north = tuple(connection.execute(sa.select(*least, *most)).one())
    return None if west is None else (west, south, east, north)


def versions_of(database: Database) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Versions of the models and of the rules that stand on alerts of the store."""
    with database.reading() as connection:
        found = []
        for column in (alerts.c.model_version, alerts.c.rules_version):
            query = sa.select(column).where(column.is_not(None)).distinct().order_by(column)
            found.append(tuple(connection.execute(query).scalars()))
    return found[0], found[1]


def _outline_feature(row: Any) -> AlertFeature:
    name = f"{row.id}.{row.seq}"
    feature = {
        "type": "Feature",
        "id": name,
        "geometry": json.loads(shapely.to_geojson(shapely.from_wkb(row.geometry))),
        "properties": {
            "alert": row.id,
            "month": row.month,
            "state": row.state,
            "status": row.status,
            "area_ha": row.area_ha,
            "found_by": row.kind,
        },
    }
    return AlertFeature(name, json.dumps(feature, ensure_ascii=False), row.geometry)


@dataclass(frozen=True)
class _Order:
    """An order of rows, and the tokens that say where a page ended.

    `seq` breaks ties, in the same direction, so that one index serves both.
    """

    seq: sa.ColumnElement[int]
    field: SortField | None
    descending: bool

    @classmethod
    def of(cls, sortby: str | None) -> _Order:
        if sortby is None:
            return cls(alerts.c.seq, None, False)
        return cls(alerts.c.seq, SortField(sortby.lstrip("+-")), sortby.startswith("-"))

    @property
    def value(self) -> sa.ColumnElement[Any]:
        """What is sorted by, as a column named sort_value."""
        return (sa.literal(0) if self.field is None else self._expression()).label("sort_value")

    def _expression(self) -> sa.ColumnElement[Any]:
        assert self.field is not None
        column = alerts.c[self.field.value]
        return sa.func.coalesce(column, sa.literal_column(str(UNKNOWN_SORTS_AS))) if self.field in _NULLABLE else column

    def columns(self) -> list[sa.ColumnElement[Any]]:
        """Of ORDER BY."""
        columns: list[sa.ColumnElement[Any]] = [self.seq] if self.field is None else [self._expression(), self.seq]
        return [column.desc() for column in columns] if self.descending else columns

    def cursor(self, row: Any) -> str:
        """Where a page that ends with a row ends."""
        value = row.sort_value.isoformat() if isinstance(row.sort_value, dt.date) else row.sort_value
        return self.token(None if self.field is None else value, row.seq)

    def token(self, value: float | str | None, seq: int) -> str:
        """The text that a client hands back."""
        parts = [self._name(), value, seq]
        return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")

    def _name(self) -> str:
        return ("-" if self.descending else "") + (self.field.value if self.field else "")

    def after(self) -> sa.ColumnElement[bool]:
        """Rows behind those of the parameters of `parsed`."""
        seq = sa.bindparam("last_seq", type_=sa.BigInteger())
        if self.field is None:
            return self.seq < seq if self.descending else self.seq > seq
        # The values' own types: PostgreSQL compares a date with a date.
        value = sa.bindparam("last_value", type_=alerts.c[self.field.value].type)
        row, last = sa.tuple_(self._expression(), self.seq), sa.tuple_(value, seq)
        return row < last if self.descending else row > last

    def parsed(self, cursor: str) -> dict[str, Any]:
        """A cursor as parameters of `after`."""
        value, seq = self._parse(cursor)
        return {"last_seq": seq} if self.field is None else {"last_seq": seq, "last_value": value}

    def _parse(self, cursor: str) -> tuple[Any, int]:
        try:
            padded = cursor + "=" * (-len(cursor) % 4)
            name, value, seq = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
            if name != self._name() or type(seq) is not int or not -1 <= seq < 2**63:
                raise ValueError("of another order")
            if self.field in (SortField.FIRST_LOW, SortField.UPDATED):
                value = dt.date.fromisoformat(value)
            elif self.field is not None:
                value = float(value)
        except (ValueError, TypeError, binascii.Error):
            raise FilterError(
                "cursor will not do: follow the next link of a page as it is, with the same order."
            ) from None
        return value, seq
