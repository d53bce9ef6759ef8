"""gRPC driver of the ADS session: one stream per endpoint, raw bytes, a deadline for everything.

Nothing is sent to the control plane except subscriptions and acknowledgements on our own stream, which is closed at
the end. Responses may be of any size (gRPC's default of 4 MiB breaks at about 5,400 routes).
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

from xdsaudit.collect.access import Access, Channel, channel, quiet_grpc
from xdsaudit.collect.limits import Budget, too_large
from xdsaudit.errors import ReadError
from xdsaudit.xds.mcp import McpSession
from xdsaudit.xds.session import AdsSession, Node, mcp_ack, mcp_request

METHOD: Final = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"
_ATTEMPTS: Final = 3
_QUEUED: Final = 8


class _Status(Protocol):
    name: str


class RpcError(Protocol):
    """An error of gRPC, which has no types of its own, as far as it is used."""

    def code(self) -> _Status:
        """What it is, one of ``grpc.StatusCode``."""

    def details(self) -> str | None:
        """What the other side says of it."""


def grpc_failure(endpoint: str, error: RpcError, access: Access) -> str:
    """What a gRPC error means here, and the next step."""
    grpc = quiet_grpc()

    code, details = error.code(), (error.details() or "").splitlines()[0:1]
    details_text = details[0] if details else code.name
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"ADS {endpoint}: no complete answer within {access.timeout:g} s; raise --timeout or look at the control plane's load"
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return f"ADS {endpoint}: this port speaks gRPC but does not serve ADS ({details_text}); pilot's is 15010 (plaintext) or 15012 (TLS)"
    if code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
        return f"ADS {endpoint}: refused our credentials ({details_text}); give --token-file, or --cert and --key"
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in details_text:
        return too_large(f"ADS {endpoint}", access.max_bytes)
    hint = "check the address and that the port is open"
    if "socket closed" in details_text.lower():
        hint = "the port may expect TLS: add --ads-tls"
        if access.tls:
            hint = "the server may expect a client certificate: give --cert and --key"
    elif access.tls and "refused" not in details_text.lower():
        hint = "check --ca, --cert, --key and --tls-server-name, the name in the server's certificate"
    return f"ADS {endpoint}: {details_text}; {hint}"


class Stream:
    """One bidirectional stream: requests are queued, responses are received with a deadline, and only a few wait in memory."""

    def __init__(self, channel: Channel, metadata: list[tuple[str, str]], limit: float | None) -> None:
        """Open the stream; it ends after ``limit`` seconds, if given."""
        self._out: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._in: queue.Queue[bytes | Exception | None] = queue.Queue(_QUEUED)
        self._closed = threading.Event()
        call = channel.stream_stream(METHOD)  # no serialisers: bytes in, bytes out
        self._call = call(iter(self._out.get, None), metadata=metadata, timeout=limit)
        self._thread = threading.Thread(target=self._pump, name="xdsaudit-ads", daemon=True)
        self._thread.start()

    def _pump(self) -> None:
        try:
            for response in self._call:
                if not self._hand_over(response):
                    return
        except Exception as error:
            self._hand_over(error)
        else:
            self._hand_over(None)

    def _hand_over(self, answer: bytes | Exception | None) -> bool:
        """Queue an answer, waiting while the queue is full; False once the stream is closed."""
        while not self._closed.is_set():
            with contextlib.suppress(queue.Full):
                self._in.put(answer, timeout=0.1)
                return True
        return False

    def send(self, requests: list[bytes]) -> None:
        """Queue requests."""
        for request in requests:
            self._out.put(request)

    def receive(self, seconds: float) -> bytes | Exception | None:
        """The next response, the stream's error, or None if the server closed it. Raises queue.Empty."""
        return self._in.get(timeout=max(seconds, 0.001))

    def close(self) -> None:
        """End the stream."""
        self._closed.set()
        self._out.put(None)
        self._call.cancel()
        self._thread.join(timeout=1)


def received(endpoint: str, session: AdsSession | McpSession, response: bytes) -> list[bytes]:
    """The requests with which a session answers a response.

    Raises:
        ReadError: it is not a DiscoveryResponse; the message names the endpoint.
    """
    try:
        return session.receive(response)
    except ReadError as error:
        raise ReadError(f"ADS {endpoint}: {error}; check that it is the control plane's ADS port") from error


