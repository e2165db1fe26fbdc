"""What is kept of a layer, and its manifest: the one file whose replacement puts a new content in place.

::

    <data directory>/layers/forest/
        manifest.json               parts, their files, whence, checksums; written beside and renamed
        D040-3f9c01d2.parquet       the features of a part; its name holds the start of its checksum
        D040-3f9c01d2.covers.wkb    the ground that the part speaks of, in EPSG:2154

A layer is made of parts, so that départements can be added one at a time; a part is replaced by one of the same name,
all of them by a part `WHOLE`. A file is written beside, renamed to a name that holds its checksum, and counts only once
the manifest names it: a run that is killed at any moment leaves either the old layer or the new.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tiles.errors import LayerError, OutputError
from tiles.placing import PARTIAL, put_file

MANIFEST_FILE = "manifest.json"
WHOLE = "whole"
"""Name of the part that is the whole layer."""
"""What the name of a folder begins with while its files are written."""

_SCHEMA = 1
_KEPT_NAME = re.compile(r".+-[0-9a-f]{12}\.(?:parquet|tif|covers\.wkb)")

Bounds = tuple[float, float, float, float]
"""Left, bottom, right, top."""


@dataclass(frozen=True)
class KeptFile:
    """A file of a layer: its name, what it holds, and by what it is known again.

    Parameters
    ----------
    name
        In the layer's folder.
    sha256, size_bytes
        Of its content.
    bounds
        Left, bottom, right, top of what it holds: in EPSG:2154 of features, in its own CRS of pixels; None of an
        empty one.
    crs
        Of its coordinates.
    """

    name: str
    sha256: str
    size_bytes: int
    bounds: Bounds | None
    crs: str


@dataclass(frozen=True)
class Origin:
    """Where a part comes from, and what was done to it on the way.

    Parameters
    ----------
    source
        Address or name of the files, without users, passwords and keys.
    source_sha256
        Checksum of each file that was read, by name.
    licence, attribution, vintage
        As published.
    imported, fetched
        When (UTC, ISO 8601); fetched is None of a file that the user had.
    columns
        Standard column -> the source's; those that it does not have are missing.
    counts
        What was told of its features or pixels: read, kept, mended, dropped and why.
    """

    source: str
    source_sha256: Mapping[str, str]
    licence: str
    attribution: str
    vintage: str
    imported: str
    fetched: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """A part of a layer.

    Parameters
    ----------
    files
        One of features, one or several of pixels.
    features
        Number of features; None of pixels.
    covers
        File of the ground that it speaks of; None of pixels, whose no-data value says it.
    ground
        The same in words, such as "départements 33, 40".
    origin
        Where it comes from.
    """

    files: tuple[KeptFile, ...]
    features: int | None
    covers: KeptFile | None
    ground: str
    origin: Origin


@dataclass(frozen=True)
class Manifest:
    """What is kept of a layer."""

    name: str
    parts: Mapping[str, Part]

    @property
    def identity(self) -> str:
        """Name of the content: the same files have the same."""
        files = [kept.sha256 for _, part in sorted(self.parts.items()) for kept in all_files(part)]
        return hashlib.sha256("\n".join([self.name, *files]).encode()).hexdigest()


def all_files(part: Part) -> tuple[KeptFile, ...]:
    """Every file of a part."""
    return part.files if part.covers is None else (*part.files, part.covers)


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a layer's folder, checked against the sizes of its files; None where there is none.

    Raises
    ------
    LayerError
        When it cannot be read, or a file is gone or of another size.
    """
    path = folder / MANIFEST_FILE
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["schema"] != _SCHEMA:
            raise broken(folder.name, "it was kept by another version of Sylvigie")
        manifest = Manifest(record["name"], {name: _part(part) for name, part in record["parts"].items()})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise broken(folder.name, f"{path} cannot be read ({error})") from error
    for part in manifest.parts.values():
        for kept in all_files(part):
            try:
                size = (folder / kept.name).stat().st_size
            except OSError:
                raise broken(folder.name, f"its file {kept.name} is gone") from None
            if size != kept.size_bytes:
                raise broken(folder.name, f"its file {kept.name} has {size} bytes in place of {kept.size_bytes}")
    return manifest


def broken(name: str, reason: str) -> LayerError:
    """The error of a layer that cannot be used."""
    return LayerError(
        f"Layer {name} is broken: {reason}. See `sylvigie layers check`, then fetch or import it again, or remove its "
        "folder to do without."
    )


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """A folder beside a layer's files to write new ones in, gone at the end; those of killed runs are removed first.

    To be called by who alone may write the layer.

    Raises
    ------
    OutputError
        When the disk does not take what is written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for begun in folder.glob(f"{PARTIAL}*"):
            shutil.rmtree(begun, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=PARTIAL, dir=folder, ignore_cleanup_errors=True) as name:
            yield Path(name)
    except OSError as error:
        raise OutputError(
            f"Layer {folder.name} cannot be written to {folder} ({error.strerror or error}): make room there or choose "
            "another data directory; what was there is as it was."
        ) from error


def keep(written: Path, folder: Path, part: str, bounds: Bounds | None, crs: str) -> KeptFile:
    """Put a written file in a layer's folder, under a name that holds its part and checksum."""
    digest = sha256_of(written)
    suffix = "".join(written.suffixes[-2:]) if written.name.endswith(".covers.wkb") else written.suffix
    name = f"{part}-{digest[:12]}{suffix}"
    size = written.stat().st_size
    put_file(written, folder / name)
    return KeptFile(name, digest, size, bounds, crs)


def put_part(folder: Path, beside: Path, name: str, part: Part) -> Manifest:
    """Put a part in place, in a manifest without those that it replaces, and remove the files of these.

    Parameters
    ----------
    folder
        Of the layer; `keep` has put the part's files there.
    beside
        Folder on the same disk to write the manifest in first.
    name, part
        The part; `WHOLE` replaces all others, and any other replaces a whole one.

    Raises
    ------
    LayerError
        When what is there is broken, and more of it than this part would have to be kept.
    """
    try:
        before = read_manifest(folder)
    except LayerError:
        if name != WHOLE:
            raise
        before = None
    others = {} if before is None or name == WHOLE else {key: old for key, old in before.parts.items() if key != WHOLE}
    manifest = Manifest(folder.name, {**others, name: part})
    record = {
        "schema": _SCHEMA,
        "name": manifest.name,
        "parts": {key: asdict(one) for key, one in manifest.parts.items()},
    }
    written = beside / MANIFEST_FILE
    written.write_text(json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    put_file(written, folder / MANIFEST_FILE)
    used = {kept.name for one in manifest.parts.values() for kept in all_files(one)}
    for path in folder.iterdir():
        # Of what was replaced, and of runs that were killed before their manifest was there.
        if _KEPT_NAME.fullmatch(path.name) and path.name not in used:
            path.unlink(missing_ok=True)
    return manifest


def _part(record: Mapping[str, Any]) -> Part:
    covers = record["covers"]
    return Part(
        files=tuple(_kept(kept) for kept in record["files"]),
        features=record["features"],
        covers=None if covers is None else _kept(covers),
        ground=record["ground"],
        origin=Origin(**record["origin"]),
    )


def _kept(record: Mapping[str, Any]) -> KeptFile:
    bounds = record["bounds"]
    return KeptFile(**{**record, "bounds": None if bounds is None else tuple(bounds)})


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
