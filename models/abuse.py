"""In which order alerts are worth looking at; more hectares, steep or protected, can never lower the score.

It learns from the criteria's order (how many are met, and by how much) on simulated alerts, and from reviews as they
come. It is an order of work, no verdict, and its agreement with the rules is that: agreement with rules.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from detector.alerts import Alert
from models.card import Calibration, ModelCard, ModelName, Score, TrainingData, sha256_of
from models.classifier import TrainedModel
from models.explain import Group
from models.metrics import average_precision
from models.training import trees_text, version_of
from tiles.errors import DatasetError

REVIEW_COLUMN: Final = "is_abusive"
"""What a reviewer said, in a table of reviews with the columns of `ABUSE_FEATURES`."""


@dataclass(frozen=True)
class AbuseFeature:
    """A column that the score depends on.

    Parameters
    ----------
    name, unit, meaning
        Of the column; a field of the alert unless the meaning says otherwise. NaN is unknown.
    direction
        1 where more can never lower the score; 0 where it may.
    """

    name: str
    unit: str
    direction: int
    meaning: str


ABUSE_FEATURES: Final[tuple[AbuseFeature, ...]] = (
    AbuseFeature("area_ha", "ha", 1, "Hectares of the cut"),
    AbuseFeature("slope_block_ha", "ha", 1, "Largest single block on steep ground"),
    AbuseFeature("natura2000_ha", "ha", 1, "Hectares in Natura 2000, each counted once"),
    AbuseFeature("protected_ha", "ha", 1, "Hectares in the zoning of another kind that holds the most of it"),
    AbuseFeature("clearcut_probability", "1", 1, "That it is a clear-cut"),
    AbuseFeature("cut_100m_5y_ha", "ha", 1, "Hectares cut within 100 m in the five years before"),
    AbuseFeature("slope_mean_pct", "%", 0, "Mean slope"),
    AbuseFeature("watercourse_m", "m", 0, "Distance to the nearest watercourse"),
)

_HECTARES: Final = tuple(one.name for one in ABUSE_FEATURES if one.direction == 1 and one.unit == "ha")

ABUSE_NAMES: Final = tuple(feature.name for feature in ABUSE_FEATURES)
ABUSE_UNITS: Final[Mapping[str, str]] = {feature.name: feature.unit for feature in ABUSE_FEATURES}

ABUSE_GROUPS: Final[tuple[Group, ...]] = tuple(
    Group(name, (name,), more, less, unknown)
    for name, more, less, unknown in (
        (
            "area_ha",
            ("la coupe est vaste", "the cut is large"),
            ("la coupe est petite", "the cut is small"),
            ("la surface n'est pas connue", "the area is not known"),
        ),
        (
            "slope_block_ha",
            ("une grande part est en forte pente", "much of it is on a steep slope"),
            ("peu ou rien n'est en forte pente", "little or none of it is on a steep slope"),
            ("la pente n'est pas connue", "the slope is not known"),
        ),
        (
            "natura2000_ha",
            ("une grande part est en Natura 2000", "much of it is inside Natura 2000"),
            ("peu ou rien n'est en Natura 2000", "little or none of it is inside Natura 2000"),
            ("les sites Natura 2000 ne sont pas connus", "Natura 2000 sites are not known"),
        ),
        (
            "protected_ha",
            ("une part est dans un autre zonage de protection", "a part is inside another protected zone"),
            ("elle n'est dans aucun autre zonage connu", "it is inside no other known zone"),
            ("les autres zonages ne sont pas connus", "other zones are not known"),
        ),
        (
            "clearcut_probability",
            ("c'est très probablement une coupe rase", "it is very probably a clear-cut"),
            ("ce n'est peut-être pas une coupe rase", "it may be no clear-cut"),
            ("la probabilité d'une coupe rase n'est pas connue", "the probability of a clear-cut is not known"),
        ),
        (
            "cut_100m_5y_ha",
            ("d'autres coupes récentes la touchent", "other recent cuts are beside it"),
            ("aucune autre coupe récente n'est connue à côté", "no other recent cut is known beside it"),
            ("les coupes voisines ne sont pas connues", "cuts beside it are not known"),
        ),
        (
            "slope_mean_pct",
            ("la pente moyenne est forte", "the mean slope is steep"),
            ("la pente moyenne est faible", "the mean slope is gentle"),
            ("la pente moyenne n'est pas connue", "the mean slope is not known"),
        ),
        (
            "watercourse_m",
            ("un cours d'eau est proche", "a watercourse is near"),
            ("aucun cours d'eau n'est proche", "no watercourse is near"),
            ("les cours d'eau ne sont pas connus", "watercourses are not known"),
        ),
    )
)
"""What is said of each column."""

_HALF = {"area_ha": 10.0, "natura2000_ha": 2.0, "slope_block_ha": 2.0}
"""Policy criteria: hectares from which on each is met (`detector/criteria/policy.toml`)."""
_REVIEW_WEIGHT = 25.0
"""A reviewed alert beside a simulated one: two hundred reviews are to move an order that thousands of rules made."""
_ROWS = 6000
_TREES = 150


def abuse_table(alerts: Sequence[Alert]) -> pd.DataFrame:
    """Columns of `ABUSE_FEATURES` of alerts: float64 (alerts, columns), NaN where unknown."""
    return pd.DataFrame([_row(alert) for alert in alerts], columns=list(ABUSE_NAMES), dtype=np.float64)


def as_seen(table: pd.DataFrame) -> pd.DataFrame:
    """What the trees are given: hectares that are not known count as none.

    So an alert can only rise as layers come in, and more hectares never lower it, whatever was known before.
    """
    return table.fillna(dict.fromkeys(_HECTARES, 0.0))


def _row(alert: Alert) -> dict[str, float | None]:
    others = [
        hectares
        for kind, hectares in (alert.zoning_ha or {}).items()
        if hectares is not None and not kind.startswith("natura2000")
    ]
    own = {name: getattr(alert, name) for name in ABUSE_NAMES if name != "protected_ha"}
    return own | {"protected_ha": max(others, default=None)}


def rules_merit(table: pd.DataFrame) -> NDArray[np.float64]:
    """How far the policy criteria are met, 0 to 1: by how many, by how much, and how surely it is a clear-cut.

    Each criterion counts half where it is just met and nearly one at four times its threshold; what is unknown counts
    nothing. Together they count 1 - product of (1 - each), times the probability (1/2 where unknown).
    """
    left = np.ones(len(table))
    for name, threshold in _HALF.items():
        share = np.nan_to_num(table[name].to_numpy(np.float64), nan=0.0) / threshold
        left *= 1 - share**2 / (1 + share**2)
    sure = np.nan_to_num(table["clearcut_probability"].to_numpy(np.float64), nan=0.5)
    return np.asarray((1 - left) * sure)


def simulated_alerts(seed: int, rows: int) -> pd.DataFrame:
    """SIMULATED alerts with a context: sizes log-normal, steep and protected parts of them, some of it unknown."""
    rng = np.random.default_rng(seed)
    area = np.clip(rng.lognormal(np.log(2.0), 1.0, rows), 0.5, 120)

    def part(chance: float) -> NDArray[np.float64]:
        return np.where(rng.random(rows) < chance, area * rng.beta(1.5, 1.0, rows), 0.0)

    table = pd.DataFrame(
        {
            "area_ha": area,
            "slope_block_ha": part(0.3),
            "natura2000_ha": part(0.25),
            "protected_ha": part(0.25),
            "clearcut_probability": rng.beta(3.0, 1.0, rows),
            "cut_100m_5y_ha": np.where(rng.random(rows) < 0.3, rng.lognormal(0.5, 1.0, rows), 0.0),
            "slope_mean_pct": rng.gamma(2.0, 8.0, rows),
            "watercourse_m": rng.uniform(0, 1000, rows),
        }
    )
    for name in ABUSE_NAMES[1:]:
        table.loc[rng.random(rows) < 0.15, name] = np.nan
    return table[list(ABUSE_NAMES)]


def train_abuse(seed: int, made_on: str, model_version: str, reviews: pd.DataFrame | None = None) -> TrainedModel:
    """Train the abuse model on simulated alerts in the criteria's order, and on reviews.

    Parameters
    ----------
    seed
        Of the simulation and of the trees.
    made_on, model_version
        For the card.
    reviews
        Columns of `ABUSE_FEATURES` and `REVIEW_COLUMN` (True, False), where there are any.

    Raises
    ------
    tiles.errors.DatasetError
        When the reviews lack a column.
    """
    table = simulated_alerts(seed, _ROWS)
    merit, weights = rules_merit(table), np.ones(len(table))
    if reviews is not None and len(reviews):
        missing = [name for name in (*ABUSE_NAMES, REVIEW_COLUMN) if name not in reviews]
        if missing:
            raise DatasetError(f"The reviews lack the column {missing[0]}.")
        table = pd.concat([table, reviews[list(ABUSE_NAMES)]], ignore_index=True)
        merit = np.append(merit, reviews[REVIEW_COLUMN].to_numpy(np.float64))
        weights = np.append(weights, np.full(len(reviews), _REVIEW_WEIGHT))
    trees = _boost(as_seen(table), merit, weights, seed)
    n_reviews = 0 if reviews is None else len(reviews)
    card = ModelCard(
        summary=f"An order of work, no verdict: from the policy criteria on simulated alerts, and {n_reviews} reviews.",
        name=ModelName.ABUSE,
        version=model_version,
        made_on=made_on,
        features=ABUSE_NAMES,
        units=tuple(ABUSE_UNITS.values()),
        model_sha256=sha256_of(trees),
        calibration=Calibration(),
        parameters={"trees": _TREES, "half": dict(_HALF), "review_weight": _REVIEW_WEIGHT},
        seed=seed,
        packages={name: version_of(name) for name in ("sylvigie", "lightgbm", "numpy")}
        | {"python": platform.python_version()},
        training=(
            TrainingData(
                sha256_of(table.to_csv(index=False) + reviews_text(reviews)),
                len(table),
                0,
                {"simulated": _ROWS} | ({"review": n_reviews} if n_reviews else {}),
                {},
            ),
        ),
        limits=(
            "Its agreement with the criteria is agreement with rules, not with the truth.",
            "Hectares that are not known count as none: an alert whose layers are missing is ranked by the rest.",
        ),
    )
    model = TrainedModel(card, trees)
    return TrainedModel(ModelCard(**{**_shallow(card), "scores": _agreement(model, seed + 1)}), trees)


def read_reviews(path: Path) -> pd.DataFrame:
    """Read reviews: `ABUSE_FEATURES` and `REVIEW_COLUMN`, as CSV or Parquet.

    Raises
    ------
    tiles.errors.DatasetError
        When the file cannot be read, or lacks a column, or says neither true nor false of a row.
    """
    try:
        table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise DatasetError(f"The reviews {path} cannot be read ({error}): give CSV or Parquet.") from error
    missing = [name for name in (*ABUSE_NAMES, REVIEW_COLUMN) if name not in table]
    if missing:
        raise DatasetError(f"The reviews {path} lack the column {missing[0]}.")
    said = table[REVIEW_COLUMN]
    if not said.isin([True, False]).all():
        raise DatasetError(f"The reviews {path} have rows whose {REVIEW_COLUMN} is neither true nor false.")
    return table[list(ABUSE_NAMES)].astype(np.float64).assign(**{REVIEW_COLUMN: said.astype(bool)})


def reviews_text(reviews: pd.DataFrame | None) -> str:
    """What the reviews said, for the hash of the data."""
    return "" if reviews is None else reviews.to_csv(index=False)


def _shallow(card: ModelCard) -> dict[str, Any]:
    return {name: getattr(card, name) for name in asdict(card)}


def _agreement(model: TrainedModel, seed: int) -> tuple[Score, ...]:
    """Agreement with the rules on simulated alerts of another seed."""
    table = simulated_alerts(seed, 2000)
    merit, score = rules_merit(table), model.scores(as_seen(table))
    ranks = [pd.Series(values).rank() for values in (merit, score)]
    spearman = float(np.corrcoef(ranks[0], ranks[1])[0, 1])
    met = np.zeros(len(table), bool)
    for name, threshold in _HALF.items():
        met |= (table[name] >= threshold).to_numpy()
    precision = average_precision(score, met)(np.ones(len(table)))
    return (
        Score("agreement_with_rules_spearman", "simulated alerts", round(spearman, 4), n=len(table)),
        Score("agreement_with_rules_average_precision", "simulated alerts", round(float(precision), 4), n=len(table)),
    )


def _boost(table: pd.DataFrame, merit: NDArray[np.float64], weights: NDArray[np.float64], seed: int) -> str:
    import lightgbm

    settings = {
        "objective": "cross_entropy",
        "learning_rate": 0.08,
        "num_leaves": 31,
        "min_data_in_leaf": 20,
        "lambda_l2": 1.0,
        "monotone_constraints": [feature.direction for feature in ABUSE_FEATURES],
        "monotone_constraints_method": "basic",
        "seed": seed,
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
    data = lightgbm.Dataset(
        table.to_numpy(np.float64), merit, weight=weights, feature_name=list(ABUSE_NAMES), params=settings
    )
    return trees_text(lightgbm.train(settings, data, _TREES))
