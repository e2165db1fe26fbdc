"""Archives that want to know who reads: tokens are fetched, kept, renewed, and shown to nobody."""

from __future__ import annotations

import datetime as dt
import gc
import pickle
import stat
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from tests.fakes.archives import PASSWORD, S3_KEY, S3_SECRET, USERNAME, served_archive, write_jp2
from tiles.access import Access, OpenAccess
from tiles.errors import AccessError
from tiles.http import HttpParams
from tiles.reader import GDAL_OPTIONS
from tiles.signing import CdseHttpsAccess, PlanetaryComputerAccess, S3Access, WebAccess, gdal_path

QUICK = HttpParams(timeout_s=5, retries=2, backoff_s=0.01)
BLOB = "https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/31/T/DK/B04.tif"
OTHER = "https://sentinel2l2a01.blob.core.windows.net/other/31/T/DK/B04.tif"
# Noise, so that the file is longer than what GDAL reads to open it.
PIXELS = np.random.default_rng(1).integers(1, 10_000, (256, 256)).astype(np.uint16)


@pytest.mark.parametrize(
    ("href", "path"),
    [
        ("s3://eodata/Sentinel-2/B04.jp2", "/vsis3/eodata/Sentinel-2/B04.jp2"),
        ("https://example.org/a%20b.tif?x=1", "/vsicurl/https://example.org/a%20b.tif?x=1"),
        ("http://127.0.0.1:80/a.tif", "/vsicurl/http://127.0.0.1:80/a.tif"),
        ("gs://bucket/a.tif", "/vsigs/bucket/a.tif"),
        ("/data/a.tif", "/data/a.tif"),
        ("C:\\data\\a.tif", "C:\\data\\a.tif"),
        ("file:///data/a.tif", "file:///data/a.tif"),
        ("/vsizip/a.zip/b.tif", "/vsizip/a.zip/b.tif"),
    ],
)
def test_hrefs_are_what_gdal_calls_them(href: str, path: str) -> None:
    assert gdal_path(href) == WebAccess().address(href) == path


class TestPlanetaryComputer:
    def test_an_address_is_signed_and_the_signature_kept_for_its_container(self) -> None:
        with served_archive() as server:
            access = PlanetaryComputerAccess(f"{server.url}/token/", http=QUICK)
            assert access.address(BLOB) == f"/vsicurl/{BLOB}?sig=sas-1"
            assert access.address(BLOB.replace("B04", "B08")).endswith("B08.tif?sig=sas-1")
            assert access.address(OTHER) == f"/vsicurl/{OTHER}?sig=sas-2"
            asked = [request["path"] for request in server.requests("token")]
        assert asked == ["/token/sentinel2l2a01/sentinel2-l2", "/token/sentinel2l2a01/other"]

    def test_what_is_elsewhere_or_signed_already_is_left_alone(self) -> None:
        with served_archive() as server:
            access = PlanetaryComputerAccess(f"{server.url}/token", http=QUICK)
            for href in ("https://example.org/a/b.tif", "/data/a.tif", "s3://a/b", f"{BLOB}?sv=1&sig=own"):
                assert access.address(href) == gdal_path(href)
            assert server.requests("token") == []

    def test_a_signature_is_renewed_before_it_expires(self) -> None:
        soon = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1)
        with served_archive(sas_expiry=soon.strftime("%Y-%m-%dT%H:%M:%SZ")) as server:
            access = PlanetaryComputerAccess(f"{server.url}/token", http=QUICK)
            assert [access.address(BLOB)[-5:] for _ in range(3)] == ["sas-1", "sas-2", "sas-3"]

    def test_a_refused_signature_is_forgotten_and_no_other(self) -> None:
        with served_archive() as server:
            access = PlanetaryComputerAccess(f"{server.url}/token", http=QUICK)
            access.address(BLOB), access.address(OTHER)
            access.renew(BLOB)
            access.renew("/data/a.tif")
            assert access.address(BLOB).endswith("sas-3")
            assert access.address(OTHER).endswith("sas-2")

    def test_many_threads_ask_for_one_signature(self) -> None:
        with served_archive() as server:
            access = PlanetaryComputerAccess(f"{server.url}/token", http=QUICK)
            with ThreadPoolExecutor(8) as threads:
                addresses = set(threads.map(access.address, [BLOB] * 32))
            assert addresses == {f"/vsicurl/{BLOB}?sig=sas-1"}
            assert len(server.requests("token")) == 1

    def test_passing_faults_are_outlived_and_the_key_is_sent(self) -> None:
        faults = {"token": [{"status": 429, "retry_after": 0}, {"status": 503}]}
        with served_archive(faults=faults) as server:
            access = PlanetaryComputerAccess(f"{server.url}/token", "the-subscription", QUICK)
            assert access.address(BLOB).endswith("?sig=sas-1")
            assert [request["key"] for request in server.requests("token")] == ["the-subscription"] * 3

    @pytest.mark.parametrize(
        ("fault", "said"),
        [
            ({"status": 503}, r"gives no token to open the archive's files \(HTTP 503\): try again later"),
            ({"status": 403}, r"refuses the credentials \(HTTP 403\): check them"),
            ({"text": "{ broken"}, "something else than a token"),
            ({"text": "[]"}, "something else than a token"),
            ({"text": "{}"}, "something else than a token"),
            ({"text": '{"token": "t", "msft:expiry": "soon"}'}, "something else than a token"),
            ({"text": '{"token": "t", "msft:expiry": 7}'}, "something else than a token"),
        ],
    )
    def test_no_signature_is_one_sentence_with_the_host(self, fault: Mapping[str, object], said: str) -> None:
        with served_archive(faults={"token": [dict(fault)] * 9}) as server:
            access = PlanetaryComputerAccess(f"{server.url}/token", "the-subscription", QUICK)
            with pytest.raises(AccessError, match=said) as caught:
                access.address(BLOB)
            assert server.url.removeprefix("http://") in str(caught.value)
            assert "the-subscription" not in str(caught.value)

    def test_nobody_there_is_an_access_error(self) -> None:
        with pytest.raises(AccessError, match=r"127\.0\.0\.1:9 gives no token"):
            PlanetaryComputerAccess("http://127.0.0.1:9/token", http=HttpParams(retries=0)).address(BLOB)


