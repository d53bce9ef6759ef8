"""Canonical forms: one plain shape of a route, whichever view it was read from.

Input is "plain" data: what proto3 JSON gives under original field names (durations and enums as text, wrappers as values).
Both readers and the translation end here, so that equality of values is equality of meaning. Laws (tested): a canonical
form is a fixed point, and the order of header and query matchers does not matter.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pkgutil import get_data
from typing import Final

from xdsaudit.model.plain import Plain, as_mapping, as_mappings, as_text, part
from xdsaudit.model.route import Fields, HeaderMatch, MatchKey, Op, PathKind

TYPE_PREFIX: Final = "type.googleapis.com/"
ROUTE: Final = "envoy.config.route.v3.Route"
_NOT_COMPARED: Final = frozenset({"match", "name", "metadata", "decorator", "stat_prefix"})
_STRING_OPS: Final[Mapping[Op, Op]] = {
    "exact": "exact_i",
    "prefix": "prefix_i",
    "suffix": "suffix_i",
    "contains": "contains_i",
}
"""How a text is matched, and the same ignoring case."""
_MATCH_KNOWN: Final = frozenset(
    {"path", "prefix", "safe_regex", "path_separated_prefix", "case_sensitive", "headers", "query_parameters"}
)


@cache
def known_fields() -> Mapping[str, Mapping[str, str]]:
    """Message name to its fields that this package reads (generated from proto/)."""
    table: Mapping[str, Mapping[str, str]] = json.loads(get_data("xdsaudit.model", "fields.json") or b"")
    return table


def known(plain: Plain, message: str) -> Plain:
    """The part of a plain message that this package reads; an unknown Any keeps only its type.

    Both readers must drop the same fields, or a newer Envoy would make every route differ.
    """
    if isinstance(plain, list):
        return [known(p, message) for p in plain]
    if not isinstance(plain, dict):
        return plain
    if message == "@any":
        url = as_text(plain.get("@type"))
        name = url.removeprefix(TYPE_PREFIX)
        if name not in known_fields():
            return {"@type": url}
        return {"@type": url, **as_mapping(known({k: v for k, v in plain.items() if k != "@type"}, name))}
    fields = known_fields().get(message)
    if fields is None:
        return plain
    return {k: _known_field(v, kind) for k, v in plain.items() if (kind := fields.get(k)) is not None}


def _known_field(value: Plain, kind: str) -> Plain:
    if kind.startswith("@map:"):
        return {k: known(v, kind[5:]) if kind[5:] else v for k, v in as_mapping(value).items()}
    return known(value, kind) if kind else value


def clean(plain: Plain) -> Plain:
    """Drop what has no meaning: a regex's engine, which is always RE2, and empty engine messages."""
    if isinstance(plain, dict):
        return {k: clean(v) for k, v in plain.items() if not (k == "google_re2" and not v)}
    if isinstance(plain, list):
        return [clean(v) for v in plain]
    return plain


def fields_of(plain: Mapping[str, Plain]) -> tuple[Fields, str | None]:
    """Canonical fields and the single cluster of a plain Route.

    The route action is flattened; a Route without any action has the field ``action`` = ``none``, which Envoy refuses
    ("field: action, reason: is required").
    """
    fields: dict[str, Plain] = {}
    cluster: str | None = None
    acts = False
    for key, value in plain.items():
        if key in _NOT_COMPARED:
            continue
        if key == "route":
            acts = True
            for name, action in as_mapping(value).items():
                if name == "cluster":
                    cluster = as_text(action)
                else:
                    fields[name] = clean(action)
            continue
        acts = acts or key in ("redirect", "direct_response", "filter_action", "non_forwarding_action")
        fields[key] = clean(value)
    if not acts:
        fields["action"] = "none"
    return fields, cluster


def _string_op(match: Mapping[str, Plain]) -> tuple[Op, str] | None:
    for op, ignoring_case in _STRING_OPS.items():
        if op in match:
            return ignoring_case if match.get("ignore_case") else op, as_text(match[op])
    if "safe_regex" in match:
        return "regex", as_text(part(match, "safe_regex", "regex"))
    return None


def _condition(plain: Mapping[str, Plain]) -> HeaderMatch:
    name = as_text(plain.get("name"))
    inverted = bool(plain.get("invert_match"))
    if plain.get("treat_missing_header_as_empty"):
        rest = {k: v for k, v in plain.items() if k not in ("name", "invert_match")}
        return HeaderMatch(name, "other", json.dumps(clean(rest), sort_keys=True), inverted)
    op_and_value = _string_op(as_mapping(plain["string_match"])) if "string_match" in plain else None
    if op_and_value:
        return HeaderMatch(name, op_and_value[0], op_and_value[1], inverted)
    for op in _STRING_OPS:
        if f"{op}_match" in plain:
            return HeaderMatch(name, op, as_text(plain[f"{op}_match"]), inverted)
    if "safe_regex_match" in plain:
        return HeaderMatch(name, "regex", as_text(part(plain, "safe_regex_match", "regex")), inverted)
    if "present_match" in plain:
        return HeaderMatch(name, "present", "" if plain["present_match"] else "no", inverted)
    rest = {k: v for k, v in plain.items() if k not in ("name", "invert_match")}
    if not rest:
        return HeaderMatch(name, "present", "", inverted)
    return HeaderMatch(name, "other", json.dumps(clean(rest), sort_keys=True), inverted)


def match_of(plain: Mapping[str, Plain]) -> MatchKey:
    """Canonical key of a plain RouteMatch."""
    sensitive = plain.get("case_sensitive")
    ignore_case = sensitive is False
    kind: PathKind
    if "path" in plain:
        kind, value = "path", as_text(plain["path"])
    elif "prefix" in plain:
        kind, value = "prefix", as_text(plain["prefix"])
    elif "safe_regex" in plain:
        kind, value, ignore_case = "safe_regex", as_text(part(plain, "safe_regex", "regex")), False
    elif "path_separated_prefix" in plain:
        kind, value = "path_separated_prefix", as_text(plain["path_separated_prefix"])
    else:
        kind, value = "other", ""
    rest = {k: v for k, v in plain.items() if k not in _MATCH_KNOWN}
    return MatchKey(
        kind,
        value,
        ignore_case,
        tuple(sorted(_condition(h) for h in as_mappings(plain.get("headers")))),
        tuple(sorted(_condition(q) for q in as_mappings(plain.get("query_parameters")))),
        json.dumps(clean(rest), sort_keys=True) if rest else "",
    )
