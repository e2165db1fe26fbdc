"""A scene whose pass came in several products, read as one image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from tiles.access import Access
from tiles.grid import Grid
from tiles.reader import RasterioReader, Reader
from tiles.remote import HostGate
from tiles.scene import Band, Scene


@dataclass(frozen=True)
class MergingReader:
    """Reader that fills what a scene's first product has no data for from its further parts.

    Pixels of a part are shifted, so that the scene's own `dn_offset` holds for all of them. A window that is full
    costs nothing more than the inner reader does.

    Parameters
    ----------
    inner
        Reads single products.
    """

    inner: Reader

    def grid_of(self, scene: Scene, band: Band) -> Grid:
        """Grid of a band's raster: that of the first product, on which the parts lie too (`tiles.plan`)."""
        return self.inner.grid_of(scene, band)

    def read(self, scene: Scene, band: Band, window: Window, out: NDArray[Any]) -> None:
        """Read a window of a band; see `Reader.read`.

        Raises
        ------
        SceneReadError
            When a product cannot be read. It names that product, which may be a part of the scene: see
            `tiles.catalog.passes.drop_from`.
        """
        self.inner.read(scene, band, window, out)
        for part in scene.parts:
            # No data is 0, in digital numbers and classes alike.
            if out.all():
                return
            pixels = np.empty_like(out)
            self.inner.read(part, band, window, pixels)
            if band is not Band.SCL:
                _shift(pixels, part.known_offset - scene.known_offset)
            np.copyto(out, pixels, where=out == 0)

    def block_rows(self, scene: Scene, band: Band) -> int:
        """Rows of a block of the first product's raster."""
        return self.inner.block_rows(scene, band)

    def stop(self) -> None:
        """Let no thread wait any longer for an archive."""
        self.inner.stop()

    @property
    def bytes_read(self) -> int:
        """Bytes of raster data asked of the archive so far."""
        return self.inner.bytes_read


def archive_reader(access: Access, max_requests_per_host: int = 8) -> MergingReader:
    """The reader of an archive's scenes, for one run.

    Parameters
    ----------
    access
        How the archive lets its files be opened.
    max_requests_per_host
        Requests that are under way to one host at most.
    """
    return MergingReader(RasterioReader(access, gate=HostGate(max_requests_per_host)))


def _shift(pixels: NDArray[Any], by: int) -> None:
    """Shift digital numbers in place: no wrap below 0 or above the type, and no data stays none."""
    if by == 0:
        return
    shifted = np.clip(pixels.astype(np.int64) + by, 1, np.iinfo(pixels.dtype).max)
    np.copyto(pixels, shifted, where=pixels != 0, casting="unsafe")
