"""DiscoveryResponse bytes of a pilot to a view.

Folding follows the xDS protocol, state of the world: for LDS, CDS and SRDS the last response replaces all; for RDS and EDS
a response adds or replaces the names it carries ("Grouping Resources into Responses").
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import NamedTuple

from xdsaudit.errors import ReadError
from xdsaudit.model.assemble import RouteScope, TableMemo, VirtualHost, assemble, concerns, scope_of
from xdsaudit.model.canonical import fields_of, match_of
from xdsaudit.model.plain import as_mapping
from xdsaudit.model.plugin import Plugin
from xdsaudit.model.route import Fields, Route, simple_key
from xdsaudit.model.view import Cluster, FilterChain, Listener, View, ViewName
from xdsaudit.xds.plain import enum_name, to_plain
from xdsaudit.xds.plugins import read_extension, read_slots
from xdsaudit.xds.pool import SHORT, TYPES, WHOLE, Message, Short, inside, message, resource_class

_PROTOCOLS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_HCM = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"


class Undecoded(NamedTuple):
    """A RouteConfiguration as a message, and its bytes."""

    config: Message
    data: bytes


def fold(responses: Iterable[bytes], decoded: TableMemo | None = None) -> dict[Short, dict[str, Message]]:
    """Resources by short type and name after all responses, each a decoded message of the pool.

    Of RDS an ``Undecoded``, or the virtual hosts where ``decoded`` knows them.

    Raises:
        ReadError: a response, or a resource in one, is not what it says it is.
    """
    response_class = message("envoy.service.discovery.v3.DiscoveryResponse")
    folded: dict[Short, dict[str, Message]] = {}
    for number, data in enumerate(responses):
        try:
            response = response_class.FromString(data)
        except Exception as error:
            raise ReadError(
                f"response {number} ({len(data)} bytes) is not a DiscoveryResponse: {error}; read the control plane again"
            ) from error
        short = SHORT.get(response.type_url)
        if short is None:
            if not response.type_url:
                raise ReadError(
                    f"response {number} ({len(data)} bytes) is not a DiscoveryResponse: it has no type_url; "
                    "read the control plane again"
                )
            continue
        kept = {} if short in WHOLE else folded.get(short, {})
        cls = resource_class(short)
        for index, resource in enumerate(response.resources):
            if decoded is not None and short == "RDS" and (known := decoded.get(resource.value)) is not None:
                kept[known[0]] = known[1]
                continue
            try:
                read = cls.FromString(resource.value)
            except Exception as error:
                raise ReadError(
                    f"response {number}, resource {index} does not decode as {resource.type_url or TYPES[short]}: "
                    f"{error}; read the control plane again"
                ) from error
            if short == "RDS":
                kept[read.name] = Undecoded(read, resource.value)
            else:
                kept[read.cluster_name if short == "EDS" else read.name] = read
        folded[short] = kept
    return folded


def read_pilot(
    responses: Iterable[bytes],
    *,
    name: ViewName,
    replica: str | None,
    decoded: TableMemo | None = None,
    hosts: Collection[str] | None = None,
) -> View:
    """The view of a pilot from its answers to a gateway's node.

    Args:
        responses: raw DiscoveryResponses in the order they came.
        name: ``pilot`` or ``pilot_fresh``.
        replica: the pod.
        decoded: RouteConfigurations read before, by their bytes; those of these responses are added. Views that serve the
            same share them.
        hosts: the hosts whose routes are asked for, None for all.

    Raises:
        ReadError: bytes that are not a DiscoveryResponse.
    """
    folded = fold(responses, decoded)
    reader = ProtoRouteReader(hosts)
    tables: dict[str, tuple[VirtualHost, ...]] = {}
    for table, resource in folded.get("RDS", {}).items():
        tables[table] = reader.virtual_hosts(*resource) if isinstance(resource, Undecoded) else resource
        if decoded is not None and isinstance(resource, Undecoded):
            decoded[resource.data] = table, tables[table]
    listeners = tuple(read_listener(m) for m in folded["LDS"].values()) if "LDS" in folded else None
    scopes = None
    if "SRDS" in folded or any(c.scoped for li in listeners or () for c in li.chains):
        scopes = [read_scope(m) for m in folded.get("SRDS", {}).values()]
    places, by_scope, unbound = assemble(tables, scopes, listeners)
    return View(
        name=name,
        replica=replica,
        tables=places,
        scopes=by_scope,
        unbound=unbound,
        clusters={n: read_cluster(m) for n, m in folded["CDS"].items()} if "CDS" in folded else None,
        endpoints={n: healthy(m) for n, m in folded["EDS"].items()} if "EDS" in folded else None,
        listeners=listeners,
        served={short: len(resources) for short, resources in folded.items()},
        plugins=_plugins(folded, listeners),
    )


def _plugins(
    folded: dict[Short, dict[str, Message]], listeners: tuple[Listener, ...] | None
) -> dict[str, Plugin] | None:
    """Plugins by name; None if listeners name some but their configurations were not requested."""
    if "ECDS" in folded:
        return {p.name: p for p in map(read_extension, folded["ECDS"].values())}
    if listeners is None or any(c.slots for li in listeners for c in li.chains):
        return None
    return {}


def read_scope(scope: Message) -> RouteScope:
    """A ScopedRouteConfiguration as a scope."""
    return scope_of(scope.name, (f.string_key for f in scope.key.fragments), scope.route_configuration_name)


def healthy(assignment: Message) -> int:
    """Number of endpoints of an assignment that may take traffic (UNKNOWN counts as healthy, as in Envoy)."""
    return sum(1 for locality in assignment.endpoints for e in locality.lb_endpoints if e.health_status in (0, 1, 5))


def read_cluster(cluster: Message) -> Cluster:
    """A Cluster message as a value."""
    kind = "custom" if cluster.WhichOneof("cluster_discovery_type") == "cluster_type" else None
    http2 = cluster.HasField("http2_protocol_options")
    if _PROTOCOLS in cluster.typed_extension_protocol_options:
        options = inside(
            _PROTOCOLS, cluster.typed_extension_protocol_options[_PROTOCOLS].value, f"cluster {cluster.name}"
        )
        http2 = http2 or options.explicit_http_config.HasField("http2_protocol_options")
    return Cluster(
        cluster.name,
        kind or enum_name(cluster, "type"),
        cluster.eds_cluster_config.service_name or cluster.name,
        healthy(cluster.load_assignment),
        enum_name(cluster, "lb_policy"),
        http2=http2,
        tls=cluster.transport_socket.name == "envoy.transport_sockets.tls",
    )


def read_listener(listener: Message) -> Listener:
    """A Listener message with its HTTP filter chains."""
    chains = list(listener.filter_chains)
    if listener.HasField("default_filter_chain"):
        chains.append(listener.default_filter_chain)
    return Listener(
        listener.name,
        listener.address.socket_address.port_value,
        "active",
        tuple(c for c in map(_chain, chains) if c is not None),
    )


def _chain(chain: Message) -> FilterChain | None:
    manager = None
    for network_filter in chain.filters:
        if network_filter.typed_config.type_url.endswith("." + _HCM.rpartition(".")[2]):
            manager = inside(_HCM, network_filter.typed_config.value, f"filter {network_filter.name}")
    if manager is None:
        return None
    secrets: tuple[str, ...] = ()
    if chain.HasField("transport_socket"):
        name = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
        tls = inside(name, chain.transport_socket.typed_config.value, "a transport socket").common_tls_context
        secrets = tuple(s.name for s in tls.tls_certificate_sds_secret_configs)
    kind = manager.WhichOneof("route_specifier")
    return FilterChain(
        tuple(chain.filter_chain_match.server_names),
        manager.rds.route_config_name if kind == "rds" else None,
        kind == "scoped_routes",
        secrets,
        chain.HasField("transport_socket"),
        any(f.name == "envoy.filters.http.on_demand" for f in manager.http_filters),
        read_slots(manager.http_filters),
        manager.HasField("normalize_path") and not manager.normalize_path.value,
    )


@lru_cache(maxsize=2)
def _decoded(data: bytes) -> Message:
    return resource_class("RDS").FromString(data)


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


class ProtoRouteReader:
    """Reads RouteConfigurations, sharing the canonical fields of routes that act alike.

    It empties the messages it reads: they must not be used afterwards.

    Args:
        hosts: the hosts whose routes are asked for, None for all; a virtual host of others comes without its routes.
    """

    def __init__(self, hosts: Collection[str] | None = None) -> None:
        """Start with nothing shared."""
        self._hosts = hosts
        self._fields: dict[bytes, tuple[Fields, tuple[str, ...]]] = {}

    def virtual_hosts(self, config: Message, data: bytes | None = None) -> tuple[VirtualHost, ...]:
        """Virtual hosts of one RouteConfiguration, in its order; ``data`` are its bytes."""
        return tuple(
            VirtualHost(
                v.name,
                tuple(v.domains),
                tuple(self.route(r, None if data is None else Located(data, host, n)) for n, r in enumerate(v.routes))
                if concerns(v.name, v.domains, self._hosts)
                else (),
                tuple(v.allow_server_names),
            )
            for host, v in enumerate(config.virtual_hosts)
        )

    def route(self, route: Message, source: Located | None = None) -> Route:
        """One route."""
        match = route.match
        parts = match.ListFields()
        if len(parts) == 2 and parts[1][0].number == 4 and parts[0][0].number <= 2 and parts[1][1].value:
            key = simple_key("prefix" if parts[0][0].number == 1 else "path", parts[0][1])
            opaque: tuple[str, ...] = ()
        else:
            unread: list[str] = []
            key = match_of(as_mapping(to_plain(match, unread)))
            opaque = tuple(unread)
        name = route.name
        action = route.route
        cluster: str | None = action.cluster
        if cluster:
            action.cluster = ""  # keeps the action set; what is left decides the fields and repeats a lot
        else:
            cluster = None
        for part in ("match", "name", "metadata", "decorator"):
            route.ClearField(part)
        rest = route.SerializeToString()
        known = self._fields.get(rest)
        if known is None:
            hidden: list[str] = []
            known = (fields_of(as_mapping(to_plain(route, hidden)))[0], tuple(hidden))
            self._fields[rest] = known
        return Route(key, name, known[0], cluster, opaque + known[1], "", source)
