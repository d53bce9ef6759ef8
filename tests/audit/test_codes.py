"""Every code: a world that must get it, and a near miss that must not."""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests import plugin_worlds, worlds
from tests.audit.test_attribution import GOOD, ITEMS, WITHOUT_B, WITHOUT_BAR, audit_pilot_empty
from tests.plugin_worlds import rule, wasm
from xdsaudit import Audit, Snapshot, audit
from xdsaudit.audit.causes.catalogue import CATALOGUE
from xdsaudit.audit.questions.explain import journeys
from xdsaudit.audit.questions.precheck import Batch, check_batch
from xdsaudit.audit.verdicts import judged
from xdsaudit.collect.manifests import read_manifests
from xdsaudit.collect.snapshot import load
from xdsaudit.ingress.objects import read_objects
from xdsaudit.ingress.profile import Profile
from xdsaudit.model.snapshot import PilotCapture
from xdsaudit.model.view import State, ViewInfo, ViewName
from xdsaudit.testing import ingress, ingress_list, service
from xdsaudit.xds.pool import TYPES, message

RECORDINGS = Path(__file__).parent.parent / "recordings"
Json = dict[str, Any]
Pair = tuple[Callable[[], set[str]], Callable[[], set[str]]]
SECURE = [ingress("a", "foo.test", "/a", tls="cert")]
SECURE_TABLES = worlds.expectation(SECURE).tables


def codes(result: Audit) -> set[str]:
    listed = (*result.rules, *result.not_selected)
    found = {r.slug for r in listed if r.slug} | {f.slug for f in result.findings}
    found |= {x.slug for p in result.plugins for x in (p, *p.rules) if x.slug}
    if any(i.state is State.UNREAD for i in result.views):
        found.add("unreadable")
    return {str(f) for f in found}


def of(snapshot: Snapshot) -> set[str]:
    return codes(audit(snapshot))


def items(*listed: Json) -> Callable[[], set[str]]:
    return lambda: of(worlds.world(list(listed)))


def broken(**cut: Any) -> Callable[[], set[str]]:
    return lambda: of(worlds.world(ITEMS, **cut))


def wanted(listed: list[Json]) -> Callable[[], set[str]]:
    """ITEMS are in the API, and a manifest asks for these."""
    return lambda: of(replace(worlds.world(ITEMS), manifest={"ingresses": ingress_list(listed)}))


def https_map(text: str) -> Callable[[], set[str]]:
    """ITEMS, and a ConfigMap of certificates that says this."""
    meta = {"name": "higress-https", "namespace": "higress-system"}
    maps = ingress_list([{"kind": "ConfigMap", "metadata": meta, "data": {"cert": text}}], "ConfigMap")
    snapshot = worlds.world(ITEMS)
    return lambda: of(replace(snapshot, kube={**snapshot.kube, "configmaps": maps}))


def recorded(name: str, **without: bool) -> Callable[[], set[str]]:
    return lambda: of(load(RECORDINGS / name).without(**without))


def dumped(change: Callable[[Json], Any], listed: Any = ITEMS, **pages: bytes) -> set[str]:
    """A world whose gateway's dump is changed in place."""
    dump = json.loads(worlds.config_dump(worlds.expectation(listed).tables))
    change(dump["configs"])
    given = {
        "config_dump.json": json.dumps(dump).encode(),
        **{f"{k.removesuffix('_json')}.json": v for k, v in pages.items()},
    }
    return of(worlds.world(listed, pages=given))


def unfetched(configs: Json) -> None:
    tables = configs[3]["dynamic_route_configs"]
    tables[:] = [t for t in tables if "bar.test" not in t["route_config"]["name"]]


def listeners(configs: Json) -> Json:
    found: Json = configs[1]["dynamic_listeners"]
    return found


def warming(configs: Json) -> None:
    for each in listeners(configs):
        each["warming_state"] = each.pop("active_state")


def erring(configs: Json) -> None:
    listeners(configs)[1] = {**listeners(configs)[1], "error_state": {"details": "bad chain"}}


def chainless(configs: Json) -> None:
    del listeners(configs)[1:]


TWICE_SECURE = [*SECURE, ingress("b", "bar.test", "/b", tls="cert")]


