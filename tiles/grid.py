"""The pixel grid of a tile, and the windows that it is worked through in."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import rasterio.warp
from affine import Affine
from rasterio.crs import CRS
from rasterio.windows import Window


@dataclass(frozen=True)
class Grid:
    """Where the pixels of a raster lie.

    Parameters
    ----------
    crs
        Projected coordinate reference system.
    transform
        From (column, row) of a pixel's upper-left corner to (x, y), in metres.
    shape
        Rows and columns.
    """

    crs: CRS
    transform: Affine
    shape: tuple[int, int]

    @property
    def pixel_m(self) -> float:
        """Side of a pixel, in metres."""
        return float(abs(self.transform.a))

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, bottom, right, top, in the units of the CRS."""
        rows, cols = self.shape
        return self._corners(0, 0, cols, rows)

    def bounds_wgs84(self) -> tuple[float, float, float, float]:
        """West, south, east, north, in degrees."""
        west, south, east, north = rasterio.warp.transform_bounds(self.crs, "EPSG:4326", *self.bounds)
        return west, south, east, north

    def coarser(self, times: int) -> Grid:
        """The grid of the same corner whose pixels are so many times as wide; the last ones may reach beyond."""
        a, b, c, d, e, f = self.transform[:6]
        rows, cols = (-(-side // times) for side in self.shape)
        return Grid(self.crs, Affine(a * times, b * times, c, d * times, e * times, f), (rows, cols))

    def same_as(self, other: Grid) -> bool:
        """Whether both grids have the same pixels (to a thousandth of one)."""
        return (
            self.shape == other.shape
            and self.crs == other.crs
            and bool(np.allclose(self.transform[:6], other.transform[:6], rtol=0, atol=1e-3 * self.pixel_m))
        )

    def window_transform(self, window: Window) -> Affine:
        """Transform of a window's own (column, row) to (x, y)."""
        # Written out: the operator for it differs between affine 2 and 3.
        a, b, c, d, e, f = self.transform[:6]
        col, row = window.col_off, window.row_off
        return Affine(a, b, c + a * col + b * row, d, e, f + d * col + e * row)

    def centre_of(self, row: int, col: int) -> tuple[float, float]:
        """(x, y) of the centre of a pixel."""
        a, b, c, d, e, f = self.transform[:6]
        return a * (col + 0.5) + b * (row + 0.5) + c, d * (col + 0.5) + e * (row + 0.5) + f

    def window_over(self, bounds: Sequence[float]) -> Window | None:
        """The smallest window that holds an area; None where they do not meet.

        Parameters
        ----------
        bounds
            Left, bottom, right, top, in the units of the CRS.
        """
        rows, cols = self.shape
        left, bottom, right, top = bounds
        if not all(math.isfinite(edge) for edge in bounds):
            return None
        a, b, c, d, e, f = (~self.transform)[:6]
        corners = [(a * x + b * y + c, d * x + e * y + f) for x in (left, right) for y in (bottom, top)]
        # A thousandth of a pixel: an area that ends on a pixel's edge is not to take in the next one for rounding.
        first_col = max(0, math.floor(min(col for col, _ in corners) + 1e-3))
        last_col = min(cols, math.ceil(max(col for col, _ in corners) - 1e-3))
        first_row = max(0, math.floor(min(row for _, row in corners) + 1e-3))
        last_row = min(rows, math.ceil(max(row for _, row in corners) - 1e-3))
        if first_col >= last_col or first_row >= last_row:
            return None
        return Window(first_col, first_row, last_col - first_col, last_row - first_row)

    def window_bounds(self, window: Window) -> tuple[float, float, float, float]:
        """Left, bottom, right, top of a window."""
        left, top = window.col_off, window.row_off
        return self._corners(left, top, left + window.width, top + window.height)

    def _corners(self, left: float, top: float, right: float, bottom: float) -> tuple[float, float, float, float]:
        a, b, c, d, e, f = self.transform[:6]
        x = [a * col + b * row + c for col, row in ((left, top), (right, bottom))]
        y = [d * col + e * row + f for col, row in ((left, top), (right, bottom))]
        return min(x), min(y), max(x), max(y)

    def windows(self, side_px: int) -> Iterator[Window]:
        """Square windows over the whole grid, row by row; those at the far edges are smaller."""
        rows, cols = self.shape
        for row in range(0, rows, side_px):
            for col in range(0, cols, side_px):
                yield Window(col, row, min(side_px, cols - col), min(side_px, rows - row))

    def __str__(self) -> str:
        rows, cols = self.shape
        code = self.crs.to_epsg()
        name = f"EPSG:{code}" if code else self.crs.to_string()[:40]
        return f"{name}, {cols} x {rows} pixels of {self.pixel_m:g} m"
