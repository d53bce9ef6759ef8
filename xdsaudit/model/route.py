"""Route keys and routes: what a request is matched by, and what then happens to it.

A route is joined by its key alone. Its name is its origin and is shared by every rule of an Ingress
(higress@v2.0.1 pkg/ingress/kube/common/tool.go GenerateUniqueRouteName), so it is never part of the key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, Protocol

from xdsaudit.model.plain import Plain, as_mappings, as_text, part
from xdsaudit.model.sensitive import shown

Place = tuple[int, str]
"""The port and the host (a domain of a virtual host) that a list of routes answers for."""


PathKind = Literal["path", "prefix", "safe_regex", "path_separated_prefix", "other"]
"""How a path is matched, in Envoy's words; ``path`` is exact."""
Op = Literal[
    "exact",
    "prefix",
    "suffix",
    "contains",
    "exact_i",
    "prefix_i",
    "suffix_i",
    "contains_i",
    "regex",
    "present",
    "other",
]
"""How a header or a query parameter is matched; ``_i`` ignores case, ``other`` is Envoy's own JSON."""


class HeaderMatch(NamedTuple):
    """One condition on a header or a query parameter; ``:method`` is a header as in Envoy."""

    name: str
    op: Op
    value: str = ""
    inverted: bool = False

    def __str__(self) -> str:
        sign = {"exact": "=", "prefix": "^=", "regex": "~", "suffix": "$=", "contains": "*="}.get(self.op)
        value = shown(self.name, self.value)
        text = f"{self.name}{sign}{value}" if sign else f"{self.name}:{self.op}{value}"
        return f"not({text})" if self.inverted else text


class MatchKey(NamedTuple):
    """What decides whether a request takes a route, in canonical form.

    Attributes:
        kind: how the path is matched.
        value: the text of the path matcher.
        ignore_case: whether case is ignored (always False for a regex, which ignores the flag).
        headers: sorted header conditions, the method among them.
        query: sorted query conditions.
        other: canonical JSON of every other condition, empty in what Higress generates.
    """

    kind: PathKind
    value: str
    ignore_case: bool = False
    headers: tuple[HeaderMatch, ...] = ()
    query: tuple[HeaderMatch, ...] = ()
    other: str = ""

    def __str__(self) -> str:
        text = f"{_KINDS.get(self.kind, self.kind)} {self.value}"
        if self.ignore_case:
            text += " (any case)"
        conditions = [str(h) for h in self.headers] + [f"?{q}" for q in self.query]
        if self.other:
            conditions.append(self.other)
        return text + (f" [{', '.join(conditions)}]" if conditions else "")

    @property
    def catch_all(self) -> bool:
        """True when every request matches."""
        return (self.kind == "prefix" and self.value == "/") and not (self.headers or self.query or self.other)


def simple_key(kind: PathKind, value: str) -> MatchKey:
    """A key with only a path, by far the most common; built without going through the defaults."""
    return tuple.__new__(MatchKey, (kind, value, False, (), (), ""))


_KINDS: Final = {"safe_regex": "regex", "path_separated_prefix": "prefix by segment"}

Fields = Mapping[str, Plain]
"""What a route does with a request: field name to canonical value (None, bool, int, float, str, list, dict)."""


class Source(Protocol):
    """Where a reader can find a route again, to decode what is rarely needed."""

    def istio_object(self) -> str:
        """Path of the Istio object behind the route (``/apis/…/virtual-service/NAME``); "" if it names none."""


class Route(NamedTuple):
    """One route of a virtual host.

    Attributes:
        key: what it matches.
        name: its name, which is its Ingress's.
        fields: everything that decides or shapes a request; names are Envoy's.
        cluster: the one cluster it goes to, or None (weighted, plugin, redirect).
        opaque: digests of the parts that could not be decoded; None if the view's encoding does not show them.
        origin: path of the Istio object behind it if its reader decoded it, otherwise empty.
        source: where its reader can find it again; only in pilot's views.
    """

    key: MatchKey
    name: str
    fields: Fields
    cluster: str | None
    opaque: tuple[str, ...] | None = None
    origin: str = ""
    source: Source | None = None

    @property
    def istio_object(self) -> str:
        """Path of the Istio object it was made of (``/apis/…/virtual-service/NAME``); "" if unknown."""
        return self.origin or (self.source.istio_object() if self.source is not None else "")

    def get(self, field: str) -> Plain:
        """Value of a field; ``cluster`` is one of them. None when it is not set."""
        return self.cluster if field == "cluster" else self.fields.get(field)


def clusters_of_fields(fields: Fields) -> tuple[str, ...]:
    """Clusters that weights or a fallback plugin lead to, without fallbacks; a single cluster is not a field."""
    weighted = weights_of(fields)
    if weighted:
        return tuple(name for c in weighted if (name := as_text(c.get("name"))))
    routing = as_text(part(fallback_config(fields), "routing_cluster"))
    return (routing,) if routing else ()


def weights_of(fields: Fields) -> list[Mapping[str, Plain]]:
    """The clusters that share the requests of a route, each with its name, weight and headers."""
    weighted = fields.get("weighted_clusters")
    return as_mappings(part(weighted, "clusters")) if weighted else []


def fallback_config(fields: Fields) -> Plain:
    """The configuration of Higress's fallback plugin: the cluster to try first, and its fallbacks."""
    plugin = fields.get("inline_cluster_specifier_plugin")
    return part(plugin, "extension", "typed_config", "cluster_config") if plugin else None


_INGRESS_NAME: Final = re.compile(r"^(?:(?P<ns>[a-z0-9-]+)/)?(?P<name>[a-z0-9.-]+)$")


def ingress_of(name: str, system_namespace: str) -> tuple[str, str] | None:
    """Namespace and name of the Ingress that a route is named after, or None for a name of another kind."""
    match = _INGRESS_NAME.match(name)
    return (match["ns"] or system_namespace, match["name"]) if match else None
