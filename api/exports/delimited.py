"""CSV as a French spreadsheet opens it by a double click: semicolons, decimal commas, UTF-8 with its mark.

With points for decimals a French Excel takes 12.05 for the twelfth of May and says nothing; with commas an English one
keeps 12,05 as a text, which is seen. ``pandas.read_csv(path, sep=";", decimal=",")`` reads it.

References
----------
RFC 4180, Common Format and MIME Type for Comma-Separated Values: quoting and line ends.
OWASP, CSV Injection, https://owasp.org/www-community/attacks/CSV_Injection: cells that a spreadsheet would run.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Iterable, Iterator

from api.exports import about
from api.exports.columns import COLUMNS, ID, PLACE, flat_cells
from api.exports.tables import Cell, clean
from api.features import AlertFeature, CollectionInfo

_MARK = "\ufeff"
"""Byte order mark: without it Excel takes UTF-8 for the machine's old code page."""
_RUN_BY_SPREADSHEETS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001
"""What a cell begins with that a spreadsheet takes for a formula, as OWASP lists it: full-width forms too."""


def rows(features: Iterable[AlertFeature], info: CollectionInfo) -> Iterator[str]:
    """A line of names, then a line an alert; the last columns say whose it is, since there is nothing around them."""
    said = about.on_each_feature(info)
    line = io.StringIO()
    writer = csv.writer(line, delimiter=";", lineterminator="\r\n")
    writer.writerow([*(column.name for column in (ID, *COLUMNS, *PLACE)), *said])
    yield _MARK + _taken(line)
    tail = [harmless(clean(text)) for text in said.values()]
    for feature in features:
        writer.writerow([*(_written(cell) for cell in flat_cells(feature)), *tail])
        yield _taken(line)


def harmless(text: str) -> str:
    """A text that no spreadsheet runs: with an apostrophe before what looks like a formula."""
    return f"'{text}" if text.lstrip(" \u00a0").startswith(_RUN_BY_SPREADSHEETS) else text


def _written(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "oui" if cell else "non"
    if isinstance(cell, str):
        return harmless(cell)
    if isinstance(cell, dt.date):
        return cell.isoformat()
    # Numbers are never formulas: those below zero keep their sign.
    return str(cell).replace(".", ",")


def _taken(line: io.StringIO) -> str:
    text = line.getvalue()
    line.seek(0)
    line.truncate()
    return text
