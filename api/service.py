"""What the routes of one service share."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anyio import CapacityLimiter
from fastapi import Request, Response

from api.middleware import Figures
from api.photos.keeping import PhotoFiles, open_photos
from api.photos.uploads import Uploads
from api.settings import Settings
from api.store.database import Database
from api.store.reading import StoreState, state_of


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
        self.photos: PhotoFiles = open_photos(self.settings.photos, self.data_dir)
        # Photos wait for each other here, not in the threads that all requests share.
        self.photo_thread = CapacityLimiter(1)
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


def unchanged(request: Request, state: StoreState) -> Response | None:
    """The answer to who has seen this state of the store already (RFC 9110, If-None-Match); None to others."""
    tag = entity_tag(request, state)
    seen = {each.strip() for each in request.headers.get("if-none-match", "").split(",")}
    return Response(status_code=304, headers=validators(tag)) if tag in seen or "*" in seen else None


def entity_tag(request: Request, state: StoreState) -> str:
    """Name of what an address gives in a state of the store."""
    seen = f"{state.revision} {state.changed_at.isoformat()} {request.url.path}?{request.url.query}"
    return f'W/"{hashlib.blake2b(seen.encode(), digest_size=12).hexdigest()}"'


def validators(tag: str) -> dict[str, str]:
    """Headers by which a client asks again only whether anything has changed."""
    return {"ETag": tag, "Cache-Control": "no-cache"}


def current_state(service: Service) -> StoreState:
    """How far the store is."""
    return state_of(service.database)


def json_line(text: str, media_type: str, headers: dict[str, Any] | None = None) -> Response:
    """An answer of JSON that is text already."""
    return Response(text, media_type=media_type, headers=headers)
