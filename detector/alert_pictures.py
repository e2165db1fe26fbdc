"""What is kept of one alert's pictures: a folder of its own, which says of what it is and what it had to do without.

::

    <data directory>/chips/<alert>/
        before.tif, after.tif   where a clear date shows it; see detector/chips.py
        series.parquet          its NDVI, date by date
        pictured.json           of which outline and dates they are, and the scenes that could not be read for them

``pictured.json`` is put last and taken away first: pictures without it, left by a run that was killed, are made again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from detector.chips import SERIES_FILE, Moment, SeriesRow, write_series
from tiles.placing import put_file, put_folder, written_beside

PICTURED_FILE: Final = "pictured.json"
_SCHEMA: Final = 1


@dataclass(frozen=True)
class Pictured:
    """What an alert's pictures are of.

    Parameters
    ----------
    of
        Name of what was to be shown.
    lacking
        Scenes that could not be read for it.
    """

    of: str
    lacking: frozenset[str] = frozenset()


def read_pictured(folder: Path) -> Pictured | None:
    """What the pictures in a folder are of; None where that is not known, and they are to be made again."""
    try:
        told = json.loads((folder / PICTURED_FILE).read_text(encoding="utf-8"))
        if told["schema"] != _SCHEMA or not isinstance(told["of"], str):
            return None
        return Pictured(told["of"], frozenset(map(str, told["lacking"])))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def place_pictures(made: Path, target: Path, pictured: Pictured, rows: Sequence[SeriesRow]) -> bool:
    """Put an alert's pictures in the place of those of before, file by file: who looks meanwhile finds one.

    What could not be made since a scene was lacking stays as it was before: a picture of another outline or of fewer
    dates is better than none. It is made anew when the scene can be read.

    Parameters
    ----------
    made
        Folder of the new chips, on the target's file system; gone afterwards, or to be deleted.
    target
        The alert's folder; there need be none.
    pictured
        What they are of.
    rows
        The alert's series.

    Returns
    -------
    bool
        Whether there is a picture now.

    Raises
    ------
    OSError, tiles.errors.OutputError
        When the disk does not take it; the pictures are then those of before, or made again by the next run.
    """
    made.mkdir(exist_ok=True)
    write_series(_with_lacking(rows, target / SERIES_FILE, pictured.lacking), made / SERIES_FILE)
    told = json.dumps({"schema": _SCHEMA, "of": pictured.of, "lacking": sorted(pictured.lacking)}) + "\n"
    if not target.exists():
        (made / PICTURED_FILE).write_text(told, encoding="utf-8")
        put_folder(made, target)
    else:
        (target / PICTURED_FILE).unlink(missing_ok=True)
        for name in (*(f"{moment}.tif" for moment in Moment), SERIES_FILE):
            if (made / name).exists():
                put_file(made / name, target / name)
            elif not pictured.lacking:
                (target / name).unlink(missing_ok=True)
        with written_beside(target / PICTURED_FILE) as partial:
            partial.write_text(told, encoding="utf-8")
    return any((target / f"{moment}.tif").exists() for moment in Moment)


def _with_lacking(rows: Sequence[SeriesRow], before: Path, lacking: frozenset[str]) -> list[SeriesRow]:
    """A series with what was known before of the scenes that it lacks now."""
    told = {row.scene for row in rows}
    known = [row for row in _read_series(before) if row.scene in lacking - told] if lacking else []
    return sorted([*rows, *known], key=lambda row: (row.day, row.scene))


def _read_series(path: Path) -> list[SeriesRow]:
    """A series that is there; none where it is absent or damaged, since it is about to be replaced."""
    try:
        return [SeriesRow(**row) for row in pq.read_table(path).to_pylist()]
    except (OSError, pa.ArrowException, TypeError):
        return []
