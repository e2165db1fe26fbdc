"""OGC API - Features, Part 1 (core, GeoJSON, OpenAPI 3.0) and Part 2 (coordinate systems), over the store."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.access import allowed
from api.crs import STORED, Crs, bbox_in_degrees, feature_in, filter_in_degrees
from api.exporting import export_answer
from api.exports import ExportFormat
from api.features import UNCORRECTED_EN, UNCORRECTED_FR, AlertFeature
from api.identity.roles import Right
from api.problems import responses
from api.schemas import (
    Collection,
    Collections,
    Conformance,
    Extent,
    Feature,
    FeatureCollection,
    Landing,
    Link,
    PageOrFile,
    SpatialExtent,
)
from api.service import Service, answer, scope_of, service_of
from api.store import cql2, reading
from api.store.cql2 import Language
from api.store.database import Database
from api.store.filters import AlertFilter
from api.store.reading import MOST_AT_ONCE, Page, StoreState
from api.store.tables import alert_versions, alerts, zones
from tiles.errors import FilterError, NotFoundError

ROOT: Final = "/api/v1"
GEOJSON: Final = "application/geo+json"
SCHEMA: Final = "application/schema+json"
ATTRIBUTION: Final = "Sylvigie ; contient des données Copernicus Sentinel modifiées"
DEFAULT_LIMIT: Final = 10
CONFORMS_TO: Final = [
    f"http://www.opengis.net/spec/ogcapi-{part}"
    for part in (
        "common-1/1.0/conf/core",
        "features-1/1.0/conf/core",
        "features-1/1.0/conf/oas30",
        "features-1/1.0/conf/geojson",
        "features-2/1.0/conf/crs",
        "features-3/1.0/conf/queryables",
        "features-3/1.0/conf/queryables-query-parameters",
        "features-3/1.0/conf/filter",
        "features-3/1.0/conf/features-filter",
    )
] + [
    f"http://www.opengis.net/spec/cql2/1.0/conf/{name}"
    for name in (
        "cql2-text",
        "cql2-json",
        "basic-cql2",
        "advanced-comparison-operators",
        "case-insensitive-comparison",
        "basic-spatial-functions",
        "basic-spatial-functions-plus",
        "property-property",
    )
]

router = APIRouter(prefix=ROOT, tags=["Features"], dependencies=[Depends(allowed(Right.READ))])

_Limit = Annotated[
    int,
    Field(
        ge=1,
        description=f"Features of a page; more than {MOST_AT_ONCE} are {MOST_AT_ONCE}.",
        json_schema_extra={"maximum": MOST_AT_ONCE},
    ),
]
_Cursor = Annotated[str | None, Field(max_length=400, description="Of a next link; not to be made by hand.")]
_CrsField = Annotated[Crs, Field(description="Coordinate system of the answer.")]
_BboxCrs = Annotated[Crs, Field(alias="bbox-crs", description="Coordinate system of bbox.")]
_Form = Annotated[Literal["json"], Field(description="Form of the answer.")]


_TEXT: Final = {"type": "string"}
_QUERYABLES: Final[Mapping[str, Mapping[str, Mapping[str, Any]]]] = {
    "alerts": {name: what.schema() for name, what in cql2.QUERYABLES.items()},
    "outlines": {"alert": _TEXT, "month": _TEXT},
    "zones": {"layer": _TEXT},
}


class GeoJsonResponse(Response):
    """GeoJSON (RFC 7946)."""

    media_type = GEOJSON


class AlertsQuery(AlertFilter):
    """A page of alerts."""

    # In the coordinate system that bbox-crs names: it is read together with that.
    bbox: str | None = Field(
        default=None, max_length=200, description="Box that the outline meets.", examples=["-1,43,0,44"]
    )

    limit: _Limit = DEFAULT_LIMIT
    cursor: _Cursor = None
    crs: _CrsField = STORED
    bbox_crs: _BboxCrs = STORED
    filter_crs: Annotated[Crs, Field(alias="filter-crs", description="Coordinate system of the shapes in filter.")] = (
        STORED
    )
    f: Literal["json"] | ExportFormat = Field(
        default="json",
        description="`json` is a page of GeoJSON. Any other form is a file of all alerts that the filter asks for "
        "(`limit` and `cursor` do not matter), streamed.",
    )

    @model_validator(mode="before")
    @classmethod
    def _shapes_in_degrees(cls, given: dict[str, Any]) -> dict[str, Any]:
        crs, text = given.get("filter-crs", STORED), given.get("filter")
        if not isinstance(text, str) or crs == STORED or crs not in set(Crs):
            return given
        language = given.get("filter-lang", Language.TEXT)
        if language not in set(Language):
            return given
        moved = filter_in_degrees(cql2.parsed(text, Language(language)), Crs(crs))
        return dict(given) | {"filter": json.dumps(moved), "filter-lang": Language.JSON}


class _OtherQuery(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    bbox: str | None = Field(default=None, max_length=200, description="Box that the outline meets.")
    limit: _Limit = DEFAULT_LIMIT
    cursor: _Cursor = None
    crs: _CrsField = STORED
    bbox_crs: _BboxCrs = STORED
    f: _Form = "json"


class OutlinesQuery(_OtherQuery):
    """A page of outlines."""

    alert: str | None = Field(default=None, max_length=64, description="Identity of the alert.")
    month: str | None = Field(
        default=None, pattern=r"^[0-9]{4}-[0-9]{2}$", description="Month of the scan that told it."
    )


class ZonesQuery(_OtherQuery):
    """A page of zones."""

    layer: str | None = Field(default=None, pattern=r"^[a-z0-9_]{1,32}$", description="Layer of the zone.")


class OneQuery(BaseModel):
    """One feature."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    crs: _CrsField = STORED
    f: _Form = "json"


