"""A fake Envoy admin port that serves recorded answers, and failures on demand."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qs, urlsplit

from xdsaudit.model.plain import Plain, as_mapping

_PATHS = {
    "/config_dump": "config_dump.json",
    "/stats": "stats.json",
    "/server_info": "server_info.json",
    "/certs": "certs.json",
    "/clusters": "clusters.json",
    "/debug/syncz": "syncz.json",
    "/debug/adsz": "adsz.json",
    "/metrics": "metrics.txt",
}


def _resource(dump: bytes, resource: str, regex: str) -> bytes:
    """One kind of entry of a config dump, as Envoy answers ``?resource=…&name_regex=…``."""
    entries = [e for section in json.loads(dump).get("configs", ()) for e in section.get(resource, ())]

    def name(entry: Mapping[str, Plain]) -> str:
        inner = as_mapping(next((v for k, v in entry.items() if k in ("route_config", "cluster", "listener")), None))
        return str(entry.get("name") or inner.get("name") or "")

    kept = [e for e in entries if not regex or re.fullmatch(regex, name(e))]
    return json.dumps({"configs": kept}).encode()


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that disconnect."""


class LoopbackServer:
    """A threaded HTTP server on a free port of 127.0.0.1; a context manager."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        """Bind now; serving starts on entering the block."""
        self._server = _Quiet(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.port: int = self._server.server_address[1]
        self.url: str = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)


class FakeAdmin(LoopbackServer):
    """Serves the pages of one gateway in a snapshot.

    Attributes:
        pages: by file name (``config_dump.json``); may be replaced while it runs.
        status: the HTTP status to answer every request with instead, or None.
        hang: while set, requests are not answered.
        longest: the longest ``name_regex`` accepted; longer ones get 400, like Envoy's limit on RE2 programs. None for no limit.
        asked: requested paths, in order.
    """

    def __init__(self, pages: Mapping[str, bytes]) -> None:
        """Serve these pages."""
        self.pages: dict[str, bytes] = dict(pages)
        self.status: int | None = None
        self.hang = False
        self.longest: int | None = None
        self.asked: list[str] = []
        self._stopped = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                while outer.hang and not outer._stopped.wait(0.02):
                    pass
                parts = urlsplit(self.path)
                data = outer.pages.get(_PATHS.get(parts.path, ""))
                query, refused = parse_qs(parts.query), False
                if data is not None and "resource" in query:
                    regex = query.get("name_regex", [""])[0]
                    refused = outer.longest is not None and len(regex) > outer.longest
                    data = _resource(data, query["resource"][0], regex) if not refused else data
                status = outer.status or (400 if refused else 200 if data is not None else 404)
                body = data if status == 200 and data is not None else b"refused by the test"
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        super().__init__(Handler)

    def __exit__(self, *args: object) -> None:
        self._stopped.set()
        super().__exit__(*args)
