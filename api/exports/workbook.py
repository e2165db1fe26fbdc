"""XLSX: the alerts, what the workbook is, and what each column is, in three sheets, written row by row.

References
----------
ECMA-376, Office Open XML; Excel's limits: 1,048,576 rows a sheet, 32,767 characters a cell.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import xlsxwriter
import xlsxwriter.exceptions

from api.exports import about
from api.exports.columns import COLUMNS, ID, PLACE, flat_cells
from api.exports.tables import Cell, clean
from api.features import AlertFeature, CollectionInfo
from tiles.errors import OutputError

_MOST_ROWS: Final = 1_048_575
"""Below the line of names."""
_MOST_LETTERS: Final = 32_767

_KINDS_FR: Final = {"text": "texte", "number": "nombre", "count": "entier", "yes_no": "oui ou non", "date": "date"}


def write_workbook(features: Iterable[AlertFeature], info: CollectionInfo, path: Path, most: int = _MOST_ROWS) -> None:
    """Write alerts as a workbook.

    Texts are written as texts: one that begins with ``=`` is no formula. A text longer than a cell is cut, and ends
    with an ellipsis.

    Raises
    ------
    OutputError
        When the file cannot be written, or there are more alerts than a sheet has rows.
    """
    options = {"constant_memory": True, "tmpdir": str(path.parent), "strings_to_urls": False}
    workbook = xlsxwriter.Workbook(str(path), options)
    try:
        try:
            _fill(workbook, features, info, most)
        except BaseException:
            # Its rows wait in files of its own, which only closing it removes.
            with suppress(xlsxwriter.exceptions.XlsxWriterException, OSError):
                workbook.close()
            raise
        workbook.close()
    except (xlsxwriter.exceptions.XlsxWriterException, OSError) as error:
        raise OutputError(f"Cannot write {path}: {error}.") from error


def _fill(workbook: Any, features: Iterable[AlertFeature], info: CollectionInfo, most: int) -> None:
    made = about.made_utc(info).replace(tzinfo=None)
    workbook.set_properties(
        {"title": clean(info.title), "author": clean(info.source), "comments": info.estimator, "created": made}
    )
    heading = workbook.add_format({"bold": True, "bottom": 1})
    columns = (ID, *COLUMNS, *PLACE)
    sheet = workbook.add_worksheet("Alertes")
    sheet.freeze_panes(1, 1)
    sheet.set_column(0, 0, 34)
    sheet.set_column(1, len(columns) - 1, 14)
    sheet.write_row(0, 0, [column.name for column in columns], heading)
    day = workbook.add_format({"num_format": "dd/mm/yyyy"})
    row = 0
    for row, feature in enumerate(features, start=1):
        if row > most:
            raise OutputError(
                f"A sheet of a workbook holds {most:,} alerts and there are more: filter them, or take CSV."
            )
        for index, value in enumerate(flat_cells(feature)):
            _write(sheet, row, index, value, day)
    sheet.autofilter(0, 0, row, len(columns) - 1)

    sheet = workbook.add_worksheet("Lisez-moi")
    sheet.set_column(0, 0, 28)
    sheet.set_column(1, 1, 100)
    for row, (name, text) in enumerate(about.lines_fr(info)):
        sheet.write_string(row, 0, name, heading)
        sheet.write_string(row, 1, _fitting(clean(text)))

    sheet = workbook.add_worksheet("Colonnes")
    sheet.set_column(0, 0, 24)
    sheet.set_column(1, 1, 90)
    sheet.write_row(0, 0, ["nom", "description", "unité", "nature"], heading)
    for row, column in enumerate(columns, start=1):
        sheet.write_row(row, 0, [column.name, column.fr, column.unit or "", _KINDS_FR[column.kind.value]])


def _write(sheet: Any, row: int, index: int, value: Cell, day: Any) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        sheet.write_boolean(row, index, value)
    elif isinstance(value, str):
        sheet.write_string(row, index, _fitting(value))
    elif isinstance(value, dt.date):
        sheet.write_datetime(row, index, value, day)
    else:
        sheet.write_number(row, index, value)


def _fitting(text: str) -> str:
    return text if len(text) <= _MOST_LETTERS else text[: _MOST_LETTERS - 1] + "…"