def _exchange(
    endpoint: str,
    access: Access,
    budget: Budget,
    start: Callable[[], list[bytes]],
    step: Callable[[bytes], list[bytes] | None],
    done: Callable[[], bool],
) -> str | None:
    """Run one stream until ``done``; returns why it ended early, or None. Raises grpc.RpcError and ReadError."""
    late = f"no complete answer within {access.timeout:g} s"
    with channel(endpoint, access) as (opened, metadata):
        stream = Stream(opened, metadata, max(budget.left, 0.001))
        try:
            stream.send(start())
            while not done():
                if budget.expired():  # a server that pushes continuously never leaves the queue empty
                    return late
                try:
                    got = stream.receive(budget.left)
                except queue.Empty:
                    return late
                if isinstance(got, Exception):
                    raise got
                if got is None:
                    return "the server closed the stream before answering"
                try:
                    budget.take(len(got), f"ADS {endpoint}")
                except ReadError:
                    if budget.expired():
                        return late
                    raise
                requests = step(got)
                if requests:
                    stream.send(requests)
            return None
        finally:
            stream.close()


def _with_retries(endpoint: str, access: Access, budget: Budget, attempt: Callable[[int], str | None]) -> str | None:
    """Retry after transport errors, within the budget; any answer ends it."""
    grpc = quiet_grpc()

    broken: RpcError | None = None
    for number in range(_ATTEMPTS):
        try:
            return attempt(number)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED and broken is not None:
                error = broken  # the first failure says more than that time ran out
            broken = error
            if error.code() is not grpc.StatusCode.UNAVAILABLE or number == _ATTEMPTS - 1 or budget.expired():
                raise ReadError(grpc_failure(endpoint, error, access)) from error
            time.sleep(min(0.1 * 2**number, budget.left))
    return None  # pragma: no cover - the loop always returns or raises


def fetch_pilot(
    endpoint: str, node: Node, access: Access, budget: Budget | None = None
) -> tuple[tuple[bytes, ...], str | None]:
    """Read LDS, SRDS, RDS, CDS, EDS and ECDS as a gateway's node.

    Args:
        endpoint: ``host:port``.
        node: the identity to present.
        access: how to reach it.
        budget: shared with other reads of the same pilot; None for one of its own.

    Returns:
        Raw responses in order, and what is missing from them (None if every subscription was answered).

    Raises:
        ReadError: nothing could be read at all.
        InputError: a certificate or token file cannot be read.
    """
    session = AdsSession(node)
    within = budget or Budget(access.timeout, access.max_bytes)

    def receive(response: bytes) -> list[bytes]:
        return received(endpoint, session, response)

    def attempt(number: int) -> str | None:
        nonlocal session
        if number == 0:
            return _exchange(endpoint, access, within, session.start, receive, lambda: session.settled)
        session = session.resumed()  # asks again for what it knows of; half an answer is not kept
        return _exchange(endpoint, access, within, session.restart, receive, lambda: session.settled)

    why = _with_retries(endpoint, access, within, attempt)
    if why and session.enough:
        why = None  # plugins are not judged then; everything else is there
    if why and not session.responses:
        raise ReadError(f"ADS {endpoint}: {why}; check that it is pilot's ADS port, or raise --timeout")
    if why:
        why = f"{why}: {', '.join(session.waiting)} unanswered"
    if session.refused:
        refused = "; ".join(f"{short}: {error}" for short, error in session.refused.items())
        why = f"an answer could not be decoded: {refused}"
    return session.responses, why


def fetch_core(endpoint: str, types: tuple[str, ...], access: Access) -> tuple[bytes, ...]:
    """Read all objects of these MCP types from higress-core, in the order of the types.

    Raises:
        ReadError: core did not answer for every type.
    """
    from xdsaudit.xds.session import type_of

    node = Node()
    by_type: dict[str, bytes] = {}
    within = Budget(access.timeout, access.max_bytes)

    def step(response: bytes) -> list[bytes]:
        try:
            acknowledged = mcp_ack(response)
        except ReadError as error:
            raise ReadError(
                f"core {endpoint}: sent {len(response)} bytes that are not a DiscoveryResponse; check that it is "
                "higress-core's port 15051"
            ) from error
        by_type[type_of(response)] = response
        return [acknowledged]

    def attempt(_: int) -> str | None:
        by_type.clear()
        return _exchange(
            endpoint,
            access,
            within,
            lambda: [mcp_request(t, node) for t in types],
            step,
            lambda: all(t in by_type for t in types),
        )

    why = _with_retries(endpoint, access, within, attempt)
    if why:
        missing = [t.rpartition("/")[2] for t in types if t not in by_type]
        raise ReadError(
            f"core {endpoint}: {why}: {', '.join(missing)} unanswered; check that it is higress-core's port 15051"
        )
    return tuple(by_type[t] for t in types)
