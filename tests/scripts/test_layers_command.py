"""`sylvigie layers`: what it prints, and what it ends with."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import pytest

from scripts import cli
from tests.detector.layers.made import departements, frame, square, write
from tests.detector.layers.test_fetching import sites
from tests.fakes.layer_server import layer_server

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """The command, with a data directory of its own; gives its exit code, what it printed, what it told."""

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["sylvigie", "layers", *words, "--data-dir", str(tmp_path / "data")])
        code: object = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
        out, err = capfd.readouterr()
        return (code if isinstance(code, int) else 1 if code else 0), out, err

    return run


def test_a_layer_from_a_file_to_a_check(run: Run, tmp_path: Path) -> None:
    assert run("import", "departements", str(write(tmp_path / "d.geojson", departements())))[0] == 0
    woods = frame([square(0, 0), square(1, 0)], genre=["FF1-00", "LA4"])
    path = str(write(tmp_path / "woods.gpkg", woods))
    code, _, err = run("import", "forest", path, "--column", "code_tfv=genre")
    assert code == 2
    assert err.startswith("sylvigie: What ground the file of forest speaks of cannot be told from it")
    code, out, _ = run(
        "import", "forest", path, "--column", "code_tfv=genre", "--covers", "40", "--vintage", "2018-01-01"
    )
    assert code == 0
    assert out == "forest, part whole: 2 read, 2 kept; covers département 40; Licence Ouverte 2.0, IGN, BD Forêt\n"
    code, out, _ = run("list", "--json")
    (row,) = [row for row in json.loads(out) if row["name"] == "forest"]
    assert (row["state"], row["features"], row["vintage"]) == ("installed", 2, "2018-01-01")
    assert row["service_confirmed"] is True
    _, out, _ = run("list")
    assert "Forêt (BD Forêt)" in out
    assert "absente (import)" in out
    code, out, _ = run("check", "forest")
    assert (code, out) == (0, "All layers that are installed are sound.\n")
    (kept,) = (tmp_path / "data" / "layers" / "forest").glob("*.parquet")
    kept.write_bytes(kept.read_bytes()[:-1])
    code, out, _ = run("check")
    assert code == 2
    assert "forest: error: Layer forest is broken" in out
    assert "ABÎMÉE / broken" in " ".join(run("list")[1].split())


def test_a_layer_from_a_service(run: Run, tmp_path: Path) -> None:
    with layer_server(tmp_path / "service") as server:
        url = server.serve_features("patrinat_sic:sic", sites(30))
        code, out, err = run("fetch", "natura2000_zsc", "--url", url)
        assert (code, err) == (0, "")
        assert out.startswith("natura2000_zsc, part whole: 30 read, 30 kept; covers metropolitan France; ")
        code, _, err = run("fetch", "znieff1", "--url", url)
    assert code == 2
    assert "Feature type patrinat_znieff1:znieff1 unknown" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("fetch", "forrest"), "forrest is no layer"),
        (("fetch", "appb", "znieff1", "--url", "http://127.0.0.1:9/"), "--url is for one layer"),
        (("fetch", "appb", "--departement", "99"), "99 is no code of a département"),
        (("fetch", "appb", "--bbox", "1,2,3"), "1,2,3 is no bbox"),
        (("fetch", "tree_cover"), "No service gives tree_cover without an account"),
        (("import", "appb", "gone.gpkg"), "There is no file gone.gpkg"),
        (("import", "appb", __file__, "--column", "code"), "--column code: give the standard column"),
        (("check", "forrest"), "forrest is no layer"),
    ],
)
def test_what_will_not_do_is_one_sentence(run: Run, words: tuple[str, ...], said: str) -> None:
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith("sylvigie: ")
    assert said in err


def test_a_layer_that_another_run_writes_is_left_alone(run: Run, tmp_path: Path) -> None:
    import datetime as dt

    from scripts.locks import locked

    path = str(write(tmp_path / "d.gpkg", departements()))
    with locked(tmp_path / "data", "layer-departements", dt.datetime.now(dt.UTC)):
        assert run("import", "departements", path)[0] == 4
    assert run("import", "departements", path)[0] == 0


def test_zipped_files_are_unpacked(run: Run, tmp_path: Path) -> None:
    import zipfile

    write(tmp_path / "in" / "d.shp", departements())
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        for file in (tmp_path / "in").iterdir():
            archive.write(file, file.name)
    assert run("import", "departements", str(tmp_path / "d.zip"))[0] == 0
    (kept,) = (tmp_path / "data" / "layers" / "departements").glob("*.parquet")
    assert len(gpd.read_parquet(kept)) == 2
