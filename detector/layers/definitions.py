"""What each reference layer is and where it comes from: data in ``definitions.toml``, read and checked here."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any

from tiles.errors import LayerError


class LayerKind(StrEnum):
    """What a layer is made of."""

    POLYGONS = "polygons"
    LINES = "lines"
    RASTER = "raster"


class SourceKind(StrEnum):
    """How a layer's service is asked."""

    WFS = "wfs"
    """OGC Web Feature Service 2.0, in pages of GeoJSON."""
    ATOM = "atom"
    """The list of editions of IGN's download service; the newest is taken, and its MD5 checked."""
    FILE = "file"
    """One file, or one for each département."""
    DEGREE_TILES = "degree_tiles"
    """One GeoTIFF for each degree of latitude and longitude."""


class Coverage(StrEnum):
    """What a file that is imported whole speaks of, where the user does not say it; see ADR 0012."""

    OWN = "own"
    """The union of its features: they tile the ground."""
    FRANCE = "france"
    """All metropolitan France: where it has no feature, there is none."""
    FEATURES = "features"
    """Its features alone: where it has none, nothing is known."""
    ASKED = "asked"
    """It cannot be told from the file: the user has to say."""


@dataclass(frozen=True)
class Source:
    """A service that a layer is fetched from.

    Parameters
    ----------
    kind
        How it is asked.
    url
        Its address; ``{departement}`` stands for the code in three digits (040, 02A), ``{departement_2}`` for that of
        two (40, 2A).
    confirmed
        Whether the address was found in use elsewhere; nothing was met from here.
    types, sort, departement_filter
        Of a WFS: names of its types, the attribute that pages are sorted by, and a CQL filter for one département.
    pattern, member
        Of archives: regular expression of an edition's name, and shell pattern of the files in it that count.
    name
        Of the downloaded file, where the address does not end with it; of a tile.
    crs
        CRS of files that carry none, as their publisher says.
    sha256
        Checksum of the one file, where it is published.
    """

    kind: SourceKind
    url: str
    confirmed: bool
    types: tuple[str, ...] = ()
    sort: str | None = None
    departement_filter: str | None = None
    pattern: str | None = None
    member: str | None = None
    name: str | None = None
    crs: str | None = None
    sha256: str | None = None

    @property
    def by_departement(self) -> bool:
        """Whether it can only be asked for one département at a time."""
        return "{departement" in self.url


@dataclass(frozen=True)
class Definition:
    """A reference layer.

    Parameters
    ----------
    name
        In commands and folders.
    kind
        What it is made of.
    title_fr, title_en
        What people read.
    page
        Where its publisher describes it.
    licence, attribution, vintage
        As published; vintage "latest" where the service serves the newest.
    coverage
        Ground that a whole file speaks of.
    columns
        Standard column -> names that it has at its sources, the first that is there is taken; without regard to case.
    required
        Standard columns that must be found.
    unique
        Standard column whose values differ from feature to feature.
    keep
        Column of the source -> shell patterns of the values that are kept, in small letters without accents.
    valid_range
        Of a raster, in its unit; other values are no data.
    unit
        Of a raster.
    stale_after_years
        Age at which `sylvigie layers check` warns; None for never.
    source, alternative
        Where it is fetched from; None where no service gives it without an account.
    """

    name: str
    kind: LayerKind
    title_fr: str
    title_en: str
    page: str
    licence: str
    attribution: str
    vintage: str
    coverage: Coverage
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    unique: str | None = None
    keep: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    valid_range: tuple[float, float] | None = None
    unit: str | None = None
    stale_after_years: float | None = None
    source: Source | None = None
    alternative: Source | None = None

    @property
    def is_raster(self) -> bool:
        """Whether it is made of pixels."""
        return self.kind is LayerKind.RASTER

    @property
    def sources(self) -> tuple[Source, ...]:
        """Services that it can be fetched from, the one of the default first."""
        return tuple(source for source in (self.source, self.alternative) if source is not None)


@cache
def definitions() -> Mapping[str, Definition]:
    """All reference layers, by name."""
    text = resources.files("detector.layers").joinpath("definitions.toml").read_text(encoding="utf-8")
    return {name: _definition(name, table) for name, table in tomllib.loads(text).items()}


def definition(name: str) -> Definition:
    """One reference layer.

    Raises
    ------
    LayerError
        When there is none of that name.
    """
    try:
        return definitions()[name]
    except KeyError:
        raise LayerError(f"{name} is no layer: known are {', '.join(definitions())}.") from None


def _definition(name: str, table: Mapping[str, Any]) -> Definition:
    simple = {key: value for key, value in table.items() if not isinstance(value, dict | list)}
    valid_range = table.get("valid_range")
    return Definition(
        name=name,
        **{**simple, "kind": LayerKind(table["kind"]), "coverage": Coverage(table["coverage"])},
        columns={column: tuple(names) for column, names in table.get("columns", {}).items()},
        required=tuple(table.get("required", ())),
        keep={column: tuple(patterns) for column, patterns in table.get("keep", {}).items()},
        valid_range=None if valid_range is None else (float(valid_range[0]), float(valid_range[1])),
        source=_source(table.get("source")),
        alternative=_source(table.get("alternative")),
    )


def _source(table: Mapping[str, Any] | None) -> Source | None:
    if table is None:
        return None
    return Source(**{**table, "kind": SourceKind(table["kind"]), "types": tuple(table.get("types", ()))})
