"""The route of one path while it is being translated: Higress's HTTPRoute, before pilot makes Envoy routes of it.

Mutable on purpose and private to translation: later Ingresses add canaries and fallbacks to what earlier ones made.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any, Final

from xdsaudit.model.route import HeaderMatch

Uri = tuple[str, str]
FALLBACK_TYPE: Final = (
    "type.googleapis.com/envoy.extensions.custom_cluster_plugins.cluster_fallback.v3.ClusterFallbackConfig"
)


@dataclass
class HeaderOps:
    """Header operations of one direction."""

    update: dict[str, str] = field(default_factory=dict)
    add: dict[str, str] = field(default_factory=dict)
    remove: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.update or self.add or self.remove)


@dataclass(slots=True)
class Destination:
    """Where a share of the requests goes. Paths of one Ingress share the objects of its ``destination`` annotation."""

    host: str
    port: int | None
    subset: str = ""
    weight: int = 100
    fallbacks: list[tuple[str, int | None]] = field(default_factory=list)
    request: HeaderOps | None = None
    response: HeaderOps | None = None


@dataclass(slots=True)
class Work:
    """One HTTPRoute.

    Attributes:
        name: route name, the Ingress's.
        rules: indices of the rules that are in effect through it.
        path_type: ``exact``, ``prefix``, ``prefixRegex``, ``fullPathRegex`` or "" for generated routes.
        origin: the path as it counts for order.
        uris: Envoy's path matchers, in order; a default route has one, ``prefix /``.
        default: it came from a defaultBackend.
        fields: canonical fields that annotations put on it.
        uncertain: fields that cannot be known from what was read.
    """

    name: str
    rules: list[int]
    path_type: str
    origin: str
    uris: list[Uri]
    destinations: list[Destination]
    default: bool = False
    ignore_case: bool = False
    method: str = ""
    headers: list[HeaderMatch] | tuple[()] = ()
    query: list[HeaderMatch] | tuple[()] = ()
    redirect: dict[str, Any] | None = None
    https_redirect: bool = False
    rewrite: dict[str, Any] | None = None
    host_rewrite: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    request: HeaderOps | None = None
    response: HeaderOps | None = None
    weight_total: int = 0
    uncertain: frozenset[str] = frozenset()

    @property
    def length(self) -> int:
        """Length of the path in bytes, which counts for order."""
        return len(self.origin) if self.origin.isascii() else len(self.origin.encode())

    @property
    def catch_all(self) -> bool:
        """Prefix ``/`` without any further condition."""
        return self.path_type == "prefix" and self.origin == "/" and not (self.headers or self.query or self.method)


def _f32(value: float) -> float:
    result: float = struct.unpack("f", struct.pack("f", value))[0]
    return result


def normalise(destinations: list[Destination], declared_total: int) -> None:
    """Weights to percentages of 100 as Higress does, in single precision; the first gets what is left.

    higress@v2.0.1 pkg/ingress/kube/util normalizeWeightedCluster.
    """
    if len(destinations) == 1:
        destinations[0].weight = 100
        return
    rest = destinations[1:]
    total = max(sum(d.weight for d in rest), declared_total)
    used = 0
    for each in rest:
        share = _f32(_f32(float(each.weight)) / _f32(float(total))) if total else 0.0
        each.weight = int(_f32(share * 100))
        used += each.weight
    destinations[0].weight = 100 - used
