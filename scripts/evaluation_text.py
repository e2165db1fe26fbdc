"""An evaluation in print: figures by method, by cause and by subset, and the goals."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from models.evaluation import LARGE, OBSERVABLE, PUBLISHED, Evaluation, Metric
from models.metrics import Estimate
from models.predictions import MODEL

_COMPARED = (Metric.USERS, Metric.PRODUCERS, Metric.F1, Metric.AVERAGE_PRECISION, Metric.BRIER)


def told(estimate: Estimate) -> str:
    """A figure and its interval; a dash where it cannot be had."""
    if not np.isfinite(estimate.value):
        return "-"
    value = f"{estimate.value:.3f}"
    return value if not np.isfinite(estimate.low) else f"{value} [{estimate.low:.3f}, {estimate.high:.3f}]"


def kind_of(evaluation: Evaluation) -> str:
    """Whether what was counted is real."""
    if not evaluation.simulated_share:
        return "EVALUATION"
    return f"SEMI-SYNTHETIC EVALUATION ({evaluation.simulated_share:.0%} of the rows are simulated)"


def lines_of(evaluation: Evaluation) -> Iterator[str]:
    """What is printed, line by line."""
    yield f"{kind_of(evaluation)}: {evaluation.rows} patches of {evaluation.places} places, none trained on"
    yield "95 % intervals: bootstrap over places"
    methods = list(dict.fromkeys(line.method for line in evaluation.lines))
    for subset in ("all", LARGE):
        yield ""
        yield f"{subset:<22}" + "".join(f"{metric.value:>24}" for metric in _COMPARED)
        for method in methods:
            figures = (evaluation.line(metric, subset, method) for metric in _COMPARED)
            yield f"{method:<22}" + "".join(f"{told(line.estimate) if line else '-':>24}" for line in figures)
    line = evaluation.line(Metric.PRODUCERS, OBSERVABLE)
    if line is not None and line.n:
        yield f"producer's accuracy, {OBSERVABLE}: {told(line.estimate)} of {line.n}"
    yield ""
    yield f"{'called a clear-cut':<22}" + "".join(f"{method:>24}" for method in methods) + f"{'patches':>9}"
    for one in evaluation.lines:
        if one.method == MODEL and one.metric is Metric.CALLED:
            figures = (evaluation.line(Metric.CALLED, one.subset, method) for method in methods)
            cells = "".join(f"{told(line.estimate) if line else '-':>24}" for line in figures)
            yield f"{one.subset.replace(LARGE, '>= 0.5 ha'):<22}{cells}{one.n:>9}"
    yield ""
    yield f"{'the model by subset':<22}" + "".join(f"{metric.value:>24}" for metric in _COMPARED) + f"{'patches':>9}"
    compared = ("all", LARGE, OBSERVABLE)
    for one in evaluation.lines:
        if one.method == MODEL and one.metric is Metric.BRIER and one.subset not in compared:
            figures = (evaluation.line(metric, one.subset) for metric in _COMPARED)
            cells = "".join(f"{told(line.estimate) if line else '-':>24}" for line in figures)
            yield f"{one.subset:<22}{cells}{one.n:>9}"
    yield ""
    lag = evaluation.line(Metric.LAG, LARGE)
    if lag is not None and lag.n:
        yield f"median days from the true date to the first low one: {told(lag.estimate)} of {lag.n}"
    yield "F1 of others, as published, on data of their own: " + "; ".join(f"{who} {f1}" for who, f1 in PUBLISHED)
    yield ""
    for goal in evaluation.goals:
        yield f"{'met' if goal.met else 'NOT MET':<8} {goal.name}: {told(goal.estimate)}"
