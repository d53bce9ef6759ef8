"""Typed decoding of the Kubernetes lists that translation reads, whichever client wrote them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from xdsaudit.errors import ReadError
from xdsaudit.ingress.meta import Meta, Namespaced
from xdsaudit.ingress.plugin_objects import WasmPlugin
from xdsaudit.model.json_text import BROKEN


class BackendPort(Struct):
    """A Service's port by number or by name."""

    number: int = 0
    name: str = ""


class ServiceBackend(Struct):
    """A backend that is a Service."""

    name: str = ""
    port: BackendPort = msgspec.field(default_factory=BackendPort)


class ResourceBackend(Struct):
    """A backend that is another object, McpBridge in Higress."""

    kind: str = ""
    name: str = ""
    apiGroup: str | None = None  # noqa: N815


class Backend(Struct):
    """One of the two."""

    service: ServiceBackend | None = None
    resource: ResourceBackend | None = None


class Path(Struct):
    """One path of a rule."""

    path: str | None = None
    pathType: str | None = None  # noqa: N815
    backend: Backend | None = None


class Http(Struct):
    """Paths of a rule."""

    paths: list[Path] | None = None


class IngressRule(Struct):
    """A host and its paths."""

    host: str = ""
    http: Http | None = None


class Tls(Struct):
    """Hosts and the Secret of their certificate."""

    hosts: list[str] | None = None
    secretName: str = ""  # noqa: N815


class IngressSpec(Struct):
    """What an Ingress asks for."""

    ingressClassName: str | None = None  # noqa: N815
    rules: list[IngressRule] | None = None
    tls: list[Tls] | None = None
    defaultBackend: Backend | None = None  # noqa: N815


class Ingress(Namespaced):
    """An Ingress (networking.k8s.io/v1)."""

    spec: IngressSpec = msgspec.field(default_factory=IngressSpec)
    kind: str = "Ingress"

    @property
    def annotations(self) -> dict[str, str]:
        """Its annotations, never None."""
        return self.metadata.annotations or {}

    @property
    def changed_at(self) -> str | None:
        """Newest time the spec may have changed: creation and field managers, status left out."""
        return self.metadata.changed_at


class ServicePort(Struct):
    """A port of a Service."""

    port: int = 0
    name: str = ""


class ServiceSpec(Struct):
    """Ports and kind of a Service."""

    ports: list[ServicePort] | None = None
    type: str = "ClusterIP"


class Service(Struct):
    """A Service."""

    metadata: Meta
    spec: ServiceSpec = msgspec.field(default_factory=ServiceSpec)
    kind: str = "Service"


class Conditions(Struct):
    """Readiness of an endpoint; absent means ready."""

    ready: bool | None = None


class Endpoint(Struct):
    """Addresses that are ready or not."""

    addresses: list[str] | None = None
    conditions: Conditions | None = None


class EndpointSlice(Struct):
    """Some endpoints of a Service."""

    metadata: Meta
    endpoints: list[Endpoint] | None = None
    kind: str = "EndpointSlice"


class ConfigMap(Struct):
    """A ConfigMap."""

    metadata: Meta
    data: dict[str, str] | None = None
    kind: str = "ConfigMap"


class Named(Struct):
    """An object of which the name is enough (IngressClass, Secret)."""

    metadata: Meta
    kind: str = ""


class Secret(Struct):
    """A Secret: its name, and the names of its keys where they were read."""

    metadata: Meta
    data: dict[str, Any] | None = None
    kind: str = "Secret"


class Registry(Struct):
    """A registry of an McpBridge; ``bridge`` is the namespace of the McpBridge, which no registry writes itself."""

    name: str = ""
    type: str = ""
    domain: str = ""
    port: int = 0
    protocol: str = ""
    bridge: str | None = None


class BridgeSpec(Struct):
    """Registries of an McpBridge."""

    registries: list[Registry] | None = None


class McpBridge(Struct):
    """An McpBridge (networking.higress.io/v1)."""

    metadata: Meta
    spec: BridgeSpec = msgspec.field(default_factory=BridgeSpec)
    kind: str = "McpBridge"


T = TypeVar("T")
KINDS: Final[Mapping[str, tuple[str, type]]] = {
    "ingresses": ("Ingress", Ingress),
    "ingressclasses": ("IngressClass", Named),
    "services": ("Service", Service),
    "endpointslices": ("EndpointSlice", EndpointSlice),
    "configmaps": ("ConfigMap", ConfigMap),
    "secrets": ("Secret", Secret),
    "mcpbridges": ("McpBridge", McpBridge),
    "wasmplugins": ("WasmPlugin", WasmPlugin),
}
"""Plural to kind and type, of everything that is read."""


