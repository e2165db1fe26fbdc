"""The classification of a scene, read downwards, each block of its file once."""

from __future__ import annotations

import threading

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from rasterio.windows import Window

from tiles import kernels
from tiles.clear import CLEAR_CLASSES, OBSCURING_CLASSES, class_bits
from tiles.reader import Reader
from tiles.scene import Band, Scene

_ROWS_AT_ONCE = 128
"""Rows that are looked at before they are packed: those of a whole tile then fit the nearer caches."""


class ClassStripes:
    """The classification of a scene, read downwards: rows that the margin asks for again are not decoded again.

    Rows are read by whole blocks of the file, and kept until no later row of windows needs them. They wait compressed
    (LZ4): classes lie in large patches, and a dozen scenes of a whole tile would otherwise hold 70 MB.

    Parameters
    ----------
    scene
        Which.
    shape
        Rows and columns of its classification.
    hold
        Whether rows are kept. Of too many scenes none are, and some rows are decoded again.
    """

    def __init__(self, scene: Scene, shape: tuple[int, int], hold: bool) -> None:
        self._scene, self._shape, self._hold = scene, shape, hold
        self._first, self._end = 0, 0
        self._held: pa.Buffer | None = None
        self._block_rows = 0
        self._lock = threading.Lock()

    def rows(self, reader: Reader, first: int, last: int, needed_next: int) -> NDArray[np.uint8]:
        """Rows from `first` to `last`; those before `needed_next` are then forgotten.

        Raises
        ------
        SceneReadError
            As `tiles.reader.Reader.read`.
        """
        height, width = self._shape
        with self._lock:
            if not self._block_rows:
                self._block_rows = reader.block_rows(self._scene, Band.SCL)
            begin, end = self._first, self._end
            if not begin <= first <= end:
                # Rows of windows without forest lie between, or another thread was ahead.
                begin = end = first - first % self._block_rows
            stop = min(height, -(-last // self._block_rows) * self._block_rows) if last > end else end
            rows = np.empty((stop - begin, width), np.uint8)
            if end > begin:
                rows[: end - begin] = self._unpacked()
            if stop > end:
                reader.read(self._scene, Band.SCL, Window(0, end, width, stop - end), rows[end - begin :])
            gone = min(max(0, needed_next - begin), stop - begin) if self._hold else stop - begin
            self._pack(rows[gone:], begin + gone)
            return rows[first - begin : last - begin]

    def _pack(self, rows: NDArray[np.uint8], first: int) -> None:
        self._first, self._end = first, first + len(rows)
        self._held = pa.Codec("lz4_raw").compress(rows) if rows.size else None

    def _unpacked(self) -> NDArray[np.uint8]:
        shape = self._end - self._first, self._shape[1]
        rows = pa.Codec("lz4_raw").decompress(self._held, decompressed_size=shape[0] * shape[1])
        return np.frombuffer(rows, np.uint8).reshape(shape)


class ClearStripes:
    """Where a scene is clear, read downwards, where no false cloud is looked for: each block is decoded once.

    A block reaches further down than the row of windows for which its first rows are read. The rest of it is looked at
    at once too, and waits as bits: a twentieth of the time that its classes would take to be compressed and back.

    Parameters
    ----------
    scene
        Which.
    shape
        Rows and columns of its classification.
    margin
        Pixels around what obscures that are not clear.
    hold
        Whether rows are kept. Of too many scenes none are, and some rows are decoded again.
    """

    def __init__(self, scene: Scene, shape: tuple[int, int], margin: int, hold: bool) -> None:
        self._scene, self._shape, self._margin, self._hold = scene, shape, margin, hold
        self._block_rows = 0
        self._lock = threading.Lock()
        # Bits of the rows from the first on, and the classes above the end of what was read that are needed again.
        self._first, self._end = 0, 0
        self._clear = np.empty((0, 0), np.uint8)
        self._classes = np.empty((0, 0), np.uint8)
        self._begin(0, 0)

    def rows(self, reader: Reader, first: int, last: int) -> NDArray[np.uint8]:
        """Rows from `first` to `last`, packed to bits along them; all before `last` are then forgotten.

        Raises
        ------
        SceneReadError
            As `tiles.reader.Reader.read`.
        """
        with self._lock:
            if not self._block_rows:
                self._block_rows = reader.block_rows(self._scene, Band.SCL)
            if not self._first <= first <= self._first + len(self._clear):
                # Rows of windows without forest lie between, or another thread was ahead.
                above = max(0, first - self._margin)
                self._begin(first, above - above % self._block_rows)
            if last > self._first + len(self._clear):
                self._read_on(reader, last)
            # Copies, lest the rows of a whole block stay for those that are still wanted.
            clear = self._clear[first - self._first : last - self._first].copy()
            if self._hold:
                self._first, self._clear = last, self._clear[last - self._first :].copy()
            else:
                self._begin(0, 0)
            return clear

    def _begin(self, first: int, block: int) -> None:
        """Hold nothing, and go on from a row on, the first of whose blocks begins at `block`."""
        width = self._shape[1]
        self._first, self._clear = first, np.empty((0, -(-width // 8)), np.uint8)
        self._end, self._classes = block, np.empty((0, width), np.uint8)

    def _read_on(self, reader: Reader, last: int) -> None:
        """Read whole blocks as far as `last` needs them, and tell of all their rows where they are clear."""
        (height, width), margin, above = self._shape, self._margin, len(self._classes)
        done, begin = self._first + len(self._clear), self._end - above
        stop = min(height, -(-min(height, last + margin) // self._block_rows) * self._block_rows)
        classes = np.empty((stop - begin, width), np.uint8)
        classes[:above] = self._classes
        reader.read(self._scene, Band.SCL, Window(0, self._end, width, stop - self._end), classes[above:])
        until = stop if stop == height else stop - margin
        clear = [self._clear]
        told = until if self._hold else last
        for first in range(done, told, _ROWS_AT_ONCE):
            clear.append(self._clear_rows(classes, first - begin, min(_ROWS_AT_ONCE, told - first)))
        self._clear = np.concatenate(clear)
        # What the next rows' margin reaches up to.
        self._end, self._classes = stop, classes[max(begin, until - margin) - begin :].copy()

    def _clear_rows(self, classes: NDArray[np.uint8], first: int, rows: int) -> NDArray[np.uint8]:
        """Some rows of `classes`, from `first` on, as bits that tell where they are clear."""
        top, margin = max(0, first - self._margin), self._margin
        near = classes[top : first + rows + margin]
        clear = np.empty((rows, classes.shape[1]), np.uint8)
        kernels.clear_mask(near, first - top, class_bits(CLEAR_CLASSES), class_bits(OBSCURING_CLASSES), margin, clear)
        return np.packbits(clear, axis=1)
