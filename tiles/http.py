"""How Sylvigie asks web services for JSON: patiently, and not for ever."""

from __future__ import annotations

import datetime as dt
import email.utils
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import requests
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse
from urllib3.util.retry import Retry

RETRIED_STATUS = (429, 500, 502, 503, 504)
"""Answers after which the same question may be answered: too many requests, and faults of the server's own."""


@dataclass(frozen=True)
class HttpParams:
    """How a web service is asked.

    Parameters
    ----------
    timeout_s
        Longest wait for a connection, and for the next bytes of an answer (seconds). Catalogues of the whole world
        take up to half a minute for a page.
    retries
        Times that a question is asked again after a lost connection, or one of `RETRIED_STATUS`.
    backoff_s
        Wait before the second retry (seconds); doubled at each, with as much again at random, so that many machines
        do not come back at the same moment.
    longest_wait_s
        Longest single wait (seconds), whatever ``Retry-After`` says: who wants more is asked at the next run.
    """

    timeout_s: float = 60.0
    retries: int = 5
    backoff_s: float = 0.5
    longest_wait_s: float = 60.0


class _BoundedRetry(Retry):
    """A `Retry` that obeys ``Retry-After``, but not for hours."""

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        asked = super().get_retry_after(response)
        return None if asked is None else min(asked, self.backoff_max)


def retry_of(params: HttpParams) -> Retry:
    """The retries of `params`, of any method: a search is a POST, and changes nothing."""
    return _BoundedRetry(
        total=params.retries,
        allowed_methods=None,
        status_forcelist=RETRIED_STATUS,
        backoff_factor=params.backoff_s,
        backoff_jitter=params.backoff_s,
        backoff_max=params.longest_wait_s,
        respect_retry_after_header=True,
        # The last answer is given back, so that its status can be told.
        raise_on_status=False,
    )


def open_session(params: HttpParams) -> requests.Session:
    """A session that retries; to be closed by who asked for it. Its calls are given a timeout one by one."""
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry_of(params)))
    return session


def asked_wait_s(headers: Mapping[str, str], now: Callable[[], dt.datetime]) -> float | None:
    """Seconds that an answer asks to wait (RFC 9110, 10.2.3), by the server's own clock where it is told.

    Parameters
    ----------
    headers
        Of the answer, whatever their case.
    now
        Tells the time (UTC) where the server does not.

    Returns
    -------
    float or None
        None where it does not ask, or not in a way that is understood.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    until = _http_date(text)
    if until is None:
        return None
    since = _http_date(headers.get("Date", "")) or now()
    return max(0.0, (until - since).total_seconds())


def _http_date(text: str) -> dt.datetime | None:
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment
