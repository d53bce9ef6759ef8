"""What a change of Ingresses changes for clients: every kind of request is found, each example is one, and nothing else differs.

Brute force is the judge: random pairs of worlds, and thousands of random requests asked of both sides.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from tests import worlds
from xdsaudit.audit.compare.comparison import Comparison, compare_objects, of_expectations
from xdsaudit.audit.requests.request import Request
from xdsaudit.audit.requests.routing import look_up
from xdsaudit.ingress.expectation import Expectation
from xdsaudit.ingress.objects import KubeObjects, read_objects
from xdsaudit.ingress.parts import Kept
from xdsaudit.ingress.policy import TrafficPolicy
from xdsaudit.ingress.profile import Profile, profile_of
from xdsaudit.ingress.translate import translate
from xdsaudit.testing import ingress, ingress_list

H, N = "higress.io/", "nginx.ingress.kubernetes.io/"
HOSTS = ("a.test", "b.a.test", "*.a.test", "*.b.a.test", None, "c.test")
PATHS = (
    "/",
    "/a",
    "/a/b",
    "/ab",
    ("/a", "Exact"),
    ("/a/b", "Exact"),
    "/x",
    "/x/y/z",
    "/A",
    ("/aB", "Exact"),
    "/a.b",
    "//",
    ("/", "Exact"),
)
REGEXES = (
    "/a/[0-9]+",
    "/(a|x)/b",
    "/a.*c",
    "/x/[^/]+/z",
    "^/ab?$",
    "/(?i)a",
    "/a{1,3}b",
    "/x|/a",
    "/(ab)*c",
    "/x/(y|z)?/q$",
)
MATCHES: tuple[dict[str, str], ...] = (
    {},
    {},
    {},
    {H + "exact-match-header-x-v": "1"},
    {H + "prefix-match-header-x-v": "1"},
    {H + "regex-match-header-x-v": "[12]+"},
    {H + "exact-match-query-q": "1"},
    {H + "match-method": "GET POST"},
    {H + "ignore-path-case": "true"},
    {H + "timeout": "7"},
    {N + "canary": "true", N + "canary-by-header": "x-c"},
    {N + "canary": "true", N + "canary-by-cookie": "ck"},
    {N + "canary": "true", N + "canary-weight": "30"},
    {H + "exact-match-header-x-v": "2", H + "exact-match-query-q": "2"},
    {H + "prefix-match-header-x-v": "1", H + "match-method": "GET"},
    {H + "regex-match-header-x-v": "*"},
    {H + "rewrite-target": "/n"},
    {N + "ssl-redirect": "true"},
    {N + "app-root": "/home"},
)


def objects(items: list[dict[str, Any]]) -> KubeObjects:
    return read_objects(worlds.kube(items))[0]


def world(rng: random.Random, count: int) -> list[dict[str, Any]]:
    items = []
    for number in range(count):
        notes = dict(rng.choice(MATCHES))
        path: Any = rng.choice(PATHS)
        if rng.random() < 0.3:
            path, notes = rng.choice(REGEXES), {**notes, H + "use-regex": "true"}
        items.append(
            ingress(
                f"i{number}",
                rng.choice(HOSTS),
                path,
                annotations=notes,
                service=f"s{number}",
                tls="tls" if rng.random() < 0.2 else None,
                created=f"2025-01-01T00:00:{number:02d}Z",
            )
        )
    return items


def turned(rng: random.Random, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same world with one or two Ingresses gone, new or changed."""
    after = list(items)
    for _ in range(rng.choice((1, 1, 2))):
        what = rng.random()
        if what < 0.35 and after:
            after.pop(rng.randrange(len(after)))
        elif what < 0.7:
            after.append({**world(rng, 1)[0], "metadata": {**world(rng, 1)[0]["metadata"], "name": f"n{rng.random()}"}})
        elif after:
            index = rng.randrange(len(after))
            new = world(rng, 1)[0]
            after[index] = {**new, "metadata": {**new["metadata"], "name": after[index]["metadata"]["name"]}}
    return after


def anything(rng: random.Random) -> Request:
    secure = rng.random() < 0.3
    host = rng.choice(("a.test", "b.a.test", "q.a.test", "z.b.a.test", "c.test", "other.example"))
    path = rng.choice(
        (
            "/",
            "/a",
            "/a/",
            "/a/b",
            "/a/b/",
            "/ab",
            "/abc",
            "/A",
            "/a/1",
            "/a/12c",
            "/x",
            "/x/b",
            "/x/y/z",
            "/x/q/z/",
            "/zz",
        )
    )
    if rng.random() < 0.3:
        path = "/" + "".join(rng.choice("abcx/1") for _ in range(rng.randrange(6)))
    headers: dict[str, tuple[str, ...]] = {}
    if rng.random() < 0.5:
        headers["x-v"] = tuple(rng.choice(("1", "12", "2", "3")) for _ in range(rng.choice((1, 1, 2))))
    if rng.random() < 0.3:
        headers["x-c"] = (rng.choice(("always", "never")),)
    if rng.random() < 0.2:
        headers["cookie"] = (rng.choice(("ck=always", "a=1; ck=always", "ck=never")),)
    query = {"q": rng.choice(("1", "2"))} if rng.random() < 0.3 else {}
    return Request(secure, 443 if secure else 80, host, path, rng.choice(("GET", "POST", "PUT")), headers, query)


