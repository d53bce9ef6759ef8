"""Our own validation of what pilot serves, to name the Ingress whose route makes Envoy refuse a response.

Envoy validates the whole response and keeps none of it for one bad route, so that the counters of innocent tables rise
too: only the content tells who is guilty.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from xdsaudit.audit.requests.patterns import compiled
from xdsaudit.model.route import Route
from xdsaudit.model.sensitive import shown
from xdsaudit.model.view import View

FORK: Final = "envoy.extensions.custom_cluster_plugins."
"""What the names of extensions begin with that only Higress's own Envoy has."""

FORK_FIELDS: Final = ("weighted_clusters.inline_cluster_specifier_plugin", "internal_active_redirect_policy")
"""Fields that only the protos of Higress's Envoy have: any other drops them without a word, and refuses nothing."""

_PREFIX = "type.googleapis.com/"


class Flaw(NamedTuple):
    """Why Envoy refuses a route; ``sure`` is False where it depends on what the gateway's Envoy was built with."""

    reason: str
    sure: bool = True


def flaw_of(route: Route, gateway: View) -> Flaw | None:
    """The reason this Envoy refuses the route, or None when it has none that is known here."""
    fields = route.fields
    if fields.get("action") == "none":
        return Flaw(
            "the route has no action (Envoy: 'field: action, reason: is required'), as redirect codes 300, 304, 305 and 306 make it"
        )
    for name, regex in _regexes(route):
        if compiled(regex) is None:
            return Flaw(f"RE2 does not accept the regular expression {shown(name, regex)!r}")
    for field in ("request_headers_to_add", "response_headers_to_add"):
        for option in fields.get(field) or ():
            name = option.get("header", {}).get("key", "")
            if name.startswith(":") or name.lower() == "host":
                return Flaw(f"{field} may not set {name}")
    for url in _types(_known(fields)):
        name = url.removeprefix(_PREFIX)
        if gateway.extensions is not None:
            if name not in gateway.extensions:
                return Flaw(
                    f"the gateway's Envoy lacks the extension {name} (absent from node.extensions of server_info)"
                )
        elif name.startswith(FORK):
            return Flaw(
                f"the gateway's Envoy probably lacks the extension {name}, which upstream's Envoy does not have",
                sure=False,
            )
    return None


def _regexes(route: Route) -> Iterator[tuple[str, str]]:
    """Regexes of a route, each with the name of the header or parameter that it is for ("" for none)."""
    if route.key.kind == "safe_regex":
        yield "", route.key.value
    for condition in (*route.key.headers, *route.key.query):
        if condition.op == "regex":
            yield condition.name, condition.value
    rewrite = route.fields.get("regex_rewrite")
    if rewrite:
        yield "", rewrite.get("pattern", {}).get("regex", "")
    for origin in (route.fields.get("cors") or {}).get("allow_origin_string_match", ()):
        if "safe_regex" in origin:
            yield "", origin["safe_regex"].get("regex", "")


def _known(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields without those that an Envoy which lacks them does not even see."""
    kept = {k: v for k, v in fields.items() if k not in FORK_FIELDS}
    if "weighted_clusters" in kept:
        weights = kept["weighted_clusters"]
        kept["weighted_clusters"] = {k: v for k, v in weights.items() if f"weighted_clusters.{k}" not in FORK_FIELDS}
    return kept


def _types(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("@type"), str):
            yield value["@type"]
        for part in value.values():
            yield from _types(part)
    elif isinstance(value, list):
        for part in value:
            yield from _types(part)