@dataclass(frozen=True)
class _Described:
    """What the service says of a collection."""

    title: str
    description: str
    table: sa.Table
    one: Callable[..., AlertFeature]


COLLECTIONS: Final[Mapping[str, _Described]] = {
    "alerts": _Described(
        "Alertes de coupes rases",
        "Pertes de couvert forestier vues par Sentinel-2, leurs critères et leur revue. "
        f"{UNCORRECTED_FR}. / Losses of forest seen by Sentinel-2. {UNCORRECTED_EN}.",
        alerts,
        reading.alert,
    ),
    "outlines": _Described(
        "Contours par mois",
        "Contours successifs de chaque alerte, un par mois où il a changé. / Outlines of each alert, month by month.",
        alert_versions,
        reading.outline,
    ),
    "zones": _Described(
        "Zonages",
        "Zones sur lesquelles les alertes ont été croisées. / Zones that alerts were laid on.",
        zones,
        reading.zone,
    ),
}
_CollectionId = Annotated[str, Path(pattern=r"^(alerts|outlines|zones)$", description="alerts, outlines or zones")]
_FeatureId = Annotated[str, Path(max_length=128, description="Identity of the feature.")]


@router.get("", responses=responses(), summary="Landing page")
async def landing(request: Request) -> Landing:
    """What the service is, and where everything else is."""
    service = service_of(request)
    root = service.base_url(request) + ROOT
    links = [
        _link(root, "self", "application/json", "Cette page"),
        _link(f"{root}/openapi.json", "service-desc", "application/vnd.oai.openapi+json;version=3.0", "OpenAPI"),
        _link(f"{root}/conformance", "conformance", "application/json", "Conformité"),
        _link(f"{root}/collections", "data", "application/json", "Collections"),
    ]
    return Landing(
        title="Sylvigie",
        description="Veille satellitaire des coupes rases. / A satellite watch on clear-cuts.",
        attribution=ATTRIBUTION,
        license=service.settings.data_licence,
        links=links,
    )


@router.get("/conformance", responses=responses(), summary="Conformance")
async def conformance() -> Conformance:
    """The standards' classes that the service conforms to."""
    return Conformance(conformsTo=CONFORMS_TO)


