"""Fields that differ are named down to the leaf, and what is compared once is not compared again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xdsaudit.audit.compare.align import Comparer
from xdsaudit.ingress.expectation import ExpectedRoute
from xdsaudit.model.route import Route, simple_key
from xdsaudit.model.view import ViewName

KEY = simple_key("prefix", "/")


def deltas(expected: Mapping[str, Any], served: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    wanted, there = ExpectedRoute(KEY, "a", expected, "c", (0,)), Route(KEY, "a", served, "c")
    comparer = Comparer()
    found = comparer.deltas(wanted, there, ViewName.PILOT, "p")
    assert bool(found) is not comparer.same(wanted, there)
    assert all((d.view, d.replica) == (ViewName.PILOT, "p") for d in found)
    return {d.field: (d.expected, d.actual) for d in found}


def test_equal_fields_have_no_difference() -> None:
    assert deltas({"timeout": "1s"}, {"timeout": "1s"}) == {}


def test_a_plain_field_is_a_leaf() -> None:
    assert deltas({"timeout": "1s"}, {"timeout": "2s"}) == {"timeout": ("1s", "2s")}
    assert deltas({"timeout": "1s"}, {}) == {"timeout": ("1s", None)}
    assert deltas({}, {"timeout": "1s"}) == {"timeout": (None, "1s")}


def test_a_nested_field_is_named_by_its_path() -> None:
    expected = {"retry_policy": {"num_retries": 2, "retry_on": "5xx", "codes": [503, 504], "back_off": {"base": "1s"}}}
    served = {"retry_policy": {"num_retries": 3, "codes": [503, 500], "back_off": {"base": "1s", "max": "9s"}}}
    assert deltas(expected, served) == {
        "retry_policy.num_retries": (2, 3),
        "retry_policy.retry_on": ("5xx", None),
        "retry_policy.codes[1]": (504, 500),
        "retry_policy.back_off.max": (None, "9s"),
    }


def test_a_field_that_is_nested_on_one_side_alone_is_shown_whole() -> None:
    assert deltas({"redirect": {"path": "/a"}}, {"redirect": "none"}) == {"redirect": ({"path": "/a"}, "none")}


def test_keys_that_look_private_are_still_a_difference() -> None:
    assert deltas({"redirect": {"__x__": 1}}, {"redirect": {"__x__": 2}})


def test_two_leaves_that_differ_are_in_the_order_of_their_names() -> None:
    assert list(deltas({"a": {"y": 1, "x": 1}}, {"a": {"y": 2, "x": 2}})) == ["a.x", "a.y"]
