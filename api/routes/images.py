"""Pictures of alerts and of change maps, and the NDVI behind them."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path as FilePath
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from api import pictures
from api.access import allowed
from api.identity.roles import Right
from api.pictures import ChangeLayer, ChipKind, PictureForm
from api.problems import responses
from api.routes.alerts import AlertId
from api.routes.features import ROOT
from api.routes.maps import Place, Zoom
from api.schemas import LegendEntry, Series
from api.service import Service, answer, model_answer, scope_of, service_of
from api.sheets.sheet import SheetContent, make_sheet
from api.sheets.words import SheetLanguage
from api.store.images import change_maps, chip_path, series_of, series_path
from api.store.reading import StoreState, alert
from api.vector_tiles import TileAddress
from detector.chips import Moment
from tiles.errors import NotFoundError

router = APIRouter(prefix=ROOT, tags=["Images"], dependencies=[Depends(allowed(Right.READ))])

_PICTURE: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The picture.",
        "content": {form.media_type: {"schema": {"type": "string", "format": "binary"}} for form in PictureForm},
    }
}
_PDF: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The sheet.",
        "content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}}},
    }
}
_NOT_IN_A_NAME: Final = re.compile(r"[^A-Za-z0-9_.-]")
_Moment = Annotated[Moment, Path(description="before or after the loss")]
_Form = Annotated[PictureForm, Path(description="png or webp")]
_Kind = Annotated[ChipKind, Query(description="What is shown.")]


@router.get("/alerts/{alert_id}/series", responses=responses(304, 404), response_model=Series, summary="NDVI by date")
def series(request: Request, alert_id: AlertId) -> Response:
    """Mean NDVI of an alert's clear pixels on each date that the scan knows; empty where none was kept."""

    def make(service: Service, _: StoreState) -> Response:
        dates = series_of(service.database, service.data_dir, alert_id, scope_of(request))
        return model_answer(Series.model_validate({"id": alert_id, "dates": [asdict(each) for each in dates]}))

    def files(service: Service) -> list[FilePath]:
        path = series_path(service.database, service.data_dir, alert_id, scope_of(request))
        return [] if path is None else [path]

    return answer(request, make, files)


@router.get(
    "/alerts/{alert_id}.pdf",
    responses=responses(304, 404) | _PDF,
    response_class=Response,
    summary="An alert on one page of paper",
)
def sheet(
    request: Request,
    alert_id: AlertId,
    lang: Annotated[SheetLanguage, Query(description="Of its words.")] = SheetLanguage.FR,
) -> Response:
    """Pictures, series, facts, criteria, points to check, method and versions: A4, PDF."""
    service, scope = service_of(request), scope_of(request)
    chips: dict[Moment, FilePath] = {}
    for moment in Moment:
        with suppress(NotFoundError):
            chips[moment] = chip_path(service.database, service.data_dir, alert_id, moment, scope)
    kept = series_path(service.database, service.data_dir, alert_id, scope)

    def make(service: Service, _: StoreState) -> Response:
        found = alert(service.database, alert_id, scope)
        content = SheetContent(
            alert_id,
            found.properties,
            found.geometry,
            chips,
            series_of(service.database, service.data_dir, alert_id, scope),
        )
        made = make_sheet(content, lang, dt.datetime.now(dt.UTC).date())
        headers = {"Content-Disposition": f'inline; filename="{_NOT_IN_A_NAME.sub("_", alert_id)}.pdf"'}
        return Response(made, media_type="application/pdf", headers=headers)

    return answer(request, make, lambda _: [*chips.values(), *([] if kept is None else [kept])])


@router.get(
    "/alerts/{alert_id}/chips/{moment}.{form}",
    responses=responses(304, 404) | _PICTURE,
    response_class=Response,
    summary="A picture of an alert, before or after",
)
def chip(
    request: Request,
    alert_id: AlertId,
    moment: _Moment,
    form: _Form,
    kind: _Kind = ChipKind.TRUE_COLOUR,
    size: Annotated[int, Query(ge=32, le=1024, description="Pixels of the longer side.")] = 320,
    outline: Annotated[bool, Query(description="Whether the outline is drawn.")] = True,
) -> Response:
    """The ground around an alert on the clearest date, with its outline."""

    def make(service: Service, paths: Sequence[FilePath]) -> bytes:
        shape = alert(service.database, alert_id).geometry if outline else None
        return pictures.chip_picture(paths[0], kind, form, size, shape)

    return _picture(request, form, make, _chip(request, alert_id, moment))


@router.get(
    "/alerts/{alert_id}/chips/{moment}/{z}/{x}/{y}.{form}",
    responses=responses(304, 404) | _PICTURE,
    response_class=Response,
    summary="A picture of an alert as map tiles",
)
def chip_tile(
    request: Request,
    alert_id: AlertId,
    moment: _Moment,
    z: Zoom,
    x: Place,
    y: Place,
    form: _Form,
    kind: _Kind = ChipKind.TRUE_COLOUR,
) -> Response:
    """The same on the web's grid, transparent around it; 404 where the tile does not meet it."""
    TileAddress(z, x, y)

    def make(_: Service, paths: Sequence[FilePath]) -> bytes:
        return pictures.chip_tile(paths[0], kind, form, z, x, y)

    return _picture(request, form, make, _chip(request, alert_id, moment))


@router.get(
    "/tiles/change/{layer}/{z}/{x}/{y}.{form}",
    responses=responses(304, 404) | _PICTURE,
    response_class=Response,
    dependencies=[Depends(allowed(Right.SURVEY))],
    summary="Change maps as map tiles",
)
def change_tile(
    request: Request, layer: Annotated[ChangeLayer, Path()], z: Zoom, x: Place, y: Place, form: _Form
) -> Response:
    """The newest change map of each ground; 404 where none meets the tile."""
    TileAddress(z, x, y)

    def files(service: Service) -> list[FilePath]:
        return change_maps(service.database, service.data_dir, "state" if layer is ChangeLayer.STATE else "change")

    def make(_: Service, paths: Sequence[FilePath]) -> bytes:
        return pictures.change_tile(paths, layer, form, z, x, y)

    return _picture(request, form, make, files)


@router.get("/tiles/change/{layer}/legend", responses=responses(), summary="What the colours of a change map mean")
async def change_legend(layer: Annotated[ChangeLayer, Path()]) -> list[LegendEntry]:
    """Colours, and French and English words."""
    return [LegendEntry.model_validate(entry) for entry in pictures.legend(layer)]


def _chip(request: Request, alert_id: str, moment: Moment) -> Callable[[Service], list[FilePath]]:
    """Gives the file of a chip."""
    return lambda service: [chip_path(service.database, service.data_dir, alert_id, moment, scope_of(request))]


def _picture(
    request: Request,
    form: PictureForm,
    make: Callable[[Service, Sequence[FilePath]], bytes],
    files: Callable[[Service], list[FilePath]],
) -> Response:
    """A picture of files, looked up once for it and its validator."""
    paths = files(service_of(request))
    return answer(
        request, lambda service, _: Response(make(service, paths), media_type=form.media_type), lambda _: paths
    )
