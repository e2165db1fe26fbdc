"""The monthly run: every tile of a month, then the alerts, with a lock, a record and an honest exit code.

Whatever happens, what was done of a tile stays and nothing is left half written: a run that was stopped, killed or
left incomplete is simply started again, and each tile's own work knows what it has already done.
"""

from __future__ import annotations

import datetime as dt
import os
import platform
import socket
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol

from detector.month_pictures import PicturesMade
from detector.pipeline import software_version
from detector.ports import AlertCounts, TileJob, TileOutcome, TileWork, TrackOutcome, TrackWork, WorkOrder
from scripts.cluster import cluster
from scripts.events import Reporter, RunClock, reporting
from scripts.exit_codes import ExitCode
from scripts.locks import RUN, locked, remove_leftovers
from scripts.report import not_known, output_console
from scripts.run_record import check_clock, record_of, summary, without_secrets, write_record
from scripts.stopping import StopRequest, StopRunError, stopping_on_signals
from scripts.tile_runs import run_tile, told
from tiles.errors import NoSceneError, OutputError
from tiles.month import Month


@dataclass(frozen=True, kw_only=True)
class RunRequest(WorkOrder):
    """What a run is asked for.

    Parameters
    ----------
    tiles
        In their order.
    scheduler
        Address of a cluster's scheduler; this process works where there is none.
    """

    tiles: tuple[str, ...]
    scheduler: str | None = None

    @property
    def root(self) -> Path:
        """The data directory, absolute: a worker has a working directory of its own."""
        return self.data_dir.expanduser().resolve()

    def jobs(self) -> list[TileJob]:
        """One a tile."""
        order: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(WorkOrder)}
        order["data_dir"] = self.root
        if self.forest_mask is not None:
            order["forest_mask"] = self.forest_mask.expanduser().resolve()
        return [TileJob(tile=tile, **order) for tile in self.tiles]


class Runner(Protocol):
    """Runs jobs, here or elsewhere."""

    def run(
        self, work: TileWork, jobs: Sequence[TileJob], reporter: Reporter, started: dt.datetime
    ) -> Generator[TileOutcome]:
        """Give what comes of each job as it comes; telling the reporter of starts and progress."""
        ...


class StoreWork(Protocol):
    """Puts months of the data directory into the store."""

    def __call__(self, months: Sequence[Month], data_dir: Path) -> Sequence[str]:
        """Put them in, and tell of each in a line."""
        ...


class NoticeWork(Protocol):
    """Tells subscriptions what is news in the store of the data directory."""

    def __call__(self, data_dir: Path) -> Mapping[str, Any]:
        """Send, and give the facts of `notices_done`."""
        ...


class PictureWork(Protocol):
    """Pictures the alerts that stand after a month."""

    def __call__(self, month: Month, data_dir: Path, check: Callable[[], None]) -> PicturesMade:
        """Picture those that are new or have changed; `check` is called every now and then, and may end it."""
        ...


@dataclass(frozen=True)
class AfterTracking:
    """What is done with a month whose alerts were worked out; nothing where None.

    Parameters
    ----------
    picture
        Before they are put into the store.
    store
        Puts them in.
    notify
        When they are in; the month does not depend on it.
    """

    picture: PictureWork | None = None
    store: StoreWork | None = None
    notify: NoticeWork | None = None


class HereRunner:
    """Runs the tiles in turn in this process.

    Parameters
    ----------
    stop
        Looked at between windows and tiles.
    """

    def __init__(self, stop: StopRequest) -> None:
        self._stop = stop

    def run(
        self, work: TileWork, jobs: Sequence[TileJob], reporter: Reporter, started: dt.datetime
    ) -> Generator[TileOutcome]:
        """One after the other."""
        for job in jobs:
            self._stop.check()
            reporter.tile_started(job.tile)

            def progress(done: int, total: int, tile: str = job.tile) -> None:
                self._stop.check()
                reporter.progress(tile, done, total)

            yield run_tile(work, job, progress, started)


