"""Windows of scenes, read through GDAL, with handles and buffers of one thread each."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from tiles.access import Access, OpenAccess
from tiles.bucket_raster import BucketRaster
from tiles.deflated import DeflatedBlocks
from tiles.errors import SceneReadError
from tiles.grid import Grid
from tiles.remote import HostGate, RemoteError, RetryPolicy
from tiles.scene import Band, Scene
from tiles.web_files import Traffic, WebFiles, is_remote, public_address
from tiles.web_raster import HEADER_BYTES, PageCache, WebRaster

_T = TypeVar("_T")

GDAL_OPTIONS: dict[str, Any] = {
    # The folder of a COG need not be listed to read it: 3 requests in place of 13 over HTTP.
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".tif,.tiff,.jp2",
    # What follows is for buckets (S3 and its like), which GDAL itself asks; for http(s) see `tiles.web_files`.
    # Range after range: what GDAL 3.10 asks for side by side it does not ask for again (OSGeo/gdal#12933).
    "GDAL_HTTP_MULTIRANGE": "SERIAL",
    "GDAL_HTTP_VERSION": "2TLS",
    "GDAL_HTTP_MAX_RETRY": 2,
    "GDAL_HTTP_RETRY_DELAY": 1,
    # Lost connections are tried again too; what is not there (404) is not asked for again and again.
    "GDAL_HTTP_RETRY_CODES": "408,429,500,502,503,504",
    "GDAL_HTTP_CONNECTTIMEOUT": 10,
    "GDAL_HTTP_TIMEOUT": 120,
    # As much as the directory of a COG takes, at once; and no file that failed is remembered as absent.
    "GDAL_INGESTED_BYTES_AT_OPEN": HEADER_BYTES,
    "CPL_VSIL_CURL_NON_CACHED": "/vsis3/:/vsigs/:/vsiaz/:/vsiswift/:/vsicurl/",
    # In bytes (rasterio does not take megabytes as GDAL does): none. Blocks are read once, a cache would only grow.
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

    def block_rows(self, scene: Scene, band: Band) -> int:
        """Rows of a block of a band's raster: what is decoded at once."""
        ...

    def stop(self) -> None:
        """Let no thread wait any longer for an archive: the run is interrupted."""
        ...

    @property
    def bytes_read(self) -> int:
        """Bytes of raster data asked of the archive so far."""
        ...


def gdal_env(access: Access) -> dict[str, Any]:
    """How GDAL is set up to read from an archive: ``rasterio.Env(**gdal_env(access))``. Not to be logged."""
    return GDAL_OPTIONS | dict(access.gdal_options)


class _Raster(Protocol):
    """A raster that is open, wherever it is."""

    def do(self, act: Callable[[DatasetReader], _T]) -> _T:
        """Do something with the dataset; see `tiles.web_raster.WebRaster.do`."""
        ...

    def close(self) -> None:
        """Close it."""
        ...

    @property
    def size_bytes(self) -> int:
        """Bytes of the file, 0 where they cannot be told."""
        ...


