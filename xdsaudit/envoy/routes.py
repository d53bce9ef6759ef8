"""Routes of a config dump to values. Routes that act alike share their canonical fields; unused parts are skipped."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final, Generic, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from xdsaudit.model.assemble import RouteConfiguration, TableMemo, VirtualHost, concerns, remembered
from xdsaudit.model.canonical import ROUTE, fields_of, known, match_of
from xdsaudit.model.plain import Plain, as_mapping
from xdsaudit.model.route import Fields, MatchKey, Route, simple_key

_ROUTE_MATCH: Final = "envoy.config.route.v3.RouteMatch"
_ISTIO_CONFIG: Final = re.compile(rb'"istio":\s*\{\s*"config":\s*"([^"\\]*)"')
_LEADING_CLUSTER: Final = re.compile(rb'^\{\s*"cluster":\s*"([^"\\]*)"\s*,?')
_ABSENT: Final = Raw(b"")


class _Match(Struct):
    path: str | None = None
    prefix: str | None = None
    case_sensitive: bool | None = None
    safe_regex: Raw = _ABSENT
    path_separated_prefix: Raw = _ABSENT
    connect_matcher: Raw = _ABSENT
    path_match_policy: Raw = _ABSENT
    runtime_fraction: Raw = _ABSENT
    headers: Raw = _ABSENT
    query_parameters: Raw = _ABSENT
    grpc: Raw = _ABSENT
    tls_context: Raw = _ABSENT
    dynamic_metadata: Raw = _ABSENT
    filter_state: Raw = _ABSENT
    cookies: Raw = _ABSENT


class _Route(Struct):
    match: _Match
    name: str = ""
    route: Raw = _ABSENT
    redirect: Raw = _ABSENT
    direct_response: Raw = _ABSENT
    filter_action: Raw = _ABSENT
    non_forwarding_action: Raw = _ABSENT
    typed_per_filter_config: Raw = _ABSENT
    request_headers_to_add: Raw = _ABSENT
    request_headers_to_remove: Raw = _ABSENT
    response_headers_to_add: Raw = _ABSENT
    response_headers_to_remove: Raw = _ABSENT
    per_request_buffer_limit_bytes: Raw = _ABSENT
    metadata: Raw = _ABSENT


_MATCH_RAW: Final = _Match.__struct_fields__[3:]  # all but path, prefix and case_sensitive
_NO_CONDITIONS: Final = [_ABSENT] * len(_MATCH_RAW)
_ROUTE_RAW: Final = _Route.__struct_fields__[3:-1]  # all but match, name, route and metadata
_ALL_ABSENT: Final = (_ABSENT,) * len(_ROUTE_RAW)


T = TypeVar("T")


class _VirtualHost(Struct, Generic[T]):
    name: str = ""
    domains: list[str] = []
    routes: T | UnsetType = UNSET
    allow_server_names: list[str] = []


class _RouteConfig(Struct, Generic[T]):
    name: str = ""
    virtual_hosts: list[_VirtualHost[T]] = []


_ROUTES: Final = msgspec.json.Decoder(list[_Route])
_OF_ALL_HOSTS: Final = msgspec.json.Decoder(_RouteConfig[list[_Route]])
_OF_SOME_HOSTS: Final = msgspec.json.Decoder(_RouteConfig[Raw])


class JsonRouteReader:
    """Routes of JSON to values, sharing the canonical fields of routes that act alike.

    Args:
        hosts: the hosts whose routes are asked for, None for all; a virtual host of others comes without its routes.
        memo: RouteConfigurations read before, by their bytes; those that are read are added.
    """

    def __init__(self, hosts: Collection[str] | None = None, memo: TableMemo | None = None) -> None:
        """Start with nothing shared."""
        self._hosts, self._memo = hosts, memo
        self._fields: dict[tuple[bytes | bool | None, ...], Fields] = {}
        self._origins: dict[bytes, str] = {}

    def table(self, raw: Raw) -> RouteConfiguration:
        """Name and virtual hosts of one RouteConfiguration.

        Raises:
            msgspec.DecodeError: it is not one.
        """
        if self._memo is None:
            return self._table(raw)  # without a copy
        return remembered(self._memo, bytes(raw), self._table)

    def _table(self, raw: Raw | bytes) -> RouteConfiguration:
        config = (_OF_ALL_HOSTS if self._hosts is None else _OF_SOME_HOSTS).decode(raw)
        hosts = [
            VirtualHost(v.name, tuple(v.domains), self._routes(v), tuple(v.allow_server_names))
            for v in config.virtual_hosts
        ]
        return config.name, tuple(hosts)

    def _routes(self, host: _VirtualHost[list[_Route]] | _VirtualHost[Raw]) -> tuple[Route, ...]:
        routes = host.routes
        if isinstance(routes, Raw):
            routes = _ROUTES.decode(routes) if concerns(host.name, host.domains, self._hosts) else UNSET
        return () if routes is UNSET else tuple(map(self.route, routes))

    def route(self, route: _Route) -> Route:
        """One route."""
        action, cluster = route.route, None
        rest: bytes | None = None
        if action is not _ABSENT:
            rest = bytes(action)
            leading = _LEADING_CLUSTER.match(rest)
            if leading:
                cluster, rest = leading[1].decode(), rest[leading.end() :]
        raw = msgspec.structs.astuple(route)[3:-1]
        key = (rest, cluster is None) if raw == _ALL_ABSENT else (rest, cluster is None, *map(bytes, raw))
        fields = self._fields.get(key)
        if fields is None:
            plain: dict[str, Plain] = {
                f: msgspec.json.decode(r) for f, r in zip(_ROUTE_RAW, raw, strict=True) if r is not _ABSENT
            }
            if action is not _ABSENT:
                plain["route"] = msgspec.json.decode(action)
            fields, named = fields_of(as_mapping(known(plain, ROUTE)))
            if cluster is None and named is not None:
                return Route(self.key(route.match), route.name, fields, named, None, self._origin(route))
            self._fields[key] = fields
        return Route(self.key(route.match), route.name, fields, cluster, None, self._origin(route))

    def _origin(self, route: _Route) -> str:
        raw = bytes(route.metadata)
        known_origin = self._origins.get(raw)
        if known_origin is None:
            match = _ISTIO_CONFIG.search(raw)
            known_origin = self._origins[raw] = match[1].decode() if match else ""
        return known_origin

    @staticmethod
    def key(match: _Match) -> MatchKey:
        """What a route matches."""
        path, prefix, sensitive, *raw = msgspec.structs.astuple(match)
        if raw == _NO_CONDITIONS and sensitive is not False:
            if path is not None:
                return simple_key("path", path)
            if prefix is not None:
                return simple_key("prefix", prefix)
        plain: dict[str, Plain] = {
            f: msgspec.json.decode(r) for f, r in zip(_MATCH_RAW, raw, strict=True) if r is not _ABSENT
        }
        for field in ("path", "prefix", "case_sensitive"):
            value = getattr(match, field)
            if value is not None:
                plain[field] = value
        return match_of(as_mapping(known(plain, _ROUTE_MATCH)))
