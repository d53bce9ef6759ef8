"""The route of one path while it is being translated: Higress's HTTPRoute, before pilot makes Envoy routes of it.

Mutable on purpose and private to translation: later Ingresses add canaries and fallbacks to what earlier ones made.
"""

from __future__ import annotations

import copy
import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, overload

from msgspec import Struct

from xdsaudit.ingress.go import int32
from xdsaudit.model.plain import Plain
from xdsaudit.model.route import HeaderMatch, MatchKey

if TYPE_CHECKING:
    from xdsaudit.ingress.expectation import RuleIndex

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


class Destination(Struct):
    """Where a share of the requests goes. Paths of one Ingress share the objects of its ``destination`` annotation."""

    host: str
    port: int | None
    subset: str = ""
    weight: int = 100
    fallbacks: tuple[tuple[str, int | None, str], ...] = ()
    request: HeaderOps | None = None
    response: HeaderOps | None = None


class Shared(Sequence[Destination]):
    """The destinations of one Ingress's annotation, as Go's slice that all its paths hold.

    A weight canary is appended to a path's slice. Where the array behind it has room left (three destinations in room for four), the
    canary of one path is written over that of another.
    """

    def __init__(self, items: Sequence[Destination], array: list[Destination] | None = None) -> None:
        """Hold these, in an array of their own unless one is given."""
        self._array = list(items) if array is None else array
        self._length = len(items)
        self._room = 1 << max(self._length - 1, 0).bit_length()

    def appended(self, added: Destination) -> Shared:
        """Go's ``append`` of one."""
        array = self._array if self._length < self._room else self._array[: self._length]
        array[self._length :] = [added]
        return Shared(array, array)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Destination]:
        return iter(self._array[: self._length])

    @overload
    def __getitem__(self, index: int) -> Destination: ...

    @overload
    def __getitem__(self, index: slice) -> list[Destination]: ...

    def __getitem__(self, index: int | slice) -> Destination | list[Destination]:
        return self._array[: self._length][index]

    def __deepcopy__(self, memo: dict[int, object]) -> list[Destination]:
        return [copy.deepcopy(d, memo) for d in self]


def appended(destinations: Sequence[Destination], added: Destination) -> Sequence[Destination]:
    """These and one more, as Go's ``append`` makes them."""
    return destinations.appended(added) if isinstance(destinations, Shared) else [*destinations, added]


class Fallback(NamedTuple):
    """The Service of ``default-backend`` and the codes of ``custom-http-errors``, None where none is written that parses."""

    service: tuple[str, str]
    host: str
    port: int
    codes: tuple[int, ...] = ()


PathType = Literal["exact", "prefix", "prefixRegex", "fullPathRegex", ""]
"""Effective type of a path, in Higress's words."""


class Work(Struct):
    """One HTTPRoute.

    Attributes:
        name: route name, the Ingress's.
        rules: indices of the rules that are in effect through it.
        path_type: how it matches; "" for generated routes.
        origin: the path as it counts for order.
        uris: keys of Envoy's path matchers, in order, without any further condition; a default route has one, ``prefix /``.
        default: it came from a defaultBackend.
        fields: canonical fields that annotations put on it; shared by routes, so that nothing may change them in place.
        uncertain: fields that cannot be known from what was read.
        fallback: of the Ingress it came from.
    """

    name: str
    rules: tuple[RuleIndex, ...]
    path_type: PathType
    origin: str
    uris: tuple[MatchKey, ...]
    destinations: Sequence[Destination]
    default: bool = False
    ignore_case: bool = False
    method: str = ""
    headers: list[HeaderMatch] | tuple[()] = ()
    query: list[HeaderMatch] | tuple[()] = ()
    redirect: dict[str, Plain] | None = None
    https_redirect: bool = False
    rewrite: dict[str, Plain] | None = None
    host_rewrite: str | None = None
    fields: dict[str, Plain] = {}
    request: HeaderOps | None = None
    response: HeaderOps | None = None
    weight_total: int = 0
    uncertain: frozenset[str] = frozenset()
    fallback: Fallback | None = None

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


def _share(weight: int, total: int) -> int:
    """``int32(float32(weight) / float32(total) * 100)`` as amd64 does it: what does not fit is the smallest int32."""
    if total == 0:
        return -(1 << 31)
    product = _f32(_f32(_f32(float(weight)) / _f32(float(total))) * 100)
    return math.trunc(product) if -(1 << 31) <= product < 1 << 31 else -(1 << 31)


def normalise(destinations: Sequence[Destination], declared_total: int) -> None:
    """Weights to percentages of 100 as Higress does, in single precision; the first gets what is left.

    higress@v2.0.1 pkg/ingress/config/ingress_config.go normalizeWeightedCluster. The result for a total of zero depends on the
    processor; amd64's is given.
    """
    if len(destinations) == 1:
        destinations[0].weight = 100
        return
    rest = destinations[1:]
    total = max(int32(sum(d.weight for d in rest)), declared_total)
    used = 0
    for each in rest:
        each.weight = _share(each.weight, total)
        used += each.weight
    destinations[0].weight = int32(100 - int32(used))


def undetermined(destinations: Sequence[Destination], declared_total: int) -> bool:
    """Whether the weights of these depend on the processor of the controller."""
    return len(destinations) > 1 and max(int32(sum(d.weight for d in destinations[1:])), declared_total) == 0
