"""Whether a scene's digital numbers carry ESA's offset of 1000, decided from its pixels where its item does not say.

Vegetation is dark in red, where chlorophyll absorbs: the dark-target methods of atmospheric correction, Sen2Cor's own
among them, rest on a red surface reflectance of 0.01 to 0.06 there (Kaufman et al. 1997, "The MODIS 2.1-um channel":
half of the reflectance at 2.1 um, of targets below 0.1 to 0.15). The darkest hundredth of the pixels that the scene
classification calls vegetation thus has digital numbers of 100 to 600 without the offset, and of 1100 to 1600 with it;
it is not negative, since a hundredth of a large area is more than its deepest shadows.

Measured without the offset: 126 to 208 on three real scenes of tile 33TWL (one of them 69 % cloud), and 10 to 385 on 96
of the 97 dates of the demo's square kilometre that show enough vegetation. On the other, a haze that the classification
does not see adds 0.1 to every pixel: 1011, as if the offset were there. So the sample is spread over the tile, which no
such haze covers, and what lies between the two ranges is not decided.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from tiles.errors import InvalidParameterError, SceneError
from tiles.grid import Grid
from tiles.reader import Reader
from tiles.scene import ESA_OFFSET, QUANTIFICATION, Band, Scene

VEGETATION = 4
"""The scene classification's class of vegetation (Sentinel-2 Products Specification Document)."""

_LATTICE = 5
_STRIDE = 7
"""Steps over the lattice's 25 places: prime to them, so that each is met once, far from the one before."""


@dataclass(frozen=True)
class OffsetParams:
    """How an offset is decided from pixels.

    Parameters
    ----------
    window_px
        Side of a sampled window, in pixels of the red band: the largest block of the archives known.
    windows
        Windows that are to show vegetation (all, where a raster has fewer); red is read of them and of hardly more.
        Three take some 4 MB, and the classes, of at most 25 places, are small.
    min_pixels
        Vegetation pixels for a window to count: 10 ha, so that ten pixels are darker than the percentile.
    percentile
        Which of the pixels speak: low enough for the darkest vegetation, high enough for no single fault.
    darkest
        Least and most red reflectance of that percentile. The module says why; the most is halfway between what is
        seen and what the offset would add, the least keeps out the haze that was met.
    """

    window_px: int = 1024
    windows: int = 3
    min_pixels: int = 1000
    percentile: float = 1.0
    darkest: tuple[float, float] = (0.002, 0.07)

    def __post_init__(self) -> None:
        if self.window_px < 1 or self.windows < 1 or self.min_pixels < 1 or not 0 <= self.percentile <= 100:
            raise InvalidParameterError("windows, their side and their pixels are positive, a percentile is 0 to 100.")


@dataclass(frozen=True)
class OffsetSeen:
    """An offset, and what it was decided from, as a phrase for the record."""

    dn_offset: int
    evidence: str


def decide_offset(scene: Scene, reader: Reader, params: OffsetParams | None = None) -> OffsetSeen:
    """Decide a scene's offset from a sample of its pixels.

    Parameters
    ----------
    scene
        One product; its parts are not looked at.
    reader
        Gives its pixels.
    params
        How.

    Returns
    -------
    OffsetSeen
        0 or -1000.

    Raises
    ------
    SceneError
        When too little vegetation is seen, or it is as dark as neither; the figure is in the reason.
    SceneReadError
        When its pixels cannot be read.
    """
    params = params or OffsetParams()
    (scene, *_) = scene.members
    red_grid, scl_grid = reader.grid_of(scene, Band.RED), reader.grid_of(scene, Band.SCL)
    places = _places(red_grid, params.window_px)
    wanted = min(params.windows, len(places))
    samples: list[NDArray[np.uint16]] = []
    for place in places:
        sample = _vegetation(scene, reader, place, red_grid, scl_grid, params.min_pixels)
        if sample is not None:
            samples.append(sample)
        if len(samples) == wanted:
            break
    unsure = "its item does not say whether its digital numbers carry an offset of 1000, and its pixels do not tell"
    if len(samples) < wanted:
        raise SceneError(
            scene.id, f"{unsure} ({len(samples)} of {len(places)} sampled places show vegetation, not {wanted})"
        )
    darkest = float(np.percentile(np.concatenate(samples), params.percentile))
    pixels = sum(sample.size for sample in samples)
    said = f"p{params.percentile:g} = {darkest:.0f} over {pixels} pixels of vegetation in red"
    least, most = (share * QUANTIFICATION for share in params.darkest)
    if 0 < darkest <= most:
        dn_offset = 0
    elif least <= darkest + ESA_OFFSET <= most:
        dn_offset = ESA_OFFSET
    else:
        raise SceneError(scene.id, f"{unsure} ({said}); it is set aside")
    return OffsetSeen(dn_offset, f"offset {dn_offset} decided from pixels: {said}")


def _vegetation(
    scene: Scene, reader: Reader, place: Window, red_grid: Grid, scl_grid: Grid, least: int
) -> NDArray[np.uint16] | None:
    """Red digital numbers of a window's vegetation; None, and red is not read, where there is too little."""
    size = max(1, round(scl_grid.pixel_m / red_grid.pixel_m))
    top, left = place.row_off // size, place.col_off // size
    bottom, right = -(-(place.row_off + place.height) // size), -(-(place.col_off + place.width) // size)
    classes = np.empty((bottom - top, right - left), np.uint8)
    reader.read(scene, Band.SCL, Window(left, top, right - left, bottom - top), classes)
    if np.count_nonzero(classes == VEGETATION) * size**2 < least:
        return None
    red = np.empty((place.height, place.width), np.uint16)
    reader.read(scene, Band.RED, place, red)
    row, col = place.row_off - top * size, place.col_off - left * size
    fine = (classes == VEGETATION).repeat(size, 0).repeat(size, 1)[row:, col:][: place.height, : place.width]
    seen = red[fine & (red > 0)]
    return seen if seen.size >= least else None


def _places(grid: Grid, side_px: int) -> list[Window]:
    """Windows on the raster's blocks, spread over it: the first few are far from each other already."""
    rows, cols = grid.shape
    down, across = -(-rows // side_px), -(-cols // side_px)
    order = [(_LATTICE**2 // 2 + _STRIDE * step) % _LATTICE**2 for step in range(_LATTICE**2)]
    # The same window is met twice where there are fewer than five a side.
    at = dict.fromkeys(
        (int((place // _LATTICE + 0.5) * down / _LATTICE), int((place % _LATTICE + 0.5) * across / _LATTICE))
        for place in order
    )
    return [
        Window(col * side_px, row * side_px, min(side_px, cols - col * side_px), min(side_px, rows - row * side_px))
        for row, col in at
    ]
