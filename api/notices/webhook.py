"""Notices by webhook: ``{"text": Markdown}``, as Mattermost's incoming webhooks take it, and any that reads JSON.

A webhook's address comes from a person, and the machine that posts to it may reach what that person may not: names
are resolved here, each address that they stand for has to be public, and the connection goes to one that was looked
at. Redirects are not followed, and of the answer only status and ``Retry-After`` are read.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import email.utils
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import httpx

from api.notices.addresses import IpAddress, ip_of, is_public
from api.notices.channels import TAKEN, Answer, Attempt, Letter

_STEP_S: Final = 10.0
"""Of connecting, of writing, of waiting for an answer."""
_AGAIN: Final = frozenset({408, 425, 429})
"""Client errors that time may mend (RFC 9110 15.5.9, RFC 8470, RFC 6585); and all of 5xx."""
LONGEST_WAIT: Final = dt.timedelta(days=7)
"""Beyond which a Retry-After is not obeyed: it would be forgotten."""


@dataclass
class WebhookSender:
    """Sends notices by webhook.

    Parameters
    ----------
    private_hosts
        Whether this machine and private networks may be posted to.
    tls
        Whom to trust; the system's authorities by default.
    whole_s
        Seconds that an attempt may take in all.
    """

    private_hosts: bool = False
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context)
    whole_s: float = 30.0

    def send(self, letter: Letter) -> Attempt:
        """Send a notice once."""
        try:
            return asyncio.run(self._sent(letter))
        except TimeoutError:
            return Attempt(Answer.LATER, "no answer in time")

    async def _sent(self, letter: Letter) -> Attempt:
        # An answer that comes byte by byte keeps within the time of each step: the whole has one as well.
        async with asyncio.timeout(self.whole_s):
            parts = urlsplit(letter.address)
            host = parts.hostname or ""
            try:
                addresses = await _addresses(host, parts.port or (443 if parts.scheme == "https" else 80))
            except (OSError, UnicodeError):
                return Attempt(Answer.LATER, "the host's name cannot be resolved")
            if not self.private_hosts and not all(map(is_public, addresses)):
                return Attempt(Answer.REFUSED, "the host is in a private network")
            try:
                return await self._posted_to_one(letter, host, addresses)
            except httpx.TimeoutException:
                return Attempt(Answer.LATER, "no answer in time")
            except httpx.HTTPError as error:
                return Attempt(Answer.LATER, f"the connection failed ({type(error).__name__})")

    async def _posted_to_one(self, letter: Letter, host: str, addresses: Sequence[IpAddress]) -> Attempt:
        """Post to the first address that can be connected to."""
        for address in addresses[:-1]:
            try:
                return await self._posted(letter, host, address)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await self._posted(letter, host, addresses[-1])

    async def _posted(self, letter: Letter, host: str, address: IpAddress) -> Attempt:
        # The transport alone: a client would follow the environment's proxies, and write addresses to the log.
        url = httpx.URL(letter.address)
        request = httpx.Request(
            "POST",
            url.copy_with(host=str(address)),
            headers={
                "Host": url.netloc.decode("ascii"),
                "User-Agent": "Sylvigie",
                # For receivers that look at it: the same at each attempt.
                "Idempotency-Key": letter.message_id.strip("<>"),
            },
            json={"text": letter.digest.markdown},
            extensions={
                "sni_hostname": host,
                "timeout": dict.fromkeys(("connect", "read", "write", "pool"), _STEP_S),
            },
        )
        async with httpx.AsyncHTTPTransport(verify=self.tls, trust_env=False) as transport:
            response = await transport.handle_async_request(request)
            await response.aclose()
        return _answered(response)


async def _addresses(host: str, port: int) -> Sequence[IpAddress]:
    """All that a host stands for."""
    number = ip_of(host)
    if number is not None:
        return [number]
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    numbers = [ip_of(str(each[4][0])) for each in found]
    known = [each for each in numbers if each is not None]
    if len(known) < len(numbers) or not known:
        raise OSError("an address that is none")
    return known


def _answered(response: httpx.Response) -> Attempt:
    """What an answer means (RFC 9110)."""
    status = response.status_code
    if 200 <= status < 300:
        return TAKEN
    if status >= 500 or status in _AGAIN:
        return Attempt(Answer.LATER, f"HTTP {status}", wait_of(response.headers.get("retry-after")))
    reason = "it redirects, which is not followed" if 300 <= status < 400 else "it will not take it"
    return Attempt(Answer.REFUSED, f"HTTP {status}: {reason}")


def wait_of(header: str | None, now: dt.datetime | None = None) -> dt.timedelta | None:
    """A ``Retry-After`` as a time to wait: seconds, or a date (RFC 9110, 10.2.3); None where it is none."""
    if header is None:
        return None
    text = header.strip()
    try:
        if text.isascii() and text.isdigit():
            wait = dt.timedelta(seconds=min(int(text[:12]), 10**9))
        else:
            moment = email.utils.parsedate_to_datetime(text)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=dt.UTC)
            wait = moment - (now or dt.datetime.now(dt.UTC))
    except (ValueError, OverflowError):
        return None
    return min(max(wait, dt.timedelta()), LONGEST_WAIT)
