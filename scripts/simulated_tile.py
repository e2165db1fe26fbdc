"""A SIMULATED Sentinel-2 tile, for benchmarks: no place on Earth looks like it.

It costs a reader what a real tile costs (size, blocks, compression ratio, clouds), and holds clear-cuts whose
place and date are known. Nothing of how well Sylvigie detects may be concluded from it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, time
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import numpy as np
import pystac
import rasterio
import rasterio.shutil
from affine import Affine
from numpy.typing import NDArray
from rasterio.io import DatasetWriter
from rasterio.windows import Window

from scripts.archive_writer import (
    BANDS,
    CATALOG_NAME,
    SceneDescription,
    band_asset,
    build_item,
    copy_to_cog,
    item_folder,
    scl_asset,
    scl_percentages,
    twice_as_coarse,
    whole_or_nothing,
    write_catalog,
)
from scripts.simulated_landscape import Landscape, Sky, scene_strip

_VERSION: Final = 1
_EPSG: Final = 32631
# Pixels of 10 m, from an upper left corner such as that of a tile in the middle of France.
_TRANSFORM: Final = Affine(10.0, 0.0, 499980.0, 0.0, -10.0, 5000040.0)
_NOMINAL_TIME: Final = time(10, 50, tzinfo=UTC)
_STRIP_ROWS: Final = 512  # one row of the files' blocks is made at a time
_ZSTD_LEVEL: Final = 1  # decoding costs the same at any level, writing does not
_EARTH_SEARCH_OPTIONS: Final = {"COMPRESS": "DEFLATE", "PREDICTOR": "STANDARD", "BLOCKSIZE": 1024, "LEVEL": 1}
_JP2_OPTIONS: Final = {"QUALITY": 100, "REVERSIBLE": "YES", "YCC": "NO", "BLOCKXSIZE": 1024, "BLOCKYSIZE": 1024}
_CUT_AREA_HA: Final = (0.5, 30.0)
_CUT_COUNT: Final = 8


class FileForm(StrEnum):
    """How an archive stores its rasters."""

    COG = "zstd"
    """Cloud-Optimized GeoTIFF, Zstandard, blocks of 512: the fastest to decode of what is in use."""
    EARTH_SEARCH = "deflate"
    """Cloud-Optimized GeoTIFF, DEFLATE, blocks of 1024, as Earth Search serves it."""
    JP2 = "jp2"
    """Lossless JPEG 2000 in tiles of 1024, as ESA and the Copernicus Data Space serve it."""

    @property
    def suffix(self) -> str:
        """Of the files' names."""
        return ".jp2" if self is FileForm.JP2 else ".tif"


