"""A batch before it is applied: each fault it may hold, beside a batch without it."""

from __future__ import annotations

from typing import Any

import pytest

from xdsaudit.audit.questions.precheck import Batch, check_batch
from xdsaudit.ingress.objects import KubeObjects, read_objects
from xdsaudit.ingress.profile import Profile
from xdsaudit.model.verdict import Origin
from xdsaudit.testing import ingress, ingress_list, service

NGINX = "nginx.ingress.kubernetes.io/"
LIVE = [ingress("live", "foo.test", "/live"), ingress("root", "foo.test", "/")]


def objects(
    items: list[dict[str, Any]], *services: dict[str, Any], secrets: tuple[str, ...] | None = ()
) -> KubeObjects:
    lists = {"ingresses": ingress_list(items)}
    if services:
        lists["services"] = ingress_list(services, "Service")
    if secrets is not None:
        lists["secrets"] = ingress_list(
            [{"kind": "Secret", "metadata": {"name": s, "namespace": "default"}} for s in secrets], "Secret"
        )
    return read_objects(lists)[0]


def said(*batch: dict[str, Any], live: KubeObjects | None = None, **more: Any) -> dict[str, str]:
    """Slug to message of what a batch would do to a live world."""
    known = objects(LIVE, service("web"), secrets=("cert",)) if live is None else live
    mine = objects(list(batch), *more.get("services", ()), secrets=None)
    result = check_batch(Batch(mine, {}, more.get("order", {}), "2026-11-24T00:00:00Z"), known, Profile())
    return {f.slug: f.message for f in result.findings}


def test_a_good_batch_has_nothing_to_say() -> None:
    assert said(ingress("new", "foo.test", "/new"), ingress("tls", "bar.test", "/", tls="cert")) == {}


def annotated(path: str = "/new", **notes: str) -> dict[str, Any]:
    return ingress("new", "foo.test", path, annotations={k.replace("__", "/"): v for k, v in notes.items()})


@pytest.mark.parametrize(
    ("item", "slug", "words"),
    [
        (ingress("dup", "foo.test", "/live"), "duplicated-route", "won by default/live"),
        (ingress("new", "foo.test", "/new", service="gone"), "cluster-absent", "default/gone does not exist"),
        (ingress("new", "foo.test", "/new", port=8080), "cluster-absent", "no port 8080, only 80"),
        (ingress("new", "foo.test", "/new", port="nope"), "port-name-resolve-error", "refused"),
        (ingress("new", "bar.test", "/new", tls="gone"), "certificate-warming", "default/gone does not exist"),
        (ingress("new", "foo.test", "/new", ingress_class="nginx"), "class-not-ours", "left alone"),
        (annotated(**{"higress.io/x-match-query-a": "1", "match-header-x": "1"}), "controller-crash-key", "stop"),
        (annotated("/x(", **{NGINX + "use-regex": "true"}), "envoy-rejected", "RE2"),
        (
            annotated(**{NGINX + "permanent-redirect": "http://x/", NGINX + "permanent-redirect-code": "304"}),
            "envoy-rejected",
            "no action",
        ),
        (annotated(**{NGINX + "proxy-body-size": "1m"}), "annotation-without-effect", "no effect"),
        (annotated(**{NGINX + "canary": "true"}), "orphan-canary", "refused"),
    ],
)
def test_faults(item: dict[str, Any], slug: str, words: str) -> None:
    found = said(item)
    assert slug in found
    assert words in found[slug]


def bridge(name: str, destination: str, bridge: str = "default") -> dict[str, Any]:
    item = ingress(name, f"{name}.test", "/", annotations={"higress.io/destination": destination})
    resource = {"kind": "McpBridge", "name": bridge, "apiGroup": "networking.higress.io"}
    item["spec"]["rules"][0]["http"]["paths"][0]["backend"] = {"resource": resource}
    return item


def with_registries(*registries: dict[str, Any], namespace: str = "higress-system") -> KubeObjects:
    item = {
        "kind": "McpBridge",
        "metadata": {"name": "default", "namespace": namespace},
        "spec": {"registries": list(registries)},
    }
    lists = {"ingresses": ingress_list(LIVE), "services": ingress_list([service("web")], "Service")}
    return read_objects({**lists, "mcpbridges": ingress_list([item], "McpBridge")})[0]


