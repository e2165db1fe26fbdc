"""The command `sylvigie evaluate`: what a model reaches on data, and how it ranks real openings."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from models.classifier import TrainedModel
    from models.evaluation import Goal


def evaluate(
    model: Annotated[Path, typer.Option(help="Folder of a model.")],
    data: Annotated[list[Path], typer.Option(help="Training table; may be repeated.")],
    out: Annotated[Path, typer.Option(help="Folder of the page and its pictures.")],
    openings: Annotated[
        Path | None, typer.Option(help="Outlines of the real openings in the demo's images, which are then ranked.")
    ] = None,
) -> None:
    """Evaluate a model: on data of its own training, by training anew without each place in turn."""
    from models.classifier import load_model
    from models.evaluation import evaluate_model, evaluate_training, goals_of
    from models.evaluation_page import write_page
    from models.training import importance_of, params_of
    from scripts.train_model_command import print_evaluation, read_tables

    loaded, table = load_model(model), read_tables(data)
    # Other rows of a place that was trained on are no better: simulations of any seed have the same places.
    seen = set(table.places.astype(str)) & set(loaded.card.parameters.get("places", ()))
    if seen or table.content_hash in {one.content_hash for one in loaded.card.training}:
        print(
            f"WARNING: the model was trained on {len(seen)} places of these data: each place is told of by trees that "
            "are trained without it, and the figures are theirs."
        )
        evaluation = evaluate_training(table, loaded.card.seed, params_of(loaded.card))
    else:
        evaluation = evaluate_model(loaded, table)
    real = [] if openings is None else [rank_openings(loaded, openings)]
    print_evaluation(evaluation, [*goals_of(evaluation), *real])
    print(f"Evaluation: {write_page(evaluation, importance_of(loaded), out, real)}")


def rank_openings(model: TrainedModel, openings: Path) -> Goal:
    """How a model ranks the demo's alerts of July 2019: real openings above what meets none.

    The years from 2019 on are in no simulated table (`models.real_cube.LAST_DAY`).
    """
    import geopandas as gpd
    import numpy as np

    from detector.params import PatchParams
    from detector.pipeline import ScanParams, scan
    from models.evaluation import Goal
    from models.metrics import average_precision
    from scripts.demo_archive import build_archive
    from tiles.catalog import open_catalogue
    from tiles.month import Month
    from tiles.watch import WatchedArea

    with TemporaryDirectory() as folder:
        archive = build_archive(Path(folder) / "archive")
        found = scan(
            open_catalogue(str(archive.catalog)),
            Month(2019, 7),
            WatchedArea.open(archive.forest_mask, None),
            Path(folder) / "scan",
            ScanParams(patches=PatchParams(min_area_ha=0.05)),
            today=dt.datetime.now(dt.UTC).date(),
        )
    outlines = gpd.read_file(openings)
    outlines = outlines[outlines["year"] == 2019]
    (tile,) = found.tiles
    alerts = gpd.GeoSeries([alert.geometry for alert in tile.alerts], crs="EPSG:4326").to_crs(outlines.crs)
    real = alerts.intersects(outlines.union_all()).to_numpy(bool)
    score = model.scores(tile.features)
    precision = average_precision(score, real)(np.ones(real.size))
    above = int(np.sum(score[real] > score[~real].max(initial=-1)))
    told = f"{above} of {int(real.sum())} above all that meets none; by chance {real.mean():.4f}"
    name = f"average precision of {int(real.sum())} real openings of 2019 among {real.size} alerts ({told})"
    # The goal is their rank: all of them above whatever meets none.
    return Goal(name, round(float(precision), 4), "all above", bool(above == real.sum()))