@pytest.fixture
def jp2(tmp_path: Path) -> Path:
    path = tmp_path / "B04.jp2"
    write_jp2(path, PIXELS, Affine(10, 0, 500_000, 0, -10, 5_000_000))
    return path


def _read(access: Access, href: str) -> np.ndarray:
    options = {**GDAL_OPTIONS, "GDAL_HTTP_MAX_RETRY": 0, **access.gdal_options}
    with rasterio.Env(**options), rasterio.open(access.address(href)) as file:
        pixels: np.ndarray = file.read(1)
    return pixels


class TestCdseOverHttps:
    NODES = "/odata/v1/Products(77d2)/Nodes({0}.SAFE)/Nodes(B04.jp2)/$value"

    def test_gdal_reads_with_the_token_and_again_after_it_was_renewed(self, jp2: Path) -> None:
        # GDAL remembers what it was refused: each attempt has a file of its own.
        files = {self.NODES.format(name): jp2 for name in ("first", "second", "third")}
        with served_archive(files=files) as server:
            access = CdseHttpsAccess(USERNAME, PASSWORD, f"{server.url}/identity", QUICK)
            first, second, third = (server.url + path for path in files)
            np.testing.assert_array_equal(_read(access, first), PIXELS)
            # Another process takes a token, and this one's counts no more.
            CdseHttpsAccess(USERNAME, PASSWORD, f"{server.url}/identity", QUICK).address(first)
            with pytest.raises(rasterio.RasterioIOError):
                _read(access, second)
            access.renew(second)
            np.testing.assert_array_equal(_read(access, third), PIXELS)
            np.testing.assert_array_equal(_read(access, second), PIXELS)
            assert len(server.requests("identity")) == 3

    def test_an_open_dataset_goes_on_with_the_newest_token(self, jp2: Path) -> None:
        path = self.NODES.format("open")
        with served_archive(files={path: jp2}) as server:
            access = CdseHttpsAccess(USERNAME, PASSWORD, f"{server.url}/identity", QUICK)
            options = {**GDAL_OPTIONS, **access.gdal_options}
            with rasterio.Env(**options), rasterio.open(access.address(server.url + path)) as file:
                access.renew(path)
                access.address(path)
                np.testing.assert_array_equal(file.read(1), PIXELS)
            sent = [request["authorization"] for request in server.requests("odata")]
        assert (sent[0], sent[-1]) == ("Bearer bearer-1", "Bearer bearer-2")

    def test_a_short_token_is_renewed_before_it_expires(self) -> None:
        with served_archive(bearer_life_s=0) as server:
            access = CdseHttpsAccess(USERNAME, PASSWORD, f"{server.url}/identity", QUICK)
            header = Path(access.gdal_options["GDAL_HTTP_HEADER_FILE"])
            texts = [access.address("https://example.org/a.jp2") and header.read_text() for _ in range(2)]
        assert texts == ["Authorization: Bearer bearer-1\n", "Authorization: Bearer bearer-2\n"]

    def test_a_wrong_password_is_said_without_it(self) -> None:
        with served_archive() as server:
            access = CdseHttpsAccess(USERNAME, "wrong-password", f"{server.url}/identity", QUICK)
            with pytest.raises(AccessError, match=r"refuses the credentials \(HTTP 401\)") as caught:
                access.address("https://example.org/a.jp2")
            assert len(server.requests("identity")) == 1
        assert "wrong-password" not in f"{caught.value!r} {caught.value.__cause__!r}"


