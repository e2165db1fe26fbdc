"""Codes of INSEE's Code officiel géographique: which département a commune is in, which region a département is in."""

from __future__ import annotations

_DEPARTEMENTS_OF_REGION = {
    "11": "75 77 78 91 92 93 94 95",
    "24": "18 28 36 37 41 45",
    "27": "21 25 39 58 70 71 89 90",
    "28": "14 27 50 61 76",
    "32": "02 59 60 62 80",
    "44": "08 10 51 52 54 55 57 67 68 88",
    "52": "44 49 53 72 85",
    "53": "22 29 35 56",
    "75": "16 17 19 23 24 33 40 47 64 79 86 87",
    "76": "09 11 12 30 31 32 34 46 48 65 66 81 82",
    "84": "01 03 07 15 26 38 42 43 63 69 73 74",
    "93": "04 05 06 13 83 84",
    "94": "2A 2B",
    "01": "971",
    "02": "972",
    "03": "973",
    "04": "974",
    "06": "976",
}
"""Loi n° 2015-29 du 16 janvier 2015, article 1, with INSEE's codes."""

_REGIONS = {code: region for region, codes in _DEPARTEMENTS_OF_REGION.items() for code in codes.split()}
METROPOLITAN = tuple(sorted(code for code in _REGIONS if len(code) == 2))
"""Codes of the 96 départements of metropolitan France."""


def is_departement(code: str) -> bool:
    """Whether a text is the code of a département, such as 40, 2A or 974."""
    return code in _REGIONS


def departement_of(commune: str) -> str | None:
    """Département of a commune by its INSEE code (33063 lies in 33, 2A004 in 2A, 97411 in 974); None for no code."""
    code = commune[:3] if commune.startswith("97") else commune[:2]
    return code if len(commune) == 5 and code in _REGIONS else None


def region_of(departement: str) -> str | None:
    """Region of a département by its INSEE code; None for no code."""
    return _REGIONS.get(departement)
