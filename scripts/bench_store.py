"""A store of a million SIMULATED alerts behind the real service: pages, tiles, exports, and the putting in of a month.

The service runs in processes of its own, on the same cores as the clients; times are of whole answers, as a client sees
them. PostgreSQL is measured where SYLVIGIE_DATABASE_URL names a database, which is filled.
"""

from __future__ import annotations

import math
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import httpx
import numpy as np
import sqlalchemy as sa

from api.settings import load_settings
from api.store.database import SQLITE_FILE, Database, database_url
from api.store.filters import AlertFilter
from api.store.ingesting import ingest
from api.store.reading import alerts_page
from api.store.upgrading import upgrade
from scripts.bench_figures import BenchParams, Figure
from scripts.http_load import Load, load
from scripts.simulated_alerts import EAST, NORTH, SOUTH, WEST, departement_at, simulated_months

ALERTS, MONTH_ALERTS, AT_ONCE, REQUESTS, WORKERS = 1_000_000, 5_000, 20, 2_000, 2
_ITEMS = "/api/v1/collections/alerts/items"
_READY_S = 60.0
_PREWARM = """SELECT sum(pg_prewarm(c.oid::regclass, 'read')) FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND c.relkind IN ('r', 'i')"""


def bench_store(params: BenchParams) -> Iterator[Figure]:
    """Figures of SQLite, and of PostgreSQL where one is named."""
    named = load_settings().database_url
    urls = {"SQLite": None, "PostgreSQL": None if named is None else named.get_secret_value()}
    for engine, url in urls.items():
        if engine == "PostgreSQL" and url is None:
            yield Figure("store", "PostgreSQL: SYLVIGIE_DATABASE_URL names none", math.nan)
            continue
        data_dir = params.work / f"store-{ALERTS}"
        yield from _figures(engine, url, data_dir)


def _figures(engine: str, url: str | None, data_dir: Path) -> Iterator[Figure]:
    database = Database(database_url(url, data_dir))
    upgrade(database)
    filled = _fill(database, data_dir)
    if filled is not None:
        yield Figure("store", f"{engine}: putting in a month of 5,000 SIMULATED alerts", filled, "s", at_most=10)
    rng = np.random.default_rng(3)
    with _service(url, data_dir) as port:
        load(port, [*_boxes(rng), *_departements(rng)], AT_ONCE)
        for name, targets in (
            ("bbox", _boxes(rng)),
            ("département", _departements(rng)),
            ("bbox, last pages", _last_pages(database, rng)),
        ):
            _warm(database, data_dir)
            found = load(port, targets, AT_ONCE)
            yield _percentile(engine, f"items by {name}, {AT_ONCE} at once, 95th percentile", found, 50)
        load(port, _tiles(rng)[:50], 2)
        yield _percentile(engine, "a vector tile, 95th percentile", load(port, _tiles(rng), 2), 100)
        yield from _export(engine, port)
    database.close()


