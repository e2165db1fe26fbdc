"""Outlines of simulated events: what fellings, fields and what no owner bounds look like from above."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import affinity

from tiles.errors import InvalidParameterError

Ring = NDArray[np.float64]
"""Corners of an outline, not closed: float64, shape (points, 2). Its size means nothing yet."""

_POINTS: Final = 240
"""Points of an outline whose edge strays."""


QUANTILES: Final = (0.1, 0.25, 0.5, 0.75, 0.9)
MEASURED: Final[Mapping[str, tuple[float, ...]]] = {
    "rectangularity": (0.45, 0.48, 0.59, 0.67, 0.70),
    "compactness": (0.11, 0.14, 0.22, 0.41, 0.55),
    "elongation": (0.24, 0.37, 0.43, 0.55, 0.64),
    "solidity": (0.59, 0.66, 0.75, 0.84, 0.85),
}
"""Quantiles of the shapes of 19 clear-cuts of 0.6 to 14.4 ha, on pixels of 10 m: parts of half a hectare or more of
``shared/data/labels/brigade_sample_clear_cuts_2024.geojson`` (SUFOSAT, France, March to August 2024; detected from
radar images, not checked on the ground). ``python -m scripts.outline_shapes`` measures them."""


class Outline(StrEnum):
    """Kinds of outlines."""

    FELLING = "felling"
    """Parcels that were added and left standing, with an uneven edge."""
    PARCEL = "parcel"
    """One parcel: four straight sides, corners cut off."""
    ROUNDED = "rounded"
    """No parcel at all: rounded, with bays. No outlines were at hand to fit it to: its edge is as uneven as that of a
    felling, so that the edge alone tells nothing."""


@dataclass(frozen=True)
class FellingParams:
    """How far a felling's outline is from a parcel's.

    Fitted by hand to `MEASURED`, in some ten steps. Part of the real outlines' unevenness may be that of their
    detection, as part of that of our own patches is.

    Parameters
    ----------
    unevenness
        Both parameters of the beta distribution of an outline's unevenness, from 0 for a parcel to 1.
    most_added, most_left
        Parcels that are added beside the first, and that are left standing in its edge, of an unevenness of 1.
    added_side
        Side of these, from and to, as a share of the felling's.
    left_scale
        How much smaller those that are left standing are.
    turn_deg
        Standard deviation of their direction from the first one's, beside quarters of a turn.
    strays
        Standard deviation of the edge about its line, of an unevenness of 1, as a share of the felling's side.
    waves
        How often the edge strays around the outline, from and to: from tens to hundreds of metres.
    """

    unevenness: tuple[float, float] = (2.0, 1.5)
    most_added: int = 3
    most_left: int = 2
    added_side: tuple[float, float] = (0.3, 0.7)
    left_scale: float = 0.8
    turn_deg: float = 15.0
    strays: float = 0.10
    waves: tuple[int, int] = (4, 40)

    def __post_init__(self) -> None:
        if min(self.unevenness) <= 0 or self.strays < 0 or not 0 < self.waves[0] <= self.waves[1] <= _POINTS // 4:
            raise InvalidParameterError(f"A felling's outline needs numbers above 0, and at most {_POINTS // 4} waves.")


def draw_outline(outline: Outline, elongation: float, rng: np.random.Generator) -> Ring:
    """Draw an outline.

    Parameters
    ----------
    outline
        Of which kind.
    elongation
        Length over width, 1 or more; of a felling that of its first parcel.
    rng
        Of the draw.
    """
    match outline:
        case Outline.FELLING:
            return felling(rng, elongation, FellingParams())
        case Outline.PARCEL:
            return parcel(rng, elongation)
        case Outline.ROUNDED:
            return rounded(rng, elongation, FellingParams())


def parcel(rng: np.random.Generator, elongation: float) -> Ring:
    """A rectangle, askew, whose corners may be cut off."""
    half = np.array([elongation, 1.0])
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half + rng.uniform(-0.15, 0.15, (4, 2)) * half.min()
    ring = []
    for index in range(4):
        before, corner, after = corners[index - 1], corners[index], corners[(index + 1) % 4]
        if rng.random() < 0.3:
            cut = rng.uniform(0.1, 0.4)
            ring += [corner + cut * (before - corner), corner + cut * (after - corner)]
        else:
            ring.append(corner)
    return np.array(ring)


def rounded(rng: np.random.Generator, elongation: float, params: FellingParams) -> Ring:
    """A rounded outline with bays, whose edge strays as a felling's does."""
    angles = np.linspace(0, 2 * math.pi, 72, endpoint=False)
    radius = np.ones(angles.size)
    for wave in range(2, 7):
        radius += rng.normal(0, 0.35 / wave) * np.cos(wave * angles + rng.uniform(0, 2 * math.pi))
    radius = np.clip(radius, 0.3, None)
    ring = np.column_stack([radius * np.cos(angles) * math.sqrt(elongation), radius * np.sin(angles)])
    return _uneven(_whole(shapely.Polygon(ring)), rng.beta(*params.unevenness), rng, params)


