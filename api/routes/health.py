"""How the service does: for those who run it."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.access import allowed
from api.identity.roles import Right
from api.problems import responses
from api.schemas import Health, Readiness
from api.service import current_state, service_of
from detector.pipeline import software_version

router = APIRouter(tags=["Operation"], dependencies=[Depends(allowed(Right.OPERATE))])


@router.get("/health", responses=responses(), summary="Whether the process lives")
async def health() -> Health:
    """Asks nothing of the store."""
    return Health(status="ok", version=software_version())


@router.get("/ready", responses=responses(), summary="Whether the service can answer")
def ready(request: Request) -> Readiness:
    """Asks the store; 503 where it does not answer."""
    service = service_of(request)
    state = current_state(request)
    engine = "sqlite" if service.database.is_sqlite else "postgresql"
    return Readiness(status="ready", store=engine, revision=state.revision, changed_at=state.changed_at)


@router.get(
    "/metrics",
    responses=responses()
    | {200: {"description": "Figures.", "content": {"text/plain": {"schema": {"type": "string"}}}}},
    response_class=Response,
    summary="Figures for Prometheus",
)
def metrics(request: Request) -> Response:
    """What this process has answered, by route; no address and no query."""
    return Response(generate_latest(service_of(request).figures.registry), media_type=CONTENT_TYPE_LATEST)
