"""What the model reaches on places that it was not trained on, beside its baselines, and whether it is what was asked.

User's accuracy is counted on patches, producer's on the events that were looked for: one that the scan never saw counts
as missed (Olofsson et al. 2014, Remote Sensing of Environment 148, 42, have the terms). Clear-cuts of a table without
events are each an event of its own, and those that nobody listed are then not missed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.card import Score
from models.causes import Cause
from models.dataset import TrainingTable
from models.metrics import Bootstrap, Estimate, average_precision, harmonic_mean, mean, median, share
from models.predictions import MODEL, Prediction
from models.schema import Source

MIN_AREA_HA: Final = 0.5
"""Of the clear-cuts that the goals speak of: the smallest that is published."""
_DATES_AFTER: Final = 2
"""Clear dates after a felling without which a scan cannot confirm it."""
_SIZES_HA: Final = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, np.inf)
_SEASONS: Final = {"winter": (12, 1, 2), "spring": (3, 4, 5), "summer": (6, 7, 8), "autumn": (9, 10, 11)}

PUBLISHED: Final = (
    ("CCDC, Sentinel-2, Portugal", "0.86"),
    ("UNet++, winter pairs", "0.847"),
    ("European Forest Disturbance Atlas", "0.80-0.89"),
)
"""F1 of others, as published, on data and areas of their own: to know the order of magnitude, not to rank."""


class Metric(StrEnum):
    """What is counted."""

    USERS = "users_accuracy"
    PRODUCERS = "producers_accuracy"
    F1 = "f1"
    AVERAGE_PRECISION = "average_precision"
    BRIER = "brier"
    CALLED = "called_clear_cut"
    """Share of a cause's patches."""
    LAG = "lag_days"
    """Median days from the true date to the first on which the loss was seen."""
    DATED = "date_in_interval"
    """Share whose true date lies within last_intact..first_low."""


@dataclass(frozen=True)
class Line:
    """A figure.

    Parameters
    ----------
    method
        Of `models.predictions.METHODS`.
    metric, subset
        What, of which rows or events.
    estimate
        With its interval.
    n
        Rows or events that it rests on.
    """

    method: str
    metric: Metric
    subset: str
    estimate: Estimate
    n: int


@dataclass(frozen=True)
class Goal:
    """What was asked, and what came.

    Parameters
    ----------
    name
        What was asked, with its bound.
    estimate
        What came.
    met
        Whether the value, not its interval, reaches the bound.
    """

    name: str
    estimate: Estimate
    met: bool


@dataclass(frozen=True)
class Evaluation:
    """Figures and goals, and what they were counted on.

    Parameters
    ----------
    lines, goals
        See there.
    rows, places
        How many.
    simulated_share
        Of the rows.
    """

    lines: tuple[Line, ...]
    goals: tuple[Goal, ...]
    rows: int
    places: int
    simulated_share: float

    def line(self, metric: Metric, subset: str, method: str = MODEL) -> Line | None:
        """One figure; None where it was not taken."""
        wanted = (method, metric, subset)
        return next((one for one in self.lines if (one.method, one.metric, one.subset) == wanted), None)

    def scores(self) -> tuple[Score, ...]:
        """The model's figures, as its card holds them."""
        return tuple(
            Score(one.metric.value, one.subset, one.estimate.value, *_ends(one.estimate), one.n)
            for one in self.lines
            if one.method == MODEL and np.isfinite(one.estimate.value)
        )


LARGE: Final = f"area >= {MIN_AREA_HA:g} ha"
OBSERVABLE: Final = f"{LARGE}, {_DATES_AFTER} clear dates after"


def evaluate(
    table: TrainingTable, predictions: Mapping[str, Prediction], seed: int = 0, draws: int = 1000
) -> Evaluation:
    """Count what methods say of a table's rows.

    Parameters
    ----------
    table
        Rows and events.
    predictions
        By method, of all rows, by who was not trained on their places.
    seed, draws
        Of the bootstrap over places.
    """
    counts = _Counts.of(table, seed, draws)
    lines = [line for name, said in predictions.items() for line in _of_method(counts, name, said)]
    simulated = float((table.rows["source"] == Source.SIMULATED.value).mean())
    evaluation = Evaluation(tuple(lines), (), len(table.rows), counts.n_places, simulated)
    goals = tuple(_goals(evaluation, tuple(predictions)))
    return Evaluation(tuple(lines), goals, len(table.rows), counts.n_places, simulated)


