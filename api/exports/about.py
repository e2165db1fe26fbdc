"""What an export says of itself, as every form carries it."""

from __future__ import annotations

from typing import Any

from api.features import CollectionInfo


def about(info: CollectionInfo) -> dict[str, Any]:
    """For forms that programs read."""
    return {
        "title": info.title,
        "made": info.made.isoformat(timespec="seconds"),
        "source": info.source,
        "licence": info.licence,
        "area": info.estimator,
        "model_versions": list(info.model_versions),
        "rules_versions": list(info.rules_versions),
        "filters": dict(info.filters or {}),
        "link": info.link,
    }


def about_lines(info: CollectionInfo) -> list[tuple[str, str]]:
    """For forms that people read: French words, and what they stand for here."""
    told = [
        ("Titre", info.title),
        ("Date", info.made.isoformat(timespec="seconds")),
        ("Source", info.source),
        ("Licence", info.licence),
        ("Surfaces", info.estimator),
        ("Versions du modèle", ", ".join(info.model_versions) or "aucune"),
        ("Versions des règles", ", ".join(info.rules_versions) or "aucune"),
        ("Filtres", ", ".join(f"{name} = {value}" for name, value in (info.filters or {}).items()) or "aucun"),
        (
            "À lire",
            "« Potentiellement abusive » est une politique, non un constat d'infraction : les points de droit restent "
            "à vérifier par une personne.",
        ),
    ]
    return told + ([("Adresse", info.link)] if info.link else [])


def about_text(info: CollectionInfo) -> str:
    """For forms that have one field for it."""
    return " | ".join(f"{word} : {meaning}" for word, meaning in about_lines(info))
