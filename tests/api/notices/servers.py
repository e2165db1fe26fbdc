"""Servers on this machine that take notices, or do not, as they are told."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


@dataclass
class Mailbox:
    """What an SMTP server took; `answers` are what it says to the next recipients, or to the next messages."""

    messages: list[EmailMessage] = field(default_factory=list)
    written: list[bytes] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    of_recipients: list[str] = field(default_factory=list)
    of_messages: list[str] = field(default_factory=list)
    port: int = 0

    async def handle_RCPT(  # noqa: N802 - as aiosmtpd calls it
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.of_recipients.pop(0) if self.of_recipients else "250 ok"
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        answer = self.of_messages.pop(0) if self.of_messages else "250 taken"
        if answer == "drop":
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
            return "421 gone"
        if answer.startswith("250"):
            assert isinstance(envelope.content, bytes)
            self.written.append(envelope.content)
            self.messages.append(message_from_bytes(envelope.content, EmailMessage, policy=default))
            self.recipients += envelope.rcpt_tos
        return answer

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"


@contextmanager
def smtp_server(tls: ssl.SSLContext | None = None, *, from_the_start: bool = False) -> Iterator[Mailbox]:
    """An SMTP server; with STARTTLS, or TLS from the first byte, where it is given a certificate."""
    mailbox = Mailbox()
    options: dict[str, Any] = {"ssl_context" if from_the_start else "tls_context": tls} if tls else {}
    # Port 0: the system's choice, which the controller cannot find out by itself.
    controller = _AnyPort(mailbox, hostname="127.0.0.1", port=0, **options)
    controller.start()
    mailbox.port = controller.port
    try:
        yield mailbox
    finally:
        controller.stop()


class _AnyPort(Controller):
    def _trigger_server(self) -> None:
        """Begin with a trial connection, which needs to know the port."""
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


@dataclass
class Hook:
    """What a webhook was sent; `answers` are what it says: a status, with headers, or "drop"."""

    posts: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    answers: list[int | str | tuple[int, Mapping[str, str]]] = field(default_factory=list)
    url: str = ""


@contextmanager
def http_server() -> Iterator[Hook]:
    """A webhook."""
    hook = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            answer = hook.answers.pop(0) if hook.answers else 200
            hook.paths.append(self.path)
            body = self.rfile.read(int(self.headers["content-length"]))
            if answer == "drop":
                self.close_connection = True
                return
            status, headers = answer if isinstance(answer, tuple) else (answer, {})
            if status == 200:
                hook.posts.append(json.loads(body))
                hook.headers.append({name.lower(): value for name, value in self.headers.items()})
            self.send_response(int(status))
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *words: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    hook.url = f"http://127.0.0.1:{server.server_address[1]}/hooks/key"
    try:
        yield hook
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
