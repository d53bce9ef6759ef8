"""Envoy's admin port: GET of a fixed list of pages, each with a deadline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from xdsaudit.collect.limits import MAX_BYTES, Budget, beginning, body, guarded
from xdsaudit.errors import ReadError
from xdsaudit.model.json_text import BROKEN

if TYPE_CHECKING:
    from urllib3 import PoolManager

PAGES: Final = {
    "config_dump.json": "/config_dump?include_eds",
    "stats.json": "/stats?format=json&filter=(update_rejected|connected_state|update_success|update_attempt)",
    "server_info.json": "/server_info",
}
"""File of a snapshot to the page it holds. The first is the view itself, the others are evidence."""

DEBUG_PAGES: Final = {"syncz.json": "/debug/syncz", "adsz.json": "/debug/adsz", "metrics.txt": "/metrics"}
"""File of a snapshot to the page of a pilot's debug port that it holds."""
_NODE_BYTES: Final = 16 << 20
_SHOWN: Final = 200
"""Letters of a URL that an error message shows."""


def is_url(source: str) -> bool:
    """Whether a gateway is given by its admin URL rather than a file."""
    return source.startswith(("http://", "https://"))


def fetch_gateway(source: str, timeout: float, max_bytes: int = MAX_BYTES) -> tuple[dict[str, bytes], list[str]]:
    """A gateway's pages, from its admin URL or a file with its config dump.

    Args:
        source: ``http://HOST:PORT`` or a path.
        timeout: seconds for all pages together.
        max_bytes: bytes of all pages together.

    Returns:
        The pages by file name, and a complaint for each of the other pages that could not be read.

    Raises:
        ReadError: the config dump could not be read; the message gives the status or the error and what to try.
    """
    budget = Budget(timeout, max_bytes)
    if not is_url(source):
        return _from_file(Path(source), budget), []
    base = plain_url(source)
    pages: dict[str, bytes] = {}
    complaints = []
    with admin_pool() as connections:
        for name, path in PAGES.items():
            try:
                pages[name] = get_page(connections, base + path, budget)
            except ReadError as error:
                if name == "config_dump.json":
                    raise
                complaints.append(str(error))
    return pages, complaints


def fetch_dump(source: str, budget: Budget) -> bytes:
    """Only the whole config dump of a gateway, from its admin URL or a file.

    Raises:
        ReadError: it could not be read.
    """
    if not is_url(source):
        return _from_file(Path(source), budget)["config_dump.json"]
    with admin_pool() as connections:
        return get_page(connections, plain_url(source) + PAGES["config_dump.json"], budget)


def fetch_debug(url: str, budget: Budget) -> dict[str, bytes]:
    """Pages of a pilot's debug port by file name; those it refuses are left out, since they are only hints.

    ``/debug/config_dump`` is never requested: it may write a stale table into the cache that gateways read.
    """
    pages = {}
    with admin_pool() as connections:
        for name, path in DEBUG_PAGES.items():
            try:
                pages[name] = get_page(connections, plain_url(url) + path, budget)
            except ReadError:
                continue
    return pages


