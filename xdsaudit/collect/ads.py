"""gRPC driver of the ADS session: one stream per endpoint, raw bytes, a deadline on everything.

Nothing is written to the control plane beyond subscriptions and acknowledgements of our own stream, which is closed at
the end. Responses may be of any size (gRPC's default of 4 MiB breaks at about 5,400 routes).
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from xdsaudit.errors import InputError, ReadError
from xdsaudit.xds.session import AdsSession, Node, mcp_ack, mcp_request

METHOD: Final = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_reconnect_backoff_ms", 1000),
)
_ATTEMPTS: Final = 3


@dataclass(frozen=True)
class Access:
    """How to reach a control plane.

    Attributes:
        tls: whether to use TLS (verified against ``ca``, or the system's roots).
        ca: PEM file of the roots.
        cert: PEM file of the client's certificate, for mTLS.
        key: PEM file of its key.
        roots: PEM of the roots, instead of a file.
        token: a bearer token, instead of a file; never printed.
        token_file: file of a bearer token (a ServiceAccount's, audience istio-ca).
        server_name: name the server's certificate must hold, when it is not the host that is dialled.
        timeout: seconds for the whole read.
    """

    tls: bool = False
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    token_file: Path | None = None
    server_name: str | None = None
    timeout: float = 10.0
    roots: bytes | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)


def _file(path: Path | None, what: str) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{what} {path}: {error.strerror or error}; check the path") from error


@contextmanager
def channel(endpoint: str, access: Access) -> Iterator[tuple[Any, list[tuple[str, str]]]]:
    """A gRPC channel and the metadata of its calls.

    Raises:
        InputError: a file of keys cannot be read, or a token would go over plaintext.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # gRPC would write its own lines to the user's terminal
    import grpc

    metadata: list[tuple[str, str]] = []
    token = access.token.encode() if access.token else _file(access.token_file, "token file")
    if token is not None:
        if not access.tls:
            raise InputError("a token is sent over TLS only: add --ads-tls, or leave --token-file out")
        metadata.append(("authorization", f"Bearer {token.decode().strip()}"))
    options: list[tuple[str, str | int]] = list(_OPTIONS)
    if access.server_name:
        options.append(("grpc.ssl_target_name_override", access.server_name))
    if access.tls:
        credentials = grpc.ssl_channel_credentials(
            access.roots or _file(access.ca, "CA file"),
            _file(access.key, "key file"),
            _file(access.cert, "certificate file"),
        )
        channel = grpc.secure_channel(endpoint, credentials, options)
    else:
        channel = grpc.insecure_channel(endpoint, options)
    try:
        yield channel, metadata
    finally:
        channel.close()


def explain(endpoint: str, error: Any, access: Access) -> str:
    """What a gRPC error means here, and the next step."""
    import grpc

    code, details = error.code(), (error.details() or "").splitlines()[0:1]
    said = details[0] if details else code.name
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"ADS {endpoint}: no complete answer within {access.timeout:g} s; raise --timeout or look at the control plane's load"
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return f"ADS {endpoint}: this port speaks gRPC but serves no ADS ({said}); pilot's is 15010 (plaintext) or 15012 (TLS)"
    if code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
        return f"ADS {endpoint}: refused our credentials ({said}); give --token-file, or --cert and --key"
    hint = "check the address and that the port is open"
    if "socket closed" in said.lower():
        hint = "the port may expect TLS: add --ads-tls"
        if access.tls:
            hint = "the server may expect a client certificate: give --cert and --key"
    elif access.tls and "refused" not in said.lower():
        hint = "check --ca, --cert, --key and --tls-server-name, the name in the server's certificate"
    return f"ADS {endpoint}: {said}; {hint}"


class Stream:
    """One bidirectional stream: requests are queued, responses are handed over with a deadline."""

    def __init__(self, channel: Any, metadata: list[tuple[str, str]], deadline: float | None) -> None:
        """Open the stream; it ends at the deadline (monotonic seconds), where there is one."""
        self._out: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._in: queue.SimpleQueue[bytes | Exception | None] = queue.SimpleQueue()
        call = channel.stream_stream(METHOD)  # no serialisers: bytes in, bytes out
        limit = None if deadline is None else max(deadline - time.monotonic(), 0.001)
        self._call = call(iter(self._out.get, None), metadata=metadata, timeout=limit)
        self._thread = threading.Thread(target=self._pump, name="xdsaudit-ads", daemon=True)
        self._thread.start()

    def _pump(self) -> None:
        try:
            for response in self._call:
                self._in.put(response)
        except Exception as error:
            self._in.put(error)
        else:
            self._in.put(None)

    def send(self, requests: list[bytes]) -> None:
        """Queue requests."""
        for request in requests:
            self._out.put(request)

    def receive(self, seconds: float) -> bytes | Exception | None:
        """The next response, the stream's error, or None when the server closed it. Raises queue.Empty."""
        return self._in.get(timeout=max(seconds, 0.001))

    def close(self) -> None:
        """End the stream."""
        self._out.put(None)
        self._call.cancel()
        self._thread.join(timeout=5)


def _exchange(
    endpoint: str,
    access: Access,
    start: Callable[[], list[bytes]],
    step: Callable[[bytes], list[bytes] | None],
    done: Callable[[], bool],
) -> str | None:
    """Run one stream until ``done``; returns why it ended early, or None. Raises grpc.RpcError and ReadError."""
    deadline = time.monotonic() + access.timeout
    with channel(endpoint, access) as (opened, metadata):
        stream = Stream(opened, metadata, deadline)
        try:
            stream.send(start())
            while not done():
                try:
                    got = stream.receive(deadline - time.monotonic())
                except queue.Empty:
                    return f"no complete answer within {access.timeout:g} s"
                if isinstance(got, Exception):
                    raise got
                if got is None:
                    return "the server closed the stream before it had answered"
                requests = step(got)
                if requests:
                    stream.send(requests)
            return None
        finally:
            stream.close()


def _with_retries(endpoint: str, access: Access, attempt: Callable[[int], str | None]) -> str | None:
    """Repeat an attempt that the transport broke; an answer of any kind ends it."""
    import grpc

    for number in range(_ATTEMPTS):
        try:
            return attempt(number)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE or number == _ATTEMPTS - 1:
                raise ReadError(explain(endpoint, error, access)) from error
            time.sleep(0.1 * 2**number)
    return None  # pragma: no cover - the loop always returns or raises


def read_pilot(endpoint: str, node: Node, access: Access) -> tuple[tuple[bytes, ...], str | None]:
    """Read LDS, SRDS, RDS, CDS and EDS as a gateway's node.

    Returns:
        Raw responses in order, and what is missing from them (None when every subscription was answered).

    Raises:
        ReadError: nothing could be read at all.
        InputError: a certificate or token file cannot be read.
    """
    session = AdsSession(node)

    def attempt(number: int) -> str | None:
        nonlocal session
        if number == 0:
            return _exchange(endpoint, access, session.start, session.receive, lambda: session.settled)
        session = session.resumed()  # asks for what it knows of again; half an answer is not kept
        return _exchange(endpoint, access, session.restart, session.receive, lambda: session.settled)

    why = _with_retries(endpoint, access, attempt)
    if why and not session.responses:
        raise ReadError(f"ADS {endpoint}: {why}; check that it is pilot's ADS port, or raise --timeout")
    if why:
        why = f"{why}: {', '.join(session.waiting)} unanswered"
    if session.refused:
        refused = "; ".join(f"{short}: {error}" for short, error in session.refused.items())
        why = f"an answer could not be decoded: {refused}"
    return session.responses, why


def read_core(endpoint: str, types: tuple[str, ...], access: Access) -> tuple[bytes, ...]:
    """Read all objects of these MCP types from higress-core, in the order of the types.

    Raises:
        ReadError: core did not answer each type.
    """
    from xdsaudit.xds.session import type_of

    node = Node()
    found: dict[str, bytes] = {}

    def step(response: bytes) -> list[bytes]:
        found[type_of(response)] = response
        return [mcp_ack(response)]

    def attempt(_: int) -> str | None:
        found.clear()
        return _exchange(
            endpoint,
            access,
            lambda: [mcp_request(t, node) for t in types],
            step,
            lambda: all(t in found for t in types),
        )

    why = _with_retries(endpoint, access, attempt)
    if why:
        missing = [t.rpartition("/")[2] for t in types if t not in found]
        raise ReadError(
            f"core {endpoint}: {why}: {', '.join(missing)} unanswered; check that it is higress-core's port 15051"
        )
    return tuple(found[t] for t in types)
