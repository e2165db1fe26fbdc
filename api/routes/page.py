"""The page: files that `make web` builds of `api/page` into `api/web`, answered as they are.

Addresses of rooms (`api/page/src/rooms.ts`) all give the same page, which shows what its address names. Files whose
name holds a digest of their content may be kept for good; the page itself and its worker are asked for each time.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse

from api.access import allowed
from api.basemaps import ATTRIBUTION, LAYERS
from api.identity.roles import Right
from api.problems import responses
from api.routes.features import ROOT
from api.schemas import BaseLayerEntry, Basemap, FeatureCollectionOfBase, PageSettings, PlaceEntry
from api.service import answer, current_state, service_of
from api.store.reading import extent_of
from api.store.tables import alerts
from detector.layers.store import LAYERS_FOLDER
from detector.pipeline import software_version
from tiles.errors import NotFoundError

router = APIRouter(dependencies=[Depends(allowed(Right.READ))])

WEB_FOLDER: Final = Path(__file__).resolve().parent.parent / "web"
"""What `make web` builds; the wheel carries it."""
ROOMS: Final = (
    "/",
    "/alertes/{id}",
    "/alertes/{id}/fiche",
    "/fiches",
    "/revue",
    "/terrain",
    "/administration",
    "/a-propos",
    "/guide/{who}",
    "/compte",
    "/connexion",
    "/invitation",
    "/reset",
)
"""The same list as the page's own; a test compares them."""
_FILES: Final = ("index.html", "icon.svg", "manifest.webmanifest", "worker.js")
_BUILT_NAME: Final = r"^[A-Za-z0-9_.-]{1,120}$"
_HOLDS_DIGEST: Final = re.compile(r"-[A-Za-z0-9_-]{8}\.[a-z0-9]+$")


def page_headers(tiles_origin: str | None) -> dict[str, str]:
    """What browsers obey on the page: our own scripts and styles alone, pictures also from the base map's server.

    Parameters
    ----------
    tiles_origin
        Scheme and host of the base maps; None where there are none.
    """
    beside = "" if tiles_origin is None else f" {tiles_origin}"
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; manifest-src 'self'; "
        f"worker-src 'self'; img-src 'self' data: blob:{beside}; connect-src 'self'{beside}; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        # A volunteer's own place, and photos of it.
        "Permissions-Policy": "geolocation=(self), camera=(self), microphone=()",
    }


def _room(request: Request) -> FileResponse:
    """The page."""
    return _file(request, "index.html", "no-cache")


def _named(request: Request) -> FileResponse:
    """A file of the page that has one name for good."""
    return _file(request, request.url.path.removeprefix("/"), "no-cache")


@router.get(f"{ROOT}/page", responses=responses(), tags=["Page"], summary="What the page needs to know first")
def page_settings(request: Request, response: Response) -> PageSettings:
    """Maps under the alerts, ways to sign in, where alerts lie."""
    service = service_of(request)
    response.headers["Cache-Control"] = "no-cache"
    settings = service.settings
    layers = [BaseLayerEntry.model_validate(asdict(layer)) for layer in LAYERS]
    told = None
    if settings.basemap_url != "none":
        told = Basemap(url=settings.basemap_url, attribution=ATTRIBUTION, layers=layers)
    extent = extent_of(service.database, alerts)
    return PageSettings(
        version=software_version(),
        basemap=told,
        openid=service.provider is not None,
        accounts=bool(current_state(request).accounts),
        extent=None if extent is None else list(extent),
    )


@router.get(f"{ROOT}/places", responses=responses(404), tags=["Page"], summary="Communes and départements by name")
def places(
    request: Request, q: Annotated[str, Query(min_length=1, max_length=80, examples=["sabres"])]
) -> list[PlaceEntry]:
    """Those of the imported layers; the best twenty."""
    return [PlaceEntry.model_validate(asdict(place)) for place in service_of(request).places.search(q)]


@router.get(
    f"{ROOT}/base/departements",
    responses=responses(304, 404) | {200: {"description": "Outlines.", "model": FeatureCollectionOfBase}},
    response_class=Response,
    tags=["Page"],
    summary="Outlines of the départements",
)
def base_departements(request: Request) -> Response:
    """A map that needs nobody else's: GeoJSON, simplified."""
    return answer(
        request,
        lambda service, _: Response(service.places.departements(), media_type="application/geo+json"),
        lambda service: [service.data_dir / LAYERS_FOLDER / "departements" / "manifest.json"],
    )


@router.get("/assets/{name}", include_in_schema=False)
def asset(request: Request, name: Annotated[str, PathParameter(pattern=_BUILT_NAME)]) -> FileResponse:
    """A built file, whose name changes with its content."""
    kept = "public, max-age=31536000, immutable" if _HOLDS_DIGEST.search(name) else "no-cache"
    return _file(request, f"assets/{name}", kept)


def _file(request: Request, name: str, kept: str) -> FileResponse:
    """A file; a worker obeys the policy of its own file, not the page's."""
    headers = {**page_headers(service_of(request).settings.basemap_origin()), "Cache-Control": kept}
    path = WEB_FOLDER / name
    if not path.is_file():
        sentence = "no such file of the page" if (WEB_FOLDER / "index.html").is_file() else "no page: run `make web`"
        raise NotFoundError(f"There is {sentence}; the service itself is at /api/v1.")
    return FileResponse(path, headers=headers)


for _pattern in ROOMS:
    router.add_api_route(_pattern, _room, methods=["GET"], include_in_schema=False)
for _name in _FILES:
    router.add_api_route(f"/{_name}", _named, methods=["GET"], include_in_schema=False)
