"""Photos of observation reports: sent in parts that resume, as the tus protocol 1.0 says, and given out.

Of tus (https://tus.io/protocols/resumable-upload): the core, and the extensions creation and expiration.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from email.utils import format_datetime
from typing import Annotated, Final, TypeVar
from uuid import UUID

from anyio import to_thread
from fastapi import APIRouter, Depends, Header, Path, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from api.access import allowed
from api.identity.callers import Caller
from api.identity.roles import Right
from api.photos.appending import Appending
from api.photos.uploads import Progress, Upload
from api.problems import NEEDS_TOKEN, responses
from api.routes.features import ROOT
from api.service import service_of
from api.store.photos import PhotoKind, PhotoRow, find_photo
from api.store.reports import is_by
from tiles.errors import InvalidParameterError, NotFoundError

TUS_VERSION: Final = "1.0.0"
UPLOADS: Final = f"{ROOT}/photos/uploads/"
"""Beginning of the addresses that take whole photos."""
_PART_TYPE: Final = "application/offset+octet-stream"
_AT_ONCE: Final = 1 << 18
"""Bytes that are gathered before they are written."""

_MAY: Final = allowed(Right.REPORT)
"""What all of this takes: the one place that says so."""
_Giving = TypeVar("_Giving", bound=Callable[..., Response])


class TusRoute(APIRoute):
    """A route that, where it is of tus, names the protocol's version in every answer, also where it refuses."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start" and self.methods != {"GET"}:
                MutableHeaders(scope=message)["Tus-Resumable"] = TUS_VERSION
            await send(message)

        await super().handle(scope, receive, sent)


async def _speaks_tus(tus_resumable: Annotated[str | None, Header(max_length=20)] = None) -> None:
    if tus_resumable != TUS_VERSION:
        raise HTTPException(
            412, f"Send the header Tus-Resumable: {TUS_VERSION}, of the protocol tus.", {"Tus-Version": TUS_VERSION}
        )


router = APIRouter(prefix=ROOT, tags=["Photos"], route_class=TusRoute, dependencies=[Depends(_MAY)])
_BY_TUS: Final = [Depends(_speaks_tus)]

PhotoId = Annotated[UUID, Path(description="UUID that the client made.")]
_Caller = Annotated[Caller, Depends(_MAY)]


class _Metadata(BaseModel):
    """What `Upload-Metadata` has to tell; what else it tells, such as a file's name, is not kept."""

    id: UUID
    report: UUID
    kind: PhotoKind


@router.post(
    "/photos",
    status_code=201,
    response_class=Response,
    responses=responses(404, 409, 412, 413, 423, 507) | {200: {"description": "It was begun already, or is kept."}},
    dependencies=_BY_TUS,
    summary="Begin to send a photo",
    openapi_extra=NEEDS_TOKEN,
)
def begin(
    request: Request,
    caller: _Caller,
    upload_length: Annotated[int, Header(ge=1, description="Bytes of the photo.")],
    upload_metadata: Annotated[
        str, Header(max_length=4000, description="`id`, `report` (UUIDs of the client's) and `kind`, each in Base64.")
    ],
) -> Response:
    """Begin to send a photo of a report; begun again with the same UUID it is the same upload."""
    service = service_of(request)
    most = service.settings.max_photo_bytes
    if upload_length > most:
        raise HTTPException(413, f"The photo is longer than {most} bytes: send it smaller.")
    told = _metadata(upload_metadata)
    if not _is_theirs(request, str(told.report), caller):
        raise NotFoundError(f"There is no report {told.report} of yours: send it first.")
    upload = Upload(str(told.id), str(told.report), told.kind, upload_length, caller.name)
    progress, new = service.uploads.begin(upload)
    headers = {"Location": f"{service.base_url(request)}{UPLOADS}{upload.id}"}
    return Response(status_code=201 if new else 200, headers=headers | _headers(progress))


@router.head(
    "/photos/uploads/{photo_id}",
    response_class=Response,
    responses=responses(404, 412, 423, 507),
    dependencies=_BY_TUS,
    summary="How much of a photo has come",
    openapi_extra=NEEDS_TOKEN,
)
def progress(request: Request, photo_id: PhotoId, caller: _Caller) -> Response:
    """Where to go on. A photo that is all there is kept before this is answered."""
    found = service_of(request).uploads.progress(str(photo_id), caller.name)
    return Response(headers=_headers(found) | {"Upload-Length": str(found.length), "Cache-Control": "no-store"})


