"""What an Ingress names and what there is of it: Services, Secrets, McpBridges with their registries, and the ConfigMap of certificates.

Nothing is missing where nobody looked: without what is live only what the text itself shows is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Final

from xdsaudit.audit.causes import certificates, translation, written
from xdsaudit.audit.check.case import Case, Remark, whole
from xdsaudit.ingress.annotation_table import BY_KEY
from xdsaudit.ingress.annotations import HIGRESS, NGINX, look, namespaced, text
from xdsaudit.ingress.backends import parse_destinations
from xdsaudit.ingress.foreign_keys import BY_NGINX_KEY
from xdsaudit.ingress.http_route import Destination
from xdsaudit.ingress.objects import Backend, Ingress, Registry, Service
from xdsaudit.ingress.profile import Profile
from xdsaudit.ingress.registries import DISCOVERING, Registries
from xdsaudit.model.verdict import Rule, Severity

MISSING, UNREGISTERED, MISPLACED = (
    written.REFERENCE_MISSING,
    written.DESTINATION_UNREGISTERED,
    written.ANNOTATION_MISPLACED,
)
_NAME: Final = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")


def references(case: Case) -> Iterator[Remark]:
    """What the batch names in vain."""
    known = Known(case)
    for ingress in case.ingresses:
        yield from _bridges(ingress, case, known)
        yield from _targets(ingress, known)
        yield from _secrets(ingress, known)
        yield from _shapes(ingress, case)
        yield from _services_that_are_registries(ingress, known)
    yield from _misplaced(case)
    yield from _certificates(case)


class Known:
    """What is known to be there, None where nobody looked."""

    def __init__(self, case: Case) -> None:
        """Gather it from the batch and from what is live."""
        live, mine = case.live, case.mine
        self.profile: Profile = case.after.profile
        read = live is not None and live.services is not None
        self.services: Mapping[tuple[str, str], Service] | None = (
            {**((live.services if live else None) or {}), **(mine.services or {})} if read else None
        )
        self.own_services: Mapping[tuple[str, str], Service] = mine.services or {}
        self.secrets: frozenset[tuple[str, str]] | None = (
            live.secrets | (mine.secrets or frozenset()) if live is not None and live.secrets is not None else None
        )
        named = mine.registries or (live.registries if live is not None else None)
        self.registries = named
        self.bridge: Registries = Registries(named, self.profile)

    def service(self, namespace: str, name: str) -> bool | None:
        """Whether there is such a Service."""
        if (namespace, name) in self.own_services:
            return True
        return None if self.services is None else (namespace, name) in self.services


# --- McpBridges ------------------------------------------------------------------------------------------------------
def _bridges(ingress: Ingress, case: Case, known: Known) -> Iterator[Remark]:
    rule, system = whole(ingress), known.profile.system_namespace
    resources = [b.resource for b in _backends(ingress) if b.resource is not None]
    if not resources:
        return
    destinations = list(parse_destinations(ingress.annotations) or ())
    named = next((r.name for r in resources if r.kind == "McpBridge" and r.name != "default"), None)
    open_ = [d for d in destinations if not _service(d, known) and known.bridge.knows(d.host) is not True]
    if named is not None and open_:
        why = (
            f"McpBridge {named} is not read, only the one named default in {system}, and its registries make no service"
        )
        sure = Severity.ERROR if case.live is not None or case.mine.registries is not None else Severity.WARNING
        yield Remark(
            UNREGISTERED, rule, f"{rule.ref}: {why}; requests will get 503", sure, resource=f"mcpbridge/{named}"
        )
    elsewhere = bool(known.registries) and all(r.bridge not in (None, system) for r in known.registries or ())
    if elsewhere and known.registries:
        why = f"McpBridge {known.registries[0].bridge}/default is not read, only the one in {system}"
        yield Remark(UNREGISTERED, rule, f"{rule.ref}: {why}; requests will get 503", resource="mcpbridge/default")
    for each in destinations:
        reason = _unregistered(each, known, case) if named is None and not elsewhere else None
        if reason is not None:
            yield Remark(
                UNREGISTERED, rule, f"{rule.ref}: {reason}; requests will get 503", resource=f"{HIGRESS}destination"
            )
    if len(destinations) > 1 and (total := sum(d.weight for d in destinations)) != 100:
        why = f"the weights of higress.io/destination sum up to {total}, and the first line gets what the others leave of 100"
        yield Remark(written.VALUE_WITHOUT_EFFECT, rule, f"{rule.ref}: {why}", resource=f"{HIGRESS}destination")


def _service(each: Destination, known: Known) -> bool:
    """Whether a destination is a Service of the cluster, which is looked up with those of all routes."""
    return each.host.endswith(f".svc.{known.profile.domain_suffix}")


def _backends(ingress: Ingress) -> Iterator[Backend]:
    spec = ingress.spec
    if spec.defaultBackend is not None:
        yield spec.defaultBackend
    for rule in spec.rules or ():
        for path in (rule.http.paths if rule.http else None) or ():
            if path.backend is not None:
                yield path.backend


def _unregistered(each: Destination, known: Known, case: Case) -> str | None:
    """Why a destination leads nowhere, or None where it leads somewhere or nobody can tell."""
    host, port = each.host, each.port
    if "%" in host:
        return f"{host!r} in higress.io/destination is taken as a host: write a blank behind the weight"
    if _service(each, known):
        return None
    mine = [r for r in known.registries or () if r.bridge in (None, known.profile.system_namespace)]
    if not mine and case.live is None:
        return None
    offered = known.bridge.knows(host)
    if offered is None:
        return None
    if offered:
        own = known.bridge.port(host)
        if port is not None and own is not None and port != own:
            return f"{host} is registered on port {own}, not {port}: write {host}:{own}"
        return None
    own_name = next((r for r in mine if f"{r.name}.{r.type}" == host), None)
    if own_name is not None:
        return f"the registry {own_name.name} makes no service: its domain {own_name.domain!r} is not what type {own_name.type} wants"
    return f"no registry of the McpBridge default offers {host}{_near(host, port, mine)}"


def _near(host: str, port: int | None, registries: list[Registry]) -> str:
    offered = [f"{r.name}.{r.type}" for r in registries]
    same = [o for o in offered if o.rpartition(".")[0] in (host, host.rpartition(".")[0])]
    close = same or get_close_matches(host, offered, n=1, cutoff=0.7)
    if close:
        own = next(r.port for r in registries if f"{r.name}.{r.type}" == close[0])
        return f" (did you mean {close[0]}:{own or port or 80}?)"
    return f" (it offers {', '.join(offered[:5])})" if offered else ""


def _services_that_are_registries(ingress: Ingress, known: Known) -> Iterator[Remark]:
    """A Service backend whose name is a registry's: people take one for the other."""
    by_name = {r.name: r for r in known.registries or ()}
    for name in dict.fromkeys(b.service.name for b in _backends(ingress) if b.service is not None):
        registry = by_name.get(name)
        if registry is None or known.service(ingress.namespace, name):
            continue
        offered = f"{name}.{registry.type}"
        port = f":{registry.port}" if registry.port and registry.type not in DISCOVERING else ""
        why = (
            f"there is no Service {ingress.namespace}/{name}; {name} is a registry of the McpBridge default: use a resource "
            f"backend (apiGroup networking.higress.io, kind McpBridge, name default) with higress.io/destination: {offered}{port}"
        )
        sure = None if known.services is not None else Severity.WARNING
        yield Remark(
            UNREGISTERED,
            whole(ingress),
            f"{ingress.ref}: {why}",
            sure,
            resource=f"service/{name}",
        )


