"""The HTTP port of a watch: ``/`` a live page, ``/events`` its changes, ``/metrics``, ``/healthz``. Read-only; loopback by default."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final

from xdsaudit.cli.output import say
from xdsaudit.errors import InputError

if TYPE_CHECKING:
    from xdsaudit.audit.questions.story import Event
    from xdsaudit.live.watch import Watcher

_CLIENTS: Final = 32
"""Pages that may follow at the same time; each needs a thread."""
_KEPT: Final = 100
_ALIVE_SECONDS: Final = 15.0
_LOCAL: Final = frozenset({"127.0.0.1", "localhost", "[::1]", "::1"})


class Board:
    """What the port shows: the state after the last round and the latest changes. Rounds write it, requests read it.

    Attributes:
        closed: whether the watch is over.
        followers: number of pages that follow.
    """

    def __init__(self, watcher: Watcher, patience: float, clock: Callable[[], float]) -> None:
        """Show this watch.

        Args:
            watcher: the watch.
            patience: seconds without a round after which ``/healthz`` reports the watch as stuck.
            clock: seconds.
        """
        self._watcher, self._patience, self._clock = watcher, patience, clock
        self._changes: deque[Event] = deque(maxlen=_KEPT)
        self._turn = threading.Condition()
        self._number = 0
        self._at = clock()
        self._body: tuple[int, str] = (-1, "")
        self.closed: bool = False
        self.followers: int = 0

    def update(self, changes: Sequence[Event] = ()) -> None:
        """Record the end of a round."""
        with self._turn:
            self._changes.extend(changes)
            self._number += 1
            self._at = self._clock()
            self._turn.notify_all()

    def close(self) -> None:
        """Tell followers that the watch is over."""
        with self._turn:
            self.closed = True
            self._turn.notify_all()

    def body(self) -> str:
        """The changing part of the page, rendered at most once per round."""
        from xdsaudit.report.live import live_body

        with self._turn:
            if self._body[0] != self._number:
                text = live_body(
                    self._watcher.audit, tuple(self._changes), self._watcher.latency, rounds=self._watcher.rounds
                )
                self._body = (self._number, text)
            return self._body[1]

    def follow(self) -> Iterator[str | None]:
        """The body after each round; None when a while passes without a round."""
        seen = -1
        self.followers += 1
        try:
            while not self.closed:
                number = self._newer(seen)
                if not self.closed:
                    yield self.body() if number != seen else None
                seen = number
        finally:
            self.followers -= 1

    def _newer(self, seen: int) -> int:
        """The number of the last round, once it has changed; the same number if a while passes without a round."""
        with self._turn:
            self._turn.wait_for(lambda: self.closed or self._number != seen, timeout=_ALIVE_SECONDS)
            return self._number

    def metrics(self) -> str:
        """Metrics after the last round; empty before the first."""
        from xdsaudit.live.watch import BUCKETS
        from xdsaudit.report.prom import Histogram, to_prom

        watcher = self._watcher
        if watcher.audit is None:
            return ""
        latency = {
            s: Histogram({b: h.buckets[b] for b in BUCKETS}, h.count, h.total) for s, h in watcher.latency.items()
        }
        return to_prom(watcher.audit, transitions=watcher.counted, latency=latency, rounds=watcher.rounds)

    def health(self) -> tuple[int, str]:
        """200 while rounds end in time, otherwise 503."""
        quiet = self._clock() - self._at
        if quiet > self._patience:
            return 503, f"no round has ended for {quiet:.0f} s\n"
        return 200, f"ok, {self._watcher.rounds} rounds\n"


@contextmanager
def served(listen: str | None, board: Board) -> Iterator[None]:
    """Serve the board on ``[HOST:]PORT`` inside the block; does nothing if ``listen`` is None.

    Raises:
        InputError: it is not a host and port, or listening fails.
    """
    if listen is None:
        yield
        return
    host, _, port = listen.rpartition(":")
    if not (port.isascii() and port.isdigit() and len(port) < 6) or int(port) > 65535:
        raise InputError(f"--listen {listen!r}: write PORT or HOST:PORT")
    address = host.strip("[]") or "127.0.0.1"
    try:
        server = ThreadingHTTPServer((address, int(port)), handler(board, local=address in _LOCAL))
    except (OSError, UnicodeError) as error:
        raise InputError(
            f"--listen {listen}: {getattr(error, 'strerror', None) or 'is not a host and port'}; choose another"
        ) from error
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
    say(f"xdsaudit: live page at http://{host or address}:{server.server_address[1]}/, metrics at /metrics")
    try:
        yield
    finally:
        board.close()
        server.shutdown()
        server.server_close()


def handler(board: Board, *, local: bool) -> type[BaseHTTPRequestHandler]:
    """The request handler of a board. A local one answers only to local host names, which keeps foreign web pages out."""
    room = threading.BoundedSemaphore(_CLIENTS)

    class Handler(BaseHTTPRequestHandler):
        timeout = 30
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if local and self.headers.get("Host", "").rpartition(":")[0] not in _LOCAL | {""}:
                self._answer(403, "text/plain", "this port answers only to localhost\n")
            elif path == "/metrics":
                text = board.metrics()
                self._answer(200 if text else 404, "text/plain; version=0.0.4", text)
            elif path == "/healthz":
                self._answer(board.health()[0], "text/plain", board.health()[1])
            elif path == "/":
                from xdsaudit.report.live import live_page

                self._answer(200, "text/html", live_page(board.body()))
            elif path == "/events":
                self._follow()
            else:
                self._answer(404, "text/plain", "there are /, /events, /metrics and /healthz\n")

        def _answer(self, code: int, kind: str, text: str) -> None:
            body = text.encode()
            self.send_response(code)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            self.wfile.write(body)

        def _follow(self) -> None:
            if not room.acquire(blocking=False):
                self._answer(503, "text/plain", "too many pages are following already\n")
                return
            try:
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Cache-Control", "no-store")
                self.send_header("Connection", "close")
                self.end_headers()
                for body in board.follow():
                    line = ": still here" if body is None else f"data: {json.dumps({'html': body})}"
                    self.wfile.write(f"{line}\n\n".encode())
                    self.wfile.flush()
            except OSError:
                pass  # the page was closed
            finally:
                self.close_connection = True
                room.release()

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
