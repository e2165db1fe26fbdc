"""The observation report (*fiche*) as a form of QField: what a volunteer notes on the ground, without network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class FormField:
    """A field of the form.

    Parameters
    ----------
    name
        For programs.
    french
        The question.
    kind
        ``text``, ``long``, ``date``, ``yes_no``, ``number`` or ``photo``.
    choices
        Answers to choose from, where it is so asked.
    """

    name: str
    french: str
    kind: str = "text"
    choices: tuple[str, ...] = ()


_SEEN: Final = ("oui", "non", "ne sait pas")

REPORT_FIELDS: Final = (
    FormField("alert_id", "Alerte"),
    FormField("observed_on", "Date de l'observation", "date"),
    FormField("weather", "Météo"),
    FormField("stand_before", "Peuplement avant la coupe", "text", ("feuillus", "résineux", "mélange", "ne sait pas")),
    FormField("management_before", "Gestion avant la coupe"),
    FormField("remaining_trees", "Arbres restants", "text", ("aucun", "quelques-uns", "nombreux")),
    FormField("plantation", "Plantation", "text", _SEEN),
    FormField("plantation_species", "Essences plantées"),
    FormField("site_panel", "Panneau de chantier", "text", _SEEN),
    FormField("water_crossed", "Cours d'eau ou zone humide traversés", "text", _SEEN),
    FormField("species_destruction", "Traces de destruction d'espèces ou d'habitats protégés", "long"),
    FormField("soil_state", "État du sol", "text", ("intact", "ornières", "tassé", "érodé")),
    FormField("zonings_seen", "Zonages dans et près de la coupe", "long"),
    FormField("species_known", "Espèces et habitats connus", "long"),
    FormField("ddt_request", "Demande faite à la DDT, et par qui"),
    FormField("certification", "Certification", "text", ("PEFC", "FSC", "aucune", "ne sait pas")),
    FormField("property_over_20_ha", "Propriété de plus de 20 ha", "text", _SEEN),
    FormField("management_plan", "Plan simple de gestion (PSG)", "text", _SEEN),
    FormField("remarks", "Remarques", "long"),
    FormField("photo_cut", "Photo : coupe", "photo"),
    FormField("photo_trunks", "Photo : troncs", "photo"),
    FormField("photo_soil", "Photo : sol", "photo"),
    FormField("photo_access", "Photo : accès", "photo"),
    FormField("photo_panel", "Photo : panneau", "photo"),
    FormField("photo_plantation", "Photo : plantation", "photo"),
)
"""Names of people and companies are not among them: the file may be handed on (see the issue of accounts)."""
