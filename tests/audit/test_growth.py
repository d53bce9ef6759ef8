"""Work grows with what there is, not with its square: steps counted at two sizes, since seconds depend on the machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from tests.steps import growth, steps
from xdsaudit.audit.compare.align import Comparer
from xdsaudit.audit.compare.shadowing import shadows
from xdsaudit.audit.compare.view import Before, judge, judge_core
from xdsaudit.audit.ports import Ports
from xdsaudit.ingress.expectation import Expectation, ExpectedRoute, Plans, RulePlan
from xdsaudit.ingress.profile import Profile
from xdsaudit.model.route import HeaderMatch, MatchKey, Route
from xdsaudit.model.verdict import Rule
from xdsaudit.model.view import FilterChain, Listener, Table, View, ViewName

LINEAR = 5.0
"""Four times the size may take so many times the steps; a square takes 16."""


def header(value: str) -> tuple[HeaderMatch, ...]:
    return (HeaderMatch("x-tenant", "exact", value),)


KEYS: dict[str, Callable[[int], MatchKey]] = {
    "regexes of different beginnings": lambda n: MatchKey("safe_regex", f"/shop/{n}/[0-9]+"),
    "regexes of one beginning": lambda n: MatchKey("safe_regex", f"/shop/[0-9]+/{n}"),
    "regexes that are prefixes": lambda n: MatchKey("safe_regex", f"/shop/{n}/.*"),
    "regexes of any case": lambda n: MatchKey("safe_regex", f"(?i)/shop/{n}"),
    "prefixes of any case": lambda n: MatchKey("prefix", f"/Shop/{n:05}", True),
    "exact paths of any case": lambda n: MatchKey("path", f"/Shop/{n}", True),
    "one path, many headers": lambda n: MatchKey("path", "/shop", headers=header(str(n))),
    "one prefix, many headers": lambda n: MatchKey("prefix", "/shop", headers=header(str(n))),
    "one regex, many headers": lambda n: MatchKey("safe_regex", "/shop/.*", headers=header(str(n))),
    "copies of one route": lambda n: MatchKey("prefix", "/shop"),
}


def path(n: int, *headers: HeaderMatch, text: str = "/shop/x/{}") -> MatchKey:
    return MatchKey("path", text.format(n), headers=tuple(sorted(headers)))


def regex(n: int, *headers: HeaderMatch, text: str = "/shop/[0-9]+/{}") -> MatchKey:
    return MatchKey("safe_regex", text.format(n), headers=tuple(sorted(headers)))


BEHIND: dict[str, tuple[Callable[[int], MatchKey], Callable[[int], MatchKey]]] = {
    "paths behind regexes that end differently": (regex, path),
    "paths that each one regex takes": (regex, partial(path, text="/shop/7/{}")),
    "paths behind regexes that differ in the middle": (partial(regex, text="/shop/[0-9]+/{}/[a-z]+"), path),
    "paths behind regexes that differ in a group": (partial(regex, text="/shop/[a-z]*(a{0}|b{0})"), path),
    "paths behind regexes of any case": (partial(regex, text="(?i)/shop/{}/[a-z]*"), path),
    "prefixes behind regexes": (regex, lambda n: MatchKey("prefix", f"/shop/x/{n}")),
    "regexes behind regexes": (regex, partial(regex, text="/shop/[a-z]+/{}")),
    "headers of one path behind regexes": (regex, lambda n: path(0, *header(str(n)))),
    "headers of one path behind regexes that differ in nothing plain": (
        lambda n: MatchKey("safe_regex", f"/shop/[0-9]{{{n}}}"),
        lambda n: path(0, *header(str(n))),
    ),
    "headers behind regexes with headers": (lambda n: regex(n, *header(str(n))), lambda n: path(n, *header(str(n)))),
    "headers behind one regex with headers": (lambda n: regex(0, *header(str(n))), lambda n: path(n, *header(str(-n)))),
    "one header behind regexes with that header": (lambda n: regex(n, *header("1")), lambda n: path(n, *header("1"))),
    "ten headers on one path": (
        lambda n: path(0, *(HeaderMatch(f"x{i}", "exact", "1") for i in range(9)), *header(str(n))),
        path,
    ),
    "headers that begin alike": (
        lambda n: path(0, HeaderMatch("x-tenant", "prefix", f"{n}-")),
        lambda n: path(0, *header(f"{n}-x")),
    ),
    "cookies": (lambda n: path(0, HeaderMatch("cookie", "regex", f"^(.*?;\\s*)?(user={n})(;.*)?$")), path),
}


@pytest.mark.parametrize("name", BEHIND)
def test_shadowing_of_one_half_by_the_other_is_linear(name: str) -> None:
    earlier, later = BEHIND[name]

    def make(size: int) -> Callable[[], object]:
        keys = [*map(earlier, range(size)), *map(later, range(size))]
        routes = [Route(key, f"r{n}", {}, f"c{n}") for n, key in enumerate(keys)]
        return lambda: shadows(routes)

    assert growth(make, 60) < LINEAR


def test_where_every_regex_would_have_to_be_run_on_every_path_it_ends_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("xdsaudit.audit.compare.lookups.MOST_RUNS", 500)
    keys = [MatchKey("safe_regex", f"/shop/[0-9]{{{n}}}") for n in range(50)]
    keys += [MatchKey("path", f"/shop/{'1' * n}") for n in range(1, 50)]
    routes = [Route(key, f"r{n}", {}, f"c{n}") for n, key in enumerate(keys)]
    said: list[str] = []
    found = shadows(routes, said.append)
    assert found == {index: index - 49 for index in found}
    assert 0 < len(found) < 49
    assert len(said) == 1
    assert "more rules may be shadowed" in said[0]


@pytest.mark.parametrize("name", KEYS)
def test_shadowing_is_linear(name: str) -> None:
    def make(size: int) -> Callable[[], object]:
        routes = [Route(KEYS[name](n), "same", {}, "same") for n in range(size)]
        return lambda: shadows(routes)

    assert growth(make, 100) < LINEAR


def test_exact_paths_before_many_regexes_do_not_run_them() -> None:
    def make(size: int) -> Callable[[], object]:
        keys = [MatchKey("path", f"/shop/{n}") for n in range(size)]
        keys += [MatchKey("safe_regex", f"/shop/[0-9]+/{n}") for n in range(size)]
        routes = [Route(k, f"r{n}", {}, f"c{n}") for n, k in enumerate(keys)]
        return lambda: shadows(routes)

    assert growth(make, 50) < LINEAR


def test_asking_for_the_ports_of_every_rule_of_one_host_is_linear() -> None:
    def make(size: int) -> Callable[[], object]:
        rules = [Rule("shop", f"i{n}", "shop.test", f"/{n}", "Exact") for n in range(size)]
        routes = tuple(ExpectedRoute(MatchKey("path", r.path), r.ingress, {}, "c", (n,)) for n, r in enumerate(rules))
        plans = Plans({n: RulePlan(r) for n, r in enumerate(rules)})
        ports = Ports(Expectation(plans, {(80, "shop.test"): routes}, {}, Profile()))
        return lambda: [ports.of(n, r) for n, r in enumerate(rules)]

    assert growth(make, 50) < LINEAR


def secure_hosts(size: int) -> tuple[View, Expectation]:
    key = MatchKey("prefix", "/")
    hosts = [f"h{n}.example.com" for n in range(size)]
    chains = tuple(FilterChain((h,), None, True, (), True) for h in hosts)
    view = View(
        ViewName.GATEWAY,
        "gateway-0",
        tables={(443, h): Table(h, (Route(key, h, {}, "c"),)) for h in hosts},
        listeners=(Listener("0.0.0.0_443", 443, "active", chains),),
    )
    expected = {(443, h): (ExpectedRoute(key, h, {}, "c", (n,)),) for n, h in enumerate(hosts)}
    plans = Plans({n: RulePlan(Rule("shop", h, h, "/", "Prefix")) for n, h in enumerate(hosts)})
    return view, Expectation(plans, expected, {}, Profile())


@pytest.mark.parametrize("reach", [True, False])
def test_many_routes_of_ingresses_that_are_not_modelled_and_are_not_there_is_linear(reach: bool) -> None:
    def make(size: int) -> Callable[[], object]:
        place = (80, "shop.test")
        expected = tuple(ExpectedRoute(MatchKey("path", f"/{n}"), f"i{n}", {}, "c", (n,)) for n in range(size))
        served = tuple(Route(MatchKey("path", f"/other/{n}"), f"o{n}", {}, "c") for n in range(size))
        plans = Plans({n: RulePlan(Rule("shop", f"i{n}", "shop.test", f"/{n}", "Exact")) for n in range(size)})
        view = View(ViewName.PILOT, "pilot-0", tables={place: Table("shop", served)})
        expectation, tolerated = (
            Expectation(plans, {place: expected}, {}, Profile()),
            frozenset(r.name for r in expected),
        )
        judged = partial(judge, reach=True) if reach else judge_core
        return lambda: judged(view, expectation, Comparer(), tolerated=tolerated)

    assert growth(make, 50) < LINEAR


def test_a_filter_chain_for_each_tls_host_is_linear() -> None:
    def make(size: int) -> Callable[[], object]:
        view, expectation = secure_hosts(size)
        return lambda: judge(view, expectation, Comparer(), tolerated=frozenset(), reach=True)

    assert growth(make, 50) < LINEAR
    view, expectation = secure_hosts(3)
    assert not judge(view, expectation, Comparer(), tolerated=frozenset(), reach=True).missing


def test_of_many_places_only_the_one_that_moved_is_compared_again() -> None:
    view, expectation = secure_hosts(200)
    asked = partial(judge, view, tolerated=frozenset(), reach=True)
    before = Before(asked(expectation, Comparer()), expectation)
    place = (443, "h1.example.com")
    moved = (expectation.tables[place][0]._replace(cluster="other"),)
    later = replace(expectation, tables={**expectation.tables, place: moved})
    first, again = asked(later, Comparer()), asked(later, Comparer(), before=before)
    assert again == first
    assert [*again.changed] == [1]
    assert again.fine == expectation.tables.keys() - {place}
    assert asked(expectation, Comparer(), before=Before(again, later)) == before.judgement
    assert 4 * steps(lambda: asked(later, Comparer(), before=before)) < steps(lambda: asked(later, Comparer()))


def test_what_was_wrong_is_judged_again_though_nothing_moved() -> None:
    view, expectation = secure_hosts(3)
    fewer = replace(view, listeners=(view.listeners or ())[:0])
    asked = partial(judge, fewer, expectation, Comparer(), tolerated=frozenset(), reach=True)
    first = asked()
    assert first.missing
    assert asked(before=Before(first, expectation)) == first
    healthy = judge(view, expectation, Comparer(), tolerated=frozenset(), reach=True)
    assert asked(before=Before(healthy, expectation)) == first


def test_a_tls_host_without_a_chain_of_its_own_is_missing_among_many() -> None:
    view, expectation = secure_hosts(3)
    listener = Listener("0.0.0.0_443", 443, "active", tuple(view.chains)[:2])
    fewer = replace(view, listeners=(listener,))
    judged = judge(fewer, expectation, Comparer(), tolerated=frozenset(), reach=True)
    assert [m.reason for found in judged.missing.values() for m in found] == ["no-chain"]