@router.patch(
    "/photos/uploads/{photo_id}",
    status_code=204,
    response_class=Response,
    responses=responses(404, 409, 412, 413, 415, 423, 507),
    dependencies=_BY_TUS,
    summary="Send a photo, or a part of it",
    openapi_extra=NEEDS_TOKEN
    | {"requestBody": {"content": {_PART_TYPE: {"schema": {"type": "string", "format": "binary"}}}, "required": True}},
)
async def append(
    request: Request,
    photo_id: PhotoId,
    caller: _Caller,
    upload_offset: Annotated[int, Header(ge=0, description="Bytes that have come before.")],
) -> Response:
    """Add to what has come. With the last byte the photo is cleaned and kept; then only is this answered."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != _PART_TYPE:
        raise HTTPException(415, f"Send the part as {_PART_TYPE}.")
    service, name = service_of(request), str(photo_id)
    appending = await run_in_threadpool(service.uploads.append, name, upload_offset, caller.name)
    try:
        await _take(request, appending)
    except ClientDisconnect:
        # Nobody hears this; what came is kept, and gone on with.
        return Response(status_code=204)
    finally:
        await run_in_threadpool(appending.close)
    # With the last byte this cleans the photo, which takes long.
    found = await to_thread.run_sync(service.uploads.progress, name, caller.name, limiter=service.photo_thread)
    return Response(status_code=204, headers=_headers(found))


def _picture_route(path: str, summary: str, media_type: str) -> Callable[[_Giving], _Giving]:
    told = {"description": "The picture.", "content": {media_type: {"schema": {"type": "string", "format": "binary"}}}}
    return router.get(
        path,
        response_class=Response,
        responses=responses(304, 404) | {200: told},
        summary=summary,
        openapi_extra=NEEDS_TOKEN,
    )


@_picture_route("/photos/{photo_id}", "A photo", "image/jpeg")
def picture(request: Request, photo_id: PhotoId, caller: _Caller) -> Response:
    """A photo, upright and without metadata; of one's own reports, and for who may see people."""
    row = _row(request, photo_id, caller)
    return _answer(request, row, row.place, "image/jpeg")


@_picture_route("/photos/{photo_id}/thumbnail", "A photo, small", "image/webp")
def thumbnail(request: Request, photo_id: PhotoId, caller: _Caller) -> Response:
    """A photo of at most 320 pixels."""
    row = _row(request, photo_id, caller)
    return _answer(request, row, row.thumbnail, "image/webp")


async def _take(request: Request, appending: Appending) -> None:
    """All that a request brings, written in the order in which it comes."""
    gathered = bytearray()
    try:
        async for chunk in request.stream():
            gathered += chunk
            if len(gathered) >= _AT_ONCE:
                came, gathered = bytes(gathered), bytearray()
                await run_in_threadpool(appending.write, came)
    except ClientDisconnect:
        await run_in_threadpool(appending.write, bytes(gathered))
        raise
    await run_in_threadpool(appending.write, bytes(gathered))


def _metadata(header: str) -> _Metadata:
    """What `Upload-Metadata` tells: keys and values in Base64, separated by commas."""
    told = {}
    try:
        for pair in header.split(","):
            key, _, value = pair.strip().partition(" ")
            told[key] = base64.b64decode(value, validate=True).decode()
        return _Metadata.model_validate(told)
    except (binascii.Error, ValueError, ValidationError) as error:
        kinds = ", ".join(PhotoKind)
        raise InvalidParameterError(
            f"Upload-Metadata will not do: send id and report (UUIDs) and kind (one of {kinds}), each in Base64."
        ) from error


def _headers(progress: Progress) -> dict[str, str]:
    headers = {"Upload-Offset": str(progress.offset)}
    if progress.expires_at is not None:
        headers["Upload-Expires"] = format_datetime(progress.expires_at, usegmt=True)
    return headers


def _is_theirs(request: Request, report_id: str, caller: Caller) -> bool:
    """Whether a report is the caller's; programs of the machine and who may see people take part in all."""
    if caller.user_seq is None or Right.SEE_PEOPLE in caller.rights:
        return True
    return is_by(service_of(request).database, report_id, caller.author)


def _row(request: Request, photo_id: UUID, caller: Caller) -> PhotoRow:
    row = find_photo(service_of(request).database, str(photo_id))
    if row is None or not _is_theirs(request, row.report_id, caller):
        raise NotFoundError(f"There is no photo {photo_id}.")
    return row


def _answer(request: Request, row: PhotoRow, key: str, media_type: str) -> Response:
    # What a UUID stands for never changes. No cache between the service and who asks may hold it.
    headers = {"ETag": f'"{row.sha256[:32]}"', "Cache-Control": "private, max-age=86400"}
    seen = {each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")}
    if headers["ETag"] in seen:
        return Response(status_code=304, headers=headers)
    return Response(service_of(request).photos.get(key), media_type=media_type, headers=headers)