@router.get("/collections", responses=responses(), summary="Collections")
def collections(request: Request) -> Collections:
    """What there is."""
    service = service_of(request)
    root = service.base_url(request) + ROOT
    described = [_collection(service, root, name) for name in COLLECTIONS]
    return Collections(
        links=[_link(f"{root}/collections", "self", "application/json", "Collections")], collections=described
    )


@router.get("/collections/{collection}", responses=responses(404), summary="A collection")
def collection(request: Request, collection: _CollectionId) -> Collection:
    """What a collection is."""
    service = service_of(request)
    return _collection(service, service.base_url(request) + ROOT, collection)


@router.get(
    "/collections/{collection}/queryables",
    responses=responses(404)
    | {200: {"description": "JSON Schema.", "content": {SCHEMA: {"schema": {"type": "object"}}}}},
    response_class=Response,
    summary="What a filter may ask for",
)
def queryables(request: Request, collection: _CollectionId) -> Response:
    """Properties of a collection that its parameters and, of alerts, `filter` may ask for."""
    service = service_of(request)
    described = _collection(service, service.base_url(request) + ROOT, collection)
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{service.base_url(request)}{ROOT}/collections/{collection}/queryables",
        "type": "object",
        "title": described.title,
        "properties": _QUERYABLES[collection],
        "additionalProperties": False,
    }
    return Response(json.dumps(document, ensure_ascii=False), media_type=SCHEMA)


_PAGE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "A page of features.", "model": FeatureCollection}
}
_PAGE_OR_FILE: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "A page of features, or a file of all.",
        "model": PageOrFile,
        "content": {
            form.media_type.partition(";")[0]: {"schema": {"type": "string", "format": "binary"}}
            for form in ExportFormat
            if form is not ExportFormat.GEOJSON
        },
    }
}
_ONE: Final[dict[int | str, dict[str, Any]]] = {200: {"description": "The feature.", "model": Feature}}


@router.get(
    "/collections/alerts/items",
    responses=responses(304) | _PAGE_OR_FILE,
    response_class=GeoJsonResponse,
    summary="Alerts, filtered and in an order",
)
def alert_items(request: Request, query: Annotated[AlertsQuery, Query()]) -> Response:
    """A page of alerts, whose `next` link leads on at the same cost from first to last; or a file of all of them."""
    if query.f != "json":
        return export_answer(request, _asked(query), ExportFormat(query.f))

    def page(database: Database) -> Page:
        return reading.alerts_page(database, _asked(query), _limit(query), query.cursor, scope_of(request))

    return _items(request, query, page)


@router.get(
    "/collections/outlines/items",
    responses=responses(304) | _PAGE,
    response_class=GeoJsonResponse,
    summary="Outlines by month",
)
def outline_items(request: Request, query: Annotated[OutlinesQuery, Query()]) -> Response:
    """A page of the outlines that alerts had."""

    def page(database: Database) -> Page:
        return reading.outlines_page(
            database,
            _limit(query),
            query.cursor,
            bbox=_box(query),
            scope=scope_of(request),
            alert=query.alert,
            month=query.month,
        )

    return _items(request, query, page)


@router.get(
    "/collections/zones/items", responses=responses(304) | _PAGE, response_class=GeoJsonResponse, summary="Zones"
)
def zone_items(request: Request, query: Annotated[ZonesQuery, Query()]) -> Response:
    """A page of the zones that alerts were laid on."""

    def page(database: Database) -> Page:
        return reading.zones_page(database, _limit(query), query.cursor, bbox=_box(query), layer=query.layer)

    return _items(request, query, page)


@router.get(
    "/collections/{collection}/items/{feature_id}",
    responses=responses(304, 404) | _ONE,
    response_class=GeoJsonResponse,
    summary="One feature",
)
def item(
    request: Request, collection: _CollectionId, feature_id: _FeatureId, query: Annotated[OneQuery, Query()]
) -> Response:
    """One feature of a collection; closed alerts are found too."""

    def make(service: Service, _: StoreState) -> Response:
        feature = COLLECTIONS[collection].one(service.database, feature_id, scope_of(request))
        root = f"{service.base_url(request)}{ROOT}/collections/{collection}"
        document = json.loads(feature_in(feature, query.crs))
        document["links"] = _plain(
            [
                _link(f"{root}/items/{feature_id}", "self", GEOJSON, "Cet objet"),
                _link(root, "collection", "application/json", "Sa collection"),
            ]
        )
        return _features_answer(json.dumps(document, ensure_ascii=False), query.crs)

    return answer(request, make)


