"""Backends: what a path's backend resolves to, and why one does not."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from xdsaudit.ingress.annotations import look, text
from xdsaudit.ingress.effects import Annotations
from xdsaudit.ingress.go import fields, parse_int
from xdsaudit.ingress.http_route import Destination, Shared
from xdsaudit.ingress.objects import Backend, KubeObjects, ResourceBackend, Service
from xdsaudit.ingress.policy import TrafficPolicy
from xdsaudit.ingress.profile import BOUND_INFORMERS, Profile
from xdsaudit.ingress.registries import Registries
from xdsaudit.model.refusal import Refusal


class Resolved(Struct):
    """Destinations of a backend, or why it is refused.

    ``unknown`` names the list that would have to be read to tell.
    """

    destinations: Sequence[Destination]
    refusal: Refusal | None = None
    unknown: str | None = None


class Backends:
    """Resolves backends against one set of objects."""

    def __init__(self, objects: KubeObjects, profile: Profile) -> None:
        """Keep what is asked of again and again."""
        self._objects = objects
        self._profile = profile
        self._suffix = f".svc.{profile.domain_suffix}"
        self.registries: Registries = Registries(objects.registries, profile)

    def host(self, namespace: str, service: str) -> str:
        """Name of a Service in clusters."""
        return f"{service}.{namespace}{self._suffix}"

    def service(self, namespace: str, name: str) -> Service | None:
        """The Service as core sees it; None when it does not exist, Services were not read, or core's informers do not watch there."""
        watched = self._profile.watch_namespace
        if watched and namespace != watched and self._profile.has(BOUND_INFORMERS):
            return None
        return (self._objects.services or {}).get((namespace, name))

    def service_of(self, host: str) -> Service | None:
        """The Service that a cluster host names, as pilot sees it, which reads all namespaces."""
        name, _, rest = host.removesuffix(self._suffix).partition(".")
        return (self._objects.services or {}).get((rest, name)) if host.endswith(self._suffix) else None

    def external(self, host: str) -> bool:
        """Whether the host is a Service that is only a name for another host."""
        service = self.service_of(host)
        return service is not None and service.spec.type == "ExternalName"

    def known_to_pilot(self, host: str) -> bool | None:
        """Whether pilot knows this host as a service, by Kubernetes or by a registry; None when that was not read."""
        if host.endswith(self._suffix):
            return self.service_of(host) is not None if self.services_read else None
        return self.registries.knows(host)

    @property
    def services_read(self) -> bool:
        """Whether the list of Services was read."""
        return self._objects.services is not None

    def only_port(self, host: str) -> int | None:
        """The port of a destination written without one: the service's only port; None when that is not known."""
        service = self.service_of(host)
        if service is not None:
            ports = service.spec.ports or []
            return ports[0].port if len(ports) == 1 else None
        return self.registries.port(host)

    def qualified(self, host: str) -> str:
        """A host as pilot completes it: one without a dot is in the system namespace."""
        return host if "." in host else f"{host}.{self._profile.system_namespace}"

    @staticmethod
    def mixed(host: str, policies: Mapping[tuple[str, int | None], TrafficPolicy]) -> bool:
        """Whether policies for all ports of a host stand beside policies for some of its ports."""
        return (host, None) in policies and any(h == host and port is not None for h, port in policies)

    def resolve(
        self,
        namespace: str,
        backend: Backend | None,
        destinations: Shared | None,
        *,
        bridge_only: bool = False,
    ) -> Resolved:
        """Destinations of a backend.

        Args:
            namespace: of the Ingress.
            backend: as written.
            destinations: parsed ``higress.io/destination`` of the Ingress, shared by its paths.
            bridge_only: whether a resource must be the McpBridge ``default`` with its apiGroup (where DestinationRules and
                defaultBackends are made of it).
        """
        if backend is None:
            return Resolved([], Refusal.INVALID_BACKEND_SERVICE)
        if backend.service is not None:
            port: int | None = backend.service.port.number
            if not port:
                if not self.services_read:
                    return Resolved([], unknown="services")
                port = self.named_port(namespace, backend.service.name, backend.service.port.name)
                if port is None:
                    return Resolved([], Refusal.PORT_NAME_RESOLVE_ERROR)
            return Resolved([Destination(self.host(namespace, backend.service.name), port)])
        if destinations is None or backend.resource is None:
            return Resolved([], Refusal.INVALID_BACKEND_SERVICE)
        if bridge_only and not is_bridge(backend.resource):
            return Resolved([], Refusal.INVALID_BACKEND_SERVICE)
        return Resolved(destinations)

    def named_port(self, namespace: str, service: str, port: str) -> int | None:
        """Number of a Service's port by its name."""
        known = self.service(namespace, service)
        return next((p.port for p in (known.spec.ports or () if known else ()) if p.name == port), None)


def is_bridge(resource: ResourceBackend | None) -> bool:
    """Whether a resource is the McpBridge that counts (higress@v2.0.1 pkg/ingress/kube/common/tool.go ValidateBackendResource)."""
    return resource is not None and (resource.apiGroup, resource.kind, resource.name) == (
        "networking.higress.io",
        "McpBridge",
        "default",
    )


_LARGEST: Final = (1 << 32) - 1


def parse_destinations(annotations: Annotations) -> Shared | None:
    """Destinations of ``higress.io/destination``, or None when it is absent, blank or one of its lines is bad.

    higress@v2.0.1 pkg/ingress/kube/annotations/destination.go Parse: lines ``[W%] host[:port] [subset]``; a bad line drops all, lines
    of blanks alone make an empty list. A port out of range stays in the host and is the port as well; 0 stays in the host alone.
    """
    written = look(annotations, "destination", text)
    if written is None:
        return None
    destinations = []
    for line in written.split("\n"):
        words = fields(line)
        if not words:
            continue
        weight = 100
        if words[0].endswith("%"):
            share = parse_int(words[0].removesuffix("%"), 32)
            if share is None:
                return None
            weight, words = share, words[1:]
        if not words:
            return None
        host, colon, digits = words[0].rpartition(":")
        port = min(int(digits), _LARGEST) if colon and re.fullmatch(r"[0-9]+", digits) else 0
        inside = 0 < port < 65536
        subset = words[1] if len(words) > 1 else ""
        destinations.append(Destination(host if inside else words[0], port or None, subset, weight))
    return Shared(destinations)
