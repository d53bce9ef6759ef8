"""Plugins: a configuration keeps its keys and gets a pseudonym for each value, so that equal ones stay equal.

Conditions of match rules stay unchanged: they name routes, services and domains. Booleans stay too: they reveal nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from xdsaudit.collect.redact.literals import Literals
from xdsaudit.model.plain import Plain, as_mapping
from xdsaudit.model.plugin import CONDITIONS, RULES, TEXT, WASM, canonical, environment
from xdsaudit.model.sensitive import sensitive
from xdsaudit.xds.pool import Message

_NAMED: Final = frozenset({*CONDITIONS, "_match_route_prefix_"})
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z-]*")
_LONG: Final = 12
_POLICY: Final = "ISTIO_META_WASM_IMAGE_PULL_POLICY"


def veiled(value: Plain, literals: Literals, key: str = "") -> Plain:
    """A configuration with a pseudonym for each value; ``key`` is the key above it."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, dict):
        return {k: _named(v, literals) if k in _NAMED else veiled(v, literals, str(k)) for k, v in value.items()}
    if isinstance(value, list):
        return [veiled(v, literals, "" if key == RULES else key) for v in value]
    if not isinstance(value, str):
        return literals.veil(f"number {canonical(value)}")
    # A value under such a key is a credential, unless it is a word such as a header's name.
    secret = sensitive(key) and len(value) >= _LONG and not _WORD.fullmatch(value)
    return literals.hide(value) if secret else literals.veil(value)


def _named(value: Plain, literals: Literals) -> Plain:
    if isinstance(value, list):
        return [literals.text(v) if isinstance(v, str) else veiled(v, literals) for v in value]
    return literals.text(value) if isinstance(value, str) else veiled(value, literals)


def veiled_text(text: str, literals: Literals) -> str:
    """The same for a configuration as JSON text."""
    if not text:
        return text
    try:
        decoded = json.loads(text)
    except (ValueError, RecursionError):
        return literals.veil(text)
    return json.dumps(veiled(decoded, literals))


def clean_object(item: Mapping[str, Plain], kept: Mapping[str, Plain], literals: Literals) -> None:
    """Add a WasmPlugin's veiled configurations to the parts that are kept."""
    spec, mine = item.get("spec"), kept.get("spec")
    if not isinstance(spec, dict) or not isinstance(mine, dict):
        return
    for name in ("pluginConfig", "defaultConfig"):
        if isinstance(spec.get(name), dict):
            mine[name] = veiled(spec[name], literals)
    if isinstance(mine.get("url"), str):
        mine["url"] = literals.text(mine["url"])
    rules, others = spec.get("matchRules"), mine.get("matchRules")
    for rule, other in zip(rules or (), others or (), strict=False) if isinstance(rules, list) else ():
        if isinstance(rule, dict) and isinstance(rule.get("config"), dict):
            other["config"] = veiled(rule["config"], literals)
    machine = mine.get("vmConfig")
    for variable in (machine.get("env") or ()) if isinstance(machine, dict) else ():
        if isinstance(variable, dict) and isinstance(variable.get("value"), str):
            variable["value"] = literals.veil(variable["value"])


def clean_wasm_plugin(plugin: Message, literals: Literals) -> None:
    """Clean core's WasmPlugin in place."""
    from google.protobuf import json_format

    plugin.url = literals.text(plugin.url)
    if plugin.HasField("plugin_config"):
        config = veiled(json_format.MessageToDict(plugin.plugin_config), literals)
        plugin.plugin_config.Clear()
        json_format.ParseDict(dict(as_mapping(config)), plugin.plugin_config)
    for variable in plugin.vm_config.env:
        variable.value = literals.veil(variable.value)


def clean_config(config: Message, literals: Literals) -> None:
    """Clean Envoy's PluginConfig message in place."""
    from xdsaudit.xds.pool import message

    packed = config.configuration
    if packed.type_url == TEXT:
        try:
            text = message("google.protobuf.StringValue").FromString(packed.value)
        except Exception:  # protobuf's own errors share no base class with others
            packed.Clear()
        else:
            text.value = veiled_text(text.value, literals)
            packed.value = text.SerializeToString()
    elif config.HasField("configuration"):
        packed.value = b""
    machine = config.vm_config
    if machine.code.remote.http_uri.uri:
        machine.code.remote.http_uri.uri = literals.text(machine.code.remote.http_uri.uri)
    if machine.code.local.WhichOneof("specifier") not in (None, "filename"):
        machine.code.local.Clear()
    if machine.HasField("environment_variables"):
        variables = dict(machine.environment_variables.key_values)
        machine.environment_variables.key_values.clear()
        machine.environment_variables.key_values.update(_variables(variables, literals))


def _variables(values: Mapping[str, str], literals: Literals) -> dict[str, str]:
    kept = {k: literals.veil(str(v)) for k, v in environment(values).items()}
    return kept | {k: v for k, v in values.items() if k == _POLICY}


def cleaned_config(config: Plain, literals: Literals) -> dict[str, Plain]:
    """Envoy's PluginConfig as JSON, with the parts that are read."""
    if not isinstance(config, Mapping):
        return {}
    kept: dict[str, Plain] = {
        k: config[k]
        for k in ("name", "root_id", "fail_open", "failure_policy")
        if isinstance(config.get(k), (str, bool))
    }
    packed = config.get("configuration")
    if isinstance(packed, Mapping):
        kind, text = str(packed.get("@type", "")), packed.get("value")
        inner = {"value": veiled_text(text, literals)} if kind == TEXT and isinstance(text, str) else {}
        kept["configuration"] = {"@type": kind, **inner}
    machine = config.get("vm_config")
    if isinstance(machine, dict):
        kept["vm_config"] = _machine(machine, literals)
    return kept


def _machine(machine: Mapping[str, Plain], literals: Literals) -> dict[str, Plain]:
    kept: dict[str, Plain] = {}
    code = machine.get("code")
    local, remote = (code.get("local"), code.get("remote")) if isinstance(code, dict) else (None, None)
    if isinstance(local, dict) and isinstance(local.get("filename"), str):
        kept["code"] = {"local": {"filename": local["filename"]}}
    elif isinstance(remote, dict):
        uri = remote.get("http_uri")
        text = str(uri.get("uri", "")) if isinstance(uri, dict) else ""
        kept["code"] = {"remote": {"http_uri": {"uri": literals.text(text)}, "sha256": str(remote.get("sha256", ""))}}
    variables = machine.get("environment_variables")
    if isinstance(variables, dict):
        values = variables.get("key_values")
        kept["environment_variables"] = {
            "host_env_keys": [k for k in variables.get("host_env_keys") or () if isinstance(k, str)],
            "key_values": _variables(values, literals) if isinstance(values, dict) else {},
        }
    return kept


def cleaned_extension(resource: Plain, literals: Literals) -> dict[str, Plain]:
    """An extension configuration in a config dump; only the type, unless the filter is Wasm."""
    if not isinstance(resource, dict):
        return {}
    typed = resource.get("typed_config")
    kind = str(typed.get("@type", "")) if isinstance(typed, dict) else ""
    kept: dict[str, Plain] = {"@type": kind}
    if kind == WASM and isinstance(typed, dict) and "config" in typed:
        kept["config"] = cleaned_config(typed["config"], literals)
    return {"name": str(resource.get("name", "")), "typed_config": kept}