def plain_url(url: str) -> str:
    """A base URL without its last slash.

    Raises:
        ReadError: it is not valid, or contains a user and password, which the message does not repeat.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ReadError(
            f"gateway {url.rpartition('@')[2]}: is not a valid URL ({error}); write http://HOST:PORT"
        ) from error
    if parts.username is not None or parts.password is not None:
        place = parts.netloc.rpartition("@")[2]
        raise ReadError(
            f"gateway {parts.scheme}://{place}: the URL contains a user or password, which are neither sent nor kept: leave them "
            "out, and forward port 15000 of the pod if something in front of it asks for them"
        )
    if not host:
        raise ReadError(f"gateway {url}: is not a valid URL; write http://HOST:PORT")
    return url.rstrip("/")


def admin_pool() -> PoolManager:
    """Connections to admin ports, to be closed; a context manager."""
    import urllib3

    return guarded(urllib3.PoolManager(retries=False))


def get_page(connections: PoolManager, url: str, budget: Budget) -> bytes:
    """Body of a GET, repeated once after a reset, within the same budget.

    Raises:
        ReadError: anything but a complete answer of status 200 within the budget.
    """
    import urllib3

    for attempt in (1, 2):
        try:
            with budget.guard():
                return _get(connections, url, budget)
        except urllib3.exceptions.LocationParseError as error:
            raise ReadError(f"{_named(url)}: is not a valid URL ({error}); write http://HOST:PORT") from error
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            if budget.expired() or isinstance(error, urllib3.exceptions.ReadTimeoutError):
                raise ReadError(_late(url, budget.seconds)) from error
            if attempt == 2 or isinstance(error, urllib3.exceptions.NewConnectionError):
                raise ReadError(
                    f"{_named(url)}: cannot be reached ({_reason(error)}); check the address, or forward port 15000 of the pod"
                ) from error
    raise AssertionError  # pragma: no cover - the loop returns or raises


def _get(connections: PoolManager, url: str, budget: Budget) -> bytes:
    import urllib3

    limit = urllib3.Timeout(total=max(budget.left, 0.001))
    response = connections.request("GET", url, preload_content=False, redirect=False, timeout=limit)
    try:
        if response.status != 200:
            status, line = response.status, beginning(response)
            raise ReadError(f"{_named(url)}: HTTP {status} {line[:120]!r}; {_hint(status)}", status=status)
        return body(response, budget, _named(url))
    finally:
        response.close()


def _named(url: str) -> str:
    """The gateway and the page for an error message; a query may list hundreds of hosts, of which the first are enough."""
    return f"gateway {url if len(url) <= _SHOWN else url[:_SHOWN] + '...'}"


def _late(url: str, timeout: float) -> str:
    return f"{_named(url)}: no answer within {timeout:g} s; raise --timeout, or look at the gateway's load"


def _reason(error: Exception) -> str:
    text = str(getattr(error, "reason", None) or error)
    if "BadStatusLine" in repr(error):
        return "the answer is not HTTP/1: this is not Envoy's admin port"
    return (text.rpartition(": ")[2] if ": " in text else text)[:200]


def _hint(status: int) -> str:
    if status in (401, 403):
        return "something in front of the admin port refuses access: forward port 15000 of the pod and use that"
    if status == 404 or 300 <= status < 400:
        return "this is not Envoy's admin port (15000 in Higress)"
    return "the gateway cannot answer: look at its pod, and try again"


def _from_file(path: Path, budget: Budget) -> dict[str, bytes]:
    """Pages of a saved config dump, with stats.json and server_info.json if they are beside it."""
    try:
        if path.is_dir():
            path = path / "config_dump.json"
        pages = {"config_dump.json": _file(path, budget)}
        for name in PAGES:
            beside = path.parent / name
            if beside != path and beside.is_file():
                pages[name] = _file(beside, budget)
    except OSError as error:
        raise ReadError(
            f"gateway {path}: {error.strerror or error}; give an http:// URL or a file of /config_dump"
        ) from error
    return pages


def _file(path: Path, budget: Budget) -> bytes:
    parts = []
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            budget.take(len(part), f"gateway {path}")
            parts.append(part)
    return b"".join(parts)


class _Node(Struct):
    id: str = ""
    metadata: dict[str, object] = {}


class _Bootstrap(Struct):
    node: _Node | None = None


class _Section(Struct):
    bootstrap: _Bootstrap | None = None


class _Identity(Struct):
    """The node in either page: at the top of server_info, in the bootstrap of a config dump."""

    node: _Node | None = None
    configs: list[_Section] = []


def node_shown(page: bytes) -> _Node | None:
    """The node that an Envoy's page shows (``/server_info`` or a config dump), or None."""
    try:
        identity = msgspec.json.decode(page, type=_Identity)
    except BROKEN:
        return None
    return identity.node or next((s.bootstrap.node for s in identity.configs if s.bootstrap and s.bootstrap.node), None)


def fetch_node(source: str, timeout: float) -> _Node:
    """A gateway's node identity, from its admin URL or the file of its config dump.

    Raises:
        ReadError: it cannot be read, or shows no node.
    """
    if is_url(source):
        with admin_pool() as connections:
            url = f"{plain_url(source)}/server_info"
            pages = {"server_info.json": get_page(connections, url, Budget(timeout, _NODE_BYTES))}
    else:
        pages = _from_file(Path(source), Budget(timeout))
    for page in ("server_info.json", "config_dump.json"):
        node = node_shown(pages[page]) if page in pages else None
        if node is not None and node.id:
            return node
    raise ReadError(f"gateway {source}: does not show its node identity; give --node-id and --node-label instead")
