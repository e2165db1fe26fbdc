"""A small archive of real files: a forest of 48 x 48 pixels in UTM 31, with a felling of 1.2 ha in May 2019."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine

from scripts.archive_writer import (
    BANDS,
    CATALOG_NAME,
    COLLECTION_ID,
    SceneDescription,
    band_asset,
    build_item,
    item_folder,
    scl_asset,
    twice_as_coarse,
    write_catalog,
    write_cog,
)
from tests.fakes.forest import Forest, days_of

EPSG = 32631
TRANSFORM = Affine(10, 0, 499_000, 0, -10, 5_000_000)
FOREST = Forest()
REFERENCE_DAYS = days_of(dt.date(2016, 7, 3), dt.date(2018, 6, 30), 20)
MONITORED_DAYS = days_of(dt.date(2018, 7, 3), dt.date(2019, 7, 31), 16)
DAYS = REFERENCE_DAYS + MONITORED_DAYS
JULY_DAYS = [day for day in DAYS if (day.year, day.month) == (2019, 7)]


def item_id(day: dt.date) -> str:
    return f"S2A_31TDK_{day:%Y%m%d}_0_L2A"


def folder_of(archive: Path, day: dt.date) -> Path:
    """Where the files of a day are."""
    return item_folder(archive, item_id(day))


def item_file(archive: Path, day: dt.date) -> Path:
    return folder_of(archive, day) / f"{item_id(day)}.json"


def edit_item(archive: Path, day: dt.date, **properties: Any) -> dict[str, Any]:
    """Change an item's properties; returns the document for what else is to be changed, see `save_item`."""
    document: dict[str, Any] = json.loads(item_file(archive, day).read_text())
    document["properties"].update(properties)
    save_item(archive, day, document)
    return document


def save_item(archive: Path, day: dt.date, document: dict[str, Any]) -> None:
    item_file(archive, day).write_text(json.dumps(document))


def drop_asset(archive: Path, day: dt.date, name: str) -> None:
    document = edit_item(archive, day)
    del document["assets"][name]
    save_item(archive, day, document)


def cut_short(path: Path, share: float = 0.5) -> None:
    """Truncate a file, as a broken transfer does."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def move_scene(archive: Path, day: dt.date, metres: float) -> None:
    """Write a day's rasters anew on a grid that lies elsewhere."""
    _write_rasters(folder_of(archive, day), day, TRANSFORM @ Affine.translation(metres / 10, 0))


def write_small_archive(directory: Path) -> None:
    """The archive: a date every 20 days for two years, every 16 days in the year that is watched."""
    items = []
    for day in DAYS:
        folder = item_folder(directory, item_id(day))
        folder.mkdir(parents=True)
        shapes = _write_rasters(folder, day, TRANSFORM)
        assets = {
            "red": band_asset(BANDS["red"], "./red.tif", shapes[0], TRANSFORM),
            "nir": band_asset(BANDS["nir"], "./nir.tif", shapes[0], TRANSFORM),
            "scl": scl_asset("./scl.tif", shapes[1], twice_as_coarse(TRANSFORM)),
        }
        acquired = dt.datetime.combine(day, dt.time(10, 50), dt.UTC)
        extra = {"s2:processing_baseline": "02.14"}
        described = SceneDescription(item_id(day), acquired, EPSG, "MGRS-31TDK", 0.0, 0.0, extra)
        items.append(build_item(described, assets, shapes[0], TRANSFORM))
    write_catalog(directory, "small", "A forest drawn by hand.", "other", items)
    assert (directory / CATALOG_NAME).exists()
    assert (directory / COLLECTION_ID).is_dir()


def _write_rasters(folder: Path, day: dt.date, transform: Affine) -> tuple[tuple[int, int], tuple[int, int]]:
    red, nir, scl = FOREST.bands(day)
    write_cog(folder / "red.tif", red, transform, EPSG, 0)
    write_cog(folder / "nir.tif", nir, transform, EPSG, 0)
    write_cog(folder / "scl.tif", scl, twice_as_coarse(transform), EPSG, 0, overview_resampling="nearest")
    return (red.shape[0], red.shape[1]), (scl.shape[0], scl.shape[1])


def write_raster(path: Path, pixels: np.ndarray[Any, Any], transform: Affine = TRANSFORM, epsg: int = EPSG) -> Path:
    """Any small raster."""
    write_cog(path, pixels, transform, epsg, 0, overview_resampling="nearest")
    return path
