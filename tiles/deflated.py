"""Blocks of DEFLATE GeoTIFFs on a disk, decoded without GDAL: the half of a month's cost that can be saved.

TIFF's predictor (TIFF 6.0, section 14) stores each pixel as the difference to its left neighbour. libtiff adds them up
through memory, which takes it nearly as long as the decompression itself; a kernel with the sum in a register takes a
seventh. Whatever is out of the ordinary, damage too, is left to GDAL: see ADR 0005.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import deflate
import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader
from rasterio.windows import Window

from tiles import kernels

_LITTLE_ENDIAN = b"II"
_LEFT_NEIGHBOUR = "2"
"""TIFF's number for the predictor of whole numbers."""


class DeflatedBlocks:
    """The blocks of one band's GeoTIFF; for one thread, as GDAL's dataset is.

    Parameters
    ----------
    path
        Of the file.
    dataset
        The same, as GDAL opened it: it knows where the blocks lie.
    differences
        Whether pixels are stored as differences to their left neighbour.
    """

    def __init__(self, path: Path, dataset: DatasetReader, differences: bool) -> None:
        self._path, self._differences = path, differences
        self._dtype = np.dtype(dataset.dtypes[0])
        self._shape: tuple[int, int] = dataset.block_shapes[0]
        self._places: dict[tuple[int, int], tuple[int, int]] = {}
        self._dataset = dataset

    @classmethod
    def of(cls, path: Path, dataset: DatasetReader) -> Self | None:
        """Of a file, or None where it is of a kind that is left to GDAL."""
        how = {**dataset.tags(ns="IMAGE_STRUCTURE"), **dataset.tags(1, ns="IMAGE_STRUCTURE")}
        plain = (
            dataset.driver == "GTiff"
            and dataset.count == 1
            and dataset.dtypes[0] in ("uint8", "uint16")
            # Strips, whose last one is shorter than the others, are as wide as the raster.
            and dataset.block_shapes[0][1] != dataset.width
            and how.get("COMPRESSION") == "DEFLATE"
            and how.get("PREDICTOR", "1") in ("1", _LEFT_NEIGHBOUR)
            and not how.keys() & {"NBITS", "PIXELTYPE"}
        )
        try:
            with path.open("rb") as file:
                plain = plain and file.read(2) == _LITTLE_ENDIAN
        except OSError:  # inside an archive, for one: GDAL has names for it that the system has not
            return None
        if not plain:
            return None
        return cls(path, dataset, how.get("PREDICTOR") == _LEFT_NEIGHBOUR)

    def read(self, window: Window, out: NDArray[Any]) -> int | None:
        """Read a window of the dataset.

        Parameters
        ----------
        window
            Columns and rows, all within the raster.
        out : ndarray, shape (window.height, window.width)
            Written; of the raster's dtype. Without meaning where None is returned.

        Returns
        -------
        int or None
            Bytes that the blocks take in the file; None where a block cannot be read as it should.
        """
        height, width = self._shape
        bottom, right = window.row_off + window.height, window.col_off + window.width
        stored = 0
        try:
            with self._path.open("rb", buffering=0) as file:
                for row in range(window.row_off // height, -(-bottom // height)):
                    for col in range(window.col_off // width, -(-right // width)):
                        place, size = self._place(col, row)
                        file.seek(place)
                        pixels = self._decode(file.read(size))
                        if pixels is None:
                            return None
                        top, left = max(row * height, window.row_off), max(col * width, window.col_off)
                        end, edge = min((row + 1) * height, bottom), min((col + 1) * width, right)
                        target = out[
                            top - window.row_off : end - window.row_off, left - window.col_off : edge - window.col_off
                        ]
                        self._place_in(target, pixels[top - row * height : end - row * height], left - col * width)
                        stored += size
        except OSError:
            return None
        return stored

    def _place(self, col: int, row: int) -> tuple[int, int]:
        """Offset and size of a block in the file; size 0 where it is not stored."""
        if (col, row) not in self._places:
            names = (f"BLOCK_{what}_{col}_{row}" for what in ("OFFSET", "SIZE"))
            offset, size = (int(self._dataset.get_tag_item(name, "TIFF", bidx=1) or 0) for name in names)
            self._places[col, row] = offset, size
        return self._places[col, row]

    def _decode(self, data: bytes) -> NDArray[Any] | None:
        """A block as it was before it was compressed; None where it is absent or damaged."""
        size = self._shape[0] * self._shape[1] * self._dtype.itemsize
        try:
            # It takes nothing whose checksum is wrong.
            pixels = deflate.zlib_decompress(data, size) if data else b""
        except deflate.DeflateError:
            return None
        return np.frombuffer(pixels, self._dtype).reshape(self._shape) if len(pixels) == size else None

    def _place_in(self, out: NDArray[Any], pixels: NDArray[Any], left: int) -> None:
        """Rows of a block, from a column on, into a part of the window."""
        if self._differences:
            kernels.add_differences(pixels, left, out)
        else:
            out[:] = pixels[:, left : left + out.shape[1]]
