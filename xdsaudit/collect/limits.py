"""One deadline and one byte limit per source, checked while an answer arrives; every network reader obeys them.

Contains the budget and the HTTP connections it can cut; must not know what is read.
"""

from __future__ import annotations

import contextlib
import threading
import time
import zlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from xdsaudit.errors import ReadError

if TYPE_CHECKING:
    import socket

    from urllib3 import BaseHTTPResponse, PoolManager

MAX_BYTES: Final = 512 << 20
"""Default for the most bytes to read from one source."""
_PART: Final = 1 << 16
_ERROR_BYTES: Final = 1 << 16
_current: ContextVar[Budget | None] = ContextVar("xdsaudit_budget", default=None)


class Budget:
    """The limits of one source: seconds from now, and bytes; retries and further pages included.

    Attributes:
        seconds: as given.
        max_bytes: as given.
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
        """Seconds left, at least 0."""
        return max(self._deadline - time.monotonic(), 0.0)

    def expired(self) -> bool:
        """Whether no time is left."""
        return time.monotonic() >= self._deadline

    def take(self, count: int, subject: str) -> None:
        """Account for bytes that arrived.

        Raises:
            ReadError: there are too many, or they are too late; the message starts with the subject.
        """
        self._taken += count
        if self._taken > self.max_bytes:
            raise ReadError(too_large(subject, self.max_bytes))
        if self.expired():
            raise ReadError(f"{subject}: not complete after {self.seconds:g} s; raise --timeout")

    @contextlib.contextmanager
    def guard(self) -> Iterator[None]:
        """Inside the block, connections of guarded pools are shut at the deadline, whatever they are waiting for.

        A socket's timeout restarts with each byte: a server that sends a byte a second would never hit it.
        """
        if _current.get() is self:
            yield  # an inner block: the outer one ends it
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
            for handle in left:
                handle.close()

    def watch(self, handle: socket.socket) -> None:
        """Shut this socket at the deadline, if the ``guard`` block is still running then."""
        with self._lock:
            self._open.add(handle)
        if self.expired():
            _shutdown(handle)

    def adopt(self, handle: socket.socket) -> None:
        """Close this socket at the end of the block: its connection is closed, but its answer may still be being read."""
        with self._lock:
            self._adopted.append(handle)

    def _shut(self) -> None:
        with self._lock:
            handles, self._open = self._open, set()
        for handle in handles:
            _shutdown(handle)


def too_large(subject: str, limit: int) -> str:
    """The message for an answer above the byte limit."""
    return f"{subject}: the answer is larger than {limit / (1 << 20):.4g} MiB; raise --max-bytes if that is right"


def _shutdown(handle: socket.socket) -> None:
    import socket

    with contextlib.suppress(OSError):
        handle.shutdown(socket.SHUT_RDWR)


class _Guarded:
    """A connection that registers its socket with the running budget, through a duplicate descriptor, since TLS replaces the socket."""

    _handle: socket.socket | None = None

    def _new_conn(self) -> socket.socket:
        made: socket.socket = super()._new_conn()  # type: ignore[misc]
        self._handle = made.dup()
        self._report()
        return made

    def request(self, *arguments: object, **named: object) -> None:
        self._report()  # a reused connection was made for an earlier budget
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
    """Make a urllib3 pool manager open connections that a budget can cut. It does not warn about unverified certificates; its user does."""
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
    """The whole body of a urllib3 response that was not preloaded, decompressed if necessary.

    Raises:
        ReadError: it is too large, too late, or compressed in an unsupported way; urllib3's errors pass through.
    """
    return b"".join(parts(response, budget, subject))


def parts(response: BaseHTTPResponse, budget: Budget, subject: str) -> Iterator[bytes]:
    """The body piece by piece; even decompressed, no piece is more than a few times larger than what arrived."""
    coding = str(response.headers.get("content-encoding") or "identity").strip().lower()
    unpack = None
    if coding in ("gzip", "x-gzip", "deflate"):
        unpack = zlib.decompressobj(wbits=47)  # either header
    elif coding != "identity":
        raise ReadError(
            f"{subject}: the answer is encoded as {coding[:20]!r}, which was not requested; check what answers there"
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
                raise ReadError(
                    f"{subject}: the answer cannot be decompressed ({error}); check what answers there"
                ) from error
            budget.take(len(plain), subject)
            rest = unpack.unconsumed_tail
            yield plain
            if not plain and not rest:
                break
    budget.take(0, subject)  # shut at the deadline, an answer without a length looks complete
    if unpack is not None and not unpack.eof:
        raise ReadError(f"{subject}: the answer is incomplete; try again")


def beginning(response: BaseHTTPResponse) -> str:
    """The first line of an error response's body, for a message."""
    try:
        text: bytes = response.read(_ERROR_BYTES, decode_content=False)
    except Exception:  # the text is only a hint; the failure is known
        return ""
    return text.decode("utf-8", "replace").strip()


def lines_of(response: BaseHTTPResponse, limit: int, subject: str) -> Iterator[bytes]:
    """Lines of an endless stream, none of them longer than the limit.

    Raises:
        ReadError: a line is too long; urllib3's errors pass through.
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
