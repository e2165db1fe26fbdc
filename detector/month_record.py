"""What is written down of a tile's month, so that later months and other machines can go on from it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from affine import Affine
from rasterio.crs import CRS

from detector.params import PatchParams
from detector.pipeline import software_version
from detector.ports import TileJob
from detector.tile_store import TileMonth
from tiles.catalog import SkippedScene
from tiles.engine import ChangeParams, Tally, TilePlan
from tiles.grid import Grid
from tiles.month import Month
from tiles.scene import NEEDED_BANDS, OPTIONAL_BANDS, Band, Scene


def month_record(
    job: TileJob,
    month: Month,
    plan: TilePlan,
    before: TileMonth | None,
    tally: Tally,
    *,
    skipped: Sequence[SkippedScene],
    not_chosen: int,
    missing: Sequence[Scene],
) -> dict[str, Any]:
    """What is to be known of a month: nothing of the clock or the machine, so that it is the same when done again.

    Parameters
    ----------
    job, month, plan, before, tally
        What was asked for, what was read, what it stands on and what was counted.
    skipped
        Products left out, with the reasons.
    not_chosen
        Scenes of a build that were left aside for clearer ones.
    missing
        Scenes that a build is short of; see `detector.unheard.missing_of`.
    """
    left_out = {left.id: left for left in skipped}
    return {
        "tile": job.tile,
        "month": str(month),
        "sylvigie": software_version(),
        "catalogue": job.catalogue,
        "before": None if before is None else {"month": str(before.month), "identity": before.identity},
        "reference": None if before is None else before.record["reference"],
        "grid": _described(plan.grid),
        "pixels_per_class": plan.pixels_per_class,
        "scenes_reference": [scene.id for scene in plan.reference],
        "scenes": [_heard(scene) for scene in plan.monitored],
        "scenes_not_chosen": not_chosen,
        "scenes_skipped": [asdict(left) for _, left in sorted(left_out.items())],
        "scenes_missing": [{"id": scene.id, "acquired": scene.acquired.isoformat()} for scene in missing],
        "pixels": vars(tally),
        "parameters": plain(job.params.change),
        "patch_parameters": plain(job.params.patches),
    }


def plain(params: ChangeParams | PatchParams) -> dict[str, Any]:
    """Parameters as JSON gives them back."""
    written: dict[str, Any] = json.loads(json.dumps(asdict(params)))
    return written


def grid_of(record: Mapping[str, Any]) -> tuple[Grid, int]:
    """The grid of a month's bands, and the pixels of one along a side of one of the classification."""
    described = record["grid"]
    rows, cols = described["shape"]
    grid = Grid(CRS.from_user_input(described["crs"]), Affine(*described["transform"]), (rows, cols))
    return grid, int(record["pixels_per_class"])


def skipped_of(record: Mapping[str, Any]) -> dict[str, SkippedScene]:
    """Products that a month left out, by identifier."""
    return {str(left["id"]): SkippedScene(**left) for left in record["scenes_skipped"]}


def days_heard(scenes: Sequence[Mapping[str, Any]]) -> list[tuple[dt.date, str]]:
    """Day and identifier of the scenes of a record."""
    return [(dt.datetime.fromisoformat(scene["acquired"]).date(), str(scene["id"])) for scene in scenes]


def _heard(scene: Scene) -> dict[str, Any]:
    """A scene in the record: what was read of which product, and where its classification lies."""
    return {
        "id": scene.id,
        "acquired": scene.acquired.isoformat(),
        "products": [product.id for product in scene.members],
        "offset_from_pixels": {
            product.id: product.offset_evidence for product in scene.members if product.offset_evidence is not None
        },
        "classification": scene.hrefs[Band.SCL],
        "infrared": [_remembered(product) for product in scene.members],
    }


def _remembered(product: Scene) -> dict[str, Any]:
    """What is needed to look at a product again in a later month: for the infrared, for pictures."""
    bands = {band.value: product.hrefs[band] for band in (*NEEDED_BANDS, *OPTIONAL_BANDS) if band in product.hrefs}
    return {"id": product.id, "dn_offset": product.dn_offset, "hrefs": bands}


def remembered_scene(tile: str, scene: Mapping[str, Any]) -> Scene | None:
    """A scene of a record, with the bands that it names; None where the record does not tell them."""
    acquired = dt.datetime.fromisoformat(scene["acquired"])
    products = [
        Scene(
            str(told["id"]),
            acquired,
            tile,
            {Band(name): str(href) for name, href in told["hrefs"].items()},
            told["dn_offset"],
        )
        for told in scene.get("infrared", ())
    ]
    return replace(products[0], parts=tuple(products[1:])) if products else None


def _described(grid: Grid) -> dict[str, Any]:
    code = grid.crs.to_epsg()
    return {
        "crs": f"EPSG:{code}" if code else grid.crs.to_wkt(),
        "transform": list(grid.transform)[:6],
        "shape": list(grid.shape),
    }
