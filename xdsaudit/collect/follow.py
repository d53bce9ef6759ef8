"""A gateway read again and again: what moved, and no more.

A whole dump holds Envoy's main thread for a tenth of a second per thousand routes, and updates wait behind it. Its stats say for a
hundredth of that which route tables were loaded since (``rds.<name>.version`` and ``config_reload_time_ms``), and whether listeners,
scopes, clusters, endpoints or secrets may have changed. They are read first: what moves after them moves them again.
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
"""What moves with the configuration, and what the audit reads of ``stats.json``."""
TRUST_SECONDS: Final = 300.0
"""Everything is read whole once in a while all the same: nothing is worth more trust than that."""
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
"""Sections that are read again together, when any stat moves that is not of a route table."""


class _Config(Struct):
    name: str = ""


class _Entry(Struct):
    route_config: _Config | None = None


_ENTRY: Final = msgspec.json.Decoder(_Entry)
_DUMP: Final = msgspec.json.Decoder(dict[str, list[dict[str, Raw]]])


@dataclass
class _Stamps:
    """What stats say: of each route table by the name of its stats, and of all the rest."""

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
    """What was read last; ``settled`` once what a change moves was read twice and was the same: not all of it moves a stat."""

    pages: dict[str, bytes]
    sections: list[Section]
    tables: dict[str, Raw]
    stamps: _Stamps
    at: float
    settled: bool = False


class GatewayFollower:
    """Reads one gateway round after round.

    Attributes:
        source: its admin URL, or a file.
    """

    def __init__(self, source: str) -> None:
        """Follow this gateway: an admin URL, or a file, which is read whole each time."""
        self.source = source
        self._parts = PartReader(source)
        self._kept: _Kept | None = None

    def read(self, timeout: float, max_bytes: int) -> tuple[dict[str, bytes], list[str]]:
        """Pages as ``fetch_gateway`` gives them, ``config_dump.json`` put together of what is known and what moved.

        Raises:
            ReadError: the gateway could not be read; the next time it is read whole.
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
        """The page of stats, or None where it is not to be had: then everything is read whole, which says why."""
        try:
            page = get_page(connections, plain_url(self.source) + STATS, budget)
            counters(page)
        except ReadError:
            return None
        return page

    def _update(self, connections: PoolManager, kept: _Kept, stamps: _Stamps, budget: Budget) -> bool:
        """Read what moved into what is kept; False where the whole must be read."""
        before, kept.stamps = kept.stamps, stamps
        moved = {name for name, stamp in stamps.tables.items() if before.tables.get(name) != stamp}
        moved |= before.tables.keys() - stamps.tables.keys()
        if moved:
            listed = self._moved(connections, moved, budget)
            if listed is None:
                return False
            read = {name: raw for name, raw in _named(listed) if _stat(name) in moved}
            if not all(_stat(name) in stamps.tables for name in read):
                return False  # stats do not tell of what is there
            kept.tables = {name: raw for name, raw in kept.tables.items() if _stat(name) not in moved} | read
        same, differs = before.rest == stamps.rest, bool(moved)
        if not same or not kept.settled:
            held = _joined(kept.sections)
            for section, resource in _REST:
                _put(kept.sections, section, resource, entries(connections, self.source, resource, "", budget))
            page = get_page(connections, plain_url(self.source) + PAGES["server_info.json"], budget)
            kept.pages["server_info.json"] = page
            changed = held != _joined(kept.sections)
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
    """What a whole reading leaves for the next; None where stats do not tell of every table of it."""
    try:
        sections = _DUMP.decode(pages["config_dump.json"])["configs"]
        tables: dict[str, Raw] = {}
        for section in sections:
            tables |= _named(msgspec.json.decode(section.pop(_ROUTES, Raw(b"[]")), type=list[Raw]))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError):
        return None  # the audit says what is wrong with it
    if not all(_stat(name) in stamps.tables for name in tables):
        return None
    held = [{name: value.copy() for name, value in section.items()} for section in sections]
    return _Kept(dict(pages), held, tables, stamps, time.monotonic())


def _named(entries: Iterable[Raw]) -> list[tuple[str, Raw]]:
    """Route configurations with their names; each is a copy, so that one that stays does not hold the whole page it came with."""
    return [
        (entry.route_config.name, raw.copy())
        for raw in entries
        if (entry := _ENTRY.decode(raw)).route_config is not None
    ]


def _stat(name: str) -> str:
    """The name of a table as stats have it (Envoy's Utility::sanitizeStatsName)."""
    return name.replace(":", "_").replace("\0", "_")


def _put(sections: list[Section], section: str, resource: str, entries: list[Raw]) -> None:
    kind = kind_of(section)
    held = next((s for s in sections if msgspec.json.decode(s["@type"]) == kind), None)
    if held is None and not entries and section != "EcdsConfigDump":
        return  # Envoy leaves out what it never had, and what is not there was not read; a filter may lack what it asks for
    if held is None:
        sections.append(as_section(section, resource, entries))
    else:
        held[resource] = as_raw(entries)


def _joined(sections: list[Section]) -> list[tuple[str, bytes]]:
    """What sections hold, to be compared."""
    return [(name, bytes(value)) for section in sections for name, value in section.items()]


def _page(kept: _Kept) -> bytes:
    return as_dump([*kept.sections, as_section("RoutesConfigDump", _ROUTES, list(kept.tables.values()))])