def outcome(expectation: Expectation, request: Request) -> Any:
    """What becomes of a request, by the lookup that is held against a real Envoy elsewhere."""
    found = look_up(expectation.tables, request, scoped=expectation.profile.scoped_rds)
    if found.place is None or found.index is None:
        return None
    route = expectation.tables[found.place][found.index]
    return route.cluster, repr(sorted(route.fields.items()))


def rules_of(expectation: Expectation, request: Request) -> Any:
    found = look_up(expectation.tables, request, scoped=expectation.profile.scoped_rds)
    if found.place is None or found.index is None:
        return None
    rules = expectation.tables[found.place][found.index].rules
    return expectation.plans[rules[0]].rule if rules else None


@pytest.mark.parametrize("scoped", [True, False])
@pytest.mark.parametrize("seed", range(60))
def test_each_example_is_one_and_random_requests_find_no_other(seed: int, scoped: bool) -> None:
    rng = random.Random(seed)
    before = world(rng, rng.randrange(1, 12))
    after = turned(rng, before)
    profile = Profile(scoped_rds=scoped)
    sides = [translate(objects(items), profile) for items in (before, after)]
    found = of_expectations(*sides, objects(before), objects(after))
    assert found.proven, found.doubts
    reported = set()
    for change in found.changed:
        answers = [outcome(side, change.request) for side in sides]
        assert answers[0] != answers[1], change
        assert [rules_of(side, change.request) for side in sides] == [change.before.rule, change.after.rule]
        reported.add((change.before.rule, change.after.rule))
    for _ in range(1_000):
        request = anything(rng)
        if outcome(sides[0], request) != outcome(sides[1], request):
            pair = tuple(rules_of(side, request) for side in sides)
            assert pair in reported, request


@pytest.mark.parametrize("scoped", [True, False])
@pytest.mark.parametrize("seed", range(30))
def test_tables_that_two_translations_share_need_not_be_compared(seed: int, scoped: bool) -> None:
    rng = random.Random(seed)
    items = world(rng, rng.randrange(4, 16))
    both = [objects(each) for each in (items, turned(rng, items))]
    profile, kept = Profile(scoped_rds=scoped), Kept()
    shared = [translate(each, profile, kept) for each in both]
    apart = [translate(each, profile) for each in both]
    assert of_expectations(*shared, *both) == of_expectations(*apart, *both)


def test_a_table_that_is_shared_changes_with_the_policy_of_its_backend() -> None:
    items = objects([ingress("a", "a.test", "/", service="web"), ingress("b", "b.test", "/", service="other")])
    one = translate(items, Profile())
    assert of_expectations(one, one, items, items).same
    moved = {"outbound|80||web.default.svc.cluster.local": TrafficPolicy(None, "RANDOM", http2=False, tls=False)}
    found = of_expectations(one, replace(one, policies=moved), items, items)
    assert [(c.request.host, c.fields) for c in found.changed] == [("a.test", ("connections to the backend",))]


def said(before: list[dict[str, Any]], after: list[dict[str, Any]], **more: Any) -> Comparison:
    return compare_objects(objects(before), objects(after), Profile(), **more)


BASE = [ingress("web", "shop.test", "/", service="web"), ingress("api", "shop.test", "/api", service="api")]


def test_nothing_changes_and_that_is_proved() -> None:
    found = said(BASE, [*reversed(BASE)])
    assert found.same
    assert found.proven


def test_a_new_rule_takes_requests_of_an_old_one() -> None:
    found = said(BASE, [*BASE, ingress("v2", "shop.test", "/api/v2", service="two")])
    (change,) = found.changed
    assert str(change.request) == "GET http://shop.test/api/v2"
    assert (change.before.rule.ref, change.after.rule.ref) == ("default/api", "default/v2")  # type: ignore[union-attr]
    assert str(change).endswith("to two.default.svc.cluster.local:80")
    assert found.proven


def test_a_field_that_changes_is_named() -> None:
    (change,) = said(
        BASE, [BASE[0], ingress("api", "shop.test", "/api", service="api", annotations={H + "timeout": "5"})]
    ).changed
    assert "timeout 0s -> 5s" in change.fields


def test_a_rule_that_goes_leaves_404_or_the_rule_behind_it() -> None:
    assert [str(c.after) for c in said(BASE, BASE[:1]).changed] == [
        "default/web shop.test/ to web.default.svc.cluster.local:80"
    ]
    assert [c.after.does for c in said(BASE[1:], []).changed] == ["404"]


