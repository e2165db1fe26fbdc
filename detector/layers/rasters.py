"""Pixels of any source made Cloud-Optimized GeoTIFFs in their own CRS, with what is no data marked as such."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.merge
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import CRSError, NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader

from detector.layers.definitions import Definition
from detector.layers.manifest import Bounds
from tiles.errors import LayerError

_BLOCK_PX = 512
_MANY = 8
"""More files than this, of one grid, are laid together in one: each costs an opening at every reading."""
_MOSAIC_MB = 512
_NO_DATA = {"uint8": 255, "int16": -32768, "uint16": 65535}


@dataclass(frozen=True)
class WrittenCog:
    """A written file, the bounds of its pixels, and their CRS."""

    path: Path
    bounds: Bounds
    crs: str


def write_cogs(
    what: Definition, paths: Sequence[Path], crs: str | None, folder: Path, counts: Counter[str]
) -> Iterator[WrittenCog]:
    """Write files of pixels as COGs in a folder, those of one grid as one where they are many.

    Parameters
    ----------
    what
        The layer; what lies outside its valid range becomes no data.
    paths
        Files of one band.
    crs
        Of files that carry none.
    folder
        For what is written.
    counts
        Is told how many pixels were seen, are no data, and lay outside the range.

    Raises
    ------
    LayerError
        When a file cannot be read, has no place on the ground or more than one band, or holds no data at all.
    """
    sources = [_marked(what, path, crs, folder / f"{number}.marked.tif", counts) for number, path in enumerate(paths)]
    if len(sources) > _MANY:
        sources = _laid_together(sources, folder)
    for number, source in enumerate(sources):
        path = folder / f"{number}.tif"
        rasterio.shutil.copy(
            source, path, driver="COG", COMPRESS="DEFLATE", PREDICTOR="YES", BLOCKSIZE=_BLOCK_PX, NUM_THREADS="2"
        )
        source.unlink()
        with rasterio.open(path) as dataset:
            bounds = dataset.bounds
            yield WrittenCog(path, (bounds.left, bounds.bottom, bounds.right, bounds.top), dataset.crs.to_string())


def _marked(what: Definition, path: Path, crs: str | None, out: Path, counts: Counter[str]) -> Path:
    """A file's pixels with a no-data value of which all that is out of range is made."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # said below in our own words
            dataset = rasterio.open(path)
        with dataset:
            profile = _profile(dataset, path, crs)
            valid = 0
            with rasterio.open(out, "w", **profile) as marked:
                for _, window in dataset.block_windows(1):
                    pixels = dataset.read(1, window=window)
                    bad = _bad(pixels, what, dataset.nodata, counts)
                    pixels[bad] = profile["nodata"]
                    valid += int((~bad).sum())
                    marked.write(pixels, 1, window=window)
    except RasterioError as error:
        raise LayerError(f"{path.name} cannot be read ({(str(error).splitlines() or ['?'])[0]}).") from error
    if valid == 0:
        raise LayerError(f"{path.name} holds no data for layer {what.name}.")
    counts["pixels with data"] += valid
    return out


def _profile(dataset: DatasetReader, path: Path, crs: str | None) -> dict[str, Any]:
    if dataset.count != 1:
        raise LayerError(f"{path.name} has {dataset.count} bands: give a file of one.")
    if dataset.transform.is_identity:
        raise LayerError(f"{path.name} has no place on the ground (no geotransform).")
    if dataset.crs is None and crs is None:
        raise LayerError(f"{path.name} has no CRS: say it by --crs, such as EPSG:2154, if you are sure of it.")
    try:
        known = dataset.crs or CRS.from_user_input(crs)
    except CRSError as error:
        raise LayerError(f"{crs} is no CRS ({error}).") from error
    dtype = dataset.dtypes[0]
    no_data = dataset.nodata
    if no_data is None:
        no_data = _NO_DATA.get(dtype, -9999.0)
    if dtype == "float64":
        dtype = "float32"
    return {
        "driver": "GTiff",
        "count": 1,
        "dtype": dtype,
        "width": dataset.width,
        "height": dataset.height,
        "crs": known,
        "transform": dataset.transform,
        "nodata": no_data,
        "tiled": True,
        "blockxsize": _BLOCK_PX,
        "blockysize": _BLOCK_PX,
        "compress": "DEFLATE",
        "bigtiff": "IF_SAFER",
    }


def _bad(pixels: NDArray[Any], what: Definition, no_data: float | None, counts: Counter[str]) -> NDArray[np.bool_]:
    """Which pixels are no data, or no value that the layer can have."""
    absent = np.zeros(pixels.shape, bool) if no_data is None else pixels == no_data
    if pixels.dtype.kind == "f":
        absent |= ~np.isfinite(pixels)
    if what.valid_range is None:
        return np.asarray(absent)
    low, high = what.valid_range
    outside = ~absent & ((pixels < low) | (pixels > high))
    if number := int(outside.sum()):
        counts[f"pixels outside {low:g} to {high:g} made no data"] += number
    return np.asarray(absent | outside)


def _laid_together(paths: Sequence[Path], folder: Path) -> list[Path]:
    """Files of the same CRS, pixel and type as one each."""
    groups: dict[tuple[Any, ...], list[Path]] = {}
    for path in paths:
        with rasterio.open(path) as dataset:
            key = dataset.crs.to_wkt(), *(round(size, 9) for size in dataset.res), dataset.dtypes[0], dataset.nodata
        groups.setdefault(key, []).append(path)
    laid = []
    for number, group in enumerate(groups.values()):
        out = folder / f"{number}.laid.tif"
        with ExitStack() as opened:
            datasets = [opened.enter_context(rasterio.open(path)) for path in group]
            options = {"tiled": True, "compress": "DEFLATE", "bigtiff": "IF_SAFER"}
            rasterio.merge.merge(datasets, dst_path=out, dst_kwds=options, mem_limit=_MOSAIC_MB)
        for path in group:
            path.unlink()
        laid.append(out)
    return laid
