"""From what came, which may be anything, to a picture and nothing but a picture.

What is written is encoded anew from pixels: whatever stood before, between or behind them in the file is gone, and
with it all metadata. Where and when it was taken is told apart.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import threading
from dataclasses import dataclass
from io import BytesIO
from typing import Final

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError
from PIL.Image import Transpose

from api.photos.exif import SPOILT, orientation_of, place_of, taken_at_of
from tiles.errors import PhotoError

LONGEST_SIDE_PX: Final = 2560
THUMBNAIL_PX: Final = 320
MOST_PIXELS: Final = 65_000_000
"""Of what comes: telephones make 12 to 64 million. docs/photos.md tells the memory that the largest take."""
_DRAFT_SCALE: Final = 1.5
"""Sides of a draft, as a multiple of those that are kept."""
_MOST_SCANS: Final = 100
"""Of a progressive JPEG: cameras write one, and encoders about ten; each takes a pass over all pixels."""
_MOST_PROFILE_BYTES: Final = 1_000_000
_JPEG_QUALITY, _WEBP_QUALITY = 85, 80
_FORMATS: Final = ("JPEG", "PNG", "WEBP")
_HEIF_BRANDS: Final = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1")
_TURNS: Final = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
_ONE_AT_A_TIME: Final = threading.Lock()
"""A picture of the most pixels takes hundreds of MB while it is decoded."""


@dataclass(frozen=True)
class CleanPhoto:
    """A photo as it may be kept.

    Parameters
    ----------
    image
        JPEG in sRGB, upright, without metadata.
    thumbnail
        WebP, likewise.
    width, height
        Of the image (px).
    taken_at
        UTC; None where it is not told.
    longitude, latitude
        WGS 84; None where they are not told.
    sha256
        Of what came, in hexadecimal.
    received_bytes
        Of what came.
    """

    image: bytes
    thumbnail: bytes
    width: int
    height: int
    taken_at: dt.datetime | None
    longitude: float | None
    latitude: float | None
    sha256: str
    received_bytes: int


def clean(came: bytes) -> CleanPhoto:
    """Make a photo of what came.

    Parameters
    ----------
    came
        JPEG, PNG, WebP, or HEIC where `pi-heif` is installed; the type is found by decoding, whatever the name.

    Raises
    ------
    tiles.errors.PhotoError
        When it is none of these, is damaged or cut off, or has too many pixels; none is decoded then.
    """
    with _ONE_AT_A_TIME:
        try:
            picture, exif, turned = _opened(came)
            upright = _reduced(picture)
            if not turned and (turn := _TURNS.get(orientation_of(exif))) is not None:
                upright = upright.transpose(turn)
        except PhotoError:
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise _too_many() from error
        except (*SPOILT, MemoryError) as error:
            raise PhotoError("The photo is damaged or was cut off: send it again, or take another.") from error
        thumbnail = upright.copy()
        thumbnail.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.LANCZOS)
        place = place_of(exif)
        return CleanPhoto(
            image=_written(upright, "JPEG", quality=_JPEG_QUALITY, optimize=True),
            thumbnail=_written(thumbnail, "WEBP", quality=_WEBP_QUALITY, method=4),
            width=upright.width,
            height=upright.height,
            taken_at=taken_at_of(exif),
            longitude=None if place is None else place[0],
            latitude=None if place is None else place[1],
            sha256=hashlib.sha256(came).hexdigest(),
            received_bytes=len(came),
        )


def _opened(came: bytes) -> tuple[Image.Image, Image.Exif, bool]:
    """The picture, not decoded yet; its EXIF; and whether the decoder turns it."""
    if came[4:8] == b"ftyp" and came[8:12] in _HEIF_BRANDS:
        return _opened_heif(came)
    try:
        picture: Image.Image = Image.open(BytesIO(came), formats=_FORMATS)
    except UnidentifiedImageError as error:
        raise PhotoError("This is no photo: send a JPEG, PNG, WebP or HEIC file.") from error
    _look_at_header(picture.size)
    if picture.format in ("JPEG", "MPO") and came.count(b"\xff\xda") > _MOST_SCANS:
        raise PhotoError(f"The JPEG is in more than {_MOST_SCANS} scans, as no camera writes: save it anew.")
    return picture, picture.getexif(), False


def _opened_heif(came: bytes) -> tuple[Image.Image, Image.Exif, bool]:
    try:
        import pi_heif
    except ModuleNotFoundError as error:
        raise PhotoError("This service does not read HEIC: send the photo as JPEG.") from error
    heif = pi_heif.open_heif(BytesIO(came), convert_hdr_to_8bit=True)
    _look_at_header(heif.size)
    exif = Image.Exif()
    exif.load(heif.info.get("exif") or b"")
    return heif.to_pillow(), exif, True


def _look_at_header(size: tuple[int, int]) -> None:
    if size[0] * size[1] > MOST_PIXELS:
        raise _too_many()
    if min(size) < 1:
        raise PhotoError("The photo has no pixels: send another.")


def _too_many() -> PhotoError:
    return PhotoError(f"The photo has more than {MOST_PIXELS // 1_000_000} million pixels: send it smaller.")


def _reduced(picture: Image.Image) -> Image.Image:
    """Decoded wholly, in sRGB, no larger than it is kept; a new image that has pixels and nothing else."""
    profile = picture.info.get("icc_profile")
    if picture.mode == "I;16":
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    elif picture.mode in ("P", "PA", "LA", "1", "RGBa", "La") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
    # A JPEG is decoded at a half or less of its size, where that leaves enough to make it smaller from.
    enough = _DRAFT_SCALE * LONGEST_SIDE_PX / max(picture.size)
    picture.draft(None, (max(1, int(picture.width * enough)), max(1, int(picture.height * enough))))
    picture.thumbnail((LONGEST_SIDE_PX, LONGEST_SIDE_PX), Image.Resampling.LANCZOS, reducing_gap=_DRAFT_SCALE)
    picture.load()
    fresh = Image.new("RGB", picture.size, "white")
    if picture.mode == "RGBA":
        fresh.paste(picture.convert("RGB"), mask=picture.getchannel("A"))
    else:
        fresh.paste(_as_srgb(picture, profile))
    return fresh


def _as_srgb(picture: Image.Image, profile: object) -> Image.Image:
    if isinstance(profile, bytes) and 0 < len(profile) <= _MOST_PROFILE_BYTES:
        try:
            of_the_camera = ImageCms.ImageCmsProfile(BytesIO(profile))
            converted = ImageCms.profileToProfile(
                picture, of_the_camera, ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
        except (ImageCms.PyCMSError, *SPOILT):
            # Colours a little off are better than no photo.
            converted = None
        if converted is not None:
            return converted
    return picture.convert("RGB")


def _written(picture: Image.Image, form: str, **options: int) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()
