"""Servers that refuse, keep silent, trickle, reset, never end, pack bombs, talk nonsense or point at themselves."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

from xdsaudit.xds.pool import TYPES, message

Connection = socket.socket
Behaviour = Callable[[Connection, threading.Event], None]
METHOD = "envoy.service.discovery.v3.AggregatedDiscoveryService"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def _silent(_: Connection, stop: threading.Event) -> None:
    stop.wait(30)


def _trickled(start: bytes, byte: bytes) -> Behaviour:
    def behave(client: Connection, stop: threading.Event) -> None:
        client.sendall(start)
        while not stop.wait(0.1):
            client.sendall(byte)

    return behave


def _reset(client: Connection, _: threading.Event) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _endless(client: Connection, stop: threading.Event) -> None:
    client.sendall(HEAD + b'\r\n{"items": "')
    while not stop.is_set():
        client.sendall(b"x" * (1 << 16))


def _bomb(client: Connection, stop: threading.Event) -> None:
    """Gzip of zeros, about a thousandth of what it unpacks to."""
    packer = zlib.compressobj(wbits=31)
    client.sendall(HEAD + b"Content-Encoding: gzip\r\n\r\n")
    while not stop.is_set():
        client.sendall(packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_SYNC_FLUSH))


def _said(text: bytes) -> Behaviour:
    return lambda client, _: client.sendall(text)


def _redirect(client: Connection, _: threading.Event) -> None:
    host, port = client.getsockname()
    client.sendall(
        b"HTTP/1.1 302 Found\r\nLocation: http://%s:%d/\r\nContent-Length: 0\r\n\r\n" % (host.encode(), port)
    )


HTTP: dict[str, Behaviour] = {
    "silent": _silent,
    "trickles a status line": _trickled(b"HTTP/1.1 200 ", b"O"),
    "trickles a head": _trickled(HEAD + b"X-Long: ", b"x"),
    "trickles a body": _trickled(HEAD + b"Content-Length: 1000000\r\n\r\n", b" "),
    "trickles a body without length": _trickled(HEAD + b"\r\n", b" "),
    "trickles a chunk": _trickled(HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffff\r\n", b" "),
    "trickles an error": _trickled(b"HTTP/1.1 500 Oops\r\nContent-Length: 1000000\r\n\r\n", b"x"),
    "resets": _reset,
    "endless": _endless,
    "bomb": _bomb,
    "garbage": _said(b"\x00\x00\x18\x04\x00\x00\x00\x00\x00" + bytes(200)),
    "wrong type": _said(HEAD + b"Content-Length: 9\r\n\r\n[1, 2, 3]"),
    "bad UTF-8": _said(HEAD + b'Content-Length: 27\r\n\r\n{"configs":[{"@type":"\xff\xff"}]}'),
    "redirect loop": _redirect,
}


class Tcp:
    """A server of one behaviour; a context manager.

    Attributes:
        endpoint: ``host:port``.
    """

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._stop = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0), backlog=50)
        self.endpoint = "{}:{}".format(*self._server.getsockname())

    def __enter__(self) -> Tcp:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._server.close()

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: Connection) -> None:
        with contextlib.suppress(OSError), client:
            client.settimeout(10)
            client.recv(1 << 16)
            self._behaviour(client, self._stop)


@contextlib.contextmanager
def refusing() -> Iterator[str]:
    """An endpoint where nobody listens; the port stays taken."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield "{}:{}".format(*taken.getsockname())


def _response(short: str, size: int) -> bytes:
    found = message("envoy.service.discovery.v3.DiscoveryResponse")(version_info="1", type_url=TYPES[short], nonce="1")
    found.resources.add(type_url=TYPES[short], value=b"\x0a" + b"\xff" * size)
    data: bytes = found.SerializeToString()
    return data


def _again(data: bytes) -> Callable[[Any], Iterator[bytes]]:
    def answer(context: Any) -> Iterator[bytes]:
        while context.is_active():
            yield data

    return answer


def _once(data: bytes) -> Callable[[Any], Iterator[bytes]]:
    def answer(context: Any) -> Iterator[bytes]:
        yield data
        while context.is_active() and not _PAUSE.wait(0.05):
            pass

    return answer


def _abort(context: Any) -> Iterator[bytes]:
    import grpc

    context.abort(grpc.StatusCode.UNAVAILABLE, "bye \x1b[31mred\u202e")
    yield b""


_PAUSE = threading.Event()
GRPC: dict[str, Callable[[], Callable[[Any], Iterator[bytes]]]] = {
    "never answers": lambda: _once(_response("EDS", 10)),
    "resets each stream": lambda: _abort,
    "pushes without pause": lambda: _again(_response("CDS", 2 << 20)),
    "small and endless": lambda: _again(_response("CDS", 10)),
    "bomb of a message": lambda: _once(_response("CDS", 64 << 20)),
    "garbage messages": lambda: _once(b"\xff\xfe no protobuf"),
    "wrong types": lambda: _again(_response("RDS", 10)),
}


@contextlib.contextmanager
def ads(behaviour: Callable[[Any], Iterator[bytes]]) -> Iterator[str]:
    """A gRPC server of one behaviour, packing what it sends; its endpoint."""
    import grpc

    def stream(_: Iterator[bytes], context: Any) -> Iterator[bytes]:
        return behaviour(context)

    server = grpc.server(
        futures.ThreadPoolExecutor(8),
        options=[("grpc.max_send_message_length", -1)],
        compression=grpc.Compression.Gzip,
    )
    handler = grpc.stream_stream_rpc_method_handler(stream)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(METHOD, {"StreamAggregatedResources": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait(5)