def one_chain_less(configs: Json) -> None:
    chains = listeners(configs)[1]["active_state"]["listener"]["filter_chains"]
    del chains[0]


N = "nginx.ingress.kubernetes.io/"
CANARIES = [
    ingress("base", "foo.test", "/a", service="one"),
    *(
        ingress(
            f"c{n}", "foo.test", "/a", service=f"to{n}", annotations={N + "canary": "true", N + "canary-weight": "20"}
        )
        for n in (1, 2)
    ),
]


def stock(*, fields: bool, fork: bool = False) -> set[str]:
    """A gateway whose Envoy is not Higress's, and whose table lacks what such an Envoy does not know, or holds it all."""

    def drop(configs: Json) -> None:
        for entry in configs[3]["dynamic_route_configs"]:
            for host in entry["route_config"]["virtual_hosts"]:
                for route in host["routes"]:
                    if not fields:
                        del route["route"]["weighted_clusters"]["inline_cluster_specifier_plugin"]

    urls = ["envoy.extensions.filters.http.router.v3.Router"]
    urls += ["envoy.extensions.custom_cluster_plugins.cluster_fallback.v3.ClusterFallbackConfig"] * fork
    info = {"node": {"extensions": [{"type_urls": urls}]}}
    pages = {"server_info_json": json.dumps(info).encode(), "stats_json": worlds.stats()}
    return dumped(drop, CANARIES, **pages)


def starting(state: str) -> set[str]:
    """A gateway without any listener whose Envoy is in this state."""
    info = json.dumps({"state": state}).encode()
    return dumped(lambda configs: listeners(configs).clear(), server_info_json=info, stats_json=worlds.stats())


def secret(names: tuple[str, ...] | None, *, days: int = 90) -> Callable[[Json], None]:
    """A dump whose filter chain shows a certificate for these names, or waits for one."""

    def change(configs: Json) -> None:
        name = "kubernetes-ingress://Kubernetes/default/cert"
        tls = listeners(configs)[1]["active_state"]["listener"]["filter_chains"][0]["transport_socket"]["typed_config"]
        tls["common_tls_context"] = {"tls_certificate_sds_secret_configs": [{"name": name}]}
        if names is None:
            configs[4]["dynamic_warming_secrets"] = [{"name": name}]
            return
        begins = datetime(2026, 11, 24, tzinfo=UTC) - timedelta(days=30)
        issued = trustme.CA().issue_cert(*names, not_before=begins, not_after=begins + timedelta(days=days))
        pem = base64.b64encode(issued.cert_chain_pems[0].bytes()).decode()
        configs[4]["dynamic_active_secrets"] = [
            {"name": name, "secret": {"name": name, "tls_certificate": {"certificate_chain": {"inline_bytes": pem}}}}
        ]

    return change


def cluster(kind: str, *, slices: int | None = None, key: str = "dynamic_active_clusters") -> Callable[[], set[str]]:
    """A world whose gateway's one cluster is EDS without endpoints, warming, or gone."""

    def made() -> set[str]:
        name = "outbound|80||web.default.svc.cluster.local"
        dump = json.loads(worlds.config_dump(GOOD))
        dump["configs"][0] = {**dump["configs"][0], "dynamic_active_clusters": []}
        if kind:
            dump["configs"][0][key] = [{"cluster": {"name": name, "type": kind}}]
        section = "type.googleapis.com/envoy.admin.v3.EndpointsConfigDump"
        empty = {"endpoint_config": {"cluster_name": name}}
        dump["configs"].append({"@type": section, "dynamic_endpoint_configs": [empty]})
        labels = {"kubernetes.io/service-name": "web"}
        ready = [
            {"metadata": {"name": "s", "namespace": "default", "labels": labels}, "endpoints": [{}] * (slices or 0)}
        ]
        snapshot = worlds.world(ITEMS, pages={"config_dump.json": json.dumps(dump).encode()})
        lists = {**snapshot.kube, "endpointslices": ingress_list(ready, "EndpointSlice")}
        return of(replace(snapshot, kube=lists))

    return made


