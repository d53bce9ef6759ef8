"""Which hosts have HTTPS, and by whose Secret (higress@v2.0.1 ingressv1/controller.go ConvertGateway, pkg/cert/config.go)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from xdsaudit.ingress.objects import Ingress, KubeObjects
from xdsaudit.ingress.profile import Profile

_CONFIG = "higress-https"


class Certificates:
    """The ConfigMap ``higress-https``: secrets by domain for hosts that no tls entry names."""

    def __init__(self, objects: KubeObjects, profile: Profile) -> None:
        """Read the ConfigMap; a missing or unreadable one gives no certificate, as in Higress."""
        self._objects = objects
        self._namespace = profile.system_namespace
        self._entries: list[tuple[list[str], str]] = []
        self._fallback = False
        found = (objects.configmaps or {}).get((self._namespace, _CONFIG))
        if found is None or not found.data:
            return
        try:
            config: Any = yaml.safe_load(found.data.get("cert", ""))
        except yaml.YAMLError:
            return
        if not isinstance(config, dict):
            return
        self._fallback = config.get("fallbackForInvalidSecret") is True
        for entry in config.get("credentialConfig") or ():
            if isinstance(entry, dict) and entry.get("tlsSecret"):
                domains = [str(d).lower() for d in entry.get("domains") or ()]
                self._entries.append((domains, str(entry["tlsSecret"])))

    def secret_of(self, ingress: Ingress, host: str) -> tuple[str, str] | None:
        """Namespace and name of the Secret this Ingress brings for this host; None means HTTP only."""
        if not ingress.spec.tls:
            return None
        name = next((t.secretName for t in ingress.spec.tls if host in (t.hosts or ["*"])), "").strip()
        if name:
            key = (ingress.namespace, name)
            absent = self._objects.secrets is not None and key not in self._objects.secrets
            return (self._by_domain(host) or key) if self._fallback and absent else key
        return self._by_domain(host)

    def _by_domain(self, host: str) -> tuple[str, str] | None:
        for domains, secret in self._entries:
            if any(_covers(d, host.lower()) for d in domains):
                namespace, slash, name = secret.partition("/")
                return (namespace, name) if slash else (self._namespace, secret)
        return None


def _covers(domain: str, host: str) -> bool:
    if domain == host or domain == "*":
        return True
    return domain.startswith("*.") and host.endswith(domain[1:]) and host != domain[1:]


def first_secrets(hosts: Iterable[tuple[Ingress, str]], certificates: Certificates) -> dict[str, tuple[str, str]]:
    """Secret by host: the oldest Ingress that brings one wins."""
    secrets: dict[str, tuple[str, str]] = {}
    for ingress, host in hosts:
        if host not in secrets:
            found = certificates.secret_of(ingress, host)
            if found is not None:
                secrets[host] = found
    return secrets
