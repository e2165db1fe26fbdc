"""How an archive lets its files be opened: what GDAL is to be told, and the address that it is to be given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


class Access(Protocol):
    """What a reader asks before it opens a file. Safe to call from several threads."""

    @property
    def gdal_options(self) -> Mapping[str, str]:
        """Credentials and endpoints of GDAL's virtual file systems; never logged."""
        ...

    def address(self, href: str) -> str:
        """What GDAL is to open for a catalogue's href, signed where the archive wants it."""
        ...

    def renew(self, href: str) -> None:
        """Forget the signature of an href, which was refused: the next `address` is signed anew."""
        ...


@dataclass(frozen=True)
class OpenAccess:
    """An archive that anybody may read: files on a disk, public buckets."""

    gdal_options: Mapping[str, str] = field(default_factory=dict)

    def address(self, href: str) -> str:
        """The href as it is."""
        return href

    def renew(self, href: str) -> None:
        """Nothing to renew."""