def chain_cache(*, fresh: bool) -> Callable[[], set[str]]:
    """Pilot's served listener lacks the chain of a host; its private line has it, or lacks it too."""

    def made() -> set[str]:
        plain = worlds.responses({p: r for p, r in SECURE_TABLES.items() if p[0] == 80})
        full = worlds.responses(SECURE_TABLES)
        served = (*full[:1], plain[1], *full[2:])
        capture = PilotCapture(served, full if fresh else served)
        return of(replace(worlds.world(SECURE), pilot={"pilot-0": capture}))

    return made


def foreign(configs: Json, name: str) -> None:
    path = f"/apis/networking.istio.io/v1alpha3/namespaces/mine/virtual-service/{name}"
    route = {"match": {"prefix": "/own"}, "route": {"cluster": "c"}, "name": "default/z"}
    route["metadata"] = {"filter_metadata": {"istio": {"config": path}}}  # type: ignore[assignment]
    configs[3]["dynamic_route_configs"][0]["route_config"]["virtual_hosts"][0]["routes"].append(route)


def two(view: str, *, cut: bool) -> Callable[[], set[str]]:
    """Two replicas of a view, of which the second may lack a rule."""

    def made() -> set[str]:
        snapshot = worlds.world(ITEMS)
        other = WITHOUT_B if cut else GOOD
        if view == "pilot":
            return of(replace(snapshot, pilot={**snapshot.pilot, "pilot-1": PilotCapture(worlds.responses(other))}))
        pages = {"config_dump.json": worlds.config_dump(other), "stats.json": worlds.stats()}
        return of(replace(snapshot, gateway={**snapshot.gateway, "gateway-1": pages}))

    return made


def batch(*listed: Json, on_service: str = "example.com/note") -> Callable[[], set[str]]:
    web = service("web")
    web["metadata"]["annotations"] = {on_service: "x"}
    objects, _ = read_objects({**worlds.kube(listed), "services": ingress_list([web], "Service")})
    return lambda: codes(check_batch(Batch(objects, {}, {}, "2026-11-24T00:00:00Z"), None, Profile()))


def bridged(name: str, destination: str) -> Json:
    item = ingress("a", "a.test", "/a", annotations={"higress.io/destination": destination})
    resource = {"kind": "McpBridge", "name": name, "apiGroup": "networking.higress.io"}
    item["spec"]["rules"][0]["http"]["paths"][0]["backend"] = {"resource": resource}
    return item


def on_live(item: Json) -> set[str]:
    """A batch over a world in which another Ingress goes to the same Service."""
    live, _ = read_objects(worlds.kube([ingress("z", "z.test", "/z")]))
    mine, _ = read_objects({"ingresses": ingress_list([item])})
    return codes(check_batch(Batch(mine, {}, {}, "2026-11-24T00:00:00Z"), live, Profile()))


def moved(key: str) -> Callable[[], set[str]]:
    """A batch that comes from ingress-nginx."""
    mine, _ = read_objects({"ingresses": ingress_list([ingress("a", "a.test", "/a", annotations={key: "/5"})])})
    return lambda: codes(check_batch(Batch(mine, {}, {}, "2026-11-24T00:00:00Z"), None, Profile(), from_nginx=True))


def noted(**notes: str) -> Json:
    return ingress("a", "a.test", "/a", annotations={f"higress.io/{key}": value for key, value in notes.items()})


def written(text: str) -> Callable[[], set[str]]:
    """What a check says of a manifest as it was typed."""

    def made() -> set[str]:
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(text)
            file.flush()
            given = read_manifests([file.name], to_check=True)
        objects, _ = read_objects(given.lists)
        when = "2026-11-24T00:00:00Z"
        return codes(check_batch(Batch(objects, given.origins, given.order, when, given.complaints), None, Profile()))

    return made


TYPED = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: a, namespace: shop}
spec:
  ingressClassName: higress
  rules: [{host: a.test, http: {paths: [{path: /a, pathType: Prefix, backend: {service: {name: a, port: {number: 80}}}}]}}]
