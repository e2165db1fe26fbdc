"""Prints the table of end-member spectra that `models.spectra` keeps, from PROSAIL: ``python -m scripts.endmembers``.

PROSAIL (PyPI ``prosail``, version 2) is needed for this alone, in any environment: the simulation reads the table.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from models.spectra import BAND_NAMES
from tiles.errors import MissingDependencyError

#: Centre and width in nm of Sentinel-2A's bands (ESA, Sentinel-2 User Handbook, 2015): box filters stand for the
#: responses, which the mixtures' own spread makes fine enough.
BAND_NM: Final[Mapping[str, tuple[float, float]]] = {
    "blue": (490, 65),
    "green": (560, 35),
    "red": (665, 30),
    "nir": (842, 115),
    "nir08": (865, 20),
    "swir16": (1610, 90),
    "swir22": (2190, 180),
}
#: N, chlorophyll, carotenoids (ug/cm2), brown pigments, water, dry matter (g/cm2), LAI, soil brightness, dry soil's
#: share.
RECIPES: Final[Mapping[str, tuple[float, float, float, float, float, float, float, float, float]]] = {
    "soil_dry": (1.5, 40, 8, 0.0, 0.012, 0.006, 0.001, 0.65, 0.8),
    "soil_wet": (1.5, 40, 8, 0.0, 0.012, 0.006, 0.001, 0.65, 0.2),
    "slash_green": (1.8, 30, 8, 0.3, 0.009, 0.012, 1.2, 0.65, 0.5),
    "slash_brown": (2.0, 3, 3, 1.2, 0.002, 0.015, 1.5, 0.65, 0.5),
    "grass_green": (1.5, 40, 8, 0.0, 0.012, 0.005, 2.5, 0.65, 0.5),
    "grass_dry": (1.8, 8, 4, 0.7, 0.004, 0.006, 1.8, 0.65, 0.6),
    "leaf_brown": (2.0, 5, 4, 1.0, 0.004, 0.010, 4.0, 0.5, 0.4),
    "shrub": (1.6, 45, 9, 0.1, 0.014, 0.010, 3.5, 0.5, 0.4),
}
_GEOMETRY: Final = {"hspot": 0.1, "tts": 40.0, "tto": 5.0, "psi": 90.0}


def endmember(name: str) -> tuple[float, ...]:
    """Reflectance of a recipe in the bands of `models.spectra.BAND_NAMES`, to three decimals.

    Raises
    ------
    MissingDependencyError
        Without prosail.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import prosail
        except ImportError as error:
            raise MissingDependencyError(
                "The end-members are computed by the package prosail, which is not installed: `pip install prosail`."
            ) from error
        n, cab, car, cbrown, cw, cm, lai, rsoil, psoil = RECIPES[name]
        leaves: dict[str, Any] = {"typelidf": 1, "lidfb": -0.15, "prospect_version": "5"}
        spectrum = prosail.run_prosail(
            n, cab, car, cbrown, cw, cm, lai, -0.35, *_GEOMETRY.values(), rsoil=rsoil, psoil=psoil, **leaves
        )
    wavelength_nm = np.arange(400, 2501)
    means = []
    for band in BAND_NAMES:
        centre, width = BAND_NM[band]
        means.append(float(spectrum[np.abs(wavelength_nm - centre) <= width / 2].mean()))
    return tuple(round(mean, 3) for mean in means)


def main() -> None:
    """Print the table as it stands in `models.spectra`."""
    for name in RECIPES:
        print(f'    "{name}": {endmember(name)},')


if __name__ == "__main__":
    main()
