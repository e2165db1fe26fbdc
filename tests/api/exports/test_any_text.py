"""Whatever text stands in an alert, documents stay well-formed, cells stay cells, and nothing is run."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from xml.etree import ElementTree as ET

import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from api.exports import ExportFormat, atom_feed, stream
from api.exports.columns import COLUMNS, PLACE
from api.exports.tables import clean
from api.features import AlertFeature
from tests.fakes.exported_alerts import INFO, square

ANY_TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
TEXTS = st.one_of(
    ANY_TEXT, st.tuples(st.sampled_from(["=", "+", "-", "@", "\t", "]]>", "<script>"]), ANY_TEXT).map("".join)
)


def _alert(text: str) -> AlertFeature:
    outline = square(0.0, 44.0)
    properties = {"commune": text, "departement": text, "area_ha": 1.0, "criteria": [{"code": text, "met": True}]}
    feature = {"type": "Feature", "id": "a", "geometry": None, "properties": properties}
    return AlertFeature("a", json.dumps(feature), shapely.to_wkb(outline))


@given(TEXTS)
@settings(max_examples=60, deadline=None)
def test_documents_stay_well_formed_and_keep_the_text(text: str) -> None:
    info = replace(INFO, title=text, source=text, link=text, filters={"commune": text})
    kept = clean(text).replace("\r\n", "\n").replace("\r", "\n")  # as XML reads line ends
    for fmt in (ExportFormat.KML, ExportFormat.GPX):
        root = ET.fromstring(b"".join(stream([_alert(text)], fmt, info)))
        assert any((element.text or "") == kept for element in root.iter()), fmt
    feed = ET.fromstring(atom_feed([_alert(text)], info))
    assert feed.findtext("{http://www.w3.org/2005/Atom}title") == kept
    for fmt in (ExportFormat.GEOJSON, ExportFormat.GEOJSONL):
        assert json.loads(b"".join(stream([_alert(text)], fmt, info)))


@given(TEXTS)
@settings(max_examples=60, deadline=None)
def test_csv_keeps_its_cells_and_runs_none(text: str) -> None:
    info = replace(INFO, source=text)
    document = b"".join(stream([_alert(text)], ExportFormat.CSV, info)).decode("utf-8")
    (row,) = csv.DictReader(io.StringIO(document.removeprefix("\ufeff"), newline=""), delimiter=";")
    assert None not in row
    assert len(row) == 1 + len(COLUMNS) + len(PLACE) + 5
    commune = row["commune"]
    assert commune.removeprefix("'") == clean(text).removeprefix("'")
    for cell in (commune, row["export_source"], row["criteria_met"]):
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
