"""Routes that Envoy refuses, each beside one that it takes; the real Envoy is asked in tests/e2e/test_refusals.py."""

from __future__ import annotations

from typing import Any

import pytest

from xdsaudit.audit.compare.flaws import flaw_of
from xdsaudit.model.route import HeaderMatch, MatchKey, Route
from xdsaudit.model.view import View, ViewName

ENVOY = View(ViewName.GATEWAY, None)


def header(name: str, value: str) -> dict[str, Any]:
    return {"request_headers_to_add": [{"header": {"key": name, "value": value}}]}


def weighted(inner: dict[str, Any]) -> dict[str, Any]:
    return {"weighted_clusters": {"clusters": [{"name": "a", "weight": 1, **inner}]}}


@pytest.mark.parametrize(
    ("fine", "bad", "said"),
    [
        ({"timeout": "0s"}, {"timeout": "-3s"}, "timeout is -3s"),
        ({"timeout": "315576000000s"}, {"timeout": "315576000001s"}, "durations from 0"),
        (
            {"retry_policy": {"per_try_timeout": "1.500s"}},
            {"retry_policy": {"per_try_timeout": "-1s"}},
            "per_try_timeout is -1s",
        ),
        (header("x", "100%%"), header("x", "100%"), "begins no command"),
        (header("x", "%REQ(a)%"), header("x", "%BAD%"), "%BAD%"),
        (header("x", "a"), header("x", "a\nb"), "line end"),
        (weighted(header("x", "1")), weighted(header("x", "%")), "begins no command"),
        (weighted(header("x", "1")), weighted(header("Host", "1")), "may not set Host"),
        ({"host_rewrite_literal": "a"}, {"host_rewrite_literal": "a\r"}, "host_rewrite_literal"),
        (
            {"regex_rewrite": {"pattern": {"regex": "a"}, "substitution": "b"}},
            {"regex_rewrite": {"pattern": {"regex": "a"}, "substitution": "b\n"}},
            "regex_rewrite.substitution",
        ),
        (
            {"typed_per_filter_config": {"rate": {"token_bucket": {"tokens_per_fill": 1}}}},
            {"typed_per_filter_config": {"rate": {"token_bucket": {"tokens_per_fill": 0}}}},
            "filled with 0 tokens",
        ),
    ],
)
def test_a_field_on_either_side(fine: dict[str, Any], bad: dict[str, Any], said: str) -> None:
    key = MatchKey("prefix", "/", False)
    assert flaw_of(Route(key, "r", {"action": "route", **fine}, "c"), ENVOY) is None
    flaw = flaw_of(Route(key, "r", {"action": "route", **bad}, "c"), ENVOY)
    assert flaw is not None
    assert flaw.sure
    assert said in flaw.reason


@pytest.mark.parametrize("op", ["prefix", "suffix", "contains", "regex", "prefix_i"])
def test_a_condition_without_a_text(op: str) -> None:
    def route(condition: HeaderMatch) -> Route:
        return Route(MatchKey("prefix", "/", False, (condition,)), "r", {}, "c")

    assert flaw_of(route(HeaderMatch("x", "exact", "", False)), ENVOY) is None
    assert flaw_of(route(HeaderMatch("x", op, "a", False)), ENVOY) is None
    flaw = flaw_of(route(HeaderMatch("x", op, "", False)), ENVOY)
    assert flaw is not None
    assert "without a text" in flaw.reason
