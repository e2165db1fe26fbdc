"""Scenes that turn out unreadable while a tile is worked on: found together, so that it is begun again once or twice.

The first failure stops the work, since most come early and alone. Then the other scenes are probed, each by its last
block: a file that was cut short, an archive that does not answer show there. What hides from that (a damaged block in
the middle) is found by the next attempt, which goes on to its end whatever it meets. A tile with any number of broken
scenes is thus read two times, or three.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from tiles.catalog import SkippedScene
from tiles.catalog.passes import drop_from
from tiles.engine import WINDOW_PX
from tiles.errors import SceneReadError
from tiles.grid import Grid
from tiles.reader import Reader
from tiles.scene import NEEDED_BANDS, Band, Scene

_DTYPES = {Band.RED: np.uint16, Band.NIR: np.uint16, Band.SCL: np.uint8}


@dataclass
class FaultFinder:
    """Reader to whom a scene that cannot be read holds no data; what was made with its help is to be thrown away.

    Parameters
    ----------
    inner
        Reads the scenes.

    Attributes
    ----------
    faults
        What was wrong, by identifier of the scene; each is met once, and its files are not asked again.
    """

    inner: Reader
    faults: dict[str, SceneReadError] = field(default_factory=dict, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def grid_of(self, scene: Scene, band: Band) -> Grid:
        """Grid of a band's raster; see `Reader.grid_of`."""
        return self.inner.grid_of(scene, band)

    def read(self, scene: Scene, band: Band, window: Window, out: NDArray[Any]) -> None:
        """Read a window of a band; no data where that fails."""
        if scene.id not in self.faults:
            try:
                self.inner.read(scene, band, window, out)
            except SceneReadError as error:
                self._note(scene, error)
            else:
                return
        out[...] = 0

    def block_rows(self, scene: Scene, band: Band) -> int:
        """Rows of a block of a band's raster; any where that fails."""
        try:
            return self.inner.block_rows(scene, band)
        except SceneReadError as error:
            self._note(scene, error)
            return 1

    def stop(self) -> None:
        """Let no thread wait any longer for an archive."""
        self.inner.stop()

    @property
    def bytes_read(self) -> int:
        """Bytes of raster data asked of the archive so far."""
        return self.inner.bytes_read

    def _note(self, scene: Scene, error: SceneReadError) -> None:
        with self._lock:
            self.faults.setdefault(scene.id, error)


class Attempts:
    """Attempts at a tile, each without the products that those before found unfit or unreadable.

    Parameters
    ----------
    scenes
        Of the tile, oldest first.
    reader
        Reads them.

    Attributes
    ----------
    scenes
        What is left of them.
    left_out
        Products that were taken out, with the reasons.
    """

    def __init__(self, scenes: Sequence[Scene], reader: Reader) -> None:
        self.scenes: list[Scene] = list(scenes)
        self.left_out: list[SkippedScene] = []
        self._reader = reader
        self._finder: FaultFinder | None = None

    def planned(self, scenes: Sequence[Scene], unfit: Sequence[SkippedScene]) -> None:
        """Note what a plan made of the scenes: those that do not go with the others, and the offsets of the rest."""
        for left in unfit:
            self.scenes, _ = drop_from(self.scenes, left.id, left.reason)
        self.left_out += unfit
        by_id = {scene.id: scene for scene in scenes}
        self.scenes = [by_id.get(scene.id, scene) for scene in self.scenes]

    @property
    def find_faults(self) -> bool:
        """Whether this attempt is to go on after a scene that cannot be read, to find all such."""
        return self._finder is not None

    def found(self, faults: Iterable[SceneReadError]) -> None:
        """Note what others found who read for this attempt."""
        if self._finder is not None:
            self._finder.faults |= {fault.scene_id: fault for fault in faults}

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """The reader of an attempt.

        Raises
        ------
        SceneReadError
            When a scene could not be read, at the first one or in the end: to be given to `failed`.
        """
        if self._finder is None:
            yield self._reader
            return
        self._finder.faults.clear()
        yield self._finder
        for fault in self._finder.faults.values():
            raise fault

    def failed(self, error: SceneReadError) -> None:
        """Take out what could not be read; after the first failure, what a look at each of the others finds broken."""
        faults = {error.scene_id: error}
        if self._finder is not None:
            faults |= {fault.scene_id: fault for fault in self._finder.faults.values()}
        for fault in faults.values():
            self._drop(fault)
        if self._finder is None:
            self._finder = FaultFinder(self._reader)
            self._probe()

    def _probe(self) -> None:
        # An alternative that takes a broken product's place is looked at in its turn.
        sound: set[str] = set()
        while (product := next((one for one in self._products() if one.id not in sound), None)) is not None:
            fault = fault_at_end(product, self._reader)
            if fault is None:
                sound.add(product.id)
            else:
                self._drop(fault)

    def _products(self) -> Iterator[Scene]:
        return (product for scene in self.scenes for product in scene.members)

    def _drop(self, fault: SceneReadError) -> None:
        self.scenes, left = drop_from(self.scenes, fault.scene_id, fault.reason)
        self.left_out.append(left)


def fault_at_end(product: Scene, reader: Reader) -> SceneReadError | None:
    """What is wrong with a product, as far as the last block of each of its bands shows."""
    try:
        for band in NEEDED_BANDS:
            rows, cols = reader.grid_of(product, band).shape
            reader.read(product, band, Window(cols - 1, rows - 1, 1, 1), np.empty((1, 1), _DTYPES[band]))
    except SceneReadError as error:
        return error
    return None


def fault_in(
    product: Scene, reader: Reader, grid: Grid, pixels_per_class: int, windows: Sequence[Window]
) -> SceneReadError | None:
    """What is wrong with a product where a tile would read it; the last blocks are read first.

    Parameters
    ----------
    product
        To look at.
    reader
        Reads it.
    grid, pixels_per_class
        Of its bands, and band pixels along a side of a pixel of the classification, which is read everywhere.
    windows
        Where its bands are read.
    """
    fault = fault_at_end(product, reader)
    if fault is not None:
        return fault
    height, width = (-(-side // pixels_per_class) for side in grid.shape)
    everywhere = replace(grid, shape=(height, width)).windows(WINDOW_PX)
    looks = {Band.SCL: list(everywhere), Band.RED: windows, Band.NIR: windows}
    try:
        for band, parts in looks.items():
            for part in parts:
                reader.read(product, band, part, np.empty((part.height, part.width), _DTYPES[band]))
    except SceneReadError as error:
        return error
    return None
