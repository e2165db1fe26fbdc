"""Accounts, for administrators."""

from __future__ import annotations

from typing import Annotated, Any, Final

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Path, Query, Request

from api.access import Caller, allowed
from api.identity.invitations import invite, offer_reset
from api.identity.people import change_person, data_of, disable_person, erase_person, people_of
from api.identity.roles import Right
from api.problems import responses
from api.routes.auth import sign_in_address
from api.routes.features import ROOT
from api.schemas import Account, AccountChange, AuditLine, LinkMade, NewInvitation
from api.service import service_of
from api.store.reports import note_read
from api.store.tables import audit_log

router = APIRouter(prefix=ROOT, tags=["Administration"])

_Manager = Annotated[Caller, Depends(allowed(Right.MANAGE))]
_User = Annotated[int, Path(ge=1, le=2**53)]
_WRITES: Final[dict[str, Any]] = {"security": [{"token": []}]}


@router.get("/users", responses=responses(403), summary="Accounts")
def accounts(request: Request, caller: _Manager) -> list[Account]:
    """Oldest first; those that were erased are not told. That they were read is noted."""
    database = service_of(request).database
    note_read(database, caller.author, "accounts")
    return [
        Account(
            user=each.seq,
            name=each.name,
            email=each.email,
            role=each.role,
            departements=list(each.departements),
            created_at=each.created_at,
            disabled_at=each.disabled_at,
        )
        for each in people_of(database)
    ]


@router.post(
    "/users/invitations", status_code=201, responses=responses(403, 409, 413), summary="Invite", openapi_extra=_WRITES
)
def make_invitation(request: Request, new: NewInvitation, caller: _Manager) -> LinkMade:
    """The link is good once, for a week; it is shown here alone."""
    service = service_of(request)
    token = invite(service.database, new.email, new.role, new.departements, caller.author)
    return LinkMade(link=sign_in_address(service.base_url(request), token))


@router.patch(
    "/users/{user}", status_code=204, responses=responses(403, 404, 409, 413), summary="Change", openapi_extra=_WRITES
)
def change(request: Request, user: _User, new: AccountChange, caller: _Manager) -> None:
    """Role, départements."""
    change_person(service_of(request).database, user, caller.author, role=new.role, departements=new.departements)


@router.post(
    "/users/{user}/reset",
    status_code=201,
    responses=responses(403, 404),
    summary="Offer a new password",
    openapi_extra=_WRITES,
)
def make_reset(request: Request, user: _User, caller: _Manager) -> LinkMade:
    """The link is good once, for an hour."""
    service = service_of(request)
    return LinkMade(link=sign_in_address(service.base_url(request), offer_reset(service.database, user, caller.author)))


@router.post(
    "/users/{user}/disable",
    status_code=204,
    responses=responses(403, 404, 409),
    summary="End an account",
    openapi_extra=_WRITES,
)
def disable(request: Request, user: _User, caller: _Manager) -> None:
    """With its sessions and keys; what they wrote stays."""
    disable_person(service_of(request).database, user, caller.author)


@router.post(
    "/users/{user}/erase",
    status_code=204,
    responses=responses(403, 404, 409),
    summary="Erase a person",
    openapi_extra=_WRITES,
)
def erase(request: Request, user: _User, caller: _Manager) -> None:
    """RGPD, article 17: reports and reviews stay, of a person without a name."""
    erase_person(service_of(request).database, user, caller.author)


@router.get("/users/{user}/data", responses=responses(403, 404), summary="All that is kept of a person")
def data(request: Request, user: _User, caller: _Manager) -> dict[str, Any]:
    """RGPD, articles 15 and 20; that it was read is noted."""
    return data_of(service_of(request).database, user, caller.author)


@router.get("/audit", responses=responses(403), summary="Who did what")
def audit(
    request: Request,
    caller: _Manager,
    before: Annotated[
        int | None, Query(ge=1, le=2**53, description="Number of the last line of the page before.")
    ] = None,
) -> list[AuditLine]:
    """The newest hundred lines; people are numbers."""
    database = service_of(request).database
    query = sa.select(audit_log).order_by(audit_log.c.seq.desc()).limit(100)
    if before is not None:
        query = query.where(audit_log.c.seq < before)
    with database.reading() as connection:
        rows = connection.execute(query).mappings().all()
    note_read(database, caller.author, "audit log")
    return [AuditLine.model_validate(dict(row)) for row in rows]
