"""Forty cases of how Higress turns Ingresses into routes, as one table: the routes of a place, in order.

System namespace higress-system, class higress, default options; port 80 unless the place says 443.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tests.ingress.test_translate import BASE, H, N, bridge, canary, fields, keys, run, slugs, weights, with_default
from xdsaudit.audit.compare.flaws import flaw_of
from xdsaudit.ingress.expectation import Expectation
from xdsaudit.ingress.profile import Profile
from xdsaudit.model.route import Route
from xdsaudit.model.view import View, ViewName
from xdsaudit.testing import ingress, service

Json = dict[str, Any]
OLD, NEW = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
FOO = "foo.com"


class Case(NamedTuple):
    """What is written, and what must come of it: routes by place, or a check of the whole."""

    number: int
    items: list[Json]
    routes: dict[tuple[int, str], list[str]] | None = None
    check: Callable[[Expectation], bool] | None = None
    profile: Profile | None = None
    services: list[Json] | None = None


def one(*paths: Any, notes: dict[str, str] | None = None, name: str = "a", host: str | None = FOO, **more: Any) -> Json:
    return ingress(name, host, *paths, annotations=notes, **more)


def at(*routes: str, host: str = FOO, port: int = 80) -> dict[tuple[int, str], list[str]]:
    return {(port, host): [f"default/{r}" for r in routes]}


def nack(found: Expectation) -> bool:
    """Whether Envoy must refuse the first route."""
    route = found.tables[80, FOO][0]
    served = Route(route.key, route.name, route.fields, route.cluster)
    return flaw_of(served, View(ViewName.GATEWAY, None)) is not None


def get(field: str, expected: Any, *, port: int = 80, index: int = 0) -> Callable[[Expectation], bool]:
    return lambda found: fields(found, FOO, port, index).get(field) == expected


def rewrite(pattern: str, substitution: str) -> Callable[[Expectation], bool]:
    return get("regex_rewrite", {"pattern": {"regex": pattern}, "substitution": substitution})


def default_only() -> Json:
    item = with_default(one(name="x", host=None))
    del item["spec"]["rules"]
    return item


TWO_TLS = [one("/a", name="a"), one("/b", name="b", tls="second", created=NEW)]
CANARY_ON_REGEX = [one("/x", notes={N + "use-regex": "true"}), canary("c", canary_weight="30")]
ERRORS = {N + "default-backend": "web", N + "custom-http-errors": "404,503"}
REDIRECT = {N + "permanent-redirect": "https://z.io/p?q=1"}
TLS_WILD = one("/", host="x.a.com", tls="cert")
TLS_WILD["spec"]["tls"][0]["hosts"] = ["*.a.com"]
EIGHT = [one(f"/g-{n}", name=f"g-{n}") for n in range(1, 9)]

CASES = [
    Case(
        1,
        [one("/api")],
        at("a path /api", "a prefix /api/"),
        get("cluster", "outbound|80||web.default.svc.cluster.local"),
    ),
    Case(2, [one("/api", namespace="higress-system")], {(80, FOO): ["a path /api", "a prefix /api/"]}),
    Case(3, [one("/")], at("a prefix /")),
    Case(4, [one(("/", "Exact"))], at("a path /")),
    Case(5, [one("/api/", ("/exact/", "Exact"))], at("a path /exact/", "a path /api", "a prefix /api/")),
    Case(6, [one((None, None), host=None)], at("a prefix /", host="*")),
    Case(7, [one("/x", created=OLD), one("/x", name="b", created=NEW)], at("a path /x", "a prefix /x/")),
    Case(8, [one("/x", port="nope", created=OLD), one("/x", name="b", created=NEW)], check=lambda f: not f.tables),
    Case(9, [one(("/x", "Exact")), one("/x", name="b")], at("a path /x", "b path /x", "b prefix /x/")),
    Case(
        10,
        [one("/", "/aa", "/aaa", ("/b", "Exact"))],
        at("a path /b", "a path /aaa", "a prefix /aaa/", "a path /aa", "a prefix /aa/", "a prefix /"),
    ),
    Case(
        11,
        [one("/", notes={H + "match-method": "GET POST"}, created=OLD), one("/", name="b", created=NEW)],
        at("a prefix / [:method~GET|POST]", "b prefix /"),
    ),
    Case(12, [one("/", notes={H + "match-method": "FETCH"})], at("a prefix /")),
    Case(
        13,
        [one("/x", created=OLD), one("/x", name="b", notes={H + "exact-match-header-x": "1"}, created=NEW)],
        at("b path /x [x=1]", "b prefix /x/ [x=1]", "a path /x", "a prefix /x/"),
    ),
    Case(
        14,
        [one("/old", notes={N + "rewrite-target": "/new"})],
        at("a path /old", "a prefix /old/"),
        rewrite("/old", "/new"),
    ),
    Case(14, [one("/v1.0", notes={N + "rewrite-target": "/new"})], at("a regex /v1.0.*")),
    Case(
        15,
        [one(("/a/(.*)", "Exact"), "/p", notes={N + "rewrite-target": "/$1"})],
        at("a regex /a/(.*).*", "a regex /p.*"),
        rewrite("/a/(.*).*", "/\\1"),
    ),
    Case(16, [one("/foo", notes={N + "use-regex": "true"})], at("a regex /foo.*")),
    Case(16, [one("/foo", notes={H + "full-path-regex": "true"})], at("a regex /foo$")),
    Case(17, [one("/a", notes={H + "rewrite-path": "/b"})], None, rewrite("^/a(/.*)?", "/b\\1")),
    Case(17, [one("/a", notes={H + "rewrite-path": "/b/"})], None, get("prefix_rewrite", "/b/")),
    Case(17, [one(("/a", "Exact"), notes={H + "rewrite-path": "/b"})], None, get("prefix_rewrite", "/b")),
    Case(
        18,
        [one("/", notes={N + "ssl-redirect": "true"}, tls="cert")],
        None,
        lambda f: fields(f, FOO)["redirect"]["scheme_redirect"] == "https" and bool(fields(f, FOO, 443)["cluster"]),
    ),
    Case(
        18, [one("/", notes={N + "ssl-redirect": "true"})], None, lambda f: (443, FOO) not in f.tables and not nack(f)
    ),
    Case(
        19,
        [one("/", notes={**REDIRECT, N + "permanent-redirect-code": "308"})],
        None,
        lambda f: (
            (fields(f, FOO)["redirect"]["host_redirect"], fields(f, FOO)["redirect"]["path_redirect"]) == ("z.io", "/p")
            and not nack(f)
        ),
    ),
    Case(19, [one("/", notes={**REDIRECT, N + "permanent-redirect-code": "305"})], None, nack),
    Case(
        19,
        [one("/", notes={**REDIRECT, N + "permanent-redirect-code": "500"})],
        None,
        lambda f: "response_code" not in fields(f, FOO)["redirect"],
    ),
    Case(
        20,
        [one("/app", notes={N + "app-root": "/home"})],
        {(80, FOO): ["default/a path /app", "default/a prefix /app/", "foo.com-app-root path /"]},
        get("redirect", {"path_redirect": "/home", "response_code": "FOUND"}, index=2),
    ),
    Case(
        21,
        [BASE, canary("c", canary_weight="30")],
        at("a path /x", "a prefix /x/"),
        lambda f: [w for _, w in weights(f)] == [70, 30],
    ),
    Case(
        21, [BASE, canary("c", canary_weight="0")], None, get("cluster", "outbound|80||web.default.svc.cluster.local")
    ),
    Case(
        21,
        [BASE, canary("c", canary_weight="100")],
        None,
        lambda f: "inline_cluster_specifier_plugin" in fields(f, FOO),
    ),
    Case(
        22,
        [BASE, canary("c", canary_by_header="X", canary_by_header_value="v")],
        at("c path /x [X~always|v]", "c prefix /x/ [X~always|v]", "a path /x", "a prefix /x/"),
        lambda f: "inline_cluster_specifier_plugin" in fields(f, FOO),
    ),
    Case(23, CANARY_ON_REGEX, at("a regex /x.*"), lambda f: slugs(f)["c/x"] == "orphan-canary"),
    Case(
        24,
        [BASE, one("/x", name="c", notes={N + "canary": "yes"}, created=NEW)],
        at("a path /x", "a prefix /x/"),
        lambda f: slugs(f)["c/x"] == "duplicated-route",
    ),
    Case(25, [default_only()], None, lambda f: not f.tables and slugs(f) == {"x/": "default-backend-unreachable"}),
    Case(25, [default_only(), one("/y", host=None)], at("a path /y", "a prefix /y/", "x-default prefix /", host="*")),
    Case(26, [with_default(one("/a", name="x"))], at("x path /a", "x prefix /a/", "x-default prefix /")),
    Case(26, [with_default(one("/a", name="x")), one("/")], at("x path /a", "x prefix /a/", "a prefix /")),
    Case(
        27,
        [one("/", name="w", host="*.example.com"), one("/only", host="x.example.com")],
        {**at("a path /only", "a prefix /only/", host="x.example.com"), **at("w prefix /", host="*.example.com")},
        lambda f: f.covering((80, "x.example.com")) == ((80, "*.example.com"),),
    ),
    Case(28, [one("/", host="localhost")], at("a prefix /", host="localhost")),
    Case(29, [TLS_WILD], None, lambda f: (443, "x.a.com") not in f.tables and (80, "x.a.com") in f.tables),
    Case(
        30,
        [one("/a", tls="one", created=OLD), one("/b", name="b", tls="two", created=NEW)],
        None,
        lambda f: f.secrets == {FOO: ("default", "one")},
    ),
    Case(30, TWO_TLS, None, lambda f: f.secrets == {FOO: ("default", "second")}),
    Case(31, [bridge("a", "50% s1.dns:80\n50% s2.dns:80")], None, lambda f: [w for _, w in weights(f)] == [50, 50]),
    Case(31, [bridge("a", "70% s1.dns:80\n70% s2.dns:80")], None, lambda f: [w for _, w in weights(f)] == [50, 50]),
    Case(32, [bridge("a", None), one("/y", name="b")], at("b path /y", "b prefix /y/")),
    Case(33, [one("/x", service="ghost")], None, get("cluster", "outbound|80||ghost.default.svc.cluster.local")),
    Case(
        34,
        [one("/x", "/y", notes=ERRORS)],
        None,
        lambda f: (
            sum(r.name == "default/a-fallback" for r in f.tables[80, FOO]) == 2
            and "internal_active_redirect_policy" in fields(f, FOO)
        ),
    ),
    Case(
        35,
        [one("/x", notes={H + "whitelist-source-range": "10.0.0.0/8"})],
        None,
        lambda f: all("envoy.filters.http.rbac" in r.fields["typed_per_filter_config"] for r in f.tables[80, FOO]),
    ),
    Case(36, [one("/", ingress_class=None)], None, lambda f: not f.tables),
    Case(36, [one("/", ingress_class=None)], at("a prefix /"), None, Profile(ingress_class="nginx")),
    Case(36, [one("/", ingress_class=None)], at("a prefix /"), None, Profile(ingress_class="")),
    Case(36, [one("/", notes={"kubernetes.io/ingress.class": ""})], None, lambda f: not f.tables),
    Case(37, EIGHT, None, lambda f: len(f.tables[80, FOO]) == 16 and keys(f, FOO)[0] == "default/g-1 path /g-1"),
    Case(38, [one("/a"), one("/b", name="b", host="FOO.com")], None, lambda f: len(f.tables) == 2),
    Case(39, [one("/x", notes={H + "timeout": "10s"})], None, get("timeout", "0s")),
    Case(39, [one("/x", notes={H + "timeout": "10"})], None, get("timeout", "10s")),
    Case(39, [one("/x", notes={N + "proxy-next-upstream": "off"})], None, get("retry_policy", None)),
    Case(
        39,
        [one("/x", notes={N + "enable-cors": "true", N + "cors-allow-origin": "http://*.x.io"})],
        None,
        lambda f: fields(f, FOO)["cors"]["allow_origin_string_match"] == [{"safe_regex": {"regex": ".*\\.x\\.io"}}],
    ),
    Case(
        40, [one("/A", notes={H + "ignore-path-case": "true"})], at("a path /A (any case)", "a prefix /A/ (any case)")
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[f"{c.number}-{n}" for n, c in enumerate(CASES)])
def test_case(case: Case) -> None:
    found = run(*case.items, profile=case.profile, services=case.services or [service("web"), service("next")])
    for (port, host), expected in (case.routes or {}).items():
        assert keys(found, host, port) == expected
    assert case.check is None or case.check(found)


def test_all_forty_are_here() -> None:
    assert {c.number for c in CASES} == set(range(1, 41))
