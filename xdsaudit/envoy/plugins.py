"""Plugins in a config dump: the extension configurations that Envoy runs, and the filters that refer to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from xdsaudit.model.plain import Plain, as_text
from xdsaudit.model.plugin import TEXT, WASM, Plugin, Slot, environment, plugin_name, settings_from_text


def read_slots(filters: Iterable[Mapping[str, object]]) -> tuple[Slot, ...]:
    """Filters of an HTTP connection manager whose configuration comes by name, in order."""
    discovered = ((str(f.get("name", "")), f.get("config_discovery")) for f in filters)
    return tuple(
        Slot(plugin_name(name), "default_config" in found, name)
        for name, found in discovered
        if isinstance(found, dict)
    )


def read_extension(resource: Mapping[str, object]) -> Plugin:
    """An ``ecds_filter``; of another filter than Wasm, and of one that was not captured whole, the type alone."""
    name = plugin_name(str(resource.get("name", "")))
    typed = _mapping(resource, "typed_config")
    kind = str(typed.get("@type", ""))
    config = _mapping(typed, "config")
    if kind != WASM or not config:
        return Plugin(name, {}, None, kind)
    machine = _mapping(config, "vm_config")
    code = _mapping(machine, "code")
    fields: dict[str, Plain] = {
        "root_id": str(config.get("root_id", "")),
        "fail_open": bool(config.get("fail_open", False)) or config.get("failure_policy") == "FAIL_OPEN",
    }
    if "remote" in code:
        remote = _mapping(code, "remote")
        fields |= {"url": as_text(_mapping(remote, "http_uri").get("uri")), "sha256": as_text(remote.get("sha256"))}
    elif "filename" in _mapping(code, "local"):
        fields["file"] = str(_mapping(code, "local")["filename"])
    variables = _mapping(machine, "environment_variables")
    fields["env"] = environment({k: str(v) for k, v in _mapping(variables, "key_values").items()})
    keys = variables.get("host_env_keys")
    fields["host_env"] = tuple(map(str, keys)) if isinstance(keys, list) else ()
    said = _mapping(config, "configuration")
    text = said.get("value", "") if said.get("@type") == TEXT else ""
    return Plugin(name, fields, settings_from_text(text if isinstance(text, str) else ""))


def _mapping(holder: Mapping[str, object], key: str) -> Mapping[str, object]:
    value = holder.get(key)
    return value if isinstance(value, dict) else {}
