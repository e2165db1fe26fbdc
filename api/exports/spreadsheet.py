"""CSV and XLSX: for those who work with tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import xlsxwriter

from api.exports.about import about_lines
from api.exports.columns import COLUMNS, Column, Kind, point_of
from api.features import AlertFeature, CollectionInfo

_PLACE: Final = (
    Column("longitude", "Longitude (°)", Kind.NUMBER),
    Column("latitude", "Latitude (°)", Kind.NUMBER),
)
_ACTIVE: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a text begins with that a spreadsheet would take for a formula (OWASP, CSV Injection)."""
_YES_NO: Final = {True: "oui", False: "non"}


def csv_text(features: Iterable[AlertFeature], info: CollectionInfo) -> Iterator[str]:
    """CSV (RFC 4180) in UTF-8: names for programs in the first line, what is not known empty.

    Every line says source, licence and date, for there is no other place that all readers keep.
    """
    told = (info.source, info.licence, info.made.isoformat(timespec="seconds"), info.estimator)
    names = ["id", *(column.name for column in (*COLUMNS, *_PLACE)), "source", "licence", "made", "area"]
    yield _line(names)
    for feature in features:
        values = [column.value(feature.properties) for column in COLUMNS]
        yield _line([feature.id, *values, *point_of(feature), *told])


def _line(values: Iterable[Any]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow([_cell(value) for value in values])
    return buffer.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return harmless(value) if isinstance(value, str) else value


def harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_ACTIVE) else text


def write_xlsx(features: Iterable[AlertFeature], info: CollectionInfo, path: Path) -> None:
    """Write a workbook: the alerts under French headings, what it is, and the names for programs.

    Rows go to the disk as they come. A sheet holds 1,048,576 rows: what is beyond goes on in another.
    """
    # Texts are texts: neither formula nor link is made of what somebody wrote.
    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "tmpdir": str(path.parent),
        "default_date_format": "yyyy-mm-dd",
    }
    with xlsxwriter.Workbook(str(path), options) as book:
        bold = book.add_format({"bold": True})
        columns = (*COLUMNS, *_PLACE)
        headings = ["Alerte", *(column.french for column in columns)]
        sheet, row = None, 0
        for feature in features:
            if sheet is None or row == _MOST_ROWS:
                sheet, row = _begun(book, headings, bold), 1
            values = [feature.id, *(column.value(feature.properties) for column in COLUMNS), *point_of(feature)]
            for number, value in enumerate(values):
                if value is not None:
                    sheet.write(row, number, _YES_NO[value] if isinstance(value, bool) else value)
            row += 1
        if sheet is None:
            _begun(book, headings, bold)
        _tell(book.add_worksheet("Lisez-moi"), about_lines(info), bold)
        names = [("Colonne", "Nom pour les programmes"), ("Alerte", "id")]
        _tell(book.add_worksheet("Colonnes"), [*names, *((c.french, c.name) for c in columns)], bold)


_MOST_ROWS: Final = 1_048_576


def _begun(book: Any, headings: list[str], bold: Any) -> Any:
    number = len(book.worksheets()) + 1
    sheet = book.add_worksheet("Alertes" if number == 1 else f"Alertes {number}")
    sheet.freeze_panes(1, 1)
    sheet.set_column(0, 0, 34)
    sheet.set_column(1, len(headings) - 1, 16)
    sheet.write_row(0, 0, headings, bold)
    return sheet


def _tell(sheet: Any, lines: list[tuple[str, str]], bold: Any) -> None:
    sheet.set_column(0, 0, 44)
    sheet.set_column(1, 1, 100)
    for number, (word, meaning) in enumerate(lines):
        sheet.write_string(number, 0, word, bold)
        sheet.write_string(number, 1, meaning)
