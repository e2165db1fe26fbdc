"""The demo's archive: real Sentinel-2 images of a Romanian forest, as a static STAC catalogue.

PyPI's nrt (European Union, Joint Research Centre; EUPL-1.2) carries the images as a cube; nothing of it is in
this repository. What comes out has the shape of any other archive: no code after this one knows of the demo.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, Final

import numpy as np
import pystac
import rasterio
from affine import Affine
from numpy.typing import NDArray

from scripts.archive_writer import (
    BANDS,
    CATALOG_NAME,
    SceneDescription,
    band_asset,
    build_item,
    item_folder,
    scl_asset,
    scl_percentages,
    twice_as_coarse,
    whole_or_nothing,
    write_catalog,
    write_cog,
)
from tiles.errors import MissingDependencyError

# Raised whenever the bytes that this module writes change, so that older archives are made anew.
_VERSION: Final = 2
_EPSG: Final = 3035
_GRID_CODE: Final = "DEMO-ROMANIA"
# Sentinel-2 passes over Romania a little after 09 h UTC; the cube keeps the day alone.
_NOMINAL_TIME: Final = time(9, 20, tzinfo=UTC)
_BANDS_10M: Final = {"blue": "B2", "green": "B3", "red": "B4", "nir": "B8"}
_BANDS_20M: Final = {"nir08": "B8A", "swir16": "B11"}
# A forest has at least 10 % of tree cover (FAO, and IGN's forest inventory).
_FOREST_COVER_PCT: Final = 10
_COVER_MAX_PCT: Final = 100
_MASK_NODATA: Final = 255


@dataclass(frozen=True)
class DemoArchive:
    """Where the demo's files are.

    Parameters
    ----------
    catalog
        Root of the STAC catalogue, a JSON file.
    forest_mask
        GeoTIFF of 20 m pixels: 1 forest, 0 not, 255 unknown.
    """

    catalog: Path
    forest_mask: Path


@dataclass(frozen=True)
class DemoCube:
    """The demo's images as they come: digital numbers and classes, by date."""

    days: list[date]
    bands: dict[str, NDArray[np.uint16]]  # (time, rows, columns), 10 m
    coarse_bands: dict[str, NDArray[np.uint16]]  # the same, 20 m
    scl: NDArray[np.uint8]  # (time, rows / 2, columns / 2), 20 m
    transform: Affine  # of the 10 m grid
    tree_cover_pct: NDArray[np.uint8]
    tree_cover_transform: Affine


def build_archive(directory: Path) -> DemoArchive:
    """Make the demo's archive, or find it made.

    140 dates from August 2015 to January 2021, 1 km by 1 km, EPSG:3035: blue, green, red and near infrared at
    10 m, B8A and B11 at 20 m (uint16, reflectance x 10000, no offset, 0 = no data), scene classification at 20 m
    (uint8). The cube
    has days only: the time in each item (09:20 UTC) is nominal. The satellite (A or B), the processing
    baseline and the MGRS tile are not known, and the items do not name them.

    Parameters
    ----------
    directory
        Folder of the archive. It appears whole or not at all; where the same archive is
        there already, it is left as it is.

    Returns
    -------
    DemoArchive
        The catalogue, and the forest mask (tree cover of 2018 of 10 % or more).

    Raises
    ------
    MissingDependencyError
        nrt is not installed.
    OutputError
        The directory holds something else, or cannot be written.
    """
    with whole_or_nothing(directory, {"made_by": "sylvigie demo archive", "version": _VERSION}) as work:
        if work is not None:
            _build(work, read_cube())
    return DemoArchive(directory / CATALOG_NAME, directory / "forest.tif")


