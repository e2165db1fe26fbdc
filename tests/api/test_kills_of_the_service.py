"""What was acknowledged survives SIGKILL of the service and of PostgreSQL: a client sends reports, photos, reviews."""

from __future__ import annotations

import base64
import io
import itertools
import random
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import httpx
import numpy as np
import sqlalchemy as sa
from PIL import Image

from api.access import create_token
from api.identity.roles import Right
from api.photos.keeping import DiskPhotos
from api.store.database import Database, database_url
from api.store.ingesting import ingest
from api.store.tables import observation_reports, photos, reviews
from tests.api.alerts import found_alert, scan_files
from tests.api.conftest import PostgresServer

KILLS = 2
"""By hand this was run with 30."""


def _photo() -> bytes:
    pixels = np.random.default_rng(1).integers(0, 255, (60, 80, 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


PHOTO = _photo()
FOUND = [found_alert(i, latitude=44 + i / 100) for i in range(10)]


@dataclass
class _Client:
    """Writes one thing after the other, each until it is acknowledged."""

    root: str
    token: str
    stop: threading.Event = field(default_factory=threading.Event)
    reports: list[str] = field(default_factory=list)
    reviews: list[str] = field(default_factory=list)
    photos: list[str] = field(default_factory=list)
    tries: int = 0

    def work(self) -> None:
        with httpx.Client(base_url=self.root, timeout=20) as client:
            for number in itertools.count():
                if self.stop.is_set():
                    return
                name, alert = str(uuid4()), FOUND[number % len(FOUND)].id
                body = {"alert_id": alert, "observed_on": "2026-11-20", "answers": {"comment": f"visite {number}"}}
                if self._sent(client, "PUT", f"/reports/{name}", body, None):
                    self.reports.append(name)
                    if self._photo(client, name):
                        self.photos.append(name)
                if self._sent(client, "POST", f"/alerts/{alert}/reviews", {"state": "uncertain"}, name):
                    self.reviews.append(name)

    def _photo(self, client: httpx.Client, name: str) -> bool:
        """A photo of the report, of the same name, in two parts; begun anew, it goes on where it was."""
        told = {"id": name, "report": name, "kind": "cut"}
        metadata = ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in told.items())
        tus = {"Authorization": f"Bearer {self.token}", "Tus-Resumable": "1.0.0"}
        begun = {"Upload-Length": str(len(PHOTO)), "Upload-Metadata": metadata}
        part_type, half = {"Content-Type": "application/offset+octet-stream"}, len(PHOTO) // 2
        while not self.stop.is_set():
            try:
                answer = client.post("/photos", headers=tus | begun)
                offset = int(answer.headers.get("Upload-Offset", -1))
                while 0 <= offset < len(PHOTO):
                    part = PHOTO[offset : max(half, offset) if offset < half else None]
                    headers = tus | part_type | {"Upload-Offset": str(offset)}
                    answer = client.patch(f"/photos/uploads/{name}", content=part, headers=headers)
                    offset = int(answer.headers.get("Upload-Offset", -1))
            except httpx.TransportError:
                offset = -1
            if offset == len(PHOTO) and answer.status_code < 300:
                return True
            time.sleep(0.02)
        return False

    def _sent(self, client: httpx.Client, method: str, path: str, body: object, key: str | None) -> bool:
        headers = {"Authorization": f"Bearer {self.token}"} | ({"Idempotency-Key": key} if key else {})
        while not self.stop.is_set():
            self.tries += 1
            try:
                status = client.request(method, path, json=body, headers=headers).status_code
            except httpx.TransportError:
                status = 0
            if status in (200, 201):
                return True
            assert status in (0, 503), status
            time.sleep(0.02)
        return False


class _Running:
    """A service that is killed and started again."""

    def __init__(self, start: Callable[[], subprocess.Popen[bytes]]) -> None:
        self._start, self._process = start, start()

    def kill(self) -> None:
        self.end()
        self._process = self._start()

    def end(self) -> None:
        self._process.kill()
        self._process.wait(60)


def _service(store: Database, port: int, data_dir: Path) -> subprocess.Popen[bytes]:
    url = store.url.render_as_string(hide_password=False).replace("+psycopg", "")
    given = [f"SYLVIGIE_DATABASE_URL={url}", "SYLVIGIE_REQUESTS_PER_MINUTE=0", f"SYLVIGIE_DATA_DIR={data_dir}"]
    run = [sys.executable, "-c", "from scripts.cli import main; main()", "serve", "--port", str(port)]
    process = subprocess.Popen(["env", *given, *run], stderr=subprocess.DEVNULL)
    for _ in range(600):
        try:
            if httpx.get(f"http://127.0.0.1:{port}/health", timeout=20).status_code == 200:
                break
        except httpx.TransportError:
            time.sleep(0.05)
    return process


def _client_of(store: Database) -> tuple[_Client, int]:
    """A client of a filled store, and the port of the service that is to be."""
    ingest(store, scan_files(FOUND), data_dir=Path("data"))
    token = create_token(store, "kills", frozenset({Right.REPORT, Right.REVIEW}), None)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    return _Client(f"http://127.0.0.1:{port}/api/v1", token), port


def _check(client: _Client, store: Database, data_dir: Path) -> None:
    # Connections of before a kill of PostgreSQL are found out by the first who uses one.
    store.engine.dispose()
    with store.reading() as connection:
        reports = Counter(connection.execute(sa.select(observation_reports.c.id)).scalars())
        keys = Counter(connection.execute(sa.select(reviews.c.request_key)).scalars())
        kept = connection.execute(sa.select(photos.c.id, photos.c.place, photos.c.thumbnail)).all()
    assert set(client.reports) <= set(reports)
    assert set(client.reviews) <= set(keys)
    assert set(client.photos) <= {photo.id for photo in kept}
    assert len({photo.id for photo in kept}) == len(kept)
    files = DiskPhotos(data_dir / "photos")
    assert all(files.get(photo.place) and files.get(photo.thumbnail) for photo in kept)
    assert len(client.photos) >= KILLS
    assert max([*reports.values(), *keys.values()]) == 1
    # What was kept and not acknowledged is that which was under way when the client was stopped.
    assert len(reports) <= len(client.reports) + 1
    assert len(keys) <= len(client.reviews) + 1
    assert len(client.reports) >= KILLS


@contextmanager
def _at_work(client: _Client, start: Callable[[], subprocess.Popen[bytes]]) -> Iterator[_Running]:
    """A service and a client that writes to it; both are ended afterwards."""
    running, thread = _Running(start), threading.Thread(target=client.work)
    thread.start()
    try:
        yield running
    finally:
        client.stop.set()
        thread.join(60)
        running.end()


def test_a_killed_service_loses_and_doubles_nothing(store: Database, tmp_path: Path) -> None:
    client, port = _client_of(store)
    moments = random.Random(3)
    with _at_work(client, lambda: _service(store, port, tmp_path)) as running:
        for _ in range(KILLS):
            time.sleep(moments.uniform(0.05, 0.6))
            running.kill()
        time.sleep(0.3)
    _check(client, store, tmp_path)


def test_a_killed_postgresql_loses_and_doubles_nothing(postgres: PostgresServer, tmp_path: Path) -> None:
    store = Database(database_url(postgres.made(), tmp_path))
    client, port = _client_of(store)
    moments = random.Random(4)
    with _at_work(client, lambda: _service(store, port, tmp_path)):
        for _ in range(KILLS):
            time.sleep(moments.uniform(0.05, 0.6))
            postgres.kill()
            time.sleep(moments.uniform(0, 0.2))
            postgres.start()
        time.sleep(0.5)
    _check(client, store, tmp_path)
    store.close()
