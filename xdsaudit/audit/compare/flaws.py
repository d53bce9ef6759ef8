"""Our own validation of what pilot serves, to name the Ingress whose route makes Envoy refuse a response.

Envoy validates the whole response and keeps none of it for one bad route, so that the counters of innocent tables rise
too: only the content tells who is guilty.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from xdsaudit.audit.compare.header_commands import COMMANDS
from xdsaudit.audit.requests.patterns import compiled
from xdsaudit.audit.signs import FORK, FORK_FIELDS
from xdsaudit.model.plain import Plain, as_mapping, as_mappings, as_text, part
from xdsaudit.model.route import Fields, Route, weights_of
from xdsaudit.model.sensitive import shown
from xdsaudit.model.view import View

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
            "the route has no action (Envoy: 'field: action, reason: is required'): redirect code 300, 304, 305 or 306"
        )
    for reason in (*_matchers(route), *_durations(fields), *_texts(fields), *_formats(fields), *_buckets(fields)):
        return Flaw(reason)
    for name, regex in _regexes(route):
        if compiled(regex) is None:
            return Flaw(f"RE2 does not accept the regular expression {shown(name, regex)!r}")
    for field, name, _ in _headers_set(fields):
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


def _matchers(route: Route) -> Iterator[str]:
    """Conditions without a text (envoy/type/matcher/v3/string.proto and regex.proto: min_len 1; an exact one may be empty)."""
    for condition in (*route.key.headers, *route.key.query):
        if not condition.value and condition.op.removesuffix("_i") in ("prefix", "suffix", "contains", "regex"):
            yield f"the condition on {condition.name} is a {condition.op} without a text"


_DURATION: Final = re.compile(r"(-?)(\d+)(?:\.\d+)?s")
_LONGEST: Final = 315_576_000_000
"""Seconds of the longest google.protobuf.Duration."""


def _durations(fields: Fields) -> Iterator[str]:
    retries = fields.get("retry_policy") or {}
    for name, value in (
        ("timeout", fields.get("timeout")),
        ("idle_timeout", fields.get("idle_timeout")),
        ("retry_policy.per_try_timeout", retries.get("per_try_timeout") if isinstance(retries, dict) else None),
    ):
        found = _DURATION.fullmatch(value) if isinstance(value, str) else None
        if found is not None and (found[1] or int(found[2]) > _LONGEST):
            yield f"{name} is {value}: Envoy takes durations from 0 to {_LONGEST} s"


def _texts(fields: Fields) -> Iterator[str]:
    """Line ends and NUL in what becomes a header or a path (well_known_regex HTTP_HEADER_VALUE of the route's proto)."""
    rewrite, redirect = as_mapping(fields.get("regex_rewrite")), as_mapping(fields.get("redirect"))
    texts = {
        "regex_rewrite.substitution": rewrite.get("substitution"),
        "host_rewrite_literal": fields.get("host_rewrite_literal"),
        "prefix_rewrite": fields.get("prefix_rewrite"),
        **{f"redirect.{k}": v for k, v in redirect.items()},
    }
    for name, text in texts.items():
        if isinstance(text, str) and not _LINE_ENDS.isdisjoint(text):
            yield f"{name} holds a line end or NUL"


_LINE_ENDS: Final = frozenset("\r\n\0")
_COMMAND: Final = re.compile(r"%(?P<name>[A-Z0-9_]+)(?:\([^)]*\))?(?::\d+)?%")


def _formats(fields: Fields) -> Iterator[str]:
    """Header values in which a % is neither %% nor a command (Envoy's docs: access log command operators)."""
    for field, name, text in _headers_set(fields):
        value = text.replace("%%", "")
        if "%" in _COMMAND.sub("", value):
            yield f"{field}: the value of {name} holds a % that begins no command; write %% for the sign"
        elif not _LINE_ENDS.isdisjoint(value):
            yield f"{field}: the value of {name} holds a line end or NUL"
        unknown = [found["name"] for found in _COMMAND.finditer(value) if found["name"] not in COMMANDS]
        if unknown:
            yield f"{field}: the value of {name} has the command %{unknown[0]}%, which Envoy does not know"


def _headers_set(fields: Fields) -> Iterator[tuple[str, str, str]]:
    """Field, name and value of every header that a route, or a weighted cluster of it, sets."""
    for holder in (fields, *weights_of(fields)):
        for field in ("request_headers_to_add", "response_headers_to_add"):
            for option in as_mappings(holder.get(field)):
                header = as_mapping(option.get("header"))
                yield field, as_text(header.get("key")), as_text(header.get("value"))


def _buckets(fields: Fields) -> Iterator[str]:
    """Token buckets that are never filled (envoy/type/v3/token_bucket.proto: tokens_per_fill above 0)."""
    for name, config in as_mapping(fields.get("typed_per_filter_config")).items():
        bucket = config.get("token_bucket") if isinstance(config, dict) else None
        if isinstance(bucket, dict) and bucket.get("tokens_per_fill") == 0:
            yield f"the token bucket of {name} is filled with 0 tokens"


def _regexes(route: Route) -> Iterator[tuple[str, str]]:
    """Regexes of a route, each with the name of the header or parameter that it is for ("" for none)."""
    if route.key.kind == "safe_regex":
        yield "", route.key.value
    for condition in (*route.key.headers, *route.key.query):
        if condition.op == "regex":
            yield condition.name, condition.value
    rewrite = route.fields.get("regex_rewrite")
    if rewrite:
        yield "", as_text(part(rewrite, "pattern", "regex"))
    for origin in as_mappings(part(route.fields.get("cors"), "allow_origin_string_match")):
        if "safe_regex" in origin:
            yield "", as_text(part(origin, "safe_regex", "regex"))


def _known(fields: Fields) -> Fields:
    """Fields without those that an Envoy which lacks them does not even see."""
    kept = {k: v for k, v in fields.items() if k not in FORK_FIELDS}
    if "weighted_clusters" in kept:
        weights = as_mapping(kept["weighted_clusters"])
        kept["weighted_clusters"] = {k: v for k, v in weights.items() if f"weighted_clusters.{k}" not in FORK_FIELDS}
    return kept


def _types(value: Plain) -> Iterator[str]:
    if isinstance(value, Mapping):
        name = value.get("@type")
        if isinstance(name, str):
            yield name
        for part in value.values():
            yield from _types(part)
    elif isinstance(value, list):
        for part in value:
            yield from _types(part)
