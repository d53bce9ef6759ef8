"""A request is what Envoy makes of it: paths, queries, headers, hosts and doubts, as measured on a real one."""

from __future__ import annotations

import re
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdsaudit.audit.requests.automaton import ANY, TooHardError, automaton, common
from xdsaudit.audit.requests.example import witness
from xdsaudit.audit.requests.paths import SURVIVING, normalised, refusal
from xdsaudit.audit.requests.patterns import compiled
from xdsaudit.audit.requests.request import Request, parse_request
from xdsaudit.audit.requests.routing import look_up, matches
from xdsaudit.ingress.expectation import ExpectedRoute
from xdsaudit.model.route import HeaderMatch, MatchKey


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ("/x/../admin/a", "/admin/a"),
        ("/c%61rt", "/cart"),
        (r"/a\b", "/a/b"),
        ("/a/.;v", "/a/"),
        ("/a/..;v/b", "/b"),
        (r"/a\..;v/b", "/a/..;v/b"),
        (r"/.;v\c", "/"),
        ("/%%61%41%%61b", "/%25aA%25ab"),
        ("/%%61g", "/%ag"),
        ("/a/..", "/"),
        ("/../..", "/"),
        ("/a/./b", "/a/b"),
        ("//a//b", "//a//b"),
        ("/%2e%2E/b", "/b"),
        ("/a%2Fb%5Cc", "/a%2Fb%5Cc"),
        ("/%c3%C3", "/%c3%C3"),
        ("/100%zz", "/100%zz"),
        ("/users/{id}", "/users/%7Bid%7D"),
        ("/产", "/%E4%BA%A7"),
        ("/a?b=/../c", "/a"),
        ("/...", "/..."),
        ("/a/b/../", "/a/"),
    ],
)
def test_paths_as_routes_see_them(sent: str, seen: str) -> None:
    assert normalised(sent) == seen


@given(st.text(st.sampled_from("/.a%2eE;\\{b?"), max_size=12))
def test_a_normalised_path_holds_only_what_survives_and_no_dot_segment(tail: str) -> None:
    path = normalised(f"/{tail}")
    assert path.startswith("/")
    assert set(path) <= SURVIVING
    assert not {".", ".."} & set(path.split("/"))


@pytest.mark.parametrize(
    ("target", "said"),
    [("/a b", "400"), ("/a%00", "400"), ("/a#b", "400"), ("a", "400"), ("/" + "a" * 70_000, "431"), ("/a%20b", "")],
)
def test_what_envoy_refuses_before_any_route(target: str, said: str) -> None:
    assert refusal(target)[:3] == said


def one(key: MatchKey, url: str, *headers: str, method: str = "GET") -> bool | None:
    return matches(key, parse_request(url, headers=headers, method=method))


def header(name: str, op: str, value: str = "", **more: bool) -> MatchKey:
    return MatchKey("prefix", "/", False, (HeaderMatch(name, op, value, **more),))


def query(value: str, op: str = "exact") -> MatchKey:
    return MatchKey("prefix", "/", False, (), (HeaderMatch("q", op, value),))


@pytest.mark.parametrize(
    ("key", "url", "headers", "taken"),
    [
        (MatchKey("prefix", "/admin/"), "http://h/x/../admin/a", (), True),
        (MatchKey("path", "/cart"), "http://h/c%61rt", (), True),
        (MatchKey("path", "/%61"), "http://h/%61", (), False),
        (MatchKey("prefix", "/users/{id}"), "http://h/users/{id}", (), False),
        (query("a b"), "http://h/?q=a%20b", (), False),
        (query("a%20b"), "http://h/?q=a%20b", (), True),
        (query("a+b"), "http://h/?q=a+b", (), True),
        (query("1"), "http://h/?q=1&q=2", (), True),
        (query("2"), "http://h/?q=1&q=2", (), False),
        (header("x", "exact", "1"), "http://h/", ("x: 1", "x: 2"), True),
        (header("x", "exact", "2"), "http://h/", ("x: 1", "x: 2"), True),
        (header("x", "exact", "1", inverted=True), "http://h/", ("x: 1", "x: 2"), False),
        (header("x", "exact", "3", inverted=True), "http://h/", ("x: 1", "x: 2"), True),
        (header(":authority", "exact", "h.test:8080"), "http://h.test:8080/", (), True),
        (header(":authority", "exact", "h.test"), "http://h.test:8080/", (), False),
        (header(":path", "exact", "/?q=1"), "http://h/?q=1", (), True),
        (header(":path", "exact", "/"), "http://h/?q=1", (), False),
        (header("x-request-id", "present"), "http://h/", (), True),
        (header("x-request-id", "exact", "1"), "http://h/", ("x-request-id: 1",), None),
        (header("x-forwarded-proto", "exact", "http"), "http://h/", ("X-Forwarded-Proto: https",), True),
        (header("x", "exact_i", "Ab"), "http://h/", ("x: aB",), True),
        (header("x", "range", "1-9"), "http://h/", ("x: 5",), None),
    ],
)
def test_minimal_pairs(key: MatchKey, url: str, headers: tuple[str, ...], taken: bool | None) -> None:
    assert one(key, url, *headers) is taken


def routes(*keys: MatchKey) -> dict[tuple[int, str], list[ExpectedRoute]]:
    return {(80, "h"): [ExpectedRoute(k, f"r{n}", {}, f"c{n}", (n,)) for n, k in enumerate(keys)]}


def test_no_answer_beside_a_condition_that_was_not_judged_is_a_doubt() -> None:
    found = look_up(routes(header("x", "range", "1-9")), parse_request("http://h/", headers=["x: 5"]), scoped=False)
    assert (found.index, found.certain) == (None, False)
    assert "x:range1-9" in found.why
    sure = look_up(routes(header("x", "exact", "9")), parse_request("http://h/", headers=["x: 5"]), scoped=False)
    assert (sure.index, sure.certain) == (None, True)


