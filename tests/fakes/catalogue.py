"""Items written by hand, a catalogue of them, and a web server in a process of its own."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BBOX = [2.9, 45.1, 3.0, 45.2]


def item_document(
    item_id: str = "S2A_31TDK_20190722_0_L2A",
    moment: str | None = "2019-07-22T10:50:31Z",
    names: Iterable[str] = ("red", "nir", "scl"),
    bbox: list[float] | None = None,
    **properties: Any,
) -> dict[str, Any]:
    """A STAC item; a property that is None is left out."""
    west, south, east, north = bbox or BBOX
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    given = {"grid:code": "MGRS-31TDK", "s2:processing_baseline": "02.14"} | properties
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": item_id,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": [west, south, east, north],
        "properties": {"datetime": moment} | {key: value for key, value in given.items() if value is not None},
        "links": [],
        "assets": {name: {"href": f"https://example.org/{item_id}/{name}.tif"} for name in names},
    }


def items_over(first: dt.date, count: int) -> list[dict[str, Any]]:
    """An item a day."""
    days = [first + dt.timedelta(step) for step in range(count)]
    return [item_document(f"S2A_31TDK_{day:%Y%m%d}_0_L2A", f"{day}T10:50:31Z") for day in days]


def write_catalogue(directory: Path, items: Iterable[dict[str, Any]], **more_links: str) -> Path:
    """A catalogue with its items beside it; `more_links` are hrefs of items that the test writes, or not."""
    directory.mkdir(parents=True, exist_ok=True)
    hrefs = []
    for item in items:
        hrefs.append(f"./{item['id']}.json")
        (directory / hrefs[-1]).write_text(json.dumps(item))
    root = {
        "type": "Catalog",
        "stac_version": "1.0.0",
        "id": "made-by-hand",
        "description": "For a test.",
        "links": [{"rel": "item", "href": href} for href in [*hrefs, *more_links.values()]],
    }
    (directory / "catalog.json").write_text(json.dumps(root))
    return directory / "catalog.json"


@contextmanager
def served(directory: Path) -> Iterator[str]:
    """A folder behind a web server on the loopback, in a process of its own; gives its URL."""
    code = (
        "import functools, http.server as h, sys\n"
        "handler = functools.partial(h.SimpleHTTPRequestHandler, directory=sys.argv[1])\n"
        "server = h.ThreadingHTTPServer(('127.0.0.1', 0), handler)\n"
        "print(server.server_address[1], flush=True)\n"
        "server.serve_forever()\n"
    )
    command = [sys.executable, "-c", code, str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            url = f"http://127.0.0.1:{process.stdout.readline().strip()}"
            _wait_for(url)
            yield url
        finally:
            process.terminate()


def _wait_for(url: str) -> None:
    for _ in range(50):
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise AssertionError(f"no answer from {url}")
