"""Files and documents of web services: resumed where they were cut short, checked, and never half there.

A file grows as ``name.part`` beside a note of what it is a part of, and gets its name once it is whole and its checksum
right. It is resumed by a request for the rest on the condition that the file is still the same (RFC 9110, 13.1.5,
``If-Range``); a service that gives neither a strong entity tag nor a date is asked for the whole again.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import random
import re
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar

import httpx

from detector.layers.manifest import sha256_of
from tiles.errors import LayerError, OutputError
from tiles.http import asked_wait_s
from tiles.placing import put_file
from tiles.remote import HostGate, HostHeldError, RemoteError, RetryPolicy
from tiles.web_files import public_address

_T = TypeVar("_T")
_HOPS = 5
_PROGRESS_BYTES = 1 << 16
"""An attempt that gained as much does not count among those in vain: a large file may be cut short many times."""
_DOCUMENT_BYTES = 512 << 20
_SPARE_BYTES = 64 << 20
"""What is left free on the disk."""


@dataclass(frozen=True)
class Checksum:
    """A published checksum: ``md5`` or ``sha256``, in hexadecimal."""

    algorithm: str
    value: str


@dataclass(frozen=True)
class Downloaded:
    """A file that is whole.

    Parameters
    ----------
    path
        Where it lies.
    sha256
        Of its content.
    checked
        Whether a published checksum was there to agree with.
    asked_again
        Whether it was there before, and the service says that it is still the same.
    """

    path: Path
    sha256: str
    checked: bool
    asked_again: bool = False


class _TroubleError(Exception):
    """A request that did not give what was asked for."""

    def __init__(self, said: str, *, final: bool = False, retry_after_s: float | None = None) -> None:
        super().__init__(said)
        self.said, self.final, self.retry_after_s = said, final, retry_after_s


def silent(*_: object) -> None:
    """Tell nobody."""


class NotThereError(LayerError):
    """The service says that there is no such file."""


class Downloads:
    """Asks web services for files and documents, one at a time.

    Parameters
    ----------
    policy
        How failures are met.
    gate
        Holds hosts that ask for time; its waiting ends a run that is stopped.
    today
        The time of day, for a ``Retry-After`` that is a date in an answer that has none.
    progress
        Told the name of a file, bytes there and bytes in all (None where not known).
    """

    def __init__(
        self,
        policy: RetryPolicy | None = None,
        gate: HostGate | None = None,
        today: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
        progress: Callable[[str, int, int | None], None] = silent,
    ) -> None:
        self.policy = policy or RetryPolicy()
        self.gate = gate or HostGate()
        self._today, self.progress = today, progress
        self._random = random.Random(self.policy.jitter_seed)
        self._client = httpx.Client(
            timeout=httpx.Timeout(self.policy.stall_timeout_s, connect=self.policy.connect_timeout_s),
            headers={"User-Agent": "sylvigie", "Accept-Encoding": "identity"},
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def document(self, url: str, query: Mapping[str, str] | None = None) -> bytes:
        """A whole document, such as a page of features.

        Parameters
        ----------
        url, query
            Its address, and what is added to the query that this has.

        Raises
        ------
        LayerError
            When the service does not give it.
        """
        address = httpx.URL(url)
        return self._insist(address.copy_merge_params(query or {}), self._document)

    def file(self, url: str, target: Path, checksum: Checksum | None = None) -> Downloaded:
        """A whole file, resumed where a part of it is there.

        Parameters
        ----------
        url
            Its address.
        target
            Where it is to lie; the parts of it beside.
        checksum
            As published.

        Raises
        ------
        LayerError
            When the service does not give it, or something else than its checksum says.
        OutputError
            When the disk does not take it.
        """
        part = _PartFile(target, url)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            while True:
                from_start = part.size == 0
                unchanged = self._insist(httpx.URL(url), lambda address: self._into(address, part))
                whole = target if unchanged else part.path
                if checksum is None or _digest(whole, checksum.algorithm) == checksum.value.lower():
                    digest = _digest(whole, "sha256")
                    if not unchanged:
                        part.finish()
                    return Downloaded(target, digest, checksum is not None, unchanged)
                part.forget()
                target.unlink(missing_ok=True)
                if from_start and not unchanged:
                    break  # what was put together of pieces gets another chance
        except OSError as error:
            raise OutputError(f"{target} cannot be written ({error.strerror or error}): make room there.") from error
        raise LayerError(
            f"{target.name} is not what its publisher says: its {checksum.algorithm.upper()} is not {checksum.value}. "
            "It was thrown away; try again later, or tell the publisher."
        )

    def _insist(self, url: httpx.URL, act: Callable[[httpx.URL], _T]) -> _T:
        """Ask again and again within the policy's bounds."""
        policy, clock, host = self.policy, self.gate.clock, url.netloc.decode("ascii")
        attempt, began = 0, clock()
        while True:
            attempt += 1
            before = self._received
            try:
                with self.gate.turn(host, policy.longest_hold_s):
                    return act(url)
            except HostHeldError as held:
                raise LayerError(f"{held}: try again later.") from None
            except (httpx.InvalidURL, httpx.UnsupportedProtocol):
                raise LayerError(f"{public_address(str(url))} is no address of a web server.") from None
            except httpx.HTTPError as error:
                trouble = _TroubleError(f"{type(error).__name__}, {error}" if str(error) else type(error).__name__)
            except _TroubleError as caught:
                trouble = caught
            where = public_address(str(url))
            if trouble.final:
                error_kind = NotThereError if trouble.said.startswith("404") else LayerError
                raise error_kind(f"{where}: {trouble.said}.") from None
            if self._received - before >= _PROGRESS_BYTES:
                attempt = 1
            if attempt >= policy.attempts or clock() - began > policy.patience_s:
                raise LayerError(
                    f"{where} was given up after {attempt} attempts, at last {trouble.said}: try again later; a file "
                    "goes on from where it was cut short."
                ) from None
            self._give_time(host, attempt, trouble)

    _received = 0

    def _give_time(self, host: str, attempt: int, trouble: _TroubleError) -> None:
        policy = self.policy
        delay_s = self._random.uniform(0, min(policy.longest_delay_s, policy.first_delay_s * 2 ** (attempt - 1)))
        if trouble.retry_after_s is not None:
            self.gate.hold(host, max(delay_s, trouble.retry_after_s))
            return
        try:
            self.gate.pause(delay_s)
        except RemoteError as stopped:
            raise LayerError(f"{host}: {stopped.reason}.") from None

    def _open(self, url: httpx.URL, headers: Mapping[str, str]) -> httpx.Response:
        """The answer to a request, at the end of its redirections; to be closed."""
        for _ in range(_HOPS):
            response = self._client.send(self._client.build_request("GET", url, headers=headers), stream=True)
            if not response.has_redirect_location:
                return response
            response.close()
            onward = url.join(response.headers["Location"])
            if url.scheme == "https" and onward.scheme != "https":
                raise _TroubleError("a redirection to a connection that is not secured", final=True)
            url = onward
        raise _TroubleError(f"more than {_HOPS} redirections", final=True)

    def _document(self, url: httpx.URL) -> bytes:
        response = self._open(url, {})
        try:
            # What a service refuses, it explains in the body.
            body = bytearray()
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > _DOCUMENT_BYTES:
                    raise _TroubleError("a document of more than 512 MB", final=True)
            if response.status_code != HTTPStatus.OK:
                raise self._refusal(response, _explained(bytes(body)))
            _whole(len(body), response)
            return bytes(body)
        finally:
            response.close()

    def _into(self, url: httpx.URL, part: _PartFile) -> bool:
        """Ask for what a part lacks; True where the whole file is there from before and is still the same."""
        response = self._open(url, part.conditions())
        try:
            status = response.status_code
            if status == HTTPStatus.NOT_MODIFIED:
                return True
            if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                if response.headers.get("Content-Range") == f"bytes */{part.size}":
                    return False  # the last run was killed between the last byte and the name
                part.forget()
                raise _TroubleError("416, the part that was there is thrown away")
            if status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
                raise self._refusal(response, "")
            if response.headers.get("Content-Type", "").startswith("text/html"):
                raise _TroubleError("a web page in place of the file")
            start = part.begin(response)
            self._receive(response, part, start)
            return False
        finally:
            response.close()

    def _receive(self, response: httpx.Response, part: _PartFile, start: int) -> None:
        length = response.headers.get("Content-Length")
        total = None if length is None else start + int(length)
        if length is not None and int(length) > shutil.disk_usage(part.path.parent).free - _SPARE_BYTES:
            raise OSError(f"{int(length) / 1e6:.0f} MB are asked for, and there is no room")
        there = start
        with part.path.open("ab") as file:
            for chunk in response.iter_raw():
                file.write(chunk)
                there += len(chunk)
                self._received += len(chunk)
                self.progress(part.target.name, there, total)
        if total is not None and there != total:
            raise _TroubleError(f"cut short at {there} of {total} bytes")

    def _refusal(self, response: httpx.Response, explained: str) -> _TroubleError:
        status = response.status_code
        said = f"{status} {response.reason_phrase}".strip() + explained
        passing = status in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)
        if passing or status >= 500:
            return _TroubleError(said, retry_after_s=asked_wait_s(response.headers, self._today))
        return _TroubleError(said, final=True)


