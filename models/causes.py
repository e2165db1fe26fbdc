"""What may have made a patch, and when each cause strikes: the classes of the training table, DISFOR's months."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final

import pandas as pd

from tiles.errors import DatasetError


class Cause(StrEnum):
    """What made a patch."""

    CLEAR_CUT = "clear_cut"
    THINNING = "thinning"
    DIEBACK = "dieback"
    WINDTHROW = "windthrow"
    FIRE = "fire"
    HAZE = "haze"
    """Haze, thin cloud or its shadow that the scene classification calls clear."""
    PHENOLOGY = "phenology"
    """Late leaves, early autumn, drought: the forest is there, and greens again."""
    FIELD_EDGE = "field_edge"
    """Pixels over the edge of a field, whose crop was harvested or ploughed."""
    SNOW = "snow"
    FLOOD = "flood"
    OTHER = "other"
    """No clear-cut; what it was is not told."""
    NO_EVENT = "no_event"
    """Nothing is known to have happened there: a false alarm."""

    @property
    def is_clearcut(self) -> bool:
        """Whether it is what the model is to find."""
        return self is Cause.CLEAR_CUT


DISFOR_CAUSES: Final[Mapping[int, Cause]] = {
    211: Cause.CLEAR_CUT,
    212: Cause.THINNING,
    230: Cause.DIEBACK,
    231: Cause.DIEBACK,
    232: Cause.DIEBACK,
    241: Cause.DIEBACK,
    242: Cause.FIRE,
    243: Cause.WINDTHROW,
    245: Cause.FLOOD,
}
"""DISFOR's codes of which the cause is told. Left out: salvage (220-222, a felling of what had died by another cause),
mulching (213), the unspecified (200, 240), and the states that are no disturbance (1xx)."""

DISFOR_MONTHS: Final[Mapping[Cause, tuple[int, ...]]] = {
    Cause.CLEAR_CUT: (12, 39, 60, 102, 109, 42, 35, 46, 45, 44, 25, 16),
    Cause.THINNING: (4, 11, 26, 71, 49, 33, 25, 6, 9, 8, 4, 5),
    Cause.DIEBACK: (29, 22, 48, 36, 23, 58, 70, 62, 48, 87, 44, 8),
    Cause.WINDTHROW: (14, 115, 33, 38, 0, 1, 0, 89, 23, 63, 37, 11),
    Cause.FIRE: (7, 2, 1, 2, 0, 2, 99, 20, 193, 8, 0, 3),
}
"""Labels of each cause by month, January first, over Europe: ``python -m scripts.disfor_months LABELS``. The date of a
label is that of the first image on which the interpreter saw the disturbance, so that winter is counted in spring."""

ASSUMED_MONTHS: Final[Mapping[Cause, tuple[int, ...]]] = {
    Cause.FLOOD: (3, 3, 2, 2, 2, 1, 0, 0, 1, 2, 2, 3),
    Cause.HAZE: (1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1),
    Cause.PHENOLOGY: (0, 0, 0, 3, 3, 1, 2, 3, 3, 3, 0, 0),
    Cause.FIELD_EDGE: (0, 0, 1, 1, 1, 2, 4, 4, 3, 3, 1, 0),
    Cause.SNOW: (3, 3, 3, 2, 1, 0, 0, 0, 0, 1, 2, 3),
}
"""Weights of months for causes of which DISFOR tells nothing, or too little (9 floods): chosen, not measured. Floods of
winter rivers, crops harvested from June to October, leaves late in spring or lost in a dry summer, snow out of the
forest's season seen; haze at any time."""


def month_weights(cause: Cause) -> tuple[float, ...]:
    """Probability of each month, January first, for an event of a cause."""
    counts = DISFOR_MONTHS.get(cause) or ASSUMED_MONTHS[cause]
    return tuple(count / sum(counts) for count in counts)


def disfor_months(labels: Path) -> dict[Cause, tuple[int, ...]]:
    """Count DISFOR's labels by cause and month.

    Parameters
    ----------
    labels
        CSV with the columns ``date`` and ``code``.

    Raises
    ------
    tiles.errors.DatasetError
        When it cannot be read.
    """
    try:
        table = pd.read_csv(labels, usecols=["date", "code"], parse_dates=["date"])
    except (OSError, ValueError) as error:
        raise DatasetError(f"{labels} cannot be read as DISFOR's labels ({error}): give its CSV.") from error
    cause = table["code"].map(DISFOR_CAUSES)
    told = (Cause.CLEAR_CUT, Cause.THINNING, Cause.DIEBACK, Cause.WINDTHROW, Cause.FIRE)
    month = table["date"].dt.month
    return {one: tuple(int(((cause == one) & (month == m)).sum()) for m in range(1, 13)) for one in told}
