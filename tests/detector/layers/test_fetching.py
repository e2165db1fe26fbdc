"""Layers fetched from services played on the loopback: paged features, editions, archives, tiles."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from affine import Affine

from detector.layers.archives import join_volumes, unpack
from detector.layers.checking import check_layers
from detector.layers.definitions import SourceKind, definitions
from detector.layers.download import Downloads
from detector.layers.fetching import DOWNLOADS, Fetching, Request
from detector.layers.importing import Whence, import_files
from detector.layers.manifest import read_manifest
from detector.layers.store import LayerStore, VectorLayer
from tests.detector.layers.made import NOW, X, Y, collection, departements, frame, square, write, write_pixels
from tests.fakes.layer_server import LayerServer, layer_server
from tiles.errors import LayerError, MissingDependencyError
from tiles.remote import HostGate, RetryPolicy

ATOM = """<?xml version="1.0" encoding="UTF-8"?>
<feed xmlns="http://www.w3.org/2005/Atom" xmlns:gpf_dl="https://data.geopf.fr/annexes/ressources/xsd/gpf_dl.xsd"
      gpf_dl:page="{page}" gpf_dl:pagesize="50" gpf_dl:pagecount="{pages}">{entries}</feed>"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LayerServer]:
    with layer_server(tmp_path_factory.mktemp("services") / "one") as server:
        yield server


@pytest.fixture
def server(service: LayerServer) -> LayerServer:
    for held in (service.faults, service.files, service.wfs, service.options):
        held.clear()
    service.write()
    return service


@dataclass
class Fetched:
    """A store that is fetched into, and what was told meanwhile."""

    store: LayerStore
    fetching: Fetching
    told: list[str] = field(default_factory=list)

    def __call__(self, name: str, **options: Any) -> VectorLayer:
        self.fetching.fetch(Request(name, **options))
        layer = self.store.vector(name)
        assert layer is not None
        return layer


@pytest.fixture
def fetch(tmp_path: Path) -> Iterator[Fetched]:
    store = LayerStore(tmp_path / "layers")
    downloads = Downloads(RetryPolicy(attempts=3, first_delay_s=0.01, jitter_seed=1), HostGate(wait=lambda _: None))
    told: list[str] = []
    yield Fetched(store, Fetching(store, downloads, NOW, told.append), told)
    downloads.close()


def install_departements(fetch: Fetched, folder: Path) -> None:
    path = write(folder / "departements.gpkg", departements())
    import_files(fetch.store, "departements", [path], Whence("made"), NOW)


