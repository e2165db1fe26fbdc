"""What a benchmark gives: figures beside their goals, and the ways of measuring that all sections share."""

from __future__ import annotations

import math
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")
_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class BenchParams:
    """What is measured, and on what.

    Parameters
    ----------
    size_px
        Side of the simulated tile.
    dates
        Its dates, over the 48 months that a scan reads.
    work
        Folder of the simulated tiles and of the demo's archive, which are kept from one run to the next.
    reference
        Patches that were looked at on the demo's images, for the section on detection.
    repeats
        How often each timing is taken.
    forest_share, cloud_share
        Of the simulated tile.
    """

    size_px: int
    dates: int
    work: Path
    reference: Path
    repeats: int = 5
    forest_share: float = 0.5
    cloud_share: float = 0.3


@dataclass(frozen=True)
class Figure:
    """One measured figure, and its goal where it has one.

    Parameters
    ----------
    section, name, value, unit
        What was measured.
    at_least, at_most
        The goal.
    note
        What a reader should know beside it.
    """

    section: str
    name: str
    value: float
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None without one."""
        if self.at_least is None and self.at_most is None:
            return None
        return (self.at_least is None or self.value >= self.at_least) and (
            self.at_most is None or self.value <= self.at_most
        )

    def line(self) -> str:
        """The figure as a line of the table."""
        bounds = ((">=", self.at_least), ("<=", self.at_most))
        goal = " ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)
        verdict = {None: "", True: "met", False: "NOT MET"}[self.met]
        value = f"{self.value:.0f}" if float(self.value).is_integer() else f"{self.value:.3g}".replace("nan", "-")
        line = f"{self.section:9}  {self.name:66}  {value:>8} {self.unit:8}  {goal:8}  {verdict:7}  {self.note}"
        return line.rstrip()


def take_turns(repeats: int, calls: Mapping[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Seconds of each of several calls, one after the other and again: noise of the machine meets all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def in_child(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Call a function of a module in a fresh process, whose memory is its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *args, **kwargs).result()


def on_one_core(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Call a function of a module in a fresh process that has one core: no library of it can use two."""
    if not hasattr(os, "sched_setaffinity"):
        return in_child(function, *args, **kwargs)
    cores = os.sched_getaffinity(0)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            os.sched_setaffinity(0, {max(cores)})  # the child begins with what this thread has
            future = pool.submit(function, *args, **kwargs)
        finally:
            os.sched_setaffinity(0, cores)
        return future.result()


def peak_memory_bytes() -> int:
    """Largest memory of this process so far, or since `forget_peak`."""
    if _STATUS.exists():
        # Not ru_maxrss: under Linux a child's begins with its parent's.
        return 1024 * _status("VmHWM")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def forget_peak() -> int:
    """Begin `peak_memory_bytes` anew where the system can, and give the memory in use."""
    if not _CLEAR_REFS.exists():
        return peak_memory_bytes()
    _CLEAR_REFS.write_text("5")
    return 1024 * _status("VmRSS")


def _status(field: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1])


def as_json(figures: list[Figure]) -> list[dict[str, Any]]:
    """Figures as JSON takes them."""
    return [
        {**vars(figure), "value": None if math.isnan(figure.value) else figure.value, "met": figure.met}
        for figure in figures
    ]
