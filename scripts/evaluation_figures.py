"""Figures of an evaluation as PNG: reliability curve, what causes are called, which features the trees use."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.classifier import TrainedModel
from models.evaluation import LARGE, Evaluation, Metric
from models.predictions import MODEL, Prediction
from tiles.errors import MissingDependencyError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BINS: Final = 10
_FEATURES: Final = 15
_RELIABILITY: Final = "reliability.png"
_CAUSES: Final = "causes.png"
_IMPORTANCE: Final = "importance.png"


def draw(
    evaluation: Evaluation, rows: pd.DataFrame, predictions: Mapping[str, Prediction], model: TrainedModel
) -> dict[str, bytes]:
    """Draw the figures.

    Returns
    -------
    dict
        PNG by file name. The same input gives the same bytes.

    Raises
    ------
    MissingDependencyError
        Without matplotlib.
    """
    truth = rows["is_clearcut"].to_numpy(bool)
    return {
        _RELIABILITY: _reliability(truth, predictions),
        _CAUSES: _causes(evaluation),
        _IMPORTANCE: _importance(rows, model),
    }


def reliability(
    probability: NDArray[np.float64], truth: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Mean probability, share of clear-cuts, and rows, of each tenth of the probabilities that holds any."""
    tenth = np.minimum((probability * _BINS).astype(np.int64), _BINS - 1)
    rows = np.bincount(tenth, minlength=_BINS)
    held = rows > 0
    told = np.bincount(tenth, probability, _BINS)[held] / rows[held]
    came = np.bincount(tenth, truth, _BINS)[held] / rows[held]
    return told, came, rows[held]


def _reliability(truth: NDArray[np.bool_], predictions: Mapping[str, Prediction]) -> bytes:
    figure = _figure(5.0, 4.6)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    for name, said in predictions.items():
        told, came, _ = reliability(said.probability, truth)
        axes.plot(told, came, "o-", label=name, markersize=4, linewidth=2 if name == MODEL else 1)
    axes.set(xlabel="Probabilité annoncée / told", ylabel="Part de coupes rases / share of clear-cuts")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.legend(fontsize=8)
    return _png(figure)


def _causes(evaluation: Evaluation) -> bytes:
    lines = [
        one
        for one in evaluation.lines
        if one.method == MODEL and one.metric is Metric.CALLED and LARGE not in one.subset
    ]
    figure = _figure(6.0, 1.2 + 0.3 * len(lines))
    axes = figure.add_subplot()
    values = np.array([one.estimate.value for one in lines])
    ends = np.nan_to_num(np.array([[one.estimate.low, one.estimate.high] for one in lines]).reshape(-1, 2))
    away = np.abs(np.stack([values - ends[:, 0], ends[:, 1] - values])) if lines else None
    axes.barh(range(len(lines)), values, xerr=away, color="#4878a8", ecolor="0.3")
    axes.axvline(0.10, color="#c44", linewidth=1)
    axes.set_yticks(range(len(lines)), [f"{one.subset} ({one.n})" for one in lines])
    axes.set(xlabel="Part appelée coupe rase / share called a clear-cut")
    return _png(figure)


def _importance(rows: pd.DataFrame, model: TrainedModel) -> bytes:
    """Mean size of what each feature adds to the log-odds of these rows."""
    size = np.abs(model.contributions(rows)[:, :-1]).mean(axis=0)
    strongest = np.argsort(size, kind="stable")[-_FEATURES:]
    figure = _figure(6.0, 4.8)
    axes = figure.add_subplot()
    axes.barh(range(strongest.size), size[strongest], color="#4878a8")
    axes.set_yticks(range(strongest.size), [model.card.features[number] for number in strongest])
    axes.set(xlabel="Apport moyen (log-cotes) / mean contribution (log-odds)")
    return _png(figure)


def _figure(width: float, height: float) -> Figure:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError('Figures need matplotlib: run `pip install "sylvigie[train]"`.') from error
    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _png(figure: Figure) -> bytes:
    written = BytesIO()
    # The version of matplotlib is no part of the figure.
    figure.savefig(written, format="png", metadata={"Software": None})
    return written.getvalue()
