"""Files and documents of a server that misbehaves: whole and right, or one sentence and nothing half there."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from detector.layers.download import Checksum, Downloads, NotThereError
from tests.fakes.layer_server import LayerServer, layer_server
from tiles.errors import LayerError
from tiles.remote import HostGate, RetryPolicy

CONTENT = random.Random(4).randbytes(300_000)
MD5 = Checksum("md5", hashlib.md5(CONTENT).hexdigest())
PATH = "/archive.7z"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LayerServer]:
    with layer_server(tmp_path_factory.mktemp("services") / "one") as server:
        yield server


@pytest.fixture
def server(service: LayerServer) -> LayerServer:
    service.faults.clear()
    service.files.clear()
    return service


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def downloads(waits: list[float]) -> Iterator[Downloads]:
    seconds = [0.0]

    def wait(delay_s: float) -> None:
        waits.append(delay_s)
        seconds[0] += delay_s

    made = Downloads(RetryPolicy(attempts=4, jitter_seed=1), HostGate(clock=lambda: seconds[0], wait=wait))
    yield made
    made.close()


def requests(server: LayerServer) -> list[dict[str, str]]:
    return [{key: value for key, value in one.items() if key != "query"} for one in server.log if one["path"] == PATH]


def leftovers(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_whole_file_is_checked_and_named(server: LayerServer, downloads: Downloads, tmp_path: Path) -> None:
    url = server.serve(PATH, CONTENT, etag='"a"')
    got = downloads.file(url, tmp_path / "archive.7z", MD5)
    assert got.path.read_bytes() == CONTENT
    assert got.checked
    assert got.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert leftovers(tmp_path) == {"archive.7z", "archive.7z.note"}


@pytest.mark.parametrize(("etag", "modified"), [('"a"', None), (None, "Mon, 01 Jan 2024 00:00:00 GMT")])
def test_what_was_cut_short_goes_on_from_there(
    server: LayerServer, downloads: Downloads, tmp_path: Path, etag: str | None, modified: str | None
) -> None:
    url = server.serve(PATH, CONTENT, etag, modified)
    server.go_wrong(PATH, {"cut": 100_000}, {"cut": 50_000})
    before = len(requests(server))
    got = downloads.file(url, tmp_path / "archive.7z", MD5)
    assert got.path.read_bytes() == CONTENT
    condition = etag or modified
    assert requests(server)[before:] == [
        {"path": PATH},
        {"path": PATH, "Range": "bytes=100000-", "If-Range": condition},
        {"path": PATH, "Range": "bytes=150000-", "If-Range": condition},
    ]


def test_another_run_goes_on_where_one_was_given_up(server: LayerServer, downloads: Downloads, tmp_path: Path) -> None:
    url = server.serve(PATH, CONTENT, etag='"a"')
    server.go_wrong(PATH, {"cut": 10_000}, *[{"status": 503}] * 3)
    with pytest.raises(LayerError, match=r"given up after 4 attempts, at last 503"):
        downloads.file(url, tmp_path / "archive.7z", MD5)
    assert (tmp_path / "archive.7z.part").stat().st_size == 10_000
    assert not (tmp_path / "archive.7z").exists()
    assert downloads.file(url, tmp_path / "archive.7z", MD5).path.read_bytes() == CONTENT
    assert requests(server)[-1]["Range"] == "bytes=10000-"


def test_a_file_that_changed_meanwhile_is_begun_anew(server: LayerServer, downloads: Downloads, tmp_path: Path) -> None:
    url = server.serve(PATH, CONTENT, etag='"a"')
    server.go_wrong(PATH, {"cut": 100_000}, *[{"status": 503}] * 3)
    with pytest.raises(LayerError, match="given up"):
        downloads.file(url, tmp_path / "archive.7z")
    newer = CONTENT[::-1]
    server.serve(PATH, newer, etag='"b"')
    assert downloads.file(url, tmp_path / "archive.7z").path.read_bytes() == newer


def test_a_server_without_ranges_is_asked_for_the_whole(
    server: LayerServer, downloads: Downloads, tmp_path: Path
) -> None:
    url = server.serve(PATH, CONTENT, etag='"a"', ranges=False)
    server.go_wrong(PATH, {"cut": 100_000})
    assert downloads.file(url, tmp_path / "archive.7z", MD5).path.read_bytes() == CONTENT


def test_without_a_validator_nothing_is_put_together(server: LayerServer, downloads: Downloads, tmp_path: Path) -> None:
    url = server.serve(PATH, CONTENT)
    server.go_wrong(PATH, {"cut": 100_000})
    assert downloads.file(url, tmp_path / "archive.7z", MD5).path.read_bytes() == CONTENT
    assert "Range" not in requests(server)[-1]


def test_a_part_of_a_wrong_whole_is_thrown_away_and_asked_for_again(
    server: LayerServer, downloads: Downloads, tmp_path: Path
) -> None:
    """A server that keeps its tag while the file changes: only the checksum tells."""
    url = server.serve(PATH, CONTENT[::-1], etag='"a"')
    server.go_wrong(PATH, {"cut": 100_000}, *[{"status": 503}] * 3)
    with pytest.raises(LayerError, match="given up"):
        downloads.file(url, tmp_path / "archive.7z", MD5)
    server.serve(PATH, CONTENT, etag='"a"')
    assert downloads.file(url, tmp_path / "archive.7z", MD5).path.read_bytes() == CONTENT


def test_a_wrong_checksum_leaves_nothing(server: LayerServer, downloads: Downloads, tmp_path: Path) -> None:
    url = server.serve(PATH, CONTENT[:-1], etag='"a"')
    with pytest.raises(LayerError, match="its MD5 is not"):
        downloads.file(url, tmp_path / "archive.7z", MD5)
    assert leftovers(tmp_path) == set()


def test_a_whole_part_that_was_never_named_is_taken(server: LayerServer, downloads: Downloads, tmp_path: Path) -> None:
    url = server.serve(PATH, CONTENT, etag='"a"')
    downloads.file(url, tmp_path / "archive.7z", MD5)
    (tmp_path / "archive.7z").rename(tmp_path / "archive.7z.part")
    assert downloads.file(url, tmp_path / "archive.7z", MD5).path.read_bytes() == CONTENT


def test_a_file_that_is_there_is_not_sent_again(server: LayerServer, downloads: Downloads, tmp_path: Path) -> None:
    url = server.serve(PATH, CONTENT, etag='"a"')
    assert not downloads.file(url, tmp_path / "archive.7z", MD5).asked_again
    assert downloads.file(url, tmp_path / "archive.7z", MD5).asked_again
    server.serve(PATH, CONTENT[::-1], etag='"b"')
    assert downloads.file(url, tmp_path / "archive.7z").path.read_bytes() == CONTENT[::-1]


def test_a_file_that_was_damaged_on_the_disk_is_fetched_again(
    server: LayerServer, downloads: Downloads, tmp_path: Path
) -> None:
    url = server.serve(PATH, CONTENT, etag='"a"')
    downloads.file(url, tmp_path / "archive.7z", MD5)
    (tmp_path / "archive.7z").write_bytes(b"rotten")
    assert downloads.file(url, tmp_path / "archive.7z", MD5).path.read_bytes() == CONTENT


def test_a_busy_server_is_given_the_time_it_asks_for(
    server: LayerServer, downloads: Downloads, tmp_path: Path, waits: list[float]
) -> None:
    url = server.serve(PATH, CONTENT, etag='"a"')
    server.go_wrong(PATH, {"status": 503, "retry_after": 7}, {"drop": True}, {"page": True})
    assert downloads.file(url, tmp_path / "archive.7z", MD5).path.read_bytes() == CONTENT
    assert 7.0 in waits
    assert len(waits) == 3


def test_a_server_that_asks_for_an_hour_is_left_alone(
    server: LayerServer, downloads: Downloads, tmp_path: Path
) -> None:
    url = server.serve(PATH, CONTENT, etag='"a"')
    server.go_wrong(PATH, {"status": 429, "retry_after": 3600})
    with pytest.raises(LayerError, match="left alone for another 3600 s"):
        downloads.file(url, tmp_path / "archive.7z")


def test_what_is_not_there_is_asked_for_once(server: LayerServer, downloads: Downloads, tmp_path: Path) -> None:
    before = len(server.log)
    with pytest.raises(NotThereError, match=r"/gone\.zip: 404"):
        downloads.file(f"{server.url}/gone.zip?key=secret", tmp_path / "gone.zip")
    assert len(server.log) == before + 1


def test_redirections_are_followed_but_not_for_ever(server: LayerServer, downloads: Downloads, tmp_path: Path) -> None:
    url = server.serve("/elsewhere", CONTENT, etag='"a"')
    server.go_wrong(PATH, {"redirect": url}, *[{"redirect": PATH}] * 10)
    assert downloads.file(server.url + PATH, tmp_path / "archive.7z", MD5).path.read_bytes() == CONTENT
    with pytest.raises(LayerError, match="more than 5 redirections"):
        downloads.file(server.url + PATH, tmp_path / "again.7z")


def test_a_key_in_an_address_is_told_nowhere(server: LayerServer, downloads: Downloads, tmp_path: Path) -> None:
    url = server.serve(PATH, CONTENT, etag='"a"') + "?key=secret"
    server.go_wrong(PATH, *[{"status": 500}] * 4)
    with pytest.raises(LayerError, match="given up") as caught:
        downloads.file(url, tmp_path / "archive.7z")
    assert "secret" not in str(caught.value)
    downloads.file(url, tmp_path / "archive.7z")
    assert "secret" not in (tmp_path / "archive.7z.note").read_text()


def test_what_a_service_refuses_it_explains(server: LayerServer, downloads: Downloads) -> None:
    server.wfs = {}
    server.write()
    with pytest.raises(LayerError, match=r"400 Bad Request \(Feature type a:b unknown\)"):
        downloads.document(f"{server.url}/wfs/ows", {"REQUEST": "GetFeature", "TYPENAMES": "a:b"})


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/a.zip", "a.zip", "http://"])
def test_no_address_of_a_web_server(downloads: Downloads, tmp_path: Path, url: str) -> None:
    with pytest.raises(LayerError):
        downloads.file(url, tmp_path / "a.zip")