EXT = {"name": "ext", "type": "dns", "domain": "ext.test", "port": 443}


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (bridge("a", "ext.dns:80"), "ext.dns is registered on port 443, not 80: write ext.dns:443"),
        (bridge("a", "ext:443"), "did you mean ext.dns:443?"),
        (bridge("a", "ext.static:443"), "did you mean ext.dns:443?"),
        (bridge("a", "gone.dns"), "offers gone.dns (it offers ext.dns"),
        (bridge("a", "bad.dns"), "the registry bad makes no service"),
        (bridge("a", "gone.dns", "mine"), "McpBridge mine is not read"),
        (ingress("new", "foo.test", "/new", service="ext", port=443), "higress.io/destination: ext.dns:443"),
    ],
)
def test_destinations_that_no_registry_offers(item: dict[str, Any], words: str) -> None:
    known = with_registries(EXT, {"name": "bad", "type": "dns", "domain": "no domain", "port": 80})
    assert words in said(item, live=known)["destination-unregistered"]


@pytest.mark.parametrize(
    "item",
    [
        bridge("a", "ext.dns:443"),
        bridge("a", "ext.dns"),
        bridge("a", "ext.dns:443", "mine"),
        bridge("a", "x.g.public.nacos"),
    ],
)
def test_destinations_that_one_offers_or_may_offer(item: dict[str, Any]) -> None:
    nacos = {"name": "n", "type": "nacos2", "domain": "nacos.test", "port": 8848}
    assert said(item, live=with_registries(EXT, nacos)) == {}


def test_a_bridge_elsewhere_and_one_that_the_controller_does_not_see() -> None:
    elsewhere = with_registries(EXT, namespace="default")
    assert (
        "McpBridge default/default is not read"
        in said(bridge("a", "ext.dns"), live=elsewhere)["destination-unregistered"]
    )
    mine, live = objects([bridge("a", "ext.dns:443")], secrets=None), with_registries(EXT)
    for version, slugs in (((2, 0, 1), set()), ((2, 1, 0), {"destination-unregistered"})):
        seen = Profile(version=version, watch_namespace="default")
        result = check_batch(Batch(mine, {}, {}, "2026-11-24T00:00:00Z"), live, seen)
        assert {f.slug for f in result.findings} == slugs


def test_external_names_need_ports_too() -> None:
    alias = {"kind": "Service", "metadata": {"name": "alias", "namespace": "default"}, "spec": {"type": "ExternalName"}}
    item = ingress("new", "foo.test", "/new", service="alias", port=80)
    assert "ExternalName Service default/alias has no ports" in said(item, services=(alias,))["cluster-absent"]
    alias["spec"] = {"type": "ExternalName", "ports": [{"port": 80}]}
    assert said(item, services=(alias,)) == {}


@pytest.mark.parametrize(
    ("notes", "words"),
    [
        ({NGINX + "default-backend": "errors.default:8080"}, "takes no port"),
        ({NGINX + "default-backend": "gone"}, "names Service default/gone, which does not exist"),
        ({NGINX + "mirror-target-service": "gone:80"}, "nothing is mirrored"),
        ({NGINX + "proxy-ssl-secret": "gone", NGINX + "backend-protocol": "HTTPS"}, "names Secret default/gone"),
    ],
)
def test_what_annotations_name_in_vain(notes: dict[str, str], words: str) -> None:
    assert words in said(ingress("new", "foo.test", "/new", annotations=notes))["reference-missing"]


def test_what_annotations_name_rightly() -> None:
    notes = {
        NGINX + "default-backend": "web",
        NGINX + "mirror-target-service": "default/web:80",
        NGINX + "proxy-ssl-secret": "cert",
    }
    secure = {**notes, NGINX + "backend-protocol": "HTTPS"}
    item = ingress("new", "foo.test", "/new", annotations=secure, service="own")
    assert said(item, services=(service("own"),)) == {}
    # The same on a Service that live rules go to changes what these do.
    shared = said(ingress("new", "foo.test", "/new", annotations=secure))
    assert "default/root foo.test/, which is live, does: connections to the backend" in shared["live-rule-changed"]


def test_the_notes_say_what_the_batch_changes_for_clients_and_that_it_is_all() -> None:
    mine = objects([ingress("new", "foo.test", "/new", service="own")], service("own"), secrets=None)
    notes = check_batch(Batch(mine, {}, {}, "2026-11-24T00:00:00Z"), objects(LIVE, service("web")), Profile()).notes
    assert "the batch changes the answer to 1 kind of requests, and nothing else" in notes
    assert any(n.startswith("GET http://foo.test/new: default/root foo.test/ to web") for n in notes)
    same = check_batch(Batch(objects(LIVE[:1], secrets=None), {}, {}, ""), objects(LIVE, service("web")), Profile())
    assert "the batch changes nothing for clients" in same.notes


