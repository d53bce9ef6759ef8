"""Pages of Envoy's admin port and pilot's debug port: what the readers read of each, and no other page."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from xdsaudit.collect.redact.literals import MATCHER_REGEXES, MATCHER_TEXTS, Literals
from xdsaudit.collect.redact.plugins import cleaned_config, cleaned_extension
from xdsaudit.model.canonical import TYPE_PREFIX, known_fields
from xdsaudit.model.plain import Plain, as_list, as_mapping, as_mappings, as_text, part
from xdsaudit.model.sensitive import sensitive

Cleaner = Callable[[bytes, Literals], bytes]
_METADATA: Final = "envoy.config.core.v3.Metadata"
_PLUGIN: Final = "envoy.extensions.wasm.v3.PluginConfig"
_NODE_METADATA: Final = ("ISTIO_VERSION", "NAMESPACE", "LABELS", "CLUSTER_ID", "SCOPE")
_STATS: Final = re.compile(
    r"^control_plane\.|update_rejected$|\.version$|config_reload|update_(?:success|failure)$|config_fail$"
)
_METRICS: Final = re.compile(rb"^pilot_xds_[a-z]+_reject\{", re.MULTILINE)


def _page(clean: Callable[[Plain, Literals], Plain]) -> Cleaner:
    """Clean JSON; ``{}`` for anything else or another shape: what cannot be read cannot be cleaned."""

    def run(data: bytes, literals: Literals) -> bytes:
        try:
            return json.dumps(clean(msgspec.json.decode(data), literals)).encode()
        except (msgspec.DecodeError, UnicodeError, RecursionError, KeyError, TypeError, AttributeError, ValueError):
            return b"{}"

    return run


# --- config_dump -----------------------------------------------------------------------------------------------------
_STATE: Final = ("version_info", "last_updated", "last_update_attempt")
_ROUTES: Final = ("route_config", "envoy.config.route.v3.RouteConfiguration")
_LISTENER: Final = ("listener", "envoy.config.listener.v3.Listener")
_CLUSTER: Final = ("cluster", "envoy.config.cluster.v3.Cluster")
_ENDPOINTS: Final = ("endpoint_config", "envoy.config.endpoint.v3.ClusterLoadAssignment")
_SECTIONS: Final[Mapping[str, Mapping[str, tuple[str, str]]]] = {
    "RoutesConfigDump": {"static_route_configs": _ROUTES, "dynamic_route_configs": _ROUTES},
    "ClustersConfigDump": {
        "static_clusters": _CLUSTER,
        "dynamic_active_clusters": _CLUSTER,
        "dynamic_warming_clusters": _CLUSTER,
    },
    "EndpointsConfigDump": {"static_endpoint_configs": _ENDPOINTS, "dynamic_endpoint_configs": _ENDPOINTS},
}
"""Sections by type: their lists, and in each entry the resource and its message."""


def _dump(dump: Plain, literals: Literals) -> Plain:
    return {"configs": [_section(s, literals) for s in as_mappings(as_mapping(dump)["configs"])]}


def _section(section: Mapping[str, Plain], literals: Literals) -> dict[str, Plain]:
    kind = str(section.get("@type", "")).rpartition(".")[2]
    kept: dict[str, Plain] = {"@type": section.get("@type", "")}
    for key, (resource, message) in _SECTIONS.get(kind, {}).items():
        if key in section:
            kept[key] = [_entry(e, resource, message, literals) for e in as_mappings(section[key])]
    special = _SPECIAL_SECTIONS.get(kind)
    return kept | special(section, literals) if special is not None else kept


def _entry(entry: Mapping[str, Plain], resource: str, message: str, literals: Literals) -> dict[str, Plain]:
    kept = {k: entry[k] for k in _STATE if k in entry}
    if resource in entry:
        kept[resource] = _message(entry[resource], message, literals)
    if "error_state" in entry:
        kept["error_state"] = _error(as_mapping(entry["error_state"]), literals)
    return kept


def _error(state: Mapping[str, Plain], literals: Literals) -> dict[str, Plain]:
    return {k: literals.text(str(state[k])) for k in ("details", "last_update_attempt") if k in state}


def _listeners(section: Mapping[str, Plain], literals: Literals) -> dict[str, Plain]:
    cleaned = []
    for entry in as_mappings(section.get("dynamic_listeners")):
        kept: dict[str, Plain] = {"name": entry.get("name", "")}
        for state in ("active_state", "warming_state", "draining_state"):
            if state in entry:
                kept[state] = _entry(as_mapping(entry[state]), *_LISTENER, literals)
        if "error_state" in entry:
            kept["error_state"] = _error(as_mapping(entry["error_state"]), literals)
        cleaned.append(kept)
    return {"dynamic_listeners": cleaned} if "dynamic_listeners" in section else {}


def _scopes(section: Mapping[str, Plain], literals: Literals) -> dict[str, Plain]:
    message = "envoy.config.route.v3.ScopedRouteConfiguration"
    groups = [
        {
            **{k: g[k] for k in ("name", *_STATE) if k in g},
            "scoped_route_configs": [_message(s, message, literals) for s in as_list(g.get("scoped_route_configs"))],
        }
        for g in as_mappings(section.get("dynamic_scoped_route_configs"))
    ]
    return {"dynamic_scoped_route_configs": groups} if "dynamic_scoped_route_configs" in section else {}


def _secrets(section: Mapping[str, Plain], literals: Literals) -> dict[str, Plain]:  # noqa: ARG001 - one signature for all
    """Names of certificates, and the chains that every client sees; no keys."""
    kept: dict[str, Plain] = {}
    if "dynamic_warming_secrets" in section:
        warming = as_mappings(section["dynamic_warming_secrets"])
        kept["dynamic_warming_secrets"] = [{"name": s.get("name", "")} for s in warming]
    active: list[Plain] = []
    for secret in as_mappings(section.get("dynamic_active_secrets")):
        entry: dict[str, Plain] = {"name": secret.get("name", "")}
        chain = part(secret, "secret", "tls_certificate", "certificate_chain")
        if isinstance(chain, dict):
            public = {k: _certificates(as_text(chain[k])) for k in ("inline_bytes", "inline_string") if k in chain}
            entry["secret"] = {"tls_certificate": {"certificate_chain": public}}
        active.append(entry)
    if "dynamic_active_secrets" in section:
        kept["dynamic_active_secrets"] = active
    return kept


def _certificates(text: str) -> str:
    """A chain unchanged, unless it also contains a key."""
    import base64

    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        raw = text.encode("utf-8", "replace")
    return "" if b"PRIVATE KEY" in raw else text


def _extensions(section: Mapping[str, Plain], literals: Literals) -> dict[str, Plain]:
    """Extension configurations; those of plugins with the parts that are read."""
    cleaned = [
        {
            **{k: e[k] for k in _STATE if k in e},
            "ecds_filter": cleaned_extension(e.get("ecds_filter"), literals),
        }
        for e in as_mappings(section.get("ecds_filters"))
    ]
    return {"ecds_filters": cleaned} if "ecds_filters" in section else {}


def _bootstrap(section: Mapping[str, Plain], literals: Literals) -> dict[str, Plain]:
    return {"bootstrap": {"node": _node(part(section, "bootstrap", "node"), literals)}}


def _node(node: Plain, literals: Literals) -> dict[str, Plain]:
    if not isinstance(node, Mapping):
        return {}
    metadata, extensions = node.get("metadata"), node.get("extensions")
    kept = {k: node[k] for k in ("id", "cluster", "user_agent_name") if isinstance(node.get(k), str)}
    if isinstance(metadata, Mapping):
        kept["metadata"] = _texts({k: metadata[k] for k in _NODE_METADATA if k in metadata}, literals)
    if isinstance(extensions, list):
        read = ("name", "category", "type_urls")
        kept["extensions"] = [{k: e[k] for k in read if k in e} for e in as_mappings(extensions)]
    return kept


def _texts(value: Plain, literals: Literals) -> Plain:
    if isinstance(value, str):
        return literals.text(value)
    if isinstance(value, dict):
        return {k: _texts(v, literals) for k, v in value.items()}
    return [_texts(v, literals) for v in value] if isinstance(value, list) else value


_SPECIAL_SECTIONS: Final[Mapping[str, Callable[[Mapping[str, Plain], Literals], dict[str, Plain]]]] = {
    "ListenersConfigDump": _listeners,
    "ScopedRoutesConfigDump": _scopes,
    "SecretsConfigDump": _secrets,
    "EcdsConfigDump": _extensions,
    "BootstrapConfigDump": _bootstrap,
}


# --- messages as JSON ------------------------------------------------------------------------------------------------
def _message(value: Plain, message: str, literals: Literals) -> Plain:
    """The fields of a message that are read; of an unmodelled message only its type."""
    if isinstance(value, list):
        return [_message(v, message, literals) for v in value]
    if not isinstance(value, Mapping):
        return value
    if message == "@any":
        url = str(value.get("@type", ""))
        name = url.removeprefix(TYPE_PREFIX)
        return (
            {"@type": url, **as_mapping(_message(value, name, literals))} if name in known_fields() else {"@type": url}
        )
    if message == _METADATA:
        config = part(value, "filter_metadata", "istio", "config")
        return {"filter_metadata": {"istio": {"config": config}}} if isinstance(config, str) else {}
    if message == _PLUGIN:
        return cleaned_config(value, literals)
    fields = known_fields().get(message)
    if fields is None:
        return {}
    named = value.get("key", value.get("name"))
    hidden = isinstance(named, str) and sensitive(named)
    return {k: _field(k, v, kind, hidden, literals) for k, v in value.items() if (kind := fields.get(k)) is not None}


def _field(key: str, value: Plain, kind: str, hidden: bool, literals: Literals) -> Plain:
    if isinstance(value, str):
        if key in MATCHER_TEXTS:
            return literals.hide_exact(value) if hidden else literals.text(value)
        if key == "value":
            return literals.hide(value) if hidden else literals.text(value)
        return value
    if key == "string_match" and isinstance(value, dict):
        fields = known_fields()[kind]
        return {k: _field(k, v, fields[k], hidden, literals) for k, v in value.items() if k in fields}
    if key in MATCHER_REGEXES and isinstance(value, dict):
        regex = str(value.get("regex", ""))
        return {"regex": literals.hide_regex(regex) if hidden else literals.text(regex)} if "regex" in value else {}
    if kind.startswith("@map:"):
        return {k: _message(v, kind[5:], literals) for k, v in as_mapping(value).items()}
    return _message(value, kind, literals) if kind else value


# --- other pages -----------------------------------------------------------------------------------------------------
def _stats(page: Plain, literals: Literals) -> Plain:  # noqa: ARG001 - one signature for all
    return {
        "stats": [
            {"name": s["name"], "value": s["value"]}
            for s in as_list(as_mapping(page)["stats"])
            if isinstance(s, dict)
            and isinstance(s.get("name"), str)
            and isinstance(s.get("value"), (int, float))
            and _STATS.search(s["name"])
        ]
    }


def _server_info(page: Plain, literals: Literals) -> Plain:
    info = as_mapping(page)
    kept = {k: info[k] for k in ("version", "state") if isinstance(info.get(k), str)}
    return {**kept, "node": _node(info["node"], literals)} if "node" in info else kept


def _syncz(page: Plain, literals: Literals) -> Plain:  # noqa: ARG001 - one signature for all
    keys = re.compile(r"^(?:proxy|[a-z_]+_(?:sent|acked))$")
    return [{k: v for k, v in proxy.items() if keys.match(k)} for proxy in as_list(page) if isinstance(proxy, dict)]


def _adsz(page: Plain, literals: Literals) -> Plain:  # noqa: ARG001 - one signature for all
    read = ("connectionId", "connectedAt")
    clients = [{k: c[k] for k in read if k in c} for c in as_mappings(as_mapping(page)["clients"])]
    return {"totalClients": len(clients), "clients": clients}


def _metrics(data: bytes, literals: Literals) -> bytes:  # noqa: ARG001 - one signature for all
    return b"".join(line + b"\n" for line in data.splitlines() if _METRICS.match(line))


GATEWAY_PAGES: Final[Mapping[str, Cleaner]] = {
    "config_dump.json": _page(_dump),
    "stats.json": _page(_stats),
    "server_info.json": _page(_server_info),
}
PILOT_PAGES: Final[Mapping[str, Cleaner]] = {
    "syncz.json": _page(_syncz),
    "adsz.json": _page(_adsz),
    "metrics.txt": _metrics,
}
"""The pages that are read, each with the parts that are kept."""
