"""`sylvigie scan` on an archive that is asked over the network: the same alerts as from the files beside."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import pystac
import pytest
import shapely

from scripts import cli
from tests.fakes.archives import served_archive
from tiles.catalog import ARCHIVES

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run `sylvigie scan` of July 2019 around the small archive's felling; options as keywords."""
    aoi = tmp_path / "aoi.geojson"
    place = shapely.box(499_000, 4_999_520, 499_480, 5_000_000)
    gpd.GeoDataFrame(geometry=[place], crs=32631).to_crs(4326).to_file(aoi)

    def run(out: str, **options: str) -> tuple[int, str]:
        given = {"month": "2019-07", "out": str(tmp_path / out), "aoi": str(aoi)} | options
        words = [word for name, value in given.items() for word in (f"--{name}", value)]
        monkeypatch.setattr(sys, "argv", ["sylvigie", "scan", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert isinstance(ended.value.code, int)
        return ended.value.code, capfd.readouterr().err

    return run


def _documents(archive: Path) -> list[dict[str, Any]]:
    """The small archive's items, as an API in the shape of Earth Search gives them."""
    documents = []
    for item in pystac.Catalog.from_file(str(archive / "catalog.json")).get_items(recursive=True):
        item.make_asset_hrefs_absolute()
        document = item.to_dict(include_self_link=False)
        documents.append(document | {"links": [], "collection": "sentinel-2-l2a"})
    return documents


def test_an_archive_by_name_gives_what_its_files_give(
    small_archive: Path, tmp_path: Path, scan: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert scan("from-files", catalog=str(small_archive))[0] == 0
    faults = {"search": [{"status": 429, "retry_after": 0}, {"status": 503}]}
    with served_archive(_documents(small_archive), faults=faults, page_items=20) as server:
        monkeypatch.setitem(ARCHIVES, "earth-search", dataclasses.replace(ARCHIVES["earth-search"], url=server.url))
        assert scan("by-option", catalog="earth-search")[0] == 0
        monkeypatch.setenv("SYLVIGIE_CATALOGUE", "earth-search")
        assert scan("by-setting")[0] == 0
        record = json.loads((tmp_path / "by-option" / "scan.json").read_text())
    assert record["catalogue"] == f"{server.url}#sentinel-2-l2a"
    alerts = (tmp_path / "from-files" / "alerts.geojson").read_bytes()
    assert len(json.loads(alerts)["features"]) == 1
    for out in ("by-option", "by-setting"):
        assert (tmp_path / out / "alerts.geojson").read_bytes() == alerts


def test_any_api_serves_the_months_of_a_tile(
    small_archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """One whose words for a tile are not known: it is asked for the tile's ground."""

    def monthly(catalogue: str, data: str) -> bytes:
        options = {"--tiles": "31TDK", "--month": "2019-07", "--catalog": catalogue, "--data-dir": str(tmp_path / data)}
        monkeypatch.setattr(sys, "argv", ["sylvigie", "monthly", *(word for pair in options.items() for word in pair)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert (ended.value.code, capfd.readouterr().out.count("1 done")) == (0, 1)
        return (tmp_path / data / "months" / "2019-07" / "alerts.geojson").read_bytes()

    with served_archive(_documents(small_archive)) as server:
        from_api = monthly(f"{server.url}#sentinel-2-l2a", "api")
        assert all("bbox" in request["body"] for request in server.requests("search"))
    assert from_api == monthly(str(small_archive), "files")
    assert len(json.loads(from_api)["features"]) == 1


def test_an_area_where_the_archive_has_nothing_is_one_sentence(scan: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with served_archive([]) as server:
        code, said = scan("out", catalog=f"{server.url}#sentinel-2-l2a")
        assert (code, len(said.splitlines())) == (2, 1)
        assert "no usable scene in 2019-07" in said
        # The world is not searched for a scene elsewhere.
        assert all("bbox" in request["body"] for request in server.requests("search"))


@pytest.mark.parametrize(
    ("environment", "catalog", "said"),
    [
        ({}, "cdse", "The Copernicus Data Space asks who reads: set SYLVIGIE_CDSE_S3_KEY"),
        ({}, "earthsearch", "No archive is called earthsearch"),
        ({"SYLVIGIE_THREADS": "none"}, "cdse", "SYLVIGIE_THREADS will not do"),
    ],
)
def test_what_will_not_do_is_one_sentence(
    scan: Run, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], catalog: str, said: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    code, err = scan("out", catalog=catalog)
    assert code == 2
    assert err.startswith(f"sylvigie: {said}")
    assert len(err.splitlines()) == 1
