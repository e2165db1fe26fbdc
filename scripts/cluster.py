"""Tiles on the workers of a `dask.distributed` cluster: one task a tile, results as they come.

Where there are more workers than tiles, a tile's rows of windows are tasks of their own.
"""

from __future__ import annotations

import datetime as dt
import re
import threading
import uuid
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from detector.pipeline import software_version
from detector.ports import TileJob, TileOutcome, TileStatus, TileWork
from detector.tile_rows import MadeRow, RowJob, work_row
from scripts.events import Reporter
from scripts.report import worth_a_line
from scripts.tile_runs import run_tile
from tiles.errors import ClusterError, MissingDependencyError

if TYPE_CHECKING:
    from distributed import Client, Future

_ADDRESS = re.compile(r"(tcp|tls|ws|wss|ucx)://.+:\d+")
_CONNECT_S = 10
"""Seconds in which a scheduler must answer."""
_JOIN_S = 600
"""Seconds in which the first worker must join: those of a batch queue take their time."""
_LOCK_WAIT_S = 120.0
"""Seconds that a worker waits for a tile's lock: an NFS server frees that of a lost machine after 90."""
_RETRIES = 2
"""Other workers that a task is given to when it cannot even begin (a worker without Sylvigie, say)."""


class ClusterRunner:
    """Runs tiles on a cluster.

    Parameters
    ----------
    client
        Connected to the scheduler.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def run(
        self, work: TileWork, jobs: Sequence[TileJob], reporter: Reporter, started: dt.datetime
    ) -> Generator[TileOutcome]:
        """Run the jobs, and give what comes of each as it comes.

        A worker that is lost while it works on a tile has the tile given to another; a tile that takes several
        workers with it ends as failed, and the others go on.
        """
        from distributed import as_completed

        run_id = uuid.uuid4().hex
        listener = _Listener(reporter)
        divided = len(jobs) < len(self._client.scheduler_info(n_workers=-1)["workers"])
        self._client.subscribe_topic(run_id, listener)
        futures: dict[Future[Any], TileJob] = {}
        try:
            # All at once and under one name, so that the scheduler sees one group of tasks and hands them out as
            # workers come free: of those that a worker already has, all are blamed when it is lost.
            # The name is the run's own: nothing is taken from what the scheduler remembers of another.
            submitted = self._client.map(
                _on_worker,
                jobs,
                key=[(f"sylvigie-{run_id}", job.tile) for job in jobs],
                pure=False,
                retries=_RETRIES,
                work=work,
                topic=run_id,
                started=started,
                version=software_version(),
                divided=divided,
            )
            futures = dict(zip(submitted, jobs, strict=True))
            for future in as_completed(list(futures), loop=self._client.loop):
                outcome = _outcome_of(future, futures.pop(future))
                listener.finished(outcome.tile)
                future.release()
                yield outcome
        finally:
            with suppress(Exception):  # the scheduler may be what was lost
                self._client.cancel(list(futures))
                self._client.unsubscribe_topic(run_id)


@contextmanager
def cluster(address: str, join_s: float = _JOIN_S) -> Iterator[ClusterRunner]:
    """Connect to a scheduler.

    Parameters
    ----------
    address
        Of the scheduler, such as ``tcp://10.0.0.5:8786``.
    join_s
        Seconds in which the first worker must have joined.

    Raises
    ------
    MissingDependencyError
        When `distributed` is not installed.
    ClusterError
        When the address is none, no scheduler answers, or no worker joins.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise MissingDependencyError(
            "--scheduler needs the package distributed: pip install 'sylvigie[cluster]'."
        ) from error
    if _ADDRESS.fullmatch(address) is None:
        raise ClusterError(f"{address} is no address of a scheduler: it has the form tcp://HOST:PORT.")
    try:
        client = Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise ClusterError(
            f"No scheduler answers at {address}: start one there (dask scheduler), or leave --scheduler out."
        ) from error
    try:
        try:
            client.wait_for_workers(1, timeout=join_s)
        except TimeoutError as error:
            raise ClusterError(
                f"No worker joined the scheduler {address} in {join_s:.0f} s: start one (dask worker {address})."
            ) from error
        yield ClusterRunner(client)
    finally:
        client.close()


def _on_worker(
    job: TileJob, work: TileWork, topic: str, started: dt.datetime, version: str, divided: bool
) -> TileOutcome:
    """What a worker does with a tile; its progress goes to the client by way of the scheduler."""
    from distributed import get_worker

    worker = get_worker()
    if software_version() != version:
        message = (
            f"Worker {worker.address} has Sylvigie {software_version()}, the run {version}: "
            "install one version everywhere, or the results differ."
        )
        return TileOutcome(job.tile, job.month, TileStatus.FAILED, message)
    worker.log_event(topic, {"tile": job.tile})

    def progress(done: int, total: int) -> None:
        if worth_a_line(done, total):
            worker.log_event(topic, {"tile": job.tile, "done": done, "total": total})

    return run_tile(work, job, progress, started, _LOCK_WAIT_S, _rows_on_cluster if divided else None)


def _rows_on_cluster(jobs: Sequence[RowJob]) -> Iterator[MadeRow]:
    """Rows of windows as tasks of their own; the worker that asks is itself free for one of them meanwhile.

    A row whose worker is lost is given to another.
    """
    from distributed import KilledWorker, as_completed, worker_client

    with worker_client() as client:
        futures = client.map(
            work_row,
            jobs,
            key=[(f"sylvigie-row-{uuid.uuid4().hex}", job.row) for job in jobs],
            pure=False,
            retries=_RETRIES,
            # Tiles that were begun are ended before others are.
            priority=1,
        )
        try:
            for future in as_completed(futures, loop=client.loop):
                yield future.result()
                future.release()
        except KilledWorker as error:
            raise ClusterError(
                f"Each worker that tried a row of its windows was lost, the last at {error.last_worker.address}: most "
                "often their memory ran out; give workers more, or fewer threads."
            ) from error
        finally:
            client.cancel(futures)


class _Listener:
    """Hands on what workers tell; what comes late, after a tile's end, is dropped."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter, self._finished, self._lock = reporter, set[str](), threading.Lock()

    def __call__(self, event: tuple[float, dict[str, Any]]) -> None:
        _, facts = event
        with self._lock:
            if facts["tile"] in self._finished:
                return
            if "total" in facts:
                self._reporter.progress(facts["tile"], facts["done"], facts["total"])
            else:
                self._reporter.tile_started(facts["tile"])

    def finished(self, tile: str) -> None:
        with self._lock:
            self._finished.add(tile)


def _outcome_of(future: Future[Any], job: TileJob) -> TileOutcome:
    """What a task gave, or why it gave nothing."""
    from distributed import KilledWorker

    try:
        outcome: TileOutcome = future.result()
    except KilledWorker as error:
        message = (
            f"Each worker that tried it was lost ({error.allowed_failures + 1} of them, the last at "
            f"{error.last_worker.address}): most often their memory ran out; give workers more, or fewer threads."
        )
    except Exception as error:  # noqa: BLE001 - whatever it was, the tile is named and the others go on
        said = " ".join(str(error).split()) or "no more is known"
        message = f"The cluster gave no result of it ({type(error).__name__}: {said}): see the logs of its workers."
    else:
        return outcome
    return TileOutcome(job.tile, job.month, TileStatus.FAILED, message)
