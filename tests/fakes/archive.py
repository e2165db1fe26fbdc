"""A small archive of real files: a forest of 48 x 48 pixels in UTM 31, with a felling of 1.2 ha in May 2019."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
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
COLOURS = {"blue": (200, 900), "green": (400, 1100)}
"""Digital numbers of `add_colours`: standing, felled."""
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


def shift_scene(archive: Path, day: dt.date, by: int) -> None:
    """Add to the digital numbers of a day; no data stays none."""
    for band in ("red", "nir"):
        path = folder_of(archive, day) / f"{band}.tif"
        pixels = read_raster(path)
        write_raster(path, np.where(pixels == 0, 0, pixels.astype(np.int64) + by).astype(pixels.dtype))


def blank(folder: Path, columns: slice, rows: slice = slice(None)) -> None:
    """Take the data from a part of a scene; the slices are in pixels of 20 m."""
    for name, size in (("red", 2), ("nir", 2), ("scl", 1)):
        path = folder / f"{name}.tif"
        pixels = read_raster(path)
        rows_, cols = (
            slice(*(None if at is None else at * size for at in (part.start, part.stop))) for part in (rows, columns)
        )
        pixels[rows_, cols] = 0
        write_raster(path, pixels, TRANSFORM if size == 2 else twice_as_coarse(TRANSFORM))


def copy_scene(archive: Path, day: dt.date, new_id: str, **properties: Any) -> Path:
    """The same pixels again under another name, listed by the catalogue; gives the folder of the copy."""
    old, new = folder_of(archive, day), item_folder(archive, new_id)
    shutil.copytree(old, new)
    document = json.loads((new / f"{item_id(day)}.json").read_text())
    (new / f"{item_id(day)}.json").unlink()
    document["id"] = new_id
    document["properties"].update(properties)
    (new / f"{new_id}.json").write_text(json.dumps(document))
    collection_file = old.parent / "collection.json"
    collection = json.loads(collection_file.read_text())
    collection["links"].append({"rel": "item", "href": f"./{new_id}/{new_id}.json", "type": "application/geo+json"})
    collection_file.write_text(json.dumps(collection))
    return new


def outline(folder: Path, west_share: float = 0.0, east_share: float = 1.0) -> None:
    """Say in an item that data lies between two shares of its width, as footprints of halves do."""
    (path,) = folder.glob("*.json")
    document = json.loads(path.read_text())
    west, south, east, north = document["bbox"]
    left, right = west + west_share * (east - west), west + east_share * (east - west)
    ring = [[left, south], [right, south], [right, north], [left, north], [left, south]]
    document["geometry"] = {"type": "Polygon", "coordinates": [ring]}
    path.write_text(json.dumps(document))


def read_raster(path: Path) -> np.ndarray[Any, Any]:
    """Pixels of a raster of one band."""
    with rasterio.open(path) as source:
        return np.asarray(source.read(1))


def write_small_archive(directory: Path, forest: Forest = FOREST, days: Sequence[dt.date] = DAYS) -> None:
    """The archive: a date every 20 days for two years, every 16 days in the year that is watched."""
    items = []
    for day in days:
        folder = item_folder(directory, item_id(day))
        folder.mkdir(parents=True)
        shapes = _write_rasters(folder, day, TRANSFORM, forest=forest)
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


def _write_rasters(
    folder: Path, day: dt.date, transform: Affine, cols_further_east: int = 0, forest: Forest = FOREST
) -> tuple[tuple[int, int], tuple[int, int]]:
    rows, cols = forest.felled
    felled = rows, slice(cols.start - cols_further_east, cols.stop - cols_further_east)
    red, nir, scl = replace(forest, felled=felled).bands(day)
    write_cog(folder / "red.tif", red, transform, EPSG, 0)
    write_cog(folder / "nir.tif", nir, transform, EPSG, 0)
    write_cog(folder / "scl.tif", scl, twice_as_coarse(transform), EPSG, 0, overview_resampling="nearest")
    return (red.shape[0], red.shape[1]), (scl.shape[0], scl.shape[1])


def add_infrared(archive: Path, forest: Forest = FOREST) -> None:
    """Write B8A and B11 beside what an archive has: green forest, and bright ground where it is felled."""
    rows, cols = (slice(part.start // 2, part.stop // 2) for part in forest.felled)
    transform = twice_as_coarse(TRANSFORM)
    for day in DAYS:
        folder, document = folder_of(archive, day), edit_item(archive, day)
        for name, (standing, felled) in {"nir08": (3000, 2400), "swir16": (1500, 2800)}.items():
            pixels = np.full(tuple(side // 2 for side in forest.mask().shape), standing, np.uint16)
            if day >= forest.felled_on:
                pixels[rows, cols] = felled
            write_cog(folder / f"{name}.tif", pixels, transform, EPSG, 0)
            asset = band_asset(BANDS[name], f"./{name}.tif", (pixels.shape[0], pixels.shape[1]), transform)
            document["assets"][name] = asset.to_dict()
        save_item(archive, day, document)


def add_colours(archive: Path, forest: Forest = FOREST) -> None:
    """Write blue and green beside what an archive has: dark forest, and brighter ground where it is felled."""
    rows, cols = forest.felled
    for day in DAYS:
        folder, document = folder_of(archive, day), edit_item(archive, day)
        for name, (standing, felled) in COLOURS.items():
            pixels: np.ndarray[Any, Any] = np.full(forest.shape, standing, np.uint16)
            if day >= forest.felled_on:
                pixels[rows, cols] = felled
            write_cog(folder / f"{name}.tif", pixels, TRANSFORM, EPSG, 0)
            asset = band_asset(BANDS[name], f"./{name}.tif", forest.shape, TRANSFORM)
            document["assets"][name] = asset.to_dict()
        save_item(archive, day, document)


def write_raster(path: Path, pixels: np.ndarray[Any, Any], transform: Affine = TRANSFORM, epsg: int = EPSG) -> Path:
    """Any small raster."""
    write_cog(path, pixels, transform, epsg, 0, overview_resampling="nearest")
    return path


def move_tile(archive: Path, target: Path, tile: str, metres: float) -> Path:
    """An archive with all scenes of another, and the same ground again as another tile, whose grid lies further east.

    What lies beyond the first tile's ground is forest in the second.
    """
    shutil.copytree(archive, target)
    collection = target / COLLECTION_ID / "collection.json"
    links = json.loads(collection.read_text())
    for day in DAYS:
        twin = item_id(day).replace("31TDK", tile)
        folder = item_folder(target, twin)
        shutil.copytree(folder_of(archive, day), folder)
        document = json.loads((folder / f"{item_id(day)}.json").read_text().replace(item_id(day), twin))
        (folder / f"{item_id(day)}.json").unlink()
        document["properties"]["grid:code"] = f"MGRS-{tile}"
        (folder / f"{twin}.json").write_text(json.dumps(document))
        links["links"].append({"rel": "item", "href": f"./{twin}/{twin}.json", "type": "application/geo+json"})
        transform = TRANSFORM @ Affine.translation(metres / 10, 0)
        _write_rasters(folder, day, transform, int(metres) // 10)
    collection.write_text(json.dumps(links))
    return target
