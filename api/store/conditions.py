"""Filters as conditions of SQL: which there are, made once, and the values of each request beside them.

Building a statement takes longer than running it. The shape of a filter (which conditions, not their values) decides
the statement; statements are kept by shape, and values are handed in as parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa

from api.store import cql2
from api.store.filters import AlertFilter
from api.store.literals import Bbox, parse_bbox, parse_interval, parse_moment
from api.store.scope import Scope, scope_condition
from api.store.tables import alert_criteria, alert_versions, alerts, zones
from detector.alerts import AlertStatus

_FEW: Final = 4000
"""Matches of a box up to which the tree is asked for all of them; beyond, rows are gone through in their order."""
_TABLES: Final = {table.name: table for table in (alerts, alert_versions, zones)}
_SIDES: Final = ("west", "south", "east", "north")


@dataclass(frozen=True)
class Conditions:
    """What rows fulfil.

    Parameters
    ----------
    shape
        Names of conditions, for `condition`.
    values
        Of their parameters.
    besides
        A condition that is made for the request, of a filter in CQL2.
    """

    shape: tuple[str, ...]
    values: Mapping[str, Any]
    besides: sa.ColumnElement[bool] | None = None


def conditions_of(connection: sa.Connection, asked: AlertFilter, scope: Scope) -> Conditions:
    """The conditions of a filter of alerts, among those of a scope."""
    shape: list[str] = [*scope.shape]
    values: dict[str, Any] = {**scope.values}
    if asked.status is None:
        shape.append("standing")
    for name in ("state", "status", "review", "cause", "criterion", "min_area_ha", "max_area_ha", "min_probability"):
        value = getattr(asked, name)
        if value is not None:
            shape.append(name)
            values[name] = getattr(value, "value", value)
    if connection.dialect.name == "sqlite" and asked.sortby is None:
        # Its planner would take the index of hectares, and sort what it finds: to go through the rows in their order
        # fills a page sooner.
        shape = [f"{name} in order" if name.endswith("area_ha") else name for name in shape]
    for name in ("departement", "tile", "commune"):
        value = getattr(asked, name)
        if value is not None:
            several = value.split(",")
            one = len(several) == 1 and name != "commune"
            shape.append(name if one else f"{name} among")
            values[name] = value if one else several
    if asked.potentially_abusive is not None:
        shape.append(f"potentially_abusive {asked.potentially_abusive}")
    if asked.updated_since is not None:
        shape.append("updated_since")
        values["updated_since"] = parse_moment(asked.updated_since)
    if asked.datetime is not None:
        for name, day in zip(("since", "until"), parse_interval(asked.datetime), strict=True):
            if day is not None:
                shape.append(name)
                values[name] = day
    if asked.bbox is not None:
        box = box_condition(connection, alerts, parse_bbox(asked.bbox))
        shape += box.shape
        values |= box.values
    if asked.filter is None:
        return Conditions(tuple(shape), values)
    besides = cql2.condition_of(asked.filter, asked.filter_lang, connection.dialect.name)
    return Conditions(tuple(shape), values, besides)


def box_condition(connection: sa.Connection, table: sa.Table, bbox: Bbox) -> Conditions:
    """Rows whose outline meets a box; over the antimeridian it is two."""
    west, south, east, north = bbox
    parts = [bbox] if west <= east else [(west, south, 180.0, north), (-180.0, south, east, north)]
    ways: list[str] = []
    values: dict[str, float] = {}
    for number, part in enumerate(parts):
        ways.append(_way(connection, table, part))
        values |= {f"{side}{number}": value for side, value in zip(_SIDES, part, strict=True)}
    return Conditions((f"box {table.name} {' '.join(ways)}",), values)


def _way(connection: sa.Connection, table: sa.Table, part: Bbox) -> str:
    """How a box's rows are best found: by PostGIS, by the tree, or by going through them where there are many."""
    engine = "tree" if connection.dialect.name == "sqlite" else "gist"
    values = dict(zip((f"{side}0" for side in _SIDES), part, strict=True))
    matches = connection.execute(_counted(table.name, engine), values).scalar_one()
    if matches < _FEW:
        return engine
    return "through" if engine == "tree" else "through-gist"


