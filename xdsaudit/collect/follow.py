"""A gateway read again and again, but only what moved.

A whole dump blocks Envoy's main thread for a tenth of a second per thousand routes, and updates wait behind it. For a hundredth of
that, its stats say which route tables were loaded since (``rds.<name>.version`` and ``config_reload_time_ms``), and whether listeners,
scopes, clusters, endpoints or secrets may have changed. They are read first: whatever moves later moves them again.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Raw, Struct

from xdsaudit.collect.admin import PAGES, admin_pool, fetch_gateway, get_page, is_url, plain_url
from xdsaudit.collect.limits import Budget
from xdsaudit.collect.parts import PartReader, Section, as_dump, as_raw, as_section, entries, kind_of
from xdsaudit.envoy.admin import counters
from xdsaudit.errors import ReadError

if TYPE_CHECKING:
    from urllib3 import PoolManager

STATS: Final = (
    "/stats?format=json&filter=(version|config_reload_time_ms|update_rejected|connected_state|membership_healthy|membership_total"
    "|warming_clusters|total_listeners_active|total_listeners_warming|listener_create_failure|server.state)$"
)
"""The stats that move with the configuration, and those the audit reads from ``stats.json``."""
TRUST_SECONDS: Final = 300.0
"""Now and then everything is read anyway: nothing else deserves more trust."""
_TABLE: Final = re.compile(r"^http\..*?\.rds\.(?P<name>.+)\.[a-z_]+$")
_SCOPED: Final = re.compile(r"^higress-rds-\d+\.(?P<host>.+)$")
_ROUTES: Final = "dynamic_route_configs"
_REST: Final = (
    ("ListenersConfigDump", "dynamic_listeners"),
    ("ScopedRoutesConfigDump", "dynamic_scoped_route_configs"),
    ("ClustersConfigDump", "dynamic_active_clusters"),
    ("ClustersConfigDump", "dynamic_warming_clusters"),
    ("EndpointsConfigDump", "dynamic_endpoint_configs"),
    ("SecretsConfigDump", "dynamic_active_secrets"),
    ("SecretsConfigDump", "dynamic_warming_secrets"),
    ("EcdsConfigDump", "ecds_filters"),
)
"""Sections that are read again together when any stat moves that is not a route table's."""


class _Config(Struct):
    name: str = ""


class _Entry(Struct):
    route_config: _Config | None = None


_ENTRY: Final = msgspec.json.Decoder(_Entry)
_DUMP: Final = msgspec.json.Decoder(dict[str, list[dict[str, Raw]]])


@dataclass
class _Stamps:
    """What stats say about each route table, by its name in stats, and about everything else."""

    tables: dict[str, tuple[tuple[str, float | str], ...]]
    rest: dict[str, float | str]

    @classmethod
    def of(cls, page: bytes) -> _Stamps:
        tables: dict[str, list[tuple[str, float | str]]] = {}
        rest = {}
        for stat, value in counters(page).items():
            match = _TABLE.match(stat)
            if match:
                tables.setdefault(match["name"], []).append((stat, value))
            else:
                rest[stat] = value
        return cls({name: tuple(sorted(values)) for name, values in tables.items()}, rest)


@dataclass
class _Kept:
    """What was read last; ``settled`` once two reads after a change agreed, since not everything moves a stat."""

    pages: dict[str, bytes]
    sections: list[Section]
    tables: dict[str, Raw]
    stamps: _Stamps
    at: float
    settled: bool = False


