"""The classification of a scene, read downwards, each block of its file once."""

from __future__ import annotations

import threading

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from rasterio.windows import Window

from tiles.reader import Reader
from tiles.scene import Band, Scene


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
