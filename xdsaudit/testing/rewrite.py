"""Makes recorded resources safe for a stock Envoy on this machine: nothing in them may connect to or resolve anything else.

Listeners bind free ports of 127.0.0.1; extractors of Higress's fork become header extractors; endpoints become one local
backend; clusters that resolve names become STATIC; plugins' code becomes a local file if one is given, as Envoy's agent would do, and
otherwise something that Envoy rejects without fetching it; what is not modelled is dropped. A final check walks the result and refuses
whatever still points outside loopback, naming its JSON path.
"""

from __future__ import annotations

import socket
from collections.abc import Container, Iterable, Mapping
from typing import Final

from xdsaudit.errors import InputError
from xdsaudit.model.plain import Plain, part
from xdsaudit.xds.plain import to_plain
from xdsaudit.xds.pool import Message, message, resource_class
from xdsaudit.xds.reader import fold

PORT_HEADER: Final = "x-xdsaudit-port"
_HCM: Final = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_WASM: Final = "envoy.extensions.filters.http.wasm.v3.Wasm"
_FALLBACK: Final = "envoy.extensions.custom_cluster_plugins.cluster_fallback.v3.ClusterFallbackConfig"
_DOWNSTREAM_TLS: Final = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
_HARMLESS: Final = frozenset(
    {
        "envoy.extensions.filters.http.composite.v3.Composite",
        "envoy.extensions.filters.http.compressor.v3.Compressor",
        "envoy.extensions.filters.http.cors.v3.Cors",
        "envoy.extensions.filters.http.fault.v3.HTTPFault",
        "envoy.extensions.filters.http.router.v3.Router",
        "envoy.extensions.filters.http.grpc_stats.v3.FilterConfig",
        "envoy.extensions.filters.http.on_demand.v3.OnDemand",
        "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
    }
)


def free_port() -> int:
    """A port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class LoopbackRewrite:
    """Rewrites resources; one instance keeps the listeners' ports stable across pushes.

    Attributes:
        backend_port: the port of 127.0.0.1 that every endpoint becomes.
        ports: listener name to its local port, filled as listeners are seen.
        modules: plugin files by the URL of their code; may be changed while it runs.
        without_fallbacks: whether routes go straight to the cluster that Higress's fallback-cluster plugin would try first.
    """

    def __init__(
        self, backend_port: int, modules: Mapping[str, str] | None = None, *, without_fallbacks: bool = False
    ) -> None:
        """Send all traffic to this local port, and take plugins' code from these files.

        Args:
            backend_port: a port of 127.0.0.1.
            modules: plugin files by the URL of their code.
            without_fallbacks: send routes with Higress's fallback-cluster plugin straight to the cluster it would try first, since
                the plugin makes a stock Envoy reject the whole response.
        """
        self.backend_port = backend_port
        self.without_fallbacks = without_fallbacks
        self.modules: dict[str, str] = dict(modules or {})
        self.ports: dict[str, int] = {}

    def __call__(self, short: str, resource: bytes) -> bytes:
        """Rewrite one resource of this short type.

        Raises:
            InputError: something in it still points outside loopback.
        """
        decoded = resource_class(short).FromString(resource)
        rewrite = {"LDS": self._listener, "CDS": self._cluster, "EDS": self._assignment}.get(short)
        if rewrite is not None:
            decoded.DiscardUnknownFields()
            decoded = rewrite(decoded)
        if short == "ECDS":
            decoded = self._extension(decoded)
        if short == "RDS" and self.without_fallbacks:
            _plain_clusters(decoded)
        check_loopback(decoded)
        data: bytes = decoded.SerializeToString()
        return data

    def _listener(self, listener: Message) -> Message:
        port = self.ports.setdefault(listener.name, 0) or free_port()
        self.ports[listener.name] = port
        listener.address.socket_address.address = "127.0.0.1"
        listener.address.socket_address.port_value = port
        listener.ClearField("access_log")
        for chain in listener.filter_chains:
            for network_filter in chain.filters:
                if network_filter.typed_config.type_url.endswith(_HCM):
                    manager = message(_HCM).FromString(network_filter.typed_config.value)
                    manager.DiscardUnknownFields()
                    manager.ClearField("access_log")
                    _extractors(manager)
                    network_filter.typed_config.value = manager.SerializeToString()
            if chain.transport_socket.typed_config.type_url.endswith(_DOWNSTREAM_TLS):
                tls = message(_DOWNSTREAM_TLS).FromString(chain.transport_socket.typed_config.value)
                tls.DiscardUnknownFields()
                for secret in tls.common_tls_context.tls_certificate_sds_secret_configs:
                    # Certificates are never served here: do not hold the listener up for 15 seconds.
                    secret.sds_config.Clear()
                    secret.sds_config.ads.SetInParent()
                    secret.sds_config.resource_api_version = 2
                    secret.sds_config.initial_fetch_timeout.nanos = 50_000_000
                chain.transport_socket.typed_config.value = tls.SerializeToString()
        return listener

    def _cluster(self, cluster: Message) -> Message:
        for field in ("transport_socket", "transport_socket_matches", "metadata"):
            cluster.ClearField(field)
        kind = cluster.WhichOneof("cluster_discovery_type")
        if kind == "type" and cluster.type == 3:
            return cluster
        cluster.ClearField("cluster_type")
        static = bool(kind == "type" and cluster.type == 0 and not cluster.load_assignment.endpoints)
        cluster.type = 0
        if not static:
            cluster.load_assignment.cluster_name = cluster.name
            self._assignment(cluster.load_assignment)
        return cluster

    def _extension(self, extension: Message) -> Message:
        """Take a plugin's code from a file. Unknown fields stay: Envoy needs them, and they cannot make it connect anywhere."""
        if not extension.typed_config.type_url.endswith(_WASM):
            raise InputError(
                f"TypedExtensionConfig {extension.name!r}: {extension.typed_config.type_url} is not a plugin; remove it from the recording"
            )
        wasm = message(_WASM).FromString(extension.typed_config.value)
        code = wasm.config.vm_config.code
        if code.HasField("local") and code.local.WhichOneof("specifier") != "filename":
            raise InputError(
                f"TypedExtensionConfig {extension.name!r}: its code is inline; remove it from the recording"
            )
        url = code.remote.http_uri.uri if code.HasField("remote") else f"file://{code.local.filename}"
        file = self.modules.get(url)
        if file is not None:
            code.Clear()
            code.local.filename = file
        elif code.HasField("remote"):
            code.remote.http_uri.uri = "http://127.0.0.1/none"  # without a cluster: Envoy rejects it before it connects
        else:
            code.local.filename = "/none"
        extension.typed_config.value = wasm.SerializeToString()
        return extension

    def _assignment(self, assignment: Message) -> Message:
        for locality in assignment.endpoints:
            for endpoint in locality.lb_endpoints:
                endpoint.endpoint.ClearField("hostname")
                endpoint.endpoint.address.socket_address.Clear()
                endpoint.endpoint.address.socket_address.address = "127.0.0.1"
                endpoint.endpoint.address.socket_address.port_value = self.backend_port
        return assignment


