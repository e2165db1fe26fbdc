"""Windows of scenes, read through GDAL, with handles and buffers of one thread each."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from tiles.errors import SceneReadError
from tiles.grid import Grid
from tiles.scene import Band, Scene

GDAL_OPTIONS: dict[str, Any] = {
    # The folder of a COG need not be listed to read it: 3 requests in place of 13 over HTTP.
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".tif,.tiff,.jp2",
    "GDAL_HTTP_MAX_RETRY": 4,
    "GDAL_HTTP_RETRY_DELAY": 1,
    # Lost connections are tried again too; what is not there (404) is not asked for again and again.
    "GDAL_HTTP_RETRY_CODES": "408,429,500,502,503,504",
    "GDAL_HTTP_CONNECTTIMEOUT": 10,
    "GDAL_HTTP_TIMEOUT": 120,
    "GDAL_HTTP_MULTIRANGE": "YES",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    # Blocks are read once: a cache would only make memory grow.
    "GDAL_CACHEMAX": 64,
}
"""How GDAL is set up while Sylvigie reads."""

_OPEN_FILES = 300
"""Datasets that a thread keeps open."""

_OPEN_FILES_IN_ALL = 900
"""Datasets that all threads keep open, or nine tenths of what the process may open: its usual limit is 1,024 files."""


class Reader(Protocol):
    """What the engine asks for pixels. Safe to call from several threads."""

    def grid_of(self, scene: Scene, band: Band) -> Grid:
        """Grid of a band's raster."""
        ...

    def read(self, scene: Scene, band: Band, window: Window, out: NDArray[Any]) -> None:
        """Read a window of a band into `out`, of the window's shape and the band's dtype."""
        ...

    @property
    def bytes_read(self) -> int:
        """Bytes of raster data asked of the archive so far."""
        ...


@dataclass
class RasterioReader:
    """Reader of any raster that GDAL opens.

    Every thread has datasets of its own, since GDAL's handles are not to be shared. Call inside
    ``rasterio.Env(**GDAL_OPTIONS)``.
    """

    _local: threading.local = field(default_factory=threading.local, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _bytes: int = 0
    _caches: list[weakref.ref[OrderedDict[str, DatasetReader]]] = field(default_factory=list, repr=False)
    _keep: int = _OPEN_FILES

    def grid_of(self, scene: Scene, band: Band) -> Grid:
        """Grid of a band's raster.

        Raises
        ------
        SceneReadError
            When it cannot be opened, or has no projected CRS.
        """
        dataset = self._dataset(scene, band)
        if dataset.crs is None or not dataset.crs.is_projected:
            raise SceneReadError(scene.id, f"its {band} raster has no projected CRS ({scene.hrefs[band]})")
        return Grid(dataset.crs, dataset.transform, (dataset.height, dataset.width))

    def read(self, scene: Scene, band: Band, window: Window, out: NDArray[Any]) -> None:
        """Read a window of a band.

        Parameters
        ----------
        scene, band
            What to read.
        window
            Columns and rows of the band's own raster.
        out : ndarray, shape (window.height, window.width)
            Written.

        Raises
        ------
        SceneReadError
            When the file is absent, truncated or damaged, or holds another type of number than `out`.
        """
        dataset = self._dataset(scene, band)
        if np.dtype(dataset.dtypes[0]) != out.dtype:
            raise SceneReadError(scene.id, f"its {band} raster is {dataset.dtypes[0]}, not {out.dtype}")
        try:
            dataset.read(1, window=window, out=out)
        except (RasterioError, OSError) as error:
            raise SceneReadError(
                scene.id, f"its {band} raster is damaged or cut short ({scene.hrefs[band]})"
            ) from error
        with self._lock:
            self._bytes += _stored_bytes(dataset, window)

    @property
    def bytes_read(self) -> int:
        """Bytes of the blocks read so far, as stored (compressed)."""
        return self._bytes

    def _dataset(self, scene: Scene, band: Band) -> DatasetReader:
        opened: OrderedDict[str, DatasetReader] | None = getattr(self._local, "opened", None)
        if opened is None:
            opened = self._local.opened = OrderedDict()
            self._share_with(opened)
        href = scene.hrefs[band]
        dataset = opened.pop(href, None)
        if dataset is None:
            try:
                dataset = rasterio.open(href)
            except (RasterioError, OSError) as error:
                raise SceneReadError(scene.id, f"its {band} raster cannot be opened ({href})") from error
            while len(opened) >= self._keep:
                opened.popitem(last=False)[1].close()
        opened[href] = dataset
        return dataset

    def _share_with(self, newcomer: OrderedDict[str, DatasetReader]) -> None:
        """Divide the files that may be open among the threads that live."""
        with self._lock:
            self._caches = [cache for cache in self._caches if cache() is not None]
            self._caches.append(weakref.ref(newcomer))
            self._keep = max(1, min(_OPEN_FILES, _most_open_files() // len(self._caches)))


def _most_open_files() -> int:
    """`_OPEN_FILES_IN_ALL`, or less where the process may open less."""
    try:
        import resource
    except ImportError:  # no such limit there
        return _OPEN_FILES_IN_ALL
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _OPEN_FILES_IN_ALL if soft == resource.RLIM_INFINITY else min(_OPEN_FILES_IN_ALL, soft * 9 // 10)


def _stored_bytes(dataset: DatasetReader, window: Window) -> int:
    """Bytes that the blocks under a window take in the file; 0 where the format does not tell."""
    height, width = dataset.block_shapes[0]
    total = 0
    for row in range(window.row_off // height, -(-(window.row_off + window.height) // height)):
        for col in range(window.col_off // width, -(-(window.col_off + window.width) // width)):
            size = dataset.get_tag_item(f"BLOCK_SIZE_{col}_{row}", "TIFF", bidx=1)
            total += int(size or 0)
    return total
