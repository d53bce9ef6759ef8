"""A request that no rule takes: the rules that nearly do, each with the one condition that fails; and what a route makes of a request."""

from __future__ import annotations

from typing import Any

import pytest

from tests import worlds
from xdsaudit.audit.questions.explain import explain_request
from xdsaudit.audit.questions.forwarding import effects
from xdsaudit.audit.requests.request import parse_request
from xdsaudit.audit.verdicts import judged
from xdsaudit.model.route import MatchKey, Route
from xdsaudit.model.view import View, ViewName
from xdsaudit.testing import ingress


def said(url: str, *items: dict[str, Any], method: str = "GET", headers: tuple[str, ...] = ()) -> list[str]:
    world, audit = judged(worlds.world(list(items)))
    found = explain_request(world, audit, parse_request(url, method=method, headers=headers))
    return [f"{c.verdict.rule.ingress}: {c.why}" for c in found.candidates]


HEADER = {"higress.io/exact-match-header-x-llm": "qwen"}
QUERY = {"higress.io/exact-match-query-page": "1"}


@pytest.mark.parametrize(
    ("url", "item", "words"),
    [
        ("http://a.test/a", ingress("r", "a.test", "/a", annotations=HEADER), "needs the header x-llm=qwen, which the request does not have"),
        ("http://a.test/a?page=2", ingress("r", "a.test", "/a", annotations=QUERY), "query parameter page=1, which the request has '2'"),
        ("http://a.test/a", ingress("r", "a.test", "/a", annotations={"higress.io/match-method": "POST PUT"}), "takes the method POST or PUT, and not GET"),
        ("http://a.test/a/", ingress("r", "a.test", ("/a", "Exact")), "takes the path /a exactly, without a slash at the end"),
        ("http://a.test/A", ingress("r", "a.test", "/a"), "case counts"),
        ("http://a.test/api/x", ingress("r", "a.test", ("/api/*", "Prefix")), "the * in its path /api/* is a plain sign"),
        ("http://a.test/apis", ingress("r", "a.test", "/api"), "taken by whole segments, and /apis is another one"),
        ("http://a.test/u/{id}", ingress("r", "a.test", "/u/{id}"), "no request can have its path /u/{id}: routes never see '{'"),
        ("http://a.test/产品", ingress("r", "a.test", "/产品"), "written /%E4%BA%A7%E5%93%81 it is reached"),
        ("https://a.test/a", ingress("r", "a.test", "/a"), "no TLS (no entry of spec.tls names it)"),
        ("https://a.test/a", ingress("r", "a.test", "/a", annotations=HEADER), "http alone and it needs the header"),
    ],
)  # fmt: skip
def test_the_condition_that_fails_is_told(url: str, item: dict[str, Any], words: str) -> None:
    (line,) = said(url, item)
    assert line.startswith("r: would match, but ")
    assert words in line


@pytest.mark.parametrize("url", ["http://b.test/a", "http://a.test/b", "https://b.test/"])
def test_another_host_or_path_is_not_near(url: str) -> None:
    assert said(url, ingress("r", "a.test", "/a", annotations=HEADER)) == []


def test_credentials_in_conditions_stay_hidden() -> None:
    (line,) = said(
        "http://a.test/a",
        ingress("r", "a.test", "/a", annotations={"higress.io/exact-match-header-authorization": "CANARY"}),
        headers=("Authorization: OTHER",),
    )
    assert "CANARY" not in line
    assert "OTHER" not in line


def test_beside_an_answer_only_rules_of_a_more_specific_host_are_told() -> None:
    wildcard = ingress("w", "*.a.test", "/", tls="cert")
    lines = said(
        "https://x.a.test/ws",
        wildcard,
        ingress("r", "x.a.test", "/ws"),
        ingress("h", "*.a.test", "/ws", annotations=HEADER),
    )
    assert [line.partition(":")[0] for line in lines] == ["w", "r"]
    assert "no TLS" in lines[1]


def effect(
    fields: dict[str, Any], url: str = "http://a.test/api/x?q=1", kind: str = "prefix", value: str = "/api"
) -> tuple[str, ...]:
    route = Route(MatchKey(kind, value), "r", fields, fields.pop("cluster", None))
    return effects(route, parse_request(url), View(ViewName.GATEWAY, None, clusters={}))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"regex_rewrite": {"pattern": {"regex": "/api"}, "substitution": "/"}}, "the path //x - with two slashes at the start"),
        ({"regex_rewrite": {"pattern": {"regex": "/api/(.*)"}, "substitution": "/\\1/y"}}, "the path /x/y"),
        ({"prefix_rewrite": "/v2"}, "the path /v2/x"),
        ({"host_rewrite_literal": "in.test"}, "the Host in.test"),
        ({"request_headers_to_add": [{"header": {"key": "x-a", "value": "1"}}]}, "the request gets the header x-a: 1"),
        ({"response_headers_to_remove": ["x-a", "x-b"]}, "the answer loses the headers x-a, x-b"),
        ({"timeout": "5s", "retry_policy": {"num_retries": 2}}, "times out after 5 s, retried up to 2 times"),
        ({"cluster": "outbound|80||a"}, "does not exist: 503 NC"),
        ({"redirect": {"https_redirect": True, "response_code": "PERMANENT_REDIRECT"}}, "308 to https://a.test/api/x?q=1"),
        ({"redirect": {"path_redirect": "/api/x"}}, "the same URL again"),
        ({"redirect": {"host_redirect": "b.test", "path_redirect": "/z?y=2"}}, "301 to http://b.test/z?y=2"),
        ({"direct_response": {"status": 403}}, "the client gets 403"),
        ({"request_mirror_policies": [{"cluster": "m"}]}, "a copy goes to m"),
    ],
)  # fmt: skip
def test_what_becomes_of_the_request(fields: dict[str, Any], words: str) -> None:
    assert words in "\n".join(effect(fields))


def test_a_value_of_a_credential_is_not_shown() -> None:
    fields = {"request_headers_to_add": [{"header": {"key": "authorization", "value": "CANARY"}}]}
    assert "CANARY" not in "\n".join(effect(fields))
