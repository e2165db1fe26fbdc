"""Bytes of files behind web servers, asked for politely and as often as it takes.

GDAL's own HTTP client (3.10) retries neither what it reads in several ranges at once (OSGeo/gdal#12933) nor an answer
that was cut short, does not heed ``Retry-After``, and remembers a refusal as "does not exist". So the requests are made
here; GDAL decodes what `tiles.web_raster` hands it. Each request waits for its turn at its host's `HostGate`, is
checked (status, range, length) and made again by a `RetryPolicy`. No message holds a URL's query, which may sign it.
"""

from __future__ import annotations

import datetime as dt
import importlib.util
import logging
import random
import re
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar

import httpx

from tiles.access import Access, OpenAccess
from tiles.errors import SylvigieError
from tiles.http import asked_wait_s
from tiles.remote import HostGate, HostHeldError, RemoteError, RetryPolicy

_T = TypeVar("_T")

_HOPS = 5
"""Redirections followed for one request."""

_DENIALS = 3
"""Refusals (401, 403) after which a signature renewed each time is not tried again."""

_BUCKETS = ("/vsis3/", "/vsigs/", "/vsiaz/", "/vsiadls/", "/vsioss/", "/vsiswift/", "/vsicurl/")
"""Beginnings of what GDAL reads over a network by itself."""

_MERGE_GAP_BYTES = 64 << 10
"""Two ranges nearer than this are asked for as one: the bytes between cost less than another round trip."""

_WHOLE_FILE_BYTES = 64 << 20
"""How far into a file to read where a server sends it from its beginning in place of a range."""

_DOCUMENT_BYTES = 64 << 20
"""Largest document (an item, a catalogue) that is read."""


@dataclass(frozen=True)
class Part:
    """A range of a file.

    Parameters
    ----------
    data
        Its bytes: fewer than asked for at the file's end.
    total
        Size of the file, in bytes.
    """

    data: bytes
    total: int


@dataclass(frozen=True)
class Traffic:
    """What was asked of web servers: requests sent, requests made again among them, bytes that came."""

    requests: int = 0
    retries: int = 0
    bytes: int = 0


class _Kind(Enum):
    """What an answer other than the wanted one means."""

    FINAL = "asking again is in vain"
    DENIED = "the signature may have run out"
    BUSY = "the host asks for time"
    PASSING = "the next request may go well"


class _TroubleError(Exception):
    """One request that did not give what was asked for."""

    def __init__(
        self, kind: _Kind, said: str, url: httpx.URL, *, retry_after_s: float | None = None, transient: bool = True
    ) -> None:
        super().__init__(said)
        self.kind, self.said, self.url, self.retry_after_s = kind, said, url, retry_after_s
        self.transient = transient

    @property
    def host(self) -> str:
        return self.url.netloc.decode("ascii")

    @property
    def phrase(self) -> str:
        return f"{self.said} ({public_address(str(self.url))})"


class WebFiles:
    """Reads files of web servers, whole or in ranges. Safe to call from several threads.

    Parameters
    ----------
    access
        Signs addresses. Its GDAL options ``GDAL_HTTP_BEARER`` and ``GDAL_HTTP_HEADERS`` are sent as headers.
    policy
        How failures are met.
    gate
        Limits requests by host.
    today
        The time of day, for a ``Retry-After`` that is a date in an answer that has none.
    """

    def __init__(
        self,
        access: Access | None = None,
        policy: RetryPolicy | None = None,
        gate: HostGate | None = None,
        today: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self.access: Access = access or OpenAccess()
        self.policy = policy or RetryPolicy()
        self.gate = gate or HostGate()
        self._today = today
        self._random = random.Random(self.policy.jitter_seed)
        self._lock = threading.Lock()
        self._renewing = threading.Lock()
        self._client: httpx.Client | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._moved: dict[str, str] = {}
        self._lost_s: dict[str, float] = {}
        self._totals: dict[str, int] = {}
        self._traffic = Traffic()

    @property
    def traffic(self) -> Traffic:
        """What was asked so far."""
        return self._traffic

    def fetch(self, href: str, start: int, size: int) -> Part:
        """Read a range of a file.

        Parameters
        ----------
        href
            As the catalogue has it.
        start, size
            In bytes, `size` 1 or more.

        Raises
        ------
        RemoteError
            When it was given up.
        """
        return self._insist(href, lambda address: self._range(href, address, start, size))

    def fetch_many(self, href: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Read several ranges (start, size) of a file, those near each other as one and the others side by side.

        Raises
        ------
        RemoteError
            When one of them was given up.
        """
        merged = merge_ranges(ranges)
        if len(merged) == 1:
            parts = [self.fetch(href, *merged[0])]
        else:
            first, *others = merged
            pending = [self._workers().submit(self.fetch, href, *other) for other in others]
            try:
                parts = [self.fetch(href, *first), *(future.result() for future in pending)]
            finally:
                # Where one was given up the others are not left to go on behind the caller's back.
                for future in pending:
                    future.cancel()
                wait(pending)
        return [_cut(wanted, merged, parts) for wanted in ranges]

    def document(self, href: str) -> bytes:
        """Read a whole document, such as an item of a catalogue.

        Raises
        ------
        RemoteError
            When it was given up.
        """
        return self._insist(href, lambda address: self._request(address, 0, None)).data

    def address(self, href: str) -> str:
        """What an href is opened by, signed where the archive wants it.

        Raises
        ------
        RemoteError
            When the archive's service of signatures does not answer.
        """
        return self._insist(href, lambda address: address)

    def forget(self, href: str) -> None:
        """Drop what is known of a file: it may have been replaced."""
        with self._lock:
            self._totals.pop(href, None)

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            client, pool = self._client, self._pool
            self._client = self._pool = None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)
        if client is not None:
            client.close()

    def delay_s(self, attempt: int) -> float:
        """Seconds to wait after so many attempts."""
        policy = self.policy
        return self._random.uniform(0, min(policy.longest_delay_s, policy.first_delay_s * 2 ** (attempt - 1)))

    def _insist(self, href: str, act: Callable[[str], _T]) -> _T:
        """Do something with an href's address, again and again within the policy's bounds."""
        policy, clock = self.policy, self.gate.clock
        attempt = denials = 0
        began: float | None = None
        try:
            while True:
                attempt += 1
                started, address = clock(), None
                try:
                    address = self._signed(href)
                    return act(address)
                except _TroubleError as trouble:
                    began = started if began is None else began
                    denials += trouble.kind is _Kind.DENIED
                    self._hold(trouble, attempt)
                    if trouble.kind is _Kind.FINAL or denials >= _DENIALS:
                        raise RemoteError(trouble.phrase, trouble.transient) from None
                    impatient = self._lost_s.get(href, 0.0) + clock() - began >= policy.patience_s
                    if attempt >= policy.attempts or impatient or self.gate.is_lost(trouble.host):
                        self.gate.note(trouble.host, went_well=False)
                        tries = "1 attempt" if attempt == 1 else f"{attempt} attempts"
                        raise RemoteError(f"given up after {tries}, at last {trouble.phrase}", transient=True) from None
                    self._make_ready(href, address, trouble, attempt, denials)
                    self._count(retries=1)
        finally:
            if began is not None:
                with self._lock:
                    self._lost_s[href] = self._lost_s.get(href, 0.0) + clock() - began

    def _hold(self, trouble: _TroubleError, attempt: int) -> None:
        """Where a host asks for time, give it: not by this thread alone, but by all."""
        if trouble.kind is _Kind.BUSY:
            self.gate.hold(trouble.host, max(self.delay_s(attempt), trouble.retry_after_s or 0.0))

    def _make_ready(self, href: str, address: str | None, trouble: _TroubleError, attempt: int, denials: int) -> None:
        """What is to be done between a failure and the next request."""
        if trouble.kind is _Kind.DENIED:
            # What fails here fails again at the next attempt, and is told then.
            # Of many threads that were refused, the first renews.
            with suppress(_TroubleError), self._renewing:
                if self._signed(href) == address:
                    self._ask_access(href, self.access.renew)
        # The first signature renewed is tried at once; a host that is held is waited for at its gate.
        if trouble.kind is _Kind.PASSING or denials > 1:
            self.gate.pause(self.delay_s(attempt))

    def _signed(self, href: str) -> str:
        address = self._ask_access(href, self.access.address)
        return address.removeprefix("/vsicurl/")

    def _ask_access(self, href: str, ask: Callable[[str], _T]) -> _T:
        """Call an archive's access, whose own service may fail as well."""
        try:
            return ask(href)
        except SylvigieError as error:
            raise RemoteError(str(error), transient=True) from error
        except (httpx.HTTPError, OSError) as error:
            said = f"no signature was given, {type(error).__name__}"
            raise _TroubleError(_Kind.PASSING, said, httpx.URL(public_address(href))) from None

    def _range(self, href: str, address: str, start: int, size: int) -> Part:
        part = self._request(address, start, size)
        with self._lock:
            known = self._totals.setdefault(href, part.total)
        if part.total != known:
            said = "a file of another size than before"
            raise _TroubleError(_Kind.PASSING, said, httpx.URL(address))
        return part

    def _request(self, address: str, start: int, size: int | None) -> Part:
        """One request, and those that it is redirected to."""
        try:
            url = httpx.URL(self._moved.get(address, address))
        except httpx.InvalidURL:
            raise RemoteError(f"no address of a web server ({public_address(address)})", transient=False) from None
        try:
            for _ in range(_HOPS):
                headers = self._headers(url, httpx.URL(address), start, size)
                turn = self.gate.turn(url.netloc.decode("ascii"), self.policy.longest_hold_s)
                with turn, self._send(url, headers) as response:
                    if not response.has_redirect_location:
                        part = self._part(response, start, size)
                        break
                    url = url.join(response.headers["Location"])
            else:
                raise _TroubleError(_Kind.FINAL, f"more than {_HOPS} redirections", url)
        except HostHeldError as held:
            raise _TroubleError(_Kind.FINAL, str(held), url) from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise _TroubleError(_Kind.FINAL, "no address of a web server", url, transient=False) from None
        except httpx.HTTPError as error:
            self._moved.pop(address, None)
            raise _TroubleError(_Kind.PASSING, _said_of(error), url) from None
        except _TroubleError as trouble:
            # Where it was redirected to may have run out, and be renewed by asking the first address again.
            if self._moved.pop(address, None) is not None and trouble.kind is _Kind.FINAL:
                trouble.kind = _Kind.PASSING
            raise
        if str(url) != address:
            self._moved[address] = str(url)
        self.gate.note(url.netloc.decode("ascii"), went_well=True)
        return part

    def _headers(self, url: httpx.URL, first: httpx.URL, start: int, size: int | None) -> dict[str, str]:
        headers = {"Accept-Encoding": "identity"}
        if size is not None:
            headers["Range"] = f"bytes={start}-{start + size - 1}"
        if (url.scheme, url.netloc) == (first.scheme, first.netloc):  # credentials are for no other host
            headers |= credential_headers(self.access.gdal_options)
        return headers

    @contextmanager
    def _send(self, url: httpx.URL, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        client = self._http()
        self._count(requests=1)
        response = client.send(client.build_request("GET", url, headers=headers), stream=True)
        try:
            yield response
        finally:
            response.close()

    def _part(self, response: httpx.Response, start: int, size: int | None) -> Part:
        """What an answer holds, checked against what was asked."""
        status = response.status_code
        total = _size_told(response)
        if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and total is not None and start >= total:
            return Part(b"", total)
        if status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
            raise self._refusal(response)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise _trouble(response, "an answer compressed on the way")
        if response.headers.get("Content-Type", "").startswith("text/html"):
            raise _trouble(response, "a page in place of the file")
        if size is None:
            return self._document(response)
        if status == HTTPStatus.OK:
            return self._part_of_whole(response, start, size)
        match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", response.headers.get("Content-Range", ""))
        if match is None or int(match[1]) != start:
            raise _trouble(response, "another range than asked for")
        total = int(match[3])
        wanted = min(size, total - start)
        data = self._body(response, wanted)
        if len(data) != wanted:
            raise _trouble(response, "an answer cut short")
        return Part(data, total)

    def _part_of_whole(self, response: httpx.Response, start: int, size: int) -> Part:
        """A range, where the server sends the file from its beginning: simple servers know no ranges."""
        total = int(response.headers.get("Content-Length", -1))
        if total < 0:
            raise _trouble(response, "an answer of no known length")
        if start >= total:
            return Part(b"", total)
        stop = min(start + size, total)
        if stop > _WHOLE_FILE_BYTES:
            raise _trouble(response, "the whole file in place of a range")
        data = self._body(response, stop)
        if len(data) != stop:
            raise _trouble(response, "an answer cut short")
        return Part(data[start:], total)

    def _document(self, response: httpx.Response) -> Part:
        data = self._body(response, _DOCUMENT_BYTES)
        if len(data) != int(response.headers.get("Content-Length", len(data))):
            raise _trouble(response, "an answer cut short")
        return Part(data, len(data))

    def _body(self, response: httpx.Response, most: int) -> bytes:
        """The first bytes of an answer, which must come in time: a trickle would never time out by itself."""
        deadline = self.gate.clock() + self.policy.request_timeout_s
        body = bytearray()
        try:
            for chunk in response.iter_raw():
                body += chunk
                if len(body) >= most:
                    break
                if self.gate.clock() > deadline:
                    raise _trouble(response, f"an answer slower than {self.policy.request_timeout_s:g} s")
        finally:
            self._count(received=len(body))
        return bytes(body[:most])

    def _refusal(self, response: httpx.Response) -> _TroubleError:
        status = response.status_code
        said = f"{status} {response.reason_phrase}".strip()
        retry_after_s = asked_wait_s(response.headers, self._today)
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return _TroubleError(_Kind.DENIED, said, response.url)
        if status == HTTPStatus.TOO_MANY_REQUESTS or (status >= 500 and retry_after_s is not None):
            return _TroubleError(_Kind.BUSY, said, response.url, retry_after_s=retry_after_s)
        if status in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY) or status >= 500:
            return _TroubleError(_Kind.PASSING, said, response.url)
        self.gate.note(response.url.netloc.decode("ascii"), went_well=True)  # the host is there, the file is not
        return _TroubleError(_Kind.FINAL, said, response.url, transient=False)

    def _count(self, requests: int = 0, retries: int = 0, received: int = 0) -> None:
        with self._lock:
            old = self._traffic
            self._traffic = Traffic(old.requests + requests, old.retries + retries, old.bytes + received)

    def _http(self) -> httpx.Client:
        # At the first request only: certificates take a tenth of a second to load, which files on a disk need not.
        with self._lock:
            if self._client is None:
                policy, most = self.policy, self.gate.max_requests_per_host
                logging.getLogger("httpx").addFilter(without_queries)
                self._client = httpx.Client(
                    http2=importlib.util.find_spec("h2") is not None,
                    timeout=httpx.Timeout(policy.stall_timeout_s, connect=policy.connect_timeout_s),
                    # Places are given by the gate: none is waited for here.
                    limits=httpx.Limits(max_connections=None, max_keepalive_connections=2 * most),
                    headers={"User-Agent": "sylvigie"},
                )
                weakref.finalize(self, self._client.close)
            return self._client

    def _workers(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self.gate.max_requests_per_host, thread_name_prefix="remote")
            return self._pool


def is_remote(address: str) -> bool:
    """Whether an address leads over a network."""
    return "://" in address or address.startswith(_BUCKETS)


def public_address(address: str) -> str:
    """An address without what may be secret in it: user, query and fragment."""
    path = re.split(r"[?#]", address, maxsplit=1)[0]
    return re.sub(r"^([A-Za-z][A-Za-z0-9+.-]*://)[^/]*@", r"\1", path)


def without_queries(record: logging.LogRecord) -> bool:
    """A filter of the log of httpx, which would write signed addresses."""
    if isinstance(record.args, tuple):
        record.args = tuple(public_address(str(arg)) if isinstance(arg, httpx.URL) else arg for arg in record.args)
    return True


def credential_headers(gdal_options: Mapping[str, str]) -> dict[str, str]:
    """The headers that GDAL would send by its own options."""
    lines = re.split(r"[\r\n]+|,(?=[^\s:,]+:)", gdal_options.get("GDAL_HTTP_HEADERS", ""))
    if file := gdal_options.get("GDAL_HTTP_HEADER_FILE"):
        with suppress(FileNotFoundError):  # no token yet
            lines += Path(file).read_text(encoding="utf-8").splitlines()
    headers = {name.strip(): value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon}
    if bearer := gdal_options.get("GDAL_HTTP_BEARER"):
        headers["Authorization"] = f"Bearer {bearer}"
    return headers


def merge_ranges(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges (start, size) in order, those that meet or nearly do as one."""
    merged: list[tuple[int, int]] = []
    for start, size in sorted(ranges):
        if merged and start <= sum(merged[-1]) + _MERGE_GAP_BYTES:
            first = merged[-1][0]
            merged[-1] = first, max(sum(merged[-1]), start + size) - first
        else:
            merged.append((start, size))
    return merged


def _cut(wanted: tuple[int, int], merged: Sequence[tuple[int, int]], parts: Sequence[Part]) -> bytes:
    """A range out of those that were read."""
    start, size = wanted
    for (first, length), part in zip(merged, parts, strict=True):
        if first <= start and start + size <= first + length:
            return part.data[start - first : start - first + size]
    raise AssertionError(f"no range holds {wanted}")


def _trouble(response: httpx.Response, said: str) -> _TroubleError:
    return _TroubleError(_Kind.PASSING, said, response.url)


def _said_of(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    return "no connection" if isinstance(error, httpx.ConnectError) else "a connection lost"


def _size_told(response: httpx.Response) -> int | None:
    match = re.fullmatch(r"bytes \*/(\d+)", response.headers.get("Content-Range", ""))
    return None if match is None else int(match[1])
