"""Laws of attribution, over worlds that serve what they must but for one break."""

from __future__ import annotations

from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from tests import worlds
from xdsaudit import audit
from xdsaudit.ingress.expectation import ExpectedRoute
from xdsaudit.model.route import Place
from xdsaudit.model.verdict import Stage, Verdict
from xdsaudit.testing.strategies import ingresses

Items = list[dict[str, Any]]
SETS = st.lists(
    ingresses(), min_size=1, max_size=6, unique_by=lambda i: (i["metadata"]["namespace"], i["metadata"]["name"])
)
WRONG = (Verdict.LOST, Verdict.CHANGED, Verdict.UNKNOWN, Verdict.PENDING)


@given(SETS)
def test_equal_views_are_in_sync(items: Items) -> None:
    tables = worlds.expectation(items).tables
    result = audit(worlds.world(items, fresh=tables))
    assert result.of(*WRONG) == ()
    assert result.extra == ()
    assert result.findings == ()


def without(
    tables: dict[Place, tuple[ExpectedRoute, ...]], place: Place, index: int
) -> dict[Place, tuple[ExpectedRoute, ...]]:
    return {p: tuple(r for n, r in enumerate(routes) if (p, n) != (place, index)) for p, routes in tables.items()}


@given(SETS, st.data())
def test_a_route_deleted_from_a_view_on_blames_the_edge_before_it(items: Items, data: st.DataObject) -> None:
    tables = dict(worlds.expectation(items).tables)
    assume(tables)
    place = data.draw(st.sampled_from(sorted(tables)))
    index = data.draw(st.integers(0, len(tables[place]) - 1))
    route = tables[place][index]
    assume(route.rules)
    broken = without(tables, place, index)
    views = ("fresh", "pilot", "gateway")
    first = data.draw(st.sampled_from(views))
    cut = {v: broken if n >= views.index(first) else tables for n, v in enumerate(views)}
    result = audit(worlds.world(items, **cut))
    stage = {"fresh": Stage.CONTROL_PLANE, "pilot": Stage.CACHE, "gateway": Stage.DELIVERY}[first]
    lost = {(r.rule, r.stage) for r in result.lost}
    owners = {worlds.expectation(items).plans[i].rule for i in route.rules}
    twins = sum(r[:4] == route[:4] for r in tables[place])
    if twins == 1:
        assert lost
        assert lost <= {(rule, stage) for rule in owners}
    assert result.of(Verdict.UNKNOWN) == ()


@given(SETS, st.randoms())
def test_the_order_of_tables_is_noise(items: Items, rng: Any) -> None:
    tables = worlds.expectation(items).tables
    places = sorted(tables)
    rng.shuffle(places)
    noisy = {p: tables[p] for p in places}
    plain, shuffled = audit(worlds.world(items)), audit(worlds.world(items, pilot=noisy, gateway=noisy))
    assert plain.rules == shuffled.rules


@given(SETS)
def test_the_order_inside_a_host_loses_nothing(items: Items) -> None:
    """It may shadow or change a rule; no route is missing and none is extra."""
    tables = worlds.expectation(items).tables
    turned = {p: tuple(reversed(r)) for p, r in tables.items()}
    result = audit(worlds.world(items, gateway=turned))
    assert result.lost == ()
    assert result.extra == ()


@given(SETS)
def test_dropping_optional_views_never_contradicts(items: Items) -> None:
    tables = dict(worlds.expectation(items).tables)
    assume(tables)
    place = min(tables)
    broken = without(tables, place, 0)
    full = worlds.world(items, fresh=tables, pilot=broken, gateway=broken)
    fine, coarse = audit(full), audit(full.without(fresh=True))
    assert [(r.rule, r.verdict) for r in fine.rules] == [(r.rule, r.verdict) for r in coarse.rules]
    assert {r.stage for r in coarse.lost} <= {Stage.CONTROL_PLANE}
