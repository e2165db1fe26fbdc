"""What a month's state maps say of pieces of ground."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import rasterio.errors
import rasterio.features
import shapely
from numpy.typing import NDArray
from rasterio.windows import Window

from detector.outlines import Geometries, from_wgs84
from tiles.change import PixelState
from tiles.errors import StateError
from tiles.grid import Grid


@dataclass(frozen=True)
class StateMaps:
    """Answers from the state maps of a month's tiles; see `detector.tracking.Ground`.

    Ground that several tiles show is counted on each: what one has seen under another's cloud counts.

    Parameters
    ----------
    paths
        ``state_<tile>_<month>.tif`` of each tile.
    """

    paths: Sequence[Path]

    def count_states(self, outlines: Geometries) -> NDArray[np.int64]:
        """Pixels of each `PixelState` whose centres lie in each outline.

        Parameters
        ----------
        outlines
            object (n,). Polygons, WGS 84, longitude first.

        Returns
        -------
        counts
            int64 (n, 5), by the value of the state; zeros where no tile lies.

        Raises
        ------
        tiles.errors.StateError
            When a map cannot be read.
        """
        counts = np.zeros((len(outlines), len(PixelState)), np.int64)
        if not len(outlines):
            return counts
        bounds = shapely.bounds(outlines)
        for path in sorted(self.paths):
            try:
                with rasterio.open(path) as dataset:
                    grid = Grid(dataset.crs, dataset.transform, (dataset.height, dataset.width))
                    west, south, east, north = grid.bounds_wgs84()
                    here = np.flatnonzero(
                        (bounds[:, 0] < east) & (bounds[:, 2] > west) & (bounds[:, 1] < north) & (bounds[:, 3] > south)
                    )
                    for at, outline in zip(here, from_wgs84(outlines[here], grid.crs), strict=True):
                        window = grid.window_over(shapely.bounds(outline).tolist())
                        if window is not None:
                            counts[at] += _count(dataset.read(1, window=window), outline, grid, window)
            except (rasterio.errors.RasterioError, OSError) as error:
                raise StateError(f"{path} cannot be read ({error}): restore it, or scan the month again.") from error
        return counts


def _count(states: NDArray[np.uint8], outline: shapely.Geometry, grid: Grid, window: Window) -> NDArray[np.int64]:
    inside = rasterio.features.geometry_mask([outline], states.shape, grid.window_transform(window), invert=True)
    return np.bincount(states[inside], minlength=len(PixelState))[: len(PixelState)].astype(np.int64)
