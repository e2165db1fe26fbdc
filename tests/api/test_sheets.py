"""An alert on one page of paper: what it says, in both languages; what is hostile stays text."""

from __future__ import annotations

import datetime as dt
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine

from api.sheets.drawing import outline_svg, series_svg
from api.sheets.sheet import SheetContent, make_sheet
from api.sheets.words import WORDS, SheetLanguage
from api.store.images import SeriesDate
from detector.chips import Moment
from tests.api.alerts import found_alert

TODAY = dt.date(2026, 11, 24)
DATES = [
    SeriesDate(dt.date(2026, 1, 5) + dt.timedelta(20 * i), f"S{i}", 0.8 if i < 10 else 0.3, 1.0) for i in range(15)
]


def _content(chips: dict[Moment, Path] | None = None, **told: Any) -> SheetContent:
    found = found_alert(1, criteria=[], legal_points=[], **told)
    return SheetContent(found.id, found.properties, found.geometry, chips or {}, DATES)


def _chip(path: Path) -> Path:
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 4, "height": 40, "width": 40, "crs": "EPSG:32630"}
    pixels = np.random.default_rng(1).integers(1, 255, (4, 40, 40)).astype(np.uint8)
    with rasterio.open(path, "w", **profile, transform=Affine(10, 0, 700_000, 0, -10, 4_880_000), nodata=0) as chip:
        chip.write(pixels)
        chip.update_tags(BANDS="red,green,blue,ndvi", DATE="2026-10-04", SCENE="S", MOMENT="after", ALERT="A")
    return path


def _text(pdf: bytes, folder: Path) -> str:
    """What the page says, read by another program."""
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext (poppler-utils) is not installed")
    (folder / "sheet.pdf").write_bytes(pdf)
    told = subprocess.run(["pdftotext", "-raw", str(folder / "sheet.pdf"), "-"], capture_output=True, check=True)
    return " ".join(told.stdout.decode().split())


def _pages(pdf: bytes) -> int:
    return max(int(count) for count in re.findall(rb"/Count (\d+)", pdf))


def test_both_languages_say_the_same_things() -> None:
    def names(words: dict[str, Any]) -> list[Any]:
        return [(key, sorted(value) if isinstance(value, dict) else None) for key, value in words.items()]

    assert names(WORDS[SheetLanguage.FR]) == names(WORDS[SheetLanguage.EN])


@pytest.mark.parametrize("language", SheetLanguage)
def test_a_sheet_is_one_page_and_the_same_bytes_each_time(language: SheetLanguage, tmp_path: Path) -> None:
    chips = {moment: _chip(tmp_path / f"{moment}.tif") for moment in Moment}
    criteria = [{"code": "area", "value": 12.5, "threshold": 10.0, "unit": "ha", "met": True, "source": "x " * 60}] * 3
    points = [{"reference": f"Code forestier {i}", "status": "to_check", "source": "y " * 80} for i in range(6)]
    content = _content(chips)
    full = {
        **content.properties,
        "criteria": criteria,
        "legal_points": points,
        "commune": "Sabres",
        "departement": "40",
    }
    content = SheetContent(content.id, full, content.outline, chips, DATES)
    made = make_sheet(content, language, TODAY)
    assert made[:5] == b"%PDF-"
    assert _pages(made) == 1
    assert made == make_sheet(content, language, TODAY)


def test_what_is_not_known_is_said_to_be_so(tmp_path: Path) -> None:
    told = _text(make_sheet(_content(), SheetLanguage.FR, TODAY), tmp_path)
    assert "non connu" in told
    assert "pas d'image" in told
    assert "Surface (cartographiée, non corrigée)" in told
    assert "2,50 ha" in told
    assert "illégal" not in told


def test_text_of_the_store_is_never_read_as_markup(tmp_path: Path) -> None:
    hostile = '#panic("x") $1/0$ *gras* \\ ] " <script> #read("/etc/passwd") éà 木'
    made = make_sheet(_content(commune=hostile, departement="40"), SheetLanguage.EN, TODAY)
    assert _pages(made) == 1
    told = _text(made, tmp_path)
    assert '#panic("x")' in told
    assert "root:" not in told


def test_a_damaged_chip_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "after.tif").write_bytes(b"no picture")
    assert _pages(make_sheet(_content({Moment.AFTER: tmp_path / "after.tif"}), SheetLanguage.FR, TODAY)) == 1


def test_the_scale_of_an_outline_is_a_hundred_metres() -> None:
    # A square of about 200 m: side of the drawing 300 units for 250 m.
    square = shapely.box(1.0, 45.0, 1.0 + 200 / 78_847, 45.0 + 200 / 111_132)
    drawn = outline_svg(square, "100 m")
    end = re.search(r'<line x1="4" x2="([\d.]+)"', drawn)
    assert end is not None
    assert float(end[1]) - 4 == pytest.approx(300 * 100 / 250, rel=0.01)


def test_a_series_needs_two_clear_dates() -> None:
    hidden = [SeriesDate(each.day, each.scene, each.ndvi, 0.1) for each in DATES]
    assert series_svg(hidden, None, TODAY) is None
    assert series_svg(DATES[:1], None, TODAY) is None
    drawn = series_svg(DATES, dt.date(2026, 7, 1), dt.date(2026, 8, 1))
    assert drawn is not None
    assert drawn.count("<circle") == len(DATES)
