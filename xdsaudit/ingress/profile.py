"""The controller's version and options, as data: what of them decides how an Ingress becomes routes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

DEFAULT_VERSION: Final = (2, 0, 1)


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
        assumed: what was assumed because nothing told it, for people.
    """

    version: tuple[int, int, int] = DEFAULT_VERSION
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

    def watches(self, namespace: str) -> bool:
        """Whether the controller reads Ingresses of this namespace."""
        return not self.watch_namespace or namespace == self.watch_namespace


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
_SAID: Final = frozenset({"ingress_class", "system_namespace", "host_rds_merge_subset"})


def parse_version(text: str) -> tuple[int, int, int] | None:
    """``v2.0.1`` or ``2.1`` as numbers; None for anything else."""
    found = re.match(r"^v?(\d+)\.(\d+)(?:\.(\d+))?", text)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None


def profile_of(controller: Mapping[str, Any], *, scoped: bool | None = None) -> Profile:
    """Profile from what a snapshot tells of its controller, and what had to be assumed.

    Args:
        controller: ``controller`` of snapshot.json.
        scoped: what the control plane was seen to serve, for a snapshot that does not tell.
    """
    values: dict[str, Any] = {}
    assumed = []
    version = parse_version(str(controller.get("version") or ""))
    if version is None:
        assumed.append(f"controller version {'.'.join(map(str, DEFAULT_VERSION))}")
    else:
        values["version"] = version
    for key, name in _OPTIONS:
        value = controller.get(key)
        if value is None and key == "scoped_rds" and scoped is not None:
            value = scoped
        if value is not None:
            values[name] = value
        elif key in _SAID:
            assumed.append(f"{key.replace('_', ' ')} {getattr(Profile, name)!r}")
    return Profile(**values, assumed=tuple(assumed))
