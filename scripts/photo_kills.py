"""Clients that send photos and try again, and a service that is killed under them."""

from __future__ import annotations

import base64
import datetime as dt
import random
import socket
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import httpx
import sqlalchemy as sa

from api.access import create_token
from api.identity.roles import Right
from api.photos.keeping import DiskPhotos
from api.store.database import Database, database_url
from api.store.ingesting import ingest
from api.store.photos import photos_of
from api.store.tables import alerts, observation_reports
from api.store.upgrading import upgrade
from scripts.simulated_alerts import simulated_months

_PHOTOS = "/api/v1/photos"
_REPORTS, _SENDERS, _PART_BYTES = 30, 2, 200_000
_PATIENCE_S = 60.0


@dataclass(frozen=True)
class PhotoKills:
    """What came of kills.

    Parameters
    ----------
    kills
        Of the service.
    acknowledged
        Photos that a client was told are kept.
    lost, doubled
        Of these, those that are not in the store with both their files, or are there twice.
    """

    kills: int
    acknowledged: int
    lost: int
    doubled: int


class _Sender(threading.Thread):
    """Sends one photo after the other, each until it is acknowledged."""

    def __init__(self, port: int, token: str, reports: list[str], came: bytes, stop: threading.Event) -> None:
        super().__init__()
        self._reports, self._came, self._stop_asked = reports, came, stop
        headers = {"Authorization": f"Bearer {token}", "Tus-Resumable": "1.0.0"}
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=20)
        self.acknowledged: list[str] = []

    def run(self) -> None:
        with self._client:
            while not self._stop_asked.is_set():
                name, report = str(uuid.uuid4()), random.choice(self._reports)
                while not self._stop_asked.is_set():
                    if self._sent(name, report):
                        self.acknowledged.append(name)
                        break
                    time.sleep(0.05)

    def _sent(self, name: str, report: str) -> bool:
        told = {"id": name, "report": report, "kind": "cut"}
        metadata = ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in told.items())
        try:
            headers = {"Upload-Length": str(len(self._came)), "Upload-Metadata": metadata}
            begun = self._client.post(_PHOTOS, headers=headers)
            offset = int(begun.headers.get("Upload-Offset", -1))
            while 0 <= offset < len(self._came):
                headers = {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
                part = self._came[offset : offset + _PART_BYTES]
                answer = self._client.patch(f"{_PHOTOS}/uploads/{name}", headers=headers, content=part)
                offset = int(answer.headers.get("Upload-Offset", -1))
        except httpx.TransportError:
            return False
        return offset == len(self._came)


def kill_while_sending(data_dir: Path, came: bytes, kills: int, seed: int) -> PhotoKills:
    """Kill the service at random moments while photos are sent to it, and start it again each time.

    Parameters
    ----------
    data_dir
        New: it is filled with simulated alerts.
    came
        The photo that is sent.
    kills, seed
        How often, and of the moments.
    """
    database = Database(database_url(None, data_dir))
    upgrade(database)
    ingest(database, next(iter(simulated_months(1, 1))), data_dir=data_dir)
    reports = _add_reports(database)
    token = create_token(database, "kills", frozenset({Right.REPORT}), None)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    stop, chance = threading.Event(), random.Random(seed)
    senders = [_Sender(port, token, reports, came, stop) for _ in range(_SENDERS)]
    process = _started(port, data_dir)
    for sender in senders:
        sender.start()
    try:
        for _ in range(kills):
            time.sleep(chance.uniform(0.05, 1.5))
            process.kill()
            process.wait()
            process = _started(port, data_dir)
    finally:
        stop.set()
        for sender in senders:
            sender.join(_PATIENCE_S)
        process.kill()
        process.wait()
    kept = [photo for report in reports for photo in photos_of(database, report)]
    files = DiskPhotos(data_dir / "photos")
    whole = [photo.id for photo in kept if files.get(photo.place) and files.get(photo.thumbnail)]
    database.close()
    acknowledged = {name for sender in senders for name in sender.acknowledged}
    return PhotoKills(kills, len(acknowledged), len(acknowledged - set(whole)), len(whole) - len(set(whole)))


def _started(port: int, data_dir: Path) -> subprocess.Popen[bytes]:
    words = ["serve", "--port", str(port), "--data-dir", str(data_dir)]
    process = subprocess.Popen(
        [sys.executable, "-c", "from scripts.cli import main; main()", *words], stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except ConnectionError:
            time.sleep(0.05)
    return process


def _add_reports(database: Database) -> list[str]:
    names = [str(uuid.uuid4()) for _ in range(_REPORTS)]
    with database.writing() as writing:
        seq = writing.connection.execute(sa.select(alerts.c.seq)).scalars().first()
        row = {"version": 1, "alert_seq": seq, "observed_on": dt.date(2026, 10, 5), "content": "{}"}
        rows = [row | {"id": name, "received_at": writing.now} for name in names]
        writing.connection.execute(sa.insert(observation_reports), rows)
    return names
