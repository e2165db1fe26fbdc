"""An archive's web services on the loopback, in a process of their own: STAC API, tokens, files. Not to be imported.

Run with the path of a JSON file: what it holds and how it misbehaves (`tests.fakes.archives.served_archive` writes it).
Each kind of request takes the next of its faults, and is well served once there are none left.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

CONFIG: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
LOCK = threading.Lock()
LOG: list[dict[str, Any]] = []
ISSUED: list[str] = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body in one write: in two, each answer waits 40 ms for the client's word that it has the first.
    wbufsize = -1

    def log_message(self, *words: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        path, _, query = self.path.partition("?")
        kind = path.split("/")[1] or "landing"
        if kind == "log":
            self.answer(json.dumps(LOG))
            return
        with LOCK:
            LOG.append(
                {"kind": kind, "method": self.command, "path": path, "query": query, "body": body}
                | {"authorization": self.headers.get("Authorization")}
                | {"key": self.headers.get("Ocp-Apim-Subscription-Key")}
            )
            faults = CONFIG["faults"].get(kind, [])
            fault = faults.pop(0) if faults else {}
        if "hang_s" in fault:
            time.sleep(fault["hang_s"])
        if "status" in fault:
            headers = {"Retry-After": str(fault["retry_after"])} if "retry_after" in fault else {}
            self.answer(fault.get("text", "no"), fault["status"], headers)
        elif "text" in fault:
            self.answer(fault["text"])
        else:
            self.serve(kind, urllib.parse.unquote(path), body, cut="cut" in fault)

    def serve(self, kind: str, path: str, body: str, cut: bool) -> None:
        url = f"http://{self.headers['Host']}"
        if kind == "landing":
            self.answer(json.dumps(landing(url)), cut=cut)
        elif kind == "search":
            self.answer(json.dumps(search(url, json.loads(body))), cut=cut)
        elif kind == "token":
            self.answer(json.dumps({"msft:expiry": CONFIG["sas_expiry"], "token": f"sig={issue('sas')}"}))
        elif kind == "identity":
            form = urllib.parse.parse_qs(body)
            if form.get("password") != [CONFIG["password"]]:
                self.answer('{"error": "invalid_grant"}', 401)
            else:
                life = CONFIG["bearer_life_s"]
                self.answer(json.dumps({"access_token": issue("bearer"), "expires_in": life, "token_type": "Bearer"}))
        else:
            self.file(kind, path)

    def file(self, kind: str, path: str) -> None:
        name = CONFIG["files"].get(path)
        if name is None:
            self.answer("not there", 404)
        elif kind == "odata" and self.headers.get("Authorization") != f"Bearer {ISSUED[-1] if ISSUED else ''}":
            self.answer("who are you?", 401)
        elif kind == "eodata" and f"Credential={CONFIG['s3_key']}/" not in (self.headers.get("Authorization") or ""):
            self.answer("who are you?", 403)
        else:
            self.ranged(Path(name).read_bytes())

    def ranged(self, data: bytes) -> None:
        wanted = self.headers.get("Range")
        headers, status = {"Accept-Ranges": "bytes"}, 200
        if wanted:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last or len(data)), len(data) - 1)
            headers["Content-Range"], status = f"bytes {start}-{end}/{len(data)}", 206
            data = data[start : end + 1]
        self.answer(data, status, headers)

    def answer(
        self, text: str | bytes, status: int = 200, headers: dict[str, str] | None = None, cut: bool = False
    ) -> None:
        data = text.encode() if isinstance(text, str) else text
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[: len(data) // 2] if cut else data)
        if cut:
            self.close_connection = True


def issue(kind: str) -> str:
    with LOCK:
        ISSUED.append(f"{kind}-{len(ISSUED) + 1}")
        return ISSUED[-1]


def landing(url: str) -> dict[str, Any]:
    extensions = [f"https://api.stacspec.org/v1.0.0/item-search#{name}" for name in CONFIG["extensions"]]
    return {
        "type": "Catalog",
        "id": "fake",
        "stac_version": "1.0.0",
        "description": "A STAC API for tests.",
        "conformsTo": [
            "https://api.stacspec.org/v1.0.0/core",
            "https://api.stacspec.org/v1.0.0/item-search",
            *extensions,
        ],
        "links": [
            {"rel": "self", "href": f"{url}/"},
            {"rel": "root", "href": f"{url}/"},
            {"rel": "search", "href": f"{url}/search", "method": "POST", "type": "application/geo+json"},
            {"rel": "search", "href": f"{url}/search", "method": "GET", "type": "application/geo+json"},
        ],
    }


def search(url: str, asked: dict[str, Any]) -> dict[str, Any]:
    found = [item for item in CONFIG["items"] if matches(item, asked)]
    start = int(asked.get("token", 0))
    size = min(asked.get("limit", 10), CONFIG["page_items"])
    page = found[start : start + size]
    links = []
    if start + size < len(found) or CONFIG["endless"] or (page and CONFIG["empty_last_page"]):
        token = 0 if CONFIG["endless"] else start + size
        links.append({"rel": "next", "href": f"{url}/search", "method": "POST", "body": asked | {"token": token}})
    return {
        "type": "FeatureCollection",
        "features": [trimmed(item, asked) for item in page],
        "links": links,
        "numberMatched": len(found) + CONFIG["promised_too_many"],
    }


def matches(item: dict[str, Any], asked: dict[str, Any]) -> bool:
    properties = item["properties"]
    if item.get("collection") not in asked["collections"]:
        return False
    start, end = asked["datetime"].split("/")
    if not start <= properties["datetime"] < end:
        return False
    if "bbox" in asked:
        west, south, east, north = asked["bbox"]
        box = item["bbox"]
        if not (box[0] <= east and box[2] >= west and box[1] <= north and box[3] >= south):
            return False
    for name, test in asked.get("query", {}).items():
        if properties.get(name) != test["eq"]:
            return False
    if "filter" in asked:
        name, value = asked["filter"]["args"]
        return bool(asked["filter"]["op"] == "=" and properties.get(name["property"]) == value)
    return True


def trimmed(item: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """An item of the fields that were asked for, and no others, not even those that make it an item."""
    if "fields" not in asked:
        return item
    include = asked["fields"]["include"]
    assets = {name: asset for name, asset in item["assets"].items() if f"assets.{name}" in include}
    return {name: value for name, value in item.items() if name in include and name != "stac_version"} | {
        "assets": assets
    }


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
sys.stdout.write(f"{server.server_address[1]}\n")
sys.stdout.flush()
server.serve_forever()
