"""An evaluation as one HTML page with its pictures inside, in French first, and the pictures as PNG beside it."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from models.card import Score
from models.evaluation import ANCHORS, LARGE, SEEN, Evaluation, Goal, goals_of
from models.metrics import reliability
from models.schema import Source
from models.training import summary_of
from tiles.errors import MissingDependencyError, OutputError
from tiles.placing import written_beside

PAGE_FILE = "evaluation.html"

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; width: 100%; margin: 1rem 0 }
td, th { border-bottom: 1px solid #ddd; padding: .3rem .5rem; text-align: left; vertical-align: top }
td.n { text-align: right; white-space: nowrap }
img { max-width: 100% }
.no { color: #a00; font-weight: 600 }
.en { color: #666; font-size: .9em }
div.wide { overflow-x: auto }
"""

_FIGURES = {
    "users_accuracy": ("Exactitude utilisateur", "User's accuracy"),
    "producers_accuracy": ("Exactitude producteur (événements)", "Producer's accuracy (events)"),
    "producers_accuracy_of_patches": ("Exactitude producteur (taches trouvées)", "Producer's accuracy (patches found)"),
    "f1": ("F1", "F1"),
    "average_precision": ("Précision moyenne", "Average precision"),
    "brier": ("Score de Brier", "Brier score"),
    "called_clearcut": ("Appelé coupe rase", "Called a clear-cut"),
    "lag_days": ("Retard médian (jours)", "Median lag (days)"),
    "dated_within": ("Vraie date dans l'intervalle", "True date within the interval"),
}
_CAUSES = {
    "clear_cut": "coupe rase / clear-cut",
    "thinning": "éclaircie / thinning",
    "dieback": "dépérissement / dieback",
    "windthrow": "chablis / windthrow",
    "fire": "feu / fire",
    "haze": "brume / haze",
    "phenology": "saison / phenology",
    "field_edge": "bord de champ / field edge",
    "snow": "neige / snow",
    "flood": "inondation / flood",
    "other": "autre / other",
    "no_event": "fausse alerte / no event",
}

_PICTURES = {
    "reliability": ("Fiabilité des probabilités", "Reliability of the probabilities"),
    "confusion": ("Ce que chaque cause est appelée", "What each cause is called"),
    "importance": ("Ce qui compte pour le modèle", "What counts for the model"),
}


def write_page(evaluation: Evaluation, importance: pd.Series | None, out: Path, extra: Sequence[Goal] = ()) -> Path:
    """Write ``evaluation.html`` and its pictures.

    Parameters
    ----------
    evaluation
        What is told.
    importance
        Share of the gain by feature; left out where None.
    out
        Folder.
    extra
        Further figures, such as those of real images.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    tiles.errors.MissingDependencyError
        When matplotlib is not installed.
    tiles.errors.OutputError
        When the folder does not take it.
    """
    pictures = {"reliability": _reliability(evaluation), "confusion": _confusion(evaluation)}
    if importance is not None:
        pictures["importance"] = _importance(importance)
    page = _page(evaluation, [*goals_of(evaluation), *extra], pictures)
    try:
        for name, image in pictures.items():
            with written_beside(out / f"{name}.png") as partial:
                partial.write_bytes(image)
        with written_beside(out / PAGE_FILE) as partial:
            partial.write_text(page, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"The evaluation cannot be written to {out} ({error.strerror or error}).") from error
    return out / PAGE_FILE


def title_of(evaluation: Evaluation) -> tuple[str, str]:
    """French and English: whether the data are simulated comes first."""
    simulated = float((evaluation.table.rows["source"] == Source.SIMULATED.value).mean())
    french = (
        "Évaluation semi-synthétique : événements simulés dans des images réelles" if simulated == 1 else "Évaluation"
    )
    if 0 < simulated < 1:
        french = f"Évaluation en partie semi-synthétique ({simulated:.0%} de taches simulées)"
    return french, summary_of(simulated) if simulated else "Evaluation on patches that people told the cause of."


def _page(evaluation: Evaluation, goals: Sequence[Goal], pictures: dict[str, bytes]) -> str:
    french, english = title_of(evaluation)
    places = len(set(evaluation.table.places.astype(str)))
    how = (
        "chaque lieu est jugé par des arbres appris ailleurs / each place is told of by trees trained elsewhere"
        if evaluation.out_of_place
        else "un modèle, des données qu'il n'a jamais vues / one model, on data that it has never seen"
    )
    parts = [
        "<!doctype html><html lang='fr'><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width'>",
        f"<title>{html.escape(french)}</title>",
        f"<style>{_STYLE}</style>",
        f"<h1>{html.escape(french)}</h1><p class='en'>{html.escape(english)}</p>",
        f"<p>{len(evaluation.table.rows)} taches, {places} lieux ; {html.escape(how)}. Entre crochets : intervalle de "
        "confiance à 95 %, lieux tirés avec remise. <span class='en'>In brackets: 95 % interval, places drawn with "
        "replacement.</span></p>",
        *_table(
            ("Objectif <span class='en'>Goal</span>", "Atteint <span class='en'>Reached</span>", "Visé", ""),
            [(html.escape(goal.name), f"{goal.value:.4f}", html.escape(goal.goal), _verdict(goal)) for goal in goals],
        ),
        "<h2>À côté de références simples <span class='en'>Beside simple baselines</span></h2>",
        *_table(("", *(_label(name) for name in _COMPARED)), list(_beside(evaluation))),
        "<h2>Publié par d'autres <span class='en'>As others published</span></h2>",
        "<p>D'autres données, d'autres définitions : pour situer, non pour comparer. "
        "<span class='en'>Other data, other definitions: for scale, not to compare.</span></p>",
        *_table(("Méthode", "Publié"), [(html.escape(name), html.escape(value)) for name, value in ANCHORS]),
        "<h2>En détail <span class='en'>In detail</span></h2>",
        *_table(
            ("", "Sous-ensemble <span class='en'>Subset</span>", "Valeur", "n"),
            [
                (_label(one.name), html.escape(one.subset), _with_interval(one), str(one.n))
                for one in evaluation.model_scores
            ],
        ),
    ]
    for name, image in pictures.items():
        told = _PICTURES[name]
        data = base64.b64encode(image).decode()
        parts.append(f"<h2>{told[0]} <span class='en'>{told[1]}</span></h2>")
        parts.append(f"<img alt='{html.escape(told[0])}' src='data:image/png;base64,{data}'>")
    return "\n".join(parts) + "\n"