def sites(number: int) -> dict[str, Any]:
    names = [f"FR{index:07d}" for index in range(number)]
    shapes = [square(index % 40, index // 40, 500) for index in range(number)]
    return collection(frame(shapes, id_mnhn=names, nom_site=[f"Site {name}" for name in names]), "sic")


def queries(server: LayerServer) -> list[dict[str, str]]:
    return [one["query"] for one in server.log if one["query"].get("REQUEST") == "GetFeature"]


def test_features_come_in_sorted_pages_until_all_are_there(server: LayerServer, fetch: Fetched) -> None:
    url = server.serve_features("patrinat_sic:sic", sites(95))
    before = len(queries(server))
    layer = fetch("natura2000_zsc", url=url, page=40)
    asked = queries(server)[before:]
    assert [query["STARTINDEX"] for query in asked] == ["0", "40", "80"]
    assert {query["SORTBY"] for query in asked} == {"id_mnhn"}
    assert {query["SRSNAME"] for query in asked} == {"EPSG:2154"}
    read = layer.read()
    assert sorted(read["code"]) == [f"FR{index:07d}" for index in range(95)]
    assert read.area.sum() == pytest.approx(95 * 250_000)
    told = layer.provenance
    assert (told.vintage, told.fetched) == ("latest of 2026-11-23", "2026-11-23T09:30:00+00:00")
    assert told.source == f"{url} patrinat_sic:sic"
    assert not list((fetch.store.folder / DOWNLOADS).iterdir())


def test_a_service_that_gives_fewer_than_asked_for_is_asked_on(server: LayerServer, fetch: Fetched) -> None:
    url = server.serve_features("patrinat_sic:sic", sites(95))
    server.set(wfs_most=10)
    assert len(fetch("natura2000_zsc", url=url).read()) == 95


def test_an_answer_that_ends_before_its_total_is_no_layer(server: LayerServer, fetch: Fetched) -> None:
    url = server.serve_features("patrinat_sic:sic", sites(95))
    server.set(wfs_hides=1)
    with pytest.raises(LayerError, match="there are 95 features, and gives no more after 94"):
        fetch("natura2000_zsc", url=url)
    assert fetch.store.vector("natura2000_zsc") is None


def test_a_feature_that_comes_twice_tells_that_others_are_missing(server: LayerServer, fetch: Fetched) -> None:
    twice = sites(20)
    twice["features"][15] = twice["features"][3]
    url = server.serve_features("patrinat_sic:sic", twice)
    with pytest.raises(LayerError, match=r"gave feature sic\.4 twice"):
        fetch("natura2000_zsc", url=url, page=10)


def test_a_service_that_tells_no_total_is_asked_until_a_page_is_short(server: LayerServer, fetch: Fetched) -> None:
    url = server.serve_features("patrinat_sic:sic", sites(95))
    server.set(wfs_total=False)
    assert len(fetch("natura2000_zsc", url=url, page=40).read()) == 95


def test_a_page_that_is_cut_short_or_refused_is_asked_for_again(server: LayerServer, fetch: Fetched) -> None:
    url = server.serve_features("patrinat_sic:sic", sites(95))
    server.go_wrong("/wfs/ows", {"cut": 100}, {"status": 503, "retry_after": 0}, {}, {"drop": True})
    assert len(fetch("natura2000_zsc", url=url, page=50).read()) == 95


def test_a_refusal_in_place_of_features_is_told(server: LayerServer, fetch: Fetched) -> None:
    url = server.serve_features("other:type", sites(1))
    with pytest.raises(LayerError, match="Feature type patrinat_sic:sic unknown"):
        fetch("natura2000_zsc", url=url)
    server.serve_features("patrinat_sic:sic", sites(1))
    server.go_wrong("/wfs/ows", {"text": "<ExceptionReport>too busy</ExceptionReport>"})
    with pytest.raises(LayerError, match="gave no GeoJSON, but: <ExceptionReport>too busy"):
        fetch("natura2000_zsc", url=url)


def test_several_types_make_one_layer(server: LayerServer, fetch: Fetched) -> None:
    for number, name in enumerate(("patrinat_rnn:rnn", "patrinat_rnr:rnr", "patrinat_rnc:pnm")):
        features = frame([square(number, 0)], id_mnhn=[f"FR{number}"], nom_site=[name])
        url = server.serve_features(name, collection(features, name.rpartition(":")[2]))
    assert sorted(fetch("nature_reserves", url=url).read()["code"]) == ["FR0", "FR1", "FR2"]


def test_a_departement_is_asked_for_by_its_box_and_makes_a_part(
    server: LayerServer, fetch: Fetched, tmp_path: Path
) -> None:
    url = server.serve_features("patrinat_sic:sic", sites(3))
    with pytest.raises(LayerError, match="fetch the départements first"):
        fetch("natura2000_zsc", url=url, departements=("40",))
    install_departements(fetch, tmp_path)
    layer = fetch("natura2000_zsc", url=url, departements=("40",))
    assert queries(server)[-1]["BBOX"] == (
        f"{X:.2f},{Y:.2f},{X + 10_000:.2f},{Y + 10_000:.2f},urn:ogc:def:crs:EPSG::2154"
    )
    assert layer.covers.equals(square(0, 0, 10_000))
    server.serve_features("patrinat_sic:sic", collection(frame([], id_mnhn=[], nom_site=[]), "sic"))
    layer = fetch("natura2000_zsc", url=url, departements=("33",))
    # Nothing is an answer for a département: there is no site in it, which is known.
    assert len(layer.read()) == 3
    assert layer.covers.area == pytest.approx(2e8)
    assert layer.provenance.ground == "département 40; département 33"
    with pytest.raises(LayerError, match="Nothing is left"):
        fetch("natura2000_zsc", url=url)


def test_no_classified_woodland_is_no_knowledge(server: LayerServer, fetch: Fetched, tmp_path: Path) -> None:
    """The commune may have no plan, or not have published it: outside what is drawn nothing is known."""
    install_departements(fetch, tmp_path)
    url = server.serve_features("wfs_du:prescription_surf", collection(frame([square(0, 0)], typepsc=["05"])))
    layer = fetch("ebc", url=url, departements=("40",))
    assert layer.read().empty
    assert layer.covers.is_empty
    assert check_layers(fetch.store, NOW.date(), ("ebc",)) == []
    server.serve_features(
        "wfs_du:prescription_surf", collection(frame([square(12, 0)], typepsc=["01"], libelle=["EBC"]))
    )
    layer = fetch("ebc", url=url, departements=("33",))
    assert layer.covers.equals(square(12, 0))
    assert layer.read()["name"].tolist() == ["EBC"]


def test_communes_are_filtered_by_departement(server: LayerServer, fetch: Fetched) -> None:
    communes = frame([square(0, 0)], code_insee=["40001"], nom_officiel=["Aire"], code_insee_du_departement=["40"])
    url = server.serve_features("ADMINEXPRESS-COG.LATEST:commune", collection(communes))
    layer = fetch("communes", url=url, departements=("40",))
    assert queries(server)[-1]["CQL_FILTER"] == "code_insee_du_departement='40'"
    assert layer.covers.equals(square(0, 0))


def test_a_box_in_degrees(server: LayerServer, fetch: Fetched) -> None:
    url = server.serve_features("patrinat_sic:sic", sites(3))
    west, south, east, north = frame([square(0, 0, 3000)], a=[1]).to_crs("EPSG:4326").total_bounds
    layer = fetch("natura2000_zsc", url=url, bbox=(west, south, east, north))
    assert layer.covers.contains(square(0, 0, 3000).buffer(-1))
    with pytest.raises(LayerError, match="is no bbox"):
        fetch("natura2000_zsc", url=url, bbox=(2, 48, 1, 49))
    with pytest.raises(LayerError, match="not both"):
        fetch("natura2000_zsc", url=url, bbox=(1, 48, 2, 49), departements=("40",))


def woods_archive(folder: Path, codes: list[str]) -> bytes:
    """A zip as IGN lays its archives out: a shapefile somewhere deep in it, others beside."""
    shapes = [square(2 * number, 0) for number in range(len(codes))]
    inside = folder / "BDFORET_2-0" / "1_DONNEES" / "BDF_2-0_D040"
    write(inside / "FORMATION_VEGETALE.shp", frame(shapes, CODE_TFV=codes, ESSENCE=["Chêne"] * len(codes)))
    write(inside.parent / "SUPPLEMENT.shp", frame([square(0, 0)], A=["x"]))
    path = folder / "woods.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*.*")):
            if file != path and file.is_file():
                archive.write(file, file.relative_to(folder))
    return path.read_bytes()


