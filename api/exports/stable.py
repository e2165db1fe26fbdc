"""Files at a path that never changes, for teams who only want a file: the whole of the alerts, and a département's."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

from api.exports.formats import ExportFormat
from api.exports.writing import write
from api.features import AlertFeature, CollectionInfo
from tiles.errors import InvalidParameterError

FOLDER: Final = "exports"
"""In the data directory."""

_DEPARTEMENT: Final = re.compile(r"[0-9][0-9AB][0-9]?")
"""Codes of INSEE: 01 to 95, 2A and 2B, 971 to 976."""


def stable_path(data: Path, departement: str | None = None) -> Path:
    """Where the file is: ``<data>/exports/alertes.geojson``, or ``alertes-40.geojson`` of a département.

    Raises
    ------
    InvalidParameterError
        When `departement` is no code of INSEE: it becomes part of a file's name.
    """
    if departement is None:
        return data / FOLDER / "alertes.geojson"
    if not _DEPARTEMENT.fullmatch(departement):
        raise InvalidParameterError(f"{departement!r} is no département: give its code of INSEE, as in 40, 2A or 974.")
    return data / FOLDER / f"alertes-{departement}.geojson"


def write_stable(
    features: Iterable[AlertFeature], info: CollectionInfo, data: Path, departement: str | None = None
) -> Path:
    """Write alerts as GeoJSON where teams look for it; who reads meanwhile sees the old file, or the new one.

    Parameters
    ----------
    features
        Drawn from once, in their order; those of `departement` alone where one is given.
    info
        What the file says of itself.
    data
        The data directory.
    departement
        Code of INSEE; None is everywhere.

    Returns
    -------
    path
        The file.

    Raises
    ------
    InvalidParameterError
        When `departement` is no code of INSEE.
    OutputError
        If the file cannot be written; the one that was there is then left as it was.
    """
    path = stable_path(data, departement)
    if departement is not None:
        info = replace(info, filters={**(info.filters or {}), "departement": departement})
    write(features, ExportFormat.GEOJSON, info, path)
    return path