def felling(rng: np.random.Generator, elongation: float, params: FellingParams) -> Ring:
    """A parcel to which others were added and in whose edge others were left standing, with an edge that strays."""
    unevenness = rng.beta(*params.unevenness)
    whole = _whole(shapely.Polygon(parcel(rng, elongation)))
    side = math.sqrt(whole.area)
    for _ in range(rng.binomial(params.most_added, unevenness)):
        whole = _whole(whole.union(_beside(whole, side, rng, params)))
    for _ in range(rng.binomial(params.most_left, unevenness)):
        rest = whole.difference(_beside(whole, side * params.left_scale, rng, params))
        # What would be left of a small felling is none.
        whole = whole if rest.is_empty else _whole(rest)
    return _uneven(whole, unevenness, rng, params)


def _uneven(ground: shapely.Polygon, unevenness: float, rng: np.random.Generator, params: FellingParams) -> Ring:
    """Outline of a ground with an edge that strays."""
    ring = _strayed(ground.exterior, params.strays * unevenness * math.sqrt(ground.area), params.waves, rng)
    return np.asarray(_whole(shapely.Polygon(ring)).exterior.coords)[:-1]


def _beside(whole: shapely.Polygon, side: float, rng: np.random.Generator, params: FellingParams) -> shapely.Polygon:
    """A parcel about a point of an outline."""
    at = whole.exterior.interpolate(rng.random(), normalized=True)
    other = _whole(shapely.Polygon(parcel(rng, float(np.exp(rng.uniform(0, math.log(4)))))))
    scale = rng.uniform(*params.added_side) * side / math.sqrt(other.area)
    turn = 90 * int(rng.integers(2)) + rng.normal(0, params.turn_deg)
    other = affinity.rotate(affinity.scale(other, scale, scale, origin=(0, 0)), turn, origin=(0, 0))
    return affinity.translate(other, at.x, at.y)


def _whole(ground: shapely.Geometry) -> shapely.Polygon:
    """The largest part of a ground that may cross itself, without holes."""
    parts = shapely.get_parts(shapely.buffer(ground, 0))
    return shapely.Polygon(parts[int(np.argmax(shapely.area(parts)))].exterior)


def _strayed(line: shapely.LinearRing, strays: float, waves: tuple[int, int], rng: np.random.Generator) -> Ring:
    """Points of a line, moved across it by noise whose power falls with the wave's number."""
    places = np.linspace(0, 1, _POINTS, endpoint=False)
    points = shapely.get_coordinates(shapely.line_interpolate_point(line, places, normalized=True))
    number = np.arange(waves[0], waves[1] + 1)[:, np.newaxis]
    height = rng.standard_normal(number.shape) / np.sqrt(number)
    phase = rng.uniform(0, 2 * math.pi, number.shape)
    noise = (height * np.cos(2 * math.pi * number * places + phase)).sum(axis=0)
    noise /= max(float(noise.std()), 1e-9)
    along = np.roll(points, -1, axis=0) - np.roll(points, 1, axis=0)
    across = np.column_stack([along[:, 1], -along[:, 0]]) / np.maximum(np.hypot(*along.T), 1e-9)[:, np.newaxis]
    return np.asarray(points + across * (strays * noise)[:, np.newaxis])