def _items(request: Request, query: AlertsQuery | _OtherQuery, page_of: Callable[[Database], Page]) -> Response:
    def make(service: Service, _: StoreState) -> Response:
        try:
            page = page_of(service.database)
        except ValueError as error:
            raise FilterError(f"bbox will not do: {error}.") from error
        return _features_answer(_page_text(request, service, query, page), query.crs)

    return answer(request, make)


def _features_answer(text: str, crs: Crs) -> Response:
    return Response(text, media_type=GEOJSON, headers={"Content-Crs": f"<{crs}>"})


def _page_text(request: Request, service: Service, query: AlertsQuery | _OtherQuery, page: Page) -> str:
    features = [feature_in(feature, query.crs) for feature in page.features]
    head: dict[str, Any] = {
        "type": "FeatureCollection",
        "timeStamp": dt.datetime.now(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "numberReturned": len(features),
    }
    if page.cursor is None and query.cursor is None:
        head["numberMatched"] = len(features)
    head["links"] = _plain(_page_links(request, service, page))
    # Features are text already: reading them to write them again would be most of the work.
    return json.dumps(head, ensure_ascii=False)[:-1] + ', "features": [\n' + ",\n".join(features) + "\n]}"


def _page_links(request: Request, service: Service, page: Page) -> list[Link]:
    address = service.base_url(request) + request.url.path
    here = f"{address}?{request.url.query}" if request.url.query else address
    links = [
        _link(here, "self", GEOJSON, "Cette page"),
        _link(address.removesuffix("/items"), "collection", None, None),
    ]
    if page.cursor is not None:
        asked = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
        links.append(
            _link(f"{address}?{urlencode([*asked, ('cursor', page.cursor)])}", "next", GEOJSON, "Page suivante")
        )
    return links


def _limit(query: AlertsQuery | _OtherQuery) -> int:
    return min(query.limit, MOST_AT_ONCE)


def _box(query: _OtherQuery) -> str | None:
    return None if query.bbox is None else bbox_in_degrees(query.bbox, query.bbox_crs)


def _asked(query: AlertsQuery) -> AlertFilter:
    """The filter alone, its box in degrees."""
    asked = {name: getattr(query, name) for name in AlertFilter.model_fields}
    if query.bbox is not None:
        asked["bbox"] = bbox_in_degrees(query.bbox, query.bbox_crs)
    return AlertFilter.model_construct(**asked)


def _collection(service: Service, root: str, name: str) -> Collection:
    if name not in COLLECTIONS:
        raise NotFoundError(f"There is no collection {name[:64]}: there are {', '.join(COLLECTIONS)}.")
    what, address = COLLECTIONS[name], f"{root}/collections/{name}"
    extent = reading.extent_of(service.database, what.table)
    spatial = None if extent is None else Extent(spatial=SpatialExtent(bbox=[list(extent)], crs=Crs.CRS84))
    return Collection(
        id=name,
        title=what.title,
        description=what.description,
        crs=[crs.value for crs in Crs],
        storageCrs=STORED,
        extent=spatial,
        links=[
            _link(address, "self", "application/json", what.title),
            _link(f"{address}/items", "items", GEOJSON, what.title),
            _link(f"{address}/queryables", "http://www.opengis.net/def/rel/ogc/1.0/queryables", SCHEMA, "Filtres"),
        ],
    )


def _link(href: str, rel: str, media_type: str | None, title: str | None) -> Link:
    return Link(href=href, rel=rel, type=media_type, title=title)


def _plain(links: list[Link]) -> list[dict[str, str]]:
    return [link.model_dump(exclude_none=True) for link in links]
