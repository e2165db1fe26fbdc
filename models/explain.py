"""Why a model says what it says: the strongest groups of features for and against, in words.

No reason is invented: each is the sum of what a group's features add to the trees' score (`pred_contrib`, Lundberg et
al. 2020, Nature Machine Intelligence 2, 56), and all of them add up to the score, which is checked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from detector.features import RING_FEATURES, SHAPE_FEATURES
from models.classifier import TrainedModel
from tiles.errors import ModelError

STRONGEST: Final = 3
_TOLERANCE: Final = 1e-6
_LEAST: Final = 0.05
"""Log-odds below which a group says nothing worth reading: it moves a probability by a hundredth at most."""


@dataclass(frozen=True)
class Group:
    """Features that say one thing to people.

    Parameters
    ----------
    code
        Of the group.
    features
        Its features; the first is the one whose value is told.
    speaks_for, speaks_against, unknown
        French and English, where the group raises and where it lowers the score, and where its first feature is not
        known, whichever it does.
    """

    code: str
    features: tuple[str, ...]
    speaks_for: tuple[str, str]
    speaks_against: tuple[str, str]
    unknown: tuple[str, str]


CLEARCUT_GROUPS: Final[tuple[Group, ...]] = (
    Group(
        "vegetation_lost",
        (
            "ndvi_drop_mean",
            "ndvi_drop_max",
            "ndvi_drop_std",
            "seed_share",
            "ndvi_before_mean",
            "ndvi_before_std",
            "ndvi_after_mean",
            "ndvi_after_std",
            "bare_share",
            "edge_core_drop",
        ),
        ("la végétation (NDVI) a disparu comme après une coupe", "vegetation (NDVI) was lost as by a felling"),
        (
            "la baisse de végétation (NDVI) n'est pas celle d'une coupe",
            "the loss of vegetation is not that of a felling",
        ),
        ("la perte de végétation n'est pas chiffrée", "the loss of vegetation is not known"),
    ),
    Group(
        "infrared",
        ("ndmi_change", "ndmi_after", "nbr_change", "nbr_after", "nir_kept", "nir_after"),
        (
            "l'infrarouge montre que le bois et les feuilles ont disparu",
            "the infrared shows that wood and leaves are gone",
        ),
        ("l'infrarouge montre qu'une partie du couvert reste", "the infrared shows that a part of the cover is left"),
        ("l'infrarouge n'a pas pu être lu", "the infrared could not be read"),
    ),
    Group(
        "ground",
        ("swir16_after", "swir16_kept", "swir22_after"),
        ("le sol est clair, comme après une coupe", "the ground is bright, as after a felling"),
        ("le sol est sombre ou humide", "the ground is dark or wet"),
        ("la clarté du sol n'est pas connue", "how bright the ground is is not known"),
    ),
    Group(
        "year_before",
        ("ndmi_drift", "ndmi_apart_earlier"),
        ("le peuplement était intact et stable l'année précédente", "the stand was whole and stable the year before"),
        ("le terrain changeait ou était ouvert l'année précédente", "the ground was changing or open the year before"),
        ("l'année précédente n'est pas connue", "the year before is not known"),
    ),
    Group(
        "timing",
        ("first_low_spread_days", "dating_interval_days", "first_low_doy", "first_low_sin", "first_low_cos"),
        ("la saison et la rapidité sont celles d'une coupe", "season and suddenness are those of a felling"),
        ("la saison ou la lenteur ne sont pas celles d'une coupe", "season or slowness are not those of a felling"),
        ("la rapidité n'est pas connue", "how sudden it was is not known"),
    ),
    Group(
        "observations",
        (
            "n_low_mean",
            "low_share",
            "n_clear_after",
            "n_clear_before",
            "n_clear_before_std",
            "confirmed_share",
            "clear_dates_a_month",
        ),
        ("plusieurs images nettes la confirment", "several clear images confirm it"),
        ("peu d'images nettes la confirment", "few clear images confirm it"),
        ("le nombre d'images nettes n'est pas connu", "the number of clear images is not known"),
    ),
    Group(
        "around",
        RING_FEATURES,
        ("elle est entourée comme une coupe l'est", "its surroundings are those of a felling"),
        ("ce qui l'entoure n'est pas ce qui entoure une coupe", "its surroundings are not those of a felling"),
        ("ce qui l'entoure n'est pas connu", "its surroundings are not known"),
    ),
    Group(
        "size",
        ("area_ha",),
        ("la surface est celle d'une coupe", "the area is that of a felling"),
        ("la surface est rarement celle d'une coupe", "the area is seldom that of a felling"),
        ("la surface n'est pas connue", "the area is not known"),
    ),
    Group(
        "shape",
        SHAPE_FEATURES,
        ("la forme est celle d'une coupe", "the shape is that of a felling"),
        ("la forme n'est pas celle d'une coupe", "the shape is not that of a felling"),
        ("la forme n'est pas connue", "the shape is not known"),
    ),
)
"""Groups of the features of `detector.features.FEATURES`; each is in one, which a test holds."""


@dataclass(frozen=True)
class Explainer:
    """Explains what a model says.

    Parameters
    ----------
    model
        Of whose scores.
    groups
        Each feature of the model is in one of them.

    Raises
    ------
    ModelError
        When a feature is in none.
    """

    model: TrainedModel
    groups: tuple[Group, ...] = CLEARCUT_GROUPS

    def __post_init__(self) -> None:
        grouped = {name for group in self.groups for name in group.features}
        missing = [name for name in self.model.card.features if name not in grouped]
        if missing:
            raise ModelError(f"The model {self.model.card.id} asks for {missing[0]}, for which there are no words.")

    def __call__(self, features: pd.DataFrame, told: pd.DataFrame | None = None) -> list[dict[str, Any]]:
        """Explain rows.

        Parameters
        ----------
        features
            As of `TrainedModel.raw`.
        told
            The values that people are told, where the trees are given others; NaN is unknown.

        Returns
        -------
        list of dict
            Of each row ``for`` and ``against``, each with the strongest groups first: ``code``, ``fr``, ``en``,
            ``weight`` (log-odds), and ``feature`` and ``value`` that a person may look at.

        Raises
        ------
        ModelError
            When the contributions do not add up to the score.
        """
        contributions = self.model.contributions(features)
        check_sums(contributions, self.model.raw(features))
        names = list(self.model.card.features)
        weights = np.column_stack(
            [contributions[:, [names.index(name) for name in group.features if name in names]].sum(axis=1)
             for group in self.groups]
        ) if len(contributions) else np.empty((0, len(self.groups)))  # fmt: skip
        leads = {
            group.code: (features if told is None else told)[group.features[0]].to_numpy(np.float64)
            for group in self.groups
        }
        return [
            self._reasons(weights[row], {code: of[row] for code, of in leads.items()}) for row in range(len(weights))
        ]

    def _reasons(self, weights: NDArray[np.float64], values: Mapping[str, float]) -> dict[str, Any]:
        order = np.argsort(-np.abs(weights), kind="stable")
        told: dict[str, Any] = {"for": [], "against": []}
        for index in order:
            weight, group = float(weights[index]), self.groups[index]
            side = told["for" if weight > 0 else "against"]
            if abs(weight) < _LEAST or len(side) == STRONGEST:
                continue
            value = values[group.code]
            french, english = group.speaks_for if weight > 0 else group.speaks_against
            if not np.isfinite(value):
                french, english = group.unknown
            side.append(
                {
                    "code": group.code,
                    "fr": french,
                    "en": english,
                    "weight": round(weight, 4),
                    "feature": group.features[0],
                    "value": round(float(value), 4) if np.isfinite(value) else None,
                }
            )
        return told


def check_sums(contributions: NDArray[np.float64], raw: NDArray[np.float64]) -> None:
    """Refuse contributions that do not add up to the scores.

    Raises
    ------
    ModelError
        When a sum differs.
    """
    apart = np.abs(contributions.sum(axis=1) - raw)
    if apart.size and apart.max() > _TOLERANCE * max(1.0, float(np.abs(raw).max())):
        raise ModelError(f"What features add to a score does not make up the score (apart by {apart.max():.3g}).")


def sentences(reasons: Mapping[str, Sequence[Mapping[str, Any]]], lang: str = "fr") -> tuple[list[str], list[str]]:
    """Reasons for, and against, in a language."""
    return [str(one[lang]) for one in reasons["for"]], [str(one[lang]) for one in reasons["against"]]
