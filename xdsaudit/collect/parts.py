"""Parts of a gateway's config dump: what concerns some hosts costs Envoy a hundredth of the whole.

Envoy refuses a ``name_regex`` whose RE2 program is larger than its runtime ``re2.max_program_size.error_level`` allows: 100 by
default, which is a handful of hosts, 32,768 in Higress (higress-group/istio pkg/bootstrap/config.go). How long a pattern may be is
learned from its refusals.
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
"""Tables of listeners that are not scoped: each holds hosts of all kinds."""
_LONGEST: Final = 8_000
"""Letters of a pattern at first: a URL of it stays well below the 60 KiB of headers that Envoy takes."""
_REQUESTS: Final = 50
"""Requests of one round: where patterns must be so short that it takes more, the whole dump costs less."""
_BAD_REQUEST: Final = 400


Section = dict[str, Raw]
"""A section of a dump: its fields, as they came."""


class _Answer(Struct):
    configs: list[Raw] = []


_ANSWER: Final = msgspec.json.Decoder(_Answer)


class PartReader:
    """Reads parts of one gateway again and again; remembers how long a pattern it takes."""

    def __init__(self, source: str) -> None:
        """Read this gateway: an admin URL, or a file, which has no parts."""
        self._source = source
        self._longest = _LONGEST if is_url(source) else 0

    def read(self, hosts: Iterable[str], budget: Budget) -> bytes | None:
        """A config dump of the parts that concern some hosts; None where only the whole tells of them.

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
                listed = entries(connections, self._source, resource, "", budget)
                sections.append(as_section(section, resource, listed))
        return as_dump(sections)

    def tables(
        self, connections: PoolManager, hosts: frozenset[str], budget: Budget, *, unscoped: bool = True
    ) -> list[Raw] | None:
        """Route configurations of some hosts, and perhaps others, in as few requests as the gateway lets us; None where they are too many."""
        resource = _ROUTES[1]
        listed = entries(connections, self._source, resource, _UNSCOPED, budget) if unscoped else []
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
                return listed + answers
        return None


def entries(connections: PoolManager, source: str, resource: str, names: str, budget: Budget) -> list[Raw]:
    """Entries of one kind of a gateway's dump, those alone whose names a regex matches, where one is given.

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
        return []  # Envoy's words for: there is none
    try:
        return _ANSWER.decode(page).configs
    except (ValueError, RecursionError) as error:
        raise ReadError(f"gateway {source}: {resource} is not JSON ({error}); is this Envoy's admin port?") from error


def as_section(section: str, resource: str, listed: list[Raw]) -> Section:
    """A section of a dump that holds these entries."""
    return {"@type": as_raw(kind_of(section)), resource: as_raw(listed)}


def as_raw(value: str | list[Raw]) -> Raw:
    """A value as its JSON."""
    return Raw(msgspec.json.encode(value))


def as_dump(sections: Iterable[Section]) -> bytes:
    """Sections put together as ``/config_dump`` has them."""
    return msgspec.json.encode({"configs": list(sections)})


def kind_of(section: str) -> str:
    """Type URL of a section of a dump."""
    return f"type.googleapis.com/envoy.admin.v3.{section}"


def _shorter(refused: str, hosts: Iterable[str]) -> int:
    """Half the length of a pattern that was refused, but enough for each host by itself; 0 where it was no longer than that."""
    least = max((len(_pattern({domain: [label]})) for label, domain in map(_split, hosts)), default=0)
    return max(len(refused) // 2, least) if len(refused) > least else 0


def patterns(hosts: Iterable[str], longest: int) -> list[str] | None:
    """Regexes that together match the names of the tables of some hosts; other names may match too.

    Args:
        hosts: as in the tables' names: ``higress-rds-80.HOST``.
        longest: letters of one regex.

    Returns:
        None where one host does not fit, or too many regexes would be needed.
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
    """Hosts with what they have in common written once, since the size of the pattern counts."""
    for domain, labels in batch.items():
        if labels:
            written = [re.escape(each).replace("\\-", "-") for each in labels]
            yield (written[0] if len(written) == 1 else f"({'|'.join(written)})") + re.escape(domain).replace(
                "\\-", "-"
            )