class TestS3:
    def test_gdal_reads_with_the_key(self, jp2: Path) -> None:
        with served_archive(files={"/eodata/Sentinel-2/B04.jp2": jp2}) as server:
            np.testing.assert_array_equal(
                _read(S3Access(S3_KEY, S3_SECRET, server.url), "s3://eodata/Sentinel-2/B04.jp2"), PIXELS
            )
            (path,) = {request["path"] for request in server.requests("eodata")}
        assert path == "/eodata/Sentinel-2/B04.jp2"

    def test_the_store_of_copernicus_is_asked_over_https_by_path(self) -> None:
        options = S3Access(S3_KEY, S3_SECRET).gdal_options
        assert options["AWS_S3_ENDPOINT"] == "eodata.dataspace.copernicus.eu"
        assert (options["AWS_HTTPS"], options["AWS_VIRTUAL_HOSTING"]) == ("YES", "FALSE")


ALL: list[Access] = [
    OpenAccess(),
    WebAccess(),
    PlanetaryComputerAccess("http://127.0.0.1:9/token", "the-subscription", QUICK),
    S3Access("a-key-id", "a-secret"),
    CdseHttpsAccess("a-name", "a-password", "http://127.0.0.1:9/identity", QUICK),
]
SECRETS = ("the-subscription", "a-key-id", "a-secret", "a-name", "a-password")


@pytest.mark.parametrize("access", ALL, ids=lambda access: type(access).__name__)
def test_no_secret_is_shown_and_none_is_among_gdal_s_options(access: Access) -> None:
    shown = f"{access!r} {access} {dict(access.gdal_options)}"
    assert not [secret for secret in SECRETS if secret in shown]


@pytest.mark.parametrize("access", ALL, ids=lambda access: type(access).__name__)
def test_an_access_is_the_same_in_another_process(access: Access) -> None:
    again = pickle.loads(pickle.dumps(access))
    assert again == access
    assert again.gdal_options.keys() == access.gdal_options.keys()


def test_another_process_asks_for_a_token_of_its_own() -> None:
    with served_archive() as server:
        access = PlanetaryComputerAccess(f"{server.url}/token", http=QUICK)
        assert access.address(BLOB).endswith("sas-1")
        assert pickle.loads(pickle.dumps(access)).address(BLOB).endswith("sas-2")


def test_the_file_of_a_secret_is_its_owner_s_alone() -> None:
    access = S3Access("a-key-id", "a-secret")
    path = Path(access.gdal_options["CPL_AWS_CREDENTIALS_FILE"])
    assert "a-secret" in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_the_file_of_a_secret_goes_with_its_access() -> None:
    access = S3Access("a-key-id", "a-secret")
    path = Path(access.gdal_options["CPL_AWS_CREDENTIALS_FILE"])
    assert path.exists()
    del access
    gc.collect()
    assert not path.parent.exists()
