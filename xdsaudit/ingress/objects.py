"""Typed decoding of the Kubernetes lists that translation reads, whichever client wrote them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

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


class IngressClass(Struct):
    """An IngressClass: its name is enough."""

    metadata: Meta
    kind: str = "IngressClass"


class Secret(Struct):
    """A Secret: its name, and the names of its keys where they were read."""

    metadata: Meta
    data: dict[str, object] | None = None
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


class _Item(Protocol):
    """What every object has."""

    metadata: Meta
    kind: str


T = TypeVar("T", bound=_Item)


class _Listing(Struct, Generic[T]):
    items: list[T] | None = None
    kind: str = ""


KINDS: Final[Mapping[str, tuple[str, type]]] = {
    "ingresses": ("Ingress", Ingress),
    "ingressclasses": ("IngressClass", IngressClass),
    "services": ("Service", Service),
    "endpointslices": ("EndpointSlice", EndpointSlice),
    "configmaps": ("ConfigMap", ConfigMap),
    "secrets": ("Secret", Secret),
    "mcpbridges": ("McpBridge", McpBridge),
    "wasmplugins": ("WasmPlugin", WasmPlugin),
}
"""Plural to kind and type, of everything that is read."""
_NAMES: Final[Mapping[type, tuple[str, str]]] = {item: (plural, kind) for plural, (kind, item) in KINDS.items()}


def decode_list(data: bytes, item: type[T]) -> list[T]:
    """Items of a list of one of ``KINDS``, kubectl's (``List``) or the API's (``IngressList``).

    Raises:
        ReadError: not JSON, not a list of that kind, or an item of another kind; the message gives the JSON path.
    """
    plural, kind = _NAMES[item]
    place = f"kube/{plural}.json"
    try:
        listing: _Listing[T] = msgspec.json.decode(data, type=_Listing[item])  # type: ignore[valid-type]
    except BROKEN as error:
        raise ReadError(f"{place} ({len(data)} bytes) is not a list of {kind}: {error}; capture it again") from error
    if listing.kind not in ("", "List", f"{kind}List"):
        raise ReadError(f"{place} is a {listing.kind}, expected a List or {kind}List; capture it again")
    for index, each in enumerate(listing.items or ()):
        if each.kind not in ("", kind):
            raise ReadError(f"{place}: items[{index}] is a {each.kind}, expected {kind}; capture it again")
    return listing.items or []


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

    def listed(plural: str, item: type[T]) -> list[T] | None:
        try:
            return decode_list(kube[plural], item) if plural in kube else None
        except ReadError as error:
            complaints.append(str(error))
            return None

    ingresses = decode_list(kube["ingresses"], Ingress) if "ingresses" in kube else ()
    classes = listed("ingressclasses", IngressClass)
    services = listed("services", Service)
    slices = listed("endpointslices", EndpointSlice)
    maps = listed("configmaps", ConfigMap)
    secrets = listed("secrets", Secret)
    bridges = listed("mcpbridges", McpBridge)
    plugins = listed("wasmplugins", WasmPlugin)
    return (
        KubeObjects(
            ingresses=tuple(ingresses),
            classes=frozenset(c.metadata.name for c in classes or ()),
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
