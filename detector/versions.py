"""Months that are kept in folders of several versions: the newest counts, older ones go once it is in place."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tiles.month import Month
from tiles.placing import PARTIAL, put_folder

_NAME = re.compile(r"([0-9]{4}-(?:0[1-9]|1[0-2]))\.([0-9]+)")


class MonthFolders:
    """Folders such as ``2026-10.1``, a month and a version each. One process writes at a time.

    Parameters
    ----------
    folder
        That holds them; made when something is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def newest(self) -> dict[Month, tuple[int, Path]]:
        """Version and folder of the newest of each month, oldest month first.

        Only these are to be opened: a killed run may have removed an older one by half.
        """
        newest: dict[Month, tuple[int, Path]] = {}
        for folder, month, version in self._versions():
            newest[month] = max(newest.get(month, (version, folder)), (version, folder))
        return dict(sorted(newest.items()))

    def clear_partial(self) -> None:
        """Remove what killed runs have begun to write. To be called by who alone may write there."""
        for begun in self.folder.glob(f"{PARTIAL}*"):
            shutil.rmtree(begun, ignore_errors=True)

    def clear_older(self) -> None:
        """Remove all but the newest version of each month."""
        newest = self.newest()
        for folder, month, _ in self._versions():
            if folder != newest[month][1]:
                shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def begun(self) -> Iterator[Path]:
        """A folder to write in, to be given to `put`; removed where it is not.

        Raises
        ------
        OSError
            When the disk does not take it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=PARTIAL, dir=self.folder, ignore_cleanup_errors=True) as name:
            # One level down, so that its rename leaves something for the context to remove.
            folder = Path(name) / "month"
            folder.mkdir()
            yield folder

    def put(self, begun: Path, month: Month) -> tuple[int, Path]:
        """Put what was written in place as the next version of a month; the older one goes. Its version and folder.

        Raises
        ------
        OSError
            When the disk does not take it; the older version is then as it was.
        """
        before = self.newest().get(month)
        version = 1 if before is None else before[0] + 1
        place = self.folder / f"{month}.{version}"
        put_folder(begun, place)
        if before is not None:
            shutil.rmtree(before[1], ignore_errors=True)
        return version, place

    def _versions(self) -> list[tuple[Path, Month, int]]:
        """Folders, months and versions; a folder of another name, such as a copy of one, is not ours."""
        named = [(folder, _NAME.fullmatch(folder.name)) for folder in self.folder.glob("????-??.*")]
        return [(folder, Month.parse(name[1]), int(name[2])) for folder, name in named if name is not None]
