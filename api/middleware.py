"""What every request goes through: an identity, limits, headers that browsers obey, a line of log, figures."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{8,64}")
_LONGEST_QUERY: Final = 8192
"""Bytes of a query: a filter of a hundred communes is a tenth of it."""

SECURITY_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(), camera=(), microphone=()",
}
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


@dataclass
class Figures:
    """What the service has done, for Prometheus; of this process."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        labels = ("method", "route", "status")
        self.requests = Counter("sylvigie_http_requests", "Requests answered.", labels, registry=self.registry)
        self.seconds = Histogram(
            "sylvigie_http_seconds",
            "Seconds until the last byte was sent.",
            ("route",),
            registry=self.registry,
            buckets=_BUCKETS,
        )


class Gate:
    """ASGI middleware around the whole service.

    Parameters
    ----------
    app
        The service.
    figures
        That it fills.
    requests_per_minute
        Of one client's address, to one process; 0 is no limit.
    most_body_bytes
        Of a request.
    longer_bodies
        Beginnings of paths that take longer ones, and how long (bytes).
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        figures: Figures,
        requests_per_minute: int,
        most_body_bytes: int,
        longer_bodies: Mapping[str, int] | None = None,
    ) -> None:
        self._app, self._figures, self._most_body_bytes = app, figures, most_body_bytes
        self._longer_bodies = dict(longer_bodies or {})
        self._rate = RateLimitItemPerMinute(requests_per_minute) if requests_per_minute else None
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._log = structlog.get_logger("sylvigie.http")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, request_id = time.perf_counter(), _request_id(scope["headers"])
        scope.setdefault("state", {})["request_id"] = request_id
        status, taken, begun, most_body_bytes = 500, 0, False, self._most_bytes(scope["path"])

        async def sent(message: Message) -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                status, begun = message["status"], True
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        async def received() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > most_body_bytes:
                raise HTTPException(413, f"The body is longer than {most_body_bytes} bytes.")
            return message

        try:
            refusal = self._refusal(scope)
            if refusal is not None:
                await refusal(scope, receive, sent)
            else:
                await self._app(scope, received, sent)
        except Exception:
            self._log.exception("fault", request_id=request_id)
            if begun:
                raise
            await _problem(500, f"A fault of Sylvigie's own: tell us the request {request_id}.")(scope, receive, sent)
        finally:
            self._tell(scope, status, time.perf_counter() - started, request_id)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        """What is refused before anything is looked at."""
        if len(scope["query_string"]) > _LONGEST_QUERY:
            return _problem(414, f"The query is longer than {_LONGEST_QUERY} bytes: ask for less at once.")
        length = dict(scope["headers"]).get(b"content-length", b"0")
        most_body_bytes = self._most_bytes(scope["path"])
        if not length.isdigit() or int(length) > most_body_bytes:
            return _problem(413, f"The body is longer than {most_body_bytes} bytes.")
        client = scope["client"][0] if scope.get("client") else "unknown"
        if self._rate is not None and not self._limiter.hit(self._rate, client):
            wait = max(1, round(self._limiter.get_window_stats(self._rate, client).reset_time - time.time()))
            return _problem(429, f"Too many requests: wait {wait} seconds.", {"Retry-After": str(wait)})
        return None

    def _most_bytes(self, path: str) -> int:
        longer = (most for beginning, most in self._longer_bodies.items() if path.startswith(beginning))
        return max(longer, default=self._most_body_bytes)

    def _tell(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        """A line of log and the figures: neither address nor query, which may tell who asks for what."""
        route = getattr(scope.get("route"), "path", "none")
        self._figures.requests.labels(scope["method"], route, str(status)).inc()
        self._figures.seconds.labels(route).observe(seconds)
        self._log.info(
            "request",
            method=scope["method"],
            route=route,
            status=status,
            milliseconds=round(seconds * 1000, 1),
            request_id=request_id,
        )


def _request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The client's, where it looks like one; else a new one."""
    given = next((value.decode("latin-1") for name, value in headers if name == b"x-request-id"), "")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def _problem(status: int, sentence: str, headers: dict[str, Any] | None = None) -> JSONResponse:
    return JSONResponse({"code": str(status), "description": sentence}, status, headers)
