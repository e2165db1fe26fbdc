"""What the infrared shows of a patch before and after its loss, beside the intact forest around.

Short-wave infrared tells water in leaves and wood, near infrared tells leaves: a felling takes both at once and leaves
bright ground, a fire leaves dark, a drought or an insect takes years, a thinned stand keeps most. Two dates before
the loss are read, two after, and one of a year before, in small windows around the patch and at 20 m alone.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window
from skimage.morphology import isotropic_dilation

from detector.cause.params import EvidenceParams
from detector.patches import Patch
from tiles.clear import CLEAR_CLASSES, OBSCURING_CLASSES, ClearParams, SceneClass, class_table
from tiles.errors import SceneReadError
from tiles.grid import Grid
from tiles.pixel_state import PixelState
from tiles.reader import Reader
from tiles.scene import INFRARED_BANDS, QUANTIFICATION, Band, Scene

# A flood is to be seen, though water is no class of clear forest.
_SEEN = class_table((*CLEAR_CLASSES, SceneClass.WATER))
_OBSCURING = class_table(OBSCURING_CLASSES)


@dataclass(frozen=True)
class Evidence:
    """What is known of how a patch was lost; None is unknown.

    Reflectances are fractions, means over the patch's pixels and dates. NDMI is (B8A - B11) / (B8A + B11) (Gao 1996,
    Remote Sensing of Environment 58, 257), NBR is (B8A - B12) / (B8A + B12) (Key and Benson 2006, USDA Forest Service
    RMRS-GTR-164). Changes are those of the patch less those of the ring of intact forest around, on the same dates.

    Parameters
    ----------
    dates_before, dates_after, dates_earlier
        Clear dates that were read before the loss, after it, and a year before.
    nir_before, nir_after
        B8A.
    swir16_before, swir16_after
        B11.
    swir22_before, swir22_after
        B12.
    ndmi_before, ndmi_after, nbr_before, nbr_after
        Of those.
    ndmi_change, nbr_change
        Between before and after, beside the ring.
    nir_kept, swir16_kept
        B8A and B11 after over before, beside the ring: 1 is no change.
    ndmi_drift
        NDMI's change in the year before the loss, beside the ring.
    ndmi_apart_earlier
        NDMI less the ring's, a year before the loss.
    ring_forest_share
        Share of the ring that is standing forest.
    dating_interval_days
        Days between the last intact and the first low date.
    first_low_doy
        Day of the year of the first low date.
    compactness, rectangularity, elongation
        Shape; see `detector.features`.
    ndvi_after
        NDVI since the loss, all dates.
    """

    dates_before: int = 0
    dates_after: int = 0
    dates_earlier: int = 0
    nir_before: float | None = None
    nir_after: float | None = None
    swir16_before: float | None = None
    swir16_after: float | None = None
    swir22_before: float | None = None
    swir22_after: float | None = None
    ndmi_before: float | None = None
    ndmi_after: float | None = None
    nbr_before: float | None = None
    nbr_after: float | None = None
    ndmi_change: float | None = None
    nbr_change: float | None = None
    nir_kept: float | None = None
    swir16_kept: float | None = None
    ndmi_drift: float | None = None
    ndmi_apart_earlier: float | None = None
    ring_forest_share: float | None = None
    dating_interval_days: float | None = None
    first_low_doy: float | None = None
    compactness: float | None = None
    rectangularity: float | None = None
    elongation: float | None = None
    ndvi_after: float | None = None

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Evidence:
        """Evidence of an alert's field `evidence`; what it does not hold is unknown."""
        return cls(**{each.name: values[each.name] for each in fields(cls) if each.name in values})

    def as_field(self) -> dict[str, float | int | None]:
        """As an alert has it."""
        return asdict(self)


COUNTS = ("dates_before", "dates_after", "dates_earlier")
"""Fields of `Evidence` that count dates."""


@dataclass(frozen=True, eq=False)
class InfraredSource:
    """Images that evidence may be read from.

    Parameters
    ----------
    scenes
        Of the tile, with decided offsets. Those without `INFRARED_BANDS`, or with another grid than their
        classification, say nothing.
    reader
        Reads them. May be called from several threads.
    classes
        Grid of the classification and the infrared, whose pixels are whole ones of the tile's.
    threads
        That read at once.
    """

    scenes: Sequence[Scene]
    reader: Reader
    classes: Grid
    threads: int = 1


@dataclass(frozen=True, eq=False)
class EvidenceRead:
    """Evidence of patches, in their order, and scenes that could not be read for it, with the reasons."""

    evidence: tuple[Evidence, ...]
    unread: Mapping[str, str]


@dataclass(frozen=True)
class Loss:
    """When a patch was lost: the dates that hold the loss between them; see `detector.pixel_groups.date_patches`."""

    last_intact: dt.date | None
    first_low: dt.date