def test_a_secret_that_is_not_there_and_one_that_higress_https_falls_back_to() -> None:
    text = "fallbackForInvalidSecret: true\nautomaticHttps: false\ncredentialConfig: [{domains: ['*.test'], tlsSecret: certs/wild}]"
    meta = {"name": "higress-https", "namespace": "higress-system"}
    maps = ingress_list([{"kind": "ConfigMap", "metadata": meta, "data": {"cert": text}}], "ConfigMap")
    secrets = ingress_list([{"kind": "Secret", "metadata": {"name": "cert", "namespace": "other"}}], "Secret")
    lists = {"ingresses": ingress_list(LIVE), "services": ingress_list([service("web")], "Service"), "secrets": secrets}
    item = ingress("new", "bar.test", "/new", tls="cert")
    assert "other/cert does" in said(item, live=read_objects(lists)[0])["certificate-warming"]
    assert said(item, live=read_objects({**lists, "configmaps": maps})[0]) == {}


def test_a_secret_that_holds_no_certificate() -> None:
    item = ingress("new", "bar.test", "/new", tls="odd")
    for keys, slugs in (
        (("cert", "key"), {"certificate-warming"}),
        (("tls.crt", "tls.key", "ca.crt"), set()),
        ((), set()),
    ):
        odd = {"kind": "Secret", "metadata": {"name": "odd", "namespace": "default"}, "data": dict.fromkeys(keys, "")}
        lists = {"ingresses": ingress_list([item]), "secrets": ingress_list([odd], "Secret")}
        mine = read_objects(lists)[0]
        result = check_batch(Batch(mine, {}, {}, "2026-11-24T00:00:00Z"), objects(LIVE, service("web")), Profile())
        assert {f.slug for f in result.findings} == slugs
        assert all("has the keys cert, key, and a certificate needs tls.crt" in f.message for f in result.findings)


def test_keys_without_effect_for_the_same_reason_are_told_together() -> None:
    notes = {NGINX + "proxy-read-timeout": "5", NGINX + "proxy-send-timeout": "5", NGINX + "limit-rps": "5"}
    mine = objects([ingress("new", "foo.test", "/new", annotations=notes)], secrets=None)
    result = check_batch(Batch(mine, {}, {}, "2026-11-24T00:00:00Z"), objects(LIVE, service("web")), Profile())
    assert [f.slug for f in result.findings] == ["annotation-without-effect"] * 2
    assert (
        "proxy-read-timeout, nginx.ingress.kubernetes.io/proxy-send-timeout of default/new have no effect"
        in result.findings[0].message
    )


def test_two_of_a_batch_exclude_each_other_by_name() -> None:
    found = said(ingress("b", "bar.test", "/x"), ingress("a", "bar.test", "/x"))
    assert found["duplicated-route"].startswith("default/b bar.test/x will be refused")


def test_an_update_that_takes_a_live_rule_away() -> None:
    older = ingress("old", "foo.test", "/old", created="2020-01-01T00:00:00Z")
    live = objects([*LIVE, older], service("web"))
    found = said(ingress("old", "foo.test", "/live"), live=live)
    assert "default/live foo.test/live, which is live, out of effect" in found["duplicated-route"]


def canary(path: Any = "/live", **notes: str) -> dict[str, Any]:
    return ingress("new", "foo.test", path, annotations={NGINX + k.replace("_", "-"): v for k, v in notes.items()})


@pytest.mark.parametrize(
    ("item", "slug", "words"),
    [
        (
            canary(canary_weight="10"),
            "duplicated-route",
            'which has nginx.ingress.kubernetes.io/canary-weight without canary: "true"',
        ),
        (canary(canary="yes"), "duplicated-route", "whose nginx.ingress.kubernetes.io/canary 'yes' is no boolean"),
        (canary(canary="true", use_regex="true"), "orphan-canary", "the two differ in use-regex"),
        (
            canary(("/live", "Exact"), canary="true"),
            "orphan-canary",
            "has the same path as Prefix, and this one is Exact",
        ),
        (bridge("a", "x% a.dns\nb.dns"), "invalid-backend-service", "the line 'x% a.dns' of higress.io/destination"),
        (bridge("a", " "), "invalid-backend-service", "higress.io/destination is blank"),
        (ingress("a", "intranet", "/"), "blackhole-table", "the host intranet has no dot"),
    ],
)
def test_the_cause_behind_a_refusal_is_told(item: dict[str, Any], slug: str, words: str) -> None:
    assert words in said(item)[slug]


def test_a_rule_that_is_said_twice_is_its_own_ingress_s_matter() -> None:
    twice = ingress("twice", "two.test", "/x", "/x")
    mine = objects([twice], secrets=None)
    (finding,) = check_batch(
        Batch(mine, {}, {}, "2026-11-24T00:00:00Z"), objects(LIVE, service("web")), Profile()
    ).findings
    assert (finding.slug, finding.severity.value) == ("duplicated-route", "warning")
    assert "said twice by its own Ingress" in finding.message
    # Where it is live already, a batch that does not touch it is not blamed.
    assert said(ingress("new", "foo.test", "/new"), live=objects([*LIVE, twice], service("web"))) == {}


