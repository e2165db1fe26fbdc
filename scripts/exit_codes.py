"""The numbers that the command ends with: one table for all commands."""

from __future__ import annotations

from enum import IntEnum

from tiles.errors import LockedError, SylvigieError


class ExitCode(IntEnum):
    """What a command ends with."""

    DONE = 0
    """All that was asked for is done."""
    FAULT = 1
    """A fault of Sylvigie's own: a traceback was printed."""
    INPUT = 2
    """The input will not do: one sentence says why, and nothing was written."""
    INCOMPLETE = 3
    """Done, but scenes or tiles that should have been read were not: each is named."""
    LOCKED = 4
    """Another run holds the lock: it is named, and nothing was done."""
    TRACKING = 5
    """The tiles are done, but the alerts could not be brought up to them: run again."""
    STORE = 6
    """The alerts are worked out, but the store did not take them: run again, or `sylvigie ingest`."""
    INTERRUPTED = 130
    """Interrupted from the keyboard (128 + SIGINT): what was done stays."""
    TERMINATED = 143
    """Told to stop (128 + SIGTERM): what was done stays."""


def exit_code_of(error: SylvigieError) -> ExitCode:
    """What a command that ends with an error of ours ends with."""
    return ExitCode.LOCKED if isinstance(error, LockedError) else ExitCode.INPUT