"""


def taken(second: str) -> Callable[[], set[str]]:
    """What the journey of a rule says of requests that another takes."""

    def made() -> set[str]:
        world, result = judged(worlds.world([ITEMS[0], ingress("x", "foo.test", (second, "Exact"))]))
        said = [line for j in journeys(world, result, "default/a") for line in j.taken]
        return {line.split()[1].rstrip(":") for line in said}

    return made


def batch_loss() -> Snapshot:
    return load(RECORDINGS / "batch-loss")


def cut_core() -> Snapshot:
    """The recorded incident, had core lost the rule: its answers name no such route."""
    snapshot = batch_loss()
    core = tuple(answer.replace(b"app-10061", b"app-1006x") for answer in snapshot.core[""])
    return replace(snapshot, core={"": core})


def cut_pilot(*lines: str) -> Snapshot:
    """The recorded incident, had pilot's generation left the route out: both lines lack it."""
    snapshot = batch_loss()
    (pod, capture), *_ = snapshot.pilot.items()
    return replace(snapshot, pilot={pod: replace(capture, fresh=capture.served) if "fresh" in lines else capture})


def cut_scope() -> Snapshot:
    """The recorded incident, had pilot served no scope for the host."""
    snapshot = batch_loss()
    (pod, capture), *_ = snapshot.pilot.items()
    kept = []
    for data in capture.served:
        response = message("envoy.service.discovery.v3.DiscoveryResponse").FromString(data)
        if response.type_url == TYPES["SRDS"]:
            for index in reversed([i for i, r in enumerate(response.resources) if b"80.wss.live.test" in r.value]):
                del response.resources[index]
        kept.append(response.SerializeToString())
    return replace(snapshot, pilot={pod: PilotCapture(tuple(kept))})


def node() -> Snapshot:
    return replace(worlds.world(ITEMS), pilot=audit_pilot_empty())


NGINX = "nginx.ingress.kubernetes.io/"
BAD_PORT = ingress("b", "foo.test", "/b", port="nope")
BRIDGE = {"resource": {"kind": "McpBridge", "name": "default", "apiGroup": "networking.higress.io"}}
UNREAD = ViewInfo(ViewName.GATEWAY, "gateway-1", State.UNREAD, "no answer")
CANARY = {NGINX + "canary": "true", NGINX + "canary-weight": "10"}
TEN = {"stats.json": worlds.stats(**{"higress-rds-80.foo.test": 1})}
WATCHING = {"kind": "higress", "version": "2.0.1", "ingress_class": "higress", "watch_namespace": "other"}


def rule_free(*, paths: bool) -> Json:
    item = ingress("b", "foo.test", "/b")
    if not paths:
        item["spec"]["rules"] = [{"host": "foo.test"}]
    return item


def default_backend(*, alone: bool) -> list[Json]:
    item = ingress("b", "foo.test", "/b")
    item["spec"] = {
        "ingressClassName": "higress",
        "defaultBackend": {"service": {"name": "web", "port": {"number": 80}}},
    }
    return [item] if alone else [item, ingress("any", None, "/any")]


def resource(*, bridge: bool) -> Json:
    item = ingress("b", "foo.test", "/b", annotations={"higress.io/destination": "web.default.svc.cluster.local:80"})
    item["spec"]["rules"][0]["http"]["paths"][0]["backend"] = BRIDGE
    if not bridge:
        del item["metadata"]["annotations"]
    return item


def wildcard_tls(hosts: str) -> Json:
    item = ingress("a", "x.foo.test", "/a", tls="cert")
    item["spec"]["tls"][0]["hosts"] = [hosts]
    return item


def plugins(*listed: Json, **cut: Any) -> Callable[[], set[str]]:
    """WasmPlugins in a world that serves them as they are written, or with views that are given."""
    return lambda: of(plugin_worlds.world(listed, **cut))


AUTH = wasm("auth", matchRules=[rule({"on": True}, ingress="default/a")])
OLD = plugin_worlds.served([wasm("auth", matchRules=[rule({"on": False}, ingress="default/a")])])
NOW = plugin_worlds.served([AUTH])

