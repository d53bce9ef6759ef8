"""``/stats?format=json`` and ``/server_info``: counters and abilities, as evidence beside a config dump."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, NamedTuple

import msgspec

from xdsaudit.errors import ReadError
from xdsaudit.model.json_text import BROKEN
from xdsaudit.model.plugin import plugin_name
from xdsaudit.model.view import View

_REJECTED: Final = re.compile(
    r"^(?:http\.[^.]*(?:\.[^.]*)*?\.)?(?P<what>rds\..+|cluster_manager\.cds|listener_manager\.lds|cds|lds|.*scoped_rds\..+)\.update_rejected$"
)

_EXTENSION: Final = re.compile(r"^extension_config_discovery\.http_filter\.(?P<name>.+)\.update_rejected$")


def _decode(data: bytes, name: str) -> object:
    try:
        return msgspec.json.decode(data)
    except BROKEN as error:
        raise ReadError(f"{name} ({len(data)} bytes) is not JSON: {error}; read it again") from error


def counters(data: bytes) -> dict[str, float | str]:
    """Name to value of every stat of ``/stats?format=json``.

    Raises:
        ReadError: it is not that.
    """
    page = _decode(data, "stats.json")
    stats = page.get("stats") if isinstance(page, dict) else None
    if not isinstance(stats, list):
        raise ReadError("stats.json has no list 'stats'; ask the admin port for /stats?format=json")
    pairs = ((s.get("name"), s.get("value")) for s in stats if isinstance(s, dict))
    return {name: value for name, value in pairs if isinstance(name, str) and isinstance(value, int | float | str)}


class ServerInfo(NamedTuple):
    """What ``/server_info`` reports: node id, version and state, each "" if unknown, and the type URLs (without prefix) this Envoy can decode."""

    node: str
    version: str
    extensions: frozenset[str] | None
    state: str = ""


def server_info(data: bytes) -> ServerInfo:
    """``/server_info`` as a value.

    Raises:
        ReadError: it is not JSON.
    """
    page = _decode(data, "server_info.json")
    if not isinstance(page, dict):
        return ServerInfo("", "", None)
    node = page.get("node")
    node = node if isinstance(node, dict) else {}
    listed = node.get("extensions")
    extensions = [e for e in listed if isinstance(e, dict)] if isinstance(listed, list) else []
    named = [e.get("type_urls") for e in extensions]
    urls = frozenset(u for each in named if isinstance(each, list) for u in each if isinstance(u, str))
    # The version reads COMMIT/1.40.0/Clean/RELEASE/BoringSSL.
    parts = str(page.get("version") or "").split("/")
    return ServerInfo(
        str(node.get("id") or ""),
        parts[1] if len(parts) > 1 else "",
        urls if extensions else None,
        str(page.get("state") or ""),
    )


def with_admin_pages(view: View, pages: Mapping[str, bytes]) -> tuple[View, list[str]]:
    """The view with what stats and server_info add, and a complaint for each page that could not be read."""
    complaints = []
    if "stats.json" in pages:
        try:
            stats = counters(pages["stats.json"])
        except ReadError as error:
            complaints.append(str(error))
        else:
            state = stats.get("control_plane.connected_state")
            rejected = {
                match["what"]: int(value)
                for name, value in stats.items()
                if name.endswith("update_rejected") and value and (match := _REJECTED.match(name))
            }
            refused = {
                plugin_name(match["name"]): int(value)
                for name, value in stats.items()
                if value and (match := _EXTENSION.match(name)) is not None
            }
            connected = None if state is None else bool(state)
            gateway = view.own._replace(extensions_rejected=refused)
            view = replace(view, connected=connected, rejected=rejected, gateway=gateway)
    if "server_info.json" in pages:
        try:
            info = server_info(pages["server_info.json"])
            gateway = view.own._replace(node=info.node, version=info.version, state=info.state)
            view = replace(view, extensions=info.extensions, gateway=gateway)
        except ReadError as error:
            complaints.append(str(error))
    return view, complaints
