"""``/stats?format=json`` and ``/server_info``: counters and abilities that stand beside a config dump as evidence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec

from xdsaudit.errors import ReadError
from xdsaudit.model.view import View

_REJECTED: Final = re.compile(
    r"^(?:http\.[^.]*(?:\.[^.]*)*?\.)?(?P<what>rds\..+|cluster_manager\.cds|listener_manager\.lds|cds|lds|.*scoped_rds\..+)\.update_rejected$"
)


def _decode(data: bytes, name: str) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ReadError(f"{name} ({len(data)} bytes) is not JSON: {error}; read it again") from error


def counters(data: bytes) -> dict[str, Any]:
    """Name to value of every stat of ``/stats?format=json``.

    Raises:
        ReadError: it is not that.
    """
    found = _decode(data, "stats.json")
    stats = found.get("stats") if isinstance(found, dict) else None
    if not isinstance(stats, list):
        raise ReadError("stats.json has no list 'stats'; ask the admin port for /stats?format=json")
    return {s["name"]: s.get("value") for s in stats if isinstance(s, dict) and isinstance(s.get("name"), str)}


def extensions(data: bytes) -> frozenset[str] | None:
    """Type URLs (without prefix) this Envoy can decode, of ``/server_info``; None when it does not tell.

    Raises:
        ReadError: it is not JSON.
    """
    found = _decode(data, "server_info.json")
    listed = found.get("node", {}).get("extensions") if isinstance(found, dict) else None
    if not listed:
        return None
    return frozenset(url for e in listed for url in e.get("type_urls", ()))


def identity(data: bytes) -> tuple[str, str]:
    """Node id and version that ``/server_info`` shows, each "" where it shows none.

    Raises:
        ReadError: it is not JSON.
    """
    found = _decode(data, "server_info.json")
    if not isinstance(found, dict):
        return "", ""
    # The version reads COMMIT/1.40.0/Clean/RELEASE/BoringSSL.
    parts = str(found.get("version") or "").split("/")
    return str((found.get("node") or {}).get("id") or ""), parts[1] if len(parts) > 1 else ""


def with_pages(view: View, pages: Mapping[str, bytes]) -> tuple[View, list[str]]:
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
                found["what"]: int(value)
                for name, value in stats.items()
                if name.endswith("update_rejected") and value and (found := _REJECTED.match(name))
            }
            view = replace(view, connected=None if state is None else bool(state), rejected=rejected)
    if "server_info.json" in pages:
        try:
            node, version = identity(pages["server_info.json"])
            view = replace(
                view,
                extensions=extensions(pages["server_info.json"]),
                facts={**view.facts, "node": node, "version": version},
            )
        except ReadError as error:
            complaints.append(str(error))
    return view, complaints