def read_evidence(
    patches: Sequence[Patch],
    losses: Sequence[Loss],
    state: Path,
    source: InfraredSource,
    params: EvidenceParams | None = None,
) -> EvidenceRead:
    """Read what the infrared shows of patches.

    Parameters
    ----------
    patches
        Of one tile.
    losses
        When each was lost.
    state
        The change map's raster of `PixelState`.
    source
        Images.
    params
        Which, and where; defaults where None.

    Returns
    -------
    EvidenceRead
        Infrared fields alone; the caller adds the others.
    """
    params = params or EvidenceParams()
    looks = _Looks(source, state, params)
    cells: dict[tuple[int, int], list[int]] = {}
    for index, patch in enumerate(patches):
        cells.setdefault(looks.cell_of(patch), []).append(index)

    def work(members: Sequence[int]) -> list[tuple[int, Evidence]]:
        return list(looks.in_cell(members, patches, losses))

    found: list[Evidence] = [Evidence()] * len(patches)
    with ThreadPoolExecutor(max(1, source.threads), thread_name_prefix="infrared") as pool:
        for pairs in pool.map(work, [cells[key] for key in sorted(cells)]):
            for index, evidence in pairs:
                found[index] = evidence
    return EvidenceRead(tuple(found), dict(sorted(looks.unread.items())))


def described(evidence: Evidence, features: Mapping[str, float]) -> Evidence:
    """Evidence with what the features tell of shape and dates.

    Parameters
    ----------
    evidence
        Infrared.
    features
        The patch's row of `detector.features`; NaN is unknown.
    """

    def known(name: str) -> float | None:
        value = float(features[name])
        return value if math.isfinite(value) else None

    return replace(
        evidence,
        dating_interval_days=known("dating_interval_days"),
        first_low_doy=known("first_low_doy"),
        compactness=known("compactness"),
        rectangularity=known("rectangularity"),
        elongation=known("elongation"),
        ndvi_after=known("ndvi_after_mean"),
    )


_Values = dict[Band, tuple[float, float | None]]
"""Mean of the patch and of the ring, by band."""


