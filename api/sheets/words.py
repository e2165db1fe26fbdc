"""What a sheet says, in French and English."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final


class SheetLanguage(StrEnum):
    """Language of a sheet."""

    FR = "fr"
    EN = "en"


WORDS: Final[dict[SheetLanguage, dict[str, Any]]] = {
    SheetLanguage.FR: {
        "title": "Alerte de coupe rase",
        "somewhere": "lieu non connu",
        "unknown": "non connu",
        "yes": "oui",
        "no": "non",
        "before": "Avant",
        "after": "Après",
        "no_picture": "pas d'image",
        "ndvi": "NDVI",
        "series": "Végétation (NDVI) au fil des dates ; en rouge, l'intervalle de la coupe",
        "outline": "Contour",
        "scale": "100 m",
        "facts": "En bref",
        "area": "Surface (cartographiée, non corrigée)",
        "interval": "Coupée entre",
        "state": "État",
        "states": {"confirmed": "confirmée par une deuxième date", "provisional": "à confirmer"},
        "probability": "Probabilité que ce soit une coupe rase",
        "abusive": "Potentiellement abusive",
        "place": "Commune, département",
        "coordinates": "Coordonnées (WGS 84)",
        "forest": "Forêt",
        "slope": "Plus grand bloc de pente ≥ 30 %",
        "natura": "Dans Natura 2000",
        "looks": "Dates claires avant / après",
        "review": "Revue",
        "reviews": {
            "to_review": "à revoir",
            "assigned": "attribuée",
            "confirmed": "coupe confirmée",
            "rejected": "rejetée",
            "uncertain": "incertaine",
            "published": "publiée",
        },
        "criteria": "Critères de la politique (ce n'est pas une qualification de droit)",
        "criterion": {"area": "Surface", "steep_block": "Bloc de forte pente", "natura2000": "Natura 2000"},
        "met": {"true": "rempli", "false": "non rempli", "null": "non connu"},
        "threshold": "seuil",
        "legal": "Points de droit à vérifier",
        "legal_status": {"to_check": "à vérifier", "not_applicable": "ne s'applique pas", "unknown": "non connu"},
        "reasons": "Ce que dit le modèle",
        "reasons_for": "Pour : ",
        "reasons_against": "Contre : ",
        "method": "Méthode",
        "method_text": (
            "Chaque pixel de 10 m est comparé, date par date, à la végétation de la forêt intacte à la même saison ; "
            "une baisse nette, confirmée par une deuxième date claire, fait une alerte. Le contour est juste à une "
            "dizaine de mètres près. Limites : nuages, éclaircies fortes, dépérissements et chablis peuvent tromper ; "
            "la probabilité vient d'un modèle entraîné sur des événements simulés. Sylvigie ne dit jamais qu'une coupe "
            "est contraire à la loi."
        ),
        "cite": "À citer : Sylvigie, alerte {id}, modèle {model}, règles {rules}, fiche du {day}. "
        "Contient des données Copernicus Sentinel-2 modifiées.",
    },
    SheetLanguage.EN: {
        "title": "Alert of a clear-cut",
        "somewhere": "place not known",
        "unknown": "not known",
        "yes": "yes",
        "no": "no",
        "before": "Before",
        "after": "After",
        "no_picture": "no image",
        "ndvi": "NDVI",
        "series": "Vegetation (NDVI), date by date; in red the interval of the felling",
        "outline": "Outline",
        "scale": "100 m",
        "facts": "In short",
        "area": "Area (mapped, uncorrected)",
        "interval": "Felled between",
        "state": "State",
        "states": {"confirmed": "confirmed by a second date", "provisional": "to be confirmed"},
        "probability": "Probability that it is a clear-cut",
        "abusive": "Potentially abusive",
        "place": "Commune, département",
        "coordinates": "Coordinates (WGS 84)",
        "forest": "Forest",
        "slope": "Largest block of slope ≥ 30 %",
        "natura": "Within Natura 2000",
        "looks": "Clear dates before / after",
        "review": "Review",
        "reviews": {
            "to_review": "to review",
            "assigned": "assigned",
            "confirmed": "felling confirmed",
            "rejected": "rejected",
            "uncertain": "uncertain",
            "published": "published",
        },
        "criteria": "Criteria of the policy (no finding in law)",
        "criterion": {"area": "Area", "steep_block": "Block of steep slope", "natura2000": "Natura 2000"},
        "met": {"true": "met", "false": "not met", "null": "not known"},
        "threshold": "threshold",
        "legal": "Legal points to check",
        "legal_status": {"to_check": "to check", "not_applicable": "does not apply", "unknown": "not known"},
        "reasons": "What the model says",
        "reasons_for": "For: ",
        "reasons_against": "Against: ",
        "method": "Method",
        "method_text": (
            "Each 10 m pixel is compared, date by date, with the vegetation of the intact forest at the same season; a "
            "marked loss that a second clear date confirms makes an alert. The outline is right within some ten "
            "metres. Limits: clouds, heavy thinning, dieback and windthrow may mislead; the probability is of a model "
            "trained on simulated events. Sylvigie never says that a felling is against the law."
        ),
        "cite": "To be cited: Sylvigie, alert {id}, model {model}, rules {rules}, sheet of {day}. "
        "Contains modified Copernicus Sentinel-2 data.",
    },
}
