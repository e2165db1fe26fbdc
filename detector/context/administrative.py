"""Commune, département and region of a patch, by the largest share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import geopandas as gpd

from detector.context.description import Place
from detector.context.ground import Reader, Shares, overlay, shares_by, text_of


def administrative(reader: Reader) -> dict[str, Sequence[Any]]:
    """Fields of `PatchContext` about where a patch lies.

    The département is that of the départements' own layer where it is installed: communes of one département alone
    would give it every patch on its border. A region is the sum of its départements, whose outlines are lighter. Of
    equal shares the smaller INSEE code is taken.
    """
    n = len(reader.ground)
    communes, commune_names = _shares(reader, "communes", ("insee", "departement", "region"))
    departements, departement_names = _shares(reader, "departements", ("insee", "region"))
    places = _places(communes.get("insee"), commune_names, n)
    departement = _first_told([departements.get("insee"), communes.get("departement")], n)
    told = [departements.get("region"), communes.get("region")]

    frame, known = reader.vector("regions", ("insee", "name"))
    region_names = _names(frame)
    if frame is not None and None in _first_told(told, n):
        over = overlay(reader.ground, frame.geometry.to_numpy())
        over = over.only(known[over.patch])
        told.append(shares_by(reader.ground, over, text_of(frame["insee"])[over.feature]))
    region = _first_told(told, n)
    return {
        "commune_insee": [all_of[0].insee if all_of else None for all_of in places],
        "commune": [all_of[0].name if all_of else None for all_of in places],
        "communes": places,
        "departement": departement,
        "departement_name": [departement_names.get(code) for code in departement],
        "region": region,
        "region_name": [region_names.get(code) for code in region],
    }


def _shares(
    reader: Reader, layer: str, columns: Sequence[str]
) -> tuple[dict[str, Shares], dict[str | None, str | None]]:
    """Shares of the patches by the values of each column, and the names by INSEE code."""
    frame, known = reader.vector(layer, (*columns, "name"))
    if frame is None:
        return {}, {}
    over = overlay(reader.ground, frame.geometry.to_numpy())
    over = over.only(known[over.patch])
    by_column = {column: shares_by(reader.ground, over, text_of(frame[column])[over.feature]) for column in columns}
    return by_column, _names(frame)


def _names(frame: gpd.GeoDataFrame | None) -> dict[str | None, str | None]:
    return {} if frame is None else dict(zip(text_of(frame["insee"]), text_of(frame["name"]), strict=True))


def _places(shares: Shares | None, names: dict[str | None, str | None], n: int) -> list[tuple[Place, ...]]:
    if shares is None:
        return [()] * n
    return [tuple(Place(insee, names.get(insee), share) for insee, share in one) for one in shares.by_patch(n)]


def _first_told(sources: Sequence[Shares | None], n: int) -> list[str | None]:
    """The code with the largest share of each patch, by the first source that tells one."""
    codes: list[str | None] = [None] * n
    for source in sources:
        if source is not None:
            codes = [code or other for code, other in zip(codes, source.largest(n), strict=True)]
    return codes
