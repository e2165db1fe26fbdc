"""Services that publish layers, on the loopback, in a process of their own.

Run with the path of a JSON file, read anew for each request, so that a test can change what is there:

- ``files``: path -> {"file", "etag", "modified", "type", "ranges"};
- ``faults``: path -> list of {"status", "retry_after", "redirect", "cut", "page", "drop", "text"}, one used a request;
- ``wfs``: type -> file of a GeoJSON feature collection; ``wfs_most``: features given at the most;
  ``wfs_hides``: features that are counted and never given; ``wfs_total``: whether the total is told.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar


class LayerServer:
    """The server, as a test sees it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self._folder = folder
        self.files: dict[str, dict[str, Any]] = {}
        self.faults: dict[str, dict[str, Any]] = {}
        self._serial = 0
        self.wfs: dict[str, str] = {}
        self.options: dict[str, Any] = {}

    def serve(
        self, path: str, content: bytes, etag: str | None = None, modified: str | None = None, ranges: bool = True
    ) -> str:
        """Serve some bytes at a path; gives the address."""
        file = self._folder / f"file-{len(list(self._folder.iterdir()))}"
        file.write_bytes(content)
        self.files[path] = {"file": str(file), "etag": etag, "modified": modified, "ranges": ranges}
        self.write()
        return self.url + path

    def serve_features(self, name: str, collection: dict[str, Any]) -> str:
        """Serve features as a WFS type; gives the service's address."""
        file = self._folder / f"type-{name.replace(':', '-')}.json"
        file.write_text(json.dumps(collection))
        self.wfs[name] = str(file)
        self.write()
        return f"{self.url}/wfs/ows"

    def go_wrong(self, path: str, *faults: dict[str, Any]) -> None:
        """Let the next requests for a path go wrong."""
        self._serial += 1
        self.faults[path] = {"serial": self._serial, "list": list(faults)}
        self.write()

    def set(self, **options: Any) -> None:
        """Change how the service answers."""
        self.options |= options
        self.write()

    def write(self) -> None:
        config = {"files": self.files, "faults": self.faults, "wfs": self.wfs, **self.options}
        beside = self._folder / "config.partial"
        beside.write_text(json.dumps(config))
        beside.replace(self._folder / "config.json")

    @property
    def log(self) -> list[dict[str, Any]]:
        file = self._folder / "log"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@contextmanager
def layer_server(folder: Path) -> Iterator[LayerServer]:
    """Serve from a process of its own, which keeps what it needs in a folder."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    with subprocess.Popen([sys.executable, __file__, str(folder)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield LayerServer(f"http://127.0.0.1:{process.stdout.readline().strip()}", folder)
        finally:
            process.terminate()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    used: ClassVar[Counter[int]] = Counter()
    folder = Path()
    lock = threading.Lock()

    def log_message(self, *words: Any) -> None:
        pass

    def do_GET(self) -> None:
        config = json.loads((self.folder / "config.json").read_text())
        parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        with self.lock, (self.folder / "log").open("a") as log:
            headers = {
                name: self.headers[name] for name in ("Range", "If-Range", "If-None-Match") if self.headers[name]
            }
            log.write(json.dumps({"path": parts.path, "query": query, **headers}) + "\n")
            faults = config.get("faults", {}).get(parts.path, {"serial": 0, "list": []})
            number = self.used[faults["serial"]]
            fault = faults["list"][number] if number < len(faults["list"]) else {}
            self.used[faults["serial"]] += 1
        if "drop" in fault:
            self.close_connection = True
        elif "redirect" in fault:
            self.answer(302, b"", {"Location": fault["redirect"]})
        elif "status" in fault:
            headers = {"Retry-After": str(fault["retry_after"])} if "retry_after" in fault else {}
            self.answer(fault["status"], fault.get("text", "").encode(), headers)
        elif "page" in fault:
            self.answer(200, b"<html>back in a minute</html>", {"Content-Type": "text/html"})
        elif "text" in fault:
            self.answer(200, fault["text"].encode(), {})
        elif query.get("REQUEST") == "GetFeature":
            self.features(config, query, fault)
        elif parts.path in config.get("files", {}):
            self.file(config["files"][parts.path], fault)
        else:
            self.answer(404, b"not there", {})

    def file(self, what: dict[str, Any], fault: dict[str, Any]) -> None:
        data = Path(what["file"]).read_bytes()
        told = {"ETag": what.get("etag"), "Last-Modified": what.get("modified")}
        headers: dict[str, str] = {name: value for name, value in told.items() if value}
        if what.get("etag") and self.headers["If-None-Match"] == what["etag"]:
            return self.answer(304, b"", headers)
        wanted, condition = self.headers["Range"], self.headers["If-Range"]
        if wanted and what.get("ranges") and condition in (what.get("etag"), what.get("modified")):
            start = int(wanted.removeprefix("bytes=").partition("-")[0])
            if start >= len(data):
                return self.answer(416, b"", {"Content-Range": f"bytes */{len(data)}"})
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            return self.answer(206, data[start:], headers, fault.get("cut"))
        return self.answer(200, data, headers, fault.get("cut"))

    def features(self, config: dict[str, Any], query: dict[str, str], fault: dict[str, Any]) -> None:
        name = query["TYPENAMES"]
        if name not in config["wfs"]:
            text = f"<ows:ExceptionReport><ows:ExceptionText>Feature type {name} unknown</ows:ExceptionText>"
            return self.answer(400, text.encode(), {"Content-Type": "application/xml"})
        collection = json.loads(Path(config["wfs"][name]).read_text())
        features = collection["features"]
        start, count = int(query["STARTINDEX"]), min(int(query["COUNT"]), config.get("wfs_most", 5000))
        total = len(features)
        given = features[: total - config.get("wfs_hides", 0)][start : start + count]
        told = {"numberMatched": total, "totalFeatures": total} if config.get("wfs_total", True) else {}
        crs = {"crs": collection["crs"]} if "crs" in collection else {}
        answer = {"type": "FeatureCollection", "features": given, **told, **crs}
        return self.answer(200, json.dumps(answer).encode(), {"Content-Type": "application/json"}, fault.get("cut"))

    def answer(self, status: int, data: bytes, headers: dict[str, str], cut: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data if cut is None else data[:cut])
        if cut is not None:
            self.close_connection = True


def _main() -> None:
    _Handler.folder = Path(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    parent = os.getppid()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with suppress(KeyboardInterrupt):
        while os.getppid() == parent:
            time.sleep(0.5)


if __name__ == "__main__":
    _main()
