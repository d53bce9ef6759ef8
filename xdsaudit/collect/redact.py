"""Redaction at capture: no credential reaches a snapshot, and equal values stay equal within it.

A credential's value becomes ``redacted:`` and the first 12 hex digits of an HMAC-SHA256 under a key made for this capture
and thrown away, in every view alike. What cannot be looked into (filters that are not modelled) keeps its type alone.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from xdsaudit.model.canonical import TYPE_PREFIX, known_fields
from xdsaudit.model.snapshot import Snapshot
from xdsaudit.xds.pool import known_type, message

_SENSITIVE: Final = re.compile(r"^(?:proxy-)?authorization$|cookie|token|secret|api-?key|password", re.IGNORECASE)
_SECRET_KEYS: Final = frozenset(
    [
        "password",
        "passwd",
        "client_secret",
        "private_key",
        "privateKey",
        "inline_string",
        "inline_bytes",
        "api_key",
        "apikey",
        "apiKey",
        "access_key",
        "accessKey",
        "secret_key",
        "secretKey",
        "ak",
        "sk",
        "token",
        "access_token",
        "credential",
        "credentials",
    ]
)
_HEADER_CONTROL: Final = re.compile(r"(?:request|response)-header-control-(?:add|update)$")
_HEADER_MATCH: Final = re.compile(r"(?:exact|prefix|regex)-match-(?:pseudo-)?header-(?P<name>.+)$")
_YAML_SECRET: Final = re.compile(r"^(?P<start>\s*(?:- )?(?:ak|sk|email)\s*:[ \t]*)(?P<value>\S.*)$", re.MULTILINE)
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_KEPT_CONFIGMAPS: Final = frozenset({"higress-https", "higress-config"})
_OPAQUE_CORE: Final = ("EnvoyFilter", "WasmPlugin")
_MATCH_OPS: Final = ("exact", "prefix", "suffix", "contains", "regex")

Hide = Callable[[str], str]


def redact(snapshot: Snapshot, key: bytes | None = None) -> Snapshot:
    """The snapshot without credentials; ``key`` is for tests, and otherwise made anew and forgotten."""
    secret = key or secrets.token_bytes(32)

    def hide(value: str) -> str:
        if not value or value.startswith("redacted:"):
            return value
        return "redacted:" + hmac.new(secret, value.encode(), hashlib.sha256).hexdigest()[:12]

    return replace(
        snapshot,
        kube={plural: _kube(plural, data, hide) for plural, data in snapshot.kube.items()},
        core={pod: tuple(_response(r, hide) for r in answers) for pod, answers in snapshot.core.items()},
        pilot={
            pod: replace(
                c,
                served=tuple(_response(r, hide) for r in c.served),
                fresh=None if c.fresh is None else tuple(_response(r, hide) for r in c.fresh),
                pages={n: _adsz(d) if n == "adsz.json" else d for n, d in c.pages.items()},
            )
            for pod, c in snapshot.pilot.items()
        },
        gateway={
            pod: {n: _dump(d, hide) if n == "config_dump.json" else d for n, d in pages.items()}
            for pod, pages in snapshot.gateway.items()
        },
    )


def _adsz(data: bytes) -> bytes:
    """Who is connected since when; the metadata of clients may hold anything, and nobody reads it."""
    try:
        clients = json.loads(data)["clients"]
        kept = [{k: c[k] for k in ("connectionId", "connectedAt") if k in c} for c in clients]
    except (ValueError, KeyError, TypeError):
        return b"{}"
    return json.dumps({"totalClients": len(kept), "clients": kept}).encode()


# --- Kubernetes ------------------------------------------------------------------------------------------------------
def _kube(plural: str, data: bytes, hide: Hide) -> bytes:
    try:
        found = json.loads(data)
        items = found["items"]
    except (ValueError, KeyError, TypeError):
        return b"{}"  # what cannot be read cannot be cleaned
    if plural == "configmaps":
        items = [i for i in items if i.get("metadata", {}).get("name") in _KEPT_CONFIGMAPS]
    for item in items:
        annotations = item.get("metadata", {}).get("annotations") or {}
        annotations.pop(_LAST_APPLIED, None)
        for name, value in annotations.items():
            annotations[name] = _annotation(name, value, hide)
        if plural == "secrets":
            item["data"] = dict.fromkeys(item.get("data") or {}, "")
            item.pop("stringData", None)
        if plural == "configmaps":
            item["data"] = {
                k: _YAML_SECRET.sub(lambda m: m["start"] + _quoted(m["value"], hide), v)
                for k, v in (item.get("data") or {}).items()
            }
    return json.dumps({**found, "items": items}).encode()


def _quoted(value: str, hide: Hide) -> str:
    bare = value.strip().strip("\"'")
    return f'"{hide(bare)}"' if bare else value


def _annotation(name: str, value: str, hide: Hide) -> str:
    if _HEADER_CONTROL.search(name):
        return "\n".join(_header_line(line, hide) for line in value.split("\n"))
    found = _HEADER_MATCH.search(name)
    return hide(value) if found and _SENSITIVE.search(found["name"]) else value


def _header_line(line: str, hide: Hide) -> str:
    key, space, value = line.strip().partition(" ")
    if space and _SENSITIVE.search(key.strip("\"'")):
        return f"{key} {hide(value.strip().strip(chr(34) + chr(39)))}"
    return line


# --- protobuf --------------------------------------------------------------------------------------------------------
def _response(data: bytes, hide: Hide) -> bytes:
    response = message("envoy.service.discovery.v3.DiscoveryResponse").FromString(data)
    kind = response.type_url.rpartition("/")[2]
    for resource in response.resources:
        cls = known_type(resource.type_url)
        if cls is None:
            resource.value = b""
            continue
        inner = cls.FromString(resource.value)
        if kind in _OPAQUE_CORE:
            inner.body.value = b""
        _message(inner, hide)
        resource.value = inner.SerializeToString()
    result: bytes = response.SerializeToString()
    return result


def _message(found: Any, hide: Hide) -> None:
    """Clean a message in place, unknown fields kept."""
    name = found.DESCRIPTOR.full_name
    if name == "google.protobuf.Any":
        cls = known_type(found.type_url)
        if cls is None:
            found.value = b""
        else:
            inner = cls.FromString(found.value)
            _message(inner, hide)
            found.value = inner.SerializeToString()
        return
    if name == "envoy.config.core.v3.HeaderValue" and _SENSITIVE.search(found.key):
        found.value = hide(found.value)
    elif name == "envoy.config.route.v3.HeaderMatcher" and _SENSITIVE.search(found.name):
        _string_match(found.string_match if found.HasField("string_match") else found, hide)
        return
    elif name == "istio.networking.v1alpha3.Headers.HeaderOperations":
        for operations in (found.set, found.add):
            for header in operations:
                if _SENSITIVE.search(header):
                    operations[header] = hide(operations[header])
    elif name == "istio.networking.v1alpha3.HTTPMatchRequest":
        for header in found.headers:
            if _SENSITIVE.search(header):
                _string_match(found.headers[header], hide)
    for field, value in found.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].message_type is not None:
                for key in value:
                    _message(value[key], hide)
        elif field.is_repeated:
            for each in value:
                _message(each, hide)
        else:
            _message(value, hide)


def _string_match(found: Any, hide: Hide) -> None:
    for field, value in found.ListFields():
        if isinstance(value, str) and field.name in (*_MATCH_OPS, *(f"{op}_match" for op in _MATCH_OPS)):
            setattr(found, field.name, hide(value))
        elif field.name in ("safe_regex", "safe_regex_match"):
            value.regex = hide(value.regex)


# --- Envoy's JSON ----------------------------------------------------------------------------------------------------
def _dump(data: bytes, hide: Hide) -> bytes:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return b"{}"
    if isinstance(found, dict):
        for section in found.get("configs") or ():
            if isinstance(section, dict) and isinstance(section.get("bootstrap"), dict):
                section["bootstrap"] = {"node": section["bootstrap"].get("node")}
    return json.dumps(_json(found, hide)).encode()


def _json(value: Any, hide: Hide, *, filters: bool = False) -> Any:
    if isinstance(value, list):
        return [_json(v, hide, filters=filters) for v in value]
    if not isinstance(value, dict):
        return value
    url = value.get("@type")
    if filters and isinstance(url, str) and url.removeprefix(TYPE_PREFIX) not in known_fields():
        return {"@type": url}
    named = value.get("key") if "value" in value else value.get("name")
    sensitive = isinstance(named, str) and bool(_SENSITIVE.search(named))
    result = {}
    for key, part in value.items():
        inside = filters or key in (
            "http_filters",
            "typed_per_filter_config",
            "ecds_filters",
            "listener_filters",
            "access_log",
        )
        if isinstance(part, str) and (key in _SECRET_KEYS or (key == "value" and sensitive)):
            result[key] = hide(part)
        elif sensitive and key in ("string_match", "safe_regex_match", *(f"{op}_match" for op in _MATCH_OPS)):
            result[key] = _matcher(part, hide)
        else:
            result[key] = _json(part, hide, filters=inside)
    return result


def _matcher(part: Any, hide: Hide) -> Any:
    if isinstance(part, str):
        return hide(part)
    if isinstance(part, dict):
        return {k: _matcher(v, hide) if k in ("safe_regex", *_MATCH_OPS) else v for k, v in part.items()}
    return part
