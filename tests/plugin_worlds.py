"""Worlds with WasmPlugins: pilots and gateways that serve exactly what the objects ask for, to break them one way at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from google.protobuf import json_format

from tests import worlds
from xdsaudit.ingress.objects import decode_list
from xdsaudit.ingress.plugin_objects import WasmPlugin
from xdsaudit.ingress.plugins import plan_plugins, run_order
from xdsaudit.ingress.profile import Profile, profile_of
from xdsaudit.model.plugin import RULES, WASM, Plugin
from xdsaudit.model.snapshot import PilotCapture, Snapshot
from xdsaudit.testing import ingress, ingress_list
from xdsaudit.xds.pool import TYPES, message, pool

Json = dict[str, Any]
ITEMS = [ingress("a", "foo.test", "/a"), ingress("b", "bar.test", "/b")]
COMPOSITE = "type.googleapis.com/envoy.extensions.filters.http.composite.v3.Composite"
_FILTER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter"
DISCOVERY = {"config_source": {"ads": {}, "resource_api_version": "V3"}, "type_urls": [WASM]}


def wasm(name: str, namespace: str = "higress-system", **spec: Any) -> Json:
    """A WasmPlugin object."""
    meta = {"name": name, "namespace": namespace, "creationTimestamp": "2026-11-23T00:00:00Z"}
    return {
        "apiVersion": "extensions.higress.io/v1alpha1",
        "kind": "WasmPlugin",
        "metadata": meta,
        "spec": {"url": f"oci://registry.example.test/plugins/{name}:1.0.0", **spec},
    }


def rule(config: Json | None = None, **conditions: Any) -> Json:
    """A match rule; a condition is a name or a list of names."""
    named = {k: v if isinstance(v, (list, bool)) else [v] for k, v in conditions.items()}
    return {"config": config or {}, **named}


def served(objects: Iterable[Json], profile: Profile | None = None) -> dict[str, Plugin]:
    """The plugins that must be served, by filter name and in the order of their filters."""
    listed = decode_list(ingress_list(objects, "WasmPlugin"), WasmPlugin)
    plans = plan_plugins(listed, profile or Profile())
    found = {p.filter_name: p.expected for p in plans if p.expected is not None}
    return {name: found[name] for name in run_order(plans)}


def prefixed(plugins: Mapping[str, Plugin]) -> dict[str, Plugin]:
    """The same plugins as pilots of istio 1.27 (Higress 2.2) name them."""
    prefix = "extensions.istio.io/wasmplugin/"
    return {n: p._replace(fields={**p.fields, "resource": f"{prefix}{n}"}) for n, p in plugins.items()}


def config_of(plugin: Plugin) -> Json:
    """The configuration as the JSON object that is served."""
    assert plugin.settings is not None
    default = json.loads(plugin.settings.default) or {}
    rules = [json.loads(r) for r in plugin.settings.rules]
    return default | ({RULES: rules} if rules else {})


def extension(plugin: Plugin, *, local: bool = False, stamp: str = "1") -> Json:
    """The extension configuration as Envoy's JSON has it; ``local``: as the agent beside Envoy rewrites it."""
    fields = plugin.fields
    url = fields["url"]
    code: Json = {"remote": {"http_uri": {"uri": url}, "sha256": fields["sha256"]}}
    if local or url.startswith("file://"):
        code = {"local": {"filename": url.removeprefix("file://") if url.startswith("file://") else "/var/lib/x.wasm"}}
    machine: Json = {"code": code, "runtime": "envoy.wasm.runtime.v8"}
    if not local:
        machine["environment_variables"] = {
            "key_values": {"ISTIO_META_WASM_PLUGIN_RESOURCE_VERSION": stamp, **fields["env"]}
        }
    config: Json = {"name": plugin.name, "vm_config": machine}
    if config_of(plugin):
        text = {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": json.dumps(config_of(plugin))}
        config["configuration"] = text
    if fields["fail_open"]:
        config["fail_open"] = True
    if fields["root_id"]:
        config["root_id"] = fields["root_id"]
    name = fields.get("resource", plugin.name)
    if fields.get("resource"):  # newer pilots write both otherwise
        config.pop("fail_open", None)
        config["failure_policy"] = "FAIL_OPEN" if fields["fail_open"] else "FAIL_CLOSED"
    return {"name": name, "typed_config": {"@type": WASM, "config": config}}


def filters(names: Mapping[str, Plugin]) -> list[Json]:
    """The HTTP filters of these plugins, in order."""
    return [
        {
            "name": p.fields.get("resource", n),
            "config_discovery": DISCOVERY | ({"default_config": {"@type": COMPOSITE}} if p.fields["fail_open"] else {}),
        }
        for n, p in names.items()
    ]


def filter_messages(names: Mapping[str, Plugin]) -> list[Any]:
    """The same as messages; what a filter falls back on is of a type that the pool does not know."""
    found = []
    for each in filters(names):
        discovery = dict(each["config_discovery"])
        fallback = discovery.pop("default_config", None)
        made = parsed({**each, "config_discovery": discovery}, _FILTER)
        if fallback is not None:
            made.config_discovery.default_config.type_url = fallback["@type"]
            made.config_discovery.type_urls.append(COMPOSITE)
        found.append(made)
    return found


def response(short: str, resources: Iterable[Any], **more: str) -> bytes:
    """A DiscoveryResponse of these messages."""
    found = message("envoy.service.discovery.v3.DiscoveryResponse")(version_info="1", nonce="n", type_url=TYPES[short])
    for each in resources:
        found.resources.add(type_url=TYPES[short], value=each.SerializeToString())
    return bytes(found.SerializeToString())


def parsed(plain: Json, name: str) -> Any:
    """Plain data as a message of the pool."""
    return json_format.ParseDict(plain, message(name)(), descriptor_pool=pool())


def pilot_answers(tables: Any, slots: Mapping[str, Plugin], extensions: Iterable[Json]) -> tuple[bytes, ...]:
    """What a pilot that serves these routes and plugins answers."""
    found = []
    manager = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    for data in worlds.responses(tables):
        decoded = message("envoy.service.discovery.v3.DiscoveryResponse").FromString(data)
        if decoded.type_url == TYPES["LDS"]:
            for resource in decoded.resources:
                listener = message("envoy.config.listener.v3.Listener").FromString(resource.value)
                for chain in listener.filter_chains:
                    typed = chain.filters[0].typed_config
                    hcm = message(manager).FromString(typed.value)
                    hcm.http_filters.extend(filter_messages(slots))
                    typed.value = hcm.SerializeToString()
                resource.value = listener.SerializeToString()
        found.append(decoded.SerializeToString())
    listed = [parsed(e, "envoy.config.core.v3.TypedExtensionConfig") for e in extensions]
    return (*found, response("ECDS", listed)) if slots else tuple(found)


def gateway_dump(tables: Any, slots: Mapping[str, Plugin], extensions: Iterable[Json]) -> bytes:
    """What an Envoy that runs these routes and plugins dumps."""
    dump = json.loads(worlds.config_dump(tables))
    for each in dump["configs"][1]["dynamic_listeners"]:
        for chain in each["active_state"]["listener"]["filter_chains"]:
            chain["filters"][0]["typed_config"]["http_filters"] = filters(slots)
    if slots:
        kind = "type.googleapis.com/envoy.admin.v3.EcdsConfigDump"
        dump["configs"].append({"@type": kind, "ecds_filters": [{"ecds_filter": e} for e in extensions]})
    return json.dumps(dump).encode()


def core_answers(plugins: Mapping[str, Plugin]) -> tuple[bytes, ...]:
    """What a core that serves these plugins alone answers; it tells of no route."""
    resources = []
    for name, plugin in plugins.items():
        fields = plugin.fields
        spec: Json = {"url": fields["url"], "plugin_config": config_of(plugin), "phase": fields["phase"]}
        spec |= {"fail_strategy": int(fields["fail_open"])} | (
            {"priority": fields["priority"]} if fields["priority"] is not None else {}
        )
        body = parsed(spec, "istio.extensions.v1alpha1.WasmPlugin")
        found = message("istio.mcp.v1alpha1.Resource")()
        found.metadata.name = name.replace(".", "/", 1)
        found.body.type_url = "type.googleapis.com/istio.extensions.v1alpha1.WasmPlugin"
        found.body.value = body.SerializeToString()
        resources.append(found)
    answer = message("envoy.service.discovery.v3.DiscoveryResponse")(type_url="extensions.istio.io/v1alpha1/WasmPlugin")
    for each in resources:
        answer.resources.add(type_url="type.googleapis.com/istio.mcp.v1alpha1.Resource", value=each.SerializeToString())
    return (answer.SerializeToString(),)


def stats(rejected: Iterable[str] = (), *, connected: int = 1) -> bytes:
    """Counters of a gateway that refused the configurations of these plugins at some time."""
    found = json.loads(worlds.stats(connected=connected))
    prefix = "extension_config_discovery.http_filter."
    found["stats"] += [{"name": f"{prefix}{n}.update_rejected", "value": 3} for n in rejected]
    return json.dumps(found).encode()


def world(
    objects: Iterable[Json],
    *,
    items: Iterable[Json] = ITEMS,
    core: Mapping[str, Plugin] | None = None,
    pilot: Mapping[str, Plugin] | None = None,
    pilot_slots: Mapping[str, Plugin] | None = None,
    gateway: Mapping[str, Plugin] | None = None,
    slots: Mapping[str, Plugin] | None = None,
    rejected: Iterable[str] = (),
    connected: int = 1,
    version: str = "2.1.9",
    local: bool = True,
    **more: Any,
) -> Snapshot:
    """A snapshot in which every view that is not given holds what it must. ``slots`` are the filters of the gateway's listeners."""
    listed, rules = list(objects), list(items)
    base = worlds.world(rules)
    controller = {**base.controller, "version": version}
    good = served(listed, profile_of(controller))
    tables = worlds.expectation(rules, profile_of(controller)).tables
    ours = good if pilot is None else pilot
    theirs = good if gateway is None else gateway
    capture = PilotCapture(
        pilot_answers(tables, ours if pilot_slots is None else pilot_slots, map(extension, ours.values()))
    )
    running = [extension(p, local=local, stamp="2") for p in theirs.values()]
    pages = {
        "config_dump.json": gateway_dump(tables, good if slots is None else slots, running),
        "stats.json": stats(rejected, connected=connected),
        "server_info.json": b"{}",
    }
    snapshot = replace(
        base,
        controller=controller,
        kube={**base.kube, "wasmplugins": ingress_list(listed, "WasmPlugin")},
        core={} if core is None else {"core-0": core_answers(core)},
        pilot={"pilot-0": capture},
        gateway={"gateway-0": pages},
    )
    return replace(snapshot, **more)
