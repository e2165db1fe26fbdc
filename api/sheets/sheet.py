"""An alert on one page of A4, as PDF: pictures, series, facts, criteria, points to check, method, versions."""

from __future__ import annotations

import datetime as dt
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import typst
from shapely.geometry.base import BaseGeometry

from api.pictures import ChipKind, PictureForm, chip_picture
from api.sheets.drawing import outline_svg, series_svg
from api.sheets.words import WORDS, SheetLanguage
from api.store.images import SeriesDate
from detector.chips import Moment
from tiles.errors import NotFoundError, PictureError

_PICTURE_PX: Final = 480


@dataclass(frozen=True, eq=False)
class SheetContent:
    """What a sheet is made of.

    Parameters
    ----------
    id
        Of the alert.
    properties
        As the service gives them.
    outline
        WGS 84.
    chips
        Files of the pictures that there are.
    series
        NDVI by date; empty where none was kept.
    """

    id: str
    properties: Mapping[str, Any]
    outline: BaseGeometry
    chips: Mapping[Moment, Path]
    series: Sequence[SeriesDate]


def make_sheet(content: SheetContent, language: SheetLanguage, today: dt.date) -> bytes:
    """Make the sheet of an alert; the same content on the same day gives the same bytes.

    What the store tells goes to the page as data, and is never read as markup.

    Parameters
    ----------
    content
        What it tells.
    language
        Of the words.
    today
        Told as the sheet's day.
    """
    with tempfile.TemporaryDirectory(prefix="sylvigie-sheet-") as name:
        folder = Path(name)
        told = _told(content, language, today) | {"pictures": _pictures(content, folder, WORDS[language])}
        series = series_svg(content.series, _day(content.properties, "last_intact"), _first_low(content.properties))
        (folder / "outline.svg").write_text(outline_svg(content.outline, WORDS[language]["scale"]), encoding="utf-8")
        if series is not None:
            (folder / "series.svg").write_text(series, encoding="utf-8")
        told |= {"series": None if series is None else "series.svg", "outline": "outline.svg"}
        (folder / "sheet.json").write_text(json.dumps(told, ensure_ascii=False), encoding="utf-8")
        (folder / "sheet.typ").write_bytes(files("api.sheets").joinpath("sheet.typ").read_bytes())
        timestamp = int(dt.datetime.combine(today, dt.time(), dt.UTC).timestamp())
        return bytes(typst.compile(str(folder / "sheet.typ"), root=name, ignore_system_fonts=True, timestamp=timestamp))


def _pictures(content: SheetContent, folder: Path, words: Mapping[str, Any]) -> list[dict[str, Any]]:
    made = []
    for kind in ChipKind:
        for moment in Moment:
            file = _picture(content, folder, moment, kind)
            side = words[moment.value]
            made.append({"file": file, "caption": side if kind is ChipKind.TRUE_COLOUR else f"{side}, {words['ndvi']}"})
    return made


def _picture(content: SheetContent, folder: Path, moment: Moment, kind: ChipKind) -> str | None:
    """The file of a picture; None where no clear date shows it, or its file is damaged."""
    path = content.chips.get(moment)
    if path is None:
        return None
    try:
        picture = chip_picture(path, kind, PictureForm.PNG, _PICTURE_PX, content.outline)
    except (NotFoundError, PictureError):
        return None
    name = f"{moment}_{kind}.png"
    (folder / name).write_bytes(picture)
    return name


