"""Order is a difference where one request gets two answers, and only there: worlds, near misses, and brute force as judge."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import worlds
from xdsaudit import audit
from xdsaudit.audit.compare.align import Comparer, align
from xdsaudit.audit.compare.order import Paired, apart, in_order, inversions, reordered
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


def test_where_too_many_pairs_changed_places_the_audit_says_that_it_did_not_look_at_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    items = [ingress(f"i{n}", "shop.test", (f"/{n}", "Exact"), service="one") for n in range(6)]
    world = worlds.world(items, gateway=swapped(items))
    assert not any("more rules may lose requests" in note for note in audit(world).notes)
    monkeypatch.setattr("xdsaudit.audit.compare.order._PAIRS", 10)
    assert [n for n in audit(world).notes if "gateway" in n and "shop.test" in n and "10 pairs were looked at" in n]


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

    told = list(reordered(Paired(PLACE, expected, served, pairs), (), secure=False, hosts=lambda _: False))
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


def moved(items: list[dict[str, object]], first: str, second: str) -> worlds.Tables:
    """Two Ingresses' routes change places, and all others stay where they are."""
    found = {}
    for place, routes in worlds.expectation(items).tables.items():
        one = [r for r in routes if r.name == first]
        other = [r for r in routes if r.name == second]
        at = min(n for n, r in enumerate(routes) if r in (*one, *other))
        rest = [r for r in routes if r not in (*one, *other)]
        found[place] = (*rest[:at], *other, *one, *rest[at:])
    return found


@pytest.mark.parametrize("count", [1, 5])
def test_two_routes_that_changed_places_among_many_that_did_not_are_found(count: int) -> None:
    others = [ingress(f"o{n}", "shop.test", (f"/longer/{n}", "Exact"), service="x") for n in range(count)]
    others += [ingress(f"z{n}", "shop.test", (f"/{n}", "Exact"), service="x") for n in range(count)]
    items = [*others, *TWO_HEADERS]
    assert audit(worlds.world(items)).exit_code() == 0
    result = audit(worlds.world(items, gateway=moved(items, "default/hdr", "default/hdr2")))
    assert {r.rule.ingress for r in result.of(Verdict.CHANGED)} <= {"hdr", "hdr2"}
    assert result.of(Verdict.CHANGED)


X = MatchKey("path", "/x", headers=(HeaderMatch("x", "exact", "1"),))
Y = MatchKey("path", "/x", headers=(HeaderMatch("y", "present"),))


def told(wanted: list[MatchKey], given_: list[MatchKey], *, alike: bool = False) -> list[tuple[int, int]]:
    clusters = {k: "c" if alike else f"c{n}" for n, k in enumerate(wanted)}
    expected = [ExpectedRoute(k, f"r{n}", {}, clusters[k], (n,)) for n, k in enumerate(wanted)]
    served = [Route(k, f"r{wanted.index(k)}", {}, clusters[k]) for k in given_]
    pairs = align(expected, served, Comparer()).pairs
    found = reordered(Paired(PLACE, expected, served, pairs), (), secure=False, hosts=lambda _: False)
    return [(proof.wanted, proof.given) for proof in found]


def test_a_swap_is_told_unless_an_earlier_route_takes_the_request_or_may_take_it() -> None:
    root, unread = MatchKey("prefix", "/"), MatchKey("prefix", "/", other="a matcher that is not known")
    assert told([X, Y], [Y, X]) == [(0, 0)]
    assert told([X, Y], [Y, X], alike=True) == []
    assert told([MatchKey("path", "/y"), X, Y], [MatchKey("path", "/y"), Y, X]) == [(1, 1)]
    assert told([root, X, Y], [root, Y, X]) == []
    assert told([unread, X, Y], [unread, Y, X]) == []


def test_one_that_moved_is_compared_with_those_it_crossed_and_with_no_other() -> None:
    assert list(inversions([(n, n) for n in range(40)])) == []
    down = [*range(10), *range(11, 31), 10, *range(31, 40)]
    assert sorted(inversions(list(enumerate(down)))) == [(n, 10) for n in range(10, 30)]
    up = [*range(10), 30, *range(10, 30), *range(31, 40)]
    assert sorted(inversions(list(enumerate(up)))) == [(10, n) for n in range(10, 30)]


@pytest.mark.parametrize(
    ("one", "other", "result"),
    [
        (MatchKey("path", "/a"), MatchKey("path", "/a"), False),
        (MatchKey("path", "/a"), MatchKey("path", "/b"), True),
        (MatchKey("path", "/a"), MatchKey("prefix", "/ab"), True),
        (MatchKey("path", "/ab"), MatchKey("prefix", "/a"), False),
        (MatchKey("prefix", "/a"), MatchKey("prefix", "/ab"), False),
        (MatchKey("prefix", "/a"), MatchKey("prefix", "/b"), True),
        (MatchKey("prefix", "/a"), MatchKey("path", "/a"), False),
        (MatchKey("path", "/A", True), MatchKey("path", "/a"), False),
        (MatchKey("path", "/a"), MatchKey("safe_regex", "/b"), False),
    ],
)
def test_paths_that_have_no_request_in_common_are_told_apart(one: MatchKey, other: MatchKey, result: bool) -> None:
    assert (apart(one, other), apart(other, one)) == (result, result)
