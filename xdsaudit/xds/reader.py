"""DiscoveryResponse bytes of a pilot to a view.

Folding follows the xDS protocol, state of the world: for LDS, CDS and SRDS the last response replaces all; for RDS and EDS
a response adds or replaces the names it carries ("Grouping Resources into Responses").
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from xdsaudit.errors import ReadError
from xdsaudit.model.assemble import RouteScope, TableMemo, VirtualHost, assemble, scope_of
from xdsaudit.model.plugin import Plugin
from xdsaudit.model.view import Cluster, FilterChain, Listener, View, ViewName
from xdsaudit.xds.plain import enum_name
from xdsaudit.xds.plugins import read_extension, read_slots
from xdsaudit.xds.pool import SHORT, TYPES, WHOLE, Message, Short, inside, message, resource_class
from xdsaudit.xds.routes import ProtoRouteReader, named_table

_PROTOCOLS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_HCM = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"


def fold(
    responses: Iterable[bytes], table: Callable[[bytes], tuple[str, Message | tuple[VirtualHost, ...]]] = named_table
) -> dict[Short, dict[str, Message]]:
    """Resources by short type and name after all responses: messages of the pool, but what ``table`` makes of those of RDS.

    Args:
        responses: raw DiscoveryResponses in the order they came.
        table: what a RouteConfiguration of these bytes is called, and what to keep of it.

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
            try:
                if short == "RDS":
                    name, kept[name] = table(resource.value)
                else:
                    read = cls.FromString(resource.value)
                    kept[read.cluster_name if short == "EDS" else read.name] = read
            except Exception as error:
                raise ReadError(
                    f"response {number}, resource {index} does not decode as {resource.type_url or TYPES[short]}: "
                    f"{error}; read the control plane again"
                ) from error
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
    folded = fold(responses, ProtoRouteReader(hosts, decoded).table)
    tables = folded.get("RDS", {})
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
