"""What is wrong, as HTTP says it: one table of codes, one shape of answer (OGC API - Features, 7.5)."""

from __future__ import annotations

from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from api.store.filters import sentence_of
from tiles.errors import (
    AccessRefusedError,
    ConflictError,
    FilterError,
    InvalidParameterError,
    LockedError,
    NoRoomError,
    NotAllowedError,
    NotFoundError,
    ProviderError,
    StoreBusyError,
    StoreError,
    SylvigieError,
    TooOftenError,
)

CODES: Final[tuple[tuple[type[SylvigieError], int], ...]] = (
    (FilterError, 400),
    (InvalidParameterError, 400),
    (NotAllowedError, 403),
    (AccessRefusedError, 401),
    (NotFoundError, 404),
    (ConflictError, 409),
    (TooOftenError, 429),
    (ProviderError, 503),
    (LockedError, 423),
    (NoRoomError, 507),
    (StoreBusyError, 503),
    (StoreError, 503),
    (SylvigieError, 500),
)
"""The first that fits counts."""
_NO_ROOM: Final = "No room is left for photos: the report itself is kept; send the photo again later."


class Problem(BaseModel):
    """What is wrong with a request."""

    code: str = Field(description="The HTTP status.", examples=["400"])
    description: str = Field(description="One sentence: what, where, what to do.", examples=["limit will not do: …"])


def problem(status: int, sentence: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """The answer to a request that will not do."""
    return JSONResponse({"code": str(status), "description": sentence}, status, headers)


NEEDS_TOKEN: Final[dict[str, Any]] = {"security": [{"token": []}]}
"""What a route adds to its description: it is for who says who they are."""


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route may answer beside what it is for."""
    words = {
        304: "Not changed since it was asked for last.",
        400: "A parameter will not do.",
        401: "A token is missing, or not good.",
        403: "Not for you.",
        404: "Not there.",
        406: "Not to be had in this form.",
        409: "Another has changed it, or it is not in the state for this.",
        412: "Of another version of the protocol.",
        413: "Too long.",
        414: "The query is too long.",
        415: "Of another media type.",
        423: "Another request is at work on it.",
        429: "Too many requests.",
        503: "The store, or the service, is busy: try again.",
        507: "No room is left on the disk.",
    }
    always = (400, 401, 414, 429, 503)
    told: dict[int | str, dict[str, Any]] = {
        status: {"description": words[status], "model": Problem}
        for status in sorted({*always, *statuses})
        if status != 304
    }
    if 304 in statuses:
        told[304] = {"description": words[304]}
    return told


def code_of(error: SylvigieError) -> int:
    """The HTTP status of an error of ours."""
    return next(code for kind, code in CODES if isinstance(error, kind))


def lay_handlers(app: FastAPI) -> None:
    """Have every error answered in the one shape."""

    @app.exception_handler(SylvigieError)
    async def ours(request: Request, error: SylvigieError) -> JSONResponse:  # noqa: ARG001
        status = code_of(error)
        if status >= 500:
            # Where the store lies, and what its engine said, is for those who run it.
            structlog.get_logger("sylvigie.http").error("refused", error=str(error))
            if status == 507:
                return problem(status, _NO_ROOM, {"Retry-After": "3600"})
            kind = "The store cannot answer now" if status == 503 else "A fault of Sylvigie's own"
            kind = "The provider of sign-ins does not answer" if isinstance(error, ProviderError) else kind
            return problem(status, f"{kind}: try again in a moment.", {"Retry-After": "5"})
        headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
        if isinstance(error, TooOftenError):
            headers = {"Retry-After": str(error.wait_s)}
        return problem(status, str(error), headers)

    @app.exception_handler(RequestValidationError)
    async def not_valid(request: Request, error: RequestValidationError) -> JSONResponse:  # noqa: ARG001
        return problem(400, sentence_of(list(error.errors())))

    @app.exception_handler(HTTPException)
    async def of_the_framework(request: Request, error: HTTPException) -> JSONResponse:
        said = {404: f"There is nothing at {request.url.path[:200]}.", 405: f"{request.method} is not for this."}
        sentence = said.get(error.status_code, str(error.detail))
        return problem(error.status_code, sentence, dict(error.headers or {}))
