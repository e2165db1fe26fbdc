"""What every archive answers to."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Protocol

from tiles.access import Access
from tiles.scene import Scene


@dataclass(frozen=True)
class SkippedScene:
    """A scene that was left out, and why.

    Parameters
    ----------
    id
        Identifier of the scene in its catalogue.
    reason
        Why it was left out, as a phrase.
    superseded
        Whether nothing is wrong with it: another product of its pass is read in its place. A scan that left out
        scenes for any other reason is incomplete, and says so by its exit code.
    """

    id: str
    reason: str
    superseded: bool = False


@dataclass(frozen=True)
class Found:
    """Answer of a catalogue: the scenes to read, oldest first, and those left out."""

    scenes: tuple[Scene, ...]
    skipped: tuple[SkippedScene, ...]


class Catalogue(Protocol):
    """An archive of Sentinel-2 L2A scenes."""

    @property
    def href(self) -> str:
        """What was opened, for the record: it opens the same again."""
        ...

    @property
    def worldwide(self) -> bool:
        """Whether it holds the whole world: a search must then say where."""
        ...

    @property
    def access(self) -> Access:
        """How the scenes' files are opened."""
        ...

    def search(
        self,
        first_day: dt.date,
        last_day: dt.date,
        bbox: tuple[float, float, float, float] | None = None,
        *,
        tile: str | None = None,
    ) -> Found:
        """Scenes acquired from one day to another, both included.

        Parameters
        ----------
        first_day, last_day
            Days, UTC.
        bbox
            West, south, east, north in degrees: only scenes that meet it.
        tile
            MGRS tile, such as ``31TDK``: only scenes of it.

        Raises
        ------
        CatalogueError
            When the catalogue cannot be read, or is empty.
        """
        ...
