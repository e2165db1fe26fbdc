"""A network that breaks: what comes through is the files' own bytes, and nobody is asked more than is polite."""

from __future__ import annotations

import datetime as dt
import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.windows import Window

from tests.fakes.archive import EPSG, TRANSFORM, cut_short, write_raster
from tests.fakes.bad_server import SECRET, BadServer, Manners, bad_server, even_shares
from tiles import web_files
from tiles.access import Access, OpenAccess
from tiles.errors import SceneReadError
from tiles.reader import RasterioReader, gdal_env
from tiles.remote import HostGate, HostHeldError, RemoteError, RetryPolicy
from tiles.scene import Band, Scene
from tiles.web_files import Traffic, WebFiles, credential_headers, merge_ranges, public_address
from tiles.web_raster import PageCache

PIXELS = np.random.default_rng(1).integers(1, 10_000, (1100, 1100)).astype(np.uint16)
WINDOWS = [Window(0, 0, 1024, 1024), Window(1024, 0, 76, 1024), Window(300, 700, 600, 400), Window(0, 1024, 1100, 76)]
QUICK = RetryPolicy(
    first_delay_s=0.001, longest_delay_s=0.01, stall_timeout_s=0.4, request_timeout_s=0.6, jitter_seed=1
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A COG and a JPEG 2000 of nine blocks of 512 pixels each."""
    directory = tmp_path_factory.mktemp("served")
    write_raster(directory / "B04.tif", PIXELS)
    profile = {"driver": "JP2OpenJPEG", "width": 1100, "height": 1100, "count": 1, "dtype": "uint16"}
    lossless = {"QUALITY": "100", "REVERSIBLE": "YES", "BLOCKXSIZE": 512, "BLOCKYSIZE": 512}
    place = {"crs": f"EPSG:{EPSG}", "transform": TRANSFORM}
    with rasterio.open(directory / "B04.jp2", "w", **profile, **lossless, **place) as target:
        target.write(PIXELS, 1)
    return directory


@pytest.fixture(scope="module")
def _server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BadServer]:
    with bad_server(folder, tmp_path_factory.mktemp("work")) as server:
        yield server


@pytest.fixture
def server(_server: BadServer) -> BadServer:
    """A server that behaves, and has been asked for nothing."""
    _server.behave(Manners())
    _server.forget()
    return _server


def _scene(href: str, name: str = "S1") -> Scene:
    return Scene(name, dt.datetime(2019, 7, 1, tzinfo=dt.UTC), "31TDK", dict.fromkeys(Band, href))


def _read(
    reader: RasterioReader, href: str, window: Window = WINDOWS[0], dtype: type[np.generic] = np.uint16
) -> NDArray[np.uint16]:
    out: NDArray[np.uint16] = np.zeros((window.height, window.width), dtype)
    with rasterio.Env(**(gdal_env(reader.access) | {"GDAL_HTTP_RETRY_DELAY": 0.01})):
        reader.read(_scene(href), Band.RED, window, out)
    return out


def _given_up(reader: RasterioReader, href: str) -> SceneReadError:
    with pytest.raises(SceneReadError) as caught:
        _read(reader, href)
    return caught.value


@dataclass
class Time:
    """A clock that a test moves: waiting costs nothing, and is remembered with what had been asked by then."""

    server: BadServer | None = None
    then: Callable[[], None] = lambda: None
    waits: list[float] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    now_s: float = 0.0

    def clock(self) -> float:
        return self.now_s

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.asked.append(len(self.server.log) if self.server else 0)
        self.now_s += seconds
        self.then()

    @property
    def gate(self) -> HostGate:
        return HostGate(clock=self.clock, wait=self.wait)


class Signing:
    """An archive whose signatures are used up."""

    gdal_options: Mapping[str, str] = {}

    def __init__(self) -> None:
        self.number = 0

    def address(self, href: str) -> str:
        return f"{href}?sig={SECRET}-{id(self)}-{self.number}"

    def renew(self, href: str) -> None:
        self.number += 1


# --- What comes through -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(25))
def test_what_comes_through_a_bad_network_is_the_files_own_bytes(server: BadServer, folder: Path, seed: int) -> None:
    server.behave(Manners(seed, even_shares(0.6), in_row=4))
    web, disk = RasterioReader(policy=QUICK), RasterioReader()
    for window in WINDOWS:
        np.testing.assert_array_equal(_read(web, f"{server.url}/B04.tif", window), PIXELS[window.toslices()])
        _read(disk, str(folder / "B04.tif"), window)
    assert any(request.fault for request in server.log)
    # What the pixels cost does not depend on how often they were asked for; what was asked for is told too.
    assert web.bytes_read == disk.bytes_read
    assert web.traffic.requests == len(server.log)
    assert 0 < web.traffic.retries < web.traffic.requests


@pytest.mark.parametrize("seed", range(8))
def test_jpeg_2000_comes_through_too(server: BadServer, folder: Path, seed: int) -> None:
    server.behave(Manners(seed, even_shares(0.7), in_row=4))
    web, disk, window = RasterioReader(policy=QUICK), RasterioReader(), Window(512, 0, 512, 1024)
    np.testing.assert_array_equal(_read(web, f"{server.url}/B04.jp2", window), PIXELS[window.toslices()])
    _read(disk, str(folder / "B04.jp2"), window)
    assert any(request.fault for request in server.log)
    with rasterio.open(folder / "B04.jp2") as dataset:
        blocks = [bool(rasterio.windows.intersect(block, window)) for _, block in dataset.block_windows(1)]
    assert 0 < sum(blocks) < len(blocks)
    size = (folder / "B04.jp2").stat().st_size
    assert web.bytes_read == disk.bytes_read == size * sum(blocks) // len(blocks)


@pytest.mark.parametrize(("fault", "stall_s"), [("stall", 30), ("trickle", 50)])
def test_an_answer_that_does_not_end_is_not_waited_for(server: BadServer, fault: str, stall_s: float) -> None:
    # The trickle sends a byte every fifth of a second, sooner than a stall is called one. A busy machine's own pauses
    # are shorter than both limits: what is asked for again was a fault of the server.
    server.behave(Manners(3, {fault: 0.5}, in_row=1, stall_s=stall_s))
    reader = RasterioReader(policy=replace(QUICK, stall_timeout_s=1.0, request_timeout_s=2.0))
    np.testing.assert_array_equal(_read(reader, f"{server.url}/B04.tif"), PIXELS[:1024, :1024])
    assert [request.fault for request in server.log].count(fault) == reader.traffic.retries > 0
    spent_s = max(request.began_s for request in server.log) - server.log[0].began_s
    assert spent_s < stall_s / 2


def test_threads_share_a_bad_network(server: BadServer) -> None:
    server.behave(Manners(5, even_shares(0.5), in_row=4))
    reader = RasterioReader(policy=QUICK)
    outs: dict[int, NDArray[np.uint16]] = {}

    def work(number: int) -> None:
        outs[number] = _read(reader, f"{server.url}/B04.tif", WINDOWS[number % 4])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outs) == list(range(8))
    for number, out in outs.items():
        np.testing.assert_array_equal(out, PIXELS[WINDOWS[number % 4].toslices()])


def test_a_reader_may_go_while_the_threads_that_read_with_it_live(server: BadServer) -> None:
    reader = RasterioReader(policy=QUICK)
    read, go = threading.Event(), threading.Event()

    def work(reader: RasterioReader) -> None:
        _read(reader, f"{server.url}/B04.tif")
        del reader
        read.set()
        go.wait(30)

    thread = threading.Thread(target=work, args=(reader,))
    thread.start()
    assert read.wait(30)
    caches = [cache() for cache in reader._caches]
    assert [len(cache) for cache in caches if cache is not None] == [1]
    # Its files are closed by this thread, not the one that opened them: a failure would be a warning, so an error.
    del reader, caches
    go.set()
    thread.join()


# --- What it costs ------------------------------------------------------------------------------------------------


def test_the_header_costs_one_request_and_a_window_one_for_each_row_of_blocks(server: BadServer) -> None:
    reader = RasterioReader(policy=QUICK)
    with rasterio.Env(**gdal_env(reader.access)):
        grid = reader.grid_of(_scene(f"{server.url}/B04.tif"), Band.RED)
    assert grid.shape == (1100, 1100)
    assert [request.range for request in server.log] == ["bytes=0-32767"]
    _read(reader, f"{server.url}/B04.tif")
    assert len(server.log) == 3
    threading.Thread(target=_read, args=(reader, f"{server.url}/B04.tif", WINDOWS[1])).run()
    assert sum(request.range == "bytes=0-32767" for request in server.log) == 1
    # The header, and the pixels: a few bytes between blocks are all that comes besides.
    blocks = reader.bytes_read
    assert blocks < reader.traffic.bytes < blocks + (40 << 10)


def test_files_on_a_disk_take_none_of_it(folder: Path) -> None:
    clock = Time()
    reader = RasterioReader(policy=QUICK, gate=clock.gate)
    np.testing.assert_array_equal(_read(reader, str(folder / "B04.tif")), PIXELS[:1024, :1024])
    absent = _given_up(reader, str(folder / "absent.tif"))
    assert not absent.transient
    assert reader.traffic == Traffic()
    assert clock.waits == []


# --- How a host is treated ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "as_date", "least_s"), [(429, False, 7), (503, False, 7), (429, True, 6)])
def test_retry_after_is_waited_for(server: BadServer, status: int, as_date: bool, least_s: float) -> None:
    clock = Time(server, lambda: server.behave(Manners()))
    server.behave(Manners(broken={"/B04": status}, retry_after_s=7, as_date=as_date))
    # A clock of ours that is wrong changes nothing: the server tells its own.
    web = WebFiles(policy=QUICK, gate=clock.gate, today=lambda: dt.datetime(2001, 1, 1, tzinfo=dt.UTC))
    assert len(web.fetch(f"{server.url}/B04.tif", 0, 100).data) == 100
    assert len(clock.waits) == 1
    assert least_s <= clock.waits[0] <= 7
    assert clock.asked == [1]
    assert len(server.log) == 2


def test_a_host_that_asks_for_no_time_is_given_some(server: BadServer) -> None:
    server.behave(Manners(broken={"/B04": 503}, retry_after_s=0))
    clock = Time()
    with pytest.raises(RemoteError):
        WebFiles(policy=RetryPolicy(jitter_seed=1), gate=clock.gate).fetch(f"{server.url}/B04.tif", 0, 100)
    assert len(clock.waits) == 5
    assert sum(clock.waits) > 1


def test_the_log_shows_no_request_before_the_time_that_the_host_asked_for_by_any_thread(server: BadServer) -> None:
    refused = threading.Event()

    def wait(seconds: float) -> None:
        server.behave(Manners())
        refused.set()
        time.sleep(seconds)

    server.behave(Manners(broken={"/B04.tif": 429}, retry_after_s=1))
    web = WebFiles(policy=QUICK, gate=HostGate(wait=wait))
    other = threading.Thread(target=lambda: refused.wait(30) and web.fetch(f"{server.url}/B04.jp2", 0, 100))
    other.start()
    web.fetch(f"{server.url}/B04.tif", 0, 100)
    other.join()
    first, *others = server.log
    assert first.status == 429
    assert sorted(request.path for request in others) == ["/B04.jp2", "/B04.tif"]
    assert min(request.began_s for request in others) >= first.began_s + 1


def test_a_host_that_asks_for_too_long_is_left_alone_by_all(server: BadServer) -> None:
    server.behave(Manners(broken={"/B04": 429}, retry_after_s=3600))
    clock = Time()
    reader = RasterioReader(policy=QUICK, gate=clock.gate)
    for name in ("B04.tif", "B04.jp2"):
        error = _given_up(reader, f"{server.url}/{name}")
        assert error.transient
        assert "asks to be left alone for another 3600 s" in str(error)
    assert len(server.log) == 1
    assert clock.waits == []


@pytest.mark.parametrize("most", [1, 3])
def test_no_more_requests_than_allowed_are_under_way_at_once(server: BadServer, most: int) -> None:
    server.behave(Manners(2, even_shares(0.2, ("500", "403", "redirect")), pause_s=0.01))
    reader = RasterioReader(policy=QUICK, gate=HostGate(most))
    threads = [
        threading.Thread(target=_read, args=(reader, f"{server.url}/B04.tif", WINDOWS[number % 4]))
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(request.active for request in server.log) == most


def test_delays_grow_to_their_bound_and_follow_the_seed() -> None:
    policy = RetryPolicy(first_delay_s=1, longest_delay_s=5, jitter_seed=4)
    one, same, other = (WebFiles(policy=p) for p in (policy, policy, RetryPolicy(1, 1, 5, jitter_seed=5)))
    bounds = [1, 2, 4, 5, 5, 5] * 50
    delays = [one.delay_s(1 + number % 6) for number in range(300)]
    assert all(0 <= delay <= bound for delay, bound in zip(delays, bounds, strict=True))
    # Full jitter: half of the bound in the mean, and near both ends.
    assert max(delays) > 4.5
    assert min(delays) < 0.5
    assert delays == [same.delay_s(1 + number % 6) for number in range(300)]
    assert delays != [other.delay_s(1 + number % 6) for number in range(300)]


def test_a_gate_waits_again_where_the_host_asked_for_more_meanwhile() -> None:
    clock = Time()
    gate = clock.gate
    gate.hold("host", 5)
    gate.hold("host", 2)
    clock.then = lambda: None if len(clock.waits) > 1 else gate.hold("host", 3)
    with gate.turn("other", 60):
        assert clock.waits == []
    with gate.turn("host", 60):
        assert clock.waits == [5, 3]
    gate.hold("host", 61)
    with pytest.raises(HostHeldError, match="61 s"), gate.turn("host", 60):
        pass


def test_a_stop_wakes_whoever_waits() -> None:
    gate, said = HostGate(1), []
    gate.hold("held", 1000)

    def ask(host: str) -> None:
        try:
            with gate.turn(host, 2000):
                said.append("a turn")
        except RemoteError as error:
            said.append(error.reason)

    with gate.turn("full", 1):
        threads = [threading.Thread(target=ask, args=(host,)) for host in ("held", "full")]
        for thread in threads:
            thread.start()
        gate.stop()
        for thread in threads:
            thread.join(30)
    assert said == ["the reading was stopped"] * 2


def test_an_interrupt_while_gdal_waits_for_bytes_goes_all_the_way_up(server: BadServer) -> None:
    server.behave(Manners(broken={"/B04": 500}))

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _read(RasterioReader(policy=QUICK, gate=HostGate(wait=interrupted)), f"{server.url}/B04.tif")


# --- What is given up ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "attempts", "said"),
    [
        (500, 6, "given up after 6 attempts, at last 500 Internal Server Error"),
        (503, 6, "given up after 6 attempts, at last 503 Service Unavailable"),
        (429, 6, "given up after 6 attempts, at last 429 Too Many Requests"),
        (403, 3, "403 Forbidden"),
        (401, 3, "401 Unauthorized"),
    ],
)
def test_a_file_that_stays_broken_is_given_up_and_named_for_the_next_run(
    server: BadServer, status: int, attempts: int, said: str
) -> None:
    server.behave(Manners(broken={"/B04.tif": status}))
    reader = RasterioReader(policy=QUICK)
    error = _given_up(reader, f"{server.url}/B04.tif?key={SECRET}")
    assert str(error) == (
        f"Scene S1: its red raster cannot be read, {said} ({server.url}/B04.tif); the next run tries again"
    )
    assert error.transient
    assert [request.status for request in server.log] == [status] * attempts
    # The others go on, and so does this one once it is well: no failure is remembered.
    np.testing.assert_array_equal(_read(reader, f"{server.url}/B04.jp2", Window(0, 0, 9, 9)), PIXELS[:9, :9])
    server.behave(Manners())
    np.testing.assert_array_equal(_read(reader, f"{server.url}/B04.tif?key={SECRET}"), PIXELS[:1024, :1024])


@pytest.mark.parametrize("status", [404, 410, 451])
def test_what_is_not_there_is_asked_for_once(server: BadServer, status: int) -> None:
    server.behave(Manners(broken={"/B04": status}))
    reader = RasterioReader(policy=QUICK)
    error = _given_up(reader, f"{server.url}/B04.tif")
    assert not error.transient
    assert str(error).endswith(f"({server.url}/B04.tif)")
    assert len(server.log) == 1
    server.behave(Manners())
    np.testing.assert_array_equal(_read(reader, f"{server.url}/B04.tif"), PIXELS[:1024, :1024])


def test_a_file_that_breaks_after_it_was_opened_is_given_up_too(server: BadServer) -> None:
    reader = RasterioReader(policy=QUICK)
    _read(reader, f"{server.url}/B04.tif", WINDOWS[3])
    server.behave(Manners(broken={"/B04": 502}))
    assert _given_up(reader, f"{server.url}/B04.tif").transient
    server.behave(Manners())
    np.testing.assert_array_equal(_read(reader, f"{server.url}/B04.tif"), PIXELS[:1024, :1024])


@pytest.mark.parametrize("href", ["http://", "http:///B04.tif"])
def test_what_is_no_address_is_said_at_once(href: str) -> None:
    clock = Time()
    error = _given_up(RasterioReader(policy=QUICK, gate=clock.gate), href)
    assert not error.transient
    assert "no address of a web server" in str(error)
    assert clock.waits == []


def test_no_connection_is_said() -> None:
    error = _given_up(RasterioReader(policy=QUICK), f"http://127.0.0.1:9/B04.tif?key={SECRET}")
    assert "given up after 6 attempts, at last no connection (http://127.0.0.1:9/B04.tif)" in str(error)
    assert error.transient


def test_patience_ends_before_the_attempts_do(server: BadServer) -> None:
    server.behave(Manners(broken={"/B04.tif": 429}, retry_after_s=40))
    clock = Time()
    error = _given_up(RasterioReader(policy=RetryPolicy(patience_s=100), gate=clock.gate), f"{server.url}/B04.tif")
    assert "given up after 4 attempts, at last 429" in str(error)
    assert clock.waits == [40, 40, 40]


def test_a_host_that_is_lost_is_not_waited_for_file_after_file(server: BadServer) -> None:
    server.behave(Manners(broken={"/B04": 500}))
    reader = RasterioReader(policy=QUICK)
    asked = []
    for number in range(5):
        _given_up(reader, f"{server.url}/B04.tif?{number}")
        asked.append(len(server.log))
    assert asked == [6, 12, 18, 19, 20]
    server.behave(Manners())
    _read(reader, f"{server.url}/B04.jp2", Window(0, 0, 9, 9))
    server.behave(Manners(broken={"/B04": 500}))
    server.forget()
    _given_up(reader, f"{server.url}/B04.tif?again")
    assert len(server.log) == 6


def test_damage_that_all_answers_agree_on_is_the_files(server: BadServer, folder: Path) -> None:
    path = write_raster(folder / "damaged.tif", PIXELS)
    cut_short(path, 0.6)
    reader = RasterioReader(policy=QUICK)
    error = _given_up(reader, f"{server.url}/damaged.tif?key={SECRET}")
    assert "its red raster" in str(error)
    assert SECRET not in str(error)
    assert not error.transient
    assert reader.traffic.retries == 0
    write_raster(path, PIXELS)
    np.testing.assert_array_equal(_read(reader, f"{server.url}/damaged.tif?key={SECRET}"), PIXELS[:1024, :1024])


def test_a_file_that_is_replaced_while_it_is_read_is_not_mixed(server: BadServer, folder: Path) -> None:
    other = PIXELS[::-1, ::-1] // 2
    path = write_raster(folder / "replaced.tif", PIXELS)
    reader = RasterioReader(policy=QUICK)
    np.testing.assert_array_equal(_read(reader, f"{server.url}/replaced.tif", WINDOWS[1]), PIXELS[:1024, 1024:])
    write_raster(path, other)
    error = _given_up(reader, f"{server.url}/replaced.tif")
    assert "at last a file of another size than before" in str(error)
    assert error.transient
    np.testing.assert_array_equal(_read(reader, f"{server.url}/replaced.tif"), other[:1024, :1024])


def test_a_page_in_place_of_a_raster_is_no_raster(server: BadServer, folder: Path) -> None:
    (folder / "page.tif").write_text("<html>sign in</html>")
    error = _given_up(RasterioReader(policy=QUICK), f"{server.url}/page.tif")
    assert str(error) == f"Scene S1: its red raster cannot be opened ({server.url}/page.tif)"
    assert not error.transient
    (folder / "empty.tif").write_bytes(b"")
    assert "cannot be" in str(_given_up(RasterioReader(policy=QUICK), f"{server.url}/empty.tif"))


def test_a_server_without_ranges_serves_what_is_near_a_files_beginning(
    server: BadServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.behave(Manners(0, {"whole": 1.0}, in_row=10**6))
    reader = RasterioReader(policy=QUICK)
    np.testing.assert_array_equal(_read(reader, f"{server.url}/B04.tif"), PIXELS[:1024, :1024])
    assert reader.traffic.retries == 0
    monkeypatch.setattr(web_files, "_WHOLE_FILE_BYTES", 1 << 20)
    assert "the whole file in place of a range" in str(_given_up(RasterioReader(policy=QUICK), f"{server.url}/B04.tif"))


# --- Signatures ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("uses", [1, 2, 3])
def test_signatures_that_run_out_are_renewed(server: BadServer, uses: int) -> None:
    server.behave(Manners(uses=uses))
    access = Signing()
    reader = RasterioReader(access, QUICK)
    for window in WINDOWS:
        np.testing.assert_array_equal(_read(reader, f"{server.url}/B04.tif", window), PIXELS[window.toslices()])
    assert access.number > 1
    assert {request.status for request in server.log} == {206, 403}


def test_a_redirection_is_remembered_until_it_runs_out(server: BadServer, folder: Path, tmp_path: Path) -> None:
    options = {"GDAL_HTTP_BEARER": SECRET, "GDAL_HTTP_HEADERS": "X-Kind: test"}
    with bad_server(folder, tmp_path) as front:
        front.behave(Manners(elsewhere=server.url))
        reader = RasterioReader(OpenAccess(options), QUICK)
        np.testing.assert_array_equal(_read(reader, f"{front.url}/B04.tif"), PIXELS[:1024, :1024])
        assert len(front.log) == 1
        # Credentials go to the host that they are for, and to no other.
        assert front.log[0].headers["Authorization"] == f"Bearer {SECRET}"
        assert all("Authorization" not in request.headers for request in server.log)
        server.behave(Manners(0, {"403": 1.0}, in_row=1))
        _read(reader, f"{front.url}/B04.tif", Window(1024, 1024, 76, 76))
        assert len(front.log) == 2
        assert [request.status for request in server.log][-2:] == [403, 206]
        front.behave(Manners(elsewhere=front.url))
        error = _given_up(RasterioReader(policy=QUICK), f"{front.url}/B04.tif")
    assert "redirections" in str(error)
    assert SECRET not in str(error)


def test_no_secret_is_in_any_message_or_log(server: BadServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    said = []
    for status in (401, 403, 404, 429, 500):
        server.behave(Manners(broken={"/B04": status}, retry_after_s=None))
        error = _given_up(RasterioReader(Signing(), QUICK), f"{server.url}/B04.tif?token={SECRET}")
        said += [str(error), repr(error), repr(error.__cause__)]
    server.behave(Manners(1, even_shares(0.5), in_row=4))
    reader = RasterioReader(OpenAccess({"GDAL_HTTP_BEARER": SECRET}), QUICK)
    _read(reader, f"{server.url}/B04.tif?token={SECRET}")
    said += [repr(reader), caplog.text]
    assert any(SECRET in request.query for request in server.log)
    assert "HTTP Request: GET" in caplog.text
    assert all(SECRET not in text for text in said)


def test_a_signature_that_another_thread_has_renewed_is_not_renewed_again(server: BadServer) -> None:
    class Elsewhere(Signing):
        asked = renewals = 0

        def address(self, href: str) -> str:
            self.asked += 1
            self.number = int(self.asked > 1)  # renewed by another thread since the first request
            return super().address(href)

        def renew(self, href: str) -> None:
            self.renewals += 1

    server.behave(Manners(0, {"403": 1.0}, in_row=1))
    access = Elsewhere()
    assert len(WebFiles(access, QUICK).fetch(f"{server.url}/B04.tif", 0, 100).data) == 100
    assert [request.query[-1] for request in server.log] == ["0", "1"]
    assert access.renewals == 0


class Failing:
    """An archive whose service of signatures fails so often, when asked for one or to renew it."""

    gdal_options: Mapping[str, str] = {}

    def __init__(self, times: int, renewals: int = 0) -> None:
        self.times, self.renewals = times, renewals

    def address(self, href: str) -> str:
        self.times -= 1
        if self.times >= 0:
            raise httpx.ConnectError(f"cannot reach https://sign.example/?{SECRET}")
        return href

    def renew(self, href: str) -> None:
        self.renewals -= 1
        if self.renewals >= 0:
            raise httpx.ConnectError(f"cannot reach https://sign.example/?{SECRET}")


def test_a_service_of_signatures_that_fails_is_asked_again(server: BadServer) -> None:
    access: Access = Failing(3)
    np.testing.assert_array_equal(_read(RasterioReader(access, QUICK), f"{server.url}/B04.tif"), PIXELS[:1024, :1024])
    server.behave(Manners(0, {"403": 1.0}, in_row=1))
    reader = RasterioReader(Failing(0, renewals=1), QUICK)
    np.testing.assert_array_equal(_read(reader, f"{server.url}/B04.tif"), PIXELS[:1024, :1024])
    error = _given_up(RasterioReader(Failing(100), QUICK), f"{server.url}/B04.tif")
    assert error.transient
    assert "no signature was given" in str(error)
    assert SECRET not in str(error)


# --- Buckets, which GDAL reads by itself ---------------------------------------------------------------------------


@pytest.fixture
def bucket(server: BadServer, folder: Path) -> Access:
    (folder / "eodata").mkdir(exist_ok=True)
    (folder / "eodata" / "B04.tif").write_bytes((folder / "B04.tif").read_bytes())
    endpoint = {"AWS_S3_ENDPOINT": server.url.removeprefix("http://"), "AWS_HTTPS": "NO"}
    return OpenAccess(endpoint | {"AWS_VIRTUAL_HOSTING": "FALSE", "AWS_NO_SIGN_REQUEST": "YES"})


@pytest.mark.parametrize("seed", range(4))
def test_a_bucket_comes_through_too(server: BadServer, bucket: Access, seed: int) -> None:
    faults = even_shares(0.7, ("429", "500", "503", "truncate", "drop"))
    server.behave(Manners(seed, faults, in_row=4, retry_after_s=None))
    reader = RasterioReader(bucket, QUICK)
    np.testing.assert_array_equal(_read(reader, "/vsis3/eodata/B04.tif"), PIXELS[:1024, :1024])
    assert any(request.fault for request in server.log)


@pytest.mark.parametrize(("status", "transient"), [(404, False), (403, True), (500, True)])
def test_a_bucket_that_stays_broken_is_given_up_and_not_remembered(
    server: BadServer, bucket: Access, folder: Path, status: int, transient: bool
) -> None:
    server.behave(Manners(broken={"/eodata": status}, retry_after_s=None))
    (folder / "eodata" / f"{status}.tif").write_bytes((folder / "B04.tif").read_bytes())
    reader = RasterioReader(bucket, RetryPolicy(attempts=2, first_delay_s=0.001))
    error = _given_up(reader, f"/vsis3/eodata/{status}.tif?token={SECRET}")
    assert error.transient == transient
    assert SECRET not in str(error)
    error = _given_up(reader, f"/vsis3/eodata/{status}.tif")
    assert f"{status} (/vsis3/eodata/{status}.tif)" in str(error)
    server.behave(Manners())
    np.testing.assert_array_equal(_read(reader, f"/vsis3/eodata/{status}.tif"), PIXELS[:1024, :1024])


# --- Small parts --------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 10**5)), min_size=1))
def test_merged_ranges_hold_all_and_lie_apart(ranges: list[tuple[int, int]]) -> None:
    merged = merge_ranges(ranges)
    for start, size in ranges:
        assert any(first <= start and start + size <= first + length for first, length in merged)
    for (first, length), (following, _) in itertools.pairwise(merged):
        assert first + length + (64 << 10) < following
    assert {merged[0][0], sum(merged[-1])} == {min(s for s, _ in ranges), max(s + n for s, n in ranges)}


@given(st.data())
def test_pages_give_back_what_they_were_given_or_nothing(data: st.DataObject) -> None:
    content = np.random.default_rng(0).bytes(100_001)
    pages = PageCache(50_000)
    for _ in range(20):
        first, stop = sorted(data.draw(st.tuples(st.integers(8, 24), st.integers(8, 24))))
        start = 0 if first == 8 else first * 4096
        pages.put("a", start, content[start : (stop + 1) * 4096], len(content))
        at, size = data.draw(st.tuples(st.integers(0, 100_000), st.integers(1, 20_000)))
        assert pages.get("a", at, size) in (None, content[at : at + size])
        assert pages.get("b", at, size) is None
        assert pages._held == sum(map(len, pages._pages.values())) <= 50_000
    assert pages.size_of("a") == len(content)
    pages.forget("a")
    assert pages._held == 0
    assert pages.size_of("a") is None


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("https://host/a/b.tif?sig=x&y=z#f", "https://host/a/b.tif"),
        ("https://user:word@host:8080/a@b.tif", "https://host:8080/a@b.tif"),
        ("/vsis3/bucket/a.jp2", "/vsis3/bucket/a.jp2"),
        ("s3://bucket/a.jp2", "s3://bucket/a.jp2"),
    ],
)
def test_what_may_be_told_of_an_address(address: str, public: str) -> None:
    assert public_address(address) == public


def test_gdals_own_credentials_become_headers() -> None:
    options = {"GDAL_HTTP_HEADERS": "X-A: 1, 2\r\nX-B:b,X-C: c", "GDAL_HTTP_BEARER": "token", "AWS_REGION": "x"}
    assert credential_headers(options) == {"X-A": "1, 2", "X-B": "b", "X-C": "c", "Authorization": "Bearer token"}
    assert credential_headers({}) == {}
    assert gdal_env(OpenAccess({"AWS_REGION": "x"}))["AWS_REGION"] == "x"
