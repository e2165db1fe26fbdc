"""Photos to send: as telephones make them, and as nobody should."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base
from PIL.PngImagePlugin import PngInfo

NAME = "Jeanne Volontaire"
"""Stands wherever a name can stand in a file's metadata."""


def forest(width: int = 400, height: int = 300) -> Image.Image:
    """A picture that is darker at the left, with a red corner above left."""
    ramp = np.linspace(40, 200, width, dtype=np.float32)
    pixels = np.repeat(np.broadcast_to(ramp, (height, width))[..., None], 3, axis=2).astype(np.uint8)
    pixels[: height // 4, : width // 4] = (220, 30, 30)
    return Image.fromarray(pixels)


def telling_exif(orientation: int = 1) -> Image.Exif:
    """EXIF that says who, where, when, and holds a name in all texts."""
    exif = Image.Exif()
    exif[Base.Orientation] = orientation
    for tag in (Base.Artist, Base.Copyright, Base.ImageDescription, Base.Make, Base.HostComputer):
        exif[tag] = NAME
    inner = exif.get_ifd(IFD.Exif)
    inner[Base.DateTimeOriginal] = "2026:10:04 14:30:05"
    inner[Base.OffsetTimeOriginal] = "+02:00"
    inner[Base.UserComment] = b"ASCII\0\0\0" + NAME.encode()
    inner[Base.CameraOwnerName] = NAME
    place = exif.get_ifd(IFD.GPSInfo)
    place[GPS.GPSLatitudeRef], place[GPS.GPSLatitude] = "N", (44.0, 30.0, 36.0)
    place[GPS.GPSLongitudeRef], place[GPS.GPSLongitude] = "W", (0.0, 45.0, 0.0)
    place[GPS.GPSDateStamp] = "2026:10:04"
    return exif


def jpeg(picture: Image.Image | None = None, **options: Any) -> bytes:
    """A JPEG."""
    return _saved(picture or forest(), "JPEG", **options)


def telling_jpeg(orientation: int = 1) -> bytes:
    """A JPEG with EXIF, XMP, a comment and a profile that all hold a name."""
    profile = b"\0" * 36 + b"acsp" + NAME.encode()
    return jpeg(
        exif=telling_exif(orientation), xmp=f"<x>{NAME}</x>".encode(), comment=NAME.encode(), icc_profile=profile
    )


def telling_png() -> bytes:
    """A PNG with EXIF and texts that hold a name."""
    texts = PngInfo()
    texts.add_text("Author", NAME)
    texts.add_itxt("Comment", NAME, zip=False)
    return _saved(forest(), "PNG", pnginfo=texts, exif=telling_exif())


def telling_webp() -> bytes:
    """A WebP with EXIF and XMP that hold a name."""
    return _saved(forest(), "WEBP", exif=telling_exif(), xmp=f"<x>{NAME}</x>".encode())


def png_of_size(width: int, height: int) -> bytes:
    """A PNG that says it is of a size, in a hundred bytes."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def jpeg_of_many_scans(scans: int) -> bytes:
    """A progressive JPEG with one of its scans written again and again."""
    whole = jpeg(progressive=True)
    last = whole.rindex(b"\xff\xda")
    return whole[:last] + whole[last:-2] * scans + whole[-2:]


def _saved(picture: Image.Image, form: str, **options: Any) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()
