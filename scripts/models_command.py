"""The command `sylvigie models`: which there are, which are in use, and how two compare."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from models.card import Score
    from models.registry import Registry

models = typer.Typer(help="The models: which there are, which are in use.", no_args_is_help=True)

_DataDir = Annotated[
    Path | None, typer.Option(help="Data directory: states, alerts, records. By default SYLVIGIE_DATA_DIR.")
]


@models.command("list")
def list_models(data_dir: _DataDir = None) -> None:
    """List the models, those in use marked by a star."""
    from models.card import ModelName

    registry = _registry(data_dir)
    in_use = {entry.id for name in ModelName if (entry := registry.in_use(name)) is not None}
    entries = registry.entries()
    for entry in entries:
        mark = "*" if entry.id in in_use else " "
        whose = "shipped" if entry.is_shipped else "own"
        print(f"{mark} {entry.id:<24} {whose:<8} {entry.problem or (entry.card and entry.card.summary)}")
    if not entries:
        print("There is no model: alerts have no probability. `sylvigie train model` makes one.")


@models.command("use")
def use_model(
    model: Annotated[str, typer.Argument(help="Name and version, such as clearcut-2026.1.")],
    force: Annotated[bool, typer.Option("--force", help="Also if it is worse than that which is in use.")] = False,
    data_dir: _DataDir = None,
) -> None:
    """Put a model to use for the scans to come; one that is worse than that in use is refused."""
    before = _registry(data_dir).use(model, force=force)
    print(f"In use: {model}" + (f", in place of {before}" if before not in (None, model) else ""))


@models.command("compare")
def compare_models(
    one: Annotated[str, typer.Argument(help="A model.")],
    other: Annotated[str, typer.Argument(help="Another of the same name.")],
    data: Annotated[list[Path] | None, typer.Option(help="Table to score both on; may be repeated.")] = None,
    data_dir: _DataDir = None,
) -> None:
    """Print what the cards of two models tell, side by side; with data, what each reaches on them."""
    from tiles.errors import InvalidParameterError

    registry = _registry(data_dir)
    cards = [card for entry in (registry.entry(one), registry.entry(other)) if (card := entry.card) is not None]
    if cards[0].name is not cards[1].name:
        raise InvalidParameterError(f"{one} and {other} tell different things: compare two models of one name.")
    scores = [card.scores for card in cards]
    if data:
        scores = _scored(registry, (one, other), data)
    else:
        print("By their cards: each on the data that it was evaluated on.")
    for card in cards:
        rows = sum(table.rows for table in card.training)
        print(f"{card.id}: {card.made_on}, seed {card.seed}, {rows} rows. {card.summary}")
    found = [{(score.name, score.subset): score for score in of} for of in scores]
    print(f"{'':<72}{cards[0].id:>28}{cards[1].id:>28}")
    for key in dict.fromkeys([*found[0], *found[1]]):
        cells = "".join(f"{_cell(of.get(key)):>28}" for of in found)
        print(f"{f'{key[0]}, {key[1]}':<72}{cells}")


def _scored(registry: Registry, ids: tuple[str, str], data: list[Path]) -> list[tuple[Score, ...]]:
    """Figures of two models on one table."""
    from models.classifier import load_model
    from models.evaluation import evaluate_model
    from scripts.train_model_command import read_tables

    table = read_tables(data)
    scores = []
    for model_id in ids:
        model = load_model(registry.entry(model_id).folder)
        if table.content_hash in {part.content_hash for part in model.card.training}:
            print(f"{model_id} was trained on these data: its figures on them flatter it; see its card.")
        scores.append(evaluate_model(model, table).model_scores)
    return scores


def _cell(score: Score | None) -> str:
    if score is None:
        return "-"
    interval = "" if score.low is None or score.high is None else f" [{score.low:.3f}, {score.high:.3f}]"
    return f"{score.value:.4f}{interval}"


def _registry(data_dir: Path | None) -> Registry:
    from api.settings import data_folder
    from models.registry import Registry

    return Registry(data_folder(data_dir))
