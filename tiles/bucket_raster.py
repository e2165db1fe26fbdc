"""Rasters in buckets (S3 and its like), which GDAL signs and reads by itself.

What GDAL does not do is done here: it is asked again where its own retries were not enough, its host is not asked by
more than its gate lets through, and a signature that was refused is renewed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

import rasterio
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from tiles.remote import RemoteError
from tiles.web_files import WebFiles, public_address

_T = TypeVar("_T")

_DENIALS = 3
"""Refusals (401, 403) after which a signature renewed each time is not tried again."""


class BucketRaster:
    """A dataset in a bucket.

    Parameters
    ----------
    web
        Its access gives addresses, its policy and gate hold here too.
    href
        As the catalogue has it.

    Raises
    ------
    RemoteError
        When it was given up.
    """

    def __init__(self, web: WebFiles, href: str) -> None:
        self._web, self._href = web, href
        self._dataset: DatasetReader | None = None
        self.do(lambda dataset: dataset)

    def do(self, act: Callable[[DatasetReader], _T]) -> _T:
        """Do something with the dataset, opened again after each failure.

        Raises
        ------
        RemoteError
            When it was given up.
        """
        gate, policy = self._web.gate, self._web.policy
        began = gate.clock()
        attempt = 0
        while True:
            attempt += 1
            address = self._web.address(self._href)
            bucket = _bucket_of(address)
            try:
                with gate.turn(bucket, policy.longest_hold_s):
                    if self._dataset is None:
                        self._dataset = rasterio.open(address)
                    result = act(self._dataset)
            except (RasterioError, OSError) as error:
                self.close()
                status = _status_in(error)
                said = f"{status or 'no answer that GDAL could use'} ({public_address(self._href)})"
                if status in (404, 410):
                    raise RemoteError(said, transient=False) from None
                denied = status in (401, 403)
                impatient = gate.clock() - began >= policy.patience_s
                if attempt >= (_DENIALS if denied else policy.attempts) or impatient or gate.is_lost(bucket):
                    gate.note(bucket, went_well=False)
                    tries = "1 attempt" if attempt == 1 else f"{attempt} attempts"
                    raise RemoteError(f"given up after {tries}, at last {said}", transient=True) from None
                if denied:
                    self._web.access.renew(self._href)
                gate.pause(self._web.delay_s(attempt))
            else:
                gate.note(bucket, went_well=True)
                return result

    def close(self) -> None:
        """Close the dataset."""
        if self._dataset is not None:
            self._dataset.close()
            self._dataset = None

    @property
    def size_bytes(self) -> int:
        """Not told."""
        return 0


def _bucket_of(address: str) -> str:
    """The file system and bucket of an address such as ``/vsis3/bucket/key``: what stands in for its host."""
    return "/".join(address.split("/", 4)[:4]) if "://" in address else "/".join(address.split("/", 3)[:3])


def _status_in(error: BaseException | None) -> int | None:
    """The HTTP status that GDAL's errors tell, if any does."""
    while error is not None:
        match = re.search(r"(?:HTTP|response)\D{0,24}(\d{3})\b", str(error))
        if match is not None:
            return int(match[1])
        error = error.__cause__ or error.__context__
    return None
