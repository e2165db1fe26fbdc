"""The command `sylvigie train model`: from training tables to a model with a card and an evaluation."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.dataset import TrainingTable
    from models.evaluation import Evaluation, Goal


def train_model(
    data: Annotated[list[Path], typer.Option(help="Training table; may be repeated.")],
    version: Annotated[str, typer.Option(help="Of the model, such as 2026.1.")],
    out: Annotated[Path, typer.Option(help="Folder; the model goes to NAME-VERSION in it, with its evaluation.")],
    seed: Annotated[int, typer.Option(min=0, help="The same seed and data give the same trees.")] = 1,
    search: Annotated[int, typer.Option(min=0, help="Settings to try by optuna; 0 trains with the usual ones.")] = 0,
    review_weight: Annotated[float, typer.Option(min=0, help="Weight of a reviewed patch beside another.")] = 1.0,
    made_on: Annotated[str | None, typer.Option(help="Day on the card; today. To make the same file again.")] = None,
    limit: Annotated[
        list[str] | None, typer.Option(help="A sentence for the card on what it cannot do; again.")
    ] = None,
    with_shape: Annotated[bool, typer.Option(help="Let the trees see outlines: for data with real shapes.")] = False,
) -> None:
    """Train the clear-cut model, and evaluate it on places that it was not trained on."""
    from models.classifier import write_model
    from models.evaluation import evaluate_training, goals_of
    from models.evaluation_page import write_page
    from models.schema import Source
    from models.training import TrainParams, importance_of
    from models.training import search as search_parameters
    from models.training import train as train_clearcut

    table = read_tables(data)
    weights = {} if review_weight == 1 else {Source.REVIEW.value: review_weight}
    params = TrainParams(source_weights=weights)
    if with_shape:
        params = replace(params, left_out=())
    limits = tuple(limit or ())
    if search:
        params = search_parameters(table, seed, search, params)
        limits += (
            f"Its settings are the best of {search} that were tried on the same places: its figures flatter it.",
        )
    evaluation = evaluate_training(table, seed, params)
    day = made_on or dt.datetime.now(dt.UTC).date().isoformat()
    model = train_clearcut(table, seed, day, version, params, evaluation.model_scores, limits)
    goals = goals_of(evaluation)
    print_evaluation(evaluation, goals)
    folder = write_model(model, out)
    page = write_page(evaluation, importance_of(model), out / f"{folder.name}-evaluation")
    print(f"Model: {folder} ({model.card.parameters['trees']} trees, threshold {model.card.threshold})")
    print(f"Evaluation: {page}")


def train_abuse_model(
    version: Annotated[str, typer.Option(help="Of the model, such as 2026.1.")],
    out: Annotated[Path, typer.Option(help="Folder; the model goes to NAME-VERSION in it.")],
    seed: Annotated[int, typer.Option(min=0, help="The same seed and reviews give the same trees.")] = 1,
    reviews: Annotated[
        Path | None, typer.Option(help="Reviews, CSV or Parquet: the columns of the model, and is_abusive.")
    ] = None,
) -> None:
    """Train the abuse model: an order of work from the policy criteria, on simulated alerts, and from reviews."""
    from models.abuse import read_reviews, train_abuse
    from models.classifier import write_model

    known = None if reviews is None else read_reviews(reviews)
    model = train_abuse(seed, dt.datetime.now(dt.UTC).date().isoformat(), version, known)
    print(model.card.summary)
    for score in model.card.scores:
        print(f"  {score.name:<44} {score.value:>8.4f}  reported (n={score.n})")
    print(f"Model: {write_model(model, out)}")


def read_tables(paths: Sequence[Path]) -> TrainingTable:
    """Training tables, put together."""
    from models.dataset import concatenate, read_table

    tables = [read_table(path) for path in paths]
    return tables[0] if len(tables) == 1 else concatenate(tables)


def print_evaluation(evaluation: Evaluation, goals: Sequence[Goal]) -> None:
    """Print what was reached, beside goals, baselines and what others published."""
    from models.evaluation import ANCHORS, LARGE, SEEN
    from models.evaluation_page import title_of

    _, english = title_of(evaluation)
    print(english)
    how = "trees trained on other places" if evaluation.out_of_place else "a model that never saw these data"
    print(
        f"{len(evaluation.table.rows)} patches of {len(set(evaluation.table.places.astype(str)))} places, told by {how}"
    )
    for goal in goals:
        verdict = {True: "met", False: "NOT MET", None: "not known"}[goal.is_met]
        print(f"  {goal.name:<72} {goal.value:>8.4f}  {goal.goal:<10} {verdict}")
    heads = ("user's", "producer's*", "F1", "average precision", "Brier")
    print(f"  {'area >= 0.5 ha':<26}" + "".join(f"{head:>24}" for head in heads))
    for name, scores in evaluation.scores.items():
        of = {(one.name, one.subset): one for one in scores}
        row = ""
        for figure in ("users_accuracy", "producers_accuracy", "f1", "average_precision", "brier"):
            one = of.get((figure, SEEN if figure == "producers_accuracy" else LARGE))
            row += f"{'' if one is None else f'{one.value:.3f} [{one.low or 0:.3f}, {one.high or 0:.3f}]':>24}"
        print(f"  {name:<26}{row}")
    print("  * of events that two clear dates or more show; intervals of 95 %, places drawn with replacement")
    print("  As others published, of other data: " + "; ".join(f"{name}: {value}" for name, value in ANCHORS))
