"""From route tables, scopes and listeners to (port, host) places: shared by the pilot and the gateway readers."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final, NamedTuple, Protocol, TypeVar

from xdsaudit.model.route import Place, Route
from xdsaudit.model.view import Listener, Table

_NAMED_PORT: Final = re.compile(r"^(?:http|https)\.(\d+)(?:\.|$)")
_SCOPE_NAME: Final = re.compile(r"^(\d+)\.(.+)$")


class VirtualHost(NamedTuple):
    """A virtual host as read: its domains, its routes in order, and the TLS server names that may ask for it (none: any)."""

    name: str
    domains: tuple[str, ...]
    routes: tuple[Route, ...]
    server_names: tuple[str, ...] = ()


def concerns(name: str, domains: Iterable[str], hosts: Collection[str] | None) -> bool:
    """Whether a virtual host may affect some hosts (None: any host)."""
    if hosts is None or name.startswith("blackhole:"):
        return True
    return any(d == "*" or d in hosts or d.rpartition(":")[0] in hosts for d in domains)


RouteTables = Mapping[str, tuple[VirtualHost, ...]]
RouteConfiguration = tuple[str, tuple[VirtualHost, ...]]
"""Its name and its virtual hosts."""
T = TypeVar("T")


class Memo(Protocol[T]):
    """What was decoded, by its bytes."""

    def get(self, key: bytes, /) -> T | None:
        """What these bytes were decoded to, None if they were not."""

    def __setitem__(self, key: bytes, value: T, /) -> None: ...


def remembered(memo: Memo[T] | None, data: bytes, decode: Callable[[bytes], T]) -> T:
    """What these bytes are decoded to, taken from the memo where they were decoded before, and kept there; None remembers nothing."""
    if memo is None:
        return decode(data)
    known = memo.get(data)
    if known is None:
        known = memo[data] = decode(data)
    return known


TableMemo = Memo[RouteConfiguration]


class RouteScope(NamedTuple):
    """One scope: the place its key stands for and the RouteConfiguration it leads to."""

    place: Place | None
    route_config: str


def scope_of(name: str, fragments: Iterable[str], route_config: str) -> RouteScope:
    """Scope from its key fragments, which Higress builds as [port, host]; if the key is foreign, from its name."""
    parts = tuple(fragments)
    if len(parts) == 2 and parts[0].isdigit():
        return RouteScope((int(parts[0]), parts[1]), route_config)
    match = _SCOPE_NAME.match(name)
    return RouteScope((int(match[1]), match[2]) if match else None, route_config)


def assemble(
    tables: RouteTables, scopes: Iterable[RouteScope] | None, listeners: Iterable[Listener] | None
) -> tuple[dict[Place, Table], dict[Place, str] | None, frozenset[str]]:
    """Places that answer, places by scope, and names of tables that are referred to but missing.

    Scoped: the scope says which table answers a place. Not scoped: a table belongs to the listeners that name it; its
    port is in its name (``http.80``, ``https.443.…``), since a listener may be bound to the Service's target port.
    """
    places: dict[Place, Table] = {}
    unbound: set[str] = set()
    by_scope: dict[Place, str] | None = None
    if scopes is not None:
        by_scope = {}
        for scope in scopes:
            if scope.place is None:
                continue
            by_scope[scope.place] = scope.route_config
            hosts = tables.get(scope.route_config)
            if hosts is None:
                unbound.add(scope.route_config)
                continue
            table = _host_table(scope.place, scope.route_config, hosts)
            if table is not None:
                places[scope.place] = table
    for name, port in _named(listeners, tables):
        hosts = tables.get(name)
        if hosts is None:
            unbound.add(name)
            continue
        for vhost in hosts:
            if vhost.name.startswith("blackhole:"):
                continue
            for domain in vhost.domains:
                host = domain.rpartition(":")[0] if re.search(r":\d+$", domain) else domain
                places.setdefault((port, host), Table(name, vhost.routes, False, vhost.server_names))
    return places, by_scope, frozenset(unbound)


def _named(listeners: Iterable[Listener] | None, tables: RouteTables) -> Iterable[tuple[str, int]]:
    if listeners is None:
        for name in tables:
            match = _NAMED_PORT.match(name)
            if match:
                yield name, int(match[1])
        return
    seen = set()
    for listener in listeners:
        for chain in listener.chains:
            if chain.route_config and chain.route_config not in seen:
                seen.add(chain.route_config)
                match = _NAMED_PORT.match(chain.route_config)
                yield chain.route_config, int(match[1]) if match else listener.port


def _host_table(place: Place, resource: str, hosts: tuple[VirtualHost, ...]) -> Table | None:
    for vhost in hosts:
        if vhost.name.startswith("blackhole:"):
            return Table(resource, vhost.routes, blackhole=True)
        if place[1] in vhost.domains:
            return Table(resource, vhost.routes, False, vhost.server_names)
    for vhost in hosts:
        if "*" in vhost.domains:
            return Table(resource, vhost.routes, False, vhost.server_names)
    return Table(resource, (), blackhole=True) if not hosts else None