@lru_cache(maxsize=8)
def _counted(table: str, engine: str) -> sa.TextClause:
    if engine == "gist":
        return sa.text(
            f"SELECT count(*) FROM (SELECT seq FROM {table} WHERE bounds && "
            f"box(point(:west0, :south0), point(:east0, :north0)) LIMIT {_FEW}) AS near"
        )
    return sa.text(
        f"SELECT count(*) FROM (SELECT 1 FROM {table}_tree WHERE min_lon <= :east0 AND max_lon >= :west0 "
        f"AND min_lat <= :north0 AND max_lat >= :south0 LIMIT {_FEW})"
    )


@lru_cache(maxsize=256)
def condition(name: str) -> sa.ColumnElement[bool]:
    """The condition of a name, with parameters for its values."""
    column = alerts.c
    if name.startswith("box "):
        _, table, *ways = name.split()
        return sa.or_(*(_in_box(_TABLES[table], way, number) for number, way in enumerate(ways)))
    if name.startswith("potentially_abusive "):
        return column.potentially_abusive.is_(name.endswith("True"))
    if name.startswith("published"):
        return scope_condition(name)
    if name.endswith(" in order"):
        bound = name.removesuffix(" in order")
        hectares: sa.ColumnElement[float] = sa.literal_column("+alerts.area_ha", sa.Double())
        value: sa.BindParameter[float] = sa.bindparam(bound, type_=sa.Double())
        return hectares >= value if bound.startswith("min") else hectares <= value
    if name.endswith(" among"):
        field = name.removesuffix(" among")
        values: sa.BindParameter[Any] = sa.bindparam(field, expanding=True)
        if field == "commune":
            return sa.or_(column.commune_insee.in_(values), column.commune.in_(values))
        return column[field].in_(values)
    conditions: dict[str, sa.ColumnElement[bool]] = {
        "standing": column.status != sa.literal_column(f"'{AlertStatus.CLOSED.value}'"),
        "min_area_ha": column.area_ha >= sa.bindparam("min_area_ha"),
        "max_area_ha": column.area_ha <= sa.bindparam("max_area_ha"),
        "min_probability": column.clearcut_probability >= sa.bindparam("min_probability"),
        "updated_since": column.changed_at >= sa.bindparam("updated_since", type_=column.changed_at.type),
        "since": column.first_low >= sa.bindparam("since", type_=sa.Date()),
        "until": sa.func.coalesce(column.last_intact, column.first_low) <= sa.bindparam("until", type_=sa.Date()),
        "criterion": column.seq.in_(
            sa.select(alert_criteria.c.alert_seq).where(alert_criteria.c.code == sa.bindparam("criterion"))
        ),
    }
    return conditions[name] if name in conditions else column[name] == sa.bindparam(name)


def _in_box(table: sa.Table, way: str, number: int) -> sa.ColumnElement[bool]:
    sides: list[sa.BindParameter[float]] = [sa.bindparam(f"{side}{number}", type_=sa.Double()) for side in _SIDES]
    west, south, east, north = sides
    column = table.c
    inside = sa.and_(column.min_lon >= west, column.max_lon <= east, column.min_lat >= south, column.max_lat <= north)
    touching = sa.and_(column.min_lon <= east, column.max_lon >= west, column.min_lat <= north, column.max_lat >= south)
    # The outlines themselves are looked at where the box's edge runs through their bounds alone.
    exact = sa.and_(touching, sa.or_(inside, _meets(table, way, sides)))
    if way.startswith("through"):
        return exact
    if way == "gist":
        # As an array it is found first, and once: the planner would rather hope that a page is soon full.
        other = table.alias("near")
        corners = sa.func.box(sa.func.point(west, south), sa.func.point(east, north))
        near = sa.select(other.c.seq).where(sa.literal_column("near.bounds").op("&&")(corners))
        return sa.and_(column.seq == sa.any_(sa.func.array(near.scalar_subquery())), exact)
    names = ("seq", "min_lon", "max_lon", "min_lat", "max_lat")
    tree = sa.table(f"{table.name}_tree", *(sa.column(name) for name in names)).c
    near = sa.select(tree.seq).where(
        tree.min_lon <= east, tree.max_lon >= west, tree.min_lat <= north, tree.max_lat >= south
    )
    return sa.and_(column.seq.in_(near), exact)


def _meets(table: sa.Table, way: str, sides: Sequence[sa.BindParameter[float]]) -> sa.ColumnElement[bool]:
    """Whether an outline itself meets the box."""
    if way.endswith("gist"):
        box = sa.func.ST_MakeEnvelope(*sides, 4326)
        return sa.func.ST_Intersects(sa.literal_column(f"{table.name}.geom"), box).is_(True)
    return sa.func.outline_meets(table.c.geometry, *sides) == 1
