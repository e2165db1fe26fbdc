"""What archives hold: unpacked into a folder of their own, and nowhere else."""

from __future__ import annotations

import fnmatch
import importlib.util
import shutil
import stat
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from tiles.errors import LayerError, MissingDependencyError, OutputError

_DATA = {
    ".shp", ".gpkg", ".geojson", ".json", ".fgb", ".parquet", ".gml", ".tab", ".sqlite",
    ".tif", ".tiff", ".asc", ".img", ".jp2", ".vrt",
}  # fmt: skip


def unpack(path: Path, folder: Path, member: str | None = None) -> list[Path]:
    """Files of data of an archive; a file that is none stands for itself.

    Parameters
    ----------
    path
        ``.zip``, ``.7z``, or a file of data.
    folder
        For what it holds.
    member
        Shell pattern of the paths in it that count, in any case; all by default.

    Raises
    ------
    LayerError
        When it is broken, holds nothing of the kind, or would write elsewhere.
    MissingDependencyError
        When it takes a package that is not there.
    OutputError
        When there is no room for what it holds.
    """
    if path.suffix.lower() == ".zip":
        _unzip(path, folder, member)
    elif path.suffix.lower() == ".7z":
        _un7zip(path, folder, member)
    else:
        return [path]
    found = sorted(one for one in folder.rglob("*") if one.is_file() and one.suffix.lower() in _DATA)
    if not found:
        raise LayerError(f"{path.name} holds no file of data{'' if member is None else f' named {member}'}.")
    return found


def _unzip(path: Path, folder: Path, member: str | None) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            wanted = [one for one in archive.infolist() if not one.is_dir() and _counts(one.filename, member)]
            for one in wanted:
                _refuse_unsafe(path, one.filename, is_link=stat.S_ISLNK(one.external_attr >> 16))
            _room(path, sum(one.file_size for one in wanted), folder)
            for one in wanted:
                archive.extract(one, folder)
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise LayerError(f"{path.name} is no sound archive ({error}): fetch it again.") from error


def _un7zip(path: Path, folder: Path, member: str | None) -> None:
    if importlib.util.find_spec("py7zr") is None:
        raise MissingDependencyError(
            f"{path.name} is a 7z archive: `pip install py7zr`, or unpack it yourself and `sylvigie layers import` "
            "what it holds."
        )
    import py7zr

    try:
        with py7zr.SevenZipFile(path) as archive:
            listed = archive.list()
            wanted = [one for one in listed if not one.is_directory and _counts(one.filename, member)]
            for one in wanted:
                _refuse_unsafe(path, one.filename, is_link=bool(getattr(one, "is_symlink", False)))
            _room(path, sum(one.uncompressed for one in wanted), folder)
            archive.extract(folder, targets=[one.filename for one in wanted])
    except (py7zr.exceptions.ArchiveError, EOFError, ValueError) as error:
        raise LayerError(f"{path.name} is no sound archive ({error}): fetch it again.") from error


def _counts(name: str, member: str | None) -> bool:
    return member is None or fnmatch.fnmatchcase(name.casefold(), f"*{member.casefold()}".replace("**", "*"))


def _refuse_unsafe(path: Path, name: str, *, is_link: bool) -> None:
    parts = PurePosixPath(name.replace("\\", "/"))
    if is_link or parts.is_absolute() or ".." in parts.parts or ":" in name:
        raise LayerError(f"{path.name} holds {name}, which leads out of its folder: it is not unpacked.")


def _room(path: Path, needed_bytes: int, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if needed_bytes > shutil.disk_usage(folder).free:
        raise OutputError(f"{path.name} holds {needed_bytes / 1e9:.1f} GB, for which there is no room at {folder}.")


def join_volumes(paths: Sequence[Path], target: Path) -> Path:
    """Put the volumes of an archive (``.7z.001``, ``.7z.002``...) together."""
    with target.open("wb") as whole:
        for path in paths:
            with path.open("rb") as volume:
                shutil.copyfileobj(volume, whole)
    return target
