"""The commands `sylvigie train model` and `sylvigie evaluate`."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from models.card import ModelCard
    from models.dataset import TrainingTable
    from models.evaluation import Evaluation

_Data = Annotated[list[Path], typer.Option(help="Training table of `sylvigie train data`; give it again for another.")]


def train_model(
    data: _Data,
    seed: Annotated[int, typer.Option(min=0, help="The same seed and data give the same files.")],
    out: Annotated[Path, typer.Option(help="Folder; the model goes into NAME-VERSION/ there.")],
    search: Annotated[int, typer.Option(min=0, help="Settings to try by optuna.")] = 0,
    leave_out: Annotated[list[str] | None, typer.Option(help="A feature that the trees are not shown.")] = None,
    version: Annotated[str | None, typer.Option(help="Version; by default from the trees' hash.")] = None,
    made_on: Annotated[str | None, typer.Option(help="Day on the card, YYYY-MM-DD; by default today.")] = None,
) -> None:
    """Train the clear-cut model, evaluate it on places held out, write it with its card."""
    from models.classifier import TrainedModel, write_model
    from models.evaluation import evaluate
    from models.predictions import METHODS, out_of_place
    from models.training import TrainingParams, train_clearcut
    from scripts.evaluation_text import lines_of

    parts, table = _read(data)
    params = TrainingParams(seed=seed, search=search, left_out=tuple(sorted(set(leave_out or ()))))
    # First what fails soon where there are too few places.
    predictions = out_of_place(table.rows, params, METHODS)
    evaluation = evaluate(table, predictions, seed)
    model = train_clearcut(table, parts, params, made_on=_day(made_on), version=version)
    card = dataclasses.replace(model.card, scores=evaluation.scores())
    folder = write_model(TrainedModel(card, model.trees), out)
    print(card.summary)
    for line in lines_of(evaluation):
        print(line)
    print()
    print(f"Operating threshold, chosen on training places: {card.threshold:.3f}")
    print(f"Model: {folder}")


def evaluate_model(
    model: Annotated[Path, typer.Option(help="Folder of a model.")],
    data: _Data,
    out: Annotated[Path, typer.Option(help="Folder for evaluation.html, figures.csv and the pictures.")],
    openings: Annotated[
        Path | None, typer.Option(help="Polygons with a year: rank the demo's openings of 2019 too (needs nrt).")
    ] = None,
) -> None:
    """Count what a model reaches, on places that it was not trained on, beside baselines."""
    from models.classifier import load_model
    from models.evaluation import evaluate
    from models.predictions import BASELINES, METHODS, MODEL, of_model, out_of_place
    from models.training import params_of
    from scripts.evaluation_demo import rank_openings
    from scripts.evaluation_figures import draw
    from scripts.evaluation_page import page_of
    from scripts.evaluation_text import lines_of

    trained = load_model(model)
    parts, table = _read(data)
    params = params_of(trained.card)
    notes = _trained_on(trained.card, parts, table)
    if notes:
        predictions = out_of_place(table.rows, params, METHODS)
    else:
        baselines = out_of_place(table.rows, params, BASELINES)
        predictions = {MODEL: of_model(trained)(table.rows), **baselines}
    evaluation = evaluate(table, predictions, params.seed)
    pictures = draw(evaluation, table.rows, predictions, trained)
    for note in notes:
        print(f"WARNING: {note}")
    for line in lines_of(evaluation):
        print(line)
    if openings is not None:
        rank = rank_openings(trained, openings, out / "demo")
        kept = "met" if rank.above_all else "NOT MET"
        sentence = (
            f"the demo's openings of 2019 rank above all alerts that meet none: average precision "
            f"{rank.average_precision:.3f} of {rank.alerts} alerts, {rank.openings} of which meet one: "
            f"any order would have {rank.openings / max(rank.alerts, 1):.3f} or so "
            f"(lowest of these {rank.lowest_opening:.3f}, highest of the others {rank.highest_other:.3f})"
        )
        print(f"{kept:<8} {sentence}")
        notes = (*notes, f"{kept}: {sentence}")
    _write(out, evaluation, page_of(evaluation, trained.card, pictures, notes), pictures)
    print(f"Page: {out / 'evaluation.html'}")


def _read(data: Sequence[Path]) -> tuple[Mapping[str, TrainingTable], TrainingTable]:
    from models.dataset import concatenate, read_table

    parts = {str(path): read_table(path) for path in data}
    return parts, concatenate(list(parts.values()))


def _day(made_on: str | None) -> str:
    from tiles.errors import InvalidParameterError

    if made_on is None:
        return dt.datetime.now(dt.UTC).date().isoformat()
    try:
        return dt.date.fromisoformat(made_on).isoformat()
    except ValueError as error:
        raise InvalidParameterError(f"--made-on must be a day such as 2026-11-23, not {made_on!r}.") from error


def _trained_on(card: ModelCard, parts: Mapping[str, TrainingTable], table: TrainingTable) -> tuple[str, ...]:
    """What of these data the model was trained on, in a sentence; nothing where it saw none of their places."""
    hashes = {one.content_hash for one in card.training}
    same = [name for name, part in parts.items() if part.content_hash in hashes]
    shared = set(table.places) & set(card.parameters.get("places", ()))
    if not same and not shared:
        return ()
    what = (
        f"{' and '.join(same)} is among its training data"
        if same
        else f"it was trained on {len(shared)} of these places"
    )
    return (
        f"the model {card.id} cannot be evaluated on these data, {what}: these are the figures of models trained "
        "anew, in its way, on other places than those on which they are counted.",
    )


def _write(out: Path, evaluation: Evaluation, page: str, pictures: Mapping[str, bytes]) -> None:
    import pandas as pd

    from tiles.errors import OutputError
    from tiles.placing import written_beside

    rows = [
        {
            "method": line.method,
            "metric": line.metric.value,
            "subset": line.subset,
            "value": line.estimate.value,
            "low": line.estimate.low,
            "high": line.estimate.high,
            "n": line.n,
        }
        for line in evaluation.lines
    ]
    files = {
        **pictures,
        "figures.csv": pd.DataFrame(rows).to_csv(index=False).encode(),
        "evaluation.html": page.encode(),
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            with written_beside(out / name) as partial:
                partial.write_bytes(content)
    except OSError as error:
        raise OutputError(f"The evaluation cannot be written to {out} ({error.strerror or error}).") from error
