"""MCP responses of higress-core to the core view: VirtualServices as routes by port and host.

A core route knows its key, its name and, where it has exactly one destination, its cluster; what pilot makes of the rest is
pilot's business. Objects are folded by type: each response of core carries all objects of its type (state of the world).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache, partial
from typing import Final, NamedTuple

from xdsaudit.errors import ReadError
from xdsaudit.model.assemble import Memo, concerns, remembered
from xdsaudit.model.facts import CoreFacts
from xdsaudit.model.route import Fields, HeaderMatch, MatchKey, PathKind, Place, Route, simple_key
from xdsaudit.model.view import Table, View, ViewName
from xdsaudit.xds.plugins import read_wasm_plugin
from xdsaudit.xds.pool import Message, known_type, message
from xdsaudit.xds.routes import lone_field

MCP_TYPES = (
    "networking.istio.io/v1alpha3/VirtualService",
    "networking.istio.io/v1alpha3/Gateway",
    "networking.istio.io/v1alpha3/DestinationRule",
    "networking.istio.io/v1alpha3/EnvoyFilter",
    "networking.istio.io/v1alpha3/ServiceEntry",
    "extensions.istio.io/v1alpha1/WasmPlugin",
)
"""Type URLs that core's MCP is asked for, in the order a snapshot keeps them."""

_RESOURCE = "istio.mcp.v1alpha1.Resource"
_VIRTUAL_SERVICE = "istio.networking.v1alpha3.VirtualService"


ObjectMemo = Memo[tuple[str, object]]
"""Objects by the bytes of their MCP resource: the name, and the message, a ``_Service`` or None for a type that is not read."""


class _Service(NamedTuple):
    """A VirtualService: its hosts and its routes."""

    hosts: tuple[str, ...]
    routes: tuple[Route, ...]


def read_core(
    responses: Iterable[bytes],
    *,
    replica: str | None,
    decoded: ObjectMemo | None = None,
    hosts: Collection[str] | None = None,
) -> View:
    """The core view from raw MCP responses.

    Args:
        responses: as they came.
        replica: the pod.
        decoded: objects read before, by their bytes; those of these responses are added.
        hosts: the hosts whose routes are asked for, None for all.

    Raises:
        ReadError: bytes that are not an MCP response.
    """
    objects: dict[str, list[tuple[str, Message]]] = {}
    read = partial(_read, hosts=hosts)
    response_class = message("envoy.service.discovery.v3.DiscoveryResponse")
    for number, data in enumerate(responses):
        try:
            response = response_class.FromString(data)
            resources = [remembered(decoded, resource.value, read) for resource in response.resources]
        except Exception as error:
            raise ReadError(
                f"core response {number} ({len(data)} bytes) is not an MCP DiscoveryResponse: {error}; read core again"
            ) from error
        if not response.type_url:
            raise ReadError(f"core response {number} ({len(data)} bytes) has no type_url; read core again")
        objects[response.type_url.rpartition("/")[2]] = [(name, each) for name, each in resources if each is not None]
    return View(
        name=ViewName.CORE,
        replica=replica,
        tables=_tables(objects.get("VirtualService", ()), objects.get("Gateway", ())),
        served={kind: len(resources) for kind, resources in objects.items()},
        plugins={p.name: p for n, resources in objects["WasmPlugin"] for p in (read_wasm_plugin(n, resources),)}
        if "WasmPlugin" in objects
        else None,
        core=_facts(objects),
    )


def _facts(objects: Mapping[str, Iterable[tuple[str, Message]]]) -> CoreFacts:
    return CoreFacts(
        frozenset(host for _, entry in objects.get("ServiceEntry", ()) for host in entry.hosts),
        frozenset(rule.host for _, rule in objects.get("DestinationRule", ())),
        {
            host: server.tls.credential_name
            for _, gateway in objects.get("Gateway", ())
            for server in gateway.servers
            if server.tls.credential_name
            for host in server.hosts
        },
    )


