"""The service: `create_app(settings)` builds it; nothing is opened before it starts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import to_thread
from fastapi import Depends, FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import JSONResponse

from api.access import allowed
from api.identity.reset_mail import deliver_by_mail
from api.identity.roles import Right
from api.middleware import Gate
from api.notices.sending import post_of
from api.openapi import description_of
from api.problems import lay_handlers
from api.routes import (
    administration,
    alerts,
    auth,
    features,
    feeds,
    health,
    images,
    maps,
    notices,
    page,
    people,
    photos,
    reports,
    subscriptions,
    users,
)
from api.service import Deliver, Service
from api.settings import Settings
from api.store.database import Database
from api.store.upgrading import require_current
from detector.pipeline import software_version

_MODULES = (
    features,
    alerts,
    images,
    feeds,
    maps,
    people,
    reports,
    photos,
    notices,
    subscriptions,
    auth,
    users,
    health,
    page,
    administration,
)
ROUTERS = tuple(module.router for module in _MODULES)
"""All addresses of the service but its own description."""
THREADS = 4
"""Requests that one process works on at a time; others wait their turn."""
_DESCRIPTION = (
    "Alertes de coupes rases vues par Sentinel-2 : OGC API - Features, tuiles, images, exports. "
    "/ Alerts of clear-cuts seen by Sentinel-2. Sylvigie never says that a felling is illegal."
)


def _deliver(settings: Settings) -> Deliver | None:
    """What sends links for new passwords, where the settings tell of a mail server."""
    post = post_of(settings)
    return None if post is None else deliver_by_mail(*post)


def create_app(settings: Settings) -> FastAPI:
    """Build the service.

    Parameters
    ----------
    settings
        Of the environment.

    Raises
    ------
    tiles.errors.SylvigieError
        When an address of the store will not do; when it starts, where the store cannot serve.
    """
    service = Service(settings, Database(settings.store_url()), deliver=_deliver(settings))

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:  # noqa: ARG001 - as FastAPI calls it
        require_current(service.database)
        # Python runs one thread at a time: more that wait for it make each other wait longer.
        to_thread.current_default_thread_limiter().total_tokens = THREADS
        yield
        service.database.close()

    app = FastAPI(
        title="Sylvigie",
        description=_DESCRIPTION,
        version=software_version(),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=running,
    )
    app.state.service = service
    for router in ROUTERS:
        app.include_router(router)
    lay_handlers(app)

    @app.get(f"{features.ROOT}/openapi.json", include_in_schema=False, dependencies=[Depends(allowed(Right.READ))])
    async def description() -> JSONResponse:
        return JSONResponse(description_of(app), media_type="application/vnd.oai.openapi+json;version=3.0")

    app.add_middleware(GZipMiddleware, minimum_size=2000, compresslevel=4)
    origins = [origin.strip() for origin in settings.cors_origins.split(",") if origin.strip()]
    if origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=origins, allow_methods=["GET"], allow_headers=["If-None-Match"]
        )
    app.add_middleware(
        Gate,
        figures=service.figures,
        requests_per_minute=settings.requests_per_minute,
        most_body_bytes=settings.max_body_bytes,
        longer_bodies={photos.UPLOADS: settings.max_photo_bytes},
    )
    return app
