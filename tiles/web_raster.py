"""Rasters behind web servers: files whose bytes come through `tiles.web_files`, opened by GDAL as its own.

GDAL reads a raster's directory in many small steps; they are served from pages that all threads share, so that a
Cloud-Optimized GeoTIFF's header costs one request, once.
"""

from __future__ import annotations

import contextvars
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

import rasterio
from rasterio.abc import MultiByteRangeResourceContainer
from rasterio.errors import RasterioError, RasterioIOError
from rasterio.io import DatasetReader

from tiles.web_files import WebFiles, public_address

_T = TypeVar("_T")

HEADER_BYTES = 32 << 10
"""Read first of every file: twice what the directory of a COG of 10980 x 10980 pixels in blocks of 512 takes."""

_PAGE_BYTES = 4 << 10
"""Unit of small reads farther on, such as from one tile's header of a JPEG 2000 file to the next."""

_SMALL_BYTES = 16 << 10
"""Reads below this go through pages; larger ones are pixels, which are needed once."""

_PAGES_BYTES = 64 << 20
"""Pages kept, all files together."""


class PageCache:
    """Beginnings and directories of files, kept for all threads; the least lately used are forgotten first."""

    def __init__(self, most_bytes: int = _PAGES_BYTES) -> None:
        self._most = most_bytes
        self._lock = threading.Lock()
        self._pages: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._held = 0
        self._sizes: dict[str, int] = {}

    def size_of(self, href: str) -> int | None:
        """Size of a file, in bytes, where it is known."""
        return self._sizes.get(href)

    def get(self, href: str, start: int, size: int) -> bytes | None:
        """Bytes of a file, None unless all of them are here."""
        pages = []
        with self._lock:
            for first in _pages_over(start, size):
                page = self._pages.get((href, first))
                if page is None:
                    return None
                self._pages.move_to_end((href, first))
                pages.append(page)
        skipped = start - _page_of(start)
        return b"".join(pages)[skipped : skipped + size]

    def put(self, href: str, start: int, data: bytes, total: int) -> None:
        """Keep bytes that begin and end with a page, or at the end of the file."""
        with self._lock:
            self._sizes[href] = total
            for first in _pages_over(start, len(data)):
                page = data[first - start : first - start + _length_of(first)]
                self._held += len(page) - len(self._pages.pop((href, first), b""))
                self._pages[href, first] = page
            while self._held > self._most:
                self._held -= len(self._pages.popitem(last=False)[1])

    def forget(self, href: str) -> None:
        """Drop what is known of a file."""
        with self._lock:
            self._sizes.pop(href, None)
            for key in [key for key in self._pages if key[0] == href]:
                self._held -= len(self._pages.pop(key))


def _page_of(offset: int) -> int:
    """Where the page that holds an offset begins: the first is longer than the others."""
    return 0 if offset < HEADER_BYTES else offset // _PAGE_BYTES * _PAGE_BYTES


def _length_of(page: int) -> int:
    return HEADER_BYTES if page == 0 else _PAGE_BYTES


def _pages_over(start: int, size: int) -> list[int]:
    pages = []
    page, stop = _page_of(start), start + size
    while page < stop:
        pages.append(page)
        page += _length_of(page)
    return pages


class WebRaster:
    """A dataset whose bytes come over HTTP.

    Parameters
    ----------
    web
        Makes the requests.
    pages
        Keeps what is small.
    href
        As the catalogue has it.

    Raises
    ------
    RemoteError
        When the file was given up.
    rasterio.errors.RasterioError
        When it is no raster.
    """

    def __init__(self, web: WebFiles, pages: PageCache, href: str) -> None:
        self._web, self._pages, self._href = web, pages, href
        try:
            self._open()
        except RasterioError:
            self._open_afresh()

    def do(self, act: Callable[[DatasetReader], _T]) -> _T:
        """Do something with the dataset; once more with fresh bytes, if it fails though all bytes came.

        Raises
        ------
        RemoteError
            When bytes were given up.
        rasterio.errors.RasterioError
            When they are damaged.
        """
        try:
            return self._checked(lambda: act(self._dataset))
        except RasterioError:
            self._open_afresh()
            return self._checked(lambda: act(self._dataset))

    def close(self) -> None:
        """Close the dataset."""
        if (dataset := getattr(self, "_dataset", None)) is not None:
            self._context.run(dataset.close)

    __del__ = close

    @property
    def size_bytes(self) -> int:
        """Bytes of the file."""
        return self._pages.size_of(self._href) or 0

    def _open(self) -> None:
        # rasterio finds an open file again by the context that it was opened in, and a dataset may be closed by
        # another thread than the one that opened it: with a context of its own, either will do.
        self._context = contextvars.Context()
        self._source = _Source(self._web, self._pages, self._href)
        self._checked(self._source.load)
        self._dataset: DatasetReader = self._checked(
            lambda: self._context.run(rasterio.open, self._source.name, opener=self._source)
        )

    def _open_afresh(self) -> None:
        self.close()
        self._forget()
        self._open()

    def _forget(self) -> None:
        self._pages.forget(self._href)
        self._web.forget(self._href)

    def _checked(self, act: Callable[[], _T]) -> _T:
        """Raise what kept bytes from coming, though GDAL may have been content without them."""
        try:
            return act()
        finally:
            if self._source.failure is not None:
                self._forget()
                raise self._source.failure


