"""What Higress's own end-to-end suite asks of a gateway, in our words: Ingresses, requests, and who must answer each.

The suite (alibaba/higress test/e2e/conformance, its tests of routes) says which backend a running gateway asks; here the expectation
alone is asked. Hosts, names and most requests are ours; more of each kind are asked than there.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from tests import worlds
from xdsaudit.audit.questions.forwarding import effects
from xdsaudit.audit.requests.request import Request, parse_request
from xdsaudit.audit.requests.routing import look_up
from xdsaudit.model.route import Route, clusters_of_fields
from xdsaudit.model.view import View, ViewName
from xdsaudit.testing import ingress

NGINX = "nginx.ingress.kubernetes.io/"
HIGRESS = "higress.io/"
EXACT, PREFIX, LOOSE = "Exact", "Prefix", "ImplementationSpecific"
Ask = tuple[str, str]


class Kind(NamedTuple):
    """Ingresses of one kind, and requests with their answers."""

    name: str
    items: tuple[dict[str, Any], ...]
    asked: tuple[Ask, ...]


def rules(name: str, *listed: tuple[str | None, str, str, str], tls: str | None = None, **notes: str) -> dict[str, Any]:
    """An Ingress of (host, path, type, service) and annotations: ``n_`` for nginx's prefix, ``h_`` for Higress's."""
    prefixes = {"n": NGINX, "h": HIGRESS}
    annotations = {prefixes[k[0]] + k[2:].replace("_", "-"): v for k, v in notes.items()}
    built = [
        ingress(name, host, (path, kind), service=to, annotations=annotations, tls=tls)
        for host, path, kind, to in listed
    ]
    for other in built[1:]:
        built[0]["spec"]["rules"] += other["spec"]["rules"]
    return built[0]


HEADER = {"n_canary": "true", "n_canary_by_header": "x-trial"}
KINDS = (
    Kind(
        "exact before prefix, whole segments, a slash at the end means nothing",
        (
            rules(
                "paths",
                ("m.test", "/menu", PREFIX, "two"),
                ("m.test", "/menu", EXACT, "one"),
                ("m.test", "/bill", PREFIX, "two"),
                ("m.test", "/cake/", PREFIX, "three"),
            ),
        ),
        (
            ("m.test/menu", "one"),
            ("m.test/menu?size=2", "one"),
            ("m.test/menu/", "two"),
            ("m.test/menu/today", "two"),
            ("m.test/menus", "404"),
            ("m.test/bill", "two"),
            ("m.test/bill/", "two"),
            ("m.test/bills", "404"),
            ("m.test/Bill", "404"),
            ("m.test/cake", "three"),
            ("m.test/cake/", "three"),
            ("m.test/cake/slice", "three"),
            ("m.test/cakes", "404"),
            ("m.test/", "404"),
            ("other.test/menu", "404"),
        ),
    ),
    Kind(
        "three conditions on headers at once: exact, regex, prefix",
        (
            rules(
                "headers",
                ("m.test", "/menu", EXACT, "one"),
                h_exact_match_header_mode="7",
                h_regex_match_header_accept="text/(html|plain)",
                h_prefix_match_header_team="blue-1",
            ),
        ),
        (
            ("m.test/menu", "404"),
            ("m.test/menu mode:6", "404"),
            ("m.test/menu mode:7", "404"),
            ("m.test/menu mode:7 accept:text/html", "404"),
            ("m.test/menu mode:7 accept:text/html team:blue-1", "one"),
            ("m.test/menu mode:7 accept:text/plain team:blue-1-9", "one"),
            ("m.test/menu MODE:7 Accept:text/plain TEAM:blue-12", "one"),
            ("m.test/menu mode:7 accept:text/csv team:blue-1", "404"),
            ("m.test/menu mode:7 accept:text/html; team:blue-1", "404"),
            ("m.test/menu mode:7 accept:text/html team:red-1", "404"),
        ),
    ),
    Kind(
        "three methods of many",
        (rules("methods", ("m.test", "/menu", EXACT, "one"), h_match_method="POST PUT PATCH"),),
        (
            ("GET m.test/menu", "404"),
            ("HEAD m.test/menu", "404"),
            ("DELETE m.test/menu", "404"),
            ("POST m.test/menu", "one"),
            ("PUT m.test/menu", "one"),
            ("PATCH m.test/menu", "one"),
        ),
    ),
    Kind(
        "three conditions on parameters at once",
        (
            rules(
                "query",
                ("m.test", "/menu", EXACT, "one"),
                h_exact_match_query_mode="7",
                h_regex_match_query_kind="hot/(tea|milk)",
                h_prefix_match_query_team="blue-1",
            ),
        ),
        (
            ("m.test/menu", "404"),
            ("m.test/menu?mode=7", "404"),
            ("m.test/menu?mode=7&kind=hot/tea&team=blue-1-2", "one"),
            ("m.test/menu?team=blue-1&x=y&kind=hot/milk&mode=7", "one"),
            ("m.test/menu?mode=70&kind=hot/tea&team=blue-1", "404"),
            ("m.test/menu?mode=7&kind=hot/soup&team=blue-1", "404"),
            ("m.test/menu?mode=7&kind=hot%2Ftea&team=blue-1", "404"),
        ),
    ),
    Kind(
        "pseudo headers: the authority exactly and by regex, the path by prefix",
        (
            rules("one", ("*.m.test", "/v1", PREFIX, "one"), h_exact_match_pseudo_header_authority="lab.m.test"),
            rules("two", ("*.m.test", "/v2", PREFIX, "two"), h_regex_match_pseudo_header_authority=r"lab.+\.m\.test"),
            rules("three", ("*.m.test", "/v3", PREFIX, "three"), h_prefix_match_pseudo_header_path="/v3/in"),
        ),
        (
            ("bad.m.test/v1", "404"),
            ("lab.m.test/v1", "one"),
            ("lab.m.test/v1/x", "one"),
            ("lab.m.test/v2", "404"),
            ("lab2.m.test/v2", "two"),
            ("x.m.test/v3", "404"),
            ("x.m.test/v3/in", "three"),
            ("x.m.test/v3/in?q=1", "three"),
        ),
    ),
    Kind(
        "one path without a host, told apart by headers; the more conditions the earlier",
        (
            rules("a", (None, "/hall", PREFIX, "one"), h_exact_match_header_a="1", h_exact_match_header_b="2"),
            rules("b", (None, "/hall", PREFIX, "two"), h_exact_match_header_a="1", h_exact_match_header_b="b"),
            rules("c", (None, "/hall", PREFIX, "three"), h_exact_match_header_a="1"),
            rules("d", (None, "/hall", PREFIX, "two"), h_exact_match_header_b="2", h_exact_match_header_a="1"),
            rules("e", (None, "/", PREFIX, "one")),
            rules("f", (None, "/", PREFIX, "two"), h_exact_match_header_a="1"),
        ),
        (
            ("any.test/hall a:1 b:2", "one"),
            ("any.test/hall a:1 b:b", "two"),
            ("any.test/hall a:1", "three"),
            ("any.test/hall a:1 b:9", "three"),
            ("any.test/hall", "one"),
            ("any.test/ a:1", "two"),
            ("any.test/", "one"),
            ("any.test/else a:2", "one"),
        ),
    ),
    Kind(
        "letters in any case",
        (
            rules(
                "case",
                ("m.test", "/menu", EXACT, "one"),
                ("m.test", "/bill", PREFIX, "two"),
                ("m.test", "/cake/", PREFIX, "three"),
                h_ignore_path_case="true",
            ),
        ),
        (
            ("m.test/menu", "one"),
            ("m.test/mENU", "one"),
            ("m.test/menu/x", "404"),
            ("m.test/BILL", "two"),
            ("m.test/BILL/x", "two"),
            ("m.test/CAKE/ok", "three"),
            ("M.TEST/cake", "three"),
        ),
    ),
    Kind(
        "a regex that begins a path, and one that is all of it",
        (
            rules("begins", (None, "/part/[A-Z0-9]{3}", LOOSE, "one"), n_use_regex="true"),
            rules("whole", (None, "/full/[A-Z0-9]{3}", LOOSE, "two"), h_full_path_regex="true"),
        ),
        (
            ("any.test/part/123", "one"),
            ("any.test/part/1234", "one"),
            ("any.test/part/12", "404"),
            ("any.test/part/abc", "404"),
            ("any.test/full/123", "two"),
            ("any.test/full/AB9", "two"),
            ("any.test/full/1234", "404"),
        ),
    ),
    Kind(
        "a host without a route for the path falls back to its wildcard",
        (
            rules("wide", ("*.m.test", "/", PREFIX, "one")),
            rules("narrow", ("www.m.test", "/bill", EXACT, "two")),
        ),
        (
            ("www.m.test/bill", "two"),
            ("www.m.test/menu", "one"),
            ("www.m.test/bill/x", "one"),
            ("x.m.test/bill", "one"),
            ("deep.x.m.test/bill", "one"),
            ("m.test/bill", "404"),
        ),
    ),
    Kind(
        "canaries by a header: its value on Exact and Prefix, a pattern in it",
        (
            rules("trial", ("c.test", "/echo", EXACT, "one"), **HEADER, n_canary_by_header_value="true"),
            rules("base", ("c.test", "/echo", EXACT, "two")),
            rules(
                "trial-two",
                ("c.test", "/menu", EXACT, "two"),
                ("c.test", "/menu", PREFIX, "one"),
                **HEADER,
                n_canary_by_header_value="true",
            ),
            rules("base-two", ("c.test", "/menu", EXACT, "three"), ("c.test", "/menu", PREFIX, "three")),
            rules("trial-three", ("c.test", "/bill", EXACT, "one"), **HEADER, n_canary_by_header_pattern="lab.test"),
            rules("base-three", ("c.test", "/bill", EXACT, "two")),
        ),
        (
            ("c.test/echo x-trial:true", "one"),
            ("c.test/echo", "two"),
            ("c.test/echo x-trial:false", "two"),
            ("c.test/menu x-trial:true", "two"),
            ("c.test/menu/x x-trial:true", "one"),
            ("c.test/menu", "three"),
            ("c.test/menu/x", "three"),
            ("c.test/bill x-trial:lab.test", "one"),
            ("c.test/bill x-trial:lab.test.more", "one"),
            ("c.test/bill x-trial:my-lab.test", "one"),
            ("c.test/bill x-trial:lab.org", "two"),
            ("c.test/bill", "two"),
        ),
    ),
    Kind(
        "a canary belongs to the base with the same conditions, and to no other",
        (
            rules("alone", ("c.test", "/echo", EXACT, "one"), **HEADER, n_canary_by_header_value="true"),
            rules("other", ("c.test", "/echo", EXACT, "two"), h_exact_match_header_a="1"),
            rules(
                "same",
                ("same.c.test", "/echo", EXACT, "one"),
                **HEADER,
                n_canary_by_header_value="true",
                h_exact_match_header_user="ann",
            ),
            rules("its-base", ("same.c.test", "/echo", EXACT, "two"), h_exact_match_header_user="ann"),
        ),
        (
            ("c.test/echo x-trial:true", "404"),
            ("c.test/echo", "404"),
            ("c.test/echo a:1", "two"),
            ("c.test/echo a:1 x-trial:true", "two"),
            ("same.c.test/echo x-trial:true user:ann", "one"),
            ("same.c.test/echo user:ann", "two"),
            ("same.c.test/echo x-trial:true", "one"),  # a canary's own header replaces the conditions of its base
        ),
    ),
    Kind(
        "rewrites of path and Host",
        (
            rules("path", (None, "/svc/(.*)", LOOSE, "one"), n_rewrite_target="/$1"),
            rules(
                "host",
                ("m.test", "/menu", PREFIX, "one"),
                ("n.test", "/menu", PREFIX, "two"),
                n_upstream_vhost="in.test",
            ),
        ),
        (
            ("any.test/svc/menu", "one; the backend gets the path /menu"),
            ("any.test/svc/a/b", "one; the backend gets the path /a/b"),
            ("any.test/svc", "404"),
            ("m.test/menu", "one; the backend gets the Host in.test"),
            ("n.test/menu/x", "two; the backend gets the Host in.test"),
        ),
    ),
    Kind(
        "redirects: permanent, with a code, for a time",
        (
            rules("gone", ("p.test", "/menu", PREFIX, "one"), n_permanent_redirect="http://new.test"),
            rules(
                "code",
                ("q.test", "/menu", PREFIX, "one"),
                n_permanent_redirect="http://new.test",
                n_permanent_redirect_code="308",
            ),
            rules("away", ("r.test", "/menu", PREFIX, "one"), n_temporal_redirect="http://new.test"),
        ),
        (
            ("p.test/menu", "the client gets 301 to http://new.test/menu"),
            ("p.test/menu?a=1", "the client gets 301 to http://new.test/menu?a=1"),
            ("q.test/menu", "the client gets 308 to http://new.test/menu"),
            ("r.test/menu", "the client gets 302 to http://new.test/menu"),
            ("r.test/other", "404"),
        ),
    ),
    Kind(
        "the root of an app",
        (rules("root", ("m.test", "/", PREFIX, "one"), n_app_root="/home"),),
        (
            ("m.test/", "the client gets 302 to http://m.test/home"),
            ("m.test/home", "one"),
            ("m.test/x", "one"),
        ),
    ),
    Kind(
        "plain HTTP is sent to HTTPS, with ssl-redirect and with force-ssl-redirect",
        (
            rules("force", ("f.test", "/menu", PREFIX, "one"), tls="cert", n_force_ssl_redirect="true"),
            rules("usual", ("u.test", "/menu", PREFIX, "one"), tls="cert", n_ssl_redirect="true"),
        ),
        (
            ("f.test/menu", "the client gets 308 to https://f.test/menu"),
            ("https://f.test/menu", "one"),
            ("u.test/menu/x?a=b", "the client gets 308 to https://u.test/menu/x?a=b"),
            ("https://u.test/menu", "one"),
            ("u.test/other", "404"),
        ),
    ),
    Kind(
        "a rule for each of many hosts in one Ingress",
        (
            rules(
                "hosts",
                ("m.test", "/menu", PREFIX, "one"),
                ("n.test", "/menu", PREFIX, "two"),
                ("m.test", "/bill", PREFIX, "two"),
                ("n.test", "/bill", PREFIX, "three"),
                ("*.n.test", "/any", PREFIX, "one"),
                ("api.n.test", "/bill", PREFIX, "two"),
                ("api-n.test", "/bill", PREFIX, "three"),
                (None, "/hall", PREFIX, "one"),
            ),
        ),
        (
            ("m.test/menu", "one"),
            ("n.test/menu", "two"),
            ("m.test/bill", "two"),
            ("n.test/bill", "three"),
            ("any.n.test/any", "one"),
            ("api.n.test/bill", "two"),
            ("api.n.test/any", "one"),
            ("api-n.test/bill", "three"),
            ("api-n.test/any", "404"),
            ("any.test/hall", "one"),
            ("m.test/hall/x", "one"),
            ("n.test:8080/menu", "two"),
        ),
    ),
)


def request(text: str) -> Request:
    """``[METHOD] host/path [name:value …]``; a header's value holds no blank."""
    words = text.split(" ")
    method = words.pop(0) if words[0].isupper() and "/" not in words[0] else "GET"
    url, *headers = words
    return parse_request(url, method=method, headers=headers)


