"""What there is of one alert beside its outline: its history, and what people decide."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Path, Request, Response

from api.access import allowed
from api.identity.callers import Caller
from api.identity.roles import Right
from api.problems import NEEDS_TOKEN, responses
from api.routes.features import ROOT
from api.schemas import CommentLine, History, NewComment, NewReview
from api.service import Service, answer, model_answer, scope_of, service_of
from api.store.comments import comment, comments_of, remove_comment
from api.store.history import history_of
from api.store.reading import StoreState
from api.store.reviews import Decision, review, undo

router = APIRouter(prefix=f"{ROOT}/alerts", tags=["Alerts"])

AlertId = Annotated[str, Path(max_length=64, pattern=r"^[^/\x00]+$", examples=["SYL-30TXP-20261004-0a1b2c3d"])]


@router.get(
    "/{alert_id}/history",
    responses=responses(304, 404),
    response_model=History,
    dependencies=[Depends(allowed(Right.READ))],
    summary="All that was ever said of an alert",
)
def history(request: Request, alert_id: AlertId) -> Response:
    """What each month's scan, each version of rules and models, and each person said, oldest first."""

    def make(service: Service, _: StoreState) -> Response:
        return model_answer(History.model_validate(history_of(service.database, alert_id, scope_of(request))))

    return answer(request, make)


_KEY = Annotated[str | None, Header(pattern=r"^[A-Za-z0-9-]{8,64}$")]
_KEPT_BEFORE: dict[int | str, dict[str, Any]] = {200: {"description": "It was kept already."}}


@router.post(
    "/{alert_id}/reviews",
    status_code=201,
    responses=responses(403, 404, 409, 413) | _KEPT_BEFORE,
    summary="Say what was decided of an alert",
    openapi_extra=NEEDS_TOKEN,
)
def add_review(
    request: Request,
    response: Response,
    alert_id: AlertId,
    decided: NewReview,
    caller: Annotated[Caller, Depends(allowed(Right.REVIEW))],
    idempotency_key: _KEY = None,
) -> History:
    """Keep a review. With an `Idempotency-Key` of the client's, one that is sent again is kept once."""
    database = service_of(request).database
    decision = Decision(decided.state, decided.reason, decided.comment, decided.seen_state, idempotency_key)
    if not review(database, alert_id, decision, caller.author, caller.scope):
        response.status_code = 200
    return History.model_validate(history_of(database, alert_id))


@router.post(
    "/{alert_id}/reviews/undo",
    responses=responses(403, 404, 409),
    summary="Take back what was decided last",
    openapi_extra=NEEDS_TOKEN,
)
def undo_review(
    request: Request,
    alert_id: AlertId,
    caller: Annotated[Caller, Depends(allowed(Right.REVIEW))],
    idempotency_key: _KEY = None,
) -> History:
    """The alert is as it was before the last review; both stay in its history."""
    database = service_of(request).database
    undo(database, alert_id, caller.author, idempotency_key)
    return History.model_validate(history_of(database, alert_id))


@router.get("/{alert_id}/comments", responses=responses(403, 404), summary="What was said of an alert")
def comments(
    request: Request, alert_id: AlertId, caller: Annotated[Caller, Depends(allowed(Right.REPORT))]
) -> list[CommentLine]:
    """Comments, oldest first; names are for those who may see them."""
    found = comments_of(
        service_of(request).database,
        alert_id,
        caller.author,
        caller.scope,
        with_names=Right.SEE_PEOPLE in caller.rights,
    )
    return [CommentLine.model_validate(asdict(each)) for each in found]


@router.post(
    "/{alert_id}/comments",
    status_code=201,
    responses=responses(403, 404, 409, 413) | _KEPT_BEFORE,
    summary="Say something of an alert",
    openapi_extra=NEEDS_TOKEN,
)
def add_comment(
    request: Request,
    response: Response,
    alert_id: AlertId,
    new: NewComment,
    caller: Annotated[Caller, Depends(allowed(Right.REPORT))],
) -> NewComment:
    """Keep a comment; with the same identity, it is kept once."""
    if not comment(service_of(request).database, alert_id, new.id, new.text, caller.author, caller.scope):
        response.status_code = 200
    return new


@router.delete(
    "/{alert_id}/comments/{comment_id}",
    status_code=204,
    responses=responses(403, 404),
    summary="Take a comment away",
    openapi_extra=NEEDS_TOKEN,
)
def delete_comment(
    request: Request,
    alert_id: AlertId,  # noqa: ARG001 - part of the address
    comment_id: UUID,
    caller: Annotated[Caller, Depends(allowed(Right.REPORT))],
) -> None:
    """One's own; administrators also others'."""
    of_others = Right.MANAGE in caller.rights
    remove_comment(service_of(request).database, comment_id, caller.author, of_others=of_others)
