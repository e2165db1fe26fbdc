"""What a scan says of a pixel."""

from __future__ import annotations

from enum import IntEnum


class PixelState(IntEnum):
    """What the scan says of a pixel at the end of the month."""

    NOT_FOREST = 0
    """Not watched: outside the forest mask or the area of interest."""
    INTACT = 1
    """Seen in the month, no open suspicion."""
    PROVISIONAL = 2
    """One date says that the forest is lost."""
    CONFIRMED = 3
    """Several dates say so."""
    UNOBSERVED = 4
    """Nothing could be said in the month: clouds, no leaves, or no reference."""