# --- what annotations name -------------------------------------------------------------------------------------------
def _targets(ingress: Ingress, known: Known) -> Iterator[Remark]:
    """Services that ``default-backend`` and ``mirror-target-service`` name (default_backend.go, mirror.go)."""
    rule = whole(ingress)
    for key, without in (
        ("default-backend", "the whole fallback is off"),
        ("mirror-target-service", "nothing is mirrored"),
    ):
        written = look(ingress.annotations, key, text)
        if written is None:
            continue
        target = namespaced(written.split(":")[0] if key == "mirror-target-service" else written, ingress.namespace)
        if target is None or not _NAME.fullmatch(target[1]):
            form = (
                "[NAMESPACE/]SERVICE[:PORT]"
                if key == "mirror-target-service"
                else "[NAMESPACE/]SERVICE, and takes no port"
            )
            yield Remark(
                MISSING,
                rule,
                f"{rule.ref}: {key} is {written!r}, which is no Service: it is {form}; {without}",
                resource=key,
            )
        elif known.service(*target) is False:
            yield Remark(
                MISSING,
                rule,
                f"{rule.ref}: {key} names Service {'/'.join(target)}, which does not exist; {without}",
                resource=key,
            )
        else:
            service = known.own_services.get(target) or (known.services or {}).get(target)
            if service is not None and not service.spec.ports and key == "default-backend":
                said = f"{rule.ref}: {key} names Service {'/'.join(target)}, which has no ports; {without}"
                yield Remark(MISSING, rule, said, resource=key)