def entry(title: str, href: str, content: str = "", date: str = "") -> str:
    return (
        f"<entry><title>{title}</title><link rel='alternate' href='{href}'/><content>{content}</content>"
        f"<gpf_dl:editionDate>{date}</gpf_dl:editionDate></entry>"
    )


def serve_editions(server: LayerServer, archive: bytes, md5: str | None = None) -> str:
    older, newer = "BDFORET_2-0__SHP_LAMB93_D040_2009-04-01", "BDFORET_2-0__SHP_LAMB93_D040_2014-04-01"
    wrong = "BDFORET_1-0__SHP_LAMB93_D040_2020-01-01"
    entries = [entry(older, f"/resource/BDFORET/{older}", date="2009-04-01"), entry(wrong, "/no", date="2020-01-01")]
    newest = entry(newer, f"/resource/BDFORET/{newer}", date="2014-04-01")
    server.serve("/resource/BDFORET", ATOM.format(page=1, pages=2, entries="".join(entries)).encode())
    second = ATOM.format(page=2, pages=2, entries=newest)
    server.go_wrong("/resource/BDFORET", {}, {"text": second})
    files = entry(f"{newer}.zip", f"/download/{newer}.zip", md5 or hashlib.md5(archive).hexdigest())
    checksums = entry(f"{newer}.md5", f"/download/{newer}.md5", "0" * 32)
    server.serve(f"/resource/BDFORET/{newer}", ATOM.format(page=1, pages=1, entries=files + checksums).encode())
    server.serve(f"/download/{newer}.zip", archive, etag='"a"')
    return server.url + "/resource/BDFORET?zone=D{departement}"


