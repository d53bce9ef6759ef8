"""Paths that no request can have: never said of one that some request has, and said of every kind that was measured."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import worlds
from xdsaudit import audit, load
from xdsaudit.audit.requests.dead import dead
from xdsaudit.audit.requests.example import reachable
from xdsaudit.audit.requests.paths import normalised, refusal
from xdsaudit.model.verdict import Verdict
from xdsaudit.testing import ingress

SENT = st.text("/ab.;%26eE1~{}|é?\\#", max_size=10).map(lambda t: "/" + t).filter(lambda t: not refusal(t))


@given(SENT, st.integers(0, 8))
def test_what_a_request_has_is_not_dead(sent: str, cut: int) -> None:
    path = normalised(sent)
    assert dead("path", path) is None
    assert dead("prefix", path[: max(1, cut)]) is None
    assert dead("safe_regex", "/.*") is None


@given(SENT)
def test_a_path_is_dead_when_no_request_has_it(text: str) -> None:
    assert (dead("path", text) is not None) is (not reachable(text))


@pytest.mark.parametrize(
    ("kind", "value", "spelling"),
    [
        ("path", "/users/{id}", ""),
        ("prefix", "/users/{id}", ""),
        ("path", "/产品", "/%E4%BA%A7%E5%93%81"),
        ("prefix", "/产品/", "/%E4%BA%A7%E5%93%81/"),
        ("path", "/a b", ""),
        ("path", "/a|b", "/a%7Cb"),
        ("path", "/%61", "/a"),
        ("prefix", "/%61", "/a"),
        ("path", "/a/../b", "/b"),
        ("prefix", "/a/../b", "/b"),
        ("path", "/a/.", "/a/"),
        ("path", "/x?y=1", ""),
        ("prefix", "/a#b", ""),
        ("path", "/a\\b", "/a/b"),
        ("path", "api", ""),
        ("prefix", "", ""),
        ("safe_regex", "api.*", ""),
        ("safe_regex", "/users/\\{id\\}", ""),
        ("safe_regex", "/产品.*", ""),
        ("safe_regex", "/a\\?b=.*", ""),
    ],
)
def test_dead_by_kind(kind: str, value: str, spelling: str) -> None:
    found = dead(kind, value)
    assert found is not None
    assert found.spelling == spelling
    assert not spelling or dead(kind, spelling) is None


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("path", "/a"),
        ("path", "/%c3%A9"),
        ("path", "/a//b"),
        ("path", "/a%2Fb"),
        ("prefix", "/a/."),
        ("prefix", "/a/.."),
        ("prefix", "/%6"),
        ("prefix", "/a;b=c,d"),
        ("path", "/a/.well-known"),
        ("safe_regex", "/users/[^/]+"),
        ("safe_regex", "(/a|b).*"),
        ("safe_regex", ".*"),
        ("safe_regex", "(?i)/A.*"),
        ("safe_regex", "/a(?:/.*)?$"),
        ("safe_regex", "\\pN"),
        ("connect_matcher", ""),
    ],
)
def test_alive_or_not_known_to_be_dead(kind: str, value: str) -> None:
    assert dead(kind, value) is None


def test_a_rule_is_reached_when_one_of_its_routes_is() -> None:
    found = {
        v.rule.path: (v.verdict, v.slug) for v in audit(worlds.world([ingress("a", "a.test", "/b|c", "/d")])).rules
    }
    assert found["/b|c"] == (Verdict.SHADOWED, "unmatchable-path")
    assert found["/d"][0] is Verdict.IN_SYNC


def test_the_measured_world(tmp_path: Path) -> None:
    result = audit(load(Path(__file__).with_name("worlds") / "dead-braces"))
    assert {v.slug for v in result.rules if "{" in v.rule.path or not v.rule.path.isascii()} == {"unmatchable-path"}
    assert result.exit_code() == 1


def test_dots_with_parameters_are_reached_by_a_backslash_and_dots_alone_are_not() -> None:
    assert dead("path", "/a/..;x") is None
    assert dead("prefix", "/a/..;x/b") is None
    assert dead("path", "/a/..") is not None
    assert dead("prefix", "/a/../b") is not None
