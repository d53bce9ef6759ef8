"""One view against the expectation: what is missing, what differs, what nobody expected, what is never reached."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from xdsaudit.audit.align import Comparer, align
from xdsaudit.audit.reach import shadows
from xdsaudit.ingress.expectation import Expectation, ExpectedRoute
from xdsaudit.model.route import MatchKey, Place, Route
from xdsaudit.model.verdict import Extra, FieldDelta
from xdsaudit.model.view import FilterChain, Table, View, ViewName


class Missing(NamedTuple):
    """An expected route that a view does not hold.

    ``reason``: ``no-table`` (nothing for that port and host), ``no-scope``, ``not-fetched`` (a scope without its table),
    ``blackhole``, ``no-route`` (the table is there without it), ``no-chain`` (no filter chain leads to it).
    """

    place: Place
    match: str
    reason: str


class Shadow(NamedTuple):
    """A rule that is never reached at one place: who takes its requests (None: a route nobody expected)."""

    place: Place
    winner: int | None
    route: str


@dataclass
class Judgement:
    """What one view says, by rule index; a rule that is fine is in none of the maps."""

    view: View
    missing: dict[int, list[Missing]] = field(default_factory=dict)
    changed: dict[int, list[FieldDelta]] = field(default_factory=dict)
    dormant: set[int] = field(default_factory=set)
    shadowed: dict[int, Shadow] = field(default_factory=dict)
    extra: list[Extra] = field(default_factory=list)

    def holds(self, rule: int) -> bool:
        """Whether the view has all routes of the rule, changed or not."""
        return rule not in self.missing


def judge(
    view: View, expectation: Expectation, comparer: Comparer, *, tolerated: frozenset[str], reach: bool
) -> Judgement:
    """Compare one view of pilot or gateway.

    Args:
        view: the view.
        expectation: what must be there.
        comparer: shared memory of equal field maps.
        tolerated: route names that are never extra, since their Ingress is not modelled.
        reach: whether to judge shadowing too (it is, on the views that serve requests).
    """
    result = Judgement(view)
    for place, expected in expectation.tables.items():
        table = view.tables.get(place)
        reason = _absent(view, place, table, place[0] == expectation.profile.https_port)
        if reason == "dormant":
            result.dormant.update(r for e in expected for r in e.rules)
            continue
        if table is None or reason:
            _miss(result, place, expected, reason or "no-table")
            continue
        _compare(result, place, expected, table, expectation, comparer, tolerated, reach)
    for place, table in view.tables.items():
        if place not in expectation.tables:
            _extras(result, place, table.routes, _copies(expectation, place), tolerated)
    return result


def _absent(view: View, place: Place, table: Table | None, secure: bool) -> str:
    if table is not None and table.blackhole:
        return "blackhole"
    if table is not None:
        return "" if _chain(view, place, secure) else "no-chain"
    if view.scopes is None:
        return "no-table"
    config = view.scopes.get(place)
    if config is None:
        return "no-scope"
    if config in view.unbound:
        return "dormant" if _on_demand(view) else "not-fetched"
    return "blackhole"


def _chains(view: View) -> Iterable[FilterChain]:
    return (c for li in view.listeners or () if li.state != "draining" for c in li.chains)


def _on_demand(view: View) -> bool:
    return view.name is ViewName.GATEWAY and any(c.on_demand for c in _chains(view))


def _chain(view: View, place: Place, secure: bool) -> bool:
    """Whether some filter chain leads to the place; True as long as the listeners do not prove the contrary."""
    if view.listeners is None:
        return True
    return any(
        c.tls == secure and (not secure or not c.server_names or place[1] in c.server_names) for c in _chains(view)
    )


def _miss(result: Judgement, place: Place, expected: Iterable[ExpectedRoute], reason: str) -> None:
    for route in expected:
        for rule in route.rules:
            result.missing.setdefault(rule, []).append(Missing(place, str(route.key), reason))


def _compare(
    result: Judgement,
    place: Place,
    expected: tuple[ExpectedRoute, ...],
    table: Table,
    expectation: Expectation,
    comparer: Comparer,
    tolerated: frozenset[str],
    reach: bool,
) -> None:
    view = result.view
    pairs, rest = align(expected, table.routes, comparer)
    for route, index in zip(expected, pairs, strict=True):
        if index is None:
            _miss(result, place, (route,), "no-route")
        elif not comparer.same(route, table.routes[index]):
            deltas = comparer.deltas(route, table.routes[index], view.name.value, view.replica)
            for rule in route.rules:
                result.changed.setdefault(rule, []).extend(deltas)
    if rest:
        _extras(result, place, [table.routes[i] for i in rest], _copies(expectation, place), tolerated)
    if reach:
        _reach(result, place, expected, pairs, table, expectation)


def _reach(
    result: Judgement,
    place: Place,
    expected: tuple[ExpectedRoute, ...],
    pairs: list[int | None],
    table: Table,
    expectation: Expectation,
) -> None:
    hidden = shadows(table.routes)
    if not hidden:
        return
    owner = {
        index: route.rules[0] for route, index in zip(expected, pairs, strict=True) if index is not None and route.rules
    }
    state: dict[int, list[int | None]] = {}
    for route, index in zip(expected, pairs, strict=True):
        if index is not None and not route.generated:
            for rule in route.rules:
                state.setdefault(rule, []).append(hidden.get(index))
    for rule, by in state.items():
        if by and None not in by:
            winner = by[-1]
            assert winner is not None
            route_ = table.routes[winner]
            mine = owner.get(winner)
            if mine is None and expectation.profile.merge_subset:
                mine = _copied_from(expectation, place, route_)
            if mine != rule:
                result.shadowed.setdefault(rule, Shadow(place, mine, _said(route_)))


def _copied_from(expectation: Expectation, place: Place, route: Route) -> int | None:
    """The rule of a wildcard host whose route was copied here."""
    for parent in expectation.covering(place):
        for each in expectation.tables[parent]:
            if (each.key, each.name) == (route.key, route.name) and each.rules:
                return each.rules[0]
    return None


def _said(route: Route) -> str:
    return f"{route.name} {route.key}"


def _copies(expectation: Expectation, place: Place) -> frozenset[tuple[MatchKey, str]]:
    """Routes that HOST_RDS_MERGE_SUBSET may append to a place."""
    if not expectation.profile.merge_subset:
        return frozenset()
    return frozenset((r.key, r.name) for p in expectation.covering(place) for r in expectation.tables[p])


def _extras(
    result: Judgement,
    place: Place,
    routes: Iterable[Route],
    copies: frozenset[tuple[MatchKey, str]],
    tolerated: frozenset[str],
) -> None:
    view = result.view
    for route in routes:
        if (route.key, route.name) not in copies and route.name not in tolerated:
            result.extra.append(Extra(view.name.value, view.replica, *place, str(route.key), route.name))


def judge_core(view: View, expectation: Expectation) -> Judgement:
    """Compare the core view: presence by key and name, and the cluster where core knows exactly one.

    Core holds routes that pilot never emits (behind a catch-all) and sees no listener, so nothing in it is extra.
    """
    result = Judgement(view)
    for place, expected in expectation.tables.items():
        table = view.tables.get(place)
        if table is None:
            _miss(result, place, expected, "no-table")
            continue
        held: dict[tuple[MatchKey, str], list[Route]] = {}
        for route in table.routes:
            held.setdefault((route.key, route.name), []).append(route)
        for route_ in expected:
            same = held.get((route_.key, route_.name))
            if not same:
                _miss(result, place, (route_,), "no-route")
                continue
            clusters = {r.cluster for r in same}
            if route_.cluster is not None and None not in clusters and not route_.uncertain:
                wanted = route_.cluster
                if wanted not in clusters:
                    delta = FieldDelta("cluster", view.name.value, view.replica, wanted, min(c or "" for c in clusters))
                    for rule in route_.rules:
                        result.changed.setdefault(rule, []).append(delta)
    return result
