"""A web server of byte ranges that misbehaves on a seed, in a process of its own.

Which request goes wrong, and how, is drawn from the seed, the path, the range and how often that was asked for before:
not from the order in which threads come. What it does is read anew from a file for each request, so that a test can
change it; each request is logged when its answer ends.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SECRET = "do-not-tell"
"""Part of every signature: it must be in no message and no log of the client."""

SHARED_FAULTS = (
    "429",
    "500",
    "502",
    "503",
    "504",
    "truncate",
    "drop",
    "redirect",
    "403",
    "whole",
    "page",
    "other_range",
)
"""What may go wrong with a request, and costs no time; "stall" and "trickle" do."""


_FORGET = "/-/forget"


@dataclass(frozen=True)
class Manners:
    """How the server behaves.

    Parameters
    ----------
    seed
        Of what follows.
    shares
        Share of requests that each fault takes.
    in_row
        The same range is refused so often at most, one time after the other.
    broken
        Statuses of paths that always fail; a path stands for all that begin with it.
    retry_after_s, as_date
        What a 429 or 503 asks for; None for nothing.
    stall_s
        How long a stalled answer takes, and a trickle.
    uses
        Requests for which a signature is good; None where none is asked for.
    pause_s
        Time that each answer takes: requests under way at once can then be seen.
    elsewhere
        Another server, which every request is redirected to.
    """

    seed: int = 0
    shares: Mapping[str, float] = field(default_factory=dict)
    in_row: int = 2
    broken: Mapping[str, int] = field(default_factory=dict)
    retry_after_s: float | None = 0
    as_date: bool = False
    stall_s: float = 1.0
    uses: int | None = None
    pause_s: float = 0.0
    elsewhere: str | None = None


@dataclass(frozen=True)
class Request:
    """A line of the log: seconds of the machine's monotonic clock, and requests under way when it came, itself too."""

    path: str
    query: str
    range: str | None
    status: int
    fault: str | None
    began_s: float
    active: int
    headers: Mapping[str, str]


class BadServer:
    """The server, as a test sees it."""

    def __init__(self, url: str, manners: Path, log: Path) -> None:
        self.url = url
        self._manners_file, self._log_file = manners, log

    def behave(self, manners: Manners) -> None:
        """Behave otherwise from now on."""
        partial = self._manners_file.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(manners)))
        partial.replace(self._manners_file)

    @property
    def log(self) -> list[Request]:
        """Requests so far, in the order in which they came."""
        lines = self._log_file.read_text().splitlines() if self._log_file.exists() else []
        return sorted((Request(**json.loads(line)) for line in lines), key=lambda request: request.began_s)

    def forget(self) -> None:
        """Empty the log, and count anew, once what is under way has ended: a client that left is noticed later."""
        with urllib.request.urlopen(f"{self.url}{_FORGET}", timeout=10) as answer:
            assert answer.status == 204


