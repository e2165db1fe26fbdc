"""For administrators: runs of the watch, what could be seen, rules and what others would change, models."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from api import administration
from api.access import allowed
from api.identity.roles import Right
from api.problems import NEEDS_TOKEN, responses
from api.routes.features import ROOT
from api.schemas import ModelTold, RulesTold, RunTold, Thresholds, ThresholdsTried
from api.service import service_of
from detector.criteria.loading import load_rules
from detector.criteria.rules import Rules

router = APIRouter(
    prefix=f"{ROOT}/administration", tags=["Administration"], dependencies=[Depends(allowed(Right.MANAGE))]
)


def _uncached(response: Response) -> None:
    response.headers["Cache-Control"] = "no-store"


_Uncached = Annotated[None, Depends(_uncached)]


def _rules(request: Request) -> Rules:
    return load_rules(service_of(request).settings.rules)


@router.get("/runs", responses=responses(403), summary="The newest runs", openapi_extra=NEEDS_TOKEN)
def runs(request: Request, _: _Uncached) -> list[RunTold]:
    """Of the monthly run and of references: how they ended, tile by tile, with what was left out and why."""
    return [RunTold.model_validate(run) for run in administration.runs(service_of(request).data_dir)]


@router.get("/observed", responses=responses(403), summary="Share of the forest observed", openapi_extra=NEEDS_TOKEN)
def observed(request: Request, _: _Uncached) -> dict[str, dict[str, float]]:
    """By month and tile, 0 to 1: it tells where nothing could be seen."""
    return administration.observed(service_of(request).data_dir)


@router.get("/rules", responses=responses(403), summary="Rules in force", openapi_extra=NEEDS_TOKEN)
def rules(request: Request, _: _Uncached) -> RulesTold:
    """Criteria of the policy and legal points, with thresholds, units and sources."""
    told: dict[str, Any] = administration.rules_told(_rules(request), dt.datetime.now(dt.UTC).date())
    return RulesTold.model_validate(told)


@router.post(
    "/rules/preview",
    responses=responses(403, 404, 413),
    summary="What other thresholds would change",
    openapi_extra=NEEDS_TOKEN,
)
def preview(request: Request, asked: Thresholds, _: _Uncached) -> ThresholdsTried:
    """Among the alerts that stand; nothing is written. The rules themselves are a file (SYLVIGIE_RULES)."""
    tried = administration.try_thresholds(service_of(request).database, _rules(request), asked.thresholds)
    return ThresholdsTried.model_validate(tried)


@router.get("/models", responses=responses(403), summary="Models, and those in use", openapi_extra=NEEDS_TOKEN)
def models(request: Request, _: _Uncached) -> list[ModelTold]:
    """Shipped, and trained here."""
    return [ModelTold.model_validate(each) for each in administration.models_told(service_of(request).data_dir)]
