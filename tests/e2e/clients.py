"""Clients that send a request as it is written, bytes and all: what a real Envoy does with it is then its own doing."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, Event, ResponseReceived, StreamEnded, StreamReset

Headers = Sequence[tuple[str, str]]


class One:
    """HTTP/1.1 on one connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def ask(self, method: str, target: str, authority: str, headers: Headers) -> tuple[int, str]:
        """Status and the route that answered."""
        lines = [
            f"{method} {target} HTTP/1.1",
            f"Host: {authority}",
            *(f"{n}: {v}" for n, v in headers),
            "Content-Length: 0",
        ]
        data = ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8")
        for fresh in (False, True):
            if self._socket is None or fresh:
                self.close()
                self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=5)
            self._socket.sendall(data)
            head = self._head()
            if head:
                break
        status = int(head.split(" ", 2)[1])
        named = [line.partition(":")[2].strip() for line in head.split("\r\n") if line.lower().startswith("x-route:")]
        if status not in (200, 404) or "connection: close" in head.lower():
            self.close()
        return status, named[0] if named else ""

    def _head(self) -> str:
        assert self._socket is not None
        data = b""
        while b"\r\n\r\n" not in data:
            part = self._socket.recv(65536)
            if not part:
                self._socket = None
                return ""
            data += part
        head, _, body = data.partition(b"\r\n\r\n")
        text = head.decode("latin-1")
        length = next(
            (int(h.partition(":")[2]) for h in text.split("\r\n") if h.lower().startswith("content-length:")), 0
        )
        while len(body) < length:
            body += self._socket.recv(65536)
        return text

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class Two:
    """HTTP/2 on one connection, by prior knowledge; nothing is validated or put in order on its way out."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None
        self._connection = H2Connection()

    def ask(self, method: str, target: str, authority: str, headers: Headers) -> tuple[int, str]:
        """Status and the route that answered; 400 where the stream is reset, which is how HTTP/2 refuses a request."""
        if self._socket is None:
            self._connect()
        assert self._socket is not None
        stream = self._connection.get_next_available_stream_id()
        named = [(":method", method), (":scheme", "http"), (":path", target), (":authority", authority)]
        self._connection.send_headers(stream, [*named, *((n.lower(), v) for n, v in headers)], end_stream=True)
        self._socket.sendall(self._connection.data_to_send())
        status, route = 400, ""
        while True:
            data = self._socket.recv(65536)
            for event in self._connection.receive_data(data) if data else ():
                status, route = _answer(event, status, route)
                if isinstance(event, StreamEnded | StreamReset):
                    self._socket.sendall(self._connection.data_to_send())
                    return status, route
                if isinstance(event, ConnectionTerminated):
                    data = b""
            if not data:
                self.close()
                return status, route

    def _connect(self) -> None:
        config = H2Configuration(
            validate_outbound_headers=False, normalize_outbound_headers=False, header_encoding="utf-8"
        )
        self._connection = H2Connection(config)
        self._connection.initiate_connection()
        self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=5)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _answer(event: Event, status: int, route: str) -> tuple[int, str]:
    """Status and route that an event brings, else those known before."""
    if not isinstance(event, ResponseReceived):
        return status, route
    found = dict(event.headers or ())
    return int(found[":status"]), found.get("x-route", "")