def test_a_rule_that_is_refused_and_one_that_is_no_longer() -> None:
    twin = ingress("twin", "shop.test", "/api", service="other", created="2020-01-01T00:00:00Z")
    found = said(BASE, [*BASE, twin])
    assert [(r.ref, slug) for r, slug in found.refused] == [("default/api", "duplicated-route")]
    assert [(r.ref, slug) for r, slug in said([*BASE, twin], BASE).cured] == [("default/api", "duplicated-route")]


def test_another_certificate_is_told() -> None:
    one, two = (ingress("web", "shop.test", "/", tls=name) for name in ("old", "new"))
    assert said([one], [two]).certificates == (("shop.test", "default/old", "default/new"),)


def test_an_upgrade_changes_what_the_new_version_reads() -> None:
    notes = {N + "upstream-hash-by": "$remote_addr"}
    item = ingress("web", "shop.test", "/", annotations=notes)
    found = compare_objects(objects([item]), objects([item]), Profile(version=(2, 0, 7)), Profile(version=(2, 2, 1)))
    (change,) = found.changed
    assert "hash_policy" in change.fields


def test_what_is_not_modelled_is_a_doubt_where_it_is_not_the_same() -> None:
    odd = {f"{H}{kind}-match-header-x": "1" for kind in ("exact", "prefix")}
    found = said(BASE, [*BASE, ingress("odd", "shop.test", "/odd", annotations=odd)])
    assert not found.proven
    assert "default/odd is not modelled" in found.doubts[0]
    assert said(
        [ingress("odd", "shop.test", "/odd", annotations=odd)], [ingress("odd", "shop.test", "/odd", annotations=odd)]
    ).proven


def test_a_route_that_depends_on_what_was_not_read_is_a_doubt_that_names_its_rule() -> None:
    before, after = objects(BASE), objects([*BASE, ingress("new", "shop.test", "/new")])
    one, two = translate(before, Profile()), translate(after, Profile())
    unsure = {p: tuple(r._replace(uncertain=frozenset({"cluster"})) for r in rs) for p, rs in two.tables.items()}
    found = of_expectations(one, replace(two, tables=unsure), before, after)
    assert found.doubts == (
        "shop.test: what default/api shop.test/api does is not certain: its cluster depends on what was not read",
    )


def test_what_plugins_and_registries_do_is_not_compared_and_that_is_said() -> None:
    made = {
        "kind": "WasmPlugin",
        "metadata": {"name": "p", "namespace": "higress-system"},
        "spec": {"url": "file:///p.wasm"},
    }
    registry = {"name": "ext", "type": "dns", "domain": "ext.test", "port": 80}
    bridge = {
        "kind": "McpBridge",
        "metadata": {"name": "default", "namespace": "higress-system"},
        "spec": {"registries": [registry]},
    }
    for plural, kind, item, words in (
        ("wasmplugins", "WasmPlugin", made, "WasmPlugins"),
        ("mcpbridges", "McpBridge", bridge, "registries"),
    ):
        other = read_objects({**worlds.kube(BASE), plural: ingress_list([item], kind)})[0]
        (doubt,) = compare_objects(objects(BASE), other, Profile()).doubts
        assert words in doubt
        assert compare_objects(other, other, Profile()).proven


def test_a_host_that_gets_a_table_of_its_own_under_a_wildcard_is_noted() -> None:
    wild = ingress("wild", "*.shop.test", "/")
    (note,) = said([wild], [wild, ingress("own", "own.shop.test", "/own")]).notes
    assert "own.shop.test gets a table of its own" in note
    assert said(BASE, [*BASE, ingress("own", "own.other.test", "/own")]).notes == ()


def test_a_thousand_rules_on_one_host_and_one_that_overlaps_them_all() -> None:
    many = [ingress(f"i{n}", "big.test", f"/app{n}/v{n % 7}", service=f"s{n}") for n in range(1_000)]
    found = said(many, [*many, ingress("root", "big.test", "/", service="root")])
    assert [str(c.request) for c in found.changed] == ["GET http://big.test/"]
    assert found.proven
    regex = ingress("re", "big.test", "/app[0-9]+/v1", annotations={H + "use-regex": "true"}, service="re")
    assert said(many, [*many, regex]).proven


@pytest.mark.parametrize("name", ["healthy-scoped", "random-2.1"])
def test_an_ingress_less_in_a_real_world_is_taken_apart_to_the_end(recording, name: str) -> None:
    snapshot = recording(name)
    whole, _ = read_objects(snapshot.kube)
    profile = profile_of(snapshot.controller)
    before = translate(whole, profile)
    for index in random.Random(3).sample(range(len(whole.ingresses)), 6):
        less = replace(whole, ingresses=whole.ingresses[:index] + whole.ingresses[index + 1 :])
        after = translate(less, profile)
        found = of_expectations(before, after, whole, less)
        assert found.proven, found.doubts
        for change in found.changed:
            assert outcome(before, change.request) != outcome(after, change.request)
