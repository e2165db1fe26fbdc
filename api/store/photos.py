"""Rows of photos: what was kept of each, and of which report it is."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass
from enum import StrEnum

import sqlalchemy as sa

from api.store.database import Database
from api.store.tables import observation_reports, photos
from tiles.errors import NotFoundError


class PhotoKind(StrEnum):
    """What a photo shows."""

    CUT = "cut"
    TRUNKS = "trunks"
    SOIL = "soil"
    ACCESS = "access"
    PANEL = "panel"
    PLANTATION = "plantation"


@dataclass(frozen=True)
class PhotoRow:
    """A photo, as the store knows it.

    Parameters
    ----------
    id, report_id
        UUIDs that the client made.
    kind
        What it shows.
    place, thumbnail
        Keys of its files; see `api.photos.keeping`.
    width, height
        Of the picture that is kept (px).
    bytes, sha256
        Of what came.
    taken_at, longitude, latitude
        As EXIF said: UTC, WGS 84.
    """

    id: str
    report_id: str
    kind: PhotoKind
    place: str
    thumbnail: str
    width: int
    height: int
    bytes: int
    sha256: str
    taken_at: dt.datetime | None
    longitude: float | None
    latitude: float | None


def keep_photo(database: Database, photo: PhotoRow, actor: str) -> bool:
    """Note a photo whose files are kept.

    Parameters
    ----------
    database, photo
        Where, and what.
    actor
        Who sent it, for the audit log.

    Returns
    -------
    bool
        Whether it was noted now; it was already, where not.

    Raises
    ------
    tiles.errors.StoreError
        When the store cannot be written.
    """
    with database.writing() as writing:
        known = sa.select(photos.c.seq).where(photos.c.id == photo.id)
        if writing.connection.execute(known).first() is not None:
            return False
        row = asdict(photo) | {"kind": photo.kind.value, "received_at": writing.now}
        writing.connection.execute(sa.insert(photos), row)
        writing.audit(actor, "add photo", photo.id, f"report {photo.report_id}, {photo.kind}")
    return True


def find_photo(database: Database, photo_id: str) -> PhotoRow | None:
    """A photo by its UUID; None where there is none."""
    found = _found(database, photos.c.id == photo_id)
    return found[0] if found else None


def photos_of(database: Database, report_id: str) -> list[PhotoRow]:
    """All photos of a report, in the order in which they came."""
    return _found(database, photos.c.report_id == report_id)


def forget_photo(database: Database, photo_id: str, actor: str) -> PhotoRow:
    """Take the row of a photo away; its files are for the caller to delete afterwards.

    Raises
    ------
    tiles.errors.NotFoundError
        When there is none.
    """
    with database.writing() as writing:
        row = writing.connection.execute(sa.select(photos).where(photos.c.id == photo_id)).one_or_none()
        if row is None:
            raise NotFoundError(f"There is no photo {photo_id[:36]}.")
        writing.connection.execute(sa.delete(photos).where(photos.c.id == photo_id))
        writing.audit(actor, "delete photo", photo_id, f"report {row.report_id}")
    return _photo(row)


def report_is_known(database: Database, report_id: str) -> bool:
    """Whether a report of that UUID was received."""
    query = sa.select(observation_reports.c.seq).where(observation_reports.c.id == report_id).limit(1)
    with database.reading() as connection:
        return connection.execute(query).first() is not None


def _found(database: Database, condition: sa.ColumnElement[bool]) -> list[PhotoRow]:
    with database.reading() as connection:
        rows = connection.execute(sa.select(photos).where(condition).order_by(photos.c.seq)).all()
    return [_photo(row) for row in rows]


def _photo(row: sa.Row[tuple[object, ...]]) -> PhotoRow:
    told = dict(row._mapping)
    told["kind"] = PhotoKind(told["kind"])
    return PhotoRow(**{name: told[name] for name in PhotoRow.__dataclass_fields__})