def _told(content: SheetContent, language: SheetLanguage, today: dt.date) -> dict[str, Any]:
    words, known = WORDS[language], content.properties
    return {
        "lang": language.value,
        "id": content.id,
        "title": words["title"],
        "place": _place(known, words),
        "no_picture": words["no_picture"],
        "unknown": words["unknown"],
        "series_title": words["series"],
        "outline_title": words["outline"],
        "facts_title": words["facts"],
        "facts": _facts(content, words, language),
        "criteria_title": words["criteria"],
        "criteria": [_criterion(each, words, language) for each in known.get("criteria") or ()],
        "legal_title": words["legal"],
        "legal": [
            [f"{each['reference']} : {words['legal_status'].get(each['status'], each['status'])}", str(each["source"])]
            for each in known.get("legal_points") or ()
        ],
        "reasons_title": words["reasons"],
        "reasons": _reasons(known, words, language),
        "method_title": words["method"],
        "method": words["method_text"],
        "cite": words["cite"].format(
            id=content.id,
            model=known.get("model_version") or words["unknown"],
            rules=known.get("rules_version") or words["unknown"],
            day=today.isoformat(),
        ),
    }


def _place(known: Mapping[str, Any], words: Mapping[str, Any]) -> str:
    commune, departement = known.get("commune"), known.get("departement")
    if commune is None:
        return str(words["somewhere"]) if departement is None else f"({departement})"
    return str(commune) if departement is None else f"{commune} ({departement})"


def _facts(content: SheetContent, words: Mapping[str, Any], language: SheetLanguage) -> list[list[str]]:
    known, middle = content.properties, content.outline.centroid
    unknown = str(words["unknown"])

    def ha(name: str) -> str:
        return unknown if known.get(name) is None else f"{_number(known[name], 2, language)} ha"

    probability, abusive = known.get("clearcut_probability"), known.get("potentially_abusive")
    return [
        [words["area"], ha("area_ha")],
        [words["interval"], f"{known.get('last_intact') or unknown} / {known['first_low']}"],
        [words["state"], words["states"].get(known["state"], known["state"])],
        [words["probability"], unknown if probability is None else f"{_number(probability * 100, 0, language)} %"],
        [words["abusive"], unknown if abusive is None else words["yes"] if abusive else words["no"]],
        [words["place"], _place(known, words)],
        [words["coordinates"], f"{middle.y:.5f}, {middle.x:.5f}"],
        [words["forest"], str(known.get("forest_type") or unknown)],
        [words["slope"], ha("slope_block_ha")],
        [words["natura"], ha("natura2000_ha")],
        [words["looks"], f"{_or(known, 'n_clear_before', unknown)} / {_or(known, 'n_clear_after', unknown)}"],
        [words["review"], words["reviews"].get(known["review"], known["review"])],
    ]


def _or(known: Mapping[str, Any], name: str, unknown: str) -> str:
    return unknown if known.get(name) is None else str(known[name])


def _criterion(each: Mapping[str, Any], words: Mapping[str, Any], language: SheetLanguage) -> list[str]:
    met = words["met"][json.dumps(each["met"])]
    name, value = words["criterion"].get(each["code"], each["code"]), words["unknown"]
    if each.get("value") is not None:
        value = f"{_number(each['value'], 2, language)} {each['unit']}"
    limit = f"{words['threshold']} {_number(each['threshold'], 2, language)} {each['unit']}"
    return [f"{name} : {met} ({value}, {limit})", str(each["source"])]


def _reasons(known: Mapping[str, Any], words: Mapping[str, Any], language: SheetLanguage) -> list[str]:
    reasons = (known.get("reasons") or {}).get("clearcut") or {}
    lines = []
    for side in ("for", "against"):
        said = "; ".join(str(each[language.value]) for each in reasons.get(side) or ())
        if said:
            lines.append(f"{words[f'reasons_{side}']}{said}")
    return lines or [str(words["unknown"])]


def _number(value: float, digits: int, language: SheetLanguage) -> str:
    text = f"{value:.{digits}f}"
    return text.replace(".", ",") if language is SheetLanguage.FR else text


def _day(known: Mapping[str, Any], name: str) -> dt.date | None:
    return None if known.get(name) is None else dt.date.fromisoformat(str(known[name]))


def _first_low(known: Mapping[str, Any]) -> dt.date:
    return dt.date.fromisoformat(str(known["first_low"]))
