"""How remote files are asked for: how often, how long, and how many at once of the same host."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_LOST_HOST = 3
"""Requests given up one after the other, none between them having gone well, after which a host is asked once only."""


@dataclass(frozen=True)
class RetryPolicy:
    """How often, and for how long, a remote file is asked for.

    Parameters
    ----------
    attempts
        Requests made for the same bytes before they are given up.
    first_delay_s, longest_delay_s
        Before attempt n + 1 a time between 0 and ``first_delay_s * 2 ** (n - 1)`` is waited, at most the longest: full
        jitter (M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015).
    longest_hold_s
        The longest that a host's ``Retry-After`` is waited for; a file of a host that asks for more is given up.
    patience_s
        Time lost to failures and waiting over the same file, in all, after which it is given up.
    connect_timeout_s, stall_timeout_s, request_timeout_s
        For a connection; between two pieces of an answer; for a whole answer.
    jitter_seed
        Seed of the jitter; None for one that differs from process to process, as it should among many machines.
    """

    attempts: int = 6
    first_delay_s: float = 0.5
    longest_delay_s: float = 30.0
    longest_hold_s: float = 120.0
    patience_s: float = 900.0
    connect_timeout_s: float = 10.0
    stall_timeout_s: float = 30.0
    request_timeout_s: float = 120.0
    jitter_seed: int | None = None


class RemoteError(Exception):
    """A remote file was given up.

    Parameters
    ----------
    reason
        The last answer, as a phrase without any secret.
    transient
        Whether it may well be read another day.
    """

    def __init__(self, reason: str, transient: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.transient = transient


class HostHeldError(Exception):
    """A host asked to be left alone for longer than may be waited."""


class HostGate:
    """Who may ask which host, and when. Shared by all threads; one for all readers of a process.

    Parameters
    ----------
    max_requests_per_host
        Requests to one host that are under way at once.
    clock
        Seconds that only grow.
    wait
        Waits so many seconds; by default until `stop` at the latest.
    """

    def __init__(
        self,
        max_requests_per_host: int = 8,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self.max_requests_per_host = max_requests_per_host
        self.clock = clock
        self._stopped = threading.Event()
        self._wait = wait or self._stopped.wait
        self._changed = threading.Condition()
        self._active: dict[str, int] = {}
        self._not_before: dict[str, float] = {}
        self._given_up: dict[str, int] = {}

    @contextmanager
    def turn(self, host: str, longest_hold_s: float) -> Iterator[None]:
        """Wait until a host may be asked, and count as one that asks it."""
        while (held_s := self._enter(host)) > 0:
            if held_s > longest_hold_s:
                raise HostHeldError(f"{host} asks to be left alone for another {held_s:.0f} s")
            self.pause(held_s)
        try:
            yield
        finally:
            with self._changed:
                self._active[host] -= 1
                self._changed.notify()

    def _enter(self, host: str) -> float:
        """Take a place at a host and give 0, or the seconds for which it is to be left alone."""
        with self._changed:
            while True:
                if self._stopped.is_set():
                    raise RemoteError("the reading was stopped", transient=True)
                held_s = self._not_before.get(host, self.clock()) - self.clock()
                if held_s > 0:
                    return held_s
                if self._active.get(host, 0) < self.max_requests_per_host:
                    self._active[host] = self._active.get(host, 0) + 1
                    return 0.0
                self._changed.wait()

    def hold(self, host: str, seconds: float) -> None:
        """Let nobody ask a host before so many seconds are over."""
        with self._changed:
            self._not_before[host] = max(self._not_before.get(host, 0.0), self.clock() + seconds)

    def pause(self, seconds: float) -> None:
        """Wait."""
        self._wait(seconds)
        if self._stopped.is_set():
            raise RemoteError("the reading was stopped", transient=True)

    def stop(self) -> None:
        """Wake whoever waits, and let nobody ask any more: for a run that is interrupted."""
        self._stopped.set()
        with self._changed:
            self._changed.notify_all()

    def note(self, host: str, went_well: bool) -> None:
        """Remember how the last request to a host ended."""
        with self._changed:
            self._given_up[host] = 0 if went_well else self._given_up.get(host, 0) + 1

    def is_lost(self, host: str) -> bool:
        """Whether a host has failed so often that waiting for it once more would be in vain."""
        with self._changed:
            return self._given_up.get(host, 0) >= _LOST_HOST