class _PartFile:
    """The beginning of a file, and a note of what it is the beginning of."""

    def __init__(self, target: Path, url: str) -> None:
        self.target = target
        self.path = target.with_name(f"{target.name}.part")
        self._note = target.with_name(f"{target.name}.note")
        self._address = hashlib.sha256(url.encode()).hexdigest()  # it may hold a key

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def conditions(self) -> dict[str, str]:
        """Headers by which only what is not there is sent."""
        note = self._noted()
        if self.target.exists() and note.get("whole") == "yes":
            pairs = (("If-None-Match", note.get("etag")), ("If-Modified-Since", note.get("modified")))
            return {name: value for name, value in pairs if value}
        validator = note.get("validator")
        if self.size == 0 or validator is None:
            self.path.unlink(missing_ok=True)
            return {}
        return {"Range": f"bytes={self.size}-", "If-Range": validator}

    def begin(self, response: httpx.Response) -> int:
        """Where what an answer holds is to go; what is there is thrown away where it is of another file."""
        etag, modified = response.headers.get("ETag"), response.headers.get("Last-Modified")
        strong = etag if etag and not etag.startswith("W/") else None
        start = 0
        if response.status_code == HTTPStatus.PARTIAL_CONTENT:
            match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
            note = self._noted()
            same = (strong or modified or note.get("validator")) == note.get("validator")
            if match is None or int(match[1]) != self.size or not same:
                self.forget()
                raise _TroubleError("another part than asked for")
            start = self.size
        else:
            self.path.unlink(missing_ok=True)
        note = {"address": self._address, "etag": etag, "modified": modified, "validator": strong or modified}
        self._note.write_text(json.dumps(note), encoding="utf-8")
        return start

    def finish(self) -> None:
        """Give the file its name."""
        self._note.write_text(json.dumps({**self._noted(), "whole": "yes"}), encoding="utf-8")
        put_file(self.path, self.target)

    def forget(self) -> None:
        """Throw away what is there."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def _noted(self) -> dict[str, str]:
        with suppress(OSError, ValueError):
            note = json.loads(self._note.read_text(encoding="utf-8"))
            if note.get("address") == self._address:
                return dict(note)
        return {}


def _whole(size: int, response: httpx.Response) -> None:
    told = response.headers.get("Content-Length")
    if told is not None and response.headers.get("Content-Encoding") is None and size != int(told):
        raise _TroubleError(f"cut short at {size} of {told} bytes")


def _explained(body: bytes) -> str:
    """What a service says of its refusal, in OGC's words or the first of its own."""
    text = body[:20_000].decode("utf-8", "replace")
    match = re.search(r"<(?:\w+:)?ExceptionText[^>]*>(.*?)</", text, re.DOTALL)
    said = " ".join((match[1] if match else re.sub(r"<[^>]*>", " ", text)).split())
    return f" ({said[:200]})" if said else ""


def _digest(path: Path, algorithm: str) -> str:
    if algorithm == "sha256":
        return sha256_of(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
