"""What is said of a model: whence it comes, what it reached, where it ends. A JSON file beside its trees."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self

from tiles.errors import ModelError

CARD_VERSION = 1
"""Of the card's form."""


class ModelName(StrEnum):
    """What a model tells."""

    CLEARCUT = "clearcut"
    """Probability that a patch is a clear-cut."""
    ABUSE = "abuse"
    """In which order alerts are worth looking at."""


class CalibrationKind(StrEnum):
    """How raw scores become probabilities."""

    NONE = "none"
    """The logistic function, as the trees were trained."""
    ISOTONIC = "isotonic"
    """Straight lines between knots that never fall (Zadrozny and Elkan 2002, KDD, 694)."""
    PLATT = "platt"
    """A logistic function fitted to the scores (Platt 1999, Advances in Large Margin Classifiers, 61)."""


@dataclass(frozen=True)
class Calibration:
    """From raw scores (log-odds) to probabilities.

    Parameters
    ----------
    kind
        How.
    raw, probability
        Of `CalibrationKind.ISOTONIC`: the knots, rising.
    slope, intercept
        Of `CalibrationKind.PLATT`: probability = 1 / (1 + exp(-(slope * raw + intercept))).
    """

    kind: CalibrationKind = CalibrationKind.NONE
    raw: tuple[float, ...] = ()
    probability: tuple[float, ...] = ()
    slope: float = 1.0
    intercept: float = 0.0


@dataclass(frozen=True)
class TrainingData:
    """A table that a model was trained on.

    Parameters
    ----------
    content_hash
        Of the table; see `models.dataset.TrainingTable`.
    rows, places
        How many.
    by_source, by_cause
        Rows by who says what they are, and by what they are.
    """

    content_hash: str
    rows: int
    places: int
    by_source: Mapping[str, int]
    by_cause: Mapping[str, int]


@dataclass(frozen=True)
class Score:
    """A figure of an evaluation, with its 95 % interval where it has one.

    Parameters
    ----------
    name
        Such as ``brier``.
    subset
        Of which rows, such as ``all`` or ``area >= 0.5 ha``.
    value, low, high
        The figure, and the ends of its interval.
    n
        Rows, or events, that it rests on.
    """

    name: str
    subset: str
    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None


@dataclass(frozen=True)
class ModelCard:
    """A model's card.

    Parameters
    ----------
    summary
        First line: what it is, and that its data are simulated where they are.
    name, version
        Both together name the model.
    made_on
        Day, ISO 8601.
    features, units
        Columns that the trees ask for, in order, and their units.
    model_sha256
        Of the trees' text.
    calibration
        From raw scores to what is told.
    threshold
        From which on a patch counts as a clear-cut; None where there is none.
    parameters, seed, packages
        How it was trained, and with which versions.
    training
        On what.
    scores
        What it reached on places that it was not trained on.
    limits
        What it cannot do, a sentence each.
    """

    summary: str
    name: ModelName
    version: str
    made_on: str
    features: tuple[str, ...]
    units: tuple[str, ...]
    model_sha256: str
    calibration: Calibration = field(default_factory=Calibration)
    threshold: float | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    packages: Mapping[str, str] = field(default_factory=dict)
    training: tuple[TrainingData, ...] = ()
    scores: tuple[Score, ...] = ()
    limits: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Name and version, as alerts carry it."""
        return f"{self.name}-{self.version}"

    def score(self, name: str, subset: str = "all") -> Score | None:
        """A figure of the evaluation; None where it was not taken."""
        return next((one for one in self.scores if (one.name, one.subset) == (name, subset)), None)

    def as_json(self) -> str:
        """The card's file: the same card gives the same text."""
        return json.dumps({"card_version": CARD_VERSION, **asdict(self)}, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str) -> Self:
        """Read a card.

        Parameters
        ----------
        text
            Of its file.
        where
            For the error's sentence.

        Raises
        ------
        ModelError
            When it is no card of this version.
        """
        try:
            told = json.loads(text)
            version = told.pop("card_version")
            if version != CARD_VERSION:
                raise ModelError(f"The card {where} has the form {version}, and {CARD_VERSION} is read: train it anew.")
            calibration = told["calibration"]
            return cls(
                **told
                | {
                    "name": ModelName(told["name"]),
                    "features": _texts(told["features"]),
                    "units": _texts(told["units"]),
                    "calibration": Calibration(
                        **calibration
                        | {
                            "kind": CalibrationKind(calibration["kind"]),
                            "raw": tuple(map(float, calibration["raw"])),
                            "probability": tuple(map(float, calibration["probability"])),
                        }
                    ),
                    "training": tuple(TrainingData(**one) for one in told["training"]),
                    "scores": tuple(Score(**one) for one in told["scores"]),
                    "limits": _texts(told["limits"]),
                }
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(
                f"The card {where} cannot be read ({error}): restore it, or train the model anew."
            ) from error


def sha256_of(text: str) -> str:
    """Hash of a text."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _texts(values: Sequence[Any]) -> tuple[str, ...]:
    return tuple(str(value) for value in values)
