"""The controller's version and options, as data: what of them decides how an Ingress becomes routes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec

from xdsaudit.errors import ReadError
from xdsaudit.ingress.go import parse_bool
from xdsaudit.model.plain import Plain

Version = tuple[int, int, int]
DEFAULT_VERSION: Final = (2, 0, 1)
TESTED: Final = ((2, 0, 0), (2, 2, 1))
"""The versions whose rules are known: held against 2.0.1 and 2.1.9, and against the source of those between and up to 2.2.1."""


class Behaviour(NamedTuple):
    """Something that Higress does from one version on, or up to one; ``source`` tells where it was seen."""

    name: str
    since: Version
    source: str
    until: Version | None = None


TEMPLATES: Final = Behaviour(
    "templates ${...} in annotations and paths", (2, 1, 0), "pkg/ingress/config/template_processor.go"
)
STRICT_TEMPLATES: Final = Behaviour(
    "no / in the parts of a template", (2, 2, 0), "pkg/ingress/config/template_processor.go"
)
BOUND_INFORMERS: Final = Behaviour(
    "informers see the watched namespace alone", (2, 1, 0), "pkg/ingress/kube/ingressv1/controller.go"
)
MIRROR_FQDN: Final = Behaviour("mirror-target-fqdn", (2, 1, 6), "pkg/ingress/kube/annotations/mirror.go")
MCP_SSE: Final = Behaviour("load-balance: mcp-sse", (2, 1, 7), "pkg/ingress/kube/annotations/loadbalance.go")
SOURCE_IP: Final = Behaviour(
    "$remote_addr hashes by source address", (2, 1, 8), "pkg/ingress/kube/annotations/loadbalance.go"
)
REGISTRY_TLS: Final = Behaviour(
    "TLS of a registry joins an Ingress's DestinationRule", (2, 0, 2), "pkg/ingress/config/ingress_config.go"
)
SHORT_DOMAINS: Final = Behaviour(
    "the last label of a registry's domain has at most six letters",
    (1, 0, 0),
    "registry/direct/watcher.go generateServiceEntry",
    until=(2, 0, 2),
)
LONG_DOMAINS: Final = Behaviour(
    "the last label of a registry's domain may be of any length; when that came after 2.0.1 is not known",
    (2, 1, 9),
    "registry/direct/watcher.go generateServiceEntry",
)
BRACKETED_IPV6: Final = Behaviour("addresses of registries as [IPv6]:port", (2, 2, 0), "registry/direct/watcher.go")
EXTERNAL_ALIAS: Final = Behaviour("ExternalName Services may be aliases", (2, 2, 0), "istio 1.27")
ALL_CONDITIONS: Final = Behaviour(
    "a plugin's match rule keeps all kinds of conditions that it has", (2, 0, 4), "pkg/ingress/config/ingress_config.go"
)
ROUTE_TYPES: Final = Behaviour("routeType of a plugin's match rule", (2, 2, 0), "pkg/ingress/config/ingress_config.go")
ROUTE_CACHE_RACE: Final = Behaviour(
    "pilot may cache a route table that is older than its key",
    (2, 0, 0),
    "higress#1547, mended in 2.0.4",
    until=(2, 0, 4),
)
DOTLESS_PANIC: Final = Behaviour(
    "weights over a host without a dot stop the controller",
    (2, 0, 0),
    "pkg/ingress/kube/common/tool.go ConvertBackendService",
    until=(2, 1, 8),
)


@dataclass(frozen=True)
class Profile:
    """Options of one Higress.

    Attributes:
        version: of the controller.
        ingress_class: ``--ingressClass``; ``""`` takes every Ingress, ``nginx`` also those without a class.
        watch_namespace: ``--watchNamespace``, "" for all.
        system_namespace: POD_NAMESPACE of the controller; route names of its Ingresses carry no namespace.
        domain_suffix: of the cluster.
        scoped_rds: ENBALE_SCOPED_RDS (sic): a RouteConfiguration per port and host.
        merge_subset: HOST_RDS_MERGE_SUBSET: routes of covering wildcard hosts are appended.
        on_demand_rds: ON_DEMAND_RDS: a gateway asks for a table when a request comes.
        http_port: of the Gateway's HTTP server.
        https_port: of its HTTPS server.
        assumed: what was assumed because it is unknown, for people.
    """

    version: Version = DEFAULT_VERSION
    ingress_class: str = "higress"
    watch_namespace: str = ""
    system_namespace: str = "higress-system"
    domain_suffix: str = "cluster.local"
    scoped_rds: bool = True
    merge_subset: bool = False
    on_demand_rds: bool = False
    http_port: int = 80
    https_port: int = 443
    assumed: tuple[str, ...] = ()

    def has(self, behaviour: Behaviour) -> bool:
        """Whether this version does it."""
        return behaviour.since <= self.version and (behaviour.until is None or self.version < behaviour.until)

    @property
    def tested(self) -> bool:
        """Whether the rules of this version are known."""
        return TESTED[0] <= self.version <= TESTED[1]

    @property
    def known_version(self) -> tuple[int, int, int] | None:
        """The version, or None where it was assumed."""
        return None if any(said.startswith("controller version") for said in self.assumed) else self.version

    def watches(self, namespace: str) -> bool:
        """Whether the controller reads Ingresses of this namespace."""
        return not self.watch_namespace or namespace == self.watch_namespace

    @property
    def sees_bridges(self) -> bool:
        """Whether the controller reads McpBridges, which it takes from its own namespace alone."""
        return not self.has(BOUND_INFORMERS) or self.watches(self.system_namespace)


_OPTIONS: Final = (
    ("ingress_class", "ingress_class"),
    ("watch_namespace", "watch_namespace"),
    ("system_namespace", "system_namespace"),
    ("domain_suffix", "domain_suffix"),
    ("scoped_rds", "scoped_rds"),
    ("host_rds_merge_subset", "merge_subset"),
    ("on_demand_rds", "on_demand_rds"),
    ("http_port", "http_port"),
    ("https_port", "https_port"),
)
_SWITCHES: Final = frozenset({"scoped_rds", "merge_subset", "on_demand_rds"})
_SAID: Final = {
    "ingress_class": "the controller takes the class higress (--ingress-class says another)",
    "system_namespace": "the controller is in the namespace higress-system (--system-namespace says another)",
    "host_rds_merge_subset": "the routes of a wildcard host are not appended to those of the hosts it covers (--merge-subset: they are)",
}
"""What is said of an option that nothing tells."""


def parse_version(text: str) -> Version | None:
    """``v2.0.1`` or ``2.1`` as numbers; None for anything else."""
    match = re.match(r"^v?(\d+)\.(\d+)(?:\.(\d+))?", text)
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else None


def profile_of(controller: Mapping[str, Plain], *, scoped: bool | None = None) -> Profile:
    """Profile from what a snapshot says of its controller, and what had to be assumed.

    Args:
        controller: ``controller`` of snapshot.json.
        scoped: what the control plane was seen to serve, for a snapshot that does not tell.

    Raises:
        ReadError: an option is of another type than Higress's.
    """
    values: dict[str, object] = {}
    assumed = []
    version = parse_version(str(controller.get("version") or ""))
    if version is None:
        assumed.append(f"controller version {'.'.join(map(str, DEFAULT_VERSION))} (--controller-version says another)")
    else:
        values["version"] = version
    for key, name in _OPTIONS:
        value = controller.get(key)
        if isinstance(value, str) and name in _SWITCHES:
            value = parse_bool(value)  # of a container's environment; istio takes what is no switch as not set
        if value is None and key == "scoped_rds" and scoped is not None:
            value = scoped
        if value is not None:
            values[name] = value
        elif key in _SAID:
            assumed.append(_SAID[key])
    try:
        return msgspec.convert({**values, "assumed": tuple(assumed)}, Profile)
    except msgspec.ValidationError as error:
        raise ReadError(f"snapshot.json: what it says of its controller cannot be used: {error}; correct it") from error


def untested(profile: Profile) -> list[str]:
    """What to tell people whose controller's rules are not known, in a sentence; empty for a version that is known."""
    if profile.tested:
        return []
    used = TESTED[1] if profile.version > TESTED[1] else TESTED[0]
    version, rules = (".".join(map(str, v)) for v in (profile.version, used))
    return [f"Higress {version} was not tested: the rules of {rules} are used for it"]
