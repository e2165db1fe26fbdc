"""End-member spectra, and the ground that a disturbance leaves as it changes with time.

A disturbed pixel is a linear mixture (Adams et al. 1995, Remote Sensing of Environment 52, 137) of the forest that
stands and of the ground between: soil, slash, herbs, char, water, snow. The shares follow what field and satellite
studies describe, in numbers that are chosen, not fitted: needles of slash stay green for weeks and brown within a
season; herbs and shrubs cover a cut within one to three growing seasons, fast on rich ground (Schroeder et al. 2011,
Remote Sensing of Environment 115, 1421, on clear-cuts and fires); crowns attacked by bark beetles turn
red-brown, then grey (Wulder et al. 2006, Forest Ecology and Management 221, 27).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.causes import Cause

BAND_NAMES: Final = ("blue", "green", "red", "nir", "nir08", "swir16", "swir22")
"""Bands of the spectra, by the names of `tiles.scene.Band` (Earth Search's)."""

PROSAIL_ENDMEMBERS: Final[Mapping[str, tuple[float, ...]]] = {
    "soil_dry": (0.123, 0.141, 0.17, 0.219, 0.224, 0.285, 0.272),
    "soil_wet": (0.043, 0.049, 0.061, 0.088, 0.091, 0.148, 0.123),
    "slash_green": (0.036, 0.063, 0.045, 0.238, 0.243, 0.198, 0.111),
    "slash_brown": (0.044, 0.071, 0.088, 0.223, 0.235, 0.224, 0.118),
    "grass_green": (0.022, 0.046, 0.021, 0.364, 0.365, 0.199, 0.089),
    "grass_dry": (0.041, 0.084, 0.068, 0.286, 0.298, 0.268, 0.156),
    "leaf_brown": (0.034, 0.074, 0.074, 0.309, 0.33, 0.255, 0.112),
    "shrub": (0.018, 0.037, 0.015, 0.353, 0.357, 0.163, 0.058),
}
"""Reflectance in `BAND_NAMES`, by PROSAIL 5 (PyPI prosail 2.0.5; Jacquemoud et al. 2009, Remote Sensing of Environment
113, S56) and its dry and wet soils: ``python -m scripts.endmembers`` prints it, and holds the leaves and canopies."""

OTHER_ENDMEMBERS: Final[Mapping[str, tuple[float, ...]]] = {
    "char": (0.040, 0.045, 0.050, 0.070, 0.075, 0.110, 0.110),
    "grey_wood": (0.060, 0.080, 0.100, 0.180, 0.185, 0.220, 0.170),
    "water": (0.045, 0.060, 0.050, 0.030, 0.028, 0.010, 0.008),
    "shade": (0.030, 0.030, 0.026, 0.090, 0.090, 0.050, 0.030),
    "snow": (0.850, 0.850, 0.840, 0.780, 0.770, 0.100, 0.080),
    "cloud": (0.480, 0.470, 0.470, 0.500, 0.500, 0.330, 0.220),
}
"""Rounded by hand within what is published, PROSAIL having none of them: char is dark and flat, and no darker in the
short-wave infrared (Lentile et al. 2006, International Journal of Wildland Fire 15, 319); water absorbs all infrared,
a flood carries silt; in the shade of a cloud, forest has the light of the sky alone; snow is bright until 1 um and dark
beyond (Dozier 1989, Remote Sensing of Environment 28, 9)."""


def endmember(name: str) -> NDArray[np.float64]:
    """Reflectance of an end-member: float64, shape (bands,)."""
    return np.array(PROSAIL_ENDMEMBERS.get(name) or OTHER_ENDMEMBERS[name])


@dataclass(frozen=True)
class Ground:
    """What shows in place of the forest, from a date on.

    Parameters
    ----------
    reflectance : ndarray of float64, shape (dates, bands)
        Of the ground, on each date.
    presence : ndarray of float64, shape (dates,)
        Share of the event's own cover fraction that is ground on each date, 0 (not begun, or over) to 1.
    """

    reflectance: NDArray[np.float64]
    presence: NDArray[np.float64]


def season(days: Sequence[dt.date]) -> NDArray[np.float64]:
    """How green herbs are on each date, 0 to 1: up from April to June, down from August to November."""
    doy = np.array([day.timetuple().tm_yday for day in days])
    return np.asarray(np.clip((doy - 85) / 65, 0, 1) * np.clip((320 - doy) / 110, 0, 1))


def ground_after(
    cause: Cause, start: dt.date, days: Sequence[dt.date], moisture: NDArray[np.float64], rng: np.random.Generator
) -> Ground:
    """Draw the ground that an event leaves.

    Parameters
    ----------
    cause
        Of the event; not `Cause.OTHER` nor `Cause.NO_EVENT`.
    start
        First day of it.
    days
        Dates of the series.
    moisture : ndarray of float64, shape (dates,)
        Wetness of soil, 0 to 1: the same over all that is simulated, as rain is.
    rng
        For what differs between events.
    """
    age = np.array([(day - start).days for day in days], float)
    recipe = _RECIPES[cause]
    shares, presence = recipe(age, days, rng)
    soil = moisture[:, None] * endmember("soil_wet") + (1 - moisture[:, None]) * endmember("soil_dry")
    # Soils differ in brightness by half, and so does what lies on them.
    soil = soil * rng.uniform(0.7, 1.3)
    total = np.sum(list(shares.values()), axis=0)
    mixed = np.clip(1 - total, 0, 1)[:, None] * soil
    for name, share in shares.items():
        mixed = mixed + (share / np.maximum(total, 1))[:, None] * endmember(name) * rng.uniform(0.9, 1.1)
    return Ground(mixed, np.where(age >= 0, presence, 0.0) if cause is not Cause.FIELD_EDGE else presence)


_Shares = tuple[dict[str, NDArray[np.float64]], NDArray[np.float64]]


def _regrowth(age: NDArray[np.float64], days: Sequence[dt.date], cover_a_year: float) -> NDArray[np.float64]:
    """Cover of herbs: it grows in growing seasons only, by so much of the bare ground in each."""
    green = season(days)
    grown = np.clip(age, 0, None) / 365 * cover_a_year
    return np.asarray((1 - np.exp(-grown)) * (0.4 + 0.6 * green))


def _clear_cut(age: NDArray[np.float64], days: Sequence[dt.date], rng: np.random.Generator) -> _Shares:
    slash = rng.uniform(0.1, 0.75)
    green_for = rng.uniform(10, 60)
    herbs = _regrowth(age, days, rng.lognormal(-0.3, 0.7))
    fresh = np.exp(-np.clip(age, 0, None) / green_for)
    left = slash * (1 - herbs) * np.exp(-np.clip(age, 0, None) / 900)
    green = season(days)
    shares = {
        "slash_green": left * fresh,
        "slash_brown": left * (1 - fresh),
        "grass_green": herbs * green,
        "grass_dry": herbs * (1 - green),
    }
    return shares, np.ones(age.size)


def _thinning(age: NDArray[np.float64], days: Sequence[dt.date], rng: np.random.Generator) -> _Shares:
    litter = rng.uniform(0.4, 0.9)
    understorey = rng.uniform(0.1, 0.5) * season(days)
    left = litter * (1 - understorey)
    fresh = np.exp(-np.clip(age, 0, None) / 30)
    shares = {"slash_green": left * fresh, "slash_brown": left * (1 - fresh), "shrub": understorey}
    # Crowns close again within some years.
    return shares, np.asarray(np.exp(-np.clip(age, 0, None) / rng.uniform(500, 1500)))


def _dieback(age: NDArray[np.float64], days: Sequence[dt.date], rng: np.random.Generator) -> _Shares:
    red_for = rng.uniform(200, 500)
    grey = 1 - np.exp(-np.clip(age, 0, None) / red_for)
    under = rng.uniform(0.05, 0.35) * season(days)
    shares = {"leaf_brown": (1 - grey) * (1 - under), "grey_wood": grey * (1 - under), "shrub": under}
    # Needles redden over weeks to months.
    return shares, np.asarray(np.clip(age / rng.uniform(40, 200), 0, 1))


def _windthrow(age: NDArray[np.float64], days: Sequence[dt.date], rng: np.random.Generator) -> _Shares:
    # Fallen crowns stay green until they dry.
    fresh = np.exp(-np.clip(age, 0, None) / rng.uniform(30, 150))
    bare = rng.uniform(0.05, 0.35)
    under = rng.uniform(0.0, 0.3) * season(days)
    left = (1 - bare) * (1 - under)
    shares = {"slash_green": left * fresh, "slash_brown": left * (1 - fresh), "shrub": under}
    return shares, np.ones(age.size)


def _fire(age: NDArray[np.float64], days: Sequence[dt.date], rng: np.random.Generator) -> _Shares:
    herbs = _regrowth(age, days, rng.lognormal(-0.2, 0.6))
    washed = np.exp(-np.clip(age, 0, None) / rng.uniform(150, 500))
    char = rng.uniform(0.5, 0.95) * washed * (1 - herbs)
    dead = rng.uniform(0.0, 0.4) * (1 - herbs)
    return {"char": char, "leaf_brown": dead * (1 - char), "grass_green": herbs}, np.ones(age.size)


def _haze(age: NDArray[np.float64], days: Sequence[dt.date], rng: np.random.Generator) -> _Shares:
    """Thin cloud in two cases of three, the shade of a cloud that was not seen in the third."""
    ones = np.ones(len(days))
    if rng.random() < 1 / 3:
        return {"shade": ones}, _passing(age, rng, 8)
    return {"cloud": ones}, _passing(age, rng, 20) * rng.uniform(0.25, 0.7)


def _snow(age: NDArray[np.float64], days: Sequence[dt.date], rng: np.random.Generator) -> _Shares:
    return {"snow": np.ones(len(days))}, _passing(age, rng, 20)


def _passing(age: NDArray[np.float64], rng: np.random.Generator, median_days: float) -> NDArray[np.float64]:
    """On most dates of some days or weeks from the start: fog that hangs in a valley, snow under crowns."""
    lasts = median_days * rng.lognormal(0, 0.7)
    there = (age >= 0) & (age <= lasts) & (rng.random(age.size) < 0.85)
    return np.asarray(there * rng.uniform(0.5, 1.0, age.size))


def _flood(age: NDArray[np.float64], days: Sequence[dt.date], rng: np.random.Generator) -> _Shares:
    lasts = rng.uniform(10, 90)
    silt = rng.uniform(0, 0.3)
    falling = np.clip((lasts - age) / 15, 0, 1)
    # Mud and broken plants stay for a while when the water has gone.
    after = np.where(age > lasts - 15, np.exp(-np.clip(age - lasts, 0, None) / 40), 0) * 0.4
    return {"water": np.full(len(days), 1 - silt) * (falling > 0)}, np.maximum(falling, after)


def _phenology(age: NDArray[np.float64], days: Sequence[dt.date], rng: np.random.Generator) -> _Shares:
    lasts = rng.uniform(25, 100)
    amplitude = np.clip(age / 15, 0.3, 1) * np.clip((lasts - age) / 20, 0, 1)
    return {"leaf_brown": np.full(len(days), 0.9), "grey_wood": np.full(len(days), 0.1)}, amplitude


def _field_edge(age: NDArray[np.float64], days: Sequence[dt.date], rng: np.random.Generator) -> _Shares:
    """A meadow until the start, then stubble and bare soil; the field is there on every date."""
    green = season(days)
    resown_after = rng.uniform(60, 400)
    meadow = np.where(age < 0, 0.6 + 0.35 * green, np.where(age > resown_after, 0.8 * green, 0.05))
    stubble = np.where((age >= 0) & (age <= resown_after), rng.uniform(0, 0.6), 0.0)
    return {"grass_green": meadow, "grass_dry": stubble}, np.ones(age.size)


_RECIPES = {
    Cause.CLEAR_CUT: _clear_cut,
    Cause.THINNING: _thinning,
    Cause.DIEBACK: _dieback,
    Cause.WINDTHROW: _windthrow,
    Cause.FIRE: _fire,
    Cause.HAZE: _haze,
    Cause.PHENOLOGY: _phenology,
    Cause.FIELD_EDGE: _field_edge,
    Cause.SNOW: _snow,
    Cause.FLOOD: _flood,
}