_COMPARED = ("users_accuracy", "producers_accuracy", "f1", "average_precision", "brier")


def _beside(evaluation: Evaluation) -> Iterator[tuple[str, ...]]:
    for name, scores in evaluation.scores.items():
        of = {(one.name, one.subset): one for one in scores}
        cells = [of.get((figure, SEEN if figure == "producers_accuracy" else LARGE)) for figure in _COMPARED]
        yield html.escape(name), *("" if one is None else _with_interval(one) for one in cells)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "<div class='wide'><table><tr>" + "".join(f"<th>{head}</th>" for head in heads) + "</tr>"
    for row in rows:
        first, *others = row
        yield f"<tr><td>{first}</td>" + "".join(f"<td class='n'>{cell}</td>" for cell in others) + "</tr>"
    yield "</table></div>"


def _label(name: str) -> str:
    french, english = _FIGURES[name]
    return french if french == english else f"{french} <span class='en'>{english}</span>"


def _verdict(goal: Goal) -> str:
    if goal.is_met is None:
        return "inconnu <span class='en'>not known</span>"
    return "oui <span class='en'>met</span>" if goal.is_met else "<span class='no'>NON <span>NOT MET</span></span>"


def _with_interval(one: Score) -> str:
    interval = "" if one.low is None or one.high is None else f" [{one.low:.3f}, {one.high:.3f}]"
    return f"{one.value:.3f}{interval}"


def _reliability(evaluation: Evaluation) -> bytes:
    figure, axes = _figure(5, 5)
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    for name, told in list(evaluation.told.items())[:1]:
        points = np.array(reliability(told.probability, evaluation.table.is_clearcut))
        axes.plot(points[:, 0], points[:, 1], marker="o", label=name)
        for x, y, n in points:
            axes.annotate(f"{n:.0f}", (x, y), textcoords="offset points", xytext=(4, -10), fontsize=8)
    axes.set(
        xlabel="probabilité dite / told", ylabel="part de coupes rases / share of clear-cuts", xlim=(0, 1), ylim=(0, 1)
    )
    return _png(figure)


def _confusion(evaluation: Evaluation) -> bytes:
    causes = evaluation.table.rows["cause"]
    order = sorted(set(causes), key=lambda cause: (cause != "clear_cut", cause))
    share = np.array([evaluation.model.clearcut[(causes == cause).to_numpy()].mean() for cause in order])
    count = [int((causes == cause).sum()) for cause in order]
    figure, axes = _figure(7, 0.4 * len(order) + 1)
    axes.barh(
        [_CAUSES.get(cause, cause) for cause in order],
        share,
        color=["#2a7" if cause == "clear_cut" else "#c63" for cause in order],
    )
    axes.axvline(0.10, color="0.6", linestyle=":")
    for row, (value, n) in enumerate(zip(share, count, strict=True)):
        inside = value > 0.75
        place, side = (value - 0.01, "right") if inside else (value + 0.01, "left")
        axes.text(place, row, f"{value:.3f} (n={n})", va="center", ha=side, fontsize=8)
    axes.invert_yaxis()
    axes.set(xlabel="part appelée coupe rase / share called a clear-cut", xlim=(0, 1))
    return _png(figure)


def _importance(importance: pd.Series) -> bytes:
    largest = importance.sort_values(ascending=False).head(20)[::-1]
    figure, axes = _figure(7, 0.3 * len(largest) + 1)
    axes.barh(list(largest.index), largest.to_numpy(), color="#47a")
    axes.set(xlabel="part du gain / share of the gain")
    return _png(figure)


def _figure(width: float, height: float) -> tuple[Any, Any]:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError(
            'Pictures need matplotlib, which is not installed: run `pip install "sylvigie[train]"`.'
        ) from error
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _png(figure: Any) -> bytes:
    target = io.BytesIO()
    # Without the date and the version of the library: the same figures give the same bytes.
    figure.savefig(target, format="png", dpi=120, metadata={"Software": None})
    return target.getvalue()
