"""Rows of windows of one tile, worked out by several processes: what is asked of each, and their putting together.

No row depends on another, so that the tile comes out the same however it is divided.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

from tiles.catalog import Credentials, open_catalogue
from tiles.change import ChangeMapWriter
from tiles.engine import ChangeParams, Tally, TilePlan, make_change_map
from tiles.errors import SceneReadError
from tiles.merging import archive_reader
from tiles.reader import gdal_env
from tiles.state import Batches, StateList, StateReader, StateWriter
from tiles.unreadable import FaultFinder
from tiles.watch import WatchedArea


@dataclass(frozen=True)
class RowJob:
    """One row of windows of a tile's month, with all that is needed to work on it anywhere. It pickles.

    Parameters
    ----------
    row
        Which, of `tiles.engine.row_count`.
    plan
        What is to be read.
    area
        The watched forest: a raster, under the name by which every machine sees it.
    known
        Folders of the reference and of the memory; None where the reference is to be fitted.
    params
        How.
    catalogue, credentials, max_requests_per_host, threads
        As of `detector.ports.TileJob`.
    find_faults
        Whether to go on after a scene that cannot be read; see `tiles.unreadable.FaultFinder`.
    """

    row: int
    plan: TilePlan
    area: WatchedArea
    known: tuple[Path, Path] | None
    params: ChangeParams
    catalogue: str
    max_requests_per_host: int
    threads: int | None
    credentials: Credentials | None = field(default=None, repr=False)
    find_faults: bool = False


@dataclass(frozen=True)
class MadeRow:
    """What a row of windows came to.

    Parameters
    ----------
    windows
        Column, row, width and height, change (None where nothing changed) and states, as `ChangeMapWriter.write` takes.
    batches
        What is known of each window, as `StateWriter.put` takes it.
    tally
        What was counted.
    bytes_read
        Of raster data, as stored.
    faults
        Scenes that could not be read, where faults are to be found: the row is then of no use.
    """

    windows: tuple[tuple[tuple[int, int, int, int], NDArray[np.int16] | None, NDArray[np.uint8]], ...]
    batches: tuple[tuple[int, Batches], ...]
    tally: Tally
    bytes_read: int
    faults: tuple[SceneReadError, ...] = ()


RowShare = Callable[[Sequence[RowJob]], Iterable[MadeRow]]
"""Has rows worked out, wherever; gives them in any order.

It raises what `work_row` raises."""


class _Windows:
    """Takes windows, to be handed on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.taken: list[tuple[tuple[int, int, int, int], NDArray[np.int16] | None, NDArray[np.uint8]]] = []

    def write(self, window: Window, change: NDArray[np.int16] | None, state: NDArray[np.uint8]) -> None:
        place = (window.col_off, window.row_off, window.width, window.height)
        with self._lock:
            self.taken.append((place, change, state.copy()))


def work_row(job: RowJob) -> MadeRow:
    """Work out a row of windows.

    Raises
    ------
    tiles.errors.SylvigieError
        As `tiles.engine.make_change_map` does.
    """
    access = open_catalogue(job.catalogue, job.credentials).access
    reader, windows, states = archive_reader(access, job.max_requests_per_host), _Windows(), StateList(not job.known)
    finder = FaultFinder(reader)
    with rasterio.Env(**gdal_env(access)):
        tally = make_change_map(
            job.plan,
            job.area.on(job.plan.grid),
            finder if job.find_faults else reader,
            windows,
            job.params,
            job.threads,
            # Who asks has looked at the checksums, once for all rows.
            known=None if job.known is None else StateReader(*job.known, checksums=None),
            keeper=states,
            rows=[job.row],
        )
    faults = tuple(finder.faults.values())
    return MadeRow(tuple(windows.taken), tuple(states.batches), tally, reader.bytes_read, faults)


def put_together(
    made: Iterable[MadeRow], writer: ChangeMapWriter, keeper: StateWriter, done: Callable[[int], None]
) -> tuple[Tally, int, list[SceneReadError]]:
    """Write rows into the files of their tile.

    Parameters
    ----------
    made
        All rows, in any order.
    writer, keeper
        Of the tile's month.
    done
        Told after each row how many were.

    Returns
    -------
    tally, bytes_read, faults
        Of all of them.
    """
    tally, bytes_read, faults = Tally(), 0, list[SceneReadError]()
    for count, row in enumerate(made, start=1):
        for place, change, state in row.windows:
            writer.write(Window(*place), change, state)
        for index, batches in row.batches:
            keeper.put(index, batches)
        tally.add(row.tally)
        bytes_read += row.bytes_read
        faults += row.faults
        done(count)
    return tally, bytes_read, faults