class _Source(MultiByteRangeResourceContainer):  # type: ignore[misc]
    """The one file that a `WebRaster` sees.

    GDAL calls back in the thread that reads, and nothing may be raised into it: a failure is kept.
    """

    def __init__(self, web: WebFiles, pages: PageCache, href: str) -> None:
        self._web, self._pages, self._href = web, pages, href
        self.name = public_address(href)
        self.failure: BaseException | None = None

    def open(self, path: str, mode: str = "r", **_: object) -> _File:  # noqa: ARG002 - rasterio's names
        """The file, at its beginning; raising here tells GDAL that there is none."""
        return _File(self, self.size(path))

    def isfile(self, path: str) -> bool:
        """Whether it is that file: what may lie beside it is not asked for."""
        return path == self.name

    def isdir(self, _: str) -> bool:
        """No folder."""
        return False

    def ls(self, _: str) -> list[str]:
        """No folder."""
        return []

    def mtime(self, _: str) -> int:
        """Not known."""
        return 0

    def rm(self, path: str) -> None:
        """Nothing is removed."""
        raise PermissionError(path)

    def size(self, path: str) -> int:
        """Bytes of the file."""
        if path != self.name:
            raise FileNotFoundError(path)
        self.load()
        size = self._pages.size_of(self._href)
        if size is None:
            raise FileNotFoundError(path)
        return size

    def load(self) -> None:
        """Read the beginning of the file, unless it is known: its size is told with it."""
        if self.failure is None and self._pages.size_of(self._href) is None:
            try:
                self._read_pages(0, 1)
            except BaseException as error:  # noqa: BLE001 - kept, and raised by `WebRaster`
                self.failure = error

    def read_at(self, start: int, size: int) -> bytes:
        """Bytes of the file; zeros after a failure."""
        return self.read_ranges([(start, size)])[0]

    def read_ranges(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Several ranges of bytes of the file, whole; zeros after a failure."""
        if self.failure is not None:
            return [bytes(size) for _, size in ranges]
        try:
            kept = [self._pages.get(self._href, start, size) for start, size in ranges]
            missing = [wanted for wanted, data in zip(ranges, kept, strict=True) if data is None]
            if not missing:
                read = []
            elif len(missing) == 1 and missing[0][1] < _SMALL_BYTES:
                read = [self._read_pages(*missing[0])]
            else:
                read = self._web.fetch_many(self._href, missing)
        except BaseException as error:  # noqa: BLE001 - as in `load`
            self.failure = error
            return [bytes(size) for _, size in ranges]
        answers = [read.pop(0) if data is None else data for data in kept]
        if any(len(data) != size for data, (_, size) in zip(answers, ranges, strict=True)):
            # GDAL is to be given all that it asked for, or it reads on into memory that is not its own.
            self.failure = RasterioIOError(f"{self.name} ends before its own directory says")
            return [bytes(size) for _, size in ranges]
        return answers

    def _read_pages(self, start: int, size: int) -> bytes:
        pages = _pages_over(start, size)
        first, stop = pages[0], pages[-1] + _length_of(pages[-1])
        part = self._web.fetch(self._href, first, stop - first)
        self._pages.put(self._href, first, part.data, part.total)
        return part.data[start - first : start - first + size]


class _File:
    """A position in a `_Source`, as Python's own files have it."""

    def __init__(self, source: _Source, size: int) -> None:
        self._source, self._size, self._position = source, size, 0

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *_: object) -> Literal[False]:
        return False

    def close(self) -> None:
        """Nothing is held."""

    def tell(self) -> int:
        """Where the next byte is read."""
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to an offset from the beginning (0), from here (1) or from the end (2)."""
        self._position = offset + (0, self._position, self._size)[whence]
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Bytes from here on."""
        left = max(0, self._size - self._position)
        data = self._source.read_at(self._position, left if size < 0 else min(size, left)) if left and size else b""
        self._position += len(data)
        return data

    def get_byte_ranges(self, offsets: Sequence[int], sizes: Sequence[int]) -> list[bytes]:
        """Several ranges at once."""
        return self._source.read_ranges(list(zip(offsets, sizes, strict=True)))