def answer(items: tuple[dict[str, Any], ...], asked: Request) -> str:
    """The service that answers with what becomes of the request, the redirect, or 404."""
    tables = worlds.expectation(items).tables
    found = look_up(tables, asked, scoped=True)
    assert found.certain
    if found.place is None or found.index is None:
        return "404"
    wanted = tables[found.place][found.index]
    route = Route(wanted.key, wanted.name, wanted.fields, wanted.cluster)
    does = effects(route, asked, View(ViewName.INGRESS, None))
    if route.get("redirect"):
        return "; ".join(does)
    clusters = (route.cluster,) if route.cluster is not None else clusters_of_fields(route.fields)
    names = (c.split("|")[3].partition(".")[0] for c in clusters)
    return "; ".join((*names, *(line for line in does if line.startswith("the backend gets"))))


@pytest.mark.parametrize(("kind", "asked", "wanted"), [(k, *ask) for k in KINDS for ask in k.asked])
def test_who_must_answer(kind: Kind, asked: str, wanted: str) -> None:
    assert answer(kind.items, request(asked)) == wanted, kind.name


def test_a_default_backend_answers_where_the_service_has_no_endpoints() -> None:
    items = (rules("base", (None, "/menu", PREFIX, "absent"), n_default_backend="web"),)
    (first, *_) = worlds.expectation(items).tables[80, "*"]
    route = Route(first.key, first.name, first.fields, first.cluster)
    said = effects(route, request("any.test/menu"), View(ViewName.INGRESS, None))
    assert any("outbound|80||web.default.svc.cluster.local if that has no healthy endpoint" in line for line in said)


def test_there_are_enough_requests() -> None:
    assert sum(len(k.asked) for k in KINDS) >= 100
