"""What is known of a tile's forest from before, and its files: each pixel's reference, and its memory.

Kept by window, as lists of forest pixels: Arrow files (https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format,
compressed by Zstandard) with one record batch a window. See ADR 0007 for why not a raster.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tiles.errors import OutputError, StateError
from tiles.false_cloud import CloudList
from tiles.monitor import PixelMemory
from tiles.reference import CodedReference

_COUNTS = ("n_low", "n_intact", "n_before", "n_after", "convincing")
"""Rows of `PixelMemory.counts`."""

_MEMORY_SCHEMA = pa.schema([("last_intact", pa.int16()), ("n_before", pa.int16()), ("brightness", pa.uint8())])
"""What every pixel has."""

_SUSPICION_SCHEMA = pa.schema(
    [
        ("pixel", pa.int32()),
        ("n_low", pa.int16()),
        ("n_intact", pa.int16()),
        ("n_after", pa.int16()),
        ("convincing", pa.int16()),
        ("first_low", pa.int16()),
        ("expected", pa.float32()),
        ("observed", pa.float32()),
    ]
)
"""What pixels with an open suspicion have beside: one in some dozens."""

_CLOUDS_SCHEMA = pa.schema([("pixel", pa.int32()), ("count", pa.uint8()), ("last_day", pa.int16())])
"""What is known of false clouds, a batch for each row of windows: of few pixels anything."""

REFERENCE_FILE, MEMORY_FILE, SUSPICION_FILE = "reference.arrow", "memory.arrow", "suspicions.arrow"
CLOUDS_FILE = "clouds.arrow"
MONTHLY_FILES = (MEMORY_FILE, SUSPICION_FILE, CLOUDS_FILE)
"""What each month has of its own."""


def _reference_schema(terms: int) -> pa.Schema:
    names = ["constant"] + [f"{wave}{harmonic}" for harmonic in range(1, terms // 2 + 1) for wave in ("cos", "sin")]
    coefficients = [(name, pa.int8()) for name in names]
    return pa.schema([*coefficients, ("lowest", pa.uint8()), ("count", pa.uint8())])


class Keeper(Protocol):
    """Where the engine puts what it knows of a window once the month is over."""

    def keep(self, index: int, reference: CodedReference, memory: PixelMemory) -> None:
        """Take a window, by its place in `Grid.windows`; every window once, in any order, from any thread."""
        ...

    def keep_clouds(self, row: int, clouds: CloudList) -> None:
        """Take what is known of false clouds over a row of windows, by its place; every row once, as `keep`."""
        ...


class Known(Protocol):
    """Where the engine finds what was known of a window before the month."""

    def recall(self, index: int, memory: PixelMemory) -> CodedReference:
        """Reference of a window's forest pixels; what is known of them goes into a memory of any content.

        Raises
        ------
        StateError
            When the window is known with another number of forest pixels.
        """
        ...

    def recall_clouds(self, row: int) -> CloudList:
        """What is known of false clouds over a row of windows."""
        ...


Batches = Mapping[str, Sequence[NDArray[Any]]]
"""Columns of a window, or of a row of them, by the file that they go to."""


def _window_batches(reference: CodedReference, memory: PixelMemory, with_reference: bool) -> Batches:
    """What is kept of a window: copies, since the engine uses its arrays again while they wait for their turn."""
    open_ones = np.flatnonzero(memory.n_low)
    batches: dict[str, Sequence[NDArray[Any]]] = {
        MEMORY_FILE: [column.copy() for column in (memory.last_intact, memory.n_before, memory.brightness)],
        SUSPICION_FILE: [
            open_ones.astype(np.int32),
            *(memory.counts[row, open_ones] for row in (0, 1, 3, 4)),
            memory.first_low[open_ones],
            *(total[open_ones] for total in memory.sums),
        ],
    }
    if with_reference:
        batches[REFERENCE_FILE] = [
            column.copy() for column in (*reference.coefficients, reference.lowest, reference.count)
        ]
    return batches


def _cloud_batch(clouds: CloudList) -> Batches:
    return {CLOUDS_FILE: [column.copy() for column in (clouds.pixel, clouds.count, clouds.last_day)]}


class StateList:
    """Collects what a `StateWriter` elsewhere is to write, where a part of a tile is worked out for another process.

    Parameters
    ----------
    with_reference
        Whether the reference is new.
    """

    def __init__(self, with_reference: bool) -> None:
        self._with_reference, self._lock = with_reference, threading.Lock()
        self.batches: list[tuple[int, Batches]] = []

    def keep(self, index: int, reference: CodedReference, memory: PixelMemory) -> None:
        """Take a window; see `Keeper.keep`."""
        kept = index, _window_batches(reference, memory, self._with_reference)
        with self._lock:
            self.batches.append(kept)

    def keep_clouds(self, row: int, clouds: CloudList) -> None:
        """Take a row of windows; see `Keeper.keep_clouds`."""
        with self._lock:
            self.batches.append((row, _cloud_batch(clouds)))


class _OrderedFile:
    """An Arrow file whose batches are written in the order of the windows, whatever order they come in.

    The same batches then give the same bytes.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path = path
        self._schema, self._next = schema, 0
        self._waiting: dict[int, pa.RecordBatch] = {}
        options = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", compression_level=1), use_threads=False)
        self._writer = pa.ipc.new_file(str(path), schema, options=options)

    def put(self, index: int, columns: Sequence[NDArray[Any]]) -> None:
        arrays = [pa.array(column) for column in columns]
        self._waiting[index] = pa.record_batch(arrays, schema=self._schema)
        while self._next in self._waiting:
            self._writer.write_batch(self._waiting.pop(self._next))
            self._next += 1

    def close(self) -> None:
        self._writer.close()


