"""A service for a browser: SIMULATED alerts with pictures, people of each role, in a process of its own."""

from __future__ import annotations

import datetime as dt
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyproj
import rasterio
from affine import Affine

from api.identity.accounts import checked_departements, make_person
from api.identity.passwords import hash_password
from api.identity.roles import Role
from api.store.database import Database, database_url
from api.store.ingesting import ingest
from api.store.scan_files import FoundAlert
from api.store.upgrading import upgrade
from detector.chips import SERIES_FILE, SeriesRow, write_series
from tests.api.alerts import found_alert, scan_files

PASSWORD = "un long mot de passe"
N_ALERTS = 12


@dataclass(frozen=True)
class Served:
    """A service that runs.

    Parameters
    ----------
    root
        Its address.
    data_dir
        Where its store is.
    alerts
        That it holds.
    """

    root: str
    data_dir: Path
    alerts: list[FoundAlert]

    def store(self) -> Database:
        """The store, from beside the service."""
        return Database(database_url(None, self.data_dir))


def simulated_alerts() -> list[FoundAlert]:
    """Alerts of the Landes, SIMULATED."""
    said = [{"code": "size", "fr": "la surface est celle d'une coupe", "en": "the area is that of a felling"}]
    return [
        found_alert(
            i,
            longitude=-0.74 + i / 200,
            latitude=44.1 + (i % 4) / 100,
            size=0.002 + i / 5000,
            departement="40",
            commune="Sabres" if i % 2 else "Luxey",
            region="Nouvelle-Aquitaine",
            area_ha=2.0 + i,
            state="confirmed" if i % 3 else "provisional",
            clearcut_probability=0.9,
            abuse_score=i / 20,
            potentially_abusive=i > 8,
            criteria=[
                {"code": "area", "value": 2.0 + i, "threshold": 10.0, "unit": "ha", "met": i > 8, "source": "SIMULÉ"},
                {"code": "natura2000", "value": None, "threshold": 2.0, "unit": "ha", "met": None, "source": "SIMULÉ"},
            ],
            legal_points=[
                {"code": "L124-5", "status": "to_check", "reference": "Code forestier, L124-5", "source": "SIMULÉ"}
            ],
            reasons={"clearcut": {"for": said, "against": []}},
            model_version="clearcut-0",
            rules_version="r1",
        )
        for i in range(1, N_ALERTS + 1)
    ]


def write_pictures(data_dir: Path, alert: FoundAlert) -> None:
    """Chips and a series, SIMULATED: forest before, bare ground after within the outline."""
    folder = data_dir / "chips" / alert.id
    folder.mkdir(parents=True)
    to_utm = pyproj.Transformer.from_crs("OGC:CRS84", "EPSG:32630", always_xy=True)
    x, y = to_utm.transform(alert.geometry.centroid.x, alert.geometry.centroid.y)
    random = np.random.default_rng(zlib.crc32(alert.id.encode()))
    for moment in ("before", "after"):
        pixels = np.empty((4, 64, 64), np.uint8)
        for band, level in enumerate((45, 62, 50, 215)):
            pixels[band] = np.clip(random.normal(level, 9, (64, 64)), 1, 255)
        if moment == "after":
            for band, level in enumerate((170, 140, 110, 90)):
                pixels[band, 22:42, 20:44] = np.clip(random.normal(level, 9, (20, 24)), 1, 255)
        profile = {"driver": "GTiff", "dtype": "uint8", "count": 4, "height": 64, "width": 64, "crs": "EPSG:32630"}
        transform = Affine(10, 0, x - 320, 0, -10, y + 320)
        with rasterio.open(folder / f"{moment}.tif", "w", **profile, transform=transform, nodata=0) as chip:
            chip.write(pixels)
            chip.update_tags(BANDS="red,green,blue,ndvi", DATE="2026-10-04", SCENE="SIMULATED", MOMENT=moment)
    days = [dt.date(2025, 11, 3) + dt.timedelta(days=15 * i) for i in range(26)]
    rows = [SeriesRow(alert.id, day, f"S{day}", 0.82 if day < dt.date(2026, 10, 1) else 0.34, 1.0) for day in days]
    write_series(rows, folder / SERIES_FILE)


def _people(store: Database) -> None:
    for role in (Role.VOLUNTEER, Role.ANALYST, Role.ADMINISTRATOR):
        with store.writing() as writing:
            make_person(
                writing,
                name=f"Zoé {role.value}",
                email=f"{role.value}@example.org",
                role=role,
                departements=checked_departements(["40"] if role is Role.VOLUNTEER else []),
                password=hash_password(PASSWORD),
            )


@contextmanager
def served(data_dir: Path, **settings: Any) -> Iterator[Served]:
    """Fill a store, and serve it until the block ends."""
    data_dir.mkdir(parents=True, exist_ok=True)
    store, alerts = Database(database_url(None, data_dir)), simulated_alerts()
    upgrade(store)
    ingest(store, scan_files(alerts), data_dir=data_dir)
    for alert in alerts:
        write_pictures(data_dir, alert)
    _people(store)
    store.close()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    # A base map on this machine that does not answer: nothing is looked for beyond it.
    given = {"DATA_DIR": data_dir, "REQUESTS_PER_MINUTE": 0, "BASEMAP_URL": "http://127.0.0.1:9/wmts", **settings}
    words = [f"SYLVIGIE_{name}={value}" for name, value in given.items()]
    run = [sys.executable, "-c", "from scripts.cli import main; main()", "serve", "--port", str(port)]
    process = subprocess.Popen(["env", *words, *run], stderr=subprocess.DEVNULL)
    root = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                if httpx.get(f"{root}/ready", timeout=20).status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.1)
        yield Served(root, data_dir, alerts)
    finally:
        process.terminate()
        process.wait(60)