class _Looks:
    """Looks at patches of one tile."""

    def __init__(self, source: InfraredSource, state: Path, params: EvidenceParams) -> None:
        self.reader, self.grid, self.params = source.reader, source.classes, params
        usable = [scene for scene in source.scenes if any(band in scene.hrefs for band in INFRARED_BANDS)]
        self.scenes = sorted(usable, key=lambda scene: (scene.acquired, scene.id))
        self.unread: dict[str, str] = {}
        self._state = state
        with rasterio.open(state) as raster:
            self.pixels_per_class = round(self.grid.pixel_m / abs(raster.transform.a))
        self.cloud_px = ClearParams().margin_px(self.grid.pixel_m)
        self.inner_px = params.ring_from_m / self.grid.pixel_m
        self.outer_px = params.ring_to_m / self.grid.pixel_m

    def cell_of(self, patch: Patch) -> tuple[int, int]:
        """The square that a patch begins in."""
        side = self.params.cell_px * self.pixels_per_class
        return patch.row // side, patch.col // side

    def in_cell(
        self, members: Sequence[int], patches: Sequence[Patch], losses: Sequence[Loss]
    ) -> Iterator[tuple[int, Evidence]]:
        """Evidence of the patches of a square, each with its index."""
        boxes = {index: self._box(patches[index]) for index in members}
        top, left = (min(box[side] for box in boxes.values()) for side in (0, 1))
        bottom, right = (max(box[side] for box in boxes.values()) for side in (2, 3))
        cell = _Cell(self, Window(left, top, right - left, bottom - top))
        forest = self._forest(cell.window)
        for index in members:
            first_row, first_col, last_row, last_col = boxes[index]
            part = (slice(first_row - top, last_row - top), slice(first_col - left, last_col - left))
            core = self._core(patches[index], boxes[index])
            ring = self._ring(core)
            seen = self._evidence(cell, _Place(part, core, ring & forest[part]), losses[index])
            share = float(forest[part][ring].mean()) if ring.any() else None
            yield index, replace(seen, ring_forest_share=share)

    def _box(self, patch: Patch) -> tuple[int, int, int, int]:
        """First row, first column, and those after the last, of a patch and its ring, in pixels of the classes."""
        k, beyond = self.pixels_per_class, math.ceil(self.outer_px)
        rows, cols = patch.mask.shape
        bottom, right = -(-(patch.row + rows) // k) + beyond, -(-(patch.col + cols) // k) + beyond
        height, width = self.grid.shape
        return (
            max(0, patch.row // k - beyond),
            max(0, patch.col // k - beyond),
            min(height, bottom),
            min(width, right),
        )

    def _core(self, patch: Patch, box: tuple[int, int, int, int]) -> NDArray[np.float64]:
        """Share of each pixel of a box that a patch holds."""
        k, (top, left, bottom, right) = self.pixels_per_class, box
        fine = np.zeros(((bottom - top) * k, (right - left) * k))
        rows, cols = patch.mask.shape
        row, col = patch.row - top * k, patch.col - left * k
        # The last pixels of a tile whose side is no whole number of the classes' pixels lie beyond the box.
        room = fine[row : row + rows, col : col + cols]
        room[...] = patch.mask[: room.shape[0], : room.shape[1]]
        return np.asarray(fine.reshape(bottom - top, k, right - left, k).mean(axis=(1, 3)))

    def _ring(self, share: NDArray[np.float64]) -> NDArray[np.bool_]:
        """What lies at the ring's distance from a patch."""
        patch = share > 0
        return _within(patch, self.outer_px) & ~_within(patch, self.inner_px)

    def _forest(self, window: Window) -> NDArray[np.bool_]:
        """Where all of a pixel of the classes is forest that is not lost."""
        k = self.pixels_per_class
        fine = Window(window.col_off * k, window.row_off * k, window.width * k, window.height * k)
        with rasterio.open(self._state) as raster:
            # Beyond the last row or column of the tile nothing is forest.
            states = raster.read(1, window=fine, boundless=True, fill_value=int(PixelState.NOT_FOREST))
        standing = np.isin(states, (PixelState.INTACT, PixelState.UNOBSERVED))
        return np.asarray(standing.reshape(window.height, k, window.width, k).all(axis=(1, 3)))

    def _evidence(self, cell: _Cell, place: _Place, loss: Loss) -> Evidence:
        params, last_intact = self.params, loss.last_intact
        before: list[_Values] = []
        earlier: list[_Values] = []
        if last_intact is not None:
            since = last_intact - dt.timedelta(params.before_days)
            early = [scene for scene in self.scenes if since < scene.day <= last_intact]
            before = self._clear_looks(cell, place, early[::-1], params.dates)
            same_day = last_intact - dt.timedelta(365)
            around = [scene for scene in self.scenes if abs((scene.day - same_day).days) <= params.earlier_within_days]
            around.sort(key=lambda scene: (abs((scene.day - same_day).days), scene.id))
            earlier = self._clear_looks(cell, place, around, 1)
        late = [scene for scene in self.scenes if scene.day >= loss.first_low]
        after = self._clear_looks(cell, place, late, params.dates)
        return _told(before, after, earlier)

    def _clear_looks(self, cell: _Cell, place: _Place, scenes: Sequence[Scene], wanted: int) -> list[_Values]:
        """What the first scenes that show a place clear show of it."""
        looks: list[_Values] = []
        for scene in scenes[: self.params.looked_at]:
            if len(looks) == wanted:
                break
            try:
                values = cell.look(scene, place)
            except SceneReadError as error:
                self.unread[error.scene_id] = error.reason
                continue
            if values:
                looks.append(values)
        return looks


@dataclass(frozen=True, eq=False)
class _Place:
    """A patch in a cell: where, which share of each pixel it holds, and the ring around."""

    part: tuple[slice, slice]
    share: NDArray[np.float64]
    ring: NDArray[np.bool_]


class _Cell:
    """Windows of scenes over some patches, each read once."""

    def __init__(self, looks: _Looks, window: Window) -> None:
        self._looks, self.window = looks, window
        self._clear: dict[str, NDArray[np.bool_]] = {}
        self._bands: dict[tuple[str, Band], NDArray[np.float64] | None] = {}

    def look(self, scene: Scene, place: _Place) -> _Values:
        """Means of a place in a scene; nothing where it is not clear."""
        params = self._looks.params
        clear = self._clear_in(scene)[place.part]
        core = place.share >= params.core_share
        seen = core & clear
        if not core.any() or np.count_nonzero(seen) < params.clear_share * np.count_nonzero(core):
            return {}
        ring = place.ring & clear
        values: _Values = {}
        for band in INFRARED_BANDS:
            layer = self._band(scene, band)
            if layer is None:
                continue
            inside = _mean(layer[place.part], seen, 1)
            if inside is not None:
                values[band] = inside, _mean(layer[place.part], ring, params.ring_px)
        return values

    def _clear_in(self, scene: Scene) -> NDArray[np.bool_]:
        """Where a scene speaks, away from clouds."""
        if scene.id not in self._clear:
            margin, grid = self._looks.cloud_px, self._looks.grid
            top, left = max(0, self.window.row_off - margin), max(0, self.window.col_off - margin)
            bottom = min(grid.shape[0], self.window.row_off + self.window.height + margin)
            right = min(grid.shape[1], self.window.col_off + self.window.width + margin)
            classes = np.zeros((bottom - top, right - left), np.uint8)
            self._looks.reader.read(scene, Band.SCL, Window(left, top, right - left, bottom - top), classes)
            spoilt = _within(_OBSCURING[classes] == 1, margin)
            row, col = self.window.row_off - top, self.window.col_off - left
            clear = (_SEEN[classes] == 1) & ~spoilt
            self._clear[scene.id] = clear[row : row + self.window.height, col : col + self.window.width]
        return self._clear[scene.id]

    def _band(self, scene: Scene, band: Band) -> NDArray[np.float64] | None:
        """Reflectance of a band, NaN without data; None where the scene has it not, or on another grid."""
        key = scene.id, band
        if key not in self._bands:
            self._bands[key] = self._read(scene, band)
        return self._bands[key]

    def _read(self, scene: Scene, band: Band) -> NDArray[np.float64] | None:
        reader = self._looks.reader
        if any(band not in product.hrefs for product in scene.members):
            return None
        if not reader.grid_of(scene, band).same_as(self._looks.grid):
            return None
        numbers = np.zeros((self.window.height, self.window.width), np.uint16)
        reader.read(scene, band, self.window, numbers)
        return np.where(numbers == 0, np.nan, (numbers + float(scene.known_offset)) / QUANTIFICATION)


def _within(mask: NDArray[np.bool_], distance_px: float) -> NDArray[np.bool_]:
    """Pixels at most so far from those of a mask."""
    # Of an empty mask scikit-image measures the distance from a corner.
    return np.asarray(isotropic_dilation(mask, distance_px)) if mask.any() else np.zeros(mask.shape, bool)


def _mean(layer: NDArray[np.float64], where: NDArray[np.bool_], least: int) -> float | None:
    """Mean of what is known; None of fewer than so many pixels."""
    values = layer[where]
    values = values[np.isfinite(values)]
    return float(values.mean()) if values.size >= least else None


def _told(before: Sequence[_Values], after: Sequence[_Values], earlier: Sequence[_Values]) -> Evidence:
    looks = {"before": before, "after": after, "earlier": earlier}
    patch = {when: _means(values, 0) for when, values in looks.items()}
    ring = {when: _means(values, 1) for when, values in looks.items()}
    swir16, swir22 = Band.SWIR16, Band.SWIR22
    ndmi = {when: _apart(_index(patch[when], swir16), _index(ring[when], swir16)) for when in looks}
    nbr = {when: _apart(_index(patch[when], swir22), _index(ring[when], swir22)) for when in looks}
    nir, bright = (
        {when: _over(patch[when].get(band), ring[when].get(band)) for when in looks} for band in (Band.NIR08, swir16)
    )
    return Evidence(
        dates_before=len(before),
        dates_after=len(after),
        dates_earlier=len(earlier),
        nir_before=patch["before"].get(Band.NIR08),
        nir_after=patch["after"].get(Band.NIR08),
        swir16_before=patch["before"].get(swir16),
        swir16_after=patch["after"].get(swir16),
        swir22_before=patch["before"].get(swir22),
        swir22_after=patch["after"].get(swir22),
        ndmi_before=_index(patch["before"], swir16),
        ndmi_after=_index(patch["after"], swir16),
        nbr_before=_index(patch["before"], swir22),
        nbr_after=_index(patch["after"], swir22),
        ndmi_change=_apart(ndmi["after"], ndmi["before"]),
        nbr_change=_apart(nbr["after"], nbr["before"]),
        nir_kept=_over(nir["after"], nir["before"]),
        swir16_kept=_over(bright["after"], bright["before"]),
        ndmi_drift=_apart(ndmi["before"], ndmi["earlier"]),
        ndmi_apart_earlier=ndmi["earlier"],
    )


def _means(looks: Sequence[_Values], which: int) -> dict[Band, float]:
    """Mean over the dates, of the patch (0) or the ring (1), by band; of dates that know it."""
    means = {}
    for band in INFRARED_BANDS:
        known = [value for look in looks if band in look and (value := look[band][which]) is not None]
        if known:
            means[band] = sum(known) / len(known)
    return means


def _index(values: Mapping[Band, float], band: Band) -> float | None:
    """Normalised difference of B8A and a band."""
    nir, other = values.get(Band.NIR08), values.get(band)
    if nir is None or other is None or nir + other <= 0:
        return None
    return (nir - other) / (nir + other)


def _both(one: float | None, other: float | None, act: Callable[[float, float], float | None]) -> float | None:
    return None if one is None or other is None else act(one, other)


def _apart(one: float | None, other: float | None) -> float | None:
    return _both(one, other, lambda a, b: a - b)


def _over(one: float | None, other: float | None) -> float | None:
    return _both(one, other, lambda a, b: a / b if b > 0 else None)