@dataclass
class StateWriter:
    """Writes a tile's memory, and its reference where that is new. Use as a context manager.

    Parameters
    ----------
    folder
        Of the files; it exists.
    terms
        Coefficients of a new reference; None to write the memory alone.

    Raises
    ------
    OutputError
        When the disk does not take the files.
    """

    folder: Path
    terms: int | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _files: dict[str, _OrderedFile] = field(default_factory=dict, repr=False)

    def __enter__(self) -> Self:
        schemas = {MEMORY_FILE: _MEMORY_SCHEMA, SUSPICION_FILE: _SUSPICION_SCHEMA, CLOUDS_FILE: _CLOUDS_SCHEMA}
        if self.terms is not None:
            schemas[REFERENCE_FILE] = _reference_schema(self.terms)
        try:
            for name, schema in schemas.items():
                self._files[name] = _OrderedFile(self.folder / name, schema)
        except OSError as error:
            raise self._refusal(error) from error
        return self

    def keep(self, index: int, reference: CodedReference, memory: PixelMemory) -> None:
        """Take a window; see `Keeper.keep`."""
        self.put(index, _window_batches(reference, memory, self.terms is not None))

    def keep_clouds(self, row: int, clouds: CloudList) -> None:
        """Take a row of windows; see `Keeper.keep_clouds`."""
        self.put(row, _cloud_batch(clouds))

    def put(self, index: int, batches: Batches) -> None:
        """Take what a `StateList` has collected of a window, or of a row of them."""
        try:
            with self._lock:
                for name, columns in batches.items():
                    self._files[name].put(index, columns)
        except OSError as error:
            raise self._refusal(error) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            for file in self._files.values():
                file.close()
        except OSError as problem:
            raise self._refusal(problem) from problem

    def checksums(self) -> dict[str, int]:
        """CRC-32 of each file, once they are closed."""
        return {name: checksum(file.path) for name, file in sorted(self._files.items())}

    def _refusal(self, problem: OSError) -> OutputError:
        return OutputError(
            f"The state cannot be written to {self.folder} ({problem.strerror or problem}): make room or choose "
            "another data directory; the month before is as it was."
        )


