"""Archives by name, what may stand in their place, and one surface that shows the same in all of them."""

from __future__ import annotations

import dataclasses
import datetime as dt
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray

from scripts.archive_writer import write_cog
from tests.fakes.archives import (
    PASSWORD,
    S3_KEY,
    S3_SECRET,
    USERNAME,
    Document,
    cdse_item,
    collection_1_item,
    earth_search_item,
    planetary_computer_item,
    served_archive,
    write_jp2,
    write_safe,
)
from tests.fakes.catalogue import BBOX, item_document, write_catalogue
from tiles.catalog import (
    ARCHIVES,
    Catalogue,
    Credentials,
    SafeCatalogue,
    StacApiCatalogue,
    StaticCatalogue,
    open_catalogue,
)
from tiles.errors import AccessError, CatalogueError
from tiles.reader import GDAL_OPTIONS
from tiles.scene import QUANTIFICATION, Band, Scene
from tiles.signing import CdseHttpsAccess, PlanetaryComputerAccess, S3Access, WebAccess

JULY = (dt.date(2023, 7, 1), dt.date(2023, 7, 31))
BOX = (BBOX[0], BBOX[1], BBOX[2], BBOX[3])
KEYS = Credentials(cdse_s3_key=S3_KEY, cdse_s3_secret=S3_SECRET)
ACCOUNT = Credentials(cdse_username=USERNAME, cdse_password=PASSWORD)


