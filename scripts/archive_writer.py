"""Writes static archives: a STAC catalogue in the shape of Earth Search's, and its Cloud-Optimized GeoTIFFs.

Both archives that Sylvigie can make (the demo's, from real images, and the benchmark's, simulated) are
written here, so that they differ by their pixels alone.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pystac
import rasterio
import rasterio.shutil
from affine import Affine
from numpy.typing import NDArray
from pyproj import Transformer

from tiles.errors import OutputError
from tiles.placing import put_folder

STAMP_NAME: Final = "archive.json"
CATALOG_NAME: Final = "catalog.json"
COLLECTION_ID: Final = "sentinel-2-l2a"
SCL_CLOUD_CLASSES: Final = (8, 9, 10)  # medium and high probability, thin cirrus: as in ESA's own percentage

_COG_TYPE: Final = "image/tiff; application=geotiff; profile=cloud-optimized"
_EXTENSIONS: Final = (
    "https://stac-extensions.github.io/grid/v1.0.0/schema.json",
    "https://stac-extensions.github.io/eo/v1.0.0/schema.json",
    # 1.2.0 knows both proj:epsg (which readers of Earth Search's first items expect) and proj:code.
    "https://stac-extensions.github.io/projection/v1.2.0/schema.json",
    "https://stac-extensions.github.io/raster/v1.1.0/schema.json",
)
# Seven decimals of a degree are about a centimetre.
_DEGREE_DECIMALS: Final = 7


@dataclass(frozen=True)
class Band:
    """What a STAC asset says of a spectral band.

    Parameters
    ----------
    name
        Name in Earth Search's items, which is also the asset's key.
    number
        Sentinel-2's own number of the band, such as ``8A``.
    center_um, width_um
        Centre and full width at half maximum, in micrometres, as Earth Search states them.
    """

    name: str
    number: str
    center_um: float
    width_um: float


BANDS: Final[Mapping[str, Band]] = {
    band.name: band
    for band in (
        Band("blue", "2", 0.49, 0.098),
        Band("green", "3", 0.56, 0.045),
        Band("red", "4", 0.665, 0.038),
        Band("nir", "8", 0.842, 0.145),
        Band("nir08", "8A", 0.865, 0.033),
        Band("swir16", "11", 1.61, 0.143),
    )
}


@dataclass(frozen=True)
class SceneDescription:
    """All that the STAC item of a scene says, beside its assets.

    Parameters
    ----------
    item_id
        Identifier, unique in the collection.
    acquired
        Moment of acquisition, with its time zone.
    epsg
        EPSG code of the grid.
    grid_code
        Identifier of the grid's cell (the tile).
    cloud_pct, nodata_pct
        Share of cloudy pixels among those that hold data, and of pixels without data, in percent.
    extra
        Further properties of the item.
    """

    item_id: str
    acquired: datetime
    epsg: int
    grid_code: str
    cloud_pct: float
    nodata_pct: float
    extra: Mapping[str, Any]


def twice_as_coarse(transform: Affine) -> Affine:
    """Transform of the 20 m grid that shares its corner with a north-up 10 m grid."""
    return Affine(2 * transform.a, 0.0, transform.c, 0.0, 2 * transform.e, transform.f)


def scl_percentages(scl_counts: NDArray[np.integer[Any]]) -> tuple[float, float]:
    """Cloud and no-data percentages as ESA computes them, from the counts of the scene classification.

    Parameters
    ----------
    scl_counts
        Number of pixels of each class, shape (12,) or longer.

    Returns
    -------
    tuple of float
        Cloudy share of the pixels that hold data, and share of pixels without data (class 0), in percent.
    """
    total = int(scl_counts.sum())
    empty = int(scl_counts[0])
    cloudy = int(scl_counts[list(SCL_CLOUD_CLASSES)].sum())
    cloud_pct = 100.0 * cloudy / (total - empty) if total > empty else 0.0
    return round(cloud_pct, 6), round(100.0 * empty / total if total else 0.0, 6)


def write_cog(
    path: Path,
    pixels: NDArray[np.generic],
    transform: Affine,
    epsg: int,
    nodata: int,
    *,
    overview_resampling: str = "average",
) -> None:
    """Write a one-band Cloud-Optimized GeoTIFF, losslessly.

    Parameters
    ----------
    path
        File to write.
    pixels
        Integer array, shape (rows, columns).
    transform
        From (column, row) to coordinates in metres.
    epsg
        EPSG code of the coordinates.
    nodata
        Value that stands for no data.
    overview_resampling
        GDAL's name of the method for overviews; ``"nearest"`` for classes.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    rows, columns = pixels.shape
    try:
        with rasterio.open(
            path,
            "w",
            driver="COG",
            width=columns,
            height=rows,
            count=1,
            dtype=pixels.dtype,
            crs=f"EPSG:{epsg}",
            transform=transform,
            nodata=nodata,
            **cog_options(max(pixels.shape), overview_resampling),
        ) as target:
            target.write(pixels, 1)
    except (rasterio.errors.RasterioError, OSError) as error:
        raise OutputError(f"Cannot write {path}: {error}") from error


