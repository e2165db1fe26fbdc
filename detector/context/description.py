"""What is told of a patch. None is unknown: a layer is not installed, or does not speak of that ground."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum


class ForestType(StrEnum):
    """Kind of vegetation, from the codes of IGN's BD Forêt (TFV)."""

    BROADLEAF = "broadleaf"
    CONIFER = "conifer"
    MIXED = "mixed"
    POPLAR = "poplar"
    NO_COVER = "no_cover"
    """Forest without tree cover on the layer's date: felled, burnt or young."""
    OPEN_BROADLEAF = "open_broadleaf"
    OPEN_CONIFER = "open_conifer"
    OPEN_MIXED = "open_mixed"
    HEATH = "heath"
    GRASSLAND = "grassland"
    OTHER = "other"
    """A code that is not of BD Forêt."""


@dataclass(frozen=True)
class Place:
    """A commune, and the share of the patch that lies in it."""

    insee: str
    name: str | None
    share: float


@dataclass(frozen=True)
class Zone:
    """A zone that a patch overlaps: its layer, code, name, and the hectares that the two have in common."""

    layer: str
    code: str | None
    name: str | None
    area_ha: float


@dataclass(frozen=True)
class NearestZone:
    """The zone nearest to a patch; at 0 m, they meet."""

    layer: str
    code: str | None
    name: str | None
    distance_m: float


@dataclass(frozen=True)
class Event:
    """A fire or a storm whose mapped ground a patch overlaps; `ended` is None where the layer does not say."""

    code: str | None
    name: str | None
    began: date
    ended: date | None
    area_ha: float


@dataclass(frozen=True)
class PatchContext:
    """Where one patch lies.

    Shares are of the patch's area, 0 to 1; hectares are shares times its geodesic area. None is unknown, never zero.
    `unknown_layers` names the layers that say nothing of this patch.

    Parameters
    ----------
    commune_insee, commune
        INSEE code and name of the commune with the largest share.
    communes
        All, the largest share first. Abroad and at sea there are none.
    departement, departement_name, region, region_name
        INSEE codes and names of those with the largest share: not always those of `commune`.
    forest_type
        Kind with the largest area among the BD Forêt polygons of the patch; None also where there is none.
    forest_shares
        Share of the patch by `code_tfv`, the largest first; what is missing to 1 is not in the layer. Ground that
        overlapping polygons claim is counted once.
    essence
        Species, or group of species, with the largest area; None where the layer names none.
    tree_cover_pct
        Mean tree-cover density.
    elevation_m, slope_mean_pct, slope_max_pct
        Of the ground inside the outline, weighted by area; the maximum is that of a pixel that the patch touches.
    slope_block_ha
        Hectares of the largest single block of steep ground inside the patch.
    aspect_deg
        Circular mean of the directions in which the ground falls, in degrees from the true north, clockwise; None also
        where all is flat or the directions cancel out.
    natura2000_ha
        Hectares in ZSC or ZPS, each counted once.
    zoning_ha
        Hectares by kind of zoning (`detector.context.zonings.KINDS`), overlapping zones counted once.
    zonings
        Zones that the patch overlaps.
    nearest_zones
        By kind of zoning in which the patch has no hectares: the nearest zone, where one is within
        `ContextParams.near_m`.
    nearest_cut_m
        To the nearest earlier cut, where one is within `ContextParams.near_m`.
    cut_100m_1y_ha, cut_100m_5y_ha
        Hectares of the earlier cuts within `ContextParams.cut_near_m` of the patch, of the 365 and 1,826 days before
        its first low date; overlapping ones and the patch's own ground not counted.
    watercourse_m
        To the nearest watercourse, where one is within `ContextParams.watercourse_near_m`.
    burnt_ha, storm_ha, fires, storms
        Ground in common with fires and storms about the time of the cut: hectares, counted once, and the events.
    unknown_layers
        Layers that are not installed, or do not cover the patch.
    """

    commune_insee: str | None = None
    commune: str | None = None
    communes: tuple[Place, ...] = ()
    departement: str | None = None
    departement_name: str | None = None
    region: str | None = None
    region_name: str | None = None
    forest_type: ForestType | None = None
    forest_shares: Mapping[str, float] | None = None
    essence: str | None = None
    tree_cover_pct: float | None = None
    elevation_m: float | None = None
    slope_mean_pct: float | None = None
    slope_max_pct: float | None = None
    slope_block_ha: float | None = None
    aspect_deg: float | None = None
    zoning_ha: Mapping[str, float | None] = field(default_factory=dict)
    zonings: tuple[Zone, ...] = ()
    nearest_zones: Mapping[str, NearestZone] = field(default_factory=dict)
    nearest_cut_m: float | None = None
    cut_100m_1y_ha: float | None = None
    cut_100m_5y_ha: float | None = None
    watercourse_m: float | None = None
    burnt_ha: float | None = None
    storm_ha: float | None = None
    fires: tuple[Event, ...] = ()
    storms: tuple[Event, ...] = ()
    unknown_layers: tuple[str, ...] = ()

    @property
    def natura2000_ha(self) -> float | None:
        """Hectares in Natura 2000, ground that is in a ZSC and in a ZPS counted once (the design's fact 7)."""
        return self.zoning_ha.get("natura2000")

    @property
    def nearest_zone(self) -> NearestZone | None:
        """The nearest of all zones: the one with the most hectares of those that the patch overlaps, at 0 m."""
        if self.zonings:
            widest = max(self.zonings, key=lambda zone: zone.area_ha)
            return NearestZone(widest.layer, widest.code, widest.name, 0.0)
        return min(self.nearest_zones.values(), key=lambda zone: zone.distance_m, default=None)


@dataclass(frozen=True)
class Described:
    """What `describe` gives.

    Parameters
    ----------
    contexts
        One a patch, in the order of the outlines.
    warnings
        For each layer that is absent or leaves patches out, one sentence that says what is therefore unknown.
    """

    contexts: tuple[PatchContext, ...]
    warnings: tuple[str, ...]
