"""Plugins in protobuf: WasmPlugins as core serves them, and extension configurations and filters as pilot does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from xdsaudit.model.plain import Plain
from xdsaudit.model.plugin import (
    TEXT,
    WASM,
    Plugin,
    Slot,
    environment,
    image_of,
    plugin_name,
    settings_from_text,
    settings_of,
)
from xdsaudit.xds.plain import enum_name
from xdsaudit.xds.pool import Message, inside

_OPEN: Final = 3
"""FAIL_OPEN of Envoy's failure_policy, which newer pilots set instead of fail_open."""


def read_slots(filters: Iterable[Message]) -> tuple[Slot, ...]:
    """Filters of an HTTP connection manager whose configuration comes by name, in order."""
    return tuple(
        Slot(plugin_name(f.name), f.config_discovery.HasField("default_config"), f.name)
        for f in filters
        if f.HasField("config_discovery")
    )


def read_extension(resource: Message) -> Plugin:
    """A TypedExtensionConfig; of another filter than Wasm the type alone."""
    kind, name = resource.typed_config.type_url, plugin_name(resource.name)
    if kind != WASM:
        return Plugin(name, {}, None, kind)
    config = inside("envoy.extensions.filters.http.wasm.v3.Wasm", resource.typed_config.value, resource.name).config
    machine = config.vm_config
    code = machine.code
    fields: dict[str, Plain] = {
        "root_id": config.root_id,
        "fail_open": config.fail_open or config.failure_policy == _OPEN,
    }
    if code.HasField("remote"):
        fields |= {"url": code.remote.http_uri.uri, "sha256": code.remote.sha256}
    elif code.HasField("local"):
        fields["file"] = code.local.filename
    variables = machine.environment_variables
    fields |= {"env": environment(variables.key_values), "host_env": tuple(variables.host_env_keys)}
    text = ""
    if config.configuration.type_url == TEXT:
        text = inside("google.protobuf.StringValue", config.configuration.value, resource.name).value
    return Plugin(name, fields, settings_from_text(text))


def read_wasm_plugin(name: str, plugin: Message) -> Plugin:
    """A WasmPlugin of core by its name ``namespace/name``; one without a URL was not captured whole and tells nothing."""
    called = name.replace("/", ".", 1)
    if not plugin.url:
        return Plugin(called, {}, None)
    host = tuple(e.name for e in plugin.vm_config.env if e.value_from == 1)
    fields: dict[str, Plain] = {
        "url": image_of(plugin.url),
        "sha256": plugin.sha256,
        "root_id": plugin.plugin_name,
        "fail_open": plugin.fail_strategy == 1,
        "pull_policy": enum_name(plugin, "image_pull_policy"),
        "phase": enum_name(plugin, "phase"),
        "priority": plugin.priority.value if plugin.HasField("priority") else None,
        "env": environment({e.name: e.value for e in plugin.vm_config.env if e.value_from == 0}),
        "host_env": host,
    }
    return Plugin(called, fields, settings_of(_struct(plugin.plugin_config)))


def _struct(struct: Message) -> dict[str, Plain]:
    return {k: _value(v) for k, v in struct.fields.items()}


def _value(value: Message) -> Plain:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return _struct(value.struct_value)
    if kind == "list_value":
        return [_value(v) for v in value.list_value.values]
    if kind in (None, "null_value"):
        return None
    plain: Plain = getattr(value, kind)
    return plain