@dataclass(frozen=True, eq=False)
class _Counts:
    """Rows, and the clear-cuts that were to be found, with numbers of places that both have in common."""

    rows: pd.DataFrame
    place: NDArray[np.int64]
    targets: pd.DataFrame
    target_place: NDArray[np.int64]
    n_places: int
    bootstrap: Bootstrap

    @classmethod
    def of(cls, table: TrainingTable, seed: int, draws: int) -> _Counts:
        rows, targets = table.rows, _targets(table)
        names, numbers = np.unique(
            np.concatenate([rows["place"].to_numpy(object), targets["place"].to_numpy(object)]).astype(str),
            return_inverse=True,
        )
        bootstrap = Bootstrap.of(names.size, seed, draws)
        return cls(rows, numbers[: len(rows)], targets, numbers[len(rows) :], names.size, bootstrap)

    def detected(self, called: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which targets the scan found, and the method called a clear-cut by one of their patches."""
        by_event = set(self.rows["event_id"][called].dropna()) | set(self.rows["id"][called])
        return (self.targets["found"] & self.targets["event_id"].isin(by_event)).to_numpy(bool)


def _targets(table: TrainingTable) -> pd.DataFrame:
    """Clear-cuts that were to be found: events, and patches of no event, under the patch's own identifier."""
    columns = ["event_id", "place", "event_area_ha", "event_date", "n_dates_after", "found"]
    events = table.events[table.events["cause"] == Cause.CLEAR_CUT.value][columns]
    alone = table.rows[table.is_clearcut & ~table.rows["event_id"].isin(table.events["event_id"])]
    alone = pd.DataFrame(
        {
            "event_id": alone["id"],
            "place": alone["place"],
            "event_area_ha": alone["event_area_ha"].fillna(alone["area_ha"]),
            "event_date": alone["event_date"],
            "n_dates_after": np.nan,
            "found": True,
        }
    )
    return pd.concat([one for one in (events, alone) if len(one)] or [events], ignore_index=True)


def _of_method(counts: _Counts, name: str, said: Prediction) -> Iterator[Line]:
    rows, targets = counts.rows, counts.targets
    everything = np.ones(len(rows), bool)
    large = (rows["area_ha"] >= MIN_AREA_HA).to_numpy(bool)
    large_targets = (targets["event_area_ha"] >= MIN_AREA_HA).to_numpy(bool)
    yield from _accuracy(counts, name, said, "all", everything, np.ones(len(targets), bool))
    yield from _accuracy(counts, name, said, LARGE, large, large_targets)
    seen = large_targets & (targets["n_dates_after"] >= _DATES_AFTER).to_numpy(bool)
    yield _producers(counts, name, said, OBSERVABLE, seen)
    for cause in sorted(set(rows["cause"]) - {Cause.CLEAR_CUT.value}):
        of_cause = (rows["cause"] == cause).to_numpy(bool)
        for subset, among in ((cause, of_cause), (f"{cause}, {LARGE}", of_cause & large)):
            statistic = share(said.called, among, counts.place, counts.n_places)
            yield Line(name, Metric.CALLED, subset, counts.bootstrap.estimate(statistic), int(among.sum()))
    if name == MODEL:
        yield from _dating(counts, said)
        for subset, among, looked_for in _subsets(counts):
            yield from _accuracy(counts, name, said, subset, among, looked_for)


def _subsets(counts: _Counts) -> Iterator[tuple[str, NDArray[np.bool_], NDArray[np.bool_]]]:
    """Size classes, seasons of the true date, forest types: rows and targets of each."""
    rows, targets = counts.rows, counts.targets
    for low, high in pairwise(_SIZES_HA):
        sizes = (rows["area_ha"], targets["event_area_ha"])
        label = f"{low:g}-{high:g} ha" if np.isfinite(high) else f"from {low:g} ha"
        of_rows, of_targets = ((size.ge(low) & size.lt(high)).to_numpy(bool) for size in sizes)
        yield label, of_rows, of_targets
    day = rows["event_date"].fillna(rows["first_low"])
    for season, months in _SEASONS.items():
        of_rows, of_targets = (dates.dt.month.isin(months).to_numpy(bool) for dates in (day, targets["event_date"]))
        yield season, of_rows, of_targets
    for kind in sorted(rows["forest_type"].dropna().unique()):
        # Events do not tell it: producer's accuracy is left out.
        yield f"forest type {kind}", (rows["forest_type"] == kind).to_numpy(bool), np.zeros(len(targets), bool)


def _accuracy(
    counts: _Counts,
    name: str,
    said: Prediction,
    subset: str,
    among: NDArray[np.bool_],
    looked_for: NDArray[np.bool_],
) -> Iterator[Line]:
    truth = counts.rows["is_clearcut"].to_numpy(bool)
    place, places, estimate = counts.place, counts.n_places, counts.bootstrap.estimate
    called = said.called & among
    users = share(truth, called, place, places)
    yield Line(name, Metric.USERS, subset, estimate(users), int(called.sum()))
    producers = share(counts.detected(said.called), looked_for, counts.target_place, places)
    yield _producers(counts, name, said, subset, looked_for)
    yield Line(name, Metric.F1, subset, estimate(harmonic_mean(users, producers)), int(looked_for.sum()))
    ranking = average_precision(said.probability, truth, among, place)
    yield Line(name, Metric.AVERAGE_PRECISION, subset, estimate(ranking), int(among.sum()))
    error = mean((said.probability - truth) ** 2, among, place, places)
    yield Line(name, Metric.BRIER, subset, estimate(error), int(among.sum()))


def _producers(counts: _Counts, name: str, said: Prediction, subset: str, looked_for: NDArray[np.bool_]) -> Line:
    statistic = share(counts.detected(said.called), looked_for, counts.target_place, counts.n_places)
    return Line(name, Metric.PRODUCERS, subset, counts.bootstrap.estimate(statistic), int(looked_for.sum()))


def _dating(counts: _Counts, said: Prediction) -> Iterator[Line]:
    """Of the clear-cuts that are called so, from `MIN_AREA_HA` on: lag, and whether the interval holds the date."""
    rows = counts.rows
    known = rows[["event_date", "last_intact", "first_low"]].notna().all(axis=1)
    dated = (rows["is_clearcut"] & said.called & (rows["area_ha"] >= MIN_AREA_HA) & known).to_numpy(bool)
    lag = np.asarray((rows["first_low"] - rows["event_date"]).dt.days, np.float64)
    held = rows["event_date"].between(rows["last_intact"], rows["first_low"]).to_numpy(bool)
    for metric, statistic in (
        (Metric.LAG, median(lag, dated, counts.place)),
        (Metric.DATED, share(held, dated, counts.place, counts.n_places)),
    ):
        yield Line(MODEL, metric, LARGE, counts.bootstrap.estimate(statistic), int(dated.sum()))


def _goals(evaluation: Evaluation, methods: tuple[str, ...]) -> Iterator[Goal]:
    """Issue 5's, as far as the figures are there."""
    for name, metric, subset, bound in (
        ("user's accuracy", Metric.USERS, LARGE, 0.95),
        ("producer's accuracy", Metric.PRODUCERS, LARGE, 0.90),
        ("producer's accuracy", Metric.PRODUCERS, OBSERVABLE, 0.90),
        ("true date within last_intact..first_low", Metric.DATED, LARGE, 0.95),
    ):
        line = evaluation.line(metric, subset)
        if line is not None and line.n:
            asked = f"{name}, {subset}: at least {bound:.2f}"
            yield Goal(asked, line.estimate, line.estimate.value >= bound)
    for line in evaluation.lines:
        if line.method == MODEL and line.metric is Metric.CALLED and LARGE not in line.subset:
            asked = f"{line.subset} called a clear-cut: at most 0.10"
            yield Goal(asked, line.estimate, line.estimate.value <= 0.10)
    own = evaluation.line(Metric.BRIER, "all")
    others = [evaluation.line(Metric.BRIER, "all", name) for name in methods if name != MODEL]
    if own is not None and others:
        best = min(other.estimate.value for other in others if other is not None)
        yield Goal(f"Brier below the baselines' best, {best:.4f}", own.estimate, own.estimate.value < best)


def _ends(estimate: Estimate) -> tuple[float | None, float | None]:
    ends = (estimate.low, estimate.high)
    return (ends[0] if np.isfinite(ends[0]) else None, ends[1] if np.isfinite(ends[1]) else None)