def _fill(database: Database, data_dir: Path) -> float | None:
    """Fill a store, unless it is full; seconds of its last month, None where nothing was missing."""
    seconds = None
    for number, files in enumerate(simulated_months(ALERTS // MONTH_ALERTS, MONTH_ALERTS)):
        started = time.perf_counter()
        if not ingest(database, files, data_dir=data_dir).already_there:
            seconds = time.perf_counter() - started
            print(f"store: month {number + 1} of {ALERTS // MONTH_ALERTS}: {seconds:.1f} s", file=sys.stderr)
    return seconds


def _warm(database: Database, data_dir: Path) -> None:
    """Have the system hold the store in memory, as where it is in use: lent machines take it back in seconds."""
    if database.is_sqlite:
        with (data_dir / SQLITE_FILE).open("rb", buffering=0) as file:
            while file.read(1 << 24):
                pass
        return
    with database.altering() as connection:
        connection.execute(sa.text("CREATE EXTENSION IF NOT EXISTS pg_prewarm"))
        connection.execute(sa.text(_PREWARM))


@contextmanager
def _service(url: str | None, data_dir: Path) -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    given = {"SYLVIGIE_REQUESTS_PER_MINUTE": "0", "SYLVIGIE_DATA_DIR": str(data_dir)}
    given["SYLVIGIE_DATABASE_URL"] = url or f"sqlite:///{data_dir / SQLITE_FILE}"
    command = ["env", *(f"{name}={value}" for name, value in given.items())]
    command += [sys.executable, "-c", "from scripts.cli import main; main()", "serve", "--port", str(port)]
    process = subprocess.Popen([*command, "--workers", str(WORKERS)], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + _READY_S
        while True:
            try:
                if httpx.get(f"http://127.0.0.1:{port}/ready").status_code == 200:
                    break
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.2)
        yield port
    finally:
        process.terminate()
        process.wait(30)


def _boxes(rng: np.random.Generator) -> list[str]:
    """Boxes from a village's to a region's: 2 km to 200 km."""
    return [f"{_ITEMS}?bbox={quote(_box(rng))}" for _ in range(REQUESTS)]


def _box(rng: np.random.Generator) -> str:
    side = float(np.exp(rng.uniform(np.log(0.02), np.log(2.0))))
    west, south = float(rng.uniform(WEST, EAST - side)), float(rng.uniform(SOUTH, NORTH - side))
    return f"{west:.5f},{south:.5f},{west + side:.5f},{south + side:.5f}"


def _departements(rng: np.random.Generator) -> list[str]:
    places = zip(rng.uniform(WEST, EAST, REQUESTS), rng.uniform(SOUTH, NORTH, REQUESTS), strict=True)
    sorts = ("", "&sortby=-area_ha", "&sortby=-first_low", "&min_area_ha=5", "&potentially_abusive=true")
    return [f"{_ITEMS}?departement={departement_at(*place)}{sorts[i % 5]}" for i, place in enumerate(places)]


def _last_pages(database: Database, rng: np.random.Generator) -> list[str]:
    """The last pages of boxes, by the cursors that lead to them."""
    targets = []
    for _ in range(20):
        box, cursor = _box(rng), None
        asked = AlertFilter.of({"bbox": box})
        while True:
            page = alerts_page(database, asked, 1000, cursor)
            if page.cursor is None:
                break
            cursor = page.cursor
        # The cursor of the last thousand: within it the page of ten is asked for.
        end = "" if cursor is None else f"&cursor={cursor}"
        targets.append(f"{_ITEMS}?bbox={quote(box)}{end}")
    return [targets[i % len(targets)] for i in range(REQUESTS // 2)]


def _tiles(rng: np.random.Generator) -> list[str]:
    """Tiles of zoom 5 to 14 over France."""
    targets = []
    for _ in range(300):
        z = int(rng.integers(5, 15))
        longitude, latitude = float(rng.uniform(WEST, EAST)), float(rng.uniform(SOUTH, NORTH))
        x = int((longitude + 180) / 360 * (1 << z))
        y = int((1 - math.asinh(math.tan(math.radians(latitude))) / math.pi) / 2 * (1 << z))
        targets.append(f"/api/v1/tiles/alerts/{z}/{x}/{y}.mvt")
    return targets


def _percentile(engine: str, name: str, found: Load, goal_ms: float) -> Figure:
    wrong = sum(status != 200 for status in found.statuses)
    rate = len(found.statuses) / found.seconds
    note = f"median {found.percentile(0.5):.1f} ms, {rate:.0f} a second, {wrong} not answered with 200"
    return Figure("store", f"{engine}: {name}", found.percentile(0.95), "ms", at_most=goal_ms, note=note)


def _export(engine: str, port: int) -> Iterator[Figure]:
    """The GeoJSON of a département, and how much memory the service takes more for it."""
    before, most = _memory_mb(port), 0.0
    started, size = time.perf_counter(), 0
    with httpx.stream("GET", f"http://127.0.0.1:{port}{_ITEMS}?f=geojson&departement=40", timeout=120) as answer:
        for number, chunk in enumerate(answer.iter_raw()):
            size += len(chunk)
            if number % 50 == 0:
                most = max(most, _memory_mb(port))
    seconds = time.perf_counter() - started
    note = f"{size / 1e6:.0f} MB in {seconds:.1f} s; resident memory before {before:.0f} MB"
    yield Figure("store", f"{engine}: memory more while a département is exported", most - before, "MB", note=note)


def _memory_mb(port: int) -> float:
    """Resident memory of the processes of the service, without what is mapped of files."""
    pids: Sequence[str] = subprocess.run(
        ["pgrep", "-f", f"serve --port {port}"], capture_output=True, text=True, check=False
    ).stdout.split()
    total = 0
    for pid in pids:
        for each in (pid, *_children(pid)):
            status = Path(f"/proc/{each}/status")
            if status.exists():
                found = [line for line in status.read_text().splitlines() if line.startswith("RssAnon")]
                total += sum(int(line.split()[1]) for line in found)
    return total / 1000


def _children(pid: str) -> list[str]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return path.read_text().split() if path.exists() else []