def cog_options(size_px: int, overview_resampling: str, zstd_level: int = 9) -> dict[str, str | int]:
    """Creation options of GDAL's COG driver that all rasters of an archive share."""
    return {
        "COMPRESS": "ZSTD",
        "LEVEL": zstd_level,
        "PREDICTOR": "STANDARD",
        # 512 as real archives have; 128 is the least that GDAL takes, and spares small images their padding.
        "BLOCKSIZE": 512 if size_px > 128 else 128,
        "OVERVIEW_RESAMPLING": overview_resampling.upper(),
    }


def copy_to_cog(source: Path, target: Path, size_px: int, overview_resampling: str, zstd_level: int) -> None:
    """Rewrite a GeoTIFF as a Cloud-Optimized one, block by block, whatever its size."""
    options = cog_options(size_px, overview_resampling, zstd_level)
    rasterio.shutil.copy(source, target, driver="COG", NUM_THREADS="ALL_CPUS", **options)


def band_asset(band: Band, href: str, shape: tuple[int, int], transform: Affine) -> pystac.Asset:
    """STAC asset of a reflectance band whose DN is reflectance x 10000 without any offset.

    Parameters
    ----------
    band
        Which band.
    href
        Where its file is, relative to the item.
    shape
        Rows and columns.
    transform
        From (column, row) to coordinates.
    """
    pixel_m = int(transform.a)
    described = f"{band.name.capitalize()} (band {band.number})"
    return pystac.Asset(
        href,
        title=f"{described} - {pixel_m}m",
        media_type=_COG_TYPE,
        roles=["data", "reflectance"],
        extra_fields={
            "eo:bands": [
                {
                    "name": band.name,
                    "common_name": band.name,
                    "description": described,
                    "center_wavelength": band.center_um,
                    "full_width_half_max": band.width_um,
                }
            ],
            "gsd": pixel_m,
            "proj:shape": list(shape),
            "proj:transform": list(transform)[:6],
            "raster:bands": [
                {
                    "nodata": 0,
                    "data_type": "uint16",
                    "bits_per_sample": 16,
                    "spatial_resolution": pixel_m,
                    "scale": 0.0001,
                    "offset": 0,
                }
            ],
        },
    )


def scl_asset(href: str, shape: tuple[int, int], transform: Affine) -> pystac.Asset:
    """STAC asset of the scene classification; see `band_asset` for the parameters."""
    pixel_m = int(transform.a)
    return pystac.Asset(
        href,
        title="Scene classification map (SCL)",
        media_type=_COG_TYPE,
        roles=["data"],
        extra_fields={
            "gsd": pixel_m,
            "proj:shape": list(shape),
            "proj:transform": list(transform)[:6],
            "raster:bands": [{"nodata": 0, "data_type": "uint8", "spatial_resolution": pixel_m}],
        },
    )


def build_item(
    scene: SceneDescription, assets: Mapping[str, pystac.Asset], shape: tuple[int, int], transform: Affine
) -> pystac.Item:
    """STAC item of one scene.

    Parameters
    ----------
    scene
        What the item says of the scene.
    assets
        Its assets by key.
    shape, transform
        Of the 10 m grid: rows and columns, and from (column, row) to coordinates in metres.
    """
    ring, bbox = _footprint(scene.epsg, shape, transform)
    return pystac.Item(
        id=scene.item_id,
        geometry={"type": "Polygon", "coordinates": [ring]},
        bbox=bbox,
        datetime=scene.acquired,
        properties={
            "constellation": "sentinel-2",
            "instruments": ["msi"],
            "eo:cloud_cover": scene.cloud_pct,
            "proj:epsg": scene.epsg,
            "proj:code": f"EPSG:{scene.epsg}",
            "grid:code": scene.grid_code,
            "s2:nodata_pixel_percentage": scene.nodata_pct,
            **scene.extra,
        },
        stac_extensions=list(_EXTENSIONS),
        assets=dict(assets),
    )


