"""Atom feeds, for those who want to be told."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Request, Response

from api.access import allowed
from api.exporting import info_of
from api.exports.atom import MEDIA_TYPE, atom_feed
from api.identity.roles import Right
from api.problems import responses
from api.routes.features import ROOT
from api.service import Service, answer, scope_of
from api.store.filters import AlertFilter
from api.store.literals import DEPARTEMENT_PATTERN
from api.store.reading import StoreState, newest_changes

_ENTRIES: Final = 100

router = APIRouter(prefix=f"{ROOT}/feeds", tags=["Feeds"], dependencies=[Depends(allowed(Right.READ))])


@router.get(
    "/departements/{departement}.atom",
    responses=responses(304)
    | {200: {"description": "The feed.", "content": {"application/atom+xml": {"schema": {"type": "string"}}}}},
    response_class=Response,
    summary="The newest alerts of a département",
)
def departement_feed(
    request: Request, departement: Annotated[str, Path(pattern=f"^{DEPARTEMENT_PATTERN}$", examples=["40"])]
) -> Response:
    """The hundred alerts that stand and changed last, in Atom (RFC 4287) with GeoRSS points."""

    def make(service: Service, state: StoreState) -> Response:
        address = service.base_url(request) + request.url.path
        asked = AlertFilter(departement=departement)
        info = info_of(service.database, service.settings, asked, state, address)
        newest = newest_changes(service.database, departement, _ENTRIES, scope_of(request))
        items = f"{service.base_url(request)}{ROOT}/collections/alerts/items"
        feed = atom_feed(newest, info, lambda alert_id: f"{items}/{alert_id}")
        return Response(feed, media_type=MEDIA_TYPE)

    return answer(request, make)
