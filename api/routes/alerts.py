"""What there is of one alert beside its outline: its history, and what people decide."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Request, Response

from api.access import Caller, Right, allowed
from api.problems import responses
from api.routes.features import ROOT
from api.schemas import History, NewReview
from api.service import Service, answer, model_answer, service_of
from api.store.history import history_of, review
from api.store.reading import StoreState

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
        return model_answer(History.model_validate(history_of(service.database, alert_id)))

    return answer(request, make)


@router.post(
    "/{alert_id}/reviews",
    status_code=201,
    responses=responses(404, 413) | {200: {"description": "It was kept already."}},
    summary="Say what was decided of an alert",
    openapi_extra={"security": [{"token": []}]},
)
def add_review(
    request: Request,
    response: Response,
    alert_id: AlertId,
    decided: NewReview,
    caller: Annotated[Caller, Depends(allowed(Right.REVIEW))],
    idempotency_key: Annotated[str | None, Header(pattern=r"^[A-Za-z0-9-]{8,64}$")] = None,
) -> History:
    """Keep a review. With an `Idempotency-Key` of the client's, one that is sent again is kept once."""
    database = service_of(request).database
    kept = review(
        database,
        alert_id,
        decided.state,
        reason=decided.reason,
        comment=decided.comment,
        token_seq=caller.token_seq,
        actor=caller.name,
        request_key=idempotency_key,
    )
    if not kept:
        response.status_code = 200
    return History.model_validate(history_of(database, alert_id))
