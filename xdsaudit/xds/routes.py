"""RouteConfigurations of pilot to values. Routes that act alike share their canonical fields, and what they share is decoded once.

A route is read without its parts being taken apart (``proto/xdsaudit/flat.proto``): most match one path and lead to one cluster, which
stand at known places of their bytes. Where they do not, the part is decoded in full.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import Final, NamedTuple

from google.protobuf.message import DecodeError

from xdsaudit.model.assemble import RouteConfiguration, TableMemo, VirtualHost, concerns, remembered
from xdsaudit.model.canonical import fields_of, match_of
from xdsaudit.model.plain import as_mapping
from xdsaudit.model.route import Fields, MatchKey, PathKind, Route, simple_key
from xdsaudit.xds.plain import to_plain
from xdsaudit.xds.pool import Message, message, resource_class

_ROUTE: Final = "envoy.config.route.v3.Route"
_SENSITIVE: Final = b'"\x02\x08\x01'
"""``case_sensitive {value: true}`` of a RouteMatch; Go writes it before the path, which is of a oneof, others behind it."""
_KINDS: Final[dict[int, PathKind]] = {0x0A: "prefix", 0x12: "path"}
"""By the tag of the field."""
_CLUSTER: Final = 0x0A
"""The tag of a RouteAction's cluster."""
_SHORT: Final = 0x80
"""Lengths below take one byte."""
_APART: Final = ("match", "route", "metadata", "decorator", "name")


class Located(NamedTuple):
    """Where a route is: the bytes of its RouteConfiguration, and the positions of its virtual host and itself."""

    data: bytes
    host: int
    position: int

    def message(self) -> Message:
        """The Route message; neighbours in one RouteConfiguration share its decoding."""
        return _decoded(self.data).virtual_hosts[self.host].routes[self.position]

    def istio_object(self) -> str:
        """Path of the Istio object the route was made of (``/apis/…/virtual-service/NAME``); "" when it names none."""
        metadata = self.message().metadata.filter_metadata
        if "istio" not in metadata or "config" not in metadata["istio"].fields:
            return ""
        path: str = metadata["istio"].fields["config"].string_value
        return path


@lru_cache(maxsize=2)
def _decoded(data: bytes) -> Message:
    return resource_class("RDS").FromString(data)


def named_table(data: bytes) -> tuple[str, Message]:
    """Name and message of a RouteConfiguration.

    Raises:
        DecodeError: it is not one.
    """
    config = resource_class("RDS").FromString(data)
    return config.name, config


class ProtoRouteReader:
    """Reads RouteConfigurations, sharing the canonical fields of routes that act alike.

    Args:
        hosts: the hosts whose routes are asked for, None for all; a virtual host of others comes without its routes.
        memo: RouteConfigurations read before, by their bytes; those that are read are added.
    """

    def __init__(self, hosts: Collection[str] | None = None, memo: TableMemo | None = None) -> None:
        """Start with nothing shared."""
        self._hosts, self._memo = hosts, memo
        self._flat = message("xdsaudit.flat.RouteConfiguration")
        self._fields: dict[tuple[bytes | None, bytes], tuple[Fields, tuple[str, ...]]] = {}

    def table(self, data: bytes) -> RouteConfiguration:
        """Name and virtual hosts of a RouteConfiguration.

        Raises:
            DecodeError: it is not one.
            UnicodeDecodeError: a path or the name of a cluster is not UTF-8.
        """
        return remembered(self._memo, data, self._table)

    def _table(self, data: bytes) -> RouteConfiguration:
        config = self._flat.FromString(data)
        return config.name, tuple([self._host(data, n, host) for n, host in enumerate(config.virtual_hosts)])

    def _host(self, data: bytes, number: int, host: Message) -> VirtualHost:
        asked = host.routes if concerns(host.name, host.domains, self._hosts) else ()
        routes = tuple([self._route(route, Located(data, number, n)) for n, route in enumerate(asked)])
        return VirtualHost(host.name, tuple(host.domains), routes, tuple(host.allow_server_names))

    def _route(self, route: Message, source: Located) -> Route:
        key, opaque = _key(route.match)
        name, action = route.name, route.route
        cluster, rest = _cut(action) if action else (None, action if route.HasField("route") else None)
        for part in _APART:
            route.ClearField(part)
        known = self._fields.get((rest, around := route.SerializeToString()))
        if known is None:
            try:
                fields, hidden, named = _fields_of(route, rest)
            except DecodeError:  # what was cut off was no cluster: the error is the action's own, or there is none
                cluster, rest = None, action
                fields, hidden, named = _fields_of(route, rest)
            known = fields, hidden
            if named is None:
                self._fields[rest, around] = known
            cluster = cluster if named is None else named
        return Route(key, name, known[0], cluster, opaque + known[1], "", source)


def _fields_of(route: Message, action: bytes | None) -> tuple[Fields, tuple[str, ...], str | None]:
    """Canonical fields of a route with this action, digests of what of it cannot be decoded, and the cluster that it names."""
    if action is not None:
        route.route = action
    hidden: list[str] = []
    fields, cluster = fields_of(as_mapping(to_plain(message(_ROUTE).FromString(route.SerializeToString()), hidden)))
    return fields, tuple(hidden), cluster


def _key(match: bytes) -> tuple[MatchKey, tuple[str, ...]]:
    """What a RouteMatch matches, and digests of what of it cannot be decoded."""
    path = None
    if match.startswith(_SENSITIVE):
        path = lone_field(match[len(_SENSITIVE) :])
    elif match.endswith(_SENSITIVE):
        path = lone_field(match[: -len(_SENSITIVE)])
    if path is not None and (kind := _KINDS.get(path[0])) is not None:
        return simple_key(kind, path[1].decode()), ()
    hidden: list[str] = []
    decoded = message("envoy.config.route.v3.RouteMatch").FromString(match)
    return match_of(as_mapping(to_plain(decoded, hidden))), tuple(hidden)


def _cut(action: bytes) -> tuple[str | None, bytes]:
    """The cluster of a RouteAction, and its other bytes; None with all of them where it is at neither end.

    Bytes at the end that look like a cluster may be of something else. What is left is then cut short, and does not decode.
    """
    if action[0] == _CLUSTER:
        end = 2 + action[1] if len(action) > 1 else 0
        return (
            (action[2:end].decode(), action[end:]) if 2 < end <= len(action) and action[1] < _SHORT else (None, action)
        )
    at = action.rfind(_CLUSTER)
    last = lone_field(action[at:]) if at > 0 else None
    return (None, action) if last is None else (last[1].decode(), action[:at])


def lone_field(data: bytes) -> tuple[int, bytes] | None:
    """Tag and value of the one text or message that these bytes hold; None if they hold another, more, or one that is long."""
    return (data[0], data[2:]) if len(data) > 2 and data[1] == len(data) - 2 < _SHORT else None
