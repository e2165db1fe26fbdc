"""What every export says of itself: whose work it is, under which licence, when and how it was made."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import urlencode

from api.features import CollectionInfo

_SPDX = "https://spdx.org/licenses/{}.html"


def made_utc(info: CollectionInfo) -> dt.datetime:
    """When the export was made, in UTC; a moment without a time zone is taken to be UTC."""
    if info.made.tzinfo is None:
        return info.made.replace(tzinfo=dt.UTC)
    return info.made.astimezone(dt.UTC)


def made_text(info: CollectionInfo) -> str:
    """When the export was made, as RFC 3339 writes it, to the second."""
    return made_utc(info).strftime("%Y-%m-%dT%H:%M:%SZ")


def licence_url(info: CollectionInfo) -> str:
    """Address of the licence: its own, or SPDX's page of it."""
    return info.licence if "://" in info.licence else _SPDX.format(info.licence)


def filters_text(info: CollectionInfo) -> str:
    """What was asked for, as a query string sorted by parameter; empty where nothing was."""
    return urlencode(sorted((info.filters or {}).items()), safe=",:/")


def as_json(info: CollectionInfo) -> dict[str, Any]:
    """All that is said, for formats that hold JSON."""
    return {
        "title": info.title,
        "made": made_text(info),
        "source": info.source,
        "licence": info.licence,
        "model_versions": list(info.model_versions),
        "rules_versions": list(info.rules_versions),
        "filters": dict(sorted((info.filters or {}).items())),
        "link": info.link,
        "estimator": info.estimator,
    }


def on_each_feature(info: CollectionInfo) -> dict[str, str]:
    """What is said on each line of formats that have no room of their own for it.

    The versions of model and rules are not in it: each alert has its own.
    """
    return {
        "export_made": made_text(info),
        "export_source": info.source,
        "export_licence": info.licence,
        "export_estimator": info.estimator,
        "export_filters": filters_text(info),
    }


def lines_fr(info: CollectionInfo) -> list[tuple[str, str]]:
    """All that is said, for people: what it is, in French, and what it says."""
    none = "non renseigné"
    return [
        ("Titre", info.title),
        ("Date d'export (UTC)", made_text(info)),
        ("Source", info.source),
        ("Licence", info.licence),
        ("Adresse de la licence", licence_url(info)),
        ("Versions du modèle", ", ".join(info.model_versions) or none),
        ("Versions des règles", ", ".join(info.rules_versions) or none),
        ("Surfaces", info.estimator),
        ("Filtre", filters_text(info) or "aucun"),
        ("Adresse de la requête", info.link or none),
        (
            "Ce qu'une alerte n'est pas",
            "« Potentiellement abusive » est un critère de l'association, pas une infraction. "
            "Ce qui n'est pas connu est vide, jamais zéro.",
        ),
    ]