def test_the_newest_edition_is_found_checked_and_unpacked(server: LayerServer, fetch: Fetched, tmp_path: Path) -> None:
    install_departements(fetch, tmp_path)
    url = serve_editions(server, woods_archive(tmp_path / "made", ["FF1-00", "LA4"]))
    before = len(server.log)
    layer = fetch("forest", url=url, departements=("40",))
    assert sorted(layer.read()["code_tfv"]) == ["FF1-00", "LA4"]
    assert layer.provenance.vintage == "2014-04-01"
    assert layer.covers.equals(square(0, 0, 10_000))
    assert server.log[before]["query"] == {"zone": "D040", "page": "1", "limit": "50"}
    assert fetch.told == []  # its MD5 was published, and agreed
    manifest = read_manifest(fetch.store.folder / "forest")
    assert manifest is not None
    assert list(manifest.parts) == ["D40"]
    assert not list((fetch.store.folder / DOWNLOADS).iterdir())


def test_an_edition_that_is_not_what_the_list_says_is_no_layer(
    server: LayerServer, fetch: Fetched, tmp_path: Path
) -> None:
    install_departements(fetch, tmp_path)
    url = serve_editions(server, woods_archive(tmp_path / "made", ["FF1-00"]), md5="f" * 32)
    with pytest.raises(LayerError, match="its MD5 is not"):
        fetch("forest", url=url, departements=("40",))
    assert fetch.store.vector("forest") is None


def test_no_edition_is_told(server: LayerServer, fetch: Fetched, tmp_path: Path) -> None:
    install_departements(fetch, tmp_path)
    server.serve("/resource/BDFORET", ATOM.format(page=1, pages=1, entries="").encode())
    with pytest.raises(LayerError, match=r"lists no edition BDFORET_2-0_\.\*LAMB93_D033"):
        fetch("forest", url=server.url + "/resource/BDFORET?zone=D{departement}", departements=("33",))
    server.serve("/resource/BDFORET", b"<feed")
    with pytest.raises(LayerError, match="gave no list of editions"):
        fetch("forest", url=server.url + "/resource/BDFORET?zone=D{departement}", departements=("33",))
    with pytest.raises(LayerError, match="say which, such as --departement 40"):
        fetch("forest")


def test_a_file_by_its_address_and_what_changed_since(server: LayerServer, fetch: Fetched, tmp_path: Path) -> None:
    install_departements(fetch, tmp_path)
    path = "/woods/2018.zip"
    url = server.serve(path, woods_archive(tmp_path / "one", ["FF1-00"]), etag='"a"')
    fetch("forest", url=url, departements=("40",))
    assert "no checksum is published" in fetch.told[0]
    fetch.told.clear()
    server.serve(path, woods_archive(tmp_path / "two", ["FF1-00", "FO1"]), etag='"b"')
    layer = fetch("forest", url=url, departements=("40",))
    assert len(layer.read()) == 2
    assert "2018.zip is not what it was when it was last fetched" in fetch.told[1]
    with pytest.raises(LayerError, match="its SHA256 is not"):
        fetch("forest", url=url, departements=("40",), sha256="0" * 64)
    assert layer.provenance.source == url


def test_an_import_that_fails_keeps_what_was_fetched(server: LayerServer, fetch: Fetched, tmp_path: Path) -> None:
    """The next run need not fetch it again."""
    broken = write(tmp_path / "fires.geojson", frame([square(0, 0)], nothing=["x"])).read_bytes()
    url = server.serve("/fires.geojson", broken, etag='"a"')
    for _ in range(2):
        with pytest.raises(LayerError, match="has no column firedate"):
            fetch("burnt_areas", url=url)
    asked = [one.get("If-None-Match") for one in server.log if one["path"] == "/fires.geojson"]
    assert asked == [None, '"a"']


def test_tiles_of_a_degree_and_the_sea(server: LayerServer, fetch: Fetched, tmp_path: Path) -> None:
    place = Affine(1 / 12, 0, -1, 0, -1 / 12, 45)
    tile = write_pixels(tmp_path / "tile.tif", np.full((12, 12), 100, np.float32), place, "EPSG:4326")
    server.serve("/dem/Copernicus_DSM_COG_10_N44_00_W001_00_DEM.tif", tile.read_bytes(), etag='"a"')
    request = Request("elevation", bbox=(-1.5, 44.2, -0.2, 44.4), url=server.url + "/dem/{stem}.tif")
    assert [imported.name for imported in fetch.fetching.fetch(request)] == ["N44W001"]
    assert any("has no tile N44W002; over the sea there is none" in words for words in fetch.told)
    layer = fetch.store.raster("elevation")
    assert layer is not None
    ((crs, bounds),) = layer.bounds
    assert crs == "EPSG:4326"
    assert bounds == pytest.approx((-1, 44, 0, 45))
    with pytest.raises(LayerError, match="say which, such as --departement 40"):
        fetch.fetching.fetch(Request("elevation"))


