"""What is said of alerts beyond the imagery: where each lies, what caused it, what the rules say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import date
from typing import Any, Protocol

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from detector.alerts import Alert
from detector.cause.deciding import CauseParams, Surroundings, decide
from detector.cause.evidence import Evidence
from detector.context import ContextParams, EarlierCuts, Event, Layers, PatchContext, describe
from detector.context.forest import is_forest
from detector.criteria.evaluation import judged
from detector.criteria.rules import Rules
from detector.scorer import AlertScorer

_AS_JSON = ("communes", "forest_shares", "zoning_ha", "zonings", "nearest_zone", "fires", "storms")
"""Fields that an alert has as JSON has them, or as None where they are unknown."""

_AS_THEY_ARE = (
    *sorted({each.name for each in fields(PatchContext)} & {each.name for each in fields(Alert)} - {*_AS_JSON}),
    "natura2000_ha",
)
"""Fields of a context that an alert has under the same name; the last is a property."""


@dataclass(frozen=True)
class Appraised:
    """What an appraisal has come to.

    Parameters
    ----------
    alerts
        In the order that they were given in, with what layers and rules say of them.
    warnings
        What is unknown, and for want of which layer, a sentence each.
    """

    alerts: tuple[Alert, ...]
    warnings: tuple[str, ...]


class Appraiser(Protocol):
    """Says of alerts what the imagery does not; the one of this module is `LayersAndRules`."""

    def __call__(self, alerts: Sequence[Alert], grounds: Sequence[BaseGeometry], cuts_since: date | None) -> Appraised:
        """Appraise alerts.

        Parameters
        ----------
        alerts
            Any number.
        grounds
            Of each the outline along the pixel edges, WGS 84, longitude first.
        cuts_since
            First day from which all losses around are among `alerts`.
        """
        ...


@dataclass(frozen=True)
class LayersAndRules:
    """Lays alerts on the reference layers, and judges them by the rules.

    Parameters
    ----------
    layers
        The reference layers that are installed.
    rules
        Criteria and legal points.
    params
        Distances and limits.
    causes
        What causes are told apart by.
    scorer
        Says in which order alerts are worth looking at; without one that is unknown.
    """

    layers: Layers
    rules: Rules
    params: ContextParams = field(default_factory=ContextParams)
    causes: CauseParams = field(default_factory=CauseParams)
    scorer: AlertScorer | None = None

    def __call__(self, alerts: Sequence[Alert], grounds: Sequence[BaseGeometry], cuts_since: date | None) -> Appraised:
        """Appraise alerts; see `Appraiser`.

        Raises
        ------
        tiles.errors.LayerError
            When a layer that is installed is broken.
        """
        outlines = np.empty(len(grounds), object)
        outlines[:] = list(grounds)
        on = _days([alert.first_low for alert in alerts])
        described = describe(
            outlines,
            np.array([alert.area_ha for alert in alerts], np.float64),
            on,
            self.layers,
            EarlierCuts(outlines, on, cuts_since),
            self.params,
        )
        placed = [_placed(alert, context) for alert, context in zip(alerts, described.contexts, strict=True)]
        caused = [with_cause(alert, self.causes) for alert in placed]
        said = [judged(alert, self.rules) for alert in caused]
        return Appraised(tuple(said if self.scorer is None else self.scorer(said)), described.warnings)


def with_cause(alert: Alert, params: CauseParams) -> Alert:
    """An alert with what its loss was caused by, decided from its evidence and from what layers tell of it."""
    shares = alert.forest_shares
    decision = decide(
        None if alert.evidence is None else Evidence.of(alert.evidence),
        Surroundings(
            alert.area_ha,
            alert.last_intact,
            alert.first_low,
            forest_share=None if shares is None else sum(share for code, share in shares.items() if is_forest(code)),
            burnt_ha=alert.burnt_ha,
            storm_ha=alert.storm_ha,
            fires=alert.fires,
            storms=alert.storms,
        ),
        params,
    )
    return replace(
        alert, cause=decision.cause.value, cause_reasons=tuple(reason.as_field() for reason in decision.reasons)
    )


def ground_of(parts: Sequence[BaseGeometry]) -> BaseGeometry:
    """The ground of an alert, of that of its patches."""
    return parts[0] if len(parts) == 1 else shapely.union_all(list(parts))


def _days(dates: Sequence[date]) -> NDArray[np.datetime64]:
    return np.array(dates, "datetime64[D]")


def _placed(alert: Alert, context: PatchContext) -> Alert:
    """An alert with where it lies; lists of a layer that is not known are None, not empty."""
    unknown = set(context.unknown_layers)
    same: dict[str, Any] = {name: getattr(context, name) for name in _AS_THEY_ARE}
    known_zoning = [kind for kind, hectares in context.zoning_ha.items() if hectares is not None]
    return replace(
        alert,
        **same,
        communes=None if "communes" in unknown else tuple(asdict(place) for place in context.communes),
        forest_shares=None if context.forest_shares is None else dict(context.forest_shares),
        zoning_ha=dict(context.zoning_ha) or None,
        zonings=tuple(asdict(zone) for zone in context.zonings) if known_zoning else None,
        nearest_zone=None if context.nearest_zone is None else asdict(context.nearest_zone),
        fires=None if context.burnt_ha is None else tuple(_event(event) for event in context.fires),
        storms=None if context.storm_ha is None else tuple(_event(event) for event in context.storms),
    )


def _event(event: Event) -> dict[str, Any]:
    """A fire or a storm as JSON has it."""
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in asdict(event).items()}
