"""Pilot's debug pages as evidence: who is connected to it and what they acknowledged (syncz, adsz), what they refused (metrics).

Pages are hints; content is proof. Nothing here calls a rule lost.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import msgspec

from xdsaudit.errors import ReadError
from xdsaudit.model.facts import PilotFacts, ProxyState
from xdsaudit.model.json_text import BROKEN
from xdsaudit.model.view import View

_TYPES: Final = {"cluster": "CDS", "listener": "LDS", "route": "RDS", "endpoint": "EDS"}
_REJECT: Final = re.compile(
    r'^pilot_xds_(?P<type>[a-z]+)_reject\{[^}]*node="(?P<node>[^"]*)"[^}]*\}\s+(?P<value>[0-9]+(?:\.[0-9]*)?(?:e[-+]?[0-9]{1,3})?)(?:\s|$)'
)


def _list(data: bytes, name: str) -> list[dict[str, object]]:
    try:
        page = msgspec.json.decode(data)
    except BROKEN as error:
        raise ReadError(f"{name} ({len(data)} bytes) is not JSON: {error}; read pilot's debug page again") from error
    if not isinstance(page, list):
        raise ReadError(f"{name} is not a list; read pilot's /debug/syncz again")
    return [x for x in page if isinstance(x, dict)]


def syncz(data: bytes) -> dict[str, ProxyState]:
    """Proxies of ``/debug/syncz`` by node.

    Raises:
        ReadError: it is not that page.
    """
    proxies = {}
    for each in _list(data, "syncz.json"):
        node = str(each.get("proxy") or "")
        late = [short for key, short in _TYPES.items() if each.get(f"{key}_sent", "") != each.get(f"{key}_acked", "")]
        if node:
            proxies[node] = ProxyState(node, tuple(late))
    return proxies


def adsz(data: bytes) -> dict[str, ProxyState]:
    """Proxies of ``/debug/adsz`` by node, with the time they connected.

    Raises:
        ReadError: it is not that page.
    """
    try:
        page = msgspec.json.decode(data)
    except BROKEN as error:
        raise ReadError(f"adsz.json ({len(data)} bytes) is not JSON: {error}; read pilot's debug page again") from error
    clients = page.get("clients") if isinstance(page, dict) else None
    if not isinstance(clients, list):
        raise ReadError("adsz.json has no list 'clients'; read pilot's /debug/adsz again")
    proxies = {}
    for each in clients:
        # connectionId is "<pod>.<namespace>-<number>"
        node = str(each.get("connectionId") or "").rpartition("-")[0] if isinstance(each, dict) else ""
        if node:
            proxies[node] = ProxyState(node, (), str(each.get("connectedAt") or ""))
    return proxies


def rejects(data: bytes) -> dict[str, frozenset[str]]:
    """Short types that a node refused, of pilot's metrics (``pilot_xds_rds_reject{node=…}`` above zero), by node."""
    refused: dict[str, frozenset[str]] = {}
    for line in data.decode("utf-8", "replace").splitlines():
        seen = _REJECT.match(line)
        if seen and float(seen["value"]) > 0:
            refused[seen["node"]] = refused.get(seen["node"], frozenset()) | {seen["type"].upper()}
    return refused


def with_debug_pages(view: View, pages: Mapping[str, bytes]) -> tuple[View, list[str]]:
    """The view of a pilot with what its debug pages add, and a complaint for each that could not be read."""
    proxies: Mapping[str, ProxyState] | None = None
    complaints = []
    for name, read in (("syncz.json", syncz), ("adsz.json", adsz)):
        if name not in pages:
            continue
        try:
            listed = read(pages[name])
        except ReadError as error:
            complaints.append(str(error))
            continue
        proxies = listed if proxies is None else _joined(proxies, listed)
    refused = rejects(pages["metrics.txt"]) if "metrics.txt" in pages else None
    if proxies is None and refused is None:
        return view, complaints
    return replace(view, pilot=PilotFacts(proxies, refused)), complaints


def _joined(acknowledged: Mapping[str, ProxyState], connected: Mapping[str, ProxyState]) -> Mapping[str, ProxyState]:
    """Proxies of syncz and of adsz: what they acknowledged is of the one, when they connected of the other."""
    times = {
        node: state._replace(connected_at=connected[node].connected_at)
        for node, state in acknowledged.items()
        if node in connected
    }
    return {**acknowledged, **connected, **times}