def test_what_no_service_gives_is_told(fetch: Fetched) -> None:
    with pytest.raises(LayerError, match=r"without an account: download it from https://land\.copernicus\.eu.* import"):
        fetch("tree_cover")
    with pytest.raises(LayerError, match="Only one service is known"):
        fetch("appb", alternative=True)


def test_an_archive_that_leads_out_of_its_folder_is_not_unpacked(tmp_path: Path) -> None:
    for number, name in enumerate(
        ("../evil.gpkg", "/tmp/evil.gpkg", "a/../../evil.gpkg", "C:/evil.gpkg", "..\\evil.gpkg")
    ):
        path = tmp_path / f"{number}.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, "x")
        with pytest.raises(LayerError, match="leads out of its folder"):
            unpack(path, tmp_path / "out")
    link = zipfile.ZipInfo("link.gpkg")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(LayerError, match="leads out of its folder"):
        unpack(tmp_path / "link.zip", tmp_path / "out")
    assert not list(tmp_path.rglob("evil*"))


def test_archives_that_are_broken_or_hold_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04 no")
    with pytest.raises(LayerError, match=r"a\.zip is no sound archive"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("read.me", "x")
    with pytest.raises(LayerError, match="holds no file of data named"):
        unpack(tmp_path / "b.zip", tmp_path / "out", "*.shp")
    assert unpack(tmp_path / "plain.gpkg", tmp_path / "out") == [tmp_path / "plain.gpkg"]


def test_7z_archives(tmp_path: Path) -> None:
    (tmp_path / "a.7z").write_bytes(b"no")
    if importlib.util.find_spec("py7zr") is None:
        with pytest.raises(MissingDependencyError, match="pip install py7zr"):
            unpack(tmp_path / "a.7z", tmp_path / "out")
        pytest.skip("py7zr is not installed: what it unpacks is not tested")
    import py7zr

    with pytest.raises(LayerError, match=r"a\.7z is no sound archive"):
        unpack(tmp_path / "a.7z", tmp_path / "out")
    woods_archive(tmp_path / "made", ["FF1-00"])
    with py7zr.SevenZipFile(tmp_path / "whole.7z", "w") as archive:
        archive.writeall(tmp_path / "made" / "BDFORET_2-0", "BDFORET_2-0")
    content = (tmp_path / "whole.7z").read_bytes()
    volumes = [tmp_path / "b.7z.001", tmp_path / "b.7z.002"]
    volumes[0].write_bytes(content[:700])
    volumes[1].write_bytes(content[700:])
    found = unpack(join_volumes(volumes, tmp_path / "b.7z"), tmp_path / "out", "*FORMATION_VEGETALE*")
    assert [path.name for path in found] == ["FORMATION_VEGETALE.shp"]
    assert found[0].with_suffix(".dbf").exists()


def test_every_layer_of_the_contract_is_described() -> None:
    described = definitions()
    assert list(described) == [
        "communes", "departements", "regions", "forest", "natura2000_zsc", "natura2000_zps", "znieff1", "znieff2",
        "nature_reserves", "appb", "national_park_core", "ebc", "parcels", "watercourses", "burnt_areas", "storms",
        "elevation", "tree_cover",
    ]  # fmt: skip
    for what in described.values():
        assert what.page.startswith("https://")
        assert what.licence
        assert what.attribution
        assert what.title_fr
        assert what.title_en
        assert set(what.required) <= set(what.columns)
        for source in what.sources:
            assert source.url.startswith("https://")
            assert bool(source.types) == (source.kind is SourceKind.WFS)
            assert source.kind is not SourceKind.WFS or source.sort


def test_what_is_served_can_be_written_as_it_was_recorded() -> None:
    """The made collections have the members that IGN's answers have."""
    made = json.loads(json.dumps(sites(1)))
    assert set(made["features"][0]) == {"type", "id", "properties", "geometry"}
    assert shapely.geometry.shape(made["features"][0]["geometry"]).area == 250_000
