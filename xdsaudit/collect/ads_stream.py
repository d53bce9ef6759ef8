"""An ADS stream that stays open: pilot pushes, and its latest answer can be read at any time. Reconnects automatically."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Final

from xdsaudit.collect.access import Access, channel, quiet_grpc
from xdsaudit.collect.ads import Stream, grpc_failure, received
from xdsaudit.collect.limits import too_large
from xdsaudit.errors import ReadError, XdsauditError, outline
from xdsaudit.xds.mcp import McpSession
from xdsaudit.xds.session import AdsSession, Node

_BACKOFF: Final = (0.1, 0.25, 0.5, 1.0, 2.0)
_CHECK_SECONDS: Final = 0.2
_PLUGIN_SECONDS: Final = 2.0
"""How long to wait for plugin configurations once everything else is there."""


class Follower:
    """One endpoint's answers to one node, kept current; a context manager.

    Attributes:
        endpoint: ``host:port``.
        answered: set once there is a complete answer, or a reason why there is none.
    """

    def __init__(
        self,
        endpoint: str,
        node: Node | Callable[[], Node],
        access: Access,
        session: type[AdsSession | McpSession] = AdsSession,
    ) -> None:
        """Follow this endpoint as this node; a function is called in the follower's own thread."""
        self._session = session
        self.endpoint: str = endpoint
        self._endpoint, self._access = endpoint, access
        self._node = node
        self._shown: Node | None = node if isinstance(node, Node) else None
        self.answered: threading.Event = threading.Event()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._whole: tuple[bytes, ...] = ()
        self._why: str | None = f"ADS {endpoint}: not connected yet"
        self._thread = threading.Thread(target=self._run, name="xdsaudit-follow", daemon=True)

    def __enter__(self) -> Follower:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=5)

    @property
    def node_id(self) -> str | None:
        """Id of the node presented; None while it is unknown."""
        return None if self._shown is None else self._shown.id

    def read(self) -> tuple[tuple[bytes, ...], str | None]:
        """The answers that make up what pilot serves now, and why they may be outdated (None while the stream is healthy)."""
        with self._lock:
            return self._whole, self._why

    def _run(self) -> None:
        grpc = quiet_grpc()

        failures = 0
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                why = self._stream()
            except grpc.RpcError as error:
                why = grpc_failure(self._endpoint, error, self._access)
            except XdsauditError as error:
                why = str(error)
            except Exception as error:  # a follower must not die silently: its view would look current for ever
                why = f"ADS {self._endpoint}: could not be followed ({outline(error)})"
            if self._stop.is_set():
                return
            with self._lock:
                self._why = why
            self.answered.set()
            failures = 0 if time.monotonic() - began > 5 else failures + 1
            self._stop.wait(_BACKOFF[min(failures, len(_BACKOFF) - 1)])

    def _stream(self) -> str:
        if not isinstance(self._node, Node):
            self._shown = self._node()
        assert self._shown is not None
        session = self._session(self._shown)  # a new stream is answered completely: nothing deleted meanwhile stays
        settled_at = time.monotonic()
        with channel(self._endpoint, self._access) as (opened, metadata):
            stream = Stream(opened, metadata, None)
            try:
                stream.send(session.start())
                while not self._stop.is_set():
                    try:
                        got = stream.receive(_CHECK_SECONDS)
                    except queue.Empty:
                        if session.enough and time.monotonic() - settled_at > _PLUGIN_SECONDS:
                            self._keep(session, whole=True)
                        self._late(session, settled_at)
                        continue
                    if isinstance(got, Exception):
                        raise got
                    if got is None:
                        return f"ADS {self._endpoint}: the server closed the stream; reconnecting"
                    stream.send(received(self._endpoint, session, got))
                    session.prune()
                    if sum(map(len, session.responses)) > self._access.max_bytes:
                        raise ReadError(too_large(f"ADS {self._endpoint}", self._access.max_bytes))
                    self._keep(session)
                    settled_at = time.monotonic() if session.settled else settled_at
                    self._late(session, settled_at)
            finally:
                stream.close()
        return ""

    def _late(self, session: AdsSession | McpSession, since: float) -> None:
        """Report what has gone unanswered for longer than a read may take."""
        if session.enough or time.monotonic() - since < self._access.timeout:
            return
        with self._lock:
            self._why = (
                f"ADS {self._endpoint}: no complete answer within {self._access.timeout:g} s: {', '.join(session.waiting)} "
                "unanswered; check that it is pilot's ADS port, or raise --timeout"
            )
        self.answered.set()

    def _keep(self, session: AdsSession | McpSession, *, whole: bool = False) -> None:
        refused = "; ".join(f"{short}: {error}" for short, error in session.refused.items())
        with self._lock:
            if session.settled or whole:
                self._whole, self._why = session.responses, None
                self.answered.set()
            if refused:
                self._why = f"ADS {self._endpoint}: an answer could not be decoded: {refused}"