class TestWhatMayBeWritten:
    @pytest.mark.parametrize(
        ("name", "access", "collection"),
        [
            ("earth-search", WebAccess, "sentinel-2-l2a"),
            ("earth-search-c1", WebAccess, "sentinel-2-c1-l2a"),
            ("cdse", S3Access, "sentinel-2-l2a"),
            ("planetary-computer", PlanetaryComputerAccess, "sentinel-2-l2a"),
        ],
    )
    def test_names_of_archives(self, name: str, access: type, collection: str) -> None:
        catalogue = open_catalogue(name, KEYS)
        assert isinstance(catalogue, StacApiCatalogue)
        assert isinstance(catalogue.access, access)
        assert catalogue.collection == collection
        assert catalogue.worldwide
        # What the record says opens the same again.
        assert open_catalogue(catalogue.href, KEYS).access == catalogue.access

    def test_every_archive_is_reached_over_https_and_finds_tiles(self) -> None:
        for archive in ARCHIVES.values():
            assert archive.url.startswith("https://")
            assert archive.tile_property is not None

    def test_any_other_api_by_its_address_and_collection(self) -> None:
        catalogue = open_catalogue("https://example.org/stac#s2")
        assert isinstance(catalogue, StacApiCatalogue)
        assert (catalogue.url, catalogue.collection) == ("https://example.org/stac", "s2")
        assert catalogue.access == WebAccess()

    def test_a_static_catalogue_and_a_folder_of_products(self, tmp_path: Path) -> None:
        write_catalogue(tmp_path / "static", [item_document()])
        write_safe(tmp_path / "products")
        assert isinstance(open_catalogue(str(tmp_path / "static")), StaticCatalogue)
        assert isinstance(open_catalogue(str(tmp_path / "products")), SafeCatalogue)

    def test_a_name_that_is_none_is_told_those_that_are(self) -> None:
        with pytest.raises(CatalogueError, match=r"No archive is called earthsearch.*earth-search-c1.*cdse"):
            open_catalogue("earthsearch")

    def test_an_archive_that_lies_beside_under_a_name_without_dots_is_found(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_catalogue(tmp_path / "mine", [item_document()])
        monkeypatch.chdir(tmp_path)
        assert isinstance(open_catalogue("mine"), StaticCatalogue)


class TestCopernicus:
    def test_a_key_is_used_before_an_account(self) -> None:
        both = dataclasses.replace(KEYS, cdse_username=USERNAME, cdse_password=PASSWORD)
        assert isinstance(open_catalogue("cdse", both).access, S3Access)
        assert isinstance(open_catalogue("cdse", ACCOUNT).access, CdseHttpsAccess)

    @pytest.mark.parametrize("credentials", [None, Credentials(cdse_s3_key="half"), Credentials(cdse_username="half")])
    def test_without_either_it_is_said_what_to_set(self, credentials: Credentials | None) -> None:
        with pytest.raises(AccessError, match=r"SYLVIGIE_CDSE_S3_KEY.*SYLVIGIE_CDSE_PASSWORD") as caught:
            open_catalogue("cdse", credentials)
        assert "half" not in str(caught.value)

    @pytest.mark.parametrize(("credentials", "start"), [(KEYS, "s3://eodata/"), (ACCOUNT, "https://zipper.")])
    def test_its_files_are_read_by_the_address_that_the_credentials_open(
        self, credentials: Credentials, start: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with served_archive([cdse_item()]) as server:
            _move(monkeypatch, "cdse", server.url)
            (scene,) = open_catalogue("cdse", credentials).search(*JULY, BOX).scenes
        assert all(href.startswith(start) for href in scene.hrefs.values())


def test_credentials_are_not_shown() -> None:
    secrets = {given.name: f"secret-{number}" for number, given in enumerate(dataclasses.fields(Credentials))}
    assert repr(Credentials(**secrets)) == "Credentials()"


def test_catalogues_go_to_other_processes(tmp_path: Path) -> None:
    write_safe(tmp_path / "products")
    for href in (*ARCHIVES, str(tmp_path / "products")):
        again = pickle.loads(pickle.dumps(open_catalogue(href, KEYS)))
        assert again.href == open_catalogue(href, KEYS).href


def _move(monkeypatch: pytest.MonkeyPatch, name: str, url: str) -> None:
    """Let an archive of this name be on the loopback."""
    moved = dataclasses.replace(ARCHIVES[name], url=url, tokens_url=f"{url}/token", s3_endpoint=url)
    monkeypatch.setitem(ARCHIVES, name, moved)


# One surface: reflectances, two pixels without data, and classes.
_RANDOM = np.random.default_rng(7)
RED = np.round(_RANDOM.uniform(0.001, 0.6, (64, 64)), 4)
NIR = np.round(_RANDOM.uniform(0.001, 0.9, (64, 64)), 4)
RED[0, 0] = NIR[0, 0] = RED[5, 6] = NIR[5, 6] = np.nan
SCL = _RANDOM.integers(1, 12, (32, 32)).astype(np.uint8)
TRANSFORM = Affine(10, 0, 499_980, 0, -10, 5_000_040)
COARSE = Affine(20, 0, 499_980, 0, -20, 5_000_040)


def _numbers(reflectance: NDArray[np.float64], offset: int) -> NDArray[np.uint16]:
    numbers = np.round(reflectance * QUANTIFICATION) - offset
    return np.where(np.isnan(reflectance), 0, numbers).astype(np.uint16)


def _cogs(folder: Path, offset: int, names: tuple[str, str, str] = ("B04.tif", "B08.tif", "SCL.tif")) -> str:
    folder.mkdir()
    write_cog(folder / names[0], _numbers(RED, offset), TRANSFORM, 32631, 0)
    write_cog(folder / names[1], _numbers(NIR, offset), TRANSFORM, 32631, 0)
    write_cog(folder / names[2], SCL, COARSE, 32631, 0, overview_resampling="nearest")
    return str(folder)


Opened = Iterator[Catalogue]


@contextmanager
def _by_api(name: str, item: Document, monkeypatch: pytest.MonkeyPatch, files: dict[str, Path] | None = None) -> Opened:
    with served_archive([item], files=files) as server:
        _move(monkeypatch, name, server.url)
        yield open_catalogue(name, KEYS)


@contextmanager
def _earth_search(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Opened:
    with _by_api("earth-search", earth_search_item(_cogs(folder / "es", 0)), monkeypatch) as catalogue:
        yield catalogue


@contextmanager
def _earth_search_before_the_offset(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Opened:
    item = earth_search_item(_cogs(folder / "es", 0))
    item["properties"] |= {"s2:processing_baseline": "02.14", "earthsearch:boa_offset_applied": False}
    for band in ("red", "nir"):
        item["assets"][band]["raster:bands"][0]["offset"] = 0
    with _by_api("earth-search", item, monkeypatch) as catalogue:
        yield catalogue


@contextmanager
def _collection_1(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Opened:
    with _by_api("earth-search-c1", collection_1_item(_cogs(folder / "c1", -1000)), monkeypatch) as catalogue:
        yield catalogue


@contextmanager
def _planetary_computer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Opened:
    place = _cogs(folder / "pc", -1000, ("B04_10m.tif", "B08_10m.tif", "SCL_20m.tif"))
    with _by_api("planetary-computer", planetary_computer_item(place), monkeypatch) as catalogue:
        yield catalogue


@contextmanager
def _copernicus(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Opened:
    layers: dict[str, tuple[NDArray[Any], Affine]] = {
        "R10m/B04_10m.jp2": (_numbers(RED, -1000), TRANSFORM),
        "R10m/B08_10m.jp2": (_numbers(NIR, -1000), TRANSFORM),
        "R20m/SCL_20m.jp2": (SCL, COARSE),
    }
    for name, (pixels, transform) in layers.items():
        write_jp2(folder / "cdse" / name, pixels, transform)
    files = {f"/eodata/product/{name}": folder / "cdse" / name for name in layers}
    with _by_api("cdse", cdse_item("s3://eodata/product"), monkeypatch, files) as catalogue:
        yield catalogue


@contextmanager
def _safe(folder: Path, _: pytest.MonkeyPatch) -> Opened:
    write_safe(folder / "safe", (_numbers(RED, -1000), _numbers(NIR, -1000), SCL))
    yield open_catalogue(str(folder / "safe"))


@contextmanager
def _static(folder: Path, _: pytest.MonkeyPatch) -> Opened:
    item = collection_1_item(_cogs(folder / "files", -1000))
    yield open_catalogue(str(write_catalogue(folder / "static", [item])))


@pytest.mark.parametrize(
    "opened",
    [
        _earth_search,
        _earth_search_before_the_offset,
        _collection_1,
        _planetary_computer,
        _copernicus,
        _safe,
        _static,
    ],
)
def test_one_surface_has_one_reflectance_in_every_archive(
    opened: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path, monkeypatch) as catalogue:
        found = catalogue.search(*JULY, BOX, tile="31TDK")
        assert found.skipped == ()
        (scene,) = found.scenes
        np.testing.assert_allclose(_reflectance(catalogue, scene, Band.RED), RED, rtol=0, atol=1e-9)
        np.testing.assert_allclose(_reflectance(catalogue, scene, Band.NIR), NIR, rtol=0, atol=1e-9)
        np.testing.assert_array_equal(_pixels(catalogue, scene, Band.SCL), SCL)


def _pixels(catalogue: Catalogue, scene: Scene, band: Band) -> NDArray[Any]:
    access = catalogue.access
    with (
        rasterio.Env(**{**GDAL_OPTIONS, **access.gdal_options}),
        rasterio.open(access.address(scene.hrefs[band])) as file,
    ):
        pixels: NDArray[Any] = file.read(1)
    return pixels


def _reflectance(catalogue: Catalogue, scene: Scene, band: Band) -> NDArray[np.float64]:
    numbers = _pixels(catalogue, scene, band)
    return np.where(numbers == 0, np.nan, (numbers.astype(np.float64) + scene.known_offset) / QUANTIFICATION)


def _of_tile(item_id: str, code: str | None) -> Document:
    properties: dict[str, Any] = {"grid:code": code}
    return item_document(item_id, **properties)


def test_a_static_catalogue_tells_tiles_apart(tmp_path: Path) -> None:
    items = [item_document("a"), _of_tile("b", "MGRS-31TEK")]
    catalogue = open_catalogue(str(write_catalogue(tmp_path, items)))
    july = (dt.date(2019, 7, 1), dt.date(2019, 7, 31))
    assert [scene.id for scene in catalogue.search(*july, tile="31TEK").scenes] == ["b"]
    assert len(catalogue.search(*july).scenes) == 2


def test_an_item_that_does_not_say_its_tile_is_named_not_passed_over(tmp_path: Path) -> None:
    items = [_of_tile("a", None)]
    catalogue = open_catalogue(str(write_catalogue(tmp_path, items)))
    found = catalogue.search(dt.date(2019, 7, 1), dt.date(2019, 7, 31), tile="31TEK")
    assert [left.id for left in found.skipped] == ["a"]
