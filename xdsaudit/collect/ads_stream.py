"""An ADS stream that stays open: pilot pushes, and what it last said can be read at any time. Reconnects by itself."""

from __future__ import annotations

import queue
import threading
import time
from typing import Final

from xdsaudit.collect.ads import Access, Stream, channel, explain
from xdsaudit.errors import ReadError
from xdsaudit.xds.session import AdsSession, Node

_BACKOFF: Final = (0.1, 0.25, 0.5, 1.0, 2.0)
_CHECK_SECONDS: Final = 0.2


class Follower:
    """One pilot's answers to one node, kept current; a context manager."""

    def __init__(self, endpoint: str, node: Node, access: Access) -> None:
        """Follow this endpoint as this node."""
        self._endpoint, self._access = endpoint, access
        self.node = node
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

    def read(self) -> tuple[tuple[bytes, ...], str | None]:
        """The answers that make up what pilot serves now, and why they may be old (None while the stream is healthy)."""
        with self._lock:
            return self._whole, self._why

    def _run(self) -> None:
        import grpc

        failures = 0
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                why = self._stream()
            except grpc.RpcError as error:
                why = explain(self._endpoint, error, self._access)
            except ReadError as error:
                why = str(error)
            except Exception as error:  # a follower must not die silently: its view would stay fresh for ever
                why = f"ADS {self._endpoint}: {type(error).__name__}: {error}"
            if self._stop.is_set():
                return
            with self._lock:
                self._why = why
            failures = 0 if time.monotonic() - began > 5 else failures + 1
            self._stop.wait(_BACKOFF[min(failures, len(_BACKOFF) - 1)])

    def _stream(self) -> str:
        session = AdsSession(self.node)  # a new stream is answered whole: nothing deleted meanwhile stays
        with channel(self._endpoint, self._access) as (opened, metadata):
            stream = Stream(opened, metadata, None)
            try:
                stream.send(session.start())
                while not self._stop.is_set():
                    try:
                        got = stream.receive(_CHECK_SECONDS)
                    except queue.Empty:
                        continue
                    if isinstance(got, Exception):
                        raise got
                    if got is None:
                        return f"ADS {self._endpoint}: the server closed the stream; it is opened again"
                    stream.send(session.receive(got))
                    session.prune()
                    self._keep(session)
            finally:
                stream.close()
        return ""

    def _keep(self, session: AdsSession) -> None:
        refused = "; ".join(f"{short}: {error}" for short, error in session.refused.items())
        with self._lock:
            if session.settled:
                self._whole, self._why = session.responses, None
            if refused:
                self._why = f"ADS {self._endpoint}: an answer could not be decoded: {refused}"
