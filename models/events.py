"""Events that are simulated: their causes, sizes, shapes, dates and cover, drawn at random."""

from __future__ import annotations

import calendar
import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray
from skimage.draw import polygon as fill_polygon
from skimage.filters import gaussian

from models.causes import Cause, month_weights
from models.event_outlines import Outline, draw_outline
from tiles.errors import InvalidParameterError
from tiles.month import Month

_SUPERSAMPLING: Final = 5
"""Cells along a side of a pixel by which its covered share is counted."""
_BLUR_PX: Final = 0.45
"""Standard deviation of the optics' blur, in pixels of 10 m: the modulation of Sentinel-2's 10 m bands, 0.15 to 0.3 at
Nyquist (ESA, Sentinel-2 User Handbook, 2015), is that of a normal curve of 0.49 to 0.62 pixels, half of which is the
pixel's own square, which the shares count already."""
_RECENT_DATES: Final = 3
_MARGIN_PX: Final = 3
"""Pixels around a shape that its blur may reach."""


@dataclass(frozen=True)
class Kind:
    """How events of a cause look.

    Parameters
    ----------
    share
        Of all events.
    median_ha, sigma
        Of the log-normal distribution of areas.
    severity
        Cover that the event takes, from and to.
    texture
        Standard deviation of the cover within the event: even in a felling, uneven in a thinning or a storm.
    outline
        What its outline is like; that of thinnings is as that of fellings, in forests of the same owners.
    elongation
        Length over width, from and to.
    blur_px
        Standard deviation of its edge's softness, in pixels of 10 m, beside the optics'.
    works_days
        Days that machines take to cross it, from and to.
    recent_share
        Of the events, that begin on one of the last three clear dates of their place before the scanned month ends, if
        that is in their season: what passes by itself is told only by scans of its own days, since later dates take it
        back.
    """

    share: float
    median_ha: float
    sigma: float
    severity: tuple[float, float]
    texture: float
    outline: Outline
    elongation: tuple[float, float]
    blur_px: float = 0.0
    works_days: tuple[int, int] = (0, 0)
    recent_share: float = 0.0


KINDS: Final[Mapping[Cause, Kind]] = {
    Cause.CLEAR_CUT: Kind(0.24, 1.4, 0.95, (0.93, 1.0), 0.04, Outline.FELLING, (1.0, 3.0), works_days=(0, 30)),
    Cause.THINNING: Kind(0.09, 2.5, 0.8, (0.25, 0.55), 0.12, Outline.FELLING, (1.0, 2.5), works_days=(0, 30)),
    Cause.DIEBACK: Kind(0.10, 0.9, 0.9, (0.45, 1.0), 0.15, Outline.ROUNDED, (1.0, 2.0), blur_px=0.7),
    Cause.WINDTHROW: Kind(0.09, 1.4, 1.1, (0.45, 1.0), 0.18, Outline.ROUNDED, (1.0, 4.0), blur_px=0.3),
    Cause.FIRE: Kind(0.07, 2.5, 1.2, (0.45, 1.0), 0.12, Outline.ROUNDED, (1.0, 3.0), blur_px=0.3),
    Cause.HAZE: Kind(0.20, 3.0, 0.9, (0.4, 1.0), 0.05, Outline.ROUNDED, (1.0, 3.0), blur_px=2.5, recent_share=0.8),
    Cause.PHENOLOGY: Kind(0.14, 3.0, 0.9, (0.5, 1.0), 0.08, Outline.ROUNDED, (1.0, 2.0), blur_px=1.5, recent_share=0.8),
    Cause.FIELD_EDGE: Kind(0.07, 0.7, 0.6, (0.35, 0.9), 0.08, Outline.PARCEL, (5.0, 14.0)),
    Cause.SNOW: Kind(0.12, 3.0, 0.9, (0.10, 0.50), 0.10, Outline.ROUNDED, (1.0, 3.0), blur_px=1.5, recent_share=0.8),
    Cause.FLOOD: Kind(0.07, 2.0, 1.0, (0.50, 1.0), 0.10, Outline.ROUNDED, (1.5, 5.0), blur_px=0.5, recent_share=0.5),
}
"""What is drawn.

Sizes are log-normal, as patches of disturbance are. Europe's have a mean of 1.09 ha, felled and other together (Senf &
Seidl 2021, Nature Sustainability 4, 63): clear-cuts here have a median of 1.4 and a mean of 2.2 ha, since what is far
under half a hectare is not looked for; the spread of each cause is chosen. Of the stand-replacing agents, DISFOR's
labels have 575 clear-cuts, 527 diebacks, 424 windthrows, 337 fires and 251 thinnings, a sample that was stratified by
agent: the shares follow their order, with causes that are no disturbance added in the numbers that a classifier needs
to see. They say nothing of how often each happens."""


@dataclass(frozen=True)
class EventParams:
    """Limits of what is drawn.

    Parameters
    ----------
    min_ha, max_ha
        Smallest and largest event; others are drawn again.
    kinds
        By cause.
    """

    min_ha: float = 0.2
    max_ha: float = 30.0
    kinds: Mapping[Cause, Kind] = field(default_factory=lambda: KINDS)

    def __post_init__(self) -> None:
        if not 0 < self.min_ha < self.max_ha:
            raise InvalidParameterError(f"Sizes must rise from above 0, not {self.min_ha} to {self.max_ha} ha.")


