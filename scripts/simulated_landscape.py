"""The SIMULATED ground and sky of `scripts.simulated_tile`: forest, parcels, clouds, made strip by strip."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_TEXTURE_PX: Final = 1024
_CLOUD_CELL_PX: Final = 8  # of 20 m: clouds have no detail under 160 m
_PARCEL_PX: Final = (24, 36)
# Chosen for the compression ratio of real bands, about 2.
_RED_TEXTURE_DN: Final = np.float32(10)
_NIR_TEXTURE_DN: Final = np.float32(18)
_RED_NOISE_DN: Final = np.float32(5)
_NIR_NOISE_DN: Final = np.float32(6)

Floats = NDArray[np.float32]


class Landscape:
    """What stays from date to date: where forest and parcels are, and their texture.

    Everything is looked up in small periodic textures, so that any strip of a tile of any size can be made
    alone.
    """

    def __init__(self, size_px: int, seed: int, forest_share: float) -> None:
        rng = np.random.default_rng([seed, 0])
        self.size_px = size_px
        self.seed = seed
        self.relief = _fractal(rng, _TEXTURE_PX, 1.6)
        self.canopy = _fractal(rng, _TEXTURE_PX, 0.7)
        self.white = rng.standard_normal((_TEXTURE_PX, _TEXTURE_PX), dtype=np.float32)
        self.massifs = _fractal(rng, 512, 1.5)
        parcels = [size_px // step + 1 for step in _PARCEL_PX]
        self.parcel_tone = rng.uniform(-1, 1, parcels).astype(np.float32)
        self.parcel_phase = rng.uniform(0, 2 * np.pi, parcels).astype(np.float32)
        sampled = np.concatenate([self._woodiness(row, 1) for row in range(0, size_px, max(1, size_px // 256))])
        self.threshold = np.quantile(sampled, 1 - forest_share) if forest_share < 1 else -np.inf

    def _woodiness(self, top: int, rows: int) -> Floats:
        massifs = _stretched(self.massifs, 32, (top, 0), (rows, self.size_px))
        return massifs + np.float32(0.8) * _wrapped(self.relief, (top, 0), (rows, self.size_px))

    def forest(self, top: int, rows: int) -> NDArray[np.bool_]:
        """Forest before any felling, shape (rows, size_px)."""
        return self._woodiness(top, rows) > self.threshold

    def reflectance(
        self, day: date, top: int, forest: NDArray[np.bool_], felled: NDArray[np.bool_]
    ) -> tuple[Floats, Floats]:
        """Red and near infrared of a strip in clear weather, without the sensor's noise, as DN."""
        rows = forest.shape[0]
        angle = np.float32(2 * np.pi * (day.timetuple().tm_yday - 15) / 365)
        summer = np.float32(0.5 - 0.5 * np.cos(angle))
        down = np.arange(top, top + rows) // _PARCEL_PX[0]
        across = np.arange(self.size_px) // _PARCEL_PX[1]
        # Parcels are few: their colours are computed once each, then spread over their pixels.
        tone, green = self.parcel_tone, 0.5 + 0.5 * np.sin(angle + self.parcel_phase)
        red = _spread(1400 - 900 * green + 200 * tone, down, across)
        nir = _spread(2100 + 1500 * green + 300 * tone, down, across)
        red[forest] = 420 - 160 * summer
        nir[forest] = 2300 + 900 * summer
        red[felled] = 1250
        nir[felled] = 2000
        canopy = _wrapped(self.canopy, (top, 0), (rows, self.size_px))
        red += _RED_TEXTURE_DN * canopy
        canopy *= _NIR_TEXTURE_DN
        nir += canopy
        return red, nir


@dataclass(frozen=True)
class Sky:
    """Clouds of one date: their thickness on a coarse grid, and where their shadows fall."""

    thickness: Floats
    shadow_to_cloud_px: tuple[int, int]  # rows and columns of 20 m: the sun stands in the south-east

    @classmethod
    def of(cls, rng: np.random.Generator, size_px: int, cloud_share: float) -> Sky:
        """Draw the clouds of a date whose share is between none and twice the mean."""
        cells = size_px // 2 // _CLOUD_CELL_PX + 2
        field = _fractal(rng, 1 << (cells + 8).bit_length(), 1.7)[:cells, :cells]
        share = min(float(rng.uniform(0, 2 * cloud_share)), 0.97)
        thickness = (field - np.quantile(field, 1 - share)) * 2 if share else np.full_like(field, -1)
        return cls(thickness.astype(np.float32), (int(rng.integers(4, 20)), int(rng.integers(2, 12))))

    def strip(self, top: int, rows: int, columns: int) -> tuple[Floats, NDArray[np.bool_]]:
        """Opacity (0..1) and shadow of a strip of 20 m pixels."""
        opacity = _stretched(self.thickness, _CLOUD_CELL_PX, (top, 0), (rows, columns))
        np.clip(opacity, 0, 1, out=opacity)
        down, across = self.shadow_to_cloud_px
        caster = _stretched(self.thickness, _CLOUD_CELL_PX, (top + down, across), (rows, columns))
        return opacity, (caster > 0.2) & (opacity == 0)