@cache
def _footprint(epsg: int, shape: tuple[int, int], transform: Affine) -> tuple[list[list[float]], list[float]]:
    """Ring and bounds of a north-up grid in degrees: one computation for all the scenes of a tile."""
    rows, columns = shape
    left, top = transform.c, transform.f
    right, bottom = left + columns * transform.a, top + rows * transform.e
    to_degrees = Transformer.from_crs(f"EPSG:{epsg}", "EPSG:4326", always_xy=True)
    # Counter-clockwise from the upper left: RFC 7946's right-hand rule.
    corners = to_degrees.transform([left, left, right, right, left], [top, bottom, bottom, top, top])
    ring = [
        [round(float(lon), _DEGREE_DECIMALS), round(float(lat), _DEGREE_DECIMALS)]
        for lon, lat in zip(*corners, strict=True)
    ]
    # The bounds follow the grid's edges, which are curves in degrees.
    bounds = to_degrees.transform_bounds(left, bottom, right, top, densify_pts=21)
    return ring, [round(float(bound), _DEGREE_DECIMALS) for bound in bounds]


def item_folder(directory: Path, item_id: str) -> Path:
    """Where the files of an item go: beside its JSON."""
    return directory / COLLECTION_ID / item_id


def write_catalog(
    directory: Path, catalog_id: str, description: str, license_id: str, items: Iterable[pystac.Item]
) -> None:
    """Write the catalogue, its one collection and its items, with relative links throughout.

    Parameters
    ----------
    directory
        Root of the archive.
    catalog_id, description
        Of the catalogue; the collection shares the description.
    license_id
        SPDX identifier of the images' licence, or ``"other"``.
    items
        Items whose files are in `item_folder` already.
    """
    listed = sorted(items, key=lambda item: item.id)
    moments = [item.datetime for item in listed if item.datetime is not None]
    boxes = np.array([item.bbox for item in listed])
    extent = pystac.Extent(
        pystac.SpatialExtent([[*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist()]]),
        pystac.TemporalExtent([[min(moments), max(moments)]]),
    )
    catalog = pystac.Catalog(catalog_id, description)
    collection = pystac.Collection(COLLECTION_ID, description, extent, license=license_id)
    catalog.add_child(collection)
    collection.add_items(listed)
    catalog.normalize_and_save(str(directory), pystac.CatalogType.SELF_CONTAINED)


@contextmanager
def whole_or_nothing(directory: Path, made_by: Mapping[str, Any]) -> Iterator[Path | None]:
    """Build an archive beside its place, and put it there in one rename once it is whole.

    Parameters
    ----------
    directory
        Where the archive is to be.
    made_by
        Name, version and parameters of what makes it, as JSON knows them; where an archive that carries the
        same is there already, it is kept.

    Yields
    ------
    Path or None
        Folder to build in, or None where the same archive is there already.

    Raises
    ------
    OutputError
        The directory holds something else than an archive made here, or cannot be written.
    """
    stamp = json.dumps(made_by, sort_keys=True, indent=2) + "\n"
    if _stamp_of(directory) == stamp:
        yield None
        return
    _refuse_foreign(directory)
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{directory.name}-", dir=directory.parent) as beside:
            # A folder of its own inside: the temporary one is for its owner alone, the archive is not.
            work = Path(beside) / "new"
            work.mkdir()
            yield work
            (work / STAMP_NAME).write_text(stamp, encoding="utf-8")
            if directory.exists():
                put_folder(directory, Path(beside) / "old")
            put_folder(work, directory)
    except OSError as error:
        raise OutputError(f"Cannot write the archive {directory}: {error}.") from error


def _stamp_of(directory: Path) -> str | None:
    try:
        return (directory / STAMP_NAME).read_text(encoding="utf-8")
    except OSError:
        return None


def _refuse_foreign(directory: Path) -> None:
    """Never replace what was not made here: only an empty folder, or an archive with a stamp."""
    if not directory.exists() or _stamp_of(directory) is not None:
        return
    if not directory.is_dir() or any(directory.iterdir()):
        raise OutputError(f"{directory} exists and is not an archive made by Sylvigie: choose another place.")