@dataclass(frozen=True)
class SimulatedCut:
    """One simulated clear-cut: a rounded rectangle of felled forest.

    Parameters
    ----------
    row, column
        Its centre, in pixels of 10 m.
    half_height_px, half_width_px
        Half of its sides, in pixels.
    area_ha
        Area of the forest pixels in it.
    last_intact, first_low
        Dates, in ISO 8601, of the images before and after it.
    """

    row: int
    column: int
    half_height_px: float
    half_width_px: float
    area_ha: float
    last_intact: str
    first_low: str

    def mask(self, corner: tuple[int, int], shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Pixels of a window (its upper left corner and its shape) that lie in the rounded rectangle."""
        (top, left), (rows, columns) = corner, shape
        down = (np.arange(top, top + rows, dtype=np.float32) - self.row) / self.half_height_px
        across = (np.arange(left, left + columns, dtype=np.float32) - self.column) / self.half_width_px
        return down[:, None] ** 4 + across[None, :] ** 4 <= 1


def write_simulated_tile(
    directory: Path,
    size_px: int,
    dates: list[date],
    seed: int,
    forest_share: float = 0.5,
    cloud_share: float = 0.3,
    form: FileForm = FileForm.COG,
) -> Path:
    """Write the archive of a SIMULATED tile: red, nir (uint16, 10 m) and scl (uint8, 20 m) of each date.

    Beside the catalogue, ``forest.tif`` is the forest before any felling (1 forest, 0 not; 10 m) and
    ``simulated_clearcuts.json`` lists the fellings (`SimulatedCut`). Memory grows with the tile's
    width alone.

    Parameters
    ----------
    directory
        Folder of the archive. It appears whole or not at all; one of the same parameters is kept.
    size_px
        Side in pixels of 10 m: even, 128 or more; 10980 for a whole tile.
    dates
        Days of the images, all different.
    seed
        The same seed gives the same bytes.
    forest_share
        Share of the tile under forest, 0 to 1.
    cloud_share
        Mean share of a date under clouds, 0 to 1.
    form
        Of the bands' and classification's files.

    Returns
    -------
    Path
        The root of the STAC catalogue, a JSON file.

    Raises
    ------
    ValueError
        A parameter is outside its range.
    OutputError
        The directory holds something else, or cannot be written.
    """
    if size_px < 128 or size_px % 2:
        raise ValueError(f"size_px must be even and 128 or more, not {size_px}")
    if not dates or len(set(dates)) < len(dates):
        raise ValueError("dates must be given, and all different")
    if not (0 <= forest_share <= 1 and 0 <= cloud_share <= 1):
        raise ValueError("forest_share and cloud_share must be between 0 and 1")
    days = sorted(dates)
    made_by = {
        "made_by": "sylvigie SIMULATED tile",
        "version": _VERSION,
        "size_px": size_px,
        "dates": [day.isoformat() for day in days],
        "seed": seed,
        "forest_share": forest_share,
        "cloud_share": cloud_share,
        **({} if form is FileForm.COG else {"form": form.value}),
    }
    with whole_or_nothing(directory, made_by) as work:
        if work is not None:
            # GDAL would otherwise keep up to a twentieth of the machine's memory in blocks.
            with rasterio.Env(GDAL_CACHEMAX=128):
                _build(work, Landscape(size_px, seed, forest_share), days, cloud_share, form)
    return directory / CATALOG_NAME


def compression_ratio(raster: Path) -> float:
    """Bytes of a GeoTIFF's pixels over the bytes of its blocks in the file, overviews left out."""
    with rasterio.open(raster) as source:
        raw = source.width * source.height * np.dtype(source.dtypes[0]).itemsize
        stored = sum(
            int(source.get_tag_item(f"BLOCK_SIZE_{column}_{row}", "TIFF", bidx=1) or 0)
            for (row, column), _ in source.block_windows(1)
        )
    return float(raw / stored)


def _build(work: Path, land: Landscape, days: Sequence[date], cloud_share: float, form: FileForm) -> None:
    with _staged(work / "forest.tif", "uint8", land.size_px, _TRANSFORM, 255) as target:
        for top, rows in _strips(land.size_px):
            _put(target, land.forest(top, rows).astype(np.uint8), top)
    cuts = _place_cuts(work, land, days)
    text = json.dumps([asdict(cut) for cut in cuts], indent=2) + "\n"
    (work / "simulated_clearcuts.json").write_text(text, encoding="utf-8")
    items = [_write_scene(work, land, day, index, cuts, cloud_share, form) for index, day in enumerate(days)]
    description = (
        "SIMULATED images in the shape of Sentinel-2 L2A, for benchmarks of speed: no place on Earth looks"
        " like them, and nothing of how well anything is detected may be concluded from them."
    )
    write_catalog(work, "sylvigie-simulated-tile", description, "Apache-2.0", items)


def _place_cuts(work: Path, land: Landscape, days: Sequence[date]) -> list[SimulatedCut]:
    """Put a handful of fellings in the forest, each between two images that follow one another."""
    if len(days) < 2:
        return []
    rng = np.random.default_rng([land.seed, 1])
    cuts: list[SimulatedCut] = []
    with rasterio.open(work / "forest.tif") as forest:
        # Many draws fall outside the forest; a tile almost without forest gets fewer fellings, or none.
        for _ in range(40 * _CUT_COUNT):
            cut = _draw_cut(rng, forest, days)
            if cut is not None and not any(_touch(cut, other) for other in cuts):
                cuts.append(cut)
            if len(cuts) == _CUT_COUNT:
                break
    return cuts


def _draw_cut(rng: np.random.Generator, forest: Any, days: Sequence[date]) -> SimulatedCut | None:
    area_ha = float(np.exp(rng.uniform(*np.log(_CUT_AREA_HA))))
    aspect = float(rng.uniform(1, 2.5))
    # The area of |u|^4 + |v|^4 <= 1 is 3.708; a hectare is 100 pixels.
    half_height = float(np.sqrt(100 * area_ha / 3.708 / aspect))
    half_width = half_height * aspect
    row, column = (int(rng.integers(0, forest.height)) for _ in range(2))
    after = int(rng.integers(1, len(days)))
    top, left = row - int(half_height) - 1, column - int(half_width) - 1
    rows, columns = 2 * int(half_height) + 3, 2 * int(half_width) + 3
    if top < 0 or left < 0 or top + rows > forest.height or left + columns > forest.width:
        return None
    cut = SimulatedCut(row, column, half_height, half_width, 0.0, days[after - 1].isoformat(), days[after].isoformat())
    shape = cut.mask((top, left), (rows, columns))
    felled = shape & (forest.read(1, window=Window(left, top, columns, rows)) == 1)
    felled_ha = round(float(felled.sum()) / 100, 2)
    if felled.sum() < 0.7 * shape.sum() or not _CUT_AREA_HA[0] <= felled_ha <= _CUT_AREA_HA[1]:
        return None
    return replace(cut, area_ha=felled_ha)


def _touch(one: SimulatedCut, other: SimulatedCut) -> bool:
    margin_px = 5
    return (
        abs(one.row - other.row) < one.half_height_px + other.half_height_px + margin_px
        and abs(one.column - other.column) < one.half_width_px + other.half_width_px + margin_px
    )


def _write_scene(
    work: Path,
    land: Landscape,
    day: date,
    index: int,
    cuts: Sequence[SimulatedCut],
    cloud_share: float,
    form: FileForm,
) -> pystac.Item:
    """Write the rasters of one date, strip by strip, and return its item."""
    item_id = f"SIMULATED_S2_{day:%Y%m%d}_0_L2A"
    folder = item_folder(work, item_id)
    folder.mkdir(parents=True)
    rng = np.random.default_rng([land.seed, 2, index])
    sky = Sky.of(rng, land.size_px, cloud_share)
    felled_by_now = [cut for cut in cuts if cut.first_low <= day.isoformat()]
    size, coarse = land.size_px, twice_as_coarse(_TRANSFORM)
    counts = np.zeros(12, dtype=np.int64)
    with (
        rasterio.open(work / "forest.tif") as forest,
        _staged(folder / f"red{form.suffix}", "uint16", size, _TRANSFORM, 0, form) as red_file,
        _staged(folder / f"nir{form.suffix}", "uint16", size, _TRANSFORM, 0, form) as nir_file,
        _staged(folder / f"scl{form.suffix}", "uint8", size // 2, coarse, 0, form) as scl_file,
    ):
        for top, rows in _strips(size):
            wooded = forest.read(1, window=Window(0, top, size, rows)) == 1
            felled = _felled(felled_by_now, top, wooded)
            red, nir, scl = scene_strip(land, sky, day, top, wooded, felled, rng)
            _put(red_file, red, top)
            _put(nir_file, nir, top)
            _put(scl_file, scl, top // 2)
            counts += np.bincount(scl.ravel(), minlength=12)
    cloud_pct, nodata_pct = scl_percentages(counts)
    scene = SceneDescription(
        item_id=item_id,
        acquired=datetime.combine(day, _NOMINAL_TIME),
        epsg=_EPSG,
        grid_code="SIMULATED",
        cloud_pct=cloud_pct,
        nodata_pct=nodata_pct,
        extra={"title": f"SIMULATED image of {day.isoformat()}"},
    )
    shape = (size, size)
    assets = {name: band_asset(BANDS[name], f"./{name}{form.suffix}", shape, _TRANSFORM) for name in ("red", "nir")}
    assets["scl"] = scl_asset(f"./scl{form.suffix}", (size // 2, size // 2), coarse)
    return build_item(scene, assets, shape, _TRANSFORM)


def _felled(cuts: Sequence[SimulatedCut], top: int, wooded: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of a strip that the fellings have emptied."""
    felled = np.zeros_like(wooded)
    for cut in cuts:
        if cut.row + cut.half_height_px >= top and cut.row - cut.half_height_px <= top + wooded.shape[0]:
            felled |= cut.mask((top, 0), wooded.shape) & wooded
    return felled


def _strips(size_px: int) -> Iterator[tuple[int, int]]:
    """First row and number of rows of each strip."""
    for top in range(0, size_px, _STRIP_ROWS):
        yield top, min(_STRIP_ROWS, size_px - top)


@contextmanager
def _staged(
    path: Path, dtype: str, size_px: int, transform: Affine, nodata: int, form: FileForm = FileForm.COG
) -> Iterator[DatasetWriter]:
    """A raster to fill strip by strip: GDAL can only make a Cloud-Optimized one, or a JPEG 2000, out of another."""
    staging = path.with_suffix(".staging.tif")
    with rasterio.open(
        staging,
        "w",
        driver="GTiff",
        width=size_px,
        height=size_px,
        count=1,
        dtype=dtype,
        crs=f"EPSG:{_EPSG}",
        transform=transform,
        nodata=nodata,
        tiled=True,
        blockxsize=512,
        blockysize=512,
    ) as target:
        yield target
    match form:
        case FileForm.COG:
            copy_to_cog(staging, path, size_px, "nearest", _ZSTD_LEVEL)
        case FileForm.EARTH_SEARCH:
            rasterio.shutil.copy(staging, path, driver="COG", NUM_THREADS="ALL_CPUS", **_EARTH_SEARCH_OPTIONS)
        case FileForm.JP2:
            rasterio.shutil.copy(staging, path, driver="JP2OpenJPEG", **_JP2_OPTIONS)
    staging.unlink()


def _put(target: DatasetWriter, pixels: NDArray[np.generic], top: int) -> None:
    rows, columns = pixels.shape
    target.write(pixels, 1, window=Window(0, top, columns, rows))
