"""What a run over many tiles says while it goes on: bars on a terminal, a JSON line an event elsewhere."""

from __future__ import annotations

import datetime as dt
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TextIO

from rich.progress import Progress, TaskID

from detector.ports import TileOutcome
from scripts.report import bars, worth_a_line


class RunClock:
    """The time of a run: read from the system once, then counted by the monotonic clock.

    A system clock that is put right while the run goes on changes neither its durations nor the order of its events.

    Parameters
    ----------
    started
        When the run began, with a time zone.
    """

    def __init__(self, started: dt.datetime) -> None:
        self.started = started.astimezone(dt.UTC)
        self._origin = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._origin

    def now(self) -> dt.datetime:
        """The present (UTC)."""
        return self.started + dt.timedelta(seconds=self.seconds)


class Reporter(Protocol):
    """Is told what happens in a run. Safe to call from several threads."""

    def tell(self, event: str, **facts: Any) -> None:
        """Something happened; the facts are of JSON's types."""
        ...

    def tile_started(self, tile: str) -> None:
        """Work on a tile begins: once more when another machine takes it over."""
        ...

    def progress(self, tile: str, done: int, total: int) -> None:
        """Windows done, and in all, of a tile."""
        ...

    def tile_ended(self, outcome: TileOutcome) -> None:
        """What came of a tile."""
        ...


class JsonLines:
    """One JSON object a line and an event, each with its time.

    Parameters
    ----------
    clock
        Of the run.
    stream
        Where lines go.
    """

    def __init__(self, clock: RunClock, stream: TextIO) -> None:
        self._clock, self._stream, self._lock = clock, stream, threading.Lock()

    def tell(self, event: str, **facts: Any) -> None:
        """Write the line."""
        line = json.dumps({"event": event, "time": self._clock.now().isoformat(timespec="milliseconds")} | facts)
        # One write a line, and one at a time: lines of several tiles must not run into each other.
        with self._lock:
            self._stream.write(line + "\n")
            self._stream.flush()

    def tile_started(self, tile: str) -> None:
        """Write ``tile_started``."""
        self.tell("tile_started", tile=tile)

    def progress(self, tile: str, done: int, total: int) -> None:
        """Write ``progress``, ten times a tile."""
        if worth_a_line(done, total):
            self.tell("progress", tile=tile, windows=done, of=total)

    def tile_ended(self, outcome: TileOutcome) -> None:
        """Write ``tile_done`` or ``tile_failed``."""
        facts = {
            "tile": outcome.tile,
            "status": outcome.status,
            "scenes_read": len(outcome.scenes_read),
            "scenes_skipped": len(outcome.scenes_skipped),
            "bytes_read": outcome.bytes_read,
            "seconds": outcome.seconds,
        }
        if outcome.message is not None:
            facts["message"] = outcome.message
        self.tell("tile_done" if outcome.status.kept else "tile_failed", **facts)


class Bars:
    """Bars on a terminal: one of all tiles, one of the windows of each tile at work.

    Parameters
    ----------
    bar
        Where they are drawn.
    tiles
        How many tiles there are.
    title
        What stands beside the first.
    """

    def __init__(self, bar: Progress, tiles: int, title: str) -> None:
        self._bar, self._all = bar, bar.add_task(title, total=tiles)
        self._of: dict[str, TaskID] = {}

    def tell(self, event: str, **facts: Any) -> None:
        """Print what needs to be read; the rest is seen."""
        if "message" in facts:
            named = f"{facts['tile']}: " if "tile" in facts else ""
            self._bar.console.print(f"{event}: {named}{facts['message']}", markup=False, highlight=False)

    def tile_started(self, tile: str) -> None:
        """Draw its bar."""
        if tile not in self._of:
            self._of[tile] = self._bar.add_task(f"  {tile}", total=None)

    def progress(self, tile: str, done: int, total: int) -> None:
        """Lengthen its bar."""
        self.tile_started(tile)
        self._bar.update(self._of[tile], completed=done, total=total)

    def tile_ended(self, outcome: TileOutcome) -> None:
        """Take its bar away, lengthen that of all; say what went wrong."""
        if outcome.tile in self._of:
            self._bar.remove_task(self._of.pop(outcome.tile))
        self._bar.advance(self._all)
        if outcome.message is not None:
            self.tell(outcome.status, tile=outcome.tile, message=outcome.message)


@contextmanager
def reporting(clock: RunClock, tiles: int, title: str) -> Iterator[Reporter]:
    """Bars where stderr is a terminal, JSON lines on it elsewhere."""
    if sys.stderr.isatty():
        with bars() as bar:
            yield Bars(bar, tiles, title)
    else:
        yield JsonLines(clock, sys.stderr)
