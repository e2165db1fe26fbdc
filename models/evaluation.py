"""What a model reaches on places that it was not trained on, beside baselines, with intervals, and against goals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models import metrics
from models.baselines import BASELINES, Told
from models.card import Score
from models.causes import Cause
from models.classifier import TrainedModel
from models.dataset import TrainingTable
from models.metrics import Estimate, Figure
from models.training import SMALLEST_HA, TrainParams, fit, folds_of

LARGE = f"area >= {SMALLEST_HA} ha"
SEEN = f"{LARGE}, two clear dates after"
_SIZES_HA = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, np.inf)
_SLOPES_PCT = (0.0, 10.0, 30.0, np.inf)
"""Classes of slope: flat, moderate, and steep as the policy has it."""
_SEASONS = {"winter": (12, 1, 2), "spring": (3, 4, 5), "summer": (6, 7, 8), "autumn": (9, 10, 11)}

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Figures of a model and of baselines on the same rows.

    Parameters
    ----------
    table
        The data.
    told
        What each says, by name; the model's is first.
    scores
        Figures of each.
    out_of_place
        Whether models were trained anew for each fold of places; else one model was asked for data of its own.
    """

    table: TrainingTable
    told: Mapping[str, Told]
    scores: Mapping[str, tuple[Score, ...]]
    out_of_place: bool

    @property
    def model(self) -> Told:
        """What the model says."""
        return next(iter(self.told.values()))

    @property
    def model_scores(self) -> tuple[Score, ...]:
        """The model's figures."""
        return next(iter(self.scores.values()))


@dataclass(frozen=True)
class Goal:
    """A goal of the model, and whether it is met; `is_met` is None where the figure is not known."""

    name: str
    value: float
    goal: str
    is_met: bool | None


def evaluate_training(
    table: TrainingTable, seed: int, params: TrainParams | None = None, progress: Progress | None = None
) -> Evaluation:
    """Evaluate a way of training: each fold of places is told of by trees that were trained on the others.

    Parameters
    ----------
    table
        Data.
    seed, params
        Of the training, which chooses its number of trees, calibration and threshold inside each part that it is
        trained on.
    progress
        Told how many folds are done.
    """
    params = params or TrainParams()
    fold = folds_of(table.places, params, seed)
    folds = int(fold.max()) + 1
    empty = np.zeros(len(table.rows))
    told = {name: Told(empty.copy(), empty.astype(bool)) for name in ("model", *BASELINES)}
    for held in range(folds):
        asked = fold == held
        fitted = fit(table, ~asked, seed, params)
        probability = fitted.probabilities(table.features[asked])
        _put(told["model"], asked, Told(probability, probability >= fitted.threshold))
        for name, baseline in BASELINES.items():
            _put(told[name], asked, baseline(table, ~asked, asked, params.features))
        if progress is not None:
            progress(held + 1, folds)
    return _evaluation(table, told, seed, out_of_place=True)


def evaluate_model(model: TrainedModel, table: TrainingTable, seed: int = 0) -> Evaluation:
    """Evaluate a model on data that it has never seen.

    Parameters
    ----------
    model
        With a threshold on its card; 0.5 where there is none.
    table
        Data of other places.
    seed
        Of the bootstrap.
    """
    probability = model.scores(table.features)
    threshold = 0.5 if model.card.threshold is None else model.card.threshold
    return _evaluation(table, {model.card.id: Told(probability, probability >= threshold)}, seed, out_of_place=False)


def _put(told: Told, where: NDArray[np.bool_], part: Told) -> None:
    told.probability[where], told.clearcut[where] = part.probability, part.clearcut


def _evaluation(table: TrainingTable, told: Mapping[str, Told], seed: int, *, out_of_place: bool) -> Evaluation:
    scores = {
        name: tuple(_scores(table, one, seed, whole=index == 0)) for index, (name, one) in enumerate(told.items())
    }
    return Evaluation(table, told, scores, out_of_place)


def _scores(table: TrainingTable, told: Told, seed: int, *, whole: bool) -> Iterator[Score]:
    """Figures over all rows, and of a model also by cause, size, slope, season and type of forest."""
    truth, rows = table.is_clearcut, table.rows
    everything = np.ones(len(rows), bool)
    yield from _of_patches(table, told, everything, "all", seed)
    yield from _of_patches(table, told, rows["area_ha"].to_numpy() >= SMALLEST_HA, LARGE, seed)
    yield from _of_events(table, told, seed)
    if not whole:
        return
    for cause in sorted(set(rows["cause"]) - {Cause.CLEAR_CUT.value}):
        among = (rows["cause"] == cause).to_numpy() & (rows["area_ha"] >= SMALLEST_HA).to_numpy()
        yield _score("called_clearcut", f"{cause}, {LARGE}", metrics.share(told.clearcut, among), table, among, seed)
    for name, among in _subsets(rows):
        yield from _of_patches(table, told, among, name, seed)
    dated = truth & rows["event_date"].notna().to_numpy() & rows["first_low"].notna().to_numpy()
    lag = (rows["first_low"] - rows["event_date"]).dt.days.to_numpy(np.float64)
    yield _score("lag_days", "clear-cuts", metrics.weighted_median(np.where(dated, lag, np.nan)), table, dated, seed)
    known = dated & rows["last_intact"].notna().to_numpy()
    held = (rows["event_date"] >= rows["last_intact"]) & (rows["event_date"] <= rows["first_low"])
    yield _score("dated_within", "clear-cuts", metrics.share(held.to_numpy(), known), table, known, seed)


