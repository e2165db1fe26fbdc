"""What a loss was caused by, as far as the infrared and the layers tell; what they do not, a person decides.

The rules are tried in turn, and the first that applies decides. They are made to err towards `Cause.UNCERTAIN`: an
alert that is no harvest is judged by no criterion, and one that is called a harvest is told as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from detector.cause.evidence import Evidence
from tiles.errors import InvalidParameterError


class Cause(StrEnum):
    """What a loss was caused by."""

    HARVEST = "harvest"
    """Felled, wood taken: the criteria apply."""
    UNCERTAIN = "uncertain"
    """A person decides."""
    FIRE = "fire"
    STORM = "storm"
    DIEBACK = "dieback"
    """Drought, insects, disease: from year to year."""
    NOT_FOREST = "not_forest"
    """No forest stood there, or not in the year before."""


@dataclass(frozen=True)
class CauseParams:
    """What the causes are told apart by.

    The numbers that are not of a source were chosen on simulated patches (``python -m scripts.bench --section causes``
    shows what they do on others, and on real openings): `docs/causes.md`.

    Parameters
    ----------
    least_ndmi_loss
        NDMI lost beside the ring (positive) below which the infrared does not bear the loss out.
    harvest_ndmi_loss
        NDMI lost from which on nearly all leaves and wood are gone.
    wet_swir16
        B11 below which water or snow lies there: both absorb it (Dozier 1989, Remote Sensing of Environment 28, 9).
    open_share, doubtful_open_share
        Share of the NDMI by which the patch is below the ring after the loss that it was below it a year before: from
        the first on no forest was felled; from the second on it is not sure.
    dark_nir_kept, dark_swir16_kept
        B8A and B11 after over before, beside the ring, up to which the ground may be charred: bare and slash-covered
        ground is brighter in B11 than the forest was, char is not (Lentile et al. 2006, International Journal of
        Wildland Fire 15, 319).
    dark_swir16, doubtful_swir16
        B11 after the loss, up to which such ground is taken for charred; and up to which it is not sure.
    drift_ndmi
        NDMI lost beside the ring in the year before the loss (positive), from which on the stand had been declining.
    event_share
        Share of the patch that a mapped fire or storm must hold.
    forest_share
        Share of the patch that must be forest in the layer, below which it is none.
    """

    least_ndmi_loss: float = 0.10
    harvest_ndmi_loss: float = 0.20
    wet_swir16: float = 0.10
    open_share: float = 0.50
    doubtful_open_share: float = 0.25
    dark_nir_kept: float = 0.70
    dark_swir16_kept: float = 1.15
    dark_swir16: float = 0.16
    doubtful_swir16: float = 0.19
    drift_ndmi: float = 0.05
    event_share: float = 0.50
    forest_share: float = 0.50

    def __post_init__(self) -> None:
        if not (
            self.least_ndmi_loss <= self.harvest_ndmi_loss
            and self.doubtful_open_share <= self.open_share
            and self.wet_swir16 <= self.dark_swir16 <= self.doubtful_swir16
        ):
            raise InvalidParameterError(
                "least_ndmi_loss may not exceed harvest_ndmi_loss, doubtful_open_share open_share, wet_swir16 "
                "dark_swir16, nor dark_swir16 doubtful_swir16."
            )


@dataclass(frozen=True)
class Surroundings:
    """What layers tell of a patch; None is unknown.

    Parameters
    ----------
    area_ha
        Of the patch.
    last_intact, first_low
        The dates that hold the loss between them.
    forest_share
        Share of the patch that is forest in the layer, felled and young forest too.
    burnt_ha, storm_ha
        Hectares in mapped fires and storms about the time.
    fires, storms
        Those, as published: each with ``began``, a date in ISO 8601.
    """

    area_ha: float
    last_intact: date | None
    first_low: date
    forest_share: float | None = None
    burnt_ha: float | None = None
    storm_ha: float | None = None
    fires: Sequence[Mapping[str, Any]] | None = None
    storms: Sequence[Mapping[str, Any]] | None = None


@dataclass(frozen=True)
class CauseReason:
    """Why a cause was decided, with the number that decided; `threshold` is what it was held against."""

    code: str
    fr: str
    en: str
    value: float | None = None
    threshold: float | None = None
    unit: str | None = None

    def as_field(self) -> dict[str, Any]:
        """As an alert has it."""
        return {
            "code": self.code,
            "value": self.value,
            "threshold": self.threshold,
            "unit": self.unit,
            "fr": self.fr,
            "en": self.en,
        }


@dataclass(frozen=True)
class Decision:
    """A cause, and why."""

    cause: Cause
    reasons: tuple[CauseReason, ...]


def decide(evidence: Evidence | None, surroundings: Surroundings, params: CauseParams = CauseParams()) -> Decision:
    """Decide what a loss was caused by.

    Parameters
    ----------
    evidence
        What the infrared shows; None where it was not looked at.
    surroundings
        What layers tell.
    params
        What counts.

    Returns
    -------
    Decision
        The first rule's that applies: mapped fires and storms, no forest in the layer; then the infrared: water or
        snow, too little lost, open the year before, dark ground, slow decline, a part lost; else a harvest.
    """
    for rule in (_mapped_event, _no_forest):
        decision = rule(surroundings, params)
        if decision is not None:
            return decision
    known = evidence or Evidence()
    if known.ndmi_change is None or known.swir16_after is None:
        return Decision(Cause.UNCERTAIN, (_said("no_infrared"),))
    doubts = [*_after_event(surroundings, params)]
    for look in (_wet, _too_little, _open_before, _dark, _declining, _partial):
        decision = look(known, params)
        if decision is not None:
            return Decision(decision.cause, (*decision.reasons, *doubts))
    lost = _said("infrared_lost", -known.ndmi_change, params.harvest_ndmi_loss, "1")
    if doubts:
        return Decision(Cause.UNCERTAIN, (*doubts, lost))
    return Decision(Cause.HARVEST, (lost, *_for_harvest(known, params)))


def _mapped_event(around: Surroundings, params: CauseParams) -> Decision | None:
    """A fire or a storm that was mapped there, and came between the two dates."""
    for cause, code, hectares, events in _events(around):
        share = _share(hectares, around.area_ha)
        within = any(_began(event) <= around.first_low and _is_after(event, around.last_intact) for event in events)
        if share is not None and share >= params.event_share and within:
            return Decision(cause, (_said(code, share, params.event_share, "share"),))
    return None


def _after_event(around: Surroundings, params: CauseParams) -> Iterator[CauseReason]:
    """Fires and storms that came before the trees were last seen standing: their wood may have been cleared."""
    for _, code, hectares, events in _events(around):
        share = _share(hectares, around.area_ha)
        if share is not None and share >= params.event_share and events:
            yield _said(f"cleared_{code}", share, params.event_share, "share")


def _events(around: Surroundings) -> list[tuple[Cause, str, float | None, Sequence[Mapping[str, Any]]]]:
    return [
        (Cause.FIRE, "mapped_fire", around.burnt_ha, around.fires or ()),
        (Cause.STORM, "mapped_storm", around.storm_ha, around.storms or ()),
    ]


def _began(event: Mapping[str, Any]) -> date:
    return date.fromisoformat(str(event["began"]))


def _is_after(event: Mapping[str, Any], last_intact: date | None) -> bool:
    return last_intact is None or _began(event) >= last_intact


def _share(hectares: float | None, area_ha: float) -> float | None:
    return None if hectares is None or area_ha <= 0 else hectares / area_ha


def _no_forest(around: Surroundings, params: CauseParams) -> Decision | None:
    share = around.forest_share
    if share is None or share >= params.forest_share:
        return None
    return Decision(Cause.NOT_FOREST, (_said("no_forest_in_layer", share, params.forest_share, "share"),))


def _wet(known: Evidence, params: CauseParams) -> Decision | None:
    return _where(known.swir16_after, lambda value: value < params.wet_swir16, "wet", params.wet_swir16)


def _too_little(known: Evidence, params: CauseParams) -> Decision | None:
    least = params.least_ndmi_loss
    return _where(_lost(known.ndmi_change), lambda value: value < least, "little_infrared_lost", least)


def _open_before(known: Evidence, params: CauseParams) -> Decision | None:
    share = _open_share(known)
    if share is not None and share >= params.open_share:
        return Decision(Cause.NOT_FOREST, (_said("open_before", share, params.open_share, "share"),))
    least = params.doubtful_open_share
    return _where(share, lambda value: value >= least, "perhaps_open_before", least, "share")


def _open_share(known: Evidence) -> float | None:
    """How much of what the patch is now below the forest around was so a year before the loss."""
    if known.ndmi_apart_earlier is None or known.ndmi_drift is None or known.ndmi_change is None:
        return None
    apart_after = known.ndmi_apart_earlier + known.ndmi_drift + known.ndmi_change
    return known.ndmi_apart_earlier / apart_after if apart_after < 0 else None


def _dark(known: Evidence, params: CauseParams) -> Decision | None:
    if known.nir_kept is None or known.swir16_kept is None or known.swir16_after is None:
        return None
    if known.nir_kept > params.dark_nir_kept or known.swir16_kept > params.dark_swir16_kept:
        return None
    if known.swir16_after <= params.dark_swir16:
        return Decision(
            Cause.FIRE,
            (
                _said("dark_ground", known.swir16_after, params.dark_swir16, "1"),
                _said("near_infrared_lost", known.nir_kept, params.dark_nir_kept, "1"),
            ),
        )
    most = params.doubtful_swir16
    return _where(known.swir16_after, lambda value: value <= most, "perhaps_dark_ground", most)


def _declining(known: Evidence, params: CauseParams) -> Decision | None:
    drift = _lost(known.ndmi_drift)
    if drift is None or drift < params.drift_ndmi:
        return None
    is_partial = known.ndmi_change is not None and -known.ndmi_change < params.harvest_ndmi_loss
    cause = Cause.DIEBACK if is_partial else Cause.UNCERTAIN
    return Decision(cause, (_said("declined_before", drift, params.drift_ndmi, "1"),))


def _partial(known: Evidence, params: CauseParams) -> Decision | None:
    least = params.harvest_ndmi_loss
    return _where(_lost(known.ndmi_change), lambda value: value < least, "part_lost", least)


def _for_harvest(known: Evidence, params: CauseParams) -> Iterator[CauseReason]:
    """What else speaks for a harvest."""
    if known.swir16_kept is not None and known.swir16_kept > params.dark_swir16_kept:
        yield _said("bright_ground", known.swir16_kept, params.dark_swir16_kept, "1")
    drift = _lost(known.ndmi_drift)
    if drift is not None:
        yield _said("stood_before", drift, params.drift_ndmi, "1")


def _lost(change: float | None) -> float | None:
    """What was lost, positive."""
    return None if change is None else -change


def _where(
    value: float | None, applies: Callable[[float], bool], code: str, threshold: float, unit: str = "1"
) -> Decision | None:
    """Uncertain, for a reason, where a known value says so."""
    if value is None or not applies(value):
        return None
    return Decision(Cause.UNCERTAIN, (_said(code, value, threshold, unit),))


def _said(
    code: str, value: float | None = None, threshold: float | None = None, unit: str | None = None
) -> CauseReason:
    french, english = REASONS[code]
    return CauseReason(code, french, english, value, threshold, unit)


REASONS: Mapping[str, tuple[str, str]] = {
    "mapped_fire": (
        "un incendie cartographié à cet endroit entre les deux dates",
        "a fire was mapped there between the two dates",
    ),
    "mapped_storm": (
        "une tempête cartographiée à cet endroit entre les deux dates",
        "a storm was mapped there between the two dates",
    ),
    "cleared_mapped_fire": (
        "un incendie a eu lieu avant : du bois brûlé a pu être enlevé",
        "a fire came before: burnt wood may have been cleared",
    ),
    "cleared_mapped_storm": (
        "une tempête a eu lieu avant : des chablis ont pu être enlevés",
        "a storm came before: fallen wood may have been cleared",
    ),
    "no_forest_in_layer": (
        "la carte forestière n'y montre pas de forêt sur la plus grande part",
        "the forest layer shows no forest on most of it",
    ),
    "no_infrared": (
        "l'infrarouge n'a pas pu être lu avant ou après la perte",
        "the infrared could not be read before or after the loss",
    ),
    "wet": ("le sol est couvert d'eau ou de neige", "water or snow covers the ground"),
    "little_infrared_lost": (
        "l'infrarouge ne confirme pas la perte : brume, éclaircie ou saison possibles",
        "the infrared does not bear the loss out: haze, thinning or season are possible",
    ),
    "open_before": (
        "le terrain était déjà ouvert un an plus tôt",
        "the ground was open a year before already",
    ),
    "perhaps_open_before": (
        "le terrain était peut-être déjà en partie ouvert un an plus tôt",
        "the ground may have been partly open a year before",
    ),
    "dark_ground": (
        "le sol est sombre dans l'infrarouge, comme après un feu",
        "the ground is dark in the infrared, as after a fire",
    ),
    "near_infrared_lost": (
        "le proche infrarouge a fortement baissé",
        "near infrared has fallen far",
    ),
    "perhaps_dark_ground": (
        "le sol est assez sombre : feu ou sol humide possibles",
        "the ground is rather dark: a fire or wet soil are possible",
    ),
    "declined_before": (
        "le peuplement déclinait déjà dans l'année qui précède",
        "the stand had been declining in the year before",
    ),
    "part_lost": (
        "une partie du couvert reste : éclaircie, chablis ou dépérissement possibles",
        "a part of the cover is left: thinning, windthrow or dieback are possible",
    ),
    "infrared_lost": (
        "l'eau des feuilles et du bois a presque toute disparu d'un coup",
        "nearly all water of leaves and wood was lost at once",
    ),
    "bright_ground": (
        "le sol est clair dans l'infrarouge, comme après une coupe",
        "the ground is bright in the infrared, as after a felling",
    ),
    "stood_before": (
        "le peuplement ne déclinait pas dans l'année qui précède",
        "the stand was not declining in the year before",
    ),
}
"""Reasons in words, French and English."""