def _read(data: bytes, hosts: Collection[str] | None) -> tuple[str, object]:
    """One object of an MCP response."""
    resource = message(_RESOURCE).FromString(data)
    name, cls = resource.metadata.name, known_type(resource.body.type_url)
    read: object = None
    if cls is not None and cls.DESCRIPTOR.full_name == _VIRTUAL_SERVICE:
        service = message("xdsaudit.flat.VirtualService").FromString(resource.body.value)
        asked = service.http if concerns("", service.hosts, hosts) else ()
        read = _Service(tuple(service.hosts), tuple([route for http in asked for route in _routes(http, name)]))
    elif cls is not None:
        read = cls.FromString(resource.body.value)
    return name, read


def _tables(services: Iterable[tuple[str, Message]], gateways: Iterable[tuple[str, Message]]) -> dict[Place, Table]:
    ports: dict[str, list[int]] = {}
    for _, gateway in gateways:
        for server in gateway.servers:
            for host in server.hosts:
                listed = ports.setdefault(host, [])
                if server.port.number not in listed:
                    listed.append(server.port.number)
    tables: dict[Place, Table] = {}
    for name, service in services:
        routes = service.routes
        for host in service.hosts:
            for port in ports.get(host, ()):
                known = tables.get((port, host))
                tables[port, host] = Table(name, known.routes + routes if known else routes)
    return tables


def _routes(http: Message, origin: str) -> Iterable[Route]:
    destinations = http.route
    cluster = _cluster(destinations[0]) if len(destinations) == 1 else None
    name = http.name
    if not http.match:
        yield Route(MatchKey("prefix", "/"), name, _NOTHING, cluster, None, origin)
        return
    for match in http.match:
        yield Route(_key(match), name, _NOTHING, cluster, None, origin)


@lru_cache(maxsize=4096)
def _cluster(destination: bytes) -> str | None:
    """Name of the cluster of an HTTPRouteDestination, None where pilot decides on it."""
    route = message("istio.networking.v1alpha3.HTTPRouteDestination").FromString(destination)
    target = route.destination
    if not target.port.number or route.fallback_clusters:
        return None
    return f"outbound|{target.port.number}|{target.subset}|{target.host}"


_NOTHING: Fields = {}
_URI: Final[Mapping[str | None, PathKind]] = {
    "exact": "path",
    "prefix": "prefix",
    "regex": "safe_regex",
    None: "prefix",
}
_URI_TAG: Final = 0x0A
_URI_KINDS: Final[Mapping[int, PathKind]] = {0x0A: "path", 0x12: "prefix", 0x1A: "safe_regex"}
"""By the tag of the field in a StringMatch."""


def _key(data: bytes) -> MatchKey:
    """What an HTTPMatchRequest matches."""
    uri = lone_field(data)  # most match a path alone
    text = lone_field(uri[1]) if uri is not None and uri[0] == _URI_TAG else None
    if text is not None and (only := _URI_KINDS.get(text[0])) is not None:
        return simple_key(only, text[1].decode())
    match = message("istio.networking.v1alpha3.HTTPMatchRequest").FromString(data)
    kind = match.uri.WhichOneof("match_type")
    path = _URI[kind]
    value = getattr(match.uri, kind) if kind else "/"
    headers = [_condition(name, text) for name, text in match.headers.items()]
    if match.HasField("method"):
        headers.append(_condition(":method", match.method))
    query = [_condition(name, text) for name, text in match.query_params.items()]
    ignore = bool(match.ignore_uri_case) and path != "safe_regex"
    return MatchKey(path, value, ignore, tuple(sorted(headers)), tuple(sorted(query)))


def _condition(name: str, text: Message) -> HeaderMatch:
    kind = text.WhichOneof("match_type")
    value = getattr(text, kind) if kind else ""
    if kind is None or (kind == "regex" and value == "*"):
        return HeaderMatch(name, "present")
    return HeaderMatch(name, kind, value)
