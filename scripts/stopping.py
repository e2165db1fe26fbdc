"""SIGTERM and SIGINT as one exception, so that every `with` on the way out puts its things in order."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from scripts.exit_codes import ExitCode

_CODES = {signal.SIGTERM: ExitCode.TERMINATED, signal.SIGINT: ExitCode.INTERRUPTED}


class StopRunError(KeyboardInterrupt):
    """The run was told to stop.

    Parameters
    ----------
    number
        The signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.name = signal.Signals(number).name
        self.exit_code = _CODES[signal.Signals(number)]


class StopRequest:
    """Whether the run was told to stop."""

    def __init__(self) -> None:
        self.number: int | None = None

    def check(self) -> None:
        """Raise again, where it was told to: an exception of a signal can be lost in a callback of C code."""
        if self.number is not None:
            raise StopRunError(self.number)


@contextmanager
def stopping_on_signals() -> Iterator[StopRequest]:
    """Raise `StopRunError` in the main thread at the first SIGTERM or SIGINT; a second one does what it did before."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread may set handlers.
        yield request
        return
    before = {number: signal.getsignal(number) for number in _CODES}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the form of a handler
        restore()
        request.number = number
        raise StopRunError(number)

    for number in _CODES:
        signal.signal(number, stop)
    try:
        yield request
    finally:
        restore()
