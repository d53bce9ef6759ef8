"""Laws of translation: order of input means nothing, strangers do not matter, Go's sort is a sort."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xdsaudit.ingress.http_route import Work
from xdsaudit.ingress.objects import read_objects
from xdsaudit.ingress.order import before, sort_routes, stable_sort
from xdsaudit.ingress.profile import Profile
from xdsaudit.ingress.translate import translate
from xdsaudit.model.route import HeaderMatch
from xdsaudit.testing import ingress, ingress_list, service
from xdsaudit.testing.strategies import ingresses


def tables(items: list[dict[str, Any]]) -> Any:
    objects, _ = read_objects({"ingresses": ingress_list(items), "services": ingress_list([service("web")], "Service")})
    found = translate(objects, Profile())
    return (
        {place: [r[:4] for r in routes] for place, routes in found.tables.items()},
        sorted((p.rule, p.refusal, p.by) for p in found.plans),
    )


@given(
    st.lists(ingresses(), max_size=8, unique_by=lambda i: (i["metadata"]["namespace"], i["metadata"]["name"])),
    st.randoms(),
)
def test_translation_is_independent_of_input_order(items: list[dict[str, Any]], rng: random.Random) -> None:
    shuffled = list(items)
    rng.shuffle(shuffled)
    assert tables(items) == tables(shuffled)


@given(st.lists(ingresses(), max_size=6, unique_by=lambda i: (i["metadata"]["namespace"], i["metadata"]["name"])))
def test_an_unrelated_ingress_changes_no_other_rule(items: list[dict[str, Any]]) -> None:
    stranger = ingress("stranger", "stranger.test", "/s", namespace="elsewhere")
    before, plans = tables(items)
    after, more = tables([*items, stranger])
    after.pop((80, "stranger.test"))
    assert before == after
    assert [p for p in more if p[0].ingress != "stranger"] == plans


def lists_of(element: st.SearchStrategy[Any], longest: int) -> st.SearchStrategy[list[Any]]:
    """Lists of every length alike: ``st.lists`` alone hardly ever draws one longer than a block of Go's sort (20)."""
    return st.integers(0, longest).flatmap(lambda n: st.lists(element, min_size=n, max_size=n))


def test_long_lists_are_drawn() -> None:
    lengths: list[int] = []

    @settings(database=None)
    @given(lists_of(st.integers(0, 5), 200))
    def drawn(data: list[int]) -> None:
        lengths.append(len(data))

    drawn()
    assert sum(n > 40 for n in lengths) >= len(lengths) // 3  # more than two whole blocks


GOLDEN: list[dict[str, Any]] = json.loads((Path(__file__).parent / "go" / "orders.json").read_text("utf-8"))


def items_of(seed: int, length: int) -> list[tuple[int, int, int]]:
    """Number, kind and value of each item, as ``orders.go.txt`` makes them."""
    made = []
    for number in range(length):
        seed = (seed * 1664525 + 1013904223) & 0xFFFFFFFF
        made.append((number, seed >> 16 & 3, seed >> 20 & 7))
    return made


def precedes(one: tuple[int, int, int], other: tuple[int, int, int]) -> bool:
    """No strict weak order: kinds 2 and 3 are never before each other, whatever stands between them."""
    if one[1] == other[1]:
        return one[2] > other[2]
    return min(one[1], other[1]) < 2 and one[1] < other[1]


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: str(golden["length"]))
def test_a_comparison_that_contradicts_itself_gives_gos_order(golden: dict[str, Any]) -> None:
    data = items_of(golden["seed"], golden["length"])
    stable_sort(data, precedes)
    assert [number for number, _, _ in data] == golden["order"]


@given(lists_of(st.tuples(st.integers(0, 5), st.integers()), 200))
def test_stable_sort_is_pythons_for_a_proper_order(data: list[tuple[int, int]]) -> None:
    mine = list(data)
    stable_sort(mine, lambda a, b: a[0] < b[0])
    assert mine == sorted(data, key=lambda x: x[0])


@given(
    lists_of(
        st.tuples(
            st.sampled_from(("exact", "prefix")),
            st.sampled_from(("/", "/a", "/ab", "/b")),
            st.integers(0, 2),
            st.booleans(),
        ),
        100,
    )
)
def test_both_sorts_agree_where_the_order_is_proper(data: list[tuple[str, str, int, bool]]) -> None:
    def works() -> list[Work]:
        found = []
        for n, (kind, path, conditions, default) in enumerate(data):
            work = Work(str(n), (), kind, path, (), [], default=default)
            work.headers = [HeaderMatch("x", "exact", "1")] * conditions
            work.method = "GET" * (n % 3)
            found.append(work)
        return found

    one, other = works(), works()
    sort_routes(one)
    stable_sort(other, before)
    assert [w.name for w in one] == [w.name for w in other]


def test_linear_in_paths_and_hosts() -> None:
    many = [ingress("a", "one.test", *[f"/p{i}" for i in range(4000)])]
    many += [ingress(f"h{i}", f"h{i}.test", "/x") for i in range(5000)]
    found, _ = tables(many)
    assert len(found[80, "one.test"]) == 8000
    assert len(found) == 5001