class _DiskRaster:
    """A raster on a disk: what fails there fails again."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._dataset = rasterio.open(path)
        self._blocks = DeflatedBlocks.of(Path(path), self._dataset)

    def read(self, window: Window, out: NDArray[Any]) -> int | None:
        """Read a window without GDAL, where that can be done; see `tiles.deflated.DeflatedBlocks.read`."""
        return self._blocks.read(window, out) if self._blocks is not None else None

    def do(self, act: Callable[[DatasetReader], _T]) -> _T:
        return act(self._dataset)

    def close(self) -> None:
        self._dataset.close()

    @property
    def size_bytes(self) -> int:
        return Path(self._path).stat().st_size


@dataclass
class RasterioReader:
    """Reader of any raster that GDAL opens: files on a disk, behind web servers, in buckets.

    Every thread has datasets of its own, since GDAL's handles are not to be shared. Call inside
    ``rasterio.Env(**gdal_env(access))``.

    Parameters
    ----------
    access
        Signs addresses and renews signatures.
    policy
        How failures of the network are met.
    gate
        Limits the requests to one host; to be shared where several readers work side by side.
    """

    access: Access = field(default_factory=OpenAccess, repr=False)  # it may hold secrets
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    gate: HostGate = field(default_factory=HostGate)
    _local: threading.local = field(default_factory=threading.local, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _bytes: int = 0
    _caches: list[weakref.ref[OrderedDict[str, _Raster]]] = field(default_factory=list, repr=False)
    _keep: int = _OPEN_FILES
    _pages: PageCache = field(default_factory=PageCache, repr=False)

    def __post_init__(self) -> None:
        self._web = WebFiles(self.access, self.policy, self.gate)

    def grid_of(self, scene: Scene, band: Band) -> Grid:
        """Grid of a band's raster.

        Raises
        ------
        SceneReadError
            When it cannot be opened, or has no projected CRS.
        """
        dataset = self._with(scene, band, "cannot be opened", lambda dataset: dataset)
        if dataset.crs is None or not dataset.crs.is_projected:
            raise SceneReadError(scene.id, f"its {band} raster has no projected CRS ({_shown(scene.hrefs[band])})")
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
            When the file is absent, truncated or damaged, holds another type of number than `out`, or was given up
            after the policy's attempts (it is then transient).
        """

        def read(dataset: DatasetReader) -> int:
            if np.dtype(dataset.dtypes[0]) != out.dtype:
                raise SceneReadError(scene.id, f"its {band} raster is {dataset.dtypes[0]}, not {out.dtype}")
            raster = self._raster(scene.hrefs[band])
            stored = raster.read(window, out) if isinstance(raster, _DiskRaster) else None
            if stored is None:
                dataset.read(1, window=window, out=out)
                stored = _stored_bytes(dataset, window)
            if stored == 0 and dataset.driver.startswith("JP2"):
                stored = _share_of_blocks(dataset, window, raster.size_bytes)
            return stored

        stored = self._with(scene, band, "is damaged or cut short", read)
        with self._lock:
            self._bytes += stored

    def block_rows(self, scene: Scene, band: Band) -> int:
        """Rows of a block of a band's raster; see `Reader.block_rows`.

        Raises
        ------
        SceneReadError
            When it cannot be opened.
        """
        dataset = self._with(scene, band, "cannot be opened", lambda dataset: dataset)
        return int(dataset.block_shapes[0][0])

    @property
    def bytes_read(self) -> int:
        """Bytes of the blocks read so far, as stored (compressed).

        JPEG 2000 does not tell what a block takes: it counts as its share of the file's blocks.
        """
        return self._bytes

    @property
    def traffic(self) -> Traffic:
        """What was asked of web servers, headers and repeated requests too. Buckets that GDAL asks are not in it."""
        return self._web.traffic

    def stop(self) -> None:
        """Let no thread wait any longer for a host, nor ask one: for a run that is interrupted."""
        self.gate.stop()

    def _with(self, scene: Scene, band: Band, trouble: str, act: Callable[[DatasetReader], _T]) -> _T:
        """Do something with a band's raster; one that fails is closed, and named with its scene."""
        href, said = scene.hrefs[band], f"its {band} raster cannot be opened"
        try:
            raster = self._raster(href)
            said = f"its {band} raster {trouble}"
            return raster.do(act)
        except RemoteError as error:
            self._drop(href)
            said = f"its {band} raster cannot be read, {error.reason}"
            if error.transient:
                said += "; the next run tries again"
            raise SceneReadError(scene.id, said, error.transient) from None
        except (RasterioError, OSError) as error:
            self._drop(href)
            # What GDAL says of a remote file may hold its signature.
            cause = None if is_remote(href) else error
            raise SceneReadError(scene.id, f"{said} ({_shown(href)})") from cause

    def _raster(self, href: str) -> _Raster:
        """The raster that this thread has open, or opens."""
        opened: OrderedDict[str, _Raster] | None = getattr(self._local, "opened", None)
        if opened is None:
            opened = self._local.opened = OrderedDict()
            self._share_with(opened)
        raster = opened.pop(href, None)
        if raster is None:
            raster = self._open(href)
            while len(opened) >= self._keep:
                opened.popitem(last=False)[1].close()
        opened[href] = raster
        return raster

    def _open(self, href: str) -> _Raster:
        address = self._web.address(href)
        if address.startswith(("http://", "https://")):
            return WebRaster(self._web, self._pages, href)
        return BucketRaster(self._web, href) if is_remote(address) else _DiskRaster(address)

    def _drop(self, href: str) -> None:
        """Close a raster that has failed: GDAL may hold on to what it took for its blocks."""
        raster = self._local.opened.pop(href, None)
        if raster is not None:
            raster.close()

    def _share_with(self, newcomer: OrderedDict[str, _Raster]) -> None:
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


def _shown(href: str) -> str:
    """An href as it may be told."""
    return public_address(href) if is_remote(href) else href


def _blocks_under(dataset: DatasetReader, window: Window) -> list[tuple[int, int]]:
    """Column and row, in blocks, of those that hold a window."""
    height, width = dataset.block_shapes[0]
    rows = range(window.row_off // height, -(-(window.row_off + window.height) // height))
    cols = range(window.col_off // width, -(-(window.col_off + window.width) // width))
    return [(col, row) for row in rows for col in cols]


def _stored_bytes(dataset: DatasetReader, window: Window) -> int:
    """Bytes that the blocks under a window take in the file; 0 where the format does not tell."""
    tags = (
        dataset.get_tag_item(f"BLOCK_SIZE_{col}_{row}", "TIFF", bidx=1) for col, row in _blocks_under(dataset, window)
    )
    return sum(int(size or 0) for size in tags)


def _share_of_blocks(dataset: DatasetReader, window: Window, size_bytes: int) -> int:
    """Bytes that the blocks under a window take, if all take the same."""
    height, width = dataset.block_shapes[0]
    blocks = -(-dataset.height // height) * -(-dataset.width // width)
    return int(size_bytes * len(_blocks_under(dataset, window)) // blocks)
