"""Routes as Envoy's own JSON, and a bootstrap with them, to ask a real Envoy about.

The inverse of the canonical form in ``model/route.py``. It starts nothing and writes no file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from xdsaudit.model.plain import Plain
from xdsaudit.model.route import Fields, HeaderMatch, MatchKey

_BESIDE_ACTION: Final = ("redirect", "direct_response", "typed_per_filter_config")
_EXTENSIONS: Final = "type.googleapis.com/envoy.extensions.filters"


class Canonical(Protocol):
    """A route in canonical form: one that is served, or one that must be."""

    @property
    def key(self) -> MatchKey:
        """What it matches."""
        ...

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def fields(self) -> Fields:
        """What it does."""
        ...

    @property
    def cluster(self) -> str | None:
        """Where it goes, None for anything but one cluster."""
        ...


def _condition(match: HeaderMatch) -> dict[str, Plain]:
    inverted = {"invert_match": True} if match.inverted else {}
    if match.op == "present":
        return {"name": match.name, "present_match": True, **inverted}
    op = match.op.removesuffix("_i")
    text: dict[str, Plain] = {"safe_regex": {"regex": match.value}} if op == "regex" else {op: match.value}
    if op != match.op:
        text["ignore_case"] = True
    return {"name": match.name, "string_match": text, **inverted}


def plain_match(key: MatchKey) -> dict[str, Plain]:
    """A ``RouteMatch`` as JSON; of the conditions on headers and queries those that Higress writes."""
    value: Plain = {"regex": key.value} if key.kind == "safe_regex" else key.value
    match: dict[str, Plain] = {key.kind: value, "case_sensitive": not key.ignore_case}
    if key.headers:
        match["headers"] = [_condition(h) for h in key.headers]
    if key.query:
        match["query_parameters"] = [_condition(q) for q in key.query]
    return match


def plain_route(route: Canonical) -> dict[str, Plain]:
    """A ``Route`` as JSON."""
    plain: dict[str, Plain] = {"match": plain_match(route.key), "name": route.name}
    action: dict[str, Plain] = {}
    for name, value in route.fields.items():
        if name in _BESIDE_ACTION or "headers_to" in name:
            plain[name] = value
        elif name != "action":
            action[name] = value
    if route.cluster is not None:
        action = {"cluster": route.cluster, **action}
    if action:
        plain["route"] = action
    return plain


def bootstrap(routes: Sequence[Mapping[str, Plain]]) -> dict[str, Plain]:
    """A bootstrap with these routes in one table of one listener on loopback; their clusters are not validated."""
    table: Plain = {
        "name": "routes",
        "validate_clusters": False,
        "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}],
    }
    router = {"@type": f"{_EXTENSIONS}.http.router.v3.Router"}
    manager: Plain = {
        "@type": f"{_EXTENSIONS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "routes",
        "route_config": table,
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": router}],
    }
    address: Plain = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
    chain: Plain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    listener: Plain = {"name": "routes", "address": address, "filter_chains": [chain]}
    return {"static_resources": {"listeners": [listener]}}
