"""Parts of a gateway's config dump: those for some hosts cost Envoy a hundredth of the whole.

Envoy rejects a ``name_regex`` whose RE2 program is larger than its runtime ``re2.max_program_size.error_level`` allows: 100 by
default, which is a handful of hosts, 32,768 in Higress (higress-group/istio pkg/bootstrap/config.go). How long a pattern may be is
learned from its rejections.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import msgspec
from msgspec import Raw, Struct

from xdsaudit.collect.admin import admin_pool, get_page, is_url, plain_url
from xdsaudit.collect.limits import Budget
from xdsaudit.errors import ReadError

if TYPE_CHECKING:
    from urllib3 import PoolManager

_PARTS: Final = (
    ("ListenersConfigDump", "dynamic_listeners"),
    ("ScopedRoutesConfigDump", "dynamic_scoped_route_configs"),
    ("ClustersConfigDump", "dynamic_active_clusters"),
    ("SecretsConfigDump", "dynamic_warming_secrets"),
    ("EcdsConfigDump", "ecds_filters"),
)
_ROUTES: Final = ("RoutesConfigDump", "dynamic_route_configs")
_UNSCOPED: Final = r"^https?\..*$"
"""Tables of listeners without scopes: each contains many hosts."""
_LONGEST: Final = 8_000
"""Initial maximum length of a pattern: its URL stays well below the 60 KiB of headers that Envoy accepts."""
_REQUESTS: Final = 50
"""Maximum number of requests per round: if short patterns would need more, the whole dump is cheaper."""
_BAD_REQUEST: Final = 400


Section = dict[str, Raw]
"""A section of a dump: its fields, as they came."""


class _Answer(Struct):
    configs: list[Raw] = []


_ANSWER: Final = msgspec.json.Decoder(_Answer)


class PartReader:
    """Reads parts of one gateway again and again; remembers how long a pattern it accepts."""

    def __init__(self, source: str) -> None:
        """Read this gateway: an admin URL, or a file, which has no parts."""
        self._source = source
        self._longest = _LONGEST if is_url(source) else 0

    def read(self, hosts: Iterable[str], budget: Budget) -> bytes | None:
        """A config dump with the parts for some hosts; None if only the whole dump has them.

        Raises:
            ReadError: a part could not be read.
        """
        wanted = frozenset(hosts)
        if patterns(wanted, self._longest) is None:
            return None
        with admin_pool() as connections:
            routes = self.tables(connections, wanted, budget)
            if routes is None:
                return None
            sections = [as_section(*_ROUTES, routes)]
            for section, resource in _PARTS:
                resources = entries(connections, self._source, resource, "", budget)
                sections.append(as_section(section, resource, resources))
        return as_dump(sections)

    def tables(
        self, connections: PoolManager, hosts: frozenset[str], budget: Budget, *, unscoped: bool = True
    ) -> list[Raw] | None:
        """Route configurations of some hosts, and perhaps others, in as few requests as the gateway allows; None if there are too many."""
        resource = _ROUTES[1]
        unscoped_routes = entries(connections, self._source, resource, _UNSCOPED, budget) if unscoped else []
        while (asked := patterns(hosts, self._longest)) is not None:
            answers: list[Raw] = []
            for pattern in asked:
                try:
                    answers += entries(connections, self._source, resource, pattern, budget)
                except ReadError as error:
                    if error.status != _BAD_REQUEST:
                        raise
                    self._longest = _shorter(pattern, hosts)
                    break
            else:
                return unscoped_routes + answers
        return None


def entries(connections: PoolManager, source: str, resource: str, names: str, budget: Budget) -> list[Raw]:
    """Entries of one kind in a gateway's dump; with a regex only those whose names it matches.

    Raises:
        ReadError: they could not be read.
    """
    query = "include_eds&" * (resource == "dynamic_endpoint_configs")
    query += f"resource={resource}" + (f"&name_regex={quote(names, safe='')}" if names else "")
    try:
        page = get_page(connections, f"{plain_url(source)}/config_dump?{query}", budget)
    except ReadError as error:
        if error.status != 404:
            raise
        return []  # how Envoy says that there is none
    try:
        return _ANSWER.decode(page).configs
    except (ValueError, RecursionError) as error:
        raise ReadError(f"gateway {source}: {resource} is not JSON ({error}); is this Envoy's admin port?") from error


def as_section(section: str, resource: str, items: list[Raw]) -> Section:
    """A section of a dump with these entries."""
    return {"@type": as_raw(kind_of(section)), resource: as_raw(items)}


def as_raw(value: str | list[Raw]) -> Raw:
    """A value as its JSON."""
    return Raw(msgspec.json.encode(value))


def as_dump(sections: Iterable[Section]) -> bytes:
    """Sections assembled as in ``/config_dump``."""
    return msgspec.json.encode({"configs": list(sections)})


def kind_of(section: str) -> str:
    """Type URL of a section of a dump."""
    return f"type.googleapis.com/envoy.admin.v3.{section}"


def _shorter(refused: str, hosts: Iterable[str]) -> int:
    """Half the length of a rejected pattern, but enough for each single host; 0 if it was already no longer than that."""
    least = max((len(_pattern({domain: [label]})) for label, domain in map(_split, hosts)), default=0)
    return max(len(refused) // 2, least) if len(refused) > least else 0


def patterns(hosts: Iterable[str], longest: int) -> list[str] | None:
    """Regexes that together match the table names of some hosts; other names may match too.

    Args:
        hosts: as in table names: ``higress-rds-80.HOST``.
        longest: maximum length of one regex.

    Returns:
        None if a host does not fit, or too many regexes would be needed.
    """
    patterns: list[str] = []
    batch: dict[str, list[str]] = {}
    for label, domain in sorted((_split(h) for h in hosts), key=lambda parts: parts[::-1]):
        batch.setdefault(domain, []).append(label)
        if len(_pattern(batch)) > longest:
            batch[domain].pop()
            if any(batch.values()):
                patterns.append(_pattern(batch))
            batch = {domain: [label]}
            if len(patterns) >= _REQUESTS or len(_pattern(batch)) > longest:
                return None
    return [*patterns, _pattern(batch)] if batch else patterns


def _split(host: str) -> tuple[str, str]:
    label, dot, domain = host.partition(".")
    return label, dot + domain


def _pattern(batch: dict[str, list[str]]) -> str:
    return f"^.*-[0-9]+\\.({'|'.join(_alternatives(batch))})$"


def _alternatives(batch: dict[str, list[str]]) -> Iterator[str]:
    """A pattern for hosts that writes common parts once, since its size counts."""
    for domain, labels in batch.items():
        if labels:
            written = [re.escape(label).replace("\\-", "-") for label in labels]
            yield (written[0] if len(written) == 1 else f"({'|'.join(written)})") + re.escape(domain).replace(
                "\\-", "-"
            )
