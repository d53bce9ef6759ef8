"""Kubernetes objects kept current: list, then watch, with bookmarks, resumption, and a new list if the version is too old."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Raw, Struct

from xdsaudit.collect.cluster import config_maps
from xdsaudit.collect.kinds import Kind, left_alone
from xdsaudit.collect.kube import Call, GoneError, KubeApi, item_key, stripped
from xdsaudit.collect.limits import lines_of, too_large
from xdsaudit.errors import InputError, ReadError, outline
from xdsaudit.model.json_text import BROKEN
from xdsaudit.model.kube_list import KubeList

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

_WATCH_SECONDS: Final = 300
_MAPS_SECONDS: Final = 10.0
_ABSENT_SECONDS: Final = 30.0
"""Seconds between two attempts to list a kind that the cluster lacks."""
_BACKOFF: Final = (0.2, 0.5, 1.0, 2.0, 5.0)


class _Event(Struct):
    type: str = ""
    object: Raw = Raw(b"{}")


class _Version(Struct):
    resourceVersion: str = ""  # noqa: N815 - the API's name


class _Meta(Struct):
    metadata: _Version = msgspec.field(default_factory=_Version)


_EVENT: Final = msgspec.json.Decoder(_Event)
_META: Final = msgspec.json.Decoder(_Meta)


class KubeStore:
    """The lists of a snapshot, followed with one watch per kind; a context manager."""

    def __init__(self, api: KubeApi, namespace: str) -> None:
        """Follow all kinds."""
        self._api, self._namespace = api, namespace
        self._items: dict[str, dict[tuple[str, str], bytes]] = {}
        self._complaints: dict[str, str] = {}
        self._lists: dict[str, bytes] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._open: dict[str, BaseHTTPResponse] = {}
        self._sizes: dict[str, int] = {}
        self._ready = {kind.plural: threading.Event() for kind in api.kinds}
        self._threads: list[threading.Thread] = []
        self._maps_at = -_MAPS_SECONDS * 2

    def __enter__(self) -> KubeStore:
        for kind in self._api.kinds:
            thread = threading.Thread(target=self._follow, args=(kind,), name=f"xdsaudit-{kind.plural}", daemon=True)
            thread.start()
            self._threads.append(thread)
        deadline = time.monotonic() + self._api.timeout
        for ready in self._ready.values():
            ready.wait(max(deadline - time.monotonic(), 0))
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for response in list(self._open.values()):
            _abort(response)
        deadline = time.monotonic() + 2
        for thread in self._threads:
            thread.join(timeout=max(deadline - time.monotonic(), 0))

    def read(self) -> tuple[dict[str, bytes], tuple[str, ...]]:
        """The lists by plural, and why some could not be followed."""
        with self._lock:
            for kind in self._api.kinds:
                if kind.plural in self._items and kind.plural not in self._lists:
                    self._lists[kind.plural] = KubeList.of(kind.kind, self._items[kind.plural].values())
            if time.monotonic() - self._maps_at > _MAPS_SECONDS:
                maps, complaints = config_maps(self._api, self._namespace)
                if maps.get("configmaps") != self._lists.get("configmaps"):
                    self._lists |= maps
                self._complaints.pop("configmaps", None)
                if complaints:
                    self._complaints["configmaps"] = complaints[0]
                self._maps_at = time.monotonic()
            return dict(self._lists), tuple(self._complaints.values())

    def _follow(self, kind: Kind) -> None:
        version, failures = "", 0
        namespace = self._namespace if kind.plural == "mcpbridges" else None
        while not self._stop.is_set():
            try:
                if not version:
                    items, version = self._api.list(kind, namespace)
                    self._replace(kind, items)
                    failures = 0
                version = self._watch(kind, namespace, version)
                failures = 0
            except GoneError:
                version = ""  # too old: list again
            except Exception as error:  # a watch must not die silently: its list would look current for ever
                if left_alone(kind, error):
                    version = ""
                    self._ready[kind.plural].set()
                    self._stop.wait(_ABSENT_SECONDS)
                    continue
                expected = isinstance(error, (ReadError, InputError))
                text = f"Kubernetes {self._api.host}: {kind.plural} could not be followed ({outline(error)})"
                self._complaints[kind.plural] = str(error) if expected else text
                version = version if expected else ""
                self._ready[kind.plural].set()
                self._stop.wait(_BACKOFF[min(failures, len(_BACKOFF) - 1)])
                failures += 1

    def _replace(self, kind: Kind, items: dict[tuple[str, str], bytes]) -> None:
        with self._lock:
            self._sizes[kind.plural] = sum(map(len, items.values()))
            if self._items.get(kind.plural) != items:
                self._items[kind.plural] = items
                self._lists.pop(kind.plural, None)
        self._complaints.pop(kind.plural, None)
        self._ready[kind.plural].set()

    def _watch(self, kind: Kind, namespace: str | None, version: str) -> str:
        """Apply events until the server ends the watch; returns the version to resume from."""
        import urllib3

        query = {
            "watch": "1",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(_WATCH_SECONDS),
        }
        response = self._api.request(Call(kind.path(namespace), query=query), idle=_WATCH_SECONDS + 30)
        self._open[kind.plural] = response
        self._complaints.pop(kind.plural, None)
        try:
            subject = f"Kubernetes {self._api.host}: an event of {kind.plural}"
            for line in lines_of(response, self._api.max_bytes, subject) if not self._stop.is_set() else ():
                version = self._apply(kind, line, version) if line.strip() else version
        except (urllib3.exceptions.HTTPError, OSError, ValueError, AttributeError) as error:
            if self._stop.is_set():
                return version
            raise ReadError(
                f"Kubernetes {self._api.host}: the watch of {kind.plural} was cut off ({error}); resuming"
            ) from error
        finally:
            self._open.pop(kind.plural, None)
            response.close()
        return version

    def _apply(self, kind: Kind, line: bytes, version: str) -> str:
        try:
            event = _EVENT.decode(line)
            newer = _META.decode(event.object).metadata.resourceVersion or version
            if event.type == "ERROR":
                raise GoneError(f"the watch of {kind.plural} is too old")
            if event.type == "BOOKMARK":
                return newer
            key = item_key(event.object)
        except BROKEN as error:
            raise ReadError(
                f"Kubernetes {self._api.host}: the watch of {kind.plural} sent something that is not an event ({error})"
            ) from error
        with self._lock:
            items = self._items.setdefault(kind.plural, {})
            size = self._sizes.get(kind.plural, 0) - len(items.get(key, b""))
            if event.type == "DELETED":
                items.pop(key, None)
            else:
                raw = stripped(event.object) if kind.metadata_only else bytes(event.object)
                size += len(raw)
                if size > self._api.max_bytes:
                    raise ReadError(too_large(f"Kubernetes {self._api.host}: {kind.plural}", self._api.max_bytes))
                items[key] = raw
            self._sizes[kind.plural] = size
            self._lists.pop(kind.plural, None)
        return newer


def _abort(response: BaseHTTPResponse) -> None:
    """Wake a thread that is waiting for the next event."""
    with contextlib.suppress(Exception):
        response.shutdown()