@dataclass
class _Run:
    """What has come of a run so far."""

    outcomes: list[TileOutcome] = field(default_factory=list)
    alerts: AlertCounts | None = None
    alerts_redone: dict[str, AlertCounts] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    tiles_left_out: dict[str, str] = field(default_factory=dict)
    scenes_unheard: dict[str, str] = field(default_factory=dict)
    tracking_error: str | None = None
    tracking_detail: str | None = None
    pictures: PicturesMade | None = None
    pictures_error: str | None = None
    stored: tuple[str, ...] = ()
    store_error: str | None = None
    notices: Mapping[str, Any] | None = None
    notices_error: str | None = None
    stopped_by: str | None = None
    exit_code: ExitCode = ExitCode.DONE

    def tracked(self, month: Month, outcome: TrackOutcome, *, is_last: bool) -> None:
        """Take in what came of the tracking of a month."""
        self.alerts_redone |= outcome.earlier
        if is_last:
            self.alerts, self.warnings = outcome.counts, outcome.warnings
        else:
            self.alerts_redone[str(month)] = outcome.counts
        self.tiles_left_out |= outcome.tiles_left_out
        self.scenes_unheard |= outcome.scenes_unheard

    def close(self, tiles: Sequence[str]) -> list[str]:
        """Put the outcomes in the order asked for, settle the exit code, and name the tiles that were not reached."""
        self.outcomes.sort(key=lambda outcome: tiles.index(outcome.tile))
        reached = {outcome.tile for outcome in self.outcomes}
        if self.stopped_by is None:
            if self.tracking_error is not None:
                self.exit_code = ExitCode.TRACKING
            elif self.store_error is not None:
                self.exit_code = ExitCode.STORE
            elif self.tiles_left_out or not all(outcome.status.complete for outcome in self.outcomes):
                self.exit_code = ExitCode.INCOMPLETE
        return [tile for tile in tiles if tile not in reached]


def newest_whole_month(today: dt.date) -> Month:
    """The last month that was over before a day."""
    return Month(today.year, today.month).shifted(-1)


def run_month(
    request: RunRequest, work: TileWork, track: TrackWork, now: dt.datetime, after: AfterTracking = AfterTracking()
) -> ExitCode:
    """Run a month: its tiles, then its alerts.

    Parameters
    ----------
    request
        What is asked for.
    work
        What is done with each tile.
    track
        What is done with the patches of all.
    now
        The present, with a time zone.
    after
        What is done with the months whose alerts were worked out.

    Returns
    -------
    ExitCode
        What the command ends with. Everything is told on stderr while it goes on and on stdout at the end, and
        recorded in ``runs/`` and ``months/`` of the data directory.

    Raises
    ------
    tiles.errors.LockedError
        When another run holds the lock.
    tiles.errors.SylvigieError
        When the month, the clock, the data directory or the cluster will not do: nothing was done.
    """
    data_dir = request.root
    if request.month.first_day > now.date():
        raise NoSceneError(f"Month {request.month} has not begun: the newest that can be run is {now:%Y-%m}.")
    clock = RunClock(now)
    with locked(data_dir, RUN, clock.started):
        check_clock(data_dir, clock.started.date())
        leftovers = [str(path.relative_to(data_dir)) for path in remove_leftovers(data_dir, clock.started)]
        return _run("monthly", str(request.month), request, work, track, clock, leftovers, after)


def build_references(request: RunRequest, build: TileWork, now: dt.datetime) -> ExitCode:
    """Build the references of tiles, as `run_month` runs a month, and never beside another run.

    Raises
    ------
    tiles.errors.LockedError
        When another run holds the lock.
    tiles.errors.SylvigieError
        When the data directory or the cluster will not do: nothing was done.
    """
    data_dir, clock = request.root, RunClock(now)
    with locked(data_dir, RUN, clock.started):
        leftovers = [str(path.relative_to(data_dir)) for path in remove_leftovers(data_dir, clock.started)]
        return _run("reference build", f"reference-{request.month}", request, build, None, clock, leftovers)


def _run(
    command: str,
    prefix: str,
    request: RunRequest,
    work: TileWork,
    track: TrackWork | None,
    clock: RunClock,
    leftovers: Sequence[str],
    after: AfterTracking = AfterTracking(),
) -> ExitCode:
    jobs, run, title = request.jobs(), _Run(), f"{command} {request.month}"
    try:
        with (
            stopping_on_signals() as stop,
            _runner(request, stop) as runner,
            reporting(clock, len(jobs), title) as reporter,
        ):
            me = {"pid": os.getpid(), "host": socket.gethostname()}
            about = {"command": command, "month": str(request.month), "tiles": len(jobs)}
            reporter.tell("run_started", **about, **me, leftovers_removed=list(leftovers))
            _work(run, runner, work, track, request, jobs, clock, reporter)
            if after.picture is not None and run.alerts is not None and run.stopped_by is None:
                _picture(run, after.picture, request, stop, reporter)
            if after.store is not None and run.alerts is not None and run.stopped_by is None:
                _store(run, after.store, request, reporter)
                if after.notify is not None and run.store_error is None:
                    _notify(run, after.notify, request, reporter)
            not_reached = run.close(request.tiles)
            facts = _about(request, run, clock, leftovers)
            kept = _record(command, prefix, request, run, not_reached, facts, clock, reporter)
            code = {"exit_code": int(run.exit_code), "exit": run.exit_code.name.lower()}
            reporter.tell("run_done", **code, record=kept, seconds=round(clock.seconds, 3))
    except StopRunError as error:
        # Before the first tile, or while the record was written.
        return error.exit_code
    _print(title, run, not_reached, kept, clock)
    return run.exit_code


