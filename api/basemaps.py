"""Maps that the page lays under the alerts: layers of a WMTS service, IGN's Géoplateforme by default.

The names are IGN's, read in public code: where one is not served any more, the page does without it and says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

ATTRIBUTION: Final = "© IGN - Géoplateforme"


@dataclass(frozen=True)
class BaseLayer:
    """A layer of the service.

    Parameters
    ----------
    id
        Name of ours.
    fr, en
        What people read.
    layer, style, format
        What the service calls it (OGC 07-057r7).
    kind
        ``base`` covers the ground, ``overlay`` is laid over it.
    max_zoom
        Beyond which there are no tiles: those of this zoom are shown larger.
    """

    id: str
    fr: str
    en: str
    layer: str
    style: str = "normal"
    format: str = "image/png"
    kind: str = "base"
    max_zoom: int = 18


LAYERS: Final = (
    BaseLayer("plan", "Plan IGN", "IGN map", "GEOGRAPHICALGRIDSYSTEMS.PLANIGNV2"),
    BaseLayer("photos", "Photos aériennes", "Aerial photos", "ORTHOIMAGERY.ORTHOPHOTOS", format="image/jpeg"),
    BaseLayer(
        "parcels",
        "Parcelles cadastrales",
        "Cadastral parcels",
        "CADASTRALPARCELS.PARCELLAIRE_EXPRESS",
        kind="overlay",
    ),
    BaseLayer("slopes", "Pentes", "Slopes", "GEOGRAPHICALGRIDSYSTEMS.SLOPES.MOUNTAIN", kind="overlay", max_zoom=17),
    BaseLayer(
        "natura_habitats",
        "Natura 2000 (habitats)",
        "Natura 2000 (habitats)",
        "PROTECTEDAREAS.SIC",
        kind="overlay",
        max_zoom=16,
    ),
    BaseLayer(
        "natura_birds",
        "Natura 2000 (oiseaux)",
        "Natura 2000 (birds)",
        "PROTECTEDAREAS.ZPS",
        kind="overlay",
        max_zoom=16,
    ),
)
