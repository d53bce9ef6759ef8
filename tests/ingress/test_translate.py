"""Translation, case by case: how an Ingress becomes routes, and why one does not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests import worlds
from xdsaudit import audit
from xdsaudit.ingress.expectation import Expectation
from xdsaudit.ingress.objects import read_objects
from xdsaudit.ingress.profile import Profile
from xdsaudit.ingress.translate import translate
from xdsaudit.testing import ingress, ingress_list, service

Json = dict[str, Any]
N = "nginx.ingress.kubernetes.io/"
H = "higress.io/"


def run(*items: Json, services: list[Json] | None = None, profile: Profile | None = None, **kube: bytes) -> Expectation:
    lists = {
        "ingresses": ingress_list(items),
        "services": ingress_list(services or [service("web")], "Service"),
        **kube,
    }
    objects, complaints = read_objects(lists)
    assert complaints == []
    return translate(objects, profile or Profile())


def keys(found: Expectation, host: str, port: int = 80) -> list[str]:
    return [f"{r.name} {r.key}" for r in found.tables.get((port, host), ())]


def slugs(found: Expectation) -> dict[str, str | None]:
    return {f"{p.rule.ingress}{p.rule.path}": p.refusal for p in found.plans}


def fields(found: Expectation, host: str, port: int = 80, index: int = 0) -> Json:
    route = found.tables[port, host][index]
    return {**route.fields, "cluster": route.cluster}


def annotated(key: str, value: str, path: str = "/old", kind: str = "Prefix", **more: Any) -> Expectation:
    return run(ingress("a", "foo.com", (path, kind), annotations={key: value}, **more))


# --- paths ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("path", "kind", "expected"),
    [
        ("/api", "Prefix", ["path /api", "prefix /api/"]),
        ("/api/", "Prefix", ["path /api", "prefix /api/"]),
        ("/api/", "Exact", ["path /api/"]),
        ("/api", "Exact", ["path /api"]),
        ("/", "Prefix", ["prefix /"]),
        ("/", "Exact", ["path /"]),
        ("/x", "ImplementationSpecific", ["path /x", "prefix /x/"]),
        ("/x/*", "ImplementationSpecific", ["path /x/*", "prefix /x/*/"]),
        ("/x/*", None, ["path /x", "prefix /x/"]),
        ("/x.*", None, ["path /x", "prefix /x/"]),
        (None, None, ["prefix /"]),
        ("", "Prefix", ["prefix /"]),
    ],
)
def test_paths(path: str | None, kind: str | None, expected: list[str]) -> None:
    found = run(ingress("a", "foo.com", (path, kind)))  # type: ignore[arg-type]
    assert keys(found, "foo.com") == [f"default/a {e}" for e in expected]


def test_route_name_without_namespace_in_the_system_namespace() -> None:
    assert keys(run(ingress("a", "foo.com", "/", namespace="higress-system")), "foo.com") == ["a prefix /"]


def test_cluster_and_defaults() -> None:
    found = fields(run(ingress("a", "foo.com", "/api")), "foo.com")
    assert found["cluster"] == "outbound|80||web.default.svc.cluster.local"
    assert (found["timeout"], found["max_grpc_timeout"]) == ("0s", "0s")
    assert found["retry_policy"]["num_retries"] == 2


def test_no_host_is_the_star() -> None:
    assert keys(run(ingress("a", None)), "*") == ["default/a prefix /"]


def test_order_is_exact_then_longer_prefix_then_root() -> None:
    found = run(ingress("a", "foo.com", "/", "/aa", "/aaa", ("/b", "Exact")))
    assert [k.partition(" ")[2] for k in keys(found, "foo.com")] == [
        "path /b",
        "path /aaa",
        "prefix /aaa/",
        "path /aa",
        "prefix /aa/",
        "prefix /",
    ]


# --- conflicts --------------------------------------------------------------------------------------------------------
def test_the_older_rule_wins_whatever_the_order_of_the_list() -> None:
    old = ingress("b", "foo.com", "/x", created="2026-01-01T00:00:00Z")
    new = ingress("a", "foo.com", "/x/", created="2026-01-02T00:00:00Z")
    for items in ((old, new), (new, old)):
        found = run(*items)
        assert keys(found, "foo.com") == ["default/b path /x", "default/b prefix /x/"]
        (loser,) = [p for p in found.plans if p.refusal]
        assert (loser.refusal, loser.rule.ingress, loser.by.ingress if loser.by else None) == (
            "duplicated-route",
            "a",
            "b",
        )


def test_a_tie_is_decided_by_name_and_namespace() -> None:
    found = run(ingress("x", "foo.com", "/x", namespace="z"), ingress("x", "foo.com", "/x", namespace="y"))
    assert keys(found, "foo.com")[0].startswith("y/x ")


def test_an_invalid_winner_still_hides_a_valid_rule() -> None:
    bad = ingress("a", "foo.com", "/x", port="nope", created="2026-01-01T00:00:00Z")
    good = ingress("b", "foo.com", "/x", created="2026-01-02T00:00:00Z")
    assert slugs(run(bad, good)) == {"a/x": "port-name-resolve-error", "b/x": "duplicated-route"}
    assert slugs(run(good)) == {"b/x": None}


def test_exact_and_prefix_are_different_keys() -> None:
    found = run(ingress("a", "foo.com", ("/x", "Exact")), ingress("b", "foo.com", "/x"))
    assert keys(found, "foo.com") == ["default/a path /x", "default/b path /x", "default/b prefix /x/"]


def test_match_annotations_make_another_key() -> None:
    plain = ingress("a", "foo.com", "/x", created="2026-01-01T00:00:00Z")
    tenant = ingress(
        "b", "foo.com", "/x", created="2026-01-02T00:00:00Z", annotations={H + "exact-match-header-x": "1"}
    )
    found = run(plain, tenant)
    assert keys(found, "foo.com") == [
        "default/b path /x [x=1]",
        "default/b prefix /x/ [x=1]",
        "default/a path /x",
        "default/a prefix /x/",
    ]


def test_missing_service_by_number_is_kept_and_by_name_is_refused() -> None:
    found = run(
        ingress("a", "foo.com", "/n", service="ghost"), ingress("b", "foo.com", "/p", service="ghost", port="http")
    )
    assert slugs(found) == {"a/n": None, "b/p": "port-name-resolve-error"}


def test_services_that_were_not_read_make_a_named_port_unknown() -> None:
    objects, _ = read_objects({"ingresses": ingress_list([ingress("a", "foo.com", "/x", port="http")])})
    (plan,) = translate(objects, Profile()).plans
    assert plan.refusal is None
    assert plan.unknown is not None
    assert "services were not read" in plan.unknown


def test_empty_rule() -> None:
    bare = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "a"},
        "spec": {"ingressClassName": "higress"},
    }
    assert slugs(run(bare)) == {"a/": "empty-rule"}
    hollow = {**bare, "spec": {"ingressClassName": "higress", "rules": [{"host": "foo.com"}]}}
    assert slugs(run(hollow)) == {"a/": "empty-rule"}


# --- selection --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("controller", "annotation", "class_name", "taken"),
    [
        ("higress", None, "higress", True),
        ("higress", None, None, False),
        ("higress", None, "nginx", False),
        ("higress", "higress", "nginx", True),
        ("higress", "", "higress", False),
        ("nginx", None, None, True),
        ("nginx", "", "x", True),
        ("nginx", None, "higress", False),
        ("", None, None, True),
        ("", "anything", None, True),
    ],
)
def test_class(controller: str, annotation: str | None, class_name: str | None, taken: bool) -> None:
    notes = {} if annotation is None else {"kubernetes.io/ingress.class": annotation}
    found = run(
        ingress("a", "foo.com", ingress_class=class_name, annotations=notes), profile=Profile(ingress_class=controller)
    )
    assert [p.selected for p in found.plans] == [taken]
    assert bool(found.tables) is taken


def test_watch_namespace() -> None:
    found = run(
        ingress("a", "foo.com"), ingress("b", "bar.com", namespace="other"), profile=Profile(watch_namespace="other")
    )
    assert [(p.rule.ingress, p.selected) for p in found.plans] == [("a", False), ("b", True)]


# --- annotations ------------------------------------------------------------------------------------------------------
def test_match_method() -> None:
    found = run(
        ingress("a", "foo.com", annotations={H + "match-method": "get POST"}),
        ingress("b", "foo.com", created="2026-02-01T00:00:00Z"),
    )
    assert keys(found, "foo.com") == ["default/a prefix / [:method~GET|POST]", "default/b prefix /"]


def test_no_valid_method_widens_the_route_and_cuts_off_what_is_behind() -> None:
    found = run(
        ingress("a", "foo.com", annotations={H + "match-method": "FETCH"}),
        ingress("b", "foo.com", created="2026-02-01T00:00:00Z"),
    )
    assert keys(found, "foo.com") == ["default/a prefix /"]
    assert slugs(found) == {"a/": None, "b/": "behind-catch-all"}


@pytest.mark.parametrize(
    ("key", "value", "path", "kind", "expected"),
    [
        (N + "rewrite-target", "/new", "/old", "Prefix", ["path /old", "prefix /old/"]),
        (N + "rewrite-target", "/new", "/v1.0", "Prefix", ["regex /v1.0.*"]),
        (N + "rewrite-target", "/$1", "/a/(.*)", "Exact", ["regex /a/(.*).*"]),
        (N + "use-regex", "true", "/foo", "Prefix", ["regex /foo.*"]),
        (H + "full-path-regex", "true", "/foo", "Exact", ["regex /foo$"]),
        (N + "use-regex", "yes", "/foo", "Prefix", ["path /foo", "prefix /foo/"]),
        (H + "ignore-path-case", "true", "/A", "Prefix", ["path /A (any case)", "prefix /A/ (any case)"]),
    ],
)
def test_path_annotations(key: str, value: str, path: str, kind: str, expected: list[str]) -> None:
    assert [k.partition(" ")[2] for k in keys(annotated(key, value, path, kind), "foo.com")] == expected


@pytest.mark.parametrize(
    ("key", "value", "path", "kind", "field", "expected"),
    [
        (
            N + "rewrite-target",
            "/new",
            "/old",
            "Prefix",
            "regex_rewrite",
            {"pattern": {"regex": "/old"}, "substitution": "/new"},
        ),
        (
            N + "rewrite-target",
            "/new",
            "/",
            "Prefix",
            "regex_rewrite",
            {"pattern": {"regex": "^/"}, "substitution": "/new"},
        ),
        (
            N + "rewrite-target",
            "/$1",
            "/a/(.*)",
            "Exact",
            "regex_rewrite",
            {"pattern": {"regex": "/a/(.*).*"}, "substitution": "/\\1"},
        ),
        (
            H + "rewrite-path",
            "/b",
            "/a",
            "Prefix",
            "regex_rewrite",
            {"pattern": {"regex": "^/a(/.*)?"}, "substitution": "/b\\1"},
        ),
        (H + "rewrite-path", "/b/", "/a", "Prefix", "prefix_rewrite", "/b/"),
        (H + "rewrite-path", "/b", "/a", "Exact", "prefix_rewrite", "/b"),
        (N + "upstream-vhost", "up.test", "/a", "Prefix", "host_rewrite_literal", "up.test"),
        (H + "timeout", "10", "/a", "Prefix", "timeout", "10s"),
        (H + "timeout", "10s", "/a", "Prefix", "timeout", "0s"),
        (H + "timeout", "-3", "/a", "Prefix", "max_grpc_timeout", "-3s"),
        (N + "timeout", "10", "/a", "Prefix", "timeout", "0s"),
        (N + "proxy-next-upstream", "off", "/a", "Prefix", "retry_policy", None),
        (H + "proxy-next-upstream-tries", "0", "/a", "Prefix", "retry_policy", None),
        (N + "permanent-redirect-code", "304", "/a", "Prefix", "redirect", None),
        (N + "permanent-redirect", "ftp://x.io", "/a", "Prefix", "redirect", None),
        (H + "request-header-control-update", "Host up.test", "/a", "Prefix", "host_rewrite_literal", "up.test"),
        (
            H + "request-header-control-add",
            "x-a b",
            "/a",
            "Prefix",
            "request_headers_to_add",
            [{"header": {"key": "x-a", "value": "b"}}],
        ),
        (H + "request-header-control-add", "x-a", "/a", "Prefix", "request_headers_to_add", None),
        (H + "whitelist-source-range", "bad", "/a", "Prefix", "typed_per_filter_config", None),
        (H + "mirror-target-service", "ghost", "/a", "Prefix", "request_mirror_policies", None),
    ],
)
def test_fields(key: str, value: str, path: str, kind: str, field: str, expected: Any) -> None:
    assert fields(annotated(key, value, path, kind), "foo.com").get(field) == expected


def test_permanent_redirect() -> None:
    notes = {N + "permanent-redirect": "https://z.io/p?q=1", N + "permanent-redirect-code": "308"}
    found = fields(run(ingress("a", "foo.com", annotations=notes)), "foo.com")
    assert found["redirect"] == {
        "scheme_redirect": "https",
        "host_redirect": "z.io",
        "path_redirect": "/p",
        "response_code": "PERMANENT_REDIRECT",
    }
    assert found["cluster"] is None
    assert "timeout" not in found


@pytest.mark.parametrize(("code", "expected"), [("305", {"action": "none"}), ("500", None)])
def test_redirect_codes_that_pilot_does_not_know(code: str, expected: Json | None) -> None:
    notes = {N + "permanent-redirect": "https://z.io/p", N + "permanent-redirect-code": code}
    found = fields(run(ingress("a", "foo.com", annotations=notes)), "foo.com")
    if expected is None:
        assert "response_code" not in found["redirect"]  # 301 is the default
    else:
        assert found["action"] == "none"


def test_ssl_redirect_per_port() -> None:
    found = run(ingress("a", "foo.com", annotations={N + "ssl-redirect": "true"}, tls="cert"))
    assert fields(found, "foo.com", 80)["redirect"]["scheme_redirect"] == "https"
    assert fields(found, "foo.com", 443)["cluster"] == "outbound|80||web.default.svc.cluster.local"
    assert (443, "foo.com") not in run(ingress("a", "foo.com", annotations={N + "ssl-redirect": "true"})).tables


def test_app_root() -> None:
    found = run(ingress("a", "foo.com", "/app", annotations={N + "app-root": "/home"}))
    assert keys(found, "foo.com") == ["default/a path /app", "default/a prefix /app/", "foo.com-app-root path /"]
    assert fields(found, "foo.com", index=2)["redirect"] == {"path_redirect": "/home", "response_code": "FOUND"}


def test_equal_annotations_share_what_they_do_and_nothing_that_depends_on_the_namespace() -> None:
    notes = {N + "default-backend": "web", N + "custom-http-errors": "503", H + "timeout": "5"}
    mine = [ingress(f"in-{name}", f"{name}.test", "/x", namespace=name, annotations=notes) for name in ("one", "two")]
    plain = ingress("plain", "plain.test", "/x", annotations={H + "timeout": "5"})
    found = run(*mine, plain, services=[service("web", namespace=name) for name in ("one", "two")])
    for name in ("one", "two"):
        policy = fields(found, f"{name}.test")["internal_active_redirect_policy"]
        assert policy["request_headers_to_add"][0]["header"]["value"] == f"{name}/web"
    assert "internal_active_redirect_policy" not in fields(found, "plain.test")
    exact, prefix = found.tables[80, "plain.test"]
    assert exact.fields is prefix.fields


def test_fallback_with_error_codes() -> None:
    notes = {N + "default-backend": "web", N + "custom-http-errors": "404,503"}
    found = run(ingress("a", "foo.com", "/x", service="api", annotations=notes))
    names = keys(found, "foo.com")
    assert (
        names[-1]
        == "default/a-fallback path / [x-envoy-fallback-service=default/web, x-envoy-route-name=default/a-fallback]"
    )
    policy = fields(found, "foo.com")["internal_active_redirect_policy"]
    assert policy["redirect_response_codes"] == [404, 503]
    plugin = fields(found, "foo.com")["inline_cluster_specifier_plugin"]["extension"]["typed_config"]
    assert plugin["cluster_config"]["fallback_clusters"] == ["outbound|80||web.default.svc.cluster.local"]


# --- backends ---------------------------------------------------------------------------------------------------------
def bridge(name: str, destination: str | None, *paths: str) -> Json:
    item = ingress(
        name, "foo.com", *(paths or ("/x",)), annotations={H + "destination": destination} if destination else None
    )
    for path in item["spec"]["rules"][0]["http"]["paths"]:
        path["backend"] = {"resource": {"apiGroup": "networking.higress.io", "kind": "McpBridge", "name": "default"}}
    return item


def weights(found: Expectation) -> list[tuple[str, int]]:
    return [(c["name"], c["weight"]) for c in fields(found, "foo.com")["weighted_clusters"]["clusters"]]


def test_destinations() -> None:
    assert weights(run(bridge("a", "50% s1.dns:80\n50% s2.dns:80"))) == [
        ("outbound|80||s1.dns", 50),
        ("outbound|80||s2.dns", 50),
    ]
    assert weights(run(bridge("a", "70% s1.dns:80\n70% s2.dns:80"))) == [
        ("outbound|80||s1.dns", 50),
        ("outbound|80||s2.dns", 50),
    ]


def test_weights_are_normalised_again_for_each_path() -> None:
    found = run(bridge("a", "1% s1.dns:80\n1% s2.dns:80", "/x", "/y"))
    assert fields(found, "foo.com")["cluster"] == "outbound|80||s2.dns"  # 50/50 after one path, 0/100 after two


def test_resource_without_destination() -> None:
    assert slugs(run(bridge("a", None))) == {"a/x": "invalid-backend-service"}
    assert slugs(run(bridge("a", "oops% x"))) == {"a/x": "invalid-backend-service"}


# --- default backends -------------------------------------------------------------------------------------------------
def with_default(item: Json) -> Json:
    item["spec"]["defaultBackend"] = {"service": {"name": "web", "port": {"number": 80}}}
    return item


def test_default_backend() -> None:
    found = run(with_default(ingress("a", "foo.com", "/a")))
    assert keys(found, "foo.com")[-1] == "default/a-default prefix /"
    assert slugs(found) == {"a/a": None, "a/": None}


def test_default_backend_yields_to_a_root_path() -> None:
    found = run(with_default(ingress("a", "foo.com", "/a")), ingress("b", "foo.com", "/"))
    assert not any("-default" in k for k in keys(found, "foo.com"))


def test_default_backend_alone_has_no_gateway() -> None:
    lone = with_default(ingress("a", None))
    del lone["spec"]["rules"]
    assert slugs(run(lone)) == {"a/": "default-backend-unreachable"}
    found = run(lone, ingress("b", None, "/x"))
    assert keys(found, "*")[-1] == "default/a-default prefix /"


def test_the_default_backend_of_a_canary_is_ignored() -> None:
    found = run(BASE, with_default(canary("c", canary_weight="30")))
    assert [p.refusal for p in found.plans if p.rule.path_type == "DefaultBackend"] == ["default-backend-unreachable"]
    assert not any("-default" in k for k in keys(found, "foo.com"))


# --- canaries ---------------------------------------------------------------------------------------------------------
def canary(name: str, **notes: str) -> Json:
    listed = {N + "canary": "true", **{N + k.replace("_", "-"): v for k, v in notes.items()}}
    return ingress(name, "foo.com", "/x", service="next", annotations=listed, created="2026-03-01T00:00:00Z")


BASE = ingress("a", "foo.com", "/x")


def test_weight_canary() -> None:
    found = run(BASE, canary("c", canary_weight="30"))
    assert {k.partition(" ")[0] for k in keys(found, "foo.com")} == {"default/a"}
    assert weights(found) == [
        ("outbound|80||web.default.svc.cluster.local", 70),
        ("outbound|80||next.default.svc.cluster.local", 30),
    ]
    assert found.tables[80, "foo.com"][0].rules == (0, 1)
    assert (
        fields(run(BASE, canary("c", canary_weight="0")), "foo.com")["cluster"]
        == "outbound|80||web.default.svc.cluster.local"
    )
    full = fields(run(BASE, canary("c", canary_weight="100")), "foo.com")
    assert full["inline_cluster_specifier_plugin"]["extension"]["typed_config"]["cluster_config"][
        "routing_cluster"
    ].endswith("next.default.svc.cluster.local")


@pytest.mark.parametrize(
    ("notes", "condition"),
    [
        ({"canary_by_header": "X"}, "X=always"),
        ({"canary_by_header": "X", "canary_by_header_value": "v"}, "X~always|v"),
        ({"canary_by_header": "X", "canary_by_header_pattern": "p"}, "X~.*p.*"),
        ({"canary_by_cookie": "c"}, r"cookie~^(.*?;\s*)?(c=always)(;.*)?$"),
    ],
)
def test_header_canary(notes: dict[str, str], condition: str) -> None:
    found = run(BASE, canary("c", **notes))
    assert keys(found, "foo.com") == [
        f"default/c path /x [{condition}]",
        f"default/c prefix /x/ [{condition}]",
        "default/a path /x",
        "default/a prefix /x/",
    ]


def test_orphan_canary_and_canary_that_is_none() -> None:
    assert slugs(run(canary("c", canary_weight="30"))) == {"c/x": "orphan-canary"}
    regex = ingress("a", "foo.com", "/x", annotations={N + "use-regex": "true"})
    assert slugs(run(regex, canary("c", canary_weight="30")))["c/x"] == "orphan-canary"
    fake = canary("c")
    fake["metadata"]["annotations"][N + "canary"] = "yes"
    assert slugs(run(BASE, fake))["c/x"] == "duplicated-route"


# --- TLS --------------------------------------------------------------------------------------------------------------
def test_tls_host_must_be_written_exactly() -> None:
    item = ingress("a", "x.a.com", tls="cert")
    item["spec"]["tls"][0]["hosts"] = ["*.a.com"]
    assert (443, "x.a.com") not in run(item).tables
    config = {"kind": "ConfigMap", "metadata": {"name": "higress-https", "namespace": "higress-system"}}
    config["data"] = {"cert": "automaticHttps: false\ncredentialConfig:\n- domains: ['*.a.com']\n  tlsSecret: wild\n"}  # type: ignore[assignment]
    found = run(item, configmaps=json.dumps({"kind": "List", "items": [config]}).encode())
    assert found.secrets == {"x.a.com": ("higress-system", "wild")}
    assert (443, "x.a.com") in found.tables


def test_first_secret_wins() -> None:
    found = run(
        ingress("a", "foo.com", "/a"),
        ingress("b", "foo.com", "/b", tls="one", created="2026-02-01T00:00:00Z"),
        ingress("c", "foo.com", "/c", tls="two", created="2026-03-01T00:00:00Z"),
    )
    assert found.secrets == {"foo.com": ("default", "one")}
    assert len(found.tables[443, "foo.com"]) == 6


# --- hostile values ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("value", ["", "\0", "💥", "(" * 2000, "a" * 10_000_000, "$1" * 500, "%", "\n\n", " "])
@pytest.mark.parametrize(
    "key", ["rewrite-target", "destination", "cors-allow-origin", "match-method", "whitelist-source-range", "timeout",
            "permanent-redirect", "canary-weight", "upstream-hash-by", "request-header-control-add", "mirror-target-service"],
)  # fmt: skip
def test_hostile_values_change_no_other_rule(key: str, value: str) -> None:
    other = ingress("b", "bar.com", "/y")
    alone = keys(run(other), "bar.com")
    assert keys(run(ingress("a", "foo.com", "/x", annotations={H + key: value}), other), "bar.com") == alone


@pytest.mark.parametrize("key", ["x.io/match-header-a", "higress.io/exact-match-header", "match-query"])
def test_crash_keys(key: str) -> None:
    assert run(ingress("a", "foo.com", annotations={key: "v"})).crashes == (
        ("default", "a", f"the annotation key {key!r}"),
    )


def test_hostile_keys_are_only_named() -> None:
    found = run(ingress("a", "foo.com", annotations={H + "x" * 1_000_000: "v", H + "💥": "v", N + "\0": "v"}))
    assert keys(found, "foo.com") == ["default/a prefix /"]
    assert len(found.meaningless) == 3


def test_filters_of_http2rpc_are_uncertain_and_nothing_else_is() -> None:
    found = annotated(H + "rpc-destination-name", "x")
    assert found.plans[0].unknown is None
    assert {r.uncertain for r in found.tables[80, "foo.com"]} == {frozenset({"typed_per_filter_config"})}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("automaticHttps: false\ncredentialConfig: [{domains: [], tlsSecret: x}]", "no domains"),
        ("automaticHttps: false\ncredentialConfig: [{domains: [a.test]}]", "no tlsSecret"),
        ("automaticHttps: false\ncredentialConfig: [{domains: [a.test], tlsSecret: a/b/c}]", "[namespace/]name"),
        ("automaticHttps: false\ncredentialConfig: [{domains: [a.test], tlsSecret: x, tlsIssuer: me}]", "'me'"),
        (
            "automaticHttps: false\ncredentialConfig: [{domains: [a, b], tlsSecret: x, tlsIssuer: letsencrypt}]",
            "one domain",
        ),
        ("automaticHttps: false\nrenewBeforeDays: 0", "renewBeforeDays"),
        ("automaticHttps: false\nrenewBeforeDays: 90", "renewBeforeDays"),
        ("automaticHttps: false\nrenewBeforeDays: '7'", "must be int"),
        ("automaticHttps: 'yes'", "must be bool"),
        ("credentialConfig: []", "e-mail"),
        ("acmeIssuer: [{name: aliyunssl, email: a@b.test}]", "aliyunssl"),
        ("acmeIssuer: [{name: letsencrypt, email: nobody}]", "e-mail"),
        ("automaticHttps: false\ncredentialConfig:\n- domains:\n  - *.x", "line"),
        ("- a", "not a mapping"),
    ],
)
def test_one_bad_entry_voids_the_certificates(text: str, why: str) -> None:
    config = {"kind": "ConfigMap", "metadata": {"name": "higress-https", "namespace": "higress-system"}}
    config["data"] = {"cert": text}  # type: ignore[assignment]
    item = ingress("a", "x.a.com", tls="cert")
    item["spec"]["tls"][0]["hosts"] = ["other.com"]
    found = run(item, configmaps=json.dumps({"kind": "List", "items": [config]}).encode())
    assert why in (found.certificates or "")
    assert found.secrets == {}


def test_default_backends_that_crash_the_controller() -> None:
    item = ingress("a", "foo.com", "/x")
    item["spec"]["defaultBackend"] = {"resource": {"kind": "StorageBucket", "name": "x"}}
    assert "defaultBackend" in run(item).crashes[0][2]
    bridge = {"apiGroup": "networking.higress.io", "kind": "McpBridge", "name": "default"}
    item["spec"]["defaultBackend"] = {"resource": bridge}
    assert run(item).crashes
    item["metadata"]["annotations"] = {H + "destination": "s1.dns:80"}
    assert run(item).crashes == ()
    item["metadata"]["annotations"] = {H + "destination": "s1.dns"}
    assert any("no port" in what for _, _, what in run(item).crashes)
    item["metadata"]["annotations"] = {H + "destination": "\n \n"}
    assert any("no port" in what for _, _, what in run(item).crashes)
    del item["spec"]["defaultBackend"]
    assert run(item).crashes == ()
    item["spec"]["rules"][0]["http"]["paths"][0]["backend"] = {"resource": bridge}
    assert any("blank lines" in what for _, _, what in run(item).crashes)


@pytest.mark.parametrize(
    "notes",
    [
        {H + "match-header-x": "1", H + "exact-match-header-y": "1"},
        {N + "exact-match-header-x": "1", H + "exact-match-header-y": "1"},
        {"example.com.io/match-header-x": "1", H + "prefix-match-header-y": "1"},
        {H + "request-header-control-update": "host a\nHost b"},
        {H + "request-header-control-update": "x 1", H + "request-header-control-add": ":authority b\nHost c"},
        {H + "exact-match-query-x": "1", H + "prefix-match-query-x": "2"},
    ],
)
def test_match_annotations_in_random_order_are_unknown(notes: dict[str, str]) -> None:
    (plan,) = run(ingress("a", "foo.com", annotations=notes)).plans
    assert plan.unknown


@pytest.mark.parametrize(
    "notes",
    [
        {H + "match-header-x": "1"},
        {N + "exact-match-header-x": "1"},
        {H + "match-header-x": "1", H + "exact-match-query-y": "1"},
        {H + "request-header-control-update": "host a\n:authority a"},
        {H + "request-header-control-update": "host a", H + "request-header-control-add": ":authority b\nHost c"},
        {H + "request-header-control-update": "host a\nHost b", H + "upstream-vhost": "c"},
        {H + "response-header-control-update": "host a\nHost b"},
    ],
)
def test_annotations_that_only_look_random_are_certain(notes: dict[str, str]) -> None:
    (plan,) = run(ingress("a", "foo.com", annotations=notes)).plans
    assert plan.unknown is None


def test_the_same_asked_under_two_prefixes_counts_once() -> None:
    notes = {"abcdefghij/exact-match-header-x": "1", H + "exact-match-header-x": "1"}
    (route, *_) = run(ingress("a", "foo.com", annotations=notes)).tables[80, "foo.com"]
    assert [h.name for h in route.key.headers] == ["x"]


def test_a_kind_is_what_stands_behind_eleven_characters() -> None:
    """Whatever the prefix, and whatever else the word is (doMatch looks for "exact" at that index)."""
    for key in ("abcdefghij/exact-match-header-x", H + "exactly-match-header-x"):
        (route, *_) = run(ingress("a", "foo.com", annotations={key: "1"})).tables[80, "foo.com"]
        assert [h.name for h in route.key.headers] == ["x"]


def test_templates_of_2_1_are_unknown() -> None:
    item = ingress("a", "foo.com", "/${secret.ns/name.key}")
    assert run(item).plans[0].unknown is None
    assert run(item, profile=Profile(version=(2, 1, 0))).plans[0].unknown


def test_a_base_with_a_destination_keeps_its_total() -> None:
    base = bridge("a", "s1.dns:80")
    found = run(base, canary("c", canary_weight="50", canary_weight_total="200"))
    assert weights(found) == [("outbound|80||s1.dns", 50), ("outbound|80||next.default.svc.cluster.local", 50)]
    plain = run(BASE, canary("c", canary_weight="50", canary_weight_total="200"))
    assert [w for _, w in weights(plain)] == [75, 25]


def test_services_out_of_sight_since_2_1() -> None:
    notes = {H + "mirror-target-service": "other/web"}
    there = [service("web"), service("web", namespace="other")]
    for version, mirrored in (((2, 0, 1), True), ((2, 1, 0), False)):
        profile = Profile(version=version, watch_namespace="default")
        found = fields(run(ingress("a", "foo.com", annotations=notes), services=there, profile=profile), "foo.com")
        assert ("request_mirror_policies" in found) is mirrored


def test_a_rule_without_host_and_paths_makes_no_gateway_for_the_star() -> None:
    item = with_default(ingress("a", None))
    item["spec"]["rules"] = [{}]
    assert (80, "*") not in run(item).tables


def test_header_lines_split_at_any_space() -> None:
    found = annotated(H + "request-header-control-add", "x-a\tb c\n'x-q' \"q\"")
    assert fields(found, "foo.com")["request_headers_to_add"] == [
        {"header": {"key": "x-a", "value": "b c"}},
        {"header": {"key": "x-q", "value": "q"}},
    ]


@pytest.mark.parametrize(
    ("version", "tested"), [("2.0.1", True), ("2.1.9", True), ("2.2.1", True), ("2.3.0", False), ("1.4.0", False)]
)
def test_a_version_whose_rules_are_not_known_is_told(version: str, tested: bool) -> None:
    snapshot = worlds.world([ingress("a", "foo.com")])
    result = audit(replace(snapshot, controller={**snapshot.controller, "version": version}))
    assert result.controller["tested"] is tested
    assert any(f"Higress {version} was not tested" in note for note in result.notes) is not tested


@pytest.mark.parametrize(("version", "said"), [("2.0.1", True), ("2.0.4", False), ("2.3.0", False)])
def test_a_remedy_never_tells_of_a_fix_that_is_there(version: str, said: bool, recording) -> None:
    snapshot = recording("batch-loss")
    result = audit(replace(snapshot, controller={**snapshot.controller, "version": version}))
    assert ["2.0.4" in (r.remedy or "") for r in result.lost if r.slug == "stale-route-cache"] == [said]


def test_a_longer_regex_stands_behind_a_shorter_prefix_whatever_else_is_there() -> None:
    regex = ingress("regex", "foo.com", "/a/very/long/.*", annotations={N + "use-regex": "true"})
    for others in ((), (ingress("exact", "foo.com", ("/e", "Exact")),)):
        routes = run(regex, ingress("short", "foo.com", "/a"), *others).tables[80, "foo.com"]
        assert [r.name for r in routes if r.name != "default/exact"][-1] == "default/regex"


@pytest.mark.parametrize("weight", ["1", "30", "100"])
@pytest.mark.parametrize(
    ("notes", "field", "value"),
    [
        (
            {"response_header_control_add": "x-a b"},
            "response_headers_to_add",
            [{"header": {"key": "x-a", "value": "b"}}],
        ),
        ({"request_header_control_remove": "x-a"}, "request_headers_to_remove", ["x-a"]),
        ({"request_header_control_update": "host new.test"}, "host_rewrite_literal", "new.test"),
    ],
    ids=["added to the response", "removed from the request", "another host"],
)
def test_a_weight_canary_brings_its_own_header_operations(
    weight: str, notes: dict[str, str], field: str, value: object
) -> None:
    """As a real 2.0.1 serves it: on its destination, or on the route where it takes all the weight."""
    keys = {H + name.replace("_", "-"): text for name, text in notes.items()}
    plain = fields(run(BASE, canary("c", canary_weight=weight)), "foo.com")
    item = canary("c", canary_weight=weight)
    item["metadata"]["annotations"].update(keys)
    found = fields(run(BASE, item), "foo.com")
    if weight == "100":
        assert found[field] == value
        assert field not in plain
    else:
        mine = {c["name"]: c for c in found["weighted_clusters"]["clusters"]}
        assert [c.get(field) for c in mine.values()] == [None, value]
        assert all(field not in c for c in plain["weighted_clusters"]["clusters"])
