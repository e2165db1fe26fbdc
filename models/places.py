"""Blocks of ground by which real training rows are split."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

BLOCK_KM = 10
"""Side of a block: that of the European grid's cells, and well beyond the length over which stands are alike."""


def block_names(longitude: NDArray[np.float64], latitude: NDArray[np.float64]) -> list[str]:
    """Cell of each point in the 10 km grid of the European Environment Agency (EPSG:3035), such as ``10kmE352N235``.

    Parameters
    ----------
    longitude, latitude : ndarray of float64
        Degrees, WGS 84.
    """
    east, north = Transformer.from_crs(4326, 3035, always_xy=True).transform(longitude, latitude)
    side = BLOCK_KM * 1000
    return [f"10kmE{math.floor(e / side)}N{math.floor(n / side)}" for e, n in zip(east, north, strict=True)]