def test_without_what_is_live_a_service_of_nearly_that_name_is_pointed_at() -> None:
    mine = objects([ingress("a", "foo.test", "/", service="wbe")], service("web"), secrets=None)
    (finding,) = check_batch(Batch(mine, {}, {}, "2026-11-24T00:00:00Z"), None, Profile()).findings
    assert (finding.slug, finding.severity.value) == ("cluster-absent", "warning")
    assert "did you mean" in finding.message
    other = objects([ingress("a", "foo.test", "/", service="billing")], service("web"), secrets=None)
    assert check_batch(Batch(other, {}, {}, "2026-11-24T00:00:00Z"), None, Profile()).findings == ()


def test_a_service_that_comes_later_with_a_named_port() -> None:
    item = ingress("new", "foo.test", "/new", service="late", port="http")
    order = {("Ingress", "default", "new"): 1, ("Service", "default", "late"): 2}
    assert "comes later" in said(item, services=(service("late"),), order=order)["port-name-resolve-error"]
    turned = {("Ingress", "default", "new"): 2, ("Service", "default", "late"): 1}
    assert said(item, services=(service("late"),), order=turned) == {}


def test_without_what_is_live_nothing_is_missing() -> None:
    mine = objects([ingress("new", "foo.test", "/new", service="gone", tls="gone")], secrets=None)
    result = check_batch(Batch(mine, {}, {}, "2026-11-24T00:00:00Z"), None, Profile())
    assert result.findings == ()
    assert any("only the batch itself" in note for note in result.notes)
    assert result.exit_code() == 0


def test_findings_stand_at_their_lines_in_order() -> None:
    items = [ingress("b", "foo.test", "/live"), ingress("a", "foo.test", "/")]
    origins = {
        ("default/b", "foo.test", "/live"): Origin("batch.yaml", 30),
        ("default/a", "foo.test", "/"): Origin("batch.yaml", 9),
    }
    known = objects(LIVE, service("web"))
    result = check_batch(Batch(objects(items), origins, {}, "2026-11-24T00:00:00Z"), known, Profile())
    assert [str(f.at) for f in result.findings] == ["batch.yaml:9", "batch.yaml:30"]
    assert result.exit_code() == 1


def test_what_is_live_already_is_no_fault_of_the_batch(recording) -> None:
    live = read_objects(recording("healthy-scoped").kube)[0]
    result = check_batch(Batch(live, {}, {}, "2026-11-24T00:00:00Z"), live, Profile())
    refused = {f.slug for f in result.findings if f.severity.value == "error"}
    assert "shadowed" not in refused
    assert "duplicated-route" in refused  # those that are refused today would still be


@pytest.mark.parametrize(
    ("notes", "path", "words"),
    [
        ({NGINX + "rewrite-target": "/$2"}, "/x/(.*)", "has only 1 group: Envoy then rewrites nothing"),
        ({NGINX + "rewrite-target": "/$1"}, "/x", "has no group"),
        ({NGINX + "rewrite-target": "/"}, "/api", "asked for as //x"),
        ({"higress.io/rewrite-path": "/v$1"}, "/x", "taken literally"),
        (
            {NGINX + "permanent-redirect": "https://a.test$request_uri"},
            "/x",
            "$request_uri, which is a variable of nginx",
        ),
        ({"higress.io/response-header-control-add": "x-a: 1"}, "/x", "'x-a:', which no header may have"),
    ],
)
def test_what_breaks_requests(notes: dict[str, str], path: str, words: str) -> None:
    assert words in said(ingress("new", "foo.test", path, annotations=notes))["breaks-requests"]


@pytest.mark.parametrize(
    ("notes", "path"),
    [
        ({NGINX + "rewrite-target": "/$2"}, "/api(/|$)(.*)"),
        ({NGINX + "rewrite-target": "/new"}, "/api"),
        ({NGINX + "rewrite-target": "/"}, "/"),
        ({NGINX + "rewrite-target": "/"}, ("/api", "Exact")),
        ({"higress.io/rewrite-path": "/"}, "/api"),
        ({NGINX + "permanent-redirect": "https://a.test/price$5"}, "/x"),
        ({NGINX + "app-root": "home"}, "/x"),
        ({"higress.io/request-header-control-add": "x-a 1: 2"}, "/x"),
    ],
)
def test_what_breaks_none(notes: dict[str, str], path: Any) -> None:
    assert "breaks-requests" not in said(ingress("new", "foo.test", path, annotations=notes))