WORLDS: dict[str, Pair] = {
    "manifest-unreadable": (written(TYPED.replace("80", '"80"')), written(TYPED)),
    "refused-by-api": (written(TYPED.replace("80", "70000")), written(TYPED.replace("80", "65535"))),
    "unknown-field": (written(TYPED.replace("ClassName", "Classname")), written(TYPED)),
    "object-repeated": (
        written(TYPED + "---" + TYPED.replace("/a,", "/b,")),
        written(TYPED + "---" + TYPED.replace("name: a, namespace", "name: b, namespace").replace("/a,", "/b,")),
    ),
    "class-not-ours": (items(ingress("a", "a.test", ingress_class="nginx")), items(ingress("a", "a.test"))),
    "namespace-not-watched": (lambda: of(worlds.world(ITEMS, controller=WATCHING)), items(*ITEMS)),
    "empty-rule": (items(rule_free(paths=False)), items(rule_free(paths=True))),
    "invalid-backend-service": (items(resource(bridge=False)), items(resource(bridge=True))),
    "port-name-resolve-error": (items(BAD_PORT), items(ingress("b", "foo.test", "/b", port="http"))),
    "duplicated-route": (
        items(ITEMS[0], ingress("a2", "foo.test", "/a")),
        items(ITEMS[0], ingress("a2", "foo.test", ("/a", "Exact"))),
    ),
    "orphan-canary": (
        items(ingress("c", "foo.test", "/c", annotations=CANARY)),
        items(ingress("b", "foo.test", "/c"), ingress("c", "foo.test", "/c", annotations=CANARY)),
    ),
    "default-backend-unreachable": (items(*default_backend(alone=True)), items(*default_backend(alone=False))),
    "behind-catch-all": (
        items(
            ingress("a", "foo.test", ("/", "Prefix")),
            ingress("b", "foo.test", ("/", "Prefix"), annotations={"higress.io/match-method": "NOPE"}),
        ),
        items(
            ingress("a", "foo.test", ("/", "Prefix")),
            ingress("b", "foo.test", ("/", "Prefix"), annotations={"higress.io/match-method": "GET"}),
        ),
    ),
    "not-translated": (lambda: of(cut_core()), recorded("healthy-scoped")),
    "tls-ignored": (batch(wildcard_tls("*.foo.test")), batch(wildcard_tls("x.foo.test"))),
    "controller-crash-key": (recorded("controller-crashed"), recorded("gateway-stale")),
    "protection-not-applied": (
        items(ingress("a", "a.test", annotations={NGINX + "auth-url": "http://auth.test/check"})),
        items(ingress("a", "a.test", annotations={"higress.io/auth-consumer-levels": "1"})),
    ),
    "value-without-effect": (batch(noted(timeout="10s")), batch(noted(timeout="10"))),
    "breaks-requests": (batch(noted(**{"rewrite-path": "/v$1"})), batch(noted(**{"rewrite-path": "/v1"}))),
    "redirects-to-nothing": (
        batch(noted(**{"ssl-redirect": "true"})),
        batch({**noted(**{"ssl-redirect": "true"}), "spec": ingress("a", "a.test", "/a", tls="cert")["spec"]}),
    ),
    "pattern-taken-literally": (batch(ingress("a", "a.test", "/api/*")), batch(ingress("a", "a.test", "/api/"))),
    "reference-missing": (
        batch(noted(**{"default-backend": "web.default:80"})),
        batch(noted(**{"default-backend": "default/web"})),
    ),
    "destination-unregistered": (
        batch(bridged("other", "ext.dns:80")),
        batch(bridged("default", "ext.dns:80")),
    ),
    "annotation-misplaced": (
        batch(ITEMS[0], on_service=NGINX + "upstream-hash-by"),
        batch(ITEMS[0], on_service="example.com/x"),
    ),
    "live-rule-changed": (lambda: on_live(noted(**{"load-balance": "RANDOM"})), lambda: on_live(noted(timeout="5"))),
    "nginx-annotation-lost": (moved(NGINX + "proxy-read-timeout"), moved(NGINX + "rewrite-target")),
    "nginx-differs": (moved(NGINX + "rewrite-target"), moved("higress.io/timeout")),
    "annotation-without-effect": (
        items(ingress("a", "a.test", annotations={NGINX + "proxy-body-size": "1m"})),
        items(ingress("a", "a.test", annotations={NGINX + "rewrite-target": "/x"})),
    ),
    "stale-route-cache": (recorded("batch-loss"), recorded("batch-loss", fresh=True)),
    "stale-listener-cache": (chain_cache(fresh=True), chain_cache(fresh=False)),
    "blackhole-table": (recorded("healthy-scoped"), recorded("batch-loss")),
    "route-omitted": (lambda: of(cut_pilot("fresh", "served")), recorded("batch-loss")),
    "scope-missing": (lambda: of(cut_scope()), recorded("batch-loss", fresh=True)),
    "lost-in-pilot": (recorded("batch-loss", fresh=True), recorded("batch-loss", fresh=True, core=True)),
    "lost-in-control-plane": (recorded("batch-loss", fresh=True, core=True), recorded("batch-loss", fresh=True)),
    "changed-in-control-plane": (recorded("gateway-stale"), recorded("healthy-scoped")),
    "envoy-rejected": (broken(gateway=WITHOUT_B, pages=TEN), broken(pages=TEN)),
    "listener-rejected": (lambda: dumped(erring, SECURE), lambda: dumped(chainless, SECURE)),
    "not-delivered": (broken(gateway=WITHOUT_B), broken(gateway=WITHOUT_B, pages=TEN)),
    "listener-warming": (recorded("gateway-warming"), recorded("healthy-flat")),
    "table-not-fetched": (lambda: dumped(unfetched), broken(gateway=WITHOUT_BAR)),
    "scope-not-applied": (broken(gateway=WITHOUT_BAR), lambda: dumped(unfetched)),
    "gateway-disconnected": (
        broken(gateway=WITHOUT_B, pages={"stats.json": worlds.stats(connected=0)}),
        broken(gateway=WITHOUT_B, pages={"stats.json": worlds.stats(connected=1)}),
    ),
    "certificate-warming": (lambda: dumped(secret(None), SECURE), lambda: dumped(secret(("foo.test",)), SECURE)),
    "certificate-expired": (
        lambda: dumped(secret(("foo.test",), days=29), SECURE),
        lambda: dumped(secret(("foo.test",), days=31), SECURE),
    ),
    "certificate-mismatch": (
        lambda: dumped(secret(("x.foo.test", "*.foo.test")), SECURE),
        lambda: dumped(secret(("*.test", "foo.test")), SECURE),
    ),
    "no-filter-chain": (lambda: dumped(one_chain_less, TWICE_SECURE), lambda: dumped(lambda _: None, TWICE_SECURE)),
    "nothing-listens": (lambda: dumped(chainless, TWICE_SECURE), lambda: dumped(one_chain_less, TWICE_SECURE)),
    "field-unknown-to-envoy": (lambda: stock(fields=False), lambda: stock(fields=False, fork=True)),
    "gateway-initializing": (lambda: starting("INITIALIZING"), lambda: starting("LIVE")),
    "differs-in-gateway": (
        lambda: of(replace(worlds.world(ITEMS, gateway=WITHOUT_B), pilot={})),
        broken(gateway=WITHOUT_B),
    ),
    "no-endpoints": (cluster("EDS"), cluster("STATIC")),
    "endpoints-not-delivered": (cluster("EDS", slices=2), cluster("EDS", slices=0)),
    "cluster-absent": (cluster(""), cluster("STATIC")),
    "cluster-warming": (cluster("EDS", key="dynamic_warming_clusters"), cluster("EDS")),
    "shadowed": (
        lambda: of(worlds.world(ITEMS, gateway={p: _caught(r) for p, r in GOOD.items()})),
        broken(),
    ),
    "not-applied": (wanted([*ITEMS, ingress("late", "foo.test", "/late")]), wanted(ITEMS)),
    "applied-differently": (
        wanted([ingress("a", "foo.test", "/a", annotations={"higress.io/timeout": "5"}), *ITEMS[1:]]),
        wanted([ingress("a", "foo.test", "/a", annotations={"example.test/note": "new"}), *ITEMS[1:]]),
    ),
    "certificates-invalid": (https_map("credentialConfig: [{domains: []}]"), https_map("automaticHttps: false")),
    "unmatchable-path": (items(ingress("a", "a.test", "/users/{id}")), items(ingress("a", "a.test", "/users/id"))),
    "partly-shadowed": (taken("/a/x"), taken("/other")),
    "pilots-disagree": (two("pilot", cut=True), two("pilot", cut=False)),
    "replicas-disagree": (two("gateway", cut=True), two("gateway", cut=False)),
    "unreadable": (broken(views=(UNREAD,)), broken()),
    "not-modelled": (
        items(ingress("a", "a.test", annotations={f"higress.io/{k}-match-header-x": "1" for k in ("exact", "prefix")})),
        items(ingress("a", "a.test", annotations={"higress.io/timeout": "5"})),
    ),
    "other-origin": (
        lambda: dumped(lambda c: foreign(c, "handmade")),
        lambda: dumped(lambda c: foreign(c, "istio-autogenerated-k8s-ingress-x")),
    ),
    "node-served-nothing": (lambda: of(node()), broken(pilot=WITHOUT_B)),
    "plugin-elsewhere": (plugins(wasm("x", "shop")), plugins(wasm("x"))),
    "plugin-rule-without-condition": (
        plugins(wasm("x", matchRules=[rule()])),
        plugins(wasm("x", matchRules=[rule(configDisable=True)])),
    ),
    "plugin-rules-ignored": (
        plugins(wasm("x", pluginConfig={}, matchRules=[rule(ingress="default/a")])),
        plugins(wasm("x", defaultConfig={}, matchRules=[rule(ingress="default/a")])),
    ),
    "plugin-disabled": (
        plugins(wasm("x", defaultConfigDisable=True)),
        plugins(wasm("x", defaultConfigDisable=True, matchRules=[rule(ingress="default/a")])),
    ),
    "plugin-rule-dangling": (
        plugins(wasm("x", matchRules=[rule(domain="nobody.test")])),
        plugins(wasm("x", matchRules=[rule(domain="*.test")])),
    ),
    "plugin-rule-wrong-namespace": (
        plugins(wasm("x", matchRules=[rule(ingress="a")])),
        plugins(wasm("x", matchRules=[rule(ingress="default/a")])),
    ),
    "plugin-rule-unreachable": (
        plugins(wasm("x", matchRules=[rule(domain="foo.test"), rule(ingress="default/a")])),
        plugins(wasm("x", matchRules=[rule(ingress="default/a"), rule(domain="foo.test")])),
    ),
    "plugin-condition-unread": (
        plugins(wasm("x", matchRules=[rule(ingress="default/a", domain="foo.test")])),
        plugins(wasm("x", matchRules=[rule(ingress="default/a"), rule(domain="bar.test")])),
    ),
    "plugin-not-translated": (plugins(AUTH, core={}, pilot={}, gateway={}, slots={}), plugins(AUTH, core=NOW)),
    "plugin-unexplained": (plugins(pilot={}, gateway=NOW, slots=NOW), plugins(AUTH)),
    "plugin-not-generated": (plugins(AUTH, core=NOW, pilot=OLD, gateway=OLD), plugins(AUTH, core=NOW, gateway=OLD)),
    "plugin-config-rejected": (plugins(AUTH, gateway={}, rejected=NOW), plugins(AUTH, rejected=NOW)),
    "plugin-not-delivered": (plugins(AUTH, gateway=OLD), plugins(AUTH, gateway=OLD, rejected=NOW)),
    "plugin-without-configuration": (
        plugins(AUTH, gateway={}),
        plugins(wasm("auth", failStrategy="FAIL_OPEN"), gateway={}),
    ),
}


def _caught(routes: Any) -> Any:
    """The same routes behind one that takes every request."""
    first = routes[0]
    return (first._replace(key=first.key._replace(kind="prefix", value="/"), rules=()), *routes)


@pytest.mark.parametrize("row", CATALOGUE, ids=lambda row: row.slug)
def test_a_world_that_gets_it_and_a_near_miss(row: Any) -> None:
    produced, near_miss = WORLDS[row.slug]
    assert row.slug in produced()
    assert row.slug not in near_miss()


@pytest.mark.parametrize("row", CATALOGUE, ids=lambda row: row.slug)
def test_every_code_is_told_whole(row: Any) -> None:
    for text in (row.title, row.meaning, row.remedy, row.shows, row.prevention):
        assert text
    assert row.title[-1] != "."
    assert all("#" in issue for issue in row.issues)


def test_a_code_and_a_slug_are_one_row_s() -> None:
    """Two rows of one number would share a page, and the second would hide the first."""
    for column in ("code", "slug"):
        listed = [getattr(row, column) for row in CATALOGUE]
        assert sorted(listed) == sorted(set(listed))
