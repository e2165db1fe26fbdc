"""Whatever comes, what is kept is a picture and nothing but a picture; or it is refused in one sentence."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import random
import struct
import warnings
import zipfile
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.ExifTags import GPS, IFD, Base

from api.photos import cleaning
from api.photos.cleaning import LONGEST_SIDE_PX, MOST_PIXELS, CleanPhoto, clean
from tests.api.photos.heic import HEIC
from tests.api.photos.pictures import (
    NAME,
    forest,
    jpeg,
    jpeg_of_many_scans,
    png_of_size,
    telling_exif,
    telling_jpeg,
    telling_png,
    telling_webp,
)
from tiles.errors import PhotoError


def _decoded(photo: CleanPhoto) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(photo.image)).convert("RGB")).astype(int)


def _jpeg_segments(data: bytes) -> list[int]:
    """Markers before the pixels (ITU T.81, annex B)."""
    found, at = [], 2
    while data[at + 1] != 0xDA:
        found.append(data[at + 1])
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    assert data.endswith(b"\xff\xd9")
    assert data.count(b"\xff\xd9") == 1
    return found


def _webp_chunks(data: bytes) -> list[bytes]:
    found, at = [], 12
    while at < len(data):
        found.append(data[at : at + 4])
        length = struct.unpack("<I", data[at + 4 : at + 8])[0]
        at += 8 + length + length % 2
    return found


def _red_corner(photo: CleanPhoto) -> tuple[bool, bool]:
    """Whether the red corner is above, and left."""
    pixels = _decoded(photo)
    red = (pixels[..., 0] > 180) & (pixels[..., 1] < 80)
    rows, columns = np.nonzero(red)
    return bool(rows.mean() < red.shape[0] / 2), bool(columns.mean() < red.shape[1] / 2)


@pytest.mark.parametrize("make", [telling_jpeg, telling_png, telling_webp])
def test_nothing_but_the_picture_is_kept(make: Callable[[], bytes]) -> None:
    came = make()
    assert NAME.encode() in came
    photo = clean(came)
    assert set(_jpeg_segments(photo.image)) <= {0xE0, 0xDB, 0xC0, 0xC4}  # JFIF, tables, frame
    assert set(_webp_chunks(photo.thumbnail)) <= {b"VP8 ", b"VP8L"}
    for written in (photo.image, photo.thumbnail):
        for told in (NAME.encode(), b"Jeanne", b"Exif", b"GPS", b"2026:10", b"xmp", b"acsp"):
            assert told not in written
        opened = Image.open(io.BytesIO(written))
        assert not opened.getexif()
        assert {"comment", "icc_profile", "xmp", "exif"}.isdisjoint(opened.info)


@pytest.mark.parametrize("make", [telling_jpeg, telling_png, telling_webp])
def test_when_and_where_are_told_apart(make: Callable[[], bytes]) -> None:
    photo = clean(came := make())
    assert photo.taken_at == dt.datetime(2026, 10, 4, 12, 30, 5, tzinfo=dt.UTC)
    assert (photo.longitude, photo.latitude) == pytest.approx((-0.75, 44.51))
    assert (photo.sha256, photo.received_bytes) == (hashlib.sha256(came).hexdigest(), len(came))


def test_a_clock_without_a_zone_is_read_as_of_paris_or_by_satellite() -> None:
    exif = telling_exif()
    del exif.get_ifd(IFD.Exif)[Base.OffsetTimeOriginal]
    assert clean(jpeg(exif=exif)).taken_at == dt.datetime(2026, 10, 4, 12, 30, 5, tzinfo=dt.UTC)
    exif.get_ifd(IFD.GPSInfo)[GPS.GPSTimeStamp] = (12.0, 31.0, 7.0)
    assert clean(jpeg(exif=exif)).taken_at == dt.datetime(2026, 10, 4, 12, 31, 7, tzinfo=dt.UTC)


def test_nonsense_in_exif_is_no_place_and_no_time() -> None:
    exif = telling_exif()
    exif.get_ifd(IFD.Exif)[Base.DateTimeOriginal] = "0000:00:00 99:99:99"
    for latitude, longitude in (((0.0, 0.0, 0.0),) * 2, ((95.0, 0.0, 0.0), (1.0, 0.0, 0.0))):
        exif.get_ifd(IFD.GPSInfo)[GPS.GPSLatitude] = latitude
        exif.get_ifd(IFD.GPSInfo)[GPS.GPSLongitude] = longitude
        photo = clean(jpeg(exif=exif))
        assert (photo.taken_at, photo.longitude, photo.latitude) == (None, None, None)
    bare = clean(jpeg())
    assert (bare.taken_at, bare.longitude, bare.latitude) == (None, None, None)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_is_turned_upright(orientation: int) -> None:
    photo = clean(jpeg(exif=telling_exif(orientation)))
    assert (photo.width, photo.height) == ((400, 300) if orientation < 5 else (300, 400))
    # Where row 0 and column 0 of the file are to be seen (Exif 3.0, tag 274).
    above = orientation in (1, 2, 5, 6)
    left = orientation in (1, 4, 5, 8)
    assert _red_corner(photo) == (above, left)


def test_a_large_one_is_made_smaller() -> None:
    photo = clean(jpeg(forest(4000, 3000)))
    assert (photo.width, photo.height) == (LONGEST_SIDE_PX, 1920)
    assert Image.open(io.BytesIO(photo.image)).size == (photo.width, photo.height)
    assert Image.open(io.BytesIO(photo.thumbnail)).size == (320, 240)


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA", "CMYK", "I;16"])
def test_pictures_of_every_mode_are_kept(mode: str) -> None:
    grey = forest().convert("L")
    deep = np.asarray(grey).astype(np.uint16) * 257
    picture = Image.fromarray(deep) if mode == "I;16" else forest().convert(mode)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG" if mode == "CMYK" else "PNG")
    pixels = _decoded(clean(buffer.getvalue()))
    assert pixels.shape == (300, 400, 3)
    assert pixels[200:, :80].mean() + 60 < pixels[200:, 320:].mean()


def test_what_is_hidden_under_transparency_is_gone() -> None:
    picture = forest().convert("RGBA")
    picture.putalpha(0)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    assert _decoded(clean(buffer.getvalue())).min() > 250


def test_colours_of_a_profile_are_brought_to_srgb() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    same = _decoded(clean(jpeg(icc_profile=lab)))
    assert np.abs(same - _decoded(clean(jpeg()))).max() <= 4
    # What calls itself a profile and is none changes nothing.
    assert (_decoded(clean(jpeg(icc_profile=b"no profile"))) == _decoded(clean(jpeg()))).all()


def test_what_stands_behind_the_picture_is_gone() -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as written:
        written.writestr("evil.html", "<script>alert(1)</script>")
    for behind in (archive.getvalue(), b"<html><script>alert(1)</script></html>", b"%PDF-1.7 1 0 obj", b"<?php ?>"):
        photo = clean(jpeg(comment=b"<script>") + behind)
        for written_bytes in (photo.image, photo.thumbnail):
            assert behind not in written_bytes
            assert not zipfile.is_zipfile(io.BytesIO(written_bytes))
            for word in (b"script", b"PDF", b"php", b"PK\x03\x04"):
                assert word not in written_bytes


def _gif() -> bytes:
    buffer = io.BytesIO()
    forest().convert("P").save(buffer, "GIF")
    return buffer.getvalue()


def _tiff() -> bytes:
    buffer = io.BytesIO()
    forest().save(buffer, "TIFF")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("came", "words"),
    [
        (b"", "no photo"),
        (b"hello, forest", "no photo"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "no photo"),
        (b"%PDF-1.7\n" + jpeg(), "no photo"),
        (_gif(), "no photo"),
        (_tiff(), "no photo"),
        (b"GIF89a" + jpeg(), "no photo"),
        (b"\0\0\0\x18ftypheic" + b"\0" * 64, "damaged|HEIC"),
        (png_of_size(60_000, 60_000), "pixels"),
        (png_of_size(12_000, 8_000), "pixels"),
        (png_of_size(8_000, 8_000), "damaged"),
        (png_of_size(0, 9), "no photo|damaged"),
        (jpeg_of_many_scans(150), "scans"),
        (telling_jpeg()[:-600], "damaged"),
        (telling_jpeg()[:30], "no photo|damaged"),
        (telling_png()[:-300], "damaged"),
        (telling_webp()[:-400], "no photo|damaged"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[:12].hex(),
)
def test_what_is_no_photo_is_refused_in_one_sentence(came: bytes, words: str) -> None:
    with pytest.raises(PhotoError, match=words) as told:
        clean(came)
    assert str(told.value).count("\n") == 0


def test_a_bomb_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def decoded(*_: object) -> None:
        raise AssertionError("it was decoded")

    monkeypatch.setattr(cleaning, "_reduced", decoded)
    assert MOST_PIXELS < 9_500 * 8_600
    with pytest.raises(PhotoError, match="pixels"):
        clean(png_of_size(9_500, 8_600))


def test_damaged_bytes_are_refused_or_a_picture() -> None:
    chance, refused = random.Random(7), 0
    for make in (telling_jpeg, telling_png, telling_webp):
        whole = make()
        for _ in range(60):
            spoilt = bytearray(whole)
            for _ in range(chance.randint(1, 12)):
                spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    photo = clean(bytes(spoilt))
            except PhotoError:
                refused += 1
            else:
                assert NAME.encode() not in photo.image + photo.thumbnail
    assert 20 < refused < 180


def test_photos_of_iphones_are_read() -> None:
    pytest.importorskip("pi_heif", reason="HEIC needs pi-heif: install sylvigie[photos]")
    assert NAME.encode() in HEIC
    photo = clean(HEIC)
    assert (photo.width, photo.height) == (48, 64)
    assert _red_corner(photo) == (True, False)
    assert photo.taken_at == dt.datetime(2026, 10, 4, 12, 30, 5, tzinfo=dt.UTC)
    assert NAME.encode() not in photo.image + photo.thumbnail
    with pytest.raises(PhotoError, match="damaged"):
        clean(HEIC[:-60])