def _plain_clusters(table: Message) -> None:
    """Replace Higress's fallback-cluster plugin with the clusters it would try first."""
    for route in (route for host in table.virtual_hosts for route in host.routes):
        action = route.route
        kind = action.WhichOneof("cluster_specifier")
        if kind == "inline_cluster_specifier_plugin":
            config = _fallbacks(action.inline_cluster_specifier_plugin)
            if config is not None:
                action.cluster = config.cluster_config.routing_cluster
        elif kind == "weighted_clusters" and _fallbacks(action.weighted_clusters.inline_cluster_specifier_plugin):
            action.weighted_clusters.ClearField("inline_cluster_specifier_plugin")


def _fallbacks(plugin: Message) -> Message:
    """The plugin's configuration, None if it is another plugin."""
    config = plugin.extension.typed_config
    return message(_FALLBACK).FromString(config.value) if config.type_url.endswith(_FALLBACK) else None


def _extractors(manager: Message) -> None:
    for fragment in manager.scoped_routes.scope_key_builder.fragments:
        kind = fragment.WhichOneof("type")
        name = {"host_value_extractor": ":authority", "local_port_value_extractor": PORT_HEADER}.get(kind)
        if kind == "header_value_extractor" and fragment.header_value_extractor.name != ":authority":
            name = PORT_HEADER
        if name is not None:
            fragment.Clear()
            fragment.header_value_extractor.name = name
            fragment.header_value_extractor.index = 0


def check_loopback(resource: Message) -> None:
    """Walk a resource and refuse whatever could connect to or resolve anything outside this machine.

    Raises:
        InputError: names the JSON path.
    """
    name = getattr(resource, "name", "") or getattr(resource, "cluster_name", "")
    _walk(to_plain(resource, []), f"{resource.DESCRIPTOR.name} {name!r}: $")


def _walk(value: Plain, path: str) -> None:
    if isinstance(value, list):
        for index, item in enumerate(value):
            _walk(item, f"{path}[{index}]")
    elif isinstance(value, dict):
        url = value.get("@type")
        if isinstance(url, str) and len(value) == 1 and url.rpartition("/")[2] not in _HARMLESS and not _modelled(url):
            raise InputError(
                f"{path}: {url} cannot be decoded, so it may point outside this machine; remove it from the recording"
            )
        for key, inner in value.items():
            if key == "socket_address" and not str(part(inner, "address")).startswith("127."):
                raise InputError(
                    f"{path}.{key}: {part(inner, 'address')!r} is not on loopback; the rewrite does not handle this field"
                )
            if key in ("path", "filename", "pipe") and "sds" in path:
                raise InputError(f"{path}.{key}: reads a local file; refused")
            _walk(inner, f"{path}.{key}")


def _modelled(url: str) -> bool:
    from xdsaudit.xds.pool import known_type

    return known_type(url) is not None


def resources_of(responses: Iterable[bytes]) -> dict[str, dict[str, bytes]]:
    """Raw resources by short type and name, from recorded responses."""
    return {
        short: {n: m[1] if isinstance(m, tuple) else m.SerializeToString() for n, m in by_name.items()}
        for short, by_name in fold(responses).items()
    }


def without_routes(resources: dict[str, dict[str, bytes]], names: Container[str]) -> dict[str, dict[str, bytes]]:
    """The resources as they were before the routes with these names were added."""
    tables = {}
    for table, data in resources.get("RDS", {}).items():
        config = resource_class("RDS").FromString(data)
        for host in config.virtual_hosts:
            for index in reversed([n for n, route in enumerate(host.routes) if route.name in names]):
                del host.routes[index]
        tables[table] = config.SerializeToString()
    return {**resources, "RDS": tables}
