"""Accounts, for those who manage them."""

from __future__ import annotations

from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from api.access import allowed
from api.identity.accounts import change_person, disable_person, list_people
from api.identity.callers import Caller
from api.identity.privacy import data_of, erase_person
from api.identity.roles import Right
from api.identity.schemas import People, PersonalData, PersonAnswer, PersonChange
from api.problems import NEEDS_TOKEN, responses
from api.routes.features import ROOT
from api.schemas import AuditLine
from api.service import service_of
from api.store.reports import note_read
from api.store.tables import audit_log

router = APIRouter(prefix=f"{ROOT}/users", tags=["Accounts"])

_Manager = Annotated[Caller, Depends(allowed(Right.MANAGE))]
_UserId = Annotated[int, Path(ge=1, le=2**53)]


@router.get("", responses=responses(403), summary="All accounts", openapi_extra=NEEDS_TOKEN)
def people(request: Request, response: Response, caller: _Manager) -> People:
    """Also those that are ended; that they were read is noted."""
    response.headers["Cache-Control"] = "no-store"
    found = list_people(service_of(request).database, caller.name)
    return People(people=[PersonAnswer.of(each) for each in found])


@router.patch(
    "/{user_id}", responses=responses(403, 404, 409, 413), summary="Change an account", openapi_extra=NEEDS_TOKEN
)
def change(request: Request, user_id: _UserId, asked: PersonChange, caller: _Manager) -> PersonAnswer:
    """Role and départements; what the OpenID provider says of a role stands again from the next sign-in."""
    database = service_of(request).database
    return PersonAnswer.of(change_person(database, user_id, asked.role, asked.departements, caller.name))


@router.post(
    "/{user_id}/disable",
    status_code=204,
    responses=responses(403, 404, 409),
    summary="End an account",
    openapi_extra=NEEDS_TOKEN,
)
def disable(request: Request, user_id: _UserId, caller: _Manager) -> None:
    """With its sessions and keys; what its owner wrote stays."""
    disable_person(service_of(request).database, user_id, caller.name)


@router.get(
    "/{user_id}/data", responses=responses(403, 404), summary="All that is kept of a person", openapi_extra=NEEDS_TOKEN
)
def personal_data(request: Request, response: Response, user_id: _UserId, caller: _Manager) -> PersonalData:
    """RGPD, articles 15 and 20; that it was read is noted."""
    response.headers["Cache-Control"] = "no-store"
    return PersonalData(data=data_of(service_of(request).database, user_id, caller.name))


@router.post(
    "/{user_id}/erase",
    status_code=204,
    responses=responses(403, 404, 409),
    summary="Take away who a person was",
    openapi_extra=NEEDS_TOKEN,
)
def erase(request: Request, user_id: _UserId, caller: _Manager) -> None:
    """RGPD, article 17: name, e-mail, sessions and keys go; reviews and reports stay, of nobody."""
    erase_person(service_of(request).database, user_id, caller.name)


@router.get("/audit/log", responses=responses(403), summary="Who did what", openapi_extra=NEEDS_TOKEN)
def audit(
    request: Request,
    response: Response,
    caller: _Manager,
    before: Annotated[int | None, Query(ge=1, le=2**53, description="Last line of the page before.")] = None,
) -> list[AuditLine]:
    """The newest hundred lines; people are numbers. That they were read is noted."""
    response.headers["Cache-Control"] = "no-store"
    database = service_of(request).database
    query = sa.select(audit_log).order_by(audit_log.c.seq.desc()).limit(100)
    if before is not None:
        query = query.where(audit_log.c.seq < before)
    with database.reading() as connection:
        rows = connection.execute(query).mappings().all()
    note_read(database, caller.author, "audit log")
    return [AuditLine.model_validate(dict(row)) for row in rows]
