"""Listeners of a config dump: their states, their filter chains, and the parts that decide about routes and plugins."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from xdsaudit.envoy.plugins import read_slots
from xdsaudit.model.plain import Plain, as_list, as_mapping, as_mappings, as_text, part
from xdsaudit.model.view import FilterChain, Listener, ListenerState


class _SocketAddress(Struct):
    port_value: int = 0


class _Address(Struct):
    socket_address: _SocketAddress = msgspec.field(default_factory=_SocketAddress)


class _ListenerMessage(Struct):
    name: str = ""
    address: _Address = msgspec.field(default_factory=_Address)
    filter_chains: list[dict[str, object]] = []
    default_filter_chain: dict[str, object] | None = None


class _ListenerState(Struct):
    listener: _ListenerMessage | None = None


class _ErrorState(Struct):
    details: str = ""


class DynamicListener(Struct):
    """A listener in each of its states."""

    name: str = ""
    active_state: _ListenerState | None = None
    warming_state: _ListenerState | None = None
    draining_state: _ListenerState | None = None
    error_state: _ErrorState | None = None


def read_listener(entry: DynamicListener) -> Listener | None:
    """The listener in its first state present; None for an entry without any."""
    states: tuple[tuple[ListenerState, _ListenerState | None], ...] = (
        ("active", entry.active_state),
        ("warming", entry.warming_state),
        ("draining", entry.draining_state),
    )
    for name, state in states:
        if state is not None and state.listener is not None:
            message = state.listener
            chains = [*message.filter_chains]
            if message.default_filter_chain is not None:
                chains.append(message.default_filter_chain)
            return Listener(
                entry.name or message.name,
                message.address.socket_address.port_value,
                name,
                tuple(c for each in chains if (c := _chain(as_mapping(each))) is not None),
                entry.error_state.details if entry.error_state else "",
            )
    if entry.error_state is not None:
        return Listener(entry.name, 0, "rejected", (), entry.error_state.details)
    return None


def _chain(chain: Mapping[str, Plain]) -> FilterChain | None:
    configs = (as_mapping(f.get("typed_config")) for f in as_mappings(chain.get("filters")))
    manager = next((c for c in configs if str(c.get("@type")).endswith(".HttpConnectionManager")), None)
    if manager is None:
        return None
    filters = as_mappings(manager.get("http_filters"))
    route_config = part(manager, "rds", "route_config_name")
    secrets = part(
        chain, "transport_socket", "typed_config", "common_tls_context", "tls_certificate_sds_secret_configs"
    )
    return FilterChain(
        tuple(as_text(name) for name in as_list(part(chain, "filter_chain_match", "server_names"))),
        None if route_config is None else as_text(route_config),
        "scoped_routes" in manager,
        tuple(as_text(s.get("name")) for s in as_mappings(secrets)),
        "transport_socket" in chain,
        any(f.get("name") == "envoy.filters.http.on_demand" for f in filters),
        read_slots(filters),
        manager.get("normalize_path") is False,
    )