def _work(
    run: _Run,
    runner: Runner,
    work: TileWork,
    track: TrackWork | None,
    request: RunRequest,
    jobs: Sequence[TileJob],
    clock: RunClock,
    reporter: Reporter,
) -> None:
    """The tiles and the tracking, until the end or a signal."""
    try:
        with closing(runner.run(work, jobs, reporter, clock.started)) as outcomes:
            for outcome in outcomes:
                run.outcomes.append(outcome)
                reporter.tile_ended(outcome)
        if track is not None:
            _track(run, track, request, reporter)
    except StopRunError as error:
        run.stopped_by, run.exit_code = error.name, error.exit_code


def _record(
    command: str,
    prefix: str,
    request: RunRequest,
    run: _Run,
    not_reached: Sequence[str],
    facts: dict[str, Any],
    clock: RunClock,
    reporter: Reporter,
) -> str | None:
    """Write the record, and give its path."""
    record = record_of(command, str(request.month), facts, run.outcomes, not_reached, run.exit_code)
    try:
        return str(write_record(request.root, prefix, clock.started, record))
    except OutputError as error:
        reporter.tell("record_failed", message=str(error))
        # What is not recorded cannot be called done.
        run.exit_code = run.exit_code or ExitCode.INCOMPLETE
        return None


def _runner(request: RunRequest, stop: StopRequest) -> AbstractContextManager[Runner]:
    return nullcontext(HereRunner(stop)) if request.scheduler is None else cluster(request.scheduler)


def _track(run: _Run, track: TrackWork, request: RunRequest, reporter: Reporter) -> None:
    """Bring the alerts up to the month; from the earliest month that was redone on, since each stands on the last."""
    tiles = [tile for tile in request.tiles if any(out.tile == tile and out.status.kept for out in run.outcomes)]
    if not tiles:
        return
    redone = [Month.parse(month) for outcome in run.outcomes for month in outcome.redone_months]
    month = min([*redone, request.month])
    try:
        while month < request.month:
            run.tracked(month, track(month, tiles, request.root), is_last=False)
            month = month.shifted(1)
        run.tracked(month, track(month, tiles, request.root), is_last=True)
    except Exception as error:  # noqa: BLE001 - told, with its traceback; the tiles' work stays
        run.tracking_error, run.tracking_detail = told(error, request.root)
        reporter.tell("tracking_failed", month=str(month), message=run.tracking_error)
        return
    alerts = None if run.alerts is None else asdict(run.alerts)
    left: dict[str, Any] = {
        "warnings": list(run.warnings),
        "tiles_left_out": run.tiles_left_out,
        "scenes_unheard": run.scenes_unheard,
    }
    reporter.tell("tracking_done", month=str(month), alerts=alerts, months_redone=sorted(run.alerts_redone), **left)


def _picture(run: _Run, picture: PictureWork, request: RunRequest, stop: StopRequest, reporter: Reporter) -> None:
    """Picture the alerts; a month without all of its pictures is good, and the next run makes those that lack."""
    try:
        made = run.pictures = picture(request.month, request.root, stop.check)
    except StopRunError as error:
        run.stopped_by, run.exit_code = error.name, error.exit_code
    except Exception as error:  # noqa: BLE001 - told; the alerts stand without
        run.pictures_error, detail = told(error, request.root)
        reporter.tell("pictures_failed", message=run.pictures_error, detail=detail)
    else:
        reporter.tell("pictures_done", **asdict(made))


def _store(run: _Run, store: StoreWork, request: RunRequest, reporter: Reporter) -> None:
    """Put the months whose alerts were worked out into the store, the oldest first."""
    months = [*(Month.parse(month) for month in sorted(run.alerts_redone)), request.month]
    try:
        run.stored = tuple(store(months, request.root))
    except Exception as error:  # noqa: BLE001 - told; what was worked out stays, and can be put in later
        run.store_error, detail = told(error, request.root)
        reporter.tell("store_failed", message=run.store_error, detail=detail)
        return
    reporter.tell("store_done", months=[str(month) for month in months], told=list(run.stored))