@dataclass(frozen=True, eq=False)
class EventShape:
    """Where an event is, on pixels of 10 m of its own bounding box.

    Parameters
    ----------
    area_ha
        Of the outline.
    cover : ndarray of float32, shape (rows, cols)
        Share of each pixel that changes: edges are mixed, with a margin for the optics' blur.
    inside : ndarray of bool, shape (rows, cols)
        Pixels of which the outline covers half or more.
    delay_days : ndarray of int16, shape (rows, cols)
        Days after the event's first until each pixel is reached.
    """

    area_ha: float
    cover: NDArray[np.float32]
    inside: NDArray[np.bool_]
    delay_days: NDArray[np.int16]


def draw_cause(params: EventParams, rng: np.random.Generator) -> Cause:
    """Draw a cause, by the shares of its kind."""
    causes = list(params.kinds)
    shares = np.array([params.kinds[cause].share for cause in causes])
    return causes[int(rng.choice(len(causes), p=shares / shares.sum()))]


def draw_date(
    cause: Cause,
    last_month: Month,
    rng: np.random.Generator,
    recent_share: float = 0.0,
    clear_days: Sequence[dt.date] = (),
) -> dt.date:
    """Draw a day in the twelve months up to `last_month`, each of which occurs once.

    Parameters
    ----------
    cause
        Whose months weigh.
    last_month
        That is scanned.
    rng
        Of the draw.
    recent_share
        Probability of one of the last `clear_days` in its season instead.
    clear_days
        Days on which the place is seen, up to the end of the month, oldest first.
    """
    months = [last_month.shifted(back) for back in range(-11, 1)]
    weights = np.array([month_weights(cause)[month.first_day.month - 1] for month in months])
    recent = [day for day in clear_days[-_RECENT_DATES:] if month_weights(cause)[day.month - 1] > 0]
    if recent and rng.random() < recent_share:
        return recent[int(rng.integers(len(recent)))]
    month = months[int(rng.choice(12, p=weights / weights.sum()))].first_day
    return month.replace(day=int(rng.integers(1, calendar.monthrange(month.year, month.month)[1] + 1)))


def draw_shape(cause: Cause, params: EventParams, rng: np.random.Generator, area_ha: float | None = None) -> EventShape:
    """Draw a size, where none is given, and a shape.

    Parameters
    ----------
    cause
        Whose kind it is.
    params
        Kinds and limits.
    rng
        Of the draw.
    area_ha
        Size wanted.
    """
    kind = params.kinds[cause]
    if area_ha is None:
        area_ha = draw_area(kind, params, rng)
    elongation = float(np.exp(rng.uniform(*np.log(kind.elongation))))
    ring = draw_outline(kind.outline, elongation, rng)
    angle = rng.uniform(0, 2 * math.pi)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    # A hectare is 100 pixels of 10 m.
    ring = ring @ turn.T * math.sqrt(100 * area_ha / shapely.Polygon(ring).area)
    ring = ring - ring.min(axis=0) + rng.random(2) + _MARGIN_PX
    share = _covered(ring)
    edge = math.hypot(_BLUR_PX, kind.blur_px)
    soft = gaussian(share, edge, mode="constant", preserve_range=True)
    severity = rng.uniform(*kind.severity)
    grain = gaussian(rng.standard_normal(share.shape), 1.2, preserve_range=True)
    grain = grain / max(float(grain.std()), 1e-9) * kind.texture
    cover = np.clip(severity + grain, 0, 1) * soft
    return EventShape(area_ha, cover.astype(np.float32), share >= 0.5, _delays(share.shape, kind, rng))


def draw_area(kind: Kind, params: EventParams, rng: np.random.Generator) -> float:
    """Draw hectares, within the limits."""
    while True:
        area_ha = float(kind.median_ha * math.exp(kind.sigma * rng.standard_normal()))
        if params.min_ha <= area_ha <= params.max_ha:
            return area_ha


def _covered(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of each pixel that lies in an outline."""
    cols, rows = np.ceil(ring.max(axis=0)).astype(int) + _MARGIN_PX
    fine = np.zeros((rows * _SUPERSAMPLING, cols * _SUPERSAMPLING))
    # Cells are counted by their centres.
    at = ring * _SUPERSAMPLING - 0.5
    fine[fill_polygon(at[:, 1], at[:, 0], fine.shape)] = 1
    return np.asarray(fine.reshape(rows, _SUPERSAMPLING, cols, _SUPERSAMPLING).mean(axis=(1, 3)))


def _delays(shape: tuple[int, ...], kind: Kind, rng: np.random.Generator) -> NDArray[np.int16]:
    """Days until the works reach each pixel: they go from one side to the other."""
    days = int(rng.integers(kind.works_days[0], kind.works_days[1] + 1))
    angle = rng.uniform(0, 2 * math.pi)
    rows, cols = np.indices(shape)
    along = rows * math.sin(angle) + cols * math.cos(angle)
    span = float(along.max() - along.min()) or 1.0
    return np.asarray(np.rint((along - along.min()) / span * days), np.int16)
