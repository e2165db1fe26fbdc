"""What leaves the store: an alert as a feature, and what is to be said of a collection of them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

UNCORRECTED_FR = "Surface cartographiée, non corrigée"
"""What every hectare says until a sample of reviewed alerts corrects it."""
UNCORRECTED_EN = "Mapped area, uncorrected"


@dataclass(frozen=True, eq=False)
class AlertFeature:
    """An alert, or another feature, as the store gives it.

    Parameters
    ----------
    id
        Its identity.
    text
        The GeoJSON feature (RFC 7946), on one line.
    wkb
        Its outline: WGS 84, longitude first.
    """

    id: str
    text: str
    wkb: bytes

    @cached_property
    def geometry(self) -> BaseGeometry:
        """Its outline: WGS 84, longitude first."""
        return shapely.from_wkb(self.wkb)

    @cached_property
    def properties(self) -> Mapping[str, Any]:
        """Its published fields; what is not known is None."""
        properties: Mapping[str, Any] = json.loads(self.text)["properties"]
        return properties


@dataclass(frozen=True)
class CollectionInfo:
    """What an export says of itself.

    Parameters
    ----------
    title
        Of the collection, French.
    made
        When it was written (UTC). Part of the file, so that the same store, filter and moment give the same bytes.
    source
        Whose images and whose work it is.
    licence
        Of the data, as an SPDX identifier or a URL.
    model_versions, rules_versions
        Those that stand on the alerts of the store.
    filters
        What was asked for, by parameter.
    link
        Address of the same request; None for a file made by command.
    estimator
        What the hectares are.
    """

    title: str
    made: dt.datetime
    source: str
    licence: str
    model_versions: tuple[str, ...] = ()
    rules_versions: tuple[str, ...] = ()
    filters: Mapping[str, str] | None = None
    link: str | None = None
    estimator: str = f"{UNCORRECTED_FR} ({UNCORRECTED_EN.lower()})"
