"""Envoy's admin port: GET of a fixed list of pages, each with a deadline."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from xdsaudit.errors import ReadError

PAGES: Final = {
    "config_dump.json": "/config_dump?include_eds",
    "stats.json": "/stats?format=json&filter=(update_rejected|connected_state|update_success|update_attempt)",
    "server_info.json": "/server_info",
}
"""File of a snapshot to the page it holds. The first is the view itself, the others are evidence."""

DEBUG_PAGES: Final = {"syncz.json": "/debug/syncz", "adsz.json": "/debug/adsz", "metrics.txt": "/metrics"}
"""File of a snapshot to the page of a pilot's debug port that it holds."""


def read_gateway(source: str, timeout: float) -> tuple[dict[str, bytes], list[str]]:
    """Pages of a gateway, from its admin URL, or a file with its config dump.

    Returns:
        The pages by file name, and a complaint for each page of evidence that could not be read.

    Raises:
        ReadError: the config dump could not be read; the message gives the status or the error and what to try.
    """
    if not source.startswith(("http://", "https://")):
        return _from_file(Path(source)), []
    pages: dict[str, bytes] = {}
    complaints = []
    base = source.rstrip("/")
    with pool() as connections:
        for name, path in PAGES.items():
            try:
                pages[name] = get_page(connections, base + path, timeout)
            except ReadError as error:
                if name == "config_dump.json":
                    raise
                complaints.append(str(error))
    return pages, complaints


def read_debug(url: str, timeout: float) -> dict[str, bytes]:
    """Pages of a pilot's debug port by file name; those that it refuses are left out, since they are hints only.

    ``/debug/config_dump`` is never asked for: it may write a stale table into the cache that gateways read.
    """
    import urllib3

    pages = {}
    with urllib3.PoolManager(retries=False) as connections:
        for name, path in DEBUG_PAGES.items():
            try:
                pages[name] = get_page(connections, url.rstrip("/") + path, timeout)
            except ReadError:
                continue
    return pages


def pool() -> Any:
    """Connections to admin ports, to be closed; a context manager."""
    import urllib3

    return urllib3.PoolManager(retries=urllib3.Retry(total=1, redirect=0, status=0))


def get_page(connections: Any, url: str, timeout: float) -> bytes:
    """Body of a GET.

    Raises:
        ReadError: anything but a complete answer of status 200 within the deadline.
    """
    import time

    import urllib3

    deadline = time.monotonic() + timeout
    try:
        response = connections.request("GET", url, preload_content=False, timeout=urllib3.Timeout(total=timeout))
        try:
            if response.status != 200:
                body = response.read(200, decode_content=True).decode("utf-8", "replace").strip()
                raise ReadError(f"gateway {url}: HTTP {response.status} {body[:120]!r}; {_hint(response.status)}")
            parts = []
            for part in response.stream(1 << 20):
                parts.append(part)
                if time.monotonic() > deadline:
                    raise ReadError(f"gateway {url}: not complete after {timeout:g} s; raise --timeout")
            return b"".join(parts)
        finally:
            response.close()
    except urllib3.exceptions.TimeoutError as error:
        raise ReadError(_late(url, timeout)) from error
    except urllib3.exceptions.LocationParseError as error:
        raise ReadError(f"gateway {url}: is no URL ({error}); expected http://HOST:PORT") from error
    except urllib3.exceptions.HTTPError as error:
        if isinstance(getattr(error, "reason", None), urllib3.exceptions.ReadTimeoutError):
            raise ReadError(_late(url, timeout)) from error
        raise ReadError(
            f"gateway {url}: cannot be reached ({_reason(error)}); check the address, or forward port 15000 of the pod"
        ) from error


def _late(url: str, timeout: float) -> str:
    return f"gateway {url}: no answer within {timeout:g} s; raise --timeout, or look at the gateway's load"


def _reason(error: Exception) -> str:
    inner = getattr(error, "reason", None) or error
    text = str(inner)
    return text.rpartition(": ")[2] if ": " in text else text


def _hint(status: int) -> str:
    if status in (401, 403):
        return "something in front of the admin port refuses you: forward port 15000 of the pod and use that"
    if status == 404:
        return "this is not Envoy's admin port (15000 in Higress)"
    return "the gateway is not able to answer: look at its pod, and try again"


def _from_file(path: Path) -> dict[str, bytes]:
    """Pages of a saved config dump; stats.json and server_info.json beside it are taken along."""
    if path.is_dir():
        path = path / "config_dump.json"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ReadError(
            f"gateway {path}: {error.strerror or error}; give an http:// URL or a file of /config_dump"
        ) from error
    pages = {"config_dump.json": data}
    for name in PAGES:
        beside = path.parent / name
        if beside != path and beside.is_file():
            pages[name] = beside.read_bytes()
    return pages


class _Node(Struct):
    id: str = ""
    metadata: dict[str, Any] = {}


class _Bootstrap(Struct):
    node: _Node | None = None


class _Section(Struct):
    bootstrap: _Bootstrap | None = None


class _Identity(Struct):
    """The node in either page: server_info has it at the top, a config dump in its bootstrap."""

    node: _Node | None = None
    configs: list[_Section] = []


def node_of(page: bytes) -> _Node | None:
    """The node that a page of an Envoy shows (``/server_info`` or a config dump), or None when it shows none."""
    try:
        found = msgspec.json.decode(page, type=_Identity)
    except (msgspec.DecodeError, RecursionError):
        return None
    return found.node or next((s.bootstrap.node for s in found.configs if s.bootstrap and s.bootstrap.node), None)


def read_node(source: str, timeout: float) -> _Node:
    """Identity of a gateway, by its admin URL or the file of its config dump.

    Raises:
        ReadError: it cannot be read, or shows no node.
    """
    if source.startswith(("http://", "https://")):
        import urllib3

        with urllib3.PoolManager(retries=False) as connections:
            pages = {"server_info.json": get_page(connections, f"{source.rstrip('/')}/server_info", timeout)}
    else:
        pages = _from_file(Path(source))
    for page in ("server_info.json", "config_dump.json"):
        found = node_of(pages[page]) if page in pages else None
        if found is not None and found.id:
            return found
    raise ReadError(f"gateway {source}: shows no node of its own; give --node-id and --node-label instead")