def read_cube() -> DemoCube:
    """Read the images of the package nrt.

    Raises
    ------
    MissingDependencyError
        nrt is not installed.
    """
    with warnings.catch_warnings():
        # nrt's imports and its NetCDF files warn of things that a user of the demo cannot act upon.
        warnings.simplefilter("ignore")
        try:
            import nrt.data as nrt_data
        except ImportError as error:
            raise MissingDependencyError(
                "The demo's images come with the package nrt, which is not installed:"
                ' run `pip install "sylvigie[demo]"`.'
            ) from error
        with nrt_data.romania_10m() as cube_10m, nrt_data.romania_20m() as cube_20m:
            ten, twenty = cube_10m.load(), cube_20m.load()
        with rasterio.open(Path(nrt_data.data_dir) / "tree_cover_density_2018_romania.tif") as source:
            cover, cover_transform = source.read(1), source.transform
    transform = _transform_of(ten)
    coarse = _transform_of(twenty)
    if not np.array_equal(ten.time, twenty.time) or (coarse.c, coarse.f) != (transform.c, transform.f):
        raise ValueError("nrt's 10 m and 20 m cubes do not share their dates and their corner")
    return DemoCube(
        days=[date.fromisoformat(str(day)) for day in ten.time.values.astype("datetime64[D]")],
        bands={name: _as_dn(ten[band].values) for name, band in _BANDS_10M.items()},
        coarse_bands={name: _as_dn(twenty[band].values) for name, band in _BANDS_20M.items()},
        scl=_as_dn(twenty["SCL"].values).astype(np.uint8),
        transform=transform,
        tree_cover_pct=cover,
        tree_cover_transform=cover_transform,
    )


def _as_dn(values: NDArray[np.floating[Any]]) -> NDArray[np.uint16]:
    """Digital numbers as they were before the cube's reader made them float, NaN being 0 again."""
    dn: NDArray[np.uint16] = np.nan_to_num(values, nan=0.0).astype(np.uint16)
    return dn


def _transform_of(cube: Any) -> Affine:
    """Transform of a cube whose coordinates are the centres of its pixels, north up."""
    x, y = cube.x.values, cube.y.values
    pixel_m = round(float(x[1] - x[0]), 6)
    # The coordinates are float64 sums: the last digits differ between the two cubes without meaning anything.
    left, top = round(float(x[0]) - pixel_m / 2, 6), round(float(y[0]) + pixel_m / 2, 6)
    return Affine(pixel_m, 0.0, left, 0.0, -pixel_m, top)


def _build(work: Path, cube: DemoCube) -> None:
    items = [_write_scene(work, cube, index) for index in range(len(cube.days))]
    write_catalog(
        work,
        "sylvigie-demo-romania",
        "Real Sentinel-2 L2A images of a Romanian forest, 2015 to 2021, from the cube of PyPI's nrt 0.2.1"
        " (contains modified Copernicus Sentinel data 2015-2021; packaged by the European Union's Joint"
        " Research Centre under EUPL-1.2). The time of day is nominal.",
        "EUPL-1.2",
        items,
    )
    known = cube.tree_cover_pct <= _COVER_MAX_PCT
    forest = np.where(known, cube.tree_cover_pct >= _FOREST_COVER_PCT, _MASK_NODATA).astype(np.uint8)
    write_cog(
        work / "forest.tif",
        forest,
        cube.tree_cover_transform,
        _EPSG,  # the package's file has the same projection without its code
        _MASK_NODATA,
        overview_resampling="nearest",
    )


def _write_scene(work: Path, cube: DemoCube, index: int) -> pystac.Item:
    """Write the rasters of one date, and return its item."""
    day = cube.days[index]
    item_id = f"S2_ROMANIA_{day:%Y%m%d}_0_L2A"
    folder = item_folder(work, item_id)
    folder.mkdir(parents=True)
    assets = {}
    for name, pixels in cube.bands.items():
        write_cog(folder / f"{name}.tif", pixels[index], cube.transform, _EPSG, 0)
        assets[name] = band_asset(BANDS[name], f"./{name}.tif", pixels[index].shape, cube.transform)
    scl, scl_transform = cube.scl[index], twice_as_coarse(cube.transform)
    for name, pixels in cube.coarse_bands.items():
        write_cog(folder / f"{name}.tif", pixels[index], scl_transform, _EPSG, 0)
        assets[name] = band_asset(BANDS[name], f"./{name}.tif", pixels[index].shape, scl_transform)
    write_cog(folder / "scl.tif", scl, scl_transform, _EPSG, 0, overview_resampling="nearest")
    assets["scl"] = scl_asset("./scl.tif", scl.shape, scl_transform)
    cloud_pct, nodata_pct = scl_percentages(np.bincount(scl.ravel(), minlength=12))
    description = SceneDescription(
        item_id=item_id,
        acquired=datetime.combine(day, _NOMINAL_TIME),
        epsg=_EPSG,
        grid_code=_GRID_CODE,
        cloud_pct=cloud_pct,
        nodata_pct=nodata_pct,
        extra={},
    )
    shape = (cube.bands["red"].shape[1], cube.bands["red"].shape[2])
    return build_item(description, assets, shape, cube.transform)