def test_an_answer_behind_such_a_condition_is_a_doubt_too() -> None:
    tables = routes(header("x", "range", "1-9"), MatchKey("prefix", "/"))
    found = look_up(tables, parse_request("http://h/", headers=["x: 5"]), scoped=False)
    assert (found.index, found.certain) == (1, False)


@pytest.mark.parametrize(("url", "method"), [("http://h/%00", "GET"), ("http://h/", "post")])
def test_a_request_that_envoy_refuses_is_told_so(url: str, method: str) -> None:
    found = look_up(routes(MatchKey("prefix", "/")), parse_request(url, method=method), scoped=False)
    assert found.index is None
    assert found.why.startswith("Envoy refuses it before it looks at any route: 400")


def test_scopes_are_looked_up_by_the_host_as_it_was_sent() -> None:
    tables = routes(MatchKey("prefix", "/"))
    shouted = parse_request("http://x/", headers=["Host: H"])
    assert look_up(tables, shouted, scoped=False).index == 0
    assert look_up(tables, shouted, scoped=True).index is None


def test_a_name_in_other_letters_is_sent_in_its_ascii_form() -> None:
    assert parse_request("https://bücher.test/").host == "xn--bcher-kva.test"


def test_the_server_name_is_the_urls_and_the_host_the_headers() -> None:
    request = parse_request("https://pay.test/", headers=["Host: secure.test"])
    assert (request.server_name, request.host) == ("pay.test", "secure.test")
    assert str(request) == "GET https://pay.test/ -H 'Host: secure.test'"


def test_a_request_is_printed_so_that_a_shell_reads_it() -> None:
    request = Request(False, 80, "h", "/a", headers={"x": ("it's",)}, query={"q": "1"})
    assert str(request) == "GET 'http://h/a?q=1' -H 'x: it'\\''s'"


# --- texts that matchers have in common -------------------------------------------------------------------------------
REGEXES = (
    "/a.*",
    ".*b",
    "/b(/.*)?",
    "(?i)/A.*",
    "/[a-c]+x?",
    "GET|POST",
    "/v\\d{1,3}",
    "/(x|y)z*",
    "/a{2}",
    "[^/]+",
)


@given(st.lists(st.sampled_from(REGEXES), min_size=1, max_size=3))
def test_every_common_text_of_regexes_is_accepted_by_re2(regexes: list[str]) -> None:
    for text in islice(common([automaton("regex", r, False) for r in regexes]), 5):
        assert all((compiled(r) or re.compile(r)).fullmatch(text) for r in regexes)


@given(
    st.lists(st.sampled_from(REGEXES), min_size=2, max_size=2),
    st.lists(st.text("/abxyzGETPOSv1", max_size=6), min_size=1, max_size=20),
)
def test_what_some_text_shows_to_be_common_has_an_example(regexes: list[str], texts: list[str]) -> None:
    machines = [compiled(r) for r in regexes]
    if any(all(m is not None and m.fullmatch(t) for m in machines) for t in texts):
        assert next(common([automaton("regex", r, False) for r in regexes]), None) is not None


@pytest.mark.parametrize("regex", [r"(a)\1", "a(?=b)", "[", "a{500}"])
def test_a_regex_that_is_not_looked_into(regex: str) -> None:
    with pytest.raises(TooHardError):
        automaton("regex", regex, False, ANY)


@pytest.mark.parametrize(
    "key",
    [
        MatchKey("prefix", "/", False, (HeaderMatch(":method", "regex", "GET|POST"),)),
        MatchKey("prefix", "/", False, (HeaderMatch("cookie", "regex", r"^(.*?;\s*)?(beta=always)(;.*)?$"),)),
        MatchKey("safe_regex", "/b(/|$)(.*)"),
        MatchKey("safe_regex", "(?i)/v[0-9]+/x"),
        MatchKey("path_separated_prefix", "/a"),
        MatchKey("prefix", "/", False, (HeaderMatch("x", "exact", "1", inverted=True),)),
    ],
)
def test_a_witness_for_each_kind_of_matcher(key: MatchKey) -> None:
    found = witness(key, (80, "h"), secure=False)
    assert found is not None
    assert matches(key, found)


@pytest.mark.parametrize("path", ["/users/{id}", "/产品", "/a b", "/%61", "/a/../b", "/x?y", "/a#b"])
def test_no_request_has_a_path_that_does_not_survive(path: str) -> None:
    assert witness(MatchKey("path", path), (80, "h"), secure=False) is None


def test_a_wildcards_witness_is_no_host_that_has_routes_of_its_own() -> None:
    taken = {"x.shop.test", "x2.shop.test"}
    found = witness(MatchKey("prefix", "/"), (80, "*.shop.test"), secure=False, hosts=taken.__contains__)
    assert found is not None
    assert found.host == "x3.shop.test"


def test_a_lookup_asks_no_header_of_a_route_whose_path_does_not_fit() -> None:
    class Counting(dict[str, tuple[str, ...]]):
        asked = 0

        def get(self, name: str, default: object = ()) -> tuple[str, ...]:  # type: ignore[override]
            Counting.asked += 1
            return super().get(name, ())

    sent = Request(False, 80, "a.test", "/p99", headers=Counting({"x": ("1",)}))
    keys = [MatchKey("prefix", f"/p{n:02}", False, (HeaderMatch("x", "exact", "1"),)) for n in range(100)]
    assert [n for n, key in enumerate(keys) if matches(key, sent)] == [99]
    assert Counting.asked == 1