def decode_list(data: bytes, plural: str) -> list[Any]:
    """Items of a list, kubectl's (``List``) or the API's (``IngressList``).

    Raises:
        ReadError: not JSON, not a list of that kind, or an item of another kind; the message gives the JSON path.
    """
    kind, item = KINDS[plural]
    place = f"kube/{plural}.json"
    try:
        listing = _decoder(item).decode(data)
    except BROKEN as error:
        raise ReadError(f"{place} ({len(data)} bytes) is not a list of {kind}: {error}; capture it again") from error
    if listing.kind not in ("", "List", f"{kind}List"):
        raise ReadError(f"{place} is a {listing.kind}, expected a List or {kind}List; capture it again")
    for index, each in enumerate(listing.items or ()):
        if each.kind not in ("", kind):
            raise ReadError(f"{place}: items[{index}] is a {each.kind}, expected {kind}; capture it again")
    return listing.items or []


_DECODERS: dict[type, msgspec.json.Decoder[Any]] = {}


def _decoder(item: type) -> msgspec.json.Decoder[Any]:
    if item not in _DECODERS:
        shape = msgspec.defstruct("List", [("items", list[item] | None), ("kind", str, "")])  # type: ignore[valid-type]
        _DECODERS[item] = msgspec.json.Decoder(shape)
    return _DECODERS[item]


@dataclass(frozen=True)
class KubeObjects:
    """What the Kubernetes API holds, as far as it was read; None means that this kind was not read."""

    ingresses: tuple[Ingress, ...] = ()
    classes: frozenset[str] = frozenset()
    services: Mapping[tuple[str, str], Service] | None = None
    ready: Mapping[tuple[str, str], int] | None = None
    configmaps: Mapping[tuple[str, str], ConfigMap] | None = None
    secrets: frozenset[tuple[str, str]] | None = None
    secret_keys: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    registries: tuple[Registry, ...] | None = None
    plugins: tuple[WasmPlugin, ...] | None = None


def _key(meta: Meta) -> tuple[str, str]:
    return meta.namespace or "default", meta.name


def read_objects(kube: Mapping[str, bytes]) -> tuple[KubeObjects, list[str]]:
    """Objects of a snapshot's lists, and a complaint for every list but the Ingresses that could not be read.

    Raises:
        ReadError: the Ingresses could not be read: without them there is nothing to audit.
    """
    complaints: list[str] = []
    lists: dict[str, list[Any] | None] = {}
    for plural in KINDS:
        lists[plural] = None
        if plural in kube:
            try:
                lists[plural] = decode_list(kube[plural], plural)
            except ReadError as error:
                if plural == "ingresses":
                    raise
                complaints.append(str(error))
    services, slices, secrets = lists["services"], lists["endpointslices"], lists["secrets"]
    maps, bridges, plugins = lists["configmaps"], lists["mcpbridges"], lists["wasmplugins"]
    return (
        KubeObjects(
            ingresses=tuple(lists["ingresses"] or ()),
            classes=frozenset(c.metadata.name for c in lists["ingressclasses"] or ()),
            services=None if services is None else {_key(s.metadata): s for s in services},
            ready=None if slices is None else _ready(slices),
            configmaps=None if maps is None else {_key(c.metadata): c for c in maps},
            secrets=None if secrets is None else frozenset(_key(s.metadata) for s in secrets),
            secret_keys={_key(s.metadata): frozenset(s.data) for s in secrets or () if s.data},
            registries=None if bridges is None else _registries(bridges),
            plugins=None if plugins is None else tuple(plugins),
        ),
        complaints,
    )


def _registries(bridges: list[McpBridge]) -> tuple[Registry, ...]:
    """Registries of the McpBridges named default, each with the namespace it stands in: only the system namespace's counts."""
    mine = [b for b in bridges if b.metadata.name == "default"]
    return tuple(msgspec.structs.replace(r, bridge=b.metadata.namespace) for b in mine for r in b.spec.registries or ())


def _ready(slices: list[EndpointSlice]) -> dict[tuple[str, str], int]:
    counts: dict[tuple[str, str], int] = {}
    for each in slices:
        service = (each.metadata.labels or {}).get("kubernetes.io/service-name")
        if not service:
            continue
        key = (each.metadata.namespace or "default", service)
        good = sum(1 for e in each.endpoints or () if e.conditions is None or e.conditions.ready is not False)
        counts[key] = counts.get(key, 0) + good
    return counts
