"""A trained model: LightGBM's trees as text, and its card; loaded with checks, and asked for scores."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from detector.features import FEATURES
from models.card import Calibration, CalibrationKind, ModelCard, sha256_of
from tiles.errors import ModelError, OutputError
from tiles.placing import PARTIAL, put_folder

if TYPE_CHECKING:
    from lightgbm import Booster

TREES_FILE: Final = "model.txt"
CARD_FILE: Final = "card.json"

CLEARCUT_UNITS: Final[Mapping[str, str]] = {feature.name: feature.unit for feature in FEATURES}
"""Columns that a clear-cut model may ask for, and their units."""


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """Trees, and what is said of them.

    Parameters
    ----------
    card
        Its `features` are the columns that the trees ask for.
    trees
        LightGBM's text.
    """

    card: ModelCard
    trees: str

    @cached_property
    def _booster(self) -> Booster:
        # Not at the top: only who scores pays for the import.
        from lightgbm import Booster

        return Booster(model_str=self.trees)

    def raw(self, features: pd.DataFrame) -> NDArray[np.float64]:
        """Sums of the trees: log-odds of a classifier.

        Parameters
        ----------
        features
            (n, ...). Has the card's columns at least; NaN is unknown.

        Returns
        -------
        float64 (n,)

        Raises
        ------
        ModelError
            When a column is missing.
        """
        columns = self._columns(features)
        if not len(columns):
            return np.empty(0)
        return np.asarray(self._booster.predict(columns, raw_score=True), np.float64)

    def scores(self, features: pd.DataFrame) -> NDArray[np.float64]:
        """What the model tells: calibrated, 0 to 1; see `raw`."""
        return calibrated(self.raw(features), self.card.calibration)

    def contributions(self, features: pd.DataFrame) -> NDArray[np.float64]:
        """What each column adds to the raw score (Lundberg et al. 2020, Nature Machine Intelligence 2, 56).

        Parameters
        ----------
        features
            As of `raw`.

        Returns
        -------
        float64 (n, columns + 1)
            The last is what is expected without knowing anything. Rows sum up to `raw`.
        """
        columns = self._columns(features)
        if not len(columns):
            return np.empty((0, len(self.card.features) + 1))
        return np.asarray(self._booster.predict(columns, pred_contrib=True), np.float64)

    def _columns(self, features: pd.DataFrame) -> NDArray[np.float64]:
        missing = [name for name in self.card.features if name not in features]
        if missing:
            raise ModelError(f"The model {self.card.id} asks for {', '.join(missing)}, which the features do not have.")
        return np.ascontiguousarray(features[list(self.card.features)].to_numpy(np.float64))


def calibrated(raw: NDArray[np.float64], calibration: Calibration) -> NDArray[np.float64]:
    """Probabilities of raw scores: float64 (n,), never falling as they rise."""
    match calibration.kind:
        case CalibrationKind.ISOTONIC:
            return np.interp(raw, calibration.raw, calibration.probability)
        case CalibrationKind.PLATT:
            return _logistic(calibration.slope * raw + calibration.intercept)
        case CalibrationKind.NONE:
            return _logistic(raw)


def _logistic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    # By halves, so that nothing overflows.
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small))


def write_model(model: TrainedModel, folder: Path) -> Path:
    """Put a model under a folder, as ``NAME-VERSION/``; all of it or nothing.

    Returns
    -------
    Path
        The model's own folder.

    Raises
    ------
    ModelError
        When its card is not of these trees, or another model of this name and version is there.
    OutputError
        When the disk does not take it.
    """
    _check_trees(model, model.card.id)
    target = folder / model.card.id
    if target.exists():
        if _text(target / CARD_FILE) == model.card.as_json() and _text(target / TREES_FILE) == model.trees:
            return target
        raise ModelError(f"{target} is another model: give this one another version, or remove that one.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=PARTIAL, dir=folder) as beside:
            partial = Path(beside) / model.card.id
            partial.mkdir()
            (partial / TREES_FILE).write_text(model.trees, encoding="utf-8", newline="\n")
            (partial / CARD_FILE).write_text(model.card.as_json(), encoding="utf-8", newline="\n")
            put_folder(partial, target)
    except OSError as error:
        raise OutputError(f"The model cannot be written to {target} ({error.strerror or error}).") from error
    return target


def load_model(folder: Path, units: Mapping[str, str] = CLEARCUT_UNITS) -> TrainedModel:
    """Read a model, if it is whole and fits.

    Parameters
    ----------
    folder
        Its own.
    units
        Columns that can be given to it, and their units.

    Raises
    ------
    ModelError
        When a file is absent, unreadable or altered, or the trees ask for what there is not.
    """
    card = ModelCard.from_json(_text(folder / CARD_FILE), str(folder / CARD_FILE))
    model = TrainedModel(card, _text(folder / TREES_FILE))
    _check_trees(model, str(folder))
    for name, unit in zip(card.features, card.units, strict=True):
        if units.get(name) != unit:
            raise ModelError(
                f"The model {folder} asks for {name} ({unit}), which these features do not have: train it anew."
            )
    return model


def _check_trees(model: TrainedModel, where: str) -> None:
    card = model.card
    if sha256_of(model.trees) != card.model_sha256:
        raise ModelError(f"The trees of the model {where} are not those of its card: they were altered, or cut short.")
    named = next((line for line in model.trees.splitlines() if line.startswith("feature_names=")), "")
    if tuple(named.removeprefix("feature_names=").split()) != card.features or len(card.units) != len(card.features):
        raise ModelError(f"The trees of the model {where} ask for other columns than its card says.")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: give the folder of a model, with its trees and its card.") from error
