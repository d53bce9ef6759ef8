"""Order is a difference where one request gets two answers, and only there: worlds, near misses, and brute force as judge."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import worlds
from xdsaudit import audit
from xdsaudit.audit.compare.align import Comparer, align
from xdsaudit.audit.compare.order import in_order, inversions, reordered
from xdsaudit.audit.requests.request import Request
from xdsaudit.audit.requests.routing import matches
from xdsaudit.ingress.expectation import ExpectedRoute
from xdsaudit.model.route import HeaderMatch, MatchKey, Route
from xdsaudit.model.verdict import Stage, Verdict
from xdsaudit.testing import ingress

HEADER = "higress.io/exact-match-header-"
REGEX = {"nginx.ingress.kubernetes.io/use-regex": "true"}
TWO_HEADERS = [
    ingress("hdr", "shop.test", ("/x", "Exact"), annotations={f"{HEADER}x-ver": "2"}, service="one"),
    ingress("hdr2", "shop.test", ("/x", "Exact"), annotations={f"{HEADER}x-user": "7"}, service="two"),
]
LONGER = [ingress("long", "shop.test", "/a/b", service="one"), ingress("short", "shop.test", "/a", service="two")]
REGEXES = [
    ingress("ry", "shop.test", "/a/y.*", annotations=REGEX, service="one"),
    ingress("rx", "shop.test", "/a/.*x", annotations=REGEX, service="two"),
]
APART = [
    ingress("a", "shop.test", ("/a", "Exact"), service="one"),
    ingress("b", "shop.test", ("/b", "Exact"), service="two"),
]
ALIKE = [
    ingress("hdr", "shop.test", ("/x", "Exact"), annotations={f"{HEADER}x-ver": "2"}, service="one"),
    ingress("hdr2", "shop.test", ("/x", "Exact"), annotations={f"{HEADER}x-user": "7"}, service="one"),
]


def swapped(items: list[dict[str, object]]) -> worlds.Tables:
    return {p: tuple(reversed(routes)) for p, routes in worlds.expectation(items).tables.items()}


@pytest.mark.parametrize("items", [TWO_HEADERS, LONGER, REGEXES], ids=["two headers", "longer prefix", "regexes"])
def test_an_order_that_a_request_shows_is_changed(items: list[dict[str, object]]) -> None:
    result = audit(worlds.world(items, gateway=swapped(items)))
    changed = result.of(Verdict.CHANGED)
    assert changed
    assert {(r.stage, f.field) for r in changed for f in r.fields} == {(Stage.DELIVERY, "order")}
    assert all(any(" is answered by " in line for line in r.evidence) for r in changed)
    assert result.exit_code() == 1


def test_an_order_that_pilot_has_too_is_the_control_planes() -> None:
    tables = swapped(TWO_HEADERS)
    (found,) = audit(worlds.world(TWO_HEADERS, pilot=tables, gateway=tables)).of(Verdict.CHANGED)
    assert (found.stage, found.first_missing) == (Stage.CONTROL_PLANE, "pilot")


@pytest.mark.parametrize("items", [APART, ALIKE], ids=["no common request", "the same answer"])
def test_an_order_that_no_request_shows_is_nothing(items: list[dict[str, object]]) -> None:
    result = audit(worlds.world(items, gateway=swapped(items)))
    assert [r.verdict for r in result.rules] == [Verdict.IN_SYNC] * len(items)
    assert result.exit_code() == 0


def test_a_request_that_an_earlier_route_takes_in_both_orders_shows_nothing() -> None:
    items = [ingress("root", "shop.test", ("/x", "Exact"), service="three"), *TWO_HEADERS]
    tables = worlds.expectation(items).tables
    turned = {p: (next(r for r in rs if r.name == "default/root"), *reversed(rs[:-1])) for p, rs in tables.items()}
    found = {r.rule.ingress for r in audit(worlds.world(items, gateway=turned)).of(Verdict.CHANGED)}
    assert found == {"hdr", "hdr2"}  # the root answers what is theirs; the two are not told apart by anything left


# --- brute force ------------------------------------------------------------------------------------------------------
PATHS = ("/", "/a", "/a/", "/a/b", "/a/x", "/ab", "/ax", "/b/c", "/axx", "/a/bx", "/a/b/x", "/x", "/xy", "/b/cx")
KEYS = st.builds(
    MatchKey,
    st.sampled_from(("path", "prefix", "safe_regex", "path_separated_prefix")),
    st.sampled_from(("/", "/a", "/a/", "/a.*", "/.*x", "/b/c", "/[ab]", "/a(/|x).*")),
    st.just(False),
    st.sampled_from(
        ((), (HeaderMatch("x", "exact", "1"),), (HeaderMatch("x", "regex", "1|2"),), (HeaderMatch("y", "present"),))
    ),
)
ASKED = [
    Request(False, 80, "h", path, headers={n: (v,) for n, v in (("x", x), ("y", y)) if v})
    for path, x, y in product(PATHS, ("", "1", "2"), ("", "1"))
]
PLACE = (80, "h")


@given(st.lists(KEYS, min_size=2, max_size=5, unique=True).flatmap(lambda k: st.tuples(st.just(k), st.permutations(k))))
def test_only_what_two_answers_prove_is_told(lists: tuple[list[MatchKey], list[MatchKey]]) -> None:
    wanted, given_ = lists
    expected = [ExpectedRoute(k, f"r{n}", {}, f"c{n}", (n,)) for n, k in enumerate(wanted)]
    served = [Route(k, f"r{wanted.index(k)}", {}, f"c{wanted.index(k)}") for k in given_]
    pairs, rest = align(expected, served, Comparer())
    assert rest == []

    def first(keys: list[MatchKey], request: Request) -> MatchKey | None:
        return next((k for k in keys if matches(k, request)), None)

    told = list(reordered(PLACE, expected, served, pairs, (), secure=False, hosts=lambda _: False))
    for proof in told:
        assert first(wanted, proof.request) == wanted[proof.wanted]
        assert first(given_, proof.request) == given_[proof.given] != wanted[proof.wanted]
    if any(first(wanted, r) != first(given_, r) for r in ASKED):
        assert not in_order(pairs)


@given(st.permutations(range(7)))
def test_every_pair_that_is_turned_is_among_the_inversions_of_some_mover(order: list[int]) -> None:
    own = list(enumerate(order))
    turned = {(a, order[b]) for a in range(7) for b in range(a + 1, 7) if order[a] > order[b]}
    assert set(inversions(own)) == turned
