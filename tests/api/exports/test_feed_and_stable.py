"""The Atom feed holds what RFC 4287 asks for; the files at stable paths are whole, and where they are looked for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pyogrio
import pytest

from api.exports import atom_feed, stable_path, write_stable
from api.features import UNCORRECTED_FR, AlertFeature
from tests.fakes.exported_alerts import FULL, INFO, SCRIPT, emptied
from tiles.errors import InvalidParameterError

ATOM = "{http://www.w3.org/2005/Atom}"


def _feed(alerts: list[AlertFeature]) -> ET.Element:
    return ET.fromstring(atom_feed(iter(alerts), INFO, lambda name: f"http://127.0.0.1:8000/alertes/{name}?a&b"))


def test_feed_says_whose_it_is(alerts: list[AlertFeature]) -> None:
    feed = _feed(alerts)
    assert feed.tag == f"{ATOM}feed"
    assert feed.findtext(f"{ATOM}title") == INFO.title
    assert feed.findtext(f"{ATOM}updated") == "2026-07-31T00:00:00Z"
    assert feed.findtext(f"{ATOM}author/{ATOM}name") == INFO.source
    assert str(feed.findtext(f"{ATOM}subtitle")).startswith(UNCORRECTED_FR)
    links = {link.get("rel"): link.get("href") for link in feed.findall(f"{ATOM}link")}
    assert links == {"license": "https://spdx.org/licenses/ODbL-1.0.html", "self": INFO.link}


def test_each_entry_has_what_a_reader_needs(alerts: list[AlertFeature]) -> None:
    entries = _feed(alerts).findall(f"{ATOM}entry")
    assert len(entries) == len(alerts)
    for entry in entries:
        assert str(entry.findtext(f"{ATOM}id")).startswith("urn:uuid:")
        assert entry.findtext(f"{ATOM}title")
        assert str(entry.findtext(f"{ATOM}updated")).endswith("T00:00:00Z")
        assert entry.findtext(f"{ATOM}content")
    full = entries[1]
    assert full.findtext(f"{ATOM}title") == f"12,1 ha à {SCRIPT} (40)"
    assert [category.get("term") for category in full.findall(f"{ATOM}category")] == ["area", "natura2000"]
    link = full.find(f"{ATOM}link")
    assert link is not None
    assert link.get("href") == f"http://127.0.0.1:8000/alertes/{FULL}?a&b"
    text = str(full.findtext(f"{ATOM}content"))
    assert "Coupe vue le 16/06/2026, forêt encore intacte le 30/05/2026" in text
    assert "Points de droit à vérifier : L124-5" in text
    lat, lon = str(full.findtext("{http://www.georss.org/georss}point")).split()
    assert (44.15 < float(lat) < 44.154, -0.75 < float(lon) < -0.746) == (True, True)


def test_identities_stay_and_differ(alerts: list[AlertFeature]) -> None:
    ids = [element.text for element in _feed(alerts).iter(f"{ATOM}id")]
    assert len(set(ids)) == len(alerts) + 1
    assert ids == [element.text for element in _feed(alerts).iter(f"{ATOM}id")]
    other = ET.fromstring(atom_feed(alerts, replace(INFO, filters={"departement": "33"})))
    others = [element.text for element in other.iter(f"{ATOM}id")]
    assert others[0] != ids[0]
    assert others[1:] == ids[1:]


def test_a_feed_of_none_and_of_alerts_of_which_nothing_is_known(alerts: list[AlertFeature]) -> None:
    assert _feed([]).findtext(f"{ATOM}updated") == "2026-11-23T18:05:07Z"
    titles = [entry.findtext(f"{ATOM}title") for entry in _feed([emptied(a) for a in alerts]).iter(f"{ATOM}entry")]
    assert titles == ["? ha"] * len(alerts)


def test_gdal_reads_the_feed_as_places(alerts: list[AlertFeature], tmp_path: Path) -> None:
    path = tmp_path / "feed.xml"
    path.write_bytes(atom_feed(alerts, INFO))
    frame = pyogrio.read_dataframe(path)
    assert frame.geometry.geom_type.unique().tolist() == ["Point"]
    assert frame["title"].tolist()[1] == f"12,1 ha à {SCRIPT} (40)"


def test_stable_files_are_where_teams_look_for_them(alerts: list[AlertFeature], tmp_path: Path) -> None:
    path = write_stable(iter(alerts), INFO, tmp_path)
    assert path == tmp_path / "exports" / "alertes.geojson"
    assert len(json.loads(path.read_text(encoding="utf-8"))["features"]) == len(alerts)
    assert path.stat().st_mode & 0o777 == 0o644
    landes = write_stable(iter(alerts[1:2]), INFO, tmp_path, "2A")
    assert landes == tmp_path / "exports" / "alertes-2A.geojson"
    assert json.loads(landes.read_text(encoding="utf-8"))["sylvigie"]["filters"]["departement"] == "2A"
    assert write_stable(iter(()), INFO, tmp_path) == path
    assert json.loads(path.read_text(encoding="utf-8"))["features"] == []
    assert sorted(found.name for found in path.parent.iterdir()) == ["alertes-2A.geojson", "alertes.geojson"]


@pytest.mark.parametrize("departement", ["../../etc", "", "4", "40/..", "40\n", "9740", "AA"])
def test_a_departement_that_is_none_makes_no_path(departement: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="is no département"):
        stable_path(tmp_path, departement)


def test_departements_of_insee(tmp_path: Path) -> None:
    for departement in ("01", "40", "2A", "2B", "95", "974"):
        assert stable_path(tmp_path, departement).name == f"alertes-{departement}.geojson"
