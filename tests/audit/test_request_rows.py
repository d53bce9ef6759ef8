"""Questions that operators asked in public about one request, in our own words: what ``explain`` must say of it.

Each is a row: the Ingresses, the request, and what is told. What each condition says by itself is in ``test_near``.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from tests import worlds
from xdsaudit.audit.questions.explain import explain_request
from xdsaudit.audit.requests.access_log import read_log
from xdsaudit.audit.requests.request import parse_request
from xdsaudit.audit.verdicts import judged
from xdsaudit.model.snapshot import Snapshot
from xdsaudit.report.explanation import explanation_text
from xdsaudit.testing import ingress


def told(snapshot: Snapshot, url: str, *headers: str) -> tuple[str, int]:
    """All that is printed, in one line, and the exit code."""
    world, audit = judged(snapshot)
    found = explain_request(world, audit, parse_request(url, headers=headers))
    return " ".join(explanation_text(found, width=400).split()), found.exit_code()


class Row(NamedTuple):
    """A question: Ingresses, a request, what must be said and what must not, and the exit code."""

    items: tuple[dict[str, Any], ...]
    url: str
    words: tuple[str, ...]
    code: int
    headers: tuple[str, ...] = ()


NO_RULE = "No Ingress that was read has a rule"
LLM = {"higress.io/exact-match-header-x-higress-llm-model": "qwen"}
CANARY = {"higress.io/canary": "true", "higress.io/canary-by-header": "x-trial"}
SLASH = {"higress.io/rewrite-target": "/"}
ROWS = {
    "11, a wildcard has TLS and the host itself has none": Row(
        (ingress("wide", "*.a.test", "/", tls="cert"), ingress("one", "x.a.test", "/ws")),
        "https://x.a.test/ws",
        ("default/wide", "default/one x.a.test/ws (Prefix): would match, but", "no TLS"),
        0,
    ),
    "12, a host without TLS asked for over HTTPS": Row(
        (ingress("one", "a.test", "/xx"), ingress("safe", "b.test", "/", tls="cert")),
        "https://a.test/xx/",
        ("no TLS filter chain for a.test", "default/one a.test/xx (Prefix): would match, but", "no TLS"),
        1,
    ),
    "16, the header of an AI route is missing": Row(
        (ingress("ai-route", "ai.test", "/v1", annotations=LLM),),
        "http://ai.test/v1/chat",
        ("default/ai-route", "needs the header x-higress-llm-model=qwen"),
        1,
    ),
    "17, a star in a path of type Prefix": Row(
        (ingress("star", "a.test", "/api/*"),),
        "http://a.test/api/users",
        ("default/star", "the * in its path /api/* is a plain sign"),
        1,
    ),
    "41, a header canary with a fallback": Row(
        (ingress("base", "a.test", "/", service="v1"), ingress("trial", "a.test", "/", service="v2", annotations=CANARY)),
        "http://a.test/",
        ("outbound|80||v2.default", "is asked first, and outbound|80||v1.default"),
        0,
        ("x-trial: always",),
    ),
    "57, rewrite-target / on a path of type Prefix": Row(
        (ingress("slash", "a.test", "/api", annotations=SLASH),),
        "http://a.test/api/users",
        ("the backend gets the path //users - with two slashes",),
        0,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_what_is_told_of_a_request(name: str) -> None:
    row = ROWS[name]
    text, code = told(worlds.world(row.items), row.url, *row.headers)
    assert code == row.code
    for words in row.words:
        assert words in text
    assert NO_RULE not in text


def test_21_nothing_listens_on_the_port_that_is_asked_for() -> None:
    items = [ingress("one", "a.test", "/")]
    snapshot = worlds.world(items)
    pages = snapshot.gateway["gateway-0"]
    dump = json.loads(pages["config_dump.json"])
    for section in dump["configs"]:
        section.pop("dynamic_listeners", None)
    deaf = replace(snapshot, gateway={"gateway-0": {**pages, "config_dump.json": json.dumps(dump).encode()}})
    text, code = told(deaf, "http://a.test/")
    assert "gateway gateway-0: no route answers nothing listens on port 80: the connection is refused" in text
    assert code == 1
    assert told(snapshot, "http://a.test/")[1] == 0


def test_29_a_route_of_a_virtual_service_is_named_as_what_it_is() -> None:
    items = [ingress("one", "a.test", "/"), ingress("gone", "b.test", "/")]
    snapshot = worlds.world(items)
    pages = snapshot.gateway["gateway-0"]
    dump = json.loads(pages["config_dump.json"])
    origin = "/apis/networking.istio.io/v1alpha3/namespaces/demo/virtual-service/mine"
    for section in dump["configs"]:
        for entry in section.get("dynamic_route_configs", ()):
            for host in entry["route_config"]["virtual_hosts"]:
                if host["domains"] == ["b.test"]:
                    for route in host["routes"]:
                        route["name"] = "mine"
                        route["metadata"] = {"filter_metadata": {"istio": {"config": origin}}}
    foreign = replace(
        snapshot,
        kube=worlds.kube(items[:1]),
        pilot={},
        gateway={"gateway-0": {**pages, "config_dump.json": json.dumps(dump).encode()}},
    )
    text, code = told(foreign, "http://b.test/")
    assert "of VirtualService demo/mine" in text
    assert code == 0


@pytest.mark.parametrize(
    ("code", "flags", "meaning"),
    [
        (503, "NC", "names a cluster that the gateway does not have"),
        (503, "UH", "has no healthy endpoint"),
        (504, "UT", "did not answer within the route's timeout"),
        (404, "-", "backend"),
    ],
)
def test_40_a_failed_line_that_is_not_404_nr_is_told(code: int, flags: str, meaning: str) -> None:
    line = {
        "authority": "a.test",
        "method": "GET",
        "path": "/x",
        "response_code": code,
        "response_flags": flags,
        "response_code_details": "via_upstream" if flags == "-" else "",
        "route_name": "one",
        "start_time": "2026-01-01T00:00:00Z",
    }
    summary = read_log([json.dumps(line)])
    assert (summary.lines, summary.skipped) == (1, 0)
    (ending,) = summary.endings
    assert meaning in ending.meaning
