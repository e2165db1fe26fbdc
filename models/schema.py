"""What the training table holds: its columns and those of events and reviews, each defined once."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from detector.features import FEATURES

SCHEMA_VERSION: Final = 2


class Source(StrEnum):
    """Who says what a patch was."""

    SIMULATED = "simulated"
    """Laid into real images by `models.simulate`."""
    POINTS = "points"
    """Points or polygons that somebody interpreted, such as DISFOR's."""
    REVIEW = "review"
    """Reviews of alerts."""
    OWN = "own"
    """A researcher's own table."""


class Kind(StrEnum):
    """What a column holds."""

    TEXT = "text"
    NUMBER = "number"
    COUNT = "count"
    FLAG = "flag"
    DATE = "date"


@dataclass(frozen=True)
class Column:
    """Definition of a column that is no feature.

    Parameters
    ----------
    name, kind
        Of the column.
    meaning
        What it holds.
    required
        Whether every row has a value.
    """

    name: str
    kind: Kind
    meaning: str
    required: bool = False


#: The training table's columns before those of `detector.features.FEATURES` and ``geometry`` (WGS 84; may be null; of
#: simulated rows it lies on a landscape that does not exist, beside the real images).
COLUMNS: Final[tuple[Column, ...]] = (
    Column("id", Kind.TEXT, "Identifier, unique in the table", required=True),
    Column("cause", Kind.TEXT, "What it was: a value of models.causes.Cause", required=True),
    Column("is_clearcut", Kind.FLAG, "Whether the cause is clear_cut", required=True),
    Column("place", Kind.TEXT, "Block of ground: none is on both sides of a split", required=True),
    Column("source", Kind.TEXT, "Who says so: a value of Source", required=True),
    Column("weight", Kind.NUMBER, "Weight in training, 0 or more; 1 by default", required=True),
    Column("tile", Kind.TEXT, "MGRS tile, or SIMULATED"),
    Column("year", Kind.COUNT, "Year of the first low date, 0 where unknown", required=True),
    Column("scanned_month", Kind.TEXT, "Month whose scan found it, YYYY-MM"),
    Column("event_id", Kind.TEXT, "Event that it belongs to"),
    Column(
        "event_date",
        Kind.DATE,
        "True date: median over the patch's pixels, if works took days; of what comes slowly, the first day",
    ),
    Column("event_area_ha", Kind.NUMBER, "True hectares of the event"),
    Column("event_share", Kind.NUMBER, "Share of the patch's ground that the event holds, 0 to 1"),
    Column("last_intact", Kind.DATE, "Last date on which the scan saw it intact"),
    Column("first_low", Kind.DATE, "First date on which the scan saw the loss"),
    Column("state", Kind.TEXT, "provisional or confirmed"),
    Column("forest_type", Kind.TEXT, "Forest type, where a layer tells it"),
    Column("slope_pct", Kind.NUMBER, "Mean slope of the ground in per cent, where a terrain model tells it"),
)

#: Columns of the events that were looked for.
EVENT_COLUMNS: Final[tuple[Column, ...]] = (
    Column("event_id", Kind.TEXT, "Identifier, unique in the table", required=True),
    Column("cause", Kind.TEXT, "What it was: a value of models.causes.Cause", required=True),
    Column("event_date", Kind.DATE, "First day of it", required=True),
    Column("event_area_ha", Kind.NUMBER, "True hectares, where known"),
    Column("place", Kind.TEXT, "As of the rows", required=True),
    Column("source", Kind.TEXT, "As of the rows", required=True),
    Column("scanned_month", Kind.TEXT, "Month whose scan looked for it, YYYY-MM"),
    Column("n_dates_after", Kind.NUMBER, "Clear dates from its last day to the end of the scanned month, where known"),
    Column("found_share", Kind.NUMBER, "Share of its ground that its patches hold, where known"),
    Column("found", Kind.FLAG, "Whether the scan found it", required=True),
)

#: Columns of reviews, as the store is to hand them over (the second door); features come by `alert_id`.
REVIEW_COLUMNS: Final[tuple[Column, ...]] = (
    Column("alert_id", Kind.TEXT, "The alert", required=True),
    Column("cause", Kind.TEXT, "What the reviewer decided: a value of models.causes.Cause", required=True),
    Column("reviewer", Kind.TEXT, "Pseudonym of the reviewer", required=True),
    Column("decided_on", Kind.DATE, "Day of the decision", required=True),
    Column("weight", Kind.NUMBER, "How sure, 0 to 1: a visit on the ground 1", required=True),
    Column("tile", Kind.TEXT, "MGRS tile of the alert", required=True),
    Column("longitude", Kind.NUMBER, "Of a point in the alert, degrees", required=True),
    Column("latitude", Kind.NUMBER, "Of a point in the alert, degrees", required=True),
    Column("last_intact", Kind.DATE, "Of the alert"),
    Column("first_low", Kind.DATE, "Of the alert", required=True),
)

FEATURE_NAMES: Final = tuple(feature.name for feature in FEATURES)
"""Columns of the features, in order."""
