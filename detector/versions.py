"""Months that are kept in folders of several versions: the newest counts, older ones go once it is in place."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from tiles.month import Month

PARTIAL = ".partial-"
"""What the name of a folder begins with while it is written."""

Version = tuple[Path, Month, int]
"""A folder, its month and its version."""


def newest_of(versions: Iterable[Version]) -> dict[Month, tuple[int, Path]]:
    """Version and folder of the newest of each month, oldest month first.

    Only these are to be opened: a killed run may have removed an older one by half.
    """
    newest: dict[Month, tuple[int, Path]] = {}
    for folder, month, version in versions:
        newest[month] = max(newest.get(month, (version, folder)), (version, folder))
    return dict(sorted(newest.items()))


def remove_older(versions: Iterable[Version]) -> None:
    """Remove all but the newest version of each month."""
    versions = list(versions)
    newest = newest_of(versions)
    for folder, month, _ in versions:
        if folder != newest[month][1]:
            shutil.rmtree(folder, ignore_errors=True)


def remove_partial(folder: Path) -> None:
    """Remove what killed runs have begun to write. To be called by who alone may write there."""
    for begun in folder.glob(f"{PARTIAL}*"):
        shutil.rmtree(begun, ignore_errors=True)
