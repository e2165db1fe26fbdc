"""Tiles for maps."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from api import vector_tiles
from api.access import allowed
from api.identity.roles import Right
from api.problems import responses
from api.routes.features import ROOT
from api.service import Service, answer, scope_of
from api.store.filters import AlertFilter
from api.store.reading import StoreState
from api.vector_tiles import TileAddress

router = APIRouter(prefix=f"{ROOT}/tiles", tags=["Maps"], dependencies=[Depends(allowed(Right.READ))])

Zoom = Annotated[int, Path(ge=0, le=vector_tiles.MOST_ZOOM)]
Place = Annotated[int, Path(ge=0, le=(1 << vector_tiles.MOST_ZOOM) - 1)]


@router.get(
    "/alerts/{z}/{x}/{y}.mvt",
    responses=responses(304, 404)
    | {200: {"description": "A vector tile.", "content": {vector_tiles.MEDIA_TYPE: {"schema": {"type": "string"}}}}},
    response_class=Response,
    summary="Alerts as vector tiles",
)
def alerts_tile(request: Request, z: Zoom, x: Place, y: Place, asked: Annotated[AlertFilter, Query()]) -> Response:
    """Up to zoom 11 counts on a grid (layer `cells`), beyond outlines (layer `alerts`); filtered as the items are.

    The tile itself is the box, and there is no order: `bbox` and `sortby` do not matter.
    """
    address = TileAddress(z, x, y)

    def make(service: Service, _: StoreState) -> Response:
        tile = vector_tiles.alerts_tile(service.database, address, scope_of(request), asked)
        return Response(tile, media_type=vector_tiles.MEDIA_TYPE)

    return answer(request, make)