def _secrets(ingress: Ingress, known: Known) -> Iterator[Remark]:
    rule = whole(ingress)
    secret = namespaced(look(ingress.annotations, "proxy-ssl-secret", text) or "", ingress.namespace)
    if secret is not None and known.secrets is not None and secret not in known.secrets:
        said = f"{rule.ref}: proxy-ssl-secret names Secret {'/'.join(secret)}, which does not exist: TLS to the backend will fail"
        yield Remark(MISSING, rule, said, resource="proxy-ssl-secret")


def _shapes(ingress: Ingress, case: Case) -> Iterator[Remark]:
    """Secrets of certificates whose keys are not those of a certificate."""
    rule = whole(ingress)
    for name in dict.fromkeys(t.secretName for t in ingress.spec.tls or () if t.secretName):
        keys = case.objects.secret_keys.get((ingress.namespace, name))
        if keys is not None and not {"tls.crt", "tls.key"} <= keys:
            said = f"Secret {ingress.namespace}/{name} has the keys {', '.join(sorted(keys))}, and a certificate needs tls.crt and tls.key"
            yield Remark(
                certificates.CERTIFICATE_WARMING,
                rule,
                f"{rule.ref}: {said}: HTTPS will fail in the handshake",
                resource=f"secret/{name}",
            )


def _misplaced(case: Case) -> Iterator[Remark]:
    """Annotations of Ingresses on Services: nobody reads them there."""
    for (namespace, name), service in (case.mine.services or {}).items():
        keys = [k for k in service.metadata.annotations or {} if _of_ingresses(k)]
        if keys:
            many = len(keys) > 1
            said = f"{', '.join(keys)} {'are' if many else 'is'} on Service {namespace}/{name}, and read on Ingresses alone"
            yield Remark(MISPLACED, Rule(namespace, name, "", "", None), said, resource=f"service/{namespace}/{name}")


def _of_ingresses(key: str) -> bool:
    prefix, slash, name = key.partition("/")
    return f"{prefix}{slash}" in (NGINX, HIGRESS) and (name in BY_KEY or name in BY_NGINX_KEY)


def _certificates(case: Case) -> Iterator[Remark]:
    """The ConfigMap ``higress-https``, where the batch brings or needs it."""
    why, system = case.after.certificates, case.after.profile.system_namespace
    brought = (system, "higress-https") in (case.mine.configmaps or {})
    asking = [i for i in case.ingresses if any(not t.secretName for t in i.spec.tls or ())]
    if why is None or not (brought or asking):
        return
    rule = Rule(system, "higress-https", "", "", None) if brought else whole(asking[0])
    said = f"ConfigMap {system}/higress-https is invalid, and no certificate of it applies: {why}"
    yield Remark(translation.CERTIFICATES_INVALID, rule, said, resource=f"configmap/{system}/higress-https")
