"""Which route answers: Envoy's lookup over worlds whose answer is known, and what a real Envoy does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import worlds
from xdsaudit import InputError, Snapshot
from xdsaudit.audit.questions.explain import Explanation, explain_request, journeys
from xdsaudit.audit.requests.access_log import read_log
from xdsaudit.audit.requests.example import witness
from xdsaudit.audit.requests.request import parse_request
from xdsaudit.audit.requests.routing import look_up, matches
from xdsaudit.audit.verdicts import judged
from xdsaudit.model.route import HeaderMatch, MatchKey
from xdsaudit.testing import ingress
from xdsaudit.testing.strategies import ingresses

ITEMS = [
    ingress("exact", "a.shop.test", ("/cart", "Exact")),
    ingress("prefix", "a.shop.test", "/cart"),
    ingress("root", "a.shop.test", "/"),
    ingress("wild", "*.shop.test", "/only-wild"),
    ingress("any", None, "/any"),
    ingress("regex", "r.shop.test", "/v[0-9]+", annotations={"nginx.ingress.kubernetes.io/use-regex": "true"}),
    ingress("post", "m.shop.test", "/x", annotations={"higress.io/match-method": "POST"}),
    ingress("beta", "m.shop.test", "/y", annotations={"higress.io/exact-match-header-stage": "beta"}),
]


def ask(url: str, snapshot: Snapshot | None = None, **more: object) -> Explanation:
    world, audit = judged(snapshot or worlds.world(ITEMS))
    return explain_request(world, audit, parse_request(url, **more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "more", "name"),
    [
        ("http://a.shop.test/cart", {}, "exact"),
        ("http://a.shop.test/cart?x=1", {}, "exact"),
        ("http://a.shop.test/cart/1", {}, "prefix"),
        ("http://a.shop.test/cartoon", {}, "root"),
        ("http://A.SHOP.test:8080/cart", {}, "exact"),
        ("a.shop.test/cart", {}, "exact"),
        ("http://b.shop.test/only-wild", {}, "wild"),
        ("http://b.c.shop.test/only-wild", {}, "wild"),
        ("http://elsewhere.test/any", {}, "any"),
        ("http://b.shop.test/any", {}, "any"),
        ("http://r.shop.test/v12", {}, "regex"),
        ("http://r.shop.test/v12/more", {}, "regex"),
        ("http://m.shop.test/x", {"method": "POST"}, "post"),
        ("http://m.shop.test/y", {"headers": ["Stage: beta"]}, "beta"),
        ("http://ignored.test/cart", {"headers": ["Host: a.shop.test"]}, "exact"),
    ],
)
def test_which_rule_answers(url: str, more: dict[str, object], name: str) -> None:
    found = ask(url, **more)
    assert found.expected is not None
    assert found.expected.ingress == name
    assert {a.rule.ingress for a in found.answers if a.rule} == {name}
    assert found.exit_code() == 0


@pytest.mark.parametrize(
    ("url", "more", "why"),
    [
        ("http://nowhere.test/", {}, "no route of *"),
        ("http://m.shop.test/x", {}, "no route of m.shop.test"),
        ("http://m.shop.test/y", {"headers": ["Stage: alpha"]}, "no route of m.shop.test"),
        ("http://r.shop.test/vx", {}, "no route of r.shop.test"),
        ("https://a.shop.test/cart", {}, "nothing listens on port 443"),
    ],
)
def test_when_none_answers(url: str, more: dict[str, object], why: str) -> None:
    found = ask(url, **more)
    assert all(a.route is None and why in a.why for a in found.answers)
    assert found.exit_code() == 1


def test_a_name_without_a_chain_beside_one_that_has_one() -> None:
    snapshot = worlds.world([*ITEMS, ingress("safe", "safe.test", "/", tls="cert")])
    for url in ("https://a.shop.test/cart", "https://b.test/"):
        assert all(a.why.startswith("no TLS filter chain for") for a in ask(url, snapshot).answers)
    # The chain goes by the name of the handshake, the routes by the Host header.
    assert ask("https://safe.test/", snapshot).exit_code() == 0
    assert "handshake fails" in ask("https://x.test/", snapshot, headers=["Host: safe.test"]).answers[0].why


def test_a_connection_made_for_another_host_gets_421_where_server_names_are_told() -> None:
    items = [ingress("pay", "pay.test", "/", tls="cert"), ingress("safe", "safe.test", "/", tls="cert")]
    snapshot = worlds.world(items)
    pages = dict(snapshot.gateway["gateway-0"])
    plain = b'"domains": ["safe.test"]'
    assert plain in pages["config_dump.json"]
    for names, host, answered in (
        (b'["safe.test"]', "pay.test", False),
        (b'["safe.test"]', "safe.test", True),
        (b'["*.test"]', "pay.test", True),
        (b'["*.other.test"]', "pay.test", False),
        (b"[]", "pay.test", True),
    ):
        dump = pages["config_dump.json"].replace(plain, plain + b', "allow_server_names": ' + names)
        changed = replace(snapshot, gateway={"gateway-0": {**pages, "config_dump.json": dump}})
        found = ask(f"https://{host}/", changed, headers=["Host: safe.test"])
        (gateway,) = (a for a in found.answers if a.view == "gateway")
        assert (gateway.route is not None) is answered
        assert gateway.why.startswith(f"421: the TLS connection was made for {host}") is not answered
        assert ask("http://safe.test/", changed).exit_code() == 0, "plain text has no handshake"


def test_a_wider_scope_is_said_to_depend_on_the_proxy() -> None:
    snapshot = worlds.world([ITEMS[0], ITEMS[3]])
    found = ask("http://a.shop.test/only-wild", snapshot)
    assert {a.rule.ingress for a in found.answers if a.rule} == {"wild"}
    assert all("only proxies that look on" in a.why for a in found.answers)


def test_without_scopes_the_most_specific_domain_alone_counts() -> None:
    tables = worlds.expectation(ITEMS).tables
    request = parse_request("http://a.shop.test/only-wild")
    assert look_up(tables, request, scoped=True).place == (80, "a.shop.test")  # its own "/" takes it
    bare = {p: r for p, r in tables.items() if p[1] != "a.shop.test"}
    bare[80, "a.shop.test"] = tables[80, "a.shop.test"][:1]
    assert look_up(bare, request, scoped=False).index is None
    assert look_up(bare, request, scoped=True).place == (80, "*.shop.test")


def test_a_lost_rule_is_named_with_its_stage(recording) -> None:
    found = ask("http://wss.live.test/10061", recording("batch-loss"))
    assert found.exit_code() == 1
    (candidate,) = found.candidates
    assert candidate.verdict.rule.ingress == "app-10061"
    assert "stage cache" in candidate.why
    assert {(a.view, a.route is None) for a in found.answers} == {
        ("gateway", True),
        ("pilot", True),
        ("pilot_fresh", False),
    }


def test_refused_rules_are_named(recording) -> None:
    found = ask("http://dup.shop.test/same", recording("healthy-scoped"))
    assert ("payments/dup-second", "duplicated-route") in {
        (c.verdict.rule.ref, c.verdict.slug) for c in found.candidates
    }


def test_nothing_read_is_inconclusive() -> None:
    snapshot = worlds.world(ITEMS)
    assert ask("http://a.shop.test/", replace(snapshot, pilot={}, gateway={})).exit_code() == 3


@pytest.mark.parametrize("bad", ["", "ftp://x/", "http://", "http://[::1", "http://a:b:c/"])
def test_urls_that_are_none(bad: str) -> None:
    with pytest.raises(InputError, match="URL"):
        parse_request(bad)
    with pytest.raises(InputError, match="header"):
        parse_request("http://a/", headers=["nothing"])


def test_the_journey_of_an_ingress_says_what_its_annotations_do_not_do(recording) -> None:
    world, audit = judged(recording("healthy-scoped"))
    (journey,) = journeys(world, audit, "shop/bad-values")
    assert any(
        "XA221 value-without-effect: higress.io/timeout has no effect: 'soon'" in line for line in journey.asides
    )
    assert any(line.startswith("XA212 protection-not-applied: match-method") for line in journey.asides)
    assert [j.asides for j in journeys(world, audit, "shop/cors")] == [()]


# --- journeys ---------------------------------------------------------------------------------------------------------
def test_a_healthy_rule_has_a_line_per_view(recording) -> None:
    world, audit = judged(recording("batch-loss"))
    (journey,) = journeys(world, audit, "live/app-10060")
    assert [line.split()[0] for line in journey.lines] == ["core", "pilot", "pilot", "gateway"]
    assert all(line.endswith("has it") for line in journey.lines)
    assert journeys(world, audit, "live/none") == ()


def test_an_ingress_may_write_a_rule_twice() -> None:
    item = ingress("a", "foo.test", "/a", "/a")
    world, audit = judged(worlds.world([item]))
    assert [j.verdict.verdict.value for j in journeys(world, audit, "default/a")] == ["in_sync", "refused"]


# --- witnesses --------------------------------------------------------------------------------------------------------
@given(st.lists(ingresses(), min_size=1, max_size=4))
def test_a_witness_is_matched_by_its_key(items: list[dict[str, object]]) -> None:
    for place, routes in worlds.expectation(items).tables.items():
        for route in routes:
            request = witness(route.key, place, secure=place[0] == 443)
            assert request is None or matches(route.key, request)
            if route.key.kind != "safe_regex" and not any(
                h.op == "regex" for h in (*route.key.headers, *route.key.query)
            ):
                assert request is not None


@pytest.mark.parametrize(
    ("condition", "value", "verdict"),
    [
        (HeaderMatch("x", "exact", "1"), "1", True),
        (HeaderMatch("x", "exact", "1"), None, False),
        (HeaderMatch("x", "exact", "1", inverted=True), "2", True),
        (HeaderMatch("x", "exact", "1", inverted=True), None, False),
        (HeaderMatch("x", "present"), "any", True),
        (HeaderMatch("x", "present", inverted=True), None, True),
        (HeaderMatch("x", "present", "no"), None, True),
        (HeaderMatch("x", "prefix", "a"), "ab", True),
        (HeaderMatch("x", "suffix", "b"), "ab", True),
        (HeaderMatch("x", "contains", "c"), "ab", False),
        (HeaderMatch("x", "regex", "a.*"), "ab", True),
        (HeaderMatch("x", "range", "1-2"), "1", None),
    ],
)
def test_conditions(condition: HeaderMatch, value: str | None, verdict: bool | None) -> None:
    headers = [] if value is None else [f"X: {value}"]
    request = parse_request("http://a/", headers=headers)
    assert matches(MatchKey("prefix", "/", False, (condition,)), request) is verdict


# --- access logs ------------------------------------------------------------------------------------------------------
LINE = (
    '{"authority":"wss.live.test","method":"GET","path":"/10061?x=%d","response_code":"404","response_flags":"NR",'
    '"start_time":"2026-11-23T22:18:0%d.000Z","requested_server_name":"-","downstream_local_address":"10.0.0.1:80"}'
)


def test_a_log_is_grouped_by_request() -> None:
    lines = [LINE % (n, n) for n in (1, 2, 3)]
    lines += [LINE.replace('"404"', "404").replace('"-"', '"wss.live.test"') % (4, 4)]
    lines += [LINE.replace('"404"', '"200"') % (5, 5), LINE.replace('"NR"', '"-"') % (6, 6), "not json", ""]
    found = read_log(lines)
    assert (found.lines, found.skipped) == (7, 1)
    assert [(m.count, str(m.request), m.first[17:19], m.last[17:19]) for m in found.misses] == [
        (3, "GET 'http://wss.live.test/10061?x=1'", "01", "03"),
        (1, "GET 'https://wss.live.test/10061?x=4'", "04", "04"),
    ]


@given(st.lists(st.text(), max_size=5))
def test_no_log_breaks_it(lines: list[str]) -> None:
    assert read_log(lines).misses == ()
