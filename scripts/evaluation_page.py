"""An evaluation as one HTML page without outside files: French first, English second."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from models.card import ModelCard
from models.evaluation import PUBLISHED, Evaluation, Metric
from scripts.evaluation_text import told

_METRICS: Final[Mapping[Metric, tuple[str, str]]] = {
    Metric.USERS: ("précision (utilisateur)", "user's accuracy"),
    Metric.PRODUCERS: ("rappel (producteur)", "producer's accuracy"),
    Metric.F1: ("F1", "F1"),
    Metric.AVERAGE_PRECISION: ("précision moyenne", "average precision"),
    Metric.BRIER: ("score de Brier", "Brier score"),
    Metric.CALLED: ("appelé coupe rase", "called a clear-cut"),
    Metric.LAG: ("délai médian (jours)", "median lag (days)"),
    Metric.DATED: ("date vraie dans l'intervalle", "true date in the interval"),
}
_STYLE: Final = (
    "body{font-family:sans-serif;max-width:64em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse;font-size:.85em}td,th{border-bottom:1px solid #ccc;padding:.2em .6em;"
    "text-align:left}.no{color:#a00;font-weight:bold}img{max-width:100%}small{color:#555}"
)


def page_of(evaluation: Evaluation, card: ModelCard, pictures: Mapping[str, bytes], notes: Sequence[str] = ()) -> str:
    """The page.

    Parameters
    ----------
    evaluation, card
        Of a model.
    pictures
        PNG by file name, put into the page.
    notes
        Sentences that stand above all figures, such as that data were trained on.
    """
    simulated = evaluation.simulated_share > 0
    title = "Évaluation semi-synthétique du modèle de coupe rase" if simulated else "Évaluation du modèle de coupe rase"
    english = "Semi-synthetic evaluation of the clear-cut model" if simulated else "Evaluation of the clear-cut model"
    parts = [
        f"<h1>{title}<br><small>{english}</small></h1>",
        f"<p><b>{escape(card.id)}</b>. {escape(card.summary)}</p>",
        *(f'<p class="no">{escape(note)}</p>' for note in notes),
        f"<p>{evaluation.rows} taches de {evaluation.places} lieux, jamais vus à l'apprentissage ; part simulée : "
        f"{evaluation.simulated_share:.0%}. Intervalles à 95 % par rééchantillonnage des lieux.<br><small>"
        f"{evaluation.rows} patches of {evaluation.places} places that were not trained on; simulated: "
        f"{evaluation.simulated_share:.0%}. 95 % intervals of a bootstrap over places.</small></p>",
        "<h2>Objectifs <small>Goals</small></h2>",
        _table(
            ("", "Objectif / goal", "Atteint / reached"),
            [_goal(one.met, one.name, told(one.estimate)) for one in evaluation.goals],
        ),
        "<h2>Chiffres <small>Figures</small></h2>",
        _table(
            ("Méthode / method", "Mesure / measure", "Sur / of", "Valeur [95 %] / value", "n"),
            [
                (
                    line.method,
                    " / ".join(dict.fromkeys(_METRICS[line.metric])),
                    line.subset,
                    told(line.estimate),
                    str(line.n),
                )
                for line in evaluation.lines
            ],
        ),
        "<h2>F1 publiés ailleurs <small>F1 of others, as published, on data of their own</small></h2>",
        _table(("", "F1"), PUBLISHED),
        "<h2>Graphiques <small>Charts</small></h2>",
        *(_picture(name, content) for name, content in pictures.items()),
        "<h2>Limites <small>Limits</small></h2>",
        "<ul>" + "".join(f"<li>{escape(limit)}</li>" for limit in card.limits) + "</ul>",
    ]
    return (
        f'<!doctype html><html lang="fr"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def _goal(met: bool, name: str, value: str) -> tuple[str, str, str]:
    return ("atteint / met" if met else "NON ATTEINT / NOT MET", name, value)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def cells(row: Sequence[str]) -> str:
        return "".join(f"<td{' class=no' if 'NOT MET' in cell else ''}>{escape(cell)}</td>" for cell in row)

    titles = "".join(f"<th>{escape(one)}</th>" for one in head)
    return f"<table><tr>{titles}</tr>" + "".join(f"<tr>{cells(row)}</tr>" for row in rows) + "</table>"


def _picture(name: str, content: bytes) -> str:
    return f'<p><img alt="{escape(name)}" src="data:image/png;base64,{base64.b64encode(content).decode()}"></p>'