def _of_patches(table: TrainingTable, told: Told, among: NDArray[np.bool_], subset: str, seed: int) -> Iterator[Score]:
    truth, places = table.is_clearcut[among], table.places[among]
    if not truth.any():
        return
    called, probability = told.clearcut[among], told.probability[among]
    figures: dict[str, Figure] = {
        "users_accuracy": metrics.share(truth, called),
        "producers_accuracy_of_patches": metrics.share(called, truth),
        "f1": metrics.f1(called, truth),
        "average_precision": metrics.average_precision(probability, truth),
        "brier": metrics.brier(probability, truth),
    }
    for name, figure in figures.items():
        yield _as_score(name, subset, metrics.estimate(figure, places, seed))


def _of_events(table: TrainingTable, told: Told, seed: int) -> Iterator[Score]:
    """Producer's accuracy: of the clear-cuts that there were, those that were found and called so."""
    events = table.events
    if events.empty:
        return
    called = set(table.rows.loc[told.clearcut, "event_id"].dropna())
    hit = (events["found"] & events["event_id"].isin(called)).to_numpy(bool)
    large = ((events["cause"] == Cause.CLEAR_CUT.value) & (events["event_area_ha"] >= SMALLEST_HA)).to_numpy(bool)
    seen = large & (events["n_dates_after"] >= 2).to_numpy(bool)
    places = events["place"].to_numpy(object)
    for subset, among in ((LARGE, large), (SEEN, seen)):
        found = metrics.estimate(metrics.share(hit[among], np.ones(int(among.sum()), bool)), places[among], seed)
        yield _as_score("producers_accuracy", subset, found)


def _subsets(rows: pd.DataFrame) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    area = rows["area_ha"].to_numpy()
    for low, high in pairwise(_SIZES_HA):
        name = f"{low:g} to {high:g} ha" if np.isfinite(high) else f"{low:g} ha and more"
        yield f"size: {name}", (area >= low) & (area < high)
    slope = rows["slope_pct"].to_numpy()
    for low, high in pairwise(_SLOPES_PCT):
        name = f"{low:g} to {high:g} %" if np.isfinite(high) else f"{low:g} % and more"
        yield f"slope: {name}", (slope >= low) & (slope < high)
    month = rows["first_low"].dt.month.to_numpy()
    for season, months in _SEASONS.items():
        yield f"season: {season}", np.isin(month, months)
    for kind in sorted(rows["forest_type"].dropna().unique()):
        yield f"forest: {kind}", (rows["forest_type"] == kind).to_numpy(bool)


def _score(name: str, subset: str, figure: Figure, table: TrainingTable, among: NDArray[np.bool_], seed: int) -> Score:
    found = metrics.estimate(figure, table.places, seed)
    return _as_score(name, subset, Estimate(found.value, found.low, found.high, int(among.sum())))


def _as_score(name: str, subset: str, found: Estimate) -> Score:
    value, low, high = (round(float(one), 6) for one in (found.value, found.low, found.high))
    return Score(name, subset, value, low if np.isfinite(low) else None, high if np.isfinite(high) else None, found.n)


def goals_of(evaluation: Evaluation) -> list[Goal]:
    """The goals of the model, beside what it reached."""
    scores = {(one.name, one.subset): one for one in evaluation.model_scores}

    def reached(name: str, subset: str) -> float:
        return scores[name, subset].value if (name, subset) in scores else np.nan

    goals = [
        _at_least("user's accuracy", LARGE, reached("users_accuracy", LARGE), 0.95),
        _at_least("producer's accuracy", LARGE, reached("producers_accuracy", LARGE), 0.90),
        _at_least("producer's accuracy", SEEN, reached("producers_accuracy", SEEN), 0.90),
        _at_least("true date within last_intact..first_low", "clear-cuts", reached("dated_within", "clear-cuts"), 0.95),
    ]
    for one in evaluation.model_scores:
        if one.name == "called_clearcut":
            goals.append(_at_most(f"called a clear-cut: {one.subset} (n={one.n})", one.value, 0.10))
    own = reached("brier", "all")
    for name, others in list(evaluation.scores.items())[1:]:
        theirs = next(one.value for one in others if (one.name, one.subset) == ("brier", "all"))
        goals.append(Goal(f"Brier below that of: {name}", own, f"< {theirs:.4f}", bool(own < theirs)))
    return goals


def _at_least(name: str, subset: str, value: float, goal: float) -> Goal:
    return Goal(f"{name}, {subset}", value, f">= {goal:g}", None if np.isnan(value) else bool(value >= goal))


def _at_most(name: str, value: float, goal: float) -> Goal:
    return Goal(name, value, f"<= {goal:g}", None if np.isnan(value) else bool(value <= goal))


ANCHORS: Sequence[tuple[str, str]] = (
    ("CCDC, Sentinel-2, Portugal", "F1 0.86"),
    ("UNet++, winter pairs", "F1 0.847"),
    ("European Forest Disturbance Atlas", "F1 0.80-0.89"),
)
"""Figures of others, as published, of other data and other definitions: no comparison, a measure of scale."""
