"""What is a person's own: whom alerts are given to, favourites."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from api.access import allowed
from api.identity.callers import Caller
from api.identity.roles import Right
from api.problems import NEEDS_TOKEN, responses
from api.routes.alerts import AlertId
from api.routes.features import ROOT
from api.schemas import Assigned, Assignment, Favourites
from api.service import service_of
from api.store.comments import favourites_of, keep_in_sight, let_out_of_sight
from api.store.reviews import assign, assign_departement
from tiles.errors import NotAllowedError

router = APIRouter(prefix=ROOT, tags=["People"])

_MayReport = Annotated[Caller, Depends(allowed(Right.REPORT))]


@router.post(
    "/assignments",
    responses=responses(403, 404, 409, 413),
    summary="Ask somebody to go and see",
    openapi_extra=NEEDS_TOKEN,
)
def add_assignment(
    request: Request, asked: Assignment, caller: Annotated[Caller, Depends(allowed(Right.ASSIGN))]
) -> Assigned:
    """Alerts by name, or all of a département that nobody has looked at; whoever was asked before is not any more."""
    database = service_of(request).database
    if asked.alerts is not None:
        return Assigned(assigned=assign(database, asked.alerts, asked.user, caller.author))
    return Assigned(assigned=assign_departement(database, str(asked.departement), asked.user, caller.author))


@router.get("/favourites", responses=responses(403), summary="One's favourites")
def favourites(request: Request, caller: _MayReport) -> Favourites:
    """Identities of alerts, the newest favourite first."""
    return Favourites(alerts=favourites_of(service_of(request).database, _person(caller), caller.scope))


@router.put(
    "/favourites/{alert_id}",
    status_code=204,
    responses=responses(403, 404),
    summary="Keep an alert in sight",
    openapi_extra=NEEDS_TOKEN,
)
def add_favourite(request: Request, alert_id: AlertId, caller: _MayReport) -> None:
    """Twice is once."""
    keep_in_sight(service_of(request).database, alert_id, _person(caller), caller.scope)


@router.delete(
    "/favourites/{alert_id}",
    status_code=204,
    responses=responses(403),
    summary="Let an alert out of sight",
    openapi_extra=NEEDS_TOKEN,
)
def delete_favourite(request: Request, alert_id: AlertId, caller: _MayReport) -> None:
    """None before is as good."""
    let_out_of_sight(service_of(request).database, alert_id, _person(caller))


def _person(caller: Caller) -> int:
    if caller.user_seq is None:
        raise NotAllowedError("Favourites are a person's: sign in, a token will not do.")
    return caller.user_seq