class StateReader:
    """Reads what was kept of a tile; safe to call from several threads.

    Parameters
    ----------
    reference, memory
        The folders that hold `REFERENCE_FILE`, and `MONTHLY_FILES`.
    checksums
        CRC-32 that each file is to have; not looked at where None, by who is told that it was.

    Raises
    ------
    StateError
        When a file is absent, damaged or not what was written.
    """

    def __init__(self, reference: Path, memory: Path, checksums: Mapping[str, int] | None) -> None:
        self.folders = reference, memory
        self._paths = {REFERENCE_FILE: reference / REFERENCE_FILE, **{name: memory / name for name in MONTHLY_FILES}}
        self._local = threading.local()
        for name, path in self._paths.items():
            if checksums is not None and checksums.get(name) != checksum(path):
                raise StateError(
                    f"{path} is not as it was written: take that month back from a backup, or build it anew."
                )

    def recall(self, index: int, memory: PixelMemory) -> CodedReference:
        """Reference of a window, and its memory; see `Known.recall`."""
        last_intact, n_before, brightness = self._columns(MEMORY_FILE, index)
        *coefficients, lowest, count = self._columns(REFERENCE_FILE, index)
        for name, known in ((MEMORY_FILE, last_intact.size), (REFERENCE_FILE, lowest.size)):
            if known != memory.brightness.size:
                raise StateError(
                    f"{self._paths[name]} knows {known} forest pixels of a window that has "
                    f"{memory.brightness.size}: build the tile's reference anew."
                )
        memory.last_intact[:], memory.n_before[:], memory.brightness[:] = last_intact, n_before, brightness
        memory.n_low[:], memory.last_seen[:] = 0, -1
        suspicion = dict(zip(_SUSPICION_SCHEMA.names, self._columns(SUSPICION_FILE, index), strict=True))
        pixel = suspicion["pixel"]
        for row, name in enumerate(_COUNTS):
            if name != "n_before":
                memory.counts[row, pixel] = suspicion[name]
        memory.first_low[pixel] = suspicion["first_low"]
        memory.sums[0, pixel], memory.sums[1, pixel] = suspicion["expected"], suspicion["observed"]
        return CodedReference(np.stack(coefficients), lowest, count)

    def recall_clouds(self, row: int) -> CloudList:
        """What is known of false clouds over a row of windows; see `Known.recall_clouds`."""
        return CloudList(*self._columns(CLOUDS_FILE, row))

    def _columns(self, name: str, index: int) -> list[NDArray[Any]]:
        try:
            batch = self._file(name).get_batch(index)
        except (OSError, ValueError) as error:  # pyarrow's own are of these kinds
            raise StateError(f"{self._paths[name]} is damaged: build the tile's reference anew.") from error
        return [column.to_numpy() for column in batch.columns]

    def _file(self, name: str) -> pa.ipc.RecordBatchFileReader:
        """A reader of this thread's own."""
        opened: dict[str, pa.ipc.RecordBatchFileReader] = self._local.__dict__.setdefault("opened", {})
        if name not in opened:
            options = pa.ipc.IpcReadOptions(use_threads=False)
            # Not mapped: pages that were read once would be counted as this process's, the whole of the tile's state.
            opened[name] = pa.ipc.open_file(
                pa.OSFile(str(self._paths[name])),
                options=options,
                # Arrow's own pool gives memory back between windows, which then is cleared for the next one again.
                memory_pool=pa.system_memory_pool(),
            )
        return opened[name]


def checksum(path: Path) -> int:
    """CRC-32 of a file.

    Raises
    ------
    StateError
        When it cannot be read.
    """
    crc = 0
    try:
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                crc = zlib.crc32(piece, crc)
    except OSError as error:
        raise StateError(f"{path} cannot be read ({error.strerror or error}).") from error
    return crc