def scene_strip(
    land: Landscape,
    sky: Sky,
    day: date,
    top: int,
    wooded: NDArray[np.bool_],
    felled: NDArray[np.bool_],
    rng: np.random.Generator,
) -> tuple[NDArray[np.uint16], NDArray[np.uint16], NDArray[np.uint8]]:
    """Red, near infrared and scene classification of a strip, as a file holds them.

    Parameters
    ----------
    land, sky, day
        What is seen, through what, and when.
    top
        First row of the strip, even.
    wooded, felled
        Forest before any felling, and what of it is felled, shape (rows, columns) of 10 m.
    rng
        For the sensor's noise.

    Returns
    -------
    tuple of ndarray
        Two bands of DN at 10 m, and classes at 20 m.
    """
    rows, columns = wooded.shape
    red, nir = land.reflectance(day, top, wooded, felled)
    opacity, shadow = sky.strip(top // 2, rows // 2, columns // 2)
    # Green where the near infrared is over two and a half times the red: an NDVI of about 0.43.
    scl = np.where(nir[::2, ::2] > 2.5 * red[::2, ::2], 4, 5).astype(np.uint8)
    scl[shadow] = 3
    for least, scl_class in ((0.0, 10), (0.2, 8), (0.6, 9)):
        scl[opacity > least] = scl_class
    light = np.where(shadow, np.float32(0.55), 1 - opacity)
    for band, cloud_dn, noise_dn in ((red, 5200, _RED_NOISE_DN), (nir, 5600, _NIR_NOISE_DN)):
        band *= _doubled(light)
        band += _doubled(np.float32(cloud_dn) * opacity)
        noise = _wrapped(land.white, tuple(rng.integers(0, _TEXTURE_PX, 2)), (rows, columns))
        noise *= noise_dn
        band += noise
        np.clip(band, 1, 65535, out=band)
    return red.astype(np.uint16), nir.astype(np.uint16), scl


def _fractal(rng: np.random.Generator, size: int, slope: float) -> Floats:
    """Periodic noise, mean 0 and deviation 1, whose amplitude falls as frequency to the power `slope`."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal((size, size))) / frequency**slope
    field = np.fft.irfft2(spectrum, s=(size, size))
    scaled: Floats = (field / field.std()).astype(np.float32)
    return scaled


def _wrapped(texture: Floats, corner: tuple[int, int], shape: tuple[int, int]) -> Floats:
    """Window of a periodic texture."""
    return _spread(texture, *(np.arange(start, start + count) for start, count in zip(corner, shape, strict=True)))


def _spread(table: NDArray[Any], down: NDArray[np.intp], across: NDArray[np.intp]) -> Floats:
    """Value of a table for each row and column index, wrapped around, shape (down, across)."""
    picked = table.astype(np.float32, copy=False).take(down, axis=0, mode="wrap")
    wide: Floats = picked.take(across, axis=1, mode="wrap")
    return wide


def _stretched(field: Floats, cell_px: int, corner: tuple[int, int], shape: tuple[int, int]) -> Floats:
    """Bilinear enlargement of a periodic field whose cells are `cell_px` wide: a window of it."""
    values = field
    for axis, (start, count) in enumerate(zip(corner, shape, strict=True)):
        place = np.arange(start, start + count, dtype=np.float32) / cell_px
        cell = place.astype(np.intp)
        weight = (place - cell).reshape((-1, 1) if axis == 0 else (1, -1))
        low = values.take(cell, axis=axis, mode="wrap")
        high = values.take(cell + 1, axis=axis, mode="wrap")
        high -= low
        high *= weight
        values = low
        values += high
    return values


def _doubled(coarse: Floats) -> Floats:
    """Each pixel of 20 m as four of 10 m."""
    return np.repeat(np.repeat(coarse, 2, axis=0), 2, axis=1)
