"""Backends: what a path's backend resolves to, and why one does not."""

from __future__ import annotations

import re
from typing import NamedTuple

from xdsaudit.ingress.annotations import look, text
from xdsaudit.ingress.effects import Annotations
from xdsaudit.ingress.http_route import Destination
from xdsaudit.ingress.objects import Backend, KubeObjects, Service
from xdsaudit.ingress.profile import Profile

INVALID = "invalid-backend-service"
UNRESOLVED = "port-name-resolve-error"
_WEIGHT = re.compile(r"^(\S+)%$")


class Resolved(NamedTuple):
    """Destinations of a backend, or the slug of its refusal.

    ``unknown`` names the list that would have to be read to tell.
    """

    destinations: list[Destination]
    slug: str | None = None
    unknown: str | None = None


class Backends:
    """Resolves backends against one set of objects."""

    def __init__(self, objects: KubeObjects, profile: Profile) -> None:
        """Keep what is asked of again and again."""
        self._objects = objects
        self._profile = profile
        self._suffix = f".svc.{profile.domain_suffix}"

    def host(self, namespace: str, service: str) -> str:
        """Name of a Service in clusters."""
        return f"{service}.{namespace}{self._suffix}"

    def service(self, namespace: str, name: str) -> Service | None:
        """The Service, or None when it does not exist, Services were not read, or the controller cannot see it."""
        watched = self._profile.watch_namespace
        if watched and namespace != watched and self._profile.version >= (2, 1, 0):
            return None  # since 2.1.0 the informers themselves are bound to the namespace
        return (self._objects.services or {}).get((namespace, name))

    def service_of(self, host: str) -> Service | None:
        """The Service that a cluster host names."""
        name, _, rest = host.removesuffix(self._suffix).partition(".")
        return self.service(rest, name) if host.endswith(self._suffix) else None

    def external(self, host: str) -> bool:
        """Whether the host is a Service that is only a name for another host."""
        service = self.service_of(host)
        return service is not None and service.spec.type == "ExternalName"

    def known_to_pilot(self, host: str) -> bool | None:
        """Whether pilot knows this host as a service, by Kubernetes or by a registry; None when that was not read."""
        if host.endswith(self._suffix):
            return self.service_of(host) is not None if self.services_read else None
        if self._objects.registries is None:
            return None
        return any(f"{r.name}.{r.type}" == host for r in self._objects.registries)

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
        ports_of = {r.port or 80 for r in self._objects.registries or () if f"{r.name}.{r.type}" == host}
        return ports_of.pop() if len(ports_of) == 1 else None

    def resolve(
        self,
        namespace: str,
        backend: Backend | None,
        destinations: list[Destination] | None,
        *,
        bridge_only: bool = False,
    ) -> Resolved:
        """Destinations of a backend.

        Args:
            namespace: of the Ingress.
            backend: as written.
            destinations: parsed ``higress.io/destination`` of the Ingress, shared by its paths.
            bridge_only: whether a resource must be the McpBridge ``default`` (a defaultBackend must).
        """
        if backend is None:
            return Resolved([], INVALID)
        if backend.service is not None:
            port: int | None = backend.service.port.number
            if not port:
                if not self.services_read:
                    return Resolved([], unknown="services")
                port = self.named_port(namespace, backend.service.name, backend.service.port.name)
                if port is None:
                    return Resolved([], UNRESOLVED)
            return Resolved([Destination(self.host(namespace, backend.service.name), port)])
        if destinations is None or backend.resource is None:
            return Resolved([], INVALID)
        if bridge_only and (backend.resource.kind, backend.resource.name) != ("McpBridge", "default"):
            return Resolved([], INVALID)
        return Resolved(destinations)

    def named_port(self, namespace: str, service: str, port: str) -> int | None:
        """Number of a Service's port by its name."""
        found = self.service(namespace, service)
        return next((p.port for p in (found.spec.ports or () if found else ()) if p.name == port), None)


def parse_destinations(annotations: Annotations) -> list[Destination] | None:
    """Destinations of ``higress.io/destination``, or None when it is absent or one of its lines is bad.

    higress@v2.0.1 pkg/ingress/kube/annotations/destination.go: lines ``[W%] host[:port] [subset]``; a bad line drops all.
    """
    written = look(annotations, "destination", text)
    if written is None:
        return None
    lines = [line.split() for line in written.split("\n") if line.strip()]
    found = []
    for line in lines:
        words = line
        weight = 100 if len(lines) == 1 else 0
        weighted = _WEIGHT.match(words[0])
        if weighted:
            if not re.fullmatch(r"[+-]?\d{1,9}", weighted[1]):
                return None
            weight, words = int(weighted[1]), words[1:]
        if not words:
            return None
        host, colon, port = words[0].rpartition(":")
        number = int(port) if colon and re.fullmatch(r"\d{1,5}", port) and int(port) <= 65535 else None
        subset = words[1] if len(words) > 1 else ""
        found.append(Destination(host if number is not None else words[0], number, subset, weight))
    return found or None