def _notify(run: _Run, notify: NoticeWork, request: RunRequest, reporter: Reporter) -> None:
    """Tell subscriptions what is news; whatever befalls that, the month is what it is."""
    try:
        run.notices = notify(request.root)
    except Exception as error:  # noqa: BLE001 - told; what was not sent waits in the store
        run.notices_error, detail = told(error, request.root)
        reporter.tell("notices_failed", message=run.notices_error, detail=detail)
        return
    reporter.tell("notices_done", **run.notices)


def _about(request: RunRequest, run: _Run, clock: RunClock, leftovers: Sequence[str]) -> dict[str, Any]:
    """What the record says of the run as a whole."""
    return {
        "stopped_by": run.stopped_by,
        "started": clock.started.isoformat(timespec="seconds"),
        "ended": clock.now().isoformat(timespec="seconds"),
        "seconds": round(clock.seconds, 3),
        "sylvigie": software_version(),
        "python": platform.python_version(),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "scheduler": request.scheduler,
        "catalogue": without_secrets(request.catalogue),
        "forest_mask": None if request.forest_mask is None else str(request.forest_mask),
        "parameters": asdict(request.params),
        "threads": request.threads,
        "leftovers_removed": list(leftovers),
        "alerts": None if run.alerts is None else asdict(run.alerts),
        "warnings": list(run.warnings),
        "alerts_of_redone_months": {month: asdict(counts) for month, counts in sorted(run.alerts_redone.items())},
        "tracking_tiles_left_out": run.tiles_left_out,
        "tracking_scenes_unheard": run.scenes_unheard,
        "tracking_error": run.tracking_error,
        "tracking_detail": run.tracking_detail,
        "pictures": None if run.pictures is None else asdict(run.pictures),
        "pictures_error": run.pictures_error,
        "stored": list(run.stored),
        "store_error": run.store_error,
        "notices": None if run.notices is None else dict(run.notices),
        "notices_error": run.notices_error,
    }


def _print(title: str, run: _Run, not_reached: Sequence[str], record: str | None, clock: RunClock) -> None:
    console = output_console()
    for line in summary(title, run.outcomes, not_reached, run.alerts, clock.seconds):
        console.print(line, markup=False, soft_wrap=True)
    for tile, reason in run.tiles_left_out.items():
        console.print(f"alerts as they were: {tile}: {reason}", markup=False, soft_wrap=True)
    for scene, reason in run.scenes_unheard.items():
        console.print(
            f"not looked at for an alert that was taken back: {scene}: {reason}", markup=False, soft_wrap=True
        )
    if run.warnings:
        console.print(not_known(run.warnings, "the record"), markup=False, soft_wrap=True)
    if run.tracking_error is not None:
        console.print(f"alerts not updated: {run.tracking_error}", markup=False, soft_wrap=True)
    if run.pictures_error is not None:
        console.print(f"no pictures: {run.pictures_error}", markup=False, soft_wrap=True)
    for scene, reason in ({} if run.pictures is None else run.pictures.unread).items():
        console.print(f"not read for pictures: {scene}: {reason}", markup=False, soft_wrap=True)
    for tile, reason in ({} if run.pictures is None else run.pictures.tiles_left_out).items():
        console.print(f"pictures as they were: {tile}: {reason}", markup=False, soft_wrap=True)
    if run.store_error is not None:
        console.print(f"not in the store: {run.store_error}", markup=False, soft_wrap=True)
    for line in run.stored:
        console.print(f"store: {line}", markup=False, soft_wrap=True)
    if run.notices_error is not None:
        console.print(f"no notices: {run.notices_error}", markup=False, soft_wrap=True)
    if run.notices is not None and (run.notices["reasons"] or run.notices["sent"]):
        counts = ", ".join(f"{run.notices[name]} {name.replace('_', ' ')}" for name in ("sent", "waiting", "given_up"))
        console.print(f"notices: {counts}", markup=False, soft_wrap=True)
        for reason in run.notices["reasons"]:
            console.print(f"notices: {reason}", markup=False, soft_wrap=True)
    if run.stopped_by is not None:
        console.print(f"Stopped by {run.stopped_by}: run again to go on.", markup=False)
    console.print(f"Record: {record}" if record else "The record could not be written.", markup=False, soft_wrap=True)