@contextmanager
def bad_server(directory: Path, work: Path, manners: Manners | None = None) -> Iterator[BadServer]:
    """Serve a folder from a process of its own; `work` is a folder for its manners and its log."""
    work.mkdir(parents=True, exist_ok=True)
    manners_file, log_file = work / "manners.json", work / "requests.log"
    manners_file.write_text(json.dumps(asdict(manners or Manners())))
    command = [sys.executable, __file__, str(directory), str(manners_file), str(log_file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield BadServer(f"http://127.0.0.1:{process.stdout.readline().strip()}", manners_file, log_file)
        finally:
            process.terminate()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
        pass

    def do_HEAD(self) -> None:
        self._answer(head=True)

    def do_GET(self) -> None:
        self._answer()

    def _answer(self, head: bool = False) -> None:
        if self.path == _FORGET:
            self.server.forget()
            self.send_response(204)
            return self.end_headers()
        self._came_s, self._active = time.monotonic(), self.server.enter()
        self._left = False
        self._status = 0
        self._fault: str | None = None
        self._parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(self._parts.query))
        try:
            self._serve(urllib.parse.unquote(self._parts.path), query, head)
        except OSError:
            self.close_connection = True  # the client went away
        finally:
            self._leave()

    def _leave(self) -> None:
        """Under way no longer: said, and logged, before the client can know that it has all."""
        if self._left:
            return
        self._left = True
        headers = {name: self.headers[name] for name in ("Authorization", "Accept-Encoding") if name in self.headers}
        self.server.leave(
            Request(
                self._parts.path,
                self._parts.query,
                self.headers.get("Range"),
                self._status,
                self._fault,
                self._came_s,
                self._active,
                headers,
            )
        )

    def _serve(self, path: str, query: Mapping[str, str], head: bool) -> None:
        manners = self.server.manners()
        time.sleep(manners.pause_s)
        if manners.elsewhere is not None:
            return self._send(
                302, {"Location": f"{manners.elsewhere}{path}?direct={SECRET}", "Content-Length": "0"}, b""
            )
        for broken, status in manners.broken.items():
            if path.startswith(broken):
                return self._refuse(status, manners)
        if manners.uses is not None and not self.server.good(query.get("sig", ""), manners.uses):
            return self._refuse(403, manners)
        file = self.server.directory / path.lstrip("/")
        if not file.is_file():
            return self._refuse(404, manners)
        fault = self._fault = self.server.draw(manners, path, self.headers.get("Range"), query)
        total = file.stat().st_size
        if fault is not None and fault.isdecimal():
            return self._refuse(int(fault), manners)
        if fault == "drop":
            self.close_connection = True
            return None
        if fault == "redirect":
            return self._send(302, {"Location": f"{path}?direct={SECRET}", "Content-Length": "0"}, b"")
        if fault == "page":
            page = b"<html>back in a minute</html>" * 2000
            return self._send(200, {"Content-Type": "text/html", "Content-Length": str(len(page))}, page)
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if match is None or fault == "whole":
            body = b"" if head else file.read_bytes()
            return self._send(200, {"Content-Length": str(total)}, body, fault, manners)
        first, last = int(match[1]), min(int(match[2] or total), total - 1)
        if first >= total:
            return self._send(416, {"Content-Range": f"bytes */{total}", "Content-Length": "0"}, b"")
        if fault == "other_range":
            first = first // 2 + 1
        with file.open("rb") as source:
            source.seek(first)
            body = source.read(last + 1 - first)
        headers = {"Content-Range": f"bytes {first}-{last}/{total}", "Content-Length": str(len(body))}
        return self._send(206, headers, b"" if head else body, fault, manners)

    def _refuse(self, status: int, manners: Manners) -> None:
        headers = {"Content-Length": "0"}
        if status in (429, 503) and manners.retry_after_s is not None:
            until = time.time() + manners.retry_after_s
            headers["Retry-After"] = formatdate(until, usegmt=True) if manners.as_date else str(manners.retry_after_s)
        self._send(status, headers, b"")

    def _send(
        self,
        status: int,
        headers: Mapping[str, str],
        body: bytes,
        fault: str | None = None,
        manners: Manners | None = None,
    ) -> None:
        self._status = status
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if fault == "truncate":
            body, self.close_connection = body[: len(body) // 2], True
        if not body:
            self._leave()
        self.end_headers()
        if fault in ("stall", "trickle") and manners is not None:
            # It no longer counts as under way: a client that has given it up is right to ask again.
            self._leave()
            self.close_connection = True
            steps = 1 if fault == "stall" else 250
            for step in range(steps):
                time.sleep(manners.stall_s / steps)
                self.wfile.write(body[step : step + 1])
                self.wfile.flush()
            return
        if body:
            # The client cannot be done before the last byte: until then this request is under way.
            self.wfile.write(body[:-1])
            self._leave()
            self.wfile.write(body[-1:])


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, directory: Path, manners: Path, log: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.directory = directory
        self._manners, self._log = manners, log
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._active = 0
        self._asked: Counter[tuple[str, str | None]] = Counter()
        self._in_row: Counter[tuple[str, str | None]] = Counter()
        self._uses: Counter[str] = Counter()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is none."""

    def manners(self) -> Manners:
        return Manners(**json.loads(self._manners.read_text()))

    def enter(self) -> int:
        with self._lock:
            self._active += 1
            return self._active

    def forget(self) -> None:
        with self._idle:
            self._idle.wait_for(lambda: self._active == 0, timeout=8)
            self._log.write_text("")
            # What goes wrong next depends on nothing but the manners, not on how often earlier tests had to ask.
            self._asked.clear()
            self._in_row.clear()

    def leave(self, line: Request) -> None:
        with self._idle, self._log.open("a") as log:
            self._active -= 1
            self._idle.notify_all()
            log.write(json.dumps(asdict(line)) + "\n")

    def good(self, signature: str, uses: int) -> bool:
        """Whether a signature is one of ours and not used up."""
        with self._lock:
            self._uses[signature] += 1
            return signature.startswith(SECRET) and self._uses[signature] <= uses

    def draw(self, manners: Manners, path: str, wanted: str | None, query: Mapping[str, str]) -> str | None:
        """What goes wrong with a request, None for nothing."""
        with self._lock:
            key = path, wanted
            self._asked[key] += 1
            chance = random.Random(f"{manners.seed} {path} {wanted} {self._asked[key]}").random()
            for fault, share in manners.shares.items():
                chance -= share
                if chance < 0 and self._in_row[key] < manners.in_row and not (fault == "redirect" and query):
                    self._in_row[key] += 1
                    return fault
            self._in_row[key] = 0
            return None


def even_shares(share: float, faults: tuple[str, ...] = SHARED_FAULTS) -> dict[str, float]:
    """A share of faults, all equally often."""
    return {fault: share / len(faults) for fault in faults}


def well(manners: Manners) -> Manners:
    """The same server without faults."""
    return replace(manners, shares={}, broken={})


def _main() -> None:
    server = _Server(*map(Path, sys.argv[1:4]))
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    parent = os.getppid()
    # A test that is killed leaves no server behind.
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with suppress(KeyboardInterrupt):
        while os.getppid() == parent:
            time.sleep(0.5)


if __name__ == "__main__":
    _main()
