"""The observation report (*fiche*) as a volunteer fills it in the forest: its fields, in the order of the form.

Follow-up that is reserved to administrators (PEFC, RED III, OFB, CNPF, DDT) is no part of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Answer(StrEnum):
    """What a field of the form takes."""

    LINE = "line"
    PARAGRAPH = "paragraph"
    DAY = "day"
    CHOICE = "choice"
    PHOTO = "photo"
    """Path of a picture, beside the GeoPackage."""
    IDENTITY = "identity"
    """Made by the device, once: a report that is sent twice is one (UUID)."""


@dataclass(frozen=True)
class FormField:
    """A field of the report.

    Parameters
    ----------
    name
        For machines.
    fr
        What the volunteer reads.
    answer
        What it takes.
    choices
        Of a choice: what is stored, and what the volunteer reads.
    private
        Whether the answer may name somebody: it is never given to the public.
    """

    name: str
    fr: str
    answer: Answer = Answer.LINE
    choices: tuple[tuple[str, str], ...] = ()
    private: bool = False

    @property
    def en(self) -> str:
        """The same in English."""
        return ENGLISH[self.fr]


def _asked(name: str, fr: str) -> FormField:
    """A question, which may stay unanswered: not known is not no."""
    return FormField(name, fr, Answer.CHOICE, (("yes", "Oui"), ("no", "Non"), ("unknown", "Ne sait pas")))


def _paragraph(name: str, fr: str) -> FormField:
    return FormField(name, fr, Answer.PARAGRAPH)


def _photo(name: str, fr: str) -> FormField:
    return FormField(name, fr, Answer.PHOTO)


TABS: Final[tuple[tuple[str, tuple[FormField, ...]], ...]] = (
    (
        "Visite",
        (
            FormField("id", "Identifiant de la fiche", Answer.IDENTITY),
            FormField("alert_id", "Alerte visitée"),
            FormField("observed_on", "Date de la visite", Answer.DAY),
            FormField("weather", "Météo"),
            _paragraph("comment", "Remarques"),
        ),
    ),
    (
        "Coupe",
        (
            _paragraph("stand_before", "Peuplement avant la coupe (essences, âge)"),
            _paragraph("management_before", "Gestion avant la coupe"),
            _paragraph("remaining_trees", "Arbres restants"),
            _asked("plantation", "Plantation présente"),
            FormField("plantation_species", "Essences plantées"),
            _asked("site_panel", "Panneau de chantier visible"),
            _paragraph("site_panel_text", "Ce que dit le panneau"),
        ),
    ),
    (
        "Milieux",
        (
            _asked("watercourse_crossed", "Cours d'eau traversé"),
            _asked("wetland_crossed", "Zone humide traversée"),
            _asked("destruction_traces", "Traces de destruction d'espèces ou d'habitats protégés"),
            _paragraph("destruction_details", "Lesquelles"),
            _paragraph("soil_state", "État du sol (ornières, tassement, érosion)"),
            _paragraph("zonings_inside", "Zonages dans la coupe"),
            _paragraph("zonings_near", "Zonages à proximité"),
            _paragraph("known_species", "Espèces connues"),
            _paragraph("known_habitats", "Habitats connus"),
        ),
    ),
    (
        "Acteurs",
        (
            _asked("ddt_request", "Demande faite à la DDT"),
            FormField("ddt_request_by", "Demande faite par", private=True),
            FormField("company", "Entreprise", private=True),
            FormField("subcontractor", "Sous-traitant", private=True),
            FormField("owner", "Propriétaire", private=True),
            FormField(
                "certification",
                "Certification",
                Answer.CHOICE,
                (
                    ("pefc", "PEFC"),
                    ("fsc", "FSC"),
                    ("both", "PEFC et FSC"),
                    ("none", "Aucune"),
                    ("unknown", "Ne sait pas"),
                ),
            ),
            _asked("property_over_20ha", "Propriété de plus de 20 ha"),
            _asked("psg", "Plan simple de gestion"),
        ),
    ),
    (
        "Photos",
        (
            _photo("photo_cut", "La coupe"),
            _photo("photo_trunks", "Les troncs"),
            _photo("photo_soil", "Le sol"),
            _photo("photo_access", "L'accès"),
            _photo("photo_panel", "Le panneau"),
            _photo("photo_plantation", "La plantation"),
        ),
    ),
)
"""Tabs of the form, and their fields."""

FORM: Final[tuple[FormField, ...]] = tuple(field for _, fields in TABS for field in fields)

ENGLISH: Final[dict[str, str]] = {
    "Visite": "Visit",
    "Identifiant de la fiche": "Identity of the report",
    "Alerte visitée": "Alert visited",
    "Date de la visite": "Day of the visit",
    "Météo": "Weather",
    "Remarques": "Remarks",
    "Coupe": "Felling",
    "Peuplement avant la coupe (essences, âge)": "Stand before the felling (species, age)",
    "Gestion avant la coupe": "Management before the felling",
    "Arbres restants": "Trees that remain",
    "Plantation présente": "Planted anew",
    "Essences plantées": "Species planted",
    "Panneau de chantier visible": "Works sign in sight",
    "Ce que dit le panneau": "What the sign says",
    "Milieux": "Habitats",
    "Cours d'eau traversé": "Watercourse crossed",
    "Zone humide traversée": "Wetland crossed",
    "Traces de destruction d'espèces ou d'habitats protégés": "Traces of destruction of protected species or habitats",
    "Lesquelles": "Which ones",
    "État du sol (ornières, tassement, érosion)": "State of the soil (ruts, compaction, erosion)",
    "Zonages dans la coupe": "Zonings within the felling",
    "Zonages à proximité": "Zonings near it",
    "Espèces connues": "Species known",
    "Habitats connus": "Habitats known",
    "Acteurs": "People",
    "Demande faite à la DDT": "Request made to the DDT",
    "Demande faite par": "Request made by",
    "Entreprise": "Company",
    "Sous-traitant": "Subcontractor",
    "Propriétaire": "Owner",
    "Certification": "Certification",
    "PEFC et FSC": "PEFC and FSC",
    "Aucune": "None",
    "Propriété de plus de 20 ha": "Property of more than 20 ha",
    "Plan simple de gestion": "Simple management plan (PSG)",
    "Photos": "Photos",
    "La coupe": "The felling",
    "Les troncs": "The trunks",
    "Le sol": "The soil",
    "L'accès": "The access",
    "Le panneau": "The sign",
    "La plantation": "The plantation",
    "PEFC : réclamation": "PEFC: complaint",
    "RED III : signalement": "RED III: notification",
    "OFB : plainte": "OFB: complaint",
    "CNPF ou DDT : alerte (SRGS, seuils)": "CNPF or DDT: alert (SRGS, thresholds)",
    "PSG : demande": "PSG: request",
    "Démarches faites": "Steps taken",
    "Oui": "Yes",
    "Non": "No",
    "Ne sait pas": "Does not know",
    "PEFC": "PEFC",
    "FSC": "FSC",
}
"""What the form says in French, in English."""
