"""The columns of every table of alerts, in their order: where, what, when, why, then how it was seen."""

from __future__ import annotations

from typing import Final

import shapely

from api.exports.tables import (
    Cell,
    Column,
    Kind,
    Reader,
    cell,
    codes_where,
    communes,
    joined,
    member,
    nearest_zone,
    places,
    sentences,
)
from api.features import AlertFeature


def _text(name: str, fr: str, read: Reader | None = None) -> Column:
    return Column(name, Kind.TEXT, fr, None, read)


def _number(name: str, fr: str, unit: str | None, read: Reader | None = None) -> Column:
    return Column(name, Kind.NUMBER, fr, unit, read)


def _count(name: str, fr: str, read: Reader | None = None) -> Column:
    return Column(name, Kind.COUNT, fr, None, read)


def _date(name: str, fr: str) -> Column:
    return Column(name, Kind.DATE, fr)


ID: Final = _text("id", "Identifiant de l'alerte")

COLUMNS: Final[tuple[Column, ...]] = (
    _text("departement", "Code INSEE du département"),
    _text("departement_name", "Département"),
    _text("commune_insee", "Code INSEE de la commune"),
    _text("commune", "Commune"),
    _text("communes", "Toutes les communes touchées", communes),
    _text("region", "Code INSEE de la région"),
    _text("region_name", "Région"),
    _number("area_ha", "Surface cartographiée, non corrigée", "ha"),
    _date("last_intact", "Dernière date où la forêt était intacte"),
    _date("first_low", "Première date où la perte est vue"),
    _date("first_detected", "Date du mois où l'alerte est apparue"),
    _text("state", "Sûreté de l'imagerie (provisional : provisoire, confirmed : confirmée)"),
    _text("status", "Vie de l'alerte (open : ouverte, settled : acquise, closed : close)"),
    _text("review", "Décision d'une personne (to_review : à examiner, ...)"),
    Column("potentially_abusive", Kind.YES_NO, "Potentiellement abusive, selon les critères de l'association"),
    _text("criteria_met", "Critères remplis", codes_where("criteria", "met", True)),
    _text("criteria_unknown", "Critères que l'on ne peut pas juger", codes_where("criteria", "met", None)),
    _text("legal_to_check", "Points de droit à vérifier", codes_where("legal_points", "status", "to_check")),
    _text("legal_unknown", "Points de droit inconnus", codes_where("legal_points", "status", "unknown")),
    _number("clearcut_probability", "Probabilité de coupe rase", "0 à 1"),
    _text("clearcut_for", "Ce qui parle pour une coupe rase", sentences("reasons", "clearcut", "for")),
    _text("clearcut_against", "Ce qui parle contre une coupe rase", sentences("reasons", "clearcut", "against")),
    _number("abuse_score", "Ordre de priorité de la vérification", "0 à 1"),
    _text("abuse_for", "Ce qui rend la vérification prioritaire", sentences("reasons", "abuse", "for")),
    _text("abuse_against", "Ce qui la rend moins prioritaire", sentences("reasons", "abuse", "against")),
    _text("cause", "Cause de la perte (harvest : coupe, fire : feu, storm : tempête, dieback : dépérissement, ...)"),
    _text("cause_reasons", "Ce qui a décidé de la cause", sentences("cause_reasons")),
    _number("natura2000_ha", "Surface en site Natura 2000", "ha"),
    _number("znieff1_ha", "Surface en ZNIEFF de type 1", "ha", member("zoning_ha", "znieff1")),
    _number("znieff2_ha", "Surface en ZNIEFF de type 2", "ha", member("zoning_ha", "znieff2")),
    _number("nature_reserves_ha", "Surface en réserve naturelle", "ha", member("zoning_ha", "nature_reserves")),
    _number("appb_ha", "Surface sous arrêté de protection de biotope", "ha", member("zoning_ha", "appb")),
    _number(
        "national_park_core_ha", "Surface en cœur de parc national", "ha", member("zoning_ha", "national_park_core")
    ),
    _number("ebc_ha", "Surface en espace boisé classé", "ha", member("zoning_ha", "ebc")),
    _text("zonings", "Zonages touchés", places("zonings")),
    _text("nearest_zone", "Zonage le plus proche", nearest_zone),
    _number("nearest_zone_m", "Distance au zonage le plus proche", "m", member("nearest_zone", "distance_m")),
    _number("slope_block_ha", "Plus grand bloc d'un seul tenant à pente de 30 % ou plus", "ha"),
    _number("slope_mean_pct", "Pente moyenne", "%"),
    _number("slope_max_pct", "Pente maximale", "%"),
    _number("aspect_deg", "Exposition, depuis le nord", "degré"),
    _number("elevation_m", "Altitude", "m"),
    _text("forest_type", "Type de forêt (broadleaf : feuillus, conifer : conifères, mixed : mixte, ...)"),
    _text("essence", "Essence dominante"),
    _number("tree_cover_pct", "Couvert arboré", "%"),
    _number("watercourse_m", "Distance au cours d'eau le plus proche", "m"),
    _number("nearest_cut_m", "Distance à la coupe antérieure la plus proche", "m"),
    _number("cut_100m_1y_ha", "Surface coupée à moins de 100 m en un an", "ha"),
    _number("cut_100m_5y_ha", "Surface coupée à moins de 100 m en cinq ans", "ha"),
    _number("burnt_ha", "Surface en commun avec des feux", "ha"),
    _text("fires", "Feux", places("fires")),
    _number("storm_ha", "Surface en commun avec des tempêtes", "ha"),
    _text("storms", "Tempêtes", places("storms")),
    _number("property_ha", "Surface de la propriété forestière", "ha"),
    _number("ndvi_before", "NDVI avant", "-1 à 1"),
    _number("ndvi_after", "NDVI après", "-1 à 1"),
    _number("ndvi_drop", "Baisse du NDVI", "0 à 2"),
    _number(
        "ndmi_change", "Changement du NDMI, par rapport aux alentours", "-2 à 2", member("evidence", "ndmi_change")
    ),
    _number("nbr_change", "Changement du NBR, par rapport aux alentours", "-2 à 2", member("evidence", "nbr_change")),
    _count("n_clear_before", "Nombre de dates claires avant (médiane des pixels)"),
    _count("n_clear_after", "Nombre de dates claires après (médiane des pixels)"),
    _text("tile", "Tuile Sentinel-2 qui a donné l'identifiant"),
    _text("tiles", "Toutes les tuiles où l'alerte est vue", joined("tiles")),
    _text("scenes_before", "Images avant", joined("scenes_before")),
    _text("scenes_after", "Images après", joined("scenes_after")),
    _date("updated", "Dernier changement de l'alerte"),
    _date("closed_on", "Date de clôture"),
    _text("closed_reason", "Raison de la clôture"),
    _text("merged_into", "Alerte dans laquelle elle a été fondue"),
    _text("model_version", "Version du modèle"),
    _text("rules_version", "Version des règles"),
)
"""Columns read from an alert's properties. What is not here does not leave in a table: a field that must stay private
has to be put here by hand before it can be written there."""

PLACE: Final = (
    _number("lon", "Longitude d'un point dans la coupe (WGS 84)", "degré"),
    _number("lat", "Latitude d'un point dans la coupe (WGS 84)", "degré"),
)
"""Columns of formats that have no geometry."""


def cells(feature: AlertFeature) -> list[Cell]:
    """An alert's identity, then what each of `COLUMNS` says of it.

    Raises
    ------
    ValueError
        When a date is none, or a number none.
    """
    properties = feature.properties
    return [feature.id, *(cell(column, properties) for column in COLUMNS)]


def point_in(feature: AlertFeature) -> tuple[float | None, float | None]:
    """Longitude and latitude of a point that is inside the outline; none for an empty one. To a decimetre."""
    point = shapely.point_on_surface(feature.geometry)
    return (None, None) if point.is_empty else (round(point.x, 6), round(point.y, 6))


def flat_cells(feature: AlertFeature) -> list[Cell]:
    """As `cells`, with a point in the outline at the end."""
    return [*cells(feature), *point_in(feature)]