class GatewayFollower:
    """Reads one gateway round after round.

    Attributes:
        source: its admin URL or a file.
    """

    def __init__(self, source: str) -> None:
        """Follow this gateway: an admin URL, or a file, which is read completely each time."""
        self.source = source
        self._parts = PartReader(source)
        self._kept: _Kept | None = None

    def read(self, timeout: float, max_bytes: int) -> tuple[dict[str, bytes], list[str]]:
        """Pages as from ``fetch_gateway``; ``config_dump.json`` is assembled from what is known and what moved.

        Raises:
            ReadError: the gateway could not be read; the next read is complete.
        """
        if not is_url(self.source):
            return fetch_gateway(self.source, timeout, max_bytes)
        kept, self._kept = self._kept, None
        with admin_pool() as connections:
            budget = Budget(timeout, max_bytes)
            stats = self._stats(connections, budget)
            stamps = _Stamps.of(stats) if stats is not None else None
            if kept is not None and stats is not None and stamps is not None:
                now = time.monotonic()
                if now - kept.at < TRUST_SECONDS and self._update(connections, kept, stamps, budget):
                    kept.pages["stats.json"] = stats
                    self._kept = kept
                    return dict(kept.pages), []
        pages, complaints = fetch_gateway(self.source, timeout, max_bytes)
        if stamps is not None and not complaints:
            self._kept = _kept(pages, stamps)
        return pages, complaints

    def _stats(self, connections: PoolManager, budget: Budget) -> bytes | None:
        """The stats page, or None if it cannot be read: then everything is read, and the error appears there."""
        try:
            page = get_page(connections, plain_url(self.source) + STATS, budget)
            counters(page)
        except ReadError:
            return None
        return page

    def _update(self, connections: PoolManager, kept: _Kept, stamps: _Stamps, budget: Budget) -> bool:
        """Read what moved; False if everything must be read."""
        before, kept.stamps = kept.stamps, stamps
        moved = {name for name, stamp in stamps.tables.items() if before.tables.get(name) != stamp}
        moved |= before.tables.keys() - stamps.tables.keys()
        if moved:
            routes = self._moved(connections, moved, budget)
            if routes is None:
                return False
            read = {name: raw for name, raw in _named(routes) if _stat(name) in moved}
            if not all(_stat(name) in stamps.tables for name in read):
                return False  # stats do not cover this
            kept.tables = {name: raw for name, raw in kept.tables.items() if _stat(name) not in moved} | read
        same, differs = before.rest == stamps.rest, bool(moved)
        if not same or not kept.settled:
            before_rest = _joined(kept.sections)
            for section, resource in _REST:
                _put(kept.sections, section, resource, entries(connections, self.source, resource, "", budget))
            page = get_page(connections, plain_url(self.source) + PAGES["server_info.json"], budget)
            kept.pages["server_info.json"] = page
            changed = before_rest != _joined(kept.sections)
            kept.settled = same and not changed
            differs = differs or changed
        if differs:
            kept.pages["config_dump.json"] = _page(kept)
        return True

    def _moved(self, connections: PoolManager, names: Iterable[str], budget: Budget) -> list[Raw] | None:
        scoped = [_SCOPED.match(name) for name in names]
        hosts = frozenset(entry["host"] for entry in scoped if entry)
        return self._parts.tables(connections, hosts, budget, unscoped=None in scoped)


def _kept(pages: dict[str, bytes], stamps: _Stamps) -> _Kept | None:
    """What a complete read leaves for the next; None if stats do not cover all of its tables."""
    try:
        sections = _DUMP.decode(pages["config_dump.json"])["configs"]
        tables: dict[str, Raw] = {}
        for section in sections:
            tables |= _named(msgspec.json.decode(section.pop(_ROUTES, Raw(b"[]")), type=list[Raw]))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError):
        return None  # the audit reports what is wrong with it
    if not all(_stat(name) in stamps.tables for name in tables):
        return None
    copies = [{name: value.copy() for name, value in section.items()} for section in sections]
    return _Kept(dict(pages), copies, tables, stamps, time.monotonic())


def _named(entries: Iterable[Raw]) -> list[tuple[str, Raw]]:
    """Route configurations by name, as copies, so that a kept one does not keep its whole page in memory."""
    return [
        (entry.route_config.name, raw.copy())
        for raw in entries
        if (entry := _ENTRY.decode(raw)).route_config is not None
    ]


def _stat(name: str) -> str:
    """A table's name in stats (Envoy's Utility::sanitizeStatsName)."""
    return name.replace(":", "_").replace("\0", "_")


def _put(sections: list[Section], section: str, resource: str, entries: list[Raw]) -> None:
    kind = kind_of(section)
    target = next((s for s in sections if msgspec.json.decode(s["@type"]) == kind), None)
    if target is None and not entries and section != "EcdsConfigDump":
        return  # Envoy leaves out sections it never had, which then count as not read
    if target is None:
        sections.append(as_section(section, resource, entries))
    else:
        target[resource] = as_raw(entries)


def _joined(sections: list[Section]) -> list[tuple[str, bytes]]:
    """The contents of sections, for comparison."""
    return [(name, bytes(value)) for section in sections for name, value in section.items()]


def _page(kept: _Kept) -> bytes:
    return as_dump([*kept.sections, as_section("RoutesConfigDump", _ROUTES, list(kept.tables.values()))])
