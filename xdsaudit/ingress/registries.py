"""Registries of the McpBridge ``default``: which hosts they make known, by which rules, and which they may.

Knows nothing of Ingresses; asks no registry.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Final

from xdsaudit.ingress.objects import Registry
from xdsaudit.ingress.profile import BRACKETED_IPV6, LONG_DOMAINS, SHORT_DOMAINS, Profile

_DIRECT: Final = frozenset({"static", "dns"})
DISCOVERING: Final = ("nacos", "zookeeper", "consul", "eureka")
_LABELS: Final = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)+"
_SHORT_DOMAIN: Final = re.compile(_LABELS + r"[a-zA-Z]{2,6}")
_DOMAIN: Final = re.compile(_LABELS + r"[a-zA-Z]{2,63}")
_SECURE: Final = frozenset({"HTTPS", "GRPCS"})


class Registries:
    """What the registries of one McpBridge make known to pilot."""

    def __init__(self, registries: Iterable[Registry] | None, profile: Profile) -> None:
        """Keep those of the system namespace's McpBridge; None means that McpBridges were not read."""
        self._read = registries is not None
        mine = [r for r in registries or () if profile.sees_bridges and r.bridge in (None, profile.system_namespace)]
        self._direct = {f"{r.name}.{r.type}": r for r in mine if r.type in _DIRECT}
        self._suffixes = {d for r in mine for d in DISCOVERING if r.type.startswith(d)}
        self._profile = profile

    def knows(self, host: str) -> bool | None:
        """Whether pilot has a service of this name from a registry; None when only the registry itself could tell."""
        if not self._read:
            return None
        registry = self._direct.get(host)
        if registry is not None:
            return makes_service(registry, self._profile)
        return None if host.rpartition(".")[2] in self._suffixes else False

    def port(self, host: str) -> int | None:
        """The port of the service that a static or dns registry makes; None when it makes none, or may not."""
        registry = self._direct.get(host)
        return registry.port if registry is not None and self.knows(host) else None

    def secure(self, host: str) -> bool:
        """Whether the registry asks for TLS to its endpoints."""
        registry = self._direct.get(host)
        return registry is not None and registry.protocol.upper() in _SECURE

    @property
    def hosts(self) -> frozenset[str]:
        """Hosts that must be known to core as ServiceEntries."""
        return frozenset(host for host in self._direct if self.knows(host))


def makes_service(registry: Registry, profile: Profile) -> bool | None:
    """Whether a static or dns registry makes a service: one bad endpoint, and it makes none.

    None where it depends on a version between those whose rule is known.
    """
    answers = [_endpoint(each, registry.type, profile) for each in registry.domain.split(",")]
    return False if False in answers else None if None in answers else True


def _endpoint(text: str, kind: str, profile: Profile) -> bool | None:
    if kind == "static":
        return _address(text, profile)
    if _SHORT_DOMAIN.fullmatch(text):
        return True
    if not _DOMAIN.fullmatch(text):
        return False
    return True if profile.has(LONG_DOMAINS) else False if profile.has(SHORT_DOMAINS) else None


def _address(text: str, profile: Profile) -> bool:
    if text.startswith("[") and profile.has(BRACKETED_IPV6):
        host, bracket, port = text[1:].rpartition("]")
        if not bracket or not port.startswith(":"):
            return False
        port = port[1:]
    else:
        host, *ports = text.split(":")
        if len(ports) != 1:
            return False
        port = ports[0]
    if not re.fullmatch(r"[0-9]+", port) or int(port) >= 1 << 32:
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return "%" not in host
