"""One clock and one byte limit per source, looked at while an answer arrives: what every reader of a network obeys.

Holds the budget and the HTTP connections that it can end; must not know what is read.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from xdsaudit.errors import ReadError

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

MAX_BYTES: Final = 512 << 20
"""Bytes that are taken of one source, unless told otherwise."""
_PART: Final = 1 << 16
_ERROR_BYTES: Final = 1 << 16
_current: ContextVar[Budget | None] = ContextVar("xdsaudit_budget", default=None)


class Budget:
    """What one source may take: seconds from now on, and bytes. Retries and further pages are inside it.

    Attributes:
        seconds: that were given.
        max_bytes: that were given.
    """

    def __init__(self, seconds: float, max_bytes: int = MAX_BYTES) -> None:
        """Start the clock."""
        self.seconds: float = seconds
        self.max_bytes: int = max_bytes
        self._deadline = time.monotonic() + seconds
        self._taken = 0
        self._open: set[socket.socket] = set()
        self._adopted: list[socket.socket] = []
        self._lock = threading.Lock()

    @property
    def left(self) -> float:
        """Seconds that are left; 0 when there are none."""
        return max(self._deadline - time.monotonic(), 0.0)

    def expired(self) -> bool:
        """Whether no time is left."""
        return time.monotonic() >= self._deadline

    def take(self, count: int, subject: str) -> None:
        """Account for bytes that arrived.

        Raises:
            ReadError: they are too many, or too late; the message begins with the subject.
        """
        self._taken += count
        if self._taken > self.max_bytes:
            raise ReadError(too_large(subject, self.max_bytes))
        if self.expired():
            raise ReadError(f"{subject}: not complete after {self.seconds:g} s; raise --timeout")

    @contextlib.contextmanager
    def guard(self) -> Iterator[None]:
        """Inside the block, connections of ``pool`` classes are shut at the deadline, whatever they wait for.

        A timeout of a socket starts anew with each byte: one that sends a byte a second would never end.
        """
        if _current.get() is self:
            yield  # a block within: the outer one ends it
            return
        timer = threading.Timer(self.left, self._shut)
        timer.daemon = True
        timer.start()
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)
            timer.cancel()
            with self._lock:
                self._open.clear()
                left, self._adopted = self._adopted, []
            for each in left:
                each.close()

    def watch(self, handle: socket.socket) -> None:
        """Shut this socket at the deadline, if the block of ``guard`` is still running then."""
        with self._lock:
            self._open.add(handle)
        if self.expired():
            _shutdown(handle)

    def adopt(self, handle: socket.socket) -> None:
        """Close this socket at the end of the block: its connection is closed, while its answer may still be read."""
        with self._lock:
            self._adopted.append(handle)

    def _shut(self) -> None:
        with self._lock:
            held, self._open = self._open, set()
        for each in held:
            _shutdown(each)


def too_large(subject: str, limit: int) -> str:
    """Words for an answer above the byte limit."""
    return f"{subject}: the answer is larger than {limit / (1 << 20):.4g} MiB; raise --max-bytes if that is right"


def _shutdown(handle: socket.socket) -> None:
    with contextlib.suppress(OSError):
        handle.shutdown(socket.SHUT_RDWR)


class _Guarded:
    """A connection that tells the running budget of its socket, through a descriptor of its own: TLS replaces the first one."""

    _handle: socket.socket | None = None

    def _new_conn(self) -> socket.socket:
        made: socket.socket = super()._new_conn()  # type: ignore[misc]
        self._handle = made.dup()
        self._report()
        return made

    def request(self, *arguments: object, **named: object) -> None:
        self._report()  # a connection that is used again was made for an earlier budget
        super().request(*arguments, **named)  # type: ignore[misc]

    def close(self) -> None:
        super().close()  # type: ignore[misc]
        handle, self._handle = self._handle, None
        budget = _current.get()
        if handle is not None and budget is not None:
            budget.adopt(handle)
        elif handle is not None:
            handle.close()

    def _report(self) -> None:
        budget = _current.get()
        if budget is not None and self._handle is not None:
            budget.watch(self._handle)


def guarded(manager: PoolManager) -> PoolManager:
    """Make a urllib3 pool manager open connections that a budget can end. It warns of no unverified certificate: its user does."""
    import urllib3
    from urllib3.connection import HTTPConnection, HTTPSConnection

    class Plain(_Guarded, HTTPConnection):
        pass

    class Secure(_Guarded, HTTPSConnection):
        pass

    class PlainPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Secure

        def _validate_conn(self, conn: object) -> None:
            if isinstance(conn, HTTPConnection) and conn.is_closed:
                conn.connect()

    manager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
    return manager


def body(response: BaseHTTPResponse, budget: Budget, subject: str) -> bytes:
    """The whole body of a urllib3 response that was not preloaded, unpacked where it is packed.

    Raises:
        ReadError: it is too large, too late, or packed in a way that cannot be read; urllib3's errors pass through.
    """
    return b"".join(parts(response, budget, subject))


def parts(response: BaseHTTPResponse, budget: Budget, subject: str) -> Iterator[bytes]:
    """The body piece by piece; packed or not, no piece is larger than a few times what arrived of it."""
    coding = str(response.headers.get("content-encoding") or "identity").strip().lower()
    unpack = None
    if coding in ("gzip", "x-gzip", "deflate"):
        unpack = zlib.decompressobj(wbits=47)  # either header
    elif coding != "identity":
        raise ReadError(
            f"{subject}: the answer is packed as {coding[:20]!r}, which nobody asked for; check what answers"
        )
    for part in response.stream(_PART, decode_content=False):
        if unpack is None:
            budget.take(len(part), subject)
            yield part
            continue
        rest = part
        while rest:
            try:
                plain = unpack.decompress(rest, _PART)
            except zlib.error as error:
                raise ReadError(f"{subject}: the answer cannot be unpacked ({error}); check what answers") from error
            budget.take(len(plain), subject)
            rest = unpack.unconsumed_tail
            yield plain
            if not plain and not rest:
                break
    budget.take(0, subject)  # shut at the deadline, an answer without a length looks complete
    if unpack is not None and not unpack.eof:
        raise ReadError(f"{subject}: the answer ends in the middle; try again")


def beginning(response: BaseHTTPResponse) -> str:
    """The first line of an error's body, for a message."""
    try:
        said: bytes = response.read(_ERROR_BYTES, decode_content=False)
    except Exception:  # what it says is a hint; that it failed is known
        return ""
    return said.decode("utf-8", "replace").strip()


def lines_of(response: BaseHTTPResponse, limit: int, subject: str) -> Iterator[bytes]:
    """Lines of a stream that does not end by itself, none of them larger than the limit.

    Raises:
        ReadError: one is; urllib3's errors pass through.
    """
    begun: list[bytes] = []
    size = 0
    for part in response.stream(_PART, decode_content=True):
        first, *others = part.split(b"\n")
        begun.append(first)
        size += len(first)
        if others:
            yield b"".join(begun)
            yield from others[:-1]
            begun, size = [others[-1]], len(others[-1])
        if size > limit:
            raise ReadError(too_large(subject, limit))
