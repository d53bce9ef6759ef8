"""Views: what one observation point holds, with everything Envoy-shaped reduced to what a verdict needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Final, Literal, NamedTuple

from xdsaudit.model.facts import CoreFacts, GatewayFacts, PilotFacts, ProxyState
from xdsaudit.model.plugin import Plugin, Slot
from xdsaudit.model.route import Place, Route


class ViewName(StrEnum):
    """The observation points, in the order of the pipeline; ``manifest`` is what the caller wants to be there."""

    MANIFEST = "manifest"
    INGRESS = "ingress"
    CORE = "core"
    PILOT_FRESH = "pilot_fresh"
    PILOT = "pilot"
    GATEWAY = "gateway"


PIPELINE: Final = (ViewName.CORE, ViewName.PILOT_FRESH, ViewName.PILOT, ViewName.GATEWAY)
"""The views that hold routes, in the order in which a rule passes through them."""


class State(StrEnum):
    """How far a view could be read. Nobody asked is not a gap; could not look is."""

    READ = "read"
    PARTIAL = "partial"
    UNREAD = "unread"
    NOT_ASKED = "not_asked"


class Table(NamedTuple):
    """The ordered routes that answer for one port and host.

    ``resource`` is the RouteConfiguration it stands in; ``blackhole`` marks the table pilot makes for a host
    that no VirtualService binds (virtual host ``blackhole:<port>``). A TLS connection that was made for none of the
    ``server_names``, where there are any, gets 421 (Higress's ``VirtualHost.allow_server_names``, for mutual TLS).
    """

    resource: str
    routes: tuple[Route, ...]
    blackhole: bool = False
    server_names: tuple[str, ...] = ()

    def lets_in(self, server_name: str) -> bool:
        """Whether a TLS connection that was made for a name may ask for what is here; ``*.test`` stands for any name below."""
        return not self.server_names or any(
            n in ("*", server_name) or (n.startswith("*.") and server_name.endswith(n[1:])) for n in self.server_names
        )


class Cluster(NamedTuple):
    """A cluster: how its endpoints are found and what shapes its connections (``tls`` is towards the backend)."""

    name: str
    discovery: str
    service_name: str
    static_endpoints: int
    lb_policy: str
    warming: bool = False
    http2: bool = False
    tls: bool = False


class FilterChain(NamedTuple):
    """One filter chain with an HTTP connection manager, where its routes come from, and its plugins in order.

    ``raw_paths`` says that it leaves paths as they were sent (``normalize_path: false``); Higress never does.
    """

    server_names: tuple[str, ...]
    route_config: str | None
    scoped: bool
    secrets: tuple[str, ...]
    tls: bool
    on_demand: bool = False
    slots: tuple[Slot, ...] = ()
    raw_paths: bool = False


class Doors(NamedTuple):
    """What filter chains lead to: any host in plain text, any host by TLS, the hosts that TLS chains name; whether tables come on demand."""

    plain: bool
    any_tls: bool
    named: frozenset[str]
    on_demand: bool

    def lead_to(self, host: str, *, secure: bool) -> bool:
        """Whether some filter chain leads to a host."""
        return self.any_tls or host in self.named if secure else self.plain


class Certificate(NamedTuple):
    """A certificate that a gateway shows: its DNS names, and from when to when it holds (RFC 3339)."""

    names: tuple[str, ...]
    begins: str
    ends: str

    def covers(self, host: str) -> bool:
        """Whether one of its names stands for the host; ``*`` stands for one label (RFC 6125, section 6.4.3)."""
        lowered = {n.lower() for n in self.names}
        return host.lower() in lowered or f"*.{host.lower().partition('.')[2]}" in lowered


ListenerState = Literal["active", "warming", "draining", "rejected"]
"""How far a listener is; one whose first update was refused is ``rejected`` and has nothing else."""


class Listener(NamedTuple):
    """A listener; ``error`` are Envoy's words on an update of it that it refused."""

    name: str
    port: int
    state: ListenerState
    chains: tuple[FilterChain, ...]
    error: str = ""


@dataclass(frozen=True)
class View:
    """One view of one replica.

    Attributes:
        name: the observation point.
        replica: the pod, None for the Kubernetes API.
        tables: routes by (port, host), only for places that a listener or scope leads to.
        scopes: (port, host) to RouteConfiguration name, or None where routes are not scoped.
        unbound: names of RouteConfigurations that a scope or listener asks for and the view lacks.
        clusters: by name; None when they were not read.
        endpoints: number of healthy endpoints by cluster; None when not read.
        listeners: None when not read.
        warming_secrets: names of certificates waited for; None when not read.
        certificates: by the name of their secret; None when not read.
        connected: whether the gateway is connected to a control plane; None if unknown.
        rejected: ``update_rejected`` counters above zero, by stats prefix.
        extensions: type URLs this Envoy can decode; None if unknown.
        served: number of resources by type, to tell an empty answer from none.
        plugins: plugins by ``namespace.name``; None when they were not looked up.
        pilot: what a pilot's debug pages report; None when none was read.
        gateway: what an Envoy reports of itself; None in other views.
        core: what core serves beside VirtualServices; None in other views.
    """

    name: ViewName
    replica: str | None
    tables: Mapping[Place, Table] = field(default_factory=dict)
    scopes: Mapping[Place, str] | None = None
    unbound: frozenset[str] = frozenset()
    clusters: Mapping[str, Cluster] | None = None
    endpoints: Mapping[str, int] | None = None
    listeners: tuple[Listener, ...] | None = None
    warming_secrets: frozenset[str] | None = None
    certificates: Mapping[str, Certificate] | None = None
    connected: bool | None = None
    rejected: Mapping[str, int] = field(default_factory=dict)
    extensions: frozenset[str] | None = None
    served: Mapping[str, int] = field(default_factory=dict)
    plugins: Mapping[str, Plugin] | None = None
    pilot: PilotFacts | None = None
    gateway: GatewayFacts | None = None
    core: CoreFacts | None = None

    @property
    def label(self) -> str:
        """Name for people: ``gateway higress-gateway-0``."""
        return _label(self.name, self.replica)

    @property
    def chains(self) -> Iterator[FilterChain]:
        """Filter chains of the listeners that are not draining."""
        return (c for li in self.listeners or () if li.state != "draining" for c in li.chains)

    @cached_property
    def doors(self) -> Doors:
        """Where the filter chains lead, gathered once: a gateway has as many TLS chains as hosts."""
        return Doors(
            any(not c.tls for c in self.chains),
            any(c.tls and not c.server_names for c in self.chains),
            frozenset(name for c in self.chains if c.tls for name in c.server_names),
            any(c.on_demand for c in self.chains),
        )

    @property
    def proxies(self) -> Mapping[str, ProxyState]:
        """The proxies connected to a pilot, by node; empty when its debug pages were not read."""
        return (self.pilot and self.pilot.proxies) or {}

    @property
    def own(self) -> GatewayFacts:
        """What an Envoy reports of itself; every text of it is empty in other views."""
        return self.gateway or GatewayFacts()

    def chain_secrets(self) -> dict[str, tuple[str, ...]]:
        """Names of the certificates that the filter chain of each host shows; ``*`` is the chain without server names."""
        found: dict[str, tuple[str, ...]] = {}
        for chain in self.chains:
            if chain.tls and chain.secrets:
                for host in chain.server_names or ("*",):
                    found.setdefault(host, chain.secrets)
        return found


class ViewInfo(NamedTuple):
    """How a view was read (``views`` in JSON and in a snapshot)."""

    name: ViewName
    replica: str | None
    state: State
    why: str | None = None
    read_at: str | None = None
    endpoint: str | None = None
    node_id: str | None = None

    def unread(self, why: str) -> ViewInfo:
        """The same of a view that could not be read."""
        return self._replace(state=State.UNREAD, why=why)

    def partial(self, why: str) -> ViewInfo:
        """The same of a view that was not read to the end."""
        return self._replace(state=State.PARTIAL, why=why)

    @property
    def label(self) -> str:
        """Name for people: ``gateway higress-gateway-0``."""
        return _label(self.name, self.replica)


def _label(name: ViewName, replica: str | None) -> str:
    return f"{name.value} {replica}" if replica else name.value
