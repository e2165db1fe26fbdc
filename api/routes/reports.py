"""Observation reports: sent by phones, often twice, often late."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from api.access import allowed
from api.identity.callers import Caller
from api.identity.roles import Right
from api.problems import NEEDS_TOKEN, responses
from api.reports.content import FIELDS, FOLLOW_UP
from api.reports.form import ENGLISH, TABS, FormField
from api.routes.features import ROOT
from api.schemas import FollowUp, FormQuestion, FormTab, NewReport, Report, ReportKept, Reports
from api.service import service_of
from api.store.reports import SentReport, follow_up_of, keep_follow_up, keep_report, note_read, reports_of
from tiles.errors import NotFoundError

router = APIRouter(prefix=f"{ROOT}/reports", tags=["Reports"])

_MayReport = Annotated[Caller, Depends(allowed(Right.REPORT))]
_MayFollowUp = Annotated[Caller, Depends(allowed(Right.FOLLOW_UP))]


@router.get("/form", dependencies=[Depends(allowed(Right.READ))], responses=responses(), summary="The form's fields")
async def form() -> list[FormTab]:
    """Steps and questions in their order; photos are sent by themselves."""
    steps = [(fr, [field for field in fields if field.name in FIELDS]) for fr, fields in TABS]
    return [
        FormTab(fr=fr, en=ENGLISH[fr], fields=[_question(field) for field in fields]) for fr, fields in steps if fields
    ]


@router.put(
    "/{report_id}",
    status_code=201,
    responses=responses(403, 404, 409, 413) | {200: {"description": "It was kept already."}},
    summary="Send a report",
    openapi_extra=NEEDS_TOKEN,
)
def put_report(request: Request, response: Response, report_id: UUID, new: NewReport, caller: _MayReport) -> ReportKept:
    """Keep a report, whose identity the client made; sent again it is kept once, changed it is a version more."""
    sent = SentReport(report_id, new.alert_id, new.observed_on, new.answers, new.outline, new.of_version)
    edits_others = Right.SEE_PEOPLE in caller.rights
    database = service_of(request).database
    version, kept = keep_report(database, sent, caller.author, caller.scope, edits_others=edits_others)
    if not kept:
        response.status_code = 200
    return ReportKept(id=report_id, version=version)


@router.get("", responses=responses(403), summary="Reports")
def reports(
    request: Request,
    caller: _MayReport,
    alert: Annotated[str | None, Query(max_length=64, description="Identity of the alert.")] = None,
) -> Reports:
    """One's own; those of all for who may see people: that is noted."""
    return _told(request, caller, alert_id=alert)


@router.get("/{report_id}", responses=responses(403, 404), summary="All versions of a report")
def report(request: Request, report_id: UUID, caller: _MayReport) -> Reports:
    """Oldest first."""
    found = _told(request, caller, report_id=str(report_id))
    if not found.reports:
        raise NotFoundError(f"There is no report {report_id} that you may see.")
    return found


@router.get("/{report_id}/follow-up", responses=responses(403, 404), summary="What was done about a report")
def follow_up(request: Request, report_id: UUID, caller: _MayFollowUp) -> FollowUp:
    """For administrators alone."""
    database = service_of(request).database
    if not reports_of(database, report_id=str(report_id)):
        raise NotFoundError(f"There is no report {report_id}.")
    note_read(database, caller.author, f"follow-up of {report_id}")
    return FollowUp(answers=dict(follow_up_of(database, report_id)))


@router.put(
    "/{report_id}/follow-up",
    responses=responses(403, 404, 413),
    summary="Keep what was done about a report",
    openapi_extra=NEEDS_TOKEN,
)
def put_follow_up(request: Request, report_id: UUID, new: FollowUp, caller: _MayFollowUp) -> ReportKept:
    """PEFC, RED III, OFB, CNPF, DDT, PSG, and steps taken; each change is a version."""
    version = keep_follow_up(service_of(request).database, report_id, new.answers, caller.author)
    return ReportKept(id=report_id, version=version)


@router.get(
    "/follow-up/form", dependencies=[Depends(allowed(Right.FOLLOW_UP))], responses=responses(403), summary="Its fields"
)
async def follow_up_form() -> list[FormQuestion]:
    """For administrators alone."""
    return [_question(field) for field in FOLLOW_UP.values()]


def _told(request: Request, caller: Caller, *, alert_id: str | None = None, report_id: str | None = None) -> Reports:
    database = service_of(request).database
    of_all = Right.SEE_PEOPLE in caller.rights
    found = reports_of(database, alert_id=alert_id, report_id=report_id, only_by=None if of_all else caller.author)
    if of_all and found:
        note_read(database, caller.author, f"reports of {alert_id or report_id or 'all alerts'}")
    return Reports(reports=[Report.model_validate(asdict(each)) for each in found])


def _question(field: FormField) -> FormQuestion:
    return FormQuestion(
        name=field.name,
        fr=field.fr,
        en=field.en,
        answer=field.answer.value,
        choices=dict(field.choices),
        choices_en={choice: ENGLISH[fr] for choice, fr in field.choices},
        private=field.private,
    )
