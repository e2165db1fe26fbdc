"""What the routes of one service share."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from anyio import CapacityLimiter
from fastapi import Request, Response
from pydantic import BaseModel

from api.identity.attempts import Attempts
from api.identity.callers import ANYBODY, Caller
from api.identity.provider import Provider
from api.middleware import Figures
from api.photos.keeping import PhotoFiles, open_photos
from api.photos.uploads import Uploads
from api.places import Places
from api.settings import Settings
from api.store.database import Database
from api.store.reading import StoreState, state_of
from api.store.scope import EVERYTHING, PUBLISHED, Scope
from detector.layers.store import LAYERS_FOLDER

Deliver = Callable[[str, str], None]
"""Takes an e-mail and the address by which its owner sets a new password."""


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
    deliver
        Sends a link to an e-mail; without, links are handed out by administrators alone.
    """

    settings: Settings
    database: Database
    figures: Figures = field(default_factory=Figures)
    deliver: Deliver | None = None

    def __post_init__(self) -> None:
        provider = self.settings.provider()
        self.provider = None if provider is None else Provider(provider)
        self.attempts = Attempts()
        self.exports = threading.BoundedSemaphore(self.settings.max_exports_at_once)
        self.photos: PhotoFiles = open_photos(self.settings.photos, self.data_dir)
        # Photos wait for each other here, not in the threads that all requests share.
        self.photo_thread = CapacityLimiter(1)
        self.places = Places(self.data_dir / LAYERS_FOLDER)
        self.uploads = Uploads(self.data_dir / "uploads", self.photos, self.database)

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


def answer(
    request: Request,
    make: Callable[[Service, StoreState], Response],
    files: Callable[[Service], Sequence[Path]] = lambda _: (),
) -> Response:
    """What `make` answers, once for each state of the store (RFC 9110, ETag and If-None-Match).

    Parameters
    ----------
    request
        Who has seen this state of the address already is told so, and nothing is made.
    make
        Makes the answer.
    files
        Gives the files that the answer is made of beside the store: they change without it.
    """
    service = service_of(request)
    state = current_state(request)
    tag = _entity_tag(request, state, files(service))
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


def _entity_tag(request: Request, state: StoreState, files: Sequence[Path]) -> str:
    """Name of what an address gives in a state of the store and of files."""
    where = f"{request.url.path}?{request.url.query}"
    seen = f"{state.revision} {state.changed_at.isoformat()} {where} {scope_of(request).name}"
    for path in files:
        with suppress(OSError):  # who makes the answer says what is wrong with it
            about = path.stat()
            seen += f" {path} {about.st_ino} {about.st_mtime_ns} {about.st_size}"
    return f'W/"{hashlib.blake2b(seen.encode(), digest_size=12).hexdigest()}"'


def scope_of(request: Request) -> Scope:
    """Alerts that the caller of a request may know of; its route has named a right, which told who calls."""
    caller: Caller = request.state.caller
    if caller is ANYBODY:
        return PUBLISHED if current_state(request).accounts else EVERYTHING
    return caller.scope


def current_state(request: Request) -> StoreState:
    """How far the store is: looked up once for a request, before anything else of it."""
    if not hasattr(request.state, "store_state"):
        request.state.store_state = state_of(service_of(request).database)
    state: StoreState = request.state.store_state
    return state
