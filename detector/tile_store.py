"""Where what is kept of a tile lies, month after month: whole folders that are put in place by one rename.

::

    <data directory>/tiles/31TFJ/2026-10.1/
        tile.json           the record: scenes, parameters, pixels counted, checksums, what it stands on
        memory.arrow        each pixel's memory at the end of the month, and ...
        suspicions.arrow    ... the open suspicions, and ...
        clouds.arrow        ... what was called cloud over the same ground before; see tiles/state.py
        reference.arrow     the reference, in the month that it was built in, and ...
        forest.tif          ... the forest that it is of
        change_*, state_*   the change map
        patches.parquet     the patches, with their features

The number after the month is a version: a month that is worked out again, since scenes of it came late, gets the next
one, and the older goes only then. A month stands on the version of the month before that its record names; one whose
ground has been replaced is out of date. A run that is killed at any moment leaves either the old version or the new.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detector.versions import MonthFolders
from tiles.errors import OutputError, StateError
from tiles.month import Month
from tiles.state import MEMORY_FILE, MONTHLY_FILES, REFERENCE_FILE, StateReader, checksum

RECORD_FILE, PATCHES_FILE, FOREST_FILE = "tile.json", "patches.parquet", "forest.tif"
_SCHEMA = 2


@dataclass(frozen=True)
class TileMonth:
    """One month of one tile, as kept.

    Parameters
    ----------
    month, version
        Which.
    folder
        Of its files.
    record
        Its ``tile.json``.
    """

    month: Month
    version: int
    folder: Path
    record: Mapping[str, Any]

    @property
    def identity(self) -> str:
        """Name of the content: the same files have the same."""
        return str(self.record["identity"])

    @property
    def is_build(self) -> bool:
        """Whether the reference was built in it, so that it stands on no month before."""
        return self.record["before"] is None

    @property
    def has_state(self) -> bool:
        """Whether the next month can stand on it: memories of long ago are not kept."""
        return (self.folder / MEMORY_FILE).exists()

    def stands_on(self, before: TileMonth) -> bool:
        """Whether it was worked out from this version of the month before."""
        return bool(self.record["before"] == {"month": str(before.month), "identity": before.identity})


@dataclass(frozen=True)
class SpoiltMonth:
    """A month of a tile whose record cannot be read: its version, the folder of its files, and what is wrong."""

    version: int
    folder: Path
    error: StateError


class TileStore:
    """The months that are kept of a tile. Its lock is held by who writes."""

    def __init__(self, data_dir: Path, tile: str) -> None:
        self.tile = tile
        self.folder = data_dir / "tiles" / tile
        self._folders = MonthFolders(self.folder)

    def months(self) -> dict[Month, TileMonth]:
        """The newest version of each month, oldest month first.

        Raises
        ------
        StateError
            When a record cannot be read.
        """
        found, spoilt = self.look()
        for month in spoilt.values():
            raise month.error
        return found

    def look(self) -> tuple[dict[Month, TileMonth], dict[Month, SpoiltMonth]]:
        """The newest version of each month, oldest month first; those whose records cannot be read apart."""
        found: dict[Month, TileMonth] = {}
        spoilt: dict[Month, SpoiltMonth] = {}
        for month, (version, folder) in self._folders.newest().items():
            try:
                found[month] = TileMonth(month, version, folder, _read_record(folder))
            except StateError as error:
                spoilt[month] = SpoiltMonth(version, folder, error)
        return found, spoilt

    def clear_leftovers(self) -> None:
        """Remove what killed runs have left. To be called with the tile's lock held."""
        self._folders.clear_partial()
        # Where the newest cannot be read, that is told before an older version goes.
        self.months()
        self._folders.clear_older()

    @contextmanager
    def new_version(self, month: Month) -> Iterator[Path]:
        """A folder to write a month in; put in place when its record is there and all went well.

        Raises
        ------
        OutputError
            When the disk does not take it; what was there before stays.
        """
        try:
            with self._folders.begun() as folder:
                yield folder
                # A record that cannot be read is told before it is replaced.
                self.months()
                self._folders.put(folder, month)
        except OSError as error:
            raise OutputError(
                f"Tile {self.tile} cannot be written to {self.folder} ({error.strerror or error}): make room there "
                "or choose another data directory; the month before is as it was."
            ) from error

    def reference_of(self, month: TileMonth) -> TileMonth:
        """The month that holds the reference which a month uses.

        Raises
        ------
        StateError
            When it is gone.
        """
        built = self.months().get(Month.parse(month.record["reference"]["month"]))
        if built is None or built.record["checksums"].get(REFERENCE_FILE) != month.record["reference"]["checksum"]:
            raise StateError(
                f"The reference of tile {self.tile} that {month.month} stands on is gone: build it anew by "
                f"`sylvigie reference build --tile {self.tile}`."
            )
        return built

    def open_state(self, month: TileMonth) -> tuple[StateReader, Path]:
        """What was known at the end of a month, and the raster of the forest that it is of.

        Raises
        ------
        StateError
            When a file is gone, damaged, or replaced.
        """
        built = self.reference_of(month)
        sums = {name: month.record["checksums"][name] for name in MONTHLY_FILES}
        sums[REFERENCE_FILE] = month.record["reference"]["checksum"]
        forest = built.folder / FOREST_FILE
        if checksum(forest) != built.record["checksums"][FOREST_FILE]:
            raise StateError(
                f"{forest} is not as it was written: restore it from a backup, or build the reference anew."
            )
        return StateReader(built.folder, month.folder, sums), forest

    def forget_old_states(self, newest: Month, keep_months: int) -> None:
        """Remove the memories of months long ago, and references that none of the others uses.

        Change maps, patches and records stay.
        """
        months = self.months()
        kept = [month for when, month in months.items() if when > newest.shifted(-keep_months)]
        used = {str(month.record["reference"]["month"]) for month in kept}
        for month in months.values():
            if month in kept:
                continue
            for name in MONTHLY_FILES:
                (month.folder / name).unlink(missing_ok=True)
            if str(month.month) not in used:
                for name in (REFERENCE_FILE, FOREST_FILE):
                    (month.folder / name).unlink(missing_ok=True)


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write a month's record, with the checksums of the files beside it.

    Parameters
    ----------
    folder
        Of the month's files, all written.
    record
        What is known of them; `reference` may be None, for the reference that lies there.
    """
    sums = {path.name: checksum(path) for path in sorted(folder.iterdir())}
    reference = record["reference"] or {"month": record["month"], "checksum": sums[REFERENCE_FILE]}
    text = json.dumps(sums, sort_keys=True) + json.dumps(reference, sort_keys=True)
    whole = {
        "schema": _SCHEMA,
        **record,
        "reference": reference,
        "checksums": sums,
        "identity": hashlib.sha256(text.encode()).hexdigest(),
    }
    (folder / RECORD_FILE).write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")


_REMEDY = "restore it from a backup, or remove its folder"
_NEEDED = {
    **dict.fromkeys(("month", "identity"), str),
    **dict.fromkeys(("reference", "grid", "checksums", "pixels", "parameters", "patch_parameters"), dict),
    **dict.fromkeys(("scenes", "scenes_skipped"), list),
    "pixels_per_class": int,
}
"""What a record has at least, and of which kinds; beside these, `before`, which may be null."""


def _read_record(folder: Path) -> Mapping[str, Any]:
    path = folder / RECORD_FILE
    try:
        record: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(record, dict):
            raise ValueError("no record")
    except (OSError, ValueError) as error:
        raise StateError(f"{path} cannot be read ({error}): {_REMEDY}.") from error
    if record.get("schema") != _SCHEMA:
        raise StateError(f"{path} was written by another version of Sylvigie: build the tile's reference anew.")
    wrong = [name for name, kind in _NEEDED.items() if not isinstance(record.get(name), kind)]
    wrong += ["before"] if "before" not in record else []
    wrong += (
        ["reference"] if "reference" not in wrong and not {"month", "checksum"} <= record["reference"].keys() else []
    )
    if wrong:
        raise StateError(f"{path} is damaged ({', '.join(sorted(wrong))} absent or of the wrong kind): {_REMEDY}.")
    return record
