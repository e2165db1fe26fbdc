"""What the routes of one service share."""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from anyio import CapacityLimiter
from fastapi import Request, Response
from pydantic import BaseModel

from api.identity.oidc import OidcProvider
from api.identity.sign_in import ClaimNames, SignInLimit
from api.middleware import Figures
from api.photos.keeping import PhotoFiles, open_photos
from api.photos.uploads import Uploads
from api.settings import Settings
from api.store.database import Database
from api.store.reading import StoreState, state_of
from api.store.scope import PUBLISHED, Scope
from api.store.tables import users

_LOOKED_EVERY_S: Final = 1.0


@dataclass
class Service:
    """What the routes of one service share.

    Parameters
    ----------
    settings
        Of the environment.
    database
        The store.
    figures
        For Prometheus.
    """

    settings: Settings
    database: Database
    figures: Figures = field(default_factory=Figures)

    def __post_init__(self) -> None:
        self.exports = threading.BoundedSemaphore(self.settings.max_exports_at_once)
        oidc = self.settings.oidc()
        self.provider = None if oidc is None else OidcProvider(oidc)
        self.claim_names = ClaimNames(groups=self.settings.oidc_groups_claim)
        self.sign_in_limit = SignInLimit()
        self.has_accounts_already = False
        self._looked_s = -math.inf
        self.photos: PhotoFiles = open_photos(self.settings.photos, self.data_dir)
        # Photos wait for each other here, not in the threads that all requests share.
        self.photo_thread = CapacityLimiter(1)
        self.uploads = Uploads(self.data_dir / "uploads", self.photos, self.database)

    def close(self) -> None:
        """Close what it holds open."""
        if self.provider is not None:
            self.provider.close()
        self.database.close()

    def has_accounts(self) -> bool:
        """Whether there has ever been an account; looked up once a second until there is one."""
        now_s = time.monotonic()
        if not self.has_accounts_already and now_s - self._looked_s > _LOOKED_EVERY_S:
            with self.database.reading() as connection:
                self.has_accounts_already = connection.execute(sa.select(users.c.seq).limit(1)).first() is not None
            self._looked_s = now_s
        return self.has_accounts_already

    @property
    def is_safe(self) -> bool:
        """Whether it is reached by TLS."""
        return (self.settings.public_url or "").startswith("https://")

    @property
    def cookie_name(self) -> str:
        """Of a session's cookie. The prefix has browsers take it from this host alone, by TLS alone."""
        return "__Host-sylvigie" if self.is_safe else "sylvigie"

    @property
    def data_dir(self) -> Path:
        """The data directory."""
        return self.settings.data_dir.expanduser()

    def base_url(self, request: Request) -> str:
        """Address of the service, without a slash at its end."""
        return (self.settings.public_url or str(request.base_url)).rstrip("/")


def service_of(request: Request) -> Service:
    """The service that a request came to."""
    service: Service = request.app.state.service
    return service


def answer(request: Request, make: Callable[[Service, StoreState], Response]) -> Response:
    """What `make` answers, once for each state of the store (RFC 9110, ETag and If-None-Match).

    Parameters
    ----------
    request
        Who has seen this state of the address already is told so, and nothing is made.
    make
        Makes the answer.
    """
    service = service_of(request)
    state = current_state(service)
    tag = _entity_tag(request, state)
    validators = {"ETag": tag, "Cache-Control": "no-cache" if scope_of(request) == PUBLISHED else "private, no-cache"}
    seen = {each.strip() for each in request.headers.get("if-none-match", "").split(",")}
    if tag in seen or "*" in seen:
        return Response(status_code=304, headers=validators)
    made = make(service, state)
    made.headers.update(validators)
    return made


def model_answer(model: BaseModel) -> Response:
    """A model as JSON."""
    return Response(model.model_dump_json(), media_type="application/json")


def _entity_tag(request: Request, state: StoreState) -> str:
    """Name of what an address gives in a state of the store."""
    where = f"{request.url.path}?{request.url.query}"
    seen = f"{state.revision} {state.changed_at.isoformat()} {where} {scope_of(request).name}"
    return f'W/"{hashlib.blake2b(seen.encode(), digest_size=12).hexdigest()}"'


def scope_of(request: Request) -> Scope:
    """Alerts that the caller of a request may know of; its route has named a right, which told who calls."""
    scope: Scope = request.state.caller.scope
    return scope


def current_state(service: Service) -> StoreState:
    """How far the store is."""
    return state_of(service.database)
